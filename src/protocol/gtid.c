/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sorted array of ranges for both flavours. What servers write is sorted already, so that a set
 * is built by appending; what sessions add is one transaction at a time, mostly next to the last.
 */
#include "weir/protocol/gtid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "gtid_priv.h"

const struct gtid_limits GTID_LIMITS_TOKEN = {.sources = 16, .ranges = 64};
const struct gtid_limits GTID_LIMITS_SERVER = {.sources = 1024, .ranges = 16384};

void gtid_init(struct gtid_set *set)
{
    *set = (struct gtid_set){.kind = GTID_ANY};
}

void gtid_fini(struct gtid_set *set)
{
    free(set->sources);
    free(set->ranges);
    gtid_init(set);
}

void gtid_clear(struct gtid_set *set)
{
    set->kind = GTID_ANY;
    set->source_count = 0;
    set->count = 0;
}

bool gtid_is_empty(const struct gtid_set *set)
{
    return set->count == 0;
}

/* --- storage --- */

static int room_for_source(struct gtid_set *set)
{
    if (set->source_count < set->source_cap) {
        return 0;
    }
    uint32_t cap = set->source_cap == 0 ? 1 : set->source_cap * 2;
    struct gtid_source *grown = fault_realloc(set->sources, cap * sizeof(*grown));
    if (grown == NULL) {
        return -ENOMEM;
    }
    set->sources = grown;
    set->source_cap = cap;
    return 0;
}

static int room_for_range(struct gtid_set *set)
{
    if (set->ranges != NULL && set->count < set->cap) {
        return 0;
    }
    uint32_t cap = set->cap == 0 ? 4 : set->cap * 2;
    struct gtid_range *grown = fault_realloc(set->ranges, cap * sizeof(*grown));
    if (grown == NULL) {
        return -ENOMEM;
    }
    set->ranges = grown;
    set->cap = cap;
    return 0;
}

static bool source_equal(const struct gtid_source *a, const struct gtid_source *b)
{
    return memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 && a->tag_len == b->tag_len &&
           memcmp(a->tag, b->tag, a->tag_len) == 0;
}

/* -1: not there. The last one is the likeliest. */
static int64_t source_find(const struct gtid_set *set, const struct gtid_source *source)
{
    for (uint32_t i = set->source_count; i > 0; i--) {
        if (source_equal(&set->sources[i - 1], source)) {
            return i - 1;
        }
    }
    return -1;
}

int gtid_source_add(struct gtid_set *set, const struct gtid_source *source,
                    const struct gtid_limits *limits, uint32_t *ret_index)
{
    int64_t found = source_find(set, source);
    if (found < 0) {
        if (set->source_count >= limits->sources) {
            return -WR_E_LIMIT;
        }
        int r = room_for_source(set);
        if (r < 0) {
            return r;
        }
        found = set->source_count++;
        set->sources[found] = *source;
    }
    *ret_index = (uint32_t)found;
    return 0;
}

