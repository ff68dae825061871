/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/snap.h"

#include <stddef.h>

#include "weir/util/assert.h"

void snap_init(struct snap *snap, uint64_t generation, snap_destroy_fn destroy)
{
    atomic_init(&snap->refs, 1);
    snap->destroy = destroy;
    snap->generation = generation;
}

struct snap *snap_ref(struct snap *snap)
{
    /* Relaxed: the caller got the pointer through something that already ordered the contents
     * (mail, or a reference it holds); a higher count publishes nothing. */
    unsigned before = atomic_fetch_add_explicit(&snap->refs, 1, memory_order_relaxed);

    WR_ASSERT(before > 0);
    return snap;
}

void snap_unref(struct snap *snap)
{
    if (snap == NULL) {
        return;
    }
    /* Release: this holder's reads come before its drop. Acquire: the last one sees all drops
     * before it destroys. */
    unsigned before = atomic_fetch_sub_explicit(&snap->refs, 1, memory_order_acq_rel);

    WR_ASSERT(before > 0);
    if (before == 1) {
        snap->destroy(snap);
    }
}

unsigned snap_refs(const struct snap *snap)
{
    return atomic_load_explicit(&snap->refs, memory_order_relaxed);
}
