/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fresh - tells other weirs what was written here, and hears what was written there, by Redis.
 *
 * WHY       Reads of the scopes user, key and global must see what clients of another weir have
 *           written. Nothing is stored in Redis and nobody waits for it: what is not known to have
 *           been heard sends those reads to the primary.
 * OWNS      Its thread with loop, two connections to Redis and a resolver.
 * THREADS   fresh_post_positions(): any. The rest: whoever made it. on_event: its own thread.
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    FRESH_FLIGHT_MAX messages without a reply of Redis; what is marked meanwhile waits on the
 *           board, a slot each. PEERS_MAX other weirs.
 */
#ifndef WEIR_FRESH_FRESH_H
#define WEIR_FRESH_FRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/redis/link.h"
#include "weir/util/attr.h"

#define FRESH_FLIGHT_MAX 32U

struct causal_board;
struct fresh;
struct guard_board;
struct logger;
struct metric_registry;
struct position_set;

enum fresh_event {
    FRESH_REDIS_UP,
    FRESH_REDIS_DOWN,
    FRESH_WEIR_FOUND,
    FRESH_WEIR_LEFT,
    FRESH_WEIR_SILENT,
    FRESH_WEIR_FORGOTTEN,
};

typedef void (*fresh_event_fn)(void *arg, enum fresh_event event, const char *text);

/* Pointers are borrowed for its life. */
struct fresh_conf {
    struct redis_conf redis; /* channel and max_reply_bytes are not looked at */
    const char *prefix;      /* of the channel's name */
    struct span secret;      /* p NULL: messages are not signed */
    uint64_t forget_us;
    struct causal_board *board;
    struct guard_board *guard; /* for who reads by windows */
    struct metric_registry *registry;
    struct logger *logger;
    fresh_event_fn on_event;
    void *arg;
};

/* Makes the board a shared one, and starts. */
WR_NODISCARD int fresh_create(const struct fresh_conf *conf, struct fresh **ret_fresh);
/* Says what is left to say, and good bye: that takes FRESH_BYE_US at most. NULL is fine. */
#define FRESH_BYE_US UINT64_C(300000)
void fresh_destroy(struct fresh *fresh);
/* What the primary has, to fill gaps in sets by. Takes the reference. */
void fresh_post_positions(struct fresh *fresh, const struct position_set *primary);

#endif
