/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svec_priv - what svec.c, svec_set.c and svec_pack.c share.
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
#include "weir/util/buf.h"
#include "weir/util/map.h"

/* A vector and its bytes, as the last that were packed or unpacked had them. */
#define SVEC_PACKS 4

struct svec_packed {
    struct svec at;
    struct buf bytes; /* none: free */
};

struct svec_value {
    uint32_t refs; /* holders: vectors of this worker */
    uint32_t len;
    uint8_t bytes[];
};

struct svec_values {
    struct map map;             /* bytes -> struct svec_value */
    struct svec_value *unknown; /* stands for "not known"; equal to nothing that is wanted */
    /* The last pair of tracker lists found to suit each other: asked before every statement, so
     * the lists are compared once. Counted, so that an address cannot come to mean another. */
    struct svec_value *suits_have;
    struct svec_value *suits_want; /* NULL: none was wanted */
    enum topo_flavour suits_flavour;
    struct svec_packed packs[SVEC_PACKS];
    unsigned pack_next; /* to be replaced */
};

void svec_packs_fini(struct svec_values *values);

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
