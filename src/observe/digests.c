/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries lie in chunks that are made as they are needed and never move, so a place is good for as
 * long as the entry has the hash that it was asked for. An index of 32-bit places, half full at
 * most, finds them: linear probing from a place that depends on a secret of the process, because
 * clients choose the statements and with them the hashes.
 *
 * When the table is full a hand goes round: an entry that was used since the hand was there last is
 * spared once, the first that was not makes room. That is near enough to the least recently used,
 * and costs a store per statement instead of a list to be kept in order.
 */
#include "weir/observe/digests.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/fault.h"

#define CHUNK_SHIFT 8
#define CHUNK       (1U << CHUNK_SHIFT)

/* Shared by the table and the lists that were made of it: hence counted. */
struct digest_text {
    atomic_uint refs;
    uint32_t len;
    uint8_t bytes[];
};

struct entry {
    struct digest_row row;
    bool is_used; /* since the hand was here */
};

struct digests {
    uint32_t max;
    uint32_t count;
    uint32_t hand;
    unsigned shift; /* 64 - log2(slots) */
    uint32_t mask;
    uint64_t secret; /* odd */
    uint64_t evicted;
    uint32_t *index; /* place + 1; 0: free */
    struct entry **chunks;
};

/* --- texts --- */

static struct digest_text *text_create(struct span text)
{
    size_t len = text.len < DIGEST_TEXT_MAX ? text.len : DIGEST_TEXT_MAX;
    struct digest_text *copy = fault_malloc(sizeof(*copy) + len);

    if (copy == NULL) {
        return NULL;
    }
    atomic_init(&copy->refs, 1);
    copy->len = (uint32_t)len;
    if (len > 0) {
        memcpy(copy->bytes, text.p, len);
    }
    return copy;
}

static struct digest_text *text_ref(struct digest_text *text)
{
    /* relaxed: the caller holds a reference, and the bytes never change */
    (void)atomic_fetch_add_explicit(&text->refs, 1, memory_order_relaxed);
    return text;
}

static void text_unref(struct digest_text *text)
{
    /* acquire and release: the last one frees what the others have read */
    if (text != NULL && atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) == 1) {
        free(text);
    }
}

struct span digest_text(const struct digest_row *row)
{
    return (struct span){row->text->bytes, row->text->len};
}

/* --- the table --- */

static struct entry *entry_at(const struct digests *digests, uint32_t place)
{
    return &digests->chunks[place >> CHUNK_SHIFT][place & (CHUNK - 1)];
}

int digests_create(uint32_t max, struct digests **ret_digests)
{
    struct digests *digests = NULL;
    unsigned bits = 4;

    if (max == 0) {
        *ret_digests = NULL;
        return 0;
    }
    while ((UINT64_C(1) << bits) < (uint64_t)max * 2) {
        bits++;
    }
    digests = fault_calloc(1, sizeof(*digests));
    if (digests == NULL) {
        return -ENOMEM;
    }
    digests->max = max;
    digests->shift = 64 - bits;
    digests->mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    crypto_random(&digests->secret, sizeof(digests->secret));
    digests->secret |= 1;
    digests->index = fault_calloc((size_t)digests->mask + 1, sizeof(*digests->index));
    digests->chunks = fault_calloc((max >> CHUNK_SHIFT) + 1, sizeof(struct entry *));
    if (digests->index == NULL || digests->chunks == NULL) {
        digests_destroy(digests);
        return -ENOMEM;
    }
    *ret_digests = digests;
    return 0;
}

void digests_destroy(struct digests *digests)
{
    if (digests == NULL) {
        return;
    }
    if (digests->chunks != NULL) {
        for (uint32_t i = 0; i < digests->count; i++) {
            text_unref(entry_at(digests, i)->row.text);
        }
        for (uint32_t i = 0; i <= digests->max >> CHUNK_SHIFT; i++) {
            free(digests->chunks[i]);
        }
    }
    free(digests->chunks);
    free(digests->index);
    free(digests);
}

static uint32_t home_of(const struct digests *digests, uint64_t hash)
{
    return (uint32_t)((hash * digests->secret) >> digests->shift);
}

/* The index slot of a hash, or the free one where it would go. */
static uint32_t slot_find(const struct digests *digests, uint64_t hash)
{
    uint32_t slot = home_of(digests, hash);

    while (digests->index[slot] != 0 &&
           entry_at(digests, digests->index[slot] - 1)->row.hash != hash) {
        slot = (slot + 1) & digests->mask;
    }
    return slot;
}

