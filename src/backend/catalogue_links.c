/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from what: children by foreign keys and tables that triggers name, of a base table;
 * base tables, of a view. While a catalogue is built these are single links. When it is finished
 * each name with links gets the list of all that can be reached, so that a look-up walks nothing. A
 * list that would be too long, or in doubt, becomes a mark: not known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"

#include "catalogue_priv.h"

/* Names on the way to one list: views are passed through, in lists of what is written without being
 * in them. */
#define REACHED_MAX (CATALOGUE_LIST_MAX * 4)

struct reach {
    const struct catalogue_builder *builder;
    struct ref refs[REACHED_MAX]; /* the first is where it began */
    uint16_t is_listed[REACHED_MAX];
    size_t count;
    size_t listed;
    bool is_view; /* what it reads; else what a write to it sets off */
};

static struct ref ref_of(const struct entry *entry)
{
    return (struct ref){entry->off, entry->schema_len, entry->name_len};
}

static struct span ref_schema(const struct names *names, struct ref ref)
{
    return (struct span){names->block + ref.off, ref.schema_len};
}

static struct span ref_name(const struct names *names, struct ref ref)
{
    return (struct span){names->block + ref.off + ref.schema_len, ref.name_len};
}

static struct entry *ref_entry(const struct names *names, struct ref ref)
{
    return catalogue_names_find(names, ref_schema(names, ref), ref_name(names, ref));
}

void catalogue_links_fini(struct links *links)
{
    free(links->list);
    free(links->items);
    free(links->lists);
    *links = (struct links){NULL, 0, 0, NULL, 0, 0, NULL, 0, false};
}

int catalogue_builder_mark(struct catalogue_builder *builder, enum catalogue_mark mark,
                           struct span schema, struct span name)
{
    struct entry *entry = catalogue_entry_find(builder, schema, name);

    if (!entry) {
        return -WR_E_NOT_FOUND;
    }
    entry->marks = (uint8_t)(entry->marks | mark);
    return 0;
}

void catalogue_builder_no_lists(struct catalogue_builder *builder)
{
    builder->links.is_hidden = true;
}

int catalogue_builder_link(struct catalogue_builder *builder, const struct catalogue_name *from,
                           const struct catalogue_name *to)
{
    struct links *links = &builder->links;
    struct entry *at = catalogue_entry_find(builder, from->schema, from->name);
    const struct entry *target = catalogue_entry_find(builder, to->schema, to->name);

    if (!at || !target) {
        return -WR_E_NOT_FOUND;
    }
    if (links->count == CATALOGUE_LINKS_MAX) {
        at->marks |= CATALOGUE_MARK_ALL;
        return 0;
    }
    if (links->count == links->cap) {
        size_t cap = links->cap ? links->cap * 2 : 256;
        struct link *list = realloc(links->list, cap * sizeof(*list));

        if (!list) {
            return -ENOMEM;
        }
        links->list = list;
        links->cap = cap;
    }
    links->list[links->count++] = (struct link){ref_of(at), ref_of(target)};
    return 0;
}

static int link_order(const void *a, const void *b)
{
    const struct link *x = a;
    const struct link *y = b;

    if (x->from.off != y->from.off) {
        return x->from.off < y->from.off ? -1 : 1;
    }
    return x->to.off == y->to.off ? 0 : (x->to.off < y->to.off ? -1 : 1);
}

