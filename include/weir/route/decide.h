/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide - facts + session + topology -> one server, and why.
 *
 * WHY       Everything that weir promises about reads hangs on this one function, so it is pure:
 *           tables prove it, and an explanation runs the same code as a statement.
 * OWNS      none; the decision borrows nothing but indexes into the arguments.
 * THREADS   any
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    none: target ROUTE_NONE when no server may run the statement now.
 * BOUNDS    ROUTE_STEPS_MAX reasons, TOPO_SERVERS_MAX candidates.
 */
#ifndef WEIR_ROUTE_DECIDE_H
#define WEIR_ROUTE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/catalogue.h"
#include "weir/backend/topo.h"
#include "weir/classify/facts.h"
#include "weir/route/balance.h"
#include "weir/route/guard.h"

#define ROUTE_STEPS_MAX 16

/*
 * X(name, kind of argument, text). Kinds: NONE, PIN, HINT, ISOLATION, SERVER, LEFT (time), TABLE
 * (catalogue_kind, index in facts.tables), CALL (the same in facts.calls), CULPRIT (classify_why
 * and facts.culprit), RULE (the view's).
 * The step that decided is the last but PRIMARY.
 */
#define ROUTE_REASONS(X)                                                                   \
    X(READ, NONE, "one read of known shape")                                               \
    X(NOT_A_READ, CULPRIT, "not a read that a replica may run")                            \
    X(FUNCTION, CALL, "a function is not known to be harmless")                            \
    X(FUNCTIONS_KNOWN, CALL, "all functions that it calls only read")                      \
    X(LAST, SERVER, "it asks about the statement before it: same server")                  \
    X(LAST_NONE, NONE, "it asks about the statement before it, and there was none")        \
    X(PINNED, PIN, "the session is pinned to the primary")                                 \
    X(IN_TX, NONE, "a transaction is open on the primary")                                 \
    X(RO_TX, SERVER, "a read-only transaction is open")                                    \
    X(RO_TX_LOST, SERVER, "the server of the read-only transaction is gone")               \
    X(RO_TX_END, SERVER, "it ends the read-only transaction first")                        \
    X(RO_TX_MOVE, SERVER, "the read-only transaction moves to the primary")                \
    X(RO_TX_START, NONE, "a read-only transaction may run on a replica")                   \
    X(AUTOCOMMIT_OFF, NONE, "autocommit is off: it begins a transaction")                  \
    X(NEXT_TX, NONE, "SET TRANSACTION is pending for the next transaction")                \
    X(ISOLATION, ISOLATION, "the isolation level holds on the primary only")               \
    X(HINT_PRIMARY, HINT, "hinted to the primary")                                         \
    X(HINT_REPLICA, HINT, "hinted to a replica")                                           \
    X(HINT_SERVER, SERVER, "hinted to a server")                                           \
    X(HINT_SERVER_UNKNOWN, HINT, "hint ignored: no such server")                           \
    X(HINT_SERVER_NOT_NOW, SERVER, "hint not obeyed: the server may not be used now")      \
    X(HINT_IGNORED, HINT, "hint ignored: only a read may be moved")                        \
    X(HINT_INVALID, HINT, "hint ignored: its value is not understood")                     \
    X(HINT_MAX_LAG, LEFT, "hinted limit of lag")                                           \
    X(HINT_RAW_OFF, HINT, "hinted: reads after writes need not see them")                  \
    X(HINT_RAW, HINT, "hinted: how reads see the writes before them")                      \
    X(RULE, RULE, "the first rule that fits")                                              \
    X(RULE_DENY, RULE, "denied by a rule")                                                 \
    X(RULE_PRIMARY, RULE, "sent to the primary by a rule")                                 \
    X(RULE_REPLICA, RULE, "sent to a replica by a rule")                                   \
    X(RULE_SERVER, SERVER, "sent to a server by a rule")                                   \
    X(RULE_SERVER_UNKNOWN, RULE, "rule not followed: its server is not there")             \
    X(RULE_SERVER_NOT_NOW, SERVER, "rule not followed: the server may not be used now")    \
    X(RULE_IGNORED, RULE, "route of the rule not followed: only a read may be moved")      \
    X(RULE_MAX_LAG, LEFT, "limit of lag of the rule")                                      \
    X(RULE_RAW_AUTO, RULE, "rule: reads after writes must see them, by GTIDs if any")      \
    X(RULE_RAW_GTID, RULE, "rule: reads after writes must see them, by GTIDs")             \
    X(RULE_RAW_WINDOW, RULE, "rule: reads after writes must see them")                     \
    X(RULE_RAW_STRICT, RULE, "rule: after writes the primary, until the session is idle")  \
    X(RULE_RAW_OFF, RULE, "rule: reads after writes need not see them")                    \
    X(TABLE, TABLE, "a name is not known to be harmless")                                  \
    X(TABLE_NO_SCHEMA, TABLE, "a table name without a schema, and no schema is selected")  \
    X(TABLE_NAME, TABLE, "a table name that cannot be compared")                           \
    X(TABLES_KNOWN, NONE, "all its names are base tables or harmless views")               \
    X(READ_AFTER_WRITE, LEFT, "a write was made a moment ago: not before its window ends") \
    X(BALANCED, SERVER, "chosen among the eligible replicas")                              \
    X(WAIT, SERVER, "it waits until this replica has what it must see")                    \
    X(BEHIND, NONE, "no replica is known to have what it must see")                        \
    X(NO_REPLICA, NONE, "no replica is eligible")                                          \
    X(FALLBACK_FORBIDDEN, NONE, "reads may not fall back to the primary (balance)")        \
    X(PRIMARY, SERVER, "the primary")                                                      \
    X(NO_PRIMARY, NONE, "there is no primary now")

