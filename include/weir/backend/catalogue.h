/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue - what the names in a statement mean on the primary.
 *
 * WHY       `SELECT * FROM v` writes when v is a view over a function that does. Only a name that
 *           is known to be a base table, or a view known to be harmless, may go to a replica.
 * OWNS      struct catalogue: its names.
 * THREADS   A catalogue is immutable once published. catalogue_ddl_*: any thread.
 * REENTRY   none
 * UNITS     none
 * ERRORS    Builder functions: 0, or a negative err code; a failed builder builds nothing.
 * BOUNDS    CATALOGUE_OBJECTS_MAX objects; a primary with more has its catalogue left "not loaded".
 *           Of CATALOGUE_NOTES_MAX functions a note is kept, each CATALOGUE_NOTE_MAX bytes at most.
 *           Of CATALOGUE_LISTS_MAX tables and views it is known what else is written or read, each
 *           CATALOGUE_LIST_MAX tables at most; CATALOGUE_LINKS_MAX in all. More is "not known".
 */
#ifndef WEIR_BACKEND_CATALOGUE_H
#define WEIR_BACKEND_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/snap.h"
#include "weir/util/str.h"

#define CATALOGUE_OBJECTS_MAX 2000000
#define CATALOGUE_NOTES_MAX   20000
#define CATALOGUE_NOTE_MAX    250
#define CATALOGUE_LISTS_MAX   65535
#define CATALOGUE_LIST_MAX    32
#define CATALOGUE_LINKS_MAX   400000
#define CATALOGUE_KEYS_MAX    4      /* of one table */
#define CATALOGUE_KEYS_ALL    400000 /* in all; tables beyond have none */

/* X(name, text). The first three are answers of a look-up only. */
#define CATALOGUE_KINDS(X)                                                          \
    X(NOT_LOADED, "the catalogue is not loaded")                                    \
    X(OUTDATED, "a definition has changed since the catalogue was read")            \
    X(UNKNOWN, "not a known name")                                                  \
    X(BASE_TABLE, "base table")                                                     \
    X(VIEW_HARMLESS, "view that only reads")                                        \
    X(VIEW_OTHER, "view that may do more than read, or is not understood")          \
    X(SEQUENCE, "sequence")                                                         \
    X(FUNCTION, "stored function that may do more than read, or is not understood") \
    X(FUNCTION_HARMLESS, "stored function that only reads")                         \
    X(FUNCTION_LISTED, "function that functions.replica vouches for")               \
    X(FUNCTION_FORBIDDEN, "function that functions.primary keeps on the primary")   \
    X(FUNCTION_LOADABLE, "loadable function: weir cannot look into it")             \
    X(PROCEDURE, "stored procedure")

enum catalogue_kind {
#define X(name, text) CATALOGUE_##name,
    CATALOGUE_KINDS(X)
#undef X
};

/*
 * Counts definitions that changed through weir, process-wide. Whoever relays a statement that could
 * change what a known name means bumps it twice: before the statement is sent (from here on the
 * loaded catalogue does not count) and again after its reply (a catalogue that was read in between
 * may have missed it). Then the monitor is poked to read the catalogue again.
 */
void catalogue_ddl_bump(void);
uint64_t catalogue_ddl_seen(void);

struct catalogue;

/* A counted reference more; returns its argument. */
const struct catalogue *catalogue_ref(const struct catalogue *cat);
void catalogue_unref(const struct catalogue *cat);

/*
 * What schema.name is. cat may be NULL (NOT_LOADED). ddl_seen is catalogue_ddl_seen(); a newer
 * value than the catalogue covers gives OUTDATED. Names are bytes as the statement holds them,
 * without quotes; case is folded when the primary folds it (lower_case_table_names 1 and 2). Only
 * ASCII is folded: any other difference of case makes a name unknown, which is the safe side.
 */
enum catalogue_kind catalogue_table(const struct catalogue *cat, uint64_t ddl_seen,
                                    struct span schema, struct span name);
/*
 * What a call of schema.name is: one of the FUNCTION kinds, or as above. A call without a schema
 * means a loadable function of that name if there is one, else the stored one of the session's
 * schema: give that as schema, and is_bare. Names of functions have no case.
 */
enum catalogue_kind catalogue_function(const struct catalogue *cat, uint64_t ddl_seen,
                                       struct span schema, struct span name, bool is_bare);
/* What more is to be said of it, for people; borrowed from cat; empty: nothing. */
struct span catalogue_function_note(const struct catalogue *cat, struct span schema,
                                    struct span name, bool is_bare);

/* --- what depends on what: for who keeps answers --- */

/* One table; the spans are borrowed from the catalogue. */
typedef void catalogue_table_fn(void *arg, struct span schema, struct span name);

/* A base table of an engine whose rows change by writes to its name, when these commit, and by nothing
 * else: no MERGE, no FEDERATED, and no MyISAM, which neither waits for a COMMIT nor knows a ROLLBACK. */
bool catalogue_is_cacheable_table(const struct catalogue *cat, uint64_t ddl_seen,
                                  struct span schema, struct span name);
