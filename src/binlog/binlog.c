/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/binlog/binlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "binlog_priv.h"

#define RETRY_MIN_US  UINT64_C(50000)
#define RETRY_MAX_US  UINT64_C(2000000)
#define RETRY_ELSE_US UINT64_C(3000000) /* what an operator has to mend */
#define TICK_US       UINT64_C(100000)  /* writes that are pending are looked at as often */

bool binlog_is_stopping(struct binlog *binlog)
{
    bool is = false;

    (void)pthread_mutex_lock(&binlog->lock);
    is = binlog->is_stopping;
    (void)pthread_mutex_unlock(&binlog->lock);
    return is;
}

/* --- the thread --- */

void binlog_set_state(struct binlog *binlog, enum cache_stream_state state, const char *why)
{
    struct cache_stream *stream = &binlog->conf.cache->stream;
    const char *text = cache_stream_state_text(state);

    if (state != CACHE_STREAM_READING) {
        cache_stream_pause(stream, state);
    }
    if (state == binlog->said) {
        return;
    }
    binlog->said = state;
    if (state == CACHE_STREAM_READING || state == CACHE_STREAM_STARTING) {
        log_info(&binlog->log_ctx, "binlog_state", "the primary's binary log: %s%s%s", text,
                 why[0] != '\0' ? ": " : "", why);
    } else {
        log_warn(&binlog->log_ctx, "binlog_state",
                 "the primary's binary log: %s%s%s; rules that rest on it do not cache", text,
                 why[0] != '\0' ? ": " : "", why);
    }
}

static bool is_wanted(const struct binlog *binlog, uint64_t epoch)
{
    return !binlog->is_stopping && (binlog->topo == NULL || binlog->topo->epoch == epoch);
}

/* Until then, or until there is another primary or none. */
static void wait_until(struct binlog *binlog, uint64_t epoch, uint64_t until_us)
{
    uint64_t now_us = clock_now_us();

    (void)pthread_mutex_lock(&binlog->lock);
    while (is_wanted(binlog, epoch) && now_us < until_us) {
        uint64_t tick_us = now_us + TICK_US < until_us ? now_us + TICK_US : until_us;
        const struct timespec tick = {
            .tv_sec = (time_t)(tick_us / CLOCK_US_PER_SECOND),
            .tv_nsec = (long)(tick_us % CLOCK_US_PER_SECOND * 1000),
        };

        (void)pthread_cond_timedwait(&binlog->wake, &binlog->lock, &tick);
        (void)pthread_mutex_unlock(&binlog->lock);
        binlog_settle(binlog);
        now_us = clock_now_us();
        (void)pthread_mutex_lock(&binlog->lock);
    }
    (void)pthread_mutex_unlock(&binlog->lock);
}

static const struct topo *topo_take(struct binlog *binlog)
{
    const struct topo *topo = NULL;

    (void)pthread_mutex_lock(&binlog->lock);
    topo = binlog->topo == NULL ? NULL : topo_ref(binlog->topo);
    (void)pthread_mutex_unlock(&binlog->lock);
    return topo;
}

static void round_run(struct binlog *binlog, const struct topo *topo, uint64_t *retry_us)
{
    char why[DB_ERROR_MAX] = "";
    enum cache_stream_state state = CACHE_STREAM_NO_PRIMARY;
    uint64_t wait_us = RETRY_ELSE_US;

    if (topo != NULL && topo_primary(topo) != NULL && topo_primary(topo)->addr_len != 0) {
        uint64_t began_us = clock_now_us();

        state = binlog_read(binlog, topo, why);
        if (clock_now_us() >= began_us + RETRY_MAX_US) {
            *retry_us = RETRY_MIN_US;
        }
    } else if (binlog->is_begun) {
        binlog_end(binlog);
    }
    if (binlog_is_stopping(binlog)) {
        return;
    }
    if (state != CACHE_STREAM_FAILED && state != CACHE_STREAM_STARTING && binlog->is_begun) {
        binlog_end(binlog); /* until somebody has mended it nobody knows what is written */
    }
    binlog_set_state(binlog, state, why);
    if (state == CACHE_STREAM_FAILED) {
        wait_us = *retry_us;
        *retry_us = *retry_us * 2 < RETRY_MAX_US ? *retry_us * 2 : RETRY_MAX_US;
    }
    wait_until(binlog, topo == NULL ? UINT64_MAX : topo->epoch, clock_now_us() + wait_us);
}

static void *thread_run(void *arg)
{
    struct binlog *binlog = arg;
    uint64_t retry_us = RETRY_MIN_US;

    db_thread_init();
    binlog_set_state(binlog, CACHE_STREAM_STARTING, "");
    while (!binlog_is_stopping(binlog)) {
        const struct topo *topo = topo_take(binlog);

        round_run(binlog, topo, &retry_us);
        topo_unref(topo);
    }
    cache_stream_end(&binlog->conf.cache->stream, CACHE_STREAM_OFF);
    db_thread_fini();
    (void)pthread_mutex_lock(&binlog->lock);
    pending_end_all(&binlog->pending, clock_now_us());
    binlog->is_running = false;
    (void)pthread_cond_signal(&binlog->ended);
    (void)pthread_mutex_unlock(&binlog->lock);
    return NULL;
}

