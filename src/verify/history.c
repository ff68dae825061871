/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/verify/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"

void history_init(struct history *history)
{
    *history = (struct history){.events = NULL};
}

void history_fini(struct history *history)
{
    free(history->events);
    history_init(history);
}

static int reserve(struct history *history, size_t more)
{
    size_t cap = history->cap == 0 ? 1024 : history->cap;
    struct history_event *grown = NULL;

    if (more > HISTORY_MAX - history->count) {
        return -WR_E_LIMIT;
    }
    if (history->count + more <= history->cap) {
        return 0;
    }
    while (cap < history->count + more) {
        cap *= 2;
    }
    grown = realloc(history->events, cap * sizeof(*grown));
    if (grown == NULL) {
        return -ENOMEM;
    }
    history->events = grown;
    history->cap = cap;
    return 0;
}

int history_add(struct history *history, const struct history_event *event)
{
    int rc = reserve(history, 1);

    if (rc == 0) {
        history->events[history->count++] = *event;
    }
    return rc;
}

int history_append(struct history *history, const struct history *from)
{
    int rc = reserve(history, from->count);

    if (rc == 0 && from->count > 0) {
        memcpy(history->events + history->count, from->events, from->count * sizeof(*from->events));
        history->count += from->count;
    }
    return rc;
}

const char *history_kind_text(enum history_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) [HISTORY_##name] = (text),
        HISTORY_KINDS(X)
#undef X
    };
    return kind < HISTORY_KIND_END_ ? texts[kind] : "?";
}

const char *history_outcome_text(enum history_outcome outcome)
{
    static const char *const texts[] = {
#define X(name, text) [HISTORY_##name] = (text),
        HISTORY_OUTCOMES(X)
#undef X
    };
    return outcome < HISTORY_OUTCOME_END_ ? texts[outcome] : "?";
}

void history_print_event(FILE *out, const struct history_event *event)
{
    (void)fprintf(out,
                  "%" PRIu64 "\t%" PRIu64 "\tthread=%u\tsession=%u\t%s\t%s\tkey=%u\top=%u\tver=%u\t"
                  "seen=%u\tvalue=%" PRId64 "\tserver=%u\terror=%u\tflags=%u\n",
                  event->begin_us, event->end_us, event->thread, event->session,
                  history_kind_text(event->kind), history_outcome_text(event->outcome), event->key,
                  event->op, event->ver, event->seen, event->value, event->server, event->error,
                  event->flags);
}
