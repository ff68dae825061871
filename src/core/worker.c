/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's life: its loop runs from workers_create() to the STOP mail. Between two callbacks it
 * swaps snapshots; sessions read them through the env and see one or the other, never a mixture.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/svec.h"
#include "weir/backend/topo.h"
#include "weir/cache/tier.h"
#include "weir/config/config.h"
#include "weir/io/loop.h"
#include "weir/io/timer.h"
#include "weir/monitor/monitor.h"
#include "weir/observe/digests.h"
#include "weir/pool/pool.h"
#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"
#include "weir/util/rand.h"

#include "ask_priv.h"
#include "mail_priv.h"
#include "settings_priv.h"
#include "worker_priv.h"

#define DRAIN_POLL_US UINT64_C(20000)

struct pool_letter {
    struct mail mail;
    struct slots *slots;
    struct pool_mail letter;
};

/* --- what sessions call, in the worker's thread --- */

void worker_kill_post(struct mailbox *box, uint32_t kind, const struct sess_kill *kill)
{
    struct mail *mail = ask_kill_create(kind, kill);

    if (mail != NULL) {
        (void)mailbox_post(box, mail);
    }
}

static void on_mail_kill(void *arg, uint32_t index, const struct sess_kill *kill)
{
    struct worker *worker = arg;
    struct sess_kill reply = *kill;

    if (index == SESS_KILL_CONTROL) {
        worker_kill_post(worker->workers->shared.control, CONTROL_MAIL_KILLED, kill);
    } else if (index < worker->workers->count) {
        worker_kill_post(worker->workers->items[index].box, WORKER_MAIL_KILL, kill);
    } else {
        /* An id that no worker of this process can have given out. */
        reply.is_reply = true;
        reply.outcome = -WR_E_NOT_FOUND;
        worker_kill_post(worker->box, WORKER_MAIL_KILL, &reply);
    }
}

static void pool_letter_free(struct mail *mail)
{
    struct pool_letter *letter = WR_CONTAINER_OF(mail, struct pool_letter, mail);

    pool_mail_drop(letter->slots, &letter->letter);
    free(letter);
}

static void on_pool_mail(void *arg, uint32_t index, const struct pool_mail *pool_mail)
{
    struct worker *worker = arg;
    struct pool_letter *letter = calloc(1, sizeof(*letter));

    if (letter == NULL) {
        struct pool_mail lost = *pool_mail;

        pool_mail_drop(worker->workers->shared.slots, &lost);
        return;
    }
    letter->mail = (struct mail){.kind = WORKER_MAIL_POOL, .free_fn = pool_letter_free};
    letter->slots = worker->workers->shared.slots;
    letter->letter = *pool_mail;
    (void)mailbox_post(worker->workers->items[index].box, &letter->mail);
}

static void fill_mail_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct fill_mail, mail));
}

/* Without memory for the letter they wait for as long as they would wait at most. */
static void on_wake_fills(void *arg, uint32_t index, uint64_t hash)
{
    struct worker *worker = arg;
    struct fill_mail *mail = calloc(1, sizeof(*mail));

    if (mail != NULL) {
        mail->mail = (struct mail){.kind = WORKER_MAIL_FILL, .free_fn = fill_mail_free};
        mail->hash = hash;
        (void)mailbox_post(worker->workers->items[index].box, &mail->mail);
    }
}

static void renew_mail_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct renew_mail, mail));
}

/* Without memory for the letter somebody has to wait for a server. */
static void on_mail_renew(void *arg, uint32_t index, uint32_t slot)
{
    struct worker *worker = arg;
    struct renew_mail *mail = calloc(1, sizeof(*mail));

    if (mail != NULL) {
        mail->mail = (struct mail){.kind = WORKER_MAIL_RENEW, .free_fn = renew_mail_free};
        mail->slot = slot;
        (void)mailbox_post(worker->workers->items[index].box, &mail->mail);
    }
}

static void on_report_failure(void *arg, uint32_t server, int err)
{
    struct worker *worker = arg;

    monitor_report_failure(worker->workers->shared.monitor, (uint16_t)server, err);
}

static void on_suspect(void *arg, uint32_t server)
{
    struct worker *worker = arg;

    monitor_suspect(worker->workers->shared.monitor, (uint16_t)server);
}

static void on_poke_catalogue(void *arg)
{
    struct worker *worker = arg;

    monitor_poke_catalogue(worker->workers->shared.monitor);
}

/* --- mail, in the worker's thread --- */

static void drained_post(struct worker *worker)
{
    struct mail *mail = mail_plain_create(CONTROL_MAIL_DRAINED);

    if (mail != NULL) {
        (void)mailbox_post(worker->workers->shared.control, mail);
    } else {
        timer_arm_in(&worker->drain_timer, DRAIN_POLL_US);
    }
}

static void on_drain_timer(void *arg)
{
    struct worker *worker = arg;

    if (sess_set_count(worker->set) == 0) {
        drained_post(worker);
    } else {
        timer_arm_in(&worker->drain_timer, DRAIN_POLL_US);
    }
}

