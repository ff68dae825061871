/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks, and the rules by which an answer out of Redis is served: by table, and in any order of what can happen to
 * three weirs, one primary with a late replica, and a Redis that gives back whatever it was ever given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/marks.h"
#include "weir/cache/value.h"
#include "weir/cache/version.h"
#include "weir/util/rand.h"

static struct log_place at(uint32_t file, uint64_t offset)
{
    return (struct log_place){.log = 7, .file = file, .born_s = 1000 + file, .offset = offset};
}

static uint64_t until(const struct marks *marks, struct log_place place)
{
    return marks_until_us(marks, &place);
}

static void add(struct marks *marks, struct log_place place, uint64_t us)
{
    marks_add(marks, &place, us);
}

static void test_places(void **state)
{
    struct marks marks = {0};
    struct log_place other = at(3, 500);
    (void)state;
    assert_int_equal(until(&marks, at(3, 500)), 0);
    add(&marks, at(3, 500), 10);
    add(&marks, at(3, 500), 20); /* nothing was written meanwhile */
    add(&marks, at(3, 700), 30);
    add(&marks, at(4, 4), 40);
    add(&marks, at(4, 90), 50);
    assert_int_equal(until(&marks, at(3, 499)), 0);
    assert_int_equal(until(&marks, at(3, 500)), 20);
    assert_int_equal(until(&marks, at(3, 699)), 20);
    assert_int_equal(until(&marks, at(3, 700)), 30);
    assert_int_equal(until(&marks, at(3, 9999)), 30);
    assert_int_equal(until(&marks, at(4, 3)), 30);
    assert_int_equal(until(&marks, at(4, 89)), 40);
    assert_int_equal(until(&marks, at(4, 91)), 50);
    /* files that it does not know */
    assert_int_equal(until(&marks, at(2, 9999)), 0);
    assert_int_equal(until(&marks, at(5, 4)), 0);
    other.born_s++; /* another of that number */
    assert_int_equal(until(&marks, other), 0);
    other = at(4, 90);
    other.log++;
    assert_int_equal(until(&marks, other), 0);
    other.log = 0;
    assert_int_equal(until(&marks, other), 0);
    add(&marks, other, 60); /* not known: nothing is noted */
    assert_int_equal(until(&marks, at(4, 91)), 50);
    add(&marks, at(4, 95), 45); /* time does not go back */
    assert_int_equal(until(&marks, at(4, 95)), 50);
}

static void test_anew(void **state)
{
    struct marks marks = {0};
    struct log_place again = at(3, 600);
    (void)state;
    add(&marks, at(3, 500), 10);
    again.born_s++;
    add(&marks, again, 20);
    assert_int_equal(until(&marks, at(3, 600)), 0);
    assert_int_equal(until(&marks, again), 20);
    add(&marks, at(1, 100), 30); /* behind: RESET */
    assert_int_equal(marks.count, 1);
    assert_int_equal(until(&marks, again), 0);
    again.log++;
    add(&marks, again, 40);
    assert_int_equal(marks.count, 1);
    marks_clear(&marks);
    assert_int_equal(until(&marks, again), 0);
}

/* However many: never too late a time, and the last and the first are as good as ever. */
static void test_many(void **state)
{
    struct marks marks = {0};
    (void)state;
    for (uint64_t i = 1; i <= 20000; i++) {
        add(&marks, at(1 + (uint32_t)(i / 500), i * 10), i);
        assert_true(marks.count <= MARKS_MAX);
        assert_int_equal(until(&marks, at(1 + (uint32_t)(i / 500), i * 10)), i);
    }
    for (uint64_t i = 1; i <= 20000; i++) {
        uint64_t us = until(&marks, at(1 + (uint32_t)(i / 500), i * 10 + 5));

        assert_true(us <= i);
        assert_true(i < 19900 || us == i);
        assert_true(i < 10000 || us == 0 || us > i / 2);
    }
}

/* --- in any order --- */

/* What each rule is there for is seen when it is left out. */
enum mutant {
    NONE,
    NO_WRITTEN,   /* any value with a place that is known */
    NO_PLACE,     /* any value */
    NO_FILE,      /* a file is what its number says */
    MARK_EARLY,   /* a mark holds before the log has been taken in up to where it ends */
    MARK_NOW,     /* a mark is of when that was so, not of when the server was asked */
    PLACE_LATE,   /* the place of a fill is read behind the last look at its lease */
    PLACE_NOW,    /* a fill's place is where the log ends, not what has been taken in */
    NO_LEASE,     /* nobody looks at it again */
    REPLICA,      /* a late replica's answer is kept */
    END_NOT_TOLD, /* the end of a write does not say when */
    MUTANTS,
};

