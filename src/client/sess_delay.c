/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements that wait. Nothing of them has run:
 *
 *   for a primary   there is none now, or it has just refused a connection. In the order of their
 *                   coming, for failover.hold at most, all of one command's waits together.
 *   for a verdict   the primary has refused them as it is read-only (a switchover has begun), and the
 *                   monitor looks. If it is so, they wait for the next primary and run there, once;
 *                   a transaction is told that it is lost. If not, its words go to the client.
 *   for their turn  reads that no replica will do, when the primary's budget for them is used up.
 *
 * Who may go on is told by each new topology (sess_delays_look), in a task of its own, so that no
 * session is run from another's stack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_priv.h"
#include "sess_stmt_priv.h"

/* So much of the budget may be used at once when none of it has been for a while. */
#define BURST_US UINT64_C(100000)

enum sess_delay_kind {
    DELAY_PRIMARY,
    DELAY_VERDICT,
    DELAY_TURN,
};

struct sess_delay {
    struct list_node node;
    struct sess *sess; /* borrowed: the owner */
    enum sess_delay_kind kind;
    int16_t server;    /* who failed or refused it; -1: nobody */
    uint64_t epoch;    /* then */
    uint64_t after_us; /* that server counts again when it has given a good sample begun later */
    uint64_t since_us;
    uint64_t end_us;
    size_t bytes;
    /* of a refusal */
    uint16_t code;
    char sqlstate[6];
    uint16_t text_len;
    char text[SESS_ERROR_TEXT_MAX];
};

bool sess_has_primary(const struct sess_env *env)
{
    const struct topo_server *primary = topo_primary(env->topo);

    /* the monitor's own account may be what is wrong with a server that answers */
    return primary != NULL && (primary->state != TOPO_ST_DOWN || primary->is_answering);
}

/* --- coming and going --- */

static void timer_set(struct sess_set *set)
{
    struct list_node *delay = list_first(&set->delays);
    struct list_node *turn = list_first(&set->turns);
    uint64_t at = UINT64_MAX;

    if (delay != NULL) {
        at = list_entry(delay, struct sess_delay, node)->end_us;
    }
    if (turn != NULL) {
        uint64_t end_us = list_entry(turn, struct sess_delay, node)->end_us;
        uint64_t due_us = set->budget_us > BURST_US ? set->budget_us - BURST_US : 0;

        at = end_us < at ? end_us : at;
        at = due_us < at ? due_us : at;
    }
    if (at == UINT64_MAX) {
        timer_cancel(&set->delay_timer);
    } else {
        timer_arm_at(&set->delay_timer, at);
    }
}

void sess_delay_cancel(struct sess *sess)
{
    struct sess_delay *delay = sess->delay;
    struct sess_set *set = sess->set;
    struct metric_shard *metrics = sess->env->metrics;

    if (delay == NULL) {
        return;
    }
    sess->delay = NULL;
    list_remove(&delay->node);
    set->delay_count--;
    set->delay_bytes -= delay->bytes;
    if (delay->kind == DELAY_TURN) {
        metric_sub(metrics, METRIC_BUDGET_WAITING, METRIC_NONE, 1);
    } else {
        metric_sub(metrics, METRIC_HELD, METRIC_NONE, 1);
        metric_observe(metrics, METRIC_HELD_SECONDS,
                       loop_now_us(sess->env->loop) - delay->since_us);
    }
    free(delay);
}

/* When it gives up: the waits of one command for a primary are one. */
static uint64_t end_of(struct sess *sess, enum sess_delay_kind kind)
{
    const struct config *config = sess->env->config;
    uint64_t now_us = loop_now_us(sess->env->loop);

    if (kind == DELAY_TURN) {
        return now_us + config->balance.primary_wait_us;
    }
    if (sess->cmd.hold_end_us == 0) {
        sess->cmd.hold_end_us = now_us + config->failover.hold_us;
    }
    return sess->cmd.hold_end_us;
}

