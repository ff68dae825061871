/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/client/users.h"
#include "weir/config/config.h"
#include "weir/pool/pool.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

/* MariaDB keeps what was said of a statement until one that uses a table. */
#define CLEARS_DIAGNOSTICS "DO (SELECT 0 FROM (SELECT 0) t)"

/*
 * The connections that the session has borrowed now: at most one to each server. sess_checkout()
 * gets one when a statement needs it, sess_release() (sess_hold.c) gives back what need not stay.
 */

/* --- borrowing --- */

struct conn *sess_conn(const struct sess *sess, int16_t server)
{
    return server >= 0 && server < sess->conn_count ? sess->conns[server] : NULL;
}

int sess_conns_reserve(struct sess *sess)
{
    uint16_t count = sess->env->topo->server_count;

    if (sess->conns == NULL) {
        sess->conns = calloc(count, sizeof(struct conn *));
        if (sess->conns == NULL) {
            return -ENOMEM;
        }
        sess->conn_count = count;
    }
    return 0;
}

void sess_conn_drop(struct sess *sess, int16_t server, bool is_orderly)
{
    struct conn *conn = sess_conn(sess, server);

    if (conn == NULL) {
        return;
    }
    sess->conns[server] = NULL;
    sess_stmts_unplace(sess, server);
    if ((sess->hold & SESS_HOLD_INSERT_ID) != 0 && sess->id_server == server) {
        sess->hold &= (uint8_t)~SESS_HOLD_INSERT_ID;
        sess->lost_id = true;
    }
    pool_discard(conn, is_orderly);
}

static void set_water(struct sess *sess, struct conn *conn)
{
    stream_set_water(&conn->stream, sess->env->config->limits.relay_high_bytes,
                     sess->env->config->limits.relay_low_bytes);
}

void sess_conn_adopt(struct sess *sess, struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;

    pool_adopt(sess->key, conn, sess_conn_event, sess);
    if (sess_conns_reserve(sess) < 0 || server >= sess->conn_count) {
        pool_discard(conn, true);
        return;
    }
    sess_conn_drop(sess, server, true);
    conn->last_user = sess->serial;
    sess->conns[server] = conn;
    set_water(sess, conn);
}

static int open_failed(struct sess *sess, int16_t server, int err)
{
    struct span args[2] = {sess_server_name(sess, server), span_of(err_text(err))};
    bool is_limit = err == -WR_E_LIMIT || err == -WR_E_TIMEOUT;
    enum sess_err error = is_limit ? SESS_ERR_CON_COUNT : SESS_ERR_SERVER_LOST;

    if (sess->cmd.is_read && server != sess->env->topo->primary) {
        sess_try_elsewhere(sess, server, error);
    } else if (is_limit || !sess_delay_failed(sess, server)) {
        sess_fail(sess, error, args, is_limit ? 0 : 2);
    }
    return -WR_E_CLOSED;
}

int sess_checkout(struct sess *sess, int16_t server, const struct svec *want)
{
    const struct sess_env *env = sess->env;
    struct conn_params params = {
        .server = &env->topo->servers[server],
        .cred = sess->cred,
        .schema = svec_get(want, SVEC_SCHEMA),
        .client_caps = sess->caps,
        .collation = sess->collation,
        .is_replica = server != env->topo->primary,
        .epoch = env->topo->epoch,
        .svec = want,
        .deadline_us = loop_now_us(env->loop) + env->config->limits.connect_timeout_us,
    };
    struct pool_ask ask = {
        .server = (uint16_t)server,
        .user = sess->serial,
        .params = &params,
        .want = &sess->svec,
        .on_event = sess_conn_event,
        .arg = sess,
    };
    struct conn *conn = NULL;
    int rc = sess_conns_reserve(sess);

    if (rc >= 0) {
        rc = pool_checkout(sess->key, &ask, &sess->wait, &conn);
    }
    if (rc < 0) {
        return open_failed(sess, server, rc);
    }
    if (rc == 0) {
        sess_set_state(sess, SESS_ST_WAIT);
        return 0;
    }
    sess->conns[server] = conn;
    if (rc == 2) {
        sess_set_state(sess, SESS_ST_OPEN);
        return 0;
    }
    set_water(sess, conn);
    return 1;
}

