/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/frame.h"

#include <string.h>

#include "weir/util/buf.h"

static uint32_t load24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

enum dec_rc frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame)
{
    if (len < FRAME_HEADER) {
        return DEC_MORE;
    }
    ret_frame->len = load24(bytes);
    ret_frame->seq = bytes[3];
    return DEC_OK;
}

void frame_encode(uint8_t header[4], uint32_t len, uint8_t seq)
{
    header[0] = (uint8_t)len;
    header[1] = (uint8_t)(len >> 8);
    header[2] = (uint8_t)(len >> 16);
    header[3] = seq;
}

enum dec_rc frame_packet_decode(const uint8_t *bytes, size_t len, size_t max_payload, int seq,
                                struct frame_packet *ret_packet)
{
    size_t at = 0;
    size_t payload = 0;
    uint32_t frames = 0;
    uint8_t next = (uint8_t)seq;
    struct frame frame;

    do {
        if (frame_decode(bytes + at, len - at, &frame) != DEC_OK) {
            return DEC_MORE;
        }
        if (seq < 0 && frames == 0) {
            next = frame.seq;
        }
        if (frame.seq != next) {
            return DEC_BAD;
        }
        payload += frame.len;
        /* Refused by the headers alone: nobody gets to fill memory up to the limit first. */
        if (payload > max_payload) {
            return DEC_BAD;
        }
        if (len - at - FRAME_HEADER < frame.len) {
            return DEC_MORE;
        }
        at += FRAME_HEADER + frame.len;
        next++;
        frames++;
    } while (frame.len == FRAME_MAX_PAYLOAD);

    *ret_packet = (struct frame_packet){
        .wire_len = at,
        .payload_len = payload,
        .frames = frames,
        .first_seq = (uint8_t)(next - frames),
        .next_seq = next,
    };
    return DEC_OK;
}

struct span frame_packet_payload(uint8_t *bytes, const struct frame_packet *packet)
{
    uint8_t *dst = bytes + FRAME_HEADER + FRAME_MAX_PAYLOAD;
    const uint8_t *src = dst;
    size_t left = packet->payload_len;

    if (packet->frames > 1) {
        left -= FRAME_MAX_PAYLOAD;
        for (uint32_t i = 1; i < packet->frames; i++) {
            size_t part = left < FRAME_MAX_PAYLOAD ? left : FRAME_MAX_PAYLOAD;
            src += FRAME_HEADER;
            memmove(dst, src, part);
            dst += part;
            src += part;
            left -= part;
        }
    }
    return (struct span){bytes + FRAME_HEADER, packet->payload_len};
}

void frame_packet_encode(struct wire_out *out, uint8_t *seq, struct span payload)
{
    size_t part = 0;
    do {
        part = payload.len < FRAME_MAX_PAYLOAD ? payload.len : FRAME_MAX_PAYLOAD;
        wire_put_u24(out, (uint32_t)part);
        wire_put_u8(out, (*seq)++);
        if (part > 0) {
            wire_put_bytes(out, (struct span){payload.p, part});
            payload.p += part;
            payload.len -= part;
        }
    } while (part == FRAME_MAX_PAYLOAD);
}

size_t frame_begin(struct wire_out *out)
{
    size_t mark = out->len;
    wire_put_zero(out, FRAME_HEADER);
    return mark;
}

void frame_end(struct wire_out *out, size_t mark, uint8_t *seq)
{
    if (out->failed) {
        return;
    }
    size_t len = out->len - mark - FRAME_HEADER;
    if (len >= FRAME_MAX_PAYLOAD) {
        out->failed = true;
        return;
    }
    /* A buf may have moved while it grew: count back from its end. */
    uint8_t *end = out->buf != NULL ? buf_tail(out->buf) : out->array + out->len;
    frame_encode(end - len - FRAME_HEADER, (uint32_t)len, (*seq)++);
}
