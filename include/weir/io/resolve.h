/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve - names to addresses, without stopping a loop.
 *
 * WHY       getaddrinfo() blocks for as long as the name servers like.
 * OWNS      The helper thread. A result is mail and owns its addresses.
 * THREADS   resolver_ask(), resolve_now(): any. The rest: the creator.
 * REENTRY   The answer always comes by mail.
 * UNITS     none
 * ERRORS    0 or a negative err code: -WR_E_NOT_FOUND when the name has no address.
 * BOUNDS    RESOLVE_MAX_ADDRS addresses per name; 64 questions waiting, then -WR_E_LIMIT.
 */
#ifndef WEIR_IO_RESOLVE_H
#define WEIR_IO_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weir/io/mailbox.h"
#include "weir/util/attr.h"

#define RESOLVE_MAX_ADDRS  8
#define RESOLVE_HOST_BYTES 256
#define RESOLVE_TEXT_BYTES 128

struct resolver;

struct resolve_addr {
    struct sockaddr_storage addr;
    socklen_t len;
};

struct resolve_list {
    uint32_t count;
    struct resolve_addr addrs[RESOLVE_MAX_ADDRS];
};

/* mail.kind is what the asker chose. */
struct resolve_mail {
    struct mail mail;
    void *arg; /* the asker's, not looked at */
    int err;
    char host[RESOLVE_HOST_BYTES];
    struct resolve_list list; /* when err is 0 */
};

/* Blocks. host is a name, an IPv4 or IPv6 address, or the path of a unix socket (begins with
 * '/'; port is not used then). */
WR_NODISCARD int resolve_now(const char *host, uint16_t port, struct resolve_list *ret_list);
/* "127.0.0.1:3306", "[::1]:3306", "/run/x.sock"; terminates dst. */
void resolve_format(const struct sockaddr *addr, socklen_t len, char *dst, size_t cap);

WR_NODISCARD int resolver_create(struct resolver **ret_resolver);
/* Waits for the question in hand. NULL is fine. */
void resolver_destroy(struct resolver *resolver);
/* A resolve_mail of this kind will come to box. */
WR_NODISCARD int resolver_ask(struct resolver *resolver, const char *host, uint16_t port,
                              struct mailbox *box, uint32_t kind, void *arg);

#endif
