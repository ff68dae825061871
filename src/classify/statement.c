/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement.c - what kind of statement it is, and what it leaves behind.
 *
 * One table: first word -> verb, facts, reason, and a function for the words behind it. Nothing in
 * this file can make a read of a statement; only query.c, show.c and explain.c can.
 */
#include "parse_priv.h"

#define WRITES  (FACT(WRITE))
#define DEFINES (FACT(WRITE) | FACT(DDL) | FACT(IMPLICIT_COMMIT))

static void pin(struct parser *ps, enum classify_pin which)
{
    ps->f->pins |= PIN_BIT(which);
}

static void unpin(struct parser *ps, enum classify_pin which)
{
    ps->f->unpins |= PIN_BIT(which);
}

static void unknown_parse(struct parser *ps)
{
    ps->f->bits |= FACT(WRITE);
    pin(ps, PIN_UNKNOWN);
}

/* MariaDB's blocks outside of routines: no end can be told, all of the text is taken for it. */
static void compound_parse(struct parser *ps)
{
    parser_set_verb(ps, VERB_COMPOUND);
    if (ps->is_first) {
        ps->f->why = WHY_COMPOUND;
    }
    ps->f->bits |= FACT(WRITE) | FACT(IMPLICIT_COMMIT);
    pin(ps, PIN_UNKNOWN);
    (void)parser_skip_body(ps);
}

/* --- transactions ------------------------------------------------------------------------------ */

static void begin_parse(struct parser *ps)
{
    (void)parser_take(ps, KW_WORK);
    if (!tok_ends(parser_tok(ps))) {
        compound_parse(ps);
        return;
    }
    ps->f->bits |= FACT(STARTS_TX) | FACT(IMPLICIT_COMMIT);
}

static void start_transaction(struct parser *ps)
{
    ps->f->bits |= FACT(STARTS_TX) | FACT(IMPLICIT_COMMIT);
    while (!tok_ends(parser_tok(ps))) {
        if (tok_is(parser_tok(ps), KW_SNAPSHOT)) {
            ps->f->bits |= FACT(TX_SNAPSHOT);
        } else if (tok_is(parser_tok(ps), KW_ONLY) && tok_is(parser_back(ps, 1), KW_READ)) {
            ps->f->bits |= FACT(TX_READ_ONLY);
        }
        parser_next(ps);
    }
}

static void admin_parse(struct parser *ps)
{
    parser_set_verb(ps, VERB_ADMIN);
    ps->f->bits |= FACT(ADMIN) | FACT(WRITE);
    if (ps->is_first) {
        ps->f->why = WHY_ADMIN;
    }
}

static void start_parse(struct parser *ps)
{
    if (parser_take(ps, KW_TRANSACTION)) {
        start_transaction(ps);
        return;
    }
    admin_parse(ps);
}

/* [WORK] [AND [NO] CHAIN] [[NO] RELEASE] */
static void end_words(struct parser *ps)
{
    ps->f->bits |= FACT(ENDS_TX);
    (void)parser_take(ps, KW_WORK);
    bool is_no = false;
    while (!tok_ends(parser_tok(ps))) {
        const struct tok *tok = parser_tok(ps);
        if (!is_no && tok_is(tok, KW_CHAIN)) {
            ps->f->bits |= FACT(CHAIN) | FACT(STARTS_TX);
        } else if (!is_no && tok_is(tok, KW_RELEASE)) {
            ps->f->bits |= FACT(RELEASE);
        }
        is_no = tok_is(tok, KW_NO);
        parser_next(ps);
    }
}

static void rollback_parse(struct parser *ps)
{
    (void)parser_take(ps, KW_WORK);
    if (tok_is(parser_tok(ps), KW_TO)) {
        parser_set_verb(ps, VERB_SAVEPOINT);
        return;
    }
    end_words(ps);
}

static void xa_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_START) || tok_is(parser_tok(ps), KW_BEGIN)) {
        ps->f->bits |= FACT(STARTS_TX);
        pin(ps, PIN_XA);
    } else if (tok_is(parser_tok(ps), KW_COMMIT) || tok_is(parser_tok(ps), KW_ROLLBACK)) {
        ps->f->bits |= FACT(ENDS_TX) | FACT(WRITE);
        unpin(ps, PIN_XA);
    }
}

