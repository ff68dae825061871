/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW of what the control thread knows by itself. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/io/resolve.h"
#include "weir/util/clock.h"

#include "admin_priv.h"

/* --- SHOW SERVERS --- */

static void row_address(struct admin_rows *rows, const struct topo_server *server)
{
    char text[RESOLVE_TEXT_BYTES] = "";
    union {
        const struct sockaddr_storage *storage;
        const struct sockaddr *addr;
    } addr = {.storage = &server->addr};

    if (server->addr_len > 0) {
        resolve_format(addr.addr, server->addr_len, text, sizeof(text));
    }
    rows_text(rows, text);
}

static void row_age(struct admin_rows *rows, uint64_t at_us, uint64_t now_us)
{
    if (at_us == 0) {
        rows_null(rows);
    } else {
        rows_u64(rows, now_us > at_us ? (now_us - at_us) / CLOCK_US_PER_MS : 0);
    }
}

/* Does it have all that the primary has been heard to have? */
static void row_level(struct admin_rows *rows, const struct admin_view *view, uint16_t i)
{
    const struct position *primary = positions_of(view->positions, view->topo->primary);

    if (primary == NULL || positions_of(view->positions, (int16_t)i) == NULL) {
        rows_null(rows);
    } else {
        rows_text(rows, (primary->covered_mask >> i & 1) != 0 ? "yes" : "no");
    }
}

static void row_server(struct admin_rows *rows, const struct admin_view *view, uint16_t i,
                       uint64_t now_us)
{
    const struct topo_server *server = &view->topo->servers[i];

    rows_text(rows, server->name);
    row_address(rows, server);
    rows_text(rows, view->topo->primary == (int16_t)i ? topo_role_text(TOPO_ROLE_PRIMARY)
                                                      : topo_role_text(server->role));
    rows_text(rows, topo_state_text(server->state));
    rows_text(rows, topo_why_text(server->why));
    if (server->lag_us == TOPO_LAG_UNKNOWN || server->role != TOPO_ROLE_REPLICA) {
        rows_null(rows);
    } else {
        rows_printf(rows, "%" PRIu64 ".%03" PRIu64, server->lag_us / CLOCK_US_PER_MS,
                    server->lag_us % CLOCK_US_PER_MS);
    }
    rows_text(rows, topo_lag_source_text(server->lag_source));
    row_age(rows, server->last_good_us, now_us);
    row_age(rows, positions_seen_us(view->positions, (int16_t)i), now_us);
    row_level(rows, view, i);
    rows_u64(rows, server->weight);
    rows_printf(rows, "%.2f", (double)server->weight_eff / TOPO_WEIGHT_ONE);
    rows_u64(rows, (uint64_t)metric_read(view->registry, METRIC_SERVER_CONNECTIONS, i));
    rows_u64(rows, (uint64_t)metric_read(view->registry, METRIC_SERVER_QUERIES, i));
    rows_u64(rows, (uint64_t)metric_read(view->registry, METRIC_SERVER_ERRORS, i));
    rows_text(rows, server->version_text);
}

void admin_show_servers(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(
        &rows, sess,
        "name,address,role,state,why,lag_ms,lag_source,sample_age_ms#,position_age_ms#,has_primary,weight#,weight_now,"
        "connections#,statements#,errors#,version",
        &filter, true);
    for (uint16_t i = 0; i < view.topo->server_count; i++) {
        row_server(&rows, &view, i, loop_now_us(sess->admin->conf.loop));
    }
    rows_end(&rows);
}

/* --- SHOW POOLS --- */

/* One server's row; its columns are named below. */
static void row_pool(struct admin_rows *rows, const struct admin_pool *pool, const char *name)
{
    rows_text(rows, name);
    rows_u64(rows, pool->used);
    if (pool->max == UINT32_MAX) {
        rows_null(rows); /* the server's own limit is the only one */
    } else {
        rows_u64(rows, pool->max);
    }
    rows_u64(rows, pool->idle);
    rows_u64(rows, pool->waiting);
    rows_u64(rows, pool->waits);
    rows_u64(rows, pool->timeouts);
    rows_u64(rows, pool->resets);
    rows_u64(rows, pool->passes);
    rows_u64(rows, pool->retired);
    rows_u64(rows, pool->refused);
}