/* NULL: it may not wait. What it is about is for the caller to fill in. */
static struct sess_delay *delay_begin(struct sess *sess, enum sess_delay_kind kind)
{
    struct sess_set *set = sess->set;
    const struct config_failover *conf = &sess->env->config->failover;
    uint64_t end_us = end_of(sess, kind);
    uint64_t now_us = loop_now_us(sess->env->loop);
    size_t bytes = buf_len(&sess->held);
    struct sess_delay *delay = NULL;

    WR_DASSERT(sess->delay == NULL);
    if (end_us <= now_us || set->delay_count >= conf->max_held ||
        set->delay_bytes + bytes > conf->max_held_bytes) {
        return NULL;
    }
    delay = calloc(1, sizeof(*delay));
    if (delay == NULL) {
        return NULL;
    }
    delay->sess = sess;
    delay->kind = kind;
    delay->server = -1;
    delay->epoch = sess->env->topo->epoch;
    delay->since_us = now_us;
    delay->end_us = end_us;
    delay->bytes = bytes;
    list_push(kind == DELAY_TURN ? &set->turns : &set->delays, &delay->node);
    set->delay_count++;
    set->delay_bytes += bytes;
    sess->delay = delay;
    if (kind == DELAY_TURN) {
        metric_add(sess->env->metrics, METRIC_BUDGET_WAITING, METRIC_NONE, 1);
    } else {
        metric_add(sess->env->metrics, METRIC_HELD, METRIC_NONE, 1);
        metric_inc(sess->env->metrics, METRIC_HELD_TOTAL, METRIC_NONE);
    }
    sess_set_state(sess, SESS_ST_HOLD);
    timer_set(set);
    return delay;
}

static void fail_no_primary(struct sess *sess)
{
    uint64_t hold_us = sess->env->config->failover.hold_us;
    uint64_t left_us = sess->cmd.hold_end_us > loop_now_us(sess->env->loop)
                           ? sess->cmd.hold_end_us - loop_now_us(sess->env->loop)
                           : 0;
    char text[96];
    struct span why = {(const uint8_t *)text, 0};

    if (left_us == 0) {
        why.len = (size_t)snprintf(text, sizeof(text), "there has been no primary for %llu ms",
                                   (unsigned long long)(hold_us / CLOCK_US_PER_MS));
    } else {
        why = SPAN_LIT("there is no primary, and no room to wait for one");
    }
    metric_inc(sess->env->metrics, METRIC_HELD_IN_VAIN, METRIC_NONE);
    sess_fail(sess, SESS_ERR_NO_PRIMARY, &why, 1);
}

static void fail_budget(struct sess *sess)
{
    metric_inc(sess->env->metrics, METRIC_BUDGET_REFUSED, METRIC_NONE);
    sess_fail(sess, SESS_ERR_BUDGET, NULL, 0);
}

/* --- the primary's budget for reads that have no replica --- */

static bool needs_turn(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;

    /* a primary without replicas has nothing to be spared from */
    return cmd->reason == ROUTE_NO_REPLICA && (cmd->bits & FACT(READ)) != 0 && !cmd->is_paid &&
           sess->env->config->balance.primary_budget != 0 && sess->env->topo->server_count > 1;
}

/* The budget as a pace: each read moves the time at which the next is due. */
static bool turn_take(struct sess_set *set)
{
    const struct sess_env *env = set->env;
    uint32_t budget = env->config->balance.primary_budget;
    uint64_t now_us = loop_now_us(env->loop);
    uint64_t at_us = set->budget_us > now_us ? set->budget_us : now_us;

    if (budget != 0) {
        if (at_us > now_us + BURST_US) {
            return false;
        }
        set->budget_us = at_us + CLOCK_US_PER_SECOND * env->worker_count / budget;
    }
    metric_inc(env->metrics, METRIC_BUDGET_READS, METRIC_NONE);
    return true;
}

/* --- before it is sent --- */

