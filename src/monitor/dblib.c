/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file that includes mysql.h. The two libraries are told apart by the version macro that
 * libmariadb's header brings.
 */
#include "weir/monitor/dblib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <mysql.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"

#define PASSWORD_MAX 1024
#define SSL_ERROR    2026 /* CR_SSL_CONNECTION_ERROR in both */

#ifdef MARIADB_PACKAGE_VERSION
#    include <mariadb_rpl.h>
typedef MARIADB_RPL *db_log; /* owned by its db; NULL: no log is read */
#else
typedef MYSQL_RPL db_log;
#endif

struct db {
    MYSQL mysql;
    db_log log;
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
    unsigned long packet = DB_PACKET_MAX;
    unsigned off = 0;

    if (seconds == 0) {
        seconds = 1;
    }
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
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

/* The name to connect by, where the certificate must carry it. Connecting by a name other than the
 * address's own, or by one of several addresses' name, might reach another server than the workers
 * do: then the chain alone is checked, if there is an authority to check it by. */
static const char *target_verify_host(const struct config_server *server, bool has_siblings,
                                      bool has_ca)
{
    const char *host = server->address.host;
    const char *name = server->tls_server_name;

    if (!has_ca) {
        return name ? name : host;
    }
    return has_siblings || (name && (!host || strcmp(name, host) != 0)) ? NULL : host;
}

void db_target_server(const struct config *config, const struct config_server *server,
                      bool has_siblings, const struct sockaddr_storage *addr, uint64_t timeout_us,
                      struct db_target *ret_target)
{
    memset(ret_target, 0, sizeof(*ret_target));
    ret_target->addr = addr;
    ret_target->user = config->monitor.user;
    ret_target->password = config->monitor.password;
    ret_target->tls = server->tls;
    ret_target->tls_ca = server->tls_ca ? server->tls_ca : config->tls.ca;
    ret_target->timeout_us = timeout_us;
    ret_target->verify_host = target_verify_host(server, has_siblings, ret_target->tls_ca != NULL);
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

/* --- a log --- */

#ifdef MARIADB_PACKAGE_VERSION
/*
 * The library's own fetch takes events apart, and fails at those that it does not know (MySQL's
 * compressed transactions, tagged GTIDs): the packets are read as they come.
 */
static int log_start(struct db *db, const struct db_log_start *start)
{
    db->log = mariadb_rpl_init(&db->mysql);
    if (db->log == NULL) {
        return -ENOMEM;
    }
    mariadb_rpl_optionsv(db->log, MARIADB_RPL_FILENAME, start->file, strlen(start->file));
    mariadb_rpl_optionsv(db->log, MARIADB_RPL_START, (unsigned long)start->position);
    mariadb_rpl_optionsv(db->log, MARIADB_RPL_SERVER_ID, start->server_id);
    return mariadb_rpl_open(db->log) == 0 ? 0 : -WR_E_SERVER_ERROR;
}

static int log_packet(struct db *db, struct span *ret_packet)
{
    unsigned long len = mysql_net_read_packet(&db->mysql);

    *ret_packet = (struct span){db->mysql.net.read_pos, len};
    return len >= UINT32_MAX ? -WR_E_SERVER_ERROR : 0; /* its mark of an error is of 32 bits */
}

static void log_close(struct db *db)
{
    if (db->log != NULL) {
        mariadb_rpl_close(db->log);
    }
}

static int db_socket(const struct db *db)
{
    return (int)mysql_get_socket((MYSQL *)(uintptr_t)&db->mysql);
}
#else
static int log_start(struct db *db, const struct db_log_start *start)
{
    db->log.file_name = start->file;
    db->log.file_name_length = strlen(start->file);
    db->log.start_position = start->position;
    db->log.server_id = start->server_id;
    return mysql_binlog_open(&db->mysql, &db->log) == 0 ? 0 : -WR_E_SERVER_ERROR;
}

static int log_packet(struct db *db, struct span *ret_packet)
{
    if (mysql_binlog_fetch(&db->mysql, &db->log) != 0) {
        return -WR_E_SERVER_ERROR;
    }
    *ret_packet = (struct span){db->log.buffer, db->log.size};
    return 0;
}

static void log_close(struct db *db)
{
    (void)db; /* mysql_binlog_close() would only send what mysql_close() sends */
}

static int db_socket(const struct db *db)
{
    return (int)db->mysql.net.fd;
}
#endif

int db_log_open(struct db *db, const struct db_log_start *start)
{
    return log_start(db, start);
}

int db_log_fetch(struct db *db, struct span *ret_event)
{
    struct span packet = {NULL, 0};
    int r = log_packet(db, &packet);

    if (r < 0) {
        return r;
    }
    if (packet.len < 1 || packet.p[0] != 0) { /* an EOF */
        return -WR_E_CLOSED;
    }
    *ret_event = (struct span){packet.p + 1, packet.len - 1};
    return 0;
}

bool db_is_readable(const struct db *db)
{
    struct pollfd fd = {.fd = db_socket(db), .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

void db_interrupt(const struct db *db)
{
    (void)shutdown(db_socket(db), SHUT_RDWR);
}

void db_close(struct db *db)
{
    if (db) {
        log_close(db);
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
