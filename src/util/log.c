/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thread writes finished lines into its own ring (one producer, one consumer: the writer
 * thread). A line is a 4-byte length and its bytes, both wrapping at the ring's end.
 *
 *      producer: text -> ring, head += n (release), eventfd once per idle writer
 *      writer:   ring -> chunk -> write(fd), tail += n (release)
 *
 * A producer never waits: no room means a drop, counted, and told by the writer in a line of its
 * own. Nor does the writer for more than a second, so that the process can always end: what a full
 * disk or a pipe that nobody reads does not take is dropped, too.
 */
#include "weir/util/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weir/util/clock.h"
#include "weir/util/fault.h"
#include "weir/util/str.h"

#include "log_priv.h"

#define LOG_MESSAGE_MAX  1536
#define LOG_CHUNK        ((size_t)PIPE_BUF)
#define LOG_IDLE_MS      500
#define LOG_FULL_WAIT_MS 1000 /* how long a full descriptor is waited for, once */

_Static_assert(LOG_LINE_MAX <= LOG_CHUNK, "a line is written whole");

struct log_ring {
    struct log_ring *next; /* constant once in the list */
    struct logger *logger;
    const char *name;
    _Alignas(64) atomic_size_t head; /* bytes ever written; the producer's */
    _Alignas(64) atomic_size_t tail; /* bytes ever taken; the writer's */
    _Atomic uint64_t drops;
    uint64_t told_drops; /* the writer's */
    char bytes[LOG_RING_BYTES];
};

struct logger {
    pthread_t thread;
    pthread_mutex_t lock; /* rings, flush_*; never held while writing */
    pthread_cond_t flushed;
    struct log_ring *rings;
    uint64_t flush_asked;
    uint64_t flush_done;
    int wake_fd;
    atomic_bool is_woken; /* a wake-up is on its way: no second system call */
    atomic_bool is_stopping;
    atomic_int level;
    atomic_int fd;
    bool is_json;
    bool is_stuck; /* the writer's: the descriptor had no room when it was seen last */
};

static const char *const level_names[] = {
#define X(name, text) text,
    LOG_LEVELS(X)
#undef X
};

const char *log_level_name(enum log_level level)
{
    return level < LOG_LEVEL_COUNT_ ? level_names[level] : "?";
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (int i = 0; i < LOG_LEVEL_COUNT_; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void wake_writer(struct logger *logger)
{
    /* The exchange orders the line before the wake-up: either this thread sees false and writes
     * to the eventfd, or the writer has not yet cleared the flag and will look again. */
    if (!atomic_exchange(&logger->is_woken, true)) {
        uint64_t one = 1;
        ssize_t written = write(logger->wake_fd, &one, sizeof(one));
        (void)written; /* it can only fail when it is woken anyway */
    }
}

static uint64_t lines_in(const char *bytes, size_t len)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < len; i++) {
        lines += bytes[i] == '\n';
    }
    return lines;
}

/* Whole lines, at most a chunk of them. Returns how many of them were lost: the disk is full, nobody
 * reads. A descriptor that blocks is not written to before it has room, and what is written then is
 * no more than a pipe takes without waiting. Only the first lines that find it full wait for it. */
static uint64_t write_lines(struct logger *logger, const char *bytes, size_t len)
{
    int fd = atomic_load(&logger->fd);

    while (len > 0) {
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        ssize_t written = -1;

        if (fd < 0 || poll(&room, 1, logger->is_stuck ? 0 : LOG_FULL_WAIT_MS) <= 0) {
            logger->is_stuck = true;
            return lines_in(bytes, len);
        }
        do {
            written = write(fd, bytes, len);
        } while (written < 0 && errno == EINTR);
        if (written <= 0) {
            return lines_in(bytes, len);
        }
        logger->is_stuck = false;
        bytes += written;
        len -= (size_t)written;
    }
    return 0;
}

static void ring_get(const struct log_ring *ring, size_t at, void *dst, size_t len)
{
    size_t from = at % LOG_RING_BYTES;
    size_t first = LOG_RING_BYTES - from < len ? LOG_RING_BYTES - from : len;

    memcpy(dst, ring->bytes + from, first);
    memcpy((char *)dst + first, ring->bytes, len - first);
}

static void ring_put(struct log_ring *ring, size_t at, const void *src, size_t len)
{
    size_t to = at % LOG_RING_BYTES;
    size_t first = LOG_RING_BYTES - to < len ? LOG_RING_BYTES - to : len;

    memcpy(ring->bytes + to, src, first);
    memcpy(ring->bytes, (const char *)src + first, len - first);
}

