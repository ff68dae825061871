/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single value can tell: settings that contradict each other, names used twice, and the
 * values that are computed from others. Pure.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/duration.h"

#include "errors_priv.h"
#include "load_priv.h"
#include "value_priv.h"

#define CHECK_SECRET_MIN        16u      /* bytes */
#define CHECK_LAG_RESOLUTION_US 1000000u /* Seconds_Behind_Source counts whole seconds */

/* The node of one setting of a list's element; the element itself when it is not given. */
static const struct yaml_node *check_node(const struct yaml_node *element, const char *word)
{
    const struct yaml_node *node = yaml_get(element, word);

    return node != NULL ? node : element;
}

static void check_servers(struct loader *l, const struct yaml_node *root)
{
    const struct config *c = l->config;
    const struct yaml_node *list = yaml_get(root, "servers");
    const struct yaml_node *n = list != NULL ? list->first : NULL;
    uint32_t primary_line = 0;
    uint32_t replicas = 0;

    if (list == NULL || (list->kind == YAML_KIND_LIST && list->count == 0)) {
        errors_add(l->errs, list,
                   "servers is missing; name at least one, as in "
                   "servers: [{name: db1, address: \"db1:3306\"}]");
        return;
    }
    for (uint32_t i = 0; n != NULL && i < c->server_count; i++, n = n->next) {
        const struct config_server *s = &c->servers[i];

        for (uint32_t k = 0; k < i; k++) {
            if (s->name != NULL && c->servers[k].name != NULL &&
                strcmp(s->name, c->servers[k].name) == 0) {
                errors_add(l->errs, check_node(n, "name"),
                           "two servers are called %s; give each its own name", s->name);
                break;
            }
        }
        for (uint32_t k = 0; k < i; k++) {
            if (s->address.text != NULL && c->servers[k].address.text != NULL &&
                strcmp(s->address.text, c->servers[k].address.text) == 0) {
                errors_add(l->errs, check_node(n, "address"),
                           "two servers have the address %.60s; a server is one address",
                           s->address.text);
                break;
            }
        }
        if (s->role == CONFIG_ROLE_PRIMARY && primary_line != 0) {
            errors_add(l->errs, check_node(n, "role"),
                       "a second primary, the first is in line %u; keep one, or write auto",
                       primary_line);
        }
        if (s->role == CONFIG_ROLE_PRIMARY && primary_line == 0) {
            primary_line = check_node(n, "role")->line;
        }
        replicas += s->role == CONFIG_ROLE_REPLICA ? 1 : 0;
        if (s->tls == CONFIG_TLS_VERIFY && s->address.kind == CONFIG_ADDR_UNIX &&
            s->tls_server_name == NULL) {
            errors_add(l->errs, check_node(n, "tls"),
                       "a unix socket has no name to verify; set tls_server_name, or tls: off");
        }
        if (s->tls != CONFIG_TLS_VERIFY && (s->tls_ca != NULL || s->tls_server_name != NULL)) {
            errors_warn(l->errs, check_node(n, s->tls_ca != NULL ? "tls_ca" : "tls_server_name"),
                        "nothing is verified unless tls is verify; write tls: verify");
        }
    }
    if (c->server_count > 0 && replicas == c->server_count) {
        errors_add(l->errs, list, "every server is a replica; one must be primary, or auto");
    }
}

static void check_listeners(struct loader *l, const struct yaml_node *root)
{
    const struct config *c = l->config;
    const struct yaml_node *list = yaml_get(root, "listeners");
    const struct yaml_node *n = list != NULL ? list->first : NULL;

    if (list != NULL && list->kind == YAML_KIND_LIST && list->count == 0) {
        errors_add(l->errs, list, "listeners is empty; name one, or remove it for 127.0.0.1:3310");
    }
    for (uint32_t i = 0; n != NULL && i < c->listener_count; i++, n = n->next) {
        const struct config_addr *a = &c->listeners[i].address;

        for (uint32_t k = 0; k < i; k++) {
            const struct config_addr *b = &c->listeners[k].address;
            bool is_any_port = a->kind == CONFIG_ADDR_TCP && a->port == 0;

            if (a->text != NULL && b->text != NULL && strcmp(a->text, b->text) == 0 &&
                !is_any_port) {
                errors_add(l->errs, check_node(n, "address"),
                           "two listeners have the address %.60s; remove one", a->text);
                break;
            }
        }
    }
}

static const char *const check_kinds[] = {"password", "password_file", "password_env",
                                          "password_hash"};

