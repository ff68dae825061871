/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c - the lexer: all tokens but the plain ones that fetch.c cuts by itself.
 *
 * One table gives the class of each byte, a second one folds the case of bytes that may continue
 * a word and is 0 for all others, so
 * that one look finds the end of a word.
 *
 * Where the servers were asked (MySQL 9.7, MariaDB 10.11), the rule says so:
 * - "--" begins a comment only before white space, a control character or the end.
 * - A version behind "/ *!" is five digits; six when white space follows them. Fewer than five
 *   digits are code. MySQL takes "/ *M!" for a plain comment; MariaDB runs it, and skips
 *   "/ *!" from 50700 to 99999. A skipped one may hold plain comments, and ends without regard
 *   to quotes. One executable comment inside another is an error to both.
 * - A word right behind a dot is a name; behind a dot and white space it is a keyword again.
 * - 1.FROM and 1e5FROM are a number and FROM; 1x is a name.
 */
#include <string.h>

#include "keyword_priv.h"
#include "token_priv.h"

/* clang-format off */
#define R4(x)  x, x, x, x
#define R16(x) R4(x), R4(x), R4(x), R4(x)
const uint8_t lex_class[256] = {
    /* 00 */ R4(CC_BAD), R4(CC_BAD), CC_BAD, CC_SPACE, CC_SPACE, CC_SPACE, CC_SPACE, CC_SPACE, CC_BAD, CC_BAD,
    /* 10 */ R16(CC_BAD),
    /* 20 */ CC_SPACE, CC_OP, CC_DQUOTE, CC_HASH, CC_DOLLAR, CC_OP, CC_OP, CC_SQUOTE,
             CC_LPAREN, CC_RPAREN, CC_STAR, CC_OP, CC_COMMA, CC_DASH, CC_DOT, CC_SLASH,
    /* 30 */ R4(CC_DIGIT), R4(CC_DIGIT), CC_DIGIT, CC_DIGIT, CC_COLON, CC_SEMI, CC_OP, CC_EQ, CC_OP, CC_PARAM,
    /* 40 */ CC_AT, CC_WORD, CC_WORD, CC_WORD, R4(CC_WORD), R4(CC_WORD), R4(CC_WORD),
    /* 50 */ R4(CC_WORD), R4(CC_WORD), CC_WORD, CC_WORD, CC_WORD, CC_BAD, CC_BAD, CC_BAD, CC_OP, CC_WORD,
    /* 60 */ CC_TICK, CC_WORD, CC_WORD, CC_WORD, R4(CC_WORD), R4(CC_WORD), R4(CC_WORD),
    /* 70 */ R4(CC_WORD), R4(CC_WORD), CC_WORD, CC_WORD, CC_WORD, CC_LBRACE, CC_OP, CC_RBRACE, CC_OP, CC_BAD,
    /* 80 */ R16(CC_HIGH), R16(CC_HIGH), R16(CC_HIGH), R16(CC_HIGH),
    /* c0 */ R16(CC_HIGH), R16(CC_HIGH), R16(CC_HIGH), R16(CC_HIGH),
};

#define H16(b) (b), (b) + 1, (b) + 2, (b) + 3, (b) + 4, (b) + 5, (b) + 6, (b) + 7, \
               (b) + 8, (b) + 9, (b) + 10, (b) + 11, (b) + 12, (b) + 13, (b) + 14, (b) + 15
/* The upper-case byte for bytes that may continue a word, 0 for the rest. */
const uint8_t lex_fold[256] = {
    R16(0), R16(0),
    /* 20 */ 0, 0, 0, 0, '$', 0, 0, 0, R4(0), R4(0),
    /* 30 */ '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, R4(0),
    /* 40 */ 0, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    /* 50 */ 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 0, 0, 0, 0, '_',
    /* 60 */ 0, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    /* 70 */ 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 0, 0, 0, 0, 0,
    H16(0x80), H16(0x90), H16(0xa0), H16(0xb0), H16(0xc0), H16(0xd0), H16(0xe0), H16(0xf0),
};
/* clang-format on */