/* The pool has something for the statement that waits, or nothing in time. */
void sess_on_pool(void *arg, int err)
{
    struct sess *sess = arg;

    if (sess->state != SESS_ST_WAIT) {
        pool_wait_cancel(&sess->wait);
    } else if (err < 0) {
        (void)open_failed(sess, sess->cmd.server, err);
    } else {
        sess_go(sess, NULL, 0);
    }
}

void sess_wait_abort(struct sess *sess)
{
    int16_t server = sess->cmd.server;

    pool_wait_cancel(&sess->wait);
    sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
}

/* --- everything that must be so before the command may be written --- */

void sess_sync_wait(struct sess *sess, enum sess_own own, int16_t server, uint16_t replies,
                    enum reply_kind kind)
{
    static const struct reply_front own_front = {
        .has_deprecate_eof = true,
        .has_session_track = true,
        .track_types = 0xff,
    };

    sess->own = own;
    sess->own_server = server;
    sess->own_replies = replies;
    reply_begin(&sess->reply, kind, &own_front, 1, 0);
    sess_set_state(sess, SESS_ST_SYNC);
}

int sess_send_text(struct conn *conn, const char *text)
{
    uint8_t head[COMMAND_QUERY_HEAD];
    struct span span = span_of(text);
    struct iovec iov[2] = {{.iov_base = head}, {.iov_len = span.len}};

    iov[0].iov_len = command_query_head(head, span.len, conn->caps);
    memcpy(&iov[1].iov_base, &text, sizeof(void *));
    return stream_writev(&conn->stream, iov, 2);
}

