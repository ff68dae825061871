/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - packets of the authentication exchange behind the login packet.
 *
 * WHY       Plugins differ in what they say, not in the envelope.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc, never DEC_MORE.
 * BOUNDS    none beyond the payload's own.
 */
#ifndef WEIR_PROTOCOL_AUTH_H
#define WEIR_PROTOCOL_AUTH_H

#include <stdint.h>

#include "weir/protocol/wire.h"

#define AUTH_PLUGIN_NATIVE    "mysql_native_password"
#define AUTH_PLUGIN_SHA2      "caching_sha2_password"
#define AUTH_PLUGIN_CLEARTEXT "mysql_clear_password"

/* First payload byte of what a server sends during authentication. */
enum auth_packet {
    AUTH_PACKET_OK,
    AUTH_PACKET_ERR,
    AUTH_PACKET_SWITCH,     /* plugin and fresh data */
    AUTH_PACKET_MORE,       /* plugin's own data */
    AUTH_PACKET_OLD_SWITCH, /* pre-4.1 password: refuse */
    AUTH_PACKET_UNKNOWN,
};

enum auth_packet auth_packet_kind(struct span payload);

struct auth_switch {
    struct span plugin;
    struct span data; /* without a trailing 0x00 */
};

enum dec_rc auth_switch_decode(struct span payload, struct auth_switch *ret_switch);
void auth_switch_encode(struct wire_out *out, const struct auth_switch *sw);
enum dec_rc auth_more_decode(struct span payload, struct span *ret_data);
void auth_more_encode(struct wire_out *out, struct span data);

#endif
