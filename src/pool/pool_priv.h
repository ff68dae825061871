/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_priv - the pool's own structures, shared by the files of this room and nobody else.
 *
 * WHY       pool.c lends, pool_key.c says whose,  pool_wait.c queues, pool_keep.c retires and warms,
 *           pool_mail.c talks to other workers.
 * OWNS      see weir/pool/pool.h
 * THREADS   The owning worker only.
 * REENTRY   none
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    0 or more on success, negative err codes.
 * BOUNDS    none of its own
 */
#ifndef WEIR_POOL_POOL_PRIV_H
#define WEIR_POOL_POOL_PRIV_H

#include "weir/backend/topo.h"
#include "weir/io/timer.h"
#include "weir/pool/pool.h"
#include "weir/util/map.h"

/* One user's connections to one server. */
struct pool_bucket {
    struct list idle; /* the most recently used first */
    struct pool_key *key;
    uint32_t count; /* idle, lent, opening, being reset */
    uint16_t server;
    uint8_t failures; /* of warm-up in a row */
    uint64_t warm_us; /* not warmed before */
};

struct pool_key {
    struct pool_key *next; /* same user, flags and collation, another secret */
    struct pool *pool;
    struct cred *cred;
    uint64_t caps;
    uint16_t collation;
    bool is_refused; /* the servers do not let it in any more */
    uint32_t sessions;
    uint32_t conns;
    struct list_node node; /* among all keys */
    uint16_t bucket_count;
    struct pool_bucket buckets[]; /* by server index */
};

struct pool_server {
    struct list waiters; /* struct pool_wait, the oldest first */
    struct list idle;    /* struct conn by lru, the longest idle first */
    struct list soft;    /* struct conn by lru: lent, and its session would give it back */
    uint32_t open;
    uint32_t idle_count;
    uint32_t waiting;
    uint32_t opening;
    uint32_t promised; /* slots given to waiters who have not begun to open yet */
    uint64_t defaults_hash;
    uint32_t wait_timeout_s;
    bool is_primary;
    bool is_down;
    bool is_draining;   /* nothing is kept for later */
    bool is_spare_told; /* the others may believe that there are idle or soft ones */
};

struct pool {
    struct pool_env env;
    struct pool_conf conf;
    const struct topo *topo;
    struct map keys;          /* pool_key chains by user, flags, collation */
    struct list all;          /* pool_key */
    struct timer timer;       /* the next thing to do in time */
    struct list kills;        /* struct kill_op, to be sent and under way */
    struct timer kill_timer;  /* the place for one was taken: again */
    struct loop_task task;    /* asks for soft ones back, from the top of the stack */
    uint64_t reclaim_mask[2]; /* servers for which the task has something to do */
    uint16_t server_count;
    struct pool_server servers[];
};

#define POOL_TURN_US  UINT64_C(1000)
#define POOL_KEYS_MAX ((size_t)1 << 20)

/* --- pool_key.c --- */
/* Ends it when nobody has it any more. */
void pool_key_drop(struct pool_key *key);

/* --- pool.c --- */
struct pool *pool_of(const struct conn *conn);
/* May this connection be lent again, as things are now? */
bool pool_is_good(const struct pool *pool, const struct conn *conn);
/* A clean connection that nobody has: to whoever waits, here or elsewhere, or among the idle. */
void pool_offer(struct conn *conn);
/* is_here_first: it has come for the first who waits here, if somebody still does. Else two workers
 * could hand it to each other while both have waiters. */
void pool_offer_first(struct conn *conn, bool is_here_first);
/* Off every list, closed; its slot stays with the caller. */
void pool_close_keep_slot(struct conn *conn, bool is_orderly);
/* Make it the key's. */
void pool_attach(struct pool_key *key, struct conn *conn);
/* While it is idle, or promised to a wait, its events mean its end. */
void pool_own(struct conn *conn);
/* Off every list and out of every count; it still exists, and its slot is the caller's. */
void pool_forget(struct conn *conn);
void pool_idle_remove(struct conn *conn);
/* Asks sessions for a soft one, from the top of the stack. */
void pool_reclaim(struct pool *pool, uint16_t server);
/* An event of a connection that nobody has: true when it is the end of it. */
bool pool_is_over(struct conn *conn, enum conn_event event);
int pool_open(struct pool_key *key, const struct pool_ask *ask, struct conn **ret_conn);

/* --- pool_wait.c --- */
int pool_wait_push(struct pool *pool, struct pool_wait *wait, struct pool_key *key,
                   const struct pool_ask *ask);
/* The oldest waiter that has nothing promised yet; NULL: none. */
struct pool_wait *pool_wait_first(const struct pool *pool, uint16_t server);
/* Since when it waits; 0: there is none. */
uint64_t pool_wait_since(const struct pool *pool, uint16_t server);
/* Somebody in another worker has waited longer than anybody here. Workers read their clocks once a
 * turn: whose times differ by less than POOL_TURN_US wait equally long, and a connection stays. */
bool pool_wait_elsewhere(const struct pool *pool, uint16_t server, uint32_t *ret_worker);
void pool_wait_give_conn(struct pool_wait *wait, struct conn *conn);
void pool_wait_give_slot(struct pool_wait *wait);
void pool_wait_expire(struct pool *pool, uint64_t now_us);
/* When the first waiter of any server gives up; 0: nobody waits. */
uint64_t pool_wait_deadline(const struct pool *pool);
/* Slots for waiters, as long as there are some and not too many connections are being opened. */
void pool_wait_kick(struct pool *pool, uint16_t server);
bool pool_may_open_more(const struct pool_server *server);
/* Somebody has begun to wait: what could be spared for him? */
void pool_wait_help(struct pool *pool, uint16_t server);

/* --- pool_keep.c --- */
void pool_keep(struct pool *pool, uint64_t now_us);

/* --- pool_kill.c --- */
void pool_kills_init(struct pool *pool);
void pool_kills_fini(struct pool *pool);
/* The connection is gone: nothing is left to be killed on it. */
void pool_kill_forget(struct conn *conn);

/* --- pool_mail.c --- */
void pool_mail_shed(struct pool *pool, uint16_t server);
void pool_mail_slot(struct pool *pool, uint16_t server, uint32_t worker);
void pool_mail_refuse(struct pool *pool, struct cred *cred);
/* False: it could not be sent, and is closed; its slot is free. */
bool pool_pass(struct conn *conn, uint32_t worker);

/* pool.c: no more of this credential, here */
void pool_refuse_here(struct pool *pool, const struct cred *cred);
void pool_arm(struct pool *pool);

#endif
