/* SPDX-License-Identifier: Apache-2.0 */
/* test_equal.c - the value that a statement compares a column with: proven, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/classify/equal.h"

#include "../../lib/classify_text.h"

static void value_text(const char *sql, char *out, size_t cap)
{
    struct classify_env env;
    struct facts f;
    struct equal_value value;

    assert_true(classify_text_env("-", &env));
    classify_sql(span_of(sql), &env, &f);
    if (!equal_find(span_of(sql), &env, &f, SPAN_LIT("d"), &value)) {
        (void)snprintf(out, cap, "none");
    } else if (value.is_param) {
        (void)snprintf(out, cap, "?%u/%u", value.param, value.params);
    } else {
        (void)snprintf(out, cap, "%.*s", (int)value.text.len, (const char *)value.text.p);
    }
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"SELECT * FROM t WHERE d = 5", "5"},
        {"select d, x from t x where x.D = 'ab' order by d", "ab"},
        {"SELECT * FROM t WHERE a = 1 AND `s`.`t`.`d` = 7 AND b BETWEEN 1 AND 2 LIMIT 3", "7"},
        {"SELECT * FROM t WHERE b BETWEEN 1 AND 2 AND d = 7 GROUP BY d HAVING d > 1", "7"},
        {"SELECT * FROM t WHERE (a = 1 OR b = 2) AND d = 7;", "7"},
        {"SELECT * FROM t JOIN u ON t.a = u.a WHERE u.a = ? AND t.d = ? AND x = ?", "?1/3"},
        {"SELECT ?, d FROM t WHERE t.order = 1 AND d = ?", "?1/2"},
        {"SELECT * FROM t WHERE NOT a AND d = 5", "5"},
        {"SELECT * FROM t WHERE e = 5", "none"},
        {"SELECT * FROM t", "none"},
        {"SELECT * FROM t WHERE d = 5 OR a = 1", "none"},
        {"SELECT * FROM t WHERE d = 5 || a = 1", "none"},
        {"SELECT * FROM t WHERE a = 1 XOR d = 5", "none"},
        {"SELECT * FROM t WHERE d = 5 AND d = 6", "none"},
        {"SELECT * FROM t WHERE d = 5 AND (a = 1 OR d = 6)", "none"},
        {"SELECT * FROM t WHERE d = 5 AND offset = 1 OR d = 7", "none"},
        {"SELECT * FROM t WHERE d = 5 AND t.limit = 1 OR d = 7", "none"},
        {"SELECT * FROM t WHERE d = 5 AND a = t.order OR d = 7", "none"},
        {"SELECT * FROM t WHERE d = 5 = 0", "none"},
        {"SELECT * FROM t WHERE d = 5 COLLATE x", "none"},
        {"SELECT * FROM t WHERE d = 5 + 1", "none"},
        {"SELECT * FROM t WHERE d = 'a' 'b'", "none"},
        {"SELECT * FROM t WHERE d = _latin1'a'", "none"},
        {"SELECT * FROM t WHERE d = 'a\\'", "none"},
        {"SELECT * FROM t WHERE d = \"a\"", "none"},
        {"SELECT * FROM t WHERE d = -5", "none"},
        {"SELECT * FROM t WHERE d = x", "none"},
        {"SELECT * FROM t WHERE d > 5", "none"},
        {"SELECT * FROM t WHERE d <=> 5", "none"},
        {"SELECT * FROM t WHERE d IN (5)", "none"},
        {"SELECT * FROM t WHERE (d = 5)", "none"},
        {"SELECT * FROM t WHERE NOT d = 5", "none"},
        {"SELECT * FROM t WHERE 5 = d", "none"},
        {"SELECT * FROM t WHERE a BETWEEN 1 AND d = 5", "none"},
        {"SELECT * FROM t WHERE CASE WHEN a THEN b AND d = 5 END", "none"},
        {"SELECT * FROM t WHERE d = 5 UNION SELECT * FROM t", "none"},
        {"SELECT * FROM t WHERE d = 5 UNION ALL (SELECT * FROM t)", "none"},
        {"(SELECT * FROM t WHERE d = 5)", "none"},
        {"SELECT * FROM t WHERE d = 5 AND a IN (SELECT a FROM u)", "none"},
        {"SELECT * FROM (SELECT * FROM t) t WHERE d = 5", "none"},
        {"WITH c AS (SELECT 1) SELECT * FROM t WHERE d = 5", "none"},
        {"SELECT * FROM t LEFT JOIN u ON u.d = 7 WHERE t.d = 5", "none"},
        {"SELECT * FROM t JOIN u USING (d) WHERE t.d = 5", "none"},
        {"SELECT * FROM t WHERE d = 5 /*!99999 OR 1 */", "5"},
        {"SELECT * FROM t WHERE d = 5 /*! OR 1 */", "none"},
        {"SELECT * FROM t WHERE d = 5; SELECT 1", "none"},
        {"SELECT * FROM t WHERE d = 5 AND \xc3\xa9 = 1", "none"},
        {"SELECT * FROM t WHERE d = 5 AND a = '\xc3\xa9'", "5"},
        /* writes */
        {"UPDATE t SET a = 1, b = 2 WHERE d = 5", "5"},
        {"UPDATE t SET a = ?, b = ? WHERE d = ? LIMIT 1", "?2/3"},
        {"UPDATE t SET d = 6 WHERE d = 5", "none"},
        {"UPDATE t SET `D` = 6 WHERE d = 5", "none"},
        {"UPDATE t SET a = 6", "none"},
        {"UPDATE t SET a = 6 WHERE d = 5 OR 1", "none"},
        {"UPDATE t JOIN u ON t.a = u.a SET u.b = 1 WHERE t.d = 5", "none"},
        {"UPDATE t, u SET u.b = 1 WHERE t.d = 5", "none"},
        {"DELETE FROM t WHERE d = 5", "5"},
        {"DELETE LOW_PRIORITY FROM s.t WHERE a = 1 AND d = 'x'", "x"},
        {"DELETE FROM t USING t, u WHERE d = 5", "none"},
        {"DELETE t FROM t JOIN u WHERE d = 5", "none"},
        {"DELETE FROM t", "none"},
        {"INSERT INTO t (a, d, b) VALUES (1, 5, now())", "5"},
        {"INSERT s.t (a, d) VALUE (f(1, 2), ?)", "?0/1"},
        {"INSERT INTO t (d) VALUES ('x');", "x"},
        {"INSERT INTO t (d, a) VALUES (5, 1), (6, 2)", "none"},
        {"INSERT INTO t VALUES (5)", "none"},
        {"INSERT INTO t (a) VALUES (5)", "none"},
        {"INSERT INTO t (a, d) VALUES (5)", "none"},
        {"INSERT INTO t (d, a) VALUES (5 + 1, 1)", "none"},
        {"INSERT INTO t (d, a) VALUES (5, d)", "none"},
        {"INSERT INTO t (d) VALUES (5) ON DUPLICATE KEY UPDATE a = 1", "none"},
        {"INSERT IGNORE INTO t (d) VALUES (5)", "none"},
        {"INSERT INTO t SET d = 5", "none"},
        {"INSERT INTO t (d) SELECT 5", "none"},
        {"REPLACE INTO t (d) VALUES (5)", "none"},
        {"EXPLAIN UPDATE t SET a = 1 WHERE d = 5", "none"},
        {"TRUNCATE t", "none"},
        {"", "none"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];

        value_text(cases[i].sql, text, sizeof(text));
        if (strcmp(text, cases[i].want) != 0) {
            print_error("%s\n", cases[i].sql);
        }
        assert_string_equal(text, cases[i].want);
    }
}

