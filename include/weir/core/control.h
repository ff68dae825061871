/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the control thread: accepts, takes signals, hands snapshots on, answers HTTP, drains.
 *
 * WHY       What concerns the whole process is decided in one place, by one thread.
 * OWNS      Its loop, mailbox, signal fd, HTTP server and references on the newest snapshots.
 *           Listeners and workers are borrowed between control_serve() and its return.
 * THREADS   The control thread; control_calls() may be called from the monitor's threads.
 * REENTRY   none
 * UNITS     *_us: microseconds of the monotonic clock.
 * ERRORS    0 or a negative err code.
 * BOUNDS    none
 */
#ifndef WEIR_CORE_CONTROL_H
#define WEIR_CORE_CONTROL_H

#include <stdint.h>

#include "weir/core/worker.h"
#include "weir/util/attr.h"

struct binlog;
struct cache;
struct causal_board;
struct control;
struct guard_board;
struct listener_set;
struct log_ctx;
struct logger;
struct loop;
struct metric_registry;
struct monitor;
struct monitor_calls;
struct settings;
struct share;
struct slots;
struct users;

struct control_conf {
    const struct settings *settings;
    struct logger *logger;
    int log_fd; /* of log.file, or -1; SIGHUP opens the file anew */
    struct metric_registry *registry;
};

/* What it serves with; all borrowed until control_serve() returns. */
struct control_house {
    struct listener_set *listeners;
    struct listener_set *admin_listeners; /* NULL: no admin */
    struct workers *workers;
    struct monitor *monitor;
    struct users *users;
    struct slots *slots;
    struct guard_board *board;
    struct causal_board *causal;
    struct share *share;   /* may be NULL */
    struct cache *cache;   /* NULL: off */
    struct binlog *binlog; /* NULL: nothing asks for it */
    uint8_t instance_tag;
};

/* Blocks the signals that control takes: before any other thread is started. */
WR_NODISCARD int control_block_signals(void);
WR_NODISCARD int control_create(const struct control_conf *conf, struct control **ret_control);
/* NULL is fine. Gives the log file's descriptor back in *ret_log_fd (may have changed). */
void control_destroy(struct control *control, int *ret_log_fd);

/* What the monitor is given: its news come to control by mail. */
void control_calls(struct control *control, struct monitor_calls *ret_calls);
struct mailbox *control_mailbox(struct control *control);
const struct log_ctx *control_log(const struct control *control);

/* Take what mail there is, before serving: *ret_start has the newest snapshots, borrowed.
 * -WR_E_STATE: the monitor has not published a topology. */
WR_NODISCARD int control_settle(struct control *control, struct worker_start *ret_start);

/* Start HTTP (when configured) and accepting, then serve until a signal has ended it and every
 * session is gone or the drain's time is up. */
WR_NODISCARD int control_serve(struct control *control, const struct control_house *house);

#endif
