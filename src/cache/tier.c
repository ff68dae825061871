/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/tier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/io/loop.h"
#include "weir/io/timer.h"
#include "weir/util/buf.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "tier_priv.h"

#define PREFIX_MAX 160U
#define NAME_MAX   (PREFIX_MAX + 8U + VALUE_NAME_BYTES)
#define COUNT_US   UINT64_C(1000000)
#define KEEP_MAX   ((size_t)64 * 1024) /* room that is larger is given back */
#define MS_BYTES   24U

struct cache_tier {
    /* owning */
    struct redis_pipe *pipe;
    struct tier_info *info; /* NULL: another tells them */
    struct value_codec codec;
    struct buf room;  /* an unpacked body, for one call */
    struct buf bytes; /* an encoded value, for one call */
    /* borrowed */
    struct loop *loop;
    struct metric_shard *metrics;
    /* values */
    struct timer timer;
    char prefix[PREFIX_MAX];
};

/* Another layout has another name, so that weirs of two versions do not take each other's away. */
static struct span name_of(const struct cache_tier *tier, struct span key, char name[NAME_MAX])
{
    char hex[VALUE_NAME_BYTES];
    int len = 0;

    value_name(&tier->codec, key, hex);
    len = snprintf(name, NAME_MAX, "%s:v%u:%s", tier->prefix, VALUE_FORMAT, hex);
    return (struct span){(const uint8_t *)name, (size_t)len};
}

/* --- counting --- */

static void miss(const struct cache_tier *tier, enum metric_tier_miss why)
{
    metric_inc(tier->metrics, METRIC_TIER_MISSES, why);
}

void tier_note_miss(const struct cache_tier *tier, enum value_miss why)
{
    static const enum metric_tier_miss labels[] = {
        [VALUE_MISS_NONE] = METRIC_TIER_MISS_OTHER,
        [VALUE_MISS_SHORT] = METRIC_TIER_MISS_FOREIGN,
        [VALUE_MISS_FOREIGN] = METRIC_TIER_MISS_FOREIGN,
        [VALUE_MISS_FORMAT] = METRIC_TIER_MISS_FORMAT,
        [VALUE_MISS_FORGED] = METRIC_TIER_MISS_FORGED,
        [VALUE_MISS_BROKEN] = METRIC_TIER_MISS_BROKEN,
        [VALUE_MISS_OTHER_KEY] = METRIC_TIER_MISS_OTHER_KEY,
        [VALUE_MISS_EXPIRED] = METRIC_TIER_MISS_EXPIRED,
        [VALUE_MISS_PURGED] = METRIC_TIER_MISS_PURGED,
        [VALUE_MISS_UNPLACED] = METRIC_TIER_MISS_UNPLACED,
        [VALUE_MISS_WRITTEN] = METRIC_TIER_MISS_WRITTEN,
        [VALUE_MISS_TOO_LARGE] = METRIC_TIER_MISS_TOO_LARGE,
        [VALUE_MISS_NO_MEMORY] = METRIC_TIER_MISS_OTHER,
    };

    miss(tier, labels[why]);
}

static void on_count(void *arg)
{
    struct cache_tier *tier = arg;
    struct redis_pipe_stats stats;
    struct metric_shard *metrics = tier->metrics;

    redis_pipe_stats(tier->pipe, &stats);
    const struct {
        enum metric_tier_trouble label;
        uint64_t count;
    } troubles[] = {
        {METRIC_TIER_TROUBLE_LATE, stats.late},
        {METRIC_TIER_TROUBLE_LOST, stats.lost},
        {METRIC_TIER_TROUBLE_MALFORMED, stats.malformed},
        {METRIC_TIER_TROUBLE_OPENED, stats.opened},
        {METRIC_TIER_TROUBLE_MOVED, stats.moved},
        {METRIC_TIER_TROUBLE_ASK, stats.ask},
        {METRIC_TIER_TROUBLE_TRY_AGAIN, stats.try_again},
        {METRIC_TIER_TROUBLE_CLUSTER_DOWN, stats.cluster_down},
    };

    metric_set(metrics, METRIC_TIER_UP, METRIC_NONE, stats.nodes_up);
    metric_set(metrics, METRIC_TIER_OPEN, METRIC_NONE, stats.nodes_open);
    for (size_t i = 0; i < WR_ARRAY_LEN(troubles); i++) {
        metric_set(metrics, METRIC_TIER_TROUBLES, troubles[i].label, (int64_t)troubles[i].count);
    }
    timer_arm_in(&tier->timer, COUNT_US);
}

