/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events - what has happened to the servers and to the process, the last of it.
 *
 * WHY       "What happened at three?" is asked before anybody has looked at a log.
 * OWNS      Copies of all texts.
 * THREADS   The thread that made it.
 * REENTRY   none
 * UNITS     at_ms: milliseconds since 1970, UTC.
 * ERRORS    -ENOMEM
 * BOUNDS    A ring: the oldest event makes room. Texts are cut.
 */
#ifndef WEIR_OBSERVE_EVENTS_H
#define WEIR_OBSERVE_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define EVENTS_MAX         512
#define EVENT_SERVER_BYTES 72
#define EVENT_TEXT_BYTES   200

/* X(name, text, is_bad); METRIC_SET_EVENT has the same names. */
#define EVENT_KINDS(X)                            \
    X(START, "start", false)                      \
    X(SHUTDOWN, "shutdown", false)                \
    X(PRIMARY_FOUND, "primary_found", false)      \
    X(PRIMARY_LOST, "primary_lost", true)         \
    X(SWITCH, "switch", true)                     \
    X(SPLIT_BRAIN, "split_brain", true)           \
    X(SPLIT_BRAIN_OVER, "split_brain_over", true) \
    X(LOST, "transactions_lost", true)            \
    X(NOT_ACKED, "not_acknowledged", true)        \
    X(SERVER_UP, "server_up", false)              \
    X(SERVER_DOWN, "server_down", true)           \
    X(SERVER_LAGGING, "server_lagging", true)     \
    X(DRAIN, "drain", false)                      \
    X(UNDRAIN, "undrain", false)                  \
    X(WEIGHT, "weight", false)                    \
    X(KILL, "kill", false)                        \
    X(REDIS_UP, "redis_up", false)                \
    X(REDIS_DOWN, "redis_down", true)             \
    X(WEIR_FOUND, "weir_found", false)            \
    X(WEIR_LEFT, "weir_left", false)              \
    X(WEIR_SILENT, "weir_silent", true)           \
    X(WEIR_FORGOTTEN, "weir_forgotten", true)     \
    X(RELOAD, "reload", false)                    \
    X(RELOAD_FAILED, "reload_failed", true)

enum event_kind {
#define X(name, text, is_bad) EVENT_##name,
    EVENT_KINDS(X)
#undef X
};

struct event {
    uint64_t at_ms;
    uint64_t number; /* from 1 */
    enum event_kind kind;
    char server[EVENT_SERVER_BYTES]; /* "" when it is about no server */
    char text[EVENT_TEXT_BYTES];
};

struct events;

WR_NODISCARD int events_create(struct events **ret_events);
/* NULL is fine. */
void events_destroy(struct events *events);
void events_add(struct events *events, uint64_t at_ms, enum event_kind kind, const char *server,
                const char *text);
size_t events_count(const struct events *events);
/* index 0: the oldest that is still there. Borrowed until the next events_add(). */
const struct event *events_at(const struct events *events, size_t index);
/* "split_brain". Static storage. */
const char *event_kind_text(enum event_kind kind);

#endif
