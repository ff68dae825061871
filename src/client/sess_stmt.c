/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/stmt.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * Prepared statements. The client's id is weir's own; each connection of the session that has
 * executed the statement knows it under an id of its own, and is given it when it is first needed
 * there. The text and the parameter types are remembered for that.
 */

#define STMT_SLOT_BITS 20U
#define STMT_SLOT_MASK ((1U << STMT_SLOT_BITS) - 1U)

/* The statement on one connection. Good while that server's connection is still this one. */
struct stmt_place {
    uint32_t thread_id; /* of the connection; 0: never prepared there */
    uint32_t id;
    bool is_typed; /* parameter types have been sent on it */
};

struct stmt {
    uint32_t id;
    uint16_t params;
    uint16_t place_count;
    int16_t cursor_server; /* -1: no cursor open */
    int16_t data_server;   /* where long data has been sent, -1: none */
    bool has_types;
    uint64_t digest;
    struct facts facts; /* spans point into text */
    struct sess_rule_mark rule;
    uint8_t *text;
    size_t text_len;
    uint8_t *types; /* 2 * params bytes; NULL without parameters */
    struct svec at; /* what the session was at PREPARE: it decides what the text means */
    struct stmt_place place[];
};

const struct facts *sess_stmt_facts(const struct stmt *stmt)
{
    return &stmt->facts;
}

struct span sess_stmt_text(const struct stmt *stmt)
{
    return (struct span){stmt->text, stmt->text_len};
}

static void stmt_free(struct stmt *stmt)
{
    if (stmt != NULL) {
        svec_fini(&stmt->at);
        free(stmt->text);
        free(stmt->types);
        free(stmt);
    }
}

/* What a server binds a text to when it prepares it. */
static const enum svec_var BOUND[] = {SVEC_SCHEMA,        SVEC_CS_CLIENT, SVEC_CS_RESULTS,
                                      SVEC_CS_CONNECTION, SVEC_COLLATION, SVEC_SQL_MODE};

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

struct span sess_stmt_schema(const struct stmt *stmt)
{
    return svec_get(&stmt->at, SVEC_SCHEMA);
}

/* Where the value at PREPARE was the server's own, it is written down, for a connection that has
 * another one cannot go back to it. No schema at PREPARE: all names are qualified. */
static int bound_fill(const struct sess *sess, const struct stmt *stmt, enum svec_var var,
                      struct svec *want)
{
    const struct topo_server *primary = topo_primary(sess->env->topo);

    if (svec_is_set(&stmt->at, var)) {
        return svec_get(&stmt->at, var).len == 0 && var == SVEC_SCHEMA
                   ? 0
                   : svec_set(want, var, svec_get(&stmt->at, var));
    }
    if (var == SVEC_SQL_MODE && primary != NULL && primary->has_defaults) {
        return svec_set(want, var, span_of(primary->defaults.sql_mode));
    }
    if (var != SVEC_SCHEMA && !(var != SVEC_SQL_MODE && is_ascii(sess_stmt_text(stmt)))) {
        svec_clear(want, var);
    }
    return 0;
}

int sess_stmt_state(const struct sess *sess, const struct conn *conn, struct svec *ret_want)
{
    const struct stmt *stmt = sess->cmd.stmt;
    bool is_other = false;
    int err = 0;

    if (stmt == NULL || sess->cmd.com == COM_STMT_PREPARE ||
        (conn != NULL && sess_stmt_is_placed(sess, conn))) {
        return 0;
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(BOUND); i++) {
        is_other = is_other || stmt->at.v[BOUND[i]] != sess->svec.v[BOUND[i]];
    }
    if (!is_other) {
        return 0;
    }
    svec_copy(ret_want, &sess->svec);
    for (size_t i = 0; i < WR_ARRAY_LEN(BOUND) && err >= 0; i++) {
        err = bound_fill(sess, stmt, BOUND[i], ret_want);
    }
    return err < 0 ? err : 1;
}

bool sess_stmts_hold(const struct sess *sess, int16_t server)
{
    for (uint32_t i = 0; i < sess->stmt_slots; i++) {
        const struct stmt *stmt = sess->stmts[i];

        if (stmt != NULL && (stmt->cursor_server == server || stmt->data_server == server)) {
            return true;
        }
    }
    return false;
}

void sess_stmts_unplace(struct sess *sess, int16_t server)
{
    for (uint32_t i = 0; i < sess->stmt_slots; i++) {
        if (sess->stmts[i] != NULL && server < sess->stmts[i]->place_count) {
            sess->stmts[i]->place[server] = (struct stmt_place){.thread_id = 0};
        }
    }
}

