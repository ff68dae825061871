/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/monitor/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "monitor_priv.h"

int monitor_library_init(void)
{
    return db_library_init();
}

void monitor_library_fini(void)
{
    db_library_fini();
}

const char *monitor_event_text(enum monitor_event event)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MONITOR_EVENTS(X)
#undef X
    };
    return texts[event];
}

bool monitor_wait(struct monitor *monitor, pthread_cond_t *cond, uint64_t until_us)
{
    struct timespec until = {
        .tv_sec = (time_t)(until_us / CLOCK_US_PER_SECOND),
        .tv_nsec = (long)(until_us % CLOCK_US_PER_SECOND * 1000),
    };

    if (!monitor->is_stopping) {
        (void)pthread_cond_timedwait(cond, &monitor->lock, &until);
    }
    return !monitor->is_stopping;
}

void monitor_event_post(struct monitor *monitor, enum monitor_event event, bool is_bad,
                        const char *server, const char *text)
{
    (void)pthread_mutex_lock(&monitor->lock);
    if (monitor->event_count < MON_EVENTS_MAX) {
        struct mon_event *slot = &monitor->events[monitor->event_count++];

        slot->event = event;
        slot->is_bad = is_bad;
        (void)snprintf(slot->server, sizeof(slot->server), "%s", server);
        (void)snprintf(slot->text, sizeof(slot->text), "%s", text);
    }
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_target(const struct mon_server *server, const struct sockaddr_storage *addr,
                    struct db_target *ret_target)
{
    struct monitor *monitor = server->monitor;
    uint64_t timeout_us = 0;

    (void)pthread_mutex_lock(&monitor->lock);
    timeout_us = monitor->tuning.timeout_us;
    (void)pthread_mutex_unlock(&monitor->lock);
    db_target_server(monitor->config, server->config, server->has_siblings, addr, timeout_us,
                     ret_target);
}

static void server_init(struct monitor *monitor, uint16_t index, uint16_t config_index,
                        uint8_t number, bool has_siblings)
{
    struct mon_server *server = &monitor->servers[index];

    server->monitor = monitor;
    server->config = &monitor->config->servers[config_index];
    server->index = index;
    server->config_index = config_index;
    server->weight = server->config->weight;
    server->address_number = number;
    server->has_siblings = has_siblings;
    if (has_siblings) {
        (void)snprintf(server->name, sizeof(server->name), "%s#%u", server->config->name,
                       (unsigned)number + 1);
    } else {
        (void)snprintf(server->name, sizeof(server->name), "%s", server->config->name);
    }
    verdict_init(&server->verdict);
}

/* The first address of every name takes the place of the name's entry in the config; further ones
 * come behind all entries. */
static int servers_create(struct monitor *monitor)
{
    const struct config *config = monitor->config;
    uint16_t count = (uint16_t)config->server_count;

    if (config->server_count > TOPO_SERVERS_MAX) {
        return -WR_E_LIMIT;
    }
    monitor->servers = calloc(TOPO_SERVERS_MAX, sizeof(monitor->servers[0]));
    if (!monitor->servers) {
        return -ENOMEM;
    }
    for (uint16_t i = 0; i < config->server_count; i++) {
        struct sockaddr_storage addrs[TOPO_SERVERS_MAX];
        socklen_t lens[TOPO_SERVERS_MAX];
        char error[DB_ERROR_MAX];
        int found = monitor_names_ask(monitor, i, addrs, lens, error);

        server_init(monitor, i, i, 0, found > 1);
        if (found < 0) {
            monitor_event_post(monitor, MONITOR_EV_RESOLVE_ERROR, true, monitor->servers[i].name,
                               error);
            continue;
        }
        monitor->servers[i].addr = addrs[0];
        monitor->servers[i].addr_len = lens[0];
        for (int k = 1; k < found && count < TOPO_SERVERS_MAX; k++, count++) {
            server_init(monitor, count, i, (uint8_t)k, true);
            monitor->servers[count].addr = addrs[k];
            monitor->servers[count].addr_len = lens[k];
        }
    }
    monitor->server_count = count;
    return 0;
}

/* Places behind all servers, without an address until one is found. They have the settings of the
 * first server of the file. */
static void spares_create(struct monitor *monitor)
{
    const struct config *config = monitor->config;

    for (uint32_t i = 0;
         i < config->monitor.aurora_readers && monitor->server_count < TOPO_SERVERS_MAX; i++) {
        struct mon_server *server = &monitor->servers[monitor->server_count];

        server->monitor = monitor;
        server->index = monitor->server_count++;
        server->is_spare = true;
        server->is_probed = true; /* nobody waits for it */
        server->spare_config = config->servers[0];
        server->spare_config.role = CONFIG_ROLE_AUTO;
        server->spare_config.address = (struct config_addr){.kind = CONFIG_ADDR_NONE};
        server->config = &server->spare_config;
        server->weight = server->config->weight;
        (void)snprintf(server->name, sizeof(server->name), "reader+%" PRIu32, i + 1);
        verdict_init(&server->verdict);
    }
}

static void locks_init(struct monitor *monitor)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&monitor->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&monitor->verdict_wake, &attr);
    (void)pthread_cond_init(&monitor->probe_wake, &attr);
    (void)pthread_cond_init(&monitor->names_wake, &attr);
    (void)pthread_cond_init(&monitor->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void monitor_tuning_fill(const struct config *config, struct mon_tuning *ret_tuning)
{
    const struct config_monitor *settings = &config->monitor;

    *ret_tuning = (struct mon_tuning){
        .interval_us = settings->interval_us,
        .timeout_us = settings->timeout_us,
        .catalogue_interval_us = settings->catalogue_interval_us,
        .position_interval_us = position_interval_us(config),
        .verdict =
            {
                .stale_us = settings->interval_us * ((uint64_t)settings->failures + 1),
                .max_lag_us = settings->max_lag_us,
                .recover_lag_us = settings->max_lag_us * settings->lag_recover_percent / 100,
                .failures = settings->failures,
                .recover = settings->recover,
            },
    };
}

void monitor_retune(struct monitor *monitor, const struct config *config)
{
    (void)pthread_mutex_lock(&monitor->lock);
    monitor_tuning_fill(config, &monitor->tuning);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        struct mon_server *server = &monitor->servers[i];

        uint32_t weight = config->servers[server->config_index].weight;

        if (weight != server->weight) { /* the newer word, and it is the file's */
            server->has_set_weight = false;
        }
        server->weight = weight;
        server->is_probe_due = true; /* not only when the old interval is over */
    }
    monitor->is_retuned = true;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

int monitor_create(struct config *config, const struct monitor_calls *calls,
                   struct monitor **ret_monitor)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    int rc = 0;

    if (!monitor) {
        return -ENOMEM;
    }
    locks_init(monitor);
    monitor->config = config_ref(config);
    monitor->calls = *calls;
    failover_init(&monitor->failover);
    monitor->next_primary = -1;
    monitor->load_primary = -1;
    monitor_tuning_fill(config, &monitor->tuning);
    monitor->now = monitor->tuning;
    lag_trail_init(&monitor->trail);
    rc = position_board_init(&monitor->board);
    if (rc == 0) {
        rc = servers_create(monitor);
    }
    if (rc < 0) {
        monitor_destroy(monitor);
        return rc;
    }
    spares_create(monitor);
    *ret_monitor = monitor;
    return 0;
}

