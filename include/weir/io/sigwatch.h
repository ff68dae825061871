/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigwatch - signals as events of one loop.
 *
 * WHY       No code of ours runs inside a signal handler.
 * OWNS      The signal fd.
 * THREADS   sigwatch_block() before any thread is started, so that all inherit the mask; the
 *           rest: the loop's thread.
 * REENTRY   on_signal comes from the loop.
 * UNITS     none
 * ERRORS    0 or a negative err code.
 * BOUNDS    none
 */
#ifndef WEIR_IO_SIGWATCH_H
#define WEIR_IO_SIGWATCH_H

#include <stddef.h>

#include "weir/util/attr.h"

struct loop;
struct sigwatch;

typedef void (*sigwatch_fn)(void *arg, int signo);

/* Block these signals in this thread and those it starts; ignore SIGPIPE. */
WR_NODISCARD int sigwatch_block(const int *signos, size_t count);
WR_NODISCARD int sigwatch_create(struct loop *loop, const int *signos, size_t count,
                                 sigwatch_fn on_signal, void *arg, struct sigwatch **ret_watch);
/* NULL is fine. */
void sigwatch_destroy(struct sigwatch *watch);

#endif
