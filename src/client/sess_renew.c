/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks is a session like any other: same user, same state, same statement, so that its answer is
 * filed under the same key, by the same rules, with the same doubts. Only its client is weir, at the other
 * end of a pair of sockets: it sends the statement, and COM_QUIT behind it, and reads until the end.
 *
 *   kept answer with tags ─► recipe        write that names the tag, answered ─► recipes of the tag are due
 *                                                                                      │ not while it is under way
 *                            kept? no: later, a few times ◄── session asks, as a client ◄┘
 *
 * A recipe is good while clients ask for its answer: each write looks whether the answer that it ended has
 * been given to anybody.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"
#include "sess_renew_priv.h"
#include "sess_stmt_priv.h"

#define ASKED_US   UINT64_C(600000000) /* nobody has been given its answer for so long */
#define STILL_US   UINT64_C(10000)     /* between two looks whether a write is over */
#define AGAIN_US   UINT64_C(20000)     /* the second try; each later one is twice as late */
#define TRIES      8U
#define LATE_US    UINT64_C(5000000) /* a write that is under way for longer is not waited for */
#define RUN_US     UINT64_C(10000000)
#define FIRST_ERR  0xffU /* what the packet of an error begins with */
#define PACKET_MAX ((size_t)4 * RENEW_KEY_MAX)

struct recipe {
    struct list_node node; /* of what is due; is_due */
    /* owning */
    struct cred *cred;
    uint8_t *key;
    /* values */
    uint32_t key_len;
    uint64_t hash;
    uint64_t caps;
    uint64_t asked_us; /* a client was given its answer, then or later */
    uint64_t due_us;
    uint64_t since_us; /* of the write */
    uint16_t status;
    uint8_t tries;
    bool is_due;
    bool is_running;
    bool is_unix;
    bool is_behind; /* the next write came while it ran */
    bool is_void;   /* answered with an error: until a client has been given an answer again */
    char host[64];
    uint32_t slot_count;
    uint32_t slots[VERSION_LEASE_MAX];
};

/* One question on its way. */
struct renewal {
    struct sess_renews *renews;
    struct recipe *recipe; /* NULL: free */
    bool has_reply;
    bool is_refused;      /* with an error: it is not tried again, least of all a login */
    struct stream stream; /* weir's end */
    struct timer timer;
};

struct sess_renews {
    struct sess_set *set;
    struct recipe *recipes[RENEW_KEPT]; /* owning; a ring */
    uint64_t hashes[RENEW_KEPT];
    uint64_t masks[RENEW_KEPT]; /* a bit for each slot: most that do not fit are seen here */
    uint32_t next;
    uint32_t bytes;     /* of keys */
    uint32_t looked_at; /* the last that was looked at, whether it is wanted still */
    struct list due;
    uint32_t due_count;
    uint32_t running;
    uint64_t turn_us; /* when the rate allows the next */
    struct timer timer;
    struct loop_task task;
    struct renewal renewals[RENEW_RUNNING];
};

static void step(struct sess_renews *renews);

static void count(const struct sess_renews *renews, enum metric_refresh result)
{
    metric_inc(renews->set->env->metrics, METRIC_CACHE_REFRESHES, result);
}

static uint64_t now_of(const struct sess_renews *renews)
{
    return loop_now_us(renews->set->env->loop);
}

static bool is_busy(const struct recipe *recipe)
{
    return recipe->is_due || recipe->is_running;
}

static void recipe_free(struct sess_renews *renews, uint32_t at)
{
    struct recipe *recipe = renews->recipes[at];

    renews->recipes[at] = NULL;
    renews->hashes[at] = 0;
    renews->masks[at] = 0;
    if (recipe != NULL) {
        renews->bytes -= recipe->key_len;
        cred_unref(recipe->cred);
        free(recipe->key);
        free(recipe);
    }
}

static void on_task(void *arg)
{
    step(arg);
}

static void on_timer(void *arg)
{
    step(arg);
}

static struct sess_renews *need(struct sess_set *set)
{
    struct sess_renews *renews = set->renews;

    if (renews == NULL) {
        renews = calloc(1, sizeof(*renews));
        if (renews != NULL) {
            renews->set = set;
            list_init(&renews->due);
            timer_init(&renews->timer, set->env->loop, on_timer, renews);
            loop_task_init(&renews->task, on_task, renews);
            set->renews = renews;
        }
    }
    return renews;
}

