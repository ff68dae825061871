/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules at work in a session: which one fits the command in hand, and what of it concerns the
 * session itself (deny, timeout, log, counting). Where the statement goes is route's.
 *
 * A command remembers its rule as a number and the generation of the rules that it is a number of:
 * rules may be read again while the command waits, and then it is found anew.
 */
#include <inttypes.h>
#include <stdio.h>

#include "weir/config/config.h"
#include "weir/util/rand.h"

#include "sess_priv.h"

/* Which rule fits a text; nothing else happens. */
static struct sess_rule_mark find(struct sess *sess, const struct facts *facts, struct span sql,
                                  struct span schema, struct rule_input *in)
{
    const struct rules *rules = sess->env->rules;
    struct sess_rule_mark mark = {.generation = rules_generation(rules)};
    struct classify_env env;
    int found = -1;

    if ((facts->bits & FACT(READ)) == 0 || sess->cmd.digest == 0) { /* else nobody asks for it */
        sess_classify_env(sess, &env);
    }
    *in = (struct rule_input){
        .facts = facts,
        .sql = sql,
        .env = &env,
        .schema = schema,
        .user = cred_user(sess->cred),
        .host = sess->host,
        .is_unix = sess->is_unix,
        .has_digest = sess->cmd.digest != 0,
        .digest = sess->cmd.digest,
    };
    found = rules_match(rules, sess->set->rule_scratch, &sess->rule_who, in);
    in->env = NULL; /* it ends here */
    if (in->gave_up != 0) {
        metric_add(sess->env->metrics, METRIC_RULE_GAVE_UP, METRIC_NONE, in->gave_up);
        log_warn(&sess->log, "rule_gave_up",
                 "the regular expression of a rule met its limits and does not match");
    }
    mark.number = (uint16_t)(found + 1);
    return mark;
}

static bool has_rules(const struct sess *sess)
{
    return sess->env->rules != NULL && rules_count(sess->env->rules) != 0;
}

static struct span schema_of(const struct sess *sess)
{
    if (sess_is_execute(sess)) {
        return sess_stmt_schema(sess->cmd.stmt);
    }
    return svec_get(&sess->svec, SVEC_SCHEMA);
}

const struct config_rule *sess_rule(const struct sess *sess)
{
    const struct sess_rule_mark *mark = &sess->cmd.rule;

    if (mark->number == 0 || mark->generation != rules_generation(sess->env->rules)) {
        return NULL;
    }
    return rules_get(sess->env->rules, mark->number - 1U);
}

const struct config_rule *sess_rule_of(struct sess *sess, const struct facts *facts,
                                       struct span sql)
{
    struct sess_rule_mark mark = {.number = 0};
    struct rule_input in;

    if (has_rules(sess)) {
        mark = find(sess, facts, sql, schema_of(sess), &in);
    }
    return mark.number == 0 ? NULL : rules_get(sess->env->rules, mark.number - 1U);
}

void sess_rule_find(struct sess *sess, const struct facts *facts, struct span sql)
{
    struct rule_input in;

    sess->cmd.rule = (struct sess_rule_mark){.number = 0};
    if (has_rules(sess)) {
        sess->cmd.rule = find(sess, facts, sql, schema_of(sess), &in);
        if (in.has_digest && !sess->cmd.is_large) { /* of a large one it is the beginning's */
            sess->cmd.digest = in.digest;
        }
    }
}

void sess_rule_renew(struct sess *sess, const struct facts *facts, struct span sql)
{
    if (has_rules(sess) && sess->cmd.rule.generation != rules_generation(sess->env->rules)) {
        sess_rule_find(sess, facts, sql);
    }
}

static void log_statement(const struct sess *sess, const struct config_rule *rule,
                          const struct facts *facts, struct span sql)
{
    struct classify_env env;
    struct span user = cred_user(sess->cred);
    uint64_t digest = sess->cmd.digest;

    if (digest == 0) {
        sess_classify_env(sess, &env);
        digest = classify_digest_hash(sql, &env);
    }
    log_info(&sess->log, "rule", "%s: digest %016" PRIx64 ", %s%s, user %.*s, host %s", rule->label,
             digest, classify_verb_name(facts->verb), rule->deny != NULL ? ", denied" : "",
             (int)user.len, (const char *)user.p, sess->host);
}

bool sess_rule_apply(struct sess *sess, const struct facts *facts, struct span sql)
{
    /* what commits is left to end by itself: cut short, nobody could say whether it has */
    const uint64_t spared = FACT(ENDS_TX) | FACT(DDL) | FACT(IMPLICIT_COMMIT);
    const struct config_rule *rule = sess_rule(sess);
    struct span message = {NULL, 0};

    if (rule == NULL) {
        return true;
    }
    if (sess->cmd.com != COM_STMT_PREPARE || rule->deny != NULL) {
        metric_inc(sess->env->metrics, METRIC_RULE_MATCHES,
                   rules_label(sess->env->rules, sess->cmd.rule.number - 1U));
        if (rule->log) {
            log_statement(sess, rule, facts, sql);
        }
        if ((facts->bits & spared) == 0) {
            sess->cmd.timeout_us = rule->timeout_us;
        }
    }
    if (rule->deny == NULL) {
        return true;
    }
    message = span_of(rule->deny);
    sess_fail(sess, SESS_ERR_DENIED, &message, 1);
    return false;
}

/* --- timeout --- */

void sess_rule_timer(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (sess->state != SESS_ST_RELAY || cmd->timeout_us == 0) {
        timer_cancel(&sess->rule_timer);
        return;
    }
    if (cmd->timeout_at_us == 0) { /* it may be sent again elsewhere: that is no new beginning */
        cmd->timeout_at_us = loop_now_us(sess->env->loop) + cmd->timeout_us;
    }
    timer_arm_at(&sess->rule_timer, cmd->timeout_at_us);
}

void sess_rule_on_timer(void *arg)
{
    struct sess *sess = arg;

    if (sess->state != SESS_ST_RELAY || sess->cmd.timeout_us == 0) {
        return;
    }
    if (sess->is_uploading) { /* nothing runs yet */
        timer_arm_in(&sess->rule_timer, sess->cmd.timeout_us);
        return;
    }
    metric_inc(sess->env->metrics, METRIC_RULE_TIMEOUTS, METRIC_NONE);
    log_info(&sess->log, "rule_timeout", "server %s: the statement is ended after %" PRIu64 " ms",
             sess->env->topo->servers[sess->cmd.server].name, sess->cmd.timeout_us / 1000);
    sess->cmd.timeout_us = 0;
    sess_kill_statement(sess);
}
