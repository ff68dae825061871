/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mention.c - the tables that a statement names, whatever kind it is.
 *
 * Not a parser: names are taken where a table may stand, told by the word before them and by commas
 * that go on a list. What is no table may be among them (an alias of a multi-table DELETE), one that
 * stands in an ordinary place is not missed. For rules of operators; what may run on a replica is
 * decided by from.c.
 */
#include <string.h>

#include "keyword_priv.h"
#include "parse_priv.h"

#define DEPTH_MAX 64

/* What the words of one pair of parentheses have said so far. */
struct level {
    bool has_verb; /* FROM belongs to a statement, not to EXTRACT(x FROM y) */
    bool is_list;  /* a comma goes on a list of tables */
};

struct mention {
    struct lexer lex;
    struct tok tok;
    struct facts_table *tables;
    size_t max;
    size_t count;
    struct level levels[DEPTH_MAX];
    unsigned depth;
    uint16_t verb;   /* first word of the statement */
    uint16_t before; /* the keyword before this token; KW_NONE: something else */
    bool is_due;     /* a table may stand here */
};

static struct level *level(struct mention *m)
{
    return &m->levels[m->depth < DEPTH_MAX ? m->depth : DEPTH_MAX - 1];
}

/* Words that may stand between a verb and its table. */
static bool is_filler(const struct mention *m)
{
    switch (m->tok.kw) {
    case KW_LOW_PRIORITY:
    case KW_HIGH_PRIORITY:
    case KW_DELAYED:
    case KW_IGNORE:
    case KW_IF:
    case KW_NOT:
    case KW_EXISTS:
    case KW_LOCAL:
    case KW_NO_WRITE_TO_BINLOG:
    case KW_ONLY:
    case KW_LATERAL:
    case KW_TABLE:
    case KW_TABLES:
        return true;
    default: /* a list of keywords, not an enum of ours */
        return m->before == KW_DELETE && span_eq_text_nocase(tok_span(&m->tok), "quick");
    }
}

static bool ends_list(uint16_t kw)
{
    switch (kw) {
    case KW_SELECT:
    case KW_SET:
    case KW_WHERE:
    case KW_VALUES:
    case KW_VALUE:
    case KW_GROUP:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_HAVING:
        return true;
    default: /* as above */
        return false;
    }
}

static bool is_ddl_verb(uint16_t kw)
{
    return kw == KW_CREATE || kw == KW_DROP || kw == KW_GRANT || kw == KW_REVOKE ||
           kw == KW_ALTER || kw == KW_SHOW;
}

/* A table may stand behind this word. */
static bool opens(struct mention *m, uint16_t kw)
{
    switch (kw) {
    case KW_FROM:
        return m->depth == 0 || level(m)->has_verb;
    case KW_UPDATE: /* ON DUPLICATE KEY UPDATE, FOR UPDATE */
        return m->before != KW_KEY && m->before != KW_FOR;
    case KW_JOIN:
    case KW_STRAIGHT_JOIN:
    case KW_INTO:
    case KW_TABLE:
    case KW_TABLES:
    case KW_VIEW:
    case KW_REFERENCES:
        return true;
    case KW_INSERT:
    case KW_REPLACE:
    case KW_DELETE:
    case KW_TRUNCATE:
    case KW_DESCRIBE:
    case KW_DESC:
    case KW_EXPLAIN:
    case KW_HANDLER:
        return m->before == KW_NONE && m->verb == kw;
    case KW_ON:
        return is_ddl_verb(m->verb);
    case KW_TO:
        return m->verb == KW_RENAME || m->verb == KW_ALTER;
    case KW_RENAME: /* ALTER TABLE a RENAME b; COLUMN, INDEX and KEY are reserved words */
        return m->verb == KW_ALTER;
    case KW_AS:
        return m->verb == KW_ALTER && m->before == KW_RENAME;
    case KW_LIKE:
        return m->verb == KW_CREATE;
    default: /* as above */
        return false;
    }
}

