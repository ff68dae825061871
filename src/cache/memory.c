/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eviction is S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache
 * eviction, SOSP 2023): a small queue for what is new, a main one for what was asked for again, and
 * a ghost of hashes that lets what returns soon into the main one at once. README.md has the figures
 * that it was chosen by.
 */
#include "weir/cache/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/list.h"

#define SHARD_BITS   4U
#define SHARDS       (1U << SHARD_BITS)
#define SECRET_SIZE  192U  /* what XXH3 reads of a secret, and more than its least */
#define BUCKET_BYTES 2048U /* one bucket for so many bytes of the bound */
#define BUCKETS_MIN  64U
#define SMALL_SHARE  10U /* the small queue's part: a tenth */
#define USES_MAX     3U
#define USES_TO_STAY 2U  /* asked for so often while new */
#define STEPS_MAX    64U /* of one search for a victim, so that nobody holds a lock for long */
#define BLOCK_EXTRA  32U /* what the allocator adds to a block, about */

enum queue {
    QUEUE_NONE, /* not in the table (any more) */
    QUEUE_SMALL,
    QUEUE_MAIN,
};

struct cache_entry {
    _Atomic uint32_t refs;
    _Atomic uint64_t told_us; /* to others, last; it orders nothing */
    /* under the shard's lock */
    uint8_t queue; /* enum queue */
    uint8_t uses;
    bool is_asked;
    struct list_node node;
    struct cache_entry *next; /* in its bucket */
    /* unchanged */
    struct cache_memory *memory;
    uint64_t hash;
    uint64_t filled_us;
    uint64_t fresh_us;
    uint64_t keep_us;
    size_t charge;
    size_t body_size;
    uint32_t key_len;
    uint64_t seen_us;
    int16_t source;
    uint32_t held_count;
    struct version_held held[]; /* then the key, then the body */
};

struct shard {
    pthread_mutex_t lock;
    struct cache_entry **buckets;
    uint64_t *ghost; /* by hash: the other half of it, and when it was evicted */
    struct list small;
    struct list main;
    size_t small_bytes;
    _Atomic size_t bytes; /* written under the lock; read by who looks for the fullest */
    size_t entries;
    uint32_t evictions; /* the ghost's clock */
    uint64_t inserted;
    uint64_t replaced;
    uint64_t evicted;
    uint64_t dropped;
    uint64_t returned;
};

struct cache_memory {
    struct shard shards[SHARDS];
    uint8_t secret[SECRET_SIZE];
    size_t buckets; /* of each shard; a power of two */
    size_t bytes_max;
    _Atomic size_t bytes;
    _Atomic uint64_t refused;
};

/* --- the whole --- */

static int shard_init(struct shard *shard, size_t buckets)
{
    atomic_init(&shard->bytes, 0);
    list_init(&shard->small);
    list_init(&shard->main);
    shard->buckets = calloc(buckets, sizeof(struct cache_entry *));
    shard->ghost = calloc(buckets, sizeof(uint64_t));
    if (shard->buckets == NULL || shard->ghost == NULL) {
        return -ENOMEM;
    }
    return pthread_mutex_init(&shard->lock, NULL) == 0 ? 0 : -ENOMEM;
}

int cache_memory_create(size_t bytes_max, struct cache_memory **ret_memory)
{
    struct cache_memory *memory = calloc(1, sizeof(*memory));
    int r = memory == NULL ? -ENOMEM : 0;

    if (memory == NULL) {
        return r;
    }
    memory->bytes_max = bytes_max;
    memory->buckets = BUCKETS_MIN;
    while (memory->buckets * SHARDS * BUCKET_BYTES < bytes_max) {
        memory->buckets *= 2;
    }
    crypto_random(memory->secret, sizeof(memory->secret));
    atomic_init(&memory->bytes, 0);
    atomic_init(&memory->refused, 0);
    for (size_t i = 0; i < SHARDS && r == 0; i++) {
        r = shard_init(&memory->shards[i], memory->buckets);
    }
    if (r < 0) {
        cache_memory_destroy(memory);
        return r;
    }
    *ret_memory = memory;
    return 0;
}

void cache_memory_destroy(struct cache_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    if (memory->shards[SHARDS - 1].ghost != NULL) {
        (void)cache_memory_flush(memory);
        WR_ASSERT(atomic_load(&memory->bytes) == 0);
    }
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];
        if (shard->buckets != NULL && shard->ghost != NULL) {
            (void)pthread_mutex_destroy(&shard->lock);
        }
        free(shard->buckets);
        free(shard->ghost);
    }
    free(memory);
}