static int thread_start(struct monitor *monitor, struct mon_thread *thread, void *(*run)(void *),
                        void *arg)
{
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->running++;
    (void)pthread_mutex_unlock(&monitor->lock);
    thread->is_started = pthread_create(&thread->thread, NULL, run, arg) == 0;
    if (!thread->is_started) {
        monitor_thread_ends(monitor);
    }
    return thread->is_started ? 0 : -EAGAIN;
}

void monitor_thread_ends(struct monitor *monitor)
{
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->running--;
    (void)pthread_cond_signal(&monitor->ended);
    (void)pthread_mutex_unlock(&monitor->lock);
}

int monitor_start(struct monitor *monitor)
{
    monitor_judge(monitor, true);

    int rc = thread_start(monitor, &monitor->verdict, monitor_verdict_thread, monitor);

    for (uint16_t i = 0; i < monitor->server_count && rc == 0; i++) {
        struct mon_server *server = &monitor->servers[i];

        rc = thread_start(monitor, &server->probing, monitor_probe_thread, server);
    }
    for (uint16_t i = 0; i < monitor->server_count && rc == 0; i++) {
        struct mon_server *server = &monitor->servers[i];

        rc = thread_start(monitor, &server->polling, monitor_position_thread, server);
    }
    if (rc == 0) {
        rc = thread_start(monitor, &monitor->loader, monitor_loader_thread, monitor);
    }
    if (rc == 0) {
        rc = thread_start(monitor, &monitor->names, monitor_names_thread, monitor);
    }
    if (rc < 0) {
        monitor_stop(monitor);
    }
    return rc;
}

static void stop_tell(struct monitor *monitor)
{
    monitor->is_stopping = true;
    (void)pthread_cond_broadcast(&monitor->verdict_wake);
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_cond_broadcast(&monitor->names_wake);
}

static void thread_join(struct mon_thread *thread)
{
    if (thread->is_started) {
        (void)pthread_join(thread->thread, NULL);
        thread->is_started = false;
    }
}

