/* SPDX-License-Identifier: Apache-2.0 */
/* snap and metric: also from several threads, for TSan. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/metric.h"
#include "weir/util/snap.h"

#define THREADS 4
#define ROUNDS  20000

struct thing {
    struct snap snap;
    int value;
    int *destroyed;
};

static void destroy_thing(struct snap *snap)
{
    struct thing *thing = WR_CONTAINER_OF(snap, struct thing, snap);

    (*thing->destroyed)++;
    free(thing);
}

static struct thing *make_thing(int *destroyed)
{
    struct thing *thing = calloc(1, sizeof(*thing));

    assert_non_null(thing);
    snap_init(&thing->snap, 7, destroy_thing);
    thing->value = 42;
    thing->destroyed = destroyed;
    return thing;
}

static void snap_dies_with_its_last_reference(void **unused)
{
    (void)unused;
    int destroyed = 0;
    struct thing *thing = make_thing(&destroyed);

    assert_int_equal(thing->snap.generation, 7);
    assert_ptr_equal(snap_ref(&thing->snap), &thing->snap);
    assert_int_equal(snap_refs(&thing->snap), 2);
    snap_unref(&thing->snap);
    assert_int_equal(destroyed, 0);
    snap_unref(&thing->snap);
    assert_int_equal(destroyed, 1);
    snap_unref(NULL);
}

static void *hold_thing(void *arg)
{
    struct thing *thing = arg;
    int sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        snap_ref(&thing->snap);
        sum += thing->value;
        snap_unref(&thing->snap);
    }
    snap_unref(&thing->snap);
    return sum == 42 * ROUNDS ? arg : NULL;
}

static void snap_is_shared_by_threads(void **unused)
{
    (void)unused;
    int destroyed = 0;
    struct thing *thing = make_thing(&destroyed);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        snap_ref(&thing->snap);
        assert_int_equal(pthread_create(&threads[i], NULL, hold_thing, thing), 0);
    }
    snap_unref(&thing->snap);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(destroyed, 1);
}

struct fixture {
    struct metric_registry *registry;
    struct metric_shard *a;
    struct metric_shard *b;
};

static int metric_setup(void **state)
{
    static struct fixture f;

    *state = &f;
    return metric_registry_create(&f.registry) || metric_shard_create(f.registry, &f.a) ||
           metric_shard_create(f.registry, &f.b);
}

static int metric_teardown(void **state)
{
    struct fixture *f = *state;

    metric_registry_destroy(f->registry);
    metric_registry_destroy(NULL);
    return 0;
}

static void metric_sums_shards(void **state)
{
    struct fixture *f = *state;

    metric_inc(f->a, METRIC_SESSIONS_TOTAL, METRIC_NONE);
    metric_add(f->b, METRIC_SESSIONS_TOTAL, METRIC_NONE, 4);
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_TOTAL, METRIC_NONE), 5);
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_OPEN, METRIC_NONE), 0);
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_REFUSED, METRIC_NONE), 0);
    /* A session may open in one thread's shard and close in another's. */
    metric_inc(f->a, METRIC_SESSIONS_OPEN, METRIC_NONE);
    metric_sub(f->b, METRIC_SESSIONS_OPEN, METRIC_NONE, 2);
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_OPEN, METRIC_NONE), -1);
    metric_set(f->a, METRIC_SERVER_LAG, 3, -1);
    assert_int_equal(metric_read(f->registry, METRIC_SERVER_LAG, 3), -1);
    metric_inc(f->a, METRIC_QUERIES, METRIC_CLASS_WRITE_PRIMARY);
    for (size_t label = 0; label < METRIC_CLASS_COUNT_; label++) {
        assert_int_equal(metric_read(f->registry, METRIC_QUERIES, label),
                         label == METRIC_CLASS_WRITE_PRIMARY);
    }
    metric_inc(NULL, METRIC_SESSIONS_TOTAL, METRIC_NONE);
    metric_set(NULL, METRIC_SERVER_LAG, 0, 1);
    metric_observe(NULL, METRIC_QUERY_SECONDS, 1);
}

