/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight - one question on its way to a server, for all who ask the same meanwhile.
 *
 * WHY       When a popular answer ends, a thousand clients ask for it at once; one of them is enough.
 * OWNS      struct cache_flights: which keys are being asked for, and which workers wait for them.
 * THREADS   Any. A lock for each part of the table, held for a look.
 * REENTRY   none
 * UNITS     none
 * ERRORS    -ENOMEM. A question that finds no room is asked without company.
 * BOUNDS    CACHE_FLIGHTS_MAX questions at one time; CACHE_WORKERS_MAX workers.
 */
#ifndef WEIR_CACHE_FLIGHT_H
#define WEIR_CACHE_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define CACHE_FLIGHTS_MAX 8192U
#define CACHE_WORKERS_MAX 64U

enum cache_flight {
    CACHE_FLIGHT_ALONE, /* no room: ask, and end nothing */
    CACHE_FLIGHT_LEAD,  /* ask, and end it */
    CACHE_FLIGHT_JOIN,  /* this worker is told when it ends */
};

struct cache_flights;

WR_NODISCARD int cache_flights_create(struct cache_flights **ret_flights);
void cache_flights_destroy(struct cache_flights *flights); /* NULL is fine */

/* hash: cache_memory_hash(). Keys that share one wait for each other, once. */
enum cache_flight cache_flight_begin(struct cache_flights *flights, uint64_t hash, uint32_t worker);
/* By who leads, whatever came of it. Returns the workers that wait, a bit for each. */
uint64_t cache_flight_end(struct cache_flights *flights, uint64_t hash);

#endif
