/* SPDX-License-Identifier: Apache-2.0 */
/* test_facts.c - facts.tsv, line by line, and what holds for every line of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/classify_text.h"

#define TABLE    WEIR_SOURCE_DIR "/tests/data/sql/facts.tsv"
#define COLUMNS  9
#define MIN_ROWS 400
#define MAX_LINE 65536

struct row {
    char *column[COLUMNS];
    char *sql;
    size_t sql_len;
    struct classify_env env;
    int line;
};

typedef void (*row_fn)(const struct row *row);

static size_t row_split(char *line, char **column)
{
    size_t n = 0;
    while (n < COLUMNS) {
        column[n++] = line;
        line = strchr(line, '\t');
        if (line == NULL) {
            break;
        }
        *line++ = '\0';
    }
    return n;
}

static int for_each_row(row_fn fn)
{
    static char line[MAX_LINE];
    struct row row = {.line = 0};
    int rows = 0;
    FILE *file = fopen(TABLE, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        row.line++;
        if (line[0] == '#') {
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        if (row_split(line, row.column) != COLUMNS || !classify_text_env(row.column[1], &row.env)) {
            fail_msg("facts.tsv:%d: malformed", row.line);
        }
        char *sql = strdup(row.column[0]);
        assert_non_null(sql);
        row.sql_len = classify_text_unescape(sql);
        /* exactly as long as the text: a read past its end is seen */
        row.sql = malloc(row.sql_len + 1);
        assert_non_null(row.sql);
        memcpy(row.sql, sql, row.sql_len + 1);
        free(sql);
        fn(&row);
        free(row.sql);
        rows++;
    }
    (void)fclose(file);
    return rows;
}

static void classify_bytes(const char *p, size_t len, const struct classify_env *env,
                           struct facts *f)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, p, len);
    classify_sql((struct span){copy, len}, env, f);
    free(copy); /* spans of f dangle from here on: only bits and counts are looked at */
}

static void check_row(const struct row *row)
{
    struct facts f;
    char got[4096];
    char want[4096];
    classify_sql((struct span){(const uint8_t *)row->sql, row->sql_len}, &row->env, &f);
    classify_text_format(&f, got, sizeof(got));
    (void)snprintf(want, sizeof(want), "%s\t%s\t%s\t%s\t%s\t%s", row->column[2], row->column[3],
                   row->column[4], row->column[5], row->column[6], row->column[7]);
    if (strcmp(got, want) != 0) {
        fail_msg("facts.tsv:%d: %s\n  want %s\n  got  %s", row->line, row->column[0], want, got);
    }
}

static void test_table(void **state)
{
    (void)state;
    assert_true(for_each_row(check_row) >= MIN_ROWS);
}

/* Exactly one of the three routes, and a reason exactly when it is no read. */
static void check_consistent(const struct row *row)
{
    struct facts f;
    classify_bytes(row->sql, row->sql_len, &row->env, &f);
    int routes = ((f.bits & FACT(READ)) != 0) + ((f.bits & FACT(PRIMARY)) != 0) +
                 ((f.bits & FACT(LAST)) != 0);
    if (routes != 1 || ((f.bits & FACT(READ)) != 0) != (f.why == WHY_NONE)) {
        fail_msg("facts.tsv:%d: inconsistent", row->line);
    }
    uint64_t never = FACT(WRITE) | FACT(SETS_STATE) | FACT(STARTS_TX) | FACT(ENDS_TX) | FACT(DDL) |
                     FACT(DML) | FACT(LOCKING) | FACT(MULTI) | FACT(USER_VARIABLE) |
                     FACT(SYSTEM_VARIABLE) | FACT(NAMED_LOCK) | FACT(CONNECTION_ID) |
                     FACT(LOAD_LOCAL) | FACT(LARGE) | FACT(SYSTEM_SCHEMA) | FACT(ADMIN) |
                     FACT(KILL) | FACT(OVERFLOW) | FACT(LAST_INSERT_ID) | FACT(BAD_LEX);
    if ((f.bits & FACT(READ)) != 0 && ((f.bits & never) != 0 || f.pins != 0)) {
        fail_msg("facts.tsv:%d: a read with effects", row->line);
    }
}

/* Every table of a read is among the names that classify_mentions() finds. */
static void check_mentioned(const struct row *row)
{
    struct span sql = {(const uint8_t *)row->sql, row->sql_len};
    struct facts_table mentions[64];
    struct facts f;
    size_t count = classify_mentions(sql, &row->env, mentions, WR_ARRAY_LEN(mentions));

    classify_sql(sql, &row->env, &f);
    for (uint8_t i = 0; i < f.table_count; i++) {
        size_t at = 0;

        while (at < count && mentions[at].name.p != f.tables[i].name.p) {
            at++;
        }
        if (at == count) {
            fail_msg("facts.tsv:%d: table %u is not mentioned", row->line, (unsigned)i);
        }
    }
}

static void test_mentioned(void **state)
{
    (void)state;
    for_each_row(check_mentioned);
}

static void test_consistent(void **state)
{
    (void)state;
    assert_true(for_each_row(check_consistent) >= MIN_ROWS);
}

static const char *const poisons[] = {
    "\n FOR UPDATE ",
    "\n INTO @v ",
    "\n;DELETE FROM t",
    "\n , @v",
    "\n , my_function(1)",
    "\n UNION SELECT GET_LOCK('a', 1)",
    "\n LOCK IN SHARE MODE",
    "\n /*! FOR UPDATE */",
    "\n '",
    "\n /*",
    "\n $$",
    "\n ; SET @a = 1",
};

