/* SPDX-License-Identifier: Apache-2.0 */
/*
 * may_call.c - whether a statement of any kind may call a function that is not the server's own.
 *
 * For statements that are no reads, of which the parser keeps no calls. It errs to one side only: a
 * name before "(" that is nothing known is taken for a call, but for the table of an INSERT.
 */
#include "keyword_priv.h"
#include "token_priv.h"

struct walk {
    struct tok prev;
    bool is_table; /* prev is what INTO names */
    bool is_into;  /* the table's name may still follow */
};

/* Each version of either server has these itself. No replica may run them, and they write nothing. */
static bool is_native_of_session(uint16_t kw)
{
    return kw == KW_CONNECTION_ID || kw == KW_LAST_INSERT_ID || kw == KW_FOUND_ROWS ||
           kw == KW_ROW_COUNT || kw == KW_VERSION || kw == KW_GET_LOCK || kw == KW_RELEASE_LOCK ||
           kw == KW_IS_FREE_LOCK || kw == KW_IS_USED_LOCK;
}

static bool is_native(const struct classify_env *env, const struct tok *word,
                      const struct tok *paren)
{
    const struct kw_def *def = keyword_def(word->kw);
    bool is_mysql = env->flavour == CLASSIFY_MYSQL;
    uint32_t since = is_mysql ? def->mysql_min : def->mariadb_min;
    bool has_space = (paren->flags & (TOKF_SPACE | TOKF_COMMENT)) != 0;

    if ((keyword_flags[word->kw] & (is_mysql ? KWF_MYSQL : KWF_MARIADB)) == 0 ||
        env->version < since ||
        (is_mysql && def->mysql_end != 0 &&
         (env->version == 0 || env->version >= def->mysql_end))) {
        return false;
    }
    return (keyword_flags[word->kw] & KWF_SPACE) == 0 || !has_space;
}

/* paren stands behind walk->prev. */
static bool is_call(const struct walk *walk, const struct classify_env *env,
                    const struct tok *paren)
{
    const struct tok *word = &walk->prev;

    if (word->kind != TOK_WORD && word->kind != TOK_QUOTED) {
        return false;
    }
    if (walk->is_table) {
        return false;
    }
    if (word->kind == TOK_QUOTED || word->kw == KW_NONE || (word->flags & TOKF_DOT) != 0) {
        return true;
    }
    if ((keyword_flags[word->kw] & (KWF_PAREN | KWF_RESERVED | KWF_TYPE)) != 0) {
        return false;
    }
    return !is_native_of_session(word->kw) && !is_native(env, word, paren);
}

static void walk_on(struct walk *walk, const struct tok *tok)
{
    bool is_name = tok->kind == TOK_QUOTED || (tok->kind == TOK_WORD && tok->kw == KW_NONE) ||
                   (tok->kind == TOK_WORD && (tok->flags & TOKF_DOT) != 0);

    if (tok->kind == TOK_WORD && tok->kw == KW_INTO) {
        walk->is_into = true;
        walk->is_table = false;
    } else if (walk->is_into && tok->kind == TOK_WORD && tok->kw == KW_TABLE) {
        walk->is_into = true; /* LOAD DATA ... INTO TABLE t (...) */
    } else if (walk->is_into && is_name) {
        walk->is_table = true;
        /* a second name without a dot between would be an alias */
        walk->is_into = walk->prev.kind != TOK_QUOTED && walk->prev.kind != TOK_DOT;
    } else if (walk->is_table && tok->kind == TOK_DOT) {
        walk->is_table = false;
        walk->is_into = true;
    } else {
        walk->is_into = false;
        walk->is_table = false;
    }
    walk->prev = *tok;
}

bool classify_may_call(struct span sql, const struct classify_env *env)
{
    struct walk walk = {.prev = {.kind = TOK_END}};
    struct lexer lex;
    struct tok tok;

    lex_init(&lex, sql, env, NULL);
    for (lex_next(&lex, &tok); tok.kind != TOK_END; lex_next(&lex, &tok)) {
        if (tok.kind == TOK_BAD || (tok.kind == TOK_LPAREN && is_call(&walk, env, &tok))) {
            return true;
        }
        walk_on(&walk, &tok);
    }
    return lex.flags != 0;
}

/* Words that may stand between INSERT or REPLACE and INTO. */
static bool is_modifier(uint16_t kw)
{
    return kw == KW_LOW_PRIORITY || kw == KW_HIGH_PRIORITY || kw == KW_DELAYED || kw == KW_IGNORE;
}

bool classify_hides_writes(struct span sql, const struct classify_env *env)
{
    struct lexer lex;
    struct tok tok;
    bool is_insert = false; /* INTO has to follow, or "(": then it is the function */

    lex_init(&lex, sql, env, NULL);
    for (lex_next(&lex, &tok); tok.kind != TOK_END; lex_next(&lex, &tok)) {
        bool is_word = tok.kind == TOK_WORD && (tok.flags & TOKF_DOT) == 0;

        if (tok.kind == TOK_BAD ||
            (is_word && (tok.kw == KW_CALL || tok.kw == KW_EXECUTE || tok.kw == KW_LOAD))) {
            return true;
        }
        if (is_insert && is_word && is_modifier(tok.kw)) {
            continue;
        }
        if (is_insert && tok.kind != TOK_LPAREN && !(is_word && tok.kw == KW_INTO)) {
            return true;
        }
        is_insert = is_word && (tok.kw == KW_INSERT || tok.kw == KW_REPLACE);
    }
    return lex.flags != 0;
}
