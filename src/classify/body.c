/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c - the body of a stored function, proven to do nothing but read.
 *
 * The server has taken the text: it is a well-formed body. What must not happen is that a statement
 * which writes is taken for a part of something else. So blocks are a stack, a statement ends at its
 * semicolon only, and an expression may only end at the word that its statement has behind it:
 * END, WHEN, THEN or ELSE that belong to no CASE within it are an error. Names that look like such
 * words make a body end up as "not understood", never as harmless.
 *
 *   RETURN expr | SET local = expr, ... | SELECT ... INTO local, ... | IF | CASE | LOOP | REPEAT |
 *   WHILE | LEAVE | ITERATE | BEGIN ... END | DECLARE local, CURSOR, CONDITION, HANDLER FOR NOT FOUND |
 *   OPEN | FETCH | CLOSE
 *
 * A variable is only set when a declaration in scope, or a parameter, has its name: any other name
 * behind SET is a variable of the session. All other effects (user variables, locks, ids) are noted
 * as everywhere, and stop it.
 */
#include "weir/classify/body.h"

#include <stddef.h>
#include <string.h>

#include "weir/util/attr.h"

#include "query_priv.h"

#define LOCAL_BYTES 260

enum block {
    BLOCK_BEGIN,
    BLOCK_IF,
    BLOCK_CASE,
    BLOCK_LOOP,
    BLOCK_REPEAT,
    BLOCK_WHILE
};

struct local {
    struct span name; /* as written */
    unsigned depth;   /* of the block that it belongs to */
};

struct body {
    const struct span *params;
    size_t param_count;
    unsigned depth;
    unsigned local_count;
    unsigned into_count; /* of the statement at hand */
    bool may_into;
    bool may_assign; /* the next token may be := */
    uint8_t blocks[CLASSIFY_MAX_DEPTH];
    struct local locals[CLASSIFY_MAX_LOCALS];
};

bool body_may_assign(const struct body *body)
{
    return body->may_assign;
}

static void refuse(struct parser *ps)
{
    parser_fail(ps, WHY_SHAPE);
}

/* --- variables ----------------------------------------------------------------------------------- */

/* Written names without quotes are equal when their letters are; with them, plain names are made. */
static bool local_eq(struct span written, struct span plain)
{
    char name[LOCAL_BYTES];
    size_t len = classify_name_decode(written, name, sizeof(name));
    return len < sizeof(name) && span_eq_nocase((struct span){(uint8_t *)name, len}, plain);
}

static bool is_local(const struct body *body, struct span name)
{
    char plain[LOCAL_BYTES];
    size_t len = classify_name_decode(name, plain, sizeof(plain));
    struct span wanted = {(uint8_t *)plain, len};
    if (len == 0 || len >= sizeof(plain)) {
        return false;
    }
    for (unsigned i = 0; i < body->local_count; i++) {
        if (local_eq(body->locals[i].name, wanted)) {
            return true;
        }
    }
    for (size_t i = 0; i < body->param_count; i++) {
        if (span_eq_nocase(body->params[i], wanted)) {
            return true;
        }
    }
    return false;
}

static void local_add(struct parser *ps, struct span name)
{
    struct body *body = ps->body;
    if (body->local_count == CLASSIFY_MAX_LOCALS) {
        refuse(ps);
        return;
    }
    body->locals[body->local_count++] = (struct local){.name = name, .depth = body->depth};
}

/* From the token behind INTO: local [, local]...; the last of them is left current, for whoever
 * reads a query goes on behind it. */
static void into_targets(struct parser *ps)
{
    for (;;) {
        const struct tok *tok = parser_tok(ps);
        struct tok next = parser_peek(ps);
        if (!tok_is_name(tok) || !is_local(ps->body, tok_span(tok)) || next.kind == TOK_DOT ||
            next.kind == TOK_LPAREN) {
            parser_fail(ps, WHY_INTO);
            return;
        }
        ps->body->into_count++;
        if (next.kind != TOK_COMMA) {
            return;
        }
        parser_next(ps);
        parser_next(ps);
    }
}

