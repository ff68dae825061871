/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/util/attr.h"

#include "statement_priv.h"

#define NAME_BYTES 260 /* 64 characters of at most four bytes, and a terminator */

/* sql_mode as the log has it */
#define MODE_ANSI_QUOTES          0x4U
#define MODE_IGNORE_SPACE         0x8U
#define MODE_ORACLE               0x200U
#define MODE_MSSQL                0x400U
#define MODE_NO_BACKSLASH_ESCAPES 0x100000U

static uint32_t mode_of(uint64_t mode)
{
    return ((mode & MODE_ANSI_QUOTES) != 0 ? CLASSIFY_MODE_ANSI_QUOTES : 0) |
           ((mode & MODE_IGNORE_SPACE) != 0 ? CLASSIFY_MODE_IGNORE_SPACE : 0) |
           ((mode & (MODE_ORACLE | MODE_MSSQL)) != 0 ? CLASSIFY_MODE_ORACLE : 0) |
           ((mode & MODE_NO_BACKSLASH_ESCAPES) != 0 ? CLASSIFY_MODE_NO_BACKSLASH_ESCAPES : 0);
}

static bool is_ascii(struct span text)
{
    uint8_t all = 0;

    for (size_t i = 0; i < text.len; i++) {
        all |= text.p[i];
    }
    return (all & 0x80U) == 0;
}

/* Numbers of collations of utf8mb3 and utf8mb4, MariaDB's of UCA 14 included. */
static bool is_utf8(uint16_t id)
{
    return id == 33 || id == 45 || id == 46 || id == 76 || id == 83 || (id >= 192 && id <= 215) ||
           id == 223 || (id >= 224 && id <= 247) || (id >= 255 && id <= 323) || id >= 2048;
}

/* Takes the next word (letters) off text, behind white space. */
static struct span word(struct span *text)
{
    size_t at = 0;
    size_t end = 0;

    while (at < text->len && (text->p[at] == ' ' || (text->p[at] >= '\t' && text->p[at] <= '\r'))) {
        at++;
    }
    end = at;
    while (end < text->len && ((text->p[end] | 0x20U) >= 'a' && (text->p[end] | 0x20U) <= 'z')) {
        end++;
    }
    struct span found = {text->p + at, end - at};
    *text = (struct span){text->p + end, text->len - end};
    return found;
}

/* CREATE, ALTER, DROP, RENAME, TRUNCATE of what is found by its name: a table, a view, an index. */
static bool is_of_tables(struct span text, enum classify_verb verb)
{
    static const char *const skipped[] = {"or",      "replace", "temporary", "unique", "fulltext",
                                          "spatial", "online",  "offline",   "ignore"};
    static const char *const kinds[] = {"table", "tables", "index", "view"};

    if (verb == VERB_TRUNCATE) {
        return true;
    }
    (void)word(&text);
    for (;;) {
        struct span next = word(&text);
        bool is_skipped = false;

        for (size_t i = 0; i < WR_ARRAY_LEN(kinds); i++) {
            if (span_eq_text_nocase(next, kinds[i])) {
                return true;
            }
        }
        for (size_t i = 0; i < WR_ARRAY_LEN(skipped); i++) {
            is_skipped = is_skipped || span_eq_text_nocase(next, skipped[i]);
        }
        if (!is_skipped) {
            return false;
        }
    }
}

/* False: a name that is too long, or without a schema. */
static bool names_add(struct span schema_now, const struct facts_table *table, bool is_ddl,
                      const struct statement_env *env, struct version_writes *writes)
{
    char schema[NAME_BYTES];
    char name[NAME_BYTES];
    size_t schema_len = 0;
    size_t name_len = classify_name_decode(table->name, name, sizeof(name));

    if (table->schema.len > 0) {
        schema_len = classify_name_decode(table->schema, schema, sizeof(schema));
    } else {
        schema_len = span_copy(schema_now, schema, sizeof(schema));
    }
    if (schema_len == 0 || schema_len >= sizeof(schema) || name_len == 0 ||
        name_len >= sizeof(name)) {
        return false;
    }
    struct span schema_span = {(const uint8_t *)schema, schema_len};
    env->on_table(env->arg, writes, schema_span, (struct span){(const uint8_t *)name, name_len});
    if (is_ddl && version_name_is_plain(schema_span)) {
        version_writes_add(writes, version_slot_schema(schema_span));
    }
    return true;
}

