/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the questions is the order of weir's promises:
 *
 *   denied by a rule?           -> nowhere
 *   open read-only transaction? -> its server, or its end, or its move to the primary
 *   about the statement before? -> the server that ran that one
 *   open transaction, pins, pending SET TRANSACTION, autocommit off, isolation
 *                               -> the primary: the session's state is there
 *   not proven to be one read?  -> the primary (a hint may move what only differs per server); one
 *                                  that only calls functions is a read when they are harmless
 *   hinted to the primary, or sent there by a rule?
 *                               -> the primary
 *   a name not known harmless?  -> the primary
 *   inside a write's window?    -> the primary
 *   an eligible replica?        -> one of them, by hint, by rule or by balance; else the primary, if
 *                                  allowed. With GTIDs: one that is known to have what the read must
 *                                  see; else one that may be waited for; else the primary
 *
 * A hint is only asked for what it may change: it can make a decision stricter at any point, and
 * freer only where it says so itself (read_after_write=off, a larger max_lag). A rule is the same
 * for statements of a kind; where both speak, the primary wins, and else the hint, which is about
 * this one statement.
 */
#include "weir/route/decide.h"

#include <string.h>

#include "weir/util/duration.h"

#include "decide_priv.h"
#include "deciding_priv.h"

#define LAG_HINT_MAX_US UINT64_C(86400000000) /* as rules[].max_lag */

void route_hint_step(struct deciding *d, enum route_reason reason, enum classify_hint hint)
{
    route_step_add(d->ret, reason)->detail = (uint8_t)hint;
}

static bool server_is_there(const struct deciding *d, int16_t server)
{
    return server >= 0 && server < (int16_t)d->view->topo->server_count &&
           d->view->topo->servers[server].addr_len > 0;
}

static void go_primary(struct deciding *d)
{
    const struct topo *topo = d->view->topo;

    if (topo->primary < 0) {
        route_step_add(d->ret, ROUTE_NO_PRIMARY);
        d->ret->target = ROUTE_TO_NONE;
        d->ret->server = -1;
        return;
    }
    route_step_add(d->ret, ROUTE_PRIMARY)->server = topo->primary;
    d->ret->target = ROUTE_TO_PRIMARY;
    d->ret->server = topo->primary;
}

static void go_server(struct deciding *d, enum route_target target, int16_t server)
{
    d->ret->target = server == d->view->topo->primary ? ROUTE_TO_PRIMARY : target;
    d->ret->server = server;
}

/* Hints and rules that ask for more freedom than the statement has, said once. */
static void note_ignored_hints(struct deciding *d)
{
    static const enum classify_hint freeing[] = {HINT_REPLICA, HINT_SERVER};

    if (d->view->rule != NULL && (d->view->rule->route == CONFIG_ROUTE_REPLICA ||
                                  d->view->rule->route == CONFIG_ROUTE_SERVER)) {
        route_step_add(d->ret, ROUTE_RULE_IGNORED);
    }
    for (size_t i = 0; i < sizeof(freeing) / sizeof(freeing[0]); i++) {
        if (route_has_hint(d->facts, freeing[i])) {
            route_hint_step(d, ROUTE_HINT_IGNORED, freeing[i]);
            return;
        }
    }
}

/* --- an open read-only transaction on a replica --- */

/* Whatever changes rows is refused there with the very error of a read-only transaction. What may
 * leave state behind (CALL) is none of this: the session would look for it on the primary. UNLOCK
 * has nothing to unlock: the transaction of a session that holds a lock is on the primary. */
static bool is_at_home(const struct facts *facts)
{
    uint64_t leaves = FACT(STARTS_TX) | FACT(IMPLICIT_COMMIT) | FACT(CHAIN) | FACT(MULTI);
    uint64_t stays = FACT(READ) | FACT(LAST) | FACT(ENDS_TX) | FACT(WRITE) | FACT(DML);

    if (facts->verb == VERB_SAVEPOINT || facts->verb == VERB_UNLOCK) {
        return !route_has_bit(facts, FACT(MULTI));
    }
    return facts->verb != VERB_XA && facts->pins == 0 && route_has_bit(facts, stays) &&
           !route_has_bit(facts, leaves);
}

