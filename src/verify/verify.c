/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/verify/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "client_priv.h"
#include "schema_priv.h"

#define TICK_NS    100000000L
#define QUIET_US   (30 * CLOCK_US_PER_SECOND)
#define SAMPLE_MAX 200000

/* What a run has, in the order in which it gets it. */
struct run {
    const struct verify_conf *conf;
    struct verify_result *result;
    struct link *link;
    struct client *clients;
    pthread_t *threads;
    uint16_t started;
    struct client_run shared;
    struct history history;
    struct truth truth;
    sigset_t ends;
};

int verify_library_init(void)
{
    return link_library_init();
}

void verify_library_fini(void)
{
    link_library_fini();
}

void verify_conf_init(struct verify_conf *conf)
{
    *conf = (struct verify_conf){
        .target = {.timeout_s = 10},
        .mode = VERIFY_WINDOW,
        .seconds = 30,
        .seed = 1,
        .timeout_us = 15 * CLOCK_US_PER_SECOND,
        .heal_us = 5 * CLOCK_US_PER_SECOND,
        .clients = 8,
        .keys = 32,
    };
}

static int control_open(struct run *run)
{
    struct verify_result *result = run->result;
    char error[LINK_TEXT];
    unsigned number = 0;

    link_close(run->link);
    run->link = NULL;
    if (link_open(&run->conf->target, result->schema[0] == '\0' ? NULL : result->schema, &run->link,
                  &number, error) < 0) {
        (void)snprintf(result->error, sizeof(result->error), "cannot log in as %s: %u %s",
                       run->conf->target.user, number, error);
        return -WR_E_SERVER_ERROR;
    }
    return 0;
}

struct route_said {
    bool is_weir;
    bool is_gtid;
};

static int on_route_row(void *arg, const struct span *cells, unsigned count)
{
    struct route_said *said = arg;

    said->is_weir = count == 2;
    if (said->is_weir && span_eq_text(cells[0], "freshness")) {
        said->is_gtid = span_eq_text(cells[1], "gtid");
    }
    return 0;
}

static int prepare(struct run *run)
{
    const struct verify_conf *conf = run->conf;
    struct verify_result *result = run->result;
    struct route_said said = {.is_weir = false};
    int rc = control_open(run);

    result->mode = conf->mode;
    if (rc == 0 && conf->is_weir &&
        (link_each(run->link, "EXPLAIN ROUTE SELECT 1", on_route_row, &said) < 0 ||
         !said.is_weir)) {
        (void)snprintf(result->error, sizeof(result->error),
                       "what listens there is no weir: it does not know EXPLAIN ROUTE (%s)",
                       link_error(run->link));
        return -WR_E_STATE;
    }
    if (conf->is_auto && said.is_gtid) {
        result->mode = VERIFY_GTID;
    }
    if (rc == 0) {
        rc = schema_create(run->link, conf, result->schema, result->error, sizeof(result->error));
    }
    if (rc == 0) {
        rc = schema_settle(run->link, conf, result->schema, result->error, sizeof(result->error));
    }
    if (rc == 0 && conf->hooks.on_ready != NULL) {
        rc = conf->hooks.on_ready(conf->hooks.arg, result->schema);
    }
    return rc;
}

static int start(struct run *run)
{
    const struct verify_conf *conf = run->conf;

    run->shared = (struct client_run){.conf = conf, .schema = run->result->schema};
    atomic_init(&run->shared.is_over, false);
    run->clients = calloc(conf->clients, sizeof(*run->clients));
    run->threads = calloc(conf->clients, sizeof(*run->threads));
    if (run->clients == NULL || run->threads == NULL) {
        return -ENOMEM;
    }
    for (uint16_t i = 0; i < conf->clients; i++) {
        struct client *client = &run->clients[i];
        int rc = 0;

        client->run = &run->shared;
        client->thread = i;
        /* sessions of one client follow each other; those of all differ */
        client->session = (uint32_t)i << 16;
        history_init(&client->history);
        rand_seed(&client->rng, conf->seed * UINT64_C(1000003) + i);
        rc = pthread_create(&run->threads[i], NULL, client_main, client);
        if (rc != 0) {
            return -rc;
        }
        run->started++;
    }
    return 0;
}

