/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - the operator's YAML file: read, checked as a whole, then immutable.
 *
 * WHY       Every room reads its settings from one snapshot that can never be half right.
 * OWNS      A struct config owns all it points to; counted by its snap. Secrets lie in secret
 *           memory and are wiped when the last reference goes.
 * THREADS   config_load: one thread at a time. A loaded config: any thread, read only.
 * REENTRY   none
 * UNITS     *_us: microseconds. *_bytes: bytes. Ports in host order.
 * ERRORS    0, or -WR_E_CONFIG with the mistakes in errs; then *ret_config is untouched.
 * BOUNDS    File <= CONFIG_FILE_MAX bytes, nesting <= 8, CONFIG_ERRORS_MAX mistakes reported,
 *           lists as CONFIG_*_MAX.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/util/attr.h"
#include "weir/util/snap.h"

#define CONFIG_FILE_MAX      (1024 * 1024)
#define CONFIG_ERRORS_MAX    20
#define CONFIG_LISTENERS_MAX 16
#define CONFIG_SERVERS_MAX   64
#define CONFIG_USERS_MAX     10000
#define CONFIG_ADMINS_MAX    64
#define CONFIG_SOURCES_MAX   3
#define CONFIG_RULES_MAX     4096
#define CONFIG_WORDS_MAX     256  /* of one condition of a rule */
#define CONFIG_FUNCTIONS_MAX 1000 /* of each list */
#define CONFIG_TAGS_MAX      8    /* of one rule */
#define CONFIG_TAG_BYTES     128  /* as written */
#define CONFIG_TAG_VALUES    4    /* {names} in one */

enum config_tls_mode {
    CONFIG_TLS_OFF,
    CONFIG_TLS_PREFERRED, /* listener: offered; server: used when offered, not verified */
    CONFIG_TLS_REQUIRED,  /* no login without it; a server's certificate is not verified */
    CONFIG_TLS_VERIFY,    /* servers only: chain and name are verified */
};

enum config_tls_version {
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3
};

enum config_addr_kind {
    CONFIG_ADDR_NONE,
    CONFIG_ADDR_TCP,
    CONFIG_ADDR_UNIX
};

struct config_addr {
    enum config_addr_kind kind;
    uint16_t port;
    const char *host; /* name or literal without brackets; NULL unless TCP */
    const char *path; /* NULL unless UNIX */
    const char *text; /* as written, for logs: "db1:3306", "[::1]:3306", "unix:/run/x" */
};

/* Not terminated; p is NULL when nothing was configured, and not when it was empty. */
struct config_secret {
    const uint8_t *p;
    size_t len;
};

struct config_listener {
    struct config_addr address;
    enum config_tls_mode tls; /* never CONFIG_TLS_VERIFY */
    uint32_t backlog;
};

struct config_tls {   /* what weir shows to clients */
    const char *cert; /* NULL: a certificate is generated in dir at first start */
    const char *key;
    const char *ca; /* trusted for servers that verify and name no tls_ca; NULL: the system's */
    const char *dir;
    enum config_tls_version min_version;
};

enum config_user_source {
    CONFIG_SOURCE_PASSTHROUGH,
    CONFIG_SOURCE_SERVER,
    CONFIG_SOURCE_LIST,
};

struct config_user {
    const char *name;
    struct config_secret password; /* at most one of the two is set */
    const uint8_t *native_hash;    /* SHA1(SHA1(password)), 20 bytes of secret memory; or NULL */
};

struct config_users {
    enum config_user_source source[CONFIG_SOURCES_MAX]; /* in the order they are tried */
    uint32_t source_count;
    uint64_t recheck_us;
    struct config_user *list; /* sorted by name (bytes) */
    uint32_t list_count;
};

