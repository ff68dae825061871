/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_stmt - what only the C client does with prepared statements; prepared_real compares its words.
 *
 *   run_stmt HOST PORT USER DB        the password in RUN_PASSWORD
 *
 * Two read-only cursors whose fetches are interleaved, long data in pieces, mariadb_stmt_execute_direct
 * (statement id -1), rows in bulk, update of max_length, re-binding. Every line is an observation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

static MYSQL_STMT *make(MYSQL *con, const char *sql)
{
    MYSQL_STMT *stmt = mysql_stmt_init(con);

    if (mysql_stmt_prepare(stmt, sql, (unsigned long)strlen(sql)) != 0) {
        (void)printf("prepare %s: %u %s\n", sql, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    }
    return stmt;
}

static void run(MYSQL_STMT *stmt, const char *what)
{
    if (mysql_stmt_execute(stmt) != 0) {
        (void)printf("%s: %u %s\n", what, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
        return;
    }
    (void)printf("%s: affected %lld, fields %u\n", what, (long long)mysql_stmt_affected_rows(stmt),
                 mysql_stmt_field_count(stmt));
}

static int fetch(MYSQL_STMT *stmt, const char *what)
{
    int id = 0;
    char text[64] = "";
    unsigned long len = 0;
    my_bool is_null = 0;
    MYSQL_BIND bind[2];
    int rc = 0;

    memset(bind, 0, sizeof(bind));
    bind[0].buffer_type = MYSQL_TYPE_LONG;
    bind[0].buffer = &id;
    bind[1].buffer_type = MYSQL_TYPE_STRING;
    bind[1].buffer = text;
    bind[1].buffer_length = sizeof(text) - 1;
    bind[1].length = &len;
    bind[1].is_null = &is_null;
    (void)mysql_stmt_bind_result(stmt, bind);
    rc = mysql_stmt_fetch(stmt);
    (void)printf("%s: %d %d %s\n", what, rc, rc == 0 ? id : 0, rc == 0 && !is_null ? text : "-");
    return rc;
}

static void cursors(MYSQL *con)
{
    unsigned long type = CURSOR_TYPE_READ_ONLY;
    unsigned long rows = 2;
    MYSQL_STMT *one = make(con, "SELECT id, k FROM pd_many WHERE id < 8 ORDER BY id");
    MYSQL_STMT *two = make(con, "SELECT id, k FROM pd_many WHERE id > 490 ORDER BY id");

    for (int i = 0; i < 2; i++) {
        (void)mysql_stmt_attr_set(i == 0 ? one : two, STMT_ATTR_CURSOR_TYPE, &type);
        (void)mysql_stmt_attr_set(i == 0 ? one : two, STMT_ATTR_PREFETCH_ROWS, &rows);
    }
    run(one, "cursor one");
    run(two, "cursor two");
    for (int i = 0; i < 12; i++) {
        (void)fetch(one, "one");
        (void)fetch(two, "two");
        if (i == 3 && mysql_query(con, "SELECT COUNT(*) FROM pd_many") == 0) {
            mysql_free_result(mysql_store_result(con)); /* beside open cursors */
        }
    }
    run(one, "cursor one again");
    (void)fetch(one, "one");
    (void)mysql_stmt_reset(one);
    (void)mysql_stmt_close(one);
    (void)mysql_stmt_close(two);
}

static void pieces(MYSQL *con)
{
    MYSQL_STMT *stmt = make(con, "SELECT LENGTH(?), CONCAT(LEFT(?, 5), '.')");
    MYSQL_BIND bind[2];
    char piece[5000];

    memset(bind, 0, sizeof(bind));
    memset(piece, 'p', sizeof(piece));
    bind[0].buffer_type = bind[1].buffer_type = MYSQL_TYPE_LONG_BLOB;
    (void)mysql_stmt_bind_param(stmt, bind);
    for (int i = 0; i < 40; i++) {
        (void)mysql_stmt_send_long_data(stmt, 0, piece, sizeof(piece));
        if (i % 20 == 0) {
            (void)mysql_stmt_send_long_data(stmt, 1, "second", 6);
        }
    }
    run(stmt, "long data");
    (void)fetch(stmt, "long data");
    (void)mysql_stmt_free_result(stmt);
    (void)mysql_stmt_send_long_data(stmt, 0, piece, 100);
    (void)mysql_stmt_reset(stmt);
    (void)mysql_stmt_send_long_data(stmt, 0, "abc", 3);
    (void)mysql_stmt_send_long_data(stmt, 1, "d", 1);
    run(stmt, "after reset");
    (void)fetch(stmt, "after reset");
    (void)mysql_stmt_close(stmt);
}

static void direct(MYSQL *con)
{
    MYSQL_STMT *stmt = mysql_stmt_init(con);

    for (int i = 0; i < 3; i++) {
        const char *sql =
            i == 2 ? "SELECT no_such FROM pd_many" : "SELECT id, k FROM pd_many WHERE id = 7";

        if (mariadb_stmt_execute_direct(stmt, sql, strlen(sql)) != 0) {
            (void)printf("direct: %u %s\n", mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
            continue;
        }
        (void)fetch(stmt, "direct");
        (void)fetch(stmt, "direct");
    }
    (void)mysql_stmt_close(stmt);
}

static void bulk(MYSQL *con)
{
    MYSQL_STMT *stmt = make(con, "INSERT INTO pd_write (i, s) VALUES (?, 'bulk')");
    MYSQL_BIND bind;
    unsigned int rows = 50;
    long long values[50];

    for (int i = 0; i < 50; i++) {
        values[i] = i;
    }
    memset(&bind, 0, sizeof(bind));
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    bind.buffer = values;
    (void)mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows);
    (void)mysql_stmt_bind_param(stmt, &bind);
    run(stmt, "bulk");
    (void)mysql_stmt_close(stmt);
}

int main(int argc, char **argv)
{
    MYSQL *con = mysql_init(NULL);

    if (argc != 5 || con == NULL) {
        return 2;
    }
    if (mysql_real_connect(con, argv[1], argv[3], getenv("RUN_PASSWORD"), argv[4],
                           (unsigned)strtoul(argv[2], NULL, 10), NULL, 0) == NULL) {
        (void)printf("connect: %u %s\n", mysql_errno(con), mysql_error(con));
        return 1;
    }
    cursors(con);
    pieces(con);
    direct(con);
    bulk(con);
    mysql_close(con);
    return 0;
}
