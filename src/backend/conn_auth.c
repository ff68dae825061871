/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authentication exchange, weir being the client. The server may switch to another plugin at
 * any time and as often as it likes within the limit on packets; what it may never do is to get a
 * password out of weir over a wire that others can read.
 */
#include <string.h>

#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/caps.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "conn_priv.h"

static int answer_native(const struct conn *conn, uint8_t *dst, size_t cap, size_t *ret_len)
{
    uint8_t stage1[AUTH_NATIVE_LEN];
    struct span secret = cred_secret(conn->cred);

    WR_ASSERT(cap >= AUTH_NATIVE_LEN);
    switch (cred_kind(conn->cred)) {
    case CRED_EMPTY:
        *ret_len = 0;
        return 0;
    case CRED_PASSWORD:
        if (secret.len == 0) {
            *ret_len = 0;
            return 0;
        }
        auth_native_stage1(secret, stage1);
        break;
    case CRED_STAGE1:
        if (secret.len != sizeof(stage1)) {
            return -WR_E_AUTH;
        }
        memcpy(stage1, secret.p, sizeof(stage1));
        break;
    }
    auth_native_reply(stage1, conn->login->scramble, dst);
    crypto_wipe(stage1, sizeof(stage1));
    *ret_len = AUTH_NATIVE_LEN;
    return 0;
}

static int answer_sha2(const struct conn *conn, uint8_t *dst, size_t cap, size_t *ret_len)
{
    struct span secret = cred_secret(conn->cred);

    WR_ASSERT(cap >= AUTH_SHA2_LEN);
    switch (cred_kind(conn->cred)) {
    case CRED_EMPTY:
        *ret_len = 0;
        return 0;
    case CRED_PASSWORD:
        if (secret.len == 0) {
            *ret_len = 0;
            return 0;
        }
        auth_sha2_reply(secret, conn->login->scramble, dst);
        *ret_len = AUTH_SHA2_LEN;
        return 0;
    case CRED_STAGE1:
        return -WR_E_AUTH_PLUGIN; /* needs the password itself */
    }
    return -WR_E_AUTH_PLUGIN;
}

static int put_cleartext(const struct conn *conn, uint8_t *dst, size_t cap, size_t *ret_len)
{
    struct span secret = cred_secret(conn->cred);
    if (cred_kind(conn->cred) == CRED_STAGE1 || secret.len + 1 > cap) {
        return -WR_E_AUTH_PLUGIN;
    }
    if (secret.len > 0) {
        memcpy(dst, secret.p, secret.len);
    }
    dst[secret.len] = 0;
    *ret_len = secret.len + 1;
    return 0;
}

/* mysql_clear_password hands the password to whoever answers: only to a server whose certificate
 * has been verified. */
static bool may_send_cleartext(const struct conn *conn)
{
    const struct conn_tls *tls = conn->login->tls;
    return tls != NULL && tls->mode == TLS_MODE_VERIFY && stream_is_tls(&conn->stream);
}

int conn_auth_answer(const struct conn *conn, uint8_t *dst, size_t cap, size_t *ret_len)
{
    struct span plugin = span_of(conn->login->plugin);
    if (span_eq_text(plugin, AUTH_PLUGIN_NATIVE)) {
        return answer_native(conn, dst, cap, ret_len);
    }
    if (span_eq_text(plugin, AUTH_PLUGIN_SHA2)) {
        return answer_sha2(conn, dst, cap, ret_len);
    }
    /* The password as it is, within TLS: what caching_sha2_password does there, too. MySQL also asks
     * for this plugin to hide that it does not know a user. */
    if (span_eq_text(plugin, "sha256_password") && stream_is_tls(&conn->stream)) {
        return put_cleartext(conn, dst, cap, ret_len);
    }
    if (span_eq_text(plugin, AUTH_PLUGIN_CLEARTEXT) && may_send_cleartext(conn)) {
        return put_cleartext(conn, dst, cap, ret_len);
    }
    return -WR_E_AUTH_PLUGIN;
}

