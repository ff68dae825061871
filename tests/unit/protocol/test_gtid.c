/* SPDX-License-Identifier: Apache-2.0 */
/* GTID sets: texts as servers write them and as nobody should, sums and subsets against bitmaps, no
 * memory, limits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/gtid.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/rand.h"

#define U1  "16a211eb-e9c5-11f1-b4cc-02fc00000001"
#define U2  "16e865ff-e9c5-11f1-ac25-02fc00000001"
#define T32 "abcdefghijklmnopqrstuvwxyz_01234"

static const struct gtid_limits WIDE = {.sources = 64, .ranges = 1024};

static void assert_text(const struct gtid_set *set, const char *text)
{
    struct buf out;

    buf_init(&out);
    assert_true(gtid_format(set, &out, 65536) >= 0);
    assert_non_null(buf_text(&out));
    assert_string_equal(buf_text(&out), text);
    buf_fini(&out);
}

static void texts(void **unused)
{
    static const struct {
        const char *text;
        const char *shown; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {" \n", ""},
        {U1 ":1", U1 ":1"},
        {U1 ":1-1", U1 ":1"},
        {U1 ":1-5:7:9-12", U1 ":1-5:7:9-12"},
        {U1 ":7:1-5:6", U1 ":1-7"},
        {U1 ":1-5,\n" U2 ":3", U1 ":1-5," U2 ":3"},
        {U1 ":1-5 , " U1 ":6-9", U1 ":1-9"},
        {U1 ":1-5:tag_1:2-3:other:4", U1 ":1-5," U1 ":tag_1:2-3," U1 ":other:4"},
        {U1 ":Tag:2", U1 ":tag:2"},
        {U1 ":_:2", U1 ":_:2"},
        {U1 ":" T32 ":1", U1 ":" T32 ":1"},
        {"16A211EB-E9C5-11F1-B4CC-02FC00000001:1", U1 ":1"},
        {U1 ":9223372036854775806", U1 ":9223372036854775806"},
        {"0-1-102", "0-1-102"},
        {"0-1-102,5-2-7", "0-1-102,5-2-7"},
        {"5-2-7, 0-1-102", "0-1-102,5-2-7"},
        {"4294967295-4294967295-18", "4294967295-4294967295-18"},
        /* not such texts */
        {U1, NULL},
        {U1 ":", NULL},
        {U1 ":0", NULL},
        {U1 ":5-3", NULL},
        {U1 ":1-", NULL},
        {U1 ":-1", NULL},
        {U1 ":1,", NULL},
        {"," U1 ":1", NULL},
        {U1 ":1 2", NULL},
        {U1 ": 1", NULL},
        {U1 ":tag", NULL},
        {U1 ":tag:", NULL},
        {U1 ":1:tag", NULL},
        {U1 ":1tag:2", NULL},
        {U1 ":ta-g:2", NULL},
        {U1 ":" T32 "5:1", NULL},
        {U1 ":9223372036854775807", NULL},
        {U1 ":99999999999999999999999", NULL},
        {"16a211ebe9c5-11f1-b4cc-02fc00000001:1", NULL},
        {"16a211eb-e9c5-11f1-b4cc-02fc0000000:1", NULL},
        {"16a211eb-e9c5-11f1-b4cc-02fc0000000g:1", NULL},
        {"0-1", NULL},
        {"0-1-", NULL},
        {"0-1-0", NULL},
        {"0-1-2-3", NULL},
        {"0-1-2,0-2-3", NULL},
        {"4294967296-1-2", NULL},
        {"0-1-2,", NULL},
        {"0-1-2," U1 ":1", NULL},
        {"x", NULL},
        {"'", NULL},
    };
    (void)unused;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        struct gtid_set set;
        gtid_init(&set);
        int r = gtid_parse(span_of(rows[i].text), GTID_ANY, &WIDE, &set);
        if (rows[i].shown == NULL) {
            if (r != -WR_E_BAD_PACKET) {
                fail_msg("taken: %s", rows[i].text);
            }
        } else {
            assert_int_equal(r, 0);
            assert_text(&set, rows[i].shown);
        }
        gtid_fini(&set);
    }
}

