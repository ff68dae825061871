/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain - what the cache would do with a statement, in words.
 *
 * WHY       "Why is this not kept?" is asked by clients and by operators, of one function.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    The caller's buffer; a text that does not fit is cut.
 */
#ifndef WEIR_CACHE_EXPLAIN_H
#define WEIR_CACHE_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "weir/cache/judge.h"
#include "weir/cache/tag.h"
#include "weir/util/str.h"

struct cache;
struct catalogue;
struct version_lease;

struct cache_row;

struct cache_lease_in {
    const struct catalogue *catalogue;
    uint64_t ddl_seen;
    struct span schema;
    struct cache_tag_in statement; /* only its facts, for a plan that is not about values */
};

/* What the answer to a proven read will depend on: its tags and a flush where time alone ends it. An entry
 * that is there has a lease of its own: what its names meant when it was read they mean for as long as that
 * holds, for a definition that changes is a write. So hits need none. ret_row, for explanations, may be
 * NULL: column is empty when it depends on whole tables. */
enum cache_pass cache_take_lease(const struct cache *cache, const struct cache_plan *plan,
                                 const struct cache_lease_in *in, struct version_lease *ret_lease,
                                 struct cache_row *ret_row);
/* cache may be NULL: off; then nothing else is looked at. */
void cache_explain(const struct cache *cache, const struct cache_ask *ask,
                   const struct cache_lease_in *in, char *dst, size_t cap);

#endif
