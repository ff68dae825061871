/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All parts of the cache together. A primary, a replica that is behind, sessions that write, roll back, lose
 * their connection and read; questions of which one is asked at a time; a memory that is too small; somebody
 * who writes past weir and then flushes, or purges a table. What the play does with the parts is what
 * src/client does (sess_cache.c, sess_fill.c, sess_writes.c).
 *
 * Whatever the order of the steps: what is served was committed, and is never older than what anybody had
 * been told when it was asked for. With any one of the RULES left out it is, some time: test_rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/cache.h"
#include "weir/util/clock.h"
#include "weir/util/rand.h"

#define S(text) SPAN_LIT(text)

enum {
    TABLES = 2,
    QUESTIONS = 3, /* about each table */
    SESSIONS = 6,
    PLAYS = 100000,
    STEPS = 8, /* of each play */
    MEMORY = 24 * 1024,
    BODY_MAX = 6000,
};

/* X(name, what is done where it is left out) */
#define RULES(X)                                                                    \
    X(CHECKED_WHEN_SERVED, "an entry is served as it was put")                      \
    X(LEASE_BEFORE_SENT, "what an answer depends on is noted when it has come")     \
    X(REPLICA_COMPLETE, "the answer of a replica that is behind is kept")           \
    X(TOLD_BEFORE_SHOWN, "a write is told when it is made, not when it is shown")   \
    X(TOLD_UNTIL_ANSWERED, "a write is told behind its answer")                     \
    X(HELD_WHEN_LOST, "a write whose answer is lost is taken for over")             \
    X(APART_IN_TX, "answers inside of a transaction are kept")                      \
    X(FLUSH_IS_VERSION, "a flush empties the memory, and leaves what is under way") \
    X(KEY_IS_WHOLE, "a question is known by a part of it")

/* clang-format off */
enum rule {
#define X(name, text) RULE_##name,
    RULES(X)
#undef X
    RULE_END_
};
/* clang-format on */

#define POISON (UINT64_C(1) << 62) /* not committed */

enum step {
    IDLE,
    WAITING, /* for what another asks */
    ASKING,
    SENT,
    ANSWERED,
    IN_TX, /* has written, and nobody may see it */
    COMMITTING,
    COMMITTED,
    TO_TELL, /* TOLD_UNTIL_ANSWERED is left out */
    LOST,    /* nobody knows whether it is committed */
};

struct session {
    enum step step;
    unsigned table;
    unsigned question;
    bool is_leader;
    bool from_replica;
    bool is_complete;
    bool is_committed;
    uint64_t hash;
    uint64_t value;
    struct version_lease lease;
    struct version_writes writes;
};

struct play {
    struct cache *cache;
    struct rand_state rng;
    enum rule without; /* RULE_END_: all are kept */
    bool is_one_hash;  /* keys have to be told apart by themselves */
    uint64_t now_us;
    uint64_t primary[TABLES];
    uint64_t seen[TABLES]; /* what somebody has been told is there */
    uint64_t replica[TABLES];
    uint64_t replica_us; /* the replica has all that was answered before */
    struct session sessions[SESSIONS];
    /* what there was */
    uint64_t hits;
    uint64_t stale;
    uint64_t fills;
    uint64_t refused;
    uint64_t joins;
    uint64_t shared; /* hits of who has waited */
    uint64_t flushes;
};

static bool roll(struct play *play, uint64_t of)
{
    return rand_below(&play->rng, of) == 0;
}

static struct span table_name(unsigned table)
{
    return table == 0 ? S("zero") : S("one");
}

/* --- reads --- */

/* What is kept of an answer. */
struct answer {
    unsigned table;
    unsigned question;
    uint64_t value;
};

static struct span key_of(const struct play *play, const struct session *session, char text[16])
{
    int len = snprintf(text, 16, "%u.%u", session->table, session->question);

    return (struct span){(const uint8_t *)text,
                         play->without == RULE_KEY_IS_WHOLE ? 1 : (size_t)len};
}

