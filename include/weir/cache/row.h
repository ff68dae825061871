/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row - answers that hold rows with one value in a column, and writes that change no other rows.
 *
 * WHY       A write to one device need not end the answers about all others.
 * OWNS      none
 * THREADS   any; plain functions of their arguments.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none: what is not proven depends on the whole table, and writes all of it.
 * BOUNDS    CATALOGUE_KEYS_MAX columns of a table; values of CACHE_ROW_DIGITS digits; rows as
 *           version_writes_add_rows() has room for.
 */
#ifndef WEIR_CACHE_ROW_H
#define WEIR_CACHE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/explain.h"
#include "weir/cache/version.h"
#include "weir/cache/writes.h"

/* Whatever a server compares them as, double precision too, such numbers are equal only to themselves. */
#define CACHE_ROW_DIGITS 15U

/* What a read was found to be about: for explanations. */
struct cache_row {
    char column[64];
    char value[CACHE_ROW_DIGITS + 1];
};

/* Adds what the rows that a read is confined to depend on. False: it is not, and nothing was added. */
bool cache_row_lease(const struct version_board *board, const struct cache_lease_in *in,
                     struct version_lease *lease, struct cache_row *ret_row);
/* Adds the rows that a statement is confined to. False: it is not, and nothing was added. */
bool cache_row_write(struct version_writes *writes, const struct cache_writes_in *in,
                     struct span schema, struct span name);

/* For explanations: one of the columns that tell them. False: whole tables, or more. */
bool cache_row_explain(const struct cache_writes_in *in, struct cache_row *ret_row);

/* One row as it was, or as it became: a value for each of the keys; value.len 0: not told. */
struct cache_row_image {
    struct span schema;
    struct span name;
    const struct catalogue_key *keys;
    size_t key_count;
    const uint64_t *values; /* 0: none that is kept apart */
};

/* False: the whole table has been added. */
bool cache_row_add(struct version_writes *writes, const struct cache_row_image *image);

#endif
