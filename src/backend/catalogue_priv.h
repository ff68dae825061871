/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue_priv - how the names of a catalogue lie in memory.
 *
 * WHY       catalogue.c finds names, catalogue_links.c what depends on them.
 * OWNS      As the structs say.
 * THREADS   As catalogue.h.
 * REENTRY   none
 * UNITS     none
 * ERRORS    As catalogue.h.
 * BOUNDS    As catalogue.h.
 */
#ifndef WEIR_BACKEND_CATALOGUE_PRIV_H
#define WEIR_BACKEND_CATALOGUE_PRIV_H

#include "weir/backend/catalogue.h"

#define NAME_BYTES_MAX 256 /* 64 characters of at most 4 bytes */
#define BLOCK_MAX      ((size_t)UINT32_MAX)

struct entry {
    uint32_t off; /* of the schema's bytes in the block, the name follows */
    uint32_t hash;
    uint16_t schema_len;
    uint16_t name_len;
    uint8_t kind;  /* enum catalogue_kind; 0 (NOT_LOADED): a free place */
    uint8_t marks; /* enum catalogue_mark */
    uint16_t more; /* of functions: index in notes; of others: in lists; from 1; 0: none */
};

/* Owning. */
struct names {
    uint8_t *block;
    size_t block_len;
    size_t block_cap;
    struct entry *entries;
    size_t count;
    size_t cap; /* a power of two, or 0 */
};

/* Owning. What is said of functions, each with a terminator behind it. */
struct notes {
    char *text;
    size_t len;
    size_t cap;
    uint32_t *start; /* where each begins */
    size_t count;
};

/* A name in the block; off is its identity, for entries move while names are added. */
struct ref {
    uint32_t off;
    uint16_t schema_len;
    uint16_t name_len;
};

struct link {
    struct ref from;
    struct ref to;
};

/* Owning. While building: links; afterwards: what follows from them, list by list. */
struct links {
    struct link *list;
    size_t count;
    size_t cap;
    struct ref *items;
    size_t item_count;
    size_t item_cap;
    struct list {
        uint32_t start;
        uint32_t count;
    } * lists;
    size_t list_count;
    bool is_hidden; /* what a write sets off is not known, of any table */
};

struct key {
    uint32_t off;    /* of its table's name, which is its identity */
    uint32_t column; /* in the text */
    uint16_t position;
    uint8_t column_len;
    uint8_t bytes;
    bool is_unsigned;
};

/* Owning. Sorted by table when the catalogue is finished. */
struct keys {
    struct key *list;
    size_t count;
    size_t cap;
    char *text;
    size_t text_len;
    size_t text_cap;
};

struct catalogue_builder {
    struct names tables;
    struct names functions; /* names case folded; schema empty: loadable */
    struct notes notes;
    struct links links; /* of tables */
    struct keys keys;   /* of tables */
    size_t kind_count[CATALOGUE_PROCEDURE + 1];
    size_t hidden;
    bool fold;
};

struct catalogue {
    struct snap snap;
    struct catalogue_builder *content; /* owned; NULL: not loaded */
    uint64_t covers;
};

/* The entry as it lies there; NULL: no such name. Moves when names are added. */
struct entry *catalogue_names_find(const struct names *names, struct span schema, struct span name);
struct entry *catalogue_entry_find(const struct catalogue_builder *content, struct span schema,
                                   struct span name);
/* CATALOGUE_UNKNOWN: yes; else why not. */
enum catalogue_kind catalogue_is_usable(const struct catalogue *cat, uint64_t ddl_seen);

/* Works out the lists of what follows from the links, and drops these. */
WR_NODISCARD int catalogue_links_close(struct catalogue_builder *builder);
void catalogue_links_fini(struct links *links);
void catalogue_keys_close(struct keys *keys);
void catalogue_keys_fini(struct keys *keys);

#endif
