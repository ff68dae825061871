/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two configs compared, setting by setting, by the words that a file would have. Entries of lists
 * are told apart by their names (listeners by their addresses): equal ones at both ends are left
 * out first, so that a rule put in front of a thousand is one difference and not a thousand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"

#include "print_priv.h"
#include "schema_priv.h"

#define WHAT_BYTES 400

struct diff {
    const struct config *before;
    const struct config *after;
    config_change_fn fn;
    void *arg;
    int count;
    bool is_out_of_memory;
};

/* One list of one of the two. */
struct side {
    const struct config *config;
    const char *items;
    uint32_t count;
};

static bool is_secret(enum schema_type type)
{
    return type == SCHEMA_T_SECRET || type == SCHEMA_T_NATIVE_HASH;
}

static bool secret_eq(enum schema_type type, const void *a, const void *b)
{
    const struct config_secret *x = a;
    const struct config_secret *y = b;

    if (type == SCHEMA_T_NATIVE_HASH) {
        const uint8_t *p = *(const uint8_t *const *)a;
        const uint8_t *q = *(const uint8_t *const *)b;

        return p == NULL || q == NULL ? p == q : memcmp(p, q, 20) == 0;
    }
    if (x->p == NULL || y->p == NULL) {
        return x->p == y->p;
    }
    return x->len == y->len && memcmp(x->p, y->p, x->len) == 0;
}

/* Owned by the caller; NULL: not set, or no memory (then told in diff). */
static char *value_text(struct diff *d, const struct config *config, const struct schema_setting *s,
                        const void *target)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = NULL;

    if (!print_is_set(s, target)) {
        return NULL;
    }
    out = open_memstream(&text, &len);
    if (out == NULL) {
        d->is_out_of_memory = true;
        return NULL;
    }
    print_value(config, s, target, out);
    if (fclose(out) != 0) {
        d->is_out_of_memory = true;
        free(text);
        return NULL;
    }
    return text;
}

