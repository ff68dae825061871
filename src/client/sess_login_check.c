/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir says yes only after a server has said yes to this user within `recheck`. The connection on
 * which it did so is the session's first one, so that a login costs no connection of its own.
 */
#include <stdio.h>

#include "weir/config/config.h"
#include "weir/pool/pool.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_auth_priv.h"

/* Until a check that met a limit looks again. Most wait for another's yes to the same question and
 * get it soon; the others must not keep the worker busy with looking. */
#define QUEUE_MIN_US UINT64_C(8000)
#define QUEUE_MAX_US UINT64_C(256000)

#define SETUP_TEXT_MAX 256

enum {
    ER_CON_COUNT_CODE = 1040,
    ER_DBACCESS_DENIED_CODE = 1044,
    ER_BAD_DB_CODE = 1049,
    ER_TOO_MANY_USER_CONNECTIONS_CODE = 1203,
    ER_USER_LIMIT_REACHED_CODE = 1226,
};

void sess_login_check_end(struct sess_login *login, bool keep_conn)
{
    const struct sess_env *env = login->p.env;
    if (login->ticket >= 0) {
        users_check_end(env->users, login->ticket);
        login->ticket = -1;
    }
    if (keep_conn) {
        return;
    }
    conn_close(login->conn, true);
    login->conn = NULL;
    if (login->has_slot) {
        pool_give_slot(env->pool, login->slot_server);
        login->has_slot = false;
    }
}

static void queue(struct sess_login *login)
{
    if (login->state != SESS_LOGIN_ST_QUEUE) {
        sess_login_set_state(login, SESS_LOGIN_ST_QUEUE);
        login->queue_us = QUEUE_MIN_US;
    }
    timer_arm_in(&login->retry, login->queue_us);
    login->queue_us = login->queue_us * 2 < QUEUE_MAX_US ? login->queue_us * 2 : QUEUE_MAX_US;
}

/* The primary; while there is none, a replica that is up knows the same accounts. */
static const struct topo_server *choose(struct sess_login *login)
{
    const struct topo *topo = login->p.env->topo;
    const struct topo_server *primary = topo_primary(topo);
    if (primary != NULL && (login->failed_mask & UINT64_C(1) << primary->index) == 0) {
        return primary;
    }
    for (uint16_t i = 0; i < topo->server_count && primary == NULL; i++) {
        const struct topo_server *server = &topo->servers[i];
        if (server->state == TOPO_ST_UP && (login->failed_mask & UINT64_C(1) << i) == 0) {
            return server;
        }
    }
    return NULL;
}

static void on_ready(struct sess_login *login)
{
    const struct sess_env *env = login->p.env;
    if (!login->conn->is_sandboxed) {
        /* no memory to remember it: the next login asks again */
        int r =
            users_accept(env->users, login->cred, sess_login_schema(login), loop_now_us(env->loop));
        (void)r;
    }
    sess_login_check_end(login, true);
    sess_login_succeed(login);
}

/* The user is right and there is no room, which may have changed a moment later: nothing that is
 * known of the user is forgotten, and the next login asks again. */
static bool is_no_room(const struct conn_failure *failure)
{
    return failure->code == ER_CON_COUNT_CODE ||
           failure->code == ER_TOO_MANY_USER_CONNECTIONS_CODE ||
           failure->code == ER_USER_LIMIT_REACHED_CODE;
}

/* The server has looked at the user and said no. */
static void on_refused(struct sess_login *login, const struct conn_failure *failure,
                       const struct topo_server *server)
{
    const struct sess_env *env = login->p.env;
    bool is_schema = failure->code == ER_DBACCESS_DENIED_CODE || failure->code == ER_BAD_DB_CODE;
    bool has_room = !is_no_room(failure);
    if (has_room && !is_schema) {
        users_refuse(env->users, login->cred);
        pool_refuse(env->pool, login->cred);
    }
    if (has_room) {
        users_remember_refusal(env->users, login->cred, sess_login_schema(login), failure,
                               loop_now_us(env->loop));
    }
    sess_login_refuse_failure(login, failure, span_of(server->name));
}

/* The server asks for a plugin that weir cannot answer with what it holds. */
static void on_plugin(struct sess_login *login, const struct topo_server *server)
{
    if (sess_login_ask_password(login)) {
        return;
    }
    /* What the server would have said to a wrong answer; a flood of such logins is to end in the
     * negative cache like any other. */
    const struct span args[3] = {sess_login_user(login), span_of(login->peer),
                                 login->has_password ? SPAN_LIT("YES") : SPAN_LIT("NO")};
    struct conn_failure failure = {.err = -WR_E_SERVER_ERROR,
                                   .code = sess_error_code(SESS_ERR_ACCESS_DENIED)};
    failure.text_len = sess_error_format(SESS_ERR_ACCESS_DENIED, args, WR_ARRAY_LEN(args),
                                         failure.text, sizeof(failure.text));
    (void)span_copy(span_of(sess_error_sqlstate(SESS_ERR_ACCESS_DENIED)), failure.sqlstate,
                    sizeof(failure.sqlstate));
    users_remember_refusal(login->p.env->users, login->cred, sess_login_schema(login), &failure,
                           loop_now_us(login->p.env->loop));
    char what[SETUP_TEXT_MAX];
    (void)snprintf(what, sizeof(what),
                   "server %s has no such user, or wants a plugin that weir cannot answer %s",
                   server->name,
                   cred_kind(login->cred) == CRED_STAGE1
                       ? "with a hash: add passthrough to users.source, or give the password "
                         "in users.list"
                       : "(it can: mysql_native_password, caching_sha2_password)");
    sess_login_refuse_setup(login, what);
}

