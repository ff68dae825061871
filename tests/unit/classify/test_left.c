/* SPDX-License-Identifier: Apache-2.0 */
/* test_left.c - names that pins are about, and user variables that can be set again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/classify/left.h"

#include "../../lib/classify_text.h"

/* "known:... blurred:... frees op(pin) schema/name ..." */
static void names_text(const char *sql, const char *env_text, char *out, size_t cap)
{
    static const char ops[] = {[LEFT_ADD] = '+', [LEFT_ENSURE] = '=', [LEFT_DROP] = '-'};
    struct classify_env env;
    struct facts f;
    struct left_names names;
    size_t len = 0;
    assert_true(classify_text_env(env_text, &env));
    classify_sql(span_of(sql), &env, &f);
    left_find_names(span_of(sql), &env, &f, &names);
    out[0] = '\0';
    for (unsigned pin = 0; pin < PIN_END_; pin++) {
        if ((names.known & PIN_BIT(pin)) != 0) {
            len += (size_t)snprintf(out + len, cap - len, "%s ", classify_pin_name(pin));
        }
        if ((names.blurred & PIN_BIT(pin)) != 0) {
            len += (size_t)snprintf(out + len, cap - len, "?%s ", classify_pin_name(pin));
        }
    }
    for (unsigned i = 0; i < names.count; i++) {
        struct left_name *name = &names.names[i];
        len += (size_t)snprintf(out + len, cap - len, "%c%.*s%s%.*s ", ops[name->op],
                                (int)name->schema.len, (const char *)name->schema.p,
                                name->schema.len != 0 ? "/" : "", (int)name->name.len,
                                (const char *)name->name.p);
    }
    len += (size_t)snprintf(out + len, cap - len, "%s", names.frees_locks ? "frees" : "");
    assert_true(len < cap);
    while (len > 0 && out[len - 1] == ' ') {
        out[--len] = '\0';
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"CREATE TEMPORARY TABLE t (a INT)", "temp_table +t"},
        {"create /* c */ temporary table `a b`.`t``t` select 1", "temp_table +`a b`/`t``t`"},
        {"; CREATE TEMPORARY TABLE t (a INT);", "temp_table +t"},
        {"CREATE OR REPLACE TEMPORARY TABLE d.t (a INT)", "temp_table =d/t"},
        {"CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)", "temp_table =t"},
        {"CREATE TEMPORARY TABLE \xc3\xa9 (a INT)", ""},
        {"CREATE TEMPORARY SEQUENCE s", ""},
        {"CREATE TABLE t (a INT)", ""},
        {"DROP TABLE t", "temp_table -t"},
        {"DROP TEMPORARY TABLE IF EXISTS a, `d`.b, \xc3\xa9, c CASCADE", "temp_table -a -`d`/b -c"},
        {"DROP TABLES a, b", "temp_table -a -b"},
        {"DROP TABLE a,", "temp_table -a"},
        {"DROP DATABASE d", ""},
        {"DROP VIEW t", ""},
        {"ALTER TABLE t RENAME TO u", "?temp_table"},
        {"ALTER TABLE t ADD COLUMN b INT, RENAME AS u", "?temp_table"},
        {"ALTER TABLE t ADD COLUMN b INT", ""},
        {"RENAME TABLE t TO u", "?temp_table"},
        {"PREPARE s FROM 'SELECT 1'", "text_prepare =s"},
        {"PREPARE `s s` FROM @v ;", "text_prepare =`s s`"},
        {"PREPARE s FROM CONCAT('a', @b)", ""},
        {"PREPARE s FROM 'a' 'b'", ""},
        {"PREPARE s", ""},
        {"DEALLOCATE PREPARE s", "text_prepare -s"},
        {"DROP PREPARE S", "text_prepare -S"},
        {"DEALLOCATE s", ""},
        {"HANDLER t OPEN", "handler +t"},
        {"HANDLER d.t OPEN AS h", "handler +h"},
        {"HANDLER d.t OPEN h", "handler +h"},
        {"HANDLER h READ FIRST", ""},
        {"HANDLER h CLOSE", "handler -h"},
        {"HANDLER d.h CLOSE", ""},
        {"SELECT GET_LOCK('a', 1)", "named_lock =a"},
        {"DO get_lock ( 'it''s', 1), GET_LOCK('b',0)", "named_lock =it''s =b"},
        {"SELECT GET_LOCK(@a, 1)", ""},
        {"SELECT GET_LOCK('a', 1), GET_LOCK(?, 1)", "=a"},
        {"SELECT GET_LOCK('a\\'', 1)", ""},
        {"SELECT GET_LOCK('a' 'b', 1)", ""},
        {"SELECT GET_LOCK(\"a\", 1)", ""},
        {"SELECT GET_LOCK('', 1)", ""},
        {"SELECT GET_LOCK(CONCAT('a', 'b'), 1)", ""},
        {"SELECT GET_LOCK('\xc3\xa9', 1)", ""},
        {"SELECT RELEASE_LOCK('a')", "named_lock frees"},
        {"SELECT RELEASE_ALL_LOCKS(), GET_LOCK('a', 1)", "named_lock =a frees"},
        {"UPDATE t SET a = RELEASE_LOCK('x') WHERE IS_FREE_LOCK('y')", "named_lock frees"},
        {"CREATE TEMPORARY TABLE t SELECT GET_LOCK('a', 1)", "temp_table named_lock +t =a"},
        {"SELECT GET_LOCK('a', 1); SELECT 1", "?named_lock"},
        {"CREATE TEMPORARY TABLE t (a INT); DROP TABLE t", "?temp_table"},
        {"ALTER TABLE t RENAME u; SELECT 1", "?temp_table"},
        {"SELECT 1; SELECT 2", ""},
        {"CREATE TEMPORARY TABLE t (a INT) COMMENT 'x", "?temp_table"},
        {"SELECT 1", ""},
        {"", ""},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        char text[512];
        names_text(cases[i].sql, "multi", text, sizeof(text));
        if (strcmp(text, cases[i].want) != 0) {
            print_message("%s\n", cases[i].sql);
        }
        assert_string_equal(text, cases[i].want);
    }
}

