/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams over socket pairs, loopback TCP and unix sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/io/stream.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

struct end {
    struct loop *loop;
    struct stream stream;
    uint8_t *got;
    size_t got_len;
    size_t got_cap;
    size_t read_cap;
    unsigned events[8];
    bool is_eof;
    bool is_failed;
    bool closes_on_readable;
    bool is_in_call;
};

static void on_event(void *arg, enum stream_event event)
{
    struct end *end = arg;
    size_t n = 0;

    assert_false(end->is_in_call);
    end->events[event]++;
    if (event != STREAM_READABLE) {
        return;
    }
    if (end->closes_on_readable) {
        stream_close(&end->stream);
        return;
    }

    size_t cap = end->read_cap == 0 ? LOOP_SCRATCH_BYTES : end->read_cap;
    uint8_t *scratch = loop_scratch(end->loop);

    switch (stream_read(&end->stream, scratch, cap, &n)) {
    case IO_DONE:
        assert_true(n > 0 && n <= cap);
        assert_true(end->got_len + n <= end->got_cap);
        memcpy(end->got + end->got_len, scratch, n);
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

static void end_init(struct end *end, struct loop *loop, size_t cap)
{
    memset(end, 0, sizeof(*end));
    stream_init(&end->stream);
    end->loop = loop;
    end->got = malloc(cap);
    end->got_cap = cap;
    assert_non_null(end->got);
}

static void end_fini(struct end *end)
{
    stream_close(&end->stream);
    free(end->got);
}

static struct loop *loop_make(void)
{
    struct loop *loop = NULL;

    assert_int_equal(loop_create(&loop), 0);
    return loop;
}

static void pair_open(struct loop *loop, struct end *a, struct end *b, size_t cap)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    end_init(a, loop, cap);
    end_init(b, loop, cap);
    assert_int_equal(stream_open(&a->stream, loop, fds[0], on_event, a), 0);
    assert_int_equal(stream_open(&b->stream, loop, fds[1], on_event, b), 0);
}

static void turns(struct loop *loop, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(loop_turn(loop, 1000), 0);
    }
}

static void test_size(void **state)
{
    (void)state;
    /* The idle-session budget counts on this. */
    assert_true(sizeof(struct stream) <= 384);
}

