/* SPDX-License-Identifier: Apache-2.0 */
/* TLS between two streams of one loop, and against bytes that are no TLS. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/io/stream.h"
#include "weir/io/tls.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#define GOT_CAP ((size_t)6 << 20)

struct end {
    struct loop *loop;
    struct stream stream;
    uint8_t *got;
    size_t got_len;
    size_t read_cap;
    unsigned events[8];
    bool is_eof;
    bool is_failed;
};

struct rig {
    char dir[32];
    char cert[64];
    char key[64];
    struct loop *loop;
    struct tls_ctx *server;
    struct tls_ctx *verify;
    struct tls_ctx *required;
    struct end s;
    struct end c;
};

static void on_event(void *arg, enum stream_event event)
{
    struct end *end = arg;
    size_t n = 0;

    end->events[event]++;
    if (event != STREAM_READABLE) {
        return;
    }

    size_t cap = end->read_cap == 0 ? LOOP_SCRATCH_BYTES : end->read_cap;

    assert_true(end->got_len + cap <= GOT_CAP);
    switch (stream_read(&end->stream, end->got + end->got_len, cap, &n)) {
    case IO_DONE:
        end->got_len += n;
        break;
    case IO_AGAIN:
        break;
    case IO_EOF:
        end->is_eof = true;
        break;
    case IO_FAIL:
        end->is_failed = true;
        break;
    }
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    char why[TLS_WHY_BYTES] = "";
    struct tls_server_conf conf = {0};

    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/weir-tls-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    (void)snprintf(rig->cert, sizeof(rig->cert), "%s/cert.pem", rig->dir);
    (void)snprintf(rig->key, sizeof(rig->key), "%s/key.pem", rig->dir);
    mode_t mask = umask(027); /* the daemon's */
    assert_int_equal(tls_make_files(rig->cert, rig->key, why), 1);
    (void)umask(mask);
    conf.cert_file = rig->cert;
    conf.key_file = rig->key;
    assert_int_equal(tls_server_create(&conf, why, &rig->server), 0);
    assert_int_equal(tls_client_create(TLS_MODE_VERIFY, rig->cert, why, &rig->verify), 0);
    assert_int_equal(tls_client_create(TLS_MODE_REQUIRED, NULL, why, &rig->required), 0);
    assert_int_equal(loop_create(&rig->loop), 0);
    rig->s.loop = rig->loop;
    rig->c.loop = rig->loop;
    rig->s.got = malloc(GOT_CAP);
    rig->c.got = malloc(GOT_CAP);
    assert_true(rig->s.got != NULL && rig->c.got != NULL);
    stream_init(&rig->s.stream);
    stream_init(&rig->c.stream);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    stream_close(&rig->s.stream);
    stream_close(&rig->c.stream);
    loop_destroy(rig->loop);
    tls_unref(rig->server);
    tls_unref(rig->verify);
    tls_unref(rig->required);
    free(rig->s.got);
    free(rig->c.got);
    (void)unlink(rig->cert);
    (void)unlink(rig->key);
    (void)rmdir(rig->dir);
    free(rig);
    return 0;
}

static void pair_open(struct rig *rig)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_open(&rig->s.stream, rig->loop, fds[0], on_event, &rig->s), 0);
    assert_int_equal(stream_open(&rig->c.stream, rig->loop, fds[1], on_event, &rig->c), 0);
}

static void turns(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(loop_turn(rig->loop, 1000), 0);
    }
}

static void both_ready(struct rig *rig, struct tls_ctx *client, const char *host)
{
    pair_open(rig);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, NULL, 0), 0);
    assert_int_equal(stream_start_tls_connect(&rig->c.stream, client, host, 0), 0);
    assert_int_equal(rig->s.events[STREAM_TLS_READY], 0);
    for (int i = 0; i < 50 && rig->s.events[STREAM_CLOSED] + rig->c.events[STREAM_CLOSED] == 0 &&
                    rig->s.events[STREAM_TLS_READY] + rig->c.events[STREAM_TLS_READY] < 2;
         i++) {
        turns(rig, 1);
    }
}

