/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start and stop of the process, step by step. What can fail for a reason that an operator can see
 * to (configuration, addresses, certificates) comes before threads are started.
 */
#include "weir/core/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/backend/catalogue.h"
#include "weir/backend/topo.h"
#include "weir/binlog/binlog.h"
#include "weir/cache/cache.h"
#include "weir/client/listener.h"
#include "weir/client/users.h"
#include "weir/config/config.h"
#include "weir/core/control.h"
#include "weir/core/worker.h"
#include "weir/io/tls.h"
#include "weir/monitor/monitor.h"
#include "weir/pool/slots.h"
#include "weir/route/causal.h"
#include "weir/route/guard.h"
#include "weir/util/clock.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "panic_priv.h"
#include "settings_priv.h"
#include "share_priv.h"

#define FIRST_PROBE_US  (3 * CLOCK_US_PER_SECOND)
#define MONITOR_STOP_US (1 * CLOCK_US_PER_SECOND)
#define MIB             (UINT64_C(1024) * 1024)

struct run {
    struct settings *settings; /* the first; strings of it are in use until the end */
    struct config *config;     /* of settings */
    int log_fd;                /* -1: standard error */
    struct logger *logger;
    struct metric_registry *registry;
    struct control *control;
    const struct log_ctx *log;
    struct listener_set *listeners;
    struct listener_set *admin_listeners;
    struct conn_tls conn_tls[CONFIG_SERVERS_MAX];
    struct users *users;
    struct guard_board *board;
    struct causal_board *causal;
    struct share *share;
    struct cache *cache; /* NULL: off */
    struct binlog *binlog;
    bool has_library;
    struct monitor *monitor;
    struct slots *slots;
    struct workers *workers;
    struct worker_start start;
    uint8_t instance_tag;
};

static int config_step(struct run *run, const char *path)
{
    struct config_errors errs = {0};
    int rc = settings_load(path, 1, &errs, &run->settings);

    config_print_errors(&errs, stderr);
    if (rc == 0) {
        run->config = run->settings->config;
    }
    return rc;
}

static int log_step(struct run *run)
{
    const struct config_log *conf = &run->config->log;
    struct log_conf log = {.fd = STDERR_FILENO,
                           .is_json = conf->format == CONFIG_LOG_JSON,
                           .level = (enum log_level)conf->level};

    if (conf->file != NULL) {
        run->log_fd = open(conf->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (run->log_fd < 0) {
            int rc = -errno;

            (void)fprintf(stderr, "weir: log.file %s: %s\n", conf->file, err_text(rc));
            return rc;
        }
        log.fd = run->log_fd;
    }
    return log_create(&log, &run->logger);
}

/* Before there is a second thread. */
static int process_step(const struct run *run)
{
    (void)umask(027);
    /* Passwords pass through buffers on their way: no core dump, no other user's debugger. */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet */
    if (getenv("WEIR_DUMPABLE") == NULL) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    panic_install();
    (void)run;
    return control_block_signals();
}

static int control_step(struct run *run)
{
    int rc = metric_registry_create(&run->registry);
    struct control_conf conf = {
        .settings = run->settings,
        .logger = run->logger,
        .log_fd = run->log_fd,
        .registry = run->registry,
    };

    if (rc == 0) {
        rc = control_create(&conf, &run->control);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "weir: control thread: %s\n", err_text(rc));
        return rc;
    }
    run->log = control_log(run->control);
    log_info(run->log, "start", "weir %s, configuration %s", WEIR_VERSION, run->config->path);
    return 0;
}

static int fds_step(struct run *run)
{
    return settings_descriptors(run->config, run->log);
}

static int listen_step(struct run *run)
{
    char why[LISTENER_WHY_BYTES] = "";
    int rc = listener_open(run->config, why, &run->listeners);

    if (rc < 0) {
        log_error(run->log, "listen_failed", "%s", why);
    }
    return rc;
}

