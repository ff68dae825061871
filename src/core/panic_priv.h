/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic - the last words of the process, on a failed assertion or a fatal signal.
 *
 * WHY       The one line that says where, when there is no debugger.
 * OWNS      none
 * THREADS   panic_install(): the main thread, before others. The rest: whichever thread fails.
 * REENTRY   A second failure of the same kind while the first is reported ends the process.
 * UNITS     none
 * ERRORS    none
 * BOUNDS    Only async-signal-safe calls.
 */
#ifndef WEIR_CORE_PANIC_PRIV_H
#define WEIR_CORE_PANIC_PRIV_H

/* A handler that is there already (a sanitizer's) is left in place. */
void panic_install(void);

#endif
