/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_priv - what worker.c and workers.c share.
 *
 * WHY       What one worker does in its thread, and what the control thread does with all of them,
 *           are two things.
 * OWNS      See the structs.
 * THREADS   struct worker is the worker's own but for what says else; the functions: see there.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    0, or a negative code of what could not be made.
 * BOUNDS    WORKERS_MAX
 */
#ifndef WEIR_CORE_WORKER_PRIV_H
#define WEIR_CORE_WORKER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/client/sess.h"
#include "weir/core/worker.h"
#include "weir/io/mailbox.h"
#include "weir/io/timer.h"
#include "weir/util/rand.h"

/* Beside the snapshots. */
enum worker_mail {
    WORKER_MAIL_ACCEPT = SNAPSHOT_COUNT,
    WORKER_MAIL_KILL,
    WORKER_MAIL_POOL,
    WORKER_MAIL_FILL,
    WORKER_MAIL_RENEW,
    WORKER_MAIL_ASK,
    WORKER_MAIL_DRAIN,
    WORKER_MAIL_STOP,
};

struct accept_mail {
    struct mail mail;
    struct sess_accept accept;
};

/* What several sessions ask for has been answered, or given up. */
struct fill_mail {
    struct mail mail;
    uint64_t hash;
};

struct renew_mail {
    struct mail mail;
    uint32_t slot;
};

struct drain_mail {
    struct mail mail;
    uint64_t deadline_us;
};

struct worker {
    /* owning */
    struct loop *loop;
    struct mailbox *box;
    struct sess_set *set;
    struct pool *pool;
    struct svec_values *values;
    struct digests *digests; /* NULL: none are remembered */
    struct cache_tier *tier; /* NULL: off */
    /* counted */
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct accounts *accounts;
    const struct positions *positions;
    const struct settings *settings;
    /* borrowed */
    struct workers *workers;
    struct metric_shard *metrics;
    /* values */
    pthread_t thread;
    bool is_started;
    bool is_draining;
    uint32_t index;
    uint32_t sent; /* sockets mailed; the control thread's */
    /* Sockets taken out of the mail. Written by the worker, read by control to tell what is still on
     * its way; it orders nothing, so relaxed. */
    atomic_uint taken;
    struct rand_state rand;
    struct timer drain_timer;
    struct conn_env conn_env;
    struct sess_env env;
    char name[16];
};

struct workers {
    struct worker_shared shared;
    /* owning; NULL: cache.redis is off, or has no TLS */
    struct resolver *resolver;
    struct tls_ctx *redis_tls;
    const struct settings *redis_settings; /* counted: names and secrets in use */
    uint32_t count;
    struct worker items[];
};

/* By the control thread, before its thread begins and after it has ended; what is half made can be
 * taken apart. */
WR_NODISCARD int worker_init(struct workers *workers, uint32_t index,
                             const struct worker_start *start);
void worker_fini(struct worker *worker);
/* What the workers' tiers share, before the first worker and after the last. */
WR_NODISCARD int worker_tiers_init(struct workers *workers);
void worker_tiers_fini(struct workers *workers);
WR_NODISCARD int worker_tier_init(struct worker *worker);
/* Its thread; arg is the worker. */
void *worker_main(void *arg);

/* Any thread. Without memory for the letter the requester's own time limit answers it. */
void worker_kill_post(struct mailbox *box, uint32_t kind, const struct sess_kill *kill);

#endif
