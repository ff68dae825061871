/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyword.c - look-up in the generated table.
 *
 * The last eight letters of a word, in upper case, are its tail: whoever looks for the end of a word
 * has it for a shift per letter. It makes the hash, and for words up to eight letters it is the
 * comparison, too; so most words that are no keywords cost one multiplication.
 */
#include <stdbool.h>

#include "weir/util/attr.h"

#include "keyword_priv.h"
#include "keyword_tab.h"

#define TAIL_BYTES 8U

/* What stands before the tail. Clearing the bit of the case folds letters and keeps all other bytes
 * that a word may have apart. */
static bool head_is(const char *text, const uint8_t *word, size_t len)
{
    for (size_t i = 0; i + TAIL_BYTES < len; i++) {
        if (((word[i] ^ (uint8_t)text[i]) & 0xdfU) != 0) {
            return false;
        }
    }
    return true;
}

/* From slot on, the first one that is empty or whose word has that tail and length. */
static inline size_t slot_find(size_t slot, uint64_t tail, size_t len)
{
    for (;; slot++) {
        slot %= WR_ARRAY_LEN(keyword_slots);
        const struct kw_def *def = &kw_defs[keyword_slots[slot]];
        if (keyword_slots[slot] == KW_NONE || (def->tail == tail && def->len == len)) {
            return slot;
        }
    }
}

/* Few words are that long: kept out of keyword_match(), which so needs no stack. */
WR_COLD static uint16_t match_long(size_t slot, uint64_t tail, const uint8_t *word, size_t len)
{
    while (keyword_slots[slot] != KW_NONE) {
        if (head_is(kw_defs[keyword_slots[slot]].text, word, len)) {
            break;
        }
        slot = slot_find(slot + 1, tail, len);
    }
    return keyword_slots[slot];
}

uint16_t keyword_match(uint64_t tail, const uint8_t *word, size_t len)
{
    size_t slot = slot_find(keyword_slot(tail), tail, len);
    if (len <= TAIL_BYTES) {
        return keyword_slots[slot];
    }
    return match_long(slot, tail, word, len);
}

uint16_t keyword_find(const uint8_t *word, size_t len)
{
    uint64_t tail = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = word[i];
        tail = tail << 8 | (c >= 'a' && c <= 'z' ? c - 32U : c);
    }
    return keyword_match(tail, word, len);
}

const struct kw_def *keyword_def(uint16_t id)
{
    return &kw_defs[id];
}
