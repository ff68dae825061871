/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric - counters, gauges and histograms, one shard per thread, summed when read.
 *
 * WHY       Counting must cost a store into the thread's own memory and nothing else.
 * OWNS      The registry owns all shards, until metric_registry_destroy().
 * THREADS   A shard is written by one thread at a time; format and read may run in any.
 * REENTRY   none
 * UNITS     Histograms are fed in microseconds and shown in seconds.
 * ERRORS    -ENOMEM, -WR_E_TOO_LARGE
 * BOUNDS    METRIC_SERVERS_MAX servers; a higher index counts as the last one.
 */
#ifndef WEIR_UTIL_METRIC_H
#define WEIR_UTIL_METRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/buf.h"

#define METRIC_SERVERS_MAX 128
#define METRIC_RULES_MAX   128 /* names of rules; what has no room counts as the last, "other" */
#define METRIC_BUCKETS     16  /* bounds in metric.c; one more for what is above */

/*
 * Label sets: X(set, value, text). A metric of a set has one value per row. To add a set: a list
 * here, its line in METRIC_SETS. SERVER, RULE and NONE are built in.
 */
#define METRIC_SET_CLASS(X)                                       \
    X(CLASS, READ_PRIMARY, "class=\"read\",target=\"primary\"")   \
    X(CLASS, READ_REPLICA, "class=\"read\",target=\"replica\"")   \
    X(CLASS, WRITE_PRIMARY, "class=\"write\",target=\"primary\"") \
    X(CLASS, WRITE_REPLICA, "class=\"write\",target=\"replica\"") \
    X(CLASS, OTHER_PRIMARY, "class=\"other\",target=\"primary\"") \
    X(CLASS, OTHER_REPLICA, "class=\"other\",target=\"replica\"")

#define METRIC_SET_LOGIN(X)                   \
    X(LOGIN, PASSWORD, "reason=\"password\"") \
    X(LOGIN, TIMEOUT, "reason=\"timeout\"")   \
    X(LOGIN, PROTOCOL, "reason=\"protocol\"") \
    X(LOGIN, LIMIT, "reason=\"limit\"")       \
    X(LOGIN, SERVER, "reason=\"server\"")     \
    X(LOGIN, TLS, "reason=\"tls\"")           \
    X(LOGIN, DATABASE, "reason=\"database\"") \
    X(LOGIN, OTHER, "reason=\"other\"")

#define METRIC_SET_DIR(X)                                   \
    X(DIR, CLIENT_IN, "side=\"client\",direction=\"in\"")   \
    X(DIR, CLIENT_OUT, "side=\"client\",direction=\"out\"") \
    X(DIR, SERVER_IN, "side=\"server\",direction=\"in\"")   \
    X(DIR, SERVER_OUT, "side=\"server\",direction=\"out\"")

/* Those of classify/facts.h, in that order. */
#define METRIC_SET_PIN(X)                                       \
    X(PIN, USER_VARIABLE, "reason=\"user_variable\"")           \
    X(PIN, TEMP_TABLE, "reason=\"temp_table\"")                 \
    X(PIN, NAMED_LOCK, "reason=\"named_lock\"")                 \
    X(PIN, LOCK_TABLES, "reason=\"lock_tables\"")               \
    X(PIN, BACKUP_LOCK, "reason=\"backup_lock\"")               \
    X(PIN, TEXT_PREPARE, "reason=\"text_prepare\"")             \
    X(PIN, HANDLER, "reason=\"handler\"")                       \
    X(PIN, UNTRACKED_VARIABLE, "reason=\"untracked_variable\"") \
    X(PIN, SET_ROLE, "reason=\"set_role\"")                     \
    X(PIN, XA, "reason=\"xa\"")                                 \
    X(PIN, LAST_INSERT_ID, "reason=\"last_insert_id\"")         \
    X(PIN, SEQUENCE, "reason=\"sequence\"")                     \
    X(PIN, UNKNOWN, "reason=\"unknown\"")

/* Why weir itself, not a server, sent an error. */
#define METRIC_SET_ERROR(X)                         \
    X(ERROR, NO_SERVER, "reason=\"no_server\"")     \
    X(ERROR, SERVER_LOST, "reason=\"server_lost\"") \
    X(ERROR, CONNECT, "reason=\"connect\"")         \
    X(ERROR, TIMEOUT, "reason=\"timeout\"")         \
    X(ERROR, AUTH, "reason=\"auth\"")               \
    X(ERROR, LIMIT, "reason=\"limit\"")             \
    X(ERROR, PROTOCOL, "reason=\"protocol\"")       \
    X(ERROR, REFUSED, "reason=\"refused\"")         \
    X(ERROR, STATE, "reason=\"state\"")             \
    X(ERROR, SHUTDOWN, "reason=\"shutdown\"")       \
    X(ERROR, OTHER, "reason=\"other\"")

#define METRIC_SET_RELOAD(X)                  \
    X(RELOAD, APPLIED, "outcome=\"applied\"") \
    X(RELOAD, REFUSED, "outcome=\"refused\"")

