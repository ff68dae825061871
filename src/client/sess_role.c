/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * SET ROLE. No server reports what the role has become, and its text does not tell either: DEFAULT
 * and ALL mean something else when somebody grants or revokes. So weir asks the same connection for
 * CURRENT_ROLE(), and says that on others, where the session needs it:
 *
 *   client: SET ROLE ALL --> conn, asked before for what its login gave it (born)
 *                        <-- OK, to the client
 *   weir:   SELECT CURRENT_ROLE() --> "`a`@`%`,`b`@`%`" into the session's vector and conn's
 *   later, on another conn: SET ROLE `a`@`%`,`b`@`%`
 *   conn, for a session that never set one: SET ROLE of what born says; refused: another conn
 *
 * A role that was revoked meanwhile gives the server's own error to whatever the session says next,
 * but to SET ROLE itself, which then runs without. A reset keeps the role. What else may set
 * it (EXECUTE, CALL, several things in one SET) pins, and a reset asks what has come of it.
 */

static const char ASK[] = "CURRENT_ROLE()";

#define ANSWER_MAX ((size_t)16 * 1024)

bool sess_role_note(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (cmd->pins != PIN_BIT(PIN_SET_ROLE) || buf_append_text(&sess->extra, ASK, sizeof(ASK)) < 0) {
        return false;
    }
    cmd->pins = 0;
    cmd->sets_role = true;
    cmd->needs_clear = true;
    return true;
}

static int role_of(struct wire *row, struct span *ret_role)
{
    *ret_role = (struct span){NULL, 0};
    if (row->p < row->end && *row->p == 0xFB) {
        return 0;
    }
    *ret_role = wire_lenenc_bytes(row);
    return wire_ok(row) ? 0 : -WR_E_BAD_PACKET;
}

/* --- before the first that is set on a connection --- */

int sess_role_ask_born(struct sess *sess, struct conn *conn)
{
    if (svec_get(&conn->born, SVEC_ROLE).p != NULL) {
        return 1;
    }
    if (sess_send_text(conn, "SELECT CURRENT_ROLE()") < 0) {
        sess_server_lost(sess, (int16_t)conn->server_index);
        return -WR_E_CLOSED;
    }
    sess_sync_wait(sess, SESS_OWN_BORN_ROLE, (int16_t)conn->server_index, 1, REPLY_QUERY);
    return 0;
}

/* What cannot be set again can still be left: the connection is not lent to others then. */
static int take_born(struct conn *conn, struct wire *row)
{
    struct span role = {NULL, 0};
    int r = role_of(row, &role);

    if (r >= 0) {
        r = svec_track_role(&conn->born, role, conn->flavour);
    }
    if (r == -WR_E_UNSUPPORTED) {
        conn->is_spoiled = true;
        r = svec_set(&conn->born, SVEC_ROLE, (struct span){NULL, 0});
    }
    if (r >= 0) {
        svec_copy_one(&conn->svec, &conn->born, SVEC_ROLE);
    }
    return r;
}

void sess_role_born_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->own_server);
    struct wire row;
    int rc = sess_own_walk(sess, bytes, len);

    if (rc == 0) {
        sess_own_more(sess, bytes, len, ANSWER_MAX);
    } else if (rc < 0 || conn == NULL || sess_one_row((struct span){bytes, len}, &row) < 0 ||
               take_born(conn, &row) < 0) {
        sess_server_lost(sess, sess->own_server);
    } else {
        sess->own = SESS_OWN_NONE;
        sess_buf_give(sess, &sess->rest);
        sess_go(sess, NULL, 0);
    }
}

void sess_role_bare(const struct sess *sess, const struct conn *conn, const struct svec *want,
                    struct svec *ret_bare)
{
    svec_init(ret_bare, sess->svec.values);
    svec_copy(ret_bare, want);
    svec_copy_one(ret_bare, &conn->svec, SVEC_SCHEMA);
    if (sess->cmd.sets_role) {
        svec_copy_one(ret_bare, &conn->svec, SVEC_ROLE);
    }
}

/* --- behind it --- */

/* It is not known, or cannot be set again: from now on it is where it is. */
static void lose(struct sess *sess, struct conn *conn)
{
    (void)!svec_set_unknown(&sess->svec, SVEC_ROLE);
    if (conn != NULL) {
        svec_copy_one(&conn->svec, &sess->svec, SVEC_ROLE);
    }
    sess_pin(sess, PIN_SET_ROLE);
}

/* A session stays in its schema although its new role would not let it in: not so elsewhere. So
 * weir goes there once more. */
