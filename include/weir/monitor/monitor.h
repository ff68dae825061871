/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor - probes every server, judges it, and publishes what the workers decide by.
 *
 * WHY       Workers must never wait for a sick server to say that it is sick.
 * OWNS      One thread per server and a verdict thread; their connections (user: monitor.user).
 * THREADS   create, start, stop, destroy: the control thread. report_failure, suspect, ack,
 *           poke_catalogue, drain, set_weight: any thread. Callbacks come from the verdict thread or a
 *           probe thread, one at a time (on_positions: beside the others), never from inside a call
 *           into this room but monitor_start(). resolve comes from create and from a thread of its own.
 * REENTRY   A callback may not call monitor_stop() or monitor_destroy().
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    0 or a negative err code.
 * BOUNDS    TOPO_SERVERS_MAX servers, addresses of all names counted.
 */
#ifndef WEIR_MONITOR_MONITOR_H
#define WEIR_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/util/attr.h"

struct config;
struct config_addr;
struct gtid_set;
struct monitor;

/* Things worth a line in the log; the receiver logs, this room does not. X(name, text) */
#define MONITOR_EVENTS(X)                   \
    X(STATE, "state")                       \
    X(ROLE, "role")                         \
    X(PRIMARY, "primary")                   \
    X(SECOND_WRITER, "second_writer")       \
    X(PROBE_ERROR, "probe_error")           \
    X(CATALOGUE, "catalogue")               \
    X(CATALOGUE_ERROR, "catalogue_error")   \
    X(CATALOGUE_HIDDEN, "catalogue_hidden") \
    X(ACCOUNTS, "accounts")                 \
    X(ACCOUNTS_ERROR, "accounts_error")     \
    X(RESOLVE_ERROR, "resolve_error")       \
    X(HEARTBEAT, "heartbeat")               \
    X(AURORA, "aurora")                     \
    X(ADDRESS, "address")                   \
    X(NOT_ACKED, "not_acknowledged")        \
    X(LOST, "transactions_lost")

enum monitor_event {
#define X(name, text) MONITOR_EV_##name,
    MONITOR_EVENTS(X)
#undef X
};

const char *monitor_event_text(enum monitor_event event);

/* Each snapshot handed over is a counted reference that the receiver owns. */
struct monitor_calls {
    void (*on_topo)(void *arg, const struct topo *topo);
    void (*on_catalogue)(void *arg, const struct catalogue *catalogue);
    void (*on_accounts)(void *arg, const struct accounts *accounts);
    void (*on_positions)(void *arg, const struct positions *positions);
    /* is_bad: an operator should look. server: its name, or "". */
    void (*on_event)(void *arg, enum monitor_event event, bool is_bad, const char *server,
                     const char *text);
    /* In place of the system's names, for tests; may block. Returns the number of addresses (of one
     * family, at most cap), or a negative err code and the reason in error. */
    int (*resolve)(void *arg, const struct config_addr *address, struct sockaddr_storage *ret_addrs,
                   socklen_t *ret_lens, size_t cap, char *error, size_t error_bytes);
    void *arg;
};

/* Once per process, before any thread and after all: the client library's own start and end. */
WR_NODISCARD int monitor_library_init(void);
void monitor_library_fini(void);

/* A reference to config is taken. calls is copied. NULL entries are not called. */
WR_NODISCARD int monitor_create(struct config *config, const struct monitor_calls *calls,
                                struct monitor **ret_monitor);
/* Before it returns, a first topology (all servers new) is published. */
WR_NODISCARD int monitor_start(struct monitor *monitor);
/* Ends and joins its threads; waits for a hanging call at most as long as the client library's
 * own time-outs. No callback comes after it has returned. */
void monitor_stop(struct monitor *monitor);
/* The same, but who still waits for a server or for the name service then is left behind: false, and
 * nothing that the monitor uses may be freed. */
WR_NODISCARD bool monitor_stop_within(struct monitor *monitor, uint64_t most_us);
void monitor_destroy(struct monitor *monitor);

/* Intervals, thresholds and weights of another config with the same servers; the rest of it is not
 * looked at, nor is config kept. */
void monitor_retune(struct monitor *monitor, const struct config *config);

/* A worker has seen this server fail: its weight is halved at once, and a probe is due now.
 * err: negative code, only for the record. */
void monitor_report_failure(struct monitor *monitor, uint16_t server, int err);
/* A server's role may have changed: a probe is due now. Counts for nothing else. */
void monitor_suspect(struct monitor *monitor, uint16_t server);

/*
 * From now on a change of primary waits for count workers: each has to acknowledge the epoch of "no
 * primary" before the next primary is published. epoch: what they begin with.
 */
#define MONITOR_WORKERS_MAX 64
void monitor_acks_start(struct monitor *monitor, uint32_t count, uint64_t epoch);
/* This worker has taken in a topology of that epoch, and has let go of connections of older ones. */
void monitor_ack(struct monitor *monitor, uint32_t worker, uint64_t epoch);
/* GTIDs that the primary that has left answered for lately: what its successor lacks of them is
 * lost. Before that monitor_ack(). */
void monitor_acked(struct monitor *monitor, const struct gtid_set *acked);

/* A definition has changed: read the catalogue now. */
void monitor_poke_catalogue(struct monitor *monitor);
/* Take a server out (or back in) by hand. */
void monitor_drain(struct monitor *monitor, uint16_t server, bool is_drained);
/* Another weight than the configured one; MONITOR_WEIGHT_CONFIGURED goes back to it. */
#define MONITOR_WEIGHT_CONFIGURED UINT32_MAX
void monitor_set_weight(struct monitor *monitor, uint16_t server, uint32_t weight);

/* Waits until every server has been probed once (well or not), at most timeout_us: so that a start
 * has something to decide by. */
bool monitor_wait_first(struct monitor *monitor, uint64_t timeout_us);

/*
 * `weir check --servers`: can every server be reached, are the grants enough, how many connections
 * may weir open at worst. Prints one line per finding. Returns the number of faults that would
 * keep weir from its work (0: all well), or a negative err code.
 */
int monitor_check(const struct config *config, FILE *out);

#endif
