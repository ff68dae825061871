/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/result.h"

#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"

#define COLLATION_UTF8MB4 45u /* utf8mb4_general_ci: both servers and all clients know it */
#define COLLATION_BINARY  63u
#define FLAG_NOT_NULL     0x0001u
#define FLAG_BINARY       0x0080u
#define FLAG_NUM          0x8000u

static bool has(const struct result *result, uint64_t cap)
{
    return (result->caps & cap) != 0;
}

static void put_ok_packet(struct result *result, uint8_t header, const struct result_ok *ok)
{
    bool has_tracks = ok->tracks.len > 0 && has(result, CAP_SESSION_TRACK);
    uint16_t status = (uint16_t)(result->status & ~STATUS_SESSION_STATE);
    size_t mark = frame_begin(result->out);

    wire_put_u8(result->out, header);
    wire_put_lenenc(result->out, ok->affected);
    wire_put_lenenc(result->out, ok->insert_id);
    wire_put_u16(result->out, (uint16_t)(status | (has_tracks ? STATUS_SESSION_STATE : 0)));
    wire_put_u16(result->out, ok->warnings);
    if (ok->info.len > 0 || has_tracks) {
        wire_put_lenenc_bytes(result->out, ok->info);
    }
    if (has_tracks) {
        wire_put_lenenc_bytes(result->out, ok->tracks);
    }
    frame_end(result->out, mark, &result->seq);
}

static void put_eof_packet(struct result *result, uint16_t warnings)
{
    size_t mark = frame_begin(result->out);
    wire_put_u8(result->out, 0xfe);
    wire_put_u16(result->out, warnings);
    wire_put_u16(result->out, (uint16_t)(result->status & ~STATUS_SESSION_STATE));
    frame_end(result->out, mark, &result->seq);
}

void result_put_ok(struct result *result, const struct result_ok *ok)
{
    static const struct result_ok nothing = {0};
    put_ok_packet(result, 0x00, ok != NULL ? ok : &nothing);
}

void result_put_err(struct result *result, uint16_t code, const char *sqlstate, struct span text)
{
    size_t mark = frame_begin(result->out);
    wire_put_u8(result->out, 0xff);
    wire_put_u16(result->out, code);
    if (sqlstate != NULL) {
        wire_put_u8(result->out, '#');
        wire_put_bytes(result->out, (struct span){(const uint8_t *)sqlstate, 5});
    }
    wire_put_bytes(result->out, text);
    frame_end(result->out, mark, &result->seq);
}

void result_put_eof(struct result *result, uint16_t warnings)
{
    struct result_ok ok = {.warnings = warnings};
    if (has(result, CAP_DEPRECATE_EOF)) {
        put_ok_packet(result, 0xfe, &ok);
    } else {
        put_eof_packet(result, warnings);
    }
}

static void put_column(struct result *result, const struct result_column *column)
{
    struct span name = span_of(column->name);
    bool is_text = column->type == RESULT_TYPE_STRING;
    size_t mark = frame_begin(result->out);

    wire_put_lenenc_bytes(result->out, SPAN_LIT("def"));
    wire_put_zero(result->out, 3); /* schema, table, original table: none */
    wire_put_lenenc_bytes(result->out, name);
    wire_put_zero(result->out, 1); /* original name */
    if (has(result, CAP_MARIADB_EXTENDED_METADATA)) {
        wire_put_zero(result->out, 1); /* nothing more to say of the type */
    }
    wire_put_lenenc(result->out, 0x0c);
    wire_put_u16(result->out, is_text ? COLLATION_UTF8MB4 : COLLATION_BINARY);
    wire_put_u32(result->out, is_text ? column->length * 4 : column->length);
    wire_put_u8(result->out, (uint8_t)column->type);
    wire_put_u16(result->out, is_text ? FLAG_NOT_NULL : FLAG_NOT_NULL | FLAG_BINARY | FLAG_NUM);
    wire_put_u8(result->out, is_text ? 0x1f : 0); /* decimals: 31 for "no fixed number" */
    wire_put_zero(result->out, 2);
    frame_end(result->out, mark, &result->seq);
}

static void put_definitions(struct result *result, const struct result_column *columns,
                            uint16_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_column(result, &columns[i]);
    }
    if (!has(result, CAP_DEPRECATE_EOF)) {
        put_eof_packet(result, 0);
    }
}

void result_put_columns(struct result *result, const struct result_column *columns, uint16_t count)
{
    size_t mark = frame_begin(result->out);
    wire_put_lenenc(result->out, count);
    frame_end(result->out, mark, &result->seq);
    put_definitions(result, columns, count);
}

void result_put_prepared(struct result *result, uint32_t id, const struct result_column *columns,
                         uint16_t count)
{
    size_t mark = frame_begin(result->out);
    wire_put_u8(result->out, 0);
    wire_put_u32(result->out, id);
    wire_put_u16(result->out, count);
    wire_put_zero(result->out, 2 + 1 + 2); /* parameters, filler, warnings */
    frame_end(result->out, mark, &result->seq);
    put_definitions(result, columns, count);
}

void result_put_row_binary(struct result *result, const struct span *values, uint16_t count)
{
    size_t mark = frame_begin(result->out);
    wire_put_u8(result->out, 0);
    for (size_t byte = 0; byte < ((size_t)count + 2 + 7) / 8; byte++) {
        unsigned nulls = 0;

        for (size_t bit = byte == 0 ? 2 : 0; bit < 8 && byte * 8 + bit - 2 < count; bit++) {
            nulls |= values[byte * 8 + bit - 2].p == NULL ? 1U << bit : 0;
        }
        wire_put_u8(result->out, (uint8_t)nulls);
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i].p != NULL) {
            wire_put_lenenc_bytes(result->out, values[i]);
        }
    }
    frame_end(result->out, mark, &result->seq);
}

void result_put_row(struct result *result, const struct span *values, uint16_t count)
{
    size_t mark = frame_begin(result->out);
    for (size_t i = 0; i < count; i++) {
        if (values[i].p == NULL) {
            wire_put_u8(result->out, 0xfb);
        } else {
            wire_put_lenenc_bytes(result->out, values[i]);
        }
    }
    frame_end(result->out, mark, &result->seq);
}

void result_put_end(struct result *result, uint16_t warnings)
{
    result_put_eof(result, warnings);
}

void result_track_put(struct wire_out *out, uint8_t type, struct span value)
{
    uint8_t head = type == 3 ? 1 : 0; /* GTIDs have an encoding byte in front */
    wire_put_u8(out, type);
    if (type == 2) { /* state change: a bare '1' */
        wire_put_lenenc_bytes(out, value);
        return;
    }
    wire_put_lenenc(out, head + wire_lenenc_size(value.len) + value.len);
    wire_put_zero(out, head);
    wire_put_lenenc_bytes(out, value);
}

void result_track_put_var(struct wire_out *out, struct span name, struct span value)
{
    wire_put_u8(out, 0);
    wire_put_lenenc(out, wire_lenenc_size(name.len) + name.len + wire_lenenc_size(value.len) +
                             value.len);
    wire_put_lenenc_bytes(out, name);
    wire_put_lenenc_bytes(out, value);
}