static int admin_listen_step(struct run *run)
{
    const struct config_admin *admin = &run->config->admin;
    const struct config_listener listener = {
        .address = admin->address, .tls = admin->tls, .backlog = admin->max_clients};
    char why[LISTENER_WHY_BYTES] = "";
    int rc = 0;

    if (!config_has_admin(run->config)) {
        return 0;
    }
    rc = listener_open_list(&listener, 1, why, &run->admin_listeners);
    if (rc < 0) {
        log_error(run->log, "listen_failed", "admin.address: %s", why);
    }
    return rc;
}

/* The certificate of the operator, or the one that the first start makes. */
static int server_tls_step(struct run *run)
{
    char why[SETTINGS_WHY_BYTES];
    int rc = settings_tls(run->settings, run->log, why);

    if (rc < 0) {
        log_error(run->log, "tls_failed", "%s", why);
    }
    return rc;
}

/* How to do TLS with each configured server. */
static int conn_tls_step(struct run *run)
{
    const struct config *config = run->config;

    for (uint32_t i = 0; i < config->server_count; i++) {
        const struct config_server *server = &config->servers[i];
        struct conn_tls *tls = &run->conn_tls[i];
        char why[TLS_WHY_BYTES] = "";
        int rc = 0;

        switch (server->tls) {
        case CONFIG_TLS_OFF:
            tls->mode = TLS_MODE_OFF;
            continue;
        case CONFIG_TLS_PREFERRED:
            tls->mode = TLS_MODE_PREFERRED;
            break;
        case CONFIG_TLS_REQUIRED:
            tls->mode = TLS_MODE_REQUIRED;
            break;
        case CONFIG_TLS_VERIFY:
            tls->mode = TLS_MODE_VERIFY;
            break;
        }
        tls->server_name =
            server->tls_server_name != NULL ? server->tls_server_name : server->address.host;
        rc = tls_client_create(tls->mode, server->tls_ca != NULL ? server->tls_ca : config->tls.ca,
                               why, &tls->ctx);
        if (rc == 0 && config->tls.min_version == CONFIG_TLS_1_3) {
            rc = tls_require_13(tls->ctx);
        }
        if (rc < 0) {
            log_error(run->log, "tls_failed", "server %s: %s", server->name, why);
            return rc;
        }
    }
    return 0;
}

static int users_step(struct run *run)
{
    const struct config *config = run->config;
    struct users_conf conf = {
        .recheck_us = config->users.recheck_us,
        .negative_us = config->auth.negative_cache_us,
        .max_checks = config->auth.max_checks,
        .max_checks_per_address = config->auth.max_checks_per_address,
        .max_checks_per_user = config->auth.max_checks_per_user,
    };
    int rc = users_create(&conf, &run->users);

    if (rc < 0) {
        return rc;
    }
    run->board = guard_board_create();
    run->causal = causal_board_create();
    return run->board == NULL || run->causal == NULL ? -ENOMEM : 0;
}

static int share_step(struct run *run)
{
    const struct share_conf conf = {
        .config = run->config,
        .board = run->causal,
        .guard = run->board,
        .registry = run->registry,
        .logger = run->logger,
        .control = control_mailbox(run->control),
    };
    char why[SETTINGS_WHY_BYTES];
    int rc = share_create(&conf, why, &run->share);

    if (rc < 0) {
        log_error(run->log, "redis_failed", "%s", why[0] == '\0' ? err_text(rc) : why);
    }
    return rc;
}

/* Before the monitor: who reads the primary's log begins with it. */
static int cache_step(struct run *run)
{
    uint64_t bytes = run->config->cache.memory_bytes;
    int rc = 0;

    if (bytes == 0) {
        return 0;
    }
    rc = cache_create(bytes, &run->cache);
    if (rc < 0) {
        log_error(run->log, "cache_failed",
                  "there is no memory for the tables of cache.memory, %" PRIu64
                  " MiB: %s; make it smaller",
                  bytes / MIB, err_text(rc));
        return rc;
    }
    log_info(run->log, "cache", "answers are kept in %" PRIu64 " MiB", bytes / MIB);
    return 0;
}

