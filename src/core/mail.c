/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "weir/util/attr.h"

#include "mail_priv.h"

struct snapshot_mail {
    struct mail mail;
    const void *snapshot; /* counted */
    snapshot_unref_fn unref;
};

static void snapshot_mail_free(struct mail *mail)
{
    struct snapshot_mail *own = WR_CONTAINER_OF(mail, struct snapshot_mail, mail);

    if (own->snapshot != NULL) {
        own->unref(own->snapshot);
    }
    free(own);
}

struct mail *mail_snapshot_create(uint32_t kind, const void *snapshot, snapshot_unref_fn unref)
{
    struct snapshot_mail *own = calloc(1, sizeof(*own));

    if (own == NULL) {
        unref(snapshot);
        return NULL;
    }
    own->mail = (struct mail){.kind = kind, .free_fn = snapshot_mail_free};
    own->snapshot = snapshot;
    own->unref = unref;
    return &own->mail;
}

const void *mail_snapshot_take(struct mail *mail)
{
    struct snapshot_mail *own = WR_CONTAINER_OF(mail, struct snapshot_mail, mail);
    const void *snapshot = own->snapshot;

    own->snapshot = NULL;
    return snapshot;
}

struct mail *mail_plain_create(uint32_t kind)
{
    struct snapshot_mail *own = calloc(1, sizeof(*own));

    if (own == NULL) {
        return NULL;
    }
    own->mail = (struct mail){.kind = kind, .free_fn = snapshot_mail_free};
    return &own->mail;
}
