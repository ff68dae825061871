/* SPDX-License-Identifier: Apache-2.0 */
/* Lag by heartbeat rows and by Aurora's own word; what the witnesses say of each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lag_priv.h"

#define SECOND   UINT64_C(1000000)
#define INTERVAL UINT64_C(250000)
#define EPOCH    UINT64_C(63900000000) /* of the clock that writes the stamps, in seconds */

struct world {
    struct lag_trail trail;
    struct sample primary;
    struct sample replica;
};

/* No binary log to be compared: what is left is Seconds_Behind, and the heartbeat. */
static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    lag_trail_init(&w->trail);
    w->primary.server_id = 1;
    w->replica.channel_count = 1;
    w->replica.channels[0] = (struct sample_channel){.receiver = SAMPLE_THREAD_YES,
                                                     .applier = SAMPLE_THREAD_YES,
                                                     .has_seconds = true,
                                                     .source_id = 1};
}

static void beat(struct sample *sample, uint64_t key, uint64_t stamp_us)
{
    for (uint8_t i = 0; i < sample->heartbeat.count; i++) {
        if (sample->heartbeat.beats[i].key == key) {
            sample->heartbeat.beats[i].stamp_us = stamp_us;
            return;
        }
    }
    sample->heartbeat.beats[sample->heartbeat.count++] =
        (struct sample_beat){.key = key, .stamp_us = stamp_us};
}

/* The primary beats each 100 ms, is looked at each 250 ms, from 100 s to until. */
static void primary_run(struct world *w, uint64_t from_us, uint64_t until_us, uint64_t offset_us)
{
    for (uint64_t now = from_us; now <= until_us; now += INTERVAL) {
        beat(&w->primary, 1, offset_us + now / 100000 * 100000);
        w->primary.begin_us = now;
        lag_trail_add(&w->trail, &w->primary);
    }
}

static struct lag_verdict judge(struct world *w, uint64_t now_us, uint64_t stamp_us)
{
    w->replica.begin_us = now_us;
    beat(&w->replica, 1, stamp_us);
    return lag_judge(&w->trail, &w->replica, false, INTERVAL);
}

static void test_below_a_second(void **state)
{
    struct world w;
    struct lag_verdict got;
    uint64_t offset = EPOCH * SECOND;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
    got = judge(&w, 130 * SECOND + 10000, offset + 130 * SECOND);
    assert_int_equal(got.why, TOPO_WHY_NONE);
    assert_int_equal(got.lag_us, 0);
    assert_int_equal(got.source, TOPO_LAG_BY_HEARTBEAT);
    assert_int_equal(got.resolution_us, INTERVAL);
    /* what it lacks is 200 ms old; by the notes a little more, never less */
    got = judge(&w, 130 * SECOND, offset + 130 * SECOND - 300000);
    assert_in_range(got.lag_us, 200000, 200000 + INTERVAL);
    /* Seconds_Behind says more by more than its second: believed */
    w.replica.channels[0].behind_us = 7 * SECOND;
    got = judge(&w, 130 * SECOND, offset + 130 * SECOND);
    assert_int_equal(got.lag_us, 6 * SECOND);
    assert_int_equal(got.source, TOPO_LAG_BY_SECONDS);
    assert_int_equal(got.by_us[TOPO_LAG_BY_HEARTBEAT], 0);
    assert_true(got.by_us[TOPO_LAG_BY_LOG] == TOPO_LAG_UNKNOWN);
}

/* The receiver hangs: every other word is 0. */
static void test_hanging_receiver(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 140 * SECOND, offset);
    w.replica.channels[0].has_fine = true;
    got = judge(&w, 140 * SECOND, offset + 120 * SECOND);
    assert_in_range(got.lag_us, 20 * SECOND, 20 * SECOND + INTERVAL);
    assert_int_equal(got.source, TOPO_LAG_BY_HEARTBEAT);
    assert_int_equal(got.by_us[TOPO_LAG_BY_SCHEMA], 0);
}

