/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on histories written by hand: for each rule one that keeps it and one that breaks it,
 * which differ in one thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/verify/check.h"

#define ALL (CHECK_BIT(CHECK_RULE_END_) - 1)

/* Registers and their records, op by op; journal rows; then what clients saw. */
struct story {
    const char *records[3];
    uint32_t journal[8]; /* ops; one that is there twice has two rows */
    uint32_t ranks[8];   /* ops in the order of their commits; all 0: not known */
    struct history_event events[10];
    struct check_conf conf;
    enum check_rule breaks; /* CHECK_RULE_END_: none */
};

static struct history_event write_of(uint16_t thread, uint64_t begin, uint64_t end, uint16_t key,
                                     uint32_t op)
{
    return (struct history_event){.thread = thread,
                                  .session = thread + 1U,
                                  .begin_us = begin,
                                  .end_us = end,
                                  .kind = HISTORY_WRITE,
                                  .key = key,
                                  .op = op};
}

static struct history_event read_of(uint16_t thread, uint64_t begin, uint64_t end, uint16_t key,
                                    uint32_t ver, uint32_t seen)
{
    return (struct history_event){.thread = thread,
                                  .session = thread + 1U,
                                  .begin_us = begin,
                                  .end_us = end,
                                  .kind = HISTORY_READ,
                                  .key = key,
                                  .ver = ver,
                                  .seen = seen};
}

static struct history_event other_of(enum history_kind kind, uint64_t begin, uint32_t op,
                                     int64_t value)
{
    return (struct history_event){.session = 1,
                                  .begin_us = begin,
                                  .end_us = begin + 1,
                                  .kind = (uint8_t)kind,
                                  .op = op,
                                  .value = value};
}

static struct history_event with(struct history_event event, enum history_outcome outcome,
                                 uint16_t error, uint8_t flags)
{
    event.outcome = (uint8_t)outcome;
    event.error = error;
    event.flags = flags;
    return event;
}

static void add_journal(struct truth *truth, const uint32_t *ops)
{
    for (size_t i = 0; i < 8 && ops[i] != 0; i++) {
        assert_int_equal(truth_add_journal(truth, ops[i], 1), 0);
    }
}

static void tell(const struct story *story, struct check_report *ret_report)
{
    struct history history;
    struct truth truth;
    struct check_conf conf = story->conf;
    size_t ranks = 0;

    history_init(&history);
    truth_init(&truth);
    truth.sum = 100;
    assert_int_equal(truth_set_keys(&truth, 3), 0);
    for (uint16_t key = 0; key < 3; key++) {
        const char *record = story->records[key] == NULL ? "" : story->records[key];
        uint32_t op = 0;

        if (record[0] != '\0') {
            (void)sscanf(record + strlen(record) - 8, "%8x", &op);
        }
        assert_int_equal(
            truth_set_key(&truth, key, (uint32_t)strlen(record) / 8, op, span_of(record)), 0);
    }
    add_journal(&truth, story->journal);
    truth_index(&truth);
    while (ranks < 8 && story->ranks[ranks] != 0) {
        truth_set_rank(&truth, story->ranks[ranks], (uint32_t)ranks + 1);
        ranks++;
    }
    for (size_t i = 0; i < 10 && story->events[i].end_us != 0; i++) {
        assert_int_equal(history_add(&history, &story->events[i]), 0);
    }
    conf.enforced = conf.enforced == 0 ? ALL & ~CHECK_BIT(CHECK_K10) : conf.enforced;
    assert_int_equal(check_run(&history, &truth, &conf, ret_report), 0);
    history_fini(&history);
    truth_fini(&truth);
}

static void expect(const struct story *story)
{
    struct check_report report;
    uint32_t wanted = story->breaks == CHECK_RULE_END_ ? 0 : CHECK_BIT(story->breaks);

    tell(story, &report);
    if (report.broken != wanted) {
        for (size_t i = 0; i < report.shown_count; i++) {
            print_message("%s: %s\n", check_rule_name(report.shown[i].rule), report.shown[i].text);
        }
    }
    assert_int_equal(report.broken, wanted);
}

