/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - the effects that count wherever they stand, and small steps of the parsers. */
#include <strings.h>

#include "parse_priv.h"

static void fail_at(struct parser *ps, enum classify_why why, const struct tok *culprit)
{
    if (!ps->is_failed) {
        ps->is_failed = true;
        if (ps->f->why == WHY_NONE) {
            ps->f->why = why;
            ps->f->culprit = tok_span(culprit);
        }
    }
}

void parser_fail(struct parser *ps, enum classify_why why)
{
    fail_at(ps, why, parser_tok(ps));
}

static void note_id(struct parser *ps, enum facts_id_kind kind, const uint8_t *from,
                    const uint8_t *to)
{
    struct facts *f = ps->f;
    if ((f->bits & FACT(DDL)) != 0) {
        return; /* it may stand in a definition */
    }
    f->bits |= FACT(UNCACHEABLE) | (kind == FACTS_ID_CONNECTION ? FACT(CONNECTION_ID) : 0);
    if (f->id_count == FACTS_MAX_IDS) {
        f->bits |= FACT(OVERFLOW);
        return;
    }
    f->ids[f->id_count++] =
        (struct facts_id){.kind = kind, .use = {from, (size_t)(to - from)}, .item = {NULL, 0}};
}

void parser_set_verb(struct parser *ps, enum classify_verb verb)
{
    ps->verb = verb;
    if (ps->is_first) {
        ps->f->verb = verb;
    }
}

bool parser_is_native(const struct parser *ps, uint16_t kw, const struct tok *tok)
{
    unsigned flags = keyword_flags[kw];
    const struct kw_def *def = keyword_def(kw);
    uint32_t version = ps->env->version;
    if ((flags & KWF_SPACE) != 0 && (tok->flags & TOKF_SPACE) != 0 &&
        ((ps->env->sql_mode & CLASSIFY_MODE_IGNORE_SPACE) == 0 ||
         (tok->flags & TOKF_COMMENT) != 0)) {
        return false;
    }
    if (ps->env->flavour == CLASSIFY_MYSQL) {
        if ((flags & KWF_MYSQL) == 0 || (version != 0 && version < 80000)) {
            return false;
        }
        return version >= def->mysql_min &&
               (def->mysql_end == 0 || (version != 0 && version < def->mysql_end));
    }
    return (flags & KWF_MARIADB) != 0 && (version == 0 || version >= 100600) &&
           version >= def->mariadb_min;
}

static void note_sequence(struct parser *ps, const struct tok *culprit)
{
    ps->f->bits |= FACT(WRITE);
    ps->f->pins |= PIN_BIT(PIN_SEQUENCE);
    fail_at(ps, WHY_SEQUENCE, culprit);
}

void parser_note_sequence(struct parser *ps)
{
    note_sequence(ps, parser_tok(ps));
}

/* The current token is "(" behind word, a function with an effect. */
static void note_call(struct parser *ps, const struct kw_def *def, const struct tok *word)
{
    struct facts *f = ps->f;
    struct tok next;
    switch (def->effect) {
    case KW_FX_NONE:
        return;
    case KW_FX_LOCK_GET:
        f->bits |= FACT(NAMED_LOCK);
        f->pins |= PIN_BIT(PIN_NAMED_LOCK);
        fail_at(ps, WHY_NAMED_LOCK, word);
        return;
    case KW_FX_LOCK_FREE_ALL:
        f->unpins |= PIN_BIT(PIN_NAMED_LOCK);
        f->bits |= FACT(NAMED_LOCK);
        fail_at(ps, WHY_NAMED_LOCK, word);
        return;
    case KW_FX_LOCK_FREE:
    case KW_FX_LOCK_TEST:
        f->bits |= FACT(NAMED_LOCK);
        fail_at(ps, WHY_NAMED_LOCK, word);
        return;
    case KW_FX_INSERT_ID:
        f->bits |= FACT(LAST_INSERT_ID);
        next = parser_peek(ps);
        if (next.kind != TOK_RPAREN) {
            f->pins |= PIN_BIT(PIN_LAST_INSERT_ID);
        }
        fail_at(ps, WHY_LAST_INSERT_ID, word);
        return;
    case KW_FX_LAST:
        ps->is_last = true;
        return;
    case KW_FX_CONN_ID:
        /* recorded with its closing parenthesis */
        return;
    case KW_FX_SEQUENCE:
        note_sequence(ps, word);
        return;
    case KW_FX_PRIMARY:
        fail_at(ps, WHY_FUNCTION_PRIMARY, word);
        return;
    }
}

static void note_paren(struct parser *ps, const struct tok *tok, const struct tok *word)
{
    const struct kw_def *def = keyword_def(word->kw);
    if (def->effect != KW_FX_NONE) {
        note_call(ps, def, word);
    } else if ((keyword_flags[word->kw] & (KWF_PAREN | KWF_RESERVED | KWF_TYPE)) == 0 &&
               !parser_is_native(ps, word->kw, tok)) {
        ps->has_call = true;
    }
}