/* The clock that writes is a day ahead, a day behind, in another time zone: no difference. */
static void test_clocks_that_differ(void **state)
{
    static const int64_t skews[] = {0, 86400, -86400, 5 * 3600, -1, 1};

    (void)state;
    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        struct world w;
        uint64_t offset = (uint64_t)((int64_t)EPOCH + skews[i]) * SECOND;

        world_init(&w);
        primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
        assert_int_equal(judge(&w, 130 * SECOND, offset + 130 * SECOND).lag_us, 0);
        assert_in_range(judge(&w, 130 * SECOND, offset + 127 * SECOND).lag_us, 3 * SECOND,
                        3 * SECOND + INTERVAL);
    }
}

/* Set back by an hour while weir looks: copies from before are not compared with what is new. */
static void test_clock_set_back(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
    primary_run(&w, 130 * SECOND + INTERVAL, 140 * SECOND, offset - 3600 * SECOND);
    got = judge(&w, 140 * SECOND, offset + 129 * SECOND);
    assert_int_equal(got.source, TOPO_LAG_BY_SECONDS);
    assert_true(got.by_us[TOPO_LAG_BY_HEARTBEAT] == TOPO_LAG_UNKNOWN);
    assert_int_equal(judge(&w, 140 * SECOND, offset - 3600 * SECOND + 140 * SECOND).source,
                     TOPO_LAG_BY_HEARTBEAT);
    /* set ahead: whoever has what is new is not late, whoever has not is, by weir's clock */
    primary_run(&w, 140 * SECOND + INTERVAL, 150 * SECOND, offset + 7200 * SECOND);
    assert_int_equal(judge(&w, 150 * SECOND, offset + 7350 * SECOND).lag_us, 0);
    assert_in_range(judge(&w, 150 * SECOND, offset - 3600 * SECOND + 140 * SECOND).lag_us,
                    10 * SECOND - INTERVAL, 10 * SECOND + INTERVAL);
}

/* Weir has just started: a copy older than all that it has seen is late by the stamps. */
static void test_late_from_the_start(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 101 * SECOND, offset);
    assert_int_equal(judge(&w, 101 * SECOND, offset + 41 * SECOND).lag_us, 60 * SECOND);
    /* it has all that the primary has all the same: its rows are filtered away */
    w.replica.has_all_us = 101 * SECOND;
    assert_int_equal(judge(&w, 101 * SECOND, offset + 41 * SECOND).lag_us, 0);
}

static void test_dead_rows(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    assert_false(lag_trail_is_beating(&w.trail));
    /* of a server that was the primary once: it has never moved while weir looked */
    beat(&w.primary, 9, offset - 86400 * SECOND);
    beat(&w.replica, 9, offset - 90000 * SECOND);
    primary_run(&w, 100 * SECOND, 110 * SECOND, offset);
    assert_true(lag_trail_is_beating(&w.trail));
    assert_int_equal(judge(&w, 110 * SECOND, offset + 110 * SECOND).lag_us, 0);
    /* a replica without the row is judged by the others */
    w.replica.heartbeat.count = 0;
    w.replica.begin_us = 110 * SECOND;
    assert_int_equal(lag_judge(&w.trail, &w.replica, false, INTERVAL).source, TOPO_LAG_BY_SECONDS);
    /* nobody beats any more: after a while it says nothing, late copy or not */
    for (uint64_t now = 110 * SECOND; now <= 121 * SECOND; now += INTERVAL) {
        w.primary.begin_us = now;
        lag_trail_add(&w.trail, &w.primary);
    }
    assert_false(lag_trail_is_beating(&w.trail));
    got = judge(&w, 121 * SECOND, offset + 103 * SECOND);
    assert_int_equal(got.lag_us, 0);
    assert_int_equal(got.source, TOPO_LAG_BY_SECONDS);
    /* another primary: its rows are looked at anew */
    w.primary.server_id = 2;
    lag_trail_add(&w.trail, &w.primary);
    assert_false(lag_trail_is_beating(&w.trail));
    assert_int_equal(w.trail.begin_us, w.primary.begin_us);
}

