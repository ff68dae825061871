/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: there and back, cut, changed, signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "message_priv.h"

#define U      "16a211eb-e9c5-11f1-b4cc-02fc00000001"
#define NOW_US UINT64_C(5000000)

static const struct message_key OPEN = {.channel = {(const uint8_t *)"c", 1}};
static const struct message_key SIGNED = {.secret = {(const uint8_t *)"0123456789abcdef", 16},
                                          .channel = {(const uint8_t *)"c", 1}};

static void load(struct gtid_set *set, const char *text)
{
    gtid_init(set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &GTID_LIMITS_TOKEN, set), 0);
}

static void make(struct buf *buf, const struct message_key *key)
{
    const struct message_head head = {.kind = MESSAGE_MARKS, .instance = 0x1122, .number = 77};
    const struct causal_out outs[] = {{.slot = CAUSAL_SLOT_ALL},
                                      {.slot = 1000, .is_unknown = true},
                                      {.slot = CAUSAL_SLOTS - 1, .blind_until_us = NOW_US + 1}};
    static const char *const texts[] = {U ":1-5:9", "", "0-1-33,5-7-12"};

    buf_init(buf);
    assert_int_equal(message_begin(buf, &head), 0);
    for (size_t i = 0; i < 3; i++) {
        struct gtid_set set;

        load(&set, texts[i]);
        assert_int_equal(message_add(buf, &outs[i], &set, NOW_US), 0);
        gtid_fini(&set);
    }
    assert_int_equal(message_end(buf, key), 0);
}

static void same(const struct gtid_set *set, const char *text)
{
    struct gtid_set want;

    load(&want, text);
    assert_true(gtid_has(set, &want) && gtid_has(&want, set));
    gtid_fini(&want);
}

static void there_and_back(void **unused)
{
    const struct message_key *const keys[] = {&OPEN, &SIGNED};

    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        struct message_head head;
        struct causal_out out;
        struct gtid_set set;
        struct wire marks;
        struct buf buf;

        gtid_init(&set);
        make(&buf, keys[i]);
        assert_true(message_open(buf_span(&buf), keys[i], &head, &marks));
        assert_int_equal(head.kind, MESSAGE_MARKS);
        assert_int_equal(head.instance, 0x1122);
        assert_int_equal(head.number, 77);
        assert_int_equal(message_next(&marks, &out, &set, 100), DEC_OK);
        assert_int_equal(out.slot, CAUSAL_SLOT_ALL);
        assert_false(out.is_unknown);
        assert_int_equal(out.blind_until_us, 0);
        same(&set, U ":1-5:9");
        assert_int_equal(message_next(&marks, &out, &set, 100), DEC_OK);
        assert_int_equal(out.slot, 1000);
        assert_true(out.is_unknown);
        assert_true(gtid_is_empty(&set));
        assert_int_equal(message_next(&marks, &out, &set, 100), DEC_OK);
        assert_int_equal(out.slot, CAUSAL_SLOTS - 1);
        assert_int_equal(out.blind_until_us, 100 + 1000); /* rounded up, by the receiver's clock */
        same(&set, "0-1-33,5-7-12");
        assert_int_equal(message_next(&marks, &out, &set, 100), DEC_MORE);
        buf_fini(&buf);
        gtid_fini(&set);
    }
}

/* The bytes in memory of their own. DEC_BAD: it does not open either. */
static enum dec_rc read_all(const uint8_t *bytes, size_t len, const struct message_key *key)
{
    uint8_t *copy = malloc(len + (len == 0));
    struct message_head head;
    struct causal_out out;
    struct gtid_set set;
    struct wire marks;
    enum dec_rc rc = DEC_OK;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    gtid_init(&set);
    if (!message_open((struct span){copy, len}, key, &head, &marks)) {
        rc = DEC_BAD;
    }
    while (rc == DEC_OK) {
        rc = message_next(&marks, &out, &set, NOW_US);
    }
    gtid_fini(&set);
    free(copy);
    return rc;
}

