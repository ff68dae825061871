/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - what stands in the events of a binary log, MySQL's and MariaDB's.
 *
 * WHY       What was written, by whom and where in the log, out of bytes that a server sent.
 * OWNS      none: every span borrows from the event.
 * THREADS   any; pure functions of their arguments.
 * REENTRY   none
 * UNITS     *_us of an event: microseconds of the server's clock, since 1970.
 * ERRORS    false: not such an event. What is not understood is told as such, never guessed.
 * BOUNDS    Lengths inside an event are compared with its end. What is compressed is taken out up to
 *           the bound that the caller gives.
 */
#ifndef WEIR_BINLOG_EVENT_PRIV_H
#define WEIR_BINLOG_EVENT_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/gtid.h"
#include "weir/util/attr.h"
#include "weir/util/buf.h"
#include "weir/util/str.h"

#define EVENT_HEADER_BYTES   19U
#define EVENT_CHECKSUM_BYTES 4U

/* Numbers as the servers write them. X(name, number) */
#define EVENT_TYPES(X)          \
    X(QUERY, 2)                 \
    X(STOP, 3)                  \
    X(ROTATE, 4)                \
    X(INTVAR, 5)                \
    X(APPEND_BLOCK, 9)          \
    X(DELETE_FILE, 11)          \
    X(RAND, 13)                 \
    X(USER_VAR, 14)             \
    X(FORMAT, 15)               \
    X(XID, 16)                  \
    X(BEGIN_LOAD, 17)           \
    X(EXECUTE_LOAD, 18)         \
    X(TABLE_MAP, 19)            \
    X(WRITE_ROWS_1, 23)         \
    X(UPDATE_ROWS_1, 24)        \
    X(DELETE_ROWS_1, 25)        \
    X(INCIDENT, 26)             \
    X(HEARTBEAT, 27)            \
    X(IGNORABLE, 28)            \
    X(ROWS_QUERY, 29)           \
    X(WRITE_ROWS, 30)           \
    X(UPDATE_ROWS, 31)          \
    X(DELETE_ROWS, 32)          \
    X(GTID, 33)                 \
    X(ANONYMOUS, 34)            \
    X(PREVIOUS_GTIDS, 35)       \
    X(CONTEXT, 36)              \
    X(VIEW_CHANGE, 37)          \
    X(XA_PREPARE, 38)           \
    X(PARTIAL_ROWS, 39)         \
    X(PAYLOAD, 40)              \
    X(HEARTBEAT_2, 41)          \
    X(GTID_TAGGED, 42)          \
    X(MARIA_ANNOTATE, 160)      \
    X(MARIA_CHECKPOINT, 161)    \
    X(MARIA_GTID, 162)          \
    X(MARIA_GTID_LIST, 163)     \
    X(MARIA_ENCRYPTION, 164)    \
    X(MARIA_QUERY, 165)         \
    X(MARIA_WRITE_ROWS_1, 166)  \
    X(MARIA_UPDATE_ROWS_1, 167) \
    X(MARIA_DELETE_ROWS_1, 168) \
    X(MARIA_WRITE_ROWS, 169)    \
    X(MARIA_UPDATE_ROWS, 170)   \
    X(MARIA_DELETE_ROWS, 171)

/* clang-format off */
enum event_type {
#define X(name, number) EVENT_##name = (number),
    EVENT_TYPES(X)
#undef X
};
/* clang-format on */

#define EVENT_FLAG_ARTIFICIAL 0x20U /* made by the server for its reader; is in no file */
#define EVENT_FLAG_IGNORABLE  0x80U /* who does not know it may go on */

struct event {
    uint8_t type; /* enum event_type, or a number that is none of these */
    uint16_t flags;
    uint32_t when_s; /* 0: artificial */
    uint32_t server_id;
    uint32_t next; /* where the next one begins in the file, cut to 32 bits; 0: not in a file */
    struct span body;
};

/* bytes: one event, with its checksum when has_checksum (FORMAT's own is taken off in any case). */
WR_NODISCARD bool event_decode(struct span bytes, bool has_checksum, struct event *ret_event);
/* One after the other, without checksums: takes the first off bytes. */
WR_NODISCARD bool event_next(struct span *bytes, struct event *ret_event);

/* FORMAT: whether the events of this file have checksums. */
WR_NODISCARD bool event_format(const struct event *event, bool *ret_has_checksum);
/* ROTATE: to here. */
WR_NODISCARD bool event_rotate(const struct event *event, struct span *ret_file,
                               uint64_t *ret_position);

/* A set of one transaction that needs no storage of its own. */
struct event_gtid {
    struct gtid_source source;
    struct gtid_range range;
    bool is_mariadb;
    bool is_single;     /* MariaDB: one event, no COMMIT behind it */
    bool is_anonymous;  /* no GTID */
    uint64_t commit_us; /* MySQL: when this server committed it; 0: not told */
};

/* GTID, GTID_TAGGED, ANONYMOUS, MARIA_GTID */
WR_NODISCARD bool event_gtid(const struct event *event, struct event_gtid *ret_gtid);
/* Borrows gtid. */
struct gtid_set event_gtid_set(struct event_gtid *gtid);

/* TABLE_MAP */
WR_NODISCARD bool event_table(const struct event *event, struct span *ret_schema,
                              struct span *ret_name);

struct event_query {
    struct span schema; /* the session's */
    struct span text;   /* as it stands there: compressed, of MARIA_QUERY */
    uint64_t sql_mode;
    uint16_t charset_id; /* of its collation_connection's client; 0: not told */
    bool is_compressed;
};

/* QUERY, MARIA_QUERY, EXECUTE_LOAD */
WR_NODISCARD bool event_query(const struct event *event, struct event_query *ret_query);
/* The text, taken out of MARIA_QUERY's compression into out; borrowed from it or from the event. */
WR_NODISCARD bool event_query_text(const struct event_query *query, struct buf *out, size_t max,
                                   struct span *ret_text);

/* PAYLOAD: the events of a whole transaction, for event_next(). */
WR_NODISCARD bool event_payload(const struct event *event, struct buf *out, size_t max,
                                struct span *ret_events);

#endif
