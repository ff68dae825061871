/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "weir/util/arena.h"
#include "weir/util/fault.h"
#include "weir/util/secret.h"

#include "load_priv.h"

#define CONFIG_ARENA_MAX (64u * 1024 * 1024)

static void config_destroy(struct snap *snap)
{
    struct config *config = WR_CONTAINER_OF(snap, struct config, snap);

    if (config->mem != NULL) {
        secret_store_destroy(config->mem->secrets);
        arena_fini(&config->mem->arena);
        free(config->mem);
    }
    free(config);
}

struct config *config_create(size_t secret_bytes)
{
    struct config *config = fault_calloc(1, sizeof *config);

    if (config == NULL) {
        return NULL;
    }
    snap_init(&config->snap, 1, config_destroy);
    config->mem = fault_calloc(1, sizeof *config->mem);
    if (config->mem == NULL) {
        config_unref(config);
        return NULL;
    }
    arena_init(&config->mem->arena, CONFIG_ARENA_MAX);
    if (secret_store_create(secret_bytes, &config->mem->secrets) < 0) {
        config->mem->secrets = NULL;
        config_unref(config);
        return NULL;
    }
    return config;
}

struct config *config_ref(struct config *config)
{
    (void)snap_ref(&config->snap);
    return config;
}

void config_unref(struct config *config)
{
    if (config != NULL) {
        snap_unref(&config->snap);
    }
}

const struct config_user *config_find_user(const struct config *config, const char *name)
{
    uint32_t low = 0;
    uint32_t high = config->users.list_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = strcmp(name, config->users.list[mid].name);

        if (order == 0) {
            return &config->users.list[mid];
        }
        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

bool config_has_source(const struct config *config, enum config_user_source source)
{
    for (uint32_t i = 0; i < config->users.source_count; i++) {
        if (config->users.source[i] == source) {
            return true;
        }
    }
    return false;
}

bool config_has_admin(const struct config *config)
{
    return config->admin.address.kind != CONFIG_ADDR_NONE && config->admin.user_count > 0;
}

bool config_wants_gtid(const struct config *config)
{
    if (config->read_after_write.mode == CONFIG_RAW_AUTO ||
        config->read_after_write.mode == CONFIG_RAW_GTID) {
        return true;
    }
    for (uint32_t i = 0; i < config->rule_count; i++) {
        if (config->rules[i].read_after_write == CONFIG_RULE_RAW_GTID ||
            config->rules[i].read_after_write == CONFIG_RULE_RAW_AUTO) {
            return true;
        }
    }
    return false;
}