static void test_both_ways(void **state)
{
    struct rig *rig = *state;
    struct iovec iov[3] = {
        {(void *)(uintptr_t) "one ", 4}, {NULL, 0}, {(void *)(uintptr_t) "record", 6}};

    both_ready(rig, rig->verify, "localhost");
    assert_int_equal(rig->s.events[STREAM_TLS_READY], 1);
    assert_int_equal(rig->c.events[STREAM_TLS_READY], 1);
    assert_true(stream_is_tls(&rig->c.stream));
    assert_string_equal(stream_tls_version(&rig->c.stream), "TLSv1.3");
    assert_true(strlen(stream_tls_cipher(&rig->s.stream)) > 0);
    assert_int_equal(stream_writev(&rig->c.stream, iov, 3), 1);
    assert_int_equal(stream_write(&rig->s.stream, "and back", 8), 1);
    turns(rig, 3);
    assert_int_equal(rig->s.got_len, 10);
    assert_memory_equal(rig->s.got, "one record", 10);
    /* One record, so one event and one read. */
    assert_int_equal(rig->s.events[STREAM_READABLE], 1);
    assert_memory_equal(rig->c.got, "and back", 8);

    stream_close(&rig->c.stream);
    turns(rig, 3);
    assert_true(rig->s.is_eof);
    assert_false(rig->s.is_failed);
}

/* A reader with a small buffer gets what TLS holds back, without more bytes on the socket. */
static void test_held_back(void **state)
{
    struct rig *rig = *state;
    uint8_t bytes[10000];

    memset(bytes, 'z', sizeof(bytes));
    both_ready(rig, rig->required, NULL);
    rig->s.read_cap = 1000;
    assert_int_equal(stream_write(&rig->c.stream, bytes, sizeof(bytes)), 1);
    turns(rig, 15);
    assert_int_equal(rig->s.got_len, sizeof(bytes));
    assert_int_equal(rig->s.events[STREAM_READABLE], 10);

    /* The same with a pause in between. */
    rig->s.got_len = 0;
    rig->s.read_cap = 100;
    assert_int_equal(stream_write(&rig->c.stream, bytes, sizeof(bytes)), 1);
    turns(rig, 1);
    stream_want_read(&rig->s.stream, false);

    size_t before = rig->s.got_len;

    turns(rig, 3);
    assert_true(before < sizeof(bytes));
    assert_int_equal(rig->s.got_len, before);
    stream_want_read(&rig->s.stream, true);
    turns(rig, 15);
    assert_int_equal(rig->s.got_len, sizeof(bytes));
}

/* 5 MiB in pieces of all sizes, reader paused for a while: order, DRAINED, nothing kept. */
static void test_back_pressure(void **state)
{
    const size_t total = (size_t)5 << 20;
    struct rig *rig = *state;
    uint8_t *bytes = malloc(total);
    size_t sent = 0;

    assert_non_null(bytes);
    for (size_t i = 0; i < total; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    both_ready(rig, rig->required, NULL);
    stream_want_read(&rig->s.stream, false);
    for (size_t step = 1; sent < total; step = step * 2 + 1) {
        struct iovec iov[2];
        size_t first = step < total - sent ? step : total - sent;
        size_t second = total - sent - first < 777 ? total - sent - first : 777;

        iov[0] = (struct iovec){bytes + sent, first};
        iov[1] = (struct iovec){bytes + sent + first, second};
        assert_true(stream_writev(&rig->c.stream, iov, 2) >= 0);
        sent += first + second;
    }
    assert_true(stream_is_high(&rig->c.stream));
    turns(rig, 3);
    assert_int_equal(rig->s.got_len, 0);
    stream_want_read(&rig->s.stream, true);
    for (int i = 0; i < 100000 && rig->s.got_len < total; i++) {
        turns(rig, 1);
    }
    assert_int_equal(rig->s.got_len, total);
    assert_memory_equal(rig->s.got, bytes, total);
    assert_int_equal(rig->c.events[STREAM_DRAINED], 1);
    assert_null(rig->c.stream.out_head);
    assert_null(rig->c.stream.write_event);
    stream_shutdown_write(&rig->c.stream);
    turns(rig, 3);
    assert_true(rig->s.is_eof);
    assert_int_equal(stream_write(&rig->s.stream, "bye", 3), 1);
    turns(rig, 3);
    assert_memory_equal(rig->c.got, "bye", 3);
    free(bytes);
}

/* Output handed over during the handshake goes out under TLS. */
static void test_write_during_handshake(void **state)
{
    struct rig *rig = *state;

    pair_open(rig);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, NULL, 0), 0);
    assert_int_equal(stream_start_tls_connect(&rig->c.stream, rig->required, "localhost", 0), 0);
    assert_int_equal(stream_write(&rig->c.stream, "soon", 4), 0);
    for (int i = 0; i < 50 && rig->s.got_len == 0; i++) {
        turns(rig, 1);
    }
    assert_memory_equal(rig->s.got, "soon", 4);
    assert_int_equal(rig->s.events[STREAM_TLS_READY], 1);
    assert_null(rig->c.stream.write_event);
}

