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
 * Prepared statements. The client's id is weir's own; each connection has handles of its own, by
 * text and by the state that servers bind a text to (backend/handles), and is given one when it
 * executes the statement. Text and parameter types are remembered for that. The handle of a
 * connection may be used by one session after the other; while a cursor is open on it, or long
 * data has been sent for it, it is busy and its connection stays with the session.
 */

#define STMT_SLOT_BITS 20U
#define STMT_SLOT_MASK ((1U << STMT_SLOT_BITS) - 1U)

struct stmt {
    uint32_t id;
    uint16_t params;
    bool has_types;
    bool is_data_wrong;  /* long data came for a parameter that is not there */
    bool is_data_sent;   /* long data is with the handle in use already */
    int16_t server;      /* where the handle in use is; -1: none is */
    struct handle *busy; /* on the session's connection to that server; NULL: none */
    uint64_t digest;
    struct facts facts; /* spans point into text */
    struct sess_rule_mark rule;
    uint8_t *text;
    size_t text_len;
    uint64_t hash;
    uint8_t *types;  /* 2 * params bytes; NULL without parameters */
    struct buf data; /* SEND_LONG_DATA commands that wait for the EXECUTE, packet by packet */
    struct svec at;  /* what the session was at PREPARE: it decides what the text means */
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
        buf_fini(&stmt->data);
        free(stmt->text);
        free(stmt->types);
        free(stmt);
    }
}

struct span sess_stmt_schema(const struct stmt *stmt)
{
    return svec_get(&stmt->at, SVEC_SCHEMA);
}

/* --- the handle in use --- */

static void close_handle(struct conn *conn, uint32_t id)
{
    uint8_t packet[FRAME_HEADER + 5] = {5, 0, 0, 0, COM_STMT_CLOSE};

    for (unsigned i = 0; i < 4; i++) {
        packet[FRAME_HEADER + 1 + i] = (uint8_t)(id >> (8 * i));
    }
    if (stream_write(&conn->stream, packet, sizeof(packet)) < 0) {
        conn->is_spoiled = true; /* it will say so itself */
    }
}

static void set_busy(struct sess *sess, struct stmt *stmt, struct handle *handle, int16_t server)
{
    if (stmt->busy == NULL) {
        sess->busy_stmts++;
    }
    handle->is_busy = true;
    stmt->busy = handle;
    stmt->server = server;
}

/* Nothing of this session is on the handle any more, as far as weir knows it. */
static void set_free(struct sess *sess, struct stmt *stmt)
{
    if (stmt->busy != NULL) {
        stmt->busy->is_busy = false;
        sess->busy_stmts--;
    }
    stmt->busy = NULL;
    stmt->server = -1;
    stmt->is_data_sent = false;
}

/* A cursor or data that nobody will ask for: it goes with its handle. */
static void busy_close(struct sess *sess, struct stmt *stmt)
{
    struct conn *conn = sess_conn(sess, stmt->server);
    struct handle *handle = stmt->busy;

    set_free(sess, stmt);
    if (handle != NULL && conn != NULL) {
        close_handle(conn, handle->id);
        handles_remove(&conn->handles, handle);
    }
}

static void data_drop(struct sess *sess, struct stmt *stmt)
{
    sess->data_bytes -= buf_len(&stmt->data);
    buf_fini(&stmt->data);
    buf_init(&stmt->data);
}

/* The connection is gone, and with it what was open on it. */
void sess_stmts_unplace(struct sess *sess, int16_t server)
{
    for (uint32_t i = 0; sess->busy_stmts != 0 && i < sess->stmt_slots; i++) {
        struct stmt *stmt = sess->stmts[i];

        if (stmt != NULL && stmt->busy != NULL && stmt->server == server) {
            bool was_data = stmt->is_data_sent;

            set_free(sess, stmt);
            stmt->is_data_sent = was_data; /* EXECUTE must not run without it */
        }
    }
}

bool sess_stmts_are_on(const struct sess *sess, int16_t server)
{
    for (uint32_t i = 0; i < sess->stmt_slots; i++) {
        const struct stmt *stmt = sess->stmts[i];

        if (stmt != NULL && stmt->busy != NULL && stmt->server == server) {
            return true;
        }
    }
    return false;
}

/* --- where it is prepared --- */

static struct handle_key key_of(const struct stmt *stmt, const struct conn *conn)
{
    struct handle_key key = {.hash = stmt->hash, .text = {stmt->text, stmt->text_len}};

    svec_view(&key.at, &stmt->at, &conn->born);
    return key;
}

/* MariaDB makes nonsense of long data for a parameter that had another type in an earlier EXECUTE of
 * the same handle: such a statement gets a handle of its own. */
