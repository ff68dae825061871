/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rule.c - the first rule that fits: by hand for each condition, and for thousands of random
 * rules and statements against a look at every rule in turn.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "weir/config/schema.h"
#include "weir/route/rule.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/rand.h"

#define HEAD "servers: [{name: a, address: \"h:1\"}]\nmonitor: {user: m, password: x}\nrules:\n"

static const struct classify_env ENV = {.flavour = CLASSIFY_MYSQL, .version = 90704};

static struct config *parse(const char *text)
{
    struct config_errors errs;
    struct config *config = NULL;
    int rc = config_parse("t.yaml", (const uint8_t *)text, strlen(text), &config, &errs);

    if (rc != 0) {
        print_error("%s%s\n", text, errs.item[0].text);
    }
    assert_int_equal(rc, 0);
    return config;
}

static struct rules *compile(const char *text, uint64_t generation)
{
    struct config_errors errs = {.count = 0};
    struct config *config = parse(text);
    struct rules *rules = NULL;

    assert_int_equal(rules_compile(config, generation, &errs, &rules), 0);
    assert_int_equal(errs.count, 0);
    config_unref(config);
    return rules;
}

struct client {
    const char *user;
    const char *host; /* NULL: a unix socket */
    const char *schema;
};

static const struct client APP = {"app", "10.1.2.3", "shop"};

static void input_of(const char *sql, const struct client *client, struct facts *facts,
                     struct rule_input *ret)
{
    classify_sql(span_of(sql), &ENV, facts);
    *ret = (struct rule_input){
        .facts = facts,
        .sql = span_of(sql),
        .env = &ENV,
        .schema = span_of(client->schema),
        .user = span_of(client->user),
        .host = client->host == NULL ? "localhost" : client->host,
        .is_unix = client->host == NULL,
    };
}

static int match_as(const struct rules *rules, const char *sql, const struct client *client)
{
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    struct rule_input in;
    struct facts facts;
    int found = -1;

    assert_int_equal(rule_scratch_create(&scratch), 0);
    input_of(sql, client, &facts, &in);
    found = rules_match(rules, scratch, &who, &in);
    /* and what the session remembers changes nothing */
    input_of(sql, client, &facts, &in);
    assert_int_equal(rules_match(rules, scratch, &who, &in), found);
    rule_who_reset(&who);
    rule_scratch_destroy(scratch);
    return found;
}

static int match(const char *text, const char *sql, const struct client *client)
{
    struct rules *rules = compile(text, 1);
    int found = match_as(rules, sql, client);

    rules_unref(rules);
    return found;
}

/* --- by hand --- */

