/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body is a head, then the packets of the reply but its last, header and all, numbered from 1 and
 * without the EOF behind the definitions.
 */
#include "weir/cache/body.h"

#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"
#include "weir/util/assert.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

#define HEAD 12U /* columns, flags; rows; bytes of the definitions: 2, 2, 4 and 4 bytes */

/* What the server said of how it found the rows: is said again. That it was slow is not, for now it is
 * not. */
#define FLAGS (STATUS_NO_GOOD_INDEX_USED | STATUS_NO_INDEX_USED)

/* What a packet begins with. A row cannot begin with either: its first value would be 16 MiB. */
#define FIRST_END 0xFE
#define FIRST_ERR 0xFF

struct head {
    uint16_t columns;
    uint16_t flags;
    uint32_t rows;
    uint32_t defs;
};

static void head_put(uint8_t dst[HEAD], const struct head *head)
{
    struct wire_out out;

    wire_out_array(&out, dst, HEAD);
    wire_put_u16(&out, head->columns);
    wire_put_u16(&out, head->flags);
    wire_put_u32(&out, head->rows);
    wire_put_u32(&out, head->defs);
}

static uint32_t u32_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct head head_get(struct span body)
{
    WR_ASSERT(body.len >= HEAD);
    return (struct head){
        .columns = (uint16_t)(body.p[0] | body.p[1] << 8),
        .flags = (uint16_t)(body.p[2] | body.p[3] << 8),
        .rows = u32_at(body.p + 4),
        .defs = u32_at(body.p + 8),
    };
}

/* The next packet, which is one frame; false: there is none, or it is not whole. */
static bool next_frame(struct span *bytes, struct span *ret_frame, struct span *ret_payload)
{
    struct frame frame;

    if (frame_decode(bytes->p, bytes->len, &frame) != DEC_OK || frame.len == FRAME_MAX_PAYLOAD ||
        frame.len == 0 || bytes->len < FRAME_HEADER + frame.len) {
        return false;
    }
    *ret_frame = (struct span){bytes->p, FRAME_HEADER + frame.len};
    *ret_payload = (struct span){bytes->p + FRAME_HEADER, frame.len};
    bytes->p += ret_frame->len;
    bytes->len -= ret_frame->len;
    return true;
}

/* How many columns; 0: it begins no result set. */
static uint16_t columns_of(struct span payload)
{
    struct wire wire;

    wire_init(&wire, payload);
    uint64_t columns = wire_lenenc(&wire);
    return wire_is_done(&wire) && columns <= BODY_COLUMNS_MAX ? (uint16_t)columns : 0;
}

/* The last packet: no warnings, no more behind it. */
static bool is_good_end(struct span payload, uint64_t caps, uint16_t *ret_flags)
{
    const uint16_t never = STATUS_MORE_RESULTS | STATUS_CURSOR_EXISTS | STATUS_PS_OUT_PARAMS;
    struct ok ok = {0};
    enum dec_rc rc = (caps & CAP_DEPRECATE_EOF) != 0
                         ? ok_decode(payload, (caps & CAP_SESSION_TRACK) != 0, &ok)
                         : eof_decode(payload, &ok.warnings, &ok.status);

    *ret_flags = (uint16_t)(ok.status & FLAGS);
    return payload.p[0] == FIRST_END && rc == DEC_OK && ok.warnings == 0 &&
           (ok.status & never) == 0;
}

static int append(struct buf *out, size_t max, struct span frame, uint8_t seq)
{
    int r = buf_append_span(out, frame, max);

    if (r >= 0) {
        out->data[out->off + buf_len(out) - frame.len + FRAME_HEADER - 1] = seq;
    }
    return r;
}

/* Count and definitions into out. */
static int take_defs(struct span *reply, struct buf *out, size_t max, struct head *ret_head)
{
    struct span frame;
    struct span payload;
    size_t before = buf_len(out);
    uint8_t seq = 1;
    int r = next_frame(reply, &frame, &payload) ? 0 : -WR_E_BAD_PACKET;

    ret_head->columns = r < 0 ? 0 : columns_of(payload);
    if (ret_head->columns == 0) {
        return -WR_E_BAD_PACKET;
    }
    r = append(out, max, frame, seq++);
    for (uint32_t i = 0; i < ret_head->columns && r >= 0; i++) {
        if (!next_frame(reply, &frame, &payload) || payload.p[0] == FIRST_ERR) {
            return -WR_E_BAD_PACKET;
        }
        r = append(out, max, frame, seq++);
    }
    ret_head->defs = (uint32_t)(buf_len(out) - before);
    return r;
}

