/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/redis/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "pipe_priv.h"

#define AGAIN_US UINT64_C(1000)

static void set_state(struct redis_op *op, enum op_state state)
{
    static const uint32_t next[] = {
        [OP_ST_WAIT] = 1U << OP_ST_FLIGHT | 1U << OP_ST_DONE,
        [OP_ST_FLIGHT] = 1U << OP_ST_WAIT | 1U << OP_ST_AGAIN | 1U << OP_ST_DONE,
        [OP_ST_AGAIN] = 1U << OP_ST_WAIT | 1U << OP_ST_DONE,
        [OP_ST_DONE] = 0,
    };

    WR_ASSERT((next[op->state] >> state & 1U) != 0);
    op->state = state;
}

/* --- the end of an op --- */

static void op_free(struct redis_op *op)
{
    op->node->ops--;
    op->pipe->stats.in_flight--;
    redisFreeCommand(op->bytes);
    free(op);
}

static void overdue_arm(struct redis_pipe *pipe)
{
    struct list_node *first = list_first(&pipe->ops);

    if (first == NULL) {
        timer_cancel(&pipe->overdue);
    } else {
        timer_arm_at(&pipe->overdue, list_entry(first, struct redis_op, link)->deadline_us);
    }
}

static void op_unlink(struct redis_op *op)
{
    struct redis_pipe *pipe = op->pipe;

    list_remove(&op->link);
    overdue_arm(pipe);
}

void op_end_later(struct redis_op *op, int err)
{
    op->err = err;
    set_state(op, OP_ST_DONE);
    op_unlink(op);
    list_push(&op->pipe->done, &op->link);
    loop_defer(op->pipe->loop, &op->pipe->tell);
}

static void on_tell(void *arg)
{
    struct redis_pipe *pipe = arg;
    struct list_node *node = NULL;

    while ((node = list_pop(&pipe->done)) != NULL) {
        struct redis_op *op = list_entry(node, struct redis_op, link);
        redis_reply_fn reply = op->reply;
        void *reply_arg = op->arg;
        int err = op->err;

        op_free(op);
        if (reply != NULL) {
            reply(reply_arg, err, NULL);
        }
    }
}

static void op_end(struct redis_op *op, const struct redis_value *value)
{
    struct redis_pipe *pipe = op->pipe;
    redis_reply_fn reply = op->reply;
    void *arg = op->arg;
    uint64_t rtt_us = loop_now_us(pipe->loop) - op->sent_us;

    pipe->stats.replies++;
    pipe->stats.errors += value->kind == REDIS_ERROR ? 1 : 0;
    pipe->stats.rtt_us_sum += rtt_us;
    pipe->stats.rtt_us_max = rtt_us > pipe->stats.rtt_us_max ? rtt_us : pipe->stats.rtt_us_max;
    op_unlink(op);
    op_free(op);
    if (reply != NULL) {
        reply(arg, 0, value);
    }
}

/* --- on the way --- */

static void op_set_node(struct redis_op *op, struct redis_node *node)
{
    op->node->ops--;
    op->node = node;
    node->ops++;
}

/* False: told that it is over. */
static bool redirect(struct redis_op *op, const struct redis_value *value)
{
    struct redis_pipe *pipe = op->pipe;
    struct redis_node *node = NULL;
    struct slot_place place = {.slot = 0};
    enum slot_answer answer = slot_answer_of(value, &place);

    switch (answer) {
    case SLOT_ANSWER_NONE:
        return false;
    case SLOT_ANSWER_MOVED:
        pipe->stats.moved++;
        op->is_asking = false;
        node = node_moved(op->node, &place);
        break;
    case SLOT_ANSWER_ASK:
        pipe->stats.ask++;
        op->is_asking = true;
        node = node_named(op->node, &place);
        break;
    case SLOT_ANSWER_TRY_AGAIN:
        pipe->stats.try_again++;
        set_state(op, OP_ST_AGAIN);
        if (!timer_is_armed(&pipe->again)) {
            timer_arm_in(&pipe->again, AGAIN_US);
        }
        return true;
    case SLOT_ANSWER_DOWN:
        pipe->stats.cluster_down++;
        map_want(pipe);
        op_end_later(op, -WR_E_NO_SERVER);
        return true;
    }
    if (node == NULL || ++op->redirects > PIPE_REDIRECTS_MAX) {
        op_end_later(op, -WR_E_LIMIT);
        return true;
    }
    if (!breaker_is_closed(&node->breaker)) {
        op_end_later(op, -WR_E_NO_SERVER);
        return true;
    }
    op_set_node(op, node);
    set_state(op, OP_ST_WAIT);
    op_start(op);
    return true;
}

