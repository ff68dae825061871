/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weir/backend/catalogue.h"
#include "weir/cache/writes.h"
#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"
#include "weir/util/rand.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

/* --- what the text says --- */

enum topo_flavour sess_flavour(const struct sess *sess, uint32_t *ret_version)
{
    const struct topo_server *primary = topo_primary(sess->env->topo);

    *ret_version = 0;
    if (primary != NULL) {
        *ret_version = primary->version;
        return primary->flavour;
    }
    for (unsigned i = 0; i < sess->env->topo->server_count; i++) {
        if (sess->env->topo->servers[i].flavour != TOPO_FLAVOUR_UNKNOWN) {
            *ret_version = sess->env->topo->servers[i].version;
            return sess->env->topo->servers[i].flavour;
        }
    }
    return TOPO_FLAVOUR_UNKNOWN;
}

/* Executable comments are judged by version: servers that differ leave it open what runs. */
static bool versions_agree(const struct sess *sess, enum topo_flavour flavour, uint32_t version)
{
    for (unsigned i = 0; i < sess->env->topo->server_count; i++) {
        const struct topo_server *server = &sess->env->topo->servers[i];

        if (server->flavour != TOPO_FLAVOUR_UNKNOWN &&
            (server->flavour != flavour || server->version != version)) {
            return false;
        }
    }
    return true;
}

void sess_classify_env(const struct sess *sess, struct classify_env *ret_env)
{
    uint32_t version = 0;
    enum topo_flavour flavour = sess_flavour(sess, &version);

    *ret_env = (struct classify_env){
        .flavour = flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = versions_agree(sess, flavour, version) ? version : 0,
        .sql_mode = sess->mode_bits,
        .charset = sess->charset,
        .is_multi = (sess->caps & CAP_MULTI_STATEMENTS) != 0,
        .schema = svec_get(&sess->svec, SVEC_SCHEMA),
    };

    /* the status flags are the server's own word on how it reads text */
    if ((sess->status & STATUS_NO_BACKSLASH_ESCAPES) != 0) {
        ret_env->sql_mode |= CLASSIFY_MODE_NO_BACKSLASH_ESCAPES;
    }
    if ((sess->caps & CAP_IGNORE_SPACE) != 0) {
        ret_env->sql_mode |= CLASSIFY_MODE_IGNORE_SPACE;
    }
}

void sess_classify(const struct sess *sess, struct span sql, struct facts *ret_facts)
{
    struct classify_env env;

    sess_classify_env(sess, &env);
    classify_sql(sql, &env, ret_facts);
    if (ret_facts->hint_unknown_count != 0) {
        metric_add(sess->env->metrics, METRIC_HINTS_UNKNOWN, METRIC_NONE,
                   ret_facts->hint_unknown_count);
    }
}

/* Anything that is not proven harmless counts as a write for the reads behind it. */
static bool may_write(const struct facts *facts)
{
    const uint64_t writes = FACT(WRITE) | FACT(DDL) | FACT(DML) | FACT(MULTI) | FACT(LARGE) |
                            FACT(BAD_LEX) | FACT(OVERFLOW) | FACT(ADMIN);

    if ((facts->bits & FACT(READ)) != 0) {
        return false;
    }
    if ((facts->bits & writes) != 0) {
        return true;
    }
    switch (facts->verb) {
    case VERB_UNKNOWN:
    case VERB_CALL:
    case VERB_DO:
    case VERB_EXECUTE:
    case VERB_COMPOUND:
    case VERB_XA:
        return true;
    case VERB_SELECT:
    case VERB_EXPLAIN:
        return facts->why == WHY_FUNCTION_UNKNOWN || facts->why == WHY_FUNCTION_QUALIFIED ||
               facts->why == WHY_SEQUENCE || facts->why == WHY_SHAPE || facts->why == WHY_COMMENT ||
               facts->why == WHY_CHARSET || facts->why == WHY_MODE || facts->why == WHY_SYNTAX;
    default:
        return false;
    }
}

/* What it does is not in its text: it may ask for LAST_INSERT_ID(), or change it. */
static bool is_opaque(const struct facts *facts)
{
    return facts->verb == VERB_CALL || facts->verb == VERB_EXECUTE ||
           facts->verb == VERB_COMPOUND || (facts->bits & (FACT(MULTI) | FACT(LARGE))) != 0 ||
           facts->why == WHY_FUNCTION_UNKNOWN || facts->why == WHY_FUNCTION_QUALIFIED;
}