static void test_conditions(void **state)
{
    static const struct {
        const char *rule; /* one rule, alone */
        const char *sql;
        struct client client;
        bool fits;
    } rows[] = {
        {"{log: true}", "SELECT 1", {"app", NULL, ""}, true},
        /* class */
        {"{class: read}", "SELECT a FROM t", {"app", NULL, "d"}, true},
        {"{class: read}", "SELECT a FROM t FOR UPDATE", {"app", NULL, "d"}, false},
        {"{class: select}", "SELECT a FROM t FOR UPDATE", {"app", NULL, "d"}, true},
        {"{class: write}", "INSERT INTO t VALUES (1)", {"app", NULL, "d"}, true},
        {"{class: write}", "CREATE TABLE t (a INT)", {"app", NULL, "d"}, false},
        {"{class: ddl}", "CREATE TABLE t (a INT)", {"app", NULL, "d"}, true},
        {"{class: ddl}", "SELECT 1; DROP TABLE t", {"app", NULL, "d"}, true},
        {"{class: drop}", "SELECT 1; DROP TABLE t", {"app", NULL, "d"}, false},
        {"{class: transaction}", "BEGIN", {"app", NULL, "d"}, true},
        {"{class: transaction}", "SAVEPOINT a", {"app", NULL, "d"}, true},
        {"{class: transaction}", "SET autocommit = 0", {"app", NULL, "d"}, false},
        {"{class: other}", "SET autocommit = 0", {"app", NULL, "d"}, true},
        {"{class: other}", "SELECT 1", {"app", NULL, "d"}, false},
        {"{class: [insert, delete]}", "DELETE FROM t", {"app", NULL, "d"}, true},
        {"{class: [insert, read]}", "UPDATE t SET a = 1", {"app", NULL, "d"}, false},
        /* table */
        {"{table: t}", "SELECT a FROM t", {"app", NULL, "d"}, true},
        {"{table: t}", "SELECT a FROM `T`", {"app", NULL, "d"}, true},
        {"{table: t}", "SELECT a FROM u, x.t", {"app", NULL, "d"}, true},
        {"{table: t}", "SELECT t FROM u", {"app", NULL, "d"}, false},
        {"{table: t}", "UPDATE u, t SET a = 1", {"app", NULL, "d"}, true},
        {"{table: t}", "INSERT INTO u SELECT * FROM t", {"app", NULL, "d"}, true},
        {"{table: t}", "INSERT INTO u (t) VALUES (1)", {"app", NULL, "d"}, false},
        {"{table: d.t}", "SELECT a FROM t", {"app", NULL, "d"}, true},
        {"{table: d.t}", "SELECT a FROM t", {"app", NULL, "e"}, false},
        {"{table: d.t}", "SELECT a FROM D.t", {"app", NULL, ""}, true},
        {"{table: d.t}", "TRUNCATE `d`.`t`", {"app", NULL, ""}, true},
        {"{table: d.t}", "SELECT a FROM t", {"app", NULL, ""}, false},
        {"{table: \"audit_*\"}", "SELECT a FROM audit_2024", {"app", NULL, "d"}, true},
        {"{table: \"audit_*\"}", "SELECT a FROM my_audit_2024", {"app", NULL, "d"}, false},
        {"{table: \"*\"}", "SELECT 1", {"app", NULL, "d"}, false},
        {"{table: \"*\"}", "DROP TABLE x", {"app", NULL, "d"}, true},
        {"{table: \"d.*\"}", "SELECT a FROM x", {"app", NULL, "d"}, true},
        {"{table: \"d*.*_log\"}", "SELECT a FROM d1.x_log", {"app", NULL, "e"}, true},
        {"{table: \"d*.*_log\"}", "SELECT a FROM e1.x_log", {"app", NULL, "d"}, false},
        {"{table: [x, t]}", "SELECT a FROM t", {"app", NULL, "d"}, true},
        {"{table: we.ird}", "SELECT a FROM `we`.`ird`", {"app", NULL, "d"}, true},
        /* schema, user */
        {"{schema: shop}", "SELECT 1", {"app", NULL, "SHOP"}, true},
        {"{schema: shop}", "SELECT 1", {"app", NULL, "shop2"}, false},
        {"{schema: shop}", "SELECT 1", {"app", NULL, ""}, false},
        {"{schema: \"shop*\"}", "SELECT 1", {"app", NULL, "shop2"}, true},
        {"{user: app}", "SELECT 1", {"app", NULL, ""}, true},
        {"{user: app}", "SELECT 1", {"App", NULL, ""}, false},
        {"{user: [x, app]}", "SELECT 1", {"app", NULL, ""}, true},
        /* client */
        {"{client: 10.0.0.0/8}", "SELECT 1", {"app", "10.255.0.1", ""}, true},
        {"{client: 10.0.0.0/8}", "SELECT 1", {"app", "11.0.0.1", ""}, false},
        {"{client: 10.0.0.0/8}", "SELECT 1", {"app", "::ffff:10.0.0.1", ""}, true},
        {"{client: 10.0.0.0/8}", "SELECT 1", {"app", NULL, ""}, false},
        {"{client: 172.16.0.0/12}", "SELECT 1", {"app", "172.31.9.9", ""}, true},
        {"{client: 172.16.0.0/12}", "SELECT 1", {"app", "172.32.0.1", ""}, false},
        {"{client: 0.0.0.0/0}", "SELECT 1", {"app", "::1", ""}, false},
        {"{client: \"::/0\"}", "SELECT 1", {"app", "::1", ""}, true},
        {"{client: \"fd00::/9\"}", "SELECT 1", {"app", "fd7f::1", ""}, true},
        {"{client: \"fd00::/9\"}", "SELECT 1", {"app", "fd80::1", ""}, false},
        {"{client: unix}", "SELECT 1", {"app", NULL, ""}, true},
        {"{client: unix}", "SELECT 1", {"app", "127.0.0.1", ""}, false},
        {"{client: [192.0.2.1, unix]}", "SELECT 1", {"app", "192.0.2.1", ""}, true},
        {"{client: 192.0.2.1}", "SELECT 1", {"app", "odd", ""}, false},
        /* match */
        {"{match: 'FROM\\s+t\\b'}", "SELECT a FROM  t", {"app", NULL, "d"}, true},
        {"{match: 'FROM\\s+t\\b'}", "select a from t", {"app", NULL, "d"}, false},
        {"{match: 'FROM\\s+t\\b', match_caseless: true}", "select a from t", {"a", NULL, ""}, true},
        {"{match: '^SELECT.*t$'}", "SELECT a\nFROM t", {"app", NULL, "d"}, true},
        {"{match: '^$'}", "", {"app", NULL, "d"}, true},
        {"{match: '\\xe4'}", "SELECT '\xe4'", {"app", NULL, "d"}, true},
        /* all of them */
        {"{user: app, class: read, table: t, schema: d, client: unix, match: a}",
         "SELECT a FROM t",
         {"app", NULL, "d"},
         true},
        {"{user: app, class: read, table: t, schema: d, client: unix, match: b}",
         "SELECT a FROM t",
         {"app", NULL, "d"},
         false},
        {"{user: app, class: read, table: t, schema: d, client: 10.0.0.0/8, match: a}",
         "SELECT a FROM t",
         {"app", NULL, "d"},
         false},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        char text[1000];
        int found = -1;

        (void)snprintf(text, sizeof(text), "%s  - %s\n", HEAD, rows[i].rule);
        found = match(text, rows[i].sql, &rows[i].client);
        if (found != (rows[i].fits ? 0 : -1)) {
            fail_msg("%s on %s: %d", rows[i].rule, rows[i].sql, found);
        }
    }
}

