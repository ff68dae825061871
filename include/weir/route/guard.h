/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - reads after writes: until when a reader must go to the primary.
 *
 * WHY       A replica is behind; whoever has just written must not be shown the past. The causal
 *           way (GTID tokens) will have its place beside the window here.
 * OWNS      struct guard_board: one mark per user slot, one per key slot, and one for all. A mark is the time of a
 *           write; the window is added by who asks, so that it is the one of that moment.
 * THREADS   The board: any thread, atomics only. The rest is pure.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us(), shared by all threads of the machine.
 * ERRORS    NULL when there is no memory.
 * BOUNDS    GUARD_SLOTS marks of users, and of keys. Users (keys) that share a slot share its mark: more reads go to the
 *           primary, never fewer.
 */
#ifndef WEIR_ROUTE_GUARD_H
#define WEIR_ROUTE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/config/config.h"
#include "weir/util/str.h"

#define GUARD_SLOTS 4096

/* The settings that a decision needs, taken from a config once. */
struct route_conf {
    enum config_policy policy;
    enum config_reads_on_primary reads_on_primary;
    enum config_raw_mode raw_mode;
    enum config_raw_scope raw_scope;
    uint64_t raw_window_us; /* of an adaptive one: the longest */
    bool raw_is_adaptive;
    uint64_t raw_floor_us;
    uint64_t raw_margin_us;
    bool raw_monotonic;
    uint64_t max_lag_us;
    uint64_t sample_max_age_us; /* a replica whose last good sample is older is not eligible */
};

void route_conf_init(const struct config *config, struct route_conf *ret_conf);

/* The smallest window that cannot show the past: the lag that a replica may have reached before
 * its verdict says so. resolution_us: how coarse the source of lag is. */
uint64_t guard_window_default_us(uint64_t max_lag_us, uint64_t interval_us, uint32_t failures,
                                 uint64_t resolution_us);

struct guard_board;
struct topo;

struct guard_board *guard_board_create(void);
void guard_board_destroy(struct guard_board *board);

/*
 * What an adaptive window rests on: how late the worst of the replicas in use has been, over a
 * sliding time. Kept by one thread; what comes of it is put on the board for all.
 */
#define GUARD_LAG_SLICES  10
#define GUARD_LAG_BUCKETS 128
#define GUARD_LAG_LEAST   100 /* notes; with fewer nothing is known */
#define GUARD_LAG_UNKNOWN UINT64_MAX

struct guard_lags {
    uint32_t counts[GUARD_LAG_SLICES][GUARD_LAG_BUCKETS];
    uint64_t slice;  /* number of the newest, counted from the beginning of time */
    uint64_t len_us; /* of a slice */
    uint64_t worst_us;
};

/* Once for each picture of the servers. over_us: the sliding time. The lag counts with what its
 * source cannot tell. */
void guard_lags_note(struct guard_lags *lags, const struct topo *topo, uint64_t over_us,
                     uint64_t now_us);
/* 99 of 100 notes are not above it, nor is what is the case now. Rounded up by a quarter at most. */
uint64_t guard_lags_us(const struct guard_lags *lags);
void guard_board_set_lag(struct guard_board *board, uint64_t lag_us);

/* The window in force: the configured one; an adaptive one is measured lag + margin, between its
 * floor and its ceiling, and the ceiling as long as nothing is known. board may be NULL. */
uint64_t guard_window_us(const struct guard_board *board, const struct route_conf *conf);

/* The slot of a user name, and of a key (never 0, which is no key). */
uint32_t guard_user_slot(struct span user);
uint32_t guard_key_slot(struct span key);

/*
 * A write has been answered (or its outcome is unknown), by this user (and under this key, unless
 * it is 0) at now_us: marks the board
 * and returns the session's own mark, to be kept by it (0: none). Call at the reply of a write outside a
 * transaction, and at the end of a transaction that wrote; a write that failed is a write. board
 * may be NULL: only the session knows.
 */
uint64_t guard_mark(struct guard_board *board, uint32_t user_slot, uint32_t key_slot,
                    uint64_t now_us);

/* Another weir says that somebody of this slot of the board of tokens wrote. */
void guard_hear(struct guard_board *board, uint32_t causal_slot, uint64_t now_us);
/* The slot there of a key's slot here. */
uint32_t guard_causal_key(uint32_t key_slot);
/* What another weir says has been missed: anybody may have written, now. */
void guard_missed(struct guard_board *board, uint64_t now_us);

/* Whether what others wrote counts for a read: by the scope, or by its key. */
bool guard_is_shared(const struct route_conf *conf, uint32_t key_slot);

/* Until when this session's reads need the primary, by the scope in force, and by the key (0: none): session_mark_us is its
 * own mark. 0: no mark. With mode off the time is still given; route_decide() weighs it. */
uint64_t guard_until_us(const struct guard_board *board, const struct route_conf *conf,
                        uint64_t session_mark_us, uint32_t user_slot, uint32_t key_slot);

/* Mode strict: who is held to the primary (until_us, as above) stays there until it has been idle
 * for a window. True: a statement now, and its end, move the session's mark. */
bool guard_is_renewed(const struct route_conf *conf, uint64_t until_us, uint64_t now_us);

#endif
