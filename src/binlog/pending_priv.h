/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending - writes that stand in the primary's log and that its readers may not see yet.
 *
 * WHY       A server sends an event before the transaction can be seen. Were its tables' versions done
 *           with at once, a read in between would be kept under the new version with the old rows.
 * OWNS      A ring of PENDING_MAX, their GTIDs; what is in it is under way at the board.
 * THREADS   none of its own: its user's lock is held.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    -ENOMEM
 * BOUNDS    PENDING_MAX; when it is full the newest two become one.
 */
#ifndef WEIR_BINLOG_PENDING_PRIV_H
#define WEIR_BINLOG_PENDING_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "weir/cache/version.h"
#include "weir/protocol/gtid.h"
#include "weir/util/attr.h"

#define PENDING_MAX 1024U

struct pending_write {
    struct version_writes writes;
    struct gtid_set gtids; /* seen when the primary has executed these; empty: at due_us */
    uint64_t due_us;       /* not before */
};

struct pending {
    struct version_board *board; /* borrowed */
    size_t head;
    size_t count;
    struct pending_write ring[PENDING_MAX];
};

void pending_init(struct pending *pending, struct version_board *board);
/* Ends all that is in it. */
void pending_fini(struct pending *pending, uint64_t now_us);

/* Begins writes (which are left empty). gtid: NULL: only the time counts. On failure nothing can tell
 * when it will be seen: everything is under way until pending_end_all(). */
void pending_push(struct pending *pending, struct version_writes *writes,
                  const struct gtid_set *gtid, uint64_t due_us);
/* Ends what can be seen, in the order of the log. executed: the primary's; NULL: not known. */
void pending_settle(struct pending *pending, const struct gtid_set *executed, uint64_t now_us);
void pending_end_all(struct pending *pending, uint64_t now_us);

#endif
