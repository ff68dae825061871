/* SPDX-License-Identifier: Apache-2.0 */
/* test_rewrite.c - connection ids in place, hints, KILL, digests, names, and the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <xxhash.h>

#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "../../lib/classify_text.h"

static struct facts facts_of(const char *sql, const char *env_text)
{
    struct classify_env env;
    struct facts f;
    assert_true(classify_text_env(env_text, &env));
    classify_sql(span_of(sql), &env, &f);
    return f;
}

static const struct classify_ids seven = {.mask = 1U << FACTS_ID_CONNECTION, .value = {7}};

static void test_rewrite(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"SELECT CONNECTION_ID()", "SELECT CAST(7 AS UNSIGNED) AS `CONNECTION_ID()`"},
        {"select connection_id( ) ;", "select CAST(7 AS UNSIGNED) AS `connection_id( )` ;"},
        {"SELECT CONNECTION_ID() AS c", "SELECT CAST(7 AS UNSIGNED) AS c"},
        {"SELECT CONNECTION_ID() c, 1", "SELECT CAST(7 AS UNSIGNED) c, 1"},
        {"SELECT CONNECTION_ID() 'c' FROM t", "SELECT CAST(7 AS UNSIGNED) 'c' FROM t"},
        {"SELECT DISTINCT CONNECTION_ID() + 1, a FROM t",
         "SELECT DISTINCT CAST(7 AS UNSIGNED) + 1 AS `CONNECTION_ID() + 1`, a FROM t"},
        {"SELECT CONNECTION_ID() IS NULL", "SELECT CAST(7 AS UNSIGNED) IS NULL AS "
                                           "`CONNECTION_ID() IS NULL`"},
        {"SELECT CONCAT(`a`, CONNECTION_ID()) FROM t",
         "SELECT CONCAT(`a`, CAST(7 AS UNSIGNED)) AS `CONCAT(``a``, CONNECTION_ID())` FROM t"},
        {"SELECT CONNECTION_ID() = @@pseudo_thread_id",
         "SELECT CAST(7 AS UNSIGNED) = CAST(7 AS UNSIGNED) AS "
         "`CONNECTION_ID() = @@pseudo_thread_id`"},
        {"SELECT @@session.pseudo_thread_id",
         "SELECT CAST(7 AS UNSIGNED) AS `@@session.pseudo_thread_id`"},
        {"SELECT a FROM t WHERE b = CONNECTION_ID()",
         "SELECT a FROM t WHERE b = CAST(7 AS UNSIGNED)"},
        {"SELECT (SELECT CONNECTION_ID())",
         "SELECT (SELECT CAST(7 AS UNSIGNED)) AS `(SELECT CONNECTION_ID())`"},
        {"INSERT INTO t VALUES (CONNECTION_ID(), 'CONNECTION_ID()')",
         "INSERT INTO t VALUES (CAST(7 AS UNSIGNED), 'CONNECTION_ID()')"},
        {"SET @a = CONNECTION_ID()", "SET @a = CAST(7 AS UNSIGNED)"},
        {"SET @@pseudo_thread_id = 5", "SET @@pseudo_thread_id = 5"},
        {"CREATE VIEW v AS SELECT CONNECTION_ID()", "CREATE VIEW v AS SELECT CONNECTION_ID()"},
        {"SELECT connection_id FROM t", "SELECT connection_id FROM t"},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts f = facts_of(cases[i].sql, "-");
        struct buf out;
        buf_init(&out);
        assert_int_equal(classify_rewrite_ids(span_of(cases[i].sql), &f, &seven, &out), 0);
        assert_string_equal(buf_text(&out), cases[i].want);
        buf_fini(&out);
    }
}

static void test_rewrite_counts(void **state)
{
    (void)state;
    const struct classify_ids counts = {
        .mask = 1U << FACTS_ID_ROW_COUNT | 1U << FACTS_ID_FOUND_ROWS, .value = {7, -1, 42}};
    const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"SELECT ROW_COUNT()", "SELECT IFNULL(-1,ROW_COUNT()) AS `ROW_COUNT()`"},
        {"SELECT found_rows ( ) AS n, row_count() + 1",
         "SELECT IFNULL(42,FOUND_ROWS()) AS n, IFNULL(-1,ROW_COUNT()) + 1 AS `row_count() + 1`"},
        {"INSERT INTO t VALUES (ROW_COUNT())", "INSERT INTO t VALUES (IFNULL(-1,ROW_COUNT()))"},
        {"SELECT CONNECTION_ID()", "SELECT CONNECTION_ID()"},
        {"SELECT row_count FROM t", "SELECT row_count FROM t"},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts f = facts_of(cases[i].sql, "-");
        struct buf out;
        buf_init(&out);
        assert_int_equal(classify_rewrite_ids(span_of(cases[i].sql), &f, &counts, &out), 0);
        assert_string_equal(buf_text(&out), cases[i].want);
        assert_true((f.bits & FACT(ASKS_LAST)) != 0 || i >= 3);
        buf_fini(&out);
    }
}

static void test_rewrite_overflow(void **state)
{
    (void)state;
    char sql[400] = "SELECT 1";
    for (int i = 0; i < FACTS_MAX_IDS; i++) {
        memcpy(sql + strlen(sql), ", CONNECTION_ID()", 18);
    }
    struct buf out;
    buf_init(&out);
    struct facts f = facts_of(sql, "-");
    assert_int_equal(f.id_count, FACTS_MAX_IDS);
    assert_int_equal(classify_rewrite_ids(span_of(sql), &f, &seven, &out), 0);
    buf_clear(&out);
    memcpy(sql + strlen(sql), ", CONNECTION_ID()", 18);
    f = facts_of(sql, "-");
    assert_int_equal(f.bits & FACT(READ), 0);
    assert_int_equal(classify_rewrite_ids(span_of(sql), &f, &seven, &out), -WR_E_UNSUPPORTED);
    assert_int_equal(buf_len(&out), 0);
    buf_fini(&out);
}

static void hint_is(const struct facts *f, enum classify_hint hint, const char *value)
{
    assert_true((f->hints & HINT_BIT(hint)) != 0);
    assert_true(span_eq_text(f->hint[hint], value));
}

static void test_hints(void **state)
{
    (void)state;
    struct facts f = facts_of("/* weir:primary */ SELECT 1", "-");
    hint_is(&f, HINT_PRIMARY, "");
    assert_int_equal(f.hints, HINT_BIT(HINT_PRIMARY));
    f = facts_of("SELECT 1 /*weir:server = r1 , max_lag=5s,weir:key='a,b'*/ + 1", "-");
    hint_is(&f, HINT_SERVER, "r1");
    hint_is(&f, HINT_MAX_LAG, "5s");
    hint_is(&f, HINT_KEY, "a,b");
    f = facts_of("SELECT /* WEIR:Replica, no-cache, foo=1, bar */ 1", "-");
    assert_int_equal(f.hints, HINT_BIT(HINT_REPLICA) | HINT_BIT(HINT_NO_CACHE));
    assert_int_equal(f.hint_unknown_count, 2);
    static const char *const none[] = {
        "SELECT '/* weir:primary */'",  "SELECT `/* weir:primary */` FROM t",
        "SELECT 1 -- weir:primary",     "SELECT 1 /* not weir:primary */",
        "SELECT 1 /* weir:primary",     "SELECT 1 /*!99999 weir:primary */",
        "SELECT 1 /* weirs:primary */", "SELECT \"/* weir:primary */\"",
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(none); i++) {
        f = facts_of(none[i], "-");
        assert_int_equal(f.hints, 0);
        assert_int_equal(f.hint_unknown_count, 0);
    }
}

