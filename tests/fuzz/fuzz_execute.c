/* SPDX-License-Identifier: Apache-2.0 */
/* COM_STMT_EXECUTE, or MariaDB's COM_STMT_BULK_EXECUTE with the highest bit of the second byte, or with
 * query attributes by the next one: number of parameters in the first two bytes. A rewritten packet means the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/attrs.h"
#include "weir/protocol/stmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum dec_rc decode(bool is_bulk, struct span payload, uint16_t params,
                          struct stmt_execute *ret_execute)
{
    return is_bulk ? stmt_bulk_decode(payload, params, ret_execute)
                   : stmt_execute_decode(payload, params, ret_execute);
}

static enum dec_rc check(const struct stmt_execute *execute, uint16_t params, struct span types,
                         uint32_t *ret_rows)
{
    return execute->is_bulk ? stmt_bulk_check_values(execute, params, types, ret_rows)
                            : stmt_execute_check_values(execute, params, types, NULL);
}

static void is_same(const struct stmt_execute *got, const struct stmt_execute *again,
                    uint16_t params, struct span types)
{
    uint32_t rows = 0;
    uint32_t rows_again = 0;
    enum dec_rc values = check(got, params, types, &rows);
    unsigned flags = got->bulk_flags | (got->is_bulk && params > 0 ? STMT_BULK_SEND_TYPES : 0);

    if (again->id != (uint32_t)~got->id || again->flags != got->flags ||
        again->bulk_flags != flags || !span_eq(again->nulls, got->nulls) ||
        !span_eq(again->values, got->values) || (params > 0 && !again->has_types) ||
        check(again, params, (struct span){NULL, 0}, &rows_again) != values || rows != rows_again) {
        abort();
    }
}

static void walk(struct attrs *attrs, uint32_t most)
{
    struct attr attr;

    while (attrs_next(attrs, &attr)) {
        if (most-- == 0) {
            abort();
        }
    }
}

/* The same bytes as a COM_QUERY and as an EXECUTE of who has agreed on attributes. */
static void named(struct span payload, uint16_t params, struct span types, uint8_t *array,
                  size_t cap)
{
    struct attrs attrs;
    struct stmt_execute got;
    struct stmt_execute again;
    struct wire_out out;
    size_t at = 0;

    if (attrs_query_decode(payload, &attrs, &at) == DEC_OK) {
        if (at > payload.len) {
            abort();
        }
        walk(&attrs, attrs.count);
    }
    if (stmt_execute_named_decode(payload, params, &got) != DEC_OK) {
        return;
    }
    attrs_of_execute(&got, params, &attrs);
    walk(&attrs, got.count - params);
    wire_out_array(&out, array, cap);
    stmt_execute_encode(&out, &got, ~got.id, types, params);
    if (!wire_out_ok(&out) ||
        stmt_execute_named_decode((struct span){array, out.len}, params, &again) != DEC_OK ||
        again.count != got.count || again.flags != got.flags ||
        again.has_types != (got.has_types || got.count > 0) || !span_eq(again.nulls, got.nulls) ||
        !span_eq(again.values, got.values)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stmt_execute got;
    struct stmt_execute again;
    struct wire_out out;
    if (size < 2) {
        return 0;
    }
    uint16_t params = (uint16_t)(data[0] | (data[1] & 0x03) << 8);
    bool is_bulk = (data[1] & 0x80) != 0;
    size_t len = size - 2;
    size_t cap = len + 4096;
    uint8_t *bytes = malloc(len + 1);
    uint8_t *array = malloc(cap);
    uint8_t *types = calloc(1, 2 * (size_t)params + 1);
    if (bytes != NULL && array != NULL && types != NULL) {
        memcpy(bytes, data + 2, len);
        struct span remembered = {types, 2 * (size_t)params};
        if ((data[1] & 0x40) != 0) {
            named((struct span){bytes, len}, params, remembered, array, cap);
        } else if (decode(is_bulk, (struct span){bytes, len}, params, &got) == DEC_OK) {
            wire_out_array(&out, array, cap);
            stmt_execute_encode(&out, &got, ~got.id, remembered, params);
            if (!wire_out_ok(&out) ||
                decode(is_bulk, (struct span){array, out.len}, params, &again) != DEC_OK) {
                abort();
            }
            is_same(&got, &again, params, remembered);
        }
    }
    free(bytes);
    free(array);
    free(types);
    return 0;
}