/* Whatever the label, only the metric's own words change. */
static void metric_labels_are_bounded(void **state)
{
    struct fixture *f = *state;

    metric_inc(f->a, METRIC_SERVER_QUERIES, METRIC_SERVERS_MAX);
    metric_inc(f->a, METRIC_SERVER_QUERIES, SIZE_MAX);
    assert_int_equal(metric_read(f->registry, METRIC_SERVER_QUERIES, METRIC_SERVERS_MAX - 1), 2);
    assert_int_equal(metric_read(f->registry, METRIC_SERVER_ERRORS, 0), 0);
    metric_inc(f->a, METRIC_SESSIONS_TOTAL, 5);
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_TOTAL, METRIC_NONE), 1);
    assert_int_not_equal(metric_server_name(f->registry, METRIC_SERVERS_MAX, "x"), 0);
}

static const char *formatted(struct fixture *f, struct buf *buf)
{
    buf_clear(buf);
    assert_int_equal(metric_format(f->registry, buf, 1 << 20), 0);
    return buf_text(buf);
}

static void metric_formats_text(void **state)
{
    struct fixture *f = *state;
    struct buf buf = {0};

    assert_int_equal(metric_server_name(f->registry, 2, "db\"2\\x\ny"), 0);
    metric_add(f->a, METRIC_SERVER_QUERIES, 2, 9);
    metric_inc(f->b, METRIC_LOGINS_FAILED, METRIC_LOGIN_PASSWORD);
    metric_observe(f->a, METRIC_QUERY_SECONDS, 100);
    metric_observe(f->b, METRIC_QUERY_SECONDS, 101);
    metric_observe(f->b, METRIC_QUERY_SECONDS, 3000000);
    metric_observe(f->b, METRIC_QUERY_SECONDS, 10000001);
    const char *text = formatted(f, &buf);
    static const char *const wanted[] = {
        "# HELP weir_sessions_open Client sessions open now.\n# TYPE weir_sessions_open gauge\n"
        "weir_sessions_open 0\n",
        "# TYPE weir_logins_failed_total counter\nweir_logins_failed_total{reason=\"password\"} 1\n"
        "weir_logins_failed_total{reason=\"timeout\"} 0\n",
        "\nweir_server_queries_total{server=\"db\\\"2\\\\x y\"} 9\n",
        "# TYPE weir_query_duration_seconds histogram\n"
        "weir_query_duration_seconds_bucket{le=\"0.0001\"} 1\n"
        "weir_query_duration_seconds_bucket{le=\"0.00025\"} 2\n",
        "weir_query_duration_seconds_bucket{le=\"2.5\"} 2\n"
        "weir_query_duration_seconds_bucket{le=\"5\"} 3\n"
        "weir_query_duration_seconds_bucket{le=\"10\"} 3\n"
        "weir_query_duration_seconds_bucket{le=\"+Inf\"} 4\n"
        "weir_query_duration_seconds_sum 13.000202\nweir_query_duration_seconds_count 4\n",
        "weir_queries_routed_total{class=\"read\",target=\"replica\"} 0\n",
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(wanted); i++) {
        if (strstr(text, wanted[i]) == NULL) {
            fail_msg("not in the text: %s", wanted[i]);
        }
    }
    assert_null(strstr(text, "server=\"\""));
    assert_int_equal(metric_server_name(f->registry, 2, NULL), 0);
    assert_null(strstr(formatted(f, &buf), "server="));
    assert_int_equal(metric_format(f->registry, &buf, 5000), -WR_E_TOO_LARGE);
    buf_fini(&buf);
}

/* A name keeps its label, whatever is asked for between; without room it is one of the others. */
static void metric_rules_by_name(void **state)
{
    struct fixture *f = *state;
    struct buf buf = {0};
    char name[32];
    uint16_t first = metric_rule_label(f->registry, "reports");
    uint16_t second = metric_rule_label(f->registry, "rule-2");

    assert_true(first != second);
    assert_int_equal(metric_rule_label(f->registry, "reports"), first);
    metric_add(f->a, METRIC_RULE_MATCHES, first, 3);
    metric_add(f->b, METRIC_RULE_MATCHES, first, 4);
    assert_non_null(strstr(formatted(f, &buf), "\nweir_rule_matches_total{rule=\"reports\"} 7\n"));
    assert_null(strstr(formatted(f, &buf), "rule=\"other\""));
    for (unsigned i = 0; i < 2 * METRIC_RULES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "more-%u", i);
        assert_true(metric_rule_label(f->registry, name) < METRIC_RULES_MAX);
    }
    assert_int_equal(metric_rule_label(f->registry, "late"), METRIC_RULES_MAX - 1);
    assert_int_equal(metric_rule_label(f->registry, "later"), METRIC_RULES_MAX - 1);
    assert_int_equal(metric_rule_label(f->registry, "rule-2"), second);
    assert_non_null(strstr(formatted(f, &buf), "\nweir_rule_matches_total{rule=\"other\"} 0\n"));
    buf_fini(&buf);
}

