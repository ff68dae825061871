/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: replies walked by the tracker. count_reply point|old|rows
 *   point  a point select's reply, for a client that reads it as it is; ROUNDS times
 *   old    the same for a client without DEPRECATE_EOF and SESSION_TRACK
 *   rows   one reply of ROWS rows */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/reply.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"

#define ROUNDS 1000u
#define ROWS   100000u

static int walk(struct buf *buf, const struct reply_front *front, unsigned rounds)
{
    uint8_t *bytes = buf_tail(buf) - buf_len(buf);
    uint8_t *copy = malloc(buf_len(buf));
    size_t out = 0;
    if (copy == NULL) {
        return 1;
    }
    for (unsigned i = 0; i < rounds; i++) {
        struct reply reply;
        struct reply_step step;
        memcpy(copy, bytes, buf_len(buf)); /* translation changes it */
        reply_begin(&reply, REPLY_QUERY, front, 1, STATUS_AUTOCOMMIT);
        if (reply_feed(&reply, copy, buf_len(buf), &step) != DEC_OK || !step.done) {
            free(copy);
            return 1;
        }
        out += reply.out_bytes;
    }
    free(copy);
    printf("rounds %u bytes %zu\n", rounds, out);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct reply_front newest = {
        .has_deprecate_eof = true, .has_session_track = true, .track_types = 0xff};
    static const struct reply_front old = {0};
    static const struct result_column columns[] = {{"c", RESULT_TYPE_STRING, 120}};
    const struct span row[] = {
        SPAN_LIT("08566691963-88624912351-16662227201-46648573979-64646226163-77505759394-"
                 "75470094713-41097360717-15161106334-50535565977")};
    const char *what = argc > 1 ? argv[1] : "point";
    bool is_rows = strcmp(what, "rows") == 0;
    struct buf buf;
    struct wire_out out;
    buf_init(&buf);
    wire_out_buf(&out, &buf, 1u << 26);
    struct result result = {.out = &out,
                            .caps = CAP_DEPRECATE_EOF | CAP_SESSION_TRACK,
                            .status = STATUS_AUTOCOMMIT,
                            .seq = 1};
    result_put_columns(&result, columns, 1);
    for (unsigned i = 0; i < (is_rows ? ROWS : 1); i++) {
        result_put_row(&result, row, 1);
    }
    result_put_end(&result, 0);
    int rc = walk(&buf, strcmp(what, "old") == 0 ? &old : &newest, is_rows ? 1 : ROUNDS);
    buf_fini(&buf);
    return rc;
}
