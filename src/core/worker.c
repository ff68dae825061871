/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's life: its loop runs from workers_create() to the STOP mail. Between two callbacks it
 * swaps snapshots; sessions read them through the env and see one or the other, never a mixture.
 */
#include "weir/core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/svec.h"
#include "weir/backend/topo.h"
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

#define DRAIN_POLL_US   UINT64_C(20000)
#define STUCK_US        UINT64_C(1000000)
#define SERVER_PER_CORE 8

enum worker_mail {
    WORKER_MAIL_ACCEPT,
    WORKER_MAIL_KILL,
    WORKER_MAIL_POOL,
    WORKER_MAIL_TOPO,
    WORKER_MAIL_CATALOGUE,
    WORKER_MAIL_ACCOUNTS,
    WORKER_MAIL_POSITIONS,
    WORKER_MAIL_SETTINGS,
    WORKER_MAIL_ASK,
    WORKER_MAIL_DRAIN,
    WORKER_MAIL_STOP,
};

struct accept_mail {
    struct mail mail;
    struct sess_accept accept;
};

struct pool_letter {
    struct mail mail;
    struct slots *slots;
    struct pool_mail letter;
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
    uint32_t count;
    struct worker items[];
};

uint32_t workers_default(uint32_t cores, uint32_t smallest_limit, bool *ret_is_tight)
{
    uint32_t by_limit = smallest_limit / SERVER_PER_CORE;
    uint32_t count = cores < by_limit ? cores : by_limit;

    *ret_is_tight = by_limit == 0;
    if (count == 0) {
        return 1;
    }
    return count < WORKERS_MAX ? count : WORKERS_MAX;
}

/* --- what sessions call, in the worker's thread --- */

/* Without memory for the letter the requester's own time limit answers it. */
static void kill_post(struct mailbox *box, uint32_t kind, const struct sess_kill *kill)
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
        kill_post(worker->workers->shared.control, CONTROL_MAIL_KILLED, kill);
    } else if (index < worker->workers->count) {
        kill_post(worker->workers->items[index].box, WORKER_MAIL_KILL, kill);
    } else {
        /* An id that no worker of this process can have given out. */
        reply.is_reply = true;
        reply.outcome = -WR_E_NOT_FOUND;
        kill_post(worker->box, WORKER_MAIL_KILL, &reply);
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
    const void *snapshot = mail_snapshot_take(mail);

    if (mail->kind == WORKER_MAIL_TOPO) {
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
    } else if (mail->kind == WORKER_MAIL_CATALOGUE) {
        const struct catalogue *old = worker->catalogue;

        worker->catalogue = snapshot;
        worker->env.catalogue = snapshot;
        sess_set_on_snapshot(worker->set);
        catalogue_unref(old);
    } else if (mail->kind == WORKER_MAIL_POSITIONS) {
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
    case WORKER_MAIL_TOPO:
    case WORKER_MAIL_CATALOGUE:
    case WORKER_MAIL_ACCOUNTS:
    case WORKER_MAIL_POSITIONS:
        worker_take_snapshot(worker, mail);
        break;
    case WORKER_MAIL_SETTINGS:
        worker_take_settings(worker, mail);
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
        timer_cancel(&worker->drain_timer);
        mailbox_close(mailbox_ref(worker->box));
        loop_stop(worker->loop);
        break;
    }
    mail->free_fn(mail);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;

    (void)pthread_setname_np(pthread_self(), worker->name);

    int rc = loop_run(worker->loop);

    /* Nothing but a broken kernel interface ends a loop by itself. */
    WR_ASSERT(rc == 0);
    return NULL;
}

/* --- the control thread's side --- */

static void accept_mail_free(struct mail *mail)
{
    struct accept_mail *accept = WR_CONTAINER_OF(mail, struct accept_mail, mail);

    if (accept->accept.fd >= 0) {
        (void)close(accept->accept.fd);
    }
    free(accept);
}

static void drain_mail_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct drain_mail, mail));
}

static int worker_init(struct workers *workers, uint32_t index, const struct worker_start *start)
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
        .pool = worker->pool,
        .digests = worker->digests,
        .conn_env = &worker->conn_env,
        .worker = index,
        .worker_count = workers->count,
        .instance_tag = shared->instance_tag,
        .mail_kill = on_mail_kill,
        .report_failure = on_report_failure,
        .suspect = on_suspect,
        .poke_catalogue = on_poke_catalogue,
        .arg = worker,
    };
    worker_use_settings(worker, settings_ref(shared->settings));
    return sess_set_create(&worker->env, worker->env.config->limits.max_clients, &worker->set);
}

