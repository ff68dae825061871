/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users - what weir knows of the users it has seen log in: verifiers, and limits on checks.
 *
 * WHY       A server's yes is worth something for a while (recheck): within it, the same user with
 *           the same proof need not cost the server another login. And no client may use weir to
 *           try passwords on a server faster than the operator allows.
 * OWNS      References on credentials; the RSA key pair of this process; the store of secrets,
 *           so it must outlive every cred.
 * THREADS   Any; one lock, held for one look-up, never while calling out. Only logins come here.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    0 or more on success, a negative err code on failure.
 * BOUNDS    USERS_MAX users, USERS_SCHEMAS_MAX accepted schemas each, USERS_NEGATIVE_MAX refusals
 *           remembered; the oldest goes. auth.* for checks that run at once.
 */
#ifndef WEIR_CLIENT_USERS_H
#define WEIR_CLIENT_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/str.h"

#define USERS_MAX          10000
#define USERS_SCHEMAS_MAX  16
#define USERS_NEGATIVE_MAX 1024
#define USERS_CHECKS_MAX   1024

struct conn_failure;
struct cred;
struct crypto_rsa;
struct secret_store;
struct users;

struct users_conf {
    uint64_t recheck_us;
    uint64_t negative_us;
    uint32_t max_checks;
    uint32_t max_checks_per_address;
    uint32_t max_checks_per_user;
};

/* Makes the RSA key pair too, which takes some 100 ms. */
WR_NODISCARD int users_create(const struct users_conf *conf, struct users **ret_users);
/* NULL is fine. */
void users_destroy(struct users *users);
/* New limits after a reload. */
void users_set_conf(struct users *users, const struct users_conf *conf);
/* For clients that send their password under RSA. Borrowed. */
const struct crypto_rsa *users_rsa(const struct users *users);
/* Where credentials keep their secrets. Borrowed; locked by itself. */
struct secret_store *users_secrets(struct users *users);

/* --- verifiers --- */
enum users_fresh {
    USERS_UNKNOWN, /* no verifier */
    USERS_STALE,   /* a verifier, and the server's yes is older than recheck */
    USERS_FRESH,   /* the server has said yes within recheck, to this schema too */
};

/* The credential that a server accepted last for this user. *ret_cred is a reference for the
 * caller, NULL with USERS_UNKNOWN. schema empty: none is asked for. */
enum users_fresh users_find(struct users *users, struct span user, struct span schema,
                            uint64_t now_us, struct cred **ret_cred);
/* A server has said yes. */
WR_NODISCARD int users_accept(struct users *users, struct cred *cred, struct span schema,
                              uint64_t now_us);
/* A server has said no to this credential: forget it, if it is the one held. */
void users_refuse(struct users *users, const struct cred *cred);
/* Forget a user whatever is held. */
void users_forget(struct users *users, struct span user);
size_t users_count(struct users *users);

/* --- refusals, for a short while --- */
/* True: this credential was refused less than negative_us ago; *ret_failure says how. */
bool users_is_refused(struct users *users, const struct cred *cred, struct span schema,
                      uint64_t now_us, struct conn_failure *ret_failure);
void users_remember_refusal(struct users *users, const struct cred *cred, struct span schema,
                            const struct conn_failure *failure, uint64_t now_us);

/* --- logins to servers that clients cause --- */
/* >= 0: a ticket, to be given to users_check_end(). -WR_E_LIMIT: not now. */
WR_NODISCARD int users_check_begin(struct users *users, struct span user, struct span address);
void users_check_end(struct users *users, int ticket);
uint32_t users_checks_running(struct users *users);

#endif
