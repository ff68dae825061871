/* SPDX-License-Identifier: Apache-2.0 */
/* test_tag.c - which answers a purge, or a write, ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/tag.h"

struct asked {
    struct classify_env env;
    struct facts facts;
    struct cache_tag_in in;
};

static void ask(const char *sql, struct asked *ret_asked)
{
    ret_asked->env = (struct classify_env){.flavour = CLASSIFY_MYSQL, .version = 80400};
    classify_sql(span_of(sql), &ret_asked->env, &ret_asked->facts);
    ret_asked->in = (struct cache_tag_in){
        .sql = span_of(sql), .env = &ret_asked->env, .facts = &ret_asked->facts};
}

static int lease(const struct version_board *board, const char *tag, const char *sql,
                 struct version_lease *ret_lease)
{
    const struct config_words tags = {&tag, 1};
    struct asked asked;

    ask(sql, &asked);
    version_lease_begin(board, ret_lease);
    return cache_tags_lease(board, ret_lease, &tags, &asked.in);
}

static bool holds(const struct version_board *board, const struct version_lease *held)
{
    return version_lease_holds(board, held->held, held->count);
}

static void test_purges(void **state)
{
    static const struct {
        const char *purge;
        const char *tag;
        bool ends;
    } cases[] = {{"device:5", "device:{id}", true},
                 {"DEVICE:5", "Device:{id}", true},
                 {"device:5:*", "device:{id}", true},
                 {"device:*", "device:{id}", true},
                 {"device:5", "device:{id}:rows", false},
                 {"device:5:*", "device:{id}:rows", true},
                 {"device:*", "device:{id}:rows", true},
                 {"device:5:rows", "device:{id}:rows", true},
                 {"device:6", "device:{id}", false},
                 {"device:6:*", "device:{id}:rows", false},
                 {"device:55", "device:{id}", false},
                 {"device", "device:{id}", false},
                 {"devices", "devices", true},
                 {"devices:*", "devices", true},
                 {"device:5:rows:*", "device:{id}", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct version_board *board = NULL;
        struct version_writes writes = {0};
        struct version_lease held;

        assert_int_equal(version_board_create(&board), 0);
        assert_int_equal(lease(board, cases[i].tag, "SELECT * FROM t WHERE id = 5", &held), 0);
        assert_true(holds(board, &held));
        assert_true(cache_tag_purge(span_of(cases[i].purge), &writes));
        assert_int_equal(writes.count, 1);
        version_write_begin(board, &writes);
        if (holds(board, &held) == cases[i].ends) {
            print_error("%s %s\n", cases[i].purge, cases[i].tag);
        }
        assert_int_equal(holds(board, &held), !cases[i].ends);
        version_write_end(board, &writes, 1);
        assert_int_equal(holds(board, &held), !cases[i].ends);
        version_board_destroy(board);
    }
}

static void test_bad_purges(void **state)
{
    static const char *const bad[] = {"", "*", ":*", ":a", "a*", "a:*:b", "device:{id}"};
    struct version_writes writes = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(cache_tag_purge(span_of(bad[i]), &writes));
        assert_int_equal(writes.count, 0);
    }
}

/* Values that other ways of writing them are equal to are none. */
static void test_values(void **state)
{
    static const char *const good[] = {"5",  "'5'", "'abc'", "'a-1.b@c'", "1234567890123456789",
                                       "'_'"};
    static const char *const bad[] = {
        "05",   "0",    "'0'", "5.0", "'5a'",       "'5 '", "'a b'",
        "'a:'", "'a*'", "''",  "0x5", "'\xc3\xa9'", "5e1",  "12345678901234567890",
        "NULL", "?"};
    struct version_board *board = NULL;
    struct version_lease held;
    char sql[128];

    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT * FROM t WHERE id = %s", good[i]);
        assert_int_equal(lease(board, "d:{id}", sql, &held), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT * FROM t WHERE id = %s", bad[i]);
        assert_int_equal(lease(board, "d:{id}", sql, &held), -ENOENT);
    }
    version_board_destroy(board);
}

