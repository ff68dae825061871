/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "weir/util/buf.h"
#include "weir/util/str.h"

#include "acked_priv.h"

#define U    "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define KEEP UINT64_C(1000)

static void note(struct acked *acked, const char *text, uint64_t now_us)
{
    struct gtid_set set;

    gtid_init(&set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &GTID_LIMITS_TOKEN, &set), 0);
    acked_note(acked, &set, now_us, KEEP);
    gtid_fini(&set);
}

static void expect(struct acked *acked, const char *want)
{
    struct gtid_set set;
    struct buf text = {0};

    gtid_init(&set);
    acked_take(acked, &set);
    assert_int_equal(gtid_format(&set, &text, 4096), 0);
    assert_true(span_eq_text(buf_span(&text), want));
    gtid_fini(&set);
    buf_fini(&text);
}

static void test_kept_long_enough(void **state)
{
    struct acked acked = {.began_us = 0};

    (void)state;
    expect(&acked, "");
    note(&acked, "0-1-5", 5000);
    expect(&acked, "0-1-5");
    expect(&acked, ""); /* taken is gone */
    note(&acked, U ":1", 6000);
    note(&acked, U ":2", 6999); /* the same half */
    note(&acked, U ":4", 7000); /* the next: the one before stays */
    expect(&acked, U ":1-2:4");
    note(&acked, U ":1", 10000);
    note(&acked, U ":3", 11500);
    note(&acked, U ":5", 12500); /* the first is older than two halves */
    expect(&acked, U ":3:5");
    note(&acked, U ":1", 20000);
    note(&acked, U ":9", 30000); /* nothing for a long time */
    expect(&acked, U ":9");
    acked_fini(&acked);
}

static void test_few_ranges(void **state)
{
    struct acked acked = {.began_us = 0};
    char text[64];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) { /* every third, two sources by turns, out of order */
        unsigned n = (i ^ 1U) * 3 + 1;

        (void)snprintf(text, sizeof text, "%s:%u",
                       i % 2 == 0 ? U : "bbbbbbbb-aaaa-aaaa-aaaa-aaaaaaaaaaaa", n);
        note(&acked, text, 100);
        assert_true(acked.sets[0].count <= ACKED_RANGES);
    }
    /* from the first to the last of each */
    struct gtid_set set;

    gtid_init(&set);
    acked_take(&acked, &set);
    assert_true(set.count >= 2 && set.ranges[0].from == 4 && set.ranges[set.count - 1].to == 2995);
    gtid_fini(&set);
    /* MariaDB: the furthest of each domain */
    note(&acked, "0-1-7,3-1-2", 100);
    note(&acked, "0-1-6", 100);
    expect(&acked, "0-1-7,3-1-2");
    acked_fini(&acked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_long_enough),
        cmocka_unit_test(test_few_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