static bool var_name_is(struct span name, const char *text)
{
    return span_eq_text_nocase(name, text);
}

/* @@name, @@session.name: the name. */
static struct span var_plain_name(struct span var)
{
    struct span name = {var.p + 2, var.len - 2};
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '.') {
            return (struct span){name.p + i + 1, name.len - i - 1};
        }
    }
    if (name.len >= 2 && name.p[0] == '`') {
        return (struct span){name.p + 1, name.len - 2};
    }
    return name;
}

static void note_sysvar(struct parser *ps, const struct tok *tok)
{
    struct span name = var_plain_name(tok_span(tok));
    ps->f->bits |= FACT(SYSTEM_VARIABLE) | FACT(UNCACHEABLE);
    if (var_name_is(name, "warning_count") || var_name_is(name, "error_count")) {
        ps->is_last = true;
        return;
    }
    if (var_name_is(name, "last_insert_id") || var_name_is(name, "identity")) {
        ps->f->bits |= FACT(LAST_INSERT_ID);
        parser_fail(ps, WHY_LAST_INSERT_ID);
        return;
    }
    if (var_name_is(name, "pseudo_thread_id")) {
        note_id(ps, FACTS_ID_CONNECTION, tok->p, tok->p + tok->len);
        parser_fail(ps, WHY_CONNECTION_ID);
        return;
    }
    parser_fail(ps, WHY_SYSTEM_VARIABLE);
}

static void note_uservar(struct parser *ps, const struct tok *tok)
{
    if (ps->is_account && (tok->flags & TOKF_SPACE) == 0) {
        return;
    }
    ps->f->bits |= FACT(USER_VARIABLE) | FACT(UNCACHEABLE);
    if (ps->is_into || ps->is_target) {
        ps->f->pins |= PIN_BIT(PIN_USER_VARIABLE);
    }
    parser_fail(ps, WHY_USER_VARIABLE);
}

static void note_paren_close(struct parser *ps, const struct tok *tok)
{
    const struct tok *word = parser_back(ps, 2);
    if (parser_back(ps, 1)->kind != TOK_LPAREN) {
        return;
    }
    if (tok_is(word, KW_CONNECTION_ID)) {
        note_id(ps, FACTS_ID_CONNECTION, word->p, tok->p + tok->len);
        fail_at(ps, WHY_CONNECTION_ID, word);
    } else if (tok_is(word, KW_ROW_COUNT)) {
        note_id(ps, FACTS_ID_ROW_COUNT, word->p, tok->p + tok->len);
    } else if (tok_is(word, KW_FOUND_ROWS)) {
        note_id(ps, FACTS_ID_FOUND_ROWS, word->p, tok->p + tok->len);
    }
}

void parser_note(struct parser *ps, const struct tok *tok)
{
    const struct tok *before = parser_back(ps, 1);
    if (ps->is_quiet) {
        return;
    }
    if (tok->kind == TOK_LPAREN) {
        if (tok_is_name(before)) {
            note_paren(ps, tok, before);
        }
    } else if (tok->kind == TOK_RPAREN) {
        note_paren_close(ps, tok);
    } else if (tok_is(tok, KW_INTO)) {
        ps->is_into = ps->verb == VERB_SELECT || ps->verb == VERB_EXPLAIN;
    } else if (tok->kind == TOK_WORD) {
        ps->f->bits |= FACT(UNCACHEABLE);
    } else if (tok->kind == TOK_USERVAR) {
        note_uservar(ps, tok);
    } else if (tok->kind == TOK_SYSVAR) {
        note_sysvar(ps, tok);
    } else if (tok->kind == TOK_ASSIGN) {
        if (before->kind == TOK_USERVAR) {
            ps->f->pins |= PIN_BIT(PIN_USER_VARIABLE);
        }
        if (ps->body == NULL || !body_may_assign(ps->body)) {
            parser_fail(ps, WHY_USER_VARIABLE);
        }
    }
}

struct tok parser_peek(const struct parser *ps)
{
    struct lexer ahead = ps->lex;
    struct tok tok;
    ahead.facts = NULL;
    lex_next(&ahead, &tok);
    return tok;
}

bool parser_take(struct parser *ps, uint16_t kw)
{
    if (!tok_is(parser_tok(ps), kw)) {
        return false;
    }
    parser_next(ps);
    return true;
}

void parser_skip(struct parser *ps)
{
    const struct tok *tok = parser_tok(ps);
    while (!tok_ends(tok)) {
        tok = parser_next(ps);
    }
}

bool parser_skip_body(struct parser *ps)
{
    bool has_semi = false;
    while (parser_tok(ps)->kind != TOK_END) {
        has_semi = has_semi || parser_tok(ps)->kind == TOK_SEMI;
        parser_next(ps);
    }
    return has_semi;
}
