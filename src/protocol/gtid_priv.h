/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gtid_priv - what gtid.c and gtid_text.c share.
 *
 * WHY       Sets are one thing, their texts another.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     see weir/protocol/gtid.h
 * ERRORS    -WR_E_LIMIT, -ENOMEM; the set may have got a source that no range uses.
 * BOUNDS    limits
 */
#ifndef WEIR_PROTOCOL_GTID_PRIV_H
#define WEIR_PROTOCOL_GTID_PRIV_H

#include "weir/protocol/gtid.h"

WR_NODISCARD int gtid_source_add(struct gtid_set *set, const struct gtid_source *source,
                                 const struct gtid_limits *limits, uint32_t *ret_index);
/* from <= to < UINT64_MAX. */
WR_NODISCARD int gtid_range_add(struct gtid_set *set, const struct gtid_range *range,
                                const struct gtid_limits *limits);

#endif
