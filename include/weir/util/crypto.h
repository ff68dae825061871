/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto - hashes, secrets, RSA and certificates, all by OpenSSL.
 *
 * WHY       Login needs them in several rooms; only this file and io know OpenSSL.
 * OWNS      See each function.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    0 or a negative code; ret_ targets are written on success only.
 * BOUNDS    RSA inputs are at most CRYPTO_RSA_MAX bytes.
 */
#ifndef WEIR_UTIL_CRYPTO_H
#define WEIR_UTIL_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/buf.h"
#include "weir/util/str.h"

#define CRYPTO_SHA1_SIZE     20
#define CRYPTO_SHA256_SIZE   32
#define CRYPTO_SCRAMBLE_SIZE 20
#define CRYPTO_RSA_MAX       1024 /* bytes of the largest modulus handled: 8192 bits */

/* Hash of the spans one after the other. These end the process when OpenSSL cannot hash at all
 * (no memory, or a provider that is missing): there is nothing sensible to answer then. */
void crypto_sha1(const struct span *parts, size_t count, uint8_t ret_hash[CRYPTO_SHA1_SIZE]);
void crypto_sha256(const struct span *parts, size_t count, uint8_t ret_hash[CRYPTO_SHA256_SIZE]);
/* HMAC with SHA-256: who does not have the key cannot make it. */
void crypto_hmac_sha256(struct span key, struct span bytes, uint8_t ret_mac[CRYPTO_SHA256_SIZE]);

/* Takes the same time wherever the bytes differ. */
bool crypto_equal(const void *a, const void *b, size_t len);
/* Fit for keys. Ends the process when the system gives none. */
void crypto_random(void *dst, size_t len);
/* Not optimised away. */
void crypto_wipe(void *dst, size_t len);
/* Random bytes of a greeting: 7 bit, none of them 0x00 or '$', as servers send them. */
void crypto_scramble(uint8_t dst[CRYPTO_SCRAMBLE_SIZE]);

/* A private key for the passwords of clients without TLS. Usable from any thread at once. */
struct crypto_rsa;
WR_NODISCARD int crypto_rsa_create(unsigned bits, struct crypto_rsa **ret_rsa);
WR_NODISCARD int crypto_rsa_create_from_pem(struct span private_pem, struct crypto_rsa **ret_rsa);
void crypto_rsa_destroy(struct crypto_rsa *rsa);
/* "-----BEGIN PUBLIC KEY-----..."; borrowed until the key is destroyed. */
struct span crypto_rsa_public_pem(const struct crypto_rsa *rsa);
/* OAEP with SHA-1, as caching_sha2_password has it. -WR_E_AUTH: not for this key.
 * cap >= CRYPTO_RSA_MAX is always enough. */
WR_NODISCARD int crypto_rsa_decrypt(const struct crypto_rsa *rsa, struct span cipher, uint8_t *dst,
                                    size_t cap, size_t *ret_len);
/* The other side: with a public key as a server sends it. -WR_E_AUTH: not a usable key, or the
 * text is too long for it. */
WR_NODISCARD int crypto_rsa_encrypt(struct span public_pem, struct span text, uint8_t *dst,
                                    size_t cap, size_t *ret_len);

/* A self-signed certificate and its key (P-256) as PEM, appended to both: CN as given, SAN
 * localhost and 127.0.0.1, ten years. The caller wipes key_pem (buf_fini_secret()). */
WR_NODISCARD int crypto_cert_create(const char *common_name, struct buf *cert_pem,
                                    struct buf *key_pem);

#endif
