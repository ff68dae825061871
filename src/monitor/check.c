/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "load_priv.h"
#include "monitor_priv.h"
#include "probe_priv.h"

#define OWN_CONNECTIONS 2 /* the probe's, and the catalogue's on the primary */

struct checking {
    const struct config *config;
    FILE *out;
    int faults;
    int writers;
};

static void fault(struct checking *check, const char *server, const char *what, const char *text)
{
    (void)fprintf(check->out, "FAULT %s: %s%s%s\n", server, what, text[0] ? ": " : "", text);
    check->faults++;
}

static void say(const struct checking *check, const char *server, const char *what,
                const char *text)
{
    (void)fprintf(check->out, "%s: %s%s%s\n", server, what, text[0] ? ": " : "", text);
}

static void check_connections(struct checking *check, const struct config_server *server,
                              const struct sample *sample)
{
    uint64_t worst = (uint64_t)server->max_connections + OWN_CONNECTIONS;
    char text[160];

    if (server->max_connections == 0) {
        (void)snprintf(text, sizeof(text),
                       "as many as its clients need at one time, up to the %" PRIu32
                       " that it takes",
                       sample->max_connections);
        say(check, server->name, "weir opens", text);
        return;
    }
    (void)snprintf(text, sizeof(text), "at worst %" PRIu64 " of its %" PRIu32 " connections", worst,
                   sample->max_connections);
    if (worst > sample->max_connections) {
        fault(check, server->name, "weir may open more connections than it takes", text);
    } else {
        say(check, server->name, "weir opens", text);
    }
}

static void check_statements(struct checking *check, const struct config_server *server,
                             struct db *db, const struct probe_state *state)
{
    const char *what = NULL;
    const char *sql = NULL;

    for (unsigned n = 0; (sql = probe_statement(state, n, &what)) != NULL; n++) {
        struct db_rows *rows = NULL;

        if (db_query(db, sql, &rows) < 0) {
            fault(check, server->name, what, db_error(db));
        } else {
            db_rows_free(rows);
        }
    }
    if (state->flavour == TOPO_FLAVOUR_MYSQL && !state->has_fine) {
        say(check, server->name, "lag",
            "in whole seconds (performance_schema is off, or may not be"
            " read)");
    }
}

static void check_witnesses(struct checking *check, const struct config_server *server,
                            const struct sample *sample)
{
    char text[DB_ERROR_MAX + 400];

    if (sample->heartbeat.error[0] != '\0') {
        (void)snprintf(text, sizeof(text), "%s: %s", check->config->monitor.heartbeat,
                       sample->heartbeat.error);
        fault(check, server->name, "monitor.heartbeat cannot be read", text);
    }
    if (sample->aurora.is_there) {
        say(check, server->name, "instance of an Aurora cluster", sample->aurora.id);
    }
}

static void check_functions(struct checking *check, const struct config_server *server,
                            const struct load_report *report)
{
    char text[DB_ERROR_MAX];

    if (report->hidden_functions > 0) {
        (void)snprintf(text, sizeof(text),
                       "%zu stored functions whose body may not be read (conf/grants-*.sql): "
                       "statements that call them go to the primary",
                       report->hidden_functions);
        say(check, server->name, "catalogue", text);
    }
    if (report->no_loadable[0] != '\0') {
        say(check, server->name,
            "statements that call stored functions go to the primary, as the names of loadable "
            "functions cannot be read (conf/grants-*.sql)",
            report->no_loadable);
    }
}