struct config_auth {
    uint32_t max_checks; /* backend logins that clients cause, running at once */
    uint32_t max_checks_per_address;
    uint32_t max_checks_per_user;
    uint64_t negative_cache_us; /* a refused pair (user, proof) is not tried again before */
    uint64_t login_timeout_us;  /* accept to logged in */
    uint32_t max_unauthenticated;
    uint32_t max_packet_before_login_bytes;
};

enum config_role {
    CONFIG_ROLE_AUTO,
    CONFIG_ROLE_PRIMARY,
    CONFIG_ROLE_REPLICA
};

struct config_server {
    const char *name;
    struct config_addr address;
    enum config_role role;
    uint32_t weight;
    uint32_t max_connections; /* that weir opens for clients; 0: the server's limit alone */
    enum config_tls_mode tls;
    const char *tls_ca;          /* NULL: tls.ca */
    const char *tls_server_name; /* NULL: the host of address */
};

struct config_monitor {
    const char *user;
    struct config_secret password;
    uint64_t interval_us;
    uint64_t timeout_us; /* connect, and one probe */
    uint64_t max_lag_us;
    uint32_t lag_recover_percent; /* a replica returns when its lag is below this part of max_lag */
    uint32_t failures;            /* consecutive bad samples that take a server out */
    uint32_t recover;             /* consecutive good samples that take it back */
    uint64_t catalogue_interval_us;
    const char *heartbeat;   /* SCHEMA.TABLE; NULL: none */
    uint32_t aurora_readers; /* places for readers that join while weir runs */
};

struct config_pool {
    uint64_t wait_us;
    uint64_t idle_us;
    uint64_t max_age_us; /* 0: no limit */
    uint64_t linger_us;
    uint32_t max_waiters;
    uint32_t min_idle;
    uint32_t prepared;
};

enum config_policy {
    CONFIG_WEIGHTED_RANDOM,
    CONFIG_LEAST_PENDING,
    CONFIG_LATENCY
};
enum config_reads_on_primary {
    CONFIG_READS_FALLBACK, /* when no replica is eligible */
    CONFIG_READS_NEVER,    /* replica-eligible reads fail instead */
};

enum config_on_lagging {
    CONFIG_LAGGING_FINISH, /* what runs on a replica that turns late goes on there */
    CONFIG_LAGGING_MOVE,   /* reads are ended there, and run elsewhere */
};

struct config_balance {
    enum config_policy policy;
    enum config_reads_on_primary reads_on_primary;
    enum config_on_lagging on_lagging;
    uint32_t primary_budget; /* reads a second for want of a replica; 0: no limit */
    uint64_t primary_wait_us;
};

struct config_failover {
    uint64_t hold_us;
    uint32_t max_held;       /* statements in one worker */
    uint32_t max_held_bytes; /* of them */
};

enum config_coherence {      /* what ends a kept answer before its time */
    CONFIG_COHERENCE_BINLOG, /* every write to its tables */
    CONFIG_COHERENCE_OWN,    /* those that pass through this weir */
    CONFIG_COHERENCE_TTL     /* nothing */
};

struct config_cache {
    uint64_t memory_bytes; /* 0: no cache at all */
    uint64_t ttl_us;
    uint32_t max_entry_bytes;
    enum config_coherence coherence;
    bool hints;
    uint64_t stale_while_revalidate_us; /* 0: off */
    uint64_t stale_if_error_us;         /* 0: off */
    uint32_t refresh_rate;              /* questions a second */
    bool has_refresh;                   /* not a setting: a rule has cache_refresh */
    bool has_rows;                      /* not a setting: a rule has CONFIG_CACHE_SCOPE_ROW */
    bool redis; /* also there: then address and secret of config_redis are set */
};

enum config_raw_mode {
    CONFIG_RAW_AUTO, /* GTID where the servers have such, else WINDOW */
    CONFIG_RAW_GTID,
    CONFIG_RAW_WINDOW,
    CONFIG_RAW_STRICT, /* the same, until the session has been idle for a window */
    CONFIG_RAW_OFF
};
enum config_raw_scope {
    CONFIG_SCOPE_SESSION,
    CONFIG_SCOPE_USER,
    CONFIG_SCOPE_KEY, /* of the hint or attribute key=; without one as SESSION */
    CONFIG_SCOPE_GLOBAL
};

