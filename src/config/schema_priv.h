/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the lists of schema.h as tables, and how to find one's way in them.
 *
 * WHY       One walk over tables replaces code for each setting.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     as schema.h
 * ERRORS    NULL: not found.
 * BOUNDS    none
 */
#ifndef WEIR_CONFIG_SCHEMA_PRIV_H
#define WEIR_CONFIG_SCHEMA_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_TYPES(X) \
    X(BOOL)             \
    X(COUNT)            \
    X(DURATION)         \
    X(SIZE)             \
    X(LARGE)            \
    X(STRING)           \
    X(USER)             \
    X(NAME)             \
    X(PATH)             \
    X(ENUM)             \
    X(SOURCES)          \
    X(FUNCTIONS)        \
    X(ADDRESS)          \
    X(SECRET)           \
    X(SECRET_FILE)      \
    X(SECRET_ENV)       \
    X(NATIVE_HASH)      \
    X(WORDS)            \
    X(REGEX)            \
    X(ROUTE)

enum schema_type {
#define X(name) SCHEMA_T_##name,
    SCHEMA_TYPES(X)
#undef X
};

struct schema_setting {
    const char *path;
    enum schema_type type;
    size_t offset;    /* in the struct that owns it */
    const char *text; /* the default, as in schema.h */
    uint64_t min;
    uint64_t max;
    const char *unit;
};

struct schema_list {
    const char *name;
    size_t pointer_offset; /* in struct config */
    size_t count_offset;
    size_t item_size;
    uint32_t max;
};

extern const struct schema_setting schema_settings[];
extern const size_t schema_setting_count;
extern const struct schema_list schema_lists[];
extern const size_t schema_list_count;
extern const char *const schema_sections[];
extern const size_t schema_section_count;

/* path: "tls.cert", "servers[].name" */
const struct schema_setting *schema_find(const char *path);
const struct schema_list *schema_find_list(const char *path);
bool schema_is_section(const char *path);
bool schema_is_later(const char *path);
/* What a DURATION's other word stands for, and that word; NULL: it has none. */
const char *schema_other_word(const struct schema_setting *setting, uint64_t *ret_value);
/* path: of a setting, or "rules[]" for the entries of a list. */
bool schema_is_reloadable(const char *path);
/* Whether setting lies directly below prefix ("tls.", "servers[].", ""); then its last word. */
const char *schema_word_below(const char *path, const char *prefix);
/* The known word below prefix that is closest to word; NULL when none is close. */
const char *schema_suggest(const char *prefix, const char *word);
/* A setting elsewhere whose last word is word; NULL when there is none. */
const struct schema_setting *schema_find_elsewhere(const char *word);
/* The closest of "a|b|c": its position, or -1. */
int schema_suggest_word(const char *words, const char *word);

#endif
