/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - a hash map from bytes to pointers.
 *
 * WHY       One table for users, addresses, tables and digests.
 * OWNS      Copies of the keys; the values stay the caller's.
 * THREADS   One at a time.
 * REENTRY   No call into the map from inside a map_free_fn.
 * UNITS     none
 * ERRORS    -ENOMEM, -WR_E_LIMIT; nothing has changed then.
 * BOUNDS    max_count entries.
 */
#ifndef WEIR_UTIL_MAP_H
#define WEIR_UTIL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

/* HOSTILE: peers choose the keys, so the hash has a random secret and cannot be aimed at. */
enum map_keys {
    MAP_KEYS_TRUSTED,
    MAP_KEYS_HOSTILE,
};

struct map_slot;

struct map {
    struct map_slot *slots; /* NULL until the first map_put() */
    uint8_t *secret;        /* of hostile keys, else NULL */
    size_t slot_count;      /* power of two */
    size_t count;
    size_t max_count;
    enum map_keys keys;
};

typedef void (*map_free_fn)(void *value);

/* Allocates nothing. */
void map_init(struct map *map, enum map_keys keys, size_t max_count);
/* free_value may be NULL. */
void map_fini(struct map *map, map_free_fn free_value);

/* NULL: not there. */
void *map_get(const struct map *map, struct span key);
/* value is not NULL. *ret_old (may be NULL) is what key had before, else NULL. */
WR_NODISCARD int map_put(struct map *map, struct span key, void *value, void **ret_old);
/* What was there, or NULL. */
void *map_remove(struct map *map, struct span key);
size_t map_count(const struct map *map);
/* Walks in no order; *cursor starts at 0. NULL: the end. The map must not change meanwhile.
 * ret_key may be NULL; it borrows until the entry is removed. */
void *map_next(const struct map *map, size_t *cursor, struct span *ret_key);

/* Hash of trusted bytes, the same in every process of this architecture. */
uint64_t map_hash(struct span bytes);

#endif
