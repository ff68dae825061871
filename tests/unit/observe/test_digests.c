/* SPDX-License-Identifier: Apache-2.0 */
/* The table against a model over random work; eviction; no memory; lists, merging, quantiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/observe/digests.h"
#include "weir/util/fault.h"

#define MODEL 512

static struct span text_of(uint64_t hash, char dst[64])
{
    return (struct span){(const uint8_t *)dst,
                         (size_t)snprintf(dst, 64, "SELECT %llu", (unsigned long long)hash)};
}

static uint32_t put(struct digests *digests, uint64_t hash, uint64_t latency_us, bool *ret_evicted)
{
    char text[64];
    const struct digest_sample sample = {
        .now_us = 7, .latency_us = latency_us, .bytes = 10, .is_cache_hit = latency_us < 100};
    uint32_t place = digests_find(digests, hash);

    *ret_evicted = false;
    if (place == DIGESTS_NONE) {
        place = digests_add(digests, hash, text_of(hash, text), 5, ret_evicted);
    }
    digests_record(digests, place, hash, &sample);
    return place;
}

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return *state >> 33;
}

/* With room for all of them nothing is lost, whatever the order. */
static void test_model(void **state)
{
    struct digests *digests = NULL;
    struct digest_list *list = NULL;
    uint64_t counts[MODEL] = {0};
    uint64_t seed = 1;
    uint32_t kinds = 0;
    bool evicted = false;

    (void)state;
    assert_int_equal(digests_create(MODEL, &digests), 0);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t hash = next(&seed) % MODEL;

        kinds += counts[hash] == 0 ? 1 : 0;
        counts[hash]++;
        (void)put(digests, hash, 100, &evicted);
        assert_false(evicted);
    }
    assert_int_equal(digests_count(digests), kinds);
    assert_int_equal(digests_list(digests, UINT32_MAX, &list), 0);
    assert_int_equal(list->count, kinds);
    assert_int_equal(list->left_off, 0);
    for (uint32_t i = 0; i < list->count; i++) {
        char text[64];
        struct span want = text_of(list->rows[i].hash, text);

        assert_int_equal(list->rows[i].count, counts[list->rows[i].hash]);
        assert_int_equal(list->rows[i].bytes, 10 * counts[list->rows[i].hash]);
        assert_int_equal(list->rows[i].first_us, 5);
        assert_true(span_eq(digest_text(&list->rows[i]), want));
    }
    /* a list outlives its table */
    digests_destroy(digests);
    assert_true(digest_text(&list->rows[0]).len > 0);
    digest_list_free(list);
}

/* A table of every small size under random work: never larger, what it knows is right, and what was
 * just added is there. */
static void test_evict(void **state)
{
    bool evicted = false;

    (void)state;
    for (uint32_t max = 1; max < 40; max++) {
        struct digests *digests = NULL;
        struct digest_list *list = NULL;
        uint64_t seed = max;
        uint64_t gone = 0;

        assert_int_equal(digests_create(max, &digests), 0);
        for (unsigned i = 0; i < 5000; i++) {
            uint64_t hash = next(&seed) % 97 * UINT64_C(0x9E3779B97F4A7C15);
            uint32_t place = put(digests, hash, 1, &evicted);

            gone += evicted ? 1 : 0;
            assert_true(place < max);
            assert_int_equal(digests_find(digests, hash), place);
            assert_true(digests_count(digests) <= max);
        }
        assert_int_equal(digests_list(digests, max, &list), 0);
        assert_int_equal(list->count, max);
        assert_int_equal(list->evicted, gone);
        for (uint32_t i = 0; i < list->count; i++) {
            assert_int_not_equal(digests_find(digests, list->rows[i].hash), DIGESTS_NONE);
        }
        digest_list_free(list);
        digests_destroy(digests);
    }
}

/* One that is used all the time stays, whatever passes by. */
static void test_used_stays(void **state)
{
    struct digests *digests = NULL;
    bool evicted = false;

    (void)state;
    assert_int_equal(digests_create(16, &digests), 0);
    (void)put(digests, 1, 1, &evicted);
    for (uint64_t hash = 100; hash < 1000; hash++) {
        (void)put(digests, hash, 1, &evicted);
        assert_int_not_equal(digests_find(digests, 1), DIGESTS_NONE);
    }
    /* a statement that began before its digest was forgotten is not counted as another */
    uint32_t place = digests_find(digests, 1);
    const struct digest_sample sample = {.latency_us = 1};

    digests_record(digests, place, 2, &sample);
    digests_record(digests, DIGESTS_NONE, 1, &sample);
    digests_record(digests, 16, 1, &sample);
    digests_destroy(digests);
}

static void test_text_cut(void **state)
{
    static uint8_t long_text[4096];
    struct digests *digests = NULL;
    struct digest_list *list = NULL;
    bool evicted = false;

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(digests_create(2, &digests), 0);
    assert_int_equal(
        digests_add(digests, 1, (struct span){long_text, sizeof(long_text)}, 1, &evicted), 0);
    assert_int_equal(digests_add(digests, 2, (struct span){NULL, 0}, 1, &evicted), 1);
    assert_int_equal(digests_list(digests, 5, &list), 0);
    assert_int_equal(digest_text(&list->rows[0]).len + digest_text(&list->rows[1]).len,
                     DIGEST_TEXT_MAX);
    digest_list_free(list);
    digests_destroy(digests);
}

