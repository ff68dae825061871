/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker against servers that misbehave, and corners that recorded replies do not reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/reply.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"

static const struct reply_front newest = {
    .has_deprecate_eof = true, .has_session_track = true, .track_types = 0xff};
static const struct reply_front old = {0};

/* Feeds everything at once; the last answer and step are kept. */
struct run {
    struct reply reply;
    struct reply_step step;
    enum dec_rc rc;
    size_t used;
    uint8_t out[8192];
    size_t out_len;
    unsigned events;
};

static void feed(struct run *run, const void *bytes, size_t len)
{
    /* At the end of an array, so that ASan sees reads behind it; the spans of a step stay valid. */
    static uint8_t store[8192];
    assert_true(len <= sizeof store);
    uint8_t *copy = store + sizeof store - len;
    memcpy(copy, bytes, len);
    run->used = 0;
    do {
        run->rc = reply_feed(&run->reply, copy + run->used, len - run->used, &run->step);
        run->used += run->step.used;
        run->events += run->step.event != REPLY_EV_NONE;
        for (unsigned i = 0; i < run->step.iov_count; i++) {
            assert_true(run->out_len + run->step.iov[i].iov_len <= sizeof run->out);
            memcpy(run->out + run->out_len, run->step.iov[i].iov_base, run->step.iov[i].iov_len);
            run->out_len += run->step.iov[i].iov_len;
        }
    } while (run->rc == DEC_OK && !run->step.done && run->used < len);
}

static enum dec_rc once(enum reply_kind kind, const struct reply_front *front, const char *bytes,
                        size_t len)
{
    struct run run = {0};
    reply_begin(&run.reply, kind, front, 1, STATUS_AUTOCOMMIT);
    feed(&run, bytes, len);
    return run.rc;
}

#define ONCE(kind, bytes) once(kind, &newest, bytes, sizeof(bytes) - 1)

#define OK_1   "\x07\0\0\x01\0\0\0\x02\0\0\0"
#define COLS_1 "\x01\0\0\x01\x01"
#define DEF_2          \
    "\x04\0\0\x02\x03" \
    "def"
#define ROW_3          \
    "\x02\0\0\x03\x01" \
    "x"
#define END_3 "\x07\0\0\x03\xfe\0\0\x02\0\0\0"
#define END_4 "\x07\0\0\x04\xfe\0\0\x02\0\0\0"

static void test_protocol_breaches(void **state)
{
    (void)state;
    static const struct {
        enum reply_kind kind;
        const char *bytes;
        size_t len;
    } bad[] = {
#define BAD(kind, bytes) {kind, bytes, sizeof(bytes) - 1}
        BAD(REPLY_SIMPLE, "\x07\0\0\x02\0\0\0\x02\0\0\0"),     /* sequence */
        BAD(REPLY_SIMPLE, "\0\0\0\x01"),                       /* empty */
        BAD(REPLY_SIMPLE, "\x01\0\0\x01\x05"),                 /* neither OK nor ERR */
        BAD(REPLY_SIMPLE, "\x03\0\0\x01\0\0\0"),               /* OK cut short by its own length */
        BAD(REPLY_SIMPLE, "\x08\0\0\x01\0\0\0\x02\0\0\0\x09"), /* info longer than the packet */
        BAD(REPLY_SIMPLE, "\x02\0\0\x01\xff\x15"),             /* ERR without its code */
        BAD(REPLY_QUERY, "\x05\0\0\x01\xff\xff\xff"
                         "ab"),                         /* progress report */
        BAD(REPLY_QUERY, "\x02\0\0\x01\x01\x01"),       /* more than a count */
        BAD(REPLY_QUERY, "\x04\0\0\x01\xfd\x01\0\x01"), /* 65537 columns */
        BAD(REPLY_QUERY, "\x03\0\0\x01\xfc\0\0"),       /* none, the long way */
        BAD(REPLY_QUERY, "\x05\0\0\x01\xfe\0\0\x02\0"), /* EOF in place of a count */
        BAD(REPLY_QUERY, COLS_1 "\x04\0\0\x03\x03"
                                "def"),                      /* sequence of a definition */
        BAD(REPLY_QUERY, COLS_1 "\0\0\0\x02" DEF_2),         /* empty definition */
        BAD(REPLY_QUERY, COLS_1 DEF_2 "\x02\0\0\x04\x01x"),  /* sequence of a row */
        BAD(REPLY_QUERY, COLS_1 DEF_2 ROW_3 "\0\0\0\x04x"),  /* empty row */
        BAD(REPLY_QUERY, COLS_1 DEF_2 "\x02\0\0\x03\xfe\0"), /* cut end */
        BAD(REPLY_EXECUTE, COLS_1 DEF_2 "\x02\0\0\x03\xfe\0"),
        BAD(REPLY_PREPARE, "\x04\0\0\x01\0\0\0\0"),
        BAD(REPLY_PREPARE, "\x0c\0\0\x01\x05\x01\0\0\0\0\0\0\0\0\0\0"),
#undef BAD
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(once(bad[i].kind, &newest, bad[i].bytes, bad[i].len), DEC_BAD);
        assert_int_equal(once(bad[i].kind, &old, bad[i].bytes, bad[i].len), DEC_BAD);
    }
    assert_int_equal(ONCE(REPLY_QUERY, OK_1), DEC_OK);
    assert_int_equal(ONCE(REPLY_QUERY, COLS_1 DEF_2 ROW_3 END_4), DEC_OK);
}

