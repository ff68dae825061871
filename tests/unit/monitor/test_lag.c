/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lag_priv.h"
#include "parse_priv.h"

#define SECOND   UINT64_C(1000000)
#define INTERVAL UINT64_C(250000)

static struct log_place place(uint64_t file, uint64_t offset)
{
    char name[32];
    char at[32];

    snprintf(name, sizeof(name), "binlog.%06u", (unsigned)file);
    snprintf(at, sizeof(at), "%u", (unsigned)offset);
    return log_place_of(span_of(name), span_of(at));
}

static void primary_at(struct lag_trail *trail, uint64_t at_us, uint64_t file, uint64_t offset)
{
    struct sample primary;

    memset(&primary, 0, sizeof(primary));
    primary.server_id = 1;
    snprintf(primary.uuid, sizeof(primary.uuid), "u-1");
    primary.begin_us = at_us;
    primary.end_us = at_us + 1000;
    primary.written = place(file, offset);
    lag_trail_add(trail, &primary);
}

static void replica_init(struct sample *replica, uint64_t at_us, uint64_t file, uint64_t offset)
{
    memset(replica, 0, sizeof(*replica));
    replica->begin_us = at_us;
    replica->channel_count = 1;
    replica->channels[0] = (struct sample_channel){
        .receiver = SAMPLE_THREAD_YES,
        .applier = SAMPLE_THREAD_YES,
        .has_seconds = true,
        .source_uuid = "u-1",
        .source_id = 1,
        .applied = place(file, offset),
    };
}

/* 10 s of a primary that writes 100 bytes a second, a sample each second. */
static void trail_fill(struct lag_trail *trail)
{
    lag_trail_init(trail);
    for (uint64_t i = 0; i <= 10; i++) {
        primary_at(trail, (100 + i) * SECOND, 1, 1000 + i * 100);
    }
}

static void test_trail(void **state)
{
    struct lag_trail trail;
    struct sample replica;
    struct lag_verdict got;

    (void)state;
    trail_fill(&trail);
    /* has everything */
    replica_init(&replica, 110 * SECOND, 1, 2000);
    got = lag_judge(&trail, &replica, false, INTERVAL);
    assert_int_equal(got.why, TOPO_WHY_NONE);
    assert_int_equal(got.lag_us, 0);
    assert_int_equal(got.resolution_us, INTERVAL);
    /* has what was there at 107 s, so what was written since is missing */
    replica_init(&replica, 110 * SECOND, 1, 1700);
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 3 * SECOND);
    /* somewhere between: counted from the sample before */
    replica_init(&replica, 110 * SECOND, 1, 1750);
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 3 * SECOND);
    /* older than all notes: at least their length */
    replica_init(&replica, 110 * SECOND, 1, 10);
    assert_true(lag_judge(&trail, &replica, false, INTERVAL).lag_us >= 9 * SECOND);
    /* older by a file */
    primary_at(&trail, 111 * SECOND, 2, 4);
    replica_init(&replica, 112 * SECOND, 1, 2000);
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 2 * SECOND);
}

/* The receiver hangs, both of its own words say 0: only the trail sees it. */
static void test_hanging_receiver(void **state)
{
    struct lag_trail trail;
    struct sample replica;

    (void)state;
    trail_fill(&trail);
    replica_init(&replica, 110 * SECOND, 1, 1000);
    replica.channels[0].behind_us = 0;
    replica.channels[0].has_fine = true;
    replica.channels[0].fine_us = 0;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 10 * SECOND);
    /* A primary that writes nothing leaves nobody behind. */
    lag_trail_init(&trail);
    primary_at(&trail, 100 * SECOND, 1, 1000);
    primary_at(&trail, 200 * SECOND, 1, 1000);
    replica.begin_us = 200 * SECOND;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 0);
    /* Idle for long, then one write: late by what has passed since it was idle, not by all of it. */
    primary_at(&trail, 201 * SECOND, 1, 1100);
    replica.begin_us = 201 * SECOND;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, SECOND);
}

