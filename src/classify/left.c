/* SPDX-License-Identifier: Apache-2.0 */
/*
 * left.c - a second look at statements that begin or end a pin: whose names are they about?
 *
 * An error to the safe side is a name too many, or a bit missing in `known`: then the pin lasts
 * longer than it must. Names with bytes above 0x7f are never known: what they are depends on the
 * character set of the day.
 */
#include "weir/classify/left.h"

#include <string.h>

#include "parse_priv.h"

struct walk {
    struct lexer lex;
    struct tok tok;
    struct left_names *out;
};

static const struct tok *step(struct walk *w)
{
    lex_next(&w->lex, &w->tok);
    return &w->tok;
}

static bool take(struct walk *w, uint16_t kw)
{
    if (!tok_is(&w->tok, kw)) {
        return false;
    }
    step(w);
    return true;
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* False: no room, or a name that cannot be compared. */
static bool put(struct walk *w, enum classify_pin pin, enum left_op op, struct span schema,
                struct span name)
{
    struct left_names *out = w->out;
    if (!is_ascii(schema) || !is_ascii(name) || out->count == LEFT_NAMES_MAX) {
        return false;
    }
    out->names[out->count++] =
        (struct left_name){.pin = pin, .op = op, .schema = schema, .name = name};
    return true;
}

static void know(struct walk *w, enum classify_pin pin, bool is_known)
{
    if (is_known) {
        w->out->known |= PIN_BIT(pin);
    }
}

/* name or schema.name: up to the token behind it. */
static bool read_name(struct walk *w, struct span *ret_schema, struct span *ret_name)
{
    *ret_schema = (struct span){NULL, 0};
    if (!tok_is_name(&w->tok)) {
        return false;
    }
    *ret_name = tok_span(&w->tok);
    if (step(w)->kind != TOK_DOT) {
        return true;
    }
    *ret_schema = *ret_name;
    if (!tok_is_name(step(w))) {
        return false;
    }
    *ret_name = tok_span(&w->tok);
    step(w);
    return true;
}

/* CREATE [OR REPLACE] TEMPORARY TABLE [IF NOT EXISTS] t */
static void walk_create(struct walk *w)
{
    enum left_op op = LEFT_ADD;
    struct span schema;
    struct span name;
    if (take(w, KW_OR)) {
        op = LEFT_ENSURE;
        (void)take(w, KW_REPLACE);
    }
    if (!take(w, KW_TEMPORARY) || !take(w, KW_TABLE)) {
        return;
    }
    if (take(w, KW_IF)) {
        op = LEFT_ENSURE;
        if (!take(w, KW_NOT) || !take(w, KW_EXISTS)) {
            return;
        }
    }
    know(w, PIN_TEMP_TABLE,
         read_name(w, &schema, &name) && put(w, PIN_TEMP_TABLE, op, schema, name));
}

/* DROP [TEMPORARY] TABLE [IF EXISTS] t, ... | DROP PREPARE s */
static void walk_drop(struct walk *w)
{
    struct span schema;
    struct span name;
    if (take(w, KW_PREPARE)) {
        know(w, PIN_TEXT_PREPARE,
             read_name(w, &schema, &name) && put(w, PIN_TEXT_PREPARE, LEFT_DROP, schema, name));
        return;
    }
    (void)take(w, KW_TEMPORARY);
    if (!take(w, KW_TABLE) && !take(w, KW_TABLES)) {
        return;
    }
    if (take(w, KW_IF)) {
        (void)take(w, KW_EXISTS);
    }
    know(w, PIN_TEMP_TABLE, true); /* one that is missed here is one too many, which is safe */
    while (read_name(w, &schema, &name)) {
        (void)put(w, PIN_TEMP_TABLE, LEFT_DROP, schema, name);
        if (w->tok.kind != TOK_COMMA) {
            return;
        }
        step(w);
    }
}

/* PREPARE s FROM 'text' | @v: nothing that could fail before the old s has gone. */
static void walk_prepare(struct walk *w)
{
    struct span schema;
    struct span name;
    if (!read_name(w, &schema, &name) || schema.len != 0 || !take(w, KW_FROM) ||
        (w->tok.kind != TOK_STRING && w->tok.kind != TOK_USERVAR)) {
        return;
    }
    if (tok_ends(step(w))) {
        know(w, PIN_TEXT_PREPARE, put(w, PIN_TEXT_PREPARE, LEFT_ENSURE, schema, name));
    }
}

/* HANDLER t OPEN [[AS] a] | HANDLER a CLOSE */
static void walk_handler(struct walk *w)
{
    struct span schema;
    struct span name;
    if (!read_name(w, &schema, &name)) {
        return;
    }
    if (take(w, KW_CLOSE)) {
        know(w, PIN_HANDLER,
             schema.len == 0 && put(w, PIN_HANDLER, LEFT_DROP, (struct span){NULL, 0}, name));
        return;
    }
    if (!take(w, KW_OPEN)) {
        return;
    }
    (void)take(w, KW_AS);
    if (tok_is_name(&w->tok)) {
        name = tok_span(&w->tok);
    }
    know(w, PIN_HANDLER, put(w, PIN_HANDLER, LEFT_ADD, (struct span){NULL, 0}, name));
}

static void walk_statement(struct walk *w)
{
    struct tok first = w->tok;
    step(w);
    switch (first.kind == TOK_WORD ? first.kw : KW_NONE) {
    case KW_CREATE:
        walk_create(w);
        return;
    case KW_DROP:
        walk_drop(w);
        return;
    case KW_DEALLOCATE:
        if (tok_is(&w->tok, KW_PREPARE)) {
            walk_drop(w);
        }
        return;
    case KW_PREPARE:
        walk_prepare(w);
        return;
    case KW_HANDLER:
        walk_handler(w);
        return;
    case KW_RENAME:
        w->out->blurred |= PIN_BIT(PIN_TEMP_TABLE);
        return;
    case KW_ALTER:
        while (!tok_ends(&w->tok)) {
            if (tok_is(&w->tok, KW_RENAME)) {
                w->out->blurred |= PIN_BIT(PIN_TEMP_TABLE);
            }
            step(w);
        }
        return;
    default:
        return;
    }
}

/* 'text' of printable ASCII without a backslash: what is between the quotes, doubled quotes as they are.
 * No sql_mode and no character set reads it in another way. */
static bool plain_text(struct span text, struct span *ret_inner)
{
    if (text.len < 2 || text.p[0] != '\'' || text.p[text.len - 1] != '\'') {
        return false;
    }
    struct span inner = {text.p + 1, text.len - 2};
    for (size_t i = 0; i < inner.len; i++) {
        uint8_t c = inner.p[i];
        if (c < 0x20 || c >= 0x7f || c == '\\') {
            return false;
        }
        if (c == '\'' && (++i == inner.len || inner.p[i] != '\'')) {
            return false;
        }
    }
    *ret_inner = inner;
    return true;
}

/* Every call that takes or frees a named lock, wherever it stands. */
static void walk_locks(struct walk *w)
{
    bool is_known = true;
    while (w->tok.kind != TOK_END) {
        struct tok word = w->tok;
        struct span text;
        enum kw_effect effect = word.kind == TOK_WORD ? keyword_def(word.kw)->effect : KW_FX_NONE;
        if (step(w)->kind != TOK_LPAREN) {
            continue;
        }
        if (effect == KW_FX_LOCK_FREE || effect == KW_FX_LOCK_FREE_ALL) {
            w->out->frees_locks = true;
        } else if (effect == KW_FX_LOCK_GET) {
            struct tok arg = *step(w);
            is_known = is_known && tok_is(&word, KW_GET_LOCK) && arg.kind == TOK_STRING &&
                       step(w)->kind == TOK_COMMA && plain_text(tok_span(&arg), &text) &&
                       text.len != 0 &&
                       put(w, PIN_NAMED_LOCK, LEFT_ENSURE, (struct span){NULL, 0}, text);
        }
    }
    know(w, PIN_NAMED_LOCK, is_known);
}

static bool is_doubtful(const struct facts *facts)
{
    return (facts->bits & (FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX))) != 0;
}

