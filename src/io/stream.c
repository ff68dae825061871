/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a stream and its reading side. Reading is registered when the stream opens and stays
 * so: a pause only sets a flag, and registration ends when bytes come although nobody wants them.
 * A peer that has closed stays "readable" for ever, so the end of input takes reading off the
 * loop, too: nothing here can spin.
 */
#include "weir/io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "loop_priv.h"
#include "stream_priv.h"

#define HIGH_DEFAULT  ((uint32_t)256 * 1024)
#define LOW_DEFAULT   ((uint32_t)64 * 1024)
#define LIMIT_DEFAULT ((uint32_t)32 * 1024 * 1024)

_Static_assert(sizeof(struct event) <= sizeof(((struct stream *)0)->read_event), "read_event");

static struct event *read_event_of(struct stream *stream)
{
    return (struct event *)(void *)stream->read_event;
}

void stream_emit(struct stream *stream, enum stream_event event)
{
    if (stream->on_event != NULL) {
        stream->on_event(stream->arg, event);
    }
}

void stream_pend(struct stream *stream, uint32_t what)
{
    stream->pending |= what;
    loop_defer(stream->loop, &stream->task);
}

/* True once, when what was pending and the stream is still open. */
static bool take_pending(struct stream *stream, uint32_t what)
{
    if (stream->fd < 0 || (stream->pending & what) == 0) {
        return false;
    }
    stream->pending &= ~what;
    return true;
}

/* Reading begins here and not with the connect call: CONNECTED is always the first event. */
static void connected(struct stream *stream)
{
    int rc = stream_read_on(stream);

    if (rc < 0) {
        (void)stream_fail(stream, rc);
        stream_emit(stream, STREAM_CLOSED);
        return;
    }
    stream_emit(stream, STREAM_CONNECTED);
    if (stream->fd >= 0 && (stream->flags & (ST_HANDSHAKE | ST_FAILED)) == 0) {
        stream_flush(stream);
    }
}

static void on_task(void *arg)
{
    struct stream *stream = arg;

    if (take_pending(stream, PEND_STEP)) {
        stream_tls_step(stream);
    }
    if (take_pending(stream, PEND_CONNECTED)) {
        connected(stream);
    }
    if (take_pending(stream, PEND_READABLE) && (stream->flags & (ST_PAUSED | ST_EOF)) == 0) {
        stream_emit(stream, STREAM_READABLE);
    }
    if (take_pending(stream, PEND_DRAINED)) {
        stream_emit(stream, STREAM_DRAINED);
    }
    if (take_pending(stream, PEND_CLOSED)) {
        stream_emit(stream, STREAM_CLOSED);
    }
}

static void on_read_event(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd;
    (void)what;
    if ((stream->flags & ST_HANDSHAKE) != 0) {
        stream_tls_step(stream);
        return;
    }
    if ((stream->flags & ST_WRITE_WANTS_READ) != 0) {
        stream->flags &= ~ST_WRITE_WANTS_READ;
        stream_flush(stream);
        if (stream->fd < 0) {
            return;
        }
    }
    if ((stream->flags & ST_PAUSED) != 0) {
        stream_read_off(stream);
        return;
    }
    stream_emit(stream, STREAM_READABLE);
}

static void finish_connect(struct stream *stream)
{
    int err = 0;
    socklen_t len = sizeof(err);

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)stream_fail(stream, -err);
        stream_emit(stream, STREAM_CLOSED);
        return;
    }
    stream->flags &= ~ST_CONNECTING;
    if (stream->out_head == NULL) {
        stream_write_off(stream);
    }
    connected(stream);
}

static void on_write_event(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd;
    (void)what;
    if ((stream->flags & ST_CONNECTING) != 0) {
        finish_connect(stream);
        return;
    }
    if ((stream->flags & ST_HANDSHAKE) != 0) {
        stream_tls_step(stream);
        return;
    }
    if ((stream->flags & ST_READ_WANTS_WRITE) != 0) {
        stream->flags &= ~ST_READ_WANTS_WRITE;
        stream_pend(stream, PEND_READABLE);
    }
    stream_flush(stream);
}