/* The story holds as it is; and breaks the rule once its last event is another. */
static void expect_pair(struct story *story, size_t at, struct history_event bad,
                        enum check_rule breaks)
{
    story->breaks = CHECK_RULE_END_;
    expect(story);
    story->events[at] = bad;
    story->breaks = breaks;
    expect(story);
}

#define R1 "00000001"
#define R2 "00000002"
#define R3 "00000003"

static void test_k1(void **state)
{
    struct story story = {
        .records = {R1 R2},
        .events = {write_of(0, 10, 20, 0, 1), read_of(0, 30, 40, 0, 2, 2),
                   write_of(1, 10, 20, 0, 2)},
    };
    struct check_report report;

    (void)state;
    story.events[1] = read_of(0, 30, 40, 0, 1, 1); /* another's write may be missed */
    expect_pair(&story, 1, read_of(0, 30, 40, 0, 0, 0), CHECK_K1);
    /* another session has not written, and is judged by K10 only */
    story.events[1] = read_of(2, 30, 40, 0, 0, 0);
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    /* a write of which nobody knows binds nobody */
    story.events[0].outcome = HISTORY_UNKNOWN;
    story.events[1] = read_of(0, 30, 40, 0, 0, 0);
    story.conf.enforced = CHECK_BIT(CHECK_K1);
    expect(&story);
    /* not promised: counted, not broken */
    story.events[0].outcome = HISTORY_OK;
    story.conf.enforced = CHECK_ALWAYS;
    tell(&story, &report);
    assert_int_equal(report.broken, 0);
    assert_int_equal(report.counts[CHECK_K1], 1);
}

static void test_k1_row(void **state)
{
    struct story story = {
        .journal = {7},
        .events = {other_of(HISTORY_INSERT, 10, 7, 0), other_of(HISTORY_COUNT, 20, 7, 1)},
    };

    (void)state;
    expect_pair(&story, 1, other_of(HISTORY_COUNT, 20, 7, 0), CHECK_K1);
    expect_pair(&(struct story){.journal = {7},
                                .events = {other_of(HISTORY_INSERT, 10, 7, 0),
                                           other_of(HISTORY_COUNT, 20, 7, 1)}},
                1, other_of(HISTORY_COUNT, 20, 7, 2), CHECK_K4);
}

static void test_k2_same_key(void **state)
{
    struct story story = {
        .records = {R1 R2},
        .events = {write_of(0, 10, 20, 0, 1), write_of(0, 21, 25, 0, 2),
                   read_of(1, 30, 31, 0, 1, 1), read_of(1, 32, 33, 0, 2, 2),
                   read_of(1, 34, 35, 0, 2, 2)},
    };

    (void)state;
    expect_pair(&story, 4, read_of(1, 34, 35, 0, 1, 1), CHECK_K2);
    story.events[4] = read_of(2, 34, 35, 0, 1, 1); /* another session */
    story.breaks = CHECK_RULE_END_;
    expect(&story);
}

/* Without the order of commits: op 1 was acknowledged before op 2 was sent, so who has seen 2 on one
 * register must see 1 on the other. */
static void test_k2_by_time(void **state)
{
    struct story story = {
        .records = {R1, R2},
        .events = {write_of(0, 10, 20, 0, 1), write_of(0, 21, 25, 1, 2),
                   read_of(1, 22, 23, 1, 1, 2), read_of(1, 30, 31, 0, 1, 1)},
    };

    (void)state;
    expect_pair(&story, 3, read_of(1, 30, 31, 0, 0, 0), CHECK_K2);
    /* two writes at the same time: time tells nothing */
    story.events[1] = write_of(2, 15, 25, 1, 2);
    story.breaks = CHECK_RULE_END_;
    expect(&story);
}

