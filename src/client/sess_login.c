/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   response -> [TLS ->] response -> reply -> full -> cipher -> queue -> check -> ok
 *                              \________\______\________\_________\_______\----> failed
 *
 * Bytes come in from the session and are cut into packets here; what a packet proves is judged in
 * sess_login_auth.c; the server's own yes is got in sess_login_check.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/auth.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#include "sess_auth_priv.h"

#define LOGIN_MAGIC     UINT32_C(0x4c4f474e)
#define OUT_MAX         ((size_t)8 * 1024)
#define COLLATION_MAX   255 /* what one byte of a greeting can say */
#define COLLATION_PLAIN 45  /* utf8mb4_general_ci: known to every server and driver */

static const uint32_t successors[SESS_LOGIN_ST_END_] = {
#define AFTER(name) (1u << SESS_LOGIN_ST_##name)
    [SESS_LOGIN_ST_RESPONSE] = AFTER(REPLY) | AFTER(FULL) | AFTER(REFRESH) | AFTER(QUEUE) |
                               AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_REPLY] = AFTER(REPLY) | AFTER(FULL) | AFTER(REFRESH) | AFTER(QUEUE) |
                            AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_FULL] = AFTER(CIPHER) | AFTER(QUEUE) | AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_CIPHER] = AFTER(QUEUE) | AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_REFRESH] =
        AFTER(REPLY) | AFTER(QUEUE) | AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_QUEUE] = AFTER(CHECK) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_CHECK] = AFTER(REPLY) | AFTER(QUEUE) | AFTER(OK) | AFTER(FAILED),
    [SESS_LOGIN_ST_OK] = 0,
    [SESS_LOGIN_ST_FAILED] = 0,
#undef AFTER
};

static bool is_waiting(enum sess_login_state state)
{
    return state == SESS_LOGIN_ST_REFRESH || state == SESS_LOGIN_ST_QUEUE ||
           state == SESS_LOGIN_ST_CHECK;
}

static bool is_over(enum sess_login_state state)
{
    return state == SESS_LOGIN_ST_OK || state == SESS_LOGIN_ST_FAILED;
}

void sess_login_set_state(struct sess_login *login, enum sess_login_state state)
{
    WR_ASSERT((successors[login->state] & (1u << state)) != 0);
    bool was_waiting = is_waiting(login->state);
    login->state = state;
    timer_cancel(&login->retry);
    /* While a server is asked the client has nothing to say that weir would want to hold. */
    if (is_waiting(state) != was_waiting && stream_is_open(login->p.stream)) {
        stream_want_read(login->p.stream, !is_waiting(state));
    }
    if (is_over(state)) {
        timer_cancel(&login->deadline);
    }
}

struct span sess_login_user(const struct sess_login *login)
{
    return buf_span(&login->user);
}

struct span sess_login_schema(const struct sess_login *login)
{
    return buf_span(&login->schema);
}

struct log_ctx sess_login_log(const struct sess_login *login)
{
    return (struct log_ctx){
        .ring = login->p.env->log_ring, .room = "client", .session = login->p.connection_id};
}

static enum sess_login_rc rc_of(struct sess_login *login)
{
    switch (login->state) {
    case SESS_LOGIN_ST_RESPONSE:
    case SESS_LOGIN_ST_REPLY:
    case SESS_LOGIN_ST_FULL:
    case SESS_LOGIN_ST_CIPHER:
        return SESS_LOGIN_MORE;
    case SESS_LOGIN_ST_REFRESH:
    case SESS_LOGIN_ST_QUEUE:
    case SESS_LOGIN_ST_CHECK:
        return SESS_LOGIN_WAIT;
    case SESS_LOGIN_ST_OK:
        login->is_told = true;
        return SESS_LOGIN_OK;
    case SESS_LOGIN_ST_FAILED:
    case SESS_LOGIN_ST_END_:
        break;
    }
    login->is_told = true;
    return SESS_LOGIN_FAILED;
}

/* Runs from the loop's run queue whenever the state may have changed outside sess_login_feed(). */
static void on_task(void *arg)
{
    struct sess_login *login = arg;
    WR_ASSERT(login->magic == LOGIN_MAGIC);
    if (is_over(login->state) && !login->is_told) {
        sess_login_fn done = login->p.on_done;
        void *done_arg = login->p.arg;
        done(done_arg, rc_of(login));
    }
}

/* --- what is written --- */