static void test_digest(void **state)
{
    char text[1000];
    uint64_t digest = classify_digest_hash(SPAN_LIT("SELECT a FROM t WHERE b = 7"), &ENV);
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    struct rules *rules = NULL;
    struct rule_input in;
    struct facts facts;

    (void)state;
    (void)snprintf(text, sizeof(text),
                   HEAD "  - {digest: \"%016" PRIx64 "\", user: nobody}\n"
                        "  - {digest: [\"0000000000000000\", \"%016" PRIx64 "\"]}\n"
                        "  - {user: app}\n",
                   digest, digest);
    assert_int_equal(match(text, "select a from t where b='x' -- y", &APP), 1);
    assert_int_equal(match(text, "SELECT a FROM t WHERE c = 7", &APP), 2);

    /* it is asked for only where nothing cheaper says no, and taken when it is known */
    rules = compile(text, 1);
    assert_int_equal(rule_scratch_create(&scratch), 0);
    input_of("SELECT c", &APP, &facts, &in);
    in.has_digest = true;
    in.digest = digest;
    assert_int_equal(rules_match(rules, scratch, &who, &in), 1);
    rules_unref(rules);
    rules = compile(HEAD "  - {digest: \"0000000000000000\", class: write}\n", 2);
    input_of("SELECT c", &APP, &facts, &in);
    assert_int_equal(rules_match(rules, scratch, &who, &in), -1);
    assert_false(in.has_digest);
    input_of("DELETE FROM c", &APP, &facts, &in);
    assert_int_equal(rules_match(rules, scratch, &who, &in), -1);
    assert_true(in.has_digest);
    rule_who_reset(&who);
    rules_unref(rules);
    rule_scratch_destroy(scratch);
}

