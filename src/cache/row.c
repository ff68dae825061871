/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read of one table with `column = 5` among its conditions holds rows with 5 in that column, and no
 * others. A write of one table with the same, that does not set the column, changes such rows, and no
 * others: before it and after it they have 5 there. So the two have to do with each other only when they
 * have the same value, as long as nothing but the statement changes rows (catalogue_keys()). Nothing of
 * that needs the column to be unique.
 *
 * A table may have several such columns. A read chooses one; a write has to answer for each of them, by
 * its value, or by "any".
 */
#include "weir/cache/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/classify/equal.h"

#include "names_priv.h"

static uint64_t most_of(const struct catalogue_key *key)
{
    uint64_t most = UINT64_MAX >> (64 - 8 * key->bytes);

    return key->is_unsigned ? most : most >> 1;
}

/* Not what is out of range: a server may make of it what it likes. */
static bool value_of(const struct cache_tag_in *in, const struct catalogue_key *key,
                     char digits[STMT_DIGITS_MAX], struct span *ret_value)
{
    struct cache_tag_in proven = *in;
    uint64_t value = 0;

    proven.group = NULL; /* of what an expression finds it is not known what it is compared with */
    if (!cache_tag_value(&proven, key->column, digits, ret_value) ||
        ret_value->len > CACHE_ROW_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < ret_value->len; i++) {
        uint8_t c = ret_value->p[i];

        if (c < '0' || c > '9') {
            return false; /* a word is equal to 0 there */
        }
        value = value * 10 + (uint64_t)(c - '0');
    }
    return value > 0 && value <= most_of(key);
}

static bool is_plain(struct span schema, struct span name)
{
    return version_name_is_plain(schema) && version_name_is_plain(name);
}

static void row_copy(const struct version_row *row, struct cache_row *ret_row)
{
    (void)span_copy(row->column, ret_row->column, sizeof(ret_row->column));
    (void)span_copy(row->value, ret_row->value, sizeof(ret_row->value));
}

bool cache_row_lease(const struct version_board *board, const struct cache_lease_in *in,
                     struct version_lease *lease, struct cache_row *ret_row)
{
    const struct facts *facts = in->statement.facts;
    struct catalogue_key keys[CATALOGUE_KEYS_MAX];
    struct version_lease before = *lease;
    struct facts_table table;
    struct plain plain;
    size_t count = 0;

    if ((facts->bits & FACT(READ)) == 0 || facts->table_count != 1 ||
        !equal_table(in->statement.sql, in->statement.env, facts, &table) ||
        !plain_get(&table, in->schema, &plain) || !is_plain(plain.schema, plain.name) ||
        !catalogue_is_cacheable_table(in->catalogue, in->ddl_seen, plain.schema, plain.name)) {
        return false;
    }
    count = catalogue_keys(in->catalogue, in->ddl_seen, plain.schema, plain.name, keys);
    for (size_t i = 0; i < count; i++) {
        struct version_row row = {plain.schema, plain.name, keys[i].column, {NULL, 0}};
        char digits[STMT_DIGITS_MAX];

        if (value_of(&in->statement, &keys[i], digits, &row.value)) {
            if (version_lease_add_row(board, lease, &row) < 0) {
                *lease = before;
                return false;
            }
            row_copy(&row, ret_row);
            return true;
        }
    }
    return false;
}

struct told {
    char digits[CATALOGUE_KEYS_MAX][STMT_DIGITS_MAX];
    struct catalogue_key keys[CATALOGUE_KEYS_MAX];
    struct version_row rows[CATALOGUE_KEYS_MAX];
    size_t count;
};

/* One for each column of the table by which rows are told apart. False: none has a value. */
static bool rows_of(const struct cache_writes_in *in, struct span schema, struct span name,
                    struct told *told)
{
    struct facts_table table;
    bool is_told = false;

    if (in->values == NULL || !is_plain(schema, name) ||
        !equal_table(in->sql, in->env, in->facts, &table)) {
        return false;
    }
    told->count = catalogue_keys(in->catalogue, in->ddl_seen, schema, name, told->keys);
    for (size_t i = 0; i < told->count; i++) {
        struct version_row *row = &told->rows[i];

        *row = (struct version_row){schema, name, told->keys[i].column, {NULL, 0}};
        if (value_of(in->values, &told->keys[i], told->digits[i], &row->value)) {
            is_told = true;
        } else {
            row->value.len = 0;
        }
    }
    return is_told;
}

bool cache_row_write(struct version_writes *writes, const struct cache_writes_in *in,
                     struct span schema, struct span name)
{
    struct told told;

    return rows_of(in, schema, name, &told) &&
           version_writes_add_rows(writes, told.rows, (uint32_t)told.count);
}

bool cache_row_explain(const struct cache_writes_in *in, struct cache_row *ret_row)
{
    struct facts_table table;
    struct plain plain;
    struct told told;

    if (!equal_table(in->sql, in->env, in->facts, &table) ||
        !plain_get(&table, in->schema, &plain) || classify_may_call(in->sql, in->env) ||
        !rows_of(in, plain.schema, plain.name, &told)) {
        return false;
    }
    for (size_t i = 0; i < told.count; i++) {
        if (told.rows[i].value.len > 0) {
            row_copy(&told.rows[i], ret_row);
            return true;
        }
    }
    return false;
}

bool cache_row_add(struct version_writes *writes, const struct cache_row_image *image)
{
    char digits[CATALOGUE_KEYS_MAX][STMT_DIGITS_MAX];
    struct version_row rows[CATALOGUE_KEYS_MAX];

    for (size_t i = 0; i < image->key_count; i++) {
        int len = 0;

        rows[i] =
            (struct version_row){image->schema, image->name, image->keys[i].column, {NULL, 0}};
        if (image->values[i] != 0) {
            len = snprintf(digits[i], STMT_DIGITS_MAX, "%" PRIu64, image->values[i]);
        }
        if (len > 0 && (unsigned)len <= CACHE_ROW_DIGITS) {
            rows[i].value = (struct span){(const uint8_t *)digits[i], (size_t)len};
        }
    }
    return version_writes_add_rows(writes, rows, (uint32_t)image->key_count);
}
