/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/route/decide.h"
#include "weir/util/attr.h"
#include "weir/util/duration.h"

#include "decide_priv.h"
#include "deciding_priv.h"

#define LINE_MAX_BYTES 512
#define QUOTE_MAX      64 /* bytes of a statement's text shown at one place */

enum reason_arg {
    ARG_NONE,
    ARG_PIN,
    ARG_HINT,
    ARG_ISOLATION,
    ARG_SERVER,
    ARG_LEFT,
    ARG_TABLE,
    ARG_CALL,
    ARG_CULPRIT,
    ARG_RULE,
};

struct reason_row {
    const char *name;
    enum reason_arg arg;
    const char *text;
};

static const struct reason_row REASONS[] = {
#define X(name, arg, text) {#name, ARG_##arg, text},
    ROUTE_REASONS(X)
#undef X
};

/* A line that is put together piece by piece; what does not fit is cut. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void line_add(struct line *line, const char *text)
{
    size_t len = strlen(text);
    size_t room = sizeof(line->text) - 1 - line->len;

    len = len < room ? len : room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
    line->text[line->len] = '\0';
}

/* Bytes of a statement: control bytes as spaces, so that a line stays a line. */
static void line_show(struct line *line, struct span bytes, size_t max)
{
    char shown[CATALOGUE_NOTE_MAX + 4];
    size_t len = bytes.len < max ? bytes.len : max;

    for (size_t i = 0; i < len; i++) {
        shown[i] = bytes.p[i] < 0x20 || bytes.p[i] == 0x7f ? ' ' : (char)bytes.p[i];
    }
    shown[len] = '\0';
    line_add(line, shown);
    line_add(line, len < bytes.len ? "..." : "");
}

static void line_quote(struct line *line, struct span bytes)
{
    line_show(line, bytes, QUOTE_MAX);
}

static const char *server_name(const struct route_view *view, int16_t server)
{
    return server >= 0 && server < (int16_t)view->topo->server_count
               ? view->topo->servers[server].name
               : "none";
}

static void line_add_lag(struct line *line, uint64_t lag_us)
{
    char text[32];

    if (lag_us == TOPO_LAG_UNKNOWN) {
        line_add(line, "unknown");
        return;
    }
    duration_format_about(lag_us, text, sizeof(text));
    line_add(line, text);
}

static void line_add_table(struct line *line, const struct facts *facts,
                           const struct route_step *step)
{
    const struct facts_table *table = &facts->tables[step->table];

    if (table->schema.len > 0) {
        line_quote(line, table->schema);
        line_add(line, ".");
    }
    line_quote(line, table->name);
    if (step->reason == ROUTE_TABLE) {
        line_add(line, ", ");
        line_add(line, catalogue_kind_text((enum catalogue_kind)step->detail));
    }
}

static void line_add_call(struct line *line, const struct facts *facts,
                          const struct route_sess *sess, const struct route_view *view,
                          const struct route_step *step)
{
    const struct facts_call *call = &facts->calls[step->table];
    char bytes[2][ROUTE_NAME_MAX];
    struct span schema = sess->schema;
    struct span name = {NULL, 0};
    struct span note = {NULL, 0};

    if (call->schema.len > 0) {
        line_quote(line, call->schema);
        line_add(line, ".");
    }
    line_quote(line, call->name);
    line_add(line, ", ");
    line_add(line, catalogue_kind_text((enum catalogue_kind)step->detail));
    if (route_name_plain(call->name, bytes[0], &name) &&
        (call->schema.len == 0 || route_name_plain(call->schema, bytes[1], &schema))) {
        note = catalogue_function_note(view->catalogue, schema, name, call->schema.len == 0);
    }
    if (note.len > 0 && step->detail >= CATALOGUE_FUNCTION) {
        line_add(line, ": ");
        line_show(line, note, CATALOGUE_NOTE_MAX);
    }
}

static void line_add_hint(struct line *line, const struct facts *facts, uint8_t detail)
{
    enum classify_hint hint = (enum classify_hint)detail;

    line_add(line, "weir:");
    line_add(line, classify_hint_name(hint));
    if ((facts->hints & HINT_BIT(hint)) != 0 && facts->hint[hint].len > 0) {
        line_add(line, "=");
        line_quote(line, facts->hint[hint]);
    }
}

static void line_add_culprit(struct line *line, const struct facts *facts)
{
    line_add(line, classify_why_text(facts->why));
    if (facts->culprit.len > 0) {
        line_add(line, " (");
        line_quote(line, facts->culprit);
        line_add(line, ")");
    }
}

/* The rule's name, and where it begins all that it does. */
static void line_add_rule(struct line *line, const struct config_rule *rule, bool is_whole)
{
    char time[32];

    line_add(line, rule->label);
    if (!is_whole) {
        return;
    }
    if (rule->route_text != NULL) {
        line_add(line, ", route ");
        line_add(line, rule->route_text);
    }
    if (rule->timeout_us != 0) {
        duration_format_about(rule->timeout_us, time, sizeof(time));
        line_add(line, ", timeout ");
        line_add(line, time);
    }
    if (rule->deny != NULL) {
        line_add(line, ", deny ");
        line_quote(line, span_of(rule->deny));
    }
    if (rule->log) {
        line_add(line, ", log");
    }
}

