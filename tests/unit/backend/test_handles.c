/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared statements of one connection: found by text and state, bounded, never evicted while busy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/handles.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

struct rig {
    struct svec_values *values;
    struct handles handles;
    struct svec state;
};

static void rig_init(struct rig *rig)
{
    assert_int_equal(svec_values_create(&rig->values), 0);
    handles_init(&rig->handles);
    svec_init(&rig->state, rig->values);
    assert_int_equal(svec_set(&rig->state, SVEC_SCHEMA, SPAN_LIT("shop")), 0);
    assert_int_equal(svec_set(&rig->state, SVEC_SQL_MODE, SPAN_LIT("ANSI")), 0);
}

#define INTS   ((struct span){(const uint8_t *)"\x03\0\x03\0", 4})
#define TEXTS  ((struct span){(const uint8_t *)"\xfd\0\xfd\0", 4})
#define FIRST  ((struct handle_user){.session = 7, .stmt = 1})
#define SECOND ((struct handle_user){.session = 7, .stmt = 2})

static void rig_fini(struct rig *rig)
{
    handles_fini(&rig->handles);
    svec_fini(&rig->state);
    svec_values_destroy(rig->values);
}

static struct handle_key key_of(const struct rig *rig, const char *text)
{
    return (struct handle_key){
        .hash = handle_key_hash(span_of(text)), .text = span_of(text), .at = rig->state};
}

static struct handle *add(struct rig *rig, const char *text, uint32_t id, uint32_t max,
                          uint32_t *ret_close)
{
    struct handle_key key = key_of(rig, text);
    struct handle *handle = NULL;

    assert_int_equal(handles_add(&rig->handles, &key, id, 2, max, &handle, ret_close), 0);
    return handle;
}

static struct handle *find(struct rig *rig, const char *text)
{
    struct handle_key key = key_of(rig, text);

    return handles_find(&rig->handles, &key);
}

static void test_found_by_text_and_state(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t closed = 0;
    rig_init(&rig);
    assert_null(find(&rig, "SELECT 1"));
    struct handle *one = add(&rig, "SELECT 1", 11, 10, &closed);
    assert_ptr_equal(find(&rig, "SELECT 1"), one);
    assert_null(find(&rig, "SELECT 2"));
    /* the text means something else in another schema or sql_mode, not in another time zone */
    assert_int_equal(svec_set(&rig.state, SVEC_TIME_ZONE, SPAN_LIT("+01:00")), 0);
    assert_ptr_equal(find(&rig, "SELECT 1"), one);
    assert_int_equal(svec_set(&rig.state, SVEC_SQL_MODE, SPAN_LIT("")), 0);
    assert_null(find(&rig, "SELECT 1"));
    rig_fini(&rig);
}

static void test_oldest_goes_first(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t closed = 0;
    char text[32];
    rig_init(&rig);
    for (uint32_t i = 1; i <= 100; i++) {
        (void)snprintf(text, sizeof(text), "SELECT %u", (unsigned)i);
        (void)add(&rig, text, i, 100, &closed);
        assert_int_equal(closed, 0);
    }
    assert_non_null(find(&rig, "SELECT 1")); /* used: 2 is the oldest now */
    (void)add(&rig, "SELECT 101", 101, 100, &closed);
    assert_int_equal(closed, 2);
    assert_null(find(&rig, "SELECT 2"));
    assert_int_equal(rig.handles.count, 100);
    handles_clear(&rig.handles);
    assert_int_equal(rig.handles.count, 0);
    assert_null(find(&rig, "SELECT 1"));
    rig_fini(&rig);
}

static void test_busy_stays(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t closed = 0;
    struct handle *handle = NULL;
    rig_init(&rig);
    add(&rig, "SELECT 1", 1, 2, &closed)->is_busy = true;
    assert_null(find(&rig, "SELECT 1")); /* its cursor is somebody's */
    struct handle *second = add(&rig, "SELECT 1", 2, 2, &closed);
    assert_ptr_equal(find(&rig, "SELECT 1"), second);
    (void)add(&rig, "SELECT 3", 3, 2, &closed);
    assert_int_equal(closed, 2);
    list_for_each (node, &rig.handles.lru) {
        list_entry(node, struct handle, lru)->is_busy = true;
    }
    struct handle_key key = key_of(&rig, "SELECT 4");
    assert_int_equal(handles_add(&rig.handles, &key, 4, 0, 2, &handle, &closed), -WR_E_LIMIT);
    assert_int_equal(rig.handles.count, 2);
    rig_fini(&rig);
}

static void test_types(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t closed = 0;
    rig_init(&rig);
    struct handle *handle = add(&rig, "SELECT ?, ?", 1, 2, &closed);
    assert_int_equal(handle_set_types(handle, SPAN_LIT("\x03"), FIRST), 0); /* not of two */
    assert_null(handle->types);
    assert_int_equal(handle_set_types(handle, INTS, FIRST), 0);
    assert_memory_equal(handle->types, INTS.p, 4);
    rig_fini(&rig);
}

static struct handle *find_typed(struct rig *rig, struct span types, struct handle_user user)
{
    struct handle_key key = key_of(rig, "SELECT ?, ?");

    key.types = types;
    key.user = user;
    return handles_find(&rig->handles, &key);
}

