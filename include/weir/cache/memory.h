/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory - the tier in this process: entries by exact key, within a bound of bytes.
 *
 * WHY       A repeated question is answered without a server. All workers share what is here.
 * OWNS      struct cache_memory: its shards, and one reference on each entry in them. An entry is
 *           one block: key, dependencies and body; it does not change once it has been put.
 * THREADS   Any. Each shard has a lock, held for one look-up or one eviction, never while anything
 *           is copied or freed. References are atomic.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(); sizes: bytes.
 * ERRORS    -ENOMEM; -WR_E_LIMIT: no room that could be made.
 * BOUNDS    bytes_max for entries, those evicted but still being sent included, and for what is
 *           charged beside them. Half a per cent more for the tables.
 */
#ifndef WEIR_CACHE_MEMORY_H
#define WEIR_CACHE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache/version.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

struct cache_memory;
struct cache_entry;

/* What an entry is made of. */
struct cache_parts {
    struct span key;                   /* copied */
    uint64_t hash;                     /* cache_memory_hash() of it */
    const struct version_lease *lease; /* copied */
    size_t body_size;
    uint64_t filled_us; /* before its statement was sent */
    uint64_t fresh_us;  /* until then it is as good as new */
    uint64_t
        keep_us; /* until then it may be served stale, by whoever may; not less than fresh_us */
    uint64_t seen_us; /* its source showed this then, or before */
    int16_t source;   /* index of the server that it was read from */
};

struct cache_stats {
    uint64_t entries;
    uint64_t bytes;    /* charged in all */
    uint64_t inserted; /* since the start, as what follows */
    uint64_t replaced;
    uint64_t evicted;
    uint64_t dropped;  /* found to be out of date, or purged */
    uint64_t returned; /* put again soon after an eviction */
    uint64_t refused;  /* no room */
};

WR_NODISCARD int cache_memory_create(size_t bytes_max, struct cache_memory **ret_memory);
/* Every reference has been given back. NULL is fine. */
void cache_memory_destroy(struct cache_memory *memory);
/* Under a secret of this memory: nobody outside can choose two keys for one place. */
uint64_t cache_memory_hash(const struct cache_memory *memory, struct span key);

/* NULL: not there. One reference is the caller's. */
struct cache_entry *cache_memory_get(struct cache_memory *memory, uint64_t hash, struct span key);
/* The same, by who only looks: it does not count as asked for. *ret_is_asked: somebody has got it by
 * cache_memory_get() since it was put. */
struct cache_entry *cache_memory_peek(struct cache_memory *memory, uint64_t hash, struct span key,
                                      bool *ret_is_asked);
/* Shares it; takes a reference of its own. What had the same key is dropped. */
void cache_memory_put(struct cache_memory *memory, struct cache_entry *entry);
/* Out of date. Nothing happens when another has its key by now. */
void cache_memory_drop(struct cache_memory *memory, struct cache_entry *entry);
/* Everything. Returns how many there were. */
uint64_t cache_memory_flush(struct cache_memory *memory);
void cache_memory_stats(struct cache_memory *memory, struct cache_stats *ret_stats);

/* Bytes that are held for a fill count as well. False: there is no room. */
WR_NODISCARD bool cache_memory_charge(struct cache_memory *memory, size_t bytes);
void cache_memory_release(struct cache_memory *memory, size_t bytes);

/* With one reference, the caller's; its body is to be written before it is put. */
WR_NODISCARD int cache_entry_create(struct cache_memory *memory, const struct cache_parts *parts,
                                    struct cache_entry **ret_entry);
struct cache_entry *cache_entry_ref(struct cache_entry *entry);
void cache_entry_unref(struct cache_entry *entry); /* NULL is fine */
/* body_size bytes; to be written by its maker only. */
uint8_t *cache_entry_room(struct cache_entry *entry);

struct span cache_entry_key(const struct cache_entry *entry);
struct span cache_entry_body(const struct cache_entry *entry);
uint64_t cache_entry_filled_us(const struct cache_entry *entry);
uint64_t cache_entry_fresh_us(const struct cache_entry *entry);
uint64_t cache_entry_keep_us(const struct cache_entry *entry);
uint64_t cache_entry_seen_us(const struct cache_entry *entry);
int16_t cache_entry_source(const struct cache_entry *entry);
/* True, for one of those who ask, when so much time has gone since it was made or the last true. */
bool cache_entry_tell(struct cache_entry *entry, uint64_t now_us, uint64_t every_us);
/* Nothing that it was read from has been written since. */
bool cache_entry_holds(const struct cache_entry *entry, const struct version_board *board);

#endif