/* --- locks ---------------------------------------------------------------------------------------- */

static void lock_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_INSTANCE)) {
        pin(ps, PIN_BACKUP_LOCK);
        return;
    }
    ps->f->bits |= FACT(IMPLICIT_COMMIT);
    pin(ps, PIN_LOCK_TABLES);
}

static void unlock_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_INSTANCE)) {
        unpin(ps, PIN_BACKUP_LOCK);
        return;
    }
    ps->f->bits |= FACT(IMPLICIT_COMMIT);
    unpin(ps, PIN_LOCK_TABLES);
}

static void backup_parse(struct parser *ps)
{
    struct tok next = parser_peek(ps);
    ps->f->bits |= FACT(IMPLICIT_COMMIT);
    if (tok_is(parser_tok(ps), KW_UNLOCK) ||
        (tok_is(parser_tok(ps), KW_STAGE) && tok_is(&next, KW_END))) {
        unpin(ps, PIN_BACKUP_LOCK);
        return;
    }
    pin(ps, PIN_BACKUP_LOCK);
}

static void flush_parse(struct parser *ps)
{
    ps->f->bits |= FACT(IMPLICIT_COMMIT);
    while (!tok_ends(parser_tok(ps))) {
        const struct tok *tok = parser_tok(ps);
        if ((tok_is(tok, KW_LOCK) && tok_is(parser_back(ps, 1), KW_READ)) ||
            (tok_is(tok, KW_EXPORT) && tok_is(parser_back(ps, 1), KW_FOR))) {
            pin(ps, PIN_LOCK_TABLES);
        }
        parser_next(ps);
    }
}

static void handler_parse(struct parser *ps)
{
    while (!tok_ends(parser_tok(ps))) {
        if (tok_is(parser_tok(ps), KW_OPEN)) {
            pin(ps, PIN_HANDLER);
        }
        parser_next(ps);
    }
}

/* --- definitions --------------------------------------------------------------------------------- */

/* A body may hold semicolons. It is taken for one statement when the text ends as a body does;
 * whatever may stand behind it is not known otherwise. */
static void routine_parse(struct parser *ps)
{
    ps->is_quiet = true;
    if (!parser_skip_body(ps)) {
        return;
    }
    for (unsigned back = 1; back <= 3; back++) {
        const struct tok *tok = parser_back(ps, back);
        if (tok_is(tok, KW_END)) {
            return;
        }
        if (tok->kind == TOK_SEMI && back > 1) {
            break;
        }
    }
    ps->f->bits |= FACT(MULTI);
    pin(ps, PIN_UNKNOWN);
}

static void temporary_parse(struct parser *ps, bool is_create)
{
    ps->f->bits &= ~(FACT(IMPLICIT_COMMIT) | FACT(DDL));
    ps->f->bits |= FACT(TEMP_TABLE) | FACT(SETS_STATE);
    if (is_create) {
        pin(ps, PIN_TEMP_TABLE);
    }
}

static void create_parse(struct parser *ps)
{
    bool is_quiet = ps->is_quiet;
    ps->is_quiet = true; /* DEFINER = user@host is no variable */
    for (unsigned i = 0; i < 24 && !tok_ends(parser_tok(ps)); i++) {
        const struct tok *tok = parser_tok(ps);
        if (tok_is(tok, KW_TEMPORARY)) {
            temporary_parse(ps, true);
        } else if (tok_is(tok, KW_PROCEDURE) || tok_is(tok, KW_FUNCTION) ||
                   tok_is(tok, KW_TRIGGER) || tok_is(tok, KW_EVENT) || tok_is(tok, KW_PACKAGE)) {
            routine_parse(ps);
            return;
        } else if (tok_is(tok, KW_VIEW)) {
            parser_skip(ps);
            return;
        } else if (tok_is(tok, KW_TABLE) || tok_is(tok, KW_DATABASE) || tok_is(tok, KW_SCHEMA)) {
            break;
        }
        parser_next(ps);
    }
    ps->is_quiet = is_quiet;
    ps->is_account = true;
}

