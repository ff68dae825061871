/* SPDX-License-Identifier: Apache-2.0 */
/* The board of tokens: marks and takes, sets without room, threads; and the picture of positions that
 * they are compared with. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/positions.h"
#include "weir/route/causal.h"

#define U "16a211eb-e9c5-11f1-b4cc-02fc00000001"

static const struct gtid_limits WIDE = {.sources = 64, .ranges = 4096};

static void load(struct gtid_set *set, const char *text)
{
    gtid_init(set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &WIDE, set), 0);
}

static bool has_text(const struct gtid_set *have, const char *text)
{
    struct gtid_set want;
    load(&want, text);
    bool has = gtid_has(have, &want);
    gtid_fini(&want);
    return has;
}

static void add_text(struct causal_board *board, uint32_t slot, const char *text)
{
    struct gtid_set set;
    load(&set, text);
    causal_board_add(board, slot, &set, NULL, 1000);
    gtid_fini(&set);
}

static void marks_and_takes(void **unused)
{
    struct causal_board *board = causal_board_create();
    struct causal_mark mark = {.version = 77};
    struct gtid_set token;
    uint32_t slot = causal_slot_user(SPAN_LIT("alice"));

    (void)unused;
    assert_non_null(board);
    gtid_init(&token);
    assert_int_not_equal(slot, CAUSAL_SLOT_ALL);
    assert_int_not_equal(slot, causal_slot_key(SPAN_LIT("alice")));
    assert_false(causal_board_is_new(board, slot, 0));
    add_text(board, slot, U ":5");
    assert_true(causal_board_is_new(board, slot, 0));
    assert_false(causal_board_is_new(board, CAUSAL_SLOT_ALL, 0));
    assert_int_equal(causal_board_take(board, slot, &token, &mark), 0);
    assert_true(has_text(&token, U ":5"));
    assert_false(causal_board_is_new(board, slot, mark.version));
    assert_int_equal(mark.unknown_us, 0);
    causal_board_unknown(board, slot, 2000);
    causal_board_unknown(board, slot, 1500);
    causal_board_blind(board, slot, 9000);
    causal_board_blind(board, slot, 8000);
    assert_true(causal_board_is_new(board, slot, mark.version));
    assert_int_equal(causal_board_take(board, slot, &token, &mark), 0);
    assert_int_equal(mark.unknown_us, 2000);
    assert_int_equal(mark.blind_until_us, 9000);
    /* of another flavour: what was there is void, and the primary's word is needed */
    add_text(board, slot, "0-1-5");
    gtid_clear(&token);
    assert_int_equal(causal_board_take(board, slot, &token, &mark), 0);
    assert_true(gtid_is_empty(&token));
    assert_int_equal(mark.unknown_us, 2000);
    gtid_clear(&token);
    add_text(board, causal_slot_key(SPAN_LIT("k")), "0-1-5");
    add_text(board, causal_slot_key(SPAN_LIT("k")), U ":1");
    assert_int_equal(causal_board_take(board, causal_slot_key(SPAN_LIT("k")), &token, &mark), 0);
    assert_int_equal(mark.unknown_us, 1000);
    gtid_fini(&token);
    causal_board_destroy(board);
    causal_board_destroy(NULL);
}

static void no_room(void **unused)
{
    struct causal_board *board = causal_board_create();
    struct causal_mark mark = {.version = 0};
    struct gtid_set token;
    struct gtid_set whole;
    struct gtid_set one;
    char text[64];

    (void)unused;
    assert_non_null(board);
    gtid_init(&token);
    load(&whole, U ":1-100000");
    for (unsigned n = 1; n < 1000; n += 2) {
        (void)snprintf(text, sizeof(text), U ":%u", n);
        load(&one, text);
        causal_board_add(board, 3, &one, &whole, n);
        gtid_fini(&one);
        assert_int_equal(causal_board_take(board, 3, &token, &mark), 0);
        assert_int_equal(mark.unknown_us, 0); /* gaps that the primary has closed are none */
        assert_true(has_text(&token, text));
        gtid_clear(&token);
    }
    for (unsigned n = 1; n < 1000; n += 2) {
        (void)snprintf(text, sizeof(text), U ":%u", n);
        load(&one, text);
        causal_board_add(board, 4, &one, NULL, n);
        gtid_fini(&one);
        gtid_clear(&token);
        assert_int_equal(causal_board_take(board, 4, &token, &mark), 0);
        assert_true(has_text(&token, text) || mark.unknown_us == n);
    }
    assert_int_not_equal(mark.unknown_us, 0);
    gtid_fini(&whole);
    gtid_fini(&token);
    causal_board_destroy(board);
}

