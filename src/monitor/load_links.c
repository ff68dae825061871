/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What depends on what: base tables below views, children by foreign keys that act, tables that
 * triggers name. Each doubt makes a mark, by which a write to that table counts as one to everything:
 * InnoDB's cascades are in no binary log, and a trigger that is not seen leaves no trace at all.
 */
#include <stdio.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/util/err.h"

#include "load_priv.h"

#define MENTIONS_MAX 16

#define OF_USERS " NOT IN ('information_schema','performance_schema','mysql','sys')"

/* MySQL and MariaDB name the schema of the referenced table as that of its unique constraint. */
static const char KEYS_SQL[] =
    "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME"
    " FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA" OF_USERS
    " AND (UPDATE_RULE NOT IN ('NO ACTION','RESTRICT')"
    " OR DELETE_RULE NOT IN ('NO ACTION','RESTRICT'))";
static const char TRIGGERS_SQL[] =
    "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE,"
    " CHARACTER_SET_CLIENT FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA" OF_USERS;

/* Whose rows change by what commits, and by nothing else. Not MyISAM and its like: they do not wait for
 * a COMMIT; not MEMORY: a restart empties it. */
static const char *const engines[] = {"InnoDB", "ROCKSDB"};

int load_engine_mark(struct catalogue_builder *builder, struct span schema, struct span name,
                     struct span engine)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (span_eq_text_nocase(engine, engines[i])) {
            return 0;
        }
    }
    return catalogue_builder_mark(
        builder, (enum catalogue_mark)(CATALOGUE_MARK_UNASKED | CATALOGUE_MARK_ALL), schema, name);
}

/* One name of a statement in schema. */
static int name_link(struct catalogue_builder *builder, const struct catalogue_name *from,
                     const struct facts_table *table)
{
    char bytes[2][LOAD_NAME_BYTES];
    struct catalogue_name to = {.schema = from->schema};

    if (!load_name_plain(table->name, bytes[0], &to.name) ||
        (table->schema.len > 0 && !load_name_plain(table->schema, bytes[1], &to.schema))) {
        return -WR_E_NOT_FOUND;
    }
    return catalogue_builder_link(builder, from, &to);
}

void load_view_link(struct catalogue_builder *builder, struct span schema, struct span name,
                    const struct facts *facts)
{
    struct catalogue_name from = {schema, name};
    int rc = 0;

    if ((facts->bits & (FACT(UNCACHEABLE) | FACT(CALLS))) != 0) {
        return; /* it stays without a mark, which is "not known" */
    }
    for (uint8_t i = 0; rc == 0 && i < facts->table_count; i++) {
        rc = name_link(builder, &from, &facts->tables[i]);
    }
    if (rc == 0) {
        rc = catalogue_builder_mark(builder, CATALOGUE_MARK_LINKED, schema, name);
    }
    (void)rc; /* as above */
}

static int mark_all(struct catalogue_builder *builder, const struct catalogue_name *table)
{
    int rc = catalogue_builder_mark(builder, CATALOGUE_MARK_ALL, table->schema, table->name);

    return rc == -WR_E_NOT_FOUND ? 0 : rc; /* what is not known is everything anyway */
}

static int keys_read(const struct load_source *source, struct catalogue_builder *builder,
                     struct load_report *report)
{
    struct db_rows *rows = NULL;
    int rc = 0;

    if (db_query(source->db, KEYS_SQL, &rows) < 0) {
        (void)snprintf(report->no_links, sizeof(report->no_links), "REFERENTIAL_CONSTRAINTS: %s",
                       db_error(source->db));
        return 0;
    }
    while (rc == 0 && db_rows_next(rows)) {
        struct catalogue_name child = {db_rows_get(rows, 0), db_rows_get(rows, 1)};
        struct catalogue_name parent = {db_rows_get(rows, 2), db_rows_get(rows, 3)};

        if (span_eq(child.schema, parent.schema) && span_eq(child.name, parent.name)) {
            rc = load_rowless_mark(builder, parent.schema, parent.name);
        }
        rc = rc < 0 ? rc : catalogue_builder_link(builder, &parent, &child);
        if (rc == -WR_E_NOT_FOUND) {
            rc = mark_all(builder, &parent);
        }
    }
    db_rows_free(rows);
    return rc;
}

/* All that its body names, whether it reads or writes that. */
static int trigger_link(const struct load_source *source, struct catalogue_builder *builder,
                        const struct db_rows *rows)
{
    struct catalogue_name table = {db_rows_get(rows, 0), db_rows_get(rows, 1)};
    struct span body = db_rows_get(rows, 2);
    struct classify_env env = {
        .flavour = source->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = source->version,
        .sql_mode = classify_mode_parse(db_rows_get(rows, 3)),
        .charset = classify_charset_parse(db_rows_get(rows, 4)),
        .schema = table.schema,
    };
    struct facts_table named[MENTIONS_MAX];
    size_t count = 0;
    int rc = 0;

    if (body.len == 0 || body.len > CLASSIFY_MAX_SQL ||
        (env.sql_mode & CLASSIFY_MODE_ORACLE) != 0 || env.charset == CLASSIFY_CS_UNKNOWN ||
        classify_may_call(body, &env) || classify_hides_writes(body, &env)) {
        return mark_all(builder, &table);
    }
    count = classify_mentions(body, &env, named, MENTIONS_MAX);
    if (count == MENTIONS_MAX) {
        return mark_all(builder, &table);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = name_link(builder, &table, &named[i]);
    }
    return rc == -WR_E_NOT_FOUND ? mark_all(builder, &table) : rc;
}

static int triggers_read(const struct load_source *source, struct catalogue_builder *builder,
                         struct load_report *report)
{
    struct db_rows *rows = NULL;
    int rc = 0;

    if (db_query(source->db, TRIGGERS_SQL, &rows) < 0) {
        (void)snprintf(report->no_links, sizeof(report->no_links), "TRIGGERS: %s",
                       db_error(source->db));
        return 0;
    }
    while (rc == 0 && db_rows_next(rows)) {
        /* SET NEW.column, of whatever else it does */
        rc = load_rowless_mark(builder, db_rows_get(rows, 0), db_rows_get(rows, 1));
        rc = rc < 0 ? rc : trigger_link(source, builder, rows);
    }
    db_rows_free(rows);
    return rc;
}

int load_links(const struct load_source *source, struct catalogue_builder *builder,
               struct load_report *report)
{
    int rc = 0;

    if (!source->wants_links) {
        catalogue_builder_no_lists(builder);
        return 0;
    }
    if (!report->sees_all || !report->sees_triggers) {
        (void)snprintf(report->no_links, sizeof(report->no_links),
                       "the monitor account has no %s on *.*",
                       report->sees_all ? "TRIGGER" : "SHOW VIEW");
    } else {
        rc = keys_read(source, builder, report);
        if (rc == 0 && report->no_links[0] == '\0') {
            rc = triggers_read(source, builder, report);
        }
    }
    if (report->no_links[0] != '\0') {
        catalogue_builder_no_lists(builder);
        return rc;
    }
    return rc < 0 ? rc : load_keys(source, builder, report);
}