static void cut_and_changed(void **unused)
{
    struct buf plain;
    struct buf mac;
    unsigned good = 0;

    (void)unused;
    make(&plain, &OPEN);
    make(&mac, &SIGNED);
    assert_int_equal(read_all(buf_span(&plain).p, buf_len(&plain), &SIGNED), DEC_BAD);
    assert_int_equal(read_all(buf_span(&mac).p, buf_len(&mac), &OPEN), DEC_BAD);
    const struct message_key other = {.secret = SIGNED.secret, .channel = SPAN_LIT("d")};
    assert_int_equal(read_all(buf_span(&mac).p, buf_len(&mac), &other), DEC_BAD);
    for (size_t len = 0; len < buf_len(&plain); len++) {
        good += read_all(buf_span(&plain).p, len, &OPEN) == DEC_MORE ? 1 : 0;
    }
    assert_int_equal(good, 3); /* the head, and two marks: the ends of something whole */
    for (size_t len = 0; len < buf_len(&mac); len++) {
        assert_int_equal(read_all(buf_span(&mac).p, len, &SIGNED), DEC_BAD);
    }
    for (size_t i = 0; i < buf_len(&mac); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            mac.data[mac.off + i] ^= (uint8_t)(1U << bit);
            assert_int_equal(read_all(buf_span(&mac).p, buf_len(&mac), &SIGNED), DEC_BAD);
            mac.data[mac.off + i] ^= (uint8_t)(1U << bit);
        }
    }
    assert_int_equal(read_all(buf_span(&mac).p, buf_len(&mac), &SIGNED), DEC_MORE);
    buf_fini(&plain);
    buf_fini(&mac);
}

/* A slot that says nothing, and a set with nothing in it, are nobody's message. */
static void nothing(void **unused)
{
    const struct span head = SPAN_LIT("weir\x01\x01\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0");
    static const char *const marks[] = {"\x01\x01\x00", "\x01\x01\x08", "\x01\x01\x04\x01\x20",
                                        "\x01\x01\x04\x00"};
    static const size_t lens[] = {3, 3, 5, 4};

    (void)unused;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t bytes[MESSAGE_HEAD + 8];

        assert_int_equal(head.len, MESSAGE_HEAD);
        memcpy(bytes, head.p, head.len);
        memcpy(bytes + MESSAGE_HEAD, marks[i], lens[i]);
        assert_int_equal(read_all(bytes, MESSAGE_HEAD, &OPEN), DEC_MORE);
        assert_int_equal(read_all(bytes, MESSAGE_HEAD + lens[i], &OPEN), DEC_BAD);
    }
}

/* The largest token that a slot can have goes through, and is not called unknown. */
static void largest(void **unused)
{
    const struct message_head head = {.kind = MESSAGE_BYE, .instance = 1, .number = 1};
    const struct causal_out out = {.slot = 5};
    struct message_head back;
    struct causal_out heard;
    struct gtid_set set;
    struct gtid_set got;
    struct wire marks;
    struct buf text;
    struct buf buf;

    (void)unused;
    gtid_init(&set);
    gtid_init(&got);
    buf_init(&text);
    buf_init(&buf);
    for (unsigned i = 0; i < GTID_LIMITS_TOKEN.ranges; i++) {
        assert_true(buf_printf(&text, 100000,
                               "%s%08x-e9c5-11f1-b4cc-02fc00000001:"
                               "a_tag_that_is_as_long_as_may_be_:%llu-%llu",
                               i == 0 ? "" : ",", i % GTID_LIMITS_TOKEN.sources,
                               (unsigned long long)(9000000000000000000ULL + 4ULL * i),
                               (unsigned long long)(9000000000000000001ULL + 4ULL * i)) >= 0);
    }
    assert_int_equal(gtid_parse(buf_span(&text), GTID_ANY, &GTID_LIMITS_TOKEN, &set), 0);
    assert_int_equal(message_begin(&buf, &head), 0);
    while (buf_len(&buf) < MESSAGE_FULL) {
        assert_int_equal(message_add(&buf, &out, &set, NOW_US), 0);
    }
    assert_int_equal(message_end(&buf, &SIGNED), 0);
    assert_true(buf_len(&buf) <= MESSAGE_MAX + MESSAGE_MAC);
    assert_true(message_open(buf_span(&buf), &SIGNED, &back, &marks));
    assert_int_equal(back.kind, MESSAGE_BYE);
    assert_int_equal(message_next(&marks, &heard, &got, NOW_US), DEC_OK);
    assert_false(heard.is_unknown);
    assert_true(gtid_has(&got, &set));
    gtid_fini(&set);
    gtid_fini(&got);
    buf_fini(&text);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(nothing),
        cmocka_unit_test(largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