static bool text_eq(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void tell(struct diff *d, const char *what, const char *old_text, const char *new_text,
                 bool is_reloadable)
{
    struct config_change change = {what, old_text, new_text, !is_reloadable};

    d->count++;
    if (d->fn != NULL) {
        d->fn(d->arg, &change);
    }
}

/* True: they are equal. Tells what differs unless fn is NULL. what: the path to show. */
static bool setting_eq(struct diff *d, const struct schema_setting *s, const char *what,
                       const void *base_old, const void *base_new)
{
    const char *a = (const char *)base_old + s->offset;
    const char *b = (const char *)base_new + s->offset;
    char *old_text = value_text(d, d->before, s, a);
    char *new_text = value_text(d, d->after, s, b);
    bool is_eq = is_secret(s->type) ? secret_eq(s->type, a, b) : text_eq(old_text, new_text);

    if (!is_eq && what != NULL) {
        tell(d, what, old_text, new_text, schema_is_reloadable(s->path));
    }
    free(old_text);
    free(new_text);
    return is_eq;
}

/* All settings right below prefix. shown: the prefix with the entry's name in it; NULL: only
 * compare. */
static bool settings_eq(struct diff *d, const char *prefix, const char *shown, const void *base_old,
                        const void *base_new)
{
    bool is_eq = true;

    for (size_t i = 0; i < schema_setting_count; i++) {
        const struct schema_setting *s = &schema_settings[i];
        const char *word = schema_word_below(s->path, prefix);
        char what[WHAT_BYTES];

        if (word == NULL) {
            continue;
        }
        (void)snprintf(what, sizeof what, "%s%s", shown == NULL ? "" : shown, word);
        is_eq = setting_eq(d, s, shown == NULL ? NULL : what, base_old, base_new) && is_eq;
        if (!is_eq && shown == NULL) {
            return false;
        }
    }
    return is_eq;
}

/* --- lists --- */

static struct side side_of(const struct config *config, const struct schema_list *list)
{
    struct side side = {.config = config};
    const char *base = (const char *)config;

    memcpy(&side.items, base + list->pointer_offset, sizeof side.items);
    memcpy(&side.count, base + list->count_offset, sizeof side.count);
    return side;
}

/* What an entry is called; NULL: it has no name. */
static const char *item_name(const struct schema_list *list, const struct side *side, uint32_t i)
{
    const void *item = side->items + list->item_size * i;
    char path[96];
    const struct schema_setting *s = NULL;

    (void)snprintf(path, sizeof path, "%s[].name", list->name);
    s = schema_find(path);
    if (s != NULL) {
        return *(const char *const *)(const void *)((const char *)item + s->offset);
    }
    (void)snprintf(path, sizeof path, "%s[].address", list->name);
    s = schema_find(path);
    return s == NULL
               ? NULL
               : ((const struct config_addr *)(const void *)((const char *)item + s->offset))->text;
}

static void item_label(const struct schema_list *list, const struct side *side, uint32_t i,
                       char dst[WHAT_BYTES])
{
    const char *name = item_name(list, side, i);

    if (name != NULL) {
        (void)snprintf(dst, WHAT_BYTES, "%s[%.200s]", list->name, name);
    } else {
        (void)snprintf(dst, WHAT_BYTES, "%s[%u]", list->name, i + 1);
    }
}

static bool items_eq(struct diff *d, const struct schema_list *list, const struct side *old_side,
                     uint32_t i, const struct side *new_side, uint32_t k, const char *shown)
{
    char prefix[96];

    (void)snprintf(prefix, sizeof prefix, "%s[].", list->name);
    return settings_eq(d, prefix, shown, old_side->items + list->item_size * i,
                       new_side->items + list->item_size * k);
}

/* The entry of new that is called as old's i-th, from at on and round; count: none. */
static uint32_t item_find(const struct schema_list *list, const struct side *old_side, uint32_t i,
                          const struct side *new_side, uint32_t at)
{
    const char *name = item_name(list, old_side, i);

    if (name == NULL) { /* by its place */
        return i < new_side->count && item_name(list, new_side, i) == NULL ? i : new_side->count;
    }
    for (uint32_t n = 0; n < new_side->count; n++) {
        uint32_t k = (at + n) % new_side->count;
        const char *other = item_name(list, new_side, k);

        if (other != NULL && strcmp(other, name) == 0) {
            return k;
        }
    }
    return new_side->count;
}

/* What is left between the equal ends. taken: one mark for each entry of new. */
static void list_middle(struct diff *d, const struct schema_list *list, const struct side *old_side,
                        const struct side *new_side, uint32_t head, uint32_t tail, bool *taken)
{
    char entries[96];
    char what[WHAT_BYTES];
    char shown[WHAT_BYTES + 1];
    uint32_t last = head;
    bool is_reloadable = false;
    bool is_moved = false;

    (void)snprintf(entries, sizeof entries, "%s[]", list->name);
    is_reloadable = schema_is_reloadable(entries);
    for (uint32_t i = head; i < old_side->count - tail; i++) {
        uint32_t k = item_find(list, old_side, i, new_side, last);

        if (k == new_side->count || taken[k]) {
            item_label(list, old_side, i, what);
            tell(d, what, "(there)", NULL, is_reloadable);
            continue;
        }
        taken[k] = true;
        is_moved = is_moved || k < last;
        last = k;
        item_label(list, old_side, i, what);
        (void)snprintf(shown, sizeof shown, "%s.", what);
        (void)items_eq(d, list, old_side, i, new_side, k, shown);
    }
    for (uint32_t k = head; k < new_side->count - tail; k++) {
        if (!taken[k]) {
            item_label(list, new_side, k, what);
            tell(d, what, NULL, "(there)", is_reloadable);
        }
    }
    if (is_moved) {
        (void)snprintf(what, sizeof what, "%s", list->name);
        tell(d, what, "(order)", "(another order)", is_reloadable);
    }
}

static void list_diff(struct diff *d, const struct schema_list *list)
{
    struct side old_side = side_of(d->before, list);
    struct side new_side = side_of(d->after, list);
    uint32_t least = old_side.count < new_side.count ? old_side.count : new_side.count;
    uint32_t head = 0;
    uint32_t tail = 0;
    bool *taken = NULL;

    while (head < least && items_eq(d, list, &old_side, head, &new_side, head, NULL)) {
        head++;
    }
    while (tail < least - head && items_eq(d, list, &old_side, old_side.count - 1 - tail, &new_side,
                                           new_side.count - 1 - tail, NULL)) {
        tail++;
    }
    if (head + tail == old_side.count && head + tail == new_side.count) {
        return;
    }
    taken = calloc((size_t)new_side.count + 1, sizeof *taken);
    if (taken == NULL) {
        d->is_out_of_memory = true;
        return;
    }
    list_middle(d, list, &old_side, &new_side, head, tail, taken);
    free(taken);
}

int config_diff(const struct config *before, const struct config *after, config_change_fn fn,
                void *arg)
{
    struct diff d = {.before = before, .after = after, .fn = fn, .arg = arg};

    (void)settings_eq(&d, "", "", before, after);
    for (size_t i = 0; i < schema_list_count; i++) {
        list_diff(&d, &schema_lists[i]);
    }
    for (size_t i = 0; i < schema_section_count; i++) {
        char prefix[96];

        (void)snprintf(prefix, sizeof prefix, "%s.", schema_sections[i]);
        (void)settings_eq(&d, prefix, prefix, before, after);
    }
    return d.is_out_of_memory ? -ENOMEM : d.count;
}
