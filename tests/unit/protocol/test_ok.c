/* SPDX-License-Identifier: Apache-2.0 */
/* OK, EOF, ERR and the session-state block: strict bounds, every tracker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"

static void test_plain_ok(void **state)
{
    (void)state;
    struct ok ok;
    /* Affected 0x0102, insert id 5, autocommit, three warnings, info "hi". */
    struct span packet = SPAN_LIT("\x00\xfc\x02\x01\x05\x02\x00\x03\x00\x02hi");
    assert_int_equal(ok_decode(packet, true, &ok), DEC_OK);
    assert_int_equal(ok.affected, 0x0102);
    assert_int_equal(ok.insert_id, 5);
    assert_int_equal(ok.status, STATUS_AUTOCOMMIT);
    assert_int_equal(ok.warnings, 3);
    assert_true(span_eq_text(ok.info, "hi"));
    assert_int_equal(ok.tracks.len, 0);
    assert_false(ok.is_eof);
    for (size_t len = 0; len < packet.len; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, packet.p, len);
        enum dec_rc rc = ok_decode((struct span){copy, len}, true, &ok);
        assert_int_equal(rc, len == packet.len - 3 ? DEC_OK : DEC_BAD); /* without an info */
        free(copy);
    }
    /* One byte too many. */
    assert_int_equal(ok_decode(SPAN_LIT("\x00\x00\x00\x02\x00\x00\x00\x00\x00"), true, &ok),
                     DEC_BAD);
    assert_int_equal(ok_decode(SPAN_LIT("\x01\x00\x00\x02\x00\x00\x00"), true, &ok), DEC_BAD);
}

static size_t build_tracks(uint8_t *array, size_t cap)
{
    struct wire_out out;
    wire_out_array(&out, array, cap);
    result_track_put_var(&out, SPAN_LIT("autocommit"), SPAN_LIT("OFF"));
    result_track_put(&out, OK_TRACK_SCHEMA, SPAN_LIT("shop"));
    result_track_put(&out, OK_TRACK_STATE_CHANGE, SPAN_LIT("1"));
    result_track_put(&out, OK_TRACK_GTIDS, SPAN_LIT("0caf0b2d-e71f-11f1-80d1-02fc00000000:1-5"));
    result_track_put(&out, OK_TRACK_TRX_CHARACTERISTICS, SPAN_LIT("START TRANSACTION;"));
    result_track_put(&out, OK_TRACK_TRX_STATE, SPAN_LIT("T_______"));
    wire_put_u8(&out, 77); /* a tracker of the future */
    wire_put_lenenc_bytes(&out, SPAN_LIT("??"));
    assert_true(wire_out_ok(&out));
    return out.len;
}

static void test_every_tracker(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        const char *name;
        const char *value;
    } expected[] = {
        {OK_TRACK_SYSTEM_VARIABLES, "autocommit", "OFF"},
        {OK_TRACK_SCHEMA, "", "shop"},
        {OK_TRACK_STATE_CHANGE, "", "1"},
        {OK_TRACK_GTIDS, "", "0caf0b2d-e71f-11f1-80d1-02fc00000000:1-5"},
        {OK_TRACK_TRX_CHARACTERISTICS, "", "START TRANSACTION;"},
        {OK_TRACK_TRX_STATE, "", "T_______"},
        {77, "", "??"},
    };
    uint8_t block[256];
    size_t len = build_tracks(block, sizeof block);
    struct ok_tracks tracks;
    struct ok_track track;
    ok_tracks_init(&tracks, (struct span){block, len});
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(ok_track_next(&tracks, &track), DEC_OK);
        assert_int_equal(track.type, expected[i].type);
        assert_true(span_eq_text(track.name, expected[i].name));
        assert_true(span_eq_text(track.value, expected[i].value));
    }
    assert_int_equal(ok_track_next(&tracks, &track), DEC_MORE);
    assert_int_equal(ok_track_next(&tracks, &track), DEC_MORE);

    /* Cut short: ends with BAD unless the cut is between entries, never with a wrong value. */
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1);
        size_t seen = 0;
        enum dec_rc rc = DEC_OK;
        assert_non_null(copy);
        memcpy(copy, block, cut);
        ok_tracks_init(&tracks, (struct span){copy, cut});
        while ((rc = ok_track_next(&tracks, &track)) == DEC_OK) {
            assert_true(span_eq_text(track.value, expected[seen].value));
            seen++;
        }
        assert_true(rc == DEC_BAD || rc == DEC_MORE);
        free(copy);
    }
}

