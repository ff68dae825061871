/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts. The certificate chain is always loaded as a chain: a leaf without its
 * intermediates is what clients that verify stumble over after a reload.
 */
#include "weir/io/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "weir/util/err.h"

#include "tls_priv.h"

static int why(char ret_why[TLS_WHY_BYTES], int rc, const char *what, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    if (ret_why != NULL) {
        (void)snprintf(ret_why, TLS_WHY_BYTES, "%s%s%s: %s", what, file == NULL ? "" : " ",
                       file == NULL ? "" : file, reason == NULL ? "failed" : reason);
    }
    ERR_clear_error();
    return rc;
}

static int ctx_create(const SSL_METHOD *method, struct tls_ctx **ret_ctx)
{
    struct tls_ctx *ctx = calloc(1, sizeof(*ctx));

    if (ctx == NULL) {
        return -ENOMEM;
    }
    atomic_init(&ctx->refs, 1);
    ctx->ssl_ctx = SSL_CTX_new(method);
    ctx->bio_method = stream_bio_method_create();
    if (ctx->ssl_ctx == NULL || ctx->bio_method == NULL ||
        SSL_CTX_set_min_proto_version(ctx->ssl_ctx, TLS1_2_VERSION) != 1) {
        tls_unref(ctx);
        return -ENOMEM;
    }
    /* Peers of this protocol end with a plain FIN as often as not; packets have lengths, so a cut
     * is seen one floor up. */
    SSL_CTX_set_options(ctx->ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                          SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_clear_mode(ctx->ssl_ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(ctx->ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* A record's header and body with one system call. */
    SSL_CTX_set_read_ahead(ctx->ssl_ctx, 1);
    (void)SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_OFF);
    *ret_ctx = ctx;
    return 0;
}

int tls_server_create(const struct tls_server_conf *conf, char ret_why[TLS_WHY_BYTES],
                      struct tls_ctx **ret_ctx)
{
    struct tls_ctx *ctx = NULL;

    ERR_clear_error();

    int rc = ctx_create(TLS_server_method(), &ctx);

    if (rc < 0) {
        return why(ret_why, rc, "TLS context", NULL);
    }
    ctx->is_server = true;
    /* Tickets cost a write per login, and drivers do not resume. */
    (void)SSL_CTX_set_num_tickets(ctx->ssl_ctx, 0);
    SSL_CTX_set_options(ctx->ssl_ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    rc = -WR_E_TLS;
    if (conf->is_13_only && tls_require_13(ctx) < 0) {
        rc = why(ret_why, rc, "TLS 1.3", NULL);
    } else if (SSL_CTX_use_certificate_chain_file(ctx->ssl_ctx, conf->cert_file) != 1) {
        rc = why(ret_why, rc, "certificate", conf->cert_file);
    } else if (SSL_CTX_use_PrivateKey_file(ctx->ssl_ctx, conf->key_file, SSL_FILETYPE_PEM) != 1) {
        rc = why(ret_why, rc, "private key", conf->key_file);
    } else if (SSL_CTX_check_private_key(ctx->ssl_ctx) != 1) {
        rc = why(ret_why, rc, "private key does not belong to the certificate", conf->key_file);
    } else {
        rc = 0;
    }
    if (rc < 0) {
        tls_unref(ctx);
        return rc;
    }
    *ret_ctx = ctx;
    return 0;
}

int tls_client_create(enum tls_mode mode, const char *ca_file, char ret_why[TLS_WHY_BYTES],
                      struct tls_ctx **ret_ctx)
{
    struct tls_ctx *ctx = NULL;

    ERR_clear_error();

    int rc = ctx_create(TLS_client_method(), &ctx);

    if (rc < 0) {
        return why(ret_why, rc, "TLS context", NULL);
    }
    if (mode == TLS_MODE_VERIFY) {
        SSL_CTX_set_verify(ctx->ssl_ctx, SSL_VERIFY_PEER, NULL);
        ctx->verifies_name = true;
        rc = -WR_E_TLS;
        if (ca_file != NULL ? SSL_CTX_load_verify_file(ctx->ssl_ctx, ca_file) != 1
                            : SSL_CTX_set_default_verify_paths(ctx->ssl_ctx) != 1) {
            rc = why(ret_why, rc, "CA", ca_file);
            tls_unref(ctx);
            return rc;
        }
    } else {
        SSL_CTX_set_verify(ctx->ssl_ctx, SSL_VERIFY_NONE, NULL);
    }
    *ret_ctx = ctx;
    return 0;
}

int tls_require_13(struct tls_ctx *ctx)
{
    return SSL_CTX_set_min_proto_version(ctx->ssl_ctx, TLS1_3_VERSION) == 1 ? 0 : -WR_E_TLS;
}

struct tls_ctx *tls_ref(struct tls_ctx *ctx)
{
    /* Relaxed: whoever refs holds a reference already. */
    (void)atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void tls_unref(struct tls_ctx *ctx)
{
    /* Acquire-release: what other holders did comes before the last one frees. */
    if (ctx == NULL || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(ctx->ssl_ctx);
    BIO_meth_free(ctx->bio_method);
    free(ctx);
}

int tls_days_left(const struct tls_ctx *ctx)
{
    const X509 *cert = SSL_CTX_get0_certificate(ctx->ssl_ctx);
    int days = 0;
    int seconds = 0;

    if (cert == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) != 1) {
        return INT32_MAX;
    }
    return days > 0 || seconds >= 0 ? days : (days == 0 ? -1 : days);
}
