/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor_priv - the monitor's threads and what lies between them.
 *
 * WHY       Probes block; the verdict must not. Between them is one lock and plain data.
 * OWNS      struct monitor owns its threads, servers and the snapshots not yet handed on.
 * THREADS   Fields say whose they are. The lock is held for copying only, never around a query, a
 *           look-up of a name or a callback.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    none
 * BOUNDS    TOPO_SERVERS_MAX servers.
 */
#ifndef WEIR_MONITOR_MONITOR_PRIV_H
#define WEIR_MONITOR_MONITOR_PRIV_H

#include <pthread.h>

#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/protocol/gtid.h"

#include "failover_priv.h"
#include "lag_priv.h"
#include "position_priv.h"
#include "probe_priv.h"
#include "roles_priv.h"
#include "sample_priv.h"
#include "verdict_priv.h"

#define MON_HOST_MAX   256
#define MON_EVENTS_MAX 16 /* between two rounds of the verdict thread; more are dropped */

struct mon_thread {
    pthread_t thread;
    bool is_started;
};

struct mon_server {
    struct monitor *monitor;            /* borrowed: the owner */
    const struct config_server *config; /* borrowed from the monitor's config, or spare_config */
    uint16_t index;
    uint16_t config_index;
    uint8_t address_number; /* which address of the name, from 0 */
    bool has_siblings;      /* its name has more than one address */
    char name[TOPO_NAME_MAX];
    struct mon_thread probing;
    struct mon_thread polling; /* of its position */
    bool is_spare; /* a place for a reader that joins while weir runs; config is spare_config */

    /* of a spare: written once by the verdict thread, then is_found is set, all under the lock */
    bool is_found;
    struct config_server spare_config;
    char spare_host[MON_HOST_MAX];
    char member[SAMPLE_FILE_MAX]; /* its name in the cluster */
    struct position_poll poll;    /* position.c */

    /* under the lock */
    struct sockaddr_storage addr; /* the thread of names writes, others read */
    socklen_t addr_len;
    uint32_t addr_gen;
    bool has_moved;       /* not yet taken by the verdict thread */
    struct sample sample; /* the newest */
    bool has_sample;      /* not yet taken by the verdict thread */
    uint32_t bad_count;   /* failed probes not yet taken */
    uint32_t report_count;
    int report_err; /* the newest, for the record */
    bool is_probed; /* at least once, well or not */
    bool is_drain_asked;
    bool has_set_weight; /* an operator's, instead of the configured one */
    bool is_probe_due;
    uint32_t set_weight;
    uint32_t weight; /* configured */

    /* the verdict thread's own */
    struct verdict verdict;
    struct sample incoming; /* taken from under the lock */
    struct sample good;     /* the newest good one */
    bool has_good;
    char gtid_seen[SAMPLE_GTID_MAX]; /* what it had when it could be written to */
    bool is_unseen;                  /* not probed with success at its present address */
    bool is_answering;               /* its last bad sample was an error of its own */
    struct lag_verdict lag;
    enum topo_role role;
    enum topo_why role_why;
    char last_error[DB_ERROR_MAX];
    char heartbeat_said[DB_ERROR_MAX];
    uint32_t weight_now; /* as published */
};

/* What a reload may change. */
struct mon_tuning {
    uint64_t interval_us;
    uint64_t timeout_us;
    uint64_t catalogue_interval_us;
    uint64_t position_interval_us; /* 0: nobody asks for positions */
    struct verdict_conf verdict;
};

struct monitor {
    struct config *config; /* counted; of the start: servers, account, TLS */
    struct monitor_calls calls;
    pthread_mutex_t lock;
    pthread_cond_t verdict_wake;
    pthread_cond_t probe_wake; /* probes and the loader */
    pthread_cond_t names_wake;
    pthread_cond_t ended; /* one of its threads has */
    struct mon_thread verdict;
    struct mon_thread loader;
    struct mon_thread names;
    uint32_t running;           /* threads that have not ended; under the lock */
    struct mon_server *servers; /* owned */
    uint16_t server_count;
    struct position_board board;

