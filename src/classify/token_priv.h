/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - cuts SQL text into tokens exactly as the servers' lexers do.
 *
 * WHY       Whether FOR UPDATE is code, a comment, a string or a name decides where it may run;
 *           sql_mode, character set, vendor and version all have a say in that.
 * OWNS      none; tokens point into the text.
 * THREADS   any; the lexer belongs to its caller.
 * REENTRY   A copy of the struct is a look-ahead.
 * UNITS     bytes
 * ERRORS    none: what cannot be cut safely sets a LEXF_* flag and cutting goes on as the servers do.
 * BOUNDS    One token is looked at once; no look-back, no recursion, nothing allocated.
 */
#ifndef WEIR_CLASSIFY_TOKEN_PRIV_H
#define WEIR_CLASSIFY_TOKEN_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/classify/classify.h"

enum tok_kind {
    TOK_END,
    TOK_WORD,   /* bare word; kw is set when it is a known one */
    TOK_QUOTED, /* `name`, or "name" under ANSI_QUOTES */
    TOK_STRING,
    TOK_NUMBER,
    TOK_LPAREN,
    TOK_RPAREN,
    TOK_COMMA,
    TOK_DOT,
    TOK_SEMI,
    TOK_USERVAR, /* @name, @'name' */
    TOK_SYSVAR,  /* @@name, @@scope.name */
    TOK_ASSIGN,  /* := */
    TOK_EQ,
    TOK_OP,
    TOK_STAR,
    TOK_LBRACE,
    TOK_RBRACE,
    TOK_PARAM, /* ? */
    TOK_BAD    /* a byte that no statement of ours has, or a dollar-quoted text */
};

#define TOKF_SPACE   0x1U /* white space or a comment stands before it */
#define TOKF_DOT     0x2U /* stands right behind a dot: a name whatever it says */
#define TOKF_COMMENT 0x4U /* a comment stands before it: IGNORE_SPACE does not skip that */

struct tok {
    const uint8_t *p;
    uint32_t len;
    uint16_t kw;
    uint8_t kind;
    uint8_t flags;
};

#define LEXF_OPEN    0x1U /* unterminated quote or comment */
#define LEXF_COMMENT 0x2U /* an executable comment that may or may not run */
#define LEXF_CHARSET 0x4U /* bytes that the character set leaves open */

struct lexer {
    const uint8_t *p;
    const uint8_t *end;
    struct facts *facts; /* takes the hints; NULL: hints are not looked at */
    uint32_t mode;
    uint32_t version;
    uint8_t charset;
    uint8_t flavour;
    uint8_t flags;      /* LEXF_* */
    bool is_in_code;    /* inside an executable comment whose content runs */
    bool is_after_dot;  /* the last token was a dot with a name right behind it */
    bool is_after_name; /* the last token was a name that ended right here */
};

/* What a token may begin with. */
enum cclass {
    CC_BAD,
    CC_SPACE,
    CC_WORD,
    CC_DIGIT,
    CC_HIGH,
    CC_DOLLAR,
    CC_SQUOTE,
    CC_DQUOTE,
    CC_TICK,
    CC_SLASH,
    CC_DASH,
    CC_HASH,
    CC_AT,
    CC_DOT,
    CC_COLON,
    CC_STAR,
    CC_EQ, /* from here on: one byte, one token */
    CC_OP,
    CC_LPAREN,
    CC_RPAREN,
    CC_COMMA,
    CC_SEMI,
    CC_LBRACE,
    CC_RBRACE,
    CC_PARAM
};

extern const uint8_t lex_class[256];
/* The upper-case byte for bytes that may continue a word, 0 for the rest. */
extern const uint8_t lex_fold[256];
/* enum tok_kind of the classes from CC_EQ on */
extern const uint8_t lex_single_kinds[CC_PARAM + 1];

void lex_init(struct lexer *lex, struct span sql, const struct classify_env *env,
              struct facts *facts);

/* fetch.c: TOK_END again and again once the text has ended. */
void lex_next(struct lexer *lex, struct tok *ret_tok);

/* fetch.c: a word that begins at start; sets all but p and flags. */
void lex_word(struct lexer *lex, const uint8_t *start, struct tok *tok);

/* token.c: the token at lex->p, behind white space; tok->flags tells whether there was any. */
void lex_rest(struct lexer *lex, struct tok *tok);
/* token.c: a word goes on behind bytes >= 0x80 (the first is at p); it is no keyword. */
const uint8_t *lex_skip_high_word(struct lexer *lex, const uint8_t *start, const uint8_t *p);

/* hint.c: the inside of a plain comment. */
void hint_parse(struct facts *facts, const uint8_t *p, const uint8_t *end);

#endif