void body_into(struct parser *ps)
{
    if (!ps->body->may_into || ps->body->into_count > 0) {
        parser_fail(ps, WHY_INTO);
        return;
    }
    parser_next(ps);
    into_targets(ps);
    struct tok next = parser_peek(ps);
    if (!tok_ends(&next) && !tok_is(&next, KW_FROM) && !tok_is(&next, KW_FOR) &&
        !tok_is(&next, KW_LOCK)) {
        parser_fail(ps, WHY_INTO);
    }
}

/* --- expressions --------------------------------------------------------------------------------- */

/* A word that begins statements, and is none of the functions of that name. */
static bool begins_statement(const struct parser *ps, const struct tok *tok)
{
    static const uint16_t words[] = {
        KW_INSERT, KW_UPDATE, KW_DELETE, KW_REPLACE, KW_CALL,   KW_SET,     KW_LOAD,    KW_CREATE,
        KW_ALTER,  KW_DROP,   KW_RENAME, KW_GRANT,   KW_REVOKE, KW_RETURN,  KW_DECLARE, KW_IF,
        KW_LOOP,   KW_REPEAT, KW_WHILE,  KW_LEAVE,   KW_KILL,   KW_ITERATE, KW_ELSEIF};
    bool is_one = false;
    for (size_t i = 0; i < WR_ARRAY_LEN(words); i++) {
        is_one = is_one || tok_is(tok, words[i]);
    }
    if (!is_one || (tok_is(tok, KW_SET) && tok_is(parser_back(ps, 1), KW_CHARACTER))) {
        return false;
    }
    struct tok next = parser_peek(ps);
    return next.kind != TOK_LPAREN;
}

/* A word of CASE at the outermost level of an expression. True: it ends the expression. */
static bool case_word(struct parser *ps, const struct tok *tok, uint16_t stop, unsigned *cases)
{
    switch (tok->kw) {
    case KW_CASE:
        (*cases)++;
        return false;
    case KW_END:
    case KW_WHEN:
    case KW_THEN:
    case KW_ELSE:
        break;
    default:
        return *cases == 0 && tok->kw != KW_NONE && tok->kw == stop;
    }
    if (*cases > 0) {
        *cases -= tok->kw == KW_END;
        return false;
    }
    if (tok->kw != stop) {
        refuse(ps);
    }
    return true;
}

/* An expression, from its first token to the one that ends it: the word stop, a semicolon, the end,
 * or, when has_more is given, a comma. */
static void expression(struct parser *ps, uint16_t stop, bool has_more)
{
    unsigned cases = 0;
    bool is_empty = true;
    query_begin_steps(ps, true);
    if (parser_tok(ps)->kind == TOK_LPAREN) {
        frame_push(ps, FR_EXPR, FRF_START); /* the word before it is no function */
        parser_next(ps);
        is_empty = false;
    }
    while (!ps->is_failed) {
        const struct tok *tok = parser_tok(ps);
        if (tok_ends(tok)) {
            break;
        }
        if (ps->depth == 0 && ((has_more && tok->kind == TOK_COMMA) ||
                               (tok->kind == TOK_WORD && case_word(ps, tok, stop, &cases)))) {
            break;
        }
        if (tok->kind == TOK_ASSIGN || begins_statement(ps, tok)) {
            refuse(ps);
            break;
        }
        is_empty = false;
        query_step(ps);
        parser_next(ps);
    }
    if (is_empty || cases > 0 || (stop != KW_NONE && !tok_is(parser_tok(ps), stop))) {
        refuse(ps);
    } else if (!ps->is_failed) {
        query_end_steps(ps);
    }
}

/* --- statements ---------------------------------------------------------------------------------- */

static void block_push(struct parser *ps, enum block block)
{
    struct body *body = ps->body;
    if (body->depth == CLASSIFY_MAX_DEPTH) {
        refuse(ps);
        return;
    }
    body->blocks[body->depth++] = (uint8_t)block;
}

static bool block_is(const struct body *body, enum block block)
{
    return body->depth > 0 && body->blocks[body->depth - 1] == (uint8_t)block;
}

/* Behind a statement. */
static void statement_end(struct parser *ps)
{
    if (ps->is_failed) {
        return;
    }
    if (parser_tok(ps)->kind == TOK_SEMI) {
        parser_next(ps);
    } else if (ps->body->depth > 0 || parser_tok(ps)->kind != TOK_END) {
        refuse(ps);
    }
}