/* --- threads: whoever knows of a write finds it in what it takes --- */

enum {
    THREADS = 4,
    WRITES = 2000,
};

struct shared {
    struct causal_board *board;
    _Atomic unsigned done[THREADS];
};

struct writer {
    struct shared *shared;
    unsigned index;
};

static void write_one(struct shared *shared, unsigned index, unsigned n)
{
    char text[64];
    struct gtid_set set;

    (void)snprintf(text, sizeof(text), "%u-1-%u", index, n);
    gtid_init(&set);
    if (gtid_parse(span_of(text), GTID_MARIADB, &WIDE, &set) == 0) {
        causal_board_add(shared->board, CAUSAL_SLOT_ALL, &set, NULL, n);
    }
    gtid_fini(&set);
    atomic_store(&shared->done[index], n);
}

static void *write_and_look(void *arg)
{
    struct writer *writer = arg;
    struct shared *shared = writer->shared;
    struct gtid_set token;
    struct causal_mark mark = {.version = 0};
    bool is_fine = true;

    gtid_init(&token);
    for (unsigned n = 1; n <= WRITES; n++) {
        unsigned seen[THREADS];

        write_one(shared, writer->index, n);
        for (unsigned i = 0; i < THREADS; i++) {
            seen[i] = atomic_load(&shared->done[i]);
        }
        if (causal_board_is_new(shared->board, CAUSAL_SLOT_ALL, mark.version) &&
            causal_board_take(shared->board, CAUSAL_SLOT_ALL, &token, &mark) < 0) {
            is_fine = false;
        }
        for (unsigned i = 0; i < THREADS; i++) {
            char text[64];

            (void)snprintf(text, sizeof(text), "%u-1-%u", i, seen[i]);
            is_fine = is_fine && (seen[i] == 0 || has_text(&token, text));
        }
    }
    gtid_fini(&token);
    return is_fine ? arg : NULL;
}

static void from_many_threads(void **unused)
{
    static struct shared shared;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];

    (void)unused;
    shared.board = causal_board_create();
    assert_non_null(shared.board);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){&shared, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_look, &writers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *ret = NULL;

        assert_int_equal(pthread_join(threads[i], &ret), 0);
        assert_ptr_equal(ret, &writers[i]);
    }
    causal_board_destroy(shared.board);
}

/* --- shared boards --- */

