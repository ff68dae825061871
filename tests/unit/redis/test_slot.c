/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/redis/slot.h"
#include "weir/util/err.h"

/* As `redis-cli CLUSTER KEYSLOT` says. */
static void keys(void **state)
{
    static const struct {
        const char *key;
        uint32_t slot;
    } rows[] = {{"123456789", 12739}, {"foo", 12182},
                {"bar", 5061},        {"", 0},
                {"{foo}x", 12182},    {"a{foo}{bar}", 12182},
                {"foo{}{bar}", 8363}, {"foo{{bar}}zap", 4015}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(slot_of(span_of(rows[i].key)), rows[i].slot);
    }
}

static enum slot_answer answer(const char *text, struct slot_place *ret_place)
{
    const struct redis_value value = {.kind = REDIS_ERROR, .text = span_of(text)};

    return slot_answer_of(&value, ret_place);
}

static void answers(void **state)
{
    static const char *const bad[] = {"MOVED ",
                                      "MOVED 1",
                                      "MOVED x h:1",
                                      "MOVED 16384 h:1",
                                      "MOVED 1 h",
                                      "MOVED 1 h:",
                                      "MOVED 1 h:0",
                                      "MOVED 1 h:65536",
                                      "MOVED 1 h:1x",
                                      "ASK 99999999999999999999 h:1",
                                      "ASK -1 h:1",
                                      "CLUSTERDOWN x",
                                      "READONLY You can't",
                                      "MASTERDOWN"};
    const struct redis_value fine = {.kind = REDIS_STRING, .text = SPAN_LIT("MOVED 1 h:1")};
    struct slot_place place = {.slot = 0};
    char text[600];
    (void)state;
    assert_int_equal(answer("MOVED 3999 127.0.0.1:6381", &place), SLOT_ANSWER_MOVED);
    assert_int_equal(place.slot, 3999);
    assert_true(span_eq_text(place.host, "127.0.0.1") && place.port == 6381);
    assert_int_equal(answer("ASK 1 fe80::1:6382", &place), SLOT_ANSWER_ASK);
    assert_true(span_eq_text(place.host, "fe80::1") && place.port == 6382);
    assert_int_equal(answer("MOVED 1 :6383", &place), SLOT_ANSWER_MOVED);
    assert_true(place.host.len == 0 && place.port == 6383);
    assert_int_equal(answer("TRYAGAIN Multiple keys", &place), SLOT_ANSWER_TRY_AGAIN);
    assert_int_equal(answer("ERR no", &place), SLOT_ANSWER_NONE);
    assert_int_equal(slot_answer_of(&fine, &place), SLOT_ANSWER_NONE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(answer(bad[i], &place), SLOT_ANSWER_DOWN);
    }
    (void)snprintf(text, sizeof(text), "MOVED 1 %0492d:1", 7); /* a host without end */
    assert_int_equal(answer(text, &place), SLOT_ANSWER_DOWN);
}

static void on_range(void *arg, uint32_t first, uint32_t last, struct span host, uint16_t port)
{
    char *shown = arg;
    size_t at = strlen(shown);

    (void)snprintf(shown + at, 200 - at, "%u-%u %.*s:%u;", (unsigned)first, (unsigned)last,
                   (int)host.len, (const char *)host.p, (unsigned)port);
}

static void ranges(void **state)
{
    char shown[200] = "";
    struct redis_value master[2] = {{.kind = REDIS_STRING, .text = SPAN_LIT("h")},
                                    {.kind = REDIS_INTEGER, .number = 7}};
    struct redis_value unknown[2] = {{.kind = REDIS_NIL}, {.kind = REDIS_INTEGER, .number = 8}};
    struct redis_value one[3] = {{.kind = REDIS_INTEGER, .number = 0},
                                 {.kind = REDIS_INTEGER, .number = 99},
                                 {.kind = REDIS_ARRAY, .count = 2, .items = master}};
    struct redis_value two[3] = {{.kind = REDIS_INTEGER, .number = 100},
                                 {.kind = REDIS_INTEGER, .number = 16383},
                                 {.kind = REDIS_ARRAY, .count = 2, .items = unknown}};
    struct redis_value items[2] = {{.kind = REDIS_ARRAY, .count = 3, .items = one},
                                   {.kind = REDIS_ARRAY, .count = 3, .items = two}};
    struct redis_value all = {.kind = REDIS_ARRAY, .count = 2, .items = items};
    (void)state;
    assert_int_equal(slot_ranges(&all, on_range, shown), 0);
    assert_string_equal(shown, "0-99 h:7;100-16383 :8;");
    /* nothing of it unless all of it is right */
    shown[0] = '\0';
    two[1].number = 16384;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    two[1].number = 99;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    two[1].number = 100;
    unknown[1].number = 0;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    unknown[1].number = 1;
    items[1].count = 2;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    items[1].kind = REDIS_NIL;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    all.count = 0;
    assert_int_equal(slot_ranges(&all, on_range, shown), -WR_E_BAD_PACKET);
    assert_string_equal(shown, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys), cmocka_unit_test(answers),
                                       cmocka_unit_test(ranges)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
