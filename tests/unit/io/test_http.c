/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server against a raw socket. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/http.h"
#include "weir/io/loop.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

static void on_hello(void *arg, const char *query, struct http_reply *reply)
{
    unsigned *calls = arg;

    (*calls)++;
    reply->content_type = "text/x-hello";
    assert_int_equal(buf_printf(reply->body, 1000, "hello <%s>\n", query), 0);
}

static void on_unready(void *arg, const char *query, struct http_reply *reply)
{
    (void)arg;
    (void)query;
    reply->status = 503;
}

static void ask(struct loop *loop, uint16_t port, const char *request, char *answer, size_t cap)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(loop_turn(loop, 2000), 0);

        ssize_t n = recv(fd, answer + len, cap - 1 - len, MSG_DONTWAIT);

        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    answer[len] = '\0';
    (void)close(fd);
}

static void test_routes(void **state)
{
    struct loop *loop = NULL;
    struct http *http = NULL;
    struct http *second = NULL;
    unsigned calls = 0;
    char answer[20000];
    char big[16000];

    (void)state;
    assert_int_equal(loop_create(&loop), 0);
    assert_int_equal(http_create(loop, "127.0.0.1", 0, &http), 0);
    assert_true(http_port(http) != 0);
    assert_true(http_create(loop, "127.0.0.1", http_port(http), &second) < 0);
    assert_int_equal(http_route(http, "/hello", on_hello, &calls), 0);
    assert_int_equal(http_route(http, "/unready", on_unready, NULL), 0);

    ask(loop, http_port(http), "GET /hello?a=1 HTTP/1.0\r\n\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 200 "));
    assert_non_null(strstr(answer, "Content-Type: text/x-hello"));
    assert_non_null(strstr(answer, "hello <a=1>\n"));
    ask(loop, http_port(http), "HEAD /hello HTTP/1.0\r\n\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 200 "));
    assert_null(strstr(answer, "hello <"));
    assert_int_equal(calls, 2);
    ask(loop, http_port(http), "GET /unready HTTP/1.0\r\n\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 503 "));
    ask(loop, http_port(http), "GET /nothing HTTP/1.0\r\n\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 404 "));
    ask(loop, http_port(http), "POST /hello HTTP/1.0\r\nContent-Length: 0\r\n\r\n", answer,
        sizeof(answer));
    assert_null(strstr(answer, " 200 "));
    ask(loop, http_port(http), "\x01\x02garbage\r\n\r\n", answer, sizeof(answer));
    assert_null(strstr(answer, " 200 "));
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memcpy(big, "GET /hello HTTP/1.0\r\nX: ", 24);
    ask(loop, http_port(http), big, answer, sizeof(answer));
    assert_null(strstr(answer, " 200 "));
    assert_int_equal(calls, 2);

    for (int i = 2; i < 64; i++) {
        assert_int_equal(http_route(http, "/more", on_unready, NULL), 0);
    }
    assert_int_equal(http_route(http, "/more", on_unready, NULL), -WR_E_LIMIT);
    http_destroy(http);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