static void test_kill(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum kill_form form;
        bool is_query;
        bool is_soft;
        uint64_t id;
    } cases[] = {
        {"KILL 5", KILL_ID, false, false, 5},
        {"kill query 4294967295", KILL_ID, true, false, 4294967295},
        {"KILL CONNECTION 12;", KILL_ID, false, false, 12},
        {"KILL SOFT QUERY 9", KILL_ID, true, true, 9},
        {"KILL HARD 9", KILL_ID, false, false, 9},
        {"KILL QUERY ID 8", KILL_QUERY_ID, true, false, 8},
        {"KILL USER 'a'@'b'", KILL_USER, false, false, 0},
        {"KILL CONNECTION_ID()", KILL_SELF, false, false, 0},
        {"KILL QUERY CONNECTION_ID()", KILL_SELF, true, false, 0},
        {"KILL CONNECTION_ID()+0", KILL_OTHER, false, false, 0},
        {"KILL 5+1", KILL_OTHER, false, false, 5},
        {"KILL 5.0", KILL_OTHER, false, false, 0},
        {"KILL 0x5", KILL_OTHER, false, false, 0},
        {"KILL 99999999999999999999", KILL_OTHER, false, false, 0},
        {"KILL @x", KILL_OTHER, false, false, 0},
        {"KILL '5'", KILL_OTHER, false, false, 0},
        {"KILL", KILL_OTHER, false, false, 0},
        {"KILL 5; SELECT 1", KILL_OTHER, false, false, 5},
        {"SELECT 1; KILL 5", KILL_OTHER, false, false, 5},
        {"PREPARE s FROM 'KILL 5'", KILL_OTHER, false, false, 0},
        {"PREPARE s FROM 'SELECT skill FROM t'", KILL_NONE, false, false, 0},
        {"/*! KILL 5 */", KILL_ID, false, false, 5},
        {"SELECT `kill` FROM t", KILL_NONE, false, false, 0},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts f = facts_of(cases[i].sql, "-");
        if (f.kill.form != cases[i].form || f.kill.is_query != cases[i].is_query ||
            f.kill.is_soft != cases[i].is_soft || f.kill.id != cases[i].id ||
            ((f.bits & FACT(KILL)) != 0) != (cases[i].form != KILL_NONE)) {
            fail_msg("%s: form %d id %llu", cases[i].sql, (int)f.kill.form,
                     (unsigned long long)f.kill.id);
        }
    }
}