static void test_order(void **state)
{
    static const char text[] = HEAD "  - {table: t, user: other}\n"
                                    "  - {match: zzz}\n"
                                    "  - {table: t, class: read}\n"
                                    "  - {table: t}\n"
                                    "  - {user: app}\n"
                                    "  - {log: true, name: rest}\n";
    struct rules *rules = compile(text, 7);
    static const struct client nobody = {"nobody", NULL, ""};

    (void)state;
    assert_int_equal(match_as(rules, "SELECT a FROM t", &APP), 2);
    assert_int_equal(match_as(rules, "DELETE FROM t", &APP), 3);
    assert_int_equal(match_as(rules, "SELECT 1", &APP), 4);
    assert_int_equal(match_as(rules, "SELECT 1", &nobody), 5);
    assert_int_equal(match_as(rules, "SELECT 'zzz' FROM t", &APP), 1);
    assert_int_equal(rules_count(rules), 6);
    assert_int_equal(rules_generation(rules), 7);
    assert_string_equal(rules_get(rules, 5)->label, "rest");
    assert_string_equal(rules_get(rules, 4)->label, "rule-5");
    rules_set_label(rules, 3, 9);
    assert_int_equal(rules_label(rules, 3), 9);
    assert_int_equal(rules_label(rules, 2), 0);
    rules_unref(rules_ref(rules));
    rules_unref(rules);
    rules_unref(NULL);
    rules = compile("servers: [{name: a, address: \"h:1\"}]\nmonitor: {user: m, password: x}\n", 1);
    assert_int_equal(match_as(rules, "SELECT 1", &APP), -1);
    rules_unref(rules);
}

/* A new set of rules is looked at anew, also by who has remembered the old one. */
static void test_generations(void **state)
{
    struct rules *first = compile(HEAD "  - {user: app}\n", 1);
    struct rules *second = compile(HEAD "  - {user: other}\n  - {client: 10.0.0.0/8}\n", 2);
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    struct rule_input in;
    struct facts facts;

    (void)state;
    assert_int_equal(rule_scratch_create(&scratch), 0);
    input_of("SELECT 1", &APP, &facts, &in);
    assert_int_equal(rules_match(first, scratch, &who, &in), 0);
    assert_int_equal(rules_match(second, scratch, &who, &in), 1);
    assert_int_equal(rules_match(first, scratch, &who, &in), 0);
    in.user = SPAN_LIT("other"); /* the session's user is not looked at again ... */
    assert_int_equal(rules_match(first, scratch, &who, &in), 0);
    rule_who_reset(&who); /* ... before it is told so */
    assert_int_equal(rules_match(first, scratch, &who, &in), -1);
    assert_int_equal(rules_match(second, scratch, &who, &in), 0);
#ifdef WEIR_DEBUG
    fault_arm("alloc", 1); /* no memory to remember: found all the same */
    assert_int_equal(rules_match(first, scratch, &who, &in), -1);
    assert_true(fault_is_spent());
    fault_arm("alloc", 0);
#endif
    rule_who_reset(&who);
    rule_scratch_destroy(scratch);
    rules_unref(first);
    rules_unref(second);
}

static void test_broken(void **state)
{
    static const char text[] = HEAD "  - {match: 'a+'}\n"
                                    "  - name: x\n"
                                    "    match: 'a('\n"
                                    "  - {match: '*b'}\n"
                                    "  - {match: '(*UTF)a'}\n"
                                    "  - {match: '\\C'}\n";
    struct config *config = parse(text);
    struct config_errors errs = {.count = 0};
    struct rules *rules = NULL;

    (void)state;
    assert_int_equal(rules_compile(config, 1, &errs, &rules), -WR_E_CONFIG);
    assert_null(rules);
    assert_int_equal(errs.error_count, 4);
    assert_int_equal(errs.item[0].line, 6);
    assert_int_equal(errs.item[0].column, 12);
    assert_non_null(strstr(errs.item[0].text, "missing closing parenthesis, at its character 3"));
    assert_int_equal(errs.item[1].line, 7);
    assert_int_equal(errs.item[2].line, 8);
    assert_int_equal(errs.item[3].line, 9);
    config_unref(config);
}