/* Those behind it that would not be found any more move up. */
static void slot_free(struct digests *digests, uint32_t slot)
{
    uint32_t next = slot;

    for (;;) {
        uint32_t home = 0;

        next = (next + 1) & digests->mask;
        if (digests->index[next] == 0) {
            break;
        }
        home = home_of(digests, entry_at(digests, digests->index[next] - 1)->row.hash);
        if (((next - home) & digests->mask) >= ((next - slot) & digests->mask)) {
            digests->index[slot] = digests->index[next];
            slot = next;
        }
    }
    digests->index[slot] = 0;
}

uint32_t digests_find(struct digests *digests, uint64_t hash)
{
    uint32_t slot = slot_find(digests, hash);
    uint32_t place = 0;

    if (digests->index[slot] == 0) {
        return DIGESTS_NONE;
    }
    place = digests->index[slot] - 1;
    entry_at(digests, place)->is_used = true;
    return place;
}

/* Who makes room. Two rounds at most: the first takes every mark away. */
static uint32_t evict(struct digests *digests)
{
    uint32_t place = digests->hand;

    while (entry_at(digests, place)->is_used) {
        entry_at(digests, place)->is_used = false;
        place = place + 1 < digests->max ? place + 1 : 0;
    }
    digests->hand = place + 1 < digests->max ? place + 1 : 0;
    slot_free(digests, slot_find(digests, entry_at(digests, place)->row.hash));
    text_unref(entry_at(digests, place)->row.text);
    digests->evicted++;
    return place;
}

uint32_t digests_add(struct digests *digests, uint64_t hash, struct span text, uint64_t now_us,
                     bool *ret_evicted)
{
    struct digest_text *copy = text_create(text);
    uint32_t place = digests->count;
    struct entry *entry = NULL;

    *ret_evicted = false;
    if (copy == NULL) {
        return DIGESTS_NONE;
    }
    if (place == digests->max) {
        place = evict(digests);
        *ret_evicted = true;
    } else {
        struct entry **chunk = &digests->chunks[place >> CHUNK_SHIFT];

        if (*chunk == NULL) {
            *chunk = fault_calloc(CHUNK, sizeof(**chunk));
        }
        if (*chunk == NULL) {
            text_unref(copy);
            return DIGESTS_NONE;
        }
        digests->count++;
    }
    entry = entry_at(digests, place);
    *entry = (struct entry){
        .row = {.hash = hash, .text = copy, .first_us = now_us, .last_us = now_us},
        .is_used = false, /* what comes once only is the first to go */
    };
    digests->index[slot_find(digests, hash)] = place + 1;
    return place;
}

static unsigned bucket_of(uint64_t us)
{
    unsigned top = us < 16 ? 3 : 63U - (unsigned)__builtin_clzll(us);
    unsigned bucket = top < 4 ? 0 : 1 + (top - 4) * 2 + (unsigned)((us >> (top - 1)) & 1);

    return bucket < DIGEST_BUCKETS ? bucket : DIGEST_BUCKETS - 1;
}

static uint64_t bucket_end_us(unsigned bucket)
{
    unsigned top = bucket == 0 ? 0 : 4 + (bucket - 1) / 2;

    if (bucket == 0) {
        return 16;
    }
    return (bucket & 1) != 0 ? UINT64_C(3) << (top - 1) : UINT64_C(2) << top;
}

void digests_record(struct digests *digests, uint32_t place, uint64_t hash,
                    const struct digest_sample *sample)
{
    struct digest_row *row = NULL;

    if (place >= digests->count || entry_at(digests, place)->row.hash != hash) {
        return;
    }
    row = &entry_at(digests, place)->row;
    row->count++;
    row->errors += sample->is_error ? 1 : 0;
    row->on_replica += sample->is_on_replica && !sample->is_cache_hit ? 1 : 0;
    row->cache_hits += sample->is_cache_hit ? 1 : 0;
    row->bytes += sample->bytes;
    row->total_us += sample->latency_us;
    row->max_us = sample->latency_us > row->max_us ? sample->latency_us : row->max_us;
    row->last_us = sample->now_us;
    row->buckets[bucket_of(sample->latency_us)]++;
}

uint32_t digests_count(const struct digests *digests)
{
    return digests == NULL ? 0 : digests->count;
}

uint64_t digest_quantile_us(const struct digest_row *row, double part)
{
    uint64_t total = 0;
    uint64_t seen = 0;
    uint64_t wanted = 0;

    for (unsigned i = 0; i < DIGEST_BUCKETS; i++) {
        total += row->buckets[i];
    }
    wanted = (uint64_t)((double)total * part);
    wanted += (double)wanted < (double)total * part ? 1 : 0;
    for (unsigned i = 0; i < DIGEST_BUCKETS; i++) {
        seen += row->buckets[i];
        if (seen >= wanted && seen > 0) {
            return i + 1 < DIGEST_BUCKETS && bucket_end_us(i) < row->max_us ? bucket_end_us(i)
                                                                            : row->max_us;
        }
    }
    return 0;
}

