/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with fixed layouts, PREPARE_OK, and EXECUTE, one row or many, taken apart and put together
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/command.h"
#include "weir/protocol/stmt.h"

static void test_command_table(void **state)
{
    (void)state;
    assert_string_equal(command_name(COM_QUERY), "Query");
    assert_string_equal(command_name(0x7f), "Unknown");
    assert_true(command_is_known(COM_MARIADB_STMT_BULK_EXECUTE));
    assert_false(command_is_known(0xff));
    static const struct {
        uint8_t com;
        enum reply_kind kind;
    } kinds[] = {
        {COM_QUERY, REPLY_QUERY},
        {COM_STMT_PREPARE, REPLY_PREPARE},
        {COM_STMT_EXECUTE, REPLY_EXECUTE},
        {COM_STMT_FETCH, REPLY_FETCH},
        {COM_MARIADB_STMT_BULK_EXECUTE, REPLY_EXECUTE},
        {COM_STMT_CLOSE, REPLY_NONE},
        {COM_STMT_SEND_LONG_DATA, REPLY_NONE},
        {COM_QUIT, REPLY_NONE},
        {COM_STATISTICS, REPLY_STATISTICS},
        {COM_FIELD_LIST, REPLY_FIELD_LIST},
        {COM_SET_OPTION, REPLY_SIMPLE},
        {COM_PROCESS_INFO, REPLY_QUERY},
        {COM_PING, REPLY_SIMPLE},
        {0x7f, REPLY_SIMPLE},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_int_equal(command_reply_kind(kinds[i].com), kinds[i].kind);
    }
}

static void test_small_commands(void **state)
{
    (void)state;
    uint32_t id = 0;
    uint16_t option = 9;
    struct command_field_list list;
    struct command_long_data data;
    struct command_fetch fetch;
    uint8_t bytes[] = {COM_STMT_CLOSE, 1, 2, 3, 4};

    assert_int_equal(command_decode_stmt_id((struct span){bytes, 5}, &id), DEC_OK);
    assert_int_equal(id, 0x04030201);
    assert_int_equal(command_decode_stmt_id((struct span){bytes, 4}, &id), DEC_BAD);
    assert_true(command_set_stmt_id(bytes, 5, 0xa0b0c0d0));
    assert_int_equal(command_decode_stmt_id((struct span){bytes, 5}, &id), DEC_OK);
    assert_int_equal(id, 0xa0b0c0d0);
    assert_false(command_set_stmt_id(bytes, 4, 1));

    assert_int_equal(command_decode_set_option(SPAN_LIT("\x1b\x01\x00"), &option), DEC_OK);
    assert_int_equal(option, 1); /* the low byte comes first */
    assert_int_equal(command_decode_set_option(SPAN_LIT("\x1b\x01"), &option), DEC_BAD);
    assert_int_equal(command_decode_set_option(SPAN_LIT("\x1b\x01\x00\x00"), &option), DEC_BAD);

    assert_int_equal(command_decode_process_kill(SPAN_LIT("\x0c\x05\x00\x00\x00"), &id), DEC_OK);
    assert_int_equal(id, 5);

    assert_int_equal(command_decode_field_list(SPAN_LIT("\x04tab\0a%"), &list), DEC_OK);
    assert_true(span_eq_text(list.table, "tab"));
    assert_true(span_eq_text(list.wildcard, "a%"));
    assert_int_equal(command_decode_field_list(SPAN_LIT("\x04tab"), &list), DEC_BAD);

    assert_int_equal(command_decode_long_data(SPAN_LIT("\x18\x01\0\0\0\x02\0xyz"), &data), DEC_OK);
    assert_int_equal(data.stmt_id, 1);
    assert_int_equal(data.param, 2);
    assert_true(span_eq_text(data.data, "xyz"));
    assert_int_equal(command_decode_long_data(SPAN_LIT("\x18\x01\0\0\0\x02"), &data), DEC_BAD);

    assert_int_equal(command_decode_fetch(SPAN_LIT("\x1c\x01\0\0\0\x64\0\0\0"), &fetch), DEC_OK);
    assert_int_equal(fetch.rows, 100);
    assert_int_equal(command_decode_fetch(SPAN_LIT("\x1c\x01\0\0\0\x64\0\0"), &fetch), DEC_BAD);
}

