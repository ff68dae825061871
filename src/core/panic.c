/* SPDX-License-Identifier: Apache-2.0 */
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weir/util/assert.h"
#include "weir/util/attr.h"

#include "panic_priv.h"

#define FRAMES_MAX 48

static void put(const char *text)
{
    /* A failed write of last words has nobody to be told to. */
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void put_number(uint64_t value)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(&digits[at]);
}

static void put_thread(void)
{
    char name[17] = "";

    (void)prctl(PR_GET_NAME, name, 0, 0, 0);
    put(" thread=");
    put(name);
    put(" tid=");
    put_number((uint64_t)syscall(SYS_gettid));
    put(" version=" WEIR_VERSION "\n");
}

static void put_frames(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);

    backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

static void on_assert(const char *expr, const char *file, int line)
{
    put("level=error event=panic reason=assertion expr=\"");
    put(expr);
    put("\" at=");
    put(file);
    put(":");
    put_number((uint64_t)line);
    put_thread();
    put_frames();
}

static void on_fatal(int signo)
{
    put("level=error event=panic reason=signal signal=");
    put_number((uint64_t)signo);
    put_thread();
    put_frames();
    /* SA_RESETHAND: the default action, with its core dump when that is allowed. */
    (void)raise(signo);
}

void panic_install(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    void *frame = NULL;

    /* The first call loads a library; that must not happen in a handler. */
    (void)backtrace(&frame, 1);
    assert_set_hook(on_assert);
    for (size_t i = 0; i < WR_ARRAY_LEN(fatal); i++) {
        struct sigaction old;
        struct sigaction action = {.sa_handler = on_fatal,
                                   .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            (void)sigaction(fatal[i], &action, NULL);
        }
    }
}
