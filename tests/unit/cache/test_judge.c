/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/cache/judge.h"
#include "weir/classify/classify.h"
#include "weir/util/clock.h"

#define UNSAID UINT64_MAX
#define MINUTE (60 * CLOCK_US_PER_SECOND)

static struct config_cache conf_of(void)
{
    return (struct config_cache){
        .memory_bytes = 1 << 20,
        .ttl_us = 5 * MINUTE,
        .max_entry_bytes = 1000,
        .coherence = CONFIG_COHERENCE_OWN,
        .hints = true,
        .stale_while_revalidate_us = 7,
        .stale_if_error_us = 8,
    };
}

static struct config_rule rule_of(uint64_t cache_us)
{
    return (struct config_rule){
        .label = "rule-1",
        .cache_us = cache_us,
        .cache_stale_while_revalidate_us = UNSAID,
        .cache_stale_if_error_us = UNSAID,
    };
}

static struct facts facts_of(const char *sql)
{
    struct classify_env env = {.flavour = CLASSIFY_MARIADB, .version = 101119};
    struct facts facts;

    classify_sql(span_of(sql), &env, &facts);
    return facts;
}

/* A session in which everything may be kept. */
static struct cache_ask ask_of(const struct config_cache *conf, const struct config_rule *rule,
                               const struct facts *facts)
{
    return (struct cache_ask){
        .conf = conf,
        .rule = rule,
        .facts = facts,
        .isolation = TOPO_ISO_REPEATABLE_READ,
    };
}

/* --- the statement --- */

static const struct {
    const char *sql;
    enum cache_pass pass;
} STATEMENTS[] = {
    {"SELECT a FROM t WHERE b = 1", CACHE_PASS_NONE},
    {"(SELECT 1 FROM t) UNION (SELECT 2)", CACHE_PASS_NONE},
    {"/* weir:no-cache */ SELECT a FROM t", CACHE_PASS_NO_CACHE_HINT},
    {"SELECT SQL_NO_CACHE a FROM t", CACHE_PASS_NOT_REPEATABLE},
    {"/* weir:primary */ SELECT a FROM t", CACHE_PASS_NO_CACHE_HINT},
    {"/* weir:server=x */ SELECT a FROM t", CACHE_PASS_NO_CACHE_HINT},
    {"UPDATE t SET a = 1", CACHE_PASS_NOT_A_READ},
    {"SELECT a FROM t FOR UPDATE", CACHE_PASS_NOT_A_READ},
    {"SHOW TABLES", CACHE_PASS_NOT_A_READ},
    {"EXPLAIN SELECT a FROM t", CACHE_PASS_NOT_A_READ},
    {"SELECT a, @x FROM t", CACHE_PASS_NOT_A_READ},
    {"SELECT a, @@sql_mode FROM t", CACHE_PASS_NOT_A_READ},
    {"SELECT a, NOW() FROM t", CACHE_PASS_NOT_REPEATABLE},
    {"SELECT a, RAND() FROM t", CACHE_PASS_NOT_REPEATABLE},
    {"SELECT a, UUID() FROM t", CACHE_PASS_NOT_REPEATABLE},
    {"SELECT a FROM t WHERE u = CURRENT_USER()", CACHE_PASS_NOT_REPEATABLE},
    {"SELECT a, @@server_id FROM t", CACHE_PASS_NOT_A_READ},
    {"SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", CACHE_PASS_NOT_A_READ},
};

static void test_statements(void **state)
{
    struct config_cache conf = conf_of();
    struct config_rule rule = rule_of(MINUTE);
    (void)state;
    for (size_t i = 0; i < sizeof(STATEMENTS) / sizeof(STATEMENTS[0]); i++) {
        struct facts facts = facts_of(STATEMENTS[i].sql);
        struct cache_ask ask = ask_of(&conf, &rule, &facts);
        struct cache_plan plan;

        assert_true(cache_judge(&ask, &plan));
        if (plan.pass != STATEMENTS[i].pass) {
            fail_msg("%s: %s", STATEMENTS[i].sql, cache_pass_text(plan.pass));
        }
    }
}

