/* SPDX-License-Identifier: Apache-2.0 */
/* buf and arena: bounds, growth, every failing allocation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/arena.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/rand.h"

static void check_buf(const struct buf *buf, const char *want)
{
    assert_true(span_eq_text(buf_span(buf), want));
    assert_int_equal(buf_len(buf), strlen(want));
}

static void buf_appends_and_consumes(void **unused)
{
    (void)unused;
    struct buf buf;

    buf_init(&buf);
    assert_null(buf_span(&buf).p);
    assert_int_equal(buf_append(&buf, NULL, 0, 0), 0);
    assert_null(buf.data); /* nothing held, nothing allocated */
    assert_int_equal(buf_append(&buf, "abc", 3, 10), 0);
    assert_int_equal(buf_append_text(&buf, "defg", 10), 0);
    check_buf(&buf, "abcdefg");
    buf_consume(&buf, 2);
    check_buf(&buf, "cdefg");
    assert_int_equal(buf_append_span(&buf, SPAN_LIT("hijkl"), 10), 0);
    check_buf(&buf, "cdefghijkl");
    assert_int_equal(buf_append(&buf, "m", 1, 10), -WR_E_TOO_LARGE);
    check_buf(&buf, "cdefghijkl");
    assert_string_equal(buf_text(&buf), "cdefghijkl");
    buf_trim(&buf);
    check_buf(&buf, "cdefghijkl");
    buf_consume(&buf, 10);
    assert_non_null(buf.data);
    buf_trim(&buf);
    assert_null(buf.data);
    assert_int_equal(buf_printf(&buf, 7, "%d-%s", 12, "four"), 0);
    check_buf(&buf, "12-four");
    assert_int_equal(buf_printf(&buf, 7, "%s", "x"), -WR_E_TOO_LARGE);
    assert_int_equal(buf_printf(&buf, 7, "%s", ""), 0);
    check_buf(&buf, "12-four");
    buf_clear(&buf);
    check_buf(&buf, "");
    assert_int_equal(buf_append_number(&buf, 0, 0, 40), 0);
    assert_int_equal(buf_append_number(&buf, 10, 1, 40), 0);
    assert_int_equal(buf_append_number(&buf, 42, 6, 40), 0);
    check_buf(&buf, "010000042");
    assert_int_equal(buf_append_number(&buf, UINT64_MAX, 20, 29), 0);
    check_buf(&buf, "01000004218446744073709551615");
    assert_int_equal(buf_append_number(&buf, 1, 1, 29), -WR_E_TOO_LARGE);
    buf_clear(&buf);
    assert_int_equal(buf_append_number(&buf, 7, 20, 40), 0);
    check_buf(&buf, "00000000000000000007");
    buf_fini_secret(&buf);
    buf_fini(&buf);
}

static void buf_reserve_is_bounded(void **unused)
{
    (void)unused;
    struct buf buf = {0};

    assert_int_equal(buf_reserve(&buf, SIZE_MAX, 100), -WR_E_TOO_LARGE);
    assert_int_equal(buf_reserve(&buf, 100, 100), 0);
    assert_true(buf_room(&buf) >= 100);
    assert_true(buf.cap <= 256);
    memset(buf_tail(&buf), 'x', 100);
    buf_commit(&buf, 100);
    assert_int_equal(buf_reserve(&buf, 1, 100), -WR_E_TOO_LARGE);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX - 50, SIZE_MAX), -WR_E_TOO_LARGE);
    assert_int_equal(buf_append(&buf, "y", 1, 50), -WR_E_TOO_LARGE); /* more held than max */
    buf_consume(&buf, 60);
    assert_int_equal(buf_reserve(&buf, 60, 100), 0);
    assert_int_equal(buf_len(&buf), 40);
    buf_fini(&buf);
}

