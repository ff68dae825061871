/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_priv - the session's own structure, shared by the files of this room and nobody else.
 *
 * WHY       One object, several files: each sess_*.c drives one part of a session's life.
 * OWNS      see include/weir/client/sess.h
 * THREADS   The owning worker only.
 * REENTRY   sess_fail*() and sess_command_done() may start the next command only through the run
 *           queue, so a caller's frame never finds its session in another command.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    int: 0 or more on success, negative err codes.
 * BOUNDS    SESS_HELD_MAX bytes of a command are kept; larger commands are streamed.
 */
#ifndef WEIR_CLIENT_SESS_PRIV_H
#define WEIR_CLIENT_SESS_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/conn.h"
#include "weir/backend/cred.h"
#include "weir/backend/svec.h"
#include "weir/classify/classify.h"
#include "weir/classify/facts.h"
#include "weir/client/sess.h"
#include "weir/client/sess_error.h"
#include "weir/io/loop.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/pool/pool.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/reply.h"
#include "weir/protocol/result.h"
#include "weir/route/balance.h"
#include "weir/route/decide.h"
#include "weir/route/guard.h"
#include "weir/route/rule.h"
#include "weir/util/buf.h"
#include "weir/util/list.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "acked_priv.h"
#include "sess_login_priv.h"

#define SESS_MAGIC      0x53455353U
#define SESS_ID_BITS    18U
#define SESS_ID_MASK    ((1U << SESS_ID_BITS) - 1U)
#define SESS_WORKER_MAX 64U

/* A command up to this many payload bytes is kept whole until its reply begins; a larger one is
 * passed on as it comes. One byte more than the classifier reads, so that it sees "too large". */
#define SESS_HELD_MAX (1024U * 1024U + 1U)
/* What a client may send ahead of its replies before weir stops reading. */
#define SESS_AHEAD_MAX (256U * 1024U)
/* The most that waits unprocessed: a PREPARE of one whole frame, and what came behind it. */
#define SESS_IN_MAX    ((size_t)17 * 1024 * 1024)
#define SESS_TRAIL     8U
#define SESS_SPARES    64U
#define SESS_TRIES_MAX 8U
/* One answer or rebuilt command of weir's own. */
#define SESS_ANSWER_MAX ((size_t)32 * 1024 * 1024)
/* Long data that waits for its EXECUTE; what is above goes to the primary at once, which then keeps
 * its connection with the session until the EXECUTE. */
#define SESS_DATA_MAX ((size_t)16 * 1024 * 1024)
/* Texts of a session's prepared statements: they are kept to be prepared again elsewhere. */
#define SESS_STMT_TEXT_MAX ((size_t)64 * 1024 * 1024)
#define SESS_STEPS         6U /* reply steps whose pieces go out in one write */

#define SESS_STATES(X)                                                                            \
    X(LOGIN, "login")     /* struct sess_login speaks with the client                         */  \
    X(IDLE, "idle")       /* no command in hand                                               */  \
    X(HOLD, "hold")       /* command held; a primary is waited for (sess_delay)                */ \
    X(SHARE, "share")     /* command held; another session asks the same (sess_cache)          */ \
    X(WAIT, "wait")       /* command held; a backend connection is waited for                  */ \
    X(OPEN, "open")       /* command held; a backend connection is being opened               */  \
    X(SYNC, "sync")       /* command held; replies to weir's own commands are awaited         */  \
    X(RELAY, "relay")     /* command sent (or still being sent); the reply tracker runs        */ \
    X(KILL, "kill")       /* a KILL is under way elsewhere                                     */ \
    X(RELOGIN, "relogin") /* COM_CHANGE_USER: struct sess_login speaks with the client again   */ \
    X(CLOSING, "closing") /* output is flushed, nothing else happens                           */

/* clang-format off */
enum sess_state {
#define X(name, text) SESS_ST_##name,
    SESS_STATES(X)
#undef X
    SESS_ST_END_
};
/* clang-format on */

struct sess_causal;
struct sess_delay;
struct sess_fill;
struct sess_login;
struct sess_pins;
struct sess_renews;
struct sess_set;
struct sess_vars;
struct reframe;
struct stmt;
struct version_writes;

/* Which rule fits. number: from 1, of the rules of that generation; 0: none. */
struct sess_rule_mark {
    uint64_t generation;
    uint16_t number;
};

