/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict: which share of questions each way of evicting answers, on traces drawn from a seed.
 *
 *   zipf A    popularity falls with rank to the power of A
 *   scan A    the same, and one question in four is part of a walk over keys never asked for again
 *   shift A   the same as zipf, but who is popular changes ten times
 *
 * "weir" is weir's own memory (src/cache/memory.c) with entries of one size; the others are models
 * that count entries; "best" knows the future (Belady) and cannot be built. Prints one line for each
 * trace and size: hit ratios in per cent. Exits 1 when weir's falls more than 3 points below the
 * best of lru, sieve and tinylfu, or below lru by more than half a point, anywhere.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/cache/memory.h"
#include "weir/util/rand.h"

#define KEYS     50000U
#define REQUESTS 1000000U
#define WALKED   (REQUESTS / 4U)
#define KEYS_ALL (KEYS + WALKED)
#define BODY     1000U
#define NEVER    UINT32_MAX
#define SEED     UINT64_C(20261126)
#define NIL      UINT32_MAX

static uint32_t trace[REQUESTS];

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL) {
        (void)fprintf(stderr, "no memory\n");
        exit(2);
    }
    return p;
}

/* --- traces --- */

static void draw(const char *kind, double alpha)
{
    double *upto = need(KEYS, sizeof(*upto));
    struct rand_state rng;
    double sum = 0;
    uint32_t walk = KEYS;
    bool scans = strcmp(kind, "scan") == 0;
    bool shifts = strcmp(kind, "shift") == 0;

    rand_seed(&rng, SEED);
    for (uint32_t i = 0; i < KEYS; i++) {
        sum += pow((double)i + 1.0, -alpha);
        upto[i] = sum;
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (scans && rand_below(&rng, 4) == 0 && walk < KEYS_ALL) {
            trace[i] = walk++;
            continue;
        }
        double at = rand_unit(&rng) * sum;
        uint32_t low = 0;
        uint32_t high = KEYS - 1;
        while (low < high) {
            uint32_t mid = (low + high) / 2;
            if (upto[mid] < at) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        uint32_t turn = shifts ? i / (REQUESTS / 10) * 997U : 0;
        trace[i] = (low + turn) % KEYS;
    }
    free(upto);
}

/* --- lists by number, for the models --- */

struct order {
    uint32_t *prev;
    uint32_t *next;
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

static void order_init(struct order *order)
{
    order->prev = need(KEYS_ALL, sizeof(uint32_t));
    order->next = need(KEYS_ALL, sizeof(uint32_t));
    order->first = order->last = NIL;
    order->count = 0;
}

static void order_fini(struct order *order)
{
    free(order->prev);
    free(order->next);
}

static void order_push(struct order *order, uint32_t key)
{
    order->prev[key] = order->last;
    order->next[key] = NIL;
    if (order->last != NIL) {
        order->next[order->last] = key;
    } else {
        order->first = key;
    }
    order->last = key;
    order->count++;
}

static void order_remove(struct order *order, uint32_t key)
{
    uint32_t prev = order->prev[key];
    uint32_t next = order->next[key];
    *(prev != NIL ? &order->next[prev] : &order->first) = next;
    *(next != NIL ? &order->prev[next] : &order->last) = prev;
    order->count--;
}

/* --- models --- */

static double lru(uint32_t room)
{
    struct order order;
    uint8_t *in = need(KEYS_ALL, 1);
    uint32_t hits = 0;

    order_init(&order);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t key = trace[i];
        if (in[key]) {
            hits++;
            order_remove(&order, key);
        } else if (order.count == room) {
            in[order.first] = 0;
            order_remove(&order, order.first);
        }
        in[key] = 1;
        order_push(&order, key);
    }
    order_fini(&order);
    free(in);
    return 100.0 * hits / REQUESTS;
}

static double sieve(uint32_t room)
{
    struct order order;
    uint8_t *in = need(KEYS_ALL, 1); /* 1: here, 2: asked for since the hand passed */
    uint32_t hand = NIL;
    uint32_t hits = 0;

    order_init(&order);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t key = trace[i];
        if (in[key]) {
            hits++;
            in[key] = 2;
            continue;
        }
        if (order.count == room) {
            uint32_t at = hand != NIL ? hand : order.first;
            while (in[at] == 2) {
                in[at] = 1;
                at = order.next[at] != NIL ? order.next[at] : order.first;
            }
            hand = order.next[at];
            in[at] = 0;
            order_remove(&order, at);
        }
        in[key] = 1;
        order_push(&order, key);
    }
    order_fini(&order);
    free(in);
    return 100.0 * hits / REQUESTS;
}

/* A window of 1 %, then two segments (a fifth of probation), let in by exact counts that are halved
 * after ten times as many questions as there is room: better than any sketch would be. */
