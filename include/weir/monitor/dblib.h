/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dblib - the client library behind a few plain functions.
 *
 * WHY       libmariadb and libmysqlclient differ in names and habits; only dblib.c knows both.
 * OWNS      A struct db owns its connection; a struct db_rows its result.
 * THREADS   One thread per db; db_thread_init/fini around all use in a thread.
 * REENTRY   none
 * UNITS     *_us: microseconds, but the library counts whole seconds: time-outs are rounded up.
 * ERRORS    0, or -WR_E_SERVER_ERROR and the like; db_error() has the server's words, which hold
 *           no secret.
 * BOUNDS    A result is held whole; a call ends after the time-out per network wait. A packet, and
 *           an event of a log, has at most DB_PACKET_MAX bytes.
 */
#ifndef WEIR_MONITOR_DBLIB_H
#define WEIR_MONITOR_DBLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weir/config/config.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define DB_ERROR_MAX  320
#define DB_PACKET_MAX (64UL << 20)

struct db;
struct db_rows;

/* All borrowed for the call. */
struct db_target {
    const struct sockaddr_storage *addr;
    /* With CONFIG_TLS_VERIFY: the name to connect by, which the certificate must carry. NULL: the
     * chain up to tls_ca is checked, and no name (neither library compares with a name other than
     * the one that it connects by). */
    const char *verify_host;
    const char *user;
    struct config_secret password;
    enum config_tls_mode tls;
    const char *tls_ca; /* NULL: the system's */
    uint64_t timeout_us;
};

/* To a server of the config at this address. has_siblings: its name has several addresses. */
void db_target_server(const struct config *config, const struct config_server *server,
                      bool has_siblings, const struct sockaddr_storage *addr, uint64_t timeout_us,
                      struct db_target *ret_target);

WR_NODISCARD int db_library_init(void);
void db_library_fini(void);
void db_thread_init(void);
void db_thread_fini(void);
/* Name and version of the library that is linked. */
const char *db_library_text(void);

/* On failure error has the reason. errno_code: the server's or library's number. */
WR_NODISCARD int db_open(const struct db_target *target, struct db **ret_db,
                         char error[DB_ERROR_MAX], unsigned *ret_errno);
void db_close(struct db *db);

/* For statements with a result (an empty set of rows too) and without (no columns). */
WR_NODISCARD int db_query(struct db *db, const char *sql, struct db_rows **ret_rows);
/* The last failure of this connection. */
unsigned db_errno(const struct db *db);
const char *db_error(const struct db *db);

void db_rows_free(struct db_rows *rows);
/* To the next row; false: there is none. */
bool db_rows_next(struct db_rows *rows);
/* Before the first row again. What was got before stays good: all rows are kept. */
void db_rows_rewind(struct db_rows *rows);
/* -1: no such column (names without case). */
int db_rows_column(const struct db_rows *rows, const char *name);
/* p is NULL for SQL NULL, and for a column that is not there. Borrowed until the next row. */
struct span db_rows_get(const struct db_rows *rows, int column);
/* By name, or by the second name when there is no column of the first. */
struct span db_rows_named(const struct db_rows *rows, const char *name, const char *other);

/* --- reading a binary log --- */

struct db_log_start {
    const char *file; /* borrowed until db_close() */
    uint32_t position;
    uint32_t server_id; /* nobody else's: a server ends the older reader of two */
};

/* Nothing else may be asked over this connection afterwards. */
WR_NODISCARD int db_log_open(struct db *db, const struct db_log_start *start);
/* Waits for the next event: header, body, checksum, as the server sent it; borrowed until the next
 * call. -WR_E_SERVER_ERROR: db_errno() says why; -WR_E_CLOSED: the server has no more. */
WR_NODISCARD int db_log_fetch(struct db *db, struct span *ret_event);

/* More can be read from the socket at once. */
bool db_is_readable(const struct db *db);
/* From any thread, while nobody closes it: what waits for the server fails at once. */
void db_interrupt(const struct db *db);

#endif
