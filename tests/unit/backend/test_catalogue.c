/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/catalogue.h"
#include "weir/util/err.h"

static void add(struct catalogue_builder *builder, enum catalogue_kind kind, const char *schema,
                const char *name)
{
    assert_int_equal(catalogue_builder_add(builder, kind, span_of(schema), span_of(name)), 0);
}

static enum catalogue_kind look(const struct catalogue *cat, const char *schema, const char *name)
{
    return catalogue_table(cat, 0, span_of(schema), span_of(name));
}

static enum catalogue_kind call(const struct catalogue *cat, const char *schema, const char *name,
                                bool is_bare)
{
    return catalogue_function(cat, 0, span_of(schema), span_of(name), is_bare);
}

static struct catalogue *sample(bool fold)
{
    struct catalogue_builder *builder = catalogue_builder_create(fold);

    add(builder, CATALOGUE_BASE_TABLE, "Db", "Orders");
    add(builder, CATALOGUE_VIEW_OTHER, "Db", "v");
    add(builder, CATALOGUE_SEQUENCE, "Db", "s");
    add(builder, CATALOGUE_FUNCTION, "Db", "Tax");
    add(builder, CATALOGUE_FUNCTION, "other", "tax");
    add(builder, CATALOGUE_PROCEDURE, "Db", "p");
    assert_int_equal(
        catalogue_builder_set(builder, CATALOGUE_VIEW_HARMLESS, SPAN_LIT("Db"), SPAN_LIT("v")), 0);
    return catalogue_builder_finish(builder, 5, 0);
}

static void test_look_up(void **state)
{
    struct catalogue *cat = sample(false);

    (void)state;
    assert_int_equal(look(cat, "Db", "Orders"), CATALOGUE_BASE_TABLE);
    assert_int_equal(look(cat, "Db", "v"), CATALOGUE_VIEW_HARMLESS);
    assert_int_equal(look(cat, "Db", "s"), CATALOGUE_SEQUENCE);
    assert_int_equal(look(cat, "db", "Orders"), CATALOGUE_UNKNOWN);
    assert_int_equal(look(cat, "Db", "orders"), CATALOGUE_UNKNOWN);
    assert_int_equal(look(cat, "", "Orders"), CATALOGUE_UNKNOWN);
    assert_int_equal(look(cat, "Db", ""), CATALOGUE_UNKNOWN);
    assert_int_equal(look(cat, "Db", "p"), CATALOGUE_UNKNOWN); /* not a table */
    /* where schema ends and name begins counts */
    assert_int_equal(look(cat, "D", "bOrders"), CATALOGUE_UNKNOWN);
    assert_int_equal(look(cat, "DbOrder", "s"), CATALOGUE_UNKNOWN);
    assert_int_equal(call(cat, "Db", "TAX", false), CATALOGUE_FUNCTION);
    assert_int_equal(call(cat, "db", "tax", false), CATALOGUE_UNKNOWN); /* schemas have a case */
    assert_int_equal(call(cat, "Db", "p", false), CATALOGUE_UNKNOWN);
    assert_int_equal(catalogue_count(cat, CATALOGUE_BASE_TABLE), 1);
    assert_int_equal(catalogue_count(cat, CATALOGUE_VIEW_OTHER), 0);
    assert_int_equal(catalogue_count(cat, CATALOGUE_VIEW_HARMLESS), 1);
    assert_int_equal(catalogue_generation(cat), 5);
    catalogue_unref(cat);
}

static void test_folded(void **state)
{
    struct catalogue *cat = sample(true);

    (void)state;
    assert_int_equal(look(cat, "DB", "ORDERS"), CATALOGUE_BASE_TABLE);
    assert_int_equal(look(cat, "db", "V"), CATALOGUE_VIEW_HARMLESS);
    catalogue_unref(cat);
}

