/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - one thread that behaves like an application, and writes down what it saw.
 *
 * WHY       What is promised is tried the way it is used: text and prepared, in transactions and
 *           without, over sessions that come and go.
 * OWNS      Its link and its history.
 * THREADS   Its own thread from client_main() on; before and after, the thread that runs all.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    What servers say goes into the history; client_main()'s own: struct client.err.
 * BOUNDS    CLIENT_OPS_MAX writes.
 */
#ifndef WEIR_VERIFY_CLIENT_PRIV_H
#define WEIR_VERIFY_CLIENT_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/rand.h"
#include "weir/verify/history.h"
#include "weir/verify/verify.h"

#include "link_priv.h"

#define CLIENT_OPS_MAX  0xffffff /* an op is thread << 24 | number */
#define CLIENT_ACCOUNTS 10
#define CLIENT_BALANCE  1000
#define CLIENT_SQL_MAX  640

/* The order of a register's commits is written by the commits themselves: each appends its op to
 * the record, and the row's lock lets nobody between that and the commit. */
#define CLIENT_SET_KEY \
    "UPDATE reg SET ver = ver + 1, op = %u, record = CONCAT(record, '%08x') WHERE k = %u"

/* What all clients of a run share; they only read it, but for the flag. */
struct client_run {
    const struct verify_conf *conf;
    const char *schema;
    _Atomic bool is_over;
};

struct client {
    struct client_run *run;
    struct link *link;  /* NULL: to be opened */
    struct link *reads; /* for single reads; NULL: link */
    struct history history;
    struct rand_state rng;
    uint64_t next_us; /* when the rate allows the next operation */
    uint64_t tx_begin_us;
    uint64_t asked;
    uint64_t asked_replicas;
    int64_t connection_id; /* of the session; 0: not known yet */
    int64_t leak;          /* what the session has put into @leak; 0: nothing */
    uint32_t session;
    uint32_t ops;
    uint32_t tags;
    uint32_t left;        /* operations until the session ends */
    uint32_t writes_left; /* that may write */
    uint16_t thread;
    int err;
    bool is_set;   /* the session has its state */
    bool has_temp; /* it has made its temporary table */
};

/* A thread's function. arg: struct client. */
void *client_main(void *arg);

/* --- client_event.c: statements, and what came of them --- */

uint64_t client_roll(struct client *client, uint64_t bound);
uint16_t client_pick_key(struct client *client);
uint32_t client_next_op(struct client *client);
/* A tag that no other statement has; with is_sharing: what all have who ask for this, kind and number. */
void client_tag(struct client *client, char kind, uint32_t number, char tag[LINK_CELL]);

struct history_event client_begin(const struct client *client, enum history_kind kind);
/* Ends it now, unless it has an end. */
void client_add(struct client *client, struct history_event *event);
/* The statement of event has failed. is_commit: it might have taken effect all the same. */
void client_fail(struct client *client, struct history_event *event, bool is_commit);
void client_fail_on(struct client *client, struct link *link, struct history_event *event,
                    bool is_commit);
void client_drop(struct client *client);

WR_NODISCARD WR_PRINTF(3, 4) int client_send(struct client *client, struct link_answer *ret_answer,
                                             const char *format, ...);
/* A statement of which only success matters. False: it failed, and that is told. */
bool client_step(struct client *client, const char *sql);
/* A statement of a transaction that writes. False: it failed; event tells that nothing was done. */
WR_PRINTF(3, 4)
bool client_within(struct client *client, struct history_event *event, const char *format, ...);
void client_give_up(struct client *client);

int64_t client_cell(const struct link_answer *answer, unsigned column);
uint32_t client_cell_u32(const struct link_answer *answer, unsigned column);
bool client_is_swapped(const struct link_answer *answer, const char *tag, unsigned columns);

/* --- client_state.c: what is the session's own --- */

unsigned client_zone(const struct client *client);
void client_probe_state(struct client *client);
void client_leak(struct client *client);
/* The connection is new, or as good as new. May drop the link. */
void client_fresh(struct client *client);

/* --- client_data.c: operations --- */

/* is_tx: in a read-only transaction. False: it failed, and such a transaction is over. */
bool client_read_key(struct client *client, uint16_t key, bool is_tx);
bool client_read_sum(struct client *client);
void client_read_only_tx(struct client *client);
void client_write_and_read(struct client *client);
void client_write_and_roll_back(struct client *client);
void client_insert(struct client *client, bool reads_back);

#endif
