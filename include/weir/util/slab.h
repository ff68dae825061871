/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab - one worker's objects of one type, never given back to the system while in use.
 *
 * WHY       Sessions and connections come and go all the time; a stale pointer must be caught.
 * OWNS      The memory of its objects, until slab_destroy().
 * THREADS   The thread of the first slab_alloc() only (asserted in debug builds).
 * REENTRY   none
 * UNITS     bytes, objects
 * ERRORS    NULL: no memory, or above max_count.
 * BOUNDS    max_count objects.
 */
#ifndef WEIR_UTIL_SLAB_H
#define WEIR_UTIL_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

struct slab;

/* With WEIR_SLAB=malloc in the environment every object is its own malloc, for valgrind.
 * name is borrowed for the slab's life. */
WR_NODISCARD int slab_create(const char *name, size_t object_size, size_t max_count,
                             struct slab **ret_slab);
/* Every object must be free again (asserted). NULL is fine. */
void slab_destroy(struct slab *slab);
/* Zeroed. */
WR_NODISCARD void *slab_alloc(struct slab *slab);
/* Fills the object with a pattern. NULL is fine. */
void slab_free(struct slab *slab, void *object);
/* Objects lent now. */
size_t slab_count(const struct slab *slab);

#endif
