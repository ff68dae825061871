/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front login: a scripted client on a socket pair, a scripted server on loopback where weir
 * asks one. "Nobody listens" is a test of its own: what must not cost a connection has no server.
 */
#include <stdio.h>

#include "weir/backend/accounts.h"
#include "weir/backend/conn.h"
#include "weir/client/sess.h"
#include "weir/client/users.h"
#include "weir/config/config.h"
#include "weir/pool/pool.h"
#include "weir/pool/slots.h"
#include "weir/protocol/auth.h"
#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/login.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "login_peer.h"
#include "sess_login_priv.h"

#define PASSWORD "app-secret"

enum way {
    WAY_NATIVE,
    WAY_SHA2
};

struct rig {
    struct loop *loop;
    struct config *config;
    struct topo *topo;
    const struct accounts *accounts;
    struct users *users;
    struct slots *slots;
    struct pool *pool;
    struct svec_values *values;
    struct conn_tls tls;
    struct conn_env conn_env;
    struct sess_env env;
    struct sess_login_params params;
    struct stream front;
    struct sess_login *login;
    struct conn *conn;
    struct peer client;
    struct peer server;
    int listener;
    unsigned done;
    enum sess_login_rc rc;
    unsigned pokes;
    unsigned failures;
    struct greet greet;
    uint8_t scramble[GREET_SCRAMBLE]; /* what the client answers to */
};

static void on_done(void *arg, enum sess_login_rc rc)
{
    struct rig *rig = arg;
    rig->rc = rc;
    rig->done++;
}

static void on_front(void *arg, enum stream_event event)
{
    struct rig *rig = arg;
    size_t len = 0;
    if (event == STREAM_CLOSED) {
        rig->done++;
        rig->rc = SESS_LOGIN_FAILED;
        return;
    }
    if (event != STREAM_READABLE || rig->login == NULL) {
        return;
    }
    uint8_t *scratch = loop_scratch(rig->loop);
    if (stream_read(&rig->front, scratch, LOOP_SCRATCH_BYTES, &len) == IO_DONE) {
        enum sess_login_rc rc = sess_login_feed(rig->login, scratch, len);
        if (rc == SESS_LOGIN_OK || rc == SESS_LOGIN_FAILED) {
            on_done(rig, rc);
        }
    }
}

static void on_poke(void *arg)
{
    ((struct rig *)arg)->pokes++;
}

static void on_failure(void *arg, uint32_t server, int err)
{
    (void)server;
    (void)err;
    ((struct rig *)arg)->failures++;
}

static void config_make(struct rig *rig, const char *users, const char *auth)
{
    char text[2048];
    struct config_errors errs;
    (void)snprintf(text, sizeof(text),
                   "listeners:\n  - address: 127.0.0.1:3310\n"
                   "servers:\n  - name: p1\n    address: 127.0.0.1:3306\n"
                   "monitor:\n  user: m\n  password: \"\"\n"
                   "users:\n%s%s",
                   users, auth);
    if (config_parse("/nowhere/test.yaml", (const uint8_t *)text, strlen(text), &rig->config,
                     &errs) < 0) {
        config_print_errors(&errs, stderr);
        fail();
    }
}

static void topo_make(struct rig *rig, enum topo_flavour flavour)
{
    rig->topo = topo_create(1);
    assert_non_null(rig->topo);
    struct topo_server *server = &rig->topo->servers[0];
    rig->listener = peer_listen(&server->addr, &server->addr_len);
    server->role = TOPO_ROLE_PRIMARY;
    server->state = TOPO_ST_UP;
    server->flavour = flavour;
    server->has_defaults = true;
    server->defaults.autocommit = true;
    server->defaults.collation_id = 255;
    bool is_mariadb = flavour == TOPO_FLAVOUR_MARIADB;
    server->version = is_mariadb ? 101119 : 90704;
    (void)snprintf(server->name, sizeof(server->name), "p1");
    (void)snprintf(server->version_text, sizeof(server->version_text), "%s",
                   is_mariadb ? "10.11.19-MariaDB" : "9.7.4");
    rig->topo->primary = 0;
}

static void rig_init(struct rig *rig, enum topo_flavour flavour, const char *users,
                     const char *auth)
{
    static const uint32_t max[1] = {10};
    *rig = (struct rig){.listener = -1};
    config_make(rig, users, auth);
    topo_make(rig, flavour);
    assert_int_equal(loop_create(&rig->loop), 0);
    assert_int_equal(svec_values_create(&rig->values), 0);
    assert_int_equal(slots_create(max, 1, &rig->slots), 0);
    const struct users_conf conf = {
        rig->config->users.recheck_us, rig->config->auth.negative_cache_us,
        rig->config->auth.max_checks, rig->config->auth.max_checks_per_address,
        rig->config->auth.max_checks_per_user};
    assert_int_equal(users_create(&conf, &rig->users), 0);
    rig->conn_env = (struct conn_env){
        .loop = rig->loop, .values = rig->values, .tls = &rig->tls, .tls_count = 1};
    const struct pool_env pool_env = {
        .loop = rig->loop,
        .conn_env = &rig->conn_env,
        .slots = rig->slots,
        .worker_count = 1,
    };
    const struct pool_conf pool_conf = {.wait_us = 1000000, .max_waiters = 10, .idle_us = 1000000};
    assert_int_equal(pool_create(&pool_env, &pool_conf, rig->topo, &rig->pool), 0);
    rig->env = (struct sess_env){
        .loop = rig->loop,
        .config = rig->config,
        .topo = rig->topo,
        .users = rig->users,
        .pool = rig->pool,
        .conn_env = &rig->conn_env,
        .poke_catalogue = on_poke,
        .report_failure = on_failure,
        .arg = rig,
    };
    rig->params = (struct sess_login_params){
        .env = &rig->env,
        .stream = &rig->front,
        .peer = "192.0.2.7",
        .connection_id = 0x01020304,
        .deadline_us = clock_now_us() + 20 * CLOCK_US_PER_SECOND,
        .on_done = on_done,
        .arg = rig,
    };
    stream_init(&rig->front);
    peer_init(&rig->server, rig->loop, -1);
    peer_init(&rig->client, rig->loop, -1);
}

