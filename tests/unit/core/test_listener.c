/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets with real clients: limits, lack of descriptors, stale unix sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/client/listener.h"
#include "weir/client/sess.h"
#include "weir/config/config.h"
#include "weir/io/loop.h"
#include "weir/util/clock.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#define FDS_MAX 512

struct rig {
    char dir[32];
    char path[64];
    struct config *config;
    struct loop *loop;
    struct metric_registry *registry;
    struct metric_shard *metrics;
    struct log_ctx log;
    struct listener_set *set;
    int fds[FDS_MAX];
    uint32_t count;
    uint32_t in_login;
    struct sess_accept last;
    bool stops_on_accept;
};

static void on_load(void *arg, struct listener_load *ret_load)
{
    const struct rig *rig = arg;

    ret_load->clients = rig->count;
    ret_load->in_login = rig->in_login;
}

static void on_accept(void *arg, const struct sess_accept *accept)
{
    struct rig *rig = arg;

    assert_true(rig->count < FDS_MAX);
    rig->fds[rig->count++] = accept->fd;
    rig->last = *accept;
    if (rig->stops_on_accept) {
        listener_stop(rig->set);
    }
}

static int setup(void **state)
{
    static const char format[] = "listeners:\n"
                                 "  - {address: \"127.0.0.1:0\", tls: required}\n"
                                 "  - {address: \"unix:%s\", tls: 'off'}\n"
                                 "servers: [{name: a, address: \"127.0.0.1:9\"}]\n"
                                 "monitor: {user: m, password_env: PATH}\n";
    struct rig *rig = calloc(1, sizeof(*rig));
    struct config_errors errs = {0};
    char text[512];

    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/weir-lis-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    (void)snprintf(rig->path, sizeof(rig->path), "%s/s", rig->dir);
    (void)snprintf(text, sizeof(text), format, rig->path);
    if (config_parse("test.yaml", (const uint8_t *)text, strlen(text), &rig->config, &errs) < 0) {
        config_print_errors(&errs, stderr);
        fail();
    }
    assert_int_equal(loop_create(&rig->loop), 0);
    assert_int_equal(metric_registry_create(&rig->registry), 0);
    assert_int_equal(metric_shard_create(rig->registry, &rig->metrics), 0);
    rig->log.room = "client";
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    for (uint32_t i = 0; i < rig->count; i++) {
        (void)close(rig->fds[i]);
    }
    listener_destroy(rig->set);
    metric_registry_destroy(rig->registry);
    loop_destroy(rig->loop);
    config_unref(rig->config);
    (void)unlink(rig->path);
    (void)rmdir(rig->dir);
    free(rig);
    return 0;
}

static void start(struct rig *rig, uint32_t max_clients, uint32_t max_in_login)
{
    const struct listener_calls calls = {.load = on_load, .on_accept = on_accept, .arg = rig};
    const struct listener_limits limits = {.max_clients = max_clients,
                                           .max_in_login = max_in_login};
    char why[LISTENER_WHY_BYTES] = "";

    assert_int_equal(listener_open(rig->config, why, &rig->set), 0);
    assert_int_equal(listener_start(rig->set, rig->loop, &calls, &limits, rig->metrics, &rig->log),
                     0);
}

static int try_tcp(const struct rig *rig)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(listener_port(rig->set, 0))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int rc = -errno;

        (void)close(fd);
        return rc;
    }
    return fd;
}

static int try_unix(const struct rig *rig)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int rc = -errno;

        (void)close(fd);
        return rc;
    }
    return fd;
}

static void turns(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(loop_turn(rig->loop, 2000), 0);
    }
}

/* The refusal as a client sees it: packet 0, ERR 1040, its SQLSTATE and the server's own text. */
static void assert_refused(int fd)
{
    uint8_t got[200];
    ssize_t n = recv(fd, got, sizeof(got), 0);
    struct timeval limit = {.tv_sec = 5};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_true(n > 13);
    assert_int_equal(got[0] + 4, n);
    assert_int_equal(got[3], 0);
    assert_int_equal(got[4], 0xff);
    assert_int_equal(got[5] | got[6] << 8, 1040);
    assert_memory_equal(got + n - 20, "Too many connections", 20);
    assert_int_equal(recv(fd, got, sizeof(got), 0), 0);
}

