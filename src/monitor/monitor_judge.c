/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One round: take what the probes brought (under the lock, copies only), settle who is the primary,
 * judge each server's fitness for its role, publish one picture of it all.
 *
 * A change of primary takes two publications: "none", then the new one, when every worker has
 * acknowledged the first (failover.c). Workers let go of the connections of the old epoch when they
 * see the first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/gtid.h"
#include "weir/util/buf.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "monitor_priv.h"

#define PUBLISH_GAP_US UINT64_C(20000)
#define HURRY_US       UINT64_C(30000000)
#define HAD_TEXT_MAX   ((size_t)64 * 1024)

/* What a round has taken of one server. */
struct taken {
    bool has_good;
    bool is_bad;
    uint32_t bad_count;
    uint32_t report_count;
    int report_err;
    bool is_drain_asked;
    bool has_moved;
    uint32_t weight;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    uint32_t addr_gen;
};

static void event_call(const struct monitor *monitor, enum monitor_event event, bool is_bad,
                       const char *server, const char *text)
{
    if (monitor->calls.on_event) {
        monitor->calls.on_event(monitor->calls.arg, event, is_bad, server, text);
    }
}

static uint32_t count_min(uint32_t count, uint32_t limit)
{
    return count < limit ? count : limit;
}

/* The lock is held. */
static void server_take(struct mon_server *server, struct taken *ret)
{
    ret->has_good = server->has_sample && server->sample.is_good;
    ret->is_bad = server->has_sample && !server->sample.is_good;
    ret->bad_count = server->bad_count;
    ret->report_count = server->report_count;
    ret->report_err = server->report_err;
    ret->is_drain_asked = server->is_drain_asked;
    ret->weight = server->has_set_weight ? server->set_weight : server->weight;
    ret->addr = server->addr;
    ret->addr_len = server->addr_len;
    ret->addr_gen = server->addr_gen;
    ret->has_moved = server->has_moved;
    server->has_moved = false;
    if (server->has_sample) {
        server->incoming = server->sample;
    }
    server->has_sample = false;
    server->bad_count = 0;
    server->report_count = 0;
}

static void hand_on(struct monitor *monitor)
{
    struct mon_event events[MON_EVENTS_MAX];
    const struct catalogue *catalogue = NULL;
    const struct accounts *accounts = NULL;
    uint8_t count = 0;

    (void)pthread_mutex_lock(&monitor->lock);
    catalogue = monitor->new_catalogue;
    accounts = monitor->new_accounts;
    count = monitor->event_count;
    memcpy(events, monitor->events, count * sizeof(events[0]));
    monitor->new_catalogue = NULL;
    monitor->new_accounts = NULL;
    monitor->event_count = 0;
    (void)pthread_mutex_unlock(&monitor->lock);
    for (uint8_t i = 0; i < count; i++) {
        event_call(monitor, events[i].event, events[i].is_bad, events[i].server, events[i].text);
    }
    if (catalogue && monitor->calls.on_catalogue) {
        monitor->calls.on_catalogue(monitor->calls.arg, catalogue);
    } else {
        catalogue_unref(catalogue);
    }
    if (accounts && monitor->calls.on_accounts) {
        monitor->calls.on_accounts(monitor->calls.arg, accounts);
    } else {
        accounts_unref(accounts);
    }
}

/* --- roles --- */

static bool sample_is_replicating(const struct sample *sample)
{
    for (uint8_t i = 0; i < sample->channel_count; i++) {
        if (sample->channels[i].receiver != SAMPLE_THREAD_NO ||
            sample->channels[i].applier != SAMPLE_THREAD_NO) {
            return true;
        }
    }
    return sample->has_more_channels;
}