int stream_read_on(struct stream *stream)
{
    if ((stream->flags & (ST_READ_ON | ST_EOF | ST_FAILED)) != 0) {
        return 0;
    }
    if (event_add(read_event_of(stream), NULL) != 0) {
        return -ENOMEM;
    }
    stream->flags |= ST_READ_ON;
    return 0;
}

void stream_read_off(struct stream *stream)
{
    if ((stream->flags & ST_READ_ON) != 0) {
        (void)event_del(read_event_of(stream));
        stream->flags &= ~ST_READ_ON;
    }
}

int stream_write_on(struct stream *stream)
{
    if (stream->write_event != NULL) {
        return 0;
    }

    struct event *event = event_new(loop_base(stream->loop), stream->fd, EV_WRITE | EV_PERSIST,
                                    on_write_event, stream);

    if (event == NULL) {
        return -ENOMEM;
    }
    if (event_add(event, NULL) != 0) {
        event_free(event);
        return -ENOMEM;
    }
    stream->write_event = event;
    return 0;
}

void stream_write_off(struct stream *stream)
{
    if (stream->write_event != NULL) {
        event_free(stream->write_event);
        stream->write_event = NULL;
    }
}

int stream_fail(struct stream *stream, int err)
{
    if ((stream->flags & ST_FAILED) == 0) {
        stream->flags |= ST_FAILED;
        stream->error = err;
    }
    stream->flags &= ~(ST_HANDSHAKE | ST_CONNECTING);
    stream_read_off(stream);
    stream_write_off(stream);
    stream_out_drop(stream);
    return err;
}

void stream_init(struct stream *stream)
{
    memset(stream, 0, sizeof(*stream));
    stream->fd = -1;
}

static void begin(struct stream *stream, struct loop *loop, int fd, stream_fn on_event, void *arg)
{
    stream_init(stream);
    stream->fd = fd;
    stream->loop = loop;
    stream->on_event = on_event;
    stream->arg = arg;
    stream->high = HIGH_DEFAULT;
    stream->low = LOW_DEFAULT;
    stream->limit = LIMIT_DEFAULT;
    loop_task_init(&stream->task, on_task, stream);
    /* Fails only on a base that is in use elsewhere or on bad flags. */
    int rc = event_assign(read_event_of(stream), loop_base(loop), fd, EV_READ | EV_PERSIST,
                          on_read_event, stream);
    WR_ASSERT(rc == 0);
}

int stream_open(struct stream *stream, struct loop *loop, int fd, stream_fn on_event, void *arg)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) {
        return -errno;
    }
    begin(stream, loop, fd, on_event, arg);

    int rc = stream_read_on(stream);

    if (rc < 0) {
        stream_init(stream);
    }
    return rc;
}

int stream_tune_fd(int fd, const struct stream_connect_opts *opts)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    int on = 1;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return -errno;
    }
    if (addr.ss_family != AF_INET && addr.ss_family != AF_INET6) {
        return 0;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        return -errno;
    }
    if (opts == NULL) {
        return 0;
    }
    if (opts->keepalive_s != 0) {
        int idle_s = (int)opts->keepalive_s;
        int interval_s = idle_s > 3 ? idle_s / 3 : 1;
        int probes = 3;

        if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s)) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s)) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes)) != 0) {
            return -errno;
        }
    }
    if (opts->user_timeout_ms != 0 && setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                                                 &opts->user_timeout_ms, sizeof(unsigned)) != 0) {
        return -errno;
    }
    return 0;
}

int stream_connect(struct stream *stream, struct loop *loop, const struct sockaddr *addr,
                   socklen_t addr_len, const struct stream_connect_opts *opts, stream_fn on_event,
                   void *arg)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }

    int rc = stream_tune_fd(fd, opts);

    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    begin(stream, loop, fd, on_event, arg);
    if (connect(fd, addr, addr_len) == 0) {
        stream_pend(stream, PEND_CONNECTED);
    } else if (errno == EINPROGRESS) {
        stream->flags |= ST_CONNECTING;
        rc = stream_write_on(stream);
    } else {
        (void)stream_fail(stream, -errno);
        stream_pend(stream, PEND_CLOSED);
    }
    if (rc < 0) {
        stream_close(stream);
    }
    return rc;
}

