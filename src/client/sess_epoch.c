/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the primary changes. "No primary" is acknowledged by the worker when this has been through
 * all sessions: then no connection of the old epoch is left that something new could be written to.
 *
 *   idle connection, and what is on it      closed; a transaction is lost (1213 to the next
 *                                           statement), a pin ends the session
 *   being opened, or waited for             the statement waits for the next primary instead
 *   weir's own commands on it               they end, and then the statement waits
 *   a statement on it                       its reply is the truth about it and is waited for, unless
 *                                           the server is dead, has another address, or is writable
 *                                           although it is no primary any more: then it is lost
 */
#include "weir/backend/topo.h"
#include "weir/util/fault.h"

#include "sess_priv.h"

bool sess_conn_is_stale(const struct sess *sess, const struct conn *conn)
{
    const struct topo *topo = sess->env->topo;

    if (WR_MUTANT("failover.no_fence")) {
        return false;
    }
    return conn->is_replica != ((int16_t)conn->server_index != topo->primary) ||
           (!conn->is_replica && conn->epoch != topo->epoch) ||
           conn->addr_gen != topo->servers[conn->server_index].addr_gen;
}

void sess_leave_home(struct sess *sess)
{
    const struct conn *conn = sess_conn(sess, sess->home_server);

    if (conn != NULL && (sess->tx_open || sess->pins != 0) && sess_conn_is_stale(sess, conn)) {
        sess_server_lost(sess, sess->home_server);
    }
}

/* No true word is to be expected from it any more. */
static bool is_dead(const struct sess *sess, const struct conn *conn)
{
    const struct topo_server *server = &sess->env->topo->servers[conn->server_index];

    return (server->state == TOPO_ST_DOWN && !server->is_answering) ||
           server->why == TOPO_WHY_SECOND_WRITER || conn->addr_gen != server->addr_gen;
}

static bool is_under_way(const struct sess *sess, int16_t server)
{
    return (sess->state == SESS_ST_RELAY && sess->cmd.server == server) ||
           (sess->state == SESS_ST_SYNC && sess->own_server == server);
}

/* True: something of the old epoch is still under way. */
static bool leave_conn(struct sess *sess, int16_t server)
{
    struct conn *conn = sess_conn(sess, server);
    bool dead = is_dead(sess, conn);

    if (is_under_way(sess, server)) {
        if (dead) {
            sess_server_lost(sess, server);
        }
        return !dead;
    }
    if (sess->state == SESS_ST_OPEN && sess->cmd.server == server) {
        sess_conn_drop(sess, server, false);
        sess_go(sess, NULL, 0);
        return false;
    }
    if (sess->home_server == server && (sess->tx_open || sess->pins != 0)) {
        if (sess->state != SESS_ST_HOLD) { /* else sess_delay.c tells it */
            sess_server_lost(sess, server);
        }
        return false;
    }
    if (!dead && sess->state == SESS_ST_IDLE && sess->hold != 0) {
        sess_hold_reclaim(sess, server); /* what only this connection knows is asked for first */
        if (sess->state == SESS_ST_SYNC) {
            return true;
        }
    }
    sess_conn_drop(sess, server, !dead);
    return false;
}

static bool leave(struct sess *sess)
{
    uint64_t epoch = sess->env->topo->epoch;
    bool is_left = false;

    if (sess->state == SESS_ST_WAIT && sess->cmd.target == ROUTE_TO_PRIMARY) {
        pool_wait_cancel(&sess->wait);
        sess_go(sess, NULL, 0);
    }
    for (uint16_t i = 0; i < sess->conn_count && stream_is_open(&sess->front); i++) {
        const struct conn *conn = sess_conn(sess, (int16_t)i);

        if (conn != NULL && !conn->is_replica && conn->epoch != epoch) {
            is_left = leave_conn(sess, (int16_t)i) || is_left;
        }
    }
    return is_left;
}

void sess_set_on_topo(struct sess_set *set)
{
    bool is_left = false;

    if (WR_MUTANT("failover.no_fence")) {
        set->epoch = set->env->topo->epoch; /* and whatever is on old connections goes on */
    } else if (set->epoch != set->env->topo->epoch || set->has_stragglers) {
        set->epoch = set->env->topo->epoch;
        list_for_each_safe (node, &set->sessions) {
            struct sess *sess = list_entry(node, struct sess, node);

            if (sess->login == NULL && sess->state != SESS_ST_CLOSING) {
                is_left = leave(sess) || is_left;
            }
        }
        set->has_stragglers = is_left;
    }
    sess_delays_look(set);
}
