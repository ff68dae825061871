/* SPDX-License-Identifier: Apache-2.0 */
/* The link against a Redis made of this test: login, replies in order, and all the ways in which it ends. */
#include <errno.h>
#include <fcntl.h>
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
#include "weir/redis/link.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#define PATIENCE_US (20 * CLOCK_US_PER_SECOND)

struct lab {
    struct loop *loop;
    struct resolver *resolver;
    struct redis_link *link;
    struct redis_conf conf;
    char path[108];
    int listener;
    int fd; /* Redis' end */
    unsigned ups;
    unsigned downs; /* of those that were up */
    unsigned failures;
    char why[REDIS_WHY_BYTES];
    char heard[256]; /* of the channel, joined */
    char replies[256];
    bool resets_when_heard;
};

static void on_up(void *arg)
{
    ((struct lab *)arg)->ups++;
}

static void on_down(void *arg, bool was_up, const char *why)
{
    struct lab *lab = arg;

    lab->downs += was_up ? 1 : 0;
    lab->failures += was_up ? 0 : 1;
    (void)snprintf(lab->why, sizeof(lab->why), "%s", why);
    assert_int_equal(redis_link_in_flight(lab->link), 0);
    assert_false(redis_link_is_up(lab->link));
}

static void on_message(void *arg, struct span payload)
{
    struct lab *lab = arg;
    size_t at = strlen(lab->heard);

    (void)snprintf(lab->heard + at, sizeof(lab->heard) - at, "[%.*s]", (int)payload.len,
                   (const char *)payload.p);
    if (lab->resets_when_heard) {
        redis_link_reset(lab->link, "enough");
    }
}

static void on_reply(void *arg, int err, const struct redis_value *value)
{
    struct lab *lab = arg;
    size_t at = strlen(lab->replies);

    if (value == NULL) {
        assert_true(err < 0);
        (void)snprintf(lab->replies + at, sizeof(lab->replies) - at, "(%s)", err_text(err));
    } else {
        assert_int_equal(err, 0);
        (void)snprintf(lab->replies + at, sizeof(lab->replies) - at, "%.*s;", (int)value->text.len,
                       (const char *)value->text.p);
    }
}

static void lab_open(struct lab *lab, const char *channel)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct redis_calls calls = {
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = lab};

    (void)snprintf(lab->path, sizeof(lab->path), "/tmp/weir-unit-redis-%d", (int)getpid());
    (void)unlink(lab->path);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", lab->path);
    lab->fd = -1;
    lab->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(lab->listener >= 0);
    assert_int_equal(bind(lab->listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(lab->listener, 8), 0);
    lab->conf.host = lab->path;
    lab->conf.channel = channel;
    lab->conf.connect_timeout_us =
        lab->conf.connect_timeout_us == 0 ? PATIENCE_US : lab->conf.connect_timeout_us;
    lab->conf.timeout_us = lab->conf.timeout_us == 0 ? PATIENCE_US : lab->conf.timeout_us;
    lab->conf.max_reply_bytes = 4096;
    assert_int_equal(loop_create(&lab->loop), 0);
    assert_int_equal(resolver_create(&lab->resolver), 0);
    assert_int_equal(redis_link_create(lab->loop, lab->resolver, &lab->conf, &calls, &lab->link),
                     0);
}

static void lab_close(struct lab *lab)
{
    redis_link_destroy(lab->link);
    resolver_destroy(lab->resolver);
    loop_destroy(lab->loop);
    (void)close(lab->listener);
    if (lab->fd >= 0) {
        (void)close(lab->fd);
    }
    (void)unlink(lab->path);
}

static void turn(struct lab *lab, uint64_t until_us)
{
    assert_true(clock_now_us() < until_us);
    assert_int_equal(loop_turn(lab->loop, 5000), 0);
}

#define UNTIL(lab, cond)                                              \
    for (uint64_t end_us_ = clock_now_us() + PATIENCE_US; !(cond);) { \
        turn(lab, end_us_);                                           \
    }

