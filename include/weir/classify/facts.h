/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts - what one statement's text says about where it may run and what it leaves behind.
 *
 * WHY       The router decides from these bits alone, so that one table of statements proves it.
 * OWNS      none: every span borrows from the SQL text (or is empty) and dies with it.
 * THREADS   any; plain data.
 * REENTRY   none
 * UNITS     Offsets and lengths: bytes of the SQL text.
 * ERRORS    none: whatever is not understood is FACT(PRIMARY) with a reason.
 * BOUNDS    FACTS_MAX_TABLES tables and FACTS_MAX_IDS connection ids; more set FACT(OVERFLOW),
 *           which is never a read. More than FACTS_MAX_CALLS calls: FACT(CALLS) is not set. Array
 *           entries past their count are not initialised.
 */
#ifndef WEIR_CLASSIFY_FACTS_H
#define WEIR_CLASSIFY_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/str.h"

/* X(name, text). SELECT covers every form of one query expression: parenthesised, WITH, TABLE,
 * VALUES, UNION. A WITH before UPDATE or DELETE has the verb of that. */
#define CLASSIFY_VERBS(X)                                                                    \
    X(UNKNOWN, "unknown") /* not understood, or a statement weir has no name for */          \
    X(EMPTY, "empty")     /* nothing but comments, white space, semicolons */                \
    X(SELECT, "select")                                                                      \
    X(INSERT, "insert")                                                                      \
    X(REPLACE, "replace")                                                                    \
    X(UPDATE, "update")                                                                      \
    X(DELETE, "delete")                                                                      \
    X(LOAD, "load") /* LOAD DATA / XML / INDEX */                                            \
    X(CALL, "call")                                                                          \
    X(DO, "do")                                                                              \
    X(SET, "set")                                                                            \
    X(USE, "use")                                                                            \
    X(SHOW, "show")                                                                          \
    X(EXPLAIN, "explain")             /* EXPLAIN, DESCRIBE, MariaDB's ANALYZE <statement> */ \
    X(EXPLAIN_ROUTE, "explain_route") /* weir's own; the statement is in facts.inner */      \
    X(HELP, "help")                                                                          \
    X(BEGIN, "begin") /* BEGIN [WORK], START TRANSACTION */                                  \
    X(COMMIT, "commit")                                                                      \
    X(ROLLBACK, "rollback")                                                                  \
    X(SAVEPOINT, "savepoint") /* SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT */                \
    X(XA, "xa")                                                                              \
    X(LOCK, "lock") /* LOCK TABLES, LOCK INSTANCE, BACKUP ... */                             \
    X(UNLOCK, "unlock")                                                                      \
    X(PREPARE, "prepare")                                                                    \
    X(EXECUTE, "execute")                                                                    \
    X(DEALLOCATE, "deallocate")                                                              \
    X(HANDLER, "handler")                                                                    \
    X(CREATE, "create")                                                                      \
    X(ALTER, "alter")                                                                        \
    X(DROP, "drop")                                                                          \
    X(RENAME, "rename")                                                                      \
    X(TRUNCATE, "truncate")                                                                  \
    X(GRANT, "grant")             /* GRANT, REVOKE */                                        \
    X(TABLE_ADMIN, "table_admin") /* ANALYZE, CHECK, CHECKSUM, OPTIMIZE, REPAIR TABLE */     \
    X(FLUSH, "flush")                                                                        \
    X(KILL, "kill")                                                                          \
    X(DIAGNOSTICS, "diagnostics") /* GET DIAGNOSTICS */                                      \
    X(SIGNAL, "signal")           /* SIGNAL, RESIGNAL */                                     \
    X(COMPOUND, "compound")       /* BEGIN NOT ATOMIC, IF, LOOP ... (MariaDB) */             \
    X(ADMIN, "admin")             /* SHUTDOWN, RESET, CHANGE ..., START REPLICA ... */