/* The command in hand. Zeroed between commands. */
struct sess_cmd {
    uint8_t com;
    uint8_t reply_seq; /* of the first packet of the reply */
    enum reply_kind kind;
    enum classify_verb verb;
    enum classify_why why;
    enum route_target target;
    enum route_reason reason;
    uint8_t route_flags; /* ROUTE_F_* still to be done */
    uint8_t tries;
    int16_t server;     /* -1: none yet */
    bool is_local;      /* answered by weir: no server is involved */
    bool is_calls_read; /* a read as the functions that it calls are harmless */
    bool is_read;       /* a replica may run it, so it may be run again while fresh */
    bool is_forced;     /* the server is given (cursor, long data), not decided */
    bool may_write;     /* counts as a write for reads after it */
    bool is_sent;       /* some byte of it has been handed to a server */
    bool is_large;      /* streamed: held is only its beginning */
    bool is_pending;    /* counted at the balancer */
    bool got_byte;      /* the first byte of the reply has come */
    bool got_err;       /* the reply ended in an ERR */
    bool state_changed; /* the server's tracker says so */
    bool ddl_bumped;
    bool bears_lag;     /* a hint or a rule gave it a limit of its own */
    bool is_raw_held;   /* mode strict: an earlier write keeps the session on the primary */
    bool needs_learn;   /* it may have set what no tracker reports */
    bool needs_id;      /* it may ask for LAST_INSERT_ID() */
    bool sets_id;       /* it may have changed what that is */
    bool no_vars;       /* it cannot see user variables */
    bool sets_vars;     /* to literals, only */
    bool has_names;     /* sess->named has something to do when it is over */
    bool is_rerun;      /* refused by a primary that was read-only, and run again */
    bool is_paid;       /* it has its part of the primary's budget */
    bool needs_clear;   /* it asks about the last statement, which ran on another connection */
    bool sets_role;     /* and nothing else that would pin; needs_clear is set, too */
    bool is_bare;       /* SET ROLE, USE: not behind the role or schema that they leave */
    bool undoes_role;   /* the connection is given back the role of its login for it */
    bool needs_primary; /* a token of its hints that nobody understands */
    bool needs_wait;    /* its replica has to get there first */
    bool needs_fetch;   /* a server is asked how far it is, so that another may do */
    bool no_wait;       /* enough of that */
    bool is_waiting;    /* counted at the server that it waits on */
    bool got_gtid;      /* a server has said what it wrote */
    bool is_told;       /* and other sessions have heard of it, before the client */
    bool saw_rows;
    bool is_cached; /* answered by what was kept */
    bool is_void;   /* it named what is not there: nothing has run */
    int16_t wait_server;
    uint16_t warnings;     /* of the last result */
    uint16_t err_code;     /* of that ERR, when it came from a server */
    uint32_t unknown_name; /* why it may write (cache_read_is_only()) */
    uint32_t digest_at;    /* its place in the digests + 1; 0: not recorded */
    uint64_t digest;       /* 0: not known */
    uint64_t bytes_before; /* bytes_out when it began */
    uint64_t bits;         /* of facts */
    uint32_t pins;
    uint32_t unpins;
    uint64_t failed_mask;
    uint64_t started_us;
    uint64_t hold_end_us; /* when it gives up waiting for a primary; 0: it has not waited yet */
    uint64_t sent_us;
    uint64_t timeout_us; /* by its rule; 0: none */
    uint64_t timeout_at_us;
    uint64_t wait_began_us;
    struct sess_rule_mark rule;
    struct stmt *stmt;     /* the prepared statement in hand; borrowed from stmts */
    struct handle *handle; /* the same as the connection knows it; good until the loop is back */
};

/* Why a connection stays with the session although no transaction and no pin is on it. */
enum sess_hold {
    SESS_HOLD_LAST = 1,      /* diagnostics of the last statement: until the next one */
    SESS_HOLD_INSERT_ID = 2, /* LAST_INSERT_ID(), until weir has asked for it */
};

/* weir's own commands on a backend connection ahead of the client's. */
enum sess_own {
    SESS_OWN_NONE,
    SESS_OWN_SVEC,      /* conn_send_svec(): OK packets */
    SESS_OWN_PREPARE,   /* the statement in hand, on this connection */
    SESS_OWN_END_TX,    /* COMMIT of a read-only transaction that moves or ends */
    SESS_OWN_BEGIN,     /* START TRANSACTION READ ONLY on the primary */
    SESS_OWN_LEARN,     /* SELECT of the vector, after a statement that trackers do not cover */
    SESS_OWN_SET_ID,    /* SET last_insert_id, on a connection that has another's */
    SESS_OWN_ASK_LAST,  /* SHOW WARNINGS and its kin, the same */
    SESS_OWN_ASK_ID,    /* SELECT LAST_INSERT_ID(), before its connection goes back */
    SESS_OWN_EXTRA,     /* SELECT of variables that have just been set */
    SESS_OWN_ROLE,      /* SELECT CURRENT_ROLE(), when it has been set */
    SESS_OWN_BORN_ROLE, /* the same before it is another for the first time */
    SESS_OWN_CLEAR,     /* DO 0, or DO of a subquery: no diagnostics of others */
    SESS_OWN_RESET,     /* conn_send_reset(): no user variables of others */
    SESS_OWN_VARS,      /* SET of the session's own */
    SESS_OWN_ASK_LOCKS, /* SELECT of how many named locks are held */
    SESS_OWN_WAIT,      /* until the replica has what the read must see */
    SESS_OWN_FETCH,     /* how far the primary is */
};

