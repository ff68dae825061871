/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/observe/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/util/assert.h"
#include "weir/util/fault.h"

struct events {
    uint64_t total;
    struct event ring[EVENTS_MAX];
};

const char *event_kind_text(enum event_kind kind)
{
    static const char *const texts[] = {
#define X(name, text, is_bad) [EVENT_##name] = (text),
        EVENT_KINDS(X)
#undef X
    };

    return texts[kind];
}

int events_create(struct events **ret_events)
{
    struct events *events = fault_calloc(1, sizeof(*events));

    if (events == NULL) {
        return -ENOMEM;
    }
    *ret_events = events;
    return 0;
}

void events_destroy(struct events *events)
{
    free(events);
}

void events_add(struct events *events, uint64_t at_ms, enum event_kind kind, const char *server,
                const char *text)
{
    struct event *event = &events->ring[events->total % EVENTS_MAX];

    events->total++;
    event->at_ms = at_ms;
    event->number = events->total;
    event->kind = kind;
    (void)snprintf(event->server, sizeof(event->server), "%s", server);
    (void)snprintf(event->text, sizeof(event->text), "%s", text);
}

size_t events_count(const struct events *events)
{
    return events->total < EVENTS_MAX ? (size_t)events->total : EVENTS_MAX;
}

const struct event *events_at(const struct events *events, size_t index)
{
    size_t count = events_count(events);

    WR_ASSERT(index < count);
    return &events->ring[(events->total - count + index) % EVENTS_MAX];
}
