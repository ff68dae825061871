/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world of one primary and three replicas (the last of weight 0), and for each row what is
 * different in it. The last test asks that the rows together reached every reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/route/decide.h"
#include "weir/util/rand.h"

#include "decide_priv.h"

#define NOW_US  UINT64_C(1000000000)
#define SERVERS 4
#define ANY     (-2)
#define MAX_LAG UINT64_C(5000000)

struct world {
    struct topo *topo;
    struct catalogue *catalogue;
    struct route_conf conf;
    struct route_sess sess;
    struct route_view view;
    struct facts facts;
};

struct row {
    const char *name;
    void (*change)(struct world *world);
    enum route_target target;
    int16_t server; /* ANY: an eligible replica */
    enum route_reason reason;
    uint8_t flags;
};

/* Which reasons the rows have produced, in any step. */
static bool
    reason_seen[ROUTE_REASON_END_]; /* NOLINT(cppcoreguidelines-avoid-non-const-global-variables) */

static void function(struct catalogue_builder *builder, enum catalogue_kind kind,
                     const char *schema, const char *name, const char *note)
{
    assert_int_equal(
        catalogue_builder_function(builder, kind, span_of(schema), span_of(name), span_of(note)),
        0);
}

static void world_init(struct world *w)
{
    struct catalogue_builder *builder = catalogue_builder_create(false);

    memset(w, 0, sizeof(*w));
    w->topo = topo_create(SERVERS);
    w->topo->primary = 0;
    w->topo->snap.generation = 7;
    for (int i = 0; i < SERVERS; i++) {
        struct topo_server *server = &w->topo->servers[i];

        snprintf(server->name, sizeof(server->name), i == 0 ? "p" : "r%d", i);
        server->role = i == 0 ? TOPO_ROLE_PRIMARY : TOPO_ROLE_REPLICA;
        server->state = TOPO_ST_UP;
        server->why = TOPO_WHY_NONE;
        server->addr_len = 16;
        server->weight = i == 3 ? 0 : 100;
        server->weight_eff = server->weight * TOPO_WEIGHT_ONE;
        server->lag_us = 1000;
        server->last_good_us = NOW_US - 1000;
    }
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("db"), SPAN_LIT("t")), 0);
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("db"), SPAN_LIT("we`ird")),
        0);
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_BASE_TABLE, SPAN_LIT("db"), SPAN_LIT("\xc3\xa4")),
        0);
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_VIEW_HARMLESS, SPAN_LIT("db"), SPAN_LIT("v")), 0);
    assert_int_equal(
        catalogue_builder_add(builder, CATALOGUE_VIEW_OTHER, SPAN_LIT("db"), SPAN_LIT("vw")), 0);
    function(builder, CATALOGUE_FUNCTION_HARMLESS, "db", "f", "");
    function(builder, CATALOGUE_FUNCTION_LISTED, "db", "fl", "");
    function(builder, CATALOGUE_FUNCTION_FORBIDDEN, "db", "fp", "");
    function(builder, CATALOGUE_FUNCTION, "db", "fw", "it changes data (INSERT, line 2)");
    function(builder, CATALOGUE_FUNCTION_HARMLESS, "db", "lib", "");
    function(builder, CATALOGUE_FUNCTION_LOADABLE, "", "lib", "");
    w->catalogue = catalogue_builder_finish(builder, 3, 10);
    w->conf = (struct route_conf){
        .policy = CONFIG_WEIGHTED_RANDOM,
        .reads_on_primary = CONFIG_READS_FALLBACK,
        .raw_mode = CONFIG_RAW_WINDOW,
        .raw_window_us = 7000000,
        .max_lag_us = MAX_LAG,
        .sample_max_age_us = 1000000,
    };
    w->sess = (struct route_sess){
        .is_utf8 = true, .ro_tx_server = -1, .last_server = -1, .schema = SPAN_LIT("db")};
    w->view = (struct route_view){.topo = w->topo,
                                  .catalogue = w->catalogue,
                                  .ddl_seen = 10,
                                  .conf = &w->conf,
                                  .now_us = NOW_US,
                                  .random = 0x123456789abcdef0};
    w->facts.verb = VERB_SELECT;
    w->facts.bits = FACT(READ);
}

static void world_fini(struct world *w)
{
    topo_unref(w->topo);
    catalogue_unref(w->catalogue);
}

static void hint(struct world *w, enum classify_hint name, const char *value)
{
    w->facts.hints |= HINT_BIT(name);
    w->facts.hint[name] = span_of(value);
}

static void reads(struct world *w, const char *schema, const char *name)
{
    w->facts.tables[w->facts.table_count++] = (struct facts_table){span_of(schema), span_of(name)};
}

/* A read but for the calls of these functions. */
static void calls(struct world *w, const char *schema, const char *name)
{
    w->facts.bits = FACT(PRIMARY) | FACT(WRITE) | FACT(CALLS);
    w->facts.why = schema[0] ? WHY_FUNCTION_QUALIFIED : WHY_FUNCTION_UNKNOWN;
    w->facts.calls[w->facts.call_count++] = (struct facts_call){span_of(schema), span_of(name)};
}

/* --- what is different, row by row --- */

static void call_harmless(struct world *w)
{
    calls(w, "", "F");
    calls(w, "`db`", "`fl`");
    reads(w, "", "t");
}
static void call_and_unknown_table(struct world *w)
{
    calls(w, "", "f");
    reads(w, "", "nothing");
}
static void call_one_of_two(struct world *w)
{
    calls(w, "", "f");
    calls(w, "", "fw");
}
static void call_forbidden(struct world *w)
{
    calls(w, "db", "fp");
}
static void call_unknown(struct world *w)
{
    calls(w, "elsewhere", "f");
}
static void call_loadable(struct world *w)
{
    calls(w, "", "lib");
}
static void call_hidden_by_loadable(struct world *w)
{
    calls(w, "db", "lib");
}
static void call_no_schema(struct world *w)
{
    calls(w, "", "f");
    w->sess.schema.len = 0;
}
static void call_outdated(struct world *w)
{
    calls(w, "", "f");
    w->view.ddl_seen++;
}
static void call_no_catalogue(struct world *w)
{
    calls(w, "", "f");
    w->view.catalogue = NULL;
}
static void call_not_ascii(struct world *w)
{
    calls(w, "", "\xc3\xa4");
    w->sess.is_utf8 = false;
}
static void call_without_bit(struct world *w)
{
    calls(w, "", "f");
    w->facts.bits &= ~FACT(CALLS);
}
static void call_in_window(struct world *w)
{
    calls(w, "", "f");
    w->sess.raw_until_us = NOW_US + 1;
}
static void call_in_transaction(struct world *w)
{
    calls(w, "", "f");
    w->sess.in_tx = true;
}
static void call_hinted(struct world *w)
{
    calls(w, "", "fw");
    hint(w, HINT_REPLICA, "");
}
static void call_hint_primary(struct world *w)
{
    calls(w, "", "f");
    hint(w, HINT_PRIMARY, "");
}