static void test_wrong_name(void **state)
{
    struct rig *rig = *state;
    char text[200];

    both_ready(rig, rig->verify, "db.example.org");
    assert_int_equal(rig->c.events[STREAM_TLS_READY], 0);
    assert_int_equal(rig->c.events[STREAM_CLOSED], 1);
    assert_int_equal(stream_error(&rig->c.stream), -WR_E_TLS);
    stream_error_text(&rig->c.stream, text, sizeof(text));
    assert_non_null(strstr(text, "ostname mismatch"));
    turns(rig, 3);
    assert_int_equal(rig->s.events[STREAM_CLOSED] + rig->s.events[STREAM_TLS_READY] > 0, 1);
}

static void test_address_as_name(void **state)
{
    struct rig *rig = *state;

    both_ready(rig, rig->verify, "127.0.0.1");
    assert_int_equal(rig->c.events[STREAM_TLS_READY], 1);
}

static void test_unknown_ca(void **state)
{
    struct rig *rig = *state;
    struct tls_ctx *system = NULL;
    char text[200];

    assert_int_equal(tls_client_create(TLS_MODE_VERIFY, NULL, NULL, &system), 0);
    both_ready(rig, system, "localhost");
    tls_unref(system); /* the stream holds its own reference */
    assert_int_equal(rig->c.events[STREAM_CLOSED], 1);
    stream_error_text(&rig->c.stream, text, sizeof(text));
    assert_non_null(strstr(text, "self"));
}

/* Plaintext that is slipped in behind the request for TLS reaches nobody. */
static void test_plaintext_behind_request(void **state)
{
    static const uint8_t slipped[] = {0x20, 0, 0, 2, 0x85, 0xa6, 0xff, 1, 0, 0, 0, 1, 's', 'e'};
    struct rig *rig = *state;

    pair_open(rig);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, slipped, sizeof(slipped)),
                     0);
    turns(rig, 3);
    assert_int_equal(rig->s.events[STREAM_CLOSED], 1);
    assert_int_equal(rig->s.events[STREAM_READABLE], 0);
    assert_int_equal(stream_error(&rig->s.stream), -WR_E_TLS);
    /* On the side that connects any unread byte is refused at once. */
    assert_int_equal(stream_start_tls_connect(&rig->c.stream, rig->required, NULL, 1), -WR_E_TLS);
    assert_false(stream_is_tls(&rig->c.stream));
}

/* A hello that came in the same segment as the request for TLS is used, at every cut. */
static void test_early_hello(void **state)
{
    static const size_t cuts[] = {1, 5, 6, 100, 100000};
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        uint8_t hello[4096];
        size_t n = 0;

        pair_open(rig);
        memset(rig->s.events, 0, sizeof(rig->s.events));
        memset(rig->c.events, 0, sizeof(rig->c.events));
        stream_want_read(&rig->s.stream, false);
        assert_int_equal(stream_start_tls_connect(&rig->c.stream, rig->verify, "localhost", 0), 0);
        turns(rig, 2);
        assert_int_equal(stream_read(&rig->s.stream, hello,
                                     cuts[i] < sizeof(hello) ? cuts[i] : sizeof(hello), &n),
                         IO_DONE);
        stream_want_read(&rig->s.stream, true);
        assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, hello, n), 0);
        for (int t = 0; t < 20 && rig->s.events[STREAM_TLS_READY] == 0; t++) {
            turns(rig, 1);
        }
        assert_int_equal(rig->s.events[STREAM_TLS_READY], 1);
        stream_close(&rig->s.stream);
        stream_close(&rig->c.stream);
    }
}