/* An expression that would take for ever gives up and does not match. */
static void test_limits(void **state)
{
    struct rules *rules = compile(HEAD "  - {match: '^(a+)+$'}\n  - {log: true}\n", 1);
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    struct rule_input in;
    struct facts facts;

    (void)state;
    assert_int_equal(rule_scratch_create(&scratch), 0);
    input_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", &APP, &facts,
             &in);
    assert_int_equal(rules_match(rules, scratch, &who, &in), 1);
    assert_int_equal(in.gave_up, 1);
    input_of("aaaaaaaaaaaa", &APP, &facts, &in);
    assert_int_equal(rules_match(rules, scratch, &who, &in), 0);
    assert_int_equal(in.gave_up, 0);
    rule_who_reset(&who);
    rule_scratch_destroy(scratch);
    rules_unref(rules);
}

/* The words of the settings' list are those of the classifier, and all of them. */
static void test_words(void **state)
{
    const char *word = CONFIG_VERBS;
    unsigned count = 0;

    (void)state;
    for (; *word != '\0'; count++) {
        size_t len = strcspn(word, "|");
        unsigned verb = 0;

        while (verb < VERB_END_ && !span_eq_text((struct span){(const uint8_t *)word, len},
                                                 classify_verb_name((enum classify_verb)verb))) {
            verb++;
        }
        assert_true(verb < VERB_END_);
        word += len;
        word += *word == '|' ? 1 : 0;
    }
    assert_int_equal(count, VERB_END_ - 1); /* EXPLAIN ROUTE is weir's own */
}

#ifdef WEIR_DEBUG
static void test_no_memory(void **state)
{
    static const char text[] = HEAD
        "  - {table: [a, b.c, \"d*\", \"e.f*\"], user: u, schema: [s, \"t*\"], client: \"::1\"}\n"
        "  - {digest: \"0000000000000000\", match: x, class: read}\n";
    struct config *config = parse(text);
    int rc = -1;

    (void)state;
    for (uint64_t nth = 1; rc != 0; nth++) {
        struct config_errors errs = {.count = 0};
        struct rules *rules = NULL;

        assert_true(nth < 1000);
        fault_arm("alloc", nth);
        rc = rules_compile(config, 1, &errs, &rules);
        fault_arm("alloc", 0);
        assert_int_equal(errs.count, 0);
        rules_unref(rules);
    }
    config_unref(config);
}
#endif
/* --- every rule in turn --- */

static bool star_fits(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return star_fits(pattern + 1, text) || (*text != '\0' && star_fits(pattern, text + 1));
    }
    return *pattern == '\0' ? *text == '\0'
                            : *text != '\0' && strncasecmp(pattern, text, 1) == 0 &&
                                  star_fits(pattern + 1, text + 1);
}

static bool naive_table(const char *word, const struct facts_table *table, const char *selected)
{
    const char *dot = strchr(word, '.');
    char schema[64];
    char name[64];
    char want[64];

    (void)classify_name_decode(table->name, name, sizeof(name));
    if (dot == NULL) {
        return star_fits(word, name);
    }
    (void)snprintf(schema, sizeof(schema), "%s", selected);
    if (table->schema.len != 0) {
        (void)classify_name_decode(table->schema, schema, sizeof(schema));
    }
    (void)snprintf(want, sizeof(want), "%.*s", (int)(dot - word), word);
    return star_fits(dot + 1, name) && star_fits(want, schema);
}

