/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index over all rules, built once. Every condition of a rule files the rule under its words;
 * rules without a condition of a kind are in that kind's `any` set, so that the rules that fit by
 * one kind are always `any` and the ones filed under the statement's words.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "rule_priv.h"

#define ARENA_MAX   ((size_t)256 * 1024 * 1024)
#define PATTERN_MAX 4096
#define NEST_MAX    100

bool rule_lower(struct span text, char dst[RULE_NAME_MAX])
{
    if (text.len >= RULE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];

        dst[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    dst[text.len] = '\0';
    return true;
}

struct rule_key *rule_keys_find(const struct rule_keys *keys, struct span text, bool has_case)
{
    uint64_t hash = 0;

    if (keys->count == 0) {
        return NULL;
    }
    hash = rule_hash(text.p, text.len);
    for (size_t at = hash;; at++) {
        struct rule_key *key = keys->slot[at & (keys->slot_count - 1)];

        if (key == NULL ||
            (key->hash == hash &&
             (span_eq(key->text, text) || (!has_case && span_eq_nocase(key->text, text))))) {
            return key;
        }
    }
}

static void keys_free(struct rule_keys *keys)
{
    for (size_t i = 0; i < keys->slot_count; i++) {
        for (struct rule_key *key = keys->slot[i]; key != NULL; key = key->in) {
            free(key->ids.id); /* the keys are the arena's */
        }
    }
    free(keys->slot);
}

static void patterns_free(struct rule_patterns *patterns)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        free(patterns->item[i].ids.id);
    }
    free(patterns->item);
    free(patterns->rest.id);
    rule_grams_free(&patterns->grams);
}

void rules_free(struct rules *rules)
{
    for (uint32_t i = 0; rules->code != NULL && i < rules->count; i++) {
        pcre2_code_free(rules->code[i]);
    }
    free(rules->code);
    free(rules->label);
    keys_free(&rules->tables);
    keys_free(&rules->schemas);
    keys_free(&rules->users);
    patterns_free(&rules->table_patterns);
    patterns_free(&rules->schema_patterns);
    rule_grams_free(&rules->grams);
    free(rules->networks);
    free(rules->digests);
    arena_fini(&rules->arena);
    config_unref(rules->config);
    free(rules);
}

static void set_bit(uint64_t *set, uint32_t id)
{
    set[id / 64] |= UINT64_C(1) << (id % 64);
}

int rule_ids_add(struct rule_ids *ids, uint32_t id)
{
    if (ids->count > 0 && ids->id[ids->count - 1] == id) {
        return 0; /* a word given twice */
    }
    if (ids->count == ids->cap) {
        uint32_t cap = ids->cap == 0 ? 2 : ids->cap * 2;
        uint32_t *grown = fault_realloc(ids->id, cap * sizeof(*grown));

        if (grown == NULL) {
            return -ENOMEM;
        }
        ids->id = grown;
        ids->cap = cap;
    }
    ids->id[ids->count++] = id;
    return 0;
}

static struct rule_key *key_create(struct rules *rules, struct span text)
{
    struct rule_key *key = arena_zalloc(&rules->arena, sizeof(*key));

    if (key == NULL) {
        return NULL;
    }
    key->text = arena_dup(&rules->arena, text);
    key->hash = rule_hash(text.p, text.len);
    return key->text.p == NULL ? NULL : key;
}

static void keys_put(struct rule_keys *keys, struct rule_key *key)
{
    size_t at = key->hash;

    while (keys->slot[at & (keys->slot_count - 1)] != NULL) {
        at++;
    }
    keys->slot[at & (keys->slot_count - 1)] = key;
    keys->count++;
}

static int keys_grow(struct rule_keys *keys)
{
    struct rule_keys grown = {.slot_count = keys->slot_count == 0 ? 16 : keys->slot_count * 2};

    grown.slot = fault_calloc(grown.slot_count, sizeof(struct rule_key *));
    if (grown.slot == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < keys->slot_count; i++) {
        if (keys->slot[i] != NULL) {
            keys_put(&grown, keys->slot[i]);
        }
    }
    free(keys->slot);
    *keys = grown;
    return 0;
}

