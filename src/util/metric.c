/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/metric.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/fault.h"

#define METRIC_NAME_MAX   64
#define METRIC_LABELS_MAX (2 * METRIC_NAME_MAX + 16)

/* What a metric is, one row per METRIC_LIST line. */
struct metric_def {
    const char *name;
    const char *help;
    const char *const *labels; /* one per value; NULL: servers; labels_RULE: rules */
    size_t word;
    size_t label_count;
    enum metric_kind kind;
};

#define X(set, value, text) text,
static const char *const labels_CLASS[] = {METRIC_SET_CLASS(X)};
static const char *const labels_LOGIN[] = {METRIC_SET_LOGIN(X)};
static const char *const labels_DIR[] = {METRIC_SET_DIR(X)};
static const char *const labels_PIN[] = {METRIC_SET_PIN(X)};
static const char *const labels_ERROR[] = {METRIC_SET_ERROR(X)};
static const char *const labels_RELOAD[] = {METRIC_SET_RELOAD(X)};
static const char *const labels_EVENT[] = {METRIC_SET_EVENT(X)};
static const char *const labels_MISS[] = {METRIC_SET_MISS(X)};
static const char *const labels_UNFILLED[] = {METRIC_SET_UNFILLED(X)};
static const char *const labels_PASS[] = {METRIC_SET_PASS(X)};
static const char *const labels_SOURCE[] = {METRIC_SET_SOURCE(X)};
static const char *const labels_REFRESH[] = {METRIC_SET_REFRESH(X)};
static const char *const labels_TIER_OP[] = {METRIC_SET_TIER_OP(X)};
static const char *const labels_TIER_MISS[] = {METRIC_SET_TIER_MISS(X)};
static const char *const labels_TIER_UNFILLED[] = {METRIC_SET_TIER_UNFILLED(X)};
static const char *const labels_TIER_TROUBLE[] = {METRIC_SET_TIER_TROUBLE(X)};
#undef X
static const char *const labels_NONE[] = {""};
static const char *const *const labels_SERVER = NULL;
static const char *const labels_RULE[] = {""}; /* the names are the registry's */

static const struct metric_def metric_defs[] = {
#define X(name, text, kind, set, help) \
    {text, help, labels_##set, METRIC_##name, METRIC_##set##_COUNT_, METRIC_KIND_##kind},
    METRIC_LIST(X)
#undef X
};

/* By first word: how many label values there are, so that a bad label cannot hit a neighbour. */
static const uint8_t label_counts[METRIC_WORDS] = {
#define X(name, text, kind, set, help) [METRIC_##name] = METRIC_##set##_COUNT_,
    METRIC_LIST(X)
#undef X
};

/* Microseconds. */
static const uint64_t bucket_bounds[METRIC_BUCKETS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};
static const char *const bucket_texts[METRIC_BUCKETS] = {
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
    "0.05",   "0.1",     "0.25",   "0.5",   "1",      "2.5",   "5",    "10",
};

struct shard_node {
    struct shard_node *next;
    struct metric_shard shard;
};

struct metric_registry {
    pthread_mutex_t lock; /* of the list and the names; never of the words */
    struct shard_node *shards;
    char server_names[METRIC_SERVERS_MAX][METRIC_NAME_MAX];
    char rule_names[METRIC_RULES_MAX][METRIC_NAME_MAX + 1];
};

int metric_registry_create(struct metric_registry **ret_registry)
{
    struct metric_registry *registry = fault_calloc(1, sizeof(*registry));

    if (registry == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&registry->lock, NULL);
    *ret_registry = registry;
    return 0;
}

void metric_registry_destroy(struct metric_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    while (registry->shards != NULL) {
        struct shard_node *node = registry->shards;
        registry->shards = node->next;
        free(node);
    }
    (void)pthread_mutex_destroy(&registry->lock);
    free(registry);
}

int metric_shard_create(struct metric_registry *registry, struct metric_shard **ret_shard)
{
    if (WR_FAULT("alloc")) {
        return -ENOMEM;
    }
    struct shard_node *node = aligned_alloc(_Alignof(struct shard_node), sizeof(*node));
    if (node == NULL) {
        return -ENOMEM;
    }
    memset(node, 0, sizeof(*node));
    (void)pthread_mutex_lock(&registry->lock);
    node->next = registry->shards;
    registry->shards = node;
    (void)pthread_mutex_unlock(&registry->lock);
    *ret_shard = &node->shard;
    return 0;
}

int metric_server_name(struct metric_registry *registry, size_t server, const char *name)
{
    if (server >= METRIC_SERVERS_MAX) {
        return -EINVAL;
    }
    (void)pthread_mutex_lock(&registry->lock);
    (void)span_copy(span_of(name == NULL ? "" : name), registry->server_names[server],
                    METRIC_NAME_MAX);
    (void)pthread_mutex_unlock(&registry->lock);
    return 0;
}

uint16_t metric_rule_label(struct metric_registry *registry, const char *name)
{
    uint16_t label = 0;

    (void)pthread_mutex_lock(&registry->lock);
    while (label < METRIC_RULES_MAX - 1 && registry->rule_names[label][0] != '\0' &&
           strcmp(registry->rule_names[label], name) != 0) {
        label++;
    }
    if (registry->rule_names[label][0] == '\0') {
        bool is_last = label == METRIC_RULES_MAX - 1;

        (void)span_copy(span_of(is_last ? "other" : name), registry->rule_names[label],
                        sizeof(registry->rule_names[label]));
    }
    (void)pthread_mutex_unlock(&registry->lock);
    return label;
}

static _Atomic uint64_t *find_word(struct metric_shard *shard, enum metric metric, size_t label)
{
    size_t count = label_counts[metric];

    return &shard->words[metric + (label < count ? label : count - 1)];
}

/* Load and store instead of an atomic addition: a shard has one writer, so nothing can come
 * between; relaxed, because a reader needs some recent value and no order. */
static void bump(_Atomic uint64_t *word, uint64_t n)
{
    uint64_t value = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, value + n, memory_order_relaxed);
}

