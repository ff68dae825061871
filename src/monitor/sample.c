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

bool log_place_is_comparable(const struct log_place *a, const struct log_place *b)
{
    return a->file_number != 0 && b->file_number != 0 && strcmp(a->base, b->base) == 0;
}

int log_place_compare(const struct log_place *a, const struct log_place *b)
{
    if (a->file_number != b->file_number) {
        return a->file_number < b->file_number ? -1 : 1;
    }
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return 0;
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
