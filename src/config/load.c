/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over the file: each key is looked up in the schema and set where the schema says.
 */
#include <stdio.h>
#include <string.h>

#include "weir/util/assert.h"

#include "errors_priv.h"
#include "load_priv.h"

#define LOAD_NAME_MAX 128

struct load_place {
    const char *prefix; /* "servers[]." */
    void *base;         /* the struct that holds the members */
};

const char *load_text(struct loader *l, struct span text)
{
    struct span copy = arena_dup(&l->config->mem->arena, text);

    if (copy.p == NULL) {
        l->is_out_of_memory = true;
        return "";
    }
    return (const char *)copy.p;
}

const char *load_path(struct loader *l, const char *text)
{
    const char *slash = strrchr(l->path, '/');
    size_t dir_len = slash == NULL ? 0 : (size_t)(slash - l->path) + 1;
    size_t len = strlen(text);
    char *joined = NULL;

    if (text[0] == '/' || dir_len == 0) {
        return load_text(l, span_of(text));
    }
    joined = arena_alloc(&l->config->mem->arena, dir_len + len + 1);
    if (joined == NULL) {
        l->is_out_of_memory = true;
        return "";
    }
    memcpy(joined, l->path, dir_len);
    memcpy(joined + dir_len, text, len + 1);
    return joined;
}

/* Nothing, or one of YAML's words for nothing: never a password of that name. */
static bool load_is_empty(const struct yaml_node *node)
{
    return node->kind == YAML_KIND_SCALAR && node->is_plain &&
           (node->len == 0 || strcmp(node->text, "~") == 0 ||
            span_eq_text_nocase(span_of(node->text), "null"));
}

static void load_defaults(struct loader *l, const struct load_place *place)
{
    for (size_t i = 0; i < schema_setting_count; i++) {
        const struct schema_setting *s = &schema_settings[i];
        uint32_t before = l->errs->error_count;

        if (schema_word_below(s->path, place->prefix) == NULL || s->text[0] == '\0' ||
            strcmp(s->text, "-") == 0) {
            continue;
        }
        set_value(l, s, place->base, NULL, s->path, s->text);
        WR_ASSERT(l->errs->error_count == before); /* our own text, no peer's */
    }
}

static void load_required(struct loader *l, const struct yaml_node *map,
                          const struct load_place *place)
{
    for (size_t i = 0; i < schema_setting_count; i++) {
        const struct schema_setting *s = &schema_settings[i];
        const char *word = schema_word_below(s->path, place->prefix);

        if (word != NULL && strcmp(s->text, "-") == 0 && yaml_get(map, word) == NULL) {
            errors_add(l->errs, map, "%s%s is missing; add it", place->prefix, word);
        }
    }
}

