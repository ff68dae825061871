/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which value a column is compared with, told from the text alone. An error to the safe side is "not
 * proven"; so whatever has a second query, OR beside the condition, or the column's name once more, is
 * not. A prepared text may be cut by other settings than today's: quotes that may be of names, and
 * backslashes, are not proven either.
 */
#include "weir/classify/equal.h"

#include <string.h>

#include "parse_priv.h"

#define NAME_BYTES 260

struct walk {
    struct lexer lex;
    struct tok tok;
    struct span column;
    unsigned depth;  /* of parentheses, behind tok */
    unsigned params; /* so far, tok with them */
    unsigned names;  /* how often the column has been named */
    bool is_odd;     /* not to be understood */
};

static bool is_column(const struct walk *w, const struct tok *tok)
{
    char plain[NAME_BYTES];
    size_t len = 0;

    if (!tok_is_name(tok)) {
        return false;
    }
    len = classify_name_decode(tok_span(tok), plain, sizeof(plain));
    return len < sizeof(plain) &&
           span_eq_nocase((struct span){(const uint8_t *)plain, len}, w->column);
}

static bool has_high(const struct tok *tok)
{
    uint8_t all = 0;

    for (uint32_t i = 0; i < tok->len; i++) {
        all |= tok->p[i];
    }
    return (all & 0x80U) != 0;
}

/* Another query, or words that are not looked into. */
static bool is_odd_word(const struct tok *tok)
{
    switch (tok->kind == TOK_WORD ? tok->kw : KW_NONE) {
    case KW_SELECT:
    case KW_UNION:
    case KW_EXCEPT:
    case KW_INTERSECT:
    case KW_WITH:
        return true;
    default:
        return false;
    }
}

static void step(struct walk *w)
{
    struct tok *tok = &w->tok;

    lex_next(&w->lex, tok);
    if ((tok->flags & TOKF_DOT) != 0) {
        tok->kw = KW_NONE; /* t.order */
    }
    w->is_odd = w->is_odd || w->lex.flags != 0 || is_odd_word(tok);
    if (tok_is_name(tok)) {
        w->is_odd = w->is_odd || has_high(tok) || tok->p[0] == '"';
        w->names += is_column(w, tok) ? 1 : 0;
        return;
    }
    switch ((enum tok_kind)tok->kind) {
    case TOK_LPAREN:
        w->depth++;
        break;
    case TOK_RPAREN:
        w->is_odd = w->is_odd || w->depth == 0;
        w->depth -= w->depth != 0 ? 1 : 0;
        break;
    case TOK_PARAM:
        w->params++;
        break;
    case TOK_STRING:
        w->is_odd = w->is_odd || tok->p[0] != '\'' || memchr(tok->p, '\\', tok->len) != NULL;
        break;
    case TOK_LBRACE:
    case TOK_BAD:
        w->is_odd = true;
        break;
    default:
        break;
    }
}

static bool take_value(struct walk *w, struct equal_value *value)
{
    const struct tok *tok = &w->tok;

    *value = (struct equal_value){.is_param = tok->kind == TOK_PARAM};
    if (tok->kind == TOK_PARAM) {
        value->param = (uint16_t)(w->params - 1);
        if (w->params > UINT16_MAX) {
            return false;
        }
    } else if (tok->kind == TOK_NUMBER) {
        value->text = tok_span(tok);
    } else if (tok->kind == TOK_STRING && tok->len >= 2) {
        value->text = (struct span){tok->p + 1, tok->len - 2};
    } else {
        return false;
    }
    step(w);
    return true;
}

/* --- WHERE a AND column = value AND ... --- */

/* Reserved words alone: any other may be a column's name. */
static bool ends_where(const struct tok *tok)
{
    if (tok_ends(tok)) {
        return true;
    }
    switch (tok->kind == TOK_WORD ? tok->kw : KW_NONE) {
    case KW_GROUP:
    case KW_HAVING:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_FETCH:
    case KW_PROCEDURE:
    case KW_INTO:
    case KW_FOR:
    case KW_LOCK:
        return true;
    default:
        return false;
    }
}

/* At the top of WHERE these make of AND something else. */
static bool breaks_where(const struct tok *tok)
{
    if (tok->kind == TOK_ASSIGN || (tok->kind == TOK_OP && (*tok->p == '|' || *tok->p == '&'))) {
        return true;
    }
    return tok_is(tok, KW_OR) || tok_is(tok, KW_XOR) || tok_is(tok, KW_CASE);
}