static void alter_parse(struct parser *ps)
{
    ps->is_account = true;
    struct tok next = parser_peek(ps);
    if (tok_is(parser_tok(ps), KW_EVENT) ||
        (tok_is(parser_tok(ps), KW_DEFINER) && next.kind == TOK_EQ)) {
        routine_parse(ps);
    }
}

static void drop_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_TEMPORARY)) {
        temporary_parse(ps, false);
    } else if (tok_is(parser_tok(ps), KW_PREPARE)) {
        parser_set_verb(ps, VERB_DEALLOCATE);
        ps->f->bits &= ~DEFINES;
        ps->f->bits |= FACT(SETS_STATE);
        if (ps->is_first) {
            ps->f->why = WHY_TEXT_PREPARE;
        }
    }
    ps->is_account = true;
}

static void account_parse(struct parser *ps)
{
    ps->is_account = true;
}

/* --- text that holds a statement ------------------------------------------------------------------ */

/* A KILL in a literal would reach the server with an id of weir's. */
static void literal_kill(struct parser *ps, const struct tok *tok)
{
    struct lexer lex;
    struct tok first;
    if (tok->kind != TOK_STRING || tok->len < 2) {
        return;
    }
    lex_init(&lex, (struct span){tok->p + 1, tok->len - 2}, ps->env, NULL);
    do {
        lex_next(&lex, &first);
    } while (first.kind == TOK_SEMI);
    if (tok_is(&first, KW_KILL)) {
        ps->f->bits |= FACT(KILL);
        ps->f->kill.form = KILL_OTHER;
    }
}

static void prepare_parse(struct parser *ps)
{
    ps->f->bits |= FACT(SETS_STATE);
    pin(ps, PIN_TEXT_PREPARE);
    while (!tok_ends(parser_tok(ps))) {
        literal_kill(ps, parser_tok(ps));
        parser_next(ps);
    }
}

static void execute_parse(struct parser *ps)
{
    prepare_parse(ps);
    ps->f->bits |= FACT(WRITE);
    pin(ps, PIN_UNKNOWN);
}

static void deallocate_parse(struct parser *ps)
{
    ps->f->bits |= FACT(SETS_STATE);
}

/* --- the rest ------------------------------------------------------------------------------------- */

static void load_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_INDEX)) {
        parser_set_verb(ps, VERB_TABLE_ADMIN);
        ps->f->bits |= FACT(IMPLICIT_COMMIT);
        return;
    }
    ps->f->bits |= FACT(DML);
    ps->is_target = true;
    parser_next(ps); /* DATA, XML */
    while (tok_is(parser_tok(ps), KW_LOW_PRIORITY) || tok_is(parser_tok(ps), KW_CONCURRENT)) {
        parser_next(ps);
    }
    if (tok_is(parser_tok(ps), KW_LOCAL)) {
        ps->f->bits |= FACT(LOAD_LOCAL);
    }
}

static void call_parse(struct parser *ps)
{
    ps->is_target = true;
    pin(ps, PIN_UNKNOWN);
}

static void use_parse(struct parser *ps)
{
    ps->f->bits |= FACT(SETS_STATE);
    if (tok_is_name(parser_tok(ps)) && ps->is_first) {
        ps->f->use_schema = tok_span(parser_tok(ps));
    }
}

static void table_admin_parse(struct parser *ps)
{
    ps->f->bits |= FACT(WRITE) | FACT(IMPLICIT_COMMIT);
}

static void analyze_parse(struct parser *ps)
{
    if (tok_is(parser_tok(ps), KW_TABLE) || tok_is(parser_tok(ps), KW_LOCAL) ||
        tok_is(parser_tok(ps), KW_NO_WRITE_TO_BINLOG)) {
        parser_fail(ps, WHY_STATEMENT);
        table_admin_parse(ps);
        return;
    }
    parser_set_verb(ps, VERB_EXPLAIN);
    explain_parse(ps, false, true);
}