/* A peer that starts and goes away, or says nothing: one CLOSED or silence; no spinning. */
static void test_peer_leaves(void **state)
{
    struct rig *rig = *state;

    pair_open(rig);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, NULL, 0), 0);
    turns(rig, 2);

    uint64_t before = loop_turn_count(rig->loop);
    uint64_t begin_us = clock_now_us();

    assert_int_equal(loop_turn(rig->loop, 30000), 0);
    assert_true(clock_now_us() - begin_us >= 29000);
    assert_int_equal(loop_turn_count(rig->loop) - before, 1);

    assert_int_equal(stream_write(&rig->c.stream, "\x16\x03\x01", 3), 1);
    stream_shutdown_write(&rig->c.stream);
    turns(rig, 5);
    assert_int_equal(rig->s.events[STREAM_CLOSED], 1);
    turns(rig, 3);
    assert_int_equal(rig->s.events[STREAM_CLOSED], 1);
}

/* Garbage in the middle of a session fails it with a TLS error, not with bytes. */
static void test_garbage_later(void **state)
{
    struct rig *rig = *state;
    int fd = 0;

    both_ready(rig, rig->required, NULL);
    fd = rig->c.stream.fd;
    assert_int_equal(send(fd, "this is no record at all", 24, 0), 24);
    turns(rig, 3);
    assert_true(rig->s.is_failed);
    assert_int_equal(rig->s.got_len, 0);
    assert_int_equal(stream_error(&rig->s.stream), -WR_E_TLS);
}

/* A new certificate while a session is under the old one. */
static void test_reload(void **state)
{
    struct rig *rig = *state;
    struct tls_server_conf conf = {
        .cert_file = rig->cert, .key_file = rig->key, .is_13_only = true};
    struct tls_ctx *fresh = NULL;

    both_ready(rig, rig->required, NULL);
    (void)unlink(rig->cert);
    assert_int_equal(tls_make_files(rig->cert, rig->key, NULL), 1);
    assert_int_equal(tls_server_create(&conf, NULL, &fresh), 0);
    tls_unref(rig->server);
    rig->server = fresh;
    assert_int_equal(stream_write(&rig->c.stream, "still", 5), 1);
    turns(rig, 2);
    assert_memory_equal(rig->s.got, "still", 5);
}

static void test_files(void **state)
{
    struct rig *rig = *state;
    char why[TLS_WHY_BYTES] = "";
    struct tls_server_conf conf = {.cert_file = rig->key, .key_file = rig->key};
    struct tls_ctx *ctx = NULL;
    struct stat st;

    assert_int_equal(tls_make_files(rig->cert, rig->key, why), 0); /* there already */
    assert_int_equal(stat(rig->key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(rig->cert, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_in_range(tls_days_left(rig->server), 3600, 3700);

    assert_int_equal(tls_server_create(&conf, why, &ctx), -WR_E_TLS);
    assert_null(ctx);
    assert_non_null(strstr(why, rig->key));
    conf.cert_file = "/nonexistent/cert.pem";
    assert_int_equal(tls_server_create(&conf, why, &ctx), -WR_E_TLS);
    assert_non_null(strstr(why, "/nonexistent/cert.pem"));
    assert_int_equal(tls_client_create(TLS_MODE_VERIFY, "/nonexistent/ca.pem", why, &ctx),
                     -WR_E_TLS);
    assert_non_null(strstr(why, "/nonexistent/ca.pem"));
    assert_true(tls_make_files("/nonexistent/c.pem", "/nonexistent/k.pem", why) < 0);
    assert_non_null(strstr(why, "/nonexistent/k.pem"));
}

static void test_states(void **state)
{
    struct rig *rig = *state;

    pair_open(rig);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->required, NULL, 0), -WR_E_STATE);
    assert_int_equal(stream_start_tls_connect(&rig->c.stream, rig->server, NULL, 0), -WR_E_STATE);
    assert_int_equal(stream_start_tls_connect(&rig->c.stream, rig->verify, NULL, 0), -WR_E_TLS);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, NULL, 0), 0);
    assert_int_equal(stream_start_tls_accept(&rig->s.stream, rig->server, NULL, 0), -WR_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_during_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_address_as_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plaintext_behind_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_states, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