/* From the first token of a condition, as far as it is [name.]column = value. */
static bool take_condition(struct walk *w, struct equal_value *value)
{
    bool is_ours = is_column(w, &w->tok);

    while (tok_is_name(&w->tok)) {
        is_ours = is_column(w, &w->tok);
        step(w);
        if (w->tok.kind != TOK_DOT) {
            break;
        }
        step(w);
    }
    if (!is_ours || w->tok.kind != TOK_EQ) {
        return false;
    }
    step(w);
    return take_value(w, value) && (tok_is(&w->tok, KW_AND) || ends_where(&w->tok));
}

/* From the token behind WHERE to what ends it. */
static bool take_where(struct walk *w, struct equal_value *value)
{
    bool is_found = false;
    bool is_first = true; /* of a condition */
    unsigned betweens = 0;

    while (w->tok.kind != TOK_END && (w->depth != 0 || !ends_where(&w->tok))) {
        if (is_first && w->depth == 0 && tok_is_name(&w->tok) && !breaks_where(&w->tok)) {
            struct equal_value here;

            is_first = false;
            if (take_condition(w, &here)) {
                is_found = true;
                *value = here;
            }
            continue;
        }
        is_first = false;
        if (w->depth == 0 && breaks_where(&w->tok)) {
            w->is_odd = true;
        } else if (w->depth == 0 && tok_is(&w->tok, KW_BETWEEN)) {
            betweens++;
        } else if (w->depth == 0 && tok_is(&w->tok, KW_AND)) {
            is_first = betweens == 0;
            betweens -= betweens != 0 ? 1 : 0;
        }
        step(w);
    }
    return is_found;
}

static void skip_rest(struct walk *w)
{
    while (w->tok.kind != TOK_END) {
        step(w);
    }
}

/* Up to this word outside parentheses. */
static bool skip_to(struct walk *w, uint16_t kw)
{
    while (w->tok.kind != TOK_END && (w->depth != 0 || !tok_is(&w->tok, kw))) {
        step(w);
    }
    return w->tok.kind != TOK_END;
}

static bool walk_select(struct walk *w, struct equal_value *value)
{
    bool is_found = false;

    if (!skip_to(w, KW_FROM)) {
        return false;
    }
    w->names = 0; /* what is selected is no condition */
    if (!skip_to(w, KW_WHERE)) {
        return false;
    }
    step(w);
    is_found = take_where(w, value) && w->names == 1;
    skip_rest(w);
    return is_found;
}

/* --- writes --- */

/* Up to this word: one table, whatever it is called. */
static bool skip_table(struct walk *w, uint16_t kw)
{
    for (; w->tok.kind != TOK_END; step(w)) {
        if (tok_is(&w->tok, kw) && w->depth == 0) {
            return true;
        }
        if (w->tok.kind == TOK_COMMA || tok_is(&w->tok, KW_JOIN) ||
            tok_is(&w->tok, KW_STRAIGHT_JOIN) || tok_is(&w->tok, KW_USING)) {
            return false;
        }
    }
    return false;
}

static bool walk_change(struct walk *w, uint16_t kw, struct equal_value *value)
{
    bool is_found = false;

    if (!skip_table(w, kw) || !skip_to(w, KW_WHERE)) {
        return false;
    }
    step(w);
    is_found = take_where(w, value);
    skip_rest(w);
    return is_found && w->names == 1;
}

/* (a, b, c): which of them is the column, from 0. */
static bool take_columns(struct walk *w, unsigned *ret_at)
{
    bool is_found = false;
    unsigned at = 0;

    if (w->tok.kind != TOK_LPAREN) {
        return false;
    }
    for (step(w); w->tok.kind != TOK_END && w->depth != 0; step(w)) {
        if (is_column(w, &w->tok)) {
            is_found = true;
            *ret_at = at;
        }
        at += w->tok.kind == TOK_COMMA ? 1 : 0;
    }
    step(w); /* behind ')' */
    return is_found;
}

/* (1, f(2, 3), 4): the value at that place. */
static bool take_row(struct walk *w, unsigned at, struct equal_value *value)
{
    bool is_found = false;

    if (w->tok.kind != TOK_LPAREN) {
        return false;
    }
    step(w);
    for (unsigned i = 0; w->tok.kind != TOK_END && w->depth != 0;) {
        if (i == at && w->depth == 1 && !is_found) {
            if (!take_value(w, value) ||
                (w->tok.kind != TOK_COMMA && (w->tok.kind != TOK_RPAREN || w->depth != 0))) {
                return false;
            }
            is_found = true;
            continue;
        }
        i += w->tok.kind == TOK_COMMA && w->depth == 1 ? 1 : 0;
        step(w);
    }
    step(w);
    return is_found;
}

