/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/judge.h"

#include "weir/util/duration.h"

#define UNSAID UINT64_MAX /* of a rule's settings: nothing is said */

static bool has_hint(const struct cache_ask *ask, enum classify_hint hint)
{
    return (ask->facts->hints & HINT_BIT(hint)) != 0;
}

static bool rule_says(const struct cache_ask *ask)
{
    return ask->rule != NULL && ask->rule->cache_us != UNSAID;
}

/* Who asks, and for how long. False: nobody does. */
static bool take_wish(const struct cache_ask *ask, struct cache_plan *plan)
{
    bool is_hinted = has_hint(ask, HINT_CACHE);

    if (rule_says(ask) && ask->rule->cache_us == 0) {
        return false; /* the operator's word, whatever a client wants */
    }
    if (!is_hinted && !rule_says(ask)) {
        return false;
    }
    plan->is_hinted = is_hinted;
    plan->ttl_us = rule_says(ask) ? ask->rule->cache_us : ask->conf->ttl_us;
    if (!is_hinted) {
        return true;
    }
    if (!ask->conf->hints) {
        plan->is_hinted = false;
        plan->pass = rule_says(ask) ? CACHE_PASS_NONE : CACHE_PASS_HINTS_OFF;
    } else if (ask->facts->hint[HINT_CACHE].len != 0 &&
               (!duration_parse_hint(ask->facts->hint[HINT_CACHE], CACHE_TTL_MAX_US,
                                     &plan->ttl_us) ||
                plan->ttl_us == 0)) {
        plan->pass = CACHE_PASS_OTHER;
    }
    return true;
}

static void take_settings(const struct cache_ask *ask, struct cache_plan *plan)
{
    const struct config_rule *rule = ask->rule;

    plan->coherence = ask->conf->coherence;
    plan->revalidate_us = ask->conf->stale_while_revalidate_us;
    plan->error_us = ask->conf->stale_if_error_us;
    plan->max_entry = ask->conf->max_entry_bytes;
    plan->share = (struct span){NULL, 0};
    plan->tags = NULL;
    plan->match = NULL;
    plan->match_caseless = false;
    plan->is_by_row = false;
    if (rule == NULL) {
        return;
    }
    if (rule->cache_coherence != CONFIG_RULE_COHERENCE_DEFAULT) {
        plan->coherence = (enum config_coherence)(rule->cache_coherence - 1);
    }
    plan->is_by_row = rule->cache_scope == CONFIG_CACHE_SCOPE_ROW;
    if (rule->cache_share != NULL) {
        plan->share = span_of(rule->cache_share);
    }
    if (rule->cache_tags.count != 0) {
        plan->tags = &rule->cache_tags;
        plan->match = rule->match;
        plan->match_caseless = rule->match_caseless;
    }
    if (rule->cache_max_entry_bytes != 0) {
        plan->max_entry = rule->cache_max_entry_bytes;
    }
    if (rule->cache_stale_while_revalidate_us != UNSAID) {
        plan->revalidate_us = rule->cache_stale_while_revalidate_us;
    }
    if (rule->cache_stale_if_error_us != UNSAID) {
        plan->error_us = rule->cache_stale_if_error_us;
    }
}

static enum cache_pass judge_statement(const struct facts *facts)
{
    if ((facts->bits & FACT(LARGE)) != 0) {
        return CACHE_PASS_TOO_LARGE;
    }
    if ((facts->bits & FACT(READ)) == 0 || facts->verb != VERB_SELECT) {
        return CACHE_PASS_NOT_A_READ;
    }
    if ((facts->bits & (FACT(USER_VARIABLE) | FACT(SYSTEM_VARIABLE))) != 0) {
        return CACHE_PASS_USER_VARIABLE;
    }
    if ((facts->bits & (FACT(UNCACHEABLE) | FACT(PER_SERVER) | FACT(FOUND_ROWS) | FACT(LAST) |
                        FACT(ASKS_LAST) | FACT(LAST_INSERT_ID) | FACT(CALLS))) != 0) {
        return CACHE_PASS_NOT_REPEATABLE;
    }
    return CACHE_PASS_NONE;
}

static enum cache_pass judge_session(const struct cache_ask *ask, enum config_coherence coherence)
{
    if (ask->in_tx) {
        return CACHE_PASS_TRANSACTION;
    }
    if (ask->is_pinned) {
        return CACHE_PASS_PINNED;
    }
    if (ask->autocommit_off) {
        return CACHE_PASS_AUTOCOMMIT_OFF;
    }
    if (ask->isolation != TOPO_ISO_READ_COMMITTED && ask->isolation != TOPO_ISO_REPEATABLE_READ) {
        return CACHE_PASS_ISOLATION;
    }
    if (ask->has_long_data) {
        return CACHE_PASS_LONG_DATA;
    }
    if (ask->is_cursor) {
        return CACHE_PASS_CURSOR;
    }
    if (coherence == CONFIG_COHERENCE_BINLOG && !ask->is_heard) {
        return CACHE_PASS_STREAM;
    }
    return CACHE_PASS_NONE;
}

bool cache_judge(const struct cache_ask *ask, struct cache_plan *ret_plan)
{
    ret_plan->pass = CACHE_PASS_NONE;
    if (!take_wish(ask, ret_plan)) {
        return false;
    }
    take_settings(ask, ret_plan);
    if (has_hint(ask, HINT_NO_CACHE) || has_hint(ask, HINT_PRIMARY) || has_hint(ask, HINT_SERVER)) {
        ret_plan->pass = CACHE_PASS_NO_CACHE_HINT;
    }
    if (ret_plan->pass == CACHE_PASS_NONE) {
        ret_plan->pass = judge_statement(ask->facts);
    }
    if (ret_plan->pass == CACHE_PASS_NONE) {
        ret_plan->pass = judge_session(ask, ret_plan->coherence);
    }
    return true;
}

const char *cache_pass_text(enum cache_pass pass)
{
    static const char *const texts[] = {
#define X(name, text) text,
        CACHE_PASSES(X)
#undef X
    };

    return pass < CACHE_PASS_NONE ? texts[pass] : "";
}
