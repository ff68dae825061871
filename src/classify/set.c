/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.c - SET: which variables it assigns, and whether weir can repeat that elsewhere.
 *
 * Tracked are the variables whose value the servers report and that weir replays. Anything else of
 * the session keeps it on the primary. "SET @@transaction_isolation" without a scope is, as
 * SET TRANSACTION, for the next transaction only; "SET transaction_isolation" is for the session.
 */
#include <string.h>
#include <strings.h>

#include "parse_priv.h"

enum set_scope {
    SCOPE_NONE,
    SCOPE_SESSION,
    SCOPE_GLOBAL
};

struct set_state {
    bool is_all_tracked;
    bool has_read;        /* a value read a system variable */
    enum set_scope scope; /* of the keyword last seen; counts for those behind it, too */
};

static const char *const tracked[] = {
    "autocommit",
    "sql_mode",
    "time_zone",
    "character_set_client",
    "character_set_results",
    "character_set_connection",
    "collation_connection",
};

static const char *const transaction_names[] = {
    "transaction_isolation",
    "tx_isolation",
    "transaction_read_only",
    "tx_read_only",
};

/* MariaDB's SET STATEMENT ... FOR a read: variables that change its cost, not its meaning. */
static const char *const statement_names[] = {
    "max_statement_time", "sort_buffer_size", "join_buffer_size",      "tmp_table_size",
    "optimizer_switch",   "max_join_size",    "tmp_memory_table_size",
};

/*
 * Session variables that change how statements of the session run or what they return, that have no
 * effect when they are set but that, and of which a login has the global value: weir asks what the
 * server made of the value and repeats that on other connections. Sorted.
 */
static const char *const extra[] = {
    "alter_algorithm",
    "auto_increment_increment",
    "auto_increment_offset",
    "big_tables",
    "bulk_insert_buffer_size",
    "check_constraint_checks",
    "completion_type",
    "cte_max_recursion_depth",
    "default_collation_for_utf8mb4",
    "default_storage_engine",
    "default_tmp_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "end_markers_in_json",
    "enforce_storage_engine",
    "eq_range_index_dive_limit",
    "expensive_subquery_limit",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "histogram_size",
    "histogram_type",
    "idle_transaction_timeout",
    "innodb_lock_wait_timeout",
    "innodb_strict_mode",
    "innodb_table_locks",
    "interactive_timeout",
    "internal_tmp_mem_storage_engine",
    "join_buffer_size",
    "join_cache_level",
    "keep_files_on_create",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "long_query_time",
    "low_priority_updates",
    "max_error_count",
    "max_execution_time",
    "max_heap_table_size",
    "max_join_size",
    "max_length_for_sort_data",
    "max_points_in_geometry",
    "max_recursive_iterations",
    "max_rowid_filter_size",
    "max_seeks_for_key",
    "max_sort_length",
    "max_sp_recursion_depth",
    "max_statement_time",
    "min_examined_row_limit",
    "mrr_buffer_size",
    "myisam_repair_threads",
    "myisam_sort_buffer_size",
    "myisam_stats_method",
    "net_read_timeout",
    "net_retry_count",
    "net_write_timeout",
    "note_verbosity",
    "old_alter_table",
    "old_mode",
    "optimizer_max_subgraph_pairs",
    "optimizer_prune_level",
    "optimizer_search_depth",
    "optimizer_selectivity_sampling_limit",
    "optimizer_switch",
    "optimizer_use_condition_selectivity",
    "parser_max_mem_size",
    "preload_buffer_size",
    "print_identified_with_as_hex",
    "profiling_history_size",
    "progress_report_time",
    "query_alloc_block_size",
    "query_prealloc_size",
    "range_alloc_block_size",
    "range_optimizer_max_mem_size",
    "read_buffer_size",
    "read_rnd_buffer_size",
    "rowid_merge_buff_size",
    "secondary_engine_cost_threshold",
    "set_operations_buffer_size",
    "show_create_table_skip_secondary_engine",
    "show_create_table_verbosity",
    "slow_query_log",
    "sort_buffer_size",
    "sql_big_selects",
    "sql_buffer_result",
    "sql_generate_invisible_primary_key",
    "sql_notes",
    "sql_quote_show_create",
    "sql_require_primary_key",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "subquery_cache_size",
    "tmp_disk_table_size",
    "tmp_memory_table_size",
    "tmp_table_size",
    "transaction_alloc_block_size",
    "transaction_prealloc_size",
    "unique_checks",
    "updatable_views_with_limit",
    "use_secondary_engine",
    "use_stat_tables",
    "wait_timeout",
    "windowing_use_high_precision",
};

