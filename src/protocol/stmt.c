/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/stmt.h"

#include <inttypes.h>
#include <stdio.h>

#include "weir/protocol/attrs.h"
#include "weir/protocol/command.h"

#include "stmt_priv.h"

enum dec_rc stmt_prepared_decode(struct span payload, struct stmt_prepared *ret_prepared)
{
    struct stmt_prepared prepared;
    struct wire wire;
    wire_init(&wire, payload);
    if (wire_u8(&wire) != 0) {
        return DEC_BAD;
    }
    prepared.id = wire_u32(&wire);
    prepared.columns = wire_u16(&wire);
    prepared.params = wire_u16(&wire);
    wire_skip(&wire, 1);
    prepared.warnings = wire_u16(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_prepared = prepared;
    return DEC_OK;
}

enum dec_rc stmt_execute_decode(struct span payload, uint16_t params,
                                struct stmt_execute *ret_execute)
{
    struct stmt_execute execute = {0};
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    execute.id = wire_u32(&wire);
    execute.flags = wire_u8(&wire);
    execute.iterations = wire_u32(&wire);
    if (params > 0) {
        execute.nulls = wire_bytes(&wire, ((size_t)params + 7) / 8);
        execute.has_types = wire_u8(&wire) == 1;
        if (execute.has_types) {
            execute.types = wire_bytes(&wire, (size_t)params * 2);
        }
    }
    execute.values = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_execute = execute;
    return DEC_OK;
}

enum dec_rc stmt_execute_named_decode(struct span payload, uint16_t params,
                                      struct stmt_execute *ret_execute)
{
    struct stmt_execute execute = {.is_named = true};
    uint64_t count = params;
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    execute.id = wire_u32(&wire);
    execute.flags = wire_u8(&wire);
    execute.iterations = wire_u32(&wire);
    execute.has_count = params > 0 || (execute.flags & STMT_PARAMETER_COUNT) != 0;
    if (execute.has_count) {
        count = wire_lenenc(&wire);
    }
    if (!wire_ok(&wire) || count > ATTRS_MAX || count < params) {
        return DEC_BAD;
    }
    execute.count = (uint32_t)count;
    if (count > 0) {
        execute.nulls = wire_bytes(&wire, ((size_t)count + 7) / 8);
        execute.has_types = wire_u8(&wire) == 1;
    }
    if (execute.has_types) {
        execute.types.p = wire.p;
        for (uint32_t i = 0; i < execute.count; i++) {
            wire_skip(&wire, 2);
            (void)wire_lenenc_bytes(&wire);
        }
        execute.types.len = wire_ok(&wire) ? (size_t)(wire.p - execute.types.p) : 0;
    } else if (count != params) {
        return DEC_BAD; /* attributes have names */
    }
    execute.values = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_execute = execute;
    return DEC_OK;
}

void stmt_execute_types(const struct stmt_execute *execute, uint16_t params, uint8_t *types)
{
    struct wire wire;
    wire_init(&wire, execute->types);
    for (uint32_t i = 0; i < params; i++) {
        struct span type = wire_bytes(&wire, 2);
        types[2 * i] = type.len == 2 ? type.p[0] : 0;
        types[2 * i + 1] = type.len == 2 ? type.p[1] : 0;
        if (execute->is_named) {
            (void)wire_lenenc_bytes(&wire);
        }
    }
}

enum dec_rc stmt_bulk_decode(struct span payload, uint16_t params, struct stmt_execute *ret_execute)
{
    struct stmt_execute execute = {.is_bulk = true};
    struct wire wire;
    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    execute.id = wire_u32(&wire);
    execute.bulk_flags = wire_u16(&wire);
    execute.has_types = params > 0 && (execute.bulk_flags & STMT_BULK_SEND_TYPES) != 0;
    if (execute.has_types) {
        execute.types = wire_bytes(&wire, (size_t)params * 2);
    }
    execute.values = wire_rest(&wire);
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_execute = execute;
    return DEC_OK;
}

void stmt_skip_value(struct wire *wire, uint8_t type)
{
    switch (type) {
    case 0x06: /* NULL */
        break;
    case 0x01: /* TINY */
        wire_skip(wire, 1);
        break;
    case 0x02: /* SHORT */
    case 0x0d: /* YEAR */
        wire_skip(wire, 2);
        break;
    case 0x03: /* LONG */
    case 0x04: /* FLOAT */
    case 0x09: /* INT24 */
        wire_skip(wire, 4);
        break;
    case 0x05: /* DOUBLE */
    case 0x08: /* LONGLONG */
        wire_skip(wire, 8);
        break;
    case 0x07: /* TIMESTAMP */
    case 0x0a: /* DATE */
    case 0x0b: /* TIME */
    case 0x0c: /* DATETIME */
        wire_skip(wire, wire_u8(wire));
        break;
    case 0x00: /* DECIMAL and everything below: length-encoded bytes */
    case 0x0f: /* VARCHAR */
    case 0x10: /* BIT */
    case 0xf2: /* VECTOR */
    case 0xf5: /* JSON */
    case 0xf6: /* NEWDECIMAL */
    case 0xf7: /* ENUM */
    case 0xf8: /* SET */
    case 0xf9: /* TINY_BLOB */
    case 0xfa: /* MEDIUM_BLOB */
    case 0xfb: /* LONG_BLOB */
    case 0xfc: /* BLOB */
    case 0xfd: /* VAR_STRING */
    case 0xfe: /* STRING */
    case 0xff: /* GEOMETRY */
        (void)wire_lenenc_bytes(wire);
        break;
    default:
        wire_fail(wire);
        break;
    }
}

static bool bit_at(const uint8_t *bits, uint32_t at)
{
    return (bits[at / 8] >> (at % 8) & 1) != 0;
}

enum dec_rc stmt_execute_check_values(const struct stmt_execute *execute, uint16_t params,
                                      struct span types, const uint8_t *long_data)
{
    struct wire wire;
    if (execute->has_types) {
        types = execute->types;
    }
    if (params == 0) {
        return DEC_OK;
    }
    if (types.len != (size_t)params * 2 || execute->nulls.len != ((size_t)params + 7) / 8) {
        return DEC_BAD;
    }
    wire_init(&wire, execute->values);
    for (uint32_t i = 0; i < params; i++) {
        if (!bit_at(execute->nulls.p, i) && (long_data == NULL || !bit_at(long_data, i))) {
            stmt_skip_value(&wire, types.p[(size_t)i * 2]);
        }
    }
    return wire_is_done(&wire) ? DEC_OK : DEC_BAD;
}

/* False: no integer. */
static bool integer_take(struct wire *wire, struct span type, char *digits, struct span *ret_value)
{
    bool is_unsigned = (type.p[1] & 0x80U) != 0;
    uint64_t value = 0;
    int len = 0;

    switch (type.p[0]) {
    case 0x01: /* TINY */
        value = wire_u8(wire);
        value = is_unsigned ? value : (uint64_t)(int64_t)(int8_t)value;
        break;
    case 0x02: /* SHORT */
        value = wire_u16(wire);
        value = is_unsigned ? value : (uint64_t)(int64_t)(int16_t)value;
        break;
    case 0x03: /* LONG */
    case 0x09: /* INT24 */
        value = wire_u32(wire);
        value = is_unsigned ? value : (uint64_t)(int64_t)(int32_t)value;
        break;
    case 0x08: /* LONGLONG */
        value = wire_u64(wire);
        break;
    default:
        return false;
    }
    len = is_unsigned ? snprintf(digits, STMT_DIGITS_MAX, "%" PRIu64, value)
                      : snprintf(digits, STMT_DIGITS_MAX, "%" PRId64, (int64_t)value);
    *ret_value = (struct span){(const uint8_t *)digits, (size_t)len};
    return true;
}

bool stmt_execute_value(const struct stmt_execute *execute, uint16_t params, struct span types,
                        uint16_t index, char digits[STMT_DIGITS_MAX], struct span *ret_value)
{
    struct span type = {NULL, 0};
    struct span value = {NULL, 0};
    struct wire wire;

    if (execute->is_bulk || index >= params || types.len != (size_t)params * 2 ||
        execute->nulls.p == NULL || execute->nulls.len < ((size_t)params + 7) / 8 ||
        bit_at(execute->nulls.p, index)) {
        return false;
    }
    wire_init(&wire, execute->values);
    for (uint32_t i = 0; i < index; i++) {
        if (!bit_at(execute->nulls.p, i)) {
            stmt_skip_value(&wire, types.p[(size_t)i * 2]);
        }
    }
    type = (struct span){types.p + (size_t)index * 2, 2};
    if (!integer_take(&wire, type, digits, &value)) {
        if (type.p[0] != 0x0f && type.p[0] != 0xfd && type.p[0] != 0xfe) {
            return false; /* not VARCHAR, VAR_STRING, STRING */
        }
        value = wire_lenenc_bytes(&wire);
    }
    if (!wire_ok(&wire)) {
        return false;
    }
    *ret_value = value;
    return true;
}

enum dec_rc stmt_bulk_check_values(const struct stmt_execute *execute, uint16_t params,
                                   struct span types, uint32_t *ret_rows)
{
    enum {
        INDICATOR_NONE,
        INDICATOR_NULL,
        INDICATOR_DEFAULT,
        INDICATOR_IGNORE
    };
    struct wire wire;
    uint32_t rows = 0;
    if (execute->has_types) {
        types = execute->types;
    }
    if (params == 0 || types.len != (size_t)params * 2 || execute->values.len == 0) {
        return DEC_BAD;
    }
    wire_init(&wire, execute->values);
    while (wire_left(&wire) > 0) {
        for (uint32_t i = 0; i < params; i++) {
            uint8_t indicator = wire_u8(&wire);

            if (indicator == INDICATOR_NONE) {
                stmt_skip_value(&wire, types.p[(size_t)i * 2]);
            } else if (indicator > INDICATOR_IGNORE) {
                wire_fail(&wire);
            }
        }
        rows++;
    }
    if (!wire_is_done(&wire)) {
        return DEC_BAD;
    }
    *ret_rows = rows;
    return DEC_OK;
}

static void bulk_encode(struct wire_out *out, const struct stmt_execute *execute, uint32_t id,
                        struct span types, uint16_t params)
{
    unsigned flags = execute->bulk_flags | (types.len > 0 ? STMT_BULK_SEND_TYPES : 0);
    if (types.len != (size_t)params * 2) {
        out->failed = true;
        return;
    }
    wire_put_u8(out, COM_MARIADB_STMT_BULK_EXECUTE);
    wire_put_u32(out, id);
    wire_put_u16(out, (uint16_t)flags);
    wire_put_bytes(out, types);
    wire_put_bytes(out, execute->values);
}

static void named_encode(struct wire_out *out, const struct stmt_execute *execute,
                         struct span types, uint16_t params)
{
    if (execute->has_count) {
        wire_put_lenenc(out, execute->count);
    }
    if (execute->count > 0) {
        wire_put_bytes(out, execute->nulls);
        wire_put_u8(out, 1);
    }
    if (execute->has_types) {
        wire_put_bytes(out, execute->types);
    } else if (types.len != (size_t)params * 2) {
        out->failed = true;
    } else {
        for (uint32_t i = 0; i < params; i++) {
            wire_put_bytes(out, (struct span){types.p + (size_t)2 * i, 2});
            wire_put_lenenc(out, 0); /* no name */
        }
    }
    wire_put_bytes(out, execute->values);
}

size_t stmt_execute_grows(const struct stmt_execute *execute, uint16_t params)
{
    return execute->has_types ? 0 : (size_t)params * (execute->is_named ? 3 : 2);
}

void stmt_execute_encode(struct wire_out *out, const struct stmt_execute *execute, uint32_t id,
                         struct span types, uint16_t params)
{
    if (execute->has_types && !execute->is_named) {
        types = execute->types;
    }
    if (execute->is_bulk) {
        bulk_encode(out, execute, id, types, params);
        return;
    }
    wire_put_u8(out, COM_STMT_EXECUTE);
    wire_put_u32(out, id);
    wire_put_u8(out, execute->flags);
    wire_put_u32(out, execute->iterations);
    if (execute->is_named) {
        named_encode(out, execute, types, params);
        return;
    }
    if (params > 0) {
        /* Without types the server would take those of another statement, or none. */
        if (types.len != (size_t)params * 2) {
            out->failed = true;
            return;
        }
        wire_put_bytes(out, execute->nulls);
        wire_put_u8(out, 1);
        wire_put_bytes(out, types);
    }
    wire_put_bytes(out, execute->values);
}
