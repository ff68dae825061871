/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - one socket: plain or TLS, bytes in and out, no idea of packets.
 *
 * WHY       A relayed statement costs one read and one write per side and nothing else: reading
 *           is registered once, writing is tried at once, memory is held only for what the
 *           kernel would not take.
 * OWNS      The fd from stream_open() or stream_connect() until stream_close(); the TLS object;
 *           queued output. The struct is embedded in its owner, who calls stream_close() and then
 *           lets the memory live until the turn ends (loop_bury()).
 * THREADS   The loop's thread.
 * REENTRY   on_event is called from the top of the stack only, never from inside a stream call;
 *           not at all after stream_close(). It may call any stream function, stream_close()
 *           included.
 * UNITS     bytes.
 * ERRORS    enum io_rc where bytes flow, else 0 or more on success and a negative err code.
 * BOUNDS    Queued output beyond stream_set_limit() (32 MiB) fails the stream with -WR_E_LIMIT.
 */
#ifndef WEIR_IO_STREAM_H
#define WEIR_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "weir/io/loop.h"
#include "weir/util/attr.h"

struct tls_ctx;
struct stream_chunk;

enum io_rc {
    IO_DONE,  /* bytes moved */
    IO_AGAIN, /* nothing now; an event will say when */
    IO_EOF,   /* the peer has ended its direction; reading stops by itself */
    IO_FAIL,  /* the stream is broken; stream_error() says how */
};

#define STREAM_EVENTS(X)                                                           \
    X(READABLE, "readable")   /* call stream_read(); EOF comes this way too */     \
    X(DRAINED, "drained")     /* output was high, now at or below low water */     \
    X(CONNECTED, "connected") /* stream_connect() has succeeded */                 \
    X(TLS_READY, "tls_ready") /* the TLS handshake is over and its peer is good */ \
    X(CLOSED, "closed")       /* connect, TLS or queued output failed; close it */

enum stream_event {
#define X(name, text) STREAM_##name,
    STREAM_EVENTS(X)
#undef X
};

typedef void (*stream_fn)(void *arg, enum stream_event event);

struct stream {
    /* owning */
    int fd; /* -1: not open */
    void *ssl;
    struct tls_ctx *tls; /* counted */
    void *write_event;   /* made when output blocks, kept until it is drained */
    struct stream_chunk *out_head;
    struct stream_chunk *out_tail;
    uint8_t *early; /* bytes read before TLS began, still to be given to it */
    /* borrowed until stream_close() */
    struct loop *loop;
    stream_fn on_event;
    void *arg;
    /* values */
    struct loop_task task;
    size_t out_bytes;
    uint32_t high;
    uint32_t low;
    uint32_t limit;
    uint32_t early_len;
    uint32_t early_done;
    uint32_t flags;
    uint32_t pending; /* what the run queue has to deliver, stream_priv.h */
    int error;
    unsigned long tls_code;
    long tls_verify;
    _Alignas(8) uint8_t read_event[128]; /* the event library's; size checked in stream.c */
};

struct stream_connect_opts {
    uint32_t keepalive_s;     /* 0: keepalive off */
    uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the kernel's rule */
};

/* TCP_NODELAY and opts (may be NULL) on any TCP socket; other sockets are left as they are. */
WR_NODISCARD int stream_tune_fd(int fd, const struct stream_connect_opts *opts);

/* Forget everything; the state in which stream_close() is harmless. */
void stream_init(struct stream *stream);

/* Take over fd (made non-blocking here) and begin to read. On failure fd stays the caller's. */
WR_NODISCARD int stream_open(struct stream *stream, struct loop *loop, int fd, stream_fn on_event,
                             void *arg);
/* Begin to connect, TCP or unix. CONNECTED or CLOSED follows, never from inside this call; a
 * time limit is the caller's timer. Reading begins with CONNECTED. */
WR_NODISCARD int stream_connect(struct stream *stream, struct loop *loop,
                                const struct sockaddr *addr, socklen_t addr_len,
                                const struct stream_connect_opts *opts, stream_fn on_event,
                                void *arg);
/* Who gets the events from now on (a connection that changes hands). */
void stream_set_owner(struct stream *stream, stream_fn on_event, void *arg);
bool stream_is_open(const struct stream *stream);

/* One read of at most cap bytes into dst. *ret_n is set with IO_DONE only. A short read means
 * there is nothing more now; after a full one READABLE comes again by itself. */
WR_NODISCARD enum io_rc stream_read(struct stream *stream, uint8_t *dst, size_t cap, size_t *ret_n);
/* Pause (false) and resume (true) READABLE. Costs a system call only when bytes do arrive
 * during the pause. */
void stream_want_read(struct stream *stream, bool want);

/* Write at once, copy what the kernel would not take. Returns 1: all is with the kernel, 0: some
 * of it is queued, <0: the stream is broken (no CLOSED follows; close it). The iovecs are not
 * changed and may be forgotten on return. */
WR_NODISCARD int stream_writev(struct stream *stream, const struct iovec *iov, size_t iov_count);
WR_NODISCARD int stream_write(struct stream *stream, const void *bytes, size_t len);
/* Bytes queued for output. */
size_t stream_out_bytes(const struct stream *stream);
/* True from the moment that high water is reached until DRAINED. */
bool stream_is_high(const struct stream *stream);
/* Defaults: 256 KiB and 64 KiB. (1, 0) asks for DRAINED when the last queued byte has gone: with
 * stream_is_high() that is the way to flush and then close. */
void stream_set_water(struct stream *stream, uint32_t high, uint32_t low);
void stream_set_limit(struct stream *stream, uint32_t limit);

/* TLS as the server, from now on. early: what was read behind the plaintext request for TLS, as
 * some clients send their hello in the same segment; it is given to TLS and to nobody else, so
 * plaintext slipped in there fails the handshake. Copied. TLS_READY or CLOSED follows.
 * -WR_E_STATE when output is still queued. */
WR_NODISCARD int stream_start_tls_accept(struct stream *stream, struct tls_ctx *ctx,
                                         const uint8_t *early, size_t early_len);
/* TLS as the client. unread: how many bytes of the server the caller has read but not consumed;
 * any is an attack or a fault: -WR_E_TLS. host: the name to verify and to announce, may be
 * NULL. */
WR_NODISCARD int stream_start_tls_connect(struct stream *stream, struct tls_ctx *ctx,
                                          const char *host, size_t unread);
bool stream_is_tls(const struct stream *stream);
/* What was written just now was secret: TLS keeps no copy of it. */
void stream_forget_written(struct stream *stream);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; empty without TLS. Static storage. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);

/* To another loop: off this one, then on that one, with the same on_event and arg. Only a stream
 * that is ready and has nothing queued: -WR_E_STATE otherwise, and on failure nothing has changed.
 * In between only stream_attach() and stream_abandon(), which closes it, may be called. */
WR_NODISCARD int stream_detach(struct stream *stream);
WR_NODISCARD int stream_attach(struct stream *stream, struct loop *loop);
void stream_abandon(struct stream *stream);

/* No more output after what is queued; the peer sees the end, reading goes on. */
void stream_shutdown_write(struct stream *stream);
/* Close now. Queued output is dropped. No event follows. Harmless on a closed stream. */
void stream_close(struct stream *stream);
/* Close so that the peer gets a reset, not an orderly end. */
void stream_abort(struct stream *stream);

/* The negative err code that broke the stream, 0 when none did. */
int stream_error(const struct stream *stream);
/* The same in words, with what TLS had to say. Always terminates dst. */
void stream_error_text(const struct stream *stream, char *dst, size_t cap);

#endif