/* weir/observe/events.h has the same names. */
#define METRIC_SET_EVENT(X)                                 \
    X(EVENT, START, "kind=\"start\"")                       \
    X(EVENT, SHUTDOWN, "kind=\"shutdown\"")                 \
    X(EVENT, PRIMARY_FOUND, "kind=\"primary_found\"")       \
    X(EVENT, PRIMARY_LOST, "kind=\"primary_lost\"")         \
    X(EVENT, SWITCH, "kind=\"switch\"")                     \
    X(EVENT, SPLIT_BRAIN, "kind=\"split_brain\"")           \
    X(EVENT, SPLIT_BRAIN_OVER, "kind=\"split_brain_over\"") \
    X(EVENT, LOST, "kind=\"transactions_lost\"")            \
    X(EVENT, NOT_ACKED, "kind=\"not_acknowledged\"")        \
    X(EVENT, SERVER_UP, "kind=\"server_up\"")               \
    X(EVENT, SERVER_DOWN, "kind=\"server_down\"")           \
    X(EVENT, SERVER_LAGGING, "kind=\"server_lagging\"")     \
    X(EVENT, DRAIN, "kind=\"drain\"")                       \
    X(EVENT, UNDRAIN, "kind=\"undrain\"")                   \
    X(EVENT, WEIGHT, "kind=\"weight\"")                     \
    X(EVENT, KILL, "kind=\"kill\"")                         \
    X(EVENT, REDIS_UP, "kind=\"redis_up\"")                 \
    X(EVENT, REDIS_DOWN, "kind=\"redis_down\"")             \
    X(EVENT, WEIR_FOUND, "kind=\"weir_found\"")             \
    X(EVENT, WEIR_LEFT, "kind=\"weir_left\"")               \
    X(EVENT, WEIR_SILENT, "kind=\"weir_silent\"")           \
    X(EVENT, WEIR_FORGOTTEN, "kind=\"weir_forgotten\"")     \
    X(EVENT, RELOAD, "kind=\"reload\"")                     \
    X(EVENT, RELOAD_FAILED, "kind=\"reload_failed\"")

/* Why what may be cached was not there. */
#define METRIC_SET_MISS(X)                                                                   \
    X(MISS, ABSENT, "reason=\"absent\"")                                                     \
    X(MISS, WRITTEN, "reason=\"written\"") /* its tables, or something that it depends on */ \
    X(MISS, EXPIRED, "reason=\"expired\"")                                                   \
    X(MISS, TOKEN, "reason=\"token\"") /* the session must see what it may not hold */       \
    X(MISS, FLIGHT_FAILED, "reason=\"flight_failed\"") /* another client's fetch, awaited */

/* Why an answer that was fetched was not kept. */
#define METRIC_SET_UNFILLED(X)                                      \
    X(UNFILLED, WRITTEN, "reason=\"written\"")                      \
    X(UNFILLED, REPLICA_BEHIND, "reason=\"replica_behind\"")        \
    X(UNFILLED, ERROR, "reason=\"error\"")                          \
    X(UNFILLED, WARNINGS, "reason=\"warnings\"")                    \
    X(UNFILLED, TOO_LARGE, "reason=\"too_large\"")                  \
    X(UNFILLED, SHAPE, "reason=\"shape\"") /* not one result set */ \
    X(UNFILLED, MEMORY, "reason=\"memory\"")                        \
    X(UNFILLED, LOST, "reason=\"lost\"")     /* it did not end */   \
    X(UNFILLED, STREAM, "reason=\"stream\"") /* the primary's log is not heard */

/* Why what a rule or a hint wants cached was not looked for. */
#define METRIC_SET_PASS(X)                                 \
    X(PASS, NO_CACHE_HINT, "reason=\"no_cache_hint\"")     \
    X(PASS, NOT_A_READ, "reason=\"not_a_read\"")           \
    X(PASS, NOT_REPEATABLE, "reason=\"not_repeatable\"")   \
    X(PASS, USER_VARIABLE, "reason=\"user_variable\"")     \
    X(PASS, TRANSACTION, "reason=\"transaction\"")         \
    X(PASS, PINNED, "reason=\"pinned\"")                   \
    X(PASS, AUTOCOMMIT_OFF, "reason=\"autocommit_off\"")   \
    X(PASS, ISOLATION, "reason=\"isolation\"")             \
    X(PASS, TABLE, "reason=\"table\"")                     \
    X(PASS, VIEW, "reason=\"view\"")                       \
    X(PASS, NAMES, "reason=\"names\"")                     \
    X(PASS, TOO_MANY_TABLES, "reason=\"too_many_tables\"") \
    X(PASS, TOO_LARGE, "reason=\"too_large\"")             \
    X(PASS, LONG_DATA, "reason=\"long_data\"")             \
    X(PASS, CURSOR, "reason=\"cursor\"")                   \
    X(PASS, STREAM, "reason=\"stream\"")                   \
    X(PASS, HINTS_OFF, "reason=\"hints_off\"")             \
    X(PASS, TAG, "reason=\"tag\"")                         \
    X(PASS, OTHER, "reason=\"other\"")

/* Who ended what was kept. */
#define METRIC_SET_SOURCE(X)                       \
    X(SOURCE, OWN, "source=\"own\"")               \
    X(SOURCE, BINLOG, "source=\"binlog\"")         \
    X(SOURCE, DEFINITION, "source=\"definition\"") \
    X(SOURCE, PURGE, "source=\"purge\"")           \
    X(SOURCE, PRIMARY, "source=\"primary\"")       \
    X(SOURCE, ALL, "source=\"all\"")

