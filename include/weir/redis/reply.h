/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - what Redis says, cut out of its bytes.
 *
 * WHY       The parser is hiredis'; what is kept of a reply, and how much of it there may be, is
 *           weir's: a Redis that lies can have its connection closed, and nothing else.
 * OWNS      A reader owns its bytes and the reply that it gave last.
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    DEC_BAD: what follows means nothing any more; the reader is of no further use.
 * BOUNDS    REDIS_DEPTH_MAX, REDIS_ITEMS_MAX of one reply; max_bytes given at creation, for the
 *           bytes of a reply and for what is kept of it.
 */
#ifndef WEIR_REDIS_REPLY_H
#define WEIR_REDIS_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/wire.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define REDIS_DEPTH_MAX 6    /* arrays in arrays */
#define REDIS_ITEMS_MAX 8192 /* in all arrays of one reply together */

enum redis_kind {
    REDIS_NIL,
    REDIS_STATUS, /* text: "OK" */
    REDIS_ERROR,  /* text: "NOPERM ..." */
    REDIS_STRING,
    REDIS_INTEGER,
    REDIS_ARRAY,
};

struct redis_value {
    enum redis_kind kind;
    uint32_t count;            /* of items */
    struct span text;          /* STATUS, ERROR, STRING */
    int64_t number;            /* INTEGER */
    struct redis_value *items; /* ARRAY */
};

struct redis_reader;

WR_NODISCARD int redis_reader_create(size_t max_bytes, struct redis_reader **ret_reader);
void redis_reader_destroy(struct redis_reader *reader); /* NULL is fine */
/* Bytes from the connection, any cut of them, at most LOOP_SCRATCH_BYTES. Copied. */
WR_NODISCARD int redis_reader_feed(struct redis_reader *reader, const uint8_t *bytes, size_t len);
/* The next reply, borrowed until the next call on the reader. */
WR_NODISCARD enum dec_rc redis_reader_next(struct redis_reader *reader,
                                           const struct redis_value **ret_value);

#endif
