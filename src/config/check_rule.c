/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules: words that have a form of their own, the route taken apart, names used twice. Pure.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "errors_priv.h"
#include "load_priv.h"
#include "value_priv.h"

#define DIGEST_DIGITS 16

/* The node of the index-th word of a setting, or the nearest that there is. */
static const struct yaml_node *word_node(const struct yaml_node *rule, const char *setting,
                                         uint32_t index)
{
    const struct yaml_node *node = yaml_get(rule, setting);
    const struct yaml_node *word = yaml_at(node, index);

    if (word != NULL) {
        return word;
    }
    return node != NULL ? node : rule;
}

static bool is_digest(const char *text)
{
    return strlen(text) == DIGEST_DIGITS && strspn(text, "0123456789abcdef") == DIGEST_DIGITS;
}

bool config_network_parse(const char *text, struct config_network *ret_network)
{
    struct config_network network = {.is_unix = false};
    const char *slash = strchr(text, '/');
    char addr[INET6_ADDRSTRLEN];
    uint64_t bits = 0;
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);

    if (strcmp(text, "unix") == 0) {
        *ret_network = (struct config_network){.is_unix = true};
        return true;
    }
    if (len >= sizeof addr) {
        return false;
    }
    (void)span_copy((struct span){(const uint8_t *)text, len}, addr, sizeof addr);
    network.is_v6 = strchr(addr, ':') != NULL;
    if (inet_pton(network.is_v6 ? AF_INET6 : AF_INET, addr, network.addr) != 1) {
        return false;
    }
    bits = network.is_v6 ? 128 : 32;
    if (slash != NULL) {
        uint64_t most = bits;

        if (value_parse_count(span_of(slash + 1), &bits) != NULL || bits > most) {
            return false;
        }
    }
    network.bits = (uint8_t)bits;
    for (uint32_t i = 0; i < sizeof network.addr; i++) {
        uint32_t kept = bits > (uint64_t)i * 8 ? (uint32_t)(bits - (uint64_t)i * 8) : 0;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00U >> kept);

        if ((network.addr[i] & ~mask) != 0) {
            return false; /* 10.1.2.3/8: which of the two was meant? */
        }
    }
    *ret_network = network;
    return true;
}

static void check_words(struct loader *l, const struct yaml_node *node,
                        const struct config_rule *rule)
{
    struct config_network network;

    for (uint32_t i = 0; i < rule->digest.count; i++) {
        if (!is_digest(rule->digest.item[i])) {
            errors_add(l->errs, word_node(node, "digest", i),
                       "%.40s is no digest; write the 16 hex digits that weir shows, in quotes",
                       rule->digest.item[i]);
        }
    }
    for (uint32_t i = 0; i < rule->client.count; i++) {
        if (!config_network_parse(rule->client.item[i], &network)) {
            errors_add(l->errs, word_node(node, "client", i),
                       "%.50s is no network; write 10.0.0.0/8, 192.168.1.7, \"fd00::/8\" or unix, "
                       "with no bits behind the mask",
                       rule->client.item[i]);
        }
    }
    for (uint32_t i = 0; i < rule->table.count; i++) {
        const char *text = rule->table.item[i];
        const char *dot = strchr(text, '.');

        if (dot == text || (dot != NULL && (dot[1] == '\0' || strchr(dot + 1, '.') != NULL)) ||
            strpbrk(text, "`\"") != NULL) {
            errors_add(l->errs, word_node(node, "table", i),
                       "%.60s is no table; write name or schema.name, without quotes inside", text);
        }
    }
}

/* "db2#1" is an address of db2. */
static bool is_server(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->server_count; i++) {
        const char *known = config->servers[i].name;
        size_t len = known == NULL ? 0 : strlen(known);

        if (len != 0 && strncmp(name, known, len) == 0 &&
            (name[len] == '\0' || (name[len] == '#' && name[len + 1] != '\0'))) {
            return true;
        }
    }
    return false;
}