static void as_is(struct world *w)
{
    (void)w;
}
static void writes(struct world *w)
{
    w->facts.verb = VERB_INSERT;
    w->facts.why = WHY_WRITE;
    w->facts.bits = FACT(WRITE) | FACT(PRIMARY) | FACT(DML);
}
static void multi(struct world *w)
{
    w->facts.bits = FACT(READ) | FACT(MULTI);
    w->facts.why = WHY_MULTI;
}
static void overflow(struct world *w)
{
    w->facts.bits = FACT(READ) | FACT(OVERFLOW);
    w->facts.why = WHY_OVERFLOW;
}
static void asks_last(struct world *w)
{
    w->facts.bits = FACT(LAST);
    w->facts.why = WHY_LAST_STATEMENT;
}
static void asks_last_of_replica(struct world *w)
{
    asks_last(w);
    w->sess.last_server = 2;
}
static void asks_last_of_primary(struct world *w)
{
    asks_last(w);
    w->sess.last_server = 0;
}
static void asks_last_in_tx(struct world *w)
{
    asks_last_of_primary(w);
    w->sess.in_tx = true;
}
static void asks_last_of_nobody(struct world *w)
{
    asks_last(w);
    w->sess.last_server = 9;
}
static void in_tx(struct world *w)
{
    w->sess.in_tx = true;
}
static void in_tx_hinted(struct world *w)
{
    w->sess.in_tx = true;
    hint(w, HINT_REPLICA, "");
}
static void pinned(struct world *w)
{
    w->sess.pins = PIN_BIT(PIN_TEMP_TABLE);
}
static void next_tx(struct world *w)
{
    w->sess.next_tx_pending = true;
}
static void autocommit_off(struct world *w)
{
    w->sess.autocommit_off = true;
}
static void serializable(struct world *w)
{
    w->sess.isolation = TOPO_ISO_SERIALIZABLE;
}
static void uncommitted(struct world *w)
{
    w->sess.isolation = TOPO_ISO_READ_UNCOMMITTED;
}
static void committed(struct world *w)
{
    w->sess.isolation = TOPO_ISO_READ_COMMITTED;
}
static void ro_start(struct world *w)
{
    w->facts.verb = VERB_BEGIN;
    w->facts.bits = FACT(PRIMARY) | FACT(STARTS_TX) | FACT(TX_READ_ONLY);
    w->facts.why = WHY_TRANSACTION;
}
static void ro_start_serializable(struct world *w)
{
    ro_start(w);
    serializable(w);
}
static void rw_start(struct world *w)
{
    ro_start(w);
    w->facts.bits &= ~FACT(TX_READ_ONLY);
}
static void ro_tx_read(struct world *w)
{
    w->sess.ro_tx_server = 2;
}
static void ro_tx_write(struct world *w)
{
    writes(w);
    w->sess.ro_tx_server = 2;
}
static void ro_tx_savepoint(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->facts.verb = VERB_SAVEPOINT;
    w->facts.bits = FACT(PRIMARY);
    w->facts.why = WHY_TRANSACTION;
}
static void ro_tx_commit(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->facts.verb = VERB_COMMIT;
    w->facts.bits = FACT(PRIMARY) | FACT(ENDS_TX);
}
static void ro_tx_begin(struct world *w)
{
    rw_start(w);
    w->sess.ro_tx_server = 2;
}
static void ro_tx_lock_tables(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->facts.verb = VERB_LOCK;
    w->facts.bits = FACT(PRIMARY) | FACT(IMPLICIT_COMMIT);
}
static void ro_tx_ddl(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->facts.verb = VERB_CREATE;
    w->facts.bits = FACT(PRIMARY) | FACT(WRITE) | FACT(DDL) | FACT(IMPLICIT_COMMIT);
    w->facts.why = WHY_DDL;
}
static void ro_tx_call(struct world *w)
{
    ro_tx_ddl(w);
    w->facts.verb = VERB_CALL;
    w->facts.bits = FACT(PRIMARY) | FACT(WRITE);
    w->facts.pins = PIN_BIT(PIN_UNKNOWN);
}
static void ro_tx_unlock(struct world *w)
{
    ro_tx_lock_tables(w);
    w->facts.verb = VERB_UNLOCK;
}
static void ro_tx_chain(struct world *w)
{
    ro_tx_commit(w);
    w->facts.bits |= FACT(CHAIN) | FACT(STARTS_TX);
}
static void ro_tx_autocommit(struct world *w)
{
    ro_tx_lock_tables(w);
    w->facts.verb = VERB_SET;
    w->facts.bits |= FACT(SET_AUTOCOMMIT);
}
static void ro_tx_xa(struct world *w)
{
    ro_tx_begin(w);
    w->facts.verb = VERB_XA;
}
static void ro_tx_compound(struct world *w)
{
    ro_tx_lock_tables(w);
    w->facts.verb = VERB_COMPOUND;
    w->facts.bits |= FACT(WRITE);
}
static void ro_tx_multi_begin(struct world *w)
{
    ro_tx_begin(w);
    w->facts.bits |= FACT(MULTI);
}
static void ro_tx_get_lock(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->facts.bits = FACT(PRIMARY) | FACT(NAMED_LOCK);
    w->facts.why = WHY_NAMED_LOCK;
}
static void ro_tx_multi(struct world *w)
{
    w->sess.ro_tx_server = 2;
    multi(w);
}
static void ro_tx_gone(struct world *w)
{
    w->sess.ro_tx_server = 2;
    w->topo->servers[2].addr_len = 0;
}
static void known_table(struct world *w)
{
    reads(w, "", "t");
}
static void known_quoted(struct world *w)
{
    reads(w, "`db`", "`t`");
}
static void known_odd(struct world *w)
{
    reads(w, "`db`", "`we``ird`");
}
static void known_view(struct world *w)
{
    reads(w, "", "t");
    reads(w, "db", "v");
}
static void other_view(struct world *w)
{
    reads(w, "", "t");
    reads(w, "", "vw");
}
static void unknown_table(struct world *w)
{
    reads(w, "", "nothing");
}
static void other_case(struct world *w)
{
    reads(w, "", "T");
}
static void no_schema(struct world *w)
{
    reads(w, "", "t");
    w->sess.schema = (struct span){NULL, 0};
}
static void long_name(struct world *w)
{
    static const char name[] =
        "`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`";
    reads(w, "", name);
}
static void empty_name(struct world *w)
{
    reads(w, "", "");
}
static void utf8_name(struct world *w)
{
    reads(w, "", "\xc3\xa4");
}
static void latin1_name(struct world *w)
{
    utf8_name(w);
    w->sess.is_utf8 = false;
}
static void latin1_ascii(struct world *w)
{
    known_table(w);
    w->sess.is_utf8 = false;
}
static void not_loaded(struct world *w)
{
    known_table(w);
    w->view.catalogue = NULL;
}
static void outdated(struct world *w)
{
    known_table(w);
    w->view.ddl_seen = 11;
}
static void outdated_no_table(struct world *w)
{
    w->view.ddl_seen = 11;
}
static void in_window(struct world *w)
{
    w->sess.raw_until_us = NOW_US + 1;
}
static void after_window(struct world *w)
{
    w->sess.raw_until_us = NOW_US;
}
static void window_off(struct world *w)
{
    in_window(w);
    w->conf.raw_mode = CONFIG_RAW_OFF;
}
static void window_off_hint_on(struct world *w)
{
    window_off(w);
    hint(w, HINT_READ_AFTER_WRITE, "window");
}
static void window_hint_off(struct world *w)
{
    in_window(w);
    hint(w, HINT_READ_AFTER_WRITE, "OFF");
}
static void window_hint_odd(struct world *w)
{
    in_window(w);
    hint(w, HINT_READ_AFTER_WRITE, "maybe");
}
/* Servers as bits: the primary is 1, r1 to r3 are 2, 4, 8. */
static void gtids(struct world *w, uint64_t has_mask, uint64_t wait_mask)
{
    w->conf.raw_mode = CONFIG_RAW_GTID;
    w->sess.raw_until_us = NOW_US + 1; /* a window that does not count */
    w->sess.has_gtids = true;
    w->sess.has_mask = has_mask;
    w->sess.wait_mask = wait_mask;
}
static void gtids_one_has(struct world *w)
{
    gtids(w, 1 | 4, UINT64_MAX);
}
static void gtids_all_have(struct world *w)
{
    gtids(w, UINT64_MAX, 0);
}
static void gtids_none_has(struct world *w)
{
    gtids(w, 1, 0);
}
static void gtids_one_may_wait(struct world *w)
{
    gtids(w, 1, 2);
}
static void gtids_auto(struct world *w)
{
    gtids_one_has(w);
    w->conf.raw_mode = CONFIG_RAW_AUTO;
}
static void gtids_not_there(struct world *w)
{
    gtids_one_has(w);
    w->sess.has_gtids = false;
}
static void gtids_blind(struct world *w)
{
    gtids_all_have(w);
    w->sess.blind_until_us = NOW_US + 1;
}
static void gtids_hint_off(struct world *w)
{
    gtids_none_has(w);
    hint(w, HINT_READ_AFTER_WRITE, "off");
}
static void gtids_hint_window(struct world *w)
{
    gtids_all_have(w);
    hint(w, HINT_READ_AFTER_WRITE, "window");
}
static void gtids_hint_strict(struct world *w)
{
    gtids_all_have(w);
    hint(w, HINT_READ_AFTER_WRITE, "strict");
}
static void gtids_hint_strict_idle(struct world *w)
{
    gtids_hint_strict(w);
    w->sess.raw_until_us = NOW_US;
}
static void gtids_off_hint_auto(struct world *w)
{
    gtids_one_has(w);
    w->conf.raw_mode = CONFIG_RAW_OFF;
    hint(w, HINT_READ_AFTER_WRITE, "Auto");
}
static void gtids_hint_on(struct world *w)
{
    gtids_none_has(w);
    w->conf.raw_mode = CONFIG_RAW_OFF;
    hint(w, HINT_READ_AFTER_WRITE, "gtid");
}
static void gtids_server_has(struct world *w)
{
    gtids_one_has(w);
    hint(w, HINT_SERVER, "r2");
}
static void gtids_server_waits(struct world *w)
{
    gtids_one_may_wait(w);
    hint(w, HINT_SERVER, "r1");
}
static void gtids_server_has_not(struct world *w)
{
    gtids(w, 1 | 4, 0);
    hint(w, HINT_SERVER, "r1");
}
static void gtids_ro_start(struct world *w)
{
    gtids_one_may_wait(w);
    w->facts.verb = VERB_BEGIN;
    w->facts.bits = FACT(STARTS_TX) | FACT(TX_READ_ONLY) | FACT(PRIMARY);
}
static void gtids_only_late(struct world *w)
{
    gtids_one_has(w);
    w->topo->servers[2].lag_us = MAX_LAG + 1;
}
static void gtids_in_tx(struct world *w)
{
    gtids_one_may_wait(w);
    w->sess.in_tx = true;
}

