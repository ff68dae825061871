/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a statement may change, told from its text. Each kind of statement is either one that writes
 * no table that anybody else can read, one whose names are all it can touch, or everything. Names
 * are taken from wherever a table may stand: those that are only read come along, which costs a
 * question to the server and nothing else.
 */
#include "weir/cache/writes.h"

#include <ctype.h>
#include <string.h>

#include <xxhash.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/row.h"

#include "names_priv.h"

/* What kinds of statement can change. */
enum reach {
    REACH_NONE,   /* nothing; functions that it calls are another matter */
    REACH_NAMES,  /* tables that it names, and what that sets off */
    REACH_SCHEMA, /* definitions: the schemas of what it names */
    REACH_ALL
};

bool plain_get(const struct facts_table *table, struct span schema, struct plain *ret_plain)
{
    size_t len = 0;

    ret_plain->bytes[0][0] = '\0';
    len = classify_name_decode(table->name, ret_plain->bytes[0], NAME_BYTES);
    ret_plain->schema = schema;
    ret_plain->name = (struct span){(const uint8_t *)ret_plain->bytes[0], len};
    if (table->schema.len > 0) {
        size_t schema_len = classify_name_decode(table->schema, ret_plain->bytes[1], NAME_BYTES);

        ret_plain->schema = (struct span){(const uint8_t *)ret_plain->bytes[1], schema_len};
    }
    return len > 0 && len < NAME_BYTES && ret_plain->schema.len > 0 &&
           ret_plain->schema.len < NAME_BYTES;
}

/* --- who writes --------------------------------------------------------------------------------- */

struct adding {
    struct version_writes *writes;
    const struct catalogue *catalogue;
    uint64_t ddl_seen;
};

static void also_add(void *arg, struct span schema, struct span name)
{
    struct version_writes *writes = arg;

    version_writes_add_table(writes, schema, name);
}

static void base_add(const struct adding *adding, struct span schema, struct span name)
{
    version_writes_add_table(adding->writes, schema, name);
    if (!catalogue_also_written(adding->catalogue, adding->ddl_seen, schema, name, also_add,
                                adding->writes)) {
        version_writes_add_all(adding->writes);
    }
}

static void below_add(void *arg, struct span schema, struct span name)
{
    const struct adding *adding = arg;

    if (catalogue_table(adding->catalogue, adding->ddl_seen, schema, name) ==
        CATALOGUE_BASE_TABLE) {
        base_add(adding, schema, name);
    }
}

void cache_writes_add_named(struct version_writes *writes, const struct catalogue *catalogue,
                            uint64_t ddl_seen, struct span schema, struct span name)
{
    struct adding adding = {writes, catalogue, ddl_seen};

    if (!catalogue_view_tables(catalogue, ddl_seen, schema, name, below_add, &adding)) {
        base_add(&adding, schema, name);
    }
}

static void schema_add(struct version_writes *writes, struct span schema)
{
    if (version_name_is_plain(schema)) {
        version_writes_add(writes, version_slot_schema(schema));
    } else {
        version_writes_add_all(writes);
    }
}

static void names_add(struct version_writes *writes, const struct cache_writes_in *in,
                      enum reach reach)
{
    struct facts_table tables[CACHE_WRITES_NAMES];
    size_t count = classify_mentions(in->sql, in->env, tables, CACHE_WRITES_NAMES);

    if (count == 0 || count == CACHE_WRITES_NAMES) {
        version_writes_add_all(writes);
        return;
    }
    for (size_t i = 0; i < count && !writes->is_all; i++) {
        struct plain plain;

        if (!plain_get(&tables[i], in->schema, &plain)) {
            version_writes_add_all(writes);
        } else if (reach == REACH_SCHEMA) {
            schema_add(writes, plain.schema);
            version_writes_add_table(writes, plain.schema, plain.name);
        } else if (count > 1 || !cache_row_write(writes, in, plain.schema, plain.name)) {
            cache_writes_add_named(writes, in->catalogue, in->ddl_seen, plain.schema, plain.name);
        }
    }
}