/* A read-only transaction on a replica ends, and begins anew on the primary if it goes on there. */
static int move_ro_tx(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, sess->ro_tx_server);

    if (sess->ro_tx_server >= 0) {
        if (conn == NULL || sess_send_text(conn, "COMMIT") < 0) {
            sess_server_lost(sess, sess->ro_tx_server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_END_TX, sess->ro_tx_server, 1, REPLY_QUERY);
        return 0;
    }
    if ((cmd->route_flags & ROUTE_F_MOVE_RO_TX) != 0) {
        conn = sess_conn(sess, cmd->server);
        cmd->route_flags = 0;
        if (sess_send_text(conn, "START TRANSACTION READ ONLY") < 0) {
            sess_server_lost(sess, cmd->server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_BEGIN, cmd->server, 1, REPLY_QUERY);
        return 0;
    }
    cmd->route_flags = 0;
    return 1;
}

/* The connection cannot be brought to the wanted state; a new one is. False: the command failed. */
static bool begin_anew(struct sess *sess)
{
    struct span what = SPAN_LIT("this statement in the session's present state");

    sess_conn_drop(sess, sess->cmd.server, true);
    if (++sess->cmd.tries <= SESS_TRIES_MAX) {
        return true;
    }
    sess_fail(sess, SESS_ERR_NOT_SUPPORTED, &what, 1);
    return false;
}

/* The reply of a read can be thrown away: it may follow what sets its state without a wait. */
static bool may_pipeline(const struct sess *sess, const struct conn *conn)
{
    const struct sess_cmd *cmd = &sess->cmd;

    return cmd->is_read && conn->is_replica && cmd->server != sess->env->topo->primary &&
           !cmd->is_large && cmd->no_vars && cmd->route_flags == 0 && !cmd->needs_id &&
           !cmd->needs_clear && sess->ro_tx_server < 0;
}

/*
 * The functions below bring one thing about each. 1: it is so. 0: something is waited for. 2: begin
 * again, with another connection. <0: the command is over, or the session.
 */
static int send_state(struct sess *sess, struct conn *conn, const struct svec *want, bool is_placed)
{
    int rc = svec_is_set(want, SVEC_ROLE) ? sess_role_ask_born(sess, conn) : 1;

    if (rc <= 0) {
        return rc;
    }
    sess->cmd.undoes_role =
        want->v[SVEC_ROLE] == NULL && conn->svec.v[SVEC_ROLE] != conn->born.v[SVEC_ROLE];
    rc = conn_send_svec(conn, want);
    if (rc > 0) {
        metric_inc(sess->env->metrics, METRIC_STATE_REPLAYS, METRIC_NONE);
        if (is_placed && may_pipeline(sess, conn)) {
            sess->own_ahead = (uint8_t)(rc - (WR_MUTANT("reply.off_by_one") ? 1 : 0));
            return 1;
        }
        sess_sync_wait(sess, SESS_OWN_SVEC, sess->cmd.server, (uint16_t)rc, REPLY_SIMPLE);
        return 0;
    }
    if (rc == 0) {
        return 1; /* an account whose password has expired: nothing can be set */
    }
    if (rc == -WR_E_UNSUPPORTED && !sess->tx_open && sess->pins == 0) {
        return begin_anew(sess) ? 2 : rc;
    }
    sess_server_lost(sess, sess->cmd.server);
    return rc;
}

static int bring_state(struct sess *sess, struct conn *conn, const struct svec *want,
                       bool is_placed)
{
    struct svec bare;
    int rc = 1;

    if (conn_svec_fits(conn, want)) {
        return 1;
    }
    if (!sess->cmd.is_bare) {
        return send_state(sess, conn, want, is_placed);
    }
    sess_role_bare(sess, conn, want, &bare);
    if (!conn_svec_fits(conn, &bare)) {
        rc = send_state(sess, conn, &bare, is_placed);
    }
    svec_fini(&bare);
    return rc;
}

static int bring_handle(struct sess *sess, struct conn *conn, bool is_placed)
{
    struct span most = SPAN_LIT("any more");

    if (is_placed) {
        return 1;
    }
    if (++sess->cmd.tries > SESS_TRIES_MAX) {
        sess_fail(sess, SESS_ERR_MAX_PREPARED, &most, 1);
        return -WR_E_LIMIT;
    }
    if (sess_stmt_send_prepare(sess, conn) < 0) {
        sess_server_lost(sess, sess->cmd.server);
        return -WR_E_CLOSED;
    }
    metric_inc(sess->env->metrics, METRIC_STMT_PREPARES, METRIC_NONE);
    sess_sync_wait(sess, SESS_OWN_PREPARE, sess->cmd.server, 1, REPLY_PREPARE);
    return 0;
}

/* LAST_INSERT_ID() is the session's, and so is what is asked about the statement before. */
static int bring_last(struct sess *sess, struct conn *conn)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct span args[2] = {sess_server_name(sess, cmd->server),
                           SPAN_LIT("and with it the value of LAST_INSERT_ID()")};
    char text[64];
    bool is_same = conn->insert_id_of == sess->serial ||
                   (conn->insert_id_of == 0 && sess->insert_id == 0 && !sess->lost_id);

    bool is_lost = sess->lost_id || (sess->hold & SESS_HOLD_INSERT_ID) != 0;
    bool is_asked = (cmd->bits & FACT(LAST_INSERT_ID)) != 0;

    if (cmd->needs_id && !is_same && (is_asked || !is_lost)) {
        if (is_lost) {
            sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
            return -WR_E_CLOSED;
        }
        (void)snprintf(text, sizeof(text), "SET last_insert_id=%llu",
                       (unsigned long long)sess->insert_id);
        if (sess_send_text(conn, text) < 0) {
            sess_server_lost(sess, cmd->server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_SET_ID, cmd->server, 1, REPLY_QUERY);
        return 0;
    }
    if (cmd->needs_clear && cmd->sets_role) {
        return sess_role_ask_born(sess, conn);
    }
    if (cmd->needs_clear) {
        bool is_others = sess_is_others_news(sess, conn);

        cmd->needs_clear = false;
        if (sess_send_text(conn, is_others ? CLEARS_DIAGNOSTICS : "DO 0") < 0) {
            sess_server_lost(sess, cmd->server);
            return -WR_E_CLOSED;
        }
        conn->news_of = is_others ? 0 : conn->news_of;
        sess_sync_wait(sess, SESS_OWN_CLEAR, cmd->server, 1, REPLY_QUERY);
        return 0;
    }
    return 1;
}

static int bring_conn(struct sess *sess, struct conn **ret_conn)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, cmd->server);
    int rc = 1;

    if (conn != NULL && conn->state == CONN_ST_READY && sess_conn_is_stale(sess, conn) &&
        cmd->server != sess->ro_tx_server && !sess->tx_open && sess->pins == 0) {
        sess_conn_drop(sess, cmd->server, true); /* its server has another role now */
        conn = NULL;
    }
    if (conn == NULL) {
        rc = sess_checkout(sess, cmd->server, &sess->svec);
    } else if (conn->state != CONN_ST_READY) {
        sess_set_state(sess, SESS_ST_OPEN);
        rc = 0;
    }
    *ret_conn = sess_conn(sess, cmd->server);
    return rc;
}