static bool is_listed(struct span name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq_text_nocase(name, list[i])) {
            return true;
        }
    }
    return false;
}

static void set_untracked(struct parser *ps, struct set_state *st)
{
    st->is_all_tracked = false;
    ps->f->bits |= FACT(SETS_STATE);
    ps->f->pins |= PIN_BIT(PIN_UNTRACKED_VARIABLE);
}

static void set_global(struct parser *ps, struct set_state *st)
{
    st->is_all_tracked = false;
    ps->f->bits |= FACT(SET_GLOBAL);
}

/* One variable; is_bare_at: "@@name" without a scope. */
static void set_variable(struct parser *ps, struct set_state *st, struct span name, bool is_bare_at)
{
    static const char track_prefix[] = "session_track_";
    bool is_tx = is_listed(name, transaction_names, WR_ARRAY_LEN(transaction_names));
    if (is_tx && is_bare_at) {
        st->is_all_tracked = false;
        ps->f->bits |= FACT(SET_NEXT_TX) | FACT(SETS_STATE);
        return;
    }
    if (span_eq_text_nocase(name, "autocommit")) {
        ps->f->bits |= FACT(SET_AUTOCOMMIT) | FACT(IMPLICIT_COMMIT);
    }
    if (is_tx || is_listed(name, tracked, WR_ARRAY_LEN(tracked)) ||
        (name.len > sizeof(track_prefix) - 1 &&
         strncasecmp((const char *)name.p, track_prefix, sizeof(track_prefix) - 1) == 0)) {
        ps->f->bits |= FACT(SETS_STATE);
        return;
    }
    if (ps->f->set_count < FACTS_MAX_SETS && is_listed(name, extra, WR_ARRAY_LEN(extra))) {
        ps->f->bits |= FACT(SETS_STATE) | FACT(SET_EXTRA);
        ps->f->set_names[ps->f->set_count++] = name;
        return;
    }
    if (span_eq_text_nocase(name, "profiling")) {
        ps->f->pins |= PIN_BIT(PIN_UNKNOWN); /* its list of statements survives a reset */
    }
    set_untracked(ps, st);
}

static void set_scoped(struct parser *ps, struct set_state *st, enum set_scope scope,
                       struct span name, bool is_bare_at)
{
    if (scope == SCOPE_GLOBAL) {
        set_global(ps, st);
        return;
    }
    set_variable(ps, st, name, is_bare_at);
}

static bool is_global_word(struct span word)
{
    return span_eq_text_nocase(word, "global") || span_eq_text_nocase(word, "persist") ||
           span_eq_text_nocase(word, "persist_only");
}

/* "@@x" as a target is written, not read. */
static void set_sysvar(struct parser *ps, struct set_state *st, const struct tok *tok)
{
    struct facts *f = ps->f;
    if (!st->has_read) {
        f->bits &= ~FACT(SYSTEM_VARIABLE);
    }
    if (f->id_count > 0 && f->ids[f->id_count - 1].use.p == tok->p) {
        f->id_count--;
        if (f->id_count == 0) {
            f->bits &= ~FACT(CONNECTION_ID);
        }
    }
    struct span name = {tok->p + 2, tok->len - 2};
    const uint8_t *dot = name.len > 0 ? memchr(name.p, '.', name.len) : NULL;
    if (dot == NULL) {
        set_scoped(ps, st, SCOPE_NONE, name, true);
        return;
    }
    struct span scope = {name.p, (size_t)(dot - name.p)};
    struct span rest = {dot + 1, name.len - scope.len - 1};
    if (is_global_word(scope)) {
        ps->f->bits |= span_eq_text_nocase(scope, "global") ? 0 : FACT(ADMIN);
        set_global(ps, st);
    } else if (span_eq_text_nocase(scope, "session") || span_eq_text_nocase(scope, "local")) {
        set_scoped(ps, st, SCOPE_SESSION, rest, false);
    } else {
        set_untracked(ps, st);
    }
}