/* --- what only reads ---------------------------------------------------------------------------- */

/* Never 0. */
static uint32_t hash_of(struct span schema, struct span name)
{
    return (uint32_t)XXH3_64bits_withSeed(name.p, name.len, XXH3_64bits(schema.p, schema.len)) | 1U;
}

/* Views may hide calls of functions that write. */
static bool name_only_reads(const struct cache_writes_in *in, const struct facts_table *table,
                            uint32_t *ret_unknown)
{
    enum catalogue_kind kind = CATALOGUE_UNKNOWN;
    struct plain plain;

    *ret_unknown = 0;
    if (!plain_get(table, in->schema, &plain)) {
        return false;
    }
    kind = catalogue_table(in->catalogue, in->ddl_seen, plain.schema, plain.name);
    if (kind == CATALOGUE_BASE_TABLE || kind == CATALOGUE_VIEW_HARMLESS ||
        kind == CATALOGUE_SEQUENCE || (kind == CATALOGUE_UNKNOWN && in->has_temporary) ||
        classify_is_system_schema(plain.schema)) {
        return true;
    }
    if (kind == CATALOGUE_UNKNOWN) {
        *ret_unknown = hash_of(plain.schema, plain.name);
    }
    return false;
}

/* From the name of that number on. */
static bool names_only_read(const struct cache_writes_in *in, size_t first)
{
    struct facts_table tables[CACHE_WRITES_NAMES];
    size_t count = classify_mentions(in->sql, in->env, tables, CACHE_WRITES_NAMES);

    for (size_t i = first; i < count; i++) {
        uint32_t unknown = 0;

        if (!name_only_reads(in, &tables[i], &unknown)) {
            return false;
        }
    }
    return count < CACHE_WRITES_NAMES;
}

bool cache_read_is_only(const struct cache_writes_in *in, uint32_t *ret_unknown)
{
    unsigned bad = 0;

    *ret_unknown = 0;
    for (uint8_t i = 0; i < in->facts->table_count; i++) {
        uint32_t unknown = 0;

        if (!name_only_reads(in, &in->facts->tables[i], &unknown)) {
            bad++;
            *ret_unknown = bad == 1 ? unknown : 0;
        }
    }
    return bad == 0;
}

/* "Table 'schema.name' doesn't exist" */
bool cache_read_is_void(struct span text, uint32_t unknown)
{
    const uint8_t *begin = text.len == 0 ? NULL : memchr(text.p, '\'', text.len);
    const uint8_t *end = NULL;
    const uint8_t *dot = NULL;

    if (unknown == 0 || begin == NULL) {
        return false;
    }
    begin++;
    end = memmem(begin, (size_t)(text.p + text.len - begin), "' ", 2);
    if (end == NULL) {
        return false;
    }
    dot = memchr(begin, '.', (size_t)(end - begin));
    return dot != NULL && hash_of((struct span){begin, (size_t)(dot - begin)},
                                  (struct span){dot + 1, (size_t)(end - dot - 1)}) == unknown;
}

/* The functions that a read calls only read, too. */
static bool calls_are_harmless(const struct cache_writes_in *in)
{
    for (uint8_t i = 0; i < in->facts->call_count; i++) {
        const struct facts_call *call = &in->facts->calls[i];
        struct facts_table written = {call->schema, call->name};
        enum catalogue_kind kind = CATALOGUE_UNKNOWN;
        struct plain plain;

        if (!plain_get(&written, in->schema, &plain)) {
            return false;
        }
        kind = catalogue_function(in->catalogue, in->ddl_seen, plain.schema, plain.name,
                                  call->schema.len == 0);
        if (kind != CATALOGUE_FUNCTION_HARMLESS && kind != CATALOGUE_FUNCTION_LISTED) {
            return false;
        }
    }
    return true;
}

