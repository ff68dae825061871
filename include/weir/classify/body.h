/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body - the body of a stored function -> struct facts: is it proven to do nothing but read?
 *
 * WHY       Servers keep no promise about what a function does (READS SQL DATA is a comment to
 *           them), so a call may only go to a replica when the body itself says that it may.
 * OWNS      none; spans in facts borrow from body.
 * THREADS   any; pure
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    classify_function_body() cannot fail: what it does not understand is FACT(PRIMARY).
 * BOUNDS    CLASSIFY_MAX_BODY bytes, CLASSIFY_MAX_DEPTH blocks, CLASSIFY_MAX_LOCALS variables in
 *           scope, and those of facts: more is not understood.
 */
#ifndef WEIR_CLASSIFY_BODY_H
#define WEIR_CLASSIFY_BODY_H

#include <stddef.h>

#include "weir/classify/classify.h"

#define CLASSIFY_MAX_BODY   (64U * 1024U)
#define CLASSIFY_MAX_LOCALS 128

/*
 * body: as information_schema.ROUTINES gives it, from RETURN or BEGIN on. env: sql_mode and
 * character set of its creation; schema: its own, which names without a schema belong to.
 * params: plain names of the parameters.
 * FACT(READ): harmless when all tables are; FACT(CALLS): when all calls are, too. Else why and
 * culprit say what is not.
 */
void classify_function_body(struct span body, const struct classify_env *env,
                            const struct span *params, size_t param_count, struct facts *ret_facts);

#endif