static void window_hint_replica(struct world *w)
{
    in_window(w);
    hint(w, HINT_REPLICA, "");
}
static void hint_primary(struct world *w)
{
    hint(w, HINT_PRIMARY, "");
}
static void hint_replica(struct world *w)
{
    hint(w, HINT_REPLICA, "");
}
static void hint_replica_for_write(struct world *w)
{
    writes(w);
    hint(w, HINT_REPLICA, "");
}
static void hint_server(struct world *w)
{
    hint(w, HINT_SERVER, "r2");
}
static void hint_server_without_weight(struct world *w)
{
    hint(w, HINT_SERVER, "r3");
}
static void hint_server_primary(struct world *w)
{
    hint(w, HINT_SERVER, "P");
}
static void hint_server_unknown(struct world *w)
{
    hint(w, HINT_SERVER, "r9");
}
static void hint_server_down(struct world *w)
{
    hint(w, HINT_SERVER, "r1");
    w->topo->servers[1].state = TOPO_ST_DOWN;
    w->topo->servers[1].why = TOPO_WHY_FAILURES;
}
static void hint_server_for_write(struct world *w)
{
    writes(w);
    hint(w, HINT_SERVER, "r1");
}
static void per_server(struct world *w)
{
    w->facts.verb = VERB_SHOW;
    w->facts.bits = FACT(PRIMARY) | FACT(PER_SERVER);
    w->facts.why = WHY_PER_SERVER;
}
static void per_server_hinted(struct world *w)
{
    per_server(w);
    hint(w, HINT_SERVER, "r1");
}
static void per_server_replica(struct world *w)
{
    per_server(w);
    hint(w, HINT_REPLICA, "");
}
static void per_server_both(struct world *w)
{
    per_server(w);
    hint(w, HINT_SERVER, "r1");
    hint(w, HINT_PRIMARY, "");
}
static void per_server_that_writes(struct world *w)
{
    per_server_hinted(w);
    w->facts.bits |= FACT(WRITE);
}
static void max_lag_small(struct world *w)
{
    hint(w, HINT_MAX_LAG, "1ms");
    w->topo->servers[1].lag_us = 1001;
    w->topo->servers[2].lag_us = 1000;
}
static void max_lag_large(struct world *w)
{
    hint(w, HINT_MAX_LAG, "1m");
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].state = TOPO_ST_LAGGING;
        w->topo->servers[i].why = i == 1 ? TOPO_WHY_LAG : TOPO_WHY_IO_THREAD;
        w->topo->servers[i].lag_us = 20000000;
    }
}
static void max_lag_odd(struct world *w)
{
    max_lag_large(w);
    w->facts.hint[HINT_MAX_LAG] = SPAN_LIT("soon");
}
static void one_failed(struct world *w)
{
    w->sess.failed_mask = 1U << 1;
}
static void all_failed(struct world *w)
{
    w->sess.failed_mask = 1U << 1 | 1U << 2 | 1U << 3;
}
static void all_stale(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].last_good_us = NOW_US - 1000001;
    }
}
static void never_probed(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].last_good_us = 0;
    }
    w->view.now_us = 1000; /* so early that even 0 is not long ago */
}
static void all_late(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].lag_us = MAX_LAG + 1;
    }
}
static void all_unknown_lag(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].lag_us = TOPO_LAG_UNKNOWN;
    }
}
static void unknown_lag_hinted(struct world *w)
{
    all_unknown_lag(w);
    hint(w, HINT_MAX_LAG, "24h");
}
static void all_without_address(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].addr_len = 0;
    }
}
static void all_draining(struct world *w)
{
    for (int i = 1; i < SERVERS; i++) {
        w->topo->servers[i].state = TOPO_ST_DRAINING;
    }
}
static void none_may_serve(struct world *w)
{
    all_draining(w);
    w->conf.reads_on_primary = CONFIG_READS_NEVER;
}
static void no_primary_write(struct world *w)
{
    writes(w);
    w->topo->primary = -1;
}
static void no_primary_read(struct world *w)
{
    w->topo->primary = -1;
}
static void no_primary_in_window(struct world *w)
{
    in_window(w);
    w->topo->primary = -1;
}
static void replica_became_primary(struct world *w)
{
    w->topo->primary = 1; /* role says replica still: the index decides */
    w->sess.failed_mask = 1U << 2;
}