/* Two masters beat: the later copy counts. More rows than there is room for: the rest is not seen. */
static void test_several_masters(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;

    (void)state;
    world_init(&w);
    for (uint64_t now = 100 * SECOND; now <= 120 * SECOND; now += INTERVAL) {
        beat(&w.primary, 2, 2 * offset + now);
        primary_run(&w, now, now, offset);
    }
    beat(&w.replica, 2, 2 * offset + 118 * SECOND);
    assert_in_range(judge(&w, 120 * SECOND, offset + 120 * SECOND).lag_us, 2 * SECOND,
                    2 * SECOND + INTERVAL);
    beat(&w.replica, 2, 2 * offset + 120 * SECOND);
    assert_in_range(judge(&w, 120 * SECOND, offset + 115 * SECOND).lag_us, 5 * SECOND,
                    5 * SECOND + INTERVAL);
    for (uint64_t key = 3; key < 20; key++) {
        w.primary.heartbeat.count = 0;
        beat(&w.primary, key, offset);
        lag_trail_add(&w.trail, &w.primary);
    }
    assert_int_equal(w.trail.beat_count, SAMPLE_BEATS_MAX);
}

/* A channel from elsewhere is not made better by the primary's beat; a stopped one not at all. */
static void test_other_channels(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
    w.replica.channel_count = 2;
    w.replica.channels[1] = w.replica.channels[0];
    w.replica.channels[1].source_id = 77;
    w.replica.channels[1].behind_us = 4 * SECOND;
    got = judge(&w, 130 * SECOND, offset + 130 * SECOND);
    assert_int_equal(got.lag_us, 4 * SECOND);
    assert_int_equal(got.source, TOPO_LAG_BY_SECONDS);
    assert_int_equal(got.resolution_us, SECOND);
    w.replica.channels[1].applier = SAMPLE_THREAD_NO;
    assert_int_equal(judge(&w, 130 * SECOND, offset + 130 * SECOND).why, TOPO_WHY_SQL_THREAD);
    w.replica.channels[1].applier = SAMPLE_THREAD_YES;
    w.replica.channels[1].has_seconds = false; /* NULL, though both threads run */
    assert_int_equal(judge(&w, 130 * SECOND, offset + 130 * SECOND).why, TOPO_WHY_LAG_UNKNOWN);
}

/* A replica of a replica: places in its source's log cannot be compared, but the rows get there. */
static void test_chain(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
    w.replica.channels[0].source_id = 5;
    w.replica.channels[0].behind_us = SECOND;
    got = judge(&w, 130 * SECOND, offset + 130 * SECOND);
    assert_int_equal(got.lag_us, 0);
    assert_int_equal(got.source, TOPO_LAG_BY_HEARTBEAT);
    assert_int_equal(got.resolution_us, INTERVAL);
    assert_in_range(judge(&w, 130 * SECOND, offset + 126 * SECOND).lag_us, 4 * SECOND - INTERVAL,
                    4 * SECOND + INTERVAL);
    /* two channels, none of them the primary's: the rows came by one of them */
    w.replica.channel_count = 2;
    w.replica.channels[1] = w.replica.channels[0];
    got = judge(&w, 130 * SECOND, offset + 126 * SECOND);
    assert_int_equal(got.source, TOPO_LAG_BY_HEARTBEAT);
    assert_int_equal(got.by_us[TOPO_LAG_BY_SECONDS], SECOND);
}

static void test_primary_down(void **state)
{
    struct world w;
    uint64_t offset = EPOCH * SECOND;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    primary_run(&w, 100 * SECOND, 130 * SECOND, offset);
    w.replica.channels[0].receiver = SAMPLE_THREAD_CONNECTING;
    w.replica.channels[0].has_seconds = false;
    w.replica.begin_us = 200 * SECOND;
    beat(&w.replica, 1, offset + 130 * SECOND);
    got = lag_judge(&w.trail, &w.replica, true, INTERVAL);
    assert_int_equal(got.why, TOPO_WHY_NONE);
    assert_int_equal(got.lag_us, 0);
    /* it lacks what is known to be there */
    beat(&w.replica, 1, offset + 120 * SECOND);
    assert_true(lag_judge(&w.trail, &w.replica, true, INTERVAL).lag_us >= 70 * SECOND);
    assert_int_equal(lag_judge(&w.trail, &w.replica, false, INTERVAL).why, TOPO_WHY_IO_THREAD);
}

