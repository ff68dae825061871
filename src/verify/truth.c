/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/verify/truth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"

#define RECORD_DIGITS 8

void truth_init(struct truth *truth)
{
    *truth = (struct truth){.keys = NULL};
}

void truth_fini(struct truth *truth)
{
    for (uint16_t i = 0; i < truth->key_count; i++) {
        free(truth->keys[i].order);
    }
    free(truth->keys);
    free(truth->commits);
    truth_init(truth);
}

int truth_set_keys(struct truth *truth, uint16_t key_count)
{
    if (key_count == 0 || key_count > HISTORY_KEYS_MAX || truth->keys != NULL) {
        return -WR_E_LIMIT;
    }
    truth->keys = calloc(key_count, sizeof(*truth->keys));
    if (truth->keys == NULL) {
        return -ENOMEM;
    }
    truth->key_count = key_count;
    return 0;
}

static int add(struct truth *truth, const struct truth_commit *commit)
{
    if (truth->commit_count == truth->commit_cap) {
        size_t cap = truth->commit_cap == 0 ? 1024 : truth->commit_cap * 2;
        struct truth_commit *grown = NULL;

        if (cap > HISTORY_MAX * 2U) {
            return -WR_E_LIMIT;
        }
        grown = realloc(truth->commits, cap * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        truth->commits = grown;
        truth->commit_cap = cap;
    }
    truth->commits[truth->commit_count++] = *commit;
    return 0;
}

static int parse_op(const uint8_t *digits, uint32_t *ret_op)
{
    uint32_t op = 0;

    for (unsigned i = 0; i < RECORD_DIGITS; i++) {
        uint8_t c = digits[i];
        uint32_t digit = 0;

        if (c >= '0' && c <= '9') {
            digit = c - (uint32_t)'0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - (uint32_t)'a' + 10;
        } else {
            return -WR_E_STATE;
        }
        op = op << 4 | digit;
    }
    *ret_op = op;
    return 0;
}

int truth_set_key(struct truth *truth, uint16_t key, uint32_t ver, uint32_t op, struct span record)
{
    size_t count = record.len / RECORD_DIGITS;
    struct truth_key *at = NULL;
    int rc = 0;

    if (key >= truth->key_count || record.len % RECORD_DIGITS != 0 || count > HISTORY_MAX ||
        truth->keys[key].order != NULL) {
        return -WR_E_STATE;
    }
    at = &truth->keys[key];
    at->order = calloc(count + 1, sizeof(*at->order));
    if (at->order == NULL) {
        return -ENOMEM;
    }
    at->ver = ver;
    at->op = op;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct truth_commit commit = {.key = key, .ver = (uint32_t)i + 1, .registers = 1};

        rc = parse_op(record.p + i * RECORD_DIGITS, &commit.op);
        if (rc == 0) {
            at->order[at->count++] = commit.op;
            rc = add(truth, &commit);
        }
    }
    return rc;
}

int truth_add_journal(struct truth *truth, uint32_t op, uint32_t count)
{
    const struct truth_commit commit = {.op = op, .rows = count};

    return add(truth, &commit);
}

/* Registers before the journal. */
static int by_op(const void *a, const void *b)
{
    const struct truth_commit *x = a;
    const struct truth_commit *y = b;

    if (x->op != y->op) {
        return x->op < y->op ? -1 : 1;
    }
    if ((x->ver == 0) != (y->ver == 0)) {
        return x->ver == 0 ? 1 : -1;
    }
    return x->ver < y->ver ? -1 : x->ver > y->ver;
}

/* One entry for each op. */
void truth_index(struct truth *truth)
{
    size_t used = 0;

    if (truth->commit_count > 0) {
        qsort(truth->commits, truth->commit_count, sizeof(*truth->commits), by_op);
    }
    for (size_t i = 0; i < truth->commit_count; i++) {
        const struct truth_commit *one = &truth->commits[i];
        struct truth_commit *last = used > 0 ? &truth->commits[used - 1] : NULL;

        if (last == NULL || last->op != one->op) {
            truth->commits[used++] = *one;
        } else {
            last->registers += one->registers;
            last->rows += one->rows;
        }
    }
    truth->commit_count = used;
}

static int by_op_key(const void *op, const void *commit)
{
    uint32_t a = *(const uint32_t *)op;
    uint32_t b = ((const struct truth_commit *)commit)->op;

    return a < b ? -1 : a > b;
}

const struct truth_commit *truth_find(const struct truth *truth, uint32_t op)
{
    if (truth->commit_count == 0) {
        return NULL;
    }
    return bsearch(&op, truth->commits, truth->commit_count, sizeof(*truth->commits), by_op_key);
}

void truth_set_rank(struct truth *truth, uint32_t op, uint32_t rank)
{
    const struct truth_commit *found = truth_find(truth, op);

    if (found != NULL) {
        truth->commits[found - truth->commits].rank = rank;
        truth->has_ranks = true;
    }
}
