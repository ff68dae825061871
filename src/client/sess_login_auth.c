/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does the client's answer prove, and what else can it be asked for?
 *
 * An answer is a hash over a scramble. weir can tell that it is right when it holds something to
 * compare with: the credential that a server accepted earlier, a listed user's, or the hash of the
 * server's own account table. When it holds nothing, or the answer does not fit (the password may
 * have changed), the client is asked for the password itself by caching_sha2_password's full
 * exchange, and a server decides. A user that does not exist goes exactly the same way.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir/backend/accounts.h"
#include "weir/config/config.h"
#include "weir/protocol/auth.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/wire.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "sess_auth_priv.h"

#define REFRESH_WAIT_US UINT64_C(1500000)

static const char *method_plugin(enum sess_login_method method)
{
    return method == SESS_LOGIN_NATIVE ? AUTH_PLUGIN_NATIVE : AUTH_PLUGIN_SHA2;
}

static enum sess_login_method method_of(struct span plugin)
{
    if (span_eq_text(plugin, AUTH_PLUGIN_NATIVE)) {
        return SESS_LOGIN_NATIVE;
    }
    return span_eq_text(plugin, AUTH_PLUGIN_SHA2) ? SESS_LOGIN_SHA2 : SESS_LOGIN_NO_METHOD;
}

static bool has_source(const struct sess_login *login, enum config_user_source source)
{
    return config_has_source(login->p.env->config, source);
}

static void set_cred(struct sess_login *login, struct cred *cred)
{
    cred_unref(login->cred);
    login->cred = cred;
}

/* Ask for the answer of another plugin. Native's is over the greeting's scramble, as on servers:
 * libmariadb answers a change of user over that one, whatever the switch says. */
static void ask_switch(struct sess_login *login, enum sess_login_method method)
{
    uint8_t bytes[128];
    struct wire_out out;
    struct sess_scrambles *scrambles = &login->scrambles;
    const struct auth_switch sw = {
        .plugin = span_of(method_plugin(method)),
        .data = {scrambles->last, sizeof(scrambles->last)},
    };
    if ((login->caps & CAP_PLUGIN_AUTH) == 0) {
        /* it would not understand the question */
        sess_login_refuse(login, SESS_ERR_OLD_CLIENT, METRIC_LOGIN_PROTOCOL);
        return;
    }
    if (method == SESS_LOGIN_NATIVE) {
        memcpy(scrambles->last, scrambles->greeting, sizeof(scrambles->last));
    } else {
        crypto_scramble(scrambles->last);
    }
    wire_out_array(&out, bytes, sizeof(bytes));
    auth_switch_encode(&out, &sw);
    WR_ASSERT(wire_out_ok(&out));
    login->method = method;
    login->tried |= (uint8_t)(1u << method);
    login->is_fast = false;
    login->is_unasked = false;
    sess_login_set_state(login, SESS_LOGIN_ST_REPLY);
    sess_login_send(login, (struct span){bytes, out.len});
}

static bool may_switch(const struct sess_login *login, enum sess_login_method method)
{
    return (login->tried & (1u << method)) == 0;
}

bool sess_login_ask_password(struct sess_login *login)
{
    if (!has_source(login, CONFIG_SOURCE_PASSTHROUGH) || !may_switch(login, SESS_LOGIN_SHA2)) {
        return false;
    }
    ask_switch(login, SESS_LOGIN_SHA2);
    return true;
}

/* --- comparing --- */

/* The answer in hand is native's. ret_stage1: what it proves, or NULL. */
static bool native_fits(const struct sess_login *login, const uint8_t stage2[AUTH_NATIVE_LEN],
                        uint8_t *ret_stage1)
{
    const struct sess_scrambles *scrambles = &login->scrambles;
    struct span reply = {login->reply, login->reply_len};
    return auth_native_verify(reply, scrambles->last, stage2, ret_stage1) ||
           (login->is_unasked &&
            auth_native_verify(reply, scrambles->greeting, stage2, ret_stage1));
}

