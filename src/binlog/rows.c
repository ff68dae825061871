/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as MySQL 5.6 to 9 and MariaDB 10 write them: an image of each row before and after, of the columns
 * that a bit set names. Only whole numbers are looked at; to get from one row to the next the others have
 * to be passed over, so a type of unknown length makes all of it not understood.
 */
#include <string.h>

#include "weir/cache/row.h"
#include "weir/protocol/wire.h"

#include "rows_priv.h"

/* Numbers as the servers write them. */
enum column_type {
    COLUMN_TINY = 1,
    COLUMN_SHORT = 2,
    COLUMN_LONG = 3,
    COLUMN_FLOAT = 4,
    COLUMN_DOUBLE = 5,
    COLUMN_LONGLONG = 8,
    COLUMN_INT24 = 9,
    COLUMN_DATE = 10,
    COLUMN_YEAR = 13,
    COLUMN_NEWDATE = 14,
    COLUMN_VARCHAR = 15,
    COLUMN_BIT = 16,
    COLUMN_TIMESTAMP2 = 17,
    COLUMN_DATETIME2 = 18,
    COLUMN_TIME2 = 19,
    COLUMN_VECTOR = 242,
    COLUMN_JSON = 245,
    COLUMN_NEWDECIMAL = 246,
    COLUMN_ENUM = 247,
    COLUMN_SET = 248,
    COLUMN_BLOB = 252,
    COLUMN_STRING = 254,
    COLUMN_GEOMETRY = 255,
};

struct span rows_schema(const struct rows_table *table)
{
    return span_of(table->schema);
}

struct span rows_name(const struct rows_table *table)
{
    return span_of(table->name);
}

/* --- tables --- */

static void metadata_read(struct wire *wire, struct rows_table *table)
{
    for (uint16_t i = 0; i < table->columns; i++) {
        switch (table->types[i]) { /* a number of a server's, not an enum of ours */
        case COLUMN_TINY:
        case COLUMN_SHORT:
        case COLUMN_LONG:
        case COLUMN_LONGLONG:
        case COLUMN_INT24:
        case COLUMN_DATE:
        case COLUMN_NEWDATE:
        case COLUMN_YEAR:
            table->metadata[i] = 0;
            break;
        case COLUMN_FLOAT:
        case COLUMN_DOUBLE:
        case COLUMN_TIMESTAMP2:
        case COLUMN_DATETIME2:
        case COLUMN_TIME2:
        case COLUMN_VECTOR:
        case COLUMN_JSON:
        case COLUMN_BLOB:
        case COLUMN_GEOMETRY:
            table->metadata[i] = wire_u8(wire);
            break;
        case COLUMN_VARCHAR:
        case COLUMN_BIT:
        case COLUMN_NEWDECIMAL:
        case COLUMN_STRING:
            table->metadata[i] = wire_u16(wire);
            break;
        default:
            wire_fail(wire);
            return;
        }
    }
}

static bool key_fits(const struct rows_table *table, const struct catalogue_key *key)
{
    static const struct {
        uint8_t bytes;
        uint8_t type;
    } types[] = {{1, COLUMN_TINY},
                 {2, COLUMN_SHORT},
                 {3, COLUMN_INT24},
                 {4, COLUMN_LONG},
                 {8, COLUMN_LONGLONG}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].bytes == key->bytes) {
            return key->position < table->columns && table->types[key->position] == types[i].type;
        }
    }
    return false;
}

static bool map_read(const struct event *event, struct rows_table *table)
{
    struct wire wire;
    struct wire metadata;
    struct span schema = {NULL, 0};
    struct span name = {NULL, 0};
    struct span types = {NULL, 0};
    uint64_t columns = 0;

    wire_init(&wire, event->body);
    wire_skip(&wire, 6 + 2);
    schema = wire_lenenc_bytes(&wire);
    wire_skip(&wire, 1);
    name = wire_lenenc_bytes(&wire);
    wire_skip(&wire, 1);
    columns = wire_lenenc(&wire);
    if (!wire_ok(&wire) || columns == 0 || columns > ROWS_COLUMNS || schema.len >= ROWS_NAME ||
        name.len >= ROWS_NAME) {
        return false;
    }
    types = wire_bytes(&wire, columns);
    wire_init(&metadata, wire_lenenc_bytes(&wire));
    if (!wire_ok(&wire)) {
        return false;
    }
    memcpy(table->types, types.p, types.len);
    table->columns = (uint16_t)columns;
    (void)span_copy(schema, table->schema, sizeof(table->schema));
    (void)span_copy(name, table->name, sizeof(table->name));
    metadata_read(&metadata, table);
    return wire_is_done(&metadata);
}

