/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor: a program of reads over the rest of the input. Whatever it reads can be written again
 * and gives the same bytes, except for lengths that were not in their shortest form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096) {
        return 0;
    }
    size_t ops = data[0] % 32u;
    if (size < 1 + ops) {
        return 0;
    }
    const uint8_t *program = data + 1;
    size_t len = size - 1 - ops;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    uint8_t *again = malloc(len + 16);
    if (bytes == NULL || again == NULL) {
        free(bytes);
        free(again);
        return 0;
    }
    memcpy(bytes, data + 1 + ops, len);
    struct wire wire;
    struct wire_out out;
    wire_init(&wire, (struct span){bytes, len});
    wire_out_array(&out, again, len + 16);
    bool is_shortest = true;
    for (size_t i = 0; i < ops; i++) {
        const uint8_t *before = wire.p;
        struct wire_out saved = out;
        uint64_t v = 0;
        struct span s;
        switch (program[i] % 9) {
        case 0:
            wire_put_u8(&out, wire_u8(&wire));
            break;
        case 1:
            wire_put_u16(&out, wire_u16(&wire));
            break;
        case 2:
            wire_put_u24(&out, wire_u24(&wire));
            break;
        case 3:
            wire_put_u32(&out, wire_u32(&wire));
            break;
        case 4:
            wire_put_u64(&out, wire_u64(&wire));
            break;
        case 5:
            v = wire_lenenc(&wire);
            wire_put_lenenc(&out, v);
            is_shortest = is_shortest && (size_t)(wire.p - before) == wire_lenenc_size(v);
            break;
        case 6:
            wire_put_nul(&out, wire_nul(&wire));
            break;
        case 7:
            s = wire_lenenc_bytes(&wire);
            wire_put_lenenc_bytes(&out, s);
            is_shortest =
                is_shortest && (size_t)(wire.p - before) == wire_lenenc_size(s.len) + s.len;
            break;
        default:
            wire_put_bytes(&out, wire_bytes(&wire, program[i] / 9));
            break;
        }
        check(wire.p >= bytes || len == 0);
        if (!wire_ok(&wire)) {
            out = saved;
            check(wire_left(&wire) == 0 && wire_u64(&wire) == 0 && wire_rest(&wire).len == 0);
            break;
        }
        check(wire.p >= before && wire_left(&wire) <= len);
        if (is_shortest) {
            check(wire_out_ok(&out) && out.len == (size_t)(wire.p - bytes) &&
                  memcmp(bytes, again, out.len) == 0);
        }
    }
    free(bytes);
    free(again);
    return 0;
}
