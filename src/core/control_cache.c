/* SPDX-License-Identifier: Apache-2.0 */
/* The cache, as the control thread sees it: a change of primary, and numbers. */
#include <inttypes.h>

#include "weir/backend/topo.h"
#include "weir/cache/cache.h"
#include "weir/util/clock.h"
#include "weir/util/metric.h"

#include "control_priv.h"

static struct cache *cache_of(const struct control *control)
{
    return control->house == NULL ? NULL : control->house->cache;
}

/*
 * Answers may show what the primary before had and this one has not. Nothing is done while there is
 * none: nobody writes then, and what is kept may be all that there is to give. A primary that comes
 * back counts as another one, for it may have lost its last transactions when it fell.
 */
void control_cache_topo(struct control *control, const struct topo *topo)
{
    struct cache *cache = cache_of(control);
    uint64_t before = control->cache_epoch;
    uint64_t answers = 0;

    if (topo_primary(topo) == NULL || topo->epoch == before) {
        return;
    }
    control->cache_epoch = topo->epoch;
    if (cache == NULL) {
        return;
    }
    if (before != 0) {
        cache_note_purge(cache);
    }
    answers = cache_flush(cache, clock_now_us());
    metric_inc(control->metrics, METRIC_CACHE_INVALIDATIONS, METRIC_SOURCE_PRIMARY);
    log_info(&control->log, "cache_flushed",
             "%s is the primary (epoch %" PRIu64 "): %" PRIu64 " answers from before dropped",
             topo_primary(topo)->name, topo->epoch, answers);
}

void control_cache_gauges(struct control *control)
{
    struct cache *cache = cache_of(control);
    struct metric_shard *metrics = control->metrics;
    struct cache_stats stats;

    if (cache == NULL) {
        return;
    }
    cache_memory_stats(cache->memory, &stats);
    metric_set(metrics, METRIC_CACHE_HEARS, METRIC_NONE,
               cache_stream_is_heard(&cache->stream, clock_now_us()));
    metric_set(metrics, METRIC_CACHE_ENTRIES, METRIC_NONE, (int64_t)stats.entries);
    metric_set(metrics, METRIC_CACHE_BYTES, METRIC_NONE, (int64_t)stats.bytes);
    metric_set(metrics, METRIC_CACHE_INSERTED, METRIC_NONE, (int64_t)stats.inserted);
    metric_set(metrics, METRIC_CACHE_REPLACED, METRIC_NONE, (int64_t)stats.replaced);
    metric_set(metrics, METRIC_CACHE_EVICTED, METRIC_NONE, (int64_t)stats.evicted);
    metric_set(metrics, METRIC_CACHE_DROPPED, METRIC_NONE, (int64_t)stats.dropped);
    metric_set(metrics, METRIC_CACHE_RETURNED, METRIC_NONE, (int64_t)stats.returned);
    metric_set(metrics, METRIC_CACHE_REFUSED, METRIC_NONE, (int64_t)stats.refused);
}
