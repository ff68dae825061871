/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/core/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/admin/admin.h"
#include "weir/admin/http.h"
#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/binlog/binlog.h"
#include "weir/client/listener.h"
#include "weir/config/config.h"
#include "weir/core/reload.h"
#include "weir/io/loop.h"
#include "weir/io/mailbox.h"
#include "weir/io/sigwatch.h"
#include "weir/monitor/monitor.h"
#include "weir/util/assert.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "ask_priv.h"
#include "control_priv.h"
#include "mail_priv.h"
#include "settings_priv.h"
#include "share_priv.h"

#define WATCHDOG_US   UINT64_C(100000)
#define SLOW_TURN_US  UINT64_C(100000)
#define STUCK_TURN_US UINT64_C(1000000)

static const int SIGNALS[] = {SIGTERM, SIGINT, SIGHUP};

int control_block_signals(void)
{
    return sigwatch_block(SIGNALS, WR_ARRAY_LEN(SIGNALS));
}

/* --- the monitor's threads --- */

static void post(struct control *control, enum snapshot_kind kind, const void *snapshot)
{
    struct mail *mail = mail_snapshot_create(kind, snapshot);

    if (mail != NULL) {
        (void)mailbox_post_newest(control->box, mail);
    }
}

static void on_topo(void *arg, const struct topo *topo)
{
    post(arg, SNAPSHOT_TOPO, topo);
}

static void on_catalogue(void *arg, const struct catalogue *catalogue)
{
    post(arg, SNAPSHOT_CATALOGUE, catalogue);
}

static void on_accounts(void *arg, const struct accounts *accounts)
{
    post(arg, SNAPSHOT_ACCOUNTS, accounts);
}

static void on_positions(void *arg, const struct positions *positions)
{
    post(arg, SNAPSHOT_POSITIONS, positions);
}

static void on_event(void *arg, enum monitor_event event, bool is_bad, const char *server,
                     const char *text)
{
    const struct control *control = arg;
    struct log_ctx log = control->monitor_log;

    log.server = server[0] == '\0' ? NULL : server;
    if (is_bad) {
        log_warn(&log, monitor_event_text(event), "%s", text);
    } else {
        log_info(&log, monitor_event_text(event), "%s", text);
    }
}

void control_calls(struct control *control, struct monitor_calls *ret_calls)
{
    *ret_calls = (struct monitor_calls){
        .on_topo = on_topo,
        .on_catalogue = on_catalogue,
        .on_accounts = on_accounts,
        .on_positions = on_positions,
        .on_event = on_event,
        .arg = control,
    };
}

/* --- snapshots --- */

static void topo_gauges(struct control *control)
{
    static const struct {
        enum topo_lag_source source;
        enum metric metric;
    } by[] = {
        {TOPO_LAG_BY_HEARTBEAT, METRIC_SERVER_LAG_HEARTBEAT},
        {TOPO_LAG_BY_LOG, METRIC_SERVER_LAG_LOG},
        {TOPO_LAG_BY_SCHEMA, METRIC_SERVER_LAG_SCHEMA},
        {TOPO_LAG_BY_SECONDS, METRIC_SERVER_LAG_SECONDS},
        {TOPO_LAG_BY_AURORA, METRIC_SERVER_LAG_AURORA},
    };
    const struct topo *topo = control->topo;

    metric_set(control->metrics, METRIC_TOPO_GENERATION, METRIC_NONE,
               (int64_t)topo->snap.generation);
    metric_set(control->metrics, METRIC_EPOCH, METRIC_NONE, (int64_t)topo->epoch);
    metric_set(control->metrics, METRIC_LATE_WORKERS, METRIC_NONE, topo->late_workers);
    for (uint16_t i = 0; i < topo->server_count; i++) {
        const struct topo_server *server = &topo->servers[i];

        metric_set(control->metrics, METRIC_SERVER_UP, i, server->state == TOPO_ST_UP ? 1 : 0);
        metric_set(control->metrics, METRIC_SERVER_IS_PRIMARY, i, topo->primary == (int16_t)i);
        metric_set(control->metrics, METRIC_SERVER_LAG, i,
                   server->lag_us == TOPO_LAG_UNKNOWN ? -1 : (int64_t)server->lag_us);
        for (size_t k = 0; k < WR_ARRAY_LEN(by); k++) {
            uint64_t lag_us = server->lag_by_us[by[k].source];

            metric_set(control->metrics, by[k].metric, i,
                       lag_us == TOPO_LAG_UNKNOWN ? -1 : (int64_t)lag_us);
        }
    }
}

