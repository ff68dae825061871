/* SPDX-License-Identifier: Apache-2.0 */
/* err, str, list and rand: the small ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/list.h"
#include "weir/util/rand.h"
#include "weir/util/str.h"

static void err_texts_are_told_apart(void **unused)
{
    (void)unused;
    assert_string_equal(err_text(0), "no error");
    assert_string_equal(err_text(-WR_E_BAD_PACKET), "malformed packet");
    assert_string_equal(err_text(-WR_E_NOT_FOUND), "not found");
    assert_string_equal(err_text(-WR_E_END_), "unknown error");
    assert_string_equal(err_text(-1000000), "unknown error");
    assert_string_equal(err_text(INT32_MIN + 1), "unknown error");
    assert_string_equal(err_text(-ENOMEM), strerrordesc_np(ENOMEM));
    for (int err = WR_E_BASE; err < (int)WR_E_END_; err++) {
        assert_true(strlen(err_text(-err)) > 0);
        assert_string_not_equal(err_text(-err), "unknown error");
    }
}

static void span_compares(void **unused)
{
    (void)unused;
    static const struct {
        const char *a;
        const char *b;
        bool is_equal;
        bool is_equal_nocase;
    } rows[] = {
        {"", "", true, true},
        {"a", "a", true, true},
        {"a", "A", false, true},
        {"abc", "abd", false, false},
        {"a", "ab", false, false},
        {"z[", "Z{", false, false},
        {"select", "SELECT", false, true},
        {"\xe4", "\xc4", false, false},
        {"@", "`", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span a = span_of(rows[i].a);
        assert_int_equal(span_eq(a, span_of(rows[i].b)), rows[i].is_equal);
        assert_int_equal(span_eq_nocase(a, span_of(rows[i].b)), rows[i].is_equal_nocase);
        assert_int_equal(span_eq_text(a, rows[i].b), rows[i].is_equal);
        assert_int_equal(span_eq_text_nocase(a, rows[i].b), rows[i].is_equal_nocase);
    }
    assert_int_equal(span_of(NULL).len, 0);
    assert_true(span_eq(span_of(NULL), SPAN_LIT("")));
}

static void span_copy_cuts_and_terminates(void **unused)
{
    (void)unused;
    char dst[4] = "xyz";

    assert_int_equal(span_copy(SPAN_LIT("abcdef"), dst, sizeof(dst)), 3);
    assert_string_equal(dst, "abc");
    assert_int_equal(span_copy(span_of(NULL), dst, sizeof(dst)), 0);
    assert_string_equal(dst, "");
    dst[0] = 'k';
    assert_int_equal(span_copy(SPAN_LIT("abc"), dst, 0), 0);
    assert_int_equal(dst[0], 'k');
}

struct item {
    int number;
    struct list_node link;
};

static void check_list(struct list *list, const int *want, size_t count)
{
    size_t i = 0;

    assert_int_equal(list_count(list), count);
    list_for_each (node, list) {
        assert_int_equal(list_entry(node, struct item, link)->number, want[i]);
        i++;
    }
    assert_int_equal(list_is_empty(list), count == 0);
}

static void list_keeps_order(void **unused)
{
    (void)unused;
    struct list list;
    struct list other;
    struct item items[5];

    list_init(&list);
    list_init(&other);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_node_init(&items[i].link);
        assert_false(list_node_is_linked(&items[i].link));
    }
    assert_null(list_pop(&list));
    list_remove(&items[0].link); /* in no list: nothing happens */
    list_push(&list, &items[1].link);
    list_push(&list, &items[2].link);
    list_push_front(&list, &items[0].link);
    check_list(&list, (const int[]){0, 1, 2}, 3);
    list_push(&other, &items[3].link);
    list_push(&other, &items[4].link);
    list_splice(&list, &other);
    check_list(&list, (const int[]){0, 1, 2, 3, 4}, 5);
    check_list(&other, NULL, 0);
    list_splice(&list, &other);
    list_for_each_safe (node, &list) {
        if (list_entry(node, struct item, link)->number % 2 == 1) {
            list_remove(node);
            assert_false(list_node_is_linked(node));
        }
    }
    check_list(&list, (const int[]){0, 2, 4}, 3);
    assert_ptr_equal(list_pop(&list), &items[0].link);
    list_insert_before(&items[4].link, &items[3].link);
    check_list(&list, (const int[]){2, 3, 4}, 3);
    assert_ptr_equal(list_first(&list), &items[2].link);
}

