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
 * BOUNDS    64 accepts per socket and turn; max_clients connections in all.
 */
#ifndef WEIR_CLIENT_LISTENER_H
#define WEIR_CLIENT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

#define LISTENER_WHY_BYTES 256

struct config;
struct listener_set;
struct log_ctx;
struct loop;
struct metric_shard;
struct sess_accept;

struct listener_calls {
    /* Clients that are connected now, those on their way to a worker included. */
    uint32_t (*count)(void *arg);
    /* Takes accept->fd. */
    void (*on_accept)(void *arg, const struct sess_accept *accept);
    void *arg;
};

/* Bind and listen on every address of the config; nothing is accepted yet. A unix socket that
 * nobody serves any more is replaced, a live one is not. */
WR_NODISCARD int listener_open(const struct config *config, char ret_why[LISTENER_WHY_BYTES],
                               struct listener_set **ret_set);
/* Begin to accept. metrics and log are borrowed until listener_stop(). */
WR_NODISCARD int listener_start(struct listener_set *set, struct loop *loop,
                                const struct listener_calls *calls, uint32_t max_clients,
                                struct metric_shard *metrics, const struct log_ctx *log);
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
