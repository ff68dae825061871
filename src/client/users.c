/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock for all of it: it is taken a few times per login, for the length of a look-up, and no
 * statement ever comes here.
 */
#include "weir/client/users.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "weir/backend/conn.h"
#include "weir/backend/cred.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/list.h"
#include "weir/util/map.h"
#include "weir/util/secret.h"

#define RSA_BITS     2048
#define SECRETS_SIZE ((size_t)1024 * 1024)
#define DIGEST_SIZE  16

/* The beginning of a SHA-256 under a key of this process: nobody outside can aim at a collision,
 * and no name or secret lies about. */
struct digest {
    uint8_t b[DIGEST_SIZE];
};

struct schema_seen {
    struct digest name;
    uint64_t accepted_us;
};

struct user_entry {
    /* owning */
    struct list_node node; /* least recently accepted first */
    struct cred *cred;
    struct schema_seen *schemas; /* USERS_SCHEMAS_MAX of them, or NULL: none yet */
    /* values */
    uint64_t accepted_us;
    size_t schema_count;
};

struct refusal {
    struct digest what; /* user, secret, schema */
    uint64_t until_us;  /* 0: empty */
    struct conn_failure failure;
};

struct check {
    bool is_running;
    struct digest user;
    struct digest address;
};

struct users {
    /* owning */
    struct crypto_rsa *rsa;
    struct secret_store *secrets;
    struct refusal *refusals; /* a ring of USERS_NEGATIVE_MAX */
    pthread_mutex_t lock;     /* guards what follows */
    struct map map;           /* user name -> struct user_entry */
    struct list order;
    struct check checks[USERS_CHECKS_MAX];
    /* values */
    struct users_conf conf;
    size_t refusal_next;
    uint32_t checks_running;
    uint8_t key[CRYPTO_SHA256_SIZE];
};

static struct digest digest_of(const struct users *users, struct span a, struct span b,
                               struct span c)
{
    uint64_t lens[3] = {a.len, b.len, c.len};
    const struct span parts[5] = {
        {users->key, sizeof(users->key)}, {(const uint8_t *)lens, sizeof(lens)}, a, b, c};
    uint8_t hash[CRYPTO_SHA256_SIZE];
    struct digest digest;
    crypto_sha256(parts, WR_ARRAY_LEN(parts), hash);
    memcpy(digest.b, hash, sizeof(digest.b));
    crypto_wipe(hash, sizeof(hash));
    return digest;
}

static bool digest_eq(const struct digest *a, const struct digest *b)
{
    return crypto_equal(a->b, b->b, sizeof(a->b));
}

static struct digest digest_name(const struct users *users, struct span name)
{
    return digest_of(users, name, (struct span){NULL, 0}, (struct span){NULL, 0});
}

static struct digest digest_cred(const struct users *users, const struct cred *cred,
                                 struct span schema)
{
    return digest_of(users, cred_user(cred), cred_secret(cred), schema);
}

static void lock(struct users *users)
{
    int r = pthread_mutex_lock(&users->lock);
    WR_ASSERT(r == 0);
}

static void unlock(struct users *users)
{
    int r = pthread_mutex_unlock(&users->lock);
    WR_ASSERT(r == 0);
}

static void entry_free(void *ptr)
{
    struct user_entry *entry = ptr;
    list_remove(&entry->node);
    cred_unref(entry->cred);
    free(entry->schemas);
    free(entry);
}

int users_create(const struct users_conf *conf, struct users **ret_users)
{
    struct users *users = calloc(1, sizeof(*users));
    if (users == NULL) {
        return -ENOMEM;
    }
    users->refusals = calloc(USERS_NEGATIVE_MAX, sizeof(*users->refusals));
    if (users->refusals == NULL || pthread_mutex_init(&users->lock, NULL) != 0) {
        free(users->refusals);
        free(users);
        return -ENOMEM;
    }
    map_init(&users->map, MAP_KEYS_HOSTILE, USERS_MAX + 1);
    list_init(&users->order);
    users->conf = *conf;
    crypto_random(users->key, sizeof(users->key));
    int r = secret_store_create(SECRETS_SIZE, &users->secrets);
    if (r >= 0) {
        r = crypto_rsa_create(RSA_BITS, &users->rsa);
    }
    if (r < 0) {
        users_destroy(users);
        return r;
    }
    *ret_users = users;
    return 0;
}

