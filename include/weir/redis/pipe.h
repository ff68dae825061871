/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe - commands to one Redis, or to a Redis Cluster, each within a small budget of time.
 *
 * WHY       The cache asks Redis while a statement waits. Whatever Redis is like, the statement loses
 *           no more than the budget, and when Redis is known to be bad, nothing.
 * OWNS      A link to each server, the commands in flight, the map of slots. Copies what the configuration names
 *           but for what redis_conf points at.
 * THREADS   The loop's thread. Each worker has its own.
 * REENTRY   A command's reply is called from the loop, never from inside redis_pipe_send(), and once; it may send,
 *           cancel, and must not destroy. on_event may also come from inside redis_pipe_send(), and must
 *           do neither.
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code. An err code is no more than a miss: the statement goes to a server.
 * BOUNDS    PIPE_OPS_MAX commands at one time; PIPE_NODES_MAX servers; PIPE_REDIRECTS_MAX for a command; the map is asked for
 *           once in PIPE_REFRESH_US at most. What is above is refused and counted.
 *
 * A reply that is late closes its connection, so that it can be taken for nobody else's; what else was in
 * flight there ends with an error, too. Such commands may have run. Commands are written behind one another, as they come.
 */
#ifndef WEIR_REDIS_PIPE_H
#define WEIR_REDIS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/redis/link.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define PIPE_OPS_MAX       4096U
#define PIPE_NODES_MAX     128U
#define PIPE_REDIRECTS_MAX 5U
#define PIPE_REFRESH_US    UINT64_C(100000)

struct redis_op;
struct redis_pipe;

struct redis_pipe_conf {
    struct redis_conf
        link; /* host and port: the server, or any of the cluster; database: 0 with a cluster */
    bool is_cluster;
    uint64_t budget_us; /* from redis_pipe_send() to the reply, redirects included */
};

/* X(name, text) */
#define PIPE_EVENTS(X)                                                           \
    X(UP, "redis_up")         /* a server is connected                        */ \
    X(DOWN, "redis_down")     /* a connection is lost, or could not be made   */ \
    X(OPENED, "redis_opened") /* not asked any more, but for probes           */ \
    X(CLOSED, "redis_closed") /* asked again                                  */ \
    X(NO_MAP, "redis_no_map") /* what it says of its slots is not understood  */

enum redis_pipe_event {
#define X(name, text) PIPE_EVENT_##name,
    PIPE_EVENTS(X)
#undef X
};

struct redis_pipe_calls {
    /* where: host:port; why: one line */
    void (*on_event)(void *arg, enum redis_pipe_event event, const char *where, const char *why);
    void *arg;
};

/* Since the start. X(name, help) */
#define PIPE_COUNTS(X)                                                         \
    X(sent, "commands taken")                                                  \
    X(replies, "replies given, errors of Redis included")                      \
    X(errors, "replies that were errors")                                      \
    X(late, "commands whose reply did not come within the budget")             \
    X(lost, "commands that ended with their connection")                       \
    X(refused, "commands refused: not connected, open, or too many")           \
    X(malformed, "connections closed for bytes that are no reply or too long") \
    X(opened, "times that a server was not asked any more")                    \
    X(probes, "probes sent meanwhile")                                         \
    X(moved, "MOVED followed")                                                 \
    X(ask, "ASK followed")                                                     \
    X(try_again, "TRYAGAIN waited for")                                        \
    X(cluster_down, "CLUSTERDOWN and its like")                                \
    X(refreshes, "maps of slots taken over")

struct redis_pipe_stats {
#define X(name, help) uint64_t name;
    PIPE_COUNTS(X)
#undef X
    uint64_t rtt_us_sum; /* of replies */
    uint64_t rtt_us_max;
    uint32_t in_flight;
    uint32_t nodes;
    uint32_t nodes_up;
    uint32_t nodes_open; /* not asked: their breaker is not closed */
};

/* Begins to connect. */
WR_NODISCARD int redis_pipe_create(struct loop *loop, struct resolver *resolver,
                                   const struct redis_pipe_conf *conf,
                                   const struct redis_pipe_calls *calls,
                                   struct redis_pipe **ret_pipe);
/* Commands in flight end with -WR_E_CLOSED, before it returns. NULL is fine. */
void redis_pipe_destroy(struct redis_pipe *pipe);

/* key: says which server has it; all keys of a command have one slot. The words are copied. On failure reply is not
 * called. ret_op (may be NULL) is good until reply is called. */
WR_NODISCARD int redis_pipe_send(struct redis_pipe *pipe, struct span key, const struct span *words,
                                 size_t count, redis_reply_fn reply, void *arg,
                                 struct redis_op **ret_op);
/* Its reply is not wanted any more; arg may go away. */
void redis_op_cancel(struct redis_op *op);
/* Would a command for this key be sent now? */
bool redis_pipe_is_ready(const struct redis_pipe *pipe, struct span key);
void redis_pipe_stats(const struct redis_pipe *pipe, struct redis_pipe_stats *ret_stats);

#endif