static void lease_take(const struct play *play, struct session *session)
{
    version_lease_begin(play->cache->board, &session->lease);
    assert_int_equal(version_lease_add_table(play->cache->board, &session->lease, S("s"),
                                             table_name(session->table)),
                     0);
}

/* True: it is there, and good: answered. */
static bool look(struct play *play, const struct session *session)
{
    char text[16];
    struct cache_memory *memory = play->cache->memory;
    struct cache_entry *entry =
        cache_memory_get(memory, session->hash, key_of(play, session, text));
    struct answer answer;

    if (entry == NULL) {
        return false;
    }
    if (play->without != RULE_CHECKED_WHEN_SERVED &&
        !cache_entry_holds(entry, play->cache->board)) {
        cache_memory_drop(memory, entry);
        cache_entry_unref(entry);
        return false;
    }
    memcpy(&answer, cache_entry_body(entry).p, sizeof(answer));
    play->hits++;
    play->stale += answer.table != session->table || answer.question != session->question ||
                           answer.value >= POISON || answer.value < play->seen[session->table]
                       ? 1
                       : 0;
    cache_entry_unref(entry);
    return true;
}

static void ask(struct play *play, struct session *session)
{
    char text[16];
    enum cache_flight flight = CACHE_FLIGHT_ALONE;

    session->question = (unsigned)rand_below(&play->rng, QUESTIONS);
    session->hash =
        play->is_one_hash ? 1 : cache_memory_hash(play->cache->memory, key_of(play, session, text));
    lease_take(play, session);
    if (look(play, session)) {
        return;
    }
    flight = cache_flight_begin(play->cache->flights, session->hash,
                                (uint32_t)(session - play->sessions));
    session->is_leader = flight == CACHE_FLIGHT_LEAD;
    session->step = flight == CACHE_FLIGHT_JOIN ? WAITING : ASKING;
    play->joins += flight == CACHE_FLIGHT_JOIN ? 1 : 0;
}

/* Somebody has an answer, or none; or it has taken too long. */
static void wake(struct play *play, struct session *session)
{
    if (look(play, session)) {
        play->shared++;
        session->step = IDLE;
    } else {
        session->step = ASKING;
    }
}

static void land(struct play *play, struct session *session)
{
    uint64_t workers = 0;

    if (!session->is_leader) {
        return;
    }
    session->is_leader = false;
    workers = cache_flight_end(play->cache->flights, session->hash);
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct session *other = &play->sessions[i];

        if (other->step == WAITING && other->hash == session->hash) {
            assert_true((workers >> i & 1) != 0); /* nobody is forgotten */
            wake(play, other);
        }
    }
}

static void fill(struct play *play, struct session *session)
{
    char text[16];
    struct cache *cache = play->cache;
    struct cache_entry *entry = NULL;
    struct answer answer = {session->table, session->question, session->value};

    if (play->without == RULE_LEASE_BEFORE_SENT) {
        lease_take(play, session);
    }
    if ((play->without != RULE_REPLICA_COMPLETE && !session->is_complete) ||
        !version_lease_holds(cache->board, session->lease.held, session->lease.count)) {
        play->refused++;
        return;
    }
    struct cache_parts parts = {
        .key = key_of(play, session, text),
        .hash = session->hash,
        .lease = &session->lease,
        .body_size = sizeof(answer) + (size_t)rand_below(&play->rng, BODY_MAX),
    };
    if (cache_entry_create(cache->memory, &parts, &entry) < 0) {
        play->refused++;
        return;
    }
    memset(cache_entry_room(entry), 0, parts.body_size);
    memcpy(cache_entry_room(entry), &answer, sizeof(answer));
    cache_memory_put(cache->memory, entry);
    cache_entry_unref(entry);
    play->fills++;
}

static void be_told(struct play *play, const struct session *session)
{
    uint64_t *seen = &play->seen[session->table];

    *seen = session->value > *seen ? session->value : *seen;
}

/* --- writes --- */

static void tell(struct play *play, struct session *session)
{
    if (!session->writes.is_under) {
        version_write_begin(play->cache->board, &session->writes);
    }
    version_write_end(play->cache->board, &session->writes, play->now_us);
}