void left_find_names(struct span sql, const struct classify_env *env, const struct facts *facts,
                     struct left_names *ret_names)
{
    struct walk w = {.out = ret_names};
    ret_names->known = 0;
    ret_names->blurred = 0;
    ret_names->frees_locks = false;
    ret_names->count = 0;
    if (is_doubtful(facts)) {
        /* several statements, or one that is not understood: it may have renamed a table */
        bool may_rename = (facts->bits & (FACT(DDL) | FACT(LARGE) | FACT(BAD_LEX))) != 0;
        ret_names->blurred = facts->pins | (may_rename ? PIN_BIT(PIN_TEMP_TABLE) : 0U);
        return;
    }
    lex_init(&w.lex, sql, env, NULL);
    do {
        step(&w);
    } while (w.tok.kind == TOK_SEMI);
    walk_statement(&w);
    if ((facts->bits & FACT(NAMED_LOCK)) != 0) {
        lex_init(&w.lex, sql, env, NULL);
        step(&w);
        walk_locks(&w);
    }
}

/* --- SET @a = literal ---------------------------------------------------------------------------- */

static size_t digits(struct span text, size_t at)
{
    while (at < text.len && text.p[at] >= '0' && text.p[at] <= '9') {
        at++;
    }
    return at;
}

/* [+-] digits [. digits] [e [+-] digits] */
static bool is_number(struct span text)
{
    size_t at = text.len > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    size_t from = at;
    at = digits(text, at);
    size_t count = at - from;
    if (at < text.len && text.p[at] == '.') {
        from = at + 1;
        at = digits(text, from);
        count += at - from;
    }
    if (count == 0) {
        return false;
    }
    if (at < text.len && (text.p[at] == 'e' || text.p[at] == 'E')) {
        at++;
        at += at < text.len && (text.p[at] == '-' || text.p[at] == '+') ? 1 : 0;
        from = at;
        at = digits(text, at);
        if (at == from) {
            return false;
        }
    }
    return at == text.len;
}

