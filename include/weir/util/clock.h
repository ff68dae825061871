/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the time, monotonic for waiting and wall for showing.
 *
 * WHY       One unit everywhere; tests pass times in instead of faking this.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    none
 * BOUNDS    clock_format_utc needs 28 bytes.
 */
#ifndef WEIR_UTIL_CLOCK_H
#define WEIR_UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_US_PER_MS     UINT64_C(1000)
#define CLOCK_US_PER_SECOND UINT64_C(1000000)
#define CLOCK_UTC_SIZE      28

/* Monotonic; never 0. */
uint64_t clock_now_us(void);
/* Since 1970, UTC. */
uint64_t clock_wall_us(void);
/* CPU time of the calling thread. */
uint64_t clock_thread_cpu_us(void);
/* "2026-01-31T12:00:00.123456Z", terminated; dst has at least CLOCK_UTC_SIZE bytes. */
void clock_format_utc(uint64_t wall_us, char dst[CLOCK_UTC_SIZE]);

#endif
