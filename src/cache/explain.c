/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/explain.h"

#include <inttypes.h>
#include <stdio.h>

#include "weir/cache/cache.h"
#include "weir/cache/writes.h"
#include "weir/util/clock.h"

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

enum cache_pass cache_take_lease(const struct cache *cache, enum config_coherence coherence,
                                 const struct catalogue *catalogue, uint64_t ddl_seen,
                                 const struct facts *facts, struct span schema,
                                 struct version_lease *ret_lease)
{
    version_lease_begin(cache->board, ret_lease);
    if (coherence == CONFIG_COHERENCE_TTL) {
        return CACHE_PASS_NONE;
    }
    return pass_of(
        cache_lease_add_read(cache->board, ret_lease, catalogue, ddl_seen, facts, schema));
}

static void explain_kept(const struct cache_ask *ask, const struct cache_plan *plan, char *dst,
                         size_t cap)
{
    static const char *const names[] = {
        [CONFIG_COHERENCE_BINLOG] = "binlog",
        [CONFIG_COHERENCE_OWN] = "own",
        [CONFIG_COHERENCE_TTL] = "ttl",
    };

    (void)snprintf(dst, cap, "kept for %" PRIu64 " ms at most, coherence %s, by %s%s",
                   plan->ttl_us / CLOCK_US_PER_MS, names[plan->coherence],
                   plan->is_hinted ? "a hint" : "rule ", plan->is_hinted ? "" : ask->rule->label);
}

void cache_explain(const struct cache *cache, const struct cache_ask *ask,
                   const struct catalogue *catalogue, uint64_t ddl_seen, struct span schema,
                   char *dst, size_t cap)
{
    struct version_lease lease;
    struct cache_plan plan;

    if (cache == NULL) {
        (void)snprintf(dst, cap, "off (cache.memory)");
        return;
    }
    if (!cache_judge(ask, &plan)) {
        (void)snprintf(dst, cap, "not asked for");
        return;
    }
    if (plan.pass == CACHE_PASS_NONE) {
        plan.pass = cache_take_lease(cache, plan.coherence, catalogue, ddl_seen, ask->facts, schema,
                                     &lease);
    }
    if (plan.pass != CACHE_PASS_NONE) {
        (void)snprintf(dst, cap, "not kept: %s", cache_pass_text(plan.pass));
        return;
    }
    explain_kept(ask, &plan, dst, cap);
}
