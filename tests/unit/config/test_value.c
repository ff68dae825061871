/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/duration.h"

#include "value_priv.h"

#define REFUSED UINT64_MAX

struct number_case {
    const char *text;
    uint64_t want;
};

static void check_numbers(const struct number_case *cases, size_t count,
                          const char *(*parse)(struct span, uint64_t *))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t got = REFUSED;
        const char *problem = parse(span_of(cases[i].text), &got);

        if (got != cases[i].want || (problem == NULL) != (cases[i].want != REFUSED)) {
            fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long)got);
        }
    }
}

static void test_durations(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0},
        {"1us", 1},
        {"250ms", 250000},
        {"5s", 5000000},
        {"5m", 300000000},
        {"2h", 7200000000},
        {"1d", 86400000000},
        {"0s", 0},
        {"", REFUSED},
        {"5", REFUSED},
        {"s", REFUSED},
        {"-5s", REFUSED},
        {"5 s", REFUSED},
        {"5S", REFUSED},
        {"1.5s", REFUSED},
        {"5sec", REFUSED},
        {"5s ", REFUSED},
        {"5m5s", REFUSED},
        {"+5s", REFUSED},
        {"0x5s", REFUSED},
        {"18446744073709551615us", UINT64_MAX}, /* REFUSED has the same value: see below */
        {"18446744073709551616us", REFUSED},
        {"213503983d", REFUSED},
    };
    uint64_t us = 0;

    (void)state;
    check_numbers(cases, WR_ARRAY_LEN(cases) - 3, value_parse_duration);
    check_numbers(cases + WR_ARRAY_LEN(cases) - 2, 2, value_parse_duration);
    assert_null(value_parse_duration(span_of("18446744073709551615us"), &us));
    assert_true(us == UINT64_MAX);
}

static void test_sizes(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0},
        {"512B", 512},
        {"64KiB", 65536},
        {"64MiB", 67108864},
        {"1GiB", 1073741824},
        {"64", REFUSED},
        {"64K", REFUSED},
        {"64MB", REFUSED},
        {"64kib", REFUSED},
        {"17179869184GiB", REFUSED},
        {"", REFUSED},
        {"B", REFUSED},
    };

    (void)state;
    check_numbers(cases, WR_ARRAY_LEN(cases), value_parse_size);
}

static void test_counts(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0},        {"100", 100},     {"007", 7},
        {"", REFUSED},   {"1e3", REFUSED}, {"1 ", REFUSED},
        {"-1", REFUSED}, {"1_0", REFUSED}, {"18446744073709551616", REFUSED},
    };

    (void)state;
    check_numbers(cases, WR_ARRAY_LEN(cases), value_parse_count);
}

/* What format gives, parse takes and gives back. */
static void test_formats(void **state)
{
    static const uint64_t values[] = {0,       1,        999,      1000,       1500,
                                      1000000, 60000000, 61000000, 3600000000, 86400000000};
    char text[32];

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(values); i++) {
        uint64_t back = REFUSED;

        duration_format(values[i], text, sizeof text);
        assert_null(value_parse_duration(span_of(text), &back));
        assert_true(back == values[i]);
        value_format_size(values[i], text, sizeof text);
        assert_null(value_parse_size(span_of(text), &back));
        assert_true(back == values[i]);
    }
    duration_format(1500000, text, sizeof text);
    assert_string_equal(text, "1500ms");
    value_format_size(1048576, text, sizeof text);
    assert_string_equal(text, "1MiB");
}

struct addr_case {
    const char *text;
    bool is_listen;
    enum config_addr_kind kind; /* NONE: refused */
    uint16_t port;
    const char *host;
};

