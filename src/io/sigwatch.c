/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/io/sigwatch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "weir/io/watch.h"

struct sigwatch {
    int fd;
    struct watch watch;
    sigwatch_fn on_signal;
    void *arg;
};

static void set_of(const int *signos, size_t count, sigset_t *ret_set)
{
    (void)sigemptyset(ret_set);
    for (size_t i = 0; i < count; i++) {
        (void)sigaddset(ret_set, signos[i]);
    }
}

int sigwatch_block(const int *signos, size_t count)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    set_of(signos, count, &set);
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) {
        return -errno;
    }
    return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_readable(void *arg)
{
    struct sigwatch *watch = arg;
    struct signalfd_siginfo info;

    if (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        watch->on_signal(watch->arg, (int)info.ssi_signo);
    }
}

int sigwatch_create(struct loop *loop, const int *signos, size_t count, sigwatch_fn on_signal,
                    void *arg, struct sigwatch **ret_watch)
{
    struct sigwatch *watch = calloc(1, sizeof(*watch));
    sigset_t set;

    if (watch == NULL) {
        return -ENOMEM;
    }
    watch->on_signal = on_signal;
    watch->arg = arg;
    set_of(signos, count, &set);
    watch->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

    int rc =
        watch->fd < 0 ? -errno : watch_start(&watch->watch, loop, watch->fd, on_readable, watch);

    if (rc < 0) {
        sigwatch_destroy(watch);
        return rc;
    }
    *ret_watch = watch;
    return 0;
}

void sigwatch_destroy(struct sigwatch *watch)
{
    if (watch == NULL) {
        return;
    }
    watch_stop(&watch->watch);
    if (watch->fd >= 0) {
        (void)close(watch->fd);
    }
    free(watch);
}