static void decide_ro_tx(struct deciding *d)
{
    int16_t server = d->sess->ro_tx_server;
    bool begins = route_has_bit(d->facts, FACT(STARTS_TX)) && d->facts->verb == VERB_BEGIN &&
                  !route_has_bit(d->facts, FACT(MULTI));

    route_step_add(d->ret, ROUTE_RO_TX)->server = server;
    if (!server_is_there(d, server)) {
        /* Its snapshot is lost: nobody else can go on with it. */
        route_step_add(d->ret, ROUTE_RO_TX_LOST)->server = server;
        d->ret->target = ROUTE_TO_NONE;
        d->ret->server = -1;
        return;
    }
    if (is_at_home(d->facts)) {
        go_server(d, ROUTE_TO_REPLICA, server);
        return;
    }
    if (begins) {
        route_step_add(d->ret, ROUTE_RO_TX_END)->server = server;
        d->ret->flags |= ROUTE_F_END_RO_TX;
        go_primary(d);
        return;
    }
    /* A named lock, a user variable, CALL, an unknown function: its effect belongs on the primary.
     * Definitions, LOCK TABLES, SET autocommit, XA, COMMIT AND CHAIN: when and whether they end the
     * transaction is for the server to say that runs both. */
    route_step_add(d->ret, ROUTE_RO_TX_MOVE)->server = server;
    d->ret->flags |= ROUTE_F_MOVE_RO_TX;
    go_primary(d);
}

static void decide_last(struct deciding *d)
{
    int16_t server = d->sess->last_server;

    if (!server_is_there(d, server)) {
        route_step_add(d->ret, ROUTE_LAST_NONE);
        go_primary(d);
        return;
    }
    route_step_add(d->ret, ROUTE_LAST)->server = server;
    go_server(d, ROUTE_TO_LAST, server);
}

/* --- the session's state --- */

static bool is_bound_by_session(struct deciding *d)
{
    const struct route_sess *sess = d->sess;

    if (sess->in_tx) {
        route_step_add(d->ret, ROUTE_IN_TX);
        return true;
    }
    if (sess->pins != 0) {
        route_step_add(d->ret, ROUTE_PINNED)->detail = (uint8_t)__builtin_ctz(sess->pins);
        return true;
    }
    if (sess->next_tx_pending) {
        route_step_add(d->ret, ROUTE_NEXT_TX);
        return true;
    }
    if (sess->autocommit_off) {
        route_step_add(d->ret, ROUTE_AUTOCOMMIT_OFF);
        return true;
    }
    return false;
}

/* SERIALIZABLE reads lock; READ UNCOMMITTED shows what has not reached any replica. */
static bool is_bound_by_isolation(struct deciding *d)
{
    enum topo_isolation isolation = d->sess->isolation;

    if (isolation != TOPO_ISO_SERIALIZABLE && isolation != TOPO_ISO_READ_UNCOMMITTED) {
        return false;
    }
    route_step_add(d->ret, ROUTE_ISOLATION)->detail = (uint8_t)isolation;
    return true;
}

/* --- replicas --- */

static bool has_rule_lag(const struct deciding *d)
{
    return d->view->rule != NULL && d->view->rule->max_lag_us != UINT64_MAX;
}

/* How much lag this statement bears. */
static uint64_t lag_limit(struct deciding *d)
{
    uint64_t limit_us = d->view->conf->max_lag_us;
    uint64_t hinted_us = 0;

    if (has_rule_lag(d)) {
        limit_us = d->view->rule->max_lag_us;
        route_step_add(d->ret, ROUTE_RULE_MAX_LAG)->left_us = limit_us;
    }
    if (!route_has_hint(d->facts, HINT_MAX_LAG)) {
        return limit_us;
    }
    if (!duration_parse_hint(d->facts->hint[HINT_MAX_LAG], LAG_HINT_MAX_US, &hinted_us)) {
        route_hint_step(d, ROUTE_HINT_INVALID, HINT_MAX_LAG);
        return limit_us;
    }
    route_step_add(d->ret, ROUTE_HINT_MAX_LAG)->left_us = hinted_us;
    return hinted_us;
}

