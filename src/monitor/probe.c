/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Column and statement names changed with MySQL 8.0.22 and 8.2 and again between the flavours;
 * every value is looked up by its name in either vocabulary.
 */
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "parse_priv.h"
#include "probe_priv.h"

#define VERSION_REPLICA_STATUS    80022
#define VERSION_BINARY_LOG_STATUS 80200

/* Our own session: nothing it does may depend on the server's settings, wait long, or write. */
static const char SESSION_MYSQL[] =
    "SET SESSION sql_mode='', time_zone='+00:00', lock_wait_timeout=2, autocommit=1";
static const char SESSION_READ_ONLY[] = "SET SESSION TRANSACTION READ ONLY";

static const char COMMON_VARIABLES[] =
    "SELECT @@global.read_only AS read_only, @@global.innodb_read_only AS innodb_read_only,"
    " @@server_id AS server_id, @@global.max_connections AS max_connections,"
    " @@global.sql_mode AS sql_mode, @@global.time_zone AS time_zone,"
    " @@global.autocommit AS autocommit, @@global.character_set_server AS character_set_server,"
    " @@global.collation_server AS collation_server,"
    " @@lower_case_table_names AS lower_case_table_names,"
    " @@global.wait_timeout AS wait_timeout, @@global.interactive_timeout AS interactive_timeout,"
    " @@global.max_allowed_packet AS max_allowed_packet,"
    " @@global.session_track_system_variables AS session_track,";
static const char MYSQL_VARIABLES[] =
    " @@global.super_read_only AS super_read_only, @@server_uuid AS server_uuid,"
    " @@global.transaction_isolation AS isolation,"
    " @@global.transaction_read_only AS tx_read_only";
static const char MARIADB_VARIABLES[] =
    " 0 AS super_read_only, '' AS server_uuid, @@global.tx_isolation AS isolation,"
    " @@global.tx_read_only AS tx_read_only";

/* What is being applied, and when its source committed it. NULL: nothing, or not known. Whether all
 * that was received has been applied is asked of gtid_executed: what the workers applied last is
 * forgotten when the applier is restarted, what was received last is not. */
static const char FINE_LAG[] =
    "SELECT c.CHANNEL_NAME AS channel,"
    " CASE c.LAST_QUEUED_TRANSACTION WHEN '' THEN 1 WHEN 'ANONYMOUS' THEN NULL"
    " ELSE GTID_SUBSET(c.LAST_QUEUED_TRANSACTION, @@global.gtid_executed) END AS caught_up,"
    " TIMESTAMPDIFF(MICROSECOND, c.LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP,"
    " NOW(6)) AS queued_us,"
    " MAX(IF(w.APPLYING_TRANSACTION <> '', TIMESTAMPDIFF(MICROSECOND,"
    " w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6)), NULL)) AS applying_us"
    " FROM performance_schema.replication_connection_status c"
    " JOIN performance_schema.replication_applier_status_by_worker w USING (CHANNEL_NAME)"
    " GROUP BY c.CHANNEL_NAME, c.LAST_QUEUED_TRANSACTION,"
    " c.LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP";

static bool probe_fail(struct db *db, const char *what, struct sample *sample)
{
    (void)snprintf(sample->error, sizeof(sample->error), "%s: %s", what, db_error(db));
    sample->error_number = db_errno(db);
    return false;
}

static void text_copy(struct span value, char *dst, size_t cap)
{
    if (value.len == 0) {
        dst[0] = '\0';
        return;
    }
    span_copy(value, dst, cap);
}

static bool statement_run(struct db *db, const char *sql, const char *what, struct sample *sample)
{
    struct db_rows *rows = NULL;

    if (db_query(db, sql, &rows) < 0) {
        return probe_fail(db, what, sample);
    }
    db_rows_free(rows);
    return true;
}

/* Is performance_schema on, and may it be read? Without it the lag is coarser, not unknown. */
static bool fine_is_there(struct db *db)
{
    struct db_rows *rows = NULL;
    bool is_on = false;

    if (db_query(db, "SELECT @@global.performance_schema", &rows) < 0) {
        return false;
    }
    is_on = db_rows_next(rows) && parse_flag(db_rows_get(rows, 0));
    db_rows_free(rows);
    if (!is_on || db_query(db, FINE_LAG, &rows) < 0) {
        return false;
    }
    db_rows_free(rows);
    return true;
}