static bool keep(struct sess *sess, const uint8_t *packet, size_t len)
{
    if (packet == NULL) {
        return true;
    }
    sess_buf_take(sess, &sess->held);
    if (buf_append(&sess->held, packet, len, (size_t)FRAME_MAX_PAYLOAD + FRAME_HEADER) < 0) {
        sess_close(sess, "no memory for a command");
        return false;
    }
    return true;
}

/* Its transaction, or what pins it, is on a connection that it has. */
static bool is_bound(const struct sess *sess)
{
    return (sess->tx_open || sess->pins != 0) && sess_conn(sess, sess->home_server) != NULL;
}

bool sess_delay_check(struct sess *sess, const uint8_t *packet, size_t len)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (cmd->target != ROUTE_TO_PRIMARY || cmd->reason == ROUTE_LAST) {
        return true;
    }
    if (is_bound(sess)) {
        if (sess_conn_is_stale(sess, sess_conn(sess, sess->home_server))) {
            sess_server_lost(sess, sess->home_server); /* while weir prepared it for the command */
            return false;
        }
        return true;
    }
    cmd->server = sess->env->topo->primary;
    if (!sess_has_primary(sess->env)) {
        if (keep(sess, packet, len) && delay_begin(sess, DELAY_PRIMARY) == NULL) {
            fail_no_primary(sess);
        }
        return false;
    }
    if (!needs_turn(sess)) {
        return true;
    }
    if (list_is_empty(&sess->set->turns) && turn_take(sess->set)) {
        cmd->is_paid = true;
        return true;
    }
    if (keep(sess, packet, len) && delay_begin(sess, DELAY_TURN) == NULL) {
        fail_budget(sess);
    }
    return false;
}

/* --- after something went wrong --- */

/* The command is as if it had never been sent. */
static void take_back(struct sess *sess)
{
    sess_unpend(sess);
    sess->own = SESS_OWN_NONE;
    sess->own_ahead = 0;
    sess_buf_give(sess, &sess->rest);
    sess->cmd.is_sent = false;
    sess->cmd.got_byte = false;
    sess->cmd.got_err = false;
}

bool sess_delay_failed(struct sess *sess, int16_t server)
{
    struct sess_cmd *cmd = &sess->cmd;
    bool is_fresh = !cmd->is_sent || WR_MUTANT("failover.resend") ||
                    (cmd->is_read && !cmd->is_large &&
                     (sess->state != SESS_ST_RELAY || reply_is_fresh(&sess->reply)));
    struct sess_delay *delay = NULL;

    if (cmd->target != ROUTE_TO_PRIMARY || cmd->reason == ROUTE_LAST || sess->tx_open ||
        sess->pins != 0 || buf_len(&sess->held) == 0 || !is_fresh ||
        sess->env->config->failover.hold_us == 0) {
        return false;
    }
    take_back(sess);
    sess->env->suspect(sess->env->arg, (uint32_t)server);
    delay = delay_begin(sess, DELAY_PRIMARY);
    if (delay == NULL) {
        fail_no_primary(sess);
        return true;
    }
    delay->server = server;
    delay->after_us = clock_now_us();
    return true;
}

/* It says that it is read-only, and nothing else that has the same number. */
static bool is_read_only_error(const struct errpkt *err)
{
    static const char *const names[] = {"read-only", "read_only"};

    if (err->code == 1836) {
        return true;
    }
    for (size_t i = 0; err->code == 1290 && i < WR_ARRAY_LEN(names); i++) {
        if (memmem(err->text.p, err->text.len, names[i], strlen(names[i])) != NULL) {
            return true;
        }
    }
    return false;
}