static void test_not_loaded_and_outdated(void **state)
{
    struct catalogue *none = catalogue_create_unloaded();
    struct catalogue_builder *builder = catalogue_builder_create(false);
    struct catalogue *cat = NULL;

    (void)state;
    assert_int_equal(look(NULL, "a", "b"), CATALOGUE_NOT_LOADED);
    assert_int_equal(look(none, "a", "b"), CATALOGUE_NOT_LOADED);
    assert_int_equal(call(none, "a", "f", true), CATALOGUE_NOT_LOADED);
    assert_int_equal(catalogue_generation(NULL), 0);
    assert_int_equal(catalogue_covers(NULL), 0);
    assert_int_equal(catalogue_count(none, CATALOGUE_BASE_TABLE), 0);
    assert_int_equal(catalogue_hidden_count(none), 0);
    catalogue_unref(none);
    catalogue_unref(NULL);
    add(builder, CATALOGUE_BASE_TABLE, "a", "b");
    catalogue_builder_hidden(builder, 3);
    cat = catalogue_builder_finish(builder, 1, 4);
    assert_int_equal(catalogue_covers(cat), 4);
    assert_int_equal(catalogue_hidden_count(cat), 3);
    assert_int_equal(catalogue_table(cat, 4, SPAN_LIT("a"), SPAN_LIT("b")), CATALOGUE_BASE_TABLE);
    assert_int_equal(catalogue_table(cat, 5, SPAN_LIT("a"), SPAN_LIT("b")), CATALOGUE_OUTDATED);
    assert_int_equal(catalogue_function(cat, 5, SPAN_LIT("a"), SPAN_LIT("f"), true),
                     CATALOGUE_OUTDATED);
    catalogue_unref(catalogue_ref(cat));
    catalogue_unref(cat);
}

static void set_function(struct catalogue_builder *builder, enum catalogue_kind kind,
                         const char *schema, const char *name, const char *note)
{
    assert_int_equal(
        catalogue_builder_function(builder, kind, span_of(schema), span_of(name), span_of(note)),
        0);
}

static bool note_is(const struct catalogue *cat, const char *schema, const char *name, bool is_bare,
                    const char *text)
{
    return span_eq_text(catalogue_function_note(cat, span_of(schema), span_of(name), is_bare),
                        text);
}

static void test_functions(void **state)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);
    struct catalogue *cat = NULL;
    char longest[CATALOGUE_NOTE_MAX + 10];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    set_function(builder, CATALOGUE_FUNCTION, "app", "f", "first");
    set_function(builder, CATALOGUE_FUNCTION, "app", "G", longest);
    set_function(builder, CATALOGUE_FUNCTION_HARMLESS, "app", "F", "");
    set_function(builder, CATALOGUE_FUNCTION_HARMLESS, "app", "lib", "");
    set_function(builder, CATALOGUE_FUNCTION_LOADABLE, "", "Lib", "a plug-in");
    assert_int_equal(catalogue_builder_get_function(builder, SPAN_LIT("app"), SPAN_LIT("f"), true),
                     CATALOGUE_FUNCTION_HARMLESS);
    assert_int_equal(catalogue_builder_function(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("a"),
                                                SPAN_LIT("b"), SPAN_LIT("")),
                     -WR_E_TOO_LARGE);
    cat = catalogue_builder_finish(builder, 1, 0);
    assert_int_equal(call(cat, "app", "F", true), CATALOGUE_FUNCTION_HARMLESS);
    assert_true(note_is(cat, "app", "f", true, ""));
    assert_int_equal(call(cat, "other", "f", true), CATALOGUE_UNKNOWN);
    assert_int_equal(catalogue_function_note(cat, SPAN_LIT("app"), SPAN_LIT("g"), false).len,
                     CATALOGUE_NOTE_MAX);
    /* a loadable one hides a stored one of the same name, unless the schema is written */
    assert_int_equal(call(cat, "app", "LIB", true), CATALOGUE_FUNCTION_LOADABLE);
    assert_true(note_is(cat, "app", "lib", true, "a plug-in"));
    assert_int_equal(call(cat, "app", "lib", false), CATALOGUE_FUNCTION_HARMLESS);
    /* no schema is selected: a loadable one can be called, and nothing else */
    assert_int_equal(call(cat, "", "lib", true), CATALOGUE_FUNCTION_LOADABLE);
    assert_int_equal(call(cat, "", "lib", false), CATALOGUE_UNKNOWN);
    assert_int_equal(call(cat, "", "f", true), CATALOGUE_UNKNOWN);
    assert_int_equal(catalogue_count(cat, CATALOGUE_FUNCTION_HARMLESS), 2);
    assert_int_equal(catalogue_count(cat, CATALOGUE_FUNCTION), 1);
    assert_true(note_is(NULL, "app", "f", true, ""));
    catalogue_unref(cat);
}