/* Exactly one kind of password in map. */
static void check_password(struct loader *l, const struct yaml_node *map, const char *of)
{
    const struct yaml_node *first = NULL;

    for (size_t i = 0; i < WR_ARRAY_LEN(check_kinds); i++) {
        const struct yaml_node *node = yaml_get(map, check_kinds[i]);

        if (node != NULL && first != NULL) {
            errors_add(l->errs, node, "%s has %s and %s; keep one of them", of, first->key->text,
                       check_kinds[i]);
            return;
        }
        first = first != NULL ? first : node;
    }
    if (first == NULL) {
        errors_add(l->errs, map, "%s has no password; add password_file (or password: \"\")", of);
    }
}

struct check_name {
    const struct yaml_node *node; /* a scalar */
};

static int check_order(const void *a, const void *b)
{
    const struct check_name *x = a;
    const struct check_name *y = b;
    int order = strcmp(x->node->text, y->node->text);

    if (order != 0) {
        return order;
    }
    return x->node->line < y->node->line ? -1 : 1;
}

/* The names of users.list sorted: there may be ten thousand. */
static void check_user_names(struct loader *l, const struct yaml_node *list)
{
    struct check_name *names =
        arena_zalloc(&l->config->mem->arena, sizeof *names * (list->count + 1));
    uint32_t count = 0;

    if (names == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
        const struct yaml_node *name = yaml_get(n, "name");

        if (name != NULL && name->kind == YAML_KIND_SCALAR) {
            names[count++].node = name;
        }
    }
    if (count > 1) {
        qsort(names, count, sizeof *names, check_order);
    }
    for (uint32_t i = 1; i < count; i++) {
        const struct yaml_node *first = names[i - 1].node;

        if (strcmp(names[i].node->text, first->text) == 0) {
            errors_add(l->errs, names[i].node,
                       "user %.40s is listed twice, first in line %u; keep one", first->text,
                       first->line);
        }
    }
}

static void check_users(struct loader *l, const struct yaml_node *root)
{
    const struct yaml_node *users = yaml_get(root, "users");
    const struct yaml_node *list = yaml_get(users, "list");
    bool is_used = config_has_source(l->config, CONFIG_SOURCE_LIST);

    if (list != NULL && list->kind == YAML_KIND_LIST) {
        for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
            if (n->kind == YAML_KIND_MAP) {
                check_password(l, n, "this user");
            }
        }
        check_user_names(l, list);
        if (!is_used && list->count > 0) {
            errors_add(l->errs, list,
                       "users.list is given, and users.source does not name it; add list to it");
        }
    }
    if (is_used && (list == NULL || list->count == 0)) {
        errors_add(l->errs, yaml_get(users, "source"),
                   "users.source names list, and there is no users.list; add it");
    }
    if (yaml_get(users, "source") != NULL && yaml_get(users, "source")->kind == YAML_KIND_LIST &&
        yaml_get(users, "source")->count == 0) {
        errors_add(l->errs, yaml_get(users, "source"),
                   "users.source is empty; write one of: passthrough server list");
    }
}

