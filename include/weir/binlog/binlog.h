/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binlog - follows the primary's binary log, and bumps the versions of what others have written.
 *
 * WHY       A kept answer must not outlive a write that did not pass through this weir.
 * OWNS      Its thread, two connections to the primary, what is logged and not seen yet.
 * THREADS   create, start, stop, destroy: one thread. The posts: any.
 * REENTRY   on_ddl comes in its thread, and may take locks of its receiver's.
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    -ENOMEM, -errno of a thread; what goes wrong later is a state of cache_stream.
 * BOUNDS    Events of DB_PACKET_MAX; what they compress, of BINLOG_UNPACKED_MAX: larger ones have
 *           written everything. PENDING_MAX transactions that cannot be seen yet.
 */
#ifndef WEIR_BINLOG_BINLOG_H
#define WEIR_BINLOG_BINLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define BINLOG_UNPACKED_MAX (64UL << 20)

struct binlog;
struct cache;
struct catalogue;
struct config;
struct logger;
struct metric_registry;
struct positions;
struct topo;

/* Pointers are borrowed for its life. */
struct binlog_conf {
    const struct config *config; /* monitor.user, its password and timeout, servers, TLS */
    struct cache *cache;
    struct metric_registry *registry;
    struct logger *logger;     /* NULL: nothing is logged */
    void (*on_ddl)(void *arg); /* somebody has changed a definition: read the catalogue again */
    void *arg;
};

WR_NODISCARD int binlog_create(const struct binlog_conf *conf, struct binlog **ret_binlog);
/* monitor_library_init() has been called. */
WR_NODISCARD int binlog_start(struct binlog *binlog);
/* False: its thread still waits for a server; then nothing that it uses may be freed. */
WR_NODISCARD bool binlog_stop_within(struct binlog *binlog, uint64_t most_us);
/* Has been stopped. NULL is fine. */
void binlog_destroy(struct binlog *binlog);

/* References are taken; the caller keeps his. */
void binlog_on_topo(struct binlog *binlog, const struct topo *topo);
void binlog_on_positions(struct binlog *binlog, const struct positions *positions);
void binlog_on_catalogue(struct binlog *binlog, const struct catalogue *catalogue);

#endif
