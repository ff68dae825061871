/* SPDX-License-Identifier: Apache-2.0 */
/* Values as they lie in Redis: whatever is changed, cut or put in their place, it is a miss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/body.h"
#include "weir/cache/value.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define MAX ((size_t)1 << 20)

struct lab {
    struct value_codec codec;
    struct buf body;
    struct buf bytes;
    struct buf room;
    struct value value;
};

static void body_make(struct buf *out, unsigned rows)
{
    static const struct result_column column = {
        .name = "what", .type = RESULT_TYPE_STRING, .length = 64};
    struct buf reply = {0};
    struct wire_out wire;
    struct result result = {.out = &wire, .caps = CAP_PROTOCOL_41 | CAP_DEPRECATE_EOF, .seq = 1};

    wire_out_buf(&wire, &reply, MAX);
    result_put_columns(&result, &column, 1);
    for (unsigned i = 0; i < rows; i++) {
        const struct span row = SPAN_LIT("the same row again");

        result_put_row(&result, &row, 1);
    }
    result_put_end(&result, 0);
    assert_true(wire_out_ok(&wire));
    assert_int_equal(body_from_reply(buf_span(&reply), result.caps, out, MAX), 0);
    buf_fini(&reply);
}

static void lab_open(struct lab *lab, unsigned rows, size_t pack_above)
{
    *lab = (struct lab){.value.filled_wall_us = 1000};
    assert_int_equal(
        value_codec_init(&lab->codec, SPAN_LIT("sixteen bytes, at least"), MAX, pack_above), 0);
    body_make(&lab->body, rows);
    lab->value.key = SPAN_LIT("u1\0SELECT what FROM t");
    lab->value.body = buf_span(&lab->body);
    lab->value.expires_wall_us = 5000;
    lab->value.place = (struct log_place){.log = 77, .file = 3, .born_s = 9, .offset = 1234};
    assert_int_equal(value_encode(&lab->codec, &lab->value, &lab->bytes), 0);
}

static void lab_close(struct lab *lab)
{
    buf_fini(&lab->body);
    buf_fini(&lab->bytes);
    buf_fini(&lab->room);
    value_codec_fini(&lab->codec);
}

/* From a copy that ends where the value ends, so that ASan sees a step beyond. */
static enum value_miss decode(struct lab *lab, struct span bytes, struct value *ret_value)
{
    uint8_t *copy = malloc(bytes.len == 0 ? 1 : bytes.len);
    enum value_miss miss = VALUE_MISS_NONE;

    assert_non_null(copy);
    memcpy(copy, bytes.p, bytes.len);
    miss = value_decode(&lab->codec, (struct span){copy, bytes.len}, lab->value.key, &lab->room,
                        ret_value);
    if (miss == VALUE_MISS_NONE) {
        assert_true(span_eq(ret_value->key, lab->value.key));
        assert_true(span_eq(ret_value->body, lab->value.body));
        assert_memory_equal(&ret_value->place, &lab->value.place, sizeof(lab->value.place));
        assert_int_equal(ret_value->filled_wall_us, 1000);
        assert_int_equal(ret_value->expires_wall_us, 5000);
    }
    free(copy);
    return miss;
}

static void there_and_back(void **state)
{
    (void)state;
    for (unsigned rows = 0; rows < 300; rows += 37) {
        for (int packs = 0; packs < 2; packs++) {
            struct lab lab;
            struct value got;

            lab_open(&lab, rows, packs != 0 ? 64 : MAX);
            assert_int_equal(decode(&lab, buf_span(&lab.bytes), &got), VALUE_MISS_NONE);
            if (packs != 0 && rows > 100) {
                assert_true(buf_len(&lab.bytes) < buf_len(&lab.body) / 4);
            }
            lab_close(&lab);
        }
    }
}

/* Each byte changed in each bit, and each length: never served, never beyond the end. */
static void every_offset(void **state)
{
    (void)state;
    for (int packs = 0; packs < 2; packs++) {
        struct lab lab;
        struct value got;

        lab_open(&lab, 12, packs != 0 ? 64 : MAX);
        for (size_t at = 0; at < buf_len(&lab.bytes); at++) {
            uint8_t *byte = lab.bytes.data + lab.bytes.off + at;
            struct span cut = {buf_span(&lab.bytes).p, at};

            for (unsigned bit = 0; bit < 8; bit++) {
                enum value_miss miss = VALUE_MISS_NONE;

                *byte ^= (uint8_t)(1U << bit);
                miss = decode(&lab, buf_span(&lab.bytes), &got);
                *byte ^= (uint8_t)(1U << bit);
                assert_int_equal(miss, at < 4               ? VALUE_MISS_FOREIGN
                                       : at == 4            ? VALUE_MISS_FORMAT
                                       : at == 5 && bit > 0 ? VALUE_MISS_FORMAT
                                                            : VALUE_MISS_FORGED);
            }
            assert_int_equal(decode(&lab, cut, &got),
                             at < 92 ? VALUE_MISS_SHORT : VALUE_MISS_FORGED);
        }
        assert_int_equal(buf_append_text(&lab.bytes, "x", MAX), 0);
        assert_int_equal(decode(&lab, buf_span(&lab.bytes), &got), VALUE_MISS_FORGED);
        lab_close(&lab);
    }
}

