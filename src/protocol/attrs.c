/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/attrs.h"

#include "weir/protocol/stmt.h"

#include "stmt_priv.h"

enum {
    TYPE_VARCHAR = 0x0f,
    TYPE_BLOBS = 0xf9, /* and what is above it but GEOMETRY */
    TYPE_GEOMETRY = 0xff,
};

static bool is_text(uint8_t type)
{
    return type == TYPE_VARCHAR || (type >= TYPE_BLOBS && type != TYPE_GEOMETRY);
}

static bool bit_at(struct span bits, uint32_t at)
{
    return (bits.p[at / 8] >> (at % 8) & 1) != 0;
}

/* The next value. *ret_is_null: it has no bytes at all. */
static struct span take(struct attrs *attrs, uint32_t at, struct span *ret_name, bool *ret_is_null)
{
    uint8_t type = wire_u8(&attrs->types);
    struct span text = {NULL, 0};

    wire_skip(&attrs->types, 1);
    *ret_name = wire_lenenc_bytes(&attrs->types);
    *ret_is_null = bit_at(attrs->nulls, at);
    if (!wire_ok(&attrs->types) || *ret_is_null) {
        return text;
    }
    if (is_text(type)) {
        return wire_lenenc_bytes(&attrs->values);
    }
    stmt_skip_value(&attrs->values, type);
    return text;
}

enum dec_rc attrs_query_decode(struct span payload, struct attrs *ret_attrs, size_t *ret_at)
{
    struct attrs attrs = {.count = 0};
    struct wire wire;
    struct span name;
    bool is_null = false;

    wire_init(&wire, payload);
    wire_skip(&wire, 1);
    uint64_t count = wire_lenenc(&wire);
    uint64_t sets = wire_lenenc(&wire);

    if (!wire_ok(&wire) || sets != 1 || count > ATTRS_MAX) {
        return DEC_BAD;
    }
    if (count > 0) {
        attrs.count = (uint32_t)count;
        attrs.nulls = wire_bytes(&wire, ((size_t)count + 7) / 8);
        if (wire_u8(&wire) != 1 || !wire_ok(&wire)) {
            return DEC_BAD;
        }
        attrs.types = wire;
        for (uint32_t i = 0; i < count; i++) {
            wire_skip(&wire, 2);
            (void)wire_lenenc_bytes(&wire);
        }
        attrs.values = wire;
        struct attrs walk = attrs;
        for (uint32_t i = 0; i < count; i++) {
            (void)take(&walk, i, &name, &is_null);
        }
        wire = walk.values;
    }
    if (!wire_ok(&wire)) {
        return DEC_BAD;
    }
    *ret_attrs = attrs;
    *ret_at = (size_t)(wire.p - payload.p);
    return DEC_OK;
}

void attrs_of_execute(const struct stmt_execute *execute, uint16_t params, struct attrs *ret_attrs)
{
    struct span name;
    bool is_null = false;

    *ret_attrs = (struct attrs){.count = 0};
    if (!execute->is_named || !execute->has_types || execute->count <= params) {
        return;
    }
    *ret_attrs = (struct attrs){.count = execute->count, .from = params, .nulls = execute->nulls};
    wire_init(&ret_attrs->types, execute->types);
    wire_init(&ret_attrs->values, execute->values);
    for (uint32_t i = 0; i < params; i++) {
        (void)take(ret_attrs, i, &name, &is_null);
    }
}

bool attrs_next(struct attrs *attrs, struct attr *ret_attr)
{
    struct attr attr = {.is_null = false};

    if (attrs->from >= attrs->count) {
        return false;
    }
    attr.text = take(attrs, attrs->from, &attr.name, &attr.is_null);
    if (!wire_ok(&attrs->types) || !wire_ok(&attrs->values)) {
        attrs->from = attrs->count;
        return false;
    }
    attrs->from++;
    *ret_attr = attr;
    return true;
}
