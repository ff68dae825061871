/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching. For each kind of condition there is the set of rules that fit by it; the rules that fit
 * are what the sets have in common, looked at in their order, a block at a time:
 *
 *   who & class & table & schema  --(digest, bytes: when a rule asks)-->  expression  -->  the first
 *
 * A kind that no rule uses is the set of all. Sets are only copied when the statement's words are
 * on file; else the rules without such a condition are a set that is there already.
 */
#include "weir/route/rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/fault.h"

#include "rule_priv.h"

#define WORDS_MAX     (CONFIG_RULES_MAX / 64)
#define JIT_STACK_MIN ((size_t)32 * 1024)
#define JIT_STACK_MAX ((size_t)256 * 1024)

struct rule_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    uint64_t table[WORDS_MAX];
    uint64_t schema[WORDS_MAX];
    uint64_t digest[WORDS_MAX];
    uint64_t match[WORDS_MAX];
    uint64_t who[WORDS_MAX];
    struct facts_table mentions[RULE_TABLES_MAX];
    char plain[RULE_NAME_MAX]; /* the name at hand, without quotes */
};

int rule_scratch_create(struct rule_scratch **ret_scratch)
{
    struct rule_scratch *scratch = fault_calloc(1, sizeof(*scratch));

    if (scratch == NULL) {
        return -ENOMEM;
    }
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    scratch->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (scratch->data == NULL || scratch->context == NULL) {
        rule_scratch_destroy(scratch);
        return -ENOMEM;
    }
    (void)pcre2_set_match_limit(scratch->context, RULE_MATCH_LIMIT);
    (void)pcre2_set_depth_limit(scratch->context, RULE_DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(scratch->context, RULE_HEAP_KIB);
    if (scratch->stack != NULL) { /* where no machine code may be made there is none */
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    }
    *ret_scratch = scratch;
    return 0;
}

void rule_scratch_destroy(struct rule_scratch *scratch)
{
    if (scratch == NULL) {
        return;
    }
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    free(scratch);
}

void rule_who_reset(struct rule_who *who)
{
    free(who->bits);
    *who = (struct rule_who){.bits = NULL};
}

unsigned rule_groups(const struct facts *facts)
{
    const uint64_t tx = FACT(STARTS_TX) | FACT(ENDS_TX);
    unsigned groups = 0;

    if ((facts->bits & FACT(READ)) != 0) {
        return 1U << RULE_GROUP_READ;
    }
    if ((facts->bits & FACT(DDL)) != 0) {
        groups |= 1U << RULE_GROUP_DDL;
    }
    if ((facts->bits & FACT(DML)) != 0 ||
        ((facts->bits & FACT(WRITE)) != 0 && (facts->bits & FACT(DDL)) == 0)) {
        groups |= 1U << RULE_GROUP_WRITE;
    }
    if ((facts->bits & tx) != 0 || facts->verb == VERB_SAVEPOINT || facts->verb == VERB_XA) {
        groups |= 1U << RULE_GROUP_TRANSACTION;
    }
    return groups == 0 ? 1U << RULE_GROUP_OTHER : groups;
}

/* --- sets --- */

/* The ids into the set at *set, which is copied from any to own first. */
static void add_ids(const struct rules *rules, const struct rule_ids *ids, const uint64_t *any,
                    uint64_t *own, const uint64_t **set)
{
    if (*set != own) {
        memcpy(own, any, rules->words * sizeof(*own));
        *set = own;
    }
    for (uint32_t i = 0; i < ids->count; i++) {
        own[ids->id[i] / 64] |= UINT64_C(1) << (ids->id[i] % 64);
    }
}

/* * stands for any bytes. Both are terminated. */
static bool pattern_fits(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *again = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

/* The patterns that may fit a name: those of its grams, then those that are not in grams. */
struct pattern_next {
    const struct rule_pattern *item; /* NULL: no more */
    struct span name;
    const struct rule_ids *ids;
    size_t at;      /* in name */
    uint32_t which; /* of ids */
    bool is_rest;
};

static void patterns_next(const struct rule_patterns *patterns, struct pattern_next *next)
{
    next->item = NULL;
    while (next->ids == NULL || next->which == next->ids->count) {
        if (next->is_rest) {
            return;
        }
        next->which = 0;
        next->ids = rule_grams_next(&patterns->grams, next->name, &next->at);
        if (next->ids == NULL) {
            next->is_rest = true;
            next->ids = &patterns->rest;
        }
    }
    next->item = &patterns->item[next->ids->id[next->which++]];
}

static struct pattern_next patterns_begin(const struct rule_patterns *patterns, struct span name)
{
    struct pattern_next next = {.name = name};

    patterns_next(patterns, &next);
    return next;
}

static const uint64_t *schema_set(const struct rules *rules, struct rule_scratch *scratch,
                                  struct span schema)
{
    const uint64_t *set = rules->any_schema;
    const struct rule_key *key = NULL;
    struct pattern_next next;
    char text[RULE_NAME_MAX];

    if (schema.len == 0) {
        return set;
    }
    key = rule_keys_find(&rules->schemas, schema, false);
    if (key != NULL) {
        add_ids(rules, &key->ids, rules->any_schema, scratch->schema, &set);
    }
    if (rules->schema_patterns.count == 0 || !rule_lower(schema, text)) {
        return set;
    }
    schema.p = (const uint8_t *)text;
    for (next = patterns_begin(&rules->schema_patterns, schema); next.item != NULL;
         patterns_next(&rules->schema_patterns, &next)) {
        if (pattern_fits(next.item->name, text)) {
            add_ids(rules, &next.item->ids, rules->any_schema, scratch->schema, &set);
        }
    }
    return set;
}

/* The name without its quotes; plain is where it goes when it had any. */
static struct span plain_name(struct span written, char plain[RULE_NAME_MAX])
{
    size_t len = 0;

    if (written.len == 0 || (written.p[0] != '`' && written.p[0] != '"' && written.p[0] != '[')) {
        return written;
    }
    len = classify_name_decode(written, plain, RULE_NAME_MAX);
    return (struct span){(const uint8_t *)plain, len < RULE_NAME_MAX ? len : 0};
}

static void table_add_patterns(const struct rules *rules, struct rule_scratch *scratch,
                               struct span name, struct span schema, const uint64_t **set)
{
    const struct rule_patterns *patterns = &rules->table_patterns;
    struct pattern_next next;
    char name_text[RULE_NAME_MAX];
    char schema_text[RULE_NAME_MAX];

    if (!rule_lower(name, name_text) || !rule_lower(schema, schema_text)) {
        return;
    }
    for (next = patterns_begin(patterns, name); next.item != NULL; patterns_next(patterns, &next)) {
        if (pattern_fits(next.item->name, name_text) &&
            (next.item->schema == NULL || pattern_fits(next.item->schema, schema_text))) {
            add_ids(rules, &next.item->ids, rules->any_table, scratch->table, set);
        }
    }
}

/* What follows the look-up of the name itself: the same name in one schema, patterns. */
static void table_add_more(const struct rules *rules, struct rule_scratch *scratch,
                           const struct rule_key *key, const struct facts_table *table,
                           struct span name, struct span selected, const uint64_t **set)
{
    char plain[RULE_NAME_MAX];
    struct span schema = table->schema.len != 0 ? plain_name(table->schema, plain) : selected;

    for (key = key == NULL ? NULL : key->in; key != NULL; key = key->in) {
        if (span_eq_nocase(key->text, schema)) {
            add_ids(rules, &key->ids, rules->any_table, scratch->table, set);
        }
    }
    if (rules->table_patterns.count != 0) {
        table_add_patterns(rules, scratch, name, schema, set);
    }
}

static void table_add(const struct rules *rules, struct rule_scratch *scratch,
                      const struct facts_table *table, struct span selected, const uint64_t **set)
{
    struct span name = plain_name(table->name, scratch->plain);
    const struct rule_key *key = NULL;

    if (name.len == 0) {
        return; /* longer than a name can be */
    }
    key = rule_keys_find(&rules->tables, name, false);
    if (key != NULL && key->ids.count != 0) {
        add_ids(rules, &key->ids, rules->any_table, scratch->table, set);
    }
    if ((key != NULL && key->in != NULL) || rules->table_patterns.count != 0) {
        table_add_more(rules, scratch, key, table, name, selected, set);
    }
}

static const uint64_t *table_set(const struct rules *rules, struct rule_scratch *scratch,
                                 const struct rule_input *in)
{
    const uint64_t *set = rules->any_table;
    const struct facts_table *tables = in->facts->tables;
    size_t count = in->facts->table_count;

    if ((in->facts->bits & FACT(READ)) == 0) {
        tables = scratch->mentions;
        count = classify_mentions(in->sql, in->env, scratch->mentions, RULE_TABLES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        table_add(rules, scratch, &tables[i], in->schema, &set);
    }
    return set;
}

static const uint64_t *digest_set(const struct rules *rules, struct rule_scratch *scratch,
                                  struct rule_input *in)
{
    const uint64_t *set = rules->any_digest;
    uint32_t low = 0;
    uint32_t high = rules->digest_count;

    if (!in->has_digest) {
        in->digest = classify_digest_hash(in->sql, in->env);
        in->has_digest = true;
    }
    while (low < high) { /* the first that is not smaller */
        uint32_t mid = (low + high) / 2;
        bool is_smaller = rules->digests[mid].digest < in->digest;

        low = is_smaller ? mid + 1 : low;
        high = is_smaller ? high : mid;
    }
    for (; low < rules->digest_count && rules->digests[low].digest == in->digest; low++) {
        struct rule_ids one = {.id = &rules->digests[low].id, .count = 1};

        add_ids(rules, &one, rules->any_digest, scratch->digest, &set);
    }
    return set;
}

/* The rules whose expressions may be found in the text, by the bytes that they need. A text that is
 * made of such bytes is not worth more looks than there are rules. */
static const uint64_t *match_set(const struct rules *rules, struct rule_scratch *scratch,
                                 struct span sql)
{
    const uint64_t *set = rules->any_match;
    const struct rule_ids *ids = NULL;
    size_t at = 0;
    size_t looks = 0;

    while ((ids = rule_grams_next(&rules->grams, sql, &at)) != NULL) {
        looks += ids->count;
        if (looks > 4 * (size_t)rules->count) {
            return rules->all;
        }
        add_ids(rules, ids, rules->any_match, scratch->match, &set);
    }
    return set;
}

/* --- who --- */

struct peer {
    bool is_known;
    bool is_v6;
    uint8_t addr[16];
};

/* An IPv4 address is one, however it is written. */
static void peer_parse(const char *host, struct peer *ret_peer)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    memset(ret_peer, 0, sizeof(*ret_peer));
    if (host == NULL) {
        return;
    }
    ret_peer->is_v6 = strchr(host, ':') != NULL;
    ret_peer->is_known = inet_pton(ret_peer->is_v6 ? AF_INET6 : AF_INET, host, ret_peer->addr) == 1;
    if (ret_peer->is_v6 && memcmp(ret_peer->addr, mapped, sizeof(mapped)) == 0) {
        memmove(ret_peer->addr, ret_peer->addr + sizeof(mapped), 4);
        ret_peer->is_v6 = false;
    }
}

static bool is_in_network(const struct config_network *network, const struct peer *peer)
{
    unsigned bytes = network->bits / 8U;
    unsigned rest = network->bits % 8U;

    if (!peer->is_known || peer->is_v6 != network->is_v6 ||
        memcmp(peer->addr, network->addr, bytes) != 0) {
        return false;
    }
    return rest == 0 || (peer->addr[bytes] ^ network->addr[bytes]) >> (8U - rest) == 0;
}

static void who_fill(const struct rules *rules, const struct rule_input *in, uint64_t *bits)
{
    uint64_t client[WORDS_MAX];
    const struct rule_key *key = NULL;
    struct peer peer;

    memcpy(bits, rules->any_user, rules->words * sizeof(*bits));
    memcpy(client, rules->any_client, rules->words * sizeof(*client));
    key = rule_keys_find(&rules->users, in->user, true);
    for (uint32_t i = 0; key != NULL && i < key->ids.count; i++) {
        bits[key->ids.id[i] / 64] |= UINT64_C(1) << (key->ids.id[i] % 64);
    }
    peer_parse(in->is_unix ? NULL : in->host, &peer);
    for (uint32_t i = 0; i < rules->network_count; i++) {
        const struct rule_network *item = &rules->networks[i];

        if (item->network.is_unix ? in->is_unix : is_in_network(&item->network, &peer)) {
            client[item->id / 64] |= UINT64_C(1) << (item->id % 64);
        }
    }
    for (uint32_t w = 0; w < rules->words; w++) {
        bits[w] &= client[w];
    }
}

static const uint64_t *who_set(const struct rules *rules, struct rule_scratch *scratch,
                               struct rule_who *who, const struct rule_input *in)
{
    if (who->generation == rules->snap.generation && who->bits != NULL) {
        return who->bits;
    }
    rule_who_reset(who);
    who->bits = fault_malloc(rules->words * sizeof(uint64_t));
    if (who->bits == NULL) { /* found again the next time */
        who_fill(rules, in, scratch->who);
        return scratch->who;
    }
    who_fill(rules, in, who->bits);
    who->generation = rules->snap.generation;
    return who->bits;
}

/* --- the first that fits --- */

static bool expression_fits(const pcre2_code *code, struct rule_scratch *scratch,
                            struct rule_input *in)
{
    static const uint8_t nothing = 0;
    int rc = pcre2_match(code, in->sql.p != NULL ? in->sql.p : &nothing, in->sql.len, 0, 0,
                         scratch->data, scratch->context);

    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        in->gave_up++;
    }
    return rc >= 0;
}

#define GROUP_NAME_MAX 33 /* PCRE2's own limit, and the end */

/* <0: it does not fit, or nobody knows. */
static int group_match(const pcre2_code *code, struct rule_scratch *scratch, struct span sql,
                       size_t from, pcre2_match_data *data)
{
    return pcre2_match(code, sql.p, sql.len, from, 0, data, scratch->context);
}

static int group_take(const pcre2_code *code, struct rule_scratch *scratch, struct span sql,
                      uint32_t number, pcre2_match_data *data, struct span *ret_text)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    int count = group_match(code, scratch, sql, 0, data);
    size_t from = 0;
    size_t to = 0;
    size_t end = 0;

    if (count <= (int)number || at[2 * number] == PCRE2_UNSET || at[1] <= at[0]) {
        return -1;
    }
    from = at[2 * number];
    to = at[2 * number + 1];
    end = at[1];
    if (to < from || group_match(code, scratch, sql, end, data) != PCRE2_ERROR_NOMATCH) {
        return -1;
    }
    *ret_text = (struct span){sql.p + from, to - from};
    return 1;
}

