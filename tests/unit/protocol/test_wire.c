/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor never reads past its end, whatever the lengths say; the writer never past its room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/wire.h"
#include "weir/util/buf.h"

static void test_integers(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct wire wire;
    wire_init(&wire, (struct span){bytes, sizeof bytes});
    assert_int_equal(wire_u8(&wire), 1);
    assert_int_equal(wire_u16(&wire), 0x0302);
    assert_int_equal(wire_u24(&wire), 0x060504);
    assert_int_equal(wire_u32(&wire), 0x0a090807);
    assert_true(wire_u64(&wire) == UINT64_C(0x1211100f0e0d0c0b));
    assert_true(wire_is_done(&wire));
    assert_int_equal(wire_u8(&wire), 0);
    assert_false(wire_ok(&wire));
}

static void test_lenenc_round_trip(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        size_t size;
    } cases[] = {
        {0, 1},       {250, 1},      {251, 3},       {252, 3},        {255, 3},        {0xffff, 3},
        {0x10000, 4}, {0xffffff, 4}, {0x1000000, 9}, {UINT32_MAX, 9}, {UINT64_MAX, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t array[16];
        struct wire_out out;
        struct wire wire;
        wire_out_array(&out, array, sizeof array);
        wire_put_lenenc(&out, cases[i].value);
        assert_true(wire_out_ok(&out));
        assert_int_equal(out.len, cases[i].size);
        assert_int_equal(wire_lenenc_size(cases[i].value), cases[i].size);
        wire_init(&wire, (struct span){array, out.len});
        assert_true(wire_lenenc(&wire) == cases[i].value);
        assert_true(wire_is_done(&wire));
        /* One byte short: fails, for every prefix. */
        for (size_t len = 0; len < out.len; len++) {
            wire_init(&wire, (struct span){array, len});
            assert_true(wire_lenenc(&wire) == 0);
            assert_false(wire_ok(&wire));
        }
        /* One byte of room short: fails and writes nothing more. */
        wire_out_array(&out, array, cases[i].size - 1);
        wire_put_lenenc(&out, cases[i].value);
        assert_false(wire_out_ok(&out));
    }
}

static void test_lengths_that_lie(void **state)
{
    (void)state;
    static const char *const cases[] = {"\x05"
                                        "abcd",
                                        "\xfb"
                                        "a",
                                        "\xff"
                                        "a",
                                        "\xfc\x05"
                                        "a",
                                        "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"
                                        "abc"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i]);
        uint8_t *exact = malloc(len);
        struct wire wire;
        assert_non_null(exact);
        memcpy(exact, cases[i], len);
        wire_init(&wire, (struct span){exact, len});
        struct span s = wire_lenenc_bytes(&wire);
        assert_null(s.p);
        assert_int_equal(s.len, 0);
        assert_false(wire_ok(&wire));
        /* Sticky: nothing can be read any more. */
        assert_int_equal(wire_u8(&wire), 0);
        assert_int_equal(wire_rest(&wire).len, 0);
        assert_int_equal(wire_nul(&wire).len, 0);
        assert_false(wire_is_done(&wire));
        free(exact);
    }
}

static void test_nul_and_rest(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, SPAN_LIT("ab\0cd"));
    assert_true(span_eq_text(wire_nul(&wire), "ab"));
    assert_true(span_eq_text(wire_rest(&wire), "cd"));
    assert_true(wire_is_done(&wire));
    wire_init(&wire, SPAN_LIT("ab"));
    (void)wire_nul(&wire);
    assert_false(wire_ok(&wire));
    wire_init(&wire, (struct span){NULL, 0});
    assert_true(wire_is_done(&wire));
    assert_int_equal(wire_rest(&wire).len, 0);
    assert_true(wire_ok(&wire));
}

static void test_array_is_never_overrun(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 40; cap++) {
        uint8_t *exact = malloc(cap + 1); /* ASan watches what is behind cap + 1 */
        struct wire_out out;
        assert_non_null(exact);
        exact[cap] = 0x5a;
        wire_out_array(&out, exact, cap);
        wire_put_u8(&out, 1);
        wire_put_u16(&out, 2);
        wire_put_u24(&out, 3);
        wire_put_u32(&out, 4);
        wire_put_u64(&out, 5);
        wire_put_zero(&out, 3);
        wire_put_nul(&out, SPAN_LIT("abc"));
        wire_put_lenenc_bytes(&out, SPAN_LIT("defg"));
        assert_int_equal(wire_out_ok(&out), cap >= 30);
        assert_true(out.len <= cap);
        assert_int_equal(exact[cap], 0x5a);
        free(exact);
    }
}

static void test_buf_limit(void **state)
{
    (void)state;
    struct buf buf;
    struct wire_out out;
    buf_init(&buf);
    wire_out_buf(&out, &buf, 8);
    wire_put_u64(&out, 7);
    assert_true(wire_out_ok(&out));
    wire_put_u8(&out, 1);
    assert_false(wire_out_ok(&out));
    assert_int_equal(buf_len(&buf), 8);
    buf_fini(&buf);
}

static void test_nul_inside_is_refused(void **state)
{
    (void)state;
    uint8_t array[16];
    struct wire_out out;
    wire_out_array(&out, array, sizeof array);
    wire_put_nul(&out, SPAN_LIT("us\0er"));
    assert_false(wire_out_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_lenenc_round_trip),
        cmocka_unit_test(test_lengths_that_lie),
        cmocka_unit_test(test_nul_and_rest),
        cmocka_unit_test(test_array_is_never_overrun),
        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_nul_inside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
