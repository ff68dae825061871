/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balance - one of several eligible servers: by weight, by pending work, or by latency.
 *
 * WHY       Slow replicas must get less, without any worker waiting for another's numbers.
 * OWNS      none; struct balance_load belongs to its worker.
 * THREADS   The owning worker for a load; balance_pick() is a pure function.
 * REENTRY   none
 * UNITS     *_us: microseconds. weight: 1/TOPO_WEIGHT_ONE.
 * ERRORS    -1: nothing to pick from.
 * BOUNDS    TOPO_SERVERS_MAX servers.
 */
#ifndef WEIR_ROUTE_BALANCE_H
#define WEIR_ROUTE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/config/config.h"

/* What one worker knows of its own statements on each server. Zeroed is fresh. */
struct balance_load {
    uint32_t pending[TOPO_SERVERS_MAX]; /* sent, reply not complete */
    uint32_t ewma_us[TOPO_SERVERS_MAX]; /* peak EWMA of time to first byte; 0: none yet */
    uint64_t ewma_at_us[TOPO_SERVERS_MAX];
};

struct balance_choice {
    int16_t server;
    uint32_t weight; /* > 0 */
};

/*
 * weighted_random: probability = weight / sum of weights.
 * least_pending:   the smallest (pending + 1) / weight; ties by random.
 * latency:         of two drawn by weight, the one with the smaller ewma x (pending + 1).
 * load may be NULL: then all are as idle and as fast. random: 64 fresh random bits.
 */
int16_t balance_pick(enum config_policy policy, const struct balance_choice *choices, size_t count,
                     const struct balance_load *load, uint64_t now_us, uint64_t random);

void balance_sent(struct balance_load *load, int16_t server);
/* The reply is complete, or will never be. */
void balance_done(struct balance_load *load, int16_t server);
/* Time from command to first byte of the reply. A rise counts at once, a fall by and by. */
void balance_record(struct balance_load *load, int16_t server, uint64_t latency_us,
                    uint64_t now_us);
/* The average as of now: it fades, so that a server that was slow is tried again. */
uint32_t balance_latency_us(const struct balance_load *load, int16_t server, uint64_t now_us);

#endif