/* What an explanation names is the function, not the parenthesis by which it was seen. */
static void test_culprits(void **state)
{
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"SELECT a, my_f(b) FROM t", "my_f"},
        {"SELECT a FROM t WHERE b = @v", "@v"},
        {"SELECT LAST_INSERT_ID()", "LAST_INSERT_ID"},
        {"SELECT 1, last_insert_id ( 4 )", "last_insert_id"},
        {"SELECT @@identity", "@@identity"},
        {"SELECT GET_LOCK('a', 1)", "GET_LOCK"},
        {"SELECT RELEASE_ALL_LOCKS()", "RELEASE_ALL_LOCKS"},
        {"SELECT IS_FREE_LOCK('a')", "IS_FREE_LOCK"},
        {"SELECT CONNECTION_ID()", "CONNECTION_ID"},
        {"SELECT LOAD_FILE('/x')", "LOAD_FILE"},
        {"SELECT a FROM t FOR UPDATE", "FOR"},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts f = facts_of(cases[i].sql, "-");

        if (!span_eq_text(f.culprit, cases[i].want)) {
            fail_msg("%s: %.*s", cases[i].sql, (int)f.culprit.len, (const char *)f.culprit.p);
        }
    }
}

static void test_spans(void **state)
{
    (void)state;
    struct facts f = facts_of("USE `my``db` ;", "-");
    char name[16];
    assert_int_equal(classify_name_decode(f.use_schema, name, sizeof(name)), 5);
    assert_string_equal(name, "my`db");
    assert_int_equal(classify_name_decode(f.use_schema, name, 3), 5);
    assert_string_equal(name, "my");
    f = facts_of("EXPLAIN ROUTE /* weir:replica */ SELECT 1; SELECT 2", "-");
    assert_int_equal(f.verb, VERB_EXPLAIN_ROUTE);
    assert_true(span_eq_text(f.inner, "/* weir:replica */ SELECT 1; SELECT 2"));
}

