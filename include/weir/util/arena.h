/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena - bytes given out one after the other, taken back all at once.
 *
 * WHY       What belongs to one command is dropped by one call.
 * OWNS      All it gave out, until arena_reset() or arena_fini().
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    NULL: no memory, or above max.
 * BOUNDS    max given to arena_init(); arena_reset() keeps one block of ARENA_BLOCK.
 */
#ifndef WEIR_UTIL_ARENA_H
#define WEIR_UTIL_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define ARENA_BLOCK ((size_t)4096)

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used_bytes;          /* storage held, all blocks */
    size_t max_bytes;
};

/* Allocates nothing. */
void arena_init(struct arena *arena, size_t max_bytes);
void arena_fini(struct arena *arena);
/* Aligned for any object; contents undefined. Borrowed until reset. */
WR_NODISCARD void *arena_alloc(struct arena *arena, size_t size);
WR_NODISCARD void *arena_zalloc(struct arena *arena, size_t size);
/* A copy with a terminator behind it; p is NULL when there is no memory. */
WR_NODISCARD struct span arena_dup(struct arena *arena, struct span bytes);
void arena_reset(struct arena *arena);
/* Gives back every block. */
void arena_trim(struct arena *arena);

#endif
