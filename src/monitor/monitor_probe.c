/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "monitor_priv.h"
#include "probe_priv.h"

/* A probe thread's own. */
struct prober {
    struct mon_server *server;
    struct db *db; /* owned, NULL: not connected */
    struct probe_state state;
    struct probe_mark mark;
    uint64_t resolved_us;
    bool is_resolve_reported;
};

#define RESOLVE_EVERY_US UINT64_C(30000000)
#define PROBE_GAP_MIN_US UINT64_C(50000) /* however often workers report failures */

static bool addr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Under the lock: does another address of this name use it already? */
static bool addr_is_taken(const struct mon_server *server, const struct sockaddr_storage *addr)
{
    const struct monitor *monitor = server->monitor;

    for (uint16_t i = 0; i < monitor->server_count; i++) {
        const struct mon_server *other = &monitor->servers[i];

        if (other != server && other->config_index == server->config_index && other->addr_len > 0 &&
            addr_equal(&other->addr, addr)) {
            return true;
        }
    }
    return false;
}

/*
 * Looks the name up again: before each new connection, as a failover may have moved it, and at most
 * that often else. The address in use is kept while the name still has it; a look-up that fails
 * keeps what was known. Returns whether the address has changed.
 */
static bool prober_resolve(struct prober *prober)
{
    struct mon_server *server = prober->server;
    struct monitor *monitor = server->monitor;
    struct sockaddr_storage addrs[TOPO_SERVERS_MAX];
    socklen_t lens[TOPO_SERVERS_MAX];
    char error[DB_ERROR_MAX];
    int count = monitor_resolve(&server->config->address, addrs, lens, TOPO_SERVERS_MAX, error);
    int found = -1;
    bool is_changed = false;

    prober->resolved_us = clock_now_us();
    if (count < 0) {
        if (!prober->is_resolve_reported) {
            monitor_event_post(monitor, MONITOR_EV_RESOLVE_ERROR, true, server->name, error);
        }
        prober->is_resolve_reported = true;
        return false;
    }
    prober->is_resolve_reported = false;
    (void)pthread_mutex_lock(&monitor->lock);
    for (int i = 0; i < count; i++) {
        if (server->addr_len > 0 && addr_equal(&addrs[i], &server->addr)) {
            found = i;
            break;
        }
        if (found < 0 && !addr_is_taken(server, &addrs[i])) {
            found = i;
        }
    }
    if (found >= 0 && (server->addr_len == 0 || !addr_equal(&addrs[found], &server->addr))) {
        server->addr = addrs[found];
        server->addr_len = lens[found];
        is_changed = true;
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    return is_changed;
}

static bool prober_connect(struct prober *prober, struct sample *sample)
{
    struct mon_server *server = prober->server;
    struct db_target target;

    if (prober->server->config->address.kind == CONFIG_ADDR_TCP) {
        prober_resolve(prober);
    }
    (void)pthread_mutex_lock(&server->monitor->lock);
    sample->addr = server->addr;
    sample->addr_len = server->addr_len;
    (void)pthread_mutex_unlock(&server->monitor->lock);
    if (sample->addr_len == 0) {
        (void)snprintf(sample->error, sizeof(sample->error), "its name has no address");
        return false;
    }
    monitor_target(server, &sample->addr, &target);
    memset(&prober->state, 0, sizeof(prober->state));
    prober->state.heartbeat = server->monitor->config->monitor.heartbeat;
    return db_open(&target, &prober->db, sample->error, &sample->error_number) == 0;
}

static void prober_probe(struct prober *prober, struct sample *sample)
{
    struct mon_server *server = prober->server;

    memset(sample, 0, sizeof(*sample));
    sample->begin_us = clock_now_us();
    if (prober->db && server->config->address.kind == CONFIG_ADDR_TCP &&
        sample->begin_us > prober->resolved_us + RESOLVE_EVERY_US && prober_resolve(prober)) {
        db_close(prober->db);
        prober->db = NULL;
    }
    if (!prober->db && !prober_connect(prober, sample)) {
        return;
    }
    (void)pthread_mutex_lock(&server->monitor->lock);
    sample->addr = server->addr;
    sample->addr_len = server->addr_len;
    prober->mark = server->monitor->mark;
    (void)pthread_mutex_unlock(&server->monitor->lock);
    if (!probe_run(prober->db, &prober->state, &prober->mark, sample)) {
        db_close(prober->db);
        prober->db = NULL;
    }
}

/* The lock is held. */
static void sample_post(struct mon_server *server, const struct sample *sample)
{
    server->sample = *sample;
    server->has_sample = true;
    server->is_probed = true;
    if (!sample->is_good) {
        server->bad_count++;
    }
    server->monitor->is_work = true;
    (void)pthread_cond_signal(&server->monitor->verdict_wake);
}

void *monitor_probe_thread(void *arg)
{
    struct mon_server *server = arg;
    struct monitor *monitor = server->monitor;
    struct prober prober = {.server = server, .db = NULL};
    struct sample sample;
    uint64_t due_us = clock_now_us();
    uint64_t earliest_us = due_us;

    db_thread_init();
    (void)pthread_mutex_lock(&monitor->lock);
    while (!monitor->is_stopping) {
        uint64_t begin_us = clock_now_us();
        bool is_empty = server->is_spare && !server->is_found;
        uint64_t at_us = server->is_probe_due && earliest_us < due_us ? earliest_us : due_us;

        if (is_empty || begin_us < at_us) {
            monitor_wait(monitor, &monitor->probe_wake,
                         is_empty ? begin_us + RESOLVE_EVERY_US : at_us);
            continue;
        }
        server->is_probe_due = false;
        due_us = begin_us + monitor->tuning.interval_us;
        (void)pthread_mutex_unlock(&monitor->lock);
        earliest_us = begin_us + PROBE_GAP_MIN_US;
        prober_probe(&prober, &sample);
        (void)pthread_mutex_lock(&monitor->lock);
        sample_post(server, &sample);
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    db_close(prober.db);
    db_thread_fini();
    return NULL;
}
