/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/stream.h"

#include "weir/util/err.h"

int cache_stream_init(struct cache_stream *stream)
{
    int r = -pthread_mutex_init(&stream->lock, NULL);

    atomic_init(&stream->heard_us, 0);
    atomic_init(&stream->since_us, 0);
    atomic_init(&stream->state, CACHE_STREAM_OFF);
    gtid_init(&stream->position);
    stream->place = (struct log_place){.log = 0};
    marks_clear(&stream->marks);
    return r;
}

void cache_stream_fini(struct cache_stream *stream)
{
    gtid_fini(&stream->position);
    (void)pthread_mutex_destroy(&stream->lock);
}

void cache_stream_begin(struct cache_stream *stream, const struct gtid_set *position,
                        uint64_t now_us)
{
    (void)pthread_mutex_lock(&stream->lock);
    gtid_clear(&stream->position);
    if (position != NULL && gtid_add(&stream->position, position, &GTID_LIMITS_SERVER) < 0) {
        gtid_clear(&stream->position); /* nobody's token is in it */
    }
    stream->place.log = 0;
    marks_clear(&stream->marks);
    (void)pthread_mutex_unlock(&stream->lock);
    atomic_store_explicit(&stream->since_us, now_us, memory_order_relaxed);
    atomic_store_explicit(&stream->heard_us, now_us, memory_order_relaxed);
    atomic_store_explicit(&stream->state, CACHE_STREAM_READING, memory_order_release);
}

void cache_stream_hear(struct cache_stream *stream, uint64_t now_us)
{
    /* behind the bumps that it stands for */
    atomic_store_explicit(&stream->heard_us, now_us, memory_order_release);
    atomic_store_explicit(&stream->state, CACHE_STREAM_READING, memory_order_release);
}

int cache_stream_advance(struct cache_stream *stream, const struct gtid_set *more)
{
    int r = 0;

    (void)pthread_mutex_lock(&stream->lock);
    r = gtid_add(&stream->position, more, &GTID_LIMITS_SERVER);
    (void)pthread_mutex_unlock(&stream->lock);
    return r;
}

void cache_stream_move(struct cache_stream *stream, const struct log_place *place)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->place = *place;
    (void)pthread_mutex_unlock(&stream->lock);
}

void cache_stream_mark(struct cache_stream *stream, uint64_t at_us)
{
    (void)pthread_mutex_lock(&stream->lock);
    marks_add(&stream->marks, &stream->place, at_us);
    (void)pthread_mutex_unlock(&stream->lock);
}

void cache_stream_pause(struct cache_stream *stream, enum cache_stream_state why)
{
    atomic_store_explicit(&stream->state, (uint32_t)why, memory_order_release);
}

void cache_stream_end(struct cache_stream *stream, enum cache_stream_state why)
{
    cache_stream_pause(stream, why);
    atomic_store_explicit(&stream->since_us, 0, memory_order_relaxed);
    (void)pthread_mutex_lock(&stream->lock);
    stream->place.log = 0;
    marks_clear(&stream->marks);
    (void)pthread_mutex_unlock(&stream->lock);
}

bool cache_stream_is_heard(const struct cache_stream *stream, uint64_t now_us)
{
    return cache_stream_state(stream) == CACHE_STREAM_READING &&
           atomic_load_explicit(&stream->heard_us, memory_order_acquire) + CACHE_STREAM_SILENCE_US >
               now_us;
}

enum cache_stream_state cache_stream_state(const struct cache_stream *stream)
{
    return (enum cache_stream_state)atomic_load_explicit(&stream->state, memory_order_acquire);
}

uint64_t cache_stream_since_us(const struct cache_stream *stream)
{
    return atomic_load_explicit(&stream->since_us, memory_order_relaxed);
}

bool cache_stream_has(struct cache_stream *stream, const struct gtid_set *want)
{
    bool has = false;

    (void)pthread_mutex_lock(&stream->lock);
    has = gtid_has(&stream->position, want);
    (void)pthread_mutex_unlock(&stream->lock);
    return has;
}

bool cache_stream_place(struct cache_stream *stream, struct log_place *ret_place)
{
    (void)pthread_mutex_lock(&stream->lock);
    *ret_place = stream->place;
    (void)pthread_mutex_unlock(&stream->lock);
    return ret_place->log != 0;
}

uint64_t cache_stream_until_us(struct cache_stream *stream, const struct log_place *place)
{
    uint64_t us = 0;

    (void)pthread_mutex_lock(&stream->lock);
    us = marks_until_us(&stream->marks, place);
    (void)pthread_mutex_unlock(&stream->lock);
    return us;
}

const char *cache_stream_state_text(enum cache_stream_state state)
{
    static const char *const texts[] = {
#define X(name, label, text) text,
        CACHE_STREAM_STATES(X)
#undef X
    };

    return state < CACHE_STREAM_END_ ? texts[state] : "?";
}

const char *cache_stream_state_label(enum cache_stream_state state)
{
    static const char *const labels[] = {
#define X(name, label, text) label,
        CACHE_STREAM_STATES(X)
#undef X
    };

    return state < CACHE_STREAM_END_ ? labels[state] : "?";
}