static void flush(struct sess_login *login, struct buf *out, const struct wire_out *wire)
{
    int r = wire_out_ok(wire) ? stream_write(login->p.stream, out->data + out->off, buf_len(out))
                              : -ENOMEM;
    buf_fini(out);
    if (r < 0 && !is_over(login->state)) {
        sess_login_check_end(login, false);
        sess_login_set_state(login, SESS_LOGIN_ST_FAILED);
        loop_defer(login->p.env->loop, &login->task);
    }
}

void sess_login_send(struct sess_login *login, struct span payload)
{
    struct buf out;
    struct wire_out wire;
    buf_init(&out);
    wire_out_buf(&wire, &out, OUT_MAX);
    frame_packet_encode(&wire, &login->seq, payload);
    flush(login, &out, &wire);
}

static void result_begin(const struct sess_login *login, struct wire_out *wire,
                         struct result *result)
{
    *result = (struct result){
        .out = wire, .caps = login->caps, .status = login->result.status, .seq = login->seq};
}

/* The flags that a session begins with: those of the connection that said yes, or of the
 * primary's defaults. */
static uint16_t first_status(const struct sess_login *login)
{
    const uint16_t kept =
        STATUS_AUTOCOMMIT | STATUS_NO_BACKSLASH_ESCAPES | STATUS_MARIADB_ANSI_QUOTES;
    if (login->conn != NULL) {
        return login->conn->status & kept;
    }
    const struct topo_server *primary = topo_primary(login->p.env->topo);
    bool is_off = primary != NULL && primary->has_defaults && !primary->defaults.autocommit;
    return is_off ? 0 : STATUS_AUTOCOMMIT;
}

void sess_login_succeed(struct sess_login *login)
{
    struct metric_shard *metrics = login->p.env->metrics;
    struct buf out;
    struct buf tracks;
    struct wire_out wire;
    struct wire_out track;
    struct result result;
    struct result_ok ok = {0};

    login->result = (struct sess_login_result){
        .caps = login->caps,
        .max_packet = login->max_packet,
        .collation = login->collation,
        .status = first_status(login),
        .user = sess_login_user(login),
        .schema = sess_login_schema(login),
        .cred = login->cred,
    };
    buf_init(&out);
    buf_init(&tracks);
    wire_out_buf(&wire, &out, OUT_MAX);
    wire_out_buf(&track, &tracks, OUT_MAX);
    if (login->is_fast) {
        static const uint8_t fast[2] = {0x01, AUTH_SHA2_FAST_OK};
        frame_packet_encode(&wire, &login->seq, (struct span){fast, sizeof(fast)});
    }
    if (login->result.schema.len > 0) {
        result_track_put(&track, OK_TRACK_SCHEMA, login->result.schema);
        ok.tracks = buf_span(&tracks);
    }
    result_begin(login, &wire, &result);
    result_put_ok(&result, &ok);
    buf_fini(&tracks);
    metric_inc(metrics, METRIC_LOGINS_OK, METRIC_NONE);
    sess_login_set_state(login, SESS_LOGIN_ST_OK);
    login->result.unread = buf_span(&login->in);
    login->result.scrambles = login->scrambles;
    flush(login, &out, &wire);
    loop_defer(login->p.env->loop, &login->task);
}

/* The end of a refusal: the packet is written, nothing is held any more. */
static void refuse_end(struct sess_login *login, struct buf *out, const struct wire_out *wire,
                       enum metric_login why)
{
    metric_inc(login->p.env->metrics, METRIC_LOGINS_FAILED, why);
    sess_login_check_end(login, false);
    sess_login_set_state(login, SESS_LOGIN_ST_FAILED);
    flush(login, out, wire);
    loop_defer(login->p.env->loop, &login->task);
}

static void refuse_args(struct sess_login *login, enum sess_err error, const struct span *args,
                        size_t count, enum metric_login why)
{
    struct buf out;
    struct wire_out wire;
    struct result result;
    buf_init(&out);
    wire_out_buf(&wire, &out, OUT_MAX);
    result_begin(login, &wire, &result);
    if (login->offered != 0) {
        sess_error_put(&result, error, args, count);
    } else {
        /* In place of a greeting there is no SQLSTATE: the client does not expect one yet. */
        char text[SESS_ERROR_TEXT_MAX];
        size_t len = sess_error_format(error, args, count, text, sizeof(text));
        result_put_err(&result, sess_error_code(error), NULL,
                       (struct span){(const uint8_t *)text, len});
    }
    refuse_end(login, &out, &wire, why);
}