static bool probe_start(struct db *db, struct probe_state *state, struct sample *sample)
{
    struct db_rows *rows = NULL;

    if (db_query(db, "SELECT @@version, @@version_comment", &rows) < 0) {
        return probe_fail(db, "version", sample);
    }
    if (db_rows_next(rows)) {
        text_copy(db_rows_get(rows, 0), state->version_text, sizeof(state->version_text));
        text_copy(db_rows_get(rows, 1), state->version_comment, sizeof(state->version_comment));
    }
    db_rows_free(rows);
    state->version = sample_version_parse(span_of(state->version_text));
    state->flavour = strstr(state->version_text, "MariaDB") || state->version >= 100000
                         ? TOPO_FLAVOUR_MARIADB
                         : TOPO_FLAVOUR_MYSQL;
    if (state->version == 0) {
        (void)snprintf(sample->error, sizeof(sample->error), "version: not understood");
        return false;
    }
    if (!statement_run(db, SESSION_MYSQL, "session", sample) ||
        !statement_run(db, SESSION_READ_ONLY, "session", sample)) {
        return false;
    }
    state->has_fine = state->flavour == TOPO_FLAVOUR_MYSQL &&
                      state->version >= VERSION_REPLICA_STATUS && fine_is_there(db);
    state->is_aurora =
        state->flavour == TOPO_FLAVOUR_MYSQL && probe_is_aurora(db, state->aurora_id);
    state->is_started = true;
    return true;
}

static void defaults_read(const struct db_rows *rows, struct topo_defaults *ret)
{
    text_copy(db_rows_named(rows, "sql_mode", NULL), ret->sql_mode, sizeof(ret->sql_mode));
    text_copy(db_rows_named(rows, "time_zone", NULL), ret->time_zone, sizeof(ret->time_zone));
    text_copy(db_rows_named(rows, "character_set_server", NULL), ret->character_set_server,
              sizeof(ret->character_set_server));
    text_copy(db_rows_named(rows, "collation_server", NULL), ret->collation_server,
              sizeof(ret->collation_server));
    text_copy(db_rows_named(rows, "session_track", NULL), ret->session_track_system_variables,
              sizeof(ret->session_track_system_variables));
    if (!topo_isolation_parse(db_rows_named(rows, "isolation", NULL), &ret->isolation)) {
        ret->isolation = TOPO_ISO_REPEATABLE_READ;
    }
    ret->tx_read_only = parse_flag(db_rows_named(rows, "tx_read_only", NULL));
    ret->autocommit = parse_flag(db_rows_named(rows, "autocommit", NULL));
    ret->lower_case_table_names =
        (uint8_t)parse_u64_or(db_rows_named(rows, "lower_case_table_names", NULL), 0);
    ret->wait_timeout_s = (uint32_t)parse_u64_or(db_rows_named(rows, "wait_timeout", NULL), 28800);
    ret->interactive_timeout_s =
        (uint32_t)parse_u64_or(db_rows_named(rows, "interactive_timeout", NULL), 28800);
    ret->max_allowed_packet_bytes =
        parse_u64_or(db_rows_named(rows, "max_allowed_packet", NULL), 16U << 20);
}

static bool probe_variables(struct db *db, const struct probe_state *state, struct sample *sample)
{
    char sql[sizeof(COMMON_VARIABLES) + sizeof(MYSQL_VARIABLES) + sizeof(MARIADB_VARIABLES)];
    struct db_rows *rows = NULL;

    (void)snprintf(sql, sizeof(sql), "%s%s", COMMON_VARIABLES,
                   state->flavour == TOPO_FLAVOUR_MARIADB ? MARIADB_VARIABLES : MYSQL_VARIABLES);
    if (db_query(db, sql, &rows) < 0) {
        return probe_fail(db, "variables", sample);
    }
    if (!db_rows_next(rows)) {
        db_rows_free(rows);
        (void)snprintf(sample->error, sizeof(sample->error), "variables: no row");
        return false;
    }
    sample->is_writable = !parse_flag(db_rows_named(rows, "read_only", NULL)) &&
                          !parse_flag(db_rows_named(rows, "super_read_only", NULL)) &&
                          !parse_flag(db_rows_named(rows, "innodb_read_only", NULL));
    text_copy(db_rows_named(rows, "server_uuid", NULL), sample->uuid, sizeof(sample->uuid));
    sample->server_id = parse_u64_or(db_rows_named(rows, "server_id", NULL), 0);
    sample->max_connections =
        (uint32_t)parse_u64_or(db_rows_named(rows, "max_connections", NULL), 0);
    defaults_read(rows, &sample->defaults);
    db_rows_free(rows);
    return true;
}

/* The id of collation_server, asked again only when that changes. Some collations of MariaDB have
 * an id per character set; those are not in the first table. */