/* A rotated log may end behind what any replica will ever apply: having all transactions counts. */
static void test_has_all(void **state)
{
    struct lag_trail trail;
    struct sample replica;

    (void)state;
    trail_fill(&trail);
    replica_init(&replica, 111 * SECOND, 1, 1500);
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 6 * SECOND);
    replica.has_all_us = 110 * SECOND; /* as of the newest note */
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 0);
    replica.has_all_us = 108 * SECOND; /* the log has grown since */
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 3 * SECOND);
    replica.has_all_us = 101 * SECOND; /* its position says more */
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 6 * SECOND);
}

/* It follows another server than the primary, and says that it is not late: by GTIDs. */
static void test_lacks(void **state)
{
    struct lag_trail trail;
    struct sample replica;

    (void)state;
    trail_fill(&trail);
    replica_init(&replica, 111 * SECOND, 1, 2000);
    (void)snprintf(replica.channels[0].source_uuid, sizeof(replica.channels[0].source_uuid),
                   "other");
    replica.channels[0].source_id = 99;
    replica.channels[0].behind_us = 0;
    replica.channels[0].has_fine = true;
    replica.channels[0].fine_us = 0;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 0);
    replica.lacks_us = 104 * SECOND;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 7 * SECOND);
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).source, TOPO_LAG_BY_LOG);
    /* one whose place in the log is known is judged by that */
    replica_init(&replica, 111 * SECOND, 1, 2000);
    replica.lacks_us = 104 * SECOND;
    assert_true(lag_judge(&trail, &replica, false, INTERVAL).lag_us < 2 * SECOND);
}

static void test_gtids_that_may_be_quoted(void **state)
{
    (void)state;
    assert_true(sample_gtid_is_plain("0-1-34,1-2-9"));
    assert_true(sample_gtid_is_plain("729a22ca-e71f-11f1-9712-02fc00000001:tag_1:1-31:33,\nb:1"));
    assert_true(sample_gtid_is_plain(""));
    assert_false(sample_gtid_is_plain("0-1-34'"));
    assert_false(sample_gtid_is_plain("0-1-34\\"));
    assert_false(sample_gtid_is_plain("a;b"));
}

struct source_row {
    const char *name;
    enum sample_thread receiver;
    enum sample_thread applier;
    bool has_seconds;
    uint64_t seconds;
    bool has_fine;
    uint64_t fine_us;
    bool follows; /* the primary of the trail */
    bool is_primary_down;
    enum topo_why why;
    uint64_t lag_us;
    uint64_t resolution_us;
};

