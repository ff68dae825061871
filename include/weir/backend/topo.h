/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topo - one immutable picture of all servers: who they are, what state they are in.
 *
 * WHY       A decision must never see half a change: primary, roles, weights and lag are replaced
 *           together, as one snapshot.
 * OWNS      struct topo: everything in it (no pointer leads out of it).
 * THREADS   Written by its builder before it is published; read by any thread that holds a
 *           reference, with plain loads.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(). weight_eff: 1/TOPO_WEIGHT_ONE of a weight.
 * ERRORS    Creation gives NULL when there is no memory; look-ups give -1 or NULL.
 * BOUNDS    TOPO_SERVERS_MAX servers, so that a set of servers is one 64-bit mask.
 */
#ifndef WEIR_BACKEND_TOPO_H
#define WEIR_BACKEND_TOPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weir/util/snap.h"
#include "weir/util/str.h"

#define TOPO_SERVERS_MAX 64
#define TOPO_WEIGHT_ONE  256 /* weight 1 in weight_eff; halving it eight times still leaves 1 */
#define TOPO_NAME_MAX    72
#define TOPO_LAG_UNKNOWN UINT64_MAX

/* X(name, text) */
#define TOPO_ROLES(X)     \
    X(UNKNOWN, "unknown") \
    X(PRIMARY, "primary") \
    X(REPLICA, "replica")

enum topo_role {
#define X(name, text) TOPO_ROLE_##name,
    TOPO_ROLES(X)
#undef X
};

/*
 * X(name, text). Only UP serves reads as a replica. A primary that is LAGGING does not exist.
 * NEW      never probed with success: it serves nothing, except what the primary must serve anyway
 * UP       answers, and as a replica its replication runs within max_lag
 * LAGGING  answers, but lag is above max_lag, unknown, or a replication thread stands
 * DOWN     no good sample for long enough, or enough failures in a row
 * DRAINING an operator has taken it out: what runs goes on, nothing new starts
 */
#define TOPO_STATES(X)    \
    X(NEW, "new")         \
    X(UP, "up")           \
    X(LAGGING, "lagging") \
    X(DOWN, "down")       \
    X(DRAINING, "draining")

enum topo_state {
#define X(name, text) TOPO_ST_##name,
    TOPO_STATES(X)
#undef X
};

/* Why a server that answers is not UP (or why it is down). X(name, text) */
#define TOPO_WHYS(X)                                       \
    X(NONE, "fine")                                        \
    X(NEVER_PROBED, "never probed")                        \
    X(STALE_SAMPLE, "no good sample lately")               \
    X(FAILURES, "failures in a row")                       \
    X(LAG, "lag above max_lag")                            \
    X(LAG_UNKNOWN, "lag unknown")                          \
    X(IO_THREAD, "replication receiver is not running")    \
    X(SQL_THREAD, "replication applier is not running")    \
    X(NO_REPLICATION, "replicates from nobody")            \
    X(ROLE, "its role is not what the configuration says") \
    X(SECOND_WRITER, "writable, but not the primary")      \
    X(DRAINED, "drained by an operator")

enum topo_why {
#define X(name, text) TOPO_WHY_##name,
    TOPO_WHYS(X)
#undef X
};

/* Whose word the lag is. X(name, text) */
#define TOPO_LAG_SOURCES(X)         \
    X(NONE, "")                     \
    X(HEARTBEAT, "heartbeat")       \
    X(LOG, "log")                   \
    X(SCHEMA, "performance_schema") \
    X(SECONDS, "seconds_behind")    \
    X(AURORA, "replica_host_status")

enum topo_lag_source {
#define X(name, text) TOPO_LAG_BY_##name,
    TOPO_LAG_SOURCES(X)
#undef X
    TOPO_LAG_SOURCE_COUNT
};

enum topo_flavour {
    TOPO_FLAVOUR_UNKNOWN,
    TOPO_FLAVOUR_MYSQL,
    TOPO_FLAVOUR_MARIADB,
};

/* X(name, text as the servers write it) */
#define TOPO_ISOLATIONS(X)                  \
    X(REPEATABLE_READ, "REPEATABLE-READ")   \
    X(READ_COMMITTED, "READ-COMMITTED")     \
    X(READ_UNCOMMITTED, "READ-UNCOMMITTED") \
    X(SERIALIZABLE, "SERIALIZABLE")

