/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.c - one text for all statements that differ in their literals.
 *
 * Literals become ?; "?, ?, ?" becomes "?"; rows "(?), (?)" become "(?)". What may yet turn out to
 * be one more row is kept back as a state (enum run), for its text is known from the state.
 */
#include <stddef.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the state lives on the stack */
#include <xxhash.h>

#include "keyword_priv.h"
#include "token_priv.h"

enum run {
    RUN_NONE,
    RUN_LITERAL,       /* "?" was written */
    RUN_LITERAL_COMMA, /* ... and a comma is kept back */
    RUN_ROW,           /* "(?)" was written */
    RUN_ROW_COMMA,     /* ", " kept back */
    RUN_ROW_OPEN,      /* ", (" kept back */
    RUN_ROW_LITERAL,   /* ", (?" kept back */
    RUN_ROW_MORE       /* ", (?, " kept back */
};

#define CHUNK_BYTES 256 /* most normalised statements are hashed in one piece */

struct digest {
    XXH64_state_t hash; /* begun when the first chunk is full */
    char chunk[CHUNK_BYTES];
    size_t chunk_len;
    bool is_begun;
    char *dst;
    size_t cap;
    size_t len;
    enum run run;
    bool is_in_row; /* the "?" written stands right behind "(" */
    bool no_space;  /* nothing goes between the last token and the next */
    bool was_paren; /* the last token was "(" */
};

static void hash_chunk(struct digest *d)
{
    if (!d->is_begun) {
        XXH64_reset(&d->hash, 0);
        d->is_begun = true;
    }
    XXH64_update(&d->hash, d->chunk, d->chunk_len);
    d->chunk_len = 0;
}

static void put_hash(struct digest *d, const void *bytes, size_t len)
{
    if (len > sizeof(d->chunk) - d->chunk_len) {
        hash_chunk(d);
    }
    if (len > sizeof(d->chunk)) {
        XXH64_update(&d->hash, bytes, len);
        return;
    }
    memcpy(d->chunk + d->chunk_len, bytes, len);
    d->chunk_len += len;
}

static void put(struct digest *d, const void *bytes, size_t len)
{
    put_hash(d, bytes, len);
    if (d->len + 1 < d->cap) {
        size_t room = d->cap - 1 - d->len;
        size_t n = len < room ? len : room;
        memcpy(d->dst + d->len, bytes, n);
        d->len += n;
    }
}

static void put_text(struct digest *d, const char *text)
{
    put(d, text, strlen(text));
}

/* Writes what was kept back. */
static void flush(struct digest *d)
{
    static const char *const kept[] = {"", "", ",", "", ",", ", (", ", (?", ", (?,"};
    put_text(d, kept[d->run]);
    if (d->run != RUN_NONE) {
        d->no_space = d->run == RUN_ROW_OPEN;
    }
    d->run = RUN_NONE;
}

static void put_space(struct digest *d)
{
    if (!d->no_space) {
        put(d, " ", 1);
    }
    d->no_space = false;
}

/* A word that is no reserved one stands right before "(": written as a call. */
static bool tok_is_call(const struct tok *tok)
{
    return tok->kind == TOK_QUOTED ||
           (tok->kind == TOK_WORD && (keyword_flags[tok->kw] & KWF_RESERVED) == 0);
}

static bool is_literal(const struct tok *tok)
{
    return tok->kind == TOK_STRING || tok->kind == TOK_NUMBER || tok->kind == TOK_PARAM;
}

/* True: the token is part of a run and was dealt with. */
static bool run_take(struct digest *d, const struct tok *tok)
{
    if (is_literal(tok)) {
        switch (d->run) {
        case RUN_LITERAL_COMMA:
            d->run = RUN_LITERAL;
            return true;
        case RUN_ROW_OPEN:
        case RUN_ROW_MORE:
            d->run = RUN_ROW_LITERAL;
            return true;
        case RUN_NONE:
        case RUN_LITERAL:
        case RUN_ROW:
        case RUN_ROW_COMMA:
        case RUN_ROW_LITERAL:
            return false;
        }
    }
    if (tok->kind == TOK_COMMA) {
        switch (d->run) {
        case RUN_LITERAL:
        case RUN_ROW:
        case RUN_ROW_LITERAL:
            d->run = (enum run)(d->run + 1);
            return true;
        case RUN_NONE:
        case RUN_LITERAL_COMMA:
        case RUN_ROW_COMMA:
        case RUN_ROW_OPEN:
        case RUN_ROW_MORE:
            return false;
        }
    }
    if (tok->kind == TOK_LPAREN && d->run == RUN_ROW_COMMA) {
        d->run = RUN_ROW_OPEN;
        return true;
    }
    if (tok->kind == TOK_RPAREN && d->run == RUN_ROW_LITERAL) {
        d->run = RUN_ROW;
        return true;
    }
    return false;
}