#define CONFIG_WINDOW_ADAPTIVE (UINT64_MAX - 1)

struct config_raw { /* read_after_write */
    enum config_raw_mode mode;
    enum config_raw_scope scope;
    uint64_t window_us;  /* CONFIG_WINDOW_ADAPTIVE; never "auto": computed when not given */
    uint64_t floor_us;   /* of an adaptive one */
    uint64_t ceiling_us; /* likewise; UINT64_MAX: as long as window: auto */
    uint64_t margin_us;  /* likewise: added to the lag */
    uint64_t over_us;    /* likewise: the time that the lag is taken from */
    bool unsafe;
    uint64_t wait_us; /* 0: nobody waits for a replica */
    bool monotonic;
};

/* Several words of one setting; each is terminated. */
struct config_words {
    const char *const *item;
    uint32_t count; /* 0: not given */
};

struct config_place {
    uint32_t line; /* from 1; 0: not in the file */
    uint32_t column;
};

enum config_rule_route {
    CONFIG_ROUTE_NONE, /* as without the rule */
    CONFIG_ROUTE_PRIMARY,
    CONFIG_ROUTE_REPLICA,
    CONFIG_ROUTE_SERVER,
};

enum config_rule_raw {
    CONFIG_RULE_RAW_DEFAULT, /* as without the rule; the others as enum config_raw_mode */
    CONFIG_RULE_RAW_AUTO,
    CONFIG_RULE_RAW_GTID,
    CONFIG_RULE_RAW_WINDOW,
    CONFIG_RULE_RAW_STRICT,
    CONFIG_RULE_RAW_OFF,
};

enum config_rule_coherence {
    CONFIG_RULE_COHERENCE_DEFAULT, /* as without the rule; the others as enum config_coherence */
    CONFIG_RULE_COHERENCE_BINLOG,
    CONFIG_RULE_COHERENCE_OWN,
    CONFIG_RULE_COHERENCE_TTL
};

enum config_cache_scope {
    CONFIG_CACHE_SCOPE_TABLE, /* a write to its tables ends an answer */
    CONFIG_CACHE_SCOPE_ROW    /* one to its rows, where these are proven */
};

/* Conditions that are given must all hold; of several words of one, any. */
struct config_rule {
    const char *name;  /* NULL: not given */
    const char *label; /* never NULL: the name, or "rule-N", N from 1 */
    /* conditions */
    struct config_words digest; /* 16 hex digits each */
    struct config_words table;  /* "schema.name" or "name", with * */
    struct config_words schema;
    struct config_words user;
    struct config_words client; /* "10.0.0.0/8", "::1", "unix" */
    struct config_words class_words;
    const char *match; /* regular expression; NULL: none */
    struct config_place match_at;
    bool match_caseless;
    /* actions */
    const char *route_text; /* as written; NULL: none */
    enum config_rule_route route;
    const char *server;  /* of CONFIG_ROUTE_SERVER */
    uint64_t max_lag_us; /* UINT64_MAX: not given */
    enum config_rule_raw read_after_write;
    uint64_t timeout_us; /* 0: none */
    const char *deny;    /* the message; NULL: not denied */
    uint64_t cache_us;   /* UINT64_MAX: the rule says nothing; 0: never */
    enum config_rule_coherence cache_coherence;
    enum config_cache_scope cache_scope;
    const char *cache_share;                  /* NULL: each user has its own */
    uint32_t cache_max_entry_bytes;           /* 0: cache.max_entry */
    uint64_t cache_stale_while_revalidate_us; /* UINT64_MAX: that of cache; 0: off */
    uint64_t cache_stale_if_error_us;         /* likewise */
    struct config_words cache_tags;           /* "device:{device_id}"; of what a rule keeps */
    struct config_words cache_purge;          /* "device:{device_id}:*"; of writes */
    struct config_words cache_refresh;        /* the same, and asked for again behind them */
    bool log;
};