/* What became of answers that were to be asked for anew behind a write. */
#define METRIC_SET_REFRESH(X)                   \
    X(REFRESH, KEPT, "result=\"kept\"")         \
    X(REFRESH, NEEDLESS, "result=\"needless\"") \
    X(REFRESH, GIVEN_UP, "result=\"given_up\"") \
    X(REFRESH, DROPPED, "result=\"dropped\"")

/* What is sent to Redis for the cache. */
#define METRIC_SET_TIER_OP(X)          \
    X(TIER_OP, GET, "command=\"get\"") \
    X(TIER_OP, SET, "command=\"set\"") \
    X(TIER_OP, DEL, "command=\"del\"")

/* Why an answer that Redis was asked for did not come from there. As VALUE_MISSES, and before that. */
#define METRIC_SET_TIER_MISS(X)                                                             \
    X(TIER_MISS, ABSENT, "reason=\"absent\"")                                               \
    X(TIER_MISS, CLOSED, "reason=\"closed\"") /* not connected, or the breaker is open */   \
    X(TIER_MISS, LATE, "reason=\"late\"")                                                   \
    X(TIER_MISS, LOST, "reason=\"lost\"")                                                   \
    X(TIER_MISS, ERROR, "reason=\"error\"") /* Redis says no */                             \
    X(TIER_MISS, FOREIGN, "reason=\"foreign\"")                                             \
    X(TIER_MISS, FORMAT, "reason=\"format\"")                                               \
    X(TIER_MISS, FORGED, "reason=\"forged\"")                                               \
    X(TIER_MISS, BROKEN, "reason=\"broken\"")                                               \
    X(TIER_MISS, OTHER_KEY, "reason=\"other_key\"")                                         \
    X(TIER_MISS, EXPIRED, "reason=\"expired\"")                                             \
    X(TIER_MISS, PURGED, "reason=\"purged\"")                                               \
    X(TIER_MISS, UNPLACED, "reason=\"unplaced\"") /* from before this weir heard the log */ \
    X(TIER_MISS, WRITTEN, "reason=\"written\"")                                             \
    X(TIER_MISS, TOO_LARGE, "reason=\"too_large\"")                                         \
    X(TIER_MISS, OTHER, "reason=\"other\"")

/* Why an answer that was kept was not kept in Redis. */
#define METRIC_SET_TIER_UNFILLED(X)                       \
    X(TIER_UNFILLED, CLOSED, "reason=\"closed\"")         \
    X(TIER_UNFILLED, LATE, "reason=\"late\"")             \
    X(TIER_UNFILLED, LOST, "reason=\"lost\"")             \
    X(TIER_UNFILLED, ERROR, "reason=\"error\"") /* OOM */ \
    X(TIER_UNFILLED, UNPLACED, "reason=\"unplaced\"")     \
    X(TIER_UNFILLED, TOO_LARGE, "reason=\"too_large\"")   \
    X(TIER_UNFILLED, MEMORY, "reason=\"memory\"")

/* What goes wrong on the way to Redis. */
#define METRIC_SET_TIER_TROUBLE(X)                   \
    X(TIER_TROUBLE, LATE, "kind=\"late\"")           \
    X(TIER_TROUBLE, LOST, "kind=\"lost\"")           \
    X(TIER_TROUBLE, MALFORMED, "kind=\"malformed\"") \
    X(TIER_TROUBLE, OPENED, "kind=\"opened\"")       \
    X(TIER_TROUBLE, MOVED, "kind=\"moved\"")         \
    X(TIER_TROUBLE, ASK, "kind=\"ask\"")             \
    X(TIER_TROUBLE, TRY_AGAIN, "kind=\"try_again\"") \
    X(TIER_TROUBLE, CLUSTER_DOWN, "kind=\"cluster_down\"")

#define METRIC_SETS(X) \
    X(CLASS)           \
    X(LOGIN)           \
    X(DIR)             \
    X(PIN)             \
    X(ERROR)           \
    X(RELOAD)          \
    X(EVENT)           \
    X(MISS)            \
    X(UNFILLED)        \
    X(PASS)            \
    X(SOURCE)          \
    X(REFRESH)         \
    X(TIER_OP)         \
    X(TIER_MISS)       \
    X(TIER_UNFILLED)   \
    X(TIER_TROUBLE)

