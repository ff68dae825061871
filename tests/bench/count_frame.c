/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: a client's command found among its bytes, ROUNDS times. */
#include <stdio.h>
#include <string.h>

#include "weir/protocol/frame.h"

#define ROUNDS 1000u

int main(void)
{
    static const char sql[] = "\x03SELECT c FROM sbtest1 WHERE id=4711";
    uint8_t bytes[256];
    size_t sum = 0;
    frame_encode(bytes, sizeof sql - 1, 0);
    memcpy(bytes + FRAME_HEADER, sql, sizeof sql - 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct frame_packet packet;
        if (frame_packet_decode(bytes, FRAME_HEADER + sizeof sql - 1, 1u << 24, 0, &packet) !=
            DEC_OK) {
            return 1;
        }
        sum += frame_packet_payload(bytes, &packet).len;
    }
    printf("rounds %u bytes %zu\n", ROUNDS, sum);
    return 0;
}
