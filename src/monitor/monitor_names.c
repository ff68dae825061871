/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are looked up by a thread of their own, so that a name server that is slow or gone delays no
 * probe: every few seconds, and soon after a server could not be reached. An address in use is kept
 * while its name still has it; a look-up that fails keeps what was known.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "weir/io/resolve.h"
#include "weir/util/clock.h"

#include "monitor_priv.h"

#define NAMES_EVERY_US UINT64_C(5000000) /* what managed databases give their names to live */
#define NAMES_GAP_US   UINT64_C(500000)  /* however often servers cannot be reached */

static bool addr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Under the lock: does another address of this name use it already? */
static bool addr_is_taken(const struct mon_server *server, const struct sockaddr_storage *addr)
{
    const struct monitor *monitor = server->monitor;

    for (uint16_t i = 0; i < monitor->server_count; i++) {
        const struct mon_server *other = &monitor->servers[i];

        if (other != server && !other->is_spare && other->config_index == server->config_index &&
            other->addr_len > 0 && addr_equal(&other->addr, addr)) {
            return true;
        }
    }
    return false;
}

/* Under the lock. Which of the name's addresses the server has, or should take; -1: none is left. */
static int addr_choose(const struct mon_server *server, const struct sockaddr_storage *addrs,
                       int count)
{
    int found = -1;

    for (int i = 0; i < count; i++) {
        if (server->addr_len > 0 && addr_equal(&addrs[i], &server->addr)) {
            return i;
        }
        if (found < 0 && !addr_is_taken(server, &addrs[i])) {
            found = i;
        }
    }
    return found;
}

/* Under the lock. */
static void addr_move(struct mon_server *server, const struct sockaddr_storage *addr, socklen_t len)
{
    server->has_moved = server->addr_len > 0;
    server->addr = *addr;
    server->addr_len = len;
    server->addr_gen++;
    server->has_sample = false; /* of another server */
    server->bad_count = 0;
    server->report_count = 0;
    server->is_probe_due = true;
}

static void addr_take(struct mon_server *server, const struct sockaddr_storage *addrs,
                      const socklen_t *lens, int count)
{
    struct monitor *monitor = server->monitor;
    char from[RESOLVE_TEXT_BYTES] = "nowhere";
    char to[RESOLVE_TEXT_BYTES];
    char text[2 * RESOLVE_TEXT_BYTES + 32];
    int found = -1;

    (void)pthread_mutex_lock(&monitor->lock);
    found = addr_choose(server, addrs, count);
    if (found < 0 || (server->addr_len > 0 && addr_equal(&addrs[found], &server->addr))) {
        (void)pthread_mutex_unlock(&monitor->lock);
        return;
    }
    if (server->addr_len > 0) {
        resolve_format((const struct sockaddr *)&server->addr, server->addr_len, from,
                       sizeof(from));
    }
    addr_move(server, &addrs[found], lens[found]);
    monitor->is_work = true;
    (void)pthread_cond_signal(&monitor->verdict_wake);
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
    resolve_format((const struct sockaddr *)&addrs[found], lens[found], to, sizeof(to));
    (void)snprintf(text, sizeof(text), "its name has moved: %s -> %s", from, to);
    monitor_event_post(monitor, MONITOR_EV_ADDRESS, false, server->name, text);
}

void monitor_names_take(struct monitor *monitor, uint16_t config_index,
                        const struct sockaddr_storage *addrs, const socklen_t *lens, int count)
{
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        struct mon_server *server = &monitor->servers[i];

        if (server->config_index == config_index && !server->is_spare) {
            addr_take(server, addrs, lens, count);
        }
    }
}

static int address_ask(struct monitor *monitor, const struct config_addr *address,
                       struct sockaddr_storage addrs[TOPO_SERVERS_MAX],
                       socklen_t lens[TOPO_SERVERS_MAX], char error[DB_ERROR_MAX])
{
    if (monitor->calls.resolve) {
        return monitor->calls.resolve(monitor->calls.arg, address, addrs, lens, TOPO_SERVERS_MAX,
                                      error, DB_ERROR_MAX);
    }
    return monitor_resolve(address, addrs, lens, TOPO_SERVERS_MAX, error);
}

int monitor_names_ask(struct monitor *monitor, uint16_t config_index,
                      struct sockaddr_storage addrs[TOPO_SERVERS_MAX],
                      socklen_t lens[TOPO_SERVERS_MAX], char error[DB_ERROR_MAX])
{
    return address_ask(monitor, &monitor->config->servers[config_index].address, addrs, lens,
                       error);
}

static bool is_a_name(const struct config_addr *address)
{
    struct in6_addr bytes;

    return address->kind == CONFIG_ADDR_TCP && inet_pton(AF_INET, address->host, &bytes) != 1 &&
           inet_pton(AF_INET6, address->host, &bytes) != 1;
}

/* The addresses of a server of the file, or of a reader that has joined. */
static void look_up(struct monitor *monitor, uint16_t index, bool *is_reported)
{
    struct mon_server *server = &monitor->servers[index];
    struct sockaddr_storage addrs[TOPO_SERVERS_MAX];
    socklen_t lens[TOPO_SERVERS_MAX];
    char error[DB_ERROR_MAX] = "";
    int count = address_ask(monitor, &server->config->address, addrs, lens, error);

    if (count > 0 && server->is_spare) {
        addr_take(server, addrs, lens, count);
    } else if (count > 0) {
        monitor_names_take(monitor, server->config_index, addrs, lens, count);
    } else if (!*is_reported) {
        monitor_event_post(monitor, MONITOR_EV_RESOLVE_ERROR, true, server->name, error);
    }
    *is_reported = count <= 0; /* once, until it succeeds again */
}

/* Under the lock. The first of a name's servers asks for all of them. */
static bool is_to_be_asked(const struct monitor *monitor, uint16_t index)
{
    const struct mon_server *server = &monitor->servers[index];

    if (server->is_spare) {
        return server->is_found;
    }
    return index == 0 || monitor->servers[index - 1].config_index != server->config_index;
}

void *monitor_names_thread(void *arg)
{
    struct monitor *monitor = arg;
    bool is_reported[TOPO_SERVERS_MAX] = {false};
    uint64_t done_us = clock_now_us();

    (void)pthread_mutex_lock(&monitor->lock);
    while (!monitor->is_stopping) {
        uint64_t at_us = done_us + (monitor->is_names_due ? NAMES_GAP_US : NAMES_EVERY_US);

        if (clock_now_us() < at_us) {
            monitor_wait(monitor, &monitor->names_wake, at_us);
            continue;
        }
        monitor->is_names_due = false;
        for (uint16_t i = 0; i < monitor->server_count && !monitor->is_stopping; i++) {
            if (is_to_be_asked(monitor, i) &&
                (monitor->calls.resolve || is_a_name(&monitor->servers[i].config->address))) {
                (void)pthread_mutex_unlock(&monitor->lock);
                look_up(monitor, i, &is_reported[i]);
                (void)pthread_mutex_lock(&monitor->lock);
            }
        }
        done_us = clock_now_us();
    }
    (void)pthread_mutex_unlock(&monitor->lock);
    monitor_thread_ends(monitor);
    return NULL;
}