/* Not a byte of a packet that makes no sense is for the client, and its id is not used up. */
static void test_a_refused_packet_stays_here(void **state)
{
    (void)state;
    static const struct {
        enum reply_kind kind;
        const char *bytes;
        size_t len;
        size_t good; /* what stands before it */
    } bad[] = {
#define BAD(kind, before, packet) \
    {kind, before packet, sizeof(before packet) - 1, sizeof(before) - 1}
        BAD(REPLY_SIMPLE, "", "\x03\0\0\x01\0\0\0"),
        BAD(REPLY_SIMPLE, "", "\x02\0\0\x01\xff\x15"),
        BAD(REPLY_QUERY, "", "\x04\0\0\x01\xfd\x01\0\x01"),
        BAD(REPLY_PREPARE, "", "\x04\0\0\x01\0\0\0\0"),
        BAD(REPLY_QUERY, COLS_1 DEF_2, "\x02\0\0\x03\xfe\0"),
        BAD(REPLY_QUERY, COLS_1 DEF_2 ROW_3, "\x02\0\0\x04\xfe\0"),
        BAD(REPLY_QUERY, COLS_1, "\x02\0\0\x02\xff\x15"),
#undef BAD
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct run run = {0};
        reply_begin(&run.reply, bad[i].kind, &newest, 1, STATUS_AUTOCOMMIT);
        feed(&run, bad[i].bytes, bad[i].len);
        assert_int_equal(run.rc, DEC_BAD);
        assert_int_equal(run.used, bad[i].good);
        assert_int_equal(run.out_len, bad[i].good);
        assert_memory_equal(run.out, bad[i].bytes, bad[i].good);
        assert_int_equal(reply_client_seq(&run.reply), bad[i].bytes[bad[i].good + 3]);
        assert_int_equal(reply_is_fresh(&run.reply), bad[i].good == 0);
    }
}

static void test_control_packets_are_bounded(void **state)
{
    (void)state;
    struct run run = {0};
    /* An OK that announces 1 MiB + 1 byte is refused by its header. */
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    feed(&run, "\x01\0\x10\x01\0", 5);
    assert_int_equal(run.rc, DEC_BAD);
    /* A row of any size is not. */
    run = (struct run){0};
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    feed(&run, COLS_1 DEF_2 "\x01\0\x10\x03\0", 5 + 8 + 5);
    assert_int_equal(run.rc, DEC_MORE);
    assert_int_equal(run.used, 18);
    assert_int_equal(run.reply.skip, 0x100000);
}

static void test_nothing_behind_the_end_is_used(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_SIMPLE, &newest, 1, 0);
    feed(&run, OK_1 OK_1, 22);
    assert_true(run.step.done);
    assert_int_equal(run.used, 11);
    feed(&run, OK_1, 11);
    assert_true(run.step.done);
    assert_int_equal(run.used, 0);
    /* A command without a reply is done at once. */
    reply_begin(&run.reply, REPLY_NONE, &newest, 1, 0);
    assert_true(reply_is_done(&run.reply));
}

static void test_error_ends_whatever_came_before(void **state)
{
    (void)state;
    static const char err[] = "\x0a\0\0\x04\xff\x25\x05#70100x";
    struct run run = {0};
    reply_begin(&run.reply, REPLY_QUERY, &old, 1, STATUS_AUTOCOMMIT);
    feed(&run, COLS_1 DEF_2 ROW_3, 5 + 8 + 6);
    assert_int_equal(run.rc, DEC_MORE);
    feed(&run, err, sizeof err - 1);
    assert_int_equal(run.step.event, REPLY_EV_ERR);
    assert_int_equal(run.step.err.code, 1317);
    assert_string_equal(run.step.err.sqlstate, "70100");
    assert_true(run.step.done);
    assert_false(run.step.is_first);
    /* The client's ids are one ahead behind the EOF that was put in. */
    assert_int_equal(run.out[5 + 8 + 3], 3);
    assert_int_equal(run.out[5 + 8 + 9 + 3], 4);
    assert_int_equal(run.out[5 + 8 + 9 + 6 + 3], 5);
    assert_int_equal(reply_client_seq(&run.reply), 6);
}