void sess_stmts_free(struct sess *sess)
{
    for (uint32_t i = 0; i < sess->stmt_slots; i++) {
        stmt_free(sess->stmts[i]);
    }
    free(sess->stmts);
    sess->stmts = NULL;
    sess->stmt_slots = 0;
    sess->stmt_count = 0;
    sess->stmt_bytes = 0;
    sess->stmt_last = 0;
}

static struct stmt *stmt_find(const struct sess *sess, uint32_t id)
{
    uint32_t slot = 0;

    if (id == COM_STMT_ID_LAST) {
        id = sess->stmt_last;
    }
    slot = (id & STMT_SLOT_MASK) - 1U;
    if (slot >= sess->stmt_slots || sess->stmts[slot] == NULL || sess->stmts[slot]->id != id) {
        return NULL;
    }
    return sess->stmts[slot];
}

static int slot_take(struct sess *sess, uint32_t *ret_slot)
{
    uint32_t slots = sess->stmt_slots;
    uint32_t more = slots == 0 ? 8 : slots * 2;
    struct stmt **grown = NULL;

    if (sess->stmt_count < slots) {
        for (uint32_t i = 0; i < slots; i++) {
            uint32_t slot = (sess->stmt_gen + i) % slots;

            if (sess->stmts[slot] == NULL) {
                *ret_slot = slot;
                return 0;
            }
        }
    }
    if (more > STMT_SLOT_MASK) {
        return -WR_E_LIMIT;
    }
    grown = realloc(sess->stmts, more * sizeof(struct stmt *));
    if (grown == NULL) {
        return -ENOMEM;
    }
    memset(&grown[slots], 0, (more - slots) * sizeof(struct stmt *));
    sess->stmts = grown;
    sess->stmt_slots = more;
    *ret_slot = slots;
    return 0;
}

static void place_set(struct stmt *stmt, const struct conn *conn, uint32_t id)
{
    if (conn->server_index < stmt->place_count) {
        stmt->place[conn->server_index] =
            (struct stmt_place){.thread_id = conn->thread_id, .id = id};
    }
}

/* A statement object for the PREPARE in hand, whose packet is in held. */
static struct stmt *stmt_create(struct sess *sess, const struct stmt_prepared *prepared)
{
    struct span held = buf_span(&sess->held);
    struct stmt *stmt = calloc(1, sizeof(*stmt) + sess->conn_count * sizeof(struct stmt_place));

    if (stmt == NULL || held.len < FRAME_HEADER + 1) {
        free(stmt);
        return NULL;
    }
    svec_init(&stmt->at, sess->svec.values);
    svec_copy(&stmt->at, &sess->svec);
    stmt->params = prepared->params;
    stmt->place_count = sess->conn_count;
    stmt->cursor_server = -1;
    stmt->data_server = -1;
    stmt->text_len = held.len - FRAME_HEADER - 1;
    stmt->text = malloc(stmt->text_len + 1);
    stmt->types = prepared->params != 0 ? malloc((size_t)prepared->params * 2) : NULL;
    if (stmt->text == NULL || (prepared->params != 0 && stmt->types == NULL)) {
        stmt_free(stmt);
        return NULL;
    }
    memcpy(stmt->text, held.p + FRAME_HEADER + 1, stmt->text_len);
    sess_classify(sess, sess_stmt_text(stmt), &stmt->facts);
    stmt->rule = sess->cmd.rule;
    stmt->digest =
        sess->cmd.digest != 0 ? sess->cmd.digest : sess_digest_hash(sess, sess_stmt_text(stmt));
    return stmt;
}

bool sess_stmt_prepared(struct sess *sess, const struct stmt_prepared *prepared, uint8_t *id_at)
{
    struct stmt *stmt = stmt_create(sess, prepared);
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    uint32_t slot = 0;

    if (stmt == NULL || conn == NULL || slot_take(sess, &slot) < 0) {
        stmt_free(stmt);
        sess_close(sess, "no memory for a prepared statement");
        return false;
    }
    sess->stmt_gen++;
    stmt->id = (slot + 1U) | ((sess->stmt_gen & 0x7FFU) << STMT_SLOT_BITS);
    place_set(stmt, conn, prepared->id);
    sess->stmts[slot] = stmt;
    sess->stmt_count++;
    sess->stmt_bytes += stmt->text_len;
    sess->stmt_last = stmt->id;
    for (unsigned i = 0; i < 4; i++) {
        id_at[i] = (uint8_t)(stmt->id >> (8 * i));
    }
    return true;
}

