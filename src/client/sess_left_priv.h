/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_left_priv - what a session has left on its connections by name, so that pins end, and
 *                  variables that can be set again elsewhere.
 *
 * WHY       Most sessions leave nothing behind: these exist only for those that do.
 * OWNS      Their buffers.
 * THREADS   The owning worker only.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    none: a name for which there is no room blurs its pin, which then lasts until a reset.
 * BOUNDS    NAMESET_MAX bytes of names, SESS_VARS_MAX of variables.
 */
#ifndef WEIR_CLIENT_SESS_LEFT_PRIV_H
#define WEIR_CLIENT_SESS_LEFT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/svec.h"
#include "weir/classify/facts.h"
#include "weir/util/buf.h"
#include "weir/util/str.h"

#define NAMESET_MAX      4096U
#define NAMESET_NAME_MAX 600U
#define SESS_VARS_MAX    8192U

/* Names by pin, each as often as there may be such a thing. All zeroes is empty. */
struct nameset {
    struct buf bytes;
    uint32_t blurred; /* PIN_BIT()s of which not every name is known */
};

void nameset_fini(struct nameset *set);
unsigned nameset_count(const struct nameset *set, enum classify_pin pin, struct span name);
/* No room: the pin is blurred. */
void nameset_add(struct nameset *set, enum classify_pin pin, struct span name);
/* One of that name, if there is one. */
void nameset_remove(struct nameset *set, enum classify_pin pin, struct span name);
/* Every name of the pin; it is not blurred any more. */
void nameset_clear(struct nameset *set, enum classify_pin pin);
/* No name, and none that is not known. */
bool nameset_is_empty(const struct nameset *set, enum classify_pin pin);
/* The n-th name of a pin; p NULL behind the last. */
struct span nameset_name(const struct nameset *set, enum classify_pin pin, unsigned n);

struct sess_pins {
    /* owning */
    struct nameset set;
    struct buf pending; /* what the statement in hand does to it */
    /* values: of the statement in hand */
    uint32_t known;
    uint32_t blurred;
    bool frees_locks;
    /* a lock may have been freed since the server was asked last */
    bool is_ask_due;
};

/* User variables with literal values, in the order in which they were set first. */
struct varlist {
    struct buf bytes;
    bool has_text;
};

void varlist_fini(struct varlist *list);
/* 0, or -WR_E_TOO_LARGE, -ENOMEM: then nothing has changed. */
WR_NODISCARD int varlist_set(struct varlist *list, struct span name, struct span literal);
/* Every variable of more into list. */
WR_NODISCARD int varlist_merge(struct varlist *list, const struct varlist *more);
/* Appends "SET @`a`=1,@`b`='x'". */
WR_NODISCARD int varlist_format(const struct varlist *list, struct buf *text);

struct sess_vars {
    /* owning */
    struct varlist list;
    struct varlist pending; /* of the statement in hand */
    struct svec at;         /* how its strings were read; absent values are those of a login */
    /* values */
    uint32_t gen; /* new with every change; 0: nothing is set */
};

#endif