static int monitor_step(struct run *run)
{
    struct monitor_calls calls;
    int rc = monitor_library_init();

    if (rc < 0) {
        return rc;
    }
    run->has_library = true;
    control_calls(run->control, &calls);
    rc = monitor_create(run->config, &calls, &run->monitor);
    if (rc == 0) {
        rc = monitor_start(run->monitor);
    }
    if (rc < 0) {
        return rc;
    }
    /* Clients that come first should find a primary; a server that does not answer keeps nobody
     * from the others. */
    if (!monitor_wait_first(run->monitor, FIRST_PROBE_US)) {
        log_warn(run->log, "servers_unknown", "not every server has answered yet");
    }
    return control_settle(run->control, &run->start);
}

/* Somebody has changed a definition beside weir. */
static void on_ddl(void *arg)
{
    const struct run *run = arg;

    catalogue_ddl_bump();
    monitor_poke_catalogue(run->monitor);
}

static bool wants_binlog(const struct config *config)
{
    bool wants = config->cache.coherence == CONFIG_COHERENCE_BINLOG;

    for (uint32_t i = 0; i < config->rule_count; i++) {
        wants = wants || config->rules[i].cache_coherence == CONFIG_RULE_COHERENCE_BINLOG;
    }
    return wants;
}

static int binlog_step(struct run *run)
{
    const struct binlog_conf conf = {
        .config = run->config,
        .cache = run->cache,
        .registry = run->registry,
        .logger = run->logger,
        .on_ddl = on_ddl,
        .arg = run,
    };
    int rc = 0;

    if (run->cache == NULL || !wants_binlog(run->config)) {
        return 0;
    }
    rc = binlog_create(&conf, &run->binlog);
    if (rc == 0) {
        binlog_on_topo(run->binlog, run->start.topo);
        binlog_on_catalogue(run->binlog, run->start.catalogue);
        rc = binlog_start(run->binlog);
    }
    return rc;
}

static int slots_step(struct run *run)
{
    const struct topo *topo = run->start.topo;
    uint32_t max[TOPO_SERVERS_MAX];

    for (uint16_t i = 0; i < topo->server_count; i++) {
        max[i] = run->config->servers[topo->servers[i].config_index].max_connections;
        if (max[i] == 0) { /* auto: the server's own limit, and its own error */
            max[i] = UINT32_MAX;
        }
    }
    return slots_create(max, topo->server_count, &run->slots);
}

static uint32_t core_count(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    return (uint32_t)CPU_COUNT(&set);
}

static uint32_t worker_count(const struct run *run)
{
    const struct config *config = run->config;
    uint32_t smallest = UINT32_MAX;
    bool is_tight = false;

    for (uint32_t i = 0; i < config->server_count; i++) {
        uint32_t max = config->servers[i].max_connections;

        if (max != 0 && max < smallest) {
            smallest = max;
        }
    }

    uint32_t count = workers_default(core_count(), smallest, &is_tight);

    if (is_tight) {
        log_warn(run->log, "limit_small",
                 "servers[].max_connections %u is little even for one worker", (unsigned)smallest);
    }
    if (config->workers == 0) {
        return count;
    }
    if (config->workers > count && smallest / 8 < config->workers) {
        log_warn(run->log, "limit_small",
                 "workers %u with servers[].max_connections %u: workers may wait for each other",
                 (unsigned)config->workers, (unsigned)smallest);
    }
    return config->workers < WORKERS_MAX ? config->workers : WORKERS_MAX;
}

static int workers_step(struct run *run)
{
    struct worker_shared shared = {
        .settings = run->settings,
        .registry = run->registry,
        .logger = run->logger,
        .monitor = run->monitor,
        .users = run->users,
        .board = run->board,
        .causal = run->causal,
        .cache = run->cache,
        .slots = run->slots,
        .conn_tls = run->conn_tls,
        .conn_tls_count = run->config->server_count,
        .control = control_mailbox(run->control),
    };

    settings_labels(run->settings, run->registry, run->log);
    crypto_random(&run->instance_tag, sizeof(run->instance_tag));
    shared.instance_tag = run->instance_tag;
    return workers_create(&shared, &run->start, worker_count(run), &run->workers);
}

