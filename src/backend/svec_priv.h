/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svec_priv - what svec.c and svec_set.c share.
 *
 * WHY       Reading vectors and writing SQL from them are two jobs.
 * OWNS      none
 * THREADS   The vector's worker.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_BACKEND_SVEC_PRIV_H
#define WEIR_BACKEND_SVEC_PRIV_H

#include "weir/backend/svec.h"

bool svec_is_unknown(const struct svec *svec, enum svec_var var);

/* Whether this pair of tracker lists was the last that was found to suit; remember one. */
bool svec_tracks_known(const struct svec *have, const struct svec *want, enum topo_flavour flavour);
void svec_tracks_learn(const struct svec *have, const struct svec *want, enum topo_flavour flavour);

/* The assignments that take EXTRA from have's to want's; *count: of those written so far. */
WR_NODISCARD int svec_extra_format(const struct svec *have, const struct svec *want,
                                   struct buf *text, int *count);

/* "SET a=@@a, ...", whose tracker entries tell a fresh connection's real values. */
WR_NODISCARD int svec_format_learn(const struct svec_policy *policy, struct buf *text);

#endif