/* Why a server was not among the eligible replicas. X(name, text) */
#define ROUTE_EXCLUDES(X)                           \
    X(NONE, "eligible")                             \
    X(ROLE, "not a replica")                        \
    X(STATE, "its state")                           \
    X(NO_ADDRESS, "its name has no address")        \
    X(WEIGHT, "weight 0")                           \
    X(STALE, "its last good sample is too old")     \
    X(LAG, "lag above the limit")                   \
    X(LAG_UNKNOWN, "lag unknown")                   \
    X(BEHIND, "not known to have what it must see") \
    X(FAILED, "has just failed this statement")

/* clang-format off */
enum route_reason {
#define X(name, arg, text) ROUTE_##name,
    ROUTE_REASONS(X)
#undef X
    ROUTE_REASON_END_
};
enum route_exclude {
#define X(name, text) ROUTE_EX_##name,
    ROUTE_EXCLUDES(X)
#undef X
};
/* clang-format on */

enum route_target {
    ROUTE_TO_NONE,    /* hold or refuse: see the last step */
    ROUTE_TO_PRIMARY, /* server is topo->primary */
    ROUTE_TO_REPLICA, /* server is a replica, or what a hint named */
    ROUTE_TO_LAST,    /* server ran the session's last statement */
};

/* What the router needs to know of a session. All zero but ro_tx_server and last_server (-1), and
 * autocommit_off false, is a fresh session. */
struct route_sess {
    bool in_tx;           /* a transaction is open on the session's primary connection */
    bool autocommit_off;  /* the session's autocommit is 0 */
    bool next_tx_pending; /* SET TRANSACTION ... waits for the next transaction */
    bool is_utf8;         /* character_set_client is utf8mb3 or utf8mb4 */
    int16_t ro_tx_server; /* an open READ ONLY transaction's server, when not the primary; or -1 */
    int16_t last_server;  /* who ran the last statement, or -1 */
    enum topo_isolation isolation;
    uint32_t pins;         /* PIN_BIT()s in force */
    uint64_t failed_mask;  /* servers that failed this statement: not asked again */
    uint64_t raw_until_us; /* guard_until_us(): reads before it need the primary */
    /* What its reads must see is told by GTIDs; else the window counts. */
    bool has_gtids;
    uint64_t blind_until_us; /* with GTIDs: nobody knows what was written; until then the primary */
    uint64_t has_mask;       /* with GTIDs: servers known to have all that its reads must see */
    uint64_t wait_mask;      /* with GTIDs: replicas that may be asked to wait until they have */
    struct span schema;      /* default schema, plain name; empty: none */
};

