/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time does to a pool: idle connections are closed before the server would do it, a warm
 * minimum is kept for users who have sessions, old connections go.
 */
#include "weir/backend/topo.h"
#include "weir/pool/slots.h"
#include "weir/util/metric.h"
#include "weir/util/rand.h"

#include "pool_priv.h"

#define BACKOFF_MIN_US UINT64_C(250000)
#define BACKOFF_BITS   6
#define OPEN_US        UINT64_C(10000000)

/* Half of what the server allows: a statement must not meet a connection in the moment of its end. */
static uint64_t idle_limit(const struct pool *pool, const struct pool_server *server)
{
    uint64_t limit = pool->conf.idle_us;
    uint64_t half = (uint64_t)server->wait_timeout_s * UINT64_C(500000);

    return half != 0 && half < limit ? half : limit;
}

static void retire(struct pool *pool, uint16_t index, uint64_t now_us)
{
    struct pool_server *server = &pool->servers[index];
    uint64_t limit = idle_limit(pool, server);
    uint64_t half = (uint64_t)server->wait_timeout_s * UINT64_C(500000);

    list_for_each_safe (node, &server->idle) {
        struct conn *conn = list_entry(node, struct conn, lru);
        uint64_t idle_us = now_us - conn->idle_us;
        bool is_warm = conn->bucket->key->sessions != 0 &&
                       conn->bucket->count <= pool->conf.min_idle && (half == 0 || idle_us < half);

        if ((idle_us >= limit && !is_warm) || !pool_is_good(pool, conn)) {
            metric_inc(pool->env.metrics, METRIC_POOL_RETIRED, index);
            pool_discard(conn, true);
        }
    }
}

/* --- the warm minimum --- */

static void on_warm_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct pool *pool = pool_of(conn);
    struct pool_bucket *bucket = conn->bucket;
    uint64_t wait_us = 0;

    (void)arg;
    switch (event) {
    case CONN_EV_READY:
        bucket->failures = 0;
        pool_opened(conn);
        pool_offer(conn);
        return;
    case CONN_EV_DRAINED:
    case CONN_EV_RECLAIM:
        return;
    case CONN_EV_FAILED:
    case CONN_EV_READABLE:
    case CONN_EV_CLOSED:
        /* twice as long each time, and not all at the same moment */
        wait_us =
            BACKOFF_MIN_US << (bucket->failures < BACKOFF_BITS ? bucket->failures : BACKOFF_BITS);
        bucket->failures = (uint8_t)(bucket->failures + (bucket->failures < BACKOFF_BITS ? 1 : 0));
        bucket->warm_us =
            loop_now_us(pool->env.loop) + wait_us + rand_u64(pool->env.rand) % (wait_us / 2 + 1);
        pool_discard(conn, false);
        return;
    }
}

static void warm(struct pool *pool, struct pool_bucket *bucket, uint64_t now_us)
{
    struct pool_server *server = &pool->servers[bucket->server];
    const struct topo_server *at = &pool->topo->servers[bucket->server];
    struct conn_params params = {
        .server = at,
        .cred = bucket->key->cred,
        .client_caps = bucket->key->caps,
        .collation = bucket->key->collation,
        .is_replica = !server->is_primary,
        .epoch = pool->topo->epoch,
        .deadline_us = now_us + OPEN_US,
    };
    struct pool_ask ask = {.server = bucket->server, .params = &params, .on_event = on_warm_event};
    struct conn *conn = NULL;

    if (server->is_down || at->state != TOPO_ST_UP || !pool_may_open_more(server) ||
        bucket->warm_us > now_us || slots_take(pool->env.slots, bucket->server) < 0) {
        return;
    }
    if (pool_open(bucket->key, &ask, &conn) < 0) {
        bucket->warm_us = now_us + BACKOFF_MIN_US;
    }
}

void pool_keep(struct pool *pool, uint64_t now_us)
{
    for (uint16_t i = 0; i < pool->server_count; i++) {
        retire(pool, i, now_us);
    }
    if (pool->conf.min_idle == 0) {
        return;
    }
    list_for_each_safe (node, &pool->all) {
        struct pool_key *key = list_entry(node, struct pool_key, node);

        for (uint16_t i = 0; i < key->bucket_count && key->sessions != 0 && !key->is_refused; i++) {
            if (key->buckets[i].count < pool->conf.min_idle) {
                warm(pool, &key->buckets[i], now_us);
            }
        }
    }
}
