/* SPDX-License-Identifier: Apache-2.0 */
/*
 * positions - immutable picture of what each server has executed, and of who has all of whose.
 *
 * WHY       A read may go to a replica that has what its session must see: that is looked up here,
 *           before every read, without asking anybody.
 * OWNS      struct positions owns counted references to the sets, and to the clock.
 * THREADS   Immutable after publication. The clock: written by the monitor, read by all, atomics.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    NULL: no memory.
 * BOUNDS    TOPO_SERVERS_MAX servers; GTID_LIMITS_SERVER for each.
 */
#ifndef WEIR_BACKEND_POSITIONS_H
#define WEIR_BACKEND_POSITIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/protocol/gtid.h"
#include "weir/util/snap.h"

/* What one server has executed, as it said; shared by the pictures in which it has not changed. */
struct position_set {
    struct snap snap;
    struct gtid_set set;
};

/* Makes it empty; NULL: no memory. */
struct position_set *position_set_create(void);
const struct position_set *position_set_ref(const struct position_set *set);
void position_set_unref(const struct position_set *set); /* NULL is fine */

/*
 * Until when what a picture says of a server was seen to be still so: a server that stands still
 * needs no new picture. One word for each: the version of its set, and the time.
 */
struct position_clock {
    struct snap snap;
    _Atomic uint64_t seen[TOPO_SERVERS_MAX];
};

struct position_clock *position_clock_create(void);
void position_clock_unref(struct position_clock *clock);
/* version: of the set that was seen; at_us: before it was asked for. */
void position_clock_set(struct position_clock *clock, uint16_t server, uint64_t version,
                        uint64_t at_us);

struct position {
    const struct position_set *executed; /* NULL: not known */
    /* MariaDB's primary: what of it came by replication; NULL: no such */
    const struct position_set *replicated;
    /* MySQL's primary: replicas may show a transaction long before it does (semi-synchronous
     * replication that waits between the log and the engine) */
    bool is_shown_late;
    bool has_gtids; /* it gives its transactions GTIDs, and logs them */
    bool has_uuid;
    uint8_t uuid[16];      /* MySQL's: its own writes are numbered under it */
    uint32_t server_id;    /* MariaDB's, for whose writes are whose */
    uint64_t version;      /* goes up with each change of the set */
    uint64_t incarnation;  /* goes up when it has less than before, or is not the same any more */
    uint64_t began_us;     /* before the set was asked for */
    uint64_t covered_mask; /* servers that have all that it has, itself included */
};

struct positions {
    struct snap snap;
    struct position_clock *clock; /* counted */
    uint16_t server_count;
    uint64_t incarnations; /* of all servers together */
    struct position servers[];
};

/* All unknown. Takes a reference to the clock. */
struct positions *positions_create(uint16_t server_count, uint64_t generation,
                                   struct position_clock *clock);
/* Fills covered_mask: everything else is in place. */
void positions_compare(struct positions *positions);
const struct positions *positions_ref(const struct positions *positions);
void positions_unref(const struct positions *positions); /* NULL is fine */

/* The latest time at which the picture's set of this server was asked for and was the same; 0: not
 * known. What the server has executed after it need not be in the set. */
uint64_t positions_seen_us(const struct positions *positions, int16_t server);
/* Servers known to have all of want. positions may be NULL: nobody is. */
uint64_t positions_have(const struct positions *positions, const struct gtid_set *want);
/* NULL: not known. Borrowed from positions. Asked several times for each statement. */
static inline const struct position *positions_of(const struct positions *positions, int16_t server)
{
    bool is_known = positions != NULL && server >= 0 && server < (int16_t)positions->server_count &&
                    positions->servers[server].executed != NULL;

    return is_known ? &positions->servers[server] : NULL;
}
/* The same of the primary. NULL also while the picture is one of a replica: MariaDB's tells then what
 * came by replication, and none of its own writes. A set with nothing in it is of no flavour. */
static inline const struct position *positions_of_primary(const struct positions *positions,
                                                          int16_t primary)
{
    const struct position *at = positions_of(positions, primary);

    bool is_replicas =
        at != NULL && at->replicated == NULL &&
        (at->executed->set.kind == GTID_MARIADB || gtid_is_empty(&at->executed->set));

    return is_replicas ? NULL : at;
}

#endif
