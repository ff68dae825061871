/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "weir/util/clock.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "message_priv.h"

#define WHAT_UNKNOWN 0x01U
#define WHAT_BLIND   0x02U
#define WHAT_TOKEN   0x04U
#define WHAT_ALL     0x07U

static const struct span MAGIC_WORD = {(const uint8_t *)"weir", 4};

int message_begin(struct buf *buf, const struct message_head *head)
{
    struct wire_out out;

    buf_clear(buf);
    wire_out_buf(&out, buf, MESSAGE_MAX);
    wire_put_bytes(&out, MAGIC_WORD);
    wire_put_u8(&out, MESSAGE_VERSION);
    wire_put_u8(&out, (uint8_t)head->kind);
    wire_put_u64(&out, head->instance);
    wire_put_u64(&out, head->number);
    return wire_out_ok(&out) ? 0 : -ENOMEM;
}

/* Rounded up; nothing may still come later than a day from now. */
static uint32_t blind_ms(uint64_t until_us, uint64_t now_us)
{
    uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
    uint64_t left_ms = left_us / CLOCK_US_PER_MS + 1;

    return left_ms < MESSAGE_BLIND_MS ? (uint32_t)left_ms : MESSAGE_BLIND_MS;
}

int message_add(struct buf *buf, const struct causal_out *out, const struct gtid_set *token,
                uint64_t now_us)
{
    struct wire_out wire;
    struct buf text;
    unsigned what = out->is_unknown ? WHAT_UNKNOWN : 0;
    int r = 0;

    buf_init(&text);
    if (!gtid_is_empty(token)) {
        r = gtid_format(token, &text, MESSAGE_SET_MAX);
        what |= r < 0 ? WHAT_UNKNOWN : WHAT_TOKEN;
    }
    what |= out->blind_until_us != 0 ? WHAT_BLIND : 0;
    wire_out_buf(&wire, buf, MESSAGE_MAX);
    wire_put_u16(&wire, (uint16_t)out->slot);
    wire_put_u8(&wire, (uint8_t)what);
    if ((what & WHAT_BLIND) != 0) {
        wire_put_u32(&wire, blind_ms(out->blind_until_us, now_us));
    }
    if ((what & WHAT_TOKEN) != 0) {
        wire_put_lenenc_bytes(&wire, buf_span(&text));
    }
    buf_fini(&text);
    return wire_out_ok(&wire) ? 0 : -ENOMEM;
}

static int message_sign(struct span bytes, const struct message_key *key,
                        uint8_t ret_mac[CRYPTO_SHA256_SIZE])
{
    struct buf all;
    int r = 0;

    buf_init(&all);
    r = buf_append_span(&all, key->channel, 2 * MESSAGE_MAX);
    if (r == 0) {
        r = buf_append(&all, "", 1, 2 * MESSAGE_MAX);
    }
    if (r == 0) {
        r = buf_append_span(&all, bytes, 2 * MESSAGE_MAX);
    }
    if (r == 0) {
        crypto_hmac_sha256(key->secret, buf_span(&all), ret_mac);
    }
    buf_fini(&all);
    return r;
}

int message_end(struct buf *buf, const struct message_key *key)
{
    uint8_t mac[CRYPTO_SHA256_SIZE];
    int r = 0;

    if (key->secret.p == NULL) {
        return 0;
    }
    r = message_sign(buf_span(buf), key, mac);
    return r < 0 ? r : buf_append(buf, mac, MESSAGE_MAC, MESSAGE_MAX + MESSAGE_MAC);
}

/* Leaves the signature out. */
static bool is_signed(struct span *bytes, const struct message_key *key)
{
    uint8_t mac[CRYPTO_SHA256_SIZE];

    if (key->secret.p == NULL) {
        return true;
    }
    if (bytes->len < MESSAGE_HEAD + MESSAGE_MAC) {
        return false;
    }
    bytes->len -= MESSAGE_MAC;
    return message_sign(*bytes, key, mac) == 0 &&
           crypto_equal(mac, bytes->p + bytes->len, MESSAGE_MAC);
}

bool message_open(struct span bytes, const struct message_key *key, struct message_head *ret_head,
                  struct wire *ret_marks)
{
    struct wire wire;
    struct span magic = {0};
    uint8_t version = 0;
    uint8_t kind = 0;

    if (bytes.len > MESSAGE_MAX + MESSAGE_MAC || !is_signed(&bytes, key)) {
        return false;
    }
    wire_init(&wire, bytes);
    magic = wire_bytes(&wire, MAGIC_WORD.len);
    version = wire_u8(&wire);
    kind = wire_u8(&wire);
    const uint64_t instance = wire_u64(&wire);
    const uint64_t number = wire_u64(&wire);

    if (!wire_ok(&wire) || !span_eq(magic, MAGIC_WORD) || version != MESSAGE_VERSION ||
        (kind != MESSAGE_MARKS && kind != MESSAGE_BYE) || number == 0) {
        return false;
    }
    *ret_head = (struct message_head){
        .kind = (enum message_kind)kind, .instance = instance, .number = number};
    *ret_marks = wire;
    return true;
}

enum dec_rc message_next(struct wire *marks, struct causal_out *ret_out, struct gtid_set *token,
                         uint64_t now_us)
{
    struct causal_out out = {0};
    unsigned what = 0;
    uint32_t ms = 0;

    gtid_clear(token);
    if (wire_left(marks) == 0) {
        return wire_ok(marks) ? DEC_MORE : DEC_BAD;
    }
    out.slot = wire_u16(marks);
    what = wire_u8(marks);
    out.is_unknown = (what & WHAT_UNKNOWN) != 0;
    if ((what & WHAT_BLIND) != 0) {
        ms = wire_u32(marks);
        out.blind_until_us = now_us + (uint64_t)ms * CLOCK_US_PER_MS;
    }
    if ((what & WHAT_TOKEN) != 0) {
        struct span text = wire_lenenc_bytes(marks);

        if (!wire_ok(marks) || text.len == 0 ||
            gtid_parse(text, GTID_ANY, &GTID_LIMITS_TOKEN, token) < 0 || gtid_is_empty(token)) {
            return DEC_BAD;
        }
    }
    if (!wire_ok(marks) || (what & ~WHAT_ALL) != 0 || what == 0 || out.slot >= CAUSAL_SLOTS ||
        ms > MESSAGE_BLIND_MS) {
        return DEC_BAD;
    }
    *ret_out = out;
    return DEC_OK;
}
