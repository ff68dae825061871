/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - one connection to one server, logged in as one user, owned by one session.
 *
 * WHY       Everything between "connect" and "ready for a command" in one place: TLS policy, every
 *           authentication method, weir's birth settings, the state vector.
 * OWNS      Its socket, its reference on the credential, its vector. After READY the owner reads
 *           and writes conn->stream itself and consumes every reply.
 * THREADS   The worker that opened it.
 * REENTRY   Events come from the top of the stack only, never from inside a conn call, and not at
 *           all after conn_close(). An event handler may call anything here, conn_close() of its
 *           own conn included.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    0 or more on success, a negative err code on failure; why a login failed is told by
 *           conn_failure().
 * BOUNDS    Packets of a login: CONN_LOGIN_PACKET_MAX bytes, CONN_LOGIN_PACKETS_MAX of them, and
 *           deadline_us. Forwarded connection attributes: CONN_ATTRS_MAX bytes.
 */
#ifndef WEIR_BACKEND_CONN_H
#define WEIR_BACKEND_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/cred.h"
#include "weir/backend/handles.h"
#include "weir/backend/svec.h"
#include "weir/backend/topo.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/io/tls.h"
#include "weir/util/attr.h"
#include "weir/util/list.h"
#include "weir/util/str.h"

#define CONN_LOGIN_PACKET_MAX  (64 * 1024)
#define CONN_LOGIN_PACKETS_MAX 32
#define CONN_ATTRS_MAX         2048
#define CONN_ERROR_TEXT_MAX    512

struct buf;
struct conn;
struct conn_login;
struct metric_shard;
struct pool_bucket;

#define CONN_EVENTS(X)                                                                     \
    X(READY, "ready")       /* logged in, birth settings done; commands may be written */  \
    X(FAILED, "failed")     /* it never became ready: conn_failure(), then conn_close() */ \
    X(READABLE, "readable") /* as STREAM_READABLE; EOF comes this way too */               \
    X(DRAINED, "drained")   /* as STREAM_DRAINED */                                        \
    X(CLOSED, "closed")     /* was ready and is broken now: conn_close() */                \
    X(RECLAIM, "reclaim")   /* of the pool: somebody waits for it */

enum conn_event {
#define X(name, text) CONN_EV_##name,
    CONN_EVENTS(X)
#undef X
};

typedef void (*conn_event_fn)(void *arg, struct conn *conn, enum conn_event event);

/* How to do TLS with one configured server. */
struct conn_tls {
    enum tls_mode mode;
    struct tls_ctx *ctx;     /* borrowed; NULL with TLS_MODE_OFF only */
    const char *server_name; /* to verify and to announce; borrowed; may be NULL */
};

/* What a worker gives its connections. Borrowed by every conn until it is closed. */
struct conn_env {
    struct loop *loop;
    struct metric_shard *metrics; /* may be NULL */
    struct svec_values *values;
    const struct conn_tls *tls; /* by topo_server.config_index */
    size_t tls_count;
    bool wants_gtids; /* connections to the primary report what their statements wrote */
};

/* All of it is copied by conn_open(). */
struct conn_params {
    const struct topo_server *server;
    struct cred *cred;        /* conn takes its own reference */
    struct span schema;       /* empty: none */
    uint64_t client_caps;     /* of the client; only flags that cannot be replayed are used */
    uint16_t collation;       /* the client's, as it came in its handshake */
    struct span client_attrs; /* of the client's handshake, length-encoded pairs; may be empty */
    const char *client_host;  /* becomes the attribute _client_host; may be NULL */
    bool is_replica;          /* TRANSACTION READ ONLY from birth */
    uint64_t epoch;           /* of the topology that says so */
    const struct svec *svec;  /* made so at birth; NULL: the server's own values are learnt */
    uint64_t deadline_us;     /* READY or FAILED comes by then */
};

/* Why a conn failed. */
struct conn_failure {
    int err;             /* negative err code; -WR_E_SERVER_ERROR: the server sent an ERR packet */
    uint16_t code;       /* the server's own, when err is -WR_E_SERVER_ERROR */
    char sqlstate[6];    /* "HY000" when the server sent none */
    bool is_before_auth; /* the server refused before it looked at the user (1040, 1129, 1130) */
    size_t text_len;
    char text[CONN_ERROR_TEXT_MAX];
};

/* X(name, text) */
#define CONN_STATES(X)                                                 \
    X(CONNECT, "connect")   /* TCP or unix connect is under way */     \
    X(GREETING, "greeting") /* the server speaks first */              \
    X(TLS, "tls")           /* SSLRequest sent, handshake runs */      \
    X(AUTH, "auth")         /* response sent, packets go to and fro */ \
    X(BIRTH, "birth")       /* weir's own SET is on its way */         \
    X(READY, "ready")       /* the owner's */                          \
    X(FAILED, "failed")     /* the owner is told, or has been */

enum conn_state {
#define X(name, text) CONN_ST_##name,
    CONN_STATES(X)
#undef X
};

