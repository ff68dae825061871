/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer - a deadline that calls back; cheap to move.
 *
 * WHY       Deadlines are moved per statement and hardly ever reached: moving one must cost
 *           neither a heap operation nor a system call.
 * OWNS      none: the timer is embedded in its owner, who cancels it before letting go of it.
 * THREADS   The loop's thread.
 * REENTRY   The callback may arm, cancel and bury anything, its own timer included. It is never
 *           called from inside timer_arm_at(), not even for a deadline in the past.
 * UNITS     *_us: microseconds of loop_now_us(). Resolution 1 ms; never early.
 * ERRORS    none
 * BOUNDS    Deadlines further than 12 days off are reached by several hops; none is lost.
 */
#ifndef WEIR_IO_TIMER_H
#define WEIR_IO_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

typedef void (*timer_fn)(void *arg);

struct timer {
    /* borrowed while armed */
    struct timer *next;
    struct timer **slot;  /* what points at this timer; NULL when in no slot */
    uint64_t deadline_us; /* 0: not armed */
    uint64_t tick;        /* when its slot is due; at most the deadline */
    /* fixed by timer_init() */
    struct loop *loop;
    timer_fn fn;
    void *arg;
    uint16_t place; /* level * 64 + index */
};

void timer_init(struct timer *timer, struct loop *loop, timer_fn fn, void *arg);
/* Arms, or moves when armed. A later deadline costs a store; an earlier one, two list moves. */
void timer_arm_at(struct timer *timer, uint64_t deadline_us);
void timer_arm_in(struct timer *timer, uint64_t delay_us);
/* Fine on a timer that is not armed, and on one that was zeroed and never initialised. */
void timer_cancel(struct timer *timer);
bool timer_is_armed(const struct timer *timer);

#endif
