/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duration - a length of time as people write it: 250ms, 5s, 2m.
 *
 * WHY       The file, hints and query attributes mean the same by the same words.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds. In texts: us, ms, s, m, h, d, in small letters.
 * ERRORS    false: not a duration, or too long; *ret_us is untouched.
 * BOUNDS    64 bits of microseconds.
 */
#ifndef WEIR_UTIL_DURATION_H
#define WEIR_UTIL_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

/* A whole number and its unit, nothing else; 0 needs none. */
WR_NODISCARD bool duration_parse(struct span text, uint64_t *ret_us);
/* As clients write it: a bare number is seconds. At most max_us. */
WR_NODISCARD bool duration_parse_hint(struct span text, uint64_t max_us, uint64_t *ret_us);

/* The shortest exact notation, as it is parsed. */
void duration_format(uint64_t us, char *dst, size_t cap);
/* For who wants to know how long about: "1.250s", "12ms", "700us". */
void duration_format_about(uint64_t us, char *dst, size_t cap);

#endif
