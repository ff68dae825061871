/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml - a file's text as a tree of nodes with positions.
 *
 * WHY       Each mistake must be told with its line and column, several at once.
 * OWNS      struct yaml_tree owns all its nodes; yaml_tree_fini() wipes their text.
 * THREADS   one
 * REENTRY   none
 * UNITS     line, column: from 1; columns count characters.
 * ERRORS    0 or -WR_E_CONFIG with the mistake in errs.
 * BOUNDS    YAML_DEPTH_MAX, YAML_NODES_MAX, YAML_KEYS_MAX keys of one mapping.
 */
#ifndef WEIR_CONFIG_YAML_PRIV_H
#define WEIR_CONFIG_YAML_PRIV_H

#include "weir/config/config.h"
#include "weir/util/arena.h"
#include "weir/util/str.h"

#define YAML_DEPTH_MAX 8
#define YAML_NODES_MAX 100000
#define YAML_KEYS_MAX  64

enum yaml_kind {
    YAML_KIND_SCALAR,
    YAML_KIND_MAP,
    YAML_KIND_LIST
};

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain; /* a scalar without quotes */
    bool is_twin;  /* a key that its mapping had before */
    uint32_t line;
    uint32_t column;
    char *text; /* scalars: terminated, and free of NUL bytes */
    size_t len;
    struct yaml_node *key; /* of a value in a mapping */
    struct yaml_node *first;
    struct yaml_node *last;
    struct yaml_node *next;
    struct yaml_node *all_next; /* every node of the tree, for wiping */
    uint32_t count;             /* children */
};

struct yaml_tree {
    struct arena arena;
    struct yaml_node *root; /* a mapping once read; NULL when the file holds nothing */
    struct yaml_node *all;
    uint32_t count;
};

/* yaml_tree_fini() is due in any case. */
WR_NODISCARD int yaml_tree_read(struct yaml_tree *tree, struct span text,
                                struct config_errors *errs);
void yaml_tree_fini(struct yaml_tree *tree);

/* The value of a key; NULL when absent, or when map is NULL or no mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* The index-th element; NULL when absent, or when list is NULL or no list. */
const struct yaml_node *yaml_at(const struct yaml_node *list, uint32_t index);

#endif
