/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/redis/breaker.h"

#include "weir/util/assert.h"

static void set_state(struct breaker *breaker, enum breaker_state state)
{
    static const uint32_t next[] = {
        [BREAKER_ST_CLOSED] = 1U << BREAKER_ST_OPEN,
        [BREAKER_ST_OPEN] = 1U << BREAKER_ST_HALF,
        [BREAKER_ST_HALF] = 1U << BREAKER_ST_OPEN | 1U << BREAKER_ST_CLOSED,
    };

    WR_ASSERT((next[breaker->state] >> state & 1U) != 0);
    breaker->state = state;
}

void breaker_init(struct breaker *breaker, uint64_t seed)
{
    *breaker = (struct breaker){.pause_us = BREAKER_PAUSE_MIN_US};
    rand_seed(&breaker->rng, seed);
}

const char *breaker_state_text(enum breaker_state state)
{
    static const char *const texts[] = {
#define X(name, text) [BREAKER_ST_##name] = (text),
        BREAKER_STATES(X)
#undef X
    };

    return texts[state];
}

bool breaker_is_closed(const struct breaker *breaker)
{
    return breaker->state == BREAKER_ST_CLOSED;
}

static void go_open(struct breaker *breaker, uint64_t now_us)
{
    uint64_t pause_us = breaker->pause_us;

    set_state(breaker, BREAKER_ST_OPEN);
    breaker->until_us = now_us + pause_us / 2 + rand_below(&breaker->rng, pause_us / 2 + 1);
    breaker->pause_us = pause_us * 2 < BREAKER_PAUSE_MAX_US ? pause_us * 2 : BREAKER_PAUSE_MAX_US;
    breaker->failures = 0;
    breaker->opened++;
}

bool breaker_begin_probe(struct breaker *breaker, uint64_t now_us)
{
    if (breaker->state != BREAKER_ST_OPEN || now_us < breaker->until_us) {
        return false;
    }
    set_state(breaker, BREAKER_ST_HALF);
    return true;
}

bool breaker_good(struct breaker *breaker, bool is_probe, uint64_t now_us)
{
    if (!is_probe) {
        /* one that answers between two pauses is not well yet */
        if (now_us >= breaker->failed_us + BREAKER_HEAL_US) {
            breaker->failures = 0;
            breaker->pause_us = BREAKER_PAUSE_MIN_US;
        }
        return false;
    }
    if (breaker->state != BREAKER_ST_HALF) {
        return false;
    }
    breaker->probes++;
    if (breaker->probes < BREAKER_PROBES) {
        set_state(breaker, BREAKER_ST_OPEN); /* the next probe at once */
        breaker->until_us = now_us;
        return true;
    }
    breaker->probes =
        0; /* the pause stays long until it is well: a PING may pass where nothing else does */
    set_state(breaker, BREAKER_ST_CLOSED);
    return true;
}

bool breaker_bad(struct breaker *breaker, bool is_probe, uint64_t now_us)
{
    if (is_probe) {
        breaker->probes = 0;
        if (breaker->state != BREAKER_ST_HALF) {
            return false;
        }
        go_open(breaker, now_us);
        return true;
    }
    breaker->failed_us = now_us;
    if (breaker->state != BREAKER_ST_CLOSED || ++breaker->failures < BREAKER_FAILURES) {
        return false;
    }
    go_open(breaker, now_us);
    return true;
}
