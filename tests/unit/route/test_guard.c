/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/topo.h"
#include "weir/route/causal.h"
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
    assert_false(conf.raw_is_adaptive);
    assert_int_equal(conf.max_lag_us, 99);
    assert_int_equal(conf.sample_max_age_us, 1000000);
    /* adaptive: the window is the ceiling, which is as long as the safe one when not given */
    config.read_after_write.window_us = CONFIG_WINDOW_ADAPTIVE;
    config.read_after_write.ceiling_us = 9000;
    config.read_after_write.floor_us = 7;
    config.read_after_write.margin_us = 8;
    route_conf_init(&config, &conf);
    assert_true(conf.raw_is_adaptive);
    assert_int_equal(conf.raw_window_us, 9000);
    assert_int_equal(conf.raw_floor_us, 7);
    assert_int_equal(conf.raw_margin_us, 8);
    config.read_after_write.ceiling_us = UINT64_MAX;
    route_conf_init(&config, &conf);
    assert_int_equal(conf.raw_window_us, 99 + 250000 * 4 + 1000000);
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
    assert_int_equal(guard_until_us(board, &conf, 0, ann, 0), 0);
    mine = guard_mark(board, ann, 0, 5000);
    assert_int_equal(mine, 5000);
    assert_int_equal(guard_until_us(board, &conf, mine, ann, 0), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, ann, 0), 0); /* another session of hers */
    conf.raw_scope = CONFIG_SCOPE_USER;
    assert_int_equal(guard_until_us(board, &conf, 0, ann, 0), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 0);
    assert_int_equal(guard_until_us(board, &conf, 6000, ann, 0), 7000); /* the later one counts */
    conf.raw_scope = CONFIG_SCOPE_GLOBAL;
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 6000);
    /* Marks never go back. */
    assert_int_equal(guard_mark(board, bob, 0, 4000), 4000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 6000);
    /* The window is that of now, not of when it was written. */
    conf.raw_window_us = 3000;
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 8000);
    /* Without a board only the session knows. */
    assert_int_equal(guard_mark(NULL, bob, 0, 1), 1);
    assert_int_equal(guard_until_us(NULL, &conf, 12, bob, 0), 3012);
    guard_board_destroy(board);
    guard_board_destroy(NULL);
}

static void test_keys(void **state)
{
    struct guard_board *board = guard_board_create();
    struct route_conf conf = {.raw_window_us = 1000, .raw_scope = CONFIG_SCOPE_KEY};
    uint32_t cart = guard_key_slot(SPAN_LIT("cart:7"));
    uint32_t other = guard_key_slot(SPAN_LIT("cart:8"));

    (void)state;
    assert_true(cart != other && cart != 0 && other != 0);
    assert_int_equal(guard_mark(board, 1, cart, 5000), 5000);
    assert_int_equal(guard_until_us(board, &conf, 0, 1, cart), 6000); /* another session */
    assert_int_equal(guard_until_us(board, &conf, 0, 1, other), 0);
    assert_int_equal(guard_until_us(board, &conf, 0, 1, 0), 0); /* without a key: its own */
    assert_int_equal(guard_until_us(board, &conf, 7000, 1, 0), 8000);
    assert_int_equal(guard_until_us(board, &conf, 7000, 1, cart), 8000); /* the later one */
    conf.raw_scope = CONFIG_SCOPE_USER;
    assert_int_equal(guard_until_us(board, &conf, 0, 2, cart), 6000); /* beside every scope */
    assert_int_equal(guard_mark(board, 2, 0, 9000), 9000);
    assert_int_equal(guard_until_us(board, &conf, 0, 3, cart), 6000);
    assert_int_equal(guard_until_us(NULL, &conf, 0, 3, cart), 0);
    guard_board_destroy(board);
}