static void accounts_make(struct rig *rig, const char *password, uint64_t generation)
{
    struct accounts_builder *builder = accounts_builder_create();
    struct account account = {.user = SPAN_LIT("app"),
                              .host = SPAN_LIT("%"),
                              .plugin = SPAN_LIT(AUTH_PLUGIN_NATIVE),
                              .has_native = true};
    assert_non_null(builder);
    auth_native_stage2(span_of(password), account.stage2);
    assert_int_equal(accounts_builder_add(builder, &account), 0);
    accounts_unref(rig->accounts);
    rig->accounts = accounts_builder_finish(builder, generation);
    assert_non_null(rig->accounts);
    rig->env.accounts = rig->accounts;
}

/* A client connects; the greeting is read. */
static void rig_connect(struct rig *rig)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_open(&rig->front, rig->loop, fds[0], on_front, rig), 0);
    peer_init(&rig->client, rig->loop, fds[1]);
    rig->done = 0;
    assert_int_equal(sess_login_start(&rig->params, &rig->login), 0);
    struct span payload = peer_expect(&rig->client);
    if (errpkt_is(payload)) {
        return;
    }
    assert_int_equal(greet_decode(payload, &rig->greet), DEC_OK);
    memcpy(rig->scramble, rig->greet.scramble, sizeof(rig->scramble));
    assert_null(memchr(rig->scramble, 0, sizeof(rig->scramble)));
}

/* The session is over: what it held is given back. */
static void rig_disconnect(struct rig *rig)
{
    if (rig->conn != NULL) {
        pool_give_slot(rig->pool, rig->conn->server_index);
        conn_close(rig->conn, false);
        rig->conn = NULL;
    }
    sess_login_destroy(rig->login);
    rig->login = NULL;
    stream_close(&rig->front);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    peer_fini(&rig->client);
    peer_fini(&rig->server);
    assert_int_equal(slots_used(rig->slots, 0), 0);
    assert_int_equal(users_checks_running(rig->users), 0);
}

static void rig_fini(struct rig *rig)
{
    rig_disconnect(rig);
    (void)close(rig->listener);
    accounts_unref(rig->accounts);
    pool_destroy(rig->pool);
    slots_destroy(rig->slots);
    users_destroy(rig->users);
    loop_destroy(rig->loop);
    svec_values_destroy(rig->values);
    topo_unref(rig->topo);
    config_unref(rig->config);
}

static const uint64_t modern = (UINT64_C(0x01ffffff) | UINT64_C(1) << 24);

/* The answer of a client to rig->scramble. */
static size_t answer(const struct rig *rig, enum way way, const char *password, uint8_t dst[32])
{
    if (password[0] == '\0') {
        return 0;
    }
    if (way == WAY_SHA2) {
        auth_sha2_reply(span_of(password), rig->scramble, dst);
        return AUTH_SHA2_LEN;
    }
    uint8_t stage1[AUTH_NATIVE_LEN];
    auth_native_stage1(span_of(password), stage1);
    auth_native_reply(stage1, rig->scramble, dst);
    return AUTH_NATIVE_LEN;
}

static const char *plugin_of(enum way way)
{
    return way == WAY_SHA2 ? AUTH_PLUGIN_SHA2 : AUTH_PLUGIN_NATIVE;
}

/* The login packet; plugin NULL: that of the way. */
static void send_login(struct rig *rig, enum way way, const char *plugin, const char *password,
                       const char *schema)
{
    uint8_t bytes[512];
    uint8_t auth[32];
    struct wire_out out;
    uint64_t caps =
        rig->greet.caps & modern & ~(CAP_SSL | (schema[0] == '\0' ? CAP_CONNECT_WITH_DB : 0));
    struct login login = {
        .caps = caps,
        .max_packet = 1 << 24,
        .collation = 45,
        .user = SPAN_LIT("app"),
        .auth = {auth, answer(rig, way, password, auth)},
        .db = span_of(schema),
        .plugin = span_of(plugin != NULL ? plugin : plugin_of(way)),
        .has_plugin = true,
    };
    wire_out_array(&out, bytes, sizeof(bytes));
    login_encode(&out, &login);
    peer_send_seq(&rig->client, 1, (struct span){bytes, out.len});
}

