/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: a point select classified, looked up among rules and routed, ROUNDS times. count_rule
 *   none    without rules
 *   many    1,000 rules of all kinds but digests, of which none fits
 *   fits    the same, and the last one fits
 *   digest  1,000 rules by digest
 * The sum of classify, digest, rules and route is what is compared: statement(). Digests are kept unless an
 * operator says otherwise, so the digest is there when rules are asked. Whole processes: tests/bench/whole. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/route/decide.h"
#include "weir/route/rule.h"

#define ROUNDS    1000u
#define RULES     1000u
#define NOW_US    UINT64_C(1000000000)
#define TEXT_SIZE ((size_t)256 * 1024)

static const char SQL[] = "SELECT id, name, status FROM devices WHERE id = 4711 LIMIT 100";
static const struct classify_env ENV = {.flavour = CLASSIFY_MYSQL, .version = 90704};

struct world {
    struct rules *rules;
    struct rule_scratch *scratch;
    struct rule_who who;
    struct topo *topo;
    struct catalogue *catalogue;
    struct route_conf conf;
    struct balance_load load;
};

/* One of the kinds that a file with many rules has. */
static int rule_print(char *dst, size_t cap, unsigned i)
{
    switch (i % 6) {
    case 0:
        return snprintf(dst, cap, "  - {table: iot.table_%u, route: primary}\n", i);
    case 1:
        return snprintf(dst, cap, "  - {table: [a%u, b%u], class: read, max_lag: 1m}\n", i, i);
    case 2:
        return snprintf(dst, cap, "  - {user: [batch_%u], timeout: 5m}\n", i);
    case 3:
        return snprintf(dst, cap, "  - {class: write, match: 'word%u\\b', log: true}\n", i);
    case 4:
        return snprintf(dst, cap, "  - {client: 10.%u.%u.0/24, route: replica}\n", i / 200,
                        i % 200);
    default:
        return snprintf(dst, cap, "  - {schema: tenant_%u, class: ddl, deny: no}\n", i);
    }
}

static struct config *config_of(const char *kind)
{
    char *text = malloc(TEXT_SIZE);
    struct config_errors errs;
    struct config *config = NULL;
    int len = 0;

    if (text == NULL) {
        return NULL;
    }
    len = snprintf(text, TEXT_SIZE,
                   "servers: [{name: a, address: \"h:1\"}]\nmonitor: {user: m, password: x}\n"
                   "rules:\n");
    for (unsigned i = 0; strcmp(kind, "none") != 0 && i < RULES - 1; i++) {
        if (strcmp(kind, "digest") == 0) {
            len += snprintf(text + len, TEXT_SIZE - (size_t)len,
                            "  - {digest: \"%016x\", route: primary}\n", i);
        } else {
            len += rule_print(text + len, TEXT_SIZE - (size_t)len, i);
        }
    }
    if (strcmp(kind, "none") != 0) {
        len += snprintf(text + len, TEXT_SIZE - (size_t)len, "  - {table: %s, log: true}\n",
                        strcmp(kind, "many") == 0 ? "others" : "devices");
    } else {
        len += snprintf(text + len, TEXT_SIZE - (size_t)len, "  []\n");
    }
    if (config_parse("bench", (const uint8_t *)text, (size_t)len, &config, &errs) < 0) {
        config_print_errors(&errs, stderr);
    }
    free(text);
    return config;
}

static struct topo *servers_create(void)
{
    struct topo *topo = topo_create(3);

    for (int i = 0; topo != NULL && i < 3; i++) {
        struct topo_server *server = &topo->servers[i];

        topo->primary = 0;
        server->role = i == 0 ? TOPO_ROLE_PRIMARY : TOPO_ROLE_REPLICA;
        server->state = TOPO_ST_UP;
        server->why = TOPO_WHY_NONE;
        server->addr_len = 16;
        server->weight = 100;
        server->weight_eff = server->weight * TOPO_WEIGHT_ONE;
        server->lag_us = 1000;
        server->last_good_us = NOW_US - 1000;
    }
    return topo;
}

static struct catalogue *tables_create(void)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);

    if (builder == NULL || catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("iot"),
                                                 SPAN_LIT("devices")) != 0) {
        return NULL;
    }
    return catalogue_builder_finish(builder, 3, 10);
}

/* Counted by its name, so it must not be made part of its caller. */
__attribute__((noinline)) int16_t statement(struct world *w, uint64_t random);
int16_t statement(struct world *w, uint64_t random)
{
    struct facts facts;
    struct route_decision decision;
    struct span sql = SPAN_LIT(SQL);
    struct rule_input in = {.facts = &facts,
                            .sql = sql,
                            .env = &ENV,
                            .schema = SPAN_LIT("iot"),
                            .user = SPAN_LIT("app"),
                            .host = "192.0.2.7"};
    struct route_sess sess = {
        .is_utf8 = true, .ro_tx_server = -1, .last_server = -1, .schema = SPAN_LIT("iot")};
    struct route_view view = {.topo = w->topo,
                              .catalogue = w->catalogue,
                              .ddl_seen = 10,
                              .conf = &w->conf,
                              .load = &w->load,
                              .now_us = NOW_US,
                              .random = random};
    int rule = -1;

    classify_sql(sql, &ENV, &facts);
    in.digest = classify_digest_hash(sql, &ENV);
    in.has_digest = true;
    rule = rules_match(w->rules, w->scratch, &w->who, &in);
    view.rule = rule < 0 ? NULL : rules_get(w->rules, (uint32_t)rule);
    route_decide(&facts, &sess, &view, &decision);
    return decision.server > 0 ? (int16_t)rule : (int16_t)-2;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "none";
    struct config *config = config_of(kind);
    bool is_none = strcmp(kind, "none") == 0 || strcmp(kind, "many") == 0;
    int16_t want = is_none ? -1 : (int16_t)(RULES - 1);
    struct config_errors errs = {.count = 0};
    struct world w = {.topo = servers_create(),
                      .catalogue = tables_create(),
                      .conf = {.policy = CONFIG_WEIGHTED_RANDOM,
                               .raw_mode = CONFIG_RAW_WINDOW,
                               .raw_window_us = 7000000,
                               .max_lag_us = 5000000,
                               .sample_max_age_us = 1000000}};
    unsigned right = 0;

    if (config == NULL || w.topo == NULL || w.catalogue == NULL ||
        rules_compile(config, 1, &errs, &w.rules) < 0 || rule_scratch_create(&w.scratch) < 0) {
        return 2;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        right += statement(&w, round * UINT64_C(0x9e3779b97f4a7c15)) == want;
    }
    printf("rounds %u right %u\n", ROUNDS, right);
    rule_who_reset(&w.who);
    rule_scratch_destroy(w.scratch);
    rules_unref(w.rules);
    config_unref(config);
    topo_unref(w.topo);
    catalogue_unref(w.catalogue);
    return right == ROUNDS ? 0 : 1;
}
