/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: a question that is answered from memory, ROUNDS times: its key is hashed, found,
 * compared, held against what has been written, and its answer put together for a client. */
#include <stdint.h>
#include <stdio.h>

#include "weir/cache/body.h"
#include "weir/cache/memory.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"

#define ROUNDS 1000u
#define MAX    ((size_t)1 << 20)

static const uint64_t caps = CAP_PROTOCOL_41 | CAP_DEPRECATE_EOF;

static int point_reply(struct buf *out)
{
    static const struct result_column column = {
        .name = "name", .type = RESULT_TYPE_STRING, .length = 64};
    const struct span row = SPAN_LIT("pump house 12");
    struct wire_out wire;
    struct result result = {.out = &wire, .caps = caps, .status = STATUS_AUTOCOMMIT, .seq = 1};

    wire_out_buf(&wire, out, MAX);
    result_put_columns(&result, &column, 1);
    result_put_row(&result, &row, 1);
    result_put_end(&result, 0);
    return wire_out_ok(&wire) ? 0 : -1;
}

/* Not static: what callgrind counts. */
int cache_hit(struct cache_memory *memory, const struct version_board *board, struct span key,
              struct buf *out);
int cache_hit(struct cache_memory *memory, const struct version_board *board, struct span key,
              struct buf *out)
{
    struct wire_out wire;
    struct cache_entry *entry = cache_memory_get(memory, cache_memory_hash(memory, key), key);

    if (entry == NULL || !cache_entry_holds(entry, board)) {
        return -1;
    }
    buf_clear(out);
    wire_out_buf(&wire, out, MAX);
    body_write(&wire, cache_entry_body(entry), caps, STATUS_AUTOCOMMIT, 1);
    cache_entry_unref(entry);
    return wire_out_ok(&wire) ? 0 : -1;
}

int main(void)
{
    const struct span key = SPAN_LIT("1 app shop utf8mb4 STRICT_TRANS_TABLES +00:00 | SELECT name "
                                     "FROM devices WHERE device_id = 4711");
    struct cache_memory *memory = NULL;
    struct version_board *board = NULL;
    struct version_lease lease;
    struct cache_entry *entry = NULL;
    struct buf reply = {0};
    struct buf body = {0};
    struct buf out = {0};

    if (cache_memory_create(MAX, &memory) < 0 || version_board_create(&board) < 0 ||
        point_reply(&reply) < 0 || body_from_reply(buf_span(&reply), caps, &body, MAX) < 0) {
        return 2;
    }
    version_lease_begin(board, &lease);
    if (version_lease_add_table(board, &lease, SPAN_LIT("shop"), SPAN_LIT("devices")) < 0) {
        return 2;
    }
    const struct cache_parts parts = {.key = key,
                                      .hash = cache_memory_hash(memory, key),
                                      .lease = &lease,
                                      .body_size = buf_len(&body)};
    if (cache_entry_create(memory, &parts, &entry) < 0) {
        return 2;
    }
    struct wire_out room;
    wire_out_array(&room, cache_entry_room(entry), buf_len(&body));
    wire_put_bytes(&room, buf_span(&body));
    cache_memory_put(memory, entry);
    cache_entry_unref(entry);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (cache_hit(memory, board, key, &out) < 0) {
            return 1;
        }
    }
    (void)printf("%zu bytes\n", buf_len(&out));
    buf_fini(&reply);
    buf_fini(&body);
    buf_fini(&out);
    cache_memory_destroy(memory);
    version_board_destroy(board);
    return 0;
}
