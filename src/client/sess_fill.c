/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read that is to be kept, from its question to its answer. Its bytes are copied on their way to the
 * client; when the last has come without a fault, and nothing of what it was read from has been written
 * meanwhile, they become an entry.
 *
 * What is asked by several at once is asked by one, the leader. The others wait for what it leaves: an
 * entry, or nothing, and then each asks for itself. They do not wait for a leader that waits for its own
 * client, or for a primary.
 */
#include <stdlib.h>
#include <string.h>

#include "weir/cache/body.h"
#include "weir/config/config.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"
#include "sess_renew_priv.h"

#define FREE_MAX 16U
/* Storage of a fill that is larger is given back. */
#define SPARE_MAX ((size_t)64 * 1024)

static void fill_free(struct sess_fill *fill)
{
    buf_fini(&fill->key);
    buf_fini(&fill->reply);
    free(fill);
}

struct sess_fill *sess_fill_begin(struct sess *sess)
{
    struct sess_set *set = sess->set;
    struct list_node *node = list_first(&set->fills);
    struct sess_fill *fill = NULL;

    WR_ASSERT(sess->fill == NULL);
    if (node != NULL) {
        fill = list_entry(node, struct sess_fill, node);
        list_remove(node);
        set->fill_count--;
    } else {
        fill = calloc(1, sizeof(*fill));
        if (fill == NULL) {
            return NULL;
        }
    }
    fill->sess = sess;
    fill->why = METRIC_UNFILLED_COUNT_;
    fill->asks = false;
    sess->fill = fill;
    return fill;
}

static void release(struct sess *sess, struct sess_fill *fill)
{
    if (fill->charged != 0) {
        cache_memory_release(sess->env->cache->memory, fill->charged);
        fill->charged = 0;
    }
    buf_clear(&fill->reply);
    if (fill->reply.cap > SPARE_MAX) {
        buf_fini(&fill->reply);
        buf_init(&fill->reply);
    }
}

void sess_fill_land(struct sess *sess)
{
    struct sess_fill *fill = sess->fill;
    struct sess_set *set = sess->set;
    uint64_t workers = 0;

    if (fill == NULL || !fill->is_leader) {
        return;
    }
    fill->is_leader = false;
    workers = cache_flight_end(sess->env->cache->flights, fill->hash);
    for (uint32_t i = 0; workers != 0; i++, workers >>= 1) {
        if ((workers & 1) == 0) {
            continue;
        }
        if (i == sess->env->worker) {
            sess_fills_wake(set, fill->hash);
        } else {
            sess->env->wake_fills(sess->env->arg, i, fill->hash);
        }
    }
}

void sess_fill_refuse(struct sess *sess, enum metric_unfilled why)
{
    struct sess_fill *fill = sess->fill;

    if (fill != NULL && fill->why == METRIC_UNFILLED_COUNT_) {
        fill->why = why;
        metric_inc(sess->env->metrics, METRIC_CACHE_UNFILLED, why);
        release(sess, fill);
        sess_fill_land(sess);
    }
}

/* Has this server all that was written to what the answer is read from, and all that was written
 * before this weir watched? */
static bool is_complete(const struct sess *sess, const struct sess_fill *fill)
{
    const struct sess_env *env = sess->env;
    uint64_t need_us = version_lease_written_us(env->cache->board, &fill->lease);

    if (sess->cmd.server == env->topo->primary) {
        return true;
    }
    return sess_causal_is_complete(sess, sess->cmd.server,
                                   need_us > env->cache->began_us ? need_us : env->cache->began_us);
}

void sess_fill_sent(struct sess *sess)
{
    struct sess_fill *fill = sess->fill;

    fill->sent_us = loop_now_us(sess->env->loop);
    buf_clear(&fill->reply);
    if (fill->why == METRIC_UNFILLED_COUNT_ && !is_complete(sess, fill)) {
        sess_fill_refuse(sess, METRIC_UNFILLED_REPLICA_BEHIND);
    }
}

void sess_fill_feed(struct sess *sess, const struct reply_step *step)
{
    struct sess_fill *fill = sess->fill;
    size_t bytes = 0;

    if (fill->why != METRIC_UNFILLED_COUNT_) {
        return;
    }
    if (step->event == REPLY_EV_ERR) {
        sess_fill_refuse(sess, METRIC_UNFILLED_ERROR);
        return;
    }
    for (unsigned i = 0; i < step->iov_count; i++) {
        bytes += step->iov[i].iov_len;
    }
    if (buf_len(&fill->reply) + bytes > fill->plan.max_entry) {
        sess_fill_refuse(sess, METRIC_UNFILLED_TOO_LARGE);
        return;
    }
    if (!cache_memory_charge(sess->env->cache->memory, bytes)) {
        sess_fill_refuse(sess, METRIC_UNFILLED_MEMORY);
        return;
    }
    fill->charged += bytes;
    for (unsigned i = 0; i < step->iov_count; i++) {
        if (buf_append(&fill->reply, step->iov[i].iov_base, step->iov[i].iov_len,
                       fill->plan.max_entry) < 0) {
            sess_fill_refuse(sess, METRIC_UNFILLED_MEMORY);
            return;
        }
    }
}

