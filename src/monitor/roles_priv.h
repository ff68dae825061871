/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roles - who is the primary. Pure.
 *
 * WHY       Exactly one server may be written to, whatever the servers themselves say.
 * OWNS      none
 * THREADS   The verdict thread only.
 * REENTRY   none
 * UNITS     none
 * ERRORS    primary -1: none can be named without doubt.
 * BOUNDS    TOPO_SERVERS_MAX servers.
 */
#ifndef WEIR_MONITOR_ROLES_PRIV_H
#define WEIR_MONITOR_ROLES_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/config/config.h"

struct roles_server {
    enum config_role configured;
    bool is_known;       /* probed with success at least once */
    bool is_alive;       /* not down */
    bool is_writable;    /* by the last good sample */
    bool is_replicating; /* a thread of some replication channel runs */
};

struct roles {
    int16_t primary; /* or -1 */
    bool has_second_writer;
    enum topo_role role[TOPO_SERVERS_MAX];
    enum topo_why why[TOPO_SERVERS_MAX]; /* ROLE or SECOND_WRITER: not fit for its role */
};

/* current: the primary so far, or -1. */
void roles_decide(const struct roles_server *servers, size_t count, int16_t current,
                  struct roles *ret_roles);

#endif