static void test_digest(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"select * from t where id=5", "SELECT * FROM t WHERE id = ?"},
        {" /* x */ SELECT  *\nFROM t -- y\n WHERE id = 'a' ;", "SELECT * FROM t WHERE id = ?"},
        {"SELECT a FROM t WHERE b IN (1, 2,3)", "SELECT a FROM t WHERE b IN (?)"},
        {"SELECT a FROM t WHERE b IN (?)", "SELECT a FROM t WHERE b IN (?)"},
        {"INSERT INTO t (a, b) VALUES (1, 2), (3, 4), (5, 6)", "INSERT INTO t(a, b) VALUES (?)"},
        {"INSERT INTO t VALUES (1, f(2)), (3, 4)", "INSERT INTO t VALUES (?, f(?)), (?)"},
        {"INSERT INTO t VALUES (1), (2, x)", "INSERT INTO t VALUES (?), (?, x)"},
        {"INSERT INTO t VALUES (1), (x)", "INSERT INTO t VALUES (?), (x)"},
        {"INSERT INTO t VALUES (1), x", "INSERT INTO t VALUES (?), x"},
        {"SELECT 1, a", "SELECT ?, a"},
        {"SELECT COUNT(*), `A b`.c FROM d.e", "SELECT COUNT(*), `A b`.c FROM d.e"},
        {"begin", "BEGIN"},
        {"SELECT 1; SELECT 2", "SELECT ? ; SELECT ?"},
        {"", ""},
    };
    struct classify_env env;
    assert_true(classify_text_env("-", &env));
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        char text[128];
        char cut[8];
        size_t len = 0;
        size_t cut_len = 0;
        uint64_t hash = classify_digest(span_of(cases[i].sql), &env, text, sizeof(text), &len);
        assert_string_equal(text, cases[i].want);
        assert_int_equal(len, strlen(cases[i].want));
        assert_true(hash ==
                    classify_digest(span_of(cases[i].sql), &env, cut, sizeof(cut), &cut_len));
        assert_int_equal(cut_len, len < sizeof(cut) ? len : sizeof(cut) - 1);
        assert_memory_equal(cut, text, cut_len);
        assert_true(hash == classify_digest_hash(span_of(cases[i].sql), &env));
        /* a digest is its own digest */
        char again[128];
        assert_true(hash == classify_digest(span_of(text), &env, again, sizeof(again), &len));
    }
}

/* Texts of every length around the chunks that are hashed at once: the hash is that of the text. */
static void test_digest_hash(void **state)
{
    static char sql[2048];
    static char text[4096];
    struct classify_env env;

    (void)state;
    assert_true(classify_text_env("-", &env));
    for (size_t names = 1; names < 400; names++) {
        size_t len = 0;
        size_t at = 0;

        at += (size_t)snprintf(sql + at, sizeof(sql) - at, "SELECT a");
        for (size_t i = 1; i < names; i++) {
            at += (size_t)snprintf(sql + at, sizeof(sql) - at, i % 7 == 0 ? ", 1" : ",a%zu", i % 9);
        }
        assert_true(classify_digest(span_of(sql), &env, text, sizeof(text), &len) ==
                    classify_digest_hash(span_of(sql), &env));
        assert_true(classify_digest_hash(span_of(text), &env) == XXH64(text, len, 0));
    }
    memset(sql, 'x', sizeof(sql) - 1); /* one word longer than a chunk */
    sql[sizeof(sql) - 1] = '\0';
    assert_true(classify_digest_hash(span_of(sql), &env) == XXH64(sql, sizeof(sql) - 1, 0));
    /* as written in operators' files: it must stay the same in every version */
    assert_true(classify_digest_hash(SPAN_LIT("SELECT 1"), &env) == XXH64("SELECT ?", 8, 0));
}