struct sess {
    uint32_t magic;
    uint32_t id; /* what the client knows as its connection id */
    struct list_node node;
    /* owning */
    struct stream front;
    struct sess_login *login; /* LOGIN and RELOGIN only */
    struct cred *cred;
    struct conn **conns;        /* borrowed from the pool, by server index; NULL until the first */
    struct svec svec;           /* what the session has set */
    struct stmt **stmts;        /* by slot; NULL until the first PREPARE */
    struct sess_pins *named;    /* NULL: no pin with a name */
    struct sess_vars *vars;     /* user variables; NULL: none */
    struct sess_delay *delay;   /* state HOLD only */
    struct sess_causal *causal; /* what its reads must see; NULL: anything will do */
    struct sess_fill *fill;     /* the read in hand is to be kept; NULL: not */
    struct version_writes *writes;     /* for the cache; NULL: none yet */
    struct version_writes *renew_tags; /* whose answers are asked for behind them; NULL: none */
    struct buf in;                     /* received, not yet processed */
    struct buf held;                   /* the command in hand, headers included */
    struct buf diag;  /* a server's answers about diagnostics whose connection has gone back */
    struct buf extra; /* names of variables to be asked for, with commas */
    struct buf rest;  /* of a reply: a packet that is not whole yet */
    struct reframe *reframe; /* NULL: an upload keeps the client's frames */
    /* counted */
    struct pool_key *key; /* whose connections are borrowed; NULL before the login */
    struct rule_who rule_who;
    /* borrowed until close */
    struct sess_set *set;
    const struct sess_env *env;
    /* values */
    struct timer timer;
    struct timer rule_timer; /* the command's timeout */
    struct pool_wait wait;
    struct loop_task task; /* go on with `in` from the top of the stack */
    struct log_ctx log;
    struct sess_cmd cmd;
    struct reply reply;
    struct reply_front reply_front;
    enum sess_state state;
    enum sess_own own;
    int16_t own_server;
    uint16_t own_replies; /* still to come */
    uint64_t caps;        /* agreed with the client */
    uint16_t status;      /* SERVER_STATUS_* as the client knows them */
    uint16_t collation;   /* of the handshake */
    uint16_t conn_count;  /* length of conns */
    uint8_t own_ahead;    /* replies to weir's own ahead of the one that is relayed */
    uint8_t hold;         /* enum sess_hold */
    uint32_t stmt_slots;  /* length of stmts */
    uint32_t stmt_count;
    size_t stmt_bytes; /* of their texts */
    uint32_t stmt_gen;
    uint32_t stmt_last; /* id of the statement prepared last, 0: none */
    int16_t ro_tx_server;
    int16_t last_server;
    int16_t home_server; /* the primary that ran the last statement: transaction, pins are there */
    uint32_t pins;
    uint32_t user_slot;
    uint32_t key_slot;    /* of the hint key= of the statement, or of its transaction; 0: none */
    uint32_t causal_user; /* its user's slot on the board of tokens */
    uint32_t mode_bits;   /* CLASSIFY_MODE_* of the session's sql_mode */
    enum classify_charset charset;
    enum topo_isolation isolation;
    uint64_t raw_mark_us;
    uint64_t deadline_us; /* of a drain; 0: none */
    uint64_t idle_end_us; /* the session is closed when it has said nothing until then; 0: never */
    uint64_t linger_us;   /* until then HOLD_INSERT_ID keeps its connection */
    uint64_t serial;      /* of the session's state: its own for ever; new after a reset */
    uint64_t last_uses;   /* which use of its connection the last statement was */
    uint64_t insert_id;   /* LAST_INSERT_ID(), as far as it was asked for */
    int64_t row_count;    /* ROW_COUNT() and FOUND_ROWS() of the last statement */
    int64_t found_rows;
    size_t data_bytes;   /* long data that waits */
    uint32_t busy_stmts; /* statements with a cursor, or long data sent */
    int16_t id_server;   /* whose connection HOLD_INSERT_ID is about */
    /* for SHOW SESSIONS */
    uint64_t state_since_us;
    uint64_t pin_digest; /* of the statement that pinned it; 0: not known */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t eof_bytes; /* bytes_out when the client's end was seen */
    uint32_t commands;
    uint32_t states_seen;
    /* upload of a large command */
    uint32_t up_left; /* payload bytes of the current frame still to come */
    uint8_t up_seq;   /* of the current frame */
    uint8_t up_header[4];
    uint8_t up_header_len;
    uint64_t up_total;
    bool is_uploading;
    bool up_more; /* another frame follows */
    /* facts */
    bool tx_open; /* on the primary */
    bool tx_wrote;
    bool tx_lost; /* a read-only transaction died with its server: the next statement is told */
    bool next_tx_pending;
    bool autocommit_off;
    bool is_utf8;
    bool is_front_eof; /* the client has ended its direction */
    bool is_front_paused;
    bool is_back_paused;
    bool has_soft; /* some connection is reclaimable */
    bool
        asks_last; /* it has asked about its last statement before: its connections are kept for it */
    bool has_no_default; /* a login of its user has no role */
    bool has_news;       /* its last statement has left warnings or an error to be asked about */
    bool has_count;      /* its last statement has left what FOUND_ROWS() tells */
    bool lost_id;        /* the connection that knew LAST_INSERT_ID() is gone */
    bool is_inner;       /* its client is weir (sess_renew.c) */
    bool is_unix;
    bool is_tls_required;
    bool is_tls_offered;
    uint8_t trail_at;
    uint8_t trail[SESS_TRAIL];       /* the last states, for whoever reads a core */
    struct sess_scrambles scrambles; /* that the client has seen */
    char host[64]; /* the client's, as servers write it: "localhost", "10.0.0.7" */
};