/* --- rules --- */

#define RULE_BASE .label = "r", .max_lag_us = UINT64_MAX

static void ruled(struct world *w, const struct config_rule *rule)
{
    w->view.rule = rule;
}
static void rule_without_effect(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .log = true};

    ruled(w, &rule);
}
static void rule_denies(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .deny = "no"};

    ruled(w, &rule);
}
static void rule_denies_in_ro_tx(struct world *w)
{
    rule_denies(w);
    ro_tx_read(w);
}
static void rule_primary(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .route_text = "primary",
                                            .route = CONFIG_ROUTE_PRIMARY};

    ruled(w, &rule);
}
static void rule_primary_hint_replica(struct world *w)
{
    rule_primary(w);
    hint(w, HINT_REPLICA, "");
}
static void rule_replica(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .route_text = "replica",
                                            .route = CONFIG_ROUTE_REPLICA};

    ruled(w, &rule);
}
static void rule_replica_hint_primary(struct world *w)
{
    rule_replica(w);
    hint(w, HINT_PRIMARY, "");
}
static void rule_replica_for_write(struct world *w)
{
    rule_replica(w);
    writes(w);
}
static void rule_replica_in_tx(struct world *w)
{
    rule_replica(w);
    in_tx(w);
}
static void rule_replica_in_window(struct world *w)
{
    rule_replica(w);
    in_window(w);
}
static void rule_replica_unknown_table(struct world *w)
{
    rule_replica(w);
    unknown_table(w);
}
static void rule_server_r(struct world *w, const char *name)
{
    static struct config_rule rules[2]; /* by the names that are asked for */
    struct config_rule *rule = &rules[strcmp(name, "r2") == 0];

    *rule = (struct config_rule){RULE_BASE, .route_text = "server", .route = CONFIG_ROUTE_SERVER,
                                 .server = name};
    ruled(w, rule);
}
static void rule_server(struct world *w)
{
    rule_server_r(w, "r2");
}
static void rule_server_hinted_away(struct world *w)
{
    rule_server_r(w, "r2");
    hint(w, HINT_SERVER, "r1");
}
static void rule_server_gone(struct world *w)
{
    rule_server_r(w, "r9");
}
static void rule_server_down(struct world *w)
{
    rule_server_r(w, "r2");
    w->topo->servers[2].state = TOPO_ST_DOWN;
}
static void rule_server_for_write(struct world *w)
{
    rule_server(w);
    writes(w);
}
static void rule_server_per_server(struct world *w)
{
    rule_server(w);
    per_server(w);
}
static void rule_server_per_server_hinted(struct world *w)
{
    rule_server(w);
    per_server_replica(w);
    w->topo->servers[2].state = TOPO_ST_DOWN;
}
static void rule_lag_small(struct world *w)
{
    static const struct config_rule rule = {.label = "r", .max_lag_us = 1000};

    ruled(w, &rule);
    w->topo->servers[1].lag_us = 1001;
    w->topo->servers[2].lag_us = 1000;
}
static void rule_lag_large(struct world *w)
{
    static const struct config_rule rule = {.label = "r", .max_lag_us = 60000000};

    max_lag_large(w);
    w->facts.hints = 0;
    ruled(w, &rule);
}
static void rule_lag_hinted(struct world *w)
{
    rule_lag_large(w);
    hint(w, HINT_MAX_LAG, "1s");
}
static void rule_raw_off(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .read_after_write = CONFIG_RULE_RAW_OFF};

    in_window(w);
    ruled(w, &rule);
}
static void rule_raw_off_hint_on(struct world *w)
{
    rule_raw_off(w);
    hint(w, HINT_READ_AFTER_WRITE, "window");
}
static void rule_raw_gtid(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .read_after_write = CONFIG_RULE_RAW_GTID};
    gtids_one_has(w);
    w->conf.raw_mode = CONFIG_RAW_OFF;
    ruled(w, &rule);
}
static void rule_raw_strict(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .read_after_write = CONFIG_RULE_RAW_STRICT};

    gtids_all_have(w);
    ruled(w, &rule);
}
static void rule_raw_auto(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .read_after_write = CONFIG_RULE_RAW_AUTO};

    gtids_one_has(w);
    w->conf.raw_mode = CONFIG_RAW_OFF;
    ruled(w, &rule);
}
static void rule_raw_strict_hint_gtid(struct world *w)
{
    rule_raw_strict(w);
    hint(w, HINT_READ_AFTER_WRITE, "gtid");
}
static void rule_raw_on(struct world *w)
{
    static const struct config_rule rule = {RULE_BASE, .read_after_write = CONFIG_RULE_RAW_WINDOW};

    window_off(w);
    ruled(w, &rule);
}