/* A network of client addresses. */
struct config_network {
    bool is_unix; /* whoever comes through a unix socket; the rest is 0 */
    bool is_v6;
    uint8_t bits;
    uint8_t addr[16]; /* the first 4 for IPv4; bits behind the mask are 0 */
};

struct config_function {
    const char *schema; /* NULL: a loadable function; in primary, any of that name */
    const char *name;
};

struct config_function_list {
    struct config_function *list;
    uint32_t count;
};

struct config_functions {                /* names in both lists: primary wins */
    struct config_function_list replica; /* the operator vouches for them */
    struct config_function_list primary; /* never on a replica */
};

struct config_limits {
    uint32_t max_clients;
    uint32_t max_packet_bytes;   /* a client's whole command, all its 16 MiB parts */
    uint32_t relay_high_bytes;   /* a peer's unsent bytes at which its source is no longer read */
    uint32_t relay_low_bytes;    /* ... and at which it is read again */
    uint32_t max_prepared;       /* statements of one session */
    uint64_t client_idle_us;     /* 0: no limit */
    uint64_t connect_timeout_us; /* to a server, login included */
};

struct config_http {
    struct config_addr address; /* kind NONE: off */
};

enum config_admin_role {
    CONFIG_ADMIN_READ,   /* sees everything but secrets, changes nothing */
    CONFIG_ADMIN_OPERATE /* drains, kills, weighs, reloads */
};

enum config_redis_tls {
    CONFIG_REDIS_TLS_OFF,
    CONFIG_REDIS_TLS_REQUIRED,
    CONFIG_REDIS_TLS_VERIFY
};

struct config_redis {
    struct config_addr address; /* kind NONE: off */
    const char *user;           /* NULL: the default one */
    struct config_secret password;
    uint32_t database;
    enum config_redis_tls tls;
    const char *tls_ca;
    const char *tls_server_name;
    const char *prefix;
    uint64_t connect_timeout_us;
    uint64_t timeout_us;
    bool cluster;
    uint64_t budget_us; /* of the cache's commands */
    uint32_t max_value_bytes;
    uint32_t compress_above_bytes;
    bool share;
    uint64_t forget_us;
    struct config_secret secret; /* p NULL: nothing is signed */
};

struct config_admin_user {
    const char *name;
    enum config_admin_role role;
    struct config_secret password; /* exactly one of the two is set, and not empty */
    const uint8_t *native_hash;    /* SHA1(SHA1(password)), 20 bytes of secret memory; or NULL */
};

struct config_admin {
    struct config_addr address; /* loopback or unix; kind NONE: off */
    enum config_tls_mode tls;   /* never CONFIG_TLS_VERIFY */
    uint32_t max_clients;
    uint64_t idle_us;
    struct config_admin_user *users;
    uint32_t user_count; /* 0: off */
};

struct config_observe {
    uint32_t digests; /* statement digests remembered, by all workers together; 0: none */
};

/* Values are those of util/log.h's levels, most severe first. */
enum config_log_level {
    CONFIG_LOG_ERROR,
    CONFIG_LOG_WARN,
    CONFIG_LOG_INFO,
    CONFIG_LOG_DEBUG,
    CONFIG_LOG_TRACE,
};
enum config_log_format {
    CONFIG_LOG_LOGFMT,
    CONFIG_LOG_JSON
};
enum config_log_sql {
    CONFIG_SQL_OFF,
    CONFIG_SQL_DIGEST,
    CONFIG_SQL_FULL
};

struct config_log {
    enum config_log_level level;
    enum config_log_format format;
    const char *file; /* NULL: standard error */
};

struct config_drain {
    uint64_t timeout_us; /* SIGTERM to the end of sessions that did not end by themselves */
};

