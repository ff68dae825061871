/* SPDX-License-Identifier: Apache-2.0 */
/* map and slab: against a model, at their limits, without memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/map.h"
#include "weir/util/rand.h"
#include "weir/util/slab.h"

#ifdef WR_ASAN
int __asan_address_is_poisoned(void const volatile *addr);
#endif

static void map_stores_and_forgets(void **unused)
{
    (void)unused;
    for (int keys = MAP_KEYS_TRUSTED; keys <= MAP_KEYS_HOSTILE; keys++) {
        struct map map;
        int one = 1;
        int two = 2;
        void *old = &map;

        map_init(&map, (enum map_keys)keys, 2);
        assert_null(map_get(&map, SPAN_LIT("a")));
        assert_null(map_remove(&map, SPAN_LIT("a")));
        assert_int_equal(map_put(&map, SPAN_LIT("a"), &one, &old), 0);
        assert_null(old);
        assert_int_equal(map_put(&map, (struct span){NULL, 0}, &two, NULL), 0);
        assert_ptr_equal(map_get(&map, SPAN_LIT("a")), &one);
        assert_ptr_equal(map_get(&map, SPAN_LIT("")), &two);
        assert_null(map_get(&map, SPAN_LIT("A")));
        assert_int_equal(map_put(&map, SPAN_LIT("b"), &one, &old), -WR_E_LIMIT);
        assert_int_equal(map_put(&map, SPAN_LIT("a"), &two, &old), 0);
        assert_ptr_equal(old, &one);
        assert_int_equal(map_count(&map), 2);
        assert_ptr_equal(map_remove(&map, SPAN_LIT("a")), &two);
        assert_null(map_get(&map, SPAN_LIT("a")));
        assert_int_equal(map_put(&map, SPAN_LIT("b"), &one, &old), 0);
        assert_int_equal(map_count(&map), 2);
        map_fini(&map, NULL);
        assert_int_equal(map_count(&map), 0);
        map_fini(&map, NULL);
    }
}

/* Random puts and removes of few keys, so that probe chains form, wrap and are cut. */
static void map_agrees_with_a_model(void **unused)
{
    (void)unused;
    enum {
        KEYS = 300
    };
    uintptr_t model[KEYS] = {0};
    struct map map;
    struct rand_state rng;
    size_t count = 0;

    map_init(&map, MAP_KEYS_HOSTILE, 200);
    rand_seed(&rng, 3);
    for (uintptr_t step = 1; step <= 50000; step++) {
        size_t i = rand_below(&rng, KEYS);
        char text[16];
        (void)snprintf(text, sizeof(text), "key%zu", i);
        struct span key = span_of(text);
        if (rand_below(&rng, 3) > 0) {
            void *old = NULL;
            int rc = map_put(&map, key, (void *)step, &old);
            if (model[i] == 0 && count == 200) {
                assert_int_equal(rc, -WR_E_LIMIT);
                continue;
            }
            assert_int_equal(rc, 0);
            assert_int_equal((uintptr_t)old, model[i]);
            count += model[i] == 0;
            model[i] = step;
        } else {
            assert_int_equal((uintptr_t)map_remove(&map, key), model[i]);
            count -= model[i] != 0;
            model[i] = 0;
        }
        assert_int_equal(map_count(&map), count);
        assert_int_equal((uintptr_t)map_get(&map, key), model[i]);
    }
    size_t cursor = 0;
    size_t walked = 0;
    struct span key;
    for (void *value = map_next(&map, &cursor, &key); value != NULL;
         value = map_next(&map, &cursor, &key)) {
        char text[16];
        (void)span_copy(key, text, sizeof(text));
        long i = strtol(text + 3, NULL, 10);
        assert_int_equal((uintptr_t)value, model[i]);
        walked++;
    }
    assert_int_equal(walked, count);
    for (size_t i = 0; i < KEYS; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "key%zu", i);
        assert_int_equal((uintptr_t)map_get(&map, span_of(text)), model[i]);
    }
    map_fini(&map, NULL);
}

static void map_frees_values(void **unused)
{
    (void)unused;
    struct map map;

    map_init(&map, MAP_KEYS_TRUSTED, 1000);
    for (int i = 0; i < 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(map_put(&map, span_of(text), malloc(10), NULL), 0);
    }
    map_fini(&map, free); /* the leak check of ASan is the judge */
    assert_int_equal(map_hash(SPAN_LIT("x")), map_hash(SPAN_LIT("x")));
    assert_int_not_equal(map_hash(SPAN_LIT("x")), map_hash(SPAN_LIT("y")));
}

