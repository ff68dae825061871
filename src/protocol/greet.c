/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/greet.h"

#include <string.h>

#include "weir/protocol/caps.h"

/* The scramble travels in two parts; the first has had 8 bytes since the 1990s. */
#define SCRAMBLE_PART1 8u
#define PROTOCOL_V10   10u

void greet_encode(struct wire_out *out, const struct greet *greet)
{
    wire_put_u8(out, PROTOCOL_V10);
    wire_put_nul(out, greet->version);
    wire_put_u32(out, greet->conn_id);
    wire_put_bytes(out, (struct span){greet->scramble, SCRAMBLE_PART1});
    wire_put_u8(out, 0);
    wire_put_u16(out, (uint16_t)greet->caps);
    wire_put_u8(out, greet->collation);
    wire_put_u16(out, greet->status);
    wire_put_u16(out, (uint16_t)(greet->caps >> 16));
    /* Both parts and the 0x00 behind them. */
    wire_put_u8(out, (greet->caps & CAP_PLUGIN_AUTH) != 0 ? GREET_SCRAMBLE + 1 : 0);
    wire_put_zero(out, 6);
    wire_put_u32(out, (greet->caps & CAP_LONG_PASSWORD) != 0 ? 0 : (uint32_t)(greet->caps >> 32));
    wire_put_bytes(
        out, (struct span){greet->scramble + SCRAMBLE_PART1, GREET_SCRAMBLE - SCRAMBLE_PART1});
    wire_put_u8(out, 0);
    if ((greet->caps & CAP_PLUGIN_AUTH) != 0) {
        wire_put_nul(out, greet->plugin);
    }
}

enum dec_rc greet_decode(struct span payload, struct greet *ret_greet)
{
    struct greet greet = {0};
    struct wire wire;
    wire_init(&wire, payload);

    if (wire_u8(&wire) != PROTOCOL_V10) {
        return DEC_BAD;
    }
    greet.version = wire_nul(&wire);
    greet.conn_id = wire_u32(&wire);
    struct span part1 = wire_bytes(&wire, SCRAMBLE_PART1);
    wire_skip(&wire, 1);
    greet.caps = wire_u16(&wire);
    greet.collation = wire_u8(&wire);
    greet.status = wire_u16(&wire);
    greet.caps |= (uint64_t)wire_u16(&wire) << 16;
    size_t scramble_len = wire_u8(&wire);
    wire_skip(&wire, 6);
    uint64_t extended = wire_u32(&wire);
    if ((greet.caps & CAP_LONG_PASSWORD) == 0) {
        greet.caps |= extended << 32;
    }
    /* Servers say 21 (MySQL, MariaDB); no plugin of either uses another length, and a shorter
     * nonce would be weaker. 0: a server without PLUGIN_AUTH, with the same two parts. */
    if (scramble_len != 0 && scramble_len != GREET_SCRAMBLE && scramble_len != GREET_SCRAMBLE + 1) {
        return DEC_BAD;
    }
    struct span part2 = wire_bytes(&wire, GREET_SCRAMBLE - SCRAMBLE_PART1);
    wire_skip(&wire, 1);
    if ((greet.caps & CAP_PLUGIN_AUTH) != 0) {
        /* Some old servers left out the 0x00 behind the name. */
        greet.plugin = wire_rest(&wire);
        const uint8_t *nul =
            greet.plugin.len > 0 ? memchr(greet.plugin.p, 0, greet.plugin.len) : NULL;
        if (nul != NULL) {
            greet.plugin.len = (size_t)(nul - greet.plugin.p);
        }
    }
    if (!wire_ok(&wire) || greet.version.len > GREET_MAX_VERSION) {
        return DEC_BAD;
    }
    memcpy(greet.scramble, part1.p, SCRAMBLE_PART1);
    memcpy(greet.scramble + SCRAMBLE_PART1, part2.p, GREET_SCRAMBLE - SCRAMBLE_PART1);
    *ret_greet = greet;
    return DEC_OK;
}