static void roles_settle(struct monitor *monitor, const struct taken *taken)
{
    struct roles_server inputs[TOPO_SERVERS_MAX];
    struct roles roles;
    int16_t current =
        monitor->failover.primary >= 0 ? monitor->failover.primary : monitor->next_primary;

    for (uint16_t i = 0; i < monitor->server_count; i++) {
        struct mon_server *server = &monitor->servers[i];

        /* Of the addresses of one name only the first can be a configured primary. */
        inputs[i] = (struct roles_server){
            .configured = server->config->role == CONFIG_ROLE_PRIMARY && server->address_number > 0
                              ? CONFIG_ROLE_REPLICA
                              : server->config->role,
            .is_known = server->has_good,
            .is_alive = taken[i].has_good || !server->verdict.is_down,
            .is_writable = server->has_good && server->good.is_writable,
            .is_replicating = server->has_good && sample_is_replicating(&server->good),
        };
    }
    roles_decide(inputs, monitor->server_count, current, &roles);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        struct mon_server *server = &monitor->servers[i];

        if (server->role != roles.role[i] && server->role != TOPO_ROLE_UNKNOWN) {
            event_call(monitor, MONITOR_EV_ROLE, false, server->name,
                       topo_role_text(roles.role[i]));
        }
        if (server->role_why != roles.why[i] && roles.why[i] != TOPO_WHY_NONE) {
            bool is_second = roles.why[i] == TOPO_WHY_SECOND_WRITER;

            event_call(monitor, is_second ? MONITOR_EV_SECOND_WRITER : MONITOR_EV_ROLE, true,
                       server->name, topo_why_text(roles.why[i]));
        }
        server->role = roles.role[i];
        server->role_why = roles.why[i];
    }
    monitor->has_second_writer = roles.has_second_writer;
    monitor->next_primary = roles.primary;
    if (roles.primary >= 0 && monitor->servers[roles.primary].is_unseen) {
        monitor->next_primary = -1; /* whoever answers at that address now has not been asked yet */
    }
}

/* --- from one primary to the next --- */

