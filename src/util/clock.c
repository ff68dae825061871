/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/clock.h"

#include <stdio.h>
#include <time.h>

#include "weir/util/assert.h"

static uint64_t read_us(clockid_t id)
{
    struct timespec now;

    int rc = clock_gettime(id, &now);
    WR_ASSERT(rc == 0);
    return (uint64_t)now.tv_sec * CLOCK_US_PER_SECOND + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
    /* 0 stands for "no time" in callers; the first microsecond after boot is not missed. */
    return read_us(CLOCK_MONOTONIC) + 1;
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

uint64_t clock_thread_cpu_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

void clock_format_utc(uint64_t wall_us, char dst[CLOCK_UTC_SIZE])
{
    time_t seconds = (time_t)(wall_us / CLOCK_US_PER_SECOND);
    struct tm tm;
    char day[CLOCK_UTC_SIZE];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) != 19) {
        dst[0] = '\0';
        return;
    }
    (void)snprintf(dst, CLOCK_UTC_SIZE, "%.19s.%06uZ", day,
                   (unsigned)(wall_us % CLOCK_US_PER_SECOND));
}
