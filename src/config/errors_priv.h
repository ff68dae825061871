/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors - the mistakes found in one file.
 *
 * WHY       An operator wants all of them at once, in the order of the file.
 * OWNS      none
 * THREADS   one
 * REENTRY   none
 * UNITS     line, column: from 1.
 * ERRORS    none
 * BOUNDS    CONFIG_ERRORS_MAX are kept; a mistake takes the place of a warning.
 */
#ifndef WEIR_CONFIG_ERRORS_PRIV_H
#define WEIR_CONFIG_ERRORS_PRIV_H

#include "weir/config/config.h"

struct yaml_node;

void errors_init(struct config_errors *errs, const char *path);
/* at: NULL for the file as a whole. Bytes that are not printable ASCII become '?'. */
void errors_add(struct config_errors *errs, const struct yaml_node *at, const char *format, ...)
    WR_PRINTF(3, 4);
void errors_add_at(struct config_errors *errs, uint32_t line, uint32_t column, const char *format,
                   ...) WR_PRINTF(4, 5);
void errors_warn(struct config_errors *errs, const struct yaml_node *at, const char *format, ...)
    WR_PRINTF(3, 4);
/* By position; entries about the whole file come first. */
void errors_sort(struct config_errors *errs);

#endif
