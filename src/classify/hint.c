/* SPDX-License-Identifier: Apache-2.0 */
/* hint.c - weir:NAME[=VALUE], ... inside a comment. */
#include <string.h>
#include <strings.h>

#include "weir/classify/classify.h"

#include "token_priv.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static const uint8_t *skip_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    return p;
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static bool take_prefix(const uint8_t **p, const uint8_t *end)
{
    if (end - *p >= 5 && strncasecmp((const char *)*p, "weir:", 5) == 0) {
        *p = skip_blank(*p + 5, end);
        return true;
    }
    return false;
}

/* The value behind "=": quoted, or up to the next comma. */
static struct span take_value(const uint8_t **pp, const uint8_t *end)
{
    const uint8_t *p = skip_blank(*pp, end);
    const uint8_t *start = p;
    if (p < end && (*p == '\'' || *p == '"')) {
        const uint8_t *close = memchr(p + 1, *p, (size_t)(end - p - 1));
        if (close != NULL) {
            *pp = close + 1;
            return (struct span){p + 1, (size_t)(close - p - 1)};
        }
    }
    while (p < end && *p != ',') {
        p++;
    }
    *pp = p;
    while (p > start && is_blank(p[-1])) {
        p--;
    }
    return (struct span){start, (size_t)(p - start)};
}

void classify_hint_add(struct facts *facts, struct span name, struct span value)
{
    for (unsigned i = 0; i < HINT_END_; i++) {
        if (span_eq_text_nocase(name, classify_hint_name((enum classify_hint)i))) {
            facts->hints |= HINT_BIT(i);
            facts->hint[i] = value;
            return;
        }
    }
    if (facts->hint_unknown_count < UINT8_MAX) {
        facts->hint_unknown_count++;
    }
}

void hint_parse(struct facts *facts, const uint8_t *p, const uint8_t *end)
{
    p = skip_blank(p, end);
    if (!take_prefix(&p, end)) {
        return;
    }
    while (p < end) {
        const uint8_t *start = p;
        while (p < end && is_name_byte(*p)) {
            p++;
        }
        struct span name = {start, (size_t)(p - start)};
        struct span value = {NULL, 0};
        p = skip_blank(p, end);
        if (p < end && *p == '=') {
            p++;
            value = take_value(&p, end);
        }
        classify_hint_add(facts, name, value);
        while (p < end && *p != ',') {
            p++;
        }
        if (p == end) {
            return;
        }
        p = skip_blank(p + 1, end);
        (void)take_prefix(&p, end);
    }
}