/* From the token behind END: the word of the block, a label, the semicolon. */
static void end_parse(struct parser *ps)
{
    static const uint16_t words[] = {KW_NONE, KW_IF, KW_CASE, KW_LOOP, KW_REPEAT, KW_WHILE};
    struct body *body = ps->body;
    if (body->depth == 0) {
        refuse(ps);
        return;
    }
    uint16_t word = words[body->blocks[body->depth - 1]];
    if (word != KW_NONE && !parser_take(ps, word)) {
        refuse(ps);
        return;
    }
    if (tok_is_name(parser_tok(ps))) {
        parser_next(ps); /* the label */
    }
    while (body->local_count > 0 && body->locals[body->local_count - 1].depth == body->depth) {
        body->local_count--;
    }
    body->depth--;
    statement_end(ps);
}

static void set_locals(struct parser *ps)
{
    do {
        const struct tok *tok = parser_tok(ps);
        struct tok next = parser_peek(ps);
        if (!tok_is_name(tok) || !is_local(ps->body, tok_span(tok)) ||
            (next.kind != TOK_EQ && next.kind != TOK_ASSIGN)) {
            parser_fail(ps, WHY_SET);
            return;
        }
        ps->body->may_assign = true;
        parser_next(ps);
        ps->body->may_assign = false;
        parser_next(ps);
        expression(ps, KW_NONE, true);
    } while (!ps->is_failed && parser_tok(ps)->kind == TOK_COMMA && parser_next(ps) != NULL);
    statement_end(ps);
}

static void query(struct parser *ps, bool may_into)
{
    ps->body->may_into = may_into;
    ps->body->into_count = 0;
    query_begin_steps(ps, false);
    while (!ps->is_failed && !tok_ends(parser_tok(ps))) {
        if (begins_statement(ps, parser_tok(ps))) {
            refuse(ps);
            return;
        }
        query_step(ps);
        parser_next(ps);
    }
    if (ps->is_failed) {
        return;
    }
    query_end_steps(ps);
    ps->body->may_into = false;
    if (may_into && ps->body->into_count == 0) {
        refuse(ps); /* its rows would go to the client */
    }
    statement_end(ps);
}

/* DECLARE CONTINUE | EXIT ... HANDLER FOR NOT FOUND: the statement comes behind it. Other handlers
 * would turn an error that only one replica has into an answer. */
static void declare_handler(struct parser *ps)
{
    parser_next(ps);
    if (!parser_take(ps, KW_HANDLER) || !parser_take(ps, KW_FOR) || !parser_take(ps, KW_NOT) ||
        !parser_take(ps, KW_FOUND) || parser_tok(ps)->kind == TOK_COMMA) {
        parser_fail(ps, WHY_CONDITION);
    }
}

/* name CONDITION FOR SQLSTATE [VALUE] 'text' | number */
static void declare_condition(struct parser *ps)
{
    parser_next(ps);
    parser_next(ps);
    bool is_for = parser_take(ps, KW_FOR);
    if (parser_take(ps, KW_SQLSTATE)) {
        (void)parser_take(ps, KW_VALUE);
    }
    if (!is_for || (parser_tok(ps)->kind != TOK_STRING && parser_tok(ps)->kind != TOK_NUMBER)) {
        refuse(ps);
        return;
    }
    parser_next(ps);
    statement_end(ps);
}

static bool is_type_token(const struct tok *tok, bool is_inside)
{
    if (tok->kind == TOK_WORD) {
        return (keyword_flags[tok->kw] & KWF_CLAUSE) == 0;
    }
    return tok->kind == TOK_NUMBER || tok->kind == TOK_LPAREN || tok->kind == TOK_RPAREN ||
           (is_inside && (tok->kind == TOK_COMMA || tok->kind == TOK_STRING));
}

