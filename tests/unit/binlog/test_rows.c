/* SPDX-License-Identifier: Apache-2.0 */
/* test_rows.c - rows in events: which of them, with every type in front of the column that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/row.h"
#include "weir/protocol/wire.h"

#include "rows_priv.h"

/* One column of each kind, and a value of it. */
struct kind {
    uint8_t type;
    uint8_t metadata[2];
    uint8_t metadata_len;
    uint8_t value[12];
    uint8_t value_len;
};

static const struct kind KINDS[] = {
    {1, {0}, 0, {1}, 1},
    {2, {0}, 0, {1}, 2},
    {4, {4}, 1, {1}, 4},
    {5, {8}, 1, {1}, 8},
    {8, {0}, 0, {1}, 8},
    {9, {0}, 0, {1}, 3},
    {10, {0}, 0, {1}, 3},
    {13, {0}, 0, {1}, 1},
    {15, {200, 0}, 2, {3, 'a', 'b', 'c'}, 4},
    {15, {44, 1}, 2, {3, 0, 'a', 'b', 'c'}, 5},
    {16, {3, 1}, 2, {1, 1}, 2},
    {17, {6}, 1, {1}, 7},
    {18, {0}, 1, {1}, 5},
    {19, {3}, 1, {1}, 5},
    {245, {4}, 1, {2, 0, 0, 0, 'a', 'b'}, 6},
    {246, {10, 3}, 2, {1}, 6},
    {252, {2}, 1, {2, 0, 'a', 'b'}, 4},
    {254, {254, 40}, 2, {2, 'a', 'b'}, 3},
    {254, {0xce, 0xff}, 2, {2, 0, 'a', 'b'}, 4}, /* CHAR(255) of 4 bytes each: 1020 */
    {254, {247, 1}, 2, {1}, 1},
    {254, {248, 2}, 2, {1}, 2},
};

#define KIND_COUNT (sizeof(KINDS) / sizeof(KINDS[0]))

static const struct catalogue_key KEY = {
    .column = {(const uint8_t *)"id", 2}, .position = KIND_COUNT, .bytes = 4};

static struct event of(uint8_t type, const struct wire_out *out)
{
    assert_true(wire_out_ok(out));
    return (struct event){.type = type, .body = {out->array, out->len}};
}

/* All kinds, and then the key. */
static struct event map_event(struct wire_out *out)
{
    size_t metadata = 0;

    wire_put_u32(out, 77);
    wire_put_u16(out, 0);
    wire_put_u16(out, 1);
    wire_put_lenenc_bytes(out, SPAN_LIT("d"));
    wire_put_u8(out, 0);
    wire_put_lenenc_bytes(out, SPAN_LIT("t"));
    wire_put_u8(out, 0);
    wire_put_lenenc(out, KIND_COUNT + 1);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        wire_put_u8(out, KINDS[i].type);
        metadata += KINDS[i].metadata_len;
    }
    wire_put_u8(out, 3);
    wire_put_lenenc(out, metadata);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        wire_put_bytes(out, (struct span){KINDS[i].metadata, KINDS[i].metadata_len});
    }
    wire_put_zero(out, (KIND_COUNT + 8) / 8);
    return of(EVENT_TABLE_MAP, out);
}

static void head_put(struct wire_out *out, bool is_v2, unsigned images)
{
    wire_put_u32(out, 77);
    wire_put_u16(out, 0);
    wire_put_u16(out, 1);
    if (is_v2) {
        wire_put_u16(out, 4);
        wire_put_u16(out, 0x4711);
    }
    wire_put_lenenc(out, KIND_COUNT + 1);
    for (unsigned i = 0; i < images * ((KIND_COUNT + 8) / 8); i++) {
        wire_put_u8(out, 0xff);
    }
}

/* null: of each third column. */
static void image_put(struct wire_out *out, uint32_t id, bool has_nulls)
{
    for (size_t byte = 0; byte < (KIND_COUNT + 8) / 8; byte++) {
        uint8_t bits = 0;

        for (size_t i = byte * 8; has_nulls && i < byte * 8 + 8 && i < KIND_COUNT; i++) {
            bits = (uint8_t)(bits | (i % 3 == 0 ? 1U << (i % 8) : 0));
        }
        wire_put_u8(out, bits);
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!has_nulls || i % 3 != 0) {
            wire_put_bytes(out, (struct span){KINDS[i].value, KINDS[i].value_len});
        }
    }
    wire_put_u32(out, id);
}

static bool has_row(const struct version_writes *writes, const char *value)
{
    const struct version_row row = {SPAN_LIT("d"), SPAN_LIT("t"), SPAN_LIT("id"), span_of(value)};

    for (uint32_t i = 0; i < writes->count; i++) {
        if (writes->slots[i] ==
            (value[0] == '\0' ? version_slot_column(&row) : version_slot_row(&row))) {
            return true;
        }
    }
    return false;
}

