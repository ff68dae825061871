/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/duration.h"

#define SECOND UINT64_C(1000000)
#define DAY    (86400 * SECOND)

/* 1: by itself; 2: as a hint of at most a day; 3: both */
static const struct {
    const char *text;
    unsigned taken;
    uint64_t us;
} ROWS[] = {
    {"1us", 3, 1},
    {"250ms", 3, 250000},
    {"5s", 3, 5 * SECOND},
    {"2m", 3, 120 * SECOND},
    {"1h", 3, 3600 * SECOND},
    {"1d", 3, DAY},
    {"24h", 3, DAY},
    {"0", 3, 0},
    {"0s", 3, 0},
    {"007s", 3, 7 * SECOND},
    {"3", 2, 3 * SECOND},
    {"86400", 2, DAY},
    {"86401", 0, 0},
    {"25h", 1, 90000 * SECOND},
    {"2d", 1, 2 * DAY},
    {"213503982d", 1, 213503982 * DAY},
    {"213503983d", 0, 0},
    {"18446744073709551615us", 1, UINT64_MAX},
    {"18446744073709551616us", 0, 0},
    {"18446744073709551615", 0, 0},
    {"99999999999999999999999999s", 0, 0},
    {"", 0, 0},
    {"s", 0, 0},
    {"5 s", 0, 0},
    {" 5s", 0, 0},
    {"5s ", 0, 0},
    {"-5s", 0, 0},
    {"+5s", 0, 0},
    {"5S", 0, 0},
    {"5M", 0, 0},
    {"5x", 0, 0},
    {"5sec", 0, 0},
    {"1.5s", 0, 0},
    {"5m5s", 0, 0},
    {"0x5s", 0, 0},
    {"1w", 0, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct span text = span_of(ROWS[i].text);
        uint64_t us[2] = {77, 77};
        bool is_taken[2] = {duration_parse(text, &us[0]), duration_parse_hint(text, DAY, &us[1])};

        for (unsigned way = 0; way < 2; way++) {
            bool is_good = (ROWS[i].taken >> way & 1) != 0;

            if (is_taken[way] != is_good || us[way] != (is_good ? ROWS[i].us : 77)) {
                fail_msg("\"%s\", way %u: %d, %llu", ROWS[i].text, way, is_taken[way],
                         (unsigned long long)us[way]);
            }
        }
    }
}

/* Every byte behind and before the number, every length that is cut off. */
static void test_bytes(void **state)
{
    uint64_t us = 0;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t behind[] = {'5', (uint8_t)c};
        uint8_t before[] = {(uint8_t)c, '5', 's'};
        bool is_digit = c >= '0' && c <= '9';

        assert_int_equal(duration_parse((struct span){behind, 2}, &us),
                         c == 's' || c == 'm' || c == 'h' || c == 'd');
        assert_int_equal(duration_parse((struct span){before, 3}, &us), is_digit);
    }
    assert_false(duration_parse((struct span){NULL, 0}, &us));
    assert_true(duration_parse((struct span){(const uint8_t *)"5ms", 2}, &us));
    assert_true(us == 300 * SECOND);
}

static void test_format(void **state)
{
    static const struct {
        uint64_t us;
        const char *exact;
        const char *about;
    } rows[] = {
        {0, "0us", "0us"},
        {999, "999us", "999us"},
        {1500, "1500us", "1ms"},
        {12345, "12345us", "12ms"},
        {1250000, "1250ms", "1.250s"},
        {60 * SECOND, "1m", "60.000s"},
        {61 * SECOND, "61s", "61.000s"},
        {2 * DAY, "2d", "172800.000s"},
        {UINT64_MAX, "18446744073709551615us", "18446744073709.551s"},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t back = 77;

        duration_format(rows[i].us, text, sizeof(text));
        assert_string_equal(text, rows[i].exact);
        assert_true(duration_parse(span_of(text), &back) && back == rows[i].us);
        duration_format_about(rows[i].us, text, sizeof(text));
        assert_string_equal(text, rows[i].about);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
