/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   checkout --> idle one --> lent --> checkin --> [reset] --> offer --> a waiter here
 *        |                     ^  |                              |-----> a worker where one has
 *        |--> slot --> opening-'  '--> discard --> slot --------'|       waited longer
 *        '--> wait ...                                           '-----> idle --> retired
 *
 * A connection is in exactly one of these places: idle (on its bucket's and its server's lists),
 * promised to a wait, lent, or being reset. Whoever is not the session that has it does not read
 * it: what an unlent connection says means its end, and is not looked at.
 */
#include "weir/pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/backend/cred.h"
#include "weir/pool/slots.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/metric.h"

#include "pool_priv.h"

/* Idle connections looked at for one that carries the wanted state already. */
#define LOOK_MAX 8

/* --- the pool --- */

static void on_timer(void *arg)
{
    struct pool *pool = arg;
    uint64_t now_us = loop_now_us(pool->env.loop);

    pool_wait_expire(pool, now_us);
    pool_keep(pool, now_us);
    pool_arm(pool);
}

/* Once a second, and when a waiter gives up. */
void pool_arm(struct pool *pool)
{
    uint64_t at = loop_now_us(pool->env.loop) + UINT64_C(1000000);
    uint64_t deadline = pool_wait_deadline(pool);

    if (deadline != 0 && deadline < at) {
        at = deadline;
    }
    timer_arm_at(&pool->timer, at);
}

/* Ask sessions for connections that they hold for convenience only. */
static void on_task(void *arg)
{
    struct pool *pool = arg;

    for (uint16_t i = 0; i < pool->server_count; i++) {
        struct list_node *node = list_first(&pool->servers[i].soft);
        uint64_t bit = UINT64_C(1) << (i % 64);

        if ((pool->reclaim_mask[i / 64] & bit) == 0) {
            continue;
        }
        pool->reclaim_mask[i / 64] &= ~bit;
        if (node != NULL) {
            struct conn *conn = list_entry(node, struct conn, lru);

            pool_set_reclaimable(conn, false);
            conn->on_event(conn->arg, conn, CONN_EV_RECLAIM);
        }
    }
}

void pool_reclaim(struct pool *pool, uint16_t server)
{
    pool->reclaim_mask[server / 64] |= UINT64_C(1) << (server % 64);
    loop_defer(pool->env.loop, &pool->task);
}

/* There is an idle or soft one: others may ask for it. Taken back when one has asked in vain. True:
 * that is news, and who waits is to be looked at again, see slots_spare_set(). */
static bool tell_spare(struct pool *pool, uint16_t server)
{
    if (pool->servers[server].is_spare_told) {
        return false;
    }
    pool->servers[server].is_spare_told = true;
    slots_spare_set(pool->env.slots, server, pool->env.worker, true);
    return true;
}

int pool_create(const struct pool_env *env, const struct pool_conf *conf, const struct topo *topo,
                struct pool **ret_pool)
{
    uint16_t count = topo->server_count;
    struct pool *pool = calloc(1, sizeof(*pool) + count * sizeof(struct pool_server));

    if (pool == NULL) {
        return -ENOMEM;
    }
    WR_ASSERT(count <= SLOTS_SERVERS_MAX);
    pool->env = *env;
    pool->conf = *conf;
    pool->server_count = count;
    map_init(&pool->keys, MAP_KEYS_HOSTILE, POOL_KEYS_MAX);
    list_init(&pool->all);
    for (uint16_t i = 0; i < count; i++) {
        list_init(&pool->servers[i].waiters);
        list_init(&pool->servers[i].idle);
        list_init(&pool->servers[i].soft);
    }
    pool_kills_init(pool);
    timer_init(&pool->timer, env->loop, on_timer, pool);
    loop_task_init(&pool->task, on_task, pool);
    pool_set_topo(pool, topo);
    pool_arm(pool);
    *ret_pool = pool;
    return 0;
}

static void close_idle(struct pool *pool, uint16_t server)
{
    list_for_each_safe (node, &pool->servers[server].idle) {
        pool_discard(list_entry(node, struct conn, lru), true);
    }
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (uint16_t i = 0; i < pool->server_count; i++) {
        WR_DASSERT(list_is_empty(&pool->servers[i].waiters));
        close_idle(pool, i);
        WR_DASSERT(pool->servers[i].open == 0);
    }
    pool_kills_fini(pool);
    WR_DASSERT(list_is_empty(&pool->all));
    timer_cancel(&pool->timer);
    loop_task_cancel(&pool->task);
    map_fini(&pool->keys, NULL);
    free(pool);
}