static const struct row ROWS[] = {
    {"a rule that only logs", rule_without_effect, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"denied", rule_denies, ROUTE_TO_NONE, -1, ROUTE_RULE_DENY, 0},
    {"denied in a transaction", rule_denies_in_ro_tx, ROUTE_TO_NONE, -1, ROUTE_RULE_DENY, 0},
    {"rule primary", rule_primary, ROUTE_TO_PRIMARY, 0, ROUTE_RULE_PRIMARY, 0},
    {"... hinted to a replica", rule_primary_hint_replica, ROUTE_TO_PRIMARY, 0, ROUTE_RULE_PRIMARY,
     0},
    {"rule replica", rule_replica, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"... hinted to the primary", rule_replica_hint_primary, ROUTE_TO_PRIMARY, 0,
     ROUTE_HINT_PRIMARY, 0},
    {"... a write", rule_replica_for_write, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"... in a transaction", rule_replica_in_tx, ROUTE_TO_PRIMARY, 0, ROUTE_IN_TX, 0},
    {"... in the window", rule_replica_in_window, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"... unknown table", rule_replica_unknown_table, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"rule server", rule_server, ROUTE_TO_REPLICA, 2, ROUTE_RULE_SERVER, 0},
    {"... hinted to another", rule_server_hinted_away, ROUTE_TO_REPLICA, 1, ROUTE_HINT_SERVER, 0},
    {"... that is gone", rule_server_gone, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"... that is down", rule_server_down, ROUTE_TO_REPLICA, 1, ROUTE_BALANCED, 0},
    {"... a write", rule_server_for_write, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"... per server", rule_server_per_server, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"... per server, hinted", rule_server_per_server_hinted, ROUTE_TO_REPLICA, 1, ROUTE_BALANCED,
     0},
    {"rule max_lag smaller", rule_lag_small, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"rule max_lag larger", rule_lag_large, ROUTE_TO_REPLICA, 1, ROUTE_BALANCED, 0},
    {"... hinted smaller", rule_lag_hinted, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"rule read_after_write off", rule_raw_off, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"rule read_after_write gtid", rule_raw_gtid, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"rule read_after_write strict", rule_raw_strict, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE,
     0},
    {"... hinted to GTIDs", rule_raw_strict_hint_gtid, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"rule read_after_write auto", rule_raw_auto, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"... hinted on", rule_raw_off_hint_on, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"rule read_after_write on", rule_raw_on, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"a read", as_is, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"harmless calls", call_harmless, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, ROUTE_F_CALLS_READ},
    {"a harmless call, an unknown table", call_and_unknown_table, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE,
     ROUTE_F_CALLS_READ},
    {"one call of two", call_one_of_two, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a forbidden call", call_forbidden, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"an unknown call", call_unknown, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a loadable function", call_loadable, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a stored one by its schema", call_hidden_by_loadable, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED,
     ROUTE_F_CALLS_READ},
    {"a call, no schema", call_no_schema, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a call, outdated", call_outdated, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a call, no catalogue", call_no_catalogue, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a call, other bytes", call_not_ascii, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a call, and not a read", call_without_bit, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a call in the window", call_in_window, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE,
     ROUTE_F_CALLS_READ},
    {"a call in a transaction", call_in_transaction, ROUTE_TO_PRIMARY, 0, ROUTE_IN_TX, 0},
    {"a call, hinted to a replica", call_hinted, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"a harmless call, hint primary", call_hint_primary, ROUTE_TO_PRIMARY, 0, ROUTE_HINT_PRIMARY,
     ROUTE_F_CALLS_READ},
    {"a write", writes, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"several statements", multi, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"more tables than seen", overflow, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"last, of a replica", asks_last_of_replica, ROUTE_TO_LAST, 2, ROUTE_LAST, 0},
    {"last, of the primary", asks_last_of_primary, ROUTE_TO_PRIMARY, 0, ROUTE_LAST, 0},
    {"last, in a transaction", asks_last_in_tx, ROUTE_TO_PRIMARY, 0, ROUTE_LAST, 0},
    {"last, of none", asks_last, ROUTE_TO_PRIMARY, 0, ROUTE_LAST_NONE, 0},
    {"last, of one that is gone", asks_last_of_nobody, ROUTE_TO_PRIMARY, 0, ROUTE_LAST_NONE, 0},
    {"in a transaction", in_tx, ROUTE_TO_PRIMARY, 0, ROUTE_IN_TX, 0},
    {"in a transaction, hinted", in_tx_hinted, ROUTE_TO_PRIMARY, 0, ROUTE_IN_TX, 0},
    {"pinned", pinned, ROUTE_TO_PRIMARY, 0, ROUTE_PINNED, 0},
    {"SET TRANSACTION pending", next_tx, ROUTE_TO_PRIMARY, 0, ROUTE_NEXT_TX, 0},
    {"autocommit off", autocommit_off, ROUTE_TO_PRIMARY, 0, ROUTE_AUTOCOMMIT_OFF, 0},
    {"serializable", serializable, ROUTE_TO_PRIMARY, 0, ROUTE_ISOLATION, 0},
    {"read uncommitted", uncommitted, ROUTE_TO_PRIMARY, 0, ROUTE_ISOLATION, 0},
    {"read committed", committed, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"START TRANSACTION READ ONLY", ro_start, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"... serializable", ro_start_serializable, ROUTE_TO_PRIMARY, 0, ROUTE_ISOLATION, 0},
    {"START TRANSACTION", rw_start, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"read only: a read", ro_tx_read, ROUTE_TO_REPLICA, 2, ROUTE_RO_TX, 0},
    {"read only: a write", ro_tx_write, ROUTE_TO_REPLICA, 2, ROUTE_RO_TX, 0},
    {"read only: SAVEPOINT", ro_tx_savepoint, ROUTE_TO_REPLICA, 2, ROUTE_RO_TX, 0},
    {"read only: COMMIT", ro_tx_commit, ROUTE_TO_REPLICA, 2, ROUTE_RO_TX, 0},
    {"read only: BEGIN", ro_tx_begin, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_END, ROUTE_F_END_RO_TX},
    {"read only: LOCK TABLES", ro_tx_lock_tables, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: DDL", ro_tx_ddl, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE, ROUTE_F_MOVE_RO_TX},
    {"read only: CALL", ro_tx_call, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE, ROUTE_F_MOVE_RO_TX},
    {"read only: UNLOCK", ro_tx_unlock, ROUTE_TO_REPLICA, 2, ROUTE_RO_TX, 0},
    {"read only: AND CHAIN", ro_tx_chain, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: SET autocommit", ro_tx_autocommit, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: XA START", ro_tx_xa, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE, ROUTE_F_MOVE_RO_TX},
    {"read only: a block", ro_tx_compound, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: several, one begins", ro_tx_multi_begin, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: GET_LOCK", ro_tx_get_lock, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE,
     ROUTE_F_MOVE_RO_TX},
    {"read only: several", ro_tx_multi, ROUTE_TO_PRIMARY, 0, ROUTE_RO_TX_MOVE, ROUTE_F_MOVE_RO_TX},
    {"read only: server gone", ro_tx_gone, ROUTE_TO_NONE, -1, ROUTE_RO_TX_LOST, 0},
    {"known table", known_table, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"known table, quoted", known_quoted, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"known table, doubled quote", known_odd, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"harmless view", known_view, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"other view", other_view, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"unknown table", unknown_table, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"other case", other_case, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"no schema", no_schema, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE_NO_SCHEMA, 0},
    {"a name too long", long_name, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE_NAME, 0},
    {"an empty name", empty_name, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE_NAME, 0},
    {"a name in UTF-8", utf8_name, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"the same bytes in latin1", latin1_name, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE_NAME, 0},
    {"plain letters in latin1", latin1_ascii, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"no catalogue", not_loaded, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"catalogue outdated", outdated, ROUTE_TO_PRIMARY, 0, ROUTE_TABLE, 0},
    {"outdated, but no table read", outdated_no_table, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"in the window", in_window, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"at the window's end", after_window, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"windows are off", window_off, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"off, hinted on", window_off_hint_on, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"on, hinted off", window_hint_off, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"on, hinted oddly", window_hint_odd, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"in the window, hinted", window_hint_replica, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"gtids, one has it", gtids_one_has, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"gtids, all have it", gtids_all_have, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"gtids, none has it", gtids_none_has, ROUTE_TO_PRIMARY, 0, ROUTE_BEHIND, 0},
    {"gtids, one may wait", gtids_one_may_wait, ROUTE_TO_REPLICA, 1, ROUTE_WAIT, ROUTE_F_WAIT},
    {"gtids by themselves", gtids_auto, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"gtids, and the servers have none", gtids_not_there, ROUTE_TO_PRIMARY, 0,
     ROUTE_READ_AFTER_WRITE, 0},
    {"gtids, outcome unknown", gtids_blind, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"gtids, hinted off", gtids_hint_off, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"gtids, hinted strict", gtids_hint_strict, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"gtids, hinted strict, idle", gtids_hint_strict_idle, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED,
     0},
    {"off, hinted auto", gtids_off_hint_auto, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"gtids, hinted to windows", gtids_hint_window, ROUTE_TO_PRIMARY, 0, ROUTE_READ_AFTER_WRITE, 0},
    {"off, hinted to gtids", gtids_hint_on, ROUTE_TO_PRIMARY, 0, ROUTE_BEHIND, 0},
    {"gtids, hinted to who has it", gtids_server_has, ROUTE_TO_REPLICA, 2, ROUTE_HINT_SERVER, 0},
    {"gtids, hinted to who may wait", gtids_server_waits, ROUTE_TO_REPLICA, 1, ROUTE_HINT_SERVER,
     ROUTE_F_WAIT},
    {"gtids, hinted to who has it not", gtids_server_has_not, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED,
     0},
    {"gtids, a transaction begins", gtids_ro_start, ROUTE_TO_REPLICA, 1, ROUTE_WAIT, ROUTE_F_WAIT},
    {"gtids, who has it is late", gtids_only_late, ROUTE_TO_REPLICA, 1, ROUTE_WAIT, ROUTE_F_WAIT},
    {"gtids, in a transaction", gtids_in_tx, ROUTE_TO_PRIMARY, 0, ROUTE_IN_TX, 0},
    {"hint primary", hint_primary, ROUTE_TO_PRIMARY, 0, ROUTE_HINT_PRIMARY, 0},
    {"hint replica", hint_replica, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"hint replica, a write", hint_replica_for_write, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"hint server", hint_server, ROUTE_TO_REPLICA, 2, ROUTE_HINT_SERVER, 0},
    {"hint server of weight 0", hint_server_without_weight, ROUTE_TO_REPLICA, 3, ROUTE_HINT_SERVER,
     0},
    {"hint server, the primary", hint_server_primary, ROUTE_TO_PRIMARY, 0, ROUTE_HINT_SERVER, 0},
    {"hint server, unknown", hint_server_unknown, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"hint server, down", hint_server_down, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"hint server, a write", hint_server_for_write, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"per server", per_server, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"per server, hinted", per_server_hinted, ROUTE_TO_REPLICA, 1, ROUTE_HINT_SERVER, 0},
    {"per server, to a replica", per_server_replica, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"per server, to both", per_server_both, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"per server, but it writes", per_server_that_writes, ROUTE_TO_PRIMARY, 0, ROUTE_NOT_A_READ, 0},
    {"max_lag smaller", max_lag_small, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"max_lag larger", max_lag_large, ROUTE_TO_REPLICA, 1, ROUTE_BALANCED, 0},
    {"max_lag odd", max_lag_odd, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"one has failed it", one_failed, ROUTE_TO_REPLICA, 2, ROUTE_BALANCED, 0},
    {"all have failed it", all_failed, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"samples too old", all_stale, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"never probed", never_probed, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"too late", all_late, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"lag not known", all_unknown_lag, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"lag not known, hinted", unknown_lag_hinted, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"no address", all_without_address, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"draining", all_draining, ROUTE_TO_PRIMARY, 0, ROUTE_NO_REPLICA, 0},
    {"no fallback", none_may_serve, ROUTE_TO_NONE, -1, ROUTE_FALLBACK_FORBIDDEN, 0},
    {"no primary, a write", no_primary_write, ROUTE_TO_NONE, -1, ROUTE_NO_PRIMARY, 0},
    {"no primary, a read", no_primary_read, ROUTE_TO_REPLICA, ANY, ROUTE_BALANCED, 0},
    {"no primary, in the window", no_primary_in_window, ROUTE_TO_NONE, -1, ROUTE_NO_PRIMARY, 0},
    {"the primary is no replica", replica_became_primary, ROUTE_TO_PRIMARY, 1, ROUTE_NO_REPLICA, 0},
};

static void decide(struct world *w, struct route_decision *ret)
{
    /* What is not written must not be needed. */
    memset(ret, 0xa5, sizeof(*ret));
    route_decide(&w->facts, &w->sess, &w->view, ret);
    assert_true(ret->step_count > 0 && ret->step_count < ROUTE_STEPS_MAX);
    for (uint8_t i = 0; i < ret->step_count; i++) {
        reason_seen[ret->steps[i].reason] = true;
    }
}

static void count_line(void *arg, const char *item, const char *text)
{
    int *lines = arg;

    assert_true(item[0] != '\0');
    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    (*lines)++;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct row *row = &ROWS[i];
        struct world w;
        struct route_decision got;
        int lines = 0;

        world_init(&w);
        row->change(&w);
        decide(&w, &got);
        if (got.target != row->target || route_decision_reason(&got) != row->reason ||
            got.flags != row->flags) {
            fail_msg("%s: %s by %s, flags %u", row->name, route_target_text(got.target),
                     route_reason_name(route_decision_reason(&got)), got.flags);
        }
        if (row->server != ANY) {
            assert_int_equal(got.server, row->server);
        } else {
            assert_true(got.server == 1 || got.server == 2);
        }
        assert_int_equal(got.topo_generation, 7);
        route_explain(&w.facts, &w.sess, &w.view, &got, count_line, &lines);
        assert_int_equal(lines, 6 + got.step_count + got.candidate_count +
                                    (got.raw_mode != CONFIG_RAW_OFF));
        world_fini(&w);
    }
}

