/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the list of all settings: the only place where a setting is described.
 *
 * WHY       Defaults, parsing, ranges, the words of mistakes, conf/weir.yaml and the table in
 *           README.md come from here, so that they cannot differ.
 * OWNS      none
 * THREADS   none
 * REENTRY   none
 * UNITS     min and max: microseconds for DURATION, bytes for SIZE, else a plain count.
 * ERRORS    none
 * BOUNDS    none
 *
 * tests/lint/gen_tables.py reads these lists as text: one X(...) per setting, literals only in
 * the columns default, min, max, unit and help.
 *
 * CONFIG_SETTINGS: X(path, type, owner, member, default, min, max, unit, help)
 *   path     as in the file; "[]" stands for each element of a list
 *   owner    the struct that holds member
 *   default  as it would be written; "" = not set; "-" = must be given
 *   unit     ENUM: the words, in the order of the enum; ADDRESS: what it is for; WORDS: the words
 *            that are known, when there is a "|" in it
 *   DURATION: a word behind "|" may be written too, and is UINT64_MAX - 1; "off" is 0
 *   SIZE: below 4 GiB; LARGE: any
 *   A default of "auto" or "off" is a word that the file may use too: "auto" is UINT64_MAX for a
 *   DURATION until checked and 0 for a COUNT, "off" is 0.
 */
#ifndef WEIR_CONFIG_SCHEMA_H
#define WEIR_CONFIG_SCHEMA_H

/* X(name, help): one mapping each, in the order in which they are shown */
#define CONFIG_SECTIONS(X)                                                         \
    X("tls", "what weir shows to its clients, and whom it trusts")                 \
    X("users", "who may log in, and how weir finds out")                           \
    X("auth", "limits on logins")                                                  \
    X("monitor", "the account that watches the servers, and when a server is out") \
    X("pool", "connections to servers, shared by clients")                         \
    X("balance", "how reads are spread")                                           \
    X("read_after_write", "who sees their own writes, and how")                    \
    X("failover", "what waits while there is no primary")                          \
    X("cache", "answers that are kept, of the reads that rules or hints name")     \
    X("redis", "what weirs share; without it each is alone")                       \
    X("functions", "what an operator knows of functions that weir cannot tell")    \
    X("limits", "bounds on what clients may use")                                  \
    X("http", "where /metrics and /health are served")                             \
    X("admin", "operators' statements over the MySQL protocol, for those listed")  \
    X("observe", "what is remembered of the statements that clients send")         \
    X("log", "what is written, and where to")                                      \
    X("drain", "the end of the process on SIGTERM")

/* X(path, owner, member, count, max, help): lists of mappings */
#define CONFIG_LISTS(X)                                                        \
    X("listeners", config, listeners, listener_count, CONFIG_LISTENERS_MAX,    \
      "where clients connect")                                                 \
    X("servers", config, servers, server_count, CONFIG_SERVERS_MAX,            \
      "the database servers; exactly one can be the primary at a time")        \
    X("rules", config, rules, rule_count, CONFIG_RULES_MAX,                    \
      "the first rule whose conditions all hold counts")                       \
    X("users.list", config, users.list, users.list_count, CONFIG_USERS_MAX,    \
      "accounts for source: list; each with exactly one kind of password")     \
    X("admin.users", config, admin.users, admin.user_count, CONFIG_ADMINS_MAX, \
      "operators; without any there is no admin listener")

/* The verbs of weir/classify/facts.h, for rules[].class; a test holds the two together. */
#define CONFIG_VERBS                                                                            \
    "unknown|empty|select|insert|replace|update|delete|load|call|do|set|use|show|explain|help|" \
    "begin|commit|rollback|savepoint|xa|lock|unlock|prepare|execute|deallocate|handler|create|" \
    "alter|drop|rename|truncate|grant|table_admin|flush|kill|diagnostics|signal|compound|admin"

/* X(path): what a running weir takes over from a file that is read again; "rules[]" stands for a
 * list's entries as such and for all in them, "limits." for a whole section. What is not here needs
 * a restart. */
