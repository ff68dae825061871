/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four witnesses, and the worst is believed:
 *
 *   the log       weir's own notes of where the primary's binary log ended, and when. A replica
 *                 that has applied less than what was there at time t is behind by now - t or
 *                 more. Sees a receiver that hangs (the next two say 0), in weir's own clock.
 *   performance_schema  commit time at the source of what is being applied.
 *   Seconds_Behind  whole seconds; up to one too many, so it counts as one less when another
 *                 knows better.
 *   heartbeat     rows of a table that something on the primary renews. Where the log's places
 *                 cannot be compared, and through replicas of replicas.
 *
 * Where the log's places cannot be compared, for the replica follows another server, its GTIDs are: which
 * it was seen to lack, and since when. One that follows somebody else's primary lacks them for good.
 *
 * A heartbeat's stamp is only compared with the primary's stamps of the same row, which one clock
 * wrote; how long ago that was comes from weir's notes of them. So neither time zones nor clocks
 * that differ look like lag. A row that stands still on the primary says nothing.
 *
 * A receiver that waits for a dead primary would put all replicas out of work just when they are
 * needed: while the primary is down the notes alone decide, because nothing newer than their end is
 * known to anybody.
 *
 * A reader of Aurora replicates nothing that could be looked at: its storage says how far it is.
 */
#include <string.h>

#include "weir/util/fault.h"

#include "lag_priv.h"

#define SECOND_US UINT64_C(1000000)
/* A copy may be ahead of the primary's newest note by what was written since. One that is further
 * ahead comes from another count: a clock that was set back, the hour that comes twice. */
#define BEAT_AHEAD_US (10 * SECOND_US)

/* One judgement under way; borrowed for the call. */
struct judging {
    const struct lag_trail *trail;
    const struct sample *replica;
    uint64_t now_us;
    bool is_primary_down;
    uint64_t interval_us;
    bool has_beat;
    uint64_t beat_us;
};

void lag_trail_init(struct lag_trail *trail)
{
    memset(trail, 0, sizeof(*trail));
}

static bool trail_is_of(const struct lag_trail *trail, const struct sample *primary)
{
    return trail->server_id == primary->server_id && strcmp(trail->uuid, primary->uuid) == 0;
}

static struct lag_beats *beats_find(struct lag_trail *trail, uint64_t key)
{
    for (uint8_t i = 0; i < trail->beat_count; i++) {
        if (trail->beats[i].key == key) {
            return &trail->beats[i];
        }
    }
    return NULL;
}

static void beats_add(struct lag_trail *trail, const struct sample_beat *beat, uint64_t at_us)
{
    struct lag_beats *beats = beats_find(trail, beat->key);

    if (!beats) {
        if (trail->beat_count == SAMPLE_BEATS_MAX) {
            return;
        }
        beats = &trail->beats[trail->beat_count++];
        memset(beats, 0, sizeof(*beats));
        beats->key = beat->key;
    } else if (notes_newest(&beats->notes)->minor != beat->stamp_us) {
        beats->has_moved = true;
    }
    notes_add(&beats->notes, 0, beat->stamp_us, at_us);
}

void lag_trail_add(struct lag_trail *trail, const struct sample *primary)
{
    const struct log_place *written = &primary->written;

    if (!trail_is_of(trail, primary)) {
        lag_trail_init(trail);
        trail->server_id = primary->server_id;
        memcpy(trail->uuid, primary->uuid, sizeof(trail->uuid));
        trail->begin_us = primary->begin_us;
    }
    trail->last_us = primary->begin_us;
    for (uint8_t i = 0; i < primary->heartbeat.count; i++) {
        beats_add(trail, &primary->heartbeat.beats[i], primary->begin_us);
    }
    if (written->file_number == 0) {
        return;
    }
    if (strcmp(trail->base, written->base) != 0) {
        trail->log.count = 0;
        memcpy(trail->base, written->base, sizeof(trail->base));
    }
    notes_add(&trail->log, written->file_number, written->offset, primary->begin_us);
}

static bool beats_are_alive(const struct lag_trail *trail, const struct lag_beats *beats)
{
    return beats->has_moved &&
           notes_newest(&beats->notes)->seen_us + LAG_BEAT_STALE_US >= trail->last_us;
}

bool lag_trail_is_beating(const struct lag_trail *trail)
{
    for (uint8_t i = 0; i < trail->beat_count; i++) {
        if (beats_are_alive(trail, &trail->beats[i])) {
            return true;
        }
    }
    return false;
}