/* Bits that come with another reason, or with a long text. */
static void test_bits(void **state)
{
    static const struct {
        uint64_t bits;
        enum cache_pass pass;
    } rows[] = {
        {FACT(LARGE), CACHE_PASS_TOO_LARGE},
        {FACT(USER_VARIABLE), CACHE_PASS_USER_VARIABLE},
        {FACT(SYSTEM_VARIABLE), CACHE_PASS_USER_VARIABLE},
        {FACT(PER_SERVER), CACHE_PASS_NOT_REPEATABLE},
        {FACT(FOUND_ROWS), CACHE_PASS_NOT_REPEATABLE},
        {FACT(LAST), CACHE_PASS_NOT_REPEATABLE},
        {FACT(ASKS_LAST), CACHE_PASS_NOT_REPEATABLE},
        {FACT(LAST_INSERT_ID), CACHE_PASS_NOT_REPEATABLE},
        {FACT(CALLS), CACHE_PASS_NOT_REPEATABLE},
    };
    struct config_cache conf = conf_of();
    struct config_rule rule = rule_of(MINUTE);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct facts facts = facts_of("SELECT a FROM t");
        struct cache_ask ask = ask_of(&conf, &rule, &facts);
        struct cache_plan plan;

        facts.bits |= rows[i].bits;
        assert_true(cache_judge(&ask, &plan));
        assert_int_equal(plan.pass, rows[i].pass);
    }
}

/* --- the session --- */

static enum cache_pass pass_of(const struct cache_ask *ask)
{
    struct cache_plan plan;

    assert_true(cache_judge(ask, &plan));
    return plan.pass;
}

static void test_sessions(void **state)
{
    struct config_cache conf = conf_of();
    struct config_rule rule = rule_of(MINUTE);
    struct facts facts = facts_of("SELECT a FROM t");
    const struct cache_ask good = ask_of(&conf, &rule, &facts);
    struct cache_ask ask = good;
    (void)state;
    assert_int_equal(pass_of(&ask), CACHE_PASS_NONE);
    ask.in_tx = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_TRANSACTION);
    ask = good;
    ask.is_pinned = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_PINNED);
    ask = good;
    ask.autocommit_off = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_AUTOCOMMIT_OFF);
    ask = good;
    ask.has_long_data = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_LONG_DATA);
    ask = good;
    ask.is_cursor = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_CURSOR);
    ask = good;
    ask.isolation = TOPO_ISO_READ_COMMITTED;
    assert_int_equal(pass_of(&ask), CACHE_PASS_NONE);
    ask.isolation = TOPO_ISO_SERIALIZABLE;
    assert_int_equal(pass_of(&ask), CACHE_PASS_ISOLATION);
    ask.isolation = TOPO_ISO_READ_UNCOMMITTED;
    assert_int_equal(pass_of(&ask), CACHE_PASS_ISOLATION);
}

/* The log has to be heard for those who count on it, and for nobody else. */
static void test_stream(void **state)
{
    struct config_cache conf = conf_of();
    struct config_rule rule = rule_of(MINUTE);
    struct facts facts = facts_of("SELECT a FROM t");
    struct cache_ask ask = ask_of(&conf, &rule, &facts);
    (void)state;
    conf.coherence = CONFIG_COHERENCE_BINLOG;
    assert_int_equal(pass_of(&ask), CACHE_PASS_STREAM);
    ask.is_heard = true;
    assert_int_equal(pass_of(&ask), CACHE_PASS_NONE);
    ask.is_heard = false;
    rule.cache_coherence = CONFIG_RULE_COHERENCE_TTL;
    assert_int_equal(pass_of(&ask), CACHE_PASS_NONE);
    conf.coherence = CONFIG_COHERENCE_OWN;
    rule.cache_coherence = CONFIG_RULE_COHERENCE_BINLOG;
    assert_int_equal(pass_of(&ask), CACHE_PASS_STREAM);
}

/* --- who asks for it --- */

static bool judge(const struct config_cache *conf, const struct config_rule *rule, const char *sql,
                  struct cache_plan *ret_plan)
{
    struct facts facts = facts_of(sql);
    struct cache_ask ask = ask_of(conf, rule, &facts);

    return cache_judge(&ask, ret_plan);
}

