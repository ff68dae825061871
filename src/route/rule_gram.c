/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for four bytes in a row, whatever their case. Each piece that a rule needs is filed under
 * grams of it, as many as lie between two looks at a text; a text is walked once, `step` bytes at a
 * time, with one look at a small bit set each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/fault.h"

#include "rule_priv.h"

/* Grams of these are in most statements, and make a poor choice. */
static const char common[] =
    "select distinct count(*) from where and insert into values update set "
    "delete left inner join on group by order by limit between like null ";

static uint32_t gram_of(const uint8_t *p)
{
    return (uint32_t)rule_load(p, RULE_GRAM) | 0x20202020U;
}

static uint32_t gram_hash(uint32_t gram)
{
    return gram * 0x9e3779b1U;
}

static bool is_common(uint32_t gram)
{
    for (size_t i = 0; i + RULE_GRAM < sizeof(common); i++) {
        if (gram_of((const uint8_t *)common + i) == gram) {
            return true;
        }
    }
    return false;
}

size_t rule_piece_rare(const struct rule_piece *piece)
{
    size_t count = 0;

    for (size_t i = 0; i + RULE_GRAM <= piece->len; i++) {
        count += is_common(gram_of(piece->text + i)) ? 0 : 1;
    }
    return count;
}

/* Its place, or the free one where it would be. */
static struct rule_gram *gram_find(const struct rule_grams *grams, uint32_t gram)
{
    for (size_t at = gram_hash(gram) >> 8;; at++) {
        struct rule_gram *slot = &grams->slot[at & (grams->slot_count - 1)];

        if (slot->ids.count == 0 || slot->gram == gram) {
            return slot;
        }
    }
}

static int grams_grow(struct rule_grams *grams)
{
    struct rule_grams old = *grams;

    grams->slot_count = old.slot_count == 0 ? 16 : old.slot_count * 2;
    grams->slot = fault_calloc(grams->slot_count, sizeof(*grams->slot));
    if (grams->slot == NULL) {
        *grams = old;
        return -ENOMEM;
    }
    for (size_t i = 0; i < old.slot_count; i++) {
        if (old.slot[i].ids.count != 0) {
            *gram_find(grams, old.slot[i].gram) = old.slot[i];
        }
    }
    free(old.slot);
    return 0;
}

static int gram_file(struct rule_grams *grams, uint32_t gram, uint32_t id)
{
    uint32_t bit = gram_hash(gram) >> (32 - RULE_GRAM_BITS);
    struct rule_gram *slot = NULL;

    if (2 * (grams->count + 1) > grams->slot_count && grams_grow(grams) < 0) {
        return -ENOMEM;
    }
    slot = gram_find(grams, gram);
    grams->count += slot->ids.count == 0 ? 1 : 0;
    slot->gram = gram;
    grams->bits[bit / 64] |= UINT64_C(1) << (bit % 64);
    return rule_ids_add(&slot->ids, id);
}

/* How bad a choice the gram would be. */
static uint32_t gram_cost(const struct rule_grams *grams, uint32_t gram)
{
    uint32_t others = grams->count == 0 ? 0 : gram_find(grams, gram)->ids.count;

    return others * 2 + (is_common(gram) ? 16 : 0);
}

int rule_grams_file(struct rule_grams *grams, const struct rule_piece *piece, uint32_t id)
{
    uint32_t least = UINT32_MAX;
    size_t best = 0;
    int rc = 0;

    for (size_t i = 0; i + rule_grams_min(grams) <= piece->len; i++) {
        uint32_t cost = 0;

        for (unsigned k = 0; k < grams->step; k++) {
            cost += gram_cost(grams, gram_of(piece->text + i + k));
        }
        if (cost <= least) { /* names differ towards their ends */
            least = cost;
            best = i;
        }
    }
    for (unsigned k = 0; k < grams->step && rc == 0; k++) {
        rc = gram_file(grams, gram_of(piece->text + best + k), id);
    }
    return rc;
}

void rule_grams_free(struct rule_grams *grams)
{
    for (size_t i = 0; i < grams->slot_count; i++) {
        free(grams->slot[i].ids.id);
    }
    free(grams->slot);
}

const struct rule_ids *rule_grams_next(const struct rule_grams *grams, struct span text, size_t *at)
{
    if (grams->count == 0) {
        return NULL;
    }
    for (size_t i = *at; i + RULE_GRAM <= text.len; i += grams->step) {
        uint32_t gram = gram_of(text.p + i);
        uint32_t bit = gram_hash(gram) >> (32 - RULE_GRAM_BITS);

        if ((grams->bits[bit / 64] >> (bit % 64) & 1U) != 0) {
            const struct rule_gram *slot = gram_find(grams, gram);

            if (slot->ids.count != 0) {
                *at = i + grams->step;
                return &slot->ids;
            }
        }
    }
    *at = text.len;
    return NULL;
}
