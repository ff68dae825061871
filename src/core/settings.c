/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "weir/config/config.h"
#include "weir/io/tls.h"
#include "weir/route/rule.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "settings_priv.h"

#define PATH_BYTES 4096
/* Descriptors beside clients' and servers': listeners, logs, loops, monitors, libraries. */
#define FDS_SPARE 256

static void settings_destroy(struct snap *snap)
{
    struct settings *settings = WR_CONTAINER_OF(snap, struct settings, snap);

    rules_unref(settings->rules);
    tls_unref(settings->server_tls);
    config_unref(settings->config);
    free(settings);
}

int settings_load(const char *path, uint64_t generation, struct config_errors *errs,
                  struct settings **ret_settings)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    int rc = 0;

    if (settings == NULL) {
        return -ENOMEM;
    }
    snap_init(&settings->snap, generation, settings_destroy);
    rc = config_load(path, &settings->config, errs);
    if (rc == 0) {
        rc = rules_compile(settings->config, generation, errs, &settings->rules);
    }
    if (rc < 0) {
        snap_unref(&settings->snap);
        return rc;
    }
    *ret_settings = settings;
    return 0;
}

static bool wants_server_tls(const struct config *config)
{
    if (config_has_admin(config) && config->admin.tls != CONFIG_TLS_OFF) {
        return true;
    }
    for (uint32_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].tls != CONFIG_TLS_OFF) {
            return true;
        }
    }
    return false;
}

/* The files of a certificate that weir makes itself; 1: made now. */
static int own_files(const struct config_tls *tls, char cert[PATH_BYTES], char key[PATH_BYTES],
                     char ret_why[SETTINGS_WHY_BYTES])
{
    char why[TLS_WHY_BYTES] = "";
    int rc = 0;

    (void)snprintf(cert, PATH_BYTES, "%s/server-cert.pem", tls->dir);
    (void)snprintf(key, PATH_BYTES, "%s/server-key.pem", tls->dir);
    if (mkdir(tls->dir, 0750) != 0 && errno != EEXIST) {
        rc = -errno;
        (void)snprintf(ret_why, SETTINGS_WHY_BYTES,
                       "tls.dir %.200s: %s; set tls.dir, or tls.cert and tls.key, or "
                       "listeners[].tls: off",
                       tls->dir, err_text(rc));
        return rc;
    }
    rc = tls_make_files(cert, key, why);
    if (rc < 0) {
        (void)snprintf(ret_why, SETTINGS_WHY_BYTES, "%s", why);
    }
    return rc;
}

static void log_age(const struct settings *settings, const struct log_ctx *log, const char *file)
{
    int days = tls_days_left(settings->server_tls);

    if (days < 0) {
        log_error(log, "tls_expired", "the certificate %s has expired", file);
    } else if (days < 30) {
        log_warn(log, "tls_expires", "the certificate %s expires in %d days", file, days);
    }
}

int settings_tls(struct settings *settings, const struct log_ctx *log,
                 char ret_why[SETTINGS_WHY_BYTES])
{
    const struct config_tls *tls = &settings->config->tls;
    struct tls_server_conf conf = {.cert_file = tls->cert,
                                   .key_file = tls->key,
                                   .is_13_only = tls->min_version == CONFIG_TLS_1_3};
    char cert[PATH_BYTES];
    char key[PATH_BYTES];
    char why[TLS_WHY_BYTES] = "";
    int rc = 0;

    ret_why[0] = '\0';
    if (!wants_server_tls(settings->config)) {
        return 0;
    }
    if (conf.cert_file == NULL) {
        rc = own_files(tls, cert, key, ret_why);
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            log_info(log, "tls_made", "a certificate was made: %s", cert);
        }
        conf.cert_file = cert;
        conf.key_file = key;
    }
    rc = tls_server_create(&conf, why, &settings->server_tls);
    if (rc < 0) {
        (void)snprintf(ret_why, SETTINGS_WHY_BYTES, "%s", why);
        return rc;
    }
    log_age(settings, log, conf.cert_file);
    return 0;
}

void settings_labels(struct settings *settings, struct metric_registry *registry,
                     const struct log_ctx *log)
{
    for (uint32_t i = 0; i < rules_count(settings->rules); i++) {
        rules_set_label(settings->rules, i,
                        metric_rule_label(registry, rules_get(settings->rules, i)->label));
    }
    if (rules_are_slow(settings->rules)) {
        log_warn(
            log, "rules_slow",
            "no machine code can be made for some rules[].match: allow memory that is "
            "writable, then executable (MemoryDenyWriteExecute of systemd), or they cost more");
    }
}

/* Each client needs a descriptor, and one for each server that it uses; two are enough for most. */
int settings_descriptors(const struct config *config, const struct log_ctx *log)
{
    uint64_t wanted = (uint64_t)config->limits.max_clients * 3 + FDS_SPARE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return -errno;
    }
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return -errno;
        }
    }
    if (limit.rlim_cur < wanted) {
        log_warn(log, "descriptors",
                 "%llu file descriptors; limits.max_clients %u may need %llu (ulimit -n)",
                 (unsigned long long)limit.rlim_cur, (unsigned)config->limits.max_clients,
                 (unsigned long long)wanted);
    }
    return 0;
}

const struct settings *settings_ref(const struct settings *settings)
{
    struct settings *own = (struct settings *)(uintptr_t)settings; /* only the count changes */

    (void)snap_ref(&own->snap);
    return settings;
}

void settings_unref(const struct settings *settings)
{
    struct settings *own = (struct settings *)(uintptr_t)settings; /* only the count changes */

    if (own != NULL) {
        snap_unref(&own->snap);
    }
}
