/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/duration.h"
#include "weir/util/err.h"

#include "errors_priv.h"
#include "load_priv.h"
#include "value_priv.h"

/* A word of a list "a|b|c" by its position. */
static struct span set_word(const char *words, unsigned index)
{
    const char *p = words;

    for (; index > 0 && *p != '\0'; index--) {
        p += strcspn(p, "|");
        p += *p == '|' ? 1 : 0;
    }
    return (struct span){(const uint8_t *)p, strcspn(p, "|")};
}

static void set_complain_word(struct loader *l, const struct schema_setting *s,
                              const struct yaml_node *node, const char *name, const char *text)
{
    char all[512];
    char word[41];
    int guess = -1;
    size_t at = 0;

    (void)span_copy(span_of(text), word, sizeof word);
    guess = schema_suggest_word(s->unit, word);
    (void)span_copy(span_of(s->unit), all, sizeof all);
    for (at = 0; all[at] != '\0'; at++) {
        if (all[at] == '|') {
            all[at] = ' ';
        }
    }
    if (guess >= 0) {
        struct span best = set_word(s->unit, (unsigned)guess);

        errors_add(l->errs, node, "%s is \"%s\"; did you mean %.*s? known: %s", name, word,
                   (int)best.len, (const char *)best.p, all);
    } else {
        errors_add(l->errs, node, "%s is \"%s\"; write one of: %s", name, word, all);
    }
}

static void set_complain_range(struct loader *l, const struct schema_setting *s,
                               const struct yaml_node *node, const char *name, const char *text,
                               bool is_low)
{
    uint64_t bound = is_low ? s->min : s->max;
    char shown[32];

    if (s->type == SCHEMA_T_DURATION) {
        duration_format(bound, shown, sizeof shown);
    } else if (s->type == SCHEMA_T_SIZE || s->type == SCHEMA_T_LARGE) {
        value_format_size(bound, shown, sizeof shown);
    } else {
        (void)snprintf(shown, sizeof shown, "%" PRIu64, bound);
    }
    errors_add(l->errs, node, "%s is %.40s; write %s or %s", name, text, shown,
               is_low ? "more" : "less");
}

/* COUNT, DURATION, SIZE and LARGE: parsed, words of their own understood, range checked. */
static bool set_number(struct loader *l, const struct schema_setting *s,
                       const struct yaml_node *node, const char *name, const char *text,
                       uint64_t *ret_value)
{
    bool has_word = strcmp(s->text, "auto") == 0 || strcmp(s->text, "off") == 0;
    const char *problem = NULL;
    uint64_t other_value = 0;
    const char *other = schema_other_word(s, &other_value);
    uint64_t value = 0;

    if (other != NULL && strcmp(text, other) == 0) {
        *ret_value = other_value;
        return true;
    }
    if (has_word && strcmp(text, s->text) == 0) {
        bool is_auto_time = s->type == SCHEMA_T_DURATION && s->text[0] == 'a';

        *ret_value = is_auto_time ? UINT64_MAX : 0;
        return true;
    }
    if (s->type == SCHEMA_T_DURATION) {
        problem = value_parse_duration(span_of(text), &value);
    } else if (s->type == SCHEMA_T_SIZE || s->type == SCHEMA_T_LARGE) {
        problem = value_parse_size(span_of(text), &value);
    } else {
        problem = value_parse_count(span_of(text), &value);
    }
    if (problem != NULL) {
        errors_add(l->errs, node, "%s is \"%.40s\"; %s%s%s%s%s", name, text, problem,
                   has_word ? ", or " : "", has_word ? s->text : "", other != NULL ? ", or " : "",
                   other != NULL ? other : "");
        return false;
    }
    if (value < s->min || value > s->max) {
        set_complain_range(l, s, node, name, text, value < s->min);
        return false;
    }
    *ret_value = value;
    return true;
}

