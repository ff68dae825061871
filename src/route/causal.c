/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/route/causal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <xxhash.h>

struct slot {
    _Atomic uint64_t version;
    pthread_mutex_t lock;
    struct gtid_set token;
    uint64_t unknown_us;
    uint64_t blind_until_us;
};

struct causal_board {
    struct slot slots[CAUSAL_SLOTS];
};

struct causal_board *causal_board_create(void)
{
    struct causal_board *board = calloc(1, sizeof(*board));

    for (size_t i = 0; board != NULL && i < CAUSAL_SLOTS; i++) {
        atomic_init(&board->slots[i].version, 0);
        (void)pthread_mutex_init(&board->slots[i].lock, NULL);
    }
    return board;
}

void causal_board_destroy(struct causal_board *board)
{
    for (size_t i = 0; board != NULL && i < CAUSAL_SLOTS; i++) {
        gtid_fini(&board->slots[i].token);
        (void)pthread_mutex_destroy(&board->slots[i].lock);
    }
    free(board);
}

uint32_t causal_slot_user(struct span user)
{
    return 1U + (uint32_t)(XXH3_64bits(user.p, user.len) % CAUSAL_USERS);
}

uint32_t causal_slot_key(struct span key)
{
    return 1U + CAUSAL_USERS + (uint32_t)(XXH3_64bits(key.p, key.len) % CAUSAL_KEYS);
}

static struct slot *slot_lock(struct causal_board *board, uint32_t slot)
{
    struct slot *entry = &board->slots[slot % CAUSAL_SLOTS];

    (void)pthread_mutex_lock(&entry->lock);
    return entry;
}

static void slot_unlock(struct slot *entry, bool is_marked)
{
    if (is_marked) {
        (void)atomic_fetch_add_explicit(&entry->version, 1, memory_order_seq_cst);
    }
    (void)pthread_mutex_unlock(&entry->lock);
}

static int slot_add(struct slot *entry, const struct gtid_set *token, const struct gtid_set *whole)
{
    int r = gtid_add(&entry->token, token, &GTID_LIMITS_TOKEN);

    if (r < 0 && whole != NULL) {
        gtid_close_gaps(&entry->token, whole);
        r = gtid_add(&entry->token, token, &GTID_LIMITS_TOKEN);
    }
    return r;
}

void causal_board_add(struct causal_board *board, uint32_t slot, const struct gtid_set *token,
                      const struct gtid_set *whole, uint64_t now_us)
{
    struct slot *entry = slot_lock(board, slot);

    if (slot_add(entry, token, whole) < 0) {
        /* of another flavour, or too many gaps: whatever the primary has then is enough */
        gtid_clear(&entry->token);
        entry->unknown_us = now_us > entry->unknown_us ? now_us : entry->unknown_us;
    }
    slot_unlock(entry, true);
}

void causal_board_unknown(struct causal_board *board, uint32_t slot, uint64_t now_us)
{
    struct slot *entry = slot_lock(board, slot);

    entry->unknown_us = now_us > entry->unknown_us ? now_us : entry->unknown_us;
    slot_unlock(entry, true);
}

void causal_board_blind(struct causal_board *board, uint32_t slot, uint64_t until_us)
{
    struct slot *entry = slot_lock(board, slot);

    entry->blind_until_us = until_us > entry->blind_until_us ? until_us : entry->blind_until_us;
    slot_unlock(entry, true);
}

bool causal_board_is_new(const struct causal_board *board, uint32_t slot, uint64_t version)
{
    return atomic_load_explicit(&board->slots[slot % CAUSAL_SLOTS].version, memory_order_seq_cst) !=
           version;
}

int causal_board_take(struct causal_board *board, uint32_t slot, struct gtid_set *token,
                      struct causal_mark *ret_mark)
{
    struct slot *entry = slot_lock(board, slot);
    int r = gtid_add(token, &entry->token, &GTID_LIMITS_TOKEN);

    if (r >= 0) {
        *ret_mark = (struct causal_mark){
            .version = atomic_load_explicit(&entry->version, memory_order_relaxed),
            .unknown_us = entry->unknown_us,
            .blind_until_us = entry->blind_until_us,
        };
    }
    slot_unlock(entry, false);
    return r;
}