static void expect_switch(struct rig *rig, enum way way)
{
    struct auth_switch sw;
    struct span payload = peer_expect(&rig->client);
    assert_int_equal(auth_switch_decode(payload, &sw), DEC_OK);
    assert_true(span_eq_text(sw.plugin, plugin_of(way)));
    assert_int_equal(sw.data.len, sizeof(rig->scramble));
    if (way ==
        WAY_NATIVE) { /* as on servers: drivers may answer over the greeting's whatever it says */
        assert_memory_equal(sw.data.p, rig->greet.scramble, sizeof(rig->scramble));
    } else {
        assert_memory_not_equal(sw.data.p, rig->scramble, sizeof(rig->scramble));
    }
    memcpy(rig->scramble, sw.data.p, sizeof(rig->scramble));
}

static void send_answer(struct rig *rig, enum way way, const char *password)
{
    uint8_t auth[32];
    peer_send(&rig->client, (struct span){auth, answer(rig, way, password, auth)});
}

static void expect_more(struct rig *rig, uint8_t byte)
{
    struct span payload = peer_expect(&rig->client);
    assert_int_equal(payload.len, 2);
    assert_int_equal(payload.p[0], 1);
    assert_int_equal(payload.p[1], byte);
}

/* 0x04, the key, the password under it. */
static void send_full(struct rig *rig, const char *password)
{
    uint8_t text[256];
    uint8_t cipher[CRYPTO_RSA_MAX];
    size_t len = 0;
    static const uint8_t wish = AUTH_SHA2_REQUEST_KEY;
    struct span pem = {NULL, 0};
    expect_more(rig, AUTH_SHA2_FULL);
    peer_send(&rig->client, (struct span){&wish, 1});
    struct span payload = peer_expect(&rig->client);
    assert_int_equal(auth_more_decode(payload, &pem), DEC_OK);
    (void)snprintf((char *)text, sizeof(text), "%s", password);
    auth_sha2_mask(text, strlen(password) + 1, rig->scramble);
    assert_int_equal(crypto_rsa_encrypt(pem, (struct span){text, strlen(password) + 1}, cipher,
                                        sizeof(cipher), &len),
                     0);
    peer_send(&rig->client, (struct span){cipher, len});
}

/* --- the server's side --- */

static void serve_greeting(struct rig *rig, const char *plugin, struct login *ret_login)
{
    uint8_t bytes[256];
    struct wire_out out;
    struct greet greet = {.version = SPAN_LIT("9.7.4"),
                          .plugin = span_of(plugin),
                          .caps = UINT64_C(0xffffffff) & ~(CAP_SSL | CAP_COMPRESS),
                          .conn_id = 9,
                          .status = 2};
    memcpy(greet.scramble, "abcdefghijABCDEFGHIJ", sizeof(greet.scramble));
    int fd = accept(rig->listener, NULL, NULL);
    assert_true(fd >= 0);
    peer_init(&rig->server, rig->loop, fd);
    wire_out_array(&out, bytes, sizeof(bytes));
    greet_encode(&out, &greet);
    peer_send_seq(&rig->server, 0, (struct span){bytes, out.len});
    struct span payload = peer_expect(&rig->server);
    assert_non_null(payload.p);
    assert_int_equal(login_decode(payload, greet.caps, ret_login), DEC_OK);
}

/* A whole yes; checks that weir has the right password. */
static void serve_yes(struct rig *rig, const char *password)
{
    struct login login;
    uint8_t stage2[AUTH_NATIVE_LEN];
    serve_greeting(rig, AUTH_PLUGIN_NATIVE, &login);
    if (password[0] == '\0') {
        assert_int_equal(login.auth.len, 0);
    } else {
        auth_native_stage2(span_of(password), stage2);
        assert_true(
            auth_native_verify(login.auth, (const uint8_t *)"abcdefghijABCDEFGHIJ", stage2, NULL));
    }
    peer_send_ok(&rig->server, 2);
    assert_non_null(peer_expect(&rig->server).p); /* the SET at birth */
    peer_send_ok(&rig->server, 2);
}

static void serve_no(struct rig *rig, uint16_t code, const char *state, const char *text)
{
    struct login login;
    serve_greeting(rig, AUTH_PLUGIN_NATIVE, &login);
    peer_send_err(&rig->server, code, state, text);
}

static bool nobody_connected(const struct rig *rig)
{
    int fd = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd < 0;
}

