/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "order_priv.h"

static int by_key_end(const void *a, const void *b)
{
    const struct order_ack *x = a;
    const struct order_ack *y = b;

    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->end_us < y->end_us ? -1 : x->end_us > y->end_us;
}

static int by_op(const void *a, const void *b)
{
    uint32_t x = ((const struct order_ack *)a)->op;
    uint32_t y = ((const struct order_ack *)b)->op;

    return x < y ? -1 : x > y;
}

static void collect(struct order *order, const struct history *history, const struct truth *truth)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct history_event *event = &history->events[i];
        const struct truth_commit *commit = NULL;

        if (event->kind != HISTORY_WRITE || event->outcome == HISTORY_FAIL) {
            continue;
        }
        commit = truth_find(truth, event->op);
        if (commit == NULL || commit->ver == 0) {
            continue;
        }
        order->by_op[order->count++] = (struct order_ack){
            /* one whose end nobody saw binds nobody, but it was sent no earlier than that */
            .end_us = event->outcome == HISTORY_OK ? event->end_us : UINT64_MAX,
            .begin_us = event->begin_us,
            .op = event->op,
            .ver = commit->ver,
            .key = commit->key,
        };
    }
}

static void sort(struct order *order, uint16_t key_count)
{
    size_t at = 0;

    if (order->count > 0) {
        memcpy(order->acks, order->by_op, order->count * sizeof(*order->acks));
        qsort(order->by_op, order->count, sizeof(*order->by_op), by_op);
        qsort(order->acks, order->count, sizeof(*order->acks), by_key_end);
    }
    for (size_t key = 0; key < key_count; key++) {
        uint32_t most = 0;

        order->first[key] = at;
        while (at < order->count && order->acks[at].key == key) {
            most = order->acks[at].ver > most ? order->acks[at].ver : most;
            order->acks[at++].ver = most;
        }
    }
    order->first[key_count] = at;
}

static void take_ranks(struct order *order, const struct truth *truth)
{
    size_t at = 0;

    order->has_ranks = truth->has_ranks;
    for (uint16_t key = 0; key < truth->key_count; key++) {
        uint32_t last = 0;

        order->first_rank[key] = at;
        for (uint32_t i = 0; i < truth->keys[key].count; i++) {
            const struct truth_commit *commit = truth_find(truth, truth->keys[key].order[i]);
            uint32_t rank = commit == NULL ? 0 : commit->rank;

            order->ranks[at++] = rank;
            if (commit != NULL && commit->registers == 1) { /* a double is told of elsewhere */
                order->has_ranks = order->has_ranks && rank > last;
                last = rank;
            }
        }
    }
}

int order_init(struct order *order, const struct history *history, const struct truth *truth)
{
    size_t writes = 0;
    size_t vers = 0;

    *order = (struct order){.acks = NULL};
    for (size_t i = 0; i < history->count; i++) {
        writes += history->events[i].kind == HISTORY_WRITE ? 1 : 0;
    }
    for (uint16_t key = 0; key < truth->key_count; key++) {
        vers += truth->keys[key].count;
    }
    order->acks = calloc(writes + 1, sizeof(*order->acks));
    order->by_op = calloc(writes + 1, sizeof(*order->by_op));
    order->first = calloc(truth->key_count + (size_t)1, sizeof(*order->first));
    order->first_rank = calloc(truth->key_count + (size_t)1, sizeof(*order->first_rank));
    order->ranks = calloc(vers + 1, sizeof(*order->ranks));
    if (order->acks == NULL || order->by_op == NULL || order->first == NULL ||
        order->first_rank == NULL || order->ranks == NULL) {
        order_fini(order);
        return -ENOMEM;
    }
    collect(order, history, truth);
    sort(order, truth->key_count);
    take_ranks(order, truth);
    return 0;
}

void order_fini(struct order *order)
{
    free(order->acks);
    free(order->by_op);
    free(order->first);
    free(order->first_rank);
    free(order->ranks);
    *order = (struct order){.acks = NULL};
}

uint32_t order_ver_at(const struct order *order, uint16_t key, uint64_t time_us)
{
    size_t low = order->first[key];
    size_t high = order->first[key + 1];

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (order->acks[mid].end_us < time_us) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low == order->first[key] ? 0 : order->acks[low - 1].ver;
}

uint64_t order_stale_since_us(const struct order *order, uint16_t key, uint32_t seen_ver)
{
    size_t low = order->first[key];
    size_t high = order->first[key + 1];

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (order->acks[mid].ver <= seen_ver) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low == order->first[key + 1] ? UINT64_MAX : order->acks[low].end_us;
}

uint32_t order_ver_at_rank(const struct order *order, const struct truth *truth, uint16_t key,
                           uint32_t rank)
{
    const uint32_t *ranks = order->ranks + order->first_rank[key];
    uint32_t low = 0;
    uint32_t high = truth->keys[key].count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (ranks[mid] <= rank) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool order_begin_us(const struct order *order, uint32_t op, uint64_t *ret_begin_us)
{
    struct order_ack key = {.op = op};
    const struct order_ack *found = NULL;

    if (order->count > 0) {
        found = bsearch(&key, order->by_op, order->count, sizeof(key), by_op);
    }
    if (found != NULL) {
        *ret_begin_us = found->begin_us;
    }
    return found != NULL;
}
