/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/version.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define S(text) SPAN_LIT(text)

static bool holds(const struct version_board *board, const struct version_lease *lease)
{
    return version_lease_holds(board, lease->held, lease->count);
}

static struct version_lease lease_of(const struct version_board *board, struct span schema,
                                     struct span name)
{
    struct version_lease lease;
    version_lease_begin(board, &lease);
    assert_int_equal(version_lease_add_table(board, &lease, schema, name), 0);
    return lease;
}

static void write_table(struct version_board *board, struct span schema, struct span name)
{
    struct version_writes writes = {0};
    version_writes_add_table(&writes, schema, name);
    version_write_begin(board, &writes);
    version_write_end(board, &writes, 1);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(version_slot_table(S("Shop"), S("ORDERS")),
                     version_slot_table(S("shop"), S("orders")));
    assert_int_not_equal(version_slot_table(S("shop"), S("orders")),
                         version_slot_table(S("shop2"), S("orders")));
    assert_int_not_equal(version_slot_table(S("ab"), S("c")), version_slot_table(S("a"), S("bc")));
    assert_int_not_equal(version_slot_schema(S("shop")), version_slot_tag(S("shop")));
    assert_true(version_name_is_plain(S("orders_2026$ x")));
    assert_false(version_name_is_plain(S("stra\xc3\x9f"
                                         "e")));
    assert_false(version_name_is_plain(S("")));
}

static void test_write_ends_lease(void **state)
{
    struct version_board *board = NULL;
    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    struct version_lease a = lease_of(board, S("s"), S("a"));
    struct version_lease b = lease_of(board, S("s"), S("b"));
    assert_true(holds(board, &a));
    write_table(board, S("S"), S("A"));
    assert_false(holds(board, &a));
    assert_true(holds(board, &b));
    /* under way: neither the old nor the new holds */
    struct version_writes writes = {0};
    version_writes_add_table(&writes, S("s"), S("b"));
    version_write_begin(board, &writes);
    assert_false(holds(board, &b));
    struct version_lease during = lease_of(board, S("s"), S("b"));
    assert_false(holds(board, &during));
    version_write_end(board, &writes, 77);
    assert_false(holds(board, &b));
    assert_false(holds(board, &during));
    b = lease_of(board, S("s"), S("b"));
    assert_true(holds(board, &b));
    assert_int_equal(version_lease_written_us(board, &b), 77);
    assert_true(version_writes_is_empty(&writes));
    version_board_destroy(board);
}

/* Nothing that is not understood leaves anything cached. */
static void test_wide_writes(void **state)
{
    struct version_board *board = NULL;
    char name[16];
    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    struct version_lease a = lease_of(board, S("s"), S("a"));
    struct version_lease other = lease_of(board, S("t"), S("a"));
    write_table(board, S("s"), S("\xe2\x84\xaa")); /* a name that a server may fold to k */
    assert_false(holds(board, &a));
    assert_true(holds(board, &other));
    write_table(board, S("\xc3\xa9"), S("x"));
    assert_false(holds(board, &other));
    other = lease_of(board, S("t"), S("a"));
    struct version_writes writes = {0};
    for (unsigned i = 0; i <= VERSION_WRITES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "t%u", i);
        version_writes_add_table(&writes, S("many"), span_of(name));
    }
    assert_true(writes.is_all);
    assert_int_equal(writes.count, 1);
    version_write_begin(board, &writes);
    version_write_end(board, &writes, 5);
    assert_false(holds(board, &other));
    version_board_destroy(board);
}

static void test_lease_room(void **state)
{
    struct version_board *board = NULL;
    struct version_lease lease;
    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    version_lease_begin(board, &lease);
    assert_int_equal(version_lease_add(board, &lease, VERSION_SLOT_ALL), 0);
    assert_int_equal(lease.count, 1);
    for (uint32_t i = 1; i < VERSION_LEASE_MAX; i++) {
        assert_int_equal(version_lease_add(board, &lease, i), 0);
    }
    assert_int_equal(version_lease_add(board, &lease, 5), 0);
    assert_int_equal(version_lease_add(board, &lease, 4000), -WR_E_LIMIT);
    assert_int_equal(version_lease_add_table(board, &lease, S("s"), S("\xc3\xa9")), -WR_E_LIMIT);
    version_bump(board, VERSION_SLOT_ALL, 9);
    assert_false(holds(board, &lease));
    version_board_destroy(board);
}

/*
 * A primary, a replica that is behind, sessions that write, roll back and read, one entry for each
 * of two tables. Whatever the order of the steps: what the cache serves is never older than what
 * anybody had been told when it was asked, by the answer to a write or to a read.
 */
enum {
    TABLES = 2,
    SESSIONS = 6,
    ROUNDS = 100000
};

struct play {
    struct version_board *board;
    uint64_t now_us;
    uint64_t primary[TABLES];
    uint64_t seen[TABLES]; /* what somebody has been told is there */
    uint64_t replica[TABLES];
    uint64_t replica_us; /* the replica has all that was answered before */
    struct {
        bool is_full;
        uint64_t value;
        struct version_lease lease;
    } entry[TABLES];
    struct {
        enum {
            IDLE,
            READING,
            SENDING,
            READ,
            WRITING,
            COMMITTED
        } step;
        unsigned table;
        bool from_replica;
        bool rolls_back;
        uint64_t value;
        uint64_t complete_us; /* of its server, when it was sent */
        struct version_lease lease;
        struct version_writes writes;
    } session[SESSIONS];
    uint64_t fills;
    uint64_t refused;
    uint64_t hits;
};