/* How many workers have not acknowledged the present epoch. */
static uint16_t acks_missing(struct monitor *monitor)
{
    uint16_t missing = 0;

    (void)pthread_mutex_lock(&monitor->lock);
    for (uint32_t i = 0; i < monitor->ack_count; i++) {
        if (monitor->acks[i] < monitor->failover.epoch) {
            missing++;
        }
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    return missing;
}

/* What the primary had when it was seen last is what its successor must have. */
static void primary_left(struct monitor *monitor, int16_t left)
{
    const struct mon_server *server = &monitor->servers[left];

    monitor->last_seen_us = server->verdict.last_good_us;
    memcpy(monitor->old_gtid, server->gtid_seen, sizeof(monitor->old_gtid));
    event_call(monitor, MONITOR_EV_PRIMARY, true, "", "there is no primary");
}

/* All that the primary before is known to have had: as it was probed last, and what it has answered
 * for since, as the workers know it, as far as that can be told. */
static void had_take(struct monitor *monitor, enum gtid_kind kind, struct gtid_set *ret_had)
{
    struct gtid_set acked;

    (void)pthread_mutex_lock(&monitor->lock);
    acked = monitor->acked;
    gtid_init(&monitor->acked);
    (void)pthread_mutex_unlock(&monitor->lock);
    if (gtid_parse(span_of(monitor->old_gtid), kind, &GTID_LIMITS_SERVER, ret_had) >= 0) {
        (void)!gtid_add(ret_had, &acked, &GTID_LIMITS_SERVER);
    }
    gtid_fini(&acked);
}

/* How much of that its successor does not have: replication is asynchronous, and somebody has to say
 * so. 0: nothing, or it cannot be told. MariaDB's own writes since hide as many. */
static uint64_t count_lost(const struct mon_server *server, enum gtid_kind kind,
                           const struct gtid_set *had)
{
    struct gtid_set has;
    uint64_t count = 0;

    gtid_init(&has);
    if (server->has_good && server->good.gtid[0] != '\0' &&
        gtid_parse(span_of(server->good.gtid), kind, &GTID_LIMITS_SERVER, &has) >= 0) {
        count = gtid_count_missing(&has, had);
    }
    gtid_fini(&has);
    return count;
}

static void primary_came(struct monitor *monitor)
{
    const struct mon_server *server = &monitor->servers[monitor->failover.primary];
    enum gtid_kind kind = server->good.flavour == TOPO_FLAVOUR_MARIADB ? GTID_MARIADB : GTID_MYSQL;
    struct gtid_set had;
    struct buf buf = {0};
    char text[512];
    const char *had_text = NULL;
    uint64_t lost = 0;

    gtid_init(&had);
    had_take(monitor, kind, &had);
    lost = count_lost(server, kind, &had);
    if (lost > 0 && gtid_format(&had, &buf, HAD_TEXT_MAX) >= 0) {
        had_text = buf_text(&buf);
    }
    if (had_text == NULL) {
        had_text = monitor->old_gtid;
    }
    gtid_fini(&had);

    event_call(monitor, MONITOR_EV_PRIMARY, false, server->name, "is the primary");
    if (lost > 0) {
        monitor->lost_count += lost;
        (void)snprintf(text, sizeof(text),
                       "%" PRIu64 " transactions of the primary before are not here: that one had "
                       "%.200s, this one has %.200s",
                       lost, had_text, server->good.gtid);
        event_call(monitor, MONITOR_EV_LOST, true, server->name, text);
    }
    monitor->old_gtid[0] = '\0';
    buf_fini(&buf);
}

/* True: there is something to be published. */
static bool primary_step(struct monitor *monitor, const struct taken *taken)
{
    struct failover *failover = &monitor->failover;
    int16_t before = failover->primary;
    uint16_t missing = acks_missing(monitor);
    struct failover_input input = {
        .wanted = monitor->next_primary,
        .has_moved = before >= 0 && taken[before].has_moved,
        .is_acked = missing == 0,
        .now_us = clock_now_us(),
    };
    char text[64];

    switch (failover_step(failover, &input)) {
    case FAILOVER_ACT_NOTHING:
        return false;
    case FAILOVER_ACT_NONE:
        primary_left(monitor, before);
        return true;
    case FAILOVER_ACT_PRIMARY:
        primary_came(monitor);
        return true;
    case FAILOVER_ACT_ALARM:
        monitor->late_workers = missing;
        (void)snprintf(text, sizeof(text), "by %u workers: writes stay on hold", (unsigned)missing);
        event_call(monitor, MONITOR_EV_NOT_ACKED, true, "", text);
        return true;
    case FAILOVER_ACT_CALM:
        monitor->late_workers = 0;
        event_call(monitor, MONITOR_EV_NOT_ACKED, false, "", "all workers have answered");
        return true;
    }
    return false;
}

/* --- verdicts --- */

static bool primary_is_down(const struct monitor *monitor)
{
    return monitor->next_primary < 0 || monitor->servers[monitor->next_primary].verdict.is_down;
}

static struct verdict_health server_health(struct monitor *monitor, struct mon_server *server)
{
    struct verdict_health health = {.why = TOPO_WHY_NONE};

    if (server->role == TOPO_ROLE_PRIMARY) {
        server->lag = (struct lag_verdict){.why = TOPO_WHY_NONE};
        return health;
    }
    server->lag = lag_judge(&monitor->trail, &server->good, primary_is_down(monitor),
                            monitor->now.interval_us);
    health.why = server->role_why != TOPO_WHY_NONE ? server->role_why : server->lag.why;
    health.has_lag = server->lag.why == TOPO_WHY_NONE;
    health.lag_us = server->lag.lag_us;
    return health;
}

static void state_report(struct monitor *monitor, const struct mon_server *server,
                         enum topo_state before, enum topo_why why_before)
{
    const struct verdict *now = &server->verdict;
    char text[DB_ERROR_MAX + 128];
    char lag[48] = "";
    const char *error = "";

    if (before == now->state && why_before == now->why) {
        return;
    }
    if (now->why == TOPO_WHY_LAG) {
        (void)snprintf(lag, sizeof(lag), " (%" PRIu64 " ms)", server->lag.lag_us / 1000);
    }
    if (now->state == TOPO_ST_DOWN) {
        error = server->last_error;
    }
    (void)snprintf(text, sizeof(text), "%s -> %s: %s%s%s%s", topo_state_text(before),
                   topo_state_text(now->state), topo_why_text(now->why), lag, error[0] ? ": " : "",
                   error);
    event_call(monitor, MONITOR_EV_STATE, now->state != TOPO_ST_UP, server->name, text);
}

/* The library's own numbers are 2000 to 2999 and 5000 on: nobody has answered. */
static bool error_is_of_server(unsigned number)
{
    return number >= 1000 && number < 5000 && (number < 2000 || number > 2999);
}

static bool server_judge(struct monitor *monitor, struct mon_server *server,
                         const struct taken *taken)
{
    const struct verdict_conf *conf = &monitor->now.verdict;
    struct verdict *verdict = &server->verdict;
    enum topo_state before = verdict->state;
    enum topo_why why_before = verdict->why;
    uint32_t scale_before = verdict->scale;
    uint32_t weight_before = server->weight_now;
    uint32_t bad = count_min(taken->bad_count, conf->failures + 8);
    uint32_t reports = count_min(taken->report_count, conf->failures + 8);

    for (uint32_t i = 0; i < bad; i++) {
        verdict_on_bad(verdict, conf);
    }
    if (taken->has_good) {
        struct verdict_health health = server_health(monitor, server);

        verdict_on_good(verdict, conf, &health, server->good.begin_us);
        server->last_error[0] = '\0';
    }
    /* After the sample: it was begun before they came in, or another will follow at once. */
    for (uint32_t i = 0; i < reports; i++) {
        verdict_on_report(verdict, conf);
    }
    if (reports > 0 && server->last_error[0] == '\0') {
        (void)snprintf(server->last_error, sizeof(server->last_error), "as a worker saw: %s",
                       err_text(taken->report_err));
    }
    if (taken->is_drain_asked != verdict->is_drained) {
        verdict_drain(verdict, taken->is_drain_asked);
    }
    verdict_tick(verdict, conf, clock_now_us());
    if (taken->has_good || taken->is_bad) {
        server->is_answering = taken->has_good || error_is_of_server(server->incoming.error_number);
    }
    if (taken->is_bad && strcmp(server->last_error, server->incoming.error) != 0) {
        memcpy(server->last_error, server->incoming.error, sizeof(server->last_error));
        event_call(monitor, MONITOR_EV_PROBE_ERROR, true, server->name, server->last_error);
    }
    state_report(monitor, server, before, why_before);
    server->weight_now = taken->weight;
    return taken->has_good || before != verdict->state || why_before != verdict->why ||
           scale_before != verdict->scale || weight_before != server->weight_now;
}

/* --- publication --- */

static void server_fill(const struct mon_server *server, const struct taken *taken,
                        struct topo_server *to)
{
    (void)snprintf(to->name, sizeof(to->name), "%s", server->name);
    to->config_index = server->config_index;
    to->addr = taken->addr;
    to->addr_len = taken->addr_len;
    to->role = server->role;
    to->state = server->verdict.state;
    to->why = server->verdict.why;
    to->weight = server->weight_now;
    to->weight_eff = server->weight_now * server->verdict.scale;
    to->last_good_us = server->verdict.last_good_us;
    to->addr_gen = taken->addr_gen;
    to->is_answering = server->is_answering;
    if (!server->has_good) {
        return;
    }
    to->lag_us = server->lag.why == TOPO_WHY_NONE ? server->lag.lag_us : TOPO_LAG_UNKNOWN;
    to->lag_resolution_us = server->lag.resolution_us;
    if (server->role == TOPO_ROLE_REPLICA) {
        to->lag_source = server->lag.source;
        memcpy(to->lag_by_us, server->lag.by_us, sizeof(to->lag_by_us));
    }
    to->flavour = server->good.flavour;
    to->version = server->good.version;
    memcpy(to->version_text, server->good.version_text, sizeof(to->version_text));
    memcpy(to->version_comment, server->good.version_comment, sizeof(to->version_comment));
    to->max_connections = server->good.max_connections;
    to->has_defaults = true;
    to->defaults = server->good.defaults;
}

static void publish(struct monitor *monitor, const struct taken *taken)
{
    struct topo *topo = topo_create(monitor->server_count);

    if (!topo) {
        return; /* the next round tries again; workers see samples grow old */
    }
    topo->snap.generation = ++monitor->generation;
    topo->epoch = monitor->failover.epoch;
    topo->primary = monitor->failover.primary;
    topo->second_writer = monitor->has_second_writer;
    topo->late_workers = monitor->late_workers;
    topo->last_seen_us = monitor->last_seen_us;
    topo->none_us = monitor->failover.none_us;
    topo->lost_count = monitor->lost_count;
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        server_fill(&monitor->servers[i], &taken[i], &topo->servers[i]);
    }
    if (monitor->calls.on_topo) {
        monitor->calls.on_topo(monitor->calls.arg, topo);
    } else {
        topo_unref(topo);
    }
}

