/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_priv - what the files of conn share: the login's object and its steps.
 *
 * WHY       What only a login needs is freed when it is over.
 * OWNS      conn_login: copies of the parameters, bytes not yet understood.
 * THREADS   The conn's worker.
 * REENTRY   Steps never call the owner; conn.c does, when the step is over.
 * UNITS     none
 * ERRORS    Steps set the conn's state to FAILED through conn_fail().
 * BOUNDS    See conn.h.
 */
#ifndef WEIR_BACKEND_CONN_PRIV_H
#define WEIR_BACKEND_CONN_PRIV_H

#include "weir/backend/conn.h"
#include "weir/protocol/auth.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/ok.h"
#include "weir/util/buf.h"

struct conn_login {
    /* owning */
    struct buf in;     /* the beginning of a packet that has not come whole */
    struct buf schema; /* copies of the parameters */
    struct buf attrs;  /* an attribute block, weir's own and the client's */
    struct svec want;
    /* values */
    const struct conn_tls *tls; /* the env's; NULL: off */
    uint64_t client_caps;
    uint16_t collation;
    uint8_t seq;         /* of the next packet, either way */
    uint32_t packets;    /* the server's, so far */
    uint32_t birth_diff; /* variables that the second packet of the birth sets */
    uint8_t birth_left;  /* replies of the birth still to come */
    uint8_t scramble[GREET_SCRAMBLE];
    char plugin[64];
    bool has_want;
    bool is_bare;      /* no birth settings: a connection for one KILL */
    bool is_local;     /* unix socket: as good as TLS for a password */
    bool awaits_key;   /* the server's RSA key has been asked for */
    bool is_full_sent; /* the password has been sent: the server may not ask again */
    bool is_done;      /* nothing is left to do: READY, unless the server has said too much */
    bool is_told;      /* FAILED has been delivered */
    struct conn_failure failure;
};

/* conn.c */
void conn_set_state(struct conn *conn, enum conn_state state);
void conn_fail(struct conn *conn, int err);
/* The server's own ERR packet. */
void conn_fail_server(struct conn *conn, const struct errpkt *err);
/* One packet out; the payload has been built in out by the caller. */
void conn_send_packet(struct conn *conn, struct span payload);
WR_NODISCARD int conn_open_bare(const struct conn_env *env, const struct conn_params *params,
                                conn_event_fn on_event, void *arg, struct conn **ret_conn);

/* conn_login.c: one whole packet of the server; payload may be changed. */
void conn_login_packet(struct conn *conn, struct span payload);
/* TLS is up: log in under it. */
void conn_login_send(struct conn *conn);

/* conn_auth.c */
/* The first answer, for the plugin in login->plugin; writes at most cap bytes. */
WR_NODISCARD int conn_auth_answer(const struct conn *conn, uint8_t *dst, size_t cap,
                                  size_t *ret_len);
void conn_auth_packet(struct conn *conn, struct span payload);

/* conn_set.c */
void conn_birth_start(struct conn *conn);
void conn_birth_packet(struct conn *conn, struct span payload);

#endif