static void put_word(struct digest *d, const struct tok *tok, bool is_first)
{
    bool is_upper = tok->kind == TOK_WORD && tok->kw != KW_NONE &&
                    (is_first || (keyword_flags[tok->kw] & KWF_RESERVED) != 0);
    if (is_upper) {
        const struct kw_def *def = keyword_def(tok->kw);
        put(d, def->text, def->len);
        return;
    }
    put(d, tok->p, tok->len);
}

static void digest_token(struct digest *d, const struct tok *tok, const struct tok *before)
{
    if (run_take(d, tok)) {
        return;
    }
    bool is_row_end = tok->kind == TOK_RPAREN && d->run == RUN_LITERAL && d->is_in_row;
    flush(d);
    bool was_paren = d->was_paren;
    d->was_paren = false;
    switch ((enum tok_kind)tok->kind) {
    case TOK_COMMA:
        put_text(d, ",");
        d->no_space = false;
        return;
    case TOK_RPAREN:
        put_text(d, ")");
        d->no_space = false;
        d->run = is_row_end ? RUN_ROW : RUN_NONE;
        return;
    case TOK_DOT:
        put_text(d, ".");
        d->no_space = true;
        return;
    case TOK_LPAREN:
        if (tok_is_call(before)) {
            d->no_space = true;
        }
        put_space(d);
        put_text(d, "(");
        d->no_space = true;
        d->was_paren = true;
        return;
    case TOK_STRING:
    case TOK_NUMBER:
    case TOK_PARAM:
        put_space(d);
        put_text(d, "?");
        d->run = RUN_LITERAL;
        d->is_in_row = was_paren;
        return;
    case TOK_WORD:
    case TOK_QUOTED:
    case TOK_USERVAR:
    case TOK_SYSVAR:
    case TOK_ASSIGN:
    case TOK_SEMI:
    case TOK_EQ:
    case TOK_OP:
    case TOK_STAR:
    case TOK_LBRACE:
    case TOK_RBRACE:
    case TOK_BAD:
    case TOK_END:
        put_space(d);
        put_word(d, tok, before->kind == TOK_END);
        return;
    }
}

static uint64_t hash_end(struct digest *d)
{
    if (!d->is_begun) {
        return XXH64(d->chunk, d->chunk_len, 0);
    }
    hash_chunk(d);
    return XXH64_digest(&d->hash);
}

static void digest_all(struct digest *d, struct span sql, const struct classify_env *env)
{
    struct lexer lex;
    struct tok before = {.kind = TOK_END};
    struct tok tok;
    struct tok semi;
    bool has_semi = false;
    lex_init(&lex, sql, env, NULL);
    for (lex_next(&lex, &tok); tok.kind != TOK_END; lex_next(&lex, &tok)) {
        if (tok.kind == TOK_SEMI) {
            /* one that nothing follows does not count */
            semi = tok;
            has_semi = before.kind != TOK_END;
            continue;
        }
        if (has_semi) {
            has_semi = false;
            digest_token(d, &semi, &before);
        }
        digest_token(d, &tok, &before);
        before = tok;
    }
    flush(d);
}

/* The big parts of d stay unset: they are written before they are read. */
static void digest_init(struct digest *d, char *dst, size_t cap)
{
    d->chunk_len = 0;
    d->is_begun = false;
    d->dst = dst;
    d->cap = cap;
    d->len = 0;
    d->run = RUN_NONE;
    d->is_in_row = false;
    d->no_space = true;
    d->was_paren = false;
}

uint64_t classify_digest(struct span sql, const struct classify_env *env, char *dst, size_t cap,
                         size_t *ret_len)
{
    struct digest d;

    digest_init(&d, dst, cap);
    digest_all(&d, sql, env);
    if (cap > 0) {
        dst[d.len] = '\0';
    }
    *ret_len = d.len;
    return hash_end(&d);
}

uint64_t classify_digest_hash(struct span sql, const struct classify_env *env)
{
    struct digest d;

    digest_init(&d, NULL, 0);
    digest_all(&d, sql, env);
    return hash_end(&d);
}
