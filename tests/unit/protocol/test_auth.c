/* SPDX-License-Identifier: Apache-2.0 */
/* Both password plugins against values that real servers and clients computed, and the packets
 * around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/auth.h"
#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/util/crypto.h"

static const uint8_t scramble[20] = "abcdefghijklmnopqrst";

static void test_native_known_stage2(void **state)
{
    (void)state;
    /* SELECT PASSWORD('secret') of a MariaDB server. */
    struct span text = SPAN_LIT("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
    uint8_t parsed[AUTH_NATIVE_LEN];
    uint8_t computed[AUTH_NATIVE_LEN];
    assert_int_equal(auth_native_stage2_parse(text, parsed), 0);
    auth_native_stage2(SPAN_LIT("secret"), computed);
    assert_memory_equal(parsed, computed, sizeof parsed);
    assert_true(auth_native_stage2_parse(SPAN_LIT("14E65567"), parsed) < 0);
    assert_true(auth_native_stage2_parse(SPAN_LIT("*G4E65567ABDB5135D0CFD9A70B3032C179A49EE7"),
                                         parsed) < 0);
    assert_true(auth_native_stage2_parse(SPAN_LIT(""), parsed) < 0);
}

static void test_native_verify_recovers_stage1(void **state)
{
    (void)state;
    uint8_t stage1[AUTH_NATIVE_LEN];
    uint8_t stage2[AUTH_NATIVE_LEN];
    uint8_t reply[AUTH_NATIVE_LEN];
    uint8_t recovered[AUTH_NATIVE_LEN];
    uint8_t again[AUTH_NATIVE_LEN];
    static const uint8_t other[20] = "tsrqponmlkjihgfedcba";

    auth_native_stage1(SPAN_LIT("secret"), stage1);
    auth_native_stage2(SPAN_LIT("secret"), stage2);
    auth_native_reply(stage1, scramble, reply);
    struct span answer = {reply, sizeof reply};
    assert_true(auth_native_verify(answer, scramble, stage2, recovered));
    assert_memory_equal(recovered, stage1, sizeof stage1);
    /* What was recovered logs in elsewhere. */
    auth_native_reply(recovered, other, again);
    assert_true(auth_native_verify((struct span){again, 20}, other, stage2, NULL));

    assert_false(auth_native_verify(answer, other, stage2, recovered));
    for (size_t bit = 0; bit < 8 * sizeof reply; bit++) {
        reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(auth_native_verify(answer, scramble, stage2, NULL));
        reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_false(auth_native_verify((struct span){reply, 19}, scramble, stage2, NULL));
    assert_false(auth_native_verify((struct span){NULL, 0}, scramble, stage2, NULL));
}

static void test_sha2_fast_path(void **state)
{
    (void)state;
    uint8_t verifier[AUTH_SHA2_LEN];
    uint8_t reply[AUTH_SHA2_LEN];
    auth_sha2_verifier(SPAN_LIT("secret"), verifier);
    auth_sha2_reply(SPAN_LIT("secret"), scramble, reply);
    struct span answer = {reply, sizeof reply};
    assert_true(auth_sha2_verify(answer, scramble, verifier));
    for (size_t bit = 0; bit < 8 * sizeof reply; bit++) {
        reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(auth_sha2_verify(answer, scramble, verifier));
        reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    auth_sha2_reply(SPAN_LIT("Secret"), scramble, reply);
    assert_false(auth_sha2_verify(answer, scramble, verifier));
    assert_false(auth_sha2_verify((struct span){reply, 20}, scramble, verifier));
    assert_false(auth_sha2_verify((struct span){NULL, 0}, scramble, verifier));
}

static void test_sha2_mask_is_its_own_inverse(void **state)
{
    (void)state;
    char password[] = "a password that is longer than the nonce";
    uint8_t bytes[sizeof password];
    memcpy(bytes, password, sizeof password);
    auth_sha2_mask(bytes, sizeof bytes, scramble);
    assert_int_equal(bytes[0], 'a' ^ 'a');
    assert_int_equal(bytes[20], (uint8_t)password[20] ^ 'a'); /* 20 bytes, not 21 */
    auth_sha2_mask(bytes, sizeof bytes, scramble);
    assert_memory_equal(bytes, password, sizeof password);
}

static void test_packets(void **state)
{
    (void)state;
    uint8_t array[64];
    struct wire_out out;
    struct auth_switch sw = {SPAN_LIT(AUTH_PLUGIN_NATIVE), {scramble, sizeof scramble}};
    struct auth_switch got;
    struct span data;

    wire_out_array(&out, array, sizeof array);
    auth_switch_encode(&out, &sw);
    assert_true(wire_out_ok(&out));
    struct span packet = {array, out.len};
    assert_int_equal(packet.len, 1 + 22 + 21);
    assert_int_equal(auth_packet_kind(packet), AUTH_PACKET_SWITCH);
    assert_int_equal(auth_switch_decode(packet, &got), DEC_OK);
    assert_true(span_eq(got.plugin, sw.plugin));
    assert_true(span_eq(got.data, sw.data));
    for (size_t len = 0; len < 23; len++) {
        assert_int_equal(auth_switch_decode((struct span){array, len}, &got), DEC_BAD);
    }

    wire_out_array(&out, array, sizeof array);
    auth_more_encode(&out, SPAN_LIT("\x03"));
    packet.len = out.len;
    assert_int_equal(auth_packet_kind(packet), AUTH_PACKET_MORE);
    assert_int_equal(auth_more_decode(packet, &data), DEC_OK);
    assert_int_equal(data.len, 1);
    assert_int_equal(data.p[0], AUTH_SHA2_FAST_OK);

    assert_int_equal(auth_packet_kind(SPAN_LIT("\xfe")), AUTH_PACKET_OLD_SWITCH);
    assert_int_equal(auth_packet_kind(SPAN_LIT("\xff\x15\x04")), AUTH_PACKET_ERR);
    assert_int_equal(auth_packet_kind(SPAN_LIT("\x00")), AUTH_PACKET_OK);
    assert_int_equal(auth_packet_kind(SPAN_LIT("\x02")), AUTH_PACKET_UNKNOWN);
    assert_int_equal(auth_packet_kind((struct span){NULL, 0}), AUTH_PACKET_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_known_stage2),
        cmocka_unit_test(test_native_verify_recovers_stage1),
        cmocka_unit_test(test_sha2_fast_path),
        cmocka_unit_test(test_sha2_mask_is_its_own_inverse),
        cmocka_unit_test(test_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
