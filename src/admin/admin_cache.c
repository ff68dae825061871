/* SPDX-License-Identifier: Apache-2.0 */
/* The cache: what it holds and why it was of no use, and statements that end answers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/cache.h"
#include "weir/cache/tag.h"
#include "weir/util/clock.h"

#include "admin_priv.h"

#define ITEM_BYTES 64

/* False: there is none, and that was answered. */
static bool has_cache(struct admin_sess *sess, struct admin_view *ret_view)
{
    admin_view(sess, ret_view);
    if (ret_view->cache != NULL) {
        return true;
    }
    admin_error(sess, 1105, "HY000",
                "weir: there is no cache: cache.memory is off; set it, as in 256MiB, and restart");
    return false;
}

/* --- SHOW CACHE --- */

static uint64_t read_one(const struct admin_view *view, enum metric metric, size_t label)
{
    return (uint64_t)metric_read(view->registry, metric, label);
}

static void row_count(struct admin_rows *rows, const char *item, uint64_t value)
{
    rows_text(rows, item);
    rows_u64(rows, value);
}

/* One row for each label of a metric, called as the label's word: reason="absent" is
 * misses_absent. Returns their sum. */
static uint64_t rows_labels(struct admin_rows *rows, const struct admin_view *view,
                            enum metric metric, const char *name, const char *const *labels,
                            size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const char *word = strchr(labels[i], '"') + 1;
        uint64_t value = read_one(view, metric, i);
        char item[ITEM_BYTES];

        (void)snprintf(item, sizeof(item), "%s_%.*s", name, (int)strcspn(word, "\""), word);
        row_count(rows, item, value);
        sum += value;
    }
    return sum;
}

static void rows_memory(struct admin_rows *rows, const struct admin_view *view)
{
    struct cache_stats stats;

    cache_memory_stats(view->cache->memory, &stats);
    row_count(rows, "memory_bytes", view->config->cache.memory_bytes);
    row_count(rows, "bytes", stats.bytes);
    row_count(rows, "entries", stats.entries);
    row_count(rows, "inserted", stats.inserted);
    row_count(rows, "replaced", stats.replaced);
    row_count(rows, "evicted", stats.evicted);
    row_count(rows, "returned_after_eviction", stats.returned);
    row_count(rows, "dropped", stats.dropped);
    row_count(rows, "no_room", stats.refused);
}

static void rows_use(struct admin_rows *rows, const struct admin_view *view)
{
#define X(set, value, text) text,
    static const char *const misses[] = {METRIC_SET_MISS(X)};
    static const char *const unfilled[] = {METRIC_SET_UNFILLED(X)};
    static const char *const passed[] = {METRIC_SET_PASS(X)};
#undef X
    uint64_t hits = read_one(view, METRIC_CACHE_HITS, METRIC_NONE);
    uint64_t asked = hits;

    row_count(rows, "hits", hits);
    row_count(rows, "stale_hits", read_one(view, METRIC_CACHE_STALE_HITS, METRIC_NONE));
    asked += rows_labels(rows, view, METRIC_CACHE_MISSES, "misses", misses, WR_ARRAY_LEN(misses));
    rows_text(rows, "hit_percent");
    if (asked == 0) {
        rows_null(rows);
    } else {
        rows_printf(rows, "%.1f", 100.0 * (double)hits / (double)asked);
    }
    row_count(rows, "flights_joined", read_one(view, METRIC_CACHE_WAITS, METRIC_NONE));
    row_count(rows, "fills", read_one(view, METRIC_CACHE_FILLS, METRIC_NONE));
    (void)rows_labels(rows, view, METRIC_CACHE_UNFILLED, "fills_refused", unfilled,
                      WR_ARRAY_LEN(unfilled));
    (void)rows_labels(rows, view, METRIC_CACHE_PASSED, "passed", passed, WR_ARRAY_LEN(passed));
}