static void set_address(struct loader *l, const struct schema_setting *s,
                        const struct yaml_node *node, const char *name, const char *text,
                        struct config_addr *ret_addr)
{
    bool is_listen = strncmp(s->unit, "listen", 6) == 0;
    struct value_addr parsed = {.kind = CONFIG_ADDR_NONE};
    struct config_addr addr = {.kind = CONFIG_ADDR_NONE};
    const char *problem = NULL;

    if (strchr(s->unit, '|') != NULL && strcmp(text, "off") == 0) {
        addr.text = "off";
        *ret_addr = addr;
        return;
    }
    problem = value_parse_addr(span_of(text), is_listen, &parsed);
    if (problem != NULL) {
        errors_add(l->errs, node, "%s is \"%.60s\"; %s", name, text, problem);
        return;
    }
    addr.kind = parsed.kind;
    addr.port = parsed.port;
    addr.text = load_text(l, span_of(text));
    if (parsed.kind == CONFIG_ADDR_UNIX) {
        addr.path = load_text(l, parsed.host);
    } else {
        addr.host = load_text(l, parsed.host);
    }
    *ret_addr = addr;
}

static size_t set_text_max(enum schema_type type)
{
    if (type == SCHEMA_T_REGEX) {
        return 4096;
    }
    if (type == SCHEMA_T_PATH) {
        return 1024;
    }
    return type == SCHEMA_T_USER ? 128 : 255;
}

/* STRING, USER, NAME, PATH, REGEX and ROUTE */
static void set_text(struct loader *l, const struct schema_setting *s, const struct yaml_node *node,
                     const char *name, const char *text, const char **ret_text)
{
    size_t max = set_text_max(s->type);
    const char *problem = s->type == SCHEMA_T_NAME ? value_check_name(span_of(text)) : NULL;

    if (strlen(text) > max) {
        errors_add(l->errs, node, "%s is %zu bytes long; write %zu or less", name, strlen(text),
                   max);
        return;
    }
    if (problem != NULL) {
        errors_add(l->errs, node, "%s is \"%.64s\"; %s", name, text, problem);
        return;
    }
    *ret_text = s->type == SCHEMA_T_PATH ? load_path(l, text) : load_text(l, span_of(text));
}

