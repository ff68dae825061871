/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things bind a session's reads:
 *
 *   the token   what it wrote (and what others wrote whom it must see). A server that has executed
 *               all of it will do.
 *   the floor   what it has seen. "Server S at time t" at first: S itself will do, and so will any
 *               server that has all that S says it has when it is asked after t. Of the primary,
 *               that set is then kept as the floor: the primary's next ones are always larger.
 *
 * A write whose GTIDs are not known (it failed half-way, or nothing was reported) has been seen by
 * the primary at the time of its answer: a floor. So what is not known is known 100 ms later.
 *
 * The servers' sets are polled (weir/backend/positions.h); masks of who has what are made once for
 * each picture and token, and a read looks at the mask.
 */
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_causal_priv.h"
#include "sess_priv.h"

/* Longer than between two good probes of a primary that answers writes. */
#define ACKED_KEEP_US UINT64_C(2000000)
/* A token of more ranges is tidied; one that is no shorter then, when it is twice as long. */
#define TIDY_ABOVE 4U

struct sess_causal *sess_causal_need(struct sess *sess)
{
    if (sess->causal == NULL) {
        sess->causal = calloc(1, sizeof(*sess->causal));
        if (sess->causal == NULL) {
            sess_close(sess, "no memory for what its reads must see");
            return NULL;
        }
        gtid_init(&sess->causal->token);
        gtid_init(&sess->causal->fresh);
        sess->causal->floor_server = -1;
        sess->causal->epoch = sess->env->topo->epoch;
        sess->causal->tidy_above = TIDY_ABOVE;
        sess->causal->is_stale = true;
    }
    return sess->causal;
}

void sess_causal_destroy(struct sess_causal *causal)
{
    if (causal != NULL) {
        gtid_fini(&causal->token);
        gtid_fini(&causal->fresh);
        position_set_unref(causal->floor_set);
        free(causal);
    }
}

const struct position *sess_causal_primary(const struct sess *sess)
{
    return positions_of_primary(sess->env->positions, sess->env->topo->primary);
}

static const struct gtid_set *primary_set(const struct sess *sess)
{
    const struct position *primary = sess_causal_primary(sess);

    return primary == NULL ? NULL : &primary->executed->set;
}

/* --- the floor --- */

static void floor_set(struct sess_causal *causal, const struct position_set *set)
{
    if (causal->floor_set != set) {
        position_set_unref(causal->floor_set);
        causal->floor_set = set;
        causal->is_stale = true;
    }
}

void sess_causal_floor_at(struct sess_causal *causal, int16_t server, uint64_t at_us)
{
    floor_set(causal, NULL);
    if (causal->floor_server != server) {
        causal->stuck_us = at_us;
    }
    causal->floor_server = server;
    causal->floor_us = at_us;
}

/* What is not known is with the primary, which has no less than any replica has shown. */
void sess_causal_floor_raise(struct sess *sess, struct sess_causal *causal, uint64_t at_us)
{
    uint64_t us = causal->floor_server >= 0 && causal->floor_us > at_us ? causal->floor_us : at_us;

    sess_causal_floor_at(causal, sess->env->topo->primary, us);
}

/* The set that says what the floor is; NULL: not told yet. */
const struct position *sess_causal_floor(const struct sess *sess)
{
    const struct sess_causal *causal = sess->causal;

    if (positions_seen_us(sess->env->positions, causal->floor_server) <
        causal->floor_us + SESS_FLOOR_MARGIN_US) {
        return NULL;
    }
    return causal->floor_server == sess->env->topo->primary
               ? sess_causal_primary(sess)
               : positions_of(sess->env->positions, causal->floor_server);
}

/* --- the token --- */

/* more: all that has come to it; NULL: anything else has become of it. Who had all of it and has that,
 * too, has it still, so that a write need not ask for every range again. */
static void token_changed(const struct sess *sess, struct sess_causal *causal,
                          const struct gtid_set *more)
{
    const struct positions *positions = sess->env->positions;

    if (more == NULL || positions == NULL || causal->mask_of != positions->snap.generation) {
        causal->has_token_mask = false;
    } else {
        causal->token_mask &= positions_have(positions, more);
    }
    causal->known_mask = 0;
    causal->is_stale = true;
}

/* Few ranges, and nothing in them that the primary does not have. */
static void token_tidy(struct sess *sess, struct sess_causal *causal)
{
    const struct gtid_set *whole = primary_set(sess);

    if (whole != NULL) {
        gtid_close_gaps(&causal->token, whole);
    }
}

