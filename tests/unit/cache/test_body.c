/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/body.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define MAX ((size_t)1 << 20)

#define SLOW 0x0800 /* of that statement, not of its answer */

static const uint64_t old_caps = CAP_PROTOCOL_41;
static const uint64_t new_caps = CAP_PROTOCOL_41 | CAP_DEPRECATE_EOF | CAP_SESSION_TRACK;

/* A reply of `rows` rows as weir's own writer makes it, for a client of these caps. */
static void make_reply(struct buf *out, uint64_t caps, uint16_t status, unsigned rows,
                       uint16_t warnings, uint8_t seq)
{
    static const struct result_column columns[2] = {
        {.name = "id", .type = RESULT_TYPE_BIGINT, .length = 20},
        {.name = "what", .type = RESULT_TYPE_STRING, .length = 64},
    };
    struct wire_out wire;
    struct result result = {.out = &wire, .caps = caps, .status = status, .seq = seq};

    wire_out_buf(&wire, out, MAX);
    result_put_columns(&result, columns, 2);
    for (unsigned i = 0; i < rows; i++) {
        const struct span row[2] = {i % 3 == 0 ? (struct span){NULL, 0} : SPAN_LIT("4711"),
                                    SPAN_LIT("a row")};
        result_put_row(&result, row, 2);
    }
    result_put_end(&result, warnings);
    assert_true(wire_out_ok(&wire));
}

/* Without a copy: the same bytes, for those who can have them so. */
static void check_as_kept(struct span body, uint64_t caps, uint8_t seq, struct span want)
{
    struct body_as_kept kept;
    bool can = body_is_as_kept(body, caps, STATUS_NO_BACKSLASH_ESCAPES, seq, &kept);

    assert_int_equal(can, caps == new_caps && seq == 1);
    if (can) {
        assert_int_equal(kept.packets.len + kept.end_len, want.len);
        assert_memory_equal(kept.packets.p, want.p, kept.packets.len);
        assert_memory_equal(kept.end, want.p + kept.packets.len, kept.end_len);
    }
}

/* Kept from either kind of client and given to either: byte by byte what it would have got. */
static void test_between_clients(void **state)
{
    static const unsigned counts[] = {0,   1,   7,
                                      252, 253, 600}; /* past the end of the numbers, too */
    static const uint16_t flags[] = {0, 0x10, 0x20, 0x30, 0, 0x20}; /* of indexes */
    const uint64_t caps[2] = {old_caps, new_caps};
    (void)state;
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        for (size_t i = 0; i < 4; i++) {
            struct buf reply = {0};
            struct buf body = {0};
            struct buf want = {0};
            struct buf got = {0};
            struct wire_out wire;
            uint8_t seq = c % 2 == 0 ? 1 : 200;
            make_reply(&reply, caps[i % 2], STATUS_AUTOCOMMIT | SLOW | flags[c], counts[c], 0, 1);
            make_reply(&want, caps[i / 2], STATUS_NO_BACKSLASH_ESCAPES | flags[c], counts[c], 0,
                       seq);
            assert_int_equal(body_from_reply(buf_span(&reply), caps[i % 2], &body, MAX), 0);
            assert_int_equal(body_check(buf_span(&body)), 0);
            assert_int_equal(body_rows(buf_span(&body)), counts[c]);
            wire_out_buf(&wire, &got, MAX);
            body_write(&wire, buf_span(&body), caps[i / 2], STATUS_NO_BACKSLASH_ESCAPES, seq);
            assert_true(wire_out_ok(&wire));
            assert_true(span_eq(buf_span(&got), buf_span(&want)));
            check_as_kept(buf_span(&body), caps[i / 2], seq, buf_span(&want));
            buf_fini(&reply);
            buf_fini(&body);
            buf_fini(&want);
            buf_fini(&got);
        }
    }
}

static int keep(struct span reply, uint64_t caps, size_t max)
{
    struct buf body = {0};
    int r = body_from_reply(reply, caps, &body, max);
    assert_true(r < 0 || body_check(buf_span(&body)) == 0);
    buf_fini(&body);
    return r;
}

static void test_not_kept(void **state)
{
    static const uint8_t ok[] = {7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
    static const uint8_t err[] = {9, 0, 0, 1, 0xff, 0x7a, 4, '#', '4', '2', 'S', '0', '2'};
    struct buf reply = {0};
    (void)state;
    assert_int_equal(keep((struct span){ok, sizeof(ok)}, new_caps, MAX), -WR_E_BAD_PACKET);
    assert_int_equal(keep((struct span){err, sizeof(err)}, new_caps, MAX), -WR_E_BAD_PACKET);
    for (int is_old = 0; is_old < 2; is_old++) {
        uint64_t caps = is_old ? old_caps : new_caps;
        /* warnings; more results; an error behind rows; too large */
        buf_clear(&reply);
        make_reply(&reply, caps, STATUS_AUTOCOMMIT, 3, 1, 1);
        assert_int_equal(keep(buf_span(&reply), caps, MAX), -WR_E_BAD_PACKET);
        buf_clear(&reply);
        make_reply(&reply, caps, STATUS_AUTOCOMMIT | STATUS_MORE_RESULTS, 3, 0, 1);
        assert_int_equal(keep(buf_span(&reply), caps, MAX), -WR_E_BAD_PACKET);
        buf_clear(&reply);
        make_reply(&reply, caps, STATUS_AUTOCOMMIT, 3, 0, 1);
        assert_int_equal(keep(buf_span(&reply), caps, 100), -WR_E_TOO_LARGE);
        assert_int_equal(keep(buf_span(&reply), is_old ? new_caps : old_caps, MAX),
                         -WR_E_BAD_PACKET);
        /* cut anywhere, or with something behind it */
        struct span whole = buf_span(&reply);
        for (size_t len = 0; len < whole.len; len++) {
            assert_int_equal(keep((struct span){whole.p, len}, caps, MAX), -WR_E_BAD_PACKET);
        }
        assert_int_equal(buf_append(&reply, "x", 1, MAX), 0);
        assert_int_equal(keep(buf_span(&reply), caps, MAX), -WR_E_BAD_PACKET);
    }
    buf_fini(&reply);
}

/* Every single byte changed: it is refused, or it can be written all the same. */
static void test_foreign(void **state)
{
    struct buf reply = {0};
    struct buf body = {0};
    unsigned refused = 0;
    (void)state;
    make_reply(&reply, new_caps, STATUS_AUTOCOMMIT, 5, 0, 1);
    assert_int_equal(body_from_reply(buf_span(&reply), new_caps, &body, MAX), 0);
    size_t len = buf_len(&body);
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(copy, body.data + body.off, len);
            copy[at] ^= (uint8_t)(1U << bit);
            if (body_check((struct span){copy, len}) < 0) {
                refused++;
                continue;
            }
            struct buf out = {0};
            struct wire_out wire;
            wire_out_buf(&wire, &out, MAX);
            body_write(&wire, (struct span){copy, len}, old_caps, 0, 1);
            assert_true(wire_out_ok(&wire));
            buf_fini(&out);
        }
        assert_int_equal(body_check((struct span){copy, at}), -WR_E_BAD_PACKET);
    }
    assert_true(refused > len);
    free(copy);
    buf_fini(&reply);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_clients),
        cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