static void facts_to_command(struct sess *sess, const struct facts *facts)
{
    struct sess_cmd *cmd = &sess->cmd;

    cmd->verb = facts->verb;
    cmd->why = facts->why;
    cmd->bits = facts->bits;
    /* the value of LAST_INSERT_ID() is kept by the session, not by a pin */
    cmd->pins = facts->pins & ~PIN_BIT(PIN_LAST_INSERT_ID);
    cmd->unpins = facts->unpins;
    cmd->may_write = may_write(facts);
    cmd->sets_id = (facts->pins & PIN_BIT(PIN_LAST_INSERT_ID)) != 0 || is_opaque(facts);
    /* an INSERT may leave the value as it was (an id of its own) and report one all the same: it
     * has to be the session's before */
    cmd->needs_id = (facts->bits & FACT(LAST_INSERT_ID)) != 0 || is_opaque(facts) ||
                    facts->verb == VERB_INSERT || facts->verb == VERB_REPLACE ||
                    facts->verb == VERB_LOAD;
}

/* --- where it goes --- */

/* Until when its reads need the primary, by the window in force. */
static uint64_t raw_until_us(const struct sess *sess)
{
    const struct sess_env *env = sess->env;
    const struct route_conf *conf = &sess->set->route_conf;
    uint64_t until_us =
        guard_until_us(env->board, conf, sess->raw_mark_us, sess->user_slot, sess->key_slot);
    uint64_t now_us = loop_now_us(env->loop);

    if (env->causal != NULL && guard_is_shared(conf, sess->key_slot) &&
        causal_board_is_deaf(env->causal, now_us)) {
        until_us = now_us + guard_window_us(env->board, conf); /* another weir may write just now */
    }
    return until_us;
}

void sess_route_fill(struct sess *sess, struct route_sess *ret_route, struct route_view *ret_view)
{
    const struct sess_env *env = sess->env;
    const struct sess_set *set = sess->set;

    *ret_route = (struct route_sess){
        .in_tx = sess->tx_open,
        .autocommit_off = sess->autocommit_off,
        .next_tx_pending = sess->next_tx_pending,
        .is_utf8 = sess->is_utf8,
        .ro_tx_server = WR_MUTANT("tx.split") ? -1 : sess->ro_tx_server,
        .last_server = sess->last_server,
        .isolation = sess->isolation,
        .pins = sess->pins,
        .failed_mask = sess->cmd.failed_mask,
        .raw_until_us = raw_until_us(sess),
        .schema = svec_get(&sess->svec, SVEC_SCHEMA),
    };
    if (sess_is_execute(sess)) {
        ret_route->schema = sess_stmt_schema(sess->cmd.stmt);
    }
    sess_causal_fill(sess, ret_route);
    *ret_view = (struct route_view){
        .topo = env->topo,
        .catalogue = env->catalogue,
        .ddl_seen = catalogue_ddl_seen(),
        .conf = &set->route_conf,
        .load = &set->load,
        .rule = sess_rule(sess),
        .now_us = loop_now_us(env->loop),
        .random = rand_u64(env->rand),
    };
}

static void no_server(struct sess *sess, const struct facts *facts,
                      const struct route_decision *decision)
{
    enum route_reason reason = route_decision_reason(decision);
    struct span why = span_of(route_reason_text(reason));

    (void)facts;
    if (reason == ROUTE_RULE_DENY) { /* rules have been read again while the command waited */
        why = span_of(sess_rule(sess)->deny);
        sess_fail(sess, SESS_ERR_DENIED, &why, 1);
        return;
    }
    sess_fail(sess, SESS_ERR_NO_SERVER, &why, 1);
}

bool sess_is_known_read(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;

    return cmd->is_read &&
           (cmd->server != sess->env->topo->primary || cmd->reason == ROUTE_TABLES_KNOWN ||
            cmd->reason == ROUTE_READ_AFTER_WRITE || cmd->reason == ROUTE_NO_REPLICA ||
            cmd->reason == ROUTE_BEHIND);
}

/* User variables of the session, or of another, make no difference to it: a proven read of tables
 * that are known, or a question about the statement before it. */
static bool is_without_vars(const struct sess *sess, const struct facts *facts)
{
    if ((facts->bits & FACT(LAST)) != 0) {
        return (facts->bits & FACT(USER_VARIABLE)) == 0;
    }
    /* who asks about reads must never find that their connection has been reset since */
    return sess_is_known_read(sess) && !sess->asks_last;
}

