/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stmt_priv - values of the binary protocol, for those who only look past them.
 *
 * WHY       Parameters and attributes are written in the same way.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    The wire's own.
 * BOUNDS    none
 */
#ifndef WEIR_PROTOCOL_STMT_PRIV_H
#define WEIR_PROTOCOL_STMT_PRIV_H

#include <stdint.h>

struct wire;

/* Skip one value. The low byte of the type says how long it is. */
void stmt_skip_value(struct wire *wire, uint8_t type);

#endif
