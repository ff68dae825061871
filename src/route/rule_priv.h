/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_priv - the compiled rules, shared by who builds and who reads them.
 *
 * WHY       Building is long and happens once; matching is short and happens for every statement.
 * OWNS      see weir/route/rule.h
 * THREADS   any, read only once built
 * REENTRY   none
 * UNITS     A set is `words` words of 64 rules; bit i is rule i.
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_ROUTE_RULE_PRIV_H
#define WEIR_ROUTE_RULE_PRIV_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <string.h>

#include <pcre2.h>

#include "weir/route/rule.h"
#include "weir/util/arena.h"
#include "weir/util/snap.h"

#define RULE_SETS_CLASS (VERB_END_ + (1 << RULE_GROUP_END_))
#define RULE_BLOCK      4   /* words that are looked at in one go; sets are padded to it */
#define RULE_NAME_MAX   256 /* of names of tables, schemas and users, with a terminator */

/* The rules that wait for one word. */
struct rule_ids {
    uint32_t *id;
    uint32_t count;
    uint32_t cap;
};

/* Bytes that a text must hold, in any case. */
#define RULE_PIECE_MAX 32
#define RULE_WAYS_MAX  16
#define RULE_GRAM      4  /* bytes of a piece that are looked for */
#define RULE_GRAM_BITS 15 /* of a set of hashes of grams */

struct rule_piece {
    uint8_t len;
    uint8_t text[RULE_PIECE_MAX];
};

/* One of these must be there. */
struct rule_need {
    unsigned count;
    struct rule_piece way[RULE_WAYS_MAX];
};

struct rule_gram {
    uint32_t gram;
    struct rule_ids ids; /* none: a free place */
};

/* Open addressing, at most half full; bits says of nearly all grams that they are not there. */
struct rule_grams {
    struct rule_gram *slot;
    size_t slot_count; /* power of two; 0: empty */
    size_t count;
    unsigned step;
    uint64_t bits[(1U << RULE_GRAM_BITS) / 64];
};

/* A word that rules wait for. */
struct rule_key {
    struct span text; /* as written */
    uint64_t hash;
    struct rule_ids ids;
    struct rule_key *in; /* of a table: the same name in one schema; chained */
};

/* Keys by hash: open addressing, at most half full. The words are the operator's; a statement's only
 * look for them. */
struct rule_keys {
    struct rule_key **slot;
    size_t slot_count; /* power of two; 0: empty */
    size_t count;
};

/* A word with * in it, lower case. */
struct rule_pattern {
    const char *schema; /* NULL: any */
    const char *name;
    struct rule_ids ids;
};

struct rule_patterns {
    struct rule_pattern *item;
    struct rule_grams grams; /* their numbers */
    struct rule_ids rest;    /* of those that have too little for that */
    uint32_t count;
    uint32_t cap;
};

struct rule_network {
    struct config_network network;
    uint32_t id;
};

struct rule_digest {
    uint64_t digest;
    uint32_t id;
};

struct rules {
    struct snap snap;
    /* counted */
    struct config *config;
    /* owning */
    struct arena arena;      /* sets, words */
    pcre2_code **code;       /* by rule; NULL: no expression */
    uint16_t *label;         /* by rule */
    struct rule_keys tables; /* by name, lower case; schemas below */
    struct rule_keys schemas;
    struct rule_keys users;
    struct rule_patterns table_patterns;
    struct rule_patterns schema_patterns;
    struct rule_grams grams; /* of expressions */
    struct rule_network *networks;
    uint32_t network_count;
    struct rule_digest *digests; /* sorted */
    uint32_t digest_count;
    /* sets: the rules without a condition of that kind */
    uint64_t *any_table;
    uint64_t *any_schema;
    uint64_t *any_user;
    uint64_t *any_client;
    uint64_t *any_digest;
    uint64_t *any_match; /* ... or whose expression may be found in any text */
    uint64_t *all;
    uint64_t *by_class[RULE_SETS_CLASS]; /* by verb, without class included; then by groups */
    /* values */
    uint32_t count;
    uint32_t words;
    bool has_table;
    bool has_schema;
    bool has_who;
    bool is_slow;
};

static inline uint64_t rule_load(const uint8_t *p, size_t len)
{
    uint64_t part = 0;

    memcpy(&part, p, len); /* len is a constant where it is inlined */
    return part;
}

/* Equal for all spellings that differ in case (and for some that do not: the text decides). */
static inline uint64_t rule_hash(const uint8_t *p, size_t len)
{
    const uint64_t fold = UINT64_C(0x2020202020202020);
    const uint64_t factor = UINT64_C(0xff51afd7ed558ccd);
    uint64_t hash = len * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t last = 0;

    for (; len > 8; p += 8, len -= 8) {
        hash = (hash ^ (rule_load(p, 8) | fold)) * factor;
        hash ^= hash >> 32;
    }
    if (len == 8) {
        last = rule_load(p, 8);
    } else if (len >= 4) { /* the two overlap */
        last = rule_load(p, 4) << 32 | rule_load(p + len - 4, 4);
    } else {
        for (size_t i = 0; i < len; i++) {
            last = last << 8 | p[i];
        }
    }
    hash = (hash ^ (last | fold)) * factor;
    return hash ^ hash >> 32;
}

/* NULL: no rule waits for it. Case does not matter unless has_case. */
struct rule_key *rule_keys_find(const struct rule_keys *keys, struct span text, bool has_case);
/* ASCII lower case, terminated; false: longer than RULE_NAME_MAX allows. */
bool rule_lower(struct span text, char dst[RULE_NAME_MAX]);

/* --- rule_need.c --- */
/* What a text must hold for the expression to be found in it, pieces of least bytes or more; false:
 * that is not known. */
bool rule_need_read(const char *pattern, size_t least, struct rule_need *ret_need);
/* The longest piece without * of a word. */
void rule_need_star(const char *pattern, struct rule_piece *ret_piece);

/* --- rule_gram.c --- */
/* How many of its grams are not in most statements. */
size_t rule_piece_rare(const struct rule_piece *piece);
/* The least that a piece must have. */
static inline size_t rule_grams_min(const struct rule_grams *grams)
{
    return RULE_GRAM + grams->step - 1;
}

int rule_grams_file(struct rule_grams *grams, const struct rule_piece *piece, uint32_t id);
void rule_grams_free(struct rule_grams *grams);
/* Who waits for the next gram of text at or behind *at, which moves on; NULL: nobody any more. */
const struct rule_ids *rule_grams_next(const struct rule_grams *grams, struct span text,
                                       size_t *at);

/* --- rule_compile.c --- */
int rule_ids_add(struct rule_ids *ids, uint32_t id);
/* for rule.c's destructor */
void rules_free(struct rules *rules);

#endif
