/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From events to versions. A transaction's tables are collected until it ends in the log; then they
 * are under way at the board until the primary is known to show them (pending.c).
 *
 * Whether a transaction has ended is told by what began it: BEGIN, XA START, or a GTID of MariaDB that
 * is not of a single event, is open until COMMIT, ROLLBACK, XID or XA PREPARE; else one statement is all.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <xxhash.h>

#include "weir/cache/writes.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "binlog_priv.h"

/* The one place where a table that the log names becomes versions, with what it drags along: the log
 * has no rows of what a foreign key changes, nor, as statements, of what a trigger does. */
static void table_note(void *arg, struct version_writes *writes, struct span schema,
                       struct span name)
{
    struct binlog *binlog = arg;

    (void)pthread_mutex_lock(&binlog->lock);
    if (binlog->catalogue == NULL) {
        version_writes_add_table(writes, schema, name);
    } else {
        cache_writes_add_named(writes, binlog->catalogue, catalogue_ddl_seen(), schema, name);
    }
    (void)pthread_mutex_unlock(&binlog->lock);
}

/* By its rows, when these events tell all that is changed. */
static bool table_map(struct binlog *binlog, const struct event *event, struct span schema,
                      struct span name)
{
    struct catalogue_key keys[CATALOGUE_KEYS_MAX];
    struct rows_table *table = NULL;
    size_t count = 0;

    (void)pthread_mutex_lock(&binlog->lock);
    count = version_name_is_plain(schema) && version_name_is_plain(name)
                ? catalogue_keys(binlog->catalogue, catalogue_ddl_seen(), schema, name, keys)
                : 0;
    table = rows_map(&binlog->rows, event, keys, count);
    (void)pthread_mutex_unlock(&binlog->lock);
    return table != NULL && !table->is_whole;
}

/* Tables whose rows were announced and did not come. */
static void rows_end(struct binlog *binlog)
{
    for (uint32_t i = 0; i < binlog->rows.count; i++) {
        const struct rows_table *table = &binlog->rows.tables[i];

        if (!table->is_whole && !table->is_written) {
            table_note(binlog, &binlog->writes, rows_schema(table), rows_name(table));
        }
    }
    binlog->rows.count = 0;
}

/* --- the end of a transaction --- */

static void push(struct binlog *binlog, const struct gtid_set *gtid, uint64_t due_us)
{
    if (binlog->writes.is_all) {
        metric_inc(binlog->metrics, METRIC_BINLOG_ALL, METRIC_NONE);
    } else {
        metric_add(binlog->metrics, METRIC_BINLOG_BUMPS, METRIC_NONE, binlog->writes.count);
    }
    metric_inc(binlog->metrics, METRIC_CACHE_INVALIDATIONS, METRIC_SOURCE_BINLOG);
    (void)pthread_mutex_lock(&binlog->lock);
    pending_push(&binlog->pending, &binlog->writes, gtid, due_us);
    (void)pthread_mutex_unlock(&binlog->lock);
}

void binlog_everything(struct binlog *binlog, uint64_t due_us)
{
    memset(&binlog->writes, 0, sizeof(binlog->writes));
    version_writes_add_all(&binlog->writes);
    push(binlog, NULL, due_us);
}

static const struct gtid_set *executed(const struct binlog *binlog)
{
    const struct position *position = positions_of(binlog->positions, binlog->server);

    return position == NULL ? NULL : &position->executed->set;
}

void binlog_settle(struct binlog *binlog)
{
    (void)pthread_mutex_lock(&binlog->lock);
    pending_settle(&binlog->pending, executed(binlog), clock_now_us());
    (void)pthread_mutex_unlock(&binlog->lock);
}

/* MySQL says what can be seen, when somebody asks it. */
static bool is_seen_by_gtid(struct binlog *binlog)
{
    bool is = false;

    if (binlog->has_gtid && !binlog->gtid.is_mariadb && !binlog->gtid.is_anonymous) {
        (void)pthread_mutex_lock(&binlog->lock);
        is = executed(binlog) != NULL;
        (void)pthread_mutex_unlock(&binlog->lock);
    }
    return is;
}