static const struct source_row SOURCES[] = {
    {"whole seconds only", SAMPLE_THREAD_YES, SAMPLE_THREAD_YES, true, 3, false, 0, false, false,
     TOPO_WHY_NONE, 3 * SECOND, SECOND},
    {"NULL is not zero", SAMPLE_THREAD_YES, SAMPLE_THREAD_YES, false, 0, false, 0, false, false,
     TOPO_WHY_LAG_UNKNOWN, TOPO_LAG_UNKNOWN, SECOND},
    {"finer", SAMPLE_THREAD_YES, SAMPLE_THREAD_YES, true, 1, true, 250000, false, false,
     TOPO_WHY_NONE, 250000, INTERVAL},
    {"finer, but the seconds are far more", SAMPLE_THREAD_YES, SAMPLE_THREAD_YES, true, 9, true, 10,
     false, false, TOPO_WHY_NONE, 8 * SECOND, INTERVAL},
    {"one second may be none", SAMPLE_THREAD_YES, SAMPLE_THREAD_YES, true, 1, false, 0, true, false,
     TOPO_WHY_NONE, 0, INTERVAL},
    {"applier stopped", SAMPLE_THREAD_YES, SAMPLE_THREAD_NO, true, 0, true, 0, true, false,
     TOPO_WHY_SQL_THREAD, TOPO_LAG_UNKNOWN, SECOND},
    {"receiver stopped", SAMPLE_THREAD_NO, SAMPLE_THREAD_YES, true, 0, true, 0, true, false,
     TOPO_WHY_IO_THREAD, TOPO_LAG_UNKNOWN, INTERVAL},
    {"receiver cannot connect", SAMPLE_THREAD_CONNECTING, SAMPLE_THREAD_YES, false, 0, false, 0,
     true, false, TOPO_WHY_IO_THREAD, TOPO_LAG_UNKNOWN, INTERVAL},
    {"... because the primary is down", SAMPLE_THREAD_CONNECTING, SAMPLE_THREAD_YES, false, 0,
     false, 0, true, true, TOPO_WHY_NONE, 0, INTERVAL},
    {"... but what it follows is another", SAMPLE_THREAD_CONNECTING, SAMPLE_THREAD_YES, false, 0,
     false, 0, false, true, TOPO_WHY_IO_THREAD, TOPO_LAG_UNKNOWN, INTERVAL},
    {"stopped by hand, the primary is down", SAMPLE_THREAD_NO, SAMPLE_THREAD_YES, false, 0, false,
     0, true, true, TOPO_WHY_IO_THREAD, TOPO_LAG_UNKNOWN, INTERVAL},
};

static void test_sources(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++) {
        const struct source_row *row = &SOURCES[i];
        struct lag_trail trail;
        struct sample replica;
        struct lag_verdict got;

        trail_fill(&trail);
        replica_init(&replica, 110 * SECOND, 1, 2000);
        replica.channels[0].receiver = row->receiver;
        replica.channels[0].applier = row->applier;
        replica.channels[0].has_seconds = row->has_seconds;
        replica.channels[0].behind_us = row->seconds * SECOND;
        replica.channels[0].has_fine = row->has_fine;
        replica.channels[0].fine_us = row->fine_us;
        if (!row->follows) {
            snprintf(replica.channels[0].source_uuid, SAMPLE_ID_MAX, "u-2");
        }
        got = lag_judge(&trail, &replica, row->is_primary_down, INTERVAL);
        if (got.why != row->why || got.lag_us != row->lag_us ||
            got.resolution_us != row->resolution_us) {
            fail_msg("%s: %s, lag %lu, resolution %lu", row->name, topo_why_text(got.why),
                     (unsigned long)got.lag_us, (unsigned long)got.resolution_us);
        }
    }
}

static void test_channels(void **state)
{
    struct lag_trail trail;
    struct sample replica;
    struct lag_verdict got;

    (void)state;
    lag_trail_init(&trail);
    replica_init(&replica, 110 * SECOND, 1, 2000);
    /* the worst of several counts */
    replica.channel_count = 3;
    replica.channels[1] = replica.channels[2] = replica.channels[0];
    replica.channels[1].behind_us = 7 * SECOND;
    replica.channels[2].has_fine = true;
    got = lag_judge(&trail, &replica, false, INTERVAL);
    assert_int_equal(got.lag_us, 7 * SECOND);
    assert_int_equal(got.resolution_us, SECOND);
    replica.channels[2].applier = SAMPLE_THREAD_NO;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).why, TOPO_WHY_SQL_THREAD);
    /* more than are looked at: not known */
    replica.channels[2].applier = SAMPLE_THREAD_YES;
    replica.has_more_channels = true;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).why, TOPO_WHY_LAG_UNKNOWN);
    /* none */
    replica.has_more_channels = false;
    replica.channel_count = 0;
    got = lag_judge(&trail, &replica, false, INTERVAL);
    assert_int_equal(got.why, TOPO_WHY_NO_REPLICATION);
    assert_true(got.lag_us == TOPO_LAG_UNKNOWN);
}

