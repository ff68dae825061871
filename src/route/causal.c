/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/route/causal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

struct slot {
    _Atomic uint64_t version;
    pthread_mutex_t lock;
    struct gtid_set token;
    uint64_t unknown_us;
    uint64_t blind_until_us;
    /* for other boards; of a shared one only */
    struct gtid_set out;
    uint64_t out_blind_until_us;
    bool out_unknown;
};

#define WORD_BITS   64U
#define DIRTY_WORDS ((CAUSAL_SLOTS + WORD_BITS - 1) / WORD_BITS)

struct causal_board {
    /* set once, before there is a second thread */
    bool is_shared;
    causal_wake_fn wake;
    void *wake_arg;
    /* written by the one who hears */
    _Atomic uint64_t hear_until_us;
    _Atomic uint64_t missed_us;      /* in every slot a write of unknown position, at this time */
    _Atomic uint64_t missed_version; /* goes up with it; part of every slot's version */
    /* written by all */
    _Alignas(64) _Atomic uint64_t dirty[DIRTY_WORDS];
    atomic_bool is_woken;
    struct slot slots[CAUSAL_SLOTS];
};

struct causal_board *causal_board_create(void)
{
    struct causal_board *board = aligned_alloc(_Alignof(struct causal_board), sizeof(*board));

    if (board != NULL) {
        memset(board, 0, sizeof(*board));
    }
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
        gtid_fini(&board->slots[i].out);
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

/* The slot has something for other boards. */
static void slot_tell(struct causal_board *board, uint32_t slot)
{
    uint32_t index = slot % CAUSAL_SLOTS;

    if (!board->is_shared) {
        return;
    }
    (void)atomic_fetch_or_explicit(&board->dirty[index / WORD_BITS],
                                   UINT64_C(1) << index % WORD_BITS, memory_order_seq_cst);
    if (!atomic_load_explicit(&board->is_woken, memory_order_seq_cst) &&
        !atomic_exchange_explicit(&board->is_woken, true, memory_order_seq_cst)) {
        board->wake(board->wake_arg);
    }
}

static int set_add(struct gtid_set *set, const struct gtid_set *token, const struct gtid_set *whole)
{
    int r = gtid_add(set, token, &GTID_LIMITS_TOKEN);

    if (r < 0 && whole != NULL) {
        gtid_close_gaps(set, whole);
        r = gtid_add(set, token, &GTID_LIMITS_TOKEN);
    }
    return r;
}

static void slot_add(struct slot *entry, const struct gtid_set *token, const struct gtid_set *whole,
                     uint64_t now_us)
{
    if (set_add(&entry->token, token, whole) < 0) {
        /* of another flavour, or too many gaps: whatever the primary has then is enough */
        gtid_clear(&entry->token);
        entry->unknown_us = now_us > entry->unknown_us ? now_us : entry->unknown_us;
    }
}

void causal_board_add(struct causal_board *board, uint32_t slot, const struct gtid_set *token,
                      const struct gtid_set *whole, uint64_t now_us)
{
    struct slot *entry = slot_lock(board, slot);

    slot_add(entry, token, whole, now_us);
    if (board->is_shared && set_add(&entry->out, token, whole) < 0) {
        gtid_clear(&entry->out);
        entry->out_unknown = true;
    }
    slot_unlock(entry, true);
    slot_tell(board, slot);
}

void causal_board_unknown(struct causal_board *board, uint32_t slot, uint64_t now_us)
{
    struct slot *entry = slot_lock(board, slot);

    entry->unknown_us = now_us > entry->unknown_us ? now_us : entry->unknown_us;
    entry->out_unknown = true;
    slot_unlock(entry, true);
    slot_tell(board, slot);
}

void causal_board_blind(struct causal_board *board, uint32_t slot, uint64_t until_us)
{
    struct slot *entry = slot_lock(board, slot);

    entry->blind_until_us = until_us > entry->blind_until_us ? until_us : entry->blind_until_us;
    entry->out_blind_until_us =
        until_us > entry->out_blind_until_us ? until_us : entry->out_blind_until_us;
    slot_unlock(entry, true);
    slot_tell(board, slot);
}

/* Both parts only ever go up, so that equal sums are equal parts. */
static uint64_t slot_version(const struct causal_board *board, const struct slot *entry)
{
    return atomic_load_explicit(&entry->version, memory_order_seq_cst) +
           atomic_load_explicit(&board->missed_version, memory_order_seq_cst);
}

bool causal_board_is_new(const struct causal_board *board, uint32_t slot, uint64_t version)
{
    return slot_version(board, &board->slots[slot % CAUSAL_SLOTS]) != version;
}

int causal_board_take(struct causal_board *board, uint32_t slot, struct gtid_set *token,
                      struct causal_mark *ret_mark)
{
    struct slot *entry = slot_lock(board, slot);
    uint64_t version = slot_version(board, entry); /* before what it stands for */
    uint64_t missed_us = atomic_load_explicit(&board->missed_us, memory_order_seq_cst);
    int r = gtid_add(token, &entry->token, &GTID_LIMITS_TOKEN);

