/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags as written become tags of one statement. Two statements about the same row must come to the same
 * tag, whatever the column's type and collation: so values are plain numbers, or words of ASCII, and what
 * else there is, is no value. Letters that a collation may take for one another are one for
 * version_slot_tag().
 */
#include "weir/cache/tag.h"

#include <errno.h>
#include <string.h>

#include "weir/classify/equal.h"
#include "weir/util/err.h"

#define DIGITS_MAX 19 /* a 64-bit number, whatever its sign */
#define TAG_MAX    (CONFIG_TAG_BYTES + CONFIG_TAG_VALUES * CACHE_TAG_VALUE_MAX + 1)

struct tag {
    char bytes[TAG_MAX];
    size_t len;
};

/* 5, not 05, 0 (which many words are equal to) or 5.0; abc-1, not 5abc (which is equal to 5). */
static bool is_plain_value(struct span value)
{
    bool is_number = value.len > 0 && value.p[0] >= '1' && value.p[0] <= '9';
    bool is_word = false;

    if (value.len == 0 || value.len > (is_number ? DIGITS_MAX : CACHE_TAG_VALUE_MAX)) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.p[i];
        bool is_digit = c >= '0' && c <= '9';
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_mark = c == '.' || c == '@' || c == '+' || c == '-';

        is_word = is_word || (i == 0 && is_letter);
        if (!is_digit && (is_number || (!is_letter && !is_mark))) {
            return false;
        }
    }
    return is_number || is_word;
}

/* What the rule's expression says comes first: its operator knows what he looks for. */
static bool value_find(const struct cache_tag_in *in, struct span column,
                       struct equal_value *ret_found)
{
    struct span text = {NULL, 0};
    int has = in->group == NULL || in->rule == NULL || in->rule->match == NULL
                  ? 0
                  : in->group(in->group_arg, in->rule, in->sql, column, &text);

    if (has != 0) {
        return has > 0 && equal_literal(in->sql, in->env, in->facts, text, ret_found);
    }
    return equal_find(in->sql, in->env, in->facts, column, ret_found);
}

bool cache_tag_value(const struct cache_tag_in *in, struct span column,
                     char digits[STMT_DIGITS_MAX], struct span *ret_value)
{
    struct equal_value found;

    if (!value_find(in, column, &found)) {
        return false;
    }
    if (!found.is_param) {
        *ret_value = found.text;
    } else if (in->execute == NULL || found.params != in->params ||
               !stmt_execute_value(in->execute, in->params, in->types, found.param, digits,
                                   ret_value)) {
        return false;
    }
    return is_plain_value(*ret_value);
}

static bool put(struct tag *tag, const void *bytes, size_t len)
{
    if (len > sizeof(tag->bytes) - tag->len) {
        return false;
    }
    memcpy(tag->bytes + tag->len, bytes, len);
    tag->len += len;
    return true;
}

/* Up to the first value that is missing, if one is: then it returns false. */
static bool build(struct span text, const struct cache_tag_in *in, struct tag *tag)
{
    tag->len = 0;
    while (text.len > 0) {
        const uint8_t *open = memchr(text.p, '{', text.len);
        size_t plain = open == NULL ? text.len : (size_t)(open - text.p);
        const uint8_t *close = open == NULL ? NULL : memchr(open, '}', text.len - plain);
        char digits[STMT_DIGITS_MAX];
        struct span value;

        if (!put(tag, text.p, plain)) {
            return false;
        }
        if (open == NULL) {
            return true;
        }
        if (close == NULL ||
            !cache_tag_value(in, (struct span){open + 1, (size_t)(close - open) - 1}, digits,
                             &value) ||
            !put(tag, value.p, value.len)) {
            return false;
        }
        text = (struct span){close + 1, text.len - (size_t)(close + 1 - text.p)};
    }
    return true;
}

static struct span part(const struct tag *tag, size_t len)
{
    return (struct span){(const uint8_t *)tag->bytes, len};
}

int cache_tags_lease(const struct version_board *board, struct version_lease *lease,
                     const struct config_words *tags, const struct cache_tag_in *in)
{
    int r = 0;

    for (uint32_t i = 0; i < tags->count && r == 0; i++) {
        struct tag tag;

        if (!build(span_of(tags->item[i]), in, &tag) || !put(&tag, ":", 1)) {
            return -ENOENT;
        }
        for (size_t k = 0; k < tag.len && r == 0; k++) {
            if (tag.bytes[k] == ':') {
                r = version_lease_add(board, lease, version_slot_tag(part(&tag, k + 1)));
            }
        }
        if (r == 0) {
            r = version_lease_add(board, lease, version_slot_tag(part(&tag, tag.len - 1)));
        }
    }
    return r;
}

static struct span without_star(struct span pattern)
{
    if (pattern.len > 2 && memcmp(pattern.p + pattern.len - 2, ":*", 2) == 0) {
        pattern.len--;
    }
    return pattern;
}

void cache_tags_write(struct version_writes *writes, const struct config_words *patterns,
                      const struct cache_tag_in *in)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        struct tag tag;

        if (!build(without_star(span_of(patterns->item[i])), in, &tag)) {
            while (tag.len > 0 && tag.bytes[tag.len - 1] != ':') {
                tag.len--;
            }
        }
        if (tag.len == 0) { /* no colon: the settings do not allow that */
            version_writes_add_all(writes);
            return;
        }
        version_writes_add(writes, version_slot_tag(part(&tag, tag.len)));
    }
}

void cache_tags_told(struct version_writes *writes, const struct config_words *patterns,
                     const struct cache_tag_in *in)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        struct tag tag;

        if (build(without_star(span_of(patterns->item[i])), in, &tag)) {
            version_writes_add(writes, version_slot_tag(part(&tag, tag.len)));
        }
    }
}

bool cache_tag_purge(struct span tag, struct version_writes *writes)
{
    tag = without_star(tag);
    if (tag.len == 0 || tag.p[0] == ':' || tag.len > TAG_MAX ||
        memchr(tag.p, '*', tag.len) != NULL || memchr(tag.p, '{', tag.len) != NULL) {
        return false;
    }
    version_writes_add(writes, version_slot_tag(tag));
    return true;
}