static void listener_unblock(struct rig *rig)
{
    struct timeval tv = {.tv_sec = 0, .tv_usec = 1000};
    assert_int_equal(setsockopt(rig->listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

/* --- what the client reads at the end --- */

static void spin_done(struct rig *rig)
{
    for (int i = 0; i < 300 && rig->done == 0; i++) {
        peer_turn(&rig->client, 10000);
    }
    assert_int_equal(rig->done, 1);
}

static void expect_ok(struct rig *rig, bool with_conn)
{
    struct ok ok;
    struct span payload = peer_expect(&rig->client);
    assert_true(payload.len > 0);
    if (payload.p[0] != 0) {
        struct errpkt err;
        if (errpkt_decode(payload, &err) == DEC_OK) {
            print_error("%u %.*s\n", err.code, (int)err.text.len, (const char *)err.text.p);
        }
    }
    assert_int_equal(payload.p[0], 0);
    assert_int_equal(ok_decode(payload, true, &ok), DEC_OK);
    assert_int_equal(ok.status & STATUS_AUTOCOMMIT, STATUS_AUTOCOMMIT);
    spin_done(rig);
    assert_int_equal(rig->rc, SESS_LOGIN_OK);
    const struct sess_login_result *result = sess_login_result(rig->login);
    assert_true(span_eq_text(result->user, "app"));
    assert_non_null(result->cred);
    rig->conn = sess_login_take_conn(rig->login);
    assert_int_equal(rig->conn != NULL, with_conn);
}

static void expect_err(struct rig *rig, uint16_t code, const char *state, const char *text)
{
    struct errpkt err;
    struct span payload = peer_expect(&rig->client);
    assert_int_equal(errpkt_decode(payload, &err), DEC_OK);
    assert_int_equal(err.code, code);
    assert_string_equal(err.sqlstate, state);
    if (!span_eq_text(err.text, text)) {
        print_error("got: %.*s\n", (int)err.text.len, (const char *)err.text.p);
    }
    assert_true(span_eq_text(err.text, text));
    spin_done(rig);
    assert_int_equal(rig->rc, SESS_LOGIN_FAILED);
}

static void expect_denied(struct rig *rig, bool with_password)
{
    expect_err(rig, 1045, "28000",
               with_password ? "Access denied for user 'app'@'192.0.2.7' (using password: YES)"
                             : "Access denied for user 'app'@'192.0.2.7' (using password: NO)");
}

/* --- tests --- */

static void test_greeting(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    assert_true(span_eq_text(rig.greet.version, "9.7.4"));
    assert_true(span_eq_text(rig.greet.plugin, AUTH_PLUGIN_SHA2));
    assert_int_equal(rig.greet.conn_id, 0x01020304);
    assert_int_equal(rig.greet.collation, 255);
    assert_int_equal(rig.greet.caps &
                         (CAP_SSL | CAP_COMPRESS | CAP_LOCAL_FILES | CAP_ZSTD | CAP_MULTI_FACTOR),
                     0);
    assert_int_not_equal(rig.greet.caps & CAP_QUERY_ATTRIBUTES, 0);
    assert_int_not_equal(rig.greet.caps & CAP_LONG_PASSWORD, 0);
    rig_fini(&rig);

    rig_init(&rig, TOPO_FLAVOUR_MARIADB, "  source: passthrough\n", "");
    rig_connect(&rig);
    assert_true(span_eq_text(rig.greet.version, "5.5.5-10.11.19-MariaDB"));
    assert_true(span_eq_text(rig.greet.plugin, AUTH_PLUGIN_NATIVE));
    rig_fini(&rig);

    /* no server has ever answered: an error without SQLSTATE takes the greeting's place */
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig.topo->servers[0].version_text[0] = '\0';
    rig_connect(&rig);
    struct errpkt err;
    assert_int_equal(errpkt_decode(buf_span(&rig.client.packet), &err), DEC_OK);
    assert_string_equal(err.sqlstate, "");
    spin_done(&rig);
    assert_int_equal(rig.rc, SESS_LOGIN_FAILED);
    rig_fini(&rig);
}

/* Full once, then the fast path: without a schema no server is asked again. */
static void test_passthrough_sha2(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    send_full(&rig, PASSWORD);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    assert_int_equal(rig.client.seq, 7);
    rig_disconnect(&rig);

    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    expect_more(&rig, AUTH_SHA2_FAST_OK);
    expect_ok(&rig, false);
    assert_int_equal(rig.client.seq, 4);
    assert_true(nobody_connected(&rig));
    rig_disconnect(&rig);

    /* a schema that no server has agreed to yet: asked, and named in the OK */
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "shop");
    serve_yes(&rig, PASSWORD);
    expect_more(&rig, AUTH_SHA2_FAST_OK);
    expect_ok(&rig, true);
    struct ok ok;
    assert_int_equal(ok_decode(buf_span(&rig.client.packet), true, &ok), DEC_OK);
    assert_int_equal(ok.tracks.len, 7);
    assert_memory_equal(ok.tracks.p, "\x01\x05\x04shop", 7);
    assert_true(span_eq_text(sess_login_result(rig.login)->schema, "shop"));
    rig_fini(&rig);
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "bad", "");
    send_full(&rig, "bad");
    serve_no(&rig, 1045, "28000", "Access denied for user 'app'@'10.0.0.1' (using password: YES)");
    expect_denied(&rig, true);
    rig_disconnect(&rig);

    /* the same again: the refusal is remembered for a while */
    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "bad", "");
    send_full(&rig, "bad");
    expect_denied(&rig, true);
    assert_true(nobody_connected(&rig));
    rig_disconnect(&rig);

    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "", "");
    serve_no(&rig, 1045, "28000", "Access denied for user 'app'@'10.0.0.1' (using password: NO)");
    expect_denied(&rig, false);
    rig_fini(&rig);
}

