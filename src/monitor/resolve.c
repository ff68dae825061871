/* SPDX-License-Identifier: Apache-2.0 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "weir/util/err.h"

#include "monitor_priv.h"

static int resolve_unix(const struct config_addr *address, struct sockaddr_storage *ret_addr,
                        socklen_t *ret_len, char error[DB_ERROR_MAX])
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t len = strlen(address->path);

    if (len >= sizeof(sun.sun_path)) {
        (void)snprintf(error, DB_ERROR_MAX, "the path of the socket is too long");
        return -WR_E_TOO_LARGE;
    }
    memcpy(sun.sun_path, address->path, len + 1);
    memset(ret_addr, 0, sizeof(*ret_addr));
    memcpy(ret_addr, &sun, sizeof(sun));
    *ret_len = (socklen_t)sizeof(sun);
    return 1;
}

static size_t family_take(const struct addrinfo *list, int family,
                          struct sockaddr_storage *ret_addrs, socklen_t *ret_lens, size_t cap)
{
    size_t count = 0;

    for (; list && count < cap; list = list->ai_next) {
        bool is_known = false;

        if (list->ai_family != family || list->ai_addrlen > sizeof(ret_addrs[0])) {
            continue;
        }
        memset(&ret_addrs[count], 0, sizeof(ret_addrs[count]));
        memcpy(&ret_addrs[count], list->ai_addr, list->ai_addrlen);
        ret_lens[count] = list->ai_addrlen;
        for (size_t i = 0; i < count; i++) {
            is_known =
                is_known || memcmp(&ret_addrs[i], &ret_addrs[count], sizeof(ret_addrs[i])) == 0;
        }
        count += is_known ? 0 : 1;
    }
    return count;
}

int monitor_resolve(const struct config_addr *address, struct sockaddr_storage *ret_addrs,
                    socklen_t *ret_lens, size_t cap, char error[DB_ERROR_MAX])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *list = NULL;
    char port[8];
    size_t count = 0;
    int rc = 0;

    if (address->kind == CONFIG_ADDR_UNIX) {
        return resolve_unix(address, ret_addrs, ret_lens, error);
    }
    (void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    hints.ai_flags = AI_NUMERICSERV;
    rc = getaddrinfo(address->host, port, &hints, &list);
    if (rc != 0) {
        (void)snprintf(error, DB_ERROR_MAX, "%s: %s", address->host, gai_strerror(rc));
        return -WR_E_NOT_FOUND;
    }
    count = family_take(list, AF_INET, ret_addrs, ret_lens, cap);
    if (count == 0) {
        count = family_take(list, AF_INET6, ret_addrs, ret_lens, cap);
    }
    freeaddrinfo(list);
    if (count == 0) {
        (void)snprintf(error, DB_ERROR_MAX, "%s: no address", address->host);
        return -WR_E_NOT_FOUND;
    }
    return (int)count;
}
