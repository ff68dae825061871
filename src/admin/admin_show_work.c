/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW of what the workers know: each is asked, and what has come is shown. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/backend/topo.h"
#include "weir/classify/classify.h"
#include "weir/util/clock.h"
#include "weir/util/metric.h"

#include "admin_priv.h"

static void ask(struct admin_sess *sess, const struct words *words, size_t at, unsigned what,
                admin_ready_fn ready)
{
    struct words_filter filter;

    if (!admin_filter(sess, words, at, &filter) || admin_wait_begin(sess, ready) == NULL) {
        return;
    }
    sess->wait->filter = filter;
    admin_wait_ask(sess, what);
}

/* Names joined by commas into one cell. */
struct joined {
    char text[512];
    size_t len;
};

static void join(struct joined *joined, const char *word)
{
    int n = snprintf(joined->text + joined->len, sizeof(joined->text) - joined->len, "%s%s",
                     joined->len > 0 ? "," : "", word);

    if (n > 0 && joined->len + (size_t)n < sizeof(joined->text)) {
        joined->len += (size_t)n;
    } else {
        joined->text[joined->len] = '\0';
    }
}

static void row_servers(struct admin_rows *rows, const struct admin_view *view, uint64_t servers)
{
    struct joined joined = {.len = 0};

    for (uint16_t i = 0; i < view->topo->server_count && i < TOPO_SERVERS_MAX; i++) {
        if ((servers >> i & 1) != 0) {
            join(&joined, view->topo->servers[i].name);
        }
    }
    rows_text(rows, joined.text);
}

static void row_pins(struct admin_rows *rows, uint32_t pins)
{
    struct joined joined = {.len = 0};

    for (unsigned pin = 0; pin < PIN_END_; pin++) {
        if ((pins & PIN_BIT(pin)) != 0) {
            join(&joined, classify_pin_name((enum classify_pin)pin));
        }
    }
    rows_text(rows, joined.text);
}

static void row_keeps(struct admin_rows *rows, uint32_t keeps)
{
    static const char *const names[] = {
#define X(name, text) [SESS_KEEP_##name] = (text),
        SESS_KEEPS(X)
#undef X
    };
    struct joined joined = {.len = 0};

    for (unsigned keep = 0; keep < SESS_KEEP_END_; keep++) {
        if ((keeps >> keep & 1) != 0) {
            join(&joined, names[keep]);
        }
    }
    rows_text(rows, joined.text);
}

static void row_trail(struct admin_rows *rows, const struct sess_list_row *row)
{
    struct joined joined = {.len = 0};

    for (unsigned i = SESS_LIST_TRAIL; i > 0; i--) {
        if (row->trail[i - 1] != NULL) {
            join(&joined, row->trail[i - 1]);
        }
    }
    rows_text(rows, joined.text);
}

/* 0 where it is not known. */
static void row_digest(struct admin_rows *rows, uint64_t digest)
{
    if (digest == 0) {
        rows_text(rows, "0");
    } else {
        rows_printf(rows, "%016" PRIx64, digest);
    }
}

/* Where it has seen what it must not see less of. */
static void row_floor(struct admin_rows *rows, const struct admin_view *view,
                      const struct sess_list_row *row)
{
    bool has_server =
        row->floor_server >= 0 && row->floor_server < (int16_t)view->topo->server_count;

    if (row->is_blind) {
        rows_text(rows, "unknown");
    } else if (has_server) {
        rows_text(rows, view->topo->servers[row->floor_server].name);
    } else {
        rows_text(rows, row->has_floor ? "set" : "");
    }
}

static void row_session(struct admin_rows *rows, const struct admin_view *view,
                        const struct sess_list_row *row)
{
    static const char *const tx[] = {
        [SESS_LIST_NO_TX] = "", [SESS_LIST_TX] = "primary", [SESS_LIST_TX_REPLICA] = "read_only"};
    bool has_server = row->server >= 0 && row->server < (int16_t)view->topo->server_count;

    rows_u64(rows, row->id);
    rows_text(rows, row->user);
    rows_text(rows, row->host);
    rows_text(rows, row->schema);
    rows_text(rows, row->state);
    rows_printf(rows, "%.3f", (double)row->state_us / CLOCK_US_PER_SECOND);
    rows_text(rows, has_server ? view->topo->servers[row->server].name : "");
    rows_text(rows, tx[row->tx]);
    row_pins(rows, row->pins);
    row_digest(rows, row->pin_digest);
    row_digest(rows, row->digest);
    row_servers(rows, view, row->servers);
    row_keeps(rows, row->keeps);
    rows_u64(rows, row->commands);
    rows_u64(rows, row->bytes_in);
    rows_u64(rows, row->bytes_out);
    rows_text(rows, row->waiting == NULL ? "" : row->waiting);
    rows_u64(rows, row->token);
    row_floor(rows, view, row);
    row_trail(rows, row);
}