static void probe_collation(struct db *db, struct probe_state *state, struct sample *sample)
{
    struct db_rows *rows = NULL;

    if (strcmp(state->collation, sample->defaults.collation_server) != 0) {
        const char *sql = state->flavour == TOPO_FLAVOUR_MARIADB && state->version >= 101001
                              ? "SELECT ID FROM"
                                " information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
                                " WHERE FULL_COLLATION_NAME = @@global.collation_server"
                              : "SELECT ID FROM information_schema.COLLATIONS"
                                " WHERE COLLATION_NAME = @@global.collation_server";

        state->collation_id = 0;
        if (db_query(db, sql, &rows) == 0) {
            if (db_rows_next(rows)) {
                state->collation_id = (uint16_t)parse_u64_or(db_rows_get(rows, 0), 0);
            }
            db_rows_free(rows);
        }
        memcpy(state->collation, sample->defaults.collation_server, sizeof(state->collation));
    }
    sample->defaults.collation_id = state->collation_id;
}

static const char *replica_status_sql(const struct probe_state *state)
{
    if (state->flavour == TOPO_FLAVOUR_MARIADB) {
        return "SHOW ALL SLAVES STATUS";
    }
    return state->version >= VERSION_REPLICA_STATUS ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
}

static const char *log_status_sql(const struct probe_state *state)
{
    return state->flavour == TOPO_FLAVOUR_MYSQL && state->version >= VERSION_BINARY_LOG_STATUS
               ? "SHOW BINARY LOG STATUS"
               : "SHOW MASTER STATUS";
}

static enum sample_thread thread_parse(struct span text)
{
    if (span_eq_text_nocase(text, "Yes")) {
        return SAMPLE_THREAD_YES;
    }
    /* "Connecting"; MariaDB also says "Preparing" */
    return text.len == 0 || span_eq_text_nocase(text, "No") ? SAMPLE_THREAD_NO
                                                            : SAMPLE_THREAD_CONNECTING;
}

static void channel_read(const struct db_rows *rows, struct sample_channel *ret)
{
    uint64_t seconds = 0;

    memset(ret, 0, sizeof(*ret));
    ret->receiver = thread_parse(db_rows_named(rows, "Replica_IO_Running", "Slave_IO_Running"));
    ret->applier = thread_parse(db_rows_named(rows, "Replica_SQL_Running", "Slave_SQL_Running"));
    ret->has_seconds =
        parse_u64(db_rows_named(rows, "Seconds_Behind_Source", "Seconds_Behind_Master"), &seconds);
    ret->behind_us = seconds * CLOCK_US_PER_SECOND;
    text_copy(db_rows_named(rows, "Source_UUID", "Master_UUID"), ret->source_uuid,
              sizeof(ret->source_uuid));
    ret->source_id = parse_u64_or(db_rows_named(rows, "Source_Server_Id", "Master_Server_Id"), 0);
    ret->applied =
        log_place_of(db_rows_named(rows, "Relay_Source_Log_File", "Relay_Master_Log_File"),
                     db_rows_named(rows, "Exec_Source_Log_Pos", "Exec_Master_Log_Pos"));
}

/* names: the channel of each row of the status, to find it again in the other table. */
static bool probe_channels(struct db *db, const struct probe_state *state, struct sample *sample,
                           char names[SAMPLE_CHANNELS_MAX][72])
{
    struct db_rows *rows = NULL;

    if (db_query(db, replica_status_sql(state), &rows) < 0) {
        return probe_fail(db, "replication status", sample);
    }
    while (db_rows_next(rows)) {
        if (sample->channel_count == SAMPLE_CHANNELS_MAX) {
            sample->has_more_channels = true;
            break;
        }
        text_copy(db_rows_named(rows, "Channel_Name", "Connection_name"),
                  names[sample->channel_count], sizeof(names[0]));
        channel_read(rows, &sample->channels[sample->channel_count++]);
    }
    db_rows_free(rows);
    return true;
}

static bool fine_parse(struct span text, uint64_t *ret_us)
{
    /* A commit in the future: clocks differ a little; it is not late. */
    if (text.len > 0 && text.p[0] == '-') {
        *ret_us = 0;
        return true;
    }
    return parse_u64(text, ret_us);
}

static void fine_read(const struct db_rows *rows, struct sample_channel *to)
{
    struct span caught_up = db_rows_named(rows, "caught_up", NULL);

    to->fine_us = 0;
    to->has_fine = fine_parse(db_rows_named(rows, "applying_us", NULL), &to->fine_us);
    if (to->has_fine || caught_up.len == 0) {
        return;
    }
    to->has_fine =
        parse_flag(caught_up) || fine_parse(db_rows_named(rows, "queued_us", NULL), &to->fine_us);
}

static void probe_fine(struct db *db, struct probe_state *state, struct sample *sample,
                       char names[SAMPLE_CHANNELS_MAX][72])
{
    struct db_rows *rows = NULL;

    if (db_query(db, FINE_LAG, &rows) < 0) {
        state->has_fine = false;
        return;
    }
    while (db_rows_next(rows)) {
        struct span channel = db_rows_named(rows, "channel", NULL);

        for (uint8_t i = 0; i < sample->channel_count; i++) {
            struct sample_channel *to = &sample->channels[i];

            if (!span_eq_text(channel, names[i])) {
                continue;
            }
            fine_read(rows, to);
        }
    }
    db_rows_free(rows);
}

