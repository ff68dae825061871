/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   connect -> greeting -> [tls ->] auth -> birth -> ready
 *        \________\___________\_______\______\-> failed
 *
 * The login reads through the loop's scratch buffer like everyone else and keeps only a packet's
 * beginning. Steps (conn_login.c, conn_auth.c, conn_set.c) change the state; the owner is told
 * here, as the last thing of an event, because it may close the conn in its handler.
 */
#include "weir/backend/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/login.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"
#include "weir/util/metric.h"

#include "conn_priv.h"

#define CONN_MAGIC       UINT32_C(0x434f4e4e)
#define CONN_KEEPALIVE_S 30

static const char *const state_texts[] = {
#define X(name, text) text,
    CONN_STATES(X)
#undef X
};

static const char *const event_texts[] = {
#define X(name, text) text,
    CONN_EVENTS(X)
#undef X
};

/* Legal successors, as a set of bits. FAILED may follow all but itself and READY. */
static const uint32_t successors[] = {
    [CONN_ST_CONNECT] = 1u << CONN_ST_GREETING | 1u << CONN_ST_FAILED,
    [CONN_ST_GREETING] = 1u << CONN_ST_TLS | 1u << CONN_ST_AUTH | 1u << CONN_ST_FAILED,
    [CONN_ST_TLS] = 1u << CONN_ST_AUTH | 1u << CONN_ST_FAILED,
    [CONN_ST_AUTH] = 1u << CONN_ST_BIRTH | 1u << CONN_ST_READY | 1u << CONN_ST_FAILED,
    [CONN_ST_BIRTH] = 1u << CONN_ST_READY | 1u << CONN_ST_FAILED,
    [CONN_ST_READY] = 0,
    [CONN_ST_FAILED] = 0,
};

const char *conn_state_text(enum conn_state state)
{
    return state_texts[state];
}

const char *conn_event_text(enum conn_event event)
{
    return event_texts[event];
}

void conn_set_state(struct conn *conn, enum conn_state state)
{
    WR_ASSERT((successors[conn->state] & (1u << state)) != 0);
    conn->state = state;
    if (state == CONN_ST_READY) {
        metric_inc(conn->env->metrics, METRIC_SERVER_CONNECTIONS, conn->server_index);
    }
    if (state == CONN_ST_FAILED) {
        metric_inc(conn->env->metrics, METRIC_SERVER_CONNECT_FAILURES, conn->server_index);
    }
}

