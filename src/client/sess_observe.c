/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a statement: its digest, how long it took, where it ran. The text is there
 * when it comes in and gone when its reply is over, so a digest gets its entry at the beginning.
 */
#include "weir/observe/digests.h"

#include "sess_priv.h"

static uint32_t place_make(const struct sess *sess, uint64_t hash, struct span sql)
{
    struct digests *digests = sess->env->digests;
    struct metric_shard *metrics = sess->env->metrics;
    struct classify_env env;
    char text[DIGEST_TEXT_MAX + 1];
    size_t len = 0;
    bool evicted = false;
    uint32_t place = DIGESTS_NONE;

    sess_classify_env(sess, &env);
    (void)classify_digest(sql, &env, text, sizeof(text), &len);
    place = digests_add(digests, hash, (struct span){(const uint8_t *)text, len},
                        loop_now_us(sess->env->loop), &evicted);
    if (evicted) {
        metric_inc(metrics, METRIC_DIGESTS_EVICTED, METRIC_NONE);
    }
    metric_set(metrics, METRIC_DIGESTS, METRIC_NONE, (int64_t)digests_count(digests));
    return place;
}

uint64_t sess_digest_hash(const struct sess *sess, struct span sql)
{
    struct classify_env env;

    if (sess->env->digests == NULL) {
        return 0;
    }
    sess_classify_env(sess, &env);
    return classify_digest_hash(sql, &env);
}

void sess_digest_begin(struct sess *sess, uint64_t hash, struct span sql)
{
    uint32_t place = DIGESTS_NONE;

    sess->cmd.digest = hash;
    if (sess->env->digests == NULL) {
        return;
    }
    place = digests_find(sess->env->digests, hash);
    if (place == DIGESTS_NONE) {
        place = place_make(sess, hash, sql);
    }
    sess->cmd.digest_at = place == DIGESTS_NONE ? 0 : place + 1;
    sess->cmd.bytes_before = sess->bytes_out;
}

void sess_digest_end(struct sess *sess)
{
    uint64_t now_us = loop_now_us(sess->env->loop);
    const struct digest_sample sample = {
        .now_us = now_us,
        .latency_us = now_us - sess->cmd.started_us,
        .bytes = sess->bytes_out - sess->cmd.bytes_before,
        .is_error = sess->cmd.got_err,
        .is_cache_hit = sess->cmd.is_cached,
        .is_on_replica = sess->cmd.server >= 0 && sess->cmd.server != sess->env->topo->primary,
    };

    digests_record(sess->env->digests, sess->cmd.digest_at - 1, sess->cmd.digest, &sample);
    sess->cmd.digest_at = 0;
}
