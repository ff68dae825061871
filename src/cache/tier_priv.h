/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tier_priv - what Redis says of itself, for the metrics.
 *
 * WHY       Whether Redis is too small, or evicts, is seen beside what weir makes of it.
 * OWNS      A connection of its own, so that nobody's answer waits behind it.
 * THREADS   The loop's.
 * REENTRY   none
 * UNITS     none
 * ERRORS    0 or a negative err code. What does not come, or is not understood, is not told.
 * BOUNDS    INFO every INFO_US; replies of INFO_REPLY_MAX bytes.
 */
#ifndef WEIR_CACHE_TIER_PRIV_H
#define WEIR_CACHE_TIER_PRIV_H

#include "weir/redis/link.h"
#include "weir/util/attr.h"
#include "weir/util/metric.h"
#include "weir/util/str.h"

struct loop;
struct resolver;
struct tier_info;

WR_NODISCARD int tier_info_create(struct loop *loop, struct resolver *resolver,
                                  const struct redis_conf *conf, struct metric_shard *metrics,
                                  struct tier_info **ret_info);
void tier_info_destroy(struct tier_info *info); /* NULL is fine */
/* The lines of a reply to INFO, into the metrics. */
void tier_info_read(struct span text, struct metric_shard *metrics);

#endif
