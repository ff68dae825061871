/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/writes.h"

static const char *const TABLES[] = {"t",   "u",       "parent", "child",
                                     "log", "audited", "merge",  "many"};

static void add(struct catalogue_builder *builder, enum catalogue_kind kind, const char *name)
{
    assert_int_equal(catalogue_builder_add(builder, kind, SPAN_LIT("d"), span_of(name)), 0);
}

static void link_up(struct catalogue_builder *builder, const char *from, const char *to)
{
    struct catalogue_name a = {SPAN_LIT("d"), span_of(from)};
    struct catalogue_name b = {SPAN_LIT("d"), span_of(to)};

    assert_int_equal(catalogue_builder_link(builder, &a, &b), 0);
}

static void mark(struct catalogue_builder *builder, int marks, const char *name)
{
    assert_int_equal(
        catalogue_builder_mark(builder, (enum catalogue_mark)marks, SPAN_LIT("d"), span_of(name)),
        0);
}

static struct catalogue *world(void)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);

    for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
        add(builder, CATALOGUE_BASE_TABLE, TABLES[i]);
    }
    add(builder, CATALOGUE_BASE_TABLE, "t\xc3\xa9");
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("e"), SPAN_LIT("far")), 0);
    link_up(builder, "parent", "child");
    link_up(builder, "audited", "log");
    mark(builder, CATALOGUE_MARK_UNASKED | CATALOGUE_MARK_ALL, "merge");
    mark(builder, CATALOGUE_MARK_ALL, "many");
    add(builder, CATALOGUE_VIEW_HARMLESS, "v");
    mark(builder, CATALOGUE_MARK_LINKED, "v");
    link_up(builder, "v", "parent");
    add(builder, CATALOGUE_VIEW_HARMLESS, "mine");
    add(builder, CATALOGUE_VIEW_OTHER, "other");
    add(builder, CATALOGUE_SEQUENCE, "s");
    assert_int_equal(catalogue_builder_function(builder, CATALOGUE_FUNCTION_HARMLESS, SPAN_LIT("d"),
                                                SPAN_LIT("calm"), span_of("")),
                     0);
    return catalogue_builder_finish(builder, 1, 0);
}

/* writes: "ALL", or names and schemas ("d/") with blanks between. */
struct row {
    const char *sql;
    const char *writes;
};

