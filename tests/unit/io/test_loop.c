/* SPDX-License-Identifier: Apache-2.0 */
/* Run queue, graveyard, time per turn, stop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/io/sigwatch.h"
#include "weir/io/watch.h"
#include "weir/util/clock.h"

struct rig {
    struct loop *loop;
    struct loop_task a;
    struct loop_task b;
    char order[64];
    unsigned freed;
    bool is_in_task;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    assert_int_equal(loop_create(&rig->loop), 0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    loop_destroy(rig->loop);
    free(rig);
    return 0;
}

static void on_a(void *arg)
{
    struct rig *rig = arg;

    assert_false(rig->is_in_task);
    rig->is_in_task = true;
    (void)strcat(rig->order, "a");
    loop_defer(rig->loop, &rig->b);
    rig->is_in_task = false;
}

static void on_b(void *arg)
{
    struct rig *rig = arg;

    assert_false(rig->is_in_task);
    (void)strcat(rig->order, "b");
}

static void test_order(void **state)
{
    struct rig *rig = *state;

    loop_task_init(&rig->a, on_a, rig);
    loop_task_init(&rig->b, on_b, rig);
    assert_false(loop_task_is_queued(&rig->a));
    loop_defer(rig->loop, &rig->a);
    loop_defer(rig->loop, &rig->a);
    assert_true(loop_task_is_queued(&rig->a));
    assert_string_equal(rig->order, "");
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_string_equal(rig->order, "ab");

    loop_defer(rig->loop, &rig->b);
    loop_task_cancel(&rig->b);
    loop_task_cancel(&rig->b);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_string_equal(rig->order, "ab");
}

static void on_cancel_b(void *arg)
{
    struct rig *rig = arg;

    (void)strcat(rig->order, "c");
    loop_task_cancel(&rig->b);
}

static void test_cancel_in_batch(void **state)
{
    struct rig *rig = *state;

    loop_task_init(&rig->a, on_cancel_b, rig);
    loop_task_init(&rig->b, on_b, rig);
    loop_defer(rig->loop, &rig->a);
    loop_defer(rig->loop, &rig->b);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_string_equal(rig->order, "c");
}

struct forever {
    struct loop *loop;
    struct loop_task task;
    unsigned runs;
};

static void on_forever(void *arg)
{
    struct forever *forever = arg;

    forever->runs++;
    loop_defer(forever->loop, &forever->task);
}

/* A task that always comes again must not keep the sockets from their turn. */
static void test_bounded(void **state)
{
    struct rig *rig = *state;
    struct forever forever = {.loop = rig->loop};

    loop_task_init(&forever.task, on_forever, &forever);
    loop_defer(rig->loop, &forever.task);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_true(forever.runs > 0 && forever.runs <= 16);

    unsigned before = forever.runs;

    assert_int_equal(loop_turn(rig->loop, 3600 * CLOCK_US_PER_SECOND), 0);
    assert_true(forever.runs > before);
    loop_task_cancel(&forever.task);
}

static void free_counted(void *ptr)
{
    unsigned *freed = ptr;

    (*freed)++;
}

static void on_bury(void *arg)
{
    struct rig *rig = arg;

    for (int i = 0; i < 200; i++) {
        loop_bury(rig->loop, &rig->freed, free_counted);
    }
    assert_int_equal(rig->freed, 0);
}

static void test_graveyard(void **state)
{
    struct rig *rig = *state;

    loop_task_init(&rig->a, on_bury, rig);
    loop_defer(rig->loop, &rig->a);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_int_equal(rig->freed, 200);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_int_equal(rig->freed, 200);
}

static void on_time(void *arg)
{
    struct rig *rig = arg;
    uint64_t first = loop_now_us(rig->loop);

    (void)usleep(3000);
    assert_true(loop_now_us(rig->loop) == first);
    assert_true(loop_busy_since_us(rig->loop) == first);
}

static void test_time_stands_in_a_turn(void **state)
{
    struct rig *rig = *state;

    loop_task_init(&rig->a, on_time, rig);
    loop_defer(rig->loop, &rig->a);
    assert_int_equal(loop_turn(rig->loop, 0), 0);

    uint64_t before = loop_now_us(rig->loop);

    (void)usleep(3000);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    assert_true(loop_now_us(rig->loop) >= before + 3000);
    assert_true(loop_busy_since_us(rig->loop) == 0);
}

static void test_scratch(void **state)
{
    struct rig *rig = *state;

    memset(loop_scratch(rig->loop), 7, LOOP_SCRATCH_BYTES);
    assert_int_equal(loop_scratch(rig->loop)[LOOP_SCRATCH_BYTES - 1], 7);
}

static void on_stop(void *arg)
{
    struct rig *rig = arg;

    loop_stop(rig->loop);
}

static void on_readable_stop(void *arg)
{
    struct rig *rig = arg;

    (void)strcat(rig->order, "r");
    loop_stop(rig->loop);
}

static void test_run_and_watch(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {0};
    int fds[2];

    watch_stop(&watch);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(watch_start(&watch, rig->loop, fds[0], on_readable_stop, rig), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_run(rig->loop), 0);
    assert_string_equal(rig->order, "r");
    watch_stop(&watch);
    loop_task_init(&rig->a, on_stop, rig);
    loop_defer(rig->loop, &rig->a);
    assert_int_equal(loop_run(rig->loop), 0);
    assert_string_equal(rig->order, "r");
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void on_signal(void *arg, int signo)
{
    struct rig *rig = arg;

    assert_int_equal(signo, SIGUSR1);
    (void)strcat(rig->order, "s");
}

static void test_signals(void **state)
{
    static const int signos[] = {SIGUSR1};
    struct rig *rig = *state;
    struct sigwatch *watch = NULL;

    assert_int_equal(sigwatch_block(signos, 1), 0);
    assert_int_equal(sigwatch_create(rig->loop, signos, 1, on_signal, rig, &watch), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_turn(rig->loop, CLOCK_US_PER_SECOND), 0);
    assert_string_equal(rig->order, "s");
    sigwatch_destroy(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_in_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_graveyard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_stands_in_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scratch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_and_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
