/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/accounts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/crypto.h"
#include "weir/util/err.h"

#define TEXT_MAX 512 /* a user, a host pattern or a plugin name of an account table is shorter */

struct accounts_builder {
    struct account *list; /* owned; the spans in it lead to owned copies */
    size_t count;
    size_t cap;
};

struct accounts {
    struct snap snap;
    struct accounts_builder *content; /* owned; sorted by user, then most specific host first */
};

/* --- host patterns --- */

static uint8_t ascii_lower(uint8_t c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* % and _, and a backslash before either, without case. Bounded: one point to go back to. */
static bool wild_match(struct span pattern, struct span text)
{
    size_t p = 0;
    size_t t = 0;
    size_t back_p = SIZE_MAX;
    size_t back_t = 0;

    while (t < text.len) {
        if (p < pattern.len && pattern.p[p] == '%') {
            back_p = ++p;
            back_t = t;
            continue;
        }
        if (p < pattern.len) {
            bool is_quoted = pattern.p[p] == '\\' && p + 1 < pattern.len;
            size_t at = is_quoted ? p + 1 : p;

            if ((!is_quoted && pattern.p[p] == '_') ||
                ascii_lower(pattern.p[at]) == ascii_lower(text.p[t])) {
                p = at + 1;
                t++;
                continue;
            }
        }
        if (back_p == SIZE_MAX) {
            return false;
        }
        p = back_p;
        t = ++back_t;
    }
    while (p < pattern.len && pattern.p[p] == '%') {
        p++;
    }
    return p == pattern.len;
}

static bool ipv4_parse(struct span text, uint32_t *ret_ip)
{
    char copy[INET_ADDRSTRLEN];
    struct in_addr addr;

    if (text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, &addr) != 1) {
        return false;
    }
    *ret_ip = ntohl(addr.s_addr);
    return true;
}

static bool mask_parse(struct span text, uint32_t *ret_mask)
{
    unsigned bits = 0;

    if (ipv4_parse(text, ret_mask)) {
        return true;
    }
    if (text.len == 0 || text.len > 2) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
        bits = bits * 10 + (unsigned)(text.p[i] - '0');
    }
    if (bits > 32) {
        return false;
    }
    *ret_mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
    return true;
}

/* "10.1.0.0/255.255.0.0" or "10.1.0.0/16" */
static bool net_parse(struct span pattern, uint32_t *ret_net, uint32_t *ret_mask)
{
    const uint8_t *slash = pattern.len ? memchr(pattern.p, '/', pattern.len) : NULL;
    size_t at = 0;

    if (!slash) {
        return false;
    }
    at = (size_t)(slash - pattern.p);
    return ipv4_parse((struct span){pattern.p, at}, ret_net) &&
           mask_parse((struct span){slash + 1, pattern.len - at - 1}, ret_mask);
}

bool account_host_matches(struct span pattern, struct span addr)
{
    uint32_t net = 0;
    uint32_t mask = 0;
    uint32_t ip = 0;

    if (pattern.len == 0) { /* servers read an empty host as any */
        return true;
    }
    if (net_parse(pattern, &net, &mask)) {
        return ipv4_parse(addr, &ip) && (ip & mask) == net;
    }
    if (wild_match(pattern, addr)) {
        return true;
    }
    return span_eq_text_nocase(pattern, "localhost") &&
           (span_eq_text(addr, "127.0.0.1") || span_eq_text(addr, "::1"));
}

/* Higher is more specific: no wildcard, then a net by its bits, then the place of the first
 * wildcard. */
static unsigned host_rank(struct span pattern)
{
    uint32_t net = 0;
    uint32_t mask = 0;

    if (net_parse(pattern, &net, &mask)) {
        return 10000U + (unsigned)__builtin_popcount(mask);
    }
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.p[i] == '%' || pattern.p[i] == '_') {
            return (unsigned)i;
        }
    }
    return pattern.len == 0 ? 0 : 20000U;
}

/* --- building --- */

struct accounts_builder *accounts_builder_create(void)
{
    return calloc(1, sizeof(struct accounts_builder));
}

static void span_drop(struct span *text)
{
    free((void *)(uintptr_t)text->p); /* our own copy: const is the readers' */
    text->p = NULL;
    text->len = 0;
}

void accounts_builder_destroy(struct accounts_builder *builder)
{
    if (!builder) {
        return;
    }
    for (size_t i = 0; i < builder->count; i++) {
        span_drop(&builder->list[i].user);
        span_drop(&builder->list[i].host);
        span_drop(&builder->list[i].plugin);
        crypto_wipe(builder->list[i].stage2, sizeof(builder->list[i].stage2));
    }
    free(builder->list);
    free(builder);
}

