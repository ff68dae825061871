/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: a packet that is found joins to what its frames hold, and is found again when written
 * anew. First byte: the limit. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/frame.h"
#include "weir/util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t max = (size_t)1 << (data[0] % 28);
    int seq = data[0] & 0x80 ? -1 : data[1 + 3 % (size - 1)];
    size_t len = size - 1;
    uint8_t *bytes = malloc(len);
    struct frame_packet packet;
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data + 1, len);
    enum dec_rc rc = frame_packet_decode(bytes, len, max, seq, &packet);
    if (rc == DEC_OK) {
        if (packet.wire_len > len || packet.payload_len > max ||
            packet.wire_len != packet.payload_len + FRAME_HEADER * (size_t)packet.frames) {
            abort();
        }
        struct span payload = frame_packet_payload(bytes, &packet);
        struct buf buf;
        struct wire_out out;
        uint8_t next = packet.first_seq;
        buf_init(&buf);
        wire_out_buf(&out, &buf, SIZE_MAX / 2);
        frame_packet_encode(&out, &next, payload);
        if (!wire_out_ok(&out) || next != packet.next_seq || buf_len(&buf) != packet.wire_len ||
            memcmp(buf_span(&buf).p, data + 1, buf_len(&buf)) != 0) {
            abort();
        }
        buf_fini(&buf);
    }
    /* Fewer bytes never turn a packet into something else than "more" or the same refusal. */
    if (rc == DEC_MORE && frame_packet_decode(data + 1, len / 2, max, seq, &packet) == DEC_OK) {
        abort();
    }
    free(bytes);
    return 0;
}
