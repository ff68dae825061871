/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's way to the answers in Redis, as the configuration says; and what all workers share for it. */
#include <stdio.h>

#include "weir/cache/tier.h"
#include "weir/config/config.h"
#include "weir/io/resolve.h"
#include "weir/io/tls.h"
#include "weir/util/err.h"
#include "weir/util/log.h"

#include "settings_priv.h"
#include "worker_priv.h"

static void on_event(void *arg, enum redis_pipe_event event, const char *where, const char *why)
{
    static const char *const names[] = {
#define X(name, text) [PIPE_EVENT_##name] = (text),
        PIPE_EVENTS(X)
#undef X
    };
    const struct worker *worker = arg;
    const struct log_ctx ctx = {.ring = worker->env.log_ring, .room = "cache"};

    switch (event) {
    case PIPE_EVENT_UP:
    case PIPE_EVENT_CLOSED:
        log_info(&ctx, "cache_redis", "%s %s: %s", names[event], where, why);
        break;
    case PIPE_EVENT_DOWN:
    case PIPE_EVENT_OPENED:
    case PIPE_EVENT_NO_MAP:
        log_warn(&ctx, "cache_redis", "%s %s: %s", names[event], where, why);
        break;
    }
}

int worker_tiers_init(struct workers *workers)
{
    const struct config *config = workers->shared.settings->config;
    const struct config_redis *redis = &config->redis;
    char why[TLS_WHY_BYTES] = "";
    int r = 0;

    if (workers->shared.cache == NULL || !config->cache.redis) {
        return 0;
    }
    workers->redis_settings = settings_ref(workers->shared.settings);
    r = resolver_create(&workers->resolver);
    if (r == 0 && redis->tls != CONFIG_REDIS_TLS_OFF) {
        r = tls_client_create(
            redis->tls == CONFIG_REDIS_TLS_VERIFY ? TLS_MODE_VERIFY : TLS_MODE_REQUIRED,
            redis->tls_ca != NULL ? redis->tls_ca : config->tls.ca, why, &workers->redis_tls);
    }
    if (r == 0 && workers->redis_tls != NULL && config->tls.min_version == CONFIG_TLS_1_3) {
        r = tls_require_13(workers->redis_tls);
    }
    return r;
}

void worker_tiers_fini(struct workers *workers)
{
    resolver_destroy(workers->resolver);
    tls_unref(workers->redis_tls);
    settings_unref(workers->redis_settings);
}

int worker_tier_init(struct worker *worker)
{
    struct workers *workers = worker->workers;
    const struct config_redis *redis = &workers->shared.settings->config->redis;
    bool is_unix = redis->address.kind == CONFIG_ADDR_UNIX;
    struct tier_conf conf = {
        .pipe =
            {
                .link =
                    {
                        .host = is_unix ? redis->address.path : redis->address.host,
                        .port = redis->address.port,
                        .database = redis->database,
                        .user = redis->user,
                        .password = {.p = redis->password.p, .len = redis->password.len},
                        .tls = workers->redis_tls,
                        .tls_name = redis->tls_server_name != NULL ? redis->tls_server_name
                                                                   : redis->address.host,
                        .connect_timeout_us = redis->connect_timeout_us,
                        .timeout_us = redis->timeout_us,
                    },
                .is_cluster = redis->cluster,
                .budget_us = redis->budget_us,
            },
        .calls = {.on_event = on_event, .arg = worker},
        .prefix = redis->prefix,
        .secret = {.p = redis->secret.p, .len = redis->secret.len},
        .max_value = redis->max_value_bytes,
        .pack_above = redis->compress_above_bytes,
        .tells_statistics = worker->index == 0,
        .metrics = worker->metrics,
    };

    if (workers->resolver == NULL) {
        return 0;
    }
    return tier_create(worker->loop, workers->resolver, &conf, &worker->tier);
}
