/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/client/users.h"
#include "weir/config/config.h"
#include "weir/pool/slots.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * A session holds at most one connection to each server, opened when a statement first needs it.
 * Lending connections between sessions has its place here: sess_conn() becomes a checkout, the
 * end of sess_command_done() a checkin, and nothing else in this room knows the difference.
 */

/* --- holding connections --- */

struct conn *sess_conn(const struct sess *sess, int16_t server)
{
    return server >= 0 && server < sess->conn_count ? sess->conns[server] : NULL;
}

static int conns_reserve(struct sess *sess)
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
    sess_stmts_unplace(sess, server); /* a server that has restarted gives its thread ids again */
    conn_close(conn, is_orderly);
    slots_give(sess->env->slots, (size_t)server);
}

void sess_conns_leave(struct sess *sess, uint64_t servers)
{
    bool is_busy =
        sess->state == SESS_ST_OPEN || sess->state == SESS_ST_SYNC || sess->state == SESS_ST_RELAY;

    for (uint16_t i = 0; i < sess->conn_count && i < TOPO_SERVERS_MAX; i++) {
        int16_t server = (int16_t)i;

        if ((servers >> i & 1) == 0 || sess_conn(sess, server) == NULL ||
            server == sess->env->topo->primary || server == sess->ro_tx_server ||
            (is_busy && server == sess->cmd.server) || sess_stmts_hold(sess, server)) {
            continue;
        }
        sess_conn_drop(sess, server, true);
        if (sess->last_server == server) {
            sess->last_server = -1; /* nobody is left who could be asked about it */
        }
    }
}

void sess_conns_close(struct sess *sess, bool is_orderly)
{
    for (uint16_t i = 0; i < sess->conn_count; i++) {
        sess_conn_drop(sess, (int16_t)i, is_orderly);
    }
}

void sess_conn_adopt(struct sess *sess, struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;

    conn_set_owner(conn, sess_conn_event, sess);
    if (conns_reserve(sess) < 0 || server >= sess->conn_count) {
        conn_close(conn, true);
        slots_give(sess->env->slots, (size_t)server);
        return;
    }
    sess_conn_drop(sess, server, true);
    sess->conns[server] = conn;
    stream_set_water(&conn->stream, sess->env->config->limits.relay_high_bytes,
                     sess->env->config->limits.relay_low_bytes);
}

void sess_params_fill(const struct sess *sess, int16_t server, bool is_replica,
                      struct conn_params *ret_params)
{
    const struct sess_env *env = sess->env;

    *ret_params = (struct conn_params){
        .server = &env->topo->servers[server],
        .cred = sess->cred,
        .schema = svec_get(&sess->svec, SVEC_SCHEMA),
        .client_caps = sess->caps,
        .collation = sess->collation,
        .client_attrs = {sess->attrs, sess->attrs_len},
        .client_host = sess->host,
        .is_replica = is_replica,
        .svec = &sess->svec,
        .deadline_us = loop_now_us(env->loop) + env->config->limits.connect_timeout_us,
    };
}

static int conn_begin(struct sess *sess, int16_t server, const struct svec *want)
{
    struct conn_params params;
    struct conn *conn = NULL;
    int err = conns_reserve(sess);

    if (err < 0) {
        return err;
    }
    if (server >= sess->conn_count) {
        return -WR_E_NO_SERVER;
    }
    err = slots_take(sess->env->slots, (size_t)server);
    if (err < 0) {
        return err;
    }
    sess_params_fill(sess, server, server != sess->env->topo->primary, &params);
    params.svec = want;
    params.schema = svec_get(want, SVEC_SCHEMA);
    err = conn_open(sess->env->conn_env, &params, sess_conn_event, sess, &conn);
    if (err < 0) {
        slots_give(sess->env->slots, (size_t)server);
        return err;
    }
    sess->conns[server] = conn;
    return 0;
}

/* --- when a server fails the command in hand --- */

static void unpend(struct sess *sess)
{
    if (sess->cmd.is_pending) {
        balance_done(&sess->set->load, sess->cmd.server);
        sess->cmd.is_pending = false;
    }
}

