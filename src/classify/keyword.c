/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyword.c - look-up in the generated table.
 *
 * Both ends of a word, eight bytes each and overlapping when it is short, are read at once with the
 * bit of the case cleared: that folds letters and keeps all bytes that a word may have apart. They
 * make the hash, and for words up to sixteen bytes they are the comparison, too.
 */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "keyword_priv.h"
#include "keyword_tab.h"

#define CASE_BITS UINT64_C(0xdfdfdfdfdfdfdfdf)

struct word_ends {
    uint64_t head;
    uint64_t tail;
};

/* Little end first on every machine. */
static inline uint64_t load_4(const uint8_t *p)
{
    uint32_t raw = 0;
    memcpy(&raw, p, sizeof(raw));
    return le32toh(raw);
}

static inline uint64_t load_8(const uint8_t *p)
{
    uint64_t raw = 0;
    memcpy(&raw, p, sizeof(raw));
    return le64toh(raw);
}

static inline struct word_ends word_ends(const uint8_t *p, size_t len)
{
    struct word_ends e = {0, 0};
    if (len >= 8) {
        e.head = load_8(p);
        e.tail = load_8(p + len - 8);
    } else if (len >= 4) {
        e.head = load_4(p);
        e.tail = load_4(p + len - 4);
    } else {
        e.head = (uint64_t)p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16;
    }
    e.head &= CASE_BITS;
    e.tail &= CASE_BITS;
    return e;
}

static inline uint32_t ends_hash(struct word_ends e, size_t len)
{
    uint64_t h =
        e.head * UINT64_C(0x9e3779b97f4a7c15) + e.tail * UINT64_C(0xc2b2ae3d27d4eb4f) + len;
    h ^= h >> 29;
    return (uint32_t)((h * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static bool keyword_is(const struct kw_def *def, const uint8_t *word, size_t len,
                       struct word_ends e)
{
    const uint8_t *text = (const uint8_t *)def->text;
    struct word_ends own = word_ends(text, len);
    if (own.head != e.head || own.tail != e.tail) {
        return false;
    }
    for (size_t i = 8; i + 8 < len; i++) {
        if ((word[i] ^ text[i]) & 0xdfU) {
            return false;
        }
    }
    return true;
}

uint16_t keyword_find(const uint8_t *word, size_t len)
{
    if (len == 0 || len > KW_MAX_LEN) {
        return KW_NONE;
    }
    struct word_ends e = word_ends(word, len);
    uint32_t hash = ends_hash(e, len);
    uint32_t slot = hash % KW_SLOTS;
    uint16_t tag = (uint16_t)(hash >> 16);
    while (kw_slots[slot].id != 0) {
        if (kw_slots[slot].tag == tag) {
            const struct kw_def *def = &kw_defs[kw_slots[slot].id];
            if (def->len == len && keyword_is(def, word, len, e)) {
                return kw_slots[slot].id;
            }
        }
        slot = (slot + 1) % KW_SLOTS;
    }
    return KW_NONE;
}

const struct kw_def *keyword_def(uint16_t id)
{
    return &kw_defs[id];
}
