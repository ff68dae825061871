/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.c - CONNECTION_ID() and @@pseudo_thread_id become the id that the client was greeted
 * with; ROW_COUNT() and FOUND_ROWS() what weir remembers of the statement before, when the
 * connection that ran it has somebody else's since.
 *
 * A select item without an alias takes its column name from its text, so it is given that text as
 * an alias. The items are found by a second look at the text, which only such statements pay for.
 */
#include <errno.h>
#include <string.h>

#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "parse_priv.h"

struct items {
    struct facts *f;
    const uint8_t *start; /* of the item being read; NULL: none */
    struct tok before;    /* the last token of the item, */
    struct tok last;      /* and the one before it */
    bool has_alias;
};

static bool is_plain_word(const struct tok *tok)
{
    return tok->kind == TOK_QUOTED || tok->kind == TOK_STRING ||
           (tok->kind == TOK_WORD && (keyword_flags[tok->kw] & KWF_RESERVED) == 0 &&
            tok->kw != KW_END);
}

/* Can an expression end with it, so that a name behind it is an alias? */
static bool is_operand_end(const struct tok *tok)
{
    return tok->kind == TOK_RPAREN || tok->kind == TOK_NUMBER || tok->kind == TOK_SYSVAR ||
           is_plain_word(tok) || tok_is(tok, KW_END) || tok_is(tok, KW_NULL);
}

static void item_close(struct items *it)
{
    if (it->start == NULL) {
        return;
    }
    bool has_alias = it->has_alias || (is_plain_word(&it->last) && is_operand_end(&it->before));
    const uint8_t *end = it->last.p + it->last.len;
    for (unsigned i = 0; i < it->f->id_count && !has_alias; i++) {
        if (it->f->ids[i].use.p >= it->start && it->f->ids[i].use.p < end) {
            it->f->ids[i].item = (struct span){it->start, (size_t)(end - it->start)};
        }
    }
    it->start = NULL;
    it->has_alias = false;
}

static bool is_list_end(const struct tok *tok)
{
    switch (tok->kind == TOK_WORD ? tok->kw : KW_NONE) {
    case KW_FROM:
    case KW_INTO:
    case KW_WHERE:
    case KW_GROUP:
    case KW_HAVING:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_UNION:
    case KW_EXCEPT:
    case KW_INTERSECT:
    case KW_FOR:
    case KW_LOCK:
    case KW_PROCEDURE:
    case KW_WINDOW:
        return true;
    default:
        return tok_ends(tok);
    }
}

static bool is_select_option(const struct tok *tok)
{
    switch (tok->kind == TOK_WORD ? tok->kw : KW_NONE) {
    case KW_ALL:
    case KW_DISTINCT:
    case KW_DISTINCTROW:
    case KW_HIGH_PRIORITY:
    case KW_STRAIGHT_JOIN:
    case KW_SQL_SMALL_RESULT:
    case KW_SQL_BIG_RESULT:
    case KW_SQL_BUFFER_RESULT:
    case KW_SQL_NO_CACHE:
    case KW_SQL_CACHE:
    case KW_SQL_CALC_FOUND_ROWS:
        return true;
    default:
        return false;
    }
}

static void item_token(struct items *it, const struct tok *tok)
{
    if (it->start == NULL) {
        it->start = tok->p;
        it->last = *tok;
        it->before = (struct tok){.kind = TOK_COMMA};
        return;
    }
    it->before = it->last;
    it->last = *tok;
}

void ids_find_items(struct span sql, const struct classify_env *env, struct facts *f)
{
    struct lexer lex;
    struct tok tok;
    struct items it = {.f = f};
    unsigned depth = 0;
    lex_init(&lex, sql, env, NULL);
    lex_next(&lex, &tok);
    if (!tok_is(&tok, KW_SELECT)) {
        return;
    }
    lex_next(&lex, &tok);
    while (is_select_option(&tok)) {
        lex_next(&lex, &tok);
    }
    for (;;) {
        if (depth == 0 && is_list_end(&tok)) {
            item_close(&it);
            return;
        }
        if (tok.kind == TOK_END) {
            return;
        }
        if (tok.kind == TOK_LPAREN) {
            depth++;
        } else if (tok.kind == TOK_RPAREN && depth > 0) {
            depth--;
        }
        if (depth == 0 && tok.kind == TOK_COMMA) {
            item_close(&it);
        } else {
            it.has_alias = it.has_alias || (depth == 0 && tok_is(&tok, KW_AS));
            item_token(&it, &tok);
        }
        lex_next(&lex, &tok);
    }
}

static int append_alias(struct buf *out, struct span item)
{
    int err = buf_append_text(out, " AS `", SIZE_MAX);
    for (size_t i = 0; err >= 0 && i < item.len; i++) {
        if (item.p[i] == '`') {
            err = buf_append(out, "`", 1, SIZE_MAX);
        }
        if (err >= 0) {
            err = buf_append(out, &item.p[i], 1, SIZE_MAX);
        }
    }
    return err >= 0 ? buf_append(out, "`", 1, SIZE_MAX) : err;
}

static int put_number(struct buf *out, const char *form, int64_t value)
{
    const char *at = strstr(form, "%lld");
    int err = buf_append(out, form, (size_t)(at - form), SIZE_MAX);
    if (err >= 0) {
        err = buf_printf(out, SIZE_MAX, "%lld", (long long)value);
    }
    return err < 0 ? err : buf_append_text(out, at + 4, SIZE_MAX);
}

int classify_rewrite_ids(struct span sql, const struct facts *facts, const struct classify_ids *ids,
                         struct buf *out)
{
    const uint8_t *done = sql.p;
    const uint8_t *end = sql.p + sql.len;
    if ((facts->bits & FACT(OVERFLOW)) != 0 && facts->id_count == FACTS_MAX_IDS) {
        return -WR_E_UNSUPPORTED;
    }
    for (unsigned i = 0; i < facts->id_count; i++) {
        const struct facts_id *use = &facts->ids[i];
        if ((ids->mask & 1U << use->kind) == 0) {
            continue;
        }
        int err = buf_append(out, done, (size_t)(use->use.p - done), SIZE_MAX);
        if (err >= 0) {
            /* a count keeps the type of its function, which is never called */
            static const char *const forms[] = {
                [FACTS_ID_CONNECTION] = "CAST(%lld AS UNSIGNED)",
                [FACTS_ID_ROW_COUNT] = "IFNULL(%lld,ROW_COUNT())",
                [FACTS_ID_FOUND_ROWS] = "IFNULL(%lld,FOUND_ROWS())",
            };
            err = put_number(out, forms[use->kind], ids->value[use->kind]);
        }
        done = use->use.p + use->use.len;
        bool is_item_end = use->item.len > 0 &&
                           (i + 1 == facts->id_count || facts->ids[i + 1].item.p != use->item.p);
        if (err >= 0 && is_item_end) {
            const uint8_t *item_end = use->item.p + use->item.len;
            err = buf_append(out, done, (size_t)(item_end - done), SIZE_MAX);
            done = item_end;
            if (err >= 0) {
                err = append_alias(out, use->item);
            }
        }
        if (err < 0) {
            return err;
        }
    }
    int err = buf_append(out, done, (size_t)(end - done), SIZE_MAX);
    return err < 0 ? err : 0;
}
