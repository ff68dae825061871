/* SPDX-License-Identifier: Apache-2.0 */
/* Words, filters, LIKE, the command table and EXPLAIN ROUTE's options, as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admin_priv.h"

static void test_words(void **state)
{
    static const struct {
        const char *text;
        const char *words; /* joined by | */
        bool is_cut;
    } rows[] = {
        {"", "", false},
        {"  \t\n ", "", false},
        {"SHOW servers;", "SHOW|servers", false},
        {"show /* x */ servers -- end", "show|servers", false},
        {"show #c\nservers ; ;", "show|servers", false},
        {"KILL 12", "KILL|12", false},
        {"12ab", "12ab", false},
        {"like 'a''b' \"c\\\"d\" `e``f`", "like|'a''b'|\"c\\\"d\"|`e``f`", false},
        {"select @@session.sql_mode,1", "select|@@session.sql_mode|,|1", false},
        {"drain db-1#2", "drain|db-1#2", false},
        {"x 'open", "x|'open", true},
        {"x /* open", "x", true},
        {"x --y", "x|-|-|y", false},
        {"/**/", "", false},
        {"/*/", "", true},
        {"'\\", "'\\", true},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        char joined[256] = "";
        struct words words;

        words_parse(span_of(rows[i].text), &words);
        for (size_t k = 0; k < words.count; k++) {
            size_t len = strlen(joined);

            (void)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", k > 0 ? "|" : "",
                           (int)words.item[k].text.len, (const char *)words.item[k].text.p);
        }
        assert_string_equal(joined, rows[i].words);
        assert_int_equal(words.is_cut, rows[i].is_cut);
    }
}

