/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - tell me when this fd is readable: listening sockets, event fds, signal fds.
 *
 * WHY       Not every fd is a stream.
 * OWNS      none: the fd is the caller's, the struct is embedded in its owner.
 * THREADS   The loop's thread.
 * REENTRY   on_readable comes from the loop; it may stop or bury its own watch.
 * UNITS     none
 * ERRORS    0 or a negative err code.
 * BOUNDS    none
 */
#ifndef WEIR_IO_WATCH_H
#define WEIR_IO_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

struct loop;

typedef void (*watch_fn)(void *arg);

struct watch {
    /* borrowed until watch_stop() */
    struct loop *loop;
    watch_fn on_readable;
    void *arg;
    bool is_on;
    _Alignas(8) uint8_t event[128]; /* the event library's; size checked in watch.c */
};

/* Begin: level-triggered, until watch_stop(). */
WR_NODISCARD int watch_start(struct watch *watch, struct loop *loop, int fd, watch_fn on_readable,
                             void *arg);
/* Fine on a zeroed or stopped watch. Before the fd is closed. */
void watch_stop(struct watch *watch);

#endif
