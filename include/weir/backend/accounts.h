/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts - the primary's account table, for users.source: server.
 *
 * WHY       A client that only speaks mysql_native_password proves a password that weir has never
 *           seen; the server's own table holds what is needed to check and to pass on that proof.
 * OWNS      struct accounts: its entries. The hashes are password equivalents for the second stage:
 *           they are wiped when the last reference goes, and never logged.
 * THREADS   Immutable once published.
 * REENTRY   none
 * UNITS     none
 * ERRORS    Builder functions: 0 or a negative err code.
 * BOUNDS    ACCOUNTS_MAX entries; a longer table is not loaded at all.
 */
#ifndef WEIR_BACKEND_ACCOUNTS_H
#define WEIR_BACKEND_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/snap.h"
#include "weir/util/str.h"

#define ACCOUNTS_MAX         100000
#define ACCOUNTS_STAGE2_SIZE 20

struct account {
    struct span user; /* empty: the anonymous account */
    struct span host; /* pattern as in the table */
    struct span plugin;
    bool has_native;  /* it can log in by mysql_native_password, stage2 is its hash */
    bool no_password; /* mysql_native_password with an empty password */
    bool locked;
    bool expired;
    bool tls_required; /* REQUIRE SSL, X509 or more */
    bool is_role;
    uint8_t stage2[ACCOUNTS_STAGE2_SIZE]; /* SHA1(SHA1(password)) */
};

struct accounts;

const struct accounts *accounts_ref(const struct accounts *accounts);
void accounts_unref(const struct accounts *accounts);
uint64_t accounts_generation(const struct accounts *accounts);
size_t accounts_count(const struct accounts *accounts);

/*
 * The account that a server would choose for this user from this address: the most specific host
 * pattern that matches, a named user before the anonymous one. addr is a numeric address
 * ("10.0.0.7", "::1") or "localhost" (unix socket). NULL: none, or no table loaded.
 *
 * A server judges by the address that it sees, which is weir's; ask with that one to know which
 * account will be used. Host names in the table other than "localhost" never match: weir does not
 * ask the DNS for a login (127.0.0.1 and ::1 also match "localhost", as servers resolve them so).
 */
const struct account *accounts_find(const struct accounts *accounts, struct span user,
                                    struct span addr);

/* host as a pattern of the account table: %, _, a.b.c.d/m.m.m.m, without case. */
bool account_host_matches(struct span pattern, struct span addr);

/* --- building --- */
struct accounts_builder;

struct accounts_builder *accounts_builder_create(void);
void accounts_builder_destroy(struct accounts_builder *builder);
/* Copies what the spans point to. */
WR_NODISCARD int accounts_builder_add(struct accounts_builder *builder,
                                      const struct account *account);
/* Takes the builder apart, on success and on failure. NULL: no memory. */
struct accounts *accounts_builder_finish(struct accounts_builder *builder, uint64_t generation);

/* "*2470C0C0..." or "" (no password) into account's native fields; false: not such a hash. */
bool account_native_parse(struct span text, struct account *account);

#endif
