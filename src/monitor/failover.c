/* SPDX-License-Identifier: Apache-2.0 */
/*
 *             GOES: publish none            all acknowledged
 *   SERVING ----------------------> FENCING ----------------> VACANT
 *      ^                             |  ^ too long                |
 *      |        acknowledged, and    v  |                         |
 *      '--- one is wanted: publish   ALARMED                      |
 *      '----------------------------------------------------------'
 *
 * The same server as before, at the same address, goes through all of it, too: what was sent to it
 * in the old epoch and what is in the new one must not be taken for each other.
 */
#include <string.h>

#include "failover_priv.h"

struct failover_row {
    enum failover_state next;
    enum failover_act act;
};

#define ROW(next, act)                         \
    {                                          \
        FAILOVER_ST_##next, FAILOVER_ACT_##act \
    }

/* By state and event. What cannot happen leaves everything as it is. */
static const struct failover_row rows[FAILOVER_ST_END_][FAILOVER_EV_END_] = {
    [FAILOVER_ST_VACANT] =
        {
            [FAILOVER_EV_STAYS] = ROW(VACANT, NOTHING),
            [FAILOVER_EV_GOES] = ROW(VACANT, NOTHING),
            [FAILOVER_EV_WAITS] = ROW(VACANT, NOTHING), /* a worker more than there was */
            [FAILOVER_EV_LATE] = ROW(ALARMED, ALARM),
            [FAILOVER_EV_NOBODY] = ROW(VACANT, NOTHING),
            [FAILOVER_EV_COMES] = ROW(SERVING, PRIMARY),
        },
    [FAILOVER_ST_SERVING] =
        {
            [FAILOVER_EV_STAYS] = ROW(SERVING, NOTHING),
            [FAILOVER_EV_GOES] = ROW(FENCING, NONE),
            [FAILOVER_EV_WAITS] = ROW(SERVING, NOTHING),
            [FAILOVER_EV_LATE] = ROW(SERVING, NOTHING),
            [FAILOVER_EV_NOBODY] = ROW(SERVING, NOTHING),
            [FAILOVER_EV_COMES] = ROW(SERVING, NOTHING),
        },
    [FAILOVER_ST_FENCING] =
        {
            [FAILOVER_EV_STAYS] = ROW(FENCING, NOTHING),
            [FAILOVER_EV_GOES] = ROW(FENCING, NOTHING),
            [FAILOVER_EV_WAITS] = ROW(FENCING, NOTHING),
            [FAILOVER_EV_LATE] = ROW(ALARMED, ALARM),
            [FAILOVER_EV_NOBODY] = ROW(VACANT, NOTHING),
            [FAILOVER_EV_COMES] = ROW(SERVING, PRIMARY),
        },
    [FAILOVER_ST_ALARMED] =
        {
            [FAILOVER_EV_STAYS] = ROW(ALARMED, NOTHING),
            [FAILOVER_EV_GOES] = ROW(ALARMED, NOTHING),
            [FAILOVER_EV_WAITS] = ROW(ALARMED, NOTHING),
            [FAILOVER_EV_LATE] = ROW(ALARMED, NOTHING),
            [FAILOVER_EV_NOBODY] = ROW(VACANT, CALM),
            [FAILOVER_EV_COMES] = ROW(VACANT, CALM), /* and in the next round the new one */
        },
};

void failover_init(struct failover *failover)
{
    memset(failover, 0, sizeof(*failover));
    failover->state = FAILOVER_ST_VACANT;
    failover->primary = -1;
}

enum failover_event failover_event_of(const struct failover *failover,
                                      const struct failover_input *input)
{
    if (failover->primary >= 0) {
        return input->wanted == failover->primary && !input->has_moved ? FAILOVER_EV_STAYS
                                                                       : FAILOVER_EV_GOES;
    }
    if (!input->is_acked) {
        return input->now_us >= failover->none_us + FAILOVER_LATE_US ? FAILOVER_EV_LATE
                                                                     : FAILOVER_EV_WAITS;
    }
    return input->wanted >= 0 ? FAILOVER_EV_COMES : FAILOVER_EV_NOBODY;
}

enum failover_act failover_next(enum failover_state state, enum failover_event event,
                                enum failover_state *ret_state)
{
    const struct failover_row *row = &rows[state][event];

    *ret_state = row->next;
    return row->act;
}

enum failover_act failover_step(struct failover *failover, const struct failover_input *input)
{
    enum failover_event event = failover_event_of(failover, input);
    enum failover_act act = failover_next(failover->state, event, &failover->state);

    if (act == FAILOVER_ACT_NONE) {
        failover->primary = -1;
        failover->none_us = input->now_us;
        failover->epoch++;
    } else if (act == FAILOVER_ACT_PRIMARY) {
        failover->primary = input->wanted;
        failover->epoch++;
    }
    return act;
}

const char *failover_state_text(enum failover_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        FAILOVER_STATES(X)
#undef X
            "?",
    };
    return texts[state];
}
