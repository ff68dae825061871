/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/topo.h"

static struct topo *topo_of(const char *const *names, size_t count)
{
    struct topo *topo = topo_create(count);

    assert_non_null(topo);
    for (size_t i = 0; i < count; i++) {
        snprintf(topo->servers[i].name, sizeof(topo->servers[i].name), "%s", names[i]);
    }
    return topo;
}

static void test_create(void **state)
{
    struct topo *topo = topo_create(3);
    const struct topo *held = NULL;

    (void)state;
    assert_int_equal(topo->primary, -1);
    assert_null(topo_primary(topo));
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(topo->servers[i].index, i);
        assert_true(topo->servers[i].lag_us == TOPO_LAG_UNKNOWN); /* never probed is not zero */
        assert_int_equal(topo->servers[i].state, TOPO_ST_NEW);
        assert_int_equal(topo->servers[i].why, TOPO_WHY_NEVER_PROBED);
        assert_int_equal(topo->servers[i].role, TOPO_ROLE_UNKNOWN);
    }
    topo->primary = 2;
    assert_ptr_equal(topo_primary(topo), &topo->servers[2]);
    topo->primary = 3;
    assert_null(topo_primary(topo));
    held = topo_ref(topo);
    assert_int_equal(snap_refs(&topo->snap), 2);
    topo_unref(topo);
    assert_int_equal(held->server_count, 3);
    topo_unref(held);
    topo_unref(NULL);
    assert_null(topo_create(TOPO_SERVERS_MAX + 1));
    topo_unref(topo_create(0));
    topo_unref(topo_create(TOPO_SERVERS_MAX));
}

static void test_find(void **state)
{
    static const char *const names[] = {"db1", "DB1", "many#1", "many#2", "x"};
    static const struct {
        const char *name;
        int index;
    } rows[] = {
        {"db1", 0},    {"DB1", 1},     {"Db1", 0}, {"many", 2}, {"MANY", 2}, {"many#2", 3},
        {"Many#2", 3}, {"many#3", -1}, {"", -1},   {"X", 4},    {"xx", -1},  {"man", -1},
    };
    struct topo *topo = topo_of(names, 5);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(topo_find(topo, span_of(rows[i].name)), rows[i].index);
    }
    topo_unref(topo);
}

static void test_isolation(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
        enum topo_isolation isolation;
    } rows[] = {
        {"REPEATABLE-READ", true, TOPO_ISO_REPEATABLE_READ},
        {"repeatable   read", true, TOPO_ISO_REPEATABLE_READ},
        {"Read\tCommitted", true, TOPO_ISO_READ_COMMITTED},
        {"READ-UNCOMMITTED", true, TOPO_ISO_READ_UNCOMMITTED},
        {"serializable", true, TOPO_ISO_SERIALIZABLE},
        {"", false, TOPO_ISO_SERIALIZABLE},
        {"READ", false, TOPO_ISO_SERIALIZABLE},
        {"SERIALIZABLE-READ", false, TOPO_ISO_SERIALIZABLE},
        {"SERIALIZABLE                          ", false, TOPO_ISO_SERIALIZABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum topo_isolation got = TOPO_ISO_REPEATABLE_READ;

        assert_int_equal(topo_isolation_parse(span_of(rows[i].text), &got), rows[i].is_good);
        assert_int_equal(got, rows[i].is_good ? rows[i].isolation : TOPO_ISO_REPEATABLE_READ);
    }
    assert_string_equal(topo_isolation_text(TOPO_ISO_READ_COMMITTED), "READ-COMMITTED");
}

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(topo_role_text(TOPO_ROLE_REPLICA), "replica");
    assert_string_equal(topo_state_text(TOPO_ST_DRAINING), "draining");
    assert_string_equal(topo_why_text(TOPO_WHY_DRAINED), "drained by an operator");
    assert_string_equal(topo_flavour_text(TOPO_FLAVOUR_UNKNOWN), "unknown");
    assert_string_equal(topo_flavour_text(TOPO_FLAVOUR_MYSQL), "mysql");
    assert_string_equal(topo_flavour_text(TOPO_FLAVOUR_MARIADB), "mariadb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
