/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/client/sess_list.h"
#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * What keeps a connection with the session when its statement is over:
 *
 *   a transaction, a pin, a cursor, long data sent    until they end
 *   the count of SQL_CALC_FOUND_ROWS                  until the next statement
 *   diagnostics (a warning, an error)                 until the next statement, or until somebody
 *                                                     waits and weir has asked for them
 *   LAST_INSERT_ID()                                  the same, or until it has lingered
 *
 * Everything else that a server remembers of a session is in its vector, or in the session: the
 * connection goes back to the pool, and the next statement runs on whichever fits best. A session
 * that ends gives back what is clean, has reset what a reset cleans, and closes the rest.
 */

/* A reset undoes these. */
#define PINS_RESET                                                                        \
    (PIN_BIT(PIN_USER_VARIABLE) | PIN_BIT(PIN_TEMP_TABLE) | PIN_BIT(PIN_NAMED_LOCK) |     \
     PIN_BIT(PIN_TEXT_PREPARE) | PIN_BIT(PIN_HANDLER) | PIN_BIT(PIN_UNTRACKED_VARIABLE) | \
     PIN_BIT(PIN_LAST_INSERT_ID))

void sess_new_serial(struct sess *sess)
{
    sess->serial = ((uint64_t)(sess->env->worker + 1U) << 48) | ++sess->set->next_serial;
    sess_pins_forget(sess);
    sess_vars_forget(sess);
    sess->insert_id = 0;
    sess->row_count = 0;
    sess->found_rows = 0;
    sess->hold = 0;
    buf_fini(&sess->diag);
    buf_init(&sess->diag);
    sess->id_server = -1;
    sess->lost_id = false;
    sess->asks_last = false;
    sess->has_news = false;
    sess->has_count = false;
}

int sess_rekey(struct sess *sess)
{
    struct pool_key *old = sess->key;
    int r = pool_key_get(sess->env->pool, sess->cred, sess->caps, sess->collation, &sess->key);

    if (r >= 0) {
        pool_key_put(old);
    }
    return r;
}

/* --- what stays --- */

bool sess_has_diagnostics(const struct sess *sess)
{
    return (sess->hold & SESS_HOLD_LAST) != 0 && (sess->has_news || sess->has_count);
}

static bool is_kept(const struct sess *sess, const struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;

    if (conn->is_sandboxed || sess->ro_tx_server == server) {
        return true;
    }
    if (!conn->is_replica && sess->home_server == server &&
        (sess->tx_open || sess->pins != 0 || sess->next_tx_pending)) {
        return true;
    }
    if (sess->busy_stmts != 0 && sess_stmts_are_on(sess, server)) {
        return true;
    }
    /* only the server knows what FOUND_ROWS() is then; and a session that asks about its statements
     * is not made to wait for its own answers, where weir does not know them */
    return sess->last_server == server && sess_has_diagnostics(sess) &&
           (sess->has_count || sess->asks_last);
}

/* What could be asked for, and has not been. */
static uint8_t soft_of(const struct sess *sess, const struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;
    uint8_t soft = 0;

    if ((sess->hold & SESS_HOLD_LAST) != 0 && sess->last_server == server) {
        soft |= SESS_HOLD_LAST;
    }
    if ((sess->hold & SESS_HOLD_INSERT_ID) != 0 && sess->id_server == server) {
        soft |= SESS_HOLD_INSERT_ID;
    }
    return soft;
}

#define KEEP(name) (1U << SESS_KEEP_##name)

static uint32_t keeps_of(const struct sess *sess, const struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;
    bool is_home = !conn->is_replica && sess->home_server == server;
    uint8_t soft = soft_of(sess, conn);
    uint32_t keeps = conn->is_sandboxed ? KEEP(EXPIRED) : 0;

    if (sess->ro_tx_server == server || (is_home && sess->tx_open)) {
        keeps |= KEEP(TX);
    }
    if (is_home && sess->next_tx_pending) {
        keeps |= KEEP(NEXT_TX);
    }
    if (is_home && sess->pins != 0) {
        keeps |= KEEP(PIN);
    }
    if (sess->busy_stmts != 0 && sess_stmts_are_on(sess, server)) {
        keeps |= KEEP(STATEMENT);
    }
    if ((soft & SESS_HOLD_LAST) != 0) {
        keeps |= sess->has_count ? KEEP(FOUND_ROWS) : KEEP(DIAGNOSTICS);
    }
    if ((soft & SESS_HOLD_INSERT_ID) != 0) {
        keeps |= KEEP(INSERT_ID);
    }
    return keeps;
}

