/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - what query.c and from.c share: frames and their states.
 *
 * WHY       The list of tables is half of a query's grammar and the half that must be strict.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    parser_fail()
 * BOUNDS    CLASSIFY_MAX_DEPTH frames
 */
#ifndef WEIR_CLASSIFY_QUERY_PRIV_H
#define WEIR_CLASSIFY_QUERY_PRIV_H

#include "parse_priv.h"

enum frame_kind {
    FR_QUERY,
    FR_TABLES,
    FR_EXPR,
    FR_NAMES,
    FR_COLUMNS
};

enum query_clause {
    Q_START,  /* SELECT, WITH, VALUES, TABLE or ( must come */
    Q_BODY,   /* as Q_START, behind the CTEs: no WITH */
    Q_SETOP,  /* as Q_BODY, behind UNION: ALL and DISTINCT, too */
    Q_LIST,   /* the select list */
    Q_FROM,   /* tables: see from */
    Q_TAIL,   /* WHERE and all behind it */
    Q_AFTER,  /* behind a parenthesised query */
    Q_WINDOW, /* a window's name must come */
    Q_WINDOW_AS,
    Q_CTE_NAME,
    Q_CTE_COLS, /* ( or AS */
    Q_CTE_AS,   /* AS */
    Q_CTE_BODY, /* ( */
    Q_CTE_END   /* comma, or the body */
};

enum from_state {
    F_WANT,    /* a table must come */
    F_NAME,    /* a name was read */
    F_DOT,     /* ... and a dot */
    F_PART,    /* PARTITION: ( must come */
    F_PARTED,  /* ... and went */
    F_AS,      /* an alias must come */
    F_ALIAS,   /* an alias was read */
    F_HINT,    /* USE INDEX ...: ( must come */
    F_USING,   /* ( must come */
    F_DONE,    /* complete, no alias */
    F_DERIVED, /* complete, an alias may come */
    F_JOIN,    /* INNER, LEFT ...: JOIN must come */
    F_ON,      /* an expression */
    F_LATERAL, /* ( must come */
    F_JSON     /* JSON_TABLE: ( must come */
};

#define FRF_START     0x01U /* no token yet */
#define FRF_FROM      0x02U /* FROM and FOR are part of the function's syntax */
#define FRF_QUERY     0x04U /* holds a finished parenthesised query: UNION may follow */
#define FRF_NEEDS     0x08U /* must be a query: ANY ( */
#define FRF_CTE       0x10U /* the body of a CTE */
#define FRF_RECURSIVE 0x20U
#define FRF_BRACE     0x40U
#define FRF_OJ        0x80U /* { ... in the list of tables: OJ must come */

static inline struct frame *frame_top(struct parser *ps)
{
    return &ps->frames[ps->depth];
}

void frame_push(struct parser *ps, enum frame_kind kind, unsigned flags);

/* query.c: SELECT, WITH, VALUES, TABLE where a query may begin; false: none of them. */
bool query_begin(struct parser *ps, struct frame *fr, const struct tok *tok);
/* query.c: words that mean the same in every frame, and those that end a list. True: dealt with. */
bool query_word_common(struct parser *ps, struct frame *fr, const struct tok *tok);
bool query_word_tail(struct parser *ps, struct frame *fr, const struct tok *tok);
/* query.c: a parenthesis in an expression; tok is it. */
void query_expr_paren(struct parser *ps, const struct tok *tok);

/* call.c: word stands before a parenthesis and is, or may be, a stored or loadable function's name:
 * the frame of its arguments is on top, or the statement is no read. */
void call_stored(struct parser *ps, const struct tok *word);

/* from.c: a token, and an opening parenthesis, in a list of tables. */
void from_token(struct parser *ps, struct frame *fr, const struct tok *tok);
void from_paren(struct parser *ps, struct frame *fr, const struct tok *tok);
/* from.c: the name that was being read is complete. */
void from_commit(struct parser *ps);
/* from.c: may the list end in that state? */
bool from_is_complete(uint8_t from);

#endif