static void sessions_ready(struct admin_sess *sess)
{
    const struct admin_wait *wait = sess->wait;
    struct admin_view view;
    struct admin_rows rows;
    uint64_t left_off = 0;

    for (uint32_t i = 0; i < wait->count; i++) {
        left_off +=
            wait->sessions[i] == NULL ? 0 : wait->sessions[i]->sessions - wait->sessions[i]->count;
    }
    if (left_off > 0) {
        admin_warn(sess, "%" PRIu64 " idle sessions are not shown", left_off);
    }
    admin_view(sess, &view);
    rows_begin(&rows, sess,
               "id#,user,host,schema,state,seconds,server,transaction,pins,pin_digest,digest,"
               "connections,keeps,commands#,bytes_in#,bytes_out#,waiting,token#,floor,trail",
               &wait->filter, false);
    for (uint32_t i = 0; i < wait->count; i++) {
        for (uint32_t k = 0; wait->sessions[i] != NULL && k < wait->sessions[i]->count; k++) {
            row_session(&rows, &view, &wait->sessions[i]->rows[k]);
        }
    }
    rows_end(&rows);
}

void admin_show_sessions(struct admin_sess *sess, const struct words *words, size_t at)
{
    ask(sess, words, at, ADMIN_ASK_SESSIONS, sessions_ready);
}

/* The metric has the reasons in the order of the pins. */
#define X(name, text) _Static_assert((int)METRIC_PIN_##name == (int)PIN_##name, "one order");
CLASSIFY_PINS(X)
#undef X

static void pins_ready(struct admin_sess *sess)
{
    const struct admin_wait *wait = sess->wait;
    struct admin_view view;
    struct admin_rows rows;

    admin_view(sess, &view);
    rows_begin(&rows, sess, "reason,sessions#,times#", &wait->filter, true);
    for (unsigned pin = 0; pin < PIN_END_; pin++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < wait->count; i++) {
            sum += wait->sessions[i] == NULL ? 0 : wait->sessions[i]->pins[pin];
        }
        rows_text(&rows, classify_pin_name((enum classify_pin)pin));
        rows_u64(&rows, sum);
        rows_u64(&rows, (uint64_t)metric_read(view.registry, METRIC_PINS, pin));
    }
    rows_end(&rows);
}

void admin_show_pins(struct admin_sess *sess, const struct words *words, size_t at)
{
    ask(sess, words, at, ADMIN_ASK_SESSIONS, pins_ready);
}

static void row_ms(struct admin_rows *rows, uint64_t us)
{
    rows_printf(rows, "%" PRIu64 ".%03" PRIu64, us / CLOCK_US_PER_MS, us % CLOCK_US_PER_MS);
}

static void row_statement(struct admin_rows *rows, const struct digest_row *row, uint64_t now_us)
{
    rows_printf(rows, "%016" PRIx64, row->hash);
    rows_u64(rows, row->count);
    rows_u64(rows, row->errors);
    rows_u64(rows, row->on_replica);
    rows_u64(rows, row->count - row->on_replica - row->cache_hits);
    rows_u64(rows, row->cache_hits);
    row_ms(rows, row->total_us);
    row_ms(rows, row->count > 0 ? row->total_us / row->count : 0);
    row_ms(rows, digest_quantile_us(row, 0.5));
    row_ms(rows, digest_quantile_us(row, 0.95));
    row_ms(rows, digest_quantile_us(row, 0.99));
    row_ms(rows, row->max_us);
    rows_u64(rows, row->bytes);
    rows_u64(rows, (now_us - row->first_us) / CLOCK_US_PER_SECOND);
    rows_u64(rows, now_us > row->last_us ? (now_us - row->last_us) / CLOCK_US_PER_SECOND : 0);
    rows_span(rows, digest_text(row));
}

static void digests_ready(struct admin_sess *sess)
{
    const struct admin_wait *wait = sess->wait;
    uint64_t now_us = loop_now_us(sess->admin->conf.loop);
    struct digest_list *list = NULL;
    struct admin_view view;
    struct admin_rows rows;

    admin_view(sess, &view);
    if (digest_list_merge(wait->digests, wait->count, &list) < 0) {
        admin_error(sess, 1041, "HY000", "weir: out of memory");
        return;
    }
    if (view.config->observe.digests == 0) {
        admin_warn(sess, "observe.digests is 0: none are remembered");
    } else if (list->left_off > 0) {
        admin_warn(sess, "%u digests that took less time are not shown", (unsigned)list->left_off);
    }
    rows_begin(
        &rows, sess,
        "digest,count#,errors#,on_replicas#,on_primary#,cache_hits#,total_ms,avg_ms,p50_ms,p95_ms,"
        "p99_ms,max_ms,bytes#,first_s#,last_s#,text",
        &wait->filter, false);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->rows[i].count > 0) { /* else its first one still runs */
            row_statement(&rows, &list->rows[i], now_us);
        }
    }
    digest_list_free(list);
    rows_end(&rows);
}

void admin_show_digests(struct admin_sess *sess, const struct words *words, size_t at)
{
    ask(sess, words, at, ADMIN_ASK_DIGESTS, digests_ready);
}
