/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load -> check -> build -> compare -> publish.
 *
 * Everything that can fail comes before the first thing that is changed: the file with its rules,
 * what cannot change at run time, the certificate, the log file, the letters to the workers. From
 * then on nothing can fail, so a configuration is in force whole or not at all. Workers take it over
 * each at its own next turn; a decision is always made by one of the two.
 */
#include "weir/core/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/backend/topo.h"
#include "weir/client/listener.h"
#include "weir/client/users.h"
#include "weir/config/config.h"
#include "weir/io/tls.h"
#include "weir/monitor/monitor.h"
#include "weir/pool/slots.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "control_priv.h"
#include "settings_priv.h"

struct reloading {
    struct control *control;
    struct reload_report *report;
    uint32_t restarts; /* changes that need one */
};

/* One line into the report and the log: every line, so no site of the log may hold it back. */
static void say(struct reloading *r, enum log_level level, const char *event, const char *format,
                ...) WR_PRINTF(4, 5);

static void say(struct reloading *r, enum log_level level, const char *event, const char *format,
                ...)
{
    struct reload_report *report = r->report;
    char text[RELOAD_LINE_BYTES];
    struct log_site site = {.window_us = 0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (log_is_on(&r->control->log, level)) {
        log_write(&r->control->log, level, &site, event, "%s", text);
    }
    if (report->line_count == RELOAD_LINES_MAX) {
        report->dropped++;
        return;
    }
    report->mistakes |= level == LOG_ERROR ? UINT64_C(1) << report->line_count : 0;
    memcpy(report->line[report->line_count++], text, sizeof(text));
}

static void say_mistakes(struct reloading *r, const struct config_errors *errs)
{
    uint32_t shown = 0;

    for (uint32_t i = 0; i < errs->count; i++) {
        const struct config_error *e = &errs->item[i];

        say(r, e->is_warning ? LOG_WARN : LOG_ERROR,
            e->is_warning ? "config_warning" : "config_mistake", "%.100s:%u:%u: %s", errs->path,
            (unsigned)e->line, (unsigned)e->column, e->text);
        shown += e->is_warning ? 0 : 1;
    }
    if (errs->error_count > shown) {
        say(r, LOG_ERROR, "config_mistake", "%.100s: and %u more", errs->path,
            (unsigned)(errs->error_count - shown));
    }
}

/* --- what differs --- */

static void on_change(void *arg, const struct config_change *change)
{
    struct reloading *r = arg;
    bool is_one = change->old_text != NULL && change->new_text != NULL;

    r->report->changes++;
    if (change->needs_restart) {
        r->restarts++;
        say(r, LOG_ERROR, "needs_restart", "%.120s needs a restart: %.120s -> %.120s", change->what,
            change->old_text == NULL ? "none" : change->old_text,
            change->new_text == NULL ? "none" : change->new_text);
    } else if (is_one) {
        say(r, LOG_INFO, "config_change", "%.120s: %.120s -> %.120s", change->what,
            change->old_text, change->new_text);
    } else {
        say(r, LOG_INFO, "config_change", "%.120s: %s", change->what,
            change->old_text == NULL ? "new" : "removed");
    }
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A listed user who is gone or has another password is not let in by what is remembered of him. */
static bool is_same_user(const struct config_user *a, const struct config_user *b)
{
    if (b == NULL || (a->native_hash == NULL) != (b->native_hash == NULL) ||
        (a->password.p == NULL) != (b->password.p == NULL)) {
        return false;
    }
    if (a->native_hash != NULL && memcmp(a->native_hash, b->native_hash, 20) != 0) {
        return false;
    }
    return a->password.p == NULL || (a->password.len == b->password.len &&
                                     memcmp(a->password.p, b->password.p, a->password.len) == 0);
}

/* --- the part that cannot fail --- */

static void apply_users(const struct control *control, const struct config *old,
                        const struct config *new)
{
    const struct users_conf conf = {
        .recheck_us = new->users.recheck_us,
        .negative_us = new->auth.negative_cache_us,
        .max_checks = new->auth.max_checks,
        .max_checks_per_address = new->auth.max_checks_per_address,
        .max_checks_per_user = new->auth.max_checks_per_user,
    };

    users_set_conf(control->house->users, &conf);
    for (uint32_t i = 0; i < old->users.list_count; i++) {
        const struct config_user *user = &old->users.list[i];

        if (!is_same_user(user, config_find_user(new, user->name))) {
            users_forget(control->house->users, span_of(user->name));
        }
    }
}

static void apply_slots(const struct control *control, const struct config *new)
{
    for (uint16_t i = 0; i < control->topo->server_count; i++) {
        uint32_t max = new->servers[control->topo->servers[i].config_index].max_connections;

        slots_set_max(control->house->slots, i, max == 0 ? UINT32_MAX : max);
    }
}

static void apply(struct control *control, const struct settings *new, int log_fd)
{
    const struct listener_limits limits = {
        .max_clients = new->config->limits.max_clients,
        .max_in_login = new->config->auth.max_unauthenticated,
    };
    const struct settings *old = control->settings;

    control->settings = new;
    control->config = new->config;
    log_set_level(control->logger, (enum log_level) new->config->log.level);
    if (!is_same_text(old->config->log.file, new->config->log.file)) {
        log_set_fd(control->logger, log_fd < 0 ? STDERR_FILENO : log_fd);
        log_flush(control->logger); /* the writer uses the old one no more */
        if (control->log_fd >= 0) {
            (void)close(control->log_fd);
        }
        control->log_fd = log_fd;
    }
    listener_set_config(control->listeners, new->config, &limits);
    apply_users(control, old->config, new->config);
    apply_slots(control, new->config);
    monitor_retune(control->house->monitor, new->config);
    metric_set(control->metrics, METRIC_CONFIG_GENERATION, METRIC_NONE,
               (int64_t) new->snap.generation);
    settings_unref(old);
}

/* --- the part that can --- */

static int load(struct reloading *r, struct settings **ret_settings)
{
    struct control *control = r->control;
    struct config_errors errs = {.count = 0};
    char why[SETTINGS_WHY_BYTES];
    int rc = settings_load(control->config->path, control->settings->snap.generation + 1, &errs,
                           ret_settings);

    say_mistakes(r, &errs);
    if (rc < 0) {
        return rc;
    }
    rc = config_diff(control->config, (*ret_settings)->config, on_change, r);
    if (rc < 0) {
        return rc;
    }
    if (r->restarts > 0) {
        return -WR_E_STATE;
    }
    rc = settings_tls(*ret_settings, &control->log, why);
    if (rc < 0) {
        say(r, LOG_ERROR, "tls_failed", "%.400s", why);
        return rc;
    }
    if ((*ret_settings)->server_tls == NULL && control->settings->server_tls != NULL) {
        /* a login that has been offered TLS may still take it */
        (*ret_settings)->server_tls = tls_ref(control->settings->server_tls);
    }
    return 0;
}

static int log_open(struct reloading *r, const struct config *new, int *ret_fd)
{
    *ret_fd = -1;
    if (new->log.file == NULL || is_same_text(r->control->config->log.file, new->log.file)) {
        return 0;
    }
    *ret_fd = open(new->log.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (*ret_fd < 0) {
        int rc = -errno;

        say(r, LOG_ERROR, "log_failed", "log.file %.200s: %s", new->log.file, err_text(rc));
        return rc;
    }
    return 0;
}

static int reload(struct reloading *r)
{
    struct control *control = r->control;
    struct settings *new = NULL;
    int log_fd = -1;
    bool is_served = control->house != NULL && !control->is_draining;
    int rc = is_served ? load(r, &new) : -WR_E_STATE;

    if (rc == 0) {
        rc = log_open(r, new->config, &log_fd);
    }
    if (rc == 0) {
        rc = settings_descriptors(new->config, &control->log);
    }
    if (rc == 0) {
        settings_labels(new, control->registry, &control->log);
        rc = workers_post(control->workers, SNAPSHOT_SETTINGS, new);
    }
    if (rc < 0) {
        if (log_fd >= 0) {
            (void)close(log_fd);
        }
        settings_unref(new);
        return rc;
    }
    apply(control, new, log_fd);
    return 0;
}

static void event(const struct reloading *r, int rc)
{
    const struct reload_report *report = r->report;
    char text[EVENT_TEXT_BYTES] = "";

    if (rc == 0) {
        (void)snprintf(text, sizeof(text), "configuration %llu: %u changes",
                       (unsigned long long)report->generation, (unsigned)report->changes);
        control_event(r->control, EVENT_RELOAD, "", text);
        return;
    }
    for (uint32_t i = 0; i < report->line_count && text[0] == '\0'; i++) {
        if ((report->mistakes >> i & 1) != 0) {
            (void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, report->line[i]);
        }
    }
    control_event(r->control, EVENT_RELOAD_FAILED, "", text[0] != '\0' ? text : err_text(rc));
}

int control_reload(struct control *control, struct reload_report *ret_report)
{
    struct reloading r = {.control = control, .report = ret_report};
    int rc = 0;

    ret_report->changes = 0;
    ret_report->line_count = 0;
    ret_report->dropped = 0;
    ret_report->mistakes = 0;
    rc = reload(&r);
    ret_report->generation = control->settings->snap.generation;
    if (rc == 0) {
        metric_inc(control->metrics, METRIC_RELOADS, METRIC_RELOAD_APPLIED);
        say(&r, LOG_INFO, "reload_applied", "configuration %llu is in force: %u changes",
            (unsigned long long)ret_report->generation, (unsigned)ret_report->changes);
        event(&r, rc);
        return 0;
    }
    metric_inc(control->metrics, METRIC_RELOADS, METRIC_RELOAD_REFUSED);
    say(&r, LOG_ERROR, "reload_refused",
        "%.200s: %s; nothing of it was taken over, configuration %llu stays in force",
        control->config->path,
        r.restarts > 0           ? "it changes what needs a restart"
        : control->is_draining   ? "weir is about to end"
        : control->house == NULL ? "weir is still starting"
                                 : err_text(rc),
        (unsigned long long)ret_report->generation);
    event(&r, rc);
    return rc;
}
