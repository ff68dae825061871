/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats as MySQL 5.6 to 9 and MariaDB 10 write them: version 4 of the log, a header of 19 bytes.
 * Rows are not looked at: a TABLE_MAP stands before them and has the name.
 */
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "weir/protocol/wire.h"

#include "event_priv.h"

#define FORMAT_FIXED     (2U + 50U + 4U + 1U)
#define HEADER_LEN_AT    (2U + 50U + 4U)
#define COMMIT_US_HAS_2  (UINT64_C(1) << 55)
#define GTID_FLAG_SINGLE 0x01U /* MariaDB's FL_STANDALONE */

/* --- headers --- */

static bool header_read(struct wire *wire, struct event *event, uint32_t *ret_size)
{
    event->when_s = wire_u32(wire);
    event->type = wire_u8(wire);
    event->server_id = wire_u32(wire);
    *ret_size = wire_u32(wire);
    event->next = wire_u32(wire);
    event->flags = wire_u16(wire);
    return wire_ok(wire) && *ret_size >= EVENT_HEADER_BYTES;
}

bool event_decode(struct span bytes, bool has_checksum, struct event *ret_event)
{
    struct event event;
    struct wire wire;
    uint32_t size = 0;

    wire_init(&wire, bytes);
    if (!header_read(&wire, &event, &size) || size != bytes.len) {
        return false;
    }
    event.body = wire_rest(&wire);
    /* A FORMAT event has one in any case: it tells of itself. */
    if (event.type == EVENT_FORMAT || has_checksum) {
        if (event.body.len < EVENT_CHECKSUM_BYTES) {
            return false;
        }
        event.body.len -= EVENT_CHECKSUM_BYTES;
    }
    *ret_event = event;
    return true;
}

bool event_next(struct span *bytes, struct event *ret_event)
{
    struct wire wire;
    uint32_t size = 0;

    wire_init(&wire, *bytes);
    if (!header_read(&wire, ret_event, &size)) {
        return false;
    }
    ret_event->body = wire_bytes(&wire, size - EVENT_HEADER_BYTES);
    *bytes = wire_rest(&wire);
    return wire_ok(&wire);
}

bool event_format(const struct event *event, bool *ret_has_checksum)
{
    struct span body = event->body; /* its last byte is the algorithm: 0 none, 1 CRC32 */

    if (body.len < FORMAT_FIXED + 1 || body.p[0] != 4 || body.p[1] != 0 ||
        body.p[HEADER_LEN_AT] != EVENT_HEADER_BYTES || body.p[body.len - 1] > 1) {
        return false;
    }
    *ret_has_checksum = body.p[body.len - 1] == 1;
    return true;
}

bool event_rotate(const struct event *event, struct span *ret_file, uint64_t *ret_position)
{
    struct wire wire;

    wire_init(&wire, event->body);
    *ret_position = wire_u64(&wire);
    *ret_file = wire_rest(&wire);
    return wire_ok(&wire) && ret_file->len > 0 && memchr(ret_file->p, 0, ret_file->len) == NULL;
}

/* --- transactions --- */

static void gtid_plain(struct wire *wire, struct event_gtid *gtid)
{
    struct span uuid = {NULL, 0};

    wire_skip(wire, 1);
    uuid = wire_bytes(wire, sizeof(gtid->source.uuid));
    gtid->range.from = wire_u64(wire);
    if (!wire_ok(wire)) {
        return;
    }
    memcpy(gtid->source.uuid, uuid.p, uuid.len);
    if (wire_left(wire) >= 1 + 16 + 7 && wire_u8(wire) == 2) { /* 8.0.1 and later */
        wire_skip(wire, 16);
        gtid->commit_us = wire_u32(wire);
        gtid->commit_us |= (uint64_t)wire_u24(wire) << 32;
        gtid->commit_us &= COMMIT_US_HAS_2 - 1;
    }
}

/* MySQL's serialization library: as many ones at the low end of the first byte as bytes follow. */
static uint64_t varlen(struct wire *wire)
{
    uint8_t first = wire_u8(wire);
    unsigned more = 0;
    uint64_t value = 0;

    while (more < 8 && (first >> more & 1U) != 0) {
        more++;
    }
    for (unsigned i = 0; i < more; i++) {
        value |= (uint64_t)wire_u8(wire) << (8 * i);
    }
    if (more >= 7) { /* nothing of the first byte is left */
        return value;
    }
    return value << (7 - more) | first >> (more + 1);
}

enum tagged_field {
    TAGGED_FLAGS,
    TAGGED_UUID,
    TAGGED_NUMBER,
    TAGGED_TAG,
    TAGGED_LAST_COMMITTED,
    TAGGED_SEQUENCE,
    TAGGED_COMMIT_US,
};

