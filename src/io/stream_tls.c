/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS under a stream. The library's error queue is per thread, so it is cleared before each call
 * whose result is looked at: an old error must not be blamed on this stream. What it has decrypted
 * but could not deliver makes no socket event; then READABLE comes from the run queue.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "weir/io/tls.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "loop_priv.h"
#include "stream_priv.h"
#include "tls_priv.h"

static int bio_read(BIO *bio, char *dst, size_t cap, size_t *ret_n)
{
    struct stream *stream = BIO_get_data(bio);
    ssize_t got = 0;

    BIO_clear_retry_flags(bio);
    if (stream->early != NULL) {
        size_t left = stream->early_len - stream->early_done;
        size_t part = left < cap ? left : cap;

        memcpy(dst, stream->early + stream->early_done, part);
        stream->early_done += (uint32_t)part;
        if (stream->early_done == stream->early_len) {
            free(stream->early);
            stream->early = NULL;
        }
        *ret_n = part;
        return 1;
    }
    do {
        got = recv(stream->fd, dst, cap, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        *ret_n = (size_t)got;
        return 1;
    }
    *ret_n = 0;
    if (got == 0) {
        stream->flags |= ST_BIO_EOF;
    } else if (errno == EAGAIN) {
        BIO_set_retry_read(bio);
    }
    return 0;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *ret_n)
{
    struct stream *stream = BIO_get_data(bio);
    ssize_t sent = 0;

    BIO_clear_retry_flags(bio);
    do {
        sent = send(stream->fd, bytes, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        *ret_n = (size_t)sent;
        return 1;
    }
    *ret_n = 0;
    if (errno == EAGAIN) {
        BIO_set_retry_write(bio);
    }
    return 0;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    const struct stream *stream = BIO_get_data(bio);

    (void)num;
    (void)ptr;
    if (cmd == BIO_CTRL_FLUSH) {
        return 1;
    }
    if (cmd == BIO_CTRL_EOF) {
        return (stream->flags & ST_BIO_EOF) != 0 ? 1 : 0;
    }
    return 0;
}

BIO_METHOD *stream_bio_method_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir stream");

    if (method == NULL) {
        return NULL;
    }
    if (BIO_meth_set_read_ex(method, bio_read) != 1 ||
        BIO_meth_set_write_ex(method, bio_write) != 1 || BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* What a call that did not succeed means. */
static enum io_rc tls_outcome(struct stream *stream, int rc)
{
    int sys_errno = errno;

    switch (SSL_get_error(stream->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->flags |= ST_READ_WANTS_WRITE; /* the caller clears it when it was writing */
        return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    case SSL_ERROR_SYSCALL:
        if ((stream->flags & ST_BIO_EOF) != 0) {
            return IO_EOF;
        }
        stream->tls_code = ERR_peek_error();
        ERR_clear_error();
        (void)stream_fail(stream, sys_errno != 0 ? -sys_errno : -WR_E_TLS);
        return IO_FAIL;
    default:
        stream->tls_code = ERR_peek_error();
        stream->tls_verify = SSL_get_verify_result(stream->ssl);
        ERR_clear_error();
        (void)stream_fail(stream, -WR_E_TLS);
        return IO_FAIL;
    }
}

bool stream_tls_has_pending(const struct stream *stream)
{
    return SSL_has_pending(stream->ssl) == 1;
}

enum io_rc stream_tls_read(struct stream *stream, uint8_t *dst, size_t cap, size_t *ret_n)
{
    enum io_rc rc = IO_DONE;
    size_t got = 0;

    do {
        size_t part = 0;

        ERR_clear_error();
        errno = 0;

        int ok = SSL_read_ex(stream->ssl, dst + got, cap - got, &part);

        if (ok != 1) {
            rc = tls_outcome(stream, ok);
            break;
        }
        got += part;
    } while (got < cap && stream_tls_has_pending(stream));

    if ((stream->flags & ST_READ_WANTS_WRITE) != 0 && stream_write_on(stream) < 0) {
        (void)stream_fail(stream, -ENOMEM);
        return IO_FAIL;
    }
    if (got > 0) {
        /* An end that came behind these bytes, and what found no room, is told next time. */
        if (rc == IO_EOF || rc == IO_FAIL || (rc == IO_DONE && stream_tls_has_pending(stream))) {
            stream_pend(stream, PEND_READABLE);
        }
        *ret_n = got;
        return IO_DONE;
    }
    if (rc == IO_EOF) {
        stream->flags |= ST_EOF;
        stream_read_off(stream);
    }
    return rc;
}

/* Encrypts one run of bytes. >=0: taken, 0: blocked; <0: broken. */
static int64_t send_run(struct stream *stream, const uint8_t *bytes, size_t len)
{
    size_t sent = 0;

    ERR_clear_error();
    errno = 0;

    int ok = SSL_write_ex(stream->ssl, bytes, len, &sent);

    if (ok == 1) {
        return (int64_t)sent;
    }

    bool read_waits = (stream->flags & ST_READ_WANTS_WRITE) != 0;

    stream->flags &= ~ST_READ_WANTS_WRITE;
    switch (tls_outcome(stream, ok)) {
    case IO_AGAIN:
        if ((stream->flags & ST_READ_WANTS_WRITE) == 0) {
            stream->flags |= ST_WRITE_WANTS_READ;
        }
        stream->flags &= ~ST_READ_WANTS_WRITE;
        stream->flags |= read_waits ? ST_READ_WANTS_WRITE : 0;
        return 0;
    case IO_EOF:
        return stream_fail(stream, -EPIPE);
    case IO_DONE:
    case IO_FAIL:
        break;
    }
    return stream->error;
}

int64_t stream_tls_send(struct stream *stream, const struct iovec *iov, size_t iov_count)
{
    int64_t total = 0;
    size_t i = 0;
    size_t off = 0;

    while (i < iov_count) {
        const uint8_t *run = (const uint8_t *)iov[i].iov_base + off;
        size_t run_len = iov[i].iov_len - off;

        /* Many small pieces would each become a record and a system call of its own. */
        if (run_len < TLS_STAGE_SIZE && i + 1 < iov_count) {
            uint8_t *stage = loop_tls_stage(stream->loop);

            if (stage == NULL) {
                return stream_fail(stream, -ENOMEM);
            }
            run_len = 0;
            for (size_t j = i, skip = off; j < iov_count && run_len < TLS_STAGE_SIZE; j++) {
                size_t len = iov[j].iov_len - skip;
                size_t part = len < TLS_STAGE_SIZE - run_len ? len : TLS_STAGE_SIZE - run_len;

                if (part > 0) {
                    memcpy(stage + run_len, (const uint8_t *)iov[j].iov_base + skip, part);
                }
                run_len += part;
                skip = 0;
            }
            run = stage;
        }
        if (run_len == 0) {
            break;
        }

        int64_t sent = send_run(stream, run, run_len);

        if (sent < 0) {
            return sent;
        }
        total += sent;
        for (size_t left = (size_t)sent; left > 0 || (i < iov_count && off == iov[i].iov_len);) {
            size_t part = iov[i].iov_len - off;

            part = part < left ? part : left;
            off += part;
            left -= part;
            if (off == iov[i].iov_len) {
                i++;
                off = 0;
            }
        }
        if (sent == 0) {
            break;
        }
    }
    return total;
}

static void ready(struct stream *stream)
{
    bool has_pending = stream_tls_has_pending(stream);

    stream->flags &= ~ST_HANDSHAKE;
    if (stream->out_head == NULL) {
        stream_write_off(stream);
    }
    /* The peer may have spoken already, in the segment that ended the handshake. */
    if (has_pending && (stream->flags & ST_PAUSED) == 0) {
        stream_pend(stream, PEND_READABLE);
    }
    stream_emit(stream, STREAM_TLS_READY);
    if (stream->fd >= 0 && (stream->flags & ST_FAILED) == 0) {
        stream_flush(stream);
    }
}

void stream_tls_step(struct stream *stream)
{
    ERR_clear_error();
    errno = 0;

    int rc = SSL_do_handshake(stream->ssl);

    if (rc == 1) {
        ready(stream);
        return;
    }
    switch (tls_outcome(stream, rc)) {
    case IO_AGAIN:
        if ((stream->flags & ST_READ_WANTS_WRITE) == 0) {
            stream_write_off(stream);
            return;
        }
        stream->flags &= ~ST_READ_WANTS_WRITE;
        if (stream_write_on(stream) == 0) {
            return;
        }
        (void)stream_fail(stream, -ENOMEM);
        break;
    case IO_EOF:
        (void)stream_fail(stream, -WR_E_CLOSED);
        break;
    case IO_DONE:
    case IO_FAIL:
        break;
    }
    stream_emit(stream, STREAM_CLOSED);
}

static int set_peer_name(struct stream *stream, const struct tls_ctx *ctx, const char *host)
{
    struct in6_addr addr;
    bool is_ip = inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;

    /* The library's macro for this drops const; the name is copied. */
    if (!is_ip && SSL_ctrl(stream->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                           (void *)(uintptr_t)host) != 1) {
        return -WR_E_TLS;
    }
    if (!ctx->verifies_name) {
        return 0;
    }
    if (is_ip) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->ssl), host) == 1 ? 0
                                                                                     : -WR_E_TLS;
    }
    SSL_set_hostflags(stream->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(stream->ssl, host) == 1 ? 0 : -WR_E_TLS;
}

static int tls_begin(struct stream *stream, struct tls_ctx *ctx)
{
    if (stream->fd < 0 || stream->ssl != NULL || stream->out_head != NULL ||
        (stream->flags & (ST_FAILED | ST_EOF | ST_CONNECTING | ST_SHUT_WANTED)) != 0) {
        return -WR_E_STATE;
    }

    SSL *ssl = SSL_new(ctx->ssl_ctx);
    BIO *bio = ssl == NULL ? NULL : BIO_new(ctx->bio_method);

    if (bio == NULL) {
        SSL_free(ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    stream->ssl = ssl;
    stream->tls = tls_ref(ctx);
    return 0;
}

static int tls_go(struct stream *stream)
{
    int rc = stream_read_on(stream);

    if (rc < 0) {
        stream_tls_free(stream);
        return rc;
    }
    stream->flags |= ST_HANDSHAKE;
    stream_pend(stream, PEND_STEP);
    return 0;
}

int stream_start_tls_accept(struct stream *stream, struct tls_ctx *ctx, const uint8_t *early,
                            size_t early_len)
{
    if (!ctx->is_server || early_len > LOOP_SCRATCH_BYTES) {
        return -WR_E_STATE;
    }

    int rc = tls_begin(stream, ctx);

    if (rc < 0) {
        return rc;
    }
    if (early_len > 0) {
        stream->early = fault_malloc(early_len);
        if (stream->early == NULL) {
            stream_tls_free(stream);
            return -ENOMEM;
        }
        memcpy(stream->early, early, early_len);
        stream->early_len = (uint32_t)early_len;
        stream->early_done = 0;
    }
    SSL_set_accept_state(stream->ssl);
    return tls_go(stream);
}

int stream_start_tls_connect(struct stream *stream, struct tls_ctx *ctx, const char *host,
                             size_t unread)
{
    if (ctx->is_server) {
        return -WR_E_STATE;
    }
    if (unread > 0) {
        return -WR_E_TLS;
    }
    if (ctx->verifies_name && host == NULL) {
        return -WR_E_TLS;
    }

    int rc = tls_begin(stream, ctx);

    if (rc == 0 && host != NULL) {
        rc = set_peer_name(stream, ctx, host);
    }
    if (rc < 0) {
        stream_tls_free(stream);
        ERR_clear_error();
        return rc;
    }
    SSL_set_connect_state(stream->ssl);
    return tls_go(stream);
}

void stream_forget_written(struct stream *stream)
{
    loop_wipe_tls_stage(stream->loop);
}

bool stream_is_tls(const struct stream *stream)
{
    return stream->ssl != NULL && (stream->flags & ST_HANDSHAKE) == 0;
}

const char *stream_tls_version(const struct stream *stream)
{
    return stream_is_tls(stream) ? SSL_get_version(stream->ssl) : "";
}

const char *stream_tls_cipher(const struct stream *stream)
{
    return stream_is_tls(stream) ? SSL_get_cipher_name(stream->ssl) : "";
}

void stream_tls_shutdown(struct stream *stream)
{
    ERR_clear_error();
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

void stream_tls_free(struct stream *stream)
{
    SSL_free(stream->ssl);
    stream->ssl = NULL;
    tls_unref(stream->tls);
    stream->tls = NULL;
    free(stream->early);
    stream->early = NULL;
    stream->flags &= ~ST_HANDSHAKE;
}

void stream_error_text(const struct stream *stream, char *dst, size_t cap)
{
    const char *reason = NULL;

    if (stream->tls_verify != X509_V_OK) {
        reason = X509_verify_cert_error_string(stream->tls_verify);
    } else if (stream->tls_code != 0) {
        reason = ERR_reason_error_string(stream->tls_code);
    }
    if (reason == NULL) {
        (void)snprintf(dst, cap, "%s", stream->error == 0 ? "no error" : err_text(stream->error));
    } else {
        (void)snprintf(dst, cap, "%s: %s", err_text(stream->error), reason);
    }
}