static int bring_all(struct sess *sess, struct conn *conn, const struct svec *want, bool is_placed)
{
    int rc = 1;

    if (sess->cmd.needs_wait || sess->cmd.needs_fetch) {
        return sess_causal_ask(sess, conn);
    }
    rc = sess_vars_clean(sess, conn);
    if (rc == 1) {
        rc = bring_state(sess, conn, want, is_placed);
    }
    if (rc == 1) {
        rc = sess_vars_bring(sess, conn);
    }
    if (rc == 1 && sess->cmd.route_flags != 0) {
        rc = move_ro_tx(sess);
    }
    if (rc == 1) {
        rc = bring_handle(sess, conn, is_placed);
    }
    return rc == 1 ? bring_last(sess, conn) : rc;
}

/* 1: write it. 0: something is waited for. <0: the command is over, or the session. */
static int make_ready(struct sess *sess)
{
    struct conn *conn = NULL;
    struct svec want;
    bool has_stmt = sess->cmd.stmt != NULL && sess->cmd.com != COM_STMT_PREPARE;
    int rc = 2;

    sess->own_ahead = 0;
    while (rc == 2) {
        bool is_placed = true;
        bool is_other = false;

        rc = bring_conn(sess, &conn);
        if (rc <= 0) {
            return rc;
        }
        svec_init(&want, sess->svec.values);
        if (has_stmt) {
            is_placed = sess_stmt_is_placed(sess, conn);
            rc = is_placed ? 0 : sess_stmt_state(sess, conn, &want);
            is_other = rc > 0;
        }
        if (rc < 0) {
            sess_close(sess, "no memory for a state");
        } else {
            rc = bring_all(sess, conn, is_other ? &want : &sess->svec, is_placed);
        }
        if (!is_placed) {
            svec_fini(&want); /* else nothing is in it */
        }
    }
    return rc;
}

