/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "load_priv.h"
#include "monitor_priv.h"
#include "probe_priv.h"

#define LOAD_GAP_MIN_US UINT64_C(50000) /* between two loads, however often it is poked */
#define LOAD_WAIT_US    UINT64_C(10000000)
#define RETRY_US        UINT64_C(1000000)

/* The loader thread's own. */
struct loader {
    struct monitor *monitor;
    struct db *db; /* owned; to the primary */
    int16_t server;
    struct load_source source;
    uint64_t catalogue_generation;
    uint64_t covers; /* of the last catalogue read */
    uint64_t accounts_generation;
    size_t hidden_reported; /* what was last said, to say it once */
    size_t hidden_functions_reported;
    bool sees_all_reported;
    bool wants_accounts;
    char said[6][DB_ERROR_MAX]; /* the last text of each kind: nothing is said twice in a row */
};

enum said {
    SAID_CATALOGUE,
    SAID_CATALOGUE_ERROR,
    SAID_ACCOUNTS_ERROR,
    SAID_LOADABLE,
    SAID_TOO_MANY,
    SAID_NO_LINKS,
};

static void loader_say(struct loader *loader, enum said kind, enum monitor_event event, bool is_bad,
                       const char *server, const char *text)
{
    if (strcmp(loader->said[kind], text) != 0) {
        (void)snprintf(loader->said[kind], sizeof(loader->said[kind]), "%s", text);
        if (text[0] != '\0') {
            monitor_event_post(loader->monitor, event, is_bad, server, text);
        }
    }
}

static void loader_close(struct loader *loader)
{
    load_bodies_destroy(loader->source.bodies);
    loader->source.bodies = NULL;
    db_close(loader->db);
    loader->db = NULL;
}

/* How old a definition must be for every replica in use to have it: the lag that one may have reached
 * before its verdict says so, and two seconds for the servers' whole ones. */
static uint64_t settle_s(const struct config *config)
{
    const struct config_monitor *m = &config->monitor;

    return (m->max_lag_us + m->interval_us * (m->failures + 1)) / CLOCK_US_PER_SECOND + 2;
}

static bool loader_connect(struct loader *loader, int16_t index)
{
    struct mon_server *server = &loader->monitor->servers[index];
    struct sockaddr_storage addr;
    struct db_target target;
    struct sample sample;
    struct probe_state state = {.is_started = false};
    unsigned number = 0;

    if (loader->db && loader->server == index) {
        return true;
    }
    loader_close(loader);
    memset(&sample, 0, sizeof(sample));
    (void)pthread_mutex_lock(&loader->monitor->lock);
    addr = server->addr;
    (void)pthread_mutex_unlock(&loader->monitor->lock);
    monitor_target(server, &addr, &target);
    /* A long answer is no fault here: nobody waits for it. */
    target.timeout_us = target.timeout_us < LOAD_WAIT_US ? LOAD_WAIT_US : target.timeout_us;
    if (db_open(&target, &loader->db, sample.error, &number) < 0) {
        loader_say(loader, SAID_CATALOGUE_ERROR, MONITOR_EV_CATALOGUE_ERROR, true, server->name,
                   sample.error);
        return false;
    }
    if (!probe_run(loader->db, &state, NULL, &sample)) {
        loader_say(loader, SAID_CATALOGUE_ERROR, MONITOR_EV_CATALOGUE_ERROR, true, server->name,
                   sample.error);
        loader_close(loader);
        return false;
    }
    loader->server = index;
    loader->source = (struct load_source){
        .db = loader->db,
        .flavour = sample.flavour,
        .version = sample.version,
        .lists = &loader->monitor->config->functions,
        .wants_links = loader->monitor->config->cache.memory_bytes != 0,
        .settle_s = settle_s(loader->monitor->config),
        .bodies = load_bodies_create(), /* NULL, without memory: read anew each time */
    };
    return true;
}

static void hand_over_catalogue(struct monitor *monitor, struct catalogue *catalogue)
{
    const struct catalogue *old = NULL;

    (void)pthread_mutex_lock(&monitor->lock);
    old = monitor->new_catalogue;
    monitor->new_catalogue = catalogue;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
    catalogue_unref(old);
}

