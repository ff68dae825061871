/* SPDX-License-Identifier: Apache-2.0 */
/* test_diff.c - what differs between two files, by name, and whether it needs a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/config/config.h"
#include "weir/util/attr.h"

#define SERVER  "servers: [{name: a, address: \"h:1\"}, {name: b, address: \"h:2\"}]\n"
#define MONITOR "monitor: {user: m, password: x}\n"
#define BASE    SERVER MONITOR

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

struct told {
    char text[4000];
    size_t len;
};

static void tell(void *arg, const struct config_change *change)
{
    struct told *told = arg;
    int n = snprintf(told->text + told->len, sizeof(told->text) - told->len, "%s%s: %s -> %s;",
                     change->needs_restart ? "!" : "", change->what,
                     change->old_text == NULL ? "none" : change->old_text,
                     change->new_text == NULL ? "none" : change->new_text);

    assert_true(n > 0 && (size_t)n < sizeof(told->text) - told->len);
    told->len += (size_t)n;
}

static void test_diffs(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        const char *want; /* "!": needs a restart */
    } cases[] = {
        {BASE, BASE, ""},
        {BASE, BASE "# a comment\nworkers: auto\n", ""},
        {BASE, BASE "workers: 3\n", "!workers: auto -> 3;"},
        {BASE, BASE "log: {level: debug, format: json}\n",
         "log.level: info -> debug;!log.format: logfmt -> json;"},
        {BASE, BASE "limits: {client_idle: 5m}\n", "limits.client_idle: off -> 5m;"},
        {BASE, SERVER "monitor: {user: m, password: y}\n", "!monitor.password: (set) -> (set);"},
        {BASE, SERVER "monitor: {user: m, password: x, interval: 500ms}\n",
         "monitor.interval: 250ms -> 500ms;read_after_write.window: 7s -> 8s;"},
        {BASE,
         "servers: [{name: a, address: \"h:1\", weight: 5}, {name: b, address: \"h:9\"}]\n" MONITOR,
         "servers[a].weight: 100 -> 5;!servers[b].address: \"h:2\" -> \"h:9\";"},
        {BASE, "servers: [{name: a, address: \"h:1\"}]\n" MONITOR, "!servers[b]: (there) -> none;"},
        {BASE, "servers: [{name: b, address: \"h:2\"}, {name: a, address: \"h:1\"}]\n" MONITOR,
         "!servers: (order) -> (another order);"},
        {BASE "listeners: [{address: \"1.2.3.4:5\"}]\n",
         BASE "listeners: [{address: \"1.2.3.4:5\", tls: required}, {address: \"1.2.3.4:6\"}]\n",
         "listeners[1.2.3.4:5].tls: preferred -> required;"
         "!listeners[1.2.3.4:6]: none -> (there);"},
        {BASE "users: {source: list, list: [{name: a, password: x}, {name: b, password: y}]}\n",
         BASE "users: {source: list, list: [{name: b, password: z}, {name: c, password: y}]}\n",
         "users.list[a]: (there) -> none;users.list[b].password: (set) -> (set);"
         "users.list[c]: none -> (there);"},
        {BASE "rules: [{name: x, table: t, route: replica}, {user: u}]\n",
         BASE "rules: [{log: true, user: n}, {name: x, table: t, route: primary}, {user: u}]\n",
         "rules[x].route: \"replica\" -> \"primary\";rules[1]: none -> (there);"},
        {BASE "rules: [{table: t}, {user: u}]\n",
         BASE "rules: [{table: t}, {table: n}, {user: u}]\n", "rules[2]: none -> (there);"},
        {BASE "cache: {memory: 1GiB}\nrules: [{table: t, cache: 5m}]\n",
         BASE "cache: {memory: 2GiB, ttl: 1m}\nrules: [{table: t, cache: off}]\n",
         "rules[1].cache: 5m -> off;!cache.memory: 1GiB -> 2GiB;cache.ttl: 5m -> 1m;"},
        {BASE "rules: [{table: [t, u]}]\n", BASE "rules: [{table: t}]\n",
         "rules[1].table: [\"t\", \"u\"] -> [\"t\"];"},
        {BASE "rules: [{name: a, user: a}, {name: b, user: b}]\n",
         BASE "rules: [{name: b, user: b}, {name: a, user: a}]\n",
         "rules: (order) -> (another order);"},
    };

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct config *before = parse(cases[i].before);
        struct config *after = parse(cases[i].after);
        struct told told = {.len = 0};
        int count = config_diff(before, after, tell, &told);
        int wanted = 0;

        told.text[told.len] = '\0';
        for (const char *p = cases[i].want; *p != '\0'; p++) {
            wanted += *p == ';' ? 1 : 0;
        }
        assert_string_equal(told.text, cases[i].want);
        assert_int_equal(count, wanted);
        assert_int_equal(config_diff(before, after, NULL, NULL), wanted);
        config_unref(before);
        config_unref(after);
    }
}

static void test_networks(void **state)
{
    struct config_network network;

    (void)state;
    assert_true(config_network_parse("10.128.0.0/9", &network));
    assert_false(network.is_v6);
    assert_int_equal(network.bits, 9);
    assert_int_equal(network.addr[1], 128);
    assert_true(config_network_parse("::1", &network));
    assert_true(network.is_v6);
    assert_int_equal(network.bits, 128);
    assert_true(config_network_parse("0.0.0.0/0", &network));
    assert_int_equal(network.bits, 0);
    assert_true(config_network_parse("unix", &network));
    assert_true(network.is_unix);
    assert_false(config_network_parse("10.64.0.0/9", &network));
    assert_false(config_network_parse("10.0.0.0/", &network));
    assert_false(config_network_parse("10.0.0.0/8/8", &network));
    assert_false(config_network_parse("", &network));
    assert_false(config_network_parse("1::2::3", &network));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diffs),
        cmocka_unit_test(test_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