static enum route_exclude replica_exclude(const struct deciding *d,
                                          const struct topo_server *server, uint64_t limit_us)
{
    uint64_t max_age_us = d->view->conf->sample_max_age_us;
    bool is_late_only = server->state == TOPO_ST_LAGGING && server->why == TOPO_WHY_LAG &&
                        (route_has_hint(d->facts, HINT_MAX_LAG) || has_rule_lag(d));

    if (server->role != TOPO_ROLE_REPLICA || (int)server->index == d->view->topo->primary) {
        return ROUTE_EX_ROLE;
    }
    if (server->addr_len == 0) {
        return ROUTE_EX_NO_ADDRESS;
    }
    if ((d->sess->failed_mask >> server->index & 1) != 0) {
        return ROUTE_EX_FAILED;
    }
    if (server->state != TOPO_ST_UP && !is_late_only) {
        return ROUTE_EX_STATE;
    }
    if (server->last_good_us == 0 || server->last_good_us + max_age_us < d->view->now_us) {
        return ROUTE_EX_STALE;
    }
    if (server->lag_us == TOPO_LAG_UNKNOWN) {
        return ROUTE_EX_LAG_UNKNOWN;
    }
    return server->lag_us > limit_us ? ROUTE_EX_LAG : ROUTE_EX_NONE;
}

/* A server that was named and is no primary: may the statement run there? */
static bool may_run_on(struct deciding *d, int found, uint64_t limit_us, bool is_read)
{
    const struct topo *topo = d->view->topo;

    if (replica_exclude(d, &topo->servers[found], limit_us) != ROUTE_EX_NONE) {
        return false;
    }
    if ((route_known_mask(d, is_read) >> found & 1) != 0) {
        return true;
    }
    if ((d->sess->wait_mask >> found & 1) == 0) {
        return false;
    }
    d->ret->flags |= ROUTE_F_WAIT;
    return true;
}

/* hint server=NAME: true when it settled the matter. A weight of 0 keeps a server from the balance
 * only, not from being named. */
static bool go_hinted_server(struct deciding *d, uint64_t limit_us, bool is_read)
{
    const struct topo *topo = d->view->topo;
    int found = topo_find(topo, d->facts->hint[HINT_SERVER]);

    if (found < 0) {
        route_hint_step(d, ROUTE_HINT_SERVER_UNKNOWN, HINT_SERVER);
        return false;
    }
    if (found != topo->primary && !may_run_on(d, found, limit_us, is_read)) {
        route_step_add(d->ret, ROUTE_HINT_SERVER_NOT_NOW)->server = (int16_t)found;
        return false;
    }
    route_step_add(d->ret, ROUTE_HINT_SERVER)->server = (int16_t)found;
    go_server(d, ROUTE_TO_REPLICA, (int16_t)found);
    return true;
}

/* route: server NAME of a rule: true when it settled the matter. */
static bool go_rule_server(struct deciding *d, uint64_t limit_us)
{
    const struct topo *topo = d->view->topo;
    int found = topo_find(topo, span_of(d->view->rule->server));

    if (found < 0) {
        route_step_add(d->ret, ROUTE_RULE_SERVER_UNKNOWN);
        return false;
    }
    if (found != topo->primary && !may_run_on(d, found, limit_us, true)) {
        route_step_add(d->ret, ROUTE_RULE_SERVER_NOT_NOW)->server = (int16_t)found;
        return false;
    }
    route_step_add(d->ret, ROUTE_RULE_SERVER)->server = (int16_t)found;
    go_server(d, ROUTE_TO_REPLICA, (int16_t)found);
    return true;
}

static int16_t pick(const struct deciding *d, const struct balance_choice *choices, size_t count)
{
    return balance_pick(d->view->conf->policy, choices, count, d->view->load, d->view->now_us,
                        d->view->random);
}

/* None is known to have what the read must see: one that may be waited for, or the primary, which
 * has it. */
