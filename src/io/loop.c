/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A turn: wait, deliver what the sockets have, run due timers, run the run queue, empty the
 * graveyard. The event library is asked for one pass at a time, so that the three steps behind it
 * are ours and come in this order.
 */
#include "weir/io/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>

#include <event2/event.h>

#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "loop_priv.h"

#define RUN_ROUNDS_MAX 16
#define GRAVES_KEPT    64

struct grave {
    void *ptr;
    void (*free_fn)(void *ptr);
};

struct loop {
    /* owning */
    struct event_base *base;
    struct event *wake; /* for the next tick that has a timer */
    struct event *cap;  /* for loop_turn()'s max_wait_us */
    uint8_t *scratch;
    uint8_t *tls_stage; /* made at first use */
    struct grave *graves;
    size_t grave_count;
    size_t grave_cap;
    /* borrowed while queued */
    struct list run_queue;
    /* values */
    uint64_t now_us;    /* 0: not read in this turn */
    uint64_t wake_tick; /* no timer is due before this */
    uint64_t turns;
    /* Written by the owner, read by a watchdog; it orders nothing, so relaxed. */
    atomic_uint_fast64_t busy_since_us;
    bool is_stopping;
    struct wheel wheel;
};

static void on_nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* libevent waits by a coarse clock and may come some milliseconds early. Having fired it is not
 * pending any more: whatever the wheel says now, the next wake-up has to be asked for again. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    loop->wake_tick = 0;
}

static int base_create(struct event_base **ret_base)
{
    struct event_config *config = event_config_new();

    if (config == NULL) {
        return -ENOMEM;
    }

    /* No locks: one thread. No change list: a stream's registration hardly ever changes. The
     * environment must not choose another way of waiting. */
    int rc = event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = rc == 0 ? event_base_new_with_config(config) : NULL;

    event_config_free(config);
    if (base == NULL) {
        return -ENOMEM;
    }
    *ret_base = base;
    return 0;
}

int loop_create(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    int rc = -ENOMEM;

    if (loop == NULL) {
        return -ENOMEM;
    }
    list_init(&loop->run_queue);
    loop->wake_tick = WHEEL_NO_TICK;
    wheel_init(&loop->wheel, clock_now_us());
    rc = base_create(&loop->base);
    if (rc < 0) {
        goto out;
    }
    rc = -ENOMEM;
    loop->wake = event_new(loop->base, -1, 0, on_wake, loop);
    loop->cap = event_new(loop->base, -1, 0, on_nothing, NULL);
    loop->scratch = malloc(LOOP_SCRATCH_BYTES);
    if (loop->wake == NULL || loop->cap == NULL || loop->scratch == NULL) {
        goto out;
    }
    *ret_loop = loop;
    loop = NULL;
    rc = 0;
out:
    loop_destroy(loop);
    return rc;
}

static void graves_empty(struct loop *loop)
{
    /* A destructor may bury more. */
    while (loop->grave_count > 0) {
        struct grave grave = loop->graves[--loop->grave_count];

        grave.free_fn(grave.ptr);
    }
    if (loop->grave_cap > GRAVES_KEPT) {
        free(loop->graves);
        loop->graves = NULL;
        loop->grave_cap = 0;
    }
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    graves_empty(loop);
    free(loop->graves);
    if (loop->wake != NULL) {
        event_free(loop->wake);
    }
    if (loop->cap != NULL) {
        event_free(loop->cap);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    free(loop->scratch);
    free(loop->tls_stage);
    free(loop);
}

static void tv_from_us(uint64_t us, struct timeval *ret_tv)
{
    ret_tv->tv_sec = (time_t)(us / CLOCK_US_PER_SECOND);
    ret_tv->tv_usec = (suseconds_t)(us % CLOCK_US_PER_SECOND);
}

void loop_wake_for(struct loop *loop, uint64_t tick)
{
    if (tick >= loop->wake_tick) {
        return;
    }

    uint64_t now_us = loop_now_us(loop);
    uint64_t at_us = tick * WHEEL_TICK_US;
    struct timeval tv;

    tv_from_us(at_us > now_us ? at_us - now_us : 0, &tv);
    loop->wake_tick = tick;
    /* Cannot fail but for want of memory for the heap; then the next wake-up runs the timer. */
    (void)event_add(loop->wake, &tv);
}

static void timers_run(struct loop *loop)
{
    uint64_t now_us = loop_now_us(loop);

    if (now_us / WHEEL_TICK_US < loop->wake_tick) {
        return;
    }
    wheel_run(&loop->wheel, now_us);

    uint64_t next = wheel_next(&loop->wheel);

    loop->wake_tick = WHEEL_NO_TICK;
    if (next != WHEEL_NO_TICK) {
        loop_wake_for(loop, next);
    }
}

static void tasks_run(struct loop *loop)
{
    for (int round = 0; round < RUN_ROUNDS_MAX && !list_is_empty(&loop->run_queue); round++) {
        struct list batch;

        list_init(&batch);
        list_splice(&batch, &loop->run_queue);
        for (;;) {
            struct list_node *node = list_pop(&batch);

            if (node == NULL) {
                break;
            }

            struct loop_task *task = list_entry(node, struct loop_task, link);

            task->fn(task->arg);
        }
    }
}

static int turn(struct loop *loop, int flags)
{
    loop->now_us = 0;

    int rc = event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | flags);

    if (rc < 0) {
        return -EIO;
    }
    timers_run(loop);
    tasks_run(loop);
    graves_empty(loop);
    loop->turns++;
    atomic_store_explicit(&loop->busy_since_us, 0, memory_order_relaxed);
    return 0;
}

