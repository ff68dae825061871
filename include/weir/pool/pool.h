/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - one worker's connections to all servers: idle, lent, and waited for.
 *
 * WHY       Many clients share few connections: one is lent for a transaction or a statement and
 *           goes back. Login and birth are paid once, not per session.
 * OWNS      Every conn it opened or adopted, until it is closed or passed on to another worker's
 *           pool; a slot of its server for each. A lent conn is used by exactly one session;
 *           pool_checkin() or pool_discard() ends the loan and the session drops its pointer.
 * THREADS   The owning worker only. Other workers' pools write to it by env->mail.
 * REENTRY   A wait's ready comes from the run queue, never from inside a pool call. It may call any
 *           pool function but pool_destroy().
 * UNITS     *_us: microseconds of loop_now_us(). Limits: connections.
 * ERRORS    0 or more on success, negative err code on failure; on failure no ret_ target has
 *           changed.
 * BOUNDS    Connections by slots; waiters by pool_conf.max_waiters per server, for wait_us each;
 *           POOL_OPENING_MAX connections being opened to one server.
 */
#ifndef WEIR_POOL_POOL_H
#define WEIR_POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/conn.h"
#include "weir/io/loop.h"
#include "weir/util/attr.h"
#include "weir/util/buf.h"
#include "weir/util/list.h"

#define POOL_OPENING_MAX 32

struct cred;
struct metric_shard;
struct pool;
struct pool_key;
struct rand_state;
struct slots;
struct topo;

struct pool_conf {
    uint64_t wait_us;     /* how long a statement waits for a connection */
    uint64_t idle_us;     /* an idle connection is closed after it, and before wait_timeout / 2 */
    uint64_t max_age_us;  /* 0: no limit. Each connection's own is up to a tenth shorter */
    uint32_t max_waiters; /* per server */
    uint32_t min_idle;    /* per user and server, kept open while the user has sessions */
};

#define POOL_MAILS(X)                                                          \
    X(PASS, "pass")     /* a connection, for the sender's oldest waiter   */   \
    X(SHED, "shed")     /* somebody waits in the sender: can you spare one? */ \
    X(SLOT, "slot")     /* a slot of the server has become free            */  \
    X(REFUSE, "refuse") /* servers do not let this user in any more        */

enum pool_mail_kind {
#define X(name, text) POOL_MAIL_##name,
    POOL_MAILS(X)
#undef X
};

/* From one worker's pool to another's. The receiver gives it to pool_on_mail(); one that cannot
 * be delivered goes to pool_mail_drop(). */
struct pool_mail {
    enum pool_mail_kind kind;
    uint16_t server;
    uint32_t from;
    /* owning */
    struct conn *conn; /* PASS, packed */
    struct buf state;  /* PASS */
    struct cred *cred; /* REFUSE */
    /* values: of PASS, what it was logged in with */
    uint64_t caps;
    uint16_t collation;
};

struct pool_env {
    struct loop *loop;
    const struct conn_env *conn_env;
    struct metric_shard *metrics; /* may be NULL */
    struct slots *slots;
    struct rand_state *rand;
    uint32_t worker;
    uint32_t worker_count;
    /* Takes what the mail owns. May be NULL with one worker. */
    void (*mail)(void *arg, uint32_t worker, const struct pool_mail *mail);
    void *arg;
};

/* env is copied; topo is borrowed until the next pool_set_topo(). */
WR_NODISCARD int pool_create(const struct pool_env *env, const struct pool_conf *conf,
                             const struct topo *topo, struct pool **ret_pool);
/* Closes what is idle. Nothing is lent or waited for any more. NULL is fine. */
void pool_destroy(struct pool *pool);
void pool_set_conf(struct pool *pool, const struct pool_conf *conf);
/* Idle connections whose server has gone down or changed its role or defaults are closed. */
void pool_set_topo(struct pool *pool, const struct topo *topo);
void pool_on_mail(struct pool *pool, struct pool_mail *mail);
/* For mail that nobody will read: releases what it owns, its slot included. */
void pool_mail_drop(struct slots *slots, struct pool_mail *mail);

