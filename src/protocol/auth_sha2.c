/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/auth_sha2.h"

#include "weir/util/crypto.h"

#define NONCE 20u

_Static_assert(AUTH_SHA2_LEN == CRYPTO_SHA256_SIZE, "a verifier is one SHA-256");

static void sha256_of(const uint8_t *bytes, size_t len, uint8_t ret_hash[AUTH_SHA2_LEN])
{
    struct span part = {bytes, len};
    crypto_sha256(&part, 1, ret_hash);
}

void auth_sha2_verifier(struct span password, uint8_t ret_verifier[AUTH_SHA2_LEN])
{
    uint8_t once[AUTH_SHA2_LEN];
    sha256_of(password.p, password.len, once);
    sha256_of(once, sizeof once, ret_verifier);
    crypto_wipe(once, sizeof once);
}

/* dst = src XOR SHA256(verifier, nonce); the verifier comes first, unlike in the native plugin */
static void mask(const uint8_t *src, const uint8_t verifier[AUTH_SHA2_LEN],
                 const uint8_t nonce[NONCE], uint8_t *dst)
{
    uint8_t hash[AUTH_SHA2_LEN];
    struct span parts[2] = {{verifier, AUTH_SHA2_LEN}, {nonce, NONCE}};
    crypto_sha256(parts, 2, hash);
    for (size_t i = 0; i < AUTH_SHA2_LEN; i++) {
        dst[i] = src[i] ^ hash[i];
    }
    crypto_wipe(hash, sizeof hash);
}

void auth_sha2_reply(struct span password, const uint8_t nonce[20],
                     uint8_t ret_reply[AUTH_SHA2_LEN])
{
    uint8_t once[AUTH_SHA2_LEN];
    uint8_t verifier[AUTH_SHA2_LEN];
    sha256_of(password.p, password.len, once);
    sha256_of(once, sizeof once, verifier);
    mask(once, verifier, nonce, ret_reply);
    crypto_wipe(once, sizeof once);
    crypto_wipe(verifier, sizeof verifier);
}

bool auth_sha2_verify(struct span reply, const uint8_t nonce[20],
                      const uint8_t verifier[AUTH_SHA2_LEN])
{
    uint8_t once[AUTH_SHA2_LEN];
    uint8_t check[AUTH_SHA2_LEN];
    if (reply.len != AUTH_SHA2_LEN) {
        return false;
    }
    mask(reply.p, verifier, nonce, once);
    sha256_of(once, sizeof once, check);
    crypto_wipe(once, sizeof once);
    return crypto_equal(check, verifier, AUTH_SHA2_LEN);
}

void auth_sha2_mask(uint8_t *bytes, size_t len, const uint8_t nonce[20])
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= nonce[i % NONCE];
    }
}
