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
#include <pcre2.h>

#include "weir/route/rule.h"
#include "weir/util/arena.h"
#include "weir/util/map.h"
#include "weir/util/snap.h"

#define RULE_SETS_CLASS (VERB_END_ + (1 << RULE_GROUP_END_))
#define RULE_NAME_MAX   256 /* of names of tables, schemas and users, with a terminator */

/* The rules that wait for one word. */
struct rule_ids {
    uint32_t *id;
    uint32_t count;
    uint32_t cap;
};

/* A word with * in it, lower case. */
struct rule_pattern {
    const char *schema; /* NULL: any */
    const char *name;
    struct rule_ids ids;
};

struct rule_patterns {
    struct rule_pattern *item;
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
    struct arena arena;   /* sets, words */
    pcre2_code **code;    /* by rule; NULL: no expression */
    uint16_t *label;      /* by rule */
    struct map tables;    /* "name" -> struct rule_ids, lower case */
    struct map qualified; /* "schema.name" */
    struct map schemas;
    struct map users;
    struct rule_patterns table_patterns;
    struct rule_patterns schema_patterns;
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
    uint64_t *all;
    uint64_t *by_class[RULE_SETS_CLASS]; /* by verb, without class included; then by groups */
    /* values */
    uint32_t count;
    uint32_t words;
    bool has_table;
    bool has_schema;
    bool has_who;
    bool has_digest;
    bool is_slow;
};

/* ASCII lower case; false: longer than RULE_NAME_MAX allows. */
bool rule_lower(struct span text, char dst[RULE_NAME_MAX]);

/* rule_compile.c; for rule.c's destructor */
void rules_free(struct rules *rules);

#endif
