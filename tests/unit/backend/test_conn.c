/* SPDX-License-Identifier: Apache-2.0 */
/* The login of a conn against a scripted server: methods, orders, policies, rogues. */
#include <stdio.h>
#include <sys/un.h>

#include "weir/backend/conn.h"
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
#include "weir/util/secret.h"

#include "login_peer.h"

#define PASSWORD "app-secret"

static const uint8_t scramble1[21] = "abcdefghijABCDEFGHIJ";
static const uint8_t scramble2[21] = "0123456789zyxwvutsrq";

struct rig {
    struct loop *loop;
    struct svec_values *values;
    struct secret_store *store;
    struct cred *cred;
    struct conn_tls tls;
    struct conn_env env;
    struct topo_server server;
    struct conn_params params;
    struct conn *conn;
    struct peer peer;
    int listener;
    char path[64];
    unsigned ready, failed, readable, drained, closed;
    unsigned kills;
    int kill_err;
    uint16_t kill_code;
};

static void on_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct rig *rig = arg;
    assert_ptr_equal(conn, rig->conn);
    switch (event) {
    case CONN_EV_READY:
        rig->ready++;
        break;
    case CONN_EV_FAILED:
        rig->failed++;
        break;
    case CONN_EV_READABLE:
        rig->readable++;
        break;
    case CONN_EV_DRAINED:
        rig->drained++;
        break;
    case CONN_EV_CLOSED:
        rig->closed++;
        break;
    case CONN_EV_RECLAIM:
        fail();
        break;
    }
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.listener = -1};
    assert_int_equal(loop_create(&rig->loop), 0);
    assert_int_equal(svec_values_create(&rig->values), 0);
    assert_int_equal(secret_store_create(4096, &rig->store), 0);
    assert_int_equal(
        cred_create(rig->store, SPAN_LIT("app"), CRED_PASSWORD, SPAN_LIT(PASSWORD), &rig->cred), 0);
    rig->env = (struct conn_env){
        .loop = rig->loop, .values = rig->values, .tls = &rig->tls, .tls_count = 1};
    rig->listener = peer_listen(&rig->server.addr, &rig->server.addr_len);
    rig->params = (struct conn_params){
        .server = &rig->server,
        .cred = rig->cred,
        .collation = 45,
        .client_host = "192.0.2.1",
        .deadline_us = clock_now_us() + 20 * CLOCK_US_PER_SECOND,
    };
}

/* A unix socket instead of TCP. */
static void rig_use_unix(struct rig *rig)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&rig->server.addr;
    (void)close(rig->listener);
    (void)snprintf(rig->path, sizeof(rig->path), "/tmp/weir-conn-%d.sock", (int)getpid());
    memset(&rig->server.addr, 0, sizeof(rig->server.addr));
    un->sun_family = AF_UNIX;
    (void)snprintf(un->sun_path, sizeof(un->sun_path), "%s", rig->path);
    rig->server.addr_len = sizeof(*un);
    rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(rig->path);
    assert_int_equal(bind(rig->listener, (struct sockaddr *)(void *)un, sizeof(*un)), 0);
    assert_int_equal(listen(rig->listener, 8), 0);
}

static void rig_set_cred(struct rig *rig, enum cred_kind kind, struct span secret)
{
    cred_unref(rig->cred);
    rig->cred = NULL;
    assert_int_equal(cred_create(rig->store, SPAN_LIT("app"), kind, secret, &rig->cred), 0);
    rig->params.cred = rig->cred;
}

static void rig_open(struct rig *rig)
{
    assert_int_equal(conn_open(&rig->env, &rig->params, on_event, rig, &rig->conn), 0);
    int fd = accept(rig->listener, NULL, NULL);
    assert_true(fd >= 0);
    peer_init(&rig->peer, rig->loop, fd);
}

static void rig_fini(struct rig *rig)
{
    conn_close(rig->conn, false);
    rig->conn = NULL;
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    peer_fini(&rig->peer);
    (void)close(rig->listener);
    if (rig->path[0] != '\0') {
        (void)unlink(rig->path);
    }
    cred_unref(rig->cred);
    tls_unref(rig->tls.ctx);
    loop_destroy(rig->loop);
    assert_int_equal(svec_values_count(rig->values) <= 1, 1); /* the remembered tracker list */
    svec_values_destroy(rig->values);
    assert_int_equal(secret_store_used(rig->store), 0);
    secret_store_destroy(rig->store);
}

static uint64_t all_caps(void)
{
    return UINT64_C(0xffffffff) & ~(CAP_SSL | CAP_COMPRESS);
}

