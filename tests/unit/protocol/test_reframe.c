/* SPDX-License-Identifier: Apache-2.0 */
/* A packet with something put in, cut in every way, in small frames: what comes out is that packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/reframe.h"

enum {
    MAX = 8,
    MOST = 5 * MAX,
    WAIT = MAX - 2
};

struct out {
    uint8_t bytes[2 * MOST + 64];
    size_t len;
};

static void take(struct out *out, const struct reframe_step *step)
{
    for (unsigned i = 0; i < step->count; i++) {
        assert_true(out->len + step->iov[i].iov_len <= sizeof out->bytes);
        memcpy(out->bytes + out->len, step->iov[i].iov_base, step->iov[i].iov_len);
        out->len += step->iov[i].iov_len;
    }
}

static void feed(struct reframe *reframe, const uint8_t *bytes, size_t len, size_t behind,
                 bool is_more, struct out *out)
{
    bool is_end = behind == 0 && !is_more;
    struct reframe_step step;

    do {
        assert_int_equal(reframe_feed(reframe, bytes, len, behind, is_more, &step), DEC_OK);
        assert_true(step.used <= len);
        take(out, &step);
        bytes += step.used;
        len -= step.used;
    } while (len != 0 || (is_end && step.count != 0));
}

/* Frames in a row: full ones, numbered from 0, and one that is not full. */
static void check(const struct out *out, size_t payload)
{
    size_t at = 0;
    size_t got = 0;
    struct frame frame = {.len = MAX};

    for (uint8_t seq = 0; frame.len == MAX; seq++) {
        assert_int_equal(frame_decode(out->bytes + at, out->len - at, &frame), DEC_OK);
        assert_int_equal(frame.seq, seq);
        assert_true(frame.len <= MAX);
        at += FRAME_HEADER;
        assert_true(frame.len <= out->len - at);
        for (uint32_t i = 0; i < frame.len; i++) {
            assert_int_equal(out->bytes[at + i], (uint8_t)got);
            got++;
        }
        at += frame.len;
    }
    assert_int_equal(at, out->len);
    assert_int_equal(got, payload);
}

/* A packet of `size` bytes of which `head` have been seen when `put` were put in behind them. Bytes
 * are numbered as they have to come out. */
static void run(size_t size, size_t head, size_t put, size_t cut)
{
    uint8_t payload[MOST + MAX];
    uint8_t wait[WAIT];
    struct reframe reframe;
    struct out out = {.len = 0};
    size_t at = head;

    for (size_t i = 0; i < size + put; i++) {
        payload[i] = (uint8_t)i;
    }
    frame_encode(out.bytes, MAX, 0);
    memcpy(out.bytes + FRAME_HEADER, payload, head + put);
    out.len = FRAME_HEADER + head + put;
    reframe_init(&reframe, wait, put, MAX, (uint32_t)(head + put));
    for (size_t frame = 0; frame <= size / MAX; frame++) {
        size_t end = size - frame * MAX < MAX ? size : (frame + 1) * MAX;
        bool is_more = end == (frame + 1) * MAX;

        do {
            size_t part = end - at < cut ? end - at : cut;

            feed(&reframe, payload + put + at, part, end - at - part, is_more, &out);
            at += part;
        } while (at < end);
    }
    check(&out, size + put);
}

static void test_every_cut(void **state)
{
    (void)state;
    for (size_t put = 1; put <= WAIT; put++) {
        for (size_t size = MAX - put; size <= MOST; size++) {
            for (size_t head = 1; head + put <= MAX && head <= size; head++) {
                for (size_t cut = 1; cut <= MAX; cut++) {
                    run(size, head, put, cut);
                }
            }
        }
    }
}

static void test_more_than_announced(void **state)
{
    uint8_t wait[2];
    const uint8_t bytes[] = "abcdefgh";
    struct reframe reframe;
    struct reframe_step step;

    (void)state;
    /* the last frame is over */
    reframe_init(&reframe, wait, sizeof wait, MAX, MAX);
    assert_int_equal(reframe_feed(&reframe, bytes, 1, 0, false, &step), DEC_OK);
    assert_int_equal(step.used, 1);
    assert_int_equal(reframe_feed(&reframe, bytes, 1, 0, false, &step), DEC_BAD);
    /* more wait than were put in */
    reframe_init(&reframe, wait, sizeof wait, MAX, MAX);
    assert_int_equal(reframe_feed(&reframe, bytes, 2, 1, true, &step), DEC_OK);
    assert_int_equal(step.count, 0);
    assert_int_equal(reframe_feed(&reframe, bytes, 1, 0, true, &step), DEC_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_more_than_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