static int span_dup(struct span from, struct span *ret_copy)
{
    uint8_t *bytes = NULL;

    if (from.len > TEXT_MAX) {
        return -WR_E_TOO_LARGE;
    }
    bytes = malloc(from.len + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    if (from.len > 0) {
        memcpy(bytes, from.p, from.len);
    }
    bytes[from.len] = 0;
    *ret_copy = (struct span){bytes, from.len};
    return 0;
}

static int builder_grow(struct accounts_builder *builder)
{
    size_t cap = builder->cap ? builder->cap * 2 : 32;
    struct account *list = NULL;

    if (builder->count >= ACCOUNTS_MAX) {
        return -WR_E_LIMIT;
    }
    if (builder->count < builder->cap) {
        return 0;
    }
    /* Not realloc: it would leave hashes behind in freed memory. */
    list = calloc(cap, sizeof(*list));
    if (!list) {
        return -ENOMEM;
    }
    if (builder->count > 0) {
        memcpy(list, builder->list, builder->count * sizeof(*list));
        crypto_wipe(builder->list, builder->count * sizeof(*list));
    }
    free(builder->list);
    builder->list = list;
    builder->cap = cap;
    return 0;
}

int accounts_builder_add(struct accounts_builder *builder, const struct account *account)
{
    struct account copy = *account;
    int rc = builder_grow(builder);

    copy.user = copy.host = copy.plugin = (struct span){NULL, 0};
    if (rc == 0) {
        rc = span_dup(account->user, &copy.user);
    }
    if (rc == 0) {
        rc = span_dup(account->host, &copy.host);
    }
    if (rc == 0) {
        rc = span_dup(account->plugin, &copy.plugin);
    }
    if (rc < 0) {
        span_drop(&copy.user);
        span_drop(&copy.host);
        span_drop(&copy.plugin);
    } else {
        builder->list[builder->count++] = copy;
    }
    crypto_wipe(copy.stage2, sizeof(copy.stage2));
    return rc;
}

static int user_compare(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int rc = len ? memcmp(a.p, b.p, len) : 0;

    if (rc != 0) {
        return rc;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static int account_compare(const void *left, const void *right)
{
    const struct account *a = left;
    const struct account *b = right;
    int rc = user_compare(a->user, b->user);
    unsigned rank_a = host_rank(a->host);
    unsigned rank_b = host_rank(b->host);

    if (rc != 0) {
        return rc;
    }
    if (rank_a != rank_b) {
        return rank_a > rank_b ? -1 : 1;
    }
    return user_compare(a->host, b->host);
}

static void accounts_free(struct snap *snap)
{
    struct accounts *accounts = WR_CONTAINER_OF(snap, struct accounts, snap);

    accounts_builder_destroy(accounts->content);
    free(accounts);
}

struct accounts *accounts_builder_finish(struct accounts_builder *builder, uint64_t generation)
{
    struct accounts *accounts = calloc(1, sizeof(*accounts));

    if (!accounts) {
        accounts_builder_destroy(builder);
        return NULL;
    }
    if (builder->count > 1) {
        qsort(builder->list, builder->count, sizeof(builder->list[0]), account_compare);
    }
    snap_init(&accounts->snap, generation, accounts_free);
    accounts->content = builder;
    return accounts;
}

/* --- reading --- */

/* Only the count changes after publication. */
static struct accounts *accounts_counted(const struct accounts *accounts)
{
    return (struct accounts *)(uintptr_t)accounts;
}

const struct accounts *accounts_ref(const struct accounts *accounts)
{
    snap_ref(&accounts_counted(accounts)->snap);
    return accounts;
}

void accounts_unref(const struct accounts *accounts)
{
    if (accounts) {
        snap_unref(&accounts_counted(accounts)->snap);
    }
}

uint64_t accounts_generation(const struct accounts *accounts)
{
    return accounts ? accounts->snap.generation : 0;
}

size_t accounts_count(const struct accounts *accounts)
{
    return accounts ? accounts->content->count : 0;
}

/* The most specific entry of exactly this user that matches. */
static const struct account *user_find(const struct accounts_builder *content, struct span user,
                                       struct span addr)
{
    size_t low = 0;
    size_t high = content->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (user_compare(content->list[mid].user, user) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    for (; low < content->count && span_eq(content->list[low].user, user); low++) {
        const struct account *account = &content->list[low];

        if (!account->is_role && account_host_matches(account->host, addr)) {
            return account;
        }
    }
    return NULL;
}

const struct account *accounts_find(const struct accounts *accounts, struct span user,
                                    struct span addr)
{
    const struct account *named = NULL;
    const struct account *anonymous = NULL;

    if (!accounts) {
        return NULL;
    }
    anonymous = user_find(accounts->content, (struct span){NULL, 0}, addr);
    if (user.len == 0) {
        return anonymous;
    }
    named = user_find(accounts->content, user, addr);
    if (!named || !anonymous) {
        return named ? named : anonymous;
    }
    return host_rank(anonymous->host) > host_rank(named->host) ? anonymous : named;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool account_native_parse(struct span text, struct account *account)
{
    if (text.len == 0) {
        account->has_native = true;
        account->no_password = true;
        return true;
    }
    if (text.len != 1 + 2 * ACCOUNTS_STAGE2_SIZE || text.p[0] != '*') {
        return false;
    }
    for (size_t i = 0; i < ACCOUNTS_STAGE2_SIZE; i++) {
        int high = hex_value(text.p[1 + 2 * i]);
        int low = hex_value(text.p[2 + 2 * i]);

        if (high < 0 || low < 0) {
            return false;
        }
        account->stage2[i] = (uint8_t)(high << 4 | low);
    }
    account->has_native = true;
    account->no_password = false;
    return true;
}
