/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - memory for passwords: locked, left out of core dumps and of children.
 *
 * WHY       A held password must not reach a swap file or a dump.
 * OWNS      Its pages, until secret_store_destroy().
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    NULL: full, or too large.
 * BOUNDS    size_bytes given at creation; one secret is at most SECRET_MAX.
 */
#ifndef WEIR_UTIL_SECRET_H
#define WEIR_UTIL_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define SECRET_MAX ((size_t)4096)

struct secret_store;

/* size_bytes is rounded up to whole pages. */
WR_NODISCARD int secret_store_create(size_t size_bytes, struct secret_store **ret_store);
/* Wipes everything, what is still lent too. NULL is fine. */
void secret_store_destroy(struct secret_store *store);
/* Whether the system granted the lock (RLIMIT_MEMLOCK); worth a warning when not. */
bool secret_store_is_locked(const struct secret_store *store);
size_t secret_store_used(struct secret_store *store);

/* Zeroed. */
WR_NODISCARD void *secret_alloc(struct secret_store *store, size_t size);
/* Wipes. NULL is fine. */
void secret_free(struct secret_store *store, void *secret);

#endif
