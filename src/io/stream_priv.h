/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_priv - the parts of a stream that its three files share.
 *
 * WHY       stream.c has events and plain reading, stream_out.c output, stream_tls.c TLS.
 * OWNS      See weir/io/stream.h.
 * THREADS   The loop's thread.
 * REENTRY   Functions here that emit an event say so; the stream may be closed afterwards.
 * UNITS     bytes.
 * ERRORS    As in weir/io/stream.h.
 * BOUNDS    none
 */
#ifndef WEIR_IO_STREAM_PRIV_H
#define WEIR_IO_STREAM_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/io/stream.h"

/* stream.flags */
#define ST_PAUSED           0x0001U /* the owner wants no READABLE */
#define ST_READ_ON          0x0002U /* read_event is registered */
#define ST_HIGH             0x0004U /* output reached high water, DRAINED is owed */
#define ST_EOF              0x0008U /* the peer has ended its direction */
#define ST_FAILED           0x0010U /* error is set */
#define ST_CONNECTING       0x0020U
#define ST_SHUT_WANTED      0x0040U /* no more output behind what is queued */
#define ST_SHUT_DONE        0x0080U
#define ST_HANDSHAKE        0x0100U /* TLS has begun and is not ready */
#define ST_READ_WANTS_WRITE 0x0200U /* TLS must write before it can read */
#define ST_WRITE_WANTS_READ 0x0400U
#define ST_BIO_EOF          0x0800U /* the socket under TLS has ended */

/* stream.pending, delivered in this order */
#define PEND_STEP      0x1U /* the first step of a TLS handshake */
#define PEND_CONNECTED 0x2U
#define PEND_READABLE  0x4U
#define PEND_DRAINED   0x8U
#define PEND_CLOSED    0x10U

struct stream_chunk {
    struct stream_chunk *next;
    size_t off;
    size_t len;
    size_t cap;
    uint8_t data[];
};

/* stream.c */
void stream_emit(struct stream *stream, enum stream_event event);
void stream_pend(struct stream *stream, uint32_t what);
int stream_read_on(struct stream *stream);
void stream_read_off(struct stream *stream);
int stream_write_on(struct stream *stream);
void stream_write_off(struct stream *stream);
/* Marks it broken and takes it off the loop; emits nothing. Returns err. */
int stream_fail(struct stream *stream, int err);

/* stream_out.c */
/* One write of plain bytes. >=0: bytes taken, 0 also when the kernel takes none; <0: broken. */
int64_t stream_send(struct stream *stream, const struct iovec *iov, size_t iov_count);
int stream_queue(struct stream *stream, const struct iovec *iov, size_t iov_count, size_t skip);
/* Sends what is queued. Emits DRAINED or CLOSED. */
void stream_flush(struct stream *stream);
void stream_out_drop(struct stream *stream);

/* stream_tls.c */
/* As stream_send(); takes as much as it can. */
int64_t stream_tls_send(struct stream *stream, const struct iovec *iov, size_t iov_count);
enum io_rc stream_tls_read(struct stream *stream, uint8_t *dst, size_t cap, size_t *ret_n);
bool stream_tls_has_pending(const struct stream *stream);
/* Emits TLS_READY or CLOSED when the handshake ends. */
void stream_tls_step(struct stream *stream);
void stream_tls_shutdown(struct stream *stream);
void stream_tls_free(struct stream *stream);

#endif
