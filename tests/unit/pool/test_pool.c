/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a connection: every state that it can be in, times everything that can happen then.
 * The other end is a script on a real socket. A cell says the state right behind the event, how many
 * slots are taken then, what it comes to in the end, when all go on as they do (a session gives back
 * what it has, the server answers what it was asked), and what whoever waits for it has got.
 */
#include <netinet/tcp.h>
#include <poll.h>

#include "weir/backend/cred.h"
#include "weir/pool/pool.h"
#include "weir/pool/slots.h"
#include "weir/protocol/auth.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/greet.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"
#include "weir/util/secret.h"

#include "login_peer.h"

#define STATES(X)                                                         \
    X(IDLE, "idle")           /* in the pool, nobody waits */             \
    X(PROMISED, "promised")   /* to a waiter who has not been told yet */ \
    X(LENT, "lent")           /* to a session */                          \
    X(OPENING, "opening")     /* lent, and the login is under way */      \
    X(RESETTING, "resetting") /* given back, not clean */                 \
    X(GUARDED, "guarded")     /* given back, a KILL is on its way to it */

enum state {
#define X(name, text) ST_##name,
    STATES(X)
#undef X
    ST_GONE, /* closed: no state that anything happens in */
};

static const char *const state_names[] = {
#define X(name, text) text,
    STATES(X)
#undef X
        "gone"};

#define EVENTS(X)                                                            \
    X(CHECKIN, "checkin")     /* its session gives it back, clean */         \
    X(CHECKIN_DIRTY, "dirty") /* with state on it that a reset undoes */     \
    X(DISCARD, "discard")     /* its session does not want it any more */    \
    X(ANSWER, "answer")       /* the server answers what it was asked */     \
    X(READABLE, "readable")   /* the server says what nobody asked for */    \
    X(CLOSED, "closed")       /* by the server */                            \
    X(DEADLINE, "deadline")   /* the waiter has waited for long enough */    \
    X(LEAVES, "leaves")       /* the waiter does not want it any more */     \
    X(REFUSED, "refused")     /* servers do not let this user in any more */ \
    X(DRAINING, "draining")   /* an operator takes the server out */         \
    X(DOWN, "down")           /* the server is lost */                       \
    X(OLD, "old")             /* it has reached the age limit */

enum event {
#define X(name, text) EV_##name,
    EVENTS(X)
#undef X
    EV_COUNT,
};

static const char *const event_names[] = {
#define X(name, text) text,
    EVENTS(X)
#undef X
};

/* What whoever waits has got. */
enum got {
    NOBODY, /* nobody waits */
    CONN,   /* this connection */
    SLOT,   /* the right to open one */
    TIMEOUT,
    LEFT,
};

static const char *const got_names[] = {"nobody", "the connection", "a slot", "a timeout", "left"};

struct cell {
    enum state after;
    uint32_t used;
    enum state end;
    enum got got;
    bool is_none; /* cannot happen in that state */
};

/* Who waits for it in that row. */
enum waits {
    WAITS_NOBODY,
    WAITS_SAME,
    WAITS_OTHER
};

struct row {
    enum state state;
    enum waits waits;
    struct cell cells[EV_COUNT];
};

#define NONE            \
    {                   \
        .is_none = true \
    }
#define C(a, used, e, got)               \
    {                                    \
        ST_##a, used, ST_##e, got, false \
    }

