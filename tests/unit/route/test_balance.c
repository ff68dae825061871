/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/route/balance.h"
#include "weir/util/rand.h"

#define PICKS 10000

/* Upper 0.001 points of chi-square for 1..7 degrees of freedom. */
static const double CHI_SQUARE_001[] = {0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322};

static void assert_by_weight(const struct balance_choice *choices, size_t count, uint64_t seed,
                             enum config_policy policy, const struct balance_load *load)
{
    struct rand_state rng;
    unsigned seen[TOPO_SERVERS_MAX] = {0};
    double total = 0;
    double chi = 0;

    rand_seed(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        total += choices[i].weight;
    }
    for (int i = 0; i < PICKS; i++) {
        int16_t got = balance_pick(policy, choices, count, load, 0, rand_u64(&rng));

        assert_true(got >= 0 && got < TOPO_SERVERS_MAX);
        seen[got]++;
    }
    for (size_t i = 0; i < count; i++) {
        double want = PICKS * choices[i].weight / total;
        double off = seen[choices[i].server] - want;

        chi += off * off / want;
    }
    if (chi > CHI_SQUARE_001[count - 1]) {
        fail_msg("chi-square %f with %zu servers, seed %lu", chi, count, (unsigned long)seed);
    }
}

static void test_weighted_random(void **state)
{
    static const struct {
        size_t count;
        struct balance_choice choices[8];
    } rows[] = {
        {2, {{1, 25600}, {2, 25600}}},
        {2, {{0, 25600}, {5, 12800}}},
        {3, {{1, 100}, {2, 200}, {3, 300}}},
        {3, {{1, 25600}, {2, 25600}, {3, 1600}}},
        {8, {{0, 10}, {1, 20}, {2, 30}, {3, 40}, {4, 50}, {5, 60}, {6, 70}, {7, 80}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            assert_by_weight(rows[i].choices, rows[i].count, seed, CONFIG_WEIGHTED_RANDOM, NULL);
        }
    }
}

/* The test itself must be able to fail: a skewed sample is not taken for a fair one. */
static void test_chi_square_can_fail(void **state)
{
    static const struct balance_choice honest[] = {{1, 100}, {2, 110}};
    struct rand_state rng;
    double chi = 0;
    unsigned first = 0;

    (void)state;
    rand_seed(&rng, 1);
    for (int i = 0; i < PICKS; i++) {
        first += balance_pick(CONFIG_WEIGHTED_RANDOM, honest, 2, NULL, 0, rand_u64(&rng)) == 1;
    }
    chi = ((double)first - PICKS / 2.0) * ((double)first - PICKS / 2.0) / (PICKS / 2.0) * 2;
    assert_true(chi > CHI_SQUARE_001[1]);
}

static void test_edges(void **state)
{
    static const struct balance_choice one[] = {{4, 1}};
    static const struct balance_choice none[] = {{4, 0}, {5, 0}};
    struct balance_load load = {{0}, {0}, {0}};

    (void)state;
    assert_int_equal(balance_pick(CONFIG_WEIGHTED_RANDOM, one, 0, NULL, 0, 1), -1);
    assert_int_equal(balance_pick(CONFIG_LATENCY, one, 1, &load, 0, UINT64_MAX), 4);
    assert_int_equal(balance_pick(CONFIG_WEIGHTED_RANDOM, none, 2, NULL, 0, UINT64_MAX), 4);
    assert_int_equal(balance_pick(CONFIG_LEAST_PENDING, one, 1, NULL, 0, 0), 4);
    /* Without numbers of its own a worker picks by weight. */
    assert_by_weight((const struct balance_choice[]){{1, 300}, {2, 100}}, 2, 7,
                     CONFIG_LEAST_PENDING, NULL);
}

static void test_least_pending(void **state)
{
    static const struct balance_choice even[] = {{1, 100}, {2, 100}, {3, 100}};
    static const struct balance_choice uneven[] = {{1, 300}, {2, 100}};
    struct balance_load load = {{0}, {0}, {0}};
    struct rand_state rng;
    unsigned seen[TOPO_SERVERS_MAX] = {0};

    (void)state;
    rand_seed(&rng, 3);
    load.pending[1] = 2;
    load.pending[2] = 1;
    load.pending[3] = 5;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(balance_pick(CONFIG_LEAST_PENDING, even, 3, &load, 0, rand_u64(&rng)), 2);
    }
    /* Ties are spread, and evenly. */
    memset(&load, 0, sizeof(load));
    assert_by_weight(even, 3, 11, CONFIG_LEAST_PENDING, &load);
    /* Three times the weight carries three times the work. */
    for (int i = 0; i < 400; i++) {
        int16_t got = balance_pick(CONFIG_LEAST_PENDING, uneven, 2, &load, 0, rand_u64(&rng));

        balance_sent(&load, got);
        seen[got]++;
    }
    assert_in_range(seen[1], 298, 302);
    for (int i = 0; i < 400; i++) {
        balance_done(&load, load.pending[1] > 0 ? 1 : 2);
    }
    assert_int_equal(load.pending[1] + load.pending[2], 0);
}