struct sess_set {
    const struct sess_env *env;
    struct sess **table; /* by slot, SESS_ID_MASK + 1 long; NULL: free */
    struct list sessions;
    uint32_t max;
    uint32_t count;
    uint32_t logins; /* sessions in LOGIN or RELOGIN: they wait for snapshots */
    uint32_t next_slot;
    uint64_t next_serial;
    uint32_t spare_count;
    uint64_t drain_deadline_us;
    uint64_t down_mask; /* servers that the last snapshot called down */
    uint64_t late_mask; /* ... and lagging */
    /* sess_delay.c */
    struct list delays; /* struct sess_delay: for a primary, in the order of their coming */
    struct list turns;  /* ... for their turn on the primary */
    uint32_t delay_count;
    size_t delay_bytes;
    struct timer delay_timer;
    struct loop_task delay_task;
    uint64_t epoch;      /* of the topology that sessions have been told of */
    uint64_t budget_us;  /* when the next read without a replica is due, were all the budget used */
    bool has_stragglers; /* a statement of an epoch that is over still runs */
    uint64_t seen_epoch; /* of the newest topology, and since when */
    uint64_t epoch_us;
    uint64_t no_wait_until_us[TOPO_SERVERS_MAX]; /* has been waited for in vain */
    uint8_t vain_waits[TOPO_SERVERS_MAX];        /* times in a row */
    uint32_t waiters[TOPO_SERVERS_MAX];          /* statements that wait for it to get there */
    struct acked acked;                          /* what has been answered for a moment ago */
    /* the cache */
    struct list fills;          /* struct sess_fill: unused */
    struct list sharers;        /* ... that wait for another's */
    struct list woken;          /* ... and need not any more */
    struct list held_writes;    /* that had no answer */
    struct sess_renews *renews; /* owned; NULL: nothing is asked for anew */
    struct loop_task fill_task;
    struct timer writes_timer;
    uint32_t fill_count;
    uint64_t last_no_wait_us; /* the last of no_wait_until_us */
    uint64_t soon_mask;       /* servers whose lag of topology soon_of lets wait for soon_wait_us */
    uint64_t soon_of;
    uint64_t soon_wait_us;
    uint32_t all_waiters; /* all of waiters together */
    bool wants_gtids;
    bool has_gtids; /* the primary, when it was seen last */
    bool is_draining;
    struct balance_load load;
    struct route_conf route_conf;
    struct rule_scratch *rule_scratch; /* owned */
    const struct config
        *route_conf_of;         /* the config that route_conf was made from; never followed */
    uint32_t default_mode_bits; /* of the primary's global sql_mode */
    enum topo_isolation default_isolation;
    bool default_autocommit_off;
    bool is_mode_mixed; /* servers differ in their own defaults */
    bool is_zone_mixed;
    bool is_isolation_mixed;
    struct buf spares[SESS_SPARES]; /* storage of held and rest, lent to commands */
};

/* A session without a login: of a user who has one elsewhere. Borrowed for the call. */
struct sess_inner {
    struct cred *cred;
    struct svec svec;
    uint64_t caps;
    uint16_t status;
    uint16_t collation;
    bool is_unix;
    const char *host;
};

/* A prepared statement is run, once or for many rows. */
static inline bool sess_is_execute(const struct sess *sess)
{
    return sess->cmd.stmt != NULL &&
           (sess->cmd.com == COM_STMT_EXECUTE || sess->cmd.com == COM_MARIADB_STMT_BULK_EXECUTE);
}

/* --- sess_set.c --- */
/* Ready for commands. On failure the fd has been closed, or will be. */
WR_NODISCARD int sess_set_add_inner(struct sess_set *set, int fd, const struct sess_inner *inner);