/* With it: the same two writes at the same time, and the log says which came first. */
static void test_k2_by_rank(void **state)
{
    struct story story = {
        .records = {R1, R2},
        .ranks = {1, 2},
        .events = {write_of(0, 10, 25, 0, 1), write_of(2, 10, 25, 1, 2),
                   read_of(1, 30, 31, 1, 1, 2), read_of(1, 32, 33, 0, 1, 1)},
    };

    (void)state;
    expect_pair(&story, 3, read_of(1, 32, 33, 0, 0, 0), CHECK_K2);
    story.ranks[0] = 2;
    story.ranks[1] = 1;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
}

static void test_k3(void **state)
{
    struct story story = {.records = {R1}, .events = {write_of(0, 10, 20, 0, 1)}};

    (void)state;
    expect_pair(&story, 0, write_of(0, 10, 20, 0, 2), CHECK_K3);
    story.events[0] = with(story.events[0], HISTORY_UNKNOWN, 0, 0);
    story.conf.enforced = CHECK_BIT(CHECK_K3);
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    story.events[0] = other_of(HISTORY_INSERT, 10, 9, 0);
    story.breaks = CHECK_K3;
    expect(&story);
}

static void test_k4(void **state)
{
    struct story twice = {.records = {R1 R2 R1}, .events = {write_of(0, 10, 20, 0, 1)}};
    struct story rows = {.journal = {7, 7}, .events = {other_of(HISTORY_INSERT, 10, 7, 0)}};
    struct story failed = {
        .records = {R1},
        .events = {with(write_of(0, 10, 20, 0, 1), HISTORY_FAIL, 1213, 0)},
    };
    struct story unknown = {
        .records = {R1 R1},
        .events = {with(write_of(0, 10, 20, 0, 1), HISTORY_UNKNOWN, 1213, 0)},
    };

    (void)state;
    twice.breaks = rows.breaks = failed.breaks = unknown.breaks = CHECK_K4;
    expect(&twice);
    expect(&rows);
    expect(&failed);
    expect(&unknown);
    unknown.records[0] = R1;
    unknown.breaks = CHECK_RULE_END_;
    expect(&unknown);
    failed.records[0] = "";
    failed.breaks = CHECK_RULE_END_;
    expect(&failed);
}

static void test_k4_rolled_back(void **state)
{
    struct story story = {.events = {other_of(HISTORY_ABORT, 10, 1, 0)}};

    (void)state;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    story.records[0] = R1;
    story.breaks = CHECK_K4;
    expect(&story);
}

static void test_k5(void **state)
{
    struct story story = {
        .records = {R1},
        .events = {write_of(0, 10, 20, 0, 1), read_of(1, 30, 40, 0, 1, 1)},
    };

    (void)state;
    expect_pair(&story, 1, read_of(1, 30, 40, 0, 1, 9), CHECK_K5); /* another value */
    story.events[1] = read_of(1, 30, 40, 0, 2, 9);                 /* a version that never was */
    expect(&story);
    story.events[1] = read_of(1, 30, 40, 0, 0, 9); /* a value before any */
    expect(&story);
}