/* The world as this decision sees it. */
struct route_view {
    const struct topo *topo;
    const struct catalogue *catalogue; /* may be NULL: nothing is known */
    uint64_t ddl_seen;                 /* catalogue_ddl_seen() */
    const struct route_conf *conf;
    const struct balance_load *load; /* may be NULL with weighted_random */
    const struct config_rule *rule;  /* the first that fits; NULL: none */
    uint64_t now_us;
    uint64_t random; /* 64 fresh random bits */
};

struct route_step {
    enum route_reason reason;
    uint8_t detail; /* by the reason's kind: classify_why, pin, hint, catalogue_kind, isolation */
    uint8_t table;  /* index in facts.tables, of CALL in facts.calls */
    int16_t server; /* or -1 */
    uint64_t left_us;
};

struct route_candidate {
    int16_t server;
    enum route_exclude exclude;
    uint32_t weight_eff;
    uint64_t lag_us; /* TOPO_LAG_UNKNOWN */
};

/* The session's read-only transaction on a replica must be ended (COMMIT, awaited) before this
 * statement goes to the primary. */
#define ROUTE_F_END_RO_TX 1U
/* The same, and START TRANSACTION READ ONLY (awaited) opens it again on the primary first. */
#define ROUTE_F_MOVE_RO_TX 2U
/* FACT(CALLS), and the catalogue says that all functions are harmless: this once the statement is
 * the read that FACT(READ) stands for. */
#define ROUTE_F_CALLS_READ 4U
/* The replica is not known to have what the read must see: it has to wait there (in-band, before the
 * statement, on its own), and to go elsewhere when that takes too long. */
#define ROUTE_F_WAIT 8U

struct route_decision {
    enum route_target target;
    int16_t server; /* index in the topology; -1 with ROUTE_TO_NONE */
    uint8_t flags;  /* ROUTE_F_* */
    uint8_t step_count;
    uint8_t candidate_count;       /* 0: the replicas were not looked at */
    bool is_held;                  /* a window holds it to the primary */
    enum config_raw_mode raw_mode; /* what applies: GTID, WINDOW, STRICT or OFF */
    uint64_t topo_generation;
    struct route_step steps[ROUTE_STEPS_MAX];            /* up to step_count */
    struct route_candidate candidates[TOPO_SERVERS_MAX]; /* up to candidate_count */
};

/* The decision. Only the parts of *ret up to their counts are written. */
void route_decide(const struct facts *facts, const struct route_sess *sess,
                  const struct route_view *view, struct route_decision *ret_decision);

/* The step that decided: the last one but PRIMARY and notes on hints. ROUTE_REASON_END_: none. */
enum route_reason route_decision_reason(const struct route_decision *decision);
const char *route_reason_name(enum route_reason reason); /* "READ_AFTER_WRITE": for metrics */
const char *route_reason_text(enum route_reason reason);
const char *route_exclude_text(enum route_exclude exclude);
const char *route_target_text(enum route_target target);

/* One line of an explanation: what it is about ("class", "step 2", "candidate r1", "server"), and
 * the text. Both borrowed for the call. */
typedef void (*route_explain_fn)(void *arg, const char *item, const char *text);

/* The decision, in the order in which it was reached. The one formatter behind EXPLAIN ROUTE and
 * `weir explain`. */
void route_explain(const struct facts *facts, const struct route_sess *sess,
                   const struct route_view *view, const struct route_decision *decision,
                   route_explain_fn fn, void *arg);

#endif