/*
 * The client library and the name service cannot be interrupted, and may wait for as long as their
 * own time-outs add up to. Nobody has anything from that any more: the process ends without those
 * threads, and so without freeing what they look at.
 */
static void leave(struct run *run, int status)
{
    listener_destroy(run->listeners);
    listener_destroy(run->admin_listeners);
    log_info(run->log, "stop", "weir %s, without waiting for a server that does not answer",
             WEIR_VERSION);
    log_flush(run->logger);
    _exit(status);
}

static int status_of(int rc)
{
    if (rc == -WR_E_CONFIG) {
        return RUN_USAGE;
    }
    return rc == 0 ? RUN_OK : RUN_FAILED;
}

/* The reverse of run_start(): every step is harmless when its twin did not happen. */
static void run_stop(struct run *run, int status)
{
    workers_destroy(run->workers);
    slots_destroy(run->slots);
    if (run->binlog != NULL) {
        if (!binlog_stop_within(run->binlog, MONITOR_STOP_US)) {
            leave(run, status);
        }
        binlog_destroy(run->binlog);
    }
    if (run->monitor != NULL) {
        if (!monitor_stop_within(run->monitor, MONITOR_STOP_US)) {
            leave(run, status);
        }
        monitor_destroy(run->monitor);
    }
    if (run->has_library) {
        monitor_library_fini();
    }
    cache_destroy(run->cache); /* nobody of those who used it is left */
    share_destroy(run->share); /* the last marks of the workers are told */
    guard_board_destroy(run->board);
    causal_board_destroy(run->causal);
    users_destroy(run->users);
    for (size_t i = 0; i < WR_ARRAY_LEN(run->conn_tls); i++) {
        tls_unref(run->conn_tls[i].ctx);
    }
    listener_destroy(run->listeners);
    listener_destroy(run->admin_listeners);
    if (run->log != NULL) {
        log_info(run->log, "stop", "weir %s", WEIR_VERSION);
    }
    control_destroy(run->control, &run->log_fd);
    metric_registry_destroy(run->registry);
    log_destroy(run->logger);
    if (run->log_fd >= 0) {
        (void)close(run->log_fd);
    }
    settings_unref(run->settings);
}

static int run_start(struct run *run, const char *config_path)
{
    static const struct {
        const char *name;
        int (*step)(struct run *run);
    } steps[] = {
        {"file descriptors", fds_step},
        {"listeners", listen_step},
        {"admin listener", admin_listen_step},
        {"TLS of listeners", server_tls_step},
        {"TLS of servers", conn_tls_step},
        {"users", users_step},
        {"redis", share_step},
        {"cache", cache_step},
        {"monitor", monitor_step},
        {"binary log", binlog_step},
        {"connection slots", slots_step},
        {"workers", workers_step},
    };
    int rc = config_step(run, config_path);

    if (rc == 0) {
        rc = log_step(run);
    }
    if (rc == 0) {
        rc = process_step(run);
    }
    if (rc == 0) {
        rc = control_step(run);
    }
    for (size_t i = 0; rc == 0 && i < WR_ARRAY_LEN(steps); i++) {
        rc = steps[i].step(run);
        if (rc < 0) {
            log_error(run->log, "start_failed", "%s: %s", steps[i].name, err_text(rc));
        }
    }
    return rc;
}

int run_serve(const char *config_path)
{
    struct run *run = calloc(1, sizeof(*run));

    if (run == NULL) {
        return RUN_FAILED;
    }
    run->log_fd = -1;

    int rc = run_start(run, config_path);
    int status = status_of(rc);

    if (rc == 0) {
        const struct control_house house = {
            .listeners = run->listeners,
            .admin_listeners = run->admin_listeners,
            .workers = run->workers,
            .monitor = run->monitor,
            .users = run->users,
            .slots = run->slots,
            .board = run->board,
            .causal = run->causal,
            .share = run->share,
            .cache = run->cache,
            .binlog = run->binlog,
            .instance_tag = run->instance_tag,
        };

        status = control_serve(run->control, &house) == 0 ? RUN_OK : RUN_FAILED;
    }
    run_stop(run, status);
    free(run);
    return status;
}