const uint8_t lex_single_kinds[] = {
    [CC_SPACE] = TOK_OP,      [CC_EQ] = TOK_EQ,         [CC_OP] = TOK_OP,
    [CC_LPAREN] = TOK_LPAREN, [CC_RPAREN] = TOK_RPAREN, [CC_COMMA] = TOK_COMMA,
    [CC_SEMI] = TOK_SEMI,     [CC_LBRACE] = TOK_LBRACE, [CC_RBRACE] = TOK_RBRACE,
    [CC_PARAM] = TOK_PARAM,
};

void lex_init(struct lexer *lex, struct span sql, const struct classify_env *env,
              struct facts *facts)
{
    memset(lex, 0, sizeof(*lex));
    lex->p = sql.p;
    lex->end = sql.p + sql.len;
    lex->facts = facts;
    lex->mode = env->sql_mode;
    lex->version = env->version;
    lex->charset = (uint8_t)env->charset;
    lex->flavour = (uint8_t)env->flavour;
}

static bool in_range(uint8_t c, uint8_t low, uint8_t high)
{
    return c >= low && c <= high;
}

static bool is_digit(uint8_t c)
{
    return in_range(c, '0', '9');
}

/* Bytes of the character at p, whose first byte is >= 0x80; 0 when it is none. */
static size_t char_len(uint8_t charset, const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t a = p[0];
    uint8_t b = left > 1 ? p[1] : 0;
    switch ((enum classify_charset)charset) {
    case CLASSIFY_CS_SAFE:
    case CLASSIFY_CS_BYTE:
        return 1;
    case CLASSIFY_CS_GBK:
        return in_range(a, 0x81, 0xfe) && b >= 0x40 && b != 0x7f && b != 0xff ? 2 : 0;
    case CLASSIFY_CS_BIG5:
        return in_range(a, 0xa1, 0xf9) && (in_range(b, 0x40, 0x7e) || in_range(b, 0xa1, 0xfe)) ? 2
                                                                                               : 0;
    case CLASSIFY_CS_SJIS:
        if (in_range(a, 0xa1, 0xdf)) {
            return 1;
        }
        return (in_range(a, 0x81, 0x9f) || in_range(a, 0xe0, 0xfc)) &&
                       (in_range(b, 0x40, 0x7e) || in_range(b, 0x80, 0xfc))
                   ? 2
                   : 0;
    case CLASSIFY_CS_GB18030:
        if (!in_range(a, 0x81, 0xfe)) {
            return 0;
        }
        if (in_range(b, 0x40, 0x7e) || in_range(b, 0x80, 0xfe)) {
            return 2;
        }
        return left >= 4 && is_digit(b) && in_range(p[2], 0x81, 0xfe) && is_digit(p[3]) ? 4 : 0;
    case CLASSIFY_CS_UNKNOWN:
        return 0;
    }
    return 0;
}

/* Past one character >= 0x80; one that the set does not have is noted and taken as one byte, as
 * the servers do. */
static const uint8_t *skip_high(struct lexer *lex, const uint8_t *p)
{
    size_t n = char_len(lex->charset, p, lex->end);
    if (n == 0) {
        lex->flags |= LEXF_CHARSET;
        n = 1;
    }
    return p + n;
}

/* p: behind the opening quote. Returns the byte behind the closing one, or end (LEXF_OPEN). */
static const uint8_t *skip_quoted(struct lexer *lex, const uint8_t *p, uint8_t quote,
                                  bool is_escaped)
{
    const uint8_t *end = lex->end;
    bool is_wide = lex->charset > CLASSIFY_CS_BYTE;
    while (p < end) {
        uint8_t c = *p;
        if (c == quote) {
            if (p + 1 < end && p[1] == quote) {
                p += 2;
                continue;
            }
            return p + 1;
        }
        if (c == '\\' && is_escaped) {
            if (p + 1 < end && p[1] >= 0x80 && is_wide) {
                /* the servers skip one byte here, be it half a character */
                lex->flags |= LEXF_CHARSET;
            }
            p += p + 1 < end ? 2 : 1;
            continue;
        }
        if (c >= 0x80 && is_wide) {
            p = skip_high(lex, p);
            continue;
        }
        p++;
    }
    lex->flags |= LEXF_OPEN;
    return end;
}

static const uint8_t *skip_string(struct lexer *lex, const uint8_t *p, uint8_t quote)
{
    return skip_quoted(lex, p, quote, (lex->mode & CLASSIFY_MODE_NO_BACKSLASH_ESCAPES) == 0);
}