/* SIGINT and SIGTERM end the run early, in order: the schema must go. */
static int watch(struct run *run, struct history *faults)
{
    const struct verify_conf *conf = run->conf;
    const struct timespec tick = {.tv_nsec = TICK_NS};
    uint64_t until_us = clock_now_us() + conf->seconds * CLOCK_US_PER_SECOND;
    int rc = 0;

    while (rc == 0 && clock_now_us() < until_us &&
           !atomic_load_explicit(&run->shared.is_over, memory_order_relaxed)) {
        if (sigtimedwait(&run->ends, NULL, &tick) > 0) {
            break;
        }
        if (conf->hooks.on_tick != NULL) {
            rc = conf->hooks.on_tick(conf->hooks.arg, faults);
        }
    }
    return rc < 0 ? rc : 0;
}

/* Ends the clients, and puts together what they saw. */
static int finish(struct run *run)
{
    int rc = 0;

    atomic_store_explicit(&run->shared.is_over, true, memory_order_relaxed);
    for (uint16_t i = 0; i < run->started; i++) {
        struct client *client = &run->clients[i];

        (void)pthread_join(run->threads[i], NULL);
        if (rc == 0) {
            rc = client->err;
        }
        if (rc == 0) {
            rc = history_append(&run->history, &client->history);
        }
        run->result->asked += client->asked;
        run->result->asked_replicas += client->asked_replicas;
        history_fini(&client->history);
    }
    free(run->clients);
    free(run->threads);
    run->clients = NULL;
    run->threads = NULL;
    run->started = 0;
    if (rc < 0) {
        (void)snprintf(run->result->error, sizeof(run->result->error), "the clients ended: %s",
                       err_text(rc));
    }
    return rc;
}

static int read_truth(struct run *run)
{
    const struct timespec pause = {.tv_nsec = 2 * TICK_NS};
    struct verify_result *result = run->result;
    uint64_t until_us = clock_now_us() + QUIET_US;
    int rc = 0;

    do { /* whoever was disturbed may need a while */
        truth_fini(&run->truth);
        rc = control_open(run);
        if (rc == 0) {
            rc = schema_truth(run->link, result->schema, &run->truth, result->error,
                              sizeof(result->error));
        }
        if (rc < 0) {
            (void)nanosleep(&pause, NULL);
        }
    } while (rc < 0 && clock_now_us() < until_us);
    if (rc == 0 && run->conf->hooks.on_truth != NULL) {
        rc = run->conf->hooks.on_truth(run->conf->hooks.arg, result->schema, &run->truth);
    }
    return rc;
}

/* --- verdict --- */

