/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read and the cache:
 *
 *   asked for by a rule or a hint?  no -> on to a server
 *   may it be kept at all?          no -> the same, counted with the reason
 *   an entry that is good?          yes -> the answer, as this session's servers would write it
 *   does somebody ask it just now?  yes -> wait for what comes of it; then as from the beginning
 *   else                            ask a server, and keep what it says (sess_fill.c)
 *
 * An entry is good while nothing that it was read from has been written. Who wrote through this weir is
 * never answered from before it. What others wrote the primary's binary log tells, a moment later: who
 * carries a token of such writes is only answered when the log has told of all of them.
 */
#include <stdio.h>
#include <string.h>

#include "weir/cache/body.h"
#include "weir/cache/explain.h"
#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"
#include "sess_stmt_priv.h"

/* For another's answer; then each asks for itself. */
#define SHARE_MOST_US (UINT64_C(5) * 1000000)
#define FEW_BYTES     1024U

/* --- may it be kept? --- */

static bool is_asked_for(const struct facts *facts, const struct config_rule *rule)
{
    return (facts->hints & HINT_BIT(HINT_CACHE)) != 0 ||
           (rule != NULL && rule->cache_us != UINT64_MAX);
}

/* Its password has expired: a server tells it nothing but that. */
static bool is_sandboxed(const struct sess *sess)
{
    for (uint16_t i = 0; i < sess->conn_count; i++) {
        if (sess->conns[i] != NULL && sess->conns[i]->is_sandboxed) {
            return true;
        }
    }
    return false;
}

static void ask_fill(const struct sess *sess, const struct sess_question *question,
                     const struct config_rule *rule, struct cache_ask *ret_ask)
{
    const struct stmt_execute *execute = question->execute;
    const struct sess_env *env = sess->env;

    *ret_ask = (struct cache_ask){
        .conf = &env->config->cache,
        .rule = rule,
        .facts = question->facts,
        .isolation = sess->isolation,
        .in_tx = (sess->tx_open || sess->ro_tx_server >= 0 || sess->next_tx_pending) &&
                 !WR_MUTANT("cache.fill_in_tx"),
        .autocommit_off = sess->autocommit_off && !WR_MUTANT("cache.fill_in_tx"),
        .is_pinned = sess->pins != 0 || is_sandboxed(sess),
        .is_cursor =
            execute != NULL && (execute->is_bulk || (execute->flags & STMT_CURSOR_MASK) != 0),
        .has_long_data = question->stmt != NULL &&
                         (buf_len(&question->stmt->data) != 0 || question->stmt->is_data_sent),
        .is_heard = env->cache != NULL &&
                    cache_stream_is_heard(&env->cache->stream, loop_now_us(env->loop)),
    };
}

static bool judge(const struct sess *sess, const struct sess_question *question,
                  const struct config_rule *rule, struct cache_plan *plan)
{
    struct cache_ask ask;

    ask_fill(sess, question, rule, &ask);
    return cache_judge(&ask, plan);
}

static void count_pass(const struct sess *sess, enum cache_pass pass)
{
    static const enum metric_pass labels[] = {
        [CACHE_PASS_NO_CACHE_HINT] = METRIC_PASS_NO_CACHE_HINT,
        [CACHE_PASS_NOT_A_READ] = METRIC_PASS_NOT_A_READ,
        [CACHE_PASS_NOT_REPEATABLE] = METRIC_PASS_NOT_REPEATABLE,
        [CACHE_PASS_USER_VARIABLE] = METRIC_PASS_USER_VARIABLE,
        [CACHE_PASS_TRANSACTION] = METRIC_PASS_TRANSACTION,
        [CACHE_PASS_PINNED] = METRIC_PASS_PINNED,
        [CACHE_PASS_AUTOCOMMIT_OFF] = METRIC_PASS_AUTOCOMMIT_OFF,
        [CACHE_PASS_ISOLATION] = METRIC_PASS_ISOLATION,
        [CACHE_PASS_TABLE] = METRIC_PASS_TABLE,
        [CACHE_PASS_VIEW] = METRIC_PASS_VIEW,
        [CACHE_PASS_NAMES] = METRIC_PASS_NAMES,
        [CACHE_PASS_TOO_MANY_TABLES] = METRIC_PASS_TOO_MANY_TABLES,
        [CACHE_PASS_TOO_LARGE] = METRIC_PASS_TOO_LARGE,
        [CACHE_PASS_LONG_DATA] = METRIC_PASS_LONG_DATA,
        [CACHE_PASS_CURSOR] = METRIC_PASS_CURSOR,
        [CACHE_PASS_STREAM] = METRIC_PASS_STREAM,
        [CACHE_PASS_HINTS_OFF] = METRIC_PASS_HINTS_OFF,
        [CACHE_PASS_TAG] = METRIC_PASS_TAG,
        [CACHE_PASS_OTHER] = METRIC_PASS_OTHER,
    };

    metric_inc(sess->env->metrics, METRIC_CACHE_PASSED, labels[pass]);
}