void admin_show_pools(struct admin_sess *sess, const struct words *words, size_t at)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(
        &rows, sess,
        "server,used#,max#,idle#,waiting#,waits#,timeouts#,resets#,passes#,retired#,refused#",
        &filter, true);
    for (uint16_t i = 0; i < view.topo->server_count; i++) {
        struct admin_pool pool = {0};

        calls->pool(calls->arg, i, &pool);
        row_pool(&rows, &pool, view.topo->servers[i].name);
    }
    rows_end(&rows);
}

/* --- RULES, CONFIG, METRICS, VERSION, EVENTS, COMMANDS --- */

static void each_rule(void *arg, const char *const *cells)
{
    for (unsigned i = 0; i < ADMIN_RULE_CELLS; i++) {
        rows_text(arg, cells[i]);
    }
}

void admin_show_rules(struct admin_sess *sess, const struct words *words, size_t at)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    struct words_filter filter;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    rows_begin(&rows, sess, "number#,name,match,action,hits#,cache_hits#,cache_misses#", &filter,
               false);
    if (calls->rules(calls->arg, each_rule, &rows) < 0) {
        rows.failed = true;
    }
    rows_end(&rows);
}

static void each_setting(void *arg, const char *path, const char *value, const char *by_default)
{
    struct span text = span_of(value);

    /* quoted as the file would have it: shown plain */
    if (text.len >= 2 && text.p[0] == '"' && text.p[text.len - 1] == '"') {
        text = (struct span){text.p + 1, text.len - 2};
    }
    rows_text(arg, path);
    rows_span(arg, text);
    rows_text(arg, by_default);
}

void admin_show_config(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(&rows, sess, "setting,value,default", &filter, true);
    if (config_each(view.config, each_setting, &rows) < 0) {
        rows.failed = true;
    }
    rows_end(&rows);
}

static int each_metric(void *arg, const char *name, const char *labels, enum metric_kind kind,
                       int64_t value)
{
    (void)kind;
    rows_text(arg, name);
    rows_text(arg, labels);
    rows_printf(arg, "%" PRId64, value);
    return 0;
}

void admin_show_metrics(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(&rows, sess, "name,labels,value#", &filter, true);
    if (metric_each(view.registry, each_metric, &rows) < 0) {
        rows.failed = true;
    }
    rows_end(&rows);
}

void admin_show_version(struct admin_sess *sess, const struct words *words, size_t at)
{
    uint64_t now_us = loop_now_us(sess->admin->conf.loop);
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(&rows, sess, "item,value", &filter, true);
    rows_text(&rows, "version");
    rows_text(&rows, WEIR_VERSION);
    rows_text(&rows, "compiler");
    rows_text(&rows, __VERSION__);
    rows_text(&rows, "pid");
    rows_u64(&rows, (uint64_t)getpid());
    rows_text(&rows, "uptime_s");
    rows_u64(&rows, (now_us - view.started_us) / CLOCK_US_PER_SECOND);
    rows_text(&rows, "configuration");
    rows_text(&rows, view.config->path);
    rows_text(&rows, "workers");
    rows_u64(&rows, view.workers);
    rows_text(&rows, "client_sessions");
    rows_u64(&rows, view.sessions);
    rows_text(&rows, "topology_generation");
    rows_u64(&rows, view.topo->snap.generation);
    rows_text(&rows, "primary_epoch");
    rows_u64(&rows, view.topo->epoch);
    rows_text(&rows, "state");
    rows_text(&rows, view.is_draining ? "draining" : "serving");
    rows_end(&rows);
}

void admin_show_events(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    admin_view(sess, &view);
    rows_begin(&rows, sess, "number#,time_utc,kind,server,text", &filter, false);
    for (size_t i = events_count(view.events); i > 0; i--) {
        const struct event *event = events_at(view.events, i - 1);

        rows_u64(&rows, event->number);
        rows_time(&rows, event->at_ms);
        rows_text(&rows, event_kind_text(event->kind));
        rows_text(&rows, event->server);
        rows_text(&rows, event->text);
    }
    rows_end(&rows);
}

void admin_show_commands(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter)) {
        return;
    }
    rows_begin(&rows, sess, "command,arguments,role,help", &filter, true);
    for (size_t i = 0; i < admin_command_count; i++) {
        rows_text(&rows, admin_commands[i].name);
        rows_text(&rows, admin_commands[i].args);
        rows_text(&rows, admin_commands[i].role == CONFIG_ADMIN_OPERATE ? "operate" : "read");
        rows_text(&rows, admin_commands[i].help);
    }
    rows_end(&rows);
}
