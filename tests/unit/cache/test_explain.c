/* SPDX-License-Identifier: Apache-2.0 */
/* test_explain.c - cache_facts.tsv, line by line, and what is said of a log that is not heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/cache.h"
#include "weir/cache/explain.h"

#include "../../lib/classify_text.h"

#define TABLE    WEIR_SOURCE_DIR "/tests/data/sql/cache_facts.tsv"
#define COLUMNS  5
#define MIN_ROWS 130
#define MAX_LINE 4096

static void add(struct catalogue_builder *builder, enum catalogue_kind kind, const char *schema,
                const char *name)
{
    assert_int_equal(catalogue_builder_add(builder, kind, span_of(schema), span_of(name)), 0);
}

static void function(struct catalogue_builder *builder, enum catalogue_kind kind, const char *name)
{
    assert_int_equal(
        catalogue_builder_function(builder, kind, SPAN_LIT("app"), span_of(name), span_of("")), 0);
}

static void mark(struct catalogue_builder *builder, int marks, const char *name)
{
    assert_int_equal(
        catalogue_builder_mark(builder, (enum catalogue_mark)marks, SPAN_LIT("app"), span_of(name)),
        0);
}

static void linked_view(struct catalogue_builder *builder, const char *name, const char *table)
{
    struct catalogue_name from = {SPAN_LIT("app"), span_of(name)};
    struct catalogue_name to = {SPAN_LIT("app"), span_of(table)};

    add(builder, CATALOGUE_VIEW_HARMLESS, "app", name);
    mark(builder, CATALOGUE_MARK_LINKED, name);
    assert_int_equal(catalogue_builder_link(builder, &from, &to), 0);
}

/* As the step facts of cache_real makes it. */
static struct catalogue *world(void)
{
    static const char *const tables[] = {"t", "u", "words", "t\xc3\xa9", "versioned"};
    static const char *const engines[] = {"isam", "mem"};
    struct catalogue_builder *builder = catalogue_builder_create(false);

    for (size_t i = 0; i < WR_ARRAY_LEN(tables); i++) {
        add(builder, CATALOGUE_BASE_TABLE, "app", tables[i]);
    }
    add(builder, CATALOGUE_BASE_TABLE, "other", "t");
    for (size_t i = 0; i < WR_ARRAY_LEN(engines); i++) {
        add(builder, CATALOGUE_BASE_TABLE, "app", engines[i]);
        mark(builder, CATALOGUE_MARK_UNASKED | CATALOGUE_MARK_ALL, engines[i]);
    }
    add(builder, CATALOGUE_SEQUENCE, "app", "sq");
    linked_view(builder, "v_t", "t");
    linked_view(builder, "v_join", "v_t");
    linked_view(builder, "v_isam", "isam");
    add(builder, CATALOGUE_VIEW_HARMLESS, "app", "v_now");
    add(builder, CATALOGUE_VIEW_HARMLESS, "app", "v_user");
    add(builder, CATALOGUE_VIEW_HARMLESS, "app", "v_calm");
    add(builder, CATALOGUE_VIEW_OTHER, "app", "v_writes");
    function(builder, CATALOGUE_FUNCTION_HARMLESS, "f_calm");
    function(builder, CATALOGUE_FUNCTION, "f_writes");
    return catalogue_builder_finish(builder, 1, 0);
}

static const struct config_cache CONF = {.memory_bytes = 1 << 20,
                                         .ttl_us = 60000000,
                                         .max_entry_bytes = 1 << 16,
                                         .coherence = CONFIG_COHERENCE_OWN,
                                         .hints = true};
static const struct config_rule RULE = {.label = "all",
                                        .cache_us = 60000000,
                                        .cache_stale_while_revalidate_us = UINT64_MAX,
                                        .cache_stale_if_error_us = UINT64_MAX};

static void explain(const struct cache *cache, const struct config_cache *conf,
                    const struct cache_lease_in *in, char *dst, size_t cap)
{
    struct cache_ask ask = {.conf = conf,
                            .rule = &RULE,
                            .facts = in->statement.facts,
                            .isolation = TOPO_ISO_REPEATABLE_READ};

    cache_explain(cache, &ask, in, dst, cap);
}

static const char *text_of(const char *reason)
{
    static const struct {
        const char *name;
        const char *text;
    } reasons[] = {
#define X(name, text) {#name, text},
        CACHE_PASSES(X)
#undef X
    };

    for (size_t i = 0; i < WR_ARRAY_LEN(reasons); i++) {
        if (span_eq_text_nocase(span_of(reason), reasons[i].name)) {
            return reasons[i].text;
        }
    }
    return NULL;
}

