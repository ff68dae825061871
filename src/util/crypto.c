/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/crypto.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "weir/util/assert.h"

/*
 * EVP_sha1() looks its implementation up again in every digest; EVP_MD_fetch() once does not.
 * The context is the thread's own, so that a hash allocates nothing after the first.
 */
struct crypto_state {
    EVP_MD *sha1;
    EVP_MD *sha256;
    pthread_key_t context;
};

/* Set once, constant afterwards.
 * NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static struct crypto_state state;
/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static pthread_once_t state_once = PTHREAD_ONCE_INIT;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void init_state(void)
{
    state.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    state.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    WR_ASSERT(state.sha1 != NULL && state.sha256 != NULL);
    int rc = pthread_key_create(&state.context, free_context);
    WR_ASSERT(rc == 0);
}

static EVP_MD_CTX *thread_context(void)
{
    int rc = pthread_once(&state_once, init_state);
    WR_ASSERT(rc == 0);

    EVP_MD_CTX *context = pthread_getspecific(state.context);
    if (context == NULL) {
        context = EVP_MD_CTX_new();
        WR_ASSERT(context != NULL);
        rc = pthread_setspecific(state.context, context);
        WR_ASSERT(rc == 0);
    }
    return context;
}

static void hash(EVP_MD_CTX *context, const EVP_MD *md, const struct span *parts, size_t count,
                 uint8_t *ret_hash)
{
    unsigned len = 0;

    int ok = EVP_DigestInit_ex2(context, md, NULL);
    for (size_t i = 0; i < count && ok == 1; i++) {
        ok = EVP_DigestUpdate(context, parts[i].p, parts[i].len);
    }
    if (ok == 1) {
        ok = EVP_DigestFinal_ex(context, ret_hash, &len);
    }
    WR_ASSERT(ok == 1);
}

void crypto_sha1(const struct span *parts, size_t count, uint8_t ret_hash[CRYPTO_SHA1_SIZE])
{
    EVP_MD_CTX *context = thread_context();
    hash(context, state.sha1, parts, count, ret_hash);
}

void crypto_sha256(const struct span *parts, size_t count, uint8_t ret_hash[CRYPTO_SHA256_SIZE])
{
    EVP_MD_CTX *context = thread_context();
    hash(context, state.sha256, parts, count, ret_hash);
}

void crypto_hmac_sha256(struct span key, struct span bytes, uint8_t ret_mac[CRYPTO_SHA256_SIZE])
{
    static const uint8_t none[1];
    unsigned len = 0;

    WR_ASSERT(key.len <= INT_MAX);
    const uint8_t *mac = HMAC(EVP_sha256(), key.p == NULL ? none : key.p, (int)key.len, bytes.p,
                              bytes.len, ret_mac, &len);

    WR_ASSERT(mac != NULL && len == CRYPTO_SHA256_SIZE);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_random(void *dst, size_t len)
{
    WR_ASSERT(len <= INT32_MAX);
    int ok = RAND_bytes(dst, (int)len);
    WR_ASSERT(ok == 1);
}

void crypto_wipe(void *dst, size_t len)
{
    OPENSSL_cleanse(dst, len);
}

void crypto_scramble(uint8_t dst[CRYPTO_SCRAMBLE_SIZE])
{
    crypto_random(dst, CRYPTO_SCRAMBLE_SIZE);
    for (size_t i = 0; i < CRYPTO_SCRAMBLE_SIZE; i++) {
        dst[i] &= 0x7f;
        /* '$' separates fields of the verifier in MySQL's account table; mysqld avoids it too. */
        while (dst[i] == 0 || dst[i] == '$') {
            crypto_random(&dst[i], 1);
            dst[i] &= 0x7f;
        }
    }
}