static void note_delay(struct binlog *binlog)
{
    uint64_t wall_us = clock_wall_us();

    if (binlog->has_gtid && binlog->gtid.commit_us != 0 && wall_us > binlog->gtid.commit_us) {
        metric_observe(binlog->metrics, METRIC_BINLOG_DELAY_SECONDS,
                       wall_us - binlog->gtid.commit_us);
    }
}

static void finish(struct binlog *binlog)
{
    struct gtid_set gtid = event_gtid_set(&binlog->gtid);
    bool has_gtid = binlog->has_gtid && !binlog->gtid.is_anonymous;
    bool is_ddl = binlog->is_ddl;

    rows_end(binlog);
    metric_inc(binlog->metrics, METRIC_BINLOG_TRANSACTIONS, METRIC_NONE);
    if (!version_writes_is_empty(&binlog->writes)) {
        if (is_seen_by_gtid(binlog)) {
            push(binlog, &gtid, 0);
        } else {
            push(binlog, NULL, clock_now_us() + BINLOG_SEEN_US);
        }
        note_delay(binlog);
    }
    if (has_gtid && cache_stream_advance(&binlog->conf.cache->stream, &gtid) < 0) {
        binlog->is_safe_known = false; /* whoever asks for it goes to the primary */
    }
    binlog->has_gtid = false;
    binlog->is_open = false;
    binlog->is_ddl = false;
    if (is_ddl && binlog->conf.on_ddl != NULL) {
        binlog->conf.on_ddl(binlog->conf.arg);
    }
}

static void finish_rest(struct binlog *binlog)
{
    if (binlog->is_open || binlog->has_gtid || !version_writes_is_empty(&binlog->writes) ||
        binlog->rows.count > 0) {
        finish(binlog);
    }
}

static void finish_single(struct binlog *binlog)
{
    if (!binlog->is_open) {
        finish(binlog);
    }
}

/* --- events --- */

static void unknown(struct binlog *binlog, const struct event *event)
{
    metric_inc(binlog->metrics, METRIC_BINLOG_UNKNOWN, METRIC_NONE);
    log_warn(&binlog->log_ctx, "binlog_event_unknown",
             "event of type %u near %s:%" PRIu64 " is not understood: all that is kept is void",
             event->type, binlog->at.file, binlog->at.position);
    version_writes_add_all(&binlog->writes);
    finish_single(binlog);
}

static void on_gtid(struct binlog *binlog, const struct event *event)
{
    finish_rest(binlog);
    if (!event_gtid(event, &binlog->gtid)) {
        unknown(binlog, event);
        return;
    }
    binlog->has_gtid = true;
    binlog->is_open = binlog->gtid.is_mariadb && !binlog->gtid.is_single;
}

static void on_table(struct binlog *binlog, const struct event *event)
{
    struct span schema = {NULL, 0};
    struct span name = {NULL, 0};

    if (event_table(event, &schema, &name)) {
        if (!table_map(binlog, event, schema, name)) {
            table_note(binlog, &binlog->writes, schema, name);
        }
    } else {
        unknown(binlog, event);
    }
}

static void on_query(struct binlog *binlog, const struct event *event)
{
    struct statement_env env = {
        .flavour = binlog->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = binlog->version,
        .on_table = table_note,
        .arg = binlog,
    };
    struct event_query query;
    struct span text = {NULL, 0};
    bool is_ddl = false;

    buf_clear(&binlog->text);
    if (!event_query(event, &query) ||
        !event_query_text(&query, &binlog->text, BINLOG_UNPACKED_MAX, &text)) {
        unknown(binlog, event);
        return;
    }
    switch (statement_read(&query, text, &env, &binlog->writes, &is_ddl)) {
    case STATEMENT_BEGINS:
        binlog->is_open = true;
        break;
    case STATEMENT_ENDS:
        finish(binlog);
        break;
    case STATEMENT_ALONE:
        binlog->is_ddl = binlog->is_ddl || is_ddl;
        finish_single(binlog);
        break;
    case STATEMENT_NOTHING:
        break;
    }
    buf_trim(&binlog->text);
}