static const struct row ROWS[] = {
    {"INSERT INTO t VALUES (1)", "d.t"},
    {"INSERT INTO t (a, b) VALUES (1, 2) ON DUPLICATE KEY UPDATE a = 3", "d.t"},
    {"insert t values (1)", "d.t"},
    {"INSERT INTO `d`.`t` SELECT * FROM u", "d.t d.u"},
    {"INSERT INTO e.far VALUES (1)", "e.far"},
    {"REPLACE INTO t VALUES (1)", "d.t"},
    {"UPDATE t SET a = 1", "d.t"},
    {"UPDATE t, u SET t.a = u.a", "d.t d.u"},
    {"UPDATE t JOIN u ON t.a = u.a SET t.a = 1", "d.t d.u"},
    {"DELETE FROM t WHERE a IN (SELECT a FROM u)", "d.t d.u"},
    {"DELETE t FROM t JOIN u ON t.a = u.a", "d.t d.u"},
    {"DELETE x FROM t AS x JOIN u ON x.a = u.a", "ALL"},
    {"WITH c AS (SELECT 1 AS a) UPDATE t SET a = 1", "d.t"},
    {"DELETE FROM parent", "d.parent d.child"},
    {"INSERT INTO audited VALUES (1)", "d.audited d.log"},
    {"INSERT INTO many VALUES (1)", "ALL"},
    {"INSERT INTO merge VALUES (1)", "ALL"},
    {"INSERT INTO unheard VALUES (1)", "ALL"},
    {"INSERT INTO v VALUES (1)", "d.parent d.child"},
    {"INSERT INTO t SELECT * FROM other", "ALL"},
    {"INSERT INTO t SELECT calm(1)", "ALL"},
    {"INSERT INTO t VALUES (NOW())", "d.t"},
    {"LOAD DATA INFILE 'x' INTO TABLE t", "d.t"},
    {"LOAD DATA LOCAL INFILE 'x' INTO TABLE t (a, b)", "d.t"},
    {"CALL p()", "ALL"},
    {"CALL p", "ALL"},
    {"DO 1", ""},
    {"DO f()", "ALL"},
    {"EXECUTE p", "ALL"},
    {"EXECUTE IMMEDIATE 'x'", "ALL"},
    {"BEGIN NOT ATOMIC INSERT INTO t VALUES (1); END", "ALL"},
    {"INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)", "ALL"},
    {"nonsense t", "ALL"},
    {"XA COMMIT 'x'", "ALL"},
    {"GRANT SELECT ON t TO x", "ALL"},
    {"REVOKE SELECT ON t FROM x", "ALL"},
    {"CREATE USER x", "ALL"},
    {"SET PASSWORD = 'x'", "ALL"},
    {"SET GLOBAL max_connections = 5", "ALL"},
    {"FLUSH PRIVILEGES", "ALL"},
    {"CREATE TABLE n (a INT)", "d/ d.n"},
    {"/* x */ CREATE TABLE IF NOT EXISTS e.n (a INT)", "e/ e.n"},
    {"CREATE TABLE n AS SELECT * FROM t", "d/ d.n d.t"},
    {"CREATE TABLE n AS SELECT f(a) FROM t", "ALL"},
    {"CREATE TABLE n AS SELECT * FROM other", "ALL"},
    {"CREATE TABLE n AS SELECT * FROM v", "d/ d.n d.v"},
    {"CREATE TABLE IF NOT EXISTS e.n LIKE t", "e/ e.n d/ d.t"},
    {"CREATE TEMPORARY TABLE n (a INT)", ""},
    {"CREATE TEMPORARY TABLE n AS SELECT * FROM t", ""},
    {"CREATE TEMPORARY TABLE n AS SELECT * FROM other", "ALL"},
    {"CREATE TEMPORARY TABLE n TABLE other", "ALL"},
    {"DROP TABLE t, e.far", "d/ d.t e/ e.far"},
    {"ALTER TABLE t ADD COLUMN b INT", "d/ d.t"},
    {"ALTER TABLE t RENAME TO e.n", "d/ d.t e/ e.n"},
    {"ALTER TABLE t RENAME e.n", "d/ d.t e/ e.n"},
    {"ALTER TABLE t RENAME AS n", "d/ d.t d.n"},
    {"ALTER TABLE t EXCHANGE PARTITION p WITH TABLE e.far", "d/ d.t e/ e.far"},
    {"RENAME TABLE t TO e.n", "d/ d.t e/ e.n"},
    {"TRUNCATE TABLE t", "d/ d.t"},
    {"TRUNCATE t", "d/ d.t"},
    {"CREATE OR REPLACE VIEW e.w AS SELECT * FROM t", "d/ d.t e/ e.w"},
    {"CREATE DEFINER = x VIEW w AS SELECT 1", "ALL"},
    {"DROP VIEW v", "d/ d.v"},
    {"CREATE INDEX i ON t (a)", "d/ d.t"},
    {"DROP INDEX i ON t", "d/ d.t"},
    {"DROP DATABASE e", "e/"},
    {"DROP DATABASE IF EXISTS `e`", "e/"},
    {"CREATE SCHEMA e", "e/"},
    {"DROP DATABASE `e``x`", "ALL"},
    {"DROP DATABASE \xc3\xa9", "ALL"},
    {"CREATE FUNCTION f() RETURNS INT RETURN 1", "ALL"},
    {"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "ALL"},
    {"CREATE /*!50000 TABLE */ n (a INT)", "ALL"},
    {"OPTIMIZE TABLE t", "d/ d.t"},
    {"SELECT 1", ""},
    {"SELECT * FROM t", ""},
    {"SELECT * FROM t, e.far, v, mine, s", ""},
    {"SELECT * FROM other", "ALL"},
    {"SELECT a FROM t WHERE a IN (SELECT a FROM other)", "ALL"},
    {"SELECT * FROM unheard", "ALL"},
    {"SELECT * FROM information_schema.tables", ""},
    {"ANALYZE SELECT * FROM other", "ALL"},
    {"ANALYZE SELECT * FROM t", ""},
    {"SELECT * FROM t FOR UPDATE", ""},
    {"SELECT * FROM other FOR UPDATE", "ALL"},
    {"SELECT f(1)", "ALL"},
    {"SELECT calm(1)", ""},
    {"SELECT @a := a FROM t", ""},
    {"SELECT a FROM t INTO @a", ""},
    {"SET @a = 1", ""},
    {"SET NAMES utf8mb4", ""},
    {"SET @a = f(1)", "ALL"},
    {"SET @a = (SELECT MAX(a) FROM other)", "ALL"},
    {"USE d", ""},
    {"SHOW TABLES", ""},
    {"BEGIN", ""},
    {"START TRANSACTION", ""},
    {"COMMIT", ""},
    {"ROLLBACK", ""},
    {"SAVEPOINT a", ""},
    {"KILL 5", ""},
    {"LOCK TABLES t WRITE", ""},
    {"PREPARE p FROM 'DELETE FROM t'", ""},
    {"EXPLAIN SELECT * FROM t", ""},
    {"ANALYZE UPDATE t SET a = 1", "d.t"},
    {"", ""},
};

static void expected_set(const char *text, struct version_writes *ret_writes)
{
    char word[64];
    int used = 0;

    *ret_writes = (struct version_writes){.count = 0};
    for (; sscanf(text, "%63s%n", word, &used) == 1; text += used) {
        char *dot = strchr(word, '.');

        if (strcmp(word, "ALL") == 0) {
            version_writes_add_all(ret_writes);
        } else if (dot) {
            version_writes_add_table(
                ret_writes, (struct span){(uint8_t *)word, (size_t)(dot - word)}, span_of(dot + 1));
        } else {
            version_writes_add(
                ret_writes, version_slot_schema((struct span){(uint8_t *)word, strlen(word) - 1}));
        }
    }
}

static bool has(const struct version_writes *writes, uint32_t slot)
{
    for (uint32_t i = 0; i < writes->count; i++) {
        if (writes->slots[i] == slot) {
            return true;
        }
    }
    return false;
}

static void run(const struct catalogue *cat, const char *sql, enum classify_flavour flavour,
                struct version_writes *ret_writes)
{
    struct classify_env env = {
        .flavour = flavour,
        .version = flavour == CLASSIFY_MYSQL ? 90704 : 101119,
        .charset = CLASSIFY_CS_SAFE,
        .is_multi = true,
        .schema = SPAN_LIT("d"),
    };
    struct facts facts;
    struct cache_writes_in in = {.sql = span_of(sql),
                                 .env = &env,
                                 .facts = &facts,
                                 .catalogue = cat,
                                 .schema = SPAN_LIT("d")};

    classify_sql(in.sql, &env, &facts);
    *ret_writes = (struct version_writes){.count = 0};
    cache_writes_add(ret_writes, &in);
}

static void test_statements(void **state)
{
    struct catalogue *cat = world();
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct version_writes expected;
        struct version_writes writes;
        bool is_right = false;

        expected_set(ROWS[i].writes, &expected);
        run(cat, ROWS[i].sql, CLASSIFY_MARIADB, &writes);
        is_right = writes.is_all == expected.is_all;
        if (!expected.is_all) {
            is_right = is_right && writes.count == expected.count;
            for (uint32_t k = 0; is_right && k < expected.count; k++) {
                is_right = has(&writes, expected.slots[k]);
            }
        }
        if (!is_right) {
            print_error("%s: all=%d, %u places; expected %s\n", ROWS[i].sql, writes.is_all,
                        writes.count, ROWS[i].writes);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    catalogue_unref(cat);
}

/* Whoever has temporary tables reads names that nobody else knows. */
static void test_temporary(void **state)
{
    static const struct {
        const char *sql;
        bool is_only;
    } rows[] = {
        {"SELECT * FROM unheard", true},
        {"SELECT * FROM unheard JOIN t", true},
        {"SELECT * FROM unheard JOIN other", false},
    };
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    struct catalogue *cat = world();
    struct facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cache_writes_in in = {.sql = span_of(rows[i].sql),
                                     .env = &env,
                                     .facts = &facts,
                                     .catalogue = cat,
                                     .schema = SPAN_LIT("d"),
                                     .has_temporary = true};
        uint32_t unknown = 0;

        classify_sql(in.sql, &env, &facts);
        assert_int_equal(cache_read_is_only(&in, &unknown), rows[i].is_only);
        in.has_temporary = false;
        assert_false(cache_read_is_only(&in, &unknown));
    }
    catalogue_unref(cat);
}

/* The server says that the one name is not there: nothing has run. */
static void test_void(void **state)
{
    static const struct {
        const char *sql;
        const char *said;
        bool is_void;
    } rows[] = {
        {"SELECT * FROM unheard", "Table 'd.unheard' doesn't exist", true},
        {"SELECT * FROM unheard", "Table 'd.unheard' is not there", true},
        {"SELECT * FROM `e`.`unheard` JOIN t", "Table 'e.unheard' is not there", true},
        {"SELECT * FROM unheard", "Table 'e.unheard' is not there", false},
        {"SELECT * FROM unheard", "Table 'd.inner' is not there", false},
        {"SELECT * FROM unheard JOIN also", "Table 'd.also' is not there", false},
        {"SELECT * FROM unheard JOIN other", "Table 'd.unheard' is not there", false},
        {"SELECT * FROM other", "Table 'd.other' is not there", false},
        {"SELECT * FROM t", "Table 'd.t' is not there", false},
        {"SELECT * FROM unheard", "", false},
        {"SELECT * FROM unheard", "'", false},
        {"SELECT * FROM unheard", "''", false},
        {"SELECT * FROM unheard", "'d'", false},
    };
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    struct catalogue *cat = world();
    struct facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cache_writes_in in = {.sql = span_of(rows[i].sql),
                                     .env = &env,
                                     .facts = &facts,
                                     .catalogue = cat,
                                     .schema = SPAN_LIT("d")};
        uint32_t unknown = 7;

        classify_sql(in.sql, &env, &facts);
        (void)cache_read_is_only(&in, &unknown);
        assert_int_equal(cache_read_is_void(span_of(rows[i].said), unknown), rows[i].is_void);
    }
    catalogue_unref(cat);
}