/* A time to live is up to a tenth shorter, so that what was asked for together does not end together. */
static uint64_t jittered(struct sess *sess, uint64_t ttl_us)
{
    return ttl_us - rand_u64(sess->env->rand) % (ttl_us / 10 + 1);
}

static int put(struct sess *sess, struct sess_fill *fill, struct buf *body)
{
    struct cache *cache = sess->env->cache;
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint64_t ttl_us = jittered(sess, fill->plan.ttl_us);
    uint64_t more_us = fill->plan.revalidate_us > fill->plan.error_us ? fill->plan.revalidate_us
                                                                      : fill->plan.error_us;
    struct cache_parts parts = {
        .key = buf_span(&fill->key),
        .hash = fill->hash,
        .lease = &fill->lease,
        .filled_us = fill->sent_us,
        .fresh_us = fill->sent_us + ttl_us,
        .keep_us = fill->sent_us + ttl_us + more_us,
        .seen_us = now_us,
        .source = sess->cmd.server,
    };
    struct cache_entry *entry = NULL;
    int r = body_from_reply(buf_span(&fill->reply), sess->caps, body, fill->plan.max_entry);

    if (r < 0) {
        return r;
    }
    parts.body_size = buf_len(body);
    cache_memory_release(cache->memory, fill->charged);
    fill->charged = 0;
    r = cache_entry_create(cache->memory, &parts, &entry);
    if (r < 0) {
        return r;
    }
    memcpy(cache_entry_room(entry), buf_span(body).p, buf_len(body));
    cache_memory_put(cache->memory, entry);
    cache_entry_unref(entry);
    sess_tier_keep(sess, buf_span(body), parts.fresh_us);
    return 0;
}

static void keep(struct sess *sess, struct sess_fill *fill)
{
    struct cache *cache = sess->env->cache;
    struct buf body;
    int r = 0;

    if (sess->cmd.got_err || !sess->cmd.is_sent || sess->cmd.is_local) {
        sess_fill_refuse(sess, sess->cmd.got_err ? METRIC_UNFILLED_ERROR : METRIC_UNFILLED_LOST);
        return;
    }
    if (sess->cmd.warnings != 0) {
        sess_fill_refuse(sess, METRIC_UNFILLED_WARNINGS);
        return;
    }
    sess_tier_place(sess);
    if (!version_lease_holds(cache->board, fill->lease.held, fill->lease.count)) {
        sess_fill_refuse(sess, METRIC_UNFILLED_WRITTEN);
        return;
    }
    if (fill->plan.coherence == CONFIG_COHERENCE_BINLOG &&
        !cache_stream_is_heard(&cache->stream, loop_now_us(sess->env->loop))) {
        sess_fill_refuse(sess, METRIC_UNFILLED_STREAM);
        return;
    }
    buf_init(&body);
    r = put(sess, fill, &body);
    buf_fini(&body);
    if (r < 0) {
        sess_fill_refuse(sess,
                         r == -WR_E_BAD_PACKET ? METRIC_UNFILLED_SHAPE : METRIC_UNFILLED_MEMORY);
        return;
    }
    metric_inc(sess->env->metrics, METRIC_CACHE_FILLS, METRIC_NONE);
    sess_renew_note(sess, fill);
}

void sess_fill_end(struct sess *sess)
{
    struct sess_fill *fill = sess->fill;
    struct sess_set *set = sess->set;

    if (fill == NULL) {
        return;
    }
    tier_get_cancel(&fill->get);
    if (fill->is_waiting) {
        list_remove(&fill->node);
        fill->is_waiting = false;
    } else if (fill->why == METRIC_UNFILLED_COUNT_) {
        keep(sess, fill);
    }
    sess_fill_land(sess);
    release(sess, fill);
    sess->fill = NULL;
    fill->sess = NULL;
    buf_clear(&fill->key);
    if (set->fill_count < FREE_MAX && fill->key.cap <= SPARE_MAX) {
        list_push(&set->fills, &fill->node);
        set->fill_count++;
    } else {
        fill_free(fill);
    }
}

/* --- those who wait --- */

static void on_task(void *arg)
{
    struct sess_set *set = arg;
    struct list_node *node = NULL;

    while ((node = list_first(&set->woken)) != NULL) {
        struct sess_fill *fill = list_entry(node, struct sess_fill, node);

        list_remove(node);
        fill->is_waiting = false;
        sess_cache_woken(fill->sess);
    }
}

void sess_fills_wake(struct sess_set *set, uint64_t hash)
{
    list_for_each_safe (node, &set->sharers) {
        if (list_entry(node, struct sess_fill, node)->hash == hash) {
            list_remove(node);
            list_push(&set->woken, node);
        }
    }
    if (!list_is_empty(&set->woken)) {
        loop_defer(set->env->loop, &set->fill_task);
    }
}

void sess_set_on_fill(struct sess_set *set, uint64_t hash)
{
    sess_fills_wake(set, hash);
}

void sess_fills_init(struct sess_set *set)
{
    list_init(&set->fills);
    list_init(&set->sharers);
    list_init(&set->woken);
    loop_task_init(&set->fill_task, on_task, set);
}

void sess_fills_fini(struct sess_set *set)
{
    loop_task_cancel(&set->fill_task);
    list_for_each_safe (node, &set->fills) {
        list_remove(node);
        fill_free(list_entry(node, struct sess_fill, node));
    }
}