/* name [, name]... type [DEFAULT expr] */
static void declare_locals(struct parser *ps)
{
    unsigned parens = 0;
    for (;;) {
        const struct tok *tok = parser_tok(ps);
        if (!tok_is_name(tok) ||
            (tok->kind == TOK_WORD && (keyword_flags[tok->kw] & KWF_RESERVED) != 0)) {
            refuse(ps);
            return;
        }
        local_add(ps, tok_span(parser_tok(ps)));
        parser_next(ps);
        if (parser_tok(ps)->kind != TOK_COMMA) {
            break;
        }
        parser_next(ps);
    }
    ps->body->may_assign = true;
    while (!ps->is_failed && !tok_ends(parser_tok(ps))) {
        const struct tok *tok = parser_tok(ps);
        if (parens == 0 && (tok_is(tok, KW_DEFAULT) || tok->kind == TOK_ASSIGN)) {
            break;
        }
        parens += tok->kind == TOK_LPAREN;
        parens -= tok->kind == TOK_RPAREN;
        if (parens > 1 || !is_type_token(tok, parens > 0) || begins_statement(ps, tok)) {
            refuse(ps);
        }
        parser_next(ps);
    }
    ps->body->may_assign = false;
    if (!tok_ends(parser_tok(ps)) && !ps->is_failed) {
        parser_next(ps);
        expression(ps, KW_NONE, false);
    }
    statement_end(ps);
}

static void declare_parse(struct parser *ps)
{
    struct tok next = parser_peek(ps);
    if (!block_is(ps->body, BLOCK_BEGIN)) {
        refuse(ps);
    } else if (tok_is(&next, KW_HANDLER)) {
        declare_handler(ps);
    } else if (tok_is(&next, KW_CONDITION)) {
        declare_condition(ps);
    } else if (tok_is(&next, KW_CURSOR)) {
        parser_next(ps);
        parser_next(ps);
        if (!parser_take(ps, KW_FOR)) {
            refuse(ps);
            return;
        }
        query(ps, false);
    } else {
        declare_locals(ps);
    }
}

static void fetch_parse(struct parser *ps)
{
    struct tok next = parser_peek(ps);
    if (tok_is(parser_tok(ps), KW_NEXT) && tok_is(&next, KW_FROM)) {
        parser_next(ps);
    }
    (void)parser_take(ps, KW_FROM);
    next = parser_peek(ps);
    if (!tok_is_name(parser_tok(ps)) || !tok_is(&next, KW_INTO)) {
        refuse(ps);
        return;
    }
    parser_next(ps);
    parser_next(ps);
    into_targets(ps);
    if (!ps->is_failed) {
        parser_next(ps);
    }
    statement_end(ps);
}

/* OPEN, CLOSE, LEAVE, ITERATE: one name. */
static void name_parse(struct parser *ps)
{
    if (!tok_is_name(parser_tok(ps))) {
        refuse(ps);
        return;
    }
    parser_next(ps);
    statement_end(ps);
}

static void case_parse(struct parser *ps)
{
    block_push(ps, BLOCK_CASE);
    if (!tok_is(parser_tok(ps), KW_WHEN)) {
        expression(ps, KW_WHEN, false);
    }
}

/* Words that go on with the block at hand. False: none of them. */
static bool block_word(struct parser *ps, uint16_t kw)
{
    const struct body *body = ps->body;
    if ((kw == KW_ELSEIF && block_is(body, BLOCK_IF)) ||
        (kw == KW_WHEN && block_is(body, BLOCK_CASE))) {
        parser_next(ps);
        expression(ps, KW_THEN, false);
        parser_next(ps);
    } else if (kw == KW_ELSE && (block_is(body, BLOCK_IF) || block_is(body, BLOCK_CASE))) {
        parser_next(ps);
    } else if (kw == KW_UNTIL && block_is(body, BLOCK_REPEAT)) {
        parser_next(ps);
        expression(ps, KW_END, false);
    } else if (kw == KW_END) {
        parser_next(ps);
        end_parse(ps);
    } else {
        return false;
    }
    return true;
}

/* Statements that open a block. False: none of them. */
static bool block_open(struct parser *ps, uint16_t kw)
{
    switch (kw) {
    case KW_BEGIN:
        parser_next(ps);
        block_push(ps, BLOCK_BEGIN);
        return true;
    case KW_IF:
        parser_next(ps);
        block_push(ps, BLOCK_IF);
        expression(ps, KW_THEN, false);
        parser_next(ps);
        return true;
    case KW_CASE:
        parser_next(ps);
        case_parse(ps);
        return true;
    case KW_LOOP:
        parser_next(ps);
        block_push(ps, BLOCK_LOOP);
        return true;
    case KW_REPEAT:
        parser_next(ps);
        block_push(ps, BLOCK_REPEAT);
        return true;
    case KW_WHILE:
        parser_next(ps);
        block_push(ps, BLOCK_WHILE);
        expression(ps, KW_DO, false);
        parser_next(ps);
        return true;
    default:
        return false;
    }
}