int rules_group(const struct rules *rules, struct rule_scratch *scratch,
                const struct config_rule *rule, struct span sql, struct span name,
                struct span *ret_text)
{
    const pcre2_code *code = NULL;
    pcre2_match_data *data = NULL;
    char text[GROUP_NAME_MAX];
    int number = 0;
    int rc = -1;

    if (rule < rules->config->rules || rule >= rules->config->rules + rules->count ||
        name.len >= sizeof(text)) {
        return 0;
    }
    code = rules->code[rule - rules->config->rules];
    (void)span_copy(name, text, sizeof(text));
    number = code == NULL ? PCRE2_ERROR_NOSUBSTRING
                          : pcre2_substring_number_from_name(code, (PCRE2_SPTR)text);
    if (number == PCRE2_ERROR_NOSUBSTRING) {
        return 0;
    }
    data = number < 0 || sql.p == NULL ? NULL : pcre2_match_data_create_from_pattern(code, NULL);
    if (data != NULL) {
        rc = group_take(code, scratch, sql, (uint32_t)number, data, ret_text);
        pcre2_match_data_free(data);
    }
    return rc;
}

/* The sets of one match. */
struct sets {
    const uint64_t *who;
    const uint64_t *verb;
    const uint64_t *groups;
    const uint64_t *table;
    const uint64_t *schema;
    /* all, until a rule asks that all else has left */
    const uint64_t *digest;
    const uint64_t *match;
    bool knows_digest;
    bool knows_match;
};