static void worker_accept(struct worker *worker, struct accept_mail *mail)
{
    struct sess_accept accept = mail->accept;

    mail->accept.fd = -1; /* the session's from here on, whatever comes of it */
    if (worker->is_draining) {
        (void)close(accept.fd);
    } else {
        (void)sess_set_accept(worker->set, &accept);
    }
    (void)atomic_fetch_add_explicit(&worker->taken, 1, memory_order_relaxed);
}

static struct pool_conf pool_conf_of(const struct config *config)
{
    return (struct pool_conf){
        .wait_us = config->pool.wait_us,
        .idle_us = config->pool.idle_us,
        .max_age_us = config->pool.max_age_us,
        .max_waiters = config->pool.max_waiters,
        .min_idle = config->pool.min_idle,
    };
}

static void worker_use_settings(struct worker *worker, const struct settings *settings)
{
    worker->settings = settings;
    worker->env.config = settings->config;
    worker->env.rules = settings->rules;
    worker->env.server_tls = settings->server_tls;
    worker->conn_env.wants_gtids = config_wants_gtid(settings->config);
}

static void worker_take_settings(struct worker *worker, struct mail *mail)
{
    const struct settings *old = worker->settings;

    worker_use_settings(worker, mail_snapshot_take(mail));

    struct pool_conf pool_conf = pool_conf_of(worker->settings->config);

    pool_set_conf(worker->pool, &pool_conf);
    sess_set_on_snapshot(worker->set);
    settings_unref(old);
}

/* The primary has left: what it has answered for, its successor must have. */
static void acked_hand_over(struct worker *worker)
{
    struct gtid_set acked;

    gtid_init(&acked);
    sess_set_take_acked(worker->set, &acked);
    if (!gtid_is_empty(&acked)) {
        monitor_acked(worker->workers->shared.monitor, &acked);
    }
    gtid_fini(&acked);
}

static void worker_take_snapshot(struct worker *worker, struct mail *mail)
{
    if (mail->kind == SNAPSHOT_SETTINGS) {
        worker_take_settings(worker, mail);
        return;
    }

    const void *snapshot = mail_snapshot_take(mail);

    if (mail->kind == SNAPSHOT_TOPO) {
        const struct topo *old = worker->topo;

        worker->topo = snapshot;
        worker->env.topo = snapshot;
        pool_set_topo(worker->pool, snapshot);
        sess_set_on_topo(worker->set);
        sess_set_on_snapshot(worker->set);
        topo_unref(old);
        if (worker->topo->primary < 0) {
            acked_hand_over(worker);
        }
        monitor_ack(worker->workers->shared.monitor, worker->index, worker->topo->epoch);
    } else if (mail->kind == SNAPSHOT_CATALOGUE) {
        const struct catalogue *old = worker->catalogue;

        worker->catalogue = snapshot;
        worker->env.catalogue = snapshot;
        sess_set_on_snapshot(worker->set);
        catalogue_unref(old);
    } else if (mail->kind == SNAPSHOT_POSITIONS) {
        positions_unref(worker->positions);
        worker->positions = snapshot;
        worker->env.positions = snapshot;
    } else {
        const struct accounts *old = worker->accounts;

        worker->accounts = snapshot;
        worker->env.accounts = snapshot;
        sess_set_on_snapshot(worker->set);
        accounts_unref(old);
    }
}

static void answer_post(struct worker *worker, struct mail *question)
{
    struct mail *mail = ask_answer(CONTROL_MAIL_ANSWER, question, worker->set, worker->digests);

    if (mail != NULL) {
        (void)mailbox_post(worker->workers->shared.control, mail);
    }
}

static void on_mail(void *arg, struct mail *mail)
{
    struct worker *worker = arg;

    if (mail->kind < SNAPSHOT_COUNT) {
        worker_take_snapshot(worker, mail);
        mail->free_fn(mail);
        return;
    }
    switch ((enum worker_mail)mail->kind) {
    case WORKER_MAIL_ACCEPT:
        worker_accept(worker, WR_CONTAINER_OF(mail, struct accept_mail, mail));
        break;
    case WORKER_MAIL_KILL:
        sess_set_on_kill(worker->set, ask_kill(mail));
        break;
    case WORKER_MAIL_ASK:
        answer_post(worker, mail);
        break;
    case WORKER_MAIL_POOL:
        pool_on_mail(worker->pool, &WR_CONTAINER_OF(mail, struct pool_letter, mail)->letter);
        break;
    case WORKER_MAIL_RENEW:
        sess_set_on_renew(worker->set, WR_CONTAINER_OF(mail, struct renew_mail, mail)->slot);
        break;
    case WORKER_MAIL_FILL:
        sess_set_on_fill(worker->set, WR_CONTAINER_OF(mail, struct fill_mail, mail)->hash);
        break;
    case WORKER_MAIL_DRAIN:
        worker->is_draining = true;
        sess_set_drain(worker->set, WR_CONTAINER_OF(mail, struct drain_mail, mail)->deadline_us);
        timer_arm_in(&worker->drain_timer, 0);
        break;
    case WORKER_MAIL_STOP:
        /* Here and not in the control thread: sessions end where they live. */
        sess_set_destroy(worker->set);
        worker->set = NULL;
        pool_destroy(worker->pool);
        worker->pool = NULL;
        tier_destroy(worker->tier);
        worker->tier = NULL;
        timer_cancel(&worker->drain_timer);
        mailbox_close(mailbox_ref(worker->box));
        loop_stop(worker->loop);
        break;
    }
    mail->free_fn(mail);
}