enum {
    WEIRS = 3,
    ASKERS = 3, /* in each */
    LOG_MAX = 1000000,
    STORE_MAX = 12,
    STEPS = 1000000,
};

struct tx {
    uint64_t value;
    bool is_visible;
};

struct stored {
    uint64_t value;
    struct log_place place;
};

struct asker {
    enum {
        IDLE,
        SENT,    /* a read, to a server */
        READ,    /* its answer is there */
        PLACED,  /* the place has been read, the lease is still to be looked at */
        ASKED,   /* Redis */
        WRITING, /* begun, not in the log */
        LOGGED,  /* in the log, not visible */
        VISIBLE, /* not answered */
    } step;
    struct version_lease lease;
    struct version_writes writes;
    uint64_t value;
    uint64_t tx;
    uint64_t complete_us;
    struct log_place place;
    bool from_replica;
};

struct weir {
    struct version_board *board;
    struct marks marks;
    struct log_place place; /* offset: how many transactions have been taken in */
    uint64_t mark_us;
    uint64_t mark;
    uint64_t seen;                 /* how many of those taken in are visible to all */
    uint64_t seen_us;              /* known to be so */
    struct version_writes pending; /* of what lies between the two */
    uint64_t known;                /* the newest value that it knows to be written */
    bool has_entry;
    uint64_t entry;
    struct version_lease entry_lease;
    struct asker askers[ASKERS];
};

struct world {
    enum mutant mutant;
    struct rand_state rng;
    uint64_t now_us;
    struct tx *log;
    uint64_t log_count;
    uint32_t born_s;
    uint64_t next; /* value to be written */
    uint64_t primary;
    uint64_t replica;
    uint64_t replica_us;
    struct stored store[STORE_MAX];
    uint32_t store_count;
    struct weir weirs[WEIRS];
    uint64_t served;
    uint64_t refused;
    uint64_t stale;
};

static void lease_take(struct weir *weir, struct version_lease *lease)
{
    version_lease_begin(weir->board, lease);
    assert_int_equal(version_lease_add_table(weir->board, lease, SPAN_LIT("s"), SPAN_LIT("t")), 0);
}

static bool holds(const struct weir *weir, const struct version_lease *lease)
{
    return version_lease_holds(weir->board, lease->held, lease->count);
}

static void write_begin(struct weir *weir, struct version_writes *writes)
{
    version_writes_add_table(writes, SPAN_LIT("s"), SPAN_LIT("t"));
    version_write_begin(weir->board, writes);
}

static struct log_place log_end(const struct world *world)
{
    return (struct log_place){
        .log = 1, .file = 1, .born_s = world->born_s, .offset = world->log_count};
}

static void check(struct world *world, const struct weir *weir, uint64_t value)
{
    world->served++;
    world->stale += value < weir->known ? 1 : 0;
}

/* A weir hears the log from its end on; all that is in it is visible before anything is kept. */
static void begin(struct world *world, struct weir *weir)
{
    if (weir->pending.count != 0) {
        version_write_end(weir->board, &weir->pending, world->now_us);
    }
    marks_clear(&weir->marks);
    weir->mark_us = 0;
    weir->place = log_end(world);
    weir->seen = world->log_count;
    for (uint64_t i = 0; i < world->log_count; i++) {
        if (!world->log[i].is_visible) {
            weir->seen = i;
            break;
        }
    }
    version_writes_add_all(&weir->pending);
    version_write_begin(weir->board, &weir->pending);
    weir->known = world->primary > weir->known ? world->primary : weir->known;
}

/* --- the log, as one weir takes it in --- */

static void settle(struct world *world, struct weir *weir)
{
    while (weir->seen < weir->place.offset && world->log[weir->seen].is_visible) {
        weir->seen++;
    }
    if (weir->pending.count != 0 && weir->seen == weir->place.offset) {
        version_write_end(weir->board, &weir->pending,
                          world->mutant == END_NOT_TOLD ? 0 : world->now_us);
    }
}