static void test_quantiles(void **state)
{
    struct digest_row row = {.hash = 1};
    struct digests *digests = NULL;
    struct digest_list *list = NULL;
    bool evicted = false;

    (void)state;
    assert_int_equal(digest_quantile_us(&row, 0.5), 0);
    assert_int_equal(digests_create(1, &digests), 0);
    for (unsigned us = 1; us <= 1000; us++) {
        (void)put(digests, 1, us, &evicted);
    }
    (void)put(digests, 1, UINT64_C(1) << 40, &evicted); /* above every bucket */
    assert_int_equal(digests_list(digests, 1, &list), 0);
    row = list->rows[0];
    assert_int_equal(row.max_us, UINT64_C(1) << 40);
    /* two buckets per doubling: at most half as much again as the true value, never below it */
    for (unsigned percent = 5; percent <= 95; percent += 5) {
        uint64_t want = percent * 10;
        uint64_t got = digest_quantile_us(&row, percent / 100.0);

        assert_true(got >= want);
        assert_true(got <= want * 3 / 2 + 16);
    }
    assert_int_equal(digest_quantile_us(&row, 1.0), row.max_us);
    digest_list_free(list);
    digests_destroy(digests);
}

static void test_list_top(void **state)
{
    struct digests *digests = NULL;
    struct digest_list *list = NULL;
    bool evicted = false;

    (void)state;
    assert_int_equal(digests_create(1000, &digests), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        (void)put(digests, i, (i * 7919) % 1000, &evicted);
    }
    assert_int_equal(digests_list(digests, 10, &list), 0);
    assert_int_equal(list->count, 10);
    assert_int_equal(list->left_off, 990);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(list->rows[i].total_us >= 990);
    }
    digest_list_free(list);
    assert_int_equal(digests_list(digests, 0, &list), 0);
    assert_int_equal(list->count, 0);
    digest_list_free(list);
    assert_int_equal(digests_list(NULL, 10, &list), 0); /* nothing is remembered */
    assert_int_equal(list->count, 0);
    digest_list_free(list);
    digests_destroy(digests);
}

static void test_merge(void **state)
{
    struct digests *a = NULL;
    struct digests *b = NULL;
    struct digest_list *lists[3] = {NULL, NULL, NULL};
    struct digest_list *all = NULL;
    bool evicted = false;

    (void)state;
    assert_int_equal(digests_create(8, &a), 0);
    assert_int_equal(digests_create(8, &b), 0);
    (void)put(a, 1, 100, &evicted);
    (void)put(a, 2, 50, &evicted);
    (void)put(b, 2, 70, &evicted);
    (void)put(b, 3, 10, &evicted);
    assert_int_equal(digests_list(a, 8, &lists[0]), 0);
    assert_int_equal(digests_list(b, 8, &lists[2]), 0);
    assert_int_equal(digest_list_merge(lists, 3, &all), 0);
    assert_int_equal(all->count, 3);
    assert_int_equal(all->rows[0].hash, 2);
    assert_int_equal(all->rows[0].total_us, 120);
    assert_int_equal(all->rows[0].count, 2);
    assert_int_equal(all->rows[0].max_us, 70);
    assert_int_equal(all->rows[0].cache_hits, 2);
    assert_int_equal(all->rows[1].hash, 1);
    assert_int_equal(all->rows[1].cache_hits, 0);
    assert_int_equal(all->rows[2].hash, 3);
    digest_list_free(lists[0]);
    digest_list_free(lists[2]);
    digests_destroy(a);
    digests_destroy(b);
    assert_true(digest_text(&all->rows[0]).len > 0);
    digest_list_free(all);
    assert_int_equal(digest_list_merge(lists, 0, &all), 0);
    assert_int_equal(all->count, 0);
    digest_list_free(all);
}

#ifdef WEIR_DEBUG
/* Every allocation fails in turn: no leak, no crash, and what could not be remembered is missing. */
static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct digests *digests = NULL;
        struct digest_list *lists[1] = {NULL};
        struct digest_list *all = NULL;
        bool evicted = false;

        fault_arm("alloc", nth);
        if (digests_create(4, &digests) == 0) {
            for (uint64_t hash = 0; hash < 6; hash++) {
                (void)put(digests, hash, 1, &evicted);
            }
            if (digests_list(digests, 4, &lists[0]) == 0 &&
                digest_list_merge(lists, 1, &all) == 0) {
                assert_true(all->count <= 4);
            }
        }
        digest_list_free(lists[0]);
        digest_list_free(all);
        digests_destroy(digests);
        if (!fault_is_spent()) {
            break;
        }
    }
    fault_arm(NULL, 0);
}
#endif

static void test_off(void **state)
{
    struct digests *digests = NULL;

    (void)state;
    assert_int_equal(digests_create(0, &digests), 0);
    assert_null(digests);
    assert_int_equal(digests_count(NULL), 0);
    digests_destroy(NULL);
    digest_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),      cmocka_unit_test(test_evict),
        cmocka_unit_test(test_used_stays), cmocka_unit_test(test_text_cut),
        cmocka_unit_test(test_quantiles),  cmocka_unit_test(test_list_top),
        cmocka_unit_test(test_merge),
#ifdef WEIR_DEBUG
        cmocka_unit_test(test_no_memory),
#endif
        cmocka_unit_test(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
