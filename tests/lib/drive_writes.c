/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache thinks a statement writes and reads: `drive_writes CONFIG` reads the catalogue of a real
 * primary, and answers each line of standard input with one line:
 *
 *     read                             the catalogue is read anew: ok COUNT (of tables), or no REASON
 *     slot  SCHEMA TABLE               TABLE'S SCHEMA'S: their places on the board
 *     bumps ENV SCHEMA SQL             all, or the places of what it may write, or -
 *     rows  SCHEMA TABLE               the same, of what the log tells as rows of that table
 *     lease ENV SCHEMA SQL             WHY PASS PLACES: may its answer be kept, and what it depends on
 *
 * Fields have tabs between them; SQL is escaped as in facts.tsv, ENV are the words of classify_text.h.
 * tests/integration/writes_real speaks to it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/judge.h"
#include "weir/cache/writes.h"
#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/util/err.h"

#include "classify_text.h"

#define READ_SECONDS 60
#define FIELDS       4

struct drive {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    const struct catalogue *catalogue;
    struct monitor *monitor;
    struct version_board *board;
};

/* --- the monitor's calls --- */

static void on_topo(void *arg, const struct topo *topo)
{
    (void)arg;
    topo_unref(topo);
}

static void on_accounts(void *arg, const struct accounts *accounts)
{
    (void)arg;
    accounts_unref(accounts);
}

static void on_positions(void *arg, const struct positions *positions)
{
    (void)arg;
    positions_unref(positions);
}

static void on_catalogue(void *arg, const struct catalogue *catalogue)
{
    struct drive *drive = arg;

    pthread_mutex_lock(&drive->lock);
    catalogue_unref(drive->catalogue);
    drive->catalogue = catalogue;
    pthread_cond_broadcast(&drive->wake);
    pthread_mutex_unlock(&drive->lock);
}

/* --- the commands --- */

static void catalogue_await(struct drive *drive)
{
    struct timespec end;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += READ_SECONDS;
    catalogue_ddl_bump();
    monitor_poke_catalogue(drive->monitor);
    pthread_mutex_lock(&drive->lock);
    while (r == 0 && catalogue_covers(drive->catalogue) < catalogue_ddl_seen()) {
        r = pthread_cond_timedwait(&drive->wake, &drive->lock, &end);
    }
    if (r == 0) {
        printf("ok\t%zu\n", catalogue_count(drive->catalogue, CATALOGUE_BASE_TABLE));
    } else {
        printf("no\tit is not read within %d s\n", READ_SECONDS);
    }
    pthread_mutex_unlock(&drive->lock);
}

static void writes_print(const struct version_writes *writes)
{
    if (writes->is_all || version_writes_is_empty(writes)) {
        printf("%s", writes->is_all ? "all" : "-");
    }
    for (uint32_t i = 0; !writes->is_all && i < writes->count; i++) {
        printf("%s%" PRIu32, i > 0 ? " " : "", writes->slots[i]);
    }
    printf("\n");
}

static void bumps_print(const struct drive *drive, struct span sql, const struct classify_env *env,
                        const struct facts *facts)
{
    struct version_writes writes;

    memset(&writes, 0, sizeof(writes));
    cache_writes_add(&writes, &(struct cache_writes_in){
                                  .sql = sql,
                                  .env = env,
                                  .facts = facts,
                                  .catalogue = drive->catalogue,
                                  .ddl_seen = catalogue_ddl_seen(),
                                  .schema = env->schema,
                              });
    if (facts->verb == VERB_XA) {
        version_writes_add_all(&writes); /* as sessions do: another session's transaction */
    }
    writes_print(&writes);
}

static void rows_print(struct drive *drive, const char *schema, const char *table)
{
    struct version_writes writes;

    memset(&writes, 0, sizeof(writes));
    pthread_mutex_lock(&drive->lock);
    cache_writes_add_named(&writes, drive->catalogue, catalogue_ddl_seen(), span_of(schema),
                           span_of(table));
    pthread_mutex_unlock(&drive->lock);
    writes_print(&writes);
}

