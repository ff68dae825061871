/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - the primary's catalogue and account table, read into new snapshots.
 *
 * WHY       What a name means, and who may log in, is only known to the primary.
 * OWNS      none; results are the caller's references. struct load_bodies: the bodies read last.
 * THREADS   The loader thread; blocks. Runs beside the probes, so that a large catalogue never makes
 *           a primary look dead.
 * REENTRY   none
 * UNITS     none
 * ERRORS    Negative err code, and error says why (no secret in it).
 * BOUNDS    CATALOGUE_OBJECTS_MAX, ACCOUNTS_MAX. Of LOAD_FUNCTIONS_MAX functions or LOAD_BODIES_MAX
 *           bytes of their bodies; a primary with more has none of them judged.
 */
#ifndef WEIR_MONITOR_LOAD_PRIV_H
#define WEIR_MONITOR_LOAD_PRIV_H

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/topo.h"
#include "weir/classify/facts.h"
#include "weir/config/config.h"
#include "weir/monitor/dblib.h"

#define LOAD_FUNCTIONS_MAX 20000
#define LOAD_BODIES_MAX    (32U * 1024U * 1024U)
#define LOAD_NAME_BYTES    260

struct load_bodies;

struct load_source {
    struct db *db;
    enum topo_flavour flavour;
    uint32_t version;
    const struct config_functions *lists; /* what the operator says of functions; NULL: nothing */
    uint64_t settle_s; /* a function defined since has perhaps not reached every replica in use */
    struct load_bodies *bodies; /* kept from load to load; NULL: read anew */
    bool wants_links;           /* somebody keeps answers: what a write sets off */
};

struct load_report {
    char error[DB_ERROR_MAX];
    bool sees_all;                  /* the account has a global right by which every table shows */
    bool sees_triggers;             /* the same for triggers */
    size_t hidden_views;            /* views whose definition it may not read */
    size_t hidden_functions;        /* functions whose body it may not read */
    bool too_many_functions;        /* more of them, or larger bodies, than are judged */
    char no_links[DB_ERROR_MAX];    /* why what a write sets off is not known; "": it is */
    char no_loadable[DB_ERROR_MAX]; /* why the loadable functions are not known; "": they are */
};

WR_NODISCARD int load_catalogue(const struct load_source *source, uint64_t generation,
                                struct catalogue **ret_catalogue, struct load_report *report);
WR_NODISCARD int load_accounts(const struct load_source *source, uint64_t generation,
                               struct accounts **ret_accounts, struct load_report *report);

/* load_functions.c: the names of all routines and what is listed of them, into builder; nothing is
 * judged yet. What load_functions_pass() needs lies in the result. */
struct load_functions;
WR_NODISCARD int load_functions_read(const struct load_source *source,
                                     struct catalogue_builder *builder, struct load_report *report,
                                     struct load_functions **ret_functions);
void load_functions_destroy(struct load_functions *functions);
/* Judges those left; true when one turned out to be harmless. */
bool load_functions_pass(struct load_functions *functions, struct catalogue_builder *builder);
/* Writes down why the rest is not. */
WR_NODISCARD int load_functions_finish(struct load_functions *functions,
                                       struct catalogue_builder *builder);
struct load_bodies *load_bodies_create(void);
void load_bodies_destroy(struct load_bodies *bodies);

/* The plain name of a span in facts; false: it is none, or too long. */
bool load_name_plain(struct span written, char dst[LOAD_NAME_BYTES], struct span *ret_name);

/* load_links.c: what depends on what. A table of an engine that is not on the list is marked. */
WR_NODISCARD int load_engine_mark(struct catalogue_builder *builder, struct span schema,
                                  struct span name, struct span engine);
/* What a view reads that has just been found harmless. */
void load_view_link(struct catalogue_builder *builder, struct span schema, struct span name,
                    const struct facts *facts);
/* Foreign keys and triggers. What cannot be seen is in the report, and no reason to fail. */
WR_NODISCARD int load_links(const struct load_source *source, struct catalogue_builder *builder,
                            struct load_report *report);

/* load_keys.c: columns by which writes can be confined to rows. Of a table where they cannot be: marked. */
WR_NODISCARD int load_keys(const struct load_source *source, struct catalogue_builder *builder,
                           struct load_report *report);
WR_NODISCARD int load_rowless_mark(struct catalogue_builder *builder, struct span schema,
                                   struct span name);

/* Are all tables and functions in facts harmless? Names without a schema belong to schema (empty:
 * then they are not). ret_note, CATALOGUE_NOTE_MAX bytes, says which is not; may be NULL. */
bool load_names_are_harmless(const struct facts *facts, struct span schema,
                             const struct catalogue_builder *builder, char *ret_note);

#endif
