/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_causal_priv - what a session's reads must see, told by GTIDs.
 *
 * WHY       A read may go to any replica that has the session's own writes, and nothing less than
 *           what the session has seen before.
 * OWNS      struct sess_causal: its sets, one counted reference. Made when there is something to
 *           remember; a reset and a change of user keep it, for it is about data.
 * THREADS   The session's worker; the board is shared (weir/route/causal.h).
 * REENTRY   none
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    none: what cannot be remembered becomes "not known", and reads go to the primary.
 * BOUNDS    GTID_LIMITS_TOKEN; SESS_WAITERS_MAX statements of one worker wait on one server;
 *           SESS_WAIT_TEXT_MAX bytes of a set are asked for.
 */
#ifndef WEIR_CLIENT_SESS_CAUSAL_PRIV_H
#define WEIR_CLIENT_SESS_CAUSAL_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/positions.h"
#include "weir/route/causal.h"
#include "weir/route/decide.h"
#include "weir/util/str.h"

#define SESS_WAITERS_MAX   16U
#define SESS_WAIT_TEXT_MAX ((size_t)16 * 1024)
/* A set is told a moment after what it stands for can be seen, and a replica may show a transaction
 * a moment before its primary does: a set counts for what was seen when it was asked for this much
 * later. */
#define SESS_FLOOR_MARGIN_US UINT64_C(20000)
#define SESS_WAIT_RANGES     96U /* of a set that is asked for: as text below the other */

struct conn;
struct sess;

struct sess_causal {
    /* owning */
    struct gtid_set token; /* its writes, and others' that it must see */
    struct gtid_set fresh; /* of the command in hand */
    /* counted */
    const struct position_set *floor_set; /* what it has seen is in it; NULL: see floor_server */
    /* values */
    uint64_t floor_us; /* what it has seen, floor_server had by then */
    uint64_t blind_until_us;
    uint64_t epoch; /* of the topology in which the token is known to be the primary's */
    uint64_t no_fetch_until_us; /* it was asked in vain */
    uint64_t stuck_us;          /* since when the floor is where it is */
    uint64_t shared_version;    /* of the board's slot of the scope */
    uint64_t shared_unknown_us;
    uint64_t key_version;
    uint64_t key_unknown_us;
    uint64_t mask_of;    /* generation of the positions that the masks were made by */
    uint64_t token_mask; /* servers that have the token, by those */
    uint64_t has_mask;   /* servers that have the token, and the floor's set */
    uint64_t known_mask; /* servers that have said so when asked; none of a new token */
    uint64_t incarnations;
    uint64_t unknown_us;  /* of its last write that the token does not have; 0: none */
    uint32_t tidy_above;  /* ranges of the token */
    uint32_t key_slot;    /* of the last hint; 0: none */
    uint64_t hit_us;      /* the floor has what kept answers had seen until then */
    int16_t floor_server; /* -1: nothing has been seen, or floor_set says it */
    bool is_unknown;      /* something failed that may have written: what comes now says not all */
    bool is_stale;        /* has_mask does not hold any more */
    bool is_foreign;      /* a hint has put others' writes into the token */
    bool has_token_mask;
    bool has_key; /* key_slot is the statement's, or its transaction's */
};

void sess_causal_destroy(struct sess_causal *causal); /* NULL is fine */

/* Into the router's view of the session. */
void sess_causal_fill(struct sess *sess, struct route_sess *ret_route);
/* The hints key and token of the statement in hand. */
void sess_causal_hints(struct sess *sess, const struct facts *facts);

/* An OK of a server names GTIDs. */
void sess_causal_learn(struct sess *sess, const struct conn *conn, struct span text);
/* Which trackers the client sees, of a connection that reports GTIDs for weir. */
void sess_causal_front(struct sess *sess, const struct conn *conn);
/* The command in hand is over: it saw something; a transaction that wrote has ended. */
void sess_causal_done(struct sess *sess);
void sess_causal_written(struct sess *sess);
/* The primary has shown all that any replica has: from now on the floor is there. */
void sess_causal_level(struct sess *sess);
/* Something that may have written has no answer: it may still come until the window ends. */
void sess_causal_lost(struct sess *sess);

