/* SPDX-License-Identifier: Apache-2.0 */
#include "acked_priv.h"

void acked_fini(struct acked *acked)
{
    gtid_fini(&acked->sets[0]);
    gtid_fini(&acked->sets[1]);
}

/* Ranges of one source become one: they stand side by side, by their beginnings. */
static void hull(struct gtid_set *set)
{
    uint32_t kept = 0;

    for (uint32_t i = 1; i < set->count; i++) {
        if (set->ranges[i].source == set->ranges[kept].source) {
            set->ranges[kept].to = set->ranges[i].to;
        } else {
            set->ranges[++kept] = set->ranges[i];
        }
    }
    set->count = set->count == 0 ? 0 : kept + 1;
}

static void add(struct gtid_set *set, const struct gtid_set *more)
{
    if (gtid_add(set, more, &GTID_LIMITS_TOKEN) < 0) {
        return;
    }
    if (set->kind == GTID_MYSQL && set->count > ACKED_RANGES) {
        hull(set);
    }
}

void acked_note(struct acked *acked, const struct gtid_set *fresh, uint64_t now_us,
                uint64_t keep_us)
{
    if (now_us - acked->began_us >= keep_us) {
        struct gtid_set old = acked->sets[1];

        acked->sets[1] = acked->sets[0];
        acked->sets[0] = old;
        gtid_clear(&acked->sets[0]);
        if (now_us - acked->began_us >= 2 * keep_us) {
            gtid_clear(&acked->sets[1]);
        }
        acked->began_us = now_us;
    }
    add(&acked->sets[0], fresh);
}

void acked_take(struct acked *acked, struct gtid_set *ret_set)
{
    for (unsigned i = 0; i < 2; i++) {
        add(ret_set, &acked->sets[i]);
        gtid_clear(&acked->sets[i]);
    }
}