void sess_note_key(struct sess *sess, const struct facts *facts)
{
    if ((facts->hints & HINT_BIT(HINT_KEY)) != 0 && facts->hint[HINT_KEY].len != 0) {
        sess->key_slot = guard_key_slot(facts->hint[HINT_KEY]);
    } else if (!sess->tx_open) {
        sess->key_slot = 0;
    }
}

/* A mutant: reads in text stay with the first server of the file, the primary of the beginning. */
static void stay_behind(struct sess_cmd *cmd, int16_t primary)
{
    if (WR_MUTANT("failover.old_reads") && cmd->com == COM_QUERY && cmd->is_read && primary > 0) {
        cmd->target = ROUTE_TO_REPLICA;
        cmd->server = 0;
        cmd->needs_wait = false;
        cmd->needs_fetch = false;
    }
}

bool sess_may_move(const struct sess *sess, uint64_t bits, enum route_target target)
{
    return (bits & FACT(READ)) != 0 && !sess->tx_open && !sess->autocommit_off &&
           sess->ro_tx_server < 0 && sess->pins == 0 && target != ROUTE_TO_LAST;
}

/* A read by its text may write by a view that it names. A replica would refuse that, and who sends it
 * there has looked; for the primary there are reasons enough that come before the names. */
static void note_names(struct sess *sess, const struct facts *facts)
{
    struct sess_cmd *cmd = &sess->cmd;
    bool is_prepared = cmd->stmt != NULL && cmd->com != COM_STMT_PREPARE;

    if ((facts->bits & FACT(READ)) == 0) {
        return;
    }
    cmd->unknown_name = 0;
    cmd->may_write = cmd->target == ROUTE_TO_PRIMARY &&
                     !cache_read_is_only(
                         &(struct cache_writes_in){
                             .facts = facts,
                             .catalogue = sess->env->catalogue,
                             .ddl_seen = catalogue_ddl_seen(),
                             .schema = is_prepared ? sess_stmt_schema(cmd->stmt)
                                                   : svec_get(&sess->svec, SVEC_SCHEMA),
                             .has_temporary = (sess->pins & PIN_BIT(PIN_TEMP_TABLE)) != 0,
                         },
                         &cmd->unknown_name);
    cmd->is_read = cmd->is_read && !cmd->may_write;
}

static bool decide(struct sess *sess, const struct facts *facts)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct route_sess route;
    struct route_view view;
    struct route_decision decision;

    sess_note_key(sess, facts);
    sess_causal_hints(sess, facts);
    sess_route_fill(sess, &route, &view);
    route_decide(facts, &route, &view, &decision);
    cmd->is_raw_held = guard_is_renewed(view.conf, route.raw_until_us, view.now_us) ||
                       (decision.raw_mode == CONFIG_RAW_STRICT && decision.is_held);
    if (cmd->is_raw_held) {
        sess->raw_mark_us = view.now_us;
    }
    cmd->target = decision.target;
    cmd->reason = route_decision_reason(&decision);
    /* preparing ends no transaction, and its place is not where a transaction has to be */
    cmd->route_flags = cmd->com == COM_STMT_PREPARE
                           ? 0
                           : decision.flags & (uint8_t) ~(ROUTE_F_CALLS_READ | ROUTE_F_WAIT);
    cmd->needs_wait = (decision.flags & ROUTE_F_WAIT) != 0 && cmd->com != COM_STMT_PREPARE &&
                      !WR_MUTANT("gtid.no_wait");
    cmd->needs_fetch = false;
    cmd->server = decision.server;
    cmd->bears_lag = (facts->hints & HINT_BIT(HINT_MAX_LAG)) != 0 ||
                     (view.rule != NULL && view.rule->max_lag_us != UINT64_MAX);
    cmd->is_calls_read = (decision.flags & ROUTE_F_CALLS_READ) != 0;
    if (cmd->is_calls_read) {
        /* for this once: the catalogue may say something else the next time */
        cmd->bits = (cmd->bits & ~(FACT(WRITE) | FACT(PRIMARY))) | FACT(READ);
        cmd->may_write = false;
    } else if ((facts->bits & FACT(CALLS)) != 0) {
        cmd->bits = facts->bits;
        cmd->may_write = true;
    }
    if (decision.target == ROUTE_TO_NONE && cmd->reason == ROUTE_NO_PRIMARY) {
        cmd->target = ROUTE_TO_PRIMARY; /* whoever will be it: sess_go() waits */
    } else if (decision.target == ROUTE_TO_NONE) {
        no_server(sess, facts, &decision);
        return false;
    }
    /* what may be asked of another server when this one fails: proven reads outside transactions,
     * whatever server was chosen for them */
    cmd->is_read = sess_may_move(sess, cmd->bits, cmd->target);
    note_names(sess, facts);
    cmd->no_vars = is_without_vars(sess, facts);
    if (sess->causal != NULL && cmd->is_read && cmd->com != COM_STMT_PREPARE) {
        int16_t from = sess_causal_fetch_from(sess, facts, &route, &decision, cmd->reason);

        if (from >= 0) {
            cmd->needs_fetch = true;
            cmd->needs_wait = false;
            cmd->server = from;
        }
    }
    if (sess->causal != NULL && !cmd->needs_fetch && !cmd->needs_wait &&
        sess_causal_is_ahead(sess, facts)) {
        cmd->needs_wait = true;
    }
    stay_behind(cmd, sess->env->topo->primary);
    return true;
}