static void token_add(struct sess *sess, struct sess_causal *causal, const struct gtid_set *more)
{
    int r = gtid_add(&causal->token, more, &GTID_LIMITS_TOKEN);

    if (r < 0) {
        token_tidy(sess, causal);
        r = gtid_add(&causal->token, more, &GTID_LIMITS_TOKEN);
    }
    if (r < 0) {
        gtid_clear(&causal->token);
        sess_causal_floor_raise(sess, causal, loop_now_us(sess->env->loop));
        metric_inc(sess->env->metrics, METRIC_TOKENS_UNKNOWN, METRIC_NONE);
        more = NULL;
    } else if (causal->token.count > causal->tidy_above) {
        token_tidy(sess, causal);
        causal->tidy_above =
            causal->token.count > TIDY_ABOVE / 2 ? 2 * causal->token.count : TIDY_ABOVE;
    }
    token_changed(sess, causal, more);
}

/* It wrote that itself: it has it, also when its position was read before. */
static bool is_its_own(const struct position *primary, const struct gtid_set *token,
                       const struct gtid_range *range)
{
    if (token->kind == GTID_MARIADB) {
        return range->server == primary->server_id;
    }
    return primary->has_uuid &&
           memcmp(token->sources[range->source].uuid, primary->uuid, sizeof(primary->uuid)) == 0;
}

/* Another server is the primary: does it have what the old one has answered for? MariaDB compares
 * numbers only, so what another server wrote counts as far as this one has it by replication. */
static bool token_is_lost(const struct sess *sess, const struct position *primary)
{
    const struct gtid_set *token = &sess->causal->token;
    const struct position_set *has =
        primary->replicated != NULL ? primary->replicated : primary->executed;

    for (uint32_t i = 0; i < token->count; i++) {
        struct gtid_range range = token->ranges[i];
        const struct gtid_set one = {.kind = token->kind,
                                     .source_count = token->source_count,
                                     .count = 1,
                                     .sources = token->sources,
                                     .ranges = &range};

        if (!is_its_own(primary, token, &range) && !gtid_has(&has->set, &one)) {
            return true;
        }
    }
    return false;
}

/* False: not known yet whether the token means anything under this primary. */
static bool epoch_check(struct sess *sess, struct sess_causal *causal)
{
    const struct sess_set *set = sess->set;
    const struct position *primary = NULL;

    if (sess->env->topo->primary < 0) {
        return true; /* nobody has written anything else yet */
    }
    if (causal->epoch == sess->env->topo->epoch || gtid_is_empty(&causal->token)) {
        causal->epoch = sess->env->topo->epoch;
        return true;
    }
    primary = sess_causal_primary(sess);
    if (primary == NULL ||
        positions_seen_us(sess->env->positions, sess->env->topo->primary) < set->epoch_us) {
        return false;
    }
    if (token_is_lost(sess, primary)) {
        metric_inc(sess->env->metrics, METRIC_TOKENS_LOST, METRIC_NONE);
        log_warn(&sess->log, "causal_lost",
                 "the primary does not have what this session wrote before the last change of "
                 "primary");
        gtid_clear(&causal->token);
        sess_causal_floor_at(causal, sess->env->topo->primary, loop_now_us(sess->env->loop));
        token_changed(sess, causal, NULL);
    }
    causal->epoch = sess->env->topo->epoch;
    return true;
}

/* --- what others wrote --- */

/* What was written then is on every replica that may serve reads: who begins an hour after it need
 * not ask how far they are. */
bool sess_causal_is_with_all(const struct sess *sess, uint64_t at_us)
{
    const struct route_conf *conf = &sess->set->route_conf;

    return loop_now_us(sess->env->loop) > at_us + guard_window_default_us(conf->max_lag_us,
                                                                          conf->sample_max_age_us,
                                                                          0, CLOCK_US_PER_SECOND);
}

static void slot_take(struct sess *sess, uint32_t slot, uint64_t *version, uint64_t *unknown_us)
{
    struct sess_causal *causal = sess->causal;
    struct causal_mark mark;

    if (causal_board_is_deaf(sess->env->causal, loop_now_us(sess->env->loop))) {
        *unknown_us = loop_now_us(sess->env->loop); /* another weir may have written just now */
        sess_causal_floor_raise(sess, causal, *unknown_us);
    }
    if (!causal_board_is_new(sess->env->causal, slot, *version)) {
        return;
    }
    if (causal_board_take(sess->env->causal, slot, &causal->token, &mark) < 0) {
        token_tidy(sess, causal);
        if (causal_board_take(sess->env->causal, slot, &causal->token, &mark) < 0) {
            gtid_clear(&causal->token); /* all of it is with the primary by now */
            sess_causal_floor_raise(sess, causal, loop_now_us(sess->env->loop));
            token_changed(sess, causal, NULL);
            return;
        }
    }
    token_changed(sess, causal, NULL);
    *version = mark.version;
    if (mark.unknown_us > *unknown_us) {
        *unknown_us = mark.unknown_us;
        if (!sess_causal_is_with_all(sess, mark.unknown_us)) {
            sess_causal_floor_raise(sess, causal, mark.unknown_us);
        }
    }
    if (mark.blind_until_us > causal->blind_until_us) {
        causal->blind_until_us = mark.blind_until_us;
    }
}

