/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notes_priv.h"

#define SECOND UINT64_C(1000000)

static void test_behind(void **state)
{
    struct notes notes = {.count = 0};
    uint64_t since = 0;
    bool is_older = false;

    (void)state;
    assert_null(notes_newest(&notes));
    assert_false(notes_is_behind(&notes, 1, 1, &since, &is_older));
    notes_add(&notes, 1, 10, 1 * SECOND);
    notes_add(&notes, 1, 10, 2 * SECOND);
    notes_add(&notes, 1, 20, 3 * SECOND);
    notes_add(&notes, 2, 5, 4 * SECOND);
    assert_int_equal(notes.count, 3);
    assert_false(notes_is_behind(&notes, 2, 5, &since, &is_older));
    assert_false(notes_is_behind(&notes, 2, 6, &since, &is_older));
    assert_true(notes_is_behind(&notes, 2, 4, &since, &is_older));
    assert_int_equal(since, 3 * SECOND);
    assert_true(notes_is_behind(&notes, 1, 10, &since, &is_older));
    assert_int_equal(since, 2 * SECOND); /* it was still the end then */
    assert_false(is_older);
    assert_true(notes_is_behind(&notes, 1, 9, &since, &is_older));
    assert_int_equal(since, 1 * SECOND);
    assert_true(is_older);
    /* back: another count */
    notes_add(&notes, 1, 19, 5 * SECOND);
    assert_int_equal(notes.count, 1);
}

/* Four hours of notes, four a second: whoever is late by whatever time is found to be late by that
 * much or more, and by no more than a fifth above it. */
static void test_reach(void **state)
{
    struct notes notes = {.count = 0};
    uint64_t now = 0;

    (void)state;
    for (uint64_t i = 1; i <= UINT64_C(4) * 3600 * 4; i++) {
        now = i * SECOND / 4;
        notes_add(&notes, 1, i, now);
        assert_true(notes.count <= NOTES_MAX);
    }
    for (uint64_t late = 1; late <= UINT64_C(3600) * 4; late++) {
        uint64_t since = 0;
        bool is_older = false;

        assert_true(notes_is_behind(&notes, 1, now * 4 / SECOND - late, &since, &is_older));
        assert_true(now - since >= late * SECOND / 4);
        assert_true(now - since <= late * SECOND / 4 * 6 / 5 + SECOND / 4);
        assert_false(is_older);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