static void tables_add(struct span text, const struct classify_env *env, bool is_ddl,
                       const struct statement_env *senv, struct version_writes *writes)
{
    struct facts_table tables[STATEMENT_TABLES_MAX];
    size_t count = classify_mentions(text, env, tables, STATEMENT_TABLES_MAX);
    bool is_known = count > 0 && count < STATEMENT_TABLES_MAX;

    for (size_t i = 0; i < count && is_known; i++) {
        is_known = names_add(env->schema, &tables[i], is_ddl, senv, writes);
    }
    if (!is_known) {
        version_writes_add_all(writes);
    }
}

static enum statement_part xa(struct span text, struct version_writes *writes)
{
    struct span what = {NULL, 0};

    (void)word(&text);
    what = word(&text);
    if (span_eq_text_nocase(what, "start") || span_eq_text_nocase(what, "begin")) {
        return STATEMENT_BEGINS;
    }
    if (span_eq_text_nocase(what, "end")) {
        return STATEMENT_NOTHING;
    }
    if (!span_eq_text_nocase(what, "rollback") && !span_eq_text_nocase(what, "prepare")) {
        version_writes_add_all(writes); /* COMMIT: of what was prepared, maybe long ago */
    }
    return STATEMENT_ENDS;
}

static enum statement_part by_verb(struct span text, const struct classify_env *env,
                                   const struct facts *facts, const struct statement_env *senv,
                                   struct version_writes *writes, bool *ret_is_ddl)
{
    switch (facts->verb) { // NOLINT(clang-diagnostic-switch-enum): the rest is everything
    case VERB_BEGIN:
        return STATEMENT_BEGINS;
    case VERB_COMMIT:
    case VERB_ROLLBACK:
        return STATEMENT_ENDS;
    case VERB_SAVEPOINT:
        return STATEMENT_NOTHING;
    case VERB_XA:
        return xa(text, writes);
    case VERB_INSERT:
    case VERB_REPLACE:
    case VERB_UPDATE:
    case VERB_DELETE:
    case VERB_LOAD:
        if (!classify_may_call(text, env)) {
            tables_add(text, env, false, senv, writes);
            return STATEMENT_ALONE;
        }
        break;
    case VERB_TABLE_ADMIN:
        tables_add(text, env, false, senv, writes);
        return STATEMENT_ALONE;
    case VERB_CREATE:
    case VERB_ALTER:
    case VERB_DROP:
    case VERB_RENAME:
    case VERB_TRUNCATE:
        *ret_is_ddl = true;
        if (is_of_tables(text, facts->verb)) {
            tables_add(text, env, true, senv, writes);
            return STATEMENT_ALONE;
        }
        break;
    default:
        break;
    }
    version_writes_add_all(writes);
    return STATEMENT_ALONE;
}

enum statement_part statement_read(const struct event_query *query, struct span text,
                                   const struct statement_env *env, struct version_writes *writes,
                                   bool *ret_is_ddl)
{
    struct classify_env cenv = {
        .flavour = env->flavour,
        .version = env->version,
        .sql_mode = mode_of(query->sql_mode),
        .charset = CLASSIFY_CS_SAFE,
        .schema = query->schema,
    };
    struct facts facts;

    *ret_is_ddl = false;
    if (!is_ascii(text) && !is_utf8(query->charset_id)) {
        version_writes_add_all(writes);
        *ret_is_ddl = true;
        return STATEMENT_ALONE;
    }
    classify_sql(text, &cenv, &facts);
    if ((facts.bits & (FACT(MULTI) | FACT(BAD_LEX) | FACT(LARGE))) != 0 ||
        (cenv.sql_mode & CLASSIFY_MODE_ORACLE) != 0) {
        version_writes_add_all(writes);
        *ret_is_ddl = true;
        /* a large DML statement is part of what it stands in, all the same */
        return STATEMENT_ALONE;
    }
    if ((facts.bits & FACT(TEMP_TABLE)) != 0) {
        return STATEMENT_ALONE;
    }
    return by_verb(text, &cenv, &facts, env, writes, ret_is_ddl);
}
