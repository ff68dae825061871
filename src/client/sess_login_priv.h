/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_login - from the greeting to the OK: TLS, authentication, and the server's own yes.
 *
 * WHY       All that is needed once per session lives in one object that is freed afterwards.
 * OWNS      Left-over bytes, secrets in hand, the conn it opens (until taken). The stream is the
 *           session's: it reads, hands the bytes in, and gets told what came of it.
 * THREADS   The session's worker.
 * REENTRY   on_done comes from the top of the stack, never from inside a call here, and only
 *           after a call has returned SESS_LOGIN_WAIT or SESS_LOGIN_MORE (the deadline).
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    enum sess_login_rc; a negative err code where nothing could be started.
 * BOUNDS    auth.max_packet_before_login bytes held, SESS_LOGIN_PACKETS_MAX packets, the deadline.
 */
#ifndef WEIR_CLIENT_SESS_LOGIN_PRIV_H
#define WEIR_CLIENT_SESS_LOGIN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/protocol/greet.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

#define SESS_LOGIN_PACKETS_MAX 16

struct conn;
struct cred;
struct sess_env;
struct sess_login;
struct stream;

enum sess_login_rc {
    SESS_LOGIN_MORE,   /* the client has to say more: hand its bytes in */
    SESS_LOGIN_WAIT,   /* a server or a turn is waited for; on_done will come. Bytes handed in
                        * meanwhile are kept for the session (pipelining behind the login) */
    SESS_LOGIN_OK,     /* the OK packet is written; take the result, then destroy */
    SESS_LOGIN_FAILED, /* what had to be said is written; flush and close */
};

typedef void (*sess_login_fn)(void *arg, enum sess_login_rc rc);

/*
 * What a client's answers are hashed over. A change of user brings its answer unasked, and drivers
 * differ in which scramble they keep for it: the greeting's, or the last that a switch brought.
 */
struct sess_scrambles {
    uint8_t greeting[GREET_SCRAMBLE];
    uint8_t last[GREET_SCRAMBLE];
};

struct sess_login_params {
    const struct sess_env *env;
    struct stream *stream;  /* borrowed until destroy */
    const char *peer;       /* the client's address as text without port; "localhost" for unix */
    uint32_t connection_id; /* weir's, for the greeting */
    bool is_unix;
    bool is_tls_offered;
    bool is_tls_required;
    uint64_t deadline_us;
    const struct sess_scrambles *scrambles; /* change of user: the session's; else NULL */
    sess_login_fn on_done;
    void *arg;
};

/* What came of it. Spans are borrowed until sess_login_destroy(). */
struct sess_login_result {
    uint64_t caps; /* agreed with the client */
    uint32_t max_packet;
    uint16_t collation; /* as the client sent it, to be handed to every conn_open() */
    uint16_t status;    /* the status flags that the OK carried */
    struct span user;
    struct span schema;
    struct cred *cred;  /* borrowed: take a reference */
    struct span unread; /* bytes behind the login's last packet */
    struct sess_scrambles scrambles;
};

/* Writes the greeting. params are copied. */
WR_NODISCARD int sess_login_start(const struct sess_login_params *params,
                                  struct sess_login **ret_login);
/* COM_CHANGE_USER. caps: of the session; collation: of the session, for clients that send none;
 * body: behind the command byte; seq: of the command's packet. *ret_rc is how it stands now. */
WR_NODISCARD int sess_login_start_change(const struct sess_login_params *params, uint64_t caps,
                                         uint16_t collation, struct span body, uint8_t seq,
                                         struct sess_login **ret_login, enum sess_login_rc *ret_rc);
/* NULL is fine. Closes a conn that was not taken and gives its slot back. */
void sess_login_destroy(struct sess_login *login);

/* Bytes that the session has read. All of them are consumed or kept. STREAM_TLS_READY needs
 * nothing; on EOF or CLOSED the session destroys the login. */
enum sess_login_rc sess_login_feed(struct sess_login *login, uint8_t *bytes, size_t len);
/* The env has new snapshots. */
void sess_login_on_snapshot(struct sess_login *login);

/* After SESS_LOGIN_OK. */
const struct sess_login_result *sess_login_result(const struct sess_login *login);
/* The connection to the primary on which the server said yes, or NULL when none was needed. The
 * caller owns it and its slot, and calls conn_set_owner(). */
struct conn *sess_login_take_conn(struct sess_login *login);

#endif