/* X(name, bit, text) */
#define CLASSIFY_FACTS(X)                                                                          \
    X(READ, 0, "read")             /* proven to be one read: a replica may run it */               \
    X(WRITE, 1, "write")           /* may change data, or the server */                            \
    X(PRIMARY, 2, "needs_primary") /* set on everything that is neither READ nor LAST */           \
    X(LAST, 3, "needs_last_conn")  /* answers about the statement before it: same connection */    \
    X(SETS_STATE, 4, "sets_state") /* changes state of the session that outlives it */             \
    X(STARTS_TX, 5, "starts_tx")                                                                   \
    X(TX_READ_ONLY, 6, "read_only")    /* of STARTS_TX */                                          \
    X(TX_SNAPSHOT, 7, "with_snapshot") /* of STARTS_TX */                                          \
    X(ENDS_TX, 8, "ends_tx")           /* COMMIT, ROLLBACK (not TO), XA's */                       \
    X(CHAIN, 9, "chain")                                                                           \
    X(RELEASE, 10, "release")                 /* the server closes the connection after it */      \
    X(IMPLICIT_COMMIT, 11, "implicit_commit") /* commits an open transaction before or after */    \
    X(DDL, 12, "ddl")                                                                              \
    X(DML, 13, "dml")                                                                              \
    X(LOCKING, 14, "locking")                      /* FOR UPDATE / SHARE, LOCK IN SHARE MODE */    \
    X(MULTI, 15, "multi")                          /* more than one statement in the text */       \
    X(USER_VARIABLE, 16, "user_variable")          /* mentions @v */                               \
    X(SYSTEM_VARIABLE, 17, "system_variable_read") /* reads @@v */                                 \
    X(TEMP_TABLE, 18, "temp_table")                /* CREATE / DROP TEMPORARY */                   \
    X(NAMED_LOCK, 19, "named_lock")                /* GET_LOCK and its kin, taken or released */   \
    X(CONNECTION_ID, 20, "uses_connection_id")     /* see ids[]; rewrite before it is sent */      \
    X(LOAD_LOCAL, 21, "load_local")                /* asks the client for a file */                \
    X(LARGE, 22, "large")                   /* above CLASSIFY_MAX_SQL: only its start was read */  \
    X(SET_TRACKED, 23, "set_tracked_only")  /* a SET of variables that weir replays, only */       \
    X(SET_NEXT_TX, 24, "set_next_tx")       /* SET TRANSACTION ...: the next transaction only */   \
    X(SET_AUTOCOMMIT, 25, "set_autocommit") /* a SET that assigns autocommit */                    \
    X(SET_GLOBAL, 26, "set_global")         /* GLOBAL, PERSIST, PERSIST_ONLY, PASSWORD ... */      \
    X(SYSTEM_SCHEMA, 27, "system_schema")   /* reads information_schema and its like */            \
    X(PER_SERVER, 28, "per_server")   /* each server answers differently (SHOW STATUS ...):    \
                                           primary, but a server= or replica hint may be obeyed */   \
    X(ADMIN, 29, "admin")             /* server administration: refused unless allowed */          \
    X(KILL, 30, "kill")               /* a KILL in any statement of the text: see kill */          \
    X(OVERFLOW, 31, "overflow")       /* more tables or ids than there is room for */              \
    X(UNCACHEABLE, 32, "uncacheable") /* the answer may differ when asked again */                 \
    X(LAST_INSERT_ID, 33, "last_insert_id") /* calls LAST_INSERT_ID(): the last write's server */  \
    X(FOUND_ROWS, 34, "found_rows")         /* SQL_CALC_FOUND_ROWS: FOUND_ROWS() may follow */     \
    X(BAD_LEX, 35, "bad_lex")     /* unterminated quote or comment, or undecidable bytes */        \
    X(CALLS, 36, "calls")         /* not READ, but one when the functions in calls are harmless */ \
    X(ASKS_LAST, 37, "asks_last") /* about the statement before it, in whatever kind of text */    \
    X(SET_EXTRA, 38, "set_extra") /* sets the variables in set_names, which can be asked for */    \
    X(SET_ROLE, 39, "set_role")   /* which can be asked for, too */

