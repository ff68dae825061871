/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link - one client connection, as an application has it, by the client library.
 *
 * WHY       What is promised to applications is tried through the library that they use.
 * OWNS      Its connection and what is prepared on it.
 * THREADS   One thread for each link; link_thread_init/fini around all use in a thread.
 * REENTRY   none
 * UNITS     timeout_s: seconds, for each wait on the network.
 * ERRORS    0, or -WR_E_SERVER_ERROR: link_error() has number and words.
 * BOUNDS    LINK_COLUMNS columns of LINK_CELL bytes are kept of a first row.
 */
#ifndef WEIR_VERIFY_LINK_PRIV_H
#define WEIR_VERIFY_LINK_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"
#include "weir/verify/verify.h"

#define LINK_COLUMNS 8
#define LINK_CELL    48
#define LINK_TEXT    320
#define LINK_STMTS   4

struct link;

/* The answer to one statement: its first row, its size. */
struct link_answer {
    uint64_t rows;
    unsigned columns; /* 0: an OK */
    char cells[LINK_COLUMNS][LINK_CELL];
    bool is_null[LINK_COLUMNS]; /* link_query() only */
};

WR_NODISCARD int link_library_init(void);
void link_library_fini(void);
void link_thread_init(void);
void link_thread_fini(void);

/* schema: NULL for none. On failure *ret_errno and error have the reason. */
WR_NODISCARD int link_open(const struct verify_target *target, const char *schema,
                           struct link **ret_link, unsigned *ret_errno, char error[LINK_TEXT]);
void link_close(struct link *link);

WR_NODISCARD int link_query(struct link *link, const char *sql, struct link_answer *ret_answer);
/* Prepared in this slot when it is not yet; parameters: a text and a number. */
WR_NODISCARD int link_execute(struct link *link, unsigned slot, const char *sql, const char *tag,
                              uint32_t number, struct link_answer *ret_answer);
/* All rows, one call each; cells are borrowed for the call. fn's negative code ends it. */
typedef int (*link_row_fn)(void *arg, const struct span *cells, unsigned count);
WR_NODISCARD int link_each(struct link *link, const char *sql, link_row_fn fn, void *arg);
WR_NODISCARD int link_reset(struct link *link);
/* The same user again: what COM_CHANGE_USER does beside. */
WR_NODISCARD int link_change_user(struct link *link, const struct verify_target *target,
                                  const char *schema);
/* Send a statement and go away without its answer. Closes the link. */
void link_abandon(struct link *link, const char *sql);

/* Of the last failure. */
unsigned link_errno(const struct link *link);
const char *link_error(const struct link *link);
/* The connection is of no more use. */
bool link_is_dead(const struct link *link);

#endif