static bool is_refusal(const struct redis_value *value)
{
    static const char *const words[] = {"NOAUTH", "NOPERM", "WRONGPASS", "LOADING"};

    for (size_t i = 0; value->kind == REDIS_ERROR && i < WR_ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);

        if (value->text.len >= len && memcmp(value->text.p, words[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static void on_reply(void *arg, int err, const struct redis_value *value)
{
    struct redis_op *op = arg;
    struct redis_node *node = op->node;

    if (value == NULL) {
        node->lost++;
        op->pipe->stats.lost += op->is_late ? 0 : 1;
        if (op->is_probe) {
            node_result(node, false, true);
        }
        op_end_later(op, op->is_late ? -WR_E_TIMEOUT : err);
        return;
    }
    node_result(node, !is_refusal(value), op->is_probe);
    if (op->pipe->slots == NULL || op->is_probe || !redirect(op, value)) {
        op_end(op, value);
    }
}

static void on_asking(void *arg, int err, const struct redis_value *value)
{
    (void)arg;
    (void)err;
    (void)value; /* the command behind it is refused with MOVED then */
}

static int op_put(struct redis_op *op)
{
    static const struct span asking[] = {{(const uint8_t *)"ASKING", 6}};
    struct span bytes = {(const uint8_t *)op->bytes, op->len};
    int r = 0;

    if (op->is_asking) {
        if (redis_link_in_flight(op->node->link) + 2 > REDIS_REQUESTS_MAX) {
            return -WR_E_LIMIT; /* an ASKING alone would be for somebody else's command */
        }
        r = redis_link_send(op->node->link, asking, 1, on_asking, op->pipe);
    }
    return r < 0 ? r : redis_link_put(op->node->link, bytes, on_reply, op);
}

/* From WAIT: sent, or it goes on waiting, or it ends. */
void op_start(struct redis_op *op)
{
    int r = 0;

    if (!redis_link_is_up(op->node->link) && !op->node->was_tried) {
        return;
    }
    set_state(op, OP_ST_FLIGHT); /* first: a link that breaks now ends all that wait for it */
    r = op_put(op);
    if (r < 0) {
        op_end_later(op, r);
    }
}

/* Those in this state that name this node (NULL: any). Each turn may change the list. */
static struct redis_op *op_find(struct redis_pipe *pipe, const struct redis_node *node,
                                enum op_state state)
{
    list_for_each (at, &pipe->ops) {
        struct redis_op *op = list_entry(at, struct redis_op, link);

        if (op->state == state && (node == NULL || op->node == node)) {
            return op;
        }
    }
    return NULL;
}

void ops_of_node(struct redis_node *node, int err)
{
    struct redis_op *op = NULL;

    while ((op = op_find(node->pipe, node, OP_ST_WAIT)) != NULL) {
        if (err < 0) {
            op_end_later(op, err);
        } else {
            op_start(op);
        }
    }
}

static void on_again(void *arg)
{
    struct redis_pipe *pipe = arg;
    struct redis_op *op = NULL;

    while ((op = op_find(pipe, NULL, OP_ST_AGAIN)) != NULL) {
        set_state(op, OP_ST_WAIT);
        op_start(op);
    }
}

static void on_overdue(void *arg)
{
    struct redis_pipe *pipe = arg;
    struct list_node *first = NULL;

    while ((first = list_first(&pipe->ops)) != NULL) {
        struct redis_op *op = list_entry(first, struct redis_op, link);

        if (loop_now_us(pipe->loop) < op->deadline_us) {
            break;
        }
        pipe->stats.late++;
        op->is_late = true;
        if (op->state == OP_ST_FLIGHT) {
            redis_link_reset(op->node->link, "no reply within the budget"); /* ends it */
        } else {
            op_end_later(op, -WR_E_TIMEOUT);
        }
    }
    overdue_arm(pipe);
}

/* --- sending --- */

static int op_create(struct redis_node *node, const struct span *words, size_t count,
                     struct redis_op **ret_op)
{
    struct redis_pipe *pipe = node->pipe;
    const char *argv[REDIS_WORDS_MAX];
    size_t lens[REDIS_WORDS_MAX];
    struct redis_op *op = NULL;
    int len = 0;

    for (size_t i = 0; i < count; i++) {
        argv[i] = (const char *)words[i].p;
        lens[i] = words[i].len;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL) {
        return -ENOMEM;
    }
    len = redisFormatCommandArgv(&op->bytes, (int)count, argv, lens);
    if (len < 0) {
        free(op);
        return -ENOMEM;
    }
    op->len = (size_t)len;
    op->pipe = pipe;
    op->node = node;
    op->sent_us = loop_now_us(pipe->loop);
    op->deadline_us = op->sent_us + pipe->conf.budget_us;
    node->ops++;
    pipe->stats.in_flight++;
    list_push(&pipe->ops, &op->link); /* all have one budget: this is the last to end */
    overdue_arm(pipe);
    *ret_op = op;
    return 0;
}

void op_probe(struct redis_node *node)
{
    static const struct span ping[] = {{(const uint8_t *)"PING", 4}};
    struct redis_op *op = NULL;

    node->pipe->stats.probes++;
    if (op_create(node, ping, 1, &op) < 0) {
        node_result(node, false, true);
        return;
    }
    op->is_probe = true;
    op_start(op);
    if (op->state != OP_ST_FLIGHT) {
        node_result(node, false, true);
    }
}

int redis_pipe_send(struct redis_pipe *pipe, struct span key, const struct span *words,
                    size_t count, redis_reply_fn reply, void *arg, struct redis_op **ret_op)
{
    uint32_t slot = pipe->slots == NULL ? 0 : slot_of(key);
    struct redis_node *node = node_of_slot(pipe, slot);
    struct redis_op *op = NULL;
    int r = 0;

    WR_ASSERT(reply != NULL && count > 0);
    if (count > REDIS_WORDS_MAX) {
        return -WR_E_LIMIT;
    }
    if (node == NULL || !node_is_ready(node) || pipe->stats.in_flight >= PIPE_OPS_MAX) {
        pipe->stats.refused++;
        return pipe->stats.in_flight >= PIPE_OPS_MAX ? -WR_E_LIMIT : -WR_E_NO_SERVER;
    }
    r = op_create(node, words, count, &op);
    if (r < 0) {
        return r;
    }
    op->slot = slot;
    set_state(op, OP_ST_FLIGHT);
    r = op_put(op);
    if (r < 0) {
        pipe->stats.refused++;
        op_unlink(op);
        op_free(op);
        return r;
    }
    op->reply = reply;
    op->arg = arg;
    pipe->stats.sent++;
    if (ret_op != NULL) {
        *ret_op = op;
    }
    return 0;
}

void redis_op_cancel(struct redis_op *op)
{
    op->reply = NULL;
}

bool redis_pipe_is_ready(const struct redis_pipe *pipe, struct span key)
{
    const struct redis_node *node = node_of_slot(pipe, pipe->slots == NULL ? 0 : slot_of(key));

    return node != NULL && node_is_ready(node) && pipe->stats.in_flight < PIPE_OPS_MAX;
}

void redis_pipe_stats(const struct redis_pipe *pipe, struct redis_pipe_stats *ret_stats)
{
    *ret_stats = pipe->stats;
    ret_stats->nodes = 0;
    ret_stats->nodes_up = 0;
    ret_stats->nodes_open = 0;
    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        const struct redis_node *node = pipe->nodes[i];

        ret_stats->nodes += node != NULL ? 1 : 0;
        ret_stats->nodes_up += node != NULL && redis_link_is_up(node->link) ? 1 : 0;
        ret_stats->nodes_open += node != NULL && !breaker_is_closed(&node->breaker) ? 1 : 0;
        ret_stats->opened += node != NULL ? node->breaker.opened : 0;
    }
}

/* --- life --- */

int redis_pipe_create(struct loop *loop, struct resolver *resolver,
                      const struct redis_pipe_conf *conf, const struct redis_pipe_calls *calls,
                      struct redis_pipe **ret_pipe)
{
    struct redis_pipe *pipe = NULL;
    struct redis_node *node = NULL;
    int r = 0;

    if (conf->link.channel != NULL || (conf->is_cluster && conf->link.database != 0)) {
        return -WR_E_CONFIG;
    }
    pipe = calloc(1, sizeof(*pipe));
    if (pipe == NULL) {
        return -ENOMEM;
    }
    list_init(&pipe->ops);
    list_init(&pipe->done);
    pipe->loop = loop;
    pipe->resolver = resolver;
    pipe->conf = *conf;
    pipe->conf.link.timeout_us =
        conf->link.connect_timeout_us; /* of logins and maps: an op has its own */
    pipe->calls = *calls;
    rand_seed_system(&pipe->rng);
    timer_init(&pipe->overdue, loop, on_overdue, pipe);
    timer_init(&pipe->again, loop, on_again, pipe);
    timer_init(&pipe->probe, loop, on_probe, pipe);
    timer_init(&pipe->refresh, loop, on_refresh, pipe);
    loop_task_init(&pipe->tell, on_tell, pipe);
    loop_task_init(&pipe->sweep, on_sweep, pipe);
    if (conf->is_cluster) {
        pipe->slots = malloc(SLOT_COUNT);
        r = pipe->slots == NULL ? -ENOMEM : 0;
    }
    if (r == 0) {
        if (pipe->slots != NULL) {
            memset(pipe->slots, (int)NODE_NONE, SLOT_COUNT);
        }
        r = node_open(pipe, span_of(conf->link.host), conf->link.port, &node);
    }
    if (r < 0) {
        redis_pipe_destroy(pipe);
        return r;
    }
    *ret_pipe = pipe;
    return 0;
}

void redis_pipe_destroy(struct redis_pipe *pipe)
{
    struct redis_op *op = NULL;

    if (pipe == NULL) {
        return;
    }
    while ((op = op_find(pipe, NULL, OP_ST_WAIT)) != NULL ||
           (op = op_find(pipe, NULL, OP_ST_AGAIN)) != NULL) {
        op_end_later(op, -WR_E_CLOSED);
    }
    nodes_close(pipe); /* ends those in flight */
    on_tell(pipe);
    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        free(pipe->nodes[i]);
    }
    timer_cancel(&pipe->overdue);
    timer_cancel(&pipe->again);
    timer_cancel(&pipe->probe);
    timer_cancel(&pipe->refresh);
    loop_task_cancel(&pipe->tell);
    loop_task_cancel(&pipe->sweep);
    free(pipe->slots);
    loop_bury(pipe->loop, pipe, free);
}
