/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snap - the head of an immutable object that several threads hold.
 *
 * WHY       Readers use plain pointers; only taking and dropping a reference is atomic.
 * OWNS      The object, jointly by all references; the last snap_unref() destroys it.
 * THREADS   any
 * REENTRY   destroy runs inside the last snap_unref().
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_SNAP_H
#define WEIR_UTIL_SNAP_H

#include <stdatomic.h>
#include <stdint.h>

struct snap;

typedef void (*snap_destroy_fn)(struct snap *snap);

/* Embed it; get back with WR_CONTAINER_OF. After publication only the count changes. */
struct snap {
    atomic_uint refs;
    snap_destroy_fn destroy;
    uint64_t generation;
};

/* One reference, the caller's. */
void snap_init(struct snap *snap, uint64_t generation, snap_destroy_fn destroy);
/* The caller already holds, or borrows from a holder of, a reference. Returns snap. */
struct snap *snap_ref(struct snap *snap);
/* NULL is fine. */
void snap_unref(struct snap *snap);
/* For tests and asserts only: another thread may change it at once. */
unsigned snap_refs(const struct snap *snap);

#endif