void pool_set_conf(struct pool *pool, const struct pool_conf *conf)
{
    pool->conf = *conf;
}

/* Of what a fresh login gets: a connection born before a change has other values. */
static uint64_t defaults_hash(const struct topo_server *server)
{
    const struct topo_defaults *d = &server->defaults;
    struct buf bytes = {0};
    uint64_t hash = 0;

    if (server->has_defaults &&
        buf_printf(&bytes, 4096, "%s|%s|%s|%s|%d|%d|%d", d->sql_mode, d->time_zone,
                   d->character_set_server, d->collation_server, (int)d->isolation,
                   (int)d->tx_read_only, (int)d->autocommit) >= 0) {
        hash = map_hash(buf_span(&bytes)) | 1U;
    }
    buf_fini(&bytes);
    return hash;
}

void pool_set_topo(struct pool *pool, const struct topo *topo)
{
    pool->topo = topo;
    for (uint16_t i = 0; i < pool->server_count && i < topo->server_count; i++) {
        struct pool_server *server = &pool->servers[i];
        const struct topo_server *now = &topo->servers[i];

        server->is_primary = topo->primary == (int16_t)i;
        server->is_down = now->state == TOPO_ST_DOWN;
        server->is_draining = now->state == TOPO_ST_DRAINING;
        server->defaults_hash = defaults_hash(now);
        server->wait_timeout_s = now->has_defaults ? now->defaults.wait_timeout_s : 0;
        list_for_each_safe (node, &server->idle) {
            struct conn *conn = list_entry(node, struct conn, lru);

            if (server->is_down || !pool_is_good(pool, conn)) {
                metric_inc(pool->env.metrics, METRIC_POOL_RETIRED, i);
                pool_discard(conn, !server->is_down);
            }
        }
    }
}

/* --- whose they are not to be any more --- */

void pool_refuse_here(struct pool *pool, const struct cred *cred)
{
    list_for_each_safe (node, &pool->all) {
        struct pool_key *key = list_entry(node, struct pool_key, node);

        if (!key->is_refused && cred_equal(key->cred, cred)) {
            key->is_refused = true;
            key->sessions++; /* it must outlive its last connection here */
            for (uint16_t i = 0; i < key->bucket_count; i++) {
                list_for_each_safe (at, &key->buckets[i].idle) {
                    pool_discard(list_entry(at, struct conn, node), true);
                }
            }
            pool_key_put(key);
        }
    }
}

void pool_refuse(struct pool *pool, struct cred *cred)
{
    pool_refuse_here(pool, cred);
    pool_mail_refuse(pool, cred);
}

/* --- one connection --- */

struct pool *pool_of(const struct conn *conn)
{
    return conn->bucket->key->pool;
}

static struct pool_server *server_of(const struct conn *conn)
{
    return &pool_of(conn)->servers[conn->server_index];
}

/* Each connection's own limit is up to a tenth shorter, so that they do not all end at once. */
static bool is_too_old(const struct pool *pool, const struct conn *conn)
{
    uint64_t limit = pool->conf.max_age_us;

    limit -= limit / 1000 * (conn->thread_id % 100);
    return limit != 0 && loop_now_us(pool->env.loop) - conn->born_us > limit;
}

/* It was begun as one to the primary in an epoch that is over, or to an address that its server has
 * left. */
static bool is_of_the_past(const struct pool *pool, const struct conn *conn)
{
    return (!conn->is_replica && conn->epoch != pool->topo->epoch) ||
           conn->addr_gen != pool->topo->servers[conn->server_index].addr_gen;
}

bool pool_is_good(const struct pool *pool, const struct conn *conn)
{
    const struct pool_server *server = &pool->servers[conn->server_index];

    return conn->state == CONN_ST_READY && stream_is_open(&conn->stream) && !conn->is_spoiled &&
           !conn->is_sandboxed && !conn->bucket->key->is_refused &&
           !(server->is_draining && conn->is_replica) && conn->is_replica != server->is_primary &&
           !is_too_old(pool, conn) && !is_of_the_past(pool, conn) &&
           (conn->defaults_hash == 0 || server->defaults_hash == 0 ||
            conn->defaults_hash == server->defaults_hash);
}