static void test_wishes(void **state)
{
    struct config_cache conf = conf_of();
    struct config_rule says = rule_of(MINUTE);
    struct config_rule never = rule_of(0);
    struct config_rule silent = rule_of(UNSAID);
    const char *plain = "SELECT a FROM t";
    const char *hinted = "/* weir:cache */ SELECT a FROM t";
    struct cache_plan plan;
    (void)state;
    assert_false(judge(&conf, NULL, plain, &plan));
    assert_false(judge(&conf, &silent, plain, &plan));
    assert_false(judge(&conf, &never, plain, &plan));
    assert_false(judge(&conf, &never, hinted, &plan)); /* the operator's word */
    assert_true(judge(&conf, &says, plain, &plan));
    assert_false(plan.is_hinted);
    assert_true(plan.ttl_us == MINUTE);
    assert_true(judge(&conf, &silent, hinted, &plan));
    assert_true(plan.is_hinted && plan.pass == CACHE_PASS_NONE && plan.ttl_us == conf.ttl_us);
    assert_true(judge(&conf, &says, hinted, &plan));
    assert_true(plan.is_hinted && plan.ttl_us == MINUTE);
    conf.hints = false;
    assert_true(judge(&conf, NULL, hinted, &plan));
    assert_int_equal(plan.pass, CACHE_PASS_HINTS_OFF);
    assert_true(judge(&conf, &says, hinted, &plan));
    assert_true(plan.pass == CACHE_PASS_NONE && !plan.is_hinted);
}

static void test_times_of_hints(void **state)
{
    static const struct {
        const char *sql;
        uint64_t ttl_us; /* 0: not understood */
    } rows[] = {
        {"/* weir:cache=60 */ SELECT a FROM t", MINUTE},
        {"/* weir:cache=60s */ SELECT a FROM t", MINUTE},
        {"/* weir:cache=500ms */ SELECT a FROM t", 500 * CLOCK_US_PER_MS},
        {"/* weir:cache=1500us */ SELECT a FROM t", 1500},
        {"/* weir:cache=2m */ SELECT a FROM t", 2 * MINUTE},
        {"/* weir:cache=1h */ SELECT a FROM t", 60 * MINUTE},
        {"/* weir:cache=31d */ SELECT a FROM t", CACHE_TTL_MAX_US},
        {"/* weir:cache=32d */ SELECT a FROM t", 0},
        {"/* weir:cache=0s */ SELECT a FROM t", 0},
        {"/* weir:cache=5x */ SELECT a FROM t", 0},
        {"/* weir:cache=s */ SELECT a FROM t", 0},
        {"/* weir:cache=-5s */ SELECT a FROM t", 0},
        {"/* weir:cache=18446744073709551617 */ SELECT a FROM t", 0},
        {"/* weir:cache=99999999999999999999999999d */ SELECT a FROM t", 0},
    };
    struct config_cache conf = conf_of();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cache_plan plan;

        assert_true(judge(&conf, NULL, rows[i].sql, &plan));
        if (plan.pass != (rows[i].ttl_us == 0 ? CACHE_PASS_OTHER : CACHE_PASS_NONE) ||
            (rows[i].ttl_us != 0 && plan.ttl_us != rows[i].ttl_us)) {
            fail_msg("%s: %s, %llu us", rows[i].sql, cache_pass_text(plan.pass),
                     (unsigned long long)plan.ttl_us);
        }
    }
}

static void test_settings(void **state)
{
    struct config_cache conf = conf_of();
    struct config_rule rule = rule_of(MINUTE);
    struct cache_plan plan;
    (void)state;
    assert_true(judge(&conf, &rule, "SELECT a FROM t", &plan));
    assert_int_equal(plan.coherence, CONFIG_COHERENCE_OWN);
    assert_int_equal(plan.max_entry, 1000);
    assert_int_equal(plan.revalidate_us, 7);
    assert_int_equal(plan.error_us, 8);
    assert_int_equal(plan.share.len, 0);
    rule.cache_share = "shop";
    rule.cache_max_entry_bytes = 5;
    rule.cache_coherence = CONFIG_RULE_COHERENCE_TTL;
    rule.cache_stale_while_revalidate_us = 0;
    rule.cache_stale_if_error_us = 9;
    assert_true(judge(&conf, &rule, "SELECT a FROM t", &plan));
    assert_int_equal(plan.coherence, CONFIG_COHERENCE_TTL);
    assert_int_equal(plan.max_entry, 5);
    assert_int_equal(plan.revalidate_us, 0);
    assert_int_equal(plan.error_us, 9);
    assert_true(span_eq_text(plan.share, "shop"));
}

static void test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CACHE_PASS_NONE; i++) {
        assert_true(strlen(cache_pass_text((enum cache_pass)i)) > 1);
    }
    assert_string_equal(cache_pass_text(CACHE_PASS_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements), cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_stream),     cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_settings),   cmocka_unit_test(test_times_of_hints),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
