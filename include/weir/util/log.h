/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - lines from many threads, written by one.
 *
 * WHY       A slow disk or pipe must never hold up a session.
 * OWNS      The logger owns its rings and its writer thread, until log_destroy().
 * THREADS   A ring belongs to one thread at a time; the writer drains all.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    Logging itself never fails: what the ring, the disk or a pipe that nobody reads has no
 *           room for is dropped and counted. log_flush() and log_destroy() wait for the latter a
 *           second or two.
 * BOUNDS    LOG_RING_BYTES per ring, LOG_LINE_MAX per line (cut), LOG_SITE_BURST warnings and
 *           errors per call site and second (the rest are counted into the next one).
 */
#ifndef WEIR_UTIL_LOG_H
#define WEIR_UTIL_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define LOG_RING_BYTES ((size_t)64 * 1024)
#define LOG_LINE_MAX   ((size_t)2048)
#define LOG_SITE_BURST 10

#define LOG_LEVELS(X) \
    X(ERROR, "error") \
    X(WARN, "warn")   \
    X(INFO, "info")   \
    X(DEBUG, "debug") \
    X(TRACE, "trace")

enum log_level {
#define X(name, text) LOG_##name,
    LOG_LEVELS(X)
#undef X
    LOG_LEVEL_COUNT_
};

struct log_conf {
    int fd;       /* borrowed; where lines go */
    bool is_json; /* else logfmt */
    enum log_level level;
};

struct logger;
struct log_ring;

/* Who speaks. Filled by the owner of the object, passed by address. */
struct log_ctx {
    struct log_ring *ring; /* borrowed from the logger; NULL: nothing is logged */
    const char *room;      /* "client"; borrowed for life */
    const char *server;    /* name of the server in question, or NULL; borrowed */
    uint64_t session;      /* connection id given to the client, or 0 */
};

/* One per call site, made by the macros. */
struct log_site {
    _Atomic uint64_t window_us; /* start of the second that is counted */
    atomic_uint in_window;
    atomic_uint suppressed;
};

/* Starts the writer thread. */
WR_NODISCARD int log_create(const struct log_conf *conf, struct logger **ret_logger);
/* Writes what the rings hold, ends the thread. No ring may be in use any more. */
void log_destroy(struct logger *logger);
/* A ring for one thread; name ("worker-1", borrowed for life) is shown as thread=. */
WR_NODISCARD int log_ring_create(struct logger *logger, const char *name,
                                 struct log_ring **ret_ring);
/* Any thread: takes effect with the next line. */
void log_set_level(struct logger *logger, enum log_level level);
enum log_level log_level(struct logger *logger);
/* New descriptor (log rotation); the writer uses it from its next round on and closes none. */
void log_set_fd(struct logger *logger, int fd);
/* Lines dropped because a ring was full. */
uint64_t log_drops(struct logger *logger);
/* Waits until what was logged before the call is written. */
void log_flush(struct logger *logger);
bool log_level_parse(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

bool log_is_on(const struct log_ctx *ctx, enum log_level level);
/* event: a fixed snake_case name; the message is free text. Neither may hold secrets. Control
 * bytes are escaped. */
void log_write(const struct log_ctx *ctx, enum log_level level, struct log_site *site,
               const char *event, const char *fmt, ...) WR_PRINTF(5, 6);

#define WR_LOG_(ctx, level, event, ...)                            \
    do {                                                           \
        if (log_is_on(ctx, level)) {                               \
            static struct log_site log_site_;                      \
            log_write(ctx, level, &log_site_, event, __VA_ARGS__); \
        }                                                          \
    } while (0)

/* log_warn(&sess->log, "login_failed", "user %s", name); error: an operator must act. */
#define log_error(ctx, event, ...) WR_LOG_(ctx, LOG_ERROR, event, __VA_ARGS__)
#define log_warn(ctx, event, ...)  WR_LOG_(ctx, LOG_WARN, event, __VA_ARGS__)
#define log_info(ctx, event, ...)  WR_LOG_(ctx, LOG_INFO, event, __VA_ARGS__)
#define log_debug(ctx, event, ...) WR_LOG_(ctx, LOG_DEBUG, event, __VA_ARGS__)
#define log_trace(ctx, event, ...) WR_LOG_(ctx, LOG_TRACE, event, __VA_ARGS__)

#endif