static void test_aurora(void **state)
{
    struct world w;
    struct lag_verdict got;

    (void)state;
    world_init(&w);
    w.replica.channel_count = 0;
    w.replica.aurora.is_there = true;
    got = lag_judge(&w.trail, &w.replica, false, INTERVAL);
    assert_int_equal(got.why, TOPO_WHY_LAG_UNKNOWN);
    assert_true(got.lag_us == TOPO_LAG_UNKNOWN);
    w.replica.aurora.has_lag = true;
    w.replica.aurora.lag_us = 17000;
    got = lag_judge(&w.trail, &w.replica, false, INTERVAL);
    assert_int_equal(got.why, TOPO_WHY_NONE);
    assert_int_equal(got.lag_us, 17000);
    assert_int_equal(got.source, TOPO_LAG_BY_AURORA);
    /* one that follows a binary log from outside is judged as any replica */
    w.replica.channel_count = 1;
    w.replica.channels[0].applier = SAMPLE_THREAD_NO;
    assert_int_equal(lag_judge(&w.trail, &w.replica, false, INTERVAL).why, TOPO_WHY_SQL_THREAD);
}

static void test_stamps(void **state)
{
    static const struct {
        const char *text;
        bool is_time;
    } rows[] = {
        {"2026-11-26T18:08:02.123450", true},
        {"2026-11-26 18:08:02", true},
        {"2026-11-26 18:08:02.5", true},
        {"2026-12-31T23:59:60.000000", true},
        {"", false},
        {"2026-11-26", false},
        {"2026-11-26T18:08:02.", false},
        {"2026-11-26T18:08:02.1234567", false},
        {"2026-11-26T18:08:02,123", false},
        {"2026-13-26T18:08:02", false},
        {"2026-11-00T18:08:02", false},
        {"0000-00-00 00:00:00", false},
        {"2026-11-26T24:08:02", false},
        {"2026-11-2xT18:08:02", false},
        {"26-11-2026T18:08:02", false},
        {"1764180482", false},
        {"2026-11-26T18:08:02.12345x", false},
    };
    uint64_t a = 0;
    uint64_t b = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (sample_stamp_parse(span_of(rows[i].text), &a) != rows[i].is_time) {
            fail_msg("%s", rows[i].text);
        }
    }
    assert_true(sample_stamp_parse(SPAN_LIT("2027-01-01T00:00:00.250000"), &a));
    assert_true(sample_stamp_parse(SPAN_LIT("2026-12-31 23:59:59.75"), &b));
    assert_int_equal(a - b, 500000);
    assert_true(sample_stamp_parse(SPAN_LIT("2028-03-01 00:00:00"), &a));
    assert_true(sample_stamp_parse(SPAN_LIT("2028-02-28 00:00:00"), &b));
    assert_int_equal(a - b, 2 * 86400 * SECOND); /* a leap year */
    assert_true(sample_stamp_parse(SPAN_LIT("2100-03-01 00:00:00"), &a));
    assert_true(sample_stamp_parse(SPAN_LIT("2100-02-28 00:00:00"), &b));
    assert_int_equal(a - b, 86400 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_a_second),
        cmocka_unit_test(test_hanging_receiver),
        cmocka_unit_test(test_clocks_that_differ),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_late_from_the_start),
        cmocka_unit_test(test_dead_rows),
        cmocka_unit_test(test_several_masters),
        cmocka_unit_test(test_other_channels),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_primary_down),
        cmocka_unit_test(test_aurora),
        cmocka_unit_test(test_stamps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
