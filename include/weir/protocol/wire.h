/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - bounded reading and writing of the fields that MySQL packets are made of.
 *
 * WHY       Every overflow in this protocol's history was a length that somebody else had sent.
 *           One reader and one writer know about bounds, so that no decoder has to.
 * OWNS      none: a reader borrows its bytes, a writer borrows its buf or array.
 * THREADS   any, one at a time per object
 * REENTRY   none
 * UNITS     bytes; integers are little endian on the wire, host order here.
 * ERRORS    Sticky: after the first failure every read gives 0 or an empty span and every write is
 *           dropped; the caller looks once, at the end (wire_ok, wire_out_ok).
 * BOUNDS    A reader never looks past its end, a writer never past its array or limit.
 */
#ifndef WEIR_PROTOCOL_WIRE_H
#define WEIR_PROTOCOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

struct buf;

/* What every decoder answers. MORE is only given by decoders of a stream of bytes. */
enum dec_rc {
    DEC_OK,
    DEC_MORE, /* a prefix of something valid: come back with more bytes */
    DEC_BAD,  /* no continuation makes this valid */
};

struct wire {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

void wire_init(struct wire *wire, struct span bytes);
size_t wire_left(const struct wire *wire);
bool wire_ok(const struct wire *wire);
/* No failure and nothing left over. */
bool wire_is_done(const struct wire *wire);
void wire_fail(struct wire *wire);

uint8_t wire_u8(struct wire *wire);
uint16_t wire_u16(struct wire *wire);
uint32_t wire_u24(struct wire *wire);
uint32_t wire_u32(struct wire *wire);
uint64_t wire_u64(struct wire *wire);
/* Length-encoded integer. 0xFB (NULL) and 0xFF fail. */
uint64_t wire_lenenc(struct wire *wire);
void wire_skip(struct wire *wire, size_t len);
struct span wire_bytes(struct wire *wire, size_t len);
/* Bytes up to a 0x00, which is consumed; none there: fails. */
struct span wire_nul(struct wire *wire);
struct span wire_lenenc_bytes(struct wire *wire);
struct span wire_rest(struct wire *wire);

struct wire_out {
    struct buf *buf; /* grows this one... */
    uint8_t *array;  /* ...or fills this one */
    size_t cap;      /* of the array, or buf's max */
    size_t len;      /* written so far by this writer */
    bool failed;
};

/* max: bytes that buf may hold in all. */
void wire_out_buf(struct wire_out *out, struct buf *buf, size_t max);
void wire_out_array(struct wire_out *out, uint8_t *array, size_t cap);
bool wire_out_ok(const struct wire_out *out);

void wire_put_u8(struct wire_out *out, uint8_t v);
void wire_put_u16(struct wire_out *out, uint16_t v);
void wire_put_u24(struct wire_out *out, uint32_t v);
void wire_put_u32(struct wire_out *out, uint32_t v);
void wire_put_u64(struct wire_out *out, uint64_t v);
void wire_put_lenenc(struct wire_out *out, uint64_t v);
void wire_put_zero(struct wire_out *out, size_t len);
void wire_put_bytes(struct wire_out *out, struct span bytes);
/* The bytes and a 0x00 behind them; a 0x00 inside fails the writer. */
void wire_put_nul(struct wire_out *out, struct span bytes);
void wire_put_lenenc_bytes(struct wire_out *out, struct span bytes);

/* Bytes that wire_put_lenenc(v) takes. */
size_t wire_lenenc_size(uint64_t v);

#endif