void conn_fail(struct conn *conn, int err)
{
    WR_ASSERT(err < 0);
    if (conn->state == CONN_ST_FAILED) {
        return;
    }
    struct conn_failure *failure = &conn->login->failure;
    failure->err = err;
    failure->text_len = 0;
    if (stream_error(&conn->stream) < 0) {
        stream_error_text(&conn->stream, failure->text, sizeof(failure->text));
    } else {
        (void)span_copy(span_of(err_text(err)), failure->text, sizeof(failure->text));
    }
    failure->text_len = strlen(failure->text);
    if (err == -WR_E_BAD_PACKET || err == -WR_E_SEQUENCE || err == -WR_E_TOO_LARGE) {
        metric_inc(conn->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
    }
    conn_set_state(conn, CONN_ST_FAILED);
    timer_cancel(&conn->timer);
    stream_close(&conn->stream);
}

/* Before the login a server leaves it out at times: it is the one that the number always has. */
static const char *sqlstate_of(const struct errpkt *err)
{
    if (err->sqlstate[0] != '\0') {
        return err->sqlstate;
    }
    switch (err->code) {
    case 1040: /* too many connections */
        return "08004";
    case 1042: /* no host name for the address */
    case 1043: /* bad handshake */
    case 1053: /* shutdown */
        return "08S01";
    case 1203: /* max_user_connections: everybody's, and the user's own */
    case 1226:
        return "42000";
    default:
        return "HY000";
    }
}

void conn_fail_server(struct conn *conn, const struct errpkt *err)
{
    struct conn_failure failure = {.err = -WR_E_SERVER_ERROR, .code = err->code};
    bool is_before_auth = conn->state == CONN_ST_GREETING;

    (void)span_copy(span_of(sqlstate_of(err)), failure.sqlstate, sizeof(failure.sqlstate));
    failure.text_len = span_copy(err->text, failure.text, sizeof(failure.text));
    failure.is_before_auth = is_before_auth;
    conn_fail(conn, -WR_E_SERVER_ERROR);
    conn->login->failure = failure;
}

void conn_send_packet(struct conn *conn, struct span payload)
{
    uint8_t header[FRAME_HEADER];
    WR_ASSERT(payload.len < FRAME_MAX_PAYLOAD);
    frame_encode(header, (uint32_t)payload.len, conn->login->seq++);
    union {
        const uint8_t *in;
        void *out;
    } bytes = {.in = payload.p};
    struct iovec iov[2] = {{header, sizeof(header)}, {bytes.out, payload.len}};
    int r = stream_writev(&conn->stream, iov, payload.len > 0 ? 2 : 1);
    if (r < 0) {
        conn_fail(conn, r);
    }
}

static void login_destroy(struct conn_login *login)
{
    if (login == NULL) {
        return;
    }
    buf_fini(&login->in);
    buf_fini(&login->schema);
    buf_fini(&login->attrs);
    svec_fini(&login->want);
    free(login);
}

/* The last thing an event does: the owner may close the conn in here. */
static void tell(struct conn *conn, enum conn_state before)
{
    if (conn->state == CONN_ST_FAILED && !conn->login->is_told) {
        conn->login->is_told = true;
        conn->on_event(conn->arg, conn, CONN_EV_FAILED);
    } else if (conn->state == CONN_ST_READY && before != CONN_ST_READY) {
        timer_cancel(&conn->timer);
        login_destroy(conn->login);
        conn->login = NULL;
        conn->on_event(conn->arg, conn, CONN_EV_READY);
    }
}

/* One packet of the login. */
static void dispatch(struct conn *conn, struct span payload)
{
    switch (conn->state) {
    case CONN_ST_GREETING:
        conn_login_packet(conn, payload);
        break;
    case CONN_ST_AUTH:
        conn_auth_packet(conn, payload);
        break;
    case CONN_ST_BIRTH:
        conn_birth_packet(conn, payload);
        break;
    case CONN_ST_CONNECT:
    case CONN_ST_TLS:
    case CONN_ST_READY:
    case CONN_ST_FAILED:
        /* nobody has asked for anything */
        conn_fail(conn, -WR_E_BAD_PACKET);
        break;
    }
}

/* Every whole packet in these bytes. Returns how many bytes were used. */
static size_t feed(struct conn *conn, uint8_t *bytes, size_t len)
{
    size_t used = 0;
    while (used < len && conn->state != CONN_ST_FAILED) {
        struct frame_packet packet;
        struct conn_login *login = conn->login;
        if (conn->state == CONN_ST_TLS || login->is_done) {
            /* plaintext behind our request for TLS, or talk that nobody asked for */
            conn_fail(conn, -WR_E_BAD_PACKET);
            break;
        }
        enum dec_rc rc = frame_packet_decode(bytes + used, len - used, CONN_LOGIN_PACKET_MAX,
                                             login->seq, &packet);
        if (rc == DEC_MORE) {
            break;
        }
        if (rc == DEC_BAD || packet.frames != 1 || login->packets >= CONN_LOGIN_PACKETS_MAX) {
            conn_fail(conn, -WR_E_BAD_PACKET);
            break;
        }
        login->packets++;
        login->seq = packet.next_seq;
        struct span payload = frame_packet_payload(bytes + used, &packet);
        used += packet.wire_len;
        dispatch(conn, payload);
    }
    return used;
}

/* Bytes for the login: on top of a kept beginning, or straight from the scratch buffer. */
static void take(struct conn *conn, uint8_t *bytes, size_t len)
{
    struct buf *in = &conn->login->in;
    int r = 0;
    if (buf_len(in) == 0) {
        size_t used = feed(conn, bytes, len);
        if (conn->state != CONN_ST_FAILED && used < len) {
            r = buf_append(in, bytes + used, len - used, CONN_LOGIN_PACKET_MAX + FRAME_HEADER);
        }
    } else {
        r = buf_append(in, bytes, len, LOOP_SCRATCH_BYTES + CONN_LOGIN_PACKET_MAX + FRAME_HEADER);
        if (r >= 0) {
            size_t used = feed(conn, in->data + in->off, buf_len(in));
            buf_consume(in, used);
            if (buf_len(in) > CONN_LOGIN_PACKET_MAX + FRAME_HEADER) {
                r = -WR_E_TOO_LARGE;
            }
        }
    }
    if (r < 0) {
        conn_fail(conn, r);
    } else if (conn->login->is_done && conn->state != CONN_ST_FAILED) {
        conn_set_state(conn, CONN_ST_READY);
    }
}

static void on_login_readable(struct conn *conn)
{
    uint8_t *scratch = loop_scratch(conn->env->loop);
    size_t len = 0;
    switch (stream_read(&conn->stream, scratch, LOOP_SCRATCH_BYTES, &len)) {
    case IO_DONE:
        take(conn, scratch, len);
        break;
    case IO_AGAIN:
        break;
    case IO_EOF:
        conn_fail(conn, -WR_E_CLOSED);
        break;
    case IO_FAIL: {
        int err = stream_error(&conn->stream);
        conn_fail(conn, err < 0 ? err : -WR_E_CLOSED);
        break;
    }
    }
}

static void on_stream(void *arg, enum stream_event event)
{
    struct conn *conn = arg;
    WR_ASSERT(conn->magic == CONN_MAGIC);
    enum conn_state before = conn->state;

    switch (event) {
    case STREAM_READABLE:
        if (before == CONN_ST_READY) {
            conn->on_event(conn->arg, conn, CONN_EV_READABLE);
            return;
        }
        on_login_readable(conn);
        break;
    case STREAM_DRAINED:
        if (before == CONN_ST_READY) {
            conn->on_event(conn->arg, conn, CONN_EV_DRAINED);
            return;
        }
        break;
    case STREAM_CONNECTED:
        conn_set_state(conn, CONN_ST_GREETING);
        break;
    case STREAM_TLS_READY:
        conn_set_state(conn, CONN_ST_AUTH);
        conn_login_send(conn);
        break;
    case STREAM_CLOSED:
        if (before == CONN_ST_READY) {
            conn->on_event(conn->arg, conn, CONN_EV_CLOSED);
            return;
        }
        conn_fail(conn,
                  stream_error(&conn->stream) < 0 ? stream_error(&conn->stream) : -WR_E_CLOSED);
        break;
    }
    tell(conn, before);
}

static void on_deadline(void *arg)
{
    struct conn *conn = arg;
    WR_ASSERT(conn->magic == CONN_MAGIC);
    conn_fail(conn, -WR_E_TIMEOUT);
    tell(conn, CONN_ST_CONNECT);
}

static int put_attr(struct wire_out *out, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        login_attr_put(out, span_of(key), span_of(value));
    }
    return wire_out_ok(out) ? 0 : -ENOMEM;
}

