/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that weir builds itself, read back by the tracker and compared with a server's bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/reply.h"
#include "weir/protocol/result.h"

static uint8_t array[4096];

static struct result begin(struct wire_out *out, uint64_t caps)
{
    wire_out_array(out, array, sizeof array);
    return (struct result){.out = out, .caps = caps, .status = STATUS_AUTOCOMMIT, .seq = 1};
}

static void test_ok_like_a_server(void **state)
{
    (void)state;
    struct wire_out out;
    struct result result = begin(&out, CAP_SESSION_TRACK | CAP_DEPRECATE_EOF);
    result_put_ok(&result, NULL);
    assert_int_equal(out.len, 11);
    assert_memory_equal(array, "\x07\0\0\x01\0\0\0\x02\0\0\0", 11);
    assert_int_equal(result.seq, 2);

    /* As MySQL 9.7 answers USE: info empty, then the block. */
    result = begin(&out, CAP_SESSION_TRACK);
    struct result_ok ok = {.tracks = SPAN_LIT("\x01\x04\x03lab")};
    result_put_ok(&result, &ok);
    assert_memory_equal(array, "\x0f\0\0\x01\0\0\0\x02\x40\0\0\0\x06\x01\x04\x03lab", out.len);
    assert_int_equal(out.len, 19);
    result = begin(&out, 0);
    result_put_ok(&result, &ok);
    assert_memory_equal(array, "\x07\0\0\x01\0\0\0\x02\0\0\0", 11);
    assert_int_equal(out.len, 11);
}

static void test_err_and_eof(void **state)
{
    (void)state;
    struct wire_out out;
    struct result result = begin(&out, 0);
    result_put_err(&result, 1047, "08S01", SPAN_LIT("Unknown command"));
    assert_memory_equal(array, "\x18\0\0\x01\xff\x17\x04#08S01Unknown command", out.len);
    result = begin(&out, 0);
    result_put_err(&result, 1040, NULL, SPAN_LIT("Too many"));
    assert_memory_equal(array, "\x0b\0\0\x01\xff\x10\x04Too many", out.len);
    result = begin(&out, 0);
    result_put_eof(&result, 3);
    assert_memory_equal(array, "\x05\0\0\x01\xfe\x03\0\x02\0", out.len);
    result = begin(&out, CAP_DEPRECATE_EOF);
    result_put_eof(&result, 3);
    assert_memory_equal(array, "\x07\0\0\x01\xfe\0\0\x02\0\x03\0", out.len);
}

static void put_table(struct result *result)
{
    static const struct result_column columns[] = {{"name", RESULT_TYPE_STRING, 64},
                                                   {"n", RESULT_TYPE_BIGINT, 20}};
    const struct span rows[2][2] = {{SPAN_LIT("one"), SPAN_LIT("1")}, {SPAN_LIT(""), {NULL, 0}}};
    result_put_columns(result, columns, 2);
    result_put_row(result, rows[0], 2);
    result_put_row(result, rows[1], 2);
    result_put_end(result, 4);
}

static void test_prepared(void **state)
{
    static const struct result_column columns[9] = {
        {"a", RESULT_TYPE_STRING, 1}, {"b", RESULT_TYPE_STRING, 1}, {"c", RESULT_TYPE_STRING, 1},
        {"d", RESULT_TYPE_STRING, 1}, {"e", RESULT_TYPE_STRING, 1}, {"f", RESULT_TYPE_STRING, 1},
        {"g", RESULT_TYPE_STRING, 1}, {"h", RESULT_TYPE_STRING, 1}, {"i", RESULT_TYPE_STRING, 1}};
    struct span values[9] = {[0] = SPAN_LIT("x"), [6] = SPAN_LIT("yz"), [8] = SPAN_LIT("")};
    struct wire_out out;
    struct result result;
    struct reply reply;
    struct reply_step step;
    static const struct reply_front front = {.has_deprecate_eof = true};
    static const uint64_t caps[] = {CAP_DEPRECATE_EOF, 0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        result = begin(&out, caps[i]);
        result_put_prepared(&result, 0x01020304, columns, 9);
        assert_true(wire_out_ok(&out));
        assert_memory_equal(array, "\14\0\0\1\0\4\3\2\1\11\0\0\0\0\0\0", 16);
    }
    /* The tracker takes it for a PREPARE_OK of its own kind. */
    result = begin(&out, CAP_DEPRECATE_EOF);
    result_put_prepared(&result, 7, columns, 9);
    reply_begin(&reply, REPLY_PREPARE, &front, 1, STATUS_AUTOCOMMIT);
    while (reply_feed(&reply, array, out.len, &step) == DEC_OK && !step.done &&
           step.used < out.len) {
        memmove(array, array + step.used, out.len - step.used);
        out.len -= step.used;
    }
    assert_true(step.done);
    /* NULLs count from the third bit; nine columns need two bytes. */
    result = begin(&out, CAP_DEPRECATE_EOF);
    result_put_row_binary(&result, values, 9);
    assert_true(wire_out_ok(&out));
    assert_int_equal(out.len, 4 + 3 + 2 + 3 + 1);
    assert_memory_equal(array + 4, "\0\370\2\1x\2yz\0", 9);
    values[8].p = NULL;
    result = begin(&out, CAP_DEPRECATE_EOF);
    result_put_row_binary(&result, values, 1);
    assert_memory_equal(array, "\4\0\0\1\0\0\1x", 8);
}

static void test_table_is_what_the_tracker_makes_of_it(void **state)
{
    (void)state;
    static const struct reply_front old = {0};
    struct wire_out out;
    struct result result = begin(&out, CAP_DEPRECATE_EOF | CAP_SESSION_TRACK);
    put_table(&result);
    assert_true(wire_out_ok(&out));
    uint8_t bytes[1024];
    size_t len = out.len;
    memcpy(bytes, array, len);

    struct reply reply;
    struct reply_step step;
    reply_begin(&reply, REPLY_QUERY, &old, 1, STATUS_AUTOCOMMIT);
    assert_int_equal(reply_feed(&reply, bytes, len, &step), DEC_OK);
    assert_int_equal(step.event, REPLY_EV_RESULT_END);
    assert_int_equal(step.ok.warnings, 4);
    assert_true(step.done);
    uint8_t translated[1024];
    size_t at = 0;
    for (unsigned i = 0; i < step.iov_count; i++) {
        memcpy(translated + at, step.iov[i].iov_base, step.iov[i].iov_len);
        at += step.iov[i].iov_len;
    }
    /* The same table built for an old client is the tracker's translation of the new one. */
    result = begin(&out, 0);
    put_table(&result);
    assert_int_equal(out.len, at);
    assert_memory_equal(array, translated, at);
    assert_int_equal(result.seq, reply_client_seq(&reply));
}

static void test_no_room(void **state)
{
    (void)state;
    struct wire_out out;
    struct result result = {.out = &out, .seq = 1};
    wire_out_array(&out, array, sizeof array);
    put_table(&result);
    size_t needed = out.len;
    for (size_t cap = 0; cap < needed; cap++) {
        wire_out_array(&out, array, cap);
        result.seq = 1;
        put_table(&result);
        assert_true(out.len <= cap);
        assert_false(wire_out_ok(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok_like_a_server),
        cmocka_unit_test(test_err_and_eof),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_table_is_what_the_tracker_makes_of_it),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
