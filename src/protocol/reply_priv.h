/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_priv - what the reply tracker's two files share: walker and packet translation.
 *
 * WHY       The walker is hot and knows headers only; the few packets with meaning are apart.
 * OWNS      none
 * THREADS   the session's worker
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc
 * BOUNDS    see reply.h
 */
#ifndef WEIR_REPLY_PRIV_H
#define WEIR_REPLY_PRIV_H

#include "weir/protocol/reply.h"

/* Session-state blocks above this pass unfiltered: entries too many are harmless, time is not. */
#define REPLY_FILTER_MAX 2048u

/* A client of the newest kind that wants everything: bytes pass as they are. */
bool reply_front_is_plain(const struct reply_front *front);

/* Decode an OK (or a legacy EOF) packet of a connection with SESSION_TRACK. */
enum dec_rc reply_ok_decode(const uint8_t *payload, size_t len, struct ok *ret_ok);

/* Change the OK in place into what the client reads; *len shrinks. ok->tracks is kept valid: the
 * entries that the client does not get are behind its packet. */
enum dec_rc reply_ok_translate(const struct reply_front *front, uint8_t *payload, size_t *len,
                               struct ok *ok);

/* Nine bytes: an EOF packet with header. */
void reply_eof_encode(uint8_t packet[REPLY_EOF_PACKET], uint8_t seq, uint16_t status);
/* Put the status flags of an EOF behind definitions right, once the end of the rows is known. */
void reply_eof_patch(uint8_t packet[REPLY_EOF_PACKET], uint16_t end_status);

#endif
