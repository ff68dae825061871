/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history - what clients asked, when, and what they were told.
 *
 * WHY       Promises about reads and writes are judged behind the fact, from what was seen outside.
 * OWNS      Its events.
 * THREADS   One thread writes one history; they are put together when all are done.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    0 or a negative err code.
 * BOUNDS    HISTORY_MAX events, then -WR_E_LIMIT.
 */
#ifndef WEIR_VERIFY_HISTORY_H
#define WEIR_VERIFY_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/util/attr.h"

#define HISTORY_MAX      4000000
#define HISTORY_KEYS_MAX 4096

/* X(name, text) */
#define HISTORY_KINDS(X)                                                        \
    X(WRITE, "write")   /* key, op: a new value of a register, by a commit */   \
    X(ABORT, "abort")   /* key, op: the same, rolled back on purpose       */   \
    X(INSERT, "insert") /* op: a row of the journal                        */   \
    X(READ, "read")     /* key: ver and seen are what was there            */   \
    X(COUNT, "count")   /* op: value rows of the journal, own insert       */   \
    X(SUM, "sum")       /* value: the sum of all accounts                  */   \
    X(STATE, "state")   /* value: a bit for each thing that is not as set  */   \
    X(PEEK, "peek")     /* value: rows of a table that this user may not see */ \
    X(OTHER, "other")   /* connect, reset, begin, ...                      */   \
    X(FAULT, "fault")   /* somebody disturbed the servers from begin to end */

/* X(name, text) */
#define HISTORY_OUTCOMES(X)                                           \
    X(OK, "ok")                                                       \
    X(FAIL, "fail")       /* it did not happen                     */ \
    X(UNKNOWN, "unknown") /* it may have happened, or may happen yet */

/* clang-format off */
enum history_kind {
#define X(name, text) HISTORY_##name,
    HISTORY_KINDS(X)
#undef X
    HISTORY_KIND_END_
};
enum history_outcome {
#define X(name, text) HISTORY_##name,
    HISTORY_OUTCOMES(X)
#undef X
    HISTORY_OUTCOME_END_
};
/* clang-format on */

#define HISTORY_F_SWAPPED  1U  /* the answer is another question's: its tag or its shape is wrong */
#define HISTORY_F_STATE    2U  /* a read that was made in another session state than its own */
#define HISTORY_F_TX       4U  /* in a read-only transaction: begin_us is when that was begun */
#define HISTORY_F_PREPARED 8U  /* by the binary protocol */
#define HISTORY_F_ERRORS   16U /* of a fault: clients may see errors */
#define HISTORY_F_LOSSY    32U /* of a fault: what was acknowledged may get lost */

/* The instant at which a commit took effect lies between begin and end. */
struct history_event {
    uint64_t begin_us;
    uint64_t end_us;
    int64_t value;
    uint32_t session; /* one connection, from login to the end */
    uint32_t op;      /* what was written: never the same twice; 0: nothing */
    uint32_t ver;     /* how many commits the register had seen */
    uint32_t seen;    /* the op that the register held; 0: never written */
    uint32_t server;  /* who answered, as the data says; 0: not known */
    uint16_t key;
    uint16_t thread;
    uint16_t error; /* the error's number */
    uint8_t kind;
    uint8_t outcome;
    uint8_t flags;
};

struct history {
    struct history_event *events;
    size_t count;
    size_t cap;
};

void history_init(struct history *history);
void history_fini(struct history *history);
WR_NODISCARD int history_add(struct history *history, const struct history_event *event);
/* All of from behind what is there, in its order. */
WR_NODISCARD int history_append(struct history *history, const struct history *from);

const char *history_kind_text(enum history_kind kind);
const char *history_outcome_text(enum history_outcome outcome);

/* One line an event: for whoever looks into a violation. */
void history_print_event(FILE *out, const struct history_event *event);

#endif
