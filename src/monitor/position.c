/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked, and what it means:
 *
 *   MySQL     gtid_executed: what is in it can be seen by reads that begin now
 *   MariaDB   gtid_slave_pos of a replica: likewise. Of the primary also gtid_binlog_pos, which is
 *             what it has written itself, and may be ahead of what its reads see by a moment; its
 *             own reads are never decided by it.
 *
 * A picture is handed on when a set has changed; one that has not only moves the clock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weir/util/attr.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "monitor_priv.h"
#include "parse_priv.h"

#define POLL_INTERVAL_US UINT64_C(100000)
#define POLL_RETRY_US    UINT64_C(500000)
#define SEMI_INTERVAL_US UINT64_C(2000000)

static const char SQL_MYSQL[] = "SELECT @@global.gtid_mode='ON' AND @@global.log_bin AS has_gtids,"
                                " @@global.gtid_executed AS executed, '' AS written,"
                                " @@server_id AS server_id, @@server_uuid AS uuid";
static const char SQL_MARIADB[] = "SELECT @@global.log_bin AS has_gtids,"
                                  " @@global.gtid_slave_pos AS executed,"
                                  " @@global.gtid_binlog_pos AS written,"
                                  " @@server_id AS server_id, '' AS uuid";

/* Whether a primary waits for replicas before it shows what they may apply already. The variables come
 * with a plugin, whose name has changed in 8.0.26. */
static const char *const SQL_SEMI[] = {
    "SELECT @@global.rpl_semi_sync_source_enabled"
    " AND @@global.rpl_semi_sync_source_wait_point='AFTER_SYNC'",
    "SELECT @@global.rpl_semi_sync_master_enabled"
    " AND @@global.rpl_semi_sync_master_wait_point='AFTER_SYNC'",
};

/* A poll thread's own. */
struct poller {
    struct mon_server *server;
    struct db *db; /* owned, NULL: not connected */
    bool is_mariadb;
    char uuid[SAMPLE_ID_MAX];
    struct position last; /* its set: borrowed from the poll's */
    uint64_t semi_us;     /* when is_shown_late was asked for */
    bool is_shown_late;
};

uint64_t position_interval_us(const struct config *config)
{
    /* what a replica says is only kept when it is known how far it was */
    return config_wants_gtid(config) || config->cache.memory_bytes != 0 ? POLL_INTERVAL_US : 0;
}

int position_board_init(struct position_board *board)
{
    (void)pthread_mutex_init(&board->lock, NULL);
    board->clock = position_clock_create();
    return board->clock == NULL ? -ENOMEM : 0;
}

void position_board_fini(struct position_board *board)
{
    position_clock_unref(board->clock);
    (void)pthread_mutex_destroy(&board->lock);
}

/* A picture of all servers. The board's lock is held, so that pictures come in order. */
static void hand_on(struct monitor *monitor)
{
    struct position_board *board = &monitor->board;
    struct positions *positions =
        positions_create(monitor->server_count, ++board->generation, board->clock);

    if (positions == NULL || monitor->calls.on_positions == NULL) {
        positions_unref(positions);
        return; /* the next change tries again; who needs it has the primary until then */
    }
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        positions->servers[i] = monitor->servers[i].poll.now;
        if (positions->servers[i].executed != NULL) {
            (void)position_set_ref(positions->servers[i].executed);
        }
        if (positions->servers[i].replicated != NULL) {
            (void)position_set_ref(positions->servers[i].replicated);
        }
    }
    positions_compare(positions);
    monitor->calls.on_positions(monitor->calls.arg, positions);
}

/* now's set becomes the poll's. */
static void change(struct poller *poller, const struct position *now)
{
    struct mon_server *server = poller->server;
    struct position_board *board = &server->monitor->board;
    const struct position_set *old[2];

    (void)pthread_mutex_lock(&board->lock);
    old[0] = server->poll.now.executed;
    old[1] = server->poll.now.replicated;
    server->poll.now = *now;
    hand_on(server->monitor);
    (void)pthread_mutex_unlock(&board->lock);
    poller->last = *now;
    position_set_unref(old[0]);
    position_set_unref(old[1]);
}