/* The key of a word, made when it is new. */
static struct rule_key *keys_take(struct rules *rules, struct rule_keys *keys, struct span text,
                                  bool has_case)
{
    struct rule_key *key = rule_keys_find(keys, text, has_case);

    if (key != NULL) {
        return key;
    }
    if (2 * (keys->count + 1) > keys->slot_count && keys_grow(keys) < 0) {
        return NULL;
    }
    key = key_create(rules, text);
    if (key != NULL) {
        keys_put(keys, key);
    }
    return key;
}

static int word_file(struct rules *rules, struct rule_keys *keys, const char *text, bool has_case,
                     uint32_t id)
{
    struct rule_key *key = keys_take(rules, keys, span_of(text), has_case);

    return key == NULL ? -ENOMEM : rule_ids_add(&key->ids, id);
}

static int pattern_file(struct rules *rules, struct rule_patterns *patterns, const char *schema,
                        const char *name, uint32_t id)
{
    struct rule_pattern *pattern = NULL;
    struct rule_piece piece;

    for (uint32_t i = 0; i < patterns->count; i++) {
        pattern = &patterns->item[i];
        if (strcmp(pattern->name, name) == 0 &&
            (schema == NULL || pattern->schema == NULL ? schema == pattern->schema
                                                       : strcmp(schema, pattern->schema) == 0)) {
            return rule_ids_add(&pattern->ids, id);
        }
    }
    if (patterns->count == patterns->cap) {
        uint32_t cap = patterns->cap == 0 ? 8 : patterns->cap * 2;
        struct rule_pattern *grown = fault_realloc(patterns->item, cap * sizeof(*grown));

        if (grown == NULL) {
            return -ENOMEM;
        }
        patterns->item = grown;
        patterns->cap = cap;
    }
    pattern = &patterns->item[patterns->count];
    *pattern = (struct rule_pattern){
        .schema = schema == NULL ? NULL : (const char *)arena_dup(&rules->arena, span_of(schema)).p,
        .name = (const char *)arena_dup(&rules->arena, span_of(name)).p,
    };
    if (pattern->name == NULL || (schema != NULL && pattern->schema == NULL)) {
        return -ENOMEM;
    }
    patterns->count++;
    rule_need_star(name, &piece);
    if ((piece.len < rule_grams_min(&patterns->grams)
             ? rule_ids_add(&patterns->rest, patterns->count - 1)
             : rule_grams_file(&patterns->grams, &piece, patterns->count - 1)) < 0) {
        return -ENOMEM;
    }
    return rule_ids_add(&pattern->ids, id);
}

/* --- one kind of condition each --- */

/* A name in one schema hangs below the name itself. */
static int qualified_file(struct rules *rules, struct span schema, struct span name, uint32_t id)
{
    struct rule_key *key = keys_take(rules, &rules->tables, name, false);
    struct rule_key *in = NULL;

    if (key == NULL) {
        return -ENOMEM;
    }
    in = key->in;
    while (in != NULL && !span_eq_nocase(in->text, schema)) {
        in = in->in;
    }
    if (in == NULL) {
        in = key_create(rules, schema);
        if (in == NULL) {
            return -ENOMEM;
        }
        in->in = key->in;
        key->in = in;
    }
    return rule_ids_add(&in->ids, id);
}

static int table_file(struct rules *rules, const char *text, uint32_t id)
{
    const char *dot = strchr(text, '.');
    char word[RULE_NAME_MAX];

    if (strchr(text, '*') != NULL) {
        if (!rule_lower(span_of(text), word)) {
            return 0; /* the config takes 255 bytes at most */
        }
        if (dot == NULL) {
            return pattern_file(rules, &rules->table_patterns, NULL, word, id);
        }
        word[dot - text] = '\0';
        return pattern_file(rules, &rules->table_patterns, word, word + (dot - text) + 1, id);
    }
    return dot == NULL
               ? word_file(rules, &rules->tables, text, false, id)
               : qualified_file(rules, (struct span){(const uint8_t *)text, (size_t)(dot - text)},
                                span_of(dot + 1), id);
}

static int schema_file(struct rules *rules, const char *text, uint32_t id)
{
    char word[RULE_NAME_MAX];

    if (strchr(text, '*') == NULL) {
        return word_file(rules, &rules->schemas, text, false, id);
    }
    return rule_lower(span_of(text), word)
               ? pattern_file(rules, &rules->schema_patterns, NULL, word, id)
               : 0;
}

static int user_file(struct rules *rules, const char *text, uint32_t id)
{
    return word_file(rules, &rules->users, text, true, id);
}