static void explain_word(struct parser *ps)
{
    explain_parse(ps, true, false);
}

static void describe_word(struct parser *ps)
{
    explain_parse(ps, false, false);
}

/* GET DIAGNOSTICS writes variables, yet only the connection of the last statement can answer. */
static void diagnostics_parse(struct parser *ps)
{
    enum classify_why why = ps->f->why;
    bool is_failed = ps->is_failed;
    ps->is_target = true;
    parser_skip(ps);
    ps->is_failed = is_failed;
    ps->f->why = why;
    ps->is_last = true;
}

static void help_parse(struct parser *ps)
{
    parser_skip(ps);
}

struct statement {
    uint16_t kw;
    enum classify_verb verb;
    enum classify_why why; /* WHY_NONE: the function decides */
    uint64_t bits;
    void (*parse)(struct parser *ps);
};

static const struct statement statements[] = {
    {KW_INSERT, VERB_INSERT, WHY_WRITE, WRITES | FACT(DML), NULL},
    {KW_UPDATE, VERB_UPDATE, WHY_WRITE, WRITES | FACT(DML), NULL},
    {KW_DELETE, VERB_DELETE, WHY_WRITE, WRITES | FACT(DML), NULL},
    {KW_SET, VERB_SET, WHY_NONE, 0, set_parse},
    {KW_BEGIN, VERB_BEGIN, WHY_TRANSACTION, 0, begin_parse},
    {KW_START, VERB_BEGIN, WHY_TRANSACTION, 0, start_parse},
    {KW_COMMIT, VERB_COMMIT, WHY_TRANSACTION, 0, end_words},
    {KW_ROLLBACK, VERB_ROLLBACK, WHY_TRANSACTION, 0, rollback_parse},
    {KW_REPLACE, VERB_REPLACE, WHY_WRITE, WRITES | FACT(DML), NULL},
    {KW_SHOW, VERB_SHOW, WHY_NONE, 0, show_parse},
    {KW_USE, VERB_USE, WHY_USE, 0, use_parse},
    {KW_CALL, VERB_CALL, WHY_CALL, WRITES, call_parse},
    {KW_DO, VERB_DO, WHY_DO, 0, NULL},
    {KW_LOAD, VERB_LOAD, WHY_LOAD, WRITES, load_parse},
    {KW_EXPLAIN, VERB_EXPLAIN, WHY_NONE, 0, explain_word},
    {KW_DESCRIBE, VERB_EXPLAIN, WHY_NONE, 0, describe_word},
    {KW_DESC, VERB_EXPLAIN, WHY_NONE, 0, describe_word},
    {KW_ANALYZE, VERB_TABLE_ADMIN, WHY_NONE, 0, analyze_parse},
    {KW_HELP, VERB_HELP, WHY_NONE, 0, help_parse},
    {KW_SAVEPOINT, VERB_SAVEPOINT, WHY_TRANSACTION, 0, NULL},
    {KW_RELEASE, VERB_SAVEPOINT, WHY_TRANSACTION, 0, NULL},
    {KW_XA, VERB_XA, WHY_TRANSACTION, 0, xa_parse},
    {KW_LOCK, VERB_LOCK, WHY_LOCK_TABLES, FACT(SETS_STATE), lock_parse},
    {KW_UNLOCK, VERB_UNLOCK, WHY_LOCK_TABLES, FACT(SETS_STATE), unlock_parse},
    {KW_BACKUP, VERB_LOCK, WHY_LOCK_TABLES, FACT(SETS_STATE), backup_parse},
    {KW_PREPARE, VERB_PREPARE, WHY_TEXT_PREPARE, 0, prepare_parse},
    {KW_EXECUTE, VERB_EXECUTE, WHY_TEXT_PREPARE, 0, execute_parse},
    {KW_DEALLOCATE, VERB_DEALLOCATE, WHY_TEXT_PREPARE, 0, deallocate_parse},
    {KW_HANDLER, VERB_HANDLER, WHY_HANDLER, FACT(SETS_STATE), handler_parse},
    {KW_CREATE, VERB_CREATE, WHY_DDL, DEFINES, create_parse},
    {KW_ALTER, VERB_ALTER, WHY_DDL, DEFINES, alter_parse},
    {KW_DROP, VERB_DROP, WHY_DDL, DEFINES, drop_parse},
    {KW_RENAME, VERB_RENAME, WHY_DDL, DEFINES, account_parse},
    {KW_TRUNCATE, VERB_TRUNCATE, WHY_DDL, DEFINES, NULL},
    {KW_IMPORT, VERB_CREATE, WHY_DDL, DEFINES, NULL},
    {KW_GRANT, VERB_GRANT, WHY_DDL, DEFINES, account_parse},
    {KW_REVOKE, VERB_GRANT, WHY_DDL, DEFINES, account_parse},
    {KW_CHECK, VERB_TABLE_ADMIN, WHY_STATEMENT, FACT(IMPLICIT_COMMIT), NULL},
    {KW_CHECKSUM, VERB_TABLE_ADMIN, WHY_STATEMENT, 0, NULL},
    {KW_OPTIMIZE, VERB_TABLE_ADMIN, WHY_STATEMENT, 0, table_admin_parse},
    {KW_REPAIR, VERB_TABLE_ADMIN, WHY_STATEMENT, 0, table_admin_parse},
    {KW_CACHE, VERB_TABLE_ADMIN, WHY_STATEMENT, FACT(IMPLICIT_COMMIT), NULL},
    {KW_FLUSH, VERB_FLUSH, WHY_STATEMENT, 0, flush_parse},
    {KW_KILL, VERB_KILL, WHY_KILL, FACT(KILL), kill_parse},
    {KW_GET, VERB_DIAGNOSTICS, WHY_NONE, 0, diagnostics_parse},
    {KW_SIGNAL, VERB_SIGNAL, WHY_STATEMENT, 0, NULL},
    {KW_RESIGNAL, VERB_SIGNAL, WHY_STATEMENT, 0, NULL},
    {KW_SHUTDOWN, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_RESTART, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_RESET, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_PURGE, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_CHANGE, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_STOP, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_INSTALL, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_UNINSTALL, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_CLONE, VERB_ADMIN, WHY_ADMIN, 0, admin_parse},
    {KW_IF, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_CASE, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_LOOP, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_WHILE, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_REPEAT, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_FOR, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
    {KW_DECLARE, VERB_COMPOUND, WHY_COMPOUND, 0, compound_parse},
};

static const struct statement *statement_find(uint16_t kw)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(statements); i++) {
        if (statements[i].kw == kw) {
            return &statements[i];
        }
    }
    return NULL;
}

