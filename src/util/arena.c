/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/fault.h"

#define ARENA_ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *older;
    size_t size; /* of bytes[] */
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

/* Frees every block but the keep oldest ones of ARENA_BLOCK size. */
static void drop_blocks(struct arena *arena, size_t keep)
{
    struct arena_block *kept = NULL;

    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->older;
        if (keep > 0 && kept == NULL && block->size == ARENA_BLOCK) {
            kept = block;
            continue;
        }
        arena->used_bytes -= block->size;
        free(block);
    }
    if (kept != NULL) {
        kept->older = NULL;
        kept->used = 0;
        WR_POISON(kept->bytes, kept->size);
    }
    arena->blocks = kept;
}

void arena_fini(struct arena *arena)
{
    drop_blocks(arena, 0);
}

void arena_reset(struct arena *arena)
{
    drop_blocks(arena, 1);
}

void arena_trim(struct arena *arena)
{
    drop_blocks(arena, 0);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t need = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    struct arena_block *block = arena->blocks;

    if (block == NULL || block->size - block->used < need) {
        size_t fresh = need > ARENA_BLOCK ? need : ARENA_BLOCK;
        if (arena->used_bytes > arena->max_bytes || fresh > arena->max_bytes - arena->used_bytes) {
            return NULL;
        }
        block = fault_malloc(sizeof(*block) + fresh);
        if (block == NULL) {
            return NULL;
        }
        block->size = fresh;
        block->used = 0;
        block->older = arena->blocks;
        arena->blocks = block;
        arena->used_bytes += fresh;
        WR_POISON(block->bytes, block->size);
    }
    uint8_t *bytes = block->bytes + block->used;
    block->used += need;
    WR_UNPOISON(bytes, size);
    return bytes;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *bytes = arena_alloc(arena, size);

    if (bytes != NULL) {
        memset(bytes, 0, size);
    }
    return bytes;
}

struct span arena_dup(struct arena *arena, struct span bytes)
{
    uint8_t *copy = bytes.len < SIZE_MAX ? arena_alloc(arena, bytes.len + 1) : NULL;

    if (copy == NULL) {
        return (struct span){NULL, 0};
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.p, bytes.len);
    }
    copy[bytes.len] = '\0';
    return (struct span){copy, bytes.len};
}