static bool naive_tables(const struct config_rule *rule, const char *sql, const struct facts *facts,
                         const struct client *client)
{
    struct facts_table tables[RULE_TABLES_MAX];
    size_t count = classify_mentions(span_of(sql), &ENV, tables, RULE_TABLES_MAX);

    if ((facts->bits & FACT(READ)) != 0) {
        count = facts->table_count;
        memcpy(tables, facts->tables, count * sizeof(tables[0]));
    }
    for (uint32_t i = 0; i < rule->table.count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (naive_table(rule->table.item[i], &tables[k], client->schema)) {
                return true;
            }
        }
    }
    return rule->table.count == 0;
}

static bool naive_class(const struct config_rule *rule, const struct facts *facts)
{
    static const char *const groups[] = {"read", "write", "ddl", "transaction", "other"};
    unsigned in = rule_groups(facts);

    for (uint32_t i = 0; i < rule->class_words.count; i++) {
        const char *word = rule->class_words.item[i];

        for (unsigned g = 0; g < WR_ARRAY_LEN(groups); g++) {
            if ((in >> g & 1U) != 0 && strcmp(groups[g], word) == 0) {
                return true;
            }
        }
        if (strcmp(word, classify_verb_name(facts->verb)) == 0) {
            return true;
        }
    }
    return rule->class_words.count == 0;
}

static bool naive_client(const struct config_rule *rule, const struct client *client)
{
    for (uint32_t i = 0; i < rule->client.count; i++) {
        const char *word = rule->client.item[i];
        unsigned bits = 32;
        char text[64];
        uint32_t net = 0;
        uint32_t addr = 0;
        char *slash = NULL;

        if (strcmp(word, "unix") == 0 || client->host == NULL) {
            if (client->host == NULL && strcmp(word, "unix") == 0) {
                return true;
            }
            continue;
        }
        (void)snprintf(text, sizeof(text), "%s", word);
        slash = strchr(text, '/');
        if (slash != NULL) {
            *slash = '\0';
            bits = (unsigned)strtoul(slash + 1, NULL, 10);
        }
        assert_int_equal(inet_pton(AF_INET, text, &net), 1);
        assert_int_equal(inet_pton(AF_INET, client->host, &addr), 1);
        if (bits == 0 || (ntohl(net) ^ ntohl(addr)) >> (32 - bits) == 0) {
            return true;
        }
    }
    return rule->client.count == 0;
}

static bool naive_words(const struct config_words *words, const char *text, bool has_case)
{
    for (uint32_t i = 0; i < words->count; i++) {
        if (has_case ? strcmp(words->item[i], text) == 0
                     : text[0] != '\0' && star_fits(words->item[i], text)) {
            return true;
        }
    }
    return words->count == 0;
}

static bool naive_digest(const struct config_rule *rule, const char *sql)
{
    char text[20];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, classify_digest_hash(span_of(sql), &ENV));
    return naive_words(&rule->digest, text, true);
}

/* Expressions in this test are plain words. */
static bool naive_fits(const struct config_rule *rule, const char *sql, const struct facts *facts,
                       const struct client *client)
{
    return naive_words(&rule->user, client->user, true) &&
           naive_words(&rule->schema, client->schema, false) && naive_class(rule, facts) &&
           naive_tables(rule, sql, facts, client) && naive_client(rule, client) &&
           naive_digest(rule, sql) && (rule->match == NULL || strstr(sql, rule->match) != NULL);
}

static const char *const SQL[] = {
    "SELECT a FROM t1",
    "SELECT a FROM shop.t2 JOIN t3 USING (a)",
    "SELECT a FROM `Audit_1`, t1 FOR UPDATE",
    "INSERT INTO t1 SELECT * FROM other.t4",
    "UPDATE audit_2 SET a = 1",
    "DELETE t1 FROM t1 JOIN t5 USING (b)",
    "DROP TABLE t2, shop.t3",
    "BEGIN",
    "COMMIT",
    "SET NAMES utf8mb4",
    "SHOW TABLES",
    "SELECT 1",
    "SELECT 2; DROP TABLE t1",
    "CALL p(1)",
    "TRUNCATE other.audit_9",
    "EXPLAIN SELECT a FROM t2",
    "",
};