static void lease_print(const struct drive *drive, const struct classify_env *env,
                        const struct facts *facts)
{
    static const struct config_cache conf = {.ttl_us = 1000000, .hints = true};
    static const struct config_rule rule = {.label = "all", .cache_us = 1000000};
    const struct cache_ask ask = {.conf = &conf,
                                  .rule = &rule,
                                  .facts = facts,
                                  .isolation = TOPO_ISO_REPEATABLE_READ,
                                  .is_heard = true};
    struct cache_plan plan = {.pass = CACHE_PASS_NONE};
    enum cache_lease_why why = CACHE_LEASE_OK;
    struct version_lease lease;

    (void)cache_judge(&ask, &plan);
    version_lease_begin(drive->board, &lease);
    why = cache_lease_add_read(drive->board, &lease, drive->catalogue, catalogue_ddl_seen(), facts,
                               env->schema);
    printf("%s\t%d\t", cache_lease_why_name(why), plan.pass == CACHE_PASS_NONE);
    for (uint32_t i = 0; i < lease.count; i++) {
        printf("%s%" PRIu32, i > 0 ? " " : "", lease.held[i].slot);
    }
    printf("\n");
}

static void statement(const struct drive *drive, char **field)
{
    struct classify_env env;
    struct facts facts;
    struct span sql = {(const uint8_t *)field[3], classify_text_unescape(field[3])};

    if (!classify_text_env(field[1], &env)) {
        printf("no\tbad words: %s\n", field[1]);
        return;
    }
    env.schema = span_of(field[2]);
    classify_sql(sql, &env, &facts);
    if (field[0][0] == 'b') {
        bumps_print(drive, sql, &env, &facts);
    } else {
        lease_print(drive, &env, &facts);
    }
}

static void command(struct drive *drive, char *line)
{
    char *field[FIELDS] = {line, NULL};
    size_t count = 1;

    line[strcspn(line, "\n")] = '\0';
    for (char *tab = strchr(line, '\t'); tab != NULL && count < FIELDS; tab = strchr(tab, '\t')) {
        *tab++ = '\0';
        field[count++] = tab;
    }
    if (strcmp(field[0], "read") == 0) {
        catalogue_await(drive);
    } else if (strcmp(field[0], "rows") == 0 && count == 3) {
        rows_print(drive, field[1], field[2]);
    } else if (strcmp(field[0], "slot") == 0 && count == 3) {
        printf("%" PRIu32 " %" PRIu32 "\n",
               version_slot_table(span_of(field[1]), span_of(field[2])),
               version_slot_schema(span_of(field[1])));
    } else if (count == FIELDS &&
               (strcmp(field[0], "bumps") == 0 || strcmp(field[0], "lease") == 0)) {
        pthread_mutex_lock(&drive->lock);
        statement(drive, field);
        pthread_mutex_unlock(&drive->lock);
    } else {
        printf("no\tnot understood\n");
    }
    fflush(stdout);
}

static int run(struct config *config, struct drive *drive)
{
    struct monitor_calls calls = {.on_topo = on_topo,
                                  .on_catalogue = on_catalogue,
                                  .on_accounts = on_accounts,
                                  .on_positions = on_positions,
                                  .arg = drive};
    char *line = NULL;
    size_t cap = 0;
    int r = monitor_create(config, &calls, &drive->monitor);

    r = r < 0 ? r : monitor_start(drive->monitor);
    if (r < 0) {
        fprintf(stderr, "drive_writes: %s\n", err_text(r));
        return 1;
    }
    (void)monitor_wait_first(drive->monitor, 10000000);
    while (getline(&line, &cap, stdin) >= 0) {
        command(drive, line);
    }
    free(line);
    monitor_stop(drive->monitor);
    monitor_destroy(drive->monitor);
    catalogue_unref(drive->catalogue);
    return 0;
}

int main(int argc, char **argv)
{
    static struct drive drive = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .wake = PTHREAD_COND_INITIALIZER};
    struct config_errors errors;
    struct config *config = NULL;
    int rc = 0;

    if (argc != 2 || config_load(argv[1], &config, &errors) < 0) {
        if (argc == 2) {
            config_print_errors(&errors, stderr);
        }
        return 2;
    }
    drive.catalogue = catalogue_create_unloaded();
    if (drive.catalogue == NULL || monitor_library_init() < 0 ||
        version_board_create(&drive.board) < 0) {
        return 2;
    }
    rc = run(config, &drive);
    version_board_destroy(drive.board);
    config_unref(config);
    monitor_library_fini();
    return rc;
}
