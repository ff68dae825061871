/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess - one client session of one worker, from the accepted socket to its close.
 *
 * WHY       The front door: everything a driver may say, answered as the server would.
 * OWNS      A session owns its socket, its login, its statements and its backend connections.
 *           A sess_set owns the sessions of one worker; the env outlives it.
 * THREADS   The owning worker only. What comes from others comes as mail through
 *           sess_set_on_kill().
 * REENTRY   Nothing here calls back into core but env->mail_kill and env->on_idle_empty.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    0 or more on success, a negative err code on failure.
 * BOUNDS    limits.* of the config; see src/client/README.md for what each one bounds.
 */
#ifndef WEIR_CLIENT_SESS_H
#define WEIR_CLIENT_SESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weir/util/attr.h"

struct accounts;
struct cache;
struct cache_tier;
struct catalogue;
struct cache;
struct causal_board;
struct config;
struct conn_env;
struct digests;
struct gtid_set;
struct guard_board;
struct log_ring;
struct loop;
struct metric_shard;
struct positions;
struct rand_state;
struct rules;
struct sess;
struct sess_set;
struct pool;
struct tls_ctx;
struct topo;
struct users;

#define SESS_KILL_CONTROL UINT32_MAX

/* A KILL on its way to the worker that owns the target, or its outcome on the way back. */
struct sess_kill {
    uint32_t target_id;    /* weir's id of the session to end or interrupt */
    uint32_t requester_id; /* weir's id of the session that waits for the outcome */
    uint32_t worker;       /* where the requester lives, or SESS_KILL_CONTROL */
    bool is_query_only;
    bool is_operator; /* from the admin listener: any session, requester_id is its own number */
    bool is_reply;
    int outcome; /* reply: 0, -WR_E_NOT_FOUND (1094) or -WR_E_AUTH (1095) */
    char user[128];
};

/* What core gives each worker's sessions. Pointers to snapshots are swapped by the worker between
 * callbacks; sessions read them through the env and never keep one across a return to the loop. */
struct sess_env {
    struct loop *loop;
    struct rand_state *rand;
    struct metric_shard *metrics;
    struct log_ring *log_ring; /* of this thread; may be NULL */
    const struct config *config;
    const struct rules *rules;         /* of that config; may be NULL: none */
    const struct topo *topo;           /* never NULL; may have no primary */
    const struct catalogue *catalogue; /* never NULL; may be "not loaded" */
    const struct accounts *accounts;   /* may be NULL: not read, or not configured */
    const struct positions *positions; /* may be NULL: nobody asks, or nothing is known yet */
    struct users *users;               /* verifiers, shared by all workers */
    struct guard_board *board;         /* read-after-write marks of users and of all */
    struct causal_board *causal;       /* tokens of users, keys and all */
    struct cache *cache;               /* of all workers; NULL: off */
    struct cache_tier *tier;           /* this worker's; NULL: off */
    struct pool *pool;                 /* this worker's connections to servers */
    struct digests *digests;           /* this worker's; NULL: none are remembered */
    const struct conn_env *conn_env;   /* for opening backend connections */
    struct tls_ctx *server_tls;        /* NULL: TLS is off on the listeners */
    uint32_t worker;                   /* 0.. */
    uint32_t worker_count;
    uint8_t instance_tag; /* upper byte of connection ids */
    /* Sends a KILL (or its outcome) to a worker by index; may be the own one. */
    void (*mail_kill)(void *arg, uint32_t worker, const struct sess_kill *kill);
    /* Sends the end of a shared question to another worker: sess_set_on_fill() there. */
    void (*wake_fills)(void *arg, uint32_t worker, uint64_t hash);
    /* Answers with this tag are to be asked for anew: sess_set_on_renew() in another worker. */
    void (*mail_renew)(void *arg, uint32_t worker, uint32_t slot);
    /* In-band failure of a server: counts at once in the monitor. */
    void (*report_failure)(void *arg, uint32_t server, int err);
    /* A server may have another role now: look at it. Nothing has failed. */
    void (*suspect)(void *arg, uint32_t server);
    /* DDL passed that may change what a known name means: load the catalogue again. */
    void (*poke_catalogue)(void *arg);
    void *arg;
};

/* One accepted socket as core hands it over; fd is the session's from here on. */
struct sess_accept {
    int fd;
    bool is_unix;
    bool is_tls_required; /* of the listener */
    bool is_tls_offered;
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

/* env is borrowed until sess_set_destroy(). max: sessions of this worker at most. */
WR_NODISCARD int sess_set_create(const struct sess_env *env, uint32_t max,
                                 struct sess_set **ret_set);
/* Closes every session at once. NULL is fine. */
void sess_set_destroy(struct sess_set *set);

/* Starts a session on an accepted socket. On failure the fd has been closed. */
int sess_set_accept(struct sess_set *set, const struct sess_accept *accept);

/* A KILL from another worker (or its outcome) has arrived. */
void sess_set_on_kill(struct sess_set *set, const struct sess_kill *kill);

/* A question that sessions here wait for has its answer, or none. */
void sess_set_on_fill(struct sess_set *set, uint64_t hash);
/* A write has ended answers with this tag (its slot of the cache's versions): those that sessions here
 * have asked for are asked for anew. */
void sess_set_on_renew(struct sess_set *set, uint32_t slot);
/* The env has another topology: what is of an epoch that is over is let go of before this returns,
 * and what waits for a primary goes on when there is one. */
void sess_set_on_topo(struct sess_set *set);
/* GTIDs of writes that were answered in the last seconds; forgotten here. ret_set: initialised. */
void sess_set_take_acked(struct sess_set *set, struct gtid_set *ret_set);
/* The env has new snapshots: sessions that wait for a primary look again. */
void sess_set_on_snapshot(struct sess_set *set);

/* No new commands: idle sessions are closed, the others after their transaction, all at the
 * deadline (with 1053). Ask sess_set_count() for the rest. */
void sess_set_drain(struct sess_set *set, uint64_t deadline_us);
uint32_t sess_set_count(const struct sess_set *set);

/* The worker that gave out a connection id. */
uint32_t sess_id_worker(uint32_t id);

#endif