static void unknown(struct poller *poller)
{
    struct position now = poller->last;

    db_close(poller->db);
    poller->db = NULL;
    if (now.executed != NULL || now.has_gtids) {
        now.executed = NULL;
        now.replicated = NULL;
        now.has_gtids = false;
        now.incarnation++; /* nobody knows what has happened when it is back */
        now.version++;
        change(poller, &now);
    }
}

static bool poller_connect(struct poller *poller)
{
    struct mon_server *server = poller->server;
    struct sockaddr_storage addr;
    struct db_target target;
    struct db_rows *rows = NULL;
    char error[DB_ERROR_MAX];
    unsigned number = 0;
    socklen_t len = 0;

    (void)pthread_mutex_lock(&server->monitor->lock);
    addr = server->addr;
    len = server->addr_len;
    (void)pthread_mutex_unlock(&server->monitor->lock);
    if (len == 0) {
        return false;
    }
    monitor_target(server, &addr, &target);
    if (db_open(&target, &poller->db, error, &number) < 0) {
        poller->db = NULL;
        return false; /* the probe says so */
    }
    if (db_query(poller->db, "SELECT @@version", &rows) < 0) {
        return false;
    }
    if (db_rows_next(rows)) {
        struct span version = db_rows_get(rows, 0);

        poller->is_mariadb = version.len > 0 && (memmem(version.p, version.len, "MariaDB", 7) ||
                                                 sample_version_parse(version) >= 100000);
    }
    db_rows_free(rows);
    return true;
}

static bool is_primary(struct monitor *monitor, uint16_t index)
{
    bool is = false;

    (void)pthread_mutex_lock(&monitor->lock);
    is = monitor->load_primary == (int16_t)index;
    (void)pthread_mutex_unlock(&monitor->lock);
    return is;
}

/* The set of one row. NULL: not understood, too large, or no memory. */
static struct position_set *set_read(const struct poller *poller, const struct db_rows *rows,
                                     bool with_written)
{
    struct position_set *read = position_set_create();
    struct span executed = db_rows_named(rows, "executed", NULL);
    struct span written = db_rows_named(rows, "written", NULL);
    enum gtid_kind kind = poller->is_mariadb ? GTID_MARIADB : GTID_MYSQL;
    int r =
        read == NULL || executed.p == NULL || executed.len > POSITION_TEXT_MAX ? -WR_E_LIMIT : 0;

    if (r >= 0) {
        r = gtid_parse(executed, kind, &GTID_LIMITS_SERVER, &read->set);
    }
    if (r >= 0 && with_written && written.len > 0) {
        r = gtid_add_text(&read->set, written, &GTID_LIMITS_SERVER);
    }
    if (r < 0) {
        position_set_unref(read);
        return NULL;
    }
    return read;
}

static bool set_equal(const struct gtid_set *a, const struct gtid_set *b)
{
    return a->count == b->count && gtid_has(a, b) && gtid_has(b, a);
}

/* Read as the source of a GTID, which it is. */
static void take_uuid(struct span uuid, struct position *position)
{
    char text[SAMPLE_ID_MAX + 2];
    struct gtid_set set;

    position->has_uuid = false;
    (void)snprintf(text, sizeof(text), "%.*s:1", (int)uuid.len, (const char *)uuid.p);
    gtid_init(&set);
    if (uuid.len < SAMPLE_ID_MAX &&
        gtid_parse(span_of(text), GTID_MYSQL, &GTID_LIMITS_SERVER, &set) == 0 && set.count == 1) {
        memcpy(position->uuid, set.sources[0].uuid, sizeof(position->uuid));
        position->has_uuid = true;
    }
    gtid_fini(&set);
}

