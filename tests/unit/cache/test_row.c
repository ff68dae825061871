/* SPDX-License-Identifier: Apache-2.0 */
/* test_row.c - which writes end an answer that is about rows with one value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/row.h"
#include "weir/cache/writes.h"
#include "weir/util/rand.h"

static void key_add(struct catalogue_builder *builder, const char *table, const char *column,
                    uint8_t bytes, bool is_unsigned)
{
    const struct catalogue_key key = {.column = span_of(column),
                                      .position = (uint16_t)(column[0] - 'a'),
                                      .bytes = bytes,
                                      .is_unsigned = is_unsigned};

    assert_int_equal(catalogue_builder_key(builder, SPAN_LIT("d"), span_of(table), &key), 0);
}

/* t (a int, b bigint unsigned, c tinyint; d without an index); others where rows cannot be told apart. */
static struct catalogue *world(void)
{
    static const char *const tables[] = {"t", "u", "parent", "child", "self", "all", "x"};
    struct catalogue_builder *builder = catalogue_builder_create(false);
    const struct catalogue_name parent = {SPAN_LIT("d"), SPAN_LIT("parent")};
    const struct catalogue_name child = {SPAN_LIT("d"), SPAN_LIT("child")};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        assert_int_equal(
            catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("d"), span_of(tables[i])),
            0);
        key_add(builder, tables[i], "a", 4, false);
    }
    key_add(builder, "t", "c", 1, false);
    key_add(builder, "t", "b", 8, true);
    assert_int_equal(catalogue_builder_link(builder, &parent, &child), 0);
    assert_int_equal(
        catalogue_builder_mark(builder, CATALOGUE_MARK_ROWLESS, SPAN_LIT("d"), SPAN_LIT("self")),
        0);
    assert_int_equal(
        catalogue_builder_mark(builder, CATALOGUE_MARK_ALL, SPAN_LIT("d"), SPAN_LIT("all")), 0);
    assert_int_equal(
        catalogue_builder_mark(builder, CATALOGUE_MARK_UNASKED, SPAN_LIT("d"), SPAN_LIT("x")), 0);
    return catalogue_builder_finish(builder, 1, 0);
}

static struct classify_env env_of(void)
{
    return (struct classify_env){.flavour = CLASSIFY_MYSQL,
                                 .version = 90700,
                                 .charset = CLASSIFY_CS_SAFE,
                                 .schema = SPAN_LIT("d")};
}

static bool lease(const struct version_board *board, const struct catalogue *cat, const char *sql,
                  struct version_lease *ret_lease)
{
    struct classify_env env = env_of();
    struct facts facts;
    struct cache_row row;
    struct cache_lease_in in = {.catalogue = cat,
                                .schema = SPAN_LIT("d"),
                                .statement = {.sql = span_of(sql), .env = &env, .facts = &facts}};

    classify_sql(span_of(sql), &env, &facts);
    version_lease_begin(board, ret_lease);
    return cache_row_lease(board, &in, ret_lease, &row);
}

static void write(struct version_board *board, const struct catalogue *cat, const char *sql,
                  bool by_row)
{
    struct classify_env env = env_of();
    struct facts facts;
    struct version_writes writes = {0};
    struct cache_tag_in values = {.sql = span_of(sql), .env = &env, .facts = &facts};
    struct cache_writes_in in = {.sql = span_of(sql),
                                 .env = &env,
                                 .facts = &facts,
                                 .catalogue = cat,
                                 .schema = SPAN_LIT("d"),
                                 .values = by_row ? &values : NULL};

    classify_sql(span_of(sql), &env, &facts);
    cache_writes_add(&writes, &in);
    version_write_begin(board, &writes);
    version_write_end(board, &writes, 1);
}

static bool holds(const struct version_board *board, const struct version_lease *lease)
{
    return version_lease_holds(board, lease->held, lease->count);
}