static void on_wake(void *arg)
{
    (void)atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void shared_marks(void **unused)
{
    struct causal_board *board = causal_board_create();
    _Atomic unsigned wakes = 0;
    struct causal_out out;
    struct gtid_set token;
    uint32_t cursor = 0;

    (void)unused;
    assert_non_null(board);
    gtid_init(&token);
    assert_false(causal_board_collect(board, &cursor, &token, &out));
    add_text(board, 9, U ":1"); /* before it is shared: nobody's business */
    assert_false(causal_board_is_deaf(board, 1));
    causal_board_share(board, on_wake, &wakes);
    assert_true(causal_board_is_shared(board));
    cursor = 0;
    assert_false(causal_board_collect(board, &cursor, &token, &out));
    add_text(board, 9, U ":5");
    add_text(board, 9, U ":6");
    causal_board_unknown(board, CAUSAL_SLOTS - 1, 100);
    causal_board_blind(board, 0, 700);
    assert_int_equal(wakes, 1);
    cursor = 0;
    assert_true(causal_board_collect(board, &cursor, &token, &out));
    assert_int_equal(out.slot, 0);
    assert_int_equal(out.blind_until_us, 700);
    assert_true(gtid_is_empty(&token));
    assert_true(causal_board_collect(board, &cursor, &token, &out));
    assert_int_equal(out.slot, 9);
    assert_false(out.is_unknown);
    assert_int_equal(out.blind_until_us, 0);
    assert_true(has_text(&token, U ":5-6"));
    assert_false(has_text(&token, U ":1"));
    add_text(board, 9, U ":7"); /* behind the cursor: for the next time, and it wakes */
    assert_int_equal(wakes, 2);
    assert_true(causal_board_collect(board, &cursor, &token, &out));
    assert_int_equal(out.slot, CAUSAL_SLOTS - 1);
    assert_true(out.is_unknown);
    assert_false(causal_board_collect(board, &cursor, &token, &out));
    cursor = 0;
    assert_true(causal_board_collect(board, &cursor, &token, &out));
    assert_true(has_text(&token, U ":7"));
    assert_false(has_text(&token, U ":5"));
    /* of two flavours: nobody knows */
    add_text(board, 9, U ":8");
    add_text(board, 9, "0-1-5");
    cursor = 0;
    assert_true(causal_board_collect(board, &cursor, &token, &out));
    assert_true(out.is_unknown);
    assert_false(causal_board_collect(board, &cursor, &token, &out));
    gtid_fini(&token);
    causal_board_destroy(board);
}

static void shared_hearing(void **unused)
{
    struct causal_board *board = causal_board_create();
    _Atomic unsigned wakes = 0;
    struct causal_mark mark = {.version = 0};
    struct causal_out out = {.slot = 3};
    struct gtid_set token;
    struct gtid_set set;
    uint32_t cursor = 0;

    (void)unused;
    assert_non_null(board);
    gtid_init(&token);
    load(&set, U ":4");
    causal_board_share(board, on_wake, &wakes);
    assert_true(causal_board_is_deaf(board, 1));
    causal_board_hear_until(board, 1000);
    assert_false(causal_board_is_deaf(board, 999));
    assert_true(causal_board_is_deaf(board, 1000));
    causal_board_hear(board, &out, &set, NULL, 50);
    assert_true(causal_board_is_new(board, 3, 0));
    assert_int_equal(causal_board_take(board, 3, &token, &mark), 0);
    assert_true(has_text(&token, U ":4"));
    assert_int_equal(mark.unknown_us, 0);
    /* something was missed: new to every slot, each says so */
    causal_board_missed(board, 60);
    assert_true(causal_board_is_new(board, 3, mark.version));
    assert_true(causal_board_is_new(board, 4, 0));
    assert_int_equal(causal_board_take(board, 4, &token, &mark), 0);
    assert_int_equal(mark.unknown_us, 60);
    assert_false(causal_board_is_new(board, 4, mark.version));
    assert_int_equal(causal_board_take(board, 3, &token, &mark), 0);
    assert_int_equal(mark.unknown_us, 60);
    out = (struct causal_out){.slot = 3, .is_unknown = true, .blind_until_us = 500};
    causal_board_hear(board, &out, NULL, NULL, 70);
    assert_true(causal_board_is_new(board, 3, mark.version));
    assert_int_equal(causal_board_take(board, 3, &token, &mark), 0);
    assert_int_equal(mark.unknown_us, 70);
    assert_int_equal(mark.blind_until_us, 500);
    /* what was heard is not told again */
    assert_int_equal(wakes, 0);
    assert_false(causal_board_collect(board, &cursor, &token, &out));
    gtid_fini(&set);
    gtid_fini(&token);
    causal_board_destroy(board);
}

/* One collects while four write: nothing gets lost between a mark and the bit that says so. */
static void shared_threads(void **unused)
{
    static struct shared shared;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    _Atomic unsigned wakes = 0;
    struct gtid_set all;
    struct gtid_set token;
    struct causal_out out;
    unsigned done = 0;

    (void)unused;
    memset(&shared, 0, sizeof(shared));
    shared.board = causal_board_create();
    assert_non_null(shared.board);
    gtid_init(&all);
    gtid_init(&token);
    causal_board_share(shared.board, on_wake, &wakes);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){&shared, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_look, &writers[i]), 0);
    }
    while (done < THREADS * WRITES) {
        unsigned seen[THREADS];
        uint32_t cursor = 0;

        done = 0;
        for (unsigned i = 0; i < THREADS; i++) {
            seen[i] = atomic_load(&shared.done[i]);
            done += seen[i];
        }
        while (causal_board_collect(shared.board, &cursor, &token, &out)) {
            assert_false(out.is_unknown);
            assert_false(gtid_is_empty(&token));
            assert_int_equal(gtid_add(&all, &token, &WIDE), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            char text[64];

            (void)snprintf(text, sizeof(text), "%u-1-%u", i, seen[i]);
            assert_true(seen[i] == 0 || has_text(&all, text));
        }
    }
    assert_true(wakes > 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *ret = NULL;

        assert_int_equal(pthread_join(threads[i], &ret), 0);
        assert_ptr_equal(ret, &writers[i]);
    }
    gtid_fini(&all);
    gtid_fini(&token);
    causal_board_destroy(shared.board);
}

