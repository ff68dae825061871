/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload - the configuration file read again by a running weir, taken over whole or not at all.
 *
 * WHY       An operator changes rules, weights, limits, users and certificates while clients work.
 * OWNS      none; the report is the caller's.
 * THREADS   The control thread.
 * REENTRY   none
 * UNITS     none
 * ERRORS    0: taken over. -WR_E_CONFIG: mistakes in the file. -WR_E_STATE: something in it needs a
 *           restart, or weir is about to end. Others: certificates, log file, memory. Whatever it
 *           is, the old configuration is in force then.
 * BOUNDS    RELOAD_LINES_MAX lines of a report, RELOAD_LINE_BYTES each; more are counted.
 */
#ifndef WEIR_CORE_RELOAD_H
#define WEIR_CORE_RELOAD_H

#include <stdint.h>

#include "weir/util/attr.h"

#define RELOAD_LINES_MAX  64
#define RELOAD_LINE_BYTES 448

struct control;

struct reload_report {
    uint64_t generation; /* in force afterwards */
    uint32_t changes;    /* between the old file and the new one */
    uint32_t line_count;
    uint32_t dropped;  /* lines without room */
    uint64_t mistakes; /* a bit for each line that is why it was refused */
    char line[RELOAD_LINES_MAX][RELOAD_LINE_BYTES];
};

/* Reads the file that weir was started with. The outcome is in the log, too. */
WR_NODISCARD int control_reload(struct control *control, struct reload_report *ret_report);

#endif