static bool load_is_word(const char *key)
{
    return key[0] != '\0' && key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static void load_unknown(struct loader *l, const struct yaml_node *key,
                         const struct load_place *place)
{
    bool is_top = place->prefix[0] == '\0';
    const char *word = key->text;
    const char *guess = schema_suggest(place->prefix, word);
    const struct schema_setting *elsewhere = schema_find_elsewhere(word);

    if (is_top && schema_is_later(word)) {
        errors_add(l->errs, key, "%s is not in this version of weir; remove it", word);
    } else if (strcmp(word, "<<") == 0) {
        errors_add(l->errs, key, "merging (<<) is not taken; write the settings out");
    } else if (guess != NULL) {
        errors_add(l->errs, key, "unknown setting %s%.40s; did you mean %s?", place->prefix, word,
                   guess);
    } else if (elsewhere != NULL) {
        errors_add(l->errs, key, "unknown setting %s%.40s; did you mean %s?", place->prefix, word,
                   elsewhere->path);
    } else if (is_top && strchr(word, '.') != NULL) {
        errors_add(l->errs, key,
                   "unknown setting %.40s; write one level per line, as in tls: {cert: FILE}",
                   word);
    } else {
        errors_add(l->errs, key, "unknown setting %s%.40s; remove it", place->prefix, word);
    }
}

static void load_map(struct loader *l, const struct yaml_node *map, const struct load_place *place);

/* The array of a list, made and its elements filled. */
static void load_list(struct loader *l, const struct schema_list *list,
                      const struct yaml_node *node)
{
    char *config = (char *)l->config;
    char prefix[LOAD_NAME_MAX];
    char *items = NULL;
    uint32_t index = 0;

    if (node->kind != YAML_KIND_LIST) {
        errors_add(l->errs, node, "%s must be a list; begin each of its entries with \"- \"",
                   list->name);
        return;
    }
    if (node->count > list->max) {
        errors_add(l->errs, node, "%s has %u entries; %u is the most", list->name, node->count,
                   list->max);
        return;
    }
    items = arena_zalloc(&l->config->mem->arena, list->item_size * (node->count + 1));
    if (items == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    (void)snprintf(prefix, sizeof prefix, "%s[].", list->name);
    for (const struct yaml_node *n = node->first; n != NULL; n = n->next, index++) {
        struct load_place place = {prefix, items + list->item_size * index};

        load_defaults(l, &place);
        if (n->kind != YAML_KIND_MAP) {
            errors_add(l->errs, n, "an entry of %s must hold settings; write \"- name: value\"",
                       list->name);
            continue;
        }
        load_map(l, n, &place);
        load_required(l, n, &place);
    }
    memcpy(config + list->pointer_offset, &items, sizeof items);
    memcpy(config + list->count_offset, &index, sizeof index);
}

static void load_setting(struct loader *l, const struct schema_setting *s,
                         const struct yaml_node *node, const struct load_place *place)
{
    char name[LOAD_NAME_MAX];

    (void)snprintf(name, sizeof name, "%s%s", place->prefix, node->key->text);
    if (s->type == SCHEMA_T_SOURCES && node->kind != YAML_KIND_MAP && !load_is_empty(node)) {
        set_sources(l, node, name);
        return;
    }
    if (s->type == SCHEMA_T_WORDS && node->kind != YAML_KIND_MAP && !load_is_empty(node)) {
        set_words(l, s, place->base, node, name);
        return;
    }
    if (s->type == SCHEMA_T_FUNCTIONS && node->kind != YAML_KIND_MAP && !load_is_empty(node)) {
        set_value(l, s, place->base, node, name, "");
        return;
    }
    if (node->kind != YAML_KIND_SCALAR) {
        errors_add(l->errs, node, "%s takes one value, not a %s", name,
                   node->kind == YAML_KIND_LIST ? "list" : "mapping");
        return;
    }
    if (load_is_empty(node) || (node->len == 0 && s->type != SCHEMA_T_SECRET)) {
        errors_add(l->errs, node, "%s has no value; write one, or remove the line%s", name,
                   s->type == SCHEMA_T_SECRET ? " (\"\" is an empty password)" : "");
        return;
    }
    set_value(l, s, place->base, node, name, node->text);
}

static void load_section(struct loader *l, const struct yaml_node *node)
{
    char prefix[LOAD_NAME_MAX];
    struct load_place place = {prefix, l->config};

    if (load_is_empty(node)) {
        return; /* all of it commented out */
    }
    if (node->kind != YAML_KIND_MAP) {
        errors_add(l->errs, node, "%s holds settings; write name: value below it", node->key->text);
        return;
    }
    (void)snprintf(prefix, sizeof prefix, "%s.", node->key->text);
    load_map(l, node, &place);
}

static void load_map(struct loader *l, const struct yaml_node *map, const struct load_place *place)
{
    for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
        char path[LOAD_NAME_MAX];
        const struct schema_setting *s = NULL;
        const struct schema_list *list = NULL;

        /* only plain words are looked up: "servers[].name" as a key must not reach a setting
         * whose struct is not the one at hand */
        if (!load_is_word(n->key->text) || n->key->len > 60) {
            load_unknown(l, n->key, place);
            continue;
        }
        (void)snprintf(path, sizeof path, "%s%s", place->prefix, n->key->text);
        s = schema_find(path);
        list = schema_find_list(path);
        if (s != NULL) {
            load_setting(l, s, n, place);
        } else if (list != NULL) {
            load_list(l, list, n);
        } else if (place->prefix[0] == '\0' && schema_is_section(path)) {
            load_section(l, n);
        } else {
            load_unknown(l, n->key, place);
        }
    }
}

/* Without listeners: one, at the default address. */
static void load_default_listener(struct loader *l)
{
    struct config_listener *one = arena_zalloc(&l->config->mem->arena, sizeof *one);
    struct load_place place = {"listeners[].", one};
    const struct schema_setting *address = schema_find("listeners[].address");

    WR_ASSERT(address != NULL);
    if (one == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    load_defaults(l, &place);
    set_value(l, address, one, NULL, "listeners[].address", "127.0.0.1:3310");
    l->config->listeners = one;
    l->config->listener_count = 1;
}

void load_root(struct loader *l, const struct yaml_node *root)
{
    struct load_place place = {"", l->config};

    load_defaults(l, &place);
    for (size_t i = 0; i < schema_section_count; i++) {
        /* every default first, whether the file has the section or not */
        char prefix[LOAD_NAME_MAX];
        struct load_place section = {prefix, l->config};

        (void)snprintf(prefix, sizeof prefix, "%s.", schema_sections[i]);
        load_defaults(l, &section);
    }
    if (root != NULL) {
        load_map(l, root, &place);
    }
    if (yaml_get(root, "listeners") == NULL) {
        load_default_listener(l);
    }
    /* the account of the monitor is the one thing outside lists that has no default */
    load_required(l, yaml_get(root, "monitor"), &(struct load_place){"monitor.", l->config});
}