static void test_builder_refuses(void **state)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);
    static const uint8_t bytes[300] = {'x'};
    struct span longest = {bytes, 256};
    struct span longer = {bytes, 257};

    (void)state;
    add(builder, CATALOGUE_BASE_TABLE, "a", "b");
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("a"), SPAN_LIT("b")),
        -WR_E_STATE);
    assert_int_equal(catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("a"), longest),
                     0);
    assert_int_equal(catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("a"), longer),
                     -WR_E_TOO_LARGE);
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_UNKNOWN, SPAN_LIT("a"), SPAN_LIT("c")),
        -WR_E_TOO_LARGE);
    assert_int_equal(
        catalogue_builder_set(builder, CATALOGUE_VIEW_OTHER, SPAN_LIT("a"), SPAN_LIT("c")),
        -WR_E_NOT_FOUND);
    assert_int_equal(catalogue_builder_get(builder, SPAN_LIT("a"), longest), CATALOGUE_BASE_TABLE);
    assert_int_equal(catalogue_builder_get(builder, SPAN_LIT("a"), longer), CATALOGUE_UNKNOWN);
    catalogue_builder_destroy(builder);
    catalogue_builder_destroy(NULL);
}

static void test_many(void **state)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);
    struct catalogue *cat = NULL;
    char schema[16];
    char name[32];

    (void)state;
    for (int i = 0; i < 50000; i++) {
        snprintf(schema, sizeof(schema), "s%d", i % 7);
        snprintf(name, sizeof(name), "table_%d", i);
        add(builder, i % 2 ? CATALOGUE_BASE_TABLE : CATALOGUE_VIEW_OTHER, schema, name);
    }
    cat = catalogue_builder_finish(builder, 1, 0);
    for (int i = 0; i < 50000; i++) {
        snprintf(schema, sizeof(schema), "s%d", i % 7);
        snprintf(name, sizeof(name), "table_%d", i);
        assert_int_equal(look(cat, schema, name),
                         i % 2 ? CATALOGUE_BASE_TABLE : CATALOGUE_VIEW_OTHER);
        snprintf(schema, sizeof(schema), "s%d", (i + 1) % 7);
        assert_int_equal(look(cat, schema, name), CATALOGUE_UNKNOWN);
    }
    catalogue_unref(cat);
}

static void *bump(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        catalogue_ddl_bump();
    }
    return arg;
}

static void test_clock(void **state)
{
    uint64_t before = catalogue_ddl_seen();
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, bump, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(catalogue_ddl_seen(), before + 4000);
}

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(catalogue_kind_text(CATALOGUE_BASE_TABLE), "base table");
    assert_string_equal(catalogue_kind_text(CATALOGUE_PROCEDURE), "stored procedure");
}

/* --- what depends on what --- */

static void link_up(struct catalogue_builder *builder, const char *from, const char *to)
{
    struct catalogue_name a = {SPAN_LIT("d"), span_of(from)};
    struct catalogue_name b = {SPAN_LIT("d"), span_of(to)};

    assert_int_equal(catalogue_builder_link(builder, &a, &b), 0);
}

