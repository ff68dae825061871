/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_stmt - what only the C client does with prepared statements; prepared_real compares its words.
 *
 *   run_stmt HOST PORT USER DB        the password in RUN_PASSWORD
 *
 * Two read-only cursors whose fetches are interleaved, long data in pieces, mariadb_stmt_execute_direct
 * (statement id -1), rows in bulk with indicators, update of max_length, re-binding. Every line is an
 * observation.
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

enum {
    ROWS = 50
};

/* Numbers and texts in arrays, each fifth a NULL, each seventh a DEFAULT, each eleventh IGNOREd. */
struct arrays {
    long long numbers[ROWS];
    char *texts[ROWS];
    unsigned long lengths[ROWS];
    char marks[2][ROWS];
    MYSQL_BIND bind[2];
};

static void arrays_fill(struct arrays *a, long long from)
{
    static char words[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    memset(a, 0, sizeof(*a));
    for (int i = 0; i < ROWS; i++) {
        a->numbers[i] = from + i;
        a->texts[i] = words + i % 30;
        a->lengths[i] = (unsigned long)i % 7;
        a->marks[0][i] = i % 7 == 6 ? STMT_INDICATOR_DEFAULT : STMT_INDICATOR_NONE;
        a->marks[1][i] = i % 5 == 4    ? STMT_INDICATOR_NULL
                         : i % 11 == 5 ? STMT_INDICATOR_IGNORE
                                       : STMT_INDICATOR_NONE;
    }
    a->bind[0].buffer_type = MYSQL_TYPE_LONGLONG;
    a->bind[0].buffer = a->numbers;
    a->bind[1].buffer_type = MYSQL_TYPE_STRING;
    a->bind[1].buffer = a->texts;
    a->bind[1].length = a->lengths;
    a->bind[0].u.indicator = a->marks[0];
    a->bind[1].u.indicator = a->marks[1];
}

static const char *word(const char *value)
{
    return value == NULL ? "NULL" : value;
}

static void count(MYSQL *con, const char *what)
{
    MYSQL_ROW row;
    MYSQL_RES *found = NULL;

    if (mysql_query(con, "SELECT COUNT(*), SUM(i), SUM(s IS NULL), SUM(CRC32(s)), "
                         "LAST_INSERT_ID() - MIN(id) FROM pd_write WHERE d = 7") == 0 &&
        (found = mysql_store_result(con)) != NULL && (row = mysql_fetch_row(found)) != NULL) {
        (void)printf("%s: %s rows, %s, %s, %s, id %s\n", what, row[0], word(row[1]), word(row[2]),
                     word(row[3]), word(row[4]));
    }
    mysql_free_result(found);
}

static void bulk(MYSQL *con)
{
    static struct arrays a;
    static char too_long[] =
        "the column takes fifty characters, and these here are some more than sixty of them";
    MYSQL_STMT *add = make(con, "INSERT INTO pd_write (i, s, d) VALUES (?, ?, 7)");
    MYSQL_STMT *change = make(con, "UPDATE pd_write SET s = CONCAT('+', i) WHERE i = ?");
    unsigned int rows = ROWS;

    arrays_fill(&a, 1000);
    (void)mysql_stmt_attr_set(add, STMT_ATTR_ARRAY_SIZE, &rows);
    (void)mysql_stmt_bind_param(add, a.bind);
    run(add, "bulk");
    count(con, "bulk");
    for (int i = 0; i < ROWS; i++) {
        a.numbers[i] += 100;
    }
    run(add, "bulk again"); /* the library sends no types this time */
    count(con, "bulk again");
    a.numbers[20] = -5;
    a.lengths[21] = 60;
    a.texts[21] = too_long;
    run(add, "bulk that fails");
    count(con, "bulk that fails");
    (void)mysql_stmt_attr_set(change, STMT_ATTR_ARRAY_SIZE, &rows);
    (void)mysql_stmt_bind_param(change, a.bind);
    run(change, "bulk update");
    count(con, "bulk update");
    rows = 0;
    (void)mysql_stmt_attr_set(change, STMT_ATTR_ARRAY_SIZE, &rows);
    (void)mysql_stmt_bind_param(change, a.bind);
    run(change, "one update");
    (void)mysql_stmt_close(add);
    (void)mysql_stmt_close(change);
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
