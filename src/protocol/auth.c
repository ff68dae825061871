/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/auth.h"

enum auth_packet auth_packet_kind(struct span payload)
{
    if (payload.len == 0) {
        return AUTH_PACKET_UNKNOWN;
    }
    switch (payload.p[0]) {
    case 0x00:
        return AUTH_PACKET_OK;
    case 0x01:
        return AUTH_PACKET_MORE;
    case 0xfe:
        return payload.len == 1 ? AUTH_PACKET_OLD_SWITCH : AUTH_PACKET_SWITCH;
    case 0xff:
        return AUTH_PACKET_ERR;
    default:
        return AUTH_PACKET_UNKNOWN;
    }
}

enum dec_rc auth_switch_decode(struct span payload, struct auth_switch *ret_switch)
{
    struct auth_switch sw;
    struct wire wire;
    wire_init(&wire, payload);
    if (wire_u8(&wire) != 0xfe) {
        return DEC_BAD;
    }
    sw.plugin = wire_nul(&wire);
    sw.data = wire_rest(&wire);
    if (!wire_ok(&wire) || sw.plugin.len == 0) {
        return DEC_BAD;
    }
    if (sw.data.len > 0 && sw.data.p[sw.data.len - 1] == 0) {
        sw.data.len--;
    }
    *ret_switch = sw;
    return DEC_OK;
}

void auth_switch_encode(struct wire_out *out, const struct auth_switch *sw)
{
    wire_put_u8(out, 0xfe);
    wire_put_nul(out, sw->plugin);
    wire_put_bytes(out, sw->data);
    wire_put_u8(out, 0);
}

enum dec_rc auth_more_decode(struct span payload, struct span *ret_data)
{
    struct wire wire;
    wire_init(&wire, payload);
    if (wire_u8(&wire) != 0x01) {
        return DEC_BAD;
    }
    *ret_data = wire_rest(&wire);
    return DEC_OK;
}

void auth_more_encode(struct wire_out *out, struct span data)
{
    wire_put_u8(out, 0x01);
    wire_put_bytes(out, data);
}
