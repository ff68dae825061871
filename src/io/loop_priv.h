/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_priv - what the rest of this room needs of a loop.
 *
 * WHY       Streams and watches register with the event library, timers with the wheel.
 * OWNS      See weir/io/loop.h.
 * THREADS   The loop's thread.
 * REENTRY   none
 * UNITS     wheel ticks are milliseconds of the monotonic clock.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_IO_LOOP_PRIV_H
#define WEIR_IO_LOOP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/io/loop.h"
#include "weir/io/timer.h"

#define WHEEL_LEVELS   5
#define WHEEL_BITS     6
#define WHEEL_SLOTS    (1 << WHEEL_BITS)
#define WHEEL_TICK_US  UINT64_C(1000)
#define WHEEL_NO_TICK  UINT64_MAX
#define TLS_STAGE_SIZE ((size_t)16 * 1024)

struct event_base;

/*
 * Level 0 has a slot per tick, each level above slots 64 times as wide. now is the first tick that
 * has not been run. A timer lies in the lowest level whose span from now covers its tick.
 */
struct wheel {
    uint64_t now;
    uint64_t used[WHEEL_LEVELS]; /* a bit per slot that is not empty */
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_us);
void wheel_add(struct wheel *wheel, struct timer *timer);
void wheel_remove(struct wheel *wheel, struct timer *timer);
/* The first tick at which a slot is due (perhaps only to be cascaded); WHEEL_NO_TICK: empty. */
uint64_t wheel_next(const struct wheel *wheel);
/* Runs what is due at now_us. Callbacks may add and remove. */
void wheel_run(struct wheel *wheel, uint64_t now_us);

struct event_base *loop_base(struct loop *loop);
struct wheel *loop_wheel(struct loop *loop);
/* A timer now lies at tick: see that the loop wakes up for it. */
void loop_wake_for(struct loop *loop, uint64_t tick);
/* Room to put pieces of output together before they are encrypted; NULL: no memory. */
uint8_t *loop_tls_stage(struct loop *loop);
void loop_wipe_tls_stage(struct loop *loop);

#endif
