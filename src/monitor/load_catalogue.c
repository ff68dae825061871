/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views and functions are judged by weir's own classifier: one is harmless when its body only reads
 * base tables and harmless views and calls harmless functions. All begin as "other"; passes over those
 * left turn the ones that may be turned, until a pass turns none: what calls itself never is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/util/err.h"

#include "load_priv.h"

static const char TABLES_SQL[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA NOT IN ('information_schema','performance_schema','mysql','sys')";
static const char VIEWS_SQL[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS"
    " WHERE TABLE_SCHEMA NOT IN ('information_schema','performance_schema','mysql','sys')";

/* One view left to judge; the spans borrow from the rows that hold it. */
struct view {
    struct span schema;
    struct span name;
    struct span body;
};

struct views {
    struct view *list; /* owned */
    size_t count;
    size_t cap;
};

static int query_failed(const struct load_source *source, const char *what,
                        struct load_report *report)
{
    (void)snprintf(report->error, sizeof(report->error), "%s: %s", what, db_error(source->db));
    return -WR_E_SERVER_ERROR;
}

bool load_name_plain(struct span written, char dst[LOAD_NAME_BYTES], struct span *ret_name)
{
    size_t len = classify_name_decode(written, dst, LOAD_NAME_BYTES);

    *ret_name = (struct span){(const uint8_t *)dst, len};
    return len > 0 && len < LOAD_NAME_BYTES;
}

static void note_set(char *note, const char *what, struct span schema, struct span name,
                     enum catalogue_kind kind)
{
    if (note) {
        (void)snprintf(note, CATALOGUE_NOTE_MAX, "%s %.*s.%.*s, %s", what, (int)schema.len,
                       (const char *)schema.p, (int)name.len, (const char *)name.p,
                       catalogue_kind_text(kind));
    }
}

bool load_names_are_harmless(const struct facts *facts, struct span schema,
                             const struct catalogue_builder *builder, char *ret_note)
{
    char bytes[2][LOAD_NAME_BYTES];
    enum catalogue_kind kind = CATALOGUE_UNKNOWN;

    for (uint8_t i = 0; i < facts->table_count; i++) {
        struct span in = schema;
        struct span name = {NULL, 0};

        if (!load_name_plain(facts->tables[i].name, bytes[0], &name) ||
            (facts->tables[i].schema.len > 0 &&
             !load_name_plain(facts->tables[i].schema, bytes[1], &in)) ||
            in.len == 0) {
            return false;
        }
        kind = catalogue_builder_get(builder, in, name);
        if (kind != CATALOGUE_BASE_TABLE && kind != CATALOGUE_VIEW_HARMLESS) {
            note_set(ret_note, "it reads", in, name, kind);
            return false;
        }
    }
    for (uint8_t i = 0; i < facts->call_count; i++) {
        bool is_bare = facts->calls[i].schema.len == 0;
        struct span in = schema;
        struct span name = {NULL, 0};

        if (!load_name_plain(facts->calls[i].name, bytes[0], &name) ||
            (!is_bare && !load_name_plain(facts->calls[i].schema, bytes[1], &in)) || in.len == 0) {
            return false;
        }
        kind = catalogue_builder_get_function(builder, in, name, is_bare);
        if (kind != CATALOGUE_FUNCTION_HARMLESS && kind != CATALOGUE_FUNCTION_LISTED) {
            note_set(ret_note, "it calls", in, name, kind);
            return false;
        }
    }
    return true;
}

/* Its body is as information_schema gives it. */
static bool view_is_harmless(const struct load_source *source, const struct view *view,
                             struct catalogue_builder *builder)
{
    /* Both servers write a stored body with backslash escapes and backticks, whatever the sql_mode
     * was when the view was made (seen on MySQL 9.7 and MariaDB 10.11). */
    struct classify_env env = {
        .flavour = source->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = source->version,
        .charset = CLASSIFY_CS_SAFE,
    };
    struct facts facts;

    classify_sql(view->body, &env, &facts);
    if ((facts.bits & FACT(CALLS)) == 0 &&
        ((facts.bits & FACT(READ)) == 0 || (facts.bits & (FACT(MULTI) | FACT(WRITE))) != 0)) {
        return false;
    }
    /* A function without a schema belongs to the view's, whatever was selected when it was made; both
     * servers leave the schema out where it was (seen on MySQL 9.7 and MariaDB 10.11). */
    if (!load_names_are_harmless(&facts, view->schema, builder, NULL)) {
        return false;
    }
    load_view_link(builder, view->schema, view->name, &facts);
    return true;
}

static enum catalogue_kind kind_of_type(struct span type)
{
    if (span_eq_text_nocase(type, "BASE TABLE") || span_eq_text_nocase(type, "SYSTEM VERSIONED")) {
        return CATALOGUE_BASE_TABLE;
    }
    if (span_eq_text_nocase(type, "VIEW")) {
        return CATALOGUE_VIEW_OTHER;
    }
    return span_eq_text_nocase(type, "SEQUENCE") ? CATALOGUE_SEQUENCE : CATALOGUE_UNKNOWN;
}

static int tables_read(const struct load_source *source, struct catalogue_builder *builder,
                       struct load_report *report)
{
    struct db_rows *rows = NULL;
    int rc = 0;

    if (db_query(source->db, TABLES_SQL, &rows) < 0) {
        return query_failed(source, "information_schema.TABLES", report);
    }
    while (rc == 0 && db_rows_next(rows)) {
        enum catalogue_kind kind = kind_of_type(db_rows_get(rows, 2));

        if (kind != CATALOGUE_UNKNOWN) {
            rc = catalogue_builder_add(builder, kind, db_rows_get(rows, 0), db_rows_get(rows, 1));
        }
        if (rc == -WR_E_STATE) {
            rc = 0; /* the same name twice: seen while it was being replaced */
        }
        if (rc == 0 && span_eq_text_nocase(db_rows_get(rows, 2), "SYSTEM VERSIONED")) {
            rc = load_rowless_mark(builder, db_rows_get(rows, 0), db_rows_get(rows, 1));
        }
        if (rc == 0 && kind == CATALOGUE_BASE_TABLE) {
            rc = load_engine_mark(builder, db_rows_get(rows, 0), db_rows_get(rows, 1),
                                  db_rows_get(rows, 3));
        }
    }
    db_rows_free(rows);
    if (rc < 0) {
        (void)snprintf(report->error, sizeof(report->error), "catalogue: %s", err_text(rc));
    }
    return rc;
}

static int views_add(struct views *views, const struct view *view)
{
    if (views->count == views->cap) {
        size_t cap = views->cap ? views->cap * 2 : 64;
        struct view *list = realloc(views->list, cap * sizeof(*list));

        if (!list) {
            return -ENOMEM;
        }
        views->list = list;
        views->cap = cap;
    }
    views->list[views->count++] = *view;
    return 0;
}

/* Turns what can be turned; true when something was. What is turned leaves the list. */
static bool views_pass(const struct load_source *source, struct views *views,
                       struct catalogue_builder *builder)
{
    size_t left = 0;

    for (size_t i = 0; i < views->count; i++) {
        struct view *view = &views->list[i];

        if (!view_is_harmless(source, view, builder) ||
            catalogue_builder_set(builder, CATALOGUE_VIEW_HARMLESS, view->schema, view->name) < 0) {
            views->list[left++] = *view;
        }
    }
    if (left == views->count) {
        return false;
    }
    views->count = left;
    return true;
}

/* Views and functions by turns, for each may use the other. */
static int bodies_judge(const struct load_source *source, struct load_functions *functions,
                        struct catalogue_builder *builder, struct load_report *report)
{
    struct views views = {NULL, 0, 0};
    struct db_rows *rows = NULL;
    bool is_turning = true;
    int rc = 0;

    if (db_query(source->db, VIEWS_SQL, &rows) < 0) {
        return query_failed(source, "information_schema.VIEWS", report);
    }
    while (rc == 0 && db_rows_next(rows)) {
        struct view view = {db_rows_get(rows, 0), db_rows_get(rows, 1), db_rows_get(rows, 2)};

        if (view.body.len == 0) {
            report->hidden_views++;
        } else {
            rc = views_add(&views, &view);
        }
    }
    while (rc == 0 && is_turning) {
        is_turning = views.count > 0 && views_pass(source, &views, builder);
        is_turning = load_functions_pass(functions, builder) || is_turning;
    }
    catalogue_builder_hidden(builder, report->hidden_views);
    free(views.list);
    db_rows_free(rows);
    return rc < 0 ? rc : load_functions_finish(functions, builder);
}

/* What the account may see of others' tables. */
static void rights_read(const struct load_source *source, struct load_report *report)
{
    struct db_rows *rows = NULL;
    bool is_revoked = false; /* for a schema (MySQL's partial_revokes) */

    if (db_query(source->db, "SHOW GRANTS", &rows) < 0) {
        return;
    }
    while (db_rows_next(rows)) {
        struct span grant = db_rows_get(rows, 0);
        char text[2048];
        char *on = NULL;
        bool is_all = false;

        span_copy(grant, text, sizeof(text));
        on = strstr(text, " ON *.* ");
        if (strncmp(text, "REVOKE", 6) == 0) {
            is_revoked = true;
        } else if (on) {
            *on = '\0'; /* names follow, which may be any words */
            is_all = strstr(text, "ALL PRIVILEGES") != NULL;
            report->sees_all =
                report->sees_all || is_all || strstr(text, "SHOW VIEW") || strstr(text, "SELECT");
            report->sees_triggers = report->sees_triggers || is_all || strstr(text, "TRIGGER");
        }
    }
    report->sees_triggers = report->sees_triggers && !is_revoked;
    db_rows_free(rows);
}

static int fold_read(const struct load_source *source, bool *ret_fold, struct load_report *report)
{
    struct db_rows *rows = NULL;

    if (db_query(source->db, "SELECT @@lower_case_table_names", &rows) < 0) {
        return query_failed(source, "lower_case_table_names", report);
    }
    *ret_fold = db_rows_next(rows) && !span_eq_text(db_rows_get(rows, 0), "0");
    db_rows_free(rows);
    return 0;
}

int load_catalogue(const struct load_source *source, uint64_t generation,
                   struct catalogue **ret_catalogue, struct load_report *report)
{
    /* Before the first query: whatever changes from here on is not covered. */
    uint64_t covers = catalogue_ddl_seen();
    struct catalogue_builder *builder = NULL;
    struct load_functions *functions = NULL;
    struct catalogue *catalogue = NULL;
    bool fold = false;
    int rc = 0;

    memset(report, 0, sizeof(*report));
    rc = fold_read(source, &fold, report);
    if (rc < 0) {
        return rc;
    }
    builder = catalogue_builder_create(fold);
    if (!builder) {
        return -ENOMEM;
    }
    rights_read(source, report);
    rc = tables_read(source, builder, report);
    if (rc == 0) {
        rc = load_functions_read(source, builder, report, &functions);
    }
    if (rc == 0) {
        rc = bodies_judge(source, functions, builder, report);
    }
    load_functions_destroy(functions);
    if (rc == 0) {
        rc = load_links(source, builder, report);
    }
    if (rc < 0) {
        catalogue_builder_destroy(builder);
        return rc;
    }
    catalogue = catalogue_builder_finish(builder, generation, covers);
    if (!catalogue) {
        return -ENOMEM;
    }
    *ret_catalogue = catalogue;
    return 0;
}