void sess_stmt_placed(struct sess *sess, struct conn *conn, const struct stmt_prepared *prepared)
{
    if (sess->cmd.stmt != NULL) {
        place_set(sess->cmd.stmt, conn, prepared->id);
    }
}

bool sess_stmt_is_placed(const struct sess *sess, const struct conn *conn)
{
    const struct stmt *stmt = sess->cmd.stmt;

    return conn->server_index < stmt->place_count &&
           stmt->place[conn->server_index].thread_id == conn->thread_id;
}

int sess_stmt_send_prepare(struct sess *sess, struct conn *conn)
{
    struct buf bytes = {0};
    struct wire_out out;
    uint8_t seq = 0;
    uint8_t com = COM_STMT_PREPARE;
    struct buf payload = {0};
    struct span span;
    int rc = -ENOMEM;

    sess_buf_take(sess, &payload);
    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    if (buf_append(&payload, &com, 1, SIZE_MAX) == 0 &&
        buf_append_span(&payload, sess_stmt_text(sess->cmd.stmt), SIZE_MAX) == 0) {
        frame_packet_encode(&out, &seq, buf_span(&payload));
        span = buf_span(&bytes);
        if (wire_out_ok(&out)) {
            rc = stream_write(&conn->stream, span.p, span.len);
        }
    }
    sess_buf_give(sess, &payload);
    sess_buf_give(sess, &bytes);
    return rc;
}

/* --- EXECUTE --- */

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