/* Tables by name, in any kind of statement; what is no table is listed where it cannot be told. */
static void test_mentions(void **state)
{
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"INSERT INTO t (a, b) VALUES (1, 2), (c, d)", "t"},
        {"insert low_priority ignore s.t values (1) ON DUPLICATE KEY UPDATE a = 1, b = 2", "s.t"},
        {"REPLACE t SET a = 1, b = 2", "t"},
        {"INSERT INTO t SELECT * FROM u, v w JOIN `x y` ON a = b, z WHERE c IN (1, 2)",
         "t u v `x y` z"},
        {"UPDATE a, s.b AS c, d SET a.x = 1, y = 2 WHERE z IN (SELECT q FROM e, f)", "a s.b d e f"},
        {"DELETE FROM t WHERE a = EXTRACT(YEAR FROM col), b", "t"},
        {"DELETE QUICK FROM t", "t"},
        {"DELETE a.*, b FROM a JOIN b USING (id)", "a b a b"},
        {"SELECT * FROM t FOR UPDATE", "t"},
        {"SELECT * FROM t AS u USE INDEX (i, j), v LOCK IN SHARE MODE", "t v"},
        {"SELECT a, b FROM (t, u), (SELECT 1 FROM w) AS x, y GROUP BY c, d", "t u w y"},
        {"SELECT my_f(x, y) FROM t", "t"},
        {"TRUNCATE t", "t"},
        {"TRUNCATE TABLE s.t", "s.t"},
        {"DROP TABLE IF EXISTS a, b.c", "a b.c"},
        {"DROP TEMPORARY TABLE a", "a"},
        {"DROP VIEW v", "v"},
        {"CREATE TABLE IF NOT EXISTS t (a INT, b INT, FOREIGN KEY (a) REFERENCES u (x))", "t u"},
        {"CREATE TABLE t LIKE s.u", "t s.u"},
        {"CREATE INDEX i ON t (a, b)", "t"},
        {"ALTER TABLE t RENAME TO u", "t u"},
        {"ALTER TABLE t RENAME s.u", "t s.u"},
        {"ALTER TABLE t RENAME AS u", "t u"},
        {"ALTER TABLE t RENAME INDEX i TO j", "t j"},
        {"RENAME TABLE a TO b, c TO d", "a b c d"},
        {"LOCK TABLES a READ, b AS c WRITE", "a b"},
        {"LOAD DATA INFILE 'x' INTO TABLE t FIELDS TERMINATED BY ','", "t"},
        {"SELECT 1; DROP TABLE t; SELECT 2", "t"},
        {"WITH c AS (SELECT * FROM t) UPDATE u, c SET u.a = 1", "t u c"},
        {"GRANT SELECT ON s.t TO u", "s.t"},
        {"EXPLAIN UPDATE t SET a = 1", "t"},
        {"COMMIT", ""},
        {"SET a = 1, b = 2", ""},
        {"INSERT INTO t VALUES ('FROM x'), (1) /* FROM y */", "t"},
        {"", ""},
        {"((((((((((", ""},
        {"))))FROM a)), b", "a b"},
    };
    struct classify_env env;

    (void)state;
    assert_true(classify_text_env("-", &env));
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts_table tables[FACTS_MAX_TABLES];
        size_t count = classify_mentions(span_of(cases[i].sql), &env, tables, FACTS_MAX_TABLES);
        char text[256] = "";
        size_t len = 0;

        for (size_t k = 0; k < count; k++) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s%s%.*s", k ? " " : "",
                                    (int)tables[k].schema.len, (const char *)tables[k].schema.p,
                                    tables[k].schema.len ? "." : "", (int)tables[k].name.len,
                                    (const char *)tables[k].name.p);
        }
        if (strcmp(text, cases[i].want) != 0) {
            print_error("%s\n", cases[i].sql);
        }
        assert_string_equal(text, cases[i].want);
        if (count > 0) {
            assert_int_equal(classify_mentions(span_of(cases[i].sql), &env, tables, 1), 1);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(classify_mode_parse(SPAN_LIT("STRICT_TRANS_TABLES,ANSI_QUOTES")),
                     CLASSIFY_MODE_ANSI_QUOTES);
    assert_int_equal(classify_mode_parse(SPAN_LIT("no_backslash_escapes,IGNORE_SPACE")),
                     CLASSIFY_MODE_NO_BACKSLASH_ESCAPES | CLASSIFY_MODE_IGNORE_SPACE);
    assert_int_equal(classify_mode_parse(SPAN_LIT("PIPES_AS_CONCAT,ANSI_QUOTES,ORACLE")) &
                         CLASSIFY_MODE_ORACLE,
                     CLASSIFY_MODE_ORACLE);
    assert_int_equal(classify_mode_parse(SPAN_LIT("")), 0);
    assert_int_equal(classify_charset_parse(SPAN_LIT("UTF8MB4")), CLASSIFY_CS_SAFE);
    assert_int_equal(classify_charset_parse(SPAN_LIT("cp932")), CLASSIFY_CS_SJIS);
    assert_int_equal(classify_charset_parse(SPAN_LIT("swe7")), CLASSIFY_CS_UNKNOWN);
    assert_int_equal(classify_charset_parse(SPAN_LIT("")), CLASSIFY_CS_UNKNOWN);
    assert_true(classify_is_system_schema(SPAN_LIT("MySQL")));
    assert_false(classify_is_system_schema(SPAN_LIT("mysql2")));
    for (unsigned i = 0; i < WHY_END_; i++) {
        assert_true(strlen(classify_why_name((enum classify_why)i)) > 1);
        assert_true(strlen(classify_why_text((enum classify_why)i)) > 1);
    }
    assert_null(classify_fact_name(FACT_BIT_END_));
    assert_non_null(classify_fact_name(FACT_BIT_END_ - 1));
}