static bool spoils_data(const struct sess *sess, const struct handle *handle)
{
    const struct stmt *stmt = sess->cmd.stmt;

    if (handle->types == NULL ||
        (buf_len(&stmt->data) == 0 && sess->cmd.com != COM_STMT_SEND_LONG_DATA)) {
        return false;
    }
    return !stmt->has_types || handle->params != stmt->params ||
           memcmp(handle->types, stmt->types, (size_t)stmt->params * 2) != 0;
}

bool sess_stmt_is_placed(struct sess *sess, struct conn *conn)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct handle_key key;

    if (stmt->busy != NULL && stmt->server == (int16_t)conn->server_index) {
        sess->cmd.handle = stmt->busy;
        return true;
    }
    key = key_of(stmt, conn);
    sess->cmd.handle = handles_find(&conn->handles, &key);
    if (sess->cmd.handle != NULL && spoils_data(sess, sess->cmd.handle)) {
        sess->cmd.handle = NULL;
    }
    return sess->cmd.handle != NULL;
}

/* The state in which the statement in hand has to be prepared on conn. No schema at PREPARE: all
 * its names are qualified, and any will do. */
int sess_stmt_state(struct sess *sess, struct conn *conn, struct svec *ret_want)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct svec here;
    struct svec there;

    svec_view(&here, &sess->svec, &conn->born);
    svec_view(&there, &stmt->at, &conn->born);
    if (svec_get(&there, SVEC_SCHEMA).len == 0) {
        there.v[SVEC_SCHEMA] = here.v[SVEC_SCHEMA];
    }
    if (handle_at_equal(&here, &there)) {
        return 0;
    }
    svec_copy(ret_want, &sess->svec);
    handle_at_copy(ret_want, &there);
    return 1;
}

/* The server has given a handle for the statement: what it knows it by. */
static int place(struct sess *sess, struct stmt *stmt, struct conn *conn,
                 const struct stmt_prepared *prepared)
{
    struct handle_key key = key_of(stmt, conn);
    struct handle *handle = handles_find(&conn->handles, &key);
    uint32_t evicted = 0;
    int r = 0;

    if (handle != NULL) {
        close_handle(conn, handle->id); /* the newer one has the newer definitions */
        handles_remove(&conn->handles, handle);
    }
    r = handles_add(&conn->handles, &key, prepared->id, prepared->params,
                    sess->env->config->pool.prepared, &handle, &evicted);
    if (evicted != 0) {
        metric_inc(sess->env->metrics, METRIC_STMT_EVICTED, METRIC_NONE);
        close_handle(conn, evicted);
    }
    if (r < 0) {
        close_handle(conn, prepared->id);
        return r;
    }
    sess->cmd.handle = handle;
    return 0;
}

void sess_stmts_free(struct sess *sess)
{
    for (uint32_t i = 0; i < sess->stmt_slots; i++) {
        if (sess->stmts[i] != NULL) {
            busy_close(sess, sess->stmts[i]);
            stmt_free(sess->stmts[i]);
        }
    }
    free(sess->stmts);
    sess->stmts = NULL;
    sess->data_bytes = 0;
    sess->stmt_slots = 0;
    sess->stmt_count = 0;
    sess->stmt_bytes = 0;
    sess->stmt_last = 0;
}

static struct stmt *stmt_find(const struct sess *sess, uint32_t id)
{
    uint32_t slot = 0;

    uint32_t version = 0;

