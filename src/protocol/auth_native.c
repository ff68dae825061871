/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/auth_native.h"

#include <string.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"

#define SCRAMBLE 20u

_Static_assert(AUTH_NATIVE_LEN == CRYPTO_SHA1_SIZE, "a stage is one SHA-1");

void auth_native_stage1(struct span password, uint8_t ret_stage1[AUTH_NATIVE_LEN])
{
    crypto_sha1(&password, 1, ret_stage1);
}

static void stage2_of(const uint8_t stage1[AUTH_NATIVE_LEN], uint8_t ret_stage2[AUTH_NATIVE_LEN])
{
    struct span part = {stage1, AUTH_NATIVE_LEN};
    crypto_sha1(&part, 1, ret_stage2);
}

void auth_native_stage2(struct span password, uint8_t ret_stage2[AUTH_NATIVE_LEN])
{
    uint8_t stage1[AUTH_NATIVE_LEN];
    auth_native_stage1(password, stage1);
    stage2_of(stage1, ret_stage2);
    crypto_wipe(stage1, sizeof stage1);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int auth_native_stage2_parse(struct span text, uint8_t ret_stage2[AUTH_NATIVE_LEN])
{
    uint8_t stage2[AUTH_NATIVE_LEN];
    if (text.len != 1 + 2 * AUTH_NATIVE_LEN || text.p[0] != '*') {
        return -WR_E_BAD_PACKET;
    }
    for (size_t i = 0; i < AUTH_NATIVE_LEN; i++) {
        int high = hex_digit(text.p[1 + 2 * i]);
        int low = hex_digit(text.p[2 + 2 * i]);
        if (high < 0 || low < 0) {
            return -WR_E_BAD_PACKET;
        }
        stage2[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_stage2, stage2, sizeof stage2);
    return 0;
}

/* dst = src XOR SHA1(scramble, stage2) */
static void mask(const uint8_t *src, const uint8_t scramble[SCRAMBLE],
                 const uint8_t stage2[AUTH_NATIVE_LEN], uint8_t *dst)
{
    uint8_t hash[AUTH_NATIVE_LEN];
    struct span parts[2] = {{scramble, SCRAMBLE}, {stage2, AUTH_NATIVE_LEN}};
    crypto_sha1(parts, 2, hash);
    for (size_t i = 0; i < AUTH_NATIVE_LEN; i++) {
        dst[i] = src[i] ^ hash[i];
    }
    crypto_wipe(hash, sizeof hash);
}

void auth_native_reply(const uint8_t stage1[AUTH_NATIVE_LEN], const uint8_t scramble[20],
                       uint8_t ret_reply[AUTH_NATIVE_LEN])
{
    uint8_t stage2[AUTH_NATIVE_LEN];
    stage2_of(stage1, stage2);
    mask(stage1, scramble, stage2, ret_reply);
    crypto_wipe(stage2, sizeof stage2);
}

bool auth_native_verify(struct span reply, const uint8_t scramble[20],
                        const uint8_t stage2[AUTH_NATIVE_LEN], uint8_t ret_stage1[AUTH_NATIVE_LEN])
{
    uint8_t stage1[AUTH_NATIVE_LEN];
    uint8_t check[AUTH_NATIVE_LEN];
    if (reply.len != AUTH_NATIVE_LEN) {
        return false;
    }
    mask(reply.p, scramble, stage2, stage1);
    stage2_of(stage1, check);
    bool right = crypto_equal(check, stage2, AUTH_NATIVE_LEN);
    if (right && ret_stage1 != NULL) {
        memcpy(ret_stage1, stage1, sizeof stage1);
    }
    crypto_wipe(stage1, sizeof stage1);
    return right;
}