static void set_hash(struct loader *l, const struct yaml_node *node, const char *name,
                     const char *text, const uint8_t **ret_hash)
{
    uint8_t *hash = secret_alloc(l->config->mem->secrets, 20);
    const char *problem = NULL;

    if (hash == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    problem = value_parse_native_hash(span_of(text), hash);
    if (problem != NULL) {
        errors_add(l->errs, node, "%s is no such hash; %s", name, problem);
        return;
    }
    l->literal = l->literal != NULL ? l->literal : node;
    *ret_hash = hash;
}

void set_value(struct loader *l, const struct schema_setting *s, void *base,
               const struct yaml_node *node, const char *name, const char *text)
{
    void *target = (char *)base + s->offset;
    const char *problem = NULL;
    uint64_t number = 0;
    unsigned index = 0;

    switch (s->type) {
    case SCHEMA_T_BOOL:
        problem = value_parse_bool(span_of(text), target);
        if (problem != NULL) {
            errors_add(l->errs, node, "%s is \"%.40s\"; %s", name, text, problem);
        }
        break;
    case SCHEMA_T_COUNT:
    case SCHEMA_T_SIZE:
        if (set_number(l, s, node, name, text, &number)) {
            *(uint32_t *)target = (uint32_t)number; /* every max in the schema fits */
        }
        break;
    case SCHEMA_T_DURATION:
    case SCHEMA_T_LARGE:
        if (set_number(l, s, node, name, text, &number)) {
            *(uint64_t *)target = number;
        }
        break;
    case SCHEMA_T_STRING:
    case SCHEMA_T_USER:
    case SCHEMA_T_NAME:
    case SCHEMA_T_PATH:
    case SCHEMA_T_REGEX:
    case SCHEMA_T_ROUTE:
        set_text(l, s, node, name, text, target);
        break;
    case SCHEMA_T_ENUM:
        if (value_parse_enum(span_of(text), s->unit, &index) == NULL) {
            *(unsigned *)target = index;
        } else {
            set_complain_word(l, s, node, name, text);
        }
        break;
    case SCHEMA_T_WORDS: /* set_words(); its default is none */
        break;
    case SCHEMA_T_SOURCES:
        if (value_parse_enum(span_of(text), s->unit, &index) != NULL) {
            set_complain_word(l, s, node, name, text);
        } else if (l->config->users.source_count >= CONFIG_SOURCES_MAX ||
                   config_has_source(l->config, (enum config_user_source)index)) {
            errors_add(l->errs, node, "%s names %.20s twice; keep one", name, text);
        } else {
            l->config->users.source[l->config->users.source_count++] =
                (enum config_user_source)index;
        }
        break;
    case SCHEMA_T_FUNCTIONS:
        functions_set(l, node, name, target);
        break;
    case SCHEMA_T_ADDRESS:
        set_address(l, s, node, name, text, target);
        break;
    case SCHEMA_T_SECRET:
        l->literal = l->literal != NULL ? l->literal : node;
        secret_take_text(l, node, name, span_of(text), target);
        break;
    case SCHEMA_T_SECRET_FILE:
        secret_take_file(l, node, name, text, target);
        break;
    case SCHEMA_T_SECRET_ENV:
        secret_take_env(l, node, name, text, target);
        break;
    case SCHEMA_T_NATIVE_HASH:
        set_hash(l, node, name, text, target);
        break;
    }
}

/* NULL: the word is refused. */
static const char *set_one_word(struct loader *l, const struct schema_setting *s,
                                const struct yaml_node *node, const char *name)
{
    unsigned index = 0;

    if (node->kind != YAML_KIND_SCALAR || node->len == 0) {
        errors_add(l->errs, node, "%s: expected a word, or a list of words: [a, b]", name);
        return NULL;
    }
    if (node->len > 255) {
        errors_add(l->errs, node, "%s is %zu bytes long; write 255 or less", name, node->len);
        return NULL;
    }
    if (strchr(s->unit, '|') != NULL &&
        value_parse_enum(span_of(node->text), s->unit, &index) != NULL) {
        set_complain_word(l, s, node, name, node->text);
        return NULL;
    }
    return load_text(l, span_of(node->text));
}

void set_words(struct loader *l, const struct schema_setting *s, void *base,
               const struct yaml_node *node, const char *name)
{
    struct config_words *words = (struct config_words *)(void *)((char *)base + s->offset);
    bool is_list = node->kind == YAML_KIND_LIST;
    uint32_t count = is_list ? node->count : 1;
    const char **item = NULL;
    uint32_t filled = 0;

    if (count == 0 || count > CONFIG_WORDS_MAX) {
        errors_add(l->errs, node, "%s has %u entries; write 1 to %u", name, count,
                   CONFIG_WORDS_MAX);
        return;
    }
    item = arena_zalloc(&l->config->mem->arena, sizeof *item * count);
    if (item == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    for (const struct yaml_node *n = is_list ? node->first : node; n != NULL;
         n = is_list ? n->next : NULL) {
        const char *word = set_one_word(l, s, n, name);

        if (word != NULL) {
            item[filled++] = word;
        }
    }
    *words = (struct config_words){item, filled};
}

void set_sources(struct loader *l, const struct yaml_node *node, const char *name)
{
    const struct schema_setting *s = schema_find("users.source");

    WR_ASSERT(s != NULL);
    l->config->users.source_count = 0; /* the default goes */
    if (node->kind == YAML_KIND_SCALAR) {
        set_value(l, s, l->config, node, name, node->text);
        return;
    }
    for (const struct yaml_node *n = node->first; n != NULL; n = n->next) {
        if (n->kind != YAML_KIND_SCALAR) {
            errors_add(l->errs, n, "%s: expected a word; write one of: passthrough server list",
                       name);
            continue;
        }
        set_value(l, s, l->config, n, name, n->text);
    }
}
