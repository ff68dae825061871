/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_cache_priv - a session and the cache: asked before a server is, filled from what it answers,
 *                   told of what the session writes.
 *
 * WHY       A repeated read is answered without a server, as the server would have answered it.
 * OWNS      struct sess_fill: one read that is to be kept, from its question to its answer; the set
 *           keeps unused ones. The session's writes that nobody can see yet.
 * THREADS   The session's worker; the cache is shared (weir/cache/cache.h).
 * REENTRY   none
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    none: what cannot be kept is not, and counted.
 * BOUNDS    The rule's, or the setting's, max_entry bytes of a reply, charged to the cache's memory.
 */
#ifndef WEIR_CLIENT_SESS_CACHE_PRIV_H
#define WEIR_CLIENT_SESS_CACHE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache/cache.h"
#include "weir/cache/judge.h"
#include "weir/cache/tag.h"
#include "weir/cache/tier.h"
#include "weir/client/sess_error.h"
#include "weir/protocol/reply.h"
#include "weir/protocol/stmt.h"
#include "weir/util/buf.h"
#include "weir/util/list.h"
#include "weir/util/metric.h"
#include "weir/util/str.h"

struct config_rule;
struct conn;
struct facts;
struct sess;
struct sess_set;
struct stmt;
struct svec;

struct sess_fill {
    struct list_node node; /* of the set's list: free, or waiting for another's answer */
    struct sess *sess;     /* borrowed: the owner; NULL: free */
    /* owning */
    struct buf key;
    struct buf reply; /* as the client gets it */
    /* values */
    struct version_lease lease;
    struct tier_get get;    /* begun: state SHARE, Redis is asked */
    struct log_place place; /* of what is being kept */
    struct cache_plan plan; /* its share and tags are not looked at any more */
    uint64_t hash;
    uint64_t sent_us;
    size_t charged;           /* bytes of the reply, at the cache's memory */
    enum metric_unfilled why; /* it is not kept; METRIC_UNFILLED_COUNT_: it may be */
    enum metric_miss miss;    /* of the memory, while asks or Redis is asked */
    uint16_t rule;            /* label; is_ruled */
    bool is_ruled;
    bool is_leader;
    bool is_waiting; /* state SHARE: node is in the set's list of those, or of the woken */
    bool joins;      /* another asks it already */
    bool asks;       /* Redis is to be asked first */
};

/* What is asked for: a text, or a prepared statement and its parameters. */
struct sess_question {
    struct span sql;
    const struct facts *facts;
    const struct stmt *stmt; /* NULL: a text */
    const struct stmt_execute *execute;
    struct span schema; /* of names without one */
};

/* --- sess_cache.c: asking --- */
/* Before the statement in hand is decided. True: it has been answered. False: a server has to; then
 * sess->fill is there when the answer may be kept. */
bool sess_cache_ask(struct sess *sess, const struct sess_question *question);
/* Somebody else asks the same just now: the packet is kept, and the session waits. False: nobody. */
bool sess_cache_waits(struct sess *sess, const uint8_t *packet, size_t len);
/* It has waited long enough for that. */
void sess_cache_wait_over(struct sess *sess);
/* That somebody has his answer, or none: the session's turn. */
void sess_cache_woken(struct sess *sess);
/* No server can answer it. True: an old answer was allowed, and given. */
bool sess_cache_on_error(struct sess *sess, enum sess_err error);
/* An entry that is good; its reference is the callee's. */
void sess_cache_answer(struct sess *sess, struct cache_entry *entry, bool is_stale);
/* Neither Redis nor anybody else has it: a server is asked. */
void sess_cache_go_on(struct sess *sess, enum metric_miss miss);
/* For explanations: what would be done with it. */
void sess_cache_explain(struct sess *sess, const struct sess_question *question,
                        const struct config_rule *rule, char *dst, size_t cap);

/* --- sess_tier.c: Redis --- */
/* May an answer to this be there, and is there somebody to ask? */
bool sess_tier_may_ask(const struct sess *sess);
/* False: it cannot be asked after all. */
bool sess_tier_ask(struct sess *sess);
/* Ahead of the last look at a fill's lease. */
void sess_tier_place(struct sess *sess);
/* An entry that is given: now and then Redis hears that it is still good. */
void sess_tier_tell(struct sess *sess, struct cache_entry *entry);
/* It has been kept in memory until then. */
void sess_tier_keep(struct sess *sess, struct span body, uint64_t fresh_us);

/* --- sess_fill.c: keeping --- */
/* The statement in hand may be kept once it has been answered. NULL: no memory. */
struct sess_fill *sess_fill_begin(struct sess *sess);
/* It is being sent to this server. */
void sess_fill_sent(struct sess *sess);
/* Bytes of its reply, as the client gets them. */
void sess_fill_feed(struct sess *sess, const struct reply_step *step);
/* Not this one. */
void sess_fill_refuse(struct sess *sess, enum metric_unfilled why);
/* Those who wait for the same go on by themselves. */
void sess_fill_land(struct sess *sess);
/* The command is over: kept, or not. */
void sess_fill_end(struct sess *sess);
/* Whose question has been answered, or given up: by this worker's sessions (sess_fill_land()) or
 * another's. */
void sess_fills_wake(struct sess_set *set, uint64_t hash);
void sess_fills_init(struct sess_set *set);
void sess_fills_fini(struct sess_set *set);

/* --- sess_cache_key.c --- */
/* All that the answer depends on beside the data. <0: no memory. */
int sess_cache_key(struct sess *sess, const struct cache_plan *plan,
                   const struct sess_question *question, struct buf *key);

/* What a key says of the question. Borrowed from it. */
struct sess_asked {
    struct span sql;
    bool is_prepared;
    uint16_t collation;
    struct span types; /* two bytes for each parameter */
    struct span nulls;
    struct span values;
};

/* svec, which has been initialised, gets the state of who asked. */
WR_NODISCARD int sess_cache_unkey(struct span key, struct svec *svec, struct sess_asked *ret_asked);

/* --- sess_writes.c: what the session writes --- */
/* What of a statement's values is found in its tags, by a rule that fits it. env is written, and used by
 * *ret_in. */
void sess_tag_in(const struct sess *sess, const struct sess_question *question,
                 const struct config_rule *rule, struct classify_env *env,
                 struct cache_tag_in *ret_in);
/* The statement in hand is no proven read: what may it change? */
void sess_writes_note(struct sess *sess, const struct sess_question *question);
void sess_writes_note_all(struct sess *sess);
/* It is about to be sent, and may make visible what has been noted. */
void sess_writes_begin(struct sess *sess);
/* It has been answered. */
void sess_writes_end(struct sess *sess);
/* The connection to the primary is gone: what nobody could see is gone with it; of what was about to
 * be shown nobody knows. */
void sess_writes_lost(struct sess *sess);
/* The session ends, or forgets all. */
void sess_writes_forget(struct sess *sess);
void sess_writes_init(struct sess_set *set);
void sess_writes_fini(struct sess_set *set);

#endif
