/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag - how far a replica is behind, from everything that is known. Pure.
 *
 * WHY       Every single source lies at times: Seconds_Behind is 0 while the receiver hangs, NULL
 *           when it is stopped, and counts whole seconds. Together they do not.
 * OWNS      struct lag_trail: where the primary was, and when.
 * THREADS   The verdict thread only.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(). Stamps of heartbeats: microseconds of whatever
 *           clock wrote them, only ever compared with each other.
 * ERRORS    Not known is not eligible, with a reason; it is never zero.
 * BOUNDS    NOTES_MAX places, and as many of each heartbeat row.
 */
#ifndef WEIR_MONITOR_LAG_PRIV_H
#define WEIR_MONITOR_LAG_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "notes_priv.h"
#include "sample_priv.h"

/* A row that has stood still on the primary for so long is nobody's heart. */
#define LAG_BEAT_STALE_US UINT64_C(10000000)

/* One heartbeat row as the primary shows it. */
struct lag_beats {
    uint64_t key;
    bool has_moved; /* at least once while weir looked */
    struct notes notes;
};

struct lag_trail {
    char uuid[SAMPLE_ID_MAX];
    uint64_t server_id;
    uint64_t begin_us;          /* the primary's first sample: its begin */
    uint64_t last_us;           /* ... and its newest */
    char base[SAMPLE_FILE_MAX]; /* of its binary log */
    struct notes log;
    struct lag_beats beats[SAMPLE_BEATS_MAX];
    uint8_t beat_count;
};

void lag_trail_init(struct lag_trail *trail);
/* A good sample of the primary. A primary of another identity starts the trail anew. */
void lag_trail_add(struct lag_trail *trail, const struct sample *primary);
/* At least one heartbeat row moves on the primary. */
bool lag_trail_is_beating(const struct lag_trail *trail);

struct lag_verdict {
    enum topo_why why; /* NONE: the lag is known and the threads run */
    uint64_t lag_us;   /* TOPO_LAG_UNKNOWN */
    uint64_t resolution_us;
    enum topo_lag_source source; /* whose word lag_us is */
    uint64_t by_us[TOPO_LAG_SOURCE_COUNT];
};

/* is_primary_down: the primary is judged down, so that a receiver that cannot reach it is no sign
 * of a fault of its own. interval_us: distance of samples. */
struct lag_verdict lag_judge(const struct lag_trail *trail, const struct sample *replica,
                             bool is_primary_down, uint64_t interval_us);

#endif
