/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views are judged by weir's own classifier: a view is harmless when its body is one read over base
 * tables and harmless views. All views begin as "other"; passes over those left turn the ones that
 * may be turned, until a pass turns none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/util/err.h"

#include "load_priv.h"

#define NAME_BYTES 260

static const char TABLES_SQL[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA NOT IN ('information_schema','performance_schema','mysql','sys')";
static const char VIEWS_SQL[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS"
    " WHERE TABLE_SCHEMA NOT IN ('information_schema','performance_schema','mysql','sys')";
static const char ROUTINES_SQL[] =
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES"
    " WHERE ROUTINE_SCHEMA NOT IN ('mysql','sys')";

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

static bool reads_only_harmless(const struct facts *facts, const struct catalogue_builder *builder)
{
    for (uint8_t i = 0; i < facts->table_count; i++) {
        char schema[NAME_BYTES];
        char name[NAME_BYTES];
        size_t schema_len = classify_name_decode(facts->tables[i].schema, schema, sizeof(schema));
        size_t name_len = classify_name_decode(facts->tables[i].name, name, sizeof(name));
        enum catalogue_kind kind = CATALOGUE_UNKNOWN;

        if (schema_len == 0 || schema_len >= sizeof(schema) || name_len == 0 ||
            name_len >= sizeof(name)) {
            return false;
        }
        kind = catalogue_builder_get(builder, span_of(schema), span_of(name));
        if (kind != CATALOGUE_BASE_TABLE && kind != CATALOGUE_VIEW_HARMLESS) {
            return false;
        }
    }
    return true;
}

bool load_view_is_harmless(const struct load_source *source, struct span body,
                           const struct catalogue_builder *builder)
{
    /* Both servers write a stored body with backslash escapes and backticks, whatever the sql_mode
     * was when the view was made (seen on MySQL 9.7 and MariaDB 10.11). */
    struct classify_env env = {
        .flavour = source->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = source->version,
        .charset = CLASSIFY_CS_SAFE,
    };
    struct facts facts;

    classify_sql(body, &env, &facts);
    return (facts.bits & FACT(READ)) != 0 && (facts.bits & (FACT(MULTI) | FACT(WRITE))) == 0 &&
           reads_only_harmless(&facts, builder);
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
    }
    db_rows_free(rows);
    if (rc < 0) {
        (void)snprintf(report->error, sizeof(report->error), "catalogue: %s", err_text(rc));
    }
    return rc;
}

static int routines_read(const struct load_source *source, struct catalogue_builder *builder,
                         struct load_report *report)
{
    struct db_rows *rows = NULL;
    int rc = 0;

    if (db_query(source->db, ROUTINES_SQL, &rows) < 0) {
        return query_failed(source, "information_schema.ROUTINES", report);
    }
    while (rc == 0 && db_rows_next(rows)) {
        enum catalogue_kind kind = span_eq_text_nocase(db_rows_get(rows, 2), "FUNCTION")
                                       ? CATALOGUE_FUNCTION
                                       : CATALOGUE_PROCEDURE;

        rc = catalogue_builder_add(builder, kind, db_rows_get(rows, 0), db_rows_get(rows, 1));
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

        if (!load_view_is_harmless(source, view->body, builder) ||
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

static int views_judge(const struct load_source *source, struct catalogue_builder *builder,
                       struct load_report *report)
{
    struct views views = {NULL, 0, 0};
    struct db_rows *rows = NULL;
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
    while (rc == 0 && views.count > 0 && views_pass(source, &views, builder)) {
    }
    catalogue_builder_hidden(builder, report->hidden_views);
    free(views.list);
    db_rows_free(rows);
    return rc;
}

/* A right on *.* by which information_schema shows every table. */
static bool account_sees_all(const struct load_source *source)
{
    struct db_rows *rows = NULL;
    bool sees_all = false;

    if (db_query(source->db, "SHOW GRANTS", &rows) < 0) {
        return false;
    }
    while (!sees_all && db_rows_next(rows)) {
        struct span grant = db_rows_get(rows, 0);
        char text[2048];

        span_copy(grant, text, sizeof(text));
        if (strstr(text, " ON *.* ")) {
            sees_all = strstr(text, "ALL PRIVILEGES") || strstr(text, "SHOW VIEW") ||
                       strstr(text, "SELECT");
        }
    }
    db_rows_free(rows);
    return sees_all;
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
    rc = tables_read(source, builder, report);
    if (rc == 0) {
        rc = views_judge(source, builder, report);
    }
    if (rc == 0) {
        rc = routines_read(source, builder, report);
    }
    if (rc < 0) {
        catalogue_builder_destroy(builder);
        return rc;
    }
    report->sees_all = account_sees_all(source);
    catalogue = catalogue_builder_finish(builder, generation, covers);
    if (!catalogue) {
        return -ENOMEM;
    }
    *ret_catalogue = catalogue;
    return 0;
}
