/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that read after each other's writes (scopes user, key, global) find them on a board
 * (weir/route/causal.h). A write is there before its client is told of it: who is told by that
 * client, whatever way, reads no less.
 */
#include "weir/config/config.h"

#include "sess_causal_priv.h"
#include "sess_priv.h"

bool sess_causal_scope_slot(const struct sess *sess, uint32_t *ret_slot)
{
    switch (sess->set->route_conf.raw_scope) {
    case CONFIG_SCOPE_SESSION:
    case CONFIG_SCOPE_KEY: /* its slot is the hint's */
        return false;
    case CONFIG_SCOPE_USER:
        *ret_slot = sess->causal_user;
        return true;
    case CONFIG_SCOPE_GLOBAL:
        *ret_slot = CAUSAL_SLOT_ALL;
        return true;
    }
    return false;
}

/* The slots of the board that its writes are noted on. */
static unsigned slots_of(const struct sess *sess, uint32_t slots[2])
{
    unsigned count = 0;

    if (sess->env->causal == NULL) {
        return 0;
    }
    if (sess_causal_scope_slot(sess, &slots[count])) {
        count++;
    }
    if (sess->causal != NULL && sess->causal->has_key) {
        slots[count++] = sess->causal->key_slot;
    }
    return count;
}

bool sess_causal_is_position_known(const struct sess *sess)
{
    return sess->cmd.got_gtid && !sess->cmd.got_err && !sess->causal->is_unknown;
}

void sess_causal_tell_gtids(const struct sess *sess)
{
    const struct position *primary = sess_causal_primary(sess);
    const struct gtid_set *whole = primary != NULL ? &primary->executed->set : NULL;
    uint32_t slots[2];
    unsigned count = slots_of(sess, slots);

    for (unsigned i = 0; i < count; i++) {
        causal_board_add(sess->env->causal, slots[i], &sess->causal->fresh, whole,
                         loop_now_us(sess->env->loop));
    }
}

/* Windows are kept by the guard's board; other weirs hear of writes by this one. */
static void window_tell(const struct sess *sess)
{
    uint64_t now_us = loop_now_us(sess->env->loop);
    uint32_t slot = 0;

    if (sess->env->causal == NULL || !causal_board_is_shared(sess->env->causal)) {
        return;
    }
    if (sess_causal_scope_slot(sess, &slot)) {
        causal_board_unknown(sess->env->causal, slot, now_us);
    }
    if (sess->key_slot != 0) {
        causal_board_unknown(sess->env->causal, guard_causal_key(sess->key_slot), now_us);
    }
}

void sess_causal_tell_unknown(const struct sess *sess)
{
    uint32_t slots[2];
    unsigned count = 0;

    if (!sess->set->wants_gtids) {
        window_tell(sess);
        return;
    }
    count = slots_of(sess, slots);
    for (unsigned i = 0; i < count; i++) {
        causal_board_unknown(sess->env->causal, slots[i], loop_now_us(sess->env->loop));
    }
}

void sess_causal_tell_blind(const struct sess *sess, uint64_t until_us)
{
    uint32_t slots[2];
    unsigned count = slots_of(sess, slots);

    for (unsigned i = 0; i < count; i++) {
        causal_board_blind(sess->env->causal, slots[i], until_us);
    }
}

void sess_causal_tell(struct sess *sess, bool is_over)
{
    bool has_gtids = sess->set->wants_gtids && sess->causal != NULL;

    if (has_gtids && !gtid_is_empty(&sess->causal->fresh)) {
        sess_causal_tell_gtids(sess);
    }
    if (is_over && (!has_gtids || !sess_causal_is_position_known(sess))) {
        sess_causal_tell_unknown(sess);
    }
    sess->cmd.is_told = true;
}
