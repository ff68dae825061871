/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - the way that every token takes: words and single bytes are cut here, the rest by
 * lex_rest(), and what has an effect by itself goes to parser_note().
 *
 * Nearly all of the time of classify_sql() is spent in this file. It is one file so that the compiler
 * makes one function of it that seldom calls another.
 */
#include "parse_priv.h"

/* Four of five words that are no keywords meet an empty slot. */
static inline uint16_t keyword_at(uint64_t tail, const uint8_t *word, size_t len)
{
    bool is_empty = keyword_slots[keyword_slot(tail)] == KW_NONE;
    return is_empty ? KW_NONE : keyword_match(tail, word, len);
}

/* One pass finds the end of the word and folds it into what the keywords are found by. */
static inline void cut_word(struct lexer *lex, const uint8_t *start, struct tok *tok)
{
    const uint8_t *p = start;
    const uint8_t *end = lex->end;
    uint64_t tail = 0;
    while (p < end && (int8_t)lex_fold[*p] > 0) { /* ends at bytes >= 0x80, too */
        tail = tail << 8 | lex_fold[*p];
        p++;
    }
    tok->kind = TOK_WORD;
    tok->kw = KW_NONE;
    if (p < end && *p >= 0x80) {
        p = lex_skip_high_word(lex, start, p);
        tail = 0;
    }
    lex->p = p;
    tok->len = (uint32_t)(p - start);
    if (tail != 0 && (tok->flags & TOKF_DOT) == 0) {
        tok->kw = keyword_at(tail, start, tok->len);
    }
}

/* The word right behind a dot. */
static void cut_behind_dot(struct lexer *lex, struct tok *tok)
{
    lex->is_after_dot = false;
    lex->is_after_name = true;
    tok->flags = TOKF_DOT;
    tok->p = lex->p;
    cut_word(lex, lex->p, tok);
}

static inline void cut_single(struct lexer *lex, const uint8_t *p, unsigned cc, struct tok *tok)
{
    lex->is_after_name = false;
    lex->p = p + 1;
    tok->kw = KW_NONE;
    tok->kind = lex_single_kinds[cc];
    tok->len = 1;
}

/* Digits and nothing else that could belong to a number or a name. False: nothing was done. */
static inline bool cut_digits(struct lexer *lex, const uint8_t *start, struct tok *tok)
{
    const uint8_t *p = start + 1;
    while (p < lex->end && lex_class[*p] == CC_DIGIT) {
        p++;
    }
    if (p < lex->end && (lex_fold[*p] != 0 || *p == '.')) {
        return false;
    }
    lex->is_after_name = false;
    lex->p = p;
    tok->kw = KW_NONE;
    tok->kind = TOK_NUMBER;
    tok->len = (uint32_t)(p - start);
    return true;
}

static inline void cut_token(struct lexer *lex, struct tok *tok)
{
    const uint8_t *p = lex->p;
    unsigned cc = CC_SPACE; /* that of the end, too */
    if (lex->is_after_dot) {
        cut_behind_dot(lex, tok);
        return;
    }
    for (; p < lex->end; p++) {
        cc = lex_class[*p];
        if (cc != CC_SPACE) {
            break;
        }
    }
    tok->flags = p != lex->p ? TOKF_SPACE : 0;
    tok->p = p;
    if (cc == CC_WORD) {
        lex->is_after_name = true;
        cut_word(lex, p, tok);
    } else if (cc >= CC_EQ) {
        cut_single(lex, p, cc, tok);
    } else if (cc != CC_DIGIT || !cut_digits(lex, p, tok)) {
        lex->p = p;
        lex_rest(lex, tok);
    }
}

void lex_next(struct lexer *lex, struct tok *ret_tok)
{
    cut_token(lex, ret_tok);
}

void lex_word(struct lexer *lex, const uint8_t *start, struct tok *tok)
{
    cut_word(lex, start, tok);
}

/* Kinds of token that can have an effect by themselves. */
#define NOTED \
    (1U << TOK_LPAREN | 1U << TOK_RPAREN | 1U << TOK_USERVAR | 1U << TOK_SYSVAR | 1U << TOK_ASSIGN)

static inline bool tok_has_effect(const struct tok *tok)
{
    if (tok->kind == TOK_WORD) {
        return tok->kw == KW_INTO || (keyword_flags[tok->kw] & KWF_VOLATILE_BARE) != 0;
    }
    return (NOTED >> tok->kind & 1U) != 0;
}

/* Kinds of token that say nothing about the shape of an expression. */
#define PLAIN                                                                                   \
    (1U << TOK_QUOTED | 1U << TOK_STRING | 1U << TOK_NUMBER | 1U << TOK_COMMA | 1U << TOK_DOT | \
     1U << TOK_EQ | 1U << TOK_OP | 1U << TOK_STAR | 1U << TOK_PARAM)

static inline bool tok_is_plain(const struct tok *tok)
{
    return tok->kind == TOK_WORD ? (keyword_flags[tok->kw] & KWF_CLAUSE) == 0
                                 : (PLAIN >> tok->kind & 1U) != 0;
}

/* Plain, and without an effect: one question for most tokens. INTO is a KWF_CLAUSE. */
static inline bool tok_is_silent(const struct tok *tok)
{
    return tok->kind == TOK_WORD ? (keyword_flags[tok->kw] & (KWF_CLAUSE | KWF_VOLATILE_BARE)) == 0
                                 : (PLAIN >> tok->kind & 1U) != 0;
}

static inline struct tok *fetch(struct parser *ps)
{
    ps->at++;
    struct tok *tok = &ps->ring[ps->at % PARSER_RING];
    cut_token(&ps->lex, tok);
    return tok;
}

const struct tok *parser_next(struct parser *ps)
{
    const struct tok *tok = fetch(ps);
    if (tok_has_effect(tok)) {
        parser_note(ps, tok);
    }
    return tok;
}

const struct tok *parser_next_clause(struct parser *ps)
{
    const struct tok *tok = NULL;
    do {
        do {
            tok = fetch(ps);
        } while (tok_is_silent(tok));
        if (tok_has_effect(tok)) {
            parser_note(ps, tok);
        }
    } while (tok_is_plain(tok));
    return tok;
}