static void load(struct gtid_set *set, const char *text)
{
    gtid_init(set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &WIDE, set), 0);
}

static void subsets(void **unused)
{
    static const struct {
        const char *have;
        const char *want;
        bool is_in;
    } rows[] = {
        {"", "", true},
        {U1 ":1-5", "", true},
        {"", U1 ":1", false},
        {U1 ":1-5", U1 ":1-5", true},
        {U1 ":1-5", U1 ":5-6", false},
        {U1 ":1-5:7-9", U1 ":2:8-9", true},
        {U1 ":1-5:7-9", U1 ":5-7", false}, /* the last one is there, the one before is not */
        {U1 ":1-5:7-9", U1 ":6", false},
        {U1 ":1-5", U2 ":1", false},
        {U1 ":1-5," U2 ":1-3", U2 ":2," U1 ":3", true},
        {U1 ":1-5", U1 ":tag:1", false}, /* a tag is a source of its own */
        {U1 ":1-5:tag:1-3", U1 ":tag:1-2", true},
        {U1 ":tag:1-9", U1 ":1", false},
        {"0-1-100", "0-1-100", true},
        {"0-1-100", "0-2-99", true},
        {"0-1-100", "0-1-101", false},
        {"0-1-100", "1-1-1", false},
        {"0-1-100,1-1-1", "1-1-1,0-1-7", true},
        {"0-1-100", U1 ":1", false},
        {U1 ":1", "0-1-1", false},
    };
    (void)unused;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        struct gtid_set have;
        struct gtid_set want;
        load(&have, rows[i].have);
        load(&want, rows[i].want);
        if (gtid_has(&have, &want) != rows[i].is_in) {
            fail_msg("%s in %s", rows[i].want, rows[i].have);
        }
        gtid_fini(&have);
        gtid_fini(&want);
    }
}

static void missing(void **unused)
{
    static const struct {
        const char *want;
        const char *have;
        uint64_t count;
    } rows[] = {
        {U1 ":1-100", U1 ":1-100", 0},
        {U1 ":1-100", U1 ":1-95", 5},
        {U1 ":1-100", U1 ":1-50:60-100", 9},
        {U1 ":1-100", U1 ":1-95," U2 ":1-7", 5},
        {U1 ":1-100,\n" U2 ":7", U2 ":1-9, " U1 ":1-200", 0},
        {U1 ":1-3:9", U2 ":1-100", 4},
        {U1 ":1-10:tag:1-5", U1 ":1-10", 5},
        {U1 ":1-10:tag:1-5", U1 ":1-10:tag:1-4:other:5", 1},
        {U1 ":5-9", U1 ":1-3:7:9-20", 3},
        {U1 ":1-10", "", 10},
        {"", U1 ":1-10", 0},
        {U1 ":1-10", "0-1-3", 0},
        {"0-1-100", "0-1-100", 0},
        {"0-1-100", "0-1-93", 7},
        {"0-1-100,5-1-3", "5-1-3,0-1-99", 1},
        {"0-1-100,5-1-3", "0-2-101", 3},
        {"0-1-5", "", 5},
    };
    (void)unused;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        struct gtid_set have;
        struct gtid_set want;
        load(&have, rows[i].have);
        load(&want, rows[i].want);
        if (gtid_count_missing(&have, &want) != rows[i].count) {
            fail_msg("%s without %s", rows[i].want, rows[i].have);
        }
        gtid_fini(&have);
        gtid_fini(&want);
    }
}