/* True: the answer in hand was made with this credential. */
static bool reply_fits(const struct sess_login *login, const struct cred *cred)
{
    struct span reply = {login->reply, login->reply_len};
    struct span secret = cred_secret(cred);

    if (cred_kind(cred) == CRED_EMPTY || secret.len == 0) {
        return false; /* an empty answer never comes here */
    }
    if (login->method == SESS_LOGIN_SHA2) {
        uint8_t verifier[AUTH_SHA2_LEN];
        if (cred_kind(cred) != CRED_PASSWORD) {
            return false;
        }
        auth_sha2_verifier(secret, verifier);
        return auth_sha2_verify(reply, login->scrambles.last, verifier);
    }
    uint8_t stage2[AUTH_NATIVE_LEN];
    if (cred_kind(cred) == CRED_PASSWORD) {
        auth_native_stage2(secret, stage2);
    } else {
        crypto_sha1(&secret, 1, stage2);
    }
    return native_fits(login, stage2, NULL);
}

static bool try_verifier(struct sess_login *login)
{
    struct cred *cred = NULL;
    (void)users_find(login->p.env->users, sess_login_user(login), sess_login_schema(login),
                     loop_now_us(login->p.env->loop), &cred);
    if (cred == NULL) {
        return false;
    }
    if (!reply_fits(login, cred)) {
        cred_unref(cred);
        return false;
    }
    set_cred(login, cred);
    return true;
}

/* Stage 1 falls out of a right native answer: with it weir can log in, if not by other plugins. */
static bool try_stage2(struct sess_login *login, const uint8_t stage2[AUTH_NATIVE_LEN])
{
    uint8_t stage1[AUTH_NATIVE_LEN];
    struct cred *cred = NULL;

    if (login->method != SESS_LOGIN_NATIVE || !native_fits(login, stage2, stage1)) {
        return false;
    }
    int r = cred_create(users_secrets(login->p.env->users), sess_login_user(login), CRED_STAGE1,
                        (struct span){stage1, sizeof(stage1)}, &cred);
    crypto_wipe(stage1, sizeof(stage1));
    if (r < 0) {
        return false;
    }
    set_cred(login, cred);
    return true;
}

static const struct config_user *listed(const struct sess_login *login)
{
    char name[CRED_USER_MAX + 1];
    struct span user = sess_login_user(login);
    if (!has_source(login, CONFIG_SOURCE_LIST) || user.len > CRED_USER_MAX) {
        return NULL;
    }
    (void)span_copy(user, name, sizeof(name));
    return config_find_user(login->p.env->config, name);
}

static bool try_listed(struct sess_login *login)
{
    const struct config_user *user = listed(login);
    struct cred *cred = NULL;
    if (user == NULL) {
        return false;
    }
    if (user->native_hash != NULL) {
        return try_stage2(login, user->native_hash);
    }
    struct span password = {user->password.p, user->password.len};
    if (password.len == 0 || cred_create(users_secrets(login->p.env->users), sess_login_user(login),
                                         CRED_PASSWORD, password, &cred) < 0) {
        return false;
    }
    if (!reply_fits(login, cred)) {
        cred_unref(cred);
        return false;
    }
    set_cred(login, cred);
    return true;
}

/* The address that the server will see: this machine's own, on the way to it. */
static struct span own_address(const struct topo_server *server, char *dst, size_t cap)
{
    struct sockaddr_storage own = {0};
    socklen_t own_len = sizeof(own);
    union {
        const struct sockaddr_storage *storage;
        const struct sockaddr *addr;
    } to = {.storage = &server->addr};
    union {
        struct sockaddr_storage *storage;
        struct sockaddr *addr;
    } from = {.storage = &own};

    if (server->addr.ss_family == AF_UNIX || server->addr_len == 0) {
        return SPAN_LIT("localhost");
    }
    /* A datagram socket is connected without a packet being sent. */
    int fd = socket(server->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return SPAN_LIT("localhost");
    }
    dst[0] = '\0';
    if (connect(fd, to.addr, server->addr_len) == 0 && getsockname(fd, from.addr, &own_len) == 0 &&
        getnameinfo(from.addr, own_len, dst, (socklen_t)cap, NULL, 0, NI_NUMERICHOST) != 0) {
        dst[0] = '\0';
    }
    (void)close(fd);
    return span_of(dst);
}

static const struct account *find_account(const struct sess_login *login)
{
    const struct topo_server *primary = topo_primary(login->p.env->topo);
    char address[SESS_LOGIN_PEER_MAX];
    if (!has_source(login, CONFIG_SOURCE_SERVER) || login->p.env->accounts == NULL ||
        primary == NULL) {
        return NULL;
    }
    return accounts_find(login->p.env->accounts, sess_login_user(login),
                         own_address(primary, address, sizeof(address)));
}