void sess_try_elsewhere(struct sess *sess, int16_t server, enum sess_err error)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("it failed")};

    unpend(sess);
    sess->own = SESS_OWN_NONE;
    sess_buf_give(sess, &sess->rest);
    cmd->failed_mask |= UINT64_C(1) << server;
    cmd->tries++;
    if (!cmd->is_read || cmd->is_large || buf_len(&sess->held) == 0 ||
        cmd->tries > SESS_TRIES_MAX) {
        sess_fail(sess, error, args, 2);
        return;
    }
    if (server == sess->env->topo->primary) {
        /* the primary has failed a read: there is nobody behind it */
        sess_fail(sess, error, args, 2);
        return;
    }
    metric_inc(sess->env->metrics, METRIC_REROUTES, METRIC_NONE);
    cmd->is_sent = false;
    cmd->got_byte = false;
    if (sess_decide_again(sess)) {
        sess_go(sess, NULL, 0);
    }
}

static bool ends_tx(const struct sess_cmd *cmd)
{
    return (cmd->bits & (FACT(ENDS_TX) | FACT(IMPLICIT_COMMIT) | FACT(DDL))) != 0 ||
           (cmd->bits & (FACT(MULTI) | FACT(LARGE))) != 0 || cmd->verb == VERB_CALL;
}

/* The session's own state died with a connection; what is left of the session. */
struct loss {
    bool tx;
    bool pins;
};

static struct loss note_loss(struct sess *sess, int16_t server, bool was_replica)
{
    struct loss loss = {false, false};

    if (sess->ro_tx_server == server) {
        loss.tx = true;
        sess->ro_tx_server = -1;
    }
    if (!was_replica) {
        loss.tx = loss.tx || sess->tx_open;
        loss.pins = sess->pins != 0;
        if (sess->tx_wrote) {
            sess->raw_until_us = guard_mark(sess->env->board, &sess->set->route_conf,
                                            sess->user_slot, loop_now_us(sess->env->loop));
        }
        sess->tx_open = false;
        sess->tx_wrote = false;
        sess->next_tx_pending = false;
        sess->status &= (uint16_t) ~(STATUS_IN_TRANS | STATUS_IN_TRANS_READONLY);
    }
    if (sess->last_server == server) {
        sess->last_server = -1;
    }
    return loss;
}

/* In the middle of a reply that the client has seen a part of. */
static void lost_midway(struct sess *sess, int16_t server, const struct loss *loss)
{
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("in the middle of a result")};
    bool at_boundary = sess->reply.skip == 0 && !sess->reply.is_continued;

    metric_inc(sess->env->metrics, METRIC_ERRORS, METRIC_ERROR_SERVER_LOST);
    if (!at_boundary) {
        sess_close_flushed(sess, "server lost in the middle of a packet");
    } else if (loss->pins) {
        sess_fail_close(sess, SESS_ERR_SERVER_LOST, args, 2);
    } else {
        sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
    }
}

static void lost_unanswered(struct sess *sess, int16_t server, const struct loss *loss)
{
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("before it answered")};
    enum sess_err error = SESS_ERR_SERVER_LOST;

    if (loss->tx && !(sess->cmd.is_sent && ends_tx(&sess->cmd))) {
        error = SESS_ERR_TX_LOST;
    } else if (sess->cmd.is_sent && (sess->cmd.may_write || loss->tx)) {
        error = SESS_ERR_OUTCOME_UNKNOWN;
        /* it may have run: reads behind it must see it */
        sess->raw_until_us = guard_mark(sess->env->board, &sess->set->route_conf, sess->user_slot,
                                        loop_now_us(sess->env->loop));
    }
    if (loss->pins || sess->cmd.kind == REPLY_NONE) {
        sess_fail_close(sess, error, args, 2);
    } else {
        sess_fail(sess, error, args, 2);
    }
}

