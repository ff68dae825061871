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
    struct sockaddr_storage addr; /* of db */
};

#define SPARE_WAIT_US    UINT64_C(30000000) /* woken when it gets an address */
#define PROBE_GAP_MIN_US UINT64_C(50000)    /* however often workers report failures */

static bool prober_connect(struct prober *prober, struct sample *sample)
{
    struct mon_server *server = prober->server;
    struct db_target target;

    if (sample->addr_len == 0) {
        (void)snprintf(sample->error, sizeof(sample->error), "its name has no address");
        return false;
    }
    monitor_target(server, &sample->addr, &target);
    memset(&prober->state, 0, sizeof(prober->state));
    prober->state.heartbeat = server->monitor->config->monitor.heartbeat;
    prober->addr = sample->addr;
    return db_open(&target, &prober->db, sample->error, &sample->error_number) == 0;
}

static void prober_probe(struct prober *prober, struct sample *sample)
{
    struct mon_server *server = prober->server;

    memset(sample, 0, sizeof(*sample));
    sample->begin_us = clock_now_us();
    (void)pthread_mutex_lock(&server->monitor->lock);
    sample->addr = server->addr;
    sample->addr_len = server->addr_len;
    prober->mark = server->monitor->mark;
    (void)pthread_mutex_unlock(&server->monitor->lock);
    if (prober->db && memcmp(&prober->addr, &sample->addr, sizeof(prober->addr)) != 0) {
        db_close(prober->db); /* its name has moved */
        prober->db = NULL;
    }
    if (!prober->db && !prober_connect(prober, sample)) {
        return;
    }
    if (!probe_run(prober->db, &prober->state, &prober->mark, sample)) {
        db_close(prober->db);
        prober->db = NULL;
    }
}

/* The lock is held. A sample of an address that the name has left says nothing. */
static void sample_post(struct mon_server *server, const struct sample *sample)
{
    struct monitor *monitor = server->monitor;

    if (!sample->is_good) {
        monitor->is_names_due = true;
        (void)pthread_cond_signal(&monitor->names_wake);
    }
    if (sample->addr_len != server->addr_len ||
        memcmp(&sample->addr, &server->addr, sizeof(sample->addr)) != 0) {
        server->is_probe_due = true;
        return;
    }
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
                         is_empty ? begin_us + SPARE_WAIT_US : at_us);
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
    monitor_thread_ends(monitor);
    return NULL;
}