void metric_add(struct metric_shard *shard, enum metric metric, size_t label, uint64_t n)
{
    if (shard != NULL) {
        bump(find_word(shard, metric, label), n);
    }
}

void metric_sub(struct metric_shard *shard, enum metric metric, size_t label, uint64_t n)
{
    metric_add(shard, metric, label, UINT64_C(0) - n);
}

void metric_set(struct metric_shard *shard, enum metric metric, size_t label, int64_t value)
{
    if (shard != NULL) {
        atomic_store_explicit(find_word(shard, metric, label), (uint64_t)value,
                              memory_order_relaxed);
    }
}

void metric_observe(struct metric_shard *shard, enum metric metric, uint64_t value_us)
{
    size_t bucket = 0;

    if (shard == NULL) {
        return;
    }
    while (bucket < METRIC_BUCKETS && value_us > bucket_bounds[bucket]) {
        bucket++;
    }
    bump(&shard->words[metric], value_us);
    bump(&shard->words[metric + 1 + bucket], 1);
}

/* With the lock held. */
static uint64_t sum_word(const struct metric_registry *registry, size_t word)
{
    uint64_t sum = 0;

    for (struct shard_node *node = registry->shards; node != NULL; node = node->next) {
        sum += atomic_load_explicit(&node->shard.words[word], memory_order_relaxed);
    }
    return sum;
}

/* With the lock held: ret_buckets[i] is the count at or below bound i; the last one is all. */
static void sum_buckets(const struct metric_registry *registry, size_t word,
                        uint64_t ret_buckets[METRIC_BUCKETS + 1])
{
    uint64_t count = 0;

    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        count += sum_word(registry, word + 1 + i);
        ret_buckets[i] = count;
    }
}

static const struct metric_def *find_def(enum metric metric)
{
    const struct metric_def *def = metric_defs;

    while (def->word != metric) {
        def++;
    }
    return def;
}

/* With the lock held. */
static int64_t read_value(const struct metric_registry *registry, const struct metric_def *def,
                          size_t label)
{
    uint64_t buckets[METRIC_BUCKETS + 1];

    if (def->kind == METRIC_KIND_HISTOGRAM) {
        sum_buckets(registry, def->word, buckets);
        return (int64_t)buckets[METRIC_BUCKETS];
    }
    return (int64_t)sum_word(registry, def->word + label);
}

int64_t metric_read(struct metric_registry *registry, enum metric metric, size_t label)
{
    const struct metric_def *def = find_def(metric);

    (void)pthread_mutex_lock(&registry->lock);
    int64_t value =
        read_value(registry, def, label < def->label_count ? label : def->label_count - 1);
    (void)pthread_mutex_unlock(&registry->lock);
    return value;
}

