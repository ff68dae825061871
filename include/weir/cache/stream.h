/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - what is known of the primary's binary log: whether all that is written there is heard.
 *
 * WHY       A kept answer is right while every write bumps the version of what it wrote. Of writes that
 *           do not pass through this weir only the binary log tells, so who wants them counted has to
 *           know that somebody listens.
 * OWNS      struct cache_stream: the position, the place, the marks, a lock for them.
 * THREADS   Written by one thread (the reader of the log); read by any. Atomics, but for what is under the lock.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    -ENOMEM
 * BOUNDS    GTID_LIMITS_SERVER for the position.
 */
#ifndef WEIR_CACHE_STREAM_H
#define WEIR_CACHE_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/cache/marks.h"
#include "weir/protocol/gtid.h"
#include "weir/util/attr.h"

/* Silence for so long, and it is not known any more whether all is heard. */
#define CACHE_STREAM_SILENCE_US UINT64_C(1000000)

/* X(name, label, text) */
#define CACHE_STREAM_STATES(X)                                                                \
    X(OFF, "off", "nothing asks for it")                                                      \
    X(STARTING, "starting", "it is not being read yet")                                       \
    X(READING, "reading", "it is read")                                                       \
    X(NO_PRIMARY, "no_primary", "there is no primary")                                        \
    X(NO_BINLOG, "no_binlog", "the primary writes none (log_bin)")                            \
    X(NO_PRIVILEGE, "no_privilege", "monitor.user may not read it (REPLICATION SLAVE)")       \
    X(FORMAT, "format", "the primary filters it, or writes it in a way that tells no tables") \
    X(AFTER_SYNC, "after_sync",                                                               \
      "the primary shows what it has logged after a wait that nobody can see the end of")     \
    X(LIBRARY, "library", "the client library of this weir cannot read this server's")        \
    X(FAILED, "failed", "the connection was lost; it is made anew")

/* clang-format off */
enum cache_stream_state {
#define X(name, label, text) CACHE_STREAM_##name,
    CACHE_STREAM_STATES(X)
#undef X
    CACHE_STREAM_END_
};
/* clang-format on */

struct cache_stream {
    _Atomic uint64_t heard_us; /* something came, a heartbeat at least */
    _Atomic uint64_t since_us; /* without a gap since then; 0: not at all */
    _Atomic uint32_t state;    /* enum cache_stream_state */
    pthread_mutex_t lock;
    struct gtid_set position; /* all of it has been taken in; empty: not told in GTIDs */
    struct log_place place;   /* all before it has been taken in; log 0: not known */
    struct marks marks;
};

WR_NODISCARD int cache_stream_init(struct cache_stream *stream);
void cache_stream_fini(struct cache_stream *stream);

/* --- the reader --- */

/* From here on all is heard; what was written before is not known. position may be NULL. */
void cache_stream_begin(struct cache_stream *stream, const struct gtid_set *position,
                        uint64_t now_us);
/* Something has come and been taken in. */
void cache_stream_hear(struct cache_stream *stream, uint64_t now_us);
/* All of this has been taken in, too. */
WR_NODISCARD int cache_stream_advance(struct cache_stream *stream, const struct gtid_set *more);
/* All before this place has been taken in. */
void cache_stream_move(struct cache_stream *stream, const struct log_place *place);
/* All that anybody had been told to be written before at_us stands before the place. Stricter than to hear: the server was
 * asked where its log ends, and the log has been taken in up to there. */
void cache_stream_mark(struct cache_stream *stream, uint64_t at_us);
/* Nothing is heard, for this reason. What comes may still follow without a gap: since stays. */
void cache_stream_pause(struct cache_stream *stream, enum cache_stream_state why);
/* The next begin is another beginning. */
void cache_stream_end(struct cache_stream *stream, enum cache_stream_state why);

/* --- everybody --- */

/* All that was written until shortly before now has been taken in. */
bool cache_stream_is_heard(const struct cache_stream *stream, uint64_t now_us);
enum cache_stream_state cache_stream_state(const struct cache_stream *stream);
uint64_t cache_stream_since_us(const struct cache_stream *stream);
/* All of want has been taken in. */
bool cache_stream_has(struct cache_stream *stream, const struct gtid_set *want);
/* False: not known. What is told of writes before the place has been told by now. */
bool cache_stream_place(struct cache_stream *stream, struct log_place *ret_place);
/* Until when what was complete up to place is complete; 0: not known. */
uint64_t cache_stream_until_us(struct cache_stream *stream, const struct log_place *place);
const char *cache_stream_state_text(enum cache_stream_state state);
const char *cache_stream_state_label(enum cache_stream_state state);

#endif
