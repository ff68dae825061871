/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin is given to see and to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/admin/admin.h"
#include "weir/client/listener.h"
#include "weir/config/config.h"
#include "weir/core/reload.h"
#include "weir/monitor/monitor.h"
#include "weir/pool/slots.h"
#include "weir/route/rule.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "control_priv.h"
#include "settings_priv.h"

#define RULE_TEXT_MAX ((size_t)4 * 1024)

static void on_view(void *arg, struct admin_view *ret_view)
{
    struct control *control = arg;

    control_cache_gauges(control);
    *ret_view = (struct admin_view){
        .config = control->config,
        .topo = control->topo,
        .catalogue = control->catalogue,
        .positions = control->positions,
        .rules = control->settings->rules,
        .board = control->house->board,
        .causal = control->house->causal,
        .cache = control->house->cache,
        .tls = control->settings->server_tls,
        .events = control->events,
        .registry = control->registry,
        .started_us = control->started_us,
        .workers = workers_count(control->workers),
        .sessions = workers_load(control->workers),
        .instance_tag = control->house->instance_tag,
        .is_draining = control->is_draining,
    };
}

static uint32_t on_ask(void *arg, uint32_t ticket, unsigned what)
{
    const struct control *control = arg;

    return workers_ask(control->workers, ticket, what);
}

static int on_kill(void *arg, uint32_t ticket, uint32_t id, bool is_query_only)
{
    const struct control *control = arg;

    return workers_kill(control->workers, ticket, id, is_query_only);
}

static void on_drain(void *arg, uint16_t server, bool is_drained)
{
    const struct control *control = arg;

    monitor_drain(control->house->monitor, server, is_drained);
}

static void on_set_weight(void *arg, uint16_t server, uint32_t weight)
{
    const struct control *control = arg;

    monitor_set_weight(control->house->monitor, server,
                       weight == UINT32_MAX ? MONITOR_WEIGHT_CONFIGURED : weight);
}

static void on_event(void *arg, enum event_kind kind, const char *server, const char *text)
{
    control_event(arg, kind, server, text);
}

static void on_pool(void *arg, uint16_t server, struct admin_pool *ret_pool)
{
    const struct control *control = arg;
    const struct slots *slots = control->house->slots;

    struct metric_registry *registry = control->registry;

    ret_pool->used = slots_used(slots, server);
    ret_pool->max = slots_max(slots, server);
    ret_pool->refused = slots_refused(slots, server);
    ret_pool->idle = (uint32_t)metric_read(registry, METRIC_POOL_IDLE, server);
    ret_pool->waiting = (uint32_t)metric_read(registry, METRIC_POOL_WAITING, server);
    ret_pool->waits = (uint64_t)metric_read(registry, METRIC_POOL_WAITS, server);
    ret_pool->timeouts = (uint64_t)metric_read(registry, METRIC_POOL_TIMEOUTS, server);
    ret_pool->resets = (uint64_t)metric_read(registry, METRIC_POOL_RESETS, server);
    ret_pool->passes = (uint64_t)metric_read(registry, METRIC_POOL_PASSES, server);
    ret_pool->retired = (uint64_t)metric_read(registry, METRIC_POOL_RETIRED, server);
}

static int on_reload(void *arg, admin_row_fn row, void *row_arg)
{
    struct control *control = arg;
    struct reload_report *report = calloc(1, sizeof(*report));
    int rc = 0;

    if (report == NULL) {
        return -ENOMEM;
    }
    rc = control_reload(control, report);
    for (uint32_t i = 0; i < report->line_count; i++) {
        const char *line = report->line[i];

        if (rc == 0 || (report->mistakes >> i & 1) != 0) {
            row(row_arg, &line);
        }
    }
    if (report->dropped > 0) {
        const char *line = "there is more: see the log";

        row(row_arg, &line);
    }
    free(report);
    return rc;
}

/* --- SHOW RULES: the settings of each, as a file would have them --- */

struct rule_rows {
    const struct control *control;
    admin_row_fn row;
    void *row_arg;
    uint32_t at; /* the rule in hand + 1; 0: none */
    struct buf match;
    struct buf action;
};