static void test_addresses(void **state)
{
    static const struct addr_case cases[] = {
        {"db1:3306", false, CONFIG_ADDR_TCP, 3306, "db1"},
        {"db-1.x_y.example.com:1", false, CONFIG_ADDR_TCP, 1, "db-1.x_y.example.com"},
        {"10.0.0.1:65535", false, CONFIG_ADDR_TCP, 65535, "10.0.0.1"},
        {"[::1]:3306", false, CONFIG_ADDR_TCP, 3306, "::1"},
        {"[::ffff:1.2.3.4]:3306", true, CONFIG_ADDR_TCP, 3306, "::ffff:1.2.3.4"},
        {"0.0.0.0:0", true, CONFIG_ADDR_TCP, 0, "0.0.0.0"},
        {"unix:/run/weir.sock", true, CONFIG_ADDR_UNIX, 0, "/run/weir.sock"},
        {"unix:/run/a:b", false, CONFIG_ADDR_UNIX, 0, "/run/a:b"},
        {"0.0.0.0:0", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db1:3310", true, CONFIG_ADDR_NONE, 0, NULL},
        {"1.2.3:3310", true, CONFIG_ADDR_NONE, 0, NULL},
        {"", false, CONFIG_ADDR_NONE, 0, NULL},
        {":", false, CONFIG_ADDR_NONE, 0, NULL},
        {":3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"[]:3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"[:3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"[::1]3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"[::1]", false, CONFIG_ADDR_NONE, 0, NULL},
        {"[10.0.0.1]:3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"::1:3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db1", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db1:", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db1:x", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db1:65536", false, CONFIG_ADDR_NONE, 0, NULL},
        {"db 1:3306", false, CONFIG_ADDR_NONE, 0, NULL},
        {"unix:", false, CONFIG_ADDR_NONE, 0, NULL},
        {"unix:run/x", false, CONFIG_ADDR_NONE, 0, NULL},
    };
    char longest[130] = "unix:/";

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        const struct addr_case *c = &cases[i];
        struct value_addr got = {.kind = CONFIG_ADDR_NONE};
        const char *problem = value_parse_addr(span_of(c->text), c->is_listen, &got);

        if (got.kind != c->kind || (problem == NULL) != (c->kind != CONFIG_ADDR_NONE)) {
            fail_msg("\"%s\" gave kind %d", c->text, (int)got.kind);
        }
        if (problem == NULL) {
            assert_int_equal(got.port, c->port);
            assert_true(span_eq_text(got.host, c->host));
        }
    }
    /* the longest path of a unix socket, and one byte more */
    memset(longest + 6, 'a', 106);
    longest[112] = '\0';
    assert_null(value_parse_addr(span_of(longest), true, &(struct value_addr){0}));
    longest[112] = 'a';
    longest[113] = '\0';
    assert_non_null(value_parse_addr(span_of(longest), true, &(struct value_addr){0}));
}

static void test_words(void **state)
{
    struct span schema = {NULL, 0};
    struct span name = {NULL, 0};
    unsigned index = 9;
    bool flag = false;

    (void)state;
    assert_null(value_parse_enum(span_of("off"), "off|preferred|required", &index));
    assert_int_equal(index, 0);
    assert_null(value_parse_enum(span_of("required"), "off|preferred|required", &index));
    assert_int_equal(index, 2);
    assert_non_null(value_parse_enum(span_of("prefer"), "off|preferred|required", &index));
    assert_non_null(value_parse_enum(span_of("off|preferred"), "off|preferred", &index));
    assert_non_null(value_parse_enum(span_of(""), "off|preferred", &index));
    assert_non_null(value_parse_enum(span_of("OFF"), "off|preferred", &index));
    assert_int_equal(index, 2);
    assert_null(value_parse_bool(span_of("true"), &flag));
    assert_true(flag);
    assert_non_null(value_parse_bool(span_of("on"), &flag));
    assert_true(flag);
    assert_null(value_check_name(span_of("db1#2._-")));
    assert_non_null(value_check_name(span_of("")));
    assert_non_null(value_check_name(span_of("a=b")));
    assert_null(value_parse_function(span_of("app.f_1$"), &schema, &name));
    assert_true(span_eq_text(schema, "app") && span_eq_text(name, "f_1$"));
    assert_null(value_parse_function(span_of("f"), &schema, &name));
    assert_true(schema.len == 0 && span_eq_text(name, "f"));
    assert_non_null(value_parse_function(span_of("a b.f"), &schema, &name));
    assert_non_null(value_parse_function(span_of(""), &schema, &name));
    assert_non_null(value_parse_function(span_of("."), &schema, &name));
}

static void test_native_hash(void **state)
{
    static const char good[] = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19";
    uint8_t hash[20] = {0};

    (void)state;
    assert_null(value_parse_native_hash(span_of(good), hash));
    assert_int_equal(hash[0], 0x24);
    assert_int_equal(hash[19], 0x19);
    assert_non_null(value_parse_native_hash(span_of(good + 1), hash));
    assert_non_null(
        value_parse_native_hash(span_of("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E1"), hash));
    assert_non_null(
        value_parse_native_hash(span_of("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E1G"), hash));
    assert_int_equal(hash[19], 0x19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),   cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_formats),
        cmocka_unit_test(test_addresses),   cmocka_unit_test(test_words),
        cmocka_unit_test(test_native_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