static void tagged_tag(struct wire *wire, struct event_gtid *gtid)
{
    struct span tag = wire_bytes(wire, varlen(wire));

    if (!wire_ok(wire) || tag.len > sizeof(gtid->source.tag)) {
        wire_fail(wire);
        return;
    }
    gtid->source.tag_len = (uint8_t)tag.len;
    if (tag.len > 0) {
        memcpy(gtid->source.tag, tag.p, tag.len);
    }
}

/* Fields come in order; what is behind those wanted is not looked at. */
static void gtid_tagged(struct wire *wire, struct event_gtid *gtid)
{
    if (varlen(wire) != 1) {
        wire_fail(wire);
    }
    (void)varlen(wire); /* size of all */
    (void)varlen(wire); /* the last field that may not be skipped */
    for (uint64_t next = TAGGED_FLAGS; next <= TAGGED_COMMIT_US; next++) {
        if (varlen(wire) != next) {
            wire_fail(wire);
        }
        switch ((enum tagged_field)next) {
        case TAGGED_UUID:
            for (size_t i = 0; i < sizeof(gtid->source.uuid); i++) {
                gtid->source.uuid[i] = (uint8_t)varlen(wire);
            }
            break;
        case TAGGED_NUMBER:
            gtid->range.from = varlen(wire) >> 1; /* signed: the lowest bit is the sign */
            break;
        case TAGGED_TAG:
            tagged_tag(wire, gtid);
            break;
        case TAGGED_COMMIT_US:
            gtid->commit_us = varlen(wire);
            break;
        case TAGGED_FLAGS:
        case TAGGED_LAST_COMMITTED:
        case TAGGED_SEQUENCE:
            (void)varlen(wire);
            break;
        }
    }
}

bool event_gtid(const struct event *event, struct event_gtid *ret_gtid)
{
    struct wire wire;

    memset(ret_gtid, 0, sizeof(*ret_gtid));
    wire_init(&wire, event->body);
    if (event->type == EVENT_MARIA_GTID) {
        ret_gtid->is_mariadb = true;
        ret_gtid->range.to = wire_u64(&wire);
        ret_gtid->range.source = wire_u32(&wire);
        ret_gtid->range.server = event->server_id;
        ret_gtid->is_single = (wire_u8(&wire) & GTID_FLAG_SINGLE) != 0;
        return wire_ok(&wire) && ret_gtid->range.to > 0;
    }
    if (event->type == EVENT_GTID_TAGGED) {
        gtid_tagged(&wire, ret_gtid);
    } else {
        gtid_plain(&wire, ret_gtid);
    }
    ret_gtid->range.to = ret_gtid->range.from;
    ret_gtid->is_anonymous = event->type == EVENT_ANONYMOUS;
    return wire_ok(&wire) && (ret_gtid->is_anonymous ||
                              (ret_gtid->range.from > 0 && ret_gtid->range.from <= INT64_MAX));
}

struct gtid_set event_gtid_set(struct event_gtid *gtid)
{
    struct gtid_set set;

    memset(&set, 0, sizeof(set));
    if (!gtid->is_anonymous) {
        set.kind = gtid->is_mariadb ? GTID_MARIADB : GTID_MYSQL;
        set.sources = gtid->is_mariadb ? NULL : &gtid->source;
        set.source_count = gtid->is_mariadb ? 0 : 1;
        set.source_cap = set.source_count;
        set.ranges = &gtid->range;
        set.count = 1;
        set.cap = 1;
    }
    return set;
}

/* --- tables and statements --- */

bool event_table(const struct event *event, struct span *ret_schema, struct span *ret_name)
{
    struct wire wire;

    wire_init(&wire, event->body);
    wire_skip(&wire, 6 + 2);
    *ret_schema = wire_lenenc_bytes(&wire);
    wire_skip(&wire, 1);
    *ret_name = wire_lenenc_bytes(&wire);
    wire_skip(&wire, 1);
    return wire_ok(&wire) && ret_schema->len > 0 && ret_name->len > 0;
}

enum status_var {
    STATUS_FLAGS2 = 0,
    STATUS_SQL_MODE = 1,
    STATUS_CATALOG = 2,
    STATUS_AUTO_INCREMENT = 3,
    STATUS_CHARSET = 4,
};

