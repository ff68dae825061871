/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acked - what a worker's sessions have been told is committed, in the last seconds.
 *
 * WHY       What a primary acknowledged behind its last probe is known to nobody else when it dies.
 * OWNS      Two small sets.
 * THREADS   The worker.
 * REENTRY   none
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    none: what cannot be noted is not counted as lost later.
 * BOUNDS    ACKED_RANGES ranges; of one source more become one, from its first number to its last: a
 *           primary commits those between as well.
 */
#ifndef WEIR_CLIENT_ACKED_PRIV_H
#define WEIR_CLIENT_ACKED_PRIV_H

#include <stdint.h>

#include "weir/protocol/gtid.h"

#define ACKED_RANGES 8U

struct acked {
    struct gtid_set sets[2]; /* the present one, and the one before it */
    uint64_t began_us;       /* of the present one */
};

void acked_fini(struct acked *acked);
/* These were answered for at now_us. They are kept for keep_us at least, and twice that at most. */
void acked_note(struct acked *acked, const struct gtid_set *fresh, uint64_t now_us,
                uint64_t keep_us);
/* All that is kept, into *ret_set (initialised), and forgotten here. */
void acked_take(struct acked *acked, struct gtid_set *ret_set);

#endif
