/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version - a board of versions: what cached results depend on, and whether it has changed since.
 *
 * WHY       A cached row is right as long as nothing that it was read from has been written. One
 *           counter for each table, schema and tag says so, whoever wrote; a reader compares it
 *           with what it was before the row was read.
 * OWNS      VERSION_SLOTS counters, about a mebibyte.
 * THREADS   Any, without locks. A lease and a set of writes belong to their session's thread.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    -ENOMEM; -WR_E_LIMIT: more dependencies than a lease has room for, do not cache.
 * BOUNDS    VERSION_LEASE_MAX dependencies; VERSION_WRITES_MAX places written, more are "all".
 *           Names that share a slot end each other's leases: results are asked for again, never
 *           kept too long.
 */
#ifndef WEIR_CACHE_VERSION_H
#define WEIR_CACHE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define VERSION_SLOTS      65536U
#define VERSION_LEASE_MAX  64U
#define VERSION_WRITES_MAX 32U

/* Everything depends on it: bumped when nobody can tell what has changed. */
#define VERSION_SLOT_ALL 0U

struct version_board;

WR_NODISCARD int version_board_create(struct version_board **ret_board);
void version_board_destroy(struct version_board *board); /* NULL is fine */

/*
 * Names are folded as ASCII, for some servers do so: tables that differ in case only share a slot.
 * Bytes beyond ASCII may be folded, too, by rules of the server's; see version_name_is_plain().
 */
uint32_t version_slot_schema(struct span schema);
uint32_t version_slot_table(struct span schema, struct span name);
/* Without case, and by the first 256 bytes. */
uint32_t version_slot_tag(struct span tag);

/* A row of a table is named by the value of one of its columns. */
struct version_row {
    struct span schema;
    struct span name;
    struct span column;
    struct span value; /* empty: not told */
};

/*
 * What a write is known to be confined to is told by three more places, beside which the table's own
 * is left alone:
 *   rows     some row of the table; answers that may hold any row depend on it
 *   column   rows of which the value of this column is not told
 *   row      rows with this value in this column
 * So an answer that holds rows with column = value only depends on table, column and row.
 */
uint32_t version_slot_rows(struct span schema, struct span name);
uint32_t version_slot_column(const struct version_row *row);
uint32_t version_slot_row(const struct version_row *row);
/* False: a byte that is not ASCII. A read of such a table is not cached, a write to it counts as
 * one to its schema, and a write to such a schema as one to everything. */
bool version_name_is_plain(struct span name);

/* --- what a result depends on --- */

struct version_held {
    uint32_t slot;
    uint64_t version;
};

/* Taken before the statement is sent; the result is right while it holds. */
struct version_lease {
    uint32_t count;
    struct version_held held[VERSION_LEASE_MAX];
};

/* Begins with VERSION_SLOT_ALL. */
void version_lease_begin(const struct version_board *board, struct version_lease *ret_lease);
/* The same slot twice is once. */
WR_NODISCARD int version_lease_add(const struct version_board *board, struct version_lease *lease,
                                   uint32_t slot);
/* The table, all its rows, its schema, and all. -WR_E_LIMIT also for a name that is not plain. */
WR_NODISCARD int version_lease_add_table(const struct version_board *board,
                                         struct version_lease *lease, struct span schema,
                                         struct span name);
/* The same for rows with that value only, which is told. */
WR_NODISCARD int version_lease_add_row(const struct version_board *board,
                                       struct version_lease *lease, const struct version_row *row);
/* Nothing that it depends on has been written since, and nothing is being written. */
bool version_lease_holds(const struct version_board *board, const struct version_held *held,
                         uint32_t count);
/* Nothing of these is being written. */
bool version_is_still(const struct version_board *board, const uint32_t *slots, uint32_t count);
/* When the last write to anything that it depends on was known to be over. A server whose state is
 * not known to be later than that may still show what was before. 0: never. */
uint64_t version_lease_written_us(const struct version_board *board,
                                  const struct version_lease *lease);

/* --- what is written --- */

/* What a statement, or a transaction so far, has written. Zeroed is none. */
struct version_writes {
    uint32_t count;
    bool is_all;   /* nobody can tell what else */
    bool is_under; /* between version_write_begin() and version_write_end() */
    uint32_t slots[VERSION_WRITES_MAX];
};

void version_writes_add(struct version_writes *writes, uint32_t slot);
void version_writes_add_table(struct version_writes *writes, struct span schema, struct span name);
/* Rows of one table and nothing else, named by each of its columns that may name rows. False: too many
 * places, and the table has been added instead. Names are plain. */
bool version_writes_add_rows(struct version_writes *writes, const struct version_row *rows,
                             uint32_t count);
void version_writes_add_all(struct version_writes *writes);
bool version_writes_is_empty(const struct version_writes *writes);

/* Before the statement that makes it visible (the write itself, or COMMIT) is sent. From here on no
 * lease on it holds. writes must not change until the end. */
void version_write_begin(struct version_board *board, struct version_writes *writes);
/* That statement is over, whatever came of it, also when nobody knows. Leaves writes empty. */
void version_write_end(struct version_board *board, struct version_writes *writes, uint64_t now_us);
/* In place of the end: none of it has happened. Leases from before hold again. */
void version_write_undo(struct version_board *board, struct version_writes *writes);
/* A write by somebody else, that is over. */
void version_bump(struct version_board *board, uint32_t slot, uint64_t now_us);

#endif