void sess_causal_take_shared(struct sess *sess)
{
    uint32_t slot = 0;

    if (!sess_causal_scope_slot(sess, &slot) || sess->env->causal == NULL ||
        (sess->causal == NULL && !causal_board_is_new(sess->env->causal, slot, 0) &&
         !causal_board_is_shared(sess->env->causal)) ||
        sess_causal_need(sess) == NULL) {
        return;
    }
    slot_take(sess, slot, &sess->causal->shared_version, &sess->causal->shared_unknown_us);
}

/* --- for the router --- */

static void masks_make(struct sess *sess, struct sess_causal *causal)
{
    const struct positions *positions = sess->env->positions;
    uint64_t mask = 0;

    if (!causal->has_token_mask || positions == NULL ||
        causal->mask_of != positions->snap.generation) {
        causal->token_mask =
            gtid_is_empty(&causal->token) ? UINT64_MAX : positions_have(positions, &causal->token);
        causal->has_token_mask = true;
    }
    mask = causal->token_mask;
    if (causal->floor_set != NULL) {
        mask &= positions_have(positions, &causal->floor_set->set);
    }
    if (positions != NULL) {
        if (causal->incarnations != positions->incarnations) {
            causal->known_mask = 0; /* who has begun anew may have less than it said */
        }
        causal->incarnations = positions->incarnations;
        causal->mask_of = positions->snap.generation;
    }
    causal->has_mask = mask | causal->known_mask;
    causal->is_stale = false;
}

static void fill_masks(struct sess *sess, struct sess_causal *causal, struct route_sess *ret_route)
{
    const struct positions *positions = sess->env->positions;
    const struct position *floor = NULL;
    uint64_t floor_mask = UINT64_MAX;
    uint64_t floor_waits = UINT64_MAX;
    uint32_t ranges = causal->token.count;

    if (causal->floor_server >= 0) {
        uint64_t self = UINT64_C(1) << causal->floor_server;

        floor = sess_causal_floor(sess);
        if (floor == NULL) {
            floor_mask = self;
            floor_waits = self;
        } else if (causal->floor_server == sess->env->topo->primary) {
            causal->known_mask = 0;
            floor_set(causal, position_set_ref(floor->executed));
            causal->floor_server = -1;
        } else {
            floor_mask = floor->covered_mask | self;
            ranges += floor->executed->set.count;
        }
    }
    ranges += causal->floor_set == NULL ? 0 : causal->floor_set->set.count;
    if (causal->is_stale || positions == NULL || causal->mask_of != positions->snap.generation) {
        masks_make(sess, causal);
    }
    ret_route->has_mask = causal->has_mask & floor_mask;
    ret_route->wait_mask =
        ret_route->has_mask == UINT64_MAX ? 0 : sess_causal_wait_mask(sess, ranges) & floor_waits;
}

void sess_causal_fill(struct sess *sess, struct route_sess *ret_route)
{
    struct sess_set *set = sess->set;
    const struct position *primary = NULL;

    if (!set->wants_gtids) {
        return;
    }
    primary = sess_causal_primary(sess);
    if (primary != NULL) {
        set->has_gtids = primary->has_gtids;
    }
    if (!set->has_gtids) {
        return;
    }
    sess_causal_take_shared(sess);
    ret_route->has_gtids = true;
    ret_route->has_mask = UINT64_MAX;
    if (sess->causal == NULL) {
        return;
    }
    ret_route->blind_until_us = sess->causal->blind_until_us;
    if (sess->cmd.needs_primary || !epoch_check(sess, sess->causal)) {
        ret_route->has_mask = 0;
        return;
    }
    fill_masks(sess, sess->causal, ret_route);
}

