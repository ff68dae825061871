/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: told by the difference between two pictures of the servers, and by what operators do. A
 * picture that came and went between two mails leaves no event; the monitor's own log has it, as it
 * has every change of a server's state, with the error that caused it: those are not logged twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "weir/backend/topo.h"
#include "weir/util/attr.h"
#include "weir/util/clock.h"
#include "weir/util/metric.h"

#include "control_priv.h"

static const enum metric_event COUNTED[] = {
    [EVENT_START] = METRIC_EVENT_START,
    [EVENT_SHUTDOWN] = METRIC_EVENT_SHUTDOWN,
    [EVENT_PRIMARY_FOUND] = METRIC_EVENT_PRIMARY_FOUND,
    [EVENT_PRIMARY_LOST] = METRIC_EVENT_PRIMARY_LOST,
    [EVENT_SWITCH] = METRIC_EVENT_SWITCH,
    [EVENT_SPLIT_BRAIN] = METRIC_EVENT_SPLIT_BRAIN,
    [EVENT_SPLIT_BRAIN_OVER] = METRIC_EVENT_SPLIT_BRAIN_OVER,
    [EVENT_LOST] = METRIC_EVENT_LOST,
    [EVENT_NOT_ACKED] = METRIC_EVENT_NOT_ACKED,
    [EVENT_SERVER_UP] = METRIC_EVENT_SERVER_UP,
    [EVENT_SERVER_DOWN] = METRIC_EVENT_SERVER_DOWN,
    [EVENT_SERVER_LAGGING] = METRIC_EVENT_SERVER_LAGGING,
    [EVENT_DRAIN] = METRIC_EVENT_DRAIN,
    [EVENT_UNDRAIN] = METRIC_EVENT_UNDRAIN,
    [EVENT_WEIGHT] = METRIC_EVENT_WEIGHT,
    [EVENT_KILL] = METRIC_EVENT_KILL,
    [EVENT_REDIS_UP] = METRIC_EVENT_REDIS_UP,
    [EVENT_REDIS_DOWN] = METRIC_EVENT_REDIS_DOWN,
    [EVENT_WEIR_FOUND] = METRIC_EVENT_WEIR_FOUND,
    [EVENT_WEIR_LEFT] = METRIC_EVENT_WEIR_LEFT,
    [EVENT_WEIR_SILENT] = METRIC_EVENT_WEIR_SILENT,
    [EVENT_WEIR_FORGOTTEN] = METRIC_EVENT_WEIR_FORGOTTEN,
    [EVENT_RELOAD] = METRIC_EVENT_RELOAD,
    [EVENT_RELOAD_FAILED] = METRIC_EVENT_RELOAD_FAILED,
};

_Static_assert(WR_ARRAY_LEN(COUNTED) == METRIC_EVENT_COUNT_, "a metric for each kind of event");

static uint64_t wall_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_bad(enum event_kind kind)
{
    static const bool bad[] = {
#define X(name, text, is_bad) [EVENT_##name] = (is_bad),
        EVENT_KINDS(X)
#undef X
    };

    return bad[kind];
}

static void event_keep(struct control *control, enum event_kind kind, const char *server,
                       const char *text)
{
    events_add(control->events, wall_ms(), kind, server, text);
    metric_inc(control->metrics, METRIC_EVENTS, COUNTED[kind]);
}

void control_event(struct control *control, enum event_kind kind, const char *server,
                   const char *text)
{
    struct log_ctx log = control->log;

    event_keep(control, kind, server, text);
    log.server = server[0] == '\0' ? NULL : server;
    if (is_bad(kind)) {
        log_warn(&log, event_kind_text(kind), "%s", text);
    } else {
        log_info(&log, event_kind_text(kind), "%s", text);
    }
}

/* From the old primary's last good sample to "there is none", and from there to now. */
static uint64_t detect_ms(const struct topo *topo)
{
    return topo->none_us > topo->last_seen_us
               ? (topo->none_us - topo->last_seen_us) / CLOCK_US_PER_MS
               : 0;
}

static uint64_t heal_ms(const struct topo *topo)
{
    uint64_t now_us = clock_now_us();

    return topo->none_us != 0 && now_us > topo->none_us ? (now_us - topo->none_us) / CLOCK_US_PER_MS
                                                        : 0;
}

static void heal_gauges(struct control *control, const struct topo *topo)
{
    metric_set(control->metrics, METRIC_DETECT_US, METRIC_NONE,
               (int64_t)(detect_ms(topo) * CLOCK_US_PER_MS));
    metric_set(control->metrics, METRIC_HEAL_US, METRIC_NONE,
               (int64_t)(heal_ms(topo) * CLOCK_US_PER_MS));
}