uint32_t sess_keeps(const struct sess *sess)
{
    uint32_t keeps = 0;

    for (uint16_t i = 0; i < sess->conn_count; i++) {
        if (sess->conns[i] != NULL && sess->conns[i]->state == CONN_ST_READY) {
            keeps |= keeps_of(sess, sess->conns[i]);
        }
    }
    return keeps;
}

static void give(struct sess *sess, int16_t server)
{
    struct conn *conn = sess->conns[server];

    sess->conns[server] = NULL;
    pool_checkin(conn);
}

/* Ask the connection for what it holds, to be free of it. SHOW WARNINGS comes first: it leaves what
 * it shows, the other does not. False: nothing was sent. */
static bool ask(struct sess *sess, int16_t server)
{
    struct conn *conn = sess_conn(sess, server);
    bool is_last = (soft_of(sess, conn) & SESS_HOLD_LAST) != 0;

    pool_set_reclaimable(conn, false);
    if (is_last) {
        return sess_diag_ask(sess, conn);
    }
    if (sess_send_text(conn, "SELECT LAST_INSERT_ID()") < 0) {
        sess_server_lost(sess, server);
        return false;
    }
    sess_sync_wait(sess, SESS_OWN_ASK_ID, server, 1, REPLY_QUERY);
    return true;
}

void sess_release(struct sess *sess)
{
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t linger_us = sess->env->config->pool.linger_us;

    sess->has_soft = false;
    if (sess_pins_ask(sess)) {
        return;
    }
    for (uint16_t i = 0; i < sess->conn_count; i++) {
        struct conn *conn = sess->conns[i];
        uint8_t soft = 0;

        if (conn == NULL || conn->state != CONN_ST_READY || is_kept(sess, conn)) {
            continue;
        }
        soft = soft_of(sess, conn);
        if (soft == 0) {
            give(sess, (int16_t)i);
            continue;
        }
        if (sess->linger_us == 0 && (soft & SESS_HOLD_INSERT_ID) != 0) {
            sess->linger_us = now_us + linger_us;
        }
        if (pool_is_wanted(sess->key, i) || (soft == SESS_HOLD_INSERT_ID && linger_us == 0)) {
            (void)ask(sess, (int16_t)i); /* and here again when it has been answered */
            return;
        }
        pool_set_reclaimable(conn, true);
        sess->has_soft = true;
        if ((soft & SESS_HOLD_INSERT_ID) != 0) {
            timer_arm_at(&sess->timer, sess->linger_us);
        }
    }
}

void sess_idle(struct sess *sess)
{
    if (buf_len(&sess->extra) != 0 && sess_extra_ask(sess)) {
        return;
    }
    if (sess->state != SESS_ST_IDLE) {
        sess_set_state(sess, SESS_ST_IDLE);
    }
    sess_release(sess);
    if (sess->state == SESS_ST_IDLE) {
        sess_continue(sess);
    }
}

void sess_hold_reclaim(struct sess *sess, int16_t server)
{
    const struct conn *conn = sess_conn(sess, server);

    if (sess->state == SESS_ST_IDLE && conn != NULL && conn->state == CONN_ST_READY &&
        !is_kept(sess, conn) && soft_of(sess, conn) != 0) {
        (void)ask(sess, server);
    }
}

void sess_hold_begin(struct sess *sess)
{
    for (uint16_t i = 0; sess->has_soft && i < sess->conn_count; i++) {
        if (sess->conns[i] != NULL) {
            pool_set_reclaimable(sess->conns[i], false);
        }
    }
    sess->has_soft = false;
}

/* --- what a statement leaves --- */

/* The OK of a bulk UPDATE or DELETE has the rows of all its sets of values, ROW_COUNT() those of the
 * last one. */
static bool is_row_count_hidden(const struct sess_cmd *cmd)
{
    return cmd->com == COM_MARIADB_STMT_BULK_EXECUTE &&
           (cmd->verb == VERB_UPDATE || cmd->verb == VERB_DELETE);
}

