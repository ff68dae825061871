/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - EXPLAIN, DESCRIBE, MariaDB's ANALYZE, and weir's own EXPLAIN ROUTE. */
#include "parse_priv.h"

static bool is_query_start(const struct tok *tok)
{
    return tok->kind == TOK_LPAREN || tok_is(tok, KW_SELECT) || tok_is(tok, KW_WITH) ||
           tok_is(tok, KW_VALUES) || tok_is(tok, KW_TABLE);
}

static bool is_dml(const struct tok *tok)
{
    return tok_is(tok, KW_INSERT) || tok_is(tok, KW_REPLACE) || tok_is(tok, KW_UPDATE) ||
           tok_is(tok, KW_DELETE);
}

/* A word that a statement to be explained begins with; "EXPLAIN route" alone describes a table
 * of that name. */
static bool is_statement_word(const struct tok *tok)
{
    switch (tok->kind == TOK_WORD ? tok->kw : KW_NONE) {
    case KW_SET:
    case KW_SHOW:
    case KW_USE:
    case KW_CALL:
    case KW_DO:
    case KW_LOAD:
    case KW_EXPLAIN:
    case KW_DESCRIBE:
    case KW_DESC:
    case KW_ANALYZE:
    case KW_HELP:
    case KW_BEGIN:
    case KW_START:
    case KW_COMMIT:
    case KW_ROLLBACK:
    case KW_SAVEPOINT:
    case KW_RELEASE:
    case KW_XA:
    case KW_LOCK:
    case KW_UNLOCK:
    case KW_PREPARE:
    case KW_EXECUTE:
    case KW_DEALLOCATE:
    case KW_HANDLER:
    case KW_CREATE:
    case KW_ALTER:
    case KW_DROP:
    case KW_RENAME:
    case KW_TRUNCATE:
    case KW_GRANT:
    case KW_REVOKE:
    case KW_CHECK:
    case KW_CHECKSUM:
    case KW_OPTIMIZE:
    case KW_REPAIR:
    case KW_FLUSH:
    case KW_KILL:
    case KW_GET:
    case KW_SIGNAL:
    case KW_RESET:
    case KW_SHUTDOWN:
        return true;
    default:
        return is_query_start(tok) || is_dml(tok);
    }
}

/* Whether what stands behind EXPLAIN ROUTE is a statement. A server takes no more than one name or
 * pattern there (a column of a table called route): anything longer would only be its 1064. */
static bool is_statement_next(const struct parser *ps)
{
    struct lexer ahead = ps->lex;
    struct tok first;
    struct tok second;

    ahead.facts = NULL;
    lex_next(&ahead, &first);
    if (tok_ends(&first) || first.kind == TOK_DOT) {
        return false;
    }
    if (is_statement_word(&first)) {
        return true;
    }
    lex_next(&ahead, &second);
    return !tok_ends(&second);
}

static void explain_route(struct parser *ps)
{
    /* from behind the word and not from the next one: a hint may stand between them */
    const struct tok *route = parser_tok(ps);
    const uint8_t *inner = route->p + route->len;
    while (inner < ps->lex.end && (*inner == ' ' || (*inner >= '\t' && *inner <= '\r'))) {
        inner++;
    }
    parser_set_verb(ps, VERB_EXPLAIN_ROUTE);
    parser_fail(ps, WHY_STATEMENT);
    ps->f->inner = (struct span){inner, (size_t)(ps->lex.end - inner)};
    ps->is_quiet = true;
    (void)parser_skip_body(ps);
}

/* FORMAT = x, EXTENDED, PARTITIONS, ANALYZE: words in front of the statement. */
static bool explain_modifier(struct parser *ps, bool *is_run)
{
    struct tok next = parser_peek(ps);
    if (tok_is(parser_tok(ps), KW_FORMAT) && next.kind == TOK_EQ) {
        parser_next(ps);
        parser_next(ps);
        parser_next(ps);
        return true;
    }
    if (tok_ends(&next) || next.kind == TOK_DOT) {
        return false; /* the name of a table */
    }
    if (tok_is(parser_tok(ps), KW_ANALYZE)) {
        *is_run = true;
        parser_next(ps);
        return true;
    }
    if ((tok_is(parser_tok(ps), KW_EXTENDED) || tok_is(parser_tok(ps), KW_PARTITIONS)) &&
        (is_query_start(&next) || is_dml(&next) || tok_is(&next, KW_FORMAT))) {
        parser_next(ps);
        return true;
    }
    return false;
}

/* name, schema.name, and a column or a pattern, which do not matter. */
static void describe_table(struct parser *ps)
{
    struct span schema = {NULL, 0};
    struct span name = tok_span(parser_tok(ps));
    parser_next(ps);
    if (parser_tok(ps)->kind == TOK_DOT) {
        parser_next(ps);
        schema = name;
        name = tok_span(parser_tok(ps));
        if (!tok_is_name(parser_tok(ps))) {
            parser_fail(ps, WHY_SHAPE);
            return;
        }
        parser_next(ps);
    }
    query_add_table(ps, schema, name);
    if (!tok_ends(parser_tok(ps))) {
        if (!tok_is_name(parser_tok(ps)) && parser_tok(ps)->kind != TOK_STRING) {
            parser_fail(ps, WHY_SHAPE);
            return;
        }
        parser_next(ps);
        if (!tok_ends(parser_tok(ps))) {
            parser_fail(ps, WHY_SHAPE);
        }
    }
}

void explain_parse(struct parser *ps, bool is_explain_word, bool is_run)
{
    if (is_explain_word && tok_is(parser_tok(ps), KW_ROUTE) && is_statement_next(ps)) {
        explain_route(ps);
        return;
    }
    while (explain_modifier(ps, &is_run)) {
    }
    const struct tok *tok = parser_tok(ps);
    if (is_query_start(tok)) {
        query_parse(ps);
    } else if (is_dml(tok)) {
        parser_fail(ps, WHY_WRITE);
        ps->f->bits |= is_run ? FACT(WRITE) | FACT(DML) : 0;
    } else if (tok_is(tok, KW_FOR)) {
        ps->f->bits |= FACT(PER_SERVER);
        parser_fail(ps, WHY_PER_SERVER);
    } else if (tok_is_name(tok) && !is_run && (keyword_flags[tok->kw] & KWF_RESERVED) == 0) {
        describe_table(ps);
    } else {
        parser_fail(ps, WHY_SHAPE);
    }
}
