/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks - at which moments the primary's log had come to which place: an answer's place becomes a time.
 *
 * WHY       A weir finds in Redis what another has kept. Whether that has all that this weir knows to be written
 *           must not depend on anything that Redis says, for Redis may lose its last writes, or lie.
 * OWNS      none: the caller's storage.
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(), of this weir's own clock. Places: of the primary's log.
 * ERRORS    none: 0, nothing is known of that place.
 * BOUNDS    MARKS_MAX; older ones are thinned out, so that they reach back as far as one likes, the coarser the older.
 *
 * A mark (place, t): all that was written before t, as far as this weir has sent or heard it, stands in the log before
 * place. The weir that kept an answer says at which place P it stood when that answer was still good: it has all that
 * its tables had got before P. So whoever has a mark with place <= P has an answer that is complete until t; and when
 * its own board says that nothing it was read from has been written after t, it is as good as an entry of its own
 * memory would be.
 *
 * Nothing of this is asked of Redis: an old answer that comes back, whatever the reason, has an old place.
 */
#ifndef WEIR_CACHE_MARKS_H
#define WEIR_CACHE_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define MARKS_MAX 256U

/* log 0: not known, and equal to no other. */
struct log_place {
    uint64_t log;    /* whose: a hash of who the server is, and of what its files are called */
    uint32_t file;   /* its number */
    uint32_t born_s; /* when that file was begun, as it says itself: numbers may begin anew */
    uint64_t offset;
};

struct mark {
    struct log_place place;
    uint64_t us;
};

/* All zeroes: none. */
struct marks {
    uint32_t count;
    struct mark items[MARKS_MAX]; /* places and times both rise */
};

void marks_clear(struct marks *marks);
/* Of another log, or behind the last one: that log has been begun anew, and so are the marks. */
void marks_add(struct marks *marks, const struct log_place *place, uint64_t us);
/* Until when what was complete up to place is complete; 0: that is not known. */
WR_NODISCARD uint64_t marks_until_us(const struct marks *marks, const struct log_place *place);

#endif