/* --- sess.c: the object, its states, its socket --- */
void sess_set_state(struct sess *sess, enum sess_state state);
const char *sess_state_text(enum sess_state state);
/* Close now; running statements on servers end with their connections. */
void sess_close(struct sess *sess, const char *why);
/* What is queued for the client goes out first. */
void sess_close_flushed(struct sess *sess, const char *why);
/* The next command, if there is one: from the run queue. */
void sess_continue(struct sess *sess);
/* Storage for bytes that wait: lent by the set, so that a busy session does not allocate. */
void sess_buf_take(struct sess *sess, struct buf *buf);
void sess_buf_give(struct sess *sess, struct buf *buf);
/* Read the client no more (true) or again. */
void sess_pause_front(struct sess *sess, bool pause);
/* Take over an accepted socket. On failure it is the caller's still. */
int sess_open(struct sess *sess, int fd);
/* Write the greeting. */
int sess_begin_login(struct sess *sess);
/* The primary's defaults into the vector, where servers differ in theirs. */
int sess_take_defaults(struct sess *sess);
/* COM_CHANGE_USER: log in again on the same socket. */
void sess_change_user(struct sess *sess, const uint8_t *packet, size_t len);
/* What the classifier, router and tracker derive from the vector and the server's defaults. */
void sess_refresh(struct sess *sess);
/* What the servers are, as the primary is; unknown before the first has been seen. */
enum topo_flavour sess_flavour(const struct sess *sess, uint32_t *ret_version);
/* The statement may set what no tracker reports: ask when it is done. */
/* The command in hand is a proven read, and all its tables are known. */
bool sess_is_known_read(const struct sess *sess);
bool sess_is_unreported(const struct facts *facts, struct span sql);
/* struct reply_front var_pass: the session asked to be told of this variable. */
bool sess_var_is_wanted(void *arg, struct span name);

/* --- sess_reply.c: what weir itself says --- */
void sess_result_init(const struct sess *sess, struct wire_out *out, struct result *ret_result);
/* Write a finished answer; the command ends with it. */
void sess_answer(struct sess *sess, struct buf *bytes);
/* From where they are: nothing of iov is needed any more when it returns. */
void sess_answer_iov(struct sess *sess, const struct iovec *iov, size_t count);
void sess_answer_ok(struct sess *sess);
void sess_fail(struct sess *sess, enum sess_err error, const struct span *args, size_t count);
/* As sess_fail(), then the session ends. */
void sess_fail_close(struct sess *sess, enum sess_err error, const struct span *args, size_t count);
void sess_fail_conn(struct sess *sess, const struct conn *conn);
/* The server's own ERR, seen in answer to a command of weir's. */
void sess_fail_errpkt(struct sess *sess, const struct errpkt *err);
struct span sess_server_name(const struct sess *sess, int16_t server);

/* --- sess_command.c: COM_* --- */
/* A new command in hand; nothing of it has been looked at. */
void sess_command_init(struct sess *sess, uint8_t com);
/* packet: header and payload of one whole command; may be changed. */
void sess_command(struct sess *sess, uint8_t *packet, size_t len);
/* The reply is complete, or an answer has been written: what the command leaves behind. */
void sess_command_done(struct sess *sess);
void sess_reset_state(struct sess *sess);
void sess_reset_connection(struct sess *sess);

/* --- sess_upload.c: commands that are passed on as they come --- */
/* The first SESS_HELD_MAX payload bytes of a command that is larger. */
void sess_command_large(struct sess *sess, uint8_t *packet, size_t len, uint32_t frame_len);
/* Bytes of a large command that follow; returns how many were used. */
size_t sess_upload(struct sess *sess, const uint8_t *bytes, size_t len);
/* `shift` bytes have been put into the command, of whose first frame, now a full one, `begun` bytes
 * of payload are about to be written. */
int sess_upload_shift(struct sess *sess, size_t shift, uint32_t begun);
void sess_upload_end(struct sess *sess);

/* --- sess_query.c: text, classification, decision --- */
void sess_query(struct sess *sess, uint8_t *packet, size_t len);
void sess_classify(const struct sess *sess, struct span sql, struct facts *ret_facts);
/* How this session's servers read text now. */
void sess_classify_env(const struct sess *sess, struct classify_env *ret_env);
/* Facts into the command, then a server for it. False: an error was answered. */
bool sess_decide(struct sess *sess, const struct facts *facts);
/* Under which key it reads and writes: the statement's, in a transaction the last one's. */
void sess_note_key(struct sess *sess, const struct facts *facts);
/* What may be asked of another server: proven reads outside transactions. */
bool sess_may_move(const struct sess *sess, uint64_t bits, enum route_target target);
/* The same again after a server failed it. False: an error was answered. */
bool sess_decide_again(struct sess *sess);
void sess_route_fill(struct sess *sess, struct route_sess *ret_route, struct route_view *ret_view);
/* EXPLAIN ROUTE (sess_explain.c). packet: of the command, for its attributes. */
void sess_explain(struct sess *sess, struct span sql, struct span packet);
/* Where the text begins in a COM_QUERY (or PREPARE); 0: what stands before it makes no sense. */
size_t sess_attrs_text_at(const struct sess *sess, struct span packet);
/* Attributes that are hints, of the command in hand, into its facts. */
void sess_attrs_of_text(struct sess *sess, struct span packet, struct facts *facts);
/* The facts of the statement in hand; *own holds them if this EXECUTE has hints of its own. */
const struct facts *sess_attrs_of_execute(struct sess *sess, struct span packet, struct facts *own);
/* The command goes to the primary (or to where a read-only transaction is open), undecided. */
void sess_to_primary(struct sess *sess);

