/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - a TCP proxy that hurts: one listening address, one upstream (or several, by turns), faults switched at run time.
 *
 *     fault --listen 127.0.0.1:0 --upstream 127.0.0.1:3306 [--upstream ...] [--control PATH] [--seed N]
 *
 * Prints "port N" and then reads commands, one a line, from standard input and from connections to
 * the unix socket PATH; each is answered by a line that begins with "ok" or "err":
 *
 *     add NAME KIND up|down|both [KEY=NUMBER ...]   a fault; up: client to server, down: back
 *     del NAME          reset (all faults off)      list       stats
 *     down (no listening, all connections gone)     up         quit
 *
 * Kinds, their keys and defaults:
 *     latency      ms=0 jitter=0       each piece is late
 *     bandwidth    rate=0              bytes a second
 *     slow_close   ms=0                the end is late
 *     timeout      ms=0                nothing passes; after ms the connection is closed (0: never)
 *     reset_peer   ms=0                after ms both sides get a RST
 *     slicer       size=1 vary=0 us=0  cut into pieces with pauses
 *     limit_data   bytes=0             closed behind so many
 *     corrupt      at=0 every=0 xor=255  the byte at this offset, and every so many behind it
 *     half_close   bytes=0             this direction ends behind so many, the other goes on
 *     stall        bytes=0             nothing more passes behind so many; stays open
 *
 * Bytes are counted from the connection's begin, or from when the fault was switched on.
 * One thread; at most MAX_LINKS connections, MAX_QUEUE pieces of PIECE bytes each direction.
 */
