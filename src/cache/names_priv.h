/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_priv - names of tables as they stand in statements, made plain.
 *
 * WHY       What is written and what is read has to be told apart by the same names.
 * OWNS      struct plain: the bytes; its spans point into itself.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    false: no name, or too long.
 * BOUNDS    NAME_BYTES
 */
#ifndef WEIR_CACHE_NAMES_PRIV_H
#define WEIR_CACHE_NAMES_PRIV_H

#include <stdbool.h>

#include "weir/classify/facts.h"
#include "weir/util/str.h"

#define NAME_BYTES 260

struct plain {
    char bytes[2][NAME_BYTES];
    struct span schema;
    struct span name;
};

/* The names of a table as written, in a session of that schema. */
bool plain_get(const struct facts_table *table, struct span schema, struct plain *ret_plain);

#endif