/* --- sess_hold.c: what keeps a connection with the session --- */
/* Whose statement the servers' state is about: new after everything has been forgotten. */
void sess_new_serial(struct sess *sess);
/* The connections of this login, from now on. */
int sess_rekey(struct sess *sess);
/* Nothing is in hand any more: state IDLE, sess_release(), and on with what waits. */
void sess_idle(struct sess *sess);
/* Nothing is in hand: what need not stay goes back to the pool. May begin a command of weir's own
 * (state SYNC). */
void sess_release(struct sess *sess);
/* A command begins. */
void sess_hold_begin(struct sess *sess);
/* What is to be remembered of a statement that has been run. */
void sess_hold_note(struct sess *sess, struct conn *conn);
/* The session, or its state, ends: everything goes back, is reset or closed, as its state demands. */
void sess_conns_end(struct sess *sess);
/* Why it has the connections that it has: bits of enum sess_keep. */
uint32_t sess_keeps(const struct sess *sess);
/* The pool wants this one back, or its time is up. */
void sess_hold_reclaim(struct sess *sess, int16_t server);
/* The connection that ran the last statement is in hand, untouched. */
bool sess_has_last(struct sess *sess);
/* MariaDB: that one may still tell of a statement of another session. */
bool sess_is_others_news(const struct sess *sess, const struct conn *conn);
/* Its last statement has left something to ask about that weir does not know. */
bool sess_has_diagnostics(const struct sess *sess);
/* How many named locks are held. */
void sess_locks_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* An own command on a connection that the session may keep is over. */
void sess_note_own(struct sess *sess);
/* The one row of SELECT LAST_INSERT_ID(). */
void sess_id_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* What was asked for has been answered: on, without it. */
void sess_hold_answered(struct sess *sess, enum sess_hold hold);
/* The reply to an own command in these bytes. 1: it is whole. 0: more is to come, sess_own_more().
 * <0: it is an error, or none. */
int sess_own_walk(const struct sess *sess, uint8_t *bytes, size_t len);
/* The first of several. 1: *ret_used bytes of it are there. 2: the same, and it is an ERR. */
int sess_own_step(const struct sess *sess, uint8_t *bytes, size_t len, size_t *ret_used);
void sess_own_more(struct sess *sess, const uint8_t *bytes, size_t len, size_t max);
/* Its first row. */
int sess_one_row(struct span bytes, struct wire *ret_row);

/* --- sess_diag.c: diagnostics without their connection --- */
/* SHOW WARNINGS and its kin. False: nothing was sent. */
bool sess_diag_ask(struct sess *sess, struct conn *conn);
/* The answers, kept for the client to ask for. */
void sess_diag_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* Answered from what is kept. False: nothing is, or it asks for something else. */
bool sess_diag_answer(struct sess *sess, struct span sql, const struct facts *facts);
/* --- sess_rule.c: rules --- */
/* The rule of the command in hand; NULL: none, or rules have been read again since. Borrowed until
 * the return to the loop. */
const struct config_rule *sess_rule(const struct sess *sess);
/* The rule that would fit; nothing is remembered. */
const struct config_rule *sess_rule_of(struct sess *sess, const struct facts *facts,
                                       struct span sql);
/* Into the command: which rule fits. */
void sess_rule_find(struct sess *sess, const struct facts *facts, struct span sql);
/* The same, if rules have been read again since it was found. */
void sess_rule_renew(struct sess *sess, const struct facts *facts, struct span sql);
/* Count, log, note the timeout. False: denied, an error was answered. */
bool sess_rule_apply(struct sess *sess, const struct facts *facts, struct span sql);
/* The state has changed: arm or cancel the command's timeout. */
void sess_rule_timer(struct sess *sess);
void sess_rule_on_timer(void *arg);

/* --- sess_observe.c: what is remembered of statements --- */
/* 0 when nothing is remembered. */
uint64_t sess_digest_hash(const struct sess *sess, struct span sql);
/* The command in hand is this statement; and it is over. */
void sess_digest_begin(struct sess *sess, uint64_t hash, struct span sql);
void sess_digest_end(struct sess *sess);

/* --- sess_backend.c: connections of the session --- */
/* Everything that has to happen before the command can be written, then write it. packet NULL:
 * it is in held. */
void sess_go(struct sess *sess, uint8_t *packet, size_t len);
struct conn *sess_conn(const struct sess *sess, int16_t server);
void sess_conn_drop(struct sess *sess, int16_t server, bool is_orderly);
/* One of the pool's. 1: it is in conns and ready. 0: waited for, or being opened. <0: failed, and
 * the client has been told. */
