/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener - the sockets that clients connect to, and who is let in.
 *
 * WHY       The control thread accepts, so that a connection goes to the worker that has least to
 *           do, and so that no client can take the descriptors that a worker needs.
 * OWNS      The listening sockets, the paths of unix sockets, one spare descriptor. An accepted
 *           fd is on_accept's from the call on.
 * THREADS   The control thread.
 * REENTRY   on_accept comes from the loop; it may call listener_stop().
 * UNITS     none
 * ERRORS    0 or a negative err code; then ret_why holds one line for the operator.
 * BOUNDS    64 accepts per socket and turn; connections in all and before login, as the limits
 *           say: one more is answered with 1040.
 */
#ifndef WEIR_CLIENT_LISTENER_H
#define WEIR_CLIENT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define LISTENER_WHY_BYTES 256

struct config;
struct config_listener;
struct listener_set;
struct log_ctx;
struct loop;
struct metric_shard;
struct sess_accept;

/* Clients now, those on their way to a worker included. */
struct listener_load {
    uint32_t clients;
    uint32_t in_login; /* of them, not logged in yet */
};

struct listener_limits {
    uint32_t max_clients;
    uint32_t max_in_login;
    const char *setting; /* of max_clients, for the log; NULL: limits.max_clients */
};

struct listener_calls {
    void (*load)(void *arg, struct listener_load *ret_load);
    /* Takes accept->fd. */
    void (*on_accept)(void *arg, const struct sess_accept *accept);
    void *arg;
};

/* Bind and listen on every address of the config; nothing is accepted yet. A unix socket that
 * nobody serves any more is replaced, a live one is not. */
WR_NODISCARD int listener_open(const struct config *config, char ret_why[LISTENER_WHY_BYTES],
                               struct listener_set **ret_set);
/* The same for listeners that are not clients' (the admin's). */
WR_NODISCARD int listener_open_list(const struct config_listener *items, uint32_t count,
                                    char ret_why[LISTENER_WHY_BYTES],
                                    struct listener_set **ret_set);
/* Begin to accept. metrics and log are borrowed until listener_stop(). */
WR_NODISCARD int listener_start(struct listener_set *set, struct loop *loop,
                                const struct listener_calls *calls,
                                const struct listener_limits *limits, struct metric_shard *metrics,
                                const struct log_ctx *log);
/* New limits, and what the listeners of config say of TLS, for clients that come from now on; its
 * addresses are those that were opened. */
void listener_set_config(struct listener_set *set, const struct config *config,
                         const struct listener_limits *limits);
/* Close the sockets: new clients are refused by the kernel. May be called again. */
void listener_stop(struct listener_set *set);
/* NULL is fine. */
void listener_destroy(struct listener_set *set);

size_t listener_count(const struct listener_set *set);
/* The port that socket index really has (a configured port 0 takes a free one); 0: unix. */
uint16_t listener_port(const struct listener_set *set, size_t index);
/* "127.0.0.1:3310", "unix:/run/weir.sock". Borrowed. */
const char *listener_text(const struct listener_set *set, size_t index);

#endif
