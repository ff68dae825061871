/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/attrs.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/stmt.h"
#include "weir/util/attr.h"

/* x = "v" (bytes), y = NULL, n = 7 (LONGLONG), then the text. */
static const uint8_t query_packet[] = {COM_QUERY, 3,   1,    0x02, 1, 0xfe, 0,   1,   'x', 0xfd, 0,
                                       1,         'y', 0x08, 0,    1, 'n',  1,   'v', 7,   0,    0,
                                       0,         0,   0,    0,    0, 'D',  'O', ' ', '1'};

static const uint8_t none_packet[] = {COM_QUERY, 0, 1, 'D', 'O', ' ', '1'};

/* Parameter 5 (LONG), then x = "v". */
static const uint8_t execute_packet[] = {COM_STMT_EXECUTE,
                                         9,
                                         0,
                                         0,
                                         0,
                                         STMT_PARAMETER_COUNT,
                                         1,
                                         0,
                                         0,
                                         0,
                                         2,
                                         0x00,
                                         1,
                                         3,
                                         0,
                                         0,
                                         0xfe,
                                         0,
                                         1,
                                         'x',
                                         5,
                                         0,
                                         0,
                                         0,
                                         1,
                                         'v'};

static void expect_three(struct attrs *attrs)
{
    struct attr attr;

    assert_true(attrs_next(attrs, &attr));
    assert_true(span_eq_text(attr.name, "x") && span_eq_text(attr.text, "v") && !attr.is_null);
    assert_true(attrs_next(attrs, &attr));
    assert_true(span_eq_text(attr.name, "y") && attr.is_null && attr.text.p == NULL);
    assert_true(attrs_next(attrs, &attr));
    assert_true(span_eq_text(attr.name, "n") && !attr.is_null && attr.text.p == NULL);
    assert_false(attrs_next(attrs, &attr));
}

static void test_query(void **state)
{
    struct attrs attrs;
    size_t at = 77;

    (void)state;
    assert_int_equal(
        attrs_query_decode((struct span){query_packet, sizeof query_packet}, &attrs, &at), DEC_OK);
    assert_int_equal(at, sizeof query_packet - 4);
    expect_three(&attrs);
    assert_int_equal(
        attrs_query_decode((struct span){none_packet, sizeof none_packet}, &attrs, &at), DEC_OK);
    assert_int_equal(at, 3);
    assert_int_equal(attrs.count, 0);
    /* Every beginning that does not reach the text makes no sense. */
    for (size_t len = 0; len < sizeof query_packet; len++) {
        uint8_t *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, query_packet, len);
        at = 77;
        assert_int_equal(attrs_query_decode((struct span){copy, len}, &attrs, &at),
                         len < sizeof query_packet - 4 ? DEC_BAD : DEC_OK);
        assert_int_equal(at, len < sizeof query_packet - 4 ? 77 : sizeof query_packet - 4);
        free(copy);
    }
}

static void test_query_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\3\0\2DO 1", 7},               /* two sets */
        {"\3\0\0DO 1", 7},               /* none */
        {"\3\1\1\0\0\xfe\0\1xDO 1", 13}, /* no types */
        {"\3\xfd\0\0\1\1DO 1", 10},      /* 65536 */
        {"\3\xfb\1", 3},
        {"\3\xff\1", 3},
        {"\3\1\1\0\1\x99\0\1x\1v", 11}, /* a type that nobody knows */
    };
    struct attrs attrs;
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(bad); i++) {
        struct span payload = {(const uint8_t *)bad[i].bytes, bad[i].len};

        assert_int_equal(attrs_query_decode(payload, &attrs, &at), DEC_BAD);
    }
}

static void test_execute(void **state)
{
    struct span packet = {execute_packet, sizeof execute_packet};
    struct stmt_execute execute;
    struct attrs attrs;
    struct attr attr;
    uint8_t types[2] = {9, 9};

    (void)state;
    assert_int_equal(stmt_execute_named_decode(packet, 1, &execute), DEC_OK);
    assert_true(execute.has_types && execute.is_named && execute.has_count);
    assert_int_equal(execute.id, 9);
    assert_int_equal(execute.count, 2);
    stmt_execute_types(&execute, 1, types);
    assert_int_equal(types[0], 3);
    assert_int_equal(types[1], 0);
    attrs_of_execute(&execute, 1, &attrs);
    assert_true(attrs_next(&attrs, &attr));
    assert_true(span_eq_text(attr.name, "x") && span_eq_text(attr.text, "v"));
    assert_false(attrs_next(&attrs, &attr));
    /* As if there were no parameter: two attributes, one without a name. */
    assert_int_equal(stmt_execute_named_decode(packet, 0, &execute), DEC_OK);
    attrs_of_execute(&execute, 0, &attrs);
    assert_true(attrs_next(&attrs, &attr) && attr.name.len == 0);
    assert_true(attrs_next(&attrs, &attr) && !attrs_next(&attrs, &attr));
    /* All are parameters. Fewer than there are: no. */
    assert_int_equal(stmt_execute_named_decode(packet, 2, &execute), DEC_OK);
    attrs_of_execute(&execute, 2, &attrs);
    assert_false(attrs_next(&attrs, &attr));
    assert_int_equal(stmt_execute_named_decode(packet, 3, &execute), DEC_BAD);
    for (size_t len = 0; len < sizeof execute_packet; len++) {
        uint8_t *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, execute_packet, len);
        if (stmt_execute_named_decode((struct span){copy, len}, 1, &execute) == DEC_OK) {
            attrs_of_execute(&execute, 1, &attrs);
            assert_false(attrs_next(&attrs, &attr));
        }
        free(copy);
    }
}

