/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin - operators' statements over the MySQL protocol.
 *
 * WHY       Whoever runs weir has a MySQL client at hand, and looks and steers with it.
 * OWNS      Its sessions and their sockets; listeners are borrowed until admin_destroy(), after
 *           they have been stopped. Lists handed to admin_on_answer() are the admin's.
 * THREADS   The control thread.
 * REENTRY   A call of struct admin_calls may not call back into the admin from inside.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    0 or a negative err code.
 * BOUNDS    admin.max_clients sessions, ADMIN_PACKET_MAX bytes of a statement, ADMIN_ANSWER_MAX
 *           of an answer, ADMIN_WAIT_US for workers and monitor to answer.
 */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/observe/events.h"
#include "weir/util/attr.h"

#define ADMIN_PACKET_MAX   ((size_t)1024 * 1024 + 256)
#define ADMIN_ANSWER_MAX   ((size_t)16 * 1024 * 1024)
#define ADMIN_WAIT_US      UINT64_C(3000000)
#define ADMIN_SESSIONS_MAX 5000 /* rows of one worker */
#define ADMIN_DIGESTS_MAX  1000 /* digests of one worker */
#define ADMIN_WORKERS_MAX  64

struct admin;
struct cache;
struct catalogue;
struct causal_board;
struct positions;
struct config;
struct digest_list;
struct guard_board;
struct listener_set;
struct log_ctx;
struct loop;
struct metric_registry;
struct metric_shard;
struct rules;
struct sess_accept;
struct sess_list;
struct tls_ctx;
struct topo;

/* The process as it is now. All borrowed for the call that asked. */
struct admin_view {
    const struct config *config;
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct positions *positions; /* may be NULL: nobody asks, or nothing is known */
    const struct rules *rules;
    const struct guard_board *board; /* may be NULL */
    struct causal_board *causal;     /* may be NULL */
    struct cache *cache;             /* NULL: off */
    struct tls_ctx *tls;             /* NULL: not offered */
    const struct events *events;
    struct metric_registry *registry;
    uint64_t started_us;
    uint32_t workers;
    uint32_t sessions;
    uint8_t instance_tag;
    bool is_draining;
};

/* A row of SHOW POOLS: connections to one server. */
struct admin_pool {
    uint32_t used;
    uint32_t max;  /* UINT32_MAX: no limit of weir's own */
    uint32_t idle; /* of used: lent to no session */
    uint32_t waiting;
    uint64_t waits;    /* statements that had to wait, so far */
    uint64_t timeouts; /* of those, in vain */
    uint64_t resets;
    uint64_t passes;  /* to another worker */
    uint64_t retired; /* closed for their age, idleness, or what they held */
    uint64_t refused; /* times that the limit was met */
};

/* What workers are asked for, by bits. Nothing is an answer, too: all mail sent before the question
 * has been read. */
#define ADMIN_ASK_NOTHING  0U
#define ADMIN_ASK_SESSIONS 1U
#define ADMIN_ASK_DIGESTS  2U

struct admin_answer {
    uint32_t ticket;
    struct sess_list *sessions;
    struct digest_list *digests;
};

/* One row of a report: its cells, as many as the report has columns. Borrowed for the call. */
typedef void (*admin_row_fn)(void *arg, const char *const *cells);

struct admin_calls {
    void (*view)(void *arg, struct admin_view *ret_view);
    /* Each worker will answer by admin_on_answer(). Returns how many were asked. */
    uint32_t (*ask)(void *arg, uint32_t ticket, unsigned what);
    /* The outcome comes by admin_on_killed(). */
    int (*kill)(void *arg, uint32_t ticket, uint32_t id, bool is_query_only);
    /* Done when the topology says so: admin_on_topo(). */
    void (*drain)(void *arg, uint16_t server, bool is_drained);
    void (*set_weight)(void *arg, uint16_t server, uint32_t weight); /* UINT32_MAX: configured */
    void (*event)(void *arg, enum event_kind kind, const char *server, const char *text);
    void (*pool)(void *arg, uint16_t server, struct admin_pool *ret_pool);
    /* Read the configuration again. Rows of one cell, a line of the report each; when
     * it is refused, those that say why. */
    int (*reload)(void *arg, admin_row_fn row, void *row_arg);
    /* Rows of ADMIN_RULE_CELLS: number, name, match, action, hits, cache hits and misses. */
    int (*rules)(void *arg, admin_row_fn row, void *row_arg);
    void *arg;
};
#define ADMIN_RULE_CELLS 7

struct admin_conf {
    struct loop *loop;
    struct listener_set *listeners;
    struct metric_shard *metrics;
    const struct log_ctx *log;
    struct admin_calls calls;
};

/* Begins to accept. conf is copied. */
WR_NODISCARD int admin_create(const struct admin_conf *conf, struct admin **ret_admin);
/* Closes every session at once. NULL is fine. */
void admin_destroy(struct admin *admin);

/* A worker has answered. Takes the lists. NULL admin: they are freed. */
void admin_on_answer(struct admin *admin, struct admin_answer *answer);
/* outcome: 0, or -WR_E_NOT_FOUND. */
void admin_on_killed(struct admin *admin, uint32_t ticket, int outcome);
/* There is a new topology, and every worker has been sent it. */
void admin_on_topo(struct admin *admin);

#endif