/* One connection to the server is allowed, so who waits waits for this one or its slot. */
static const struct row rows[] = {
    {ST_IDLE,
     WAITS_NOBODY,
     {[EV_CHECKIN] = NONE, /* nobody has it */
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] = NONE,
      [EV_READABLE] = C(GONE, 0, GONE, NOBODY),
      [EV_CLOSED] = C(GONE, 0, GONE, NOBODY),
      [EV_DEADLINE] = NONE, /* nobody waits */
      [EV_LEAVES] = NONE,
      [EV_REFUSED] = C(GONE, 0, GONE, NOBODY),
      [EV_DRAINING] = C(GONE, 0, GONE, NOBODY),
      [EV_DOWN] = C(GONE, 0, GONE, NOBODY),
      [EV_OLD] = C(GONE, 0, GONE, NOBODY)}},
    {ST_PROMISED,
     WAITS_SAME,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] = NONE,
      [EV_READABLE] = C(GONE, 1, GONE, SLOT),
      [EV_CLOSED] = C(GONE, 1, GONE, SLOT),
      [EV_DEADLINE] = C(PROMISED, 1, IDLE, CONN), /* he has what he waited for */
      [EV_LEAVES] = C(IDLE, 1, IDLE, LEFT),
      [EV_REFUSED] = C(PROMISED, 1, GONE, CONN),
      [EV_DRAINING] = C(PROMISED, 1, GONE, CONN),
      [EV_DOWN] = C(PROMISED, 1, IDLE, CONN), /* he will find out */
      [EV_OLD] = C(PROMISED, 1, GONE, CONN)}},
    {ST_LENT,
     WAITS_NOBODY,
     {[EV_CHECKIN] = C(IDLE, 1, IDLE, NOBODY),
      [EV_CHECKIN_DIRTY] = C(RESETTING, 1, IDLE, NOBODY),
      [EV_DISCARD] = C(GONE, 0, GONE, NOBODY),
      [EV_ANSWER] = NONE,
      [EV_READABLE] = C(LENT, 1, GONE, NOBODY), /* its session's business */
      [EV_CLOSED] = C(LENT, 1, GONE, NOBODY),
      [EV_DEADLINE] = NONE,
      [EV_LEAVES] = NONE,
      [EV_REFUSED] = C(LENT, 1, GONE, NOBODY),
      [EV_DRAINING] = C(LENT, 1, GONE, NOBODY),
      [EV_DOWN] = C(LENT, 1, IDLE, NOBODY), /* the next word about the server closes it */
      [EV_OLD] = C(LENT, 1, GONE, NOBODY)}},
    {ST_LENT,
     WAITS_SAME,
     {[EV_CHECKIN] = C(PROMISED, 1, IDLE, CONN),
      [EV_CHECKIN_DIRTY] = C(RESETTING, 1, IDLE, CONN),
      [EV_DISCARD] = C(GONE, 1, GONE, SLOT),
      [EV_ANSWER] = NONE,
      [EV_READABLE] = C(LENT, 1, GONE, SLOT),
      [EV_CLOSED] = C(LENT, 1, GONE, SLOT),
      [EV_DEADLINE] = C(LENT, 1, IDLE, TIMEOUT),
      [EV_LEAVES] = C(LENT, 1, IDLE, LEFT),
      [EV_REFUSED] = C(LENT, 1, GONE, SLOT),
      [EV_DRAINING] = C(LENT, 1, GONE, SLOT),
      [EV_DOWN] = C(LENT, 1, IDLE, CONN),
      [EV_OLD] = C(LENT, 1, GONE, SLOT)}},
    {ST_LENT,
     WAITS_OTHER,
     {[EV_CHECKIN] = C(GONE, 1, GONE, SLOT), /* another user's: its slot is what helps him */
      [EV_CHECKIN_DIRTY] = C(RESETTING, 1, GONE, SLOT),
      [EV_DISCARD] = C(GONE, 1, GONE, SLOT),
      [EV_ANSWER] = NONE,
      [EV_READABLE] = C(LENT, 1, GONE, SLOT),
      [EV_CLOSED] = C(LENT, 1, GONE, SLOT),
      [EV_DEADLINE] = C(LENT, 1, IDLE, TIMEOUT),
      [EV_LEAVES] = C(LENT, 1, IDLE, LEFT),
      [EV_REFUSED] = C(LENT, 1, GONE, SLOT),
      [EV_DRAINING] = C(LENT, 1, GONE, SLOT),
      [EV_DOWN] = C(LENT, 1, GONE, SLOT),
      [EV_OLD] = C(LENT, 1, GONE, SLOT)}},
    {ST_OPENING,
     WAITS_NOBODY,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = C(GONE, 0, GONE, NOBODY),
      [EV_ANSWER] = C(LENT, 1, IDLE, NOBODY),
      [EV_READABLE] = C(OPENING, 1, GONE, NOBODY), /* its session is told that it failed */
      [EV_CLOSED] = C(OPENING, 1, GONE, NOBODY),
      [EV_DEADLINE] = NONE,
      [EV_LEAVES] = NONE,
      [EV_REFUSED] = C(OPENING, 1, GONE, NOBODY),
      [EV_DRAINING] = C(OPENING, 1, GONE, NOBODY),
      [EV_DOWN] = C(OPENING, 1, IDLE, NOBODY),
      [EV_OLD] = C(OPENING, 1, GONE, NOBODY)}},
    {ST_OPENING,
     WAITS_SAME,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = C(GONE, 1, GONE, SLOT),
      [EV_ANSWER] = C(LENT, 1, IDLE, CONN),
      [EV_READABLE] = C(OPENING, 1, GONE, SLOT),
      [EV_CLOSED] = C(OPENING, 1, GONE, SLOT),
      [EV_DEADLINE] = C(OPENING, 1, IDLE, TIMEOUT),
      [EV_LEAVES] = C(OPENING, 1, IDLE, LEFT),
      [EV_REFUSED] = C(OPENING, 1, GONE, SLOT),
      [EV_DRAINING] = C(OPENING, 1, GONE, SLOT),
      [EV_DOWN] = C(OPENING, 1, IDLE, CONN),
      [EV_OLD] = C(OPENING, 1, GONE, SLOT)}},
    {ST_RESETTING,
     WAITS_NOBODY,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] = C(IDLE, 1, IDLE, NOBODY),
      [EV_READABLE] = C(GONE, 0, GONE, NOBODY),
      [EV_CLOSED] = C(GONE, 0, GONE, NOBODY),
      [EV_DEADLINE] = NONE,
      [EV_LEAVES] = NONE,
      [EV_REFUSED] = C(RESETTING, 1, GONE, NOBODY),
      [EV_DRAINING] = C(RESETTING, 1, GONE, NOBODY),
      [EV_DOWN] = C(RESETTING, 1, IDLE, NOBODY),
      [EV_OLD] = C(RESETTING, 1, GONE, NOBODY)}},
    {ST_RESETTING,
     WAITS_SAME,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] = C(LENT, 1, IDLE, CONN),
      [EV_READABLE] = C(GONE, 1, GONE, SLOT),
      [EV_CLOSED] = C(GONE, 1, GONE, SLOT),
      [EV_DEADLINE] = C(RESETTING, 1, IDLE, TIMEOUT),
      [EV_LEAVES] = C(RESETTING, 1, IDLE, LEFT),
      [EV_REFUSED] = C(RESETTING, 1, GONE, SLOT),
      [EV_DRAINING] = C(RESETTING, 1, GONE, SLOT),
      [EV_DOWN] = C(RESETTING, 1, IDLE, CONN),
      [EV_OLD] = C(RESETTING, 1, GONE, SLOT)}},
    {ST_GUARDED,
     WAITS_NOBODY,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] =
          C(RESETTING, 1, IDLE, NOBODY), /* the KILL's: and now what it may hit is a reset */
      [EV_READABLE] = C(GONE, 0, GONE, NOBODY),
      [EV_CLOSED] = C(GONE, 0, GONE, NOBODY),
      [EV_DEADLINE] = NONE,
      [EV_LEAVES] = NONE,
      [EV_REFUSED] = C(GUARDED, 1, GONE, NOBODY),
      [EV_DRAINING] = C(GUARDED, 1, GONE, NOBODY),
      [EV_DOWN] = C(GUARDED, 1, IDLE, NOBODY),
      [EV_OLD] = C(GUARDED, 1, GONE, NOBODY)}},
    {ST_GUARDED,
     WAITS_SAME,
     {[EV_CHECKIN] = NONE,
      [EV_CHECKIN_DIRTY] = NONE,
      [EV_DISCARD] = NONE,
      [EV_ANSWER] = C(RESETTING, 1, IDLE, CONN),
      [EV_READABLE] = C(GONE, 1, GONE, SLOT),
      [EV_CLOSED] = C(GONE, 1, GONE, SLOT),
      [EV_DEADLINE] = C(GUARDED, 1, IDLE, TIMEOUT),
      [EV_LEAVES] = C(GUARDED, 1, IDLE, LEFT),
      [EV_REFUSED] = C(GUARDED, 1, GONE, SLOT),
      [EV_DRAINING] = C(GUARDED, 1, GONE, SLOT),
      [EV_DOWN] = C(GUARDED, 1, IDLE, CONN),
      [EV_OLD] = C(GUARDED, 1, GONE, SLOT)}},
};

