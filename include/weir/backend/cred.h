/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred - what weir can log in with as one user: nothing, a password, or a stage-1 hash.
 *
 * WHY       Sessions of many workers and the verifier store hold the same secret; it must lie in
 *           one place, outside core dumps, and be wiped when the last of them lets go.
 * OWNS      Its copy of the user name and, in secret memory, of the secret.
 * THREADS   Immutable; the count is atomic, so any thread may hold a reference.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    0, -ENOMEM, -WR_E_TOO_LARGE, -WR_E_LIMIT (the store is full).
 * BOUNDS    CRED_USER_MAX and CRED_SECRET_MAX bytes.
 */
#ifndef WEIR_BACKEND_CRED_H
#define WEIR_BACKEND_CRED_H

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define CRED_USER_MAX   128 /* bytes: 32 characters on MySQL, 80 on MariaDB */
#define CRED_SECRET_MAX 1024

enum cred_kind {
    CRED_EMPTY,    /* the account has no password */
    CRED_PASSWORD, /* the password itself: every plugin */
    CRED_STAGE1,   /* SHA1(password), 20 bytes: mysql_native_password only */
};

struct cred;
struct secret_store;

/* Copies user and secret (ignored for CRED_EMPTY). The store must outlive every reference. */
WR_NODISCARD int cred_create(struct secret_store *store, struct span user, enum cred_kind kind,
                             struct span secret, struct cred **ret_cred);
struct cred *cred_ref(struct cred *cred);
/* NULL is fine. */
void cred_unref(struct cred *cred);

/* Borrowed from the cred. */
struct span cred_user(const struct cred *cred);
enum cred_kind cred_kind(const struct cred *cred);
struct span cred_secret(const struct cred *cred);
/* Same user, kind and secret; the secrets in constant time. */
bool cred_equal(const struct cred *a, const struct cred *b);

#endif
