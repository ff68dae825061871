/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/route/guard.h"

static void test_window_default(void **state)
{
    (void)state;
    /* 5 s of lag, seen too late by four samples of 250 ms, told in whole seconds */
    assert_int_equal(guard_window_default_us(5000000, 250000, 3, 1000000), 7000000);
    assert_int_equal(guard_window_default_us(0, 250000, 0, 0), 250000);
}

static void test_conf(void **state)
{
    struct config config;
    struct route_conf conf;

    (void)state;
    memset(&config, 0, sizeof(config));
    config.balance.policy = CONFIG_LATENCY;
    config.balance.reads_on_primary = CONFIG_READS_NEVER;
    config.read_after_write.mode = CONFIG_RAW_OFF;
    config.read_after_write.scope = CONFIG_SCOPE_GLOBAL;
    config.read_after_write.window_us = 1234;
    config.monitor.max_lag_us = 99;
    config.monitor.interval_us = 250000;
    config.monitor.failures = 3;
    route_conf_init(&config, &conf);
    assert_int_equal(conf.policy, CONFIG_LATENCY);
    assert_int_equal(conf.reads_on_primary, CONFIG_READS_NEVER);
    assert_int_equal(conf.raw_mode, CONFIG_RAW_OFF);
    assert_int_equal(conf.raw_scope, CONFIG_SCOPE_GLOBAL);
    assert_int_equal(conf.raw_window_us, 1234);
    assert_int_equal(conf.max_lag_us, 99);
    assert_int_equal(conf.sample_max_age_us, 1000000);
}

static void test_scopes(void **state)
{
    struct guard_board *board = guard_board_create();
    struct route_conf conf = {.raw_window_us = 1000, .raw_scope = CONFIG_SCOPE_SESSION};
    uint32_t ann = guard_user_slot(SPAN_LIT("ann"));
    uint32_t bob = guard_user_slot(SPAN_LIT("bob"));
    uint64_t mine = 0;

    (void)state;
    assert_true(ann != bob && ann < GUARD_SLOTS && bob < GUARD_SLOTS);
    assert_int_equal(guard_until_us(board, &conf, 0, ann), 0);
    mine = guard_mark(board, &conf, ann, 5000);
    assert_int_equal(mine, 6000);
    assert_int_equal(guard_until_us(board, &conf, mine, ann), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, ann), 0); /* another session of hers */
    conf.raw_scope = CONFIG_SCOPE_USER;
    assert_int_equal(guard_until_us(board, &conf, 0, ann), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob), 0);
    assert_int_equal(guard_until_us(board, &conf, 7000, ann), 7000); /* the later one counts */
    conf.raw_scope = CONFIG_SCOPE_GLOBAL;
    assert_int_equal(guard_until_us(board, &conf, 0, bob), 6000);
    /* Marks never go back. */
    assert_int_equal(guard_mark(board, &conf, bob, 4000), 5000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob), 6000);
    /* Without a board only the session knows. */
    assert_int_equal(guard_mark(NULL, &conf, bob, 1), 1001);
    assert_int_equal(guard_until_us(NULL, &conf, 12, bob), 12);
    guard_board_destroy(board);
    guard_board_destroy(NULL);
}

struct marker {
    struct guard_board *board;
    uint64_t from_us;
};

static void *mark_many(void *arg)
{
    struct marker *marker = arg;
    struct route_conf conf = {.raw_window_us = 10, .raw_scope = CONFIG_SCOPE_GLOBAL};

    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t until_us =
            guard_mark(marker->board, &conf, (uint32_t)(i % 3), marker->from_us + i);

        /* What has been marked is seen at once, whoever else marks. */
        if (guard_until_us(marker->board, &conf, 0, 0) < until_us) {
            return NULL;
        }
    }
    return marker;
}

static void test_marks_from_threads(void **state)
{
    struct guard_board *board = guard_board_create();
    struct marker markers[4];
    pthread_t threads[4];
    struct route_conf conf = {.raw_scope = CONFIG_SCOPE_GLOBAL};

    (void)state;
    for (int i = 0; i < 4; i++) {
        markers[i] = (struct marker){board, (uint64_t)i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, mark_many, &markers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(guard_until_us(board, &conf, 0, 0), 3000 + 19999 + 10);
    guard_board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_default),
        cmocka_unit_test(test_conf),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_marks_from_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
