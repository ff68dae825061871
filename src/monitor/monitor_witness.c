/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator should know of the witnesses of lag: said once when it begins, and once when it
 * is over. None of it changes a verdict.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

        if (server->is_spare) {
            if (server->is_found && strcmp(server->member, member) == 0) {
                return true;
            }
        } else if (!server->has_good || strcmp(server->good.aurora.id, member) == 0) {
            return true; /* one that has never answered may be any of them */
        }
    }
    for (uint8_t i = 0; i < monitor->member_said_count; i++) {
        if (strcmp(monitor->member_said[i], member) == 0) {
            return true;
        }
    }
    return false;
}

/* Fit to be the first part of a host name. */
static bool member_is_label(const char *member)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

    return member[0] != '\0' && member[0] != '-' && strspn(member, letters) == strlen(member);
}

/* A server of the file that is called as it is in the cluster: "db1" of "db1.xyz.example.com". Gives
 * ".xyz.example.com", or NULL. */
static const char *member_domain(const struct mon_server *server)
{
    const char *id = server->good.aurora.id;
    const char *host = server->config->address.host;
    size_t len = strlen(id);

    if (server->is_spare || !server->has_good || len == 0 ||
        server->config->address.kind != CONFIG_ADDR_TCP || strncasecmp(host, id, len) != 0 ||
        host[len] != '.') {
        return NULL;
    }
    return host + len;
}

/* The address of a member follows from the others': all have the same domain and port. */
static bool spare_fill(const struct monitor *monitor, struct mon_server *spare, const char *member)
{
    for (uint16_t i = 0; i < monitor->server_count; i++) {
        const char *domain = member_domain(&monitor->servers[i]);
        int len = 0;

        if (!domain) {
            continue;
        }
        len = snprintf(spare->spare_host, sizeof(spare->spare_host), "%s%s", member, domain);
        if (len < 0 || len >= (int)sizeof(spare->spare_host)) {
            return false;
        }
        spare->spare_config.address = (struct config_addr){
            .kind = CONFIG_ADDR_TCP,
            .host = spare->spare_host,
            .text = spare->spare_host,
            .port = monitor->servers[i].config->address.port,
        };
        (void)snprintf(spare->member, sizeof(spare->member), "%s", member);
        return true;
    }
    return false;
}

/* NULL: there is no place for it, or its address cannot be told. */
static const struct mon_server *spare_take(struct monitor *monitor, const char *member)
{
    struct mon_server *spare = NULL;

    for (uint16_t i = 0; i < monitor->server_count && !spare; i++) {
        if (monitor->servers[i].is_spare && !monitor->servers[i].is_found) {
            spare = &monitor->servers[i];
        }
    }
    if (!spare || !member_is_label(member)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&monitor->lock);
    spare->is_found = spare_fill(monitor, spare, member);
    monitor->is_names_due = true;
    (void)pthread_cond_signal(&monitor->names_wake);
    (void)pthread_cond_broadcast(&monitor->probe_wake);
    (void)pthread_mutex_unlock(&monitor->lock);
    return spare->is_found ? spare : NULL;
}

static void aurora_members(struct monitor *monitor, const struct sample_aurora *aurora)
{
    char text[MON_HOST_MAX + 200];

    for (uint8_t i = 0; i < aurora->member_count; i++) {
        const char *member = aurora->members[i];
        const struct mon_server *spare = NULL;

        if (monitor->member_said_count == SAMPLE_MEMBERS_MAX || member_is_known(monitor, member)) {
            continue;
        }
        spare = spare_take(monitor, member);
        if (spare) {
            (void)snprintf(text, sizeof(text), "a reader has joined the cluster: %s",
                           spare->spare_host);
            monitor_event_post(monitor, MONITOR_EV_AURORA, false, spare->name, text);
            continue;
        }
        memcpy(monitor->member_said[monitor->member_said_count++], member, SAMPLE_FILE_MAX);
        (void)snprintf(
            text, sizeof(text),
            "the cluster has an instance %s that is not under servers; to use it, add its "
            "instance endpoint there and restart weir (see monitor.aurora_readers)",
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