static void test_many_names(void **state)
{
    (void)state;
    char sql[2048] = "SELECT GET_LOCK('n', 1)";
    char text[2048];
    for (unsigned i = 1; i < LEFT_NAMES_MAX; i++) {
        strncat(sql, ", GET_LOCK('n', 1)", sizeof(sql) - strlen(sql) - 1);
    }
    names_text(sql, "-", text, sizeof(text));
    assert_non_null(strstr(text, "named_lock"));
    strncat(sql, ", GET_LOCK('n', 1)", sizeof(sql) - strlen(sql) - 1);
    names_text(sql, "-", text, sizeof(text));
    assert_null(strstr(text, "named_lock"));
}

static void vars_text(const char *sql, const char *env_text, char *out, size_t cap)
{
    struct classify_env env;
    struct facts f;
    struct left_var vars[LEFT_VARS_MAX];
    size_t len = 0;
    assert_true(classify_text_env(env_text, &env));
    classify_sql(span_of(sql), &env, &f);
    bool is_mixed = false;
    unsigned count = left_find_vars(span_of(sql), &env, &f, vars, &is_mixed);
    out[0] = '\0';
    if (count != 0 && is_mixed) {
        len += (size_t)snprintf(out, cap, "mixed ");
    }
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%.*s%s%.*s ", (int)vars[i].name.len,
                                (const char *)vars[i].name.p, vars[i].is_text ? "~" : "=",
                                (int)vars[i].literal.len, (const char *)vars[i].literal.p);
    }
}

