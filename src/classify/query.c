/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c - one query expression, proven to be a read of known shape.
 *
 * A stack of frames, one per open parenthesis, and no recursion. Every token is looked at by the
 * frame on top:
 *
 *   QUERY   a query expression: [WITH ...] SELECT list FROM tables tail [UNION ...]
 *   TABLES  a parenthesis among the tables: a join, or a derived table (it turns into QUERY)
 *   EXPR    a parenthesis in an expression: arguments, grouping, or a subquery (turns into QUERY)
 *   NAMES   a list of names: index hints, partitions, USING, column names of an alias
 *   COLUMNS the column list of JSON_TABLE
 *
 * Expressions are not parsed, the servers do that. What matters is that no table is overlooked
 * (a view may call a function that writes) and no call: so the list of tables is read strictly
 * and a word before "(" must be known. Where a word means different things to different versions
 * (WINDOW, LATERAL, INTERSECT may be aliases to some), only the shape that all read alike passes.
 */
#include "weir/util/attr.h"

#include "query_priv.h"

void frame_push(struct parser *ps, enum frame_kind kind, unsigned flags)
{
    if (ps->depth + 1 >= CLASSIFY_MAX_DEPTH) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    ps->depth++;
    ps->frames[ps->depth] = (struct frame){.kind = (uint8_t)kind,
                                           .clause = Q_START,
                                           .from = F_WANT,
                                           .flags = (uint8_t)flags,
                                           .fn = KW_NONE};
}

/* --- words that begin the next clause ------------------------------------------------------ */

static void query_set_op(struct parser *ps, struct frame *fr)
{
    bool is_ok = fr->kind == FR_QUERY
                     ? (fr->clause == Q_LIST || fr->clause == Q_TAIL || fr->clause == Q_AFTER ||
                        (fr->clause == Q_FROM && from_is_complete(fr->from)))
                     : (fr->flags & FRF_QUERY) != 0;
    if (!is_ok) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    fr->kind = FR_QUERY;
    fr->clause = Q_SETOP;
}

/* SELECT, WITH, VALUES, TABLE where a query may begin. */
bool query_begin(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch (tok->kw) {
    case KW_SELECT:
        fr->clause = Q_LIST;
        break;
    case KW_VALUES:
        fr->clause = Q_TAIL;
        break;
    case KW_TABLE:
        fr->clause = Q_FROM;
        fr->from = F_WANT;
        break;
    case KW_WITH:
        if (fr->kind == FR_QUERY && fr->clause != Q_START) {
            parser_fail(ps, WHY_SHAPE);
            return true;
        }
        fr->clause = Q_CTE_NAME;
        break;
    default:
        return false;
    }
    fr->kind = FR_QUERY;
    fr->flags = (uint8_t)(fr->flags & ~(FRF_START | FRF_QUERY | FRF_NEEDS));
    return true;
}

static void word_for(struct parser *ps, struct frame *fr)
{
    struct tok next = parser_peek(ps);
    if (tok_is(&next, KW_UPDATE) || tok_is(&next, KW_SHARE)) {
        ps->f->bits |= FACT(LOCKING);
        parser_fail(ps, WHY_LOCKING);
    } else if (tok_is(parser_back(ps, 1), KW_VALUE)) {
        parser_note_sequence(ps);
    } else if (tok_is(&next, KW_SYSTEM_TIME) && fr->from == F_NAME) {
        from_commit(ps);
        ps->f->bits |= FACT(UNCACHEABLE);
        parser_next(ps);
        fr->from = F_ON;
        fr->flags |= FRF_FROM;
    } else if ((fr->flags & FRF_FROM) == 0 && fr->kind != FR_COLUMNS && fr->from != F_HINT) {
        parser_fail(ps, WHY_SHAPE);
    }
}

/* Words that mean the same in every frame. True: dealt with. */
bool query_word_common(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch (tok->kw) {
    case KW_FOR:
        word_for(ps, fr);
        return true;
    case KW_LOCK:
        ps->f->bits |= FACT(LOCKING);
        parser_fail(ps, WHY_LOCKING);
        return true;
    case KW_INTO:
        if (ps->body == NULL || ps->depth != 0) {
            parser_fail(ps, WHY_INTO);
        } else {
            body_into(ps);
        }
        return true;
    case KW_UNION:
    case KW_EXCEPT:
    case KW_INTERSECT:
        from_commit(ps);
        query_set_op(ps, fr);
        return true;
    case KW_SQL_CALC_FOUND_ROWS:
        ps->f->bits |= FACT(FOUND_ROWS);
        parser_fail(ps, WHY_FOUND_ROWS);
        return true;
    default:
        return false;
    }
}

