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
    return (struct svec_policy){.flavour = conn->flavour, .is_replica = conn->is_replica};
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

/* At birth nothing has been said to the connection; the schema went with the login. */
static int birth_text(struct conn *conn, struct buf *text)
{
    struct svec_policy policy = policy_of(conn);
    const struct svec *want = &conn->login->want;

    if (!conn->login->has_want) {
        return svec_format_learn(&policy, text);
    }
    uint32_t diff = svec_diff(&conn->svec, want, &policy);
    diff &= ~(SVEC_DIFF_REOPEN | UINT32_C(1) << SVEC_SCHEMA);
    int r = svec_format_set(want, diff, &policy, text);
    return r < 0 ? r : svec_apply(&conn->svec, want, diff, &policy);
}

void conn_birth_start(struct conn *conn)
{
    struct buf text;
    struct buf packet;
    buf_init(&text);
    buf_init(&packet);

    int r = birth_text(conn, &text);
    if (r >= 0) {
        r = put_command(&packet, COM_QUERY, buf_span(&text));
    }
    if (r >= 0) {
        r = stream_write(&conn->stream, packet.data + packet.off, buf_len(&packet));
    }
    buf_fini(&text);
    buf_fini(&packet);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    conn->login->seq = 1;
    conn_set_state(conn, CONN_ST_BIRTH);
}

void conn_birth_packet(struct conn *conn, struct span payload)
{
    struct ok ok;
    struct errpkt err;

    if (errpkt_is(payload)) {
        if (errpkt_decode(payload, &err) != DEC_OK) {
            conn_fail(conn, -WR_E_BAD_PACKET);
        } else if (err.code == ER_MUST_CHANGE_PASSWORD ||
                   err.code == ER_MUST_CHANGE_PASSWORD_LOGIN) {
            conn->is_sandboxed = true;
            conn->login->is_done = true;
        } else {
            conn_fail_server(conn, &err);
        }
        return;
    }
    bool has_track = (conn->caps & CAP_SESSION_TRACK) != 0;
    if (payload.len == 0 || payload.p[0] != 0x00 || ok_decode(payload, has_track, &ok) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    conn->status = ok.status;
    int r = svec_track_block(&conn->svec, ok.tracks);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    conn->login->is_done = true;
}

bool conn_svec_fits(const struct conn *conn, const struct svec *want)
{
    struct svec_policy policy = policy_of(conn);
    return svec_diff(&conn->svec, want, &policy) == 0;
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
    if ((diff & UINT32_C(1) << SVEC_SCHEMA) != 0) {
        r = put_command(&packets, COM_INIT_DB, svec_get(want, SVEC_SCHEMA));
        replies++;
    }
    if (r >= 0) {
        r = svec_format_set(want, diff, &policy, &text);
    }
    if (r > 0) {
        r = put_command(&packets, COM_QUERY, buf_span(&text));
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
    WR_ASSERT(conn->state == CONN_ST_READY);
    if (conn->is_sandboxed) {
        return 0;
    }
    uint32_t diff = svec_diff(&conn->svec, want, &policy);
    if (diff == 0) {
        return 0;
    }
    if ((diff & SVEC_DIFF_REOPEN) != 0) {
        return -WR_E_UNSUPPORTED;
    }
    return send_diff(conn, want, diff);
}