struct conn {
    uint32_t magic;
    /* owning */
    struct stream stream;
    struct svec svec; /* what this connection carries; the owner tracks OK packets into it */
    struct svec born; /* what a fresh login has here: what an absent value of a session means */
    struct svec fit;  /* the last that was found to fit svec, while that is what it was then */
    struct handles handles; /* statements prepared on it */
    struct cred *cred;
    struct conn_login *login; /* NULL from READY on */
    /* borrowed until conn_close() */
    const struct conn_env *env;
    conn_event_fn on_event;
    void *arg;
    /* values */
    uint64_t fit_gen;   /* svec's when fit was found to; 0: never */
    struct timer timer; /* the login's deadline */
    struct loop_task task;
    enum conn_state state;
    enum topo_flavour flavour;
    uint32_t version;      /* 90704, 101119 */
    uint32_t thread_id;    /* the server's; what KILL needs */
    uint64_t caps;         /* agreed with the server */
    uint16_t server_index; /* topo index */
    uint32_t addr_gen;     /* of that server's address */
    uint16_t status;       /* SERVER_STATUS_* of the last OK of the login */
    bool is_replica;
    bool fit_gtids;    /* conn_env.wants_gtids meant it then */
    bool is_sandboxed; /* the password has expired and the server lets nothing but its change by */
    /* the pool's, and of those who borrow from it (weir/pool/pool.h) */
    struct list_node node;      /* among the bucket's idle connections */
    struct list_node lru;       /* among the server's idle or reclaimable ones */
    struct pool_bucket *bucket; /* borrowed; NULL: not a pool's */
    uint64_t born_us;
    uint64_t defaults_hash; /* of the server's defaults when it was born; 0: not known */
    uint64_t epoch;         /* of the topology it was begun in */
    uint64_t idle_us;       /* since when it is idle */
    uint64_t uses;          /* times it was lent */
    uint64_t news_of;       /* whose warnings or error it may still have; 0: nobody's */
    uint64_t insert_id_of;  /* whose LAST_INSERT_ID() it holds; 0: nobody's, it is 0 */
    uint64_t last_user;     /* the session that used it last, by its serial */
    uint64_t vars_of;       /* whose user variables it carries, by serial; 0: none */
    uint32_t vars_gen;      /* which state of them */
    uint8_t replies;        /* of a reset still to come */
    uint8_t kills;          /* KILLs for it under way */
    bool is_dirty;          /* holds state beside the vector: reset before anybody else has it */
    bool is_spoiled;        /* holds what no reset undoes: never lent again */
    bool is_reclaimable;    /* lent, and its session would give it back when asked */
    bool is_opening;        /* counted among those */
    bool is_parked;         /* given back, and kept until a KILL has been answered */
};

/* Begin. On success READY or FAILED follows. server->addr_len 0 gives -WR_E_NO_SERVER. */
WR_NODISCARD int conn_open(const struct conn_env *env, const struct conn_params *params,
                           conn_event_fn on_event, void *arg, struct conn **ret_conn);
/* Sends COM_QUIT when it is ready and nothing is outstanding (is_orderly), closes, and lets the
 * memory go when the turn ends. NULL is fine. */
void conn_close(struct conn *conn, bool is_orderly);
/* Who gets the events from now on: a conn that goes from the login to its session. */
void conn_set_owner(struct conn *conn, conn_event_fn on_event, void *arg);

/* Good from FAILED until conn_close(). */
const struct conn_failure *conn_failure(const struct conn *conn);
const char *conn_state_text(enum conn_state state);
const char *conn_event_text(enum conn_event event);

/*
 * Makes the connection's vector equal to want: writes SET ROLE, COM_INIT_DB and one SET, as needed.
 * Returns how many replies (each one OK packet, or an ERR) are on their way, 0 when the vectors
 * agree already, or a negative code: -WR_E_UNSUPPORTED when only a new connection can do it. The
 * vector counts as changed at once: close the connection when a reply is not OK.
 */
WR_NODISCARD int conn_send_svec(struct conn *conn, const struct svec *want);
/* Nothing would have to be sent. */
bool conn_svec_fits(struct conn *conn, const struct svec *want);
/* conn_send_svec() could do it: a connection with a schema cannot go back to having none. */
bool conn_svec_can_fit(const struct conn *conn, const struct svec *want);
/*
 * COM_RESET_CONNECTION, and a SET back to what a fresh login has: returns how many replies are on
 * their way. What the vector says holds when all are OK; else close the connection. Schema and role
 * stay as they are on the server.
 */
WR_NODISCARD int conn_send_reset(struct conn *conn);

/*
 * A ready connection with nothing outstanding goes to another worker: pack here, unpack there.
 * conn_pack() takes it off this loop; it belongs to nobody until conn_unpack(), and conn_abandon()
 * is all that may be done to it besides. On failure both have closed it.
 */
WR_NODISCARD int conn_pack(struct conn *conn, struct buf *out);
WR_NODISCARD int conn_unpack(const struct conn_env *env, struct conn *conn, struct span bytes,
                             conn_event_fn on_event, void *arg);
void conn_abandon(struct conn *conn);

/*
 * KILL [QUERY] thread_id on a short connection of its own, logged in as params->cred. done comes
 * exactly once, no later than params->deadline_us, never from inside this call: 0, or a negative
 * code (-WR_E_SERVER_ERROR with the server's error number in code; 1094 when it had gone).
 */
typedef void (*conn_kill_fn)(void *arg, int err, uint16_t code);
WR_NODISCARD int conn_kill(const struct conn_env *env, const struct conn_params *params,
                           uint32_t thread_id, bool is_query_only, conn_kill_fn done, void *arg);

#endif