static void sums(void **unused)
{
    struct gtid_set set;
    struct gtid_set whole;

    (void)unused;
    gtid_init(&set);
    assert_int_equal(gtid_add_text(&set, (struct span){NULL, 0}, &WIDE), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":5"), &WIDE), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":9"), &WIDE), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":6:20," U2 ":1"), &WIDE), 0);
    assert_text(&set, U1 ":5-6:9:20," U2 ":1");
    assert_int_equal(gtid_add_text(&set, SPAN_LIT("0-1-1"), &WIDE), -WR_E_BAD_PACKET);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT("what"), &WIDE), -WR_E_BAD_PACKET);
    assert_text(&set, U1 ":5-6:9:20," U2 ":1");
    load(&whole, U2 ":1-3," U1 ":1-15:18-30");
    gtid_close_gaps(&set, &whole); /* 10 to 19 has a gap of its own */
    assert_text(&set, U1 ":5-9:20," U2 ":1");
    gtid_fini(&whole);
    gtid_clear(&set);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":1-5:7-9," U2 ":1-4"), &WIDE), 0);
    load(&whole, U1 ":12");
    assert_int_equal(gtid_add_up_to(&set, &whole, &WIDE), 0);
    assert_text(&set, U1 ":1-5:7-12," U2 ":1-4");
    gtid_fini(&whole);
    load(&whole, U1 ":8," U2 ":6");
    assert_int_equal(gtid_add_up_to(&set, &whole, &WIDE), 0);
    assert_text(&set, U1 ":1-5:7-12," U2 ":1-6"); /* what the set lacks itself stays a gap */
    gtid_fini(&whole);
    gtid_clear(&set);
    load(&whole, U1 ":tag:4");
    assert_int_equal(gtid_add_up_to(&set, &whole, &WIDE), 0);
    assert_text(&set, U1 ":tag:1-4");
    gtid_fini(&whole);
    gtid_clear(&set);
    assert_true(gtid_is_empty(&set));
    assert_int_equal(gtid_add_text(&set, SPAN_LIT("0-1-7"), &WIDE), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT("0-1-5,3-1-1"), &WIDE), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT("0-2-9"), &WIDE), 0);
    assert_text(&set, "0-2-9,3-1-1");
    gtid_fini(&set);
}

static void limits(void **unused)
{
    static const struct gtid_limits narrow = {.sources = 1, .ranges = 2};
    struct gtid_set set;

    (void)unused;
    gtid_init(&set);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":1:3"), &narrow), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":5"), &narrow), -WR_E_LIMIT);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U2 ":1"), &narrow), -WR_E_LIMIT);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":7:9"), &narrow), -WR_E_LIMIT);
    assert_text(&set, U1 ":1:3");
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":4"), &narrow), 0);
    assert_int_equal(gtid_add_text(&set, SPAN_LIT(U1 ":2"), &narrow), 0);
    assert_text(&set, U1 ":1-4");
    assert_int_equal(gtid_parse(SPAN_LIT("0-1-1,1-1-1,2-1-1"), GTID_ANY, &narrow, &set),
                     -WR_E_LIMIT);
    assert_text(&set, U1 ":1-4");
    gtid_fini(&set);
}

/* --- against bitmaps --- */

enum {
    SOURCES = 4,
    NUMBERS = 60,
};

static const char *const NAMES[SOURCES] = {U1, U1 ":t", U2, U2 ":u_2"};

struct model {
    bool has[SOURCES][NUMBERS + 2];
};

static uint32_t pick(struct rand_state *rand, uint32_t n)
{
    return (uint32_t)(rand_u64(rand) % n);
}

static void model_text(struct rand_state *rand, struct model *model, char *text, size_t cap)
{
    size_t len = 0;
    uint32_t parts = pick(rand, 5);

    text[0] = '\0';
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t source = pick(rand, SOURCES);
        uint32_t from = 1 + pick(rand, NUMBERS);
        uint32_t to = from + pick(rand, 6);
        to = to > NUMBERS ? NUMBERS : to;
        len += (size_t)snprintf(text + len, cap - len, "%s%s:%u-%u", i ? ",\n" : "", NAMES[source],
                                from, to);
        for (uint32_t n = from; n <= to; n++) {
            model->has[source][n] = true;
        }
    }
}