void monitor_stop(struct monitor *monitor)
{
    (void)pthread_mutex_lock(&monitor->lock);
    stop_tell(monitor);
    (void)pthread_mutex_unlock(&monitor->lock);
    thread_join(&monitor->verdict);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        thread_join(&monitor->servers[i].probing);
        thread_join(&monitor->servers[i].polling);
    }
    thread_join(&monitor->loader);
    thread_join(&monitor->names);
}

bool monitor_stop_within(struct monitor *monitor, uint64_t most_us)
{
    uint64_t end_us = clock_now_us() + most_us;
    const struct timespec until = {
        .tv_sec = (time_t)(end_us / CLOCK_US_PER_SECOND),
        .tv_nsec = (long)(end_us % CLOCK_US_PER_SECOND * 1000),
    };
    bool is_over = false;

    (void)pthread_mutex_lock(&monitor->lock);
    stop_tell(monitor);
    while (monitor->running > 0 && clock_now_us() < end_us) {
        (void)pthread_cond_timedwait(&monitor->ended, &monitor->lock, &until);
    }
    is_over = monitor->running == 0;
    (void)pthread_mutex_unlock(&monitor->lock);
    if (is_over) {
        monitor_stop(monitor);
    }
    return is_over;
}

void monitor_destroy(struct monitor *monitor)
{
    if (!monitor) {
        return;
    }
    monitor_stop(monitor);
    catalogue_unref(monitor->new_catalogue);
    accounts_unref(monitor->new_accounts);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        position_set_unref(monitor->servers[i].poll.now.executed);
        position_set_unref(monitor->servers[i].poll.now.replicated);
    }
    position_board_fini(&monitor->board);
    gtid_fini(&monitor->acked);
    free(monitor->servers);
    config_unref(monitor->config);
    (void)pthread_cond_destroy(&monitor->verdict_wake);
    (void)pthread_cond_destroy(&monitor->probe_wake);
    (void)pthread_cond_destroy(&monitor->names_wake);
    (void)pthread_cond_destroy(&monitor->ended);
    (void)pthread_mutex_destroy(&monitor->lock);
    free(monitor);
}

void monitor_report_failure(struct monitor *monitor, uint16_t server, int err)
{
    if (server >= monitor->server_count) {
        return;
    }
    (void)pthread_mutex_lock(&monitor->lock);
    if (monitor->servers[server].report_count < UINT32_MAX) {
        monitor->servers[server].report_count++;
    }
    monitor->servers[server].report_err = err;
    monitor->servers[server].is_probe_due = true;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_suspect(struct monitor *monitor, uint16_t server)
{
    if (server >= monitor->server_count) {
        return;
    }
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->servers[server].is_probe_due = true;
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_acks_start(struct monitor *monitor, uint32_t count, uint64_t epoch)
{
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->ack_count = count < MONITOR_WORKERS_MAX ? count : MONITOR_WORKERS_MAX;
    for (uint32_t i = 0; i < monitor->ack_count; i++) {
        monitor->acks[i] = epoch;
    }
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_ack(struct monitor *monitor, uint32_t worker, uint64_t epoch)
{
    (void)pthread_mutex_lock(&monitor->lock);
    if (worker < monitor->ack_count && monitor->acks[worker] < epoch) {
        monitor->acks[worker] = epoch;
        monitor->is_work = true;
        (void)pthread_cond_signal(&monitor->verdict_wake);
    }
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_acked(struct monitor *monitor, const struct gtid_set *acked)
{
    (void)pthread_mutex_lock(&monitor->lock);
    if (gtid_add(&monitor->acked, acked, &GTID_LIMITS_SERVER) < 0) {
        gtid_clear(&monitor->acked); /* of another flavour, or no memory: only what probes saw */
    }
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_poke_catalogue(struct monitor *monitor)
{
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->is_load_due = true;
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_drain(struct monitor *monitor, uint16_t server, bool is_drained)
{
    if (server >= monitor->server_count) {
        return;
    }
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->servers[server].is_drain_asked = is_drained;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

void monitor_set_weight(struct monitor *monitor, uint16_t server, uint32_t weight)
{
    if (server >= monitor->server_count) {
        return;
    }
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->servers[server].has_set_weight = weight != MONITOR_WEIGHT_CONFIGURED;
    monitor->servers[server].set_weight = weight;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
}

static bool all_probed(const struct monitor *monitor)
{
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        /* Taken by the verdict thread, too: then it has been published. */
        if (!monitor->servers[i].is_probed || monitor->servers[i].has_sample) {
            return false;
        }
    }
    return true;
}

bool monitor_wait_first(struct monitor *monitor, uint64_t timeout_us)
{
    uint64_t end_us = clock_now_us() + timeout_us;
    bool is_done = false;

    (void)pthread_mutex_lock(&monitor->lock);
    while (!(is_done = all_probed(monitor)) && clock_now_us() < end_us) {
        if (!monitor_wait(monitor, &monitor->probe_wake, clock_now_us() + 5000)) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    return is_done;
}
