/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/str.h"

#include <string.h>

struct span span_of(const char *text)
{
    if (text == NULL) {
        return (struct span){NULL, 0};
    }
    return (struct span){(const uint8_t *)text, strlen(text)};
}

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20U) : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.p[i]) != fold(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool span_eq_text(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

bool span_eq_text_nocase(struct span a, const char *text)
{
    return span_eq_nocase(a, span_of(text));
}

size_t span_copy(struct span a, char *dst, size_t cap)
{
    if (cap == 0) {
        return 0;
    }
    size_t len = a.len < cap - 1 ? a.len : cap - 1;
    if (len > 0) {
        memcpy(dst, a.p, len);
    }
    dst[len] = '\0';
    return len;
}

unsigned span_distance_nocase(struct span a, struct span b)
{
    enum {
        MAX = 40,
        FAR = 99
    };
    unsigned row[3][MAX + 1];

    if (a.len > MAX || b.len > MAX) {
        return FAR;
    }
    for (unsigned k = 0; k <= b.len; k++) {
        row[0][k] = k;
    }
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *cur = row[i % 3];
        const unsigned *prev = row[(i + 2) % 3];
        const unsigned *old = row[(i + 1) % 3];

        cur[0] = i;
        for (unsigned k = 1; k <= b.len; k++) {
            unsigned best = prev[k - 1] + (fold(a.p[i - 1]) == fold(b.p[k - 1]) ? 0 : 1);

            best = prev[k] + 1 < best ? prev[k] + 1 : best;
            best = cur[k - 1] + 1 < best ? cur[k - 1] + 1 : best;
            if (i > 1 && k > 1 && fold(a.p[i - 1]) == fold(b.p[k - 2]) &&
                fold(a.p[i - 2]) == fold(b.p[k - 1]) && old[k - 2] + 1 < best) {
                best = old[k - 2] + 1;
            }
            cur[k] = best;
        }
    }
    return row[a.len % 3][b.len];
}

size_t span_digits(struct span a, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t n = 0;

    while (n < a.len && a.p[n] >= '0' && a.p[n] <= '9') {
        uint64_t digit = (uint64_t)(a.p[n] - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        value = value * 10 + digit;
        n++;
    }
    if (n > 0) {
        *ret_value = value;
    }
    return n;
}
