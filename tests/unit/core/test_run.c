/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole process, in a child, with servers that nobody listens for: it starts, answers HTTP,
 * refuses to be ready, takes SIGHUP, ends on SIGTERM with 0, and leaves no socket behind. With a
 * client that says nothing it drains at the deadline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/core/run.h"
#include "weir/core/worker.h"
#include "weir/util/clock.h"

#define WAIT_US (UINT64_C(30) * CLOCK_US_PER_SECOND)

struct rig {
    char dir[32];
    char conf[64];
    char log[64];
    char sock[64];
    pid_t pid;
    char text[65536]; /* of the log */
};

static void file_put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    char text[1024];

    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/weir-run-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    (void)snprintf(rig->conf, sizeof(rig->conf), "%s/weir.yaml", rig->dir);
    (void)snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
    (void)snprintf(rig->sock, sizeof(rig->sock), "%s/s", rig->dir);
    (void)snprintf(text, sizeof(text),
                   "workers: 2\n"
                   "listeners: [{address: \"127.0.0.1:0\"}, {address: \"unix:%s\"}]\n"
                   "servers:\n"
                   "  - {name: a, address: \"127.0.0.1:1\", role: primary}\n"
                   "  - {name: b, address: \"127.0.0.1:2\"}\n"
                   "monitor: {user: m, password_env: PATH, timeout: 500ms}\n"
                   "tls: {dir: %s/tls}\n"
                   "log: {file: %s}\n"
                   "http: {address: \"127.0.0.1:0\"}\n"
                   "cache: {memory: 8MiB}\n"
                   "drain: {timeout: 300ms}\n",
                   rig->sock, rig->dir, rig->log);
    file_put(rig->conf, text);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    char path[96];

    if (rig->pid > 0) {
        (void)kill(rig->pid, SIGKILL);
        (void)waitpid(rig->pid, NULL, 0);
    }
    (void)unlink(rig->conf);
    (void)unlink(rig->log);
    (void)snprintf(path, sizeof(path), "%s/old", rig->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/tls/server-cert.pem", rig->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/tls/server-key.pem", rig->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/tls", rig->dir);
    (void)rmdir(path);
    (void)rmdir(rig->dir);
    free(rig);
    return 0;
}

static void launch(struct rig *rig)
{
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0) {
        _exit(run_serve(rig->conf));
    }
}

/* The log once it holds word; fails when it does not come. */
static const char *log_wait(struct rig *rig, const char *word)
{
    uint64_t end_us = clock_now_us() + WAIT_US;

    do {
        int fd = open(rig->log, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, rig->text, sizeof(rig->text) - 1);

        if (fd >= 0) {
            (void)close(fd);
        }
        rig->text[n > 0 ? n : 0] = '\0';
        if (strstr(rig->text, word) != NULL) {
            return strstr(rig->text, word);
        }
        (void)usleep(20000);
    } while (clock_now_us() < end_us);
    fail_msg("no \"%s\" in: %s", word, rig->text);
    return NULL;
}

static int child_wait(struct rig *rig)
{
    uint64_t end_us = clock_now_us() + WAIT_US;
    int status = 0;

    while (waitpid(rig->pid, &status, WNOHANG) == 0 && clock_now_us() < end_us) {
        (void)usleep(10000);
    }
    assert_true(WIFEXITED(status));
    rig->pid = 0;
    return WEXITSTATUS(status);
}

static uint16_t port_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    assert_non_null(at);
    return (uint16_t)strtoul(at + strlen(word), NULL, 10);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int rc = -errno;

        (void)close(fd);
        return rc;
    }
    return fd;
}

