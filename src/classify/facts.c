/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.c - classify_sql(): every statement of the text, and the verdict on all of it.
 *
 * A text is a read only when it holds exactly one statement, that one is a read, and nothing about
 * its characters, comments or mode is in doubt. Effects of all statements are added up.
 */
#include <stddef.h>
#include <string.h>

#include "weir/util/attr.h"

#include "parse_priv.h"

/* Of a text that is too large to be examined, this much is, for its verb. */
#define PREFIX_BYTES 4096U

static WR_ALWAYS_INLINE void init(struct parser *ps, struct span sql,
                                  const struct classify_env *env, struct facts *facts)
{
    lex_init(&ps->lex, sql, env, facts);
    ps->f = facts;
    ps->env = env;
    /* no further back than this is looked at the first token */
    memset(&ps->ring[PARSER_RING - PARSER_BACK_MAX], 0, PARSER_BACK_MAX * sizeof(ps->ring[0]));
    ps->at = PARSER_RING - 1;
    ps->verb = VERB_EMPTY;
    ps->has_call = false;
    ps->is_first = true;
    ps->is_failed = false;
    ps->is_last = false;
    ps->is_quiet = false;
    ps->is_into = false;
    ps->is_target = false;
    ps->is_account = false;
    ps->body = NULL;
    ps->depth = 0;
    ps->cte_count = 0;
    ps->name.p = NULL;
}

/* Returns the number of statements. */
static unsigned parse_text(struct parser *ps)
{
    unsigned count = 0;
    parser_next(ps);
    for (;;) {
        while (parser_tok(ps)->kind == TOK_SEMI) {
            parser_next(ps);
        }
        if (parser_tok(ps)->kind == TOK_END) {
            return count;
        }
        count++;
        if (count > 1) {
            ps->f->bits |= FACT(MULTI);
            ps->is_first = false;
            if (ps->f->why == WHY_NONE) {
                ps->f->why = WHY_MULTI;
                ps->f->culprit = tok_span(parser_tok(ps));
            }
            ps->is_failed = false;
            ps->is_into = false;
            ps->is_target = false;
            ps->is_account = false;
        }
        statement_parse(ps);
    }
}

static void doubt(struct facts *f, enum classify_why why)
{
    if (f->why == WHY_NONE) {
        f->why = why;
    }
}

static bool has_text_nocase(const uint8_t *p, const uint8_t *end, const char *text, size_t len)
{
    while (p < end) {
        const uint8_t *hit = memchr(p, text[0], (size_t)(end - p));
        if (hit == NULL || (size_t)(end - hit) < len) {
            return false;
        }
        if (span_eq_nocase((struct span){hit, len}, (struct span){(const uint8_t *)text, len})) {
            return true;
        }
        p = hit + 1;
    }
    return false;
}

/* The tail of a large text is only searched for what could leave state behind. */
static void large_finish(struct span sql, const struct classify_env *env, struct facts *f)
{
    const uint8_t *tail = sql.p + PREFIX_BYTES;
    const uint8_t *end = sql.p + sql.len;
    f->bits |= FACT(LARGE) | FACT(WRITE);
    f->bits &= ~FACT(BAD_LEX);
    if (f->why == WHY_NONE || f->why == WHY_SHAPE || f->why == WHY_SYNTAX) {
        f->why = WHY_TOO_LARGE;
    }
    bool is_plain = f->verb == VERB_INSERT || f->verb == VERB_REPLACE || f->verb == VERB_UPDATE ||
                    f->verb == VERB_DELETE || f->verb == VERB_SELECT;
    bool has_more = env->is_multi && memchr(tail, ';', (size_t)(end - tail)) != NULL;
    if (has_more) {
        f->bits |= FACT(MULTI);
    }
    if (!is_plain || memchr(tail, '@', (size_t)(end - tail)) != NULL ||
        has_text_nocase(tail, end, "_lock", 5)) {
        f->pins |= PIN_BIT(PIN_UNKNOWN);
    }
    if (memmem(tail, (size_t)(end - tail), "/*", 2) != NULL && env->is_multi && has_more) {
        f->pins |= PIN_BIT(PIN_UNKNOWN);
    }
}

