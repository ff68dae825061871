/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two connections to the primary: one asks, one reads. The log is asked for by file and position, which
 * every pair of library and server can; a transaction is read again from its beginning when the
 * connection was lost inside it.
 *
 * All that was written until t has been taken in when a heartbeat came after t (a server sends one only
 * when it has nothing else to send) and nothing lies behind it on the socket; under load, when the log
 * has been read up to where the server said at t that it ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/config/config.h"
#include "weir/util/clock.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "binlog_priv.h"

/* A server that has nothing to send says so as often: seen writes are ended then, too. */
#define HEARTBEAT_NS "100000000"
#define MARK_US      UINT64_C(250000)
#define MARK_TIER_US \
    UINT64_C(        \
        50000) /* for answers out of Redis: what was kept between a write and a mark is a miss */
#define FACTS_US   UINT64_C(2000000)
#define BARREN_MAX 3U
/* A longer wait for replicas is not worth waiting out. */
#define LATE_MAX_US UINT64_C(60000000)

#define ERROR_PURGED 1236U /* ER_SOURCE_FATAL_ERROR_READING_BINLOG */

static enum cache_stream_state state_of(unsigned number)
{
    switch (number) { /* servers' and libraries' numbers */
    case 1044:
    case 1045:
    case 1142:
    case 1227:
        return CACHE_STREAM_NO_PRIVILEGE;
    case 2059: /* CR_AUTH_PLUGIN_CANNOT_LOAD */
        return CACHE_STREAM_LIBRARY;
    default:
        return CACHE_STREAM_FAILED;
    }
}

static enum cache_stream_state failed(struct binlog *binlog, const struct db *db,
                                      char why[DB_ERROR_MAX])
{
    (void)binlog;
    (void)snprintf(why, DB_ERROR_MAX, "%u: %s", db_errno(db), db_error(db));
    return state_of(db_errno(db));
}

static enum cache_stream_state connect_to(struct binlog *binlog, const struct topo_server *server,
                                          struct db **ret_db, char why[DB_ERROR_MAX])
{
    const struct config *config = binlog->conf.config;
    struct db_target target;
    unsigned number = 0;

    db_target_server(config, &config->servers[server->config_index],
                     strchr(server->name, '#') != NULL, &server->addr, config->monitor.timeout_us,
                     &target);
    if (db_open(&target, ret_db, why, &number) < 0) {
        *ret_db = NULL;
        /* libmariadb leaves the server's 1045 with a text of its own */
        return strstr(why, "could not be loaded") != NULL ? CACHE_STREAM_LIBRARY : state_of(number);
    }
    return CACHE_STREAM_READING;
}

/* --- what the primary says --- */

#define SQL_WHO_MYSQL                                                  \
    "SELECT @@global.server_uuid AS who, @@global.log_bin AS log_bin," \
    " @@global.binlog_checksum AS checksum, @@global.gtid_mode='ON' AS gtids,"
static const char SQL_WHO_MYSQL_NEW[] = SQL_WHO_MYSQL " @@global.log_replica_updates AS follows";
static const char SQL_WHO_MYSQL_OLD[] = SQL_WHO_MYSQL " @@global.log_slave_updates AS follows";
static const char SQL_WHO_MARIADB[] =
    "SELECT CONCAT(@@hostname, ':', @@global.port, ':', @@global.server_id) AS who,"
    " @@global.log_bin AS log_bin, @@global.binlog_checksum AS checksum, 1 AS gtids,"
    " @@global.gtid_binlog_pos AS executed, @@global.gtid_slave_pos AS follows";

/* In milliseconds; the variables come with a plugin, whose name has changed in MySQL 8.0.26. */
static const char *const SQL_LATE[] = {
    "SELECT @@global.rpl_semi_sync_source_timeout WHERE @@global.rpl_semi_sync_source_enabled"
    " AND @@global.rpl_semi_sync_source_wait_point='AFTER_SYNC'",
    "SELECT @@global.rpl_semi_sync_master_timeout FROM (SELECT 1) AS one"
    " WHERE @@global.rpl_semi_sync_master_enabled"
    " AND @@global.rpl_semi_sync_master_wait_point='AFTER_SYNC'",
};