/* A word that holds bytes >= 0x80: again from its start, character by character. Outside utf8
 * such a byte may be white space or an operator to the server (0xa0 in latin1), so the word is
 * suspect unless it is a whole multi-byte character. */
static const uint8_t *skip_wide_word(struct lexer *lex, const uint8_t *p)
{
    while (p < lex->end && lex_fold[*p] != 0) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        const uint8_t *next = skip_high(lex, p);
        if (next - p == 1) {
            lex->flags |= LEXF_CHARSET;
        }
        p = next;
    }
    return p;
}

const uint8_t *lex_skip_high_word(struct lexer *lex, const uint8_t *start, const uint8_t *p)
{
    if (lex->charset != CLASSIFY_CS_SAFE) {
        return skip_wide_word(lex, start);
    }
    while (p < lex->end && lex_fold[*p] != 0) {
        p++;
    }
    return p;
}

/* p: behind the digits and the dot, or at the exponent. */
static const uint8_t *skip_exponent(const uint8_t *p, const uint8_t *end)
{
    if (p < end && (*p == 'e' || *p == 'E')) {
        const uint8_t *q = p + 1;
        if (q < end && (*q == '+' || *q == '-')) {
            q++;
        }
        if (q < end && is_digit(*q)) {
            while (q < end && is_digit(*q)) {
                q++;
            }
            return q;
        }
    }
    return p;
}

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p;
}

/* 0x41 and 0b01 are numbers, 0xg is a name. */
static bool is_radix_number(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 3 || p[0] != '0' || (p[1] != 'x' && p[1] != 'b')) {
        return false;
    }
    for (const uint8_t *q = p + 2; q < end; q++) {
        bool is_hex = is_digit(*q) || in_range(lex_fold[*q], 'A', 'F');
        if (p[1] == 'x' ? !is_hex : (*q != '0' && *q != '1')) {
            return false;
        }
    }
    return true;
}

static void lex_number(struct lexer *lex, const uint8_t *p, struct tok *tok)
{
    const uint8_t *start = p;
    const uint8_t *end = lex->end;
    tok->kind = TOK_NUMBER;
    p = skip_digits(p, end);
    if (p < end && *p == '.') {
        lex->p = skip_exponent(skip_digits(p + 1, end), end);
        return;
    }
    if (p == end || lex_fold[*p] == 0) {
        lex->p = p;
        return;
    }
    const uint8_t *q = skip_exponent(p, end);
    if (q != p) {
        lex->p = q;
        return;
    }
    lex_word(lex, start, tok);
    tok->kw = KW_NONE;
    if (is_radix_number(start, lex->p)) {
        tok->kind = TOK_NUMBER;
    }
}

/* $tag$ ... $tag$ of MySQL 9, which is in no statement that is read; elsewhere $ begins a name. On
 * MariaDB such a name is taken for one: the mysql client asks "select $$" at each login to find out,
 * and a session that began with something not understood would not read from replicas at first. */
static void lex_dollar(struct lexer *lex, const uint8_t *p, struct tok *tok)
{
    const uint8_t *q = p + 1;
    if (lex->flavour == CLASSIFY_MARIADB) {
        lex_word(lex, p, tok);
        return;
    }
    while (q < lex->end && *q != '$' && lex_fold[*q] != 0) {
        q++;
    }
    if (q == lex->end || *q != '$' || (lex->version != 0 && lex->version < 90000)) {
        lex_word(lex, p, tok);
        tok->kind = TOK_BAD;
        return;
    }
    size_t tag_len = (size_t)(q + 1 - p);
    const uint8_t *body = q + 1;
    const uint8_t *close = memmem(body, (size_t)(lex->end - body), p, tag_len);
    tok->kind = TOK_BAD;
    if (close == NULL) {
        lex->flags |= LEXF_OPEN;
        lex->p = lex->end;
        return;
    }
    lex->p = close + tag_len;
}

static void lex_name_quoted(struct lexer *lex, const uint8_t *p, struct tok *tok)
{
    tok->kind = TOK_QUOTED;
    lex->p = skip_quoted(lex, p + 1, *p, false);
}

static const uint8_t *skip_var_name(struct lexer *lex, const uint8_t *p)
{
    if (p < lex->end) {
        if (*p == '\'' || *p == '"') {
            return skip_string(lex, p + 1, *p);
        }
        if (*p == '`') {
            return skip_quoted(lex, p + 1, '`', false);
        }
    }
    while (p < lex->end && (lex_fold[*p] != 0 || *p == '.')) {
        if (*p >= 0x80) {
            p = skip_high(lex, p);
            continue;
        }
        p++;
    }
    return p;
}

