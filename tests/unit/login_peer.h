/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_peer - the other end of a login, in the same thread: it turns the loop while it waits.
 *
 * WHY       Both login machines are tested against scripts; the script is plain C that reads down.
 * OWNS      Its socket.
 * THREADS   The test's.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    A test that waits in vain fails.
 * BOUNDS    PEER_PATIENCE_US.
 */
#ifndef WEIR_TESTS_UNIT_LOGIN_PEER_H
#define WEIR_TESTS_UNIT_LOGIN_PEER_H

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/wire.h"
#include "weir/util/buf.h"
#include "weir/util/clock.h"

#define PEER_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define PEER_MAX         ((size_t)1024 * 1024)

struct peer {
    int fd;
    struct loop *loop;
    struct buf in;
    struct buf packet; /* payload of the last packet */
    uint8_t seq;       /* of the last packet, then of the next one to send */
    bool is_bytewise;  /* sends one byte at a time */
};

static inline void peer_init(struct peer *peer, struct loop *loop, int fd)
{
    *peer = (struct peer){.fd = fd, .loop = loop};
    buf_init(&peer->in);
    buf_init(&peer->packet);
}

static inline void peer_fini(struct peer *peer)
{
    if (peer->fd >= 0) {
        (void)close(peer->fd);
    }
    peer->fd = -1;
    buf_fini(&peer->in);
    buf_fini(&peer->packet);
}

static inline void peer_turn(struct peer *peer, uint64_t wait_us)
{
    assert_int_equal(loop_turn(peer->loop, wait_us), 0);
}

static inline void peer_send_raw(struct peer *peer, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    while (len > 0) {
        ssize_t n = send(peer->fd, p, peer->is_bytewise ? 1 : len, MSG_NOSIGNAL);
        if (n < 0) {
            assert_true(errno == EPIPE || errno == ECONNRESET); /* it has hung up: fine */
            return;
        }
        p += n;
        len -= (size_t)n;
        peer_turn(peer, 0);
    }
}

static inline void peer_send_seq(struct peer *peer, uint8_t seq, struct span payload)
{
    uint8_t bytes[70 * 1024];
    assert_true(payload.len + FRAME_HEADER <= sizeof(bytes));
    frame_encode(bytes, (uint32_t)payload.len, seq);
    if (payload.len > 0) {
        memcpy(bytes + FRAME_HEADER, payload.p, payload.len);
    }
    peer_send_raw(peer, bytes, FRAME_HEADER + payload.len);
    peer->seq = (uint8_t)(seq + 1);
}

static inline void peer_send(struct peer *peer, struct span payload)
{
    peer_send_seq(peer, peer->seq, payload);
}

/* False: the other side has closed. */
static inline bool peer_fill(struct peer *peer)
{
    uint8_t bytes[4096];
    uint64_t end = clock_now_us() + PEER_PATIENCE_US;
    for (;;) {
        ssize_t n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            assert_int_equal(buf_append(&peer->in, bytes, (size_t)n, PEER_MAX), 0);
            return true;
        }
        if (n == 0 || errno == ECONNRESET) {
            return false;
        }
        assert_int_equal(errno, EAGAIN);
        assert_true(clock_now_us() < end);
        peer_turn(peer, 2000);
    }
}

/* The next packet's payload, borrowed until the next call. p NULL: closed instead. */
static inline struct span peer_expect(struct peer *peer)
{
    struct frame_packet packet;
    for (;;) {
        enum dec_rc rc = buf_len(&peer->in) == 0
                             ? DEC_MORE
                             : frame_packet_decode(peer->in.data + peer->in.off, buf_len(&peer->in),
                                                   PEER_MAX, -1, &packet);
        assert_int_not_equal(rc, DEC_BAD);
        if (rc == DEC_OK) {
            break;
        }
        if (!peer_fill(peer)) {
            return (struct span){NULL, 0};
        }
    }
    struct span payload = frame_packet_payload(peer->in.data + peer->in.off, &packet);
    buf_clear(&peer->packet);
    assert_int_equal(buf_append_span(&peer->packet, payload, PEER_MAX), 0);
    assert_int_equal(buf_reserve(&peer->packet, 1, PEER_MAX), 0);
    buf_consume(&peer->in, packet.wire_len);
    peer->seq = packet.next_seq;
    return buf_span(&peer->packet);
}

/* Nothing but the end of the connection comes. */
static inline void peer_expect_close(struct peer *peer)
{
    assert_int_equal(buf_len(&peer->in), 0);
    assert_false(peer_fill(peer));
}

/* --- packets of a server --- */

static inline void peer_send_ok(struct peer *peer, uint16_t status)
{
    const uint8_t ok[7] = {0, 0, 0, (uint8_t)status, (uint8_t)(status >> 8), 0, 0};
    peer_send(peer, (struct span){ok, sizeof(ok)});
}

static inline void peer_send_err(struct peer *peer, uint16_t code, const char *state,
                                 const char *text)
{
    uint8_t bytes[512];
    struct wire_out out;
    wire_out_array(&out, bytes, sizeof(bytes));
    wire_put_u8(&out, 0xff);
    wire_put_u16(&out, code);
    if (state != NULL) {
        wire_put_u8(&out, '#');
        wire_put_bytes(&out, span_of(state));
    }
    wire_put_bytes(&out, span_of(text));
    peer_send(peer, (struct span){bytes, out.len});
}

/* --- sockets --- */

/* A listening TCP socket on loopback; its address goes to ret_addr. */
static inline int peer_listen(struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 8), 0);
    *ret_len = sizeof(in);
    memset(ret_addr, 0, sizeof(*ret_addr));
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)ret_addr, ret_len), 0);
    return fd;
}

#endif
