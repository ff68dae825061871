/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXPLAIN ROUTE through a client's connection: what would be decided now, in the session's state. Nothing is
 * sent anywhere, and the session is as it was before.
 */
#include <stdio.h>

#include "weir/protocol/result.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

struct explain {
    struct result *result;
};

static void explain_row(void *arg, const char *item, const char *text)
{
    struct explain *explain = arg;
    struct span row[2] = {span_of(item), span_of(text)};

    result_put_row(explain->result, row, 2);
}

/* What the decision leaves to be found out when the statement comes. */
static void explain_fetch(const struct sess *sess, const struct facts *facts,
                          const struct route_sess *route, const struct route_decision *decision,
                          struct explain *explain)
{
    char text[256];
    int16_t from = -1;

    if (sess->causal != NULL && sess_may_move(sess, facts->bits, decision->target)) {
        from =
            sess_causal_fetch_from(sess, facts, route, decision, route_decision_reason(decision));
    }
    if (from >= 0) {
        (void)snprintf(
            text, sizeof(text),
            "%s is asked how far it is; a replica that is known to be as far then, or gets "
            "there in time, runs it instead",
            sess->env->topo->servers[from].name);
        explain_row(explain, "first", text);
    }
}

static void explain_cache(struct sess *sess, struct span sql, const struct facts *facts,
                          const struct config_rule *rule, struct explain *explain)
{
    char text[256];
    const struct sess_question question = {
        .sql = sql, .facts = facts, .schema = svec_get(&sess->svec, SVEC_SCHEMA)};

    sess_cache_explain(sess, &question, rule, text, sizeof(text));
    explain_row(explain, "cache", text);
}

void sess_explain(struct sess *sess, struct span sql, struct span packet)
{
    static const struct result_column columns[2] = {
        {.name = "item", .type = RESULT_TYPE_STRING, .length = 64},
        {.name = "value", .type = RESULT_TYPE_STRING, .length = 1024},
    };
    struct facts facts;
    struct route_sess route;
    struct route_view view;
    struct route_decision decision;
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;
    struct explain explain = {.result = &result};

    sess_classify(sess, sql, &facts);
    sess_attrs_of_text(sess, packet, &facts);
    sess_note_key(sess, &facts);
    sess_causal_hints(sess, &facts);
    sess_route_fill(sess, &route, &view);
    view.rule = sess_rule_of(sess, &facts, sql);
    route_decide(&facts, &route, &view, &decision);
    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    result_put_columns(&result, columns, 2);
    route_explain(&facts, &route, &view, &decision, explain_row, &explain);
    explain_fetch(sess, &facts, &route, &decision, &explain);
    explain_cache(sess, sql, &facts, view.rule, &explain);
    result_put_end(&result, 0);
    sess_answer(sess, &bytes);
}