/* "5": of a = 5; "b": of b = 7; "*": of all of t. What a write leaves. */
static const struct {
    const char *sql;
    const char *leaves;
} WRITES[] = {
    {"UPDATE t SET d = 1 WHERE a = 5", "6"},
    {"UPDATE t SET d = 1 WHERE a = 6", "5"},
    {"UPDATE t SET d = 1 WHERE a = 7 AND b = 8", "56b"},
    {"UPDATE t SET d = 1 WHERE a = 7 AND b = 7", "56"},
    {"UPDATE d.t AS x SET d = 1 WHERE x.a = 5 AND d > 3 ORDER BY d LIMIT 1", "6"},
    {"UPDATE t SET d = 1 WHERE a = '5'", "6"},
    {"UPDATE t SET d = 1 WHERE b = 7", ""},
    {"UPDATE t SET d = 1 WHERE c = 300", ""},
    {"UPDATE t SET a = 8 WHERE a = 5", ""},
    {"UPDATE t SET b = 8 WHERE a = 5", "6"},
    {"UPDATE t SET d = 1 WHERE a = 5 OR a = 6", ""},
    {"UPDATE t SET d = 1 WHERE a IN (5)", ""},
    {"UPDATE t SET d = 1 WHERE a = 'x'", ""},
    {"UPDATE t SET d = 1 WHERE a = 0", ""},
    {"UPDATE t SET d = 1 WHERE a = 3000000000", ""},
    {"UPDATE t SET d = 1", ""},
    {"UPDATE t SET d = 1 WHERE d = 5", ""},
    {"UPDATE t PARTITION (p) SET d = 1 WHERE a = 5", ""},
    {"UPDATE t, u SET t.d = 1 WHERE t.a = 7", ""},
    {"DELETE FROM t WHERE a = 5", "6"},
    {"DELETE FROM t WHERE a = 5 AND d IN (SELECT d FROM u)", ""},
    {"INSERT INTO t (a, b, c, d) VALUES (5, 8, 1, 2)", "6b"},
    {"INSERT INTO t (a, b, c, d) VALUES (9, 7, 1, 2)", "56"},
    {"INSERT INTO t (a, d) VALUES (5, 2)", "6"},
    {"INSERT INTO t (b, d) VALUES (8, 2)", "b"},
    {"INSERT INTO t VALUES (5, 2)", ""},
    {"INSERT INTO t (a, d) VALUES (9, 2), (10, 3)", ""},
    {"INSERT INTO t (a, d) VALUES (9, 2) ON DUPLICATE KEY UPDATE d = 1", ""},
    {"INSERT IGNORE INTO t (a, d) VALUES (9, 2)", ""},
    {"REPLACE INTO t (a, d) VALUES (9, 2)", ""},
    {"TRUNCATE t", ""},
    {"UPDATE u SET d = 1 WHERE a = 5", "56b*"},
};

static void test_writes(void **state)
{
    static const struct {
        char name;
        const char *sql;
    } reads[] = {{'5', "SELECT d FROM t WHERE a = 5"},
                 {'6', "SELECT MAX(d) FROM d.t AS x WHERE x.a = 6 AND d > 1 ORDER BY d LIMIT 3"},
                 {'b', "SELECT d FROM t WHERE b = 7"}};
    struct catalogue *cat = world();
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(WRITES) / sizeof(WRITES[0]); i++) {
        for (size_t k = 0; k < 4; k++) {
            struct version_board *board = NULL;
            struct version_lease held;
            char name = k < 3 ? reads[k].name : '*';
            bool is_left = strchr(WRITES[i].leaves, name) != NULL;

            assert_int_equal(version_board_create(&board), 0);
            if (k < 3) {
                assert_true(lease(board, cat, reads[k].sql, &held));
            } else {
                version_lease_begin(board, &held);
                assert_int_equal(
                    version_lease_add_table(board, &held, SPAN_LIT("d"), SPAN_LIT("t")), 0);
            }
            write(board, cat, WRITES[i].sql, true);
            if (holds(board, &held) != is_left) {
                print_error("%s: %c %s\n", WRITES[i].sql, name, is_left ? "ended" : "was left");
                wrong++;
            }
            version_board_destroy(board);
            /* whoever does not tell rows apart ends all */
            assert_int_equal(version_board_create(&board), 0);
            if (k < 3 && name != 'u' && strstr(WRITES[i].sql, "UPDATE u") == NULL) {
                assert_true(lease(board, cat, reads[k].sql, &held));
                write(board, cat, WRITES[i].sql, false);
                assert_false(holds(board, &held));
            }
            version_board_destroy(board);
        }
    }
    assert_int_equal(wrong, 0);
    catalogue_unref(cat);
}

