/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/stmt.h"
#include "weir/util/err.h"

#include "sess_causal_priv.h"
#include "sess_stmt_priv.h"

/*
 * Prepared statements. The client's id is weir's own; each connection has handles of its own, by
 * text and by the state that servers bind a text to (backend/handles), and is given one when it
 * executes the statement. Text and parameter types are remembered for that. The handle of a
 * connection may be used by one session after the other; while a cursor is open on it, or long
 * data has been sent for it, it is busy and its connection stays with the session.
 */

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

void stmt_set_busy(struct sess *sess, struct stmt *stmt, struct handle *handle, int16_t server)
{
    if (stmt->busy == NULL) {
        sess->busy_stmts++;
    }
    handle->is_busy = true;
    stmt->busy = handle;
    stmt->server = server;
}

void stmt_set_free(struct sess *sess, struct stmt *stmt)
{
    if (stmt->busy != NULL) {
        stmt->busy->is_busy = false;
        sess->busy_stmts--;
    }
    stmt->busy = NULL;
    stmt->server = -1;
    stmt->is_data_sent = false;
}

void stmt_busy_close(struct sess *sess, struct stmt *stmt)
{
    struct conn *conn = sess_conn(sess, stmt->server);
    struct handle *handle = stmt->busy;

    stmt_set_free(sess, stmt);
    if (handle != NULL && conn != NULL) {
        close_handle(conn, handle->id);
        handles_remove(&conn->handles, handle);
    }
}

void stmt_data_drop(struct sess *sess, struct stmt *stmt)
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

            stmt_set_free(sess, stmt);
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

struct handle_user stmt_user(const struct sess *sess, const struct stmt *stmt)
{
    return (struct handle_user){.session = sess->serial, .stmt = stmt->id};
}

/* MySQL gives a parameter the type that it had in the first EXECUTE of the handle, for as long as
 * values can be converted: another session's types would change the result. */
static void key_add_types(struct handle_key *key, const struct sess *sess, const struct conn *conn)
{
    const struct stmt *stmt = sess->cmd.stmt;

    if (stmt->params != 0 && conn->flavour == TOPO_FLAVOUR_MYSQL) {
        key->types = (struct span){stmt->types, stmt->has_types ? (size_t)stmt->params * 2 : 0};
        key->user = stmt_user(sess, stmt);
    }
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

/* Types that another session has sent are not this one's: without any, the server refuses. */
static bool has_foreign_types(const struct sess *sess, const struct handle *handle)
{
    return handle->types != NULL && !sess->cmd.stmt->has_types && sess_is_execute(sess);
}

/* The state that the statement was prepared in, as it is on conn; no schema: any will do. Compared
 * with the session's state now. */
static bool is_state_same(const struct sess *sess, const struct stmt *stmt, const struct conn *conn,
                          struct svec *ret_there)
{
    struct svec here;

    svec_view(&here, &sess->svec, &conn->born);
    svec_view(ret_there, &stmt->at, &conn->born);
    if (svec_get(ret_there, SVEC_SCHEMA).len == 0) {
        ret_there->v[SVEC_SCHEMA] = here.v[SVEC_SCHEMA];
    }
    return handle_at_equal(&here, ret_there);
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
    key_add_types(&key, sess, conn);
    sess->cmd.handle = handles_find(&conn->handles, &key);
    if (sess->cmd.handle != NULL &&
        (spoils_data(sess, sess->cmd.handle) || has_foreign_types(sess, sess->cmd.handle))) {
        sess->cmd.handle = NULL;
    }
    return sess->cmd.handle != NULL;
}

/* The state in which the statement in hand has to be prepared on conn. */
int sess_stmt_state(struct sess *sess, struct conn *conn, struct svec *ret_want)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct svec there;

    if (is_state_same(sess, stmt, conn, &there)) {
        return 0;
    }
    /* What it had not set stays so: MySQL tells a character set that was set by name from the one of
     * the handshake, by its collation. */
    there = stmt->at;
    if (svec_get(&there, SVEC_SCHEMA).len == 0) {
        there.v[SVEC_SCHEMA] = sess->svec.v[SVEC_SCHEMA];
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
    struct handle *handle = NULL;
    uint32_t evicted = 0;
    int r = 0;

    if (sess->cmd.stmt != NULL) { /* not for a PREPARE */
        key_add_types(&key, sess, conn);
    }
    handle = handles_find(&conn->handles, &key);
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
            stmt_busy_close(sess, sess->stmts[i]);
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

void stmt_end(struct sess *sess, struct stmt *stmt)
{
    sess->stmts[(stmt->id & STMT_SLOT_MASK) - 1U] = NULL;
    sess->stmt_count--;
    sess->stmt_bytes -= stmt->text_len;
    stmt_data_drop(sess, stmt);
    stmt_busy_close(sess, stmt);
    stmt_free(stmt);
}

struct stmt *stmt_find(const struct sess *sess, uint32_t id)
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

/* The session has it from now on, under this slot. */
static void stmt_keep(struct sess *sess, struct stmt *stmt, uint32_t slot)
{
    sess->stmt_gen++;
    stmt->id = (slot + 1U) | ((sess->stmt_gen & 0x7FFU) << STMT_SLOT_BITS);
    sess->stmts[slot] = stmt;
    sess->stmt_count++;
    sess->stmt_bytes += stmt->text_len;
    sess->stmt_last = stmt->id;
}

void sess_stmt_prepare_own(struct sess *sess, const uint8_t *packet, size_t len)
{
    static const struct stmt_prepared prepared = {.columns = 1};
    struct stmt *stmt = NULL;
    uint32_t slot = 0;

    sess_buf_take(sess, &sess->held);
    if (buf_append(&sess->held, packet, len, SIZE_MAX) == 0) {
        stmt = stmt_create(sess, &prepared);
    }
    if (stmt == NULL || slot_take(sess, &slot) < 0) {
        stmt_free(stmt);
        sess_close(sess, "no memory for a prepared statement");
        return;
    }
    stmt->is_own = true;
    stmt_keep(sess, stmt, slot);
    sess_causal_prepared(sess, stmt->id);
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
    stmt_keep(sess, stmt, slot);
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
