/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verdict_priv.h"

#define STEP_US UINT64_C(250000)
#define FULL    TOPO_WEIGHT_ONE

static const struct verdict_conf CONF = {
    .stale_us = 1000000,
    .max_lag_us = 5000000,
    .recover_lag_us = 4000000,
    .failures = 3,
    .recover = 2,
};

/*
 * A script, one letter per sample of a fake clock:
 *   g good  L lag 6 s  l lag 4.5 s (late still, once it was too late)  s applier stopped
 *   b bad probe  r report of a worker  . nothing happened (the probe hangs)
 *   d drain  u undrain
 * and after each the state that must follow: n new, u up, l lagging, d down, x draining.
 */
struct script {
    const char *name;
    const char *events;
    const char *states;
};

static const struct script SCRIPTS[] = {
    {"never answers", "bbbbb", "nnddd"},
    {"up at the first good sample", "g", "u"},
    {"up at the first good sample, also after bad ones", "bbbbg", "nnddu"},
    {"one bad sample is none", "gbgbgbg", "uuuuuuu"},
    {"two are none", "gbbgbbg", "uuuuuuu"},
    {"three in a row are", "gbbbb", "uuudd"},
    {"back after two good ones", "gbbbggg", "uuudduu"},
    {"a bad one between starts the count anew", "gbbbgbgg", "uuuddddu"},
    {"reports count at once", "grrr", "uuud"},
    {"reports and bad samples count together", "gbrb", "uuud"},
    {"a hanging probe shows by the age of the last sample", "g.....", "uuuuud"},
    {"late: out at once", "gL", "ul"},
    {"late: back only well below the bound", "gLllgg", "ullllu"},
    {"late: back only after two in a row", "gLgLgg", "ullllu"},
    {"under the bound is no lag when it was never above", "gll", "uuu"},
    {"applier stopped", "gsggg", "ulluu"},
    {"late at the first sample", "Lgg", "llu"},
    {"drained and back", "gdgug", "uxxuu"},
    {"drained, failing meanwhile", "gdbbbugg", "uxxxxddu"},
    {"down while late", "gLbbbgg", "ulllddu"},
};

static enum topo_state state_of(char c)
{
    switch (c) {
    case 'n':
        return TOPO_ST_NEW;
    case 'u':
        return TOPO_ST_UP;
    case 'l':
        return TOPO_ST_LAGGING;
    case 'd':
        return TOPO_ST_DOWN;
    default:
        return TOPO_ST_DRAINING;
    }
}

static void play(struct verdict *verdict, char event, uint64_t now_us)
{
    struct verdict_health health = {.why = TOPO_WHY_NONE, .has_lag = true};

    switch (event) {
    case 'L':
        health.lag_us = 6000000;
        break;
    case 'l':
        health.lag_us = 4500000;
        break;
    case 's':
        health.why = TOPO_WHY_SQL_THREAD;
        health.has_lag = false;
        break;
    case 'b':
        verdict_on_bad(verdict, &CONF);
        return;
    case 'r':
        verdict_on_report(verdict, &CONF);
        return;
    case 'd':
    case 'u':
        verdict_drain(verdict, event == 'd');
        return;
    case '.':
        return;
    default:
        break;
    }
    verdict_on_good(verdict, &CONF, &health, now_us);
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCRIPTS) / sizeof(SCRIPTS[0]); i++) {
        const struct script *script = &SCRIPTS[i];
        struct verdict verdict;
        uint64_t now_us = 10000000;

        verdict_init(&verdict);
        for (size_t k = 0; script->events[k]; k++) {
            play(&verdict, script->events[k], now_us);
            verdict_tick(&verdict, &CONF, now_us);
            if (verdict.state != state_of(script->states[k])) {
                fail_msg("%s: after %.*s it is %s", script->name, (int)k + 1, script->events,
                         topo_state_text(verdict.state));
            }
            now_us += STEP_US;
        }
    }
}

static void test_reasons(void **state)
{
    static const struct {
        const char *events;
        enum topo_why why;
    } rows[] = {
        {"", TOPO_WHY_NEVER_PROBED},        {"g", TOPO_WHY_NONE},  {"gbbb", TOPO_WHY_FAILURES},
        {"grrr", TOPO_WHY_FAILURES},        {"gL", TOPO_WHY_LAG},  {"gs", TOPO_WHY_SQL_THREAD},
        {"gsg", TOPO_WHY_SQL_THREAD},       {"gsl", TOPO_WHY_LAG}, {"gd", TOPO_WHY_DRAINED},
        {"g......", TOPO_WHY_STALE_SAMPLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct verdict verdict;
        uint64_t now_us = 10000000;

        verdict_init(&verdict);
        for (const char *e = rows[i].events; *e; e++, now_us += STEP_US) {
            play(&verdict, *e, now_us);
            verdict_tick(&verdict, &CONF, now_us);
        }
        assert_int_equal(verdict.why, rows[i].why);
    }
}

static void test_weight(void **state)
{
    struct verdict verdict;
    uint64_t now_us = 10000000;

    (void)state;
    verdict_init(&verdict);
    assert_int_equal(verdict.scale, FULL);
    play(&verdict, 'g', now_us);
    play(&verdict, 'r', now_us);
    assert_int_equal(verdict.scale, FULL / 2);
    play(&verdict, 'b', now_us);
    assert_int_equal(verdict.scale, FULL / 4);
    play(&verdict, 'g', now_us);
    assert_int_equal(verdict.scale, FULL / 4 + VERDICT_SCALE_STEP);
    play(&verdict, 'L', now_us); /* no weight is regained while it is out */
    assert_int_equal(verdict.scale, FULL / 4 + VERDICT_SCALE_STEP);
    for (int i = 0; i < 40; i++) {
        play(&verdict, 'g', now_us);
    }
    assert_int_equal(verdict.scale, FULL);
    for (int i = 0; i < 40; i++) {
        play(&verdict, 'b', now_us);
    }
    assert_int_equal(verdict.scale, 1); /* a weight of 0 would never be tried again */
    /* Down: the first good samples do not give anything back. */
    play(&verdict, 'g', now_us);
    assert_int_equal(verdict.scale, 1);
    play(&verdict, 'g', now_us);
    assert_int_equal(verdict.state, TOPO_ST_UP);
    assert_int_equal(verdict.scale, 1 + VERDICT_SCALE_STEP);
}

static void test_stale_needs_more_than_its_bound(void **state)
{
    struct verdict verdict;

    (void)state;
    verdict_init(&verdict);
    play(&verdict, 'g', 5000000);
    verdict_tick(&verdict, &CONF, 6000000);
    assert_int_equal(verdict.state, TOPO_ST_UP);
    verdict_tick(&verdict, &CONF, 6000001);
    assert_int_equal(verdict.state, TOPO_ST_DOWN);
    assert_int_equal(verdict.scale, FULL / 2);
    verdict_tick(&verdict, &CONF, 7000000); /* once is enough */
    assert_int_equal(verdict.scale, FULL / 2);
    /* An answer to a question of long ago does not count as fresh. */
    play(&verdict, 'g', 5500000);
    play(&verdict, 'g', 5600000);
    verdict_tick(&verdict, &CONF, 7000000);
    assert_int_equal(verdict.state, TOPO_ST_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_weight),
        cmocka_unit_test(test_stale_needs_more_than_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
