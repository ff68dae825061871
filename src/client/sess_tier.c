/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read that the memory has no answer to, and the answers that weirs keep in Redis for each other. The leader of a
 * flight asks for all who wait for it. What comes is served by the rules in weir/cache/value.h, as an entry of the memory from then
 * on; all else, and each fault of Redis, sends the statement to a server.
 */
#include <string.h>

#include "weir/cache/tier.h"
#include "weir/config/config.h"
#include "weir/util/clock.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"

#define TELL_US UINT64_C(10000000)

bool sess_tier_may_ask(const struct sess *sess)
{
    const struct sess_env *env = sess->env;

    /* "own": nobody tells what the other weirs have written */
    return env->tier != NULL && env->topo->primary >= 0 &&
           sess->fill->plan.coherence != CONFIG_COHERENCE_OWN;
}

/* Room for it, as if it had just been kept. NULL: its time is over for this rule, it is too large, or there is no room. */
static struct cache_entry *entry_make(struct sess *sess, const struct value *value,
                                      uint64_t wall_us)
{
    const struct sess_fill *fill = sess->fill;
    const struct cache_plan *plan = &fill->plan;
    struct cache *cache = sess->env->cache;
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t age_us = wall_us > value->filled_wall_us ? wall_us - value->filled_wall_us : 0;
    uint64_t left_us = value->expires_wall_us - wall_us;
    uint64_t more_us = plan->revalidate_us > plan->error_us ? plan->revalidate_us : plan->error_us;
    struct cache_parts parts = {
        .key = buf_span(&fill->key),
        .hash = fill->hash,
        .lease = &fill->lease,
        .body_size = value->body.len,
        .filled_us = age_us < now_us ? now_us - age_us : 0,
        .seen_us = now_us,
        .source =
            sess->env->topo->primary, /* whoever it was read from: the primary had it by now */
    };
    struct cache_entry *entry = NULL;

    if (age_us >= plan->ttl_us) {
        tier_note_miss(sess->env->tier, VALUE_MISS_EXPIRED);
        return NULL;
    }
    left_us = plan->ttl_us - age_us < left_us ? plan->ttl_us - age_us : left_us;
    parts.fresh_us = now_us + left_us;
    parts.keep_us = parts.fresh_us + more_us;
    if (value->body.len > plan->max_entry) {
        tier_note_miss(sess->env->tier, VALUE_MISS_TOO_LARGE);
        return NULL;
    }
    if (cache_entry_create(cache->memory, &parts, &entry) < 0) {
        tier_note_miss(sess->env->tier, VALUE_MISS_NO_MEMORY);
        return NULL;
    }
    memcpy(cache_entry_room(entry), value->body.p, value->body.len);
    return entry;
}

/* NULL: it is not to be served. */
static struct cache_entry *take(struct sess *sess, const struct value *value)
{
    const struct sess_fill *fill = sess->fill;
    struct cache *cache = sess->env->cache;
    struct value_now now = {
        .wall_us = clock_wall_us(),
        .purged_wall_us = atomic_load_explicit(&cache->purged_wall_us, memory_order_seq_cst),
        .by_place = fill->plan.coherence == CONFIG_COHERENCE_BINLOG && !WR_MUTANT("tier.no_place"),
    };
    struct cache_entry *entry = NULL;
    enum value_miss why = VALUE_MISS_NONE;

    if (now.by_place && cache_stream_is_heard(&cache->stream, loop_now_us(sess->env->loop))) {
        now.until_us = cache_stream_until_us(&cache->stream, &value->place);
        now.written_us = version_lease_written_us(cache->board, &fill->lease);
    }
    why = value_check(value, &now);
    if (why == VALUE_MISS_NONE) {
        entry = entry_make(sess, value, now.wall_us);
        if (entry == NULL) {
            return NULL;
        }
    }
    /* the last look: what is written from here on ends the entry */
    if (why == VALUE_MISS_NONE &&
        !version_lease_holds(cache->board, fill->lease.held, fill->lease.count)) {
        why = VALUE_MISS_WRITTEN;
    }
    if (why != VALUE_MISS_NONE) {
        tier_note_miss(sess->env->tier, why);
        cache_entry_unref(entry);
        return NULL;
    }
    metric_inc(sess->env->metrics, METRIC_TIER_HITS, METRIC_NONE);
    cache_memory_put(cache->memory, entry);
    return entry;
}

static void on_found(void *arg, const struct value *value)
{
    struct sess_fill *fill = arg;
    struct sess *sess = fill->sess;
    struct cache_entry *entry = value == NULL ? NULL : take(sess, value);

    if (entry == NULL) {
        sess_cache_go_on(sess, fill->miss);
        return;
    }
    sess_fill_land(sess); /* those who wait find it in memory */
    sess_cache_answer(sess, entry, false);
}

bool sess_tier_ask(struct sess *sess)
{
    struct sess_fill *fill = sess->fill;

    fill->get.key = buf_span(&fill->key);
    fill->get.found = on_found;
    fill->get.arg = fill;
    return tier_get_begin(sess->env->tier, &fill->get) == 0;
}

void sess_tier_place(struct sess *sess)
{
    struct sess_fill *fill = sess->fill;

    fill->place = (struct log_place){.log = 0};
    if (sess->env->tier != NULL && fill->plan.coherence == CONFIG_COHERENCE_BINLOG) {
        (void)cache_stream_place(&sess->env->cache->stream, &fill->place);
    }
}

/* Its place in the log becomes a later one: a weir that has begun, or heard of a write to something else, since it was
 * put there takes it again. */
void sess_tier_tell(struct sess *sess, struct cache_entry *entry)
{
    struct cache *cache = sess->env->cache;
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t wall_us = clock_wall_us();
    struct value value = {
        .key = cache_entry_key(entry),
        .body = cache_entry_body(entry),
        .filled_wall_us = wall_us - (now_us - cache_entry_filled_us(entry)),
        .expires_wall_us = wall_us + (cache_entry_fresh_us(entry) - now_us),
    };

    if (sess->fill->plan.coherence == CONFIG_COHERENCE_BINLOG &&
        cache_entry_tell(entry, now_us, TELL_US) &&
        cache_stream_place(&cache->stream, &value.place) &&
        cache_stream_is_heard(&cache->stream, now_us) && cache_entry_holds(entry, cache->board)) {
        tier_put(sess->env->tier, &value);
    }
}

void sess_tier_keep(struct sess *sess, struct span body, uint64_t fresh_us)
{
    const struct sess_fill *fill = sess->fill;
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t wall_us = clock_wall_us();
    struct value value = {
        .key = buf_span(&fill->key),
        .body = body,
        .place = fill->place,
    };

    if (sess->env->tier == NULL || fill->plan.coherence == CONFIG_COHERENCE_OWN ||
        fresh_us <= now_us) {
        return;
    }
    if (fill->plan.coherence == CONFIG_COHERENCE_BINLOG && fill->place.log == 0) {
        metric_inc(sess->env->metrics, METRIC_TIER_UNFILLED, METRIC_TIER_UNFILLED_UNPLACED);
        return;
    }
    value.filled_wall_us = wall_us - (now_us - fill->sent_us);
    value.expires_wall_us = wall_us + (fresh_us - now_us);
    tier_put(sess->env->tier, &value);
}