static void tell_drops(struct logger *logger, struct log_ring *ring)
{
    struct log_line line;

    uint64_t drops = atomic_load_explicit(&ring->drops, memory_order_relaxed);
    if (drops == ring->told_drops) {
        return;
    }
    log_line_begin(&line, logger->is_json, clock_wall_us(), LOG_WARN, ring->name);
    log_line_text(&line, "event", "log_lines_dropped");
    log_line_number(&line, "count", drops - ring->told_drops);
    log_line_end(&line);
    if (write_lines(logger, line.text, line.len) == 0) {
        ring->told_drops = drops;
    }
}

static void drain_ring(struct logger *logger, struct log_ring *ring)
{
    char chunk[LOG_CHUNK];
    size_t used = 0;
    uint64_t lost = 0;
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* Acquire: the bytes up to head were written before it. */
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

    while (tail != head) {
        uint32_t len = 0;
        ring_get(ring, tail, &len, sizeof(len));
        if (used + len > sizeof(chunk)) {
            lost += write_lines(logger, chunk, used);
            used = 0;
        }
        ring_get(ring, tail + sizeof(len), chunk + used, len);
        used += len;
        tail += sizeof(len) + len;
        /* Release: the bytes were copied out before the producer may overwrite them. */
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    lost += write_lines(logger, chunk, used);
    if (lost > 0) {
        atomic_fetch_add_explicit(&ring->drops, lost, memory_order_relaxed);
    }
    tell_drops(logger, ring);
}

static void *writer_main(void *arg)
{
    struct logger *logger = arg;
    bool is_last = false;

    while (!is_last) {
        struct pollfd wake = {.fd = logger->wake_fd, .events = POLLIN};
        (void)poll(&wake, 1, LOG_IDLE_MS);
        uint64_t count = 0;
        ssize_t got = read(logger->wake_fd, &count, sizeof(count));
        (void)got;
        /* Before the rings are looked at: a line that comes later wakes again. */
        atomic_store(&logger->is_woken, false);
        is_last = atomic_load(&logger->is_stopping);

        (void)pthread_mutex_lock(&logger->lock);
        struct log_ring *rings = logger->rings;
        uint64_t asked = logger->flush_asked;
        (void)pthread_mutex_unlock(&logger->lock);

        for (struct log_ring *ring = rings; ring != NULL; ring = ring->next) {
            drain_ring(logger, ring);
        }

        (void)pthread_mutex_lock(&logger->lock);
        logger->flush_done = asked;
        (void)pthread_cond_broadcast(&logger->flushed);
        (void)pthread_mutex_unlock(&logger->lock);
    }
    return NULL;
}

int log_create(const struct log_conf *conf, struct logger **ret_logger)
{
    sigset_t all;
    sigset_t before;

    struct logger *logger = fault_calloc(1, sizeof(*logger));
    if (logger == NULL) {
        return -ENOMEM;
    }
    logger->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (logger->wake_fd < 0) {
        int rc = -errno;
        free(logger);
        return rc;
    }
    (void)pthread_mutex_init(&logger->lock, NULL);
    (void)pthread_cond_init(&logger->flushed, NULL);
    atomic_init(&logger->level, (int)conf->level);
    atomic_init(&logger->fd, conf->fd);
    logger->is_json = conf->is_json;

    /* Signals are for the thread that waits for them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&logger->thread, NULL, writer_main, logger);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)close(logger->wake_fd);
        (void)pthread_cond_destroy(&logger->flushed);
        (void)pthread_mutex_destroy(&logger->lock);
        free(logger);
        return -rc;
    }
    (void)pthread_setname_np(logger->thread, "weir-log");
    *ret_logger = logger;
    return 0;
}

void log_destroy(struct logger *logger)
{
    if (logger == NULL) {
        return;
    }
    atomic_store(&logger->is_stopping, true);
    atomic_store(&logger->is_woken, false);
    wake_writer(logger);
    (void)pthread_join(logger->thread, NULL);
    while (logger->rings != NULL) {
        struct log_ring *ring = logger->rings;
        logger->rings = ring->next;
        free(ring);
    }
    (void)close(logger->wake_fd);
    (void)pthread_cond_destroy(&logger->flushed);
    (void)pthread_mutex_destroy(&logger->lock);
    free(logger);
}

int log_ring_create(struct logger *logger, const char *name, struct log_ring **ret_ring)
{
    if (WR_FAULT("alloc")) {
        return -ENOMEM;
    }
    struct log_ring *ring = aligned_alloc(_Alignof(struct log_ring), sizeof(*ring));
    if (ring == NULL) {
        return -ENOMEM;
    }
    memset(ring, 0, offsetof(struct log_ring, bytes));
    ring->logger = logger;
    ring->name = name;
    (void)pthread_mutex_lock(&logger->lock);
    ring->next = logger->rings;
    logger->rings = ring;
    (void)pthread_mutex_unlock(&logger->lock);
    *ret_ring = ring;
    return 0;
}

void log_set_level(struct logger *logger, enum log_level level)
{
    /* Relaxed: a line more or less at the old level does no harm. */
    atomic_store_explicit(&logger->level, (int)level, memory_order_relaxed);
}

enum log_level log_level(struct logger *logger)
{
    return (enum log_level)atomic_load_explicit(&logger->level, memory_order_relaxed);
}

void log_set_fd(struct logger *logger, int fd)
{
    atomic_store(&logger->fd, fd);
}

uint64_t log_drops(struct logger *logger)
{
    uint64_t drops = 0;

    (void)pthread_mutex_lock(&logger->lock);
    for (struct log_ring *ring = logger->rings; ring != NULL; ring = ring->next) {
        drops += atomic_load_explicit(&ring->drops, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&logger->lock);
    return drops;
}

void log_flush(struct logger *logger)
{
    (void)pthread_mutex_lock(&logger->lock);
    uint64_t mine = ++logger->flush_asked;
    wake_writer(logger);
    while (logger->flush_done < mine) {
        (void)pthread_cond_wait(&logger->flushed, &logger->lock);
    }
    (void)pthread_mutex_unlock(&logger->lock);
}

bool log_is_on(const struct log_ctx *ctx, enum log_level level)
{
    return ctx->ring != NULL && level <= log_level(ctx->ring->logger);
}

/* False: this call site has had its share of this second. Sites are shared by threads; a count
 * off by a few is fine, hence relaxed throughout. */
static bool site_admits(struct log_site *site, uint64_t now_us, unsigned *ret_suppressed)
{
    uint64_t start = atomic_load_explicit(&site->window_us, memory_order_relaxed);

    *ret_suppressed = 0;
    if (start == 0 || now_us - start >= CLOCK_US_PER_SECOND) {
        atomic_store_explicit(&site->window_us, now_us, memory_order_relaxed);
        atomic_store_explicit(&site->in_window, 1, memory_order_relaxed);
        *ret_suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
        return true;
    }
    if (atomic_fetch_add_explicit(&site->in_window, 1, memory_order_relaxed) < LOG_SITE_BURST) {
        return true;
    }
    atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
    return false;
}

static void push_line(struct log_ring *ring, const struct log_line *line)
{
    uint32_t len = (uint32_t)line->len;
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    /* Acquire: the writer is done with the bytes below tail. */
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    if (LOG_RING_BYTES - (head - tail) < sizeof(len) + len) {
        atomic_fetch_add_explicit(&ring->drops, 1, memory_order_relaxed);
        return;
    }
    ring_put(ring, head, &len, sizeof(len));
    ring_put(ring, head + sizeof(len), line->text, len);
    /* Release: the writer sees the bytes when it sees the head. */
    atomic_store_explicit(&ring->head, head + sizeof(len) + len, memory_order_release);
    wake_writer(ring->logger);
}

void log_write(const struct log_ctx *ctx, enum log_level level, struct log_site *site,
               const char *event, const char *fmt, ...)
{
    struct log_line line;
    char message[LOG_MESSAGE_MAX];
    unsigned suppressed = 0;
    va_list args;

    if (ctx->ring == NULL) {
        return;
    }
    if (level <= LOG_WARN && !site_admits(site, clock_now_us(), &suppressed)) {
        return;
    }
    va_start(args, fmt);
    int len = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (len < 0) {
        message[0] = '\0';
    }

    log_line_begin(&line, ctx->ring->logger->is_json, clock_wall_us(), level, ctx->ring->name);
    if (ctx->room != NULL) {
        log_line_text(&line, "room", ctx->room);
    }
    if (ctx->session != 0) {
        log_line_number(&line, "session", ctx->session);
    }
    if (ctx->server != NULL) {
        log_line_text(&line, "server", ctx->server);
    }
    log_line_text(&line, "event", event);
    if (suppressed > 0) {
        log_line_number(&line, "suppressed", suppressed);
    }
    log_line_text(&line, "msg", message);
    log_line_end(&line);
    push_line(ctx->ring, &line);
}
