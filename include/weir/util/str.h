/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str - a borrowed run of bytes: pointer and length, no terminator.
 *
 * WHY       SQL and packet fields are never copied to be looked at.
 * OWNS      none: a span borrows; its holder says until when.
 * THREADS   any
 * REENTRY   none
 * UNITS     len: bytes.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_STR_H
#define WEIR_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const uint8_t *p;
    size_t len;
};

#define SPAN_LIT(s) ((struct span){(const uint8_t *)(s), sizeof(s) - 1})

/* A span over a C string (strlen). NULL gives the empty span. */
struct span span_of(const char *text);
bool span_eq(struct span a, struct span b);
/* ASCII case folded; the only case rule that SQL keywords and config names need. */
bool span_eq_nocase(struct span a, struct span b);
bool span_eq_text(struct span a, const char *text);
bool span_eq_text_nocase(struct span a, const char *text);

/* Edits (insert, delete, replace, swap of neighbours) between two words, ASCII case folded; 99 when
 * either is longer than 40 bytes. */
unsigned span_distance_nocase(struct span a, struct span b);

/* The number that it begins with; returns how many digits, 0 also when 64 bits do not hold it: then
 * *ret_value is untouched. */
size_t span_digits(struct span a, uint64_t *ret_value);

/* Copies at most cap-1 bytes and terminates; returns the number copied. */
size_t span_copy(struct span a, char *dst, size_t cap);

#endif