static void http_get(uint16_t port, const char *path, char *answer, size_t cap)
{
    int fd = connect_to(port);
    char request[128];
    size_t len = 0;
    ssize_t n = 0;

    assert_true(fd >= 0);
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    while ((n = recv(fd, answer + len, cap - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    answer[len] = '\0';
    (void)close(fd);
}

static void test_life(void **state)
{
    struct rig *rig = *state;
    static char answer[1 << 20];
    char old[96];
    struct stat st;

    launch(rig);
    (void)log_wait(rig, "event=\"ready\"");
    (void)log_wait(rig, "answers are kept in 8 MiB");

    uint16_t http = port_behind(log_wait(rig, "http_listening"), "port ");
    uint16_t port = port_behind(log_wait(rig, "event=\"listening\""), "127.0.0.1:");

    http_get(http, "/health", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 200 "));
    assert_non_null(strstr(answer, "workers: 2"));
    http_get(http, "/ready", answer, sizeof(answer));
    assert_non_null(strstr(answer, " 503 "));
    assert_non_null(strstr(answer, "no primary"));
    http_get(http, "/metrics", answer, sizeof(answer));
    assert_non_null(strstr(answer, "weir_server_up{server=\"a\"} 0"));
    assert_non_null(strstr(answer, "weir_server_lag_us{server=\"b\"} -1"));
    assert_non_null(strstr(answer, "weir_cache_entries 0"));
    assert_int_equal(stat(rig->sock, &st), 0);

    /* The log is rotated: what comes after SIGHUP is in a new file. */
    (void)snprintf(old, sizeof(old), "%s/old", rig->dir);
    assert_int_equal(rename(rig->log, old), 0);
    assert_int_equal(kill(rig->pid, SIGHUP), 0);
    (void)log_wait(rig, "log_reopened");

    /* One that connects and says nothing holds the end up until the deadline, not longer. */
    int quiet = connect_to(port);

    assert_true(quiet >= 0);
    (void)usleep(50000);

    uint64_t begin_us = clock_now_us();

    assert_int_equal(kill(rig->pid, SIGTERM), 0);
    assert_int_equal(child_wait(rig), RUN_OK);
    assert_true(clock_now_us() - begin_us < 10 * CLOCK_US_PER_SECOND);
    (void)log_wait(rig, "drain_begin");
    (void)log_wait(rig, "drain_done");
    (void)log_wait(rig, "event=\"stop\"");
    assert_int_equal(stat(rig->sock, &st), -1);
    assert_int_equal(connect_to(port), -ECONNREFUSED);
    (void)close(quiet);
}

/* The second start finds the certificate of the first. */
static void test_restart(void **state)
{
    struct rig *rig = *state;

    launch(rig);
    (void)log_wait(rig, "event=\"ready\"");
    assert_non_null(strstr(rig->text, "tls_made"));
    assert_int_equal(kill(rig->pid, SIGINT), 0);
    assert_int_equal(child_wait(rig), RUN_OK);
    (void)unlink(rig->log);
    launch(rig);
    (void)log_wait(rig, "event=\"ready\"");
    assert_null(strstr(rig->text, "tls_made"));
    assert_int_equal(kill(rig->pid, SIGTERM), 0);
    assert_int_equal(kill(rig->pid, SIGTERM), 0);
    assert_int_equal(child_wait(rig), RUN_OK);
}

static void test_cannot_start(void **state)
{
    struct rig *rig = *state;
    char text[512];

    /* The unix socket is another process's: said so, and with 1. */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->sock);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 1), 0);
    launch(rig);
    assert_int_equal(child_wait(rig), RUN_FAILED);
    (void)log_wait(rig, "listen_failed");
    assert_non_null(strstr(rig->text, rig->sock));
    (void)close(fd);
    (void)unlink(rig->sock);

    (void)snprintf(text, sizeof(text), "listeners: [{adress: \"127.0.0.1:0\"}]\n");
    file_put(rig->conf, text);
    launch(rig);
    assert_int_equal(child_wait(rig), RUN_USAGE);
}

static void test_worker_default(void **state)
{
    static const struct {
        uint32_t cores;
        uint32_t limit;
        uint32_t want;
        bool is_tight;
    } rows[] = {
        {2, 4000, 2, false}, {16, 4000, 16, false}, {16, 40, 5, false},     {16, 8, 1, false},
        {16, 7, 1, true},    {1, 1, 1, true},       {200, 9999, 64, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_tight = !rows[i].is_tight;

        assert_int_equal(workers_default(rows[i].cores, rows[i].limit, &is_tight), rows[i].want);
        assert_int_equal(is_tight, rows[i].is_tight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_start, setup, teardown),
        cmocka_unit_test(test_worker_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
