/* SPDX-License-Identifier: Apache-2.0 */
/* test_body.c - bodies of stored functions: what is harmless, and for each rule one that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/classify/body.h"

#include "../../lib/classify_text.h"

#define B(text)   "BEGIN " text " RETURN 1; END"
#define BOTH      "-"
#define MAX_TEXT  8192
#define BAD_STMTS WR_ARRAY_LEN(bad_statements)

struct row {
    const char *body;
    const char *env;
    const char *verdict; /* "read", "calls", or the reason */
    const char *names;   /* as classify_text_tables() writes them */
};

static const struct row rows[] = {
    /* RETURN and expressions */
    {"RETURN 1", BOTH, "read", "-"},
    {"RETURN 1;", BOTH, "read", "-"},
    {"return concat(a, 'x;y', b)", BOTH, "read", "-"},
    {"RETURN a + b * 2 - ABS(c)", BOTH, "read", "-"},
    {"RETURN (SELECT MAX(v) FROM t WHERE id = p)", BOTH, "read", "t"},
    {"RETURN EXISTS (SELECT 1 FROM app.t JOIN u USING (id))", BOTH, "read", "app.t,u"},
    {"RETURN CASE a WHEN 1 THEN 'x' ELSE CASE WHEN b THEN 'y' END END", BOTH, "read", "-"},
    {"RETURN IF(a, b, IFNULL(c, 0))", BOTH, "read", "-"},
    {"RETURN REPLACE(INSERT(a, 1, 2, 'x'), 'y', REPEAT('z', 3))", BOTH, "read", "-"},
    {"RETURN CAST(a AS CHAR(10) CHARACTER SET utf8mb4)", BOTH, "read", "-"},
    {"RETURN SUBSTRING(a FROM 2 FOR 3)", BOTH, "read", "-"},
    {"RETURN a DIV 2 IN (1, 2) AND b IS NOT NULL OR c BETWEEN 1 AND 2", BOTH, "read", "-"},
    {"RETURN NOW() + INTERVAL 1 DAY", BOTH, "read", "-"},
    {"RETURN (SELECT a FROM t ORDER BY b DESC LIMIT 1)", BOTH, "read", "t"},
    {"RETURN f(1)", BOTH, "calls", "f()"},
    {"RETURN f(1) + app.g(2) + f(3)", BOTH, "calls", "f(),app.g()"},
    {"RETURN f((SELECT MAX(a) FROM t))", BOTH, "calls", "t,f()"},
    {"RETURN `a b`.`c``d`(1)", BOTH, "calls", "a b.c`d()"},
    {"RETURN f(1)+g(1)+h(1)+i(1)+j(1)+k(1)+l(1)+m(1)", BOTH, "calls",
     "f(),g(),h(),i(),j(),k(),l(),m()"},
    {"RETURN f(1)+g(1)+h(1)+i(1)+j(1)+k(1)+l(1)+m(1)+n(1)", BOTH, "function_unknown", "-"},
    {"RETURN a.b.c(1)", "mariadb", "function_qualified", "-"}, /* of a package */
    {"RETURN a . b . c(1)", "mariadb", "function_qualified", "-"},
    {"RETURN mariadb_schema.f(1)", "mariadb", "function_qualified", "-"},
    {"RETURN `get_lock`('a', 1)", BOTH, "function_unknown", "-"}, /* the built-in one */
    {"RETURN `SLEEP`(1)", BOTH, "function_unknown", "-"},
    {"RETURN 1 = end", BOTH, "shape", "-"},
    {"RETURN", BOTH, "shape", "-"},
    {"", BOTH, "shape", "-"},
    {"BEGIN", BOTH, "shape", "-"},
    {"RETURN 1; RETURN 2", BOTH, "shape", "-"},
    {"RETURN 1; DELETE FROM t", BOTH, "shape", "-"},
    {"RETURN CASE WHEN a THEN 1", BOTH, "shape", "-"},
    {"RETURN (SELECT 1", BOTH, "shape", "-"},
    {"RETURN (SELECT a FROM t FOR UPDATE)", BOTH, "locking", "-"},
    {"RETURN (SELECT a FROM mysql.user LIMIT 1)", BOTH, "system_schema", "-"},
    {"RETURN @v", BOTH, "user_variable", "-"},
    {"RETURN @v := 1", BOTH, "user_variable", "-"},
    {"RETURN @@autocommit", BOTH, "system_variable", "-"},
    {"RETURN GET_LOCK('a', 1)", BOTH, "named_lock", "-"},
    {"RETURN RELEASE_LOCK('a')", BOTH, "named_lock", "-"},
    {"RETURN LAST_INSERT_ID()", BOTH, "last_insert_id", "-"},
    {"RETURN LAST_INSERT_ID(5)", BOTH, "last_insert_id", "-"},
    {"RETURN CONNECTION_ID()", BOTH, "connection_id", "-"},
    {"RETURN ROW_COUNT()", BOTH, "last_statement", "-"},
    {"RETURN FOUND_ROWS()", BOTH, "last_statement", "-"},
    {"RETURN NEXTVAL(s)", "mariadb", "sequence", "-"},
    {"RETURN NEXT VALUE FOR s", "mariadb", "sequence", "-"},
    {"RETURN VERSION()", BOTH, "function_primary", "-"},
    {"RETURN (SELECT SQL_CALC_FOUND_ROWS a FROM t)", BOTH, "found_rows", "-"},
    {"RETURN MASTER_POS_WAIT('x', 4)", "mariadb", "function_primary", "-"},
    /* blocks, declarations, assignments */
    {"BEGIN RETURN 1; END", BOTH, "read", "-"},
    {"BEGIN RETURN 1; END;", BOTH, "read", "-"},
    {"top: BEGIN RETURN 1; END top", BOTH, "read", "-"},
    {"BEGIN NOT ATOMIC RETURN 1; END", "mariadb", "statement", "-"},
    {B("DECLARE a, b INT DEFAULT 0; SET a = 1, b := a + 1;"), BOTH, "read", "-"},
    {B("DECLARE a DECIMAL(10, 2) UNSIGNED; DECLARE b VARCHAR(9) CHARACTER SET utf8mb4;"), BOTH,
     "read", "-"},
    {B("DECLARE a ENUM('x', 'y') DEFAULT 'x';"), BOTH, "read", "-"},
    {B("DECLARE a INT DEFAULT (SELECT COUNT(*) FROM t);"), BOTH, "function_primary", "-"},
    {B("DECLARE a INT DEFAULT 1 + (SELECT COUNT(*) FROM t);"), BOTH, "read", "t"},
    {B("DECLARE a INT DEFAULT f(1);"), BOTH, "calls", "f()"},
    {B("DECLARE a INT DEFAULT @x;"), BOTH, "user_variable", "-"},
    {B("DECLARE a TYPE OF t.b;"), "mariadb", "shape", "-"},
    {B("DECLARE a INT; SET `A` = 2;"), BOTH, "read", "-"},
    {B("SET p = p + 1;"), BOTH, "read", "-"}, /* a parameter */
    {B("SET `P` := 1;"), BOTH, "read", "-"},
    {B("SET q = 1;"), BOTH, "set", "-"},
    {B("SET autocommit = 0;"), BOTH, "set", "-"},
    {B("BEGIN DECLARE autocommit INT; SET autocommit = 0; END;"), BOTH, "read", "-"},
    {B("BEGIN DECLARE autocommit INT; END; SET autocommit = 0;"), BOTH, "set", "-"},
    {B("DECLARE a INT; SET a = 1, autocommit = 0;"), BOTH, "set", "-"},
    {B("DECLARE a INT; SET a = 1, @b = 0;"), BOTH, "user_variable", "-"},
    {B("DECLARE a INT; SET a = (SELECT @b := 1);"), BOTH, "user_variable", "-"},
    {B("SET @a = 1;"), BOTH, "user_variable", "-"},
    {B("SET @@sql_mode = '';"), BOTH, "system_variable", "-"},
    {B("SET SESSION sql_mode = '';"), BOTH, "set", "-"},
    {B("DECLARE session INT; SET SESSION sql_mode = '';"), BOTH, "set", "-"},
    {B("SET NAMES latin1;"), BOTH, "set", "-"},
    {B("SET PASSWORD = 'x';"), BOTH, "set", "-"},
    {B("SET ROLE x;"), BOTH, "set", "-"},
    {B("SET TRANSACTION READ ONLY;"), BOTH, "set", "-"},
    {B("DECLARE a INT; SET a.b = 1;"), BOTH, "set", "-"},
    {B("DECLARE a INT; SET a = 1 DELETE FROM t;"), BOTH, "shape", "-"},
    {B("DECLARE a INT; SET a = ;"), BOTH, "shape", "-"},
    {"DECLARE a INT", BOTH, "shape", "-"},
    /* reading into variables */
    {B("DECLARE a, b INT; SELECT x, y INTO a, b FROM t WHERE z = p LIMIT 1;"), BOTH, "read", "t"},
    {B("DECLARE a INT; SELECT MAX(x) FROM t JOIN u ON t.i = u.i INTO a;"), BOTH, "read", "t,u"},
    {B("DECLARE a INT; WITH c AS (SELECT 1 AS x FROM t) SELECT x INTO a FROM c;"), BOTH, "read",
     "t"},
    {B("SELECT COUNT(*) INTO p FROM t;"), BOTH, "read", "t"},
    {B("SELECT f(x) INTO p FROM t;"), BOTH, "calls", "t,f()"},
    {B("SELECT COUNT(*) INTO q FROM t;"), BOTH, "into", "-"},
    {B("SELECT 1 INTO @v;"), BOTH, "user_variable", "-"},
    {B("SELECT 1 INTO p, @v;"), BOTH, "user_variable", "-"},
    {B("SELECT 1 INTO OUTFILE '/tmp/x';"), BOTH, "into", "-"},
    {B("SELECT 1 INTO DUMPFILE '/tmp/x';"), BOTH, "into", "-"},
    {B("SELECT 1 INTO p INTO p;"), BOTH, "into", "-"},
    {B("SELECT x INTO p FROM t INTO p;"), BOTH, "into", "-"},
    {B("SELECT 1;"), BOTH, "shape", "-"},
    {B("SELECT p := x INTO p FROM t;"), BOTH, "user_variable", "-"},
    {B("SELECT x INTO p FROM t FOR UPDATE;"), BOTH, "locking", "-"},
    {B("SELECT x INTO p FROM t LOCK IN SHARE MODE;"), BOTH, "locking", "-"},
    {B("SELECT (SELECT 1 INTO p) FROM t;"), BOTH, "into", "-"},
    {B("SELECT x INTO p FROM information_schema.tables;"), BOTH, "system_schema", "-"},
    {B("WITH c AS (SELECT 1) DELETE FROM t;"), BOTH, "shape", "-"},
    /* IF, CASE, loops */
    {B("IF p > 1 THEN SET p = 1; ELSEIF p = 0 THEN SET p = 2; ELSE SET p = 3; END IF;"), BOTH,
     "read", "-"},
    {B("IF CASE WHEN p THEN 1 ELSE 0 END THEN SET p = 1; END IF;"), BOTH, "read", "-"},
    {B("IF (SELECT COUNT(*) FROM t) > 0 THEN RETURN 2; END IF;"), BOTH, "read", "t"},
    {B("IF p THEN DELETE FROM t; END IF;"), BOTH, "write", "-"},
    {B("IF p THEN SET p = 1; ELSE INSERT INTO t VALUES (1); END IF;"), BOTH, "write", "-"},
    {B("IF p THEN SET p = 1; ELSEIF @v THEN SET p = 2; END IF;"), BOTH, "user_variable", "-"},
    {B("IF CASE WHEN end THEN 1 END THEN DELETE FROM t; END IF;"), BOTH, "shape", "-"},
    {B("IF p THEN SET p = 1; END CASE;"), BOTH, "shape", "-"},
    {B("IF p SET p = 1; END IF;"), BOTH, "shape", "-"},
    {B("CASE p WHEN 1 THEN SET p = 2; WHEN 2 THEN BEGIN END; ELSE SET p = 3; END CASE;"), BOTH,
     "read", "-"},
    {B("CASE WHEN p > 1 THEN SET p = 2; END CASE;"), BOTH, "read", "-"},
    {B("CASE p WHEN 1 THEN SET p = 2; ELSE UPDATE t SET a = 1; END CASE;"), BOTH, "write", "-"},
    {B("CASE p WHEN 1 THEN SET p = 2; WHEN GET_LOCK('a', 1) THEN SET p = 3; END CASE;"), BOTH,
     "named_lock", "-"},
    {B("l: LOOP SET p = p + 1; IF p > 9 THEN LEAVE l; END IF; ITERATE l; END LOOP l;"), BOTH,
     "read", "-"},
    {B("WHILE p < 9 DO SET p = p + 1; END WHILE;"), BOTH, "read", "-"},
    {B("WHILE p < 9 DO REPLACE INTO t VALUES (1); END WHILE;"), BOTH, "write", "-"},
    {B("REPEAT SET p = p + 1; UNTIL p > 9 END REPEAT;"), BOTH, "read", "-"},
    {B("REPEAT CALL proc(); UNTIL p > 9 END REPEAT;"), BOTH, "call", "-"},
    {B("REPEAT SET p = 1; UNTIL f(p) END REPEAT;"), BOTH, "calls", "f()"},
    {B("l: SET p = 1;"), BOTH, "shape", "-"},
    {B("END IF;"), BOTH, "shape", "-"},
    {B("ELSE SET p = 1;"), BOTH, "statement", "-"},
    {B("FOR i IN 1..9 DO SET p = i; END FOR;"), "mariadb", "compound", "-"},
    /* cursors and handlers */
    {B("DECLARE c CURSOR FOR SELECT x FROM t; DECLARE CONTINUE HANDLER FOR NOT FOUND SET p = 1; "
       "OPEN c; FETCH c INTO p; FETCH NEXT FROM c INTO p; CLOSE c;"),
     BOTH, "read", "t"},
    {B("DECLARE EXIT HANDLER FOR NOT FOUND BEGIN SET p = 1; RETURN p; END; SET p = 2;"), BOTH,
     "read", "-"},
    {B("DECLARE c CURSOR FOR SELECT x FROM t FOR UPDATE;"), BOTH, "locking", "-"},
    {B("DECLARE c CURSOR FOR SELECT f(x) FROM t;"), BOTH, "calls", "t,f()"},
    {B("DECLARE c CURSOR FOR SELECT x INTO p FROM t;"), BOTH, "into", "-"},
    {B("DECLARE c CURSOR (a INT) FOR SELECT x FROM t;"), "mariadb", "shape", "-"},
    {B("DECLARE c CURSOR FOR SELECT x FROM t; OPEN c; FETCH c INTO q;"), BOTH, "into", "-"},
    {B("DECLARE c CURSOR FOR SELECT x FROM t; OPEN c; FETCH c INTO @q;"), BOTH, "user_variable",
     "-"},
    {B("FETCH GROUP NEXT ROW;"), "mariadb", "shape", "-"}, /* an aggregate function */
    {B("DECLARE gone CONDITION FOR SQLSTATE '02000';"), BOTH, "read", "-"},
    {B("DECLARE gone CONDITION FOR SQLSTATE VALUE '02000';"), BOTH, "read", "-"},
    {B("DECLARE gone CONDITION FOR 1329;"), BOTH, "read", "-"},
    {B("DECLARE gone CONDITION FOR f(1);"), BOTH, "shape", "-"},
    {B("DECLARE gone CONDITION DELETE FROM t;"), BOTH, "shape", "-"},
    {B("DECLARE CONTINUE HANDLER FOR NOT FOUND DELETE FROM t;"), BOTH, "write", "-"},
    {B("DECLARE CONTINUE HANDLER FOR NOT FOUND, SQLEXCEPTION SET p = 1;"), BOTH, "condition", "-"},
    {B("DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SET p = 1;"), BOTH, "condition", "-"},
    {B("DECLARE CONTINUE HANDLER FOR SQLWARNING SET p = 1;"), BOTH, "condition", "-"},
    {B("DECLARE CONTINUE HANDLER FOR SQLSTATE '42S02' SET p = 1;"), BOTH, "condition", "-"},
    {B("DECLARE CONTINUE HANDLER FOR 1146 SET p = 1;"), BOTH, "condition", "-"},
    /* statements that are not on the list */
    {B("INSERT INTO t VALUES (1);"), BOTH, "write", "-"},
    {B("UPDATE t SET a = 1;"), BOTH, "write", "-"},
    {B("DELETE FROM t;"), BOTH, "write", "-"},
    {B("REPLACE INTO t VALUES (1);"), BOTH, "write", "-"},
    {B("CALL proc();"), BOTH, "call", "-"},
    {B("DO SLEEP(1);"), BOTH, "do", "-"},
    {B("CREATE TEMPORARY TABLE x (a INT);"), BOTH, "ddl", "-"},
    {B("DROP TEMPORARY TABLE x;"), BOTH, "ddl", "-"},
    {B("TRUNCATE t;"), BOTH, "ddl", "-"},
    {B("PREPARE s FROM 'DELETE FROM t';"), BOTH, "text_prepare", "-"},
    {B("EXECUTE IMMEDIATE 'DELETE FROM t';"), "mariadb", "text_prepare", "-"},
    {B("SIGNAL SQLSTATE '45000';"), BOTH, "statement", "-"},
    {B("GET DIAGNOSTICS p = ROW_COUNT;"), BOTH, "statement", "-"},
    {B("LOCK TABLES t WRITE;"), BOTH, "lock_tables", "-"},
    {B("HANDLER t OPEN;"), BOTH, "handler", "-"},
    {B("KILL 1;"), BOTH, "kill", "-"},
    {B("START TRANSACTION;"), BOTH, "transaction", "-"},
    {B("LOAD DATA INFILE 'x' INTO TABLE t;"), BOTH, "load", "-"},
    {B("TABLE t INTO OUTFILE 'x';"), BOTH, "statement", "-"},
    {B("(SELECT 1 INTO p);"), BOTH, "shape", "-"},
    {B("what ever;"), BOTH, "statement", "-"},
    {B("`DELETE` FROM t;"), BOTH, "shape", "-"},
    /* how the text is read */
    {"RETURN \"a\"", BOTH, "read", "-"},
    {"RETURN \"end\" + \"p\"", "ansi", "read", "-"},
    {B("DECLARE a INT; SET \"a\" = 1;"), "ansi", "read", "-"},
    {"RETURN 'a\\'; END; DELETE FROM t; -- '", BOTH, "read", "-"},
    {"BEGIN RETURN 'a\\'; DELETE FROM t; END -- '", "nobs", "write", "-"},
    {"RETURN 1 -- DELETE FROM t;\n + /* DELETE */ 2 # x", BOTH, "read", "-"},
    {"RETURN 1 /*!40000 + f_writes() */", BOTH, "comment", "-"},
    {"RETURN 1 /*M!40000 + f_writes() */", "mariadb", "comment", "-"},
    {"RETURN 1 /* weir:primary */", BOTH, "read", "-"}, /* no hint for its caller */
    {"RETURN '\xc3\xa4'", BOTH, "read", "-"},
    {"RETURN '\xc3\xa4'", "cs=latin1", "charset", "-"},
    {"RETURN 'a'", "cs=latin1", "read", "-"},
    {"RETURN 'a'", "cs=sjis", "charset", "-"},
    {"RETURN 'a'", "cs=swe7", "charset", "-"},
    {"BEGIN RETURN 1; END", "mariadb,oracle", "mode", "-"},
    {"RETURN 'a", BOTH, "syntax", "-"},
    {"RETURN 1 /* a", BOTH, "syntax", "-"},
    {"function(a) { return a }", BOTH, "statement", "-"},
};