/* weir's own attributes, then the client's as far as they fit; "program_name" of the client is
 * passed on under a name of its own. */
static int attrs_build(struct conn_login *login, const struct conn_params *params)
{
    struct wire_out out;
    struct wire in;
    struct span key = {NULL, 0};
    struct span value = {NULL, 0};

    wire_out_buf(&out, &login->attrs, CONN_ATTRS_MAX * 2);
    int r = put_attr(&out, "program_name", "weir");
    if (r >= 0) {
        r = put_attr(&out, "_client_host", params->client_host);
    }
    wire_init(&in, params->client_attrs);
    while (r >= 0 && login_attr_next(&in, &key, &value)) {
        if (buf_len(&login->attrs) + key.len + value.len + 24 > CONN_ATTRS_MAX) {
            continue;
        }
        if (span_eq_text(key, "program_name")) {
            key = SPAN_LIT("_client_program_name");
        }
        if (!span_eq_text(key, "_client_host")) {
            login_attr_put(&out, key, value);
        }
        r = wire_out_ok(&out) ? 0 : -ENOMEM;
    }
    return r;
}

static int login_create(struct conn *conn, const struct conn_params *params)
{
    struct conn_login *login = calloc(1, sizeof(*login));
    if (login == NULL) {
        return -ENOMEM;
    }
    conn->login = login;
    svec_init(&login->want, conn->env->values);
    struct span schema = params->schema;
    if (params->svec != NULL) {
        svec_copy(&login->want, params->svec);
        login->has_want = true;
        if (schema.len == 0) {
            schema = svec_get(&login->want, SVEC_SCHEMA);
        }
        if (svec_is_set(&login->want, SVEC_ROLE)) {
            schema.len = 0; /* a login without the role may have no rights there: it comes later */
        }
    }
    if (params->server->config_index < conn->env->tls_count) {
        login->tls = &conn->env->tls[params->server->config_index];
    }
    login->client_caps = params->client_caps;
    login->collation = params->collation;
    login->is_local = params->server->addr.ss_family == AF_UNIX;
    int r = buf_append_span(&login->schema, schema, LOGIN_MAX_DB);
    if (r >= 0 && schema.len > 0) {
        r = svec_set(&conn->svec, SVEC_SCHEMA, schema);
    }
    return r < 0 ? r : attrs_build(login, params);
}

