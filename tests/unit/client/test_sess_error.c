/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/conn.h"
#include "weir/client/sess_error.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"
#include "weir/util/err.h"

static void test_table(void **state)
{
    (void)state;
    static const enum sess_err all[] = {
#define X(name, code, sqlstate, text) SESS_ERR_##name,
        SESS_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_true(sess_error_code(all[i]) >= 1000);
        assert_int_equal(strlen(sess_error_sqlstate(all[i])), 5);
    }
    assert_int_equal(sess_error_code(SESS_ERR_UNKNOWN_COMMAND), 1047);
    assert_string_equal(sess_error_sqlstate(SESS_ERR_UNKNOWN_COMMAND), "08S01");
}

static void test_format(void **state)
{
    (void)state;
    char text[SESS_ERROR_TEXT_MAX];
    const struct span args[3] = {SPAN_LIT("a{}b"), SPAN_LIT("::1"), SPAN_LIT("YES")};
    size_t len = sess_error_format(SESS_ERR_ACCESS_DENIED, args, 3, text, sizeof(text));
    assert_string_equal(text, "Access denied for user 'a{}b'@'::1' (using password: YES)");
    assert_int_equal(len, strlen(text));
    (void)sess_error_format(SESS_ERR_ACCESS_DENIED, args, 0, text, sizeof(text));
    assert_string_equal(text, "Access denied for user ''@'' (using password: )");
    len = sess_error_format(SESS_ERR_ACCESS_DENIED, args, 3, text, 8);
    assert_string_equal(text, "Access ");
    assert_int_equal(len, 7);
    assert_int_equal(sess_error_format(SESS_ERR_CON_COUNT, NULL, 0, text, 0), 0);
}

static void check_failure(const char *server_says, const char *client_reads, uint16_t code)
{
    uint8_t bytes[1024];
    struct wire_out out;
    struct errpkt err;
    struct conn_failure failure = {.err = -WR_E_SERVER_ERROR, .code = code, .sqlstate = "28000"};
    failure.text_len = span_copy(span_of(server_says), failure.text, sizeof(failure.text));
    wire_out_array(&out, bytes, sizeof(bytes));
    struct result result = {.out = &out, .caps = CAP_PROTOCOL_41, .seq = 2};
    sess_error_put_failure(&result, &failure, SPAN_LIT("db1"), SPAN_LIT("10.1.2.3"));
    assert_true(wire_out_ok(&out));
    assert_int_equal(bytes[3], 2);
    assert_int_equal(errpkt_decode((struct span){bytes + 4, out.len - 4}, &err), DEC_OK);
    assert_int_equal(err.code, code);
    assert_string_equal(err.sqlstate, "28000");
    assert_true(span_eq_text(err.text, client_reads));
}

static void test_failures(void **state)
{
    (void)state;
    check_failure("Access denied for user 'app'@'192.168.0.1' (using password: YES)",
                  "Access denied for user 'app'@'10.1.2.3' (using password: YES)", 1045);
    check_failure("Access denied for user 'x'@'y'@'localhost'",
                  "Access denied for user 'x'@'y'@'10.1.2.3'", 1698);
    check_failure("no such thing", "no such thing", 1045);
    check_failure("cut off 'app'@'19", "cut off 'app'@'19", 1045);
    /* here the host is the account's own pattern */
    check_failure("Access denied for user 'app'@'192.168.0.1'. Account is locked.",
                  "Access denied for user 'app'@'10.1.2.3'. Account is locked.", 3118);
    check_failure("Access denied for user 'app'@'%' to database 'x'",
                  "Access denied for user 'app'@'%' to database 'x'", 1044);
}

static void test_own_failures(void **state)
{
    (void)state;
    static const struct {
        int err;
        uint16_t code;
    } rows[] = {{-WR_E_TIMEOUT, 1159}, {-ECONNREFUSED, 1158}, {-WR_E_BAD_PACKET, 1158}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[1024];
        struct wire_out out;
        struct errpkt err;
        const struct conn_failure failure = {.err = rows[i].err, .text = "why", .text_len = 3};
        wire_out_array(&out, bytes, sizeof(bytes));
        struct result result = {.out = &out, .caps = CAP_PROTOCOL_41, .seq = 1};
        sess_error_put_failure(&result, &failure, SPAN_LIT("db1"), SPAN_LIT("h"));
        assert_int_equal(errpkt_decode((struct span){bytes + 4, out.len - 4}, &err), DEC_OK);
        assert_int_equal(err.code, rows[i].code);
        assert_string_equal(err.sqlstate, "08S01");
        assert_non_null(memmem(err.text.p, err.text.len, "db1", 3));
    }
    assert_int_equal(sess_error_of(-WR_E_LIMIT), SESS_ERR_CON_COUNT);
    assert_int_equal(sess_error_of(-EPIPE), SESS_ERR_SERVER_LOST);
    assert_int_equal(sess_error_of(-WR_E_NO_SERVER), SESS_ERR_NO_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_own_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
