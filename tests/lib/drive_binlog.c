/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The follower of the binary log without sessions: `drive_binlog CONFIG SCHEMA.TABLE...` watches the
 * versions of these tables, of their schemas and of everything, and prints one line for each change:
 *
 *     state   LABEL                       of the stream
 *     bump    NAME  WALL_US               a lease on NAME, taken at the last line about it, holds no more
 *     end     NAME  WALL_US               ... and a new one holds again: the write can be seen
 *     ddl
 *
 * NAME is `all`, a schema, or a table. On standard input: `metrics` and `quit`. tests/integration/binlog_real speaks to it.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/binlog/binlog.h"
#include "weir/cache/cache.h"
#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#define WATCHED_MAX 64

struct watched {
    char name[160];
    uint32_t slot;
    uint32_t rows; /* of a table; else the same */
    struct version_lease lease;
    bool is_held; /* it held when it was last looked at */
};

struct drive {
    pthread_mutex_t lock;
    struct binlog *binlog;
    struct cache *cache;
    struct metric_registry *registry;
    size_t count;
    struct watched watched[WATCHED_MAX];
    enum cache_stream_state state;
    bool is_heard;
};

static void say(const struct drive *drive, const char *what, const char *name)
{
    (void)drive;
    printf("%s\t%s\t%" PRIu64 "\n", what, name, clock_wall_us());
    fflush(stdout);
}

static void lease_take(struct drive *drive, struct watched *watched)
{
    version_lease_begin(drive->cache->board, &watched->lease);
    watched->lease.count = 0;
    if (version_lease_add(drive->cache->board, &watched->lease, watched->slot) < 0 ||
        version_lease_add(drive->cache->board, &watched->lease, watched->rows) < 0) {
        abort();
    }
}

static bool holds(const struct drive *drive, const struct watched *watched)
{
    return version_lease_holds(drive->cache->board, watched->lease.held, watched->lease.count);
}

static void look(struct drive *drive)
{
    enum cache_stream_state state = cache_stream_state(&drive->cache->stream);
    bool is_heard = cache_stream_is_heard(&drive->cache->stream, clock_now_us());

    for (size_t i = 0; i < drive->count; i++) {
        struct watched *watched = &drive->watched[i];

        if (watched->is_held && !holds(drive, watched)) {
            watched->is_held = false;
            say(drive, "bump", watched->name);
        }
        if (!watched->is_held) {
            lease_take(drive, watched);
            if (holds(drive, watched)) {
                watched->is_held = true;
                say(drive, "end", watched->name);
            }
        }
    }
    /* Last: who waits for the state has heard by then of what was bumped on the way to it. */
    if (state != drive->state || is_heard != drive->is_heard) {
        drive->state = state;
        drive->is_heard = is_heard;
        printf("state\t%s\t%s\n", cache_stream_state_label(state), is_heard ? "heard" : "deaf");
        fflush(stdout);
    }
}

static void watch(struct drive *drive, const char *name, uint32_t slot, uint32_t rows)
{
    struct watched *watched = &drive->watched[drive->count];

    for (size_t i = 0; i < drive->count; i++) {
        if (strcmp(drive->watched[i].name, name) == 0) {
            return;
        }
    }
    if (drive->count < WATCHED_MAX) {
        snprintf(watched->name, sizeof(watched->name), "%s", name);
        watched->slot = slot;
        watched->rows = rows;
        watched->is_held = true;
        lease_take(drive, watched);
        drive->count++;
    }
}

static void watch_table(struct drive *drive, const char *text)
{
    const char *dot = strchr(text, '.');
    char schema[128];

    if (dot == NULL || (size_t)(dot - text) >= sizeof(schema)) {
        return;
    }
    memcpy(schema, text, (size_t)(dot - text));
    schema[dot - text] = '\0';
    watch(drive, schema, version_slot_schema(span_of(schema)),
          version_slot_schema(span_of(schema)));
    watch(drive, text, version_slot_table(span_of(schema), span_of(dot + 1)),
          version_slot_rows(span_of(schema), span_of(dot + 1)));
}

/* --- the monitor's calls --- */

static void on_topo(void *arg, const struct topo *topo)
{
    struct drive *drive = arg;

    pthread_mutex_lock(&drive->lock);
    binlog_on_topo(drive->binlog, topo);
    pthread_mutex_unlock(&drive->lock);
    topo_unref(topo);
}