static enum cache_pass take_lease(const struct sess *sess, const struct sess_question *question,
                                  const struct cache_plan *plan, struct version_lease *lease)
{
    struct cache_lease_in in = {
        .catalogue = sess->env->catalogue,
        .ddl_seen = catalogue_ddl_seen(),
        .schema = question->schema,
        .statement = {.facts = question->facts},
    };
    struct classify_env env;

    if (plan->tags != NULL || plan->is_by_row) {
        sess_tag_in(sess, question, sess_rule(sess), &env, &in.statement);
    }
    return cache_take_lease(sess->env->cache, plan, &in, lease, NULL);
}

/* Not kept after all. */
static void pass_by(struct sess *sess, enum cache_pass pass)
{
    count_pass(sess, pass);
    sess->fill->why = METRIC_UNFILLED_LOST;
    sess_fill_end(sess);
}

/* --- the answer --- */

/* What is known of a session's last statement, when no connection has run it. */
static void note_answered(struct sess *sess, uint32_t rows)
{
    buf_fini(&sess->diag);
    buf_init(&sess->diag);
    sess->hold &= (uint8_t)~SESS_HOLD_LAST;
    sess->has_news = false;
    sess->has_count = false;
    sess->last_server = -1;
    sess->row_count = -1;
    sess->found_rows = (int64_t)rows;
}

static void count_asked(const struct sess *sess, const struct sess_fill *fill, bool is_hit)
{
    if (fill->is_ruled) {
        metric_inc(sess->env->metrics, is_hit ? METRIC_CACHE_RULE_HITS : METRIC_CACHE_RULE_MISSES,
                   fill->rule);
    }
}

/* The packets are written from where they are kept; what the kernel does not take is copied then. A few
 * bytes are cheaper copied than told apart to the kernel. */
static void send_as_kept(struct sess *sess, struct body_as_kept *kept)
{
    uint8_t few[FEW_BYTES + BODY_END_MAX];
    struct iovec iov[2] = {
        {.iov_len = kept->packets.len},
        {.iov_base = kept->end, .iov_len = kept->end_len},
    };

    if (kept->packets.len <= FEW_BYTES) {
        memcpy(few, kept->packets.p, kept->packets.len);
        memcpy(few + kept->packets.len, kept->end, kept->end_len);
        iov[0] = (struct iovec){.iov_base = few, .iov_len = kept->packets.len + kept->end_len};
        sess_answer_iov(sess, iov, 1);
        return;
    }
    memcpy(&iov[0].iov_base, &kept->packets.p, sizeof(void *)); /* written from, never to */
    sess_answer_iov(sess, iov, 2);
}

static void send_copy(struct sess *sess, struct span body)
{
    struct buf bytes = {0};
    struct wire_out out;

    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SIZE_MAX);
    body_write(&out, body, sess->caps, sess->status & STATUS_OF_SESSION, sess->cmd.reply_seq);
    if (!wire_out_ok(&out)) {
        sess_buf_give(sess, &bytes);
        sess_close(sess, "no memory for an answer");
        return;
    }
    sess_answer(sess, &bytes);
}

void sess_cache_answer(struct sess *sess, struct cache_entry *entry, bool is_stale)
{
    struct span body = cache_entry_body(entry);
    struct body_as_kept kept;

    metric_inc(sess->env->metrics, is_stale ? METRIC_CACHE_STALE_HITS : METRIC_CACHE_HITS,
               METRIC_NONE);
    count_asked(sess, sess->fill, true);
    sess_causal_saw(sess, cache_entry_source(entry), cache_entry_seen_us(entry));
    if (sess->fill == NULL) {
        cache_entry_unref(entry); /* no memory for what it has seen: it has been closed */
        return;
    }
    note_answered(sess, body_rows(body));
    sess->cmd.is_cached = true;
    sess->fill->why = METRIC_UNFILLED_LOST; /* there is nothing to be kept */
    if (body_is_as_kept(body, sess->caps, sess->status & STATUS_OF_SESSION, sess->cmd.reply_seq,
                        &kept)) {
        send_as_kept(sess, &kept);
    } else {
        send_copy(sess, body);
    }
    cache_entry_unref(entry);
}

enum look {
    LOOK_NONE,
    LOOK_GOOD,
    LOOK_OLD, /* its time is over, and nothing of it has been written */
};