void users_destroy(struct users *users)
{
    if (users == NULL) {
        return;
    }
    map_fini(&users->map, entry_free);
    crypto_rsa_destroy(users->rsa);
    secret_store_destroy(users->secrets);
    (void)pthread_mutex_destroy(&users->lock);
    crypto_wipe(users->key, sizeof(users->key));
    free(users->refusals);
    free(users);
}

void users_set_conf(struct users *users, const struct users_conf *conf)
{
    lock(users);
    users->conf = *conf;
    unlock(users);
}

const struct crypto_rsa *users_rsa(const struct users *users)
{
    return users->rsa;
}

struct secret_store *users_secrets(struct users *users)
{
    return users->secrets;
}

static bool is_within(uint64_t then_us, uint64_t now_us, uint64_t span_us)
{
    return now_us < then_us || now_us - then_us < span_us;
}

static bool schema_is_fresh(const struct users *users, const struct user_entry *entry,
                            struct span schema, uint64_t now_us)
{
    if (schema.len == 0) {
        return true;
    }
    struct digest name = digest_name(users, schema);
    for (size_t i = 0; i < entry->schema_count; i++) {
        if (digest_eq(&entry->schemas[i].name, &name)) {
            return is_within(entry->schemas[i].accepted_us, now_us, users->conf.recheck_us);
        }
    }
    return false;
}

enum users_fresh users_find(struct users *users, struct span user, struct span schema,
                            uint64_t now_us, struct cred **ret_cred)
{
    enum users_fresh fresh = USERS_UNKNOWN;
    *ret_cred = NULL;
    lock(users);
    struct user_entry *entry = map_get(&users->map, user);
    if (entry != NULL) {
        *ret_cred = cred_ref(entry->cred);
        bool is_fresh = is_within(entry->accepted_us, now_us, users->conf.recheck_us) &&
                        schema_is_fresh(users, entry, schema, now_us);
        fresh = is_fresh ? USERS_FRESH : USERS_STALE;
    }
    unlock(users);
    return fresh;
}

/* The schema's place, or the oldest one's. */
static int schema_accept(const struct users *users, struct user_entry *entry, struct span schema,
                         uint64_t now_us)
{
    if (schema.len == 0) {
        return 0;
    }
    if (entry->schemas == NULL) {
        entry->schemas = calloc(USERS_SCHEMAS_MAX, sizeof(*entry->schemas));
        if (entry->schemas == NULL) {
            return -ENOMEM;
        }
    }
    struct digest name = digest_name(users, schema);
    size_t place = 0;
    for (size_t i = 0; i < entry->schema_count; i++) {
        if (digest_eq(&entry->schemas[i].name, &name)) {
            entry->schemas[i].accepted_us = now_us;
            return 0;
        }
        if (entry->schemas[i].accepted_us < entry->schemas[place].accepted_us) {
            place = i;
        }
    }
    if (entry->schema_count < USERS_SCHEMAS_MAX) {
        place = entry->schema_count++;
    }
    entry->schemas[place] = (struct schema_seen){.name = name, .accepted_us = now_us};
    return 0;
}

static void entry_remove(struct users *users, struct user_entry *entry)
{
    void *removed = map_remove(&users->map, cred_user(entry->cred));
    WR_ASSERT(removed == entry);
    entry_free(entry);
}

static struct user_entry *entry_add(struct users *users, struct cred *cred)
{
    struct user_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    list_node_init(&entry->node);
    entry->cred = cred_ref(cred);
    if (map_put(&users->map, cred_user(cred), entry, NULL) < 0) {
        entry_free(entry);
        return NULL;
    }
    if (map_count(&users->map) > USERS_MAX) {
        entry_remove(users, list_entry(list_first(&users->order), struct user_entry, node));
    }
    return entry;
}