static void line_add_arg(struct line *line, const struct facts *facts,
                         const struct route_sess *sess, const struct route_view *view,
                         const struct route_step *step)
{
    switch (REASONS[step->reason].arg) {
    case ARG_NONE:
        return;
    case ARG_PIN:
        line_add(line, classify_pin_name((enum classify_pin)step->detail));
        return;
    case ARG_HINT:
        line_add_hint(line, facts, step->detail);
        return;
    case ARG_ISOLATION:
        line_add(line, topo_isolation_text((enum topo_isolation)step->detail));
        return;
    case ARG_SERVER:
        line_add(line, server_name(view, step->server));
        return;
    case ARG_LEFT:
        line_add_lag(line, step->left_us);
        return;
    case ARG_TABLE:
        line_add_table(line, facts, step);
        return;
    case ARG_CALL:
        line_add_call(line, facts, sess, view, step);
        return;
    case ARG_CULPRIT:
        line_add_culprit(line, facts);
        return;
    case ARG_RULE:
        line_add_rule(line, view->rule, step->reason == ROUTE_RULE);
        return;
    }
}

static void explain_class(const struct facts *facts, route_explain_fn fn, void *arg)
{
    struct line line = {.len = 0};

    line_add(&line, classify_verb_name(facts->verb));
    for (unsigned bit = 0; classify_fact_name(bit); bit++) {
        if ((facts->bits >> bit & 1) != 0) {
            line_add(&line, " ");
            line_add(&line, classify_fact_name(bit));
        }
    }
    fn(arg, "class", line.text);
}

static void explain_candidates(const struct route_view *view, const struct route_decision *decision,
                               route_explain_fn fn, void *arg)
{
    for (uint8_t i = 0; i < decision->candidate_count; i++) {
        const struct route_candidate *candidate = &decision->candidates[i];
        const struct topo_server *server = &view->topo->servers[candidate->server];
        struct line line = {.len = 0};
        char item[TOPO_NAME_MAX + 16];
        char weight[48];

        (void)snprintf(item, sizeof(item), "candidate %s", server->name);
        (void)snprintf(weight, sizeof(weight), ": weight %.2f of %" PRIu32 ", lag ",
                       (double)candidate->weight_eff / TOPO_WEIGHT_ONE, server->weight);
        line_add(&line, route_exclude_text(candidate->exclude));
        if (candidate->exclude == ROUTE_EX_STATE) {
            line_add(&line, " ");
            line_add(&line, topo_state_text(server->state));
            line_add(&line, ", ");
            line_add(&line, topo_why_text(server->why));
        }
        line_add(&line, weight);
        line_add_lag(&line, candidate->lag_us);
        fn(arg, item, line.text);
    }
}

void route_explain(const struct facts *facts, const struct route_sess *sess,
                   const struct route_view *view, const struct route_decision *decision,
                   route_explain_fn fn, void *arg)
{
    struct line line = {.len = 0};
    char item[32];

    explain_class(facts, fn, arg);
    line_add(&line, sess->schema.len > 0 ? "" : "none");
    line_quote(&line, sess->schema);
    fn(arg, "schema", line.text);
    for (uint8_t i = 0; i < decision->step_count; i++) {
        const struct route_step *step = &decision->steps[i];

        line = (struct line){.len = 0};
        (void)snprintf(item, sizeof(item), "step %u", (unsigned)i + 1);
        line_add(&line, REASONS[step->reason].text);
        if (REASONS[step->reason].arg != ARG_NONE) {
            line_add(&line, ": ");
            line_add_arg(&line, facts, sess, view, step);
        }
        fn(arg, item, line.text);
    }
    explain_candidates(view, decision, fn, arg);
    if (decision->raw_mode != CONFIG_RAW_OFF) {
        fn(arg, "freshness", route_raw_text(decision->raw_mode));
    }
    fn(arg, "target", route_target_text(decision->target));
    fn(arg, "server", server_name(view, decision->server));
    (void)snprintf(item, sizeof(item), "%" PRIu64, decision->topo_generation);
    fn(arg, "topology", item);
    (void)snprintf(item, sizeof(item), "%" PRIu64, catalogue_generation(view->catalogue));
    fn(arg, "catalogue", item);
}

const char *route_reason_name(enum route_reason reason)
{
    return reason < ROUTE_REASON_END_ ? REASONS[reason].name : "NONE";
}

const char *route_reason_text(enum route_reason reason)
{
    return reason < ROUTE_REASON_END_ ? REASONS[reason].text : "undecided";
}

const char *route_exclude_text(enum route_exclude exclude)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ROUTE_EXCLUDES(X)
#undef X
    };
    return texts[exclude];
}

const char *route_target_text(enum route_target target)
{
    switch (target) {
    case ROUTE_TO_NONE:
        return "none";
    case ROUTE_TO_PRIMARY:
        return "primary";
    case ROUTE_TO_REPLICA:
        return "replica";
    case ROUTE_TO_LAST:
        return "last";
    }
    return "none";
}
