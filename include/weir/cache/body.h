/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body - one result set as it is kept: for clients that know DEPRECATE_EOF and for those that do
 * not, with the status flags of whoever asks.
 *
 * WHY       What was answered to one client is given to another, which may speak an older protocol
 *           and whose session is in another state.
 * OWNS      none: reads spans, appends to the caller's buf or writer.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    -WR_E_BAD_PACKET: not one whole result set without warnings; -WR_E_TOO_LARGE, -ENOMEM.
 *           What body_check() has passed can be written.
 * BOUNDS    BODY_COLUMNS_MAX columns; packets of one frame, that is below 16 MiB.
 *
 * Source: dev.mysql.com, "COM_QUERY Response", "Text Resultset", "Binary Protocol Resultset".
 */
#ifndef WEIR_CACHE_BODY_H
#define WEIR_CACHE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/wire.h"
#include "weir/util/attr.h"

#define BODY_COLUMNS_MAX 4096U /* as servers' own limit */

struct buf;

/* reply: all bytes of one reply as the client got them. caps: the client's. Appends to out, which may
 * hold max bytes. */
WR_NODISCARD int body_from_reply(struct span reply, uint64_t caps, struct buf *out, size_t max);
/* Bytes that somebody else may have written. */
WR_NODISCARD int body_check(struct span body);
/* The whole reply. seq: of its first packet. */
void body_write(struct wire_out *out, struct span body, uint64_t caps, uint16_t status,
                uint8_t seq);
uint32_t body_rows(struct span body);

#define BODY_END_MAX 16U

/* A reply in two pieces. */
struct body_as_kept {
    struct span packets; /* borrowed from the body */
    uint8_t end[BODY_END_MAX];
    size_t end_len;
};

/* As body_write(), without a copy. False: this client numbers its packets otherwise. */
bool body_is_as_kept(struct span body, uint64_t caps, uint16_t status, uint8_t seq,
                     struct body_as_kept *ret_kept);

#endif
