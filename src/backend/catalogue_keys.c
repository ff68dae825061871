/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns by which rows are told apart, behind each other in one list, in the order of their tables.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"

#include "catalogue_priv.h"

#define COLUMN_BYTES_MAX 255U

void catalogue_keys_fini(struct keys *keys)
{
    free(keys->list);
    free(keys->text);
    *keys = (struct keys){.count = 0};
}

static int key_order(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;

    if (x->off != y->off) {
        return x->off < y->off ? -1 : 1;
    }
    return x->position == y->position ? 0 : (x->position < y->position ? -1 : 1);
}

void catalogue_keys_close(struct keys *keys)
{
    if (keys->count > 1) {
        qsort(keys->list, keys->count, sizeof(*keys->list), key_order);
    }
}

static int keys_grow(struct keys *keys, size_t len)
{
    if (keys->count == keys->cap) {
        size_t cap = keys->cap ? keys->cap * 2 : 64;
        struct key *list = realloc(keys->list, cap * sizeof(*list));

        if (!list) {
            return -ENOMEM;
        }
        keys->list = list;
        keys->cap = cap;
    }
    if (keys->text_len + len > keys->text_cap) {
        size_t cap = keys->text_cap ? keys->text_cap * 2 : 4096;
        char *text = realloc(keys->text, cap);

        if (!text) {
            return -ENOMEM;
        }
        keys->text = text;
        keys->text_cap = cap;
    }
    return 0;
}

int catalogue_builder_key(struct catalogue_builder *builder, struct span schema, struct span name,
                          const struct catalogue_key *key)
{
    struct keys *keys = &builder->keys;
    const struct entry *entry = catalogue_entry_find(builder, schema, name);
    int rc = 0;

    if (!entry) {
        return -WR_E_NOT_FOUND;
    }
    if (keys->count == CATALOGUE_KEYS_ALL || key->column.len > COLUMN_BYTES_MAX) {
        return 0;
    }
    rc = keys_grow(keys, key->column.len);
    if (rc < 0) {
        return rc;
    }
    keys->list[keys->count++] = (struct key){
        .off = entry->off,
        .column = (uint32_t)keys->text_len,
        .position = key->position,
        .column_len = (uint8_t)key->column.len,
        .bytes = key->bytes,
        .is_unsigned = key->is_unsigned,
    };
    memcpy(keys->text + keys->text_len, key->column.p, key->column.len);
    keys->text_len += key->column.len;
    return 0;
}

/* The first of a table's, or where it would be. */
static size_t keys_from(const struct keys *keys, uint32_t off)
{
    size_t low = 0;
    size_t high = keys->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (keys->list[mid].off < off) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool is_confined(const struct catalogue *cat, const struct entry *entry)
{
    return entry->kind == CATALOGUE_BASE_TABLE && !cat->content->links.is_hidden &&
           (entry->marks &
            (CATALOGUE_MARK_ALL | CATALOGUE_MARK_UNASKED | CATALOGUE_MARK_ROWLESS)) == 0 &&
           entry->more == 0; /* it drags nothing along */
}

size_t catalogue_keys(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                      struct span name, struct catalogue_key ret_keys[CATALOGUE_KEYS_MAX])
{
    const struct keys *keys = NULL;
    const struct entry *entry = NULL;
    size_t count = 0;

    if (catalogue_is_usable(cat, ddl_seen) != CATALOGUE_UNKNOWN) {
        return 0;
    }
    entry = catalogue_entry_find(cat->content, schema, name);
    if (!entry || !is_confined(cat, entry)) {
        return 0;
    }
    keys = &cat->content->keys;
    for (size_t i = keys_from(keys, entry->off);
         i < keys->count && keys->list[i].off == entry->off && count < CATALOGUE_KEYS_MAX; i++) {
        const struct key *key = &keys->list[i];

        ret_keys[count++] = (struct catalogue_key){
            .column = {(const uint8_t *)keys->text + key->column, key->column_len},
            .position = key->position,
            .is_unsigned = key->is_unsigned,
            .bytes = key->bytes,
        };
    }
    return count;
}