static void check_catalogue(struct checking *check, const struct config_server *server,
                            const struct load_source *source)
{
    struct catalogue *catalogue = NULL;
    struct accounts *accounts = NULL;
    struct load_report report;
    char text[DB_ERROR_MAX];

    if (load_catalogue(source, 1, &catalogue, &report) < 0) {
        fault(check, server->name, "catalogue", report.error);
    } else {
        (void)snprintf(
            text, sizeof(text),
            "%zu tables, %zu views harmless, %zu other, %zu functions harmless, %zu other",
            catalogue_count(catalogue, CATALOGUE_BASE_TABLE),
            catalogue_count(catalogue, CATALOGUE_VIEW_HARMLESS),
            catalogue_count(catalogue, CATALOGUE_VIEW_OTHER),
            catalogue_count(catalogue, CATALOGUE_FUNCTION_HARMLESS),
            catalogue_count(catalogue, CATALOGUE_FUNCTION));
        say(check, server->name, "catalogue", text);
        catalogue_unref(catalogue);
        if (!report.sees_all) {
            fault(check, server->name, "catalogue",
                  "no SHOW VIEW on *.*: tables that the account does not see count as unknown");
        }
        if (report.hidden_views > 0) {
            (void)snprintf(
                text, sizeof(text),
                "%zu views whose definition may not be read (SELECT on them): statements on "
                "them go to the primary",
                report.hidden_views);
            say(check, server->name, "catalogue", text);
        }
        check_functions(check, server, &report);
    }
    if (load_accounts(source, 1, &accounts, &report) < 0) {
        if (config_has_source(check->config, CONFIG_SOURCE_SERVER)) {
            fault(check, server->name, "users.source: server", report.error);
        } else {
            say(check, server->name, "mysql_native_password clients cannot be served",
                report.error);
        }
    } else {
        accounts_unref(accounts);
    }
}

static void check_address(struct checking *check, struct mon_server *server)
{
    struct db_target target;
    struct db *db = NULL;
    struct probe_state state = {.is_started = false};
    struct sample sample;
    char text[160];

    memset(&sample, 0, sizeof(sample));
    state.heartbeat = check->config->monitor.heartbeat;
    sample.begin_us = clock_now_us();
    monitor_target(server, &server->addr, &target);
    if (db_open(&target, &db, sample.error, &sample.error_number) < 0) {
        fault(check, server->name, "cannot be reached as the monitor's user", sample.error);
        return;
    }
    if (!probe_run(db, &state, NULL, &sample)) {
        fault(check, server->name, "cannot be probed", sample.error);
    } else {
        (void)snprintf(text, sizeof(text), "%s, %s", sample.version_text,
                       sample.is_writable ? "writable" : "read only");
        say(check, server->name, "reached", text);
        check->writers += sample.is_writable ? 1 : 0;
        check_connections(check, server->config, &sample);
        check_statements(check, server->config, db, &state);
        check_witnesses(check, server->config, &sample);
        if (sample.is_writable) {
            struct load_source source = {.db = db,
                                         .flavour = sample.flavour,
                                         .version = sample.version,
                                         .lists = &check->config->functions};

            check_catalogue(check, server->config, &source);
        } else if (sample.channel_count == 0 && !sample.aurora.is_there) {
            fault(check, server->name, "read only, but it replicates from nobody", "");
        }
    }
    db_close(db);
}

int monitor_check(const struct config *config, FILE *out)
{
    struct checking check = {.config = config, .out = out};
    struct monitor view; /* only what monitor_target() reads */

    memset(&view, 0, sizeof(view));
    view.config = (struct config *)(uintptr_t)config;
    monitor_tuning_fill(config, &view.tuning);
    (void)pthread_mutex_init(&view.lock, NULL);
    db_thread_init();
    for (uint32_t i = 0; i < config->server_count; i++) {
        struct sockaddr_storage addrs[TOPO_SERVERS_MAX];
        socklen_t lens[TOPO_SERVERS_MAX];
        char error[DB_ERROR_MAX];
        int count =
            monitor_resolve(&config->servers[i].address, addrs, lens, TOPO_SERVERS_MAX, error);

        if (count < 0) {
            fault(&check, config->servers[i].name, "its name has no address", error);
        }
        for (int k = 0; k < count; k++) {
            struct mon_server server;

            memset(&server, 0, sizeof(server));
            server.monitor = &view;
            server.config = &config->servers[i];
            server.addr = addrs[k];
            server.addr_len = lens[k];
            (void)snprintf(server.name, sizeof(server.name), count > 1 ? "%s#%d" : "%s",
                           config->servers[i].name, k + 1);
            check_address(&check, &server);
        }
    }
    if (check.writers != 1) {
        fault(&check, "servers",
              check.writers == 0 ? "none is writable" : "more than one is writable", "");
    }
    db_thread_fini();
    (void)pthread_mutex_destroy(&view.lock);
    return check.faults;
}
