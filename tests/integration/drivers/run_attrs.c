/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_attrs - query attributes as MySQL's own client library sends them; attrs_real compares its words.
 *
 *   run_attrs HOST PORT USER DB        the password in RUN_PASSWORD
 *
 * Attributes of texts and of prepared statements, of several types, with parameters and without; each
 * goes with one statement only. Every line is an observation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#define ASK "mysql_query_attribute_string('x'), mysql_query_attribute_string('y')"

static void show(MYSQL *con, const char *what)
{
    MYSQL_RES *res = mysql_store_result(con);
    MYSQL_ROW row;

    if (res == NULL) {
        (void)printf("%s: %u %s\n", what, mysql_errno(con), mysql_error(con));
        return;
    }
    while ((row = mysql_fetch_row(res)) != NULL) {
        for (unsigned i = 0; i < mysql_num_fields(res); i++) {
            (void)printf("%s %u: %s\n", what, i, row[i] == NULL ? "NULL" : row[i]);
        }
    }
    mysql_free_result(res);
}

static void ask(MYSQL *con, const char *what, const char *sql)
{
    if (mysql_query(con, sql) != 0) {
        (void)printf("%s: %u %s\n", what, mysql_errno(con), mysql_error(con));
        return;
    }
    show(con, what);
}

static MYSQL_BIND text_of(const char *text)
{
    MYSQL_BIND bind;

    memset(&bind, 0, sizeof(bind));
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = (void *)text;
    bind.buffer_length = (unsigned long)strlen(text);
    return bind;
}

static void texts(MYSQL *con)
{
    const char *names[] = {"x", "y", "weir.key", "", "d"};
    long long number = -42;
    MYSQL_TIME day = {.year = 2026, .month = 11, .day = 26, .time_type = MYSQL_TIMESTAMP_DATE};
    MYSQL_BIND binds[5];

    ask(con, "none", "SELECT " ASK);
    binds[0] = text_of("one");
    memset(&binds[1], 0, sizeof(binds[1]));
    binds[1].buffer_type = MYSQL_TYPE_LONGLONG;
    binds[1].buffer = &number;
    binds[2] = text_of("cart:7");
    memset(&binds[3], 0, sizeof(binds[3]));
    binds[3].buffer_type = MYSQL_TYPE_NULL;
    memset(&binds[4], 0, sizeof(binds[4]));
    binds[4].buffer_type = MYSQL_TYPE_DATE;
    binds[4].buffer = &day;
    (void)mysql_bind_param(con, 5, binds, names);
    ask(con, "text", "SELECT " ASK ", mysql_query_attribute_string('weir.key')");
    ask(con, "once", "SELECT " ASK);
    (void)mysql_bind_param(con, 1, binds, names);
    ask(con, "insert", "INSERT INTO at_log(v) VALUES (mysql_query_attribute_string('x'))");
    ask(con, "inserted", "SELECT v FROM at_log ORDER BY id");
    (void)mysql_bind_param(con, 1, binds, names);
    ask(con, "error", "SELECT nothing FROM nowhere");
    (void)mysql_bind_param(con, 1, binds, names);
    ask(con, "id", "SELECT CONNECTION_ID() = CONNECTION_ID(), mysql_query_attribute_string('x')");
}

static void fetch(MYSQL_STMT *stmt, const char *what)
{
    char text[3][64];
    unsigned long len[3] = {0};
    bool is_null[3] = {false};
    MYSQL_BIND binds[3];

    if (mysql_stmt_execute(stmt) != 0) {
        (void)printf("%s: %u %s\n", what, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
        return;
    }
    memset(binds, 0, sizeof(binds));
    for (unsigned i = 0; i < 3; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = text[i];
        binds[i].buffer_length = sizeof(text[i]) - 1;
        binds[i].length = &len[i];
        binds[i].is_null = &is_null[i];
    }
    (void)mysql_stmt_bind_result(stmt, binds);
    while (mysql_stmt_fetch(stmt) == 0) {
        for (unsigned i = 0; i < mysql_stmt_field_count(stmt); i++) {
            (void)printf("%s %u: %.*s\n", what, i, is_null[i] ? 4 : (int)len[i],
                         is_null[i] ? "NULL" : text[i]);
        }
    }
    (void)mysql_stmt_free_result(stmt);
}

static void prepared(MYSQL *con, const char *sql, unsigned params)
{
    const char *names[] = {NULL, "x", "y"};
    long long number = 7;
    MYSQL_STMT *stmt = mysql_stmt_init(con);
    MYSQL_BIND binds[3];

    if (mysql_stmt_prepare(stmt, sql, (unsigned long)strlen(sql)) != 0) {
        (void)printf("prepare: %u %s\n", mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    }
    memset(binds, 0, sizeof(binds));
    binds[0].buffer_type = MYSQL_TYPE_LONGLONG;
    binds[0].buffer = &number;
    binds[1] = text_of("named");
    binds[2] = text_of("another");
    for (unsigned i = 0; i < 3; i++) {
        (void)mysql_stmt_bind_named_param(stmt, binds + (params != 0 ? 0 : 1), params + 2,
                                          names + (params != 0 ? 0 : 1));
        fetch(stmt, "named");
        number++;
    }
    ask(con, "between", "SELECT " ASK);
    if (params != 0) {
        (void)mysql_stmt_bind_param(stmt, binds);
        fetch(stmt, "plain");
        number++;
        fetch(stmt, "again");
    }
    (void)mysql_stmt_close(stmt);
}

int main(int argc, char **argv)
{
    MYSQL *con = mysql_init(NULL);

    if (argc != 5 || mysql_real_connect(con, argv[1], argv[3], getenv("RUN_PASSWORD"), argv[4],
                                        (unsigned)strtoul(argv[2], NULL, 10), NULL, 0) == NULL) {
        (void)printf("connect: %s\n", mysql_error(con));
        return 1;
    }
    texts(con);
    prepared(con, "SELECT ?, " ASK, 1);
    prepared(con, "SELECT 'no parameter', " ASK, 0);
    prepared(con, "SELECT id, v FROM at_log WHERE id < ?", 1);
    ask(con, "set", "SET time_zone = '+03:00', @at = 5");
    prepared(con, "SELECT ? + @at, @@time_zone, mysql_query_attribute_string('y')", 1);
    mysql_close(con);
    return 0;
}
