/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe against a Redis made of this test: what is late, cancelled, malformed, too long, or in flight at the end. */
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
#include "weir/io/resolve.h"
#include "weir/redis/breaker.h"
#include "weir/redis/pipe.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#define PATIENCE_US (20 * CLOCK_US_PER_SECOND)
#define BUDGET_US   UINT64_C(30000)

struct lab {
    struct loop *loop;
    struct resolver *resolver;
    struct redis_pipe *pipe;
    char path[108];
    int listener;
    int fd; /* Redis' end */
    unsigned events[8];
    char replies[256];
};

static void on_event(void *arg, enum redis_pipe_event event, const char *where, const char *why)
{
    struct lab *lab = arg;

    assert_true(strlen(where) > 0 && strlen(why) > 0);
    lab->events[event]++;
}

static void on_reply(void *arg, int err, const struct redis_value *value)
{
    struct lab *lab = arg;
    size_t at = strlen(lab->replies);

    assert_true((value == NULL) == (err < 0));
    (void)snprintf(lab->replies + at, sizeof(lab->replies) - at, "%.*s;",
                   value == NULL ? 40 : (int)value->text.len,
                   value == NULL ? err_text(err) : (const char *)value->text.p);
}

static void turn(struct lab *lab, uint64_t until_us)
{
    assert_true(clock_now_us() < until_us);
    assert_int_equal(loop_turn(lab->loop, 2000), 0);
}

#define UNTIL(lab, cond)                                              \
    for (uint64_t end_us_ = clock_now_us() + PATIENCE_US; !(cond);) { \
        turn(lab, end_us_);                                           \
    }

static void lab_open(struct lab *lab)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct redis_pipe_calls calls = {.on_event = on_event, .arg = lab};
    struct redis_pipe_conf conf = {.budget_us = BUDGET_US};

    *lab = (struct lab){.fd = -1};
    (void)snprintf(lab->path, sizeof(lab->path), "/tmp/weir-unit-pipe-%d", (int)getpid());
    (void)unlink(lab->path);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", lab->path);
    lab->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(lab->listener >= 0);
    assert_int_equal(bind(lab->listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(lab->listener, 8), 0);
    conf.link.host = lab->path;
    conf.link.connect_timeout_us = PATIENCE_US;
    conf.link.max_reply_bytes = 1024;
    assert_int_equal(loop_create(&lab->loop), 0);
    assert_int_equal(resolver_create(&lab->resolver), 0);
    conf.is_cluster = true;
    conf.link.database = 1; /* a cluster has one */
    assert_int_equal(redis_pipe_create(lab->loop, lab->resolver, &conf, &calls, &lab->pipe),
                     -WR_E_CONFIG);
    conf.is_cluster = false;
    conf.link.database = 0;
    assert_int_equal(redis_pipe_create(lab->loop, lab->resolver, &conf, &calls, &lab->pipe), 0);
}

static void lab_close(struct lab *lab)
{
    redis_pipe_destroy(lab->pipe);
    resolver_destroy(lab->resolver);
    loop_destroy(lab->loop);
    (void)close(lab->listener);
    (void)close(lab->fd);
    (void)unlink(lab->path);
}

