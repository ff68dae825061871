/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/route/guard.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/util/fault.h"

struct guard_board {
    _Atomic uint64_t all_us;
    _Atomic uint64_t user_us[GUARD_SLOTS];
};

uint64_t guard_window_default_us(uint64_t max_lag_us, uint64_t interval_us, uint32_t failures,
                                 uint64_t resolution_us)
{
    return max_lag_us + interval_us * ((uint64_t)failures + 1) + resolution_us;
}

void route_conf_init(const struct config *config, struct route_conf *ret_conf)
{
    memset(ret_conf, 0, sizeof(*ret_conf));
    ret_conf->policy = config->balance.policy;
    ret_conf->reads_on_primary = config->balance.reads_on_primary;
    ret_conf->raw_mode = config->read_after_write.mode;
    ret_conf->raw_scope = config->read_after_write.scope;
    ret_conf->raw_window_us = config->read_after_write.window_us;
    ret_conf->max_lag_us = config->monitor.max_lag_us;
    ret_conf->sample_max_age_us =
        config->monitor.interval_us * ((uint64_t)config->monitor.failures + 1);
}

struct guard_board *guard_board_create(void)
{
    struct guard_board *board = malloc(sizeof(*board));

    if (board) {
        atomic_init(&board->all_us, 0);
        for (size_t i = 0; i < GUARD_SLOTS; i++) {
            atomic_init(&board->user_us[i], 0);
        }
    }
    return board;
}

void guard_board_destroy(struct guard_board *board)
{
    free(board);
}

uint32_t guard_user_slot(struct span user)
{
    return (uint32_t)(XXH3_64bits(user.p, user.len) % GUARD_SLOTS);
}

/* Marks only ever move forward: a later mark of another worker is not undone. Sequentially
 * consistent: a client that has its answer may ask through another worker at once, and the mark was
 * set before the answer was sent. */
static void mark_raise(_Atomic uint64_t *mark, uint64_t until_us)
{
    uint64_t old = atomic_load_explicit(mark, memory_order_relaxed);

    while (old < until_us &&
           !atomic_compare_exchange_weak_explicit(mark, &old, until_us, memory_order_seq_cst,
                                                  memory_order_relaxed)) {
    }
}

uint64_t guard_mark(struct guard_board *board, const struct route_conf *conf, uint32_t user_slot,
                    uint64_t now_us)
{
    uint64_t until_us = now_us + conf->raw_window_us;

    if (board) {
        mark_raise(&board->user_us[user_slot % GUARD_SLOTS], until_us);
        mark_raise(&board->all_us, until_us);
    }
    return until_us;
}

uint64_t guard_until_us(const struct guard_board *board, const struct route_conf *conf,
                        uint64_t session_until_us, uint32_t user_slot)
{
    uint64_t board_us = 0;

    if (WR_MUTANT("guard.none")) {
        return 0;
    }
    if (board) {
        switch (conf->raw_scope) {
        case CONFIG_SCOPE_SESSION:
            break;
        case CONFIG_SCOPE_USER:
            board_us = atomic_load_explicit(&board->user_us[user_slot % GUARD_SLOTS],
                                            memory_order_seq_cst);
            break;
        case CONFIG_SCOPE_GLOBAL:
            board_us = atomic_load_explicit(&board->all_us, memory_order_seq_cst);
            break;
        }
    }
    return board_us > session_until_us ? board_us : session_until_us;
}
