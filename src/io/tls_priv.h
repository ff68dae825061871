/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_priv - a context as stream_tls.c sees it.
 *
 * WHY       One context has one way to reach the socket: a BIO of ours that never raises SIGPIPE
 *           and can begin with bytes that were read before TLS began.
 * OWNS      See weir/io/tls.h.
 * THREADS   Immutable but for the count.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_IO_TLS_PRIV_H
#define WEIR_IO_TLS_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>

struct tls_ctx {
    /* owning */
    SSL_CTX *ssl_ctx;
    BIO_METHOD *bio_method;
    /* values */
    atomic_uint refs; /* the creator, each stream */
    bool is_server;
    bool verifies_name;
};

/* stream_tls.c; NULL: no memory. */
BIO_METHOD *stream_bio_method_create(void);

#endif