static void test_reads(void **state)
{
    static const char *const wide[] = {
        "SELECT * FROM t",
        "SELECT * FROM t WHERE d = 5",
        "SELECT * FROM t WHERE a = 5 OR d = 1",
        "SELECT * FROM t WHERE a = 'x'",
        "SELECT * FROM t WHERE a = -5",
        "SELECT * FROM t WHERE a = 5.0",
        "SELECT * FROM t WHERE b = 1234567890123456",
        "SELECT * FROM t WHERE NOT a = 5",
        "SELECT * FROM t x JOIN t y ON x.d = y.d WHERE x.a = 5",
        "SELECT * FROM t x, t y WHERE x.a = 5",
        "SELECT * FROM t, u WHERE t.a = 5",
        "SELECT * FROM (SELECT * FROM t) t WHERE a = 5",
        "SELECT * FROM t WHERE a = 5 AND d IN (SELECT d FROM t)",
        "SELECT * FROM t WHERE a = 5 AND d IN (TABLE u)",
        "SELECT * FROM t WHERE a = 5 UNION SELECT * FROM t",
        "SELECT * FROM t PARTITION (p) WHERE a = 5",
        "SELECT * FROM t FORCE INDEX (i) WHERE a = 5",
        "WITH c AS (SELECT 1) SELECT * FROM t WHERE a = 5",
        "SELECT * FROM parent WHERE a = 5",
        "SELECT * FROM self WHERE a = 5",
        "SELECT * FROM `all` WHERE a = 5",
        "SELECT * FROM x WHERE a = 5",
        "SELECT * FROM nowhere WHERE a = 5",
        "SELECT * FROM t WHERE a = 5 FOR UPDATE",
    };
    struct catalogue *cat = world();
    struct version_board *board = NULL;
    struct version_lease held;

    (void)state;
    assert_int_equal(version_board_create(&board), 0);
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        if (lease(board, cat, wide[i], &held)) {
            print_error("taken for one about rows: %s\n", wide[i]);
            fail();
        }
        assert_int_equal(held.count, 1);
    }
    assert_true(lease(board, cat, "SELECT * FROM child WHERE a = 5", &held));
    write(board, cat, "DELETE FROM parent WHERE a = 1", true);
    assert_false(holds(board, &held)); /* a cascade has no value */
    assert_true(lease(board, cat, "SELECT * FROM t WHERE A = '5'", &held));
    write(board, cat, "CREATE TABLE t2 (a INT)", true);
    assert_false(holds(board, &held)); /* its schema */
    assert_true(lease(board, cat, "SELECT * FROM t WHERE a = 5", &held));
    version_bump(board, VERSION_SLOT_ALL, 1);
    assert_false(holds(board, &held));
    version_board_destroy(board);
    catalogue_unref(cat);
}

/* More rows than there are places: the table, not everything. */
static void test_many(void **state)
{
    const struct catalogue_key keys[1] = {{.column = SPAN_LIT("a"), .bytes = 4}};
    struct version_writes writes = {0};
    bool is_by_row = true;

    (void)state;
    for (uint64_t value = 1; value <= 1000; value++) {
        const struct cache_row_image image = {SPAN_LIT("d"), SPAN_LIT("t"), keys, 1, &value};

        is_by_row = cache_row_add(&writes, &image);
    }
    assert_false(is_by_row);
    assert_false(writes.is_all);
    assert_true(writes.count < VERSION_WRITES_MAX);
}

/* --- a table of few rows, and what happens to it --- */

enum {
    IDS = 7,
    STEPS = 20000
};

struct model_row {
    bool is_there;
    unsigned b; /* 1 to 3 */
    unsigned v;
};

struct model {
    struct model_row rows[IDS]; /* by a */
};

enum act {
    ACT_SET_BY_A,
    ACT_SET_BY_B,
    ACT_MOVE,
    ACT_INSERT,
    ACT_DELETE,
    ACT_DELETE_BY_BOTH,
    ACT_SET_BY_EITHER,
    ACT_REPLACE,
    ACT_END_
};

static void act_put(enum act kind, unsigned a, unsigned b, unsigned v, char sql[160])
{
    switch (kind) {
    case ACT_SET_BY_A:
        (void)snprintf(sql, 160, "UPDATE t SET d = %u WHERE a = %u", v, a);
        break;
    case ACT_SET_BY_B:
        (void)snprintf(sql, 160, "UPDATE t SET d = %u WHERE b = %u", v, b);
        break;
    case ACT_MOVE:
        (void)snprintf(sql, 160, "UPDATE t SET b = %u WHERE a = %u", b, a);
        break;
    case ACT_INSERT:
        (void)snprintf(sql, 160, "INSERT INTO t (a, b, c, d) VALUES (%u, %u, 1, %u)", a, b, v);
        break;
    case ACT_DELETE:
        (void)snprintf(sql, 160, "DELETE FROM t WHERE a = %u", a);
        break;
    case ACT_DELETE_BY_BOTH:
        (void)snprintf(sql, 160, "DELETE FROM t WHERE b = %u AND a = %u", b, a);
        break;
    case ACT_SET_BY_EITHER:
        (void)snprintf(sql, 160, "UPDATE t SET d = %u WHERE a = %u OR b = %u", v, a, b);
        break;
    case ACT_REPLACE:
    case ACT_END_:
        (void)snprintf(sql, 160, "REPLACE INTO t (a, b, d) VALUES (%u, %u, %u)", a, b, v);
        break;
    }
}