/* X(name, prometheus name, kind, label set, help); add at the end of its block. */
#define METRIC_LIST(X)                                                                             \
    X(SESSIONS_OPEN, "weir_sessions_open", GAUGE, NONE, "Client sessions open now.")               \
    X(SESSIONS_IN_LOGIN, "weir_sessions_in_login", GAUGE, NONE,                                    \
      "Client sessions that have not logged in yet.")                                              \
    X(SESSIONS_TOTAL, "weir_sessions_accepted_total", COUNTER, NONE, "Client sessions accepted.")  \
    X(SESSIONS_REFUSED, "weir_sessions_refused_total", COUNTER, NONE,                              \
      "Client connections refused by a limit.")                                                    \
    X(SESSIONS_TLS, "weir_sessions_tls_total", COUNTER, NONE, "Client sessions that took TLS.")    \
    X(LOGINS_OK, "weir_logins_ok_total", COUNTER, NONE, "Client logins that succeeded.")           \
    X(LOGINS_FAILED, "weir_logins_failed_total", COUNTER, LOGIN, "Client logins that failed.")     \
    X(LOGINS_FAST, "weir_logins_fast_total", COUNTER, NONE,                                        \
      "Client logins answered from a kept verifier.")                                              \
    X(QUERIES, "weir_queries_routed_total", COUNTER, CLASS,                                        \
      "Statements by class and by the role they ran on.")                                          \
    X(QUERY_SECONDS, "weir_query_duration_seconds", HISTOGRAM, NONE,                               \
      "From the statement's last byte read to its reply's last byte written.")                     \
    X(BYTES, "weir_traffic_relayed_bytes_total", COUNTER, DIR, "Bytes read and written.")          \
    X(REROUTES, "weir_reads_rerouted_total", COUNTER, NONE,                                        \
      "Reads run again on another server before any byte of a reply was forwarded.")               \
    X(READS_MOVED, "weir_reads_moved_total", COUNTER, NONE,                                        \
      "Reads ended on a replica that fell behind max_lag (balance.on_lagging: move).")             \
    X(RETRIES, "weir_connects_retried_total", COUNTER, NONE,                                       \
      "Server connections tried again for a waiting statement.")                                   \
    X(MISROUTED, "weir_reads_misrouted_total", COUNTER, NONE,                                      \
      "Statements a replica refused as writes (1792, 1290, 1836), run again on the primary.")      \
    X(PROTOCOL_VIOLATIONS, "weir_protocol_violations_total", COUNTER, NONE,                        \
      "Sessions closed because a peer broke the protocol.")                                        \
    X(CHECKS_FAILED, "weir_checks_failed_total", COUNTER, NONE,                                    \
      "Sessions closed because weir's own check failed.")                                          \
    X(ERRORS, "weir_errors_sent_total", COUNTER, ERROR,                                            \
      "Errors that weir itself sent to clients.")                                                  \
    X(PINS, "weir_pins_taken_total", COUNTER, PIN,                                                 \
      "Times a reason began to pin a session to the primary.")                                     \
    X(SESSIONS_PINNED, "weir_sessions_pinned", GAUGE, NONE, "Sessions pinned to the primary now.") \
    X(HINTS_UNKNOWN, "weir_hints_unknown_total", COUNTER, NONE, "Hints with an unknown name.")     \
    X(STATE_REPLAYS, "weir_state_replays_total", COUNTER, NONE,                                    \
      "Times session state was set on a connection ahead of a statement.")                         \
    X(READS_TOO_OLD, "weir_reads_fallback_total", COUNTER, NONE,                                   \
      "Replica-eligible reads sent to the primary because no replica was fresh enough.")           \
    X(CAUSAL_WAITS, "weir_causal_waits_total", COUNTER, NONE,                                      \
      "Reads that waited on a replica until it had what they must see.")                           \
    X(CAUSAL_TIMEOUTS, "weir_causal_timeouts_total", COUNTER, NONE,                                \
      "Of those, the ones that went elsewhere in the end.")                                        \
    X(CAUSAL_WAIT_SECONDS, "weir_causal_wait_seconds", HISTOGRAM, NONE, "How long they waited.")   \
    X(CAUSAL_FETCHES, "weir_causal_fetches_total", COUNTER, NONE,                                  \
      "Times a server was asked how far it is, so that a session could leave it.")                 \
    X(TOKENS_UNKNOWN, "weir_tokens_unknown_total", COUNTER, NONE,                                  \
      "Writes whose GTIDs are not known: they failed, wrote nothing, or were not logged.")         \
    X(TOKENS_BAD, "weir_tokens_malformed_total", COUNTER, NONE,                                    \
      "Tokens in hints that nobody understands.")                                                  \
    X(TOKENS_LOST, "weir_tokens_lost_total", COUNTER, NONE,                                        \
      "Sessions that wrote what a new primary does not have.")                                     \
    X(RULE_MATCHES, "weir_rule_matches_total", COUNTER, RULE, "Statements that a rule fitted.")    \
    X(RULE_TIMEOUTS, "weir_rule_timeouts_total", COUNTER, NONE,                                    \
      "Statements ended by KILL QUERY because of the timeout of a rule.")                          \
    X(RULE_GAVE_UP, "weir_rule_expressions_failed_total", COUNTER, NONE,                           \
      "Regular expressions of rules that met their limits and did not match.")                     \
    X(SERVER_QUERIES, "weir_server_queries_total", COUNTER, SERVER, "Statements sent.")            \
    X(SERVER_ERRORS, "weir_server_errors_total", COUNTER, SERVER, "Errors that the server sent.")  \
    X(SERVER_CONNECTIONS, "weir_server_connections_open", GAUGE, SERVER, "Connections open now.")  \
    X(SERVER_CONNECTS, "weir_server_connects_total", COUNTER, SERVER, "Connections opened.")       \
    X(SERVER_CONNECT_FAILURES, "weir_server_connects_failed_total", COUNTER, SERVER,               \
      "Connections that could not be opened or logged in.")                                        \
    X(SERVER_LOST, "weir_server_connections_lost_total", COUNTER, SERVER,                          \
      "Connections that broke while in use.")                                                      \
    X(SERVER_UP, "weir_server_up", GAUGE, SERVER, "1 when the monitor calls the server up.")       \
    X(SERVER_IS_PRIMARY, "weir_server_is_primary", GAUGE, SERVER, "1 for the primary.")            \
    X(SERVER_LAG, "weir_server_lag_us", GAUGE, SERVER,                                             \
      "Replication lag in microseconds; -1 when unknown.")                                         \
    X(SERVER_LAG_HEARTBEAT, "weir_server_lag_heartbeat_us", GAUGE, SERVER,                         \
      "Lag in microseconds by the heartbeat table; -1: it says nothing.")                          \
    X(SERVER_LAG_LOG, "weir_server_lag_log_us", GAUGE, SERVER,                                     \
      "Lag in microseconds by the end of the primary's binary log; -1: it says nothing.")          \
    X(SERVER_LAG_SCHEMA, "weir_server_lag_performance_schema_us", GAUGE, SERVER,                   \
      "Lag in microseconds by performance_schema; -1: it says nothing.")                           \
    X(SERVER_LAG_SECONDS, "weir_server_lag_seconds_behind_us", GAUGE, SERVER,                      \
      "Lag in microseconds by the replication status, one second less where another source is "    \
      "finer; -1: it says nothing.")                                                               \
    X(SERVER_LAG_AURORA, "weir_server_lag_replica_host_status_us", GAUGE, SERVER,                  \
      "Lag in microseconds by replica_host_status (Aurora); -1: it says nothing.")                 \
    X(RAW_WINDOW, "weir_read_after_write_window_us", GAUGE, NONE,                                  \
      "How long reads go to the primary after a write, in microseconds.")                          \
    X(POOL_IDLE, "weir_pool_connections_idle", GAUGE, SERVER,                                      \
      "Server connections that are lent to no session.")                                           \
    X(POOL_WAITING, "weir_pool_statements_waiting", GAUGE, SERVER,                                 \
      "Statements that wait for a connection.")                                                    \
    X(POOL_WAITS, "weir_pool_waits_total", COUNTER, SERVER,                                        \
      "Statements that had to wait for a connection.")                                             \
    X(POOL_TIMEOUTS, "weir_pool_timeouts_total", COUNTER, SERVER,                                  \
      "Statements that waited for a connection in vain.")                                          \
    X(POOL_WAIT_SECONDS, "weir_pool_wait_seconds", HISTOGRAM, NONE,                                \
      "How long statements waited for a connection, of those that had to.")                        \
    X(POOL_RESETS, "weir_pool_resets_total", COUNTER, SERVER,                                      \
      "Connections reset before another session could have them.")                                 \
    X(POOL_PASSES, "weir_pool_passes_total", COUNTER, SERVER,                                      \
      "Connections passed on to a statement that waited longer in another worker.")                \
    X(POOL_RETIRED, "weir_pool_retired_total", COUNTER, SERVER,                                    \
      "Connections closed for their age, for having been idle, or for what they held.")            \
    X(STMT_PREPARES, "weir_prepared_again_total", COUNTER, NONE,                                   \
      "Statements that weir prepared on a connection that did not know them.")                     \
    X(STMT_EVICTED, "weir_prepared_evicted_total", COUNTER, NONE,                                  \
      "Prepared statements closed on a connection to make room for others.")                       \
    X(LOG_DROPS, "weir_log_lines_dropped_total", COUNTER, NONE,                                    \
      "Log lines dropped: no room, or not written.")                                               \
    X(TOPO_GENERATION, "weir_topo_generation", GAUGE, NONE, "Generation of the topology.")         \
    X(RELOADS, "weir_config_reloads_total", COUNTER, RELOAD, "Times the file was read again.")     \
    X(CONFIG_GENERATION, "weir_config_generation", GAUGE, NONE,                                    \
      "Generation of the configuration: 1 at the start, one more for each that was taken over.")   \
    X(WORKER_TURNS_SLOW, "weir_worker_turns_slow_total", COUNTER, NONE,                            \
      "Loop turns of a worker longer than 100 ms.")                                                \
    X(HELD, "weir_failover_statements_held", GAUGE, NONE, "Statements that wait for a primary.")   \
    X(HELD_TOTAL, "weir_failover_held_total", COUNTER, NONE,                                       \
      "Statements that had to wait for a primary.")                                                \
    X(HELD_IN_VAIN, "weir_failover_held_in_vain_total", COUNTER, NONE,                             \
      "Statements that waited for a primary until failover.hold was over, or found no room.")      \
    X(HELD_SECONDS, "weir_failover_held_seconds", HISTOGRAM, NONE,                                 \
      "How long statements waited for a primary, of those that had to.")                           \
    X(RERUNS, "weir_failover_reruns_total", COUNTER, NONE,                                         \
      "Statements that a read-only primary refused before they ran, run on the next one.")         \
    X(EPOCH, "weir_failover_epoch", GAUGE, NONE, "Goes up with each change of primary.")           \
    X(LATE_WORKERS, "weir_failover_workers_late", GAUGE, NONE,                                     \
      "Workers that have not acknowledged for a second that there is no primary.")                 \
    X(DETECT_US, "weir_failover_detect_us", GAUGE, NONE,                                           \
      "The last change of primary: from the old one's last good sample to its end.")               \
    X(HEAL_US, "weir_failover_heal_us", GAUGE, NONE,                                               \
      "The last change of primary: from the end of the old one to the beginning of the new one.")  \
    X(CAUSAL_LOST, "weir_failover_transactions_lost_total", COUNTER, NONE,                         \
      "Transactions of earlier primaries, seen by their GTIDs, that their successors lack.")       \
    X(BUDGET_WAITING, "weir_budget_reads_waiting", GAUGE, NONE,                                    \
      "Reads that wait for their turn on the primary because no replica will do.")                 \
    X(BUDGET_READS, "weir_budget_reads_total", COUNTER, NONE,                                      \
      "Reads that took a part of the primary's budget because no replica would do.")               \
    X(BUDGET_REFUSED, "weir_budget_reads_refused_total", COUNTER, NONE,                            \
      "Reads that were refused because the primary's budget was used up.")                         \
    X(REDIS_UP, "weir_redis_up", GAUGE, NONE, "1 when both connections to Redis are logged in.")   \
    X(REDIS_BROKEN, "weir_redis_connections_broken_total", COUNTER, NONE,                          \
      "Connections to Redis that broke or could not be made.")                                     \
    X(FRESH_HEARS, "weir_fresh_hears", GAUGE, NONE,                                                \
      "1 when all that other weirs write is known to be heard; else reads of the shared scopes "   \
      "go to the primary.")                                                                        \
    X(FRESH_PEERS, "weir_fresh_peers", GAUGE, NONE, "Other weirs that are heard, or waited for.")  \
    X(FRESH_SENT, "weir_fresh_messages_sent_total", COUNTER, NONE,                                 \
      "Messages to other weirs given to Redis, heartbeats included.")                              \
    X(FRESH_UNSENT, "weir_fresh_messages_unsent_total", COUNTER, NONE,                             \
      "Messages that could not be given to Redis, or that it refused.")                            \
    X(FRESH_RECEIVED, "weir_fresh_messages_received_total", COUNTER, NONE,                         \
      "Messages of other weirs, heartbeats included.")                                             \
    X(FRESH_MARKS, "weir_fresh_marks_heard_total", COUNTER, NONE,                                  \
      "Users and keys that another weir said were written to.")                                    \
    X(FRESH_LOST, "weir_fresh_messages_lost_total", COUNTER, NONE,                                 \
      "Messages of weirs that did not come, by the number of the next one.")                       \
    X(FRESH_BAD, "weir_fresh_messages_bad_total", COUNTER, NONE,                                   \
      "Messages that nobody understands, or without the right signature.")                         \
    X(CACHE_HITS, "weir_cache_hits_total", COUNTER, NONE,                                          \
      "Statements answered from the cache, stale ones included.")                                  \
    X(CACHE_STALE_HITS, "weir_cache_stale_hits_total", COUNTER, NONE,                              \
      "Of those, by an answer whose time was over.")                                               \
    X(CACHE_MISSES, "weir_cache_misses_total", COUNTER, MISS,                                      \
      "Statements that may be cached, sent to a server.")                                          \
    X(CACHE_WAITS, "weir_cache_flights_joined_total", COUNTER, NONE,                               \
      "Statements that waited for the answer that another client was fetching.")                   \
    X(CACHE_FILLS, "weir_cache_fills_total", COUNTER, NONE, "Answers that were kept.")             \
    X(CACHE_UNFILLED, "weir_cache_fills_refused_total", COUNTER, UNFILLED,                         \
      "Answers that were fetched and not kept.")                                                   \
    X(CACHE_PASSED, "weir_cache_passed_total", COUNTER, PASS,                                      \
      "Statements that a rule or hint wants cached, and that cannot be.")                          \
    X(CACHE_INVALIDATIONS, "weir_cache_invalidations_total", COUNTER, SOURCE,                      \
      "Writes that ended what was kept: through this weir (own), heard in the primary's log "      \
      "(binlog), of definitions, operators' (purge), a change of primary, or of nobody knows "     \
      "what (all).")                                                                               \
    X(CACHE_REFRESHES, "weir_cache_refreshes_total", COUNTER, REFRESH,                             \
      "Answers to be asked for anew behind writes (cache_refresh): kept, there already, given up " \
      "after some tries, or dropped for there are too many.")                                      \
    X(CACHE_RULE_HITS, "weir_cache_rule_hits_total", COUNTER, RULE, "Hits by rule.")               \
    X(CACHE_RULE_MISSES, "weir_cache_rule_misses_total", COUNTER, RULE, "Misses by rule.")         \
    X(CACHE_ENTRIES, "weir_cache_entries", GAUGE, NONE, "Answers held now.")                       \
    X(CACHE_BYTES, "weir_cache_bytes", GAUGE, NONE,                                                \
      "Memory for answers held, being sent and being fetched.")                                    \
    X(CACHE_INSERTED, "weir_cache_inserted_total", COUNTER, NONE, "Answers put into memory.")      \
    X(CACHE_REPLACED, "weir_cache_replaced_total", COUNTER, NONE,                                  \
      "Answers that took the place of an older one.")                                              \
    X(CACHE_EVICTED, "weir_cache_evicted_total", COUNTER, NONE,                                    \
      "Answers that made room for others.")                                                        \
    X(CACHE_DROPPED, "weir_cache_dropped_total", COUNTER, NONE,                                    \
      "Answers taken away because they were written to, too old, or purged.")                      \
    X(CACHE_RETURNED, "weir_cache_returned_total", COUNTER, NONE,                                  \
      "Answers put again soon after an eviction: with more memory they would have been there.")    \
    X(CACHE_REFUSED, "weir_cache_refused_total", COUNTER, NONE,                                    \
      "Times there was no room for an answer.")                                                    \
    X(CACHE_HEARS, "weir_cache_binlog_heard", GAUGE, NONE,                                         \
      "1 when all that is written on the primary is heard by its binary log.")                     \
    X(TIER_OPS, "weir_cache_redis_commands_total", COUNTER, TIER_OP,                               \
      "Commands sent to Redis for the cache.")                                                     \
    X(TIER_HITS, "weir_cache_redis_hits_total", COUNTER, NONE,                                     \
      "Statements answered from Redis; also counted as hits of the cache.")                        \
    X(TIER_MISSES, "weir_cache_redis_misses_total", COUNTER, TIER_MISS,                            \
      "Statements that Redis was to be asked for, and did not answer.")                            \
    X(TIER_FILLS, "weir_cache_redis_fills_total", COUNTER, NONE, "Answers that Redis has taken.")  \
    X(TIER_UNFILLED, "weir_cache_redis_fills_refused_total", COUNTER, TIER_UNFILLED,               \
      "Answers that were kept, but not in Redis.")                                                 \
    X(TIER_SECONDS, "weir_cache_redis_seconds", HISTOGRAM, NONE,                                   \
      "How long Redis took to answer, of the commands for the cache.")                             \
    X(TIER_TROUBLES, "weir_cache_redis_troubles_total", COUNTER, TIER_TROUBLE,                     \
      "What went wrong on the way to Redis, and redirections of a cluster.")                       \
    X(TIER_UP, "weir_cache_redis_connections", GAUGE, NONE,                                        \
      "Connections to Redis for the cache, of all workers.")                                       \
    X(TIER_OPEN, "weir_cache_redis_open", GAUGE, NONE,                                             \
      "Servers of Redis that are not asked because they did not answer, of all workers.")          \
    X(REDIS_MEMORY, "weir_redis_server_memory_bytes", GAUGE, NONE, "used_memory, as Redis says.")  \
    X(REDIS_MEMORY_PEAK, "weir_redis_server_memory_peak_bytes", GAUGE, NONE,                       \
      "used_memory_peak, as Redis says.")                                                          \
    X(REDIS_CLIENTS, "weir_redis_server_clients", GAUGE, NONE,                                     \
      "connected_clients, as Redis says.")                                                         \
    X(REDIS_RATE, "weir_redis_server_commands_per_second", GAUGE, NONE,                            \
      "instantaneous_ops_per_sec, as Redis says.")                                                 \
    X(REDIS_HITS, "weir_redis_server_hits_total", COUNTER, NONE, "keyspace_hits, as Redis says.")  \
    X(REDIS_MISSES, "weir_redis_server_misses_total", COUNTER, NONE,                               \
      "keyspace_misses, as Redis says.")                                                           \
    X(REDIS_EVICTED, "weir_redis_server_evicted_total", COUNTER, NONE,                             \
      "evicted_keys, as Redis says.")                                                              \
    X(REDIS_EXPIRED, "weir_redis_server_expired_total", COUNTER, NONE,                             \
      "expired_keys, as Redis says.")                                                              \
    X(BINLOG_TRANSACTIONS, "weir_binlog_transactions_total", COUNTER, NONE,                        \
      "Transactions and single statements of the primary's binary log taken in.")                  \
    X(BINLOG_BUMPS, "weir_binlog_bumps_total", COUNTER, NONE,                                      \
      "Versions of tables and schemas that the binary log has bumped.")                            \
    X(BINLOG_ALL, "weir_binlog_bumps_all_total", COUNTER, NONE,                                    \
      "Times that it was not known what was written, and everything counted as written.")          \
    X(BINLOG_RECONNECTS, "weir_binlog_reconnects_total", COUNTER, NONE,                            \
      "Connections for the binary log that were lost.")                                            \
    X(BINLOG_GAPS, "weir_binlog_gaps_total", COUNTER, NONE,                                        \
      "Times that reading could not go on where it had ended: all that was kept is void.")         \
    X(BINLOG_UNKNOWN, "weir_binlog_events_unknown_total", COUNTER, NONE,                           \
      "Events of the binary log that were not understood.")                                        \
    X(BINLOG_DELAY_SECONDS, "weir_binlog_delay_seconds", HISTOGRAM, NONE,                          \
      "From a commit on the primary (MySQL), by its clock, to the bump here.")                     \
    X(EVENTS, "weir_events_total", COUNTER, EVENT, "Events by kind, see SHOW EVENTS.")             \
    X(DIGESTS, "weir_digests_tracked", GAUGE, NONE, "Statement digests held, by all workers.")     \
    X(DIGESTS_EVICTED, "weir_digests_evicted_total", COUNTER, NONE,                                \
      "Statement digests that made room for others.")                                              \
    X(ADMIN_SESSIONS, "weir_admin_sessions_open", GAUGE, NONE, "Admin sessions open now.")         \
    X(ADMIN_REFUSED, "weir_admin_logins_failed_total", COUNTER, NONE, "Admin logins that failed.") \
    X(ADMIN_COMMANDS, "weir_admin_commands_total", COUNTER, NONE, "Admin statements answered.")

