/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/login.h"

#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"

#define SSL_REQUEST_LEN 32u
#define RESERVED_LEN    23u
/* MariaDB: the last of the reserved bytes are the extended flags when bit 0 is clear on both sides. */
#define EXTENDED_LEN 4u

bool login_is_pre41(struct span payload)
{
    /* Before 4.1 the flags had 16 bits; PROTOCOL_41 is one of them. */
    return payload.len >= 2 && ((uint64_t)payload.p[1] << 8 & CAP_PROTOCOL_41) == 0;
}

/* Servers take the name up to a 0x00 or the end: libmariadb and old drivers leave the 0x00 out. */
static struct span nul_or_rest(struct wire *wire)
{
    size_t left = wire_left(wire);
    if (left > 0 && memchr(wire->p, 0, left) != NULL) {
        return wire_nul(wire);
    }
    return wire_rest(wire);
}

bool login_attr_next(struct wire *attrs, struct span *ret_key, struct span *ret_value)
{
    if (wire_left(attrs) == 0) {
        return false;
    }
    struct span key = wire_lenenc_bytes(attrs);
    struct span value = wire_lenenc_bytes(attrs);
    if (!wire_ok(attrs)) {
        return false;
    }
    *ret_key = key;
    *ret_value = value;
    return true;
}

void login_attr_put(struct wire_out *out, struct span key, struct span value)
{
    wire_put_lenenc_bytes(out, key);
    wire_put_lenenc_bytes(out, value);
}

static struct span attrs_decode(struct wire *wire)
{
    struct span attrs = wire_lenenc_bytes(wire);
    struct span key;
    struct span value;
    struct wire pairs;
    if (attrs.len > LOGIN_MAX_ATTRS) {
        wire_fail(wire);
        return (struct span){NULL, 0};
    }
    wire_init(&pairs, attrs);
    bool is_pair = true;
    while (is_pair) {
        is_pair = login_attr_next(&pairs, &key, &value);
    }
    if (!wire_ok(&pairs)) {
        wire_fail(wire);
        return (struct span){NULL, 0};
    }
    return attrs;
}

/* What HandshakeResponse and COM_CHANGE_USER share in their tails, and the limits of all fields. */
static enum dec_rc finish(struct wire *wire, uint64_t agreed, struct login *login,
                          struct login *ret_login)
{
    if ((agreed & CAP_PLUGIN_AUTH) != 0 && wire_left(wire) > 0) {
        login->plugin = nul_or_rest(wire);
        login->has_plugin = true;
    }
    if ((agreed & CAP_CONNECT_ATTRS) != 0 && wire_left(wire) > 0) {
        login->attrs = attrs_decode(wire);
    }
    /* Bytes may follow: the level byte of zstd, and what later versions append. */
    if (!wire_ok(wire) || login->user.len > LOGIN_MAX_USER || login->auth.len > LOGIN_MAX_AUTH ||
        login->db.len > LOGIN_MAX_DB || login->plugin.len > LOGIN_MAX_PLUGIN) {
        return DEC_BAD;
    }
    *ret_login = *login;
    return DEC_OK;
}

enum dec_rc login_decode(struct span payload, uint64_t offered, struct login *ret_login)
{
    struct login login = {0};
    struct wire wire;
    wire_init(&wire, payload);

    if (payload.len < SSL_REQUEST_LEN || login_is_pre41(payload)) {
        return DEC_BAD;
    }
    login.caps = wire_u32(&wire);
    login.max_packet = wire_u32(&wire);
    login.collation = wire_u8(&wire);
    wire_skip(&wire, RESERVED_LEN - EXTENDED_LEN);
    uint64_t extended = wire_u32(&wire);
    if (((login.caps | offered) & CAP_LONG_PASSWORD) == 0) {
        login.caps |= extended << 32;
    }
    uint64_t agreed = offered & login.caps;
    if ((agreed & CAP_SSL) != 0 && wire_left(&wire) == 0) {
        login.is_ssl_request = true;
        *ret_login = login;
        return DEC_OK;
    }
    login.user = wire_nul(&wire);
    if ((agreed & CAP_PLUGIN_AUTH_LENENC) != 0) {
        login.auth = wire_lenenc_bytes(&wire);
    } else if ((agreed & CAP_SECURE_CONNECTION) != 0) {
        login.auth = wire_bytes(&wire, wire_u8(&wire));
    } else {
        login.auth = wire_nul(&wire);
    }
    /* With the flag and nothing behind: some drivers set it and send no name at all. */
    if ((agreed & CAP_CONNECT_WITH_DB) != 0 && wire_left(&wire) > 0) {
        login.db = nul_or_rest(&wire);
    }
    return finish(&wire, agreed, &login, ret_login);
}

static void put_fixed(struct wire_out *out, const struct login *login)
{
    wire_put_u32(out, (uint32_t)login->caps);
    wire_put_u32(out, login->max_packet);
    /* One byte only; a collation beyond it is set by a statement later. */
    wire_put_u8(out, login->collation <= 0xff ? (uint8_t)login->collation : 0);
    wire_put_zero(out, RESERVED_LEN - EXTENDED_LEN);
    wire_put_u32(out, (login->caps & CAP_LONG_PASSWORD) != 0 ? 0 : (uint32_t)(login->caps >> 32));
}

void login_encode_ssl_request(struct wire_out *out, const struct login *login)
{
    put_fixed(out, login);
}

static void put_tail(struct wire_out *out, const struct login *login)
{
    if ((login->caps & CAP_PLUGIN_AUTH) != 0) {
        wire_put_nul(out, login->plugin);
    }
    if ((login->caps & CAP_CONNECT_ATTRS) != 0) {
        wire_put_lenenc_bytes(out, login->attrs);
    }
}

void login_encode(struct wire_out *out, const struct login *login)
{
    put_fixed(out, login);
    wire_put_nul(out, login->user);
    if ((login->caps & CAP_PLUGIN_AUTH_LENENC) != 0) {
        wire_put_lenenc_bytes(out, login->auth);
    } else if ((login->caps & CAP_SECURE_CONNECTION) != 0) {
        if (login->auth.len > 0xff) {
            out->failed = true;
        }
        wire_put_u8(out, (uint8_t)login->auth.len);
        wire_put_bytes(out, login->auth);
    } else {
        wire_put_nul(out, login->auth);
    }
    if ((login->caps & CAP_CONNECT_WITH_DB) != 0) {
        wire_put_nul(out, login->db);
    }
    put_tail(out, login);
}

enum dec_rc login_decode_change_user(struct span body, uint64_t caps, struct login *ret_login)
{
    struct login login = {.caps = caps};
    struct wire wire;
    wire_init(&wire, body);

    login.user = wire_nul(&wire);
    if ((caps & CAP_SECURE_CONNECTION) != 0) {
        login.auth = wire_bytes(&wire, wire_u8(&wire));
    } else {
        login.auth = wire_nul(&wire);
    }
    login.db = nul_or_rest(&wire);
    if (wire_left(&wire) > 0) {
        login.collation = wire_u16(&wire);
    }
    return finish(&wire, caps, &login, ret_login);
}

void login_encode_change_user(struct wire_out *out, const struct login *login)
{
    wire_put_u8(out, COM_CHANGE_USER);
    wire_put_nul(out, login->user);
    if (login->auth.len > 0xff) {
        out->failed = true;
    }
    wire_put_u8(out, (uint8_t)login->auth.len);
    wire_put_bytes(out, login->auth);
    wire_put_nul(out, login->db);
    wire_put_u16(out, login->collation);
    put_tail(out, login);
}
