/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread: sessions that come and go, and one operation after the other. An operation is one or
 * several statements and leaves one event for each thing that can be judged.
 */
#include <stdio.h>
#include <time.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"

#include "client_priv.h"

#define SESSION_OPS 200

/* Some sessions never write, some do so in the beginning, some all the time: where a write sends its
 * session's reads to the primary, there would be no others. */
static uint32_t writes_of(struct client *client)
{
    uint64_t dice = client_roll(client, 10);

    if (dice < 5) {
        return 0;
    }
    return dice < 7 ? 6 : UINT32_MAX;
}

static void connect_anew(struct client *client)
{
    const struct verify_conf *conf = client->run->conf;
    struct history_event event = {.begin_us = 0};
    struct timespec pause = {.tv_nsec = 20000000};
    char error[LINK_TEXT];
    unsigned number = 0;

    client->session++;
    client->left = SESSION_OPS / 2 + (uint32_t)client_roll(client, SESSION_OPS);
    client->writes_left = writes_of(client);
    event = client_begin(client, HISTORY_OTHER);
    if (link_open(&conf->target, client->run->schema, &client->link, &number, error) < 0 ||
        (conf->reads != NULL &&
         link_open(conf->reads, client->run->schema, &client->reads, &number, error) < 0)) {
        client_drop(client);
        event.outcome = HISTORY_FAIL;
        event.error = (uint16_t)number;
        client_add(client, &event);
        (void)nanosleep(&pause, NULL); /* whoever refuses is not helped by haste */
        return;
    }
    client_add(client, &event);
    client_fresh(client);
}

/* The session goes on, empty of its state: what it may read goes on, too. */
static void reset(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_OTHER);
    int rc = client_roll(client, 2) == 0
                 ? link_reset(client->link)
                 : link_change_user(client->link, &client->run->conf->target, client->run->schema);

    if (rc < 0) {
        client_fail(client, &event, false);
        client_drop(client);
        return;
    }
    client_add(client, &event);
    client_fresh(client);
}

/* The first user's clients ask it, in the same state, so that an answer is there to be had. */
static void ask_first(const struct client *client, const char *sql)
{
    struct link_answer answer;
    struct link *link = NULL;
    char error[LINK_TEXT];
    unsigned number = 0;

    if (client->run->conf->is_sharing &&
        link_open(&client->run->conf->target, NULL, &link, &number, error) == 0) {
        if (link_query(link, sql, &answer) < 0) {
            answer.rows = 0; /* then there is none to be had */
        }
        link_close(link);
    }
}

static void peek(struct client *client)
{
    const struct verify_conf *conf = client->run->conf;
    struct verify_target target = conf->target;
    struct history_event event = client_begin(client, HISTORY_PEEK);
    struct link_answer answer;
    struct link *link = NULL;
    char error[LINK_TEXT];
    char sql[CLIENT_SQL_MAX];
    unsigned number = 0;

    target.user = conf->other_user;
    target.password = conf->other_password;
    if (link_open(&target, NULL, &link, &number, error) < 0) {
        event.outcome = HISTORY_FAIL;
        event.error = (uint16_t)number;
        client_add(client, &event);
        return;
    }
    /* the same text that the first user's clients send; nobody writes srv, so its answers stay */
    (void)snprintf(sql, sizeof(sql), "SELECT %s FROM %s.%s", conf->is_sharing ? "id" : "op",
                   client->run->schema, conf->is_sharing ? "srv" : "reg");
    ask_first(client, sql);
    if (link_query(link, sql, &answer) == 0) {
        event.value = (int64_t)answer.rows;
    } else if (link_is_dead(link)) {
        event.outcome = HISTORY_FAIL;
        event.error = (uint16_t)link_errno(link);
    }
    client_add(client, &event);
    link_close(link);
}

/* Go away in the middle of a statement, whose answer must reach nobody (some hundred thousand rows are
 * looked at), or of a transaction, in which nobody may find himself. */
static void abandon(struct client *client)
{
    struct history_event event = client_begin(client, HISTORY_ABORT);
    char sql[CLIENT_SQL_MAX];
    char tag[LINK_CELL];

    if (client_roll(client, 2) == 0) {
        client_tag(client, 'a', client->session, tag);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT '%s', COUNT(*) FROM reg a, reg b, reg c WHERE a.op <= b.op + c.op",
                       tag);
        link_abandon(client->link, sql);
        client->link = NULL;
        return;
    }
    event.key = client_pick_key(client);
    event.op = client_next_op(client);
    if (client_within(client, &event, "BEGIN") &&
        client_within(client, &event, CLIENT_SET_KEY, event.op, event.op, event.key)) {
        client_add(client, &event);
    }
    client_drop(client);
}

static void one_operation(struct client *client)
{
    const struct verify_conf *conf = client->run->conf;
    uint64_t dice = client_roll(client, 1000);

    if (conf->insert_pct > 0 && client_roll(client, 100) < conf->insert_pct) {
        client_insert(client, false);
        return;
    }
    if (dice < 400) {
        bool may_write = client->writes_left > 0;

        client->writes_left -= may_write && client->writes_left != UINT32_MAX ? 1 : 0;
        if (!may_write) {
            (void)client_read_key(client, client_pick_key(client), false);
        } else if (dice < 300) {
            client_write_and_read(client);
        } else if (dice < 350) {
            client_insert(client, true);
        } else {
            client_write_and_roll_back(client);
        }
    } else if (dice < 740) {
        (void)client_read_key(client, client_pick_key(client), false);
    } else if (dice < 840) {
        client_read_only_tx(client);
    } else if (dice < 900) {
        (void)client_read_sum(client);
    } else if (dice < 970) {
        client_probe_state(client);
    } else if (dice < 980) {
        reset(client);
    } else if (dice < 988) {
        client_leak(client);
    } else if (dice < 992 && conf->is_abandoning) {
        abandon(client);
    } else if (dice < 998 && conf->other_user != NULL) {
        peek(client);
    } else {
        (void)client_read_key(client, client_pick_key(client), false);
    }
}

/* Wait until the rate allows the next one. */
static void pace(struct client *client)
{
    const struct verify_conf *conf = client->run->conf;
    uint64_t step_us = 0;
    uint64_t now_us = clock_now_us();

    if (conf->rate == 0) {
        return;
    }
    step_us = CLOCK_US_PER_SECOND * conf->clients / conf->rate;
    if (client->next_us > now_us) {
        uint64_t wait_us = client->next_us - now_us;
        struct timespec wait = {.tv_sec = (time_t)(wait_us / CLOCK_US_PER_SECOND),
                                .tv_nsec = (long)(wait_us % CLOCK_US_PER_SECOND) * 1000};

        (void)nanosleep(&wait, NULL);
        now_us = client->next_us;
    }
    /* evenly on the whole, by chance in detail */
    client->next_us = now_us + client_roll(client, 2 * step_us + 1);
}

void *client_main(void *arg)
{
    struct client *client = arg;

    link_thread_init();
    while (!atomic_load_explicit(&client->run->is_over, memory_order_relaxed)) {
        pace(client);
        if (client->ops == CLIENT_OPS_MAX) {
            client->err = -WR_E_LIMIT;
            break;
        }
        if (client->link != NULL && client->left-- == 0) {
            client_drop(client);
        }
        if (client->link == NULL) {
            connect_anew(client);
        } else {
            one_operation(client);
        }
    }
    client_drop(client);
    link_thread_fini();
    return NULL;
}
