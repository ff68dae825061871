/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_native - mysql_native_password.
 *
 * WHY       A server's account table holds stage 2 = SHA1(SHA1(password)). A client's reply is
 *           stage 1 XOR SHA1(scramble, stage 2), so who holds stage 2 can check the reply and take
 *           stage 1 = SHA1(password) out of it, which is all that is needed to log in elsewhere.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    0, or a negative err code
 * BOUNDS    fixed sizes
 */
#ifndef WEIR_PROTOCOL_AUTH_NATIVE_H
#define WEIR_PROTOCOL_AUTH_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define AUTH_NATIVE_LEN 20u

void auth_native_stage1(struct span password, uint8_t ret_stage1[AUTH_NATIVE_LEN]);
void auth_native_stage2(struct span password, uint8_t ret_stage2[AUTH_NATIVE_LEN]);

/* Read "*" and 40 hex digits, as account tables show stage 2. */
WR_NODISCARD int auth_native_stage2_parse(struct span text, uint8_t ret_stage2[AUTH_NATIVE_LEN]);

/* The client's answer to a scramble of 20 bytes. */
void auth_native_reply(const uint8_t stage1[AUTH_NATIVE_LEN], const uint8_t scramble[20],
                       uint8_t ret_reply[AUTH_NATIVE_LEN]);

/* Check a client's answer in constant time. On success stage 1 is in ret_stage1 (may be NULL);
 * wipe it after use, it is as good as the password. An empty reply is never right here. */
bool auth_native_verify(struct span reply, const uint8_t scramble[20],
                        const uint8_t stage2[AUTH_NATIVE_LEN], uint8_t ret_stage1[AUTH_NATIVE_LEN]);

#endif
