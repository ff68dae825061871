/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_error - the one table of what clients are told: number, SQLSTATE, text.
 *
 * WHY       A driver acts on the number and the SQLSTATE; both must be a server's own wherever a
 *           server has a word for it.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    none: what does not fit is cut.
 * BOUNDS    SESS_ERROR_TEXT_MAX bytes of text.
 */
#ifndef WEIR_CLIENT_SESS_ERROR_H
#define WEIR_CLIENT_SESS_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/str.h"

struct conn_failure;
struct result;

#define SESS_ERROR_TEXT_MAX 512

/* X(name, number, SQLSTATE, text); each {} takes the next argument. */
#define SESS_ERRORS(X)                                                                            \
    X(CON_COUNT, 1040, "08004", "Too many connections")                                           \
    X(BAD_HANDSHAKE, 1043, "08S01", "Bad handshake")                                              \
    X(ACCESS_DENIED, 1045, "28000", "Access denied for user '{}'@'{}' (using password: {})")      \
    X(UNKNOWN_COMMAND, 1047, "08S01", "Unknown command")                                          \
    X(SHUTDOWN, 1053, "08S01", "Server shutdown in progress")                                     \
    X(NO_SUCH_THREAD, 1094, "HY000", "Unknown thread id: {}")                                     \
    X(NOT_OWNER, 1095, "HY000", "You are not owner of thread {}")                                 \
    X(UNKNOWN, 1105, "HY000", "weir: {}")                                                         \
    X(PACKET_TOO_LARGE, 1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")     \
    X(OUT_OF_ORDER, 1156, "08S01", "Got packets out of order")                                    \
    X(SERVER_LOST, 1158, "08S01", "weir: the connection to server {} was lost: {}")               \
    X(OUTCOME_UNKNOWN, 1158, "08S01",                                                             \
      "weir: the connection to server {} was lost, the statement may or may not have run")        \
    X(NO_SERVER, 1158, "08S01", "weir: no server can take this now: {}")                          \
    X(BUDGET, 1040, "08004",                                                                      \
      "Too many connections (weir: no replica can take this read, and the primary takes no more " \
      "of them now)")                                                                             \
    X(SERVER_TIMEOUT, 1159, "08S01", "weir: server {} did not answer in time")                    \
    X(WRONG_ARGS, 1210, "HY000", "Incorrect arguments to {}")                                     \
    X(TX_LOST, 1213, "40001",                                                                     \
      "weir: the connection to server {} was lost and the transaction with it; "                  \
      "try restarting transaction")                                                               \
    X(PRIVILEGE, 1227, "42000",                                                                   \
      "Access denied; you need (at least one of) the {} privilege(s) for this operation")         \
    X(DENIED, 1227, "42000", "{}") /* the message of an operator's rule */                        \
    X(NOT_SUPPORTED, 1235, "42000", "weir does not support {}")                                   \
    X(UNKNOWN_STMT, 1243, "HY000", "Unknown prepared statement handler ({}) given to {}")         \
    X(OLD_CLIENT, 1251, "08004",                                                                  \
      "Client does not support authentication protocol requested by server; consider upgrading "  \
      "MySQL client")                                                                             \
    X(NO_PRIMARY, 1290, "HY000",                                                                  \
      "The MySQL server is running with the --read-only option so it cannot execute this "        \
      "statement (weir: {}; it has not been run)")                                                \
    X(UNSUPPORTED_PS, 1295, "HY000",                                                              \
      "This command is not supported in the prepared statement protocol yet")                     \
    X(INTERRUPTED, 1317, "70100", "Query execution was interrupted")                              \
    X(MAX_PREPARED, 1461, "42000",                                                                \
      "Can't create more than max_prepared_stmt_count statements (current value: {})")            \
    X(NEEDS_TLS, 3159, "HY000",                                                                   \
      "Connections using insecure transport are prohibited while --require_secure_transport=ON.") \
    X(READ_ONLY_TX, 1792, "25006", "Cannot execute statement in a READ ONLY transaction{}")       \
    X(MALFORMED, 1835, "HY000", "Malformed communication packet")                                 \
    X(KILLED, 1927, "70100", "Connection was killed")                                             \
    X(LOCAL_INFILE, 3948, "42000",                                                                \
      "Loading local data is disabled; this must be enabled on both the client and server sides") \
    X(IDLE_TIMEOUT, 4031, "HY000",                                                                \
      "The client was disconnected by the server because of inactivity. See wait_timeout and "    \
      "interactive_timeout for configuring this behavior.")                                       \
    X(LOCAL_DISABLED, 4166, "HY000",                                                              \
      "The used command is not allowed because the MariaDB server or client has disabled the "    \
      "local infile capability")

enum sess_err {
#define X(name, code, sqlstate, text) SESS_ERR_##name,
    SESS_ERRORS(X)
#undef X
};

uint16_t sess_error_code(enum sess_err error);
const char *sess_error_sqlstate(enum sess_err error);
/* Fills the {} with args; terminates dst, returns the length. */
size_t sess_error_format(enum sess_err error, const struct span *args, size_t count, char *dst,
                         size_t cap);
/* What a negative code of weir's own amounts to for a client. */
enum sess_err sess_error_of(int err);

/* Append a whole ERR packet. */
void sess_error_put(struct result *result, enum sess_err error, const struct span *args,
                    size_t count);
/* The same for a failed login to a server: the server's own number, state and text when it sent
 * some, with the client's address in place of weir's in "user'@'address' (using password". */
void sess_error_put_failure(struct result *result, const struct conn_failure *failure,
                            struct span server_name, struct span client_host);

#endif