/* --- what was asked --- */

static uint64_t mask_of(const struct version_held *held, uint32_t count_of)
{
    uint64_t mask = 0;

    for (uint32_t i = 0; i < count_of; i++) {
        mask |= UINT64_C(1) << (held[i].slot % 64);
    }
    return mask;
}

static struct recipe *recipe_find(const struct sess_renews *renews, const struct sess_fill *fill,
                                  uint32_t *ret_at)
{
    struct span key = buf_span(&fill->key);

    for (uint32_t i = 0; i < RENEW_KEPT; i++) {
        const struct recipe *recipe = renews->recipes[i];

        if (renews->hashes[i] == fill->hash && recipe != NULL && recipe->key_len == key.len &&
            memcmp(recipe->key, key.p, key.len) == 0) {
            *ret_at = i;
            return renews->recipes[i];
        }
    }
    return NULL;
}

/* In the place of the oldest that is not in use; those behind it go for their bytes. */
static struct recipe *recipe_place(struct sess_renews *renews, size_t bytes, uint32_t *ret_at)
{
    for (uint32_t i = 0; i < RENEW_KEPT; i++) {
        uint32_t at = renews->next;

        renews->next = (at + 1) % RENEW_KEPT;
        if (renews->recipes[at] != NULL && is_busy(renews->recipes[at])) {
            continue;
        }
        recipe_free(renews, at);
        if (renews->bytes + bytes > RENEW_BYTES) {
            continue;
        }
        renews->recipes[at] = calloc(1, sizeof(struct recipe));
        *ret_at = at;
        return renews->recipes[at];
    }
    return NULL;
}

static struct span key_of(const struct recipe *recipe)
{
    return (struct span){recipe->key, recipe->key_len};
}

/* False: nobody wants it any more. */
static bool is_wanted(const struct sess_renews *renews, struct recipe *recipe)
{
    struct cache_memory *memory = renews->set->env->cache->memory;
    bool is_asked = false;
    struct cache_entry *entry = cache_memory_peek(memory, recipe->hash, key_of(recipe), &is_asked);

    cache_entry_unref(entry);
    if (is_asked) {
        recipe->asked_us = now_of(renews);
    }
    return !recipe->is_void && now_of(renews) - recipe->asked_us < ASKED_US;
}

/* One after the other: credentials are not held for longer than they are of use. */
static void sweep(struct sess_renews *renews)
{
    uint32_t at = (renews->looked_at + 1) % RENEW_KEPT;
    struct recipe *recipe = renews->recipes[at];

    renews->looked_at = at;
    if (recipe != NULL && !is_busy(recipe) && !is_wanted(renews, recipe)) {
        recipe_free(renews, at);
    }
}

static bool recipe_fill(struct recipe *recipe, const struct sess *sess, struct span key)
{
    recipe->key = malloc(key.len);
    if (recipe->key == NULL) {
        return false;
    }
    memcpy(recipe->key, key.p, key.len);
    recipe->key_len = (uint32_t)key.len;
    recipe->cred = cred_ref(sess->cred);
    recipe->caps = sess->caps & ~CAP_QUERY_ATTRIBUTES;
    recipe->status = sess->status & STATUS_OF_SESSION;
    recipe->is_unix = sess->is_unix;
    memcpy(recipe->host, sess->host, sizeof(recipe->host));
    return true;
}

void sess_renew_note(struct sess *sess, const struct sess_fill *fill)
{
    struct sess_renews *renews = NULL;
    struct recipe *recipe = NULL;
    struct span key = buf_span(&fill->key);
    uint32_t at = 0;

    if (!sess->env->config->cache.has_refresh || fill->plan.tags == NULL || sess->is_inner ||
        key.len > RENEW_KEY_MAX) {
        return;
    }
    renews = need(sess->set);
    if (renews == NULL) {
        return;
    }
    sweep(renews);
    recipe = recipe_find(renews, fill, &at);
    if (recipe == NULL) {
        recipe = recipe_place(renews, key.len, &at);
        if (recipe == NULL) {
            return;
        }
        if (!recipe_fill(recipe, sess, key)) {
            recipe_free(renews, at);
            return;
        }
        renews->bytes += recipe->key_len;
        recipe->hash = fill->hash;
        renews->hashes[at] = fill->hash;
    }
    recipe->asked_us = now_of(renews);
    recipe->is_void = false;
    recipe->slot_count = fill->lease.count;
    for (uint32_t i = 0; i < fill->lease.count; i++) {
        recipe->slots[i] = fill->lease.held[i].slot;
    }
    renews->masks[at] = mask_of(fill->lease.held, fill->lease.count);
}