static bool id_read(const struct event *event, uint64_t *ret_id)
{
    struct wire wire;

    wire_init(&wire, event->body);
    *ret_id = wire_u32(&wire);
    *ret_id |= (uint64_t)wire_u16(&wire) << 32;
    return wire_ok(&wire);
}

struct rows_table *rows_find(struct rows *rows, const struct event *event)
{
    uint64_t id = 0;

    if (id_read(event, &id)) {
        for (uint32_t i = 0; i < rows->count; i++) {
            if (rows->tables[i].id == id) {
                return &rows->tables[i];
            }
        }
    }
    return NULL;
}

struct rows_table *rows_map(struct rows *rows, const struct event *event,
                            const struct catalogue_key *keys, size_t key_count)
{
    struct rows_table *table = rows_find(rows, event);
    uint64_t id = 0;

    if (table == NULL) {
        if (rows->count == ROWS_TABLES || !id_read(event, &id)) {
            return NULL;
        }
        table = &rows->tables[rows->count++];
        *table = (struct rows_table){.id = id};
    }
    table->is_whole = !map_read(event, table) || key_count == 0;
    table->key_count = key_count;
    for (size_t i = 0; i < key_count && !table->is_whole; i++) {
        table->keys[i] = keys[i];
        table->is_whole = keys[i].column.len >= ROWS_NAME || !key_fits(table, &keys[i]);
        if (!table->is_whole) {
            (void)span_copy(keys[i].column, table->key_names[i], ROWS_NAME);
            table->keys[i].column = span_of(table->key_names[i]);
        }
    }
    return table;
}

/* --- values --- */

static size_t decimal_bytes(uint16_t metadata)
{
    static const uint8_t bytes[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4}; /* of so many digits */
    size_t precision = metadata & 0xffU;
    size_t scale = metadata >> 8;
    size_t whole = precision > scale ? precision - scale : 0;

    return whole / 9 * 4 + bytes[whole % 9] + scale / 9 * 4 + bytes[scale % 9];
}

/* CHAR, ENUM and SET are one type there, told apart by the first byte, whose bits 4 and 5 are also the
 * upper ones, inverted, of a length above 255. */
static void string_skip(struct wire *wire, uint16_t metadata)
{
    uint8_t real = metadata & 0xffU;
    size_t len = metadata >> 8;

    if ((real & 0x30U) != 0x30U) {
        len |= (size_t)((real & 0x30U) ^ 0x30U) << 4;
        real |= 0x30U;
    }
    if (real == COLUMN_ENUM || real == COLUMN_SET) {
        wire_skip(wire, len);
    } else if (real == COLUMN_STRING) {
        wire_skip(wire, len > 255 ? wire_u16(wire) : wire_u8(wire));
    } else {
        wire_fail(wire);
    }
}

static void blob_skip(struct wire *wire, uint16_t length_bytes)
{
    switch (length_bytes) {
    case 1:
        wire_skip(wire, wire_u8(wire));
        break;
    case 2:
        wire_skip(wire, wire_u16(wire));
        break;
    case 3:
        wire_skip(wire, wire_u24(wire));
        break;
    case 4:
        wire_skip(wire, wire_u32(wire));
        break;
    default:
        wire_fail(wire);
        break;
    }
}

static void value_skip(struct wire *wire, uint8_t type, uint16_t metadata)
{
    switch (type) { /* as above */
    case COLUMN_TINY:
    case COLUMN_YEAR:
        wire_skip(wire, 1);
        break;
    case COLUMN_SHORT:
        wire_skip(wire, 2);
        break;
    case COLUMN_INT24:
    case COLUMN_DATE:
    case COLUMN_NEWDATE:
        wire_skip(wire, 3);
        break;
    case COLUMN_LONG:
    case COLUMN_FLOAT:
        wire_skip(wire, 4);
        break;
    case COLUMN_LONGLONG:
    case COLUMN_DOUBLE:
        wire_skip(wire, 8);
        break;
    case COLUMN_TIMESTAMP2:
        wire_skip(wire, 4 + (metadata + 1U) / 2);
        break;
    case COLUMN_DATETIME2:
        wire_skip(wire, 5 + (metadata + 1U) / 2);
        break;
    case COLUMN_TIME2:
        wire_skip(wire, 3 + (metadata + 1U) / 2);
        break;
    case COLUMN_NEWDECIMAL:
        wire_skip(wire, decimal_bytes(metadata));
        break;
    case COLUMN_BIT:
        wire_skip(wire, (size_t)(metadata >> 8) + ((metadata & 0xffU) != 0 ? 1 : 0));
        break;
    case COLUMN_VARCHAR:
        wire_skip(wire, metadata > 255 ? wire_u16(wire) : wire_u8(wire));
        break;
    case COLUMN_STRING:
        string_skip(wire, metadata);
        break;
    case COLUMN_BLOB:
    case COLUMN_JSON:
    case COLUMN_VECTOR:
    case COLUMN_GEOMETRY:
        blob_skip(wire, metadata);
        break;
    default:
        wire_fail(wire);
        break;
    }
}