/* One write, in words and to the model. */
static void act(struct model *model, struct rand_state *rand, char sql[160])
{
    unsigned a = 1 + (unsigned)rand_below(rand, IDS - 1);
    unsigned b = 1 + (unsigned)rand_below(rand, 3);
    unsigned v = (unsigned)rand_below(rand, 1000);
    enum act kind = (enum act)rand_below(rand, ACT_END_);

    act_put(kind, a, b, v, sql);
    for (unsigned i = 1; i < IDS; i++) {
        struct model_row *row = &model->rows[i];
        bool is_a = i == a;
        bool is_b = row->b == b;

        if (is_a && (kind == ACT_REPLACE || (kind == ACT_INSERT && !row->is_there))) {
            *row = (struct model_row){true, b, v};
        } else if (!row->is_there) {
            continue;
        } else if ((kind == ACT_SET_BY_A && is_a) || (kind == ACT_SET_BY_B && is_b) ||
                   (kind == ACT_SET_BY_EITHER && (is_a || is_b))) {
            row->v = v;
        } else if (kind == ACT_MOVE && is_a) {
            row->b = b;
        } else if ((kind == ACT_DELETE && is_a) || (kind == ACT_DELETE_BY_BOTH && is_a && is_b)) {
            row->is_there = false;
        }
    }
}

/* Which rows a read shows; a or b is 0: any. */
static bool is_changed(const struct model *x, const struct model *y, unsigned a, unsigned b)
{
    for (unsigned i = 1; i < IDS; i++) {
        const struct model_row *p = &x->rows[i];
        const struct model_row *q = &y->rows[i];
        bool in_p = p->is_there && (a == 0 || a == i) && (b == 0 || b == p->b);
        bool in_q = q->is_there && (a == 0 || a == i) && (b == 0 || b == q->b);

        if (in_p != in_q || (in_p && (p->v != q->v || p->b != q->b))) {
            return true;
        }
    }
    return false;
}

/* No answer that a write has changed is good behind it; and many are that it has not. */
static void test_model(void **state)
{
    struct catalogue *cat = world();
    struct version_board *board = NULL;
    struct model model = {.rows = {{.is_there = false}}};
    struct rand_state rand;
    unsigned spared = 0;

    (void)state;
    rand_seed(&rand, 4711);
    assert_int_equal(version_board_create(&board), 0);
    for (unsigned n = 0; n < STEPS; n++) {
        struct version_lease leases[IDS + 3];
        struct model before = model;
        char sql[160];
        unsigned count = 0;

        for (unsigned a = 1; a < IDS; a++) {
            (void)snprintf(sql, sizeof(sql), "SELECT * FROM t WHERE a = %u", a);
            assert_true(lease(board, cat, sql, &leases[count++]));
        }
        for (unsigned b = 1; b < 4; b++) {
            (void)snprintf(sql, sizeof(sql), "SELECT * FROM t WHERE b = %u", b);
            assert_true(lease(board, cat, sql, &leases[count++]));
        }
        version_lease_begin(board, &leases[count]);
        assert_int_equal(
            version_lease_add_table(board, &leases[count++], SPAN_LIT("d"), SPAN_LIT("t")), 0);
        act(&model, &rand, sql);
        write(board, cat, sql, true);
        for (unsigned i = 0; i < count; i++) {
            unsigned a = i < IDS - 1 ? i + 1 : 0;
            unsigned b = i >= IDS - 1 && i < IDS + 2 ? i - (IDS - 1) + 1 : 0;
            bool is_good = holds(board, &leases[i]);

            if (is_good && is_changed(&before, &model, a, b)) {
                print_error("%s: rows with a = %u, b = %u\n", sql, a, b);
                fail();
            }
            spared += is_good ? 1 : 0;
        }
    }
    assert_true(spared > STEPS * 3);
    version_board_destroy(board);
    catalogue_unref(cat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
