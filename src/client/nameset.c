/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "weir/util/err.h"

#include "sess_left_priv.h"

/*
 * Both are lists of entries, one behind the other: a handful of names, walked from the start.
 *
 *   name:     pin (1), length (2), bytes
 *   variable: length of the name (1), of the literal (2), name, literal
 */

#define NAME_HEAD 3U
#define VAR_HEAD  3U

static size_t get_len(const uint8_t *p)
{
    return p[0] | (size_t)p[1] << 8;
}

/* Takes len bytes at `at` out. */
static void cut(struct buf *buf, size_t at, size_t len)
{
    struct span all = buf_span(buf);
    struct buf kept = {0};

    /* at worst there is no memory: then the entry stays, and with it the pin */
    if (buf_append(&kept, all.p, at, SIZE_MAX) < 0 ||
        buf_append(&kept, all.p + at + len, all.len - at - len, SIZE_MAX) < 0) {
        buf_fini(&kept);
        return;
    }
    buf_fini(buf);
    *buf = kept;
}

/* --- names --- */

/* Every server folds the case of these. With tables it is a setting, with locks servers differ: those
 * are taken as they are written, and at worst one too many is counted. */
static bool is_folded(enum classify_pin pin)
{
    return pin == PIN_TEXT_PREPARE;
}

static bool is_same(enum classify_pin pin, struct span a, struct span b)
{
    return is_folded(pin) ? span_eq_nocase(a, b) : span_eq(a, b);
}

/* The entry at *at; false behind the last. *at moves past it. */
static bool next_name(const struct nameset *set, size_t *at, enum classify_pin *ret_pin,
                      struct span *ret_name)
{
    struct span all = buf_span(&set->bytes);

    if (all.len - *at < NAME_HEAD) {
        return false;
    }
    *ret_pin = (enum classify_pin)all.p[*at];
    *ret_name = (struct span){all.p + *at + NAME_HEAD, get_len(all.p + *at + 1)};
    *at += NAME_HEAD + ret_name->len;
    return true;
}

void nameset_fini(struct nameset *set)
{
    buf_fini(&set->bytes);
    set->blurred = 0;
}

unsigned nameset_count(const struct nameset *set, enum classify_pin pin, struct span name)
{
    size_t at = 0;
    unsigned count = 0;
    enum classify_pin other = PIN_END_;
    struct span text;

    while (next_name(set, &at, &other, &text)) {
        count += other == pin && is_same(pin, text, name) ? 1U : 0U;
    }
    return count;
}

void nameset_add(struct nameset *set, enum classify_pin pin, struct span name)
{
    const uint8_t head[NAME_HEAD] = {(uint8_t)pin, (uint8_t)name.len, (uint8_t)(name.len >> 8)};

    if (name.len > NAMESET_NAME_MAX || buf_len(&set->bytes) + NAME_HEAD + name.len > NAMESET_MAX ||
        buf_reserve(&set->bytes, NAME_HEAD + name.len, NAMESET_MAX) < 0 ||
        buf_append(&set->bytes, head, sizeof(head), NAMESET_MAX) < 0 ||
        buf_append_span(&set->bytes, name, NAMESET_MAX) < 0) {
        set->blurred |= PIN_BIT(pin);
    }
}

void nameset_remove(struct nameset *set, enum classify_pin pin, struct span name)
{
    size_t at = 0;
    size_t from = 0;
    enum classify_pin other = PIN_END_;
    struct span text;

    while (next_name(set, &at, &other, &text)) {
        if (other == pin && is_same(pin, text, name)) {
            cut(&set->bytes, from, at - from);
            return;
        }
        from = at;
    }
}

void nameset_clear(struct nameset *set, enum classify_pin pin)
{
    size_t at = 0;
    size_t from = 0;
    enum classify_pin other = PIN_END_;
    struct span text;
    struct buf kept = {0};

    while (next_name(set, &at, &other, &text)) {
        if (other != pin &&
            buf_append(&kept, buf_span(&set->bytes).p + from, at - from, NAMESET_MAX) < 0) {
            buf_fini(&kept);
            return;
        }
        from = at;
    }
    buf_fini(&set->bytes);
    set->bytes = kept;
    set->blurred &= ~PIN_BIT(pin);
}

