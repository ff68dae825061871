/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_priv - what the files of this room share.
 *
 * WHY       Hints carry durations, statements names; the decision and its explanation both deal in
 *           them.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds.
 * ERRORS    false: not understood, the target is untouched.
 * BOUNDS    Durations up to a day. Names up to ROUTE_NAME_MAX - 1 bytes.
 */
#ifndef WEIR_ROUTE_DECIDE_PRIV_H
#define WEIR_ROUTE_DECIDE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/str.h"

#define ROUTE_NAME_MAX 256

/* The plain name of a span in facts; dst (ROUTE_NAME_MAX bytes) holds it when there were quotes. */
bool route_name_plain(struct span written, char *dst, struct span *ret_plain);

/* "250ms", "5s", "2m", "1h"; a bare number is seconds. */
bool route_duration_parse(struct span text, uint64_t *ret_us);
/* "1.250s", "12ms", "700us". dst has at least 32 bytes. */
void route_duration_format(uint64_t us, char *dst, size_t cap);

#endif
