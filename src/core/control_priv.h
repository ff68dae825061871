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
#include "weir/util/log.h"

struct accounts;
struct admin_http;
struct catalogue;
struct mailbox;
struct metric_shard;
struct sigwatch;
struct topo;

struct control {
    /* owning */
    struct loop *loop;
    struct mailbox *box;
    struct sigwatch *signals;
    struct admin_http *http;
    int log_fd;
    /* counted */
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct accounts *accounts;
    const struct settings *settings;
    /* borrowed */
    const struct config *config; /* of settings */
    struct logger *logger;
    struct metric_registry *registry;
    struct metric_shard *metrics;
    struct listener_set *listeners; /* control_serve() */
    struct workers *workers;        /* control_serve() */
    struct control_parts parts;     /* control_attach() */
    /* values */
    struct log_ctx log;
    struct log_ctx monitor_log; /* the monitor's callbacks, one at a time */
    struct timer watchdog;
    struct timer drain_limit;
    uint64_t slow_turn_us[WORKERS_MAX]; /* start of the turn that was counted last */
    uint64_t drain_began_us;
    uint32_t drain_left; /* workers that still have sessions */
    bool is_draining;
    bool is_drained;
};

/* --- drain.c --- */
/* No new clients; sessions end as they can. A second call ends the patience. */
void drain_begin(struct control *control, const char *why);
void drain_on_worker(struct control *control);
void drain_init(struct control *control);

#endif