/* A promotion that may lose what replicas had not got yet: from 100 to 101, and they may be 10 behind. */
static void test_lost(void **state)
{
    struct story story = {
        .events = {write_of(0, 90, 95, 0, 1), read_of(0, 120, 121, 0, 0, 0),
                   other_of(HISTORY_INSERT, 98, 2, 0), other_of(HISTORY_COUNT, 99, 2, 0),
                   read_of(1, 96, 97, 0, 1, 1),
                   with(other_of(HISTORY_FAULT, 100, 0, 0), HISTORY_OK, 0,
                        HISTORY_F_ERRORS | HISTORY_F_LOSSY)},
        .conf = {.stale_us = 10},
    };
    struct check_report report;

    (void)state;
    tell(&story, &report);
    assert_int_equal(report.broken, 0);
    assert_int_equal(report.lost, 2);
    assert_int_equal(report.lost_reads, 1);
    assert_int_equal(report.lost_sessions, 1);
    /* who still shows it afterwards shows a ghost */
    expect_pair(&story, 4, read_of(1, 110, 111, 0, 1, 1), CHECK_K5);
    /* what was rolled back was never there */
    story.events[4] = read_of(1, 96, 97, 0, 1, 9);
    expect(&story);
    /* what had been acknowledged long before had to be on replicas */
    story.events[4] = read_of(1, 96, 97, 0, 0, 0);
    expect_pair(&story, 0, write_of(0, 80, 85, 0, 1), CHECK_K3);
    /* and so had everything where nothing may get lost */
    story.events[0] = write_of(0, 90, 95, 0, 1);
    story.events[5].flags = HISTORY_F_ERRORS;
    story.events[3] = story.events[5];
    expect(&story);
}

static void test_k6(void **state)
{
    struct story sum = {.events = {other_of(HISTORY_SUM, 10, 0, 100)}};
    struct story half = {.records = {R1}, .journal = {1}, .events = {write_of(0, 10, 20, 0, 1)}};
    struct story snapshot = {
        .records = {R1},
        .events = {write_of(0, 10, 20, 0, 1),
                   with(read_of(1, 15, 16, 0, 0, 0), HISTORY_OK, 0, HISTORY_F_TX),
                   with(read_of(1, 15, 30, 0, 0, 0), HISTORY_OK, 0, HISTORY_F_TX)},
    };

    (void)state;
    expect_pair(&sum, 0, other_of(HISTORY_SUM, 10, 0, 99), CHECK_K6);
    half.events[0].value = 1;
    half.breaks = CHECK_RULE_END_;
    expect(&half);
    half.journal[0] = 0;
    half.breaks = CHECK_K6;
    expect(&half);
    expect_pair(&snapshot, 2, with(read_of(1, 15, 30, 0, 1, 1), HISTORY_OK, 0, HISTORY_F_TX),
                CHECK_K6);
    /* a transaction of its own: another snapshot */
    snapshot.events[2] = with(read_of(1, 25, 30, 0, 1, 1), HISTORY_OK, 0, HISTORY_F_TX);
    snapshot.breaks = CHECK_RULE_END_;
    expect(&snapshot);
}

static void test_k7(void **state)
{
    struct story story = {.events = {other_of(HISTORY_STATE, 10, 0, 0)}};
    struct story zone = {.events = {read_of(0, 10, 11, 0, 0, 0)}};

    (void)state;
    expect_pair(&story, 0, other_of(HISTORY_STATE, 10, 0, 4), CHECK_K7);
    expect_pair(&zone, 0, with(read_of(0, 10, 11, 0, 0, 0), HISTORY_OK, 0, HISTORY_F_STATE),
                CHECK_K7);
}

static void test_k8(void **state)
{
    struct story story = {.events = {read_of(0, 10, 11, 0, 0, 0)}};

    (void)state;
    expect_pair(&story, 0, with(read_of(0, 10, 11, 0, 0, 0), HISTORY_OK, 0, HISTORY_F_SWAPPED),
                CHECK_K8);
    story.events[0] = read_of(0, 10, 11, 3, 0, 0); /* a register that does not exist */
    expect(&story);
}

static void test_k9(void **state)
{
    struct story story = {.events = {other_of(HISTORY_PEEK, 10, 0, 0)}};

    (void)state;
    expect_pair(&story, 0, other_of(HISTORY_PEEK, 10, 0, 3), CHECK_K9);
}

static void test_k10(void **state)
{
    struct story story = {
        .records = {R1},
        .events = {write_of(0, 10, 20, 0, 1), read_of(1, 20, 30, 0, 0, 0)},
        .conf = {.enforced = ALL},
    };

    (void)state;
    expect_pair(&story, 1, read_of(1, 21, 30, 0, 0, 0), CHECK_K10);
}