/* Only for comparing: a server without a binary log, or that does not let us see, has none. */
static void probe_log(struct db *db, const struct probe_state *state, struct sample *sample)
{
    struct db_rows *rows = NULL;

    if (db_query(db, log_status_sql(state), &rows) < 0) {
        return;
    }
    if (db_rows_next(rows)) {
        sample->written =
            log_place_of(db_rows_named(rows, "File", NULL), db_rows_named(rows, "Position", NULL));
    }
    db_rows_free(rows);
}

/* A set that does not fit is no set. */
static void probe_gtid(struct db *db, const struct probe_state *state, struct sample *sample)
{
    const char *sql = state->flavour == TOPO_FLAVOUR_MARIADB ? "SELECT @@global.gtid_binlog_pos"
                                                             : "SELECT @@global.gtid_executed";
    struct db_rows *rows = NULL;

    if (db_query(db, sql, &rows) < 0) {
        return;
    }
    if (db_rows_next(rows) && db_rows_get(rows, 0).len < sizeof(sample->gtid)) {
        text_copy(db_rows_get(rows, 0), sample->gtid, sizeof(sample->gtid));
    }
    db_rows_free(rows);
    if (!sample_gtid_is_plain(sample->gtid)) {
        sample->gtid[0] = '\0';
    }
}

static bool probe_has(struct db *db, const struct probe_state *state, const struct probe_mark *mark,
                      bool *ret_has)
{
    char sql[SAMPLE_GTID_MAX + 64];
    struct db_rows *rows = NULL;

    (void)snprintf(sql, sizeof(sql),
                   state->flavour == TOPO_FLAVOUR_MARIADB
                       ? "SELECT MASTER_GTID_WAIT('%s', 0) = 0"
                       : "SELECT GTID_SUBSET('%s', @@global.gtid_executed)",
                   mark->gtid);
    if (db_query(db, sql, &rows) < 0) {
        return false;
    }
    *ret_has = db_rows_next(rows) && span_eq_text(db_rows_get(rows, 0), "1");
    db_rows_free(rows);
    return true;
}

/*
 * Positions of an idle primary's log and of its replica may differ for good: a rotated log holds
 * events that no replica applies. What counts is whether the replica has the transactions. One that
 * never gets those of a moment follows somebody else, whatever it says of how late it is.
 */
static void probe_has_all(struct db *db, struct probe_state *state, const struct probe_mark *mark,
                          struct sample *sample)
{
    struct probe_mark *lacking = &state->lacking;
    bool has = false;

    if (mark->gtid[0] == '\0' || !probe_has(db, state, mark, &has)) {
        return;
    }
    if (has) {
        sample->has_all_us = mark->at_us;
        lacking->at_us = 0;
        return;
    }
    if (lacking->at_us == 0 || lacking->server != mark->server ||
        (probe_has(db, state, lacking, &has) && has)) {
        *lacking = *mark;
    }
    sample->lacks_us = lacking->at_us;
}

bool probe_run(struct db *db, struct probe_state *state, const struct probe_mark *mark,
               struct sample *ret_sample)
{
    char names[SAMPLE_CHANNELS_MAX][72];

    if (!state->is_started && !probe_start(db, state, ret_sample)) {
        return false;
    }
    ret_sample->flavour = state->flavour;
    ret_sample->version = state->version;
    memcpy(ret_sample->version_text, state->version_text, sizeof(state->version_text));
    memcpy(ret_sample->version_comment, state->version_comment, sizeof(state->version_comment));
    if (!probe_variables(db, state, ret_sample) || !probe_channels(db, state, ret_sample, names)) {
        return false;
    }
    probe_collation(db, state, ret_sample);
    if (state->has_fine && ret_sample->channel_count > 0) {
        probe_fine(db, state, ret_sample, names);
    }
    probe_heartbeat(db, state, ret_sample);
    probe_aurora(db, state, ret_sample);
    if (ret_sample->is_writable) {
        probe_log(db, state, ret_sample);
        probe_gtid(db, state, ret_sample);
    } else if (mark && ret_sample->channel_count > 0) {
        probe_has_all(db, state, mark, ret_sample);
    }
    ret_sample->is_good = true;
    ret_sample->end_us = clock_now_us();
    return true;
}

const char *probe_statement(const struct probe_state *state, unsigned n, const char **ret_what)
{
    switch (n) {
    case 0:
        *ret_what = "replication status (REPLICATION CLIENT; MariaDB: REPLICA MONITOR)";
        return replica_status_sql(state);
    case 1:
        *ret_what = "binary log status (REPLICATION CLIENT; MariaDB: BINLOG MONITOR)";
        return log_status_sql(state);
    default:
        return NULL;
    }
}
