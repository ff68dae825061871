/* SPDX-License-Identifier: Apache-2.0 */
/* from.c - the list of tables: names, joins, aliases, hints. Anything unexpected is no read. */
#include <string.h>

#include "query_priv.h"

/* --- tables ------------------------------------------------------------------------------- */

static bool name_eq(struct span a, struct span b)
{
    char x[256];
    char y[256];
    if (span_eq(a, b)) {
        return true;
    }
    size_t n = classify_name_decode(a, x, sizeof(x));
    size_t m = classify_name_decode(b, y, sizeof(y));
    return n == m && n < sizeof(x) && memcmp(x, y, n) == 0;
}

/* Exact case: where names differ in case the server may mean a table, and a name too many only
 * sends a statement to the primary. */
static bool is_cte(const struct parser *ps, struct span name)
{
    for (unsigned i = 0; i < ps->cte_count; i++) {
        if (ps->ctes[i].is_visible && name_eq(ps->ctes[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool is_system_name(struct span raw)
{
    char plain[24];
    size_t n = classify_name_decode(raw, plain, sizeof(plain));
    return n < sizeof(plain) && classify_is_system_schema((struct span){(uint8_t *)plain, n});
}

void query_add_table(struct parser *ps, struct span schema, struct span name)
{
    struct facts *f = ps->f;
    if (schema.len != 0 ? is_system_name(schema) : classify_is_system_schema(ps->env->schema)) {
        f->bits |= FACT(SYSTEM_SCHEMA) | FACT(PER_SERVER);
        parser_fail(ps, WHY_SYSTEM_SCHEMA);
        return;
    }
    for (unsigned i = 0; i < f->table_count; i++) {
        if (span_eq(f->tables[i].name, name) && span_eq(f->tables[i].schema, schema)) {
            return;
        }
    }
    if (f->table_count == FACTS_MAX_TABLES) {
        f->bits |= FACT(OVERFLOW);
        parser_fail(ps, WHY_OVERFLOW);
        return;
    }
    f->tables[f->table_count++] = (struct facts_table){.schema = schema, .name = name};
}

void from_commit(struct parser *ps)
{
    if (ps->name.p == NULL) {
        return;
    }
    struct span name = ps->name;
    ps->name.p = NULL;
    if (ps->name_schema.len == 0 && ps->cte_count > 0 && is_cte(ps, name)) {
        return;
    }
    query_add_table(ps, ps->name_schema, name);
}

/* The list of tables may end here. */
bool from_is_complete(uint8_t from)
{
    switch ((enum from_state)from) {
    case F_NAME:
    case F_PARTED:
    case F_ALIAS:
    case F_DONE:
    case F_DERIVED:
    case F_ON:
        return true;
    case F_WANT:
    case F_DOT:
    case F_PART:
    case F_AS:
    case F_HINT:
    case F_USING:
    case F_JOIN:
    case F_LATERAL:
    case F_JSON:
        return false;
    }
    return false;
}

static bool from_takes_alias(uint8_t from)
{
    return from == F_NAME || from == F_PARTED || from == F_DERIVED;
}

/* --- the list of tables --------------------------------------------------------------------- */

static void from_want(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    if (tok->kind == TOK_WORD) {
        switch (tok->kw) {
        case KW_LATERAL:
            fr->from = F_LATERAL;
            return;
        case KW_JSON_TABLE:
            fr->from = F_JSON;
            return;
        case KW_DUAL:
            fr->from = F_DONE;
            return;
        case KW_SELECT:
        case KW_WITH:
        case KW_VALUES:
        case KW_TABLE:
            if (fr->kind == FR_TABLES && (fr->flags & FRF_START) != 0) {
                (void)query_begin(ps, fr, tok);
                return;
            }
            parser_fail(ps, WHY_SHAPE);
            return;
        default:
            break;
        }
    }
    ps->name_schema = (struct span){NULL, 0};
    ps->name = tok_span(tok);
    fr->from = F_NAME;
}

/* A word that joins, hints or ends; anything else is an alias. */
static void from_word(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch (tok->kw) {
    case KW_AS:
        if (!from_takes_alias(fr->from)) {
            parser_fail(ps, WHY_SHAPE);
        }
        fr->from = F_AS;
        return;
    case KW_INNER:
    case KW_CROSS:
    case KW_LEFT:
    case KW_RIGHT:
    case KW_NATURAL:
        fr->from = F_JOIN;
        return;
    case KW_JOIN:
    case KW_STRAIGHT_JOIN:
        fr->from = F_WANT;
        return;
    case KW_ON:
        fr->from = F_ON;
        return;
    case KW_USING:
        fr->from = F_USING;
        return;
    case KW_PARTITION:
        fr->from = F_PART;
        return;
    case KW_USE:
    case KW_FORCE:
    case KW_IGNORE:
        fr->from = F_HINT;
        return;
    default:
        break;
    }
    if (!from_takes_alias(fr->from) || (keyword_flags[tok->kw] & KWF_RESERVED) != 0) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    fr->from = F_ALIAS;
}

/* In ON ...: the words that end the expression. */
static void from_on(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch (tok->kw) {
    case KW_LEFT:
    case KW_RIGHT: {
        struct tok next = parser_peek(ps);
        fr->from = next.kind == TOK_LPAREN ? F_ON : F_JOIN;
        return;
    }
    case KW_INNER:
    case KW_CROSS:
    case KW_NATURAL:
        fr->from = F_JOIN;
        return;
    case KW_JOIN:
    case KW_STRAIGHT_JOIN:
        fr->from = F_WANT;
        return;
    case KW_ON: /* a JOIN b JOIN c ON .. ON .. */
        return;
    case KW_USING:
        fr->from = F_USING;
        return;
    case KW_FROM:
        /* FOR SYSTEM_TIME FROM a TO b */
        if ((fr->flags & FRF_FROM) != 0) {
            fr->flags = (uint8_t)(fr->flags & ~FRF_FROM);
            return;
        }
        parser_fail(ps, WHY_SHAPE);
        return;
    case KW_SELECT:
        parser_fail(ps, WHY_SHAPE);
        return;
    default:
        return;
    }
}

static void from_name(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch ((enum from_state)fr->from) {
    case F_WANT:
        from_want(ps, fr, tok);
        return;
    case F_DOT:
        ps->name_schema = ps->name;
        ps->name = tok_span(tok);
        fr->from = F_NAME;
        return;
    case F_AS:
        fr->from = F_ALIAS;
        return;
    case F_JOIN:
        if (tok_is(tok, KW_JOIN) || tok_is(tok, KW_STRAIGHT_JOIN)) {
            fr->from = F_WANT;
        } else if (!tok_is(tok, KW_OUTER) && !tok_is(tok, KW_LEFT) && !tok_is(tok, KW_RIGHT) &&
                   !tok_is(tok, KW_INNER)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case F_HINT:
        if (!tok_is(tok, KW_INDEX) && !tok_is(tok, KW_KEY) && !tok_is(tok, KW_JOIN) &&
            !tok_is(tok, KW_ORDER) && !tok_is(tok, KW_GROUP) && !tok_is(tok, KW_BY)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case F_ON:
        if (tok->kind == TOK_WORD) {
            from_on(ps, fr, tok);
        }
        return;
    case F_NAME:
    case F_PARTED:
    case F_ALIAS:
    case F_DONE:
    case F_DERIVED:
        if (tok->kind == TOK_WORD) {
            from_word(ps, fr, tok);
        } else if (from_takes_alias(fr->from)) {
            fr->from = F_ALIAS;
        } else {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case F_PART:
    case F_USING:
    case F_LATERAL:
    case F_JSON:
        parser_fail(ps, WHY_SHAPE);
        return;
    }
}

void from_token(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    if (tok->kind == TOK_DOT) {
        if (fr->from == F_NAME && ps->name_schema.p == NULL) {
            fr->from = F_DOT;
        } else if (fr->from != F_ON) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    }
    if (fr->from == F_NAME && !tok_is(tok, KW_FOR)) {
        from_commit(ps);
    }
    if (tok_is_name(tok)) {
        if ((fr->flags & FRF_OJ) != 0) {
            fr->flags = (uint8_t)(fr->flags & ~FRF_OJ);
            if (tok->len != 2 || (tok->p[0] | 32) != 'o' || (tok->p[1] | 32) != 'j') {
                parser_fail(ps, WHY_SHAPE);
            }
            return;
        }
        if (tok->kind == TOK_WORD && (keyword_flags[tok->kw] & KWF_CLAUSE) != 0 &&
            fr->from != F_WANT && fr->from != F_DOT && fr->from != F_HINT) {
            if (query_word_common(ps, fr, tok)) {
                return;
            }
            if (fr->kind == FR_QUERY && from_is_complete(fr->from) &&
                query_word_tail(ps, fr, tok)) {
                return;
            }
        }
        if (fr->from == F_HINT && tok_is(tok, KW_FOR)) {
            return;
        }
        from_name(ps, fr, tok);
        fr->flags = (uint8_t)(fr->flags & ~FRF_START);
        return;
    }
    if (tok->kind == TOK_COMMA) {
        if (!from_is_complete(fr->from)) {
            parser_fail(ps, WHY_SHAPE);
        }
        fr->from = F_WANT;
    } else if (fr->from != F_ON) {
        parser_fail(ps, WHY_SHAPE);
    }
}

void from_paren(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    if (fr->from == F_NAME) {
        from_commit(ps);
    }
    switch ((enum from_state)fr->from) {
    case F_WANT:
        fr->flags = (uint8_t)(fr->flags & ~FRF_START);
        frame_push(ps, FR_TABLES, FRF_START);
        return;
    case F_LATERAL:
        frame_push(ps, FR_QUERY, FRF_START);
        return;
    case F_JSON:
        frame_push(ps, FR_EXPR, 0);
        frame_top(ps)->fn = KW_JSON_TABLE;
        return;
    case F_PART:
        fr->from = F_PARTED;
        frame_push(ps, FR_NAMES, 0);
        return;
    case F_HINT:
    case F_USING:
        fr->from = F_DONE;
        frame_push(ps, FR_NAMES, 0);
        return;
    case F_ALIAS:
        fr->from = F_DONE;
        frame_push(ps, FR_NAMES, 0);
        return;
    case F_ON:
        query_expr_paren(ps, tok);
        return;
    case F_NAME:
    case F_DOT:
    case F_PARTED:
    case F_AS:
    case F_DONE:
    case F_DERIVED:
    case F_JOIN:
        parser_fail(ps, WHY_SHAPE);
        return;
    }
}
