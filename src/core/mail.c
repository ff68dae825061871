/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "weir/backend/accounts.h"
#include "weir/backend/catalogue.h"
#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/util/attr.h"

#include "mail_priv.h"
#include "settings_priv.h"

struct snapshot_mail {
    struct mail mail;
    const void *snapshot; /* counted */
};

/* Two functions for each kind, which differ in what the pointer means. */
#define X(kind, noun)                                            \
    static const void *noun##_snapshot_ref(const void *snapshot) \
    {                                                            \
        return noun##_ref(snapshot);                             \
    }                                                            \
    static void noun##_snapshot_unref(const void *snapshot)      \
    {                                                            \
        noun##_unref(snapshot);                                  \
    }
SNAPSHOT_KINDS(X)
#undef X

static const struct {
    const void *(*ref)(const void *snapshot);
    void (*unref)(const void *snapshot);
} KINDS[] = {
#define X(kind, noun) [SNAPSHOT_##kind] = {noun##_snapshot_ref, noun##_snapshot_unref},
    SNAPSHOT_KINDS(X)
#undef X
};

const void *mail_snapshot_ref(enum snapshot_kind kind, const void *snapshot)
{
    return KINDS[kind].ref(snapshot);
}

static void snapshot_mail_free(struct mail *mail)
{
    struct snapshot_mail *own = WR_CONTAINER_OF(mail, struct snapshot_mail, mail);

    if (own->snapshot != NULL) {
        KINDS[mail->kind].unref(own->snapshot);
    }
    free(own);
}

struct mail *mail_snapshot_create(enum snapshot_kind kind, const void *snapshot)
{
    struct snapshot_mail *own = calloc(1, sizeof(*own));

    if (own == NULL) {
        KINDS[kind].unref(snapshot);
        return NULL;
    }
    own->mail = (struct mail){.kind = kind, .free_fn = snapshot_mail_free};
    own->snapshot = snapshot;
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
