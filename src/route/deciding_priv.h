/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deciding_priv - one decision under way, as the files that make it share it.
 *
 * WHY       The questions about names and about reads after writes are files of their own.
 * OWNS      none; borrowed for the call of route_decide().
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    ROUTE_STEPS_MAX steps.
 */
#ifndef WEIR_ROUTE_DECIDING_PRIV_H
#define WEIR_ROUTE_DECIDING_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/classify/facts.h"
#include "weir/route/decide.h"

struct deciding {
    const struct facts *facts;
    const struct route_sess *sess;
    const struct route_view *view;
    struct route_decision *ret;
};

/* Here, for it is called at every turn. */
static inline struct route_step *route_step_add(struct route_decision *ret,
                                                enum route_reason reason)
{
    uint8_t at = ret->step_count < ROUTE_STEPS_MAX ? ret->step_count++ : ROUTE_STEPS_MAX - 1;

    ret->steps[at] = (struct route_step){.reason = reason, .server = -1};
    return &ret->steps[at];
}

/* A step about a hint. */
void route_hint_step(struct deciding *d, enum route_reason reason, enum classify_hint hint);

static inline bool route_has_bit(const struct facts *facts, uint64_t bit)
{
    return (facts->bits & bit) != 0;
}

static inline bool route_has_hint(const struct facts *facts, enum classify_hint hint)
{
    return (facts->hints & HINT_BIT(hint)) != 0;
}

/* decide_names.c: is all that a statement names known to be harmless? Else a step says what is not. */
enum catalogue_kind route_call_kind(const struct deciding *d, uint8_t at);
bool route_calls_are_harmless(struct deciding *d);
bool route_tables_are_harmless(struct deciding *d);

/* decide_fresh.c: reads after writes. Sets raw_mode; true: the primary, for the session's window has
 * not ended. */
bool route_is_in_window(struct deciding *d);
/* "auto", "gtid", "window", "strict", "off": as in settings and hints. */
const char *route_raw_text(enum config_raw_mode mode);
/* Servers known to have what a read must see. */
static inline uint64_t route_known_mask(const struct deciding *d, bool is_read)
{
    return is_read && d->ret->raw_mode == CONFIG_RAW_GTID ? d->sess->has_mask : UINT64_MAX;
}

#endif
