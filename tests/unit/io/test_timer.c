/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel under a clock of our own, then timers in a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/io/timer.h"
#include "weir/io/watch.h"
#include "weir/util/clock.h"

#include "loop_priv.h"

#define MS UINT64_C(1000)

struct probe {
    struct timer timer;
    struct wheel *wheel;
    uint64_t due_us;
    uint64_t ran_us;
    uint64_t now_us;
    unsigned runs;
    struct probe *to_cancel;
    uint64_t rearm_us;
};

static uint64_t fake_now_us;

static void on_probe(void *arg)
{
    struct probe *probe = arg;

    probe->runs++;
    probe->ran_us = fake_now_us;
    if (probe->to_cancel != NULL && probe->to_cancel->timer.slot != NULL) {
        probe->to_cancel->timer.deadline_us = 0;
        wheel_remove(probe->wheel, &probe->to_cancel->timer);
    }
    if (probe->rearm_us != 0) {
        probe->timer.deadline_us = probe->rearm_us;
        probe->timer.tick = (probe->rearm_us + 999) / MS;
        probe->rearm_us = 0;
        wheel_add(probe->wheel, &probe->timer);
    }
}

static void probe_arm(struct probe *probe, struct wheel *wheel, uint64_t due_us)
{
    *probe = (struct probe){.wheel = wheel, .due_us = due_us};
    probe->timer.fn = on_probe;
    probe->timer.arg = probe;
    probe->timer.deadline_us = due_us;
    probe->timer.tick = (due_us + 999) / MS;
    wheel_add(wheel, &probe->timer);
}

static void run_to(struct wheel *wheel, uint64_t now_us)
{
    fake_now_us = now_us;
    wheel_run(wheel, now_us);
}