/* Warnings are counted of the last result: those before it are not known of. */
static bool may_leave_news(const struct sess_cmd *cmd)
{
    switch (cmd->verb) {
    case VERB_CALL:
    case VERB_EXECUTE:
    case VERB_COMPOUND:
    case VERB_UNKNOWN:
        return true;
    default:
        return cmd->warnings != 0 || cmd->got_err || (cmd->bits & FACT(MULTI)) != 0;
    }
}

void sess_hold_note(struct sess *sess, struct conn *conn)
{
    const struct sess_cmd *cmd = &sess->cmd;
    bool is_about_last = (cmd->bits & FACT(ASKS_LAST)) != 0;

    if (conn != NULL && may_leave_news(cmd)) {
        conn->news_of = sess->serial;
    }
    if (cmd->com != COM_QUERY && !sess_is_execute(sess) && cmd->com != COM_STMT_PREPARE &&
        cmd->com != COM_INIT_DB && cmd->com != COM_STMT_FETCH) {
        return;
    }
    sess->last_uses = conn == NULL ? 0 : conn->uses;
    if (!is_about_last) {
        buf_fini(&sess->diag);
        buf_init(&sess->diag);
    }
    if (is_about_last) {
        sess->asks_last = true; /* once means again: from now on they are kept */
    } else {
        sess->has_news = false;
    }
    sess->has_news =
        sess->has_news || cmd->warnings != 0 || cmd->got_err || is_row_count_hidden(cmd);
    sess->has_count = (cmd->bits & FACT(FOUND_ROWS)) != 0;
    if (sess->asks_last || sess->has_news || sess->has_count) {
        sess->hold |= SESS_HOLD_LAST;
    } else {
        sess->hold &= (uint8_t)~SESS_HOLD_LAST;
    }
    if (cmd->sets_id && conn != NULL) {
        conn->insert_id_of = sess->serial;
        sess->hold |= SESS_HOLD_INSERT_ID;
        sess->id_server = cmd->server;
        sess->linger_us = 0;
        sess->lost_id = false;
    }
}

bool sess_is_others_news(const struct sess *sess, const struct conn *conn)
{
    return conn->flavour == TOPO_FLAVOUR_MARIADB && conn->news_of != 0 &&
           conn->news_of != sess->serial;
}

bool sess_has_last(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->last_server);
    struct pool_ask ask = {
        .server = (uint16_t)sess->last_server,
        .user = sess->serial,
        .on_event = sess_conn_event,
        .arg = sess,
    };

    if (sess->last_server < 0 || sess->cmd.server != sess->last_server) {
        return false;
    }
    if (conn != NULL) {
        return conn->uses == sess->last_uses;
    }
    conn =
        sess_conns_reserve(sess) < 0 ? NULL : pool_checkout_last(sess->key, &ask, sess->last_uses);
    if (conn != NULL) {
        sess->conns[sess->last_server] = conn;
        sess->last_uses = conn->uses;
    }
    return conn != NULL;
}

/* --- the answers --- */

#define ID_REPLY_MAX 4096

/* The text of the one value of the one row; 0 for NULL, which it never is. */
static int id_of(struct span bytes, uint64_t *ret_id)
{
    size_t at = 0;
    struct frame frame;

    for (unsigned i = 0; i < 3; i++) { /* count, definition, row */
        struct wire row;

        if (frame_decode(bytes.p + at, bytes.len - at, &frame) != DEC_OK ||
            bytes.len - at < FRAME_HEADER + frame.len) {
            return -WR_E_BAD_PACKET;
        }
        wire_init(&row, (struct span){bytes.p + at + FRAME_HEADER, frame.len});
        at += FRAME_HEADER + frame.len;
        if (i == 2) {
            struct span text = wire_lenenc_bytes(&row);
            uint64_t id = 0;

            if (!wire_ok(&row) || text.len == 0 || text.len > 20) {
                return -WR_E_BAD_PACKET;
            }
            for (size_t k = 0; k < text.len; k++) {
                if (text.p[k] < '0' || text.p[k] > '9') {
                    return -WR_E_BAD_PACKET;
                }
                id = id * 10 + (uint64_t)(text.p[k] - '0');
            }
            *ret_id = id;
        }
    }
    return 0;
}

/* Keep what has been seen of the reply, or give up on its connection. */
void sess_own_more(struct sess *sess, const uint8_t *bytes, size_t len, size_t max)
{
    if (len > max) {
        sess_server_lost(sess, sess->own_server);
    } else if (!sess_keep_rest(sess, bytes, 0, len)) {
        sess_close(sess, "no memory for a reply");
    }
}