    if (id == COM_STMT_ID_LAST && sess_flavour(sess, &version) == TOPO_FLAVOUR_MARIADB) {
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

/* A statement object for the PREPARE in hand, whose packet is in held. */
static struct stmt *stmt_create(struct sess *sess, const struct stmt_prepared *prepared)
{
    struct span held = buf_span(&sess->held);
    struct stmt *stmt = calloc(1, sizeof(*stmt));

    if (stmt == NULL || held.len < FRAME_HEADER + 1) {
        free(stmt);
        return NULL;
    }
    svec_init(&stmt->at, sess->svec.values);
    svec_copy(&stmt->at, &sess->svec);
    stmt->params = prepared->params;
    stmt->server = -1;
    stmt->text_len = held.len - FRAME_HEADER - 1;
    stmt->text = malloc(stmt->text_len + 1);
    stmt->types = prepared->params != 0 ? malloc((size_t)prepared->params * 2) : NULL;
    if (stmt->text == NULL || (prepared->params != 0 && stmt->types == NULL)) {
        stmt_free(stmt);
        return NULL;
    }
    memcpy(stmt->text, held.p + FRAME_HEADER + 1, stmt->text_len);
    stmt->hash = handle_key_hash(sess_stmt_text(stmt));
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

    if (stmt == NULL || conn == NULL || slot_take(sess, &slot) < 0 ||
        place(sess, stmt, conn, prepared) == -ENOMEM) {
        stmt_free(stmt);
        sess_close(sess, "no memory for a prepared statement");
        return false;
    }
    sess->stmt_gen++;
    stmt->id = (slot + 1U) | ((sess->stmt_gen & 0x7FFU) << STMT_SLOT_BITS);
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
    if (sess->cmd.stmt != NULL && place(sess, sess->cmd.stmt, conn, prepared) < 0) {
        conn->is_spoiled = true; /* every handle is busy, or no memory: not again on this one */
    }
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
    if (stmt->is_data_wrong) {
        wrong_data(sess);
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
        busy_close(sess, stmt); /* an EXECUTE ends the cursor of the one before */
        if (sess->cmd.is_large && sess->ro_tx_server < 0) {
            if (!sess_to_primary(sess)) {
                return;
            }
            sess->cmd.is_forced = true;
        }
    }
    if (!sess_decide(sess, &stmt->facts)) {
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
    return !execute->has_types && stmt->params != 0 && stmt->has_types &&
           (handle->types == NULL ||
            memcmp(handle->types, stmt->types, (size_t)stmt->params * 2) != 0);
}

/* The EXECUTE with its types put in. Of a large one packet is the beginning only: the length of its
 * first frame grows by as much. */
static int put_types(struct sess *sess, const struct stmt_execute *execute, uint32_t id,
                     const uint8_t *packet, struct buf *out)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct span types = {stmt->types, (size_t)stmt->params * 2};
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
        if (frame.len + types.len >= FRAME_MAX_PAYLOAD) {
            rc = -WR_E_UNSUPPORTED;
        } else {
            frame_encode(head, (uint32_t)(frame.len + types.len), 0);
            rc = buf_append(out, head, sizeof(head), SESS_ANSWER_MAX);
            rc = rc < 0 ? rc : buf_append_span(out, buf_span(&body), SESS_ANSWER_MAX);
        }
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
    if (sess->cmd.com != COM_STMT_EXECUTE && sess->cmd.com != COM_STMT_SEND_LONG_DATA) {
        return 0;
    }
    if (!stmt->is_data_sent) {
        rc = data_flush(sess, conn, stmt, handle->id);
    }
    if (rc < 0) {
        return rc;
    }
    if (sess->cmd.com == COM_STMT_SEND_LONG_DATA) {
        data_drop(sess, stmt);
        set_busy(sess, stmt, handle, sess->cmd.server);
        stmt->is_data_sent = true;
        return 0;
    }
    if (stmt_execute_decode(payload, stmt->params, &execute) != DEC_OK) {
        return 0;
    }
    if ((execute.flags & STMT_CURSOR_MASK) != STMT_CURSOR_NONE) {
        set_busy(sess, stmt, handle, sess->cmd.server);
    }
    if (execute.has_types) {
        return handle_set_types(handle, execute.types);
    }
    if (!needs_types(stmt, &execute, handle)) {
        return 0;
    }
    rc = put_types(sess, &execute, handle->id, packet, out);
    return rc < 0 ? rc
                  : handle_set_types(handle, (struct span){stmt->types, (size_t)stmt->params * 2});
}

void sess_stmt_done(struct sess *sess)
{
    struct stmt *stmt = sess->cmd.stmt;
    bool is_open = stmt->busy != NULL && sess->cmd.is_sent && !sess->cmd.got_err;

    switch (sess->cmd.com) {
    case COM_STMT_EXECUTE:
        data_drop(sess, stmt);
        if (!sess->cmd.is_sent) {
            busy_close(sess, stmt); /* what was sent ahead of it must not meet another's */
        } else if (!is_open || (sess->status & STATUS_CURSOR_EXISTS) == 0) {
            set_free(sess, stmt);
        }
        stmt->is_data_sent = false;
        return;
    case COM_STMT_FETCH:
        if (!is_open || (sess->status & STATUS_LAST_ROW_SENT) != 0) {
            set_free(sess, stmt);
        }
        return;
    case COM_STMT_RESET:
        set_free(sess, stmt);
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
    } else if (!sess_to_primary(sess)) {
        return; /* no cursor is open: the server says so in its own words */
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
        sess->stmts[(stmt->id & STMT_SLOT_MASK) - 1U] = NULL;
        sess->stmt_count--;
        sess->stmt_bytes -= stmt->text_len;
        data_drop(sess, stmt);
        busy_close(sess,
                   stmt); /* its handles stay with their connections, for whoever has it next */
        stmt_free(stmt);
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
    data_drop(sess, stmt);
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
    if (stmt->busy != NULL && !stmt->is_data_sent) {
        busy_close(sess, stmt); /* the EXECUTE that is to come ends this cursor */
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
        force_server(sess, sess->ro_tx_server >= 0 ? sess->ro_tx_server : sess->env->topo->primary);
    }
    sess_go(sess, packet, len);
}
