/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "weir/protocol/wire.h"

#include "event_priv.h"

static void event_put(struct wire_out *out, uint8_t type, uint32_t server, struct span body,
                      size_t checksum)
{
    wire_put_u32(out, 1000);
    wire_put_u8(out, type);
    wire_put_u32(out, server);
    wire_put_u32(out, (uint32_t)(EVENT_HEADER_BYTES + body.len + checksum));
    wire_put_u32(out, 4711);
    wire_put_u16(out, 0);
    wire_put_bytes(out, body);
    wire_put_zero(out, checksum);
    assert_true(wire_out_ok(out));
}

static struct event of(uint8_t type, const uint8_t *body, size_t len)
{
    return (struct event){.type = type, .server_id = 7, .body = {body, len}};
}

static void test_header(void **state)
{
    uint8_t bytes[64];
    struct wire_out out;
    struct event event;

    (void)state;
    for (size_t checksum = 0; checksum <= 4; checksum += 4) {
        wire_out_array(&out, bytes, sizeof(bytes));
        event_put(&out, EVENT_XID, 9, SPAN_LIT("12345678"), checksum);
        assert_true(event_decode((struct span){bytes, out.len}, checksum != 0, &event));
        assert_int_equal(event.type, EVENT_XID);
        assert_int_equal(event.server_id, 9);
        assert_int_equal(event.when_s, 1000);
        assert_int_equal(event.next, 4711);
        assert_true(span_eq_text(event.body, "12345678"));
        for (size_t cut = 0; cut < out.len; cut++) {
            assert_false(event_decode((struct span){bytes, cut}, checksum != 0, &event));
        }
    }
}

static void test_gtid(void **state)
{
    uint8_t body[64] = {0};
    struct wire_out out;
    struct event_gtid gtid;
    struct event event;

    (void)state;
    wire_out_array(&out, body, sizeof(body));
    wire_put_u8(&out, 1);
    wire_put_bytes(&out, SPAN_LIT("0123456789abcdef"));
    wire_put_u64(&out, 77);
    wire_put_u8(&out, 2);
    wire_put_zero(&out, 16);
    wire_put_u32(&out, 0x01020304);
    wire_put_u24(&out, 0x800005); /* another time follows */
    event = of(EVENT_GTID, body, out.len);
    assert_true(event_gtid(&event, &gtid));
    assert_int_equal(gtid.range.from, 77);
    assert_true(gtid.commit_us == UINT64_C(0x0501020304));
    assert_memory_equal(gtid.source.uuid, "0123456789abcdef", 16);
    struct gtid_set set = event_gtid_set(&gtid);
    struct gtid_set whole;
    gtid_init(&whole);
    assert_int_equal(gtid_parse(SPAN_LIT("30313233-3435-3637-3839-616263646566:1-77"), GTID_MYSQL,
                                &GTID_LIMITS_SERVER, &whole),
                     0);
    assert_true(gtid_has(&whole, &set));
    gtid.range.from = gtid.range.to = 78;
    assert_false(gtid_has(&whole, &set));
    gtid_fini(&whole);
    event.type = EVENT_ANONYMOUS;
    assert_true(event_gtid(&event, &gtid));
    set = event_gtid_set(&gtid);
    assert_true(gtid.is_anonymous && gtid_is_empty(&set));

    wire_out_array(&out, body, sizeof(body));
    wire_put_u64(&out, 5);
    wire_put_u32(&out, 3);
    wire_put_u8(&out, 1);
    event = of(EVENT_MARIA_GTID, body, out.len);
    assert_true(event_gtid(&event, &gtid));
    assert_true(gtid.is_mariadb && gtid.is_single && gtid.range.source == 3 &&
                gtid.range.server == 7 && gtid.range.to == 5);
    event.body.len--;
    assert_false(event_gtid(&event, &gtid));
}

/* Numbers of one byte are twice themselves; 0xfd needs two. */
static void test_gtid_tagged(void **state)
{
    uint8_t body[80];
    struct wire_out out;
    struct event_gtid gtid;
    struct event event;

    (void)state;
    wire_out_array(&out, body, sizeof(body));
    wire_put_bytes(&out, (struct span){(const uint8_t *)"\x02\x80\x00\x00\x02\x02", 6});
    wire_put_u16(&out, 0xfd << 2 | 1);
    for (int i = 1; i < 16; i++) {
        wire_put_u8(&out, (uint8_t)(i << 1));
    }
    wire_put_bytes(&out, (struct span){(const uint8_t *)"\x04\x14\x06\x06"
                                                        "app"
                                                        "\x08\x00\x0a\x00\x0c\x54",
                                       13});
    event = of(EVENT_GTID_TAGGED, body, out.len);
    assert_true(event_gtid(&event, &gtid));
    assert_int_equal(gtid.range.from, 5);
    assert_int_equal(gtid.source.uuid[0], 0xfd);
    assert_int_equal(gtid.source.uuid[15], 15);
    assert_int_equal(gtid.source.tag_len, 3);
    assert_memory_equal(gtid.source.tag, "app", 3);
    assert_int_equal(gtid.commit_us, 42);
    for (size_t cut = 0; cut < out.len; cut++) {
        event.body.len = cut;
        assert_false(event_gtid(&event, &gtid));
    }
}

