/* SPDX-License-Identifier: Apache-2.0 */
/* kill.c - KILL [HARD | SOFT] [CONNECTION | QUERY [ID]] id, KILL [...] USER name. */
#include "parse_priv.h"

static bool parse_id(const struct tok *tok, uint64_t *ret_id)
{
    uint64_t id = 0;
    if (tok->kind != TOK_NUMBER || tok->len > 19) {
        return false;
    }
    for (uint32_t i = 0; i < tok->len; i++) {
        if (tok->p[i] < '0' || tok->p[i] > '9') {
            return false;
        }
        id = id * 10 + (uint64_t)(tok->p[i] - '0');
    }
    *ret_id = id;
    return true;
}

static bool take_self(struct parser *ps)
{
    if (!parser_take(ps, KW_CONNECTION_ID)) {
        return false;
    }
    if (parser_tok(ps)->kind != TOK_LPAREN) {
        return false;
    }
    parser_next(ps);
    if (parser_tok(ps)->kind != TOK_RPAREN) {
        return false;
    }
    parser_next(ps);
    return true;
}

void kill_parse(struct parser *ps)
{
    struct facts_kill kill = {.form = KILL_OTHER};
    kill.is_soft = tok_is(parser_tok(ps), KW_SOFT);
    if (kill.is_soft || tok_is(parser_tok(ps), KW_HARD)) {
        parser_next(ps);
    }
    bool is_query_id = false;
    if (parser_take(ps, KW_QUERY)) {
        kill.is_query = true;
        is_query_id = parser_take(ps, KW_ID);
    } else {
        (void)parser_take(ps, KW_CONNECTION);
    }
    if (parser_take(ps, KW_USER)) {
        kill.form = KILL_USER;
        ps->is_account = true;
        parser_skip(ps);
    } else if (parse_id(parser_tok(ps), &kill.id)) {
        kill.form = is_query_id ? KILL_QUERY_ID : KILL_ID;
        parser_next(ps);
    } else if (take_self(ps)) {
        kill.form = KILL_SELF;
    }
    if (!tok_ends(parser_tok(ps))) {
        kill.form = KILL_OTHER;
    }
    ps->f->kill = kill;
}