static void hand_over_accounts(struct monitor *monitor, struct accounts *accounts)
{
    const struct accounts *old = NULL;

    (void)pthread_mutex_lock(&monitor->lock);
    old = monitor->new_accounts;
    monitor->new_accounts = accounts;
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
    accounts_unref(old);
}

static void functions_report(struct loader *loader, const char *name,
                             const struct load_report *report)
{
    char text[DB_ERROR_MAX] = "";

    if (report->hidden_functions != loader->hidden_functions_reported &&
        report->hidden_functions > 0) {
        (void)snprintf(
            text, sizeof(text),
            "%zu stored functions whose body the monitor account may not read: statements "
            "that call them go to the primary; see conf/grants-*.sql",
            report->hidden_functions);
        monitor_event_post(loader->monitor, MONITOR_EV_CATALOGUE_HIDDEN, true, name, text);
        text[0] = '\0';
    }
    loader->hidden_functions_reported = report->hidden_functions;
    if (report->no_loadable[0] != '\0') {
        (void)snprintf(text, sizeof(text),
                       "the names of loadable functions cannot be read, so statements that call "
                       "stored functions go to the primary; see conf/grants-*.sql: %.160s",
                       report->no_loadable);
    }
    loader_say(loader, SAID_LOADABLE, MONITOR_EV_CATALOGUE_HIDDEN, true, name, text);
    text[0] = '\0';
    if (report->too_many_functions) {
        (void)snprintf(
            text, sizeof(text),
            "more than %d stored functions, or %u MiB of them: none is judged, and "
            "statements that call them go to the primary; list them in functions.replica",
            LOAD_FUNCTIONS_MAX, LOAD_BODIES_MAX >> 20);
    }
    loader_say(loader, SAID_TOO_MANY, MONITOR_EV_CATALOGUE_HIDDEN, true, name, text);
}

/* What the account may not see is said, once per change: such names count as unknown, and reads of
 * them go to the primary. */
static void hidden_report(struct loader *loader, const char *name, const struct load_report *report)
{
    char text[DB_ERROR_MAX];

    if (!report->sees_all && !loader->sees_all_reported) {
        monitor_event_post(
            loader->monitor, MONITOR_EV_CATALOGUE_HIDDEN, true, name,
            "the monitor account has no SHOW VIEW on *.*: tables that it does not see"
            " count as unknown, and reads of them go to the primary");
    }
    loader->sees_all_reported = !report->sees_all;
    if (report->hidden_views != loader->hidden_reported && report->hidden_views > 0) {
        (void)snprintf(
            text, sizeof(text),
            "%zu views whose definition the monitor account may not read: reads of them go"
            " to the primary",
            report->hidden_views);
        monitor_event_post(loader->monitor, MONITOR_EV_CATALOGUE_HIDDEN, true, name, text);
    }
    loader->hidden_reported = report->hidden_views;
    if (report->no_links[0] != '\0') {
        (void)snprintf(text, sizeof(text),
                       "what a write sets off is not known (%.180s): for the cache, each write is"
                       " one to every table",
                       report->no_links);
    }
    loader_say(loader, SAID_NO_LINKS, MONITOR_EV_CATALOGUE_HIDDEN, false, name,
               report->no_links[0] != '\0' ? text : "");
    functions_report(loader, name, report);
}

