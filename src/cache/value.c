/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/value.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "weir/cache/body.h"
#include "weir/protocol/wire.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

#define FLAG_PACKED  1U
#define HEAD_BYTES   ((size_t)60)
#define MAC_BYTES    ((size_t)CRYPTO_SHA256_SIZE)
#define PACK_LEVEL   1 /* the fastest that is not called "fast" */
#define BODY_AT_MOST ((size_t)UINT32_MAX)

static const struct span magic = {(const uint8_t *)"wRc\x02", 4};

int value_codec_init(struct value_codec *codec, struct span secret, size_t max_body,
                     size_t pack_above)
{
    if (secret.len < VALUE_SECRET_MIN || max_body > BODY_AT_MOST) {
        return -WR_E_CONFIG;
    }
    crypto_hmac_sha256(secret, SPAN_LIT("weir cache: values"), codec->mac_key);
    crypto_hmac_sha256(secret, SPAN_LIT("weir cache: names"), codec->name_key);
    codec->max_body = max_body;
    codec->pack_above = pack_above;
    return 0;
}

void value_codec_fini(struct value_codec *codec)
{
    crypto_wipe(codec, sizeof(*codec));
}

void value_name(const struct value_codec *codec, struct span key, char ret_name[VALUE_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t mac[CRYPTO_SHA256_SIZE];

    crypto_hmac_sha256((struct span){codec->name_key, sizeof(codec->name_key)}, key, mac);
    for (size_t i = 0; i < VALUE_NAME_BYTES / 2; i++) {
        ret_name[2 * i] = digits[mac[i] >> 4];
        ret_name[2 * i + 1] = digits[mac[i] & 15];
    }
    ret_name[VALUE_NAME_BYTES - 1] = '\0';
}

const char *value_miss_text(enum value_miss miss)
{
    static const char *const texts[] = {
#define X(name, label) [VALUE_MISS_##name] = (label),
        VALUE_MISSES(X)
#undef X
    };

    return texts[miss];
}

/* --- encode --- */

/* The packed body behind out's bytes. 0: not worth it, nothing was appended. */
static int body_pack(struct span body, struct buf *out, size_t max, size_t *ret_len)
{
    size_t len = 0;
    int r = buf_reserve(out, ZSTD_compressBound(body.len), max + ZSTD_compressBound(body.len));

    if (r < 0) {
        return r;
    }
    len = ZSTD_compress(buf_tail(out), buf_room(out), body.p, body.len, PACK_LEVEL);
    if (ZSTD_isError(len) || len >= body.len) {
        return 0;
    }
    buf_commit(out, len);
    *ret_len = len;
    return 1;
}

static void head_put(struct wire_out *wire, const struct value *value, uint8_t flags, size_t stored)
{
    wire_put_bytes(wire, magic);
    wire_put_u8(wire, VALUE_FORMAT);
    wire_put_u8(wire, flags);
    wire_put_u16(wire, 0);
    wire_put_u32(wire, (uint32_t)value->key.len);
    wire_put_u32(wire, (uint32_t)value->body.len);
    wire_put_u32(wire, (uint32_t)stored);
    wire_put_u64(wire, value->filled_wall_us);
    wire_put_u64(wire, value->expires_wall_us);
    wire_put_u64(wire, value->place.log);
    wire_put_u32(wire, value->place.file);
    wire_put_u32(wire, value->place.born_s);
    wire_put_u64(wire, value->place.offset);
}

int value_encode(const struct value_codec *codec, const struct value *value, struct buf *out)
{
    size_t fixed = HEAD_BYTES + value->key.len + MAC_BYTES;
    size_t max = fixed + value->body.len;
    size_t stored = value->body.len;
    uint8_t head[HEAD_BYTES];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct wire_out wire;
    int is_packed = 0;

    if (value->body.len > codec->max_body || value->key.len > VALUE_KEY_MAX) {
        return -WR_E_TOO_LARGE;
    }
    buf_clear(out);
    wire_out_buf(&wire, out, max);
    head_put(&wire, value, 0, stored);
    wire_put_bytes(&wire, value->key);
    if (!wire_out_ok(&wire)) {
        return -ENOMEM;
    }
    if (value->body.len > codec->pack_above) {
        is_packed = body_pack(value->body, out, max, &stored);
    }
    if (is_packed < 0) {
        return is_packed;
    }
    if (is_packed == 0) {
        int r = buf_append_span(out, value->body, max);

        if (r < 0) {
            return r;
        }
    }
    wire_out_array(&wire, head, sizeof(head));
    head_put(&wire, value, is_packed != 0 ? FLAG_PACKED : 0, stored);
    memcpy(out->data + out->off, head, sizeof(head));
    crypto_hmac_sha256((struct span){codec->mac_key, sizeof(codec->mac_key)}, buf_span(out), mac);
    return buf_append(out, mac, sizeof(mac), max + MAC_BYTES);
}

/* --- decode --- */

static enum value_miss body_unpack(struct span stored, size_t len, struct buf *room,
                                   struct span *ret_body)
{
    int r = buf_reserve(room, len, len);

    if (r < 0) {
        return VALUE_MISS_NO_MEMORY;
    }
    /* a frame that says another length, or is longer, fails: there is no room for it */
    if (ZSTD_decompress(buf_tail(room), len, stored.p, stored.len) != len) {
        return VALUE_MISS_BROKEN;
    }
    buf_commit(room, len);
    *ret_body = buf_span(room);
    return VALUE_MISS_NONE;
}

/* Whose it is. */
static enum value_miss seal_check(const struct value_codec *codec, struct span bytes)
{
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct span covered = {bytes.p, bytes.len - MAC_BYTES};

    if (memcmp(bytes.p, magic.p, magic.len) != 0) {
        return VALUE_MISS_FOREIGN;
    }
    if (bytes.p[magic.len] != VALUE_FORMAT || (bytes.p[magic.len + 1] & ~FLAG_PACKED) != 0) {
        return VALUE_MISS_FORMAT;
    }
    crypto_hmac_sha256((struct span){codec->mac_key, sizeof(codec->mac_key)}, covered, mac);
    return crypto_equal(mac, bytes.p + covered.len, sizeof(mac)) ? VALUE_MISS_NONE
                                                                 : VALUE_MISS_FORGED;
}

enum value_miss value_decode(const struct value_codec *codec, struct span bytes, struct span key,
                             struct buf *room, struct value *ret_value)
{
    struct value value = {.filled_wall_us = 0};
    struct span stored = {NULL, 0};
    enum value_miss miss = VALUE_MISS_SHORT;
    struct wire wire;
    uint8_t flags = 0;
    uint16_t zero = 0;
    uint32_t key_len = 0;
    uint32_t body_len = 0;
    uint32_t stored_len = 0;

    buf_clear(room);
    if (bytes.len < HEAD_BYTES + MAC_BYTES) {
        return miss;
    }
    miss = seal_check(codec, bytes);
    if (miss != VALUE_MISS_NONE) {
        return miss;
    }
    wire_init(&wire, (struct span){bytes.p, bytes.len - MAC_BYTES});
    wire_skip(&wire, magic.len + 1);
    flags = wire_u8(&wire);
    zero = wire_u16(&wire);
    key_len = wire_u32(&wire);
    body_len = wire_u32(&wire);
    stored_len = wire_u32(&wire);
    value.filled_wall_us = wire_u64(&wire);
    value.expires_wall_us = wire_u64(&wire);
    value.place.log = wire_u64(&wire);
    value.place.file = wire_u32(&wire);
    value.place.born_s = wire_u32(&wire);
    value.place.offset = wire_u64(&wire);
    value.key = wire_bytes(&wire, key_len);
    stored = wire_bytes(&wire, stored_len);
    if (!wire_is_done(&wire) || zero != 0) {
        return VALUE_MISS_BROKEN;
    }
    if (!span_eq(value.key, key)) {
        return VALUE_MISS_OTHER_KEY;
    }
    if (body_len > codec->max_body) {
        return VALUE_MISS_TOO_LARGE;
    }
    value.body = stored;
    if ((flags & FLAG_PACKED) != 0) {
        miss = body_unpack(stored, body_len, room, &value.body);
        if (miss != VALUE_MISS_NONE) {
            return miss;
        }
    }
    if (value.body.len != body_len || body_check(value.body) < 0) {
        return VALUE_MISS_BROKEN;
    }
    *ret_value = value;
    return VALUE_MISS_NONE;
}

enum value_miss value_check(const struct value *value, const struct value_now *now)
{
    if (now->wall_us >= value->expires_wall_us) {
        return VALUE_MISS_EXPIRED;
    }
    if (now->purged_wall_us != 0 && value->filled_wall_us <= now->purged_wall_us + VALUE_SKEW_US) {
        return VALUE_MISS_PURGED;
    }
    if (!now->by_place) {
        return VALUE_MISS_NONE;
    }
    if (value->place.log == 0 || now->until_us == 0) {
        return VALUE_MISS_UNPLACED;
    }
    return now->written_us > now->until_us ? VALUE_MISS_WRITTEN : VALUE_MISS_NONE;
}