static void metric_quantiles(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(metric_quantile(f->registry, METRIC_QUERY_SECONDS, 0.5), 0);
    for (uint64_t i = 0; i < 99; i++) {
        metric_observe(f->a, METRIC_QUERY_SECONDS, 200);
    }
    metric_observe(f->b, METRIC_QUERY_SECONDS, 20000);
    assert_int_equal(metric_quantile(f->registry, METRIC_QUERY_SECONDS, 0.5), 250);
    assert_int_equal(metric_quantile(f->registry, METRIC_QUERY_SECONDS, 0.99), 250);
    assert_int_equal(metric_quantile(f->registry, METRIC_QUERY_SECONDS, 1), 25000);
    assert_int_equal(metric_read(f->registry, METRIC_QUERY_SECONDS, METRIC_NONE), 100);
}

struct walk {
    int lines;
    int64_t queries;
};

static int on_metric(void *arg, const char *name, const char *labels, enum metric_kind kind,
                     int64_t value)
{
    struct walk *walk = arg;

    walk->lines++;
    if (strcmp(name, "weir_server_queries_total") == 0) {
        assert_string_equal(labels, "server=\"one\"");
        assert_int_equal(kind, METRIC_KIND_COUNTER);
        walk->queries = value;
        return 5;
    }
    return 0;
}

static void metric_walks(void **state)
{
    struct fixture *f = *state;
    struct walk walk = {0, 0};

    assert_int_equal(metric_server_name(f->registry, 0, "one"), 0);
    metric_add(f->a, METRIC_SERVER_QUERIES, 0, 3);
    assert_int_equal(metric_each(f->registry, on_metric, &walk), 5);
    assert_int_equal(walk.queries, 3);
    assert_true(walk.lines > 30);
}

static void *count_up(void *arg)
{
    struct metric_registry *registry = arg;
    struct metric_shard *shard = NULL;

    if (metric_shard_create(registry, &shard) != 0) {
        return NULL;
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        metric_inc(shard, METRIC_SESSIONS_TOTAL, METRIC_NONE);
        metric_observe(shard, METRIC_QUERY_SECONDS, i);
    }
    return arg;
}

static void metric_is_counted_by_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct buf buf = {0};

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, f->registry), 0);
    }
    for (int i = 0; i < 20; i++) {
        (void)formatted(f, &buf);
    }
    buf_fini(&buf);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(metric_read(f->registry, METRIC_SESSIONS_TOTAL, METRIC_NONE),
                     THREADS * ROUNDS);
    assert_int_equal(metric_read(f->registry, METRIC_QUERY_SECONDS, METRIC_NONE), THREADS * ROUNDS);
}

static void metric_survives_no_memory(void **state)
{
    struct fixture *f = *state;
#ifdef WEIR_DEBUG
    struct metric_registry *registry = NULL;
    struct metric_shard *shard = NULL;

    fault_arm("alloc", 1);
    assert_true(metric_registry_create(&registry) < 0);
    fault_arm("alloc", 1);
    assert_true(metric_shard_create(f->registry, &shard) < 0);
    fault_arm(NULL, 0);
    assert_null(registry);
    assert_null(shard);
#endif
    (void)f;
}

#define METRIC_TEST(f) cmocka_unit_test_setup_teardown(f, metric_setup, metric_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snap_dies_with_its_last_reference),
        cmocka_unit_test(snap_is_shared_by_threads),
        METRIC_TEST(metric_sums_shards),
        METRIC_TEST(metric_labels_are_bounded),
        METRIC_TEST(metric_formats_text),
        METRIC_TEST(metric_rules_by_name),
        METRIC_TEST(metric_quantiles),
        METRIC_TEST(metric_walks),
        METRIC_TEST(metric_is_counted_by_threads),
        METRIC_TEST(metric_survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
