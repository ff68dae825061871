/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/stream.h"

static struct gtid_set set_of(const char *text)
{
    struct gtid_set set;

    gtid_init(&set);
    assert_int_equal(gtid_parse(span_of(text), GTID_ANY, &GTID_LIMITS_SERVER, &set), 0);
    return set;
}

static bool has(struct cache_stream *stream, const char *text)
{
    struct gtid_set want = set_of(text);
    bool it_has = cache_stream_has(stream, &want);

    gtid_fini(&want);
    return it_has;
}

static void begin(struct cache_stream *stream, const char *text, uint64_t now_us)
{
    struct gtid_set position = set_of(text);

    cache_stream_begin(stream, &position, now_us);
    gtid_fini(&position);
}

static void test_heard(void **state)
{
    struct cache_stream stream;
    (void)state;
    assert_int_equal(cache_stream_init(&stream), 0);
    assert_false(cache_stream_is_heard(&stream, 0));
    assert_int_equal(cache_stream_state(&stream), CACHE_STREAM_OFF);
    cache_stream_pause(&stream, CACHE_STREAM_STARTING);
    assert_false(cache_stream_is_heard(&stream, 0));
    cache_stream_begin(&stream, NULL, 5000);
    assert_true(cache_stream_is_heard(&stream, 5000));
    assert_int_equal(cache_stream_since_us(&stream), 5000);
    /* silence is no news */
    assert_true(cache_stream_is_heard(&stream, 5000 + CACHE_STREAM_SILENCE_US - 1));
    assert_false(cache_stream_is_heard(&stream, 5000 + CACHE_STREAM_SILENCE_US));
    cache_stream_hear(&stream, 7000);
    assert_true(cache_stream_is_heard(&stream, 5000 + CACHE_STREAM_SILENCE_US));
    /* a pause has the same beginning, an end has none */
    cache_stream_pause(&stream, CACHE_STREAM_FAILED);
    assert_false(cache_stream_is_heard(&stream, 7000));
    assert_int_equal(cache_stream_since_us(&stream), 5000);
    cache_stream_hear(&stream, 8000);
    assert_true(cache_stream_is_heard(&stream, 8000));
    cache_stream_end(&stream, CACHE_STREAM_NO_PRIMARY);
    assert_false(cache_stream_is_heard(&stream, 8000));
    assert_int_equal(cache_stream_since_us(&stream), 0);
    cache_stream_fini(&stream);
}

static void test_position(void **state)
{
    struct cache_stream stream;
    (void)state;
    assert_int_equal(cache_stream_init(&stream), 0);
    assert_false(has(&stream, "0-1-5"));
    cache_stream_begin(&stream, NULL, 1); /* not told in GTIDs: nobody's token is in it */
    assert_false(has(&stream, "0-1-5"));
    begin(&stream, "0-1-5", 2);
    assert_true(has(&stream, "0-1-4"));
    assert_true(has(&stream, "0-1-5"));
    assert_false(has(&stream, "0-1-6"));
    assert_false(has(&stream, "1-1-1"));
    struct gtid_set more = set_of("0-2-7,1-1-3");
    assert_int_equal(cache_stream_advance(&stream, &more), 0);
    gtid_fini(&more);
    assert_true(has(&stream, "0-1-6"));
    assert_true(has(&stream, "0-1-7,1-1-3"));
    assert_false(has(&stream, "0-1-8"));
    /* a new beginning forgets the old */
    begin(&stream, "0-1-2", 3);
    assert_false(has(&stream, "0-1-7"));
    assert_false(has(&stream, "1-1-1"));
    /* of MySQL; a set of the other kind has no union with it */
    begin(&stream, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", 4);
    assert_true(has(&stream, "3e11fa47-71ca-11e1-9e33-c80aa9429562:2-5"));
    assert_false(has(&stream, "3e11fa47-71ca-11e1-9e33-c80aa9429562:6"));
    more = set_of("0-1-9");
    assert_true(cache_stream_advance(&stream, &more) < 0);
    gtid_fini(&more);
    assert_true(has(&stream, "3e11fa47-71ca-11e1-9e33-c80aa9429562:5"));
    cache_stream_fini(&stream);
}

static void test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CACHE_STREAM_END_; i++) {
        assert_true(strlen(cache_stream_state_text((enum cache_stream_state)i)) > 1);
        assert_true(strlen(cache_stream_state_label((enum cache_stream_state)i)) > 1);
    }
    assert_string_equal(cache_stream_state_text(CACHE_STREAM_END_), "?");
    assert_string_equal(cache_stream_state_label(CACHE_STREAM_END_), "?");
}

/* --- one writes, others read --- */

enum {
    TURNS = 20000
};

static void *listen_on(void *arg)
{
    struct cache_stream *stream = arg;

    for (uint64_t i = 1; i <= TURNS; i++) {
        if (i % 100 == 0) {
            cache_stream_end(stream, CACHE_STREAM_FAILED);
            begin(stream, "0-1-1", i);
        }
        cache_stream_hear(stream, i);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct cache_stream stream;
    pthread_t thread = 0;
    (void)state;
    assert_int_equal(cache_stream_init(&stream), 0);
    begin(&stream, "0-1-1", 1);
    assert_int_equal(pthread_create(&thread, NULL, listen_on, &stream), 0);
    struct gtid_set want = set_of("0-1-2");
    for (unsigned i = 0; i < TURNS; i++) {
        (void)cache_stream_is_heard(&stream, i);
        (void)cache_stream_since_us(&stream);
        assert_false(cache_stream_has(&stream, &want));
    }
    gtid_fini(&want);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(cache_stream_is_heard(&stream, TURNS));
    cache_stream_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heard),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
