/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue. One per server, whoever waits, the oldest first. What a waiter gets is a connection of
 * its own key, or the slot of one: then it opens its own. Each worker has its own queue, and says
 * since when its first waiter waits (pool/slots), so that a worker that has something to give can
 * see whether somebody elsewhere has waited longer.
 */
#include "weir/pool/slots.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "pool_priv.h"

static void on_task(void *arg)
{
    struct pool_wait *wait = arg;
    int err = wait->err;

    wait->err = 0;
    if (err != 0) {
        wait->key = NULL;
    }
    wait->ready(wait->arg, err);
}

void pool_wait_init(struct pool_wait *wait, pool_ready_fn ready, void *arg)
{
    *wait = (struct pool_wait){.ready = ready, .arg = arg};
    list_node_init(&wait->node);
    loop_task_init(&wait->task, on_task, wait);
}

static void note_first(struct pool *pool, uint16_t server)
{
    slots_wait_set(pool->env.slots, server, pool->env.worker, pool_wait_since(pool, server));
}

int pool_wait_push(struct pool *pool, struct pool_wait *wait, struct pool_key *key,
                   const struct pool_ask *ask)
{
    struct pool_server *server = &pool->servers[ask->server];

    if (server->waiting >= pool->conf.max_waiters) {
        metric_inc(pool->env.metrics, METRIC_POOL_TIMEOUTS, ask->server);
        return -WR_E_LIMIT;
    }
    WR_ASSERT(wait->key == NULL);
    wait->key = key;
    wait->want = ask->want;
    wait->server = ask->server;
    wait->since_us = loop_now_us(pool->env.loop);
    wait->err = 0;
    list_push(&server->waiters, &wait->node);
    server->waiting++;
    metric_inc(pool->env.metrics, METRIC_POOL_WAITS, ask->server);
    metric_add(pool->env.metrics, METRIC_POOL_WAITING, ask->server, 1);
    note_first(pool, ask->server);
    pool_arm(pool);
    pool_wait_help(pool, ask->server);
    return 0;
}

/* Out of the queue. */
static void leave(struct pool *pool, struct pool_wait *wait)
{
    struct pool_server *server = &pool->servers[wait->server];

    list_remove(&wait->node);
    server->waiting--;
    metric_sub(pool->env.metrics, METRIC_POOL_WAITING, wait->server, 1);
    metric_observe(pool->env.metrics, METRIC_POOL_WAIT_SECONDS,
                   loop_now_us(pool->env.loop) - wait->since_us);
    note_first(pool, wait->server);
}

struct pool_wait *pool_wait_first(const struct pool *pool, uint16_t server)
{
    struct list_node *node = list_first(&pool->servers[server].waiters);

    return node == NULL ? NULL : list_entry(node, struct pool_wait, node);
}

uint64_t pool_wait_since(const struct pool *pool, uint16_t server)
{
    const struct pool_wait *wait = pool_wait_first(pool, server);

    return wait == NULL ? 0 : wait->since_us;
}

bool pool_wait_elsewhere(const struct pool *pool, uint16_t server, uint32_t *ret_worker)
{
    uint64_t since = pool_wait_since(pool, server);

    /* with nobody waiting here anybody elsewhere is older */
    since -= since > POOL_TURN_US ? POOL_TURN_US : 0;
    return slots_wait_elsewhere(pool->env.slots, server, pool->env.worker, since, ret_worker);
}

/* It died between the promise and the delivery: its slot takes its place. */
static void on_promised_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct pool_wait *wait = arg;

    if (!pool_is_over(conn, event)) {
        return;
    }
    wait->conn = NULL;
    wait->has_slot = true;
    pool_of(conn)->servers[wait->server].promised++;
    pool_close_keep_slot(conn, false);
}

void pool_wait_give_conn(struct pool_wait *wait, struct conn *conn)
{
    struct pool *pool = pool_of(conn);

    leave(pool, wait);
    wait->conn = conn;
    conn_set_owner(conn, on_promised_event, wait);
    loop_defer(pool->env.loop, &wait->task);
}

void pool_wait_give_slot(struct pool_wait *wait)
{
    struct pool *pool = wait->key->pool;

    leave(pool, wait);
    wait->has_slot = true;
    pool->servers[wait->server].promised++;
    loop_defer(pool->env.loop, &wait->task);
}

void pool_wait_cancel(struct pool_wait *wait)
{
    struct pool_key *key = wait->key;
    struct conn *conn = wait->conn;

    if (list_node_is_linked(&wait->node)) {
        leave(key->pool, wait);
    }
    if (wait->ready != NULL) {
        loop_task_cancel(&wait->task);
    }
    wait->key = NULL;
    wait->conn = NULL;
    if (conn != NULL) {
        pool_offer(conn);
    }
    if (wait->has_slot) {
        wait->has_slot = false;
        WR_ASSERT(key != NULL);
        key->pool->servers[wait->server].promised--;
        pool_give_slot(key->pool, wait->server);
    }
}

void pool_wait_expire(struct pool *pool, uint64_t now_us)
{
    for (uint16_t i = 0; i < pool->server_count; i++) {
        struct pool_wait *wait = pool_wait_first(pool, i);

        while (wait != NULL && now_us - wait->since_us >= pool->conf.wait_us) {
            leave(pool, wait);
            metric_inc(pool->env.metrics, METRIC_POOL_TIMEOUTS, i);
            wait->err = -WR_E_TIMEOUT;
            loop_defer(pool->env.loop, &wait->task);
            wait = pool_wait_first(pool, i);
        }
        /* a letter about a free slot may have crossed ours: look for oneself, too */
        pool_wait_kick(pool, i);
    }
}

uint64_t pool_wait_deadline(const struct pool *pool)
{
    uint64_t first = 0;

    for (uint16_t i = 0; i < pool->server_count; i++) {
        uint64_t since = pool_wait_since(pool, i);

        if (since != 0 && (first == 0 || since < first)) {
            first = since;
        }
    }
    /* the others are looked after a few times a second all the same */
    if (first == 0) {
        return 0;
    }
    uint64_t soon = loop_now_us(pool->env.loop) + 50000;
    uint64_t end = first + pool->conf.wait_us;

    return end < soon ? end : soon;
}

bool pool_may_open_more(const struct pool_server *server)
{
    return server->opening + server->promised < POOL_OPENING_MAX;
}

void pool_wait_kick(struct pool *pool, uint16_t server)
{
    struct pool_wait *wait = pool_wait_first(pool, server);

    while (wait != NULL && pool_may_open_more(&pool->servers[server]) &&
           slots_take(pool->env.slots, server) >= 0) {
        pool_wait_give_slot(wait);
        wait = pool_wait_first(pool, server);
    }
}

void pool_give_slot(struct pool *pool, uint16_t server)
{
    struct pool_wait *wait = pool_wait_first(pool, server);
    uint32_t worker = 0;

    if (pool_wait_elsewhere(pool, server, &worker)) {
        slots_give(pool->env.slots, server);
        pool_mail_slot(pool, server, worker);
    } else if (wait != NULL &&
               slots_used(pool->env.slots, server) <= slots_max(pool->env.slots, server)) {
        pool_wait_give_slot(wait);
    } else {
        slots_give(pool->env.slots, server);
    }
}

void pool_wait_help(struct pool *pool, uint16_t server)
{
    if (!list_is_empty(&pool->servers[server].soft)) {
        pool_reclaim(pool, server);
    }
    pool_mail_shed(pool, server);
}