static void on_rows(struct binlog *binlog, const struct event *event)
{
    struct rows_table *table = rows_find(&binlog->rows, event);

    if (table == NULL) {
        /* of more tables than are kept apart, each has been noted; else of none that was named */
        if (binlog->rows.count < ROWS_TABLES || version_writes_is_empty(&binlog->writes)) {
            version_writes_add_all(&binlog->writes);
        }
        return;
    }
    table->is_written = true;
    if (!table->is_whole && !rows_read(event, table, &binlog->writes)) {
        table->is_whole = true;
        table_note(binlog, &binlog->writes, rows_schema(table), rows_name(table));
    }
}

static void on_inner(struct binlog *binlog, const struct event *event);

static void on_payload(struct binlog *binlog, const struct event *event)
{
    struct span events = {NULL, 0};
    struct event inner;

    buf_clear(&binlog->unpacked);
    if (!event_payload(event, &binlog->unpacked, BINLOG_UNPACKED_MAX, &events)) {
        unknown(binlog, event);
        finish_rest(binlog); /* its COMMIT is in it */
        return;
    }
    while (events.len > 0) {
        if (!event_next(&events, &inner) || inner.type == EVENT_PAYLOAD) {
            unknown(binlog, event);
            break;
        }
        on_inner(binlog, &inner);
    }
    finish_rest(binlog);
    buf_fini(&binlog->unpacked);
    buf_init(&binlog->unpacked);
}

/* What stands in transactions, and what nobody knows. */
static void on_inner(struct binlog *binlog, const struct event *event)
{
    switch (event->type) { /* a number of a server's, not an enum of ours */
    case EVENT_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_ANONYMOUS:
    case EVENT_MARIA_GTID:
        on_gtid(binlog, event);
        break;
    case EVENT_TABLE_MAP:
        on_table(binlog, event);
        break;
    case EVENT_QUERY:
    case EVENT_MARIA_QUERY:
    case EVENT_EXECUTE_LOAD:
        on_query(binlog, event);
        break;
    case EVENT_WRITE_ROWS_1:
    case EVENT_UPDATE_ROWS_1:
    case EVENT_DELETE_ROWS_1:
    case EVENT_WRITE_ROWS:
    case EVENT_UPDATE_ROWS:
    case EVENT_DELETE_ROWS:
    case EVENT_PARTIAL_ROWS:
    case EVENT_MARIA_WRITE_ROWS_1:
    case EVENT_MARIA_UPDATE_ROWS_1:
    case EVENT_MARIA_DELETE_ROWS_1:
    case EVENT_MARIA_WRITE_ROWS:
    case EVENT_MARIA_UPDATE_ROWS:
    case EVENT_MARIA_DELETE_ROWS:
        on_rows(binlog, event);
        break;
    case EVENT_XID:
    case EVENT_XA_PREPARE:
        finish(binlog);
        break;
    case EVENT_PAYLOAD:
        on_payload(binlog, event);
        break;
    case EVENT_INCIDENT: /* something has been written that is not in the log */
        metric_inc(binlog->metrics, METRIC_BINLOG_GAPS, METRIC_NONE);
        version_writes_add_all(&binlog->writes);
        finish_single(binlog);
        break;
    case EVENT_STOP:
    case EVENT_INTVAR:
    case EVENT_APPEND_BLOCK:
    case EVENT_DELETE_FILE:
    case EVENT_RAND:
    case EVENT_USER_VAR:
    case EVENT_BEGIN_LOAD:
    case EVENT_HEARTBEAT:
    case EVENT_HEARTBEAT_2:
    case EVENT_IGNORABLE:
    case EVENT_ROWS_QUERY:
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_CONTEXT:
    case EVENT_VIEW_CHANGE:
    case EVENT_MARIA_ANNOTATE:
    case EVENT_MARIA_CHECKPOINT:
    case EVENT_MARIA_GTID_LIST:
    case EVENT_MARIA_ENCRYPTION:
        break;
    default:
        if ((event->flags & EVENT_FLAG_IGNORABLE) == 0) {
            unknown(binlog, event);
        }
        break;
    }
}

/* --- where in the log --- */