static uint64_t model_missing(const struct model *have, const struct model *want)
{
    uint64_t count = 0;

    for (size_t s = 0; s < SOURCES; s++) {
        for (size_t n = 1; n <= NUMBERS; n++) {
            count += want->has[s][n] && !have->has[s][n] ? 1 : 0;
        }
    }
    return count;
}

static bool model_in(const struct model *have, const struct model *want)
{
    return model_missing(have, want) == 0;
}

/* Ranges are as few as they can be, and in order. */
static void assert_tidy(const struct gtid_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct gtid_range *range = &set->ranges[i];
        assert_true(range->from <= range->to);
        assert_true(range->source < set->source_count);
        if (i > 0 && range[-1].source == range->source) {
            assert_true(range[-1].to + 1 < range->from);
        }
        assert_true(i == 0 || range[-1].source <= range->source);
    }
}

static void random_sets(void **unused)
{
    struct rand_state rand;
    struct gtid_set set[2];
    struct model model[2];
    char text[1024];

    (void)unused;
    rand_seed(&rand, 4711);
    for (unsigned round = 0; round < 3000; round++) {
        memset(model, 0, sizeof(model));
        for (unsigned k = 0; k < 2; k++) {
            gtid_init(&set[k]);
            for (unsigned add = 1 + pick(&rand, 6); add > 0; add--) {
                model_text(&rand, &model[k], text, sizeof(text));
                assert_int_equal(gtid_add_text(&set[k], span_of(text), &WIDE), 0);
                assert_tidy(&set[k]);
            }
        }
        assert_int_equal(gtid_has(&set[0], &set[1]), model_in(&model[0], &model[1]));
        assert_int_equal(gtid_has(&set[1], &set[0]), model_in(&model[1], &model[0]));
        assert_int_equal(gtid_count_missing(&set[0], &set[1]), model_missing(&model[0], &model[1]));
        for (unsigned s = 0; s < SOURCES; s++) {
            struct gtid_set one;
            uint32_t n = 1 + pick(&rand, NUMBERS);
            (void)snprintf(text, sizeof(text), "%s:%u", NAMES[s], n);
            load(&one, text);
            assert_int_equal(gtid_has(&set[0], &one), model[0].has[s][n]);
            gtid_fini(&one);
        }
        assert_int_equal(gtid_add(&set[0], &set[1], &WIDE), 0);
        assert_tidy(&set[0]);
        assert_true(gtid_has(&set[0], &set[1]));
        gtid_close_gaps(&set[1], &set[0]);
        assert_tidy(&set[1]);
        assert_true(gtid_has(&set[0], &set[1]));
        gtid_fini(&set[0]);
        gtid_fini(&set[1]);
    }
}

#ifdef WEIR_DEBUG
static void no_memory(void **unused)
{
    (void)unused;
    for (uint64_t n = 1;; n++) {
        struct gtid_set set;
        gtid_init(&set);
        fault_arm("alloc", n);
        int a = gtid_add_text(&set, SPAN_LIT(U1 ":1:3:5:7:9," U2 ":1:3:5"), &WIDE);
        int b = a < 0 ? a : gtid_add_text(&set, SPAN_LIT(U2 ":t:1:9"), &WIDE);
        bool is_spent = fault_is_spent();
        fault_arm("alloc", 0);
        assert_true((b == -ENOMEM) == is_spent);
        if (a < 0) {
            assert_true(gtid_is_empty(&set));
        } else {
            assert_int_equal(set.count, b < 0 ? 8 : 10);
        }
        gtid_fini(&set);
        if (!is_spent) {
            return;
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),     cmocka_unit_test(subsets), cmocka_unit_test(missing),
        cmocka_unit_test(sums),      cmocka_unit_test(limits),  cmocka_unit_test(random_sets),
#ifdef WEIR_DEBUG
        cmocka_unit_test(no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
