/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - one look at one server.
 *
 * WHY       Roles, replication and settings are asked in three round trips on a kept connection.
 * OWNS      none; the caller owns the db.
 * THREADS   The server's probe thread; blocks.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    false: ret_sample->error says why; the connection should be closed.
 * BOUNDS    SAMPLE_CHANNELS_MAX channels.
 */
#ifndef WEIR_MONITOR_PROBE_PRIV_H
#define WEIR_MONITOR_PROBE_PRIV_H

#include "sample_priv.h"

/* What the primary had executed, and when it was asked: a replica is asked whether it has it. */
struct probe_mark {
    char gtid[SAMPLE_GTID_MAX]; /* empty: not known */
    uint64_t at_us;
    int16_t server; /* whose it is, by index */
};

/* What a connection keeps between probes. Zeroed is fresh; reset it with each new connection. */
struct probe_state {
    bool is_started;
    bool has_fine; /* performance_schema is on and may be read */
    enum topo_flavour flavour;
    uint32_t version;
    char version_text[64];
    char version_comment[64];
    char collation[64]; /* of collation_id */
    uint16_t collation_id;

    const char *heartbeat; /* SCHEMA.TABLE, borrowed; NULL: none. Set it before the first probe */
    char heartbeat_error[DB_ERROR_MAX];
    uint64_t heartbeat_again_us; /* not before this */

    bool is_aurora;
    char aurora_id[SAMPLE_FILE_MAX];
    uint64_t aurora_changed_us; /* its own row */
    struct probe_member {
        char id[SAMPLE_FILE_MAX];
        char stamp[64]; /* of its row, as last seen */
    } aurora_members[SAMPLE_MEMBERS_MAX];
    uint8_t aurora_member_count;

    struct probe_mark lacking; /* a replica: the oldest that it has not been seen to have */
};

/* begin_us is set by the caller. mark may be NULL. */
bool probe_run(struct db *db, struct probe_state *state, const struct probe_mark *mark,
               struct sample *ret_sample);

/* Parts of a probe that cannot fail it: probe_lag.c. */
void probe_heartbeat(struct db *db, struct probe_state *state, struct sample *sample);
bool probe_is_aurora(struct db *db, char id[SAMPLE_FILE_MAX]);
void probe_aurora(struct db *db, struct probe_state *state, struct sample *sample);

/* Statements that a probe needs, for `weir check --servers`: 0.., NULL past the last. */
const char *probe_statement(const struct probe_state *state, unsigned n, const char **ret_what);

#endif
