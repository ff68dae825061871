/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag - how far a replica is behind, from everything that is known. Pure.
 *
 * WHY       Every single source lies at times: Seconds_Behind is 0 while the receiver hangs, NULL
 *           when it is stopped, and counts whole seconds. Together they do not.
 * OWNS      struct lag_trail: where the primary's binary log was, and when.
 * THREADS   The verdict thread only.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    Not known is not eligible, with a reason; it is never zero.
 * BOUNDS    LAG_TRAIL_MAX places.
 */
#ifndef WEIR_MONITOR_LAG_PRIV_H
#define WEIR_MONITOR_LAG_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "sample_priv.h"

#define LAG_TRAIL_MAX 128

struct lag_point {
    struct log_place place;
    uint64_t seen_us;      /* first sample that found the log to end here: its begin */
    uint64_t last_seen_us; /* last sample that still did: its begin */
};

/* Oldest first; a ring would save nothing here. */
struct lag_trail {
    struct lag_point points[LAG_TRAIL_MAX];
    uint32_t count;
    char uuid[SAMPLE_ID_MAX];
    uint64_t server_id;
};

void lag_trail_init(struct lag_trail *trail);
/* A good sample of the primary. A primary of another identity starts the trail anew. */
void lag_trail_add(struct lag_trail *trail, const struct sample *primary);

struct lag_verdict {
    enum topo_why why; /* NONE: the lag is known and the threads run */
    uint64_t lag_us;   /* TOPO_LAG_UNKNOWN */
    uint64_t resolution_us;
};

/* is_primary_down: the primary is judged down, so that a receiver that cannot reach it is no sign
 * of a fault of its own. interval_us: distance of samples. */
struct lag_verdict lag_judge(const struct lag_trail *trail, const struct sample *replica,
                             bool is_primary_down, uint64_t interval_us);

#endif
