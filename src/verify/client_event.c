/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all operations are made of: a statement sent, what came of it noted. Each statement carries a tag
 * that no other has, and each read brings it back. Where a cache is to answer, the tag is that of the
 * question, not of who asks.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "client_priv.h"

uint64_t client_roll(struct client *client, uint64_t bound)
{
    return rand_below(&client->rng, bound);
}

struct history_event client_begin(const struct client *client, enum history_kind kind)
{
    return (struct history_event){
        .begin_us = clock_now_us(),
        .session = client->session,
        .thread = client->thread,
        .kind = (uint8_t)kind,
    };
}

void client_add(struct client *client, struct history_event *event)
{
    if (event->end_us == 0) {
        event->end_us = clock_now_us();
    }
    if (history_add(&client->history, event) < 0) {
        client->err = -WR_E_LIMIT;
        atomic_store_explicit(&client->run->is_over, true, memory_order_relaxed);
    }
}

/* A refusal that names itself: the statement did nothing. Whatever else happens to a commit leaves
 * its outcome open. */
static bool is_certain(unsigned number)
{
    static const uint16_t refusals[] = {
        1040,                                     /* too many connections */
        1044, 1045, 1142, 1146, 1205, 1213, 1226, /* a limit of this user */
        1227, 1290, 1317, 1792, 1836, 1969, 3024,
    };

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i] == number) {
            return true;
        }
    }
    return false;
}

void client_drop(struct client *client)
{
    link_close(client->link);
    link_close(client->reads);
    client->link = NULL;
    client->reads = NULL;
}

void client_fail_on(struct client *client, struct link *link, struct history_event *event,
                    bool is_commit)
{
    unsigned number = link_errno(link);

    event->error = (uint16_t)number;
    event->outcome = is_commit && !is_certain(number) ? HISTORY_UNKNOWN : HISTORY_FAIL;
    client_add(client, event);
    if (link_is_dead(link)) {
        client_drop(client);
    }
}

/* The statement of event has failed. is_commit: it might have taken effect all the same. */
void client_fail(struct client *client, struct history_event *event, bool is_commit)
{
    client_fail_on(client, client->link, event, is_commit);
}

WR_PRINTF(3, 4)
int client_send(struct client *client, struct link_answer *ret_answer, const char *format, ...)
{
    char sql[CLIENT_SQL_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    return link_query(client->link, sql, ret_answer);
}

/* A statement of which only success matters. False: told, and a transaction is to be given up. */
bool client_step(struct client *client, const char *sql)
{
    struct history_event event = client_begin(client, HISTORY_OTHER);
    struct link_answer answer;

    if (link_query(client->link, sql, &answer) < 0) {
        client_fail(client, &event, false);
        return false;
    }
    if (answer.columns != 0) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    client_add(client, &event);
    return true;
}

void client_give_up(struct client *client)
{
    if (client->link != NULL) {
        (void)client_step(client, "ROLLBACK");
    }
}

void client_tag(struct client *client, char kind, uint32_t number, char tag[LINK_CELL])
{
    if (client->run->conf->is_sharing) {
        (void)snprintf(tag, LINK_CELL, "%c%u", kind, number);
    } else {
        (void)snprintf(tag, LINK_CELL, "t%u.%u", client->thread, ++client->tags);
    }
}

int64_t client_cell(const struct link_answer *answer, unsigned column)
{
    return strtoll(answer->cells[column], NULL, 10);
}

uint32_t client_cell_u32(const struct link_answer *answer, unsigned column)
{
    return (uint32_t)strtoul(answer->cells[column], NULL, 10);
}

bool client_is_swapped(const struct link_answer *answer, const char *tag, unsigned columns)
{
    return answer->columns != columns || answer->rows != 1 || strcmp(answer->cells[0], tag) != 0;
}

uint16_t client_pick_key(struct client *client)
{
    uint64_t keys = client->run->conf->keys;

    /* half of the work on an eighth of the registers */
    return (uint16_t)(client_roll(client, 2) == 0 ? client_roll(client, keys)
                                                  : client_roll(client, keys / 8 + 1));
}

uint32_t client_next_op(struct client *client)
{
    return (uint32_t)client->thread << 24 | ++client->ops;
}

/* A statement of a transaction that writes. False: it failed; event tells that nothing was done. */
WR_PRINTF(3, 4)
bool client_within(struct client *client, struct history_event *event, const char *format, ...)
{
    struct link_answer answer;
    char sql[CLIENT_SQL_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    if (link_query(client->link, sql, &answer) < 0) {
        client_fail(client, event, false);
        return false;
    }
    return true;
}