static void send_greeting(struct rig *rig, const char *plugin, uint64_t caps)
{
    uint8_t bytes[256];
    struct wire_out out;
    struct greet greet = {.version = SPAN_LIT("9.7.4"),
                          .plugin = span_of(plugin),
                          .caps = caps,
                          .conn_id = 4711,
                          .status = 2,
                          .collation = 255};
    memcpy(greet.scramble, scramble1, sizeof(greet.scramble));
    wire_out_array(&out, bytes, sizeof(bytes));
    greet_encode(&out, &greet);
    peer_send_seq(&rig->peer, 0, (struct span){bytes, out.len});
}

static void expect_login(struct rig *rig, struct login *ret_login)
{
    struct span payload = peer_expect(&rig->peer);
    assert_non_null(payload.p);
    assert_int_equal(login_decode(payload, all_caps(), ret_login), DEC_OK);
    assert_true(span_eq_text(ret_login->user, "app"));
    assert_int_equal(ret_login->collation, 45);
    assert_int_not_equal(ret_login->caps & CAP_DEPRECATE_EOF, 0);
    assert_int_not_equal(ret_login->caps & CAP_SESSION_TRACK, 0);
    assert_int_equal(ret_login->caps & CAP_LOCAL_FILES, 0);
}

static void check_native(struct span reply, const uint8_t *scramble)
{
    uint8_t stage2[AUTH_NATIVE_LEN];
    auth_native_stage2(SPAN_LIT(PASSWORD), stage2);
    assert_true(auth_native_verify(reply, scramble, stage2, NULL));
}

static void check_sha2(struct span reply, const uint8_t *scramble)
{
    uint8_t verifier[AUTH_SHA2_LEN];
    auth_sha2_verifier(SPAN_LIT(PASSWORD), verifier);
    assert_true(auth_sha2_verify(reply, scramble, verifier));
}

static void send_switch(struct rig *rig, const char *plugin, struct span data)
{
    uint8_t bytes[128];
    struct wire_out out;
    const struct auth_switch sw = {.plugin = span_of(plugin), .data = data};
    wire_out_array(&out, bytes, sizeof(bytes));
    auth_switch_encode(&out, &sw);
    peer_send(&rig->peer, (struct span){bytes, out.len});
}

static void send_more(struct rig *rig, uint8_t byte)
{
    const uint8_t more[2] = {0x01, byte};
    peer_send(&rig->peer, (struct span){more, sizeof(more)});
}

/* The SET at birth; answers with trackers in an order that would lose the collation if the order
 * counted. */
static void serve_birth(struct rig *rig)
{
    uint8_t block[512];
    uint8_t bytes[600];
    struct wire_out tracks;
    struct wire_out out;
    struct span query = peer_expect(&rig->peer);
    assert_non_null(query.p);
    assert_int_equal(query.p[0], 0x03);
    assert_true(query.len > 5 && memcmp(query.p + 1, "SET ", 4) == 0);

    wire_out_array(&tracks, block, sizeof(block));
    result_track_put_var(&tracks, SPAN_LIT("collation_connection"), SPAN_LIT("utf8mb4_bin"));
    result_track_put_var(&tracks, SPAN_LIT("character_set_connection"), SPAN_LIT("utf8mb4"));
    result_track_put_var(&tracks, SPAN_LIT("character_set_client"), SPAN_LIT("utf8mb4"));
    result_track_put_var(&tracks, SPAN_LIT("sql_mode"), SPAN_LIT("ANSI_QUOTES"));
    result_track_put_var(&tracks, SPAN_LIT("autocommit"), SPAN_LIT("ON"));
    result_track_put(&tracks, OK_TRACK_STATE_CHANGE, SPAN_LIT("1"));
    wire_out_array(&out, bytes, sizeof(bytes));
    struct result result = {.out = &out, .caps = all_caps(), .status = 2, .seq = rig->peer.seq};
    const struct result_ok ok = {.tracks = {block, tracks.len}};
    result_put_ok(&result, &ok);
    peer_send_raw(&rig->peer, bytes, out.len);
}

static void expect_ready(struct rig *rig)
{
    for (int i = 0; i < 100 && rig->ready + rig->failed == 0; i++) {
        peer_turn(&rig->peer, 10000);
    }
    assert_int_equal(rig->failed, 0);
    assert_int_equal(rig->ready, 1);
    assert_int_equal(rig->conn->state, CONN_ST_READY);
    assert_null(rig->conn->login);
    assert_int_equal(rig->conn->thread_id, 4711);
    assert_int_equal(rig->conn->version, 90704);
    assert_int_equal(rig->conn->flavour, TOPO_FLAVOUR_MYSQL);
    assert_true(span_eq_text(svec_get(&rig->conn->svec, SVEC_COLLATION), "utf8mb4_bin"));
    assert_true(span_eq_text(svec_get(&rig->conn->svec, SVEC_CS_CONNECTION), "utf8mb4"));
    assert_true(span_eq_text(svec_get(&rig->conn->svec, SVEC_SQL_MODE), "ANSI_QUOTES"));
}

