/* SPDX-License-Identifier: Apache-2.0 */
/* COM_STMT_EXECUTE: number of parameters in the first two bytes. A rewritten packet means the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/stmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stmt_execute got;
    struct stmt_execute again;
    struct wire_out out;
    if (size < 2) {
        return 0;
    }
    uint16_t params = (uint16_t)(data[0] | (data[1] & 0x03) << 8);
    size_t len = size - 2;
    size_t cap = len + 4096;
    uint8_t *bytes = malloc(len + 1);
    uint8_t *array = malloc(cap);
    uint8_t *types = calloc(1, 2 * (size_t)params + 1);
    if (bytes != NULL && array != NULL && types != NULL) {
        memcpy(bytes, data + 2, len);
        struct span remembered = {types, 2 * (size_t)params};
        if (stmt_execute_decode((struct span){bytes, len}, params, &got) == DEC_OK) {
            enum dec_rc values = stmt_execute_check_values(&got, params, remembered, NULL);
            wire_out_array(&out, array, cap);
            stmt_execute_encode(&out, &got, ~got.id, remembered, params);
            if (!wire_out_ok(&out) ||
                stmt_execute_decode((struct span){array, out.len}, params, &again) != DEC_OK ||
                again.id != (uint32_t)~got.id || again.flags != got.flags ||
                !span_eq(again.nulls, got.nulls) || !span_eq(again.values, got.values) ||
                (params > 0 && !again.has_types) ||
                stmt_execute_check_values(&again, params, (struct span){NULL, 0}, NULL) != values) {
                abort();
            }
        }
    }
    free(bytes);
    free(array);
    free(types);
    return 0;
}
