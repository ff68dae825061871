/* SPDX-License-Identifier: Apache-2.0 */
/* What Redis says of itself: the lines that are known, whatever stands beside them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/util/rand.h"

#include "tier_priv.h"

static int64_t read_one(struct metric_registry *registry, enum metric metric)
{
    return metric_read(registry, metric, METRIC_NONE);
}

static void test_lines(void **state)
{
    struct metric_registry *registry = NULL;
    struct metric_shard *shard = NULL;
    (void)state;
    assert_int_equal(metric_registry_create(&registry), 0);
    assert_int_equal(metric_shard_create(registry, &shard), 0);
    tier_info_read(SPAN_LIT("# Memory\r\nused_memory:1048576\r\nused_memory_human:1M\r\n"
                            "used_memory_peak:99\n\r\n:7\r\nconnected_clients:-1\r\n"
                            "instantaneous_ops_per_sec:12x\r\nkeyspace_hits:\r\n"
                            "evicted_keys:18446744073709551616\r\nexpired_keys:5"),
                   shard);
    assert_int_equal(read_one(registry, METRIC_REDIS_MEMORY), 1048576);
    assert_int_equal(read_one(registry, METRIC_REDIS_MEMORY_PEAK), 99);
    assert_int_equal(read_one(registry, METRIC_REDIS_CLIENTS), 0);
    assert_int_equal(read_one(registry, METRIC_REDIS_RATE), 0);
    assert_int_equal(read_one(registry, METRIC_REDIS_HITS), 0);
    assert_int_equal(read_one(registry, METRIC_REDIS_EVICTED), 0);
    assert_int_equal(read_one(registry, METRIC_REDIS_EXPIRED), 5);
    metric_registry_destroy(registry);
}

static void test_noise(void **state)
{
    struct metric_registry *registry = NULL;
    struct metric_shard *shard = NULL;
    struct rand_state rng;
    uint8_t bytes[64];
    (void)state;
    rand_seed(&rng, 4712);
    assert_int_equal(metric_registry_create(&registry), 0);
    assert_int_equal(metric_shard_create(registry, &shard), 0);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = rand_below(&rng, sizeof(bytes));

        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t) "used_memory:12\r\n\0\xff"[rand_below(&rng, 18)];
        }
        tier_info_read((struct span){bytes, len}, shard);
    }
    metric_registry_destroy(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
