/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule - the operator's rules, compiled: which one is the first that a statement fits.
 *
 * WHY       A thousand rules must not cost a statement more than none: cheap conditions are bit sets
 *           over all rules, and a regular expression runs only where everything else holds.
 * OWNS      struct rules: its index, compiled expressions and a reference on its config; counted.
 *           struct rule_scratch: what matching needs beside, one for each thread.
 * THREADS   rules: any, read only once compiled. scratch and who: one thread at a time.
 * REENTRY   none
 * UNITS     Generations: any number that no two compiled sets in use share; 0 is nobody's.
 * ERRORS    rules_compile(): -WR_E_CONFIG with the mistakes in errs, -ENOMEM. Matching cannot fail:
 *           an expression that meets its limits does not match, and is counted.
 * BOUNDS    CONFIG_RULES_MAX rules; RULE_MATCH_LIMIT and RULE_HEAP_KIB for one expression on one
 *           text; RULE_TABLES_MAX tables of a statement that is no read.
 */
#ifndef WEIR_ROUTE_RULE_H
#define WEIR_ROUTE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/classify/classify.h"
#include "weir/config/config.h"
#include "weir/util/attr.h"

#define RULE_MATCH_LIMIT 100000U
#define RULE_DEPTH_LIMIT 1000U
#define RULE_HEAP_KIB    512U
#define RULE_TABLES_MAX  64

struct rules;
struct rule_scratch;

/* Counts its mistakes into errs. Takes a reference on config. */
WR_NODISCARD int rules_compile(struct config *config, uint64_t generation,
                               struct config_errors *errs, struct rules **ret_rules);
const struct rules *rules_ref(const struct rules *rules);
/* NULL is fine. */
void rules_unref(const struct rules *rules);
uint64_t rules_generation(const struct rules *rules);
uint32_t rules_count(const struct rules *rules);
/* index below rules_count(); lives as long as rules. */
const struct config_rule *rules_get(const struct rules *rules, uint32_t index);
/* Some expression has no machine code: the system forbids to make any, and they are slow. */
bool rules_are_slow(const struct rules *rules);
/* Under which label a rule is counted; before rules are shared. 0 until set. */
void rules_set_label(struct rules *rules, uint32_t index, uint16_t label);
uint16_t rules_label(const struct rules *rules, uint32_t index);

WR_NODISCARD int rule_scratch_create(struct rule_scratch **ret_scratch);
/* NULL is fine. */
void rule_scratch_destroy(struct rule_scratch *scratch);

/* Which rules a session fits by its user and address; found once and kept by the session. Zeroed is
 * empty. */
struct rule_who {
    uint64_t *bits; /* owned; NULL: not needed */
    uint64_t generation;
};

/* The session has another user. */
void rule_who_reset(struct rule_who *who);

struct rule_input {
    const struct facts *facts;
    struct span sql;                /* the text of which facts are */
    const struct classify_env *env; /* by which it was; unused for a read with digest */
    struct span schema;             /* selected, plain; empty: none */
    struct span user;
    const char *host; /* the client's address as text */
    bool is_unix;     /* ... which says nothing then */
    /* in: known already; out: was found on the way */
    bool has_digest;
    uint64_t digest;
    /* out */
    uint32_t gave_up; /* expressions that met their limits */
};

/* The index of the first rule that fits, or -1. */
int rules_match(const struct rules *rules, struct rule_scratch *scratch, struct rule_who *who,
                struct rule_input *in);

/* What a named group of a rule's expression is in a text that it fits. 1: *ret_text, borrowed from it; 0:
 * it has no group of that name; -1: the group took no part, or the expression fits a second time, behind
 * the first. rule: of these rules. */
int rules_group(const struct rules *rules, struct rule_scratch *scratch,
                const struct config_rule *rule, struct span sql, struct span name,
                struct span *ret_text);

/* The words of rules[].class that look at every statement: bits in this order. */
#define RULE_GROUPS(X)            \
    X(READ, "read")               \
    X(WRITE, "write")             \
    X(DDL, "ddl")                 \
    X(TRANSACTION, "transaction") \
    X(OTHER, "other")

enum rule_group {
#define X(name, text) RULE_GROUP_##name,
    RULE_GROUPS(X)
#undef X
    RULE_GROUP_END_
};

/* Bits of the groups that a statement is in: at least one. */
unsigned rule_groups(const struct facts *facts);

#endif
