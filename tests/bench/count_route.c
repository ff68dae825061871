/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: where a point select goes, decided ROUNDS times: one primary, two replicas that are
 * up, the table in the catalogue. */
#include <stdio.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/route/decide.h"

#define ROUNDS  1000u
#define SERVERS 3
#define NOW_US  UINT64_C(1000000000)

static struct topo *servers_create(void)
{
    struct topo *topo = topo_create(SERVERS);
    if (topo == NULL) {
        return NULL;
    }
    topo->primary = 0;
    for (int i = 0; i < SERVERS; i++) {
        struct topo_server *server = &topo->servers[i];
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
    if (builder == NULL) {
        return NULL;
    }
    if (catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("iot"),
                              SPAN_LIT("devices")) != 0) {
        catalogue_builder_destroy(builder);
        return NULL;
    }
    return catalogue_builder_finish(builder, 3, 10);
}

int main(void)
{
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    struct topo *topo = servers_create();
    struct catalogue *catalogue = tables_create();
    if (topo == NULL || catalogue == NULL) {
        return 2;
    }
    struct balance_load load = {.pending = {0}};
    struct route_conf conf = {.policy = CONFIG_WEIGHTED_RANDOM,
                              .reads_on_primary = CONFIG_READS_FALLBACK,
                              .raw_mode = CONFIG_RAW_WINDOW,
                              .raw_window_us = 7000000,
                              .max_lag_us = 5000000,
                              .sample_max_age_us = 1000000};
    struct route_sess sess = {
        .is_utf8 = true, .ro_tx_server = -1, .last_server = -1, .schema = SPAN_LIT("iot")};
    struct route_view view = {.topo = topo,
                              .catalogue = catalogue,
                              .ddl_seen = 10,
                              .conf = &conf,
                              .load = &load,
                              .now_us = NOW_US};
    struct facts facts;
    struct route_decision decision;
    unsigned replicas = 0;
    classify_sql(SPAN_LIT("SELECT id, name, status FROM devices WHERE id = 4711 LIMIT 100"), &env,
                 &facts);
    for (unsigned round = 0; round < ROUNDS; round++) {
        view.random = round * UINT64_C(0x9e3779b97f4a7c15);
        route_decide(&facts, &sess, &view, &decision);
        replicas += decision.target == ROUTE_TO_REPLICA;
    }
    printf("rounds %u to replicas %u\n", ROUNDS, replicas);
    topo_unref(topo);
    catalogue_unref(catalogue);
    return replicas == ROUNDS ? 0 : 1;
}