int workers_create(const struct worker_shared *shared, const struct worker_start *start,
                   uint32_t count, struct workers **ret_workers)
{
    WR_ASSERT(count > 0 && count <= WORKERS_MAX);

    struct workers *workers = calloc(1, sizeof(*workers) + count * sizeof(workers->items[0]));
    int rc = workers == NULL ? -ENOMEM : 0;

    if (rc < 0) {
        return rc;
    }
    workers->shared = *shared;
    workers->count = count;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = worker_init(workers, i, start);
    }
    if (rc == 0) {
        monitor_acks_start(shared->monitor, count, start->topo->epoch);
    }
    /* Threads last: each may write to every mailbox. */
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        struct worker *worker = &workers->items[i];

        rc = -pthread_create(&worker->thread, NULL, worker_main, worker);
        worker->is_started = rc == 0;
    }
    if (rc < 0) {
        workers_destroy(workers);
        return rc;
    }
    *ret_workers = workers;
    return 0;
}

static bool letter_post(struct worker *worker, enum worker_mail kind, uint64_t deadline_us)
{
    struct drain_mail *mail = calloc(1, sizeof(*mail));

    if (mail == NULL) {
        return false;
    }
    mail->mail = (struct mail){.kind = kind, .free_fn = drain_mail_free};
    mail->deadline_us = deadline_us;
    (void)mailbox_post(worker->box, &mail->mail);
    return true;
}

static void worker_fini(struct worker *worker)
{
    sess_set_destroy(worker->set);
    pool_destroy(worker->pool);
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

void workers_destroy(struct workers *workers)
{
    if (workers == NULL) {
        return;
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        if (workers->items[i].is_started) {
            /* Without the memory for this letter the process could not end in order. */
            WR_ASSERT(letter_post(&workers->items[i], WORKER_MAIL_STOP, 0));
        }
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        if (workers->items[i].is_started) {
            (void)pthread_join(workers->items[i].thread, NULL);
        }
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        worker_fini(&workers->items[i]);
    }
    free(workers);
}

uint32_t workers_count(const struct workers *workers)
{
    return workers->count;
}

/* Read without order: a sum of these may be off by what happens at this moment. */
static uint32_t worker_gauge(const struct worker *worker, enum metric metric)
{
    return (uint32_t)atomic_load_explicit(&worker->metrics->words[metric], memory_order_relaxed);
}

static uint32_t worker_on_the_way(const struct worker *worker)
{
    return worker->sent - atomic_load_explicit(&worker->taken, memory_order_relaxed);
}

static uint32_t worker_load(const struct worker *worker)
{
    return worker_gauge(worker, METRIC_SESSIONS_OPEN) + worker_on_the_way(worker);
}

uint32_t workers_load(const struct workers *workers)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < workers->count; i++) {
        sum += worker_load(&workers->items[i]);
    }
    return sum;
}

uint32_t workers_in_login(const struct workers *workers)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < workers->count; i++) {
        sum += worker_gauge(&workers->items[i], METRIC_SESSIONS_IN_LOGIN) +
               worker_on_the_way(&workers->items[i]);
    }
    return sum;
}

static bool is_stuck(const struct worker *worker, uint64_t now_us)
{
    uint64_t since_us = loop_busy_since_us(worker->loop);

    return since_us != 0 && now_us > since_us && now_us - since_us > STUCK_US;
}

/* A worker that is stuck in a turn comes last, whatever it has to do. */
static struct worker *worker_pick(struct workers *workers)
{
    uint64_t now_us = clock_now_us();
    struct worker *best = &workers->items[0];
    uint32_t best_load = worker_load(best);
    bool best_stuck = is_stuck(best, now_us);

    for (uint32_t i = 1; i < workers->count; i++) {
        struct worker *worker = &workers->items[i];
        uint32_t load = worker_load(worker);
        bool stuck = is_stuck(worker, now_us);

        if (best_stuck == stuck ? load < best_load : best_stuck) {
            best = worker;
            best_load = load;
            best_stuck = stuck;
        }
    }
    return best;
}