#include "fault.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t draw(struct proxy *proxy, uint64_t below)
{
    proxy->random = proxy->random * 1664525u + 1013904223u;
    return below == 0 ? 0 : (proxy->random >> 4) % below;
}

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) {
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

/* --- links --------------------------------------------------------------------------------------- */

void link_close(struct link *link, bool with_reset)
{
    const int fds[2] = {link->ways[0].from, link->ways[0].to};
    for (int i = 0; i < 2; i++) {
        if (with_reset) {
            struct linger linger = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        (void)close(fds[i]);
        free(link->ways[i].queue);
    }
    *link = (struct link){0};
}

static void link_open(struct proxy *proxy, int client)
{
    struct link *link = NULL;
    int one = 1;
    for (size_t i = 0; i < MAX_LINKS && link == NULL; i++) {
        link = proxy->links[i].is_used ? NULL : &proxy->links[i];
    }
    int server = link != NULL ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (server < 0) {
        (void)close(client);
        return;
    }
    set_nonblocking(client);
    set_nonblocking(server);
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *link = (struct link){.is_used = true, .begun_us = now_us()};
    link->ways[0] = (struct way){.from = client, .to = server};
    link->ways[1] = (struct way){.from = server, .to = client};
    for (int i = 0; i < 2; i++) {
        link->ways[i].queue = calloc(MAX_QUEUE, sizeof(struct piece));
    }
    const struct sockaddr_in *upstream = &proxy->upstreams[proxy->accepted % proxy->upstream_count];
    int rc = connect(server, (const struct sockaddr *)upstream, sizeof *upstream);
    if (link->ways[0].queue == NULL || link->ways[1].queue == NULL ||
        (rc < 0 && errno != EINPROGRESS)) {
        link_close(link, true); /* as a closed port would look */
        return;
    }
    link->is_connecting = rc < 0;
    proxy->accepted++;
}

/* --- what faults do to bytes ------------------------------------------------------------------- */

static void piece_push(struct way *way, const uint8_t *bytes, size_t len, uint64_t due_us)
{
    struct piece *piece = &way->queue[(way->head + way->count) % MAX_QUEUE];
    /* Never before what is already under way. */
    due_us = due_us > way->last_due_us ? due_us : way->last_due_us;
    way->last_due_us = due_us;
    if (len > 0) {
        memcpy(piece->bytes, bytes, len);
    }
    piece->len = len;
    piece->sent = 0;
    piece->due_us = due_us;
    way->count++;
}

/* How much of len may still pass under a fault that counts bytes. */
static size_t allowed(const struct way *way, const struct fault *fault, size_t slot, size_t len)
{
    uint64_t limit = fault->keys[KEY_bytes];
    uint64_t room = way->seen[slot] < limit ? limit - way->seen[slot] : 0;
    return room < len ? (size_t)room : len;
}

static void corrupt(const struct way *way, const struct fault *fault, size_t slot, uint8_t *bytes,
                    size_t len)
{
    uint64_t at = fault->keys[KEY_at];
    uint64_t every = fault->keys[KEY_every];
    for (size_t i = 0; i < len; i++) {
        uint64_t offset = way->seen[slot] + i;
        if (offset == at || (every > 0 && offset > at && (offset - at) % every == 0)) {
            bytes[i] ^= (uint8_t)fault->keys[KEY_xor];
        }
    }
}

/* Bytes that were read: cut, changed and given their times. */
static void way_take(struct proxy *proxy, struct way *way, int direction, uint8_t *bytes,
                     size_t len)
{
    uint64_t due = now_us();
    uint64_t pause_us = 0;
    uint64_t rate = 0;
    size_t slice = PIECE;
    size_t vary = 0;
    bool is_end = false;

    for (size_t i = 0; i < MAX_FAULTS; i++) {
        const struct fault *fault = &proxy->faults[i];
        if (fault->name[0] == '\0' || !fault->is_on[direction]) {
            continue;
        }
        switch (fault->kind) {
        case KIND_LATENCY:
            due += fault->keys[KEY_ms] * 1000 + draw(proxy, fault->keys[KEY_jitter] * 1000);
            break;
        case KIND_BANDWIDTH:
            rate = fault->keys[KEY_rate];
            break;
        case KIND_SLICER:
            slice = fault->keys[KEY_size] > 0 && fault->keys[KEY_size] < PIECE
                        ? (size_t)fault->keys[KEY_size]
                        : PIECE;
            vary = (size_t)fault->keys[KEY_vary];
            pause_us = fault->keys[KEY_us];
            break;
        case KIND_CORRUPT:
            corrupt(way, fault, i, bytes, len);
            break;
        case KIND_LIMIT_DATA:
        case KIND_HALF_CLOSE:
            is_end = is_end || way->seen[i] + len >= fault->keys[KEY_bytes];
            len = allowed(way, fault, i, len);
            break;
        case KIND_STALL:
            way->is_stalled = way->is_stalled || way->seen[i] + len >= fault->keys[KEY_bytes];
            len = allowed(way, fault, i, len);
            break;
        case KIND_SLOW_CLOSE:
        case KIND_TIMEOUT:
        case KIND_RESET_PEER:
            break;
        }
        way->seen[i] += len;
    }
    proxy->bytes[direction] += len;
    /* The last place in the ring is kept for the end. */
    for (size_t at = 0; at < len;) {
        size_t part = slice + (size_t)draw(proxy, vary);
        bool is_last_place = way->count + 2 >= MAX_QUEUE;
        part = part > PIECE || is_last_place ? PIECE : part;
        part = part < len - at ? part : len - at;
        uint64_t start = due > way->last_due_us ? due : way->last_due_us;
        piece_push(way, bytes + at, part, rate > 0 ? start + part * 1000000 / rate : due);
        at += part;
        due += pause_us;
    }
    if (is_end) {
        piece_push(way, NULL, 0, due);
        way->is_read_over = true;
    }
}

/* --- the loop's steps ---------------------------------------------------------------------------- */

static uint64_t fault_key(const struct proxy *proxy, enum kind kind, int direction, enum key key)
{
    for (size_t i = 0; i < MAX_FAULTS; i++) {
        const struct fault *fault = &proxy->faults[i];
        if (fault->name[0] != '\0' && fault->kind == kind && fault->is_on[direction]) {
            return fault->keys[key];
        }
    }
    return NEVER;
}

static bool way_wants_read(const struct proxy *proxy, const struct way *way, int direction)
{
    return !way->is_read_over && !way->is_stalled && way->count + 2 < MAX_QUEUE &&
           fault_key(proxy, KIND_TIMEOUT, direction, KEY_ms) == NEVER;
}

static void way_read(struct proxy *proxy, struct way *way, int direction)
{
    uint8_t bytes[PIECE];
    ssize_t n = read(way->from, bytes, sizeof bytes);
    if (n > 0) {
        way_take(proxy, way, direction, bytes, (size_t)n);
    } else if (n == 0) {
        uint64_t late = fault_key(proxy, KIND_SLOW_CLOSE, direction, KEY_ms);
        piece_push(way, NULL, 0, now_us() + (late == NEVER ? 0 : late * 1000));
        way->is_read_over = true;
    }
}

/* False: the link is broken. */
static bool way_write(const struct proxy *proxy, struct way *way, int direction, uint64_t now)
{
    while (way->count > 0 && way->queue[way->head].due_us <= now && !way->is_over) {
        struct piece *piece = &way->queue[way->head];
        if (piece->len == 0) {
            /* limit_data ends everything; every other end is one direction's. */
            bool is_limit = fault_key(proxy, KIND_LIMIT_DATA, direction, KEY_bytes) != NEVER;
            way->is_over = true;
            way->count = 0;
            (void)shutdown(way->to, SHUT_WR);
            return !is_limit;
        }
        ssize_t n =
            send(way->to, piece->bytes + piece->sent, piece->len - piece->sent, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        piece->sent += (size_t)n;
        if (piece->sent < piece->len) {
            return true;
        }
        way->head = (way->head + 1) % MAX_QUEUE;
        way->count--;
    }
    return true;
}

/* Faults that end a link by time. Returns whether it is gone; *wake_us: when to look again. */
static bool link_expire(const struct proxy *proxy, struct link *link, uint64_t now,
                        uint64_t *wake_us)
{
    for (size_t i = 0; i < MAX_FAULTS; i++) {
        const struct fault *fault = &proxy->faults[i];
        bool is_timeout = fault->kind == KIND_TIMEOUT && fault->keys[KEY_ms] > 0;
        if (fault->name[0] == '\0' || (fault->kind != KIND_RESET_PEER && !is_timeout)) {
            continue;
        }
        uint64_t begun = fault->since_us > link->begun_us ? fault->since_us : link->begun_us;
        uint64_t end = begun + fault->keys[KEY_ms] * 1000;
        if (end <= now) {
            link_close(link, fault->kind == KIND_RESET_PEER);
            return true;
        }
        *wake_us = end < *wake_us ? end : *wake_us;
    }
    return false;
}

static void link_run(struct proxy *proxy, struct link *link, const short events[2], uint64_t now)
{
    if (link->is_connecting && events[1] != 0) {
        int err = 0;
        socklen_t len = sizeof err;
        if (getsockopt(link->ways[0].to, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0) {
            link_close(link, true);
            return;
        }
        link->is_connecting = (events[1] & POLLOUT) == 0;
    }
    for (int d = 0; d < 2; d++) {
        struct way *way = &link->ways[d];
        /* A RST is passed on as one, unless this direction is held. */
        if ((events[d] & POLLERR) != 0 && way_wants_read(proxy, way, d) && !link->is_connecting) {
            link_close(link, true);
            return;
        }
        if ((events[d] & (POLLIN | POLLHUP)) != 0 && way_wants_read(proxy, way, d)) {
            way_read(proxy, way, d);
        }
    }
    for (int d = 0; d < 2; d++) {
        if ((d == 0 && link->is_connecting)) {
            continue;
        }
        if (!way_write(proxy, &link->ways[d], d, now)) {
            link_close(link, false);
            return;
        }
    }
    if (link->ways[0].is_over && link->ways[1].is_over) {
        link_close(link, false);
    }
}

/* --- the loop -------------------------------------------------------------------------------------- */

#define FIXED_FDS (2 + MAX_CONTROLS)

static void watch(struct pollfd *slot, int fd, short events)
{
    *slot = (struct pollfd){.fd = fd, .events = events};
}

/* Fills the table for poll(); returns when it has to come back at the latest. */
static uint64_t prepare(struct proxy *proxy, struct pollfd *fds, uint64_t now)
{
    uint64_t wake = now + 1000000;
    watch(&fds[0], proxy->listener, POLLIN);
    watch(&fds[1], proxy->control_listener, POLLIN);
    for (size_t i = 0; i < MAX_CONTROLS; i++) {
        watch(&fds[2 + i], proxy->controls[i].fd, POLLIN);
    }
    for (size_t i = 0; i < MAX_LINKS; i++) {
        struct link *link = &proxy->links[i];
        struct pollfd *pair = &fds[FIXED_FDS + 2 * i];
        watch(&pair[0], -1, 0);
        watch(&pair[1], -1, 0);
        if (!link->is_used || link_expire(proxy, link, now, &wake)) {
            continue;
        }
        for (int d = 0; d < 2; d++) {
            const struct way *way = &link->ways[d];
            short wanted = way_wants_read(proxy, way, d) ? POLLIN : 0;
            const struct way *back = &link->ways[1 - d];
            /* What comes out of this fd's other end is the other direction's queue. */
            if (back->count > 0) {
                uint64_t due = back->queue[back->head].due_us;
                wanted |= due <= now ? POLLOUT : 0;
                wake = due > now && due < wake ? due : wake;
            }
            wanted |= d == 1 && link->is_connecting ? POLLOUT : 0;
            /* A held direction is not watched at all: its hang-up would make the loop spin. */
            watch(&pair[d], wanted != 0 ? way->from : -1, wanted);
        }
    }
    return wake;
}

static void loop(struct proxy *proxy, struct pollfd *fds)
{
    while (!proxy->is_ended) {
        uint64_t now = now_us();
        uint64_t wake = prepare(proxy, fds, now);
        struct timespec wait = {.tv_sec = (time_t)((wake - now) / 1000000),
                                .tv_nsec = (long)((wake - now) % 1000000 * 1000)};
        if (ppoll(fds, FIXED_FDS + 2 * MAX_LINKS, &wait, NULL) < 0 && errno != EINTR) {
            return;
        }
        now = now_us();
        for (size_t i = 0; i < MAX_LINKS; i++) {
            const struct pollfd *pair = &fds[FIXED_FDS + 2 * i];
            const short events[2] = {pair[0].revents, pair[1].revents};
            if (proxy->links[i].is_used) {
                link_run(proxy, &proxy->links[i], events, now);
            }
        }
        for (size_t i = 0; i < MAX_CONTROLS; i++) {
            if (fds[2 + i].revents != 0 && proxy->controls[i].fd >= 0) {
                control_read(proxy, &proxy->controls[i]);
            }
        }
        if (fds[1].revents != 0) {
            control_accept(proxy);
        }
        int client = -1;
        while (proxy->listener >= 0 && (fds[0].revents & POLLIN) != 0 &&
               (client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
            link_open(proxy, client);
        }
    }
}

static bool address_parse(const char *text, struct sockaddr_in *ret_addr)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    *ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port <= 0xffff && inet_pton(AF_INET, host, &ret_addr->sin_addr) == 1;
}

int main(int argc, char **argv)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    struct pollfd *fds = calloc(FIXED_FDS + 2 * MAX_LINKS, sizeof *fds);
    bool is_right = proxy != NULL && fds != NULL;
    if (!is_right) {
        return 1;
    }
    proxy->control_listener = -1;
    proxy->random = 1;
    for (size_t i = 0; i < MAX_CONTROLS; i++) {
        proxy->controls[i].fd = -1;
    }
    proxy->controls[0] = (struct control){.fd = STDIN_FILENO, .out = STDOUT_FILENO};
    for (int i = 1; i + 1 < argc && is_right; i += 2) {
        if (strcmp(argv[i], "--listen") == 0) {
            is_right = address_parse(argv[i + 1], &proxy->listen_addr);
        } else if (strcmp(argv[i], "--upstream") == 0) {
            is_right = proxy->upstream_count < MAX_UPSTREAMS &&
                       address_parse(argv[i + 1], &proxy->upstreams[proxy->upstream_count++]);
        } else if (strcmp(argv[i], "--control") == 0) {
            is_right = control_open(proxy, argv[i + 1]);
        } else if (strcmp(argv[i], "--seed") == 0) {
            proxy->random = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else {
            is_right = false;
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (!is_right || proxy->listen_addr.sin_family == 0 || proxy->upstream_count == 0 ||
        !listen_open(proxy)) {
        (void)fprintf(stderr, "fault --listen HOST:PORT --upstream HOST:PORT [--upstream ...] "
                              "[--control PATH] [--seed N]\n");
        return 2;
    }
    printf("port %u\n", ntohs(proxy->listen_addr.sin_port));
    (void)fflush(stdout);
    loop(proxy, fds);
    command_down(proxy);
    free(proxy);
    free(fds);
    return 0;
}