static void plain_statement(struct parser *ps, uint16_t kw)
{
    enum classify_why why = WHY_NONE;
    switch (kw) {
    case KW_RETURN:
        parser_next(ps);
        expression(ps, KW_NONE, false);
        statement_end(ps);
        return;
    case KW_SET:
        parser_next(ps);
        set_locals(ps);
        return;
    case KW_SELECT:
    case KW_WITH:
        query(ps, true);
        return;
    case KW_DECLARE:
        parser_next(ps);
        declare_parse(ps);
        return;
    case KW_FETCH:
        parser_next(ps);
        fetch_parse(ps);
        return;
    case KW_OPEN:
    case KW_CLOSE:
    case KW_LEAVE:
    case KW_ITERATE:
        parser_next(ps);
        name_parse(ps);
        return;
    default:
        (void)statement_has_word(kw, &why);
        parser_fail(ps, why);
        return;
    }
}

/* label : */
static void label_skip(struct parser *ps)
{
    struct tok next = parser_peek(ps);
    if (tok_is_name(parser_tok(ps)) && next.kind == TOK_BAD && next.p[0] == ':') {
        parser_next(ps);
        parser_next(ps);
        uint16_t kw = parser_tok(ps)->kind == TOK_WORD ? parser_tok(ps)->kw : KW_NONE;
        if (kw != KW_BEGIN && kw != KW_LOOP && kw != KW_REPEAT && kw != KW_WHILE) {
            refuse(ps);
        }
    }
}

/* Statement by statement, until all blocks are closed. */
static void body_run(struct parser *ps)
{
    parser_next(ps);
    do {
        label_skip(ps);
        const struct tok *tok = parser_tok(ps);
        if (tok->kind != TOK_WORD) {
            refuse(ps);
        }
        if (!ps->is_failed && !block_word(ps, tok->kw) && !block_open(ps, tok->kw)) {
            plain_statement(ps, tok->kw);
        }
    } while (!ps->is_failed && ps->body->depth > 0);
    if (parser_tok(ps)->kind != TOK_END) {
        refuse(ps);
    }
}

static bool has_code_comment(struct span body)
{
    return memmem(body.p, body.len, "/*!", 3) != NULL ||
           memmem(body.p, body.len, "/*M!", 4) != NULL;
}

/* Outside UTF-8 only what all sets have alike: ASCII. */
static bool is_plain_text(struct span body, const struct classify_env *env)
{
    if (env->charset != CLASSIFY_CS_SAFE && env->charset != CLASSIFY_CS_BYTE) {
        return false;
    }
    for (size_t i = 0; env->charset != CLASSIFY_CS_SAFE && i < body.len; i++) {
        if (body.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

void classify_function_body(struct span body, const struct classify_env *env,
                            const struct span *params, size_t param_count, struct facts *ret_facts)
{
    struct parser ps;
    struct body state;
    memset(ret_facts, 0, offsetof(struct facts, hint));
    state.params = params;
    state.param_count = param_count;
    state.depth = 0;
    state.local_count = 0;
    state.into_count = 0;
    state.may_into = false;
    state.may_assign = false;
    parser_init(&ps, body, env, ret_facts);
    ps.lex.facts = NULL; /* hints in it are no hints for the statement that calls it */
    ps.body = &state;
    parser_set_verb(&ps, VERB_SELECT);
    if (body.len > CLASSIFY_MAX_BODY) {
        parser_fail(&ps, WHY_TOO_LARGE);
    } else if (has_code_comment(body)) {
        parser_fail(&ps, WHY_COMMENT); /* what it holds runs on some versions only */
    } else if (!is_plain_text(body, env)) {
        parser_fail(&ps, WHY_CHARSET);
    } else {
        body_run(&ps);
    }
    facts_finish(ret_facts, &ps, env);
    ret_facts->id_count = 0;
}