/* --- lists --- */

static void row_copy(struct digest_row *to, const struct digest_row *from)
{
    *to = *from;
    (void)text_ref(to->text);
}

/* A heap whose top has taken the least time, so that one that took more replaces it. */
static void heap_down(const struct digest_row **heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t least = at;

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            least = heap[child]->total_us < heap[least]->total_us ? child : least;
        }
        if (least == at) {
            return;
        }
        const struct digest_row *row = heap[at];

        heap[at] = heap[least];
        heap[least] = row;
        at = least;
    }
}

int digests_list(const struct digests *digests, uint32_t max, struct digest_list **ret_list)
{
    uint32_t held = digests_count(digests);
    uint32_t count = held < max ? held : max;
    struct digest_list *list =
        fault_calloc(1, sizeof(*list) + (size_t)count * sizeof(list->rows[0]));
    const struct digest_row **heap = fault_calloc((size_t)count + 1, sizeof(struct digest_row *));

    if (list == NULL || heap == NULL) {
        free(list);
        free(heap);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        heap[i] = &entry_at(digests, i)->row;
    }
    for (uint32_t i = count / 2; i > 0 && held > count; i--) {
        heap_down(heap, count, i - 1);
    }
    for (uint32_t i = count; i < held && count > 0; i++) {
        const struct digest_row *row = &entry_at(digests, i)->row;

        if (row->total_us > heap[0]->total_us) {
            heap[0] = row;
            heap_down(heap, count, 0);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        row_copy(&list->rows[i], heap[i]);
    }
    free(heap);
    list->count = count;
    list->left_off = held - count;
    list->evicted = digests == NULL ? 0 : digests->evicted;
    *ret_list = list;
    return 0;
}

void digest_list_free(struct digest_list *list)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        text_unref(list->rows[i].text);
    }
    free(list);
}

static int order_hash(const void *a, const void *b)
{
    const struct digest_row *x = a;
    const struct digest_row *y = b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int order_time(const void *a, const void *b)
{
    const struct digest_row *x = a;
    const struct digest_row *y = b;
    int order = (x->total_us < y->total_us) - (x->total_us > y->total_us);

    return order != 0 ? order : order_hash(a, b);
}

static void row_add(struct digest_row *to, const struct digest_row *from)
{
    to->count += from->count;
    to->errors += from->errors;
    to->on_replica += from->on_replica;
    to->cache_hits += from->cache_hits;
    to->bytes += from->bytes;
    to->total_us += from->total_us;
    to->max_us = from->max_us > to->max_us ? from->max_us : to->max_us;
    to->first_us = from->first_us < to->first_us ? from->first_us : to->first_us;
    to->last_us = from->last_us > to->last_us ? from->last_us : to->last_us;
    for (unsigned i = 0; i < DIGEST_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

/* Sorted by hash: neighbours of one hash become one. */
static void rows_unite(struct digest_list *list)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        if (kept > 0 && list->rows[kept - 1].hash == list->rows[i].hash) {
            row_add(&list->rows[kept - 1], &list->rows[i]);
            text_unref(list->rows[i].text);
        } else {
            list->rows[kept] = list->rows[i];
            kept++;
        }
    }
    list->count = kept;
}

int digest_list_merge(struct digest_list *const *lists, size_t count, struct digest_list **ret_list)
{
    struct digest_list *all = NULL;
    size_t rows = 0;

    for (size_t i = 0; i < count; i++) {
        rows += lists[i] == NULL ? 0 : lists[i]->count;
    }
    all = fault_calloc(1, sizeof(*all) + rows * sizeof(all->rows[0]));
    if (all == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; lists[i] != NULL && k < lists[i]->count; k++) {
            row_copy(&all->rows[all->count++], &lists[i]->rows[k]);
        }
        all->left_off += lists[i] == NULL ? 0 : lists[i]->left_off;
        all->evicted += lists[i] == NULL ? 0 : lists[i]->evicted;
    }
    WR_DASSERT(all->count == rows);
    qsort(all->rows, all->count, sizeof(all->rows[0]), order_hash);
    rows_unite(all);
    qsort(all->rows, all->count, sizeof(all->rows[0]), order_time);
    *ret_list = all;
    return 0;
}