/* Statements wait for a primary: look for it as often as probes may be made. The lock is held. */
static void hurry(struct monitor *monitor)
{
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        monitor->servers[i].is_probe_due = true;
    }
    (void)pthread_cond_broadcast(&monitor->probe_wake);
}

void monitor_judge(struct monitor *monitor, bool is_publish_forced)
{
    struct taken taken[TOPO_SERVERS_MAX] = {0};
    bool is_news = is_publish_forced;

    (void)pthread_mutex_lock(&monitor->lock);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        server_take(&monitor->servers[i], &taken[i]);
    }
    monitor->now = monitor->tuning;
    is_news = is_news || monitor->is_retuned;
    monitor->is_retuned = false;
    monitor->is_work = false;
    (void)pthread_mutex_unlock(&monitor->lock);
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        struct mon_server *server = &monitor->servers[i];

        if (taken[i].has_moved) {
            server->has_good = false;
            server->is_unseen = true;
            server->gtid_seen[0] = '\0';
            is_news = true;
        }
        if (taken[i].has_good) {
            server->good = server->incoming;
            server->has_good = true;
            server->is_unseen = false;
            if (server->good.gtid[0] != '\0') {
                memcpy(server->gtid_seen, server->good.gtid, sizeof(server->gtid_seen));
            }
        }
    }
    roles_settle(monitor, taken);
    if (monitor->next_primary >= 0 && taken[monitor->next_primary].has_good) {
        const struct sample *good = &monitor->servers[monitor->next_primary].good;

        lag_trail_add(&monitor->trail, good);
        (void)pthread_mutex_lock(&monitor->lock);
        memcpy(monitor->mark.gtid, good->gtid, sizeof(monitor->mark.gtid));
        monitor->mark.at_us = good->begin_us;
        monitor->mark.server = monitor->next_primary;
        (void)pthread_mutex_unlock(&monitor->lock);
    }
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        is_news = server_judge(monitor, &monitor->servers[i], &taken[i]) || is_news;
        if (taken[i].has_good) {
            monitor_witness(monitor, &monitor->servers[i]);
        }
    }
    is_news = primary_step(monitor, taken) || is_news;
    (void)pthread_mutex_lock(&monitor->lock);
    if (monitor->failover.primary < 0 && monitor->failover.none_us != 0 &&
        clock_now_us() < monitor->failover.none_us + HURRY_US) {
        hurry(monitor);
    }
    if (monitor->load_primary != monitor->failover.primary) {
        int16_t primary = monitor->failover.primary;
        bool is_ready = primary >= 0 && monitor->servers[primary].has_good;

        monitor->load_primary = is_ready ? primary : -1;
        (void)pthread_cond_broadcast(&monitor->probe_wake);
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    if (is_news) {
        publish(monitor, taken);
    }
    hand_on(monitor);
}

void *monitor_verdict_thread(void *arg)
{
    struct monitor *monitor = arg;
    uint64_t last_us = 0;

    (void)pthread_mutex_lock(&monitor->lock);
    while (!monitor->is_stopping) {
        uint64_t now_us = clock_now_us();
        bool is_switching = monitor->failover.primary != monitor->next_primary;
        uint64_t due_us =
            last_us +
            (monitor->is_work || is_switching ? PUBLISH_GAP_US : monitor->tuning.interval_us / 2);

        if (now_us < due_us) {
            monitor_wait(monitor, &monitor->verdict_wake, due_us);
            continue;
        }
        (void)pthread_mutex_unlock(&monitor->lock);
        last_us = now_us;
        monitor_judge(monitor, false);
        (void)pthread_mutex_lock(&monitor->lock);
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    monitor_thread_ends(monitor);
    return NULL;
}
