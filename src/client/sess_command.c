/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"

/* What weir does with each command; commands that are not here get the server's 1047. */
typedef void (*command_fn)(struct sess *sess, uint8_t *packet, size_t len);

static struct span payload_of(const uint8_t *packet, size_t len)
{
    return (struct span){packet + FRAME_HEADER, len - FRAME_HEADER};
}

/* Rows of one table have one type, whether they change the packet or not.
 * NOLINTBEGIN(readability-non-const-parameter) */
static void do_quit(struct sess *sess, uint8_t *packet, size_t len)
{
    (void)packet;
    (void)len;
    sess_close_flushed(sess, "client quit"); /* replies to what it sent before may be queued */
}

static void do_ping(struct sess *sess, uint8_t *packet, size_t len)
{
    (void)packet;
    (void)len;
    sess_answer_ok(sess);
}

static void do_primary(struct sess *sess, uint8_t *packet, size_t len)
{
    sess_to_primary(sess);
    sess_go(sess, packet, len);
}

static void do_ddl(struct sess *sess, uint8_t *packet, size_t len)
{
    sess->cmd.bits = FACT(DDL) | FACT(IMPLICIT_COMMIT);
    sess->cmd.may_write = true;
    if (sess->env->cache != NULL) {
        sess_writes_note_all(sess);
    }
    do_primary(sess, packet, len);
}

static void do_init_db(struct sess *sess, uint8_t *packet, size_t len)
{
    sess->cmd.verb = VERB_USE;
    sess->cmd.bits = FACT(SETS_STATE);
    sess_buf_take(sess, &sess->held); /* the name is needed when the OK comes */
    if (buf_append(&sess->held, packet, len, SESS_HELD_MAX + FRAME_HEADER) < 0) {
        sess_close(sess, "no memory for a command");
        return;
    }
    sess_to_primary(sess);
    sess_go(sess, NULL, 0);
}

static void do_set_option(struct sess *sess, uint8_t *packet, size_t len)
{
    uint16_t option = 0;

    if (command_decode_set_option(payload_of(packet, len), &option) != DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return;
    }
    if (option > 1) {
        sess_fail(sess, SESS_ERR_UNKNOWN_COMMAND, NULL, 0);
        return;
    }
    /* connections carry the flag from their login: the session has others from now on, and this one
     * is not lent again */
    sess->cmd.bits = option == 0 ? FACT(MULTI) : 0;
    do_primary(sess, packet, len);
}

static void do_reset(struct sess *sess, uint8_t *packet, size_t len)
{
    int16_t primary = sess->env->topo->primary;

    if (sess->ro_tx_server >= 0) {
        struct conn *conn = sess_conn(sess, sess->ro_tx_server);

        if (conn != NULL) {
            conn->is_dirty = true; /* the pool ends its transaction */
        }
        sess->ro_tx_server = -1;
    }
    if (primary < 0 || sess_conn(sess, primary) == NULL) {
        sess_reset_connection(sess);
        sess_answer_ok(sess);
        return;
    }
    do_primary(sess, packet, len);
}

static void do_kill(struct sess *sess, uint8_t *packet, size_t len)
{
    struct facts_kill kill = {.form = KILL_ID};
    uint32_t id = 0;

    if (command_decode_process_kill(payload_of(packet, len), &id) != DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return;
    }
    kill.id = id;
    sess_kill(sess, &kill);
}

static void do_refuse(struct sess *sess, uint8_t *packet, size_t len)
{
    struct span privilege = SPAN_LIT("REPLICATION SLAVE");
    uint32_t version = 0;

    (void)len;
    if (packet[FRAME_HEADER] == COM_CLONE && sess_flavour(sess, &version) != TOPO_FLAVOUR_MYSQL) {
        sess_fail(sess, SESS_ERR_UNKNOWN_COMMAND, NULL, 0);
        return;
    }
    if (packet[FRAME_HEADER] == COM_SHUTDOWN) {
        privilege = SPAN_LIT("SHUTDOWN");
    } else if (packet[FRAME_HEADER] == COM_CLONE) {
        privilege = SPAN_LIT("BACKUP_ADMIN");
    }
    sess_fail(sess, SESS_ERR_PRIVILEGE, &privilege, 1);
}

static void do_change_user(struct sess *sess, uint8_t *packet, size_t len)
{
    sess_change_user(sess, packet, len);
}

/* NOLINTEND(readability-non-const-parameter) */

static const command_fn COMMAND[256] = {
    [COM_QUIT] = do_quit,
    [COM_INIT_DB] = do_init_db,
    [COM_QUERY] = sess_query,
    [COM_FIELD_LIST] = do_primary,
    [COM_CREATE_DB] = do_ddl,
    [COM_DROP_DB] = do_ddl,
    [COM_REFRESH] = do_primary,
    [COM_SHUTDOWN] = do_refuse,
    [COM_STATISTICS] = do_primary,
    [COM_PROCESS_INFO] = do_primary,
    [COM_PROCESS_KILL] = do_kill,
    [COM_DEBUG] = do_primary,
    [COM_PING] = do_ping,
    [COM_CHANGE_USER] = do_change_user,
    [COM_BINLOG_DUMP] = do_refuse,
    [COM_REGISTER_SLAVE] = do_refuse,
    [COM_BINLOG_DUMP_GTID] = do_refuse,
    [COM_CLONE] = do_refuse,
    [COM_STMT_PREPARE] = sess_stmt_prepare,
    [COM_STMT_EXECUTE] = sess_stmt_execute,
    [COM_STMT_SEND_LONG_DATA] = sess_stmt_long_data,
    [COM_STMT_CLOSE] = sess_stmt_close,
    [COM_STMT_RESET] = sess_stmt_reset,
    [COM_STMT_FETCH] = sess_stmt_fetch,
    [COM_SET_OPTION] = do_set_option,
    [COM_RESET_CONNECTION] = do_reset,
    [COM_MARIADB_STMT_BULK_EXECUTE] = sess_stmt_execute,
};