/* How long ago it was that something which the replica lacks was written. */
static uint64_t behind_us(const struct judging *j, const struct notes *notes, uint64_t since_us)
{
    uint64_t has_all_us = j->replica->has_all_us;

    if (has_all_us >= notes_newest(notes)->seen_us) {
        return 0; /* nothing has been added since it was asked for */
    }
    if (has_all_us > since_us) {
        since_us = has_all_us;
    }
    return j->now_us > since_us ? j->now_us - since_us : 0;
}

/* False: this row says nothing of this replica. */
static bool beat_lag(const struct judging *j, const struct lag_beats *beats,
                     const struct sample_beat *copy, uint64_t *ret_lag_us)
{
    const struct note *newest = notes_newest(&beats->notes);
    uint64_t since_us = 0;
    uint64_t lag_us = 0;
    bool is_older = false;

    if (!beats_are_alive(j->trail, beats) || copy->stamp_us > newest->minor + BEAT_AHEAD_US) {
        return false;
    }
    if (notes_is_behind(&beats->notes, 0, copy->stamp_us, &since_us, &is_older)) {
        lag_us = behind_us(j, &beats->notes, since_us);
        /* Before weir's time: the stamps themselves are the better word. */
        if (is_older && lag_us > 0 && newest->minor - copy->stamp_us > lag_us) {
            lag_us = newest->minor - copy->stamp_us;
        }
    }
    *ret_lag_us = lag_us;
    return true;
}

static void beats_judge(struct judging *j)
{
    const struct sample_heartbeat *heartbeat = &j->replica->heartbeat;

    for (uint8_t i = 0; i < j->trail->beat_count; i++) {
        for (uint8_t k = 0; k < heartbeat->count; k++) {
            uint64_t lag_us = 0;

            if (heartbeat->beats[k].key == j->trail->beats[i].key &&
                beat_lag(j, &j->trail->beats[i], &heartbeat->beats[k], &lag_us)) {
                j->has_beat = true;
                j->beat_us = lag_us > j->beat_us ? lag_us : j->beat_us;
            }
        }
    }
}

static bool channel_follows(const struct lag_trail *trail, const struct sample_channel *channel)
{
    if (channel->source_uuid[0] && trail->uuid[0]) {
        return strcmp(channel->source_uuid, trail->uuid) == 0;
    }
    return channel->source_id != 0 && channel->source_id == trail->server_id;
}

/* False: this channel cannot be compared with the primary's log. */
static bool log_lag(const struct judging *j, const struct sample_channel *channel,
                    uint64_t *ret_lag_us)
{
    const struct log_place *applied = &channel->applied;
    uint64_t since_us = 0;
    bool is_older = false;

    if (!channel_follows(j->trail, channel) || !notes_newest(&j->trail->log) ||
        applied->file_number == 0 || strcmp(applied->base, j->trail->base) != 0) {
        return false;
    }
    *ret_lag_us =
        notes_is_behind(&j->trail->log, applied->file_number, applied->offset, &since_us, &is_older)
            ? behind_us(j, &j->trail->log, since_us)
            : 0;
    return true;
}

static struct lag_verdict verdict_unknown(enum topo_why why, uint64_t resolution_us)
{
    struct lag_verdict verdict = {.why = why,
                                  .lag_us = TOPO_LAG_UNKNOWN,
                                  .resolution_us = resolution_us,
                                  .source = TOPO_LAG_BY_NONE};

    for (size_t i = 0; i < TOPO_LAG_SOURCE_COUNT; i++) {
        verdict.by_us[i] = TOPO_LAG_UNKNOWN;
    }
    return verdict;
}

/* One more word; in case of a tie the first that was heard counts. */
static void verdict_hear(struct lag_verdict *verdict, enum topo_lag_source source, uint64_t lag_us)
{
    if (verdict->by_us[source] == TOPO_LAG_UNKNOWN || lag_us > verdict->by_us[source]) {
        verdict->by_us[source] = lag_us;
    }
    if (verdict->lag_us == TOPO_LAG_UNKNOWN || lag_us > verdict->lag_us) {
        verdict->lag_us = lag_us;
        verdict->source = source;
    }
}

