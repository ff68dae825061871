/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin http - what machines ask the process: metrics, is it healthy, may it get traffic.
 *
 * WHY       Scrapers and load balancers speak HTTP and want a plain answer.
 * OWNS      The HTTP server. Registry and calls are borrowed until admin_http_destroy().
 * THREADS   The control thread.
 * REENTRY   status is called from a request's handler.
 * UNITS     bytes
 * ERRORS    0 or a negative err code.
 * BOUNDS    /metrics: 4 MiB.
 */
#ifndef WEIR_ADMIN_HTTP_H
#define WEIR_ADMIN_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"

struct admin_http;
struct loop;
struct metric_registry;

/* The process as the probes see it. */
struct admin_status {
    bool is_draining;
    bool has_primary;
    uint32_t workers;
    uint32_t workers_stuck; /* in one turn for longer than a second */
    uint32_t sessions;
};

struct admin_http_conf {
    const char *address; /* an IP */
    uint16_t port;       /* 0 takes a free one */
    struct metric_registry *registry;
    /* Also the moment to bring gauges up to date. */
    void (*status)(void *arg, struct admin_status *ret_status);
    void *arg;
};

WR_NODISCARD int admin_http_create(struct loop *loop, const struct admin_http_conf *conf,
                                   struct admin_http **ret_http);
/* NULL is fine. */
void admin_http_destroy(struct admin_http *http);
uint16_t admin_http_port(const struct admin_http *http);

#endif
