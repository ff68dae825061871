/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor without a proxy around it: `drive_monitor CONFIG` prints every event and what it is
 * asked for on standard input, one line each; tests/integration/monitor_real speaks to it.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/route/decide.h"
#include "weir/util/clock.h"

struct drive {
    pthread_mutex_t lock;
    const struct topo *topo;
    const struct catalogue *catalogue;
    const struct accounts *accounts;
    struct monitor *monitor;
    struct route_conf conf;
};

static void on_topo(void *arg, const struct topo *topo)
{
    struct drive *drive = arg;
    const struct topo *old = NULL;

    pthread_mutex_lock(&drive->lock);
    old = drive->topo;
    drive->topo = topo;
    pthread_mutex_unlock(&drive->lock);
    topo_unref(old);
}

static void on_catalogue(void *arg, const struct catalogue *catalogue)
{
    struct drive *drive = arg;
    const struct catalogue *old = NULL;

    pthread_mutex_lock(&drive->lock);
    old = drive->catalogue;
    drive->catalogue = catalogue;
    pthread_mutex_unlock(&drive->lock);
    catalogue_unref(old);
}

static void on_accounts(void *arg, const struct accounts *accounts)
{
    struct drive *drive = arg;
    const struct accounts *old = NULL;

    pthread_mutex_lock(&drive->lock);
    old = drive->accounts;
    drive->accounts = accounts;
    pthread_mutex_unlock(&drive->lock);
    accounts_unref(old);
}

static void on_event(void *arg, enum monitor_event event, bool is_bad, const char *server,
                     const char *text)
{
    struct drive *drive = arg;

    pthread_mutex_lock(&drive->lock);
    printf("event\t%s\t%d\t%s\t%s\n", monitor_event_text(event), is_bad, server, text);
    fflush(stdout);
    pthread_mutex_unlock(&drive->lock);
}

/* "log:0 seconds_behind:0", in milliseconds */
static void print_sources(const struct topo_server *s, char *dst, size_t cap)
{
    size_t at = 0;

    dst[0] = '\0';
    for (unsigned k = 0; k < TOPO_LAG_SOURCE_COUNT; k++) {
        if (s->lag_by_us[k] != TOPO_LAG_UNKNOWN && at < cap) {
            at += (size_t)snprintf(dst + at, cap - at, "%s%s:%" PRIu64, at > 0 ? " " : "",
                                   topo_lag_source_text((enum topo_lag_source)k),
                                   s->lag_by_us[k] / 1000);
        }
    }
}

/* One line per server: tab separated key=value. */
static void print_topo(const struct drive *drive)
{
    const struct topo *topo = drive->topo;

    for (uint16_t i = 0; i < topo->server_count; i++) {
        const struct topo_server *s = &topo->servers[i];
        char lag[32] = "unknown";
        char by[256];

        if (s->lag_us != TOPO_LAG_UNKNOWN) {
            snprintf(lag, sizeof(lag), "%" PRIu64, s->lag_us / 1000);
        }
        print_sources(s, by, sizeof(by));
        printf("server\tname=%s\trole=%s\tstate=%s\twhy=%s\tweight=%" PRIu32 "\tweight_eff=%" PRIu32
               "\tlag_ms=%s\tsource=%s\tby=%s\tsample=%" PRIu64 "\tflavour=%s\tversion=%" PRIu32
               "\tprimary=%d\tepoch=%" PRIu64
               "\tsecond=%d\tsql_mode=%s\tisolation=%s\tcollation=%s\tcollation_id=%u"
               "\tmax_connections=%" PRIu32 "\tmax_allowed_packet=%" PRIu64 "\n",
               s->name, topo_role_text(s->role), topo_state_text(s->state), topo_why_text(s->why),
               s->weight, s->weight_eff, lag, topo_lag_source_text(s->lag_source), by,
               s->last_good_us / 1000, topo_flavour_text(s->flavour), s->version,
               topo->primary == (int)i, topo->epoch, topo->second_writer, s->defaults.sql_mode,
               topo_isolation_text(s->defaults.isolation), s->defaults.collation_server,
               s->defaults.collation_id, s->max_connections, s->defaults.max_allowed_packet_bytes);
    }
}

static void print_explained(void *arg, const char *item, const char *text)
{
    (void)arg;
    printf("explain\t%s\t%s\n", item, text);
}

static void explain(struct drive *drive, const char *sql)
{
    const struct topo_server *primary = topo_primary(drive->topo);
    bool is_mariadb = primary && primary->flavour == TOPO_FLAVOUR_MARIADB;
    struct classify_env env = {.flavour = is_mariadb ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
                               .version = primary ? primary->version : 0,
                               .charset = CLASSIFY_CS_SAFE,
                               .schema = SPAN_LIT("test")};
    struct route_sess sess = {
        .is_utf8 = true, .ro_tx_server = -1, .last_server = -1, .schema = SPAN_LIT("test")};
    struct route_view view = {.topo = drive->topo,
                              .catalogue = drive->catalogue,
                              .ddl_seen = catalogue_ddl_seen(),
                              .conf = &drive->conf,
                              .now_us = clock_now_us(),
                              .random = clock_now_us() * 0x9e3779b97f4a7c15U};
    struct route_decision decision;
    struct facts facts;

    classify_sql(span_of(sql), &env, &facts);
    route_decide(&facts, &sess, &view, &decision);
    route_explain(&facts, &sess, &view, &decision, print_explained, NULL);
}

