/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the cache out of Redis. The bytes as they are; and the same behind weir's own magic and under a MAC that
 * is right, so that what stands behind it is reached. What is served is the answer to the question asked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/cache/body.h"
#include "weir/cache/value.h"
#include "weir/util/buf.h"

#define MAX_BODY ((size_t)65536)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(const struct value_codec *codec, struct span bytes, struct buf *room)
{
    const struct span key = SPAN_LIT("key");
    struct value value;

    if (value_decode(codec, bytes, key, room, &value) == VALUE_MISS_NONE &&
        (!span_eq(value.key, key) || value.body.len > MAX_BODY || body_check(value.body) < 0)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[5] = {'w', 'R', 'c', 2, 2};
    struct value_codec codec;
    struct buf room = {0};
    size_t len = sizeof(head) + size;
    uint8_t *copy = malloc(len + CRYPTO_SHA256_SIZE);

    if (copy == NULL ||
        value_codec_init(&codec, SPAN_LIT("a secret of the fuzzer"), MAX_BODY, 64) < 0) {
        abort();
    }
    memcpy(copy, head, sizeof(head));
    if (size > 0) {
        memcpy(copy + sizeof(head), data, size);
    }
    crypto_hmac_sha256((struct span){codec.mac_key, sizeof(codec.mac_key)},
                       (struct span){copy, len}, copy + len);
    try(&codec, (struct span){copy, len + CRYPTO_SHA256_SIZE}, &room);
    try(&codec, (struct span){data, size}, &room);
    value_codec_fini(&codec);
    free(copy);
    buf_fini(&room);
    return 0;
}
