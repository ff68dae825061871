/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe_priv - what pipe.c (commands) and pipe_nodes.c (servers, slots) share.
 *
 * WHY       One object, two files.
 * OWNS      See pipe.h.
 * THREADS   The loop's thread.
 * REENTRY   What ends an op early only queues it; the replies come from the run queue.
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    See pipe.h.
 */
#ifndef WEIR_REDIS_PIPE_PRIV_H
#define WEIR_REDIS_PIPE_PRIV_H

#include "weir/io/loop.h"
#include "weir/io/timer.h"
#include "weir/redis/breaker.h"
#include "weir/redis/pipe.h"
#include "weir/redis/slot.h"
#include "weir/util/list.h"

#define NODE_NONE 0xFFU

enum op_state {
    OP_ST_WAIT,   /* for its server to be connected */
    OP_ST_FLIGHT, /* sent */
    OP_ST_AGAIN,  /* to be sent again in a moment */
    OP_ST_DONE,   /* its error is to be told */
};

struct redis_op {
    struct list_node link; /* of pipe->ops by deadline, or of pipe->done */
    struct redis_pipe *pipe;
    struct redis_node *node;
    char *bytes; /* hiredis' own */
    size_t len;
    redis_reply_fn reply; /* NULL: nobody waits */
    void *arg;
    uint64_t sent_us;
    uint64_t deadline_us;
    uint32_t slot;
    uint32_t redirects;
    enum op_state state;
    int err; /* DONE */
    bool is_asking;
    bool is_probe;
    bool is_late;
};

struct redis_node {
    struct redis_pipe *pipe;
    struct redis_link *link;
    struct breaker breaker;
    char host[REDIS_HOST_BYTES];
    uint16_t port;
    uint32_t ops;   /* that name it */
    uint32_t lost;  /* of the connection that is ending */
    bool was_tried; /* up or down has been heard of it */
    bool is_listed; /* some slot is its own */
};

struct redis_pipe {
    /* owning */
    struct list ops;
    struct list done;
    struct redis_node *nodes[PIPE_NODES_MAX]; /* 0: as configured, always there */
    uint8_t *slots;                           /* a node's index each; NULL: one server */
    /* borrowed */
    struct loop *loop;
    struct resolver *resolver;
    /* values */
    struct redis_pipe_conf conf;
    struct redis_pipe_calls calls;
    struct redis_pipe_stats stats;
    struct rand_state rng;
    struct timer overdue; /* of the oldest op */
    struct timer again;
    struct timer probe;
    struct timer refresh;
    struct loop_task tell;
    struct loop_task sweep;
    uint64_t refreshed_us;
    uint32_t next_node; /* whom to ask for the map */
    bool is_refreshing;
};

/* --- pipe.c --- */

void op_start(struct redis_op *op);
void op_end_later(struct redis_op *op, int err);
/* An op without a slot, for this node only. */
void op_probe(struct redis_node *node);
/* Those that wait for this node: started, or ended. */
void ops_of_node(struct redis_node *node, int err);

/* --- pipe_nodes.c --- */

int node_open(struct redis_pipe *pipe, struct span host, uint16_t port,
              struct redis_node **ret_node);
void nodes_close(struct redis_pipe *pipe);
/* NULL: nobody. */
struct redis_node *node_of_slot(const struct redis_pipe *pipe, uint32_t slot);
bool node_is_ready(const struct redis_node *node);
void node_result(struct redis_node *node, bool is_good, bool is_probe);
/* MOVED: the slot is this node's from now on. NULL: there is no such node, and no room for one. */
struct redis_node *node_moved(struct redis_node *said_by, const struct slot_place *place);
struct redis_node *node_named(struct redis_node *said_by, const struct slot_place *place);
void map_want(struct redis_pipe *pipe);
/* Of the pipe's timers and task; arg: the pipe. */
void on_refresh(void *arg);
void on_probe(void *arg);
void on_sweep(void *arg);

#endif
