/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print - one setting's value as a file would have it.
 *
 * WHY       A config is shown, and two are compared, by the same words.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    Those of the stream stay in it.
 * BOUNDS    none
 */
#ifndef WEIR_CONFIG_PRINT_PRIV_H
#define WEIR_CONFIG_PRINT_PRIV_H

#include <stdbool.h>
#include <stdio.h>

struct config;
struct schema_setting;

/* Whether the setting has something to show. target: its member. */
bool print_is_set(const struct schema_setting *s, const void *target);
void print_value(const struct config *config, const struct schema_setting *s, const void *target,
                 FILE *out);

#endif
