/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events made into a tree. Anchors, aliases, tags and further documents are refused
 * here: a configuration needs none of them, and an alias can make a small file mean a huge one.
 */
#include <string.h>

#include <yaml.h>

#include "weir/util/err.h"

#include "errors_priv.h"
#include "yaml_priv.h"

#define YAML_ARENA_MAX (64u * 1024 * 1024)

struct yaml_reader {
    struct yaml_tree *tree;
    struct config_errors *errs;
    struct yaml_node *open[YAML_DEPTH_MAX + 1]; /* the mappings and lists we are in */
    uint32_t depth;
    struct yaml_node *pending_key; /* of open[depth - 1]; its value comes next */
    bool is_second_document;
};

static struct yaml_node *yaml_node_add(struct yaml_tree *tree, enum yaml_kind kind,
                                       const yaml_mark_t *mark)
{
    struct yaml_node *node = arena_zalloc(&tree->arena, sizeof *node);

    if (node == NULL) {
        return NULL;
    }
    node->kind = kind;
    node->line = (uint32_t)mark->line + 1;
    node->column = (uint32_t)mark->column + 1;
    node->all_next = tree->all;
    tree->all = node;
    tree->count++;
    return node;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_KIND_MAP) {
        return NULL;
    }
    for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
        if (strcmp(n->key->text, key) == 0) {
            return n;
        }
    }
    return NULL;
}

const struct yaml_node *yaml_at(const struct yaml_node *list, uint32_t index)
{
    const struct yaml_node *n = NULL;

    if (list == NULL || list->kind != YAML_KIND_LIST) {
        return NULL;
    }
    for (n = list->first; n != NULL && index > 0; n = n->next) {
        index--;
    }
    return n;
}

/* Hang node below the innermost open collection, or make it the root. */
static int yaml_attach(struct yaml_reader *r, struct yaml_node *node)
{
    struct yaml_node *parent = r->depth > 0 ? r->open[r->depth - 1] : NULL;

    if (parent == NULL) {
        r->tree->root = node;
        return 0;
    }
    if (parent->kind == YAML_KIND_MAP && r->pending_key == NULL) {
        const struct yaml_node *twin = NULL;

        if (node->kind != YAML_KIND_SCALAR) {
            errors_add(r->errs, node, "a key must be a word; write name: value");
            return -WR_E_CONFIG;
        }
        if (parent->count >= YAML_KEYS_MAX) {
            errors_add(r->errs, node, "more than %d keys in one mapping", YAML_KEYS_MAX);
            return -WR_E_CONFIG;
        }
        twin = yaml_get(parent, node->text);
        if (twin != NULL) {
            errors_add(r->errs, node, "%.40s is given twice, first in line %u; keep one of them",
                       node->text, twin->key->line);
        }
        node->is_twin = twin != NULL;
        r->pending_key = node;
        return 0;
    }
    node->key = r->pending_key;
    r->pending_key = NULL;
    if (node->key != NULL && node->key->is_twin) {
        return 0; /* read on, but left out: every look-up must find the same one */
    }
    if (parent->last != NULL) {
        parent->last->next = node;
    } else {
        parent->first = node;
    }
    parent->last = node;
    parent->count++;
    return 0;
}

static int yaml_take_scalar(struct yaml_reader *r, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct yaml_node *node = yaml_node_add(r->tree, YAML_KIND_SCALAR, &event->start_mark);
    struct span copy;

    if (node == NULL) {
        return -WR_E_LIMIT;
    }
    copy = arena_dup(&r->tree->arena, (struct span){(const uint8_t *)value, len});
    if (copy.p == NULL) {
        return -WR_E_LIMIT;
    }
    node->text = (char *)(uintptr_t)copy.p; /* the arena's bytes, ours to wipe */
    node->len = len;
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (memchr(value, '\0', len) != NULL) {
        errors_add(r->errs, node, "a NUL character in a value; take it out");
        return -WR_E_CONFIG;
    }
    return yaml_attach(r, node);
}

static int yaml_take_open(struct yaml_reader *r, enum yaml_kind kind, const yaml_mark_t *mark)
{
    struct yaml_node *node = yaml_node_add(r->tree, kind, mark);
    int rc = 0;

    if (node == NULL) {
        return -WR_E_LIMIT;
    }
    if (r->depth >= YAML_DEPTH_MAX) {
        errors_add(r->errs, node, "nested deeper than %d levels", YAML_DEPTH_MAX);
        return -WR_E_CONFIG;
    }
    rc = yaml_attach(r, node);
    if (rc < 0) {
        return rc;
    }
    r->open[r->depth++] = node;
    return 0;
}

static bool yaml_has_tag(const yaml_event_t *event)
{
    switch ((int)event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default: /* libyaml's list, not ours: no other event carries one */
        return false;
    }
}

static bool yaml_has_anchor(const yaml_event_t *event)
{
    switch ((int)event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL;
    default: /* as above */
        return false;
    }
}

