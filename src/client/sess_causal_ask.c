/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weir's own questions about positions, each a round trip of its own ahead of a read:
 *
 *   wait    on the replica where the read is to run: until it has what the read must see, or the
 *           time is over. Ahead of the session's state, so that nothing is pipelined behind it.
 *           On the primary too, when replicas may have shown what it does not show yet.
 *   fetch   on the primary, by a session that has read there and could go to a replica: how far is
 *           it? What a replica must have is known then.
 *
 * Nothing that a user may ask about is lost by them: the read behind them is the session's next
 * statement, on whatever server it runs.
 */
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/attr.h"
#include "weir/util/err.h"

#include "sess_causal_priv.h"
#include "sess_priv.h"

/* A server that was waited for in vain is not waited for again so soon: this, and twice as long for
 * each time in a row. */
#define NO_WAIT_US  UINT64_C(100000)
#define NO_WAIT_MAX 5U /* doublings */
#define NO_FETCH_US UINT64_C(100000)
#define ANSWER_MAX  ((size_t)256 * 1024)
#define PAUSE       "DO SLEEP(0.005)"
/* A session that keeps reading is let go by its replica that often. */
#define STUCK_US UINT64_C(2000000)
/* A lag is known as of the last probe, and from above. */
#define LAG_SLACK_US UINT64_C(500000)

/* --- whether anybody is asked --- */

/* Whom waiting for is of any use, of a topology: who is not too late anyway. */
static uint64_t soon_mask(struct sess_set *set, uint64_t wait_us)
{
    const struct topo *topo = set->env->topo;
    uint64_t most_us = wait_us + LAG_SLACK_US;
    uint64_t mask = 0;

    if (set->soon_of == topo->snap.generation && set->soon_wait_us == wait_us) {
        return set->soon_mask;
    }
    for (uint16_t i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].lag_us <= most_us + topo->servers[i].lag_resolution_us) {
            mask |= UINT64_C(1) << i;
        }
    }
    set->soon_of = topo->snap.generation;
    set->soon_wait_us = wait_us;
    set->soon_mask = mask;
    return mask;
}

/* Who may be waited for: not who has just been waited for in vain, nor who is too late anyway. */
uint64_t sess_causal_wait_mask(const struct sess *sess, uint32_t ranges)
{
    struct sess_set *set = sess->set;
    uint64_t wait_us = sess->env->config->read_after_write.wait_us;
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t mask = 0;

    if (wait_us == 0 || sess->cmd.no_wait || ranges > SESS_WAIT_RANGES) {
        return 0;
    }
    mask = soon_mask(set, wait_us);
    if (now_us >= set->last_no_wait_us && set->all_waiters < SESS_WAITERS_MAX) {
        return mask;
    }
    for (uint16_t i = 0; i < sess->env->topo->server_count; i++) {
        if (now_us < set->no_wait_until_us[i] || set->waiters[i] >= SESS_WAITERS_MAX) {
            mask &= ~(UINT64_C(1) << i);
        }
    }
    return mask;
}

/* A replica that would be chosen if it were known to be as far. */
static bool has_other(const struct route_decision *decision)
{
    for (uint8_t i = 0; i < decision->candidate_count; i++) {
        if (decision->candidates[i].exclude == ROUTE_EX_BEHIND) {
            return true;
        }
    }
    return false;
}

static bool hint_wants_other(const struct sess *sess, const struct facts *facts,
                             const struct route_sess *route, int16_t chosen)
{
    int found = (facts->hints & HINT_BIT(HINT_SERVER)) == 0
                    ? -1
                    : topo_find(sess->env->topo, facts->hint[HINT_SERVER]);

    return found >= 0 && found != chosen && (route->has_mask >> found & 1) == 0;
}