/* --- posts --- */

void binlog_on_topo(struct binlog *binlog, const struct topo *topo)
{
    const struct topo *old = NULL;

    (void)pthread_mutex_lock(&binlog->lock);
    old = binlog->topo;
    binlog->topo = topo_ref(topo);
    if (old == NULL || old->epoch != topo->epoch) {
        if (binlog->log != NULL) {
            db_interrupt(binlog->log);
        }
        (void)pthread_cond_signal(&binlog->wake);
    }
    (void)pthread_mutex_unlock(&binlog->lock);
    topo_unref(old);
}

void binlog_on_positions(struct binlog *binlog, const struct positions *positions)
{
    const struct positions *old = NULL;

    (void)pthread_mutex_lock(&binlog->lock);
    old = binlog->positions;
    binlog->positions = positions_ref(positions);
    (void)pthread_mutex_unlock(&binlog->lock);
    binlog_settle(binlog);
    positions_unref(old);
}

void binlog_on_catalogue(struct binlog *binlog, const struct catalogue *catalogue)
{
    const struct catalogue *old = NULL;

    (void)pthread_mutex_lock(&binlog->lock);
    old = binlog->catalogue;
    binlog->catalogue = catalogue_ref(catalogue);
    (void)pthread_mutex_unlock(&binlog->lock);
    catalogue_unref(old);
}

/* --- life --- */

static int parts_init(struct binlog *binlog)
{
    pthread_condattr_t attr;
    int r = metric_shard_create(binlog->conf.registry, &binlog->metrics);

    if (r == 0 && binlog->conf.logger != NULL) {
        r = log_ring_create(binlog->conf.logger, "binlog", &binlog->log_ctx.ring);
    }
    if (r < 0) {
        return r;
    }
    (void)pthread_mutex_init(&binlog->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&binlog->wake, &attr);
    (void)pthread_cond_init(&binlog->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    pending_init(&binlog->pending, binlog->conf.cache->board);
    gtid_init(&binlog->facts.executed);
    buf_init(&binlog->unpacked);
    buf_init(&binlog->text);
    return 0;
}

int binlog_create(const struct binlog_conf *conf, struct binlog **ret_binlog)
{
    struct binlog *binlog = calloc(1, sizeof(*binlog));
    int r = 0;

    if (binlog == NULL) {
        return -ENOMEM;
    }
    binlog->conf = *conf;
    binlog->server = -1;
    binlog->log_ctx.room = "binlog";
    r = parts_init(binlog);
    if (r < 0) {
        free(binlog);
        return r;
    }
    *ret_binlog = binlog;
    return 0;
}

int binlog_start(struct binlog *binlog)
{
    int r = 0;

    binlog->is_running = true;
    r = -pthread_create(&binlog->thread, NULL, thread_run, binlog);
    binlog->is_running = r == 0;
    binlog->is_started = r == 0;
    return r;
}

bool binlog_stop_within(struct binlog *binlog, uint64_t most_us)
{
    uint64_t end_us = clock_now_us() + most_us;
    const struct timespec until = {
        .tv_sec = (time_t)(end_us / CLOCK_US_PER_SECOND),
        .tv_nsec = (long)(end_us % CLOCK_US_PER_SECOND * 1000),
    };
    bool is_over = false;

    (void)pthread_mutex_lock(&binlog->lock);
    binlog->is_stopping = true;
    if (binlog->log != NULL) {
        db_interrupt(binlog->log);
    }
    (void)pthread_cond_signal(&binlog->wake);
    while (binlog->is_running && clock_now_us() < end_us) {
        (void)pthread_cond_timedwait(&binlog->ended, &binlog->lock, &until);
    }
    is_over = !binlog->is_running;
    (void)pthread_mutex_unlock(&binlog->lock);
    if (is_over && binlog->is_started) {
        (void)pthread_join(binlog->thread, NULL);
        binlog->is_started = false;
    }
    return is_over;
}

void binlog_destroy(struct binlog *binlog)
{
    if (binlog == NULL) {
        return;
    }
    pending_fini(&binlog->pending, clock_now_us());
    topo_unref(binlog->topo);
    positions_unref(binlog->positions);
    catalogue_unref(binlog->catalogue);
    gtid_fini(&binlog->facts.executed);
    buf_fini(&binlog->unpacked);
    buf_fini(&binlog->text);
    (void)pthread_cond_destroy(&binlog->wake);
    (void)pthread_cond_destroy(&binlog->ended);
    (void)pthread_mutex_destroy(&binlog->lock);
    free(binlog);
}
