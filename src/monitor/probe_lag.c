/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two more witnesses of the lag: the rows of a heartbeat table, and what an Aurora cluster says of
 * its members. Neither may fail a probe: a server that answers everything else is alive.
 *
 * Heartbeats are pt-heartbeat's table: a row for each server that is written to, with its server_id
 * (in old tables: id) and ts. They are read, never written.
 */
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "parse_priv.h"
#include "probe_priv.h"

#define HEARTBEAT_AGAIN_US (10 * CLOCK_US_PER_SECOND) /* after a failure */
#define AURORA_STALE_US    (10 * CLOCK_US_PER_SECOND) /* a row that has not changed for so long */

static void text_copy(struct span value, char *dst, size_t cap)
{
    dst[0] = '\0';
    if (value.len > 0) {
        span_copy(value, dst, cap);
    }
}

static void heartbeat_fail(struct probe_state *state, struct sample *sample, const char *text)
{
    (void)snprintf(sample->heartbeat.error, sizeof(sample->heartbeat.error), "%s", text);
    (void)snprintf(state->heartbeat_error, sizeof(state->heartbeat_error), "%s", text);
    state->heartbeat_again_us = sample->begin_us + HEARTBEAT_AGAIN_US;
}

static void heartbeat_read(struct probe_state *state, struct db_rows *rows, struct sample *sample)
{
    struct sample_heartbeat *heartbeat = &sample->heartbeat;

    while (db_rows_next(rows) && heartbeat->count < SAMPLE_BEATS_MAX) {
        struct sample_beat *beat = &heartbeat->beats[heartbeat->count];

        if (parse_u64(db_rows_named(rows, "server_id", "id"), &beat->key) &&
            sample_stamp_parse(db_rows_named(rows, "ts", NULL), &beat->stamp_us)) {
            heartbeat->count++;
        }
    }
    if (heartbeat->count == 0) {
        heartbeat_fail(state, sample, "it has no row with a server_id and a ts");
    }
}

void probe_heartbeat(struct db *db, struct probe_state *state, struct sample *sample)
{
    const char *dot = state->heartbeat ? strchr(state->heartbeat, '.') : NULL;
    char sql[640];
    struct db_rows *rows = NULL;

    if (!dot) {
        return;
    }
    if (sample->begin_us < state->heartbeat_again_us) {
        memcpy(sample->heartbeat.error, state->heartbeat_error, sizeof(sample->heartbeat.error));
        return;
    }
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM `%.*s`.`%s` ORDER BY ts DESC LIMIT %d",
                   (int)(dot - state->heartbeat), state->heartbeat, dot + 1, SAMPLE_BEATS_MAX);
    if (db_query(db, sql, &rows) < 0) {
        heartbeat_fail(state, sample, db_error(db));
        return;
    }
    heartbeat_read(state, rows, sample);
    db_rows_free(rows);
}

bool probe_is_aurora(struct db *db, char id[SAMPLE_FILE_MAX])
{
    struct db_rows *rows = NULL;
    bool is_there = false;

    if (db_query(db, "SHOW GLOBAL VARIABLES LIKE 'aurora_server_id'", &rows) < 0) {
        return false;
    }
    if (db_rows_next(rows) && db_rows_get(rows, 1).len > 0) {
        text_copy(db_rows_get(rows, 1), id, SAMPLE_FILE_MAX);
        is_there = true;
    }
    db_rows_free(rows);
    return is_there;
}

/* Whether this row has changed since it was last seen: rows of instances that are gone do not. How old
 * one is cannot be told otherwise, by clocks that nobody here knows. */
static bool member_has_changed(struct probe_state *state, struct span id, struct span stamp)
{
    struct probe_member *member = NULL;
    bool has_changed = false;

    for (uint8_t i = 0; i < state->aurora_member_count && !member; i++) {
        if (span_eq_text(id, state->aurora_members[i].id)) {
            member = &state->aurora_members[i];
        }
    }
    has_changed = member && !span_eq_text(stamp, member->stamp);
    if (!member) {
        if (state->aurora_member_count == SAMPLE_MEMBERS_MAX) {
            return false;
        }
        member = &state->aurora_members[state->aurora_member_count++];
        text_copy(id, member->id, sizeof(member->id));
    }
    text_copy(stamp, member->stamp, sizeof(member->stamp));
    return has_changed;
}

/* The row of the reader that is asked. */
static void aurora_own(struct probe_state *state, const struct db_rows *rows, bool has_changed,
                       struct sample *sample)
{
    uint64_t lag_ms = 0;

    if (has_changed || state->aurora_changed_us == 0) {
        state->aurora_changed_us = sample->begin_us;
    }
    if (sample->begin_us > state->aurora_changed_us + AURORA_STALE_US ||
        !parse_u64(db_rows_named(rows, "REPLICA_LAG_IN_MILLISECONDS", NULL), &lag_ms)) {
        return;
    }
    sample->aurora.has_lag = true;
    sample->aurora.lag_us = lag_ms * CLOCK_US_PER_MS;
}

void probe_aurora(struct db *db, struct probe_state *state, struct sample *sample)
{
    struct sample_aurora *aurora = &sample->aurora;
    struct db_rows *rows = NULL;

    if (!state->is_aurora) {
        return;
    }
    aurora->is_there = true;
    memcpy(aurora->id, state->aurora_id, sizeof(aurora->id));
    if (db_query(db,
                 "SELECT SERVER_ID, SESSION_ID, LAST_UPDATE_TIMESTAMP,"
                 " CAST(ROUND(REPLICA_LAG_IN_MILLISECONDS) AS UNSIGNED)"
                 " AS REPLICA_LAG_IN_MILLISECONDS"
                 " FROM information_schema.replica_host_status",
                 &rows) < 0) {
        return;
    }
    while (db_rows_next(rows)) {
        struct span id = db_rows_named(rows, "SERVER_ID", NULL);
        bool is_writer = span_eq_text(db_rows_named(rows, "SESSION_ID", NULL), "MASTER_SESSION_ID");
        bool has_changed =
            member_has_changed(state, id, db_rows_named(rows, "LAST_UPDATE_TIMESTAMP", NULL));

        if (span_eq_text(id, aurora->id) && !is_writer) {
            aurora_own(state, rows, has_changed, sample);
        }
        if (has_changed && aurora->member_count < SAMPLE_MEMBERS_MAX) {
            text_copy(id, aurora->members[aurora->member_count++], sizeof(aurora->members[0]));
        }
    }
    db_rows_free(rows);
}