static void mark(struct catalogue_builder *builder, enum catalogue_mark mark, const char *name)
{
    assert_int_equal(catalogue_builder_mark(builder, mark, SPAN_LIT("d"), span_of(name)), 0);
}

static void view(struct catalogue_builder *builder, const char *name)
{
    add(builder, CATALOGUE_VIEW_HARMLESS, "d", name);
    mark(builder, CATALOGUE_MARK_LINKED, name);
}

struct heard {
    char text[2048];
    size_t count;
};

static void hear(void *arg, struct span schema, struct span name)
{
    struct heard *heard = arg;
    size_t at = strlen(heard->text);

    (void)snprintf(heard->text + at, sizeof(heard->text) - at, "%.*s.%.*s ", (int)schema.len,
                   (const char *)schema.p, (int)name.len, (const char *)name.p);
    heard->count++;
}

typedef bool look_fn(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                     struct span name, catalogue_table_fn *fn, void *arg);

/* expected: NULL: not known; words in the order of the walk. */
static void expect(const struct catalogue *cat, look_fn *fn, const char *name, const char *expected)
{
    struct heard heard = {.count = 0};
    bool is_known = fn(cat, 0, SPAN_LIT("d"), span_of(name), hear, &heard);

    assert_int_equal(is_known, expected != NULL);
    assert_string_equal(heard.text, expected ? expected : "");
}

static struct catalogue_builder *family(void)
{
    static const char *const tables[] = {"a", "b", "c", "lone", "merge", "doubt", "near"};
    struct catalogue_builder *builder = catalogue_builder_create(false);

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        add(builder, CATALOGUE_BASE_TABLE, "d", tables[i]);
    }
    link_up(builder, "a", "b");
    link_up(builder, "b", "c");
    link_up(builder, "c", "a"); /* a circle */
    link_up(builder, "a", "a");
    link_up(builder, "a", "b"); /* twice */
    mark(builder, CATALOGUE_MARK_UNASKED, "merge");
    mark(builder, CATALOGUE_MARK_ALL, "doubt");
    link_up(builder, "near", "doubt");
    return builder;
}

static void test_also_written(void **state)
{
    struct catalogue_builder *builder = family();
    struct catalogue *cat = NULL;

    (void)state;
    view(builder, "v");
    link_up(builder, "v", "a");
    add(builder, CATALOGUE_BASE_TABLE, "d", "by_view");
    link_up(builder, "by_view", "v");
    cat = catalogue_builder_finish(builder, 1, 0);
    expect(cat, catalogue_also_written, "a", "d.b d.c ");
    expect(cat, catalogue_also_written, "b", "d.c d.a ");
    expect(cat, catalogue_also_written, "lone", "");
    expect(cat, catalogue_also_written, "merge", "");
    expect(cat, catalogue_also_written, "doubt", NULL);
    expect(cat, catalogue_also_written, "near", NULL);
    expect(cat, catalogue_also_written, "v", NULL);
    expect(cat, catalogue_also_written, "unheard", NULL);
    expect(cat, catalogue_also_written, "by_view", "d.a d.b d.c ");
    expect(NULL, catalogue_also_written, "lone", NULL);
    assert_false(
        catalogue_also_written(cat, 1, SPAN_LIT("d"), SPAN_LIT("lone"), hear, NULL)); /* outdated */
    catalogue_unref(cat);
}

