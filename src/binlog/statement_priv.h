/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement - what a statement in the log has written.
 *
 * WHY       Definitions, and data in the formats STATEMENT and MIXED, are logged as text.
 * OWNS      none
 * THREADS   any; pure functions of their arguments.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none: what is not understood has written everything.
 * BOUNDS    STATEMENT_TABLES_MAX names; more are everything.
 */
#ifndef WEIR_BINLOG_STATEMENT_PRIV_H
#define WEIR_BINLOG_STATEMENT_PRIV_H

#include <stdbool.h>

#include "weir/cache/version.h"
#include "weir/classify/classify.h"

#include "event_priv.h"

#define STATEMENT_TABLES_MAX 16U

enum statement_part {
    STATEMENT_ALONE,  /* whole by itself, unless a transaction is open */
    STATEMENT_BEGINS, /* a transaction */
    STATEMENT_ENDS,
    STATEMENT_NOTHING, /* a savepoint, or about temporary tables */
};

/* For each table that a statement writes to. */
typedef void (*statement_table_fn)(void *arg, struct version_writes *writes, struct span schema,
                                   struct span name);

struct statement_env {
    enum classify_flavour flavour;
    uint32_t version;
    statement_table_fn on_table;
    void *arg;
};

/* Adds to writes. ret_is_ddl: a definition may have changed. text: of query, not compressed. */
enum statement_part statement_read(const struct event_query *query, struct span text,
                                   const struct statement_env *env, struct version_writes *writes,
                                   bool *ret_is_ddl);

#endif
