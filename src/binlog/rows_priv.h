/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows - which rows a transaction in the log has changed, as far as its events tell.
 *
 * WHY       A write that ends only the answers about one row must not end them all when it comes back in
 *           the log.
 * OWNS      struct rows: the tables that the transaction's TABLE_MAP events have named.
 * THREADS   none of its own: the reader's.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    false: not understood; then whoever asks takes the whole table.
 * BOUNDS    ROWS_TABLES tables at a time, ROWS_COLUMNS columns of each; what is above is not understood.
 */
#ifndef WEIR_BINLOG_ROWS_PRIV_H
#define WEIR_BINLOG_ROWS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/version.h"
#include "weir/util/attr.h"

#include "event_priv.h"

#define ROWS_TABLES  8U
#define ROWS_COLUMNS 256U
#define ROWS_NAME    257U

struct rows_table {
    uint64_t id;
    bool is_whole; /* noted as a whole already */
    bool is_written;
    uint16_t columns;
    uint8_t types[ROWS_COLUMNS];
    uint16_t metadata[ROWS_COLUMNS];
    char schema[ROWS_NAME];
    char name[ROWS_NAME];
    size_t key_count;
    struct catalogue_key keys[CATALOGUE_KEYS_MAX]; /* column: borrowed from key_names */
    char key_names[CATALOGUE_KEYS_MAX][ROWS_NAME];
};

struct rows {
    uint32_t count;
    struct rows_table tables[ROWS_TABLES];
};

struct span rows_schema(const struct rows_table *table);
struct span rows_name(const struct rows_table *table);

/* TABLE_MAP, into the place of an earlier one with its id, or a new one. NULL: there is no room. A table
 * that is not understood is_whole. keys are copied. */
struct rows_table *rows_map(struct rows *rows, const struct event *event,
                            const struct catalogue_key *keys, size_t key_count);
/* NULL: none of that id. */
struct rows_table *rows_find(struct rows *rows, const struct event *event);
/* WRITE, UPDATE and DELETE_ROWS of either version. False: not understood; something may have been added,
 * and the whole table has to be. */
WR_NODISCARD bool rows_read(const struct event *event, const struct rows_table *table,
                            struct version_writes *writes);

#endif
