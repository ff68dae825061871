/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag - names that operators give to answers, so that they can be ended by whose they are.
 *
 * WHY       "All about device 5" is no table, but what an application knows that it has changed.
 * OWNS      none
 * THREADS   any; plain functions of their arguments.
 * REENTRY   none
 * UNITS     none
 * ERRORS    cache_tags_lease(): -ENOENT, a value is not told by the statement; -WR_E_LIMIT.
 * BOUNDS    Tags as in config.h; a value has CACHE_TAG_VALUE_MAX bytes. An answer depends on each of
 *           its tags, and on each beginning of one that ends with a colon: "a:b" on "a:" and "a:b:".
 */
#ifndef WEIR_CACHE_TAG_H
#define WEIR_CACHE_TAG_H

#include <stdint.h>

#include "weir/cache/version.h"
#include "weir/classify/classify.h"
#include "weir/config/config.h"
#include "weir/protocol/stmt.h"
#include "weir/util/attr.h"

#define CACHE_TAG_VALUE_MAX 64U

/* A named group of the rule's expression, as rules_group(). */
typedef int cache_group_fn(const void *arg, const struct config_rule *rule, struct span sql,
                           struct span name, struct span *ret_text);

struct cache_tag_in {
    const struct config_rule *rule; /* that fits; NULL: none */
    cache_group_fn *group;          /* NULL: its expression is not asked */
    const void *group_arg;
    struct span sql;
    const struct classify_env *env;
    const struct facts *facts;          /* of sql */
    const struct stmt_execute *execute; /* NULL: a text, or parameters that are not looked at */
    uint16_t params;
    struct span types; /* two bytes for each of params */
};

/* The value of one column as tags have it. digits: where it may lie. */
bool cache_tag_value(const struct cache_tag_in *in, struct span column,
                     char digits[STMT_DIGITS_MAX], struct span *ret_value);
/* Before the statement is sent. */
WR_NODISCARD int cache_tags_lease(const struct version_board *board, struct version_lease *lease,
                                  const struct config_words *tags, const struct cache_tag_in *in);
/* What a write ends. A value that it does not tell stands for all: what is in front of it, up to the
 * last colon. */
void cache_tags_write(struct version_writes *writes, const struct config_words *patterns,
                      const struct cache_tag_in *in);
/* The same, only of patterns whose values it tells. */
void cache_tags_told(struct version_writes *writes, const struct config_words *patterns,
                     const struct cache_tag_in *in);
/* "a:b": answers with that tag. "a:*": those, and with any that begins with "a:". False: it is neither. */
bool cache_tag_purge(struct span tag, struct version_writes *writes);

#endif