static void check_route(struct loader *l, const struct yaml_node *node, struct config_rule *rule)
{
    const struct yaml_node *at = word_node(node, "route", 0);
    const char *text = rule->route_text;
    size_t word = 0;

    if (text == NULL) {
        return;
    }
    word = strcspn(text, " ");
    if (strcmp(text, "primary") == 0) {
        rule->route = CONFIG_ROUTE_PRIMARY;
    } else if (strcmp(text, "replica") == 0) {
        rule->route = CONFIG_ROUTE_REPLICA;
    } else if (word == 6 && memcmp(text, "server", word) == 0 && text[word] == ' ' &&
               text[word + strspn(text + word, " ")] != '\0') {
        rule->route = CONFIG_ROUTE_SERVER;
        rule->server = text + word + strspn(text + word, " ");
        if (!is_server(l->config, rule->server)) {
            errors_add(l->errs, at, "there is no server %.64s; name one of servers", rule->server);
        }
    } else {
        errors_add(l->errs, at, "route is \"%.40s\"; write primary, replica or server NAME", text);
    }
}

static bool has_condition(const struct config_rule *rule)
{
    return rule->digest.count + rule->table.count + rule->schema.count + rule->user.count +
                   rule->client.count + rule->class_words.count !=
               0 ||
           rule->match != NULL;
}

static bool is_freeing(const struct config_rule *rule)
{
    return rule->route_text != NULL || rule->max_lag_us != UINT64_MAX || rule->timeout_us != 0 ||
           rule->read_after_write != CONFIG_RULE_RAW_DEFAULT || rule->cache_us != UINT64_MAX ||
           rule->cache_purge.count + rule->cache_refresh.count != 0;
}

/* What belongs to an answer that is kept, where nothing is said of that. cache: off may stand beside
 * it, as who tries something out writes it. */
static void check_cache(struct loader *l, const struct yaml_node *node,
                        const struct config_rule *rule)
{
    static const char *const details[] = {"cache_coherence",
                                          "cache_share",
                                          "cache_scope",
                                          "cache_max_entry",
                                          "cache_stale_while_revalidate",
                                          "cache_stale_if_error",
                                          "cache_tags"};
    bool is_kept = rule->cache_us != UINT64_MAX && rule->cache_us != 0;

    l->config->cache.has_rows =
        l->config->cache.has_rows || rule->cache_scope == CONFIG_CACHE_SCOPE_ROW;
    l->config->cache.has_refresh = l->config->cache.has_refresh || rule->cache_refresh.count != 0;

    for (size_t i = 0; rule->cache_us == UINT64_MAX && i < WR_ARRAY_LEN(details); i++) {
        if (yaml_get(node, details[i]) != NULL) {
            errors_add(l->errs, word_node(node, details[i], 0),
                       "%s is given without cache, and has no effect; add it, as in cache: 5m",
                       details[i]);
        }
    }
    if (is_kept && l->config->cache.memory_bytes == 0) {
        errors_warn(l->errs, word_node(node, "cache", 0),
                    "it has no effect while cache.memory is off; set it, as in 256MiB");
    }
    if (rule->cache_max_entry_bytes > l->config->cache.memory_bytes &&
        l->config->cache.memory_bytes != 0) {
        errors_add(l->errs, word_node(node, "cache_max_entry", 0),
                   "cache_max_entry is above cache.memory; lower it");
    }
}

/* --- tags --- */

#define TAG_BYTES                                                     \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" \
    ".@+-:"
#define COLUMN_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$"