static void test_both_kinds(void **state)
{
    struct rig *rig = *state;
    struct stat st;

    start(rig, 100, 100);
    assert_int_equal(listener_count(rig->set), 2);
    assert_true(listener_port(rig->set, 0) != 0);
    assert_int_equal(listener_port(rig->set, 1), 0);
    assert_non_null(strstr(listener_text(rig->set, 1), rig->path));

    int tcp = try_tcp(rig);

    turns(rig, 2);
    assert_int_equal(rig->count, 1);
    assert_false(rig->last.is_unix);
    assert_true(rig->last.is_tls_required && rig->last.is_tls_offered);
    assert_int_equal(rig->last.peer.ss_family, AF_INET);

    int local = try_unix(rig);

    turns(rig, 2);
    assert_int_equal(rig->count, 2);
    assert_true(rig->last.is_unix);
    assert_false(rig->last.is_tls_required || rig->last.is_tls_offered);
    assert_int_equal(stat(rig->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0777);
    (void)close(tcp);
    (void)close(local);

    /* Stopped: nobody listens, and the path has gone. */
    listener_stop(rig->set);
    listener_stop(rig->set);
    assert_int_equal(try_tcp(rig), -ECONNREFUSED);
    assert_int_equal(try_unix(rig), -ENOENT);
}

static void test_limits(void **state)
{
    struct rig *rig = *state;

    start(rig, 1, 5);

    int first = try_tcp(rig);
    int second = try_tcp(rig);

    turns(rig, 3);
    assert_int_equal(rig->count, 1);
    assert_refused(second);
    assert_int_equal(metric_read(rig->registry, METRIC_SESSIONS_REFUSED, METRIC_NONE), 1);

    (void)close(rig->fds[--rig->count]);
    rig->in_login = 5;

    int third = try_unix(rig);

    turns(rig, 3);
    assert_int_equal(rig->count, 0);
    assert_refused(third);
    rig->in_login = 4;

    int fourth = try_unix(rig);

    turns(rig, 3);
    assert_int_equal(rig->count, 1);
    (void)close(first);
    (void)close(second);
    (void)close(third);
    (void)close(fourth);
}

/* Descriptors run out: the client is told, the loop does not spin, and when one is free again
 * clients are served again. */
static void test_no_descriptors(void **state)
{
    struct rig *rig = *state;
    struct rlimit old;
    int clients[4];

    start(rig, 1000, 1000);
    for (size_t i = 0; i < 4; i++) {
        clients[i] = try_tcp(rig);
        assert_true(clients[i] >= 0);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);

    /* Two more descriptors, no third one. */
    int probe = dup(0);
    struct rlimit tight = {.rlim_cur = (rlim_t)probe + 2, .rlim_max = old.rlim_max};

    (void)close(probe);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    turns(rig, 2);
    assert_int_equal(rig->count, 2);

    uint64_t before = loop_turn_count(rig->loop);
    uint64_t begin_us = clock_now_us();

    assert_int_equal(loop_turn(rig->loop, 50000), 0);
    assert_true(clock_now_us() - begin_us >= 40000);
    assert_int_equal(loop_turn_count(rig->loop) - before, 1);
    assert_refused(clients[2]);
    assert_refused(clients[3]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

    int late = try_tcp(rig);

    for (int i = 0; i < 200 && rig->count < 3; i++) {
        turns(rig, 1);
    }
    assert_int_equal(rig->count, 3);
    (void)close(late);
    for (size_t i = 0; i < 4; i++) {
        (void)close(clients[i]);
    }
}

/* 200 at once: all get in, no more than the budget per turn and socket. */
static void test_storm(void **state)
{
    struct rig *rig = *state;
    int clients[200];

    start(rig, 1000, 1000);
    for (size_t i = 0; i < 200; i++) {
        clients[i] = try_tcp(rig);
        assert_true(clients[i] >= 0);
    }
    turns(rig, 1);
    assert_int_equal(rig->count, 64);
    turns(rig, 5);
    assert_int_equal(rig->count, 200);
    for (size_t i = 0; i < 200; i++) {
        (void)close(clients[i]);
    }
}

static void test_stop_in_callback(void **state)
{
    struct rig *rig = *state;

    start(rig, 10, 10);
    rig->stops_on_accept = true;

    int first = try_tcp(rig);
    int second = try_tcp(rig);

    turns(rig, 3);
    assert_int_equal(rig->count, 1);
    (void)close(first);
    (void)close(second);
}

static void test_addresses_in_use(void **state)
{
    struct rig *rig = *state;
    struct listener_set *other = NULL;
    char why[LISTENER_WHY_BYTES] = "";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    /* Left over from a process that died. */
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);

    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(dead >= 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), 0);
    (void)close(dead);
    start(rig, 10, 10);

    /* Alive: not touched, and the operator is told which it is. */
    assert_int_equal(listener_open(rig->config, why, &other), -EADDRINUSE);
    assert_non_null(strstr(why, rig->path));
    assert_null(other);

    int client = try_unix(rig);

    assert_true(client >= 0);
    (void)close(client);

    /* No socket at all: not ours to remove. */
    listener_destroy(rig->set);
    rig->set = NULL;

    FILE *file = fopen(rig->path, "w");

    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(listener_open(rig->config, why, &other), -EEXIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_in_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses_in_use, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
