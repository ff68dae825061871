/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/memory.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define MEMORY ((size_t)1 << 20)

static const struct version_lease no_lease = {.count = 1};

static struct cache_entry *make(struct cache_memory *memory, const char *key, size_t body_size)
{
    struct cache_entry *entry = NULL;
    const struct cache_parts parts = {.key = span_of(key),
                                      .hash = cache_memory_hash(memory, span_of(key)),
                                      .lease = &no_lease,
                                      .body_size = body_size,
                                      .filled_us = 1,
                                      .fresh_us = 2,
                                      .keep_us = 3,
                                      .seen_us = 9,
                                      .source = 4};
    if (cache_entry_create(memory, &parts, &entry) < 0) {
        return NULL;
    }
    memset(cache_entry_room(entry), key[0], body_size);
    return entry;
}

static bool put(struct cache_memory *memory, const char *key, size_t body_size)
{
    struct cache_entry *entry = make(memory, key, body_size);
    if (entry != NULL) {
        cache_memory_put(memory, entry);
        cache_entry_unref(entry);
    }
    return entry != NULL;
}

static struct cache_entry *get(struct cache_memory *memory, const char *key)
{
    return cache_memory_get(memory, cache_memory_hash(memory, span_of(key)), span_of(key));
}

static bool has(struct cache_memory *memory, const char *key)
{
    struct cache_entry *entry = get(memory, key);
    cache_entry_unref(entry);
    return entry != NULL;
}

static struct cache_stats stats_of(struct cache_memory *memory)
{
    struct cache_stats stats;
    cache_memory_stats(memory, &stats);
    return stats;
}

static void test_put_get(void **state)
{
    struct cache_memory *memory = NULL;
    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    assert_null(get(memory, "a"));
    assert_true(put(memory, "a", 100));
    assert_true(put(memory, "", 0));
    struct cache_entry *a = get(memory, "a");
    assert_non_null(a);
    assert_true(span_eq_text(cache_entry_key(a), "a"));
    assert_int_equal(cache_entry_body(a).len, 100);
    assert_int_equal(cache_entry_body(a).p[99], 'a');
    assert_int_equal(cache_entry_filled_us(a), 1);
    assert_int_equal(cache_entry_fresh_us(a), 2);
    assert_int_equal(cache_entry_keep_us(a), 3);
    assert_int_equal(cache_entry_source(a), 4);
    assert_int_equal(cache_entry_seen_us(a), 9);
    /* replaced: whoever sends the old one goes on with it */
    assert_true(put(memory, "a", 50));
    assert_int_equal(cache_entry_body(a).len, 100);
    struct cache_entry *newer = get(memory, "a");
    assert_int_equal(cache_entry_body(newer).len, 50);
    /* the old one's end is not the new one's */
    cache_memory_drop(memory, a);
    assert_true(has(memory, "a"));
    cache_memory_drop(memory, newer);
    assert_false(has(memory, "a"));
    cache_memory_drop(memory, newer);
    cache_entry_unref(a);
    cache_entry_unref(newer);
    struct cache_stats stats = stats_of(memory);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(stats.inserted, 2);
    assert_int_equal(stats.replaced, 1);
    assert_int_equal(stats.dropped, 1);
    assert_int_equal(cache_memory_flush(memory), 1);
    assert_int_equal(stats_of(memory).bytes, 0);
    cache_memory_destroy(memory);
}

/* Who only looks has not asked for it. */
static void test_peek(void **state)
{
    struct cache_memory *memory = NULL;
    struct cache_entry *entry = NULL;
    struct version_lease lease = {.count = 0};
    const struct cache_parts parts = {
        .key = SPAN_LIT("k"), .hash = 7, .lease = &lease, .body_size = 1};
    bool is_asked = true;

    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    assert_null(cache_memory_peek(memory, 7, SPAN_LIT("k"), &is_asked));
    assert_int_equal(cache_entry_create(memory, &parts, &entry), 0);
    cache_entry_room(entry)[0] = 0;
    cache_memory_put(memory, entry);
    cache_entry_unref(entry);
    for (int i = 0; i < 2; i++) {
        entry = cache_memory_peek(memory, 7, SPAN_LIT("k"), &is_asked);
        assert_non_null(entry);
        assert_int_equal(is_asked, i == 1);
        cache_entry_unref(entry);
        entry = cache_memory_get(memory, 7, SPAN_LIT("k"));
        cache_entry_unref(entry);
    }
    cache_memory_destroy(memory);
}

