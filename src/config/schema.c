/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/config/schema.h"

#include <string.h>

#include "weir/config/config.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#include "schema_priv.h"

#define SIZEOF_BOOL        sizeof(bool)
#define SIZEOF_COUNT       sizeof(uint32_t)
#define SIZEOF_DURATION    sizeof(uint64_t)
#define SIZEOF_SIZE        sizeof(uint32_t)
#define SIZEOF_LARGE       sizeof(uint64_t)
#define SIZEOF_STRING      sizeof(const char *)
#define SIZEOF_USER        sizeof(const char *)
#define SIZEOF_NAME        sizeof(const char *)
#define SIZEOF_PATH        sizeof(const char *)
#define SIZEOF_ENUM        sizeof(unsigned)
#define SIZEOF_SOURCES     (CONFIG_SOURCES_MAX * sizeof(enum config_user_source))
#define SIZEOF_FUNCTIONS   sizeof(struct config_function_list)
#define SIZEOF_ADDRESS     sizeof(struct config_addr)
#define SIZEOF_SECRET      sizeof(struct config_secret)
#define SIZEOF_SECRET_FILE sizeof(struct config_secret)
#define SIZEOF_SECRET_ENV  sizeof(struct config_secret)
#define SIZEOF_NATIVE_HASH sizeof(const uint8_t *)
#define SIZEOF_WORDS       sizeof(struct config_words)
#define SIZEOF_REGEX       sizeof(const char *)
#define SIZEOF_ROUTE       sizeof(const char *)

/* The loader writes through offsets: a member of another size would be overrun. */
#define X(path, type, owner, member, text, min, max, unit, help) \
    _Static_assert(sizeof(((struct owner *)NULL)->member) == SIZEOF_##type, path);
CONFIG_SETTINGS(X)
#undef X

const struct schema_setting schema_settings[] = {
#define X(path, type, owner, member, text, min, max, unit, help) \
    {path, SCHEMA_T_##type, offsetof(struct owner, member), text, min, max, unit},
    CONFIG_SETTINGS(X)
#undef X
};
const size_t schema_setting_count = WR_ARRAY_LEN(schema_settings);

const struct schema_list schema_lists[] = {
#define X(name, owner, member, count, max, help)                          \
    {name, offsetof(struct owner, member), offsetof(struct owner, count), \
     sizeof(*((struct owner *)NULL)->member), max},
    CONFIG_LISTS(X)
#undef X
};
const size_t schema_list_count = WR_ARRAY_LEN(schema_lists);

const char *const schema_sections[] = {
#define X(name, help) name,
    CONFIG_SECTIONS(X)
#undef X
};

const size_t schema_section_count = WR_ARRAY_LEN(schema_sections);

static const char *const schema_later[] = {
#define X(name) name,
    CONFIG_LATER(X)
#undef X
};

static const char *const schema_reloadable[] = {
#define X(path) path,
    CONFIG_RELOADABLE(X)
#undef X
};

bool schema_is_reloadable(const char *path)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(schema_reloadable); i++) {
        const char *known = schema_reloadable[i];
        size_t len = strlen(known);
        bool is_prefix = known[len - 1] == '.' || known[len - 1] == ']';

        if (is_prefix ? strncmp(path, known, len) == 0 && strchr(path + len, '[') == NULL
                      : strcmp(path, known) == 0) {
            return true;
        }
    }
    return false;
}

const char *schema_other_word(const struct schema_setting *setting, uint64_t *ret_value)
{
    const char *bar = setting->type == SCHEMA_T_DURATION ? strchr(setting->unit, '|') : NULL;

    if (bar == NULL) {
        return NULL;
    }
    *ret_value = strcmp(bar + 1, "off") == 0 ? 0 : UINT64_MAX - 1;
    return bar + 1;
}

const struct schema_setting *schema_find(const char *path)
{
    for (size_t i = 0; i < schema_setting_count; i++) {
        if (strcmp(schema_settings[i].path, path) == 0) {
            return &schema_settings[i];
        }
    }
    return NULL;
}

const struct schema_list *schema_find_list(const char *path)
{
    for (size_t i = 0; i < schema_list_count; i++) {
        if (strcmp(schema_lists[i].name, path) == 0) {
            return &schema_lists[i];
        }
    }
    return NULL;
}

bool schema_is_section(const char *path)
{
    for (size_t i = 0; i < schema_section_count; i++) {
        if (strcmp(schema_sections[i], path) == 0) {
            return true;
        }
    }
    return false;
}

bool schema_is_later(const char *path)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(schema_later); i++) {
        if (strcmp(schema_later[i], path) == 0) {
            return true;
        }
    }
    return false;
}

const char *schema_word_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(path, prefix, len) != 0 || path[len] == '\0') {
        return NULL;
    }
    return strpbrk(path + len, ".[") == NULL ? path + len : NULL;
}

/* The best guess so far. */
struct schema_guess {
    const char *word; /* what the file says */
    const char *best;
    size_t best_len;
    unsigned distance;
};

static void schema_guess_try(struct schema_guess *g, const char *known, size_t len)
{
    struct span word = span_of(g->word);
    unsigned limit = (unsigned)(word.len < 5 ? 1 : (word.len < 9 ? 2 : 3));
    unsigned d = span_distance_nocase(word, (struct span){(const uint8_t *)known, len});

    if (d <= limit && (g->best == NULL || d < g->distance)) {
        g->best = known;
        g->best_len = len;
        g->distance = d;
    }
}

const char *schema_suggest(const char *prefix, const char *word)
{
    struct schema_guess g = {.word = word};

    for (size_t i = 0; i < schema_setting_count; i++) {
        const char *known = schema_word_below(schema_settings[i].path, prefix);

        if (known != NULL) {
            schema_guess_try(&g, known, strlen(known));
        }
    }
    for (size_t i = 0; i < schema_list_count; i++) {
        const char *known = schema_word_below(schema_lists[i].name, prefix);

        if (known != NULL) {
            schema_guess_try(&g, known, strlen(known));
        }
    }
    for (size_t i = 0; prefix[0] == '\0' && i < schema_section_count; i++) {
        schema_guess_try(&g, schema_sections[i], strlen(schema_sections[i]));
    }
    return g.best;
}

const struct schema_setting *schema_find_elsewhere(const char *word)
{
    const struct schema_setting *found = NULL;

    for (size_t i = 0; i < schema_setting_count; i++) {
        const struct schema_setting *s = &schema_settings[i];
        const char *dot = strrchr(s->path, '.');

        /* what holds for everything is the likelier guess than what is in a list */
        if (dot != NULL && strcmp(dot + 1, word) == 0 &&
            (found == NULL || (strchr(found->path, '[') != NULL && strchr(s->path, '[') == NULL))) {
            found = s;
        }
    }
    return found;
}

int schema_suggest_word(const char *words, const char *word)
{
    struct schema_guess g = {.word = word};
    int index = 0;
    int best = -1;

    for (const char *p = words; *p != '\0'; index++) {
        size_t len = strcspn(p, "|");
        const char *before = g.best;

        schema_guess_try(&g, p, len);
        best = g.best != before ? index : best;
        p += len;
        p += *p == '|' ? 1 : 0;
    }
    return best;
}