/* Only the tables of reads are known already; for others it is worth to see who asks. */
static bool wants_tables(const struct rules *rules, const struct rule_input *in,
                         const struct sets *sets)
{
    if (!rules->has_table || (in->facts->bits & FACT(READ)) != 0) {
        return rules->has_table && in->facts->table_count != 0;
    }
    for (uint32_t w = 0; w < rules->words; w++) {
        if ((sets->who[w] & (sets->verb[w] | sets->groups[w]) & ~rules->any_table[w]) != 0) {
            return true;
        }
    }
    return false;
}

static inline uint64_t word_left(const struct sets *sets, uint32_t w)
{
    return sets->who[w] & sets->table[w] & sets->schema[w] & sets->digest[w] & sets->match[w] &
           (sets->verb[w] | sets->groups[w]);
}

/* Two words at a time; sets are words in memory. */
typedef uint64_t lanes __attribute__((vector_size(16), aligned(8), may_alias));

static inline lanes lanes_at(const uint64_t *set, uint32_t w)
{
    return *(const lanes *)(const void *)&set[w];
}

static inline lanes lanes_left(const struct sets *sets, uint32_t w)
{
    return lanes_at(sets->who, w) & lanes_at(sets->table, w) & lanes_at(sets->schema, w) &
           lanes_at(sets->digest, w) & lanes_at(sets->match, w) &
           (lanes_at(sets->verb, w) | lanes_at(sets->groups, w));
}

