/* SPDX-License-Identifier: Apache-2.0 */
/* assert: what an assertion does to the process, seen from a parent. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/util/assert.h"

static void say_hook(const char *expr, const char *file, int line)
{
    (void)file;
    (void)line;
    ssize_t written = write(STDERR_FILENO, "hook:", 5);
    written += write(STDERR_FILENO, expr, strlen(expr));
    (void)written;
    WR_ASSERT(expr == NULL); /* a failure inside the hook must not come back here */
}

static void assertion_prints_hooks_and_aborts(void **unused)
{
    (void)unused;
    int pipe_fds[2];
    char text[512] = "";
    size_t used = 0;
    int status = 0;

    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        assert_set_hook(say_hook);
        int one = 1;
        WR_ASSERT(one == 2);
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    for (;;) {
        ssize_t got = read(pipe_fds[0], text + used, sizeof(text) - 1 - used);
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    (void)close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "assertion failed: one == 2 ("));
    assert_non_null(strstr(text, "hook:one == 2"));
    assert_non_null(strstr(text, "assertion failed: expr == NULL"));
    assert_null(strstr(strstr(text, "hook:") + 1, "hook:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assertion_prints_hooks_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
