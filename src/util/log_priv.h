/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_priv - the text of one line, apart from rings and threads.
 *
 * WHY       Escaping is where logs get forged; it is a pure function with a table of tests.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    What does not fit is cut; the line stays well-formed.
 * BOUNDS    LOG_LINE_MAX
 */
#ifndef WEIR_UTIL_LOG_PRIV_H
#define WEIR_UTIL_LOG_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/log.h"

struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool is_json;
};

void log_line_begin(struct log_line *line, bool is_json, uint64_t wall_us, enum log_level level,
                    const char *thread);
/* key is a literal; value is escaped and quoted. */
void log_line_text(struct log_line *line, const char *key, const char *value);
void log_line_number(struct log_line *line, const char *key, uint64_t value);
/* Ends with a line feed. */
void log_line_end(struct log_line *line);

#endif
