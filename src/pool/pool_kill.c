/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KILLs that keep their aim. A KILL names a server's thread; by the time it is executed the thread
 * may have another session's statement. So its connection is not lent while a KILL for it is on the
 * way, and is reset behind it: a KILL QUERY that came too late hits the reset.
 */
#include <errno.h>
#include <stdlib.h>

#include "weir/backend/cred.h"
#include "weir/pool/slots.h"
#include "weir/util/err.h"

#include "pool_priv.h"

#define AGAIN_US  UINT64_C(2000)
#define KILL_US   UINT64_C(5000000)
#define KILLS_MAX 4096

struct kill_op {
    struct list_node node;
    struct pool *pool;
    struct conn *conn; /* borrowed; NULL: it is gone */
    struct cred *cred;
    uint32_t thread_id;
    uint16_t server;
    bool is_query_only;
    bool is_replica;
    bool is_running;
    bool is_orphan; /* the pool is gone */
    uint64_t deadline_us;
};

static void start_some(struct pool *pool);

static void op_free(struct kill_op *op)
{
    list_remove(&op->node);
    cred_unref(op->cred);
    free(op);
}

/* The KILL has been answered, or given up. */
static void op_over(struct kill_op *op)
{
    struct conn *conn = op->conn;

    op_free(op);
    if (conn == NULL) {
        return;
    }
    conn->kills--;
    if (conn->kills == 0 && conn->is_parked) {
        conn->is_parked = false;
        pool_checkin(conn);
    }
}

static void on_done(void *arg, int err, uint16_t code)
{
    struct kill_op *op = arg;
    struct pool *pool = op->pool;

    /* the statement may have ended by itself: nothing is left to be done about either outcome */
    (void)err;
    (void)code;
    if (op->is_orphan) {
        cred_unref(op->cred);
        free(op);
        return;
    }
    slots_give_spare(pool->env.slots, op->server);
    op_over(op);
    start_some(pool);
}

static int op_start(struct kill_op *op)
{
    const struct pool_env *env = &op->pool->env;
    struct conn_params params = {
        .server = &op->pool->topo->servers[op->server],
        .cred = op->cred,
        .is_replica = op->is_replica,
        .deadline_us = loop_now_us(env->loop) + KILL_US,
    };

    return conn_kill(env->conn_env, &params, op->thread_id, op->is_query_only, on_done, op);
}

/* In their order, one at a time for each server. */
static void start_some(struct pool *pool)
{
    uint64_t now_us = loop_now_us(pool->env.loop);
    bool waits = false;

    list_for_each_safe (node, &pool->kills) {
        struct kill_op *op = list_entry(node, struct kill_op, node);

        if (op->is_running) {
            continue;
        }
        if ((op->conn == NULL && op->is_query_only) || now_us > op->deadline_us) {
            op_over(op);
        } else if (slots_take_spare(pool->env.slots, op->server) < 0) {
            waits = true;
        } else {
            op->is_running = true;
            if (op_start(op) < 0) {
                slots_give_spare(pool->env.slots, op->server);
                op_over(op);
            }
        }
    }
    if (waits) {
        timer_arm_in(&pool->kill_timer, AGAIN_US);
    }
}

static void on_timer(void *arg)
{
    start_some(arg);
}

void pool_kills_init(struct pool *pool)
{
    list_init(&pool->kills);
    timer_init(&pool->kill_timer, pool->env.loop, on_timer, pool);
}

void pool_kills_fini(struct pool *pool)
{
    timer_cancel(&pool->kill_timer);
    list_for_each_safe (node, &pool->kills) {
        struct kill_op *op = list_entry(node, struct kill_op, node);

        list_remove(&op->node);
        if (op->is_running) {
            op->is_orphan = true; /* freed when its connection has ended */
            slots_give_spare(pool->env.slots, op->server);
        } else {
            op_free(op);
        }
    }
}

void pool_kill_forget(struct conn *conn)
{
    list_for_each (node, &pool_of(conn)->kills) {
        struct kill_op *op = list_entry(node, struct kill_op, node);

        if (op->conn == conn) {
            op->conn = NULL;
        }
    }
    conn->kills = 0;
}

int pool_kill(struct conn *conn, bool is_query_only)
{
    struct pool *pool = pool_of(conn);
    struct kill_op *op = NULL;

    if (conn->kills == UINT8_MAX || list_count(&pool->kills) >= KILLS_MAX) {
        return -WR_E_LIMIT;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL) {
        return -ENOMEM;
    }
    op->pool = pool;
    op->conn = conn;
    op->cred = cred_ref(conn->cred);
    op->thread_id = conn->thread_id;
    op->server = conn->server_index;
    op->is_query_only = is_query_only;
    op->is_replica = conn->is_replica;
    op->deadline_us = loop_now_us(pool->env.loop) + KILL_US;
    conn->kills++;
    list_push(&pool->kills, &op->node);
    start_some(pool);
    return 0;
}
