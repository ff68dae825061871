/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of prepared statements: EXECUTE (MariaDB's for many rows too), FETCH, CLOSE, RESET and SEND_LONG_DATA. Long data is
 * kept until the EXECUTE says where it runs, unless there is too much of it.
 */
#include <errno.h>
#include <string.h>

#include "weir/protocol/frame.h"
#include "weir/protocol/stmt.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_stmt_priv.h"

/* As a server does until a RESET. It keeps the handle in that state, which another session's EXECUTE
 * would meet: so no handle is told. */
static void wrong_data(struct sess *sess)
{
    uint32_t version = 0;
    struct span where = SPAN_LIT("mysqld_stmt_send_long_data");

    if (sess_flavour(sess, &version) == TOPO_FLAVOUR_MYSQL) {
        where = SPAN_LIT("mysql_stmt_precheck");
    }
    sess_fail(sess, SESS_ERR_WRONG_ARGS, &where, 1);
}

static void unknown_stmt(struct sess *sess, uint32_t id, const char *where)
{
    char number[16];
    struct span args[2] = {{(const uint8_t *)number, 0}, span_of(where)};
    unsigned len = 0;
    uint32_t rest = id;
    uint32_t version = 0;

    if (sess_flavour(sess, &version) == TOPO_FLAVOUR_MYSQL) {
        args[1] = SPAN_LIT("mysql_stmt_precheck");
    }
    do {
        number[sizeof(number) - ++len] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    args[0] = (struct span){(const uint8_t *)number + sizeof(number) - len, len};
    sess_fail(sess, SESS_ERR_UNKNOWN_STMT, args, 2);
}

/* The statement's server is given: its cursor or its long data is there. */
static void force_server(struct sess *sess, int16_t server)
{
    sess->cmd.is_forced = true;
    sess->cmd.server = server;
    sess->cmd.target = server == sess->env->topo->primary ? ROUTE_TO_PRIMARY : ROUTE_TO_REPLICA;
    sess->cmd.reason = ROUTE_LAST;
}

/* Names as they were at PREPARE; when texts are read in another way now, they are not known. */
static void note_names(struct sess *sess, const struct stmt *stmt)
{
    static const enum svec_var readers[] = {SVEC_SQL_MODE, SVEC_CS_CLIENT, SVEC_CS_CONNECTION};

    sess_pins_note(sess, sess_stmt_text(stmt), &stmt->facts, sess_stmt_schema(stmt));
    for (size_t i = 0; i < WR_ARRAY_LEN(readers); i++) {
        if (stmt->at.v[readers[i]] != sess->svec.v[readers[i]]) {
            sess_pins_blur(sess);
        }
    }
}

/* What no server takes as it is, in the words of those that know the command. */
static bool is_bulk_refused(struct sess *sess, struct span payload)
{
    struct stmt_execute execute = {0};
    uint32_t version = 0;

    if (sess_flavour(sess, &version) != TOPO_FLAVOUR_MARIADB) {
        sess_fail(sess, SESS_ERR_UNKNOWN_COMMAND, NULL, 0);
    } else if (stmt_bulk_decode(payload, 0, &execute) != DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
    } else if ((sess->caps & CAP_MARIADB_STMT_BULK) == 0 ||
               (execute.bulk_flags & ~STMT_BULK_SEND_TYPES) != 0) {
        sess_fail(sess, SESS_ERR_UNSUPPORTED_PS, NULL, 0);
    } else {
        return false;
    }
    return true;
}

static enum dec_rc body_decode(const struct sess *sess, struct span payload, uint16_t params,
                               struct stmt_execute *ret_execute)
{
    if (sess->cmd.com != COM_STMT_EXECUTE) {
        return stmt_bulk_decode(payload, params, ret_execute);
    }
    return (sess->caps & CAP_QUERY_ATTRIBUTES) != 0
               ? stmt_execute_named_decode(payload, params, ret_execute)
               : stmt_execute_decode(payload, params, ret_execute);
}

/* By what is kept. */
static bool is_answered(struct sess *sess, const struct facts *facts,
                        const struct stmt_execute *execute)
{
    const struct stmt *stmt = sess->cmd.stmt;

    return sess->env->cache != NULL && !sess->cmd.is_forced && !sess->cmd.is_large &&
           (stmt->params == 0 || (stmt->has_types && execute->nulls.p != NULL)) &&
           sess_cache_ask(sess, &(struct sess_question){
                                    .sql = sess_stmt_text(stmt),
                                    .facts = facts,
                                    .stmt = stmt,
                                    .execute = execute,
                                    .schema = sess_stmt_schema(stmt),
                                });
}

static void note_writes(struct sess *sess, const struct facts *facts,
                        const struct stmt_execute *execute)
{
    const struct stmt *stmt = sess->cmd.stmt;

    if (sess->env->cache != NULL) {
        sess_writes_note(sess, &(struct sess_question){
                                   .sql = sess_stmt_text(stmt),
                                   .facts = facts,
                                   .stmt = stmt,
                                   .execute = execute,
                                   .schema = sess_stmt_schema(stmt),
                               });
    }
}

void sess_stmt_execute(struct sess *sess, uint8_t *packet, size_t len)
{
    struct span payload = {packet + FRAME_HEADER, len - FRAME_HEADER};
    struct stmt_execute execute = {0};
    struct stmt *stmt = NULL;
    const struct facts *facts = NULL;
    struct facts own;
    uint32_t id = 0;

    if (sess->tx_lost) {
        struct span name = SPAN_LIT("of the session's transaction");

        sess->tx_lost = false;
        sess_fail(sess, SESS_ERR_TX_LOST, &name, 1);
        return;
    }
    if (sess->cmd.com == COM_MARIADB_STMT_BULK_EXECUTE && is_bulk_refused(sess, payload)) {
        return;
    }
    if (command_decode_stmt_id(payload, &id) != DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return;
    }
    stmt = stmt_find(sess, id);
    if (stmt == NULL) {
        unknown_stmt(sess, id, "mysqld_stmt_execute");
        return;
    }
    if (stmt->is_data_wrong) {
        wrong_data(sess);
        return;
    }
    if (stmt->is_own) {
        sess_causal_answer(sess);
        return;
    }
    if ((stmt->facts.bits & FACT(KILL)) != 0 && sess->cmd.com != COM_STMT_EXECUTE) {
        sess_fail(sess, SESS_ERR_UNSUPPORTED_PS, NULL, 0);
        return;
    }
    if ((stmt->facts.bits & FACT(KILL)) != 0) {
        sess_kill(sess, &stmt->facts.kill);
        return;
    }
    sess->cmd.stmt = stmt;
    if (!sess->cmd.is_large) {
        sess_digest_begin(sess, stmt->digest, sess_stmt_text(stmt));
    }
    if (body_decode(sess, payload, stmt->params, &execute) != DEC_OK) {
        if (!sess->cmd.is_large) {
            /* as it is: the server's own words about it are the right ones */
            memset(&execute, 0, sizeof(execute));
        }
    } else if (id == COM_STMT_ID_LAST && stmt->params != 0 && !execute.has_types) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0); /* who does not wait for the id sends types */
        return;
    } else if (execute.has_types && stmt->params != 0) {
        stmt_execute_types(&execute, stmt->params, stmt->types);
        stmt->has_types = true;
    }
    sess->cmd.needs_learn = sess_is_unreported(&stmt->facts, sess_stmt_text(stmt));
    sess->cmd.rule = stmt->rule;
    sess_rule_renew(sess, &stmt->facts, sess_stmt_text(stmt));
    stmt->rule = sess->cmd.rule;
    if (!sess_rule_apply(sess, &stmt->facts, sess_stmt_text(stmt))) {
        return;
    }
    if (stmt->is_data_sent) {
        struct span args[2] = {sess_server_name(sess, stmt->server),
                               SPAN_LIT("and with it the long data sent before")};

        if (stmt->busy == NULL) {
            stmt->is_data_sent = false;
            sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
            return;
        }
        force_server(sess, stmt->server);
    } else {
        stmt_busy_close(sess, stmt); /* an EXECUTE ends the cursor of the one before */
        if (sess->cmd.is_large && sess->ro_tx_server < 0) {
            sess_to_primary(sess);
            sess->cmd.is_forced = true;
        }
    }
    facts = sess_attrs_of_execute(sess, (struct span){packet, len}, &own);
    if (is_answered(sess, facts, &execute) || !sess_decide(sess, facts)) {
        return;
    }
    note_writes(sess, facts, &execute);
    if (sess->fill != NULL && sess_cache_waits(sess, packet, len)) {
        return;
    }
    note_names(sess, stmt);
    if ((execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE) {
        sess->cmd.no_vars = false; /* its connection stays, and must never have to be reset */
    }
    sess_go(sess, packet, len);
    if (stream_is_open(&sess->front) && (execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE &&
        sess->cmd.stmt == stmt) {
        sess->cmd.is_read = false; /* the cursor lives where the statement is sent now */
    }
}

/* What came by SEND_LONG_DATA, to the handle that is about to be executed. */
static int data_flush(struct sess *sess, struct conn *conn, const struct stmt *stmt, uint32_t id)
{
    struct span data = buf_span(&stmt->data);
    uint8_t *bytes = NULL;
    size_t at = 0;

    if (data.len == 0) {
        return 0;
    }
    bytes = stmt->data.data + stmt->data.off;
    while (at < data.len) {
        struct frame frame;

        if (frame_decode(bytes + at, data.len - at, &frame) != DEC_OK) {
            return -WR_E_BAD_PACKET;
        }
        (void)command_set_stmt_id(bytes + at + FRAME_HEADER, frame.len, id);
        at += FRAME_HEADER + frame.len;
    }
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_SERVER_OUT, data.len);
    return stream_write(&conn->stream, data.p, data.len);
}

/* The types that the handle was told last are not those of this session's statement. */
static bool needs_types(const struct stmt *stmt, const struct stmt_execute *execute,
                        const struct handle *handle)
{
    if (execute->is_bulk && execute->values.len == 0) {
        return false; /* the server says what is wrong with it */
    }
    return !execute->has_types && stmt->params != 0 && stmt->has_types &&
           (handle->types == NULL ||
            memcmp(handle->types, stmt->types, (size_t)stmt->params * 2) != 0);
}

/* The EXECUTE with its types put in. Of a large one packet is the beginning only: its first frame
 * grows by as much, or is a full one and all frames end elsewhere than the client's. */
static int put_types(struct sess *sess, const struct stmt_execute *execute, uint32_t id,
                     const uint8_t *packet, struct buf *out)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct span types = {stmt->types, (size_t)stmt->params * 2};
    size_t grows = stmt_execute_grows(execute, stmt->params);
    struct buf body = {0};
    struct wire_out wire;
    uint8_t seq = 0;
    int rc = 0;

    sess_buf_take(sess, &body);
    sess_buf_take(sess, out);
    wire_out_buf(&wire, &body, SESS_ANSWER_MAX);
    stmt_execute_encode(&wire, execute, id, types, stmt->params);
    rc = wire_out_ok(&wire) ? 0 : -ENOMEM;
    if (rc == 0 && sess->cmd.is_large) {
        struct frame frame;
        uint8_t head[FRAME_HEADER];

        (void)frame_decode(packet, FRAME_HEADER, &frame);
        if (frame.len + grows >= FRAME_MAX_PAYLOAD) {
            frame.len = FRAME_MAX_PAYLOAD;
            rc = sess_upload_shift(sess, grows, (uint32_t)buf_len(&body));
        } else {
            frame.len += (uint32_t)grows;
        }
        frame_encode(head, frame.len, 0);
        rc = rc < 0 ? rc : buf_append(out, head, sizeof(head), SESS_ANSWER_MAX);
        rc = rc < 0 ? rc : buf_append_span(out, buf_span(&body), SESS_ANSWER_MAX);
    } else if (rc == 0) {
        struct wire_out framed;

        wire_out_buf(&framed, out, SESS_ANSWER_MAX);
        frame_packet_encode(&framed, &seq, buf_span(&body));
        rc = wire_out_ok(&framed) ? 0 : -ENOMEM;
        sess->cmd.reply_seq = seq;
    }
    sess_buf_give(sess, &body);
    return rc;
}