/* The reader has none: what is named is what counts. */
static void on_catalogue(void *arg, const struct catalogue *catalogue)
{
    (void)arg;
    catalogue_unref(catalogue);
}

static void on_accounts(void *arg, const struct accounts *accounts)
{
    (void)arg;
    accounts_unref(accounts);
}

static void on_positions(void *arg, const struct positions *positions)
{
    struct drive *drive = arg;

    binlog_on_positions(drive->binlog, positions);
    positions_unref(positions);
}

static void on_ddl(void *arg)
{
    (void)arg;
    printf("ddl\t-\t%" PRIu64 "\n", clock_wall_us());
    fflush(stdout);
}

static void print_metrics(struct drive *drive)
{
    struct buf out;

    buf_init(&out);
    if (metric_format(drive->registry, &out, 1U << 24) == 0) {
        const char *text = buf_text(&out);

        while (text != NULL && *text != '\0') {
            size_t len = strcspn(text, "\n");

            if (strncmp(text, "weir_binlog", 11) == 0) {
                printf("metric\t%.*s\n", (int)len, text);
            }
            text += len + (text[len] == '\n');
        }
    }
    buf_fini(&out);
    printf("done\n");
    fflush(stdout);
}

/* False: it is over. */
static bool command(struct drive *drive)
{
    char line[256];

    if (fgets(line, sizeof(line), stdin) == NULL || strncmp(line, "quit", 4) == 0) {
        return false;
    }
    if (strncmp(line, "metrics", 7) == 0) {
        print_metrics(drive);
    }
    return true;
}

static int run(struct config *config, struct drive *drive)
{
    struct monitor_calls calls = {.on_topo = on_topo,
                                  .on_catalogue = on_catalogue,
                                  .on_accounts = on_accounts,
                                  .on_positions = on_positions,
                                  .arg = drive};
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    struct monitor *monitor = NULL;
    uint64_t began_us = 0;
    int r = monitor_create(config, &calls, &monitor);

    r = r < 0 ? r : binlog_start(drive->binlog);
    r = r < 0 ? r : monitor_start(monitor);
    if (r < 0) {
        fprintf(stderr, "drive_binlog: %s\n", err_text(r));
        return 1;
    }
    do {
        look(drive);
    } while (poll(&in, 1, 1) == 0 || command(drive));
    monitor_stop(monitor);
    began_us = clock_now_us();
    bool is_over = binlog_stop_within(drive->binlog, 3000000);
    printf("stopped\t%d\t%" PRIu64 "\n", is_over, (clock_now_us() - began_us) / 1000);
    fflush(stdout);
    if (!is_over) {
        _exit(3);
    }
    monitor_destroy(monitor);
    return 0;
}

int main(int argc, char **argv)
{
    static struct drive drive;
    struct log_conf log_conf = {.fd = STDERR_FILENO, .level = LOG_INFO};
    struct binlog_conf conf = {.on_ddl = on_ddl, .arg = &drive};
    struct logger *logger = NULL;
    struct config_errors errors;
    struct config *config = NULL;
    int rc = 2;

    if (argc < 2 || config_load(argv[1], &config, &errors) < 0) {
        if (argc >= 2) {
            config_print_errors(&errors, stderr);
        }
        return 2;
    }
    pthread_mutex_init(&drive.lock, NULL);
    if (monitor_library_init() < 0 || log_create(&log_conf, &logger) < 0 ||
        metric_registry_create(&drive.registry) < 0 || cache_create(1U << 20, &drive.cache) < 0) {
        return 2;
    }
    conf.config = config;
    conf.cache = drive.cache;
    conf.registry = drive.registry;
    conf.logger = logger;
    watch(&drive, "all", VERSION_SLOT_ALL, VERSION_SLOT_ALL);
    for (int i = 2; i < argc; i++) {
        watch_table(&drive, argv[i]);
    }
    if (binlog_create(&conf, &drive.binlog) == 0) {
        rc = run(config, &drive);
        binlog_destroy(drive.binlog);
    }
    cache_destroy(drive.cache);
    log_destroy(logger);
    metric_registry_destroy(drive.registry);
    config_unref(config);
    monitor_library_fini();
    return rc;
}