uint64_t cache_memory_hash(const struct cache_memory *memory, struct span key)
{
    return XXH3_64bits_withSecret(key.p, key.len, memory->secret, sizeof(memory->secret));
}

static struct shard *shard_of(struct cache_memory *memory, uint64_t hash)
{
    return &memory->shards[hash >> (64U - SHARD_BITS)];
}

static void lock(struct shard *shard)
{
    int r = pthread_mutex_lock(&shard->lock);
    WR_ASSERT(r == 0);
}

static void unlock(struct shard *shard)
{
    int r = pthread_mutex_unlock(&shard->lock);
    WR_ASSERT(r == 0);
}

/* --- under a shard's lock --- */

static struct cache_entry *find(const struct cache_memory *memory, const struct shard *shard,
                                uint64_t hash, struct span key)
{
    struct cache_entry *entry = shard->buckets[hash & (memory->buckets - 1)];

    while (entry != NULL && (entry->hash != hash || !span_eq(cache_entry_key(entry), key))) {
        entry = entry->next;
    }
    return entry;
}

static size_t bytes_of(const struct shard *shard)
{
    return atomic_load_explicit(&shard->bytes, memory_order_relaxed);
}

static void set_bytes(struct shard *shard, size_t bytes)
{
    atomic_store_explicit(&shard->bytes, bytes, memory_order_relaxed);
}

/* Out of bucket and queue; the table's reference is the caller's to give back. */
static void take_out(const struct cache_memory *memory, struct shard *shard,
                     struct cache_entry *entry)
{
    struct cache_entry **at = &shard->buckets[entry->hash & (memory->buckets - 1)];

    while (*at != entry) {
        WR_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = entry->next;
    entry->next = NULL;
    list_remove(&entry->node);
    set_bytes(shard, bytes_of(shard) - entry->charge);
    if (entry->queue == QUEUE_SMALL) {
        shard->small_bytes -= entry->charge;
    }
    shard->entries--;
    entry->queue = QUEUE_NONE;
}

static uint64_t ghost_word(const struct shard *shard, uint64_t hash)
{
    return (hash >> 32U << 32U) | shard->evictions;
}

static void remember(const struct cache_memory *memory, struct shard *shard, uint64_t hash)
{
    shard->evictions++;
    shard->ghost[hash & (memory->buckets - 1)] = ghost_word(shard, hash);
}

/* Evicted not longer ago than as many evictions as there are entries. */
static bool was_here(const struct cache_memory *memory, const struct shard *shard, uint64_t hash)
{
    uint64_t word = shard->ghost[hash & (memory->buckets - 1)];

    return word != 0 && word >> 32U == hash >> 32U &&
           shard->evictions - (uint32_t)word <= shard->entries;
}

static void into_queue(struct shard *shard, struct cache_entry *entry, enum queue queue)
{
    entry->queue = (uint8_t)queue;
    list_push(queue == QUEUE_SMALL ? &shard->small : &shard->main, &entry->node);
    shard->small_bytes += queue == QUEUE_SMALL ? entry->charge : 0;
}

static void into_main(struct shard *shard, struct cache_entry *entry)
{
    list_remove(&entry->node);
    if (entry->queue == QUEUE_SMALL) {
        shard->small_bytes -= entry->charge;
    }
    into_queue(shard, entry, QUEUE_MAIN);
}

/* The next to go; NULL: the shard is empty. */
static struct cache_entry *victim(struct shard *shard)
{
    for (unsigned step = 0;; step++) {
        bool is_small =
            shard->small_bytes * SMALL_SHARE >= bytes_of(shard) || list_is_empty(&shard->main);
        struct list_node *node = list_first(is_small ? &shard->small : &shard->main);

        if (node == NULL) {
            return NULL;
        }
        struct cache_entry *entry = list_entry(node, struct cache_entry, node);
        if (step >= STEPS_MAX || entry->uses < (is_small ? USES_TO_STAY : 1U)) {
            return entry;
        }
        entry->uses = is_small ? 0 : (uint8_t)(entry->uses - 1);
        into_main(shard, entry);
    }
}

/* So that all shards are of one size, about, and each one's queues are what they would be alone. */
static struct shard *fullest(struct cache_memory *memory)
{
    struct shard *most = &memory->shards[0];