int16_t sess_causal_fetch_from(const struct sess *sess, const struct facts *facts,
                               const struct route_sess *route,
                               const struct route_decision *decision, enum route_reason reason)
{
    const struct sess_causal *causal = sess->causal;
    uint64_t now_us = loop_now_us(sess->env->loop);
    const struct position *from = NULL;
    bool is_due = false;

    if (causal == NULL || causal->floor_server < 0 ||
        (reason != ROUTE_BEHIND && (facts->hints & HINT_BIT(HINT_SERVER)) == 0 &&
         now_us <= causal->stuck_us + STUCK_US)) {
        return -1; /* nearly always */
    }
    if (sess->cmd.no_wait || decision->raw_mode != CONFIG_RAW_GTID ||
        now_us < causal->no_fetch_until_us || sess->env->config->read_after_write.wait_us == 0 ||
        (sess->cmd.failed_mask >> causal->floor_server & 1) != 0 ||
        sess->env->topo->servers[causal->floor_server].state == TOPO_ST_DOWN) {
        return -1;
    }
    if (causal->floor_server == sess->env->topo->primary) {
        is_due = reason == ROUTE_BEHIND;
    } else {
        is_due = hint_wants_other(sess, facts, route, decision->server) ||
                 (reason == ROUTE_BALANCED && now_us > causal->stuck_us + STUCK_US &&
                  has_other(decision));
    }
    from = is_due ? positions_of(sess->env->positions, causal->floor_server) : NULL;
    return from != NULL && from->executed->set.count <= GTID_LIMITS_TOKEN.ranges
               ? causal->floor_server
               : -1;
}

/* It shows rows, or fixes what the rows are that others will show. */
static bool is_looking(const struct sess *sess, const struct facts *facts)
{
    const uint64_t plain = FACT(DML) | FACT(MULTI);

    switch (facts->verb) {
    case VERB_SHOW:
    case VERB_SET:
    case VERB_USE:
        return false;
    default:
        return sess->cmd.com != COM_STMT_PREPARE && (facts->bits & plain) != FACT(DML) &&
               (facts->bits & FACT(ENDS_TX)) == 0;
    }
}

bool sess_causal_is_ahead(const struct sess *sess, const struct facts *facts)
{
    const struct sess_causal *causal = sess->causal;
    const struct position *primary = sess_causal_primary(sess);
    int16_t index = sess->env->topo->primary;
    const struct position *floor = NULL;

    if (primary == NULL || !primary->is_shown_late || sess->cmd.server != index || sess->tx_open ||
        !sess->set->route_conf.raw_monotonic || !is_looking(sess, facts)) {
        return false;
    }
    if (causal->floor_server < 0) {
        return causal->floor_set != NULL &&
               !gtid_has(&primary->executed->set, &causal->floor_set->set);
    }
    floor = causal->floor_server == index ? NULL : sess_causal_floor(sess);
    return causal->floor_server != index &&
           (floor == NULL || (floor->covered_mask >> index & 1) == 0);
}

/* --- the questions --- */

/* All that the read must see, as one set. Not known: the server has been chosen for another reason. */
static int wanted(const struct sess *sess, struct gtid_set *ret_set)
{
    const struct sess_causal *causal = sess->causal;
    const struct position *floor = NULL;
    int r = gtid_copy(ret_set, &causal->token);

    if (r >= 0 && causal->floor_set != NULL) {
        r = gtid_add(ret_set, &causal->floor_set->set, &GTID_LIMITS_SERVER);
    }
    if (r >= 0 && causal->floor_server >= 0 && causal->floor_server != sess->cmd.server) {
        floor = causal->floor_server == sess->env->topo->primary
                    ? sess_causal_primary(sess)
                    : positions_of(sess->env->positions, causal->floor_server);
        r = floor == NULL ? -WR_E_STATE
                          : gtid_add(ret_set, &floor->executed->set, &GTID_LIMITS_SERVER);
    }
    return r;
}