/* 127.0.0.0/8 and ::1 (addresses to listen on are no names): nobody comes from elsewhere. */
static bool check_is_loopback(const struct config_addr *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (address->kind == CONFIG_ADDR_UNIX) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void check_admin_users(struct loader *l, const struct yaml_node *list)
{
    const struct config_admin *admin = &l->config->admin;
    const struct yaml_node *n = list != NULL && list->kind == YAML_KIND_LIST ? list->first : NULL;

    for (uint32_t i = 0; n != NULL && i < admin->user_count; i++, n = n->next) {
        const struct config_admin_user *user = &admin->users[i];

        if (n->kind != YAML_KIND_MAP) {
            continue;
        }
        check_password(l, n, "this operator");
        if (user->password.p != NULL && user->password.len == 0) {
            errors_add(l->errs, n, "an operator without a password; give one");
        }
        for (uint32_t k = 0; k < i; k++) {
            if (user->name != NULL && admin->users[k].name != NULL &&
                strcmp(user->name, admin->users[k].name) == 0) {
                errors_add(l->errs, check_node(n, "name"),
                           "operator %.40s is listed twice; keep one", user->name);
                break;
            }
        }
    }
}

static void check_admin(struct loader *l, const struct yaml_node *root)
{
    const struct config *c = l->config;
    const struct yaml_node *admin = yaml_get(root, "admin");
    const struct yaml_node *node = yaml_get(admin, "address");

    if (admin == NULL || admin->kind != YAML_KIND_MAP) {
        return;
    }
    check_admin_users(l, yaml_get(admin, "users"));
    if (c->admin.address.kind == CONFIG_ADDR_NONE || c->admin.address.text == NULL) {
        return;
    }
    if (node != NULL && !check_is_loopback(&c->admin.address)) {
        errors_add(l->errs, node,
                   "admin.address is %.60s, which others can reach: who logs in there can take "
                   "servers out; write a loopback address or unix:/PATH, and go there by ssh",
                   c->admin.address.text);
    }
    if (node != NULL && c->admin.user_count == 0) {
        errors_warn(l->errs, node,
                    "admin.address is given, and nobody could log in; add admin.users");
    }
    for (uint32_t i = 0; c->admin.user_count > 0 && i < c->listener_count; i++) {
        const struct config_addr *other = &c->listeners[i].address;
        bool is_any_port = other->kind == CONFIG_ADDR_TCP && other->port == 0;

        if (other->text != NULL && strcmp(other->text, c->admin.address.text) == 0 &&
            !is_any_port) {
            errors_add(l->errs, node != NULL ? node : admin,
                       "admin.address is %.60s, as is a listener; give it its own",
                       c->admin.address.text);
        }
    }
}

/* Its words go between quotes in a statement. */
static void check_heartbeat(struct loader *l, const struct yaml_node *root)
{
    const char *table = l->config->monitor.heartbeat;
    struct span schema = {NULL, 0};
    struct span name = {NULL, 0};

    if (table != NULL &&
        (value_parse_function(span_of(table), &schema, &name) != NULL || schema.len == 0)) {
        errors_add(l->errs, yaml_get(yaml_get(root, "monitor"), "heartbeat"),
                   "monitor.heartbeat is \"%.64s\"; write SCHEMA.TABLE, without quotes", table);
    }
}

static void check_window(struct loader *l, const struct yaml_node *root)
{
    struct config *c = l->config;
    struct config_raw *raw = &c->read_after_write;
    const struct yaml_node *section = yaml_get(root, "read_after_write");
    const struct yaml_node *node = yaml_get(section, "window");
    uint64_t least = c->monitor.max_lag_us +
                     c->monitor.interval_us * ((uint64_t)c->monitor.failures + 1) +
                     CHECK_LAG_RESOLUTION_US;
    uint64_t longest = 0;
    char shown[32];

    if (raw->ceiling_us != UINT64_MAX && raw->window_us != CONFIG_WINDOW_ADAPTIVE) {
        errors_warn(l->errs, yaml_get(section, "window_ceiling"),
                    "window_ceiling has no effect unless window is adaptive");
    }
    if (raw->window_us == UINT64_MAX) {
        raw->window_us = least;
        return;
    }
    if (raw->mode == CONFIG_RAW_OFF) {
        errors_warn(l->errs, node, "a window has no effect while read_after_write.mode is off");
        return;
    }
    longest = raw->window_us;
    if (raw->window_us == CONFIG_WINDOW_ADAPTIVE) {
        longest = raw->ceiling_us == UINT64_MAX ? least : raw->ceiling_us;
        node = check_node(section, "window_ceiling");
        if (raw->floor_us > longest) {
            errors_add(l->errs, check_node(section, "window_floor"),
                       "window_floor is above window_ceiling; lower it");
            return;
        }
    }
    if (longest < least && !raw->unsafe) {
        duration_format(least, shown, sizeof shown);
        errors_add(l->errs, node,
                   "shorter than %s (max_lag + interval x (failures + 1) + 1s): a read could miss "
                   "the write before it; write auto, or add unsafe: true",
                   shown);
    }
}

/* At most one way to give it; the first node that is given, NULL: none. */
static const struct yaml_node *check_one_of(struct loader *l, const struct yaml_node *map,
                                            const char *const *words, size_t count)
{
    const struct yaml_node *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *node = yaml_get(map, words[i]);

        if (node != NULL && first != NULL) {
            errors_add(l->errs, node, "redis has %s and %s; keep one of them", first->key->text,
                       words[i]);
            return first;
        }
        first = first != NULL ? first : node;
    }
    return first;
}

