/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names lie one behind the other in one block ("schema" "name", no terminators); a table with open
 * addressing points into it. A builder is the same thing while it grows, so that the verdicts on
 * views can be asked for while they are being found.
 */
#include "weir/backend/catalogue.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/util/err.h"

#include "catalogue_priv.h"

/* Process-wide by its nature: what a DDL through any worker makes doubtful is doubtful for all. */
static _Atomic uint64_t ddl_seen; /* NOLINT(cppcoreguidelines-avoid-non-const-global-variables) */

void catalogue_ddl_bump(void)
{
    /* Release and acquire: who sees the new value also sees that the statement was not sent yet. */
    atomic_fetch_add_explicit(&ddl_seen, 1, memory_order_acq_rel);
}

uint64_t catalogue_ddl_seen(void)
{
    return atomic_load_explicit(&ddl_seen, memory_order_acquire);
}

static uint32_t names_hash(struct span schema, struct span name)
{
    XXH64_hash_t seed = XXH3_64bits(schema.p, schema.len);

    return (uint32_t)XXH3_64bits_withSeed(name.p, name.len, seed);
}

static void names_fini(struct names *names)
{
    free(names->block);
    free(names->entries);
}

static struct entry *names_find(const struct names *names, struct span schema, struct span name)
{
    uint32_t hash = 0;

    if (names->cap == 0) {
        return NULL;
    }
    hash = names_hash(schema, name);
    for (size_t i = hash & (names->cap - 1);; i = (i + 1) & (names->cap - 1)) {
        struct entry *entry = &names->entries[i];
        const uint8_t *bytes = names->block + entry->off;

        if (entry->kind == CATALOGUE_NOT_LOADED) {
            return NULL;
        }
        if (entry->hash == hash && entry->schema_len == schema.len && entry->name_len == name.len &&
            memcmp(bytes, schema.p, schema.len) == 0 &&
            memcmp(bytes + schema.len, name.p, name.len) == 0) {
            return entry;
        }
    }
}

static void names_place(struct entry *entries, size_t cap, const struct entry *entry)
{
    size_t i = entry->hash & (cap - 1);

    while (entries[i].kind != CATALOGUE_NOT_LOADED) {
        i = (i + 1) & (cap - 1);
    }
    entries[i] = *entry;
}

/* At most half full, so that a search ends soon, and always. */
static int names_grow(struct names *names, size_t extra_bytes)
{
    if ((names->count + 1) * 2 > names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 64;
        struct entry *entries = calloc(cap, sizeof(*entries));

        if (!entries) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < names->cap; i++) {
            if (names->entries[i].kind != CATALOGUE_NOT_LOADED) {
                names_place(entries, cap, &names->entries[i]);
            }
        }
        free(names->entries);
        names->entries = entries;
        names->cap = cap;
    }
    if (names->block_len + extra_bytes > names->block_cap) {
        size_t cap = names->block_cap ? names->block_cap * 2 : 4096;
        uint8_t *block = NULL;

        if (cap > BLOCK_MAX) {
            return -WR_E_LIMIT;
        }
        block = realloc(names->block, cap);
        if (!block) {
            return -ENOMEM;
        }
        names->block = block;
        names->block_cap = cap;
    }
    return 0;
}

static int names_add(struct names *names, enum catalogue_kind kind, struct span schema,
                     struct span name)
{
    struct entry entry = {0};
    int rc = names_grow(names, schema.len + name.len);

    if (rc < 0) {
        return rc;
    }
    entry.off = (uint32_t)names->block_len;
    entry.hash = names_hash(schema, name);
    entry.schema_len = (uint16_t)schema.len;
    entry.name_len = (uint16_t)name.len;
    entry.kind = (uint8_t)kind;
    if (schema.len > 0) {
        memcpy(names->block + names->block_len, schema.p, schema.len);
    }
    memcpy(names->block + names->block_len + schema.len, name.p, name.len);
    names->block_len += schema.len + name.len;
    names_place(names->entries, names->cap, &entry);
    names->count++;
    return 0;
}