static void test_encoders(void **state)
{
    (void)state;
    uint8_t array[16];
    struct wire_out out;
    wire_out_array(&out, array, sizeof array);
    command_encode(&out, COM_INIT_DB, SPAN_LIT("db"));
    command_encode_u32(&out, COM_STMT_RESET, 7);
    command_encode_set_option(&out, 1);
    assert_true(wire_out_ok(&out));
    assert_int_equal(out.len, 11);
    assert_memory_equal(array,
                        "\x02"
                        "db\x1a\x07\0\0\0\x1b\x01\0",
                        11);
}

static void test_prepare_ok(void **state)
{
    (void)state;
    struct stmt_prepared prepared;
    struct span packet = SPAN_LIT("\x00\x07\0\0\0\x03\0\x02\0\0\x01\0");
    assert_int_equal(stmt_prepared_decode(packet, &prepared), DEC_OK);
    assert_int_equal(prepared.id, 7);
    assert_int_equal(prepared.columns, 3);
    assert_int_equal(prepared.params, 2);
    assert_int_equal(prepared.warnings, 1);
    packet.len--;
    assert_int_equal(stmt_prepared_decode(packet, &prepared), DEC_BAD);
}

/* Three parameters: INT 5, NULL, string "ab". */
static const uint8_t execute_packet[] = {COM_STMT_EXECUTE,
                                         9,
                                         0,
                                         0,
                                         0,
                                         STMT_CURSOR_READ_ONLY,
                                         1,
                                         0,
                                         0,
                                         0,    /* fixed */
                                         0x02, /* NULL bitmap */
                                         1,
                                         3,
                                         0,
                                         3,
                                         0,
                                         0xfd,
                                         0, /* types */
                                         5,
                                         0,
                                         0,
                                         0,
                                         2,
                                         'a',
                                         'b'};

static void test_execute_decode(void **state)
{
    (void)state;
    struct stmt_execute execute;
    struct span packet = {execute_packet, sizeof execute_packet};
    assert_int_equal(stmt_execute_decode(packet, 3, &execute), DEC_OK);
    assert_int_equal(execute.id, 9);
    assert_int_equal(execute.flags, STMT_CURSOR_READ_ONLY);
    assert_int_equal(execute.iterations, 1);
    assert_true(execute.has_types);
    assert_int_equal(execute.nulls.len, 1);
    assert_int_equal(execute.types.len, 6);
    assert_int_equal(execute.values.len, 7);
    assert_int_equal(stmt_execute_check_values(&execute, 3, (struct span){NULL, 0}, NULL), DEC_OK);
    for (size_t len = 0; len < sizeof execute_packet; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, execute_packet, len);
        if (stmt_execute_decode((struct span){copy, len}, 3, &execute) == DEC_OK) {
            assert_true(len >= 18);
            assert_int_equal(stmt_execute_check_values(&execute, 3, (struct span){NULL, 0}, NULL),
                             DEC_BAD);
        }
        free(copy);
    }
    /* Without parameters nothing behind the fixed part matters. */
    assert_int_equal(stmt_execute_decode((struct span){execute_packet, 10}, 0, &execute), DEC_OK);
    assert_false(execute.has_types);
    assert_int_equal(stmt_execute_decode((struct span){execute_packet, 9}, 0, &execute), DEC_BAD);
    /* 65535 parameters in a short packet. */
    assert_int_equal(stmt_execute_decode(packet, 0xffff, &execute), DEC_BAD);
}