static void test_relay(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    struct iovec iov[3] = {
        {(void *)(uintptr_t) "ab", 2}, {NULL, 0}, {(void *)(uintptr_t) "cde", 3}};

    (void)state;
    pair_open(loop, &a, &b, 100);
    assert_int_equal(stream_writev(&a.stream, iov, 3), 1);
    assert_int_equal(stream_write(&a.stream, "", 0), 1);
    turns(loop, 1);
    assert_int_equal(b.got_len, 5);
    assert_memory_equal(b.got, "abcde", 5);
    assert_int_equal(b.events[STREAM_READABLE], 1);
    /* Nothing more, nothing spins. */
    turns(loop, 3);
    assert_int_equal(b.events[STREAM_READABLE], 1);
    assert_null(a.stream.write_event);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

static void test_small_reads(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;

    (void)state;
    pair_open(loop, &a, &b, 100);
    b.read_cap = 3;
    assert_int_equal(stream_write(&a.stream, "0123456789", 10), 1);
    turns(loop, 6);
    assert_int_equal(b.got_len, 10);
    assert_memory_equal(b.got, "0123456789", 10);
    assert_int_equal(b.events[STREAM_READABLE], 4);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

/* 8 MiB against a reader that is paused: what does not fit is queued, high water is reported, the
 * bytes arrive in order, DRAINED comes once, and nothing is kept afterwards. */
static void test_back_pressure(void **state)
{
    const size_t total = (size_t)8 << 20;
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t *bytes = malloc(total);
    size_t sent = 0;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < total; i++) {
        bytes[i] = pattern(i);
    }
    pair_open(loop, &a, &b, total);
    stream_want_read(&b.stream, false);
    for (size_t step = 1; sent < total; step = step * 3 + 1) {
        struct iovec iov[2];
        size_t first = step < total - sent ? step : total - sent;
        size_t second = first < total - sent - first ? first : total - sent - first;

        iov[0] = (struct iovec){bytes + sent, first};
        iov[1] = (struct iovec){bytes + sent + first, second};
        a.is_in_call = true;
        assert_true(stream_writev(&a.stream, iov, 2) >= 0);
        a.is_in_call = false;
        sent += first + second;
    }
    assert_true(stream_is_high(&a.stream));
    assert_true(stream_out_bytes(&a.stream) > (size_t)4 << 20);
    turns(loop, 3);
    assert_int_equal(b.got_len, 0);
    assert_int_equal(a.events[STREAM_DRAINED], 0);

    stream_want_read(&b.stream, true);
    for (int i = 0; i < 100000 && b.got_len < total; i++) {
        turns(loop, 1);
    }
    assert_int_equal(b.got_len, total);
    assert_memory_equal(b.got, bytes, total);
    assert_int_equal(a.events[STREAM_DRAINED], 1);
    assert_false(stream_is_high(&a.stream));
    turns(loop, 2);
    assert_int_equal(stream_out_bytes(&a.stream), 0);
    assert_null(a.stream.write_event);
    assert_null(a.stream.out_head);
    end_fini(&a);
    end_fini(&b);
    free(bytes);
    loop_destroy(loop);
}

static void test_flush_then_close(void **state)
{
    const size_t total = (size_t)3 << 20;
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t *bytes = calloc(1, total);

    (void)state;
    assert_non_null(bytes);
    pair_open(loop, &a, &b, total);
    assert_int_equal(stream_write(&a.stream, bytes, total), 0);
    stream_set_water(&a.stream, 1, 0);
    assert_true(stream_is_high(&a.stream));
    for (int i = 0; i < 100000 && a.events[STREAM_DRAINED] == 0; i++) {
        turns(loop, 1);
    }
    assert_int_equal(stream_out_bytes(&a.stream), 0);
    stream_close(&a.stream);
    for (int i = 0; i < 100000 && !b.is_eof; i++) {
        turns(loop, 1);
    }
    assert_int_equal(b.got_len, total);
    end_fini(&a);
    end_fini(&b);
    free(bytes);
    loop_destroy(loop);
}

static void test_limit(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t *bytes = calloc(1, (size_t)4 << 20);

    (void)state;
    assert_non_null(bytes);
    pair_open(loop, &a, &b, 100);
    stream_want_read(&b.stream, false);
    stream_set_limit(&a.stream, 1 << 20);
    assert_int_equal(stream_write(&a.stream, bytes, (size_t)4 << 20), -WR_E_LIMIT);
    assert_int_equal(stream_error(&a.stream), -WR_E_LIMIT);
    assert_int_equal(stream_write(&a.stream, "x", 1), -WR_E_LIMIT);
    assert_int_equal(stream_out_bytes(&a.stream), 0);
    end_fini(&a);
    end_fini(&b);
    free(bytes);
    loop_destroy(loop);
}

/* The peer ends its direction: one READABLE with the end, then silence; writing still works. */
static void test_half_close(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;

    (void)state;
    pair_open(loop, &a, &b, 100);
    assert_int_equal(stream_write(&a.stream, "last", 4), 1);
    stream_shutdown_write(&a.stream);
    assert_int_equal(stream_write(&a.stream, "x", 1), -EPIPE);
    turns(loop, 4);
    assert_memory_equal(b.got, "last", 4);
    assert_true(b.is_eof);
    assert_int_equal(b.events[STREAM_READABLE], 2);

    /* No spinning on a peer that is half dead. */

    uint64_t turns_before = loop_turn_count(loop);

    for (uint64_t end_us = clock_now_us() + 100000; clock_now_us() < end_us;) {
        assert_int_equal(loop_turn(loop, 50000), 0);
    }
    assert_true(loop_turn_count(loop) - turns_before < 10);
    assert_int_equal(b.events[STREAM_READABLE], 2);

    assert_int_equal(stream_write(&b.stream, "answer", 6), 1);
    turns(loop, 2);
    assert_memory_equal(a.got, "answer", 6);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

static void test_shutdown_after_queue(void **state)
{
    const size_t total = (size_t)2 << 20;
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t *bytes = calloc(1, total);

    (void)state;
    assert_non_null(bytes);
    pair_open(loop, &a, &b, total);
    assert_int_equal(stream_write(&a.stream, bytes, total), 0);
    stream_shutdown_write(&a.stream);
    for (int i = 0; i < 100000 && !b.is_eof; i++) {
        turns(loop, 1);
    }
    assert_int_equal(b.got_len, total);
    end_fini(&a);
    end_fini(&b);
    free(bytes);
    loop_destroy(loop);
}

static void test_close_in_callback(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;

    (void)state;
    pair_open(loop, &a, &b, 100);
    b.closes_on_readable = true;
    assert_int_equal(stream_write(&a.stream, "x", 1), 1);
    turns(loop, 3);
    assert_int_equal(b.events[STREAM_READABLE], 1);
    assert_false(stream_is_open(&b.stream));
    stream_close(&b.stream);
    stream_abort(&b.stream);
    assert_true(a.is_eof || a.is_failed);
    /* Writing to it is an error in return, not an event and not a signal. */
    a.is_in_call = true;
    assert_true(stream_write(&a.stream, "y", 1) < 0);
    a.is_in_call = false;
    turns(loop, 2);
    assert_int_equal(a.events[STREAM_CLOSED], 0);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

static void test_queued_output_fails(void **state)
{
    const size_t total = (size_t)4 << 20;
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t *bytes = calloc(1, total);

    (void)state;
    assert_non_null(bytes);
    pair_open(loop, &a, &b, 100);
    stream_want_read(&a.stream, false);
    stream_want_read(&b.stream, false);
    assert_int_equal(stream_write(&a.stream, bytes, total), 0);
    stream_close(&b.stream);
    turns(loop, 3);
    assert_int_equal(a.events[STREAM_CLOSED], 1);
    assert_true(stream_error(&a.stream) < 0);

    char text[128];

    stream_error_text(&a.stream, text, sizeof(text));
    assert_true(text[0] != '\0');
    end_fini(&a);
    end_fini(&b);
    free(bytes);
    loop_destroy(loop);
}

/* A pause costs nothing until bytes come; then the loop sleeps all the same. */
static void test_pause(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;

    (void)state;
    pair_open(loop, &a, &b, 100);
    stream_want_read(&b.stream, false);
    stream_want_read(&b.stream, true);
    stream_want_read(&b.stream, false);
    assert_int_equal(stream_write(&a.stream, "x", 1), 1);
    turns(loop, 5);
    assert_int_equal(b.events[STREAM_READABLE], 0);

    uint64_t before = loop_turn_count(loop);
    uint64_t begin_us = clock_now_us();

    assert_int_equal(loop_turn(loop, 30000), 0);
    assert_int_equal(loop_turn_count(loop) - before, 1);
    assert_true(clock_now_us() - begin_us >= 29000);
    stream_want_read(&b.stream, true);
    turns(loop, 1);
    assert_int_equal(b.got_len, 1);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

static int listen_on(struct sockaddr_storage *addr, socklen_t *len, int family, const char *path)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memset(addr, 0, sizeof(*addr));
    if (family == AF_UNIX) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};

        (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
        memcpy(addr, &un, sizeof(un));
        *len = sizeof(un);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET};

        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(addr, &in, sizeof(in));
        *len = sizeof(in);
    }
    assert_int_equal(bind(fd, (struct sockaddr *)addr, *len), 0);
    assert_int_equal(listen(fd, 8), 0);
    *len = sizeof(*addr);
    assert_int_equal(getsockname(fd, (struct sockaddr *)addr, len), 0);
    return fd;
}

static void connect_case(int family, const char *path)
{
    static const struct stream_connect_opts opts = {.keepalive_s = 30, .user_timeout_ms = 9000};
    struct loop *loop = loop_make();
    struct sockaddr_storage addr;
    socklen_t len = 0;
    int listener = listen_on(&addr, &len, family, path);
    struct end a;
    struct end b;

    end_init(&a, loop, 100);
    end_init(&b, loop, 100);
    a.is_in_call = true;
    assert_int_equal(
        stream_connect(&a.stream, loop, (struct sockaddr *)&addr, len, &opts, on_event, &a), 0);
    a.is_in_call = false;
    assert_int_equal(a.events[STREAM_CONNECTED], 0);
    /* Output may be handed over before the connection stands. */
    assert_true(stream_write(&a.stream, "early", 5) >= 0);
    for (int i = 0; i < 100 && a.events[STREAM_CONNECTED] == 0; i++) {
        turns(loop, 1);
    }
    assert_int_equal(a.events[STREAM_CONNECTED], 1);

    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(stream_tune_fd(fd, NULL), 0);
    assert_int_equal(stream_open(&b.stream, loop, fd, on_event, &b), 0);
    for (int i = 0; i < 100 && b.got_len < 5; i++) {
        turns(loop, 1);
    }
    assert_memory_equal(b.got, "early", 5);
    assert_int_equal(stream_write(&b.stream, "hello", 5), 1);
    for (int i = 0; i < 100 && a.got_len < 5; i++) {
        turns(loop, 1);
    }
    assert_memory_equal(a.got, "hello", 5);
    assert_null(a.stream.write_event);
    if (family == AF_INET) {
        int value = 0;
        socklen_t value_len = sizeof(value);

        assert_int_equal(getsockopt(a.stream.fd, IPPROTO_TCP, TCP_NODELAY, &value, &value_len), 0);
        assert_true(value != 0);
        assert_int_equal(getsockopt(a.stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &value_len),
                         0);
        assert_int_equal(value, 9000);
        assert_int_equal(getsockopt(a.stream.fd, SOL_SOCKET, SO_KEEPALIVE, &value, &value_len), 0);
        assert_int_equal(value, 1);
    }

    /* A reset is a failure, told once. */
    stream_abort(&b.stream);
    for (int i = 0; i < 100 && !a.is_failed && !a.is_eof; i++) {
        turns(loop, 1);
    }
    assert_true(a.is_failed || a.is_eof);
    end_fini(&a);
    end_fini(&b);

    /* Nobody listens any more. */
    (void)close(listener);
    if (path != NULL) {
        (void)unlink(path);
    }
    end_init(&a, loop, 100);
    a.is_in_call = true;
    assert_int_equal(
        stream_connect(&a.stream, loop, (struct sockaddr *)&addr, len, &opts, on_event, &a), 0);
    a.is_in_call = false;
    for (int i = 0; i < 100 && a.events[STREAM_CLOSED] == 0; i++) {
        turns(loop, 1);
    }
    assert_int_equal(a.events[STREAM_CLOSED], 1);
    assert_int_equal(a.events[STREAM_CONNECTED], 0);
    assert_int_equal(stream_error(&a.stream), path == NULL ? -ECONNREFUSED : -ENOENT);
    turns(loop, 3);
    assert_int_equal(a.events[STREAM_CLOSED], 1);
    end_fini(&a);
    loop_destroy(loop);
}

static void test_connect_tcp(void **state)
{
    (void)state;
    connect_case(AF_INET, NULL);
}

static void test_connect_unix(void **state)
{
    char dir[] = "/tmp/weir-io-XXXXXX";
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    connect_case(AF_UNIX, path);
    (void)rmdir(dir);
}

/* Bytes that came before the peer's reset-by-close are still read after a failed write. */
static void test_last_words(void **state)
{
    struct loop *loop = loop_make();
    struct end a;
    struct end b;
    uint8_t dst[16];
    size_t n = 0;

    (void)state;
    pair_open(loop, &a, &b, 100);
    assert_int_equal(stream_write(&b.stream, "error!", 6), 1);
    stream_close(&b.stream);
    assert_true(stream_write(&a.stream, "command", 7) < 0);
    assert_int_equal(stream_read(&a.stream, dst, sizeof(dst), &n), IO_DONE);
    assert_int_equal(n, 6);
    assert_memory_equal(dst, "error!", 6);
    end_fini(&a);
    end_fini(&b);
    loop_destroy(loop);
}

#ifdef WEIR_DEBUG
/* No memory for what the kernel does not take: the stream fails, nothing leaks, whatever the n-th
 * allocation is that fails. */
static void test_no_memory(void **state)
{
    const size_t total = (size_t)2 << 20;
    uint8_t *bytes = calloc(1, total);
    bool was_spent = true;

    (void)state;
    assert_non_null(bytes);
    for (uint64_t nth = 1; was_spent; nth++) {
        struct loop *loop = loop_make();
        struct end a;
        struct end b;
        int rc = 0;

        pair_open(loop, &a, &b, 100);
        stream_want_read(&b.stream, false);
        fault_arm("alloc", nth);
        for (int i = 0; i < 3 && rc >= 0; i++) {
            rc = stream_write(&a.stream, bytes, total);
        }
        was_spent = fault_is_spent();
        fault_arm("alloc", 0);
        assert_int_equal(rc, was_spent ? -ENOMEM : 0);
        assert_int_equal(stream_error(&a.stream), rc);
        assert_true(was_spent || nth > 1);
        end_fini(&a);
        end_fini(&b);
        loop_destroy(loop);
    }
    free(bytes);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_relay),
        cmocka_unit_test(test_small_reads),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_flush_then_close),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_shutdown_after_queue),
        cmocka_unit_test(test_close_in_callback),
        cmocka_unit_test(test_queued_output_fails),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_connect_tcp),
        cmocka_unit_test(test_connect_unix),
        cmocka_unit_test(test_last_words),
#ifdef WEIR_DEBUG
        cmocka_unit_test(test_no_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