/* --- definitions -------------------------------------------------------------------------------- */

/* Leaves *text behind white space and plain comments. */
static void blank_skip(struct span *text)
{
    while (text->len > 0) {
        size_t skip = 0;

        if (isspace(text->p[0])) {
            skip = 1;
        } else if (text->len >= 4 && memcmp(text->p, "/*", 2) == 0 && text->p[2] != '!' &&
                   text->p[2] != 'M') {
            const uint8_t *end = memmem(text->p + 2, text->len - 2, "*/", 2);

            skip = end ? (size_t)(end + 2 - text->p) : 0;
        }
        if (skip == 0) {
            return;
        }
        *text = (struct span){text->p + skip, text->len - skip};
    }
}

static struct span word_next(struct span *text)
{
    struct span word = {text->p, 0};

    blank_skip(text);
    word.p = text->p;
    while (word.len < text->len && (isalnum(word.p[word.len]) || word.p[word.len] == '_')) {
        word.len++;
    }
    *text = (struct span){text->p + word.len, text->len - word.len};
    return word;
}

static bool word_is_in(struct span word, const char *const *list)
{
    for (; *list; list++) {
        if (span_eq_text_nocase(word, *list)) {
            return true;
        }
    }
    return false;
}

/* CREATE DATABASE name and its like. */
static void database_add(struct version_writes *writes, struct span text)
{
    static const char *const fillers[] = {"if", "not", "exists", NULL};
    struct plain plain;
    struct facts_table name = {.name = {NULL, 0}};
    struct span before = text;
    struct span word = word_next(&text);

    while (word_is_in(word, fillers)) {
        before = text;
        word = word_next(&text);
    }
    blank_skip(&before);
    if (before.len > 2 && before.p[0] == '`') {
        const uint8_t *end = memchr(before.p + 1, '`', before.len - 1);

        word = (struct span){before.p, end ? (size_t)(end + 1 - before.p) : 0};
        before = (struct span){before.p + word.len, before.len - word.len};
        if (before.len > 0 && before.p[0] == '`') {
            word.len = 0; /* a quote within the name */
        }
    } else if (text.len > 0 && !isspace(text.p[0]) && text.p[0] != ';') {
        word.len = 0; /* letters that are none of ours */
    }
    name.name = word;
    if (word.len > 0 && plain_get(&name, SPAN_LIT("x"), &plain)) {
        schema_add(writes, plain.name);
    } else {
        version_writes_add_all(writes);
    }
}