    for (size_t i = 1; i < SHARDS; i++) {
        if (bytes_of(&memory->shards[i]) > bytes_of(most)) {
            most = &memory->shards[i];
        }
    }
    return most;
}

/* One entry out. False: there was none. */
static bool evict(struct cache_memory *memory)
{
    struct shard *shard = fullest(memory);

    lock(shard);
    struct cache_entry *entry = victim(shard);
    if (entry != NULL) {
        if (entry->queue == QUEUE_SMALL) {
            remember(memory, shard, entry->hash);
        }
        take_out(memory, shard, entry);
        shard->evicted++;
    }
    unlock(shard);
    cache_entry_unref(entry);
    return entry != NULL;
}

/* --- bytes --- */

bool cache_memory_charge(struct cache_memory *memory, size_t bytes)
{
    if (bytes > memory->bytes_max) {
        atomic_fetch_add_explicit(&memory->refused, 1, memory_order_relaxed);
        return false;
    }
    size_t was = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    for (;;) {
        if (was <= memory->bytes_max - bytes) {
            if (atomic_compare_exchange_weak(&memory->bytes, &was, was + bytes)) {
                return true;
            }
            continue;
        }
        if (!evict(memory)) { /* the rest is being sent, or filled */
            atomic_fetch_add_explicit(&memory->refused, 1, memory_order_relaxed);
            return false;
        }
        was = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    }
}

void cache_memory_release(struct cache_memory *memory, size_t bytes)
{
    size_t was = atomic_fetch_sub(&memory->bytes, bytes);
    WR_ASSERT(was >= bytes);
}

/* --- entries --- */

int cache_entry_create(struct cache_memory *memory, const struct cache_parts *parts,
                       struct cache_entry **ret_entry)
{
    size_t held_size = parts->lease->count * sizeof(struct version_held);
    size_t size = sizeof(struct cache_entry) + held_size + parts->key.len + parts->body_size;

    WR_ASSERT(parts->key.len <= UINT32_MAX && parts->fresh_us <= parts->keep_us);
    if (!cache_memory_charge(memory, size + BLOCK_EXTRA)) {
        return -WR_E_LIMIT;
    }
    struct cache_entry *entry = malloc(size);
    if (entry == NULL) {
        cache_memory_release(memory, size + BLOCK_EXTRA);
        return -ENOMEM;
    }
    memset(entry, 0, sizeof(*entry));
    atomic_init(&entry->refs, 1);
    atomic_init(&entry->told_us, parts->seen_us);
    list_node_init(&entry->node);
    entry->memory = memory;
    entry->hash = parts->hash;
    entry->filled_us = parts->filled_us;
    entry->fresh_us = parts->fresh_us;
    entry->keep_us = parts->keep_us;
    entry->charge = size + BLOCK_EXTRA;
    entry->body_size = parts->body_size;
    entry->key_len = (uint32_t)parts->key.len;
    entry->seen_us = parts->seen_us;
    entry->source = parts->source;
    entry->held_count = parts->lease->count;
    memcpy(entry->held, parts->lease->held, held_size);
    if (parts->key.len > 0) {
        memcpy(entry->held + entry->held_count, parts->key.p, parts->key.len);
    }
    *ret_entry = entry;
    return 0;
}

bool cache_entry_tell(struct cache_entry *entry, uint64_t now_us, uint64_t every_us)
{
    uint64_t told_us = atomic_load_explicit(&entry->told_us, memory_order_relaxed);

    return now_us >= told_us + every_us &&
           atomic_compare_exchange_strong_explicit(&entry->told_us, &told_us, now_us,
                                                   memory_order_relaxed, memory_order_relaxed);
}

struct cache_entry *cache_entry_ref(struct cache_entry *entry)
{
    (void)atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    return entry;
}

void cache_entry_unref(struct cache_entry *entry)
{
    if (entry != NULL && atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) == 1) {
        cache_memory_release(entry->memory, entry->charge);
        free(entry);
    }
}

static uint8_t *key_at(const struct cache_entry *entry)
{
    union {
        const struct version_held *held;
        uint8_t *bytes;
    } at = {.held = entry->held + entry->held_count};
    return at.bytes;
}

uint8_t *cache_entry_room(struct cache_entry *entry)
{
    return key_at(entry) + entry->key_len;
}

struct span cache_entry_key(const struct cache_entry *entry)
{
    return (struct span){key_at(entry), entry->key_len};
}

struct span cache_entry_body(const struct cache_entry *entry)
{
    return (struct span){key_at(entry) + entry->key_len, entry->body_size};
}

uint64_t cache_entry_filled_us(const struct cache_entry *entry)
{
    return entry->filled_us;
}

