/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/cache.h"

#include <errno.h>
#include <stdlib.h>

#include "weir/util/clock.h"

int cache_create(size_t memory_bytes, struct cache **ret_cache)
{
    struct cache *cache = calloc(1, sizeof(*cache));
    int r = 0;

    if (cache == NULL) {
        return -ENOMEM;
    }
    r = cache_stream_init(&cache->stream);
    if (r < 0) {
        free(cache);
        return r;
    }
    cache->began_us = clock_now_us();
    atomic_init(&cache->purged_wall_us, 0);
    r = version_board_create(&cache->board);
    r = r < 0 ? r : cache_flights_create(&cache->flights);
    r = r < 0 ? r : cache_memory_create(memory_bytes, &cache->memory);
    if (r < 0) {
        cache_destroy(cache);
        return r;
    }
    *ret_cache = cache;
    return 0;
}

void cache_destroy(struct cache *cache)
{
    if (cache != NULL) {
        cache_memory_destroy(cache->memory);
        version_board_destroy(cache->board);
        cache_flights_destroy(cache->flights);
        cache_stream_fini(&cache->stream);
        free(cache);
    }
}

void cache_note_purge(struct cache *cache)
{
    /* before the bump that follows: who leases the new version finds it */
    atomic_store_explicit(&cache->purged_wall_us, clock_wall_us(), memory_order_seq_cst);
}

uint64_t cache_flush(struct cache *cache, uint64_t now_us)
{
    version_bump(cache->board, VERSION_SLOT_ALL, now_us);
    return cache_memory_flush(cache->memory);
}