/* One statement of which the server's refusal says that nothing at all has happened. */
static bool is_whole(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;
    const uint64_t doubtful =
        FACT(MULTI) | FACT(LARGE) | FACT(OVERFLOW) | FACT(BAD_LEX) | FACT(CALLS) | FACT(NAMED_LOCK);
    struct span held = buf_span(&sess->held);
    struct classify_env env;
    size_t at = 0;

    switch (cmd->verb) {
    case VERB_UNKNOWN:
    case VERB_CALL:
    case VERB_DO:
    case VERB_EXECUTE:
    case VERB_COMPOUND:
    case VERB_XA:
        return false;
    default:
        break;
    }
    if ((cmd->bits & doubtful) != 0 || cmd->is_large) {
        return false;
    }
    sess_classify_env(sess, &env);
    if (cmd->stmt != NULL) {
        return cmd->stmt->busy == NULL && !classify_may_call(sess_stmt_text(cmd->stmt), &env);
    }
    if (held.len <= FRAME_HEADER + 1) {
        return false;
    }
    at = sess_attrs_text_at(sess, held);
    return at != 0 && !classify_may_call((struct span){held.p + at, held.len - at}, &env);
}

bool sess_delay_keeps(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;

    /* of MariaDB's bulk execution some rows may have been stored before the others were refused */
    return (cmd->com == COM_QUERY || cmd->com == COM_STMT_EXECUTE) &&
           cmd->target == ROUTE_TO_PRIMARY &&
           (cmd->may_write || (cmd->bits & FACT(LOCKING)) != 0) && !cmd->is_large &&
           !sess->tx_open && !sess->autocommit_off && sess->pins == 0 &&
           sess->env->config->failover.hold_us != 0;
}

bool sess_delay_refused(struct sess *sess, const struct errpkt *err)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, cmd->server);
    struct sess_delay *delay = NULL;
    int16_t server = cmd->server;
    bool may_rerun = sess_delay_keeps(sess) && buf_len(&sess->held) != 0 && is_whole(sess);

    if (conn == NULL || conn->is_replica || cmd->is_rerun || !is_read_only_error(err) ||
        (cmd->com != COM_QUERY && cmd->com != COM_STMT_EXECUTE)) {
        return false;
    }
    sess->env->suspect(sess->env->arg, (uint32_t)server);
    if ((!may_rerun && !sess->tx_open) || sess->pins != 0) {
        return false;
    }
    delay = delay_begin(sess, DELAY_VERDICT);
    if (delay == NULL) {
        return false;
    }
    delay->server = server;
    delay->epoch = conn->epoch;
    delay->after_us = clock_now_us();
    delay->code = err->code;
    memcpy(delay->sqlstate, err->sqlstate, sizeof(delay->sqlstate));
    delay->sqlstate[5] = '\0';
    delay->text_len = (uint16_t)span_copy(err->text, delay->text, sizeof(delay->text));
    metric_inc(sess->env->metrics, METRIC_SERVER_ERRORS, (size_t)server);
    take_back(sess);
    if (conn->epoch != sess->env->topo->epoch) {
        sess_delays_look(sess->set); /* known already */
    }
    return true;
}

/* --- on they go --- */

static void tell_refusal(struct sess *sess)
{
    struct sess_delay *delay = sess->delay;
    struct errpkt err = {.code = delay->code};
    char text[SESS_ERROR_TEXT_MAX];

    memcpy(err.sqlstate, delay->sqlstate, sizeof(err.sqlstate));
    memcpy(text, delay->text, delay->text_len);
    err.text = (struct span){(const uint8_t *)text, delay->text_len};
    sess_delay_cancel(sess);
    sess_fail_errpkt(sess, &err);
}

static void tell_tx_lost(struct sess *sess)
{
    int16_t server = sess->delay->server;
    struct span name = sess_server_name(sess, server);

    sess_delay_cancel(sess);
    sess_server_lost(sess, server); /* it is in no state that waits for that server */
    if (stream_is_open(&sess->front) && sess->state == SESS_ST_HOLD) {
        sess->tx_lost = false;
        sess_fail(sess, SESS_ERR_TX_LOST, &name, 1);
    }
}

/* A read of which replicas might take care by now. */
static bool is_open_again(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;

    return (cmd->com == COM_QUERY || cmd->com == COM_STMT_EXECUTE) &&
           (cmd->bits & FACT(READ)) != 0 && !cmd->is_forced && !cmd->is_large;
}