void sess_login_refuse(struct sess_login *login, enum sess_err error, enum metric_login why)
{
    const struct span args[1] = {SPAN_LIT("no server has answered yet")};
    refuse_args(login, error, args, 1, why);
}

void sess_login_refuse_password(struct sess_login *login)
{
    const struct span args[3] = {sess_login_user(login), span_of(login->peer),
                                 login->has_password ? SPAN_LIT("YES") : SPAN_LIT("NO")};
    refuse_args(login, SESS_ERR_ACCESS_DENIED, args, 3, METRIC_LOGIN_PASSWORD);
}

void sess_login_refuse_setup(struct sess_login *login, const char *what)
{
    const struct log_ctx log = sess_login_log(login);
    struct span user = sess_login_user(login);
    log_warn(&log, "login_not_possible", "user '%.*s' from %s: %s", (int)user.len,
             (const char *)user.p, login->peer, what);
    /* The client is not told: a server asks a made-up plugin for a user that does not exist, so
     * anything but the plain text would say which users do. */
    sess_login_refuse_password(login);
}

void sess_login_refuse_failure(struct sess_login *login, const struct conn_failure *failure,
                               struct span server_name)
{
    enum {
        ER_DBACCESS_DENIED = 1044,
        ER_BAD_DB = 1049,
    };
    struct buf out;
    struct wire_out wire;
    struct result result;
    enum metric_login why = METRIC_LOGIN_SERVER;
    if (failure->err == -WR_E_SERVER_ERROR && !failure->is_before_auth) {
        bool is_schema = failure->code == ER_DBACCESS_DENIED || failure->code == ER_BAD_DB;
        why = is_schema ? METRIC_LOGIN_DATABASE : METRIC_LOGIN_PASSWORD;
    }
    buf_init(&out);
    wire_out_buf(&wire, &out, OUT_MAX);
    result_begin(login, &wire, &result);
    sess_error_put_failure(&result, failure, server_name, span_of(login->peer));
    refuse_end(login, &out, &wire, why);
}

static void fail_silently(struct sess_login *login, enum metric_login why)
{
    metric_inc(login->p.env->metrics, METRIC_LOGINS_FAILED, why);
    sess_login_check_end(login, false);
    sess_login_set_state(login, SESS_LOGIN_ST_FAILED);
    loop_defer(login->p.env->loop, &login->task);
}

/* --- what comes in --- */

static int take_text(struct buf *buf, struct span text, size_t max)
{
    buf_clear(buf);
    return buf_append_span(buf, text, max);
}

static void on_response(struct sess_login *login, struct span payload)
{
    struct login packet;

    if (login_is_pre41(payload)) {
        sess_login_refuse(login, SESS_ERR_OLD_CLIENT, METRIC_LOGIN_PROTOCOL);
        return;
    }
    if (login_decode(payload, login->offered, &packet) != DEC_OK ||
        (packet.caps & CAP_PROTOCOL_41) == 0) {
        sess_login_refuse(login, SESS_ERR_BAD_HANDSHAKE, METRIC_LOGIN_PROTOCOL);
        return;
    }
    if (packet.is_ssl_request) {
        /* sess_login_feed() begins TLS: it holds what came behind */
        login->is_tls_begun = true;
        return;
    }
    login->caps = caps_agree(login->offered, packet.caps);
    login->max_packet = packet.max_packet;
    login->collation = packet.collation;
    login->has_password = packet.auth.len > 0;
    int r = take_text(&login->user, packet.user, LOGIN_MAX_USER);
    if (r >= 0 && (login->caps & CAP_CONNECT_WITH_DB) != 0) {
        r = take_text(&login->schema, packet.db, LOGIN_MAX_DB);
    }
    if (r < 0) {
        sess_login_refuse(login, SESS_ERR_BAD_HANDSHAKE, METRIC_LOGIN_OTHER);
        return;
    }
    if (login->p.is_tls_required && !login->p.is_unix && !stream_is_tls(login->p.stream)) {
        sess_login_refuse(login, SESS_ERR_NEEDS_TLS, METRIC_LOGIN_TLS);
        return;
    }
    sess_login_judge_first(login, packet.plugin, packet.has_plugin, packet.auth);
}

