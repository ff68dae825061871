/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causal - the board of tokens: what the writes of a user, of a key, or of everybody have left, for
 * sessions of other workers to read after.
 *
 * WHY       A session knows its own writes; what others wrote under the same name is on the board.
 * OWNS      A set for each slot that was ever marked.
 * THREADS   Any. A slot's lock is held for one sum of two small sets; who has seen the slot's
 *           version before takes no lock.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    none: what cannot be noted becomes a write of unknown position, which is safe.
 * BOUNDS    CAUSAL_SLOTS slots; GTID_LIMITS_TOKEN for each, twice when the board is shared. Names that
 *           share a slot wait for each other's writes: more is waited for, never less.
 *
 * A shared board is one of several, in as many weirs. What is marked here is collected for the others,
 * each slot once however often it was marked; what they have marked is heard. The board is deaf unless
 * somebody keeps saying until when all of theirs is known to have been heard: whoever reads by a
 * slot of a deaf board has missed a write that happened just now.
 */
#ifndef WEIR_ROUTE_CAUSAL_H
#define WEIR_ROUTE_CAUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/gtid.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define CAUSAL_SLOT_ALL 0U
#define CAUSAL_USERS    1024U
#define CAUSAL_KEYS     4096U
#define CAUSAL_SLOTS    (1U + CAUSAL_USERS + CAUSAL_KEYS)

struct causal_board;

/* What a slot says beside its token. */
struct causal_mark {
    uint64_t version;        /* goes up with each mark */
    uint64_t unknown_us;     /* of the last write whose position nobody knows; 0: none */
    uint64_t blind_until_us; /* until then what was written may still appear; 0: never */
};

struct causal_board *causal_board_create(void);
void causal_board_destroy(struct causal_board *board); /* NULL is fine */

uint32_t causal_slot_user(struct span user);
uint32_t causal_slot_key(struct span key);

/* A write has been answered. token: what it was given; whole (may be NULL): what the primary has
 * executed, to fill gaps by. */
void causal_board_add(struct causal_board *board, uint32_t slot, const struct gtid_set *token,
                      const struct gtid_set *whole, uint64_t now_us);
/* A write of unknown position has been answered at now_us. */
void causal_board_unknown(struct causal_board *board, uint32_t slot, uint64_t now_us);
/* A write was not answered: it may still come, until then. */
void causal_board_blind(struct causal_board *board, uint32_t slot, uint64_t until_us);

/* Has the slot been marked since version? Sequentially consistent with the marks: whoever has the
 * answer to a write sees its mark. */
bool causal_board_is_new(const struct causal_board *board, uint32_t slot, uint64_t version);
/* Adds the slot's token to *token; <0: it has no room there, and the mark is not to be taken. */
WR_NODISCARD int causal_board_take(struct causal_board *board, uint32_t slot,
                                   struct gtid_set *token, struct causal_mark *ret_mark);

/* --- a board that is shared --- */

/* What a slot has for the others, beside its token. */
struct causal_out {
    uint32_t slot;
    bool is_unknown;
    uint64_t blind_until_us; /* 0: nothing may still appear */
};

/* Before any other thread has the board. From here on it is deaf. wake: called in the thread of a
 * mark, which may hold nothing up: there is something to collect. Not again until
 * causal_board_collect() has begun. */
typedef void (*causal_wake_fn)(void *arg);
void causal_board_share(struct causal_board *board, causal_wake_fn wake, void *arg);
/* The next slot with something for the others; *cursor is 0 to begin. *token is replaced, its storage
 * is the slot's then. False: no more. One thread. */
WR_NODISCARD bool causal_board_collect(struct causal_board *board, uint32_t *cursor,
                                       struct gtid_set *token, struct causal_out *ret_out);
/* Something has been heard, at now_us: token (may be NULL), and what is not known or may still come.
 * It is not collected again. */
void causal_board_hear(struct causal_board *board, const struct causal_out *heard,
                       const struct gtid_set *token, const struct gtid_set *whole, uint64_t now_us);
/* Something has not been heard: in each slot a write of unknown position, now. */
void causal_board_missed(struct causal_board *board, uint64_t now_us);
/* All is heard until then; earlier than before: not any more. */
void causal_board_hear_until(struct causal_board *board, uint64_t until_us);
bool causal_board_is_shared(const struct causal_board *board);
/* False for a board that is not shared. */
bool causal_board_is_deaf(const struct causal_board *board, uint64_t now_us);

#endif