static void begin_tx(struct play *play, struct session *session)
{
    version_writes_add_table(&session->writes, S("s"), table_name(session->table));
    session->is_committed = false;
    session->step = IN_TX;
    if (play->without == RULE_TOLD_BEFORE_SHOWN) {
        tell(play, session);
    }
}

static void step_tx(struct play *play, struct session *session)
{
    if (roll(play, 3)) { /* it reads what it has written */
        session->question = (unsigned)rand_below(&play->rng, QUESTIONS);
        session->hash = 1;
        if (play->without == RULE_APART_IN_TX && play->is_one_hash) {
            session->value = POISON;
            session->is_complete = true;
            lease_take(play, session);
            fill(play, session);
        }
    } else if (roll(play, 3)) {
        memset(&session->writes, 0, sizeof(session->writes)); /* rolled back */
        session->step = IDLE;
    } else {
        if (play->without != RULE_TOLD_BEFORE_SHOWN && play->without != RULE_TOLD_UNTIL_ANSWERED) {
            version_write_begin(play->cache->board, &session->writes);
        }
        session->step = COMMITTING;
    }
}

static void commit(struct play *play, struct session *session)
{
    session->value = ++play->primary[session->table];
    session->is_committed = true;
}

/* Its COMMIT is lost: it may happen yet. */
static void lose(struct play *play, struct session *session)
{
    session->step = LOST;
    if (play->without == RULE_HELD_WHEN_LOST) {
        tell(play, session);
    }
}

static void step_lost(struct play *play, struct session *session)
{
    if (!session->is_committed && roll(play, 2)) {
        commit(play, session);
    } else if (roll(play, 2)) {
        if (session->writes.is_under) { /* by now it has, or never will */
            tell(play, session);
        }
        memset(&session->writes, 0, sizeof(session->writes));
        session->step = IDLE;
    }
}

static void step_committed(struct play *play, struct session *session)
{
    be_told(play, session);
    session->step = IDLE;
    if (play->without == RULE_TOLD_UNTIL_ANSWERED) {
        session->step = TO_TELL;
    } else if (session->writes.is_under) {
        tell(play, session);
    }
}

/* --- the play --- */

static void step(struct play *play, struct session *session)
{
    switch (session->step) {
    case IDLE:
        session->table = (unsigned)rand_below(&play->rng, TABLES);
        if (roll(play, 5)) {
            begin_tx(play, session);
        } else {
            ask(play, session);
        }
        break;
    case WAITING:
        if (roll(play, 8)) {
            wake(play, session); /* it has waited long enough */
        }
        break;
    case ASKING:
        session->from_replica = roll(play, 2);
        session->is_complete =
            !session->from_replica ||
            play->replica_us > version_lease_written_us(play->cache->board, &session->lease);
        session->step = SENT;
        break;
    case SENT: /* the server executes it */
        session->value =
            session->from_replica ? play->replica[session->table] : play->primary[session->table];
        session->step = ANSWERED;
        break;
    case ANSWERED:
        session->step = IDLE;
        if (!roll(play, 16)) { /* else the connection is lost */
            fill(play, session);
            be_told(play, session);
        }
        land(play, session);
        break;
    case IN_TX:
        step_tx(play, session);
        break;
    case COMMITTING:
        if (roll(play, 6)) {
            lose(play, session);
        } else {
            commit(play, session);
            session->step = COMMITTED;
        }
        break;
    case COMMITTED:
        if (roll(play, 10)) {
            lose(play, session);
        } else {
            step_committed(play, session);
        }
        break;
    case TO_TELL:
        tell(play, session);
        session->step = IDLE;
        break;
    case LOST:
        step_lost(play, session);
        break;
    }
}

