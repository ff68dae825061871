/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker - stops asking a Redis that does not answer in time, and finds out by itself when it does again.
 *
 * WHY       A budget of some milliseconds for each statement is little; for every statement it is a lot.
 * OWNS      none: the caller's storage, the caller's clock and timer. Pure.
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     *_us: microseconds of the clock that is passed in.
 * ERRORS    none
 * BOUNDS    Pauses from BREAKER_PAUSE_MIN_US / 2 to BREAKER_PAUSE_MAX_US: jittered (half of it is random), doubling.
 */
#ifndef WEIR_REDIS_BREAKER_H
#define WEIR_REDIS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/rand.h"

#define BREAKER_FAILURES     3U /* open it, unless it was well for BREAKER_HEAL_US between two */
#define BREAKER_HEAL_US      UINT64_C(1000000)
#define BREAKER_PROBES       2U /* in a row close it */
#define BREAKER_PAUSE_MIN_US UINT64_C(100000)
#define BREAKER_PAUSE_MAX_US UINT64_C(2000000)

/* X(name, text): what holds */
#define BREAKER_STATES(X)                                                    \
    X(CLOSED, "closed") /* all may ask                                    */ \
    X(OPEN, "open")     /* nobody asks until until_us                     */ \
    X(HALF, "half")     /* a probe is on its way, nobody else asks        */

enum breaker_state {
#define X(name, text) BREAKER_ST_##name,
    BREAKER_STATES(X)
#undef X
};

struct breaker {
    enum breaker_state state;
    uint32_t failures;  /* while closed */
    uint64_t failed_us; /* the last of them */
    uint32_t probes;    /* that went well, in a row */
    uint64_t pause_us;
    uint64_t until_us; /* OPEN: of the pause */
    uint64_t opened;   /* times */
    struct rand_state rng;
};

void breaker_init(struct breaker *breaker, uint64_t seed);
const char *breaker_state_text(enum breaker_state state);
/* May a request of somebody's be sent? */
bool breaker_is_closed(const struct breaker *breaker);
/* OPEN and its pause is over: becomes HALF, and the caller sends one probe. */
bool breaker_begin_probe(struct breaker *breaker, uint64_t now_us);
/* What became of a request, or of the probe. True: the state is another one now. Results of requests sent before it opened
 * change nothing any more. */
bool breaker_good(struct breaker *breaker, bool is_probe, uint64_t now_us);
bool breaker_bad(struct breaker *breaker, bool is_probe, uint64_t now_us);

#endif
