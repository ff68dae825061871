/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_priv - the control thread's state, shared by control.c and drain.c.
 *
 * WHY       Draining is a state of control, long enough for a file of its own.
 * OWNS      See weir/core/control.h.
 * THREADS   The control thread.
 * REENTRY   none
 * UNITS     *_us: microseconds of the monotonic clock.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_CORE_CONTROL_PRIV_H
#define WEIR_CORE_CONTROL_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/core/control.h"
#include "weir/io/timer.h"
#include "weir/observe/events.h"
#include "weir/route/guard.h"
#include "weir/util/log.h"

struct accounts;
struct admin;
struct admin_http;
struct catalogue;
struct events;
struct mailbox;
struct positions;
struct metric_shard;
struct sigwatch;
struct topo;

struct control {
    /* owning */
    struct loop *loop;
    struct mailbox *box;
    struct sigwatch *signals;
    struct admin_http *http;
    struct admin *admin; /* control_serve() */
    struct events *events;
    int log_fd;
    /* counted */
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct accounts *accounts;
    const struct positions *positions;
    const struct settings *settings;
    /* borrowed */
    const struct config *config; /* of settings */
    struct logger *logger;
    struct metric_registry *registry;
    struct metric_shard *metrics;
    struct listener_set *listeners;    /* control_serve() */
    struct workers *workers;           /* control_serve() */
    const struct control_house *house; /* control_serve() */
    /* values */
    struct guard_lags lags; /* for adaptive windows */
    struct log_ctx log;
    struct log_ctx monitor_log; /* the monitor's callbacks, one at a time */
    struct log_ctx admin_log;
    struct timer watchdog;
    struct timer drain_limit;
    uint64_t slow_turn_us[WORKERS_MAX]; /* start of the turn that was counted last */
    uint64_t started_us;
    uint64_t drain_began_us;
    uint64_t cache_epoch; /* of the primary whose data the cache may hold */
    uint32_t drain_left;  /* workers that still have sessions */
    bool is_draining;
    bool is_drained;
    bool is_split;                         /* a second writer has been told of */
    char last_primary[EVENT_SERVER_BYTES]; /* who was it last; "": nobody yet */
};

/* --- drain.c --- */
/* No new clients; sessions end as they can. A second call ends the patience. */
void drain_begin(struct control *control, const char *why);
void drain_on_worker(struct control *control);
void drain_init(struct control *control);

/* --- control_event.c --- */
/* Into the ring, the log and the metric. server and text may be "". */
void control_event(struct control *control, enum event_kind kind, const char *server,
                   const char *text);
/* What the new picture says that the old one (NULL: there was none) did not. */
void control_topo_events(struct control *control, const struct topo *old, const struct topo *topo);

/* --- control_cache.c --- */
/* Before the workers have the new picture. */
void control_cache_topo(struct control *control, const struct topo *topo);
/* What the memory says of itself, for who is about to read metrics. */
void control_cache_gauges(struct control *control);

/* --- control_admin.c --- */
/* The admin listener, when it is configured. */
int control_admin_start(struct control *control);
void control_admin_stop(struct control *control);

#endif