static void rand_repeats_by_seed(void **unused)
{
    (void)unused;
    struct rand_state a;
    struct rand_state b;
    struct rand_state c;
    int same = 0;

    rand_seed(&a, 42);
    rand_seed(&b, 42);
    rand_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rand_u64(&a);
        assert_int_equal(x, rand_u64(&b));
        same += x == rand_u64(&c);
    }
    assert_int_equal(same, 0);
    /* The generator's published first outputs for the state {1, 2, 3, 4}. */
    a = (struct rand_state){{1, 2, 3, 4}};
    assert_int_equal(rand_u64(&a), 11520);
    assert_int_equal(rand_u64(&a), 0);
    assert_int_equal(rand_u64(&a), 1509978240);
    assert_int_equal(rand_u64(&a), 1215971899390074240);
}

static void rand_below_is_even(void **unused)
{
    (void)unused;
    enum {
        BINS = 7,
        PICKS = 70000
    };
    struct rand_state rng;
    int seen[BINS] = {0};
    double chi = 0;

    rand_seed(&rng, 7);
    assert_int_equal(rand_below(&rng, 0), 0);
    assert_int_equal(rand_below(&rng, 1), 0);
    for (int i = 0; i < PICKS; i++) {
        uint64_t bin = rand_below(&rng, BINS);
        assert_true(bin < BINS);
        seen[bin]++;
        double unit = rand_unit(&rng);
        assert_true(unit >= 0 && unit < 1);
    }
    for (int i = 0; i < BINS; i++) {
        double off = seen[i] - PICKS / (double)BINS;
        chi += off * off / (PICKS / (double)BINS);
    }
    assert_true(chi < 22.46); /* p = 0.001 with six degrees of freedom */
    /* A bound just above half the range: without rejection the low half came twice as often. */
    uint64_t bound = (UINT64_C(1) << 63) + 1;
    int low = 0;
    for (int i = 0; i < 10000; i++) {
        low += rand_below(&rng, bound) < bound / 2;
    }
    assert_in_range(low, 4750, 5250);
    struct rand_state other;
    rand_seed_system(&rng);
    rand_seed_system(&other);
    assert_int_not_equal(rand_u64(&rng), rand_u64(&other));
}

static void clock_formats(void **unused)
{
    (void)unused;
    char text[CLOCK_UTC_SIZE];

    clock_format_utc(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_format_utc(UINT64_C(1709210096) * 1000000 + 42, text);
    assert_string_equal(text, "2024-02-29T12:34:56.000042Z");
    uint64_t before = clock_now_us();
    assert_true(before > 0 && clock_now_us() >= before);
    assert_true(clock_wall_us() > UINT64_C(1600000000) * 1000000);
    uint64_t cpu = clock_thread_cpu_us();
    while (clock_thread_cpu_us() == cpu) {
    }
}

static void checks_count_and_go_on(void **unused)
{
    (void)unused;
    uint64_t before = assert_check_count();

    assert_true(WR_CHECK(1 + 1 == 2));
    assert_int_equal(assert_check_count(), before);
    assert_false(WR_CHECK(assert_check_count() != before));
    assert_int_equal(assert_check_count(), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_texts_are_told_apart),
        cmocka_unit_test(span_compares),
        cmocka_unit_test(span_copy_cuts_and_terminates),
        cmocka_unit_test(list_keeps_order),
        cmocka_unit_test(rand_repeats_by_seed),
        cmocka_unit_test(rand_below_is_even),
        cmocka_unit_test(clock_formats),
        cmocka_unit_test(checks_count_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