void sess_command_init(struct sess *sess, uint8_t com)
{
    memset(&sess->cmd, 0, sizeof(sess->cmd));
    sess->cmd.com = com;
    sess->cmd.kind = command_reply_kind(com);
    sess->cmd.reply_seq = 1;
    sess->cmd.server = -1;
    sess->cmd.started_us = loop_now_us(sess->env->loop);
    sess->commands++;
}

void sess_command(struct sess *sess, uint8_t *packet, size_t len)
{
    uint8_t com = len > FRAME_HEADER ? packet[FRAME_HEADER] : COM_SLEEP;
    command_fn fn = COMMAND[com];

    sess_command_init(sess, com);
    sess_hold_begin(sess);
    sess_leave_home(sess);
    if (!stream_is_open(&sess->front)) {
        return;
    }
    if (fn == NULL) {
        sess_fail(sess, SESS_ERR_UNKNOWN_COMMAND, NULL, 0);
    } else if (sess->tx_lost && com == COM_QUERY) {
        struct span name = SPAN_LIT("of the session's transaction");

        sess->tx_lost = false;
        sess_fail(sess, SESS_ERR_TX_LOST, &name, 1);
    } else {
        fn(sess, packet, len);
    }
}

/* Everything that COM_RESET_CONNECTION and COM_CHANGE_USER forget. The schema and the role stay,
 * as on the servers; so do the marks of writes: they are about data, not about the session. */
void sess_reset_state(struct sess *sess)
{
    sess_stmts_free(sess);
    sess_conns_end(sess);
    if (sess->writes != NULL) {
        sess_writes_forget(sess);
    }
    sess_new_serial(sess);
    for (unsigned i = 0; i < SVEC_COUNT; i++) {
        if (i != SVEC_SCHEMA && i != SVEC_ROLE) {
            svec_clear(&sess->svec, (enum svec_var)i);
        }
    }
    if (sess->pins != 0) {
        metric_sub(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
    }
    sess->pins = 0;
    sess->pin_digest = 0;
    sess->tx_open = false;
    sess->tx_wrote = false;
    sess->tx_lost = false;
    sess->next_tx_pending = false;
    sess->ro_tx_server = -1;
    sess->last_server = -1;
    sess->status = STATUS_AUTOCOMMIT;
    if (sess_take_defaults(sess) < 0) {
        sess->pins = PIN_BIT(PIN_UNKNOWN);
        metric_add(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
    }
    sess_refresh(sess);
}

void sess_reset_connection(struct sess *sess)
{
    struct conn *role = sess_role_keep(sess);
    const struct topo_server *primary = topo_primary(sess->env->topo);

    /* MySQL goes back to its own character set, MariaDB to the one of the login. */
    if (primary != NULL && primary->flavour == TOPO_FLAVOUR_MYSQL && primary->has_defaults) {
        sess->collation = primary->defaults.collation_id;
    }
    sess_reset_state(sess);
    if (role != NULL) {
        sess_role_kept(sess, role);
    }
    if (sess_rekey(sess) < 0) {
        sess_close(sess, "no memory for a user's connections");
    }
}

void sess_command_done(struct sess *sess)
{
    bool was_sent = sess->cmd.is_sent && !sess->cmd.is_local;
    /* with several statements in one text, one before the error may have set something */
    bool needs_learn = sess->cmd.needs_learn && was_sent &&
                       (!sess->cmd.got_err || (sess->cmd.bits & FACT(MULTI)) != 0);

    sess_unpend(sess);
    if (sess->fill != NULL) {
        sess_fill_end(sess);
    }
    if (was_sent) {
        metric_observe(sess->env->metrics, METRIC_QUERY_SECONDS,
                       loop_now_us(sess->env->loop) - sess->cmd.started_us);
    }
    if ((was_sent || sess->cmd.is_cached) && sess->cmd.digest_at != 0) {
        sess_digest_end(sess);
    }
    sess_track_done(sess);
    if (sess->writes != NULL) {
        sess_writes_end(sess);
    }
    if (!stream_is_open(&sess->front) || sess->state == SESS_ST_CLOSING) {
        return; /* RELEASE; what is queued for the client still goes out */
    }
    sess_buf_give(sess, &sess->held);
    sess_buf_give(sess, &sess->rest);
    sess->own = SESS_OWN_NONE;
    sess->own_ahead = 0;
    if (sess->cmd.stmt != NULL) {
        sess_stmt_done(sess);
    }
    sess_upload_end(sess);
    sess->cmd.is_local = false;
    sess->cmd.is_sent = false;
    sess->cmd.stmt = NULL;
    if (sess->is_uploading) {
        /* the answer came before the command was whole: its rest cannot be told from the next */
        sess_close_flushed(sess, "answered before the command was whole");
        return;
    }
    if (buf_len(&sess->extra) != 0) {
        sess_extra_done(sess, was_sent);
    }
    if (needs_learn && sess_learn(sess)) {
        return;
    }
    if (sess->deadline_us != 0 && !sess->tx_open && sess->ro_tx_server < 0) {
        sess_close_flushed(sess, "shutdown");
        return;
    }
    sess_idle(sess);
}
