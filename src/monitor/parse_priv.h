/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - values as servers write them. Pure.
 *
 * WHY       Results of the client library are text.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    false, or the value given for that case.
 * BOUNDS    Numbers of at most 19 digits.
 */
#ifndef WEIR_MONITOR_PARSE_PRIV_H
#define WEIR_MONITOR_PARSE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/str.h"

bool parse_u64(struct span text, uint64_t *ret_value);
uint64_t parse_u64_or(struct span text, uint64_t otherwise);
/* Everything but 0, OFF, NO, N, false, empty and NULL. MariaDB's newer read_only has more values
 * than two: all of them but OFF forbid writing. */
bool parse_flag(struct span text);

#endif
