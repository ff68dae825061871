/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a process, in order: listening sockets are closed, sessions without a transaction are
 * closed by their workers, the others at their transaction's end or at the deadline; then the
 * control loop stops. A second signal sets the deadline to now.
 */
#include "weir/client/listener.h"
#include "weir/config/config.h"
#include "weir/io/loop.h"
#include "weir/util/clock.h"

#include "control_priv.h"

/* The workers close what is left at the deadline by themselves; this is for one that cannot. */
#define GRACE_US (2 * CLOCK_US_PER_SECOND)

static void finish(struct control *control, const char *how)
{
    if (control->is_drained) {
        return;
    }
    control->is_drained = true;

    uint64_t took_us = loop_now_us(control->loop) - control->drain_began_us;

    log_info(&control->log, "drain_done", "%s after %u ms, %u sessions left", how,
             (unsigned)(took_us / CLOCK_US_PER_MS), (unsigned)workers_load(control->workers));
    timer_cancel(&control->drain_limit);
    loop_stop(control->loop);
}

static void on_limit(void *arg)
{
    finish(arg, "time is up");
}

void drain_init(struct control *control)
{
    timer_init(&control->drain_limit, control->loop, on_limit, control);
}

static void drain_post(struct control *control, uint64_t deadline_us)
{
    control->drain_left += workers_count(control->workers);
    workers_drain(control->workers, deadline_us);
    timer_arm_at(&control->drain_limit, deadline_us + GRACE_US);
}

void drain_begin(struct control *control, const char *why)
{
    uint64_t now_us = loop_now_us(control->loop);

    if (control->is_draining) {
        log_info(&control->log, "drain_hurried", "%s again: the rest is closed now", why);
        drain_post(control, now_us);
        return;
    }
    control->is_draining = true;
    control->drain_began_us = now_us;
    log_info(&control->log, "drain_begin", "%s: %u sessions, at most %u ms", why,
             (unsigned)workers_load(control->workers),
             (unsigned)(control->config->drain.timeout_us / CLOCK_US_PER_MS));
    control_event(control, EVENT_SHUTDOWN, "", why);
    listener_stop(control->listeners);
    drain_post(control, now_us + control->config->drain.timeout_us);
}

void drain_on_worker(struct control *control)
{
    /* Each worker answers each post; after a hurried drain the first answers count, too, so look at
     * what is really left. */
    if (control->drain_left > 0) {
        control->drain_left--;
    }
    if (control->drain_left == 0 || workers_load(control->workers) == 0) {
        finish(control, "all sessions ended");
    }
}