static double tinylfu(uint32_t room)
{
    struct order parts[3]; /* window, probation, protected */
    uint8_t *in = need(KEYS_ALL, 1);
    uint16_t *uses = need(KEYS_ALL, sizeof(*uses));
    uint32_t window = room / 100 + 1;
    uint32_t most = (room - window) * 4 / 5;
    uint32_t hits = 0;

    for (size_t i = 0; i < 3; i++) {
        order_init(&parts[i]);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t key = trace[i];
        uses[key] = uses[key] < 15 ? (uint16_t)(uses[key] + 1) : uses[key];
        if (i % (10 * room) == 10 * room - 1) {
            for (uint32_t k = 0; k < KEYS_ALL; k++) {
                uses[k] /= 2;
            }
        }
        if (in[key]) {
            uint8_t part = in[key] == 1 ? 1 : 3;
            hits++;
            order_remove(&parts[in[key] - 1], key);
            order_push(&parts[part - 1], key);
            in[key] = part;
            if (parts[2].count > most) {
                uint32_t down = parts[2].first;
                order_remove(&parts[2], down);
                order_push(&parts[1], down);
                in[down] = 2;
            }
            continue;
        }
        in[key] = 1;
        order_push(&parts[0], key);
        if (parts[0].count <= window) {
            continue;
        }
        uint32_t candidate = parts[0].first;
        order_remove(&parts[0], candidate);
        if (parts[0].count + parts[1].count + parts[2].count < room) {
            order_push(&parts[1], candidate);
            in[candidate] = 2;
            continue;
        }
        uint32_t from = parts[1].count > 0 ? 1 : 2;
        uint32_t victim = parts[from].first;
        if (uses[candidate] > uses[victim]) {
            order_remove(&parts[from], victim);
            in[victim] = 0;
            order_push(&parts[1], candidate);
            in[candidate] = 2;
        } else {
            in[candidate] = 0;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        order_fini(&parts[i]);
    }
    free(in);
    free(uses);
    return 100.0 * hits / REQUESTS;
}

/* A heap of (next use, key), the farthest on top; what is out of date is passed over. */
struct far {
    uint32_t when;
    uint32_t key;
};

static void sift_up(struct far *heap, size_t at)
{
    while (at > 0 && heap[(at - 1) / 2].when < heap[at].when) {
        struct far swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

static struct far pop(struct far *heap, size_t *count)
{
    struct far top = heap[0];
    size_t at = 0;
    heap[0] = heap[--*count];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= *count) {
            return top;
        }
        child += child + 1 < *count && heap[child + 1].when > heap[child].when ? 1 : 0;
        if (heap[child].when <= heap[at].when) {
            return top;
        }
        struct far swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static double best(uint32_t room)
{
    uint32_t *next = need(REQUESTS, sizeof(*next));
    uint32_t *seen = need(KEYS_ALL, sizeof(*seen)); /* the next use of what is here; 0: not here */
    struct far *heap = need(REQUESTS, sizeof(*heap));
    size_t heaped = 0;
    uint32_t count = 0;
    uint32_t hits = 0;

    memset(seen, 0xff, KEYS_ALL * sizeof(*seen));
    for (uint32_t i = REQUESTS; i-- > 0;) {
        next[i] = seen[trace[i]];
        seen[trace[i]] = i;
    }
    memset(seen, 0, KEYS_ALL * sizeof(*seen));
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t key = trace[i];
        if (seen[key] != 0) {
            hits++;
        } else if (next[i] == NEVER) {
            continue; /* who knows the future leaves it out */
        } else {
            count++;
        }
        seen[key] = next[i];
        heap[heaped] = (struct far){.when = next[i], .key = key};
        sift_up(heap, heaped++);
        while (count > room) {
            struct far far = pop(heap, &heaped);
            if (seen[far.key] == far.when) {
                seen[far.key] = 0;
                count--;
            }
        }
    }
    free(next);
    free(seen);
    free(heap);
    return 100.0 * hits / REQUESTS;
}

/* --- weir's --- */

static double weir(uint32_t room)
{
    struct cache_memory *memory = NULL;
    struct version_lease lease = {.count = 1};
    struct cache_stats stats;
    struct cache_entry *entry = NULL;
    uint32_t hits = 0;
    uint32_t probe = NIL;
    struct cache_parts parts = {.key = {(const uint8_t *)&probe, sizeof(probe)},
                                .lease = &lease,
                                .body_size = BODY,
                                .fresh_us = 1,
                                .keep_us = 1};

    /* how much one entry is charged */
    if (cache_memory_create(1 << 20, &memory) < 0 ||
        cache_entry_create(memory, &parts, &entry) < 0) {
        exit(2);
    }
    cache_memory_stats(memory, &stats);
    size_t charge = stats.bytes;
    cache_entry_unref(entry);
    cache_memory_destroy(memory);

    if (cache_memory_create(charge * room, &memory) < 0) {
        exit(2);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        parts.key.p = (const uint8_t *)&trace[i];
        parts.hash = cache_memory_hash(memory, parts.key);
        entry = cache_memory_get(memory, parts.hash, parts.key);
        if (entry != NULL) {
            hits++;
        } else if (cache_entry_create(memory, &parts, &entry) >= 0) {
            cache_memory_put(memory, entry);
        }
        cache_entry_unref(entry);
        entry = NULL;
    }
    cache_memory_destroy(memory);
    return 100.0 * hits / REQUESTS;
}

int main(void)
{
    static const char *const kinds[] = {"zipf", "scan", "shift"};
    static const double alphas[] = {0.7, 0.9, 1.1};
    static const uint32_t percents[] = {1, 5, 20};
    bool is_good = true;

    (void)printf("trace      room   lru  sieve tinylfu  weir  best\n");
    for (size_t k = 0; k < 3; k++) {
        for (size_t a = 0; a < 3; a++) {
            draw(kinds[k], alphas[a]);
            for (size_t p = 0; p < 3; p++) {
                uint32_t room = KEYS * percents[p] / 100;
                double l = lru(room);
                double s = sieve(room);
                double t = tinylfu(room);
                double w = weir(room);
                double top = fmax(l, fmax(s, t));
                (void)printf("%-5s %.1f  %4" PRIu32 "%%  %5.1f  %5.1f   %5.1f %5.1f %5.1f\n",
                             kinds[k], alphas[a], percents[p], l, s, t, w, best(room));
                is_good = is_good && w > top - 3.0 && w > l - 0.5;
            }
        }
    }
    return is_good ? 0 : 1;
}