/* INSERT [INTO] t (columns) VALUES (row): with IGNORE the row may be another. */
static bool walk_insert(struct walk *w, struct equal_value *value)
{
    bool is_found = false;
    unsigned at = 0;

    step(w);
    while (tok_is(&w->tok, KW_LOW_PRIORITY) || tok_is(&w->tok, KW_HIGH_PRIORITY) ||
           tok_is(&w->tok, KW_DELAYED) || tok_is(&w->tok, KW_INTO)) {
        step(w);
    }
    if (tok_is(&w->tok, KW_IGNORE)) {
        return false;
    }
    while (tok_is_name(&w->tok) || w->tok.kind == TOK_DOT) {
        step(w);
    }
    if (!take_columns(w, &at) || (!tok_is(&w->tok, KW_VALUES) && !tok_is(&w->tok, KW_VALUE))) {
        return false;
    }
    step(w);
    is_found = take_row(w, at, value) && tok_ends(&w->tok);
    skip_rest(w);
    return is_found && w->names == 1;
}

/* --- which table --- */

/* [schema.]name */
static bool take_table(struct walk *w, struct facts_table *table)
{
    *table = (struct facts_table){.schema = {NULL, 0}};
    if (!tok_is_name(&w->tok)) {
        return false;
    }
    table->name = tok_span(&w->tok);
    step(w);
    if (w->tok.kind == TOK_DOT) {
        step(w);
        if (!tok_is_name(&w->tok)) {
            return false;
        }
        table->schema = table->name;
        table->name = tok_span(&w->tok);
        step(w);
    }
    return true;
}

/* [[AS] name] and then this word. */
static bool take_alias(struct walk *w, uint16_t kw)
{
    if (tok_is(&w->tok, KW_AS)) {
        step(w);
    }
    if (!tok_is(&w->tok, kw) && tok_is_name(&w->tok)) {
        step(w);
    }
    return tok_is(&w->tok, kw);
}

/* Words behind which another table may stand. */
static bool has_more_tables(struct walk *w)
{
    bool has = false;

    while (w->tok.kind != TOK_END) {
        has = has || tok_is(&w->tok, KW_FROM) || tok_is(&w->tok, KW_TABLE) ||
              tok_is(&w->tok, KW_JOIN) || tok_is(&w->tok, KW_STRAIGHT_JOIN);
        step(w);
    }
    return has;
}

static bool table_of_select(struct walk *w, struct facts_table *table)
{
    while (w->tok.kind != TOK_END && !tok_is(&w->tok, KW_FROM)) {
        if (tok_is(&w->tok, KW_TABLE)) {
            return false;
        }
        step(w);
    }
    if (w->tok.kind == TOK_END || w->depth != 0) {
        return false;
    }
    step(w);
    return take_table(w, table) && take_alias(w, KW_WHERE) && !has_more_tables(w);
}

static bool table_of_write(struct walk *w, enum classify_verb verb, struct facts_table *table)
{
    step(w);
    while (tok_is(&w->tok, KW_LOW_PRIORITY) || tok_is(&w->tok, KW_HIGH_PRIORITY) ||
           tok_is(&w->tok, KW_DELAYED) || tok_is(&w->tok, KW_IGNORE) ||
           (tok_is(&w->tok, KW_INTO) && verb == VERB_INSERT)) {
        step(w);
    }
    if (verb == VERB_DELETE) {
        if (!tok_is(&w->tok, KW_FROM)) {
            return false;
        }
        step(w);
    }
    if (!take_table(w, table)) {
        return false;
    }
    if (verb == VERB_INSERT) {
        return w->tok.kind == TOK_LPAREN;
    }
    return take_alias(w, verb == VERB_UPDATE ? KW_SET : KW_WHERE);
}

static bool is_readable(const struct classify_env *env, const struct facts *facts)
{
    return (facts->bits & (FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX) | FACT(OVERFLOW))) == 0 &&
           (env->sql_mode & CLASSIFY_MODE_ORACLE) == 0 && env->charset != CLASSIFY_CS_UNKNOWN;
}

static void walk_init(struct walk *w, struct span sql, const struct classify_env *env)
{
    lex_init(&w->lex, sql, env, NULL);
    do {
        lex_next(&w->lex, &w->tok);
    } while (w->tok.kind == TOK_SEMI);
}

bool equal_table(struct span sql, const struct classify_env *env, const struct facts *facts,
                 struct facts_table *ret_table)
{
    struct walk w = {.column = {NULL, 0}};
    struct facts_table table;
    bool is_one = false;

