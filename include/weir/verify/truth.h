/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth - what is in the database when everything has come to rest, and in which order it came.
 *
 * WHY       Reads are judged against the order of commits on the primary that is left.
 * OWNS      Its tables.
 * THREADS   One thread.
 * REENTRY   none
 * UNITS     none
 * ERRORS    0 or a negative err code.
 * BOUNDS    HISTORY_KEYS_MAX registers, HISTORY_MAX commits.
 */
#ifndef WEIR_VERIFY_TRUTH_H
#define WEIR_VERIFY_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"
#include "weir/verify/history.h"

/* What became of one op: it wrote a register, a row of the journal, or both. */
struct truth_commit {
    uint32_t op;
    uint32_t ver;       /* its (first) place among the commits of its key, from 1; 0: in none */
    uint32_t registers; /* how often it is in the record of a register */
    uint32_t rows;      /* how many rows of the journal it has */
    uint32_t rank;      /* its place among all commits, from 1; 0: not known */
    uint16_t key;
};

/* A register's commits in their order: order[ver - 1] is an op. */
struct truth_key {
    uint32_t *order;
    uint32_t count;
    uint32_t ver; /* as the register itself counts */
    uint32_t op;  /* that it holds */
};

struct truth {
    struct truth_key *keys;
    struct truth_commit *commits; /* by op, behind truth_index() */
    size_t commit_count;
    size_t commit_cap;
    int64_t sum; /* of all accounts: it never changes */
    uint16_t key_count;
    bool has_ranks;
};

void truth_init(struct truth *truth);
void truth_fini(struct truth *truth);
WR_NODISCARD int truth_set_keys(struct truth *truth, uint16_t key_count);
/* The register's own record: 8 hex digits for each commit, in the order of the commits. -WR_E_STATE:
 * it is none. */
WR_NODISCARD int truth_set_key(struct truth *truth, uint16_t key, uint32_t ver, uint32_t op,
                               struct span record);
WR_NODISCARD int truth_add_journal(struct truth *truth, uint32_t op, uint32_t count);
/* Behind the last of these: makes op findable. */
void truth_index(struct truth *truth);
/* Behind truth_index(): this op is the rank-th commit of all. Unknown ops are passed over. */
void truth_set_rank(struct truth *truth, uint32_t op, uint32_t rank);
/* NULL: nowhere. */
const struct truth_commit *truth_find(const struct truth *truth, uint32_t op);

#endif