static void dispatch(struct sess_login *login, struct span payload)
{
    switch (login->state) {
    case SESS_LOGIN_ST_RESPONSE:
        on_response(login, payload);
        break;
    case SESS_LOGIN_ST_REPLY:
    case SESS_LOGIN_ST_FULL:
    case SESS_LOGIN_ST_CIPHER:
        sess_login_auth_packet(login, payload);
        break;
    case SESS_LOGIN_ST_REFRESH:
    case SESS_LOGIN_ST_QUEUE:
    case SESS_LOGIN_ST_CHECK:
    case SESS_LOGIN_ST_OK:
    case SESS_LOGIN_ST_FAILED:
    case SESS_LOGIN_ST_END_:
        WR_ASSERT(false); /* the caller stops before */
    }
}

/* TLS takes over: what lies behind the request belongs to it and to nobody else. */
static void begin_tls(struct sess_login *login)
{
    struct span early = buf_span(&login->in);
    int r = stream_start_tls_accept(login->p.stream, login->p.env->server_tls, early.p, early.len);
    buf_clear(&login->in);
    buf_trim(&login->in);
    if (r < 0) {
        fail_silently(login, METRIC_LOGIN_TLS);
    }
}

/* Packets in login->in, as long as the client is the one to speak. */
static void drive(struct sess_login *login)
{
    size_t max = login->p.env->config->auth.max_packet_before_login_bytes;

    while (!is_waiting(login->state) && !is_over(login->state)) {
        struct frame_packet packet;
        enum dec_rc rc = frame_packet_decode(login->in.data + login->in.off, buf_len(&login->in),
                                             max, login->seq, &packet);
        if (rc == DEC_MORE) {
            return;
        }
        if (rc == DEC_BAD || ++login->packets > SESS_LOGIN_PACKETS_MAX) {
            metric_inc(login->p.env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
            sess_login_refuse(login, SESS_ERR_BAD_HANDSHAKE, METRIC_LOGIN_PROTOCOL);
            return;
        }
        struct span payload = frame_packet_payload(login->in.data + login->in.off, &packet);
        login->seq = packet.next_seq;
        /* The payload may hold a password: it is wiped where it lies before it is consumed. */
        dispatch(login, payload);
        uint8_t *bytes = login->in.data + login->in.off;
        crypto_wipe(bytes, packet.wire_len);
        buf_consume(&login->in, packet.wire_len);
        login->result.unread = buf_span(&login->in);
        if (login->is_tls_begun && !stream_is_tls(login->p.stream) && !is_over(login->state)) {
            begin_tls(login);
            return;
        }
    }
}

enum sess_login_rc sess_login_feed(struct sess_login *login, uint8_t *bytes, size_t len)
{
    WR_ASSERT(login->magic == LOGIN_MAGIC);
    size_t max = login->p.env->config->auth.max_packet_before_login_bytes + LOOP_SCRATCH_BYTES;
    if (!is_over(login->state)) {
        if (buf_append(&login->in, bytes, len, max) < 0) {
            fail_silently(login, METRIC_LOGIN_PROTOCOL);
        } else {
            drive(login);
        }
    }
    /* The scratch buffer is everyone's; a password must not lie there for the next reader. */
    crypto_wipe(bytes, len);
    if (is_over(login->state)) {
        loop_task_cancel(&login->task);
    }
    return rc_of(login);
}

void sess_login_on_snapshot(struct sess_login *login)
{
    if (login->state == SESS_LOGIN_ST_REFRESH) {
        sess_login_refreshed(login, false);
    } else if (login->state == SESS_LOGIN_ST_QUEUE) {
        sess_login_check(login);
    }
}

/* --- life --- */

static void on_deadline(void *arg)
{
    struct sess_login *login = arg;
    WR_ASSERT(login->magic == LOGIN_MAGIC);
    switch (login->state) {
    case SESS_LOGIN_ST_RESPONSE:
    case SESS_LOGIN_ST_REPLY:
    case SESS_LOGIN_ST_FULL:
    case SESS_LOGIN_ST_CIPHER:
        fail_silently(login, METRIC_LOGIN_TIMEOUT);
        break;
    case SESS_LOGIN_ST_REFRESH:
        sess_login_refreshed(login, true);
        break;
    case SESS_LOGIN_ST_CHECK:
        sess_login_check_timeout(login);
        break;
    case SESS_LOGIN_ST_QUEUE:
        sess_login_refuse(login,
                          topo_primary(login->p.env->topo) == NULL ? SESS_ERR_NO_SERVER
                                                                   : SESS_ERR_CON_COUNT,
                          METRIC_LOGIN_LIMIT);
        break;
    case SESS_LOGIN_ST_OK:
    case SESS_LOGIN_ST_FAILED:
    case SESS_LOGIN_ST_END_:
        break;
    }
}

static void on_retry(void *arg)
{
    struct sess_login *login = arg;
    WR_ASSERT(login->magic == LOGIN_MAGIC);
    if (login->state == SESS_LOGIN_ST_REFRESH) {
        sess_login_refreshed(login, true);
    } else if (login->state == SESS_LOGIN_ST_QUEUE) {
        sess_login_check(login);
    }
}

static struct sess_login *login_create(const struct sess_login_params *params)
{
    struct sess_login *login = calloc(1, sizeof(*login));
    if (login == NULL) {
        return NULL;
    }
    login->magic = LOGIN_MAGIC;
    login->p = *params;
    (void)span_copy(span_of(params->peer), login->peer, sizeof(login->peer));
    login->p.peer = login->peer;
    login->ticket = -1;
    login->state = SESS_LOGIN_ST_RESPONSE;
    loop_task_init(&login->task, on_task, login);
    timer_init(&login->deadline, params->env->loop, on_deadline, login);
    timer_init(&login->retry, params->env->loop, on_retry, login);
    timer_arm_at(&login->deadline, params->deadline_us);
    return login;
}

/* The server to look like: the primary, or any server of which the version is known. */
static const struct topo_server *model_server(const struct topo *topo)
{
    const struct topo_server *primary = topo_primary(topo);
    if (primary != NULL && primary->version_text[0] != '\0') {
        return primary;
    }
    for (uint16_t i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].version_text[0] != '\0') {
            return &topo->servers[i];
        }
    }
    return NULL;
}

