/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXPLAIN ROUTE for a session that does not exist: a fresh one, of any user and in any schema, in
 * the topology, catalogue and settings of this moment. Classification, decision and words are those
 * of a statement.
 */
#include <string.h>

#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/cache/cache.h"
#include "weir/cache/explain.h"
#include "weir/classify/classify.h"
#include "weir/classify/facts.h"
#include "weir/protocol/gtid.h"
#include "weir/route/causal.h"
#include "weir/route/decide.h"
#include "weir/route/guard.h"
#include "weir/route/rule.h"
#include "weir/util/crypto.h"

#include "admin_priv.h"

static void env_fill(const struct topo *topo, struct span schema, struct classify_env *ret_env)
{
    const struct topo_server *model = topo_primary(topo);

    for (uint16_t i = 0; model == NULL && i < topo->server_count; i++) {
        model = topo->servers[i].flavour != TOPO_FLAVOUR_UNKNOWN ? &topo->servers[i] : NULL;
    }
    *ret_env = (struct classify_env){
        .flavour = model != NULL && model->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB
                                                                           : CLASSIFY_MYSQL,
        .version = model != NULL ? model->version : 0,
        .charset = CLASSIFY_CS_SAFE,
        .schema = schema,
    };
    if (model != NULL && model->has_defaults) {
        ret_env->sql_mode = classify_mode_parse(span_of(model->defaults.sql_mode));
    }
    for (uint16_t i = 0; i < topo->server_count; i++) {
        const struct topo_server *server = &topo->servers[i];

        /* executable comments are judged by version: servers that differ leave it open what runs */
        if (server->flavour != TOPO_FLAVOUR_UNKNOWN && server->version != ret_env->version) {
            ret_env->version = 0;
        }
    }
}

static void item(void *arg, const char *name, const char *text)
{
    rows_text(arg, name);
    rows_text(arg, text);
}

/* The rule that fits a client of whom no address is known; NULL: none. */
static int rule_of(const struct admin_view *view, const struct words_explain *asked,
                   struct rule_input *in, const struct config_rule **ret_rule)
{
    struct rule_scratch *scratch = NULL;
    struct rule_who who = {.bits = NULL};
    int found = -1;
    int rc = rule_scratch_create(&scratch);

    *ret_rule = NULL;
    in->user = span_of(asked->has_user ? asked->user : "");
    in->host = "";
    if (rc == 0) {
        found = rules_match(view->rules, scratch, &who, in);
        *ret_rule = found < 0 ? NULL : rules_get(view->rules, (uint32_t)found);
    }
    rule_who_reset(&who);
    rule_scratch_destroy(scratch);
    return rc;
}

static int on_group(const void *arg, const struct config_rule *rule, struct span sql,
                    struct span name, struct span *ret_text)
{
    const struct rules *rules = arg;
    struct rule_scratch *scratch = NULL;
    int rc = -1;

    if (rule_scratch_create(&scratch) == 0) {
        rc = rules_group(rules, scratch, rule, sql, name, ret_text);
        rule_scratch_destroy(scratch);
    }
    return rc;
}

static void cache_item(const struct admin_view *view, const struct route_view *world,
                       const struct cache_tag_in *statement, const struct route_sess *fresh,
                       struct admin_rows *rows)
{
    const struct cache_lease_in in = {
        .catalogue = view->catalogue,
        .ddl_seen = world->ddl_seen,
        .schema = fresh->schema,
        .statement = *statement,
    };
    const struct cache_ask ask = {
        .conf = &view->config->cache,
        .rule = world->rule,
        .facts = statement->facts,
        .isolation = fresh->isolation,
        .autocommit_off = fresh->autocommit_off,
        .is_heard =
            view->cache != NULL && cache_stream_is_heard(&view->cache->stream, world->now_us),
    };
    char text[256];

    cache_explain(view->cache, &ask, &in, text, sizeof(text));
    item(rows, "cache", text);
}

/* What a fresh session has to see beside its own writes, of which there are none. */
struct others {
    struct gtid_set token;
    uint64_t unknown_us; /* the last write whose position nobody knows; 0: none */
    uint64_t blind_until_us;
};

static void others_add(struct causal_board *board, uint32_t slot, uint64_t now_us,
                       struct others *others)
{
    struct causal_mark mark = {.version = 0};

    if (causal_board_is_deaf(board, now_us) ||
        causal_board_take(board, slot, &others->token, &mark) < 0) {
        others->unknown_us = now_us;
    }
    if (mark.unknown_us > others->unknown_us) {
        others->unknown_us = mark.unknown_us;
    }
    if (mark.blind_until_us > others->blind_until_us) {
        others->blind_until_us = mark.blind_until_us;
    }
}

static void others_find(const struct admin_view *view, const struct route_conf *conf,
                        const struct words_explain *asked, uint32_t key_slot, uint64_t now_us,
                        struct others *others)
{
    if (view->causal == NULL) {
        return;
    }
    if (conf->raw_scope == CONFIG_SCOPE_USER && asked->has_user) {
        others_add(view->causal, causal_slot_user(span_of(asked->user)), now_us, others);
    } else if (conf->raw_scope == CONFIG_SCOPE_GLOBAL) {
        others_add(view->causal, CAUSAL_SLOT_ALL, now_us, others);
    }
    if (key_slot != 0) {
        others_add(view->causal, guard_causal_key(key_slot), now_us, others);
    }
}