static void test_a_first_error_can_be_dropped(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    assert_true(reply_is_fresh(&run.reply));
    feed(&run, "\x09\0\0\x01\xff\x00\x07#25006", 13);
    assert_int_equal(run.step.event, REPLY_EV_ERR);
    assert_int_equal(run.step.err.code, 1792);
    assert_true(run.step.is_first); /* the caller may throw the bytes away and run it elsewhere */
}

static void test_legacy_eof_of_a_server(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    feed(&run, COLS_1 DEF_2 ROW_3 "\x05\0\0\x04\xfe\x01\0\x02\0", 28);
    assert_int_equal(run.step.event, REPLY_EV_RESULT_END);
    assert_int_equal(run.step.ok.status, STATUS_AUTOCOMMIT);
    assert_int_equal(run.step.ok.warnings, 1);
    assert_true(run.step.done);
    assert_int_equal(run.out_len, 28);
}

static void test_infile(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    feed(&run, "\x0c\0\0\x01\xfb/etc/passwd", 16);
    assert_int_equal(run.step.event, REPLY_EV_LOCAL_INFILE);
    assert_true(span_eq_text(run.step.filename, "/etc/passwd"));
    assert_int_equal(run.out_len, 0); /* the client is not told */
    assert_true(reply_is_fresh(&run.reply));
    /* The server may not go on before it got an answer. */
    feed(&run, OK_1, 11);
    assert_int_equal(run.rc, DEC_BAD);
    /* An empty packet (id 2) was sent: its verdict has id 3, for the client it is the first. */
    reply_infile_sent(&run.reply, 3);
    feed(&run, "\x07\0\0\x03\0\0\0\x02\0\0\0", 11);
    assert_int_equal(run.step.event, REPLY_EV_OK);
    assert_true(run.step.done);
    assert_int_equal(run.out[3], 1);
}

static void test_client_ids_of_its_own(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_QUERY, &newest, 1, 0);
    reply_set_client_seq(&run.reply, 255);
    feed(&run, COLS_1 DEF_2 ROW_3 END_4, 30);
    assert_true(run.step.done);
    assert_int_equal(run.out[3], 255);
    assert_int_equal(run.out[5 + 3], 0); /* wraps */
    assert_int_equal(run.out[13 + 3], 1);
    assert_int_equal(run.out[19 + 3], 2);
}

static bool pass_one(void *arg, struct span name)
{
    return span_eq_text(name, arg);
}

/* A block of which one variable passes: its length prefix shrinks from three bytes to one. */
static void test_filter_shrinks_prefixes(void **state)
{
    (void)state;
    static char wanted[] = "time_zone";
    const struct reply_front front = {.has_deprecate_eof = true,
                                      .has_session_track = true,
                                      .track_types = 1u << OK_TRACK_SYSTEM_VARIABLES,
                                      .var_pass = pass_one,
                                      .var_arg = wanted};
    uint8_t block[1024];
    uint8_t packet[2048];
    struct wire_out out;
    wire_out_array(&out, block, sizeof block);
    for (int i = 0; i < 20; i++) {
        result_track_put_var(&out, SPAN_LIT("sql_mode"), SPAN_LIT("STRICT_ALL_TABLES"));
    }
    result_track_put_var(&out, SPAN_LIT("time_zone"), SPAN_LIT("UTC"));
    result_track_put(&out, OK_TRACK_SCHEMA, SPAN_LIT("db"));
    struct result_ok ok = {.affected = 70000, .info = SPAN_LIT("info"), .tracks = {block, out.len}};
    struct wire_out packet_out;
    wire_out_array(&packet_out, packet, sizeof packet);
    struct result result = {.out = &packet_out, .caps = CAP_SESSION_TRACK, .seq = 1};
    result_put_ok(&result, &ok);
    assert_true(wire_out_ok(&packet_out));

    struct reply reply;
    struct reply_step step;
    reply_begin(&reply, REPLY_QUERY, &front, 1, 0);
    assert_int_equal(reply_feed(&reply, packet, packet_out.len, &step), DEC_OK);
    assert_int_equal(step.event, REPLY_EV_OK);
    assert_int_equal(step.iov_count, 1);

    /* What the client gets. */
    struct ok client;
    const uint8_t *bytes = step.iov[0].iov_base;
    struct frame frame;
    assert_int_equal(frame_decode(bytes, step.iov[0].iov_len, &frame), DEC_OK);
    assert_int_equal(frame.len + 4, step.iov[0].iov_len);
    assert_int_equal(ok_decode((struct span){bytes + 4, frame.len}, true, &client), DEC_OK);
    assert_int_equal(client.affected, 70000);
    assert_true(span_eq_text(client.info, "info"));
    struct ok_tracks tracks;
    struct ok_track track;
    ok_tracks_init(&tracks, client.tracks);
    assert_int_equal(ok_track_next(&tracks, &track), DEC_OK);
    assert_true(span_eq_text(track.name, "time_zone"));
    assert_int_equal(ok_track_next(&tracks, &track), DEC_MORE);

    /* What the session learns: everything. */
    unsigned count = 0;
    ok_tracks_init(&tracks, step.ok.tracks);
    while (ok_track_next(&tracks, &track) == DEC_OK) {
        count++;
    }
    assert_int_equal(count, 22);
    assert_int_equal(ok_track_next(&tracks, &track), DEC_MORE);
    assert_true(span_eq_text(step.ok.info, "info"));
}

