/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: tried at once, copied only when the kernel would not take it. What is copied lies in
 * chunks that exist as long as they hold something.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "stream_priv.h"

#define CHUNK_MIN_BYTES ((size_t)16 * 1024)
#define SEND_IOV_MAX    1024 /* the kernel's */
#define FLUSH_IOV_MAX   16

static size_t iov_bytes(const struct iovec *iov, size_t iov_count)
{
    size_t sum = 0;

    for (size_t i = 0; i < iov_count; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

int64_t stream_send(struct stream *stream, const struct iovec *iov, size_t iov_count)
{
    if (stream->ssl != NULL) {
        return stream_tls_send(stream, iov, iov_count);
    }

    ssize_t sent = 0;

    do {
        if (iov_count == 1) {
            sent = send(stream->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        } else {
            /* sendmsg() does not write to the iovecs; only its prototype says that it may. */
            struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                 .msg_iovlen = iov_count < SEND_IOV_MAX ? iov_count : SEND_IOV_MAX};

            sent = sendmsg(stream->fd, &msg, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return sent;
    }
    if (errno == EAGAIN) {
        return 0;
    }
    return stream_fail(stream, -errno);
}

static struct stream_chunk *chunk_add(struct stream *stream, size_t want)
{
    size_t cap = want < CHUNK_MIN_BYTES ? CHUNK_MIN_BYTES : want;
    struct stream_chunk *chunk = fault_malloc(sizeof(*chunk) + cap);

    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct stream_chunk){.cap = cap};
    if (stream->out_tail == NULL) {
        stream->out_head = chunk;
    } else {
        stream->out_tail->next = chunk;
    }
    stream->out_tail = chunk;
    return chunk;
}

/* Room for the rest is made in one piece: when TLS could not send a record, it must be given the
 * same bytes again, in one run. */
static int queue_bytes(struct stream *stream, const uint8_t *bytes, size_t len, size_t rest)
{
    while (len > 0) {
        struct stream_chunk *chunk = stream->out_tail;

        if (chunk == NULL || chunk->off + chunk->len == chunk->cap) {
            chunk = chunk_add(stream, rest);
            if (chunk == NULL) {
                return -ENOMEM;
            }
        }

        size_t room = chunk->cap - chunk->off - chunk->len;
        size_t part = len < room ? len : room;

        memcpy(chunk->data + chunk->off + chunk->len, bytes, part);
        chunk->len += part;
        stream->out_bytes += part;
        bytes += part;
        len -= part;
        rest -= part;
    }
    return 0;
}

int stream_queue(struct stream *stream, const struct iovec *iov, size_t iov_count, size_t skip)
{
    size_t rest = iov_bytes(iov, iov_count) - skip;
    int rc = 0;

    if (stream->out_bytes + rest > stream->limit) {
        return stream_fail(stream, -WR_E_LIMIT);
    }
    for (size_t i = 0; i < iov_count && rc == 0; i++) {
        size_t len = iov[i].iov_len;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        rc = queue_bytes(stream, (const uint8_t *)iov[i].iov_base + skip, len - skip, rest);
        rest -= len - skip;
        skip = 0;
    }
    /* While connecting and during a TLS handshake their own progress leads to the flush. */
    if (rc == 0 && (stream->flags & (ST_CONNECTING | ST_HANDSHAKE | ST_WRITE_WANTS_READ)) == 0) {
        rc = stream_write_on(stream);
    }
    if (rc < 0) {
        return stream_fail(stream, rc);
    }
    if (stream->out_bytes >= stream->high) {
        stream->flags |= ST_HIGH;
    }
    return 0;
}

int stream_writev(struct stream *stream, const struct iovec *iov, size_t iov_count)
{
    int64_t sent = 0;

    if (stream->fd < 0) {
        return -EBADF;
    }
    if ((stream->flags & (ST_FAILED | ST_SHUT_WANTED)) != 0) {
        return stream->error != 0 ? stream->error : -EPIPE;
    }

    size_t total = iov_bytes(iov, iov_count);

    if (total == 0) {
        return stream->out_head == NULL ? 1 : 0;
    }
    if (stream->out_head == NULL && (stream->flags & (ST_CONNECTING | ST_HANDSHAKE)) == 0) {
        sent = stream_send(stream, iov, iov_count);
        if (sent < 0) {
            return (int)sent;
        }
        if ((size_t)sent == total) {
            return 1;
        }
    }
    return stream_queue(stream, iov, iov_count, (size_t)sent);
}

int stream_write(struct stream *stream, const void *bytes, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};

    return stream_writev(stream, &iov, 1);
}

static void out_consume(struct stream *stream, size_t len)
{
    stream->out_bytes -= len;
    while (len > 0) {
        struct stream_chunk *chunk = stream->out_head;

        WR_ASSERT(chunk != NULL); /* out_bytes counts what the chunks hold */

        size_t part = len < chunk->len ? len : chunk->len;

        chunk->off += part;
        chunk->len -= part;
        len -= part;
        if (chunk->len > 0) {
            break;
        }
        stream->out_head = chunk->next;
        if (stream->out_head == NULL) {
            stream->out_tail = NULL;
        }
        free(chunk);
    }
}

/* One round: 1 when all that was offered has gone, 0 when the kernel is full, <0 broken. */
static int flush_once(struct stream *stream)
{
    struct iovec iov[FLUSH_IOV_MAX];
    size_t max = stream->ssl == NULL ? FLUSH_IOV_MAX : 1;
    size_t count = 0;

    for (struct stream_chunk *chunk = stream->out_head; chunk != NULL && count < max;
         chunk = chunk->next) {
        iov[count].iov_base = chunk->data + chunk->off;
        iov[count].iov_len = chunk->len;
        count++;
    }

    size_t total = iov_bytes(iov, count);
    int64_t sent = stream_send(stream, iov, count);

    if (sent < 0) {
        return (int)sent;
    }
    out_consume(stream, (size_t)sent);
    return (size_t)sent == total ? 1 : 0;
}

static void shut_now(struct stream *stream)
{
    stream->flags |= ST_SHUT_DONE;
    if (stream->ssl != NULL) {
        stream_tls_shutdown(stream);
    }
    (void)shutdown(stream->fd, SHUT_WR);
}

void stream_flush(struct stream *stream)
{
    int rc = 1;

    while (rc > 0 && stream->out_head != NULL) {
        rc = flush_once(stream);
    }
    if (rc < 0) {
        stream_emit(stream, STREAM_CLOSED);
        return;
    }
    if (stream->out_head == NULL) {
        stream_write_off(stream);
        if ((stream->flags & (ST_SHUT_WANTED | ST_SHUT_DONE)) == ST_SHUT_WANTED) {
            shut_now(stream);
        }
    }
    if ((stream->flags & ST_HIGH) != 0 && stream->out_bytes <= stream->low) {
        stream->flags &= ~ST_HIGH;
        stream_emit(stream, STREAM_DRAINED);
    }
}

void stream_out_drop(struct stream *stream)
{
    while (stream->out_head != NULL) {
        struct stream_chunk *chunk = stream->out_head;

        stream->out_head = chunk->next;
        free(chunk);
    }
    stream->out_tail = NULL;
    stream->out_bytes = 0;
}

size_t stream_out_bytes(const struct stream *stream)
{
    return stream->out_bytes;
}

bool stream_is_high(const struct stream *stream)
{
    return (stream->flags & ST_HIGH) != 0;
}

void stream_set_water(struct stream *stream, uint32_t high, uint32_t low)
{
    stream->high = high;
    stream->low = low;
    if (stream->out_bytes >= high && stream->out_bytes > 0) {
        stream->flags |= ST_HIGH;
    } else if ((stream->flags & ST_HIGH) != 0 && stream->out_bytes <= low) {
        /* DRAINED is owed and would never come by itself. */
        stream->flags &= ~ST_HIGH;
        stream_pend(stream, PEND_DRAINED);
    }
}

void stream_set_limit(struct stream *stream, uint32_t limit)
{
    stream->limit = limit;
}

void stream_shutdown_write(struct stream *stream)
{
    if (stream->fd < 0 || (stream->flags & (ST_SHUT_WANTED | ST_FAILED)) != 0) {
        return;
    }
    stream->flags |= ST_SHUT_WANTED;
    if (stream->out_head == NULL && (stream->flags & (ST_CONNECTING | ST_HANDSHAKE)) == 0) {
        shut_now(stream);
    }
}
