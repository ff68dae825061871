/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/assert.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Process-wide by nature: there is one panic dump, and the count is of this process.
 * NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static _Atomic(assert_hook_fn) assert_hook;
/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static _Atomic uint64_t check_failures;

void assert_set_hook(assert_hook_fn hook)
{
    atomic_store(&assert_hook, hook);
}

void assert_fail(const char *expr, const char *file, int line)
{
    char text[512];

    int len =
        snprintf(text, sizeof(text), "weir: assertion failed: %s (%s:%d)\n", expr, file, line);
    if (len > 0) {
        size_t used = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
        ssize_t written = write(STDERR_FILENO, text, used);
        (void)written;
    }
    /* Taken out, so that an assertion that fails inside the hook ends here. */
    assert_hook_fn hook = atomic_exchange(&assert_hook, NULL);
    if (hook != NULL) {
        hook(expr, file, line);
    }
    abort();
}

bool assert_check_failed(void)
{
    /* Relaxed: a count, ordered with nothing. */
    atomic_fetch_add_explicit(&check_failures, 1, memory_order_relaxed);
    return false;
}

uint64_t assert_check_count(void)
{
    return atomic_load_explicit(&check_failures, memory_order_relaxed);
}
