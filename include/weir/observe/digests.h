/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digests - one worker's statements by their normalised text: how many, how long, where.
 *
 * WHY       What costs a database is seldom one statement and nearly always one kind of them.
 * OWNS      The table owns its entries and one reference on each text. A list owns copies of the
 *           numbers and a reference on each text, so it may go to another thread.
 * THREADS   A table: its worker. A list: whoever holds it.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(). bytes.
 * ERRORS    -ENOMEM. A statement that finds no place is not counted: nothing else suffers.
 * BOUNDS    max entries, DIGEST_TEXT_MAX bytes of text each. When full, one that was not used
 *           lately makes room, and is counted.
 */
#ifndef WEIR_OBSERVE_DIGESTS_H
#define WEIR_OBSERVE_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define DIGEST_TEXT_MAX ((size_t)1024)
#define DIGEST_BUCKETS  44 /* two per doubling, from 16 us to 33 s */
#define DIGESTS_NONE    UINT32_MAX

struct digest_text;
struct digests;

/* What is known of one digest. */
struct digest_row {
    uint64_t hash;
    struct digest_text *text; /* counted */
    uint64_t count;
    uint64_t errors;
    uint64_t on_replica; /* of count */
    uint64_t cache_hits; /* of count: no server was asked */
    uint64_t bytes;      /* sent to clients */
    uint64_t total_us;
    uint64_t max_us;
    uint64_t first_us; /* when it was seen first, since it was forgotten last */
    uint64_t last_us;
    uint32_t buckets[DIGEST_BUCKETS];
};

struct digest_sample {
    uint64_t now_us;
    uint64_t latency_us;
    uint64_t bytes;
    bool is_error;
    bool is_on_replica;
    bool is_cache_hit; /* answered from the cache */
};

struct digest_list {
    uint32_t count;
    uint32_t left_off; /* digests that the table holds beside these */
    uint64_t evicted;  /* by the table, so far */
    struct digest_row rows[];
};

/* max 0 gives no table (NULL): nothing is recorded. */
WR_NODISCARD int digests_create(uint32_t max, struct digests **ret_digests);
/* NULL is fine. */
void digests_destroy(struct digests *digests);

/* The place of a digest, which counts as used now; DIGESTS_NONE: not known. */
uint32_t digests_find(struct digests *digests, uint64_t hash);
/* A digest that digests_find() did not know; text is copied and cut. DIGESTS_NONE: no memory.
 * *ret_evicted: another one has made room. */
uint32_t digests_add(struct digests *digests, uint64_t hash, struct span text, uint64_t now_us,
                     bool *ret_evicted);
/* A statement is over. place: of digests_find() or digests_add() when it began; if its digest has
 * been forgotten since, nothing is counted. */
void digests_record(struct digests *digests, uint32_t place, uint64_t hash,
                    const struct digest_sample *sample);
uint32_t digests_count(const struct digests *digests);

/* The max digests that took most time, in no order. */
WR_NODISCARD int digests_list(const struct digests *digests, uint32_t max,
                              struct digest_list **ret_list);
/* Several lists as one, each digest once, most time first. NULL among them is fine. */
WR_NODISCARD int digest_list_merge(struct digest_list *const *lists, size_t count,
                                   struct digest_list **ret_list);
/* NULL is fine. */
void digest_list_free(struct digest_list *list);

struct span digest_text(const struct digest_row *row);
/* The latency that this part of the statements (0..1) kept below, as far as buckets can tell. */
uint64_t digest_quantile_us(const struct digest_row *row, double part);

#endif