static void expect_failed(struct rig *rig, int err)
{
    for (int i = 0; i < 300 && rig->ready + rig->failed == 0; i++) {
        peer_turn(&rig->peer, 10000);
    }
    assert_int_equal(rig->ready, 0);
    assert_int_equal(rig->failed, 1);
    assert_int_equal(conn_failure(rig->conn)->err, err);
    assert_true(conn_failure(rig->conn)->text_len > 0);
}

/* --- what works --- */

static void test_native(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig.params.schema = SPAN_LIT("shop");
    rig.params.client_caps = CAP_FOUND_ROWS | CAP_MULTI_STATEMENTS | CAP_LOCAL_FILES;
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    assert_true(span_eq_text(login.plugin, AUTH_PLUGIN_NATIVE));
    assert_true(span_eq_text(login.db, "shop"));
    assert_int_not_equal(login.caps & CAP_FOUND_ROWS, 0);
    assert_int_not_equal(login.caps & CAP_MULTI_STATEMENTS, 0);
    assert_int_equal(login.caps & CAP_INTERACTIVE, 0);
    check_native(login.auth, scramble1);
    peer_send_ok(&rig.peer, 2);
    serve_birth(&rig);
    expect_ready(&rig);
    assert_true(span_eq_text(svec_get(&rig.conn->svec, SVEC_SCHEMA), "shop"));
    rig_fini(&rig);
}

static void test_attributes(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    uint8_t attrs[1500];
    uint8_t big[1000];
    struct wire_out out;
    struct wire wire;
    struct span key = {NULL, 0};
    struct span value = {NULL, 0};
    unsigned seen = 0;
    memset(big, 'x', sizeof(big));
    wire_out_array(&out, attrs, sizeof(attrs));
    login_attr_put(&out, SPAN_LIT("_client_name"), SPAN_LIT("libx"));
    login_attr_put(&out, SPAN_LIT("program_name"), SPAN_LIT("shopd"));
    login_attr_put(&out, SPAN_LIT("_client_host"), SPAN_LIT("forged"));
    login_attr_put(&out, SPAN_LIT("big"), (struct span){big, sizeof(big)});
    rig_init(&rig);
    rig.params.client_attrs = (struct span){attrs, out.len};
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    wire_init(&wire, login.attrs);
    while (login_attr_next(&wire, &key, &value)) {
        seen += span_eq_text(key, "program_name") && span_eq_text(value, "weir") ? 1 : 0;
        seen += span_eq_text(key, "_client_host") && span_eq_text(value, "192.0.2.1") ? 10 : 0;
        seen += span_eq_text(key, "_client_name") && span_eq_text(value, "libx") ? 100 : 0;
        seen += span_eq_text(key, "_client_program_name") ? 1000 : 0;
        assert_false(span_eq_text(value, "forged"));
    }
    assert_int_equal(seen, 1111);
    rig_fini(&rig);
}

static void test_sha2_fast_bytewise(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    rig.peer.is_bytewise = true;
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    check_sha2(login.auth, scramble1);
    send_more(&rig, AUTH_SHA2_FAST_OK);
    peer_send_ok(&rig.peer, 2);
    serve_birth(&rig);
    expect_ready(&rig);
    rig_fini(&rig);
}

static void test_sha2_full_rsa(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    struct crypto_rsa *rsa = NULL;
    uint8_t text[CRYPTO_RSA_MAX];
    size_t len = 0;
    assert_int_equal(crypto_rsa_create(2048, &rsa), 0);
    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    send_more(&rig, AUTH_SHA2_FULL);
    struct span wish = peer_expect(&rig.peer);
    assert_int_equal(wish.len, 1);
    assert_int_equal(wish.p[0], AUTH_SHA2_REQUEST_KEY);

    struct buf more;
    struct wire_out out;
    buf_init(&more);
    wire_out_buf(&out, &more, 8192);
    auth_more_encode(&out, crypto_rsa_public_pem(rsa));
    peer_send(&rig.peer, buf_span(&more));
    buf_fini(&more);
    struct span cipher = peer_expect(&rig.peer);
    assert_int_equal(crypto_rsa_decrypt(rsa, cipher, text, sizeof(text), &len), 0);
    auth_sha2_mask(text, len, scramble1);
    assert_int_equal(len, sizeof(PASSWORD));
    assert_memory_equal(text, PASSWORD, sizeof(PASSWORD));
    peer_send_ok(&rig.peer, 2);
    serve_birth(&rig);
    expect_ready(&rig);
    crypto_rsa_destroy(rsa);
    rig_fini(&rig);
}

