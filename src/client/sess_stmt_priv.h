/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_stmt_priv - a session's prepared statements.
 *
 * WHY       sess_stmt.c keeps and places them, sess_stmt_run.c has the commands.
 * OWNS      A stmt belongs to its session; its handle to the connection.
 * THREADS   The session's worker only.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    limits.max_prepared statements and SESS_DATA_MAX bytes of long data a session.
 */
#ifndef WEIR_CLIENT_SESS_STMT_PRIV_H
#define WEIR_CLIENT_SESS_STMT_PRIV_H

#include "sess_priv.h"

#define STMT_SLOT_BITS 20U
#define STMT_SLOT_MASK ((1U << STMT_SLOT_BITS) - 1U)
#define STMT_FIRST_ID  (1U | (1U << STMT_SLOT_BITS)) /* of a session */

struct stmt {
    uint32_t id;
    uint16_t params;
    bool has_types;
    bool is_own;         /* weir answers it */
    bool is_data_wrong;  /* long data came for a parameter that is not there */
    bool is_data_sent;   /* long data is with the handle in use already */
    int16_t server;      /* where the handle in use is; -1: none is */
    struct handle *busy; /* on the session's connection to that server; NULL: none */
    uint64_t digest;
    struct facts facts; /* spans point into text */
    struct sess_rule_mark rule;
    uint8_t *text;
    size_t text_len;
    uint64_t hash;
    uint8_t *types;  /* 2 * params bytes; NULL without parameters */
    struct buf data; /* SEND_LONG_DATA commands that wait for the EXECUTE, packet by packet */
    struct svec at;  /* what the session was at PREPARE: it decides what the text means */
};

/* By the client's id; on MariaDB -1 is the last one prepared. NULL: unknown. */
struct stmt *stmt_find(const struct sess *sess, uint32_t id);
struct handle_user stmt_user(const struct sess *sess, const struct stmt *stmt);
/* The handle has a cursor of this session's, or its long data. */
void stmt_set_busy(struct sess *sess, struct stmt *stmt, struct handle *handle, int16_t server);
/* Nothing of this session is on the handle any more, as far as weir knows it. */
void stmt_set_free(struct sess *sess, struct stmt *stmt);
/* A cursor or data that nobody will ask for: it goes with its handle. */
void stmt_busy_close(struct sess *sess, struct stmt *stmt);
void stmt_data_drop(struct sess *sess, struct stmt *stmt);
/* Out of the session, and freed. Its handles stay with their connections, for whoever has it next. */
void stmt_end(struct sess *sess, struct stmt *stmt);

#endif