static void test_servers_own_errors(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        const char *state;
        const char *text;
    } rows[] = {
        {1044, "42000", "Access denied for user 'app'@'%' to database 'shop'"},
        {1049, "42000", "Unknown database 'shop'"},
        /* the address is weir's in the server's words, the client's in weir's */
        {3118, "HY000", "Access denied for user 'app'@'192.0.2.7'. Account is locked."},
        {1862, "HY000", "Your password has expired."},
        {4151, "HY000", "Access denied, this account is locked"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
        rig_connect(&rig);
        send_login(&rig, WAY_SHA2, NULL, "", "shop");
        serve_no(&rig, rows[i].code, rows[i].state, rows[i].text);
        expect_err(&rig, rows[i].code, rows[i].state, rows[i].text);
        rig_fini(&rig);
    }
}

/* A limit of the server's says nothing about the user: the verifier stays, and the next login asks. */
static void test_no_room_is_not_remembered(void **state)
{
    (void)state;
    static const uint16_t codes[] = {1040, 1203, 1226};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct rig rig;
        struct cred *cred = NULL;
        rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n  recheck: 1s\n", "");
        assert_int_equal(cred_create(users_secrets(rig.users), SPAN_LIT("app"), CRED_PASSWORD,
                                     SPAN_LIT(PASSWORD), &cred),
                         0);
        assert_int_equal(users_accept(rig.users, cred, (struct span){NULL, 0},
                                      clock_now_us() - 2 * CLOCK_US_PER_SECOND),
                         0);
        cred_unref(cred);
        rig_connect(&rig);
        send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
        serve_no(&rig, codes[i], "42000", "no room");
        expect_err(&rig, codes[i], "42000", "no room");
        assert_int_equal(users_count(rig.users), 1);
        rig_disconnect(&rig);

        listener_unblock(&rig);
        rig_connect(&rig);
        send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
        serve_yes(&rig, PASSWORD);
        expect_more(&rig, AUTH_SHA2_FAST_OK);
        expect_ok(&rig, true);
        rig_fini(&rig);
    }
}

/* An account that is dropped or locked stays out after recheck, although its verifier fits. */
static void test_recheck(void **state)
{
    (void)state;
    struct rig rig;
    struct cred *cred = NULL;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n  recheck: 1s\n", "");
    assert_int_equal(cred_create(users_secrets(rig.users), SPAN_LIT("app"), CRED_PASSWORD,
                                 SPAN_LIT(PASSWORD), &cred),
                     0);
    /* accepted two seconds ago */
    assert_int_equal(users_accept(rig.users, cred, (struct span){NULL, 0},
                                  clock_now_us() - 2 * CLOCK_US_PER_SECOND),
                     0);
    cred_unref(cred);
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    serve_no(&rig, 3118, "HY000", "Account is locked.");
    expect_err(&rig, 3118, "HY000", "Account is locked.");
    assert_int_equal(users_count(rig.users), 0);
    rig_fini(&rig);
}

/* A MariaDB service: native is greeted; without a table the client is asked by the other plugin. */
static void test_native_to_sha2(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MARIADB, "  source: passthrough\n", "");
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    expect_switch(&rig, WAY_SHA2);
    send_answer(&rig, WAY_SHA2, PASSWORD);
    send_full(&rig, PASSWORD);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    rig_disconnect(&rig);

    /* from now on the held password answers for native as well */
    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    expect_ok(&rig, false);
    assert_int_equal(rig.client.seq, 3);
    assert_true(nobody_connected(&rig));
    rig_fini(&rig);
}

static void test_unknown_plugin_and_no_answer(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, "mysql_clear_password", "", "");
    expect_switch(&rig, WAY_SHA2);
    send_answer(&rig, WAY_SHA2, PASSWORD);
    send_full(&rig, PASSWORD);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    rig_fini(&rig);

    /* a client without the greeting's plugin names its own and waits to be asked */
    rig_init(&rig, TOPO_FLAVOUR_MARIADB, "  source: passthrough\n", "");
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "", "");
    expect_switch(&rig, WAY_SHA2);
    send_answer(&rig, WAY_SHA2, "");
    serve_yes(&rig, "");
    expect_ok(&rig, true);
    rig_fini(&rig);
}

/* The account table: verified without the password, impersonated by stage 1. */
static void test_server_source(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MARIADB, "  source: [passthrough, server]\n", "");
    accounts_make(&rig, PASSWORD, 1);
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    assert_int_equal(cred_kind(sess_login_result(rig.login)->cred), CRED_STAGE1);
    rig_disconnect(&rig);

    /* stage 1 is no use for the other plugin: the client is asked for the password */
    users_forget(rig.users, SPAN_LIT("app"));
    struct login login;
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    serve_greeting(&rig, AUTH_PLUGIN_NATIVE, &login);
    static const char ask[] = "\xfe" AUTH_PLUGIN_SHA2 "\0abcdefghijABCDEFGHIJ";
    peer_send(&rig.server, (struct span){(const uint8_t *)ask, sizeof(ask)});
    expect_switch(&rig, WAY_SHA2);
    rig_fini(&rig);
}