struct found {
    enum look look;
    enum metric_miss miss;     /* why it is not LOOK_GOOD */
    struct cache_entry *entry; /* counted; NULL: LOOK_NONE */
};

/* An entry of the key in sess->fill. */
static struct found look(const struct sess *sess)
{
    const struct sess_fill *fill = sess->fill;
    struct cache *cache = sess->env->cache;
    uint64_t now_us = loop_now_us(sess->env->loop);
    struct cache_entry *entry = cache_memory_get(cache->memory, fill->hash, buf_span(&fill->key));
    enum metric_miss miss = METRIC_MISS_EXPIRED;

    if (entry == NULL) {
        return (struct found){.look = LOOK_NONE, .miss = METRIC_MISS_ABSENT};
    }
    if (!cache_entry_holds(entry, cache->board)) {
        miss = METRIC_MISS_WRITTEN;
    } else if (now_us < cache_entry_keep_us(entry)) {
        return (struct found){.look = now_us < cache_entry_fresh_us(entry) ? LOOK_GOOD : LOOK_OLD,
                              .miss = METRIC_MISS_EXPIRED,
                              .entry = entry};
    }
    cache_memory_drop(cache->memory, entry);
    cache_entry_unref(entry);
    return (struct found){.look = LOOK_NONE, .miss = miss};
}

static bool may_be_stale(const struct sess *sess, const struct cache_entry *entry, uint64_t more_us)
{
    return loop_now_us(sess->env->loop) < cache_entry_fresh_us(entry) + more_us;
}

static void count_miss(const struct sess *sess, enum metric_miss miss)
{
    if (sess->is_inner) {
        return; /* no client has missed it */
    }
    metric_inc(sess->env->metrics, METRIC_CACHE_MISSES, miss);
    count_asked(sess, sess->fill, false);
}

/* No good answer was found. True: answered all the same. False: a server has to be asked, by this
 * session (it leads, or is alone), or by another whom it joins. */
static bool lead_or_join(struct sess *sess, struct found found)
{
    struct sess_fill *fill = sess->fill;
    enum cache_flight flight =
        cache_flight_begin(sess->env->cache->flights, fill->hash, sess->env->worker);

    fill->is_leader = flight == CACHE_FLIGHT_LEAD;
    fill->joins = flight == CACHE_FLIGHT_JOIN;
    if (fill->joins && found.look == LOOK_OLD &&
        may_be_stale(sess, found.entry, fill->plan.revalidate_us)) {
        fill->joins = false;
        sess_cache_answer(sess, found.entry, true);
        return true;
    }
    cache_entry_unref(found.entry);
    if (fill->is_leader) {
        struct found again = look(sess);

        if (again.look == LOOK_GOOD) {
            sess_cache_answer(sess, again.entry, false); /* it has come between the two */
            return true;
        }
        cache_entry_unref(again.entry);
    }
    fill->asks = !fill->joins && sess_tier_may_ask(sess);
    fill->miss = found.miss;
    if (!fill->joins && !fill->asks) {
        count_miss(sess, found.miss);
    }
    return false;
}

static bool begin(struct sess *sess, const struct sess_question *question,
                  const struct config_rule *rule, const struct cache_plan *plan)
{
    struct sess_fill *fill = sess_fill_begin(sess);

    if (fill == NULL) {
        return false;
    }
    fill->plan = *plan;
    fill->is_ruled = rule != NULL && !plan->is_hinted;
    if (fill->is_ruled) {
        fill->rule = rules_label(sess->env->rules, sess->cmd.rule.number - 1U);
    }
    if (sess_cache_key(sess, plan, question, &fill->key) < 0) {
        pass_by(sess, CACHE_PASS_TOO_LARGE);
        return false;
    }
    fill->hash = cache_memory_hash(sess->env->cache->memory, buf_span(&fill->key));
    return true;
}

bool sess_cache_ask(struct sess *sess, const struct sess_question *question)
{
    const struct config_rule *rule = sess_rule(sess);
    struct found found = {.look = LOOK_NONE};
    enum cache_pass pass = CACHE_PASS_NONE;
    struct cache_plan plan;
    bool may_hit = false;

    if (!is_asked_for(question->facts, rule) || !judge(sess, question, rule, &plan)) {
        return false;
    }
    if (plan.pass != CACHE_PASS_NONE) {
        count_pass(sess, plan.pass);
        if (plan.pass == CACHE_PASS_STREAM && plan.error_us != 0 &&
            begin(sess, question, rule, &plan)) {
            sess->fill->why = METRIC_UNFILLED_STREAM; /* an old answer, if there is no other */
        }
        return false;
    }
    if (!begin(sess, question, rule, &plan)) {
        return false;
    }
    /* false: the session must see what no entry may have, and asks for itself */
    may_hit = sess_causal_may_hit(sess, question->facts, plan.coherence);
    if (sess->fill == NULL) {
        return true; /* no memory for what it must see: it has been closed */
    }
    if (may_hit) {
        found = look(sess);
    }
    if (found.look == LOOK_GOOD) {
        if (sess->env->tier != NULL) {
            sess_tier_tell(sess, found.entry);
        }
        sess_cache_answer(sess, found.entry, false);
        return true;
    }
    pass = take_lease(sess, question, &plan, &sess->fill->lease);
    if (pass != CACHE_PASS_NONE) {
        cache_entry_unref(found.entry);
        pass_by(sess, pass);
        return false;
    }
    if (!may_hit) {
        count_miss(sess, METRIC_MISS_TOKEN);
        return false;
    }
    return lead_or_join(sess, found);
}

