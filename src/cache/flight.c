/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets of a few places each. A hash that finds its bucket full is asked for without company: rare
 * enough, and never wrong.
 */
#include "weir/cache/flight.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "weir/util/assert.h"

#define PLACES  8U
#define BUCKETS (CACHE_FLIGHTS_MAX / PLACES)
#define LOCKS   64U

struct flight {
    uint64_t hash;
    uint64_t workers; /* that wait */
    bool is_used;
};

struct bucket {
    struct flight places[PLACES];
};

struct cache_flights {
    pthread_mutex_t locks[LOCKS];
    struct bucket buckets[BUCKETS];
};

int cache_flights_create(struct cache_flights **ret_flights)
{
    struct cache_flights *flights = calloc(1, sizeof(*flights));

    if (flights == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&flights->locks[i], NULL);
    }
    *ret_flights = flights;
    return 0;
}

void cache_flights_destroy(struct cache_flights *flights)
{
    if (flights != NULL) {
        for (uint32_t i = 0; i < LOCKS; i++) {
            (void)pthread_mutex_destroy(&flights->locks[i]);
        }
        free(flights);
    }
}

/* The low bits choose the shard of the memory; these are others. */
static uint32_t bucket_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) % BUCKETS;
}

static struct flight *find(struct bucket *bucket, uint64_t hash)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (bucket->places[i].is_used && bucket->places[i].hash == hash) {
            return &bucket->places[i];
        }
    }
    return NULL;
}

static enum cache_flight take_place(struct bucket *bucket, uint64_t hash)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (!bucket->places[i].is_used) {
            bucket->places[i] = (struct flight){.hash = hash, .is_used = true};
            return CACHE_FLIGHT_LEAD;
        }
    }
    return CACHE_FLIGHT_ALONE;
}

enum cache_flight cache_flight_begin(struct cache_flights *flights, uint64_t hash, uint32_t worker)
{
    uint32_t at = bucket_of(hash);
    enum cache_flight what = CACHE_FLIGHT_JOIN;
    struct flight *flight = NULL;

    WR_ASSERT(worker < CACHE_WORKERS_MAX);
    (void)pthread_mutex_lock(&flights->locks[at % LOCKS]);
    flight = find(&flights->buckets[at], hash);
    if (flight != NULL) {
        flight->workers |= UINT64_C(1) << worker;
    } else {
        what = take_place(&flights->buckets[at], hash);
    }
    (void)pthread_mutex_unlock(&flights->locks[at % LOCKS]);
    return what;
}

uint64_t cache_flight_end(struct cache_flights *flights, uint64_t hash)
{
    uint32_t at = bucket_of(hash);
    uint64_t workers = 0;
    struct flight *flight = NULL;

    (void)pthread_mutex_lock(&flights->locks[at % LOCKS]);
    flight = find(&flights->buckets[at], hash);
    if (flight != NULL) {
        workers = flight->workers;
        flight->is_used = false;
    }
    (void)pthread_mutex_unlock(&flights->locks[at % LOCKS]);
    return workers;
}
