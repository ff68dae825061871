/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ok - OK, EOF and ERR packets, and the session-state block that an OK may carry.
 *
 * WHY       Everything that a server tells about a session arrives in these.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc, never DEC_MORE
 * BOUNDS    strict: lengths must fit, nothing may follow the last field.
 */
#ifndef WEIR_PROTOCOL_OK_H
#define WEIR_PROTOCOL_OK_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/wire.h"

struct ok {
    uint64_t affected;
    uint64_t insert_id;
    uint16_t status;
    uint16_t warnings;
    struct span info;
    struct span tracks; /* session-state block for ok_track_next; empty: none */
    bool is_eof;        /* header 0xFE: the end of a result set */
};

/* payload begins with 0x00 or 0xFE. has_track: the connection negotiated SESSION_TRACK. */
enum dec_rc ok_decode(struct span payload, bool has_track, struct ok *ret_ok);

/* A connection without DEPRECATE_EOF: FE, warnings, status. */
enum dec_rc eof_decode(struct span payload, uint16_t *ret_warnings, uint16_t *ret_status);

enum ok_track_type {
    OK_TRACK_SYSTEM_VARIABLES = 0,
    OK_TRACK_SCHEMA = 1,
    OK_TRACK_STATE_CHANGE = 2,
    OK_TRACK_GTIDS = 3,
    OK_TRACK_TRX_CHARACTERISTICS = 4,
    OK_TRACK_TRX_STATE = 5,
};
#define OK_TRACK_TYPES 6u

struct ok_track {
    uint8_t type;      /* may be none of the enum: skip it */
    struct span name;  /* SYSTEM_VARIABLES only */
    struct span value; /* schema name, "1"/"0", GTID set, statements, 8 state letters */
};

struct ok_tracks {
    struct wire block;
    struct wire vars; /* inside a SYSTEM_VARIABLES entry */
};

/* ok_decode has checked the outer form; each entry is checked as it is walked. */
void ok_tracks_init(struct ok_tracks *tracks, struct span block);
/* DEC_OK: *ret_track is set. DEC_MORE: the end. DEC_BAD: malformed. */
enum dec_rc ok_track_next(struct ok_tracks *tracks, struct ok_track *ret_track);

struct errpkt {
    uint16_t code;
    char sqlstate[6]; /* five bytes and 0x00; "" when the packet carried none */
    struct span text;
};

bool errpkt_is(struct span payload);
enum dec_rc errpkt_decode(struct span payload, struct errpkt *ret_err);

#endif