static void judge(const char *body, size_t len, const struct classify_env *env, struct facts *f)
{
    const struct span params[] = {SPAN_LIT("x1"), SPAN_LIT("p")};
    /* exactly as long as the text: a read past its end is seen */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, body, len);
    classify_function_body((struct span){copy, len}, env, params, WR_ARRAY_LEN(params), f);
    for (unsigned i = 0; i < f->table_count; i++) {
        assert_true(f->tables[i].name.p >= copy && f->tables[i].name.p < copy + len);
    }
    free(copy);
}

static bool is_harmless(const char *body, size_t len, const struct classify_env *env)
{
    struct facts f;
    judge(body, len, env, &f);
    return (f.bits & (FACT(READ) | FACT(CALLS))) != 0;
}

static bool is_good(const struct row *row)
{
    return strcmp(row->verdict, "read") == 0 || strcmp(row->verdict, "calls") == 0;
}

static unsigned check_row(const struct row *row)
{
    struct classify_env env;
    struct facts f;
    char names[1024];
    const struct span params[] = {SPAN_LIT("x1"), SPAN_LIT("p")};
    assert_true(classify_text_env(row->env, &env));
    judge(row->body, strlen(row->body), &env, &f);
    classify_function_body(span_of(row->body), &env, params, WR_ARRAY_LEN(params), &f);
    const char *verdict = (f.bits & FACT(READ)) != 0    ? "read"
                          : (f.bits & FACT(CALLS)) != 0 ? "calls"
                                                        : classify_why_name(f.why);
    classify_text_tables(&f, names, sizeof(names));
    if (strcmp(verdict, row->verdict) != 0 || strcmp(names, row->names) != 0) {
        print_error("%s [%s]: want %s %s, got %s %s\n", row->body, row->env, row->verdict,
                    row->names, verdict, names);
        return 1;
    }
    int routes = ((f.bits & FACT(READ)) != 0) + ((f.bits & FACT(PRIMARY)) != 0) +
                 ((f.bits & FACT(LAST)) != 0);
    assert_int_equal(routes, 1);
    if (is_good(row)) {
        assert_int_equal(f.pins, 0);
        assert_int_equal(f.hints, 0);
        assert_true((f.call_count > 0) == ((f.bits & FACT(CALLS)) != 0));
    }
    return 0;
}