static void test_execute_rewritten(void **state)
{
    (void)state;
    uint8_t array[64];
    struct wire_out out;
    struct stmt_execute execute;
    struct stmt_execute again;
    struct span types = {execute_packet + 12, 6};
    uint8_t without[] = {
        COM_STMT_EXECUTE, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0x02, 0, 5, 0, 0, 0, 2, 'a', 'b'};

    /* Types sent by the client stay. */
    assert_int_equal(
        stmt_execute_decode((struct span){execute_packet, sizeof execute_packet}, 3, &execute),
        DEC_OK);
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x55, (struct span){NULL, 0}, 3);
    assert_true(wire_out_ok(&out));
    assert_int_equal(out.len, sizeof execute_packet);
    assert_int_equal(array[1], 0x55);
    assert_memory_equal(array + 5, execute_packet + 5, sizeof execute_packet - 5);

    /* Types of an earlier EXECUTE are put in. */
    assert_int_equal(stmt_execute_decode((struct span){without, sizeof without}, 3, &execute),
                     DEC_OK);
    assert_false(execute.has_types);
    assert_int_equal(stmt_execute_check_values(&execute, 3, types, NULL), DEC_OK);
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x66, types, 3);
    assert_true(wire_out_ok(&out));
    assert_int_equal(stmt_execute_decode((struct span){array, out.len}, 3, &again), DEC_OK);
    assert_int_equal(again.id, 0x66);
    assert_true(again.has_types);
    assert_true(span_eq(again.types, types));
    assert_true(span_eq(again.values, execute.values));
    assert_true(span_eq(again.nulls, execute.nulls));

    /* No types known: refused, the server would guess. */
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x66, (struct span){NULL, 0}, 3);
    assert_false(wire_out_ok(&out));
}

static void test_values_of_every_type(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        const char *value;
        size_t len;
    } cases[] = {
        {0x01, "a", 1},
        {0x02, "ab", 2},
        {0x0d, "ab", 2},
        {0x03, "abcd", 4},
        {0x04, "abcd", 4},
        {0x09, "abcd", 4},
        {0x05, "abcdefgh", 8},
        {0x08, "abcdefgh", 8},
        {0x06, "", 0},
        {0x0a, "\x00", 1},
        {0x0a,
         "\x04"
         "abcd",
         5},
        {0x0c,
         "\x07"
         "abcdefg",
         8},
        {0x0b,
         "\x0c"
         "abcdefghijkl",
         13},
        {0x07,
         "\x0b"
         "abcdefghijk",
         12},
        {0xfc,
         "\x02"
         "ab",
         3},
        {0xf6,
         "\x03"
         "1.5",
         4},
        {0x10,
         "\x01"
         "a",
         2},
        {0xf5, "\x02{}", 3},
        {0xff, "\x00", 1},
        {0xf2,
         "\x04"
         "abcd",
         5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t types[2] = {cases[i].type, 0x80};
        uint8_t nulls[1] = {0};
        struct stmt_execute execute = {
            .has_types = true,
            .nulls = {nulls, 1},
            .types = {types, 2},
            .values = {(const uint8_t *)cases[i].value, cases[i].len},
        };
        assert_int_equal(stmt_execute_check_values(&execute, 1, execute.types, NULL), DEC_OK);
        if (cases[i].len > 0) {
            execute.values.len--;
            assert_int_equal(stmt_execute_check_values(&execute, 1, execute.types, NULL), DEC_BAD);
            /* NULL, and long data sent before, have no value here. */
            execute.values.len = 0;
            nulls[0] = 1;
            assert_int_equal(stmt_execute_check_values(&execute, 1, execute.types, NULL), DEC_OK);
            nulls[0] = 0;
            const uint8_t long_data[1] = {1};
            assert_int_equal(stmt_execute_check_values(&execute, 1, execute.types, long_data),
                             DEC_OK);
        }
    }
    uint8_t unknown[2] = {0x55, 0};
    uint8_t nulls[1] = {0};
    struct stmt_execute execute = {
        .has_types = true, .nulls = {nulls, 1}, .types = {unknown, 2}, .values = SPAN_LIT("a")};
    assert_int_equal(stmt_execute_check_values(&execute, 1, execute.types, NULL), DEC_BAD);
}

/* Two parameters, INT and string; rows (5, "ab"), (NULL, DEFAULT), (IGNORE, ""). */
static const uint8_t bulk_packet[] = {COM_MARIADB_STMT_BULK_EXECUTE,
                                      9,
                                      0,
                                      0,
                                      0,
                                      STMT_BULK_SEND_TYPES,
                                      0,
                                      3,
                                      0,
                                      0xfd,
                                      0, /* types */
                                      0,
                                      5,
                                      0,
                                      0,
                                      0,
                                      0,
                                      2,
                                      'a',
                                      'b',
                                      1,
                                      2,
                                      3,
                                      0,
                                      0};