/* The first block from word w on in which some rule is left. Few branches: this is what a thousand
 * rules cost the statement that none of them fits. */
static uint32_t block_find(const struct sets *sets, uint32_t w, uint32_t words)
{
    const struct sets s = *sets; /* into registers */

    _Static_assert(RULE_BLOCK == 4, "one term for each two words of a block");
    for (; w < words; w += RULE_BLOCK) {
        lanes left = lanes_left(&s, w) | lanes_left(&s, w + 2);

        if ((left[0] | left[1]) != 0) {
            break;
        }
    }
    return w;
}

/* Does a rule that is left in the block have a condition that the set any is without? */
static bool asks(const struct sets *sets, const uint64_t *any, uint32_t w)
{
    lanes left = (lanes_left(sets, w) & ~lanes_at(any, w)) |
                 (lanes_left(sets, w + 2) & ~lanes_at(any, w + 2));

    return (left[0] | left[1]) != 0;
}

/* True: a set more is known now. */
static bool know_more(const struct rules *rules, struct rule_scratch *scratch,
                      struct rule_input *in, struct sets *sets, uint32_t w)
{
    bool is_more = false;

    if (!sets->knows_digest && asks(sets, rules->any_digest, w)) {
        sets->knows_digest = true;
        sets->digest = digest_set(rules, scratch, in);
        is_more = true;
    }
    if (!sets->knows_match && asks(sets, rules->any_match, w)) {
        sets->knows_match = true;
        sets->match = match_set(rules, scratch, in->sql);
        is_more = true;
    }
    return is_more;
}