static void test_rows(void **state)
{
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        wrong += check_row(&rows[i]);
    }
    assert_int_equal(wrong, 0);
}

static const char *const bad_statements[] = {
    " INSERT INTO w VALUES (1); ",
    " SET @v = 1; ",
    " CALL w(); ",
    " SET sql_mode = ''; ",
    " DELETE FROM w; ",
    " SELECT 1 INTO @w; ",
    " UPDATE w SET a = 1; ",
    " SELECT GET_LOCK('a', 1) INTO p; ",
};

/* Behind every semicolon, THEN, ELSE, DO and LOOP of a harmless body a statement that is not: none
 * may be taken for a part of what stands around it. */
static void check_poisoned(const struct row *row)
{
    static const char *const places[] = {";", "THEN", "ELSE", "DO", "LOOP", "BEGIN", "REPEAT"};
    struct classify_env env;
    char text[MAX_TEXT];
    size_t len = strlen(row->body);
    assert_true(classify_text_env(row->env, &env));
    for (size_t at = 0; at < len; at++) {
        for (size_t p = 0; p < WR_ARRAY_LEN(places); p++) {
            size_t n = strlen(places[p]);
            if (strncmp(row->body + at, places[p], n) != 0) {
                continue;
            }
            for (size_t b = 0; b < BAD_STMTS; b++) {
                (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at + n), row->body,
                               bad_statements[b], row->body + at + n);
                bool is_text = strchr(row->body, '\'') != NULL || strchr(row->body, '#') != NULL;
                if (!is_text && is_harmless(text, strlen(text), &env)) {
                    fail_msg("harmless with poison: %s", text);
                }
            }
        }
    }
}