static int client_file(struct rules *rules, const char *word, uint32_t id)
{
    struct rule_network *network = &rules->networks[rules->network_count];

    if (!config_network_parse(word, &network->network)) {
        return -WR_E_STATE; /* the config has checked it */
    }
    network->id = id;
    rules->network_count++;
    return 0;
}

static int digest_file(struct rules *rules, const char *word, uint32_t id)
{
    rules->digests[rules->digest_count++] =
        (struct rule_digest){.digest = strtoull(word, NULL, 16), .id = id};
    return 0;
}

typedef int (*file_fn)(struct rules *rules, const char *word, uint32_t id);

/* Files rule id under each word; without words it is in any. */
static int words_file(struct rules *rules, const struct config_words *words, uint32_t id,
                      file_fn file, uint64_t *any)
{
    int rc = 0;

    if (words->count == 0) {
        set_bit(any, id);
    }
    for (uint32_t i = 0; i < words->count && rc == 0; i++) {
        rc = file(rules, words->item[i], id);
    }
    return rc;
}

static const char *const group_names[] = {
#define X(name, text) text,
    RULE_GROUPS(X)
#undef X
};

static void class_file_word(struct rules *rules, const char *word, uint32_t id)
{
    for (unsigned group = 0; group < RULE_GROUP_END_; group++) {
        if (strcmp(group_names[group], word) != 0) {
            continue;
        }
        for (unsigned mask = 0; mask < 1U << RULE_GROUP_END_; mask++) {
            if ((mask >> group & 1U) != 0) {
                set_bit(rules->by_class[VERB_END_ + mask], id);
            }
        }
        return;
    }
    for (unsigned verb = 0; verb < VERB_END_; verb++) {
        if (strcmp(classify_verb_name((enum classify_verb)verb), word) == 0) {
            set_bit(rules->by_class[verb], id);
            return;
        }
    }
    WR_DASSERT(false); /* schema.h has a word that classify has not */
}

static void class_file(struct rules *rules, const struct config_words *words, uint32_t id)
{
    for (unsigned verb = 0; words->count == 0 && verb < VERB_END_; verb++) {
        set_bit(rules->by_class[verb], id);
    }
    for (uint32_t i = 0; i < words->count; i++) {
        class_file_word(rules, words->item[i], id);
    }
}

/* --- expressions --- */

static int match_compile(struct rules *rules, uint32_t id, pcre2_compile_context *context,
                         struct config_errors *errs)
{
    const struct config_rule *rule = &rules->config->rules[id];
    uint32_t options = PCRE2_DOTALL | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C |
                       (rule->match_caseless ? PCRE2_CASELESS : 0U);
    PCRE2_UCHAR why[160];
    PCRE2_SIZE at = 0;
    int code = 0;

    rules->code[id] =
        pcre2_compile((PCRE2_SPTR)rule->match, strlen(rule->match), options, &code, &at, context);
    if (rules->code[id] == NULL) {
        (void)pcre2_get_error_message(code, why, sizeof(why));
        config_add_error(errs, rule->match_at,
                         "match is no regular expression: %s, at its character %zu; in YAML it "
                         "stands best in single quotes",
                         (const char *)why, (size_t)at + 1);
        return -WR_E_CONFIG;
    }
    if (pcre2_jit_compile(rules->code[id], PCRE2_JIT_COMPLETE) != 0) {
        rules->is_slow = true;
    }
    return 0;
}

static int matches_compile(struct rules *rules, struct config_errors *errs)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int rc = 0;

    if (context == NULL) {
        return -ENOMEM;
    }
    (void)pcre2_set_max_pattern_length(context, PATTERN_MAX);
    (void)pcre2_set_parens_nest_limit(context, NEST_MAX);
    for (uint32_t id = 0; id < rules->count; id++) {
        if (rules->config->rules[id].match != NULL) {
            int one = match_compile(rules, id, context, errs);

            rc = one < 0 ? one : rc;
        }
    }
    pcre2_compile_context_free(context);
    return rc;
}

/* --- all of it --- */

static int order_digest(const void *a, const void *b)
{
    const struct rule_digest *x = a;
    const struct rule_digest *y = b;

    return x->digest < y->digest ? -1 : x->digest > y->digest;
}

