/* SPDX-License-Identifier: Apache-2.0 */
/*
 * left - what a statement leaves behind by name: temporary tables, prepared texts, handlers, named
 *        locks, and user variables set to literals.
 *
 * WHY       A pin may end when the last name that it is about has gone; a variable whose value is
 *           in the text can be set again elsewhere.
 * OWNS      none: spans borrow from the SQL text.
 * THREADS   any; pure functions of their arguments.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    none: what is not told for certain is not in `known`, or gives no literals.
 * BOUNDS    LEFT_NAMES_MAX names, LEFT_VARS_MAX variables; one more walk over the tokens, which
 *           only statements that have to do with a pin are given.
 */
#ifndef WEIR_CLASSIFY_LEFT_H
#define WEIR_CLASSIFY_LEFT_H

#include "weir/classify/classify.h"
#include "weir/classify/facts.h"

#define LEFT_NAMES_MAX 16
#define LEFT_VARS_MAX  32

enum left_op {
    LEFT_ADD,    /* one more */
    LEFT_ENSURE, /* one, whether there was one or not */
    LEFT_DROP,   /* one less, if there was one */
};

/* Table, alias or prepared name: as written, quotes included. Lock: what is between the quotes. */
struct left_name {
    enum classify_pin pin;
    enum left_op op;
    struct span schema; /* of a table, when it is written */
    struct span name;
};

struct left_names {
    uint32_t known;   /* PIN_BIT()s of which names[] is all that the statement does */
    uint32_t blurred; /* PIN_BIT()s whose state may have other names now */
    bool frees_locks; /* which ones really are free, the server knows */
    unsigned count;
    struct left_name names[LEFT_NAMES_MAX];
};

/* facts are those of sql. */
void left_find_names(struct span sql, const struct classify_env *env, const struct facts *facts,
                     struct left_names *ret_names);

struct left_var {
    struct span name;    /* no quotes, no '@' */
    struct span literal; /* means the same in every sql_mode and character set; see is_text */
    bool is_text;        /* a string: it is given the character set of its connection */
};

/* The user variables of a SET, when each gets a literal: their number. 0: another statement, or one
 * that cannot be repeated word for word. *ret_is_mixed: it sets other variables, too, which have no
 * pin of their own, and none of the user's on the way. */
unsigned left_find_vars(struct span sql, const struct classify_env *env, const struct facts *facts,
                        struct left_var ret_vars[LEFT_VARS_MAX], bool *ret_is_mixed);

#endif
