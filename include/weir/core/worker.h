/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - the threads that serve clients, and the mail between them and the control thread.
 *
 * WHY       A session and all that it touches belong to one thread; what comes from elsewhere
 *           comes by mail.
 * OWNS      Each worker: its loop, mailbox, sessions, metric shard, log ring, references on the
 *           snapshots in force. What all share (struct worker_shared) is borrowed.
 * THREADS   workers_*(): the control thread. A worker's insides: its own thread.
 * REENTRY   none
 * UNITS     *_us: microseconds of the monotonic clock.
 * ERRORS    0 or a negative err code.
 * BOUNDS    WORKERS_MAX workers.
 */
#ifndef WEIR_CORE_WORKER_H
#define WEIR_CORE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/conn.h"
#include "weir/client/sess.h"
#include "weir/io/mailbox.h"
#include "weir/util/attr.h"

#define WORKERS_MAX 64

struct cache;
struct logger;
struct metric_registry;
struct monitor;
struct settings;
struct workers;

/* What is handed from thread to thread as a counted reference; a mail's kind, too. X(kind, noun) */
#define SNAPSHOT_KINDS(X)   \
    X(TOPO, topo)           \
    X(CATALOGUE, catalogue) \
    X(ACCOUNTS, accounts)   \
    X(POSITIONS, positions) \
    X(SETTINGS, settings)

enum snapshot_kind {
#define X(kind, noun) SNAPSHOT_##kind,
    SNAPSHOT_KINDS(X)
#undef X
    SNAPSHOT_COUNT
};

/* Mail to the control thread, beside the monitor's snapshots. */
enum control_mail {
    CONTROL_MAIL_DRAINED = SNAPSHOT_COUNT, /* a worker has no session left */
    CONTROL_MAIL_ANSWER,                   /* of a worker, to a question of the admin's */
    CONTROL_MAIL_FRESH,                    /* what has become of Redis, or of another weir */
    CONTROL_MAIL_KILLED,                   /* the outcome of an operator's KILL */
};

/* What all workers use. It outlives them; they only read it. */
struct worker_shared {
    const struct settings *settings; /* to begin with */
    struct metric_registry *registry;
    struct logger *logger;
    struct monitor *monitor;
    struct users *users;
    struct guard_board *board;
    struct causal_board *causal;
    struct cache *cache; /* NULL: off */
    struct slots *slots;
    const struct conn_tls *conn_tls;
    size_t conn_tls_count;
    struct mailbox *control;
    uint8_t instance_tag;
};

/* Snapshots to begin with; the workers take references of their own. */
struct worker_start {
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct accounts *accounts;   /* may be NULL */
    const struct positions *positions; /* may be NULL */
};

/* How many workers to run when the config leaves it open: a core each, but at least eight
 * connections to the server with the smallest limit for each. *ret_is_tight: that limit is too
 * small even for one. */
uint32_t workers_default(uint32_t cores, uint32_t smallest_limit, bool *ret_is_tight);

/* Make them and start their threads. */
WR_NODISCARD int workers_create(const struct worker_shared *shared,
                                const struct worker_start *start, uint32_t count,
                                struct workers **ret_workers);
/* Ends all sessions at once, joins the threads. NULL is fine. */
void workers_destroy(struct workers *workers);

uint32_t workers_count(const struct workers *workers);
/* Sessions now, and sockets on their way. */
uint32_t workers_load(const struct workers *workers);
/* Of them, not logged in yet. */
uint32_t workers_in_login(const struct workers *workers);
/* Hand a socket to the live worker that has least to do. */
void workers_accept(struct workers *workers, const struct sess_accept *accept);
/* A new snapshot for all, or -ENOMEM and for none; the caller keeps its own reference. */
WR_NODISCARD int workers_post(struct workers *workers, enum snapshot_kind kind,
                              const void *snapshot);
/* Each worker that has no session left sends CONTROL_MAIL_DRAINED, once for each call. */
void workers_drain(struct workers *workers, uint64_t deadline_us);

/* A question of the admin's to each worker; returns how many will answer (CONTROL_MAIL_ANSWER). */
uint32_t workers_ask(struct workers *workers, uint32_t ticket, unsigned what);
/* An operator's KILL; the outcome comes as CONTROL_MAIL_KILLED. -WR_E_NOT_FOUND: an id that no
 * worker can have given out. */
WR_NODISCARD int workers_kill(struct workers *workers, uint32_t ticket, uint32_t id,
                              bool is_query_only);

/* Since when worker index runs its present turn; 0: it waits. */
uint64_t workers_busy_since_us(const struct workers *workers, uint32_t index);

#endif