/* --- whose connections --- */
/* What cannot be changed on a connection once it is logged in. Equal ones are one key. Counted:
 * put it when the session ends. caps: of the client. */
WR_NODISCARD int pool_key_get(struct pool *pool, struct cred *cred, uint64_t caps,
                              uint16_t collation, struct pool_key **ret_key);
void pool_key_put(struct pool_key *key);
/* A server has said no to this credential: idle connections of its user are closed in every
 * worker, lent ones when they come back. */
void pool_refuse(struct pool *pool, struct cred *cred);

/* --- borrowing --- */
struct pool_wait;
/* err 0: call pool_checkout() again. Else why not: -WR_E_TIMEOUT. */
typedef void (*pool_ready_fn)(void *arg, int err);

/* A place in the queue; embedded in the session, one at a time. */
struct pool_wait {
    struct list_node node;
    struct loop_task task;
    struct pool_key *key; /* borrowed; NULL: not waiting */
    struct conn *conn;    /* promised, not fetched yet */
    const struct svec *want;
    pool_ready_fn ready;
    void *arg;
    uint64_t since_us;
    int err;
    uint16_t server;
    bool has_slot; /* a new connection may be opened */
};

struct pool_ask {
    uint16_t server;
    uint64_t user;                    /* the session's serial */
    const struct conn_params *params; /* to open one; its svec is what is wanted now */
    const struct svec *want;          /* the session's own vector, for whoever serves the wait */
    conn_event_fn on_event;           /* whose events they are while it is lent */
    void *arg;
};

void pool_wait_init(struct pool_wait *wait, pool_ready_fn ready, void *arg);
/*
 * Borrow a connection. 1: *ret_conn is lent and ready. 2: *ret_conn is lent and being opened: its
 * events come to ask->on_event, and READY is to be told to pool_opened(). 0: queued; wait's ready
 * comes once. <0: -WR_E_LIMIT (too many wait), or why none could be opened.
 */
WR_NODISCARD int pool_checkout(struct pool_key *key, const struct pool_ask *ask,
                               struct pool_wait *wait, struct conn **ret_conn);
/* Wait no more. Fine when it does not wait. */
void pool_wait_cancel(struct pool_wait *wait);
/* The connection that this session used last, when nobody has used it since: what the server
 * remembers of the last statement is on it. NULL: it is not idle any more. */
struct conn *pool_checkout_last(struct pool_key *key, const struct pool_ask *ask, uint64_t uses);
void pool_opened(struct conn *conn);
/* Give it back: ready, nothing outstanding, no transaction. It is reset first when is_dirty. */
void pool_checkin(struct conn *conn);
/* Close it. */
void pool_discard(struct conn *conn, bool is_orderly);
/* A connection that somebody else opened, with a slot that is given along, lent to its user. */
void pool_adopt(struct pool_key *key, struct conn *conn, conn_event_fn on_event, void *arg);
/* The session has nothing in hand and would give it back on CONN_EV_RECLAIM (true), or not. */
void pool_set_reclaimable(struct conn *conn, bool is_reclaimable);
/* Somebody waits for a connection to this server. */
bool pool_is_wanted(const struct pool_key *key, uint16_t server);
/*
 * KILL [QUERY] what runs on this lent connection, as its own user, on a connection of its own. Until
 * it has been answered the connection goes to nobody else, and is reset before it does: the KILL
 * cannot hit what another session runs there. At most one such connection is open per server.
 */
WR_NODISCARD int pool_kill(struct conn *conn, bool is_query_only);
/* Room for a connection that somebody else opens (a login): closes an idle one if it must. */
WR_NODISCARD int pool_take_slot(struct pool *pool, uint16_t server);
/* A slot that nobody has any more: for whoever waits, here or elsewhere. */
void pool_give_slot(struct pool *pool, uint16_t server);

#endif