    if (r >= 0) {
        *ret_mark = (struct causal_mark){
            .version = version,
            .unknown_us = missed_us > entry->unknown_us ? missed_us : entry->unknown_us,
            .blind_until_us = entry->blind_until_us,
        };
    }
    slot_unlock(entry, false);
    return r;
}

/* --- a board that is shared --- */

void causal_board_share(struct causal_board *board, causal_wake_fn wake, void *arg)
{
    board->is_shared = true;
    board->wake = wake;
    board->wake_arg = arg;
}

static bool next_dirty(struct causal_board *board, uint32_t *cursor)
{
    for (uint32_t word = *cursor / WORD_BITS; word < DIRTY_WORDS; word++) {
        uint64_t bits = atomic_load_explicit(&board->dirty[word], memory_order_seq_cst);

        bits &= *cursor > word * WORD_BITS ? UINT64_MAX << *cursor % WORD_BITS : UINT64_MAX;
        if (bits != 0) {
            *cursor = word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

/* False: it has been collected between the mark and the bit that says so. */
static bool slot_collect(struct causal_board *board, uint32_t slot, struct gtid_set *token,
                         struct causal_out *ret_out)
{
    struct slot *entry = slot_lock(board, slot);
    struct gtid_set out = entry->out;

    gtid_clear(token);
    entry->out = *token;
    *token = out;
    *ret_out = (struct causal_out){
        .slot = slot,
        .is_unknown = entry->out_unknown,
        .blind_until_us = entry->out_blind_until_us,
    };
    entry->out_unknown = false;
    entry->out_blind_until_us = 0;
    slot_unlock(entry, false);
    return ret_out->is_unknown || ret_out->blind_until_us != 0 || !gtid_is_empty(token);
}

bool causal_board_collect(struct causal_board *board, uint32_t *cursor, struct gtid_set *token,
                          struct causal_out *ret_out)
{
    if (*cursor == 0) {
        atomic_store_explicit(&board->is_woken, false, memory_order_seq_cst);
    }
    while (*cursor < CAUSAL_SLOTS && next_dirty(board, cursor)) {
        uint32_t slot = (*cursor)++;

        /* a mark that comes after this makes it dirty again */
        (void)atomic_fetch_and_explicit(&board->dirty[slot / WORD_BITS],
                                        ~(UINT64_C(1) << slot % WORD_BITS), memory_order_seq_cst);
        if (slot_collect(board, slot, token, ret_out)) {
            return true;
        }
    }
    return false;
}

void causal_board_hear(struct causal_board *board, const struct causal_out *heard,
                       const struct gtid_set *token, const struct gtid_set *whole, uint64_t now_us)
{
    struct slot *entry = slot_lock(board, heard->slot);

    if (token != NULL && !gtid_is_empty(token)) {
        slot_add(entry, token, whole, now_us);
    }
    if (heard->is_unknown && now_us > entry->unknown_us) {
        entry->unknown_us = now_us;
    }
    if (heard->blind_until_us > entry->blind_until_us) {
        entry->blind_until_us = heard->blind_until_us;
    }
    slot_unlock(entry, true);
}

void causal_board_missed(struct causal_board *board, uint64_t now_us)
{
    /* the time first: who sees the version sees it */
    atomic_store_explicit(&board->missed_us, now_us, memory_order_seq_cst);
    (void)atomic_fetch_add_explicit(&board->missed_version, 1, memory_order_seq_cst);
}

void causal_board_hear_until(struct causal_board *board, uint64_t until_us)
{
    atomic_store_explicit(&board->hear_until_us, until_us, memory_order_seq_cst);
}

bool causal_board_is_shared(const struct causal_board *board)
{
    return board->is_shared;
}

bool causal_board_is_deaf(const struct causal_board *board, uint64_t now_us)
{
    return board->is_shared &&
           now_us >= atomic_load_explicit(&board->hear_until_us, memory_order_seq_cst);
}