/* 1 to go on, 0 at the end, negative on a mistake. */
static int yaml_take(struct yaml_reader *r, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    int rc = 0;

    if (yaml_has_anchor(event) || yaml_has_tag(event)) {
        errors_add_at(r->errs, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
                      "anchors (&), aliases (*) and tags (!) are not taken; write the value out, "
                      "in quotes if it begins with such a sign");
        return -WR_E_CONFIG;
    }
    if (r->tree->count >= YAML_NODES_MAX) {
        errors_add_at(r->errs, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
                      "more than %d values in the file", YAML_NODES_MAX);
        return -WR_E_CONFIG;
    }
    switch ((int)event->type) {
    case YAML_STREAM_END_EVENT:
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (r->is_second_document) {
            errors_add_at(r->errs, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
                          "a second document begins here; keep everything in one");
            return -WR_E_CONFIG;
        }
        r->is_second_document = true;
        return 1;
    case YAML_SCALAR_EVENT:
        rc = yaml_take_scalar(r, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        rc = yaml_take_open(r, YAML_KIND_LIST, mark);
        break;
    case YAML_MAPPING_START_EVENT:
        rc = yaml_take_open(r, YAML_KIND_MAP, mark);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        break;
    default: /* stream start, document end: nothing to keep */
        break;
    }
    return rc < 0 ? rc : 1;
}

/* Column of a tab in the indentation of a line (from 1), or 0. */
static uint32_t yaml_tab_column(struct span text, uint32_t line)
{
    size_t at = 0;
    uint32_t column = 1;

    for (uint32_t n = 1; n < line && at < text.len; at++) {
        n += text.p[at] == '\n' ? 1 : 0;
    }
    for (; at < text.len && (text.p[at] == ' ' || text.p[at] == '\t'); at++, column++) {
        if (text.p[at] == '\t') {
            return column;
        }
    }
    return 0;
}

/* libyaml's own words, with the position it means; a tab gets better ones. */
static void yaml_report(const yaml_parser_t *parser, struct span text, struct config_errors *errs)
{
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    uint32_t column = (uint32_t)parser->problem_mark.column + 1;
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";

    if (parser->error == YAML_MEMORY_ERROR) {
        errors_add(errs, NULL, "not enough memory to read the file");
        return;
    }
    if (parser->error == YAML_READER_ERROR) {
        /* no mark here, only an offset in bytes */
        line = 1;
        column = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
            bool is_end = text.p[i] == '\n';

            line += is_end ? 1 : 0;
            column = is_end ? 1 : column + 1;
        }
        errors_add_at(errs, line, column, "%s; the file must be UTF-8 text", problem);
        return;
    }
    for (uint32_t n = line; n <= line + 1; n++) {
        uint32_t tab = yaml_tab_column(text, n);

        if (tab != 0) {
            errors_add_at(errs, n, tab, "a tab in the indentation; use spaces");
            return;
        }
    }
    if (parser->context != NULL) {
        errors_add_at(errs, line, column, "%s %s; check indentation, quotes and brackets here",
                      problem, parser->context);
    } else {
        errors_add_at(errs, line, column, "%s; check indentation, quotes and brackets here",
                      problem);
    }
}

/* What libyaml leaves behind may hold a password; it does not clean up after itself. */
static void yaml_wipe_parser(yaml_parser_t *parser)
{
    if (parser->raw_buffer.start != NULL) {
        explicit_bzero(parser->raw_buffer.start,
                       (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    }
    if (parser->buffer.start != NULL) {
        explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    }
    yaml_parser_delete(parser);
}

int yaml_tree_read(struct yaml_tree *tree, struct span text, struct config_errors *errs)
{
    struct yaml_reader r = {.tree = tree, .errs = errs};
    yaml_parser_t parser;
    int rc = 1;

    memset(tree, 0, sizeof *tree);
    arena_init(&tree->arena, YAML_ARENA_MAX);
    if (yaml_parser_initialize(&parser) == 0) {
        errors_add(errs, NULL, "not enough memory to read the file");
        return -WR_E_CONFIG;
    }
    if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
        text.p += 3; /* a byte order mark; libyaml takes it off only where it guesses */
        text.len -= 3;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.p, text.len);
    while (rc > 0) {
        yaml_event_t event;

        if (yaml_parser_parse(&parser, &event) == 0) {
            yaml_report(&parser, text, errs);
            rc = -WR_E_CONFIG;
            break;
        }
        rc = yaml_take(&r, &event);
        if (event.type == YAML_SCALAR_EVENT) {
            explicit_bzero(event.data.scalar.value, event.data.scalar.length);
        }
        yaml_event_delete(&event);
    }
    yaml_wipe_parser(&parser);
    if (rc == -WR_E_LIMIT) {
        errors_add(errs, NULL, "not enough memory to read the file");
    }
    if (rc == 0 && tree->root != NULL && tree->root->kind == YAML_KIND_SCALAR &&
        tree->root->is_plain && tree->root->len == 0) {
        tree->root = NULL; /* "---" or comments and nothing else */
    }
    if (rc == 0 && tree->root != NULL && tree->root->kind != YAML_KIND_MAP) {
        errors_add(errs, tree->root, "expected settings here; write name: value");
        rc = -WR_E_CONFIG;
    }
    return rc < 0 ? -WR_E_CONFIG : 0;
}

void yaml_tree_fini(struct yaml_tree *tree)
{
    for (struct yaml_node *n = tree->all; n != NULL; n = n->all_next) {
        if (n->text != NULL) {
            explicit_bzero(n->text, n->len);
        }
    }
    arena_fini(&tree->arena);
    memset(tree, 0, sizeof *tree);
}