static void test_several_variables_in_one_entry(void **state)
{
    (void)state;
    struct ok_tracks tracks;
    struct ok_track track;
    ok_tracks_init(&tracks, SPAN_LIT("\x00\x08\x01"
                                     "a\x01"
                                     "1\x01"
                                     "b\x01"
                                     "2"));
    assert_int_equal(ok_track_next(&tracks, &track), DEC_OK);
    assert_true(span_eq_text(track.name, "a"));
    assert_int_equal(ok_track_next(&tracks, &track), DEC_OK);
    assert_true(span_eq_text(track.name, "b"));
    assert_true(span_eq_text(track.value, "2"));
    assert_int_equal(ok_track_next(&tracks, &track), DEC_MORE);
    /* A name without its value. */
    ok_tracks_init(&tracks, SPAN_LIT("\x00\x02\x01"
                                     "a"));
    assert_int_equal(ok_track_next(&tracks, &track), DEC_BAD);
    assert_int_equal(ok_track_next(&tracks, &track), DEC_BAD);
}

static void test_flag_and_block_belong_together(void **state)
{
    (void)state;
    struct ok ok;
    struct span packet = SPAN_LIT("\x00\x00\x00\x02\x40\x00\x00\x00\x05\x01\x03\x02"
                                  "db");
    assert_int_equal(ok_decode(packet, true, &ok), DEC_OK);
    assert_int_equal(ok.tracks.len, 5);
    /* Without SESSION_TRACK on the connection the block is excess. */
    assert_int_equal(ok_decode(packet, false, &ok), DEC_BAD);
    /* The flag alone, as MariaDB sends it for an empty block: nothing behind the warnings. */
    assert_int_equal(ok_decode(SPAN_LIT("\x00\x00\x00\x02\x40\x00\x00"), true, &ok), DEC_OK);
    assert_int_equal(ok.tracks.len, 0);
    /* An info and then nothing, flag set. */
    assert_int_equal(ok_decode(SPAN_LIT("\x00\x00\x00\x02\x40\x00\x00\x00"), true, &ok), DEC_BAD);
}

static void test_eof(void **state)
{
    (void)state;
    uint16_t warnings = 0;
    uint16_t status = 0;
    assert_int_equal(eof_decode(SPAN_LIT("\xfe\x01\x00\x22\x00"), &warnings, &status), DEC_OK);
    assert_int_equal(warnings, 1);
    assert_int_equal(status, 0x22);
    assert_int_equal(eof_decode(SPAN_LIT("\xfe\x01\x00\x22"), &warnings, &status), DEC_BAD);
    assert_int_equal(eof_decode(SPAN_LIT("\xfe\x01\x00\x22\x00\x00"), &warnings, &status), DEC_BAD);
}

static void test_err(void **state)
{
    (void)state;
    struct errpkt err;
    assert_int_equal(errpkt_decode(SPAN_LIT("\xff\x15\x04#28000Access denied"), &err), DEC_OK);
    assert_int_equal(err.code, 1045);
    assert_string_equal(err.sqlstate, "28000");
    assert_true(span_eq_text(err.text, "Access denied"));
    /* In place of a greeting there is no SQLSTATE. */
    assert_int_equal(errpkt_decode(SPAN_LIT("\xff\x10\x04Too many connections"), &err), DEC_OK);
    assert_int_equal(err.code, 1040);
    assert_string_equal(err.sqlstate, "");
    assert_true(span_eq_text(err.text, "Too many connections"));
    assert_int_equal(errpkt_decode(SPAN_LIT("\xff\x10\x04#abc"), &err), DEC_OK);
    assert_true(span_eq_text(err.text, "#abc"));
    assert_int_equal(errpkt_decode(SPAN_LIT("\xff\x10"), &err), DEC_BAD);
    assert_int_equal(errpkt_decode(SPAN_LIT(""), &err), DEC_BAD);
    assert_false(errpkt_is((struct span){NULL, 0}));
    assert_true(errpkt_is(SPAN_LIT("\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_ok),
        cmocka_unit_test(test_every_tracker),
        cmocka_unit_test(test_several_variables_in_one_entry),
        cmocka_unit_test(test_flag_and_block_belong_together),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_err),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