/* --- what is written --- */

void sess_renew_tags(struct sess *sess, const struct sess_question *question)
{
    const struct config_rule *rule = sess_rule(sess);
    struct version_writes *tags = sess->renew_tags;
    struct version_writes more = {.count = 0};
    struct classify_env env;
    struct cache_tag_in in;

    if (rule == NULL || rule->cache_refresh.count == 0) {
        return;
    }
    if (tags == NULL) {
        tags = calloc(1, sizeof(*tags));
        if (tags == NULL) {
            return; /* then they are asked for when somebody wants them */
        }
        sess->renew_tags = tags;
    }
    sess_tag_in(sess, question, rule, &env, &in);
    cache_tags_told(&more, &rule->cache_refresh, &in);
    for (uint32_t i = 0; i < more.count && tags->count < VERSION_WRITES_MAX; i++) {
        version_writes_add(tags, more.slots[i]);
    }
}

void sess_renew_forget(struct sess *sess)
{
    free(sess->renew_tags);
    sess->renew_tags = NULL;
}

void sess_renew_fire(struct sess *sess)
{
    const struct version_writes *tags = sess->renew_tags;
    const struct sess_env *env = sess->env;

    for (uint32_t i = 0; tags != NULL && i < tags->count; i++) {
        for (uint32_t worker = 0; worker < env->worker_count; worker++) {
            if (worker == env->worker) {
                sess_set_on_renew(sess->set, tags->slots[i]);
            } else {
                env->mail_renew(env->arg, worker, tags->slots[i]);
            }
        }
    }
    sess_renew_forget(sess);
}

static bool has_slot(const struct recipe *recipe, uint32_t slot)
{
    for (uint32_t i = 0; i < recipe->slot_count; i++) {
        if (recipe->slots[i] == slot) {
            return true;
        }
    }
    return false;
}

static void due_set(struct sess_renews *renews, struct recipe *recipe)
{
    recipe->tries = 0;
    recipe->since_us = now_of(renews);
    recipe->due_us = recipe->since_us;
    if (recipe->is_running) {
        recipe->is_behind = true;
    } else if (recipe->is_due) {
        return;
    } else if (renews->due_count == RENEW_QUEUED) {
        count(renews, METRIC_REFRESH_DROPPED);
    } else {
        recipe->is_due = true;
        renews->due_count++;
        list_push(&renews->due, &recipe->node);
    }
}

void sess_set_on_renew(struct sess_set *set, uint32_t slot)
{
    struct sess_renews *renews = set->renews;
    uint64_t bit = UINT64_C(1) << (slot % 64);
    uint32_t found = 0;

    if (renews == NULL || set->env->cache == NULL || set->is_draining) {
        return;
    }
    for (uint32_t i = 1; i <= RENEW_KEPT && found < RENEW_MOST; i++) { /* the newest first */
        uint32_t at = (renews->next + RENEW_KEPT - i) % RENEW_KEPT;
        struct recipe *recipe = renews->recipes[at];

        if ((renews->masks[at] & bit) == 0 || recipe == NULL || !has_slot(recipe, slot)) {
            continue;
        }
        if (is_wanted(renews, recipe)) {
            due_set(renews, recipe);
            found++;
        } else if (!is_busy(recipe)) {
            recipe_free(renews, at);
        }
    }
    if (found > 0) {
        loop_defer(set->env->loop, &renews->task); /* the client's answer goes out first */
    }
}

/* --- asking --- */

static bool is_there(const struct sess_renews *renews, const struct recipe *recipe)
{
    const struct cache *cache = renews->set->env->cache;
    bool is_asked = false;
    struct cache_entry *entry =
        cache_memory_peek(cache->memory, recipe->hash, key_of(recipe), &is_asked);
    bool is = entry != NULL && cache_entry_holds(entry, cache->board) &&
              now_of(renews) < cache_entry_fresh_us(entry);

    cache_entry_unref(entry);
    return is;
}