/* Adds what the hint token= asks for. False: nobody knows what that is. */
static bool others_hint(const struct facts *facts, struct others *others)
{
    return (facts->hints & HINT_BIT(HINT_TOKEN)) == 0 ||
           gtid_add_text(&others->token, facts->hint[HINT_TOKEN], &GTID_LIMITS_TOKEN) == 0;
}

/* With GTIDs: who is known to have what must be seen. Without: nothing, and windows count. */
static void fresh_fill(const struct admin_view *view, const struct route_conf *conf,
                       const struct facts *facts, const struct words_explain *asked,
                       uint32_t key_slot, uint64_t now_us, struct route_sess *fresh)
{
    const struct position *primary = positions_of_primary(view->positions, view->topo->primary);
    struct others others = {.unknown_us = 0};
    bool is_waited_for = false;

    if (!config_wants_gtid(view->config) || primary == NULL || !primary->has_gtids) {
        return;
    }
    gtid_init(&others.token);
    others_find(view, conf, asked, key_slot, now_us, &others);
    fresh->has_gtids = true;
    fresh->blind_until_us = others.blind_until_us;
    fresh->has_mask = UINT64_MAX;
    if (!others_hint(facts, &others)) {
        fresh->has_mask = 0;
    } else {
        if (!gtid_is_empty(&others.token)) {
            fresh->has_mask = positions_have(view->positions, &others.token);
        }
        is_waited_for = view->config->read_after_write.wait_us != 0;
        if (others.unknown_us != 0 && primary->began_us > others.unknown_us) {
            fresh->has_mask &= primary->covered_mask;
        } else if (others.unknown_us != 0) {
            fresh->has_mask &= UINT64_C(1) << view->topo->primary;
            is_waited_for = false; /* nobody could say for what */
        }
    }
    fresh->wait_mask = is_waited_for && fresh->has_mask != UINT64_MAX ? UINT64_MAX : 0;
    gtid_fini(&others.token);
}

static void explain(struct admin_sess *sess, const struct words_explain *asked)
{
    const struct topo_server *primary = NULL;
    struct span schema = span_of(asked->has_schema ? asked->schema : "");
    struct classify_env env;
    struct facts facts;
    struct route_conf conf;
    struct route_decision decision;
    struct admin_view view;
    struct admin_rows rows;
    uint32_t key_slot = 0;
    struct route_sess fresh = {
        .is_utf8 = true, .ro_tx_server = -1, .last_server = -1, .schema = schema};
    struct route_view world;
    struct rule_input in = {.facts = &facts, .sql = asked->sql, .env = &env, .schema = schema};

    admin_view(sess, &view);
    primary = topo_primary(view.topo);
    env_fill(view.topo, schema, &env);
    classify_sql(asked->sql, &env, &facts);
    route_conf_init(view.config, &conf);
    if (primary != NULL && primary->has_defaults) {
        fresh.isolation = primary->defaults.isolation;
        fresh.autocommit_off = !primary->defaults.autocommit;
    }
    if ((facts.hints & HINT_BIT(HINT_KEY)) != 0 && facts.hint[HINT_KEY].len != 0) {
        key_slot = guard_key_slot(facts.hint[HINT_KEY]);
    }
    if (view.board != NULL && asked->has_user) {
        fresh.raw_until_us =
            guard_until_us(view.board, &conf, 0, guard_user_slot(span_of(asked->user)), key_slot);
    } else if (view.board != NULL && (conf.raw_scope == CONFIG_SCOPE_GLOBAL || key_slot != 0)) {
        fresh.raw_until_us = guard_until_us(view.board, &conf, 0, 0, key_slot);
    }
    world = (struct route_view){
        .topo = view.topo,
        .catalogue = view.catalogue,
        .ddl_seen = catalogue_ddl_seen(),
        .conf = &conf,
        .now_us = loop_now_us(sess->admin->conf.loop),
    };
    fresh_fill(&view, &conf, &facts, asked, key_slot, world.now_us, &fresh);
    crypto_random(&world.random, sizeof(world.random));
    if (rule_of(&view, asked, &in, &world.rule) < 0) {
        admin_error(sess, 1041, "HY000", "weir: out of memory");
        return;
    }
    route_decide(&facts, &fresh, &world, &decision);
    rows_begin(&rows, sess, "item,value", NULL, true);
    if (asked->has_user) {
        item(&rows, "user", asked->user);
    }
    route_explain(&facts, &fresh, &world, &decision, item, &rows);
    cache_item(&view, &world,
               &(struct cache_tag_in){.rule = world.rule,
                                      .group = on_group,
                                      .group_arg = view.rules,
                                      .sql = asked->sql,
                                      .env = &env,
                                      .facts = &facts},
               &fresh, &rows);
    rows_end(&rows);
}

void admin_explain(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_explain asked;

    (void)at;
    if (!words_explain(words->text, &asked)) {
        admin_error(sess, 1064, "42000",
                    "weir: EXPLAIN ROUTE [AS user] [IN schema] statement; a statement is missing, "
                    "or a value behind AS or IN");
        return;
    }
    explain(sess, &asked);
}