/* How late the replicas are, for the windows that follow it. */
static void note_lags(struct control *control)
{
    struct guard_board *board = control->house == NULL ? NULL : control->house->board;
    struct route_conf conf;

    guard_lags_note(&control->lags, control->topo, control->config->read_after_write.over_us,
                    clock_now_us());
    if (board == NULL) {
        return;
    }
    guard_board_set_lag(board, guard_lags_us(&control->lags));
    route_conf_init(control->config, &conf);
    metric_set(control->metrics, METRIC_RAW_WINDOW, METRIC_NONE,
               (int64_t)guard_window_us(board, &conf));
}

/* Without memory the workers go on with what they have, until the next. */
static void hand_on(struct control *control, enum snapshot_kind kind, const void *snapshot)
{
    if (control->workers != NULL) {
        (void)!workers_post(control->workers, kind, snapshot);
    }
}

static void take_topo(struct control *control, const struct topo *topo)
{
    const struct topo *old = control->topo;

    control->topo = topo;
    if (old == NULL) {
        for (uint16_t i = 0; i < topo->server_count; i++) {
            /* Without the memory for a name the server is not shown in /metrics. */
            (void)!metric_server_name(control->registry, i, topo->servers[i].name);
        }
    }
    topo_gauges(control);
    note_lags(control);
    control_topo_events(control, old, topo);
    control_cache_topo(control, topo);
    if (control->house != NULL && control->house->binlog != NULL) {
        binlog_on_topo(control->house->binlog, topo);
    }
    topo_unref(old);
    hand_on(control, SNAPSHOT_TOPO, topo);
    if (control->admin != NULL) {
        admin_on_topo(control->admin);
    }
}

static void take_snapshot(struct control *control, struct mail *mail)
{
    enum snapshot_kind kind = (enum snapshot_kind)mail->kind;
    const void *snapshot = mail_snapshot_take(mail);

    if (kind == SNAPSHOT_TOPO) {
        take_topo(control, snapshot);
        return;
    }
    if (kind == SNAPSHOT_CATALOGUE) {
        catalogue_unref(control->catalogue);
        control->catalogue = snapshot;
        if (control->house != NULL && control->house->binlog != NULL) {
            binlog_on_catalogue(control->house->binlog, control->catalogue);
        }
    } else if (kind == SNAPSHOT_POSITIONS) {
        positions_unref(control->positions);
        control->positions = snapshot;
        if (control->house != NULL) {
            share_on_positions(control->house->share, control->positions, control->topo);
        }
        if (control->house != NULL && control->house->binlog != NULL) {
            binlog_on_positions(control->house->binlog, control->positions);
        }
    } else {
        accounts_unref(control->accounts);
        control->accounts = snapshot;
    }
    hand_on(control, kind, snapshot);
}

static void take_answer(struct control *control, struct mail *mail)
{
    struct admin_answer answer;

    ask_take(mail, &answer);
    admin_on_answer(control->admin, &answer);
}

static void take_fresh(struct control *control, struct mail *mail)
{
    enum event_kind kind = EVENT_REDIS_UP;
    const char *text = share_mail_text(mail, &kind);

    control_event(control, kind, "", text);
}

static void take_killed(struct control *control, struct mail *mail)
{
    const struct sess_kill *kill = ask_kill(mail);

    if (control->admin != NULL) {
        admin_on_killed(control->admin, kill->requester_id, kill->outcome);
    }
}

static void on_mail(void *arg, struct mail *mail)
{
    struct control *control = arg;

    if (mail->kind < SNAPSHOT_COUNT) {
        take_snapshot(control, mail);
        mail->free_fn(mail);
        return;
    }
    switch ((enum control_mail)mail->kind) {
    case CONTROL_MAIL_DRAINED:
        drain_on_worker(control);
        break;
    case CONTROL_MAIL_ANSWER:
        take_answer(control, mail);
        break;
    case CONTROL_MAIL_FRESH:
        take_fresh(control, mail);
        break;
    case CONTROL_MAIL_KILLED:
        take_killed(control, mail);
        break;
    }
    mail->free_fn(mail);
}

/* --- signals, watchdog --- */