static void count_sent(struct sess *sess, size_t len)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct metric_shard *metrics = sess->env->metrics;
    bool on_primary = cmd->server == sess->env->topo->primary;
    enum metric_class class = METRIC_CLASS_OTHER_PRIMARY;

    if ((cmd->bits & FACT(READ)) != 0) {
        class = on_primary ? METRIC_CLASS_READ_PRIMARY : METRIC_CLASS_READ_REPLICA;
    } else if (cmd->may_write) {
        class = on_primary ? METRIC_CLASS_WRITE_PRIMARY : METRIC_CLASS_WRITE_REPLICA;
    } else if (!on_primary) {
        class = METRIC_CLASS_OTHER_REPLICA;
    }
    metric_inc(metrics, METRIC_QUERIES, class);
    metric_inc(metrics, METRIC_SERVER_QUERIES, (size_t)cmd->server);
    metric_add(metrics, METRIC_BYTES, METRIC_DIR_SERVER_OUT, len);
    if (cmd->reason == ROUTE_READ_AFTER_WRITE || cmd->reason == ROUTE_BEHIND) {
        metric_inc(metrics, METRIC_READS_TOO_OLD, METRIC_NONE);
    }
}

static void write_command(struct sess *sess, uint8_t *packet, size_t len)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, cmd->server);
    struct buf other = {0};
    struct iovec iov = {.iov_base = packet, .iov_len = len};
    int rc = 0;

    if (cmd->stmt != NULL && cmd->com != COM_STMT_PREPARE) {
        rc = sess_stmt_translate(sess, conn, packet, len, &other);
        if (rc == 0 && buf_len(&other) != 0) {
            iov.iov_base = other.data + other.off;
            iov.iov_len = buf_len(&other);
        }
    }
    if ((cmd->bits & FACT(DDL)) != 0) {
        sess->env->poke_catalogue(sess->env->arg);
        catalogue_ddl_bump();
        cmd->ddl_bumped = true;
    }
    if (conn->env->wants_gtids && !conn->is_replica) {
        sess_causal_front(sess, conn);
    }
    if (sess->fill != NULL) {
        sess_fill_sent(sess);
    }
    if (sess->writes != NULL) {
        sess_writes_begin(sess);
    }
    reply_begin(&sess->reply, cmd->kind, &sess->reply_front, cmd->reply_seq, sess->status);
    cmd->is_sent = true;
    cmd->sent_us = loop_now_us(sess->env->loop);
    balance_sent(&sess->set->load, cmd->server);
    cmd->is_pending = true;
    count_sent(sess, iov.iov_len);
    sess_set_state(sess, SESS_ST_RELAY);
    if (rc == 0) {
        rc = stream_writev(&conn->stream, &iov, 1);
    }
    sess_buf_give(sess, &other);
    if (rc < 0) {
        sess_server_lost(sess, cmd->server);
        return;
    }
    if (sess->is_uploading) {
        sess_pause_front(sess, false);
        sess_continue(sess);
    } else if (cmd->kind == REPLY_NONE) {
        sess_command_done(sess);
    }
}

void sess_go(struct sess *sess, uint8_t *packet, size_t len)
{
    int rc = 0;

    if (!sess_delay_check(sess, packet, len)) {
        return;
    }
    rc = make_ready(sess);
    if (rc < 0) {
        return;
    }
    if (packet != NULL &&
        (rc == 0 || sess->cmd.is_read || sess_delay_keeps(sess) || WR_MUTANT("retry.writes"))) {
        sess_buf_take(sess, &sess->held);
        if (buf_append(&sess->held, packet, len, (size_t)FRAME_MAX_PAYLOAD + FRAME_HEADER) < 0) {
            sess_close(sess, "no memory for a command");
            return;
        }
    }
    if (rc == 0) {
        return;
    }
    if (packet == NULL) {
        packet = sess->held.data + sess->held.off;
        len = buf_len(&sess->held);
    }
    write_command(sess, packet, len);
}

/* --- events of connections --- */

/* The server has looked at the user and does not let it in any more: neither does weir, from now
 * on and without waiting for `recheck`. 1044 and 1049 speak of the schema only. */
