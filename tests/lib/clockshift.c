/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a server: its clock of the day is off by the number of seconds that stands in the
 * file CLOCK_SHIFT_FILE (8 bytes, as this machine writes them), from one moment to the next. Clocks
 * that only count are left alone, and waits until a time of day end when they would have.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int (*timedwait_fn)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static _Atomic int64_t *shift_s; /* NULL: none */
static timedwait_fn real_timedwait;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    *(void **)&real_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (fd >= 0) {
        void *at = mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0);

        shift_s = at == MAP_FAILED ? NULL : at;
        (void)close(fd);
    }
}

static int64_t shift(void)
{
    return shift_s == NULL ? 0 : atomic_load_explicit(shift_s, memory_order_relaxed);
}

int clock_gettime(clockid_t id, struct timespec *ret_ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ret_ts);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        ret_ts->tv_sec += shift();
    }
    return rc;
}

int gettimeofday(struct timeval *restrict ret_tv, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *ret_tv = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}

/* The kernel's clock has not been moved. A condition that waits by a clock that only counts is not
 * known from one that does not: its times are far from those of the day. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until)
{
    struct timespec moved = *until;
    struct timespec now;

    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    if (moved.tv_sec > now.tv_sec / 2) {
        moved.tv_sec -= shift();
    }
    return real_timedwait(cond, lock, &moved);
}