static void test_every_reason_is_reached(void **state)
{
    (void)state;
    for (int i = 0; i < ROUTE_REASON_END_; i++) {
        if (!reason_seen[i]) {
            fail_msg("no row reaches %s", route_reason_name((enum route_reason)i));
        }
        assert_true(route_reason_text((enum route_reason)i)[0] != '\0');
    }
}

static void test_candidates_say_why(void **state)
{
    static const struct {
        void (*change)(struct world *world);
        enum route_exclude exclude;
    } rows[] = {
        {as_is, ROUTE_EX_NONE},
        {all_failed, ROUTE_EX_FAILED},
        {all_stale, ROUTE_EX_STALE},
        {all_late, ROUTE_EX_LAG},
        {all_unknown_lag, ROUTE_EX_LAG_UNKNOWN},
        {all_without_address, ROUTE_EX_NO_ADDRESS},
        {all_draining, ROUTE_EX_STATE},
        {gtids_none_has, ROUTE_EX_BEHIND},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;
        struct route_decision got;

        world_init(&w);
        rows[i].change(&w);
        decide(&w, &got);
        assert_int_equal(got.candidate_count, SERVERS);
        assert_int_equal(got.candidates[0].exclude, ROUTE_EX_ROLE);
        assert_int_equal(got.candidates[1].exclude, rows[i].exclude);
        assert_int_equal(got.candidates[2].exclude, rows[i].exclude);
        if (rows[i].exclude == ROUTE_EX_NONE) {
            assert_int_equal(got.candidates[3].exclude, ROUTE_EX_WEIGHT);
        }
        assert_true(route_exclude_text(got.candidates[1].exclude)[0] != '\0');
        world_fini(&w);
    }
}