/* --- the room that the pool lives in --- */

struct rig;

/* A session, as far as the pool sees it. */
struct user {
    struct rig *rig;
    struct cred *cred;
    struct pool_key *key;
    struct pool_wait wait;
    struct pool_ask ask;
    struct conn_params params;
    struct conn *conn; /* lent; NULL: none */
    bool is_ready;     /* its login is over */
    bool is_told;      /* of its end, or of what it did not ask for */
    enum got got;
};

struct rig {
    struct loop *loop;
    struct svec_values *values;
    struct secret_store *store;
    struct rand_state rand;
    struct conn_tls tls;
    struct conn_env env;
    struct topo *topo;
    struct topo *later; /* what the monitor says in the event */
    struct slots *slots;
    struct pool_conf conf;
    struct pool *pool;
    struct svec want;
    struct user session; /* who has the connection */
    struct user waiter;
    struct conn *conn; /* what it is all about; not to be looked at once it is gone */
    struct peer peer;  /* its other end */
    struct peer killer;
    int listener;
    bool is_killing;
};

static void on_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct user *user = arg;
    uint8_t bytes[64];
    size_t n = 0;

    switch (event) {
    case CONN_EV_READY:
        user->is_ready = true;
        pool_opened(conn);
        break;
    case CONN_EV_READABLE:
        if (stream_read(&conn->stream, bytes, sizeof(bytes), &n) != IO_AGAIN) {
            user->is_told = true;
        }
        break;
    case CONN_EV_FAILED:
    case CONN_EV_CLOSED:
        user->is_told = true;
        break;
    case CONN_EV_DRAINED:
    case CONN_EV_RECLAIM:
        break;
    }
}