bool sess_decide(struct sess *sess, const struct facts *facts)
{
    facts_to_command(sess, facts);
    if ((facts->bits & (FACT(SET_EXTRA) | FACT(SET_ROLE))) != 0 &&
        sess->cmd.com != COM_STMT_PREPARE) {
        sess_extra_note(sess, facts);
    }
    if (sess->cmd.is_forced) {
        note_names(sess, facts);
        return true;
    }
    return decide(sess, facts);
}

bool sess_decide_again(struct sess *sess)
{
    struct facts facts;
    struct span held = buf_span(&sess->held);
    size_t at = 0;

    if (sess->cmd.stmt != NULL && sess->cmd.com != COM_STMT_PREPARE) {
        sess_rule_renew(sess, sess_stmt_facts(sess->cmd.stmt), sess_stmt_text(sess->cmd.stmt));
        return decide(sess, sess_attrs_of_execute(sess, held, &facts));
    }
    at = sess_attrs_text_at(sess, held);
    sess_classify(sess, (struct span){held.p + at, held.len - at}, &facts);
    sess_attrs_of_text(sess, held, &facts);
    sess_rule_renew(sess, &facts, (struct span){held.p + at, held.len - at});
    return decide(sess, &facts);
}

void sess_to_primary(struct sess *sess)
{
    sess->cmd.target = ROUTE_TO_PRIMARY;
    sess->cmd.reason = ROUTE_PRIMARY;
    sess->cmd.server = sess->env->topo->primary;
    if (sess->ro_tx_server >= 0 && sess_conn(sess, sess->ro_tx_server) != NULL) {
        sess->cmd.target = ROUTE_TO_REPLICA;
        sess->cmd.server = sess->ro_tx_server;
    }
}

/* --- COM_QUERY --- */

static void refuse_local(struct sess *sess)
{
    uint32_t version = 0;

    if (sess_flavour(sess, &version) == TOPO_FLAVOUR_MYSQL) {
        sess_fail(sess, SESS_ERR_LOCAL_INFILE, NULL, 0);
    } else {
        sess_fail(sess, SESS_ERR_LOCAL_DISABLED, NULL, 0);
    }
}

/* Statements that weir answers or refuses itself. True: that has happened. */
static bool is_own_business(struct sess *sess, const struct facts *facts, struct span packet)
{
    if (facts->verb == VERB_EXPLAIN_ROUTE) {
        sess_explain(sess, facts->inner, packet);
    } else if ((facts->bits & FACT(KILL)) != 0) {
        sess_kill(sess, &facts->kill);
    } else if ((facts->bits & FACT(LOAD_LOCAL)) != 0) {
        refuse_local(sess);
    } else if ((facts->bits & FACT(ADMIN)) != 0) {
        struct span privilege = SPAN_LIT("SUPER");

        sess_fail(sess, SESS_ERR_PRIVILEGE, &privilege, 1);
    } else {
        return false;
    }
    return true;
}

/* The same statement with weir's own numbers in it: its connection id, for the server's would mean
 * nothing here; counts of the last statement, when its connection has been somebody else's since. */
static bool rewrite_ids(struct sess *sess, struct span sql, const struct facts *facts,
                        struct span head, uint32_t mask)
{
    const struct classify_ids ids = {
        .mask = mask,
        .value = {[FACTS_ID_CONNECTION] = sess->id,
                  [FACTS_ID_ROW_COUNT] = sess->row_count,
                  [FACTS_ID_FOUND_ROWS] = sess->found_rows},
    };