static void on_keyword(struct mention *m, uint16_t kw)
{
    if (kw == KW_SELECT || kw == KW_DELETE || kw == KW_TABLE) {
        level(m)->has_verb = true;
    }
    if (opens(m, kw)) {
        m->is_due = true;
        return;
    }
    if (m->is_due && kw == KW_JSON_TABLE) {
        level(m)->is_list = true; /* one that is made here: others may follow */
    }
    m->is_due = false;
    if (ends_list(kw)) {
        level(m)->is_list = false;
    }
}

/* The current token begins a table's name; the current token is the one behind it afterwards. */
static void take(struct mention *m)
{
    struct facts_table table = {.name = tok_span(&m->tok)};

    lex_next(&m->lex, &m->tok);
    if (m->tok.kind == TOK_DOT) {
        lex_next(&m->lex, &m->tok);
        if (tok_is_name(&m->tok)) {
            table.schema = table.name;
            table.name = tok_span(&m->tok);
            lex_next(&m->lex, &m->tok);
        }
    }
    if (m->count < m->max) {
        m->tables[m->count++] = table;
    }
    m->is_due = false;
    level(m)->is_list = true;
    m->before = KW_NONE;
}

static void paren(struct mention *m, bool is_open)
{
    if (is_open) {
        bool is_due = m->is_due;

        level(m)->is_list = level(m)->is_list || is_due; /* FROM (...), t */
        m->depth++;
        if (m->depth < DEPTH_MAX) {
            *level(m) = (struct level){.has_verb = false};
        }
        m->is_due = is_due; /* FROM (a, b) */
        return;
    }
    m->depth -= m->depth > 0 ? 1U : 0U;
    m->is_due = false;
}

/* One token that is not the name of a table; fetches the next. */
static void step(struct mention *m)
{
    uint16_t kw = m->tok.kind == TOK_WORD ? m->tok.kw : KW_NONE;

    switch (m->tok.kind) {
    case TOK_WORD:
        if (m->verb == KW_NONE) {
            m->verb = kw;
        }
        on_keyword(m, kw);
        break;
    case TOK_LPAREN:
    case TOK_RPAREN:
        paren(m, m->tok.kind == TOK_LPAREN);
        break;
    case TOK_COMMA:
        m->is_due = level(m)->is_list;
        break;
    case TOK_LBRACE:
        if (m->is_due) { /* {OJ a LEFT JOIN b ...} */
            level(m)->is_list = true;
            lex_next(&m->lex, &m->tok);
        }
        break;
    case TOK_SEMI:
        m->depth = 0;
        m->verb = KW_NONE;
        m->is_due = false;
        m->levels[0] = (struct level){.has_verb = false};
        break;
    default: /* tokens of which none begins or ends a place for tables */
        m->is_due = false;
        break;
    }
    m->before = kw;
    lex_next(&m->lex, &m->tok);
}

size_t classify_mentions(struct span sql, const struct classify_env *env,
                         struct facts_table *tables, size_t max)
{
    struct mention m;

    if (sql.len > CLASSIFY_MAX_SQL) {
        sql.len = CLASSIFY_MAX_SQL;
    }
    m.tables = tables;
    m.max = max;
    m.count = 0;
    m.levels[0] = (struct level){.has_verb = false};
    m.depth = 0;
    m.verb = KW_NONE;
    m.before = KW_NONE;
    m.is_due = false;
    lex_init(&m.lex, sql, env, NULL);
    lex_next(&m.lex, &m.tok);
    while (m.tok.kind != TOK_END && m.count < max) {
        bool is_word = m.tok.kind == TOK_WORD;

        if (m.is_due && is_word && is_filler(&m)) {
            m.before = m.tok.kw;
            lex_next(&m.lex, &m.tok);
        } else if (m.is_due && is_word && opens(&m, m.tok.kw)) {
            step(&m); /* INSERT INTO, TRUNCATE TABLE, DELETE FROM */
        } else if (m.is_due && tok_is_name(&m.tok) &&
                   !(is_word && (keyword_flags[m.tok.kw] & KWF_RESERVED) != 0)) {
            take(&m);
        } else {
            step(&m);
        }
    }
    return m.count;
}