    if (!is_readable(env, facts)) {
        return false;
    }
    walk_init(&w, sql, env);
    if (facts->verb == VERB_SELECT && tok_is(&w.tok, KW_SELECT)) {
        is_one = table_of_select(&w, &table);
    } else if ((facts->verb == VERB_UPDATE && tok_is(&w.tok, KW_UPDATE)) ||
               (facts->verb == VERB_DELETE && tok_is(&w.tok, KW_DELETE)) ||
               (facts->verb == VERB_INSERT && tok_is(&w.tok, KW_INSERT))) {
        is_one = table_of_write(&w, facts->verb, &table);
    }
    if (!is_one || w.is_odd || w.lex.flags != 0) {
        return false;
    }
    *ret_table = table;
    return true;
}

bool equal_find(struct span sql, const struct classify_env *env, const struct facts *facts,
                struct span column, struct equal_value *ret_value)
{
    struct walk w = {.column = column};
    struct equal_value value;
    bool is_found = false;

    if (!is_readable(env, facts)) {
        return false;
    }
    walk_init(&w, sql, env);
    if (facts->verb == VERB_SELECT && tok_is(&w.tok, KW_SELECT)) {
        is_found = walk_select(&w, &value);
    } else if (facts->verb == VERB_UPDATE && tok_is(&w.tok, KW_UPDATE)) {
        is_found = walk_change(&w, KW_SET, &value);
    } else if (facts->verb == VERB_DELETE && tok_is(&w.tok, KW_DELETE)) {
        is_found = walk_change(&w, KW_WHERE, &value);
    } else if (facts->verb == VERB_INSERT && tok_is(&w.tok, KW_INSERT)) {
        is_found = walk_insert(&w, &value);
    }
    if (!is_found || w.is_odd || w.lex.flags != 0) {
        return false;
    }
    value.params = (uint16_t)(w.params <= UINT16_MAX ? w.params : 0);
    *ret_value = value;
    return true;
}

/* --- a literal that somebody else has found --- */

static bool is_at(const struct tok *tok, struct span text, uint32_t cut)
{
    return tok->len >= 2 * cut && tok->p + cut == text.p && tok->len - 2 * cut == text.len;
}

static bool is_literal(const struct walk *w, struct span text, struct equal_value *value)
{
    const struct tok *tok = &w->tok;

    *value = (struct equal_value){.is_param = tok->kind == TOK_PARAM};
    switch ((enum tok_kind)tok->kind) {
    case TOK_PARAM:
        value->param = (uint16_t)(w->params - 1);
        return is_at(tok, text, 0) && w->params <= UINT16_MAX;
    case TOK_NUMBER:
        value->text = text;
        return is_at(tok, text, 0);
    case TOK_STRING:
        value->text = (struct span){tok->p + 1, tok->len >= 2 ? tok->len - 2 : 0};
        return tok->p[0] == '\'' && memchr(tok->p, '\\', tok->len) == NULL &&
               (is_at(tok, text, 0) || is_at(tok, text, 1));
    default:
        return false;
    }
}

/* What may stand beside a value without making another of it. */
static bool is_border(const struct tok *tok)
{
    switch ((enum tok_kind)tok->kind) {
    case TOK_LPAREN:
    case TOK_RPAREN:
    case TOK_COMMA:
    case TOK_EQ:
        return true;
    case TOK_WORD:
        return tok->kw != KW_NONE && tok->kw != KW_DIV && tok->kw != KW_MOD &&
               tok->kw != KW_COLLATE && tok->kw != KW_BINARY && tok->kw != KW_INTERVAL;
    default:
        return tok_ends(tok);
    }
}

bool equal_literal(struct span sql, const struct classify_env *env, const struct facts *facts,
                   struct span text, struct equal_value *ret_value)
{
    struct walk w = {.column = {NULL, 0}};
    struct equal_value value = {.params = 0};
    struct tok before = {.kind = TOK_END};
    bool is_found = false;
    bool is_whole = false;

    if (!is_readable(env, facts) || text.len == 0) {
        return false;
    }
    walk_init(&w, sql, env);
    while (w.tok.kind != TOK_END) {
        bool is_it = !is_found && is_border(&before) && is_literal(&w, text, &value);

        before = w.tok;
        lex_next(&w.lex, &w.tok);
        w.params += w.tok.kind == TOK_PARAM ? 1 : 0;
        if (is_it) {
            is_found = true;
            is_whole = is_border(&w.tok);
        }
    }
    if (!is_whole || w.lex.flags != 0) {
        return false;
    }
    value.params = (uint16_t)(w.params <= UINT16_MAX ? w.params : 0);
    *ret_value = value;
    return true;
}