static void test_writes(void **state)
{
    static const struct {
        const char *pattern;
        const char *sql;
        bool ends_5; /* d:5:x */
        bool ends_6; /* d:6 */
    } cases[] = {
        {"d:{id}:*", "UPDATE t SET a = 1 WHERE id = 5", true, false},
        {"d:{id}", "UPDATE t SET a = 1 WHERE id = 6", false, true},
        {"d:{id}:x", "DELETE FROM t WHERE id = 5", true, false},
        {"d:{id}:*", "INSERT INTO t (id) VALUES (6)", false, true},
        {"d:{id}:{k}", "UPDATE t SET a = 1 WHERE id = 5", true, false},
        {"d:{id}:*", "UPDATE t SET a = 1", true, true},
        {"d:{id}", "UPDATE t SET id = 5 WHERE id = 6", true, true},
        {"d:{id}", "UPDATE t SET a = 1 WHERE id = '05'", true, true},
        {"d:{id}:*", "INSERT INTO t (id) VALUES (5), (6)", true, true},
        {"d:x{id}", "TRUNCATE t", true, true},
        {"e:{id}:*", "UPDATE t SET a = 1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct config_words patterns = {&cases[i].pattern, 1};
        struct version_board *board = NULL;
        struct version_writes writes = {0};
        struct version_lease five;
        struct version_lease six;
        struct asked asked;

        assert_int_equal(version_board_create(&board), 0);
        assert_int_equal(lease(board, "d:{id}:x", "SELECT * FROM t WHERE id = 5", &five), 0);
        assert_int_equal(lease(board, "d:{id}", "SELECT * FROM t WHERE id = 6", &six), 0);
        ask(cases[i].sql, &asked);
        cache_tags_write(&writes, &patterns, &asked.in);
        assert_false(writes.is_all);
        version_write_begin(board, &writes);
        version_write_end(board, &writes, 1);
        if (holds(board, &five) == cases[i].ends_5 || holds(board, &six) == cases[i].ends_6) {
            print_error("%s %s\n", cases[i].pattern, cases[i].sql);
        }
        assert_int_equal(holds(board, &five), !cases[i].ends_5);
        assert_int_equal(holds(board, &six), !cases[i].ends_6);
        version_board_destroy(board);
    }
}

/* 300 of SHORT, NULL, "ab" of VAR_STRING, -1 of TINY, 200 of unsigned TINY */
static void test_parameters(void **state)
{
    static const uint8_t types[] = {2, 0, 8, 0, 0xfd, 0, 1, 0, 1, 0x80};
    static const uint8_t nulls[] = {2};
    static const uint8_t values[] = {0x2c, 1, 2, 'a', 'b', 0xff, 200};
    static const char *const want[] = {"300", NULL, "ab", "-1", "200", NULL};
    struct stmt_execute execute = {.nulls = {nulls, sizeof(nulls)},
                                   .values = {values, sizeof(values)}};
    struct span all = {types, sizeof(types)};
    char digits[STMT_DIGITS_MAX];
    struct span value;

    (void)state;
    for (uint16_t i = 0; i < 6; i++) {
        assert_int_equal(stmt_execute_value(&execute, 5, all, i, digits, &value), want[i] != NULL);
        assert_true(want[i] == NULL || span_eq_text(value, want[i]));
    }
    for (size_t len = 0; len < sizeof(values); len++) { /* cut */
        execute.values.len = len;
        for (uint16_t i = 0; i < 5; i++) {
            (void)stmt_execute_value(&execute, 5, all, i, digits, &value);
        }
        assert_false(stmt_execute_value(&execute, 5, all, 4, digits, &value));
    }
}

static void test_told(void **state)
{
    static const char *const tags[] = {"device:{id}:*", "device:{id}:{other}", "devices:all"};
    const struct config_words patterns = {tags, 3};
    struct version_writes told = {0};
    struct asked asked;

    (void)state;
    ask("UPDATE t SET v = 1 WHERE id = 5", &asked);
    cache_tags_told(&told, &patterns, &asked.in);
    assert_int_equal(told.count, 2); /* not what has no value */
    assert_int_equal(told.slots[0], version_slot_tag(SPAN_LIT("device:5:")));
    assert_int_equal(told.slots[1], version_slot_tag(SPAN_LIT("devices:all")));
    told = (struct version_writes){0};
    ask("UPDATE t SET v = 1 WHERE id IN (5)", &asked);
    cache_tags_told(&told, &patterns, &asked.in);
    assert_int_equal(told.count, 1);
}

/* The group "id" is what stands behind "f(d) = ". */
static int group_of(const void *arg, const struct config_rule *rule, struct span sql,
                    struct span name, struct span *ret_text)
{
    const uint8_t *at = memmem(sql.p, sql.len, "f(d) = ", 7);

    (void)rule;
    if (!span_eq_text(name, arg)) {
        return 0;
    }
    if (at == NULL) {
        return -1;
    }
    *ret_text = (struct span){at + 7, 1};
    return 1;
}

static void test_groups(void **state)
{
    static const char *const tags[] = {"device:{id}"};
    static const struct {
        const char *sql;
        const char *tag; /* NULL: none */
    } cases[] = {{"SELECT * FROM t WHERE f(d) = 5", "device:5"},
                 {"SELECT * FROM t WHERE f(d) = 5 AND id = 6", "device:5"},
                 {"SELECT * FROM t WHERE f(d) = 55", NULL},
                 {"SELECT * FROM t WHERE f(d) = 5 + 1", NULL},
                 {"SELECT * FROM t WHERE id = 6", NULL}};
    const struct config_words patterns = {tags, 1};
    const struct config_rule rule = {.match = "x"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct version_writes told = {0};
        struct asked asked;

        ask(cases[i].sql, &asked);
        asked.in.rule = &rule;
        asked.in.group = group_of;
        asked.in.group_arg = "id";
        cache_tags_told(&told, &patterns, &asked.in);
        assert_int_equal(told.count, cases[i].tag != NULL);
        assert_true(told.count == 0 || told.slots[0] == version_slot_tag(span_of(cases[i].tag)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purges),     cmocka_unit_test(test_bad_purges),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_writes),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_told),
        cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