/* --- waiting for another's answer --- */

/* False: the session has been closed. */
static bool hold_packet(struct sess *sess, const uint8_t *packet, size_t len)
{
    if (packet != NULL) {
        sess_buf_take(sess, &sess->held);
        if (buf_append(&sess->held, packet, len, (size_t)FRAME_MAX_PAYLOAD + FRAME_HEADER) < 0) {
            sess_close(sess, "no memory for a command");
            return false;
        }
    }
    return true;
}

bool sess_cache_waits(struct sess *sess, const uint8_t *packet, size_t len)
{
    struct sess_fill *fill = sess->fill;

    if (fill != NULL && fill->asks) {
        fill->asks = false;
        if (!sess_tier_ask(sess)) {
            count_miss(sess, fill->miss);
            return false;
        }
        if (hold_packet(sess, packet, len)) {
            sess_set_state(sess, SESS_ST_SHARE);
        }
        return true;
    }
    if (fill == NULL || !fill->joins) {
        return false;
    }
    fill->joins = false;
    if (!hold_packet(sess, packet, len)) {
        return true;
    }
    metric_inc(sess->env->metrics, METRIC_CACHE_WAITS, METRIC_NONE);
    fill->is_waiting = true;
    list_push(&sess->set->sharers, &fill->node);
    sess_set_state(sess, SESS_ST_SHARE);
    if (sess->deadline_us == 0) {
        timer_arm_in(&sess->timer, SHARE_MOST_US);
    }
    return true;
}

void sess_cache_wait_over(struct sess *sess)
{
    if (!sess->fill->is_waiting) {
        return; /* Redis is asked, and has a time limit of its own */
    }
    list_remove(&sess->fill->node);
    sess->fill->is_waiting = false;
    sess_cache_woken(sess);
}

void sess_cache_woken(struct sess *sess)
{
    struct found found;

    /* its lease is from before the wait: if that holds to the end, so does what its names meant */
    found = look(sess);
    if (found.look == LOOK_GOOD) {
        sess_cache_answer(sess, found.entry, false);
        return;
    }
    cache_entry_unref(found.entry);
    sess_cache_go_on(sess, METRIC_MISS_FLIGHT_FAILED);
}

void sess_cache_go_on(struct sess *sess, enum metric_miss miss)
{
    count_miss(sess, miss);
    if (sess_decide_again(sess)) {
        sess_go(sess, NULL, 0);
    }
}

/* --- no server --- */

bool sess_cache_on_error(struct sess *sess, enum sess_err error)
{
    struct sess_fill *fill = sess->fill;
    struct found found;

    if (fill->plan.error_us == 0 || (sess->cmd.is_sent && !reply_is_fresh(&sess->reply)) ||
        (error != SESS_ERR_NO_SERVER && error != SESS_ERR_NO_PRIMARY &&
         error != SESS_ERR_SERVER_LOST && error != SESS_ERR_CON_COUNT &&
         error != SESS_ERR_BUDGET)) {
        return false;
    }
    found = look(sess);
    if (found.look == LOOK_NONE || !may_be_stale(sess, found.entry, fill->plan.error_us)) {
        cache_entry_unref(found.entry);
        return false;
    }
    sess_cache_answer(sess, found.entry, found.look == LOOK_OLD);
    return true;
}

/* --- explanations --- */

void sess_cache_explain(struct sess *sess, const struct sess_question *question,
                        const struct config_rule *rule, char *dst, size_t cap)
{
    struct cache_lease_in in = {
        .catalogue = sess->env->catalogue,
        .ddl_seen = catalogue_ddl_seen(),
        .schema = question->schema,
    };
    struct classify_env env;
    struct cache_ask ask;

    ask_fill(sess, question, rule, &ask);
    sess_tag_in(sess, question, rule, &env, &in.statement);
    cache_explain(sess->env->cache, &ask, &in, dst, cap);
}