/* --- reads --------------------------------------------------------------------------------------- */

struct read_row {
    const char *sql;
    enum cache_lease_why why;
    uint32_t slots; /* "all" among them */
};

static const struct read_row READS[] = {
    {"SELECT 1", CACHE_LEASE_OK, 1},
    {"SELECT * FROM t", CACHE_LEASE_OK, 4},
    {"SELECT * FROM t JOIN u", CACHE_LEASE_OK, 6},
    {"SELECT * FROM t JOIN e.far", CACHE_LEASE_OK, 7},
    {"SELECT * FROM v", CACHE_LEASE_OK, 6},
    {"SELECT * FROM mine", CACHE_LEASE_VIEW, 0},
    {"SELECT * FROM other", CACHE_LEASE_VIEW, 0},
    {"SELECT * FROM unheard", CACHE_LEASE_TABLE, 0},
    {"SELECT * FROM merge", CACHE_LEASE_ENGINE, 0},
    {"SELECT * FROM many", CACHE_LEASE_OK, 4},
    {"SELECT * FROM `t\xc3\xa9`", CACHE_LEASE_NAMES, 0},
    {"SELECT calm(1)", CACHE_LEASE_FUNCTION, 0},
};

static void test_reads(void **state)
{
    struct catalogue *cat = world();
    struct version_board *board = NULL;
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    struct version_lease lease;
    struct facts facts;

    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    for (size_t i = 0; i < sizeof(READS) / sizeof(READS[0]); i++) {
        enum cache_lease_why why = CACHE_LEASE_OK;

        classify_sql(span_of(READS[i].sql), &env, &facts);
        version_lease_begin(board, &lease);
        why = cache_lease_add_read(board, &lease, cat, 0, &facts, SPAN_LIT("d"));
        if (why != READS[i].why) {
            print_error("%s: %s\n", READS[i].sql, cache_lease_why_name(why));
        }
        assert_int_equal(why, READS[i].why);
        if (why == CACHE_LEASE_OK) {
            assert_int_equal(lease.count, READS[i].slots);
        }
    }
    classify_sql(span_of("SELECT * FROM t"), &env, &facts);
    version_lease_begin(board, &lease);
    assert_int_equal(cache_lease_add_read(board, &lease, cat, 0, &facts, span_of("")),
                     CACHE_LEASE_NAMES);
    assert_int_equal(cache_lease_add_read(board, &lease, cat, 1, &facts, SPAN_LIT("d")),
                     CACHE_LEASE_CATALOGUE);
    assert_int_equal(cache_lease_add_read(board, &lease, NULL, 0, &facts, SPAN_LIT("d")),
                     CACHE_LEASE_CATALOGUE);
    assert_string_equal(cache_lease_why_name(CACHE_LEASE_VIEW), "view");
    assert_non_null(cache_lease_why_text(CACHE_LEASE_VIEW));
    version_board_destroy(board);
    catalogue_unref(cat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_temporary),
        cmocka_unit_test(test_void),
        cmocka_unit_test(test_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
