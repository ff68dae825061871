/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/slab.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/fault.h"

#define SLAB_CHUNK_BYTES ((size_t)64 * 1024)
#define SLAB_PATTERN     0xdb

/* A free object's first bytes; the rest holds the pattern. */
struct slab_free_node {
    struct slab_free_node *next;
};

struct slab_chunk {
    struct slab_chunk *next;
    alignas(max_align_t) uint8_t bytes[];
};

struct slab {
    struct slab_chunk *chunks;
    struct slab_free_node *free_nodes;
    const char *name; /* borrowed for life */
    size_t object_size;
    size_t stride;
    size_t per_chunk;
    size_t count;
    size_t max_count;
    pthread_t owner;
    bool has_owner;
    bool use_malloc;
};

static bool wants_malloc(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): slabs are made at start-up, nothing sets variables */
    const char *mode = getenv("WEIR_SLAB");
    return mode != NULL && strcmp(mode, "malloc") == 0;
}

int slab_create(const char *name, size_t object_size, size_t max_count, struct slab **ret_slab)
{
    if (object_size == 0 || object_size > SLAB_CHUNK_BYTES) {
        return -EINVAL;
    }
    struct slab *slab = fault_calloc(1, sizeof(*slab));
    if (slab == NULL) {
        return -ENOMEM;
    }
    size_t align = alignof(max_align_t);
    size_t least = sizeof(struct slab_free_node);
    slab->name = name;
    slab->object_size = object_size < least ? least : object_size;
    slab->stride = (slab->object_size + align - 1) & ~(align - 1);
    slab->per_chunk = SLAB_CHUNK_BYTES / slab->stride;
    slab->max_count = max_count;
    slab->use_malloc = wants_malloc();
    *ret_slab = slab;
    return 0;
}

void slab_destroy(struct slab *slab)
{
    if (slab == NULL) {
        return;
    }
    WR_ASSERT(slab->count == 0);
    while (slab->chunks != NULL) {
        struct slab_chunk *chunk = slab->chunks;
        slab->chunks = chunk->next;
        free(chunk);
    }
    free(slab);
}

WR_UNUSED static bool is_owner(struct slab *slab)
{
    if (!slab->has_owner) {
        slab->owner = pthread_self();
        slab->has_owner = true;
    }
    return pthread_equal(slab->owner, pthread_self()) != 0;
}

static bool add_chunk(struct slab *slab)
{
    struct slab_chunk *chunk =
        fault_malloc(sizeof(struct slab_chunk) + slab->per_chunk * slab->stride);
    if (chunk == NULL) {
        return false;
    }
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    /* From the end, so that the first object is lent first. */
    for (size_t i = slab->per_chunk; i > 0; i--) {
        uint8_t *object = chunk->bytes + (i - 1) * slab->stride;
        struct slab_free_node *node = (void *)object;
        node->next = slab->free_nodes;
        slab->free_nodes = node;
        WR_POISON(object, slab->stride);
    }
    return true;
}

void *slab_alloc(struct slab *slab)
{
    WR_DASSERT(is_owner(slab));
    if (slab->count >= slab->max_count) {
        return NULL;
    }
    void *object = NULL;
    if (slab->use_malloc) {
        object = fault_calloc(1, slab->object_size);
    } else if (slab->free_nodes != NULL || add_chunk(slab)) {
        struct slab_free_node *node = slab->free_nodes;
        WR_ASSERT(node != NULL); /* a new chunk has at least one */
        WR_UNPOISON(node, slab->object_size);
        slab->free_nodes = node->next;
        object = node;
        memset(object, 0, slab->object_size);
    }
    if (object != NULL) {
        slab->count++;
    }
    return object;
}

void slab_free(struct slab *slab, void *object)
{
    if (object == NULL) {
        return;
    }
    WR_DASSERT(is_owner(slab));
    WR_ASSERT(slab->count > 0);
    slab->count--;
    memset(object, SLAB_PATTERN, slab->object_size);
    if (slab->use_malloc) {
        free(object);
        return;
    }
    struct slab_free_node *node = object;
    node->next = slab->free_nodes;
    slab->free_nodes = node;
    WR_POISON(object, slab->stride);
}

size_t slab_count(const struct slab *slab)
{
    return slab->count;
}
