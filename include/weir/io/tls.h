/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - contexts for both sides of TLS: what a listener shows, what a server must prove.
 *
 * WHY       OpenSSL is known to this room only; certificates change while the process serves.
 * OWNS      A tls_ctx is counted: the creator holds one reference, each stream under TLS one
 *           more. A replaced context lives until its last stream is closed.
 * THREADS   A context may be shared by threads once made; the count is atomic.
 * REENTRY   none
 * UNITS     bytes; days where named.
 * ERRORS    0 or a negative err code; then ret_why (may be NULL) holds one line of text for the
 *           operator: which file, and what is wrong with it.
 * BOUNDS    TLS 1.2 and 1.3 only; no renegotiation; buffers are given back when idle.
 */
#ifndef WEIR_IO_TLS_H
#define WEIR_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define TLS_WHY_BYTES 256

struct tls_ctx;

enum tls_mode {
    TLS_MODE_OFF,       /* never */
    TLS_MODE_PREFERRED, /* when the server offers it; nothing is verified */
    TLS_MODE_REQUIRED,  /* or fail; nothing is verified */
    TLS_MODE_VERIFY,    /* required, chain and host name verified */
};

struct tls_server_conf {
    const char *cert_file; /* PEM, leaf first, then its chain */
    const char *key_file;  /* PEM */
    bool is_13_only;       /* else 1.2 is good enough */
};

/* A server's context. */
WR_NODISCARD int tls_server_create(const struct tls_server_conf *conf, char ret_why[TLS_WHY_BYTES],
                                   struct tls_ctx **ret_ctx);
/* A client's context for PREFERRED, REQUIRED or VERIFY. ca_file NULL: the system's store. */
WR_NODISCARD int tls_client_create(enum tls_mode mode, const char *ca_file,
                                   char ret_why[TLS_WHY_BYTES], struct tls_ctx **ret_ctx);
/* Nothing older than TLS 1.3; before the context's first use. */
WR_NODISCARD int tls_require_13(struct tls_ctx *ctx);
struct tls_ctx *tls_ref(struct tls_ctx *ctx);
/* NULL is fine. */
void tls_unref(struct tls_ctx *ctx);

/* Make a self-signed certificate and its key unless cert_file exists: P-256, ten years, names
 * localhost and 127.0.0.1. The key's mode is 0600; both appear whole or not at all, the key first.
 * Clients may use the certificate as its own CA. Returns 1: made, 0: was there. */
WR_NODISCARD int tls_make_files(const char *cert_file, const char *key_file,
                                char ret_why[TLS_WHY_BYTES]);
/* Days until the context's own certificate expires; negative when it has. */
WR_NODISCARD int tls_days_left(const struct tls_ctx *ctx);

#endif
