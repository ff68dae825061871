/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict - is this server in or out, and how much work does it get. Pure.
 *
 * WHY       A single late answer must not take a server out, a dead one must not stay in, and one
 *           that comes back must not be given everything at once.
 * OWNS      none
 * THREADS   The verdict thread only.
 * REENTRY   none
 * UNITS     *_us: microseconds of the clock that is passed in. scale: of TOPO_WEIGHT_ONE.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_MONITOR_VERDICT_PRIV_H
#define WEIR_MONITOR_VERDICT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/topo.h"

#define VERDICT_SCALE_STEP (TOPO_WEIGHT_ONE / 16) /* regained per good sample: 4 s at 250 ms */

struct verdict_conf {
    uint64_t stale_us; /* the last good sample may be as old as this */
    uint64_t max_lag_us;
    uint64_t recover_lag_us; /* below this a late replica returns */
    uint32_t failures;
    uint32_t recover;
};

/* What a good sample says of a server's fitness for its role. */
struct verdict_health {
    enum topo_why why; /* NONE: fit, as far as it is not the lag */
    bool has_lag;      /* a replica, with lag known */
    uint64_t lag_us;
};

struct verdict {
    enum topo_state state;
    enum topo_why why;
    bool is_drained;
    bool is_down;  /* latched until enough good samples in a row */
    bool is_unfit; /* latched likewise: lag or replication */
    enum topo_why down_why;
    enum topo_why unfit_why;
    uint32_t fail_run; /* bad samples and reports since the last good sample */
    uint32_t good_run; /* good samples since the last bad one or report */
    uint32_t fit_run;  /* of these, fit and below recover_lag_us */
    uint32_t scale;
    uint64_t last_good_us;
};

void verdict_init(struct verdict *verdict);
/* at_us: when the sample was begun: an answer is as old as its question. */
void verdict_on_good(struct verdict *verdict, const struct verdict_conf *conf,
                     const struct verdict_health *health, uint64_t at_us);
void verdict_on_bad(struct verdict *verdict, const struct verdict_conf *conf);
/* A worker has seen it fail. Counts as a bad sample at once. */
void verdict_on_report(struct verdict *verdict, const struct verdict_conf *conf);
/* Time has passed: a probe that hangs is judged here. */
void verdict_tick(struct verdict *verdict, const struct verdict_conf *conf, uint64_t now_us);
void verdict_drain(struct verdict *verdict, bool is_drained);

#endif
