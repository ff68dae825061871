/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binlog_priv - the follower: what its thread and its posts share, and what is its thread's own.
 *
 * WHY       binlog.c, reader.c and apply.c are about one object.
 * OWNS      struct binlog: everything in it that is not said to be borrowed.
 * THREADS   What stands under `lock` by any, with it; the rest by the follower's thread.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    As binlog.h.
 * BOUNDS    As binlog.h.
 */
#ifndef WEIR_BINLOG_BINLOG_PRIV_H
#define WEIR_BINLOG_BINLOG_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/binlog/binlog.h"
#include "weir/cache/cache.h"
#include "weir/monitor/dblib.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "event_priv.h"
#include "pending_priv.h"
#include "rows_priv.h"
#include "statement_priv.h"

#define BINLOG_FILE_MAX 256
#define BINLOG_WHO_MAX  80

/* A transaction of MariaDB, or one without a GTID, is taken to be seen so long after its event came.
 * Between the log's write and the engine's commit a server syncs a file: far below that, unless it
 * waits for replicas there (CACHE_STREAM_AFTER_SYNC). */
#define BINLOG_SEEN_US UINT64_C(200000)

struct log_at {
    char file[BINLOG_FILE_MAX];
    uint64_t position;
};

/* What the primary says of itself and of its log. */
struct log_facts {
    char who[BINLOG_WHO_MAX]; /* uuid or server id: another is another server */
    bool is_logging;
    bool is_filtered;
    bool has_checksum;
    bool has_gtids;
    bool has_places;  /* a place in its log says what it has */
    uint64_t follows; /* a hash: how far it was when it followed another */
    uint64_t late_us; /* how long it may wait between the log and the engine; 0: not */
    struct log_at end;
    struct gtid_set executed;
};

struct binlog {
    /* owning */
    struct pending pending;            /* lock */
    const struct topo *topo;           /* lock; counted */
    const struct positions *positions; /* lock; counted */
    const struct catalogue *catalogue; /* lock; counted; NULL: only names count */
    struct db *log;                    /* lock: to interrupt it; the thread's own to use */
    struct db *ask;
    struct log_facts facts;
    struct buf unpacked;
    struct buf text;
    /* borrowed */
    struct metric_shard *metrics;
    /* values */
    struct binlog_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t ended;
    pthread_t thread;
    bool is_stopping; /* lock */
    bool is_running;  /* lock */
    bool is_started;
    struct log_ctx log_ctx;
    char server_name
        [TOPO_NAME_MAX]; /* what log_ctx points to: the topology goes before the next line */
    enum cache_stream_state said; /* last line in the log */

    /* the stream */
    bool is_begun;
    char who[BINLOG_WHO_MAX];
    uint64_t epoch;
    int16_t server;
    enum topo_flavour flavour;
    uint32_t version;
    struct log_at at;
    struct log_at safe; /* between two transactions */
    bool is_safe_known; /* a file above 4 GiB has places that cannot be asked for */
    uint32_t format_s;  /* when the file of `safe` was begun */
    bool has_format;    /* this connection's first has come */
    bool is_born_known; /* format_s is of the file of `at` */
    bool has_checksum;
    unsigned barren; /* connections in a row that brought no event */

    /* how far all is known to be taken in */
    struct log_at mark;
    uint64_t mark_us; /* 0: no mark is waited for */
    uint64_t asked_us;

    /* the transaction that is being read */
    struct version_writes writes;
    struct rows rows;
    struct event_gtid gtid;
    bool has_gtid;
    bool is_open; /* until its COMMIT */
    bool is_ddl;
};

/* --- apply.c --- */

/* 0; -WR_E_BAD_PACKET: the log is not understood; -WR_E_NOT_FOUND: it is not the file it was. */
WR_NODISCARD int binlog_apply(struct binlog *binlog, struct span bytes);
/* Everything has been written, and is seen when writes until due_us are. */
void binlog_everything(struct binlog *binlog, uint64_t due_us);
void binlog_settle(struct binlog *binlog);
/* Tells the stream up to where all has been taken in. */
void binlog_place(struct binlog *binlog);
/* At mark, or behind it. */
bool binlog_is_at(const struct binlog *binlog, const struct log_at *mark);

/* --- reader.c --- */

/* Connects to the primary of topo and reads until that ends; says why. */
enum cache_stream_state binlog_read(struct binlog *binlog, const struct topo *topo,
                                    char why[DB_ERROR_MAX]);
/* What comes next may be another log. */
void binlog_end(struct binlog *binlog);

/* --- binlog.c --- */

bool binlog_is_stopping(struct binlog *binlog);
void binlog_set_state(struct binlog *binlog, enum cache_stream_state state, const char *why);

#endif
