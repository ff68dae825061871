/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_priv - what the files of this room share.
 *
 * WHY       Statements carry names; the decision and its explanation both deal in them.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    false: not understood, the target is untouched.
 * BOUNDS    Names up to ROUTE_NAME_MAX - 1 bytes.
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

#endif