enum metric_kind {
    METRIC_KIND_COUNTER,
    METRIC_KIND_GAUGE,
    METRIC_KIND_HISTOGRAM,
};

/* METRIC_CLASS_READ_PRIMARY, ...: the label argument of the calls below. */
#define X(set, value, text) METRIC_##set##_##value,
enum metric_class {
    METRIC_SET_CLASS(X) METRIC_CLASS_COUNT_
};
enum metric_login {
    METRIC_SET_LOGIN(X) METRIC_LOGIN_COUNT_
};
enum metric_dir {
    METRIC_SET_DIR(X) METRIC_DIR_COUNT_
};
enum metric_pin {
    METRIC_SET_PIN(X) METRIC_PIN_COUNT_
};
enum metric_error {
    METRIC_SET_ERROR(X) METRIC_ERROR_COUNT_
};
enum metric_reload {
    METRIC_SET_RELOAD(X) METRIC_RELOAD_COUNT_
};
enum metric_event {
    METRIC_SET_EVENT(X) METRIC_EVENT_COUNT_
};
enum metric_miss {
    METRIC_SET_MISS(X) METRIC_MISS_COUNT_
};
enum metric_unfilled {
    METRIC_SET_UNFILLED(X) METRIC_UNFILLED_COUNT_
};
enum metric_pass {
    METRIC_SET_PASS(X) METRIC_PASS_COUNT_
};
enum metric_tier_op {
    METRIC_SET_TIER_OP(X) METRIC_TIER_OP_COUNT_
};
enum metric_tier_miss {
    METRIC_SET_TIER_MISS(X) METRIC_TIER_MISS_COUNT_
};
enum metric_tier_unfilled {
    METRIC_SET_TIER_UNFILLED(X) METRIC_TIER_UNFILLED_COUNT_
};
enum metric_tier_trouble {
    METRIC_SET_TIER_TROUBLE(X) METRIC_TIER_TROUBLE_COUNT_
};
enum metric_source {
    METRIC_SET_SOURCE(X) METRIC_SOURCE_COUNT_
};
enum metric_refresh {
    METRIC_SET_REFRESH(X) METRIC_REFRESH_COUNT_
};
#undef X
enum metric_none {
    METRIC_NONE,
    METRIC_NONE_COUNT_
};
enum metric_server {
    METRIC_SERVER_COUNT_ = METRIC_SERVERS_MAX
};
enum metric_rule {
    METRIC_RULE_COUNT_ = METRIC_RULES_MAX
};