/* What other weirs say, by the slots of the board of tokens. */
static void test_heard(void **state)
{
    struct guard_board *board = guard_board_create();
    struct route_conf conf = {.raw_window_us = 1000, .raw_scope = CONFIG_SCOPE_USER};
    uint32_t ann = guard_user_slot(SPAN_LIT("ann"));
    uint32_t bob = guard_user_slot(SPAN_LIT("bob"));
    uint32_t key = guard_key_slot(SPAN_LIT("bob"));

    (void)state;
    guard_hear(board, causal_slot_user(SPAN_LIT("ann")), 5000);
    assert_int_equal(guard_until_us(board, &conf, 0, ann, 0), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 0);
    guard_hear(board, causal_slot_key(SPAN_LIT("bob")), 5000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, key), 6000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, guard_key_slot(SPAN_LIT("ann"))), 0);
    assert_int_equal(guard_causal_key(key), causal_slot_key(SPAN_LIT("bob")));
    guard_hear(board, CAUSAL_SLOT_ALL, 5000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 0);
    conf.raw_scope = CONFIG_SCOPE_GLOBAL;
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 6000);
    guard_missed(board, 7000);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 8000);
    conf.raw_scope = CONFIG_SCOPE_USER;
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 8000);
    conf.raw_scope = CONFIG_SCOPE_SESSION;
    assert_int_equal(guard_until_us(board, &conf, 0, bob, 0), 0);
    assert_int_equal(guard_until_us(board, &conf, 0, bob, key), 8000);
    guard_board_destroy(board);
}

static void test_strict(void **state)
{
    struct route_conf conf = {.raw_mode = CONFIG_RAW_STRICT, .raw_window_us = 1000};

    (void)state;
    assert_true(guard_is_renewed(&conf, 6000, 5999));
    assert_false(guard_is_renewed(&conf, 6000, 6000)); /* idle for as long */
    assert_false(guard_is_renewed(&conf, 0, 5));       /* it has never written */
    conf.raw_mode = CONFIG_RAW_WINDOW;
    assert_false(guard_is_renewed(&conf, 6000, 5999));
}

/* --- adaptive --- */

#define SECOND UINT64_C(1000000)

static struct topo *two_replicas(uint64_t first_us, uint64_t second_us, uint64_t resolution_us)
{
    struct topo *topo = topo_create(3);

    assert_non_null(topo);
    topo->servers[0].role = TOPO_ROLE_PRIMARY;
    topo->servers[0].state = TOPO_ST_UP;
    topo->servers[0].lag_us = 0;
    for (int i = 1; i < 3; i++) {
        topo->servers[i].role = TOPO_ROLE_REPLICA;
        topo->servers[i].state = TOPO_ST_UP;
        topo->servers[i].lag_us = i == 1 ? first_us : second_us;
        topo->servers[i].lag_resolution_us = resolution_us;
    }
    return topo;
}

/* count notes, 100 ms apart, that end at *now_us. */
static void lags_run(struct guard_lags *lags, struct topo *topo, unsigned count, uint64_t *now_us)
{
    for (unsigned i = 0; i < count; i++) {
        *now_us += SECOND / 10;
        guard_lags_note(lags, topo, 300 * SECOND, *now_us);
    }
}

static void test_lags(void **state)
{
    struct guard_lags lags = {.len_us = 0};
    struct topo *calm = two_replicas(10000, 40000, 250000);
    struct topo *late = two_replicas(10000, 3 * SECOND, 250000);
    struct topo *out = two_replicas(10000, 9 * SECOND, 250000);
    uint64_t now_us = 1000 * SECOND;

    (void)state;
    assert_true(guard_lags_us(&lags) == GUARD_LAG_UNKNOWN);
    lags_run(&lags, calm, GUARD_LAG_LEAST - 1, &now_us);
    assert_true(guard_lags_us(&lags) == GUARD_LAG_UNKNOWN);
    lags_run(&lags, calm, 1, &now_us);
    assert_in_range(guard_lags_us(&lags), 290000, 290000 * 5 / 4);
    /* what is out is not read from */
    out->servers[2].state = TOPO_ST_LAGGING;
    lags_run(&lags, out, 900, &now_us);
    assert_in_range(guard_lags_us(&lags), 260000, 290000 * 5 / 4);
    /* worse now: at once */
    lags_run(&lags, late, 1, &now_us);
    assert_int_equal(guard_lags_us(&lags), 3250000);
    /* over: one in a hundred does not matter, more do */
    lags_run(&lags, calm, 1, &now_us);
    assert_in_range(guard_lags_us(&lags), 260000, 290000 * 5 / 4);
    lags_run(&lags, late, 40, &now_us);
    lags_run(&lags, calm, 1, &now_us);
    assert_in_range(guard_lags_us(&lags), 3250000, 3250000U * 5 / 4);
    /* and forgotten */
    lags_run(&lags, calm, 3100, &now_us);
    assert_in_range(guard_lags_us(&lags), 290000, 290000 * 5 / 4);
    /* nobody in use: what was known stays, until it is too old */
    calm->servers[1].state = calm->servers[2].state = TOPO_ST_DOWN;
    lags_run(&lags, calm, 1000, &now_us);
    assert_in_range(guard_lags_us(&lags), 290000, 290000 * 5 / 4);
    lags_run(&lags, calm, 3000, &now_us);
    assert_true(guard_lags_us(&lags) == GUARD_LAG_UNKNOWN);
    topo_unref(calm);
    topo_unref(late);
    topo_unref(out);
}

