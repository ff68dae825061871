/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the one schema that a run lives in: made, looked at, dropped.
 *
 * WHY       A run on somebody's cluster leaves nothing, and touches nothing that was there.
 * OWNS      The schema, from schema_create() to schema_drop().
 * THREADS   One thread.
 * REENTRY   none
 * UNITS     none
 * ERRORS    0 or a negative err code; error has the words.
 * BOUNDS    Every wait ends.
 */
#ifndef WEIR_VERIFY_SCHEMA_PRIV_H
#define WEIR_VERIFY_SCHEMA_PRIV_H

#include <stddef.h>

#include "weir/util/attr.h"
#include "weir/verify/truth.h"
#include "weir/verify/verify.h"

#include "link_priv.h"

/* Picks a name that nobody has, makes the schema and its tables. */
WR_NODISCARD int schema_create(struct link *link, const struct verify_conf *conf,
                               char schema[VERIFY_SCHEMA_MAX], char *error, size_t cap);
/* Waits until reads of the new tables are answered wherever they go. */
WR_NODISCARD int schema_settle(struct link *link, const struct verify_conf *conf,
                               const char *schema, char *error, size_t cap);
/* Reads the truth, from the primary, in one snapshot. */
WR_NODISCARD int schema_truth(struct link *link, const char *schema, struct truth *truth,
                              char *error, size_t cap);
/* Refuses any name but one of schema_create()'s kind. */
WR_NODISCARD int schema_drop(struct link *link, const char *schema, char *error, size_t cap);

#endif