static void test_table_and_query(void **state)
{
    uint8_t body[128];
    struct wire_out out;
    struct event event;
    struct event_query query;
    struct span schema;
    struct span name;
    struct span text;
    struct buf buf;

    (void)state;
    wire_out_array(&out, body, sizeof(body));
    wire_put_zero(&out, 8);
    wire_put_lenenc_bytes(&out, SPAN_LIT("shop"));
    wire_put_u8(&out, 0);
    wire_put_lenenc_bytes(&out, SPAN_LIT("orders"));
    wire_put_u8(&out, 0);
    event = of(EVENT_TABLE_MAP, body, out.len);
    assert_true(event_table(&event, &schema, &name));
    assert_true(span_eq_text(schema, "shop") && span_eq_text(name, "orders"));
    event.body.len--;
    assert_false(event_table(&event, &schema, &name));

    for (int packed = 0; packed < 2; packed++) {
        uint8_t zipped[64];
        uLongf zipped_len = sizeof(zipped);

        assert_int_equal(compress(zipped, &zipped_len, (const uint8_t *)"DROP TABLE t", 12), Z_OK);
        wire_out_array(&out, body, sizeof(body));
        wire_put_zero(&out, 8);
        wire_put_u8(&out, 4);
        wire_put_u16(&out, 0);
        wire_put_u16(&out, 5 + 9 + 7);
        wire_put_zero(&out, 5);
        wire_put_u8(&out, 1);
        wire_put_u64(&out, 4);
        wire_put_u8(&out, 4);
        wire_put_u16(&out, 45);
        wire_put_zero(&out, 4);
        wire_put_nul(&out, SPAN_LIT("shop"));
        if (packed) {
            wire_put_u16(&out, 0x0c81);
            wire_put_bytes(&out, (struct span){zipped, zipped_len});
        } else {
            wire_put_bytes(&out, SPAN_LIT("DROP TABLE t"));
        }
        event = of(packed ? EVENT_MARIA_QUERY : EVENT_QUERY, body, out.len);
        buf_init(&buf);
        assert_true(event_query(&event, &query));
        assert_true(span_eq_text(query.schema, "shop"));
        assert_int_equal(query.sql_mode, 4);
        assert_int_equal(query.charset_id, 45);
        assert_true(event_query_text(&query, &buf, 100, &text));
        assert_true(span_eq_text(text, "DROP TABLE t"));
        buf_clear(&buf);
        assert_int_equal(event_query_text(&query, &buf, 11, &text), !packed);
        buf_fini(&buf);
    }
}

static void test_payload(void **state)
{
    uint8_t inside[64];
    uint8_t zipped[128];
    uint8_t body[200];
    struct wire_out out;
    struct event event;
    struct event inner;
    struct span events;
    struct buf buf;
    size_t len = 0;

    (void)state;
    wire_out_array(&out, inside, sizeof(inside));
    event_put(&out, EVENT_XID, 1, SPAN_LIT("12345678"), 0);
    event_put(&out, EVENT_STOP, 1, SPAN_LIT(""), 0);
    size_t inside_len = out.len;
    len = ZSTD_compress(zipped, sizeof(zipped), inside, inside_len, 1);
    assert_false(ZSTD_isError(len));
    wire_out_array(&out, body, sizeof(body));
    wire_put_bytes(&out, (struct span){(const uint8_t *)"\x02\x01\x00\x03\x01", 5});
    wire_put_u8(&out, (uint8_t)inside_len);
    wire_put_bytes(&out, (struct span){(const uint8_t *)"\x01\x01", 2});
    wire_put_u8(&out, (uint8_t)len);
    wire_put_u8(&out, 0);
    wire_put_bytes(&out, (struct span){zipped, len});
    event = of(EVENT_PAYLOAD, body, out.len);
    buf_init(&buf);
    assert_false(event_payload(&event, &buf, inside_len - 1, &events));
    assert_true(event_payload(&event, &buf, inside_len, &events));
    assert_true(event_next(&events, &inner) && inner.type == EVENT_XID && inner.body.len == 8);
    assert_true(event_next(&events, &inner) && inner.type == EVENT_STOP);
    assert_int_equal(events.len, 0);
    for (size_t cut = 0; cut < out.len; cut++) {
        event.body.len = cut;
        buf_clear(&buf);
        assert_false(event_payload(&event, &buf, 1000, &events));
    }
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),      cmocka_unit_test(test_gtid),
        cmocka_unit_test(test_gtid_tagged), cmocka_unit_test(test_table_and_query),
        cmocka_unit_test(test_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
