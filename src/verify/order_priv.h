/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order - which commit of a register must have been visible by when.
 *
 * WHY       Reads own writes, monotonic, global and bounded staleness are one question: the least
 *           version of a register that a read may show.
 * OWNS      Its tables; history and truth are borrowed.
 * THREADS   One thread.
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    One entry for each acknowledged write.
 */
#ifndef WEIR_VERIFY_ORDER_PRIV_H
#define WEIR_VERIFY_ORDER_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/verify/history.h"
#include "weir/verify/truth.h"

/* An acknowledged write: from end_us on the register is at ver or beyond. */
struct order_ack {
    uint64_t end_us;
    uint64_t begin_us;
    uint32_t op;
    uint32_t ver;
    uint16_t key;
};

struct order {
    struct order_ack *acks;  /* by key, then end_us; ver is the largest so far */
    struct order_ack *by_op; /* as they were, by op */
    size_t *first;           /* of each key in acks; one more than keys */
    uint32_t *ranks;         /* of each key's versions, all in a row */
    size_t *first_rank;      /* of each key in ranks */
    size_t count;
    bool has_ranks; /* each commit of a register has one, and they grow with its versions */
};

WR_NODISCARD int order_init(struct order *order, const struct history *history,
                            const struct truth *truth);
void order_fini(struct order *order);

/* The version that was acknowledged to somebody before time_us; *ret_since_us: since when a newer
 * one than seen_ver was. */
uint32_t order_ver_at(const struct order *order, uint16_t key, uint64_t time_us);
uint64_t order_stale_since_us(const struct order *order, uint16_t key, uint32_t seen_ver);
/* The version of key when commit number rank was the last. */
uint32_t order_ver_at_rank(const struct order *order, const struct truth *truth, uint16_t key,
                           uint32_t rank);
/* When this write was sent off; false: nobody knows of it. */
bool order_begin_us(const struct order *order, uint32_t op, uint64_t *ret_begin_us);

#endif