/* The first that fits of the block at word w; -1: none. */
static int block_first(const struct rules *rules, struct rule_scratch *scratch,
                       struct rule_input *in, const struct sets *sets, uint32_t w)
{
    for (uint32_t end = w + RULE_BLOCK; w < end; w++) {
        for (uint64_t left = word_left(sets, w); left != 0; left &= left - 1) {
            uint32_t id = w * 64 + (uint32_t)__builtin_ctzll(left);

            if (rules->code[id] == NULL || expression_fits(rules->code[id], scratch, in)) {
                return (int)id;
            }
        }
    }
    return -1;
}

int rules_match(const struct rules *rules, struct rule_scratch *scratch, struct rule_who *who,
                struct rule_input *in)
{
    struct sets sets = {.table = rules->any_table,
                        .schema = rules->any_schema,
                        .digest = rules->all,
                        .match = rules->all};
    int found = -1;

    in->gave_up = 0;
    if (rules->count == 0) {
        return -1;
    }
    sets.verb = rules->by_class[in->facts->verb];
    sets.groups = rules->by_class[VERB_END_ + rule_groups(in->facts)];
    sets.who = rules->has_who ? who_set(rules, scratch, who, in) : rules->all;
    if (rules->has_schema) {
        sets.schema = schema_set(rules, scratch, in->schema);
    }
    if (in->has_digest && rules->digest_count != 0) {
        sets.digest = digest_set(rules, scratch, in);
        sets.knows_digest = true;
    }
    if (wants_tables(rules, in, &sets)) {
        sets.table = table_set(rules, scratch, in);
    }
    for (uint32_t w = 0; found < 0;) {
        w = block_find(&sets, w, rules->words);
        if (w >= rules->words) {
            return -1;
        }
        if (!know_more(rules, scratch, in, &sets, w)) {
            found = block_first(rules, scratch, in, &sets, w);
            w += RULE_BLOCK;
        }
    }
    return found;
}

/* --- what there is --- */

const struct rules *rules_ref(const struct rules *rules)
{
    struct rules *own = (struct rules *)(uintptr_t)rules; /* only the count changes */

    (void)snap_ref(&own->snap);
    return rules;
}

void rules_unref(const struct rules *rules)
{
    struct rules *own = (struct rules *)(uintptr_t)rules; /* only the count changes */

    if (own != NULL) {
        snap_unref(&own->snap);
    }
}

uint64_t rules_generation(const struct rules *rules)
{
    return rules->snap.generation;
}

uint32_t rules_count(const struct rules *rules)
{
    return rules->count;
}

const struct config_rule *rules_get(const struct rules *rules, uint32_t index)
{
    WR_ASSERT(index < rules->count);
    return &rules->config->rules[index];
}

bool rules_are_slow(const struct rules *rules)
{
    return rules->is_slow;
}

void rules_set_label(struct rules *rules, uint32_t index, uint16_t label)
{
    WR_ASSERT(index < rules->count);
    rules->label[index] = label;
}

uint16_t rules_label(const struct rules *rules, uint32_t index)
{
    return rules->label[index];
}