static void test_k11(void **state)
{
    struct story story = {
        .records = {R1 R2},
        .events = {write_of(0, 10, 20, 0, 1), write_of(0, 30, 40, 0, 2),
                   read_of(1, 140, 150, 0, 1, 1)},
        .conf = {.stale_us = 100},
    };

    (void)state;
    expect_pair(&story, 2, read_of(1, 141, 150, 0, 1, 1), CHECK_K11);
}

static void test_k12(void **state)
{
    struct story slow = {.events = {read_of(0, 10, 110, 0, 0, 0)}, .conf = {.timeout_us = 100}};
    struct story story = {
        .events = {with(other_of(HISTORY_FAULT, 100, 0, 0), HISTORY_OK, 0, HISTORY_F_ERRORS),
                   with(read_of(0, 105, 108, 0, 0, 0), HISTORY_FAIL, 1158, 0),
                   read_of(0, 120, 121, 0, 0, 0)},
        .conf = {.heal_us = 10},
    };

    (void)state;
    expect_pair(&slow, 0, read_of(0, 10, 111, 0, 0, 0), CHECK_K12);
    expect_pair(&story, 1, with(read_of(0, 112, 113, 0, 0, 0), HISTORY_FAIL, 1158, 0), CHECK_K12);
    /* the fault is one that no client may notice */
    story.events[1] = with(read_of(0, 105, 108, 0, 0, 0), HISTORY_FAIL, 1158, 0);
    story.events[0].flags = 0;
    expect(&story);
    /* a deadlock is the application's own */
    story.events[1].error = 1213;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    /* and nothing at all after the fault is no life */
    story.events[0].flags = HISTORY_F_ERRORS;
    story.events[2].end_us = 0;
    story.breaks = CHECK_K12;
    expect(&story);
}

static void test_k13(void **state)
{
    struct story story = {
        .records = {R1},
        .events = {write_of(0, 10, 20, 0, 1), read_of(1, 30, 40, 0, 0, 0),
                   read_of(2, 30, 40, 0, 1, 1)},
        .conf = {.min_reads = 2,
                 .min_stale = 1,
                 .min_replica_pct = 50,
                 .has_servers = true,
                 .primary = 1},
    };

    (void)state;
    story.events[1].server = 2;
    story.events[2].server = 1;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    story.breaks = CHECK_K13;
    story.conf.min_reads = 3;
    expect(&story);
    story.conf.min_reads = 2;
    story.conf.min_stale = 2;
    expect(&story);
    story.conf.min_stale = 1;
    story.conf.min_replica_pct = 51;
    expect(&story);
    /* where the data does not tell: by what weir says, and it has to have been asked */
    story.conf.has_servers = false;
    expect(&story);
    story.conf.asked = 100;
    story.conf.asked_replicas = 50;
    expect(&story);
    story.conf.asked_replicas = 51;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
}

/* What the databases hand over may be anything. */
/* Two registers, read in one transaction; the second one's write came behind the first one's. */
static void test_k14(void **state)
{
    struct history_event first = with(read_of(2, 30, 31, 0, 0, 0), HISTORY_OK, 0, HISTORY_F_TX);
    struct history_event second = with(read_of(2, 30, 32, 1, 1, 2), HISTORY_OK, 0, HISTORY_F_TX);
    struct story story = {
        .records = {R1, R2},
        .events = {write_of(0, 10, 12, 0, 1), write_of(1, 14, 40, 1, 2),
                   with(read_of(2, 30, 31, 0, 1, 1), HISTORY_OK, 0, HISTORY_F_TX), second},
        .conf = {.enforced = CHECK_BIT(CHECK_K14)},
    };

    (void)state;
    expect_pair(&story, 2, first,
                CHECK_K14); /* by time: that one was sent when this one was there */
    story.events[3] = first;
    story.events[2] = second; /* in whatever order */
    expect(&story);
    story.events[3].flags = 0; /* not in the transaction: no more than K2 */
    story.breaks = CHECK_RULE_END_;
    expect(&story);
    /* by rank, where time does not tell */
    story.events[3] = first;
    story.events[0].end_us = 40;
    story.events[1].begin_us = 10;
    expect(&story);
    story.ranks[0] = 1;
    story.ranks[1] = 2;
    story.breaks = CHECK_K14;
    expect(&story);
    story.ranks[0] = 2;
    story.ranks[1] = 1;
    story.breaks = CHECK_RULE_END_;
    expect(&story);
}