/* A text that ends anywhere. */
static void test_cut(void **state)
{
    static const char *const texts[] = {
        "SELECT * FROM t WHERE (a = 1 OR b = 2) AND `t`.`d` = '5' ORDER BY a",
        "INSERT INTO t (a, d, b) VALUES (1, 5, now())", "UPDATE t SET a = ? WHERE d = ?"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t len = 0; len < strlen(texts[i]); len++) {
            char part[128];
            char text[64];

            (void)snprintf(part, sizeof(part), "%.*s", (int)len, texts[i]);
            value_text(part, text, sizeof(text));
        }
    }
}

/* The piece between < and > of the text, which are taken out. */
static void test_literals(void **state)
{
    static const struct {
        const char *sql;
        const char *value; /* NULL: none; "?1": a parameter */
    } cases[] = {
        {"SELECT * FROM t WHERE f(a) = <5>", "5"},
        {"SELECT * FROM t WHERE a IN (<5>)", "5"},
        {"SELECT * FROM t WHERE a = '<abc>'", "abc"},
        {"SELECT * FROM t WHERE a = <'abc'>", "abc"},
        {"CALL p(<5>, 6)", "5"},
        {"SELECT * FROM t WHERE a = ? AND b = <?>", "?1"},
        {"SELECT * FROM t WHERE a = <5> LIMIT 1", "5"},
        {"SELECT * FROM t WHERE a = <5>5", NULL},
        {"SELECT * FROM t WHERE a = 5<5>", NULL},
        {"SELECT * FROM t WHERE a = '<ab>c'", NULL},
        {"SELECT * FROM t WHERE a = 'x = <5>'", NULL},
        {"SELECT * FROM t /* a = <5> */ WHERE a = 6", NULL},
        {"SELECT * FROM t WHERE a = -<5>", NULL},
        {"SELECT * FROM t WHERE a = <5> + 1", NULL},
        {"SELECT * FROM t WHERE a = 1 - <5>", NULL},
        {"SELECT * FROM t WHERE a = <5> DIV 2", NULL},
        {"SELECT * FROM t WHERE a = '<a>' 'b'", NULL},
        {"SELECT * FROM t WHERE a = 'b' '<a>'", NULL},
        {"SELECT * FROM t WHERE a = '<a>' COLLATE utf8mb4_bin", NULL},
        {"SELECT * FROM t WHERE a = \"<a>\"", NULL},
        {"SELECT * FROM t WHERE a = '<a>\\''", NULL},
        {"SELECT * FROM t WHERE <a> = 5", NULL},
        {"SELECT * FROM t WHERE a = <>5", NULL},
        {"SELECT 1; SELECT * FROM t WHERE a = <5>", NULL},
    };
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90700, .is_multi = true};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sql[128];
        size_t len = 0;
        size_t from = 0;
        size_t to = 0;
        struct equal_value value;
        struct facts facts;
        bool is_found = false;

        for (const char *p = cases[i].sql; *p != '\0'; p++) {
            from = *p == '<' ? len : from;
            to = *p == '>' ? len : to;
            if (*p != '<' && *p != '>') {
                sql[len++] = *p;
            }
        }
        sql[len] = '\0';
        classify_sql(span_of(sql), &env, &facts);
        is_found = equal_literal(span_of(sql), &env, &facts,
                                 (struct span){(const uint8_t *)sql + from, to - from}, &value);
        if (is_found != (cases[i].value != NULL)) {
            print_error("%s: %d\n", cases[i].sql, is_found);
        }
        assert_int_equal(is_found, cases[i].value != NULL);
        if (is_found && cases[i].value[0] == '?') {
            assert_true(value.is_param && value.param == 1 && value.params == 2);
        } else if (is_found) {
            assert_true(!value.is_param && span_eq_text(value.text, cases[i].value));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
