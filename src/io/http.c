/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/io/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "loop_priv.h"

#define ROUTES_MAX     64
#define HEADERS_MAX    8192
#define BODY_MAX       0
#define REQUEST_TIME_S 10

struct route {
    struct route *next;
    char *path;
    http_fn handler;
    void *arg;
};

struct http {
    /* owning */
    struct evhttp *server;
    struct route *routes;
    /* values */
    uint32_t route_count;
    uint16_t port;
};

static void route_serve(const struct route *route, struct evhttp_request *request)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct http_reply reply = {.status = HTTP_OK, .content_type = "text/plain; charset=utf-8"};
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    struct evbuffer *out = evhttp_request_get_output_buffer(request);
    struct buf body;

    buf_init(&body);
    reply.body = &body;
    route->handler(route->arg, query == NULL ? "" : query, &reply);

    /* The library would send it in answer to HEAD, too. */
    struct span bytes = buf_span(&body);

    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
        bytes.len = 0;
    }

    bool ok = evhttp_add_header(headers, "Content-Type", reply.content_type) == 0 &&
              evhttp_add_header(headers, "Cache-Control", "no-store") == 0 &&
              evhttp_add_header(headers, "X-Content-Type-Options", "nosniff") == 0 &&
              (bytes.len == 0 || evbuffer_add(out, bytes.p, bytes.len) == 0);

    buf_fini(&body);
    if (ok) {
        evhttp_send_reply(request, reply.status, NULL, NULL);
    } else {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
    }
}

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct http *http = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

    for (const struct route *route = http->routes; path != NULL && route != NULL;
         route = route->next) {
        if (strcmp(route->path, path) == 0) {
            route_serve(route, request);
            return;
        }
    }
    evhttp_send_error(request, HTTP_NOTFOUND, NULL);
}

/* Left to itself the library closes a connection's descriptor first and takes it off the loop
 * later: by then another thread may have been given the same number. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    (void)arg;
    return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

int http_create(struct loop *loop, const char *address, uint16_t port, struct http **ret_http)
{
    struct http *http = calloc(1, sizeof(*http));

    if (http == NULL) {
        return -ENOMEM;
    }
    http->server = evhttp_new(loop_base(loop));
    if (http->server == NULL) {
        http_destroy(http);
        return -ENOMEM;
    }
    evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(http->server, HEADERS_MAX);
    evhttp_set_max_body_size(http->server, BODY_MAX);
    evhttp_set_timeout(http->server, REQUEST_TIME_S);
    evhttp_set_bevcb(http->server, on_accept, NULL);
    evhttp_set_gencb(http->server, on_request, http);
    errno = 0;

    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http->server, address, port);
    struct sockaddr_storage addr = {0};
    struct sockaddr_in in = {0};
    socklen_t len = sizeof(addr);

    if (bound == NULL ||
        getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len) != 0) {
        int rc = errno != 0 ? -errno : -EADDRNOTAVAIL;

        http_destroy(http);
        return rc;
    }
    /* sin_port and sin6_port are at the same place. */
    memcpy(&in, &addr, sizeof(in));
    http->port = ntohs(in.sin_port);
    *ret_http = http;
    return 0;
}

void http_destroy(struct http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->server != NULL) {
        evhttp_free(http->server);
    }
    while (http->routes != NULL) {
        struct route *route = http->routes;

        http->routes = route->next;
        free(route->path);
        free(route);
    }
    free(http);
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

int http_route(struct http *http, const char *path, http_fn handler, void *arg)
{
    if (http->route_count >= ROUTES_MAX) {
        return -WR_E_LIMIT;
    }

    struct route *route = calloc(1, sizeof(*route));
    char *copy = strdup(path);

    if (route == NULL || copy == NULL) {
        free(route);
        free(copy);
        return -ENOMEM;
    }
    *route = (struct route){.next = http->routes, .path = copy, .handler = handler, .arg = arg};
    http->routes = route;
    http->route_count++;
    return 0;
}
