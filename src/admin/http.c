/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/admin/http.h"

#include <errno.h>
#include <stdlib.h>

#include "weir/io/http.h"
#include "weir/util/buf.h"
#include "weir/util/metric.h"

#define METRICS_MAX ((size_t)4 * 1024 * 1024)
#define TEXT_MAX    ((size_t)4096)

struct admin_http {
    struct http *http;
    struct admin_http_conf conf;
};

static void failed(struct http_reply *reply)
{
    buf_clear(reply->body);
    reply->status = 500;
}

static void on_metrics(void *arg, const char *query, struct http_reply *reply)
{
    const struct admin_http *admin = arg;
    struct admin_status status = {0};

    (void)query;
    admin->conf.status(admin->conf.arg, &status);
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (metric_format(admin->conf.registry, reply->body, METRICS_MAX) < 0) {
        failed(reply);
    }
}

static void say(struct http_reply *reply, int code, const char *word,
                const struct admin_status *status)
{
    reply->status = code;
    if (buf_printf(reply->body, TEXT_MAX,
                   "%s\nprimary: %s\ndraining: %s\nworkers: %u\nworkers_stuck: %u\nsessions: %u\n",
                   word, status->has_primary ? "yes" : "no", status->is_draining ? "yes" : "no",
                   (unsigned)status->workers, (unsigned)status->workers_stuck,
                   (unsigned)status->sessions) < 0) {
        failed(reply);
    }
}

/* Should this process be restarted? */
static void on_health(void *arg, const char *query, struct http_reply *reply)
{
    const struct admin_http *admin = arg;
    struct admin_status status = {0};

    (void)query;
    admin->conf.status(admin->conf.arg, &status);
    if (status.workers_stuck > 0) {
        say(reply, 503, "stuck", &status);
    } else {
        say(reply, 200, "ok", &status);
    }
}

/* Should it get new connections? */
static void on_ready(void *arg, const char *query, struct http_reply *reply)
{
    const struct admin_http *admin = arg;
    struct admin_status status = {0};

    (void)query;
    admin->conf.status(admin->conf.arg, &status);
    if (status.is_draining) {
        say(reply, 503, "draining", &status);
    } else if (!status.has_primary) {
        say(reply, 503, "no primary", &status);
    } else {
        say(reply, 200, "ready", &status);
    }
}

int admin_http_create(struct loop *loop, const struct admin_http_conf *conf,
                      struct admin_http **ret_http)
{
    struct admin_http *admin = calloc(1, sizeof(*admin));

    if (admin == NULL) {
        return -ENOMEM;
    }
    admin->conf = *conf;

    int rc = http_create(loop, conf->address, conf->port, &admin->http);

    if (rc == 0) {
        rc = http_route(admin->http, "/metrics", on_metrics, admin);
    }
    if (rc == 0) {
        rc = http_route(admin->http, "/health", on_health, admin);
    }
    if (rc == 0) {
        rc = http_route(admin->http, "/ready", on_ready, admin);
    }
    if (rc < 0) {
        admin_http_destroy(admin);
        return rc;
    }
    *ret_http = admin;
    return 0;
}

void admin_http_destroy(struct admin_http *http)
{
    if (http == NULL) {
        return;
    }
    http_destroy(http->http);
    free(http);
}

uint16_t admin_http_port(const struct admin_http *http)
{
    return http_port(http->http);
}