struct config {
    struct snap snap;
    const char *path; /* the file it came from */
    uint32_t workers; /* 0: as many as there are cores, at most 64 */

    struct config_listener *listeners;
    uint32_t listener_count; /* >= 1 */
    struct config_server *servers;
    uint32_t server_count; /* >= 1; the index is the server's index in the topology */

    struct config_rule *rules; /* in the order in which they are tried */
    uint32_t rule_count;

    struct config_tls tls;
    struct config_users users;
    struct config_auth auth;
    struct config_monitor monitor;
    struct config_pool pool;
    struct config_balance balance;
    struct config_failover failover;
    struct config_cache cache;
    struct config_raw read_after_write;
    struct config_functions functions;
    struct config_limits limits;
    struct config_http http;
    struct config_admin admin;
    struct config_redis redis;
    struct config_observe observe;
    struct config_log log;
    struct config_drain drain;

    struct config_mem *mem; /* private: everything that the pointers above lead to */
};

struct config_error {
    uint32_t line; /* from 1; 0: the file as a whole */
    uint32_t column;
    bool is_warning;
    char text[320]; /* "what; what to do" */
};

struct config_errors {
    char path[256];
    uint32_t count;       /* entries of item, mistakes and warnings */
    uint32_t error_count; /* mistakes, also those that found no place */
    struct config_error item[CONFIG_ERRORS_MAX];
};

/* Read and check the file. Returns 0 with *ret_config holding one reference (warnings may
 * stand in errs), or -WR_E_CONFIG with at least one mistake in errs. */
WR_NODISCARD int config_load(const char *path, struct config **ret_config,
                             struct config_errors *errs);

/* The same from memory. path is used in messages and as the base of relative file names; no
 * permission of path itself is checked. Also the entry of tests and of the fuzzer. */
WR_NODISCARD int config_parse(const char *path, const uint8_t *text, size_t len,
                              struct config **ret_config, struct config_errors *errs);

/* Another mistake, found by who understands a value better than this room; position 0: the file as
 * a whole. It stands at its place among the others. */
void config_add_error(struct config_errors *errs, struct config_place at, const char *format, ...)
    WR_PRINTF(3, 4);

/* One line per entry, "file:line:column: what; what to do". */
void config_print_errors(const struct config_errors *errs, FILE *out);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is fine */

/* NULL when there is none of that name. Borrowed from the config. */
const struct config_user *config_find_user(const struct config *config, const char *name);
bool config_has_source(const struct config *config, enum config_user_source source);
/* GTIDs are to be learnt: by the mode, or by a rule. */
bool config_wants_gtid(const struct config *config);

/* A word of config_rule.client. False: it is none. */
WR_NODISCARD bool config_network_parse(const char *text, struct config_network *ret_network);

/* --- two configs compared: diff.c --- */
struct config_change {
    const char *what;     /* "servers[db2].weight"; borrowed for the call */
    const char *old_text; /* as a file would have it; "(set)" for secrets; NULL: was not there */
    const char *new_text; /* NULL: is not there any more */
    bool needs_restart;   /* a running weir cannot take it over */
};
typedef void (*config_change_fn)(void *arg, const struct config_change *change);
/* Calls fn for each difference, in the order of the settings' list. The number of them, or
 * -ENOMEM. */
WR_NODISCARD int config_diff(const struct config *before, const struct config *after,
                             config_change_fn fn, void *arg);

/* Every setting with the value in force, as YAML; secrets as "(set)". */
void config_print(const struct config *config, FILE *out);
/* The same one by one: "servers[0].weight", "100", and the default ("" when there is none). All
 * borrowed for the call. Returns 0, or -ENOMEM. */
typedef void (*config_each_fn)(void *arg, const char *path, const char *value,
                               const char *by_default);
WR_NODISCARD int config_each(const struct config *config, config_each_fn each, void *arg);
/* Whether there is an admin listener: it has an address, and users that may log in. */
bool config_has_admin(const struct config *config);

#endif
