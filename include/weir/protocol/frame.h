/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame - the 4-byte packet header, and packets larger than one frame.
 *
 * WHY       A payload of 0xFFFFFF bytes means "there is more", also when the rest is empty; one
 *           place knows that.
 * OWNS      none: payloads borrow the caller's bytes.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc; DEC_BAD: wrong sequence id or larger than the limit.
 * BOUNDS    frame_packet_decode refuses a packet as soon as its headers exceed max_payload.
 */
#ifndef WEIR_PROTOCOL_FRAME_H
#define WEIR_PROTOCOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/wire.h"

#define FRAME_HEADER      4u
#define FRAME_MAX_PAYLOAD 0xFFFFFFu

struct frame {
    uint32_t len; /* of the payload */
    uint8_t seq;
};

/* A whole logical packet at the start of some bytes. */
struct frame_packet {
    size_t wire_len;    /* headers included: what to consume */
    size_t payload_len; /* headers excluded */
    uint32_t frames;
    uint8_t first_seq;
    uint8_t next_seq; /* what an answer has to begin with */
};

/* DEC_MORE below four bytes; never DEC_BAD. */
enum dec_rc frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame);
void frame_encode(uint8_t header[4], uint32_t len, uint8_t seq);

/* Find one whole packet. seq: the sequence id that it has to begin with, or -1 for any.
 * DEC_MORE: not complete yet. DEC_BAD: out of sequence, or more than max_payload. */
enum dec_rc frame_packet_decode(const uint8_t *bytes, size_t len, size_t max_payload, int seq,
                                struct frame_packet *ret_packet);

/* The payload in one run. One frame: points behind the header. More: the frames' payloads are
 * moved together in place first (their headers are lost; wire_len stays what to consume). */
struct span frame_packet_payload(uint8_t *bytes, const struct frame_packet *packet);

/* Write payload as one packet, split where it must be. *seq is advanced past the frames used. */
void frame_packet_encode(struct wire_out *out, uint8_t *seq, struct span payload);

/* For packets built field by field: frame_begin leaves room for a header and returns a mark,
 * frame_end fills it in and advances *seq. The payload must stay below FRAME_MAX_PAYLOAD, else
 * the writer fails. */
size_t frame_begin(struct wire_out *out);
void frame_end(struct wire_out *out, size_t mark, uint8_t *seq);

#endif