/* The table says no: it is read again, and then it is asked again. */
static void test_table_is_read_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MARIADB, "  source: [passthrough, server]\n", "");
    accounts_make(&rig, "old-one", 1);
    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    for (int i = 0; i < 50 && rig.pokes == 0; i++) {
        peer_turn(&rig.client, 1000);
    }
    assert_int_equal(rig.pokes, 1);
    sess_login_on_snapshot(rig.login); /* something else has changed: still the same table */
    assert_int_equal(rig.done, 0);
    accounts_make(&rig, PASSWORD, 2);
    sess_login_on_snapshot(rig.login);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    rig_disconnect(&rig);

    /* wrong for the new table, too: 1045, and no server was bothered */
    users_forget(rig.users, SPAN_LIT("app"));
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, "bad", "");
    for (int i = 0; i < 50 && rig.pokes == 1; i++) {
        peer_turn(&rig.client, 1000);
    }
    accounts_make(&rig, PASSWORD, 3);
    sess_login_on_snapshot(rig.login);
    expect_denied(&rig, true);
    assert_true(nobody_connected(&rig));
    rig_disconnect(&rig);

    /* nobody reads it: the wait has an end */
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, "bad", "");
    expect_denied(&rig, true);
    rig_fini(&rig);
}

static void test_listed(void **state)
{
    (void)state;
    struct rig rig;
    static const char users[] = "  source: list\n  list:\n    - name: app\n"
                                "      password: " PASSWORD "\n";
    for (int way = WAY_NATIVE; way <= WAY_SHA2; way++) {
        rig_init(&rig, way == WAY_NATIVE ? TOPO_FLAVOUR_MARIADB : TOPO_FLAVOUR_MYSQL, users, "");
        rig_connect(&rig);
        send_login(&rig, (enum way)way, NULL, PASSWORD, "");
        serve_yes(&rig, PASSWORD);
        if (way == WAY_SHA2) {
            expect_more(&rig, AUTH_SHA2_FAST_OK);
        }
        expect_ok(&rig, true);
        rig_disconnect(&rig);
        listener_unblock(&rig);
        static const char *const bad[] = {"bad", ""};
        for (size_t i = 0; i < 2; i++) {
            rig_connect(&rig);
            send_login(&rig, (enum way)way, NULL, bad[i], "");
            if (way == WAY_SHA2 && i == 0) {
                /* weir would take a native answer as well */
                expect_switch(&rig, WAY_NATIVE);
                send_answer(&rig, WAY_NATIVE, bad[i]);
            }
            expect_denied(&rig, i == 0);
            assert_true(nobody_connected(&rig));
            rig_disconnect(&rig);
        }
        rig_connect(&rig);
        rig_fini(&rig);
    }
}

/* More logins than checks allowed at once: the others wait, and then profit from the first. */
static void test_queue(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n",
             "auth:\n  max_checks: 1\n  max_checks_per_user: 1\n  max_checks_per_address: 1\n");
    int ticket = users_check_begin(rig.users, SPAN_LIT("app"), SPAN_LIT("h"));
    assert_true(ticket >= 0);
    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    send_full(&rig, PASSWORD);
    for (int i = 0; i < 10; i++) {
        peer_turn(&rig.client, 5000);
    }
    assert_int_equal(rig.done, 0);
    assert_true(nobody_connected(&rig));
    struct cred *cred = NULL;
    assert_int_equal(cred_create(users_secrets(rig.users), SPAN_LIT("app"), CRED_PASSWORD,
                                 SPAN_LIT(PASSWORD), &cred),
                     0);
    assert_int_equal(users_accept(rig.users, cred, (struct span){NULL, 0}, clock_now_us()), 0);
    users_check_end(rig.users, ticket);
    cred_unref(cred);
    expect_ok(&rig, false);
    assert_true(nobody_connected(&rig));
    rig_disconnect(&rig);

    /* no slot at the server: as if it had said 1040, once the deadline has passed */
    users_forget(rig.users, SPAN_LIT("app"));
    slots_set_max(rig.slots, 0, 0);
    rig.params.deadline_us = clock_now_us() + 100000;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    send_full(&rig, PASSWORD);
    expect_err(&rig, 1040, "08004", "Too many connections");
    rig_fini(&rig);
}

static void test_no_server(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    (void)close(rig.listener);
    rig.listener = -1;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "", "");
    struct errpkt err;
    assert_int_equal(errpkt_decode(peer_expect(&rig.client), &err), DEC_OK);
    assert_int_equal(err.code, 1158);
    assert_string_equal(err.sqlstate, "08S01");
    spin_done(&rig);
    assert_int_equal(rig.failures, 1);
    rig_disconnect(&rig);

    /* none at all: waited for until the deadline */
    rig.topo->primary = -1;
    rig.topo->servers[0].state = TOPO_ST_DOWN;
    rig.params.deadline_us = clock_now_us() + 60000;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "", "");
    assert_int_equal(errpkt_decode(peer_expect(&rig.client), &err), DEC_OK);
    assert_string_equal(err.sqlstate, "08S01");
    rig_fini(&rig);
}

/* A server that says nothing, and a client that has never heard of plugins. */
static void test_silence_and_old_client(void **state)
{
    (void)state;
    struct rig rig;
    struct errpkt err;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig.params.deadline_us = clock_now_us() + 60000;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, "", "");
    assert_int_equal(errpkt_decode(peer_expect(&rig.client), &err), DEC_OK);
    assert_int_equal(err.code, 1159);
    assert_non_null(memmem(err.text.p, err.text.len, "p1", 2));
    rig_fini(&rig);

    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    uint8_t bytes[256];
    uint8_t auth[32];
    struct wire_out out;
    struct login login = {.caps = CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION,
                          .user = SPAN_LIT("app"),
                          .auth = {auth, answer(&rig, WAY_NATIVE, PASSWORD, auth)}};
    wire_out_array(&out, bytes, sizeof(bytes));
    login_encode(&out, &login);
    peer_send_seq(&rig.client, 1, (struct span){bytes, out.len});
    assert_int_equal(errpkt_decode(peer_expect(&rig.client), &err), DEC_OK);
    assert_int_equal(err.code, 1251);
    rig_fini(&rig);
}