int loop_turn(struct loop *loop, uint64_t max_wait_us)
{
    int flags = 0;

    if (max_wait_us == 0 || !list_is_empty(&loop->run_queue)) {
        flags = EVLOOP_NONBLOCK;
    } else {
        struct timeval tv;

        tv_from_us(max_wait_us, &tv);
        if (event_add(loop->cap, &tv) != 0) {
            return -ENOMEM;
        }
    }

    int rc = turn(loop, flags);

    if (flags == 0) {
        (void)event_del(loop->cap);
    }
    return rc;
}

int loop_run(struct loop *loop)
{
    while (!loop->is_stopping) {
        int rc = turn(loop, list_is_empty(&loop->run_queue) ? 0 : EVLOOP_NONBLOCK);

        if (rc < 0) {
            return rc;
        }
    }
    loop->is_stopping = false;
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

uint64_t loop_now_us(struct loop *loop)
{
    if (WR_UNLIKELY(loop->now_us == 0)) {
        loop->now_us = clock_now_us();
        atomic_store_explicit(&loop->busy_since_us, loop->now_us, memory_order_relaxed);
    }
    return loop->now_us;
}

uint64_t loop_turn_count(const struct loop *loop)
{
    return loop->turns;
}

uint64_t loop_busy_since_us(const struct loop *loop)
{
    return atomic_load_explicit(&loop->busy_since_us, memory_order_relaxed);
}

void loop_task_init(struct loop_task *task, loop_fn fn, void *arg)
{
    list_node_init(&task->link);
    task->fn = fn;
    task->arg = arg;
}

bool loop_task_is_queued(const struct loop_task *task)
{
    return task->link.next != NULL && list_node_is_linked(&task->link);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!loop_task_is_queued(task)) {
        list_push(&loop->run_queue, &task->link);
    }
}

void loop_task_cancel(struct loop_task *task)
{
    if (loop_task_is_queued(task)) {
        list_remove(&task->link);
    }
}

void loop_bury(struct loop *loop, void *ptr, void (*free_fn)(void *ptr))
{
    if (loop->grave_count == loop->grave_cap) {
        size_t cap = loop->grave_cap == 0 ? 16 : loop->grave_cap * 2;
        struct grave *graves = realloc(loop->graves, cap * sizeof(*graves));

        if (graves == NULL) {
            return; /* a leak is harmless, an object freed under a live frame is not */
        }
        loop->graves = graves;
        loop->grave_cap = cap;
    }
    loop->graves[loop->grave_count++] = (struct grave){.ptr = ptr, .free_fn = free_fn};
}

uint8_t *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

struct wheel *loop_wheel(struct loop *loop)
{
    return &loop->wheel;
}

void loop_wipe_tls_stage(struct loop *loop)
{
    if (loop->tls_stage != NULL) {
        crypto_wipe(loop->tls_stage, TLS_STAGE_SIZE);
    }
}

uint8_t *loop_tls_stage(struct loop *loop)
{
    if (loop->tls_stage == NULL) {
        loop->tls_stage = malloc(TLS_STAGE_SIZE);
    }
    return loop->tls_stage;
}