static int sets_create(struct rules *rules)
{
    uint64_t **const sets[] = {&rules->any_table,  &rules->any_schema, &rules->any_user,
                               &rules->any_client, &rules->any_digest, &rules->any_match,
                               &rules->all};
    size_t bytes = rules->words * sizeof(uint64_t);

    for (size_t i = 0; i < WR_ARRAY_LEN(sets); i++) {
        *sets[i] = arena_zalloc(&rules->arena, bytes);
        if (*sets[i] == NULL) {
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < RULE_SETS_CLASS; i++) {
        rules->by_class[i] = arena_zalloc(&rules->arena, bytes);
        if (rules->by_class[i] == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int arrays_create(struct rules *rules)
{
    const struct config *config = rules->config;
    size_t networks = 0;
    size_t digests = 0;

    for (uint32_t i = 0; i < rules->count; i++) {
        networks += config->rules[i].client.count;
        digests += config->rules[i].digest.count;
    }
    rules->code = fault_calloc((size_t)rules->count + 1, sizeof(pcre2_code *));
    rules->label = fault_calloc((size_t)rules->count + 1, sizeof(*rules->label));
    rules->networks = fault_calloc(networks + 1, sizeof(*rules->networks));
    rules->digests = fault_calloc(digests + 1, sizeof(*rules->digests));
    return rules->code == NULL || rules->label == NULL || rules->networks == NULL ||
                   rules->digests == NULL
               ? -ENOMEM
               : sets_create(rules);
}

static int match_file(struct rules *rules, const char *match, uint32_t id)
{
    struct rule_need need;
    int rc = 0;

    if (match == NULL || !rule_need_read(match, rule_grams_min(&rules->grams), &need)) {
        set_bit(rules->any_match, id);
        return 0;
    }
    for (unsigned i = 0; i < need.count && rc == 0; i++) {
        rc = rule_grams_file(&rules->grams, &need.way[i], id);
    }
    return rc;
}

static int rule_file(struct rules *rules, uint32_t id)
{
    const struct config_rule *rule = &rules->config->rules[id];
    int rc = words_file(rules, &rule->table, id, table_file, rules->any_table);

    rc = rc < 0 ? rc : words_file(rules, &rule->schema, id, schema_file, rules->any_schema);
    rc = rc < 0 ? rc : words_file(rules, &rule->user, id, user_file, rules->any_user);
    rc = rc < 0 ? rc : words_file(rules, &rule->client, id, client_file, rules->any_client);
    rc = rc < 0 ? rc : words_file(rules, &rule->digest, id, digest_file, rules->any_digest);
    rc = rc < 0 ? rc : match_file(rules, rule->match, id);
    class_file(rules, &rule->class_words, id);
    set_bit(rules->all, id);
    rules->has_table = rules->has_table || rule->table.count != 0;
    rules->has_schema = rules->has_schema || rule->schema.count != 0;
    rules->has_who = rules->has_who || rule->user.count != 0 || rule->client.count != 0;
    return rc;
}

static void rules_destroy(struct snap *snap)
{
    rules_free(WR_CONTAINER_OF(snap, struct rules, snap));
}

int rules_compile(struct config *config, uint64_t generation, struct config_errors *errs,
                  struct rules **ret_rules)
{
    struct rules *rules = fault_calloc(1, sizeof(*rules));
    int rc = 0;

    if (rules == NULL) {
        return -ENOMEM;
    }
    snap_init(&rules->snap, generation, rules_destroy);
    rules->config = config_ref(config);
    rules->count = config->rule_count;
    rules->words = (config->rule_count + 63) / 64;
    rules->words = (rules->words + RULE_BLOCK - 1) / RULE_BLOCK * RULE_BLOCK;
    rules->grams.step = 2; /* texts are longer than names */
    rules->table_patterns.grams.step = 1;
    rules->schema_patterns.grams.step = 1;
    arena_init(&rules->arena, ARENA_MAX);
    rc = arrays_create(rules);
    rc = rc < 0 ? rc : matches_compile(rules, errs);
    for (uint32_t id = 0; id < rules->count && rc == 0; id++) {
        rc = rule_file(rules, id);
    }
    if (rc < 0) {
        snap_unref(&rules->snap);
        return rc;
    }
    qsort(rules->digests, rules->digest_count, sizeof(*rules->digests), order_digest);
    *ret_rules = rules;
    return 0;
}
