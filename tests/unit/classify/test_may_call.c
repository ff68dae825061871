/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/classify/classify.h"

struct row {
    const char *sql;
    bool may_call;
};

static const struct row ROWS[] = {
    {"INSERT INTO t (a, b) VALUES (1, 'f(x)')", false},
    {"INSERT INTO t(a) VALUES (1)", false},
    {"INSERT INTO s.t (a) VALUES (NOW()), (CONCAT('a', UPPER('b')))", false},
    {"REPLACE INTO `s`.`t`(a) VALUES (1)", false},
    {"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", false},
    {"UPDATE t SET a = IF(b IN (1, 2), COUNT_, 3) WHERE (c = 1)", false},
    {"DELETE FROM t WHERE a BETWEEN (1) AND (2) /* f(1) */", false},
    {"UPDATE t SET a = (SELECT MAX(b) FROM u)", false},
    {"SELECT a FROM t WHERE id = 1 FOR UPDATE", false},
    {"SELECT CONNECTION_ID(), last_insert_id (), VERSION()", false},
    {"SELECT GET_LOCK('f(1)', 1), RELEASE_LOCK('f'), IS_FREE_LOCK('f'), IS_USED_LOCK('f')", false},
    {"INSERT INTO t (a) VALUES (LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS())", false},
    {"SELECT s.LAST_INSERT_ID()", true},
    {"SELECT `CONNECTION_ID`()", true},
    {"SELECT NEXTVAL(s)", true},
    {"INSERT INTO t (a) SELECT f(1)", true},
    {"INSERT INTO t (a) VALUES (f (1))", true},
    {"INSERT INTO t (a) VALUES (s.f(1))", true},
    {"INSERT INTO t (a) VALUES (`f`(1))", true},
    {"UPDATE t SET a = f(a)", true},
    {"DELETE FROM t WHERE my_udf(a)", true},
    {"UPDATE t SET a = 1 WHERE b = 'unterminated", true},
    {"INSERT INTO t (a) VALUES (s.NOW())", true},
    {"INSERT t (a) VALUES (1)", true}, /* it is not, and nothing is lost by it */
};

static void test_rows(void **state)
{
    static const enum classify_flavour flavours[] = {CLASSIFY_MYSQL, CLASSIFY_MARIADB};

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct classify_env env = {.flavour = flavours[f],
                                   .version = flavours[f] == CLASSIFY_MYSQL ? 90704 : 101119};

        for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
            struct span sql = {(const uint8_t *)ROWS[i].sql, strlen(ROWS[i].sql)};

            if (classify_may_call(sql, &env) != ROWS[i].may_call) {
                fail_msg("flavour %zu: %s", f, ROWS[i].sql);
            }
        }
    }
}

/* No text, cut anywhere, makes it read past the end; ASan watches. */
static void test_cuts(void **state)
{
    const struct classify_env env = {.flavour = CLASSIFY_MARIADB};

    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        for (size_t len = 0; len <= strlen(ROWS[i].sql); len++) {
            char *copy = test_malloc(len > 0 ? len : 1);

            memcpy(copy, ROWS[i].sql, len);
            (void)classify_may_call((struct span){(const uint8_t *)copy, len}, &env);
            test_free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
