/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot - Redis Cluster's slots: which one a key has, and what Redis says about who has them.
 *
 * WHY       What a server says about the cluster is read in one place that does no I/O.
 * OWNS      none: what is read borrows from the reply.
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    -WR_E_BAD_PACKET: not such a reply; what was told before stands.
 * BOUNDS    SLOT_COUNT slots; hosts of less than REDIS_HOST_BYTES.
 *
 * Source: redis.io, "Redis cluster specification"; "CLUSTER SLOTS".
 */
#ifndef WEIR_REDIS_SLOT_H
#define WEIR_REDIS_SLOT_H

#include <stdint.h>

#include "weir/redis/reply.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define SLOT_COUNT       16384U
#define REDIS_HOST_BYTES 256U

/* X(name): what an error asks for */
enum slot_answer {
    SLOT_ANSWER_NONE,      /* no matter of the cluster's */
    SLOT_ANSWER_MOVED,     /* ask there, and from now on */
    SLOT_ANSWER_ASK,       /* ask there this time, behind ASKING */
    SLOT_ANSWER_TRY_AGAIN, /* the same, somewhat later */
    SLOT_ANSWER_DOWN, /* CLUSTERDOWN, MASTERDOWN, READONLY: who has what is out of date, or nobody has it */
};

struct slot_place {
    uint32_t slot;
    struct span host; /* empty: whoever said so */
    uint16_t port;
};

/* From the hash tag, if the key has one. */
uint32_t slot_of(struct span key);
/* ret_place: with MOVED and ASK. */
enum slot_answer slot_answer_of(const struct redis_value *value, struct slot_place *ret_place);
/* The reply to CLUSTER SLOTS: on_range for each, masters only. Nothing is called unless all of it is right. */
WR_NODISCARD int slot_ranges(const struct redis_value *value,
                             void (*on_range)(void *arg, uint32_t first, uint32_t last,
                                              struct span host, uint16_t port),
                             void *arg);

#endif
