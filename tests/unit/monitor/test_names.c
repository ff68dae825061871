/* SPDX-License-Identifier: Apache-2.0 */
/* Names that move, with a resolver of the test's own: no server is needed, none answers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/util/clock.h"

#define SECONDS 20

struct rig {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct topo *topo; /* counted: the newest */
    uint8_t last_byte;       /* of the address that the name has now; 0: it has none */
    unsigned moves;          /* events */
    unsigned failures;
    unsigned questions;
};

static void on_topo(void *arg, const struct topo *topo)
{
    struct rig *rig = arg;

    (void)pthread_mutex_lock(&rig->lock);
    topo_unref(rig->topo);
    rig->topo = topo;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void on_event(void *arg, enum monitor_event event, bool is_bad, const char *server,
                     const char *text)
{
    struct rig *rig = arg;

    (void)is_bad;
    (void)server;
    (void)text;
    (void)pthread_mutex_lock(&rig->lock);
    rig->moves += event == MONITOR_EV_ADDRESS;
    rig->failures += event == MONITOR_EV_RESOLVE_ERROR;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static int resolve(void *arg, const struct config_addr *address, struct sockaddr_storage *ret_addrs,
                   socklen_t *ret_lens, size_t cap, char *error, size_t error_bytes)
{
    struct rig *rig = arg;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    uint8_t last = 0;

    assert_true(cap > 0);
    (void)pthread_mutex_lock(&rig->lock);
    last = rig->last_byte;
    rig->questions++;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
    if (last == 0) {
        (void)snprintf(error, error_bytes, "no such name");
        return -2;
    }
    in.sin_addr.s_addr = htonl(0x7f000000U | last);
    memset(&ret_addrs[0], 0, sizeof(ret_addrs[0]));
    memcpy(&ret_addrs[0], &in, sizeof(in));
    ret_lens[0] = sizeof(in);
    return 1;
}

static void set_address(struct rig *rig, uint8_t last_byte)
{
    (void)pthread_mutex_lock(&rig->lock);
    rig->last_byte = last_byte;
    (void)pthread_mutex_unlock(&rig->lock);
}

typedef bool (*is_so_fn)(const struct rig *rig);

static void wait_until(struct rig *rig, is_so_fn is_so)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SECONDS;
    (void)pthread_mutex_lock(&rig->lock);
    while (!is_so(rig)) {
        if (pthread_cond_timedwait(&rig->changed, &rig->lock, &until) != 0) {
            fail_msg("not within %d s", SECONDS);
        }
    }
    (void)pthread_mutex_unlock(&rig->lock);
}

static uint8_t last_byte_of(const struct topo_server *server)
{
    struct sockaddr_in in;

    memcpy(&in, &server->addr, sizeof(in));
    return (uint8_t)(ntohl(in.sin_addr.s_addr) & 0xffU);
}

static bool is_primary(const struct rig *rig)
{
    return rig->topo != NULL && rig->topo->primary == 0 && rig->topo->epoch == 1 &&
           last_byte_of(&rig->topo->servers[0]) == 2 && rig->topo->servers[0].addr_gen == 0;
}

/* The configured primary has moved: there is none until it has answered at its new address. */
static bool has_moved(const struct rig *rig)
{
    return rig->topo->primary == -1 && rig->topo->epoch == 2 &&
           last_byte_of(&rig->topo->servers[0]) == 3 && rig->topo->servers[0].addr_gen == 1 &&
           rig->moves == 1;
}

static bool has_failed(const struct rig *rig)
{
    return rig->failures == 1;
}

static struct config *config_of(void)
{
    static const char text[] = "servers: [{name: db, address: \"db.test:1\", role: primary}]\n"
                               "monitor: {user: m, password: p, interval: 50ms, timeout: 200ms}\n"
                               "listeners: [{address: \"127.0.0.1:3310\"}]\n";
    struct config *config = NULL;
    struct config_errors errs = {0};

    assert_int_equal(
        config_parse("names.yaml", (const uint8_t *)text, sizeof(text) - 1, &config, &errs), 0);
    return config;
}

static void test_moves(void **state)
{
    struct rig rig = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .last_byte = 2};
    struct monitor_calls calls = {
        .on_topo = on_topo, .on_event = on_event, .resolve = resolve, .arg = &rig};
    struct config *config = config_of();
    struct monitor *monitor = NULL;

    (void)state;
    assert_int_equal(monitor_create(config, &calls, &monitor), 0);
    assert_int_equal(monitor_start(monitor), 0);
    wait_until(&rig, is_primary);
    set_address(&rig, 0); /* a look-up that fails changes nothing */
    wait_until(&rig, has_failed);
    wait_until(&rig, is_primary);
    set_address(&rig, 3);
    wait_until(&rig, has_moved);
    monitor_stop(monitor);
    monitor_destroy(monitor);
    config_unref(config);
    topo_unref(rig.topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
    };
    int failed = 0;

    if (monitor_library_init() < 0) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    monitor_library_fini();
    return failed;
}