static void ask(struct user *user)
{
    switch (pool_checkout(user->key, &user->ask, &user->wait, &user->conn)) {
    case 0:
        break;
    case 1:
        user->got = CONN;
        user->is_ready = true;
        break;
    case 2:
        user->got = SLOT;
        break;
    default:
        fail();
    }
}

static void on_ready(void *arg, int err)
{
    struct user *user = arg;

    if (err == 0) {
        ask(user);
    } else {
        assert_int_equal(err, -WR_E_TIMEOUT);
        user->got = TIMEOUT;
    }
}

static void user_init(struct rig *rig, struct user *user, const char *name)
{
    user->rig = rig;
    assert_int_equal(
        cred_create(rig->store, span_of(name), CRED_PASSWORD, SPAN_LIT("secret"), &user->cred), 0);
    assert_int_equal(pool_key_get(rig->pool, user->cred, 0, 45, &user->key), 0);
    pool_wait_init(&user->wait, on_ready, user);
    user->params = (struct conn_params){
        .server = &rig->topo->servers[0],
        .cred = user->cred,
        .collation = 45,
        .is_replica = true,
        .svec = &rig->want,
        .deadline_us = clock_now_us() + 60 * CLOCK_US_PER_SECOND,
    };
    user->ask = (struct pool_ask){
        .params = &user->params, .want = &rig->want, .user = 1, .on_event = on_event, .arg = user};
}

/* The first is a replica and what the test is about, the second the primary. */
static struct topo *topo_make(const struct rig *rig, enum topo_state state)
{
    struct topo *topo = topo_create(2);

    assert_non_null(topo);
    topo->primary = 1;
    topo->servers[0].role = TOPO_ROLE_REPLICA;
    topo->servers[0].state = state;
    topo->servers[1].role = TOPO_ROLE_PRIMARY;
    topo->servers[1].state = TOPO_ST_UP;
    if (rig->topo != NULL) {
        topo->servers[0].addr = rig->topo->servers[0].addr;
        topo->servers[0].addr_len = rig->topo->servers[0].addr_len;
    }
    return topo;
}

static void rig_init(struct rig *rig, enum waits waits)
{
    const uint32_t max[2] = {1, 1};

    *rig = (struct rig){.listener = -1, .peer.fd = -1, .killer.fd = -1};
    assert_int_equal(loop_create(&rig->loop), 0);
    assert_int_equal(svec_values_create(&rig->values), 0);
    assert_int_equal(secret_store_create(4096, &rig->store), 0);
    assert_int_equal(slots_create(max, 2, &rig->slots), 0);
    rand_seed(&rig->rand, 1);
    svec_init(&rig->want, rig->values);
    rig->env = (struct conn_env){
        .loop = rig->loop, .values = rig->values, .tls = &rig->tls, .tls_count = 1};
    rig->topo = topo_make(rig, TOPO_ST_UP);
    rig->topo->servers[1].config_index = 0;
    rig->listener = peer_listen(&rig->topo->servers[0].addr, &rig->topo->servers[0].addr_len);
    rig->conf = (struct pool_conf){
        .wait_us = 60 * CLOCK_US_PER_SECOND, .idle_us = 60 * CLOCK_US_PER_SECOND, .max_waiters = 4};
    const struct pool_env env = {.loop = rig->loop,
                                 .conn_env = &rig->env,
                                 .slots = rig->slots,
                                 .rand = &rig->rand,
                                 .worker_count = 1};
    assert_int_equal(pool_create(&env, &rig->conf, rig->topo, &rig->pool), 0);
    user_init(rig, &rig->session, "app");
    user_init(rig, &rig->waiter, waits == WAITS_OTHER ? "other" : "app");
}

