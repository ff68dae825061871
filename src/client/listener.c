/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting. A client that cannot be served gets the server's own "Too many connections" when
 * there is a descriptor for it; when there is none, the spare one is given up for the moment that
 * it takes to say so. Without that, the connection would stay in the kernel's queue, the listening
 * socket would stay readable, and the loop would spin.
 */
#include "weir/client/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/client/sess.h"
#include "weir/client/sess_error.h"
#include "weir/config/config.h"
#include "weir/io/loop.h"
#include "weir/io/resolve.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/io/watch.h"
#include "weir/protocol/result.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#define ACCEPT_BUDGET   64
#define SOCKETS_MAX     (CONFIG_LISTENERS_MAX * RESOLVE_MAX_ADDRS)
#define PAUSE_US        UINT64_C(100000)
#define REFUSAL_BYTES   128
#define KEEPALIVE_S     60
#define USER_TIMEOUT_MS 60000

struct listener {
    /* owning */
    int fd;
    /* borrowed from the set */
    struct listener_set *set;
    /* values */
    struct watch watch;
    char text[RESOLVE_TEXT_BYTES + 8];
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" for TCP */
    uint16_t port;
    enum config_tls_mode tls;
    uint32_t index; /* in the config's listeners */
};

struct listener_set {
    /* owning */
    struct listener *items;
    int spare_fd;
    /* borrowed until listener_stop() */
    struct loop *loop;
    struct metric_shard *metrics;
    const struct log_ctx *log;
    /* values */
    size_t count;
    struct listener_calls calls;
    struct timer resume;
    struct listener_limits limits;
    bool is_started;
};

static int fail(char ret_why[LISTENER_WHY_BYTES], int rc, const char *what, const char *text)
{
    (void)snprintf(ret_why, LISTENER_WHY_BYTES, "cannot %s %s: %s", what, text, err_text(rc));
    return rc;
}

/* A unix socket file that nobody listens on is left over from a process that died. */
static int clear_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    int rc = 0;

    if (lstat(addr->sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -EEXIST;
    }

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN) {
        rc = -EADDRINUSE;
    } else if (errno != ECONNREFUSED || unlink(addr->sun_path) != 0) {
        rc = -errno;
    }
    (void)close(fd);
    return rc;
}

static int bind_unix(struct listener *item, int fd, const struct resolve_addr *addr)
{
    struct sockaddr_un un = {0};

    memcpy(&un, &addr->addr, sizeof(un));

    int rc = clear_stale(&un);

    if (rc < 0) {
        return rc;
    }
    if (bind(fd, (const struct sockaddr *)&un, sizeof(un)) != 0) {
        return -errno;
    }
    (void)snprintf(item->path, sizeof(item->path), "%s", un.sun_path);
    /* As servers do: whoever may log in may connect; the login decides. */
    return chmod(un.sun_path, 0777) == 0 ? 0 : -errno;
}

static int bind_tcp(struct listener *item, int fd, const struct resolve_addr *addr)
{
    struct sockaddr_storage bound = {0};
    struct sockaddr_in in = {0};
    socklen_t len = sizeof(bound);
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        return -errno;
    }
    /* "[::]" and "0.0.0.0" are two addresses; each listener means its own. */
    if (addr->addr.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
        return -errno;
    }
    if (bind(fd, (const struct sockaddr *)&addr->addr, addr->len) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        return -errno;
    }
    /* sin_port and sin6_port are at the same place. */
    memcpy(&in, &bound, sizeof(in));
    item->port = ntohs(in.sin_port);
    resolve_format((const struct sockaddr *)&bound, len, item->text, sizeof(item->text));
    return 0;
}

