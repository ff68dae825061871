/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls of functions that only the catalogue knows: their names, for the router. */
#include "weir/util/attr.h"

#include "query_priv.h"

/* Whether the server resolves a bare or quoted name before it looks for stored functions. */
static bool is_known_word(struct span name)
{
    char plain[KW_MAX_LEN + 1];
    size_t len = classify_name_decode(name, plain, sizeof(plain));
    return len <= KW_MAX_LEN && keyword_find((const uint8_t *)plain, len) != KW_NONE;
}

/* The schema before the dot at parser_back(ps, 2). Not one of three names (MariaDB: a package's
 * function), and none of the schemas of built-in functions. */
static bool call_schema(const struct parser *ps, struct span *ret_schema)
{
    static const char *const built_in[] = {"mariadb_schema", "oracle_schema", "maxdb_schema"};
    const struct tok *schema = parser_back(ps, 3);
    if (!tok_is_name(schema) || parser_back(ps, 4)->kind == TOK_DOT) {
        return false;
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(built_in); i++) {
        char plain[24];
        size_t len = classify_name_decode(tok_span(schema), plain, sizeof(plain));
        if (len < sizeof(plain) && span_eq_text_nocase(span_of(plain), built_in[i])) {
            return false;
        }
    }
    *ret_schema = tok_span(schema);
    return true;
}

static bool call_add(struct facts *f, struct span schema, struct span name)
{
    for (unsigned i = 0; i < f->call_count; i++) {
        if (span_eq(f->calls[i].name, name) && span_eq(f->calls[i].schema, schema)) {
            return true;
        }
    }
    if (f->call_count == FACTS_MAX_CALLS) {
        return false;
    }
    f->calls[f->call_count++] = (struct facts_call){.schema = schema, .name = name};
    return true;
}

/* A name that is, or may be, a stored or loadable function's: whether the statement is a read is up
 * to the catalogue, when it is one otherwise. */
WR_COLD void call_stored(struct parser *ps, const struct tok *word)
{
    bool is_qualified = (word->flags & TOKF_DOT) != 0 || parser_back(ps, 2)->kind == TOK_DOT;
    struct span name = tok_span(word);
    struct span schema = {NULL, 0};
    bool is_told = is_qualified ? call_schema(ps, &schema) : !is_known_word(name);
    if (!is_told || ps->verb != VERB_SELECT || !call_add(ps->f, schema, name)) {
        parser_fail(ps, is_qualified ? WHY_FUNCTION_QUALIFIED : WHY_FUNCTION_UNKNOWN);
        return;
    }
    if (ps->f->why == WHY_NONE) {
        ps->f->why = is_qualified ? WHY_FUNCTION_QUALIFIED : WHY_FUNCTION_UNKNOWN;
        ps->f->culprit = name;
    }
    frame_push(ps, FR_EXPR, FRF_START);
}
