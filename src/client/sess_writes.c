/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the session writes, for the cache. Noted statement by statement; told when it can become visible:
 * from just before that statement is sent until it has been answered no entry that depends on it is good,
 * and none from before is afterwards. What is rolled back is never told.
 *
 * When the answer does not come, the write may still happen: nothing that depends on it is good for as
 * long as reads of it would go to the primary.
 */
#include <stdlib.h>

#include "weir/cache/writes.h"
#include "weir/config/config.h"
#include "weir/util/clock.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"
#include "sess_renew_priv.h"
#include "sess_stmt_priv.h"

/* Of an answer that did not come. */
struct held_writes {
    struct list_node node;
    struct version_writes writes;
    uint64_t until_us;
};

static struct version_writes *need(struct sess *sess)
{
    if (sess->writes == NULL) {
        sess->writes = calloc(1, sizeof(*sess->writes));
        if (sess->writes == NULL) {
            sess_close(sess, "no memory for what it writes");
        }
    }
    return sess->writes;
}

void sess_writes_note_all(struct sess *sess)
{
    struct version_writes *writes = need(sess);

    if (writes != NULL) {
        version_writes_add_all(writes);
    }
}

/* Values that came otherwise than with the statement are not looked at. */
static bool has_values(const struct sess_question *question)
{
    const struct stmt *stmt = question->stmt;

    return stmt != NULL && question->execute != NULL && stmt->has_types && !stmt->is_data_sent &&
           buf_len(&stmt->data) == 0;
}

static int on_group(const void *arg, const struct config_rule *rule, struct span sql,
                    struct span name, struct span *ret_text)
{
    const struct sess_set *set = arg;

    return rules_group(set->env->rules, set->rule_scratch, rule, sql, name, ret_text);
}

void sess_tag_in(const struct sess *sess, const struct sess_question *question,
                 const struct config_rule *rule, struct classify_env *env,
                 struct cache_tag_in *ret_in)
{
    sess_classify_env(sess, env);
    *ret_in = (struct cache_tag_in){
        .rule = rule,
        .group = on_group,
        .group_arg = sess->set,
        .sql = question->sql,
        .env = env,
        .facts = question->facts,
    };
    if (has_values(question)) {
        ret_in->execute = question->execute;
        ret_in->params = question->stmt->params;
        ret_in->types = (struct span){question->stmt->types, (size_t)question->stmt->params * 2};
    }
}

/* What its rule says that it ends, beside its tables. */
static void note_tags(struct sess *sess, const struct sess_question *question,
                      struct version_writes *writes)
{
    const struct config_rule *rule = sess_rule(sess);
    struct classify_env env;
    struct cache_tag_in in;

    sess_renew_tags(sess, question);
    if (rule == NULL || rule->cache_purge.count + rule->cache_refresh.count == 0 ||
        writes->is_all) {
        return;
    }
    sess_tag_in(sess, question, rule, &env, &in);
    cache_tags_write(writes, &rule->cache_purge, &in);
    cache_tags_write(writes, &rule->cache_refresh, &in);
}

void sess_writes_note(struct sess *sess, const struct sess_question *question)
{
    const struct facts *facts = question->facts;
    struct cache_tag_in values;
    struct classify_env env;
    struct version_writes *writes = NULL;

    if ((facts->bits & FACT(READ)) != 0 && !sess->cmd.may_write) {
        return;
    }
    writes = need(sess);
    if (writes == NULL) {
        return;
    }
    if (facts->verb == VERB_XA) {
        version_writes_add_all(writes); /* a transaction that another session may have begun */
        return;
    }
    sess_tag_in(sess, question, sess_rule(sess), &env, &values);
    cache_writes_add(writes, &(struct cache_writes_in){
                                 .sql = question->sql,
                                 .env = &env,
                                 .facts = facts,
                                 .catalogue = sess->env->catalogue,
                                 .ddl_seen = catalogue_ddl_seen(),
                                 .schema = question->schema,
                                 .has_temporary = (sess->pins & PIN_BIT(PIN_TEMP_TABLE)) != 0,
                                 .values = sess->env->config->cache.has_rows ? &values : NULL,
                             });
    note_tags(sess, question, writes);
}

/* Behind it something written before may be seen by others. */
static bool may_show(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;
    const uint64_t shows = FACT(ENDS_TX) | FACT(STARTS_TX) | FACT(IMPLICIT_COMMIT) | FACT(DDL) |
                           FACT(MULTI) | FACT(LARGE) | FACT(SET_AUTOCOMMIT) | FACT(BAD_LEX) |
                           FACT(OVERFLOW) | FACT(ADMIN) | FACT(SET_GLOBAL);

    if (!sess->tx_open && !sess->autocommit_off) {
        return true;
    }
    if ((cmd->bits & shows) != 0 || WR_MUTANT("cache.invalidate_early")) {
        return true;
    }
    switch (cmd->verb) {
    case VERB_CALL:
    case VERB_EXECUTE:
    case VERB_COMPOUND:
    case VERB_XA:
    case VERB_UNKNOWN:
    case VERB_LOCK:
    case VERB_UNLOCK:
        return true;
    default:
        return false;
    }
}

