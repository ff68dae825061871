/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts:
 *
 *   MySQL     uuid[:tag]:n[-m][:n[-m]...][:tag:n[-m]...], ...    a tag holds for what follows it
 *   MariaDB   domain-server-sequence, ...                        each domain once
 */
#include <string.h>

#include "weir/protocol/gtid.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "gtid_priv.h"

/* The last number that MySQL gives out, and a bound for MariaDB's, so that one more never wraps. */
#define NUMBER_MAX (UINT64_MAX / 2 - 1)

struct reader {
    const uint8_t *p;
    const uint8_t *end;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_blank(struct reader *in)
{
    while (in->p < in->end && is_blank(*in->p)) {
        in->p++;
    }
}

static bool take(struct reader *in, uint8_t c)
{
    if (in->p == in->end || *in->p != c) {
        return false;
    }
    in->p++;
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool take_number(struct reader *in, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    const uint8_t *start = in->p;

    while (in->p < in->end && is_digit(*in->p)) {
        uint64_t digit = (uint64_t)(*in->p - '0');
        if (n > (max - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
        in->p++;
    }
    *ret = n;
    return in->p > start;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_uuid(struct reader *in, uint8_t uuid[16])
{
    for (unsigned i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && !take(in, '-')) {
            return false;
        }
        if (in->end - in->p < 2) {
            return false;
        }
        int high = hex_value(in->p[0]);
        int low = hex_value(in->p[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid[i] = (uint8_t)(high << 4 | low);
        in->p += 2;
    }
    return true;
}

/* A letter or an underscore, then those and digits; case does not count. */
static bool take_tag(struct reader *in, struct gtid_source *source)
{
    uint8_t len = 0;

    memset(source->tag, 0, sizeof(source->tag));
    while (in->p < in->end && len < GTID_TAG_MAX) {
        uint8_t c = *in->p;
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(len > 0 && is_digit(c))) {
            break;
        }
        source->tag[len++] = (char)c;
        in->p++;
    }
    source->tag_len = len;
    return len > 0;
}

/* Behind a uuid: everything up to the next comma. */
static int parse_source(struct reader *in, const struct gtid_limits *limits, struct gtid_set *set)
{
    struct gtid_source source = {.tag_len = 0};
    bool has_range = false;
    bool has_source = false;
    uint32_t index = 0;

    if (!take_uuid(in, source.uuid)) {
        return -WR_E_BAD_PACKET;
    }
    while (take(in, ':')) {
        struct gtid_range range = {.server = 0};
        int r = 0;
        if (in->p < in->end && !is_digit(*in->p)) {
            if (!take_tag(in, &source)) {
                return -WR_E_BAD_PACKET;
            }
            has_range = false;
            has_source = false;
            continue;
        }
        if (!take_number(in, NUMBER_MAX, &range.from) || range.from == 0) {
            return -WR_E_BAD_PACKET;
        }
        range.to = range.from;
        if (take(in, '-') && (!take_number(in, NUMBER_MAX, &range.to) || range.to < range.from)) {
            return -WR_E_BAD_PACKET;
        }
        if (!has_source) {
            r = gtid_source_add(set, &source, limits, &index);
            has_source = true;
        }
        range.source = index;
        if (r >= 0) {
            r = gtid_range_add(set, &range, limits);
        }
        if (r < 0) {
            return r;
        }
        has_range = true;
    }
    return has_range ? 0 : -WR_E_BAD_PACKET;
}

static int parse_position(struct reader *in, const struct gtid_limits *limits, struct gtid_set *set)
{
    struct gtid_range range = {.from = 0};
    uint64_t domain = 0;
    uint64_t server = 0;

    if (!take_number(in, UINT32_MAX, &domain) || !take(in, '-') ||
        !take_number(in, UINT32_MAX, &server) || !take(in, '-') ||
        !take_number(in, NUMBER_MAX, &range.to) || range.to == 0) {
        return -WR_E_BAD_PACKET;
    }
    range.source = (uint32_t)domain;
    range.server = (uint32_t)server;
    uint32_t before = set->count;
    int r = gtid_range_add(set, &range, limits);
    if (r >= 0 && set->count == before) {
        return -WR_E_BAD_PACKET; /* the same domain twice */
    }
    return r;
}

/* In a UUID a hyphen is the ninth byte, and behind it comes no number of a domain's form. */
static enum gtid_kind kind_of(struct span text)
{
    return memchr(text.p, ':', text.len) != NULL ? GTID_MYSQL : GTID_MARIADB;
}

/* Into an empty set, whose storage is used; what is in it after a failure is of no use. */
static int parse_into(struct gtid_set *set, struct span text, enum gtid_kind kind,
                      const struct gtid_limits *limits)
{
    static const uint8_t nothing[1];
    struct reader in = {nothing, nothing};
    int r = 0;

    set->kind = GTID_ANY;
    if (text.len > 0) {
        in = (struct reader){text.p, text.p + text.len};
    }
    skip_blank(&in);
    if (in.p == in.end) {
        return 0;
    }
    set->kind = kind == GTID_ANY ? kind_of(text) : kind;
    do {
        skip_blank(&in);
        r = set->kind == GTID_MYSQL ? parse_source(&in, limits, set)
                                    : parse_position(&in, limits, set);
        skip_blank(&in);
    } while (r >= 0 && take(&in, ','));
    return r >= 0 && in.p != in.end ? -WR_E_BAD_PACKET : r;
}

int gtid_parse(struct span text, enum gtid_kind kind, const struct gtid_limits *limits,
               struct gtid_set *ret_set)
{
    struct gtid_set set;

    gtid_init(&set);
    int r = parse_into(&set, text, kind, limits);
    if (r < 0) {
        gtid_fini(&set);
        return r;
    }
    gtid_fini(ret_set);
    *ret_set = set;
    return 0;
}

int gtid_add_text(struct gtid_set *set, struct span text, const struct gtid_limits *limits)
{
    enum gtid_kind kind = set->kind;
    struct gtid_set more;
    int r = 0;

    if (gtid_is_empty(set)) {
        gtid_clear(set);
        r = parse_into(set, text, kind, limits);
        if (r < 0) {
            gtid_clear(set);
        }
        if (gtid_is_empty(set)) {
            set->kind = kind;
        }
        return r;
    }
    gtid_init(&more);
    r = gtid_parse(text, kind, limits, &more);
    if (r >= 0) {
        r = gtid_add(set, &more, limits);
    }
    gtid_fini(&more);
    return r;
}

/* --- writing --- */

static int put_uuid(struct buf *out, const uint8_t uuid[16], size_t max)
{
    static const char digits[] = "0123456789abcdef";
    char text[36];
    size_t at = 0;

    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[at++] = '-';
        }
        text[at++] = digits[uuid[i] >> 4];
        text[at++] = digits[uuid[i] & 15];
    }
    return buf_append(out, text, at, max);
}

static int put_source(struct buf *out, const struct gtid_source *source, size_t max)
{
    int r = put_uuid(out, source->uuid, max);
    if (r >= 0 && source->tag_len > 0) {
        r = buf_append(out, ":", 1, max);
    }
    return r < 0 ? r : buf_append(out, source->tag, source->tag_len, max);
}

/* The digits of number ahead of end; returns where they begin. */
static char *digits_before(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return end;
}

static int put_range(struct buf *out, const struct gtid_range *range, size_t max)
{
    char text[42]; /* two marks, twice UINT64_MAX */
    char *end = text + sizeof(text);
    char *at = digits_before(end, range->to);

    if (range->from != range->to) {
        *--at = '-';
        at = digits_before(at, range->from);
    }
    *--at = ':';
    return buf_append(out, at, (size_t)(end - at), max);
}

static int put_position(struct buf *out, const struct gtid_range *range, size_t max)
{
    char text[42]; /* two marks, twice UINT32_MAX, UINT64_MAX */
    char *end = text + sizeof(text);
    char *at = digits_before(end, range->to);

    *--at = '-';
    at = digits_before(at, range->server);
    *--at = '-';
    at = digits_before(at, range->source);
    return buf_append(out, at, (size_t)(end - at), max);
}

int gtid_format(const struct gtid_set *set, struct buf *out, size_t max)
{
    int r = 0;

    for (uint32_t i = 0; i < set->count && r >= 0; i++) {
        const struct gtid_range *range = &set->ranges[i];
        bool is_new = i == 0 || range[-1].source != range->source;
        if (is_new && i > 0) {
            r = buf_append(out, ",", 1, max);
        }
        if (r < 0) {
            break;
        }
        if (set->kind == GTID_MARIADB) {
            r = put_position(out, range, max);
            continue;
        }
        if (is_new) {
            r = put_source(out, &set->sources[range->source], max);
        }
        if (r >= 0) {
            r = put_range(out, range, max);
        }
    }
    return r;
}
