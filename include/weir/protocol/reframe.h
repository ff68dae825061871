/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reframe - one packet of several frames in other frames than it came in.
 *
 * WHY       Bytes put into a packet of 16 MiB and more move all that follow over the frames' edges;
 *           where the next frame ends is not known before its header has come.
 * OWNS      none: storage for the bytes that wait is the caller's.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    DEC_BAD: more bytes than were announced.
 * BOUNDS    As many bytes wait as were put in.
 */
#ifndef WEIR_PROTOCOL_REFRAME_H
#define WEIR_PROTOCOL_REFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "weir/protocol/frame.h"
#include "weir/protocol/wire.h"

#define REFRAME_IOV 3U /* a header, what waited, what has come */

struct reframe {
    uint8_t *wait;
    size_t wait_cap;
    size_t wait_len;
    uint32_t max;  /* payload of a full frame: FRAME_MAX_PAYLOAD, but in tests */
    uint32_t left; /* of the frame whose header is out */
    uint8_t seq;   /* of that frame */
    bool is_last;  /* it is not full: none follows */
};

struct reframe_step {
    struct iovec iov[REFRAME_IOV]; /* to be written before the next call */
    unsigned count;
    size_t used; /* of the bytes given */
    uint8_t head[FRAME_HEADER];
};

/* `begun`: payload bytes of the first frame that are out already, behind a header of a full frame
 * with sequence id 0. wait: room for as many bytes as were put in. */
void reframe_init(struct reframe *reframe, uint8_t *wait, size_t wait_cap, uint32_t max,
                  uint32_t begun);

/* Payload of the packet as it came. behind: what is still to come of the frame that it came in;
 * is_more: another one follows. Call again with what was not used, and at the very end with nothing
 * until the step is empty. */
enum dec_rc reframe_feed(struct reframe *reframe, const uint8_t *bytes, size_t len, size_t behind,
                         bool is_more, struct reframe_step *ret_step);

#endif