static bool is_rollback(const struct sess *sess)
{
    return sess->cmd.verb == VERB_ROLLBACK && (sess->cmd.bits & FACT(ENDS_TX)) != 0 &&
           (sess->cmd.bits & FACT(MULTI)) == 0;
}

void sess_writes_begin(struct sess *sess)
{
    struct version_writes *writes = sess->writes;

    if (writes == NULL || writes->is_under || version_writes_is_empty(writes) ||
        sess->cmd.com == COM_STMT_PREPARE || is_rollback(sess) || !may_show(sess)) {
        return;
    }
    version_write_begin(sess->env->cache->board, writes);
    if (WR_MUTANT("cache.invalidate_early")) {
        version_write_end(sess->env->cache->board, writes, loop_now_us(sess->env->loop));
    }
}

static enum metric_source source_of(const struct sess *sess)
{
    if (sess->writes->is_all) {
        return METRIC_SOURCE_ALL;
    }
    return (sess->cmd.bits & FACT(DDL)) != 0 ? METRIC_SOURCE_DEFINITION : METRIC_SOURCE_OWN;
}

void sess_writes_end(struct sess *sess)
{
    struct version_writes *writes = sess->writes;
    struct version_writes still = *writes;

    if (writes->is_under && sess->cmd.is_void && !sess->tx_open && !sess->autocommit_off) {
        version_write_undo(sess->env->cache->board, writes);
        sess_renew_forget(sess);
    } else if (writes->is_under) {
        metric_inc(sess->env->metrics, METRIC_CACHE_INVALIDATIONS, source_of(sess));
        /* not the loop's time, which is older: marks are compared with it (marks.h) */
        version_write_end(sess->env->cache->board, writes, clock_now_us());
        if (sess->tx_open) { /* it might have been shown, and was not: its COMMIT is to come */
            *writes = still;
            writes->is_under = false;
        } else {
            sess_renew_fire(sess);
        }
    } else if (is_rollback(sess) && !sess->cmd.got_err) {
        *writes = (struct version_writes){.count = 0};
        sess_renew_forget(sess);
    }
}

static void on_timer(void *arg)
{
    struct sess_set *set = arg;
    struct list_node *node = NULL;

    while ((node = list_first(&set->held_writes)) != NULL) {
        struct held_writes *held = list_entry(node, struct held_writes, node);

        if (held->until_us > loop_now_us(set->env->loop)) {
            timer_arm_at(&set->writes_timer, held->until_us);
            return;
        }
        list_remove(node);
        version_write_end(set->env->cache->board, &held->writes, loop_now_us(set->env->loop));
        free(held);
    }
}

/* The statement that would show it has no answer. */
static void hold(struct sess *sess)
{
    struct sess_set *set = sess->set;
    struct held_writes *held = calloc(1, sizeof(*held));
    uint64_t now_us = loop_now_us(sess->env->loop);

    if (held == NULL) { /* then nothing that depends on it is good any more, for ever */
        *sess->writes = (struct version_writes){.count = 0};
        return;
    }
    held->writes = *sess->writes;
    held->until_us = now_us + guard_window_us(sess->env->board, &set->route_conf);
    *sess->writes = (struct version_writes){.count = 0};
    list_push(&set->held_writes, &held->node);
    if (!timer_is_armed(&set->writes_timer)) {
        timer_arm_at(&set->writes_timer, held->until_us);
    }
}

void sess_writes_lost(struct sess *sess)
{
    struct version_writes *writes = sess->writes;

    if (writes == NULL) {
        return;
    }
    if (writes->is_under) {
        hold(sess);
    } else {
        *writes = (struct version_writes){.count = 0};
    }
    sess_renew_forget(sess);
}

void sess_writes_forget(struct sess *sess)
{
    sess_writes_lost(sess);
    sess_renew_forget(sess);
    free(sess->writes);
    sess->writes = NULL;
}

void sess_writes_init(struct sess_set *set)
{
    list_init(&set->held_writes);
    timer_init(&set->writes_timer, set->env->loop, on_timer, set);
}

void sess_writes_fini(struct sess_set *set)
{
    list_for_each_safe (node, &set->held_writes) {
        struct held_writes *held = list_entry(node, struct held_writes, node);

        list_remove(node);
        version_write_end(set->env->cache->board, &held->writes, loop_now_us(set->env->loop));
        free(held);
    }
    timer_cancel(&set->writes_timer);
}