static int on_rotate(struct binlog *binlog, const struct event *event)
{
    struct span file = {NULL, 0};
    uint64_t position = 0;

    if (!event_rotate(event, &file, &position) || file.len >= BINLOG_FILE_MAX) {
        return -WR_E_BAD_PACKET;
    }
    (void)span_copy(file, binlog->at.file, sizeof(binlog->at.file));
    binlog->at.position = position;
    binlog->is_born_known = false;
    return 0;
}

/* The same name need not be the same file: RESET begins to count anew. */
static int on_format(struct binlog *binlog, const struct event *event)
{
    bool is_same_file = strcmp(binlog->at.file, binlog->safe.file) == 0;

    if (!event_format(event, &binlog->has_checksum)) {
        return -WR_E_BAD_PACKET;
    }
    if (!binlog->has_format && is_same_file && binlog->format_s != 0 &&
        binlog->format_s != event->when_s) {
        return -WR_E_NOT_FOUND;
    }
    binlog->has_format = true;
    binlog->is_born_known = true;
    binlog->format_s = event->when_s;
    return 0;
}

/* "binlog.000042": 42, and the bytes before the dot. */
static bool file_number(const char *file, size_t *ret_stem, uint32_t *ret_number)
{
    const char *dot = strrchr(file, '.');
    uint64_t number = 0;

    if (dot == NULL || dot[1] == '\0') {
        return false;
    }
    for (const char *at = dot + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > UINT32_MAX / 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *ret_stem = (size_t)(dot - file);
    *ret_number = (uint32_t)number;
    return true;
}

/* So far all has been taken in, in words that other weirs understand. */
void binlog_place(struct binlog *binlog)
{
    struct log_place place = {.log = 0};
    size_t stem = 0;

    if (binlog->is_born_known && binlog->is_safe_known && binlog->facts.has_places &&
        file_number(binlog->safe.file, &stem, &place.file)) {
        place.log = XXH3_64bits_withSeed(
                        binlog->facts.who, strlen(binlog->facts.who),
                        XXH3_64bits_withSeed(binlog->safe.file, stem, binlog->facts.follows)) |
                    1U;
        place.born_s = binlog->format_s;
        place.offset = binlog->safe.position;
    }
    cache_stream_move(&binlog->conf.cache->stream, &place);
}

static void step(struct binlog *binlog, const struct event *event, size_t bytes)
{
    bool is_in_file = event->next != 0 && (event->flags & EVENT_FLAG_ARTIFICIAL) == 0;

    if (is_in_file && event->type != EVENT_ROTATE && event->type != EVENT_HEARTBEAT &&
        event->type != EVENT_HEARTBEAT_2) {
        /* beyond 4 GiB what it says has lost its upper half */
        binlog->at.position =
            event->next > binlog->at.position ? event->next : binlog->at.position + bytes;
    }
    if (!binlog->is_open && !binlog->has_gtid) {
        binlog->safe = binlog->at;
        binlog->is_safe_known = binlog->at.position <= UINT32_MAX;
        if (is_in_file || event->type == EVENT_FORMAT || event->type == EVENT_ROTATE) {
            binlog_place(binlog);
        }
    }
}

bool binlog_is_at(const struct binlog *binlog, const struct log_at *mark)
{
    size_t len = strlen(binlog->at.file);
    size_t mark_len = strlen(mark->file);
    int order = len != mark_len ? (len > mark_len ? 1 : -1) : strcmp(binlog->at.file, mark->file);

    return order > 0 || (order == 0 && binlog->at.position >= mark->position);
}

int binlog_apply(struct binlog *binlog, struct span bytes)
{
    struct event event;
    int r = 0;

    if (!event_decode(bytes, binlog->has_checksum, &event)) {
        return -WR_E_BAD_PACKET;
    }
    if (event.type == EVENT_ROTATE) {
        r = on_rotate(binlog, &event);
    } else if (event.type == EVENT_FORMAT) {
        r = on_format(binlog, &event);
    } else {
        on_inner(binlog, &event);
    }
    if (r == 0) {
        step(binlog, &event, bytes.len);
    }
    return r;
}
