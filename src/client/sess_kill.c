/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/* A client that ends its direction is gone, or half-closed and waits for its replies: there is no
 * telling, until something is said to it. So a statement that is not answered by then is ended, when
 * nothing has been. */
#define GONE_US UINT64_C(500000)

/*
 * KILL means weir's ids only. The target's worker is in the id; the request goes there by mail,
 * the target's own connection is killed on its own server with the target's own credential, and
 * the outcome comes back by mail. An id that is not weir's is never passed on.
 */

uint32_t sess_id_worker(uint32_t id)
{
    return (id >> SESS_ID_BITS) & (SESS_WORKER_MAX - 1U);
}

static void fail_id(struct sess *sess, enum sess_err error, uint64_t id)
{
    char text[24];
    struct span arg = {(const uint8_t *)text, 0};

    arg.len = (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    sess_fail(sess, error, &arg, 1);
}

void sess_kill(struct sess *sess, const struct facts_kill *kill)
{
    struct sess_kill mail = {
        .requester_id = sess->id,
        .worker = sess->env->worker,
        .is_query_only = kill->is_query,
    };
    struct span what = SPAN_LIT("this form of KILL");
    uint64_t id = kill->form == KILL_SELF ? sess->id : kill->id;

    if (kill->form != KILL_ID && kill->form != KILL_SELF) {
        sess_fail(sess, SESS_ERR_NOT_SUPPORTED, &what, 1);
        return;
    }
    if (id > UINT32_MAX || (id >> 24) != sess->env->instance_tag) {
        fail_id(sess, SESS_ERR_NO_SUCH_THREAD, id);
        return;
    }
    if (id == sess->id) {
        /* a session that ends itself hears of it, as it does from a server */
        if (kill->is_query) {
            sess_fail(sess, SESS_ERR_INTERRUPTED, NULL, 0);
        } else {
            sess_fail_close(sess, SESS_ERR_INTERRUPTED, NULL, 0);
        }
        return;
    }
    mail.target_id = (uint32_t)id;
    (void)span_copy(cred_user(sess->cred), mail.user, sizeof(mail.user));
    sess_set_state(sess, SESS_ST_KILL);
    sess->env->mail_kill(sess->env->arg, sess_id_worker(mail.target_id), &mail);
}

static void on_reply(struct sess_set *set, const struct sess_kill *kill)
{
    struct sess *sess = set->table[kill->requester_id & SESS_ID_MASK];

    if (sess == NULL || sess->id != kill->requester_id || sess->state != SESS_ST_KILL) {
        return; /* the requester has gone meanwhile */
    }
    if (kill->outcome == 0) {
        sess_answer_ok(sess);
    } else if (kill->outcome == -WR_E_AUTH) {
        fail_id(sess, SESS_ERR_NOT_OWNER, kill->target_id);
    } else {
        fail_id(sess, SESS_ERR_NO_SUCH_THREAD, kill->target_id);
    }
}

static void kill_running(struct sess *sess, bool is_query_only)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);

    if ((sess->state == SESS_ST_WAIT || sess->state == SESS_ST_HOLD ||
         sess->state == SESS_ST_SHARE) &&
        is_query_only) {
        /* it has not begun: nothing has to be told to a server */
        sess_delay_cancel(sess);
        pool_wait_cancel(&sess->wait);
        sess_fail(sess, SESS_ERR_INTERRUPTED, NULL, 0);
        return;
    }
    if (sess->state == SESS_ST_RELAY && conn != NULL && conn->state == CONN_ST_READY &&
        pool_kill(conn, is_query_only) < 0) {
        log_warn(&sess->log, "kill_failed", "no connection for a KILL could be begun");
    }
}

/*
 * What the server runs for a client that is gone. A server by itself notices that only when it has
 * something to say, so a write runs to its end there, and stays: that is not taken from anybody. What
 * would be rolled back by the end of its connection, or only reads, is ended.
 */
static bool may_cut(const struct sess *sess)
{
    const uint64_t spared =
        FACT(ENDS_TX) | FACT(DDL) | FACT(IMPLICIT_COMMIT) | FACT(MULTI) | FACT(LARGE);
    const struct sess_cmd *cmd = &sess->cmd;

    if (sess->state != SESS_ST_RELAY || (cmd->bits & spared) != 0) {
        return false;
    }
    /* a read by its text that may write by a name in it is one: nobody who sends it waits for a write */
    return !cmd->may_write || (cmd->bits & FACT(READ)) != 0 ||
           (sess->tx_open && (cmd->bits & FACT(DML)) != 0);
}

void sess_kill_own(struct sess *sess)
{
    if (may_cut(sess)) {
        kill_running(sess, false); /* its connection is closed behind it, and nobody's */
    }
}

uint64_t sess_gone_look_us(const struct sess *sess)
{
    return loop_now_us(sess->env->loop) + GONE_US;
}

void sess_gone_due(struct sess *sess)
{
    /* bytes that were not answered with a reset have been taken by somebody */
    if (sess->bytes_out == sess->eof_bytes && may_cut(sess)) {
        sess_kill_own(sess);
        sess_close(sess, "client gone");
    }
}

void sess_kill_statement(struct sess *sess)
{
    kill_running(sess, true);
}

void sess_set_on_kill(struct sess_set *set, const struct sess_kill *kill)
{
    struct sess *sess = NULL;
    struct sess_kill reply = *kill;

    if (kill->is_reply) {
        on_reply(set, kill);
        return;
    }
    sess = set->table[kill->target_id & SESS_ID_MASK];
    reply.is_reply = true;
    if (sess == NULL || sess->id != kill->target_id || sess->login != NULL) {
        reply.outcome = -WR_E_NOT_FOUND;
    } else if (!kill->is_operator && !span_eq_text(cred_user(sess->cred), kill->user)) {
        reply.outcome = -WR_E_AUTH;
    } else {
        reply.outcome = 0;
        kill_running(sess, kill->is_query_only);
        if (!kill->is_query_only) {
            sess_close_flushed(sess, "killed");
        }
    }
    set->env->mail_kill(set->env->arg, kill->worker, &reply);
}
