/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost - what a new primary does not have of the one before. Pure.
 *
 * WHY       Replication is asynchronous: a write that was acknowledged may be gone after a crash,
 *           and somebody has to say so.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     transactions
 * ERRORS    none: what cannot be compared counts as nothing lost.
 * BOUNDS    Texts of SAMPLE_GTID_MAX bytes.
 */
#ifndef WEIR_MONITOR_LOST_PRIV_H
#define WEIR_MONITOR_LOST_PRIV_H

#include <stdint.h>

#include "weir/backend/topo.h"

/* How many transactions of had are not in has: sets of GTIDs as the servers write them. MariaDB's
 * positions are compared by domain and number alone, so that one which the new primary has already
 * written itself hides a lost one. */
uint64_t lost_count(enum topo_flavour flavour, const char *had, const char *has);

#endif
