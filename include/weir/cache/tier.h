/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tier - answers that are also kept in Redis: asked for there, put there, taken away there.
 *
 * WHY       What one weir has fetched the others need not fetch, and a weir that begins finds it.
 * OWNS      A pipe to Redis, a connection for Redis' own statistics, room for one value. A struct tier_get is its
 *           asker's.
 * THREADS   Each worker has its own.
 * REENTRY   found is called from the loop, once, never from inside tier_get_begin(). It may do anything but destroy the
 *           tier.
 * UNITS     bytes
 * ERRORS    0 or a negative err code, which is no more than a miss; counted here.
 * BOUNDS    PIPE_OPS_MAX questions at one time; TIER_KEY_MAX; the budget and max_value of its settings.
 *
 * Whether a value that was found may be served is its asker's to say (value_check()): value.h has the rules.
 */
#ifndef WEIR_CACHE_TIER_H
#define WEIR_CACHE_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache/value.h"
#include "weir/redis/pipe.h"
#include "weir/util/attr.h"
#include "weir/util/metric.h"
#include "weir/util/str.h"

#define TIER_KEY_MAX ((size_t)64 * 1024)

struct cache_tier;
struct loop;
struct resolver;

/* value: borrowed for the call; NULL: none. */
typedef void (*tier_found_fn)(void *arg, const struct value *value);

/* All zeroes: nobody is asked. */
struct tier_get {
    struct cache_tier *tier;
    struct redis_op *op;
    uint64_t asked_us;
    struct span key; /* borrowed until found is called */
    tier_found_fn found;
    void *arg;
};

/* Borrowed for the tier's life, but for the secret. */
struct tier_conf {
    struct redis_pipe_conf pipe; /* its max_reply_bytes is the tier's to set */
    struct redis_pipe_calls calls;
    const char *prefix;
    struct span secret;
    size_t max_value;
    size_t pack_above;
    bool tells_statistics; /* one worker is enough */
    struct metric_shard *metrics;
};

WR_NODISCARD int tier_create(struct loop *loop, struct resolver *resolver,
                             const struct tier_conf *conf, struct cache_tier **ret_tier);
/* Questions under way are answered with none first. NULL is fine. */
void tier_destroy(struct cache_tier *tier);

/* get->key, found and arg have been set. <0: not asked, and found is not called. */
WR_NODISCARD int tier_get_begin(struct cache_tier *tier, struct tier_get *get);
bool tier_get_is_begun(const struct tier_get *get);
/* The answer is not wanted any more. */
void tier_get_cancel(struct tier_get *get);
/* Why a value that was found is not served. */
void tier_note_miss(const struct cache_tier *tier, enum value_miss why);
/* Without waiting for it; what becomes of it is counted. */
void tier_put(struct cache_tier *tier, const struct value *value);

#endif