uint64_t metric_quantile(struct metric_registry *registry, enum metric metric, double quantile)
{
    uint64_t buckets[METRIC_BUCKETS + 1];

    (void)pthread_mutex_lock(&registry->lock);
    sum_buckets(registry, metric, buckets);
    (void)pthread_mutex_unlock(&registry->lock);
    uint64_t total = buckets[METRIC_BUCKETS];
    if (total == 0) {
        return 0;
    }
    double want = quantile * (double)total;
    size_t i = 0;
    while (i < METRIC_BUCKETS - 1 && (double)buckets[i] < want) {
        i++;
    }
    return bucket_bounds[i];
}

/* The label text of one value; false: not to be shown. With the lock held. */
static bool label_text(const struct metric_registry *registry, const struct metric_def *def,
                       size_t label, char dst[METRIC_LABELS_MAX])
{
    bool is_rule = def->labels == labels_RULE;
    if (def->labels != NULL && !is_rule) {
        (void)span_copy(span_of(def->labels[label]), dst, METRIC_LABELS_MAX);
        return true;
    }
    const char *name = is_rule ? registry->rule_names[label] : registry->server_names[label];
    if (name[0] == '\0') {
        return false;
    }
    size_t at = span_copy(span_of(is_rule ? "rule=\"" : "server=\""), dst, METRIC_LABELS_MAX);
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\') {
            dst[at++] = '\\';
        }
        dst[at++] = (char)(*name == '\n' ? ' ' : *name);
    }
    dst[at++] = '"';
    dst[at] = '\0';
    return true;
}

static int format_histogram(const struct metric_registry *registry, const struct metric_def *def,
                            struct buf *out, size_t max)
{
    uint64_t buckets[METRIC_BUCKETS + 1];
    int rc = 0;

    sum_buckets(registry, def->word, buckets);
    for (size_t i = 0; i < METRIC_BUCKETS && rc == 0; i++) {
        rc = buf_printf(out, max, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", def->name, bucket_texts[i],
                        buckets[i]);
    }
    if (rc == 0) {
        uint64_t sum_us = sum_word(registry, def->word);
        rc = buf_printf(out, max,
                        "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 ".%06" PRIu64
                        "\n%s_count %" PRIu64 "\n",
                        def->name, buckets[METRIC_BUCKETS], def->name, sum_us / 1000000,
                        sum_us % 1000000, def->name, buckets[METRIC_BUCKETS]);
    }
    return rc;
}

static const char *kind_text(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_KIND_COUNTER:
        return "counter";
    case METRIC_KIND_GAUGE:
        return "gauge";
    case METRIC_KIND_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

static int format_def(const struct metric_registry *registry, const struct metric_def *def,
                      struct buf *out, size_t max)
{
    char labels[METRIC_LABELS_MAX];

    int rc = buf_printf(out, max, "# HELP %s %s\n# TYPE %s %s\n", def->name, def->help, def->name,
                        kind_text(def->kind));
    if (rc == 0 && def->kind == METRIC_KIND_HISTOGRAM) {
        return format_histogram(registry, def, out, max);
    }
    for (size_t label = 0; label < def->label_count && rc == 0; label++) {
        if (!label_text(registry, def, label, labels)) {
            continue;
        }
        bool has_labels = labels[0] != '\0';
        rc = buf_printf(out, max, "%s%s%s%s %" PRId64 "\n", def->name, has_labels ? "{" : "",
                        labels, has_labels ? "}" : "", read_value(registry, def, label));
    }
    return rc;
}

int metric_format(struct metric_registry *registry, struct buf *out, size_t max)
{
    int rc = 0;

    (void)pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < WR_ARRAY_LEN(metric_defs) && rc == 0; i++) {
        rc = format_def(registry, &metric_defs[i], out, max);
    }
    (void)pthread_mutex_unlock(&registry->lock);
    return rc;
}

int metric_each(struct metric_registry *registry, metric_each_fn each, void *arg)
{
    char labels[METRIC_LABELS_MAX];

    for (size_t i = 0; i < WR_ARRAY_LEN(metric_defs); i++) {
        const struct metric_def *def = &metric_defs[i];
        for (size_t label = 0; label < def->label_count; label++) {
            (void)pthread_mutex_lock(&registry->lock);
            bool is_shown = label_text(registry, def, label, labels);
            int64_t value = is_shown ? read_value(registry, def, label) : 0;
            (void)pthread_mutex_unlock(&registry->lock);
            int rc = is_shown ? each(arg, def->name, labels, def->kind, value) : 0;
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}