static const struct client CLIENTS[] = {
    {"app", "10.1.2.3", "shop"}, {"app", NULL, ""},           {"batch", "10.200.0.1", "other"},
    {"Root", "127.0.0.1", "d"},  {"batch", NULL, "ShoP"},     {"x", "192.168.7.7", "shop2"},
    {"y", "8.8.8.8", "audit"},   {"app", "10.1.2.4", "shop"},
};

static size_t pick_word(struct rand_state *rng, char *dst, size_t cap, const char *const *words,
                        size_t count, const char *setting)
{
    size_t n = 1 + rand_below(rng, 3);
    size_t len = (size_t)snprintf(dst, cap, "%s: [", setting);

    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(dst + len, cap - len, "%s\"%s\"", i == 0 ? "" : ", ",
                                words[rand_below(rng, count)]);
    }
    return len + (size_t)snprintf(dst + len, cap - len, "], ");
}

static size_t random_rule(struct rand_state *rng, char *dst, size_t cap)
{
    static const char *const tables[] = {"t1",      "t2",     "shop.t2", "audit_*", "*.t4",
                                         "other.*", "d.t1",   "nope",    "t*",      "shop.t1",
                                         "T3",      "s*p.t*", "audit_1"};
    static const char *const schemas[] = {"shop", "shop*", "other", "nope", "d"};
    static const char *const users[] = {"app", "batch", "root", "x", "nope"};
    static const char *const clients[] = {"10.0.0.0/8", "10.1.2.3",    "unix",
                                          "0.0.0.0/0",  "127.0.0.0/8", "10.1.2.0/30"};
    static const char *const classes[] = {"read",   "write",  "ddl",  "transaction", "other",
                                          "select", "insert", "drop", "set"};
    static const char *const matches[] = {"FROM", "t1", "zzz", "SELECT"};
    size_t len = (size_t)snprintf(dst, cap, "  - {");

    if (rand_below(rng, 2) == 0) {
        len += pick_word(rng, dst + len, cap - len, tables, WR_ARRAY_LEN(tables), "table");
    }
    if (rand_below(rng, 4) == 0) {
        len += pick_word(rng, dst + len, cap - len, schemas, WR_ARRAY_LEN(schemas), "schema");
    }
    if (rand_below(rng, 3) == 0) {
        len += pick_word(rng, dst + len, cap - len, users, WR_ARRAY_LEN(users), "user");
    }
    if (rand_below(rng, 3) == 0) {
        len += pick_word(rng, dst + len, cap - len, clients, WR_ARRAY_LEN(clients), "client");
    }
    if (rand_below(rng, 2) == 0) {
        len += pick_word(rng, dst + len, cap - len, classes, WR_ARRAY_LEN(classes), "class");
    }
    if (rand_below(rng, 5) == 0) {
        const char *sql = SQL[rand_below(rng, WR_ARRAY_LEN(SQL))];

        len += (size_t)snprintf(dst + len, cap - len, "digest: \"%016" PRIx64 "\", ",
                                classify_digest_hash(span_of(sql), &ENV));
    }
    if (rand_below(rng, 4) == 0) {
        len += (size_t)snprintf(dst + len, cap - len, "match: %s, ",
                                matches[rand_below(rng, WR_ARRAY_LEN(matches))]);
    }
    return len + (size_t)snprintf(dst + len, cap - len, "log: true}\n");
}

