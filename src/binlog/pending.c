/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/util/err.h"

#include "pending_priv.h"

void pending_init(struct pending *pending, struct version_board *board)
{
    memset(pending, 0, sizeof(*pending));
    pending->board = board;
}

void pending_fini(struct pending *pending, uint64_t now_us)
{
    pending_end_all(pending, now_us);
    for (size_t i = 0; i < PENDING_MAX; i++) {
        gtid_fini(&pending->ring[i].gtids);
    }
}

static struct pending_write *at(struct pending *pending, size_t index)
{
    return &pending->ring[(pending->head + index) % PENDING_MAX];
}

/* Their union is begun before the older's end: no moment in between. */
static void merge(struct pending *pending, struct pending_write *into,
                  struct version_writes *writes, uint64_t now_us)
{
    struct version_writes both = *writes;

    for (uint32_t i = 0; i < into->writes.count; i++) {
        version_writes_add(&both, into->writes.slots[i]);
    }
    memset(writes, 0, sizeof(*writes));
    version_write_begin(pending->board, &both);
    version_write_end(pending->board, &into->writes, now_us);
    into->writes = both;
}

void pending_push(struct pending *pending, struct version_writes *writes,
                  const struct gtid_set *gtid, uint64_t due_us)
{
    struct pending_write *write = NULL;

    if (pending->count == PENDING_MAX) {
        write = at(pending, PENDING_MAX - 1);
        /* the older of the two is ended now; that time is only a lower bound for replicas */
        merge(pending, write, writes, due_us);
    } else {
        write = at(pending, pending->count++);
        gtid_clear(&write->gtids);
        write->writes = *writes;
        memset(writes, 0, sizeof(*writes));
        version_write_begin(pending->board, &write->writes);
        write->due_us = 0;
    }
    write->due_us = due_us > write->due_us ? due_us : write->due_us;
    if (gtid != NULL && gtid_add(&write->gtids, gtid, &GTID_LIMITS_SERVER) < 0) {
        write->due_us = UINT64_MAX;
    }
}

static bool is_seen(const struct pending_write *write, const struct gtid_set *executed,
                    uint64_t now_us)
{
    if (now_us < write->due_us) {
        return false;
    }
    return gtid_is_empty(&write->gtids) || (executed != NULL && gtid_has(executed, &write->gtids));
}

static void pop(struct pending *pending, uint64_t now_us)
{
    version_write_end(pending->board, &at(pending, 0)->writes, now_us);
    pending->head = (pending->head + 1) % PENDING_MAX;
    pending->count--;
}

void pending_settle(struct pending *pending, const struct gtid_set *executed, uint64_t now_us)
{
    while (pending->count > 0 && is_seen(at(pending, 0), executed, now_us)) {
        pop(pending, now_us);
    }
}

void pending_end_all(struct pending *pending, uint64_t now_us)
{
    while (pending->count > 0) {
        pop(pending, now_us);
    }
}