/* Whether the bad statement was taken for names, which no catalogue knows. */
static bool is_taken_for_names(const char *text, const struct classify_env *env)
{
    struct facts f;
    char names[1024];
    classify_function_body(span_of(text), env, NULL, 0, &f);
    classify_text_tables(&f, names, sizeof(names));
    return strstr(names, "w") != NULL || strstr(names, "CALL") != NULL ||
           strstr(names, "INSERT") != NULL || strstr(names, "DELETE") != NULL ||
           strstr(names, "UPDATE") != NULL || strstr(names, "SELECT") != NULL;
}

/* Cut anywhere, with a bad statement behind the cut. */
static void check_cut(const struct row *row)
{
    struct classify_env env;
    char text[MAX_TEXT];
    size_t len = strlen(row->body);
    assert_true(classify_text_env(row->env, &env));
    for (size_t at = 0; at <= len; at++) {
        for (size_t b = 0; b < BAD_STMTS; b++) {
            int n = snprintf(text, sizeof(text), "%.*s\n%s RETURN 1; END", (int)at, row->body,
                             bad_statements[b]);
            if (is_harmless(text, (size_t)n, &env) && !is_taken_for_names(text, &env) &&
                memchr(row->body, '\'', at) == NULL && memchr(row->body, '"', at) == NULL) {
                fail_msg("harmless, cut at %zu: %s", at, text);
            }
        }
    }
}