static void look(const struct world *world, struct weir *weir)
{
    if (weir->mark_us != 0 && weir->place.offset >= weir->mark) {
        marks_add(&weir->marks, &weir->place,
                  world->mutant == MARK_NOW ? world->now_us : weir->mark_us);
        weir->mark_us = 0;
    }
}

static void hear(struct world *world, struct weir *weir)
{
    struct version_writes more = {0};
    const struct tx *tx = NULL;

    if (weir->place.offset < world->log_count) {
        tx = &world->log[weir->place.offset];
        write_begin(weir, &more);
        if (weir->pending.count != 0) {
            version_write_end(weir->board, &weir->pending, world->now_us);
            if (more.is_under && weir->pending.is_all) {
                version_writes_add_all(&weir->pending);
            }
        }
        weir->pending = more;
        weir->known = tx->value > weir->known ? tx->value : weir->known;
        weir->place.offset++;
    }
    settle(world, weir);
    look(world, weir);
}

/* --- a client of one weir --- */

static void write_log(struct world *world, struct asker *asker)
{
    assert_true(world->log_count < LOG_MAX);
    asker->value = ++world->next;
    asker->tx = world->log_count;
    world->log[world->log_count++] = (struct tx){.value = asker->value};
    asker->step = LOGGED;
}

/* Those before it are, too: one table, one row. */
static void write_show(struct world *world, struct asker *asker)
{
    for (uint64_t i = 0; i <= asker->tx && asker->tx < world->log_count; i++) {
        world->log[asker->tx - i].is_visible = true;
        if (asker->tx - i > 0 && world->log[asker->tx - i - 1].is_visible) {
            break;
        }
    }
    world->primary = asker->value > world->primary ? asker->value : world->primary;
    asker->step = VISIBLE;
}

static void keep(struct world *world, struct weir *weir, struct asker *asker)
{
    struct stored *slot =
        &world->store[world->store_count < STORE_MAX ? world->store_count++
                                                     : rand_below(&world->rng, STORE_MAX)];

    if (world->mutant == PLACE_LATE) {
        asker->place = weir->place;
    } else if (world->mutant == PLACE_NOW) {
        asker->place = log_end(world);
    }
    *slot = (struct stored){.value = asker->value, .place = asker->place};
}

/* Redis has answered, with whatever it likes. */
static void take(struct world *world, struct weir *weir, struct asker *asker)
{
    const struct stored *stored = &world->store[rand_below(&world->rng, world->store_count)];
    struct log_place place = stored->place;
    struct value value = {.expires_wall_us = UINT64_MAX, .filled_wall_us = 1, .place = place};
    struct value_now now = {.wall_us = 2, .by_place = world->mutant != NO_PLACE};

    if (world->mutant == NO_FILE) {
        place.born_s = world->born_s;
    }
    now.until_us = marks_until_us(&weir->marks, &place);
    now.written_us = version_lease_written_us(weir->board, &asker->lease);
    if (world->mutant == NO_WRITTEN) {
        now.written_us = 0;
    }
    if (value_check(&value, &now) != VALUE_MISS_NONE ||
        (!holds(weir, &asker->lease) && world->mutant != NO_LEASE)) {
        world->refused++;
        return;
    }
    check(world, weir, stored->value);
    weir->has_entry = true;
    weir->entry = stored->value;
    weir->entry_lease = asker->lease;
}

static void idle(struct world *world, struct weir *weir, struct asker *asker)
{
    if (weir->has_entry && holds(weir, &weir->entry_lease)) {
        check(world, weir, weir->entry);
    }
    if (rand_below(&world->rng, 25) == 0) {
        write_begin(weir, &asker->writes);
        asker->step = WRITING;
        return;
    }
    lease_take(weir, &asker->lease);
    if (world->store_count > 0 && rand_below(&world->rng, 2) == 0) {
        asker->step = ASKED;
        return;
    }
    asker->from_replica = rand_below(&world->rng, 2) == 0;
    asker->complete_us = world->replica_us;
    asker->step = SENT;
}

