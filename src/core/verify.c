/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir verify`: what the configuration promises, and where it listens, become a run of src/verify.
 */
#include "weir/verify/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/config/config.h"
#include "weir/core/run.h"
#include "weir/util/clock.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#include "settings_priv.h"

#define PASSWORD_MAX 1024
#define ADDRESS_MAX  256
#define PORT_MAX     65535
#define KEYS         64
#define MIN_READS    100
/* some sessions write all the time, and their reads are the primary's */
#define MIN_REPLICA_PCT 5

struct place {
    char host[ADDRESS_MAX];
    char password[PASSWORD_MAX];
};

/* An address that everybody may come in by is reached on this machine. */
static const char *reachable(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0) {
        return "127.0.0.1";
    }
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static bool parse_address(const char *text, struct place *place, struct verify_target *target)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    size_t len = 0;
    unsigned long port = 0;

    if (strncmp(text, "unix:/", 6) == 0) {
        target->socket = text + 5;
        return true;
    }
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(place->host)) {
        return false;
    }
    len = (size_t)(colon - text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    memcpy(place->host, text, len);
    place->host[len] = '\0';
    port = strtoul(colon + 1, &end, 10);
    target->host = place->host;
    target->port = (unsigned)port;
    return len > 0 && colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port > 0 &&
           port <= PORT_MAX;
}

static int place_find(const struct run_verify_args *args, const struct config *config,
                      struct place *place, struct verify_target *target)
{
    const struct config_addr *listener = &config->listeners[0].address;
    bool is_here = false;

    if (args->address != NULL) {
        if (!parse_address(args->address, place, target)) {
            return -EINVAL;
        }
    } else if (listener->path != NULL) {
        target->socket = listener->path;
    } else {
        (void)snprintf(place->host, sizeof(place->host), "%s", reachable(listener->host));
        target->host = place->host;
        target->port = listener->port;
    }
    is_here = target->socket != NULL || strncmp(target->host, "127.", 4) == 0 ||
              strcmp(target->host, "::1") == 0 || strcmp(target->host, "localhost") == 0;
    switch (args->tls) {
    case RUN_VERIFY_TLS_AUTO:
        target->is_tls = !is_here;
        break;
    case RUN_VERIFY_TLS_OFF:
        target->is_tls = false;
        break;
    case RUN_VERIFY_TLS_REQUIRED:
        target->is_tls = true;
        break;
    }
    return 0;
}

/* What the file holds up to the end of its first line. */
static int password_read(const char *path, char password[PASSWORD_MAX])
{
    const char *given = NULL;
    ssize_t n = 0;
    int fd = -1;

    if (path == NULL) {
        given = getenv("WEIR_VERIFY_PASSWORD"); /* NOLINT(concurrency-mt-unsafe) */
        (void)snprintf(password, PASSWORD_MAX, "%s", given == NULL ? "" : given);
        return 0;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    n = read(fd, password, PASSWORD_MAX - 1);
    if (n < 0) {
        n = 0;
    }
    password[n] = '\0';
    password[strcspn(password, "\r\n")] = '\0';
    (void)close(fd);
    return 0;
}

static void promises(const struct config *config, struct verify_conf *conf)
{
    bool is_sure = !config->read_after_write.unsafe &&
                   config->read_after_write.window_us != CONFIG_WINDOW_ADAPTIVE;

    switch (config->read_after_write.mode) {
    case CONFIG_RAW_GTID:
        conf->mode = VERIFY_GTID;
        break;
    case CONFIG_RAW_AUTO: /* weir itself says which of the two */
    case CONFIG_RAW_WINDOW:
    case CONFIG_RAW_STRICT:
        /* one that is shorter than what weir would take promises nothing */
        conf->mode = is_sure ? VERIFY_WINDOW : VERIFY_OFF;
        conf->is_auto = config->read_after_write.mode == CONFIG_RAW_AUTO;
        break;
    case CONFIG_RAW_OFF:
        conf->mode = VERIFY_OFF;
        break;
    }
    switch (config->read_after_write.scope) {
    case CONFIG_SCOPE_SESSION:
    case CONFIG_SCOPE_KEY:
        conf->scope = VERIFY_SESSION;
        break;
    case CONFIG_SCOPE_USER: /* all clients here are one user's */
    case CONFIG_SCOPE_GLOBAL:
        conf->scope = VERIFY_GLOBAL;
        break;
    }
    conf->may_go_back = !config->read_after_write.monotonic;
    /* how old a replica may be before its verdict says so, and a second for what counts in seconds */
    conf->stale_us = config->monitor.max_lag_us +
                     config->monitor.interval_us * (config->monitor.failures + (uint64_t)1) +
                     CLOCK_US_PER_SECOND;
    conf->min_replica_pct = config->server_count > 1 ? MIN_REPLICA_PCT : 0;
}

static int play(const struct verify_conf *conf, FILE *out)
{
    struct verify_result *result = calloc(1, sizeof(*result));
    int rc = result == NULL ? -ENOMEM : verify_library_init();

    if (rc < 0) {
        free(result);
        return RUN_FAILED;
    }
    rc = verify_run(conf, result);
    if (result->error[0] != '\0') {
        (void)fprintf(out, "%s\n", result->error);
    }
    if (rc < 0) {
        (void)fprintf(out,
                      "no verdict: %s\n"
                      "The user needs all rights on the schema that is made and dropped:\n"
                      "    GRANT ALL ON `weir\\_verify\\_%%`.* TO ...\n",
                      err_text(rc));
        rc = RUN_FAILED;
    } else {
        bool is_left = result->error[0] != '\0';

        rc = verify_print(conf, result, out) == 0 && !is_left ? RUN_OK : RUN_FAILED;
        (void)fprintf(out, "%s\n", rc == RUN_OK ? "all kept" : "NOT all kept");
    }
    verify_library_fini();
    free(result);
    return rc;
}

int run_verify(const struct run_verify_args *args, FILE *out)
{
    struct config_errors errs = {0};
    struct settings *settings = NULL;
    struct verify_conf conf;
    struct rand_state rng;
    struct place place;
    int rc = settings_load(args->config_path, 1, &errs, &settings);

    config_print_errors(&errs, stderr);
    if (rc < 0) {
        return RUN_USAGE;
    }
    verify_conf_init(&conf);
    promises(settings->config, &conf);
    rc = place_find(args, settings->config, &place, &conf.target);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: verify: not an address: %s\n", args->address);
    } else {
        rc = password_read(args->password_path, place.password);
        if (rc < 0) {
            (void)fprintf(stderr, "weir: verify: %s: %s\n", args->password_path, err_text(rc));
        }
    }
    if (rc == 0) {
        rand_seed_system(&rng);
        conf.target.user = args->user;
        conf.target.password = place.password;
        conf.seconds = args->seconds;
        conf.clients = (uint16_t)args->clients;
        conf.rate = args->rate;
        conf.seed = args->seed != 0 ? args->seed : 1 + rand_below(&rng, UINT32_MAX - 1);
        conf.keys = KEYS;
        conf.min_reads = MIN_READS;
        conf.is_weir = true;
        conf.asks_route = true;
        rc = play(&conf, out);
        crypto_wipe(place.password, sizeof(place.password));
    } else {
        rc = RUN_USAGE;
    }
    settings_unref(settings);
    return rc;
}
