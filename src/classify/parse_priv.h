/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - what the parsers of this room share: the current tokens, and the facts found so far.
 *
 * WHY       Effects (variables, locks, ids) count wherever they stand, so they are noted as
 *           tokens are fetched; the parsers only look at the shape.
 * OWNS      none
 * THREADS   any; the parser belongs to classify_sql()'s stack.
 * REENTRY   none
 * UNITS     none
 * ERRORS    parser_fail() keeps the first reason; scanning goes on for the effects.
 * BOUNDS    CLASSIFY_MAX_DEPTH frames, PARSER_MAX_CTES names.
 */
#ifndef WEIR_CLASSIFY_PARSE_PRIV_H
#define WEIR_CLASSIFY_PARSE_PRIV_H

#include "keyword_priv.h"
#include "token_priv.h"

#define PARSER_MAX_CTES 16
#define PARSER_RING     8U /* the current token and those before it; a power of two */
#define PARSER_BACK_MAX 4U /* how many before the current one are looked at */

struct frame {
    uint8_t kind;   /* enum frame_kind */
    uint8_t clause; /* enum query_clause, of a query */
    uint8_t from;   /* enum from_state, of a query or a list of tables */
    uint8_t flags;
    uint16_t fn; /* keyword of the function whose arguments these are */
};

struct body;

struct cte {
    struct span name;
    unsigned depth;
    bool is_visible;
};

struct parser {
    struct lexer lex;
    struct facts *f;
    const struct classify_env *env;
    bool is_first; /* the first statement of the text */
    struct tok ring[PARSER_RING];
    unsigned at;             /* ring[at % PARSER_RING] is the current token */
    enum classify_verb verb; /* of the statement being read; f->verb is the first one's */
    bool has_call;           /* calls something that may be a stored function */
    bool is_failed;          /* no replica: f->why says so */
    bool is_last;            /* asks about the statement before it */
    bool is_quiet;           /* a routine's or view's body: nothing in it happens now */
    bool is_into;            /* behind SELECT ... INTO: variables are written */
    bool is_target;          /* variables here are written (CALL, LOAD, GET DIAGNOSTICS) */
    bool is_account;         /* user@host may stand here */
    struct body *body;       /* of a stored function: its variables; NULL elsewhere */
    unsigned depth;
    unsigned cte_count;
    struct span name_schema; /* the table name being read */
    struct span name;
    struct frame frames[CLASSIFY_MAX_DEPTH];
    struct cte ctes[PARSER_MAX_CTES];
};

static inline const struct tok *parser_tok(const struct parser *ps)
{
    return &ps->ring[ps->at % PARSER_RING];
}

/* back: 1 is the token before the current one; at most PARSER_BACK_MAX. */
static inline const struct tok *parser_back(const struct parser *ps, unsigned back)
{
    return &ps->ring[(ps->at - back) % PARSER_RING];
}

static inline struct span tok_span(const struct tok *tok)
{
    return (struct span){tok->p, tok->len};
}

static inline bool tok_is(const struct tok *tok, uint16_t kw)
{
    return tok->kind == TOK_WORD && tok->kw == kw;
}

static inline bool tok_is_name(const struct tok *tok)
{
    return tok->kind == TOK_WORD || tok->kind == TOK_QUOTED;
}

static inline bool tok_ends(const struct tok *tok)
{
    return tok->kind == TOK_END || tok->kind == TOK_SEMI;
}

/* fetch.c: fetches the next token, notes its effects, and returns it. */
const struct tok *parser_next(struct parser *ps);
/* fetch.c: the same, up to one that may end an expression, a clause or the statement, or nests. */
const struct tok *parser_next_clause(struct parser *ps);
/* parse.c: a token that may have an effect by itself has become the current one. */
void parser_note(struct parser *ps, const struct tok *tok);
/* The token behind the current one; nothing is noted. */
struct tok parser_peek(const struct parser *ps);
/* If the current token is kw, go past it. */
bool parser_take(struct parser *ps, uint16_t kw);
/* No replica may run it. why of the first call stays. */
void parser_fail(struct parser *ps, enum classify_why why);
/* Up to the end of the statement, for the effects. */
void parser_skip(struct parser *ps);
/* Up to the end of the text: a body whose semicolons do not end the statement. Returns whether
 * there were any. */
bool parser_skip_body(struct parser *ps);

/* Whether the server itself resolves that function, written with paren behind it. */
bool parser_is_native(const struct parser *ps, uint16_t kw, const struct tok *paren);
/* A sequence is moved on, or its last value asked for. */
void parser_note_sequence(struct parser *ps);
void parser_set_verb(struct parser *ps, enum classify_verb verb);

/* query.c: from the current token to the end of the statement: one query expression. */
void query_parse(struct parser *ps);
/* query.c: the same, or an expression, token by token: begin; a step for each that is current, none
 * of which ends the statement; the end before the one that is current then. */
void query_begin_steps(struct parser *ps, bool is_expression);
void query_step(struct parser *ps);
void query_end_steps(struct parser *ps);
/* query.c: an expression tail (SHOW ... WHERE expr) up to the end of the statement. */
void query_parse_tail(struct parser *ps);
/* query.c: remember a table of a statement that is no query (DESCRIBE t). */
void query_add_table(struct parser *ps, struct span schema, struct span name);

/* statement.c: one statement, from its first token to the token that ends it. */
void statement_parse(struct parser *ps);
/* statement.c: whether statements begin with that word, and why they are no reads by that alone. */
bool statement_has_word(uint16_t kw, enum classify_why *ret_why);

/* body.c: INTO in a stored function is the current token: past the variables that it fills. */
void body_into(struct parser *ps);
/* body.c: whether the token being fetched may be the := of a local variable. */
bool body_may_assign(const struct body *body);

/* facts.c */
void parser_init(struct parser *ps, struct span sql, const struct classify_env *env,
                 struct facts *facts);
void facts_finish(struct facts *f, const struct parser *ps, const struct classify_env *env);

/* explain.c: from the token behind EXPLAIN, DESCRIBE or MariaDB's ANALYZE. */
void explain_parse(struct parser *ps, bool is_explain_word, bool is_run);

/* rewrite.c: fills facts->ids[].item. */
void ids_find_items(struct span sql, const struct classify_env *env, struct facts *f);

/* kill.c */
void kill_parse(struct parser *ps);

/* show.c, set.c: from the token behind SHOW, SET. */
void show_parse(struct parser *ps);
void set_parse(struct parser *ps);

#endif
