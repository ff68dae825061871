/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configured primary stays it, whatever it says: an operator who names it also moves it. Else
 * the primary is the one that may be written to, and it keeps the place for as long as nothing
 * speaks against it; a second one that may be written to is never a reason to move the writes.
 */
#include "roles_priv.h"

static bool is_auto_writer(const struct roles_server *server)
{
    return server->configured == CONFIG_ROLE_AUTO && server->is_known && server->is_alive &&
           server->is_writable;
}

static int16_t configured_primary(const struct roles_server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (servers[i].configured == CONFIG_ROLE_PRIMARY) {
            return (int16_t)i;
        }
    }
    return -1;
}

/* The only writer that replicates from nobody; with may_replicate also the only writer at all (two
 * that replicate from each other, of which one may be written to). -1: none, or in doubt. */
static int16_t sole_writer(const struct roles_server *servers, size_t count, bool may_replicate)
{
    int16_t source = -1;
    int16_t writer = -1;
    size_t sources = 0;
    size_t writers = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_auto_writer(&servers[i])) {
            continue;
        }
        writer = (int16_t)i;
        writers++;
        if (!servers[i].is_replicating) {
            source = (int16_t)i;
            sources++;
        }
    }
    if (sources == 1) {
        return source;
    }
    return writers == 1 && may_replicate ? writer : -1;
}

/* Nothing speaks against it: it may be written to, or it does not answer and nobody has taken its
 * place. */
static bool current_holds(const struct roles_server *servers, int16_t current, int16_t other)
{
    const struct roles_server *server = &servers[current];

    if (server->is_known && !server->is_writable) {
        return false;
    }
    return server->is_alive || other < 0;
}

static int16_t primary_of(const struct roles_server *servers, size_t count, int16_t current)
{
    int16_t configured = configured_primary(servers, count);
    int16_t other = -1;

    if (configured >= 0) {
        return configured;
    }
    /* A replica that was left writable must not inherit the place of a primary that is down. */
    other = sole_writer(servers, count, current < 0);
    if (current >= 0 && current < (int16_t)count &&
        servers[current].configured == CONFIG_ROLE_AUTO && current_holds(servers, current, other)) {
        return current;
    }
    return other;
}

void roles_decide(const struct roles_server *servers, size_t count, int16_t current,
                  struct roles *ret_roles)
{
    int16_t primary = primary_of(servers, count, current);

    ret_roles->primary = primary;
    ret_roles->has_second_writer = false;
    for (size_t i = 0; i < count; i++) {
        const struct roles_server *server = &servers[i];

        ret_roles->why[i] = TOPO_WHY_NONE;
        if ((int16_t)i == primary) {
            ret_roles->role[i] = TOPO_ROLE_PRIMARY;
            if (server->is_known && !server->is_writable) {
                ret_roles->why[i] = TOPO_WHY_ROLE;
            }
            continue;
        }
        ret_roles->role[i] = server->is_known || server->configured == CONFIG_ROLE_REPLICA
                                 ? TOPO_ROLE_REPLICA
                                 : TOPO_ROLE_UNKNOWN;
        if (server->is_known && server->is_alive && server->is_writable) {
            ret_roles->has_second_writer = true;
            if (server->configured != CONFIG_ROLE_REPLICA) {
                ret_roles->why[i] = TOPO_WHY_SECOND_WRITER;
            }
        }
    }
}