static bool is_on(struct span value)
{
    return span_eq_text(value, "1") || span_eq_text_nocase(value, "on");
}

static uint64_t number_of(struct span value)
{
    char text[24];

    return span_copy(value, text, sizeof(text)) < sizeof(text) ? strtoull(text, NULL, 10) : 0;
}

static bool ask_late(struct binlog *binlog)
{
    binlog->facts.late_us = 0;
    for (size_t i = 0; i < WR_ARRAY_LEN(SQL_LATE); i++) {
        struct db_rows *rows = NULL;

        if (db_query(binlog->ask, SQL_LATE[i], &rows) == 0) {
            if (db_rows_next(rows)) {
                binlog->facts.late_us = number_of(db_rows_get(rows, 0)) * 1000 + 1;
            }
            db_rows_free(rows);
        } else if (db_errno(binlog->ask) >= 2000) {
            return false; /* the connection is gone */
        }
    }
    return true;
}

static void take_set(struct binlog *binlog, struct span text)
{
    gtid_clear(&binlog->facts.executed);
    if (text.p != NULL &&
        gtid_parse(text, GTID_ANY, &GTID_LIMITS_SERVER, &binlog->facts.executed) < 0) {
        gtid_clear(&binlog->facts.executed); /* too large: nobody's token is in it */
    }
}