static unsigned check_row(const struct cache *cache, const struct catalogue *catalogue,
                          char **column, int line)
{
    struct classify_env env;
    struct facts facts;
    struct cache_lease_in in = {.catalogue = catalogue, .schema = SPAN_LIT("app")};
    char said[256];
    char want[256];

    if (!classify_text_env(column[1], &env)) {
        fail_msg("cache_facts.tsv:%d: environment", line);
    }
    env.schema = in.schema;
    in.statement.sql = (struct span){(const uint8_t *)column[0], classify_text_unescape(column[0])};
    in.statement.env = &env;
    in.statement.facts = &facts;
    classify_sql(in.statement.sql, &env, &facts);
    explain(cache, &CONF, &in, said, sizeof(said));
    if (strcmp(column[3], "kept") == 0 || strcmp(column[3], "writes") == 0) {
        (void)snprintf(want, sizeof(want), "%s", column[3][0] == 'k' ? "kept for " : "a write to ");
        said[strlen(want)] = '\0';
    } else {
        if (text_of(column[3]) == NULL) {
            fail_msg("cache_facts.tsv:%d: there is no reason %s", line, column[3]);
        }
        (void)snprintf(want, sizeof(want), "not kept: %s", text_of(column[3]));
    }
    if (strcmp(said, want) != 0) {
        print_error("cache_facts.tsv:%d: %s: %s, not %s\n", line, column[0], said, column[3]);
        return 1;
    }
    return 0;
}

static void test_table(void **state)
{
    static char line[MAX_LINE];
    struct catalogue *catalogue = world();
    struct cache *cache = NULL;
    FILE *file = fopen(TABLE, "r");
    unsigned wrong = 0;
    int number = 0;
    int rows = 0;

    (void)state;
    assert_non_null(file);
    assert_int_equal(cache_create(1U << 20, &cache), 0);
    while (fgets(line, sizeof(line), file) != NULL) {
        char *column[COLUMNS] = {line};
        size_t count = 1;

        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') {
            continue;
        }
        for (char *tab = strchr(line, '\t'); tab != NULL && count < COLUMNS;
             tab = strchr(tab, '\t')) {
            *tab++ = '\0';
            column[count++] = tab;
        }
        if (count != COLUMNS) {
            fail_msg("cache_facts.tsv:%d: malformed", number);
            break;
        }
        if (strcmp(column[2], "-") == 0) {
            wrong += check_row(cache, catalogue, column, number);
            rows++;
        }
    }
    (void)fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(rows >= MIN_ROWS);
    cache_destroy(cache);
    catalogue_unref(catalogue);
}

/* Every state of the stream has its words. */
static void test_deaf(void **state)
{
    struct config_cache conf = CONF;
    struct cache *cache = NULL;
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    struct facts facts;
    struct cache_lease_in in = {.statement = {.env = &env, .facts = &facts}};
    char said[256];

    (void)state;
    conf.coherence = CONFIG_COHERENCE_BINLOG;
    in.statement.sql = SPAN_LIT("SELECT 1");
    classify_sql(in.statement.sql, &env, &facts);
    assert_int_equal(cache_create(1U << 20, &cache), 0);
    for (unsigned i = 0; i < CACHE_STREAM_END_; i++) {
        enum cache_stream_state now = (enum cache_stream_state)i;
        const char *why = now == CACHE_STREAM_READING ? "nothing has come from it lately"
                                                      : cache_stream_state_text(now);

        cache_stream_pause(&cache->stream, now);
        explain(cache, &conf, &in, said, sizeof(said));
        assert_non_null(strstr(said, "is not heard: "));
        assert_string_equal(strstr(said, "is not heard: ") + strlen("is not heard: "), why);
    }
    cache_destroy(cache);
}

static void test_others(void **state)
{
    struct facts facts = {.verb = VERB_SELECT, .bits = FACT(READ)};
    struct cache_lease_in in = {.statement = {.facts = &facts}};
    struct cache_ask ask = {.conf = &CONF, .facts = &facts};
    struct cache *cache = NULL;
    char said[256];

    (void)state;
    cache_explain(NULL, &ask, &in, said, sizeof(said));
    assert_string_equal(said, "off (cache.memory)");
    assert_int_equal(cache_create(1U << 20, &cache), 0);
    cache_explain(cache, &ask, &in, said, sizeof(said));
    assert_string_equal(said, "not asked for");
    cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_deaf),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