/* Nothing but calls of functions that only the catalogue knows keeps it from being a read. */
WR_COLD static bool has_only_calls(const struct facts *f, const struct parser *ps,
                                   const struct classify_env *env)
{
    const uint64_t never = FACT(MULTI) | FACT(LARGE) | FACT(OVERFLOW) | FACT(BAD_LEX);
    return !ps->is_failed && !ps->is_last && (f->bits & never) == 0 &&
           env->charset != CLASSIFY_CS_UNKNOWN && (env->sql_mode & CLASSIFY_MODE_ORACLE) == 0;
}

/* Lexical doubts, then the verdict. */
static WR_ALWAYS_INLINE void finish(struct facts *f, const struct parser *ps,
                                    const struct classify_env *env)
{
    uint8_t flags = ps->lex.flags;
    if ((flags & LEXF_OPEN) != 0) {
        f->bits |= FACT(BAD_LEX);
        doubt(f, WHY_SYNTAX);
    }
    if ((flags & LEXF_COMMENT) != 0) {
        f->bits |= FACT(BAD_LEX);
        doubt(f, WHY_COMMENT);
    }
    if ((flags & LEXF_CHARSET) != 0 || env->charset == CLASSIFY_CS_UNKNOWN) {
        f->bits |= (flags & LEXF_CHARSET) != 0 ? FACT(BAD_LEX) : 0;
        doubt(f, WHY_CHARSET);
    }
    if ((env->sql_mode & CLASSIFY_MODE_ORACLE) != 0) {
        doubt(f, WHY_MODE);
    }
    if ((f->bits & FACT(MULTI)) != 0 && (f->bits & FACT(KILL)) != 0) {
        f->kill.form = KILL_OTHER;
    }
    f->bits |= ps->is_last ? FACT(ASKS_LAST) : 0;
    if (f->why == WHY_NONE && !ps->is_last) {
        f->bits |= FACT(READ);
        return;
    }
    if (f->why == WHY_NONE) {
        f->why = WHY_LAST_STATEMENT;
        f->bits |= FACT(LAST);
    } else {
        f->bits |= FACT(PRIMARY);
    }
    if (ps->has_call) {
        f->bits |= FACT(WRITE); /* a stored function may */
    }
    f->bits |= FACT(UNCACHEABLE);
    if (f->call_count > 0 && has_only_calls(f, ps, env)) {
        f->bits |= FACT(CALLS);
        return;
    }
    f->call_count = 0;
    f->table_count = 0;
}

/* For body.c. What classify_sql() runs for every statement has its own copies. */
WR_COLD void parser_init(struct parser *ps, struct span sql, const struct classify_env *env,
                         struct facts *facts)
{
    init(ps, sql, env, facts);
}

WR_COLD void facts_finish(struct facts *f, const struct parser *ps, const struct classify_env *env)
{
    finish(f, ps, env);
}

void classify_sql(struct span sql, const struct classify_env *env, struct facts *ret_facts)
{
    struct parser ps;
    struct facts *f = ret_facts;
    bool is_large = sql.len > CLASSIFY_MAX_SQL;
    memset(f, 0, offsetof(struct facts, hint));
    f->verb = VERB_EMPTY;
    init(&ps, is_large ? (struct span){sql.p, PREFIX_BYTES} : sql, env, f);
    unsigned count = parse_text(&ps);
    if (is_large) {
        large_finish(sql, env, f);
    } else if (count == 0) {
        doubt(f, WHY_EMPTY);
    }
    finish(f, &ps, env);
    if (f->id_count > 0) {
        ids_find_items(sql, env, f);
    }
}
