/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/cred.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/secret.h"

struct cred {
    /* Holders: the verifier store, sessions, their conns, logins on their way. */
    atomic_uint refs;
    enum cred_kind kind;
    struct secret_store *store;
    uint8_t *secret;
    size_t secret_len;
    size_t user_len;
    uint8_t user[];
};

int cred_create(struct secret_store *store, struct span user, enum cred_kind kind,
                struct span secret, struct cred **ret_cred)
{
    if (user.len > CRED_USER_MAX || secret.len > CRED_SECRET_MAX) {
        return -WR_E_TOO_LARGE;
    }
    struct cred *cred = calloc(1, sizeof(*cred) + user.len);
    if (cred == NULL) {
        return -ENOMEM;
    }
    if (kind != CRED_EMPTY && secret.len > 0) {
        cred->secret = secret_alloc(store, secret.len);
        if (cred->secret == NULL) {
            free(cred);
            return -WR_E_LIMIT;
        }
        memcpy(cred->secret, secret.p, secret.len);
        cred->secret_len = secret.len;
    }
    atomic_init(&cred->refs, 1);
    cred->kind = kind;
    cred->store = store;
    cred->user_len = user.len;
    if (user.len > 0) {
        memcpy(cred->user, user.p, user.len);
    }
    *ret_cred = cred;
    return 0;
}

struct cred *cred_ref(struct cred *cred)
{
    /* relaxed: the caller holds a reference already, so the object cannot go meanwhile */
    unsigned before = atomic_fetch_add_explicit(&cred->refs, 1, memory_order_relaxed);
    WR_ASSERT(before > 0);
    return cred;
}

void cred_unref(struct cred *cred)
{
    if (cred == NULL) {
        return;
    }
    /* acq_rel: whoever wipes must see what the others did with it before they let go */
    unsigned before = atomic_fetch_sub_explicit(&cred->refs, 1, memory_order_acq_rel);
    WR_ASSERT(before > 0);
    if (before == 1) {
        secret_free(cred->store, cred->secret);
        free(cred);
    }
}

struct span cred_user(const struct cred *cred)
{
    return (struct span){cred->user, cred->user_len};
}

enum cred_kind cred_kind(const struct cred *cred)
{
    return cred->kind;
}

struct span cred_secret(const struct cred *cred)
{
    return (struct span){cred->secret, cred->secret_len};
}

bool cred_equal(const struct cred *a, const struct cred *b)
{
    if (a == b) {
        return true;
    }
    return a->kind == b->kind && span_eq(cred_user(a), cred_user(b)) &&
           a->secret_len == b->secret_len && crypto_equal(a->secret, b->secret, a->secret_len);
}