void *worker_main(void *arg)
{
    struct worker *worker = arg;

    (void)pthread_setname_np(pthread_self(), worker->name);

    int rc = loop_run(worker->loop);

    /* Nothing but a broken kernel interface ends a loop by itself. */
    WR_ASSERT(rc == 0);
    return NULL;
}

/* --- begin and end, by the control thread --- */

int worker_init(struct workers *workers, uint32_t index, const struct worker_start *start)
{
    const struct worker_shared *shared = &workers->shared;
    struct worker *worker = &workers->items[index];
    struct log_ring *ring = NULL;

    worker->workers = workers;
    worker->index = index;
    (void)snprintf(worker->name, sizeof(worker->name), "worker-%u", (unsigned)index % 1000);
    atomic_init(&worker->taken, 0);
    rand_seed_system(&worker->rand);

    uint32_t digests = shared->settings->config->observe.digests;
    int rc = loop_create(&worker->loop);

    if (rc == 0) {
        rc = mailbox_create(worker->loop, on_mail, worker, &worker->box);
    }
    if (rc == 0) {
        rc = metric_shard_create(shared->registry, &worker->metrics);
    }
    if (rc == 0) {
        rc = log_ring_create(shared->logger, worker->name, &ring);
    }
    if (rc == 0) {
        rc = svec_values_create(&worker->values);
    }
    if (rc == 0 && digests > 0) {
        /* an equal share each, and at least one */
        rc = digests_create(1 + (digests - 1) / workers->count, &worker->digests);
    }
    if (rc < 0) {
        return rc;
    }
    timer_init(&worker->drain_timer, worker->loop, on_drain_timer, worker);
    worker->topo = topo_ref(start->topo);
    worker->catalogue = catalogue_ref(start->catalogue);
    worker->accounts = start->accounts == NULL ? NULL : accounts_ref(start->accounts);
    worker->positions = start->positions == NULL ? NULL : positions_ref(start->positions);
    worker->conn_env = (struct conn_env){
        .loop = worker->loop,
        .metrics = worker->metrics,
        .values = worker->values,
        .tls = shared->conn_tls,
        .tls_count = shared->conn_tls_count,
    };
    struct pool_env pool_env = {
        .loop = worker->loop,
        .conn_env = &worker->conn_env,
        .metrics = worker->metrics,
        .slots = shared->slots,
        .rand = &worker->rand,
        .worker = index,
        .worker_count = workers->count,
        .mail = on_pool_mail,
        .arg = worker,
    };
    struct pool_conf pool_conf = pool_conf_of(shared->settings->config);

    rc = pool_create(&pool_env, &pool_conf, worker->topo, &worker->pool);
    if (rc < 0) {
        return rc;
    }
    worker->env = (struct sess_env){
        .loop = worker->loop,
        .rand = &worker->rand,
        .metrics = worker->metrics,
        .log_ring = ring,
        .topo = worker->topo,
        .catalogue = worker->catalogue,
        .accounts = worker->accounts,
        .positions = worker->positions,
        .users = shared->users,
        .board = shared->board,
        .causal = shared->causal,
        .cache = shared->cache,
        .pool = worker->pool,
        .digests = worker->digests,
        .conn_env = &worker->conn_env,
        .worker = index,
        .worker_count = workers->count,
        .instance_tag = shared->instance_tag,
        .mail_kill = on_mail_kill,
        .wake_fills = on_wake_fills,
        .mail_renew = on_mail_renew,
        .report_failure = on_report_failure,
        .suspect = on_suspect,
        .poke_catalogue = on_poke_catalogue,
        .arg = worker,
    };
    worker_use_settings(worker, settings_ref(shared->settings));
    rc = worker_tier_init(worker);
    if (rc < 0) {
        return rc;
    }
    worker->env.tier = worker->tier;
    return sess_set_create(&worker->env, worker->env.config->limits.max_clients, &worker->set);
}

void worker_fini(struct worker *worker)
{
    sess_set_destroy(worker->set);
    pool_destroy(worker->pool);
    tier_destroy(worker->tier);
    if (worker->box != NULL) {
        /* A worker that ran has closed it itself; closing is not for two. */
        if (worker->is_started) {
            mailbox_unref(worker->box);
        } else {
            mailbox_close(worker->box);
        }
    }
    loop_destroy(worker->loop);
    svec_values_destroy(worker->values);
    digests_destroy(worker->digests);
    topo_unref(worker->topo);
    catalogue_unref(worker->catalogue);
    accounts_unref(worker->accounts);
    positions_unref(worker->positions);
    settings_unref(worker->settings);
}
