/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session makes its own, and whether it still has it: time zone, mode, variables, a table.
 */
#include <stdio.h>
#include <string.h>

#include "client_priv.h"

#define LEAK_OPS      5
#define NO_SUCH_TABLE 1146

#define STATE_ME   1
#define STATE_LEAK 2
#define STATE_ZONE 4
#define STATE_MODE 8
#define STATE_ID   16
#define STATE_TEMP 32

static const char *const MODES[] = {"ANSI_QUOTES", "PIPES_AS_CONCAT"};

/* A few states, no more: where each session had its own, none would get a connection of another's. */
unsigned client_zone(const struct client *client)
{
    return client->session % 2 + 1;
}

static const char *mode_of(const struct client *client)
{
    return MODES[client->session / 2 % (sizeof(MODES) / sizeof(MODES[0]))];
}

/* Two statements: weir carries a literal in a SET of its own from one connection to another. */
static void set_state(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_OTHER);
    struct link_answer answer;

    client->is_set = false;
    if (client_send(client, &answer, "SET time_zone = '+%02u:00', sql_mode = '%s'",
                    client_zone(client), mode_of(client)) < 0 ||
        client_send(client, &answer, "SET @me = %u", client->session) < 0) {
        client_fail(client, &event, false);
        client_drop(client); /* nobody knows half of a state */
        return;
    }
    client->is_set = true;
    client_add(client, &event);
}

/* A temporary table is there when this session made it, and only then. */
static bool is_temp_wrong(struct client *client)
{
    struct link_answer answer;
    bool is_there = link_query(client->link, "SELECT COUNT(*) FROM mine", &answer) == 0;

    return is_there != client->has_temp && (is_there || link_errno(client->link) == NO_SUCH_TABLE);
}

static int64_t judge_state(const struct client *client, const struct link_answer *answer)
{
    bool is_set = client->is_set;
    char zone[8];
    int64_t wrong = 0;

    (void)snprintf(zone, sizeof(zone), "+%02u:00", client_zone(client));
    if (is_set ? client_cell(answer, 1) != (int64_t)client->session : !answer->is_null[1]) {
        wrong |= STATE_ME;
    }
    if (client->leak != 0 ? client_cell(answer, 2) != client->leak : !answer->is_null[2]) {
        wrong |= STATE_LEAK;
    }
    if (is_set && strcmp(answer->cells[3], zone) != 0) {
        wrong |= STATE_ZONE;
    }
    if (is_set && strcmp(answer->cells[4], mode_of(client)) != 0) {
        wrong |= STATE_MODE;
    }
    if (client->connection_id != 0 && client_cell(answer, 5) != client->connection_id) {
        wrong |= STATE_ID;
    }
    return wrong;
}

void client_probe_state(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_STATE);
    struct link_answer answer;
    char tag[LINK_CELL];
    /* before user variables are spoken of: weir may look after those by a reset of their own */
    bool is_wrong = is_temp_wrong(client);

    client_tag(client, 'm', client->session, tag);
    if (client_send(client, &answer,
                    "SELECT '%s', @me, @leak, @@time_zone, @@sql_mode, CONNECTION_ID()", tag) < 0) {
        client_fail(client, &event, false);
        return;
    }
    if (client_is_swapped(&answer, tag, 6)) {
        event.flags |= HISTORY_F_SWAPPED;
    } else {
        event.value = judge_state(client, &answer) | (is_wrong ? STATE_TEMP : 0);
        client->connection_id = client_cell(&answer, 5);
    }
    client_add(client, &event);
}

/* State of kinds that no connection gets from another: a variable that is no literal, a table. */
void client_leak(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_OTHER);
    struct link_answer answer;

    if (client_send(client, &answer, "SELECT @leak := MAX(k) + %u FROM reg", client->session) < 0) {
        client_fail(client, &event, false);
        return;
    }
    client->leak = client_cell(&answer, 0);
    if (!client->has_temp &&
        client_send(client, &answer, "CREATE TEMPORARY TABLE mine (a INT) ENGINE=InnoDB") < 0) {
        client_fail(client, &event, false);
        client_drop(client); /* nobody knows whether it is there */
        return;
    }
    client->has_temp = true;
    client->left = client->left < LEAK_OPS ? client->left : LEAK_OPS; /* it pins: soon to end */
    client_add(client, &event);
}

void client_fresh(struct client *client)
{
    client->is_set = false;
    client->leak = 0;
    client->has_temp = false;
    client->connection_id = 0;
    client_probe_state(client);
    if (client->link != NULL && client_roll(client, 6) == 0) {
        /* a short session, that leaves its connection as new ones want theirs, but for this */
        client_leak(client);
        client_drop(client);
    }
    if (client->link != NULL) {
        set_state(client);
    }
}
