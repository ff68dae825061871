/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - GET this path, call that handler: metrics and health for machines.
 *
 * WHY       Operators' tools speak HTTP; the control thread answers in its own loop.
 * OWNS      The listening socket and open requests. Handlers' arg is borrowed.
 * THREADS   The loop's thread.
 * REENTRY   A handler runs from the loop and answers before it returns.
 * UNITS     bytes, seconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    Headers 8 KiB, no body, 10 s per request, 64 routes.
 */
#ifndef WEIR_IO_HTTP_H
#define WEIR_IO_HTTP_H

#include <stdint.h>

#include "weir/util/attr.h"

struct buf;
struct http;
struct loop;

struct http_reply {
    int status;               /* 200 unless the handler sets another */
    const char *content_type; /* static text; text/plain unless set */
    struct buf *body;         /* empty at first; the handler appends */
};

/* query: what follows '?', or an empty text. */
typedef void (*http_fn)(void *arg, const char *query, struct http_reply *reply);

/* Listen on address (an IP in text) and port; port 0 takes a free one. */
WR_NODISCARD int http_create(struct loop *loop, const char *address, uint16_t port,
                             struct http **ret_http);
/* NULL is fine. */
void http_destroy(struct http *http);
uint16_t http_port(const struct http *http);
/* GET and HEAD of path; others get 405, unknown paths 404. */
WR_NODISCARD int http_route(struct http *http, const char *path, http_fn handler, void *arg);

#endif
