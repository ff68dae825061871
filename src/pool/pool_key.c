/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose connections they are. A key is all that a connection cannot change once it is logged in; it
 * lives as long as a session or a connection has it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/backend/cred.h"
#include "weir/protocol/caps.h"
#include "weir/util/assert.h"

#include "pool_priv.h"

/* Of the client's flags, those that a connection cannot change once it is logged in. */
static uint64_t key_caps(uint64_t caps)
{
    return caps_semantic(caps) | (caps & CAPS_EXTENDED);
}

static size_t key_bytes(struct span user, uint64_t caps, uint16_t collation, uint8_t *dst)
{
    memcpy(dst, &caps, sizeof(caps));
    memcpy(dst + sizeof(caps), &collation, sizeof(collation));
    memcpy(dst + sizeof(caps) + sizeof(collation), user.p, user.len);
    return sizeof(caps) + sizeof(collation) + user.len;
}

static struct span key_span(const struct pool_key *key, uint8_t *dst)
{
    return (struct span){dst, key_bytes(cred_user(key->cred), key->caps, key->collation, dst)};
}

static struct pool_key *key_create(struct pool *pool, struct cred *cred, uint64_t caps,
                                   uint16_t collation)
{
    uint16_t count = pool->server_count;
    struct pool_key *key = calloc(1, sizeof(*key) + count * sizeof(struct pool_bucket));

    if (key == NULL) {
        return NULL;
    }
    key->pool = pool;
    key->cred = cred_ref(cred);
    key->caps = caps;
    key->collation = collation;
    key->bucket_count = count;
    for (uint16_t i = 0; i < count; i++) {
        list_init(&key->buckets[i].idle);
        key->buckets[i].key = key;
        key->buckets[i].server = i;
    }
    return key;
}

static void key_free(struct pool_key *key)
{
    cred_unref(key->cred);
    free(key);
}

int pool_key_get(struct pool *pool, struct cred *cred, uint64_t caps, uint16_t collation,
                 struct pool_key **ret_key)
{
    uint8_t bytes[sizeof(uint64_t) + sizeof(uint16_t) + CRED_USER_MAX];
    struct span name = {bytes, key_bytes(cred_user(cred), key_caps(caps), collation, bytes)};
    struct pool_key *first = map_get(&pool->keys, name);
    struct pool_key *key = first;

    while (key != NULL && (key->is_refused || !cred_equal(key->cred, cred))) {
        key = key->next;
    }
    if (key == NULL) {
        int r = 0;

        key = key_create(pool, cred, key_caps(caps), collation);
        if (key == NULL) {
            return -ENOMEM;
        }
        r = map_put(&pool->keys, name, key, NULL);
        if (r < 0) {
            key_free(key);
            return r;
        }
        key->next = first;
        list_push(&pool->all, &key->node);
    }
    key->sessions++;
    *ret_key = key;
    return 0;
}

void pool_key_drop(struct pool_key *key)
{
    uint8_t bytes[sizeof(uint64_t) + sizeof(uint16_t) + CRED_USER_MAX];
    struct span name = {NULL, 0};
    struct pool_key *first = NULL;

    if (key->sessions != 0 || key->conns != 0) {
        return;
    }
    name = key_span(key, bytes);
    first = map_get(&key->pool->keys, name);
    if (first == key) {
        (void)map_remove(&key->pool->keys, name);
        if (key->next != NULL && map_put(&key->pool->keys, name, key->next, NULL) < 0) {
            /* no memory for an entry that was there a moment ago: the others are not found any
             * more and end with their last connections */
            WR_DASSERT(key->next->pool == key->pool);
        }
    } else {
        while (first != NULL && first->next != key) {
            first = first->next;
        }
        if (first != NULL) {
            first->next = key->next;
        }
    }
    list_remove(&key->node);
    key_free(key);
}

void pool_key_put(struct pool_key *key)
{
    if (key != NULL) {
        WR_ASSERT(key->sessions > 0);
        key->sessions--;
        pool_key_drop(key);
    }
}