void sess_server_lost(struct sess *sess, int16_t server)
{
    struct conn *conn = sess_conn(sess, server);
    bool was_replica = conn != NULL && conn->is_replica;
    bool is_busy =
        sess->state == SESS_ST_OPEN || sess->state == SESS_ST_SYNC || sess->state == SESS_ST_RELAY;
    /* the one connection that owes something now; own_server says nothing outside SYNC */
    int16_t awaited = sess->state == SESS_ST_SYNC ? sess->own_server : sess->cmd.server;
    struct loss loss = note_loss(sess, server, was_replica);

    sess_conn_drop(sess, server, false);
    if (!is_busy || server != awaited) {
        if (loss.pins) {
            sess_close(sess, "the server closed the connection that held the session's state");
        } else if (loss.tx) {
            sess->tx_lost = true;
        }
        return;
    }
    metric_inc(sess->env->metrics, METRIC_SERVER_LOST, (size_t)server);
    sess->env->report_failure(sess->env->arg, (uint32_t)server, -WR_E_CLOSED);
    sess_buf_give(sess, &sess->rest); /* the beginning of a packet whose end will not come */
    if (sess->state == SESS_ST_RELAY && !reply_is_fresh(&sess->reply)) {
        lost_midway(sess, server, &loss);
    } else if (sess->own == SESS_OWN_LEARN) {
        /* what the session has become went with it, and its client was told OK */
        sess_close(sess, "server lost before the session's new state was known");
    } else if (sess->cmd.is_read && server != sess->env->topo->primary) {
        sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
    } else if (!sess->cmd.is_sent && !loss.tx && !loss.pins && sess->cmd.tries == 0 &&
               buf_len(&sess->held) != 0) {
        /* nothing of it has left weir: once more on a new connection */
        sess->cmd.tries++;
        sess->own = SESS_OWN_NONE;
        metric_inc(sess->env->metrics, METRIC_RETRIES, METRIC_NONE);
        sess_go(sess, NULL, 0);
    } else {
        lost_unanswered(sess, server, &loss);
    }
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

static int send_text(struct conn *conn, const char *text)
{
    uint8_t head[FRAME_HEADER + 1];
    struct span span = span_of(text);
    struct iovec iov[2] = {{.iov_base = head, .iov_len = sizeof(head)}, {.iov_len = span.len}};

    frame_encode(head, (uint32_t)span.len + 1, 0);
    head[FRAME_HEADER] = COM_QUERY;
    memcpy(&iov[1].iov_base, &text, sizeof(void *));
    return stream_writev(&conn->stream, iov, 2);
}

/* A read-only transaction on a replica ends, and begins anew on the primary if it goes on there. */
static int move_ro_tx(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, sess->ro_tx_server);

    if (sess->ro_tx_server >= 0) {
        if (conn == NULL || send_text(conn, "COMMIT") < 0) {
            sess_server_lost(sess, sess->ro_tx_server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_END_TX, sess->ro_tx_server, 1, REPLY_QUERY);
        return 0;
    }
    if ((cmd->route_flags & ROUTE_F_MOVE_RO_TX) != 0) {
        conn = sess_conn(sess, cmd->server);
        cmd->route_flags = 0;
        if (send_text(conn, "START TRANSACTION READ ONLY") < 0) {
            sess_server_lost(sess, cmd->server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_BEGIN, cmd->server, 1, REPLY_QUERY);
        return 0;
    }
    cmd->route_flags = 0;
    return 1;
}

static int open_failed(struct sess *sess, int16_t server, int err)
{
    struct span args[2] = {sess_server_name(sess, server), span_of(err_text(err))};

    if (err == -WR_E_LIMIT) {
        if (sess->cmd.is_read && server != sess->env->topo->primary) {
            sess_try_elsewhere(sess, server, SESS_ERR_CON_COUNT);
        } else {
            sess_fail(sess, SESS_ERR_CON_COUNT, NULL, 0);
        }
    } else if (sess->cmd.is_read && server != sess->env->topo->primary) {
        sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
    } else {
        sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
    }
    return -WR_E_CLOSED;
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

/* 1: write it. 0: something is waited for. <0: the command is over, or the session. */
static int make_ready_as(struct sess *sess, struct conn *conn, const struct svec *want)
{
    struct sess_cmd *cmd = &sess->cmd;
    int rc = 0;

    if (conn != NULL && conn->state == CONN_ST_READY &&
        conn->is_replica != (cmd->server != sess->env->topo->primary) &&
        cmd->server != sess->ro_tx_server && !sess->tx_open && sess->pins == 0) {
        sess_conn_drop(sess, cmd->server, true); /* its server has another role now */
        conn = NULL;
    }
    if (conn != NULL && conn->state == CONN_ST_READY && !conn_svec_fits(conn, want)) {
        rc = conn_send_svec(conn, want);
        if (rc > 0) {
            metric_inc(sess->env->metrics, METRIC_STATE_REPLAYS, METRIC_NONE);
            sess_sync_wait(sess, SESS_OWN_SVEC, cmd->server, (uint16_t)rc, REPLY_SIMPLE);
            return 0;
        }
        if (rc == -WR_E_UNSUPPORTED && !sess->tx_open && sess->pins == 0) {
            if (!begin_anew(sess)) {
                return rc;
            }
            conn = NULL;
        } else if (rc < 0) {
            sess_server_lost(sess, cmd->server);
            return rc;
        }
    }
    if (conn == NULL) {
        rc = conn_begin(sess, cmd->server, want);
        if (rc < 0) {
            return open_failed(sess, cmd->server, rc);
        }
        sess_set_state(sess, SESS_ST_OPEN);
        return 0;
    }
    if (conn->state != CONN_ST_READY) {
        sess_set_state(sess, SESS_ST_OPEN);
        return 0;
    }
    if (cmd->route_flags != 0) {
        rc = move_ro_tx(sess);
        if (rc <= 0) {
            return rc;
        }
    }
    if (cmd->stmt != NULL && cmd->com != COM_STMT_PREPARE && !sess_stmt_is_placed(sess, conn)) {
        if (sess_stmt_send_prepare(sess, conn) < 0) {
            sess_server_lost(sess, cmd->server);
            return -WR_E_CLOSED;
        }
        sess_sync_wait(sess, SESS_OWN_PREPARE, cmd->server, 1, REPLY_PREPARE);
        return 0;
    }
    return 1;
}

static int make_ready(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    struct svec want;
    int rc = 0;

    if (sess->cmd.stmt == NULL) {
        return make_ready_as(sess, conn, &sess->svec);
    }
    svec_init(&want, sess->svec.values);
    rc = sess_stmt_state(sess, conn, &want);
    if (rc < 0) {
        sess_close(sess, "no memory for a state");
    } else {
        rc = make_ready_as(sess, conn, rc > 0 ? &want : &sess->svec);
    }
    svec_fini(&want);
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
    if (cmd->reason == ROUTE_READ_AFTER_WRITE) {
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
    int rc = make_ready(sess);

    if (rc < 0) {
        return;
    }
    if (packet != NULL && (rc == 0 || sess->cmd.is_read)) {
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

static void on_failed(struct sess *sess, struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;
    const struct conn_failure *failure = conn_failure(conn);
    bool is_waited = sess->state == SESS_ST_OPEN && sess->cmd.server == server;

    sess->conns[server] = NULL;
    slots_give(sess->env->slots, (size_t)server);
    if (failure->err != -WR_E_SERVER_ERROR) {
        sess->env->report_failure(sess->env->arg, (uint32_t)server, failure->err);
    }
    if (is_user_refused(failure)) {
        users_refuse(sess->env->users, sess->cred);
    }
    log_info(&sess->log, "connect_failed", "server %s: %s", sess->env->topo->servers[server].name,
             failure->text_len != 0 ? failure->text : err_text(failure->err));
    if (is_waited) {
        if (sess->cmd.is_read && server != sess->env->topo->primary) {
            sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
        } else {
            sess_fail_conn(sess, conn);
        }
    }
    conn_close(conn, false);
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
        stream_set_water(&conn->stream, sess->env->config->limits.relay_high_bytes,
                         sess->env->config->limits.relay_low_bytes);
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
    }
}
