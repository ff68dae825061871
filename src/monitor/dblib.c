/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file that includes mysql.h. The two libraries are told apart by the version macro that
 * libmariadb's header brings.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <mysql.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "dblib_priv.h"

#define PASSWORD_MAX 1024
#define SSL_ERROR    2026 /* CR_SSL_CONNECTION_ERROR in both */

struct db {
    MYSQL mysql;
};

struct db_rows {
    MYSQL_RES *result; /* NULL: a statement without a result */
    MYSQL_ROW row;     /* borrowed from result */
    unsigned long *lengths;
};

int db_library_init(void)
{
    return mysql_library_init(0, NULL, NULL) == 0 ? 0 : -ENOMEM;
}

void db_library_fini(void)
{
    mysql_library_end();
}

void db_thread_init(void)
{
    (void)mysql_thread_init();
}

void db_thread_fini(void)
{
    mysql_thread_end();
}

const char *db_library_text(void)
{
#ifdef MARIADB_PACKAGE_VERSION
    return "libmariadb " MARIADB_PACKAGE_VERSION;
#else
    return "libmysqlclient " MYSQL_SERVER_VERSION;
#endif
}

#ifdef MARIADB_PACKAGE_VERSION
static void options_tls(MYSQL *mysql, const struct db_target *target, bool is_plain)
{
    my_bool enforce = target->tls != CONFIG_TLS_OFF && !is_plain;
    my_bool verify = target->tls == CONFIG_TLS_VERIFY && target->verify_host;

    mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (target->tls == CONFIG_TLS_VERIFY && target->tls_ca) { /* by itself: the chain is checked */
        mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, target->tls_ca);
    }
}

/* libmariadb cannot prefer TLS: it is asked for, and without it where a server has none. */
static bool is_plain_worth_trying(const MYSQL *mysql, const struct db_target *target)
{
    return target->tls == CONFIG_TLS_PREFERRED &&
           mysql_errno((MYSQL *)(uintptr_t)mysql) == SSL_ERROR;
}
#else
static void options_tls(MYSQL *mysql, const struct db_target *target, bool is_plain)
{
    unsigned mode = SSL_MODE_DISABLED;
    bool get_key = true;

    (void)is_plain;
    switch (target->tls) {
    case CONFIG_TLS_OFF:
        break;
    case CONFIG_TLS_PREFERRED:
        mode = SSL_MODE_PREFERRED;
        break;
    case CONFIG_TLS_REQUIRED:
        mode = SSL_MODE_REQUIRED;
        break;
    case CONFIG_TLS_VERIFY:
        mode = target->verify_host ? SSL_MODE_VERIFY_IDENTITY : SSL_MODE_VERIFY_CA;
        break;
    }
    mysql_options(mysql, MYSQL_OPT_SSL_MODE, &mode);
    if (target->tls == CONFIG_TLS_VERIFY && target->tls_ca) {
        mysql_options(mysql, MYSQL_OPT_SSL_CA, target->tls_ca);
    }
    /* libmariadb asks for the key by itself; this one has to be told. */
    mysql_options(mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &get_key);
}

static bool is_plain_worth_trying(const MYSQL *mysql, const struct db_target *target)
{
    (void)mysql;
    (void)target;
    return false;
}
#endif

static void options_set(MYSQL *mysql, const struct db_target *target, bool is_plain)
{
    unsigned seconds = (unsigned)((target->timeout_us + 999999) / 1000000);
    unsigned off = 0;

    if (seconds == 0) {
        seconds = 1;
    }
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    options_tls(mysql, target, is_plain);
}

/* Where to connect: numeric, so that weir's workers and this connection use the same address; by
 * name only where the certificate is to be compared with it. */
static void target_address(const struct db_target *target, char *host, size_t cap,
                           const char **ret_socket, unsigned *ret_port)
{
    const struct sockaddr_storage *addr = target->addr;

    *ret_socket = NULL;
    *ret_port = 0;
    host[0] = '\0';
    if (addr->ss_family == AF_UNIX) {
        *ret_socket = ((const struct sockaddr_un *)(const void *)addr)->sun_path;
        (void)snprintf(host, cap, "localhost");
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, (socklen_t)cap);
        *ret_port = ntohs(in6->sin6_port);
    } else {
        const struct sockaddr_in *in = (const void *)addr;

        inet_ntop(AF_INET, &in->sin_addr, host, (socklen_t)cap);
        *ret_port = ntohs(in->sin_port);
    }
    if (target->tls == CONFIG_TLS_VERIFY && target->verify_host && !*ret_socket) {
        (void)snprintf(host, cap, "%s", target->verify_host);
    }
}