static void test_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig.params.deadline_us = clock_now_us() + 40000;
    rig_connect(&rig);
    spin_done(&rig);
    assert_int_equal(rig.rc, SESS_LOGIN_FAILED);
    rig_fini(&rig);
}

static void test_tls_required(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig.params.is_tls_required = true;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    expect_err(&rig, 3159, "HY000",
               "Connections using insecure transport are prohibited while "
               "--require_secure_transport=ON.");
    rig_fini(&rig);
}

/* Plaintext behind an SSLRequest belongs to TLS: it ends the connection and nobody reads it. */
static void test_bytes_behind_ssl_request(void **state)
{
    (void)state;
    struct rig rig;
    char dir[] = "/tmp/weir-login-XXXXXX";
    char names[2][64];
    char why[TLS_WHY_BYTES];
    uint8_t bytes[600];
    struct wire_out out;
    uint8_t seq = 1;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 2; i++) {
        static const char *const ends[2] = {"cert.pem", "key.pem"};
        (void)snprintf(names[i], sizeof(names[i]), "%s/%s", dir, ends[i]);
    }
    assert_int_equal(tls_make_files(names[0], names[1], why), 1);
    const struct tls_server_conf conf = {.cert_file = names[0], .key_file = names[1]};
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    assert_int_equal(tls_server_create(&conf, why, &rig.env.server_tls), 0);
    rig.params.is_tls_offered = true;
    listener_unblock(&rig);
    rig_connect(&rig);
    assert_int_not_equal(rig.greet.caps & CAP_SSL, 0);
    struct login login = {.caps = modern & rig.greet.caps & ~CAP_CONNECT_WITH_DB,
                          .collation = 45,
                          .user = SPAN_LIT("app"),
                          .plugin = SPAN_LIT(AUTH_PLUGIN_SHA2),
                          .has_plugin = true};
    wire_out_array(&out, bytes, sizeof(bytes));
    size_t mark = frame_begin(&out);
    login_encode_ssl_request(&out, &login);
    frame_end(&out, mark, &seq);
    mark = frame_begin(&out);
    login_encode(&out, &login);
    frame_end(&out, mark, &seq);
    peer_send_raw(&rig.client, bytes, out.len);
    spin_done(&rig);
    assert_int_equal(rig.rc, SESS_LOGIN_FAILED);
    assert_true(nobody_connected(&rig));
    tls_unref(rig.env.server_tls);
    rig_fini(&rig);
    for (int i = 0; i < 2; i++) {
        (void)unlink(names[i]);
    }
    (void)rmdir(dir);
}

/* A password in clear over plain TCP is refused, whatever it is; over a unix socket it is fine. */
static void test_cleartext(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    listener_unblock(&rig);
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    expect_more(&rig, AUTH_SHA2_FULL);
    peer_send(&rig.client, (struct span){(const uint8_t *)PASSWORD, sizeof(PASSWORD)});
    expect_denied(&rig, true);
    assert_true(nobody_connected(&rig));
    rig_fini(&rig);

    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig.params.is_unix = true;
    rig_connect(&rig);
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    expect_more(&rig, AUTH_SHA2_FULL);
    peer_send(&rig.client, (struct span){(const uint8_t *)PASSWORD, sizeof(PASSWORD)});
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    rig_fini(&rig);
}

static void test_change_user(void **state)
{
    (void)state;
    struct rig rig;
    int fds[2];
    uint8_t bytes[256];
    struct wire_out out;
    enum sess_login_rc rc = SESS_LOGIN_FAILED;
    uint64_t caps = modern & ~CAP_SSL;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_open(&rig.front, rig.loop, fds[0], on_front, &rig), 0);
    peer_init(&rig.client, rig.loop, fds[1]);
    struct login login = {.caps = caps,
                          .collation = 33,
                          .user = SPAN_LIT("app"),
                          .db = SPAN_LIT("shop"),
                          .plugin = SPAN_LIT(AUTH_PLUGIN_SHA2),
                          .has_plugin = true};
    const struct sess_scrambles scrambles = {.greeting = "0123456789012345678",
                                             .last = "9876543210987654321"};
    rig.params.scrambles = &scrambles;
    wire_out_array(&out, bytes, sizeof(bytes));
    login_encode_change_user(&out, &login);
    assert_int_equal(sess_login_start_change(&rig.params, caps, 45,
                                             (struct span){bytes + 1, out.len - 1}, 0, &rig.login,
                                             &rc),
                     0);
    assert_int_equal(rc, SESS_LOGIN_MORE);
    expect_switch(&rig, WAY_SHA2); /* the greeting's scramble is not known any more */
    assert_int_equal(rig.client.seq, 2);
    send_answer(&rig, WAY_SHA2, PASSWORD);
    send_full(&rig, PASSWORD);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    assert_int_equal(sess_login_result(rig.login)->collation, 33);
    assert_true(span_eq_text(sess_login_result(rig.login)->schema, "shop"));
    rig_disconnect(&rig);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_open(&rig.front, rig.loop, fds[0], on_front, &rig), 0);
    peer_init(&rig.client, rig.loop, fds[1]);
    assert_int_equal(
        sess_login_start_change(&rig.params, caps, 45, SPAN_LIT("no end"), 0, &rig.login, &rc), 0);
    assert_int_equal(rc, SESS_LOGIN_FAILED);
    rig_fini(&rig);
}

