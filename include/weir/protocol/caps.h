/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps - capability flags: their names, and which ones weir offers and asks for.
 *
 * WHY       A flag that is offered and not honoured end to end breaks a driver far from here.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     bit sets; bits 32.. are MariaDB's extended ones.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_PROTOCOL_CAPS_H
#define WEIR_PROTOCOL_CAPS_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, bit) */
#define CAPS_FLAGS(X)                                                                 \
    X(LONG_PASSWORD, 0) /* MariaDB: CLIENT_MYSQL; clear means extended caps follow */ \
    X(FOUND_ROWS, 1)                                                                  \
    X(LONG_FLAG, 2)                                                                   \
    X(CONNECT_WITH_DB, 3)                                                             \
    X(NO_SCHEMA, 4)                                                                   \
    X(COMPRESS, 5)                                                                    \
    X(ODBC, 6)                                                                        \
    X(LOCAL_FILES, 7)                                                                 \
    X(IGNORE_SPACE, 8)                                                                \
    X(PROTOCOL_41, 9)                                                                 \
    X(INTERACTIVE, 10)                                                                \
    X(SSL, 11)                                                                        \
    X(IGNORE_SIGPIPE, 12)                                                             \
    X(TRANSACTIONS, 13)                                                               \
    X(RESERVED, 14)                                                                   \
    X(SECURE_CONNECTION, 15)                                                          \
    X(MULTI_STATEMENTS, 16)                                                           \
    X(MULTI_RESULTS, 17)                                                              \
    X(PS_MULTI_RESULTS, 18)                                                           \
    X(PLUGIN_AUTH, 19)                                                                \
    X(CONNECT_ATTRS, 20)                                                              \
    X(PLUGIN_AUTH_LENENC, 21)                                                         \
    X(CAN_HANDLE_EXPIRED_PASSWORDS, 22)                                               \
    X(SESSION_TRACK, 23)                                                              \
    X(DEPRECATE_EOF, 24)                                                              \
    X(OPTIONAL_RESULTSET_METADATA, 25)                                                \
    X(ZSTD, 26)                                                                       \
    X(QUERY_ATTRIBUTES, 27)                                                           \
    X(MULTI_FACTOR, 28)                                                               \
    X(CAPABILITY_EXTENSION, 29)                                                       \
    X(SSL_VERIFY_SERVER_CERT, 30)                                                     \
    X(REMEMBER_OPTIONS, 31)                                                           \
    X(MARIADB_PROGRESS, 32)                                                           \
    X(MARIADB_COM_MULTI, 33)                                                          \
    X(MARIADB_STMT_BULK, 34)                                                          \
    X(MARIADB_EXTENDED_METADATA, 35)                                                  \
    X(MARIADB_CACHE_METADATA, 36)                                                     \
    X(MARIADB_BULK_UNIT_RESULTS, 37)

#define X(name, bit) static const uint64_t CAP_##name = UINT64_C(1) << (bit);
CAPS_FLAGS(X)
#undef X

/* MariaDB's that weir honours. Who asks for any of them leaves bit 0 clear. */
#define CAPS_EXTENDED (CAP_MARIADB_STMT_BULK | CAP_MARIADB_EXTENDED_METADATA)

/* Status flags in OK and EOF packets that weir looks at. */
#define STATUS_IN_TRANS             0x0001u
#define STATUS_AUTOCOMMIT           0x0002u
#define STATUS_MORE_RESULTS         0x0008u
#define STATUS_NO_GOOD_INDEX_USED   0x0010u
#define STATUS_NO_INDEX_USED        0x0020u
#define STATUS_CURSOR_EXISTS        0x0040u
#define STATUS_LAST_ROW_SENT        0x0080u
#define STATUS_DB_DROPPED           0x0100u
#define STATUS_NO_BACKSLASH_ESCAPES 0x0200u
#define STATUS_METADATA_CHANGED     0x0400u
#define STATUS_PS_OUT_PARAMS        0x1000u
#define STATUS_IN_TRANS_READONLY    0x2000u
#define STATUS_SESSION_STATE        0x4000u
#define STATUS_MARIADB_ANSI_QUOTES  0x8000u
/* Those that describe the session; the others describe one result. */
#define STATUS_OF_SESSION                                                \
    (STATUS_IN_TRANS | STATUS_AUTOCOMMIT | STATUS_NO_BACKSLASH_ESCAPES | \
     STATUS_IN_TRANS_READONLY | STATUS_MARIADB_ANSI_QUOTES)

/* What to put into the greeting for clients. server_caps: the greeting's flags of the server that
 * is imitated (the primary); has_tls: this listener can do TLS. */
uint64_t caps_offer(uint64_t server_caps, bool has_tls);

/* What a session ends up with: offered and asked for. */
uint64_t caps_agree(uint64_t offered, uint64_t client_caps);

/* What to send to a server in the login packet. client_caps: the agreed flags of the session that
 * the connection is for (0: weir's own). wants_db: the packet carries a schema. */
uint64_t caps_request(uint64_t server_caps, uint64_t client_caps, bool use_tls, bool wants_db);

/* Flags without which weir cannot use a server (0: fine). */
uint64_t caps_missing(uint64_t server_caps);

/* Flags that change what statements mean: two connections that differ in these are different. */
uint64_t caps_semantic(uint64_t caps);

/* The lowest flag's name, "none" for 0. */
const char *caps_name(uint64_t caps);

#endif