static uint32_t promised(const struct verify_conf *conf, enum verify_mode mode)
{
    uint32_t enforced = CHECK_ALWAYS | conf->enforce_also;

    switch (mode) {
    case VERIFY_OFF:
        break;
    case VERIFY_GTID:
        enforced |= CHECK_BIT(CHECK_K1) | (conf->may_go_back ? 0 : CHECK_BIT(CHECK_K2));
        break;
    case VERIFY_WINDOW:
        enforced |= CHECK_BIT(CHECK_K1);
        break;
    }
    if (mode != VERIFY_OFF && conf->scope == VERIFY_GLOBAL) {
        enforced |= CHECK_BIT(CHECK_K10);
    }
    return enforced;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void measure(struct run *run)
{
    uint64_t *sample = calloc(SAMPLE_MAX, sizeof(*sample));
    size_t count = 0;

    run->result->operations = run->history.count;
    for (size_t i = 0; sample != NULL && i < run->history.count && count < SAMPLE_MAX; i++) {
        const struct history_event *event = &run->history.events[i];

        if (event->kind == HISTORY_READ && event->outcome == HISTORY_OK &&
            (event->flags & HISTORY_F_TX) == 0) {
            sample[count++] = event->end_us - event->begin_us;
        }
    }
    if (count > 0) {
        qsort(sample, count, sizeof(*sample), by_value);
        run->result->read_p50_us = sample[count / 2];
        run->result->read_p99_us = sample[count - 1 - count / 100];
    }
    free(sample);
}

static int judge(struct run *run)
{
    const struct verify_conf *conf = run->conf;
    const uint32_t primary = 1;

    measure(run);
    run->result->checked = (struct check_conf){
        .enforced = promised(conf, run->result->mode),
        .stale_us = conf->stale_us,
        .timeout_us = conf->timeout_us,
        .heal_us = conf->heal_us,
        .primary = primary,
        .min_reads = conf->min_reads,
        .min_stale = conf->min_stale,
        .min_replica_pct = conf->min_replica_pct,
        .has_servers = conf->is_marked && !conf->is_by_row,
        .asked = run->result->asked,
        .asked_replicas = run->result->asked_replicas,
    };
    return check_run(&run->history, &run->truth, &run->result->checked, &run->result->report);
}

static int play(struct run *run)
{
    struct history faults;
    uint64_t begin_us = 0;
    int rc = prepare(run);
    int ended = 0;

    history_init(&faults);
    if (rc == 0) {
        begin_us = clock_now_us();
        rc = start(run);
    }
    if (rc == 0) {
        rc = watch(run, &faults);
    }
    ended = finish(run);
    run->result->took_us = begin_us == 0 ? 0 : clock_now_us() - begin_us;
    rc = rc < 0 ? rc : ended;
    if (rc == 0) {
        rc = history_append(&run->history, &faults);
    }
    history_fini(&faults);
    if (rc == 0) {
        rc = read_truth(run);
    }
    if (rc == 0) {
        rc = judge(run);
    }
    if (rc == 0 && run->conf->hooks.on_done != NULL) {
        run->conf->hooks.on_done(run->conf->hooks.arg, &run->history, &run->result->report);
    }
    return rc;
}

/* Whatever happened: the schema goes, or is named to whoever has to drop it. */
static void clean_up(struct run *run)
{
    struct verify_result *result = run->result;
    char before[sizeof(result->error)];

    if (result->schema[0] != '\0') {
        memcpy(before, result->error, sizeof(before));
        result->error[0] = '\0';
        if (control_open(run) < 0 ||
            schema_drop(run->link, result->schema, result->error, sizeof(result->error)) < 0) {
            char why[sizeof(result->error)];

            memcpy(why, result->error, sizeof(why));
            (void)snprintf(result->error, sizeof(result->error),
                           "%.300s%sthe schema %s is left behind, drop it (%.300s)", before,
                           before[0] == '\0' ? "" : "; ", result->schema, why);
        } else {
            memcpy(result->error, before, sizeof(before));
        }
    }
    link_close(run->link);
    history_fini(&run->history);
    truth_fini(&run->truth);
}

int verify_run(const struct verify_conf *conf, struct verify_result *ret_result)
{
    struct run run = {.conf = conf, .result = ret_result};
    sigset_t old;
    int rc = 0;

    memset(ret_result, 0, sizeof(*ret_result));
    if (conf->clients == 0 || conf->clients > VERIFY_CLIENTS_MAX || conf->keys == 0 ||
        conf->keys > HISTORY_KEYS_MAX) {
        return -WR_E_LIMIT;
    }
    history_init(&run.history);
    truth_init(&run.truth);
    (void)sigemptyset(&run.ends);
    (void)sigaddset(&run.ends, SIGINT);
    (void)sigaddset(&run.ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &run.ends, &old);
    rc = play(&run);
    clean_up(&run);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}