/* Somebody writes past weir, and says so. */
static void write_past(struct play *play)
{
    unsigned table = (unsigned)rand_below(&play->rng, TABLES);

    play->primary[table]++;
    if (roll(play, 2)) {
        version_bump(play->cache->board, version_slot_table(S("s"), table_name(table)),
                     play->now_us);
        play->seen[table] = play->primary[table];
        return;
    }
    play->flushes++;
    if (play->without == RULE_FLUSH_IS_VERSION) {
        (void)cache_memory_flush(play->cache->memory);
    } else {
        (void)cache_flush(play->cache, play->now_us);
    }
    memcpy(play->seen, play->primary, sizeof(play->seen));
}

static void play_on(struct play *play, unsigned plays)
{
    for (unsigned i = 0; i < plays * STEPS; i++) {
        play->now_us++;
        if (roll(play, 12)) { /* the replica catches up, and the poll sees it */
            memcpy(play->replica, play->primary, sizeof(play->replica));
            play->replica_us = play->now_us++;
        }
        if (roll(play, 60)) {
            write_past(play);
        }
        step(play, &play->sessions[rand_below(&play->rng, SESSIONS)]);
    }
}

static void play_begin(struct play *play, enum rule without, bool is_one_hash)
{
    memset(play, 0, sizeof(*play));
    play->without = without;
    play->is_one_hash = is_one_hash;
    rand_seed(&play->rng, 20261127);
    assert_int_equal(cache_create(MEMORY, &play->cache), 0);
}

static void test_interleavings(void **state)
{
    static struct play play;
    struct cache_stats stats;
    (void)state;
    for (int is_one_hash = 0; is_one_hash < 2; is_one_hash++) {
        play_begin(&play, RULE_END_, is_one_hash != 0);
        play_on(&play, PLAYS);
        assert_int_equal(play.stale, 0);
        cache_memory_stats(play.cache->memory, &stats);
        assert_true(stats.bytes <= MEMORY);
        /* it has shown something */
        assert_true(play.hits > PLAYS / 10 && play.fills > PLAYS / 20 && play.refused > PLAYS / 20);
        assert_true(play.joins > PLAYS / 20 && play.shared > PLAYS / 200);
        assert_true(play.flushes > PLAYS / 50 && stats.dropped > PLAYS / 50);
        assert_true(stats.evicted > PLAYS / 500);
        cache_destroy(play.cache);
    }
}

/* Each of them is needed: without it something stale is served. */
static void test_rules(void **state)
{
    static const char *const names[] = {
#define X(name, text) #name ": " text,
        RULES(X)
#undef X
    };
    static struct play play;
    (void)state;
    for (int rule = 0; rule < RULE_END_; rule++) {
        play_begin(&play, (enum rule)rule, true);
        play_on(&play, PLAYS / 10);
        if (play.stale == 0) {
            fail_msg("nobody would notice: %s", names[rule]);
        }
        cache_destroy(play.cache);
    }
}

/* --- cache.c --- */

static void test_flush(void **state)
{
    struct cache *cache = NULL;
    struct cache_entry *entry = NULL;
    struct version_lease lease;
    uint64_t before_us = clock_now_us();
    (void)state;
    assert_int_equal(cache_create(1 << 20, &cache), 0);
    assert_true(cache->began_us >= before_us);
    assert_int_equal(cache_stream_state(&cache->stream), CACHE_STREAM_OFF);
    assert_int_equal(cache_flush(cache, 1), 0);
    version_lease_begin(cache->board, &lease);
    struct cache_parts parts = {.key = S("k"), .hash = 1, .lease = &lease, .body_size = 1};
    assert_int_equal(cache_entry_create(cache->memory, &parts, &entry), 0);
    cache_entry_room(entry)[0] = 'x';
    cache_memory_put(cache->memory, entry);
    assert_true(cache_entry_holds(entry, cache->board));
    assert_int_equal(cache_flush(cache, 2), 1);
    assert_false(cache_entry_holds(entry, cache->board)); /* nor does one that is put now */
    assert_int_equal(version_lease_written_us(cache->board, &lease), 2);
    assert_null(cache_memory_get(cache->memory, 1, S("k")));
    cache_entry_unref(entry);
    cache_destroy(cache);
    cache_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_interleavings),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