enum topo_isolation {
#define X(name, text) TOPO_ISO_##name,
    TOPO_ISOLATIONS(X)
#undef X
};

/* The server's GLOBAL values that a new session starts with. */
struct topo_defaults {
    char sql_mode[768];
    char time_zone[64];
    char character_set_server[64];
    char collation_server[64];
    char session_track_system_variables[512];
    enum topo_isolation isolation;
    bool tx_read_only;
    bool autocommit;
    uint16_t collation_id;          /* of collation_server; goes into greetings when it fits */
    uint8_t lower_case_table_names; /* 0, 1, 2 */
    uint32_t wait_timeout_s;
    uint32_t interactive_timeout_s;
    uint64_t max_allowed_packet_bytes;
};

struct topo_server {
    char name[TOPO_NAME_MAX]; /* as configured; "name#2" for the second address of one name */
    struct sockaddr_storage addr;
    socklen_t addr_len;    /* 0: its name has never resolved; nothing can connect yet */
    uint16_t index;        /* its place here: the same in every generation of one config */
    uint16_t config_index; /* its entry in the config's server list (TLS files, limits) */
    enum topo_role role;
    enum topo_state state;
    enum topo_why why;
    uint32_t weight;     /* as configured */
    uint32_t weight_eff; /* in 1/TOPO_WEIGHT_ONE; halved per failure, regained step by step */
    uint64_t lag_us;     /* TOPO_LAG_UNKNOWN: not known, which is never taken for zero */
    uint64_t lag_resolution_us; /* how coarse the source of lag_us is (1 s for whole seconds) */
    enum topo_lag_source lag_source;
    uint64_t lag_by_us[TOPO_LAG_SOURCE_COUNT]; /* each source's own word, TOPO_LAG_UNKNOWN: none */
    uint64_t last_good_us;                     /* last complete sample, 0: never */
    enum topo_flavour flavour;
    uint32_t version;      /* 90704, 101119; 0: not known */
    char version_text[64]; /* @@version as the server says it */
    char version_comment[64];
    uint32_t max_connections; /* @@max_connections; 0: not known */
    /* Its failures are errors that it sends itself: it lives, whatever the monitor may see. */
    bool is_answering;
    uint32_t addr_gen; /* goes up when addr changes: connections of before are to another server */
    bool has_defaults; /* defaults below have been read at least once */
    struct topo_defaults defaults;
};

struct topo {
    struct snap snap; /* reference count, and the generation of this picture */
    uint64_t epoch;   /* goes up with each change of primary, "none" included */
    int16_t primary;  /* index, or -1: there is none (or two claim it and none was chosen) */
    uint16_t server_count;
    bool second_writer;    /* a second writable server is seen; writes stay where they are */
    uint16_t late_workers; /* have not acknowledged for too long that there is no primary */
    uint64_t
        last_seen_us;    /* when the primary before gave its last good sample; 0: there was none */
    uint64_t none_us;    /* since when there is no primary, or was none; 0: never */
    uint64_t lost_count; /* transactions of earlier primaries that their successors do not have */
    struct topo_server servers[];
};

/* count servers, all zero but index, lag (unknown) and role; NULL: no memory or too many. */
struct topo *topo_create(size_t count);
/* A counted reference more; returns its argument. */
const struct topo *topo_ref(const struct topo *topo);
/* NULL is allowed. */
void topo_unref(const struct topo *topo);

/* -1: no such server. The name is matched exactly first, then without case. "name" also finds
 * "name#1". */
int topo_find(const struct topo *topo, struct span name);
/* The primary, or NULL while there is none. */
const struct topo_server *topo_primary(const struct topo *topo);

const char *topo_role_text(enum topo_role role);
const char *topo_state_text(enum topo_state state);
const char *topo_why_text(enum topo_why why);
const char *topo_lag_source_text(enum topo_lag_source source);
const char *topo_flavour_text(enum topo_flavour flavour);
const char *topo_isolation_text(enum topo_isolation isolation);
/* Accepts "REPEATABLE-READ", "repeatable read" and so on; false: none of the four. */
bool topo_isolation_parse(struct span text, enum topo_isolation *ret_isolation);

#endif