bool sess_role_ask(struct sess *sess, struct conn *conn)
{
    struct span schema = svec_get(&sess->svec, SVEC_SCHEMA);
    uint8_t head[FRAME_HEADER + 1] = {0, 0, 0, 0, COM_INIT_DB};
    struct iovec iov[2] = {{.iov_base = head, .iov_len = sizeof(head)}, {.iov_len = schema.len}};
    bool has_schema = schema.len != 0 && !sess->cmd.is_bare;
    int r = conn == NULL ? -WR_E_CLOSED : sess_send_text(conn, "SELECT CURRENT_ROLE()");

    if (r >= 0 && has_schema) {
        memcpy(&iov[1].iov_base, &schema.p, sizeof(void *));
        frame_encode(head, (uint32_t)schema.len + 1, 0);
        r = stream_writev(&conn->stream, iov, 2);
    }
    if (r < 0) {
        lose(sess, conn);
        return false;
    }
    sess_sync_wait(sess, SESS_OWN_ROLE, (int16_t)conn->server_index, has_schema ? 2 : 1,
                   REPLY_QUERY);
    return true;
}

static int take(struct sess *sess, struct conn *conn, struct span reply, bool may_stay)
{
    struct span role = {NULL, 0};
    struct wire row;
    int r = sess_one_row(reply, &row);

    if (r >= 0) {
        r = role_of(&row, &role);
    }
    if (r >= 0) {
        r = svec_track_role(&conn->svec, role, conn->flavour);
    }
    if (r == -WR_E_UNSUPPORTED || r == -WR_E_TOO_LARGE) {
        lose(sess, conn);
        return 0;
    }
    if (r >= 0) {
        svec_copy_one(&sess->svec, &conn->svec, SVEC_ROLE);
        sess->has_no_default = span_eq_text(svec_get(&conn->born, SVEC_ROLE), "NONE");
        sess_pins_change(sess, may_stay ? 0 : PIN_BIT(PIN_SET_ROLE), PIN_BIT(PIN_SET_ROLE));
    }
    return r;
}

/* 1: both replies are there. 2: and the second is an ERR. 0: more is to come. */
static int walk(const struct sess *sess, uint8_t *bytes, size_t len, size_t *ret_first)
{
    size_t second = 0;
    int r = sess_own_step(sess, bytes, len, ret_first);

    if (r == 1 && sess->own_replies == 2) {
        r = sess_own_step(sess, bytes + *ret_first, len - *ret_first, &second);
    } else if (r == 2) {
        r = -WR_E_BAD_PACKET;
    }
    return r > 0 && *ret_first + second != len ? -WR_E_BAD_PACKET : r;
}

void sess_role_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->own_server);
    size_t first = 0;
    int r = conn == NULL ? -WR_E_CLOSED : walk(sess, bytes, len, &first);

    if (r == 0) {
        sess_own_more(sess, bytes, len, ANSWER_MAX);
    } else if (r < 0 || take(sess, conn, (struct span){bytes, first}, r == 1) < 0) {
        sess_server_lost(sess, sess->own_server);
    } else {
        sess_note_own(sess);
        sess->own = SESS_OWN_NONE;
        sess_buf_give(sess, &sess->rest);
        sess_idle(sess);
    }
}

/* --- a reset, another login --- */

/* MariaDB goes on with the role when the account has none of its own: that of another user, too,
 * which weir cannot give to a connection of this one. */
bool sess_role_survives(const struct sess *sess, struct span user)
{
    uint32_t version = 0;

    return sess->has_no_default && svec_is_set(&sess->svec, SVEC_ROLE) &&
           sess_flavour(sess, &version) == TOPO_FLAVOUR_MARIADB &&
           span_eq(cred_user(sess->cred), user);
}

struct conn *sess_role_keep(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->home_server);

    if ((sess->pins & (PIN_BIT(PIN_SET_ROLE) | PIN_BIT(PIN_UNKNOWN))) == 0 || conn == NULL ||
        conn->state != CONN_ST_READY || sess->cmd.server != sess->home_server) {
        return NULL;
    }
    conn->is_spoiled = conn->is_spoiled || (sess->pins & PIN_BIT(PIN_UNKNOWN)) != 0;
    sess_stmts_free(sess);
    handles_clear(&conn->handles);
    for (unsigned i = SVEC_SCHEMA + 1; i < SVEC_EXTRA; i++) {
        if (svec_is_set(&conn->born, (enum svec_var)i)) {
            (void)!svec_set_unknown(&conn->svec, (enum svec_var)i);
        }
    }
    svec_clear(&conn->svec, SVEC_EXTRA);
    conn->insert_id_of = 0;
    conn->vars_of = 0;
    sess->conns[sess->home_server] = NULL;
    return conn;
}

void sess_role_kept(struct sess *sess, struct conn *conn)
{
    sess->conns[sess->home_server] = conn;
    lose(sess, conn); /* for the time being */
    buf_clear(&sess->extra);
    sess->cmd.sets_role = buf_append_text(&sess->extra, ASK, sizeof(ASK)) >= 0;
}
