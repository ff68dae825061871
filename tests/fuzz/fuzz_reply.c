/* SPDX-License-Identifier: Apache-2.0 */
/* The reply tracker. Input: kind, kind of client, seed for the cuts, then a server's bytes. Fed in
 * one piece, byte by byte and in random pieces, the events, the outcome and the client's bytes must
 * be the same (but for the status flags of EOF packets that were made up), and session-state
 * entries that an event reports must all be readable as long as the server's were. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT  8192u
#define MAX_OUT    (4 * MAX_INPUT)
#define MAX_EVENTS 2048u

struct outcome {
    uint8_t out[MAX_OUT];
    size_t out_len;
    uint64_t events[MAX_EVENTS];
    size_t event_count;
    size_t used;
    bool is_done;
    bool is_bad;
};

static struct outcome whole;
static struct outcome pieces;

static void check(bool right)
{
    if (!right) {
        abort();
    }
}

static bool pass_some(void *arg, struct span name)
{
    (void)arg;
    return name.len % 2 == 0;
}

static const struct reply_front fronts[] = {
    {.has_deprecate_eof = true, .has_session_track = true, .track_types = 0xff},
    {.has_deprecate_eof = true,
     .has_session_track = true,
     .track_types = 0x03,
     .var_pass = pass_some},
    {.has_deprecate_eof = true},
    {.has_session_track = true, .track_types = 0x2a},
    {0},
};
#define FRONTS (sizeof fronts / sizeof fronts[0])

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 29);
}

/* Order of entries does not count: a filter may move them. */
static uint64_t tracks_hash(struct span block)
{
    struct ok_tracks tracks;
    struct ok_track track;
    uint64_t sum = 0;
    enum dec_rc rc = DEC_OK;
    ok_tracks_init(&tracks, block);
    while ((rc = ok_track_next(&tracks, &track)) == DEC_OK) {
        uint64_t h = mix(track.type, track.name.len);
        for (size_t i = 0; i < track.value.len; i++) {
            h = mix(h, track.value.p[i]);
        }
        sum += h;
    }
    return rc == DEC_MORE ? sum : 0;
}

static uint64_t event_hash(const struct reply_step *step)
{
    uint64_t h = (uint64_t)step->event;
    switch (step->event) {
    case REPLY_EV_NONE:
        break;
    case REPLY_EV_OK:
    case REPLY_EV_RESULT_END:
        h = mix(mix(h, step->ok.affected), step->ok.insert_id);
        h = mix(mix(h, step->ok.status), step->ok.warnings);
        h = mix(mix(h, step->ok.info.len), tracks_hash(step->ok.tracks));
        break;
    case REPLY_EV_ERR:
        h = mix(mix(h, step->err.code), step->err.text.len);
        break;
    case REPLY_EV_PREPARED:
        h = mix(mix(h, step->prepared.id), step->prepared.columns);
        check(step->id_at != NULL);
        break;
    case REPLY_EV_LOCAL_INFILE:
        h = mix(h, step->filename.len);
        break;
    }
    return h;
}

/* Made-up EOF packets live in the step: their flags are left out of the comparison. */
static void gather(struct outcome *o, const struct reply_step *step)
{
    for (unsigned i = 0; i < step->iov_count; i++) {
        const uint8_t *p = step->iov[i].iov_base;
        size_t len = step->iov[i].iov_len;
        bool is_own = p == step->own[0] || p == step->own[1];
        check(len > 0 && o->out_len + len <= sizeof o->out);
        memcpy(o->out + o->out_len, p, len);
        if (is_own) {
            memset(o->out + o->out_len + 7, 0, 2);
        }
        o->out_len += len;
    }
}

static void drive(struct outcome *o, enum reply_kind kind, const struct reply_front *front,
                  const uint8_t *bytes, size_t len, unsigned how, uint32_t seed)
{
    struct reply reply;
    size_t given = 0;
    o->out_len = 0;
    o->event_count = 0;
    o->used = 0;
    o->is_done = false;
    o->is_bad = false;
    reply_begin(&reply, kind, front, 1, STATUS_AUTOCOMMIT);
    o->is_done = reply_is_done(&reply);
    while (given < len && !o->is_done && !o->is_bad) {
        size_t part = len - given;
        seed = seed * 1664525u + 1013904223u;
        if (how == 1) {
            part = 1;
        } else if (how == 2 && part > 1 + (seed >> 20) % 64) {
            part = 1 + (seed >> 20) % 64;
        }
        given += part;
        size_t held = given - o->used;
        uint8_t *chunk = malloc(held);
        if (chunk == NULL) {
            return;
        }
        memcpy(chunk, bytes + o->used, held);
        size_t at = 0;
        enum dec_rc rc = DEC_OK;
        do {
            struct reply_step step;
            rc = reply_feed(&reply, chunk + at, held - at, &step);
            check(step.used <= held - at);
            check(step.is_first == (o->out_len == 0));
            gather(o, &step);
            check(reply.out_bytes == o->out_len);
            if (step.event != REPLY_EV_NONE && rc != DEC_BAD) {
                check(rc == DEC_OK && o->event_count < MAX_EVENTS);
                o->events[o->event_count++] = event_hash(&step);
            }
            /* An OK without an event must be the end, or the loop would not. */
            check(rc != DEC_OK || step.done || step.event != REPLY_EV_NONE);
            at += step.used;
            o->is_done = step.done;
            o->is_bad = rc == DEC_BAD;
            if (step.event == REPLY_EV_LOCAL_INFILE && !o->is_bad) {
                reply_infile_sent(&reply, (uint8_t)(reply.seq + 2));
            }
        } while (rc == DEC_OK && !o->is_done && at < held);
        o->used += at;
        free(chunk);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > MAX_INPUT) {
        return 0;
    }
    enum reply_kind kind = (enum reply_kind)(data[0] % (REPLY_STATISTICS + 1u));
    const struct reply_front *front = &fronts[data[1] % FRONTS];
    uint32_t seed = data[2];
    drive(&whole, kind, front, data + 3, size - 3, 0, seed);
    for (unsigned how = 1; how <= 2; how++) {
        drive(&pieces, kind, front, data + 3, size - 3, how, seed);
        check(pieces.is_done == whole.is_done);
        check(pieces.is_bad == whole.is_bad);
        check(pieces.event_count == whole.event_count);
        check(memcmp(pieces.events, whole.events, whole.event_count * sizeof whole.events[0]) == 0);
        if (!whole.is_bad) {
            check(pieces.used == whole.used);
            check(pieces.out_len == whole.out_len);
            check(memcmp(pieces.out, whole.out, whole.out_len) == 0);
        }
    }
    return 0;
}
