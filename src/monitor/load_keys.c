/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns by which a write can be confined to rows: whole numbers in an index, for these have no collation
 * and one way of being written. That the index is unique is not needed: a write to rows with id = 5 changes
 * no row with id = 6, however many there are of either.
 */
#include <stdio.h>
#include <string.h>

#include "weir/util/err.h"

#include "load_priv.h"

/* Of a generated column nobody tells when it changes: its table is left out. */
static const char KEYS_SQL[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE,"
    " COALESCE(GENERATION_EXPRESSION, '') <> '' FROM information_schema.COLUMNS"
    " WHERE (COLUMN_KEY <> '' OR COALESCE(GENERATION_EXPRESSION, '') <> '') AND TABLE_SCHEMA"
    " NOT IN ('information_schema','performance_schema','mysql','sys')"
    " ORDER BY TABLE_SCHEMA, TABLE_NAME, COLUMN_KEY = 'PRI' DESC, COLUMN_KEY = 'UNI' DESC,"
    " ORDINAL_POSITION";

int load_rowless_mark(struct catalogue_builder *builder, struct span schema, struct span name)
{
    int rc = catalogue_builder_mark(builder, CATALOGUE_MARK_ROWLESS, schema, name);

    return rc == -WR_E_NOT_FOUND ? 0 : rc; /* what is not known has no rows to tell apart */
}

/* "bigint(20) unsigned zerofill": as both servers write it. */
static bool type_read(struct span type, struct catalogue_key *key)
{
    static const struct {
        const char *name;
        uint8_t bytes;
    } types[] = {{"tinyint", 1}, {"smallint", 2}, {"mediumint", 3}, {"int", 4}, {"bigint", 8}};
    char text[64];
    size_t len = 0;

    if (type.len >= sizeof(text)) {
        return false;
    }
    (void)span_copy(type, text, sizeof(text));
    len = strcspn(text, "( ");
    key->is_unsigned = strstr(text, " unsigned") != NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (len == strlen(types[i].name) && memcmp(text, types[i].name, len) == 0) {
            key->bytes = types[i].bytes;
            return true;
        }
    }
    return false;
}

static bool position_read(struct span text, uint16_t *ret_position)
{
    uint32_t value = 0;

    for (size_t i = 0; i < text.len && value <= UINT16_MAX; i++) {
        value = value * 10 + (uint32_t)(text.p[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX) {
        return false;
    }
    *ret_position = (uint16_t)(value - 1);
    return true;
}

static bool name_is_plain(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] >= 0x80) {
            return false;
        }
    }
    return name.len > 0;
}

static int key_add(struct catalogue_builder *builder, const struct db_rows *rows,
                   struct catalogue_name *last, size_t *count)
{
    struct catalogue_name table = {db_rows_get(rows, 0), db_rows_get(rows, 1)};
    struct catalogue_key key = {.column = db_rows_get(rows, 2)};
    int rc = 0;

    if (span_eq_text(db_rows_get(rows, 5), "1")) {
        return load_rowless_mark(builder, table.schema, table.name);
    }
    if (!span_eq(table.schema, last->schema) || !span_eq(table.name, last->name)) {
        *last = table;
        *count = 0;
    }
    if (*count == CATALOGUE_KEYS_MAX || !name_is_plain(key.column) ||
        !position_read(db_rows_get(rows, 3), &key.position) ||
        !type_read(db_rows_get(rows, 4), &key)) {
        return 0;
    }
    ++*count;
    rc = catalogue_builder_key(builder, table.schema, table.name, &key);
    return rc == -WR_E_NOT_FOUND ? 0 : rc;
}

int load_keys(const struct load_source *source, struct catalogue_builder *builder,
              struct load_report *report)
{
    struct catalogue_name last = {{NULL, 0}, {NULL, 0}};
    struct db_rows *rows = NULL;
    size_t count = 0;
    int rc = 0;

    if (db_query(source->db, KEYS_SQL, &rows) < 0) {
        (void)snprintf(report->error, sizeof(report->error), "information_schema.COLUMNS: %s",
                       db_error(source->db));
        return -WR_E_SERVER_ERROR;
    }
    while (rc == 0 && db_rows_next(rows)) {
        rc = key_add(builder, rows, &last, &count);
    }
    db_rows_free(rows);
    return rc;
}