uint64_t cache_entry_fresh_us(const struct cache_entry *entry)
{
    return entry->fresh_us;
}

uint64_t cache_entry_keep_us(const struct cache_entry *entry)
{
    return entry->keep_us;
}

uint64_t cache_entry_seen_us(const struct cache_entry *entry)
{
    return entry->seen_us;
}

int16_t cache_entry_source(const struct cache_entry *entry)
{
    return entry->source;
}

bool cache_entry_holds(const struct cache_entry *entry, const struct version_board *board)
{
    return version_lease_holds(board, entry->held, entry->held_count);
}

/* --- the table --- */

struct cache_entry *cache_memory_get(struct cache_memory *memory, uint64_t hash, struct span key)
{
    struct shard *shard = shard_of(memory, hash);

    lock(shard);
    struct cache_entry *entry = find(memory, shard, hash, key);
    if (entry != NULL) {
        entry->uses = entry->uses < USES_MAX ? (uint8_t)(entry->uses + 1) : entry->uses;
        entry->is_asked = true;
        (void)cache_entry_ref(entry);
    }
    unlock(shard);
    return entry;
}

struct cache_entry *cache_memory_peek(struct cache_memory *memory, uint64_t hash, struct span key,
                                      bool *ret_is_asked)
{
    struct shard *shard = shard_of(memory, hash);

    lock(shard);
    struct cache_entry *entry = find(memory, shard, hash, key);
    if (entry != NULL) {
        *ret_is_asked = entry->is_asked;
        (void)cache_entry_ref(entry);
    }
    unlock(shard);
    return entry;
}

void cache_memory_put(struct cache_memory *memory, struct cache_entry *entry)
{
    struct shard *shard = shard_of(memory, entry->hash);

    WR_ASSERT(entry->queue == QUEUE_NONE && entry->memory == memory);
    lock(shard);
    struct cache_entry *old = find(memory, shard, entry->hash, cache_entry_key(entry));
    bool stays = was_here(memory, shard, entry->hash);
    if (old != NULL) {
        stays = old->queue == QUEUE_MAIN;
        entry->uses = old->uses;
        take_out(memory, shard, old);
        shard->replaced++;
    } else {
        shard->inserted++;
        shard->returned += stays ? 1 : 0;
    }
    struct cache_entry **at = &shard->buckets[entry->hash & (memory->buckets - 1)];
    entry->next = *at;
    *at = cache_entry_ref(entry);
    set_bytes(shard, bytes_of(shard) + entry->charge);
    shard->entries++;
    into_queue(shard, entry, stays ? QUEUE_MAIN : QUEUE_SMALL);
    unlock(shard);
    cache_entry_unref(old);
}

void cache_memory_drop(struct cache_memory *memory, struct cache_entry *entry)
{
    struct shard *shard = shard_of(memory, entry->hash);
    bool is_out = false;

    lock(shard);
    if (entry->queue != QUEUE_NONE) {
        take_out(memory, shard, entry);
        shard->dropped++;
        is_out = true;
    }
    unlock(shard);
    if (is_out) {
        cache_entry_unref(entry);
    }
}

uint64_t cache_memory_flush(struct cache_memory *memory)
{
    uint64_t count = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];
        struct list gone;

        list_init(&gone);
        lock(shard);
        list_splice(&gone, &shard->small);
        list_splice(&gone, &shard->main);
        list_for_each (node, &gone) {
            struct cache_entry *entry = list_entry(node, struct cache_entry, node);
            entry->queue = QUEUE_NONE;
            entry->next = NULL;
            count++;
        }
        memset(shard->buckets, 0, memory->buckets * sizeof(struct cache_entry *));
        shard->dropped += shard->entries;
        shard->entries = 0;
        set_bytes(shard, 0);
        shard->small_bytes = 0;
        unlock(shard);
        list_for_each_safe (node, &gone) {
            list_remove(node);
            cache_entry_unref(list_entry(node, struct cache_entry, node));
        }
    }
    return count;
}

void cache_memory_stats(struct cache_memory *memory, struct cache_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof(*ret_stats));
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &memory->shards[i];

        lock(shard);
        ret_stats->entries += shard->entries;
        ret_stats->inserted += shard->inserted;
        ret_stats->replaced += shard->replaced;
        ret_stats->evicted += shard->evicted;
        ret_stats->dropped += shard->dropped;
        ret_stats->returned += shard->returned;
        unlock(shard);
    }
    ret_stats->bytes = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    ret_stats->refused = atomic_load_explicit(&memory->refused, memory_order_relaxed);
}