static void hint_token(struct sess *sess, struct span text)
{
    struct sess_causal *causal = sess_causal_need(sess);
    const struct gtid_set *whole = primary_set(sess);
    struct gtid_set more;

    if (causal == NULL) {
        return;
    }
    gtid_init(&more);
    if (span_eq_text_nocase(text, "unknown")) {
        sess->cmd.needs_primary = true;
    } else if (text.len > SESS_WAIT_TEXT_MAX ||
               gtid_parse(text, GTID_ANY, &GTID_LIMITS_TOKEN, &more) < 0 ||
               (whole != NULL && !gtid_is_empty(&more) && more.kind != whole->kind)) {
        metric_inc(sess->env->metrics, METRIC_TOKENS_BAD, METRIC_NONE);
        sess->cmd.needs_primary = true;
    } else if (!gtid_has(&causal->token, &more)) {
        token_add(sess, causal, &more);
        causal->is_foreign = true;
    }
    gtid_fini(&more);
}

void sess_causal_hints(struct sess *sess, const struct facts *facts)
{
    if (!sess->set->wants_gtids ||
        (facts->hints & (HINT_BIT(HINT_KEY) | HINT_BIT(HINT_TOKEN))) == 0) {
        return;
    }
    if ((facts->hints & HINT_BIT(HINT_TOKEN)) != 0) {
        hint_token(sess, facts->hint[HINT_TOKEN]);
    }
    if ((facts->hints & HINT_BIT(HINT_KEY)) != 0 && facts->hint[HINT_KEY].len != 0 &&
        sess->env->causal != NULL && sess_causal_need(sess) != NULL) {
        struct sess_causal *causal = sess->causal;
        uint32_t slot = causal_slot_key(facts->hint[HINT_KEY]);

        if (slot != causal->key_slot) {
            causal->key_version = 0;
            causal->key_unknown_us = 0;
        }
        causal->key_slot = slot;
        causal->has_key = true;
        slot_take(sess, slot, &causal->key_version, &causal->key_unknown_us);
    }
}

/* --- from the servers --- */

/* MariaDB reports the last GTID of a statement only. What runs others inside may have written under
 * several domains, if the primary has several. */
static bool is_in_part(const struct sess *sess, const struct gtid_set *fresh)
{
    const struct gtid_set *whole = primary_set(sess);

    if (fresh->kind != GTID_MARIADB || (whole != NULL && whole->count < 2)) {
        return false;
    }
    switch (sess->cmd.verb) {
    case VERB_CALL:
    case VERB_EXECUTE:
    case VERB_COMPOUND:
    case VERB_UNKNOWN:
        return true;
    default:
        return (sess->cmd.bits & FACT(MULTI)) != 0;
    }
}

void sess_causal_learn(struct sess *sess, const struct conn *conn, struct span text)
{
    struct sess_causal *causal = NULL;

    if (!sess->set->wants_gtids || text.len == 0 || conn->is_replica) {
        return;
    }
    causal = sess_causal_need(sess);
    if (causal == NULL) {
        return;
    }
    if (gtid_is_empty(&causal->fresh)) {
        causal->fresh.kind = conn->flavour == TOPO_FLAVOUR_MARIADB ? GTID_MARIADB : GTID_MYSQL;
    }
    if (gtid_add_text(&causal->fresh, text, &GTID_LIMITS_TOKEN) < 0) {
        causal->is_unknown = true; /* all of the server's sets, or what nobody understands */
        return;
    }
    causal->is_unknown = causal->is_unknown || is_in_part(sess, &causal->fresh);
    sess->cmd.got_gtid = true;
}

void sess_causal_front(struct sess *sess, const struct conn *conn)
{
    struct span value = svec_get(&sess->svec, SVEC_TRACK_GTIDS);

    if (value.p == NULL) {
        value = svec_get(&conn->born, SVEC_TRACK_GTIDS);
    }
    if (value.len == 0 || span_eq_text(value, "OFF")) {
        sess->reply_front.track_types &= (uint8_t) ~(1U << OK_TRACK_GTIDS);
    } else {
        sess->reply_front.track_types |= 1U << OK_TRACK_GTIDS;
    }
}

/* GTIDs of the command in hand into the token, and on the board. */
static void take_fresh(struct sess *sess, struct sess_causal *causal)
{
    token_add(sess, causal, &causal->fresh);
    acked_note(&sess->set->acked, &causal->fresh, loop_now_us(sess->env->loop), ACKED_KEEP_US);
    if (!sess->cmd.is_told) {
        sess_causal_tell_gtids(sess);
    }
    gtid_clear(&causal->fresh);
}

/* What a session sees of the data: rows; not what a server says of itself. */
static bool has_seen(const struct sess *sess, const struct conn *conn)
{
    const struct sess_cmd *cmd = &sess->cmd;

    if (!sess->set->route_conf.raw_monotonic || !cmd->saw_rows || conn == NULL ||
        WR_MUTANT("gtid.no_floor")) {
        return false;
    }
    return conn->is_replica ||
           (cmd->verb != VERB_SHOW && cmd->verb != VERB_SET && cmd->com != COM_STMT_PREPARE);
}