/* X(name, label, text): why no replica may run it; the first decisive reason in the text. */
#define CLASSIFY_WHYS(X)                                                                         \
    X(NONE, "none", "a read of known shape")                                                     \
    X(EMPTY, "empty", "no statement in the text")                                                \
    X(WRITE, "write", "it changes data")                                                         \
    X(DDL, "ddl", "it changes definitions")                                                      \
    X(TRANSACTION, "transaction", "it begins or ends a transaction")                             \
    X(LOCKING, "locking", "it locks rows")                                                       \
    X(INTO, "into", "it writes its result to a file or variables")                               \
    X(USER_VARIABLE, "user_variable", "it uses a user variable")                                 \
    X(SYSTEM_VARIABLE, "system_variable", "it reads a system variable")                          \
    X(NAMED_LOCK, "named_lock", "it takes, frees or tests a named lock")                         \
    X(LAST_INSERT_ID, "last_insert_id", "it asks for the last insert id")                        \
    X(LAST_STATEMENT, "last_statement", "it asks about the statement before it")                 \
    X(FOUND_ROWS, "found_rows", "it stores the row count for FOUND_ROWS()")                      \
    X(CONNECTION_ID, "connection_id", "it asks for the connection id")                           \
    X(FUNCTION_UNKNOWN, "function_unknown",                                                      \
      "it calls a function that is not known to be harmless")                                    \
    X(FUNCTION_QUALIFIED, "function_qualified", "it calls a stored function")                    \
    X(FUNCTION_PRIMARY, "function_primary", "it calls a function that only the primary answers") \
    X(CONDITION, "condition", "it handles errors, which may differ per server")                  \
    X(SEQUENCE, "sequence", "it uses a sequence")                                                \
    X(SYSTEM_SCHEMA, "system_schema", "it reads a system schema, which differs per server")      \
    X(PER_SERVER, "per_server", "its answer differs per server")                                 \
    X(SET, "set", "it sets variables")                                                           \
    X(USE, "use", "it changes the schema")                                                       \
    X(CALL, "call", "it calls a procedure")                                                      \
    X(DO, "do", "it evaluates expressions for their effects")                                    \
    X(LOAD, "load", "it loads data")                                                             \
    X(TEXT_PREPARE, "text_prepare", "it is a text PREPARE, EXECUTE or DEALLOCATE")               \
    X(HANDLER, "handler", "it is a HANDLER statement")                                           \
    X(LOCK_TABLES, "lock_tables", "it locks or unlocks tables")                                  \
    X(KILL, "kill", "it is a KILL")                                                              \
    X(ADMIN, "admin", "it administers the server")                                               \
    X(COMPOUND, "compound", "it is a compound statement")                                        \
    X(MULTI, "multi", "it is more than one statement")                                           \
    X(SHAPE, "shape", "its shape is not understood")                                             \
    X(STATEMENT, "statement", "the kind of statement is not on the list of reads")               \
    X(SYNTAX, "syntax", "it has an unterminated quote or comment")                               \
    X(COMMENT, "comment", "an executable comment leaves it open what runs")                      \
    X(CHARSET, "charset", "its character set makes quotes ambiguous")                            \
    X(MODE, "mode", "the session's sql_mode gives it another grammar")                           \
    X(TOO_LARGE, "too_large", "it is larger than what is examined")                              \
    X(OVERFLOW, "overflow", "it names more tables than are examined")

/* X(name, text): state left behind that keeps the session on the primary. */
#define CLASSIFY_PINS(X)                                                                      \
    X(USER_VARIABLE, "user_variable")                                                         \
    X(TEMP_TABLE, "temp_table")                                                               \
    X(NAMED_LOCK, "named_lock")                                                               \
    X(LOCK_TABLES, "lock_tables") /* LOCK TABLES, FLUSH TABLES WITH READ LOCK / FOR EXPORT */ \
    X(BACKUP_LOCK, "backup_lock") /* LOCK INSTANCE, BACKUP STAGE / LOCK */                    \
    X(TEXT_PREPARE, "text_prepare")                                                           \
    X(HANDLER, "handler")                                                                     \
    X(UNTRACKED_VARIABLE, "untracked_variable")                                               \
    X(SET_ROLE, "set_role")                                                                   \
    X(XA, "xa")                                                                               \
    X(LAST_INSERT_ID, "last_insert_id") /* LAST_INSERT_ID(expr) */                            \
    X(SEQUENCE, "sequence")             /* LASTVAL() will be asked */                         \
    X(UNKNOWN, "unknown")               /* a statement that may have set anything */

/* X(name, text): hints in comments, weir:NAME[=VALUE] */
#define CLASSIFY_HINTS(X)                   \
    X(PRIMARY, "primary")                   \
    X(REPLICA, "replica")                   \
    X(SERVER, "server")                     \
    X(MAX_LAG, "max_lag")                   \
    X(READ_AFTER_WRITE, "read_after_write") \
    X(KEY, "key")                           \
    X(TOKEN, "token")                       \
    X(CACHE, "cache")                       \
    X(NO_CACHE, "no-cache")