/* Walked from the start each time: it is small, and comes in one piece but for the rarest cases. */
int sess_own_step(const struct sess *sess, uint8_t *bytes, size_t len, size_t *ret_used)
{
    struct reply reply = sess->reply;
    struct reply_step step = {0};

    *ret_used = 0;
    while (*ret_used < len) {
        enum dec_rc rc = reply_feed(&reply, bytes + *ret_used, len - *ret_used, &step);

        *ret_used += step.used;
        if (rc == DEC_MORE) {
            return 0;
        }
        if (rc == DEC_BAD) {
            return -WR_E_BAD_PACKET;
        }
        if (step.event == REPLY_EV_ERR || step.done) {
            return step.event == REPLY_EV_ERR ? 2 : 1;
        }
    }
    return 0;
}

int sess_own_walk(const struct sess *sess, uint8_t *bytes, size_t len)
{
    size_t used = 0;
    int r = sess_own_step(sess, bytes, len, &used);

    return r <= 0 || (r == 1 && used == len) ? r : -WR_E_BAD_PACKET;
}

/* weir has asked something on this connection: what the server remembers of the last statement is
 * not the client's any more. */
void sess_note_own(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->own_server);

    if (conn != NULL) {
        conn->uses++;
    }
}

void sess_hold_answered(struct sess *sess, enum sess_hold hold)
{
    sess_note_own(sess);
    sess->own = SESS_OWN_NONE;
    sess->hold &= (uint8_t) ~(unsigned)hold;
    if (hold == SESS_HOLD_LAST) {
        sess->has_news = false; /* they are the session's now */
    }
    sess_buf_give(sess, &sess->rest);
    sess_idle(sess);
}

void sess_id_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    int rc = sess_own_walk(sess, bytes, len);

    if (rc == 0) {
        sess_own_more(sess, bytes, len, ID_REPLY_MAX);
    } else if (rc < 0 || id_of((struct span){bytes, len}, &sess->insert_id) < 0) {
        sess_server_lost(sess, sess->own_server);
    } else {
        sess_hold_answered(sess, SESS_HOLD_INSERT_ID);
    }
}

void sess_locks_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    uint64_t held = 0;
    int rc = sess_own_walk(sess, bytes, len);

    if (rc == 0) {
        sess_own_more(sess, bytes, len, ID_REPLY_MAX);
    } else if (rc < 0 || id_of((struct span){bytes, len}, &held) < 0) {
        sess_server_lost(sess, sess->own_server);
    } else {
        sess_pins_answer(sess, held);
        sess_note_own(sess);
        sess->own = SESS_OWN_NONE;
        sess_buf_give(sess, &sess->rest);
        sess_idle(sess);
    }
}

/* --- the end --- */

/* Something is under way on it: nobody can use it again. */
static bool is_busy(const struct sess *sess, int16_t server)
{
    switch (sess->state) {
    case SESS_ST_RELAY:
    case SESS_ST_OPEN:
        return sess->cmd.server == server;
    case SESS_ST_SYNC:
        return sess->own_server == server || sess->cmd.server == server;
    case SESS_ST_LOGIN:
    case SESS_ST_IDLE:
    case SESS_ST_HOLD:
    case SESS_ST_SHARE:
    case SESS_ST_WAIT:
    case SESS_ST_KILL:
    case SESS_ST_RELOGIN:
    case SESS_ST_CLOSING:
    case SESS_ST_END_:
        return false;
    }
    return false;
}

void sess_conns_end(struct sess *sess)
{
    for (uint16_t i = 0; i < sess->conn_count; i++) {
        struct conn *conn = sess->conns[i];

        if (conn == NULL) {
            continue;
        }
        if (conn->state != CONN_ST_READY || is_busy(sess, (int16_t)i)) {
            sess_conn_drop(sess, (int16_t)i, false);
            continue;
        }
        if (is_kept(sess, conn) || soft_of(sess, conn) != 0) {
            conn->is_dirty = true;
            conn->is_spoiled =
                conn->is_spoiled || (!conn->is_replica && (sess->pins & ~PINS_RESET) != 0);
            sess_stmts_unplace(sess, (int16_t)i);
        }
        give(sess, (int16_t)i);
    }
    sess->hold = 0;
}
