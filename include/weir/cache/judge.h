/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge - whether the answer to a statement may be kept, for how long, and if not, why not.
 *
 * WHY       A rule or a hint asks for it; whether it can be right is another question. Sessions and
 *           explanations ask the same function.
 * OWNS      none; a plan borrows the name of a share group, and the tags, from the rule.
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    none: a reason instead.
 * BOUNDS    CACHE_TTL_MAX_US for what a hint asks for.
 */
#ifndef WEIR_CACHE_JUDGE_H
#define WEIR_CACHE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/classify/facts.h"
#include "weir/config/config.h"
#include "weir/util/str.h"

#define CACHE_TTL_MAX_US (UINT64_C(31) * 86400 * 1000000)

/* X(name, text): why what was asked for is not done. As METRIC_SET_PASS. */
#define CACHE_PASSES(X)                                                                    \
    X(NO_CACHE_HINT, "a hint forbids it")                                                  \
    X(NOT_A_READ, "it is not a read that a replica may run")                               \
    X(NOT_REPEATABLE, "its answer may differ when it is asked again")                      \
    X(USER_VARIABLE, "it uses variables of its session")                                   \
    X(TRANSACTION, "a transaction is open, or about to be")                                \
    X(PINNED, "the session has state on its connection")                                   \
    X(AUTOCOMMIT_OFF, "autocommit is off: it begins a transaction")                        \
    X(ISOLATION, "the isolation level asks for more, or for less, than what is committed") \
    X(TABLE, "a name is not known to be a table whose writes are all seen")                \
    X(VIEW, "a view whose tables, or whose reader, are not known")                         \
    X(NAMES, "a name that cannot be compared")                                             \
    X(TOO_MANY_TABLES, "too many tables")                                                  \
    X(TOO_LARGE, "the statement is too large")                                             \
    X(LONG_DATA, "a parameter comes as long data")                                         \
    X(CURSOR, "its rows are fetched by a cursor, or it has several sets of parameters")    \
    X(STREAM, "coherence binlog, and the primary's binary log is not heard")               \
    X(HINTS_OFF, "a hint asks for it, and cache.hints is false")                           \
    X(TAG, "a value of its rule\'s tags is not told for certain by the statement")         \
    X(OTHER, "a value of a hint is not understood")

/* clang-format off */
enum cache_pass {
#define X(name, text) CACHE_PASS_##name,
    CACHE_PASSES(X)
#undef X
    CACHE_PASS_NONE, /* it may be kept */
};
/* clang-format on */

/* All borrowed for the call. */
struct cache_ask {
    const struct config_cache *conf;
    const struct config_rule *rule; /* the first that fits; NULL: none */
    const struct facts *facts;
    enum topo_isolation isolation;
    bool in_tx; /* or SET TRANSACTION waits for one */
    bool autocommit_off;
    bool is_pinned;
    bool is_cursor;
    bool has_long_data;
    bool is_heard; /* cache_stream_is_heard() */
};

struct cache_plan {
    enum cache_pass pass;
    enum config_coherence coherence;
    bool is_hinted; /* else the rule asks for it */
    bool is_by_row; /* cache_scope: row, where it can be proven */
    uint64_t ttl_us;
    uint64_t revalidate_us;          /* stale_while_revalidate */
    uint64_t error_us;               /* stale_if_error */
    size_t max_entry;                /* bytes */
    struct span share;               /* group of users; empty: each its own */
    const struct config_words *tags; /* of the rule; NULL: none */
    const char *match;               /* whose groups may be values of tags; NULL: none are */
    bool match_caseless;
};

/* False: nobody asks for it, and *ret_plan is not written. */
bool cache_judge(const struct cache_ask *ask, struct cache_plan *ret_plan);
const char *cache_pass_text(enum cache_pass pass);

#endif
