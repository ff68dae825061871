/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failover_priv.h"

/* Every state with every event: what follows, and what is to be done. */
struct row {
    enum failover_state state;
    enum failover_event event;
    enum failover_state next;
    enum failover_act act;
};

#define R(state, event, next, act)                                                       \
    {                                                                                    \
        FAILOVER_ST_##state, FAILOVER_EV_##event, FAILOVER_ST_##next, FAILOVER_ACT_##act \
    }

static const struct row ROWS[] = {
    R(VACANT, STAYS, VACANT, NOTHING),    R(VACANT, GOES, VACANT, NOTHING),
    R(VACANT, WAITS, VACANT, NOTHING),    R(VACANT, LATE, ALARMED, ALARM),
    R(VACANT, NOBODY, VACANT, NOTHING),   R(VACANT, COMES, SERVING, PRIMARY),
    R(SERVING, STAYS, SERVING, NOTHING),  R(SERVING, GOES, FENCING, NONE),
    R(SERVING, WAITS, SERVING, NOTHING),  R(SERVING, LATE, SERVING, NOTHING),
    R(SERVING, NOBODY, SERVING, NOTHING), R(SERVING, COMES, SERVING, NOTHING),
    R(FENCING, STAYS, FENCING, NOTHING),  R(FENCING, GOES, FENCING, NOTHING),
    R(FENCING, WAITS, FENCING, NOTHING),  R(FENCING, LATE, ALARMED, ALARM),
    R(FENCING, NOBODY, VACANT, NOTHING),  R(FENCING, COMES, SERVING, PRIMARY),
    R(ALARMED, STAYS, ALARMED, NOTHING),  R(ALARMED, GOES, ALARMED, NOTHING),
    R(ALARMED, WAITS, ALARMED, NOTHING),  R(ALARMED, LATE, ALARMED, NOTHING),
    R(ALARMED, NOBODY, VACANT, CALM),     R(ALARMED, COMES, VACANT, CALM),
};

static void test_table(void **state)
{
    bool is_seen[FAILOVER_ST_END_][FAILOVER_EV_END_] = {{false}};

    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct row *row = &ROWS[i];
        enum failover_state next = FAILOVER_ST_END_;
        enum failover_act act = failover_next(row->state, row->event, &next);

        if (next != row->next || act != row->act) {
            fail_msg("%s, event %d: %s, act %d", failover_state_text(row->state), row->event,
                     failover_state_text(next), act);
        }
        is_seen[row->state][row->event] = true;
    }
    for (unsigned s = 0; s < FAILOVER_ST_END_; s++) {
        for (unsigned e = 0; e < FAILOVER_EV_END_; e++) {
            assert_true(is_seen[s][e]);
        }
    }
}

/* One round of a story: what the monitor finds, and what is published then. */
struct round {
    int16_t wanted;
    bool has_moved;
    bool is_acked;
    uint64_t now_us;
    enum failover_act act;
    int16_t primary;
    uint64_t epoch;
};

static void play(const struct round *rounds, size_t count)
{
    struct failover failover;

    failover_init(&failover);
    for (size_t i = 0; i < count; i++) {
        const struct round *round = &rounds[i];
        struct failover_input input = {round->wanted, round->has_moved, round->is_acked,
                                       round->now_us};
        enum failover_act act = failover_step(&failover, &input);

        if (act != round->act || failover.primary != round->primary ||
            failover.epoch != round->epoch) {
            fail_msg("round %zu: act %d, primary %d, epoch %llu", i, act, failover.primary,
                     (unsigned long long)failover.epoch);
        }
    }
}

#define PLAY(...)                             \
    play((const struct round[]){__VA_ARGS__}, \
         sizeof((const struct round[]){__VA_ARGS__}) / sizeof(struct round))
#define DO(name) FAILOVER_ACT_##name

static void test_stories(void **state)
{
    (void)state;
    /* a switchover: never from one to the other in one step */
    PLAY({0, false, true, 10, DO(PRIMARY), 0, 1}, {0, false, true, 20, DO(NOTHING), 0, 1},
         {1, false, true, 30, DO(NONE), -1, 2}, {1, false, false, 40, DO(NOTHING), -1, 2},
         {1, false, true, 50, DO(PRIMARY), 1, 3});
    /* nobody for a while, then the same one again: an epoch of its own */
    PLAY({0, false, true, 10, DO(PRIMARY), 0, 1}, {-1, false, true, 20, DO(NONE), -1, 2},
         {-1, false, true, 30, DO(NOTHING), -1, 2}, {0, false, true, 40, DO(PRIMARY), 0, 3});
    /* its name has moved */
    PLAY({0, false, true, 10, DO(PRIMARY), 0, 1}, {0, true, true, 20, DO(NONE), -1, 2},
         {0, false, true, 30, DO(PRIMARY), 0, 3});
    /* a worker does not answer: however long, and whoever is wanted */
    PLAY({0, false, true, 10, DO(PRIMARY), 0, 1}, {1, false, true, 20, DO(NONE), -1, 2},
         {1, false, false, 30, DO(NOTHING), -1, 2},
         {1, false, false, 20 + FAILOVER_LATE_US, DO(ALARM), -1, 2},
         {2, false, false, 30 + FAILOVER_LATE_US, DO(NOTHING), -1, 2},
         {2, false, false, 9 * FAILOVER_LATE_US, DO(NOTHING), -1, 2},
         {2, false, true, 9 * FAILOVER_LATE_US, DO(CALM), -1, 2},
         {2, false, true, 9 * FAILOVER_LATE_US, DO(PRIMARY), 2, 3});
    /* wanted, and away again before it was published */
    PLAY({0, false, true, 10, DO(PRIMARY), 0, 1}, {1, false, false, 20, DO(NONE), -1, 2},
         {-1, false, true, 30, DO(NOTHING), -1, 2}, {-1, false, true, 40, DO(NOTHING), -1, 2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_stories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
