/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - SHOW: of the schema (any server), of one server, or of the statement before. */
#include <strings.h>

#include "parse_priv.h"

/* LIKE, WHERE and so on. MySQL reads the tables of a subquery in it as INSERT ... SELECT does: it
 * locks the rows (seen in performance_schema.data_locks of 9.7; MariaDB does not). */
static void show_tail(struct parser *ps)
{
    query_parse_tail(ps);
    if (ps->f->table_count > 0) {
        ps->f->bits |= FACT(LOCKING);
        parser_fail(ps, WHY_LOCKING);
    }
}

static void show_last(struct parser *ps)
{
    ps->is_last = true;
    parser_skip(ps);
}

/* Each server answers for itself. */
static void show_per_server(struct parser *ps)
{
    ps->f->bits |= FACT(PER_SERVER) | FACT(UNCACHEABLE);
    parser_fail(ps, WHY_PER_SERVER);
}

static bool string_begins(const struct tok *tok, const char *text, size_t len)
{
    return tok->kind == TOK_STRING && tok->len > len &&
           strncasecmp((const char *)tok->p + 1, text, len) == 0;
}

/* Handler% and Last_query% count the statement before; with SESSION all of it does. */
static void show_status(struct parser *ps, bool is_session)
{
    parser_next(ps);
    struct tok pattern = parser_peek(ps);
    if (is_session ||
        (tok_is(parser_tok(ps), KW_LIKE) &&
         (string_begins(&pattern, "handler", 7) || string_begins(&pattern, "last_query", 10)))) {
        show_last(ps);
        return;
    }
    show_per_server(ps);
}

/* SHOW SLAVE STATUS is asked of replicas; a hint says of which. */
static void show_replica(struct parser *ps)
{
    parser_next(ps);
    const struct tok *tok = parser_tok(ps);
    if (!tok_is(tok, KW_STATUS) && tok->kind != TOK_STRING) {
        show_per_server(ps);
        return;
    }
    ps->f->bits |= FACT(PER_SERVER) | FACT(UNCACHEABLE);
    show_tail(ps);
}

static void show_object_status(struct parser *ps)
{
    parser_next(ps);
    if (tok_is(parser_tok(ps), KW_BODY)) {
        parser_next(ps);
    }
    if (!tok_is(parser_tok(ps), KW_STATUS)) {
        parser_fail(ps, WHY_STATEMENT);
        return;
    }
    parser_next(ps);
    show_tail(ps);
}

void show_parse(struct parser *ps)
{
    bool is_session = false;
    while (tok_is(parser_tok(ps), KW_FULL) || tok_is(parser_tok(ps), KW_EXTENDED) ||
           tok_is(parser_tok(ps), KW_GLOBAL) || tok_is(parser_tok(ps), KW_SESSION) ||
           tok_is(parser_tok(ps), KW_LOCAL)) {
        is_session = !tok_is(parser_tok(ps), KW_GLOBAL) && !tok_is(parser_tok(ps), KW_FULL);
        parser_next(ps);
    }
    switch (parser_tok(ps)->kind == TOK_WORD ? parser_tok(ps)->kw : KW_NONE) {
    case KW_WARNINGS:
    case KW_ERRORS:
    case KW_COUNT:
        show_last(ps);
        return;
    case KW_STATUS:
        show_status(ps, is_session);
        return;
    case KW_CREATE:
        parser_skip(ps);
        return;
    case KW_GRANTS:
        ps->is_account = true;
        parser_skip(ps);
        return;
    case KW_TABLES:
    case KW_COLUMNS:
    case KW_FIELDS:
    case KW_INDEX:
    case KW_INDEXES:
    case KW_KEYS:
    case KW_DATABASES:
    case KW_SCHEMAS:
    case KW_TRIGGERS:
    case KW_EVENTS:
    case KW_COLLATION:
    case KW_CHARACTER:
    case KW_CHARSET:
    case KW_PRIVILEGES:
        parser_next(ps);
        show_tail(ps);
        return;
    case KW_TABLE:
    case KW_FUNCTION:
    case KW_PROCEDURE:
    case KW_PACKAGE:
        show_object_status(ps);
        return;
    case KW_SLAVE:
    case KW_REPLICA:
        show_replica(ps);
        return;
    case KW_RELAYLOG:
        ps->f->bits |= FACT(PER_SERVER) | FACT(UNCACHEABLE);
        parser_skip(ps);
        return;
    case KW_ALL: /* SHOW ALL SLAVES STATUS */
        ps->f->bits |= FACT(PER_SERVER) | FACT(UNCACHEABLE);
        parser_next(ps);
        if (!tok_is(parser_tok(ps), KW_SLAVES) && !tok_is(parser_tok(ps), KW_REPLICAS)) {
            parser_fail(ps, WHY_STATEMENT);
        }
        parser_skip(ps);
        return;
    case KW_VARIABLES:
    case KW_PROCESSLIST:
    case KW_ENGINE:
    case KW_ENGINES:
    case KW_STORAGE:
    case KW_OPEN:
    case KW_PROFILE:
    case KW_PROFILES:
    case KW_PLUGINS:
    case KW_MASTER:
    case KW_BINARY:
    case KW_BINLOG:
    case KW_REPLICAS:
    case KW_EXPLAIN:
    case KW_ANALYZE:
        show_per_server(ps);
        return;
    default:
        parser_fail(ps, WHY_STATEMENT);
        return;
    }
}