static void test_text(void **state)
{
    static const struct {
        const char *written;
        const char *text; /* NULL: it has none */
    } rows[] = {
        {"name", "name"},     {"'it''s'", "it's"},   {"'a\\'b'", "a'b"}, {"'50\\%'", "50\\%"},
        {"'a\\\\b'", "a\\b"}, {"`we``ir`", "we`ir"}, {"\"q\"", "q"},     {"''", ""},
        {"12", "12"},         {"(", NULL},           {"'open", NULL},    {"`a\\b`", "a\\b"},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        char text[WORDS_TEXT_MAX];
        struct words words;

        words_parse(span_of(rows[i].written), &words);
        assert_int_equal(words.count, 1);
        assert_int_equal(word_text(&words.item[0], text), rows[i].text != NULL);
        if (rows[i].text != NULL) {
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void test_like(void **state)
{
    static const struct {
        const char *text;
        const char *pattern;
        bool want;
    } rows[] = {
        {"", "", true},
        {"", "%", true},
        {"", "_", false},
        {"abc", "abc", true},
        {"ABC", "abc", true},
        {"abc", "ab", false},
        {"abc", "a%", true},
        {"abc", "%c", true},
        {"abc", "%b%", true},
        {"abc", "a_c", true},
        {"abc", "____", false},
        {"abc", "%%%", true},
        {"a%c", "a\\%c", true},
        {"abc", "a\\%c", false},
        {"a_c", "a\\_c", true},
        {"abc", "a\\_c", false},
        {"aab", "%ab", true},
        {"mississippi", "%iss%pi", true},
        {"mississippi", "m%x%", false},
        {"a\\", "a\\", true},
        {"abab", "%ab", true},
    };
    char many[200];

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        assert_int_equal(words_like(span_of(rows[i].text), rows[i].pattern), rows[i].want);
    }
    /* no pattern takes longer than text times pattern */
    memset(many, 'a', sizeof(many) - 1);
    many[sizeof(many) - 1] = '\0';
    assert_false(words_like(span_of(many), "%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b"));
}

static void test_filter(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
        const char *like; /* NULL: none */
        uint64_t limit;
    } rows[] = {
        {"SHOW SERVERS", true, NULL, UINT64_MAX},
        {"SHOW SERVERS LIKE 'db%'", true, "db%", UINT64_MAX},
        {"show servers limit 5;", true, NULL, 5},
        {"SHOW SERVERS LIKE 'x' LIMIT 0", true, "x", 0},
        {"SHOW SERVERS LIKE x", false, NULL, 0},
        {"SHOW SERVERS LIKE", false, NULL, 0},
        {"SHOW SERVERS LIMIT -1", false, NULL, 0},
        {"SHOW SERVERS LIMIT 99999999999999999999", false, NULL, 0},
        {"SHOW SERVERS LIMIT 1 LIKE 'x'", false, NULL, 0},
        {"SHOW SERVERS now", false, NULL, 0},
        {"SHOW SERVERS LIKE 'open", false, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        struct words_filter filter;
        struct words words;

        words_parse(span_of(rows[i].text), &words);
        assert_int_equal(words_filter(&words, 2, &filter), rows[i].is_good);
        if (rows[i].is_good) {
            assert_int_equal(filter.has_like, rows[i].like != NULL);
            assert_string_equal(filter.like, rows[i].like != NULL ? rows[i].like : "");
            assert_true(filter.limit == rows[i].limit);
        }
    }
}

static void test_table_names(void **state)
{
    static const struct {
        const char *text;
        const char *schema; /* NULL: no such thing */
        const char *name;
    } rows[] = {
        {"shop.orders", "shop", "orders"},
        {"`shop`.`orders`;", "shop", "orders"},
        {"shop.`or.ders`", "shop", "or.ders"},
        {"`s.hop`.orders", "s.hop", "orders"},
        {"shop . orders", "shop", "orders"},
        {"'shop.orders'", "shop", "orders"},
        {"\"shop\".'2020'", "shop", "2020"},
        {"shop.2020", "shop", "2020"},
        {"`sh``op`.o", "sh`op", "o"},
        {"orders", NULL, NULL},
        {"`shop.orders`", NULL, NULL},
        {"shop.", NULL, NULL},
        {".orders", NULL, NULL},
        {"a.b.c", NULL, NULL},
        {"a..b", NULL, NULL},
        {"a.b c", NULL, NULL},
        {"a b.c", NULL, NULL},
        {"`a`.b.c", NULL, NULL},
        {"a.b, c.d", NULL, NULL},
        {"`a`.`b", NULL, NULL},
        {"a.b /* ", NULL, NULL},
        {"``.b", NULL, NULL},
        {"", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        char schema[WORDS_TEXT_MAX];
        char name[WORDS_TEXT_MAX];
        struct words words;

        words_parse(span_of(rows[i].text), &words);
        assert_int_equal(words_table(&words, 0, schema, name), rows[i].schema != NULL);
        if (rows[i].schema != NULL) {
            assert_string_equal(schema, rows[i].schema);
            assert_string_equal(name, rows[i].name);
        }
    }
}

static void test_table(void **state)
{
    static const struct {
        const char *text;
        const char *name; /* NULL: unknown */
        const char *near_name;
    } rows[] = {
        {"show servers like 'x'", "SHOW SERVERS", NULL},
        {"KILL 5", "KILL", NULL},
        {"kill query 5", "KILL QUERY", NULL},
        {"SET WEIGHT a 5", "SET WEIGHT", NULL},
        {"SET NAMES utf8mb4", "SET", NULL},
        {"show session variables", "SHOW SESSION VARIABLES", NULL},
        {"SHOW SERVER", NULL, "SHOW SERVERS"},
        {"SHWO SESSIONS", NULL, "SHOW SESSIONS"},
        {"SHOW DIGEST LIMIT 5", NULL, "SHOW DIGESTS"},
        {"DRIAN db1", NULL, "DRAIN"},
        {"relaod", NULL, "RELOAD"},
        {"show cache", "SHOW CACHE", NULL},
        {"cache purge table a.b", "CACHE PURGE TABLE", NULL},
        {"CACHE FLSH", NULL, "CACHE FLUSH"},
        {"cache purge tag 'a:*'", "CACHE PURGE TAG", NULL},
        {"CACHE PURGE TABEL a.b", NULL, "CACHE PURGE TABLE"},
        {"explain rout select 1", NULL, "EXPLAIN ROUTE"},
        {"DELETE FROM t", NULL, NULL},
        {"(((", NULL, NULL},
        {"SHOW", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        const struct admin_command *command = NULL;
        struct words words;
        size_t at = 0;

        words_parse(span_of(rows[i].text), &words);
        command = admin_command_find(&words, &at);
        assert_int_equal(command != NULL, rows[i].name != NULL);
        if (command != NULL) {
            assert_string_equal(command->name, rows[i].name);
        } else if (rows[i].near_name != NULL) {
            const char *found = admin_command_near(&words);

            assert_non_null(found);
            assert_string_equal(found, rows[i].near_name);
        } else {
            assert_null(admin_command_near(&words));
        }
    }
    /* each is found by its own name, and no two have one name */
    for (size_t i = 0; i < admin_command_count; i++) {
        struct words words;
        size_t at = 0;

        words_parse(span_of(admin_commands[i].name), &words);
        assert_ptr_equal(admin_command_find(&words, &at), &admin_commands[i]);
        assert_non_null(admin_commands[i].fn);
        assert_true(strlen(admin_commands[i].help) > 0);
    }
}

static void test_explain(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
        const char *sql;
        const char *user;
        const char *schema;
    } rows[] = {
        {"EXPLAIN ROUTE SELECT 1", true, "SELECT 1", NULL, NULL},
        {"explain route SELECT 1;", true, "SELECT 1", NULL, NULL},
        {"EXPLAIN ROUTE SELECT 1 AS app IN shop", true, "SELECT 1", "app", "shop"},
        {"EXPLAIN ROUTE SELECT 1 IN shop AS 'a b'", true, "SELECT 1", "a b", "shop"},
        {"EXPLAIN ROUTE AS app IN `my db` SELECT 1 AS x", true, "SELECT 1 AS x", "app", "my db"},
        {"EXPLAIN ROUTE IN shop SELECT 1 AS x", true, "SELECT 1 AS x", NULL, "shop"},
        {"EXPLAIN ROUTE SELECT 1 AS app IN shop; ;", true, "SELECT 1", "app", "shop"},
        {"EXPLAIN ROUTE SELECT 1 AS x; AS app", true, "SELECT 1 AS x", "app", NULL},
        {"EXPLAIN ROUTE SELECT 1 AS x; AS app IN shop", true, "SELECT 1 AS x", "app", "shop"},
        {"EXPLAIN ROUTE SELECT a FROM t WHERE a IN (1)", true, "SELECT a FROM t WHERE a IN (1)",
         NULL, NULL},
        {"EXPLAIN ROUTE SELECT 1 AS 2", true, "SELECT 1 AS 2", NULL, NULL},
        {"EXPLAIN ROUTE", false, NULL, NULL, NULL},
        {"EXPLAIN ROUTE ;", true, "", NULL, NULL},
        {"EXPLAIN ROUTE AS", false, NULL, NULL, NULL},
        {"EXPLAIN ROUTE AS app", false, NULL, NULL, NULL},
        {"EXPLAIN ROUTE AS app AS other SELECT 1", false, NULL, NULL, NULL},
        {"/* c */ EXPLAIN /* c */ ROUTE /* weir:primary */ SELECT 1", true,
         "/* weir:primary */ SELECT 1", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        struct words_explain explain;
        struct span sql;

        if (!rows[i].is_good || rows[i].sql[0] == '\0') {
            assert_int_equal(words_explain(span_of(rows[i].text), &explain), false);
            continue;
        }
        assert_true(words_explain(span_of(rows[i].text), &explain));
        sql = explain.sql;
        while (sql.len > 0 && sql.p[0] == ' ') {
            sql.p++;
            sql.len--;
        }
        while (sql.len > 0 && sql.p[sql.len - 1] == ' ') {
            sql.len--;
        }
        assert_int_equal(sql.len, strlen(rows[i].sql));
        assert_memory_equal(sql.p, rows[i].sql, sql.len);
        assert_int_equal(explain.has_user, rows[i].user != NULL);
        assert_int_equal(explain.has_schema, rows[i].schema != NULL);
        assert_string_equal(explain.user, rows[i].user != NULL ? rows[i].user : "");
        assert_string_equal(explain.schema, rows[i].schema != NULL ? rows[i].schema : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),   cmocka_unit_test(test_text),
        cmocka_unit_test(test_like),    cmocka_unit_test(test_filter),
        cmocka_unit_test(test_table),   cmocka_unit_test(test_table_names),
        cmocka_unit_test(test_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
