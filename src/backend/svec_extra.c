/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one value of a vector that is many: session variables beside those that have a place of their
 * own. "name=value" entries, sorted by name, with a byte between them that no value has; so equal
 * sets are equal values, and a session that set none holds nothing.
 */
#include <string.h>

#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "svec_priv.h"

#define BETWEEN  0x1f
#define TEXT_MAX ((size_t)16 * 1024)

static bool next_entry(struct span *list, struct span *ret_name, struct span *ret_value)
{
    const uint8_t *end = NULL;
    const uint8_t *eq = NULL;
    size_t len = 0;

    if (list->len == 0) {
        return false;
    }
    end = memchr(list->p, BETWEEN, list->len);
    len = end == NULL ? list->len : (size_t)(end - list->p);
    eq = memchr(list->p, '=', len);
    if (eq == NULL) {
        return false;
    }
    *ret_name = (struct span){list->p, (size_t)(eq - list->p)};
    *ret_value = (struct span){eq + 1, len - ret_name->len - 1};
    list->p += end == NULL ? len : len + 1;
    list->len -= end == NULL ? len : len + 1;
    return true;
}

static bool find(struct span list, struct span name, struct span *ret_value)
{
    struct span at = {NULL, 0};

    while (next_entry(&list, &at, ret_value)) {
        if (span_eq(at, name)) {
            return true;
        }
    }
    return false;
}

static bool is_word(struct span text, const char *others)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_plain && (c == '\0' || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool is_number(struct span text)
{
    return text.len > 0 && text.len < 32 && text.p[text.len - 1] != '.' && text.p[0] != '.' &&
           strspn((const char *)text.p, "-0123456789.") >= text.len;
}

static int put_entry(struct buf *out, struct span name, struct span value)
{
    uint8_t between = BETWEEN;
    int r = buf_len(out) == 0 ? 0 : buf_append(out, &between, 1, TEXT_MAX);

    if (r >= 0) {
        r = buf_append_span(out, name, TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_text(out, "=", TEXT_MAX);
    }
    return r < 0 ? r : buf_append_span(out, value, TEXT_MAX);
}

static int compare(struct span a, struct span b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (int)a.len - (int)b.len;
}

int svec_extra_put(struct svec *svec, struct span name, struct span value)
{
    struct span list = svec_get(svec, SVEC_EXTRA);
    struct span at = {NULL, 0};
    struct span old = {NULL, 0};
    struct buf text;
    bool is_put = false;
    int r = 0;

    if (name.len == 0 || !is_word(name, "_") || !is_word(value, "_,+:-/. =")) {
        return -WR_E_UNSUPPORTED;
    }
    buf_init(&text);
    while (r >= 0 && next_entry(&list, &at, &old)) {
        int order = compare(at, name);

        if (!is_put && order >= 0) {
            r = put_entry(&text, name, value);
            is_put = true;
        }
        if (r >= 0 && order != 0) {
            r = put_entry(&text, at, old);
        }
    }
    if (r >= 0 && !is_put) {
        r = put_entry(&text, name, value);
    }
    if (r >= 0) {
        r = svec_set(svec, SVEC_EXTRA, buf_span(&text));
    }
    buf_fini(&text);
    return r;
}

static int put_set(struct buf *text, int *count, struct span name, struct span value,
                   bool is_default)
{
    /* a span of an interned value is not terminated: numbers are copied to be looked at */
    char copy[32] = {0};
    bool is_bare = false;
    int r = buf_append_text(text, *count == 0 ? "SET " : ",", TEXT_MAX);

    (void)span_copy(value, copy, sizeof(copy));
    is_bare = is_default || (value.len < sizeof(copy) &&
                             is_number((struct span){(const uint8_t *)copy, value.len}));
    if (r >= 0) {
        r = buf_append_span(text, name, TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_text(text, is_bare ? "=" : "='", TEXT_MAX);
    }
    if (r >= 0 && is_default) {
        /* not DEFAULT: of foreign_key_checks and unique_checks MySQL makes the contrary of that */
        r = buf_append_text(text, "@@global.", TEXT_MAX);
    }
    if (r >= 0) {
        r = buf_append_span(text, is_default ? name : value, TEXT_MAX);
    }
    if (r >= 0 && !is_bare) {
        r = buf_append_text(text, "'", TEXT_MAX);
    }
    (*count)++;
    return r;
}

int svec_extra_format(const struct svec *have, const struct svec *want, struct buf *text,
                      int *count)
{
    struct span name = {NULL, 0};
    struct span value = {NULL, 0};
    struct span other = {NULL, 0};
    struct span from = have == NULL ? (struct span){NULL, 0} : svec_get(have, SVEC_EXTRA);
    struct span to = svec_get(want, SVEC_EXTRA);
    struct span list = to;
    int r = 0;

    while (r >= 0 && next_entry(&list, &name, &value)) {
        if (!find(from, name, &other) || !span_eq(other, value)) {
            r = put_set(text, count, name, value, false);
        }
    }
    list = from;
    while (r >= 0 && next_entry(&list, &name, &value)) {
        if (!find(to, name, &other)) {
            r = put_set(text, count, name, value, true);
        }
    }
    return r;
}