/* Commands behind the login packet are the session's. */
static void test_pipelined(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MARIADB,
             "  source: list\n  list:\n    - name: app\n"
             "      password: " PASSWORD "\n",
             "");
    rig_connect(&rig);
    send_login(&rig, WAY_NATIVE, NULL, PASSWORD, "");
    peer_send_raw(&rig.client, "\x01\0\0\0\x0e", 5);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    struct span unread = sess_login_result(rig.login)->unread;
    if (unread.len == 0) {
        /* it came after weir had stopped reading: then it is still in the socket */
        uint8_t rest[16];
        size_t n = 0;
        for (int i = 0; i < 50 && n == 0; i++) {
            if (stream_read(&rig.front, rest, sizeof(rest), &n) != IO_DONE) {
                n = 0;
                peer_turn(&rig.client, 1000);
            }
        }
        assert_int_equal(n, 5);
    } else {
        assert_int_equal(unread.len, 5);
        assert_memory_equal(unread.p, "\x01\0\0\0\x0e", 5);
    }
    rig_fini(&rig);
}

#define BYTES(s) (s), sizeof(s) - 1

static void test_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *bytes;
        size_t len;
        uint16_t code;
    } rows[] = {
        {"http", BYTES("GET / HTTP/1.0\r\n\r\n"), 1043},
        {"empty packet", BYTES("\0\0\0\x01"), 1043},
        {"out of order", BYTES("\x05\0\0\x07hello"), 1043},
        {"16 MiB", BYTES("\xff\xff\xff\x01\x05\xa2"), 1043},
        {"4.0 client", BYTES("\x0a\0\0\x01\x05\x00\0\0\0app\0x"), 1251},
        {"short", BYTES("\x06\0\0\x01\x05\xa2\x1f\x00\0\0"), 1043},
        {"no end of the name",
         BYTES("\x24\0\0\x01\x05\xa2\x1f\x00\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0"
               "\0\0\0\0\0\0\0\0\0\0\0\0\0"
               "user"),
         1043},
        {"answer longer than the packet",
         BYTES(
             "\x26\0\0\x01\x05\xa2\x1f\x00\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
             "\0\0"
             "app\0\xff"
             "a"),
         1043},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct errpkt err;
        rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
        listener_unblock(&rig);
        rig_connect(&rig);
        peer_send_raw(&rig.client, rows[i].bytes, rows[i].len);
        struct span payload = peer_expect(&rig.client);
        if (errpkt_decode(payload, &err) != DEC_OK || err.code != rows[i].code) {
            print_error("%s: %u\n", rows[i].what, err.code);
        }
        assert_int_equal(err.code, rows[i].code);
        spin_done(&rig);
        assert_int_equal(rig.rc, SESS_LOGIN_FAILED);
        assert_true(nobody_connected(&rig));
        rig_fini(&rig);
    }
}

/* A byte at a time, and a client that goes away at every point. */
static void test_bytewise_and_gone(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, TOPO_FLAVOUR_MYSQL, "  source: passthrough\n", "");
    rig_connect(&rig);
    rig.client.is_bytewise = true;
    send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
    send_full(&rig, PASSWORD);
    serve_yes(&rig, PASSWORD);
    expect_ok(&rig, true);
    rig_disconnect(&rig);

    for (int point = 0; point < 4; point++) {
        struct login login;
        users_forget(rig.users, SPAN_LIT("app"));
        rig_connect(&rig);
        if (point >= 1) {
            send_login(&rig, WAY_SHA2, NULL, PASSWORD, "");
        }
        if (point >= 2) {
            send_full(&rig, PASSWORD);
        }
        if (point >= 3) {
            serve_greeting(&rig, AUTH_PLUGIN_NATIVE, &login);
        }
        rig_disconnect(&rig); /* checks that ticket and slot have come back */
        if (point == 2) {
            /* the connection that was begun */
            int fd = accept(rig.listener, NULL, NULL);
            assert_true(fd >= 0);
            (void)close(fd);
        }
    }
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_passthrough_sha2),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_servers_own_errors),
        cmocka_unit_test(test_no_room_is_not_remembered),
        cmocka_unit_test(test_recheck),
        cmocka_unit_test(test_native_to_sha2),
        cmocka_unit_test(test_unknown_plugin_and_no_answer),
        cmocka_unit_test(test_server_source),
        cmocka_unit_test(test_table_is_read_again),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_silence_and_old_client),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_tls_required),
        cmocka_unit_test(test_bytes_behind_ssl_request),
        cmocka_unit_test(test_cleartext),
        cmocka_unit_test(test_change_user),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_bytewise_and_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
