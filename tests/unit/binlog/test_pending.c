/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pending_priv.h"

#define UUID "30313233-3435-3637-3839-616263646566"

struct bench {
    struct version_board *board;
    struct pending pending;
};

static int bench_init(void **state)
{
    static struct bench bench;

    assert_int_equal(version_board_create(&bench.board), 0);
    pending_init(&bench.pending, bench.board);
    *state = &bench;
    return 0;
}

static int bench_fini(void **state)
{
    struct bench *bench = *state;

    pending_fini(&bench->pending, 1);
    version_board_destroy(bench->board);
    return 0;
}

static struct version_lease lease_of(const struct bench *bench, const char *table)
{
    struct version_lease lease;

    version_lease_begin(bench->board, &lease);
    assert_int_equal(version_lease_add_table(bench->board, &lease, SPAN_LIT("s"), span_of(table)),
                     0);
    return lease;
}

/* A lease taken now would be kept. */
static bool is_quiet(const struct bench *bench, const char *table)
{
    struct version_lease lease = lease_of(bench, table);

    return version_lease_holds(bench->board, lease.held, lease.count);
}

static void push(struct bench *bench, const char *table, const char *gtid, uint64_t due_us)
{
    struct version_writes writes = {0};
    struct gtid_set set;

    gtid_init(&set);
    version_writes_add_table(&writes, SPAN_LIT("s"), span_of(table));
    if (gtid != NULL) {
        assert_int_equal(gtid_parse(span_of(gtid), GTID_MYSQL, &GTID_LIMITS_SERVER, &set), 0);
    }
    pending_push(&bench->pending, &writes, gtid == NULL ? NULL : &set, due_us);
    assert_true(version_writes_is_empty(&writes));
    gtid_fini(&set);
}

static void settle(struct bench *bench, const char *executed, uint64_t now_us)
{
    struct gtid_set set;

    gtid_init(&set);
    assert_int_equal(gtid_parse(span_of(executed), GTID_MYSQL, &GTID_LIMITS_SERVER, &set), 0);
    pending_settle(&bench->pending, &set, now_us);
    gtid_fini(&set);
}

static void test_until_seen(void **state)
{
    struct bench *bench = *state;
    struct version_lease before = lease_of(bench, "a");

    push(bench, "a", UUID ":5", 0);
    push(bench, "b", NULL, 100);
    assert_false(version_lease_holds(bench->board, before.held, before.count));
    assert_false(is_quiet(bench, "a"));
    settle(bench, UUID ":1-4", 1000);
    assert_false(is_quiet(bench, "a") || is_quiet(bench, "b"));
    pending_settle(&bench->pending, NULL, 1000);
    assert_false(is_quiet(bench, "a"));
    settle(bench, UUID ":1-5", 99);
    assert_true(is_quiet(bench, "a"));
    assert_false(is_quiet(bench, "b"));
    settle(bench, "", 100);
    assert_true(is_quiet(bench, "b"));
    assert_false(version_lease_holds(bench->board, before.held, before.count));
}

static void test_full(void **state)
{
    struct bench *bench = *state;
    char name[24];
    char gtid[64];

    for (unsigned i = 1; i <= PENDING_MAX + 40; i++) {
        (void)snprintf(name, sizeof(name), "t%u", i);
        (void)snprintf(gtid, sizeof(gtid), UUID ":%u", i);
        push(bench, name, gtid, 0);
    }
    /* more than a set has room for: everything */
    assert_false(is_quiet(bench, "never_written"));
    settle(bench, UUID ":1-1063", 1);
    assert_int_equal(bench->pending.count, 1);
    assert_false(is_quiet(bench, "t1063"));
    settle(bench, UUID ":1-1064", 1);
    assert_true(is_quiet(bench, "t1") && is_quiet(bench, "t1064") &&
                is_quiet(bench, "never_written"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_until_seen, bench_init, bench_fini),
        cmocka_unit_test_setup_teardown(test_full, bench_init, bench_fini),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
