/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gtid - sets of global transaction identifiers, as MySQL and as MariaDB write them.
 *
 * WHY       What a session must see is a set of transactions, and so is what a server has executed:
 *           whether the one holds the other decides where a read may run.
 * OWNS      A struct gtid_set owns its two arrays.
 * THREADS   any; a set that is shared is not changed any more.
 * REENTRY   none
 * UNITS     Numbers of transactions, from 1. Ranges include both ends.
 * ERRORS    -WR_E_BAD_PACKET: not such a text; -WR_E_LIMIT; -ENOMEM. The target is unchanged then.
 * BOUNDS    struct gtid_limits of each call that makes a set grow.
 *
 * MySQL: intervals for each source, a UUID with or without a tag (8.3 and later). MariaDB: one
 * position for each domain; the server id says who wrote it, and is no part of the order.
 */
#ifndef WEIR_PROTOCOL_GTID_H
#define WEIR_PROTOCOL_GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

struct buf;

#define GTID_TAG_MAX 32

enum gtid_kind {
    GTID_ANY, /* an empty set of no flavour; to gtid_parse(): whatever the text looks like */
    GTID_MYSQL,
    GTID_MARIADB,
};

struct gtid_source {
    uint8_t uuid[16];
    uint8_t tag_len; /* 0: none */
    char tag[GTID_TAG_MAX];
};

struct gtid_range {
    uint32_t source; /* MySQL: index in sources; MariaDB: domain */
    uint32_t server; /* MariaDB: who wrote `to`; MySQL: 0 */
    uint64_t from;   /* MariaDB: 0 */
    uint64_t to;
};

/* All zeroes is an empty set. */
struct gtid_set {
    enum gtid_kind kind;
    uint32_t source_count;
    uint32_t source_cap;
    uint32_t count;
    uint32_t cap;
    struct gtid_source *sources; /* in order of appearance */
    struct gtid_range *ranges;   /* by source, then from; none touches the next */
};

/* What one set may hold. A domain of MariaDB counts as a range. */
struct gtid_limits {
    uint32_t sources;
    uint32_t ranges;
};

/* Of one session, and of one server: what is larger is not known, and reads go to the primary. */
extern const struct gtid_limits GTID_LIMITS_TOKEN;
extern const struct gtid_limits GTID_LIMITS_SERVER;

void gtid_init(struct gtid_set *set);
void gtid_fini(struct gtid_set *set);
/* Empty, of no flavour; the storage stays. */
void gtid_clear(struct gtid_set *set);
bool gtid_is_empty(const struct gtid_set *set);

/* The whole text, strictly: white space only around commas and at the ends. An empty text is the
 * empty set. ret_set has been initialised; what it held is replaced. */
WR_NODISCARD int gtid_parse(struct span text, enum gtid_kind kind, const struct gtid_limits *limits,
                            struct gtid_set *ret_set);
/* As gtid_parse(), added to what is there. Sets of two flavours have no union: -WR_E_BAD_PACKET. */
WR_NODISCARD int gtid_add_text(struct gtid_set *set, struct span text,
                               const struct gtid_limits *limits);
WR_NODISCARD int gtid_add(struct gtid_set *set, const struct gtid_set *more,
                          const struct gtid_limits *limits);
WR_NODISCARD int gtid_copy(struct gtid_set *dst, const struct gtid_set *src);

/* Adds more, and of its sources all numbers between the last that set has and it. On failure the set
 * may have got a part. Of MariaDB's domains the set may have no other: -WR_E_UNSUPPORTED. */
WR_NODISCARD int gtid_add_up_to(struct gtid_set *set, const struct gtid_set *more,
                                const struct gtid_limits *limits);
/* Every transaction of want is in have. MariaDB: have is as far or further in each domain. */
bool gtid_has(const struct gtid_set *have, const struct gtid_set *want);
/* How many transactions of want are not in have; 0 of sets of two flavours. MariaDB: by how much
 * have's numbers are behind, over all domains. */
uint64_t gtid_count_missing(const struct gtid_set *have, const struct gtid_set *want);
/* Gaps between ranges of set that are no gaps in whole are filled: fewer ranges, and nothing in
 * them that whole does not have. */
void gtid_close_gaps(struct gtid_set *set, const struct gtid_set *whole);

/* Appends the set as its servers write it, without white space. */
WR_NODISCARD int gtid_format(const struct gtid_set *set, struct buf *out, size_t max);

#endif