/* Each distance alone: it runs in the tick that it is due, not before, not after, once. */
static void test_distances(void **state)
{
    static const uint64_t starts[] = {0, 1, 63 * MS, 64 * MS + 7, 4095 * MS, 123456789123};
    static const uint64_t dists[] = {
        0,           1,           999,         1000,          63 * MS,
        64 * MS,     65 * MS,     4095 * MS,   4096 * MS,     4097 * MS,
        262143 * MS, 262144 * MS, 999999 * MS, 16777216 * MS, 1073741823 * MS};

    (void)state;
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (size_t d = 0; d < sizeof(dists) / sizeof(dists[0]); d++) {
            struct wheel wheel;
            struct probe probe;
            uint64_t due_us = starts[s] + dists[d];

            wheel_init(&wheel, starts[s]);
            probe_arm(&probe, &wheel, due_us);
            /* In the steps that a loop would make: from one wake-up to the next. */
            for (int hops = 0; hops < 100 && probe.runs == 0; hops++) {
                uint64_t tick = wheel_next(&wheel);

                assert_true(tick != WHEEL_NO_TICK);
                assert_true(tick <= (due_us + 999) / MS);
                run_to(&wheel, tick * MS);
            }
            assert_int_equal(probe.runs, 1);
            assert_true(probe.ran_us >= due_us);
            assert_true(probe.ran_us < due_us + MS);
            assert_true(wheel_next(&wheel) == WHEEL_NO_TICK);
        }
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Many timers and uneven steps of the clock, against a plain array. */
static void test_model(void **state)
{
    enum {
        COUNT = 400,
        STEPS = 4000
    };
    struct probe *probes = calloc(COUNT, sizeof(*probes));
    struct wheel wheel;
    uint64_t seed = 20261123;
    uint64_t now_us = 5 * MS;

    (void)state;
    wheel_init(&wheel, now_us);
    for (int i = 0; i < COUNT; i++) {
        probe_arm(&probes[i], &wheel, now_us + next_random(&seed) % (9000 * MS));
    }
    for (int step = 0; step < STEPS; step++) {
        now_us += next_random(&seed) % (40 * MS);
        run_to(&wheel, now_us);
        for (int i = 0; i < COUNT; i++) {
            struct probe *probe = &probes[i];
            /* The slot of the millisecond that now_us lies in has been run. What is due within
             * that millisecond may have run or not. */
            bool is_due = (probe->due_us + 999) / MS <= now_us / MS;

            if (probe->timer.deadline_us == 0) {
                assert_int_equal(probe->runs, 1);
                assert_true(probe->ran_us >= probe->due_us);
                assert_true(probe->ran_us == now_us);
                probe_arm(probe, &wheel, now_us + next_random(&seed) % (9000 * MS));
            } else {
                assert_false(is_due);
                if (next_random(&seed) % 16 == 0) {
                    wheel_remove(&wheel, &probe->timer);
                    probe_arm(probe, &wheel, now_us + next_random(&seed) % (300 * MS));
                } else if (next_random(&seed) % 16 == 0) {
                    /* Later, without touching the wheel. */
                    probe->due_us += next_random(&seed) % (100 * MS);
                    probe->timer.deadline_us = probe->due_us;
                }
            }
        }
    }
    free(probes);
}

static void test_cancel_from_callback(void **state)
{
    struct wheel wheel;
    struct probe a;
    struct probe b;

    (void)state;
    wheel_init(&wheel, 0);
    probe_arm(&a, &wheel, 10 * MS);
    probe_arm(&b, &wheel, 10 * MS);
    a.to_cancel = &b;
    b.to_cancel = &a;
    run_to(&wheel, 20 * MS);
    assert_int_equal(a.runs + b.runs, 1);
}

/* A timer that arms itself for now comes again, but not in the same run for ever. */
static void test_rearm_for_now(void **state)
{
    struct wheel wheel;
    struct probe probe;

    (void)state;
    wheel_init(&wheel, 0);
    probe_arm(&probe, &wheel, 10 * MS);
    probe.rearm_us = 10 * MS;
    run_to(&wheel, 10 * MS);
    assert_int_equal(probe.runs, 1);
    run_to(&wheel, 11 * MS);
    assert_int_equal(probe.runs, 2);
    assert_true(wheel_next(&wheel) == WHEEL_NO_TICK);
}

struct loop_probe {
    struct loop *loop;
    struct timer timer;
    unsigned runs;
    uint64_t at_us;
};

static void on_loop_probe(void *arg)
{
    struct loop_probe *probe = arg;

    probe->runs++;
    probe->at_us = clock_now_us();
}

static void test_in_loop(void **state)
{
    struct loop_probe probe = {0};
    struct loop_probe never = {0};
    uint64_t begin_us = clock_now_us();

    (void)state;
    assert_int_equal(loop_create(&probe.loop), 0);
    timer_init(&probe.timer, probe.loop, on_loop_probe, &probe);
    timer_init(&never.timer, probe.loop, on_loop_probe, &never);
    assert_false(timer_is_armed(&probe.timer));
    timer_arm_in(&probe.timer, 3600 * 1000 * MS);
    timer_arm_at(&probe.timer, begin_us + 30 * MS); /* earlier */
    timer_arm_in(&never.timer, 5 * MS);
    timer_cancel(&never.timer);
    timer_cancel(&never.timer);
    assert_true(timer_is_armed(&probe.timer));
    for (int i = 0; i < 100 && probe.runs == 0; i++) {
        assert_int_equal(loop_turn(probe.loop, 1000 * MS), 0);
    }
    assert_int_equal(probe.runs, 1);
    assert_int_equal(never.runs, 0);
    assert_true(probe.at_us >= begin_us + 30 * MS);
    assert_true(probe.at_us < begin_us + 1000 * MS);

    /* In the past: soon, but not from inside the call. */
    timer_arm_at(&probe.timer, 1);
    assert_int_equal(probe.runs, 1);
    for (int i = 0; i < 10 && probe.runs == 1; i++) {
        assert_int_equal(loop_turn(probe.loop, 100 * MS), 0);
    }
    assert_int_equal(probe.runs, 2);

    /* Moved later 100,000 times: no early call, and the loop does not wake up for each. */
    uint64_t turns = loop_turn_count(probe.loop);

    for (int i = 0; i < 100000; i++) {
        timer_arm_at(&probe.timer, loop_now_us(probe.loop) + 40 * MS + (uint64_t)i / 10000);
    }
    while (probe.runs == 2) {
        assert_int_equal(loop_turn(probe.loop, 1000 * MS), 0);
    }
    assert_true(loop_turn_count(probe.loop) - turns < 10);
    loop_destroy(probe.loop);
}

struct lone {
    struct loop *loop;
    struct timer timer;
    struct watch watch;
    int fd;
    unsigned left;
};

/* Something else wakes the loop half way, once: the library then counts the rest by its clock. */
static void lone_arm(struct lone *lone)
{
    const struct itimerspec half = {.it_value = {.tv_nsec = 1300000}};

    timer_arm_in(&lone->timer, (lone->left % 5 + 3) * MS);
    assert_int_equal(timerfd_settime(lone->fd, 0, &half, NULL), 0);
}

static void on_lone(void *arg)
{
    struct lone *lone = arg;

    if (--lone->left == 0) {
        loop_stop(lone->loop);
        return;
    }
    lone_arm(lone);
}

static void on_half(void *arg)
{
    struct lone *lone = arg;
    uint64_t count = 0;

    assert_int_equal(read(lone->fd, &count, sizeof(count)), sizeof(count));
}

/* One wake-up that comes too early must not be the last one. */
static void test_early_wake(void **state)
{
    struct lone lone = {.left = 300};

    (void)state;
    assert_int_equal(loop_create(&lone.loop), 0);
    lone.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    assert_true(lone.fd >= 0);
    assert_int_equal(watch_start(&lone.watch, lone.loop, lone.fd, on_half, &lone), 0);
    timer_init(&lone.timer, lone.loop, on_lone, &lone);
    lone_arm(&lone);
    (void)alarm(20); /* a lost timer ends the test program */
    assert_int_equal(loop_run(lone.loop), 0);
    (void)alarm(0);
    assert_int_equal(lone.left, 0);
    watch_stop(&lone.watch);
    (void)close(lone.fd);
    loop_destroy(lone.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_cancel_from_callback),
        cmocka_unit_test(test_rearm_for_now),
        cmocka_unit_test(test_in_loop),
        cmocka_unit_test(test_early_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
