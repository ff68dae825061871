/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link - one connection to Redis that is made again whenever it breaks.
 *
 * WHY       Requests are sent one behind the other and answered in that order. A reply that does not
 *           come in time ends the connection, so that none can ever be taken for another's.
 * OWNS      Its socket, its requests in flight, copies of nothing that struct redis_conf points at.
 * THREADS   The loop's thread.
 * REENTRY   Callbacks come from the loop, and from inside redis_link_reset(), redis_link_destroy()
 *           (which does not call on_down) and a redis_link_send() that finds the connection broken: they end the
 *           requests in flight before they return. A callback may send and reset, and must not
 *           destroy.
 * UNITS     *_us: microseconds.
 * ERRORS    0 or a negative err code.
 * BOUNDS    REDIS_REQUESTS_MAX in flight; replies as weir/redis/reply.h bounds them, of at most
 *           max_reply_bytes; between two attempts to connect at least REDIS_RETRY_MIN_US / 2, and at
 *           most REDIS_RETRY_MAX_US: jittered, doubling.
 */
#ifndef WEIR_REDIS_LINK_H
#define WEIR_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/redis/reply.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define REDIS_REQUESTS_MAX 256U
#define REDIS_WORDS_MAX    64U /* of one command */
#define REDIS_RETRY_MIN_US UINT64_C(50000)
#define REDIS_RETRY_MAX_US UINT64_C(1000000)
#define REDIS_WHY_BYTES    256

struct loop;
struct redis_link;
struct resolver;
struct tls_ctx;

/* X(name, text): what holds */
#define REDIS_STATES(X)                                                  \
    X(WAIT, "wait")       /* not connected; the next attempt is timed */ \
    X(RESOLVE, "resolve") /* the name has been asked for              */ \
    X(CONNECT, "connect") /* and TLS, when there is some              */ \
    X(LOGIN, "login")     /* AUTH, SELECT, SUBSCRIBE or PING          */ \
    X(UP, "up")           /* requests are taken                       */

enum redis_state {
#define X(name, text) REDIS_ST_##name,
    REDIS_STATES(X)
#undef X
};

/* All borrowed for the link's life. */
struct redis_conf {
    const char *host; /* a name, an address, or the path of a unix socket */
    uint16_t port;
    uint32_t database;
    const char *user;     /* NULL: the default one */
    struct span password; /* p NULL: no AUTH */
    struct tls_ctx *tls;  /* NULL: none */
    const char *tls_name; /* to verify and to announce */
    const char *channel; /* NULL, or what this connection is subscribed to; it sends nothing else */
    uint64_t connect_timeout_us; /* until it is logged in, the look-up of the name apart */
    uint64_t timeout_us;         /* of a request */
    size_t max_reply_bytes;
};

struct redis_calls {
    void (*on_up)(void *arg);
    /* It broke, or could not be made; was_up: on_up had been called. why: one line. */
    void (*on_down)(void *arg, bool was_up, const char *why);
    /* Published to the channel; borrowed for the call. NULL when there is no channel. */
    void (*on_message)(void *arg, struct span payload);
    void *arg;
};

/* value: borrowed for the call; NULL: there is no reply, err says why, and nobody knows whether the
 * command has run. */
typedef void (*redis_reply_fn)(void *arg, int err, const struct redis_value *value);

/* Begins to connect. resolver: borrowed for life. */
WR_NODISCARD int redis_link_create(struct loop *loop, struct resolver *resolver,
                                   const struct redis_conf *conf, const struct redis_calls *calls,
                                   struct redis_link **ret_link);
/* Requests in flight end with -WR_E_CLOSED. NULL is fine. */
void redis_link_destroy(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);
enum redis_state redis_link_state(const struct redis_link *link);
const char *redis_state_text(enum redis_state state);
/* Requests that have no reply yet. */
uint32_t redis_link_in_flight(const struct redis_link *link);
/* Send a command; reply is called once, later. -WR_E_STATE: not up. -WR_E_LIMIT: too many in
 * flight. The words are copied. */
WR_NODISCARD int redis_link_send(struct redis_link *link, const struct span *words, size_t count,
                                 redis_reply_fn reply, void *arg);
/* The same with a command that has been formatted (one reply comes for it). */
WR_NODISCARD int redis_link_put(struct redis_link *link, struct span bytes, redis_reply_fn reply,
                                void *arg);
/* What ended its last connection, or attempt: a negative err code; 0: nothing yet. */
int redis_link_last_error(const struct redis_link *link);
/* Close it, and connect again. */
void redis_link_reset(struct redis_link *link, const char *why);

#endif
