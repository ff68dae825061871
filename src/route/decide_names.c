/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a statement names: only what the catalogue says is a base table, a harmless view or a harmless
 * function may be read on a replica.
 */
#include "weir/classify/classify.h"
#include "weir/util/attr.h"

#include "decide_priv.h"
#include "deciding_priv.h"

/* The plain name without a copy where there are no quotes, which is nearly always. */
bool route_name_plain(struct span written, char *dst, struct span *ret_plain)
{
    size_t len = 0;

    if (written.len == 0) {
        return false;
    }
    if (written.p[0] != '`' && written.p[0] != '"' && written.p[0] != '[') {
        *ret_plain = written;
        return true;
    }
    len = classify_name_decode(written, dst, ROUTE_NAME_MAX);
    if (len == 0 || len >= ROUTE_NAME_MAX) {
        return false;
    }
    *ret_plain = (struct span){(const uint8_t *)dst, len};
    return true;
}

static bool span_is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The function as the catalogue knows it. */
enum catalogue_kind route_call_kind(const struct deciding *d, uint8_t at)
{
    char bytes[2][ROUTE_NAME_MAX];
    struct span schema = d->sess->schema;
    struct span name = {NULL, 0};
    const struct facts_call *call = &d->facts->calls[at];

    if (!route_name_plain(call->name, bytes[0], &name) ||
        (call->schema.len > 0 && !route_name_plain(call->schema, bytes[1], &schema)) ||
        (!d->sess->is_utf8 && (!span_is_ascii(name) || !span_is_ascii(schema)))) {
        return CATALOGUE_UNKNOWN;
    }
    return catalogue_function(d->view->catalogue, d->view->ddl_seen, schema, name,
                              call->schema.len == 0);
}

/* Whether all functions of a statement that is a read otherwise only read. */
WR_COLD bool route_calls_are_harmless(struct deciding *d)
{
    for (uint8_t i = 0; i < d->facts->call_count; i++) {
        enum catalogue_kind kind = route_call_kind(d, i);

        if (kind != CATALOGUE_FUNCTION_HARMLESS && kind != CATALOGUE_FUNCTION_LISTED) {
            struct route_step *step = route_step_add(d->ret, ROUTE_FUNCTION);

            step->detail = (uint8_t)kind;
            step->table = i;
            return false;
        }
    }
    return d->facts->call_count > 0;
}

static bool table_is_harmless(struct deciding *d, uint8_t at)
{
    const struct facts_table *table = &d->facts->tables[at];
    char schema_bytes[ROUTE_NAME_MAX];
    char name_bytes[ROUTE_NAME_MAX];
    struct span schema = d->sess->schema;
    struct span name = {NULL, 0};
    enum route_reason reason = ROUTE_TABLE;
    enum catalogue_kind kind = CATALOGUE_UNKNOWN;
    struct route_step *step = NULL;

    if (!route_name_plain(table->name, name_bytes, &name) ||
        (table->schema.len > 0 && !route_name_plain(table->schema, schema_bytes, &schema))) {
        reason = ROUTE_TABLE_NAME;
    } else if (schema.len == 0) {
        reason = ROUTE_TABLE_NO_SCHEMA;
    } else if (!d->sess->is_utf8 && (!span_is_ascii(name) || !span_is_ascii(schema))) {
        /* The catalogue holds UTF-8; these bytes spell another name. */
        reason = ROUTE_TABLE_NAME;
    } else {
        kind = catalogue_table(d->view->catalogue, d->view->ddl_seen, schema, name);
        if (kind == CATALOGUE_BASE_TABLE || kind == CATALOGUE_VIEW_HARMLESS) {
            return true;
        }
    }
    step = route_step_add(d->ret, reason);
    step->detail = (uint8_t)kind;
    step->table = at;
    return false;
}

bool route_tables_are_harmless(struct deciding *d)
{
    for (uint8_t i = 0; i < d->facts->table_count; i++) {
        if (!table_is_harmless(d, i)) {
            return false;
        }
    }
    if (d->facts->table_count > 0) {
        route_step_add(d->ret, ROUTE_TABLES_KNOWN);
    }
    return true;
}
