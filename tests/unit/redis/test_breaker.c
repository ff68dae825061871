/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/redis/breaker.h"

static void opens_and_closes(void **state)
{
    struct breaker breaker;
    (void)state;
    breaker_init(&breaker, 1);
    uint64_t now_us = 0;
    for (unsigned i = 0; i < 100; i++) { /* well for long enough between them */
        assert_false(breaker_bad(&breaker, false, now_us));
        assert_false(breaker_bad(&breaker, false, now_us));
        now_us += BREAKER_HEAL_US;
        assert_false(breaker_good(&breaker, false, now_us));
    }
    /* one that answers now and then is not */
    assert_false(breaker_bad(&breaker, false, now_us));
    assert_false(breaker_good(&breaker, false, now_us + 5));
    assert_false(breaker_bad(&breaker, false, now_us + BREAKER_HEAL_US));
    assert_false(breaker_good(&breaker, false, now_us + 5 + BREAKER_HEAL_US));
    assert_true(breaker_bad(&breaker, false, now_us + BREAKER_HEAL_US + 1000));
    assert_false(breaker_is_closed(&breaker));
    /* what was sent before changes nothing */
    assert_false(breaker_good(&breaker, false, 1000));
    assert_false(breaker_bad(&breaker, false, 1000));
    assert_false(breaker_begin_probe(&breaker, breaker.until_us - 1));
    assert_true(breaker_begin_probe(&breaker, breaker.until_us));
    assert_false(breaker_begin_probe(&breaker, breaker.until_us)); /* one */
    for (unsigned i = 0; i < BREAKER_PROBES; i++) {
        assert_false(breaker_is_closed(&breaker));
        assert_true(i == 0 || breaker_begin_probe(&breaker, breaker.until_us));
        assert_true(breaker_good(&breaker, true, breaker.until_us));
    }
    assert_true(breaker_is_closed(&breaker));
    assert_false(breaker_good(&breaker, true, 0)); /* of a probe that nobody waits for */
    assert_int_equal(breaker.opened, 1);
    /* the pause is a short one again only after it was well */
    assert_int_equal(breaker.pause_us, 2 * BREAKER_PAUSE_MIN_US);
    assert_false(breaker_good(&breaker, false, breaker.failed_us + BREAKER_HEAL_US));
    assert_int_equal(breaker.pause_us, BREAKER_PAUSE_MIN_US);
}

static void pauses(void **state)
{
    uint64_t bound_us = BREAKER_PAUSE_MIN_US;
    uint64_t spread_us[2] = {UINT64_MAX, 0};
    (void)state;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct breaker breaker;
        uint64_t now_us = 5;

        breaker_init(&breaker, seed);
        bound_us = BREAKER_PAUSE_MIN_US;
        for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
            (void)breaker_bad(&breaker, false, now_us);
        }
        spread_us[0] = breaker.until_us < spread_us[0] ? breaker.until_us : spread_us[0];
        spread_us[1] = breaker.until_us > spread_us[1] ? breaker.until_us : spread_us[1];
        for (unsigned i = 0; i < 12; i++) {
            assert_in_range(breaker.until_us - now_us, bound_us / 2, bound_us);
            now_us = breaker.until_us;
            assert_true(breaker_begin_probe(&breaker, now_us));
            assert_true(breaker_bad(&breaker, true, now_us));
            bound_us = bound_us * 2 < BREAKER_PAUSE_MAX_US ? bound_us * 2 : BREAKER_PAUSE_MAX_US;
        }
    }
    assert_true(spread_us[1] - spread_us[0] > BREAKER_PAUSE_MIN_US / 4);
    assert_string_equal(breaker_state_text(BREAKER_ST_HALF), "half");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(opens_and_closes),
                                       cmocka_unit_test(pauses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