/* clang-format off */
enum classify_verb {
#define X(name, text) VERB_##name,
    CLASSIFY_VERBS(X)
#undef X
    VERB_END_
};
enum classify_why {
#define X(name, label, text) WHY_##name,
    CLASSIFY_WHYS(X)
#undef X
    WHY_END_
};
enum classify_pin {
#define X(name, text) PIN_##name,
    CLASSIFY_PINS(X)
#undef X
    PIN_END_
};
enum classify_hint {
#define X(name, text) HINT_##name,
    CLASSIFY_HINTS(X)
#undef X
    HINT_END_
};
enum classify_fact {
#define X(name, bit, text) FACT_BIT_##name = (bit),
    CLASSIFY_FACTS(X)
#undef X
    FACT_BIT_END_
};
/* clang-format on */

/* facts.bits & FACT(READ); a constant expression */
#define FACT(name)     (UINT64_C(1) << FACT_BIT_##name)
#define PIN_BIT(pin)   (1U << (unsigned)(pin))
#define HINT_BIT(hint) (1U << (unsigned)(hint))

#define FACTS_MAX_TABLES 16
#define FACTS_MAX_IDS    8
#define FACTS_MAX_SETS   16
#define FACTS_MAX_CALLS  8

/* A name at a place where only a table (or view) can stand. Spans are as written, quotes
 * included; classify_name_decode() gives the plain name. schema is empty when not written. */
struct facts_table {
    struct span schema;
    struct span name;
};

/* The name of a function that the server looks up among the loadable (when it has no schema) and
 * the stored ones. As facts_table; a name without a schema is none that any server of that vendor
 * has built in. */
struct facts_call {
    struct span schema;
    struct span name;
};

enum facts_id_kind {
    FACTS_ID_CONNECTION, /* CONNECTION_ID(), @@pseudo_thread_id */
    FACTS_ID_ROW_COUNT,  /* ROW_COUNT() */
    FACTS_ID_FOUND_ROWS, /* FOUND_ROWS() */
    FACTS_ID_KINDS
};

/* One use of what weir may have to answer with a number of its own. item is the whole select item when that item
 * stands in an outermost select list without an alias, else empty. */
struct facts_id {
    enum facts_id_kind kind;
    struct span use;
    struct span item;
};

enum kill_form {
    KILL_NONE,
    KILL_ID,       /* KILL [HARD|SOFT] [CONNECTION|QUERY] number */
    KILL_SELF,     /* the id is CONNECTION_ID() */
    KILL_USER,     /* MariaDB: KILL USER name */
    KILL_QUERY_ID, /* MariaDB: KILL QUERY ID number */
    KILL_OTHER     /* an expression, or part of something larger: not understood */
};

struct facts_kill {
    enum kill_form form;
    bool is_query; /* KILL QUERY: the statement, not the connection */
    bool is_soft;
    uint64_t id; /* of KILL_ID, KILL_QUERY_ID */
};

struct facts {
    enum classify_verb verb;
    enum classify_why why;
    uint64_t bits;   /* FACT_* */
    uint32_t pins;   /* PIN_BIT()s that this statement begins when it succeeds (or may have) */
    uint32_t unpins; /* PIN_BIT()s that it certainly ends when it succeeds */
    uint32_t hints;  /* HINT_BIT()s present */
    uint8_t set_count;
    uint8_t hint_unknown_count; /* at most 255 are counted */
    uint8_t table_count;
    uint8_t id_count;
    uint8_t call_count;
    struct facts_kill kill;
    struct span use_schema;      /* of VERB_USE: the name as written */
    struct span inner;           /* of VERB_EXPLAIN_ROUTE: the statement to explain */
    struct span culprit;         /* the token that gave why, when there is one: for explanations */
    struct span hint[HINT_END_]; /* values; only those with a bit in hints are set */
    struct facts_table tables[FACTS_MAX_TABLES]; /* tables read; only of FACT(READ), FACT(CALLS) */
    struct facts_call calls[FACTS_MAX_CALLS];    /* only of FACT(CALLS) */
    struct facts_id ids[FACTS_MAX_IDS];
    struct span set_names[FACTS_MAX_SETS]; /* of SET_EXTRA, as written, without quotes */
};

#endif
