/* SPDX-License-Identifier: Apache-2.0 */
/* crypto and secret: known answers, wrong keys, wiped memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/secret.h"

static void check_hex(const uint8_t *bytes, size_t len, const char *want)
{
    char text[2 * CRYPTO_SHA256_SIZE + 1] = "";

    for (size_t i = 0; i < len; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    assert_string_equal(text, want);
}

/* FIPS 180 examples. */
static void hashes_are_known(void **unused)
{
    (void)unused;
    uint8_t hash[CRYPTO_SHA256_SIZE];
    struct span abc = SPAN_LIT("abc");
    struct span parts[] = {SPAN_LIT("a"), {NULL, 0}, SPAN_LIT("bc")};

    for (int round = 0; round < 3; round++) {
        crypto_sha1(&abc, 1, hash);
        check_hex(hash, CRYPTO_SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
        crypto_sha1(parts, 3, hash);
        check_hex(hash, CRYPTO_SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
        crypto_sha256(parts, 3, hash);
        check_hex(hash, CRYPTO_SHA256_SIZE,
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        crypto_sha256(NULL, 0, hash);
        check_hex(hash, CRYPTO_SHA256_SIZE,
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

static void comparing_and_wiping(void **unused)
{
    (void)unused;
    uint8_t a[8] = "1234567";
    uint8_t b[8] = "1234567";

    assert_true(crypto_equal(a, b, sizeof(a)));
    b[7] = 1;
    assert_false(crypto_equal(a, b, sizeof(a)));
    assert_true(crypto_equal(a, b, 7));
    assert_true(crypto_equal(a, b, 0));
    crypto_wipe(a, sizeof(a));
    memset(b, 0, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
}

static void scrambles_have_no_bad_byte(void **unused)
{
    (void)unused;
    uint8_t first[CRYPTO_SCRAMBLE_SIZE];
    uint8_t scramble[CRYPTO_SCRAMBLE_SIZE];
    bool is_seen[256] = {false};
    int kinds = 0;

    crypto_scramble(first);
    for (int i = 0; i < 2000; i++) {
        crypto_scramble(scramble);
        assert_memory_not_equal(first, scramble, sizeof(first));
        for (size_t j = 0; j < sizeof(scramble); j++) {
            is_seen[scramble[j]] = true;
        }
    }
    for (int byte = 0; byte < 256; byte++) {
        kinds += is_seen[byte];
    }
    assert_int_equal(kinds, 126);
    assert_false(is_seen[0] || is_seen['$'] || is_seen[128]);
}

static void rsa_goes_there_and_back(void **unused)
{
    (void)unused;
    struct crypto_rsa *rsa = NULL;
    struct crypto_rsa *other = NULL;
    uint8_t cipher[CRYPTO_RSA_MAX];
    uint8_t plain[CRYPTO_RSA_MAX];
    size_t cipher_len = 0;
    size_t plain_len = 77;

    assert_int_equal(crypto_rsa_create(2048, &rsa), 0);
    assert_int_equal(crypto_rsa_create(2048, &other), 0);
    struct span pem = crypto_rsa_public_pem(rsa);
    assert_memory_equal(pem.p, "-----BEGIN PUBLIC KEY-----\n", 27);
    struct span text = SPAN_LIT("secret\0");
    assert_int_equal(crypto_rsa_encrypt(pem, text, cipher, sizeof(cipher), &cipher_len), 0);
    assert_int_equal(cipher_len, 256);
    struct span sent = {cipher, cipher_len};
    assert_int_equal(crypto_rsa_decrypt(other, sent, plain, sizeof(plain), &plain_len), -WR_E_AUTH);
    assert_int_equal(plain_len, 77);
    assert_int_equal(crypto_rsa_decrypt(rsa, sent, plain, 3, &plain_len), -WR_E_AUTH);
    assert_int_equal(crypto_rsa_decrypt(rsa, sent, plain, sizeof(plain), &plain_len), 0);
    assert_int_equal(plain_len, 7);
    assert_memory_equal(plain, "secret\0", 7);
    /* Damaged, short, long, empty: no answer but no. */
    cipher[100] ^= 1;
    assert_int_equal(crypto_rsa_decrypt(rsa, sent, plain, sizeof(plain), &plain_len), -WR_E_AUTH);
    for (size_t len = 0; len <= sizeof(cipher); len += 51) {
        sent.len = len;
        assert_int_equal(crypto_rsa_decrypt(rsa, sent, plain, sizeof(plain), &plain_len),
                         -WR_E_AUTH);
    }
    /* 2048 bits take 214 bytes with OAEP and SHA-1. */
    uint8_t longest[215] = {1};
    struct span most = {longest, 214};
    assert_int_equal(crypto_rsa_encrypt(pem, most, cipher, sizeof(cipher), &cipher_len), 0);
    most.len = 215;
    assert_int_equal(crypto_rsa_encrypt(pem, most, cipher, sizeof(cipher), &cipher_len),
                     -WR_E_AUTH);
    crypto_rsa_destroy(rsa);
    crypto_rsa_destroy(other);
    crypto_rsa_destroy(NULL);
}

static void rsa_refuses_bad_keys(void **unused)
{
    (void)unused;
    struct crypto_rsa *rsa = NULL;
    struct buf cert = {0};
    struct buf key = {0};
    uint8_t cipher[CRYPTO_RSA_MAX];
    size_t len = 0;
    struct span text = SPAN_LIT("x");

    assert_int_equal(crypto_cert_create("weir", &cert, &key), 0);
    /* An elliptic key is no RSA key; a certificate is no public key; nor is rubbish. */
    struct span bad[] = {buf_span(&key),
                         buf_span(&cert),
                         SPAN_LIT("rubbish"),
                         {NULL, 0},
                         SPAN_LIT("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(crypto_rsa_encrypt(bad[i], text, cipher, sizeof(cipher), &len),
                         -WR_E_AUTH);
        assert_int_equal(crypto_rsa_create_from_pem(bad[i], &rsa), -WR_E_CONFIG);
    }
    assert_null(rsa);
    buf_fini(&cert);
    buf_fini_secret(&key);
}

static void rsa_key_comes_from_pem(void **unused)
{
    (void)unused;
    struct crypto_rsa *rsa = NULL;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem = NULL;

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, &pem);
    struct span span = {(const uint8_t *)pem, (size_t)len};
    assert_int_equal(crypto_rsa_create_from_pem(span, &rsa), 0);
    BIO *public_bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(public_bio, key), 1);
    char *public_pem = NULL;
    long public_len = BIO_get_mem_data(public_bio, &public_pem);
    assert_int_equal(crypto_rsa_public_pem(rsa).len, public_len);
    assert_memory_equal(crypto_rsa_public_pem(rsa).p, public_pem, (size_t)public_len);
    crypto_rsa_destroy(rsa);
    BIO_free(public_bio);
    BIO_free(bio);
    EVP_PKEY_free(key);
}

static void certificate_is_usable(void **unused)
{
    (void)unused;
    struct buf cert_pem = {0};
    struct buf key_pem = {0};
    int days = 0;
    int seconds = 0;

    assert_int_equal(crypto_cert_create("weir test", &cert_pem, &key_pem), 0);
    BIO *bio = BIO_new_mem_buf(buf_text(&cert_pem), -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(cert);
    BIO *key_bio = BIO_new_mem_buf(buf_text(&key_pem), -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(X509_check_private_key(cert, key), 1);
    assert_int_equal(X509_verify(cert, key), 1);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.2", 0), 0);
    assert_int_equal(
        ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)), 1);
    assert_int_equal(days, 3650);
    assert_true(X509_cmp_current_time(X509_get0_notBefore(cert)) < 0);
    char name[64];
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
                                          sizeof(name)) > 0);
    assert_string_equal(name, "weir test");
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(key_bio);
    BIO_free(bio);
    buf_fini(&cert_pem);
    buf_fini_secret(&key_pem);
}

static void crypto_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    int failures = 0;

    for (uint64_t nth = 1;; nth++) {
        struct buf cert = {0};
        struct buf key = {0};
        fault_arm("alloc", nth);
        int rc = crypto_cert_create("weir", &cert, &key);
        bool is_done = !fault_is_spent();
        fault_arm(NULL, 0);
        assert_int_equal(rc, is_done ? 0 : -ENOMEM);
        assert_int_equal(buf_len(&cert) > 0, is_done);
        buf_fini(&cert);
        buf_fini(&key);
        if (is_done) {
            break;
        }
        failures++;
    }
    assert_int_equal(failures, 2);
#endif
}

static void secrets_are_wiped_and_reused(void **unused)
{
    (void)unused;
    struct secret_store *store = NULL;

    assert_int_equal(secret_store_create(0, &store), -EINVAL);
    assert_int_equal(secret_store_create(SIZE_MAX, &store), -EINVAL);
    assert_int_equal(secret_store_create(1, &store), 0);
    (void)secret_store_is_locked(store); /* a matter of the machine's limits */
    uint8_t *a = secret_alloc(store, 65);
    uint8_t *b = secret_alloc(store, 10);
    assert_non_null(a);
    assert_int_equal(b - a, 128);
    assert_int_equal(secret_store_used(store), 192);
    memset(a, 0x55, 65);
    memset(b, 0x66, 10);
    secret_free(store, a);
    uint8_t *again = secret_alloc(store, 128);
    assert_ptr_equal(again, a);
    for (int i = 0; i < 128; i++) {
        assert_int_equal(again[i], 0);
    }
    assert_int_equal(b[0], 0x66);
    assert_null(secret_alloc(store, 0));
    assert_null(secret_alloc(store, SECRET_MAX + 1));
    assert_null(secret_alloc(store, SECRET_MAX)); /* a page, of which some is lent */
    secret_free(store, NULL);
    secret_free(store, b);
    secret_free(store, again);
    assert_int_equal(secret_store_used(store), 0);
    uint8_t *whole = secret_alloc(store, SECRET_MAX);
    assert_non_null(whole);
    assert_null(secret_alloc(store, 1));
    secret_store_destroy(store);
    secret_store_destroy(NULL);
}

/* The kernel's own word: locked, not dumped, not inherited ("lo", "dd", "dc"). */
static void secrets_are_marked_in_the_kernel(void **unused)
{
    (void)unused;
    struct secret_store *store = NULL;
    char line[512];
    char flags[256] = "";
    bool is_ours = false;

    assert_int_equal(secret_store_create(4096, &store), 0);
    uintptr_t at = (uintptr_t)secret_alloc(store, 1);
    FILE *maps = fopen("/proc/self/smaps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from = 0;
        uintptr_t to = 0;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            is_ours = at >= from && at < to;
        } else if (is_ours && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(flags, sizeof(flags), "%.200s", line);
        }
    }
    (void)fclose(maps);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " dc"));
#ifndef WR_ASAN /* which makes mlock() do nothing */
    assert_int_equal(strstr(flags, " lo") != NULL, secret_store_is_locked(store));
#endif
    secret_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_known),
        cmocka_unit_test(comparing_and_wiping),
        cmocka_unit_test(scrambles_have_no_bad_byte),
        cmocka_unit_test(rsa_goes_there_and_back),
        cmocka_unit_test(rsa_refuses_bad_keys),
        cmocka_unit_test(rsa_key_comes_from_pem),
        cmocka_unit_test(certificate_is_usable),
        cmocka_unit_test(crypto_survives_no_memory),
        cmocka_unit_test(secrets_are_wiped_and_reused),
        cmocka_unit_test(secrets_are_marked_in_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