int sess_checkout(struct sess *sess, int16_t server, const struct svec *want);
/* It waits no more: a server that is down. */
void sess_wait_abort(struct sess *sess);
/* The server of the read in hand is late or down: end it there, and run it elsewhere while the client
 * has nothing of its reply. */
void sess_move_read(struct sess *sess);
void sess_on_pool(void *arg, int err);
int sess_conns_reserve(struct sess *sess);
int sess_send_text(struct conn *conn, const char *text);
void sess_conn_event(void *arg, struct conn *conn, enum conn_event event);
/* Take over the connection on which the login was proven. */
void sess_conn_adopt(struct sess *sess, struct conn *conn);
/* Wait for replies to what weir itself has written to a connection. */
void sess_sync_wait(struct sess *sess, enum sess_own own, int16_t server, uint16_t replies,
                    enum reply_kind kind);

/* --- sess_delay.c: statements that wait for a primary, or for their turn there --- */
/* The primary may be used as things are: there is one, and it is not known to be dead. */
bool sess_has_primary(const struct sess_env *env);
/* The command in hand needs the primary: it goes there now (true), or waits, or has been refused;
 * then packet, unless NULL, has been kept. */
bool sess_delay_check(struct sess *sess, const uint8_t *packet, size_t len);
/* Its server failed it before it could have run: wait for a better one. False: it may not. */
bool sess_delay_failed(struct sess *sess, int16_t server);
/* The primary refused it, being read-only: wait for what the monitor finds. False: it may not. */
bool sess_delay_refused(struct sess *sess, const struct errpkt *err);
/* Enough of it is kept to be run again, should the primary turn out read-only. */
bool sess_delay_keeps(const struct sess *sess);
/* It waits no more. Fine when it does not wait. */
void sess_delay_cancel(struct sess *sess);
void sess_delays_init(struct sess_set *set);
void sess_delays_fini(struct sess_set *set);
/* There is another topology: who may go on? */
void sess_delays_look(struct sess_set *set);

/* --- sess_epoch.c: when the primary changes --- */
/* It was begun as one to the primary in an epoch that is over, or its server has another role or
 * address now. */
bool sess_conn_is_stale(const struct sess *sess, const struct conn *conn);
/* In the command that begins: the session's state on a primary that is none any more is lost. */
void sess_leave_home(struct sess *sess);

/* --- sess_lost.c: when a server fails the command in hand --- */
/* The command is not on its way to its server any more. */
void sess_unpend(struct sess *sess);
/* The server failed the command before anything was forwarded: elsewhere, or an error. */
void sess_try_elsewhere(struct sess *sess, int16_t server, enum sess_err error);
/* The connection is gone while the command was on it. */
void sess_server_lost(struct sess *sess, int16_t server);

/* --- sess_learn.c: the vector read back, where no tracker tells --- */
/* False: nothing was sent. */
bool sess_learn(struct sess *sess);
void sess_learn_feed(struct sess *sess, uint8_t *bytes, size_t len);

/* --- sess_extra.c: other variables that are replayed --- */
void sess_extra_note(struct sess *sess, const struct facts *facts);
/* False: nothing was sent. */
bool sess_extra_ask(struct sess *sess);
void sess_extra_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* The command is over: is there anything to be asked for? */
void sess_extra_done(struct sess *sess, bool was_sent);

/* --- sess_role.c: SET ROLE --- */
/* The statement in hand sets it. False: that pins, as it sets more than it. */
bool sess_role_note(struct sess *sess);
/* Where the session's role is another than its connection's: conn's own is what nobody has said yet
 * (0: asked for), or what an answer says it is. */
int sess_role_ask_born(struct sess *sess, struct conn *conn);
void sess_role_born_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* What has the connection's role become, and so the session's? False: nothing was sent. */
bool sess_role_ask(struct sess *sess, struct conn *conn);
void sess_role_feed(struct sess *sess, uint8_t *bytes, size_t len);
/* A reset keeps the role, whatever has set it: the connection stays until it has been asked. */
struct conn *sess_role_keep(struct sess *sess);
/* COM_CHANGE_USER to this one keeps it. */
bool sess_role_survives(const struct sess *sess, struct span user);
void sess_role_kept(struct sess *sess, struct conn *conn);
/* The state in which SET ROLE and USE may run when what they leave has been revoked. */
void sess_role_bare(const struct sess *sess, const struct conn *conn, const struct svec *want,
                    struct svec *ret_bare);

/* --- sess_relay.c --- */
void sess_relay(struct sess *sess, struct conn *conn);
void sess_relay_resume(struct sess *sess);
void sess_own_relay(struct sess *sess, struct conn *conn);
/* Keep the bytes behind used, to be seen again with more behind them. False: no memory. */
bool sess_keep_rest(struct sess *sess, const uint8_t *bytes, size_t used, size_t len);

