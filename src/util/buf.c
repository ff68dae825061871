/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#define BUF_MIN_CAP ((size_t)256)

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_fini_secret(struct buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->cap);
    }
    buf_fini(buf);
}

int buf_reserve(struct buf *buf, size_t extra, size_t max)
{
    if (buf->len > max || extra > max - buf->len) {
        return -WR_E_TOO_LARGE;
    }
    if (buf->cap - buf->off - buf->len >= extra) {
        return 0;
    }
    if (buf->cap - buf->len >= extra) {
        /* Room enough once the consumed front is closed up. */
        memmove(buf->data, buf->data + buf->off, buf->len);
        buf->off = 0;
        return 0;
    }

    size_t need = buf->len + extra;
    size_t cap = buf->cap < BUF_MIN_CAP ? BUF_MIN_CAP : buf->cap;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    if (cap > max) {
        cap = max; /* need <= max was checked above */
    }
    /* Not realloc: it would copy the consumed front, and may leave secrets behind unwiped. */
    uint8_t *data = fault_malloc(cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    if (buf->len > 0) {
        memcpy(data, buf->data + buf->off, buf->len);
    }
    free(buf->data);
    buf->data = data;
    buf->cap = cap;
    buf->off = 0;
    return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len, size_t max)
{
    if (len == 0) {
        return 0;
    }
    int rc = buf_reserve(buf, len, max);
    if (rc < 0) {
        return rc;
    }
    memcpy(buf_tail(buf), bytes, len);
    buf->len += len;
    return 0;
}

int buf_append_span(struct buf *buf, struct span bytes, size_t max)
{
    return buf_append(buf, bytes.p, bytes.len, max);
}

int buf_append_text(struct buf *buf, const char *text, size_t max)
{
    return buf_append(buf, text, strlen(text), max);
}

int buf_append_number(struct buf *buf, uint64_t value, unsigned digits, size_t max)
{
    char text[20]; /* of UINT64_MAX */
    size_t at = sizeof(text);

    WR_ASSERT(digits <= sizeof(text));
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0 || sizeof(text) - at < digits);
    return buf_append(buf, text + at, sizeof(text) - at, max);
}

int buf_vprintf(struct buf *buf, size_t max, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0) {
        return -EINVAL;
    }
    /* vsnprintf writes a terminator, which needs a byte of room but is not content. */
    size_t limit = max < SIZE_MAX ? max + 1 : max;
    if (buf->len > max || (size_t)len > max - buf->len) {
        return -WR_E_TOO_LARGE;
    }
    int rc = buf_reserve(buf, (size_t)len + 1, limit);
    if (rc < 0) {
        return rc;
    }
    (void)vsnprintf((char *)buf_tail(buf), (size_t)len + 1, fmt, args);
    buf->len += (size_t)len;
    return 0;
}

int buf_printf(struct buf *buf, size_t max, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int rc = buf_vprintf(buf, max, fmt, args);
    va_end(args);
    return rc;
}

uint8_t *buf_tail(struct buf *buf)
{
    return buf->data == NULL ? NULL : buf->data + buf->off + buf->len;
}

size_t buf_room(const struct buf *buf)
{
    return buf->cap - buf->off - buf->len;
}

void buf_commit(struct buf *buf, size_t len)
{
    WR_ASSERT(len <= buf_room(buf));
    buf->len += len;
}

struct span buf_span(const struct buf *buf)
{
    if (buf->len == 0) {
        return (struct span){NULL, 0};
    }
    return (struct span){buf->data + buf->off, buf->len};
}

size_t buf_len(const struct buf *buf)
{
    return buf->len;
}

void buf_consume(struct buf *buf, size_t len)
{
    WR_ASSERT(len <= buf->len);
    buf->len -= len;
    buf->off = buf->len == 0 ? 0 : buf->off + len;
}

void buf_clear(struct buf *buf)
{
    buf->off = 0;
    buf->len = 0;
}

void buf_trim(struct buf *buf)
{
    if (buf->len == 0 && buf->data != NULL) {
        buf_fini(buf);
    }
}

const char *buf_text(struct buf *buf)
{
    if (buf_reserve(buf, 1, SIZE_MAX) < 0) {
        return NULL;
    }
    *buf_tail(buf) = '\0';
    return (const char *)buf->data + buf->off;
}