static void rule_row(struct rule_rows *rows)
{
    const struct rules *rules = rows->control->settings->rules;
    const char *cells[ADMIN_RULE_CELLS];
    char number[16];
    char counts[3][24];
    static const enum metric counted[] = {METRIC_RULE_MATCHES, METRIC_CACHE_RULE_HITS,
                                          METRIC_CACHE_RULE_MISSES};
    size_t label = 0;

    if (rows->at == 0) {
        return;
    }
    label = rules_label(rules, rows->at - 1);
    (void)snprintf(number, sizeof(number), "%u", (unsigned)rows->at);
    for (size_t i = 0; i < WR_ARRAY_LEN(counted); i++) {
        (void)snprintf(counts[i], sizeof(counts[i]), "%" PRId64,
                       metric_read(rows->control->registry, counted[i], label));
        cells[4 + i] = counts[i];
    }
    cells[0] = number;
    cells[1] = rules_get(rules, rows->at - 1)->label;
    cells[2] = buf_len(&rows->match) == 0 ? "" : (const char *)buf_span(&rows->match).p;
    cells[3] = buf_len(&rows->action) == 0 ? "" : (const char *)buf_span(&rows->action).p;
    rows->row(rows->row_arg, cells);
    buf_clear(&rows->match);
    buf_clear(&rows->action);
}

static bool is_action(const char *word)
{
    static const char *const words[] = {"route",   "max_lag", "read_after_write",
                                        "timeout", "deny",    "log"};

    if (strncmp(word, "cache", 5) == 0) {
        return true;
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A C string at all times: the next word goes over the last one's end. */
static void word_add(struct buf *to, const char *word, const char *value)
{
    const char *gap = "";

    if (buf_len(to) > 0) {
        to->len--;
        gap = ", ";
    }
    if (buf_printf(to, RULE_TEXT_MAX, "%s%s: %s", gap, word, value) < 0 ||
        buf_append(to, "", 1, SIZE_MAX) < 0) {
        buf_clear(to);
    }
}

static void on_rule_setting(void *arg, const char *path, const char *value, const char *by_default)
{
    struct rule_rows *rows = arg;
    const char *word = NULL;
    uint32_t at = 0;

    if (strncmp(path, "rules[", 6) != 0) {
        return;
    }
    at = (uint32_t)strtoul(path + 6, NULL, 10) + 1;
    word = strchr(path, '.') + 1;
    if (at != rows->at) {
        rule_row(rows);
        rows->at = at;
    }
    if (strcmp(word, "name") != 0 && strcmp(value, by_default) != 0) {
        word_add(is_action(word) ? &rows->action : &rows->match, word, value);
    }
}

static int on_rules(void *arg, admin_row_fn row, void *row_arg)
{
    const struct control *control = arg;
    struct rule_rows rows = {.control = control, .row = row, .row_arg = row_arg};
    int rc = config_each(control->config, on_rule_setting, &rows);

    if (rc == 0) {
        rule_row(&rows);
    }
    buf_fini(&rows.match);
    buf_fini(&rows.action);
    return rc;
}

int control_admin_start(struct control *control)
{
    const struct control_house *house = control->house;
    struct admin_conf conf = {
        .loop = control->loop,
        .listeners = house->admin_listeners,
        .metrics = control->metrics,
        .log = &control->admin_log,
        .calls =
            {
                .view = on_view,
                .ask = on_ask,
                .kill = on_kill,
                .drain = on_drain,
                .set_weight = on_set_weight,
                .event = on_event,
                .pool = on_pool,
                .reload = on_reload,
                .rules = on_rules,
                .arg = control,
            },
    };

    if (house->admin_listeners == NULL) {
        return 0;
    }

    int rc = admin_create(&conf, &control->admin);

    if (rc < 0) {
        log_error(&control->log, "admin_failed", "admin.address %s: %s",
                  control->config->admin.address.text, err_text(rc));
        return rc;
    }
    for (size_t i = 0; i < listener_count(house->admin_listeners); i++) {
        log_info(&control->log, "admin_listening", "%s", listener_text(house->admin_listeners, i));
    }
    return 0;
}

void control_admin_stop(struct control *control)
{
    admin_destroy(control->admin);
    control->admin = NULL;
}
