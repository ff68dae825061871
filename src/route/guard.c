/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/route/guard.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/backend/topo.h"
#include "weir/route/causal.h"
#include "weir/util/fault.h"

#define LAG_RESOLUTION_US 1000000u /* of a source that counts whole seconds */

struct guard_board {
    _Atomic uint64_t lag_us; /* GUARD_LAG_UNKNOWN */
    _Atomic uint64_t all_us;
    _Atomic uint64_t missed_us; /* what other weirs wrote has not all been heard */
    _Atomic uint64_t user_us[GUARD_SLOTS];
    _Atomic uint64_t key_us[GUARD_SLOTS];
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
    ret_conf->raw_is_adaptive = config->read_after_write.window_us == CONFIG_WINDOW_ADAPTIVE;
    ret_conf->raw_window_us = config->read_after_write.window_us;
    if (ret_conf->raw_is_adaptive) {
        ret_conf->raw_window_us = config->read_after_write.ceiling_us;
    }
    if (ret_conf->raw_window_us == UINT64_MAX) {
        ret_conf->raw_window_us =
            guard_window_default_us(config->monitor.max_lag_us, config->monitor.interval_us,
                                    config->monitor.failures, LAG_RESOLUTION_US);
    }
    ret_conf->raw_floor_us = config->read_after_write.floor_us;
    ret_conf->raw_margin_us = config->read_after_write.margin_us;
    ret_conf->raw_monotonic = config->read_after_write.monotonic;
    ret_conf->max_lag_us = config->monitor.max_lag_us;
    ret_conf->sample_max_age_us =
        config->monitor.interval_us * ((uint64_t)config->monitor.failures + 1);
}

struct guard_board *guard_board_create(void)
{
    struct guard_board *board = malloc(sizeof(*board));

