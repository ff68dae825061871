/* SPDX-License-Identifier: Apache-2.0 */
/* What the control thread does with all workers: starts and ends them, and writes them letters. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "weir/io/loop.h"
#include "weir/monitor/monitor.h"
#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "ask_priv.h"
#include "mail_priv.h"
#include "worker_priv.h"

#define STUCK_US        UINT64_C(1000000)
#define SERVER_PER_CORE 8

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
    rc = worker_tiers_init(workers);
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
    worker_tiers_fini(workers);
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

int workers_post(struct workers *workers, enum snapshot_kind kind, const void *snapshot)
{
    struct mail *mails[WORKERS_MAX];
    uint32_t count = 0;

    while (count < workers->count) {
        mails[count] = mail_snapshot_create(kind, mail_snapshot_ref(kind, snapshot));
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
    worker_kill_post(workers->items[worker].box, WORKER_MAIL_KILL, &kill);
    return 0;
}

uint64_t workers_busy_since_us(const struct workers *workers, uint32_t index)
{
    return loop_busy_since_us(workers->items[index].loop);
}