int body_from_reply(struct span reply, uint64_t caps, struct buf *out, size_t max)
{
    struct head head = {0};
    struct span frame;
    struct span payload;
    uint8_t bytes[HEAD] = {0};
    size_t begin = buf_len(out);

    max = max < UINT32_MAX ? max : UINT32_MAX; /* what the head can count */
    int r = buf_append(out, bytes, sizeof(bytes), max);
    if (r >= 0) {
        r = take_defs(&reply, out, max, &head);
    }
    if (r >= 0 && (caps & CAP_DEPRECATE_EOF) == 0 &&
        (!next_frame(&reply, &frame, &payload) || !is_good_end(payload, caps, &head.flags))) {
        return -WR_E_BAD_PACKET;
    }
    uint8_t seq = (uint8_t)(head.columns + 2);
    while (r >= 0) {
        if (!next_frame(&reply, &frame, &payload) || payload.p[0] == FIRST_ERR) {
            return -WR_E_BAD_PACKET;
        }
        if (payload.p[0] == FIRST_END) {
            break;
        }
        head.rows++;
        r = append(out, max, frame, seq++);
    }
    if (r < 0) {
        return r;
    }
    if (reply.len != 0 || !is_good_end(payload, caps, &head.flags)) {
        return -WR_E_BAD_PACKET;
    }
    head_put(out->data + out->off + begin, &head);
    return 0;
}

int body_check(struct span body)
{
    struct span frame;
    struct span payload;
    uint8_t seq = 1;

    if (body.len < HEAD) {
        return -WR_E_BAD_PACKET;
    }
    struct head head = head_get(body);
    struct span left = {body.p + HEAD, body.len - HEAD};
    size_t packets = 0;
    while (left.len > 0) {
        bool is_def = packets <= head.columns;
        if (!next_frame(&left, &frame, &payload) || frame.p[FRAME_HEADER - 1] != seq ||
            payload.p[0] == FIRST_ERR || (!is_def && payload.p[0] == FIRST_END) ||
            (packets == 0 && columns_of(payload) != head.columns)) {
            return -WR_E_BAD_PACKET;
        }
        seq++;
        packets++;
        if (packets == (size_t)head.columns + 1 && body.len - HEAD - left.len != head.defs) {
            return -WR_E_BAD_PACKET;
        }
    }
    bool is_whole = head.columns > 0 && (head.flags & ~FLAGS) == 0 &&
                    packets == (size_t)head.columns + 1 + head.rows;
    return is_whole ? 0 : -WR_E_BAD_PACKET;
}

/* One run of packets that are numbered from first on, shift later than they are. */
static void put_shifted(struct wire_out *out, struct span frames, uint8_t shift)
{
    struct span frame;
    struct span payload;

    if (shift == 0) {
        wire_put_bytes(out, frames);
        return;
    }
    while (next_frame(&frames, &frame, &payload)) {
        uint8_t header[FRAME_HEADER];
        frame_encode(header, (uint32_t)payload.len, (uint8_t)(frame.p[FRAME_HEADER - 1] + shift));
        wire_put_bytes(out, (struct span){header, sizeof(header)});
        wire_put_bytes(out, payload);
    }
}

void body_write(struct wire_out *out, struct span body, uint64_t caps, uint16_t status, uint8_t seq)
{
    struct head head = head_get(body);
    struct span packets = {body.p + HEAD, body.len - HEAD};
    uint8_t shift = (uint8_t)(seq - 1);
    struct result result = {.out = out,
                            .caps = caps,
                            .status = (uint16_t)(status | head.flags),
                            .seq = (uint8_t)(head.columns + 2 + shift)};

    put_shifted(out, (struct span){packets.p, head.defs}, shift);
    if ((caps & CAP_DEPRECATE_EOF) == 0) {
        result_put_eof(&result, 0);
        shift++;
    }
    put_shifted(out, (struct span){packets.p + head.defs, packets.len - head.defs}, shift);
    result.seq = (uint8_t)(head.columns + 2 + head.rows + shift);
    result_put_end(&result, 0);
}

bool body_is_as_kept(struct span body, uint64_t caps, uint16_t status, uint8_t seq,
                     struct body_as_kept *ret_kept)
{
    struct head head = head_get(body);
    struct wire_out out;
    struct result result = {.out = &out,
                            .caps = caps,
                            .status = (uint16_t)(status | head.flags),
                            .seq = (uint8_t)(head.columns + head.rows + 2)};

    if (seq != 1 || (caps & CAP_DEPRECATE_EOF) == 0) {
        return false;
    }
    ret_kept->packets = (struct span){body.p + HEAD, body.len - HEAD};
    wire_out_array(&out, ret_kept->end, sizeof(ret_kept->end));
    result_put_end(&result, 0);
    ret_kept->end_len = out.len;
    return wire_out_ok(&out);
}

uint32_t body_rows(struct span body)
{
    return head_get(body).rows;
}