static void on_failed(struct sess_login *login, struct conn *conn)
{
    const struct sess_env *env = login->p.env;
    const struct conn_failure failure = *conn_failure(conn);
    uint16_t index = conn->server_index;
    const struct topo_server *server =
        index < env->topo->server_count ? &env->topo->servers[index] : NULL;

    sess_login_check_end(login, false);
    if (server == NULL) {
        queue(login); /* the topology has changed meanwhile */
        return;
    }
    if (failure.err == -WR_E_AUTH_PLUGIN) {
        on_plugin(login, server);
        return;
    }
    if (failure.err == -WR_E_SERVER_ERROR && !failure.is_before_auth) {
        on_refused(login, &failure, server);
        return;
    }
    const struct log_ctx log = sess_login_log(login);
    log_warn(&log, "login_check_failed", "server %s: %s", server->name,
             failure.text_len != 0 ? failure.text : err_text(failure.err));
    if (failure.err != -WR_E_SERVER_ERROR && env->report_failure != NULL) {
        env->report_failure(env->arg, index, failure.err);
    }
    login->failed_mask |= UINT64_C(1) << index;
    if (failure.err == -WR_E_SERVER_ERROR || choose(login) == NULL) {
        sess_login_refuse_failure(login, &failure, span_of(server->name));
        return;
    }
    queue(login);
}

void sess_login_check_timeout(struct sess_login *login)
{
    const struct topo *topo = login->p.env->topo;
    const char *name = "?";
    struct conn_failure failure = {.err = -WR_E_TIMEOUT};
    failure.text_len =
        span_copy(span_of(err_text(failure.err)), failure.text, sizeof(failure.text));
    if (login->has_slot && login->slot_server < topo->server_count) {
        name = topo->servers[login->slot_server].name;
    }
    sess_login_refuse_failure(login, &failure, span_of(name));
}

static void on_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct sess_login *login = arg;
    switch (event) {
    case CONN_EV_READY:
        on_ready(login);
        break;
    case CONN_EV_FAILED:
        on_failed(login, conn);
        break;
    case CONN_EV_READABLE:
    case CONN_EV_RECLAIM:
    case CONN_EV_DRAINED:
    case CONN_EV_CLOSED:
        /* between the OK and the session's taking it over: the session will see it as well */
        break;
    }
}

static int open_conn(struct sess_login *login, const struct topo_server *server)
{
    const struct sess_env *env = login->p.env;
    uint64_t deadline = loop_now_us(env->loop) + env->config->limits.connect_timeout_us;
    struct svec want; /* a new session's: what is not set is as the server has it */
    svec_init(&want, env->conn_env->values);
    const struct conn_params params = {
        .server = server,
        .cred = login->cred,
        .schema = sess_login_schema(login),
        .client_caps = login->caps,
        .collation = login->collation,
        .is_replica = topo_primary(env->topo) != server,
        .epoch = env->topo->epoch,
        .svec = &want,
        .deadline_us = deadline < login->p.deadline_us ? deadline : login->p.deadline_us,
    };
    int r = conn_open(env->conn_env, &params, on_event, login, &login->conn);
    svec_fini(&want);
    return r;
}

/* A ticket, a slot, a connection; a limit on the way puts the login into the queue. */
static void begin(struct sess_login *login, const struct topo_server *server)
{
    const struct sess_env *env = login->p.env;
    login->ticket = users_check_begin(env->users, sess_login_user(login), span_of(login->peer));
    if (login->ticket < 0) {
        login->ticket = -1;
        queue(login);
        return;
    }
    if (pool_take_slot(env->pool, server->index) < 0) {
        sess_login_check_end(login, false);
        queue(login);
        return;
    }
    login->has_slot = true;
    login->slot_server = server->index;
    int r = open_conn(login, server);
    if (r < 0) {
        struct conn_failure failure = {.err = r};
        failure.text_len = span_copy(span_of(err_text(r)), failure.text, sizeof(failure.text));
        sess_login_refuse_failure(login, &failure, span_of(server->name));
        return;
    }
    sess_login_set_state(login, SESS_LOGIN_ST_CHECK);
}

void sess_login_check(struct sess_login *login)
{
    const struct sess_env *env = login->p.env;
    uint64_t now_us = loop_now_us(env->loop);
    struct span schema = sess_login_schema(login);
    struct cred *known = NULL;
    struct conn_failure failure;

    /* Another login may have been faster with the same question. */
    enum users_fresh fresh = users_find(env->users, sess_login_user(login), schema, now_us, &known);
    bool is_known = fresh == USERS_FRESH && cred_equal(known, login->cred);
    cred_unref(known);
    if (is_known) {
        metric_inc(env->metrics, METRIC_LOGINS_FAST, METRIC_NONE);
        sess_login_succeed(login);
        return;
    }
    if (users_is_refused(env->users, login->cred, schema, now_us, &failure)) {
        sess_login_refuse_failure(login, &failure, (struct span){NULL, 0});
        return;
    }
    const struct topo_server *server = choose(login);
    if (server == NULL || server->addr_len == 0) {
        queue(login); /* until the deadline: a primary may come */
        return;
    }
    begin(login, server);
}