/* The log may have been moved away by a rotation: go on in a new file of that name. */
static void log_reopen(struct control *control)
{
    const char *file = control->config->log.file;

    if (file == NULL) {
        return;
    }

    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (fd < 0) {
        log_warn(&control->log, "log_reopen_failed", "%s: %s", file, err_text(-errno));
        return;
    }
    log_set_fd(control->logger, fd);
    log_flush(control->logger);
    (void)close(control->log_fd);
    control->log_fd = fd;
    log_info(&control->log, "log_reopened", "%s", file);
}

/* The report is in the log; nobody else waits for it. */
static void reload_logged(struct control *control)
{
    struct reload_report *report = calloc(1, sizeof(*report));

    if (report == NULL) {
        log_error(&control->log, "reload_refused", "%s", err_text(-ENOMEM));
        return;
    }
    (void)!control_reload(control, report);
    free(report);
}

static void on_signal(void *arg, int signo)
{
    struct control *control = arg;

    if (signo == SIGHUP) {
        log_reopen(control);
        reload_logged(control);
        return;
    }
    if (control->house == NULL) { /* nobody is served yet: control_serve() returns at once */
        control->is_draining = true;
        return;
    }
    drain_begin(control, signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_watchdog(void *arg)
{
    struct control *control = arg;
    uint64_t now_us = loop_now_us(control->loop);

    for (uint32_t i = 0; i < workers_count(control->workers); i++) {
        uint64_t since_us = workers_busy_since_us(control->workers, i);

        if (since_us == 0 || now_us < since_us + SLOW_TURN_US ||
            control->slow_turn_us[i] == since_us) {
            continue;
        }
        control->slow_turn_us[i] = since_us; /* each turn counts once */
        metric_inc(control->metrics, METRIC_WORKER_TURNS_SLOW, METRIC_NONE);
        log_warn(&control->log, "worker_slow", "worker %u has been in one turn for %u ms",
                 (unsigned)i, (unsigned)((now_us - since_us) / CLOCK_US_PER_MS));
    }
    timer_arm_in(&control->watchdog, WATCHDOG_US);
}

static void on_status(void *arg, struct admin_status *ret_status)
{
    struct control *control = arg;
    uint64_t now_us = loop_now_us(control->loop);

    const struct topo_server *primary = topo_primary(control->topo);

    metric_set(control->metrics, METRIC_LOG_DROPS, METRIC_NONE,
               (int64_t)log_drops(control->logger));
    metric_set(control->metrics, METRIC_CHECKS_FAILED, METRIC_NONE, (int64_t)assert_check_count());
    control_cache_gauges(control);
    *ret_status = (struct admin_status){
        .is_draining = control->is_draining,
        /* A configured primary is one even while nobody answers there. */
        .has_primary = primary != NULL && primary->state == TOPO_ST_UP,
        .workers = workers_count(control->workers),
        .sessions = workers_load(control->workers),
    };
    for (uint32_t i = 0; i < ret_status->workers; i++) {
        uint64_t since_us = workers_busy_since_us(control->workers, i);

        if (since_us != 0 && now_us >= since_us + STUCK_TURN_US) {
            ret_status->workers_stuck++;
        }
    }
}

/* --- life --- */

int control_create(const struct control_conf *conf, struct control **ret_control)
{
    struct control *control = calloc(1, sizeof(*control));
    struct log_ring *monitor_ring = NULL;

    if (control == NULL) {
        return -ENOMEM;
    }
    control->settings = settings_ref(conf->settings);
    control->config = conf->settings->config;
    control->logger = conf->logger;
    control->registry = conf->registry;
    control->log_fd = conf->log_fd;
    control->log.room = "core";
    control->monitor_log.room = "monitor";
    control->admin_log.room = "admin";

    int rc = loop_create(&control->loop);

    if (rc == 0) {
        control->started_us = loop_now_us(control->loop);
        drain_init(control);
        timer_init(&control->watchdog, control->loop, on_watchdog, control);
        rc = mailbox_create(control->loop, on_mail, control, &control->box);
    }
    if (rc == 0) {
        rc = sigwatch_create(control->loop, SIGNALS, WR_ARRAY_LEN(SIGNALS), on_signal, control,
                             &control->signals);
    }
    if (rc == 0) {
        rc = log_ring_create(control->logger, "control", &control->log.ring);
        control->admin_log.ring = control->log.ring;
    }
    if (rc == 0) {
        rc = log_ring_create(control->logger, "monitor", &monitor_ring);
        control->monitor_log.ring = monitor_ring;
    }
    if (rc == 0) {
        rc = metric_shard_create(control->registry, &control->metrics);
    }
    if (rc == 0) {
        rc = events_create(&control->events);
    }
    if (rc == 0) {
        control->catalogue = catalogue_create_unloaded();
        rc = control->catalogue == NULL ? -ENOMEM : 0;
    }
    if (rc < 0) {
        int log_fd = -1; /* the caller's still */

        control_destroy(control, &log_fd);
        return rc;
    }
    *ret_control = control;
    return 0;
}

void control_destroy(struct control *control, int *ret_log_fd)
{
    if (control == NULL) {
        return;
    }
    *ret_log_fd = control->log_fd;
    sigwatch_destroy(control->signals);
    mailbox_close(control->box);
    loop_destroy(control->loop);
    topo_unref(control->topo);
    catalogue_unref(control->catalogue);
    accounts_unref(control->accounts);
    positions_unref(control->positions);
    settings_unref(control->settings);
    events_destroy(control->events);
    free(control);
}

struct mailbox *control_mailbox(struct control *control)
{
    return control->box;
}

const struct log_ctx *control_log(const struct control *control)
{
    return &control->log;
}

int control_settle(struct control *control, struct worker_start *ret_start)
{
    int rc = loop_turn(control->loop, 0);

    if (rc < 0) {
        return rc;
    }
    if (control->topo == NULL) {
        return -WR_E_STATE;
    }
    *ret_start = (struct worker_start){
        .topo = control->topo,
        .catalogue = control->catalogue,
        .accounts = control->accounts,
        .positions = control->positions,
    };
    return 0;
}

static void on_load(void *arg, struct listener_load *ret_load)
{
    const struct control *control = arg;

    ret_load->clients = workers_load(control->workers);
    ret_load->in_login = workers_in_login(control->workers);
}

static void on_accept(void *arg, const struct sess_accept *accept)
{
    struct control *control = arg;

    workers_accept(control->workers, accept);
}

static int http_start(struct control *control)
{
    const struct config_addr *addr = &control->config->http.address;
    struct admin_http_conf conf = {
        .address = addr->host,
        .port = addr->port,
        .registry = control->registry,
        .status = on_status,
        .arg = control,
    };

    if (addr->kind == CONFIG_ADDR_NONE) {
        return 0;
    }

    int rc = addr->kind == CONFIG_ADDR_TCP ? admin_http_create(control->loop, &conf, &control->http)
                                           : -WR_E_UNSUPPORTED;

    if (rc < 0) {
        log_error(&control->log, "http_failed", "http.address %s: %s", addr->text, err_text(rc));
        return rc;
    }
    log_info(&control->log, "http_listening", "%s, port %u", addr->text,
             (unsigned)admin_http_port(control->http));
    return 0;
}

int control_serve(struct control *control, const struct control_house *house)
{
    struct listener_set *listeners = house->listeners;
    struct workers *workers = house->workers;
    const struct listener_calls calls = {.load = on_load, .on_accept = on_accept, .arg = control};
    const struct listener_limits limits = {
        .max_clients = control->config->limits.max_clients,
        .max_in_login = control->config->auth.max_unauthenticated,
    };

    if (control->is_draining) {
        log_info(&control->log, "drain_done", "ended by a signal before anybody was served");
        return 0;
    }
    control->listeners = listeners;
    control->workers = workers;
    control->house = house;
    metric_set(control->metrics, METRIC_CONFIG_GENERATION, METRIC_NONE,
               (int64_t)control->settings->snap.generation);

    int rc = http_start(control);

    if (rc == 0) {
        rc = control_admin_start(control);
    }
    if (rc == 0) {
        rc = listener_start(listeners, control->loop, &calls, &limits, control->metrics,
                            &control->log);
    }
    if (rc == 0) {
        for (size_t i = 0; i < listener_count(listeners); i++) {
            log_info(&control->log, "listening", "%s", listener_text(listeners, i));
        }
        log_info(&control->log, "ready", "%u workers", (unsigned)workers_count(workers));
        control_event(control, EVENT_START, "", "weir " WEIR_VERSION);
        timer_arm_in(&control->watchdog, WATCHDOG_US);
        rc = loop_run(control->loop);
    }
    timer_cancel(&control->watchdog);
    timer_cancel(&control->drain_limit);
    listener_stop(listeners);
    control_admin_stop(control);
    admin_http_destroy(control->http);
    control->http = NULL;
    control->house = NULL;
    control->workers = NULL;
    control->listeners = NULL;
    return rc;
}