static void go_on(struct sess *sess)
{
    struct sess_delay *delay = sess->delay;

    if (delay->kind == DELAY_VERDICT) {
        bool is_confirmed = delay->epoch != sess->env->topo->epoch;

        if (!is_confirmed) {
            tell_refusal(sess);
            return;
        }
        if (sess->tx_open) {
            tell_tx_lost(sess);
            return;
        }
        sess->cmd.is_rerun = true;
        metric_inc(sess->env->metrics, METRIC_RERUNS, METRIC_NONE);
    } else if (delay->kind == DELAY_TURN) {
        sess->cmd.is_paid = true;
    }
    sess_delay_cancel(sess);
    sess->cmd.failed_mask = 0;
    if (!is_open_again(sess) || sess_decide_again(sess)) {
        sess_go(sess, NULL, 0); /* and, if need be, waits again until its time is up */
    }
}

static bool is_ready(const struct sess_set *set, const struct sess_delay *delay)
{
    const struct topo *topo = set->env->topo;
    bool has_primary = sess_has_primary(set->env);

    switch (delay->kind) {
    case DELAY_VERDICT:
        if (topo->epoch != delay->epoch) {
            return has_primary || delay->sess->tx_open;
        }
        return topo->servers[delay->server].last_good_us > delay->after_us;
    case DELAY_PRIMARY:
        return has_primary && (delay->server != topo->primary || delay->epoch != topo->epoch ||
                               topo->servers[delay->server].last_good_us > delay->after_us);
    case DELAY_TURN:
        return false;
    }
    return false;
}

static void run_turns(struct sess_set *set)
{
    struct list_node *node = list_first(&set->turns);

    while (node != NULL && turn_take(set)) {
        go_on(list_entry(node, struct sess_delay, node)->sess);
        node = list_first(&set->turns);
    }
}

static void on_task(void *arg)
{
    struct sess_set *set = arg;
    struct list ready;

    list_init(&ready);
    list_for_each_safe (node, &set->delays) {
        if (is_ready(set, list_entry(node, struct sess_delay, node))) {
            list_remove(node);
            list_push(&ready, node);
        }
    }
    for (struct list_node *node = list_first(&ready); node != NULL; node = list_first(&ready)) {
        go_on(list_entry(node, struct sess_delay, node)->sess);
    }
    run_turns(set);
    timer_set(set);
}

static void give_up(struct sess *sess)
{
    switch (sess->delay->kind) {
    case DELAY_PRIMARY:
        sess_delay_cancel(sess);
        fail_no_primary(sess);
        return;
    case DELAY_VERDICT:
        tell_refusal(sess);
        return;
    case DELAY_TURN:
        sess_delay_cancel(sess);
        fail_budget(sess);
        return;
    }
}

static void expire(struct list *list, uint64_t now_us)
{
    struct list_node *node = list_first(list);

    while (node != NULL && list_entry(node, struct sess_delay, node)->end_us <= now_us) {
        give_up(list_entry(node, struct sess_delay, node)->sess);
        node = list_first(list);
    }
}

static void on_timer(void *arg)
{
    struct sess_set *set = arg;
    uint64_t now_us = loop_now_us(set->env->loop);

    expire(&set->delays, now_us);
    run_turns(set);
    expire(&set->turns, now_us);
    timer_set(set);
}

void sess_delays_init(struct sess_set *set)
{
    list_init(&set->delays);
    list_init(&set->turns);
    timer_init(&set->delay_timer, set->env->loop, on_timer, set);
    loop_task_init(&set->delay_task, on_task, set);
}

void sess_delays_fini(struct sess_set *set)
{
    timer_cancel(&set->delay_timer);
    loop_task_cancel(&set->delay_task);
}

void sess_delays_look(struct sess_set *set)
{
    if (!list_is_empty(&set->delays)) {
        loop_defer(set->env->loop, &set->delay_task);
    }
}
