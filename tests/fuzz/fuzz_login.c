/* SPDX-License-Identifier: Apache-2.0 */
/* The login packet, and a greeting. What is decoded is encoded again, decodes to the same, and
 * stays within its limits. First byte: which flags were offered, or greeting. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right) {
        abort();
    }
}

static bool is_inside(struct span s, const uint8_t *bytes, size_t len)
{
    return s.len == 0 || (s.p >= bytes && s.p + s.len <= bytes + len);
}

static void login(const uint8_t *bytes, size_t len, uint64_t offered)
{
    struct login got;
    struct login again;
    struct wire_out out;
    uint8_t *array = NULL;
    if (login_decode((struct span){bytes, len}, offered, &got) != DEC_OK || got.is_ssl_request) {
        return;
    }
    check(is_inside(got.user, bytes, len) && is_inside(got.auth, bytes, len) &&
          is_inside(got.db, bytes, len) && is_inside(got.plugin, bytes, len) &&
          is_inside(got.attrs, bytes, len));
    check(got.user.len <= LOGIN_MAX_USER && got.auth.len <= LOGIN_MAX_AUTH &&
          got.db.len <= LOGIN_MAX_DB && got.attrs.len <= LOGIN_MAX_ATTRS);
    struct wire pairs;
    struct span key;
    struct span value;
    wire_init(&pairs, got.attrs);
    while (login_attr_next(&pairs, &key, &value)) {
        check(is_inside(key, bytes, len) && is_inside(value, bytes, len));
    }
    check(wire_is_done(&pairs));

    got.caps &= offered;
    array = malloc(len + 64);
    if (array == NULL) {
        return;
    }
    wire_out_array(&out, array, len + 64);
    login_encode(&out, &got);
    if (wire_out_ok(&out)) {
        check(login_decode((struct span){array, out.len}, offered, &again) == DEC_OK);
        check(again.is_ssl_request ||
              (span_eq(again.user, got.user) && span_eq(again.auth, got.auth)));
    }
    free(array);
}

static void greeting(const uint8_t *bytes, size_t len)
{
    struct greet got;
    struct greet again;
    struct wire_out out;
    uint8_t array[1024];
    if (greet_decode((struct span){bytes, len}, &got) != DEC_OK) {
        return;
    }
    check(is_inside(got.version, bytes, len) && is_inside(got.plugin, bytes, len));
    wire_out_array(&out, array, sizeof array);
    greet_encode(&out, &got);
    if (wire_out_ok(&out)) {
        check(greet_decode((struct span){array, out.len}, &again) == DEC_OK);
        check(again.caps == got.caps && again.conn_id == got.conn_id &&
              span_eq(again.version, got.version) && span_eq(again.plugin, got.plugin) &&
              memcmp(again.scramble, got.scramble, GREET_SCRAMBLE) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t len = size - 1;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data + 1, len);
    if (data[0] == 'G') {
        greeting(bytes, len);
    } else {
        login(bytes, len, data[0] == 'T' ? UINT32_MAX : caps_offer(UINT32_MAX, false));
    }
    free(bytes);
    return 0;
}
