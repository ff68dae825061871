/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#define CERT_DAYS     3650
#define CERT_PEM_MAX  ((size_t)64 * 1024)
#define CERT_BACKDATE (-3600L) /* seconds: clocks of clients run behind */

struct crypto_rsa {
    EVP_PKEY *key;
    char *public_pem;
    size_t public_pem_len;
};

/* Takes key over. */
static int wrap_key(EVP_PKEY *key, struct crypto_rsa **ret_rsa)
{
    struct crypto_rsa *rsa = fault_calloc(1, sizeof(*rsa));
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem = NULL;
    long len = 0;
    int rc = -ENOMEM;

    if (rsa == NULL || bio == NULL || PEM_write_bio_PUBKEY(bio, key) != 1) {
        goto out;
    }
    len = BIO_get_mem_data(bio, &pem);
    if (len <= 0) {
        goto out;
    }
    rsa->public_pem = fault_malloc((size_t)len);
    if (rsa->public_pem == NULL) {
        goto out;
    }
    memcpy(rsa->public_pem, pem, (size_t)len);
    rsa->public_pem_len = (size_t)len;
    rsa->key = key;
    *ret_rsa = rsa;
    rsa = NULL;
    key = NULL;
    rc = 0;
out:
    free(rsa);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

int crypto_rsa_create(unsigned bits, struct crypto_rsa **ret_rsa)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    if (key == NULL) {
        ERR_clear_error();
        return -ENOMEM;
    }
    return wrap_key(key, ret_rsa);
}

int crypto_rsa_create_from_pem(struct span private_pem, struct crypto_rsa **ret_rsa)
{
    if (private_pem.len == 0 || private_pem.len > INT32_MAX) {
        return -WR_E_CONFIG;
    }
    BIO *bio = BIO_new_mem_buf(private_pem.p, (int)private_pem.len);
    if (bio == NULL) {
        return -ENOMEM;
    }
    /* An empty password rather than a prompt on the terminal. */
    char no_password[1] = "";
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
    BIO_free(bio);
    ERR_clear_error();
    if (key == NULL) {
        return -WR_E_CONFIG;
    }
    if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_size(key) > CRYPTO_RSA_MAX) {
        EVP_PKEY_free(key);
        return -WR_E_CONFIG;
    }
    return wrap_key(key, ret_rsa);
}

void crypto_rsa_destroy(struct crypto_rsa *rsa)
{
    if (rsa == NULL) {
        return;
    }
    EVP_PKEY_free(rsa->key);
    free(rsa->public_pem);
    free(rsa);
}

struct span crypto_rsa_public_pem(const struct crypto_rsa *rsa)
{
    return (struct span){(const uint8_t *)rsa->public_pem, rsa->public_pem_len};
}

int crypto_rsa_decrypt(const struct crypto_rsa *rsa, struct span cipher, uint8_t *dst, size_t cap,
                       size_t *ret_len)
{
    uint8_t plain[CRYPTO_RSA_MAX];
    size_t len = sizeof(plain);
    int rc = -WR_E_AUTH;

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(rsa->key, NULL);
    if (context == NULL) {
        return -ENOMEM;
    }
    /* OAEP's default digest is the SHA-1 that the protocol has. */
    if (EVP_PKEY_decrypt_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_decrypt(context, plain, &len, cipher.p, cipher.len) == 1 && len <= cap) {
        memcpy(dst, plain, len);
        *ret_len = len;
        rc = 0;
    }
    EVP_PKEY_CTX_free(context);
    crypto_wipe(plain, sizeof(plain));
    ERR_clear_error();
    return rc;
}

int crypto_rsa_encrypt(struct span public_pem, struct span text, uint8_t *dst, size_t cap,
                       size_t *ret_len)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = NULL;
    uint8_t cipher[CRYPTO_RSA_MAX];
    size_t len = sizeof(cipher);
    int rc = -WR_E_AUTH;

    if (public_pem.len == 0 || public_pem.len > INT32_MAX) {
        return -WR_E_AUTH;
    }
    BIO *bio = BIO_new_mem_buf(public_pem.p, (int)public_pem.len);
    if (bio == NULL) {
        return -ENOMEM;
    }
    key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_size(key) > CRYPTO_RSA_MAX) {
        goto out;
    }
    context = EVP_PKEY_CTX_new(key, NULL);
    if (context != NULL && EVP_PKEY_encrypt_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_encrypt(context, cipher, &len, text.p, text.len) == 1 && len <= cap) {
        memcpy(dst, cipher, len);
        *ret_len = len;
        rc = 0;
    }
out:
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

static int add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (extension == NULL) {
        return 0;
    }
    int ok = X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static int fill_cert(X509 *cert, EVP_PKEY *key, const char *common_name)
{
    uint64_t serial = 0;

    crypto_random(&serial, sizeof(serial));
    serial >>= 1; /* positive, as RFC 5280 wants it */
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), CERT_BACKDATE) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), CERT_DAYS, 0, NULL) != NULL &&
           X509_set_pubkey(cert, key) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 &&
           add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") == 1 &&
           add_extension(cert, NID_ext_key_usage, "serverAuth") == 1 &&
           add_extension(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1") == 1 &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

static int append_bio(struct buf *buf, BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);

    return len > 0 ? buf_append(buf, bytes, (size_t)len, CERT_PEM_MAX) : -ENOMEM;
}

int crypto_cert_create(const char *common_name, struct buf *cert_pem, struct buf *key_pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *cert_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_secmem());
    size_t cert_len = buf_len(cert_pem);
    int rc = -ENOMEM;

    if (key == NULL || cert == NULL || cert_bio == NULL || key_bio == NULL ||
        !fill_cert(cert, key, common_name) || PEM_write_bio_X509(cert_bio, cert) != 1 ||
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        goto out;
    }
    rc = append_bio(cert_pem, cert_bio);
    if (rc == 0) {
        rc = append_bio(key_pem, key_bio);
        if (rc < 0) {
            cert_pem->len = cert_len;
        }
    }
out:
    BIO_free(key_bio);
    BIO_free(cert_bio);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}
