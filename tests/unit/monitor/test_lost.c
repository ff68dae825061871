/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lost_priv.h"

#define A "11111111-1111-1111-1111-111111111111"
#define B "22222222-2222-2222-2222-222222222222"

struct row {
    enum topo_flavour flavour;
    const char *had;
    const char *has;
    uint64_t lost;
};

static const struct row ROWS[] = {
    {TOPO_FLAVOUR_MYSQL, A ":1-100", A ":1-100", 0},
    {TOPO_FLAVOUR_MYSQL, A ":1-100", A ":1-95", 5},
    {TOPO_FLAVOUR_MYSQL, A ":1-100", A ":1-50:60-100", 9},
    {TOPO_FLAVOUR_MYSQL, A ":1-100", A ":1-95," B ":1-7", 5},
    {TOPO_FLAVOUR_MYSQL, A ":1-100,\n" B ":7", B ":1-9, " A ":1-200", 0},
    {TOPO_FLAVOUR_MYSQL, A ":1-3:9", B ":1-100", 4},
    {TOPO_FLAVOUR_MYSQL, A ":1-10:tag:1-5", A ":1-10", 5},
    {TOPO_FLAVOUR_MYSQL, A ":1-10:tag:1-5", A ":1-10:tag:1-4:other:5", 1},
    {TOPO_FLAVOUR_MYSQL, A ":1-10", "", 0}, /* not known */
    {TOPO_FLAVOUR_MYSQL, "", A ":1-10", 0},
    {TOPO_FLAVOUR_MYSQL, "no set", A ":1-10", 0},
    {TOPO_FLAVOUR_MYSQL, A ":5-1", A ":1", 0},
    {TOPO_FLAVOUR_MYSQL, A ":", A ":", 0},
    {TOPO_FLAVOUR_MARIADB, "0-1-100", "0-1-100", 0},
    {TOPO_FLAVOUR_MARIADB, "0-1-100", "0-1-93", 7},
    {TOPO_FLAVOUR_MARIADB, "0-1-100,5-1-3", "5-1-3,0-1-99", 1},
    {TOPO_FLAVOUR_MARIADB, "0-1-100,5-1-3", "0-2-101", 3},
    {TOPO_FLAVOUR_MARIADB, "0-1", "0-1-1", 0},
    {TOPO_FLAVOUR_MARIADB, "x", "0-1-1", 0},
    {TOPO_FLAVOUR_UNKNOWN, "0-1-5", "0-1-1", 0},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        uint64_t lost = lost_count(ROWS[i].flavour, ROWS[i].had, ROWS[i].has);

        if (lost != ROWS[i].lost) {
            fail_msg("%s against %s: %llu", ROWS[i].had, ROWS[i].has, (unsigned long long)lost);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