static void due_end(struct sess_renews *renews, struct recipe *recipe)
{
    list_remove(&recipe->node);
    recipe->is_due = false;
    renews->due_count--;
}

static void renewal_end(struct renewal *renewal)
{
    struct sess_renews *renews = renewal->renews;
    struct recipe *recipe = renewal->recipe;

    timer_cancel(&renewal->timer);
    stream_close(&renewal->stream); /* a session that is still there finds its client gone */
    renewal->recipe = NULL;
    renews->running--;
    recipe->is_running = false;
    if (renewal->is_refused) {
        recipe->is_void = true;
        recipe->is_behind = false;
        count(renews, METRIC_REFRESH_GIVEN_UP);
    } else if (recipe->is_behind) {
        recipe->is_behind = false;
        due_set(renews, recipe);
    } else if (is_there(renews, recipe)) {
        count(renews, METRIC_REFRESH_KEPT);
    } else if (++recipe->tries < TRIES && renews->due_count < RENEW_QUEUED) {
        recipe->is_due = true;
        recipe->due_us = now_of(renews) + (AGAIN_US << (recipe->tries - 1));
        renews->due_count++;
        list_push(&renews->due, &recipe->node);
    } else {
        count(renews, METRIC_REFRESH_GIVEN_UP);
    }
    loop_defer(renews->set->env->loop, &renews->task);
}

static void on_stream(void *arg, enum stream_event event)
{
    struct renewal *renewal = arg;
    struct loop *loop = renewal->renews->set->env->loop;
    enum io_rc rc = IO_DONE;
    size_t n = 0;

    if (event == STREAM_READABLE) {
        rc = stream_read(&renewal->stream, loop_scratch(loop), LOOP_SCRATCH_BYTES, &n);
    } else if (event == STREAM_CLOSED) {
        rc = IO_FAIL;
    }
    if (rc == IO_DONE && !renewal->has_reply && n > FRAME_HEADER) {
        renewal->has_reply = true;
        renewal->is_refused = loop_scratch(loop)[FRAME_HEADER] == FIRST_ERR;
    }
    if (rc == IO_EOF || rc == IO_FAIL) {
        renewal_end(renewal);
    }
}

static void on_late(void *arg)
{
    renewal_end(arg);
}

static void frame_put(struct wire_out *out, struct span payload)
{
    wire_put_u24(out, (uint32_t)payload.len);
    wire_put_u8(out, 0);
    wire_put_bytes(out, payload);
}

/* All that a client would send. */
static bool commands_put(struct wire_out *out, const struct sess_asked *asked)
{
    uint8_t bytes[RENEW_KEY_MAX * 2];
    struct wire_out payload;

    wire_out_array(&payload, bytes, sizeof(bytes));
    wire_put_u8(&payload, asked->is_prepared ? COM_STMT_PREPARE : COM_QUERY);
    wire_put_bytes(&payload, asked->sql);
    frame_put(out, (struct span){bytes, payload.len});
    if (asked->is_prepared && wire_out_ok(&payload)) {
        const struct stmt_execute execute = {.iterations = 1,
                                             .has_types = true,
                                             .nulls = asked->nulls,
                                             .types = asked->types,
                                             .values = asked->values};

        wire_out_array(&payload, bytes, sizeof(bytes));
        stmt_execute_encode(&payload, &execute, STMT_FIRST_ID, asked->types,
                            (uint16_t)(asked->types.len / 2));
        frame_put(out, (struct span){bytes, payload.len});
    }
    bytes[0] = COM_QUIT;
    frame_put(out, (struct span){bytes, 1});
    return wire_out_ok(&payload) && wire_out_ok(out);
}

static bool talk(struct renewal *renewal, const struct sess_asked *asked)
{
    struct wire_out out;
    struct buf packets;
    bool is_sent = false;

    buf_init(&packets);
    wire_out_buf(&out, &packets, PACKET_MAX);
    is_sent = commands_put(&out, asked) &&
              stream_write(&renewal->stream, buf_span(&packets).p, buf_len(&packets)) >= 0;
    buf_fini(&packets);
    return is_sent;
}

