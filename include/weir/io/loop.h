/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop - one thread's event loop: turns, a run queue, a graveyard, one scratch buffer.
 *
 * WHY       All that a thread owns is driven from one place, and results reach their receiver
 *           from the top of the stack, never from inside the call that asked for them.
 * OWNS      The event base, the scratch buffer, what is buried until the turn ends. Tasks,
 *           timers, streams and watches are their holder's storage and must be cancelled or
 *           closed before loop_destroy().
 * THREADS   The thread that runs it; loop_busy_since_us(): any. Others write to a mailbox.
 * REENTRY   A task may defer, cancel and bury anything, itself included. A task that is deferred
 *           while tasks run comes in the next round of the same turn.
 * UNITS     *_us: microseconds of the monotonic clock.
 * ERRORS    0 or a negative err code.
 * BOUNDS    At most 16 rounds of the run queue per turn, then the sockets have a look in.
 */
#ifndef WEIR_IO_LOOP_H
#define WEIR_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/list.h"

#define LOOP_SCRATCH_BYTES ((size_t)128 * 1024)

struct loop;

typedef void (*loop_fn)(void *arg);

/* Embedded in its owner; zeroed or loop_task_init()ed before use. */
struct loop_task {
    struct list_node link;
    loop_fn fn;
    void *arg;
};

WR_NODISCARD int loop_create(struct loop **ret_loop);
/* Releases what is buried. NULL is fine. */
void loop_destroy(struct loop *loop);

/* Turns until loop_stop(). */
WR_NODISCARD int loop_run(struct loop *loop);
/* One turn: waits at most max_wait_us for something to happen (0: does not wait), delivers it,
 * runs the run queue and empties the graveyard. For tests and for steps of start-up. */
WR_NODISCARD int loop_turn(struct loop *loop, uint64_t max_wait_us);
/* The turn in hand is finished, then loop_run() returns. Owning thread only. */
void loop_stop(struct loop *loop);

/* The clock, read at most once per turn. */
uint64_t loop_now_us(struct loop *loop);
/* Turns so far. */
uint64_t loop_turn_count(const struct loop *loop);
/* Since when the turn in hand runs callbacks, 0: it waits. Any thread, for a watchdog. */
uint64_t loop_busy_since_us(const struct loop *loop);

void loop_task_init(struct loop_task *task, loop_fn fn, void *arg);
/* Queue a task behind those queued. One that is queued already stays where it is. */
void loop_defer(struct loop *loop, struct loop_task *task);
/* A task that is not queued is fine. */
void loop_task_cancel(struct loop_task *task);
bool loop_task_is_queued(const struct loop_task *task);

/* Have free_fn(ptr) called when this turn ends, when no frame below can still hold ptr.
 * Takes ptr. When there is no memory to remember it, ptr is leaked on purpose. */
void loop_bury(struct loop *loop, void *ptr, void (*free_fn)(void *ptr));

/* The loop's one scratch buffer, LOOP_SCRATCH_BYTES long. Its contents are good until the
 * caller returns to the loop or calls someone else who reads a stream. */
uint8_t *loop_scratch(struct loop *loop);

#endif
