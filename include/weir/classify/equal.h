/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal - the one value that a statement compares a column with, or gives it.
 *
 * WHY       Answers are marked by whose they are (device 5), and ended by a write to the same.
 * OWNS      none: spans borrow from the SQL text.
 * THREADS   any; pure functions of their arguments.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    none: what is not proven is no value.
 * BOUNDS    One walk over the tokens, which only statements whose rule asks for a value are given.
 */
#ifndef WEIR_CLASSIFY_EQUAL_H
#define WEIR_CLASSIFY_EQUAL_H

#include "weir/classify/classify.h"

struct equal_value {
    bool is_param;    /* else text */
    uint16_t param;   /* which one, from 0 */
    uint16_t params;  /* how many the statement has */
    struct span text; /* digits as written, or what is between single quotes */
};

/*
 * facts are those of sql. True:
 *   SELECT: column = value is one of the conditions that all must hold, and neither FROM nor the
 *   rest of WHERE names such a column; no subquery, no UNION, no WITH.
 *   UPDATE, DELETE of one table: the same, and the column is named nowhere else.
 *   INSERT of one row with a list of columns: the column is given this value.
 */
bool equal_find(struct span sql, const struct classify_env *env, const struct facts *facts,
                struct span column, struct equal_value *ret_value);

/*
 * text is a piece of sql that somebody has found there. True: it is a whole number, what is between single
 * quotes (or with them), or a parameter's mark, and stands by itself: no sign, no sum, no two strings in a
 * row. What it means the statement does not say.
 */
bool equal_literal(struct span sql, const struct classify_env *env, const struct facts *facts,
                   struct span text, struct equal_value *ret_value);

/*
 * True: SELECT, UPDATE, DELETE or INSERT of one table by its plain name, and nothing beside it: no join,
 * not twice, no PARTITION, no hint for an index, no point in time; of SELECT, no other query either.
 * Spans are as written.
 */
bool equal_table(struct span sql, const struct classify_env *env, const struct facts *facts,
                 struct facts_table *ret_table);

#endif