/* 0: not one above 0. */
static uint64_t number_read(struct wire *wire, const struct catalogue_key *key)
{
    uint64_t value = 0;

    switch (key->bytes) {
    case 1:
        value = wire_u8(wire);
        break;
    case 2:
        value = wire_u16(wire);
        break;
    case 3:
        value = wire_u24(wire);
        break;
    case 4:
        value = wire_u32(wire);
        break;
    default:
        value = wire_u64(wire);
        break;
    }
    if (!key->is_unsigned && (value >> (8 * key->bytes - 1)) != 0) {
        return 0;
    }
    return value;
}

/* --- rows --- */

static bool bit_at(struct span bits, size_t index)
{
    return (bits.p[index / 8] >> (index % 8) & 1U) != 0;
}

static size_t bits_set(struct span bits, size_t count)
{
    size_t set = 0;

    for (size_t i = 0; i < count; i++) {
        set += bit_at(bits, i);
    }
    return set;
}

/* present: columns of the image. What it has no value of keeps that of values. */
static void image_read(struct wire *wire, const struct rows_table *table, struct span present,
                       uint64_t values[CATALOGUE_KEYS_MAX])
{
    struct span nulls = wire_bytes(wire, (bits_set(present, table->columns) + 7) / 8);
    size_t at = 0;

    for (uint16_t i = 0; i < table->columns && wire_ok(wire); i++) {
        size_t key = 0;
        bool is_null = false;

        if (!bit_at(present, i)) {
            continue;
        }
        is_null = bit_at(nulls, at++);
        while (key < table->key_count && table->keys[key].position != i) {
            key++;
        }
        if (key < table->key_count) {
            values[key] = is_null ? 0 : number_read(wire, &table->keys[key]);
        } else if (!is_null) {
            value_skip(wire, table->types[i], table->metadata[i]);
        }
    }
}

static bool is_version_2(const struct event *event)
{
    return event->type == EVENT_WRITE_ROWS || event->type == EVENT_UPDATE_ROWS ||
           event->type == EVENT_DELETE_ROWS;
}

static bool is_update(const struct event *event)
{
    return event->type == EVENT_UPDATE_ROWS || event->type == EVENT_UPDATE_ROWS_1;
}

static bool is_plain(const struct event *event)
{
    return is_version_2(event) || event->type == EVENT_WRITE_ROWS_1 ||
           event->type == EVENT_UPDATE_ROWS_1 || event->type == EVENT_DELETE_ROWS_1;
}

static bool add(struct version_writes *writes, const struct rows_table *table,
                const uint64_t values[CATALOGUE_KEYS_MAX])
{
    return cache_row_add(writes, &(struct cache_row_image){
                                     .schema = rows_schema(table),
                                     .name = rows_name(table),
                                     .keys = table->keys,
                                     .key_count = table->key_count,
                                     .values = values,
                                 });
}

bool rows_read(const struct event *event, const struct rows_table *table,
               struct version_writes *writes)
{
    size_t bytes = ((size_t)table->columns + 7) / 8;
    struct span before = {NULL, 0};
    struct span after = {NULL, 0};
    struct wire wire;

    if (!is_plain(event) || table->is_whole) {
        return false;
    }
    wire_init(&wire, event->body);
    wire_skip(&wire, 6 + 2);
    if (is_version_2(event)) {
        uint16_t extra = wire_u16(&wire); /* itself among it */

        if (extra < 2) {
            return false;
        }
        wire_skip(&wire, extra - 2U);
    }
    if (wire_lenenc(&wire) != table->columns) {
        return false;
    }
    before = wire_bytes(&wire, bytes);
    after = is_update(event) ? wire_bytes(&wire, bytes) : before;
    if (!wire_ok(&wire) || bits_set(before, table->columns) == 0) {
        return false; /* rows of no bytes */
    }
    while (wire_ok(&wire) && wire_left(&wire) > 0) {
        uint64_t values[CATALOGUE_KEYS_MAX] = {0};

        image_read(&wire, table, before, values);
        if (!wire_ok(&wire) || !add(writes, table, values)) {
            return false;
        }
        if (is_update(event)) {
            image_read(&wire, table, after, values);
            if (!wire_ok(&wire) || !add(writes, table, values)) {
                return false;
            }
        }
    }
    return wire_ok(&wire);
}