static void check_redis(struct loader *l, const struct yaml_node *root)
{
    static const char *const secrets[] = {"secret", "secret_file", "secret_env"};
    const struct config_redis *redis = &l->config->redis;
    const struct yaml_node *map = yaml_get(root, "redis");
    const struct yaml_node *password = NULL;
    const struct yaml_node *secret = NULL;

    if (map == NULL || map->kind != YAML_KIND_MAP) {
        return;
    }
    password = check_one_of(l, map, check_kinds, WR_ARRAY_LEN(check_kinds));
    secret = check_one_of(l, map, secrets, WR_ARRAY_LEN(secrets));
    if (secret != NULL && redis->secret.p != NULL && redis->secret.len < CHECK_SECRET_MIN) {
        errors_add(l->errs, secret, "the secret is shorter than %u bytes and could be guessed",
                   (unsigned)CHECK_SECRET_MIN);
    }
    if (redis->user != NULL && password == NULL) {
        errors_add(l->errs, check_node(map, "user"),
                   "redis.user has no password; add password_file (or password: \"\")");
    }
    if (redis->tls != CONFIG_REDIS_TLS_VERIFY &&
        (redis->tls_ca != NULL || redis->tls_server_name != NULL)) {
        errors_warn(l->errs, check_node(map, redis->tls_ca != NULL ? "tls_ca" : "tls_server_name"),
                    "nothing is verified unless tls is verify; write tls: verify");
    }
    if (redis->tls == CONFIG_REDIS_TLS_VERIFY && redis->address.kind == CONFIG_ADDR_UNIX &&
        redis->tls_server_name == NULL) {
        errors_add(l->errs, check_node(map, "tls"),
                   "a unix socket has no name to verify; set tls_server_name, or tls: off");
    }
    if (redis->cluster && redis->database != 0) {
        errors_add(l->errs, check_node(map, "database"),
                   "a Redis Cluster has one database; remove redis.database");
    }
    if (redis->cluster && redis->address.kind == CONFIG_ADDR_UNIX) {
        errors_add(l->errs, check_node(map, "address"),
                   "the servers of a cluster name each other by host and port; write one of those");
    }
    if (redis->address.kind == CONFIG_ADDR_NONE && yaml_get(map, "address") == NULL) {
        errors_warn(l->errs, map, "redis has no address, and is not used; add redis.address");
    }
}

/* An answer from Redis becomes one of the memory, and nobody but weirs may write such. */
static void check_cache_redis(struct loader *l, const struct yaml_node *map)
{
    const struct config_redis *redis = &l->config->redis;

    if (!l->config->cache.redis) {
        return;
    }
    if (l->config->cache.memory_bytes == 0) {
        errors_add(l->errs, check_node(map, "redis"),
                   "cache.redis needs cache.memory; set it, as in 256MiB");
    }
    if (redis->address.kind == CONFIG_ADDR_NONE) {
        errors_add(l->errs, check_node(map, "redis"), "cache.redis needs redis.address; set it");
    } else if (redis->secret.p == NULL) {
        errors_add(l->errs, check_node(map, "redis"),
                   "cache.redis needs redis.secret_file: without it whoever reaches Redis could "
                   "make up answers");
    }
}

static void check_cache(struct loader *l, const struct yaml_node *root)
{
    const struct config_cache *cache = &l->config->cache;
    const struct yaml_node *map = yaml_get(root, "cache");

    if (map == NULL || map->kind != YAML_KIND_MAP) {
        return;
    }
    if (cache->memory_bytes == 0 && yaml_get(map, "memory") == NULL) {
        errors_warn(l->errs, map,
                    "cache has no memory, and is not used; add cache.memory, as in 256MiB");
    }
    if (cache->memory_bytes != 0 && cache->max_entry_bytes > cache->memory_bytes) {
        errors_add(l->errs, check_node(map, "max_entry"),
                   "cache.max_entry is above cache.memory; lower it");
    }
    check_cache_redis(l, map);
}

void check_all(struct loader *l, const struct yaml_node *root)
{
    const struct config *c = l->config;
    const struct yaml_node *monitor = yaml_get(root, "monitor");
    const struct yaml_node *tls = yaml_get(root, "tls");
    const struct yaml_node *limits = yaml_get(root, "limits");

    check_servers(l, root);
    check_listeners(l, root);
    check_users(l, root);
    check_admin(l, root);
    if (monitor != NULL && monitor->kind == YAML_KIND_MAP) {
        check_password(l, monitor, "monitor");
    }
    if ((c->tls.cert == NULL) != (c->tls.key == NULL)) {
        const char *given = c->tls.cert != NULL ? "cert" : "key";

        errors_add(l->errs, yaml_get(tls, given), "tls.%s is given without tls.%s; add it", given,
                   c->tls.cert != NULL ? "key" : "cert");
    }
    if (c->limits.relay_low_bytes >= c->limits.relay_high_bytes) {
        errors_add(l->errs, check_node(limits, "relay_low"),
                   "limits.relay_low must be below limits.relay_high; lower it");
    }
    check_heartbeat(l, root);
    check_window(l, root);
    check_redis(l, root);
    check_cache(l, root);
    check_rules(l, root);
}
