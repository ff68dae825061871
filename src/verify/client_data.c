/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers, journal and accounts: reads and writes.
 */
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "client_priv.h"

#define NOON 12 /* FROM_UNIXTIME(43200) in UTC */

/* A read of a register tells what it holds, who answered, and in which time zone; or, for the one register alone, not who. */
#define READ_TEXT \
    "SELECT '%s', r.k, r.ver, r.op, %s, HOUR(FROM_UNIXTIME(43200)) FROM reg r%s WHERE r.k = %u"
#define READ_COUNT 6
#define READ_ALL \
    "SELECT ?, r.k, r.ver, r.op, s.id, HOUR(FROM_UNIXTIME(43200)) FROM reg r, srv s WHERE r.k = ?"
#define READ_ONE \
    "SELECT ?, r.k, r.ver, r.op, 0, HOUR(FROM_UNIXTIME(43200)) FROM reg r WHERE r.k = ?"
#define READ_WHO(is_by_row)  ((is_by_row) ? "0" : "s.id")
#define READ_FROM(is_by_row) ((is_by_row) ? "" : ", srv s")
#define COUNT_SQL            "SELECT ?, COUNT(*) FROM app WHERE op = ?"

static struct link *reads_of(struct client *client)
{
    return client->reads != NULL ? client->reads : client->link;
}

static void take_read(struct client *client, struct history_event *event,
                      const struct link_answer *answer, const char *tag)
{
    if (client_is_swapped(answer, tag, READ_COUNT) || client_cell(answer, 1) != event->key) {
        event->flags |= HISTORY_F_SWAPPED;
        return;
    }
    event->ver = client_cell_u32(answer, 2);
    event->seen = client_cell_u32(answer, 3);
    event->server = client_cell_u32(answer, 4);
    if (client->is_set && client->reads == NULL &&
        client_cell(answer, 5) != NOON + client_zone(client)) {
        event->flags |= HISTORY_F_STATE;
    }
}

static int on_route_row(void *arg, const struct span *cells, unsigned count)
{
    struct client *client = arg;

    if (count == 2 && span_eq_text(cells[0], "target") && span_eq_text(cells[1], "replica")) {
        client->asked_replicas++;
    }
    return 0;
}

/* In the state in which the session is: where would weir send this read now? */
static void ask_route(struct client *client, const char *sql)
{
    char text[CLIENT_SQL_MAX + 16];

    if (!client->run->conf->asks_route || client_roll(client, 8) != 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "EXPLAIN ROUTE %s", sql);
    if (link_each(client->link, text, on_route_row, client) == 0) {
        client->asked++;
    }
}

static bool read_key(struct client *client, uint16_t key, bool is_tx, bool is_prepared)
{
    struct history_event event = client_begin(client, HISTORY_READ);
    struct link_answer answer;
    struct link *link = is_tx ? client->link : reads_of(client);
    bool is_by_row = client->run->conf->is_by_row;
    char tag[LINK_CELL];
    char sql[CLIENT_SQL_MAX];
    int rc = 0;

    event.key = key;
    client_tag(client, 'r', key, tag);
    if (is_prepared) {
        event.flags |= HISTORY_F_PREPARED;
        rc = link_execute(link, 0, is_by_row ? READ_ONE : READ_ALL, tag, key, &answer);
    } else {
        (void)snprintf(sql, sizeof(sql), READ_TEXT, tag, READ_WHO(is_by_row), READ_FROM(is_by_row),
                       key);
        if (!is_tx) {
            ask_route(client, sql);
            event.begin_us = clock_now_us();
        }
        rc = link_query(link, sql, &answer);
    }
    event.end_us = clock_now_us();
    if (is_tx) {
        /* one snapshot, of a server that was chosen when the transaction was begun */
        event.flags |= HISTORY_F_TX;
        event.begin_us = client->tx_begin_us;
    }
    if (rc < 0) {
        client_fail_on(client, link, &event, false);
        return false;
    }
    take_read(client, &event, &answer, tag);
    client_add(client, &event);
    return true;
}

/* False: it failed, and the transaction that it is in is over. */
bool client_read_key(struct client *client, uint16_t key, bool is_tx)
{
    bool is_prepared = client_roll(client, 2) == 0;
    bool is_again = client->run->conf->is_sharing && !is_tx && client_roll(client, 2) == 0;

    if (!read_key(client, key, is_tx, is_prepared)) {
        return false;
    }
    return !is_again || client->link == NULL || read_key(client, key, is_tx, is_prepared);
}

bool client_read_sum(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_SUM);
    struct link_answer answer;
    char tag[LINK_CELL];

    client_tag(client, 's', 0, tag);
    if (client_send(client, &answer, "SELECT '%s', SUM(bal) FROM acct", tag) < 0) {
        client_fail(client, &event, false);
        return false;
    }
    if (client_is_swapped(&answer, tag, 2)) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    event.value = client_cell(&answer, 1);
    client_add(client, &event);
    return true;
}

void client_read_only_tx(struct client *client)
{
    client->tx_begin_us = clock_now_us();
    if (!client_step(client, "START TRANSACTION READ ONLY")) {
        return;
    }
    if (client_read_key(client, client_pick_key(client), true) && client_read_sum(client) &&
        client_read_key(client, client_pick_key(client), true) &&
        client_read_key(client, client_pick_key(client), true)) {
        (void)client_step(client, "COMMIT");
    } else {
        client_give_up(client);
    }
}

