/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's greeting, the decision for or against TLS, and the login packet.
 */
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/login.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "conn_priv.h"

/* What weir accepts from servers in one packet: as much as the protocol knows. */
#define MAX_PACKET_BYTES (UINT32_C(1) << 30)

/* "8.4.3", "5.5.5-10.11.19-MariaDB-0+deb12u1" (the prefix is for old replicas' eyes only). */
static void version_parse(struct span text, enum topo_flavour *ret_flavour, uint32_t *ret_version)
{
    static const char prefix[] = "5.5.5-";
    char copy[GREET_MAX_VERSION + 1];
    (void)span_copy(text, copy, sizeof(copy));
    const char *p = copy;
    bool is_mariadb = strstr(copy, "MariaDB") != NULL;

    if (strncmp(p, prefix, sizeof(prefix) - 1) == 0) {
        p += sizeof(prefix) - 1;
        is_mariadb = true;
    }
    uint32_t parts[3] = {0, 0, 0};
    for (size_t i = 0; i < 3; i++) {
        for (; *p >= '0' && *p <= '9' && parts[i] < 10000; p++) {
            parts[i] = parts[i] * 10 + (uint32_t)(*p - '0');
        }
        if (*p != '.') {
            break;
        }
        p++;
    }
    *ret_flavour = is_mariadb ? TOPO_FLAVOUR_MARIADB : TOPO_FLAVOUR_MYSQL;
    *ret_version = parts[0] * 10000 + parts[1] * 100 + parts[2];
}

/* 1: under TLS, 0: in the clear, <0: the policy allows neither. */
static int tls_decide(const struct conn_login *login, uint64_t server_caps)
{
    if (login->tls == NULL) {
        return 0;
    }
    bool is_offered = (server_caps & CAP_SSL) != 0;
    switch (login->tls->mode) {
    case TLS_MODE_OFF:
        return 0;
    case TLS_MODE_PREFERRED:
        return is_offered && !login->is_local && login->tls->ctx != NULL ? 1 : 0;
    case TLS_MODE_REQUIRED:
    case TLS_MODE_VERIFY:
        return is_offered && login->tls->ctx != NULL ? 1 : -WR_E_TLS_REQUIRED;
    }
    return -WR_E_TLS_REQUIRED;
}

/* The part of the login packet that an SSLRequest repeats. */
static struct login login_fields(const struct conn *conn)
{
    const struct conn_login *login = conn->login;
    return (struct login){
        .caps = conn->caps,
        .max_packet = MAX_PACKET_BYTES,
        .collation = login->collation,
        .user = cred_user(conn->cred),
        .db = buf_span(&login->schema),
        .plugin = span_of(login->plugin),
        .attrs = buf_span(&login->attrs),
        .has_plugin = true,
    };
}

void conn_login_send(struct conn *conn)
{
    uint8_t answer[CRED_SECRET_MAX + 1];
    size_t len = 0;
    int r = conn_auth_answer(conn, answer, sizeof(answer), &len);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    struct login fields = login_fields(conn);
    fields.auth = (struct span){answer, len};

    struct buf packet;
    struct wire_out out;
    buf_init(&packet);
    wire_out_buf(&out, &packet, CONN_LOGIN_PACKET_MAX);
    login_encode(&out, &fields);
    if (wire_out_ok(&out)) {
        conn_send_packet(conn, buf_span(&packet));
        stream_forget_written(&conn->stream);
    } else {
        conn_fail(conn, -WR_E_TOO_LARGE);
    }
    crypto_wipe(answer, sizeof(answer));
    buf_fini_secret(&packet);
}

static void tls_start(struct conn *conn)
{
    uint8_t packet[64];
    struct wire_out out;
    struct login fields = login_fields(conn);

    wire_out_array(&out, packet, sizeof(packet));
    login_encode_ssl_request(&out, &fields);
    WR_ASSERT(wire_out_ok(&out));
    conn_send_packet(conn, (struct span){packet, out.len});
    if (conn->state == CONN_ST_FAILED) {
        return;
    }
    /* What the server has said behind its greeting lies in the caller's buffer: it comes back
     * through feed(), which fails a connection that is waiting for TLS. */
    const struct conn_tls *tls = conn->login->tls;
    int r = stream_start_tls_connect(&conn->stream, tls->ctx, tls->server_name, 0);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    conn_set_state(conn, CONN_ST_TLS);
}

/* Log in with what the server named, where weir can: a wrong guess costs an AuthSwitch. */
static void plugin_choose(struct conn *conn, struct span named)
{
    struct conn_login *login = conn->login;
    const char *plugin = AUTH_PLUGIN_NATIVE;
    if (span_eq_text(named, AUTH_PLUGIN_SHA2) && cred_kind(conn->cred) != CRED_STAGE1) {
        plugin = AUTH_PLUGIN_SHA2;
    }
    (void)span_copy(span_of(plugin), login->plugin, sizeof(login->plugin));
}

void conn_login_packet(struct conn *conn, struct span payload)
{
    struct conn_login *login = conn->login;
    struct greet greet;
    struct errpkt err;

    if (errpkt_is(payload)) {
        if (errpkt_decode(payload, &err) == DEC_OK) {
            conn_fail_server(conn, &err);
        } else {
            conn_fail(conn, -WR_E_BAD_PACKET);
        }
        return;
    }
    if (greet_decode(payload, &greet) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    if (caps_missing(greet.caps) != 0) {
        conn_fail(conn, -WR_E_UNSUPPORTED);
        return;
    }
    int use_tls = tls_decide(login, greet.caps);
    if (use_tls < 0) {
        conn_fail(conn, use_tls);
        return;
    }
    version_parse(greet.version, &conn->flavour, &conn->version);
    conn->thread_id = greet.conn_id;
    conn->status = greet.status;
    conn->caps =
        caps_request(greet.caps, login->client_caps, use_tls > 0, buf_len(&login->schema) > 0);
    if ((login->client_caps & ~conn->caps & CAP_QUERY_ATTRIBUTES) != 0) {
        conn_fail(conn, -WR_E_UNSUPPORTED); /* what the client sends is read in another way here */
        return;
    }
    memcpy(login->scramble, greet.scramble, sizeof(login->scramble));
    plugin_choose(conn, greet.plugin);
    if (use_tls > 0) {
        tls_start(conn);
        return;
    }
    conn_set_state(conn, CONN_ST_AUTH);
    conn_login_send(conn);
}
