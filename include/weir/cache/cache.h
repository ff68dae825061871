/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - all of a process' cache: entries, versions, and what is heard of the primary's log.
 *
 * WHY       Workers, the reader of the log and operators have to mean the same one.
 * OWNS      struct cache: its parts. Made by core before the workers, gone after them.
 * THREADS   As its parts say; the rest does not change after cache_create().
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    -ENOMEM
 * BOUNDS    As its parts.
 */
#ifndef WEIR_CACHE_CACHE_H
#define WEIR_CACHE_CACHE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache/flight.h"
#include "weir/cache/memory.h"
#include "weir/cache/stream.h"
#include "weir/cache/version.h"
#include "weir/util/attr.h"

struct cache {
    struct cache_memory *memory;
    struct version_board *board;
    struct cache_flights *flights;
    struct cache_stream stream;
    uint64_t began_us;               /* what was written before then is not known */
    _Atomic uint64_t purged_wall_us; /* an operator has ended something; 0: never */
};

WR_NODISCARD int cache_create(size_t memory_bytes, struct cache **ret_cache);
void cache_destroy(struct cache *cache); /* NULL is fine */

/* Nothing that is kept is given any more. Returns how many answers there were. */
uint64_t cache_flush(struct cache *cache, uint64_t now_us);
/* What others have kept before now is not taken over any more: no log tells of what an operator has ended. */
void cache_note_purge(struct cache *cache);

#endif