/* The last argument of a wait, in seconds, and its parenthesis. */
static int put_limit(struct buf *text, uint64_t wait_us)
{
    int r = buf_append_text(text, ",", SESS_WAIT_TEXT_MAX);

    if (r >= 0) {
        r = buf_append_number(text, wait_us / 1000000, 1, SESS_WAIT_TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_text(text, ".", SESS_WAIT_TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_number(text, wait_us % 1000000, 6, SESS_WAIT_TEXT_MAX);
    }
    return r < 0 ? r : buf_append_text(text, ")", SESS_WAIT_TEXT_MAX);
}

/*
 * Semi-synchronous replication may have given replicas what the primary does not show yet: it holds
 * the GTID of each such transaction in somebody's hands from before it went out until it can be
 * seen. Those are waited for, for as long as anybody waits for a primary; in vain, the statement runs
 * all the same.
 */
static int level_text(const struct sess *sess, struct buf *text)
{
    static const char call[] = "SELECT WAIT_FOR_EXECUTED_GTID_SET("
                               "REGEXP_REPLACE(@@global.gtid_owned,'#[0-9]+','')";
    const struct config *config = sess->env->config;
    uint64_t wait_us = config->failover.hold_us > config->read_after_write.wait_us
                           ? config->failover.hold_us
                           : config->read_after_write.wait_us;

    int r = buf_append_text(text, call, SESS_WAIT_TEXT_MAX);

    return r < 0 ? r : put_limit(text, wait_us);
}

static int wait_text(const struct sess *sess, const struct conn *conn, struct buf *text)
{
    uint64_t wait_us = sess->env->config->read_after_write.wait_us;
    const char *call = conn->flavour == TOPO_FLAVOUR_MARIADB
                           ? "SELECT MASTER_GTID_WAIT('"
                           : "SELECT WAIT_FOR_EXECUTED_GTID_SET('";
    struct gtid_set set;
    int r = 0;

    if (!conn->is_replica && conn->flavour != TOPO_FLAVOUR_MARIADB) {
        return level_text(sess, text);
    }
    gtid_init(&set);
    r = wanted(sess, &set);
    if (r >= 0) {
        r = buf_append_text(text, call, SESS_WAIT_TEXT_MAX);
    }
    if (r >= 0) {
        r = gtid_format(&set, text, SESS_WAIT_TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_text(text, "'", SESS_WAIT_TEXT_MAX);
    }
    gtid_fini(&set);
    return r < 0 ? r : put_limit(text, wait_us);
}

/* Elsewhere, without another wait. */
static void go_on(struct sess *sess)
{
    sess->cmd.needs_wait = false;
    sess->cmd.needs_fetch = false;
    sess->cmd.no_wait = true;
    if (sess_decide_again(sess)) {
        sess_go(sess, NULL, 0);
    }
}

int sess_causal_ask(struct sess *sess, struct conn *conn)
{
    struct sess_cmd *cmd = &sess->cmd;
    bool is_wait = cmd->needs_wait;
    struct buf text = {0};
    const char *sql = NULL;
    int r = 0;

    sess_buf_take(sess, &text);
    if (is_wait) {
        r = wait_text(sess, conn, &text);
    } else {
        r = buf_append_text(&text,
                            conn->flavour == TOPO_FLAVOUR_MARIADB
                                ? "SELECT @@global.gtid_current_pos"
                                : "SELECT @@global.gtid_executed",
                            SESS_WAIT_TEXT_MAX);
    }
    sql = r < 0 ? NULL : buf_text(&text);
    if (sql == NULL) {
        sess_buf_give(sess, &text);
        sess_close(sess, "no memory for a question about positions");
        return -WR_E_TOO_LARGE;
    }
    /* what its reads see can be a moment ahead of what MySQL says of itself */
    r = is_wait || conn->flavour == TOPO_FLAVOUR_MARIADB ? 0 : sess_send_text(conn, PAUSE);
    if (r >= 0) {
        r = sess_send_text(conn, sql);
    }
    sess_buf_give(sess, &text);
    if (r < 0) {
        sess_server_lost(sess, cmd->server);
        return -WR_E_CLOSED;
    }
    if (is_wait) {
        sess->set->waiters[cmd->server]++;
        sess->set->all_waiters++;
        cmd->is_waiting = true;
        cmd->wait_server = cmd->server;
        cmd->wait_began_us = loop_now_us(sess->env->loop);
        metric_inc(sess->env->metrics, METRIC_CAUSAL_WAITS, METRIC_NONE);
    } else {
        metric_inc(sess->env->metrics, METRIC_CAUSAL_FETCHES, METRIC_NONE);
    }
    sess_sync_wait(sess, is_wait ? SESS_OWN_WAIT : SESS_OWN_FETCH, cmd->server, 1, REPLY_QUERY);
    return 0;
}

void sess_causal_unwait(struct sess *sess)
{
    if (sess->cmd.is_waiting) {
        sess->cmd.is_waiting = false;
        sess->set->waiters[sess->cmd.wait_server]--;
        sess->set->all_waiters--;
        metric_observe(sess->env->metrics, METRIC_CAUSAL_WAIT_SECONDS,
                       loop_now_us(sess->env->loop) - sess->cmd.wait_began_us);
    }
}

/* --- answers --- */

/* 1: whole, *ret_value is the one value of the one row (p NULL: NULL). 0: more is to come. <0: an
 * error, or nothing that was asked for. */
static int answer_read(const struct sess *sess, uint8_t *bytes, size_t len, bool has_pause,
                       struct span *ret_value)
{
    struct reply reply = sess->reply;
    struct reply_step step = {0};
    size_t used = 0;
    size_t at = 0;

    if (has_pause) {
        struct frame frame;

        if (frame_decode(bytes, len, &frame) != DEC_OK || len - FRAME_HEADER < frame.len) {
            return 0;
        }
        if (frame.len == 0 || bytes[FRAME_HEADER] != 0x00) {
            return -WR_E_BAD_PACKET;
        }
        used = at = FRAME_HEADER + frame.len;
    }

    while (!step.done) {
        enum dec_rc rc =
            used == len ? DEC_MORE : reply_feed(&reply, bytes + used, len - used, &step);

        used += step.used;
        if (rc == DEC_MORE) {
            return 0;
        }
        if (rc == DEC_BAD || step.event == REPLY_EV_ERR) {
            return -WR_E_BAD_PACKET;
        }
        step.used = 0;
    }
    if (reply.rows != 1) {
        return -WR_E_BAD_PACKET;
    }
    for (unsigned i = 0; i < 3; i++) { /* count, definition, row */
        struct frame frame;
        struct wire row;

        if (frame_decode(bytes + at, len - at, &frame) != DEC_OK ||
            len - at < FRAME_HEADER + frame.len) {
            return -WR_E_BAD_PACKET;
        }
        wire_init(&row, (struct span){bytes + at + FRAME_HEADER, frame.len});
        at += FRAME_HEADER + frame.len;
        if (i == 2) {
            bool is_null = frame.len == 1 && row.p[0] == 0xFB;

            *ret_value = is_null ? (struct span){NULL, 0} : wire_lenenc_bytes(&row);
            return is_null || wire_ok(&row) ? 1 : -WR_E_BAD_PACKET;
        }
    }
    return -WR_E_BAD_PACKET;
}

static void waited(struct sess *sess, bool is_there)
{
    int16_t server = sess->cmd.server;
    uint64_t until_us = 0;

    sess->cmd.needs_wait = false;
    if (server == sess->env->topo->primary) {
        if (is_there) {
            sess_causal_level(sess);
        } else {
            metric_inc(sess->env->metrics, METRIC_CAUSAL_TIMEOUTS, METRIC_NONE);
        }
        sess_go(sess, NULL, 0);
        return;
    }
    if (is_there) {
        sess->set->vain_waits[server] = 0;
        sess->causal->known_mask |= UINT64_C(1) << server;
        sess->causal->is_stale = true;
        sess_go(sess, NULL, 0);
        return;
    }
    metric_inc(sess->env->metrics, METRIC_CAUSAL_TIMEOUTS, METRIC_NONE);
    until_us = loop_now_us(sess->env->loop) + (NO_WAIT_US << sess->set->vain_waits[server]);
    sess->set->no_wait_until_us[server] = until_us;
    if (until_us > sess->set->last_no_wait_us) {
        sess->set->last_no_wait_us = until_us;
    }
    if (sess->set->vain_waits[server] < NO_WAIT_MAX) {
        sess->set->vain_waits[server]++;
    }
    sess->causal->no_fetch_until_us = loop_now_us(sess->env->loop) + NO_FETCH_US;
    go_on(sess);
}

static void fetched(struct sess *sess, const struct conn *conn, struct span value)
{
    struct sess_causal *causal = sess->causal;
    struct position_set *set = position_set_create();
    enum gtid_kind kind = conn->flavour == TOPO_FLAVOUR_MARIADB ? GTID_MARIADB : GTID_MYSQL;

    causal->no_fetch_until_us = loop_now_us(sess->env->loop) + NO_FETCH_US;
    sess->cmd.needs_fetch = false;
    if (set == NULL || value.p == NULL ||
        gtid_parse(value, kind, &GTID_LIMITS_SERVER, &set->set) < 0) {
        position_set_unref(set);
        go_on(sess);
        return;
    }
    position_set_unref(causal->floor_set);
    causal->floor_set = set;
    causal->floor_server = -1;
    /* who was asked has it, and the token if it had that before */
    causal->known_mask = causal->has_mask & UINT64_C(1) << sess->cmd.server;
    causal->is_stale = true;
    if (sess_decide_again(sess)) {
        if (sess->cmd.server != sess->env->topo->primary) {
            causal->no_fetch_until_us = 0;
        }
        sess_go(sess, NULL, 0);
    }
}

void sess_causal_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->own_server);
    bool is_wait = sess->own == SESS_OWN_WAIT;
    struct span value = {NULL, 0};
    int rc = 0;

    if (conn == NULL) {
        sess_close(sess, "an answer of nobody");
        return;
    }
    rc = answer_read(sess, bytes, len, !is_wait && conn->flavour != TOPO_FLAVOUR_MARIADB, &value);
    if (rc == 0 && len <= ANSWER_MAX) {
        if (!sess_keep_rest(sess, bytes, 0, len)) {
            sess_close(sess, "no memory for a reply");
        }
        return;
    }
    if (rc == 0) {
        sess_server_lost(sess, sess->own_server);
        return;
    }
    sess->own = SESS_OWN_NONE;
    sess_note_own(sess);
    sess_causal_unwait(sess);
    if (is_wait) {
        bool is_there = rc == 1 && span_eq_text(value, "0");

        sess_buf_give(sess, &sess->rest);
        waited(sess, is_there);
    } else {
        struct buf kept = sess->rest; /* value may be in it */

        buf_init(&sess->rest);
        fetched(sess, conn, rc == 1 ? value : (struct span){NULL, 0});
        buf_fini(&kept);
    }
}

/* --- SELECT weir_token() --- */

bool sess_causal_is_question(struct span sql)
{
    static const char *const words[] = {"select", "weir_token", "(", ")"};

    for (size_t i = 0; i < WR_ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);

        while (sql.len > 0 && (*sql.p == ' ' || (*sql.p >= '\t' && *sql.p <= '\r'))) {
            sql.p++;
            sql.len--;
        }
        if (sql.len < len || !span_eq_text_nocase((struct span){sql.p, len}, words[i])) {
            return false;
        }
        sql.p += len;
        sql.len -= len;
    }
    while (sql.len > 0 && (*sql.p == ' ' || *sql.p == ';' || (*sql.p >= '\t' && *sql.p <= '\r'))) {
        sql.p++;
        sql.len--;
    }
    return sql.len == 0;
}