    sess_buf_take(sess, &sess->held);
    if (buf_append_span(&sess->held, head, SIZE_MAX) < 0 ||
        classify_rewrite_ids(sql, facts, &ids, &sess->held) < 0) {
        sess_buf_give(sess, &sess->held);
        return false;
    }
    frame_encode(sess->held.data + sess->held.off, (uint32_t)(buf_len(&sess->held) - FRAME_HEADER),
                 0);
    if (buf_len(&sess->held) - FRAME_HEADER >= FRAME_MAX_PAYLOAD) {
        sess_buf_give(sess, &sess->held);
        return false;
    }
    return true;
}

static bool mentions(struct span sql, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= sql.len; i++) {
        if (strncasecmp((const char *)sql.p + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Forms of SET whose outcome a server does not report, or reports wrongly: see what trackers say
 * in src/backend/README.md. */
bool sess_is_unreported(const struct facts *facts, struct span sql)
{
    return (facts->bits & FACT(SET_TRACKED)) != 0 &&
           (mentions(sql, "collat") || mentions(sql, "@@") || mentions(sql, "charac") ||
            mentions(sql, "charset") || mentions(sql, "session_track"));
}

/* The id goes to the client and nowhere else. Compared with what a server knows (a row of the
 * process list, the holder of a lock) or stored, it must be the server's own. */
static bool is_id_for_client(const struct facts *facts)
{
    return (facts->bits & FACT(CONNECTION_ID)) != 0 && facts->verb == VERB_SELECT &&
           facts->table_count == 0 &&
           (facts->bits & (FACT(NAMED_LOCK) | FACT(MULTI) | FACT(OVERFLOW))) == 0;
}

/* It asks about the statement before it. The answer is with the connection that ran that, unless
 * somebody else has had it since: then weir knows the counts, and there were no warnings, or the
 * connection would have stayed. What is prepared is answered when it is executed. */
static uint32_t ask_last(struct sess *sess, uint8_t com)
{
    if (com == COM_STMT_PREPARE) {
        sess->asks_last = true;
        return 0;
    }
    if (sess_has_last(sess) &&
        (sess->has_count || !sess_is_others_news(sess, sess_conn(sess, sess->last_server)))) {
        return 0;
    }
    sess->cmd.needs_clear = true;
    return 1U << FACTS_ID_ROW_COUNT | 1U << FACTS_ID_FOUND_ROWS;
}

/* By what is kept. */
static bool is_answered(struct sess *sess, const uint8_t *packet, struct span sql,
                        const struct facts *facts)
{
    return sess->env->cache != NULL && packet[FRAME_HEADER] == COM_QUERY &&
           sess_cache_ask(sess, &(struct sess_question){
                                    .sql = sql,
                                    .facts = facts,
                                    .schema = svec_get(&sess->svec, SVEC_SCHEMA),
                                });
}

/* Shared with PREPARE: text in, a decided command out. False: answered already. */
static bool text_decide(struct sess *sess, uint8_t *packet, size_t len, bool *ret_is_held)
{
    size_t at = sess_attrs_text_at(sess, (struct span){packet, len});
    struct span sql = {packet + at, len - at};
    struct facts facts;
    uint32_t ids = 0;

    *ret_is_held = false;
    if (at == 0 && sess->cmd.is_large) {
        sql = SPAN_LIT("?"); /* its text is further away than weir looks */
    } else if (at == 0) {
        sess_fail(sess, SESS_ERR_MALFORMED, NULL, 0);
        return false;
    }
    sess_classify(sess, sql, &facts);
    sess_attrs_of_text(sess, (struct span){packet, len}, &facts);
    if (packet[FRAME_HEADER] == COM_STMT_PREPARE && facts.verb == VERB_EXPLAIN_ROUTE) {
        struct span what = SPAN_LIT("this statement as a prepared one");

        sess_fail(sess, SESS_ERR_NOT_SUPPORTED, &what, 1);
        return false;
    }
    /* a KILL that is prepared kills when it is executed */
    if ((packet[FRAME_HEADER] != COM_STMT_PREPARE || (facts.bits & FACT(KILL)) == 0) &&
        is_own_business(sess, &facts, (struct span){packet, len})) {
        return false;
    }
    if (facts.why == WHY_FUNCTION_UNKNOWN && sess_causal_is_question(sql)) {
        if (packet[FRAME_HEADER] == COM_QUERY) {
            sess_causal_answer(sess);
        } else {
            sess_stmt_prepare_own(sess, packet, len);
        }
        return false;
    }
    if ((facts.bits & FACT(ASKS_LAST)) != 0 && packet[FRAME_HEADER] == COM_QUERY &&
        sess_diag_answer(sess, sql, &facts)) {
        return false;
    }
    if (sess->env->digests != NULL && !sess->cmd.is_large) {
        sess->cmd.digest = sess_digest_hash(sess, sql);
        if (packet[FRAME_HEADER] == COM_QUERY) {
            sess_digest_begin(sess, sess->cmd.digest, sql);
        }
    }
    sess->cmd.needs_learn = sess_is_unreported(&facts, sql);
    sess_rule_find(sess, &facts, sql);
    if (!sess_rule_apply(sess, &facts, sql) || is_answered(sess, packet, sql, &facts) ||
        !sess_decide(sess, &facts)) {
        return false;
    }
    if (sess->env->cache != NULL && packet[FRAME_HEADER] == COM_QUERY) {
        sess_writes_note(sess, &(struct sess_question){
                                   .sql = sql,
                                   .facts = &facts,
                                   .schema = svec_get(&sess->svec, SVEC_SCHEMA),
                               });
    }
    if (packet[FRAME_HEADER] != COM_STMT_PREPARE) {
        sess_vars_note(sess, sql, &facts);
        sess_pins_note(sess, sql, &facts, svec_get(&sess->svec, SVEC_SCHEMA));
    }
    if (is_id_for_client(&facts)) {
        ids |= 1U << FACTS_ID_CONNECTION;
    }
    if ((facts.bits & FACT(ASKS_LAST)) != 0) {
        ids |= ask_last(sess, packet[FRAME_HEADER]);
    }
    if (ids != 0 && facts.id_count != 0 && !sess->cmd.is_large) {
        *ret_is_held = rewrite_ids(sess, sql, &facts, (struct span){packet, at}, ids);
    }
    return true;
}

void sess_query(struct sess *sess, uint8_t *packet, size_t len)
{
    bool is_held = false;

    if (!text_decide(sess, packet, len, &is_held)) {
        return;
    }
    if (sess->fill != NULL && sess_cache_waits(sess, is_held ? NULL : packet, len)) {
        return;
    }
    if (is_held) {
        sess_go(sess, NULL, 0);
    } else {
        sess_go(sess, packet, len);
    }
}

/* The text is kept: the statement will be prepared again wherever it is executed. */
void sess_stmt_prepare(struct sess *sess, uint8_t *packet, size_t len)
{
    bool is_held = false;

    sess->stmt_last = 0; /* one that fails leaves none */
    if (sess->stmt_count >= sess->env->config->limits.max_prepared ||
        sess->stmt_bytes + len > SESS_STMT_TEXT_MAX) {
        char number[16];
        struct span arg = {(const uint8_t *)number, 0};

        arg.len =
            (size_t)snprintf(number, sizeof(number), "%u", sess->env->config->limits.max_prepared);
        sess_fail(sess, SESS_ERR_MAX_PREPARED, &arg, 1);
        return;
    }
    if (!text_decide(sess, packet, len, &is_held)) {
        return;
    }
    if (!is_held) {
        sess_buf_take(sess, &sess->held);
        if (buf_append(&sess->held, packet, len, SIZE_MAX) < 0) {
            sess_close(sess, "no memory for a command");
            return;
        }
    } else {
        sess->cmd.digest = 0; /* the text that is kept is another one */
    }
    /* preparing changes nothing, whatever the statement would do */
    sess->cmd.may_write = false;
    sess->cmd.pins = 0;
    sess->cmd.unpins = 0;
    sess->cmd.sets_id = false;
    sess->cmd.needs_id = false;
    sess->cmd.needs_clear = false;
    sess->cmd.no_vars = (sess->cmd.bits & FACT(USER_VARIABLE)) == 0;
    sess->cmd.bits &= ~(FACT(STARTS_TX) | FACT(ENDS_TX) | FACT(DDL) | FACT(IMPLICIT_COMMIT) |
                        FACT(SET_NEXT_TX) | FACT(SET_TRACKED) | FACT(RELEASE));
    sess_go(sess, NULL, 0);
}
