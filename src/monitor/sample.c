/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "parse_priv.h"
#include "sample_priv.h"

struct log_place log_place_of(struct span file, struct span offset)
{
    struct log_place place = {.file_number = 0};
    size_t dot = file.len;
    uint64_t number = 0;
    uint64_t at = 0;

    while (dot > 0 && file.p[dot - 1] != '.') {
        dot--;
    }
    if (dot < 2 || dot > sizeof(place.base) ||
        !parse_u64((struct span){file.p + dot, file.len - dot}, &number) ||
        !parse_u64(offset, &at)) {
        return place;
    }
    memcpy(place.base, file.p, dot - 1);
    place.base[dot - 1] = '\0';
    place.file_number = number;
    place.offset = at;
    return place;
}

static bool digits_parse(struct span text, size_t at, size_t count, uint64_t *ret_value)
{
    return at + count <= text.len && parse_u64((struct span){text.p + at, count}, ret_value);
}

/* Days from a day long ago, by the calendar of today. */
static uint64_t days_of(uint64_t year, uint64_t month, uint64_t day)
{
    /* a year that begins in March has its odd day at the end */
    uint64_t y = month > 2 ? year : year - 1;
    uint64_t m = month > 2 ? month - 3 : month + 9;

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day;
}

bool sample_stamp_parse(struct span text, uint64_t *ret_us)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    static const size_t at[] = {0, 5, 8, 11, 14, 17};
    uint64_t part[6] = {0};
    uint64_t fraction = 0;
    size_t digits = 0;

    if (text.len < sizeof(shape) - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool is_right = shape[i] == 'd' || text.p[i] == (uint8_t)shape[i] ||
                        (shape[i] == 'T' && text.p[i] == ' ');

        if (!is_right) {
            return false;
        }
    }
    for (size_t i = 0; i < 6; i++) {
        if (!digits_parse(text, at[i], i == 0 ? 4 : 2, &part[i])) {
            return false;
        }
    }
    if (part[0] == 0 || part[1] == 0 || part[1] > 12 || part[2] == 0 || part[2] > 31 ||
        part[3] > 23 || part[4] > 59 || part[5] > 60) {
        return false;
    }
    if (text.len > sizeof(shape) - 1) {
        digits = text.len - sizeof(shape);
        if (text.p[sizeof(shape) - 1] != '.' || digits == 0 || digits > 6 ||
            !digits_parse(text, sizeof(shape), digits, &fraction)) {
            return false;
        }
        for (; digits < 6; digits++) {
            fraction *= 10;
        }
    }
    *ret_us =
        (((days_of(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * 60 + part[5]) *
            1000000 +
        fraction;
    return true;
}

bool sample_gtid_is_plain(const char *gtid)
{
    return strspn(gtid, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:,-. \n") ==
           strlen(gtid);
}

uint32_t sample_version_parse(struct span text)
{
    uint32_t parts[3] = {0, 0, 0};
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        size_t digits = 0;

        while (at < text.len && text.p[at] >= '0' && text.p[at] <= '9' && digits < 3) {
            parts[i] = parts[i] * 10 + (uint32_t)(text.p[at] - '0');
            at++;
            digits++;
        }
        if (digits == 0) {
            return 0;
        }
        if (i < 2 && (at == text.len || text.p[at++] != '.')) {
            return 0;
        }
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

bool parse_u64(struct span text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 19) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret_value = value;
    return true;
}

uint64_t parse_u64_or(struct span text, uint64_t otherwise)
{
    uint64_t value = 0;

    return parse_u64(text, &value) ? value : otherwise;
}

bool parse_flag(struct span text)
{
    return text.len > 0 && !span_eq_text(text, "0") && !span_eq_text_nocase(text, "OFF") &&
           !span_eq_text_nocase(text, "NO") && !span_eq_text_nocase(text, "N") &&
           !span_eq_text_nocase(text, "false");
}
