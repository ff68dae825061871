/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator should know of the witnesses of lag: said once when it begins, and once when it
 * is over. None of it changes a verdict.
 */
#include <stdio.h>
#include <string.h>

#include "monitor_priv.h"

static void heartbeat_table(struct monitor *monitor, struct mon_server *server)
{
    const char *table = monitor->config->monitor.heartbeat;
    const char *error = server->good.heartbeat.error;
    char text[DB_ERROR_MAX + 400];

    if (!table || strcmp(error, server->heartbeat_said) == 0) {
        return;
    }
    (void)snprintf(server->heartbeat_said, sizeof(server->heartbeat_said), "%s", error);
    if (error[0] == '\0') {
        (void)snprintf(text, sizeof(text), "%s is read", table);
    } else {
        (void)snprintf(text, sizeof(text),
                       "%s: %s; the lag comes from the other witnesses (see "
                       "monitor.heartbeat)",
                       table, error);
    }
    monitor_event_post(monitor, MONITOR_EV_HEARTBEAT, error[0] != '\0', server->name, text);
}

/* Rows that stand still on the primary: who should renew them does not. */
static void heartbeat_pulse(struct monitor *monitor, const struct mon_server *primary)
{
    const struct lag_trail *trail = &monitor->trail;
    bool is_still = primary->good.heartbeat.count > 0 && !lag_trail_is_beating(trail);
    char text[400];

    if (is_still == monitor->is_still_said ||
        (is_still && trail->last_us < trail->begin_us + LAG_BEAT_STALE_US)) {
        return;
    }
    monitor->is_still_said = is_still;
    (void)snprintf(text, sizeof(text),
                   is_still ? "no row of %s moves; is pt-heartbeat running?" : "%s moves again",
                   monitor->config->monitor.heartbeat);
    monitor_event_post(monitor, MONITOR_EV_HEARTBEAT, is_still, primary->name, text);
}

static bool member_is_known(const struct monitor *monitor, const char *member)
{
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        const struct mon_server *server = &monitor->servers[i];

        /* One that has never answered may be any of them. */
        if (!server->has_good || strcmp(server->good.aurora.id, member) == 0) {
            return true;
        }
    }
    for (uint8_t i = 0; i < monitor->member_said_count; i++) {
        if (strcmp(monitor->member_said[i], member) == 0) {
            return true;
        }
    }
    return false;
}

static void aurora_members(struct monitor *monitor, const struct sample_aurora *aurora)
{
    char text[256];

    for (uint8_t i = 0; i < aurora->member_count; i++) {
        const char *member = aurora->members[i];

        if (monitor->member_said_count == SAMPLE_MEMBERS_MAX || member_is_known(monitor, member)) {
            continue;
        }
        memcpy(monitor->member_said[monitor->member_said_count++], member, SAMPLE_FILE_MAX);
        (void)snprintf(
            text, sizeof(text),
            "the cluster has an instance %s that is not under servers; to use it, add its "
            "instance endpoint there and restart weir",
            member);
        monitor_event_post(monitor, MONITOR_EV_AURORA, true, "", text);
    }
}

void monitor_witness(struct monitor *monitor, struct mon_server *server)
{
    heartbeat_table(monitor, server);
    if (monitor->next_primary == (int16_t)server->index) {
        heartbeat_pulse(monitor, server);
        aurora_members(monitor, &server->good.aurora);
    }
}