void stream_set_owner(struct stream *stream, stream_fn on_event, void *arg)
{
    stream->on_event = on_event;
    stream->arg = arg;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->fd >= 0;
}

enum io_rc stream_read(struct stream *stream, uint8_t *dst, size_t cap, size_t *ret_n)
{
    if (stream->fd < 0 || (stream->flags & (ST_CONNECTING | ST_HANDSHAKE)) != 0) {
        return stream->fd < 0 ? IO_FAIL : IO_AGAIN;
    }
    if ((stream->flags & ST_EOF) != 0) {
        return IO_EOF;
    }
    if (stream->ssl != NULL) {
        return stream_tls_read(stream, dst, cap, ret_n);
    }

    ssize_t got = 0;

    do {
        got = recv(stream->fd, dst, cap, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        *ret_n = (size_t)got;
        return IO_DONE;
    }
    if (got == 0) {
        stream->flags |= ST_EOF;
        stream_read_off(stream);
        return IO_EOF;
    }
    if (errno == EAGAIN) {
        return IO_AGAIN;
    }
    (void)stream_fail(stream, -errno);
    return IO_FAIL;
}

void stream_want_read(struct stream *stream, bool want)
{
    if (stream->fd < 0) {
        return;
    }
    if (!want) {
        stream->flags |= ST_PAUSED;
        return;
    }
    if ((stream->flags & ST_PAUSED) == 0) {
        return;
    }
    stream->flags &= ~ST_PAUSED;
    if ((stream->flags & (ST_EOF | ST_FAILED | ST_CONNECTING)) != 0) {
        return;
    }
    if (stream_read_on(stream) < 0) {
        (void)stream_fail(stream, -ENOMEM);
        stream_pend(stream, PEND_CLOSED);
        return;
    }
    /* What TLS has already taken off the socket makes no event of its own. */
    if (stream->ssl != NULL && stream_tls_has_pending(stream)) {
        stream_pend(stream, PEND_READABLE);
    }
}

static void release(struct stream *stream)
{
    stream_read_off(stream);
    stream_write_off(stream);
    loop_task_cancel(&stream->task);
    stream->pending = 0;
    stream_out_drop(stream);
    stream_tls_free(stream);
}

void stream_close(struct stream *stream)
{
    if (stream->fd < 0) {
        return;
    }
    if (stream->ssl != NULL && stream->out_head == NULL &&
        (stream->flags & (ST_FAILED | ST_HANDSHAKE | ST_SHUT_DONE)) == 0) {
        stream_tls_shutdown(stream);
    }
    release(stream);
    (void)close(stream->fd);
    stream->fd = -1;
}

void stream_abort(struct stream *stream)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (stream->fd < 0) {
        return;
    }
    release(stream);
    (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(stream->fd);
    stream->fd = -1;
}

int stream_detach(struct stream *stream)
{
    const uint32_t busy = ST_EOF | ST_FAILED | ST_CONNECTING | ST_SHUT_WANTED | ST_HANDSHAKE |
                          ST_READ_WANTS_WRITE | ST_WRITE_WANTS_READ | ST_PAUSED;

    if (stream->fd < 0 || (stream->flags & busy) != 0 || stream->out_head != NULL ||
        stream->pending != 0 || (stream->ssl != NULL && stream_tls_has_pending(stream))) {
        return -WR_E_STATE;
    }
    stream_read_off(stream);
    stream_write_off(stream);
    loop_task_cancel(&stream->task);
    stream->loop = NULL;
    return 0;
}

int stream_attach(struct stream *stream, struct loop *loop)
{
    stream->loop = loop;
    int rc = event_assign(read_event_of(stream), loop_base(loop), stream->fd, EV_READ | EV_PERSIST,
                          on_read_event, stream);
    WR_ASSERT(rc == 0);
    return stream_read_on(stream);
}

void stream_abandon(struct stream *stream)
{
    if (stream->fd >= 0) {
        stream_tls_free(stream);
        (void)close(stream->fd);
        stream->fd = -1;
    }
}

int stream_error(const struct stream *stream)
{
    return stream->error;
}