static void test_latency(void **state)
{
    static const struct balance_choice three[] = {{1, 100}, {2, 100}, {3, 100}};
    struct balance_load load = {{0}, {0}, {0}};
    struct rand_state rng;
    unsigned seen[TOPO_SERVERS_MAX] = {0};

    (void)state;
    rand_seed(&rng, 4);
    for (int i = 1; i <= 3; i++) {
        balance_record(&load, (int16_t)i, 500, 1000);
    }
    balance_record(&load, 3, 50000, 2000); /* one slow answer is enough */
    for (int i = 0; i < 3000; i++) {
        seen[balance_pick(CONFIG_LATENCY, three, 3, &load, 2000, rand_u64(&rng))]++;
    }
    assert_int_equal(seen[3], 0); /* never the better of two */
    assert_in_range(seen[1], 1300, 1700);
    /* Long after, it is tried again. */
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 3000; i++) {
        seen[balance_pick(CONFIG_LATENCY, three, 3, &load, UINT64_C(500000000), rand_u64(&rng))]++;
    }
    assert_true(seen[3] > 300);
    /* Much pending makes the fastest the worst. */
    load.pending[1] = 1000;
    load.pending[2] = 1000;
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 300; i++) {
        seen[balance_pick(CONFIG_LATENCY, three, 3, &load, 2000, rand_u64(&rng))]++;
    }
    assert_true(seen[3] > 150);
}

static void test_ewma(void **state)
{
    struct balance_load load = {{0}, {0}, {0}};
    uint32_t before = 0;

    (void)state;
    assert_int_equal(balance_latency_us(&load, 1, 5), 1000); /* not known: average, not the best */
    balance_record(&load, 1, 0, 10);
    assert_int_equal(balance_latency_us(&load, 1, 10), 1);
    balance_record(&load, 1, 8000, 20);
    assert_int_equal(balance_latency_us(&load, 1, 20), 8000);
    balance_record(&load, 1, 100, 30);
    before = balance_latency_us(&load, 1, 30);
    assert_true(before < 8000 && before > 7000);
    for (int i = 0; i < 200; i++) {
        balance_record(&load, 1, 100, 40);
    }
    assert_in_range(balance_latency_us(&load, 1, 40), 100, 120);
    balance_record(&load, 1, UINT64_MAX, 50);
    assert_int_equal(balance_latency_us(&load, 1, 50), 60000000);
    assert_int_equal(balance_latency_us(&load, 1, 50 + UINT64_C(1000000)), 30000000);
    assert_int_equal(balance_latency_us(&load, 1, UINT64_C(1000000000000)), 1);
    /* A peak recorded long ago does not weigh on a new, small sample. */
    balance_record(&load, 1, 100, UINT64_C(1000000000000));
    assert_true(balance_latency_us(&load, 1, UINT64_C(1000000000000)) <= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weighted_random), cmocka_unit_test(test_chi_square_can_fail),
        cmocka_unit_test(test_edges),           cmocka_unit_test(test_least_pending),
        cmocka_unit_test(test_latency),         cmocka_unit_test(test_ewma),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