void sess_stmt_execute(struct sess *sess, uint8_t *packet, size_t len)
{
    struct span payload = {packet + FRAME_HEADER, len - FRAME_HEADER};
    struct stmt_execute execute = {0};
    struct stmt *stmt = NULL;
    uint32_t id = 0;

    if (sess->tx_lost) {
        struct span name = SPAN_LIT("of the session's transaction");

        sess->tx_lost = false;
        sess_fail(sess, SESS_ERR_TX_LOST, &name, 1);
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
    if ((stmt->facts.bits & FACT(KILL)) != 0) {
        sess_kill(sess, &stmt->facts.kill);
        return;
    }
    sess->cmd.stmt = stmt;
    if (!sess->cmd.is_large) {
        sess_digest_begin(sess, stmt->digest, sess_stmt_text(stmt));
    }
    if (stmt_execute_decode(payload, stmt->params, &execute) != DEC_OK) {
        if (!sess->cmd.is_large) {
            /* as it is: the server's own words about it are the right ones */
            memset(&execute, 0, sizeof(execute));
        }
    } else if (execute.has_types && execute.types.len == (size_t)stmt->params * 2) {
        memcpy(stmt->types, execute.types.p, execute.types.len);
        stmt->has_types = true;
    }
    sess->cmd.needs_learn = sess_is_unreported(&stmt->facts, sess_stmt_text(stmt));
    sess->cmd.rule = stmt->rule;
    sess_rule_renew(sess, &stmt->facts, sess_stmt_text(stmt));
    stmt->rule = sess->cmd.rule;
    if (!sess_rule_apply(sess, &stmt->facts, sess_stmt_text(stmt))) {
        return;
    }
    stmt->cursor_server = -1;
    if (stmt->data_server >= 0) {
        struct conn *conn = sess_conn(sess, stmt->data_server);
        struct span args[2] = {sess_server_name(sess, stmt->data_server),
                               SPAN_LIT("and with it the long data sent before")};

        if (conn == NULL || !sess_stmt_is_placed(sess, conn)) {
            stmt->data_server = -1;
            sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
            return;
        }
        force_server(sess, stmt->data_server);
        stmt->data_server = -1;
    } else if (sess->cmd.is_large && sess->ro_tx_server < 0) {
        if (!sess_to_primary(sess)) {
            return;
        }
        sess->cmd.is_forced = true;
    }
    if (!sess_decide(sess, &stmt->facts)) {
        return;
    }
    sess_go(sess, packet, len);
    if (stream_is_open(&sess->front) && (execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE &&
        sess->cmd.stmt == stmt) {
        sess->cmd.is_read = false; /* the cursor lives where the statement is sent now */
    }
}

int sess_stmt_translate(struct sess *sess, struct conn *conn, uint8_t *packet, size_t len,
                        struct buf *out)
{
    struct stmt *stmt = sess->cmd.stmt;
    struct stmt_place *place = &stmt->place[conn->server_index];
    struct span payload = {packet + FRAME_HEADER, len - FRAME_HEADER};
    struct stmt_execute execute;
    struct wire_out wire;
    struct buf body = {0};
    uint8_t seq = 0;
    int rc = 0;

    (void)command_set_stmt_id(packet + FRAME_HEADER, len - FRAME_HEADER, place->id);
    if (sess->cmd.com != COM_STMT_EXECUTE) {
        return 0;
    }
    if (stmt_execute_decode(payload, stmt->params, &execute) != DEC_OK) {
        return 0;
    }
    if ((execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE) {
        stmt->cursor_server = sess->cmd.server;
    }
    if (execute.has_types || place->is_typed || !stmt->has_types || sess->cmd.is_large) {
        place->is_typed = place->is_typed || execute.has_types;
        return 0;
    }
    sess_buf_take(sess, &body);
    sess_buf_take(sess, out);
    wire_out_buf(&wire, &body, SESS_ANSWER_MAX);
    stmt_execute_encode(&wire, &execute, place->id,
                        (struct span){stmt->types, (size_t)stmt->params * 2}, stmt->params);
    if (wire_out_ok(&wire)) {
        struct wire_out framed;

        wire_out_buf(&framed, out, SESS_ANSWER_MAX);
        frame_packet_encode(&framed, &seq, buf_span(&body));
        rc = wire_out_ok(&framed) ? 0 : -ENOMEM;
        place->is_typed = true;
        sess->cmd.reply_seq = seq;
    } else {
        rc = -ENOMEM;
    }
    sess_buf_give(sess, &body);
    return rc;
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
    if (stmt->cursor_server >= 0) {
        force_server(sess, stmt->cursor_server);
    } else if (!sess_to_primary(sess)) {
        return; /* no cursor is open: the server says so in its own words */
    }
    sess_go(sess, packet, len);
}

void sess_stmt_close(struct sess *sess, uint8_t *packet, size_t len)
{
    struct stmt *stmt = NULL;
    uint32_t id = 0;

    if (command_decode_stmt_id((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &id) ==
        DEC_OK) {
        stmt = stmt_find(sess, id);
    }
    sess->cmd.is_local = true;
    for (uint16_t i = 0; stmt != NULL && i < stmt->place_count; i++) {
        struct conn *conn = sess_conn(sess, (int16_t)i);

        if (conn != NULL && conn->state == CONN_ST_READY &&
            stmt->place[i].thread_id == conn->thread_id) {
            (void)command_set_stmt_id(packet + FRAME_HEADER, len - FRAME_HEADER, stmt->place[i].id);
            if (stream_write(&conn->stream, packet, len) < 0) {
                sess_server_lost(sess, (int16_t)i);
                if (!stream_is_open(&sess->front)) {
                    return;
                }
            }
        }
    }
    if (stmt != NULL) {
        sess->stmts[(stmt->id & STMT_SLOT_MASK) - 1U] = NULL;
        sess->stmt_count--;
        sess->stmt_bytes -= stmt->text_len;
        stmt_free(stmt);
    }
    sess_command_done(sess);
}

void sess_stmt_reset(struct sess *sess, uint8_t *packet, size_t len)
{
    struct stmt *stmt = NULL;
    uint32_t id = 0;
    int16_t server = -1;

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
    server = stmt->data_server >= 0 ? stmt->data_server : stmt->cursor_server;
    stmt->data_server = -1;
    stmt->cursor_server = -1;
    if (server < 0 || sess_conn(sess, server) == NULL) {
        sess_answer_ok(sess); /* nothing of it waits anywhere */
        return;
    }
    sess->cmd.stmt = stmt;
    force_server(sess, server);
    sess_go(sess, packet, len);
}

void sess_stmt_long_data(struct sess *sess, uint8_t *packet, size_t len)
{
    struct stmt *stmt = NULL;
    uint32_t id = 0;

    if (command_decode_stmt_id((struct span){packet + FRAME_HEADER, len - FRAME_HEADER}, &id) ==
        DEC_OK) {
        stmt = stmt_find(sess, id);
    }
    if (stmt == NULL || sess->env->topo->primary < 0) {
        /* no reply to this command: EXECUTE will tell */
        if (sess->is_uploading) {
            sess_close(sess, "long data for an unknown statement");
            return;
        }
        sess->cmd.is_local = true;
        sess_command_done(sess);
        return;
    }
    sess->cmd.stmt = stmt;
    if (stmt->data_server < 0) {
        stmt->data_server = sess->ro_tx_server >= 0 ? sess->ro_tx_server : sess->env->topo->primary;
    }
    force_server(sess, stmt->data_server);
    sess_go(sess, packet, len);
}
