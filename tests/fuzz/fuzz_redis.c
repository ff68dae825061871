/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of Redis. However the bytes are cut the values are the same, and no byte beyond them is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/redis/reply.h"
#include "weir/util/buf.h"

#define MAX_BYTES ((size_t)2048)
#define SHOWN_MAX ((size_t)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void show(const struct redis_value *value, struct buf *out, unsigned depth)
{
    must(depth <= REDIS_DEPTH_MAX);
    must(buf_printf(out, SHOWN_MAX, "%d %lld %u ", (int)value->kind, (long long)value->number,
                    (unsigned)value->count) >= 0);
    must(buf_append_span(out, value->text, SHOWN_MAX) >= 0);
    for (uint32_t i = 0; i < value->count; i++) {
        show(&value->items[i], out, depth + 1);
    }
}

/* All in pieces of this size. False: it ended badly. */
static bool read_all(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    struct redis_reader *reader = NULL;
    enum dec_rc rc = DEC_MORE;

    must(redis_reader_create(MAX_BYTES, &reader) == 0);
    for (size_t at = 0; at < size && rc == DEC_MORE; at += step) {
        size_t len = at + step < size ? step : size - at;
        uint8_t *copy = malloc(len);
        const struct redis_value *value = NULL;

        must(copy != NULL);
        memcpy(copy, data + at, len);
        must(redis_reader_feed(reader, copy, len) == 0);
        free(copy);
        while ((rc = redis_reader_next(reader, &value)) == DEC_OK) {
            show(value, out, 0);
        }
    }
    redis_reader_destroy(reader);
    return rc == DEC_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;
    struct buf cut;

    buf_init(&whole);
    buf_init(&cut);
    if (size > 0) {
        bool is_good = read_all(data + 1, size - 1, MAX_BYTES / 2, &whole);
        bool is_cut_good = read_all(data + 1, size - 1, (size_t)data[0] % 16 + 1, &cut);

        /* what was bad is so for any cut; what was too much may depend on it */
        if (is_good && is_cut_good) {
            must(span_eq(buf_span(&whole), buf_span(&cut)));
        }
    }
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