/* As if somebody had the secret: what the MAC covers is looked at all the same. */
static void sealed_lies(void **state)
{
    struct rand_state rng;
    unsigned reasons[VALUE_MISS_NO_MEMORY + 1] = {0};
    (void)state;
    rand_seed(&rng, 4711);
    for (unsigned round = 0; round < 20; round++) {
        struct lab lab;
        struct value got;
        struct span covered;
        uint8_t mac[CRYPTO_SHA256_SIZE];

        lab_open(&lab, 5, round % 2 == 0 ? 64 : MAX);
        covered = (struct span){buf_span(&lab.bytes).p, buf_len(&lab.bytes) - sizeof(mac)};
        for (unsigned i = 0; i < 1000; i++) {
            size_t at = rand_below(&rng, i % 2 == 0 ? 60 : covered.len);
            uint8_t *byte = lab.bytes.data + lab.bytes.off + at;
            uint8_t was = *byte;
            uint8_t copy[8192];

            *byte = (uint8_t)rand_u64(&rng);
            crypto_hmac_sha256((struct span){lab.codec.mac_key, sizeof(lab.codec.mac_key)}, covered,
                               mac);
            assert_true(covered.len + sizeof(mac) <= sizeof(copy));
            memcpy(copy, covered.p, covered.len);
            memcpy(copy + covered.len, mac, sizeof(mac));
            reasons[value_decode(&lab.codec, (struct span){copy, covered.len + sizeof(mac)},
                                 lab.value.key, &lab.room, &got)]++;
            *byte = was;
        }
        lab_close(&lab);
    }
    assert_true(reasons[VALUE_MISS_BROKEN] > 0 && reasons[VALUE_MISS_OTHER_KEY] > 0 &&
                reasons[VALUE_MISS_FOREIGN] > 0 && reasons[VALUE_MISS_TOO_LARGE] > 0);
    assert_int_equal(reasons[VALUE_MISS_FORGED], 0);
}

static void others(void **state)
{
    struct lab lab;
    struct value got;
    struct value_codec other;
    char name[VALUE_NAME_BYTES];
    char of_other[VALUE_NAME_BYTES];
    (void)state;
    lab_open(&lab, 3, MAX);
    assert_int_equal(value_codec_init(&other, SPAN_LIT("too short"), MAX, 0), -WR_E_CONFIG);
    assert_int_equal(value_codec_init(&other, SPAN_LIT("another secret, too"), MAX, 0), 0);
    assert_int_equal(value_decode(&other, buf_span(&lab.bytes), lab.value.key, &lab.room, &got),
                     VALUE_MISS_FORGED);
    assert_int_equal(
        value_decode(&lab.codec, buf_span(&lab.bytes), SPAN_LIT("SELECT 2"), &lab.room, &got),
        VALUE_MISS_OTHER_KEY);
    value_name(&lab.codec, lab.value.key, name);
    value_name(&other, lab.value.key, of_other);
    assert_int_equal(strlen(name), 32);
    assert_string_not_equal(name, of_other);
    value_name(&lab.codec, SPAN_LIT("SELECT 2"), of_other);
    assert_string_not_equal(name, of_other);
    /* limits */
    other.max_body = buf_len(&lab.body) - 1;
    assert_int_equal(value_encode(&other, &lab.value, &lab.bytes), -WR_E_TOO_LARGE);
    value_codec_fini(&other);
    lab_close(&lab);
}

static void holds(void **state)
{
    struct lab lab;
    struct value_now now = {.wall_us = 4999, .by_place = true, .until_us = 300, .written_us = 300};
    (void)state;
    lab_open(&lab, 3, MAX);
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_NONE);
    now.wall_us = 5000;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_EXPIRED);
    now.wall_us = 4999;
    now.written_us = 301; /* after all that it is known to have */
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_WRITTEN);
    now.by_place = false;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_NONE);
    now = (struct value_now){.wall_us = 4999, .by_place = true};
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_UNPLACED);
    now.until_us = 300;
    now.purged_wall_us = 1;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_PURGED);
    lab.value.filled_wall_us = 1 + VALUE_SKEW_US;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_PURGED);
    lab.value.filled_wall_us++;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_NONE);
    lab.value.place.log = 0;
    assert_int_equal(value_check(&lab.value, &now), VALUE_MISS_UNPLACED);
    lab_close(&lab);
}

static void texts(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= VALUE_MISS_NO_MEMORY; i++) {
        assert_true(strlen(value_miss_text((enum value_miss)i)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(every_offset),
        cmocka_unit_test(sealed_lies),    cmocka_unit_test(others),
        cmocka_unit_test(holds),          cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