/* Large texts: the verb is known, none is a read, and what may hide in the tail pins. */
static void test_large(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *tail;
        enum classify_verb verb;
        uint32_t pins;
    } cases[] = {
        {"SELECT '", "'", VERB_SELECT, 0},
        {"SELECT '", "' INTO @v", VERB_SELECT, PIN_BIT(PIN_UNKNOWN)},
        {"INSERT INTO t VALUES ('", "')", VERB_INSERT, 0},
        {"INSERT INTO t VALUES ('", "', get_lock('a', 1))", VERB_INSERT, PIN_BIT(PIN_UNKNOWN)},
        {"CALL p('", "')", VERB_CALL, PIN_BIT(PIN_UNKNOWN)},
    };
    size_t len = CLASSIFY_MAX_SQL + 1;
    char *sql = malloc(len);
    assert_non_null(sql);
    struct classify_env env;
    assert_true(classify_text_env("-", &env));
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct facts f;
        memset(sql, 'x', len);
        memcpy(sql, cases[i].head, strlen(cases[i].head));
        memcpy(sql + len - strlen(cases[i].tail), cases[i].tail, strlen(cases[i].tail));
        classify_sql((struct span){(uint8_t *)sql, len}, &env, &f);
        assert_int_equal(f.verb, cases[i].verb);
        assert_true((f.bits & FACT(LARGE)) != 0);
        assert_int_equal(f.bits & FACT(READ), 0);
        assert_int_equal(f.pins, cases[i].pins);
        /* one byte less is looked at whole */
        memmove(sql + 8, sql + 9, len - 9);
        if (i == 0) {
            classify_sql((struct span){(uint8_t *)sql, len - 1}, &env, &f);
            assert_true((f.bits & FACT(READ)) != 0);
        }
    }
    free(sql);
}

/* Nesting and repetition are bounded; nothing recurses. */
static void test_deep(void **state)
{
    (void)state;
    size_t len = 900000;
    char *sql = malloc(len);
    assert_non_null(sql);
    struct classify_env env;
    struct facts f;
    assert_true(classify_text_env("-", &env));
    static const char head[] = "SELECT 1 ";
    static const char fill[] = {'(', ',', ';', '{', '@', '/', '\'', '`', '.', '-', '*', '0'};
    for (size_t i = 0; i < sizeof(fill); i++) {
        memset(sql, fill[i], len);
        for (size_t j = 0; j < sizeof(head) - 1; j++) {
            sql[j] = head[j];
        }
        classify_sql((struct span){(uint8_t *)sql, len}, &env, &f);
        assert_true((f.bits & FACT(READ)) == 0 || fill[i] == ',' || fill[i] == '.' ||
                    fill[i] == ';' || fill[i] == '*' || fill[i] == '-' || fill[i] == '/' ||
                    fill[i] == '0' || fill[i] == '\'');
    }
    char nested[2 * CLASSIFY_MAX_DEPTH + 32];
    for (unsigned depth = 1; depth <= CLASSIFY_MAX_DEPTH; depth++) {
        (void)snprintf(nested, sizeof(nested), "SELECT ");
        memset(nested + 7, '(', depth);
        nested[7 + depth] = '1';
        memset(nested + 8 + depth, ')', depth);
        classify_sql((struct span){(uint8_t *)nested, 8 + 2 * depth}, &env, &f);
        assert_int_equal((f.bits & FACT(READ)) != 0, depth < CLASSIFY_MAX_DEPTH);
    }
    free(sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_rewrite_counts),
        cmocka_unit_test(test_rewrite_overflow),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_culprits),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_digest_hash),
        cmocka_unit_test(test_mentions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
