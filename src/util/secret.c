/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "weir/util/assert.h"
#include "weir/util/fault.h"

#define SECRET_UNIT ((size_t)64)

/* What a unit of SECRET_UNIT bytes is; kept outside the secret pages. */
enum secret_unit {
    SECRET_UNIT_FREE,
    SECRET_UNIT_FIRST,
    SECRET_UNIT_MORE,
};

struct secret_store {
    uint8_t *pages;
    size_t size;
    uint8_t *units; /* enum secret_unit */
    size_t unit_count;
    size_t used;
    pthread_mutex_t lock;
    bool is_locked;
};

int secret_store_create(size_t size_bytes, struct secret_store **ret_store)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size_bytes == 0 || size_bytes > SIZE_MAX / 2) {
        return -EINVAL;
    }
    struct secret_store *store = fault_calloc(1, sizeof(*store));
    if (store == NULL) {
        return -ENOMEM;
    }
    store->size = (size_bytes + page - 1) / page * page;
    store->unit_count = store->size / SECRET_UNIT;
    store->units = fault_calloc(store->unit_count, 1);
    if (store->units == NULL) {
        free(store);
        return -ENOMEM;
    }
    void *pages =
        mmap(NULL, store->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        int rc = -errno;
        free(store->units);
        free(store);
        return rc;
    }
    store->pages = pages;
    store->is_locked = mlock(pages, store->size) == 0;
    /* A kernel without these still runs; the lock is what is reported. */
    (void)madvise(pages, store->size, MADV_DONTDUMP);
    (void)madvise(pages, store->size, MADV_DONTFORK);
    (void)pthread_mutex_init(&store->lock, NULL);
    *ret_store = store;
    return 0;
}

void secret_store_destroy(struct secret_store *store)
{
    if (store == NULL) {
        return;
    }
    explicit_bzero(store->pages, store->size);
    (void)munmap(store->pages, store->size);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->units);
    free(store);
}

bool secret_store_is_locked(const struct secret_store *store)
{
    return store->is_locked;
}

size_t secret_store_used(struct secret_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    size_t used = store->used;
    (void)pthread_mutex_unlock(&store->lock);
    return used * SECRET_UNIT;
}

/* First fit: a store is small and secrets come rarely. Returns unit_count when there is none. */
static size_t find_run(const struct secret_store *store, size_t want)
{
    size_t run = 0;

    for (size_t i = 0; i < store->unit_count; i++) {
        run = store->units[i] == SECRET_UNIT_FREE ? run + 1 : 0;
        if (run == want) {
            return i + 1 - want;
        }
    }
    return store->unit_count;
}

void *secret_alloc(struct secret_store *store, size_t size)
{
    if (size == 0 || size > SECRET_MAX) {
        return NULL;
    }
    size_t want = (size + SECRET_UNIT - 1) / SECRET_UNIT;
    void *secret = NULL;

    (void)pthread_mutex_lock(&store->lock);
    size_t first = find_run(store, want);
    if (first < store->unit_count) {
        store->units[first] = SECRET_UNIT_FIRST;
        memset(store->units + first + 1, SECRET_UNIT_MORE, want - 1);
        store->used += want;
        secret = store->pages + first * SECRET_UNIT;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return secret;
}

void secret_free(struct secret_store *store, void *secret)
{
    if (secret == NULL) {
        return;
    }
    size_t at = (size_t)((uint8_t *)secret - store->pages);
    size_t first = at / SECRET_UNIT;

    (void)pthread_mutex_lock(&store->lock);
    WR_ASSERT(at < store->size && at % SECRET_UNIT == 0 &&
              store->units[first] == SECRET_UNIT_FIRST);
    size_t end = first + 1;
    while (end < store->unit_count && store->units[end] == SECRET_UNIT_MORE) {
        end++;
    }
    explicit_bzero(secret, (end - first) * SECRET_UNIT);
    memset(store->units + first, SECRET_UNIT_FREE, end - first);
    store->used -= end - first;
    (void)pthread_mutex_unlock(&store->lock);
}
