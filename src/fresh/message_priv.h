/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - what weirs publish for each other.
 *
 * WHY       A message says which slots of the board of tokens were marked, and with what. Each has
 *           the sender's id and a number, so that a missing one is noticed.
 * OWNS      A writer owns its bytes.
 * THREADS   any, one at a time per object
 * REENTRY   none
 * UNITS     On the wire blind_ms is a duration: clocks of two machines are never compared.
 * ERRORS    message_open(): not a message, or not of somebody with the secret; nothing is said then.
 * BOUNDS    MESSAGE_MAX bytes.
 *
 * "weir", version, kind, instance (8), number (8); then for each slot: slot (2), what (1), and by
 * what: blind_ms (4), a set as text with its length. With a secret, 16 bytes of an HMAC over
 * all that and the channel's name. The version stands for the layout of the slots, too.
 */
#ifndef WEIR_FRESH_MESSAGE_PRIV_H
#define WEIR_FRESH_MESSAGE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/gtid.h"
#include "weir/protocol/wire.h"
#include "weir/route/causal.h"
#include "weir/util/attr.h"
#include "weir/util/buf.h"

#define MESSAGE_MAX      ((size_t)32 * 1024)
#define MESSAGE_FULL     ((size_t)12 * 1024) /* no more slots into one that has so much */
#define MESSAGE_SET_MAX  ((size_t)12 * 1024) /* of one slot, as text */
#define MESSAGE_HEAD     22U
#define MESSAGE_MAC      16U
#define MESSAGE_VERSION  1
#define MESSAGE_BLIND_MS UINT32_C(86400000)

enum message_kind {
    MESSAGE_MARKS = 1, /* of no slot at all: a heartbeat */
    MESSAGE_BYE = 2,   /* the last one: nothing more is to be missed */
};

struct message_head {
    enum message_kind kind;
    uint64_t instance;
    uint64_t number; /* 1, 2, 3 ... */
};

struct message_key {
    struct span secret; /* p NULL: none */
    struct span channel;
};

/* Begins a message in buf, which is emptied. */
WR_NODISCARD int message_begin(struct buf *buf, const struct message_head *head);
/* A slot's marks; a set that is too long becomes "unknown". */
WR_NODISCARD int message_add(struct buf *buf, const struct causal_out *out,
                             const struct gtid_set *token, uint64_t now_us);
/* Signs it, when there is a secret. */
WR_NODISCARD int message_end(struct buf *buf, const struct message_key *key);

/* Head and signature; *ret_marks has the rest. False: nobody knows what it is. */
WR_NODISCARD bool message_open(struct span bytes, const struct message_key *key,
                               struct message_head *ret_head, struct wire *ret_marks);
/* The next slot. token: replaced. DEC_MORE: there are no more. */
WR_NODISCARD enum dec_rc message_next(struct wire *marks, struct causal_out *ret_out,
                                      struct gtid_set *token, uint64_t now_us);

#endif
