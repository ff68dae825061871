/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greet - the first packet of a connection: the server's greeting (protocol version 10).
 *
 * WHY       weir writes one to every client and reads one from every server.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    enum dec_rc, never DEC_MORE; sticky failure of the writer.
 * BOUNDS    version: at most GREET_MAX_VERSION bytes.
 */
#ifndef WEIR_PROTOCOL_GREET_H
#define WEIR_PROTOCOL_GREET_H

#include <stdint.h>

#include "weir/protocol/wire.h"

#define GREET_SCRAMBLE    20u
#define GREET_MAX_VERSION 255u

struct greet {
    struct span version;
    struct span plugin; /* empty when the server named none */
    uint64_t caps;      /* MariaDB's extended ones in the upper half */
    uint32_t conn_id;
    uint16_t status;
    uint8_t collation;
    uint8_t scramble[GREET_SCRAMBLE];
};

/* Append the payload (no frame header). The scramble is crypto_scramble()'s: no 0x00 in it. */
void greet_encode(struct wire_out *out, const struct greet *greet);

/* An ERR in place of a greeting gives DEC_BAD here: look with errpkt_is first. */
enum dec_rc greet_decode(struct span payload, struct greet *ret_greet);

#endif
