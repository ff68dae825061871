/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/explain.h"

#include <inttypes.h>
#include <stdio.h>

#include "weir/cache/cache.h"
#include "weir/cache/row.h"
#include "weir/cache/writes.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

static enum cache_pass pass_of(enum cache_lease_why why)
{
    switch (why) {
    case CACHE_LEASE_OK:
        return CACHE_PASS_NONE;
    case CACHE_LEASE_CATALOGUE:
    case CACHE_LEASE_TABLE:
    case CACHE_LEASE_ENGINE:
        return CACHE_PASS_TABLE;
    case CACHE_LEASE_VIEW:
        return CACHE_PASS_VIEW;
    case CACHE_LEASE_NAMES:
        return CACHE_PASS_NAMES;
    case CACHE_LEASE_TOO_MANY:
        return CACHE_PASS_TOO_MANY_TABLES;
    case CACHE_LEASE_FUNCTION:
        return CACHE_PASS_NOT_REPEATABLE;
    case CACHE_LEASE_END_:
        break;
    }
    return CACHE_PASS_OTHER;
}

enum cache_pass cache_take_lease(const struct cache *cache, const struct cache_plan *plan,
                                 const struct cache_lease_in *in, struct version_lease *ret_lease,
                                 struct cache_row *ret_row)
{
    struct cache_row row;

    version_lease_begin(cache->board, ret_lease);
    if (plan->tags != NULL) {
        int r = cache_tags_lease(cache->board, ret_lease, plan->tags, &in->statement);

        if (r < 0) { /* whoever ends the tag that it should have would miss it */
            return r == -WR_E_LIMIT ? CACHE_PASS_TOO_MANY_TABLES : CACHE_PASS_TAG;
        }
    }
    if (plan->coherence == CONFIG_COHERENCE_TTL) {
        return CACHE_PASS_NONE;
    }
    if (plan->is_by_row && cache_row_lease(cache->board, in, ret_lease, &row)) {
        if (ret_row != NULL) {
            *ret_row = row;
        }
        return CACHE_PASS_NONE;
    }
    return pass_of(cache_lease_add_read(cache->board, ret_lease, in->catalogue, in->ddl_seen,
                                        in->statement.facts, in->schema));
}

static const char *redis_text(const struct cache_ask *ask, const struct cache_plan *plan)
{
    if (!ask->conf->redis) {
        return "";
    }
    return plan->coherence == CONFIG_COHERENCE_OWN
               ? "; not in Redis: nobody tells what other weirs write (coherence own)"
               : "; also in Redis";
}

static void explain_kept(const struct cache_ask *ask, const struct cache_plan *plan,
                         const struct cache_row *row, char *dst, size_t cap)
{
    static const char *const names[] = {
        [CONFIG_COHERENCE_BINLOG] = "binlog",
        [CONFIG_COHERENCE_OWN] = "own",
        [CONFIG_COHERENCE_TTL] = "ttl",
    };

    int len = snprintf(dst, cap, "kept for %" PRIu64 " ms at most, coherence %s, by %s%s%s",
                       plan->ttl_us / CLOCK_US_PER_MS, names[plan->coherence],
                       plan->is_hinted ? "a hint" : "rule ",
                       plan->is_hinted ? "" : ask->rule->label, redis_text(ask, plan));

    if (!plan->is_by_row || plan->coherence == CONFIG_COHERENCE_TTL || len < 0 ||
        (size_t)len >= cap) {
        return;
    }
    if (row->column[0] != '\0') {
        (void)snprintf(dst + len, cap - (size_t)len, ", ended by writes to rows with %s = %s",
                       row->column, row->value);
    } else {
        (void)snprintf(dst + len, cap - (size_t)len,
                       ", ended by any write: its rows are not proven");
    }
}

static const char *deaf_text(const struct cache_stream *stream)
{
    enum cache_stream_state state = cache_stream_state(stream);

    return state == CACHE_STREAM_READING ? "nothing has come from it lately"
                                         : cache_stream_state_text(state);
}

static void explain_write(const struct cache_ask *ask, const struct cache_lease_in *in, char *dst,
                          size_t cap)
{
    const struct config_rule *rule = ask->rule;
    bool is_purging = rule != NULL && rule->cache_purge.count + rule->cache_refresh.count != 0;
    const struct cache_writes_in writes = {.sql = in->statement.sql,
                                           .env = in->statement.env,
                                           .facts = ask->facts,
                                           .catalogue = in->catalogue,
                                           .ddl_seen = in->ddl_seen,
                                           .schema = in->schema,
                                           .values = &in->statement};
    struct cache_row row;
    int len = 0;

    if (ask->conf->has_rows && cache_row_explain(&writes, &row)) {
        len = snprintf(dst, cap, "a write to rows with %s = %s", row.column, row.value);
    } else {
        len = snprintf(dst, cap, "a write to whole tables");
    }
    if (is_purging && len > 0 && (size_t)len < cap) {
        (void)snprintf(dst + len, cap - (size_t)len, "; ends answers by tags of rule %s%s",
                       rule->label,
                       rule->cache_refresh.count != 0 ? ", which are asked for anew" : "");
    }
}

static bool is_write(const struct facts *facts)
{
    return facts->verb == VERB_UPDATE || facts->verb == VERB_DELETE || facts->verb == VERB_INSERT ||
           facts->verb == VERB_REPLACE;
}

void cache_explain(const struct cache *cache, const struct cache_ask *ask,
                   const struct cache_lease_in *in, char *dst, size_t cap)
{
    struct version_lease lease;
    struct cache_row row = {.column = ""};
    struct cache_plan plan;

    if (cache == NULL) {
        (void)snprintf(dst, cap, "off (cache.memory)");
        return;
    }
    if (is_write(ask->facts)) {
        explain_write(ask, in, dst, cap);
        return;
    }
    if (!cache_judge(ask, &plan)) {
        (void)snprintf(dst, cap, "not asked for");
        return;
    }
    if (plan.pass == CACHE_PASS_NONE) {
        plan.pass = cache_take_lease(cache, &plan, in, &lease, &row);
    }
    if (plan.pass != CACHE_PASS_NONE) {
        bool is_deaf = plan.pass == CACHE_PASS_STREAM;

        (void)snprintf(dst, cap, "not kept: %s%s%s", cache_pass_text(plan.pass),
                       is_deaf ? ": " : "", is_deaf ? deaf_text(&cache->stream) : "");
        return;
    }
    explain_kept(ask, &plan, &row, dst, cap);
}
