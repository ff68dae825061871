/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir says to its connections on its own account: the settings at birth, and the state of
 * the session for which a connection is about to work.
 */
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "conn_priv.h"
#include "svec_priv.h"

#define TEXT_MAX ((size_t)64 * 1024)

/* The server lets an expired password log in when the client says that it can deal with it, and
 * then answers everything but the change of the password with these. */
enum {
    ER_MUST_CHANGE_PASSWORD = 1820,
    ER_MUST_CHANGE_PASSWORD_LOGIN = 1862,
};

static struct svec_policy policy_of(const struct conn *conn)
{
    return (struct svec_policy){
        .flavour = conn->flavour,
        .is_replica = conn->is_replica,
        .wants_gtids = conn->env->wants_gtids && !conn->is_replica,
    };
}

/* Appends one command as one packet. */
static int put_command(struct buf *out, uint8_t com, struct span body)
{
    uint8_t header[FRAME_HEADER + 1];
    if (body.len + 1 >= FRAME_MAX_PAYLOAD) {
        return -WR_E_TOO_LARGE;
    }
    frame_encode(header, (uint32_t)body.len + 1, 0);
    header[FRAME_HEADER] = com;
    int r = buf_append(out, header, sizeof(header), TEXT_MAX);
    return r < 0 ? r : buf_append_span(out, body, TEXT_MAX);
}

static int put_query(const struct conn *conn, struct buf *out, struct span text)
{
    uint8_t head[COMMAND_QUERY_HEAD];
    if (text.len + sizeof(head) >= FRAME_MAX_PAYLOAD) {
        return -WR_E_TOO_LARGE;
    }
    size_t len = command_query_head(head, text.len, conn->caps);
    int r = buf_append(out, head, len, TEXT_MAX);
    return r < 0 ? r : buf_append_span(out, text, TEXT_MAX);
}

/*
 * Two packets at birth, sent together: one that sets every variable to what it is, whose tracker
 * entries tell what a fresh login has here (`born`: what an absent value of a session means), and,
 * when the session has values of its own, one that sets those.
 */
static int birth_packets(struct conn *conn, struct buf *packets)
{
    struct svec_policy policy = policy_of(conn);
    const struct svec *want = &conn->login->want;
    uint32_t learned = SVEC_DIFF_REOPEN | UINT32_C(1) << SVEC_SCHEMA |
                       UINT32_C(1) << SVEC_TRACK_SCHEMA | UINT32_C(1) << SVEC_TRACK_STATE |
                       UINT32_C(1) << SVEC_ROLE;
    struct buf text;

    buf_init(&text);
    int r = svec_format_learn(&policy, &text);
    if (r >= 0) {
        r = put_query(conn, packets, buf_span(&text));
    }
    conn->login->birth_left = 1;
    if (r >= 0 && (conn->login->has_want || policy.wants_gtids)) {
        if (!svec_is_set(want, SVEC_TRACK_VARS)) {
            learned |= UINT32_C(1) << SVEC_TRACK_VARS;
        }
        if (policy.is_replica) {
            learned |= UINT32_C(1) << SVEC_READ_ONLY;
        }
        conn->login->birth_diff = svec_diff(&conn->svec, want, &policy) & ~learned;
        buf_clear(&text);
        r = svec_format_set(NULL, want, conn->login->birth_diff, &policy, &text);
        if (r > 0) {
            r = put_query(conn, packets, buf_span(&text));
            conn->login->birth_left = 2;
        }
    }
    buf_fini(&text);
    return r;
}

void conn_birth_start(struct conn *conn)
{
    struct buf packets;
    buf_init(&packets);

    int r = birth_packets(conn, &packets);
    if (r >= 0) {
        r = stream_write(&conn->stream, packets.data + packets.off, buf_len(&packets));
    }
    buf_fini(&packets);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    conn->login->seq = 1;
    conn_set_state(conn, CONN_ST_BIRTH);
}

static void birth_err(struct conn *conn, struct span payload)
{
    struct errpkt err;

    if (errpkt_decode(payload, &err) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
    } else if (err.code == ER_MUST_CHANGE_PASSWORD || err.code == ER_MUST_CHANGE_PASSWORD_LOGIN) {
        conn->is_sandboxed = true;
    } else {
        conn_fail_server(conn, &err);
    }
}

static int birth_ok(struct conn *conn, const struct ok *ok, bool is_learned)
{
    struct svec_policy policy = policy_of(conn);
    int r = 0;

    conn->status = ok->status;
    if (is_learned) {
        /* weir's own, whatever is reported */
        const struct svec none = {.values = conn->svec.values};
        uint32_t own = UINT32_C(1) << SVEC_TRACK_SCHEMA | UINT32_C(1) << SVEC_TRACK_STATE |
                       UINT32_C(1) << SVEC_TRACK_VARS;

        own |= policy.is_replica ? UINT32_C(1) << SVEC_READ_ONLY : 0;
        r = svec_apply(&conn->svec, &none, own, &policy);
    } else {
        r = svec_apply(&conn->svec, &conn->login->want, conn->login->birth_diff, &policy);
    }
    if (r >= 0) {
        r = svec_track_block(&conn->svec, ok->tracks);
    }
    if (r >= 0 && is_learned) {
        r = svec_set_login_charset(&conn->svec);
    }
    if (r >= 0 && is_learned) {
        svec_copy(&conn->born, &conn->svec);
        svec_clear(&conn->born, SVEC_SCHEMA);
    }
    return r;
}