static void read_own_row(struct client *client, uint32_t op)
{
    struct history_event event = client_begin(client, HISTORY_COUNT);
    struct link_answer answer;
    char tag[LINK_CELL];
    char sql[CLIENT_SQL_MAX];
    struct link *link = reads_of(client);
    int rc = 0;

    event.op = op;
    client_tag(client, 'c', op, tag);
    if (client_roll(client, 2) == 0) {
        event.flags |= HISTORY_F_PREPARED;
        rc = link_execute(link, 1, COUNT_SQL, tag, op, &answer);
    } else {
        (void)snprintf(sql, sizeof(sql), "SELECT '%s', COUNT(*) FROM app WHERE op = %u", tag, op);
        rc = link_query(link, sql, &answer);
    }
    if (rc < 0) {
        client_fail_on(client, link, &event, false);
        return;
    }
    if (client_is_swapped(&answer, tag, 2)) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    event.value = client_cell(&answer, 1);
    client_add(client, &event);
}

/* --- writes --- */

/* In a transaction that has written key, in the words that others read it in: it sees its own write, and
 * they never do. False: it failed. */
static bool read_within(struct client *client, struct history_event *event)
{
    bool is_by_row = client->run->conf->is_by_row;
    struct link_answer answer;
    char tag[LINK_CELL];

    if (!client->run->conf->is_sharing) {
        return true;
    }
    client_tag(client, 'r', event->key, tag);
    if (client_send(client, &answer, READ_TEXT, tag, READ_WHO(is_by_row), READ_FROM(is_by_row),
                    event->key) < 0) {
        client_fail(client, event, false);
        return false;
    }
    if (client_is_swapped(&answer, tag, READ_COUNT) || client_cell_u32(&answer, 3) != event->op) {
        event->flags |= HISTORY_F_SWAPPED;
    }
    return true;
}

/* False: not acknowledged. */
static bool write_key(struct client *client, uint16_t key, uint32_t op)
{
    struct history_event event = client_begin(client, HISTORY_WRITE);
    struct link_answer answer;

    event.key = key;
    event.op = op;
    if (client_send(client, &answer, CLIENT_SET_KEY, op, op, key) < 0) {
        client_fail(client, &event, true);
        return false;
    }
    if (answer.columns != 0) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    client_add(client, &event);
    return true;
}

/* Money from one account to another, a register and a row of the journal: all or nothing. */
static bool write_tx(struct client *client, uint16_t key, uint32_t op)
{
    struct history_event event = client_begin(client, HISTORY_WRITE);
    unsigned from = (unsigned)client_roll(client, CLIENT_ACCOUNTS);
    unsigned to = (unsigned)client_roll(client, CLIENT_ACCOUNTS);
    unsigned low = from < to ? from : to;
    unsigned high = from < to ? to : from;
    int amount = (int)client_roll(client, 100);
    struct link_answer answer;

    event.key = key;
    event.op = op;
    event.value = 1; /* a register and a row */
    if (!client_within(client, &event, "BEGIN") ||
        !client_within(client, &event, "SELECT ver FROM reg WHERE k = %u FOR UPDATE", key) ||
        !client_within(client, &event, CLIENT_SET_KEY, op, op, key) ||
        !read_within(client, &event) ||
        !client_within(client, &event, "UPDATE acct SET bal = bal + %d WHERE id = %u",
                       low == from ? -amount : amount, low) ||
        !client_within(client, &event, "UPDATE acct SET bal = bal + %d WHERE id = %u",
                       low == from ? amount : -amount, high) ||
        !client_within(client, &event, "INSERT INTO app (op, k) VALUES (%u, %u)", op, key)) {
        client_give_up(client);
        return false;
    }
    event.begin_us = clock_now_us(); /* not before this can it take effect */
    if (client_send(client, &answer, "COMMIT") < 0) {
        client_fail(client, &event, true);
        client_give_up(client);
        return false;
    }
    if (answer.columns != 0) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    client_add(client, &event);
    return true;
}

/* Poison: a value that nobody may ever see. */
void client_write_and_roll_back(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_ABORT);

    event.key = client_pick_key(client);
    event.op = client_next_op(client);
    if (client_within(client, &event, "BEGIN") &&
        client_within(client, &event, CLIENT_SET_KEY, event.op, event.op, event.key) &&
        read_within(client, &event) && client_within(client, &event, "ROLLBACK")) {
        client_add(client, &event);
    } else {
        client_give_up(client);
    }
}

void client_insert(struct client *client, bool reads_back)
{
    struct history_event event = client_begin(client, HISTORY_INSERT);
    struct link_answer answer;

    event.op = client_next_op(client);
    if (client_send(client, &answer, "INSERT INTO app (op, k) VALUES (%u, %u)", event.op,
                    client_pick_key(client)) < 0) {
        client_fail(client, &event, true);
        return;
    }
    if (answer.columns != 0) {
        event.flags |= HISTORY_F_SWAPPED;
    }
    client_add(client, &event);
    if (reads_back) {
        read_own_row(client, event.op);
    }
}

void client_write_and_read(struct client *client)
{
    uint16_t key = client_pick_key(client);
    uint32_t op = client_next_op(client);
    bool is_done =
        client_roll(client, 3) == 0 ? write_tx(client, key, op) : write_key(client, key, op);

    if (is_done) {
        (void)client_read_key(client, key, false);
    }
}
