/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/ok.h"

#include <string.h>

#include "weir/protocol/caps.h"

enum dec_rc ok_decode(struct span payload, bool has_track, struct ok *ret_ok)
{
    struct ok ok = {0};
    struct wire wire;
    wire_init(&wire, payload);

    uint8_t header = wire_u8(&wire);
    if (header != 0x00 && header != 0xfe) {
        return DEC_BAD;
    }
    ok.is_eof = header == 0xfe;
    ok.affected = wire_lenenc(&wire);
    ok.insert_id = wire_lenenc(&wire);
    ok.status = wire_u16(&wire);
    ok.warnings = wire_u16(&wire);
    if (wire_left(&wire) > 0) {
        /* Both servers write a length in front of the info even without SESSION_TRACK. */
        ok.info = wire_lenenc_bytes(&wire);
        if (has_track && (ok.status & STATUS_SESSION_STATE) != 0) {
            ok.tracks = wire_lenenc_bytes(&wire);
        }
    }
    if (!wire_is_done(&wire)) {
        return DEC_BAD;
    }
    *ret_ok = ok;
    return DEC_OK;
}

enum dec_rc eof_decode(struct span payload, uint16_t *ret_warnings, uint16_t *ret_status)
{
    struct wire wire;
    wire_init(&wire, payload);
    if (wire_u8(&wire) != 0xfe) {
        return DEC_BAD;
    }
    uint16_t warnings = wire_u16(&wire);
    uint16_t status = wire_u16(&wire);
    if (!wire_is_done(&wire)) {
        return DEC_BAD;
    }
    *ret_warnings = warnings;
    *ret_status = status;
    return DEC_OK;
}

void ok_tracks_init(struct ok_tracks *tracks, struct span block)
{
    wire_init(&tracks->block, block);
    wire_init(&tracks->vars, (struct span){NULL, 0});
}

/* The text inside an entry: most carry one length-encoded string and nothing else. */
static enum dec_rc entry_decode(uint8_t type, struct span data, struct ok_track *ret_track)
{
    struct ok_track track = {.type = type, .value = data};
    struct wire wire;
    wire_init(&wire, data);
    switch (type) {
    case OK_TRACK_GTIDS:
        wire_skip(&wire, 1); /* encoding specification; 0 is the only one */
        track.value = wire_lenenc_bytes(&wire);
        break;
    case OK_TRACK_STATE_CHANGE:
        (void)wire_rest(&wire); /* both servers write a bare '1', without a length of its own */
        break;
    case OK_TRACK_SCHEMA:
    case OK_TRACK_TRX_CHARACTERISTICS:
    case OK_TRACK_TRX_STATE:
        track.value = wire_lenenc_bytes(&wire);
        break;
    default:
        (void)wire_rest(&wire); /* a type of the future: its bytes as they are */
        break;
    }
    if (!wire_is_done(&wire)) {
        return DEC_BAD;
    }
    *ret_track = track;
    return DEC_OK;
}

enum dec_rc ok_track_next(struct ok_tracks *tracks, struct ok_track *ret_track)
{
    while (wire_left(&tracks->vars) == 0) {
        if (wire_left(&tracks->block) == 0) {
            return wire_ok(&tracks->block) ? DEC_MORE : DEC_BAD;
        }
        uint8_t type = wire_u8(&tracks->block);
        struct span data = wire_lenenc_bytes(&tracks->block);
        if (!wire_ok(&tracks->block)) {
            return DEC_BAD;
        }
        if (type != OK_TRACK_SYSTEM_VARIABLES) {
            return entry_decode(type, data, ret_track);
        }
        wire_init(&tracks->vars, data);
    }
    struct span name = wire_lenenc_bytes(&tracks->vars);
    struct span value = wire_lenenc_bytes(&tracks->vars);
    if (!wire_ok(&tracks->vars)) {
        wire_fail(&tracks->block);
        return DEC_BAD;
    }
    *ret_track = (struct ok_track){.type = OK_TRACK_SYSTEM_VARIABLES, .name = name, .value = value};
    return DEC_OK;
}

bool errpkt_is(struct span payload)
{
    return payload.len > 0 && payload.p[0] == 0xff;
}

enum dec_rc errpkt_decode(struct span payload, struct errpkt *ret_err)
{
    struct errpkt err = {0};
    struct wire wire;
    wire_init(&wire, payload);
    if (wire_u8(&wire) != 0xff) {
        return DEC_BAD;
    }
    err.code = wire_u16(&wire);
    if (wire_left(&wire) >= 6 && wire.p[0] == '#') {
        wire_skip(&wire, 1);
        memcpy(err.sqlstate, wire_bytes(&wire, 5).p, 5);
    }
    err.text = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_err = err;
    return DEC_OK;
}
