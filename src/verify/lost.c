/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "lost_priv.h"

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static bool is_lossy(const struct history_event *event)
{
    return event->kind == HISTORY_FAULT && (event->flags & HISTORY_F_LOSSY) != 0;
}

static bool is_missing(const struct history_event *event, const struct truth *truth)
{
    return (event->kind == HISTORY_WRITE || event->kind == HISTORY_INSERT) &&
           event->outcome != HISTORY_FAIL && truth_find(truth, event->op) == NULL;
}

int lost_init(struct lost *lost, const struct history *history, const struct truth *truth,
              uint64_t margin_us)
{
    size_t missing = 0;
    uint64_t begin_us = UINT64_MAX;

    *lost = (struct lost){.ops = NULL};
    for (size_t i = 0; i < history->count; i++) {
        const struct history_event *event = &history->events[i];

        missing += is_missing(event, truth) ? 1 : 0;
        if (is_lossy(event)) {
            begin_us = event->begin_us < begin_us ? event->begin_us : begin_us;
            lost->end_us = event->end_us > lost->end_us ? event->end_us : lost->end_us;
        }
    }
    if (lost->end_us == 0 || missing == 0) {
        return 0;
    }
    lost->ops = calloc(missing, sizeof(*lost->ops));
    if (lost->ops == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < history->count; i++) {
        const struct history_event *event = &history->events[i];

        if (is_missing(event, truth) && event->begin_us <= lost->end_us &&
            event->end_us + margin_us >= begin_us) {
            lost->ops[lost->count++] = event->op;
        }
    }
    if (lost->count > 0) {
        qsort(lost->ops, lost->count, sizeof(*lost->ops), by_value);
    }
    return 0;
}

void lost_fini(struct lost *lost)
{
    free(lost->ops);
    *lost = (struct lost){.ops = NULL};
}

bool lost_has(const struct lost *lost, uint32_t op)
{
    return lost->count > 0 &&
           bsearch(&op, lost->ops, lost->count, sizeof(*lost->ops), by_value) != NULL;
}