static bool is_of(struct span text, const char *set)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\0' || strchr(set, text.p[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* 0x41, x'41', 0b1, b'1' */
static bool is_bits(struct span text)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    if (text.len < 3) {
        return false;
    }
    struct span inner = {text.p + 2, text.len - 2};
    if (text.p[0] == '0') {
        return (text.p[1] == 'x' && is_of(inner, hex)) || (text.p[1] == 'b' && is_of(inner, "01"));
    }
    if (text.p[1] != '\'' || text.p[text.len - 1] != '\'') {
        return false;
    }
    inner.len--;
    if (text.p[0] == 'x' || text.p[0] == 'X') {
        return inner.len % 2 == 0 && is_of(inner, hex);
    }
    return (text.p[0] == 'b' || text.p[0] == 'B') && is_of(inner, "01");
}

static bool is_literal(struct span text, bool *ret_is_text)
{
    struct span inner;
    *ret_is_text = false;
    if (is_number(text) || is_bits(text) || span_eq_text_nocase(text, "NULL") ||
        span_eq_text_nocase(text, "TRUE") || span_eq_text_nocase(text, "FALSE")) {
        return true;
    }
    *ret_is_text = true;
    return plain_text(text, &inner) && inner.len != 0; /* '' is NULL in one of MariaDB's modes */
}