/* MariaDB before 11.0 greets with a prefix that @@version does not have; drivers look for it. */
static struct span model_version(const struct topo_server *server, char *dst, size_t cap)
{
    static const char prefix[] = "5.5.5-";
    size_t len = 0;
    if (server->flavour == TOPO_FLAVOUR_MARIADB && server->version < 110000) {
        len = span_copy(SPAN_LIT(prefix), dst, cap);
    }
    len += span_copy(span_of(server->version_text), dst + len, cap - len);
    return (struct span){(const uint8_t *)dst, len};
}

/* MariaDB since 10.5.2 tells drivers more of a column's type (JSON, for one); offered when every
 * server can. */
static bool has_extended_metadata(const struct topo *topo)
{
    for (unsigned i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].flavour != TOPO_FLAVOUR_MARIADB || topo->servers[i].version < 100502) {
            return false;
        }
    }
    return topo->server_count > 0;
}

/* Bulk execution is for the primary, which may be another server soon: none is known to be MySQL. */
static bool has_bulk(const struct topo *topo, const struct topo_server *model)
{
    for (unsigned i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].flavour == TOPO_FLAVOUR_MYSQL) {
            return false;
        }
    }
    return model->flavour == TOPO_FLAVOUR_MARIADB && model->version >= 100207;
}

/* Query attributes are passed on as they come, so every server must take them: MySQL since 8.0.26,
 * with those of prepared statements. */
static bool has_attributes(const struct topo *topo, const struct topo_server *model)
{
    for (unsigned i = 0; i < topo->server_count; i++) {
        const struct topo_server *server = &topo->servers[i];

        if (server->flavour != TOPO_FLAVOUR_UNKNOWN &&
            (server->flavour != TOPO_FLAVOUR_MYSQL || server->version < 80026)) {
            return false;
        }
    }
    return model->flavour == TOPO_FLAVOUR_MYSQL;
}

