/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of functions: functions.replica and functions.primary. */
#include "errors_priv.h"
#include "load_priv.h"
#include "value_priv.h"

/* Schemas may have a case, functions have none: names that differ in the case of the function alone
 * are the same. */
static bool is_listed(const struct config_function_list *names, struct span schema,
                      struct span name)
{
    for (uint32_t i = 0; i < names->count; i++) {
        const struct config_function *f = &names->list[i];

        if (span_eq(span_of(f->schema), schema) && span_eq_nocase(span_of(f->name), name)) {
            return true;
        }
    }
    return false;
}

static void functions_add(struct loader *l, const struct yaml_node *node, const char *name,
                          struct config_function_list *names)
{
    struct span schema = {NULL, 0};
    struct span function = {NULL, 0};
    const char *problem = NULL;

    if (node->kind != YAML_KIND_SCALAR) {
        errors_add(l->errs, node, "%s: expected the name of a function; write SCHEMA.NAME", name);
        return;
    }
    problem = value_parse_function((struct span){(const uint8_t *)node->text, node->len}, &schema,
                                   &function);
    if (problem != NULL) {
        errors_add(l->errs, node, "%s has \"%.64s\"; %s", name, node->text, problem);
        return;
    }
    if (is_listed(names, schema, function)) {
        errors_add(l->errs, node, "%s names %.64s twice; keep one", name, node->text);
        return;
    }
    names->list[names->count++] = (struct config_function){
        .schema = schema.len == 0 ? NULL : load_text(l, schema),
        .name = load_text(l, function),
    };
}

void functions_set(struct loader *l, const struct yaml_node *node, const char *name,
                   struct config_function_list *ret_list)
{
    struct config_function_list names = {NULL, 0};
    uint32_t count = node->kind == YAML_KIND_LIST ? node->count : 1;

    if (count > CONFIG_FUNCTIONS_MAX) {
        errors_add(l->errs, node, "%s has %u entries; %d is the most", name, count,
                   CONFIG_FUNCTIONS_MAX);
        return;
    }
    names.list = arena_zalloc(&l->config->mem->arena, (count + 1) * sizeof(*names.list));
    if (names.list == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    if (node->kind == YAML_KIND_SCALAR) {
        functions_add(l, node, name, &names);
    }
    for (const struct yaml_node *n = node->kind == YAML_KIND_LIST ? node->first : NULL; n != NULL;
         n = n->next) {
        functions_add(l, n, name, &names);
    }
    *ret_list = names;
}
