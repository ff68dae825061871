/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_auth_priv - the login's own structure, shared by sess_login.c, sess_login_auth.c and
 * sess_login_check.c.
 *
 * WHY       Three jobs on one object: talking, judging what the client offers, asking a server.
 * OWNS      see sess_login_priv.h
 * THREADS   The session's worker.
 * REENTRY   Steps set the state and write; only sess_login.c tells the session.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    A step that cannot go on ends the login through sess_login_refuse*().
 * BOUNDS    see sess_login_priv.h
 */
#ifndef WEIR_CLIENT_SESS_AUTH_PRIV_H
#define WEIR_CLIENT_SESS_AUTH_PRIV_H

#include "weir/backend/conn.h"
#include "weir/client/sess.h"
#include "weir/client/sess_error.h"
#include "weir/client/users.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/login.h"
#include "weir/util/buf.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "sess_login_priv.h"

#define SESS_LOGIN_PEER_MAX 128

/* X(name, text) */
#define SESS_LOGIN_STATES(X)                                                                   \
    X(RESPONSE, "response") /* greeting written; SSLRequest or login packet is awaited */      \
    X(REPLY, "reply")       /* AuthSwitch written; the plugin's answer is awaited */           \
    X(FULL, "full")         /* the password, or the wish for the RSA key, is awaited */        \
    X(CIPHER, "cipher")     /* the password under RSA is awaited */                            \
    X(REFRESH, "refresh")   /* a newer account table is awaited: this one says no */           \
    X(QUEUE, "queue")       /* a limit on checks is met, or no server is there: tried again */ \
    X(CHECK, "check")       /* a connection to a server is being opened as this user */        \
    X(OK, "ok")             /* over */                                                         \
    X(FAILED, "failed")     /* over */

/* clang-format off */
enum sess_login_state {
#define X(name, text) SESS_LOGIN_ST_##name,
    SESS_LOGIN_STATES(X)
#undef X
    SESS_LOGIN_ST_END_
};
/* clang-format on */

enum sess_login_method {
    SESS_LOGIN_NATIVE,
    SESS_LOGIN_SHA2,
    SESS_LOGIN_NO_METHOD, /* the client named a plugin that weir does not speak */
};

struct sess_login {
    uint32_t magic;
    /* owning */
    struct buf in; /* bytes not understood yet; behind the login: the session's */
    struct buf user;
    struct buf schema;
    struct cred *cred; /* what the client has proved to have */
    struct conn *conn; /* while a server is asked, and after its yes until it is taken */
    /* borrowed */
    struct sess_login_params p; /* peer points into peer below */
    /* values */
    struct timer deadline;
    struct timer retry;
    struct loop_task task;
    enum sess_login_state state;
    enum sess_login_method greeted; /* the plugin of the greeting */
    enum sess_login_method method;  /* of the reply that is awaited or in hand */
    uint64_t offered;
    uint64_t caps;
    uint64_t queue_us;            /* the next wait in state QUEUE */
    uint64_t accounts_generation; /* of the table that said no */
    uint64_t failed_mask;         /* servers that could not be reached, by topology index */
    uint32_t max_packet;
    uint32_t packets;
    uint16_t collation;
    uint16_t slot_server; /* meaningful with has_slot */
    int ticket;           /* of users_check_begin(); -1: none */
    uint8_t seq;          /* of the next packet, either way */
    struct sess_scrambles scrambles;
    uint8_t reply[AUTH_SHA2_LEN]; /* the client's answer, kept while the table is read again */
    uint8_t reply_len;
    uint8_t tried;       /* bits of enum sess_login_method: asked for by AuthSwitch already */
    bool is_change_user; /* COM_CHANGE_USER, no greeting */
    bool is_unasked;     /* the answer in hand came before any question of this login */
    bool is_tls_begun;
    bool has_slot;
    bool is_fast;      /* caching_sha2_password's fast path was right: 0x03 goes before the OK */
    bool has_password; /* "using password: YES" */
    bool is_refreshed; /* the account table has been read again for this login */
    bool is_told;      /* on_done has been called, or the result was returned */
    char peer[SESS_LOGIN_PEER_MAX];
    struct sess_login_result result;
};

/* --- sess_login.c --- */
void sess_login_set_state(struct sess_login *login, enum sess_login_state state);
struct span sess_login_user(const struct sess_login *login);
struct span sess_login_schema(const struct sess_login *login);
struct log_ctx sess_login_log(const struct sess_login *login);
/* Writes one packet whose payload is given. */
void sess_login_send(struct sess_login *login, struct span payload);
/* The OK packet, and what the session will ask for. */
void sess_login_succeed(struct sess_login *login);
void sess_login_refuse(struct sess_login *login, enum sess_err error, enum metric_login why);
/* 1045 with user, address and "using password". */
void sess_login_refuse_password(struct sess_login *login);
/* The log says what the operator would have to configure; the client gets the plain 1045. */
void sess_login_refuse_setup(struct sess_login *login, const char *what);
void sess_login_refuse_failure(struct sess_login *login, const struct conn_failure *failure,
                               struct span server_name);

/* --- sess_login_auth.c --- */
/* The login packet, or COM_CHANGE_USER's body, has been taken in: judge what it proves. */
void sess_login_judge_first(struct sess_login *login, struct span plugin, bool has_plugin,
                            struct span auth);
/* A packet of the client in state REPLY, FULL or CIPHER. */
void sess_login_auth_packet(struct sess_login *login, struct span payload);
/* State REFRESH: there may be a newer account table; or the wait is over. */
void sess_login_refreshed(struct sess_login *login, bool is_over);
/* The server wants what only the password itself gives. False: the client cannot be asked. */
bool sess_login_ask_password(struct sess_login *login);

/* --- sess_login_check.c --- */
/* login->cred is proved: OK at once, or a server is asked. */
void sess_login_check(struct sess_login *login);
/* State CHECK: the login's deadline has come before the server's answer. */
void sess_login_check_timeout(struct sess_login *login);
/* Gives back the ticket; closes the conn and gives back the slot unless keep_conn. */
void sess_login_check_end(struct sess_login *login, bool keep_conn);

#endif
