/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - the primary's catalogue and account table, read into new snapshots.
 *
 * WHY       What a name means, and who may log in, is only known to the primary.
 * OWNS      none; results are the caller's references.
 * THREADS   The loader thread; blocks. Runs beside the probes, so that a large catalogue never makes
 *           a primary look dead.
 * REENTRY   none
 * UNITS     none
 * ERRORS    Negative err code, and error says why (no secret in it).
 * BOUNDS    CATALOGUE_OBJECTS_MAX, ACCOUNTS_MAX.
 */
#ifndef WEIR_MONITOR_LOAD_PRIV_H
#define WEIR_MONITOR_LOAD_PRIV_H

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/topo.h"

#include "dblib_priv.h"

struct load_source {
    struct db *db;
    enum topo_flavour flavour;
    uint32_t version;
};

struct load_report {
    char error[DB_ERROR_MAX];
    bool sees_all;       /* the account has a global right by which every table shows */
    size_t hidden_views; /* views whose definition it may not read */
};

WR_NODISCARD int load_catalogue(const struct load_source *source, uint64_t generation,
                                struct catalogue **ret_catalogue, struct load_report *report);
WR_NODISCARD int load_accounts(const struct load_source *source, uint64_t generation,
                               struct accounts **ret_accounts, struct load_report *report);

/* Is a view of this body harmless: one read over names that builder knows as base tables or as
 * harmless views? body is as information_schema gives it. Pure. */
bool load_view_is_harmless(const struct load_source *source, struct span body,
                           const struct catalogue_builder *builder);

#endif
