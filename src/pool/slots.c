/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pool/slots.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"

/* One server's counts on a cache line of their own: workers open connections at the same time. */
struct slots_server {
    _Alignas(64) atomic_uint used;
    atomic_uint max;
    _Atomic uint64_t refused;
    atomic_bool is_spare_used;
    atomic_uint waiting;                       /* workers in which somebody waits */
    atomic_uint workers;                       /* that have ever waited: 0 to this, less one */
    _Atomic uint64_t since[SLOTS_WORKERS_MAX]; /* written by the worker, 0: nobody */
    _Atomic uint64_t spare;                    /* bit by worker: it may have one to spare */
};

struct slots {
    size_t count;
    struct slots_server *servers;
};

int slots_create(const uint32_t *max, size_t count, struct slots **ret_slots)
{
    if (count > SLOTS_SERVERS_MAX) {
        return -WR_E_TOO_LARGE;
    }
    struct slots *slots = calloc(1, sizeof(*slots));
    if (slots == NULL) {
        return -ENOMEM;
    }
    slots->servers = aligned_alloc(64, (count > 0 ? count : 1) * sizeof(*slots->servers));
    if (slots->servers == NULL) {
        free(slots);
        return -ENOMEM;
    }
    slots->count = count;
    for (size_t i = 0; i < count; i++) {
        atomic_init(&slots->servers[i].used, 0);
        atomic_init(&slots->servers[i].max, max[i]);
        atomic_init(&slots->servers[i].refused, 0);
        atomic_init(&slots->servers[i].is_spare_used, false);
        atomic_init(&slots->servers[i].waiting, 0);
        atomic_init(&slots->servers[i].workers, 0);
        atomic_init(&slots->servers[i].spare, 0);
        for (size_t w = 0; w < SLOTS_WORKERS_MAX; w++) {
            atomic_init(&slots->servers[i].since[w], 0);
        }
    }
    *ret_slots = slots;
    return 0;
}

void slots_destroy(struct slots *slots)
{
    if (slots == NULL) {
        return;
    }
    for (size_t i = 0; i < slots->count; i++) {
        WR_DASSERT(slots_used(slots, i) == 0);
    }
    free(slots->servers);
    free(slots);
}

int slots_take(struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    struct slots_server *s = &slots->servers[server];
    /* relaxed throughout: the counts guard nothing but themselves */
    uint32_t max = atomic_load_explicit(&s->max, memory_order_relaxed);
    unsigned used = atomic_load_explicit(&s->used, memory_order_relaxed);
    do {
        if (used >= max) {
            atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
            return -WR_E_LIMIT;
        }
    } while (!atomic_compare_exchange_weak_explicit(&s->used, &used, used + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return 0;
}

void slots_give(struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    unsigned before =
        atomic_fetch_sub_explicit(&slots->servers[server].used, 1, memory_order_relaxed);
    WR_ASSERT(before > 0);
}

int slots_take_spare(struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    bool was =
        atomic_exchange_explicit(&slots->servers[server].is_spare_used, true, memory_order_relaxed);
    return was ? -WR_E_LIMIT : 0;
}

void slots_give_spare(struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    atomic_store_explicit(&slots->servers[server].is_spare_used, false, memory_order_relaxed);
}

/* Whoever begins to wait says so and then looks who has something to spare; whoever has something
 * to spare says so and then looks who waits. Sequentially consistent, all four: one of the two sees
 * the other. The times themselves may be a moment old. */
void slots_wait_set(struct slots *slots, size_t server, uint32_t worker, uint64_t since_us)
{
    WR_ASSERT(server < slots->count && worker < SLOTS_WORKERS_MAX);
    struct slots_server *s = &slots->servers[server];
    uint64_t before = atomic_exchange_explicit(&s->since[worker], since_us, memory_order_relaxed);
    unsigned workers = atomic_load_explicit(&s->workers, memory_order_relaxed);

    while (workers <= worker &&
           !atomic_compare_exchange_weak_explicit(&s->workers, &workers, worker + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    if (before == 0 && since_us != 0) {
        atomic_fetch_add_explicit(&s->waiting, 1, memory_order_seq_cst);
    } else if (before != 0 && since_us == 0) {
        atomic_fetch_sub_explicit(&s->waiting, 1, memory_order_relaxed);
    }
}

void slots_spare_set(struct slots *slots, size_t server, uint32_t worker, bool has_spare)
{
    WR_ASSERT(server < slots->count && worker < SLOTS_WORKERS_MAX);
    uint64_t bit = UINT64_C(1) << worker;

    if (has_spare) {
        atomic_fetch_or_explicit(&slots->servers[server].spare, bit, memory_order_seq_cst);
    } else {
        atomic_fetch_and_explicit(&slots->servers[server].spare, ~bit, memory_order_seq_cst);
    }
}

uint64_t slots_spare(const struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    return atomic_load_explicit(&slots->servers[server].spare, memory_order_seq_cst);
}

bool slots_wait_elsewhere(const struct slots *slots, size_t server, uint32_t worker,
                          uint64_t since_us, uint32_t *ret_worker)
{
    WR_ASSERT(server < slots->count);
    const struct slots_server *s = &slots->servers[server];
    uint64_t oldest = since_us != 0 ? since_us : UINT64_MAX;
    bool found = false;
    if (atomic_load_explicit(&s->waiting, memory_order_seq_cst) == 0) {
        return false;
    }
    uint32_t workers = atomic_load_explicit(&s->workers, memory_order_relaxed);
    for (uint32_t w = 0; w < workers; w++) {
        uint64_t since = atomic_load_explicit(&s->since[w], memory_order_relaxed);
        if (w != worker && since != 0 && since < oldest) {
            oldest = since;
            *ret_worker = w;
            found = true;
        }
    }
    return found;
}

uint32_t slots_used(const struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    return atomic_load_explicit(&slots->servers[server].used, memory_order_relaxed);
}

uint32_t slots_max(const struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    return atomic_load_explicit(&slots->servers[server].max, memory_order_relaxed);
}

uint64_t slots_refused(const struct slots *slots, size_t server)
{
    WR_ASSERT(server < slots->count);
    return atomic_load_explicit(&slots->servers[server].refused, memory_order_relaxed);
}

void slots_set_max(struct slots *slots, size_t server, uint32_t max)
{
    WR_ASSERT(server < slots->count);
    atomic_store_explicit(&slots->servers[server].max, max, memory_order_relaxed);
}