static void test_vars(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"SET @a = 1", "a=1 "},
        {"SET @a:=1, @`b`='x', @'c' = NULL;", "a=1 b~'x' c=NULL "},
        {"SET @a = 43, @b = 'two 186', @c = NULL, @d = 1.50, @e = x'00FF'",
         "a=43 b~'two 186' c=NULL d=1.50 e=x'00FF' "},
        {"SET @a = -1.5e-3, @b = +7, @c = .5, @d = 1., @e = 1e5",
         "a=-1.5e-3 b=+7 c=.5 d=1. e=1e5 "},
        {"SET @a = true, @b = FALSE, @c = 0x41, @d = b'101', @e = 0b1",
         "a=true b=FALSE c=0x41 d=b'101' e=0b1 "},
        {"SET @a = 'it''s, so', @b = 2 # end", "a~'it''s, so' b=2 "},
        {"SET @a.b$_ = 1", "a.b$_=1 "},
        {"SET @a = /* c */ 1 /* d */", "a=1 "},
        {"/*!50000 SET @a = 1 */", "a=1 "},
        {"SET @a = ''", ""},
        {"SET @a = 'a' 'b'", ""},
        {"SET @a = 'a\\n'", ""},
        {"SET @a = '\xc3\xa9'", ""},
        {"SET @a = 'a\nb'", ""},
        {"SET @a = \"x\"", ""},
        {"SET @a = _latin1'x'", ""},
        {"SET @a = N'x'", ""},
        {"SET @a = x'0'", ""},
        {"SET @a = DATE'2024-01-01'", ""},
        {"SET @a = - 1", ""},
        {"SET @a = 1 + 1", ""},
        {"SET @a = (1)", ""},
        {"SET @a = @b", ""},
        {"SET @a = @b := 1", ""},
        {"SET @a = @@version", ""},
        {"SET @a = NOW()", ""},
        {"SET @a = b", ""},
        {"SET @a = ?", ""},
        {"SET @a = 1e", ""},
        {"SET @a = 1,", ""},
        {"SET @a", ""},
        {"SET @a =", ""},
        {"SET @'a b' = 1", ""},
        {"SET @a = 1, sql_mode = ''", "mixed a=1 "},
        {"SET sql_mode = '', @a = 1", "mixed a=1 "},
        {"SET @x = 'y', time_zone = '+02:00', @b = 2", "mixed x~'y' b=2 "},
        {"SET @a = 1, SESSION lc_time_names = 'de_DE'", "mixed a=1 "},
        {"SET @a = 1, @@session.sql_mode := DEFAULT", "mixed a=1 "},
        {"SET @a = 1, collation_connection = 'utf8mb4_bin'", "mixed a=1 "},
        {"SET @a = 'x', collation_connection = 'utf8mb4_bin'", ""},
        {"SET @@character_set_connection = 'latin1', @a = 'x'", ""},
        {"SET NAMES latin1, @a = 1", ""},
        {"SET @a = 1, sql_select_limit = (@b := 5)", ""},
        {"SET @a = 1, sql_select_limit = @b", ""},
        {"SET @a = 1, sql_select_limit = f()", ""},
        {"SET @a = 1, no_such_variable = 1", ""},
        {"SET time_zone = '+02:00'", ""},
        {"SET STATEMENT max_statement_time = 1 FOR SET @a = 1", ""},
        {"SET @a = 1; SET @b = 2", ""},
        {"SELECT @a := 1", ""},
        {"SET @a = 'x", ""},
        {"SELECT 1", ""},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        char text[512];
        vars_text(cases[i].sql, "multi", text, sizeof(text));
        if (strcmp(text, cases[i].want) != 0) {
            print_message("%s: %s\n", cases[i].sql, text);
        }
        assert_string_equal(text, cases[i].want);
    }
}

static void test_many_vars(void **state)
{
    (void)state;
    char sql[1024] = "SET @a = 1";
    char text[1024];
    for (unsigned i = 1; i < LEFT_VARS_MAX; i++) {
        strncat(sql, ", @a = 1", sizeof(sql) - strlen(sql) - 1);
    }
    vars_text(sql, "-", text, sizeof(text));
    assert_string_not_equal(text, "");
    strncat(sql, ", @a = 1", sizeof(sql) - strlen(sql) - 1);
    vars_text(sql, "-", text, sizeof(text));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_vars),
        cmocka_unit_test(test_many_vars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