static int item_open(struct listener_set *set, const struct config_listener *conf, uint32_t index,
                     const struct resolve_addr *addr)
{
    struct listener *item = &set->items[set->count];
    int fd = socket(addr->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    *item = (struct listener){.fd = fd, .set = set, .tls = conf->tls, .index = index};
    (void)snprintf(item->text, sizeof(item->text), "%s", conf->address.text);
    set->count++;

    int rc = addr->addr.ss_family == AF_UNIX ? bind_unix(item, fd, addr) : bind_tcp(item, fd, addr);

    if (rc == 0 && listen(fd, (int)conf->backlog) != 0) {
        rc = -errno;
    }
    return rc;
}

int listener_open(const struct config *config, char ret_why[LISTENER_WHY_BYTES],
                  struct listener_set **ret_set)
{
    return listener_open_list(config->listeners, config->listener_count, ret_why, ret_set);
}

int listener_open_list(const struct config_listener *items, uint32_t count,
                       char ret_why[LISTENER_WHY_BYTES], struct listener_set **ret_set)
{
    struct listener_set *set = calloc(1, sizeof(*set));
    int rc = 0;

    if (set == NULL) {
        return fail(ret_why, -ENOMEM, "listen", "");
    }
    set->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    set->items = calloc(SOCKETS_MAX, sizeof(*set->items));
    if (set->items == NULL || set->spare_fd < 0) {
        rc = fail(ret_why, -ENOMEM, "listen", "");
        goto out;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct config_addr *addr = &items[i].address;
        struct resolve_list list;

        rc = resolve_now(addr->kind == CONFIG_ADDR_UNIX ? addr->path : addr->host, addr->port,
                         &list);
        for (uint32_t j = 0; rc == 0 && j < list.count; j++) {
            rc = item_open(set, &items[i], i, &list.addrs[j]);
        }
        if (rc < 0) {
            rc = fail(ret_why, rc, "listen on", addr->text);
            goto out;
        }
    }
    *ret_set = set;
    set = NULL;
out:
    listener_destroy(set);
    return rc;
}

/* The greeting's place is taken by an error, as a full server does it. The socket's buffer is empty,
 * so this does not block; the client may be gone already. */
static void refuse(struct listener_set *set, int fd)
{
    uint8_t bytes[REFUSAL_BYTES];
    struct wire_out out;
    struct result result = {.out = &out};

    wire_out_array(&out, bytes, sizeof(bytes));
    sess_error_put(&result, SESS_ERR_CON_COUNT, NULL, 0);
    if (wire_out_ok(&out)) {
        (void)send(fd, bytes, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    (void)close(fd);
    metric_inc(set->metrics, METRIC_SESSIONS_REFUSED, METRIC_NONE);
}

static void watches_stop(struct listener_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        watch_stop(&set->items[i].watch);
    }
}

/* No descriptor is left: tell those that wait so, then leave the queue alone for a moment, so that
 * clients that have one can go on and give theirs back. */
static void on_no_fd(struct listener_set *set, const struct listener *item, int err)
{
    if (set->spare_fd >= 0) {
        (void)close(set->spare_fd);
        /* Each one that is refused gives the descriptor back for the next. */
        for (int i = 0; i < ACCEPT_BUDGET; i++) {
            int fd = accept4(item->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

            if (fd < 0) {
                break;
            }
            refuse(set, fd);
        }
    }
    set->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    log_warn(set->log, "accept_no_descriptor", "%s: accepting pauses for %u ms", err_text(-err),
             (unsigned)(PAUSE_US / 1000));
    watches_stop(set);
    timer_arm_in(&set->resume, PAUSE_US);
}

static bool is_full(struct listener_set *set)
{
    struct listener_load load = {0};

    set->calls.load(set->calls.arg, &load);
    if (load.clients >= set->limits.max_clients) {
        log_warn(set->log, "client_refused", "%s (%u) is reached",
                 set->limits.setting != NULL ? set->limits.setting : "limits.max_clients",
                 (unsigned)set->limits.max_clients);
        return true;
    }
    if (load.in_login >= set->limits.max_in_login) {
        log_warn(set->log, "client_refused", "auth.max_unauthenticated (%u) is reached",
                 (unsigned)set->limits.max_in_login);
        return true;
    }
    return false;
}

static void admit(struct listener_set *set, const struct listener *item, int fd,
                  const struct sockaddr_storage *peer, socklen_t peer_len)
{
    static const struct stream_connect_opts opts = {.keepalive_s = KEEPALIVE_S,
                                                    .user_timeout_ms = USER_TIMEOUT_MS};
    struct sess_accept accept = {
        .fd = fd,
        .is_unix = item->path[0] != '\0',
        .is_tls_required = item->tls == CONFIG_TLS_REQUIRED,
        .is_tls_offered = item->tls != CONFIG_TLS_OFF,
        .peer = *peer,
        .peer_len = peer_len,
    };

    if (is_full(set)) {
        refuse(set, fd);
        return;
    }
    if (!accept.is_unix && stream_tune_fd(fd, &opts) < 0) {
        (void)close(fd); /* reset between accept and here */
        return;
    }
    set->calls.on_accept(set->calls.arg, &accept);
}

static void on_readable(void *arg)
{
    struct listener *item = arg;
    struct listener_set *set = item->set;

    for (int i = 0; i < ACCEPT_BUDGET && item->watch.is_on; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_len = sizeof(peer);
        int fd =
            accept4(item->fd, (struct sockaddr *)&peer, &peer_len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            admit(set, item, fd, &peer, peer_len);
            continue;
        }
        if (errno == EAGAIN) {
            return;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            on_no_fd(set, item, errno);
            return;
        }
        /* The connection that was next has failed already; there may be others. */
    }
}

static int watches_start(struct listener_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct listener *item = &set->items[i];
        int rc = watch_start(&item->watch, set->loop, item->fd, on_readable, item);

        if (rc < 0) {
            watches_stop(set);
            return rc;
        }
    }
    return 0;
}

static void on_resume(void *arg)
{
    struct listener_set *set = arg;

    if (set->spare_fd < 0) {
        set->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (watches_start(set) < 0) {
        timer_arm_in(&set->resume, PAUSE_US);
    }
}

int listener_start(struct listener_set *set, struct loop *loop, const struct listener_calls *calls,
                   const struct listener_limits *limits, struct metric_shard *metrics,
                   const struct log_ctx *log)
{
    set->loop = loop;
    set->calls = *calls;
    set->limits = *limits;
    set->metrics = metrics;
    set->log = log;
    timer_init(&set->resume, loop, on_resume, set);
    set->is_started = true;
    return watches_start(set);
}

void listener_set_config(struct listener_set *set, const struct config *config,
                         const struct listener_limits *limits)
{
    set->limits = *limits;
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].index < config->listener_count) {
            set->items[i].tls = config->listeners[set->items[i].index].tls;
        }
    }
}

void listener_stop(struct listener_set *set)
{
    if (set->is_started) {
        timer_cancel(&set->resume);
        watches_stop(set);
        set->is_started = false;
    }
    for (size_t i = 0; i < set->count; i++) {
        struct listener *item = &set->items[i];

        if (item->fd < 0) {
            continue;
        }
        if (item->path[0] != '\0') {
            (void)unlink(item->path);
        }
        (void)close(item->fd);
        item->fd = -1;
    }
}

void listener_destroy(struct listener_set *set)
{
    if (set == NULL) {
        return;
    }
    listener_stop(set);
    if (set->spare_fd >= 0) {
        (void)close(set->spare_fd);
    }
    free(set->items);
    free(set);
}

size_t listener_count(const struct listener_set *set)
{
    return set->count;
}

uint16_t listener_port(const struct listener_set *set, size_t index)
{
    return set->items[index].port;
}

const char *listener_text(const struct listener_set *set, size_t index)
{
    return set->items[index].text;
}