static void user_fini(struct rig *rig, struct user *user)
{
    pool_wait_cancel(&user->wait);
    if (user->conn != NULL) {
        pool_discard(user->conn, false);
    }
    pool_key_put(user->key);
    cred_unref(user->cred);
    (void)rig;
}

/* Whatever has happened, nothing is left and every slot is back. */
static void rig_fini(struct rig *rig)
{
    user_fini(rig, &rig->session);
    user_fini(rig, &rig->waiter);
    pool_destroy(rig->pool);
    assert_int_equal(slots_used(rig->slots, 0), 0);
    assert_int_equal(loop_turn(rig->loop, 0), 0);
    peer_fini(&rig->peer);
    peer_fini(&rig->killer); /* a KILL that is under way ends with its connection */
    (void)close(rig->listener);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(loop_turn(rig->loop, 0), 0);
    }
    slots_destroy(rig->slots);
    svec_fini(&rig->want);
    topo_unref(rig->topo);
    topo_unref(rig->later);
    loop_destroy(rig->loop);
    svec_values_destroy(rig->values);
    assert_int_equal(secret_store_used(rig->store), 0);
    secret_store_destroy(rig->store);
}

/* --- what a server does --- */

static void meet(struct rig *rig, struct peer *peer)
{
    int fd = accept(rig->listener, NULL, NULL);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    peer_init(peer, rig->loop, fd);
}

static void serve_login(struct peer *peer)
{
    uint8_t bytes[256];
    struct wire_out out;
    struct greet greet = {.version = SPAN_LIT("9.7.4"),
                          .plugin = span_of(AUTH_PLUGIN_NATIVE),
                          .caps = UINT64_C(0xffffffff) & ~(CAP_SSL | CAP_COMPRESS),
                          .conn_id = 4711,
                          .status = 2,
                          .collation = 255};

    memset(greet.scramble, 'x', sizeof(greet.scramble) - 1);
    wire_out_array(&out, bytes, sizeof(bytes));
    greet_encode(&out, &greet);
    peer_send_seq(peer, 0, (struct span){bytes, out.len});
    assert_non_null(peer_expect(peer).p);
    peer_send_ok(peer, 2);
}

/* Commands up to and including this one are answered with OK. */
static void serve(struct peer *peer, uint8_t command)
{
    struct span payload = {NULL, 0};

    do {
        payload = peer_expect(peer);
        assert_non_null(payload.p);
        uint8_t is = payload.p[0];
        peer_send_ok(peer, 2);
        if (is == command) {
            return;
        }
    } while (true);
}

static void turn_until(struct rig *rig, const bool *flag)
{
    uint64_t end = clock_now_us() + PEER_PATIENCE_US;

    while (!*flag) {
        assert_true(clock_now_us() < end);
        assert_int_equal(loop_turn(rig->loop, 2000), 0);
    }
}

/* Its session logs in. */
static void log_in(struct rig *rig)
{
    serve_login(&rig->peer);
    serve(&rig->peer, COM_QUERY); /* weir's own SET */
    turn_until(rig, &rig->session.is_ready);
}

/* --- the states --- */

static void check_in(struct user *user)
{
    struct conn *conn = user->conn;

    user->conn = NULL;
    pool_checkin(conn);
}

static void give_up(struct user *user)
{
    struct conn *conn = user->conn;

    user->conn = NULL;
    pool_discard(conn, false);
}

