/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file of this room that includes mysql.h. The two libraries are told apart by the version
 * macro that libmariadb's header brings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "weir/util/err.h"

#include "link_priv.h"

#define CLIENT_ERROR_FIRST 2000
#define CLIENT_ERROR_LAST  2999
#define SERVER_GONE        2006
#define SSL_ERROR          2026

struct link_stmt {
    MYSQL_STMT *stmt;
    const char *sql; /* of the caller, for ever */
};

struct link {
    MYSQL mysql;
    struct link_stmt stmts[LINK_STMTS];
    unsigned error_number;
    char error[LINK_TEXT];
};

int link_library_init(void)
{
    return mysql_library_init(0, NULL, NULL) == 0 ? 0 : -ENOMEM;
}

void link_library_fini(void)
{
    mysql_library_end();
}

void link_thread_init(void)
{
    (void)mysql_thread_init();
}

void link_thread_fini(void)
{
    mysql_thread_end();
}

#ifdef MARIADB_PACKAGE_VERSION
static void options_tls(MYSQL *mysql, bool is_on)
{
    my_bool enforce = is_on;
    my_bool verify = 0;

    mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

/* The library has found out that the connection is lost, and has freed its buffer. */
static bool is_closed(MYSQL *mysql)
{
    return mysql_get_socket(mysql) == MARIADB_INVALID_SOCKET;
}
#else
static void options_tls(MYSQL *mysql, bool is_on)
{
    unsigned mode = is_on ? SSL_MODE_REQUIRED : SSL_MODE_DISABLED;
    bool get_key = true;

    mysql_options(mysql, MYSQL_OPT_SSL_MODE, &mode);
    mysql_options(mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &get_key);
}

static bool is_closed(MYSQL *mysql)
{
    (void)mysql;
    return false; /* its calls look for themselves */
}
#endif

static void note(struct link *link, unsigned number, const char *text)
{
    link->error_number = number;
    (void)snprintf(link->error, sizeof(link->error), "%s", text);
}

static int failed(struct link *link)
{
    note(link, mysql_errno(&link->mysql), mysql_error(&link->mysql));
    return -WR_E_SERVER_ERROR;
}

int link_open(const struct verify_target *target, const char *schema, struct link **ret_link,
              unsigned *ret_errno, char error[LINK_TEXT])
{
    struct link *link = calloc(1, sizeof(*link));
    unsigned protocol = target->socket == NULL ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;

    if (link == NULL || mysql_init(&link->mysql) == NULL) {
        free(link);
        *ret_errno = 0;
        (void)snprintf(error, LINK_TEXT, "out of memory");
        return -ENOMEM;
    }
    mysql_options(&link->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &target->timeout_s);
    mysql_options(&link->mysql, MYSQL_OPT_READ_TIMEOUT, &target->timeout_s);
    mysql_options(&link->mysql, MYSQL_OPT_WRITE_TIMEOUT, &target->timeout_s);
    mysql_options(&link->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(&link->mysql, MYSQL_OPT_PROTOCOL, &protocol);
    options_tls(&link->mysql, target->is_tls);
    if (mysql_real_connect(&link->mysql, target->host, target->user, target->password, schema,
                           target->port, target->socket, 0) == NULL) {
        *ret_errno = mysql_errno(&link->mysql);
        (void)snprintf(error, LINK_TEXT, "%s", mysql_error(&link->mysql));
        mysql_close(&link->mysql);
        free(link);
        return -WR_E_SERVER_ERROR;
    }
    /* libmariadb goes on without TLS where none is offered */
    if (target->is_tls && mysql_get_ssl_cipher(&link->mysql) == NULL) {
        *ret_errno = SSL_ERROR;
        (void)snprintf(error, LINK_TEXT, "TLS was asked for and is not offered");
        mysql_close(&link->mysql);
        free(link);
        return -WR_E_SERVER_ERROR;
    }
    *ret_link = link;
    return 0;
}

static void drop_stmts(struct link *link)
{
    for (unsigned i = 0; i < LINK_STMTS; i++) {
        if (link->stmts[i].stmt != NULL) {
            (void)mysql_stmt_close(link->stmts[i].stmt);
            link->stmts[i].stmt = NULL;
        }
    }
}

void link_close(struct link *link)
{
    if (link != NULL) {
        drop_stmts(link);
        mysql_close(&link->mysql);
        free(link);
    }
}

static void take_cell(struct link_answer *answer, unsigned column, const char *text, size_t len)
{
    if (text == NULL) {
        answer->is_null[column] = true;
        return;
    }
    (void)span_copy((struct span){(const uint8_t *)text, len}, answer->cells[column], LINK_CELL);
}

int link_query(struct link *link, const char *sql, struct link_answer *ret_answer)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row = NULL;

    if (mysql_real_query(&link->mysql, sql, (unsigned long)strlen(sql)) != 0) {
        return failed(link);
    }
    result = mysql_store_result(&link->mysql);
    if (result == NULL && mysql_field_count(&link->mysql) != 0) {
        return failed(link);
    }
    memset(ret_answer, 0, sizeof(*ret_answer));
    if (result == NULL) {
        return 0;
    }
    ret_answer->columns = mysql_num_fields(result);
    ret_answer->rows = mysql_num_rows(result);
    row = mysql_fetch_row(result);
    if (row != NULL) {
        const unsigned long *lens = mysql_fetch_lengths(result);

        for (unsigned i = 0; i < ret_answer->columns && i < LINK_COLUMNS; i++) {
            take_cell(ret_answer, i, row[i], lens[i]);
        }
    }
    mysql_free_result(result);
    return 0;
}

static int stmt_failed(struct link *link, MYSQL_STMT *stmt)
{
    note(link, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    return -WR_E_SERVER_ERROR;
}

static int prepare(struct link *link, struct link_stmt *slot, const char *sql)
{
    if (slot->stmt != NULL && slot->sql == sql) {
        return 0;
    }
    if (slot->stmt != NULL) {
        (void)mysql_stmt_close(slot->stmt);
    }
    slot->sql = sql;
    slot->stmt = mysql_stmt_init(&link->mysql);
    if (slot->stmt == NULL) {
        return -ENOMEM;
    }
    if (mysql_stmt_prepare(slot->stmt, sql, (unsigned long)strlen(sql)) != 0) {
        int rc = stmt_failed(link, slot->stmt);

        (void)mysql_stmt_close(slot->stmt);
        slot->stmt = NULL;
        return rc;
    }
    return 0;
}

static int fetch(struct link *link, MYSQL_STMT *stmt, struct link_answer *ret_answer)
{
    MYSQL_BIND binds[LINK_COLUMNS];
    unsigned long lens[LINK_COLUMNS] = {0};
    int rc = 0;

    memset(ret_answer, 0, sizeof(*ret_answer));
    memset(binds, 0, sizeof(binds));
    ret_answer->columns = mysql_stmt_field_count(stmt);
    if (ret_answer->columns == 0) {
        return 0;
    }
    for (unsigned i = 0; i < LINK_COLUMNS; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = ret_answer->cells[i];
        binds[i].buffer_length = LINK_CELL - 1;
        binds[i].length = &lens[i];
    }
    if (ret_answer->columns <= LINK_COLUMNS && mysql_stmt_bind_result(stmt, binds)) {
        return stmt_failed(link, stmt);
    }
    if (mysql_stmt_store_result(stmt) != 0) {
        return stmt_failed(link, stmt);
    }
    ret_answer->rows = mysql_stmt_num_rows(stmt);
    if (ret_answer->columns <= LINK_COLUMNS && ret_answer->rows != 0) {
        rc = mysql_stmt_fetch(stmt);
    }
    (void)mysql_stmt_free_result(stmt);
    return rc == 1 ? stmt_failed(link, stmt) : 0;
}

int link_execute(struct link *link, unsigned slot, const char *sql, const char *tag,
                 uint32_t number, struct link_answer *ret_answer)
{
    MYSQL_BIND params[2];
    char text[LINK_CELL];
    MYSQL_STMT *stmt = NULL;
    int rc = prepare(link, &link->stmts[slot], sql);

    if (rc < 0) {
        return rc;
    }
    stmt = link->stmts[slot].stmt;
    memset(params, 0, sizeof(params));
    params[0].buffer_type = MYSQL_TYPE_STRING;
    params[0].buffer = text;
    params[0].buffer_length = span_copy(span_of(tag), text, sizeof(text));
    params[1].buffer_type = MYSQL_TYPE_LONG;
    params[1].buffer = &number;
    params[1].is_unsigned = 1;
    if (mysql_stmt_bind_param(stmt, params) || mysql_stmt_execute(stmt) != 0) {
        return stmt_failed(link, stmt);
    }
    return fetch(link, stmt, ret_answer);
}

int link_each(struct link *link, const char *sql, link_row_fn fn, void *arg)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row = NULL;
    struct span cells[LINK_COLUMNS];
    unsigned count = 0;
    int rc = 0;

    if (mysql_real_query(&link->mysql, sql, (unsigned long)strlen(sql)) != 0) {
        return failed(link);
    }
    result = mysql_store_result(&link->mysql);
    if (result == NULL) {
        return mysql_field_count(&link->mysql) != 0 ? failed(link) : 0;
    }
    count = mysql_num_fields(result) < LINK_COLUMNS ? mysql_num_fields(result) : LINK_COLUMNS;
    while (rc >= 0 && (row = mysql_fetch_row(result)) != NULL) {
        const unsigned long *lens = mysql_fetch_lengths(result);

        for (unsigned i = 0; i < count; i++) {
            cells[i] = (struct span){(const uint8_t *)row[i], row[i] == NULL ? 0 : lens[i]};
        }
        rc = fn(arg, cells, count);
    }
    mysql_free_result(result);
    return rc < 0 ? rc : 0;
}

int link_reset(struct link *link)
{
    drop_stmts(link);
    return mysql_reset_connection(&link->mysql) == 0 ? 0 : failed(link);
}

int link_change_user(struct link *link, const struct verify_target *target, const char *schema)
{
    drop_stmts(link);
    /* libmariadb 3.3.20 looks at nothing: mysql_change_user() begins with a zero byte into the buffer
     * of the connection. Where a statement's end has just found that one dead, the buffer is freed. */
    if (is_closed(&link->mysql)) {
        note(link, SERVER_GONE, "the connection is lost");
        return -WR_E_SERVER_ERROR;
    }
    return mysql_change_user(&link->mysql, target->user, target->password, schema) == 0
               ? 0
               : failed(link);
}

void link_abandon(struct link *link, const char *sql)
{
    drop_stmts(link); /* while there is nothing in flight */
    (void)mysql_send_query(&link->mysql, sql, (unsigned long)strlen(sql));
    link_close(link);
}

unsigned link_errno(const struct link *link)
{
    return link->error_number;
}

const char *link_error(const struct link *link)
{
    return link->error;
}

bool link_is_dead(const struct link *link)
{
    return link->error_number >= CLIENT_ERROR_FIRST && link->error_number <= CLIENT_ERROR_LAST;
}