static struct span span_fold(struct span text, uint8_t *dst)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];

        dst[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return (struct span){dst, text.len};
}

static bool name_is_fit(struct span schema, struct span name)
{
    return name.len > 0 && name.len <= NAME_BYTES_MAX && schema.len <= NAME_BYTES_MAX;
}

static struct entry *table_find(const struct catalogue_builder *content, struct span schema,
                                struct span name)
{
    uint8_t folded_schema[NAME_BYTES_MAX];
    uint8_t folded_name[NAME_BYTES_MAX];

    if (!name_is_fit(schema, name)) {
        return NULL;
    }
    if (content->fold) {
        schema = span_fold(schema, folded_schema);
        name = span_fold(name, folded_name);
    }
    return names_find(&content->tables, schema, name);
}

/* For the room's other file; here they are inlined. */
struct entry *catalogue_names_find(const struct names *names, struct span schema, struct span name)
{
    return names_find(names, schema, name);
}

struct entry *catalogue_entry_find(const struct catalogue_builder *content, struct span schema,
                                   struct span name)
{
    return table_find(content, schema, name);
}

struct catalogue_builder *catalogue_builder_create(bool fold)
{
    struct catalogue_builder *builder = calloc(1, sizeof(*builder));

    if (builder) {
        builder->fold = fold;
    }
    return builder;
}

void catalogue_builder_destroy(struct catalogue_builder *builder)
{
    if (builder) {
        names_fini(&builder->tables);
        names_fini(&builder->functions);
        catalogue_links_fini(&builder->links);
        catalogue_keys_fini(&builder->keys);
        free(builder->notes.text);
        free(builder->notes.start);
        free(builder);
    }
}

static struct entry *function_find(const struct catalogue_builder *content, struct span schema,
                                   struct span name)
{
    uint8_t folded_schema[NAME_BYTES_MAX];
    uint8_t folded_name[NAME_BYTES_MAX];

    if (!name_is_fit(schema, name)) {
        return NULL;
    }
    if (content->fold || schema.len == 0) {
        schema = span_fold(schema, folded_schema); /* an empty one may have no pointer */
    }
    return names_find(&content->functions, schema, span_fold(name, folded_name));
}

/* As a call means it. */
static struct entry *call_find(const struct catalogue_builder *content, struct span schema,
                               struct span name, bool is_bare)
{
    struct span none = {(const uint8_t *)"", 0};
    struct entry *entry = is_bare ? function_find(content, none, name) : NULL;

    /* an empty schema is the place of the loadable ones only */
    return entry || schema.len == 0 ? entry : function_find(content, schema, name);
}

/* A note more; 0 when there is no room for it, which costs an explanation and nothing else. */
static int note_add(struct notes *notes, struct span note, uint16_t *ret_note)
{
    size_t len = note.len < CATALOGUE_NOTE_MAX ? note.len : CATALOGUE_NOTE_MAX;

    *ret_note = 0;
    if (len == 0 || notes->count == CATALOGUE_NOTES_MAX) {
        return 0;
    }
    if (!notes->start) {
        notes->start = malloc(CATALOGUE_NOTES_MAX * sizeof(*notes->start));
        if (!notes->start) {
            return -ENOMEM;
        }
    }
    if (notes->len + len + 1 > notes->cap) {
        size_t cap = notes->cap ? notes->cap * 2 : 4096;
        char *text = realloc(notes->text, cap);

        if (!text) {
            return -ENOMEM;
        }
        notes->text = text;
        notes->cap = cap;
    }
    memcpy(notes->text + notes->len, note.p, len);
    notes->text[notes->len + len] = '\0';
    notes->start[notes->count++] = (uint32_t)notes->len;
    notes->len += len + 1;
    *ret_note = (uint16_t)notes->count;
    return 0;
}