/* How many ranges begin at or before this place. */
static uint32_t rank(const struct gtid_set *set, uint32_t source, uint64_t from)
{
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct gtid_range *at = &set->ranges[mid];
        if (at->source < source || (at->source == source && at->from <= from)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void ranges_remove(struct gtid_set *set, uint32_t at, uint32_t count)
{
    memmove(set->ranges + at, set->ranges + at + count,
            (set->count - at - count) * sizeof(set->ranges[0]));
    set->count -= count;
}

static int range_insert(struct gtid_set *set, uint32_t at, const struct gtid_range *range,
                        const struct gtid_limits *limits)
{
    if (set->count >= limits->ranges) {
        return -WR_E_LIMIT;
    }
    int r = room_for_range(set);
    if (r < 0) {
        return r;
    }
    memmove(set->ranges + at + 1, set->ranges + at, (set->count - at) * sizeof(set->ranges[0]));
    set->ranges[at] = *range;
    set->count++;
    return 0;
}

/* Ranges behind `at` that it has grown over, or up to. */
static void range_absorb(struct gtid_set *set, uint32_t at)
{
    struct gtid_range *range = &set->ranges[at];
    uint32_t next = at + 1;
    while (next < set->count && set->ranges[next].source == range->source &&
           set->ranges[next].from <= range->to + 1) {
        if (set->ranges[next].to > range->to) {
            range->to = set->ranges[next].to;
        }
        next++;
    }
    ranges_remove(set, at + 1, next - at - 1);
}

int gtid_range_add(struct gtid_set *set, const struct gtid_range *range,
                   const struct gtid_limits *limits)
{
    uint32_t at = rank(set, range->source, range->from);
    struct gtid_range *before = at > 0 ? &set->ranges[at - 1] : NULL;

    if (before != NULL && before->source == range->source && before->to + 1 >= range->from) {
        if (range->to > before->to) {
            before->to = range->to;
            before->server = range->server;
            range_absorb(set, at - 1);
        }
        return 0;
    }
    if (set->ranges != NULL && at < set->count && set->ranges[at].source == range->source &&
        set->ranges[at].from <= range->to + 1) {
        set->ranges[at].from = range->from;
        if (range->to > set->ranges[at].to) {
            set->ranges[at].to = range->to;
            range_absorb(set, at);
        }
        return 0;
    }
    return range_insert(set, at, range, limits);
}

/* --- sets --- */

int gtid_copy(struct gtid_set *dst, const struct gtid_set *src)
{
    struct gtid_set copy = {.kind = src->kind};

    if (src->source_count > 0) {
        copy.sources = fault_malloc(src->source_count * sizeof(copy.sources[0]));
        if (copy.sources == NULL) {
            return -ENOMEM;
        }
        memcpy(copy.sources, src->sources, src->source_count * sizeof(copy.sources[0]));
        copy.source_count = copy.source_cap = src->source_count;
    }
    if (src->count > 0) {
        copy.ranges = fault_malloc(src->count * sizeof(copy.ranges[0]));
        if (copy.ranges == NULL) {
            free(copy.sources);
            return -ENOMEM;
        }
        memcpy(copy.ranges, src->ranges, src->count * sizeof(copy.ranges[0]));
        copy.count = copy.cap = src->count;
    }
    gtid_fini(dst);
    *dst = copy;
    return 0;
}

static int add_into(struct gtid_set *set, const struct gtid_set *more,
                    const struct gtid_limits *limits)
{
    uint32_t source = 0;
    uint32_t of = UINT32_MAX;
    int r = 0;

    for (uint32_t i = 0; i < more->count && r >= 0; i++) {
        struct gtid_range range = more->ranges[i];
        if (more->kind == GTID_MYSQL) {
            if (range.source != of) {
                of = range.source;
                r = gtid_source_add(set, &more->sources[of], limits, &source);
            }
            range.source = source;
        }
        if (r >= 0) {
            r = gtid_range_add(set, &range, limits);
        }
    }
    if (r >= 0) {
        set->kind = more->kind;
    }
    return r;
}

int gtid_add(struct gtid_set *set, const struct gtid_set *more, const struct gtid_limits *limits)
{
    struct gtid_set sum;

    if (gtid_is_empty(more)) {
        return 0;
    }
    if (set->kind != GTID_ANY && set->kind != more->kind) {
        return -WR_E_BAD_PACKET;
    }
    if (more->count == 1) {
        return add_into(set, more, limits); /* what fails here has changed nothing */
    }
    gtid_init(&sum);
    int r = gtid_copy(&sum, set);
    if (r >= 0) {
        r = add_into(&sum, more, limits);
    }
    if (r < 0) {
        gtid_fini(&sum);
        return r;
    }
    gtid_fini(set);
    *set = sum;
    return 0;
}

int gtid_add_up_to(struct gtid_set *set, const struct gtid_set *more,
                   const struct gtid_limits *limits)
{
    int r = set->kind != GTID_ANY && set->kind != more->kind ? -WR_E_BAD_PACKET : 0;

    if (r >= 0 && more->kind == GTID_MARIADB) {
        r = gtid_add(set, more, limits);
        return r >= 0 && set->count > 1 ? -WR_E_UNSUPPORTED : r;
    }
    for (uint32_t i = 0; i < more->count && r >= 0; i++) {
        struct gtid_range range = {.from = 1, .to = more->ranges[i].to};

        r = gtid_source_add(set, &more->sources[more->ranges[i].source], limits, &range.source);
        if (r >= 0) {
            uint32_t at = rank(set, range.source, UINT64_MAX);
            if (at > 0 && set->ranges[at - 1].source == range.source) {
                range.from = set->ranges[at - 1].to + 1;
            }
            r = range.from > range.to ? 0 : gtid_range_add(set, &range, limits);
        }
    }
    if (r >= 0 && more->count > 0) {
        set->kind = more->kind;
    }
    return r;
}

/* All of [from, to], by one range: ranges that touch are one. */
static bool has_range(const struct gtid_set *set, uint32_t source, uint64_t from, uint64_t to)
{
    uint32_t at = rank(set, source, from);
    return at > 0 && set->ranges[at - 1].source == source && set->ranges[at - 1].to >= to;
}

bool gtid_has(const struct gtid_set *have, const struct gtid_set *want)
{
    int64_t source = -1;
    uint32_t of = UINT32_MAX;

    if (want->count != 0 && have->kind != want->kind) {
        return false;
    }
    for (uint32_t i = 0; i < want->count; i++) {
        const struct gtid_range *range = &want->ranges[i];
        if (want->kind == GTID_MARIADB) {
            source = range->source;
        } else if (range->source != of) {
            of = range->source;
            source = source_find(have, &want->sources[of]);
        }
        if (source < 0 || !has_range(have, (uint32_t)source, range->from, range->to)) {
            return false;
        }
    }
    return true;
}

static uint64_t count_in(const struct gtid_set *set, uint32_t source, uint64_t from, uint64_t to)
{
    uint32_t at = rank(set, source, from);
    uint64_t count = 0;

    if (at > 0 && set->ranges[at - 1].source == source) {
        at--;
    }
    for (; at < set->count && set->ranges[at].source == source && set->ranges[at].from <= to;
         at++) {
        uint64_t first = set->ranges[at].from > from ? set->ranges[at].from : from;
        uint64_t last = set->ranges[at].to < to ? set->ranges[at].to : to;

        count += last >= first ? last - first + 1 : 0;
    }
    return count;
}

uint64_t gtid_count_missing(const struct gtid_set *have, const struct gtid_set *want)
{
    uint64_t count = 0;

    if (have->kind != want->kind && have->count != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < want->count; i++) {
        const struct gtid_range *range = &want->ranges[i];
        uint64_t from = range->from == 0 ? 1 : range->from; /* MariaDB's have none */
        int64_t source = want->kind == GTID_MARIADB
                             ? range->source
                             : source_find(have, &want->sources[range->source]);

        count += range->to - from + 1;
        count -= source < 0 ? 0 : count_in(have, (uint32_t)source, from, range->to);
    }
    return count;
}

void gtid_close_gaps(struct gtid_set *set, const struct gtid_set *whole)
{
    if (set->kind != GTID_MYSQL || whole->kind != GTID_MYSQL) {
        return;
    }
    for (uint32_t i = 0; i + 1 < set->count;) {
        struct gtid_range *a = &set->ranges[i];
        const struct gtid_range *b = a + 1;
        int64_t source = a->source != b->source ? -1 : source_find(whole, &set->sources[a->source]);
        if (source >= 0 && has_range(whole, (uint32_t)source, a->to + 1, b->from - 1)) {
            a->to = b->to;
            ranges_remove(set, i + 1, 1);
        } else {
            i++;
        }
    }
}