static void test_poison(void **state)
{
    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        if (is_good(&rows[i])) {
            check_poisoned(&rows[i]);
            check_cut(&rows[i]);
        }
    }
}

/* Without the names of the parameters they are not known to be none of the session's variables. */
static void test_parameters(void **state)
{
    struct classify_env env;
    struct facts f;
    (void)state;
    assert_true(classify_text_env("-", &env));
    classify_function_body(SPAN_LIT(B("SET p = 1;")), &env, NULL, 0, &f);
    assert_int_equal(f.why, WHY_SET);
    assert_true(f.culprit.len > 0);
    classify_function_body(SPAN_LIT(B("SELECT 1 INTO p;")), &env, NULL, 0, &f);
    assert_int_equal(f.why, WHY_INTO);
}

static size_t repeat(char *dst, const char *part, unsigned times)
{
    size_t len = 0;
    for (unsigned i = 0; i < times; i++) {
        for (const char *p = part; *p != '\0'; p++) {
            dst[len++] = *p;
        }
    }
    return len;
}

static void test_bounds(void **state)
{
    struct classify_env env;
    struct facts f;
    char *text = malloc(2 * CLASSIFY_MAX_BODY);
    (void)state;
    assert_non_null(text);
    assert_true(classify_text_env("-", &env));
    /* blocks */
    size_t len = repeat(text, "BEGIN ", CLASSIFY_MAX_DEPTH);
    len += repeat(text + len, "END; ", CLASSIFY_MAX_DEPTH);
    assert_true(is_harmless(text, len, &env));
    len = repeat(text, "BEGIN ", CLASSIFY_MAX_DEPTH + 1);
    len += repeat(text + len, "END; ", CLASSIFY_MAX_DEPTH + 1);
    assert_false(is_harmless(text, len, &env));
    /* variables */
    len = repeat(text, "BEGIN ", 1);
    len += repeat(text + len, "DECLARE a INT; ", CLASSIFY_MAX_LOCALS);
    size_t more = len + repeat(text + len, "END", 1);
    assert_true(is_harmless(text, more, &env));
    len += repeat(text + len, "DECLARE a INT; END", 1);
    assert_false(is_harmless(text, len, &env));
    /* bytes */
    len = repeat(text, "RETURN 1", 1);
    memset(text + len, ' ', CLASSIFY_MAX_BODY);
    assert_true(is_harmless(text, CLASSIFY_MAX_BODY, &env));
    judge(text, CLASSIFY_MAX_BODY + 1, &env, &f);
    assert_int_equal(f.why, WHY_TOO_LARGE);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