/* fds: the session's end, weir's. */
static bool run_on(struct renewal *renewal, struct recipe *recipe, int fds[2])
{
    struct sess_set *set = renewal->renews->set;
    struct sess_inner inner = {.cred = recipe->cred,
                               .caps = recipe->caps,
                               .status = recipe->status,
                               .is_unix = recipe->is_unix,
                               .host = recipe->host};
    struct sess_asked asked;
    bool is_talking = false;

    svec_init(&inner.svec, set->env->conn_env->values);
    stream_init(&renewal->stream);
    if (sess_cache_unkey(key_of(recipe), &inner.svec, &asked) < 0 ||
        stream_open(&renewal->stream, set->env->loop, fds[1], on_stream, renewal) < 0) {
        svec_fini(&inner.svec);
        (void)close(fds[0]);
        (void)close(fds[1]);
        return false;
    }
    inner.collation = asked.collation;
    is_talking = sess_set_add_inner(set, fds[0], &inner) >= 0 && talk(renewal, &asked);
    svec_fini(&inner.svec);
    if (!is_talking) {
        stream_close(&renewal->stream);
    }
    return is_talking;
}

static bool run(struct sess_renews *renews, struct recipe *recipe)
{
    struct renewal *renewal = renews->renewals;
    int fds[2] = {-1, -1};

    while (renewal->recipe != NULL) {
        renewal++;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
        return false;
    }
    renewal->renews = renews;
    renewal->has_reply = false;
    renewal->is_refused = false;
    timer_init(&renewal->timer, renews->set->env->loop, on_late, renewal);
    if (!run_on(renewal, recipe, fds)) {
        return false;
    }
    renewal->recipe = recipe;
    recipe->is_running = true;
    renews->running++;
    timer_arm_in(&renewal->timer, RUN_US);
    return true;
}

/* Of all workers, each has its part. */
static uint64_t pause_us(const struct sess_renews *renews)
{
    const struct sess_env *env = renews->set->env;

    return UINT64_C(1000000) * env->worker_count / env->config->cache.refresh_rate;
}

/* What becomes of one that is due. False: the rate allows no more now. */
static bool take(struct sess_renews *renews, struct recipe *recipe)
{
    uint64_t now_us = now_of(renews);

    if (is_there(renews, recipe)) {
        due_end(renews, recipe);
        count(renews, METRIC_REFRESH_NEEDLESS);
        return true;
    }
    if (!version_is_still(renews->set->env->cache->board, recipe->slots, recipe->slot_count)) {
        recipe->due_us = now_us + STILL_US;
        if (now_us - recipe->since_us > LATE_US) {
            due_end(renews, recipe);
            count(renews, METRIC_REFRESH_GIVEN_UP);
        }
        return true;
    }
    if (now_us < renews->turn_us) {
        return false;
    }
    renews->turn_us = now_us + pause_us(renews);
    due_end(renews, recipe);
    if (!run(renews, recipe)) {
        count(renews, METRIC_REFRESH_GIVEN_UP);
    }
    return true;
}

static void step(struct sess_renews *renews)
{
    uint64_t next_us = UINT64_MAX;

    if (renews->set->is_draining) {
        return;
    }
    list_for_each_safe (node, &renews->due) {
        struct recipe *recipe = list_entry(node, struct recipe, node);

        if (renews->running == RENEW_RUNNING) {
            return; /* the end of one of them comes here again */
        }
        if (recipe->due_us <= now_of(renews) && !take(renews, recipe)) {
            next_us = renews->turn_us;
            break;
        }
        if (recipe->is_due && recipe->due_us < next_us) {
            next_us = recipe->due_us;
        }
    }
    if (next_us != UINT64_MAX) {
        timer_arm_at(&renews->timer, next_us);
    }
}

void sess_renews_fini(struct sess_set *set)
{
    struct sess_renews *renews = set->renews;

    if (renews == NULL) {
        return;
    }
    for (uint32_t i = 0; i < RENEW_RUNNING; i++) {
        if (renews->renewals[i].recipe != NULL) {
            timer_cancel(&renews->renewals[i].timer);
            stream_close(&renews->renewals[i].stream);
        }
    }
    for (uint32_t i = 0; i < RENEW_KEPT; i++) {
        recipe_free(renews, i);
    }
    timer_cancel(&renews->timer);
    loop_task_cancel(&renews->task);
    free(renews);
    set->renews = NULL;
}