static void step(struct world *world, struct weir *weir, struct asker *asker)
{
    switch ((int)asker->step) {
    case IDLE:
        idle(world, weir, asker);
        break;
    case SENT:
        asker->value = asker->from_replica ? world->replica : world->primary;
        asker->step = READ;
        break;
    case READ: /* a replica that may lack something, or that was not looked at since this weir began */
        asker->step = IDLE;
        if (asker->from_replica && world->mutant != REPLICA &&
            asker->complete_us <= version_lease_written_us(weir->board, &asker->lease)) {
            break;
        }
        if (world->mutant == PLACE_LATE && !holds(weir, &asker->lease)) {
            break;
        }
        asker->place = weir->place;
        asker->step = PLACED;
        break;
    case PLACED:
        if (world->mutant == PLACE_LATE || world->mutant == NO_LEASE ||
            holds(weir, &asker->lease)) {
            keep(world, weir, asker);
        }
        asker->step = IDLE;
        break;
    case ASKED:
        take(world, weir, asker);
        asker->step = IDLE;
        break;
    case WRITING:
        write_log(world, asker);
        break;
    case LOGGED:
        write_show(world, asker);
        break;
    default: /* VISIBLE: its answer comes */
        version_write_end(weir->board, &asker->writes,
                          world->mutant == END_NOT_TOLD ? 0 : world->now_us);
        weir->known = asker->value > weir->known ? asker->value : weir->known;
        asker->step = IDLE;
        break;
    }
}

/* RESET: the log is begun anew, its numbers too. Nothing is under way then. */
static void reset(struct world *world)
{
    for (unsigned w = 0; w < WEIRS; w++) {
        for (unsigned i = 0; i < ASKERS; i++) {
            enum {
                LAST = ASKED
            };

            if ((int)world->weirs[w].askers[i].step > (int)LAST) {
                return;
            }
        }
    }
    world->log_count = 0;
    world->born_s++;
    for (unsigned w = 0; w < WEIRS; w++) {
        begin(world, &world->weirs[w]);
    }
}

static void turn(struct world *world)
{
    struct weir *weir = &world->weirs[rand_below(&world->rng, WEIRS)];

    world->now_us++;
    switch (rand_below(&world->rng, 64)) {
    case 0:
    case 1:
    case 2:
    case 3:
        world->replica = world->primary;
        world->replica_us = world->now_us++;
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        if (weir->mark_us == 0) {
            weir->mark_us = world->now_us;
            weir->mark = world->mutant == MARK_EARLY ? 0 : world->log_count;
            look(world, weir);
        }
        break;
    case 10:
        if (rand_below(&world->rng, 30) == 0) {
            begin(world, weir); /* a gap in what it hears */
        }
        break;
    case 11:
        if (rand_below(&world->rng, 60) == 0) {
            reset(world);
        }
        break;
    default:
        /* at times the log is late */
        if (rand_below(&world->rng, world->now_us / 512 % 2 == 0 ? 2 : 16) == 0) {
            hear(world, weir);
        } else {
            step(world, weir, &weir->askers[rand_below(&world->rng, ASKERS)]);
        }
        break;
    }
}

static void play(struct world *world, enum mutant mutant, uint64_t seed, uint64_t steps)
{
    *world = (struct world){.mutant = mutant, .born_s = 1, .now_us = 1};
    world->log = test_calloc(LOG_MAX, sizeof(*world->log));
    rand_seed(&world->rng, seed);
    for (unsigned w = 0; w < WEIRS; w++) {
        assert_int_equal(version_board_create(&world->weirs[w].board), 0);
        begin(world, &world->weirs[w]);
    }
    for (uint64_t i = 0; i < steps && world->stale == 0; i++) {
        turn(world);
    }
    for (unsigned w = 0; w < WEIRS; w++) {
        version_board_destroy(world->weirs[w].board);
    }
    test_free(world->log);
}

static void test_interleavings(void **state)
{
    static struct world world; /* NOLINT: large */
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        play(&world, NONE, seed, STEPS);
        assert_int_equal(world.stale, 0);
        assert_true(world.served > STEPS / 100 && world.refused > STEPS / 100);
    }
}

static void test_mutants(void **state)
{
    static struct world world; /* NOLINT: large */
    (void)state;
    for (int mutant = NONE + 1; mutant < MUTANTS; mutant++) {
        uint64_t stale = 0;

        for (uint64_t seed = 1; seed <= 8 && stale == 0; seed++) {
            play(&world, (enum mutant)mutant, seed, STEPS);
            stale += world.stale;
        }
        if (stale == 0) {
            print_message("mutant %d was not found\n", mutant);
        }
        assert_true(stale > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_anew),
        cmocka_unit_test(test_many),    cmocka_unit_test(test_interleavings),
        cmocka_unit_test(test_mutants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