static void test_view_tables(void **state)
{
    struct catalogue_builder *builder = family();
    struct catalogue *cat = NULL;

    (void)state;
    view(builder, "plain");
    link_up(builder, "plain", "a");
    view(builder, "over");
    link_up(builder, "over", "plain");
    link_up(builder, "over", "doubt"); /* what a write to it sets off is of no matter here */
    view(builder, "none");
    view(builder, "merged");
    link_up(builder, "merged", "merge");
    add(builder, CATALOGUE_VIEW_HARMLESS, "d", "asks"); /* who asks matters: not linked */
    view(builder, "over_asks");
    link_up(builder, "over_asks", "asks");
    add(builder, CATALOGUE_VIEW_OTHER, "d", "other");
    mark(builder, CATALOGUE_MARK_LINKED, "other");
    cat = catalogue_builder_finish(builder, 1, 0);
    expect(cat, catalogue_view_tables, "plain", "d.a ");
    expect(cat, catalogue_view_tables, "over", "d.doubt d.plain d.a ");
    expect(cat, catalogue_view_tables, "none", "");
    expect(cat, catalogue_view_tables, "merged", NULL);
    expect(cat, catalogue_view_tables, "asks", NULL);
    expect(cat, catalogue_view_tables, "over_asks", NULL);
    expect(cat, catalogue_view_tables, "other", NULL);
    expect(cat, catalogue_view_tables, "a", NULL);
    assert_true(catalogue_is_cacheable_table(cat, 0, SPAN_LIT("d"), SPAN_LIT("a")));
    assert_true(catalogue_is_cacheable_table(cat, 0, SPAN_LIT("d"), SPAN_LIT("doubt")));
    assert_false(catalogue_is_cacheable_table(cat, 0, SPAN_LIT("d"), SPAN_LIT("merge")));
    assert_false(catalogue_is_cacheable_table(cat, 0, SPAN_LIT("d"), SPAN_LIT("plain")));
    assert_false(catalogue_is_cacheable_table(cat, 1, SPAN_LIT("d"), SPAN_LIT("a")));
    catalogue_unref(cat);
}

/* One table with so many children. */
static void test_links_bound(void **state)
{
    (void)state;
    for (unsigned n = CATALOGUE_LIST_MAX; n <= CATALOGUE_LIST_MAX + 1; n++) {
        struct catalogue_builder *builder = catalogue_builder_create(false);
        struct catalogue *cat = NULL;
        struct heard heard = {.count = 0};
        char name[16];

        add(builder, CATALOGUE_BASE_TABLE, "d", "p");
        for (unsigned i = 0; i < n; i++) {
            (void)snprintf(name, sizeof(name), "c%u", i);
            add(builder, CATALOGUE_BASE_TABLE, "d", name);
            link_up(builder, "p", name);
        }
        cat = catalogue_builder_finish(builder, 1, 0);
        assert_int_equal(catalogue_also_written(cat, 0, SPAN_LIT("d"), SPAN_LIT("p"), hear, &heard),
                         n <= CATALOGUE_LIST_MAX);
        assert_int_equal(heard.count, n <= CATALOGUE_LIST_MAX ? n : 0);
        catalogue_unref(cat);
    }
}

static void test_links_hidden(void **state)
{
    struct catalogue_builder *builder = family();
    struct catalogue_name known = {SPAN_LIT("d"), SPAN_LIT("a")};
    struct catalogue_name unknown = {SPAN_LIT("e"), SPAN_LIT("a")};
    struct catalogue *cat = NULL;

    (void)state;
    assert_int_equal(catalogue_builder_link(builder, &known, &unknown), -WR_E_NOT_FOUND);
    assert_int_equal(catalogue_builder_link(builder, &unknown, &known), -WR_E_NOT_FOUND);
    assert_int_equal(
        catalogue_builder_mark(builder, CATALOGUE_MARK_ALL, unknown.schema, unknown.name),
        -WR_E_NOT_FOUND);
    catalogue_builder_no_lists(builder);
    cat = catalogue_builder_finish(builder, 1, 0);
    expect(cat, catalogue_also_written, "lone", NULL);
    assert_true(catalogue_is_cacheable_table(cat, 0, SPAN_LIT("d"), SPAN_LIT("lone")));
    catalogue_unref(cat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_not_loaded_and_outdated),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_builder_refuses),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_also_written),
        cmocka_unit_test(test_view_tables),
        cmocka_unit_test(test_links_bound),
        cmocka_unit_test(test_links_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