/* Words of one label value, by kind: a histogram has its sum, its buckets and the one above. */
enum metric_width {
    METRIC_WIDTH_COUNTER = 1,
    METRIC_WIDTH_GAUGE = 1,
    METRIC_WIDTH_HISTOGRAM = METRIC_BUCKETS + 2,
};

/* Only measured, never made: where each metric's words lie in a shard. */
struct metric_layout {
#define X(name, text, kind, set, help) uint64_t name[METRIC_##set##_COUNT_ * METRIC_WIDTH_##kind];
    METRIC_LIST(X)
#undef X
};

/* METRIC_SESSIONS_OPEN, ...: the first word of each. */
enum metric {
#define X(name, text, kind, set, help) \
    METRIC_##name = offsetof(struct metric_layout, name) / sizeof(uint64_t),
    METRIC_LIST(X)
#undef X
    METRIC_WORDS = sizeof(struct metric_layout) / sizeof(uint64_t)
};

struct metric_registry;

struct metric_shard {
    _Alignas(64) _Atomic uint64_t words[METRIC_WORDS];
};

WR_NODISCARD int metric_registry_create(struct metric_registry **ret_registry);
void metric_registry_destroy(struct metric_registry *registry);
/* A shard for the calling thread to write, zeroed; lives as long as the registry. */
WR_NODISCARD int metric_shard_create(struct metric_registry *registry,
                                     struct metric_shard **ret_shard);