static void conn_release(struct conn *conn)
{
    timer_cancel(&conn->timer);
    loop_task_cancel(&conn->task);
    stream_close(&conn->stream);
    login_destroy(conn->login);
    conn->login = NULL;
    handles_fini(&conn->handles);
    svec_fini(&conn->svec);
    svec_fini(&conn->born);
    svec_fini(&conn->fit);
    cred_unref(conn->cred);
    conn->cred = NULL;
    conn->magic = 0;
}

int conn_open(const struct conn_env *env, const struct conn_params *params, conn_event_fn on_event,
              void *arg, struct conn **ret_conn)
{
    static const struct stream_connect_opts opts = {.keepalive_s = CONN_KEEPALIVE_S};

    if (params->server->addr_len == 0) {
        return -WR_E_NO_SERVER;
    }
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return -ENOMEM;
    }
    conn->magic = CONN_MAGIC;
    conn->env = env;
    conn->on_event = on_event;
    conn->arg = arg;
    conn->cred = cred_ref(params->cred);
    conn->server_index = params->server->index;
    conn->is_replica = params->is_replica;
    conn->epoch = params->epoch;
    conn->addr_gen = params->server->addr_gen;
    conn->state = CONN_ST_CONNECT;
    stream_init(&conn->stream);
    svec_init(&conn->svec, env->values);
    svec_init(&conn->born, env->values);
    svec_init(&conn->fit, env->values);
    handles_init(&conn->handles);
    list_node_init(&conn->node);
    list_node_init(&conn->lru);
    conn->born_us = loop_now_us(env->loop);
    timer_init(&conn->timer, env->loop, on_deadline, conn);
    metric_inc(env->metrics, METRIC_SERVER_CONNECTS, conn->server_index);

    int r = login_create(conn, params);
    if (r >= 0) {
        union {
            const struct sockaddr_storage *storage;
            const struct sockaddr *addr;
        } addr = {.storage = &params->server->addr};
        r = stream_connect(&conn->stream, env->loop, addr.addr, params->server->addr_len, &opts,
                           on_stream, conn);
    }
    if (r < 0) {
        metric_inc(env->metrics, METRIC_SERVER_CONNECT_FAILURES, conn->server_index);
        conn_release(conn);
        loop_bury(env->loop, conn, free);
        return r;
    }
    timer_arm_at(&conn->timer, params->deadline_us);
    *ret_conn = conn;
    return 0;
}

