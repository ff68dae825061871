/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/reframe.h"

#include <string.h>

void reframe_init(struct reframe *reframe, uint8_t *wait, size_t wait_cap, uint32_t max,
                  uint32_t begun)
{
    *reframe = (struct reframe){.wait_cap = wait_cap, .max = max, .left = max - begun};
    reframe->wait = wait;
}

static void put(struct reframe_step *step, const uint8_t *bytes, size_t len)
{
    struct iovec *iov = &step->iov[step->count];

    if (len != 0) {
        memcpy(&iov->iov_base, &bytes, sizeof(void *));
        iov->iov_len = len;
        step->count++;
    }
}

static void begin_frame(struct reframe *reframe, size_t announced, struct reframe_step *step)
{
    reframe->is_last = announced < reframe->max;
    reframe->left = reframe->is_last ? (uint32_t)announced : reframe->max;
    reframe->seq++;
    frame_encode(step->head, reframe->left, reframe->seq);
    put(step, step->head, FRAME_HEADER);
    put(step, reframe->wait, reframe->wait_len);
    reframe->left -= (uint32_t)reframe->wait_len;
    reframe->wait_len = 0;
}

enum dec_rc reframe_feed(struct reframe *reframe, const uint8_t *bytes, size_t len, size_t behind,
                         bool is_more, struct reframe_step *ret_step)
{
    struct reframe_step *step = ret_step;
    size_t announced = reframe->wait_len + len + behind;
    size_t part = 0;

    step->count = 0;
    step->used = 0;
    if (reframe->left == 0 && !reframe->is_last) {
        if (announced < reframe->max && is_more) {
            if (len > reframe->wait_cap - reframe->wait_len) {
                return DEC_BAD;
            }
            memcpy(reframe->wait + reframe->wait_len, bytes, len);
            reframe->wait_len += len;
            step->used = len;
            return DEC_OK;
        }
        begin_frame(reframe, announced, step);
    }
    part = len < reframe->left ? len : reframe->left;
    put(step, bytes, part);
    reframe->left -= (uint32_t)part;
    step->used = part;
    return len != 0 && part == 0 && step->count == 0 ? DEC_BAD : DEC_OK;
}