/* What comes behind these is not wanted; the order is the servers'. */
static void status_read(struct span vars, struct event_query *query)
{
    struct wire wire;

    wire_init(&wire, vars);
    while (wire_left(&wire) > 0) {
        switch (wire_u8(&wire)) {
        case STATUS_FLAGS2:
        case STATUS_AUTO_INCREMENT:
            wire_skip(&wire, 4);
            break;
        case STATUS_SQL_MODE:
            query->sql_mode = wire_u64(&wire);
            break;
        case STATUS_CATALOG:
            wire_skip(&wire, (size_t)wire_u8(&wire) + 1);
            break;
        case STATUS_CHARSET:
            query->charset_id = wire_u16(&wire);
            return;
        case 6: /* the catalog, without a 0 behind it */
            wire_skip(&wire, wire_u8(&wire));
            break;
        default:
            return;
        }
    }
}

bool event_query(const struct event *event, struct event_query *ret_query)
{
    struct event_query query;
    struct wire wire;
    struct span vars = {NULL, 0};
    uint8_t schema_len = 0;
    uint16_t vars_len = 0;

    memset(&query, 0, sizeof(query));
    wire_init(&wire, event->body);
    wire_skip(&wire, 4 + 4);
    schema_len = wire_u8(&wire);
    wire_skip(&wire, 2);
    vars_len = wire_u16(&wire);
    if (event->type == EVENT_EXECUTE_LOAD) {
        wire_skip(&wire, 4 + 4 + 4 + 1); /* which file, where its name stands, duplicates */
    }
    vars = wire_bytes(&wire, vars_len);
    query.schema = wire_bytes(&wire, schema_len);
    wire_skip(&wire, 1);
    query.text = wire_rest(&wire);
    query.is_compressed = event->type == EVENT_MARIA_QUERY;
    if (!wire_ok(&wire)) {
        return false;
    }
    status_read(vars, &query);
    *ret_query = query;
    return true;
}

/* MariaDB: a byte with how long the length is, the length with its high byte first, zlib's bytes. */
bool event_query_text(const struct event_query *query, struct buf *out, size_t max,
                      struct span *ret_text)
{
    struct wire wire;
    uint8_t head = 0;
    size_t len = 0;
    uLongf got = 0;

    if (!query->is_compressed) {
        *ret_text = query->text;
        return true;
    }
    wire_init(&wire, query->text);
    head = wire_u8(&wire);
    for (unsigned i = head & 7U; i > 0; i--) {
        len = len << 8 | wire_u8(&wire);
    }
    if (!wire_ok(&wire) || (head & 0x80U) == 0 || (head & 0x70U) != 0 || (head & 7U) > 4 ||
        len > max || buf_reserve(out, len + 1, max + 1) < 0) {
        return false;
    }
    got = (uLongf)len;
    struct span packed = wire_rest(&wire);
    if (packed.len > max || uncompress(buf_tail(out), &got, packed.p, (uLong)packed.len) != Z_OK ||
        got != len) {
        return false;
    }
    buf_commit(out, len);
    *ret_text = buf_span(out);
    return true;
}

enum payload_field {
    PAYLOAD_END = 0,
    PAYLOAD_SIZE = 1,
    PAYLOAD_ALGORITHM = 2,
    PAYLOAD_UNPACKED = 3,
};

#define PAYLOAD_ZSTD 0
#define PAYLOAD_NONE 255

bool event_payload(const struct event *event, struct buf *out, size_t max, struct span *ret_events)
{
    uint64_t fields[4] = {0, 0, PAYLOAD_NONE, 0};
    struct wire wire;
    struct span packed = {NULL, 0};
    uint64_t field = 0;

    wire_init(&wire, event->body);
    while ((field = wire_lenenc(&wire)) != PAYLOAD_END) {
        struct wire value;

        wire_init(&value, wire_lenenc_bytes(&wire));
        if (field < 4) {
            fields[field] = wire_lenenc(&value);
        }
        if (!wire_ok(&wire) || !wire_ok(&value)) {
            return false;
        }
    }
    packed = wire_bytes(&wire, fields[PAYLOAD_SIZE]);
    if (!wire_ok(&wire)) {
        return false;
    }
    if (fields[PAYLOAD_ALGORITHM] == PAYLOAD_NONE) {
        *ret_events = packed;
        return true;
    }
    if (fields[PAYLOAD_ALGORITHM] != PAYLOAD_ZSTD || fields[PAYLOAD_UNPACKED] > max ||
        buf_reserve(out, fields[PAYLOAD_UNPACKED] + 1, max + 1) < 0) {
        return false;
    }
    size_t got = ZSTD_decompress(buf_tail(out), fields[PAYLOAD_UNPACKED], packed.p, packed.len);
    if (ZSTD_isError(got) != 0) {
        return false;
    }
    buf_commit(out, got);
    *ret_events = buf_span(out);
    return true;
}
