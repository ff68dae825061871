/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/map.h"

#define BUCKETS_MIN 16U

/* What a server binds a text to when it prepares it. */
static const enum svec_var BOUND[] = {SVEC_SCHEMA,        SVEC_CS_CLIENT, SVEC_CS_RESULTS,
                                      SVEC_CS_CONNECTION, SVEC_COLLATION, SVEC_SQL_MODE};

void handles_init(struct handles *handles)
{
    *handles = (struct handles){.buckets = NULL};
    list_init(&handles->lru);
}

static void handle_free(struct handle *handle)
{
    svec_fini(&handle->at);
    free(handle->types);
    free(handle);
}

void handles_clear(struct handles *handles)
{
    if (handles->count == 0) {
        return;
    }
    list_for_each_safe (node, &handles->lru) {
        list_remove(node);
        handle_free(list_entry(node, struct handle, lru));
    }
    memset(handles->buckets, 0, handles->bucket_count * sizeof(struct handle *));
    handles->count = 0;
    handles->text_bytes = 0;
}

void handles_fini(struct handles *handles)
{
    handles_clear(handles);
    free(handles->buckets);
    handles->buckets = NULL;
    handles->bucket_count = 0;
}

uint64_t handle_key_hash(struct span text)
{
    return map_hash(text);
}

bool handle_at_equal(const struct svec *a, const struct svec *b)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(BOUND); i++) {
        if (a->v[BOUND[i]] != b->v[BOUND[i]]) {
            return false;
        }
    }
    return true;
}

void handle_at_copy(struct svec *dst, const struct svec *src)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(BOUND); i++) {
        svec_copy_one(dst, src, BOUND[i]);
    }
}

static struct handle **bucket_of(const struct handles *handles, uint64_t hash)
{
    return &handles->buckets[hash & (handles->bucket_count - 1U)];
}

static bool is_user(const struct handle *handle, struct handle_user user)
{
    return handle->user.session == user.session && handle->user.stmt == user.stmt;
}

static bool types_fit(const struct handle *handle, const struct handle_key *key)
{
    if (key->types.p == NULL || handle->types == NULL || is_user(handle, key->user)) {
        return true;
    }
    return !handle->is_mixed && key->types.len == (size_t)handle->params * 2 &&
           memcmp(handle->types, key->types.p, key->types.len) == 0;
}

struct handle *handles_find(struct handles *handles, const struct handle_key *key)
{
    if (handles->count == 0) {
        return NULL;
    }
    for (struct handle *h = *bucket_of(handles, key->hash); h != NULL; h = h->next) {
        if (h->hash == key->hash && !h->is_busy && h->text_len == key->text.len &&
            handle_at_equal(&h->at, &key->at) && memcmp(h->text, key->text.p, h->text_len) == 0 &&
            types_fit(h, key)) {
            list_remove(&h->lru);
            list_push(&handles->lru, &h->lru);
            return h;
        }
    }
    return NULL;
}

/* Chains of one or two: the table doubles when it is full. */
static int grow(struct handles *handles)
{
    uint32_t count = handles->bucket_count == 0 ? BUCKETS_MIN : handles->bucket_count * 2;
    struct handle **buckets = NULL;

    if (handles->count < handles->bucket_count) {
        return 0;
    }
    buckets = calloc(count, sizeof(struct handle *));
    if (buckets == NULL) {
        return -ENOMEM;
    }
    free(handles->buckets);
    handles->buckets = buckets;
    handles->bucket_count = count;
    list_for_each (node, &handles->lru) {
        struct handle *h = list_entry(node, struct handle, lru);
        struct handle **head = bucket_of(handles, h->hash);

        h->next = *head;
        *head = h;
    }
    return 0;
}

static void take_out(struct handles *handles, struct handle *handle)
{
    struct handle **at = bucket_of(handles, handle->hash);

    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    list_remove(&handle->lru);
    handles->count--;
    handles->text_bytes -= handle->text_len;
}

void handles_remove(struct handles *handles, struct handle *handle)
{
    take_out(handles, handle);
    handle_free(handle);
}

static int make_room(struct handles *handles, size_t text_len, uint32_t max, uint32_t *ret_close)
{
    *ret_close = 0;
    if (handles->count < max && handles->text_bytes + text_len <= HANDLES_TEXT_MAX) {
        return 0;
    }
    list_for_each (node, &handles->lru) {
        struct handle *h = list_entry(node, struct handle, lru);

        if (!h->is_busy) {
            *ret_close = h->id;
            handles_remove(handles, h);
            return 0;
        }
    }
    return handles->count < max ? 0 : -WR_E_LIMIT;
}

int handles_add(struct handles *handles, const struct handle_key *key, uint32_t id, uint16_t params,
                uint32_t max, struct handle **ret_handle, uint32_t *ret_close)
{
    struct handle *handle = NULL;
    struct handle **head = NULL;
    int r = grow(handles);

    if (r >= 0) {
        handle = calloc(1, sizeof(*handle) + key->text.len + 1);
        r = handle == NULL ? -ENOMEM : make_room(handles, key->text.len, max, ret_close);
    }
    if (r < 0) {
        free(handle);
        return r;
    }
    handle->hash = key->hash;
    handle->id = id;
    handle->params = params;
    handle->text_len = key->text.len;
    memcpy(handle->text, key->text.p, key->text.len);
    svec_init(&handle->at, key->at.values);
    handle_at_copy(&handle->at, &key->at);
    head = bucket_of(handles, handle->hash);
    handle->next = *head;
    *head = handle;
    list_push(&handles->lru, &handle->lru);
    handles->count++;
    handles->text_bytes += handle->text_len;
    *ret_handle = handle;
    return 0;
}

int handle_set_types(struct handle *handle, struct span types, struct handle_user user)
{
    if (types.len == 0 || types.len != (size_t)handle->params * 2) {
        return 0;
    }
    if (handle->types == NULL) {
        handle->types = malloc(types.len);
        if (handle->types == NULL) {
            return -ENOMEM;
        }
        handle->user = user;
    } else {
        handle->is_mixed = handle->is_mixed || memcmp(handle->types, types.p, types.len) != 0;
        if (!is_user(handle, user)) {
            handle->user = (struct handle_user){.session = 0};
        }
    }
    memcpy(handle->types, types.p, types.len);
    return 0;
}

int handles_pack(struct handles *handles, struct buf *out)
{
    list_for_each (node, &handles->lru) {
        struct handle *h = list_entry(node, struct handle, lru);
        int r = svec_pack(&h->at, out);

        if (r < 0) {
            return r;
        }
    }
    /* from here on no value of this worker is held */
    list_for_each (node, &handles->lru) {
        svec_fini(&list_entry(node, struct handle, lru)->at);
    }
    return 0;
}

int handles_unpack(struct handles *handles, struct svec_values *values, struct span *bytes)
{
    int r = 0;

    list_for_each (node, &handles->lru) {
        struct handle *h = list_entry(node, struct handle, lru);

        svec_init(&h->at, values);
    }
    list_for_each (node, &handles->lru) {
        r = r < 0 ? r : svec_unpack(&list_entry(node, struct handle, lru)->at, bytes);
    }
    return r;
}
