/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what a session has left behind, and variables that are set again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/attr.h"
#include "weir/util/err.h"

#include "sess_left_priv.h"

static void test_multiset(void **state)
{
    struct nameset set = {0};
    struct span t = SPAN_LIT("d\0t");
    struct span u = SPAN_LIT("d\0T");

    (void)state;
    assert_true(nameset_is_empty(&set, PIN_TEMP_TABLE));
    nameset_remove(&set, PIN_TEMP_TABLE, t);
    nameset_add(&set, PIN_TEMP_TABLE, t);
    nameset_add(&set, PIN_TEMP_TABLE, t);
    nameset_add(&set, PIN_TEMP_TABLE, u);
    nameset_add(&set, PIN_HANDLER, t);
    assert_int_equal(nameset_count(&set, PIN_TEMP_TABLE, t), 2);
    assert_int_equal(nameset_count(&set, PIN_TEMP_TABLE, u), 1);
    nameset_remove(&set, PIN_TEMP_TABLE, SPAN_LIT("e\0t"));
    nameset_remove(&set, PIN_TEMP_TABLE, t);
    assert_int_equal(nameset_count(&set, PIN_TEMP_TABLE, t), 1);
    nameset_remove(&set, PIN_TEMP_TABLE, u);
    assert_false(nameset_is_empty(&set, PIN_TEMP_TABLE));
    nameset_remove(&set, PIN_TEMP_TABLE, t);
    assert_true(nameset_is_empty(&set, PIN_TEMP_TABLE));
    assert_false(nameset_is_empty(&set, PIN_HANDLER));
    nameset_remove(&set, PIN_HANDLER, t);
    assert_true(nameset_is_empty(&set, PIN_HANDLER));
    nameset_fini(&set);
}

static void test_case(void **state)
{
    struct nameset set = {0};

    (void)state;
    nameset_add(&set, PIN_TEXT_PREPARE, SPAN_LIT("One"));
    assert_int_equal(nameset_count(&set, PIN_TEXT_PREPARE, SPAN_LIT("oNE")), 1);
    nameset_remove(&set, PIN_TEXT_PREPARE, SPAN_LIT("ONE"));
    assert_true(nameset_is_empty(&set, PIN_TEXT_PREPARE));
    nameset_add(&set, PIN_NAMED_LOCK, SPAN_LIT("A"));
    nameset_add(&set, PIN_TEXT_PREPARE, SPAN_LIT("p"));
    nameset_add(&set, PIN_NAMED_LOCK, SPAN_LIT("b"));
    assert_true(span_eq_text(nameset_name(&set, PIN_NAMED_LOCK, 1), "b"));
    assert_null(nameset_name(&set, PIN_NAMED_LOCK, 2).p);
    nameset_clear(&set, PIN_NAMED_LOCK);
    assert_true(nameset_is_empty(&set, PIN_NAMED_LOCK));
    assert_false(nameset_is_empty(&set, PIN_TEXT_PREPARE));
    nameset_fini(&set);
}

static void test_bound(void **state)
{
    struct nameset set = {0};
    char long_name[NAMESET_NAME_MAX + 1];

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    nameset_add(&set, PIN_HANDLER, (struct span){(uint8_t *)long_name, sizeof(long_name)});
    assert_false(nameset_is_empty(&set, PIN_HANDLER));
    assert_null(nameset_name(&set, PIN_HANDLER, 0).p);
    nameset_clear(&set, PIN_HANDLER);
    assert_true(nameset_is_empty(&set, PIN_HANDLER));
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "t%u", i);

        nameset_add(&set, PIN_TEMP_TABLE, (struct span){(uint8_t *)name, (size_t)len});
    }
    assert_true(buf_len(&set.bytes) <= NAMESET_MAX);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "t%u", i);

        nameset_remove(&set, PIN_TEMP_TABLE, (struct span){(uint8_t *)name, (size_t)len});
    }
    assert_int_equal(buf_len(&set.bytes), 0);
    assert_false(nameset_is_empty(&set, PIN_TEMP_TABLE)); /* some were not counted */
    nameset_fini(&set);
}

static void expect_set(const struct varlist *list, const char *want)
{
    struct buf text = {0};

    assert_int_equal(varlist_format(list, &text), 0);
    assert_string_equal(buf_text(&text), want);
    buf_fini(&text);
}

static void test_vars(void **state)
{
    struct varlist list = {0};
    struct varlist more = {0};

    (void)state;
    expect_set(&list, "");
    assert_int_equal(varlist_set(&list, SPAN_LIT("a"), SPAN_LIT("1")), 0);
    assert_int_equal(varlist_set(&list, SPAN_LIT("b"), SPAN_LIT("NULL")), 0);
    assert_false(list.has_text);
    assert_int_equal(varlist_set(&list, SPAN_LIT("A"), SPAN_LIT("-2")), 0);
    expect_set(&list, "SET @`b`=NULL,@`A`=-2");
    assert_int_equal(varlist_set(&more, SPAN_LIT("c"), SPAN_LIT("'x'")), 0);
    assert_int_equal(varlist_set(&more, SPAN_LIT("B"), SPAN_LIT("3")), 0);
    assert_int_equal(varlist_merge(&list, &more), 0);
    expect_set(&list, "SET @`A`=-2,@`c`='x',@`B`=3");
    assert_true(list.has_text);
    assert_int_equal(varlist_set(&list, SPAN_LIT("a"), SPAN_LIT("null")), 0);
    assert_int_equal(varlist_set(&list, SPAN_LIT("a"), SPAN_LIT("NULL")), 0);
    expect_set(&list, "SET @`A`=-2,@`c`='x',@`B`=3,@`a`=NULL");
    assert_int_equal(varlist_set(&list, SPAN_LIT("A"), SPAN_LIT("1")), 0);
    expect_set(&list, "SET @`c`='x',@`B`=3,@`A`=1");
    varlist_fini(&list);
    varlist_fini(&more);
}

static void test_vars_bound(void **state)
{
    static char literal[SESS_VARS_MAX / 2];
    struct varlist list = {0};
    struct varlist more = {0};
    struct span half = {(uint8_t *)literal, sizeof(literal)};

    (void)state;
    memset(literal, '7', sizeof(literal));
    assert_int_equal(varlist_set(&list, SPAN_LIT("a"), half), 0);
    assert_int_equal(varlist_set(&more, SPAN_LIT("b"), half), 0);
    assert_true(varlist_set(&list, SPAN_LIT("b"), half) < 0);
    assert_true(varlist_merge(&list, &more) < 0);
    assert_int_equal(buf_len(&list.bytes), 3 + 1 + sizeof(literal));
    assert_int_equal(varlist_set(&list, SPAN_LIT("A"), half), 0);
    varlist_fini(&list);
    varlist_fini(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multiset),   cmocka_unit_test(test_case),
        cmocka_unit_test(test_bound),      cmocka_unit_test(test_vars),
        cmocka_unit_test(test_vars_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