/*
 * What a transaction saw was committed before it: of the primary's own numbers, at most what lies
 * below the one that it was given itself. So the floor is what the primary said it had, and those.
 */
static void floor_of_commit(struct sess *sess, struct sess_causal *causal)
{
    const struct gtid_set *whole = primary_set(sess);
    const struct gtid_set *fresh = &causal->fresh;
    struct position_set *set = NULL;
    int r = -WR_E_STATE;

    if (whole == NULL || whole->count > GTID_LIMITS_TOKEN.ranges ||
        (sess->cmd.bits & (FACT(DML) | FACT(ENDS_TX))) == 0 ||
        (sess->cmd.bits & FACT(MULTI)) != 0 || causal->is_unknown) {
        return;
    }
    set = position_set_create();
    if (set != NULL) {
        r = gtid_copy(&set->set, whole);
    }
    if (r >= 0) {
        r = gtid_add_up_to(&set->set, fresh, &GTID_LIMITS_SERVER);
    }
    if (r < 0) {
        position_set_unref(set);
        return; /* it is asked for when it is needed */
    }
    floor_set(causal, set);
    causal->known_mask = 0;
    causal->floor_server = -1;
}

void sess_causal_done(struct sess *sess)
{
    const struct conn *conn = sess_conn(sess, sess->cmd.server);
    struct sess_causal *causal = sess->causal;

    if (!sess->set->wants_gtids) {
        return;
    }
    if (has_seen(sess, conn)) {
        causal = sess_causal_need(sess);
        if (causal == NULL) {
            return;
        }
        sess_causal_floor_at(causal, sess->cmd.server, loop_now_us(sess->env->loop));
    }
    if (causal == NULL) {
        return;
    }
    if (!gtid_is_empty(&causal->fresh)) {
        if (causal->floor_server >= 0 && causal->floor_server == sess->cmd.server) {
            floor_of_commit(sess, causal);
        }
        take_fresh(sess, causal);
    }
    if (sess->tx_open) {
        causal->is_unknown = causal->is_unknown || (sess->cmd.got_err && sess->cmd.may_write);
    } else {
        causal->has_key = false;
    }
}

/* Whatever the last write was, a replica in use has it by then. */
static uint64_t window_end_us(const struct sess *sess)
{
    return sess->raw_mark_us + sess->set->route_conf.raw_window_us;
}

void sess_causal_written(struct sess *sess)
{
    struct sess_causal *causal = NULL;

    if (!sess->set->wants_gtids) {
        if (!sess->cmd.is_told) {
            sess_causal_tell_unknown(sess);
        }
        return;
    }
    causal = sess_causal_need(sess);
    if (causal == NULL) {
        return;
    }
    if (!sess->set->has_gtids) {
        causal->blind_until_us = window_end_us(sess); /* should there be GTIDs by then */
    }
    if (sess_causal_is_position_known(sess)) {
        return;
    }
    causal->is_unknown = false;
    causal->unknown_us = loop_now_us(sess->env->loop);
    metric_inc(sess->env->metrics, METRIC_TOKENS_UNKNOWN, METRIC_NONE);
    sess_causal_floor_raise(sess, causal, loop_now_us(sess->env->loop));
    if (!sess->cmd.is_told) {
        sess_causal_tell_unknown(sess);
    }
}

void sess_causal_lost(struct sess *sess)
{
    if (!sess->set->wants_gtids) {
        sess_causal_tell_unknown(sess);
        return;
    }
    if (sess_causal_need(sess) == NULL) {
        return;
    }
    sess->causal->blind_until_us = window_end_us(sess);
    sess_causal_tell_blind(sess, sess->causal->blind_until_us);
}

void sess_causal_level(struct sess *sess)
{
    sess_causal_floor_at(sess->causal, sess->env->topo->primary, loop_now_us(sess->env->loop));
    sess->causal->known_mask = 0;
    sess->causal->is_stale = true;
}

int sess_causal_add_seen(const struct sess *sess, uint64_t at_us, struct gtid_set *set)
{
    const struct position *primary = sess_causal_primary(sess);

    if (primary == NULL || positions_seen_us(sess->env->positions, sess->env->topo->primary) <
                               at_us + SESS_FLOOR_MARGIN_US) {
        return -WR_E_STATE;
    }
    return gtid_add(set, &primary->executed->set, &GTID_LIMITS_SERVER);
}