static void test_holds(void **state)
{
    struct cache_memory *memory = NULL;
    struct version_board *board = NULL;
    struct version_lease lease;
    struct cache_entry *entry = NULL;
    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    assert_int_equal(version_board_create(&board), 0);
    version_lease_begin(board, &lease);
    assert_int_equal(version_lease_add_table(board, &lease, SPAN_LIT("s"), SPAN_LIT("t")), 0);
    const struct cache_parts parts = {.key = SPAN_LIT("k"), .lease = &lease};
    assert_int_equal(cache_entry_create(memory, &parts, &entry), 0);
    assert_true(cache_entry_holds(entry, board));
    version_bump(board, version_slot_table(SPAN_LIT("s"), SPAN_LIT("t")), 1);
    assert_false(cache_entry_holds(entry, board));
    cache_entry_unref(entry);
    cache_memory_destroy(memory);
    version_board_destroy(board);
}

/* The bound holds at every moment, with entries of every size, some of them being sent. */
static void test_bound(void **state)
{
    enum {
        SENT = 100
    };
    struct cache_memory *memory = NULL;
    struct cache_entry *sent[SENT] = {0};
    struct rand_state rng;
    char key[32];
    size_t refused = 0;
    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    rand_seed(&rng, 7);
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof(key), "key%u", (unsigned)rand_below(&rng, 3000));
        refused += put(memory, key, (size_t)rand_below(&rng, 40000)) ? 0 : 1;
        assert_true(stats_of(memory).bytes <= MEMORY);
        unsigned slot = (unsigned)rand_below(&rng, SENT);
        cache_entry_unref(sent[slot]);
        sent[slot] = get(memory, key);
        if (sent[slot] != NULL) {
            struct span body = cache_entry_body(sent[slot]);
            assert_true(body.len == 0 || (body.p[0] == 'k' && body.p[body.len - 1] == 'k'));
        }
    }
    assert_true(stats_of(memory).evicted > 1000);
    assert_true(refused > 0); /* all of it was being sent: no room, and no harm */
    assert_int_equal(stats_of(memory).refused, refused);
    for (unsigned i = 0; i < SENT; i++) {
        cache_entry_unref(sent[i]);
    }
    assert_false(put(memory, "larger than all", MEMORY));
    (void)cache_memory_flush(memory);
    assert_int_equal(stats_of(memory).bytes, 0);
    /* what a fill holds counts */
    assert_true(cache_memory_charge(memory, MEMORY - 100));
    assert_false(put(memory, "x", 1000));
    cache_memory_release(memory, MEMORY - 100);
    assert_true(put(memory, "x", 1000));
    cache_memory_destroy(memory);
}

/* A walk over keys that nobody asks for again leaves what is asked for often. */
static void test_scan(void **state)
{
    struct cache_memory *memory = NULL;
    char key[32];
    unsigned left = 0;
    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 200; i++) {
            (void)snprintf(key, sizeof(key), "hot%u", i);
            if (!has(memory, key)) {
                assert_true(put(memory, key, 1000));
            }
        }
    }
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof(key), "cold%u", i);
        assert_true(put(memory, key, 1000));
    }
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "hot%u", i);
        left += has(memory, key) ? 1 : 0;
    }
    assert_true(left >= 190);
    /* evicted while new, and back soon: it is let into the main queue at once */
    assert_int_equal(stats_of(memory).returned, 0);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "cold%u", 19000 + i);
        assert_true(has(memory, key) || put(memory, key, 1000));
    }
    assert_true(stats_of(memory).returned > 100);
    cache_memory_destroy(memory);
}

/* --- threads --- */

enum {
    THREADS = 4,
    TURNS = 20000
};

static void *worker(void *arg)
{
    struct cache_memory *memory = arg;
    struct rand_state rng;
    char key[32];
    rand_seed(&rng, (uint64_t)(uintptr_t)&rng);
    for (unsigned i = 0; i < TURNS; i++) {
        (void)snprintf(key, sizeof(key), "key%u", (unsigned)rand_below(&rng, 2000));
        struct cache_entry *entry = get(memory, key);
        if (entry == NULL) {
            (void)put(memory, key, (size_t)rand_below(&rng, 4000));
            continue;
        }
        struct span body = cache_entry_body(entry);
        if (body.len > 0 && (body.p[0] != 'k' || body.p[body.len - 1] != 'k')) {
            cache_entry_unref(entry);
            return memory;
        }
        if (rand_below(&rng, 50) == 0) {
            cache_memory_drop(memory, entry);
        }
        cache_entry_unref(entry);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct cache_memory *memory = NULL;
    pthread_t threads[THREADS];
    (void)state;
    assert_int_equal(cache_memory_create(MEMORY, &memory), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, worker, memory), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        (void)cache_memory_flush(memory);
        assert_true(stats_of(memory).bytes <= MEMORY);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    (void)cache_memory_flush(memory);
    assert_int_equal(stats_of(memory).bytes, 0);
    assert_int_equal(stats_of(memory).entries, 0);
    cache_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get), cmocka_unit_test(test_holds),
        cmocka_unit_test(test_bound),   cmocka_unit_test(test_scan),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_peek),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