static void rows_ends(struct admin_rows *rows, const struct admin_view *view, uint64_t now_us)
{
#define X(set, value, text) text,
    static const char *const sources[] = {METRIC_SET_SOURCE(X)};
#undef X
    const struct cache_stream *stream = &view->cache->stream;
    uint64_t since_us = cache_stream_since_us(stream);

    (void)rows_labels(rows, view, METRIC_CACHE_INVALIDATIONS, "invalidations", sources,
                      WR_ARRAY_LEN(sources));
    rows_text(rows, "binlog");
    rows_text(rows, cache_stream_state_text(cache_stream_state(stream)));
    rows_text(rows, "binlog_is_heard");
    rows_text(rows, cache_stream_is_heard(stream, now_us) ? "yes" : "no");
    rows_text(rows, "binlog_unbroken_s");
    if (since_us == 0) {
        rows_null(rows);
    } else {
        rows_u64(rows, now_us > since_us ? (now_us - since_us) / CLOCK_US_PER_SECOND : 0);
    }
}

/* What lies in Redis, and Redis itself as it says. */
static void rows_tier(struct admin_rows *rows, const struct admin_view *view)
{
#define X(set, value, text) text,
    static const char *const ops[] = {METRIC_SET_TIER_OP(X)};
    static const char *const misses[] = {METRIC_SET_TIER_MISS(X)};
    static const char *const unfilled[] = {METRIC_SET_TIER_UNFILLED(X)};
    static const char *const troubles[] = {METRIC_SET_TIER_TROUBLE(X)};
#undef X

    rows_text(rows, "redis");
    rows_text(rows, view->config->cache.redis ? "on" : "off");
    if (!view->config->cache.redis) {
        return;
    }
    row_count(rows, "redis_connections", read_one(view, METRIC_TIER_UP, METRIC_NONE));
    row_count(rows, "redis_not_asked", read_one(view, METRIC_TIER_OPEN, METRIC_NONE));
    (void)rows_labels(rows, view, METRIC_TIER_OPS, "redis_commands", ops, WR_ARRAY_LEN(ops));
    row_count(rows, "redis_hits", read_one(view, METRIC_TIER_HITS, METRIC_NONE));
    (void)rows_labels(rows, view, METRIC_TIER_MISSES, "redis_misses", misses, WR_ARRAY_LEN(misses));
    row_count(rows, "redis_fills", read_one(view, METRIC_TIER_FILLS, METRIC_NONE));
    (void)rows_labels(rows, view, METRIC_TIER_UNFILLED, "redis_fills_refused", unfilled,
                      WR_ARRAY_LEN(unfilled));
    (void)rows_labels(rows, view, METRIC_TIER_TROUBLES, "redis_troubles", troubles,
                      WR_ARRAY_LEN(troubles));
    row_count(rows, "redis_memory_bytes", read_one(view, METRIC_REDIS_MEMORY, METRIC_NONE));
    row_count(rows, "redis_memory_peak_bytes",
              read_one(view, METRIC_REDIS_MEMORY_PEAK, METRIC_NONE));
    row_count(rows, "redis_clients", read_one(view, METRIC_REDIS_CLIENTS, METRIC_NONE));
    row_count(rows, "redis_evicted", read_one(view, METRIC_REDIS_EVICTED, METRIC_NONE));
    row_count(rows, "redis_expired", read_one(view, METRIC_REDIS_EXPIRED, METRIC_NONE));
}

void admin_show_cache(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;

    if (!admin_filter(sess, words, at, &filter) || !has_cache(sess, &view)) {
        return;
    }
    rows_begin(&rows, sess, "item,value", &filter, true);
    rows_memory(&rows, &view);
    rows_use(&rows, &view);
    rows_ends(&rows, &view, clock_now_us());
    rows_tier(&rows, &view);
    rows_end(&rows);
}

/* --- CACHE FLUSH, CACHE PURGE --- */

static void answer(struct admin_sess *sess, const char *text)
{
    struct admin_rows rows;

    metric_inc(sess->admin->conf.metrics, METRIC_CACHE_INVALIDATIONS, METRIC_SOURCE_PURGE);
    rows_begin(&rows, sess, "result", NULL, false);
    rows_text(&rows, text);
    rows_end(&rows);
}