static void test_sha2_full_unix(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_use_unix(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    send_more(&rig, AUTH_SHA2_FULL);
    struct span password = peer_expect(&rig.peer);
    assert_int_equal(password.len, sizeof(PASSWORD));
    assert_memory_equal(password.p, PASSWORD, sizeof(PASSWORD));
    peer_send_ok(&rig.peer, 2);
    serve_birth(&rig);
    expect_ready(&rig);
    rig_fini(&rig);
}

static void test_switch_orders(void **state)
{
    (void)state;
    static const struct {
        const char *greeted;
        const char *asked;
    } rows[] = {
        {AUTH_PLUGIN_SHA2, AUTH_PLUGIN_NATIVE},
        {AUTH_PLUGIN_NATIVE, AUTH_PLUGIN_SHA2},
        {AUTH_PLUGIN_SHA2, AUTH_PLUGIN_SHA2},
        {"client_ed25519", AUTH_PLUGIN_SHA2},
        {"", AUTH_PLUGIN_NATIVE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct login login;
        rig_init(&rig);
        rig_open(&rig);
        send_greeting(&rig, rows[i].greeted, all_caps());
        expect_login(&rig, &login);
        send_switch(&rig, rows[i].asked, (struct span){scramble2, 20});
        struct span reply = peer_expect(&rig.peer);
        if (strcmp(rows[i].asked, AUTH_PLUGIN_NATIVE) == 0) {
            check_native(reply, scramble2);
        } else {
            check_sha2(reply, scramble2);
            send_more(&rig, AUTH_SHA2_FAST_OK);
        }
        peer_send_ok(&rig.peer, 2);
        serve_birth(&rig);
        expect_ready(&rig);
        rig_fini(&rig);
    }
}

static void test_empty_and_stage1(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    uint8_t stage1[AUTH_NATIVE_LEN];
    rig_init(&rig);
    rig_set_cred(&rig, CRED_EMPTY, (struct span){NULL, 0});
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    assert_int_equal(login.auth.len, 0);
    rig_fini(&rig);

    rig_init(&rig);
    auth_native_stage1(SPAN_LIT(PASSWORD), stage1);
    rig_set_cred(&rig, CRED_STAGE1, (struct span){stage1, sizeof(stage1)});
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    assert_true(span_eq_text(login.plugin, AUTH_PLUGIN_NATIVE));
    check_native(login.auth, scramble1);
    send_switch(&rig, AUTH_PLUGIN_SHA2, (struct span){scramble2, 20});
    expect_failed(&rig, -WR_E_AUTH_PLUGIN);
    rig_fini(&rig);
}

/* --- what is refused --- */

static void test_server_errors(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    peer_send_err(&rig.peer, 1040, NULL, "Too many connections");
    expect_failed(&rig, -WR_E_SERVER_ERROR);
    assert_int_equal(conn_failure(rig.conn)->code, 1040);
    assert_string_equal(conn_failure(rig.conn)->text, "Too many connections");
    assert_string_equal(conn_failure(rig.conn)->sqlstate, "08004");
    assert_true(conn_failure(rig.conn)->is_before_auth);
    rig_fini(&rig);

    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    peer_send_err(&rig.peer, 1045, "28000", "Access denied for user 'app'@'h'");
    expect_failed(&rig, -WR_E_SERVER_ERROR);
    assert_int_equal(conn_failure(rig.conn)->code, 1045);
    assert_string_equal(conn_failure(rig.conn)->sqlstate, "28000");
    assert_false(conn_failure(rig.conn)->is_before_auth);
    rig_fini(&rig);
}

static void test_expired(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    peer_send_ok(&rig.peer, 2);
    (void)peer_expect(&rig.peer);
    peer_send_err(&rig.peer, 1820, "HY000", "You must reset your password");
    for (int i = 0; i < 100 && rig.ready + rig.failed == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    assert_int_equal(rig.ready, 1);
    assert_true(rig.conn->is_sandboxed);
    rig_fini(&rig);
}

enum phase {
    PHASE_GREETING,
    PHASE_AUTH,  /* native was greeted */
    PHASE_SHA2,  /* sha2 was greeted */
    PHASE_BIRTH, /* logged in, the SET has been read */
};

/* Bytes as they stand, headers included; NULL: the server hangs up. */
struct rogue {
    const char *what;
    enum phase phase;
    int err;
    const char *bytes;
    size_t len;
};

#define BYTES(s) (s), sizeof(s) - 1

static void run_rogue(const struct rogue *rogue)
{
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    if (rogue->phase != PHASE_GREETING) {
        send_greeting(&rig, rogue->phase == PHASE_SHA2 ? AUTH_PLUGIN_SHA2 : AUTH_PLUGIN_NATIVE,
                      all_caps());
        expect_login(&rig, &login);
    }
    if (rogue->phase == PHASE_BIRTH) {
        peer_send_ok(&rig.peer, 2);
        assert_non_null(peer_expect(&rig.peer).p);
    }
    if (rogue->bytes == NULL) {
        (void)shutdown(rig.peer.fd, SHUT_WR);
    } else {
        peer_send_raw(&rig.peer, rogue->bytes, rogue->len);
    }
    for (int i = 0; i < 200 && rig.ready + rig.failed == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    if (rig.failed != 1 || conn_failure(rig.conn)->err != rogue->err) {
        print_error("%s: failed=%u err=%d\n", rogue->what, rig.failed,
                    rig.failed != 0 ? conn_failure(rig.conn)->err : 0);
    }
    assert_int_equal(rig.failed, 1);
    assert_int_equal(conn_failure(rig.conn)->err, rogue->err);
    rig_fini(&rig);
}

static void test_rogues(void **state)
{
    (void)state;
    static const struct rogue rogues[] = {
        {"garbage greeting", PHASE_GREETING, -WR_E_BAD_PACKET, BYTES("\x03\0\0\0xyz")},
        {"greeting of version 9", PHASE_GREETING, -WR_E_BAD_PACKET,
         BYTES("\x05\0\0\0\x09"
               "5.0\0")},
        {"empty greeting", PHASE_GREETING, -WR_E_BAD_PACKET, BYTES("\0\0\0\0")},
        {"greeting out of order", PHASE_GREETING, -WR_E_BAD_PACKET, BYTES("\x03\0\0\x05xyz")},
        {"greeting of 16 MiB", PHASE_GREETING, -WR_E_BAD_PACKET, BYTES("\xff\xff\xff\0\x0a")},
        {"cut off greeting", PHASE_GREETING, -WR_E_CLOSED, NULL, 0},
        {"hang-up in auth", PHASE_AUTH, -WR_E_CLOSED, NULL, 0},
        {"hang-up at birth", PHASE_BIRTH, -WR_E_CLOSED, NULL, 0},
        {"empty packet", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\0\0\0\x02")},
        {"unknown first byte", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x01\0\0\x02\x55")},
        {"out of order", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x07\0\0\x09\0\0\0\x02\0\0\0")},
        {"short OK", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x03\0\0\x02\0\0\0")},
        {"pre-4.1 switch", PHASE_AUTH, -WR_E_AUTH_PLUGIN, BYTES("\x01\0\0\x02\xfe")},
        {"switch without plugin", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x02\0\0\x02\xfe\0")},
        {"switch to cleartext over TCP", PHASE_AUTH, -WR_E_AUTH_PLUGIN,
         BYTES("\x17\0\0\x02\xfemysql_clear_password\0\0")},
        {"switch to unknown plugin", PHASE_AUTH, -WR_E_AUTH_PLUGIN,
         BYTES("\x1c\0\0\x02\xfe"
               "dialog\0"
               "abcdefghijABCDEFGHIJ")},
        {"switch with a short scramble", PHASE_AUTH, -WR_E_BAD_PACKET,
         BYTES("\x1f\0\0\x02\xfemysql_native_password\0abcdefgh")},
        {"more data for native", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x02\0\0\x02\x01\x04")},
        {"more data unknown", PHASE_SHA2, -WR_E_BAD_PACKET, BYTES("\x02\0\0\x02\x01\x07")},
        {"more data empty", PHASE_SHA2, -WR_E_BAD_PACKET, BYTES("\x01\0\0\x02\x01")},
        {"file request", PHASE_AUTH, -WR_E_BAD_PACKET, BYTES("\x0c\0\0\x02\xfb/etc/passwd")},
        {"file request at birth", PHASE_BIRTH, -WR_E_BAD_PACKET,
         BYTES("\x0c\0\0\x01\xfb/etc/passwd")},
        {"result set at birth", PHASE_BIRTH, -WR_E_BAD_PACKET, BYTES("\x01\0\0\x01\x01")},
        {"error at birth", PHASE_BIRTH, -WR_E_SERVER_ERROR,
         BYTES("\x0c\0\0\x01\xff\xa9\x04#HY000oh!")},
        {"talk behind birth", PHASE_BIRTH, -WR_E_BAD_PACKET,
         BYTES("\x07\0\0\x01\0\0\0\x02\0\0\0\x07\0\0\x02\0\0\0\x02\0\0\0")},
        {"trackers that lie about their length", PHASE_BIRTH, -WR_E_BAD_PACKET,
         BYTES("\x0b\0\0\x01\0\0\0\x02\x40\0\0\0\x02\0\x09")},
    };
    for (size_t i = 0; i < sizeof(rogues) / sizeof(rogues[0]); i++) {
        run_rogue(&rogues[i]);
    }
}

/* The server asks for the password again and again, or for a key it has got. */
static void test_full_twice(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_use_unix(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    send_more(&rig, AUTH_SHA2_FULL);
    assert_non_null(peer_expect(&rig.peer).p);
    send_more(&rig, AUTH_SHA2_FULL);
    expect_failed(&rig, -WR_E_BAD_PACKET);
    rig_fini(&rig);
}

static void test_endless_switch(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    for (int i = 0; i < CONN_LOGIN_PACKETS_MAX + 2; i++) {
        send_switch(&rig, AUTH_PLUGIN_NATIVE, (struct span){scramble2, 20});
        if (peer_expect(&rig.peer).p == NULL) {
            break;
        }
    }
    expect_failed(&rig, -WR_E_BAD_PACKET);
    rig_fini(&rig);
}

static void test_bad_rsa_key(void **state)
{
    (void)state;
    struct rig rig;
    struct login login;
    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_SHA2, all_caps());
    expect_login(&rig, &login);
    send_more(&rig, AUTH_SHA2_FULL);
    assert_non_null(peer_expect(&rig.peer).p);
    static const uint8_t pem[] = "\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    peer_send(&rig.peer, (struct span){pem, sizeof(pem) - 1});
    expect_failed(&rig, -WR_E_AUTH);
    rig_fini(&rig);
}

static void test_missing_caps(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps() & ~CAP_SESSION_TRACK);
    expect_failed(&rig, -WR_E_UNSUPPORTED);
    rig_fini(&rig);
}

static void test_timeout(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.params.deadline_us = clock_now_us() + 30000;
    rig_open(&rig);
    expect_failed(&rig, -WR_E_TIMEOUT);
    rig_fini(&rig);
}

static void test_tls_policy(void **state)
{
    (void)state;
    char why[TLS_WHY_BYTES];
    struct rig rig;
    for (int mode = TLS_MODE_REQUIRED; mode <= TLS_MODE_VERIFY; mode++) {
        rig_init(&rig);
        rig.tls.mode = (enum tls_mode)mode;
        assert_int_equal(tls_client_create(rig.tls.mode, NULL, why, &rig.tls.ctx), 0);
        rig_open(&rig);
        send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
        expect_failed(&rig, -WR_E_TLS_REQUIRED);
        rig_fini(&rig);
    }
    /* offered: an SSLRequest comes, and neither user name nor answer before TLS */
    rig_init(&rig);
    rig.tls.mode = TLS_MODE_PREFERRED;
    assert_int_equal(tls_client_create(rig.tls.mode, NULL, why, &rig.tls.ctx), 0);
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps() | CAP_SSL);
    struct span request = peer_expect(&rig.peer);
    assert_int_equal(request.len, 32);
    peer_send_raw(&rig.peer, "this is no TLS at all, not even nearly", 38);
    for (int i = 0; i < 100 && rig.failed == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    assert_int_equal(rig.failed, 1);
    rig_fini(&rig);
}

/* Plaintext slipped in behind the greeting must not be taken for what the server says under TLS. */
static void test_bytes_behind_greeting(void **state)
{
    (void)state;
    char why[TLS_WHY_BYTES];
    struct rig rig;
    uint8_t bytes[512];
    struct wire_out out;
    struct greet greet = {.version = SPAN_LIT("9.7.4"),
                          .plugin = SPAN_LIT(AUTH_PLUGIN_NATIVE),
                          .caps = all_caps() | CAP_SSL};
    uint8_t seq = 0;
    memcpy(greet.scramble, scramble1, sizeof(greet.scramble));
    rig_init(&rig);
    rig.tls.mode = TLS_MODE_REQUIRED;
    assert_int_equal(tls_client_create(rig.tls.mode, NULL, why, &rig.tls.ctx), 0);
    rig_open(&rig);
    wire_out_array(&out, bytes, sizeof(bytes));
    size_t mark = frame_begin(&out);
    greet_encode(&out, &greet);
    frame_end(&out, mark, &seq);
    wire_put_bytes(&out, SPAN_LIT("\x07\0\0\x02\0\0\0\x02\0\0\0"));
    peer_send_raw(&rig.peer, bytes, out.len);
    expect_failed(&rig, -WR_E_BAD_PACKET);
    rig_fini(&rig);
}

/* --- after READY --- */

static void login_natively(struct rig *rig)
{
    struct login login;
    rig_open(rig);
    send_greeting(rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(rig, &login);
    peer_send_ok(&rig->peer, 2);
    serve_birth(rig);
    expect_ready(rig);
}

static void test_send_svec(void **state)
{
    (void)state;
    struct rig rig;
    struct svec want;
    rig_init(&rig);
    rig.params.is_replica = true;
    login_natively(&rig);
    svec_init(&want, rig.values);
    svec_copy(&want, &rig.conn->svec);
    /* weir's own settings hold since birth, whatever the server reports */
    assert_true(conn_svec_fits(rig.conn, &want));
    assert_int_equal(conn_send_svec(rig.conn, &want), 0);

    assert_int_equal(svec_set(&want, SVEC_SCHEMA, SPAN_LIT("shop")), 0);
    assert_int_equal(svec_set(&want, SVEC_SQL_MODE, SPAN_LIT("")), 0);
    assert_int_equal(svec_set(&want, SVEC_TIME_ZONE, SPAN_LIT("+02:00")), 0);
    assert_int_equal(svec_set(&want, SVEC_READ_ONLY, SPAN_LIT("OFF")), 0);
    assert_int_equal(conn_send_svec(rig.conn, &want), 2);
    struct span use = peer_expect(&rig.peer);
    assert_int_equal(use.len, 5);
    assert_memory_equal(use.p, "\x02shop", 5);
    assert_int_equal(rig.peer.seq, 1);
    struct span set = peer_expect(&rig.peer);
    assert_true(span_eq_text(set, "\x03SET sql_mode='',time_zone='+02:00'"));
    assert_int_equal(rig.peer.seq, 1);
    assert_int_equal(conn_send_svec(rig.conn, &want), 0);

    assert_int_equal(svec_set(&want, SVEC_SCHEMA, SPAN_LIT("")), 0);
    assert_int_equal(conn_send_svec(rig.conn, &want), -WR_E_UNSUPPORTED);
    svec_fini(&want);
    rig_fini(&rig);
}

/* That it fitted once says nothing when either of the two has changed, or what is asked of both. */
static void test_fits_no_longer(void **state)
{
    (void)state;
    struct rig rig;
    struct svec want;
    struct svec other;
    rig_init(&rig);
    login_natively(&rig);
    svec_init(&want, rig.values);
    svec_init(&other, rig.values);
    svec_copy(&want, &rig.conn->svec);
    for (int i = 0; i < 2; i++) {
        assert_true(conn_svec_fits(rig.conn, &want));
    }
    assert_int_equal(svec_set(&want, SVEC_TIME_ZONE, SPAN_LIT("+02:00")), 0);
    assert_false(conn_svec_fits(rig.conn, &want));
    svec_copy(&want, &rig.conn->svec);
    assert_true(conn_svec_fits(rig.conn, &want));
    assert_true(conn_svec_fits(rig.conn, &other)); /* all as a login has it */
    assert_true(conn_svec_fits(rig.conn, &want));

    assert_int_equal(svec_set(&rig.conn->svec, SVEC_TIME_ZONE, SPAN_LIT("+03:00")), 0);
    assert_false(conn_svec_fits(rig.conn, &want));
    assert_false(conn_svec_fits(rig.conn, &other));
    svec_copy_one(&rig.conn->svec, &want, SVEC_TIME_ZONE);
    assert_true(conn_svec_fits(rig.conn, &want));
    assert_int_equal(svec_set_unknown(&rig.conn->svec, SVEC_SQL_MODE), 0);
    assert_false(conn_svec_fits(rig.conn, &want));
    svec_copy_one(&rig.conn->svec, &want, SVEC_SQL_MODE);

    assert_true(conn_svec_fits(rig.conn, &want));
    rig.env.wants_gtids = true;
    assert_int_equal(conn_svec_fits(rig.conn, &want), rig.conn->flavour != TOPO_FLAVOUR_MYSQL);
    rig.env.wants_gtids = false;
    assert_true(conn_svec_fits(rig.conn, &want));
    svec_fini(&want);
    svec_fini(&other);
    rig_fini(&rig);
}

static void test_wanted_at_birth(void **state)
{
    (void)state;
    struct rig rig;
    struct svec want;
    struct login login;
    rig_init(&rig);
    svec_init(&want, rig.values);
    assert_int_equal(svec_set(&want, SVEC_SCHEMA, SPAN_LIT("shop")), 0);
    assert_int_equal(svec_set(&want, SVEC_SQL_MODE, SPAN_LIT("ANSI")), 0);
    assert_int_equal(svec_set(&want, SVEC_CS_RESULTS, SPAN_LIT("")), 0);
    rig.params.svec = &want;
    rig_open(&rig);
    send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
    expect_login(&rig, &login);
    assert_true(span_eq_text(login.db, "shop"));
    peer_send_ok(&rig.peer, 2);
    struct span set = peer_expect(&rig.peer);
    assert_non_null(memmem(set.p, set.len, "session_track_schema=ON", 23));
    set = peer_expect(&rig.peer);
    assert_true(span_eq_text(set, "\x03SET character_set_results=NULL,sql_mode='ANSI'"));
    peer_send_ok(&rig.peer, 2);
    rig.peer.seq = 1;
    peer_send_ok(&rig.peer, 2);
    for (int i = 0; i < 100 && rig.ready == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    assert_int_equal(rig.ready, 1);
    assert_true(conn_svec_fits(rig.conn, &want));
    svec_fini(&want);
    rig_fini(&rig);
}

static void test_events_after_ready(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    login_natively(&rig);
    peer_send_raw(&rig.peer, "x", 1);
    for (int i = 0; i < 100 && rig.readable == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    assert_int_equal(rig.readable, 1);
    conn_close(rig.conn, true);
    rig.conn = NULL;
    struct span quit = peer_expect(&rig.peer);
    assert_int_equal(quit.len, 1);
    assert_int_equal(quit.p[0], 0x01);
    peer_expect_close(&rig.peer);
    rig_fini(&rig);
}

static void on_kill(void *arg, int err, uint16_t code)
{
    struct rig *rig = arg;
    rig->kills++;
    rig->kill_err = err;
    rig->kill_code = code;
}

static void run_kill(uint16_t code, bool is_silent)
{
    struct rig rig;
    struct login login;
    rig_init(&rig);
    if (is_silent) {
        rig.params.deadline_us = clock_now_us() + 50000;
    }
    assert_int_equal(conn_kill(&rig.env, &rig.params, 99, true, on_kill, &rig), 0);
    peer_init(&rig.peer, rig.loop, accept(rig.listener, NULL, NULL));
    if (!is_silent) {
        send_greeting(&rig, AUTH_PLUGIN_NATIVE, all_caps());
        expect_login(&rig, &login);
        peer_send_ok(&rig.peer, 2);
        struct span query = peer_expect(&rig.peer);
        assert_true(span_eq_text(query, "\x03KILL QUERY 99"));
        if (code == 0) {
            peer_send_ok(&rig.peer, 2);
        } else {
            peer_send_err(&rig.peer, code, "HY000", "Unknown thread id: 99");
        }
    }
    for (int i = 0; i < 100 && rig.kills == 0; i++) {
        peer_turn(&rig.peer, 10000);
    }
    assert_int_equal(rig.kills, 1);
    assert_int_equal(rig.kill_code, code);
    assert_int_equal(rig.kill_err, is_silent ? -WR_E_TIMEOUT : code == 0 ? 0 : -WR_E_SERVER_ERROR);
    rig_fini(&rig);
}

static void test_kill(void **state)
{
    (void)state;
    run_kill(0, false);
    run_kill(1094, false);
    run_kill(0, true);
}

static void test_no_address(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.server.addr_len = 0;
    assert_int_equal(conn_open(&rig.env, &rig.params, on_event, &rig, &rig.conn), -WR_E_NO_SERVER);
    peer_init(&rig.peer, rig.loop, -1);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_sha2_fast_bytewise),
        cmocka_unit_test(test_sha2_full_rsa),
        cmocka_unit_test(test_sha2_full_unix),
        cmocka_unit_test(test_switch_orders),
        cmocka_unit_test(test_empty_and_stage1),
        cmocka_unit_test(test_server_errors),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_rogues),
        cmocka_unit_test(test_full_twice),
        cmocka_unit_test(test_endless_switch),
        cmocka_unit_test(test_bad_rsa_key),
        cmocka_unit_test(test_missing_caps),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_tls_policy),
        cmocka_unit_test(test_bytes_behind_greeting),
        cmocka_unit_test(test_send_svec),
        cmocka_unit_test(test_fits_no_longer),
        cmocka_unit_test(test_wanted_at_birth),
        cmocka_unit_test(test_events_after_ready),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