static struct rows_table *map(struct rows *rows)
{
    uint8_t bytes[256];
    struct wire_out out;
    struct event event;
    struct rows_table *table = NULL;

    memset(rows, 0, sizeof(*rows));
    wire_out_array(&out, bytes, sizeof(bytes));
    event = map_event(&out);
    table = rows_map(rows, &event, &KEY, 1);
    assert_non_null(table);
    assert_false(table->is_whole);
    assert_ptr_equal(rows_find(rows, &event), table);
    assert_ptr_equal(rows_map(rows, &event, &KEY, 1), table);
    /* cut anywhere, it is taken for the whole table, or for none */
    for (size_t cut = 0; cut < event.body.len; cut++) {
        struct rows other = {.count = 0};
        struct event part = event;

        part.body.len = cut;
        table = rows_map(&other, &part, &KEY, 1);
        assert_true(table == NULL || table->is_whole ||
                    cut >= event.body.len - (KIND_COUNT + 8) / 8);
    }
    return rows_find(rows, &event);
}

static void test_rows(void **state)
{
    static const uint8_t types[] = {EVENT_WRITE_ROWS,   EVENT_UPDATE_ROWS,   EVENT_DELETE_ROWS,
                                    EVENT_WRITE_ROWS_1, EVENT_UPDATE_ROWS_1, EVENT_DELETE_ROWS_1};
    struct rows rows;
    const struct rows_table *table = map(&rows);

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        bool is_update = types[i] == EVENT_UPDATE_ROWS || types[i] == EVENT_UPDATE_ROWS_1;
        struct version_writes writes = {0};
        uint8_t bytes[1024];
        struct wire_out out;
        struct event event;

        wire_out_array(&out, bytes, sizeof(bytes));
        head_put(&out, types[i] >= EVENT_WRITE_ROWS, is_update ? 2 : 1);
        image_put(&out, 5, false);
        if (is_update) {
            image_put(&out, 6, true);
        }
        image_put(&out, 7, true);
        if (is_update) {
            image_put(&out, 0xfffffff0, false); /* below 0 */
        }
        event = of(types[i], &out);
        assert_true(rows_read(&event, table, &writes));
        assert_true(has_row(&writes, "5") && has_row(&writes, "7"));
        assert_int_equal(has_row(&writes, "6"), is_update);
        assert_int_equal(has_row(&writes, ""), is_update);
        assert_int_equal(writes.count, is_update ? 5 : 3);
        for (size_t cut = 0; cut < event.body.len; cut++) {
            struct event part = event;
            bool is_whole_rows = false;

            memset(&writes, 0, sizeof(writes));
            part.body.len = cut;
            is_whole_rows = rows_read(&part, table, &writes);
            assert_true(!is_whole_rows || writes.count == 0 || has_row(&writes, "5"));
        }
    }
}

static void test_refused(void **state)
{
    struct catalogue_key key = KEY;
    struct version_writes writes = {0};
    struct rows rows;
    struct rows_table *table = map(&rows);
    uint8_t bytes[1024];
    struct wire_out out;
    struct event event;

    (void)state;
    wire_out_array(&out, bytes, sizeof(bytes));
    head_put(&out, true, 1);
    image_put(&out, 5, false);
    event = of(EVENT_PARTIAL_ROWS, &out);
    assert_false(rows_read(&event, table, &writes));
    event.type = EVENT_MARIA_WRITE_ROWS;
    assert_false(rows_read(&event, table, &writes));
    event.type = EVENT_WRITE_ROWS;
    assert_true(rows_read(&event, table, &writes));
    memset(bytes + 8 + 2 + 2 + 1, 0, (KIND_COUNT + 8) / 8); /* no column at all */
    assert_false(rows_read(&event, table, &writes));
    memset(bytes + 8 + 2 + 2 + 1, 0xff, (KIND_COUNT + 8) / 8);
    table->is_whole = true;
    assert_false(rows_read(&event, table, &writes));
    /* a definition that the catalogue does not know yet */
    wire_out_array(&out, bytes, sizeof(bytes));
    event = map_event(&out);
    key.bytes = 8;
    assert_true(rows_map(&rows, &event, &key, 1)->is_whole);
    key = KEY;
    key.position = KIND_COUNT + 1;
    assert_true(rows_map(&rows, &event, &key, 1)->is_whole);
    assert_true(rows_map(&rows, &event, &KEY, 0)->is_whole);
    assert_false(rows_map(&rows, &event, &KEY, 1)->is_whole);
    bytes[8 + 3 + 3 + 1] = 12; /* DATETIME of old: of unknown length */
    assert_true(rows_map(&rows, &event, &KEY, 1)->is_whole);
    /* more tables than are kept apart */
    for (uint8_t i = 0; i < ROWS_TABLES + 1; i++) {
        bytes[0] = i;
        table = rows_map(&rows, &event, &KEY, 1);
    }
    assert_null(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