static bool loader_catalogue(struct loader *loader)
{
    struct monitor *monitor = loader->monitor;
    const char *name = monitor->servers[loader->server].name;
    struct catalogue *catalogue = NULL;
    struct load_report report;
    char text[DB_ERROR_MAX];

    if (load_catalogue(&loader->source, loader->catalogue_generation + 1, &catalogue, &report) <
        0) {
        loader_say(loader, SAID_CATALOGUE_ERROR, MONITOR_EV_CATALOGUE_ERROR, true, name,
                   report.error);
        return false;
    }
    loader->catalogue_generation++;
    loader->covers = catalogue_covers(catalogue);
    hidden_report(loader, name, &report);
    (void)snprintf(text, sizeof(text),
                   "%zu tables, %zu views harmless, %zu other, %zu functions harmless, %zu other",
                   catalogue_count(catalogue, CATALOGUE_BASE_TABLE),
                   catalogue_count(catalogue, CATALOGUE_VIEW_HARMLESS),
                   catalogue_count(catalogue, CATALOGUE_VIEW_OTHER),
                   catalogue_count(catalogue, CATALOGUE_FUNCTION_HARMLESS),
                   catalogue_count(catalogue, CATALOGUE_FUNCTION));
    loader_say(loader, SAID_CATALOGUE_ERROR, MONITOR_EV_CATALOGUE_ERROR, false, name, "");
    loader_say(loader, SAID_CATALOGUE, MONITOR_EV_CATALOGUE, false, name, text);
    hand_over_catalogue(monitor, catalogue);
    return true;
}

static bool loader_accounts(struct loader *loader)
{
    struct monitor *monitor = loader->monitor;
    const char *name = monitor->servers[loader->server].name;
    struct accounts *accounts = NULL;
    struct load_report report;

    if (load_accounts(&loader->source, loader->accounts_generation + 1, &accounts, &report) < 0) {
        loader_say(loader, SAID_ACCOUNTS_ERROR, MONITOR_EV_ACCOUNTS_ERROR, loader->wants_accounts,
                   name, report.error);
        /* Passthrough only falls back to the table: it can do without. */
        return !loader->wants_accounts;
    }
    loader->accounts_generation++;
    loader_say(loader, SAID_ACCOUNTS_ERROR, MONITOR_EV_ACCOUNTS_ERROR, false, name, "");
    hand_over_accounts(monitor, accounts);
    return true;
}

/* One round; returns when the next is due. */
static uint64_t loader_round(struct loader *loader, int16_t primary)
{
    uint64_t begin_us = clock_now_us();
    uint64_t spent_us = 0;
    bool is_well = loader_connect(loader, primary);

    if (is_well) {
        is_well = loader_catalogue(loader);
        is_well = loader_accounts(loader) && is_well;
    }
    spent_us = clock_now_us() - begin_us;
    if (!is_well) {
        loader_close(loader);
        return clock_now_us() + RETRY_US;
    }
    return clock_now_us() + (spent_us * 2 > LOAD_GAP_MIN_US ? spent_us * 2 : LOAD_GAP_MIN_US);
}

void *monitor_loader_thread(void *arg)
{
    struct monitor *monitor = arg;
    struct loader loader = {.monitor = monitor, .server = -1};
    uint64_t earliest_us = 0; /* not before, poked or not */
    uint64_t latest_us = 0;   /* then, poked or not */

    loader.wants_accounts = config_has_source(monitor->config, CONFIG_SOURCE_SERVER);
    db_thread_init();
    (void)pthread_mutex_lock(&monitor->lock);
    while (!monitor->is_stopping) {
        uint64_t now_us = clock_now_us();
        int16_t primary = monitor->load_primary;
        bool is_moved = primary != loader.server;
        /* A change that was counted but not announced is found here, a second later at most. */
        bool is_due = monitor->is_load_due || is_moved || loader.covers < catalogue_ddl_seen();
        uint64_t due_us = is_due ? earliest_us : latest_us;

        if (primary < 0 || now_us < due_us) {
            uint64_t next_us = now_us + RETRY_US;

            monitor_wait(monitor, &monitor->probe_wake,
                         primary >= 0 && due_us < next_us ? due_us : next_us);
            continue;
        }
        monitor->is_load_due = false;
        (void)pthread_mutex_unlock(&monitor->lock);
        earliest_us = loader_round(&loader, primary);
        (void)pthread_mutex_lock(&monitor->lock);
        latest_us =
            loader.db ? clock_now_us() + monitor->tuning.catalogue_interval_us : earliest_us;
        if (!loader.db) {
            loader.server = -1;
        }
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    loader_close(&loader);
    db_thread_fini();
    monitor_thread_ends(monitor);
    return NULL;
}
