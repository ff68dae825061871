/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login of an operator. The greeting names caching_sha2_password; a client that has only
 * mysql_native_password answers with that. What an answer is compared with is in the configuration:
 * a password, or the hash of mysql_native_password. A wrong answer, an unknown name and a password
 * that is only known as the other plugin's hash all take the same way: once more by the means that
 * shows the password itself (TLS, unix socket), else by mysql_native_password, and then the refusal.
 */
#include <stdio.h>
#include <string.h>

#include "weir/protocol/auth.h"
#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/login.h"
#include "weir/util/crypto.h"

#include "admin_priv.h"

#define OUT_MAX      ((size_t)1024)
#define COLLATION    45 /* utf8mb4_general_ci */
#define STATUS_PLAIN 0x0002u
#define TRIED_SHA2   1U
#define TRIED_NATIVE 2U
#define PASSWORD_MAX 256

static void send_payload(struct admin_sess *sess, struct span payload)
{
    struct buf bytes = {0};
    struct wire_out out;

    wire_out_buf(&out, &bytes, OUT_MAX);
    frame_packet_encode(&out, &sess->seq, payload);
    admin_send(sess, &bytes);
}

void admin_login_begin(struct admin_sess *sess)
{
    uint8_t payload[256];
    struct wire_out out;
    struct greet greet = {
        .version = SPAN_LIT("8.4.0-weir-" WEIR_VERSION),
        .plugin = SPAN_LIT(AUTH_PLUGIN_SHA2),
        .conn_id = sess->id,
        .status = STATUS_PLAIN,
        .collation = COLLATION,
    };

    sess->offered = CAP_LONG_PASSWORD | CAP_FOUND_ROWS | CAP_LONG_FLAG | CAP_CONNECT_WITH_DB |
                    CAP_ODBC | CAP_IGNORE_SPACE | CAP_PROTOCOL_41 | CAP_INTERACTIVE |
                    CAP_TRANSACTIONS | CAP_RESERVED | CAP_SECURE_CONNECTION | CAP_MULTI_RESULTS |
                    CAP_PS_MULTI_RESULTS | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS |
                    CAP_PLUGIN_AUTH_LENENC | CAP_DEPRECATE_EOF;
    if (sess->is_tls_offered) {
        sess->offered |= CAP_SSL;
    }
    greet.caps = sess->offered;
    crypto_scramble(sess->scramble);
    memcpy(greet.scramble, sess->scramble, sizeof(greet.scramble));
    wire_out_array(&out, payload, sizeof(payload));
    greet_encode(&out, &greet);
    send_payload(sess, (struct span){payload, out.len});
}

void admin_login_refuse(struct admin_sess *sess, uint16_t code, const char *sqlstate,
                        const char *text)
{
    admin_error(sess, code, sqlstate, "%s", text);
    admin_close_flushed(sess);
}

static void refuse(struct admin_sess *sess)
{
    metric_inc(sess->admin->conf.metrics, METRIC_ADMIN_REFUSED, METRIC_NONE);
    log_warn(sess->admin->conf.log, "admin_login_refused", "user '%s' from %s", sess->user,
             sess->peer);
    admin_error(sess, 1045, "28000", "Access denied for user '%s'@'%s' (using password: %s)",
                sess->user, sess->peer, sess->has_password ? "YES" : "NO");
    admin_close_flushed(sess);
}

static const struct config_admin_user *user_of(const struct admin_sess *sess,
                                               const struct config *config)
{
    for (uint32_t i = 0; i < config->admin.user_count; i++) {
        if (strcmp(config->admin.users[i].name, sess->user) == 0) {
            return &config->admin.users[i];
        }
    }
    return NULL;
}

static void accept_login(struct admin_sess *sess, const struct config_admin_user *user,
                         bool is_fast)
{
    static const uint8_t fast[2] = {0x01, AUTH_SHA2_FAST_OK};

    sess->role = user->role;
    if (is_fast) {
        send_payload(sess, (struct span){fast, sizeof(fast)});
    }
    if (sess->state == ADMIN_ST_CLOSING) {
        return;
    }
    log_info(sess->admin->conf.log, "admin_login", "user '%s' from %s, session %u, role %s",
             sess->user, sess->peer, (unsigned)sess->id,
             user->role == CONFIG_ADMIN_OPERATE ? "operate" : "read");
    admin_ok(sess);
    if (sess->state != ADMIN_ST_CLOSING) {
        admin_set_state(sess, ADMIN_ST_IDLE);
    }
}

static bool is_private(const struct admin_sess *sess)
{
    return sess->is_unix || stream_is_tls(&sess->front);
}

static void ask_switch(struct admin_sess *sess, bool is_native)
{
    uint8_t payload[128];
    struct wire_out out;
    struct auth_switch sw = {
        .plugin = span_of(is_native ? AUTH_PLUGIN_NATIVE : AUTH_PLUGIN_SHA2),
        .data = {sess->scramble, sizeof(sess->scramble)},
    };

    crypto_scramble(sess->scramble);
    wire_out_array(&out, payload, sizeof(payload));
    auth_switch_encode(&out, &sw);
    sess->is_native = is_native;
    sess->tried |= is_native ? TRIED_NATIVE : TRIED_SHA2;
    admin_set_state(sess, ADMIN_ST_REPLY);
    send_payload(sess, (struct span){payload, out.len});
}

