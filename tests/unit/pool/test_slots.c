/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/pool/slots.h"
#include "weir/util/err.h"

#define THREADS 4
#define ROUNDS  20000
#define LIMIT   3

static void test_limits(void **state)
{
    (void)state;
    const uint32_t max[2] = {2, 0};
    struct slots *slots = NULL;
    assert_int_equal(slots_create(max, 2, &slots), 0);
    assert_int_equal(slots_take(slots, 0), 0);
    assert_int_equal(slots_take(slots, 0), 0);
    assert_int_equal(slots_take(slots, 0), -WR_E_LIMIT);
    assert_int_equal(slots_take(slots, 1), -WR_E_LIMIT);
    assert_int_equal(slots_used(slots, 0), 2);
    assert_int_equal(slots_refused(slots, 0), 1);
    slots_give(slots, 0);
    assert_int_equal(slots_take(slots, 0), 0);
    slots_set_max(slots, 0, 1); /* what is taken stays taken */
    slots_give(slots, 0);
    assert_int_equal(slots_take(slots, 0), -WR_E_LIMIT);
    slots_give(slots, 0);
    assert_int_equal(slots_take(slots, 0), 0);
    slots_give(slots, 0);
    assert_int_equal(slots_max(slots, 0), 1);
    slots_destroy(slots);
    slots_destroy(NULL);
}

static void test_too_many(void **state)
{
    (void)state;
    static const uint32_t max[SLOTS_SERVERS_MAX + 1];
    struct slots *slots = NULL;
    assert_int_equal(slots_create(max, SLOTS_SERVERS_MAX + 1, &slots), -WR_E_TOO_LARGE);
    assert_null(slots);
}

struct shared {
    struct slots *slots;
    atomic_int inside;
    atomic_int worst;
    atomic_uint taken;
};

static void *taker(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (slots_take(shared->slots, 0) < 0) {
            continue;
        }
        int inside = atomic_fetch_add(&shared->inside, 1) + 1;
        int worst = atomic_load(&shared->worst);
        while (inside > worst && !atomic_compare_exchange_weak(&shared->worst, &worst, inside)) {
        }
        atomic_fetch_add(&shared->taken, 1);
        atomic_fetch_sub(&shared->inside, 1);
        slots_give(shared->slots, 0);
    }
    return NULL;
}

/* Never more than the limit at once, and nothing is lost on the way. */
static void test_threads(void **state)
{
    (void)state;
    const uint32_t max[1] = {LIMIT};
    struct shared shared = {.slots = NULL};
    pthread_t threads[THREADS];
    assert_int_equal(slots_create(max, 1, &shared.slots), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, taker, &shared), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(atomic_load(&shared.worst) <= LIMIT);
    assert_int_equal(slots_used(shared.slots, 0), 0);
    assert_int_equal(atomic_load(&shared.taken) + slots_refused(shared.slots, 0), THREADS * ROUNDS);
    slots_destroy(shared.slots);
}

static void test_spare(void **state)
{
    (void)state;
    const uint32_t max[2] = {1, 1};
    struct slots *slots = NULL;
    assert_int_equal(slots_create(max, 2, &slots), 0);
    assert_int_equal(slots_take(slots, 0), 0);
    assert_int_equal(slots_take(slots, 0), -WR_E_LIMIT);
    assert_int_equal(slots_take_spare(slots, 0), 0); /* one beyond the limit */
    assert_int_equal(slots_take_spare(slots, 0), -WR_E_LIMIT);
    assert_int_equal(slots_take_spare(slots, 1), 0);
    slots_give_spare(slots, 0);
    assert_int_equal(slots_take_spare(slots, 0), 0);
    slots_give(slots, 0);
    slots_destroy(slots);
}

static void test_oldest_waiter(void **state)
{
    (void)state;
    const uint32_t max[2] = {1, 1};
    struct slots *slots = NULL;
    uint32_t worker = 99;
    assert_int_equal(slots_create(max, 2, &slots), 0);
    assert_false(slots_wait_elsewhere(slots, 0, 0, 0, &worker));
    slots_wait_set(slots, 0, 0, 500);
    assert_false(slots_wait_elsewhere(slots, 0, 0, 500, &worker)); /* one's own does not count */
    slots_wait_set(slots, 0, 3, 700);
    assert_false(slots_wait_elsewhere(slots, 0, 0, 500, &worker)); /* mine is older */
    assert_true(slots_wait_elsewhere(slots, 0, 0, 0, &worker));
    assert_int_equal(worker, 3);
    slots_wait_set(slots, 0, 5, 600);
    slots_wait_set(slots, 0, 0, 0);
    assert_true(slots_wait_elsewhere(slots, 0, 0, 800, &worker));
    assert_int_equal(worker, 5);
    assert_false(slots_wait_elsewhere(slots, 1, 0, 0, &worker)); /* of another server */
    slots_wait_set(slots, 0, 5, 0);
    slots_wait_set(slots, 0, 3, 0);
    assert_false(slots_wait_elsewhere(slots, 0, 0, 0, &worker));
    slots_destroy(slots);
}

/* Who has something to spare is seen by who begins to wait, or sees him. */
struct meeting {
    struct slots *slots;
    atomic_uint arrived; /* of both, over all rounds */
    bool waiter_saw[ROUNDS];
    bool giver_saw[ROUNDS];
};

static void meet(struct meeting *m, unsigned round)
{
    atomic_fetch_add_explicit(&m->arrived, 1, memory_order_relaxed);
    while (atomic_load_explicit(&m->arrived, memory_order_relaxed) < 2 * (round + 1)) {
        sched_yield();
    }
}

static void *waiter(void *arg)
{
    struct meeting *m = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        meet(m, 2 * i);
        slots_wait_set(m->slots, 0, 1, 1000 + i);
        m->waiter_saw[i] = (slots_spare(m->slots, 0) & 1U << 0) != 0;
        meet(m, 2 * i + 1);
        slots_wait_set(m->slots, 0, 1, 0);
    }
    return NULL;
}

static void *giver(void *arg)
{
    struct meeting *m = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t worker = 0;
        meet(m, 2 * i);
        slots_spare_set(m->slots, 0, 0, true);
        m->giver_saw[i] = slots_wait_elsewhere(m->slots, 0, 0, 0, &worker) && worker == 1;
        meet(m, 2 * i + 1);
        slots_spare_set(m->slots, 0, 0, false);
    }
    return NULL;
}

static void test_nobody_is_missed(void **state)
{
    static struct meeting m; /* too large for a stack */
    const uint32_t max = 1;
    pthread_t threads[2];

    (void)state;
    assert_int_equal(slots_create(&max, 1, &m.slots), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, waiter, &m), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, giver, &m), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_true(m.waiter_saw[i] || m.giver_saw[i]);
    }
    assert_int_equal(slots_spare(m.slots, 0), 0);
    slots_destroy(m.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_spare),
        cmocka_unit_test(test_oldest_waiter), cmocka_unit_test(test_nobody_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