/* --- judging --- */

/* The table says no, or does not know the user. It may be older than the last ALTER USER: have it
 * read again, once, before the answer is no. */
static bool await_refresh(struct sess_login *login)
{
    const struct sess_env *env = login->p.env;
    if (login->is_refreshed || env->poke_catalogue == NULL) {
        return false;
    }
    login->is_refreshed = true;
    login->accounts_generation = env->accounts != NULL ? accounts_generation(env->accounts) : 0;
    sess_login_set_state(login, SESS_LOGIN_ST_REFRESH);
    timer_arm_in(&login->retry, REFRESH_WAIT_US);
    env->poke_catalogue(env->arg);
    return true;
}

static void judge_native(struct sess_login *login)
{
    if (login->reply_len == AUTH_NATIVE_LEN && (try_verifier(login) || try_listed(login))) {
        sess_login_check(login);
        return;
    }
    const struct account *account = find_account(login);
    if (account != NULL && account->has_native && !account->no_password &&
        login->reply_len == AUTH_NATIVE_LEN && try_stage2(login, account->stage2)) {
        sess_login_check(login);
        return;
    }
    /* An account of another plugin can be used with the password only. */
    bool is_other = account != NULL && !account->has_native && !account->no_password;
    bool has_table =
        has_source(login, CONFIG_SOURCE_SERVER) && login->p.env->accounts != NULL && !is_other;
    if (has_table) {
        if (!await_refresh(login)) {
            sess_login_refuse_password(login);
        }
        return;
    }
    if (sess_login_ask_password(login)) {
        return;
    }
    if (has_source(login, CONFIG_SOURCE_SERVER) && login->p.env->accounts == NULL) {
        if (await_refresh(login)) {
            return; /* weir has just started: the table comes a moment after the topology */
        }
        sess_login_refuse_setup(login, "the account table has not been read; see users.source");
        return;
    }
    sess_login_refuse_password(login);
}

static void ask_full(struct sess_login *login)
{
    static const uint8_t more[2] = {0x01, AUTH_SHA2_FULL};
    sess_login_set_state(login, SESS_LOGIN_ST_FULL);
    sess_login_send(login, (struct span){more, sizeof(more)});
}

static void judge_sha2(struct sess_login *login)
{
    if (login->reply_len == AUTH_SHA2_LEN && (try_verifier(login) || try_listed(login))) {
        login->is_fast = true;
        sess_login_check(login);
        return;
    }
    if (has_source(login, CONFIG_SOURCE_PASSTHROUGH)) {
        ask_full(login);
        return;
    }
    bool knows_hashes = has_source(login, CONFIG_SOURCE_SERVER) || listed(login) != NULL;
    if (knows_hashes && may_switch(login, SESS_LOGIN_NATIVE)) {
        ask_switch(login, SESS_LOGIN_NATIVE);
        return;
    }
    sess_login_refuse_password(login);
}

/* No password at all: only a server can say whether that is right. */
static void judge_empty(struct sess_login *login)
{
    struct cred *cred = NULL;
    const struct config_user *user = listed(login);
    bool is_listed = user != NULL && user->password.len == 0 && user->native_hash == NULL;
    bool may_ask =
        has_source(login, CONFIG_SOURCE_PASSTHROUGH) || has_source(login, CONFIG_SOURCE_SERVER);

    login->has_password = false;
    if (!is_listed && !may_ask) {
        sess_login_refuse_password(login);
        return;
    }
    if (cred_create(users_secrets(login->p.env->users), sess_login_user(login), CRED_EMPTY,
                    (struct span){NULL, 0}, &cred) < 0) {
        sess_login_refuse_password(login);
        return;
    }
    set_cred(login, cred);
    sess_login_check(login);
}

static void judge(struct sess_login *login, struct span reply)
{
    bool is_empty = reply.len == 0 ||
                    (login->method == SESS_LOGIN_SHA2 && reply.len == 1 && reply.p[0] == '\0');
    if (is_empty) {
        judge_empty(login);
        return;
    }
    login->has_password = true;
    /* an answer of a length that the plugin never gives fits nothing, and goes the same way */
    login->reply_len = 0;
    if (reply.len <= sizeof(login->reply)) {
        memcpy(login->reply, reply.p, reply.len);
        login->reply_len = (uint8_t)reply.len;
    }
    if (login->method == SESS_LOGIN_NATIVE) {
        judge_native(login);
    } else {
        judge_sha2(login);
    }
}