int users_accept(struct users *users, struct cred *cred, struct span schema, uint64_t now_us)
{
    lock(users);
    struct user_entry *entry = map_get(&users->map, cred_user(cred));
    if (entry != NULL && !cred_equal(entry->cred, cred)) {
        /* the password has changed: what the old one was good for says nothing */
        entry_remove(users, entry);
        entry = NULL;
    }
    if (entry == NULL) {
        entry = entry_add(users, cred);
    }
    int r = -ENOMEM;
    if (entry != NULL) {
        entry->accepted_us = now_us;
        list_remove(&entry->node);
        list_push(&users->order, &entry->node);
        r = schema_accept(users, entry, schema, now_us);
    }
    unlock(users);
    return r;
}

void users_refuse(struct users *users, const struct cred *cred)
{
    lock(users);
    struct user_entry *entry = map_get(&users->map, cred_user(cred));
    if (entry != NULL && cred_equal(entry->cred, cred)) {
        entry_remove(users, entry);
    }
    unlock(users);
}

void users_forget(struct users *users, struct span user)
{
    lock(users);
    struct user_entry *entry = map_get(&users->map, user);
    if (entry != NULL) {
        entry_remove(users, entry);
    }
    unlock(users);
}

size_t users_count(struct users *users)
{
    lock(users);
    size_t count = map_count(&users->map);
    unlock(users);
    return count;
}

bool users_is_refused(struct users *users, const struct cred *cred, struct span schema,
                      uint64_t now_us, struct conn_failure *ret_failure)
{
    bool found = false;
    struct digest what = digest_cred(users, cred, schema);
    lock(users);
    for (size_t i = 0; i < USERS_NEGATIVE_MAX && !found; i++) {
        const struct refusal *refusal = &users->refusals[i];
        if (refusal->until_us > now_us && digest_eq(&refusal->what, &what)) {
            *ret_failure = refusal->failure;
            found = true;
        }
    }
    unlock(users);
    return found;
}

void users_remember_refusal(struct users *users, const struct cred *cred, struct span schema,
                            const struct conn_failure *failure, uint64_t now_us)
{
    struct digest what = digest_cred(users, cred, schema);
    lock(users);
    if (users->conf.negative_us > 0) {
        users->refusals[users->refusal_next] = (struct refusal){
            .what = what,
            .until_us = now_us + users->conf.negative_us,
            .failure = *failure,
        };
        users->refusal_next = (users->refusal_next + 1) % USERS_NEGATIVE_MAX;
    }
    unlock(users);
}

int users_check_begin(struct users *users, struct span user, struct span address)
{
    struct digest of_user = digest_name(users, user);
    struct digest of_address = digest_name(users, address);
    uint32_t same_user = 0;
    uint32_t same_address = 0;
    int ticket = -WR_E_LIMIT;

    lock(users);
    uint32_t left = users->checks_running;
    for (int i = 0; i < USERS_CHECKS_MAX && (left > 0 || ticket < 0); i++) {
        const struct check *check = &users->checks[i];
        if (!check->is_running) {
            ticket = ticket < 0 ? i : ticket;
            continue;
        }
        left--;
        same_user += digest_eq(&check->user, &of_user) ? 1 : 0;
        same_address += digest_eq(&check->address, &of_address) ? 1 : 0;
    }
    if (users->checks_running >= users->conf.max_checks ||
        same_user >= users->conf.max_checks_per_user ||
        same_address >= users->conf.max_checks_per_address) {
        ticket = -WR_E_LIMIT;
    }
    if (ticket >= 0) {
        users->checks[ticket] =
            (struct check){.is_running = true, .user = of_user, .address = of_address};
        users->checks_running++;
    }
    unlock(users);
    return ticket;
}

void users_check_end(struct users *users, int ticket)
{
    WR_ASSERT(ticket >= 0 && ticket < USERS_CHECKS_MAX);
    lock(users);
    WR_ASSERT(users->checks[ticket].is_running);
    users->checks[ticket].is_running = false;
    users->checks_running--;
    unlock(users);
}

uint32_t users_checks_running(struct users *users)
{
    lock(users);
    uint32_t count = users->checks_running;
    unlock(users);
    return count;
}