/* --- positions --- */

static void set_of(struct position *at, const char *text, uint64_t version, uint64_t began_us)
{
    struct position_set *set = position_set_create();

    assert_non_null(set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &GTID_LIMITS_SERVER, &set->set), 0);
    at->executed = set;
    at->version = version;
    at->began_us = began_us;
}

static void pictures(void **unused)
{
    struct position_clock *clock = position_clock_create();
    struct positions *positions = NULL;
    struct gtid_set want;

    (void)unused;
    assert_non_null(clock);
    positions = positions_create(4, 9, clock);
    assert_non_null(positions);
    set_of(&positions->servers[0], U ":1-10", 1, 100);
    set_of(&positions->servers[1], U ":1-9", 70000, 200);
    set_of(&positions->servers[2], U ":1-10", 3, 300);
    positions->servers[1].incarnation = 2;
    positions->servers[2].incarnation = 5;
    positions_compare(positions);
    assert_int_equal(positions->incarnations, 7);
    assert_int_equal(positions->servers[0].covered_mask, 5);
    assert_int_equal(positions->servers[1].covered_mask, 7);
    assert_int_equal(positions->servers[3].covered_mask, 0); /* not known */
    load(&want, U ":10");
    assert_int_equal(positions_have(positions, &want), 5);
    assert_int_equal(positions_have(NULL, &want), 0);
    gtid_fini(&want);
    assert_null(positions_of(positions, 3));
    assert_null(positions_of(positions, -1));
    assert_null(positions_of(positions, 4));
    assert_null(positions_of(NULL, 0));
    assert_ptr_equal(positions_of(positions, 2), &positions->servers[2]);
    /* the clock counts for the set that it was moved for, and only forwards */
    assert_int_equal(positions_seen_us(positions, 1), 200);
    position_clock_set(clock, 1, 70000, 900);
    assert_int_equal(positions_seen_us(positions, 1), 900);
    position_clock_set(clock, 1, 70001, 1000);
    assert_int_equal(positions_seen_us(positions, 1), 200);
    assert_int_equal(positions_seen_us(positions, 3), 0);
    position_clock_unref(clock);
    assert_ptr_equal(positions_ref(positions), positions);
    positions_unref(positions);
    positions_unref(positions);
    positions_unref(NULL);
    position_set_unref(NULL);
    position_clock_unref(NULL);
}

/* MariaDB's primary is one in the picture when it says what came by replication; MySQL's set is whole. */
static void pictures_of_primaries(void **unused)
{
    struct position_clock *clock = position_clock_create();
    struct positions *positions = clock == NULL ? NULL : positions_create(3, 1, clock);

    (void)unused;
    assert_non_null(positions);
    set_of(&positions->servers[0], "0-1-5", 1, 100);
    set_of(&positions->servers[1], U ":1-10", 1, 100);
    assert_null(positions_of_primary(positions, 0));
    assert_ptr_equal(positions_of_primary(positions, 1), &positions->servers[1]);
    assert_null(positions_of_primary(positions, 2));
    set_of(&positions->servers[2], "", 1, 100);
    assert_null(positions_of_primary(positions, 2)); /* one that has never been a replica */
    assert_null(positions_of_primary(positions, -1));
    positions->servers[0].replicated = position_set_ref(positions->servers[0].executed);
    assert_ptr_equal(positions_of_primary(positions, 0), &positions->servers[0]);
    position_clock_unref(clock);
    positions_unref(positions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_and_takes),   cmocka_unit_test(no_room),
        cmocka_unit_test(from_many_threads), cmocka_unit_test(shared_marks),
        cmocka_unit_test(shared_hearing),    cmocka_unit_test(shared_threads),
        cmocka_unit_test(pictures),          cmocka_unit_test(pictures_of_primaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