/* @name, @`name`, @'name', @"name" of plain letters. */
static bool var_name(const struct tok *tok, struct span *ret_name)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$.";
    struct span name = {tok->p + 1, tok->len - 1};
    if (tok->kind != TOK_USERVAR || tok->len < 2) {
        return false;
    }
    if (name.len > 2 && (name.p[0] == '`' || name.p[0] == '\'' || name.p[0] == '"')) {
        name = (struct span){name.p + 1, name.len - 2};
    }
    *ret_name = name;
    return name.len > 0 && name.len <= 64 && is_of(name, plain);
}

/* From behind "=" to the comma or the end; the literal is what stands there, byte for byte. */
static bool var_value(struct walk *w, struct left_var *var)
{
    const uint8_t *start = w->tok.p;
    const uint8_t *end = start;
    while (!tok_ends(&w->tok) && w->tok.kind != TOK_COMMA) {
        if (w->tok.kind == TOK_LPAREN) {
            return false;
        }
        end = w->tok.p + w->tok.len;
        step(w);
    }
    var->literal = (struct span){start, (size_t)(end - start)};
    return is_literal(var->literal, &var->is_text);
}

/* Part of the name of each variable that decides how a string is read. */
static bool is_about_text(struct span name)
{
    static const char *const parts[] = {"character", "collation"};

    for (size_t k = 0; k < WR_ARRAY_LEN(parts); k++) {
        size_t len = strlen(parts[k]);
        for (size_t i = 0; i + len <= name.len; i++) {
            if (span_eq_text_nocase((struct span){name.p + i, len}, parts[k])) {
                return true;
            }
        }
    }
    return false;
}

/* [SESSION] name = value of something else than a user variable, up to the comma: true when it can
 * set no user variable on the way. */
static bool other_target(struct walk *w, bool *ret_is_about_text)
{
    if (tok_is(&w->tok, KW_SESSION) || tok_is(&w->tok, KW_LOCAL)) {
        step(w);
    }
    if (w->tok.kind != TOK_SYSVAR && !tok_is_name(&w->tok)) {
        return false;
    }
    *ret_is_about_text = *ret_is_about_text || is_about_text(tok_span(&w->tok));
    step(w);
    if (w->tok.kind != TOK_EQ && w->tok.kind != TOK_ASSIGN) {
        return false;
    }
    step(w);
    while (!tok_ends(&w->tok) && w->tok.kind != TOK_COMMA) {
        if (w->tok.kind == TOK_LPAREN || w->tok.kind == TOK_USERVAR || w->tok.kind == TOK_ASSIGN) {
            return false;
        }
        step(w);
    }
    return true;
}

unsigned left_find_vars(struct span sql, const struct classify_env *env, const struct facts *facts,
                        struct left_var ret_vars[LEFT_VARS_MAX], bool *ret_is_mixed)
{
    struct walk w = {.out = NULL};
    unsigned count = 0;
    bool is_about = false;
    bool has_text = false;
    *ret_is_mixed = false;
    if (facts->verb != VERB_SET || facts->pins != PIN_BIT(PIN_USER_VARIABLE) ||
        is_doubtful(facts)) {
        return 0;
    }
    lex_init(&w.lex, sql, env, NULL);
    do {
        step(&w);
    } while (w.tok.kind == TOK_SEMI);
    do {
        step(&w); /* SET, or the comma */
        if (w.tok.kind != TOK_USERVAR) {
            *ret_is_mixed = true;
            if (!other_target(&w, &is_about)) {
                return 0;
            }
            continue;
        }
        struct left_var *var = &ret_vars[count];
        if (count == LEFT_VARS_MAX || !var_name(&w.tok, &var->name)) {
            return 0;
        }
        step(&w);
        if (w.tok.kind != TOK_EQ && w.tok.kind != TOK_ASSIGN) {
            return 0;
        }
        step(&w);
        if (!var_value(&w, var)) {
            return 0;
        }
        has_text = has_text || var->is_text;
        count++;
    } while (w.tok.kind == TOK_COMMA);
    return is_about && has_text ? 0 : count; /* a string was read as it was before */
}