static void failover_event(struct control *control, const struct topo *old, const struct topo *topo)
{
    uint64_t lost_before = old == NULL ? 0 : old->lost_count;
    uint16_t late_before = old == NULL ? 0 : old->late_workers;
    const struct topo_server *is = topo_primary(topo);
    char text[EVENT_TEXT_BYTES];

    if (topo->lost_count > lost_before) {
        uint64_t lost = topo->lost_count - lost_before;

        (void)snprintf(text, sizeof(text),
                       "%" PRIu64 " acknowledged transactions of the primary before are not here",
                       lost);
        control_event(control, EVENT_LOST, is == NULL ? "" : is->name, text);
        metric_add(control->metrics, METRIC_CAUSAL_LOST, METRIC_NONE, lost);
    }
    if (topo->late_workers != late_before) {
        (void)snprintf(text, sizeof(text), "%u workers have not let go of the primary before%s",
                       (unsigned)topo->late_workers,
                       topo->late_workers == 0 ? "" : ": writes stay on hold");
        control_event(control, EVENT_NOT_ACKED, "", text);
    }
}

static void primary_event(struct control *control, const struct topo *old, const struct topo *topo)
{
    const struct topo_server *was = old == NULL ? NULL : topo_primary(old);
    const struct topo_server *is = topo_primary(topo);
    char text[EVENT_TEXT_BYTES];

    if (is == NULL && was != NULL) {
        (void)snprintf(text, sizeof(text),
                       "epoch %" PRIu64 ": there is no primary; it was well %" PRIu64 " ms ago",
                       topo->epoch, detect_ms(topo));
        control_event(control, EVENT_PRIMARY_LOST, was->name, text);
        (void)snprintf(control->last_primary, sizeof(control->last_primary), "%s", was->name);
    } else if (is != NULL && was != NULL && is->index != was->index) {
        (void)snprintf(control->last_primary, sizeof(control->last_primary), "%s", was->name);
    }
    if (is == NULL || (was != NULL && was->index == is->index)) {
        return;
    }
    if (control->last_primary[0] != '\0' &&
        span_eq_text(span_of(is->name), control->last_primary)) {
        (void)snprintf(text, sizeof(text),
                       "epoch %" PRIu64 ": it is the primary again, after %" PRIu64
                       " ms without one",
                       topo->epoch, heal_ms(topo));
        heal_gauges(control, topo);
        control_event(control, EVENT_PRIMARY_FOUND, is->name, text);
    } else if (control->last_primary[0] != '\0') {
        (void)snprintf(text, sizeof(text),
                       "epoch %" PRIu64 ": the primary after %s, after %" PRIu64
                       " ms without one, seen %" PRIu64 " ms late",
                       topo->epoch, control->last_primary, heal_ms(topo), detect_ms(topo));
        heal_gauges(control, topo);
        control_event(control, EVENT_SWITCH, is->name, text);
    } else {
        (void)snprintf(text, sizeof(text), "epoch %" PRIu64 ": it is the primary", topo->epoch);
        control_event(control, EVENT_PRIMARY_FOUND, is->name, text);
    }
}

static void state_event(struct control *control, const struct topo_server *old,
                        const struct topo_server *server)
{
    char text[EVENT_TEXT_BYTES];
    enum topo_state before = old == NULL ? TOPO_ST_NEW : old->state;

    if (before == server->state) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%s -> %s: %s", topo_state_text(before),
                   topo_state_text(server->state), topo_why_text(server->why));
    switch (server->state) {
    case TOPO_ST_UP:
        event_keep(control, EVENT_SERVER_UP, server->name, text);
        return;
    case TOPO_ST_DOWN:
        event_keep(control, EVENT_SERVER_DOWN, server->name, text);
        return;
    case TOPO_ST_LAGGING:
        event_keep(control, EVENT_SERVER_LAGGING, server->name, text);
        return;
    case TOPO_ST_NEW:
    case TOPO_ST_DRAINING: /* the operator's own event */
        return;
    }
}

void control_topo_events(struct control *control, const struct topo *old, const struct topo *topo)
{
    for (uint16_t i = 0; i < topo->server_count; i++) {
        bool is_known = old != NULL && i < old->server_count;

        state_event(control, is_known ? &old->servers[i] : NULL, &topo->servers[i]);
        if (!control->is_split && topo->servers[i].why == TOPO_WHY_SECOND_WRITER) {
            control->is_split = true; /* a picture may know of it before it knows who it is */
            control_event(control, EVENT_SPLIT_BRAIN, topo->servers[i].name,
                          "writable, and not the primary: writes stay where they are");
        }
    }
    if (control->is_split && !topo->second_writer) {
        control->is_split = false;
        control_event(control, EVENT_SPLIT_BRAIN_OVER, "", "one writable server is left");
    }
    primary_event(control, old, topo);
    failover_event(control, old, topo);
}