    if (board) {
        atomic_init(&board->lag_us, GUARD_LAG_UNKNOWN);
        atomic_init(&board->all_us, 0);
        atomic_init(&board->missed_us, 0);
        for (size_t i = 0; i < GUARD_SLOTS; i++) {
            atomic_init(&board->user_us[i], 0);
            atomic_init(&board->key_us[i], 0);
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

uint32_t guard_key_slot(struct span key)
{
    return 1U + (uint32_t)(XXH3_64bits(key.p, key.len) % GUARD_SLOTS);
}

/* --- how late the replicas are --- */

/* Four buckets for each doubling, from units of 256 us on. */
#define LAG_UNIT_BITS 8

static size_t lag_bucket(uint64_t lag_us)
{
    uint64_t units = lag_us >> LAG_UNIT_BITS;
    unsigned shift = 0;
    size_t bucket = 0;

    if (units < 4) {
        return (size_t)units;
    }
    shift = 63U - (unsigned)__builtin_clzll(units) - 2U;
    bucket = (size_t)(shift + 1) * 4 + (size_t)(units >> shift & 3);
    return bucket < GUARD_LAG_BUCKETS ? bucket : GUARD_LAG_BUCKETS - 1;
}

/* The largest lag that falls into it. */
static uint64_t lag_bucket_top_us(size_t bucket)
{
    uint64_t units = bucket < 4 ? bucket + 1 : (uint64_t)(bucket % 4 + 5) << (bucket / 4 - 1);

    return (units << LAG_UNIT_BITS) - 1;
}

/* Empties the slices that time has passed over. */
static void lags_advance(struct guard_lags *lags, uint64_t over_us, uint64_t now_us)
{
    uint64_t len_us = over_us / GUARD_LAG_SLICES + 1;
    uint64_t slice = now_us / len_us;

    if (lags->len_us != len_us || slice < lags->slice || slice - lags->slice >= GUARD_LAG_SLICES) {
        memset(lags, 0, sizeof(*lags));
        lags->len_us = len_us;
        lags->slice = slice;
    }
    while (lags->slice < slice) {
        lags->slice++;
        memset(lags->counts[lags->slice % GUARD_LAG_SLICES], 0, sizeof(lags->counts[0]));
    }
}

void guard_lags_note(struct guard_lags *lags, const struct topo *topo, uint64_t over_us,
                     uint64_t now_us)
{
    uint64_t worst_us = 0;
    bool is_known = false;

    lags_advance(lags, over_us, now_us);
    for (uint16_t i = 0; i < topo->server_count; i++) {
        const struct topo_server *server = &topo->servers[i];

        if (server->role == TOPO_ROLE_REPLICA && server->state == TOPO_ST_UP &&
            server->lag_us != TOPO_LAG_UNKNOWN) {
            uint64_t lag_us = server->lag_us + server->lag_resolution_us;

            worst_us = lag_us > worst_us ? lag_us : worst_us;
            is_known = true;
        }
    }
    lags->worst_us = worst_us;
    if (is_known) {
        lags->counts[lags->slice % GUARD_LAG_SLICES][lag_bucket(worst_us)]++;
    }
}

uint64_t guard_lags_us(const struct guard_lags *lags)
{
    uint64_t sums[GUARD_LAG_BUCKETS] = {0};
    uint64_t total = 0;
    uint64_t above = 0;
    size_t bucket = GUARD_LAG_BUCKETS;

    for (size_t i = 0; i < GUARD_LAG_SLICES; i++) {
        for (size_t k = 0; k < GUARD_LAG_BUCKETS; k++) {
            sums[k] += lags->counts[i][k];
            total += lags->counts[i][k];
        }
    }
    if (total < GUARD_LAG_LEAST) {
        return GUARD_LAG_UNKNOWN;
    }
    while (bucket > 1 && (above + sums[bucket - 1]) * 100 <= total) {
        above += sums[--bucket];
    }
    uint64_t top_us = lag_bucket_top_us(bucket - 1);

    return lags->worst_us > top_us ? lags->worst_us : top_us;
}

void guard_board_set_lag(struct guard_board *board, uint64_t lag_us)
{
    /* alone: nothing else is read by it */
    atomic_store_explicit(&board->lag_us, lag_us, memory_order_relaxed);
}

uint64_t guard_window_us(const struct guard_board *board, const struct route_conf *conf)
{
    uint64_t lag_us = GUARD_LAG_UNKNOWN;
    uint64_t window_us = conf->raw_window_us;

    if (!conf->raw_is_adaptive) {
        return window_us;
    }
    if (board) {
        lag_us = atomic_load_explicit(&board->lag_us, memory_order_relaxed);
    }
    if (lag_us < window_us && lag_us + conf->raw_margin_us < window_us) {
        window_us = lag_us + conf->raw_margin_us;
    }
    return window_us > conf->raw_floor_us ? window_us : conf->raw_floor_us;
}

/* --- marks --- */

/* Marks only ever move forward: a later mark of another worker is not undone. Sequentially
 * consistent: a client that has its answer may ask through another worker at once, and the mark was
 * set before the answer was sent. */
static void mark_raise(_Atomic uint64_t *mark, uint64_t at_us)
{
    uint64_t old = atomic_load_explicit(mark, memory_order_relaxed);

    while (old < at_us && !atomic_compare_exchange_weak_explicit(
                              mark, &old, at_us, memory_order_seq_cst, memory_order_relaxed)) {
    }
}

uint64_t guard_mark(struct guard_board *board, uint32_t user_slot, uint32_t key_slot,
                    uint64_t now_us)
{
    if (board && key_slot != 0) {
        mark_raise(&board->key_us[(key_slot - 1) % GUARD_SLOTS], now_us);
    }
    if (board) {
        mark_raise(&board->user_us[user_slot % GUARD_SLOTS], now_us);
        mark_raise(&board->all_us, now_us);
    }
    return now_us;
}

/* There are more slots here, of the same hash. */
_Static_assert(GUARD_SLOTS % CAUSAL_USERS == 0, "a slot of tokens is a whole number of these");
_Static_assert(GUARD_SLOTS == CAUSAL_KEYS, "a slot of tokens is one of these");

uint32_t guard_causal_key(uint32_t key_slot)
{
    return 1U + CAUSAL_USERS + (key_slot - 1) % CAUSAL_KEYS;
}

void guard_hear(struct guard_board *board, uint32_t causal_slot, uint64_t now_us)
{
    if (causal_slot == CAUSAL_SLOT_ALL) {
        mark_raise(&board->all_us, now_us);
    } else if (causal_slot <= CAUSAL_USERS) {
        for (uint32_t slot = causal_slot - 1; slot < GUARD_SLOTS; slot += CAUSAL_USERS) {
            mark_raise(&board->user_us[slot], now_us);
        }
    } else {
        mark_raise(&board->key_us[(causal_slot - 1 - CAUSAL_USERS) % GUARD_SLOTS], now_us);
    }
}

void guard_missed(struct guard_board *board, uint64_t now_us)
{
    mark_raise(&board->missed_us, now_us);
}

bool guard_is_shared(const struct route_conf *conf, uint32_t key_slot)
{
    return key_slot != 0 || conf->raw_scope == CONFIG_SCOPE_USER ||
           conf->raw_scope == CONFIG_SCOPE_GLOBAL;
}

uint64_t guard_until_us(const struct guard_board *board, const struct route_conf *conf,
                        uint64_t session_mark_us, uint32_t user_slot, uint32_t key_slot)
{
    uint64_t mark_us = session_mark_us;
    uint64_t board_us = 0;

    if (WR_MUTANT("guard.none")) {
        return 0;
    }
    if (board) {
        switch (conf->raw_scope) {
        case CONFIG_SCOPE_SESSION:
        case CONFIG_SCOPE_KEY:
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
    if (board && guard_is_shared(conf, key_slot)) {
        uint64_t missed_us = atomic_load_explicit(&board->missed_us, memory_order_seq_cst);

        board_us = missed_us > board_us ? missed_us : board_us;
    }
    mark_us = board_us > mark_us ? board_us : mark_us;
    if (board && key_slot != 0) {
        board_us = atomic_load_explicit(&board->key_us[(key_slot - 1) % GUARD_SLOTS],
                                        memory_order_seq_cst);
        mark_us = board_us > mark_us ? board_us : mark_us;
    }
    return mark_us == 0 ? 0 : mark_us + guard_window_us(board, conf);
}

bool guard_is_renewed(const struct route_conf *conf, uint64_t until_us, uint64_t now_us)
{
    return conf->raw_mode == CONFIG_RAW_STRICT && now_us < until_us;
}