static void test_filter_of_a_broken_block(void **state)
{
    (void)state;
    static const char packet[] = "\x0b\0\0\x01\0\0\0\x02\x40\0\0\0\x02\x01\x09";
    const struct reply_front front = {.has_deprecate_eof = true, .has_session_track = true};
    assert_int_equal(once(REPLY_SIMPLE, &front, packet, sizeof packet - 1), DEC_BAD);
    /* Nobody looks inside for a client that takes it as it is, or not at all. */
    assert_int_equal(once(REPLY_SIMPLE, &newest, packet, sizeof packet - 1), DEC_OK);
    assert_int_equal(once(REPLY_SIMPLE, &old, packet, sizeof packet - 1), DEC_OK);
}

static void test_large_block_passes_whole(void **state)
{
    (void)state;
    const struct reply_front front = {.has_deprecate_eof = true, .has_session_track = true};
    struct buf block;
    struct buf packet;
    struct wire_out out;
    buf_init(&block);
    buf_init(&packet);
    wire_out_buf(&out, &block, 1u << 20);
    for (int i = 0; i < 500; i++) {
        result_track_put_var(&out, SPAN_LIT("name"), SPAN_LIT("value"));
    }
    struct wire_out packet_out;
    wire_out_buf(&packet_out, &packet, 1u << 20);
    struct result result = {.out = &packet_out, .caps = CAP_SESSION_TRACK, .seq = 1};
    struct result_ok ok = {.tracks = buf_span(&block)};
    result_put_ok(&result, &ok);
    struct reply reply;
    struct reply_step step;
    reply_begin(&reply, REPLY_QUERY, &front, 1, 0);
    uint8_t *bytes = buf_tail(&packet) - buf_len(&packet);
    assert_int_equal(reply_feed(&reply, bytes, buf_len(&packet), &step), DEC_OK);
    assert_int_equal(step.iov[0].iov_len, buf_len(&packet));
    buf_fini(&block);
    buf_fini(&packet);
}

/* EXECUTE for old clients holds rows back only as far as it says. */
static void test_hold_is_bounded(void **state)
{
    (void)state;
    struct run run = {0};
    reply_begin(&run.reply, REPLY_EXECUTE, &old, 1, 0);
    feed(&run, COLS_1 DEF_2 "\x02\0\0\x03\0", 18);
    assert_int_equal(run.used, 13); /* a small row is waited for */
    assert_int_equal(run.out_len, 13);
    run = (struct run){0};
    reply_begin(&run.reply, REPLY_EXECUTE, &old, 1, 0);
    feed(&run, COLS_1 DEF_2 "\x01\x80\0\x03\0", 18);
    assert_int_equal(run.used, 18); /* one above the limit is not */
    assert_int_equal(run.out_len, 18 + REPLY_EOF_PACKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol_breaches),
        cmocka_unit_test(test_a_refused_packet_stays_here),
        cmocka_unit_test(test_control_packets_are_bounded),
        cmocka_unit_test(test_nothing_behind_the_end_is_used),
        cmocka_unit_test(test_error_ends_whatever_came_before),
        cmocka_unit_test(test_a_first_error_can_be_dropped),
        cmocka_unit_test(test_legacy_eof_of_a_server),
        cmocka_unit_test(test_infile),
        cmocka_unit_test(test_client_ids_of_its_own),
        cmocka_unit_test(test_filter_shrinks_prefixes),
        cmocka_unit_test(test_filter_of_a_broken_block),
        cmocka_unit_test(test_large_block_passes_whole),
        cmocka_unit_test(test_hold_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