/* The answer was not right, or there is nothing to compare it with. */
static void try_else(struct admin_sess *sess)
{
    static const uint8_t more[2] = {0x01, AUTH_SHA2_FULL};

    if (!sess->is_native && is_private(sess)) {
        admin_set_state(sess, ADMIN_ST_FULL);
        send_payload(sess, (struct span){more, sizeof(more)});
        return;
    }
    if (!sess->is_native && (sess->tried & TRIED_NATIVE) == 0 &&
        (sess->caps & CAP_PLUGIN_AUTH) != 0) {
        ask_switch(sess, true);
        return;
    }
    refuse(sess);
}

static bool native_is_right(const struct admin_sess *sess, const struct config_admin_user *user,
                            struct span reply)
{
    uint8_t stage2[AUTH_NATIVE_LEN];

    if (user->native_hash != NULL) {
        return auth_native_verify(reply, sess->scramble, user->native_hash, NULL);
    }
    auth_native_stage2((struct span){user->password.p, user->password.len}, stage2);

    bool is_right = auth_native_verify(reply, sess->scramble, stage2, NULL);

    crypto_wipe(stage2, sizeof(stage2));
    return is_right;
}

static bool sha2_is_right(const struct admin_sess *sess, const struct config_admin_user *user,
                          struct span reply)
{
    uint8_t verifier[AUTH_SHA2_LEN];
    bool is_right = false;

    if (user->password.p != NULL) {
        auth_sha2_verifier((struct span){user->password.p, user->password.len}, verifier);
        is_right = auth_sha2_verify(reply, sess->scramble, verifier);
        crypto_wipe(verifier, sizeof(verifier));
    }
    return is_right;
}

static void judge(struct admin_sess *sess, struct span reply)
{
    struct admin_view view;
    const struct config_admin_user *user = NULL;
    size_t want = sess->is_native ? AUTH_NATIVE_LEN : AUTH_SHA2_LEN;

    admin_view(sess, &view);
    user = user_of(sess, view.config);
    sess->has_password = reply.len > 1;
    if (!sess->has_password) {
        refuse(sess); /* no operator is without a password */
        return;
    }
    if (user != NULL && reply.len == want &&
        (sess->is_native ? native_is_right(sess, user, reply) : sha2_is_right(sess, user, reply))) {
        accept_login(sess, user, !sess->is_native);
        return;
    }
    try_else(sess);
}

/* The password as a C string. */
static void on_full(struct admin_sess *sess, struct span text)
{
    struct admin_view view;
    const struct config_admin_user *user = NULL;
    uint8_t stage2[AUTH_NATIVE_LEN];
    bool is_right = false;

    admin_view(sess, &view);
    user = user_of(sess, view.config);
    if (text.len == 0 || text.len > PASSWORD_MAX || text.p[text.len - 1] != '\0') {
        refuse(sess);
        return;
    }
    text.len--;
    if (user != NULL && user->native_hash != NULL) {
        auth_native_stage2(text, stage2);
        is_right = crypto_equal(stage2, user->native_hash, sizeof(stage2));
        crypto_wipe(stage2, sizeof(stage2));
    } else if (user != NULL && user->password.p != NULL) {
        is_right =
            text.len == user->password.len && crypto_equal(text.p, user->password.p, text.len);
    }
    if (is_right) {
        accept_login(sess, user, false);
    } else {
        refuse(sess);
    }
}

static void on_response(struct admin_sess *sess, struct span payload)
{
    struct login login;

    if (login_is_pre41(payload)) {
        admin_login_refuse(sess, 1251, "08004",
                           "Client does not support authentication protocol requested by server");
        return;
    }
    if (login_decode(payload, sess->offered, &login) != DEC_OK ||
        (login.caps & CAP_PROTOCOL_41) == 0 || (login.is_ssl_request && sess->is_tls_begun)) {
        admin_login_refuse(sess, 1043, "08S01", "Bad handshake");
        return;
    }
    if (login.is_ssl_request) {
        sess->is_tls_begun = true;
        return;
    }
    sess->caps = sess->offered & login.caps;
    if (login.user.len >= sizeof(sess->user) || login.db.len >= sizeof(sess->schema)) {
        admin_login_refuse(sess, 1043, "08S01", "Bad handshake");
        return;
    }
    (void)span_copy(login.user, sess->user, sizeof(sess->user));
    if (sess->is_tls_required && !is_private(sess)) {
        admin_login_refuse(sess, 3159, "HY000",
                           "Connections using insecure transport are prohibited (admin.tls)");
        return;
    }
    if ((sess->caps & CAP_CONNECT_WITH_DB) != 0 && login.db.len > 0 &&
        span_eq_text_nocase(login.db, ADMIN_SCHEMA)) {
        (void)snprintf(sess->schema, sizeof(sess->schema), "%s", ADMIN_SCHEMA);
    }

    bool is_sha2 = login.has_plugin && span_eq_text(login.plugin, AUTH_PLUGIN_SHA2);
    bool is_native = !login.has_plugin || span_eq_text(login.plugin, AUTH_PLUGIN_NATIVE);

    sess->is_native = is_native;
    if (!is_sha2 && (!is_native || login.auth.len == 0) && login.has_plugin) {
        /* it has another plugin and waits to be asked; that is no empty password */
        ask_switch(sess, is_native);
        return;
    }
    judge(sess, login.auth);
}

void admin_login_packet(struct admin_sess *sess, struct span payload)
{
    if (sess->state == ADMIN_ST_FULL) {
        on_full(sess, payload);
    } else if (sess->state == ADMIN_ST_REPLY) {
        judge(sess, payload);
    } else {
        on_response(sess, payload);
    }
}