static bool db_connect(MYSQL *mysql, const struct db_target *target, bool is_plain)
{
    char host[256];
    char password[PASSWORD_MAX];
    const char *socket_path = NULL;
    unsigned port = 0;
    unsigned protocol = MYSQL_PROTOCOL_TCP;
    bool is_open = false;

    target_address(target, host, sizeof(host), &socket_path, &port);
    if (socket_path) {
        protocol = MYSQL_PROTOCOL_SOCKET;
    }
    options_set(mysql, target, is_plain);
    mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    if (target->password.len < sizeof(password)) {
        if (target->password.len > 0) {
            memcpy(password, target->password.p, target->password.len);
        }
        password[target->password.len] = '\0';
        is_open = mysql_real_connect(mysql, host, target->user, password, NULL, port, socket_path,
                                     0) != NULL;
        crypto_wipe(password, sizeof(password));
    }
    return is_open;
}

/* libmariadb goes on without TLS when a server offers none, unless the certificate's name is to be
 * checked: what `required` means is seen to here. A unix socket needs none. */
static bool is_secret_enough(MYSQL *mysql, const struct db_target *target)
{
    bool is_needed = target->tls == CONFIG_TLS_REQUIRED || target->tls == CONFIG_TLS_VERIFY;

    return !is_needed || target->addr->ss_family == AF_UNIX || mysql_get_ssl_cipher(mysql) != NULL;
}

int db_open(const struct db_target *target, struct db **ret_db, char error[DB_ERROR_MAX],
            unsigned *ret_errno)
{
    struct db *db = calloc(1, sizeof(*db));

    if (!db || !mysql_init(&db->mysql)) {
        free(db);
        (void)snprintf(error, DB_ERROR_MAX, "out of memory");
        *ret_errno = 0;
        return -ENOMEM;
    }
    if (!db_connect(&db->mysql, target, false)) {
        bool again = is_plain_worth_trying(&db->mysql, target);

        (void)snprintf(error, DB_ERROR_MAX, "%s", mysql_error(&db->mysql));
        *ret_errno = mysql_errno(&db->mysql);
        mysql_close(&db->mysql);
        if (!again || !mysql_init(&db->mysql)) {
            free(db);
            return -WR_E_SERVER_ERROR;
        }
        if (!db_connect(&db->mysql, target, true)) {
            (void)snprintf(error, DB_ERROR_MAX, "%s", mysql_error(&db->mysql));
            *ret_errno = mysql_errno(&db->mysql);
            mysql_close(&db->mysql);
            free(db);
            return -WR_E_SERVER_ERROR;
        }
    }
    if (!is_secret_enough(&db->mysql, target)) {
        (void)snprintf(error, DB_ERROR_MAX, "TLS is required, and the server does not offer it");
        *ret_errno = SSL_ERROR;
        mysql_close(&db->mysql);
        free(db);
        return -WR_E_SERVER_ERROR;
    }
    *ret_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db) {
        mysql_close(&db->mysql);
        free(db);
    }
}

int db_query(struct db *db, const char *sql, struct db_rows **ret_rows)
{
    struct db_rows *rows = NULL;

    if (mysql_real_query(&db->mysql, sql, (unsigned long)strlen(sql)) != 0) {
        return -WR_E_SERVER_ERROR;
    }
    rows = calloc(1, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    rows->result = mysql_store_result(&db->mysql);
    if (!rows->result && mysql_field_count(&db->mysql) != 0) {
        free(rows);
        return -WR_E_SERVER_ERROR;
    }
    *ret_rows = rows;
    return 0;
}

/* The library takes a MYSQL that is not const, and changes nothing. */
unsigned db_errno(const struct db *db)
{
    return mysql_errno((MYSQL *)(uintptr_t)&db->mysql);
}

const char *db_error(const struct db *db)
{
    return mysql_error((MYSQL *)(uintptr_t)&db->mysql);
}

void db_rows_free(struct db_rows *rows)
{
    if (rows) {
        if (rows->result) {
            mysql_free_result(rows->result);
        }
        free(rows);
    }
}

bool db_rows_next(struct db_rows *rows)
{
    if (!rows->result) {
        return false;
    }
    rows->row = mysql_fetch_row(rows->result);
    rows->lengths = rows->row ? mysql_fetch_lengths(rows->result) : NULL;
    return rows->row != NULL;
}

void db_rows_rewind(struct db_rows *rows)
{
    if (rows->result) {
        mysql_data_seek(rows->result, 0);
    }
}

int db_rows_column(const struct db_rows *rows, const char *name)
{
    unsigned count = rows->result ? mysql_num_fields(rows->result) : 0;
    const MYSQL_FIELD *fields = rows->result ? mysql_fetch_fields(rows->result) : NULL;

    for (unsigned i = 0; i < count; i++) {
        if (span_eq_text_nocase(span_of(fields[i].name), name)) {
            return (int)i;
        }
    }
    return -1;
}

struct span db_rows_get(const struct db_rows *rows, int column)
{
    struct span value = {NULL, 0};

    if (rows->row && column >= 0 && (unsigned)column < mysql_num_fields(rows->result) &&
        rows->row[column]) {
        value.p = (const uint8_t *)rows->row[column];
        value.len = rows->lengths[column];
    }
    return value;
}

struct span db_rows_named(const struct db_rows *rows, const char *name, const char *other)
{
    int column = db_rows_column(rows, name);

    if (column < 0 && other) {
        column = db_rows_column(rows, other);
    }
    return db_rows_get(rows, column);
}
