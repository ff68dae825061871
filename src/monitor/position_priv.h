/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_priv - what each server has executed: asked often, on connections of their own.
 *
 * WHY       A probe asks for much and may be slow; a read after a write wants to know one thing, ten
 *           times a second.
 * OWNS      struct position_poll: its thread, and a reference to the set that was seen last.
 * THREADS   One for each server; the board's lock is held for taking references and for handing on.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    A poll that fails makes the position unknown.
 * BOUNDS    A text of at most POSITION_TEXT_MAX bytes; GTID_LIMITS_SERVER.
 */
#ifndef WEIR_MONITOR_POSITION_PRIV_H
#define WEIR_MONITOR_POSITION_PRIV_H

#include <pthread.h>

#include "weir/backend/positions.h"
#include "weir/config/config.h"

#define POSITION_TEXT_MAX ((size_t)1024 * 1024)

struct position_poll {
    struct position now; /* under the board's lock */
};

struct position_board {
    pthread_mutex_t lock; /* also the order in which pictures are handed on */
    struct position_clock *clock;
    uint64_t generation;
};

WR_NODISCARD int position_board_init(struct position_board *board);
void position_board_fini(struct position_board *board);
uint64_t position_interval_us(const struct config *config);

#endif