/* WHERE, GROUP ...: the end of the tables or of the select list. */
bool query_word_tail(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch (tok->kw) {
    case KW_WHERE:
    case KW_GROUP:
    case KW_HAVING:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_FETCH:
        fr->clause = Q_TAIL;
        return true;
    case KW_PROCEDURE: {
        struct tok next = parser_peek(ps);
        fr->clause = Q_TAIL;
        if (!tok_is(&next, KW_ANALYSE)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return true;
    }
    case KW_WINDOW:
        fr->clause = Q_WINDOW;
        return true;
    default:
        return false;
    }
}

/* --- expressions ----------------------------------------------------------------------------- */

static bool is_comparison(const struct tok *tok)
{
    return tok->kind == TOK_EQ || tok->kind == TOK_OP;
}

/* Words that are no functions and stand before "(" in one place only. */
static bool paren_by_place(struct parser *ps, const struct tok *word)
{
    const struct tok *before = parser_back(ps, 2);
    const struct frame *fr = frame_top(ps);
    switch (word->kw) {
    case KW_OVER:
    case KW_AGAINST:
        return before->kind == TOK_RPAREN;
    case KW_OF:
        return ps->env->flavour == CLASSIFY_MYSQL && tok_is(before, KW_MEMBER);
    case KW_ANALYSE:
        return tok_is(before, KW_PROCEDURE);
    default:
        break;
    }
    return (keyword_flags[word->kw] & KWF_TYPE) != 0 &&
           (tok_is(before, KW_AS) || (fr->fn == KW_CONVERT && before->kind == TOK_COMMA));
}

/* tok: the "(" behind a word or a quoted name. */
static void expr_call(struct parser *ps, const struct tok *tok, const struct tok *word)
{
    if (word->kind == TOK_QUOTED || (word->flags & TOKF_DOT) != 0 || word->kw == KW_NONE ||
        parser_back(ps, 2)->kind == TOK_DOT) {
        call_stored(ps, word);
        return;
    }
    const struct kw_def *def = keyword_def(word->kw);
    unsigned word_flags = keyword_flags[word->kw];
    unsigned flags = FRF_START;
    if (def->effect == KW_FX_LAST || def->effect == KW_FX_CONN_ID) {
        /* noted by parser_next() */
    } else if (parser_is_native(ps, word->kw, tok)) {
        if ((word_flags & KWF_VOLATILE) != 0) {
            ps->f->bits |= FACT(UNCACHEABLE);
        }
        if ((word_flags & KWF_FROM) != 0) {
            flags |= FRF_FROM;
        }
    } else if ((word_flags & KWF_PAREN) == 0 && !paren_by_place(ps, word)) {
        if ((word->kw == KW_ANY || word->kw == KW_SOME) && is_comparison(parser_back(ps, 2))) {
            flags |= FRF_NEEDS;
        } else {
            parser_fail(ps, WHY_FUNCTION_UNKNOWN);
            return;
        }
    }
    frame_push(ps, FR_EXPR, flags);
    frame_top(ps)->fn = word->kw;
}

void query_expr_paren(struct parser *ps, const struct tok *tok)
{
    const struct tok *word = parser_back(ps, 1);
    if (tok_is_name(word)) {
        expr_call(ps, tok, word);
        return;
    }
    frame_push(ps, FR_EXPR, FRF_START);
}

/* A word in an expression; clause: in the select list or the tail of a query. */
static void expr_word(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    if ((keyword_flags[tok->kw] & KWF_CLAUSE) == 0) {
        return;
    }
    switch (tok->kw) {
    case KW_FROM:
        if (fr->kind == FR_QUERY && fr->clause == Q_LIST) {
            fr->clause = Q_FROM;
            fr->from = F_WANT;
        } else if ((fr->flags & FRF_FROM) == 0) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case KW_SELECT:
    case KW_TABLE:
        parser_fail(ps, WHY_SHAPE);
        return;
    default:
        break;
    }
    if (!query_word_common(ps, fr, tok) && fr->kind == FR_QUERY) {
        (void)query_word_tail(ps, fr, tok);
    }
}

/* --- query expressions ------------------------------------------------------------------------ */

static void cte_add(struct parser *ps, struct span name, bool is_visible)
{
    if (ps->cte_count == PARSER_MAX_CTES) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    ps->ctes[ps->cte_count++] =
        (struct cte){.name = name, .depth = ps->depth, .is_visible = is_visible};
}

static void cte_token(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    if (fr->clause == Q_CTE_NAME && tok_is(tok, KW_RECURSIVE)) {
        fr->flags |= FRF_RECURSIVE;
    } else if (fr->clause == Q_CTE_NAME && tok_is_name(tok)) {
        /* the body of a CTE that is not recursive means something else by its name */
        cte_add(ps, tok_span(tok), (fr->flags & FRF_RECURSIVE) != 0);
        fr->clause = Q_CTE_COLS;
    } else if ((fr->clause == Q_CTE_COLS || fr->clause == Q_CTE_AS) && tok_is(tok, KW_AS)) {
        fr->clause = Q_CTE_BODY;
    } else if (fr->clause == Q_CTE_END && tok->kind == TOK_COMMA) {
        fr->clause = Q_CTE_NAME;
    } else {
        parser_fail(ps, WHY_SHAPE);
    }
}

static void dml_behind_cte(struct parser *ps, const struct tok *tok)
{
    enum classify_verb verb = VERB_UNKNOWN;
    switch (tok->kw) {
    case KW_UPDATE:
        verb = VERB_UPDATE;
        break;
    case KW_DELETE:
        verb = VERB_DELETE;
        break;
    case KW_INSERT:
        verb = VERB_INSERT;
        break;
    case KW_REPLACE:
        verb = VERB_REPLACE;
        break;
    default:
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    if (ps->verb == VERB_SELECT) {
        parser_set_verb(ps, verb);
    }
    ps->f->bits |= FACT(WRITE) | FACT(DML);
    parser_fail(ps, WHY_WRITE);
}

static WR_ALWAYS_INLINE void query_token(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch ((enum query_clause)fr->clause) {
    case Q_LIST:
    case Q_TAIL:
        if (tok->kind == TOK_WORD) {
            expr_word(ps, fr, tok);
        }
        return;
    case Q_FROM:
        from_token(ps, fr, tok);
        return;
    case Q_SETOP:
        if (tok_is(tok, KW_ALL) || tok_is(tok, KW_DISTINCT)) {
            fr->clause = Q_BODY;
            return;
        }
        if (tok->kind != TOK_WORD || !query_begin(ps, fr, tok)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case Q_START:
    case Q_BODY:
        if (tok->kind != TOK_WORD || !query_begin(ps, fr, tok)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case Q_AFTER:
        if (tok->kind == TOK_WORD &&
            (query_word_common(ps, fr, tok) || query_word_tail(ps, fr, tok))) {
            return;
        }
        parser_fail(ps, WHY_SHAPE);
        return;
    case Q_WINDOW:
        fr->clause = Q_WINDOW_AS;
        if (!tok_is_name(tok)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case Q_WINDOW_AS:
        fr->clause = Q_TAIL;
        if (!tok_is(tok, KW_AS)) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case Q_CTE_END:
        if (tok->kind == TOK_WORD) {
            fr->clause = Q_BODY;
            if (!query_begin(ps, fr, tok)) {
                dml_behind_cte(ps, tok);
            }
            return;
        }
        cte_token(ps, fr, tok);
        return;
    case Q_CTE_NAME:
    case Q_CTE_COLS:
    case Q_CTE_AS:
    case Q_CTE_BODY:
        cte_token(ps, fr, tok);
        return;
    }
}

static void query_paren(struct parser *ps, struct frame *fr, const struct tok *tok)
{
    switch ((enum query_clause)fr->clause) {
    case Q_LIST:
    case Q_TAIL:
        query_expr_paren(ps, tok);
        return;
    case Q_FROM:
        from_paren(ps, fr, tok);
        return;
    case Q_START:
    case Q_BODY:
    case Q_SETOP:
    case Q_CTE_END:
        fr->clause = Q_AFTER;
        frame_push(ps, FR_QUERY, FRF_START);
        return;
    case Q_CTE_COLS:
        fr->clause = Q_CTE_AS;
        frame_push(ps, FR_NAMES, 0);
        return;
    case Q_CTE_BODY:
        fr->clause = Q_CTE_END;
        frame_push(ps, FR_QUERY, FRF_START | FRF_CTE);
        return;
    case Q_AFTER:
    case Q_WINDOW:
    case Q_WINDOW_AS:
    case Q_CTE_NAME:
    case Q_CTE_AS:
        parser_fail(ps, WHY_SHAPE);
        return;
    }
}

static bool query_is_complete(const struct frame *fr)
{
    return fr->clause == Q_LIST || fr->clause == Q_TAIL || fr->clause == Q_AFTER ||
           (fr->clause == Q_FROM && from_is_complete(fr->from));
}

/* --- parentheses ------------------------------------------------------------------------------ */

static void paren_open(struct parser *ps, const struct tok *tok)
{
    struct frame *fr = frame_top(ps);
    switch ((enum frame_kind)fr->kind) {
    case FR_QUERY:
        query_paren(ps, fr, tok);
        return;
    case FR_TABLES:
        from_paren(ps, fr, tok);
        return;
    case FR_EXPR:
        if ((fr->flags & FRF_START) != 0) {
            unsigned needs = fr->flags & FRF_NEEDS;
            fr->flags = (uint8_t)(fr->flags & ~(FRF_START | FRF_NEEDS));
            frame_push(ps, FR_EXPR, FRF_START | needs);
            return;
        }
        if (fr->fn == KW_JSON_TABLE && tok_is(parser_back(ps, 1), KW_COLUMNS)) {
            frame_push(ps, FR_COLUMNS, 0);
            return;
        }
        query_expr_paren(ps, tok);
        return;
    case FR_COLUMNS:
        frame_push(ps, FR_COLUMNS, 0);
        return;
    case FR_NAMES:
        parser_fail(ps, WHY_SHAPE);
        return;
    }
}

/* Names of CTEs end with the parenthesis that they were made in; the one whose body has just
 * ended is seen from here on. */
static void cte_close(struct parser *ps, bool is_body)
{
    while (ps->cte_count > 0 && ps->ctes[ps->cte_count - 1].depth > ps->depth) {
        ps->cte_count--;
    }
    if (is_body && ps->cte_count > 0) {
        ps->ctes[ps->cte_count - 1].is_visible = true;
    }
}

static void paren_close(struct parser *ps, unsigned brace)
{
    if (ps->depth == 0) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    struct frame closed = *frame_top(ps);
    from_commit(ps);
    if (ps->is_failed) {
        return;
    }
    bool is_query = closed.kind == FR_QUERY;
    if ((closed.flags & FRF_BRACE) != brace || (is_query && !query_is_complete(&closed)) ||
        (closed.kind == FR_TABLES && !from_is_complete(closed.from)) ||
        (closed.flags & (FRF_NEEDS | FRF_OJ)) != 0) {
        parser_fail(ps, WHY_SHAPE);
        return;
    }
    ps->depth--;
    if (ps->cte_count > 0) {
        cte_close(ps, (closed.flags & FRF_CTE) != 0);
    }
    struct frame *fr = frame_top(ps);
    bool is_nested_query = is_query || (closed.flags & FRF_QUERY) != 0;
    if (fr->kind == FR_EXPR) {
        fr->flags = (uint8_t)(is_nested_query ? fr->flags | FRF_QUERY : fr->flags & ~FRF_QUERY);
    } else if (fr->kind == FR_TABLES || (fr->kind == FR_QUERY && fr->clause == Q_FROM)) {
        if (fr->from == F_WANT || fr->from == F_LATERAL || fr->from == F_JSON) {
            if (fr->kind == FR_TABLES && is_nested_query) {
                fr->flags |= FRF_QUERY;
            }
            fr->from = F_DERIVED;
        }
    }
}

static void brace_open(struct parser *ps)
{
    struct frame *fr = frame_top(ps);
    bool is_tables = (fr->kind == FR_TABLES || (fr->kind == FR_QUERY && fr->clause == Q_FROM)) &&
                     fr->from == F_WANT;
    bool is_expr = fr->kind == FR_EXPR ||
                   (fr->kind == FR_QUERY && (fr->clause == Q_LIST || fr->clause == Q_TAIL));
    if (is_tables) {
        fr->flags = (uint8_t)(fr->flags & ~FRF_START);
        frame_push(ps, FR_TABLES, FRF_BRACE | FRF_OJ);
    } else if (is_expr || (fr->kind == FR_TABLES && fr->from == F_ON)) {
        frame_push(ps, FR_EXPR, FRF_BRACE);
    } else {
        parser_fail(ps, WHY_SHAPE);
    }
}

/* --- the loop ----------------------------------------------------------------------------------- */

static WR_ALWAYS_INLINE void frame_token(struct parser *ps, const struct tok *tok)
{
    struct frame *fr = frame_top(ps);
    switch ((enum frame_kind)fr->kind) {
    case FR_QUERY:
        query_token(ps, fr, tok);
        return;
    case FR_TABLES:
        from_token(ps, fr, tok);
        return;
    case FR_EXPR:
        if ((fr->flags & FRF_START) != 0) {
            if (tok->kind == TOK_WORD && query_begin(ps, fr, tok)) {
                return;
            }
            fr->flags = (uint8_t)(fr->flags & ~FRF_START);
        }
        if (tok->kind == TOK_WORD) {
            expr_word(ps, fr, tok);
            if (fr->kind == FR_EXPR) {
                fr->flags = (uint8_t)(fr->flags & ~FRF_QUERY);
            }
        }
        return;
    case FR_NAMES:
        if (!tok_is_name(tok) && tok->kind != TOK_COMMA) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    case FR_COLUMNS:
        if (tok_is(tok, KW_SELECT) || tok->kind == TOK_DOT) {
            parser_fail(ps, WHY_SHAPE);
        }
        return;
    }
}

/* Where frame_token() does nothing about tokens that parser_next_clause() goes past. */
static inline bool frame_is_expression(const struct frame *fr)
{
    return fr->kind == FR_QUERY ? fr->clause == Q_LIST || fr->clause == Q_TAIL
                                : fr->kind == FR_EXPR && (fr->flags & (FRF_START | FRF_QUERY)) == 0;
}

static WR_ALWAYS_INLINE void query_end(struct parser *ps)
{
    from_commit(ps);
    if (ps->depth != 0 || !query_is_complete(frame_top(ps)) ||
        tok_is(parser_back(ps, 1), KW_SELECT)) {
        parser_fail(ps, WHY_SHAPE);
    }
}

/* A token that is not the end. A part of query_run() still, though query_step() has a copy. */
static WR_ALWAYS_INLINE void query_shape(struct parser *ps, const struct tok *tok)
{
    switch ((enum tok_kind)tok->kind) {
    case TOK_LPAREN:
        paren_open(ps, tok);
        return;
    case TOK_RPAREN:
        paren_close(ps, 0);
        return;
    case TOK_LBRACE:
        brace_open(ps);
        return;
    case TOK_RBRACE:
        paren_close(ps, FRF_BRACE);
        return;
    case TOK_BAD:
        parser_fail(ps, WHY_SHAPE);
        return;
    case TOK_END:
    case TOK_SEMI:
    case TOK_WORD:
    case TOK_QUOTED:
    case TOK_STRING:
    case TOK_NUMBER:
    case TOK_COMMA:
    case TOK_DOT:
    case TOK_USERVAR:
    case TOK_SYSVAR:
    case TOK_ASSIGN:
    case TOK_EQ:
    case TOK_OP:
    case TOK_STAR:
    case TOK_PARAM:
        frame_token(ps, tok);
        return;
    }
}

/* Most tokens stand in a select list or behind WHERE and say nothing there: parser_next_clause()
 * goes past them. */
static void query_run(struct parser *ps)
{
    const struct tok *tok = parser_tok(ps);
    while (!ps->is_failed) {
        if (tok_ends(tok)) {
            query_end(ps);
            return;
        }
        query_shape(ps, tok);
        tok = frame_is_expression(frame_top(ps)) ? parser_next_clause(ps) : parser_next(ps);
    }
}

static void query_start(struct parser *ps, enum query_clause clause)
{
    ps->depth = 0;
    ps->cte_count = 0;
    ps->name.p = NULL;
    ps->frames[0] = (struct frame){.kind = FR_QUERY, .clause = (uint8_t)clause, .from = F_WANT};
}

void query_parse(struct parser *ps)
{
    query_start(ps, Q_START);
    query_run(ps);
    parser_skip(ps);
}

void query_begin_steps(struct parser *ps, bool is_expression)
{
    query_start(ps, is_expression ? Q_TAIL : Q_START);
}

WR_COLD void query_step(struct parser *ps)
{
    query_shape(ps, parser_tok(ps));
}

WR_COLD void query_end_steps(struct parser *ps)
{
    query_end(ps);
}

void query_parse_tail(struct parser *ps)
{
    query_start(ps, Q_TAIL);
    ps->frames[0].flags = FRF_FROM;
    query_run(ps);
    parser_skip(ps);
}
