/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/positions.h"

#include <stdlib.h>

#include "weir/util/attr.h"

/* The low bits of a clock's word are the version's: enough to tell the set of the picture at hand
 * from its next. Forty-eight bits of microseconds are nine years. */
#define CLOCK_BITS 16
#define CLOCK_MASK ((UINT64_C(1) << CLOCK_BITS) - 1)

static void position_set_destroy(struct snap *snap)
{
    struct position_set *set = WR_CONTAINER_OF(snap, struct position_set, snap);

    gtid_fini(&set->set);
    free(set);
}

struct position_set *position_set_create(void)
{
    struct position_set *set = calloc(1, sizeof(*set));

    if (set != NULL) {
        snap_init(&set->snap, 0, position_set_destroy);
        gtid_init(&set->set);
    }
    return set;
}

const struct position_set *position_set_ref(const struct position_set *set)
{
    struct position_set *own = (struct position_set *)(uintptr_t)set; /* only the count changes */

    (void)snap_ref(&own->snap);
    return set;
}

void position_set_unref(const struct position_set *set)
{
    struct position_set *own = (struct position_set *)(uintptr_t)set; /* only the count changes */

    if (own != NULL) {
        snap_unref(&own->snap);
    }
}

static void position_clock_destroy(struct snap *snap)
{
    free(WR_CONTAINER_OF(snap, struct position_clock, snap));
}

struct position_clock *position_clock_create(void)
{
    struct position_clock *clock = calloc(1, sizeof(*clock));

    if (clock != NULL) {
        snap_init(&clock->snap, 0, position_clock_destroy);
        for (size_t i = 0; i < TOPO_SERVERS_MAX; i++) {
            atomic_init(&clock->seen[i], 0);
        }
    }
    return clock;
}

void position_clock_unref(struct position_clock *clock)
{
    if (clock != NULL) {
        snap_unref(&clock->snap);
    }
}

void position_clock_set(struct position_clock *clock, uint16_t server, uint64_t version,
                        uint64_t at_us)
{
    /* relaxed: the word says all that there is to know, whenever it is seen */
    atomic_store_explicit(&clock->seen[server], at_us << CLOCK_BITS | (version & CLOCK_MASK),
                          memory_order_relaxed);
}

static void positions_destroy(struct snap *snap)
{
    struct positions *positions = WR_CONTAINER_OF(snap, struct positions, snap);

    for (uint16_t i = 0; i < positions->server_count; i++) {
        position_set_unref(positions->servers[i].executed);
        position_set_unref(positions->servers[i].replicated);
    }
    position_clock_unref(positions->clock);
    free(positions);
}

struct positions *positions_create(uint16_t server_count, uint64_t generation,
                                   struct position_clock *clock)
{
    struct positions *positions =
        calloc(1, sizeof(*positions) + server_count * sizeof(positions->servers[0]));

    if (positions == NULL) {
        return NULL;
    }
    snap_init(&positions->snap, generation, positions_destroy);
    positions->server_count = server_count;
    positions->clock = clock;
    (void)snap_ref(&clock->snap);
    return positions;
}

void positions_compare(struct positions *positions)
{
    positions->incarnations = 0;
    for (uint16_t i = 0; i < positions->server_count; i++) {
        struct position *at = &positions->servers[i];

        positions->incarnations += at->incarnation;
        at->covered_mask = at->executed == NULL ? 0 : positions_have(positions, &at->executed->set);
    }
}

const struct positions *positions_ref(const struct positions *positions)
{
    struct positions *own = (struct positions *)(uintptr_t)positions; /* only the count changes */

    (void)snap_ref(&own->snap);
    return positions;
}

void positions_unref(const struct positions *positions)
{
    struct positions *own = (struct positions *)(uintptr_t)positions; /* only the count changes */

    if (own != NULL) {
        snap_unref(&own->snap);
    }
}

uint64_t positions_seen_us(const struct positions *positions, int16_t server)
{
    const struct position *at = positions_of(positions, server);
    uint64_t word = 0;

    if (at == NULL) {
        return 0;
    }
    word = atomic_load_explicit(&positions->clock->seen[server], memory_order_relaxed);
    if ((word & CLOCK_MASK) == (at->version & CLOCK_MASK) && word >> CLOCK_BITS > at->began_us) {
        return word >> CLOCK_BITS;
    }
    return at->began_us;
}

uint64_t positions_have(const struct positions *positions, const struct gtid_set *want)
{
    uint64_t mask = 0;

    if (positions == NULL) {
        return 0;
    }
    for (uint16_t i = 0; i < positions->server_count; i++) {
        const struct position *at = &positions->servers[i];

        if (at->executed != NULL && gtid_has(&at->executed->set, want)) {
            mask |= UINT64_C(1) << i;
        }
    }
    return mask;
}
