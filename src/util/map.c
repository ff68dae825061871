/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#define MAP_MIN_SLOTS   ((size_t)16)
#define MAP_SECRET_SIZE ((size_t)192) /* what XXH3 reads of it, at least XXH3_SECRET_SIZE_MIN */

/* Open addressing with linear probing; removal shifts back, so there are no tombstones. */
struct map_slot {
    uint64_t hash;
    uint8_t *key; /* owned; NULL: the slot is empty */
    size_t key_len;
    void *value;
};

uint64_t map_hash(struct span bytes)
{
    return XXH3_64bits(bytes.p, bytes.len);
}

static uint64_t hash_key(const struct map *map, struct span key)
{
    if (map->secret != NULL) {
        return XXH3_64bits_withSecret(key.p, key.len, map->secret, MAP_SECRET_SIZE);
    }
    return map_hash(key);
}

void map_init(struct map *map, enum map_keys keys, size_t max_count)
{
    *map = (struct map){.keys = keys, .max_count = max_count};
}

void map_fini(struct map *map, map_free_fn free_value)
{
    for (size_t i = 0; i < map->slot_count; i++) {
        struct map_slot *slot = &map->slots[i];
        if (slot->key != NULL) {
            if (free_value != NULL) {
                free_value(slot->value);
            }
            free(slot->key);
        }
    }
    free(map->slots);
    free(map->secret);
    map_init(map, map->keys, map->max_count);
}

/* The slot of key, or the empty one where it would go. There is always an empty one. */
static size_t find_slot(const struct map *map, uint64_t hash, struct span key)
{
    size_t i = hash & (map->slot_count - 1);

    while (map->slots[i].key != NULL) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->hash == hash && slot->key_len == key.len &&
            (key.len == 0 || memcmp(slot->key, key.p, key.len) == 0)) {
            break;
        }
        i = (i + 1) & (map->slot_count - 1);
    }
    return i;
}

void *map_get(const struct map *map, struct span key)
{
    if (map->count == 0) {
        return NULL;
    }
    const struct map_slot *slot = &map->slots[find_slot(map, hash_key(map, key), key)];
    return slot->key == NULL ? NULL : slot->value;
}

static int grow(struct map *map)
{
    size_t slot_count = map->slot_count == 0 ? MAP_MIN_SLOTS : map->slot_count * 2;
    struct map_slot *slots = fault_calloc(slot_count, sizeof(*slots));

    if (slots == NULL) {
        return -ENOMEM;
    }
    if (map->keys == MAP_KEYS_HOSTILE && map->secret == NULL) {
        map->secret = fault_malloc(MAP_SECRET_SIZE);
        if (map->secret == NULL) {
            free(slots);
            return -ENOMEM;
        }
        crypto_random(map->secret, MAP_SECRET_SIZE);
    }
    for (size_t i = 0; map->slots != NULL && i < map->slot_count; i++) {
        if (map->slots[i].key == NULL) {
            continue;
        }
        size_t to = map->slots[i].hash & (slot_count - 1);
        while (slots[to].key != NULL) {
            to = (to + 1) & (slot_count - 1);
        }
        slots[to] = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    return 0;
}

int map_put(struct map *map, struct span key, void *value, void **ret_old)
{
    WR_ASSERT(value != NULL);
    /* At most three quarters full, counted before the insertion. */
    if (map->slots == NULL || (map->count + 1) * 4 > map->slot_count * 3) {
        if (map->count < map->max_count || map->slots == NULL) {
            int rc = grow(map);
            if (rc < 0) {
                return rc;
            }
        }
    }
    WR_ASSERT(map->slots != NULL);
    uint64_t hash = hash_key(map, key);
    struct map_slot *slot = &map->slots[find_slot(map, hash, key)];
    if (slot->key != NULL) {
        if (ret_old != NULL) {
            *ret_old = slot->value;
        }
        slot->value = value;
        return 0;
    }
    if (map->count >= map->max_count) {
        return -WR_E_LIMIT;
    }
    uint8_t *copy = fault_malloc(key.len > 0 ? key.len : 1);
    if (copy == NULL) {
        return -ENOMEM;
    }
    if (key.len > 0) {
        memcpy(copy, key.p, key.len);
    }
    *slot = (struct map_slot){.hash = hash, .key = copy, .key_len = key.len, .value = value};
    map->count++;
    if (ret_old != NULL) {
        *ret_old = NULL;
    }
    return 0;
}

void *map_remove(struct map *map, struct span key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t mask = map->slot_count - 1;
    size_t hole = find_slot(map, hash_key(map, key), key);
    if (map->slots[hole].key == NULL) {
        return NULL;
    }
    void *value = map->slots[hole].value;
    free(map->slots[hole].key);

    /* Pull back each follower that the hole would cut off from its home. */
    for (size_t i = (hole + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    map->count--;
    return value;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

void *map_next(const struct map *map, size_t *cursor, struct span *ret_key)
{
    for (; *cursor < map->slot_count; (*cursor)++) {
        const struct map_slot *slot = &map->slots[*cursor];
        if (slot->key == NULL) {
            continue;
        }
        if (ret_key != NULL) {
            *ret_key = (struct span){slot->key, slot->key_len};
        }
        (*cursor)++;
        return slot->value;
    }
    return NULL;
}
