/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"

#include "reply_priv.h"

#define EOF_PAYLOAD 5u
/* FE or 00, two one-byte integers, status, warnings. */
#define OK_SHORT 7u

bool reply_front_is_plain(const struct reply_front *front)
{
    return front->has_deprecate_eof && front->has_session_track && front->track_types == 0xff &&
           front->var_pass == NULL;
}

static uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

enum dec_rc reply_ok_decode(const uint8_t *payload, size_t len, struct ok *ret_ok)
{
    if (len == OK_SHORT && (payload[1] | payload[2]) == 0) {
        /* Nearly every end of a result set. */
        *ret_ok = (struct ok){
            .status = load16(payload + 3),
            .warnings = load16(payload + 5),
            .is_eof = payload[0] == 0xfe,
        };
        return DEC_OK;
    }
    if (len == EOF_PAYLOAD && payload[0] == 0xfe) {
        /* Some servers answer from their query cache, or some commands, as before 5.7. */
        struct ok ok = {.is_eof = true};
        if (eof_decode((struct span){payload, len}, &ok.warnings, &ok.status) != DEC_OK) {
            return DEC_BAD;
        }
        *ret_ok = ok;
        return DEC_OK;
    }
    return ok_decode((struct span){payload, len}, true, ret_ok);
}

static bool var_is_wanted(const struct reply_front *front, struct span entry)
{
    struct wire wire;
    wire_init(&wire, entry);
    if (front->var_pass == NULL) {
        return true;
    }
    /* One variable to an entry is what servers send; of several, one wanted lets all pass. */
    while (wire_left(&wire) > 0) {
        struct span name = wire_lenenc_bytes(&wire);
        (void)wire_lenenc_bytes(&wire);
        if (wire_ok(&wire) && front->var_pass(front->var_arg, name)) {
            return true;
        }
    }
    return false;
}

static bool entry_is_wanted(const struct reply_front *front, uint8_t type, struct span entry)
{
    if (type >= OK_TRACK_TYPES || (front->track_types >> type & 1) == 0) {
        return false;
    }
    return type != OK_TRACK_SYSTEM_VARIABLES || var_is_wanted(front, entry);
}

/* Moves the wanted entries to the front, the others behind them; order among each is kept. */
static enum dec_rc block_partition(const struct reply_front *front, uint8_t *block, size_t len,
                                   size_t *ret_wanted)
{
    uint8_t unwanted[REPLY_FILTER_MAX];
    size_t unwanted_len = 0;
    size_t wanted_len = 0;
    struct wire wire;

    if (len > sizeof unwanted) {
        *ret_wanted = len;
        return DEC_OK;
    }
    wire_init(&wire, (struct span){block, len});
    while (wire_left(&wire) > 0) {
        const uint8_t *start = wire.p;
        uint8_t type = wire_u8(&wire);
        struct span entry = wire_lenenc_bytes(&wire);
        if (!wire_ok(&wire)) {
            return DEC_BAD;
        }
        size_t size = (size_t)(wire.p - start);
        if (entry_is_wanted(front, type, entry)) {
            memmove(block + wanted_len, start, size);
            wanted_len += size;
        } else {
            memcpy(unwanted + unwanted_len, start, size);
            unwanted_len += size;
        }
    }
    memcpy(block + wanted_len, unwanted, unwanted_len);
    *ret_wanted = wanted_len;
    return DEC_OK;
}

/* Bytes that a length-encoded integer with this first byte takes. */
static size_t lenenc_bytes(uint8_t first)
{
    static const uint8_t more[4] = {2, 3, 8, 0};
    return first < 0xfc ? 1 : 1u + more[first - 0xfc];
}

/* The block with only the wanted entries; nothing wanted: no block at all. */
static enum dec_rc tracks_filter(const struct reply_front *front, uint8_t *payload, size_t *len,
                                 size_t info_end, struct ok *ok, bool *ret_has_tracks)
{
    size_t wanted = 0;
    *ret_has_tracks = false;
    if (ok->tracks.len == 0) {
        return DEC_OK;
    }
    uint8_t *block = payload + (ok->tracks.p - payload);
    if (block_partition(front, block, ok->tracks.len, &wanted) != DEC_OK) {
        return DEC_BAD;
    }
    if (wanted == 0) {
        return DEC_OK;
    }
    *ret_has_tracks = true;
    size_t prefix = wire_lenenc_size(wanted);
    uint8_t *moved = payload + info_end + prefix;
    memmove(moved, block, ok->tracks.len);
    struct wire_out out;
    wire_out_array(&out, payload + info_end, prefix);
    wire_put_lenenc(&out, wanted);
    ok->tracks.p = moved;
    *len = info_end + prefix + wanted;
    return DEC_OK;
}

enum dec_rc reply_ok_translate(const struct reply_front *front, uint8_t *payload, size_t *len,
                               struct ok *ok)
{
    if (ok->is_eof && !front->has_deprecate_eof) {
        if (*len != EOF_PAYLOAD) {
            /* Status and warnings change places. The state block begins behind byte 7. */
            store16(payload + 1, ok->warnings);
            store16(payload + 3, (uint16_t)(ok->status & ~STATUS_SESSION_STATE));
            *len = EOF_PAYLOAD;
        }
        return DEC_OK;
    }
    if ((ok->status & STATUS_SESSION_STATE) == 0 || *len == EOF_PAYLOAD) {
        return DEC_OK;
    }
    /* Decoded before, so these lengths fit. */
    size_t at = 1;
    at += lenenc_bytes(payload[at]);
    at += lenenc_bytes(payload[at]);
    size_t info_end = at + 4;
    if (info_end < *len) {
        info_end += lenenc_bytes(payload[info_end]) + ok->info.len;
    }
    bool has_tracks = false;
    if (front->has_session_track &&
        tracks_filter(front, payload, len, info_end, ok, &has_tracks) != DEC_OK) {
        return DEC_BAD;
    }
    if (!has_tracks) {
        /* As servers do it: no state, and then no empty info either. */
        store16(payload + at, (uint16_t)(ok->status & ~STATUS_SESSION_STATE));
        *len = ok->info.len > 0 ? info_end : at + 4;
    }
    return DEC_OK;
}

void reply_eof_encode(uint8_t packet[REPLY_EOF_PACKET], uint8_t seq, uint16_t status)
{
    frame_encode(packet, EOF_PAYLOAD, seq);
    packet[4] = 0xfe;
    store16(packet + 5, 0);
    store16(packet + 7, (uint16_t)(status & ~(STATUS_SESSION_STATE | STATUS_LAST_ROW_SENT)));
}

void reply_eof_patch(uint8_t packet[REPLY_EOF_PACKET], uint16_t end_status)
{
    store16(packet + 7, (uint16_t)(end_status & ~(STATUS_SESSION_STATE | STATUS_LAST_ROW_SENT)));
}