/* From the target to the comma behind the value. */
static void skip_value(struct parser *ps, struct set_state *st)
{
    unsigned depth = 0;
    parser_next(ps);
    while (!tok_ends(parser_tok(ps))) {
        const struct tok *tok = parser_tok(ps);
        if (tok->kind == TOK_SYSVAR) {
            st->has_read = true;
        } else if (tok->kind == TOK_LPAREN) {
            depth++;
        } else if (tok->kind == TOK_RPAREN && depth > 0) {
            depth--;
        } else if (tok->kind == TOK_COMMA && depth == 0) {
            return;
        }
        parser_next(ps);
    }
}

/* GLOBAL, SESSION ... in front of a name. */
static void take_scope(struct parser *ps, struct set_state *st)
{
    const struct tok *tok = parser_tok(ps);
    struct tok next = parser_peek(ps);
    if (next.kind == TOK_EQ || next.kind == TOK_ASSIGN || next.kind == TOK_DOT) {
        return;
    }
    if (tok_is(tok, KW_GLOBAL) || tok_is(tok, KW_PERSIST) || tok_is(tok, KW_PERSIST_ONLY)) {
        ps->f->bits |= tok_is(tok, KW_GLOBAL) ? 0 : FACT(ADMIN);
        st->scope = SCOPE_GLOBAL;
        parser_next(ps);
    } else if (tok_is(tok, KW_SESSION) || tok_is(tok, KW_LOCAL)) {
        st->scope = SCOPE_SESSION;
        parser_next(ps);
    }
}

/* [scope] TRANSACTION ...: to the end of the statement. */
static void set_transaction(struct parser *ps, struct set_state *st)
{
    ps->f->bits |= FACT(SETS_STATE);
    if (st->scope == SCOPE_GLOBAL) {
        ps->f->bits &= ~FACT(SETS_STATE);
        set_global(ps, st);
    } else if (st->scope == SCOPE_NONE) {
        st->is_all_tracked = false;
        ps->f->bits |= FACT(SET_NEXT_TX);
    }
    parser_skip(ps);
}

static void set_one(struct parser *ps, struct set_state *st)
{
    bool was_global = st->scope == SCOPE_GLOBAL;
    take_scope(ps, st);
    const struct tok target = *parser_tok(ps);
    struct tok next = parser_peek(ps);
    if (target.kind == TOK_USERVAR) {
        st->is_all_tracked = false;
        ps->f->bits |= FACT(SETS_STATE);
        ps->f->pins |= PIN_BIT(PIN_USER_VARIABLE);
    } else if (target.kind == TOK_SYSVAR) {
        set_sysvar(ps, st, &target);
    } else if (tok_is(&target, KW_TRANSACTION) && next.kind == TOK_WORD) {
        set_transaction(ps, st);
        return;
    } else if (tok_is(&target, KW_NAMES) || tok_is(&target, KW_CHARSET) ||
               (tok_is(&target, KW_CHARACTER) && tok_is(&next, KW_SET))) {
        ps->f->bits |= FACT(SETS_STATE);
    } else if (tok_is_name(&target) && (next.kind == TOK_EQ || next.kind == TOK_ASSIGN)) {
        struct span name = tok_span(&target);
        if (target.kind == TOK_QUOTED && name.len > 2) {
            name = (struct span){name.p + 1, name.len - 2};
        }
        set_scoped(ps, st, st->scope, name, false);
        if (was_global && st->scope == SCOPE_GLOBAL) {
            /* whether a scope counts for the names behind it differs: it may be the session's */
            set_variable(ps, st, name, false);
        }
    } else if (tok_is(&target, KW_ROLE)) {
        set_untracked(ps, st);
        ps->f->pins |= PIN_BIT(PIN_SET_ROLE) | PIN_BIT(PIN_UNKNOWN);
    } else if (st->scope == SCOPE_GLOBAL) {
        set_global(ps, st); /* a key cache's size: name.variable */
    } else {
        set_untracked(ps, st);
    }
    skip_value(ps, st);
}

