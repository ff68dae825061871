/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert - three ways to say what must hold, by who can break it.
 *
 * WHY       A broken invariant stops the process; a peer's bad bytes never do.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    WR_CHECK gives false.
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_ASSERT_H
#define WEIR_UTIL_ASSERT_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

/* Called once, before abort(), with the failed expression: the panic dump hangs itself in here.
 * Must be async-signal-safe. Set at start-up, before any thread. */
typedef void (*assert_hook_fn)(const char *expr, const char *file, int line);
void assert_set_hook(assert_hook_fn hook);

WR_NORETURN WR_COLD void assert_fail(const char *expr, const char *file, int line);
/* Counts and returns false. */
WR_COLD bool assert_check_failed(void);
/* How many WR_CHECKs have failed in this process. */
uint64_t assert_check_count(void);

/* On in every build: prints, runs the hook, aborts. Only for what no peer can cause. */
#define WR_ASSERT(cond) (WR_LIKELY(cond) ? (void)0 : assert_fail(#cond, __FILE__, __LINE__))

/* Debug and sanitizer builds only; may be costly. */
#ifdef WEIR_DEBUG
#    define WR_DASSERT(cond) WR_ASSERT(cond)
#else
#    define WR_DASSERT(cond) ((void)sizeof(!(cond)))
#endif

/* True when cond holds; else counted, and the caller closes what it was serving. */
#define WR_CHECK(cond) (WR_LIKELY(cond) || assert_check_failed())

#endif