void sess_login_judge_first(struct sess_login *login, struct span plugin, bool has_plugin,
                            struct span auth)
{
    enum sess_login_method method = has_plugin ? method_of(plugin) : SESS_LOGIN_NATIVE;
    const struct topo_server *primary = topo_primary(login->p.env->topo);
    bool is_mariadb = primary != NULL && primary->flavour == TOPO_FLAVOUR_MARIADB;

    if (sess_login_user(login).len > CRED_USER_MAX) {
        sess_login_refuse_password(login);
        return;
    }
    /* A client that cannot load the greeting's plugin names its own and leaves the answer out until
     * it is asked; that is not an empty password. */
    bool is_unasked = method != login->greeted && auth.len == 0;
    /* What comes with COM_CHANGE_USER is an answer over a former scramble, where the plugin gives
     * answers unasked: native does, caching_sha2 waits for its question. */
    bool is_answered = method == SESS_LOGIN_NATIVE && auth.len == AUTH_NATIVE_LEN;
    if ((login->is_change_user && !is_answered) || method == SESS_LOGIN_NO_METHOD || is_unasked) {
        if (method == SESS_LOGIN_NO_METHOD) {
            method = is_mariadb ? SESS_LOGIN_NATIVE : SESS_LOGIN_SHA2;
        }
        ask_switch(login, method);
        return;
    }
    login->method = method;
    login->tried |= (uint8_t)(1u << method);
    login->is_unasked = true;
    judge(login, auth);
}

/* The password itself has come: as a C string, in the clear. */
static void take_password(struct sess_login *login, struct span text)
{
    struct cred *cred = NULL;
    if (text.len == 0 || text.p[text.len - 1] != '\0' || text.len - 1 > CRED_SECRET_MAX) {
        sess_login_refuse_password(login);
        return;
    }
    text.len--;
    login->has_password = text.len > 0;
    if (text.len == 0) {
        judge_empty(login);
        return;
    }
    if (cred_create(users_secrets(login->p.env->users), sess_login_user(login), CRED_PASSWORD, text,
                    &cred) < 0) {
        sess_login_refuse(login, SESS_ERR_CON_COUNT, METRIC_LOGIN_LIMIT);
        return;
    }
    set_cred(login, cred);
    sess_login_check(login);
}

static void on_full(struct sess_login *login, struct span payload)
{
    if (stream_is_tls(login->p.stream) || login->p.is_unix) {
        take_password(login, payload);
        return;
    }
    if (payload.len != 1 || payload.p[0] != AUTH_SHA2_REQUEST_KEY) {
        /* A client that wanted TLS, was not offered it, and sent the password all the same. */
        sess_login_refuse_password(login);
        return;
    }
    struct span pem = crypto_rsa_public_pem(users_rsa(login->p.env->users));
    struct buf more;
    struct wire_out out;
    buf_init(&more);
    wire_out_buf(&out, &more, (size_t)4096);
    auth_more_encode(&out, pem);
    sess_login_set_state(login, SESS_LOGIN_ST_CIPHER);
    sess_login_send(login, buf_span(&more));
    buf_fini(&more);
}

static void on_cipher(struct sess_login *login, struct span payload)
{
    uint8_t text[CRYPTO_RSA_MAX];
    size_t len = 0;
    int r = crypto_rsa_decrypt(users_rsa(login->p.env->users), payload, text, sizeof(text), &len);
    if (r < 0) {
        sess_login_refuse_password(login);
        return;
    }
    auth_sha2_mask(text, len, login->scrambles.last);
    take_password(login, (struct span){text, len});
    crypto_wipe(text, sizeof(text));
}

void sess_login_auth_packet(struct sess_login *login, struct span payload)
{
    if (login->state == SESS_LOGIN_ST_REPLY) {
        judge(login, payload);
    } else if (login->state == SESS_LOGIN_ST_FULL) {
        on_full(login, payload);
    } else {
        WR_ASSERT(login->state == SESS_LOGIN_ST_CIPHER);
        on_cipher(login, payload);
    }
}

void sess_login_refreshed(struct sess_login *login, bool is_over)
{
    const struct accounts *accounts = login->p.env->accounts;
    if (!is_over &&
        (accounts == NULL || accounts_generation(accounts) == login->accounts_generation)) {
        return;
    }
    judge_native(login);
}