static void map_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    uint64_t nth = 0;
    bool is_done = false;

    while (!is_done) {
        struct map map;
        int value = 0;
        int stored = 0;

        nth++;
        map_init(&map, MAP_KEYS_HOSTILE, 1000);
        fault_arm("alloc", nth);
        for (int i = 0; i < 40; i++) {
            char text[16];
            (void)snprintf(text, sizeof(text), "%d", i);
            int rc = map_put(&map, span_of(text), &value, NULL);
            assert_true(rc == 0 || rc == -ENOMEM);
            stored += rc == 0;
            assert_int_equal(map_get(&map, span_of(text)) != NULL, rc == 0);
            assert_int_equal(map_count(&map), stored);
        }
        is_done = !fault_is_spent();
        assert_int_equal(stored, is_done ? 40 : 39);
        fault_arm(NULL, 0);
        map_fini(&map, NULL);
    }
    assert_int_equal(nth, 1 + 40 + 1 + 3); /* keys, secret, tables of 16, 32 and 64 */
#endif
}

static void check_slab(void)
{
    struct slab *slab = NULL;
    uint8_t *objects[3000];

    assert_int_equal(slab_create("none", 0, 1, &slab), -EINVAL);
    assert_int_equal(slab_create("test", 100, 3000, &slab), 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3000; i++) {
            objects[i] = slab_alloc(slab);
            assert_non_null(objects[i]);
            assert_int_equal((uintptr_t)objects[i] % _Alignof(max_align_t), 0);
            for (size_t j = 0; j < 100; j++) {
                assert_int_equal(objects[i][j], 0);
            }
            memset(objects[i], (int)(i % 255) + 1, 100);
        }
        assert_null(slab_alloc(slab));
        assert_int_equal(slab_count(slab), 3000);
        for (size_t i = 0; i < 3000; i++) {
            assert_int_equal(objects[i][0], i % 255 + 1);
            assert_int_equal(objects[i][99], i % 255 + 1);
            slab_free(slab, objects[i]);
        }
        assert_int_equal(slab_count(slab), 0);
    }
    slab_free(slab, NULL);
    slab_destroy(slab);
    slab_destroy(NULL);
}

static void slab_lends_and_takes_back(void **unused)
{
    (void)unused;
    check_slab();
    assert_int_equal(setenv("WEIR_SLAB", "malloc", 1), 0);
    check_slab();
    assert_int_equal(unsetenv("WEIR_SLAB"), 0);
}

static void slab_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    struct slab *slab = NULL;

    fault_arm("alloc", 1);
    assert_int_equal(slab_create("test", 8, 10, &slab), -ENOMEM);
    assert_int_equal(slab_create("test", 8, 10, &slab), 0);
    fault_arm("alloc", 1);
    assert_null(slab_alloc(slab));
    assert_int_equal(slab_count(slab), 0);
    void *object = slab_alloc(slab);
    assert_non_null(object);
    fault_arm(NULL, 0);
    slab_free(slab, object);
    slab_destroy(slab);
#endif
}

/* A freed object is out of bounds for ASan, and filled. */
static void slab_poisons_what_is_free(void **unused)
{
    (void)unused;
#ifdef WR_ASAN
    struct slab *slab = NULL;

    assert_int_equal(slab_create("test", 64, 10, &slab), 0);
    uint8_t *object = slab_alloc(slab);
    assert_false(__asan_address_is_poisoned(object));
    slab_free(slab, object);
    assert_true(__asan_address_is_poisoned(object));
    assert_true(__asan_address_is_poisoned(object + 63));
    WR_UNPOISON(object, 64);
    assert_int_equal(object[63], 0xdb);
    slab_destroy(slab);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_stores_and_forgets),    cmocka_unit_test(map_agrees_with_a_model),
        cmocka_unit_test(map_frees_values),          cmocka_unit_test(map_survives_no_memory),
        cmocka_unit_test(slab_lends_and_takes_back), cmocka_unit_test(slab_survives_no_memory),
        cmocka_unit_test(slab_poisons_what_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
