/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notes - where something that only grows was, and when weir saw it there. Pure.
 *
 * WHY       How late a copy is, by weir's own clock alone: whoever lacks what was noted at a time
 *           is behind by what has passed since. No server's clock has a say.
 * OWNS      none; plain data.
 * THREADS   none
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(). A place is two numbers, the first counts more.
 * ERRORS    none
 * BOUNDS    NOTES_MAX notes. When they are used up, one goes that is missed least: the newest stay
 *           exact, and the oldest reach back for hours. A place between two that are left counts
 *           as the earlier: later than it is, never earlier.
 */
#ifndef WEIR_MONITOR_NOTES_PRIV_H
#define WEIR_MONITOR_NOTES_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#define NOTES_MAX 128

struct note {
    uint64_t major;
    uint64_t minor;
    uint64_t seen_us;      /* first seen here */
    uint64_t last_seen_us; /* still seen here */
};

/* Oldest first; a ring would save nothing here. */
struct notes {
    struct note at[NOTES_MAX];
    uint32_t count;
};

/* A place that lies before the newest begins the notes anew. */
void notes_add(struct notes *notes, uint64_t major, uint64_t minor, uint64_t at_us);
/* False: nothing beyond this place has been noted (or nothing at all). True: something has, and it
 * came into being after *ret_since_us; or long before that when *ret_is_older: the place lies
 * before all notes. */
bool notes_is_behind(const struct notes *notes, uint64_t major, uint64_t minor,
                     uint64_t *ret_since_us, bool *ret_is_older);
/* NULL: there are no notes. */
const struct note *notes_newest(const struct notes *notes);

#endif
