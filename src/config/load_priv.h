/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - a tree of nodes made into a struct config.
 *
 * WHY       Reading, setting and checking share one state.
 * OWNS      struct config_mem owns strings, arrays and secrets of one config.
 * THREADS   one
 * REENTRY   none
 * UNITS     none
 * ERRORS    Mistakes go to errs and the work goes on, so that all of them are found.
 * BOUNDS    SECRET_TEXT_MAX bytes of one password, as servers have it.
 */
#ifndef WEIR_CONFIG_LOAD_PRIV_H
#define WEIR_CONFIG_LOAD_PRIV_H

#include "weir/config/config.h"
#include "weir/util/arena.h"
#include "weir/util/secret.h"
#include "weir/util/str.h"

#include "schema_priv.h"
#include "yaml_priv.h"

#define SECRET_TEXT_MAX 256

struct config_mem {
    struct arena arena;
    struct secret_store *secrets;
};

struct loader {
    struct config *config;
    struct config_errors *errs;
    const char *path;                /* of the file; relative names start at its directory */
    const struct yaml_node *literal; /* the first password written out, if any */
    bool is_out_of_memory;
};

/* config.c */
struct config *config_create(size_t secret_bytes);

/* load.c: everything but the reading of the file. */
void load_root(struct loader *l, const struct yaml_node *root);
/* A terminated copy that lives as long as the config; "" when there is no memory. */
const char *load_text(struct loader *l, struct span text);
/* Relative to the directory of the file. */
const char *load_path(struct loader *l, const char *text);

/* set.c: one value. node is NULL for a default; name is for messages ("servers[1].role"). */
void set_value(struct loader *l, const struct schema_setting *s, void *base,
               const struct yaml_node *node, const char *name, const char *text);
/* One word or a list of them. */
void set_words(struct loader *l, const struct schema_setting *s, void *base,
               const struct yaml_node *node, const char *name);
void set_sources(struct loader *l, const struct yaml_node *node, const char *name);

/* functions.c: a list of names of functions, or one of them. */
void functions_set(struct loader *l, const struct yaml_node *node, const char *name,
                   struct config_function_list *ret_list);

/* secret.c: into secret memory. */
void secret_take_text(struct loader *l, const struct yaml_node *node, const char *name,
                      struct span text, struct config_secret *ret_secret);
void secret_take_file(struct loader *l, const struct yaml_node *node, const char *name,
                      const char *text, struct config_secret *ret_secret);
void secret_take_env(struct loader *l, const struct yaml_node *node, const char *name,
                     const char *text, struct config_secret *ret_secret);

/* check.c: what no single value can tell. Computes what depends on other settings. */
void check_all(struct loader *l, const struct yaml_node *root);
/* check_rule.c: the words of rules that the schema cannot check, and what is derived from them. */
void check_rules(struct loader *l, const struct yaml_node *root);
/* files.c: certificates, keys and the rights on them. */
void check_files(struct loader *l, const struct yaml_node *root);

#endif