/* --- taking away --- */

static void on_deleted(void *arg, int err, const struct redis_value *value)
{
    (void)arg;
    (void)err;
    (void)value; /* whoever finds it again tries again */
}

static bool is_bad(enum value_miss why)
{
    switch (why) {
    case VALUE_MISS_SHORT:
    case VALUE_MISS_FOREIGN:
    case VALUE_MISS_FORMAT:
    case VALUE_MISS_FORGED:
    case VALUE_MISS_BROKEN:
    case VALUE_MISS_OTHER_KEY:
        return true;
    case VALUE_MISS_NONE:
    case VALUE_MISS_EXPIRED:
    case VALUE_MISS_PURGED:
    case VALUE_MISS_UNPLACED:
    case VALUE_MISS_WRITTEN:
    case VALUE_MISS_TOO_LARGE:
    case VALUE_MISS_NO_MEMORY:
        return false;
    }
    return false;
}

/* Nobody can use it, and nobody has to read it again. */
static void value_delete(struct cache_tier *tier, struct span key)
{
    char name[NAME_MAX];
    const struct span words[2] = {SPAN_LIT("DEL"), name_of(tier, key, name)};

    if (redis_pipe_send(tier->pipe, words[1], words, 2, on_deleted, NULL, NULL) == 0) {
        metric_inc(tier->metrics, METRIC_TIER_OPS, METRIC_TIER_OP_DEL);
    }
}

/* --- asking --- */

static void trim(struct buf *buf)
{
    if (buf->cap > KEEP_MAX) {
        buf_fini(buf);
        buf_init(buf);
    }
}

/* NULL: none, and counted. */
static const struct value *decode(struct cache_tier *tier, struct span key, int err,
                                  const struct redis_value *reply, struct value *room)
{
    enum value_miss why = VALUE_MISS_NONE;

    if (reply == NULL) {
        miss(tier, err == -WR_E_TIMEOUT ? METRIC_TIER_MISS_LATE : METRIC_TIER_MISS_LOST);
        return NULL;
    }
    if (reply->kind == REDIS_NIL) {
        miss(tier, METRIC_TIER_MISS_ABSENT);
        return NULL;
    }
    if (reply->kind != REDIS_STRING) {
        miss(tier, METRIC_TIER_MISS_ERROR);
        return NULL;
    }
    why = value_decode(&tier->codec, reply->text, key, &tier->room, room);
    if (why == VALUE_MISS_NONE) {
        return room;
    }
    tier_note_miss(tier, why);
    if (is_bad(why)) {
        value_delete(tier, key);
    }
    return NULL;
}

static void on_got(void *arg, int err, const struct redis_value *reply)
{
    struct tier_get *get = arg;
    struct cache_tier *tier = get->tier;
    struct value room;
    const struct value *value = decode(tier, get->key, err, reply, &room);

    if (reply != NULL) {
        metric_observe(tier->metrics, METRIC_TIER_SECONDS, loop_now_us(tier->loop) - get->asked_us);
    }
    get->op = NULL;
    get->found(get->arg, value);
    trim(&tier->room);
}

int tier_get_begin(struct cache_tier *tier, struct tier_get *get)
{
    char name[NAME_MAX];
    struct span words[2] = {SPAN_LIT("GET")};
    int r = 0;

    if (get->key.len > TIER_KEY_MAX) {
        miss(tier, METRIC_TIER_MISS_TOO_LARGE);
        return -WR_E_TOO_LARGE;
    }
    words[1] = name_of(tier, get->key, name);
    get->tier = tier;
    get->asked_us = loop_now_us(tier->loop);
    r = redis_pipe_send(tier->pipe, words[1], words, 2, on_got, get, &get->op);
    if (r < 0) {
        get->op = NULL;
        miss(tier, METRIC_TIER_MISS_CLOSED);
        return r;
    }
    metric_inc(tier->metrics, METRIC_TIER_OPS, METRIC_TIER_OP_GET);
    return 0;
}

bool tier_get_is_begun(const struct tier_get *get)
{
    return get->op != NULL;
}

void tier_get_cancel(struct tier_get *get)
{
    if (get->op != NULL) {
        redis_op_cancel(get->op);
        get->op = NULL;
    }
}

/* --- putting --- */