/* Any mixture of inputs: a server that exists and is fit, or none; nothing but reads leaves the
 * primary. */
static void test_random_worlds(void **state)
{
    struct rand_state rng;

    (void)state;
    rand_seed(&rng, 20261123);
    for (int i = 0; i < 20000; i++) {
        struct world w;
        struct route_decision got;

        world_init(&w);
        for (int n = 0; n < 4; n++) {
            ROWS[rand_below(&rng, sizeof(ROWS) / sizeof(ROWS[0]))].change(&w);
            w.facts.table_count %= FACTS_MAX_TABLES;
        }
        w.view.random = rand_u64(&rng);
        decide(&w, &got);
        if (got.target == ROUTE_TO_NONE) {
            assert_int_equal(got.server, -1);
        } else {
            assert_true(got.server >= 0 && got.server < SERVERS);
            assert_true(got.server == w.topo->primary || w.topo->servers[got.server].addr_len > 0);
        }
        if (route_decision_reason(&got) == ROUTE_RULE_DENY) {
            assert_int_equal(got.step_count, 2);
            world_fini(&w);
            continue;
        }
        if ((got.flags & ROUTE_F_CALLS_READ) != 0) {
            assert_true((w.facts.bits & FACT(CALLS)) != 0 && w.facts.call_count > 0);
        } else if ((w.facts.bits & FACT(WRITE)) != 0 && w.sess.ro_tx_server < 0) {
            assert_true(got.server == w.topo->primary);
        }
        if (got.raw_mode == CONFIG_RAW_GTID && got.target == ROUTE_TO_REPLICA) {
            uint64_t mask = (got.flags & ROUTE_F_WAIT) != 0 ? w.sess.wait_mask : w.sess.has_mask;

            assert_true(w.sess.has_gtids && (mask >> got.server & 1) != 0);
        }
        if ((w.sess.in_tx || w.sess.pins != 0) && w.sess.ro_tx_server < 0 &&
            (w.facts.bits & FACT(LAST)) == 0) {
            assert_true(got.server == w.topo->primary);
        }
        world_fini(&w);
    }
}