/* False: nobody knows what it is. */
static bool token_text(const struct sess *sess, struct buf *text)
{
    const struct sess_causal *causal = sess->causal;
    struct gtid_set set;
    int r = 0;

    if (!sess->set->wants_gtids || !sess->set->has_gtids) {
        return false;
    }
    if (causal == NULL) {
        return true;
    }
    if (causal->is_unknown || causal->blind_until_us > loop_now_us(sess->env->loop)) {
        return false;
    }
    gtid_init(&set);
    r = gtid_copy(&set, &causal->token);
    if (r >= 0 && causal->unknown_us != 0) {
        r = sess_causal_add_seen(sess, causal->unknown_us, &set);
    }
    if (r >= 0) {
        r = gtid_format(&set, text, SESS_WAIT_TEXT_MAX);
    }
    gtid_fini(&set);
    return r >= 0;
}

static const struct result_column TOKEN_COLUMN = {
    .name = "weir_token()", .type = RESULT_TYPE_STRING, .length = 4096};

void sess_causal_answer(struct sess *sess)
{
    struct buf bytes = {0};
    struct buf text = {0};
    struct wire_out out;
    struct result result;
    struct span row = SPAN_LIT("unknown");

    if (token_text(sess, &text)) {
        row = buf_span(&text);
    }
    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    result_put_columns(&result, &TOKEN_COLUMN, 1);
    if (sess->cmd.com == COM_STMT_EXECUTE) {
        result_put_row_binary(&result, &row, 1);
    } else {
        result_put_row(&result, &row, 1);
    }
    result_put_end(&result, 0);
    sess_answer(sess, &bytes);
    buf_fini(&text);
}

void sess_causal_prepared(struct sess *sess, uint32_t id)
{
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;

    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    result_put_prepared(&result, id, &TOKEN_COLUMN, 1);
    sess_answer(sess, &bytes);
}
