/* SPDX-License-Identifier: Apache-2.0 */
/* keyword.c - look-up in the generated table. */
#include <stdbool.h>

#include "keyword_priv.h"
#include "keyword_tab.h"

static bool keyword_is(const struct kw_def *def, const uint8_t *word)
{
    for (size_t i = 0; i < def->len; i++) {
        uint8_t c = word[i];
        if (c >= 'a' && c <= 'z') {
            c = (uint8_t)(c - 32);
        }
        if (c != (uint8_t)def->text[i]) {
            return false;
        }
    }
    return true;
}

uint16_t keyword_find(const uint8_t *word, size_t len, uint32_t hash)
{
    if (len > KW_MAX_LEN) {
        return KW_NONE;
    }
    uint32_t slot = (hash ^ (hash >> 12)) % KW_SLOTS;
    uint16_t tag = (uint16_t)(hash >> 8);
    while (kw_slots[slot].id != 0) {
        if (kw_slots[slot].tag == tag) {
            const struct kw_def *def = &kw_defs[kw_slots[slot].id];
            if (def->len == len && keyword_is(def, word)) {
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