/* --- sess_stmt.c: prepared statements --- */
void sess_stmt_prepare(struct sess *sess, uint8_t *packet, size_t len);
void sess_stmt_execute(struct sess *sess, uint8_t *packet, size_t len);
void sess_stmt_fetch(struct sess *sess, uint8_t *packet, size_t len);
void sess_stmt_close(struct sess *sess, uint8_t *packet, size_t len);
void sess_stmt_reset(struct sess *sess, uint8_t *packet, size_t len);
void sess_stmt_long_data(struct sess *sess, uint8_t *packet, size_t len);
/* The server has prepared it; gives the client's id. False: an error was answered. */
/* A statement that weir answers itself: SELECT weir_token(). */
void sess_stmt_prepare_own(struct sess *sess, const uint8_t *packet, size_t len);
bool sess_stmt_prepared(struct sess *sess, const struct stmt_prepared *prepared, uint8_t *id_at);
/* The same for weir's own PREPARE on a connection. */
void sess_stmt_placed(struct sess *sess, struct conn *conn, const struct stmt_prepared *prepared);
/* Is the statement in hand known to this connection? Sets cmd.handle. */
bool sess_stmt_is_placed(struct sess *sess, struct conn *conn);
/* Write COM_STMT_PREPARE of the statement in hand. */
int sess_stmt_send_prepare(struct sess *sess, struct conn *conn);
/* The packet as this connection needs it: in place, or rebuilt in out (then used instead). Long data
 * that waits for it is written first. */
int sess_stmt_translate(struct sess *sess, struct conn *conn, uint8_t *packet, size_t len,
                        struct buf *out);
/* A command with the statement in hand has been answered. */
void sess_stmt_done(struct sess *sess);
/* Its cursor, or the long data sent for it, is on this server's connection. */
bool sess_stmts_are_on(const struct sess *sess, int16_t server);
const struct facts *sess_stmt_facts(const struct stmt *stmt);
struct span sess_stmt_text(const struct stmt *stmt);
void sess_stmts_free(struct sess *sess);
/* The schema that its names are in; empty: none was selected. */
struct span sess_stmt_schema(const struct stmt *stmt);
/* 1: the statement in hand has to be prepared on conn in the state in *ret_want, which is not the
 * session's own. 0: that one will do. <0: no memory. */
int sess_stmt_state(struct sess *sess, struct conn *conn, struct svec *ret_want);
/* The connection is gone, and what was prepared on it. */
void sess_stmts_unplace(struct sess *sess, int16_t server);

/* --- sess_track.c: what the session has become --- */
void sess_track_ok(struct sess *sess, struct conn *conn, const struct ok *ok);
void sess_track_done(struct sess *sess);
/* State that is on the session's connection to the primary and nowhere else. */
void sess_pin(struct sess *sess, enum classify_pin pin);
void sess_pins_change(struct sess *sess, uint32_t pins, uint32_t unpins);

/* --- sess_pins.c: pins that end with the last of their names --- */
/* What the statement in hand will do to them; schema: of names without one. */
void sess_pins_note(struct sess *sess, struct span sql, const struct facts *facts,
                    struct span schema);
/* It is read otherwise than the session reads texts now. */
void sess_pins_blur(struct sess *sess);
/* It is over: names into and out of the set. Returns the pins that end; cmd.pins loses those that
 * it did not begin after all. */
uint32_t sess_pins_apply(struct sess *sess);
void sess_pins_forget(struct sess *sess);
/* Which named locks are held still? False: nothing was sent. */
bool sess_pins_ask(struct sess *sess);
void sess_pins_answer(struct sess *sess, uint64_t held);

/* --- sess_vars.c: user variables with literal values --- */
/* The statement in hand may be a SET of such, and then does not pin. */
void sess_vars_note(struct sess *sess, struct span sql, const struct facts *facts);
void sess_vars_done(struct sess *sess, struct conn *conn, bool never_ran);
/* The vector has changed: are they still what they would be if they were set now? */
void sess_vars_check(struct sess *sess);
void sess_vars_forget(struct sess *sess);
bool sess_vars_are_foreign(const struct sess *sess, const struct conn *conn);
/* No other session's are on it, and the session's own. 1: so it is. 0: awaited. <0: failed. */
int sess_vars_clean(struct sess *sess, struct conn *conn);
int sess_vars_bring(struct sess *sess, struct conn *conn);
void sess_vars_brought(struct sess *sess, struct conn *conn);

/* --- sess_kill.c --- */
void sess_kill(struct sess *sess, const struct facts_kill *kill);
/* The client has gone while a statement of its runs: that is ended, if it may be. The session is
 * closed next. */
void sess_kill_own(struct sess *sess);
/* It has ended its direction while a statement runs: when to look whether it is gone; then that. */
uint64_t sess_gone_look_us(const struct sess *sess);
void sess_gone_due(struct sess *sess);
/* The statement that runs is ended by KILL QUERY; the client gets the server's error. */
void sess_kill_statement(struct sess *sess);

#endif
