/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - how many connections weir holds to each server, across all workers.
 *
 * WHY       servers[].max_connections is a promise to the server; workers open on their own.
 * OWNS      One atomic count per server.
 * THREADS   Any. This is one of the few things that threads share.
 * REENTRY   none
 * UNITS     connections
 * ERRORS    -WR_E_LIMIT when the server's limit is reached, -ENOMEM.
 * BOUNDS    SLOTS_SERVERS_MAX servers.
 */
#ifndef WEIR_POOL_SLOTS_H
#define WEIR_POOL_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define SLOTS_SERVERS_MAX 128

struct slots;

/* max[i]: the limit of server i; 0: none. */
WR_NODISCARD int slots_create(const uint32_t *max, size_t count, struct slots **ret_slots);
/* Every slot has been given back. NULL is fine. */
void slots_destroy(struct slots *slots);

/* Take one before conn_open(), give it back after conn_close(). */
WR_NODISCARD int slots_take(struct slots *slots, size_t server);
void slots_give(struct slots *slots, size_t server);

uint32_t slots_used(const struct slots *slots, size_t server);
uint32_t slots_max(const struct slots *slots, size_t server);
/* Refusals so far. */
uint64_t slots_refused(const struct slots *slots, size_t server);
/* A new limit holds for the next take; what is taken stays taken. */
void slots_set_max(struct slots *slots, size_t server, uint32_t max);

#endif