void pool_attach(struct pool_key *key, struct conn *conn)
{
    struct pool_server *server = &key->pool->servers[conn->server_index];

    conn->bucket = &key->buckets[conn->server_index];
    conn->bucket->count++;
    key->conns++;
    server->open++;
    if (conn->defaults_hash == 0) {
        conn->defaults_hash = server->defaults_hash;
    }
}

void pool_idle_remove(struct conn *conn)
{
    list_remove(&conn->node);
    list_remove(&conn->lru);
    server_of(conn)->idle_count--;
    metric_sub(pool_of(conn)->env.metrics, METRIC_POOL_IDLE, conn->server_index, 1);
}

/* Off every list and out of every count. */
static struct pool_key *detach(struct conn *conn)
{
    struct pool_key *key = conn->bucket->key;
    struct pool_server *server = server_of(conn);

    if (list_node_is_linked(&conn->node)) {
        pool_idle_remove(conn);
    }
    if (conn->kills != 0) {
        pool_kill_forget(conn);
    }
    list_remove(&conn->lru); /* a reclaimable one */
    conn->is_reclaimable = false;
    if (conn->is_opening) {
        conn->is_opening = false;
        server->opening--;
    }
    conn->bucket->count--;
    conn->bucket = NULL;
    key->conns--;
    server->open--;
    return key;
}

void pool_forget(struct conn *conn)
{
    pool_key_drop(detach(conn));
}

void pool_close_keep_slot(struct conn *conn, bool is_orderly)
{
    struct pool_key *key = detach(conn);

    conn_close(conn, is_orderly);
    pool_key_drop(key);
}

void pool_discard(struct conn *conn, bool is_orderly)
{
    struct pool *pool = pool_of(conn);
    uint16_t server = conn->server_index;

    pool_close_keep_slot(conn, is_orderly);
    pool_give_slot(pool, server);
}

bool pool_is_over(struct conn *conn, enum conn_event event)
{
    size_t n = 0;

    switch (event) {
    case CONN_EV_DRAINED:
    case CONN_EV_RECLAIM:
        return false;
    case CONN_EV_READABLE:
        /* TLS may have something of its own to read; then there are no bytes */
        return stream_read(&conn->stream, loop_scratch(pool_of(conn)->env.loop), LOOP_SCRATCH_BYTES,
                           &n) != IO_AGAIN;
    case CONN_EV_READY:
    case CONN_EV_FAILED:
    case CONN_EV_CLOSED:
        return true;
    }
    return true;
}

static void on_idle_event(void *arg, struct conn *conn, enum conn_event event)
{
    (void)arg;
    /* Whatever it says was not asked for: nobody looks at it. */
    if (pool_is_over(conn, event)) {
        metric_inc(pool_of(conn)->env.metrics, METRIC_POOL_RETIRED, conn->server_index);
        pool_discard(conn, false);
    }
}

void pool_own(struct conn *conn)
{
    conn_set_owner(conn, on_idle_event, pool_of(conn));
}

/* Somebody elsewhere has waited longer than anybody here: true, and it is on its way there. */
static bool pass_on(struct pool *pool, struct conn *conn)
{
    uint16_t index = conn->server_index;
    uint32_t worker = 0;

    if (!pool_wait_elsewhere(pool, index, &worker)) {
        return false;
    }
    (void)pool_pass(conn, worker);
    return true;
}

void pool_offer(struct conn *conn)
{
    pool_offer_first(conn, false);
}

void pool_offer_first(struct conn *conn, bool is_here_first)
{
    struct pool *pool = pool_of(conn);
    struct pool_server *server = server_of(conn);
    uint16_t index = conn->server_index;
    struct pool_wait *wait = NULL;

    pool_own(conn);
    if (!pool_is_good(pool, conn)) {
        metric_inc(pool->env.metrics, METRIC_POOL_RETIRED, index);
        pool_discard(conn, true);
        return;
    }
    wait = pool_wait_first(pool, index);
    if ((wait == NULL || !is_here_first) &&
        (pass_on(pool, conn) || (wait == NULL && tell_spare(pool, index) && pass_on(pool, conn)))) {
        return;
    }
    if (wait != NULL && wait->key == conn->bucket->key && conn_svec_can_fit(conn, wait->want)) {
        pool_wait_give_conn(wait, conn);
        return;
    }
    if (wait != NULL) {
        /* another user's, or beyond replay: its slot is worth more than itself */
        pool_close_keep_slot(conn, true);
        pool_wait_give_slot(wait);
        return;
    }
    conn->idle_us = loop_now_us(pool->env.loop);
    list_push_front(&conn->bucket->idle, &conn->node);
    list_push(&server->idle, &conn->lru);
    server->idle_count++;
    metric_add(pool->env.metrics, METRIC_POOL_IDLE, index, 1);
}