static struct lag_verdict channel_judge(const struct judging *j,
                                        const struct sample_channel *channel)
{
    struct lag_verdict verdict = verdict_unknown(TOPO_WHY_NONE, SECOND_US);
    /* Of several channels only the primary's own is told by the primary's rows; a single one brings
     * them, however many servers lie between. */
    bool has_beat =
        j->has_beat && (j->replica->channel_count == 1 || channel_follows(j->trail, channel));
    uint64_t log_us = 0;
    bool has_log = log_lag(j, channel, &log_us);
    uint64_t seconds_us = channel->behind_us;

    if (WR_MUTANT("lag.null")) {
        verdict_hear(&verdict, TOPO_LAG_BY_LOG, 0);
        return verdict;
    }
    if (channel->applier != SAMPLE_THREAD_YES) {
        return verdict_unknown(TOPO_WHY_SQL_THREAD, SECOND_US);
    }
    if (has_beat) {
        verdict_hear(&verdict, TOPO_LAG_BY_HEARTBEAT, j->beat_us);
    }
    if (has_log) {
        verdict_hear(&verdict, TOPO_LAG_BY_LOG, log_us);
    }
    if (channel->receiver != SAMPLE_THREAD_YES) {
        verdict.resolution_us = j->interval_us;
        return channel->receiver == SAMPLE_THREAD_CONNECTING && j->is_primary_down &&
                       (has_log || has_beat)
                   ? verdict
                   : verdict_unknown(TOPO_WHY_IO_THREAD, j->interval_us);
    }
    if (!channel->has_seconds) {
        return verdict_unknown(TOPO_WHY_LAG_UNKNOWN, SECOND_US);
    }
    if (channel->has_fine) {
        verdict_hear(&verdict, TOPO_LAG_BY_SCHEMA, channel->fine_us);
    }
    if (has_log || has_beat || channel->has_fine) {
        seconds_us = seconds_us > SECOND_US ? seconds_us - SECOND_US : 0;
        verdict.resolution_us = j->interval_us;
    }
    verdict_hear(&verdict, TOPO_LAG_BY_SECONDS, seconds_us);
    return verdict;
}

static struct lag_verdict aurora_judge(const struct judging *j)
{
    const struct sample_aurora *aurora = &j->replica->aurora;
    struct lag_verdict verdict = verdict_unknown(TOPO_WHY_LAG_UNKNOWN, j->interval_us);

    if (aurora->has_lag) {
        verdict.why = TOPO_WHY_NONE;
        verdict_hear(&verdict, TOPO_LAG_BY_AURORA, aurora->lag_us);
    }
    return verdict;
}

struct lag_verdict lag_judge(const struct lag_trail *trail, const struct sample *replica,
                             bool is_primary_down, uint64_t interval_us)
{
    struct judging j = {.trail = trail,
                        .replica = replica,
                        .now_us = replica->begin_us,
                        .is_primary_down = is_primary_down,
                        .interval_us = interval_us};
    struct lag_verdict worst = verdict_unknown(TOPO_WHY_NO_REPLICATION, SECOND_US);

    if (replica->has_more_channels) {
        worst.why = TOPO_WHY_LAG_UNKNOWN;
        return worst;
    }
    if (replica->aurora.is_there && replica->channel_count == 0) {
        return aurora_judge(&j);
    }
    beats_judge(&j);
    for (uint8_t i = 0; i < replica->channel_count; i++) {
        struct lag_verdict one = channel_judge(&j, &replica->channels[i]);

        if (one.why != TOPO_WHY_NONE) {
            return one;
        }
        if (i == 0) {
            worst = one;
            continue;
        }
        for (size_t source = 0; source < TOPO_LAG_SOURCE_COUNT; source++) {
            if (one.by_us[source] != TOPO_LAG_UNKNOWN) {
                verdict_hear(&worst, (enum topo_lag_source)source, one.by_us[source]);
            }
        }
        if (one.resolution_us > worst.resolution_us) {
            worst.resolution_us = one.resolution_us;
        }
    }
    if (j.has_beat && worst.why == TOPO_WHY_NONE) {
        verdict_hear(&worst, TOPO_LAG_BY_HEARTBEAT, j.beat_us);
    }
    if (worst.why == TOPO_WHY_NONE && replica->lacks_us != 0 &&
        worst.by_us[TOPO_LAG_BY_LOG] == TOPO_LAG_UNKNOWN) {
        /* its source is another server: what it lacks of the primary's transactions counts */
        verdict_hear(&worst, TOPO_LAG_BY_LOG,
                     j.now_us > replica->lacks_us ? j.now_us - replica->lacks_us : 0);
    }
    return worst;
}