    /* under the lock */
    bool is_stopping;
    bool is_load_due;
    bool is_names_due; /* a server could not be reached: has its name moved? */
    uint32_t ack_count;
    uint64_t acks[MONITOR_WORKERS_MAX]; /* the newest epoch that each worker has taken in */
    struct gtid_set acked;              /* what workers know of the primary that has left */
    bool is_work;                       /* for the verdict thread */
    bool is_retuned;                    /* ... with other weights: publish them */
    struct mon_tuning tuning;
    struct probe_mark mark;                /* of the primary, for the probes of replicas */
    int16_t load_primary;                  /* who the loader should ask, or -1 */
    const struct catalogue *new_catalogue; /* counted, to be handed on by the verdict thread */
    const struct accounts *new_accounts;
    struct mon_event {
        enum monitor_event event;
        bool is_bad;
        char server[TOPO_NAME_MAX];
        char text[DB_ERROR_MAX];
    } events[MON_EVENTS_MAX];
    uint8_t event_count;

    /* the verdict thread's own */
    struct mon_tuning now; /* tuning of this round */
    struct lag_trail trail;
    struct failover failover;
    int16_t next_primary;  /* chosen, to be published after "none" has been acknowledged */
    uint16_t late_workers; /* as published */
    uint64_t last_seen_us; /* the last good sample of the primary that was left */
    uint64_t lost_count;
    char old_gtid[SAMPLE_GTID_MAX]; /* what that one had, as far as it was seen */
    uint64_t generation;
    bool has_second_writer;
    bool is_still_said; /* that no heartbeat moves */
    char member_said[SAMPLE_MEMBERS_MAX][SAMPLE_FILE_MAX];
    uint8_t member_said_count;
};

/* Thread bodies; arg: struct mon_server for the first, struct monitor for the others. */
void *monitor_probe_thread(void *arg);
void *monitor_verdict_thread(void *arg);
/* The last thing that each of its threads does. */
void monitor_thread_ends(struct monitor *monitor);
void *monitor_loader_thread(void *arg);
void *monitor_names_thread(void *arg);
void *monitor_position_thread(void *arg); /* of struct mon_server */

/* One round of judging: takes what is new, decides, publishes. For the verdict thread and, before
 * any thread runs, for monitor_start(). */
void monitor_judge(struct monitor *monitor, bool is_publish_forced);

/* A good sample has been taken: what an operator should know of the witnesses of lag. */
void monitor_witness(struct monitor *monitor, struct mon_server *server);

/* An event from a thread that may not call out; handed on by the verdict thread. */
void monitor_event_post(struct monitor *monitor, enum monitor_event event, bool is_bad,
                        const char *server, const char *text);
/* The lock is held. Waits until woken or the time has come; false: the monitor stops. */
bool monitor_wait(struct monitor *monitor, pthread_cond_t *cond, uint64_t until_us);
void monitor_tuning_fill(const struct config *config, struct mon_tuning *ret_tuning);
void monitor_target(const struct mon_server *server, const struct sockaddr_storage *addr,
                    struct db_target *ret_target);

/* monitor_resolve(), or the caller's own. */
int monitor_names_ask(struct monitor *monitor, uint16_t config_index,
                      struct sockaddr_storage addrs[TOPO_SERVERS_MAX],
                      socklen_t lens[TOPO_SERVERS_MAX], char error[DB_ERROR_MAX]);
/* A server's name means another address now: new connections go there, what is known of it is
 * not any more. For threads that do not hold the lock. */
void monitor_names_take(struct monitor *monitor, uint16_t config_index,
                        const struct sockaddr_storage *addrs, const socklen_t *lens, int count);

/* Addresses of a configured server, at most cap: those of one family only, IPv4 first, because the
 * two families of one name are one server. Blocks. Returns their number, or a negative err code and
 * the reason in error. */
int monitor_resolve(const struct config_addr *address, struct sockaddr_storage *ret_addrs,
                    socklen_t *ret_lens, size_t cap, char error[DB_ERROR_MAX]);

#endif