int conn_open_bare(const struct conn_env *env, const struct conn_params *params,
                   conn_event_fn on_event, void *arg, struct conn **ret_conn)
{
    int r = conn_open(env, params, on_event, arg, ret_conn);
    if (r >= 0) {
        (*ret_conn)->login->is_bare = true;
    }
    return r;
}

void conn_close(struct conn *conn, bool is_orderly)
{
    if (conn == NULL) {
        return;
    }
    WR_ASSERT(conn->magic == CONN_MAGIC);
    if (conn->state == CONN_ST_READY) {
        metric_sub(conn->env->metrics, METRIC_SERVER_CONNECTIONS, conn->server_index, 1);
        if (is_orderly && stream_is_open(&conn->stream)) {
            static const uint8_t quit[FRAME_HEADER + 1] = {1, 0, 0, 0, COM_QUIT};
            /* a courtesy: when the kernel does not take it, the close says the same */
            int r = stream_write(&conn->stream, quit, sizeof(quit));
            (void)r;
        }
    }
    struct loop *loop = conn->env->loop;
    conn_release(conn);
    loop_bury(loop, conn, free);
}

void conn_set_owner(struct conn *conn, conn_event_fn on_event, void *arg)
{
    conn->on_event = on_event;
    conn->arg = arg;
}

const struct conn_failure *conn_failure(const struct conn *conn)
{
    WR_ASSERT(conn->state == CONN_ST_FAILED && conn->login != NULL);
    return &conn->login->failure;
}

/* --- from one worker to another --- */

int conn_pack(struct conn *conn, struct buf *out)
{
    int r = svec_pack(&conn->svec, out);

    WR_ASSERT(conn->state == CONN_ST_READY);
    if (r >= 0) {
        r = svec_pack(&conn->born, out);
    }
    if (r >= 0) {
        r = handles_pack(&conn->handles, out);
    }
    if (r >= 0) {
        r = stream_detach(&conn->stream);
    }
    if (r < 0) {
        conn_close(conn, true);
        return r;
    }
    svec_fini(&conn->svec);
    svec_fini(&conn->born);
    svec_fini(&conn->fit);
    timer_cancel(&conn->timer);
    metric_sub(conn->env->metrics, METRIC_SERVER_CONNECTIONS, conn->server_index, 1);
    conn->env = NULL;
    conn->on_event = NULL;
    return 0;
}

int conn_unpack(const struct conn_env *env, struct conn *conn, struct span bytes,
                conn_event_fn on_event, void *arg)
{
    conn->env = env;
    conn->on_event = on_event;
    conn->arg = arg;
    conn->fit_gen = 0;
    svec_init(&conn->svec, env->values);
    svec_init(&conn->born, env->values);
    svec_init(&conn->fit, env->values);
    timer_init(&conn->timer, env->loop, on_deadline, conn);
    metric_add(env->metrics, METRIC_SERVER_CONNECTIONS, conn->server_index, 1);
    int r = svec_unpack(&conn->svec, &bytes);
    if (r >= 0) {
        r = svec_unpack(&conn->born, &bytes);
    }
    if (r >= 0) {
        r = handles_unpack(&conn->handles, env->values, &bytes);
    }
    if (r >= 0) {
        r = stream_attach(&conn->stream, env->loop);
    }
    if (r < 0) {
        conn_close(conn, false);
    }
    return r;
}

void conn_abandon(struct conn *conn)
{
    stream_abandon(&conn->stream);
    handles_fini(&conn->handles);
    cred_unref(conn->cred);
    free(conn);
}