static void test_truth_refuses(void **state)
{
    struct truth truth;

    (void)state;
    truth_init(&truth);
    assert_int_not_equal(truth_set_keys(&truth, 0), 0);
    assert_int_not_equal(truth_set_keys(&truth, HISTORY_KEYS_MAX + 1), 0);
    assert_int_equal(truth_set_keys(&truth, 2), 0);
    assert_int_not_equal(truth_set_key(&truth, 2, 0, 0, span_of("")), 0);
    assert_int_not_equal(truth_set_key(&truth, 0, 1, 1, span_of("0000001")), 0);
    assert_int_not_equal(truth_set_key(&truth, 1, 1, 1, span_of("0000000g")), 0);
    truth_fini(&truth);
    truth_init(&truth);
    truth_index(&truth);
    assert_null(truth_find(&truth, 1));
    truth_set_rank(&truth, 1, 1); /* passed over */
    assert_false(truth.has_ranks);
}

/* A register whose own counter is not its record's length. */
static void test_torn_register(void **state)
{
    struct truth truth;
    struct history history;
    struct check_conf conf = {.enforced = ALL};
    struct check_report report;

    (void)state;
    truth_init(&truth);
    history_init(&history);
    assert_int_equal(truth_set_keys(&truth, 1), 0);
    assert_int_equal(truth_set_key(&truth, 0, 2, 1, span_of(R1)), 0);
    truth_index(&truth);
    assert_int_equal(check_run(&history, &truth, &conf, &report), 0);
    assert_int_equal(report.broken, CHECK_BIT(CHECK_K6));
    truth_fini(&truth);
}

/* Many violations: all are counted, a few of each rule are told of. */
static void test_bounded(void **state)
{
    struct truth truth;
    struct history history;
    struct check_conf conf = {.enforced = ALL};
    struct check_report report;

    (void)state;
    truth_init(&truth);
    history_init(&history);
    assert_int_equal(truth_set_keys(&truth, 1), 0);
    for (int i = 0; i < 5000; i++) {
        struct history_event event = read_of(0, 10, 11, 0, 1, 1);

        assert_int_equal(history_add(&history, &event), 0);
    }
    truth_index(&truth);
    assert_int_equal(check_run(&history, &truth, &conf, &report), 0);
    assert_int_equal(report.counts[CHECK_K5], 5000);
    assert_int_equal(report.shown_count, CHECK_SHOWN_EACH);
    history_fini(&history);
    truth_fini(&truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_k1),
        cmocka_unit_test(test_k1_row),
        cmocka_unit_test(test_k2_same_key),
        cmocka_unit_test(test_k2_by_time),
        cmocka_unit_test(test_k2_by_rank),
        cmocka_unit_test(test_k3),
        cmocka_unit_test(test_k4),
        cmocka_unit_test(test_k4_rolled_back),
        cmocka_unit_test(test_k5),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_k6),
        cmocka_unit_test(test_k7),
        cmocka_unit_test(test_k8),
        cmocka_unit_test(test_k9),
        cmocka_unit_test(test_k10),
        cmocka_unit_test(test_k11),
        cmocka_unit_test(test_k12),
        cmocka_unit_test(test_k13),
        cmocka_unit_test(test_k14),
        cmocka_unit_test(test_truth_refuses),
        cmocka_unit_test(test_torn_register),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
