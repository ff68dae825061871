/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost - what a promotion may have lost although it was acknowledged.
 *
 * WHY       Where servers replicate asynchronously, such writes are legal losses, and whoever had
 *           seen them had seen no ghosts. Nobody else's are.
 * OWNS      Its tables; history and truth are borrowed.
 * THREADS   One thread.
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    One entry for each write.
 */
#ifndef WEIR_VERIFY_LOST_PRIV_H
#define WEIR_VERIFY_LOST_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/verify/history.h"
#include "weir/verify/truth.h"

struct lost {
    uint32_t *ops; /* by value */
    size_t count;
    uint64_t end_us; /* of the last fault that may lose anything; 0: none */
};

/* margin_us: how long before the first such fault replicas may have been behind. */
WR_NODISCARD int lost_init(struct lost *lost, const struct history *history,
                           const struct truth *truth, uint64_t margin_us);
void lost_fini(struct lost *lost);

/* This op was written while writes could get lost, did not fail, and is not there. */
bool lost_has(const struct lost *lost, uint32_t op);

#endif