static void test_trail_begins_anew(void **state)
{
    struct lag_trail trail;
    struct sample primary;

    (void)state;
    trail_fill(&trail);
    assert_int_equal(trail.log.count, 11);
    primary_at(&trail, 120 * SECOND, 1, 4); /* its log is shorter than it was */
    assert_int_equal(trail.log.count, 1);
    trail_fill(&trail);
    memset(&primary, 0, sizeof(primary));
    primary.server_id = 2;
    primary.written = place(1, 9999);
    lag_trail_add(&trail, &primary); /* another server */
    assert_int_equal(trail.log.count, 1);
    primary.written.file_number = 0; /* no binary log to be seen */
    lag_trail_add(&trail, &primary);
    assert_int_equal(trail.log.count, 1);
    /* Never more than there is room for, the newest stay. */
    lag_trail_init(&trail);
    for (uint64_t i = 0; i < 3 * NOTES_MAX; i++) {
        primary_at(&trail, i * SECOND, 1, 100 + i);
    }
    assert_true(trail.log.count <= NOTES_MAX && trail.log.count >= NOTES_MAX / 2);
    assert_int_equal(notes_newest(&trail.log)->minor, 100 + 3 * NOTES_MAX - 1);
}

/* Without UUIDs (MariaDB) the server id tells who is followed; 0 is nobody. */
static void test_follows_by_id(void **state)
{
    struct lag_trail trail;
    struct sample replica;

    (void)state;
    trail_fill(&trail);
    replica_init(&replica, 110 * SECOND, 1, 1700);
    replica.channels[0].source_uuid[0] = '\0';
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 3 * SECOND);
    replica.channels[0].source_id = 2;
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 0);
    replica.channels[0].source_id = 1;
    replica.channels[0].applied = log_place_of(SPAN_LIT("other.000001"), SPAN_LIT("5"));
    assert_int_equal(lag_judge(&trail, &replica, false, INTERVAL).lag_us, 0);
}

static void test_places(void **state)
{
    static const struct {
        const char *file;
        const char *offset;
        bool is_known;
    } rows[] = {
        {"binlog.000007", "154", true},
        {"a.b.1", "4", true},
        {"", "4", false},
        {"binlog", "4", false},
        {"binlog.", "4", false},
        {".000001", "4", false},
        {"binlog.00000x", "4", false},
        {"binlog.000001", "", false},
        {"binlog.000000", "4", false},
        {"binlog.99999999999999999999", "4", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct log_place got = log_place_of(span_of(rows[i].file), span_of(rows[i].offset));

        assert_int_equal(got.file_number != 0, rows[i].is_known);
    }
}

static void test_versions_and_flags(void **state)
{
    static const struct {
        const char *text;
        uint32_t version;
    } rows[] = {
        {"9.7.4-2", 90704},
        {"10.11.19-MariaDB-0+deb12u1-log", 101119},
        {"8.0.39", 80039},
        {"8.0", 0},
        {"", 0},
        {"x.y.z", 0},
        {"5.5.5-10.6.1", 50505},
        {"8.0.", 0},
    };
    static const char *const yes[] = {"1", "ON", "YES", "READ_ONLY", "true", "2"};
    static const char *const no[] = {"0", "OFF", "off", "NO", "N", "false", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(sample_version_parse(span_of(rows[i].text)), rows[i].version);
    }
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(parse_flag(span_of(yes[i])));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_false(parse_flag(span_of(no[i])));
    }
    assert_int_equal(parse_u64_or(SPAN_LIT("17"), 5), 17);
    assert_int_equal(parse_u64_or(SPAN_LIT("-1"), 5), 5);
    assert_int_equal(parse_u64_or(SPAN_LIT("12345678901234567890"), 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trail),
        cmocka_unit_test(test_hanging_receiver),
        cmocka_unit_test(test_has_all),
        cmocka_unit_test(test_lacks),
        cmocka_unit_test(test_gtids_that_may_be_quoted),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_trail_begins_anew),
        cmocka_unit_test(test_follows_by_id),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_versions_and_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
