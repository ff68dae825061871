/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_list - what one worker's sessions are doing, as a copy to be read elsewhere.
 *
 * WHY       Operators ask about sessions of all workers; threads do not look into each other's.
 * OWNS      A list owns all that it shows; names of states are static.
 * THREADS   sess_set_list(): the worker. A list: whoever holds it.
 * REENTRY   none
 * UNITS     *_us: microseconds. bytes.
 * ERRORS    -ENOMEM
 * BOUNDS    max rows: busy, pinned and open transactions first, then as many others as fit. The
 *           counts are of all sessions.
 */
#ifndef WEIR_CLIENT_SESS_LIST_H
#define WEIR_CLIENT_SESS_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/classify/facts.h"
#include "weir/util/attr.h"

#define SESS_LIST_TRAIL 8

struct sess_set;

enum sess_list_tx {
    SESS_LIST_NO_TX,
    SESS_LIST_TX,         /* on the primary */
    SESS_LIST_TX_REPLICA, /* read-only, on a replica */
};

/* X(name, text): why an idle session has a connection. */
#define SESS_KEEPS(X)                                                  \
    X(TX, "transaction")                                               \
    X(NEXT_TX, "set_transaction")                                      \
    X(PIN, "pin")                                                      \
    X(STATEMENT, "statement") /* an open cursor, long data */          \
    X(FOUND_ROWS, "found_rows")                                        \
    X(DIAGNOSTICS, "diagnostics") /* warnings, until somebody waits */ \
    X(INSERT_ID, "last_insert_id")                                     \
    X(EXPIRED, "expired_password")

enum sess_keep {
#define X(name, text) SESS_KEEP_##name,
    SESS_KEEPS(X)
#undef X
    SESS_KEEP_END_
};

struct sess_list_row {
    uint32_t id;
    uint32_t commands;
    uint32_t pins;       /* PIN_BIT()s in force */
    uint32_t keeps;      /* 1 << enum sess_keep */
    uint64_t pin_digest; /* of the statement that pinned it first; 0: not known */
    uint64_t digest;     /* of the statement in hand; 0: none, or not known */
    uint64_t servers;    /* a bit for each server that it holds a connection to */
    uint64_t state_us;   /* for how long it has been in its state */
    uint64_t bytes_in;
    uint64_t bytes_out;
    int16_t server; /* of the statement in hand; -1: none */
    /* what its reads must see, by GTIDs (src/route/README.md) */
    const char *waiting;  /* the kind of weir's own question that is under way; NULL: none */
    uint32_t token;       /* ranges, or domains, of its token */
    int16_t floor_server; /* it must see what this one showed it; -1: see has_floor */
    bool has_floor;       /* ... what a set says */
    bool is_blind;        /* what it wrote is not known: the primary until a window has ended */
    enum sess_list_tx tx;
    const char *state;
    const char *trail[SESS_LIST_TRAIL]; /* states before this one, newest first; NULL: none */
    char user[128];                     /* "" before login */
    char host[64];
    char schema[72];
};

struct sess_list {
    uint32_t sessions; /* of this worker */
    uint32_t pinned;   /* of them */
    uint32_t pins[PIN_END_];
    uint32_t count; /* of rows */
    struct sess_list_row rows[];
};

WR_NODISCARD int sess_set_list(const struct sess_set *set, uint32_t max,
                               struct sess_list **ret_list);
/* NULL is fine. */
void sess_list_free(struct sess_list *list);

#endif