bool statement_has_word(uint16_t kw, enum classify_why *ret_why)
{
    const struct statement *st = kw != KW_NONE ? statement_find(kw) : NULL;
    *ret_why = st != NULL && st->why != WHY_NONE ? st->why : WHY_STATEMENT;
    return st != NULL;
}

void statement_parse(struct parser *ps)
{
    const struct tok *tok = parser_tok(ps);
    if (tok->kind == TOK_LPAREN || tok_is(tok, KW_SELECT) || tok_is(tok, KW_WITH) ||
        tok_is(tok, KW_VALUES) || tok_is(tok, KW_TABLE)) {
        parser_set_verb(ps, VERB_SELECT);
        query_parse(ps);
        return;
    }
    const struct statement *st =
        tok->kind == TOK_WORD && tok->kw != KW_NONE ? statement_find(tok->kw) : NULL;
    if (st == NULL) {
        parser_set_verb(ps, VERB_UNKNOWN);
        parser_fail(ps, WHY_STATEMENT);
        unknown_parse(ps);
        parser_skip(ps);
        return;
    }
    parser_set_verb(ps, st->verb);
    ps->f->bits |= st->bits;
    if (st->why != WHY_NONE) {
        parser_fail(ps, st->why);
    }
    parser_next(ps);
    if (st->parse != NULL) {
        st->parse(ps);
    }
    parser_skip(ps);
}