static void enter(struct rig *rig, const struct row *row)
{
    ask(&rig->session);
    assert_int_equal(rig->session.got, SLOT);
    rig->conn = rig->session.conn;
    meet(rig, &rig->peer);
    if (row->state != ST_OPENING) {
        log_in(rig);
    }
    if (row->waits != WAITS_NOBODY) {
        ask(&rig->waiter);
        assert_int_equal(rig->waiter.got, NOBODY);
    }
    switch (row->state) {
    case ST_IDLE:
    case ST_PROMISED:
        check_in(&rig->session);
        break;
    case ST_RESETTING:
        rig->conn->is_dirty = true;
        check_in(&rig->session);
        break;
    case ST_GUARDED:
        assert_int_equal(pool_kill(rig->conn, true), 0);
        rig->is_killing = true;
        meet(rig, &rig->killer);
        check_in(&rig->session);
        break;
    case ST_LENT:
    case ST_OPENING:
    case ST_GONE:
        break;
    }
}

/* The server sees its end, behind whatever was on the way before it. */
static bool is_gone(struct rig *rig)
{
    uint8_t bytes[4096];
    ssize_t n = 0;

    do {
        n = recv(rig->peer.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            assert_int_equal(buf_append(&rig->peer.in, bytes, (size_t)n, PEER_MAX), 0);
        }
    } while (n > 0);
    return n == 0 || errno == ECONNRESET;
}

static bool has_it(const struct rig *rig, const struct user *user)
{
    return user->conn == rig->conn && (user == &rig->session || user->got == CONN);
}

static enum state state_of(struct rig *rig)
{
    const struct conn *conn = rig->conn;

    if (has_it(rig, &rig->session) || has_it(rig, &rig->waiter)) {
        return conn->is_opening ? ST_OPENING : ST_LENT;
    }
    if (is_gone(rig)) {
        return ST_GONE;
    }
    if (rig->waiter.wait.conn == conn) {
        return ST_PROMISED;
    }
    if (conn->is_parked) {
        return ST_GUARDED;
    }
    return list_node_is_linked(&conn->node) ? ST_IDLE : ST_RESETTING;
}

/* --- the events --- */

static void say(struct rig *rig, enum topo_state state)
{
    rig->later = topo_make(rig, state);
    pool_set_topo(rig->pool, rig->later);
}

static void answer(struct rig *rig, enum state state)
{
    switch (state) {
    case ST_OPENING:
        log_in(rig);
        break;
    case ST_RESETTING:
        serve(&rig->peer, COM_RESET_CONNECTION);
        serve(&rig->peer, COM_QUERY);
        break;
    case ST_GUARDED:
        serve_login(&rig->killer);
        serve(&rig->killer, COM_QUERY);
        rig->is_killing = false;
        break;
    case ST_IDLE:
    case ST_PROMISED:
    case ST_LENT:
    case ST_GONE:
        fail();
    }
}

/* What the server has sent is there, and the loop has not turned. */
static void arrive(const struct rig *rig)
{
    struct pollfd fd = {.fd = rig->conn->stream.fd, .events = POLLIN};

    assert_int_equal(poll(&fd, 1, (int)(PEER_PATIENCE_US / 1000)), 1);
}

static void happen(struct rig *rig, const struct row *row, enum event event)
{
    bool is_session_told = row->state == ST_LENT || row->state == ST_OPENING;

    switch (event) {
    case EV_CHECKIN:
        check_in(&rig->session);
        break;
    case EV_CHECKIN_DIRTY:
        rig->conn->is_dirty = true;
        check_in(&rig->session);
        break;
    case EV_DISCARD:
        give_up(&rig->session);
        break;
    case EV_ANSWER:
        answer(rig, row->state);
        break;
    case EV_READABLE:
        assert_int_equal(send(rig->peer.fd, "\5\0\0\0\0stray", 9, MSG_NOSIGNAL), 9);
        arrive(rig);
        break;
    case EV_CLOSED:
        assert_int_equal(shutdown(rig->peer.fd, SHUT_WR), 0);
        arrive(rig);
        break;
    case EV_DEADLINE:
        rig->conf.wait_us = 1;
        pool_set_conf(rig->pool, &rig->conf);
        while (row->state != ST_PROMISED && rig->waiter.got != TIMEOUT) {
            assert_int_equal(loop_turn(rig->loop, 100000), 0);
        }
        break;
    case EV_LEAVES:
        pool_wait_cancel(&rig->waiter.wait);
        rig->waiter.got = LEFT;
        break;
    case EV_REFUSED:
        pool_refuse(rig->pool, rig->session.cred);
        break;
    case EV_DRAINING:
        say(rig, TOPO_ST_DRAINING);
        break;
    case EV_DOWN:
        say(rig, TOPO_ST_DOWN);
        break;
    case EV_OLD:
        rig->conf.max_age_us = 1;
        pool_set_conf(rig->pool, &rig->conf);
        break;
    case EV_COUNT:
        break;
    }
    if ((event == EV_READABLE || event == EV_CLOSED) && is_session_told) {
        turn_until(rig, &rig->session.is_told);
    }
}

