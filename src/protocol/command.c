/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/command.h"

#include <stdbool.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"

struct command_def {
    const char *name; /* NULL: no such command */
    enum reply_kind reply;
};

static const struct command_def commands[256] = {
#define X(name, value, text, reply) [value] = {text, REPLY_##reply},
    COMMANDS(X)
#undef X
};

const char *command_name(uint8_t com)
{
    return commands[com].name != NULL ? commands[com].name : "Unknown";
}

bool command_is_known(uint8_t com)
{
    return commands[com].name != NULL;
}

enum reply_kind command_reply_kind(uint8_t com)
{
    return commands[com].name != NULL ? commands[com].reply : REPLY_SIMPLE;
}

enum dec_rc command_decode_stmt_id(struct span payload, uint32_t *ret_id)
{
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    uint32_t id = wire_u32(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_id = id;
    return DEC_OK;
}

bool command_set_stmt_id(uint8_t *payload, size_t len, uint32_t id)
{
    struct wire_out out;
    if (len < 5) {
        return false;
    }
    wire_out_array(&out, payload + 1, 4);
    wire_put_u32(&out, id);
    return wire_out_ok(&out);
}

enum dec_rc command_decode_set_option(struct span payload, uint16_t *ret_option)
{
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    uint16_t option = wire_u16(&wire);
    if (!wire_is_done(&wire)) {
        return DEC_BAD;
    }
    *ret_option = option;
    return DEC_OK;
}

enum dec_rc command_decode_process_kill(struct span payload, uint32_t *ret_id)
{
    return command_decode_stmt_id(payload, ret_id);
}

enum dec_rc command_decode_field_list(struct span payload, struct command_field_list *ret_list)
{
    struct command_field_list list;
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    list.table = wire_nul(&wire);
    list.wildcard = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    if (list.wildcard.len > 0 && list.wildcard.p[list.wildcard.len - 1] == 0) {
        list.wildcard.len--;
    }
    *ret_list = list;
    return DEC_OK;
}

enum dec_rc command_decode_long_data(struct span payload, struct command_long_data *ret_data)
{
    struct command_long_data data;
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    data.stmt_id = wire_u32(&wire);
    data.param = wire_u16(&wire);
    data.data = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_data = data;
    return DEC_OK;
}

enum dec_rc command_decode_fetch(struct span payload, struct command_fetch *ret_fetch)
{
    struct command_fetch fetch;
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    fetch.stmt_id = wire_u32(&wire);
    fetch.rows = wire_u32(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_fetch = fetch;
    return DEC_OK;
}

size_t command_query_head(uint8_t head[COMMAND_QUERY_HEAD], size_t text_len, uint64_t caps)
{
    bool has_attrs = (caps & CAP_QUERY_ATTRIBUTES) != 0;
    size_t len = FRAME_HEADER + (has_attrs ? 3U : 1U);

    frame_encode(head, (uint32_t)(len - FRAME_HEADER + text_len), 0);
    head[FRAME_HEADER] = COM_QUERY;
    if (has_attrs) {
        head[FRAME_HEADER + 1] = 0; /* none, */
        head[FRAME_HEADER + 2] = 1; /* in one set */
    }
    return len;
}

void command_encode(struct wire_out *out, uint8_t com, struct span body)
{
    wire_put_u8(out, com);
    wire_put_bytes(out, body);
}

void command_encode_u32(struct wire_out *out, uint8_t com, uint32_t value)
{
    wire_put_u8(out, com);
    wire_put_u32(out, value);
}

void command_encode_set_option(struct wire_out *out, uint16_t option)
{
    wire_put_u8(out, COM_SET_OPTION);
    wire_put_u16(out, option);
}