static void lex_variable(struct lexer *lex, const uint8_t *p, struct tok *tok)
{
    if (p + 1 < lex->end && p[1] == '@') {
        tok->kind = TOK_SYSVAR;
        lex->p = skip_var_name(lex, p + 2);
        return;
    }
    tok->kind = TOK_USERVAR;
    lex->p = skip_var_name(lex, p + 1);
}

/* Whether the servers run the content of an executable comment of that version. */
static bool version_runs(const struct lexer *lex, uint32_t version, bool is_mariadb_form)
{
    if (lex->flavour == CLASSIFY_MYSQL) {
        return version <= lex->version;
    }
    return version <= lex->version && (is_mariadb_form || version < 50700 || version > 99999);
}

/* p: behind the "!". Skips the version; false when the content does not run. */
static bool code_comment_open(struct lexer *lex, const uint8_t **pp, bool is_mariadb_form)
{
    const uint8_t *p = *pp;
    const uint8_t *q = p;
    uint32_t version = 0;
    while (q < lex->end && q - p < 7 && is_digit(*q)) {
        version = version * 10 + (uint32_t)(*q - '0');
        q++;
    }
    if (q - p < 5) {
        return true;
    }
    *pp = q;
    if (q - p == 7 || (q - p == 6 && (q == lex->end || lex_class[*q] != CC_SPACE)) ||
        lex->version == 0) {
        lex->flags |= LEXF_COMMENT;
        return true;
    }
    return version_runs(lex, version, is_mariadb_form);
}

/* p: behind the opening. nested: plain comments inside are skipped whole. */
static const uint8_t *skip_comment(struct lexer *lex, const uint8_t *p, bool nested)
{
    const uint8_t *end = lex->end;
    while (p < end) {
        const uint8_t *star = memchr(p, '*', (size_t)(end - p));
        if (star == NULL || star + 1 >= end) {
            break;
        }
        if (nested && star > p && star[-1] == '/') {
            p = skip_comment(lex, star + 1, false);
            continue;
        }
        if (star[1] == '/') {
            return star + 2;
        }
        p = star + 1;
    }
    lex->flags |= LEXF_OPEN;
    return end;
}

/* p: at the slash. */
static void lex_comment(struct lexer *lex, const uint8_t *p)
{
    const uint8_t *body = p + 2;
    bool is_m = lex->flavour == CLASSIFY_MARIADB && lex->end - p > 3 && p[2] == 'M' && p[3] == '!';
    if (is_m || (body < lex->end && *body == '!')) {
        body += is_m ? 2 : 1;
        if (lex->is_in_code) {
            /* an error to the servers; what follows its end is anyone's guess */
            lex->flags |= LEXF_COMMENT;
        }
        if (code_comment_open(lex, &body, is_m)) {
            lex->is_in_code = true;
            lex->p = body;
            return;
        }
        lex->p = skip_comment(lex, body, true);
        return;
    }
    lex->p = skip_comment(lex, body, false);
    if (lex->facts != NULL && lex->p - body > 7 && (lex->flags & LEXF_OPEN) == 0) {
        hint_parse(lex->facts, body, lex->p - 2);
    }
}

static void lex_line_comment(struct lexer *lex, const uint8_t *p)
{
    const uint8_t *nl = memchr(p, '\n', (size_t)(lex->end - p));
    lex->p = nl != NULL ? nl + 1 : lex->end;
}

/* "--" at p: is it a comment? */
static bool is_dash_comment(struct lexer *lex, const uint8_t *p)
{
    if (lex->end - p < 2 || p[1] != '-') {
        return false;
    }
    if (lex->end - p == 2 || p[2] <= ' ' || p[2] == 0x7f) {
        return true;
    }
    if (p[2] >= 0x80) {
        /* a control character or white space in some single-byte sets */
        lex->flags |= lex->charset != CLASSIFY_CS_SAFE ? LEXF_CHARSET : 0;
    }
    return false;
}

static void lex_one(struct lexer *lex, struct tok *tok, enum tok_kind kind)
{
    tok->kind = (uint8_t)kind;
    lex->p++;
}