static bool text_has(struct span text, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= text.len; i++) {
        if (strncasecmp((const char *)text.p + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* It reads rows, too, and so may run functions; also those of views. */
static bool ddl_may_call(const struct cache_writes_in *in, bool is_table)
{
    return ((text_has(in->sql, "select") || text_has(in->sql, "values")) &&
            classify_may_call(in->sql, in->env)) ||
           (is_table && in->facts->verb == VERB_CREATE && !names_only_read(in, 1));
}

static void ddl_add(struct version_writes *writes, const struct cache_writes_in *in)
{
    static const char *const modifiers[] = {"or",      "replace", "unique", "fulltext",
                                            "spatial", "online",  "ignore", NULL};
    static const char *const tables[] = {"table", "tables", "view", "index", "sequence", NULL};
    static const char *const databases[] = {"database", "schema", NULL};
    struct span text = in->sql;
    struct span word = word_next(&text); /* the verb */
    struct span what = {NULL, 0};

    if (word.len > 0 && in->facts->verb == VERB_TRUNCATE) {
        names_add(writes, in, REACH_SCHEMA);
        return;
    }
    what = word_next(&text);
    while (word_is_in(what, modifiers)) {
        what = word_next(&text);
    }
    if (word.len == 0 || ddl_may_call(in, span_eq_text_nocase(what, "table") ||
                                              (in->facts->bits & FACT(TEMP_TABLE)) != 0)) {
        version_writes_add_all(writes);
        return;
    }
    if ((in->facts->bits & FACT(TEMP_TABLE)) != 0) {
        return; /* nobody else can see it */
    }
    if (word_is_in(what, tables)) {
        names_add(writes, in, REACH_SCHEMA);
    } else if (word_is_in(what, databases)) {
        database_add(writes, text);
    } else {
        version_writes_add_all(writes); /* routines, users, triggers, ... */
    }
}

/* --- statements --------------------------------------------------------------------------------- */

static enum reach reach_of(const struct facts *facts)
{
    switch (facts->verb) {
    case VERB_EMPTY:
    case VERB_EXPLAIN_ROUTE:
    case VERB_SELECT:
    case VERB_DO:
    case VERB_USE:
    case VERB_SHOW:
    case VERB_HELP:
    case VERB_BEGIN:
    case VERB_COMMIT:
    case VERB_ROLLBACK:
    case VERB_SAVEPOINT:
    case VERB_LOCK:
    case VERB_UNLOCK:
    case VERB_PREPARE:
    case VERB_DEALLOCATE:
    case VERB_HANDLER:
    case VERB_KILL:
    case VERB_DIAGNOSTICS:
    case VERB_SIGNAL:
        return REACH_NONE;
    case VERB_SET:
        return (facts->bits & (FACT(SET_GLOBAL) | FACT(WRITE))) != 0 ? REACH_ALL : REACH_NONE;
    case VERB_INSERT:
    case VERB_REPLACE:
    case VERB_UPDATE:
    case VERB_DELETE:
    case VERB_LOAD:
    case VERB_EXPLAIN: /* ANALYZE runs it */
        return REACH_NAMES;
    case VERB_CREATE:
    case VERB_ALTER:
    case VERB_DROP:
    case VERB_RENAME:
    case VERB_TRUNCATE:
    case VERB_TABLE_ADMIN: /* REPAIR may lose rows */
        return REACH_SCHEMA;
    case VERB_UNKNOWN:
    case VERB_CALL:
    case VERB_XA:
    case VERB_EXECUTE:
    case VERB_GRANT:
    case VERB_FLUSH:
    case VERB_COMPOUND:
    case VERB_ADMIN:
    case VERB_END_:
        return REACH_ALL;
    }
    return REACH_ALL;
}

/* Its text tells what it does. */
static bool is_legible(const struct cache_writes_in *in)
{
    return (in->facts->bits & (FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX))) == 0 &&
           (in->env->sql_mode & CLASSIFY_MODE_ORACLE) == 0 &&
           in->env->charset != CLASSIFY_CS_UNKNOWN;
}

/* SELECT ... FOR UPDATE and SET @a = (SELECT ...) are no reads for a replica, and write nothing. */
static bool writes_nothing(const struct cache_writes_in *in)
{
    uint32_t unknown = 0;

    if ((in->facts->bits & FACT(READ)) != 0) {
        return cache_read_is_only(in, &unknown);
    }
    if ((in->facts->bits & FACT(CALLS)) != 0) {
        return calls_are_harmless(in) && names_only_read(in, 0);
    }
    if (in->facts->verb == VERB_SELECT || in->facts->verb == VERB_SET ||
        in->facts->verb == VERB_DO) {
        return !classify_may_call(in->sql, in->env) && names_only_read(in, 0);
    }
    return in->facts->verb != VERB_SHOW || !classify_may_call(in->sql, in->env);
}

void cache_writes_add(struct version_writes *writes, const struct cache_writes_in *in)
{
    enum reach reach = is_legible(in) ? reach_of(in->facts) : REACH_ALL;

    if (reach == REACH_NAMES && (in->facts->bits & FACT(READ)) != 0) {
        reach = REACH_NONE; /* EXPLAIN of a read */
    }
    switch (reach) {
    case REACH_NONE:
        if (!writes_nothing(in)) {
            version_writes_add_all(writes);
        }
        break;
    case REACH_NAMES:
        if (classify_may_call(in->sql, in->env)) {
            version_writes_add_all(writes);
        } else {
            names_add(writes, in, REACH_NAMES);
        }
        break;
    case REACH_SCHEMA:
        ddl_add(writes, in);
        break;
    case REACH_ALL:
        version_writes_add_all(writes);
        break;
    }
}

/* --- who reads ---------------------------------------------------------------------------------- */

struct leasing {
    const struct version_board *board;
    struct version_lease *lease;
    bool is_full;
    bool is_odd; /* a name that cannot be compared */
};

static void lease_table(void *arg, struct span schema, struct span name)
{
    struct leasing *leasing = arg;

    leasing->is_odd =
        leasing->is_odd || !version_name_is_plain(schema) || !version_name_is_plain(name);
    if (version_lease_add_table(leasing->board, leasing->lease, schema, name) < 0) {
        leasing->is_full = true;
    }
}

static enum cache_lease_why lease_name(struct leasing *leasing, const struct catalogue *catalogue,
                                       uint64_t ddl_seen, const struct plain *plain)
{
    enum catalogue_kind kind = catalogue_table(catalogue, ddl_seen, plain->schema, plain->name);

    if (kind == CATALOGUE_NOT_LOADED || kind == CATALOGUE_OUTDATED) {
        return CACHE_LEASE_CATALOGUE;
    }
    if (kind == CATALOGUE_VIEW_OTHER ||
        (kind == CATALOGUE_VIEW_HARMLESS &&
         !catalogue_view_tables(catalogue, ddl_seen, plain->schema, plain->name, lease_table,
                                leasing))) {
        return CACHE_LEASE_VIEW;
    }
    if (kind != CATALOGUE_BASE_TABLE && kind != CATALOGUE_VIEW_HARMLESS) {
        return CACHE_LEASE_TABLE;
    }
    if (kind == CATALOGUE_BASE_TABLE &&
        !catalogue_is_cacheable_table(catalogue, ddl_seen, plain->schema, plain->name)) {
        return CACHE_LEASE_ENGINE;
    }
    /* of a view: its definition */
    lease_table(leasing, plain->schema, plain->name);
    if (leasing->is_odd) {
        return CACHE_LEASE_NAMES;
    }
    return leasing->is_full ? CACHE_LEASE_TOO_MANY : CACHE_LEASE_OK;
}

enum cache_lease_why cache_lease_add_read(const struct version_board *board,
                                          struct version_lease *lease,
                                          const struct catalogue *catalogue, uint64_t ddl_seen,
                                          const struct facts *facts, struct span schema)
{
    struct leasing leasing = {.board = board, .lease = lease};
    enum cache_lease_why why = CACHE_LEASE_OK;

    if ((facts->bits & FACT(READ)) == 0) {
        return (facts->bits & FACT(CALLS)) != 0 ? CACHE_LEASE_FUNCTION : CACHE_LEASE_TABLE;
    }
    for (uint8_t i = 0; why == CACHE_LEASE_OK && i < facts->table_count; i++) {
        struct plain plain;

        why = plain_get(&facts->tables[i], schema, &plain)
                  ? lease_name(&leasing, catalogue, ddl_seen, &plain)
                  : CACHE_LEASE_NAMES;
    }
    return why;
}

const char *cache_lease_why_name(enum cache_lease_why why)
{
    static const char *const names[] = {
#define X(name, label, text) label,
        CACHE_LEASE_WHYS(X)
#undef X
    };
    return names[why];
}

const char *cache_lease_why_text(enum cache_lease_why why)
{
    static const char *const texts[] = {
#define X(name, label, text) text,
        CACHE_LEASE_WHYS(X)
#undef X
    };
    return texts[why];
}