void workers_accept(struct workers *workers, const struct sess_accept *accept)
{
    struct accept_mail *mail = calloc(1, sizeof(*mail));
    struct worker *worker = worker_pick(workers);

    if (mail == NULL) {
        (void)close(accept->fd);
        return;
    }
    mail->mail = (struct mail){.kind = WORKER_MAIL_ACCEPT, .free_fn = accept_mail_free};
    mail->accept = *accept;
    worker->sent++;
    (void)mailbox_post(worker->box, &mail->mail);
}

/* ref has already been taken for this one worker. */
static void snapshot_post(struct worker *worker, enum worker_mail kind, const void *snapshot,
                          snapshot_unref_fn unref)
{
    struct mail *mail = mail_snapshot_create(kind, snapshot, unref);

    if (mail != NULL) {
        (void)mailbox_post_newest(worker->box, mail);
    }
}

static void topo_release(const void *snapshot)
{
    topo_unref(snapshot);
}

static void catalogue_release(const void *snapshot)
{
    catalogue_unref(snapshot);
}

static void accounts_release(const void *snapshot)
{
    accounts_unref(snapshot);
}

void workers_post_topo(struct workers *workers, const struct topo *topo)
{
    for (uint32_t i = 0; i < workers->count; i++) {
        snapshot_post(&workers->items[i], WORKER_MAIL_TOPO, topo_ref(topo), topo_release);
    }
}

void workers_post_catalogue(struct workers *workers, const struct catalogue *catalogue)
{
    for (uint32_t i = 0; i < workers->count; i++) {
        snapshot_post(&workers->items[i], WORKER_MAIL_CATALOGUE, catalogue_ref(catalogue),
                      catalogue_release);
    }
}

void workers_post_accounts(struct workers *workers, const struct accounts *accounts)
{
    for (uint32_t i = 0; i < workers->count; i++) {
        snapshot_post(&workers->items[i], WORKER_MAIL_ACCOUNTS, accounts_ref(accounts),
                      accounts_release);
    }
}

static void positions_release(const void *snapshot)
{
    positions_unref(snapshot);
}

void workers_post_positions(struct workers *workers, const struct positions *positions)
{
    for (uint32_t i = 0; i < workers->count; i++) {
        snapshot_post(&workers->items[i], WORKER_MAIL_POSITIONS, positions_ref(positions),
                      positions_release);
    }
}

static void settings_release(const void *snapshot)
{
    settings_unref(snapshot);
}

int workers_post_settings(struct workers *workers, const struct settings *settings)
{
    struct mail *mails[WORKERS_MAX];
    uint32_t count = 0;

    while (count < workers->count) {
        mails[count] =
            mail_snapshot_create(WORKER_MAIL_SETTINGS, settings_ref(settings), settings_release);
        if (mails[count] == NULL) {
            break;
        }
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (count == workers->count) {
            (void)mailbox_post_newest(workers->items[i].box, mails[i]);
        } else {
            mails[i]->free_fn(mails[i]);
        }
    }
    return count == workers->count ? 0 : -ENOMEM;
}

void workers_drain(struct workers *workers, uint64_t deadline_us)
{
    for (uint32_t i = 0; i < workers->count; i++) {
        (void)letter_post(&workers->items[i], WORKER_MAIL_DRAIN, deadline_us);
    }
}

uint32_t workers_ask(struct workers *workers, uint32_t ticket, unsigned what)
{
    uint32_t asked = 0;

    for (uint32_t i = 0; i < workers->count; i++) {
        struct mail *mail = ask_create(WORKER_MAIL_ASK, ticket, what);

        if (mail != NULL && mailbox_post(workers->items[i].box, mail) == 0) {
            asked++;
        }
    }
    return asked;
}

int workers_kill(struct workers *workers, uint32_t ticket, uint32_t id, bool is_query_only)
{
    uint32_t worker = sess_id_worker(id);
    const struct sess_kill kill = {
        .target_id = id,
        .requester_id = ticket,
        .worker = SESS_KILL_CONTROL,
        .is_query_only = is_query_only,
        .is_operator = true,
    };

    if (worker >= workers->count) {
        return -WR_E_NOT_FOUND;
    }
    kill_post(workers->items[worker].box, WORKER_MAIL_KILL, &kill);
    return 0;
}

uint64_t workers_busy_since_us(const struct workers *workers, uint32_t index)
{
    return loop_busy_since_us(workers->items[index].loop);
}
