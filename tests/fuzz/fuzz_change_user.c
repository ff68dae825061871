/* SPDX-License-Identifier: Apache-2.0 */
/* COM_CHANGE_USER behind its command byte: limits hold, and a round trip gives the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct login got;
    struct login again;
    struct wire_out out;
    if (size < 1) {
        return 0;
    }
    uint64_t caps = CAP_PROTOCOL_41;
    caps |= data[0] & 1 ? CAP_SECURE_CONNECTION : 0;
    caps |= data[0] & 2 ? CAP_PLUGIN_AUTH : 0;
    caps |= data[0] & 4 ? CAP_CONNECT_ATTRS : 0;
    size_t len = size - 1;
    uint8_t *bytes = malloc(len + 1);
    uint8_t *array = malloc(len + 64);
    if (bytes != NULL && array != NULL) {
        memcpy(bytes, data + 1, len);
        if (login_decode_change_user((struct span){bytes, len}, caps, &got) == DEC_OK) {
            if (got.user.len > LOGIN_MAX_USER || got.db.len > LOGIN_MAX_DB ||
                got.attrs.len > LOGIN_MAX_ATTRS || got.auth.len > LOGIN_MAX_AUTH) {
                abort();
            }
            got.caps = caps | CAP_SECURE_CONNECTION;
            wire_out_array(&out, array, len + 64);
            login_encode_change_user(&out, &got);
            if (wire_out_ok(&out) &&
                (login_decode_change_user((struct span){array + 1, out.len - 1}, got.caps,
                                          &again) != DEC_OK ||
                 !span_eq(again.user, got.user) || !span_eq(again.auth, got.auth) ||
                 !span_eq(again.db, got.db) || again.collation != got.collation ||
                 !span_eq(again.plugin, got.plugin) || !span_eq(again.attrs, got.attrs))) {
                abort();
            }
        }
    }
    free(bytes);
    free(array);
    return 0;
}