/* A server that keeps the types of the first EXECUTE: nobody gets a handle that had others. */
static void test_types_of_others(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t closed = 0;
    rig_init(&rig);
    struct handle *handle = add(&rig, "SELECT ?, ?", 1, 9, &closed);
    assert_ptr_equal(find_typed(&rig, INTS, FIRST), handle); /* never executed */
    assert_int_equal(handle_set_types(handle, INTS, FIRST), 0);
    assert_ptr_equal(find_typed(&rig, INTS, SECOND), handle);
    assert_ptr_equal(find_typed(&rig, TEXTS, FIRST), handle); /* its own, whatever it does */
    assert_null(find_typed(&rig, TEXTS, SECOND));
    assert_null(find_typed(&rig, (struct span){INTS.p, 0}, SECOND)); /* no types sent yet */
    assert_ptr_equal(find(&rig, "SELECT ?, ?"), handle);

    assert_int_equal(handle_set_types(handle, TEXTS, FIRST), 0);
    assert_ptr_equal(find_typed(&rig, INTS, FIRST), handle);
    assert_null(find_typed(&rig, INTS, SECOND)); /* mixed */
    assert_null(find_typed(&rig, TEXTS, SECOND));

    struct handle *other = add(&rig, "SELECT ?, ?", 2, 9, &closed);
    assert_ptr_equal(find_typed(&rig, TEXTS, SECOND), other);
    assert_int_equal(handle_set_types(other, TEXTS, SECOND), 0);
    assert_int_equal(handle_set_types(other, TEXTS, FIRST), 0); /* now it is nobody's own */
    assert_ptr_equal(find_typed(&rig, TEXTS, SECOND), other);
    assert_null(find_typed(&rig, INTS, SECOND));
    rig_fini(&rig);
}

/* To another worker and its table of values. */
static void test_moved(void **state)
{
    (void)state;
    struct rig rig;
    struct rig other;
    struct buf bytes;
    uint32_t closed = 0;
    rig_init(&rig);
    rig_init(&other);
    buf_init(&bytes);
    (void)add(&rig, "SELECT 1", 7, 10, &closed);
    assert_int_equal(svec_pack(&rig.state, &bytes), 0);
    assert_int_equal(handles_pack(&rig.handles, &bytes), 0);
    struct span rest = buf_span(&bytes);
    struct svec moved;
    svec_init(&moved, other.values);
    assert_int_equal(svec_unpack(&moved, &rest), 0);
    assert_true(svec_is_equal(&moved, &other.state));
    assert_int_equal(handles_unpack(&rig.handles, other.values, &rest), 0);
    assert_int_equal(rest.len, 0);
    struct handle_key key = key_of(&other, "SELECT 1");
    assert_non_null(handles_find(&rig.handles, &key));
    /* cut anywhere it is refused */
    for (size_t len = 0; len < buf_len(&bytes); len++) {
        struct svec cut;
        struct span part = {buf_span(&bytes).p, len};
        svec_init(&cut, other.values);
        int r = svec_unpack(&cut, &part);
        assert_true(r == 0 || r == -WR_E_BAD_PACKET);
        svec_fini(&cut);
    }
    svec_fini(&moved);
    handles_fini(&rig.handles);
    buf_fini(&bytes);
    rig_fini(&rig);
    rig_fini(&other);
}

/* Variables beside the vector's own places. */
static void test_extra(void **state)
{
    (void)state;
    struct rig rig;
    struct svec have;
    struct buf text;
    const struct svec_policy mysql = {.flavour = TOPO_FLAVOUR_MYSQL};
    rig_init(&rig);
    buf_init(&text);
    svec_init(&have, rig.values);
    assert_int_equal(svec_extra_put(&rig.state, SPAN_LIT("unique_checks"), SPAN_LIT("0")), 0);
    assert_int_equal(svec_extra_put(&rig.state, SPAN_LIT("lc_time_names"), SPAN_LIT("de_DE")), 0);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("sort_buffer_size"), SPAN_LIT("65536")), 0);
    assert_int_equal(svec_format_set(&have, &rig.state, UINT32_C(1) << SVEC_EXTRA, &mysql, &text),
                     3);
    assert_string_equal(buf_text(&text), "SET lc_time_names='de_DE',unique_checks=0,"
                                         "sort_buffer_size=@@global.sort_buffer_size");
    /* in whatever order they were set, equal is equal */
    svec_clear(&have, SVEC_EXTRA);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("lc_time_names"), SPAN_LIT("fr_FR")), 0);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("unique_checks"), SPAN_LIT("0")), 0);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("lc_time_names"), SPAN_LIT("de_DE")), 0);
    assert_true(svec_get(&have, SVEC_EXTRA).p == svec_get(&rig.state, SVEC_EXTRA).p);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("init"), SPAN_LIT("a'b")), -WR_E_UNSUPPORTED);
    assert_int_equal(svec_extra_put(&have, SPAN_LIT("in'it"), SPAN_LIT("1")), -WR_E_UNSUPPORTED);
    svec_fini(&have);
    buf_fini(&text);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_by_text_and_state),
        cmocka_unit_test(test_oldest_goes_first),
        cmocka_unit_test(test_busy_stays),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_types_of_others),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_extra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