struct explained {
    char text[4096];
};

static void take_line(void *arg, const char *item, const char *text)
{
    struct explained *to = arg;
    size_t len = strlen(to->text);

    snprintf(to->text + len, sizeof(to->text) - len, "%s=%s\n", item, text);
}

static void test_explanation(void **state)
{
    struct world w;
    struct route_decision got;
    struct explained said = {""};

    (void)state;
    world_init(&w);
    writes(&w);
    w.facts.culprit = SPAN_LIT("INSERT\nx\t");
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_string_equal(said.text, "class=insert write needs_primary dml\n"
                                   "schema=db\n"
                                   "step 1=not a read that a replica may run: it changes data"
                                   " (INSERT x )\n"
                                   "step 2=the primary: p\n"
                                   "target=primary\nserver=p\ntopology=7\ncatalogue=3\n");
    world_fini(&w);

    said.text[0] = '\0';
    world_init(&w);
    other_view(&w);
    hint(&w, HINT_SERVER, "r1");
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "step 2=a name is not known to be harmless: vw, view that may"
                                      " do more than read, or is not understood\n"));
    assert_non_null(strstr(said.text, "step 3=hint ignored: only a read may be moved:"
                                      " weir:server=r1\n"));
    world_fini(&w);

    said.text[0] = '\0';
    world_init(&w);
    call_one_of_two(&w);
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "step 1=a function is not known to be harmless: fw, stored"
                                      " function that may do more than read, or is not understood:"
                                      " it changes data (INSERT, line 2)\n"
                                      "step 2=not a read that a replica may run: it calls"));
    world_fini(&w);

    said.text[0] = '\0';
    world_init(&w);
    call_harmless(&w);
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "step 1=one read of known shape\n"
                                      "step 2=all functions that it calls only read: F, stored"
                                      " function that only reads\n"));
    world_fini(&w);

    said.text[0] = '\0';
    world_init(&w);
    w.topo->servers[2].state = TOPO_ST_LAGGING;
    w.topo->servers[2].why = TOPO_WHY_IO_THREAD;
    w.topo->servers[2].lag_us = TOPO_LAG_UNKNOWN;
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "candidate r1=eligible: weight 100.00 of 100, lag 1ms\n"));
    assert_non_null(strstr(said.text, "candidate r2=its state lagging, replication receiver is not"
                                      " running: weight 100.00 of 100, lag unknown\n"));
    assert_non_null(strstr(said.text, "target=replica\nserver=r1\n"));
    world_fini(&w);
}

/* The rule by its name, and what it does. */
static void test_explanation_rule(void **state)
{
    static const struct config_rule rule = {.label = "reports",
                                            .max_lag_us = 60000000,
                                            .route_text = "server r2",
                                            .route = CONFIG_ROUTE_SERVER,
                                            .server = "r2",
                                            .timeout_us = 5000000,
                                            .log = true};
    static const struct config_rule never = {
        .label = "never", .max_lag_us = UINT64_MAX, .deny = "not\nhere"};
    struct world w;
    struct route_decision got;
    struct explained said = {""};

    (void)state;
    world_init(&w);
    ruled(&w, &rule);
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_string_equal(said.text,
                        "class=select read\nschema=db\n"
                        "step 1=the first rule that fits: reports, route server r2, timeout 5.000s,"
                        " log\n"
                        "step 2=one read of known shape\n"
                        "step 3=limit of lag of the rule: 60.000s\n"
                        "step 4=sent to a server by a rule: r2\n"
                        "freshness=window\n"
                        "target=replica\nserver=r2\ntopology=7\ncatalogue=3\n");
    writes(&w);
    said.text[0] = '\0';
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "step 3=route of the rule not followed: only a read may be"
                                      " moved: reports\nstep 4=the primary: p\n"));
    ruled(&w, &never);
    said.text[0] = '\0';
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "step 1=the first rule that fits: never, deny not here\n"
                                      "step 2=denied by a rule: never\n"
                                      "target=none\nserver=none\n"));
    world_fini(&w);
}

/* Texts of any length and no server at all: lines are cut, not broken. */
static void test_explanation_edges(void **state)
{
    static const char long_text[] =
        "'0123456789012345678901234567890123456789012345678901234567890123456789'";
    struct world w;
    struct route_decision got;
    struct explained said = {""};
    int lines = 0;

    (void)state;
    world_init(&w);
    no_primary_write(&w);
    w.facts.culprit = span_of(long_text);
    w.sess.schema = (struct span){NULL, 0};
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "schema=none\n"));
    assert_non_null(strstr(said.text, "345678901234567890123456789012...)\n"));
    assert_non_null(strstr(said.text, "target=none\nserver=none\n"));
    w.facts.bits = UINT64_MAX;
    route_explain(&w.facts, &w.sess, &w.view, &got, count_line, &lines);
    world_fini(&w);

    said.text[0] = '\0';
    world_init(&w);
    reads(&w, "`db`", "vw");
    w.facts.bits |= FACT(USER_VARIABLE);
    decide(&w, &got);
    route_explain(&w.facts, &w.sess, &w.view, &got, take_line, &said);
    assert_non_null(strstr(said.text, "harmless: `db`.vw, view"));
    got.step_count = 0;
    assert_int_equal(route_decision_reason(&got), ROUTE_REASON_END_);
    assert_string_equal(route_reason_name(ROUTE_REASON_END_), "NONE");
    assert_string_equal(route_reason_text(ROUTE_REASON_END_), "undecided");
    assert_string_equal(route_target_text(ROUTE_TO_LAST), "last");
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_reason_is_reached), /* after the rows */
        cmocka_unit_test(test_candidates_say_why),
        cmocka_unit_test(test_random_worlds),
        cmocka_unit_test(test_explanation),
        cmocka_unit_test(test_explanation_rule),
        cmocka_unit_test(test_explanation_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