/* A read ends as code: whatever is put behind it counts. Were it to end inside a quote or a
 * comment that weir did not see, or did weir see one that is none, this would fail. */
static void check_poison(const struct row *row, size_t len)
{
    struct facts f;
    classify_bytes(row->sql, len, &row->env, &f);
    if ((f.bits & FACT(READ)) == 0 || f.verb == VERB_HELP) {
        return;
    }
    char text[MAX_LINE / 4];
    for (size_t i = 0; i < WR_ARRAY_LEN(poisons); i++) {
        if (row->env.flavour == CLASSIFY_MARIADB && strchr(poisons[i], '$') != NULL) {
            continue; /* a name there */
        }
        assert_true(len + strlen(poisons[i]) < sizeof(text));
        memcpy(text, row->sql, len);
        memcpy(text + len, poisons[i], strlen(poisons[i]));
        classify_bytes(text, len + strlen(poisons[i]), &row->env, &f);
        /* SHOW CREATE, SHOW GRANTS and DESCRIBE name things: only state and locks count there */
        bool is_lax = f.verb == VERB_SHOW && strstr(poisons[i], "@") == NULL &&
                      strstr(poisons[i], ";") == NULL;
        if ((f.bits & FACT(READ)) != 0 && !is_lax) {
            fail_msg("facts.tsv:%d: still a read, cut at %zu, with %s", row->line, len, poisons[i]);
        }
    }
}

static void check_poison_all(const struct row *row)
{
    check_poison(row, row->sql_len);
}

static void test_poison(void **state)
{
    (void)state;
    assert_true(for_each_row(check_poison_all) >= MIN_ROWS);
}

/* Cut anywhere, a statement is a read only if what is left is one by itself. */
static void check_truncated(const struct row *row)
{
    for (size_t len = 0; len < row->sql_len; len++) {
        check_poison(row, len);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    assert_true(for_each_row(check_truncated) >= MIN_ROWS);
}

static uint64_t bits_of(const char *p, size_t len, const struct classify_env *env, struct facts *f)
{
    classify_bytes(p, len, env, f);
    return f->bits;
}

static const char *const blanks[] = {" ", "\n\t", "/* x */", "/**/ ", " -- x\n", "#\n", "\x0b"};

/* White space and comments around the statement and in place of its spaces change nothing. */
static void check_blanks(const struct row *row)
{
    struct facts plain;
    struct facts f;
    char text[MAX_LINE / 4];
    uint64_t bits = bits_of(row->sql, row->sql_len, &row->env, &plain);
    if ((bits & FACT(BAD_LEX)) != 0 || (row->env.sql_mode & CLASSIFY_MODE_IGNORE_SPACE) != 0 ||
        memchr(row->sql, '\'', row->sql_len) != NULL ||
        memchr(row->sql, '"', row->sql_len) != NULL ||
        memchr(row->sql, '`', row->sql_len) != NULL ||
        memchr(row->sql, '#', row->sql_len) != NULL || strstr(row->sql, "--") != NULL ||
        memchr(row->sql, '$', row->sql_len) != NULL || strstr(row->sql, "/*") != NULL ||
        strlen(row->sql) != row->sql_len) {
        return; /* a space there may be text, or a comment count; test_seams covers these */
    }
    for (size_t b = 0; b < WR_ARRAY_LEN(blanks); b++) {
        size_t n = 0;
        size_t blank_len = strlen(blanks[b]);
        memcpy(text, blanks[b], blank_len);
        n += blank_len;
        for (size_t i = 0; i < row->sql_len; i++) {
            if (row->sql[i] == ' ') {
                memcpy(text + n, blanks[b], blank_len);
                n += blank_len;
            } else {
                text[n++] = row->sql[i];
            }
        }
        memcpy(text + n, blanks[b], blank_len);
        n += blank_len;
        if (bits_of(text, n, &row->env, &f) != bits || f.verb != plain.verb || f.why != plain.why ||
            f.pins != plain.pins || f.table_count != plain.table_count ||
            f.id_count != plain.id_count) {
            fail_msg("facts.tsv:%d: blank %zu changes the facts of %s", row->line, b, row->sql);
        }
    }
}

static void test_blanks(void **state)
{
    (void)state;
    assert_true(for_each_row(check_blanks) >= MIN_ROWS);
}

/* The same for texts with quotes: only at both ends, and in upper and lower case. */
static void check_seams(const struct row *row)
{
    struct facts plain;
    struct facts f;
    char text[MAX_LINE / 4];
    uint64_t bits = bits_of(row->sql, row->sql_len, &row->env, &plain);
    int n = snprintf(text, sizeof(text), " /* a */\n# b\n-- c\n");
    assert_true(n > 0);
    memcpy(text + n, row->sql, row->sql_len);
    if (bits_of(text, (size_t)n + row->sql_len, &row->env, &f) != bits || f.verb != plain.verb ||
        f.why != plain.why || f.pins != plain.pins || f.table_count != plain.table_count) {
        fail_msg("facts.tsv:%d: a comment in front changes the facts", row->line);
    }
}

static void test_seams(void **state)
{
    (void)state;
    assert_true(for_each_row(check_seams) >= MIN_ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),     cmocka_unit_test(test_consistent),
        cmocka_unit_test(test_mentioned), cmocka_unit_test(test_poison),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_seams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
