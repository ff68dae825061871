/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three witnesses, and the worst is believed:
 *
 *   the trail     weir's own notes of where the primary's binary log ended, and when. A replica
 *                 that has applied less than what was there at time t is behind by now - t or
 *                 more. Sees a receiver that hangs (the other two say 0), in weir's own clock.
 *   fine          performance_schema: commit time at the source of what is being applied.
 *   Seconds_Behind  whole seconds; up to one too many, so it counts as one less when the trail
 *                 or fine know better.
 *
 * A receiver that waits for a dead primary would put all replicas out of work just when they are
 * needed: while the primary is down the trail alone decides, because nothing newer than its end is
 * known to anybody.
 */
#include <string.h>

#include "weir/util/fault.h"

#include "lag_priv.h"

#define SECOND_US UINT64_C(1000000)

void lag_trail_init(struct lag_trail *trail)
{
    memset(trail, 0, sizeof(*trail));
}

static bool trail_is_of(const struct lag_trail *trail, const struct sample *primary)
{
    return trail->server_id == primary->server_id && strcmp(trail->uuid, primary->uuid) == 0;
}

void lag_trail_add(struct lag_trail *trail, const struct sample *primary)
{
    struct lag_point *last = NULL;

    if (!trail_is_of(trail, primary)) {
        lag_trail_init(trail);
        trail->server_id = primary->server_id;
        memcpy(trail->uuid, primary->uuid, sizeof(trail->uuid));
    }
    if (primary->written.file_number == 0) {
        return;
    }
    last = trail->count > 0 ? &trail->points[trail->count - 1] : NULL;
    if (last && (!log_place_is_comparable(&last->place, &primary->written) ||
                 log_place_compare(&last->place, &primary->written) > 0)) {
        trail->count = 0; /* its log was begun anew */
        last = NULL;
    }
    if (last && log_place_compare(&last->place, &primary->written) == 0) {
        last->last_seen_us = primary->begin_us;
        return;
    }
    if (trail->count == LAG_TRAIL_MAX) {
        trail->count--;
        memmove(trail->points, trail->points + 1, trail->count * sizeof(trail->points[0]));
    }
    trail->points[trail->count++] = (struct lag_point){
        .place = primary->written,
        .seen_us = primary->begin_us,
        .last_seen_us = primary->begin_us,
    };
}

static bool channel_follows(const struct lag_trail *trail, const struct sample_channel *channel)
{
    if (trail->count == 0) {
        return false;
    }
    if (channel->source_uuid[0] && trail->uuid[0]) {
        return strcmp(channel->source_uuid, trail->uuid) == 0;
    }
    return channel->source_id != 0 && channel->source_id == trail->server_id;
}

/* False: this channel cannot be compared with the trail. has_all_us: see struct sample. */
static bool trail_lag(const struct lag_trail *trail, const struct sample_channel *channel,
                      uint64_t now_us, uint64_t has_all_us, uint64_t *ret_lag_us)
{
    const struct lag_point *newest = NULL;
    uint32_t i = trail->count;

    if (!channel_follows(trail, channel)) {
        return false;
    }
    newest = &trail->points[trail->count - 1];
    if (!log_place_is_comparable(&newest->place, &channel->applied)) {
        return false;
    }
    while (i > 0 && log_place_compare(&trail->points[i - 1].place, &channel->applied) > 0) {
        i--;
    }
    if (i == trail->count) {
        *ret_lag_us = 0;
    } else {
        /* What is missing was written after the log was last seen to end before it. */
        uint64_t since_us = i > 0 ? trail->points[i - 1].last_seen_us : trail->points[0].seen_us;

        if (has_all_us >= newest->seen_us) {
            since_us = now_us; /* the log has not grown since it was asked for */
        } else if (has_all_us > since_us) {
            since_us = has_all_us;
        }
        *ret_lag_us = now_us > since_us ? now_us - since_us : 0;
    }
    return true;
}

static struct lag_verdict channel_judge(const struct lag_trail *trail,
                                        const struct sample_channel *channel, uint64_t now_us,
                                        uint64_t has_all_us, bool is_primary_down,
                                        uint64_t interval_us)
{
    struct lag_verdict verdict = {TOPO_WHY_NONE, TOPO_LAG_UNKNOWN, SECOND_US};
    uint64_t by_trail = 0;
    bool has_trail = trail_lag(trail, channel, now_us, has_all_us, &by_trail);
    uint64_t lag_us = 0;

    if (WR_MUTANT("lag.null")) {
        return (struct lag_verdict){TOPO_WHY_NONE, 0, SECOND_US};
    }
    if (channel->applier != SAMPLE_THREAD_YES) {
        verdict.why = TOPO_WHY_SQL_THREAD;
        return verdict;
    }
    if (channel->receiver != SAMPLE_THREAD_YES) {
        bool is_excused =
            channel->receiver == SAMPLE_THREAD_CONNECTING && is_primary_down && has_trail;

        verdict.why = is_excused ? TOPO_WHY_NONE : TOPO_WHY_IO_THREAD;
        verdict.lag_us = is_excused ? by_trail : TOPO_LAG_UNKNOWN;
        verdict.resolution_us = interval_us;
        return verdict;
    }
    if (!channel->has_seconds) {
        verdict.why = TOPO_WHY_LAG_UNKNOWN;
        return verdict;
    }
    lag_us = channel->behind_us;
    if (has_trail || channel->has_fine) {
        lag_us = lag_us > SECOND_US ? lag_us - SECOND_US : 0;
        verdict.resolution_us = interval_us;
    }
    if (has_trail && by_trail > lag_us) {
        lag_us = by_trail;
    }
    if (channel->has_fine && channel->fine_us > lag_us) {
        lag_us = channel->fine_us;
    }
    verdict.lag_us = lag_us;
    return verdict;
}

struct lag_verdict lag_judge(const struct lag_trail *trail, const struct sample *replica,
                             bool is_primary_down, uint64_t interval_us)
{
    struct lag_verdict worst = {TOPO_WHY_NO_REPLICATION, TOPO_LAG_UNKNOWN, SECOND_US};

    if (replica->has_more_channels) {
        worst.why = TOPO_WHY_LAG_UNKNOWN;
        return worst;
    }
    for (uint8_t i = 0; i < replica->channel_count; i++) {
        struct lag_verdict one = channel_judge(trail, &replica->channels[i], replica->begin_us,
                                               replica->has_all_us, is_primary_down, interval_us);

        if (one.why != TOPO_WHY_NONE) {
            return one;
        }
        if (i == 0 || one.lag_us > worst.lag_us) {
            worst.lag_us = one.lag_us;
        }
        if (i == 0 || one.resolution_us > worst.resolution_us) {
            worst.resolution_us = one.resolution_us;
        }
        worst.why = TOPO_WHY_NONE;
    }
    return worst;
}