/* --- what follows --- */

/* Waits for a state, and sees it stay. */
static bool comes_to(struct rig *rig, enum state state)
{
    uint64_t end = clock_now_us() + PEER_PATIENCE_US;

    while (state_of(rig) != state && clock_now_us() < end) {
        assert_int_equal(loop_turn(rig->loop, 2000), 0);
    }
    return state_of(rig) == state;
}

/* One thing that goes on by itself. */
static void go_on(struct rig *rig, enum state state)
{
    struct user *session = &rig->session;
    uint64_t end = clock_now_us() + PEER_PATIENCE_US;

    if (has_it(rig, &rig->waiter) && state == ST_LENT) {
        check_in(&rig->waiter);
    } else if (state == ST_LENT || (state == ST_OPENING && session->is_told)) {
        if (session->is_told) {
            give_up(session);
        } else {
            check_in(session);
        }
    } else if (state == ST_PROMISED) {
        assert_int_equal(loop_turn(rig->loop, 0), 0);
    } else {
        answer(rig, state);
    }
    while (state != ST_PROMISED && state_of(rig) == state) {
        assert_true(clock_now_us() < end);
        assert_int_equal(loop_turn(rig->loop, 2000), 0);
    }
}

static void come_to_an_end(struct rig *rig)
{
    enum state state = state_of(rig);

    for (int i = 0; i < 8 && state != ST_GONE && state != ST_IDLE; i++) {
        go_on(rig, state);
        state = state_of(rig);
    }
    for (int i = 0; i < 4; i++) { /* whoever has been promised a slot is told */
        assert_int_equal(loop_turn(rig->loop, 0), 0);
    }
}

static unsigned run_cell(const struct row *row, enum event event)
{
    static const char *const waits[] = {"nobody", "the same user", "another user"};
    const struct cell *cell = &row->cells[event];
    struct rig rig;
    bool is_right = true;

    rig_init(&rig, row->waits);
    enter(&rig, row);
    assert_int_equal(state_of(&rig), row->state);
    assert_int_equal(slots_used(rig.slots, 0), 1);
    happen(&rig, row, event);
    if (row->state == ST_PROMISED && cell->after == ST_PROMISED) {
        is_right = state_of(&rig) == ST_PROMISED; /* the next turn delivers it */
    } else {
        is_right = comes_to(&rig, cell->after);
    }
    enum state after = state_of(&rig);
    uint32_t used = slots_used(rig.slots, 0);
    come_to_an_end(&rig);
    enum state end = state_of(&rig);
    is_right = is_right && used == cell->used && end == cell->end && rig.waiter.got == cell->got;
    if (!is_right) {
        print_error("%s, %s waits, %s: %s with %u slots, then %s, got %s; not %s with %u, %s, %s\n",
                    state_names[row->state], waits[row->waits], event_names[event],
                    state_names[after], used, state_names[end], got_names[rig.waiter.got],
                    state_names[cell->after], cell->used, state_names[cell->end],
                    got_names[cell->got]);
    }
    rig_fini(&rig);
    return is_right ? 0 : 1;
}

static void test_states_and_events(void **state)
{
    (void)state;
    unsigned by_state[ST_GONE] = {0};
    unsigned by_event[EV_COUNT] = {0};
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned event = 0; event < EV_COUNT; event++) {
            if (!rows[i].cells[event].is_none) {
                wrong += run_cell(&rows[i], (enum event)event);
                by_state[rows[i].state]++;
                by_event[event]++;
            }
        }
    }
    for (unsigned i = 0; i < ST_GONE; i++) {
        assert_int_not_equal(by_state[i], 0);
    }
    for (unsigned i = 0; i < EV_COUNT; i++) {
        assert_int_not_equal(by_event[i], 0);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_and_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
