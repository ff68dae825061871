/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_sha2 - caching_sha2_password: fast path and the masking of the full one.
 *
 * WHY       The fast path proves knowledge of SHA256(password) against a verifier
 *           SHA256(SHA256(password)); the full one carries the password itself, over TLS or XORed
 *           with the nonce and encrypted with RSA.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    none
 * BOUNDS    fixed sizes
 */
#ifndef WEIR_PROTOCOL_AUTH_SHA2_H
#define WEIR_PROTOCOL_AUTH_SHA2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/str.h"

#define AUTH_SHA2_LEN 32u

/* Bytes of AuthMoreData and of the client's answer to it. */
#define AUTH_SHA2_REQUEST_KEY 0x02 /* client: send me the RSA key */
#define AUTH_SHA2_FAST_OK     0x03 /* server: the fast path was right */
#define AUTH_SHA2_FULL        0x04 /* server: send me the password */

void auth_sha2_verifier(struct span password, uint8_t ret_verifier[AUTH_SHA2_LEN]);

/* The client's fast answer. An empty password is answered by an empty packet, not by this. */
void auth_sha2_reply(struct span password, const uint8_t nonce[20],
                     uint8_t ret_reply[AUTH_SHA2_LEN]);

/* Constant time. */
bool auth_sha2_verify(struct span reply, const uint8_t nonce[20],
                      const uint8_t verifier[AUTH_SHA2_LEN]);

/* XOR in place with the 20 nonce bytes, repeated: before encrypting the password and its 0x00, and
 * after decrypting them. */
void auth_sha2_mask(uint8_t *bytes, size_t len, const uint8_t nonce[20]);

#endif