static void check_world(struct rand_state *rng, uint64_t generation, size_t count,
                        size_t *ret_matched)
{
    static char text[200000];
    size_t len = (size_t)snprintf(text, sizeof(text), HEAD);
    struct rule_scratch *scratch = NULL;
    struct rules *rules = NULL;

    for (size_t i = 0; i < count; i++) {
        len += random_rule(rng, text + len, sizeof(text) - len);
        assert_true(len < sizeof(text));
    }
    rules = compile(text, generation);
    assert_int_equal(rule_scratch_create(&scratch), 0);
    for (size_t c = 0; c < WR_ARRAY_LEN(CLIENTS); c++) {
        struct rule_who who = {.bits = NULL};

        for (size_t s = 0; s < WR_ARRAY_LEN(SQL); s++) {
            struct rule_input in;
            struct facts facts;
            int want = 0;
            int got = 0;

            input_of(SQL[s], &CLIENTS[c], &facts, &in);
            got = rules_match(rules, scratch, &who, &in);
            while (want < (int)count &&
                   !naive_fits(rules_get(rules, (uint32_t)want), SQL[s], &facts, &CLIENTS[c])) {
                want++;
            }
            want = want == (int)count ? -1 : want;
            if (got != want) {
                fail_msg("%s by client %zu of %zu rules: %d, by looking at each %d", SQL[s], c,
                         count, got, want);
            }
            *ret_matched += got > 0 ? 1 : 0;
        }
        rule_who_reset(&who);
    }
    rule_scratch_destroy(scratch);
    rules_unref(rules);
}

static void test_as_each_in_turn(void **state)
{
    static const size_t counts[] = {1, 2, 3, 7, 63, 64, 65, 128, 200};
    struct rand_state rng;
    size_t matched = 0;

    (void)state;
    rand_seed(&rng, 20261126);
    for (size_t i = 0; i < 270; i++) {
        check_world(&rng, i + 1, counts[i % WR_ARRAY_LEN(counts)], &matched);
    }
    assert_true(matched > 5000); /* it is not all misses, nor all the first */
}

static void test_groups(void **state)
{
    static const struct {
        uint32_t rule;
        const char *name;
        const char *sql;
        const char *group; /* NULL: took no part; "": there is none */
    } cases[] = {
        {0, "id", "SELECT * FROM t WHERE f(d) = 55 LIMIT 1", "55"},
        {0, "id", "SELECT * FROM t WHERE f(d) = x", NULL},
        {0, "id", "SELECT * FROM t WHERE f(d) = 5 OR f(d) = 6", NULL},
        {0, "other", "SELECT * FROM t WHERE f(d) = 5", ""},
        {1, "a", "b = 3", NULL},
        {1, "b", "b = 3", "3"},
        {2, "id", "anything", ""},
    };
    struct rules *rules = compile(HEAD "  - {match: 'f\\(d\\) = (?<id>\\d+)'}\n"
                                       "  - {match: 'a = (?<a>\\d)|b = (?<b>\\d)'}\n"
                                       "  - {table: t}\n",
                                  1);
    const struct config_rule stranger = {.name = NULL};
    struct rule_scratch *scratch = NULL;
    struct span text;

    (void)state;
    assert_int_equal(rule_scratch_create(&scratch), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = rules_group(rules, scratch, rules_get(rules, cases[i].rule), span_of(cases[i].sql),
                             span_of(cases[i].name), &text);

        if (cases[i].group == NULL) {
            assert_int_equal(rc, -1);
        } else if (cases[i].group[0] == '\0') {
            assert_int_equal(rc, 0);
        } else {
            assert_int_equal(rc, 1);
            assert_true(span_eq_text(text, cases[i].group));
        }
    }
    assert_int_equal(rules_group(rules, scratch, &stranger, SPAN_LIT("x"), SPAN_LIT("id"), &text),
                     0);
    rule_scratch_destroy(scratch);
    rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),      cmocka_unit_test(test_digest),
        cmocka_unit_test(test_order),           cmocka_unit_test(test_generations),
        cmocka_unit_test(test_broken),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_words),
#ifdef WEIR_DEBUG
        cmocka_unit_test(test_no_memory),
#endif
        cmocka_unit_test(test_as_each_in_turn), cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