/* {names} of a tag; NULL: well-formed. is_purge: it may end with ":*". */
static const char *tag_fault(const char *text, bool is_purge)
{
    size_t len = strlen(text);
    size_t end = is_purge && len > 2 && strcmp(text + len - 2, ":*") == 0 ? len - 1 : len;
    unsigned values = 0;
    bool has_colon = false;

    if (len == 0 || len > CONFIG_TAG_BYTES) {
        return "is too long or empty; write at most 128 bytes";
    }
    if (text[0] == ':' || (end == len && text[len - 1] == ':')) {
        return "begins or ends with a colon; write something there";
    }
    for (size_t i = 0; i < end;) {
        size_t span = strspn(text + i, TAG_BYTES);

        has_colon = has_colon || memchr(text + i, ':', span) != NULL;
        i += span;
        if (i >= end) {
            break;
        }
        span = text[i] == '{' ? strspn(text + i + 1, COLUMN_BYTES) : 0;
        if (span == 0 || span > 64 || text[i + 1 + span] != '}') {
            return is_purge
                       ? "is no tag; write letters, digits, any of _.@+-: and {column}, and :* "
                         "at the end for all tags below"
                       : "is no tag; write letters, digits, any of _.@+-: and {column}";
        }
        if (++values > CONFIG_TAG_VALUES) {
            return "has too many {columns}; write at most 4";
        }
        if (is_purge && !has_colon) {
            return "has no colon before its first {column}; write one, as in device:{device_id}, so "
                   "that a write without a value can end all of them";
        }
        i += span + 2;
    }
    return NULL;
}

static void check_tags(struct loader *l, const struct yaml_node *node, const char *setting,
                       const struct config_words *tags, bool is_purge)
{
    if (tags->count > CONFIG_TAGS_MAX) {
        errors_add(l->errs, word_node(node, setting, CONFIG_TAGS_MAX),
                   "%s has %u tags; write at most %u", setting, tags->count, CONFIG_TAGS_MAX);
    }
    for (uint32_t i = 0; i < tags->count; i++) {
        const char *fault = tag_fault(tags->item[i], is_purge);

        if (fault != NULL) {
            errors_add(l->errs, word_node(node, setting, i), "\"%.60s\" %s", tags->item[i], fault);
        }
    }
    if (is_purge && tags->count != 0 && l->config->cache.memory_bytes == 0) {
        errors_warn(l->errs, word_node(node, setting, 0),
                    "it has no effect while cache.memory is off; set it, as in 256MiB");
    }
}

static void check_name(struct loader *l, const struct yaml_node *node, uint32_t index)
{
    struct config_rule *rule = &l->config->rules[index];
    char label[24];

    (void)snprintf(label, sizeof label, "rule-%u", index + 1);
    rule->label = rule->name != NULL ? rule->name : load_text(l, span_of(label));
    for (uint32_t k = 0; rule->name != NULL && k < index; k++) {
        const char *other = l->config->rules[k].name;

        if (other != NULL && strcmp(other, rule->name) == 0) {
            errors_add(l->errs, word_node(node, "name", 0),
                       "two rules are called %s; give each its own name", rule->name);
            return;
        }
    }
}

void check_rules(struct loader *l, const struct yaml_node *root)
{
    const struct yaml_node *list = yaml_get(root, "rules");
    const struct yaml_node *n = list != NULL ? list->first : NULL;
    const struct yaml_node *catch_all = NULL;

    for (uint32_t i = 0; n != NULL && i < l->config->rule_count; i++, n = n->next) {
        struct config_rule *rule = &l->config->rules[i];
        const struct yaml_node *match = yaml_get(n, "match");

        if (match != NULL) {
            rule->match_at = (struct config_place){match->line, match->column};
        }
        check_name(l, n, i);
        check_words(l, n, rule);
        check_route(l, n, rule);
        check_cache(l, n, rule);
        check_tags(l, n, "cache_tags", &rule->cache_tags, false);
        check_tags(l, n, "cache_purge", &rule->cache_purge, true);
        check_tags(l, n, "cache_refresh", &rule->cache_refresh, true);
        if (catch_all != NULL) {
            errors_warn(l->errs, n,
                        "never reached: the rule in line %u has no condition and takes everything",
                        catch_all->line);
        } else if (!has_condition(rule)) {
            catch_all = n;
        }
        if (rule->deny != NULL && is_freeing(rule)) {
            errors_add(l->errs, word_node(n, "deny", 0),
                       "what is denied goes nowhere; remove deny, or the other actions but log");
        }
        if (rule->match_caseless && rule->match == NULL) {
            errors_warn(l->errs, word_node(n, "match_caseless", 0),
                        "it has no effect without match");
        }
    }
}
