/* SPDX-License-Identifier: Apache-2.0 */
/* Every small decoder over the same bytes: commands, prepared answers, authentication packets, OK
 * and ERR. They borrow from the bytes and never look behind them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/auth.h"
#include "weir/protocol/command.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/stmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum;

/* Touches every byte, so that ASan checks them all. */
static void touch(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        sum += s.p[i];
    }
}

static void commands(struct span payload)
{
    uint32_t id = 0;
    uint16_t option = 0;
    struct command_field_list list;
    struct command_long_data data;
    struct command_fetch fetch;
    struct stmt_prepared prepared;
    if (payload.len > 0) {
        sum += (uint64_t)command_reply_kind(payload.p[0]) + strlen(command_name(payload.p[0]));
    }
    if ((command_decode_stmt_id(payload, &id) == DEC_OK) != (payload.len >= 5)) {
        abort();
    }
    (void)command_decode_set_option(payload, &option);
    (void)command_decode_process_kill(payload, &id);
    (void)command_decode_fetch(payload, &fetch);
    (void)stmt_prepared_decode(payload, &prepared);
    if (command_decode_field_list(payload, &list) == DEC_OK) {
        touch(list.table);
        touch(list.wildcard);
    }
    if (command_decode_long_data(payload, &data) == DEC_OK) {
        touch(data.data);
    }
}

static void answers(struct span payload)
{
    struct auth_switch sw;
    struct span more;
    struct ok ok;
    struct errpkt err;
    if (auth_packet_kind(payload) == AUTH_PACKET_SWITCH &&
        auth_switch_decode(payload, &sw) == DEC_OK) {
        touch(sw.plugin);
        touch(sw.data);
    }
    if (auth_more_decode(payload, &more) == DEC_OK) {
        touch(more);
    }
    if (errpkt_decode(payload, &err) == DEC_OK) {
        touch(err.text);
        sum += strlen(err.sqlstate);
    }
    for (int has_track = 0; has_track < 2; has_track++) {
        if (ok_decode(payload, has_track != 0, &ok) == DEC_OK) {
            struct ok_tracks tracks;
            struct ok_track track;
            size_t count = 0;
            touch(ok.info);
            ok_tracks_init(&tracks, ok.tracks);
            while (ok_track_next(&tracks, &track) == DEC_OK) {
                touch(track.name);
                touch(track.value);
                if (++count > payload.len) {
                    abort();
                }
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    commands((struct span){bytes, size});
    answers((struct span){bytes, size});
    free(bytes);
    return 0;
}