/* --- reset --- */

/* Replies to COM_RESET_CONNECTION and to the SET behind it: two OK packets. They are small; one
 * that comes in pieces is rarer than it is worth code, and costs the connection. */
static void on_reset_event(void *arg, struct conn *conn, enum conn_event event)
{
    uint8_t *scratch = NULL;
    size_t len = 0;
    size_t at = 0;

    (void)arg;
    if (event == CONN_EV_DRAINED || event == CONN_EV_RECLAIM) {
        return;
    }
    scratch = loop_scratch(pool_of(conn)->env.loop);
    if (event != CONN_EV_READABLE) {
        pool_discard(conn, false);
        return;
    }
    switch (stream_read(&conn->stream, scratch, LOOP_SCRATCH_BYTES, &len)) {
    case IO_AGAIN:
        return;
    case IO_DONE:
        break;
    case IO_EOF:
    case IO_FAIL:
        pool_discard(conn, false);
        return;
    }
    while (at + 5 <= len && conn->replies > 0) {
        size_t payload = scratch[at] | (size_t)scratch[at + 1] << 8 | (size_t)scratch[at + 2] << 16;

        if (scratch[at + 3] != 1 || scratch[at + 4] != 0x00 || payload > len - at - 4) {
            break;
        }
        at += 4 + payload;
        conn->replies--;
    }
    if (at != len) {
        pool_discard(conn, false);
    } else if (conn->replies == 0) {
        pool_offer(conn);
    }
}

static void reset(struct conn *conn)
{
    struct pool *pool = pool_of(conn);
    int replies = 0;

    metric_inc(pool->env.metrics, METRIC_POOL_RESETS, conn->server_index);
    conn_set_owner(conn, on_reset_event, pool);
    replies = conn_send_reset(conn);
    if (replies < 0) {
        pool_discard(conn, false);
        return;
    }
    conn->replies = (uint8_t)replies;
    conn->is_dirty = false;
    conn->insert_id_of = 0;
    conn->last_user = 0;
}

void pool_checkin(struct conn *conn)
{
    pool_set_reclaimable(conn, false);
    if (conn->kills != 0) {
        /* until the KILL has been answered it may still hit whatever runs here */
        conn->is_dirty = true;
        conn->is_parked = true;
        pool_own(conn);
        return;
    }
    if (conn->is_dirty && pool_is_good(pool_of(conn), conn) && !WR_MUTANT("pool.no_reset")) {
        reset(conn);
        return;
    }
    pool_offer(conn);
}

/* --- lending --- */

static void lend(struct conn *conn, const struct pool_ask *ask)
{
    conn->uses++;
    conn->last_user = ask->user;
    conn_set_owner(conn, ask->on_event, ask->arg);
}

int pool_open(struct pool_key *key, const struct pool_ask *ask, struct conn **ret_conn)
{
    struct pool *pool = key->pool;
    struct conn *conn = NULL;
    int r = conn_open(pool->env.conn_env, ask->params, ask->on_event, ask->arg, &conn);

    if (r < 0) {
        pool_give_slot(pool, ask->server);
        return r;
    }
    pool_attach(key, conn);
    conn->is_opening = true;
    pool->servers[ask->server].opening++;
    conn->uses++;
    conn->last_user = ask->user;
    *ret_conn = conn;
    return 0;
}

void pool_opened(struct conn *conn)
{
    struct pool_server *server = server_of(conn);

    if (conn->is_opening) {
        conn->is_opening = false;
        server->opening--;
        pool_wait_kick(pool_of(conn), conn->server_index);
    }
}

/* The idle connection that would be used with the least ado. NULL: none that can be used. */
static struct conn *pick(struct pool_bucket *bucket, const struct svec *want, bool is_replica)
{
    struct conn *second = NULL;
    unsigned looked = 0;