/* Whatever the lag, it is never made smaller, nor larger by more than a quarter. */
static void test_lag_rounding(void **state)
{
    uint64_t lag_us = 1;

    (void)state;
    for (; lag_us < 86400 * SECOND; lag_us += lag_us / 7 + 1) {
        struct guard_lags lags = {.len_us = 0};
        struct topo *topo = two_replicas(lag_us, 0, 0);
        uint64_t now_us = 50 * SECOND;

        lags_run(&lags, topo, GUARD_LAG_LEAST, &now_us);
        topo->servers[1].lag_us = 0;
        lags_run(&lags, topo, 1, &now_us); /* so that it is not what is the case now */
        assert_true(guard_lags_us(&lags) >= lag_us);
        assert_true(guard_lags_us(&lags) <= lag_us * 5 / 4 + 256);
        topo_unref(topo);
    }
}

static void test_adaptive(void **state)
{
    struct guard_board *board = guard_board_create();
    struct route_conf conf = {.raw_is_adaptive = true,
                              .raw_window_us = 7 * SECOND,
                              .raw_floor_us = SECOND / 2,
                              .raw_margin_us = SECOND / 4};

    (void)state;
    assert_int_equal(guard_window_us(board, &conf), 7 * SECOND); /* nothing is known */
    assert_int_equal(guard_window_us(NULL, &conf), 7 * SECOND);
    guard_board_set_lag(board, SECOND);
    assert_int_equal(guard_window_us(board, &conf), SECOND * 5 / 4);
    guard_board_set_lag(board, 10);
    assert_int_equal(guard_window_us(board, &conf), SECOND / 2);
    guard_board_set_lag(board, 7 * SECOND - 1);
    assert_int_equal(guard_window_us(board, &conf), 7 * SECOND);
    guard_board_set_lag(board, 100 * SECOND);
    assert_int_equal(guard_window_us(board, &conf), 7 * SECOND);
    guard_board_set_lag(board, SECOND);
    assert_int_equal(guard_until_us(board, &conf, 10 * SECOND, 0, 0), 10 * SECOND + SECOND * 5 / 4);
    conf.raw_is_adaptive = false;
    assert_int_equal(guard_window_us(board, &conf), 7 * SECOND);
    guard_board_destroy(board);
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
        uint64_t until_us = guard_mark(marker->board, (uint32_t)(i % 3), 0, marker->from_us + i);

        /* What has been marked is seen at once, whoever else marks. */
        if (guard_until_us(marker->board, &conf, 0, 0, 0) < until_us) {
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
    struct route_conf conf = {.raw_scope = CONFIG_SCOPE_GLOBAL, .raw_window_us = 10};

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
    assert_int_equal(guard_until_us(board, &conf, 0, 0, 0), 3000 + 19999 + 10);
    guard_board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_default), cmocka_unit_test(test_conf),
        cmocka_unit_test(test_scopes),         cmocka_unit_test(test_keys),
        cmocka_unit_test(test_heard),          cmocka_unit_test(test_strict),
        cmocka_unit_test(test_lags),           cmocka_unit_test(test_lag_rounding),
        cmocka_unit_test(test_adaptive),       cmocka_unit_test(test_marks_from_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
