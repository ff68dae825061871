/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of every size around the 16 MiB boundary, cut and joined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/frame.h"
#include "weir/util/buf.h"

#define BIG_LIMIT (80u * 1024u * 1024u)

static void test_header(void **state)
{
    (void)state;
    uint8_t header[4];
    struct frame frame;
    frame_encode(header, 0x030201, 9);
    assert_memory_equal(header, "\1\2\3\x09", 4);
    assert_int_equal(frame_decode(header, 4, &frame), DEC_OK);
    assert_int_equal(frame.len, 0x030201);
    assert_int_equal(frame.seq, 9);
    for (size_t len = 0; len < 4; len++) {
        assert_int_equal(frame_decode(header, len, &frame), DEC_MORE);
    }
}

static void test_sizes_round_trip(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint32_t frames;
    } cases[] = {
        {0, 1},        {1, 1},        {300, 1},       {0xfffff7, 1},  {0xfffffb, 1},
        {0xfffffe, 1}, {0xffffff, 2}, {0x1000000, 2}, {0x1000007, 2}, {0x1fffffe, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = cases[i].len;
        uint8_t *payload = malloc(len + 1);
        struct buf buf;
        struct wire_out out;
        struct frame_packet packet;
        uint8_t seq = 254; /* wraps */
        assert_non_null(payload);
        for (size_t k = 0; k < len; k++) {
            payload[k] = (uint8_t)(k * 31 + (k >> 16));
        }
        buf_init(&buf);
        wire_out_buf(&out, &buf, BIG_LIMIT);
        frame_packet_encode(&out, &seq, (struct span){payload, len});
        assert_true(wire_out_ok(&out));
        assert_int_equal(buf_len(&buf), len + 4 * (size_t)cases[i].frames);
        assert_int_equal(seq, (uint8_t)(254 + cases[i].frames));

        uint8_t *bytes = buf_tail(&buf) - buf_len(&buf);
        assert_int_equal(frame_packet_decode(bytes, buf_len(&buf), len, 254, &packet), DEC_OK);
        assert_int_equal(packet.frames, cases[i].frames);
        assert_int_equal(packet.payload_len, len);
        assert_int_equal(packet.wire_len, buf_len(&buf));
        assert_int_equal(packet.first_seq, 254);
        assert_int_equal(packet.next_seq, seq);
        assert_int_equal(frame_packet_decode(bytes, buf_len(&buf) - 1, len, 254, &packet),
                         DEC_MORE);
        assert_int_equal(frame_packet_decode(bytes, buf_len(&buf), len, 253, &packet), DEC_BAD);
        if (len > 0) {
            /* Refused as soon as the headers tell. */
            size_t seen = len < FRAME_MAX_PAYLOAD ? 4 : buf_len(&buf);
            assert_int_equal(frame_packet_decode(bytes, seen, len - 1, 254, &packet), DEC_BAD);
        }
        assert_int_equal(frame_packet_decode(bytes, buf_len(&buf), len, -1, &packet), DEC_OK);
        struct span joined = frame_packet_payload(bytes, &packet);
        assert_int_equal(joined.len, len);
        assert_int_equal(memcmp(joined.p, payload, len), 0);
        buf_fini(&buf);
        free(payload);
    }
}

static void test_sequence_inside_a_packet(void **state)
{
    (void)state;
    size_t len = 0xffffff + 4u + 4u;
    uint8_t *bytes = calloc(1, len);
    struct frame_packet packet;
    assert_non_null(bytes);
    frame_encode(bytes, 0xffffff, 0);
    frame_encode(bytes + 4 + 0xffffff, 0, 1);
    assert_int_equal(frame_packet_decode(bytes, len, BIG_LIMIT, 0, &packet), DEC_OK);
    frame_encode(bytes + 4 + 0xffffff, 0, 2);
    assert_int_equal(frame_packet_decode(bytes, len, BIG_LIMIT, 0, &packet), DEC_BAD);
    free(bytes);
}

static void test_begin_end(void **state)
{
    (void)state;
    struct buf buf;
    struct wire_out out;
    uint8_t seq = 7;
    buf_init(&buf);
    assert_int_equal(buf_append(&buf, "old", 3, BIG_LIMIT), 0);
    wire_out_buf(&out, &buf, BIG_LIMIT);
    for (int i = 0; i < 2; i++) {
        size_t mark = frame_begin(&out);
        wire_put_bytes(&out, SPAN_LIT("payload"));
        frame_end(&out, mark, &seq);
    }
    assert_int_equal(seq, 9);
    assert_int_equal(buf_len(&buf), 3 + 2 * 11);
    assert_memory_equal(buf_span(&buf).p, "old\7\0\0\7payload\7\0\0\10payload", 25);
    /* Too large for one frame: fails instead of lying about the length. */
    size_t mark = frame_begin(&out);
    wire_put_zero(&out, FRAME_MAX_PAYLOAD);
    frame_end(&out, mark, &seq);
    assert_false(wire_out_ok(&out));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_sizes_round_trip),
        cmocka_unit_test(test_sequence_inside_a_packet),
        cmocka_unit_test(test_begin_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