void conn_birth_packet(struct conn *conn, struct span payload)
{
    bool is_learned = conn->login->birth_left == (conn->login->birth_diff != 0 ? 2 : 1);
    bool has_track = (conn->caps & CAP_SESSION_TRACK) != 0;
    struct ok ok;

    if (errpkt_is(payload)) {
        birth_err(conn, payload);
    } else if (payload.len == 0 || payload.p[0] != 0x00 ||
               ok_decode(payload, has_track, &ok) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
    } else {
        int r = birth_ok(conn, &ok, is_learned);
        if (r < 0) {
            conn_fail(conn, r);
        }
    }
    if (conn->state == CONN_ST_FAILED) {
        return;
    }
    conn->login->birth_left--;
    conn->login->seq = 1; /* of the next reply, if one is to come */
    conn->login->is_done = conn->login->birth_left == 0;
}

/* Asked twice for each statement, nearly always about what it was asked about before: a comparison
 * of pointers then. */
bool conn_svec_fits(struct conn *conn, const struct svec *want)
{
    struct svec_policy policy = policy_of(conn);
    struct svec view;

    if (conn->fit_gen == conn->svec.gen && conn->fit_gtids == policy.wants_gtids &&
        svec_is_equal(&conn->fit, want)) {
        return true;
    }
    if (svec_diff_born(&conn->svec, want, &conn->born, &policy, &view) != 0) {
        return false;
    }
    svec_copy(&conn->fit, want);
    conn->fit_gen = conn->svec.gen;
    conn->fit_gtids = policy.wants_gtids;
    return true;
}

bool conn_svec_can_fit(const struct conn *conn, const struct svec *want)
{
    return !(svec_get(want, SVEC_SCHEMA).len == 0 && svec_get(&conn->svec, SVEC_SCHEMA).len != 0);
}

static int send_diff(struct conn *conn, const struct svec *want, uint32_t diff)
{
    struct svec_policy policy = policy_of(conn);
    struct buf text;
    struct buf packets;
    int replies = 0;
    buf_init(&text);
    buf_init(&packets);

    int r = 0;
    if ((diff & UINT32_C(1) << SVEC_ROLE) != 0) {
        /* ahead of the schema, which the role may be needed for */
        r = svec_format_role(want, &text);
        if (r >= 0) {
            r = put_query(conn, &packets, buf_span(&text));
        }
        buf_clear(&text);
        replies++;
    }
    if (r >= 0 && (diff & UINT32_C(1) << SVEC_SCHEMA) != 0) {
        r = put_command(&packets, COM_INIT_DB, svec_get(want, SVEC_SCHEMA));
        replies++;
    }
    if (r >= 0) {
        r = svec_format_set(&conn->svec, want, diff, &policy, &text);
    }
    if (r > 0) {
        r = put_query(conn, &packets, buf_span(&text));
        replies++;
    }
    if (r >= 0) {
        r = svec_apply(&conn->svec, want, diff, &policy);
    }
    if (r >= 0) {
        r = stream_write(&conn->stream, packets.data + packets.off, buf_len(&packets));
    }
    buf_fini(&text);
    buf_fini(&packets);
    return r < 0 ? r : replies;
}

int conn_send_svec(struct conn *conn, const struct svec *want)
{
    struct svec_policy policy = policy_of(conn);
    struct svec view;
    WR_ASSERT(conn->state == CONN_ST_READY);
    if (conn->is_sandboxed) {
        return 0;
    }
    uint32_t diff = svec_diff_born(&conn->svec, want, &conn->born, &policy, &view);
    if (diff == 0) {
        return 0;
    }
    if ((diff & SVEC_DIFF_REOPEN) != 0) {
        return -WR_E_UNSUPPORTED;
    }
    return send_diff(conn, &view, diff);
}

/* COM_RESET_CONNECTION leaves MySQL with the server's character sets in place of the login's, and
 * both flavours without weir's trackers; it keeps the schema. So all of it is set again, to what
 * a fresh login has. */
int conn_send_reset(struct conn *conn)
{
    struct svec_policy policy = policy_of(conn);
    uint32_t all = svec_all_born(&conn->born);
    struct buf text;
    struct buf packets;
    buf_init(&text);
    buf_init(&packets);
    WR_ASSERT(conn->state == CONN_ST_READY);

    int r = conn->is_sandboxed ? -WR_E_UNSUPPORTED : 0;
    if (r >= 0) {
        r = put_command(&packets, COM_RESET_CONNECTION, (struct span){NULL, 0});
    }
    if (r >= 0) {
        r = svec_format_set(NULL, &conn->born, all, &policy, &text);
    }
    if (r >= 0) {
        r = put_query(conn, &packets, buf_span(&text));
    }
    if (r >= 0) {
        handles_clear(&conn->handles);
        svec_clear(&conn->svec, SVEC_EXTRA);
        conn->vars_of = 0;
        conn->vars_gen = 0;
        r = svec_apply(&conn->svec, &conn->born, all, &policy);
    }
    if (r >= 0) {
        r = stream_write(&conn->stream, packets.data + packets.off, buf_len(&packets));
    }
    buf_fini(&text);
    buf_fini(&packets);
    return r < 0 ? r : 2;
}
