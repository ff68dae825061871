/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hiredis reads, and calls back for each value that it finds, a container before what is in it. The
 * values are kept in one arena, bounded, and so are the containers' lengths: hiredis itself would
 * take any number that Redis writes. What it gives as "the reply" is not looked at: of kinds that
 * nothing here makes (RESP3) it is no pointer.
 */
#include "weir/redis/reply.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <hiredis/read.h>

#include "weir/util/arena.h"
#include "weir/util/err.h"

struct redis_reader {
    redisReader *parser;
    redisReplyObjectFunctions calls;
    struct arena arena;
    struct redis_value *root; /* of the reply in hand */
    size_t max_bytes;
    size_t waiting; /* bytes fed since the last whole reply, at least */
    uint32_t items;
    bool is_whole; /* root has been given to the caller */
    bool is_bad;
};

static struct redis_value *place(const redisReadTask *task)
{
    struct redis_reader *reader = task->privdata;

    if (task->parent == NULL) {
        reader->root = arena_zalloc(&reader->arena, sizeof(*reader->root));
        return reader->root;
    }
    struct redis_value *parent = task->parent->obj;

    return task->idx >= 0 && (uint32_t)task->idx < parent->count ? &parent->items[task->idx] : NULL;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is hiredis' */
static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct redis_reader *reader = task->privdata;
    struct redis_value *value = place(task);
    struct span bytes = {.p = (const uint8_t *)text, .len = len};

    if (value == NULL) {
        return NULL;
    }
    value->kind = task->type == REDIS_REPLY_STATUS  ? REDIS_STATUS
                  : task->type == REDIS_REPLY_ERROR ? REDIS_ERROR
                                                    : REDIS_STRING;
    value->text = arena_dup(&reader->arena, bytes);
    return value->text.p == NULL ? NULL : value;
}

static void *on_array(const redisReadTask *task, size_t count)
{
    struct redis_reader *reader = task->privdata;
    struct redis_value *value = place(task);
    uint32_t depth = 0;

    for (const redisReadTask *up = task->parent; up != NULL && depth <= REDIS_DEPTH_MAX;
         up = up->parent) {
        depth++;
    }
    if (value == NULL || task->type != REDIS_REPLY_ARRAY || depth >= REDIS_DEPTH_MAX ||
        count > REDIS_ITEMS_MAX - reader->items) {
        return NULL;
    }
    value->kind = REDIS_ARRAY;
    if (count > 0) {
        value->items = arena_zalloc(&reader->arena, count * sizeof(*value->items));
        if (value->items == NULL) {
            return NULL;
        }
    }
    value->count = (uint32_t)count;
    reader->items += (uint32_t)count;
    return value;
}

/* hiredis 1.0 counts in size_t, those before it in int. */
static WR_UNUSED void *on_array_size(const redisReadTask *task, size_t count)
{
    return on_array(task, count);
}

static WR_UNUSED void *on_array_int(const redisReadTask *task, int count)
{
    return count < 0 ? NULL : on_array(task, (size_t)count);
}

static void *on_integer(const redisReadTask *task, long long number)
{
    struct redis_value *value = place(task);

    if (value != NULL) {
        value->kind = REDIS_INTEGER;
        value->number = number;
    }
    return value;
}

static void *on_nil(const redisReadTask *task)
{
    struct redis_value *value = place(task);

    if (value != NULL) {
        value->kind = REDIS_NIL;
    }
    return value;
}

/* The arena has it. */
static void on_free(void *value)
{
    (void)value;
}

int redis_reader_create(size_t max_bytes, struct redis_reader **ret_reader)
{
    struct redis_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL) {
        return -ENOMEM;
    }
    arena_init(&reader->arena, max_bytes + (size_t)REDIS_ITEMS_MAX * sizeof(struct redis_value));
    reader->max_bytes = max_bytes;
    reader->calls.createString = on_string;
    reader->calls.createArray =
        _Generic(reader->calls.createArray, void *(*)(const redisReadTask *, int)
                 : on_array_int, default
                 : on_array_size);
    reader->calls.createInteger = on_integer;
    reader->calls.createNil = on_nil;
    reader->calls.freeObject = on_free;
    reader->parser = redisReaderCreateWithFunctions(&reader->calls);
    if (reader->parser == NULL) {
        redis_reader_destroy(reader);
        return -ENOMEM;
    }
    reader->parser->privdata = reader;
    *ret_reader = reader;
    return 0;
}

void redis_reader_destroy(struct redis_reader *reader)
{
    if (reader != NULL) {
        if (reader->parser != NULL) {
            redisReaderFree(reader->parser);
        }
        arena_fini(&reader->arena);
        free(reader);
    }
}

int redis_reader_feed(struct redis_reader *reader, const uint8_t *bytes, size_t len)
{
    if (reader->is_bad) {
        return -WR_E_BAD_PACKET;
    }
    reader->waiting += len;
    if (redisReaderFeed(reader->parser, (const char *)bytes, len) != REDIS_OK) {
        reader->is_bad = true;
        return -ENOMEM;
    }
    return 0;
}

static void forget(struct redis_reader *reader)
{
    if (reader->is_whole) {
        arena_reset(&reader->arena);
        reader->root = NULL;
        reader->items = 0;
        reader->is_whole = false;
    }
}

enum dec_rc redis_reader_next(struct redis_reader *reader, const struct redis_value **ret_value)
{
    void *ignored = NULL;

    forget(reader);
    if (reader->is_bad) {
        return DEC_BAD;
    }
    if (redisReaderGetReply(reader->parser, &ignored) != REDIS_OK) {
        reader->is_bad = true;
        return DEC_BAD;
    }
    if (ignored == NULL) {
        /* hiredis drops what it has read; what is left of the reply in hand is waited for */
        reader->is_bad = reader->waiting > reader->max_bytes;
        return reader->is_bad ? DEC_BAD : DEC_MORE;
    }
    reader->is_whole = true;
    reader->waiting = reader->parser->len - reader->parser->pos;
    if (reader->root == NULL) {
        reader->is_bad = true; /* of a kind that was not asked for */
        return DEC_BAD;
    }
    *ret_value = reader->root;
    return DEC_OK;
}
