/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the workers' pools. A connection moves in one case only: somebody has waited for one
 * longer in another worker. Its socket, its vector and its statements go along; its slot stays its.
 */
#include <stdlib.h>

#include "weir/backend/cred.h"
#include "weir/pool/slots.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "pool_priv.h"

static void post(struct pool *pool, uint32_t worker, const struct pool_mail *mail)
{
    pool->env.mail(pool->env.arg, worker, mail);
}

static void post_all(struct pool *pool, const struct pool_mail *mail)
{
    for (uint32_t i = 0; i < pool->env.worker_count; i++) {
        if (i != pool->env.worker) {
            struct pool_mail copy = *mail;

            if (copy.cred != NULL) {
                copy.cred = cred_ref(copy.cred);
            }
            post(pool, i, &copy);
        }
    }
}

/* To those only that may have something: while many wait nobody has, and nobody is asked. */
void pool_mail_shed(struct pool *pool, uint16_t server)
{
    struct pool_mail mail = {.kind = POOL_MAIL_SHED, .server = server, .from = pool->env.worker};
    uint64_t spare = slots_spare(pool->env.slots, server);

    for (uint32_t i = 0; spare != 0 && i < pool->env.worker_count; i++, spare >>= 1) {
        if ((spare & 1U) != 0 && i != pool->env.worker) {
            post(pool, i, &mail);
        }
    }
}

void pool_mail_slot(struct pool *pool, uint16_t server, uint32_t worker)
{
    struct pool_mail mail = {.kind = POOL_MAIL_SLOT, .server = server, .from = pool->env.worker};

    post(pool, worker, &mail);
}

void pool_mail_refuse(struct pool *pool, struct cred *cred)
{
    struct pool_mail mail = {.kind = POOL_MAIL_REFUSE, .from = pool->env.worker, .cred = cred};

    post_all(pool, &mail);
}

bool pool_pass(struct conn *conn, uint32_t worker)
{
    struct pool *pool = pool_of(conn);
    struct pool_key *key = conn->bucket->key;
    uint16_t server = conn->server_index;
    struct pool_mail mail = {
        .kind = POOL_MAIL_PASS,
        .server = server,
        .from = pool->env.worker,
        .conn = conn,
        .caps = key->caps,
        .collation = key->collation,
    };

    pool_forget(conn);
    if (conn_pack(conn, &mail.state) < 0) {
        buf_fini(&mail.state);
        pool_give_slot(pool, server);
        return false;
    }
    metric_inc(pool->env.metrics, METRIC_POOL_PASSES, server);
    post(pool, worker, &mail);
    return true;
}

static void on_pass(struct pool *pool, struct pool_mail *mail)
{
    struct conn *conn = mail->conn;
    struct pool_key *key = NULL;

    if (pool_key_get(pool, conn->cred, mail->caps, mail->collation, &key) < 0) {
        conn_abandon(conn);
        pool_give_slot(pool, mail->server);
        return;
    }
    if (conn_unpack(pool->env.conn_env, conn, buf_span(&mail->state), NULL, NULL) < 0) {
        pool_give_slot(pool, mail->server);
    } else {
        pool_attach(key, conn);
        pool_offer_first(conn, true);
    }
    pool_key_put(key);
}

/* The other worker's first waiter would be glad of anything: an idle one, or one that a session
 * here holds for convenience. */
static void on_shed(struct pool *pool, const struct pool_mail *mail)
{
    struct pool_server *server = &pool->servers[mail->server];
    struct list_node *node = list_first(&server->idle);

    if (node != NULL) {
        struct conn *conn = list_entry(node, struct conn, lru);

        pool_idle_remove(conn);
        pool_offer(conn);
    } else if (!list_is_empty(&server->soft)) {
        pool_reclaim(pool, mail->server);
    } else if (server->is_spare_told) {
        server->is_spare_told = false;
        slots_spare_set(pool->env.slots, mail->server, pool->env.worker, false);
    }
}

static void on_slot(struct pool *pool, const struct pool_mail *mail)
{
    struct pool_wait *wait = pool_wait_first(pool, mail->server);

    if (wait != NULL && slots_take(pool->env.slots, mail->server) >= 0) {
        pool_wait_give_slot(wait);
    }
}

void pool_on_mail(struct pool *pool, struct pool_mail *mail)
{
    switch (mail->kind) {
    case POOL_MAIL_PASS:
        on_pass(pool, mail);
        mail->conn = NULL;
        break;
    case POOL_MAIL_SHED:
        on_shed(pool, mail);
        break;
    case POOL_MAIL_SLOT:
        on_slot(pool, mail);
        break;
    case POOL_MAIL_REFUSE:
        pool_refuse_here(pool, mail->cred);
        break;
    }
    buf_fini(&mail->state);
    cred_unref(mail->cred);
    mail->cred = NULL;
}

void pool_mail_drop(struct slots *slots, struct pool_mail *mail)
{
    if (mail->conn != NULL) {
        conn_abandon(mail->conn);
        slots_give(slots, mail->server);
        mail->conn = NULL;
    }
    buf_fini(&mail->state);
    cred_unref(mail->cred);
    mail->cred = NULL;
}
