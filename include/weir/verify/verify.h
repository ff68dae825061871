/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify - clients that write and read in a schema of their own and hold a cluster to its word.
 *
 * WHY       `weir verify` lets anybody see on their own servers what weir promises; the tests run
 *           the same clients while they disturb the servers.
 * OWNS      A schema weir_verify_<16 hex digits>, which it makes, and drops in the end. It touches
 *           nothing outside of it.
 * THREADS   verify_run() blocks the calling thread and starts conf->clients more.
 * REENTRY   Hooks are called from the calling thread.
 * UNITS     *_us: microseconds. rate: operations a second, of all clients together.
 * ERRORS    verify_run(): 0, or a negative err code when there is no verdict; what broke is in the
 *           report.
 * BOUNDS    VERIFY_CLIENTS_MAX clients, HISTORY_MAX operations; every wait has a limit.
 */
#ifndef WEIR_VERIFY_VERIFY_H
#define WEIR_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/util/attr.h"
#include "weir/verify/check.h"

#define VERIFY_CLIENTS_MAX 128
#define VERIFY_SCHEMA_MAX  32

/* Where to log in. All borrowed. */
struct verify_target {
    const char *host;   /* NULL with socket */
    const char *socket; /* NULL: host and port */
    const char *user;
    const char *password;
    unsigned port;
    unsigned timeout_s;
    bool is_tls;
};

/* What read_after_write.mode promises. */
enum verify_mode {
    VERIFY_OFF,    /* nothing about own writes */
    VERIFY_WINDOW, /* own writes */
    VERIFY_GTID,   /* own writes, and no way back in time */
};

enum verify_scope {
    VERIFY_SESSION,
    VERIFY_GLOBAL
};

/* What the tests do between the parts of a run. NULL: nothing. Negative: the run ends. */
struct verify_hooks {
    /* Schema and tables are there; no client runs. */
    int (*on_ready)(void *arg, const char *schema);
    /* Some ten times a second while clients run. Adds faults to the history. 1: that was all. */
    int (*on_tick)(void *arg, struct history *faults);
    /* Clients are done and the truth is read: its ranks may be set. */
    int (*on_truth)(void *arg, const char *schema, struct truth *truth);
    /* Before the schema goes. */
    void (*on_done)(void *arg, const struct history *history, const struct check_report *report);
    void *arg;
};

struct verify_conf {
    struct verify_target target;
    const struct verify_target *reads; /* single reads go there; NULL: to target as well */
    const char *other_user;            /* without a grant on the schema; NULL: K9 is not tried */
    const char *other_password;
    enum verify_mode mode;
    enum verify_scope scope;
    uint64_t seconds;
    uint64_t seed;
    uint64_t stale_us;     /* K11's bound: the largest lag and the time to see it; 0: none */
    uint64_t timeout_us;   /* K12 */
    uint64_t heal_us;      /* K12 */
    uint32_t rate;         /* 0: as fast as it goes */
    uint32_t min_reads;    /* K13 */
    uint32_t min_stale;    /* K13 */
    uint32_t enforce_also; /* CHECK_BIT()s beside those of the mode */
    uint16_t clients;
    uint16_t keys;
    uint8_t min_replica_pct; /* K13 */
    uint8_t insert_pct;      /* of the operations: inserts and nothing else, beside the mix */
    bool is_weir;            /* what listens there has to know EXPLAIN ROUTE */
    bool is_auto;            /* mode is VERIFY_GTID instead where weir says that it goes by GTIDs */
    bool may_go_back;        /* no monotonic reads were promised */
    bool asks_route;         /* now and then: where would this read go */
    bool is_marked;     /* on_ready gives the table srv another row on each server, 1: primary */
    bool is_abandoning; /* some clients go away in the middle of a statement */
    bool is_sharing;    /* who reads the same asks in the same words: a cache may answer */
    bool is_by_row; /* reads name registers alone, not who answers: a cache may tell rows apart */
    struct verify_hooks hooks;
};

struct verify_result {
    struct check_report report;
    struct check_conf checked;
    enum verify_mode mode; /* by which it was judged */
    uint64_t operations;
    uint64_t took_us;
    uint64_t read_p50_us;
    uint64_t read_p99_us;
    uint64_t asked;          /* EXPLAIN ROUTE */
    uint64_t asked_replicas; /* of these, to a replica */
    char schema[VERIFY_SCHEMA_MAX];
    char error[768]; /* why there is no verdict, or what was left behind */
};

void verify_conf_init(struct verify_conf *conf);
WR_NODISCARD int verify_run(const struct verify_conf *conf, struct verify_result *ret_result);
/* Returns 0 when all promises were kept, 1 when not. */
int verify_print(const struct verify_conf *conf, const struct verify_result *result, FILE *out);

/* Once per process, around all runs: the client library's own start and end. */
WR_NODISCARD int verify_library_init(void);
void verify_library_fini(void);

#endif