/* Against a plain array: random appends and consumes, odd sizes included. */
static void buf_agrees_with_a_model(void **unused)
{
    (void)unused;
    static uint8_t model[20000];
    size_t model_len = 0;
    struct buf buf = {0};
    struct rand_state rng;
    uint8_t piece[700];

    rand_seed(&rng, 1);
    for (int step = 0; step < 5000; step++) {
        size_t len = rand_below(&rng, sizeof(piece));
        if (rand_below(&rng, 2) == 0) {
            memset(piece, (int)rand_below(&rng, 256), len);
            int rc = buf_append(&buf, piece, len, sizeof(model));
            if (model_len + len > sizeof(model)) {
                assert_int_equal(rc, -WR_E_TOO_LARGE);
            } else {
                assert_int_equal(rc, 0);
                memcpy(model + model_len, piece, len);
                model_len += len;
            }
        } else {
            len = len < model_len ? len : model_len;
            buf_consume(&buf, len);
            model_len -= len;
            memmove(model, model + len, model_len);
        }
        assert_int_equal(buf_len(&buf), model_len);
        assert_true(span_eq(buf_span(&buf), (struct span){model, model_len}));
        assert_true(buf.cap <= sizeof(model));
    }
    buf_fini(&buf);
}

static void buf_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    struct buf buf = {0};

    assert_int_equal(buf_append_text(&buf, "kept", 10000), 0);
    fault_arm("alloc", 1);
    assert_int_equal(buf_reserve(&buf, 5000, 10000), -ENOMEM);
    assert_true(fault_is_spent());
    check_buf(&buf, "kept");
    assert_int_equal(buf_reserve(&buf, 5000, 10000), 0);
    assert_int_equal(fault_passes(), 2);
    fault_arm(NULL, 0);
    check_buf(&buf, "kept");
    buf_fini(&buf);
#endif
}

static void fault_points_are_named(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    fault_arm("here", 2);
    assert_false(WR_FAULT("here"));
    assert_false(WR_FAULT("there"));
    assert_false(fault_is_spent());
    assert_true(WR_FAULT("here"));
    assert_true(fault_is_spent());
    assert_false(WR_FAULT("here"));
    fault_arm("*", 1);
    assert_true(WR_FAULT("any"));
    fault_arm("alloc", 2);
    void *bytes = fault_calloc(1, 10);
    assert_non_null(bytes);
    assert_null(fault_realloc(bytes, 20));
    fault_arm(NULL, 0);
    bytes = fault_realloc(bytes, 20);
    assert_non_null(bytes);
    free(bytes);
#endif
    assert_false(WR_FAULT("nothing armed"));
}

static void arena_gives_and_takes_back(void **unused)
{
    (void)unused;
    struct arena arena;

    arena_init(&arena, 3 * ARENA_BLOCK);
    arena_reset(&arena);
    for (int round = 0; round < 3; round++) {
        uint8_t *a = arena_alloc(&arena, 1);
        uint8_t *b = arena_zalloc(&arena, 100);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal((uintptr_t)a % 16, 0);
        assert_int_equal((uintptr_t)b % 16, 0);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(b[i], 0);
        }
        memset(b, 0xff, 100);
        struct span copy = arena_dup(&arena, SPAN_LIT("text"));
        assert_string_equal((const char *)copy.p, "text");
        assert_int_equal(copy.len, 4);
        assert_non_null(arena_dup(&arena, (struct span){NULL, 0}).p);
        uint8_t *large = arena_alloc(&arena, ARENA_BLOCK + 1);
        assert_non_null(large);
        memset(large, 1, ARENA_BLOCK + 1);
        assert_null(arena_alloc(&arena, ARENA_BLOCK));
        assert_null(arena_alloc(&arena, SIZE_MAX));
        assert_null(arena_dup(&arena, (struct span){a, SIZE_MAX}).p);
        arena_reset(&arena);
        assert_int_equal(arena.used_bytes, ARENA_BLOCK);
    }
    arena_trim(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 10));
    arena_fini(&arena);
}

static void arena_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    fault_arm("alloc", 1);
    assert_null(arena_zalloc(&arena, 10));
    assert_non_null(arena_zalloc(&arena, 10));
    fault_arm("alloc", 1);
    assert_non_null(arena_alloc(&arena, 10)); /* the block has room */
    assert_null(arena_alloc(&arena, 2 * ARENA_BLOCK));
    fault_arm(NULL, 0);
    arena_fini(&arena);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_appends_and_consumes), cmocka_unit_test(buf_reserve_is_bounded),
        cmocka_unit_test(buf_agrees_with_a_model),  cmocka_unit_test(buf_survives_no_memory),
        cmocka_unit_test(fault_points_are_named),   cmocka_unit_test(arena_gives_and_takes_back),
        cmocka_unit_test(arena_survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
