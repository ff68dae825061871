/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writes - which versions a statement bumps, and on which ones a read depends.
 *
 * WHY       Names in a statement and places on the board are not the same: views, foreign keys and
 *           triggers lie between. Who writes and who reads must agree on it.
 * OWNS      none
 * THREADS   any; plain functions of their arguments.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none: what is not understood writes everything, and is a reason not to keep a read.
 * BOUNDS    CACHE_WRITES_NAMES names in a statement, more are everything; else those of version.h.
 */
#ifndef WEIR_CACHE_WRITES_H
#define WEIR_CACHE_WRITES_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/cache/version.h"
#include "weir/classify/classify.h"
#include "weir/util/str.h"

#define CACHE_WRITES_NAMES 16U

struct cache_tag_in;
struct catalogue;

struct cache_writes_in {
    struct span sql; /* all that the command holds */
    const struct classify_env *env;
    const struct facts *facts; /* of sql */
    const struct catalogue *catalogue;
    uint64_t ddl_seen;
    struct span schema; /* the session's, plain; empty: none */
    bool has_temporary; /* the session has temporary tables: names that nobody else knows */
    /* of the same statement: then rows are told apart (row.h); NULL: tables only */
    const struct cache_tag_in *values;
};

/* Of a proven read: whether what it names only reads, too. Not for one that a replica runs: whoever
 * sends it there has asked. *ret_unknown: which name it is, when it is one of which nothing is known
 * and all others only read; else 0. */
bool cache_read_is_only(const struct cache_writes_in *in, uint32_t *ret_unknown);
/* The server's words for error 1146, behind a read that is not only one for that name: then nothing has
 * run. Names that are quoted otherwise than 'schema.name' are not found. */
bool cache_read_is_void(struct span text, uint32_t unknown);
/* Adds whatever the statement may change; of a proven read, and of what surely writes nothing: none.
 * For every statement that is relayed, before it is sent. Not for CALL and EXECUTE only: what they
 * run is not in the text, they are everything. */
void cache_writes_add(struct version_writes *writes, const struct cache_writes_in *in);
/* One table of which a row was written, and what else that write may have changed. */
void cache_writes_add_named(struct version_writes *writes, const struct catalogue *catalogue,
                            uint64_t ddl_seen, struct span schema, struct span name);

/* X(name, label, text): why a read is not kept */
#define CACHE_LEASE_WHYS(X)                                                                     \
    X(OK, "ok", "all that it reads from is known")                                              \
    X(CATALOGUE, "catalogue", "the catalogue is not loaded, or a definition has changed since") \
    X(TABLE, "table", "it names something that is not a known table")                           \
    X(VIEW, "view", "of a view it is not known what its rows depend on")                        \
    X(NAMES, "names", "a name without a schema, or with other letters than ASCII")              \
    X(TOO_MANY, "too_many", "it reads from more tables than are kept track of")                 \
    X(ENGINE, "engine", "the rows of a table change otherwise than by writes that commit")      \
    X(FUNCTION, "function", "it calls a stored or loadable function")

/* clang-format off */
enum cache_lease_why {
#define X(name, label, text) CACHE_LEASE_##name,
    CACHE_LEASE_WHYS(X)
#undef X
    CACHE_LEASE_END_
};
/* clang-format on */

/* Adds all that a proven read reads from, views resolved. CACHE_LEASE_OK is 0; else the lease is of
 * no use. */
enum cache_lease_why cache_lease_add_read(const struct version_board *board,
                                          struct version_lease *lease,
                                          const struct catalogue *catalogue, uint64_t ddl_seen,
                                          const struct facts *facts, struct span schema);
const char *cache_lease_why_name(enum cache_lease_why why);
const char *cache_lease_why_text(enum cache_lease_why why);

#endif