/* Only servers with a name are shown. Copies; NULL takes the name away. */
WR_NODISCARD int metric_server_name(struct metric_registry *registry, size_t server,
                                    const char *name);

/* The label of a rule's name: the same for the same name as long as the registry lives, so that a
 * counter goes on when rules are read again. Only what has been asked for is shown. */
uint16_t metric_rule_label(struct metric_registry *registry, const char *name);

/* label: METRIC_NONE, a value of the metric's set, or a server's index. A shard of NULL counts
 * nothing, for tests of other things. */
void metric_add(struct metric_shard *shard, enum metric metric, size_t label, uint64_t n);
static inline void metric_inc(struct metric_shard *shard, enum metric metric, size_t label)
{
    metric_add(shard, metric, label, 1);
}
/* Gauges: a thread's shard holds its part, the parts are summed. */
void metric_sub(struct metric_shard *shard, enum metric metric, size_t label, uint64_t n);
void metric_set(struct metric_shard *shard, enum metric metric, size_t label, int64_t value);
/* Histograms without labels. */
void metric_observe(struct metric_shard *shard, enum metric metric, uint64_t value_us);

/* Sum over all shards; of a histogram, the count of observations. */
int64_t metric_read(struct metric_registry *registry, enum metric metric, size_t label);
/* Upper bound in microseconds of the bucket that holds the given quantile (0..1); 0: empty. */
uint64_t metric_quantile(struct metric_registry *registry, enum metric metric, double quantile);

/* The Prometheus text format, appended to out; at most max bytes in out. */
WR_NODISCARD int metric_format(struct metric_registry *registry, struct buf *out, size_t max);

/* One line per label value, for SHOW METRICS; stops when the callback returns non-zero, which is
 * then returned. Texts are borrowed for the call; labels may be "". */
typedef int (*metric_each_fn)(void *arg, const char *name, const char *labels,
                              enum metric_kind kind, int64_t value);
int metric_each(struct metric_registry *registry, metric_each_fn each, void *arg);

#endif