static bool kind_is_function(enum catalogue_kind kind)
{
    return kind >= CATALOGUE_FUNCTION && kind <= CATALOGUE_FUNCTION_LOADABLE;
}

int catalogue_builder_function(struct catalogue_builder *builder, enum catalogue_kind kind,
                               struct span schema, struct span name, struct span note)
{
    uint8_t folded_schema[NAME_BYTES_MAX];
    uint8_t folded_name[NAME_BYTES_MAX];
    struct entry *entry = NULL;
    uint16_t note_at = 0;
    int rc = 0;

    if (!name_is_fit(schema, name) || !kind_is_function(kind)) {
        return -WR_E_TOO_LARGE;
    }
    entry = function_find(builder, schema, name);
    if (!entry && builder->tables.count + builder->functions.count >= CATALOGUE_OBJECTS_MAX) {
        return -WR_E_LIMIT;
    }
    rc = note_add(&builder->notes, note, &note_at);
    if (rc == 0 && !entry) {
        if (builder->fold || schema.len == 0) {
            schema = span_fold(schema, folded_schema);
        }
        name = span_fold(name, folded_name);
        rc = names_add(&builder->functions, kind, schema, name);
        entry = rc == 0 ? names_find(&builder->functions, schema, name) : NULL;
        builder->kind_count[kind] += rc == 0;
    } else if (rc == 0) {
        builder->kind_count[entry->kind]--;
        builder->kind_count[kind]++;
    }
    if (rc == 0 && entry) {
        entry->kind = (uint8_t)kind;
        entry->more = note_at;
    }
    return rc;
}

enum catalogue_kind catalogue_builder_get_function(const struct catalogue_builder *builder,
                                                   struct span schema, struct span name,
                                                   bool is_bare)
{
    const struct entry *entry = call_find(builder, schema, name, is_bare);

    return entry ? (enum catalogue_kind)entry->kind : CATALOGUE_UNKNOWN;
}

int catalogue_builder_add(struct catalogue_builder *builder, enum catalogue_kind kind,
                          struct span schema, struct span name)
{
    uint8_t folded_schema[NAME_BYTES_MAX];
    uint8_t folded_name[NAME_BYTES_MAX];
    int rc = 0;

    if (!name_is_fit(schema, name) || kind < CATALOGUE_BASE_TABLE) {
        return -WR_E_TOO_LARGE;
    }
    if (builder->tables.count + builder->functions.count >= CATALOGUE_OBJECTS_MAX) {
        return -WR_E_LIMIT;
    }
    if (kind_is_function(kind)) {
        struct span none = {(const uint8_t *)"", 0};

        return catalogue_builder_function(builder, kind, schema, name, none);
    }
    if (kind != CATALOGUE_PROCEDURE) {
        if (builder->fold) {
            schema = span_fold(schema, folded_schema);
            name = span_fold(name, folded_name);
        }
        if (names_find(&builder->tables, schema, name)) {
            return -WR_E_STATE;
        }
        rc = names_add(&builder->tables, kind, schema, name);
    }
    if (rc == 0) {
        builder->kind_count[kind]++;
    }
    return rc;
}

int catalogue_builder_set(struct catalogue_builder *builder, enum catalogue_kind kind,
                          struct span schema, struct span name)
{
    struct entry *entry = table_find(builder, schema, name);

    if (!entry) {
        return -WR_E_NOT_FOUND;
    }
    builder->kind_count[entry->kind]--;
    builder->kind_count[kind]++;
    entry->kind = (uint8_t)kind;
    return 0;
}

enum catalogue_kind catalogue_builder_get(const struct catalogue_builder *builder,
                                          struct span schema, struct span name)
{
    const struct entry *entry = table_find(builder, schema, name);

    return entry ? (enum catalogue_kind)entry->kind : CATALOGUE_UNKNOWN;
}

void catalogue_builder_hidden(struct catalogue_builder *builder, size_t count)
{
    builder->hidden += count;
}