    list_for_each_safe (node, &bucket->idle) {
        struct conn *conn = list_entry(node, struct conn, node);

        if (conn->is_replica != is_replica || !stream_is_open(&conn->stream)) {
            pool_discard(conn, true);
            continue;
        }
        if (conn_svec_fits(conn, want)) {
            return conn;
        }
        if (second == NULL && conn_svec_can_fit(conn, want)) {
            second = conn;
        }
        if (++looked >= LOOK_MAX && second != NULL) {
            break;
        }
    }
    return second;
}

/* The server's longest idle connection, whoever's it is, makes room. */
static bool evict(struct pool *pool, uint16_t server)
{
    struct list_node *node = list_first(&pool->servers[server].idle);

    if (node == NULL) {
        return false;
    }
    metric_inc(pool->env.metrics, METRIC_POOL_RETIRED, server);
    pool_close_keep_slot(list_entry(node, struct conn, lru), true);
    return true;
}

static bool may_open(struct pool *pool, struct pool_wait *wait, uint16_t server)
{
    if (wait->has_slot) {
        wait->has_slot = false;
        pool->servers[server].promised--;
        return true;
    }
    if (!pool_may_open_more(&pool->servers[server])) {
        return false;
    }
    return slots_take(pool->env.slots, server) >= 0 || evict(pool, server);
}

int pool_checkout(struct pool_key *key, const struct pool_ask *ask, struct pool_wait *wait,
                  struct conn **ret_conn)
{
    struct pool *pool = key->pool;
    struct pool_server *server = NULL;
    struct conn *conn = NULL;

    if (ask->server >= pool->server_count) {
        return -WR_E_NO_SERVER;
    }
    server = &pool->servers[ask->server];
    wait->key = NULL;
    if (wait->conn != NULL) {
        conn = wait->conn;
        wait->conn = NULL;
        if (is_of_the_past(pool, conn)) { /* promised before the primary, or its name, moved */
            pool_close_keep_slot(conn, true);
            conn = NULL;
            wait->has_slot = true;
            server->promised++;
        }
    } else if (!wait->has_slot && pool_wait_first(pool, ask->server) == NULL) {
        conn = pick(&key->buckets[ask->server], ask->params->svec, !server->is_primary);
        if (conn != NULL) {
            pool_idle_remove(conn);
        }
    }
    if (conn != NULL) {
        lend(conn, ask);
        *ret_conn = conn;
        return 1;
    }
    if ((wait->has_slot || pool_wait_first(pool, ask->server) == NULL) &&
        may_open(pool, wait, ask->server)) {
        int r = pool_open(key, ask, ret_conn);

        return r < 0 ? r : 2;
    }
    return pool_wait_push(pool, wait, key, ask);
}

struct conn *pool_checkout_last(struct pool_key *key, const struct pool_ask *ask, uint64_t uses)
{
    if (ask->server >= key->pool->server_count) {
        return NULL;
    }
    list_for_each (node, &key->buckets[ask->server].idle) {
        struct conn *conn = list_entry(node, struct conn, node);

        if (conn->last_user == ask->user && conn->uses == uses) {
            pool_idle_remove(conn);
            lend(conn, ask);
            return conn;
        }
    }
    return NULL;
}

void pool_adopt(struct pool_key *key, struct conn *conn, conn_event_fn on_event, void *arg)
{
    pool_attach(key, conn);
    conn->uses++;
    conn_set_owner(conn, on_event, arg);
}

void pool_set_reclaimable(struct conn *conn, bool is_reclaimable)
{
    if (conn->is_reclaimable == is_reclaimable) {
        return;
    }
    conn->is_reclaimable = is_reclaimable;
    if (is_reclaimable) {
        list_push(&server_of(conn)->soft, &conn->lru);
        (void)tell_spare(pool_of(conn), conn->server_index);
        if (pool_is_wanted(conn->bucket->key, conn->server_index)) {
            pool_reclaim(pool_of(conn), conn->server_index);
        }
    } else {
        list_remove(&conn->lru);
    }
}

bool pool_is_wanted(const struct pool_key *key, uint16_t server)
{
    const struct pool *pool = key->pool;
    uint32_t worker = 0;

    return pool->servers[server].waiting != 0 ||
           slots_wait_elsewhere(pool->env.slots, server, pool->env.worker, 0, &worker);
}

/* --- slots for others --- */

int pool_take_slot(struct pool *pool, uint16_t server)
{
    if (slots_take(pool->env.slots, server) >= 0 || evict(pool, server)) {
        return 0;
    }
    pool_wait_help(pool, server);
    return -WR_E_LIMIT;
}