void admin_cache_flush(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct admin_view view;
    char text[ITEM_BYTES];

    if (at != words->count) {
        admin_error(sess, 1064, "42000", "weir: CACHE FLUSH takes nothing behind it");
        return;
    }
    if (has_cache(sess, &view)) {
        cache_note_purge(view.cache);
        (void)snprintf(text, sizeof(text), "%" PRIu64 " answers dropped",
                       cache_flush(view.cache, clock_now_us()));
        answer(sess, text);
    }
}

/* As if it had been written to. */
static void purge(struct admin_sess *sess, struct cache *cache, struct version_writes *writes,
                  const char *what)
{
    char text[3 * WORDS_TEXT_MAX];
    bool is_all = writes->is_all;

    cache_note_purge(cache);
    version_write_begin(cache->board, writes);
    version_write_end(cache->board, writes, clock_now_us());
    (void)snprintf(text, sizeof(text), "answers %s are not given any more%s", what,
                   is_all ? ", nor any others: the name is not ASCII" : "");
    answer(sess, text);
}

void admin_cache_purge_table(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct version_writes writes = {0};
    struct admin_view view;
    char schema[WORDS_TEXT_MAX];
    char name[WORDS_TEXT_MAX];
    char what[2 * WORDS_TEXT_MAX + 16];
    enum catalogue_kind kind = CATALOGUE_UNKNOWN;

    if (!words_table(words, at, schema, name)) {
        admin_error(sess, 1064, "42000",
                    "weir: CACHE PURGE TABLE schema.name; quote it where it needs quotes");
        return;
    }
    if (!has_cache(sess, &view)) {
        return;
    }
    kind = catalogue_table(view.catalogue, catalogue_covers(view.catalogue), span_of(schema),
                           span_of(name));
    if (kind == CATALOGUE_UNKNOWN) {
        admin_warn(sess, "the primary was not seen to have a table %.50s.%.50s", schema, name);
    } else if (kind == CATALOGUE_VIEW_HARMLESS || kind == CATALOGUE_VIEW_OTHER) {
        admin_warn(sess, "%.50s.%.50s is a view: purge the tables that it reads", schema, name);
    }
    version_writes_add_table(&writes, span_of(schema), span_of(name));
    (void)snprintf(what, sizeof(what), "read from %s.%s", schema, name);
    purge(sess, view.cache, &writes, what);
}

/* The one word behind the statement. */
static bool one_text(const struct words *words, size_t at, char text[WORDS_TEXT_MAX])
{
    return at + 1 == words->count && !words->has_more && word_text(&words->item[at], text) &&
           text[0] != '\0';
}

void admin_cache_purge_schema(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct version_writes writes = {0};
    struct admin_view view;
    char schema[WORDS_TEXT_MAX];
    char what[WORDS_TEXT_MAX + 32];

    if (!one_text(words, at, schema)) {
        admin_error(sess, 1064, "42000", "weir: CACHE PURGE SCHEMA name");
        return;
    }
    if (!has_cache(sess, &view)) {
        return;
    }
    if (version_name_is_plain(span_of(schema))) {
        version_writes_add(&writes, version_slot_schema(span_of(schema)));
    } else {
        version_writes_add_all(&writes);
    }
    (void)snprintf(what, sizeof(what), "read from tables of %s", schema);
    purge(sess, view.cache, &writes, what);
}

void admin_cache_purge_tag(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct version_writes writes = {0};
    struct admin_view view;
    char tag[WORDS_TEXT_MAX];
    char what[WORDS_TEXT_MAX + 32];

    if (!one_text(words, at, tag) || !cache_tag_purge(span_of(tag), &writes)) {
        admin_error(sess, 1064, "42000",
                    "weir: CACHE PURGE TAG 'name', or 'name:*' for all tags below it; for all "
                    "answers CACHE FLUSH");
        return;
    }
    if (!has_cache(sess, &view)) {
        return;
    }
    (void)snprintf(what, sizeof(what), "with the tag %s", tag);
    purge(sess, view.cache, &writes, what);
}