static void catalogue_free(struct snap *snap)
{
    struct catalogue *cat = WR_CONTAINER_OF(snap, struct catalogue, snap);

    catalogue_builder_destroy(cat->content);
    free(cat);
}

static struct catalogue *catalogue_wrap(struct catalogue_builder *content, uint64_t generation,
                                        uint64_t covers)
{
    struct catalogue *cat = calloc(1, sizeof(*cat));

    if (!cat) {
        catalogue_builder_destroy(content);
        return NULL;
    }
    snap_init(&cat->snap, generation, catalogue_free);
    cat->content = content;
    cat->covers = covers;
    return cat;
}

struct catalogue *catalogue_create_unloaded(void)
{
    return catalogue_wrap(NULL, 0, 0);
}

struct catalogue *catalogue_builder_finish(struct catalogue_builder *builder, uint64_t generation,
                                           uint64_t covers)
{
    if (catalogue_links_close(builder) < 0) {
        catalogue_builder_destroy(builder);
        return NULL;
    }
    catalogue_keys_close(&builder->keys);
    return catalogue_wrap(builder, generation, covers);
}

/* Only the count changes after publication. */
static struct catalogue *catalogue_counted(const struct catalogue *cat)
{
    return (struct catalogue *)(uintptr_t)cat;
}

const struct catalogue *catalogue_ref(const struct catalogue *cat)
{
    snap_ref(&catalogue_counted(cat)->snap);
    return cat;
}

void catalogue_unref(const struct catalogue *cat)
{
    if (cat) {
        snap_unref(&catalogue_counted(cat)->snap);
    }
}

static enum catalogue_kind is_usable(const struct catalogue *cat, uint64_t seen)
{
    if (!cat || !cat->content) {
        return CATALOGUE_NOT_LOADED;
    }
    return cat->covers < seen ? CATALOGUE_OUTDATED : CATALOGUE_UNKNOWN;
}

enum catalogue_kind catalogue_is_usable(const struct catalogue *cat, uint64_t seen)
{
    return is_usable(cat, seen);
}

enum catalogue_kind catalogue_table(const struct catalogue *cat, uint64_t seen, struct span schema,
                                    struct span name)
{
    enum catalogue_kind usable = is_usable(cat, seen);

    if (usable != CATALOGUE_UNKNOWN) {
        return usable;
    }
    return catalogue_builder_get(cat->content, schema, name);
}

enum catalogue_kind catalogue_function(const struct catalogue *cat, uint64_t seen,
                                       struct span schema, struct span name, bool is_bare)
{
    enum catalogue_kind usable = is_usable(cat, seen);

    if (usable != CATALOGUE_UNKNOWN) {
        return usable;
    }
    return catalogue_builder_get_function(cat->content, schema, name, is_bare);
}

struct span catalogue_function_note(const struct catalogue *cat, struct span schema,
                                    struct span name, bool is_bare)
{
    const struct entry *entry =
        cat && cat->content ? call_find(cat->content, schema, name, is_bare) : NULL;

    if (!entry || entry->more == 0) {
        return span_of("");
    }
    return span_of(cat->content->notes.text + cat->content->notes.start[entry->more - 1]);
}

uint64_t catalogue_generation(const struct catalogue *cat)
{
    return cat ? cat->snap.generation : 0;
}

uint64_t catalogue_covers(const struct catalogue *cat)
{
    return cat ? cat->covers : 0;
}

size_t catalogue_count(const struct catalogue *cat, enum catalogue_kind kind)
{
    return cat && cat->content ? cat->content->kind_count[kind] : 0;
}

size_t catalogue_hidden_count(const struct catalogue *cat)
{
    return cat && cat->content ? cat->content->hidden : 0;
}

const char *catalogue_kind_text(enum catalogue_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) text,
        CATALOGUE_KINDS(X)
#undef X
    };
    return texts[kind];
}
