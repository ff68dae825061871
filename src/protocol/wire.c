/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/wire.h"

#include <string.h>

#include "weir/util/buf.h"

void wire_init(struct wire *wire, struct span bytes)
{
    static const uint8_t nothing[1] = {0};
    /* NULL plus an offset is undefined even when the offset is 0. */
    wire->p = bytes.p ? bytes.p : nothing;
    wire->end = wire->p + (bytes.p ? bytes.len : 0);
    wire->failed = false;
}

size_t wire_left(const struct wire *wire)
{
    return (size_t)(wire->end - wire->p);
}

bool wire_ok(const struct wire *wire)
{
    return !wire->failed;
}

bool wire_is_done(const struct wire *wire)
{
    return !wire->failed && wire->p == wire->end;
}

void wire_fail(struct wire *wire)
{
    wire->failed = true;
    wire->p = wire->end;
}

/* Claims len bytes; NULL when they are not there. */
static const uint8_t *take(struct wire *wire, size_t len)
{
    if (wire->failed || wire_left(wire) < len) {
        wire_fail(wire);
        return NULL;
    }
    const uint8_t *p = wire->p;
    wire->p += len;
    return p;
}

/* Little endian, len <= 8. */
static uint64_t take_int(struct wire *wire, size_t len)
{
    const uint8_t *p = take(wire, len);
    uint64_t v = 0;
    if (p == NULL) {
        return 0;
    }
    while (len-- > 0) {
        v = v << 8 | p[len];
    }
    return v;
}

uint8_t wire_u8(struct wire *wire)
{
    return (uint8_t)take_int(wire, 1);
}

uint16_t wire_u16(struct wire *wire)
{
    return (uint16_t)take_int(wire, 2);
}

uint32_t wire_u24(struct wire *wire)
{
    return (uint32_t)take_int(wire, 3);
}

uint32_t wire_u32(struct wire *wire)
{
    return (uint32_t)take_int(wire, 4);
}

uint64_t wire_u64(struct wire *wire)
{
    return take_int(wire, 8);
}

uint64_t wire_lenenc(struct wire *wire)
{
    uint8_t first = wire_u8(wire);
    if (first < 0xfb) {
        return first;
    }
    switch (first) {
    case 0xfc:
        return take_int(wire, 2);
    case 0xfd:
        return take_int(wire, 3);
    case 0xfe:
        return take_int(wire, 8);
    default:
        wire_fail(wire);
        return 0;
    }
}

void wire_skip(struct wire *wire, size_t len)
{
    (void)take(wire, len);
}

struct span wire_bytes(struct wire *wire, size_t len)
{
    const uint8_t *p = take(wire, len);
    return p ? (struct span){p, len} : (struct span){NULL, 0};
}

struct span wire_nul(struct wire *wire)
{
    size_t left = wire_left(wire);
    const uint8_t *nul = left > 0 ? memchr(wire->p, 0, left) : NULL;
    if (wire->failed || nul == NULL) {
        wire_fail(wire);
        return (struct span){NULL, 0};
    }
    struct span s = {wire->p, (size_t)(nul - wire->p)};
    wire->p = nul + 1;
    return s;
}

struct span wire_lenenc_bytes(struct wire *wire)
{
    uint64_t len = wire_lenenc(wire);
    /* Compared as 64 bits before it becomes a size. */
    if (wire->failed || len > wire_left(wire)) {
        wire_fail(wire);
        return (struct span){NULL, 0};
    }
    return wire_bytes(wire, (size_t)len);
}

struct span wire_rest(struct wire *wire)
{
    return wire_bytes(wire, wire_left(wire));
}

/* --- writing ------------------------------------------------------------------------------------ */

void wire_out_buf(struct wire_out *out, struct buf *buf, size_t max)
{
    *out = (struct wire_out){.buf = buf, .cap = max};
}

void wire_out_array(struct wire_out *out, uint8_t *array, size_t cap)
{
    *out = (struct wire_out){.cap = cap};
    out->array = array;
}

bool wire_out_ok(const struct wire_out *out)
{
    return !out->failed;
}

/* Room for len more bytes, already counted as written; NULL when there is none. */
static uint8_t *grow(struct wire_out *out, size_t len)
{
    uint8_t *p = NULL;
    if (out->failed) {
        return NULL;
    }
    if (out->buf != NULL) {
        if (buf_reserve(out->buf, len, out->cap) < 0) {
            out->failed = true;
            return NULL;
        }
        p = buf_tail(out->buf);
        buf_commit(out->buf, len);
    } else {
        if (out->cap - out->len < len) {
            out->failed = true;
            return NULL;
        }
        p = out->array + out->len;
    }
    out->len += len;
    return p;
}

static void put_int(struct wire_out *out, uint64_t v, size_t len)
{
    uint8_t *p = grow(out, len);
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

void wire_put_u8(struct wire_out *out, uint8_t v)
{
    put_int(out, v, 1);
}

void wire_put_u16(struct wire_out *out, uint16_t v)
{
    put_int(out, v, 2);
}

void wire_put_u24(struct wire_out *out, uint32_t v)
{
    put_int(out, v, 3);
}

void wire_put_u32(struct wire_out *out, uint32_t v)
{
    put_int(out, v, 4);
}

void wire_put_u64(struct wire_out *out, uint64_t v)
{
    put_int(out, v, 8);
}

size_t wire_lenenc_size(uint64_t v)
{
    if (v < 0xfb) {
        return 1;
    }
    if (v <= 0xffff) {
        return 3;
    }
    return v <= 0xffffff ? 4 : 9;
}

void wire_put_lenenc(struct wire_out *out, uint64_t v)
{
    size_t size = wire_lenenc_size(v);
    if (size > 1) {
        static const uint8_t prefix[10] = {[3] = 0xfc, [4] = 0xfd, [9] = 0xfe};
        wire_put_u8(out, prefix[size]);
        size--;
    }
    put_int(out, v, size);
}

void wire_put_zero(struct wire_out *out, size_t len)
{
    uint8_t *p = grow(out, len);
    if (p != NULL && len > 0) {
        memset(p, 0, len);
    }
}

void wire_put_bytes(struct wire_out *out, struct span bytes)
{
    if (bytes.len == 0) {
        return;
    }
    uint8_t *p = grow(out, bytes.len);
    if (p != NULL) {
        memcpy(p, bytes.p, bytes.len);
    }
}

void wire_put_nul(struct wire_out *out, struct span bytes)
{
    if (bytes.len > 0 && memchr(bytes.p, 0, bytes.len) != NULL) {
        out->failed = true;
        return;
    }
    wire_put_bytes(out, bytes);
    wire_put_u8(out, 0);
}

void wire_put_lenenc_bytes(struct wire_out *out, struct span bytes)
{
    wire_put_lenenc(out, bytes.len);
    wire_put_bytes(out, bytes);
}