static void test_bulk_decode(void **state)
{
    (void)state;
    struct stmt_execute execute;
    struct span none = {NULL, 0};
    struct span packet = {bulk_packet, sizeof bulk_packet};
    uint32_t rows = 0;

    assert_int_equal(stmt_bulk_decode(packet, 2, &execute), DEC_OK);
    assert_int_equal(execute.id, 9);
    assert_true(execute.is_bulk);
    assert_true(execute.has_types);
    assert_int_equal(execute.bulk_flags, STMT_BULK_SEND_TYPES);
    assert_int_equal(execute.flags, STMT_CURSOR_NONE);
    assert_int_equal(execute.types.len, 4);
    assert_int_equal(execute.values.len, 14);
    assert_int_equal(stmt_bulk_check_values(&execute, 2, none, &rows), DEC_OK);
    assert_int_equal(rows, 3);
    /* Cut short it is whole at the end of a row, and nowhere else. */
    for (size_t len = 0; len < sizeof bulk_packet; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, bulk_packet, len);
        if (stmt_bulk_decode((struct span){copy, len}, 2, &execute) == DEC_OK) {
            enum dec_rc want = len == 20 || len == 22 ? DEC_OK : DEC_BAD;
            assert_true(len >= 11);
            assert_int_equal(stmt_bulk_check_values(&execute, 2, none, &rows), want);
        } else {
            assert_true(len < 11);
        }
        free(copy);
    }
    /* An indicator that nobody knows; more parameters than types; none at all. */
    assert_int_equal(stmt_bulk_decode(SPAN_LIT("\xfa\1\0\0\0\x80\0\1\0\4"), 1, &execute), DEC_OK);
    assert_int_equal(stmt_bulk_check_values(&execute, 1, none, &rows), DEC_BAD);
    assert_int_equal(stmt_bulk_decode(packet, 0xffff, &execute), DEC_BAD);
    assert_int_equal(stmt_bulk_decode(packet, 0, &execute), DEC_OK);
    assert_false(execute.has_types);
    assert_int_equal(stmt_bulk_check_values(&execute, 0, none, &rows), DEC_BAD);
}

static void test_bulk_rewritten(void **state)
{
    (void)state;
    uint8_t array[64];
    uint8_t without[sizeof bulk_packet - 4] = {0};
    struct wire_out out;
    struct stmt_execute execute;
    struct stmt_execute again;
    struct span types = {bulk_packet + 7, 4};
    uint32_t rows = 0;

    memcpy(without, bulk_packet, 5);
    memcpy(without + 7, bulk_packet + 11, sizeof bulk_packet - 11);
    assert_int_equal(stmt_bulk_decode((struct span){without, sizeof without}, 2, &execute), DEC_OK);
    assert_false(execute.has_types);
    assert_int_equal(stmt_bulk_check_values(&execute, 2, types, &rows), DEC_OK);
    /* Types of an earlier execution are put in: the packet is as if they had been sent. */
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x66, types, 2);
    assert_true(wire_out_ok(&out));
    assert_int_equal(out.len, sizeof bulk_packet);
    assert_int_equal(array[1], 0x66);
    assert_memory_equal(array + 5, bulk_packet + 5, sizeof bulk_packet - 5);
    /* The client's own stay. */
    assert_int_equal(stmt_bulk_decode((struct span){array, out.len}, 2, &again), DEC_OK);
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &again, 9, (struct span){without, 4}, 2);
    assert_memory_equal(array, bulk_packet, sizeof bulk_packet);
    /* No types known: refused. */
    wire_out_array(&out, array, sizeof array);
    stmt_execute_encode(&out, &execute, 0x66, (struct span){NULL, 0}, 2);
    assert_false(wire_out_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_table),
        cmocka_unit_test(test_small_commands),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_prepare_ok),
        cmocka_unit_test(test_execute_decode),
        cmocka_unit_test(test_execute_rewritten),
        cmocka_unit_test(test_values_of_every_type),
        cmocka_unit_test(test_bulk_decode),
        cmocka_unit_test(test_bulk_rewritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
