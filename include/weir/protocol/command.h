/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - what a client can ask for: the COM_* table and the small fixed layouts.
 *
 * WHY       One list gives the names, the numbers and the shape of the reply.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    enum dec_rc, never DEC_MORE
 * BOUNDS    none beyond the payload's own
 */
#ifndef WEIR_PROTOCOL_COMMAND_H
#define WEIR_PROTOCOL_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/reply_kind.h"
#include "weir/protocol/wire.h"

/* X(name, value, text, reply): reply is the shape of a server's answer. */
#define COMMANDS(X)                                                     \
    X(SLEEP, 0x00, "Sleep", SIMPLE)                                     \
    X(QUIT, 0x01, "Quit", NONE)                                         \
    X(INIT_DB, 0x02, "Init DB", SIMPLE)                                 \
    X(QUERY, 0x03, "Query", QUERY)                                      \
    X(FIELD_LIST, 0x04, "Field List", FIELD_LIST)                       \
    X(CREATE_DB, 0x05, "Create DB", SIMPLE)                             \
    X(DROP_DB, 0x06, "Drop DB", SIMPLE)                                 \
    X(REFRESH, 0x07, "Refresh", SIMPLE)                                 \
    X(SHUTDOWN, 0x08, "Shutdown", SIMPLE)                               \
    X(STATISTICS, 0x09, "Statistics", STATISTICS)                       \
    X(PROCESS_INFO, 0x0a, "Processlist", QUERY)                         \
    X(CONNECT, 0x0b, "Connect", SIMPLE)                                 \
    X(PROCESS_KILL, 0x0c, "Kill", SIMPLE)                               \
    X(DEBUG, 0x0d, "Debug", SIMPLE)                                     \
    X(PING, 0x0e, "Ping", SIMPLE)                                       \
    X(TIME, 0x0f, "Time", SIMPLE)                                       \
    X(DELAYED_INSERT, 0x10, "Delayed insert", SIMPLE)                   \
    X(CHANGE_USER, 0x11, "Change user", SIMPLE)                         \
    X(BINLOG_DUMP, 0x12, "Binlog Dump", SIMPLE)                         \
    X(TABLE_DUMP, 0x13, "Table Dump", SIMPLE)                           \
    X(CONNECT_OUT, 0x14, "Connect Out", SIMPLE)                         \
    X(REGISTER_SLAVE, 0x15, "Register Slave", SIMPLE)                   \
    X(STMT_PREPARE, 0x16, "Prepare", PREPARE)                           \
    X(STMT_EXECUTE, 0x17, "Execute", EXECUTE)                           \
    X(STMT_SEND_LONG_DATA, 0x18, "Long Data", NONE)                     \
    X(STMT_CLOSE, 0x19, "Close stmt", NONE)                             \
    X(STMT_RESET, 0x1a, "Reset stmt", SIMPLE)                           \
    X(SET_OPTION, 0x1b, "Set option", SIMPLE)                           \
    X(STMT_FETCH, 0x1c, "Fetch", FETCH)                                 \
    X(DAEMON, 0x1d, "Daemon", SIMPLE)                                   \
    X(BINLOG_DUMP_GTID, 0x1e, "Binlog Dump GTID", SIMPLE)               \
    X(RESET_CONNECTION, 0x1f, "Reset Connection", SIMPLE)               \
    X(CLONE, 0x20, "Clone", SIMPLE)                                     \
    X(SUBSCRIBE_GROUP_REPLICATION_STREAM, 0x21, "Subscribe GR", SIMPLE) \
    X(MARIADB_STMT_BULK_EXECUTE, 0xfa, "Bulk_execute", EXECUTE)

enum com {
#define X(name, value, text, reply) COM_##name = (value),
    COMMANDS(X)
#undef X
};

#define COM_STMT_ID_LAST 0xFFFFFFFFu /* MariaDB: the statement prepared last */

/* "Query", ..., or "Unknown". Static storage. */
const char *command_name(uint8_t com);
bool command_is_known(uint8_t com);
/* The shape of the answer; SIMPLE for a command that is not known (an ERR). */
enum reply_kind command_reply_kind(uint8_t com);

/* For all of these, payload begins with the command byte. */
enum dec_rc command_decode_stmt_id(struct span payload, uint32_t *ret_id); /* CLOSE, RESET, ... */
/* Replace the statement id of any COM_STMT_* in place. False: too short. */
bool command_set_stmt_id(uint8_t *payload, size_t len, uint32_t id);
enum dec_rc command_decode_set_option(struct span payload, uint16_t *ret_option); /* 0 on, 1 off */
enum dec_rc command_decode_process_kill(struct span payload, uint32_t *ret_id);

struct command_field_list {
    struct span table;
    struct span wildcard;
};
enum dec_rc command_decode_field_list(struct span payload, struct command_field_list *ret_list);

struct command_long_data {
    uint32_t stmt_id;
    uint16_t param;
    struct span data;
};
enum dec_rc command_decode_long_data(struct span payload, struct command_long_data *ret_data);

struct command_fetch {
    uint32_t stmt_id;
    uint32_t rows;
};
enum dec_rc command_decode_fetch(struct span payload, struct command_fetch *ret_fetch);

/* The head of a COM_QUERY of one packet that text_len bytes of text follow, to a connection with
 * these caps. Returns how many bytes it is. */
#define COMMAND_QUERY_HEAD 7u /* at most */
size_t command_query_head(uint8_t head[COMMAND_QUERY_HEAD], size_t text_len, uint64_t caps);

/* Append payloads for servers. */
void command_encode(struct wire_out *out, uint8_t com, struct span body);
void command_encode_u32(struct wire_out *out, uint8_t com, uint32_t value);
void command_encode_set_option(struct wire_out *out, uint16_t option);

#endif