/* Of the primary, and of the server where the floor is; NULL: not known. */
const struct position *sess_causal_primary(const struct sess *sess);
const struct position *sess_causal_floor(const struct sess *sess);

/* Made if need be; NULL: no memory, and the session is closed. */
struct sess_causal *sess_causal_need(struct sess *sess);
/* It has seen what this server had at that time; the primary, which has no less than any other. */
void sess_causal_floor_at(struct sess_causal *causal, int16_t server, uint64_t at_us);
void sess_causal_floor_raise(struct sess *sess, struct sess_causal *causal, uint64_t at_us);
/* What was written then is on every replica that may serve reads. */
bool sess_causal_is_with_all(const struct sess *sess, uint64_t at_us);
/* What others have written in the session's scope, into its token. */
void sess_causal_take_shared(struct sess *sess);

/* --- sess_causal_tell.c --- */
/* The client is about to be told of a write (is_over: of all of its transaction): sessions that read
 * after each other's writes hear of it first. */
void sess_causal_tell(struct sess *sess, bool is_over);
/* On the board: GTIDs of the command in hand; a write of which none are known; one that may come
 * until then. */
void sess_causal_tell_gtids(const struct sess *sess);
void sess_causal_tell_unknown(const struct sess *sess);
void sess_causal_tell_blind(const struct sess *sess, uint64_t until_us);
/* The slot of all of the session's writes; false: its scope has none. */
bool sess_causal_scope_slot(const struct sess *sess, uint32_t *ret_slot);
/* The GTIDs of the command in hand are all of what it wrote. */
bool sess_causal_is_position_known(const struct sess *sess);

/* --- sess_causal_cache.c --- */
/* This replica is known to have all that was written at that time, or before. */
bool sess_causal_is_complete(const struct sess *sess, int16_t server, uint64_t at_us);
/* Kept answers hold what the session must see: what passed through this weir they do. */
bool sess_causal_may_hit(struct sess *sess, const struct facts *facts,
                         enum config_coherence coherence);
/* It has been given what this server showed at that time. */
void sess_causal_saw(struct sess *sess, int16_t server, uint64_t at_us);

/* --- sess_causal_ask.c --- */
/* Who may be waited for by a read that asks for so many ranges. */
uint64_t sess_causal_wait_mask(const struct sess *sess, uint32_t ranges);

/* The server where it has seen what it saw, when that one is to be asked how far it is, so that the
 * statement in hand may run elsewhere: off the primary, where a hint wants it, or where the balance
 * does, once in a while. -1: nobody is asked. */
int16_t sess_causal_fetch_from(const struct sess *sess, const struct facts *facts,
                               const struct route_sess *route,
                               const struct route_decision *decision, enum route_reason reason);
/* The statement in hand goes to the primary, where it could see less than the session has seen on a
 * replica: a wait there goes ahead of it. */
bool sess_causal_is_ahead(const struct sess *sess, const struct facts *facts);
/* Ask; 0: the answer is awaited. <0: the command is over. */
int sess_causal_ask(struct sess *sess, struct conn *conn);
void sess_causal_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* Nothing is awaited any more. */
void sess_causal_unwait(struct sess *sess);

/* All that the primary says it had at this time, or later; <0: it has not said so yet. */
int sess_causal_add_seen(const struct sess *sess, uint64_t at_us, struct gtid_set *set);
/* Is it SELECT weir_token()? The answer to that, as text or to an EXECUTE; and to its PREPARE. */
bool sess_causal_is_question(struct span sql);
void sess_causal_answer(struct sess *sess);
void sess_causal_prepared(struct sess *sess, uint32_t id);

#endif
