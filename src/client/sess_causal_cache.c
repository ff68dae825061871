/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session must see, and answers that are kept. Whoever wrote through this weir has ended all
 * answers from before; so only what others wrote is asked about.
 */
#include "weir/config/config.h"
#include "weir/route/guard.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

/* Without GTIDs, or while nobody has said yet how far it is: by time, as the windows are. */
bool sess_causal_is_complete(const struct sess *sess, int16_t server, uint64_t at_us)
{
    const struct position *primary = sess_causal_primary(sess);

    if (primary != NULL && server >= 0 &&
        (primary->covered_mask & (UINT64_C(1) << (unsigned)server)) != 0 &&
        positions_seen_us(sess->env->positions, sess->env->topo->primary) >=
            at_us + SESS_FLOOR_MARGIN_US) {
        return true;
    }
    return sess_causal_is_with_all(sess, at_us);
}

/* By windows: another weir may have written in the session's scope. */
static bool is_in_window(struct sess *sess)
{
    const struct route_conf *conf = &sess->set->route_conf;

    return guard_until_us(sess->env->board, conf, sess->raw_mark_us, sess->user_slot,
                          sess->key_slot) > loop_now_us(sess->env->loop);
}

bool sess_causal_may_hit(struct sess *sess, const struct facts *facts,
                         enum config_coherence coherence)
{
    const struct causal_board *board = sess->env->causal;
    bool is_shared = board != NULL && causal_board_is_shared(board);
    bool is_hinted = (facts->hints & HINT_BIT(HINT_TOKEN)) != 0;
    const struct sess_causal *causal = NULL;
    uint64_t now_us = loop_now_us(sess->env->loop);

    if (coherence == CONFIG_COHERENCE_TTL) {
        return !is_hinted;
    }
    if (!is_shared && !is_hinted && (sess->causal == NULL || !sess->causal->is_foreign)) {
        return true;
    }
    if (is_shared && (causal_board_is_deaf(board, now_us) || is_in_window(sess))) {
        return false;
    }
    sess_causal_hints(sess, facts);
    sess_causal_take_shared(sess);
    causal = sess->causal;
    if (sess->cmd.needs_primary) {
        return false;
    }
    if (causal == NULL || gtid_is_empty(&causal->token)) {
        return causal == NULL || sess_causal_is_with_all(sess, causal->shared_unknown_us);
    }
    return coherence == CONFIG_COHERENCE_BINLOG &&
           sess_causal_is_with_all(sess, causal->shared_unknown_us) &&
           cache_stream_has(&sess->env->cache->stream, &causal->token);
}

void sess_causal_saw(struct sess *sess, int16_t server, uint64_t at_us)
{
    struct sess_causal *causal = NULL;

    if (!sess->set->wants_gtids || !sess->set->route_conf.raw_monotonic ||
        sess_causal_is_with_all(sess, at_us)) {
        return;
    }
    causal = sess_causal_need(sess);
    if (causal == NULL || at_us <= causal->hit_us) {
        return;
    }
    causal->hit_us = at_us;
    if (causal->floor_server < 0 && causal->floor_set == NULL) {
        sess_causal_floor_at(causal, server, at_us);
    } else {
        sess_causal_floor_raise(sess, causal, at_us);
    }
}