static void on_switch(struct conn *conn, struct span payload)
{
    struct conn_login *login = conn->login;
    struct auth_switch sw;
    if (auth_switch_decode(payload, &sw) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    if (sw.plugin.len >= sizeof(login->plugin)) {
        conn_fail(conn, -WR_E_AUTH_PLUGIN);
        return;
    }
    (void)span_copy(sw.plugin, login->plugin, sizeof(login->plugin));
    bool needs_scramble = !span_eq_text(sw.plugin, AUTH_PLUGIN_CLEARTEXT);
    if (needs_scramble && sw.data.len != sizeof(login->scramble)) {
        /* a server that chooses the length could choose what weir's answer gives away */
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    if (needs_scramble) {
        memcpy(login->scramble, sw.data.p, sizeof(login->scramble));
    }
    uint8_t answer[CRED_SECRET_MAX + 1];
    size_t len = 0;
    int r = conn_auth_answer(conn, answer, sizeof(answer), &len);
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    conn_send_packet(conn, (struct span){answer, len});
    stream_forget_written(&conn->stream);
    crypto_wipe(answer, sizeof(answer));
}

/* caching_sha2_password does not know the password by heart: it wants the thing itself. */
static void send_full(struct conn *conn)
{
    struct conn_login *login = conn->login;
    if (login->is_full_sent || login->awaits_key) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    if (stream_is_tls(&conn->stream) || login->is_local) {
        uint8_t password[CRED_SECRET_MAX + 1];
        size_t len = 0;
        int r = put_cleartext(conn, password, sizeof(password), &len);
        if (r < 0) {
            conn_fail(conn, r);
            return;
        }
        login->is_full_sent = true;
        conn_send_packet(conn, (struct span){password, len});
        stream_forget_written(&conn->stream);
        crypto_wipe(password, sizeof(password));
        return;
    }
    static const uint8_t request = AUTH_SHA2_REQUEST_KEY;
    login->awaits_key = true;
    conn_send_packet(conn, (struct span){&request, 1});
}

static void send_encrypted(struct conn *conn, struct span key)
{
    struct conn_login *login = conn->login;
    uint8_t password[CRED_SECRET_MAX + 1];
    uint8_t cipher[CRYPTO_RSA_MAX];
    size_t len = 0;
    size_t cipher_len = 0;

    int r = put_cleartext(conn, password, sizeof(password), &len);
    if (r >= 0) {
        auth_sha2_mask(password, len, login->scramble);
        r = crypto_rsa_encrypt(key, (struct span){password, len}, cipher, sizeof(cipher),
                               &cipher_len);
        crypto_wipe(password, sizeof(password));
    }
    if (r < 0) {
        conn_fail(conn, r);
        return;
    }
    login->awaits_key = false;
    login->is_full_sent = true;
    conn_send_packet(conn, (struct span){cipher, cipher_len});
}

static void on_more(struct conn *conn, struct span payload)
{
    struct conn_login *login = conn->login;
    struct span data = {NULL, 0};
    if (auth_more_decode(payload, &data) != DEC_OK || data.len == 0 ||
        !span_eq_text(span_of(login->plugin), AUTH_PLUGIN_SHA2)) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    if (login->awaits_key) {
        send_encrypted(conn, data);
    } else if (data.len == 1 && data.p[0] == AUTH_SHA2_FULL) {
        send_full(conn);
    } else if (data.len != 1 || data.p[0] != AUTH_SHA2_FAST_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
    }
}

static void on_ok(struct conn *conn, struct span payload)
{
    struct ok ok;
    if (ok_decode(payload, (conn->caps & CAP_SESSION_TRACK) != 0, &ok) != DEC_OK) {
        conn_fail(conn, -WR_E_BAD_PACKET);
        return;
    }
    conn->status = ok.status;
    if (conn->login->is_bare) {
        conn->login->is_done = true;
        return;
    }
    conn_birth_start(conn);
}

void conn_auth_packet(struct conn *conn, struct span payload)
{
    struct errpkt err;
    switch (auth_packet_kind(payload)) {
    case AUTH_PACKET_OK:
        on_ok(conn, payload);
        break;
    case AUTH_PACKET_ERR:
        if (errpkt_decode(payload, &err) == DEC_OK) {
            conn_fail_server(conn, &err);
        } else {
            conn_fail(conn, -WR_E_BAD_PACKET);
        }
        break;
    case AUTH_PACKET_SWITCH:
        on_switch(conn, payload);
        break;
    case AUTH_PACKET_MORE:
        on_more(conn, payload);
        break;
    case AUTH_PACKET_OLD_SWITCH:
        conn_fail(conn, -WR_E_AUTH_PLUGIN);
        break;
    case AUTH_PACKET_UNKNOWN:
        conn_fail(conn, -WR_E_BAD_PACKET);
        break;
    }
}