static void lex_dot(struct lexer *lex, struct tok *tok, bool is_after_name)
{
    const uint8_t *next = lex->p + 1;
    if (next < lex->end && is_digit(*next) && !is_after_name) {
        tok->kind = TOK_NUMBER;
        lex->p = skip_exponent(skip_digits(next, lex->end), lex->end);
        return;
    }
    lex_one(lex, tok, TOK_DOT);
    lex->is_after_dot = next < lex->end && lex_fold[*next] != 0;
}

/* Cuts the token at lex->p, which is not white space. False: it was a comment. */
static bool lex_token(struct lexer *lex, struct tok *tok, bool is_after_name)
{
    const uint8_t *p = lex->p;
    switch ((enum cclass)lex_class[*p]) {
    case CC_WORD:
    case CC_HIGH:
        lex_word(lex, p, tok);
        lex->is_after_name = true;
        return true;
    case CC_DIGIT:
        lex_number(lex, p, tok);
        lex->is_after_name = tok->kind == TOK_WORD;
        return true;
    case CC_SQUOTE:
        tok->kind = TOK_STRING;
        lex->p = skip_string(lex, p + 1, '\'');
        return true;
    case CC_DQUOTE:
        if ((lex->mode & CLASSIFY_MODE_ANSI_QUOTES) != 0) {
            lex_name_quoted(lex, p, tok);
            return true;
        }
        tok->kind = TOK_STRING;
        lex->p = skip_string(lex, p + 1, '"');
        return true;
    case CC_TICK:
        lex_name_quoted(lex, p, tok);
        return true;
    case CC_DOLLAR:
        lex_dollar(lex, p, tok);
        return true;
    case CC_AT:
        lex_variable(lex, p, tok);
        return true;
    case CC_DOT:
        lex_dot(lex, tok, is_after_name);
        return true;
    case CC_SLASH:
        if (lex->end - p > 1 && p[1] == '*') {
            lex_comment(lex, p);
            return false;
        }
        lex_one(lex, tok, TOK_OP);
        return true;
    case CC_DASH:
        if (is_dash_comment(lex, p)) {
            lex_line_comment(lex, p);
            return false;
        }
        lex_one(lex, tok, TOK_OP);
        return true;
    case CC_HASH:
        lex_line_comment(lex, p);
        return false;
    case CC_STAR:
        if (lex->is_in_code && lex->end - p > 1 && p[1] == '/') {
            lex->is_in_code = false;
            lex->p += 2;
            return false;
        }
        lex_one(lex, tok, TOK_STAR);
        return true;
    case CC_COLON:
        if (lex->end - p > 1 && p[1] == '=') {
            tok->kind = TOK_ASSIGN;
            lex->p += 2;
            return true;
        }
        lex_one(lex, tok, TOK_BAD);
        return true;
    case CC_SPACE:
    case CC_EQ:
    case CC_OP:
    case CC_LPAREN:
    case CC_RPAREN:
    case CC_COMMA:
    case CC_SEMI:
    case CC_LBRACE:
    case CC_RBRACE:
    case CC_PARAM:
        lex_one(lex, tok, (enum tok_kind)lex_single_kinds[lex_class[*p]]);
        return true;
    case CC_BAD:
        lex_one(lex, tok, TOK_BAD);
        return true;
    }
    lex_one(lex, tok, TOK_BAD);
    return true;
}

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && lex_class[*p] == CC_SPACE) {
        p++;
    }
    return p;
}

static void lex_end(struct lexer *lex, struct tok *tok)
{
    if (lex->is_in_code) {
        lex->flags |= LEXF_OPEN;
    }
    tok->kind = TOK_END;
    tok->len = 0;
}

void lex_rest(struct lexer *lex, struct tok *tok)
{
    bool is_after_name = lex->is_after_name;
    lex->is_after_name = false;
    tok->kw = KW_NONE;
    while (lex->p < lex->end) {
        tok->p = lex->p;
        if (lex_token(lex, tok, is_after_name && tok->flags == 0)) {
            tok->len = (uint32_t)(lex->p - tok->p);
            return;
        }
        tok->flags = TOKF_SPACE | TOKF_COMMENT;
        lex->p = skip_space(lex->p, lex->end);
    }
    tok->p = lex->p;
    lex_end(lex, tok);
}