static void take_row(struct poller *poller, const struct db_rows *rows, uint64_t began_us,
                     bool with_written)
{
    struct mon_server *server = poller->server;
    struct position now = poller->last;
    struct span uuid = db_rows_named(rows, "uuid", NULL);
    struct position_set *read = set_read(poller, rows, with_written);
    bool is_same_server = false;
    bool wants_replicated = with_written && poller->is_mariadb;

    now.executed = read;
    now.replicated = NULL;
    now.is_shown_late = with_written && poller->is_shown_late;
    now.has_gtids = read != NULL && parse_flag(db_rows_named(rows, "has_gtids", NULL));
    take_uuid(uuid, &now);
    now.server_id = (uint32_t)parse_u64_or(db_rows_named(rows, "server_id", NULL), 0);
    now.began_us = began_us;
    is_same_server = now.server_id == poller->last.server_id && span_eq_text(uuid, poller->uuid);
    if (poller->last.executed != NULL && read != NULL && is_same_server &&
        now.has_gtids == poller->last.has_gtids &&
        now.is_shown_late == poller->last.is_shown_late &&
        /* it has just become the primary: what it got as a replica is told, though it wrote nothing yet */
        wants_replicated == (poller->last.replicated != NULL) &&
        set_equal(&read->set, &poller->last.executed->set)) {
        position_set_unref(read);
        position_clock_set(server->monitor->board.clock, server->index, now.version, began_us);
        return;
    }
    if (poller->last.executed != NULL &&
        (!is_same_server || read == NULL || !gtid_has(&read->set, &poller->last.executed->set))) {
        now.incarnation++;
    }
    if (wants_replicated) {
        now.replicated = set_read(poller, rows, false);
    }
    (void)span_copy(uuid, poller->uuid, sizeof(poller->uuid));
    now.version++;
    change(poller, &now);
}

/* A variable that is not there is no failure. */
static void semi_ask(struct poller *poller, uint64_t now_us)
{
    struct db_rows *rows = NULL;

    if (now_us - poller->semi_us < SEMI_INTERVAL_US) {
        return;
    }
    poller->semi_us = now_us;
    poller->is_shown_late = false;
    for (size_t i = 0; i < WR_ARRAY_LEN(SQL_SEMI) && !poller->is_shown_late; i++) {
        if (db_query(poller->db, SQL_SEMI[i], &rows) == 0) {
            poller->is_shown_late = db_rows_next(rows) && span_eq_text(db_rows_get(rows, 0), "1");
            db_rows_free(rows);
        }
    }
}

static bool poll_once(struct poller *poller)
{
    struct db_rows *rows = NULL;
    bool with_written = false;
    uint64_t began_us = 0;

    if (poller->db == NULL && !poller_connect(poller)) {
        return false;
    }
    with_written = is_primary(poller->server->monitor, poller->server->index);
    if (with_written && !poller->is_mariadb) {
        semi_ask(poller, clock_now_us());
    }
    began_us = clock_now_us();
    if (db_query(poller->db, poller->is_mariadb ? SQL_MARIADB : SQL_MYSQL, &rows) < 0) {
        return false;
    }
    if (db_rows_next(rows)) {
        take_row(poller, rows, began_us, with_written);
    }
    db_rows_free(rows);
    return true;
}

void *monitor_position_thread(void *arg)
{
    struct mon_server *server = arg;
    struct monitor *monitor = server->monitor;
    struct poller poller = {.server = server, .db = NULL};
    uint64_t due_us = 0;

    db_thread_init();
    (void)pthread_mutex_lock(&monitor->lock);
    while (!monitor->is_stopping) {
        uint64_t now_us = clock_now_us();
        uint64_t interval_us = monitor->tuning.position_interval_us;

        if (interval_us != 0 && now_us >= due_us) {
            (void)pthread_mutex_unlock(&monitor->lock);
            if (!poll_once(&poller)) {
                unknown(&poller);
                interval_us = POLL_RETRY_US;
            }
            (void)pthread_mutex_lock(&monitor->lock);
            due_us = now_us + interval_us;
            continue;
        }
        if (interval_us == 0 && poller.db != NULL) {
            (void)pthread_mutex_unlock(&monitor->lock);
            unknown(&poller);
            (void)pthread_mutex_lock(&monitor->lock);
            continue;
        }
        (void)monitor_wait(monitor, &monitor->probe_wake,
                           interval_us == 0 ? now_us + UINT64_C(3600000000) : due_us);
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    db_close(poller.db);
    db_thread_fini();
    monitor_thread_ends(monitor);
    return NULL;
}