static void say(const struct lab *lab, const char *text)
{
    assert_int_equal(send(lab->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All that comes up to these bytes. */
static void want(struct lab *lab, const char *end)
{
    char got[4096] = "";
    size_t len = 0;
    ssize_t n = 0;

    UNTIL(lab, (n = recv(lab->fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT),
                len += n > 0 ? (size_t)n : 0, got[len] = '\0', strstr(got, end) != NULL))
}

static void login(struct lab *lab)
{
    unsigned ups = lab->events[PIPE_EVENT_UP];

    if (lab->fd >= 0) {
        (void)close(lab->fd);
    }
    UNTIL(lab, (lab->fd = accept4(lab->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    want(lab, "PING\r\n");
    say(lab, "+PONG\r\n");
    UNTIL(lab, lab->events[PIPE_EVENT_UP] > ups)
    lab->replies[0] = '\0';
}

static int get(struct lab *lab, const char *key, struct redis_op **ret_op)
{
    const struct span words[] = {SPAN_LIT("GET"), span_of(key)};

    return redis_pipe_send(lab->pipe, words[1], words, 2, on_reply, lab, ret_op);
}

static struct redis_pipe_stats stats_of(const struct lab *lab)
{
    struct redis_pipe_stats stats;

    redis_pipe_stats(lab->pipe, &stats);
    return stats;
}

/* The reply of the one that was late never comes to the one behind it, nor to one on the next connection. */
static void late(void **state)
{
    struct lab lab;
    (void)state;
    lab_open(&lab);
    assert_int_equal(get(&lab, "early", NULL), -WR_E_NO_SERVER);
    assert_false(redis_pipe_is_ready(lab.pipe, SPAN_LIT("a")));
    login(&lab);
    assert_true(redis_pipe_is_ready(lab.pipe, SPAN_LIT("a")));
    assert_int_equal(get(&lab, "a", NULL), 0);
    want(&lab, "a\r\n");
    UNTIL(&lab, strlen(lab.replies) > 0)
    assert_string_equal(lab.replies, "timed out;");
    (void)send(lab.fd, "$1\r\nA\r\n", 7, MSG_NOSIGNAL); /* now it comes */
    login(&lab);
    assert_int_equal(get(&lab, "b", NULL), 0);
    assert_int_equal(get(&lab, "c", NULL), 0);
    want(&lab, "c\r\n");
    say(&lab, "$1\r\nB\r\n$1\r\nC\r\n");
    UNTIL(&lab, strlen(lab.replies) >= 4)
    assert_string_equal(lab.replies, "B;C;");
    assert_int_equal(stats_of(&lab).late, 1);
    assert_int_equal(stats_of(&lab).in_flight, 0);
    lab_close(&lab);
}

static void odd(void **state)
{
    static const char *const bytes[] = {"?what\r\n", "$99999\r\n",
                                        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
                                        "*1000000\r\n", "%1\r\n"};
    struct lab lab;
    unsigned malformed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        char filler[1200];

        lab_open(&lab);
        login(&lab);
        assert_int_equal(get(&lab, "a", NULL), 0);
        want(&lab, "a\r\n");
        say(&lab, bytes[i]);
        memset(filler, 'x', sizeof(filler) - 1);
        filler[sizeof(filler) - 1] = '\0';
        (void)send(lab.fd, filler, strlen(filler), MSG_NOSIGNAL);
        UNTIL(&lab, strlen(lab.replies) > 0)
        assert_int_equal(stats_of(&lab).in_flight, 0);
        malformed += (unsigned)stats_of(&lab).malformed;
        lab_close(&lab);
    }
    assert_int_equal(malformed, sizeof(bytes) / sizeof(bytes[0]));
}

static void cancelled(void **state)
{
    struct lab lab;
    struct redis_op *op = NULL;
    (void)state;
    lab_open(&lab);
    login(&lab);
    assert_int_equal(get(&lab, "a", &op), 0);
    assert_int_equal(get(&lab, "b", NULL), 0);
    redis_op_cancel(op);
    want(&lab, "b\r\n");
    say(&lab, "$1\r\nA\r\n-MOVED 1 h:1\r\n"); /* this is no cluster: an error like others */
    UNTIL(&lab, strlen(lab.replies) > 0)
    assert_string_equal(lab.replies, "MOVED 1 h:1;");
    assert_int_equal(stats_of(&lab).errors, 1);
    /* in flight when it ends */
    lab.replies[0] = '\0';
    assert_int_equal(get(&lab, "c", NULL), 0);
    redis_pipe_destroy(lab.pipe);
    assert_string_equal(lab.replies, "closed by the peer;");
    lab.pipe = NULL;
    lab_close(&lab);
}

static void breaks(void **state)
{
    struct lab lab;
    (void)state;
    lab_open(&lab);
    login(&lab);
    for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
        assert_int_equal(lab.events[PIPE_EVENT_OPENED], 0);
        assert_int_equal(get(&lab, "a", NULL), 0);
        want(&lab, "a\r\n");
        say(&lab, "-NOPERM no\r\n");
        UNTIL(&lab, strlen(lab.replies) > 11 * i)
    }
    assert_int_equal(lab.events[PIPE_EVENT_OPENED], 1);
    assert_int_equal(get(&lab, "a", NULL), -WR_E_NO_SERVER);
    for (unsigned i = 0; i < BREAKER_PROBES; i++) {
        assert_int_equal(lab.events[PIPE_EVENT_CLOSED], 0);
        want(&lab, "PING\r\n");
        say(&lab, "+PONG\r\n");
        UNTIL(&lab, stats_of(&lab).in_flight == 0)
    }
    assert_int_equal(lab.events[PIPE_EVENT_CLOSED], 1);
    assert_int_equal(get(&lab, "a", NULL), 0);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late), cmocka_unit_test(odd),
                                       cmocka_unit_test(cancelled), cmocka_unit_test(breaks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
