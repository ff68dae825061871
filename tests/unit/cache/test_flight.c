/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/cache/flight.h"
#include "weir/util/rand.h"

enum {
    WORKERS = 4,
    HASHES = 3,
    TURNS = 4000,
    PATIENCE = 100000000
};

static void test_one_asks(void **state)
{
    struct cache_flights *flights = NULL;
    (void)state;
    assert_int_equal(cache_flights_create(&flights), 0);
    assert_int_equal(cache_flight_begin(flights, 7, 0), CACHE_FLIGHT_LEAD);
    assert_int_equal(cache_flight_begin(flights, 7, 5), CACHE_FLIGHT_JOIN);
    assert_int_equal(cache_flight_begin(flights, 7, 5), CACHE_FLIGHT_JOIN);
    assert_int_equal(cache_flight_begin(flights, 7, CACHE_WORKERS_MAX - 1), CACHE_FLIGHT_JOIN);
    /* the same bucket, another question */
    assert_int_equal(cache_flight_begin(flights, 8, 1), CACHE_FLIGHT_LEAD);
    assert_int_equal(cache_flight_end(flights, 8), 0);
    uint64_t last = UINT64_C(1) << (CACHE_WORKERS_MAX - 1);
    assert_true(cache_flight_end(flights, 7) == (last | UINT64_C(1) << 5));
    /* it is over, and nothing of it is left for the next */
    assert_int_equal(cache_flight_end(flights, 7), 0);
    assert_int_equal(cache_flight_begin(flights, 7, 2), CACHE_FLIGHT_LEAD);
    assert_int_equal(cache_flight_end(flights, 7), 0);
    cache_flights_destroy(flights);
    cache_flights_destroy(NULL);
}

/* A bucket that is full: asked without company, until a place is free again. */
static void test_no_room(void **state)
{
    struct cache_flights *flights = NULL;
    uint64_t hash = 1;
    (void)state;
    assert_int_equal(cache_flights_create(&flights), 0);
    while (cache_flight_begin(flights, hash, 0) == CACHE_FLIGHT_LEAD) {
        hash++;
        assert_in_range(hash, 1, CACHE_FLIGHTS_MAX);
    }
    assert_true(hash > 2);
    assert_int_equal(cache_flight_begin(flights, hash, 1), CACHE_FLIGHT_ALONE);
    assert_int_equal(cache_flight_begin(flights, 1, 1), CACHE_FLIGHT_JOIN);
    /* another bucket has room */
    assert_int_equal(cache_flight_begin(flights, UINT64_C(1) << 32, 0), CACHE_FLIGHT_LEAD);
    assert_int_equal(cache_flight_end(flights, hash), 0);
    assert_int_equal(cache_flight_end(flights, 1), 2);
    assert_int_equal(cache_flight_begin(flights, hash, 1), CACHE_FLIGHT_LEAD);
    cache_flights_destroy(flights);
}

/* --- threads: one leads at a time, and whoever joins is told --- */

struct shared {
    struct cache_flights *flights;
    _Atomic uint32_t leaders[HASHES];
    _Atomic uint32_t woken[HASHES][WORKERS];
    _Atomic uint32_t wrong;
    _Atomic uint32_t joined;
    _Atomic uint32_t next_worker;
};

static void lead(struct shared *shared, uint32_t hash)
{
    if (atomic_fetch_add(&shared->leaders[hash], 1) != 0) {
        atomic_fetch_add(&shared->wrong, 1);
    }
    (void)sched_yield(); /* so that somebody joins */
    atomic_fetch_sub(&shared->leaders[hash], 1);
    uint64_t workers = cache_flight_end(shared->flights, hash);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if ((workers >> i & 1) != 0) {
            atomic_fetch_add(&shared->woken[hash][i], 1);
        }
    }
}

static void *work(void *arg)
{
    struct shared *shared = arg;
    uint32_t worker = atomic_fetch_add(&shared->next_worker, 1);
    struct rand_state rng;

    rand_seed(&rng, worker + 1);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint32_t hash = (uint32_t)rand_below(&rng, HASHES);
        uint32_t before = atomic_load(&shared->woken[hash][worker]);
        enum cache_flight what = cache_flight_begin(shared->flights, hash, worker);

        if (what == CACHE_FLIGHT_LEAD) {
            lead(shared, hash);
        } else if (what == CACHE_FLIGHT_JOIN) {
            uint32_t left = PATIENCE;

            atomic_fetch_add(&shared->joined, 1);
            while (atomic_load(&shared->woken[hash][worker]) == before && left-- > 0) {
                (void)sched_yield();
            }
            if (atomic_load(&shared->woken[hash][worker]) != before + 1) {
                atomic_fetch_add(&shared->wrong, 1);
            }
        } else {
            atomic_fetch_add(&shared->wrong, 1);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    static struct shared shared;
    pthread_t threads[WORKERS];
    (void)state;
    assert_int_equal(cache_flights_create(&shared.flights), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_true(atomic_load(&shared.joined) > 0);
    for (uint32_t hash = 0; hash < HASHES; hash++) {
        assert_int_equal(cache_flight_begin(shared.flights, hash, 0), CACHE_FLIGHT_LEAD);
    }
    cache_flights_destroy(shared.flights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_asks),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