static void go_behind(struct deciding *d)
{
    struct balance_choice choices[TOPO_SERVERS_MAX];
    size_t count = 0;
    int16_t chosen = -1;

    for (uint8_t i = 0; i < d->ret->candidate_count; i++) {
        const struct route_candidate *candidate = &d->ret->candidates[i];

        if (candidate->exclude == ROUTE_EX_BEHIND &&
            (d->sess->wait_mask >> candidate->server & 1) != 0) {
            choices[count++] = (struct balance_choice){candidate->server, candidate->weight_eff};
        }
    }
    chosen = pick(d, choices, count);
    if (chosen < 0) {
        route_step_add(d->ret, ROUTE_BEHIND);
        go_primary(d);
        return;
    }
    route_step_add(d->ret, ROUTE_WAIT)->server = chosen;
    d->ret->flags |= ROUTE_F_WAIT;
    go_server(d, ROUTE_TO_REPLICA, chosen);
}

/* is_read: else it only asks each server for something of its own, which hints may move and rules
 * may not. */
static void go_replica(struct deciding *d, bool is_read)
{
    const struct topo *topo = d->view->topo;
    struct balance_choice choices[TOPO_SERVERS_MAX];
    size_t count = 0;
    bool is_behind = false;
    uint64_t known = route_known_mask(d, is_read);
    uint64_t limit_us = lag_limit(d);
    int16_t chosen = -1;

    if (route_has_hint(d->facts, HINT_SERVER) && go_hinted_server(d, limit_us, is_read)) {
        return;
    }
    if (is_read && !route_has_hint(d->facts, HINT_SERVER) && d->view->rule != NULL &&
        d->view->rule->route == CONFIG_ROUTE_SERVER && go_rule_server(d, limit_us)) {
        return;
    }
    for (uint16_t i = 0; i < topo->server_count && i < TOPO_SERVERS_MAX; i++) {
        const struct topo_server *server = &topo->servers[i];
        struct route_candidate *candidate = &d->ret->candidates[i];

        candidate->server = (int16_t)i;
        candidate->weight_eff = server->weight_eff;
        candidate->lag_us = server->lag_us;
        candidate->exclude = replica_exclude(d, server, limit_us);
        if (candidate->exclude == ROUTE_EX_NONE && server->weight_eff == 0) {
            candidate->exclude = ROUTE_EX_WEIGHT;
        }
        if (candidate->exclude == ROUTE_EX_NONE && (known >> i & 1) == 0) {
            candidate->exclude = ROUTE_EX_BEHIND;
            is_behind = true;
        }
        if (candidate->exclude == ROUTE_EX_NONE) {
            choices[count++] = (struct balance_choice){(int16_t)i, server->weight_eff};
        }
        d->ret->candidate_count++;
    }
    chosen = pick(d, choices, count);
    if (chosen >= 0) {
        route_step_add(d->ret, ROUTE_BALANCED)->server = chosen;
        go_server(d, ROUTE_TO_REPLICA, chosen);
        return;
    }
    if (is_behind) {
        go_behind(d);
        return;
    }
    route_step_add(d->ret, ROUTE_NO_REPLICA);
    if (d->view->conf->reads_on_primary == CONFIG_READS_NEVER) {
        route_step_add(d->ret, ROUTE_FALLBACK_FORBIDDEN);
        d->ret->target = ROUTE_TO_NONE;
        d->ret->server = -1;
        return;
    }
    go_primary(d);
}

/* --- */

/* What is not a read. SHOW STATUS and its like are the same question to every server, so an
 * operator's hint may say whom to ask. */
static void decide_not_a_read(struct deciding *d)
{
    bool is_movable = route_has_bit(d->facts, FACT(PER_SERVER)) &&
                      !route_has_bit(d->facts, FACT(WRITE) | FACT(MULTI) | FACT(SETS_STATE));
    struct route_step *step = route_step_add(d->ret, ROUTE_NOT_A_READ);

    step->detail = (uint8_t)d->facts->why;
    if (is_movable && !route_has_hint(d->facts, HINT_PRIMARY) &&
        (route_has_hint(d->facts, HINT_REPLICA) || route_has_hint(d->facts, HINT_SERVER))) {
        if (route_has_hint(d->facts, HINT_REPLICA)) {
            route_hint_step(d, ROUTE_HINT_REPLICA, HINT_REPLICA);
        }
        go_replica(d, false);
        return;
    }
    note_ignored_hints(d);
    go_primary(d);
}

