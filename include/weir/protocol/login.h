/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login - the client's half of a login: HandshakeResponse41, SSLRequest, COM_CHANGE_USER.
 *
 * WHY       The only packets that strangers may send; and weir sends them to servers itself.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc, never DEC_MORE; sticky failure of the writer.
 * BOUNDS    user LOGIN_MAX_USER, schema LOGIN_MAX_DB, plugin LOGIN_MAX_PLUGIN, auth LOGIN_MAX_AUTH,
 *           attributes LOGIN_MAX_ATTRS: more is DEC_BAD.
 */
#ifndef WEIR_PROTOCOL_LOGIN_H
#define WEIR_PROTOCOL_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/wire.h"

#define LOGIN_MAX_USER   512u
#define LOGIN_MAX_DB     512u
#define LOGIN_MAX_PLUGIN 128u
#define LOGIN_MAX_AUTH   1024u
#define LOGIN_MAX_ATTRS  65536u
/* Nothing that is allowed above is larger: the limit for the packet before authentication. */
#define LOGIN_MAX_PACKET (68u * 1024u)

struct login {
    uint64_t caps; /* as the client sent them; see caps_agree */
    uint32_t max_packet;
    uint16_t collation;
    bool is_ssl_request; /* then nothing below is set */
    bool has_plugin;
    struct span user;
    struct span auth;
    struct span db;     /* empty: none */
    struct span plugin; /* without its 0x00 */
    struct span attrs;  /* key/value pairs for login_attr_next, checked for form */
};

/* A client of MySQL 4.0 or older: to be told 1251, not decoded. */
bool login_is_pre41(struct span payload);

/* offered: the flags of weir's greeting; fields are laid out by offered & sent. */
enum dec_rc login_decode(struct span payload, uint64_t offered, struct login *ret_login);

/* Append the payload of a HandshakeResponse41 by login->caps. */
void login_encode(struct wire_out *out, const struct login *login);

/* Append the 32 bytes of an SSLRequest. */
void login_encode_ssl_request(struct wire_out *out, const struct login *login);

/* Walk login->attrs. True: one more pair. */
bool login_attr_next(struct wire *attrs, struct span *ret_key, struct span *ret_value);
/* Append one pair to an attribute block under construction. */
void login_attr_put(struct wire_out *out, struct span key, struct span value);

/* COM_CHANGE_USER. caps: the agreed flags of the session. The body begins behind the command
 * byte. Sets user, auth, db, plugin, attrs, collation (0: not sent) and caps. */
enum dec_rc login_decode_change_user(struct span body, uint64_t caps, struct login *ret_login);
/* Append the payload, command byte included. */
void login_encode_change_user(struct wire_out *out, const struct login *login);

#endif