static void unfilled(const struct cache_tier *tier, enum metric_tier_unfilled why)
{
    metric_inc(tier->metrics, METRIC_TIER_UNFILLED, why);
}

static void on_put(void *arg, int err, const struct redis_value *reply)
{
    struct cache_tier *tier = arg;

    if (reply == NULL) {
        unfilled(tier,
                 err == -WR_E_TIMEOUT ? METRIC_TIER_UNFILLED_LATE : METRIC_TIER_UNFILLED_LOST);
    } else if (reply->kind != REDIS_STATUS) {
        unfilled(tier, METRIC_TIER_UNFILLED_ERROR);
    } else {
        metric_inc(tier->metrics, METRIC_TIER_FILLS, METRIC_NONE);
    }
}

static int put(struct cache_tier *tier, const struct value *value)
{
    char name[NAME_MAX];
    char ms[MS_BYTES];
    struct span words[5] = {SPAN_LIT("SET"), {NULL, 0}, {NULL, 0}, SPAN_LIT("PX")};
    uint64_t wall_us = clock_wall_us();
    int r = value_encode(&tier->codec, value, &tier->bytes);

    if (r < 0) {
        return r;
    }
    if (value->expires_wall_us <= wall_us) {
        return -WR_E_TIMEOUT;
    }
    (void)snprintf(ms, sizeof(ms), "%" PRIu64,
                   (value->expires_wall_us - wall_us + VALUE_SKEW_US) / CLOCK_US_PER_MS);
    words[1] = name_of(tier, value->key, name);
    words[2] = buf_span(&tier->bytes);
    words[4] = span_of(ms);
    r = redis_pipe_send(tier->pipe, words[1], words, 5, on_put, tier, NULL);
    if (r == 0) {
        metric_inc(tier->metrics, METRIC_TIER_OPS, METRIC_TIER_OP_SET);
    }
    return r;
}

void tier_put(struct cache_tier *tier, const struct value *value)
{
    int r = value->key.len > TIER_KEY_MAX ? -WR_E_TOO_LARGE : put(tier, value);

    if (r == -WR_E_TOO_LARGE) {
        unfilled(tier, METRIC_TIER_UNFILLED_TOO_LARGE);
    } else if (r == -ENOMEM) {
        unfilled(tier, METRIC_TIER_UNFILLED_MEMORY);
    } else if (r < 0) {
        unfilled(tier,
                 r == -WR_E_TIMEOUT ? METRIC_TIER_UNFILLED_LATE : METRIC_TIER_UNFILLED_CLOSED);
    }
    trim(&tier->bytes);
}

/* --- life --- */

int tier_create(struct loop *loop, struct resolver *resolver, const struct tier_conf *conf,
                struct cache_tier **ret_tier)
{
    struct cache_tier *tier = NULL;
    struct redis_pipe_conf pipe = conf->pipe;
    int r = 0;

    if (strlen(conf->prefix) >= PREFIX_MAX) {
        return -WR_E_CONFIG;
    }
    tier = calloc(1, sizeof(*tier));
    if (tier == NULL) {
        return -ENOMEM;
    }
    tier->loop = loop;
    tier->metrics = conf->metrics;
    (void)snprintf(tier->prefix, sizeof(tier->prefix), "%s", conf->prefix);
    timer_init(&tier->timer, loop, on_count, tier);
    pipe.link.max_reply_bytes = conf->max_value + TIER_KEY_MAX + VALUE_FIXED_MAX;
    r = value_codec_init(&tier->codec, conf->secret, conf->max_value, conf->pack_above);
    r = r < 0 ? r : redis_pipe_create(loop, resolver, &pipe, &conf->calls, &tier->pipe);
    if (r == 0 && conf->tells_statistics) {
        r = tier_info_create(loop, resolver, &conf->pipe.link, conf->metrics, &tier->info);
    }
    if (r < 0) {
        tier_destroy(tier);
        return r;
    }
    timer_arm_in(&tier->timer, COUNT_US);
    *ret_tier = tier;
    return 0;
}

void tier_destroy(struct cache_tier *tier)
{
    if (tier == NULL) {
        return;
    }
    redis_pipe_destroy(tier->pipe);
    tier_info_destroy(tier->info);
    timer_cancel(&tier->timer);
    value_codec_fini(&tier->codec);
    buf_fini(&tier->room);
    buf_fini(&tier->bytes);
    loop_bury(tier->loop, tier, free);
}