/* The first of the links from there, or where it would be. */
static size_t links_from(const struct links *links, uint32_t off)
{
    size_t low = 0;
    size_t high = links->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (links->list[mid].from.off < off) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool kind_is_view(const struct entry *entry)
{
    return entry->kind == CATALOGUE_VIEW_HARMLESS || entry->kind == CATALOGUE_VIEW_OTHER;
}

/* What is reached may be passed through, or be in the list: it is understood. */
static bool entry_is_clear(const struct reach *reach, const struct entry *entry)
{
    if (kind_is_view(entry)) {
        return entry->kind == CATALOGUE_VIEW_HARMLESS &&
               (entry->marks & (CATALOGUE_MARK_ALL | CATALOGUE_MARK_LINKED)) ==
                   CATALOGUE_MARK_LINKED;
    }
    return entry->kind == CATALOGUE_BASE_TABLE &&
           (entry->marks & (reach->is_view ? CATALOGUE_MARK_UNASKED : CATALOGUE_MARK_ALL)) == 0;
}

/* False: too many, or not clear. */
static bool reach_add(struct reach *reach, struct ref ref)
{
    const struct entry *entry = ref_entry(&reach->builder->tables, ref);

    for (size_t i = 0; i < reach->count; i++) {
        if (reach->refs[i].off == ref.off) {
            return true;
        }
    }
    if (!entry || reach->count == REACHED_MAX || !entry_is_clear(reach, entry)) {
        return false;
    }
    reach->is_listed[reach->count] = reach->count > 0 && (reach->is_view || !kind_is_view(entry));
    reach->listed += reach->is_listed[reach->count];
    reach->refs[reach->count++] = ref;
    return reach->listed <= CATALOGUE_LIST_MAX;
}

/* All that follows from the first. */
static bool reach_walk(struct reach *reach)
{
    const struct links *links = &reach->builder->links;

    for (size_t i = 0; i < reach->count; i++) {
        uint32_t off = reach->refs[i].off;
        const struct entry *entry = ref_entry(&reach->builder->tables, reach->refs[i]);

        if (reach->is_view && entry && !kind_is_view(entry)) {
            continue; /* what writes to a table set off is nothing that the view reads */
        }
        for (size_t k = links_from(links, off); k < links->count && links->list[k].from.off == off;
             k++) {
            if (!reach_add(reach, links->list[k].to)) {
                return false;
            }
        }
    }
    return true;
}

static int items_room(struct links *links, size_t extra)
{
    if (links->item_count + extra > links->item_cap) {
        size_t cap = links->item_cap ? links->item_cap * 2 : 1024;
        struct ref *items = realloc(links->items, cap * sizeof(*items));

        if (!items) {
            return -ENOMEM;
        }
        links->items = items;
        links->item_cap = cap;
    }
    return 0;
}

/* The list of one name with links. Its mark is set when there is none, after all were walked. */
static int list_make(struct catalogue_builder *builder, struct ref from)
{
    struct links *links = &builder->links;
    struct entry *entry = ref_entry(&builder->tables, from);
    struct reach reach = {.builder = builder, .count = 0};
    int rc = 0;

    if (!entry) {
        return -WR_E_NOT_FOUND;
    }
    reach.is_view = kind_is_view(entry);
    if (links->list_count == CATALOGUE_LISTS_MAX || !reach_add(&reach, from) ||
        !reach_walk(&reach)) {
        return 0; /* links, and no list: not known */
    }
    rc = items_room(links, CATALOGUE_LIST_MAX);
    if (rc < 0) {
        return rc;
    }
    links->lists[links->list_count].start = (uint32_t)links->item_count;
    links->lists[links->list_count].count = (uint32_t)reach.listed;
    for (size_t i = 1; i < reach.count; i++) {
        if (reach.is_listed[i]) {
            links->items[links->item_count++] = reach.refs[i];
        }
    }
    links->list_count++;
    entry->more = (uint16_t)links->list_count;
    return 0;
}

int catalogue_links_close(struct catalogue_builder *builder)
{
    struct links *links = &builder->links;
    int rc = 0;

    if (links->count > 0) {
        qsort(links->list, links->count, sizeof(*links->list), link_order);
        links->lists = malloc(CATALOGUE_LISTS_MAX * sizeof(*links->lists));
        if (!links->lists) {
            return -ENOMEM;
        }
    }
    for (size_t i = 0; rc == 0 && i < links->count; i++) {
        if (i == 0 || links->list[i].from.off != links->list[i - 1].from.off) {
            rc = list_make(builder, links->list[i].from);
        }
    }
    for (size_t i = 0; rc == 0 && i < links->count; i++) {
        struct entry *entry = ref_entry(&builder->tables, links->list[i].from);

        if (entry && entry->more == 0) {
            entry->marks |= CATALOGUE_MARK_ALL;
        }
    }
    free(links->list);
    links->list = NULL;
    links->count = 0;
    links->cap = 0;
    return rc;
}

/* --- look-ups ----------------------------------------------------------------------------------- */

static const struct entry *entry_look(const struct catalogue *cat, uint64_t ddl_seen,
                                      struct span schema, struct span name)
{
    return catalogue_is_usable(cat, ddl_seen) == CATALOGUE_UNKNOWN
               ? catalogue_entry_find(cat->content, schema, name)
               : NULL;
}

static void list_give(const struct catalogue *cat, const struct entry *entry,
                      catalogue_table_fn *fn, void *arg)
{
    const struct links *links = &cat->content->links;

    if (entry->more > 0) {
        const struct list *list = &links->lists[entry->more - 1];

        for (uint32_t i = 0; i < list->count; i++) {
            struct ref ref = links->items[list->start + i];

            fn(arg, ref_schema(&cat->content->tables, ref), ref_name(&cat->content->tables, ref));
        }
    }
}

bool catalogue_is_cacheable_table(const struct catalogue *cat, uint64_t ddl_seen,
                                  struct span schema, struct span name)
{
    const struct entry *entry = entry_look(cat, ddl_seen, schema, name);

    return entry && entry->kind == CATALOGUE_BASE_TABLE &&
           (entry->marks & CATALOGUE_MARK_UNASKED) == 0;
}

bool catalogue_view_tables(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                           struct span name, catalogue_table_fn *fn, void *arg)
{
    const struct entry *entry = entry_look(cat, ddl_seen, schema, name);

    if (!entry || entry->kind != CATALOGUE_VIEW_HARMLESS ||
        (entry->marks & (CATALOGUE_MARK_ALL | CATALOGUE_MARK_LINKED)) != CATALOGUE_MARK_LINKED) {
        return false;
    }
    list_give(cat, entry, fn, arg);
    return true;
}

bool catalogue_also_written(const struct catalogue *cat, uint64_t ddl_seen, struct span schema,
                            struct span name, catalogue_table_fn *fn, void *arg)
{
    const struct entry *entry = entry_look(cat, ddl_seen, schema, name);

    if (!entry || entry->kind != CATALOGUE_BASE_TABLE || cat->content->links.is_hidden ||
        (entry->marks & CATALOGUE_MARK_ALL) != 0) {
        return false;
    }
    list_give(cat, entry, fn, arg);
    return true;
}