int sess_stmt_translate(struct sess *sess, struct conn *conn, uint8_t *packet, size_t len,
                        struct buf *out)
{
    struct stmt *stmt = sess->cmd.stmt;
    struct handle *handle = sess->cmd.handle;
    struct span payload = {packet + FRAME_HEADER, len - FRAME_HEADER};
    struct stmt_execute execute;
    int rc = 0;

    (void)command_set_stmt_id(packet + FRAME_HEADER, len - FRAME_HEADER, handle->id);
    if (!sess_is_execute(sess) && sess->cmd.com != COM_STMT_SEND_LONG_DATA) {
        return 0;
    }
    if (!stmt->is_data_sent) {
        rc = data_flush(sess, conn, stmt, handle->id);
    }
    if (rc < 0) {
        return rc;
    }
    if (sess->cmd.com == COM_STMT_SEND_LONG_DATA) {
        stmt_data_drop(sess, stmt);
        stmt_set_busy(sess, stmt, handle, sess->cmd.server);
        stmt->is_data_sent = true;
        return 0;
    }
    if (body_decode(sess, payload, stmt->params, &execute) != DEC_OK) {
        return 0;
    }
    if ((execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE) {
        stmt_set_busy(sess, stmt, handle, sess->cmd.server);
    }
    if (execute.has_types) {
        return stmt->params == 0 || !stmt->has_types
                   ? 0
                   : handle_set_types(handle, (struct span){stmt->types, (size_t)stmt->params * 2},
                                      stmt_user(sess, stmt));
    }
    if (!needs_types(stmt, &execute, handle)) {
        return 0;
    }
    rc = put_types(sess, &execute, handle->id, packet, out);
    return rc < 0 ? rc
                  : handle_set_types(handle, (struct span){stmt->types, (size_t)stmt->params * 2},
                                     stmt_user(sess, stmt));
}

void sess_stmt_done(struct sess *sess)
{
    struct stmt *stmt = sess->cmd.stmt;
    bool is_open = stmt->busy != NULL && sess->cmd.is_sent && !sess->cmd.got_err;

    switch (sess->cmd.com) {
    case COM_STMT_EXECUTE:
    case COM_MARIADB_STMT_BULK_EXECUTE:
        stmt_data_drop(sess, stmt);
        if (!sess->cmd.is_sent) {
            stmt_busy_close(sess, stmt); /* what was sent ahead of it must not meet another's */
        } else if (!is_open || (sess->status & STATUS_CURSOR_EXISTS) == 0) {
            stmt_set_free(sess, stmt);
        }
        stmt->is_data_sent = false;
        return;
    case COM_STMT_FETCH:
        if (!is_open || (sess->status & STATUS_LAST_ROW_SENT) != 0) {
            stmt_set_free(sess, stmt);
        }
        return;
    case COM_STMT_RESET:
        stmt_set_free(sess, stmt);
        return;
    default:
        return;
    }
}

/* --- the small ones --- */

void sess_stmt_fetch(struct sess *sess, uint8_t *packet, size_t len)
{
    struct command_fetch fetch;
    struct stmt *stmt = NULL;

    if (command_decode_fetch((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &fetch) !=
        DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return;
    }
    stmt = stmt_find(sess, fetch.stmt_id);
    if (stmt == NULL) {
        unknown_stmt(sess, fetch.stmt_id, "mysqld_stmt_fetch");
        return;
    }
    sess->cmd.stmt = stmt;
    if (stmt->busy != NULL) {
        force_server(sess, stmt->server);
    } else {
        sess_to_primary(sess); /* no cursor is open: the server says so in its own words */
    }
    sess_go(sess, packet, len);
}

/* One type with the others of the table. NOLINTNEXTLINE(readability-non-const-parameter) */
void sess_stmt_close(struct sess *sess, uint8_t *packet, size_t len)
{
    struct stmt *stmt = NULL;
    uint32_t id = 0;

    if (command_decode_stmt_id((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &id) ==
        DEC_OK) {
        stmt = stmt_find(sess, id);
    }
    sess->cmd.is_local = true;
    if (stmt != NULL) {
        stmt_end(sess, stmt);
    }
    sess_command_done(sess);
}

void sess_stmt_reset(struct sess *sess, uint8_t *packet, size_t len)
{
    struct stmt *stmt = NULL;
    uint32_t id = 0;

    if (command_decode_stmt_id((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &id) !=
        DEC_OK) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return;
    }
    stmt = stmt_find(sess, id);
    if (stmt == NULL) {
        unknown_stmt(sess, id, "mysqld_stmt_reset");
        return;
    }
    stmt_data_drop(sess, stmt);
    stmt->is_data_wrong = false;
    if (stmt->busy == NULL) {
        stmt->is_data_sent = false;
        sess_answer_ok(sess); /* nothing of it waits anywhere */
        return;
    }
    sess->cmd.stmt = stmt;
    force_server(sess, stmt->server);
    sess_go(sess, packet, len);
}

void sess_stmt_long_data(struct sess *sess, uint8_t *packet, size_t len)
{
    struct command_long_data data = {0};
    struct stmt *stmt = NULL;

    if (command_decode_long_data((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &data) ==
        DEC_OK) {
        stmt = stmt_find(sess, data.stmt_id);
    }
    if (stmt != NULL && data.param >= stmt->params) {
        stmt->is_data_wrong = true;
        stmt = NULL;
    }
    if (stmt == NULL) {
        /* no reply to this command: EXECUTE will tell */
        if (sess->is_uploading) {
            sess_close(sess, "long data for an unknown statement");
            return;
        }
        sess->cmd.is_local = true;
        sess_command_done(sess);
        return;
    }
    if (stmt->busy != NULL && !stmt->is_data_sent) {
        stmt_busy_close(sess, stmt); /* the EXECUTE that is to come ends this cursor */
    }
    if (!sess->cmd.is_large && !stmt->is_data_sent && sess->data_bytes + len <= SESS_DATA_MAX) {
        if (buf_append(&stmt->data, packet, len, SESS_DATA_MAX) < 0) {
            sess_close(sess, "no memory for long data");
            return;
        }
        sess->data_bytes += len;
        sess->cmd.is_local = true;
        sess_command_done(sess);
        return;
    }
    sess->cmd.stmt = stmt;
    if (stmt->busy != NULL) {
        force_server(sess, stmt->server);
    } else {
        sess_to_primary(sess); /* or to where a read-only transaction is open */
        sess->cmd.is_forced = true;
    }
    sess_go(sess, packet, len);
}
