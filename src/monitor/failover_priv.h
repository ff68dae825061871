/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover - from one primary to the next, in two acknowledged publications. Pure.
 *
 * WHY       No worker may still write to the old primary when another begins to write to the new
 *           one: so "none" is published, every worker says that it has taken it in (and has let go
 *           of the old one's connections), and only then the new one is.
 * OWNS      none
 * THREADS   The verdict thread only.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    none: what cannot happen in a state changes nothing.
 * BOUNDS    none
 */
#ifndef WEIR_MONITOR_FAILOVER_PRIV_H
#define WEIR_MONITOR_FAILOVER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

/* A worker's acknowledgement is a matter of microseconds; one that takes so long is reported. */
#define FAILOVER_LATE_US UINT64_C(1000000)

/* X(name, text) */
#define FAILOVER_STATES(X)                                                              \
    X(VACANT, "vacant")   /* no primary is published, and every worker knows it     */  \
    X(SERVING, "serving") /* a primary is published                                  */ \
    X(FENCING, "fencing") /* "none" is published, a worker has not acknowledged it   */ \
    X(ALARMED, "alarmed") /* the same, for too long                                  */

/* What a round finds. X(name, text) */
#define FAILOVER_EVENTS(X)                                                           \
    X(STAYS, "stays")   /* the published primary is the one that is wanted       */  \
    X(GOES, "goes")     /* another is, or nobody, or it has another address now   */ \
    X(WAITS, "waits")   /* "none" is not acknowledged by all                      */ \
    X(LATE, "late")     /* the same, FAILOVER_LATE_US after its publication       */ \
    X(NOBODY, "nobody") /* acknowledged, and no server can be the primary         */ \
    X(COMES, "comes")   /* acknowledged, and a server is wanted                   */

/* What is to be published or said. X(name, text) */
#define FAILOVER_ACTS(X)                                                          \
    X(NOTHING, "nothing")                                                         \
    X(NONE, "none")       /* "no primary", a new epoch                         */ \
    X(PRIMARY, "primary") /* the wanted one, a new epoch                       */ \
    X(ALARM, "alarm")     /* a worker does not answer: writes stay on hold     */ \
    X(CALM, "calm")       /* it has answered                                   */

/* clang-format off */
enum failover_state {
#define X(name, text) FAILOVER_ST_##name,
    FAILOVER_STATES(X)
#undef X
    FAILOVER_ST_END_
};
enum failover_event {
#define X(name, text) FAILOVER_EV_##name,
    FAILOVER_EVENTS(X)
#undef X
    FAILOVER_EV_END_
};
enum failover_act {
#define X(name, text) FAILOVER_ACT_##name,
    FAILOVER_ACTS(X)
#undef X
};
/* clang-format on */

struct failover {
    enum failover_state state;
    int16_t primary;  /* as published, or -1 */
    uint64_t epoch;   /* of what is published */
    uint64_t none_us; /* when "none" was; 0: never */
};

struct failover_input {
    int16_t wanted; /* who should be the primary, or -1 */
    bool has_moved; /* the published one has another address now */
    bool is_acked;  /* all workers have acknowledged the epoch */
    uint64_t now_us;
};

void failover_init(struct failover *failover);
enum failover_event failover_event_of(const struct failover *failover,
                                      const struct failover_input *input);
/* The row of the table: where to and what to do. */
enum failover_act failover_next(enum failover_state state, enum failover_event event,
                                enum failover_state *ret_state);
/* One round: state, primary, epoch and none_us change as the act says. */
enum failover_act failover_step(struct failover *failover, const struct failover_input *input);
const char *failover_state_text(enum failover_state state);

#endif