/* Where the log ends, and since when it does at least. */
static bool ask_end(struct binlog *binlog)
{
    bool is_new = binlog->flavour == TOPO_FLAVOUR_MYSQL && binlog->version >= 80200;
    struct log_facts *facts = &binlog->facts;
    struct db_rows *rows = NULL;

    binlog->asked_us = clock_now_us();
    if (db_query(binlog->ask, is_new ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS", &rows) <
        0) {
        return false;
    }
    facts->is_logging = db_rows_next(rows);
    if (facts->is_logging) {
        (void)span_copy(db_rows_named(rows, "File", NULL), facts->end.file,
                        sizeof(facts->end.file));
        facts->end.position = number_of(db_rows_named(rows, "Position", NULL));
        facts->is_filtered = db_rows_named(rows, "Binlog_Do_DB", NULL).len > 0 ||
                             db_rows_named(rows, "Binlog_Ignore_DB", NULL).len > 0;
        if (binlog->flavour == TOPO_FLAVOUR_MYSQL && facts->has_gtids) {
            take_set(binlog, db_rows_named(rows, "Executed_Gtid_Set", NULL));
        }
    }
    db_rows_free(rows);
    return true;
}

/* What it took over as a replica need not be in its log, whose places then stand for other data once it is a primary again.
 * MariaDB: how far it was is a part of whose log it is. MySQL: such a log has no places. */
static void take_follows(struct binlog *binlog, struct span follows)
{
    struct log_facts *facts = &binlog->facts;

    facts->has_places = binlog->flavour == TOPO_FLAVOUR_MARIADB || is_on(follows);
    facts->follows = XXH3_64bits(follows.p == NULL ? "" : (const char *)follows.p, follows.len);
}

static bool ask_who(struct binlog *binlog)
{
    bool is_mariadb = binlog->flavour == TOPO_FLAVOUR_MARIADB;
    struct log_facts *facts = &binlog->facts;
    struct db_rows *rows = NULL;

    if (db_query(binlog->ask,
                 is_mariadb                 ? SQL_WHO_MARIADB
                 : binlog->version >= 80026 ? SQL_WHO_MYSQL_NEW
                                            : SQL_WHO_MYSQL_OLD,
                 &rows) < 0) {
        return false;
    }
    if (db_rows_next(rows)) {
        (void)span_copy(db_rows_named(rows, "who", NULL), facts->who, sizeof(facts->who));
        facts->is_logging = is_on(db_rows_named(rows, "log_bin", NULL));
        facts->has_checksum = !span_eq_text_nocase(db_rows_named(rows, "checksum", NULL), "none");
        facts->has_gtids = is_on(db_rows_named(rows, "gtids", NULL));
        take_set(binlog, db_rows_named(rows, "executed", NULL));
        take_follows(binlog, db_rows_named(rows, "follows", NULL));
    }
    db_rows_free(rows);
    return true;
}

static bool has_positions(struct binlog *binlog)
{
    bool has = false;

    (void)pthread_mutex_lock(&binlog->lock);
    has = positions_of(binlog->positions, binlog->server) != NULL;
    (void)pthread_mutex_unlock(&binlog->lock);
    return has;
}

/* Whether what the primary says allows to read. */
static enum cache_stream_state judge(struct binlog *binlog)
{
    const struct log_facts *facts = &binlog->facts;
    bool is_told_by_gtid =
        binlog->flavour == TOPO_FLAVOUR_MYSQL && facts->has_gtids && has_positions(binlog);

    if (!facts->is_logging) {
        return CACHE_STREAM_NO_BINLOG;
    }
    if (facts->is_filtered) {
        return CACHE_STREAM_FORMAT;
    }
    if (facts->late_us != 0 && (!is_told_by_gtid || facts->late_us > LATE_MAX_US)) {
        return CACHE_STREAM_AFTER_SYNC;
    }
    return CACHE_STREAM_READING;
}

/* --- the stream --- */

void binlog_end(struct binlog *binlog)
{
    if (binlog->is_begun) {
        metric_inc(binlog->metrics, METRIC_BINLOG_GAPS, METRIC_NONE);
    }
    binlog->is_begun = false;
    memset(&binlog->writes, 0, sizeof(binlog->writes));
    binlog->rows.count = 0;
    (void)pthread_mutex_lock(&binlog->lock);
    pending_end_all(&binlog->pending, clock_now_us());
    (void)pthread_mutex_unlock(&binlog->lock);
    cache_stream_end(&binlog->conf.cache->stream, CACHE_STREAM_FAILED);
}

/* The log is there: all from `at` on will be heard. What is logged before, and not seen yet, will be
 * seen before everything's version is done with. */
static void begin(struct binlog *binlog, uint64_t asked_us)
{
    binlog_everything(binlog, clock_now_us() + BINLOG_SEEN_US + binlog->facts.late_us);
    binlog->is_begun = true;
    (void)snprintf(binlog->who, sizeof(binlog->who), "%s", binlog->facts.who);
    cache_stream_begin(&binlog->conf.cache->stream, &binlog->facts.executed, asked_us);
    binlog_place(binlog);
}

static bool say(struct db *db, const char *sql)
{
    struct db_rows *rows = NULL;

    if (db_query(db, sql, &rows) < 0) {
        return false;
    }
    db_rows_free(rows);
    return true;
}

/* Of both vendors' names one is meant, the other a variable that nobody looks at. */
static bool introduce(struct db *db)
{
    return say(db, "SET @master_binlog_checksum = @@global.binlog_checksum,"
                   " @source_binlog_checksum = @@global.binlog_checksum,"
                   " @master_heartbeat_period = " HEARTBEAT_NS
                   ", @source_heartbeat_period = " HEARTBEAT_NS ", @mariadb_slave_capability = 4");
}

/* Far above what people number servers with. */
static uint32_t server_id(void)
{
    uint32_t id = 0;

    crypto_random(&id, sizeof(id));
    return id | UINT32_C(0xc0000000);
}

static void log_drop(struct binlog *binlog)
{
    struct db *log = binlog->log;

    (void)pthread_mutex_lock(&binlog->lock);
    binlog->log = NULL;
    (void)pthread_mutex_unlock(&binlog->lock);
    db_close(log);
}

/* Only while the thing that was asked for is still wanted: a change that came before is not missed. */
static bool log_take(struct binlog *binlog, struct db *log)
{
    bool is_wanted = false;

    (void)pthread_mutex_lock(&binlog->lock);
    is_wanted =
        !binlog->is_stopping && binlog->topo != NULL && binlog->topo->epoch == binlog->epoch;
    binlog->log = log;
    (void)pthread_mutex_unlock(&binlog->lock);
    return is_wanted;
}

static enum cache_stream_state log_open(struct binlog *binlog, const struct topo_server *server,
                                        char why[DB_ERROR_MAX])
{
    struct db *log = NULL;
    enum cache_stream_state state = connect_to(binlog, server, &log, why);
    struct db_log_start start = {.server_id = server_id()};

    if (state != CACHE_STREAM_READING) {
        return state;
    }
    if (!log_take(binlog, log)) {
        (void)snprintf(why, DB_ERROR_MAX, "the primary has changed");
        return CACHE_STREAM_FAILED;
    }
    if (!binlog->is_begun) {
        binlog->at = binlog->facts.end;
        binlog->safe = binlog->at;
        binlog->is_safe_known = true;
        binlog->format_s = 0;
    } else {
        binlog->at = binlog->safe;
    }
    binlog->has_format = false;
    binlog->is_born_known = false;
    binlog->has_checksum = binlog->facts.has_checksum;
    binlog->has_gtid = false;
    binlog->is_open = false;
    binlog->is_ddl = false;
    memset(&binlog->writes, 0, sizeof(binlog->writes));
    binlog->rows.count = 0;
    start.file = binlog->safe.file;
    start.position = (uint32_t)binlog->safe.position;
    if (!introduce(log) || db_log_open(log, &start) < 0) {
        return failed(binlog, log, why);
    }
    return CACHE_STREAM_READING;
}

static void mark_set(struct binlog *binlog)
{
    binlog->mark = binlog->facts.end;
    binlog->mark_us = binlog->asked_us;
}

static void hear(struct binlog *binlog, uint64_t heard_us)
{
    cache_stream_hear(&binlog->conf.cache->stream, heard_us);
    binlog->mark_us = 0;
    binlog_set_state(binlog, CACHE_STREAM_READING, "");
}

static bool is_heartbeat(struct span bytes)
{
    return bytes.len > 4 && (bytes.p[4] == EVENT_HEARTBEAT || bytes.p[4] == EVENT_HEARTBEAT_2);
}

static bool is_at_mark(struct binlog *binlog)
{
    if (binlog->mark_us == 0 || !binlog_is_at(binlog, &binlog->mark)) {
        return false;
    }
    cache_stream_mark(&binlog->conf.cache->stream, binlog->mark_us);
    return true;
}

/* How far all has been taken in. READING, or why it cannot go on. Other weirs' answers want marks, also where nothing is
 * written: a heartbeat says what has been sent, not what the server has told its clients meanwhile. */
static enum cache_stream_state look(struct binlog *binlog, struct span bytes, uint64_t *facts_us,
                                    char why[DB_ERROR_MAX])
{
    uint64_t now_us = clock_now_us();
    bool is_marked = is_at_mark(binlog);
    uint64_t every_us = binlog->conf.config->cache.redis ? MARK_TIER_US : MARK_US;

    if (is_heartbeat(bytes) && !db_is_readable(binlog->log)) {
        hear(binlog, now_us);
        binlog->asked_us = binlog->conf.config->cache.redis ? binlog->asked_us : now_us;
    } else if (is_marked) {
        hear(binlog, binlog->mark_us);
    }
    if (binlog->mark_us == 0 && now_us >= binlog->asked_us + every_us) {
        if (!ask_end(binlog)) {
            return failed(binlog, binlog->ask, why);
        }
        mark_set(binlog);
        if (is_at_mark(binlog)) {
            hear(binlog, binlog->mark_us);
        }
    }
    if (now_us >= *facts_us + FACTS_US) {
        *facts_us = now_us;
        if (!ask_late(binlog)) {
            return failed(binlog, binlog->ask, why);
        }
        return judge(binlog);
    }
    return CACHE_STREAM_READING;
}

static enum cache_stream_state lost(struct binlog *binlog, int r, char why[DB_ERROR_MAX])
{
    enum cache_stream_state state = CACHE_STREAM_FAILED;

    metric_inc(binlog->metrics, METRIC_BINLOG_RECONNECTS, METRIC_NONE);
    if (r == -WR_E_SERVER_ERROR) {
        state = failed(binlog, binlog->log, why);
        /* also what a server says to whom it ends: only at the beginning it means the place */
        if (db_errno(binlog->log) == ERROR_PURGED && !binlog->has_format) {
            binlog_end(binlog);
        }
    } else if (r == -WR_E_CLOSED) {
        (void)snprintf(why, DB_ERROR_MAX, "the server has ended it");
    } else {
        (void)snprintf(why, DB_ERROR_MAX, "%s",
                       r == -WR_E_NOT_FOUND ? "the log has been begun anew"
                                            : "the log is not understood");
        metric_inc(binlog->metrics, METRIC_BINLOG_UNKNOWN, METRIC_NONE);
        binlog_end(binlog);
    }
    return state;
}

static enum cache_stream_state log_read(struct binlog *binlog, uint64_t asked_us,
                                        char why[DB_ERROR_MAX])
{
    enum cache_stream_state state = CACHE_STREAM_READING;
    uint64_t facts_us = clock_now_us();

    binlog->barren++;
    while (state == CACHE_STREAM_READING && !binlog_is_stopping(binlog)) {
        struct span bytes = {NULL, 0};
        int r = db_log_fetch(binlog->log, &bytes);

        if (r == 0) {
            r = binlog_apply(binlog, bytes);
        }
        if (r < 0) {
            return lost(binlog, r, why);
        }
        if (!binlog->has_format) {
            continue; /* it only names the file */
        }
        if (!binlog->is_begun) {
            begin(binlog, asked_us);
            binlog_set_state(binlog, CACHE_STREAM_READING, "from its end");
        }
        if (!is_heartbeat(bytes) && bytes.p[4] != EVENT_FORMAT) {
            binlog->barren = 0;
        }
        binlog_settle(binlog);
        state = look(binlog, bytes, &facts_us, why);
    }
    if (state == CACHE_STREAM_READING) {
        state = CACHE_STREAM_STARTING;
    }
    return state;
}

static enum cache_stream_state read_primary(struct binlog *binlog, const struct topo_server *server,
                                            char why[DB_ERROR_MAX])
{
    enum cache_stream_state state = connect_to(binlog, server, &binlog->ask, why);

    if (state != CACHE_STREAM_READING) {
        return state;
    }
    if (!ask_who(binlog) || !ask_late(binlog) || (binlog->facts.is_logging && !ask_end(binlog))) {
        return failed(binlog, binlog->ask, why);
    }
    state = judge(binlog);
    if (state != CACHE_STREAM_READING) {
        return state;
    }
    if (binlog->is_begun && (strcmp(binlog->who, binlog->facts.who) != 0 ||
                             !binlog->is_safe_known || binlog->barren >= BARREN_MAX)) {
        binlog_end(binlog);
    }
    if (!binlog->is_begun) {
        binlog->barren = 0;
    }
    mark_set(binlog);
    state = log_open(binlog, server, why);
    return state == CACHE_STREAM_READING ? log_read(binlog, binlog->asked_us, why) : state;
}

enum cache_stream_state binlog_read(struct binlog *binlog, const struct topo *topo,
                                    char why[DB_ERROR_MAX])
{
    const struct topo_server *server = topo_primary(topo);
    enum cache_stream_state state = CACHE_STREAM_FAILED;

    if (binlog->is_begun && topo->epoch != binlog->epoch) {
        binlog_end(binlog);
    }
    (void)pthread_mutex_lock(&binlog->lock); /* posts look up positions by it */
    binlog->server = topo->primary;
    (void)pthread_mutex_unlock(&binlog->lock);
    binlog->epoch = topo->epoch;
    binlog->flavour = server->flavour;
    binlog->version = server->version;
    (void)snprintf(binlog->server_name, sizeof(binlog->server_name), "%s", server->name);
    binlog->log_ctx.server = binlog->server_name;
    state = read_primary(binlog, server, why);
    if (binlog->log != NULL) {
        log_drop(binlog);
    }
    db_close(binlog->ask);
    binlog->ask = NULL;
    return state;
}
