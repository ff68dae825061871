/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir explain`: the same classification, decision and words as EXPLAIN ROUTE, for a fresh session
 * in a world where every server is well and every table that the statement names is a base table.
 * No server is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/backend/catalogue.h"
#include "weir/backend/topo.h"
#include "weir/classify/classify.h"
#include "weir/classify/facts.h"
#include "weir/config/config.h"
#include "weir/core/run.h"
#include "weir/route/decide.h"
#include "weir/route/guard.h"
#include "weir/route/rule.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#include "settings_priv.h"

#define NAME_BYTES      1024
#define VERSION_MYSQL   90704
#define VERSION_MARIADB 101119
#define PLAIN_SERVERS   3

static const struct route_conf PLAIN_CONF = {
    .policy = CONFIG_WEIGHTED_RANDOM,
    .reads_on_primary = CONFIG_READS_FALLBACK,
    .raw_mode = CONFIG_RAW_AUTO,
    .raw_scope = CONFIG_SCOPE_SESSION,
    .raw_window_us = 7 * CLOCK_US_PER_SECOND,
    .max_lag_us = 5 * CLOCK_US_PER_SECOND,
    .sample_max_age_us = CLOCK_US_PER_SECOND,
};

static void server_well(struct topo_server *server, const struct run_explain_args *args,
                        uint64_t now_us)
{
    server->addr.ss_family = AF_UNIX;
    server->addr_len = sizeof(server->addr);
    server->state = TOPO_ST_UP;
    server->why = TOPO_WHY_NONE;
    server->weight_eff = server->weight * TOPO_WEIGHT_ONE;
    server->lag_us = 0;
    server->last_good_us = now_us;
    server->flavour = args->is_mariadb ? TOPO_FLAVOUR_MARIADB : TOPO_FLAVOUR_MYSQL;
    server->version = args->is_mariadb ? VERSION_MARIADB : VERSION_MYSQL;
}

/* The primary is the server that the config calls so, else the first that may be one. */
static int16_t primary_of(const struct config *config)
{
    int16_t first = -1;

    for (uint32_t i = 0; i < config->server_count; i++) {
        if (config->servers[i].role == CONFIG_ROLE_PRIMARY) {
            return (int16_t)i;
        }
        if (config->servers[i].role == CONFIG_ROLE_AUTO && first < 0) {
            first = (int16_t)i;
        }
    }
    return first;
}

static struct topo *world_create(const struct config *config, const struct run_explain_args *args,
                                 uint64_t now_us)
{
    static const char *const plain[PLAIN_SERVERS] = {"primary", "replica1", "replica2"};
    uint32_t count = config == NULL ? PLAIN_SERVERS : config->server_count;
    struct topo *topo = topo_create(count);

    if (topo == NULL) {
        return NULL;
    }
    topo->primary = config == NULL ? 0 : primary_of(config);
    for (uint32_t i = 0; i < count; i++) {
        struct topo_server *server = &topo->servers[i];

        (void)snprintf(server->name, sizeof(server->name), "%s",
                       config == NULL ? plain[i] : config->servers[i].name);
        server->weight = config == NULL ? 100 : config->servers[i].weight;
        server->role = topo->primary == (int16_t)i ? TOPO_ROLE_PRIMARY : TOPO_ROLE_REPLICA;
        server_well(server, args, now_us);
    }
    return topo;
}

static struct span name_of(struct span raw, char dst[NAME_BYTES])
{
    size_t len = classify_name_decode(raw, dst, NAME_BYTES);

    return (struct span){(const uint8_t *)dst, len < NAME_BYTES ? len : NAME_BYTES - 1};
}

/* What the file says of functions; nothing else is known of any without a server. */
static int functions_add(struct catalogue_builder *builder, const struct config_functions *lists)
{
    const struct config_function_list *both[] = {&lists->replica, &lists->primary};
    const enum catalogue_kind kinds[] = {CATALOGUE_FUNCTION_LISTED, CATALOGUE_FUNCTION_FORBIDDEN};
    int rc = 0;

    for (size_t i = 0; i < 2; i++) {
        for (uint32_t k = 0; rc == 0 && k < both[i]->count; k++) {
            rc = catalogue_builder_function(builder, kinds[i], span_of(both[i]->list[k].schema),
                                            span_of(both[i]->list[k].name), span_of(""));
        }
    }
    return rc;
}

static struct catalogue *catalogue_of(const struct config *config, const struct facts *facts,
                                      struct span schema)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);

    if (builder == NULL) {
        return NULL;
    }
    for (uint8_t i = 0; i < facts->table_count; i++) {
        char own_schema[NAME_BYTES];
        char name[NAME_BYTES];
        struct span in = facts->tables[i].schema.len == 0
                             ? schema
                             : name_of(facts->tables[i].schema, own_schema);

        if (catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, in,
                                  name_of(facts->tables[i].name, name)) < 0) {
            catalogue_builder_destroy(builder);
            return NULL;
        }
    }
    if (config != NULL && functions_add(builder, &config->functions) < 0) {
        catalogue_builder_destroy(builder);
        return NULL;
    }
    return catalogue_builder_finish(builder, 1, catalogue_ddl_seen());
}

static void print_item(void *arg, const char *item, const char *text)
{
    (void)fprintf(arg, "%-20s %s\n", item, text);
}

/* The rule that fits; NULL: none. */
static int rule_of(const struct settings *settings, const struct run_explain_args *args,
                   struct rule_input *in, const struct config_rule **ret_rule)
{
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    int found = -1;
    int rc = 0;

    *ret_rule = NULL;
    if (settings == NULL) {
        return 0;
    }
    in->user = span_of(args->user);
    in->host = args->client == NULL ? "" : args->client;
    in->is_unix = args->client != NULL && strcmp(args->client, "unix") == 0;
    rc = rule_scratch_create(&scratch);
    if (rc == 0) {
        found = rules_match(settings->rules, scratch, &who, in);
        *ret_rule = found < 0 ? NULL : rules_get(settings->rules, (uint32_t)found);
    }
    rule_who_reset(&who);
    rule_scratch_destroy(scratch);
    return rc;
}

static int explain(const struct settings *settings, const struct run_explain_args *args, FILE *out)
{
    const struct config *config = settings == NULL ? NULL : settings->config;
    struct span schema = span_of(args->schema == NULL ? "app" : args->schema);
    struct classify_env env = {
        .flavour = args->is_mariadb ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = args->is_mariadb ? VERSION_MARIADB : VERSION_MYSQL,
        .charset = CLASSIFY_CS_SAFE,
        .schema = schema,
    };
    struct route_conf conf = PLAIN_CONF;
    uint64_t now_us = clock_now_us();
    struct topo *topo = world_create(config, args, now_us);
    struct catalogue *catalogue = NULL;
    struct route_decision decision;
    struct rand_state rng;
    struct facts facts;
    struct rule_input in = {
        .facts = &facts, .sql = span_of(args->sql), .env = &env, .schema = schema};
    const struct config_rule *rule = NULL;
    int rc = -ENOMEM;

    classify_sql(in.sql, &env, &facts);
    if (facts.verb == VERB_EXPLAIN_ROUTE) {
        in.sql = facts.inner;
        classify_sql(in.sql, &env, &facts);
    }
    catalogue = catalogue_of(config, &facts, schema);
    if (topo != NULL && catalogue != NULL && rule_of(settings, args, &in, &rule) == 0) {
        rand_seed_system(&rng);
        if (config != NULL) {
            route_conf_init(config, &conf);
        }

        struct route_sess sess = {
            .is_utf8 = true,
            .ro_tx_server = -1,
            .last_server = -1,
            /* servers that are well have GTIDs, and everybody has everything */
            .has_gtids = config == NULL || config_wants_gtid(config),
            .has_mask = UINT64_MAX,
            .schema = schema,
        };
        struct route_view view = {.topo = topo,
                                  .catalogue = catalogue,
                                  .ddl_seen = catalogue_ddl_seen(),
                                  .conf = &conf,
                                  .rule = rule,
                                  .now_us = now_us,
                                  .random = rand_u64(&rng)};

        route_decide(&facts, &sess, &view, &decision);
        route_explain(&facts, &sess, &view, &decision, print_item, out);
        rc = ferror(out) != 0 ? -EIO : 0;
    }
    catalogue_unref(catalogue);
    topo_unref(topo);
    return rc;
}

int run_explain(const struct run_explain_args *args, FILE *out)
{
    struct settings *settings = NULL;

    if (args->config_path != NULL) {
        struct config_errors errs = {0};
        int rc = settings_load(args->config_path, 1, &errs, &settings);

        config_print_errors(&errs, stderr);
        if (rc < 0) {
            return RUN_USAGE;
        }
    }

    int rc = explain(settings, args, out);

    if (rc < 0) {
        (void)fprintf(stderr, "weir: explain: %s\n", err_text(rc));
    }
    settings_unref(settings);
    return rc < 0 ? RUN_FAILED : RUN_OK;
}
