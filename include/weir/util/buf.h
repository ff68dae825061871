/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - owned bytes that grow at the end and are taken from the front.
 *
 * WHY       Left-over bytes live only as long as they wait; an empty buf holds no storage after buf_trim().
 * OWNS      Its storage, from the first append until buf_fini() or buf_trim().
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     len, max: bytes.
 * ERRORS    -ENOMEM, -WR_E_TOO_LARGE; nothing has changed then.
 * BOUNDS    The max given to each growing call: bytes held never exceed it.
 */
#ifndef WEIR_UTIL_BUF_H
#define WEIR_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

/* Readable bytes: data[off .. off+len). Read the fields through the functions below. */
struct buf {
    uint8_t *data;
    size_t off;
    size_t len;
    size_t cap;
};

/* All zeroes is a valid empty buf, too. */
void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);
/* As buf_fini(), but the bytes are wiped first. */
void buf_fini_secret(struct buf *buf);

WR_NODISCARD int buf_append(struct buf *buf, const void *bytes, size_t len, size_t max);
WR_NODISCARD int buf_append_span(struct buf *buf, struct span bytes, size_t max);
WR_NODISCARD int buf_append_text(struct buf *buf, const char *text, size_t max);
/* Decimal, with zeroes ahead up to so many digits (at most 20): a fraction of buf_printf()'s cost. */
WR_NODISCARD int buf_append_number(struct buf *buf, uint64_t value, unsigned digits, size_t max);
WR_NODISCARD int buf_printf(struct buf *buf, size_t max, const char *fmt, ...) WR_PRINTF(3, 4);
WR_NODISCARD int buf_vprintf(struct buf *buf, size_t max, const char *fmt, va_list args)
    WR_PRINTF(3, 0);

/* Makes room for extra more bytes; then write at buf_tail() and buf_commit() what was written. */
WR_NODISCARD int buf_reserve(struct buf *buf, size_t extra, size_t max);
uint8_t *buf_tail(struct buf *buf);
/* Bytes that may be written at buf_tail(). */
size_t buf_room(const struct buf *buf);
void buf_commit(struct buf *buf, size_t len);

/* Borrowed until the next call that changes buf. */
struct span buf_span(const struct buf *buf);
size_t buf_len(const struct buf *buf);
/* Drops len bytes from the front; len <= buf_len(). */
void buf_consume(struct buf *buf, size_t len);
/* Drops all bytes, keeps the storage. */
void buf_clear(struct buf *buf);
/* Gives the storage back when no byte is held. */
void buf_trim(struct buf *buf);
/* Adds a terminator behind the bytes (not counted in len); the text is borrowed. NULL: no memory. */
WR_NODISCARD const char *buf_text(struct buf *buf);

#endif
