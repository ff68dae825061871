/* SPDX-License-Identifier: Apache-2.0 */
/* Replies: every kind, every cut of the bytes, and what a Redis that lies might send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/redis/reply.h"
#include "weir/util/buf.h"

#define MAX_BYTES ((size_t)4096)

static struct redis_reader *reader_new(void)
{
    struct redis_reader *reader = NULL;

    assert_int_equal(redis_reader_create(MAX_BYTES, &reader), 0);
    return reader;
}

/* The bytes in memory of their own, so that reading past their end is seen. */
static int feed(struct redis_reader *reader, const char *bytes, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    int r = redis_reader_feed(reader, copy, len);
    free(copy);
    return r;
}

static void show(const struct redis_value *value, struct buf *out)
{
    static const char marks[] = {[REDIS_NIL] = '_',    [REDIS_STATUS] = '+',  [REDIS_ERROR] = '-',
                                 [REDIS_STRING] = '$', [REDIS_INTEGER] = ':', [REDIS_ARRAY] = '*'};

    assert_true(buf_printf(out, MAX_BYTES, "%c", marks[value->kind]) >= 0);
    if (value->kind == REDIS_INTEGER) {
        assert_true(buf_printf(out, MAX_BYTES, "%lld", (long long)value->number) >= 0);
    } else if (value->kind == REDIS_ARRAY) {
        for (uint32_t i = 0; i < value->count; i++) {
            show(&value->items[i], out);
        }
        assert_true(buf_printf(out, MAX_BYTES, ".") >= 0);
    } else if (value->kind != REDIS_NIL) {
        assert_true(buf_append_span(out, value->text, MAX_BYTES) >= 0);
    }
}

/* All replies, shown; ended by what comes after them. */
static enum dec_rc take(struct redis_reader *reader, struct buf *out)
{
    const struct redis_value *value = NULL;
    enum dec_rc rc = redis_reader_next(reader, &value);

    while (rc == DEC_OK) {
        show(value, out);
        assert_true(buf_append(out, " ", 1, MAX_BYTES) >= 0);
        rc = redis_reader_next(reader, &value);
    }
    return rc;
}

static const char ALL[] =
    "+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhe\r\no\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"
    "*3\r\n$7\r\nmessage\r\n*2\r\n:1\r\n$-1\r\n+x\r\n*1\r\n*1\r\n*1\r\n:7\r\n";
static const char SHOWN[] = "+OK -ERR no :-42 $he\r\no _ _ *. $ *$message*:1_.+x. ***:7... ";

static void whole_and_cut(void **unused)
{
    size_t len = sizeof(ALL) - 1;

    (void)unused;
    for (size_t step = 1; step <= len; step++) {
        struct redis_reader *reader = reader_new();
        struct buf out;

        buf_init(&out);
        for (size_t at = 0; at < len; at += step) {
            assert_int_equal(feed(reader, ALL + at, at + step < len ? step : len - at), 0);
            assert_int_equal(take(reader, &out), DEC_MORE);
        }
        assert_true(span_eq_text(buf_span(&out), SHOWN));
        buf_fini(&out);
        redis_reader_destroy(reader);
    }
}

static void truncated(void **unused)
{
    size_t len = sizeof(ALL) - 1;

    (void)unused;
    for (size_t cut = 0; cut < len; cut++) {
        struct redis_reader *reader = reader_new();
        struct buf out;

        buf_init(&out);
        assert_int_equal(feed(reader, ALL, cut), 0);
        assert_int_equal(take(reader, &out), DEC_MORE);
        assert_memory_equal(buf_span(&out).p == NULL ? (const uint8_t *)"" : buf_span(&out).p,
                            SHOWN, buf_len(&out));
        buf_fini(&out);
        redis_reader_destroy(reader);
    }
}

static void bad(const char *bytes, size_t len)
{
    struct redis_reader *reader = reader_new();
    const struct redis_value *value = NULL;
    struct buf out;

    buf_init(&out);
    assert_int_equal(feed(reader, bytes, len), 0);
    if (take(reader, &out) != DEC_BAD) {
        fail_msg("taken: %s", bytes);
    }
    /* it stays so */
    assert_true(feed(reader, "+OK\r\n", 5) < 0);
    assert_int_equal(redis_reader_next(reader, &value), DEC_BAD);
    buf_fini(&out);
    redis_reader_destroy(reader);
}

static void lies(void **unused)
{
    static const char *const texts[] = {
        "hello\r\n",
        "\r\n",
        "*2000000000\r\n",
        "*8193\r\n",
        "*9223372036854775807\r\n",
        "*99999999999999999999999\r\n",
        "*-2\r\n",
        "$-2\r\n",
        "$99999999999999999999999\r\n",
        ":\r\n",
        ":12x\r\n",
        "*2\r\n*8000\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "~1\r\n+a\r\n",
        ">1\r\n+a\r\n",
        ",1.5\r\n",
        "#t\r\n",
        "(123\r\n",
        "=5\r\ntxt:a\r\n",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strncmp(texts[i], "*2\r\n*8000", 9) == 0) {
            char more[64];

            /* 8000 in the first, 8000 more in the second: never as many as they say */
            (void)snprintf(more, sizeof(more), "*2\r\n*8000\r\n*8000\r\n");
            bad(more, strlen(more));
            continue;
        }
        bad(texts[i], strlen(texts[i]));
    }
}

/* Nothing that is announced is held before it is there, and no more than allowed then. */
static void endless(void **unused)
{
    struct redis_reader *reader = reader_new();
    const struct redis_value *value = NULL;
    char page[256];
    size_t fed = 0;
    enum dec_rc rc = DEC_MORE;

    (void)unused;
    memset(page, 'x', sizeof(page));
    assert_int_equal(feed(reader, "$2000000000\r\n", 13), 0);
    while (rc == DEC_MORE) {
        rc = redis_reader_next(reader, &value);
        if (rc == DEC_MORE) {
            assert_int_equal(feed(reader, page, sizeof(page)), 0);
            fed += sizeof(page);
        }
        assert_true(fed <= 2 * MAX_BYTES);
    }
    assert_int_equal(rc, DEC_BAD);
    redis_reader_destroy(reader);
    /* many small ones in an array that never ends */
    reader = reader_new();
    fed = 0;
    rc = DEC_MORE;
    assert_int_equal(feed(reader, "*8000\r\n", 7), 0);
    while (rc == DEC_MORE) {
        rc = redis_reader_next(reader, &value);
        if (rc == DEC_MORE) {
            assert_int_equal(feed(reader, "$1\r\na\r\n", 7), 0);
            fed += 7;
        }
        assert_true(fed <= 2 * MAX_BYTES);
    }
    assert_int_equal(rc, DEC_BAD);
    redis_reader_destroy(reader);
}

/* What came before is forgotten: a reader that has read a lot holds little. */
static void long_life(void **unused)
{
    struct redis_reader *reader = reader_new();
    const struct redis_value *value = NULL;

    (void)unused;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(feed(reader, "*2\r\n$3\r\nabc\r\n:5\r\n", 17), 0);
        assert_int_equal(redis_reader_next(reader, &value), DEC_OK);
        assert_int_equal(value->items[1].number, 5);
        assert_int_equal(redis_reader_next(reader, &value), DEC_MORE);
    }
    redis_reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_cut), cmocka_unit_test(truncated), cmocka_unit_test(lies),
        cmocka_unit_test(endless),       cmocka_unit_test(long_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
