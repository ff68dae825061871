/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link against a server that is a few packets long: what the client library must not be asked to do.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <mysql.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/result.h"
#include "weir/protocol/wire.h"
#include "weir/util/err.h"

#include "link_priv.h"

#define MAX_BYTES        4096
#define COUNT_PACKET     5 /* a header and one byte */
#define PREPARE_BYTE     0x16
#define EXECUTE_BYTE     0x17
#define SERVER_COLLATION 45

/* Answers one client: a greeting, OK to the login, a statement without a result, and no more. */
struct server {
    char path[64];
    pthread_t thread;
    pthread_barrier_t gone;
    int listener;
    uint64_t caps;
};

static const char SQL[] = "DO ? + ?";

/* From byte `from` on. An assertion of cmocka belongs to the test's own thread. */
static void send_out(int fd, const struct wire_out *out, size_t from)
{
    if (!wire_out_ok(out) ||
        send(fd, out->array + from, out->len - from, MSG_NOSIGNAL) != (ssize_t)(out->len - from)) {
        abort();
    }
}

/* One packet of the client; ret: its first byte, or -1 when there is no more. */
static int take_packet(int fd, uint8_t bytes[MAX_BYTES])
{
    struct frame frame;

    if (recv(fd, bytes, 4, MSG_WAITALL) != 4 || frame_decode(bytes, 4, &frame) != DEC_OK ||
        frame.len == 0 || frame.len > MAX_BYTES ||
        recv(fd, bytes, frame.len, MSG_WAITALL) != (ssize_t)frame.len) {
        return -1;
    }
    return bytes[0];
}

static void greet(int fd, uint64_t caps)
{
    uint8_t bytes[MAX_BYTES];
    struct wire_out out;
    struct greet greeting = {
        .version = SPAN_LIT("8.0.0"),
        .plugin = SPAN_LIT("mysql_native_password"),
        .caps = caps,
        .conn_id = 1,
        .status = STATUS_AUTOCOMMIT,
        .collation = SERVER_COLLATION,
    };
    uint8_t seq = 0;
    size_t mark = 0;

    memset(greeting.scramble, 'x', sizeof(greeting.scramble));
    wire_out_array(&out, bytes, sizeof(bytes));
    mark = frame_begin(&out);
    greet_encode(&out, &greeting);
    frame_end(&out, mark, &seq);
    send_out(fd, &out, 0);
}

static void answer_ok(int fd, uint64_t caps, uint8_t seq)
{
    uint8_t bytes[MAX_BYTES];
    struct wire_out out;
    struct result result = {.out = &out, .caps = caps, .status = STATUS_AUTOCOMMIT, .seq = seq};

    wire_out_array(&out, bytes, sizeof(bytes));
    result_put_ok(&result, NULL);
    send_out(fd, &out, 0);
}

/* Two parameters, no columns. */
static void answer_prepare(int fd, uint64_t caps)
{
    static const struct result_column params[] = {
        {"?", RESULT_TYPE_STRING, 0},
        {"?", RESULT_TYPE_INT, 0},
    };
    uint8_t bytes[MAX_BYTES];
    struct wire_out out;
    struct result result = {.out = &out, .caps = caps, .status = STATUS_AUTOCOMMIT, .seq = 1};
    uint8_t seq = 1;
    size_t mark = 0;

    wire_out_array(&out, bytes, sizeof(bytes));
    mark = frame_begin(&out);
    wire_put_u8(&out, 0);
    wire_put_u32(&out, 1); /* its id */
    wire_put_u16(&out, 0);
    wire_put_u16(&out, 2);
    wire_put_u8(&out, 0);
    wire_put_u16(&out, 0);
    frame_end(&out, mark, &seq);
    send_out(fd, &out, 0);

    /* definitions stand as in a result set, but for the count in front of them */
    wire_out_array(&out, bytes, sizeof(bytes));
    result_put_columns(&result, params, 2);
    send_out(fd, &out, COUNT_PACKET);
}

static void *serve(void *arg)
{
    struct server *server = arg;
    uint8_t bytes[MAX_BYTES];
    int fd = accept(server->listener, NULL, NULL);
    int command = 0;

    greet(fd, server->caps);
    if (take_packet(fd, bytes) >= 0) { /* the login */
        answer_ok(fd, server->caps, 2);
    }
    while ((command = take_packet(fd, bytes)) >= 0) {
        if (command == PREPARE_BYTE) {
            answer_prepare(fd, server->caps);
        } else {
            answer_ok(fd, server->caps, 1);
        }
        if (command == EXECUTE_BYTE) {
            break;
        }
    }
    (void)close(fd);
    (void)pthread_barrier_wait(&server->gone);
    return NULL;
}

static void start(struct server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *server = (struct server){
        .caps = CAP_LONG_PASSWORD | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH |
                CAP_CONNECT_WITH_DB | CAP_TRANSACTIONS,
    };
    (void)snprintf(server->path, sizeof(server->path), "/tmp/weir-link-%d.sock", (int)getpid());
    (void)unlink(server->path);
    memcpy(address.sun_path, server->path, strlen(server->path) + 1);
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(pthread_barrier_init(&server->gone, NULL, 2), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)pthread_barrier_destroy(&server->gone);
    (void)close(server->listener);
    (void)unlink(server->path);
}

#ifdef MARIADB_PACKAGE_VERSION
/* In the place of the library's, which writes into the connection's buffer and does not look whether
 * there is still one. */
my_bool STDCALL mysql_change_user(MYSQL *mysql, const char *user, const char *passwd,
                                  const char *db)
{
    (void)user;
    (void)passwd;
    (void)db;
    assert_non_null(mysql->net.buff);
    return 1;
}
#endif

/* The server goes between two commands. The end of a prepared statement is the first to be sent after
 * that, and shows it to the library; COM_CHANGE_USER comes behind. */
static void test_change_user_on_a_lost_connection(void **state)
{
    struct server server;
    struct verify_target target = {.user = "u", .password = "", .timeout_s = 10};
    struct link *link = NULL;
    struct link_answer answer;
    char error[LINK_TEXT] = "";
    unsigned number = 0;

    (void)state;
#ifndef MARIADB_PACKAGE_VERSION
    skip(); /* this library knows no mysql_native_password, and looks for itself */
#endif
    start(&server);
    target.socket = server.path;
    assert_int_equal(link_open(&target, "s", &link, &number, error), 0);
    assert_int_equal(link_execute(link, 0, SQL, "tag", 1, &answer), 0);
    (void)pthread_barrier_wait(&server.gone);
    assert_int_equal(link_change_user(link, &target, "s"), -WR_E_SERVER_ERROR);
    assert_true(link_is_dead(link));
    link_close(link);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_user_on_a_lost_connection),
    };

    if (link_library_init() < 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