static void encode(const uint8_t *bytes, size_t len, uint16_t params, struct span types,
                   const uint8_t *want, size_t want_len)
{
    uint8_t array[64];
    struct stmt_execute execute;
    struct wire_out out;

    assert_int_equal(stmt_execute_named_decode((struct span){bytes, len}, params, &execute),
                     DEC_OK);
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x55, types, params);
    assert_true(wire_out_ok(&out));
    assert_int_equal(out.len, want_len);
    assert_int_equal(out.len, len + stmt_execute_grows(&execute, params));
    assert_int_equal(array[1], 0x55);
    assert_memory_equal(array + 5, want + 5, want_len - 5);
}

static void test_execute_rewritten(void **state)
{
    static const uint8_t without[] = {
        COM_STMT_EXECUTE, 9, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 0, 5, 0, 0, 0};
    static const uint8_t with[] = {
        COM_STMT_EXECUTE, 9, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 1, 3, 0, 0, 5, 0, 0, 0};
    static const uint8_t nothing[] = {COM_STMT_EXECUTE, 9, 0, 0, 0, 8, 1, 0, 0, 0, 0};
    static const uint8_t old[] = {COM_STMT_EXECUTE, 9, 0, 0, 0, 0, 1, 0, 0, 0};
    static const uint8_t type[] = {3, 0};
    struct span types = {type, 2};
    struct stmt_execute execute;

    (void)state;
    encode(execute_packet, sizeof execute_packet, 1, types, execute_packet, sizeof execute_packet);
    encode(without, sizeof without, 1, types, with, sizeof with);
    encode(nothing, sizeof nothing, 0, (struct span){NULL, 0}, nothing, sizeof nothing);
    encode(old, sizeof old, 0, (struct span){NULL, 0}, old, sizeof old);
    /* An attribute without its type. */
    assert_int_equal(stmt_execute_named_decode((struct span){without, sizeof without}, 0, &execute),
                     DEC_BAD);
}

static void test_own_text(void **state)
{
    uint8_t head[COMMAND_QUERY_HEAD];

    (void)state;
    assert_int_equal(command_query_head(head, 4, CAP_PROTOCOL_41), FRAME_HEADER + 1);
    assert_int_equal(head[0], 5);
    assert_int_equal(head[FRAME_HEADER], COM_QUERY);
    assert_int_equal(command_query_head(head, 4, CAP_QUERY_ATTRIBUTES), FRAME_HEADER + 3);
    assert_int_equal(head[0], 7);
    assert_memory_equal(head + FRAME_HEADER, "\3\0\1", 3);
}

static void test_caps(void **state)
{
    uint64_t all = UINT64_MAX & ~CAPS_EXTENDED;

    (void)state;
    assert_true((caps_offer(all, false) & CAP_QUERY_ATTRIBUTES) != 0);
    assert_true((caps_offer(all & ~CAP_QUERY_ATTRIBUTES, false) & CAP_QUERY_ATTRIBUTES) == 0);
    /* A connection takes them when its client may send them: they are two kinds. */
    assert_true((caps_request(all, CAP_PROTOCOL_41, false, false) & CAP_QUERY_ATTRIBUTES) == 0);
    assert_true((caps_request(all, CAP_PROTOCOL_41 | CAP_QUERY_ATTRIBUTES, false, false) &
                 CAP_QUERY_ATTRIBUTES) != 0);
    assert_true((caps_request(all, 0, false, false) & CAP_QUERY_ATTRIBUTES) == 0);
    assert_true(caps_semantic(CAP_QUERY_ATTRIBUTES) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),    cmocka_unit_test(test_query_bad),
        cmocka_unit_test(test_execute),  cmocka_unit_test(test_execute_rewritten),
        cmocka_unit_test(test_own_text), cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