static void greet(struct sess_login *login, const struct topo_server *server)
{
    char version[sizeof(server->version_text) + 8];
    struct buf payload;
    struct wire_out wire;
    uint16_t collation = server->defaults.collation_id;
    bool is_mariadb = server->flavour == TOPO_FLAVOUR_MARIADB;
    uint64_t can = UINT64_MAX;

    if (!has_extended_metadata(login->p.env->topo)) {
        can &= ~CAP_MARIADB_EXTENDED_METADATA;
    }
    if (!has_bulk(login->p.env->topo, server)) {
        can &= ~CAP_MARIADB_STMT_BULK;
    }
    if (!has_attributes(login->p.env->topo, server)) {
        can &= ~CAP_QUERY_ATTRIBUTES;
    }
    login->offered = caps_offer(can, login->p.is_tls_offered && !login->p.is_unix &&
                                         login->p.env->server_tls != NULL);
    crypto_scramble(login->scrambles.greeting);
    memcpy(login->scrambles.last, login->scrambles.greeting, sizeof(login->scrambles.last));
    login->greeted = is_mariadb ? SESS_LOGIN_NATIVE : SESS_LOGIN_SHA2;
    struct greet fields = {
        .version = model_version(server, version, sizeof(version)),
        .plugin = is_mariadb ? SPAN_LIT(AUTH_PLUGIN_NATIVE) : SPAN_LIT(AUTH_PLUGIN_SHA2),
        .caps = login->offered,
        .conn_id = login->p.connection_id,
        .status = first_status(login),
        .collation =
            (uint8_t)(collation == 0 || collation > COLLATION_MAX ? COLLATION_PLAIN : collation),
    };
    memcpy(fields.scramble, login->scrambles.greeting, sizeof(fields.scramble));
    buf_init(&payload);
    wire_out_buf(&wire, &payload, OUT_MAX);
    greet_encode(&wire, &fields);
    sess_login_send(login, buf_span(&payload));
    buf_fini(&payload);
}

int sess_login_start(const struct sess_login_params *params, struct sess_login **ret_login)
{
    struct sess_login *login = login_create(params);
    if (login == NULL) {
        return -ENOMEM;
    }
    const struct topo_server *server = model_server(params->env->topo);
    if (server == NULL) {
        sess_login_refuse(login, SESS_ERR_NO_SERVER, METRIC_LOGIN_SERVER);
    } else {
        greet(login, server);
    }
    *ret_login = login;
    return 0;
}

int sess_login_start_change(const struct sess_login_params *params, uint64_t caps,
                            uint16_t collation, struct span body, uint8_t seq,
                            struct sess_login **ret_login, enum sess_login_rc *ret_rc)
{
    struct login packet;
    struct sess_login *login = login_create(params);
    if (login == NULL) {
        return -ENOMEM;
    }
    login->is_change_user = true;
    login->scrambles = *params->scrambles;
    login->offered = caps;
    login->caps = caps;
    login->seq = (uint8_t)(seq + 1);
    *ret_login = login;
    if (login_decode_change_user(body, caps, &packet) != DEC_OK) {
        sess_login_refuse(login, SESS_ERR_BAD_HANDSHAKE, METRIC_LOGIN_PROTOCOL);
    } else {
        login->collation = packet.collation != 0 ? packet.collation : collation;
        login->has_password = packet.auth.len > 0;
        int r = take_text(&login->user, packet.user, LOGIN_MAX_USER);
        if (r >= 0) {
            r = take_text(&login->schema, packet.db, LOGIN_MAX_DB);
        }
        if (r < 0) {
            sess_login_refuse(login, SESS_ERR_BAD_HANDSHAKE, METRIC_LOGIN_OTHER);
        } else {
            sess_login_judge_first(login, packet.plugin, packet.has_plugin, packet.auth);
        }
    }
    if (is_over(login->state)) {
        loop_task_cancel(&login->task);
    }
    *ret_rc = rc_of(login);
    return 0;
}

static void login_free(void *ptr)
{
    struct sess_login *login = ptr;
    buf_fini_secret(&login->in);
    buf_fini(&login->user);
    buf_fini(&login->schema);
    crypto_wipe(login->reply, sizeof(login->reply));
    free(login);
}

void sess_login_destroy(struct sess_login *login)
{
    if (login == NULL) {
        return;
    }
    WR_ASSERT(login->magic == LOGIN_MAGIC);
    sess_login_check_end(login, false);
    timer_cancel(&login->deadline);
    timer_cancel(&login->retry);
    loop_task_cancel(&login->task);
    cred_unref(login->cred);
    login->cred = NULL;
    login->magic = 0;
    loop_bury(login->p.env->loop, login, login_free);
}

const struct sess_login_result *sess_login_result(const struct sess_login *login)
{
    WR_ASSERT(login->state == SESS_LOGIN_ST_OK);
    return &login->result;
}

struct conn *sess_login_take_conn(struct sess_login *login)
{
    struct conn *conn = login->conn;
    login->conn = NULL;
    login->has_slot = false;
    return conn;
}
