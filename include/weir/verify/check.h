/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - a history and the truth in, broken promises out.
 *
 * WHY       The judge is pure, so that tables of small histories can show that it sees.
 * OWNS      none: a report is the caller's, and speaks of events by their index.
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code; a broken promise is no error.
 * BOUNDS    CHECK_SHOWN_EACH violations of a rule are told of, all are counted. Time: n log n.
 */
#ifndef WEIR_VERIFY_CHECK_H
#define WEIR_VERIFY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/util/attr.h"
#include "weir/verify/history.h"
#include "weir/verify/truth.h"

#define CHECK_SHOWN_EACH 5 /* of one rule */
#define CHECK_TEXT_MAX   192

/* X(name, text) */
#define CHECK_RULES(X)                                                                           \
    X(K1, "a session reads what it wrote, or newer")                                             \
    X(K2, "what a session reads never gets older")                                               \
    X(K3, "what was acknowledged is there")                                                      \
    X(K4, "nothing is done twice, and nothing that failed is done")                              \
    X(K5, "only what was committed is read")                                                     \
    X(K6, "a transaction is seen, and done, whole or not at all")                                \
    X(K7, "a session has its own state, and nobody else's")                                      \
    X(K8, "an answer is the answer to its question")                                             \
    X(K9, "a user sees no row that was not granted to it")                                       \
    X(K10, "everybody reads what anybody wrote before, or newer")                                \
    X(K11, "no read is older than the bound")                                                    \
    X(K12, "everything is answered in time, and without an error unless something is disturbed") \
    X(K13, "the run has tried what it claims to try")                                            \
    X(K14, "a read-only transaction sees one moment of the order of commits")

/* clang-format off */
enum check_rule {
#define X(name, text) CHECK_##name,
    CHECK_RULES(X)
#undef X
    CHECK_RULE_END_
};
/* clang-format on */

#define CHECK_SHOWN_MAX (CHECK_SHOWN_EACH * CHECK_RULE_END_)
#define CHECK_BIT(rule) (UINT32_C(1) << (rule))
/* What holds whatever the mode: all but reads of the session's own writes, monotonic reads and
 * reads of everybody's writes. */
#define CHECK_ALWAYS                                                                  \
    ((CHECK_BIT(CHECK_RULE_END_) - 1) & ~CHECK_BIT(CHECK_K1) & ~CHECK_BIT(CHECK_K2) & \
     ~CHECK_BIT(CHECK_K10))

struct check_conf {
    uint32_t enforced;       /* CHECK_BIT()s; the others are counted, and forgiven */
    uint64_t stale_us;       /* K11's bound; 0: none */
    uint64_t timeout_us;     /* K12: an operation takes no longer */
    uint64_t heal_us;        /* K12: how long after a fault errors are forgiven */
    uint32_t primary;        /* its number in the data, with has_servers */
    uint32_t min_reads;      /* K13 */
    uint32_t min_stale;      /* K13: reads that were older than the newest commit */
    uint64_t asked;          /* of how many reads weir was asked where they would go */
    uint64_t asked_replicas; /* of these, to a replica */
    uint8_t min_replica_pct; /* K13: by has_servers, else by asked */
    bool has_servers;        /* reads tell who answered */
};

struct check_violation {
    enum check_rule rule;
    size_t event; /* index in the history; SIZE_MAX: no single one */
    char text[CHECK_TEXT_MAX];
};

struct check_report {
    uint64_t counts[CHECK_RULE_END_];
    struct check_violation shown[CHECK_SHOWN_MAX]; /* of enforced rules */
    size_t shown_count;
    uint32_t broken; /* CHECK_BIT()s of enforced rules */
    /* what there was */
    uint64_t reads;         /* of registers, answered */
    uint64_t replica_reads; /* of these, by another server than the primary */
    uint64_t stale_reads;   /* of these, older than what had been acknowledged to somebody */
    uint64_t stale_max_us;  /* by how much, at most */
    uint64_t writes;        /* acknowledged */
    uint64_t unknown;       /* writes of which nobody knows */
    uint64_t lost;          /* writes that were acknowledged, and that a promotion could lose */
    uint64_t lost_reads;    /* reads that had seen one of these before */
    uint64_t lost_sessions; /* sessions that had written one of these and read afterwards */
    uint64_t errors;        /* operations that failed or are unknown */
    uint64_t errors_calm;   /* of these, while nothing was disturbed */
    uint64_t slowest_us;
    size_t slowest; /* its event */
    bool has_order; /* K2 was judged by the order of all commits, not by time */
};

/* history: the events of a session stand together, in their order. truth: indexed. */
WR_NODISCARD int check_run(const struct history *history, const struct truth *truth,
                           const struct check_conf *conf, struct check_report *ret_report);

const char *check_rule_name(enum check_rule rule);
const char *check_rule_text(enum check_rule rule);
/* A line for each rule, and the violations; ret: 0 all kept, 1 not. */
int check_print(const struct check_report *report, const struct check_conf *conf, FILE *out);

#endif