static void print_account(const struct drive *drive, char *args)
{
    char *host = strchr(args, ' ');
    const struct account *account = NULL;

    if (host) {
        *host++ = '\0';
        account = accounts_find(drive->accounts, span_of(args), span_of(host));
    }
    if (!account) {
        printf("account\tnone\n");
        return;
    }
    printf(
        "account\thost=%.*s\tplugin=%.*s\tnative=%d\tempty=%d\tlocked=%d\texpired=%d\ttls=%d\tfirst"
        "=%02x%02x\n",
        (int)account->host.len, (const char *)account->host.p, (int)account->plugin.len,
        (const char *)account->plugin.p, account->has_native, account->no_password, account->locked,
        account->expired, account->tls_required, account->stage2[0], account->stage2[1]);
}

static void print_table(const struct drive *drive, char *args)
{
    char *dot = strchr(args, '.');

    if (dot) {
        *dot++ = '\0';
        printf("table\t%s\n",
               catalogue_kind_text(catalogue_table(drive->catalogue, catalogue_ddl_seen(),
                                                   span_of(args), span_of(dot))));
    }
}

static void print_name(void *arg, struct span schema, struct span name)
{
    (void)arg;
    printf("name\t%.*s.%.*s\n", (int)schema.len, (const char *)schema.p, (int)name.len,
           (const char *)name.p);
}

/* "schema.name": what else is written, or what a view reads */
static void print_links(const struct drive *drive, char *args, bool is_view)
{
    char *dot = strchr(args, '.');
    bool is_known = false;

    if (dot) {
        *dot++ = '\0';
        is_known = (is_view ? catalogue_view_tables : catalogue_also_written)(
            drive->catalogue, catalogue_ddl_seen(), span_of(args), span_of(dot), print_name, NULL);
        printf("links\t%s\t%s\n", is_known ? "known" : "unknown",
               catalogue_is_cacheable_table(drive->catalogue, catalogue_ddl_seen(), span_of(args),
                                            span_of(dot))
                   ? "cacheable"
                   : "not");
    }
}

/* "SERVER [TIMES]" */
static void report(const struct drive *drive, const char *args)
{
    char *rest = NULL;
    unsigned long server = strtoul(args, &rest, 10);
    unsigned long times = strtoul(rest, NULL, 10);

    do {
        monitor_report_failure(drive->monitor, (uint16_t)server, -ECONNREFUSED);
    } while (times-- > 1);
}

/* With the lock held. */
static void command_run(struct drive *drive, char *line)
{
    if (strcmp(line, "topo") == 0) {
        print_topo(drive);
    } else if (strncmp(line, "explain ", 8) == 0) {
        explain(drive, line + 8);
    } else if (strncmp(line, "table ", 6) == 0) {
        print_table(drive, line + 6);
    } else if (strncmp(line, "writes ", 7) == 0) {
        print_links(drive, line + 7, false);
    } else if (strncmp(line, "reads ", 6) == 0) {
        print_links(drive, line + 6, true);
    } else if (strncmp(line, "account ", 8) == 0) {
        print_account(drive, line + 8);
    } else if (strncmp(line, "report ", 7) == 0) {
        report(drive, line + 7);
    } else if (strncmp(line, "drain ", 6) == 0) {
        monitor_drain(drive->monitor, (uint16_t)strtoul(line + 6, NULL, 10), true);
    } else if (strncmp(line, "undrain ", 8) == 0) {
        monitor_drain(drive->monitor, (uint16_t)strtoul(line + 8, NULL, 10), false);
    } else if (strcmp(line, "ddl") == 0) {
        catalogue_ddl_bump();
    } else if (strcmp(line, "poke") == 0) {
        monitor_poke_catalogue(drive->monitor);
    }
    printf("done\n");
    fflush(stdout);
}

static int drive_run(struct config *config, struct drive *drive)
{
    struct monitor_calls calls = {
        .on_topo = on_topo,
        .on_catalogue = on_catalogue,
        .on_accounts = on_accounts,
        .on_event = on_event,
        .arg = drive,
    };
    char line[4096];
    int rc = monitor_create(config, &calls, &drive->monitor);

    if (rc == 0) {
        rc = monitor_start(drive->monitor);
    }
    if (rc < 0) {
        fprintf(stderr, "monitor: %d\n", rc);
        return 1;
    }
    printf("ready\t%d\n", monitor_wait_first(drive->monitor, 5000000));
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        pthread_mutex_lock(&drive->lock);
        command_run(drive, line);
        pthread_mutex_unlock(&drive->lock);
    }
    monitor_stop(drive->monitor);
    monitor_destroy(drive->monitor);
    return 0;
}

int main(int argc, char **argv)
{
    struct drive drive = {.topo = NULL};
    struct config_errors errors;
    struct config *config = NULL;
    bool is_check = argc == 3 && strcmp(argv[1], "--check") == 0;
    int rc = 0;

    if (argc < 2 || config_load(argv[argc - 1], &config, &errors) < 0) {
        if (argc >= 2) {
            config_print_errors(&errors, stderr);
        }
        return 2;
    }
    if (monitor_library_init() < 0) {
        return 2;
    }
    route_conf_init(config, &drive.conf);
    pthread_mutex_init(&drive.lock, NULL);
    rc = is_check ? monitor_check(config, stdout) : drive_run(config, &drive);
    topo_unref(drive.topo);
    catalogue_unref(drive.catalogue);
    accounts_unref(drive.accounts);
    config_unref(config);
    monitor_library_fini();
    return rc;
}