static void decide_read(struct deciding *d)
{
    if (route_has_hint(d->facts, HINT_PRIMARY)) {
        route_hint_step(d, ROUTE_HINT_PRIMARY, HINT_PRIMARY);
        go_primary(d);
        return;
    }
    if (d->view->rule != NULL && d->view->rule->route == CONFIG_ROUTE_PRIMARY) {
        route_step_add(d->ret, ROUTE_RULE_PRIMARY);
        go_primary(d);
        return;
    }
    if (!route_tables_are_harmless(d) || route_is_in_window(d)) {
        note_ignored_hints(d);
        go_primary(d);
        return;
    }
    if (route_has_hint(d->facts, HINT_REPLICA)) {
        route_hint_step(d, ROUTE_HINT_REPLICA, HINT_REPLICA);
    } else if (d->view->rule != NULL && d->view->rule->route == CONFIG_ROUTE_REPLICA) {
        route_step_add(d->ret, ROUTE_RULE_REPLICA);
    }
    go_replica(d, true);
}

void route_decide(const struct facts *facts, const struct route_sess *sess,
                  const struct route_view *view, struct route_decision *ret_decision)
{
    struct deciding d = {facts, sess, view, ret_decision};
    bool is_ro_start = route_has_bit(facts, FACT(STARTS_TX)) &&
                       route_has_bit(facts, FACT(TX_READ_ONLY)) &&
                       !route_has_bit(facts, FACT(MULTI) | FACT(WRITE));
    bool is_read = route_has_bit(facts, FACT(READ)) &&
                   !route_has_bit(facts, FACT(MULTI) | FACT(WRITE) | FACT(OVERFLOW) | FACT(LARGE));

    ret_decision->target = ROUTE_TO_NONE;
    ret_decision->server = -1;
    ret_decision->flags = 0;
    ret_decision->step_count = 0;
    ret_decision->candidate_count = 0;
    ret_decision->is_held = false;
    ret_decision->raw_mode = CONFIG_RAW_OFF;
    ret_decision->topo_generation = view->topo->snap.generation;

    if (view->rule != NULL) {
        route_step_add(ret_decision, ROUTE_RULE);
        if (view->rule->deny != NULL) {
            route_step_add(ret_decision, ROUTE_RULE_DENY);
            return;
        }
    }
    if (sess->ro_tx_server >= 0) {
        decide_ro_tx(&d);
        return;
    }
    if (route_has_bit(facts, FACT(LAST)) && !route_has_bit(facts, FACT(MULTI) | FACT(WRITE))) {
        decide_last(&d);
        return;
    }
    if (is_bound_by_session(&d)) {
        note_ignored_hints(&d);
        go_primary(&d);
        return;
    }
    if (!is_read && !is_ro_start) {
        bool is_but_calls = route_has_bit(facts, FACT(CALLS)) &&
                            !route_has_bit(facts, FACT(MULTI) | FACT(OVERFLOW) | FACT(LARGE));

        if (!is_but_calls || !route_calls_are_harmless(&d)) {
            decide_not_a_read(&d);
            return;
        }
        ret_decision->flags |= ROUTE_F_CALLS_READ;
        route_step_add(ret_decision, ROUTE_READ);
        route_step_add(ret_decision, ROUTE_FUNCTIONS_KNOWN)->detail =
            (uint8_t)route_call_kind(&d, 0);
    } else {
        route_step_add(ret_decision, is_read ? ROUTE_READ : ROUTE_RO_TX_START);
    }
    if (is_bound_by_isolation(&d)) {
        note_ignored_hints(&d);
        go_primary(&d);
        return;
    }
    decide_read(&d);
}

enum route_reason route_decision_reason(const struct route_decision *decision)
{
    uint8_t at = decision->step_count;

    while (at > 0) {
        enum route_reason reason = decision->steps[--at].reason;

        if (reason != ROUTE_PRIMARY && reason != ROUTE_HINT_IGNORED &&
            reason != ROUTE_RULE_IGNORED && reason != ROUTE_RULE) {
            return reason;
        }
    }
    return ROUTE_REASON_END_;
}