/*
 * The base tables that a harmless view reads in the end, and the views on the way, whose definition
 * may change. False: not known
 * (not such a view; its rows depend on who asks or when; it calls a stored function; a table that
 * is not cacheable; too many), and fn was not called.
 */
bool catalogue_view_tables(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                           struct span name, catalogue_table_fn *fn, void *arg);
/*
 * What else a write to this base table may change, without itself: children by foreign keys that
 * act, and what triggers name, and so on from there. False: nobody can tell, take it for
 * everything; fn was not called. So it is for whatever is not a known base table.
 */
bool catalogue_also_written(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                            struct span name, catalogue_table_fn *fn, void *arg);

/* A column of whole numbers that rows are told apart by. */
struct catalogue_key {
    struct span column;
    uint16_t position; /* from 0, among the table's columns */
    bool is_unsigned;
    uint8_t bytes; /* 1, 2, 3, 4, 8 */
};

/*
 * Columns of a base table by which a write can be confined to rows: a write to rows with this value in
 * this column changes no other row, of no table, as long as it does not set the column. Not of tables
 * with triggers, with children by foreign keys that act, or with generated columns. Returns how many; 0:
 * none, or not known.
 */
size_t catalogue_keys(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                      struct span name, struct catalogue_key ret_keys[CATALOGUE_KEYS_MAX]);

uint64_t catalogue_generation(const struct catalogue *cat);
/* The value of catalogue_ddl_seen() that this catalogue covers. */
uint64_t catalogue_covers(const struct catalogue *cat);
/* How many objects of a kind; views over both verdicts are counted apart. */
size_t catalogue_count(const struct catalogue *cat, enum catalogue_kind kind);
/* Objects that are there but whose definition the monitor may not read (views: VIEW_OTHER). */
size_t catalogue_hidden_count(const struct catalogue *cat);
const char *catalogue_kind_text(enum catalogue_kind kind);

/* One that answers NOT_LOADED to everything, for the time before the first load. */
struct catalogue *catalogue_create_unloaded(void);

/* --- building: one thread, then published --- */
struct catalogue_builder;

/* fold: names are compared without case (lower_case_table_names 1, 2). NULL: no memory. */
struct catalogue_builder *catalogue_builder_create(bool fold);
void catalogue_builder_destroy(struct catalogue_builder *builder);
WR_NODISCARD int catalogue_builder_add(struct catalogue_builder *builder, enum catalogue_kind kind,
                                       struct span schema, struct span name);
/* Changes the kind of a table-like name added before (a view's verdict). -WR_E_NOT_FOUND. */
WR_NODISCARD int catalogue_builder_set(struct catalogue_builder *builder, enum catalogue_kind kind,
                                       struct span schema, struct span name);
/* Adds a function, or changes what it is; note (may be empty) is copied, cut to its bound. schema
 * is empty for a loadable one. */
WR_NODISCARD int catalogue_builder_function(struct catalogue_builder *builder,
                                            enum catalogue_kind kind, struct span schema,
                                            struct span name, struct span note);
/* What has been added so far: the builder as a look-up. */
enum catalogue_kind catalogue_builder_get(const struct catalogue_builder *builder,
                                          struct span schema, struct span name);
enum catalogue_kind catalogue_builder_get_function(const struct catalogue_builder *builder,
                                                   struct span schema, struct span name,
                                                   bool is_bare);
/* X(name, bit): what is said of a table or view that has been added. */
#define CATALOGUE_MARKS(X)                                                    \
    X(UNASKED, 0) /* its rows change by other ways than writes to its name */ \
    X(ALL, 1)     /* a write to it may change anything */                     \
    X(LINKED, 2)  /* a view: its links are all that it reads, whoever asks */ \
    X(ROWLESS, 3) /* a write may change other rows of it than those it names */

enum catalogue_mark {
#define X(name, bit) CATALOGUE_MARK_##name = 1 << (bit),
    CATALOGUE_MARKS(X)
#undef X
};

/* Of table-like names. -WR_E_NOT_FOUND. */
WR_NODISCARD int catalogue_builder_mark(struct catalogue_builder *builder, enum catalogue_mark mark,
                                        struct span schema, struct span name);
struct catalogue_name {
    struct span schema;
    struct span name;
};
/* A write to base table from may change to; or view from reads to. Both have been added, else
 * -WR_E_NOT_FOUND. */
WR_NODISCARD int catalogue_builder_link(struct catalogue_builder *builder,
                                        const struct catalogue_name *from,
                                        const struct catalogue_name *to);
/* Adds one that is not there yet, while the table has room; of a table that has been added. */
WR_NODISCARD int catalogue_builder_key(struct catalogue_builder *builder, struct span schema,
                                       struct span name, const struct catalogue_key *key);
/* Triggers, or foreign keys, are hidden from the monitor: no list of what is written is whole. */
void catalogue_builder_no_lists(struct catalogue_builder *builder);

void catalogue_builder_hidden(struct catalogue_builder *builder, size_t count);
/* Takes the builder apart, on success and on failure. NULL: no memory. */
struct catalogue *catalogue_builder_finish(struct catalogue_builder *builder, uint64_t generation,
                                           uint64_t covers);

#endif