struct span nameset_name(const struct nameset *set, enum classify_pin pin, unsigned n)
{
    size_t at = 0;
    enum classify_pin other = PIN_END_;
    struct span text;

    while (next_name(set, &at, &other, &text)) {
        if (other == pin && n-- == 0) {
            return text;
        }
    }
    return (struct span){NULL, 0};
}

bool nameset_is_empty(const struct nameset *set, enum classify_pin pin)
{
    return (set->blurred & PIN_BIT(pin)) == 0 && nameset_name(set, pin, 0).p == NULL;
}

/* --- variables --- */

static bool next_var(const struct varlist *list, size_t *at, struct span *ret_name,
                     struct span *ret_literal)
{
    struct span all = buf_span(&list->bytes);

    if (all.len - *at < VAR_HEAD) {
        return false;
    }
    *ret_name = (struct span){all.p + *at + VAR_HEAD, all.p[*at]};
    *ret_literal = (struct span){ret_name->p + ret_name->len, get_len(all.p + *at + 1)};
    *at += VAR_HEAD + ret_name->len + ret_literal->len;
    return true;
}

void varlist_fini(struct varlist *list)
{
    buf_fini(&list->bytes);
    list->has_text = false;
}

int varlist_set(struct varlist *list, struct span name, struct span literal)
{
    const uint8_t head[VAR_HEAD] = {(uint8_t)name.len, (uint8_t)literal.len,
                                    (uint8_t)(literal.len >> 8)};
    struct buf kept = {0};
    struct span other;
    struct span text;
    size_t at = 0;
    size_t from = 0;
    bool is_null = span_eq_text_nocase(literal, "NULL");
    int r = name.len > UINT8_MAX || literal.len > SESS_VARS_MAX ? -WR_E_TOO_LARGE : 0;

    while (r >= 0 && next_var(list, &at, &other, &text)) {
        /* a variable that becomes NULL keeps the type that it had (MySQL) */
        if (!span_eq_nocase(other, name) || (is_null && !span_eq_text_nocase(text, "NULL"))) {
            r = buf_append(&kept, buf_span(&list->bytes).p + from, at - from, SESS_VARS_MAX);
        }
        from = at;
    }
    r = r < 0 ? r : buf_append(&kept, head, sizeof(head), SESS_VARS_MAX);
    r = r < 0 ? r : buf_append_span(&kept, name, SESS_VARS_MAX);
    r = r < 0 ? r : buf_append_span(&kept, literal, SESS_VARS_MAX);
    if (r < 0) {
        buf_fini(&kept);
        return r;
    }
    buf_fini(&list->bytes);
    list->bytes = kept;
    list->has_text = list->has_text || literal.p[0] == '\'';
    return 0;
}

int varlist_merge(struct varlist *list, const struct varlist *more)
{
    struct span name;
    struct span literal;
    struct varlist all = {.has_text = list->has_text};
    size_t at = 0;
    int r = buf_append_span(&all.bytes, buf_span(&list->bytes), SESS_VARS_MAX);

    while (r >= 0 && next_var(more, &at, &name, &literal)) {
        r = varlist_set(&all, name, literal);
    }
    if (r < 0) {
        varlist_fini(&all);
        return r;
    }
    varlist_fini(list);
    *list = all;
    return 0;
}

int varlist_format(const struct varlist *list, struct buf *text)
{
    struct span name;
    struct span literal;
    size_t at = 0;
    int r = 0;

    while (r >= 0 && next_var(list, &at, &name, &literal)) {
        bool is_first = at == VAR_HEAD + name.len + literal.len;

        r = buf_append_text(text, is_first ? "SET @`" : ",@`", SIZE_MAX);
        r = r < 0 ? r : buf_append_span(text, name, SIZE_MAX);
        r = r < 0 ? r : buf_append_text(text, "`=", SIZE_MAX);
        r = r < 0 ? r : buf_append_span(text, literal, SIZE_MAX);
    }
    return r < 0 ? r : 0;
}