static bool is_read_start(const struct tok *tok)
{
    return tok->kind == TOK_LPAREN || tok_is(tok, KW_SELECT) || tok_is(tok, KW_WITH);
}

/* STATEMENT name = value, ... FOR statement */
static void set_statement(struct parser *ps)
{
    bool is_harmless = true;
    while (!tok_ends(parser_tok(ps)) && !tok_is(parser_tok(ps), KW_FOR)) {
        is_harmless =
            is_harmless && tok_is_name(parser_tok(ps)) &&
            is_listed(tok_span(parser_tok(ps)), statement_names, WR_ARRAY_LEN(statement_names));
        while (!tok_ends(parser_tok(ps)) && !tok_is(parser_tok(ps), KW_FOR) &&
               parser_tok(ps)->kind != TOK_COMMA) {
            parser_next(ps);
        }
        if (parser_tok(ps)->kind == TOK_COMMA) {
            parser_next(ps);
        }
    }
    (void)parser_take(ps, KW_FOR);
    if (!is_harmless || ps->env->flavour != CLASSIFY_MARIADB) {
        parser_fail(ps, WHY_SET);
    }
    if (is_read_start(parser_tok(ps))) {
        parser_set_verb(ps, VERB_SELECT);
        query_parse(ps);
        return;
    }
    parser_fail(ps, WHY_SET);
    ps->f->bits |= FACT(WRITE);
    ps->f->pins |= PIN_BIT(PIN_UNKNOWN);
}

/* ROLE ...: in MySQL the whole statement, in MariaDB one word in a list of assignments. What stands
 * in such a list is not looked at. */
static void set_role(struct parser *ps, struct set_state *st)
{
    st->is_all_tracked = false;
    ps->f->bits |= FACT(SETS_STATE) | FACT(SET_ROLE);
    ps->f->pins |= PIN_BIT(PIN_SET_ROLE);
    if (ps->env->flavour == CLASSIFY_MARIADB) {
        parser_next(ps);
        parser_next(ps);
        ps->f->pins |= tok_ends(parser_tok(ps)) ? 0 : PIN_BIT(PIN_UNKNOWN);
    }
    parser_skip(ps);
}

/* Words behind SET that begin something else than an assignment. True: dealt with. */
static bool set_special(struct parser *ps, struct set_state *st)
{
    const struct tok *tok = parser_tok(ps);
    struct tok next = parser_peek(ps);
    if (next.kind == TOK_EQ && !tok_is(tok, KW_PASSWORD)) {
        return false;
    }
    if (tok_is(tok, KW_PASSWORD) || (tok_is(tok, KW_DEFAULT) && tok_is(&next, KW_ROLE))) {
        ps->is_account = true;
        ps->f->bits |= FACT(WRITE) | FACT(IMPLICIT_COMMIT);
        set_global(ps, st);
        parser_skip(ps);
        return true;
    }
    if (tok_is(tok, KW_ROLE)) {
        set_role(ps, st);
        return true;
    }
    if (tok_is(tok, KW_RESOURCE)) {
        set_untracked(ps, st);
        parser_skip(ps);
        return true;
    }
    return false;
}

void set_parse(struct parser *ps)
{
    struct set_state st = {.is_all_tracked = true, .scope = SCOPE_NONE};
    if (tok_is(parser_tok(ps), KW_STATEMENT)) {
        struct tok next = parser_peek(ps);
        if (next.kind != TOK_EQ && next.kind != TOK_ASSIGN) {
            parser_next(ps);
            set_statement(ps);
            return;
        }
    }
    parser_fail(ps, WHY_SET);
    if (ps->is_first) {
        ps->f->why = WHY_SET; /* the first target may have been noted as a variable */
    }
    if (set_special(ps, &st)) {
        return;
    }
    if (tok_ends(parser_tok(ps))) {
        return;
    }
    for (;;) {
        set_one(ps, &st);
        if (parser_tok(ps)->kind != TOK_COMMA) {
            break;
        }
        parser_next(ps);
    }
    if (st.is_all_tracked) {
        ps->f->bits |= FACT(SET_TRACKED);
    }
}