#define CONFIG_RELOADABLE(X)          \
    X("listeners[].tls")              \
    X("servers[].weight")             \
    X("servers[].max_connections")    \
    X("rules[]")                      \
    X("tls.cert")                     \
    X("tls.key")                      \
    X("users.")                       \
    X("users.list[]")                 \
    X("auth.")                        \
    X("monitor.interval")             \
    X("monitor.timeout")              \
    X("monitor.max_lag")              \
    X("monitor.lag_recover_percent")  \
    X("monitor.failures")             \
    X("monitor.recover")              \
    X("monitor.catalogue_interval")   \
    X("pool.")                        \
    X("balance.")                     \
    X("read_after_write.")            \
    X("failover.")                    \
    X("cache.ttl")                    \
    X("cache.max_entry")              \
    X("cache.coherence")              \
    X("cache.hints")                  \
    X("cache.stale_while_revalidate") \
    X("cache.stale_if_error")         \
    X("cache.refresh_rate")           \
    X("limits.")                      \
    X("log.level")                    \
    X("log.file")                     \
    X("drain.")

#define CONFIG_SETTINGS(X)                                                                         \
    X("workers", COUNT, config, workers, "auto", 1, 64, "threads",                                 \
      "threads that serve clients; auto: one for each core, fewer when a server's limit is small") \
    X("listeners[].address", ADDRESS, config_listener, address, "-", 0, 0, "listen",               \
      "IP:PORT, [IPv6]:PORT or unix:/PATH")                                                        \
    X("listeners[].tls", ENUM, config_listener, tls, "preferred", 0, 0, "off|preferred|required",  \
      "preferred: offered; required: no login without it")                                         \
    X("listeners[].backlog", COUNT, config_listener, backlog, "1024", 1, 65535, "connections",     \
      "connections that the kernel may hold until weir accepts them")                              \
    X("rules[].name", NAME, config_rule, name, "", 0, 0, "text",                                   \
      "for explanations, logs and metrics; not set: rule-N")                                       \
    X("rules[].digest", WORDS, config_rule, digest, "", 0, 0, "digest",                            \
      "condition: the digest of the statement, 16 hex digits as weir shows it")                    \
    X("rules[].table", WORDS, config_rule, table, "", 0, 0, "table",                               \
      "condition: a table that the statement names, as schema.name or name; * stands for any "     \
      "characters")                                                                                \
    X("rules[].schema", WORDS, config_rule, schema, "", 0, 0, "schema",                            \
      "condition: the schema that the session has selected; * stands for any characters")          \
    X("rules[].user", WORDS, config_rule, user, "", 0, 0, "user",                                  \
      "condition: the user that logged in")                                                        \
    X("rules[].client", WORDS, config_rule, client, "", 0, 0, "client",                            \
      "condition: the network that the client is in, as 10.0.0.0/8 or ::1; unix: through a "       \
      "unix socket")                                                                               \
    X("rules[].class", WORDS, config_rule, class_words, "", 0, 0,                                  \
      "read|write|ddl|transaction|other|" CONFIG_VERBS,                                            \
      "condition: what the statement is; the first five look at every statement of a text, "       \
      "the others at the first")                                                                   \
    X("rules[].match", REGEX, config_rule, match, "", 0, 0, "text",                                \
      "condition: a regular expression (PCRE2) that is found in the text of the statement")        \
    X("rules[].match_caseless", BOOL, config_rule, match_caseless, "false", 0, 0, "",              \
      "match: lower and upper case are the same")                                                  \
    X("rules[].route", ROUTE, config_rule, route_text, "", 0, 0, "text",                           \
      "action: primary, replica, or server NAME; only what is proven to be a read is moved to "    \
      "a replica or server")                                                                       \
    X("rules[].max_lag", DURATION, config_rule, max_lag_us, "auto", 0, 86400000000, "time",        \
      "action: the limit of lag for these reads; auto: monitor.max_lag")                           \
    X("rules[].read_after_write", ENUM, config_rule, read_after_write, "default", 0, 0,            \
      "default|auto|gtid|window|strict|off",                                                       \
      "action: whether these reads must see the writes before them; default: "                     \
      "read_after_write.mode")                                                                     \
    X("rules[].timeout", DURATION, config_rule, timeout_us, "off", 1000, 86400000000, "time",      \
      "action: a statement that runs longer is ended by KILL QUERY; never a COMMIT, nor what "     \
      "commits implicitly")                                                                        \
    X("rules[].deny", STRING, config_rule, deny, "", 0, 0, "text",                                 \
      "action: not sent to any server; the client gets error 1227 (42000) with this message")      \
    X("rules[].cache", DURATION, config_rule, cache_us, "auto", 1000000, 2678400000000,            \
      "time|off",                                                                                  \
      "action: answers to these reads are kept for so long; off: never; auto: the rule says "      \
      "nothing of it")                                                                             \
    X("rules[].cache_coherence", ENUM, config_rule, cache_coherence, "default", 0, 0,              \
      "default|binlog|own|ttl",                                                                    \
      "cache: what ends these answers before their time; default: cache.coherence")                \
    X("rules[].cache_scope", ENUM, config_rule, cache_scope, "table", 0, 0, "table|row",           \
      "cache: row: only writes to rows with the same value end these answers, where WHERE "        \
      "compares an indexed whole number with one, of both; else any write to the table does")      \
    X("rules[].cache_share", NAME, config_rule, cache_share, "", 0, 0, "text",                     \
      "cache: users whose rules name the same group get each other's answers, and should have "    \
      "equal grants; not set: each user has its own")                                              \
    X("rules[].cache_max_entry", SIZE, config_rule, cache_max_entry_bytes, "auto", 1024, 67108864, \
      "size", "cache: the largest of these answers that is kept; auto: cache.max_entry")           \
    X("rules[].cache_stale_while_revalidate", DURATION, config_rule,                               \
      cache_stale_while_revalidate_us, "auto", 0, 2678400000000, "time|off",                       \
      "cache: as cache.stale_while_revalidate, for these; auto: that")                             \
    X("rules[].cache_stale_if_error", DURATION, config_rule, cache_stale_if_error_us, "auto", 0,   \
      2678400000000, "time|off", "cache: as cache.stale_if_error, for these; auto: that")          \
    X("rules[].cache_tags", WORDS, config_rule, cache_tags, "", 0, 0, "tag",                       \
      "cache: what CACHE PURGE TAG may end these answers by; {name}: what match captures as "      \
      "(?<name>...), else the value that WHERE compares the column of that name with, and "        \
      "without one nothing is kept")                                                               \
    X("rules[].cache_purge", WORDS, config_rule, cache_purge, "", 0, 0, "tag",                     \
      "action: tags whose answers these writes end when they commit; name:* is all tags below, "   \
      "and so is a {name} without a value")                                                        \
    X("rules[].cache_refresh", WORDS, config_rule, cache_refresh, "", 0, 0, "tag",                 \
      "action: as cache_purge; and behind these writes weir asks anew for up to 16 answers with "  \
      "each of these tags that clients have been given in the last ten minutes")                   \
    X("rules[].log", BOOL, config_rule, log, "false", 0, 0, "",                                    \
      "action: a line of level info for each statement")                                           \
    X("tls.cert", PATH, config, tls.cert, "", 0, 0, "file",                                        \
      "certificate chain (PEM) shown to clients; not set: one is made in tls.dir")                 \
    X("tls.key", PATH, config, tls.key, "", 0, 0, "file", "private key (PEM) of tls.cert")         \
    X("tls.ca", PATH, config, tls.ca, "", 0, 0, "file",                                            \
      "authorities trusted for servers that verify; not set: the system's own")                    \
    X("tls.dir", PATH, config, tls.dir, "/var/lib/weir", 0, 0, "directory",                        \
      "where a generated certificate and its key are kept")                                        \
    X("tls.min_version", ENUM, config, tls.min_version, "TLSv1.2", 0, 0, "TLSv1.2|TLSv1.3",        \
      "the oldest version that weir speaks, to clients and to servers")                            \
    X("users.source", SOURCES, config, users.source, "passthrough", 0, 0,                          \
      "passthrough|server|list",                                                                   \
      "one or several, tried in this order: what a server says; the primary's account "            \
      "table (mysql_native_password); users.list")                                                 \
    X("users.recheck", DURATION, config, users.recheck_us, "60s", 1000000, 3600000000, "time",     \
      "after which a server must have said yes to the user again")                                 \
    X("users.list[].name", USER, config_user, name, "-", 0, 0, "text", "account name")             \
    X("users.list[].password", SECRET, config_user, password, "", 0, 0, "text",                    \
      "the password; the file must then be readable by its owner alone")                           \
    X("users.list[].password_file", SECRET_FILE, config_user, password, "", 0, 0, "file",          \
      "a file that holds the password and nothing else")                                           \
    X("users.list[].password_env", SECRET_ENV, config_user, password, "", 0, 0, "name",            \
      "an environment variable that holds the password")                                           \
    X("users.list[].password_hash", NATIVE_HASH, config_user, native_hash, "", 0, 0, "text",       \
      "\"*\" and 40 hex digits, as mysql_native_password stores it; as secret as a password")      \
    X("auth.max_checks", COUNT, config, auth.max_checks, "64", 1, 10000, "logins",                 \
      "logins to servers that clients may cause at one time")                                      \
    X("auth.max_checks_per_address", COUNT, config, auth.max_checks_per_address, "32", 1, 10000,   \
      "logins", "the same for one client address")                                                 \
    X("auth.max_checks_per_user", COUNT, config, auth.max_checks_per_user, "16", 1, 10000,         \
      "logins", "the same for one user name")                                                      \
    X("auth.negative_cache", DURATION, config, auth.negative_cache_us, "1s", 0, 60000000, "time",  \
      "for how long a refused login is refused again without asking a server")                     \
    X("auth.login_timeout", DURATION, config, auth.login_timeout_us, "10s", 100000, 300000000,     \
      "time", "from accept to logged in")                                                          \
    X("auth.max_unauthenticated", COUNT, config, auth.max_unauthenticated, "4096", 1, 1000000,     \
      "connections", "connections that have not logged in yet")                                    \
    X("auth.max_packet_before_login", SIZE, config, auth.max_packet_before_login_bytes, "64KiB",   \
      4096, 1048576, "size", "the largest packet taken before login")                              \
    X("servers[].name", NAME, config_server, name, "-", 0, 0, "name",                              \
      "for logs, metrics and hints; letters, digits and . _ - #")                                  \
    X("servers[].address", ADDRESS, config_server, address, "-", 0, 0, "server",                   \
      "HOST:PORT, [IPv6]:PORT or unix:/PATH")                                                      \
    X("servers[].role", ENUM, config_server, role, "auto", 0, 0, "auto|primary|replica",           \
      "auto: found out by the server's read_only")                                                 \
    X("servers[].weight", COUNT, config_server, weight, "100", 0, 1000, "parts",                   \
      "its share of the reads; 0: none unless a hint asks for it")                                 \
    X("servers[].max_connections", COUNT, config_server, max_connections, "auto", 1, 1000000,      \
      "connections", "that weir opens to it for its clients; auto: as many as it takes")           \
    X("servers[].tls", ENUM, config_server, tls, "preferred", 0, 0,                                \
      "off|preferred|required|verify",                                                             \
      "required: encrypted, whoever answers; verify: certificate and name are checked")            \
    X("servers[].tls_ca", PATH, config_server, tls_ca, "", 0, 0, "file",                           \
      "authorities trusted for this server; not set: tls.ca")                                      \
    X("servers[].tls_server_name", STRING, config_server, tls_server_name, "", 0, 0, "text",       \
      "the name that its certificate must have; not set: the host of its address")                 \
    X("monitor.user", USER, config, monitor.user, "-", 0, 0, "text",                               \
      "the account of conf/grants-mysql.sql or conf/grants-mariadb.sql")                           \
    X("monitor.password", SECRET, config, monitor.password, "", 0, 0, "text",                      \
      "its password; the file must then be readable by its owner alone")                           \
    X("monitor.password_file", SECRET_FILE, config, monitor.password, "", 0, 0, "file",            \
      "a file that holds the password and nothing else")                                           \
    X("monitor.password_env", SECRET_ENV, config, monitor.password, "", 0, 0, "name",              \
      "an environment variable that holds the password")                                           \
    X("monitor.interval", DURATION, config, monitor.interval_us, "250ms", 20000, 60000000, "time", \
      "between two probes of a server")                                                            \
    X("monitor.timeout", DURATION, config, monitor.timeout_us, "2s", 100000, 60000000, "time",     \
      "for connecting, and for one probe")                                                         \
    X("monitor.max_lag", DURATION, config, monitor.max_lag_us, "5s", 100000, 86400000000, "time",  \
      "a replica further behind gets no reads")                                                    \
    X("monitor.lag_recover_percent", COUNT, config, monitor.lag_recover_percent, "80", 1, 100,     \
      "%", "a replica returns when its lag is below this part of max_lag")                         \
    X("monitor.failures", COUNT, config, monitor.failures, "3", 1, 100, "probes",                  \
      "failed probes in a row that take a server out")                                             \
    X("monitor.recover", COUNT, config, monitor.recover, "2", 1, 100, "probes",                    \
      "good probes in a row that take it back")                                                    \
    X("monitor.catalogue_interval", DURATION, config, monitor.catalogue_interval_us, "10s",        \
      100000, 3600000000, "time",                                                                  \
      "between two looks at the primary's tables, views, routines and accounts")                   \
    X("monitor.heartbeat", STRING, config, monitor.heartbeat, "", 0, 0, "text",                    \
      "SCHEMA.TABLE of pt-heartbeat, or one like it; only read. Not set: the lag comes from "      \
      "the servers' logs and what they say of replication")                                        \
    X("monitor.aurora_readers", COUNT, config, monitor.aurora_readers, "0", 0, 15, "servers",      \
      "places for readers that join an Aurora cluster while weir runs (reader+1 ...); they get "   \
      "the settings of the first server, which must be named by its instance endpoint")            \
    X("pool.wait", DURATION, config, pool.wait_us, "10s", 1000, 3600000000, "time",                \
      "how long a statement waits when all connections of its server are in use")                  \
    X("pool.max_waiters", COUNT, config, pool.max_waiters, "10000", 0, 1000000, "statements",      \
      "that wait for one server in one worker; more are refused at once")                          \
    X("pool.idle", DURATION, config, pool.idle_us, "5m", 100000, 86400000000, "time",              \
      "an unused connection is closed after it, and before half of the server's wait_timeout")     \
    X("pool.max_age", DURATION, config, pool.max_age_us, "1h", 0, 31536000000000, "time",          \
      "a connection older than that is replaced (each a little earlier); 0: no limit")             \
    X("pool.min_idle", COUNT, config, pool.min_idle, "0", 0, 10000, "connections",                 \
      "kept open in each worker for each user with sessions, to each server")                      \
    X("pool.prepared", COUNT, config, pool.prepared, "100", 1, 100000, "statements",               \
      "prepared on one connection; the server counts those of all connections "                    \
      "(max_prepared_stmt_count)")                                                                 \
    X("pool.linger", DURATION, config, pool.linger_us, "1s", 0, 60000000, "time",                  \
      "how long a session keeps its connection after an INSERT that generated an id, if "          \
      "nobody else wants it")                                                                      \
    X("balance.policy", ENUM, config, balance.policy, "weighted_random", 0, 0,                     \
      "weighted_random|least_pending|latency", "how a replica is picked")                          \
    X("balance.reads_on_primary", ENUM, config, balance.reads_on_primary, "fallback", 0, 0,        \
      "fallback|never",                                                                            \
      "fallback: reads go to the primary when no replica will do; never: they fail")               \
    X("balance.on_lagging", ENUM, config, balance.on_lagging, "finish", 0, 0, "finish|move",       \
      "reads that run on a replica when it falls behind max_lag: finish: there; move: ended "      \
      "there and run elsewhere, or ended with error 1317 when the client has a part of the reply") \
    X("balance.primary_budget", COUNT, config, balance.primary_budget, "5000", 0, 100000000,       \
      "reads", "a second that go to the primary because no replica will do; 0: no limit")          \
    X("balance.primary_wait", DURATION, config, balance.primary_wait_us, "1s", 0, 60000000,        \
      "time", "how long a read waits for its turn when that is used up; then error 1040")          \
    X("failover.hold", DURATION, config, failover.hold_us, "10s", 0, 3600000000, "time",           \
      "how long a statement that needs the primary waits while there is none; then error 1290")    \
    X("failover.max_held", COUNT, config, failover.max_held, "10000", 0, 1000000, "statements",    \
      "that wait in one worker; more are refused at once")                                         \
    X("failover.max_held_size", SIZE, config, failover.max_held_bytes, "64MiB", 0, 1073741824,     \
      "size", "bytes of the statements that wait in one worker")                                   \
    X("read_after_write.mode", ENUM, config, read_after_write.mode, "auto", 0, 0,                  \
      "auto|gtid|window|strict|off",                                                               \
      "gtid: a read goes to a replica that has what its session wrote; window: to the primary "    \
      "for a while after a write; strict: until the session has been idle for as long; auto: "     \
      "gtid where the servers have GTIDs, else window")                                            \
    X("read_after_write.scope", ENUM, config, read_after_write.scope, "session", 0, 0,             \
      "session|user|key|global",                                                                   \
      "whose reads must see a write: of its session; of its user; of those with the same key "     \
      "(hint key=, which counts in every scope; without one: of its session); or all")             \
    X("read_after_write.window", DURATION, config, read_after_write.window_us, "auto", 0,          \
      86400000000, "time|adaptive",                                                                \
      "auto: monitor.max_lag + monitor.interval x (monitor.failures + 1) + 1s; adaptive: the "     \
      "lag that was not exceeded in 99 of 100 samples, + window_margin: most reads see the "       \
      "write before them, not all")                                                                \
    X("read_after_write.window_floor", DURATION, config, read_after_write.floor_us, "250ms", 0,    \
      86400000000, "time", "the shortest that an adaptive window can become")                      \
    X("read_after_write.window_ceiling", DURATION, config, read_after_write.ceiling_us, "auto", 0, \
      86400000000, "time",                                                                         \
      "the longest, and what it is until 100 samples are there; auto: as window: auto")            \
    X("read_after_write.window_margin", DURATION, config, read_after_write.margin_us, "250ms", 0,  \
      3600000000, "time", "added to the measured lag by an adaptive window")                       \
    X("read_after_write.window_over", DURATION, config, read_after_write.over_us, "5m", 10000000,  \
      86400000000, "time", "the time behind now whose samples an adaptive window looks at")        \
    X("read_after_write.unsafe", BOOL, config, read_after_write.unsafe, "false", 0, 0, "",         \
      "allows a window shorter than auto, which can show data from before the write")              \
    X("read_after_write.wait", DURATION, config, read_after_write.wait_us, "200ms", 0, 60000000,   \
      "time", "gtid: how long a read waits for a replica to get there; then the primary has it")   \
    X("read_after_write.monotonic", BOOL, config, read_after_write.monotonic, "true", 0, 0, "",    \
      "gtid: no read of a session sees less than one before it did, whatever servers they ran on") \
    X("cache.memory", LARGE, config, cache.memory_bytes, "off", 1048576, 1099511627776, "size",    \
      "for the answers; half a per cent more is for finding them. off: no cache")                  \
    X("cache.ttl", DURATION, config, cache.ttl_us, "5m", 1000000, 2678400000000, "time",           \
      "how long an answer is kept when a hint says no time")                                       \
    X("cache.max_entry", SIZE, config, cache.max_entry_bytes, "1MiB", 1024, 67108864, "size",      \
      "the largest answer that is kept")                                                           \
    X("cache.coherence", ENUM, config, cache.coherence, "binlog", 0, 0, "binlog|own|ttl",          \
      "what ends an answer before its time. binlog: a write to its tables, whoever made it, as "   \
      "the primary's binary log tells; while that is not read, nothing is kept. Weaker: own: a "   \
      "write to its tables that passes through this weir; ttl: nothing does")                      \
    X("cache.hints", BOOL, config, cache.hints, "true", 0, 0, "",                                  \
      "statements may ask to be cached by the hint cache; false: rules decide. The hint no-cache " \
      "always counts")                                                                             \
    X("cache.stale_while_revalidate", DURATION, config, cache.stale_while_revalidate_us, "off", 0, \
      2678400000000, "time",                                                                       \
      "an answer whose time is over, and of whose tables none has been written since, is given "   \
      "for so long while one client fetches a new one")                                            \
    X("cache.stale_if_error", DURATION, config, cache.stale_if_error_us, "off", 0, 2678400000000,  \
      "time", "the same while no server can be asked")                                             \
    X("cache.refresh_rate", COUNT, config, cache.refresh_rate, "100", 1, 100000,                   \
      "questions a second", "of rules[].cache_refresh, by all workers together at most")           \
    X("cache.redis", BOOL, config, cache.redis, "false", 0, 0, "",                                 \
      "answers of coherence binlog, and ttl, are also kept in Redis, for all weirs; needs "        \
      "redis.address and redis.secret")                                                            \
    X("redis.address", ADDRESS, config, redis.address, "off", 0, 0, "server|off",                  \
      "HOST:PORT, [IPv6]:PORT or unix:/PATH; the same Redis for all weirs; off: none")             \
    X("redis.user", USER, config, redis.user, "", 0, 0, "text",                                    \
      "ACL user; not set: the default one")                                                        \
    X("redis.password", SECRET, config, redis.password, "", 0, 0, "text",                          \
      "its password; the file must then be readable by its owner alone")                           \
    X("redis.password_file", SECRET_FILE, config, redis.password, "", 0, 0, "file",                \
      "a file that holds the password and nothing else")                                           \
    X("redis.password_env", SECRET_ENV, config, redis.password, "", 0, 0, "name",                  \
      "an environment variable that holds the password")                                           \
    X("redis.database", COUNT, config, redis.database, "0", 0, 65535, "number",                    \
      "selected after login; channels are the same in all of them")                                \
    X("redis.tls", ENUM, config, redis.tls, "off", 0, 0, "off|required|verify",                    \
      "required: encrypted, whoever answers; verify: certificate and name are checked")            \
    X("redis.tls_ca", PATH, config, redis.tls_ca, "", 0, 0, "file",                                \
      "authorities trusted for it; not set: tls.ca")                                               \
    X("redis.tls_server_name", STRING, config, redis.tls_server_name, "", 0, 0, "text",            \
      "the name that its certificate must have; not set: the host of its address")                 \
    X("redis.prefix", NAME, config, redis.prefix, "weir", 0, 0, "text",                            \
      "of all names that weir uses there; weirs of other clusters on the same Redis need "         \
      "another one")                                                                               \
    X("redis.connect_timeout", DURATION, config, redis.connect_timeout_us, "1s", 10000, 60000000,  \
      "time", "for connecting and logging in")                                                     \
    X("redis.timeout", DURATION, config, redis.timeout_us, "500ms", 10000, 60000000, "time",       \
      "for a reply; then the connection is made anew")                                             \
    X("redis.cluster", BOOL, config, redis.cluster, "false", 0, 0, "",                             \
      "it is a Redis Cluster; address: any of its servers")                                        \
    X("redis.budget", DURATION, config, redis.budget_us, "5ms", 1000, 1000000, "time",             \
      "how long a statement waits for a kept answer; then a server has it")                        \
    X("redis.max_value", SIZE, config, redis.max_value_bytes, "1MiB", 1024, 67108864, "size",      \
      "the largest answer that is kept there")                                                     \
    X("redis.compress_above", SIZE, config, redis.compress_above_bytes, "4KiB", 0, 67108864,       \
      "size", "larger answers are packed (zstd)")                                                  \
    X("redis.share", BOOL, config, redis.share, "true", 0, 0, "",                                  \
      "weirs tell each other what was written, for the scopes user and global and the hint key")   \
    X("redis.forget", DURATION, config, redis.forget_us, "10m", 1000000, 86400000000, "time",      \
      "a weir that fell silent without having been stopped is no longer waited for after it")      \
    X("redis.secret", SECRET, config, redis.secret, "", 0, 0, "text",                              \
      "signs what weirs tell each other, and what they keep there; the same for all of them. The " \
      "file must then be readable by its owner alone")                                             \
    X("redis.secret_file", SECRET_FILE, config, redis.secret, "", 0, 0, "file",                    \
      "a file that holds the secret and nothing else")                                             \
    X("redis.secret_env", SECRET_ENV, config, redis.secret, "", 0, 0, "name",                      \
      "an environment variable that holds the secret")                                             \
    X("functions.replica", FUNCTIONS, config, functions.replica, "", 0, 0, "list",                 \
      "SCHEMA.NAME of stored functions that only read, whatever their bodies look like; NAME "     \
      "of loadable ones")                                                                          \
    X("functions.primary", FUNCTIONS, config, functions.primary, "", 0, 0, "list",                 \
      "functions that no replica may run; NAME alone: any of that name. Wins over replica")        \
    X("limits.max_clients", COUNT, config, limits.max_clients, "20000", 1, 1000000, "connections", \
      "client connections at one time")                                                            \
    X("limits.max_packet", SIZE, config, limits.max_packet_bytes, "64MiB", 1048576, 1073741824,    \
      "size", "the longest command of a client")                                                   \
    X("limits.relay_high", SIZE, config, limits.relay_high_bytes, "256KiB", 65536, 67108864,       \
      "size", "unsent bytes at which the other side is no longer read")                            \
    X("limits.relay_low", SIZE, config, limits.relay_low_bytes, "64KiB", 0, 67108864, "size",      \
      "unsent bytes at which it is read again")                                                    \
    X("limits.max_prepared", COUNT, config, limits.max_prepared, "16382", 1, 1048576,              \
      "statements", "prepared statements of one session")                                          \
    X("limits.client_idle", DURATION, config, limits.client_idle_us, "off", 1000000,               \
      31536000000000, "time", "a session that says nothing for so long is closed")                 \
    X("limits.connect_timeout", DURATION, config, limits.connect_timeout_us, "5s", 100000,         \
      300000000, "time", "for connecting and logging in to a server for a client")                 \
    X("http.address", ADDRESS, config, http.address, "127.0.0.1:9310", 0, 0, "listen|off",         \
      "IP:PORT; off: not served")                                                                  \
    X("admin.address", ADDRESS, config, admin.address, "127.0.0.1:3311", 0, 0, "listen|off",       \
      "a loopback address or unix:/PATH")                                                          \
    X("admin.tls", ENUM, config, admin.tls, "preferred", 0, 0, "off|preferred|required",           \
      "preferred: offered; required: no login without it")                                         \
    X("admin.max_clients", COUNT, config, admin.max_clients, "16", 1, 1000, "connections",         \
      "operators connected at one time")                                                           \
    X("admin.idle", DURATION, config, admin.idle_us, "1h", 1000000, 31536000000000, "time",        \
      "an operator's connection that says nothing for so long is closed")                          \
    X("admin.users[].name", USER, config_admin_user, name, "-", 0, 0, "text", "account name")      \
    X("admin.users[].role", ENUM, config_admin_user, role, "read", 0, 0, "read|operate",           \
      "read: looks only; operate: also drains, kills, sets weights, reloads")                      \
    X("admin.users[].password", SECRET, config_admin_user, password, "", 0, 0, "text",             \
      "the password; the file must then be readable by its owner alone")                           \
    X("admin.users[].password_file", SECRET_FILE, config_admin_user, password, "", 0, 0, "file",   \
      "a file that holds the password and nothing else")                                           \
    X("admin.users[].password_env", SECRET_ENV, config_admin_user, password, "", 0, 0, "name",     \
      "an environment variable that holds the password")                                           \
    X("admin.users[].password_hash", NATIVE_HASH, config_admin_user, native_hash, "", 0, 0,        \
      "text", "\"*\" and 40 hex digits, as mysql_native_password stores it")                       \
    X("observe.digests", COUNT, config, observe.digests, "10000", 0, 1000000, "statements",        \
      "digests remembered, by all workers together; 0: none")                                      \
    X("log.level", ENUM, config, log.level, "info", 0, 0, "error|warn|info|debug|trace",           \
      "the least severe lines that are written")                                                   \
    X("log.format", ENUM, config, log.format, "logfmt", 0, 0, "logfmt|json",                       \
      "one line for each event")                                                                   \
    X("log.file", PATH, config, log.file, "", 0, 0, "file", "not set: standard error")             \
    X("drain.timeout", DURATION, config, drain.timeout_us, "30s", 0, 3600000000, "time",           \
      "sessions that are still busy after it are closed")

/* X(name): known words of later versions, so that the mistake can say so */
#define CONFIG_LATER(X) \
    X("alarms")         \
    X("cloudwatch")

#endif