static void lab_accept(struct lab *lab)
{
    if (lab->fd >= 0) {
        (void)close(lab->fd);
    }
    UNTIL(lab, (lab->fd = accept4(lab->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
}

static void want(struct lab *lab, const char *text)
{
    char got[1024];
    size_t len = 0;
    size_t wanted = strlen(text);
    ssize_t n = 0;

    UNTIL(lab, (n = recv(lab->fd, got + len, wanted - len, 0), len += n > 0 ? (size_t)n : 0,
                len == wanted))
    assert_memory_equal(got, text, wanted);
}

static void say(const struct lab *lab, const char *text)
{
    assert_int_equal(send(lab->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void login(struct lab *lab)
{
    unsigned ups = lab->ups;

    lab_accept(lab);
    want(lab, "*1\r\n$4\r\nPING\r\n");
    say(lab, "+PONG\r\n");
    UNTIL(lab, lab->ups > ups)
    assert_true(redis_link_is_up(lab->link));
}

static int command(struct lab *lab, const char *word)
{
    const struct span words[] = {SPAN_LIT("GET"), span_of(word)};

    return redis_link_send(lab->link, words, 2, on_reply, lab);
}

static void in_order(void **unused)
{
    struct lab lab = {.fd = -1};

    (void)unused;
    lab_open(&lab, NULL);
    assert_int_equal(command(&lab, "early"), -WR_E_STATE);
    login(&lab);
    assert_int_equal(command(&lab, "a"), 0);
    assert_int_equal(command(&lab, "b"), 0);
    assert_int_equal(redis_link_in_flight(lab.link), 2);
    want(&lab, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
    say(&lab, "$1\r\nA\r\n$1\r");
    UNTIL(&lab, strlen(lab.replies) == 2)
    say(&lab, "\nB\r\n");
    UNTIL(&lab, strlen(lab.replies) == 4)
    assert_string_equal(lab.replies, "A;B;");
    /* all the room there is, and no more */
    for (unsigned i = 0; i < REDIS_REQUESTS_MAX; i++) {
        assert_int_equal(command(&lab, "x"), 0);
    }
    assert_int_equal(command(&lab, "x"), -WR_E_LIMIT);
    assert_true(redis_link_is_up(lab.link));
    lab_close(&lab);
}

static void credentials(void **unused)
{
    struct lab lab = {.fd = -1};

    (void)unused;
    lab.conf.user = "u";
    lab.conf.password = SPAN_LIT("p w\r\n");
    lab.conf.database = 7;
    lab_open(&lab, "ch");
    lab_accept(&lab);
    want(&lab, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$5\r\np w\r\n\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"
               "*2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nch\r\n");
    say(&lab, "-WRONGPASS no\r\n-NOAUTH a\r\n-NOAUTH b\r\n");
    UNTIL(&lab, lab.failures == 1)
    assert_string_equal(lab.why, "Redis says: WRONGPASS no");
    /* again, by itself */
    lab_accept(&lab);
    want(&lab, "*3\r\n$4\r\nAUTH\r\n");
    say(&lab, "+OK\r\n+OK\r\n*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    UNTIL(&lab, lab.ups == 1)
    assert_int_equal(command(&lab, "x"), -WR_E_STATE);
    lab_close(&lab);
}

static void subscribe(struct lab *lab)
{
    lab_accept(lab);
    want(lab, "*2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nch\r\n");
    say(lab,
        "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n");
    UNTIL(lab, strlen(lab->heard) > 0)
}

static void channel(void **unused)
{
    static const char *const odd[] = {
        "+OK\r\n",
        "*3\r\n$7\r\nmessage\r\n$2\r\nxx\r\n$2\r\nhi\r\n",
        "*2\r\n$7\r\nmessage\r\n$2\r\nch\r\n",
        "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n:5\r\n",
        "*3\r\n:1\r\n:2\r\n:3\r\n",
        "-NOAUTH\r\n",
        "$-1\r\n",
    };
    struct lab lab = {.fd = -1};

    (void)unused;
    lab_open(&lab, "ch");
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        lab.heard[0] = '\0';
        subscribe(&lab);
        assert_string_equal(lab.heard, "[hi]");
        say(&lab, odd[i]);
        UNTIL(&lab, lab.downs == i + 1)
    }
    /* reset from inside: nothing behind that is heard */
    lab.resets_when_heard = true;
    lab.heard[0] = '\0';
    subscribe(&lab);
    assert_string_equal(lab.heard, "[hi]");
    UNTIL(&lab, redis_link_state(lab.link) == REDIS_ST_WAIT)
    assert_string_equal(lab.why, "enough");
    lab_close(&lab);
}

static void ends(void **unused)
{
    struct lab lab = {.fd = -1};

    (void)unused;
    lab_open(&lab, NULL);
    login(&lab); /* nobody has asked */
    say(&lab, "+OK\r\n");
    UNTIL(&lab, lab.downs == 1)
    login(&lab); /* garbage, with requests in flight */
    assert_int_equal(command(&lab, "a"), 0);
    assert_int_equal(command(&lab, "b"), 0);
    say(&lab, "?what\r\n");
    UNTIL(&lab, lab.downs == 2)
    assert_string_equal(lab.replies, "(malformed packet)(malformed packet)");
    lab.replies[0] = '\0';
    login(&lab); /* the end of the connection, behind one reply */
    assert_int_equal(command(&lab, "a"), 0);
    assert_int_equal(command(&lab, "b"), 0);
    say(&lab, "+A\r\n");
    assert_int_equal(shutdown(lab.fd, SHUT_WR), 0);
    UNTIL(&lab, lab.downs == 3)
    assert_string_equal(lab.replies, "A;(closed by the peer)");
    lab.replies[0] = '\0';
    login(&lab);
    assert_int_equal(command(&lab, "a"), 0);
    redis_link_reset(lab.link, "told to");
    assert_string_equal(lab.replies, "(closed by the peer)");
    assert_string_equal(lab.why, "told to");
    redis_link_reset(lab.link, "again"); /* it is down already */
    assert_string_equal(lab.why, "told to");
    lab_close(&lab);
}

/* A reply that is late is nobody's: the connection has gone. */
static void late(void **unused)
{
    struct lab lab = {.fd = -1};

    (void)unused;
    lab.conf.timeout_us = 200000;
    lab_open(&lab, NULL);
    lab_accept(&lab);
    want(&lab, "*1\r\n$4\r\nPING\r\n");
    UNTIL(&lab, lab.failures == 1) /* the login, too, has its time */
    login(&lab);
    assert_int_equal(command(&lab, "a"), 0);
    UNTIL(&lab, lab.downs == 1)
    assert_string_equal(lab.replies, "(timed out)");
    (void)send(lab.fd, "+A\r\n", 4, MSG_NOSIGNAL);
    lab.replies[0] = '\0';
    login(&lab);
    assert_int_equal(command(&lab, "b"), 0);
    want(&lab, "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
    say(&lab, "+B\r\n");
    UNTIL(&lab, strlen(lab.replies) > 0)
    assert_string_equal(lab.replies, "B;");
    lab_close(&lab);
}

/* Nobody there: bounded, and further and further apart. */
static void nobody(void **unused)
{
    struct lab lab = {.fd = -1};
    uint64_t began_us = clock_now_us();

    (void)unused;
    lab_open(&lab, NULL);
    (void)close(lab.listener);
    (void)unlink(lab.path);
    lab.listener = -1;
    UNTIL(&lab, lab.failures == 4)
    /* 50, 100 and 200 ms, each at least half of it */
    assert_true(clock_now_us() - began_us >= 175000);
    assert_int_equal(lab.downs, 0);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order), cmocka_unit_test(credentials), cmocka_unit_test(channel),
        cmocka_unit_test(ends),     cmocka_unit_test(late),        cmocka_unit_test(nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