static bool is_user_refused(const struct conn_failure *failure)
{
    enum {
        ER_ACCESS_DENIED = 1045,
        ER_ACCESS_DENIED_NO_PASSWORD = 1698,
        ER_MUST_CHANGE_PASSWORD = 1820,
        ER_MUST_CHANGE_PASSWORD_LOGIN = 1862,
        ER_ACCOUNT_LOCKED_MYSQL = 3118,
        ER_ACCOUNT_LOCKED_MARIADB = 4151,
    };
    if (failure->err != -WR_E_SERVER_ERROR || failure->is_before_auth) {
        return false;
    }
    switch (failure->code) {
    case ER_ACCESS_DENIED:
    case ER_ACCESS_DENIED_NO_PASSWORD:
    case ER_MUST_CHANGE_PASSWORD:
    case ER_MUST_CHANGE_PASSWORD_LOGIN:
    case ER_ACCOUNT_LOCKED_MYSQL:
    case ER_ACCOUNT_LOCKED_MARIADB:
        return true;
    default:
        return false;
    }
}

/* There is no server at the other end, or it is about to leave. */
static bool is_gone(const struct conn_failure *failure)
{
    enum {
        ER_SERVER_SHUTDOWN = 1053,
    };
    return failure->err != -WR_E_SERVER_ERROR || failure->code == ER_SERVER_SHUTDOWN;
}

static void on_failed(struct sess *sess, struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;
    const struct conn_failure *failure = conn_failure(conn);
    bool is_waited = sess->state == SESS_ST_OPEN && sess->cmd.server == server;

    sess->conns[server] = NULL;
    if (failure->err != -WR_E_SERVER_ERROR) {
        sess->env->report_failure(sess->env->arg, (uint32_t)server, failure->err);
    }
    if (is_user_refused(failure)) {
        users_refuse(sess->env->users, sess->cred);
        pool_refuse(sess->env->pool, sess->cred);
    }
    log_info(&sess->log, "connect_failed", "server %s: %s", sess->env->topo->servers[server].name,
             failure->text_len != 0 ? failure->text : err_text(failure->err));
    if (is_waited) {
        if (sess->cmd.is_read && server != sess->env->topo->primary) {
            sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
        } else if (!is_gone(failure) || !sess_delay_failed(sess, server)) {
            sess_fail_conn(sess, conn);
        }
    }
    pool_discard(conn, false);
}

/* Bytes on a connection that owes nothing: its end, whatever they say. TLS may have something of
 * its own to read, and then there are none. */
static void on_idle_readable(struct sess *sess, struct conn *conn)
{
    size_t n = 0;
    enum io_rc rc =
        stream_read(&conn->stream, loop_scratch(sess->env->loop), LOOP_SCRATCH_BYTES, &n);

    if (rc != IO_AGAIN) {
        sess_server_lost(sess, (int16_t)conn->server_index);
    }
}

void sess_conn_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct sess *sess = arg;
    int16_t server = (int16_t)conn->server_index;

    WR_ASSERT(sess->magic == SESS_MAGIC);
    switch (event) {
    case CONN_EV_READY:
        pool_opened(conn);
        set_water(sess, conn);
        if (sess->state == SESS_ST_OPEN && sess->cmd.server == server) {
            sess_go(sess, NULL, 0);
        }
        return;
    case CONN_EV_FAILED:
        on_failed(sess, conn);
        return;
    case CONN_EV_READABLE:
        if (sess->state == SESS_ST_RELAY && sess->cmd.server == server) {
            sess_relay(sess, conn);
        } else if (sess->state == SESS_ST_SYNC && sess->own_server == server) {
            sess_own_relay(sess, conn);
        } else {
            on_idle_readable(sess, conn);
        }
        return;
    case CONN_EV_DRAINED:
        if (sess->is_uploading && sess->state == SESS_ST_RELAY) {
            sess_pause_front(sess, false);
            sess_continue(sess);
        }
        return;
    case CONN_EV_CLOSED:
        sess_server_lost(sess, server);
        return;
    case CONN_EV_RECLAIM:
        sess_hold_reclaim(sess, server);
        return;
    }
}