static struct span table_name(unsigned table)
{
    return table == 0 ? S("zero") : S("one");
}

static void fill(struct play *play, unsigned s)
{
    unsigned t = play->session[s].table;
    const struct version_lease *lease = &play->session[s].lease;
    bool is_late = play->session[s].from_replica &&
                   play->session[s].complete_us <= version_lease_written_us(play->board, lease);

    if (is_late || !holds(play->board, lease)) {
        play->refused++;
        return;
    }
    play->fills++;
    play->entry[t].is_full = true;
    play->entry[t].value = play->session[s].value;
    play->entry[t].lease = *lease;
}

static void note_seen(struct play *play, unsigned s)
{
    unsigned t = play->session[s].table;
    uint64_t value = play->session[s].value;
    play->seen[t] = value > play->seen[t] ? value : play->seen[t];
}

static void step(struct play *play, unsigned s, struct rand_state *rng)
{
    unsigned t = play->session[s].table;
    switch ((int)play->session[s].step) {
    case IDLE:
        t = play->session[s].table = (unsigned)rand_below(rng, TABLES);
        play->session[s].rolls_back = rand_below(rng, 4) == 0;
        if (rand_below(rng, 3) == 0) {
            version_writes_add_table(&play->session[s].writes, S("s"), table_name(t));
            if (!play->session[s].rolls_back) {
                version_write_begin(play->board, &play->session[s].writes);
            }
            play->session[s].step = WRITING;
        } else if (play->entry[t].is_full && holds(play->board, &play->entry[t].lease)) {
            play->hits++;
            assert_true(play->entry[t].value >= play->seen[t]);
        } else {
            play->session[s].lease = lease_of(play->board, S("s"), table_name(t));
            play->session[s].from_replica = rand_below(rng, 2) == 0;
            play->session[s].complete_us = play->replica_us;
            play->session[s].step = SENDING;
        }
        break;
    case SENDING: /* the server executes it */
        play->session[s].value =
            play->session[s].from_replica ? play->replica[t] : play->primary[t];
        play->session[s].step = READ;
        break;
    case READ:
        fill(play, s);
        note_seen(play, s);
        play->session[s].step = IDLE;
        break;
    case WRITING: /* the server commits it, or nothing is left of it */
        if (play->session[s].rolls_back) {
            memset(&play->session[s].writes, 0, sizeof(play->session[s].writes));
            play->session[s].step = IDLE;
            break;
        }
        play->session[s].value = ++play->primary[t];
        play->session[s].step = COMMITTED;
        break;
    default: /* COMMITTED: its answer comes */
        version_write_end(play->board, &play->session[s].writes, play->now_us);
        play->seen[t] =
            play->session[s].value > play->seen[t] ? play->session[s].value : play->seen[t];
        play->session[s].step = IDLE;
        break;
    }
}

static void test_interleavings(void **state)
{
    struct play play = {0};
    struct rand_state rng;
    (void)state;
    assert_int_equal(version_board_create(&play.board), 0);
    rand_seed(&rng, 20261126);
    for (unsigned i = 0; i < ROUNDS * 8; i++) {
        play.now_us++;
        if (rand_below(&rng, 12) == 0) { /* the replica catches up, and the poll sees it */
            memcpy(play.replica, play.primary, sizeof(play.replica));
            play.replica_us = play.now_us++;
        }
        step(&play, (unsigned)rand_below(&rng, SESSIONS), &rng);
    }
    /* it has shown something */
    assert_true(play.fills > ROUNDS / 20 && play.refused > ROUNDS / 20 && play.hits > ROUNDS / 20);
    version_board_destroy(play.board);
}

/* --- threads --- */

enum {
    THREADS = 4,
    TURNS = 20000
};

static void *writer(void *arg)
{
    struct version_board *board = arg;
    for (unsigned i = 0; i < TURNS; i++) {
        write_table(board, S("s"), S("t"));
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct version_board *board = NULL;
    pthread_t threads[THREADS];
    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    struct version_lease first = lease_of(board, S("s"), S("t"));
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, writer, board), 0);
    }
    for (unsigned i = 0; i < TURNS; i++) {
        struct version_lease lease = lease_of(board, S("s"), S("t"));
        (void)holds(board, &lease);
        (void)version_lease_written_us(board, &lease);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct version_lease last = lease_of(board, S("s"), S("t"));
    assert_true(holds(board, &last));
    assert_int_equal(last.held[2].version - first.held[2].version, THREADS * TURNS);
    version_board_destroy(board);
}

static void test_still(void **state)
{
    struct version_board *board = NULL;
    struct version_writes writes = {0};
    const uint32_t slots[] = {version_slot_tag(S("a")), version_slot_table(S("s"), S("t"))};

    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    assert_true(version_is_still(board, slots, 2));
    version_writes_add(&writes, slots[1]);
    version_write_begin(board, &writes);
    assert_false(version_is_still(board, slots, 2));
    assert_true(version_is_still(board, slots, 1));
    version_write_end(board, &writes, 1);
    assert_true(version_is_still(board, slots, 2));
    version_board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_write_ends_lease),
        cmocka_unit_test(test_wide_writes),   cmocka_unit_test(test_lease_room),
        cmocka_unit_test(test_interleavings), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
