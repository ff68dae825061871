/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - how many connections weir holds to each server, across all workers.
 *
 * WHY       servers[].max_connections is a promise to the server; workers open on their own. And
 *           who has waited longest comes first, whichever worker it waits in.
 * OWNS      One atomic count per server, since when each worker's first waiter waits for it, and
 *           which workers may have one to spare.
 * THREADS   Any. This is one of the few things that threads share.
 * REENTRY   none
 * UNITS     connections; *_us: microseconds of the monotonic clock.
 * ERRORS    -WR_E_LIMIT when the server's limit is reached, -ENOMEM.
 * BOUNDS    SLOTS_SERVERS_MAX servers, SLOTS_WORKERS_MAX workers.
 */
#ifndef WEIR_POOL_SLOTS_H
#define WEIR_POOL_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define SLOTS_SERVERS_MAX 128
#define SLOTS_WORKERS_MAX 64

struct slots;

/* max[i]: the limit of server i; 0: none. */
WR_NODISCARD int slots_create(const uint32_t *max, size_t count, struct slots **ret_slots);
/* Every slot has been given back. NULL is fine. */
void slots_destroy(struct slots *slots);

/* Take one before conn_open(), give it back after conn_close(). */
WR_NODISCARD int slots_take(struct slots *slots, size_t server);
void slots_give(struct slots *slots, size_t server);

/* The one connection beyond the limit that is kept for KILL. Taken and given back as the others. */
WR_NODISCARD int slots_take_spare(struct slots *slots, size_t server);
void slots_give_spare(struct slots *slots, size_t server);

/* The worker's first waiter for the server waits since then; 0: nobody waits there. */
void slots_wait_set(struct slots *slots, size_t server, uint32_t worker, uint64_t since_us);
/* Which workers may have a connection to spare, bit by worker. Who says so looks for waiters
 * afterwards, who begins to wait looks here afterwards: neither misses the other. It may be said for
 * longer than it is true. */
void slots_spare_set(struct slots *slots, size_t server, uint32_t worker, bool has_spare);
uint64_t slots_spare(const struct slots *slots, size_t server);
/* True: somebody has waited in another worker for longer than since_us (0: any waiter will do);
 * *ret_worker is where. One load when nobody waits anywhere. */
bool slots_wait_elsewhere(const struct slots *slots, size_t server, uint32_t worker,
                          uint64_t since_us, uint32_t *ret_worker);

uint32_t slots_used(const struct slots *slots, size_t server);
uint32_t slots_max(const struct slots *slots, size_t server);
/* Refusals so far. */
uint64_t slots_refused(const struct slots *slots, size_t server);
/* A new limit holds for the next take; what is taken stays taken. */
void slots_set_max(struct slots *slots, size_t server, uint32_t max);

#endif
