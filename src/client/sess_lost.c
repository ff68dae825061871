/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a server fails the command in hand: a read is run elsewhere as long as the client has seen
 * nothing of its reply; whatever may have written is never sent again, and the client is told so.
 */
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

void sess_unpend(struct sess *sess)
{
    if (sess->cmd.is_pending) {
        balance_done(&sess->set->load, sess->cmd.server);
        sess->cmd.is_pending = false;
    }
}

void sess_try_elsewhere(struct sess *sess, int16_t server, enum sess_err error)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("it failed")};

    sess_unpend(sess);
    sess->own = SESS_OWN_NONE;
    sess_buf_give(sess, &sess->rest);
    cmd->failed_mask |= UINT64_C(1) << server;
    cmd->tries++;
    if (!cmd->is_read || cmd->is_large || buf_len(&sess->held) == 0 ||
        cmd->tries > SESS_TRIES_MAX) {
        sess_fail(sess, error, args, 2);
        return;
    }
    if (server == sess->env->topo->primary) {
        /* the primary has failed a read: nobody is behind it but the next one */
        if (!sess_delay_failed(sess, server)) {
            sess_fail(sess, error, args, 2);
        }
        return;
    }
    metric_inc(sess->env->metrics, METRIC_REROUTES, METRIC_NONE);
    cmd->is_sent = false;
    cmd->got_byte = false;
    if (sess_decide_again(sess)) {
        sess_go(sess, NULL, 0);
    }
}

void sess_move_read(struct sess *sess)
{
    int16_t server = sess->cmd.server;
    bool is_fresh = reply_is_fresh(&sess->reply);
    struct conn *conn = sess_conn(sess, server);

    metric_inc(sess->env->metrics, METRIC_READS_MOVED, METRIC_NONE);
    if (conn == NULL || conn->state != CONN_ST_READY || pool_kill(conn, !is_fresh) < 0) {
        log_warn(&sess->log, "kill_failed", "no connection for a KILL could be begun");
    }
    if (!is_fresh) {
        return; /* the server ends the reply by an error of its own */
    }
    sess_buf_give(sess, &sess->rest);
    sess_conn_drop(sess, server, false);
    sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
}

static bool ends_tx(const struct sess_cmd *cmd)
{
    return (cmd->bits & (FACT(ENDS_TX) | FACT(IMPLICIT_COMMIT) | FACT(DDL))) != 0 ||
           (cmd->bits & (FACT(MULTI) | FACT(LARGE))) != 0 || cmd->verb == VERB_CALL;
}

/* The session's own state died with a connection; what is left of the session. */
struct loss {
    bool tx;
    bool pins;
};

static struct loss note_loss(struct sess *sess, int16_t server, bool was_replica)
{
    struct loss loss = {false, false};

    if (sess->ro_tx_server == server) {
        loss.tx = true;
        sess->ro_tx_server = -1;
    }
    if (!was_replica && sess->writes != NULL) {
        sess_writes_lost(sess);
    }
    if (!was_replica) {
        loss.tx = loss.tx || sess->tx_open;
        loss.pins = sess->pins != 0;
        if (sess->tx_wrote) {
            sess->raw_mark_us = guard_mark(sess->env->board, sess->user_slot, sess->key_slot,
                                           loop_now_us(sess->env->loop));
            sess_causal_lost(sess);
        }
        sess->tx_open = false;
        sess->tx_wrote = false;
        sess->next_tx_pending = false;
        sess->status &= (uint16_t) ~(STATUS_IN_TRANS | STATUS_IN_TRANS_READONLY);
    }
    if (sess->last_server == server) {
        sess->last_server = -1;
    }
    return loss;
}

/* In the middle of a reply that the client has seen a part of. */
static void lost_midway(struct sess *sess, int16_t server, const struct loss *loss)
{
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("in the middle of a result")};
    bool at_boundary = sess->reply.skip == 0 && !sess->reply.is_continued;

    metric_inc(sess->env->metrics, METRIC_ERRORS, METRIC_ERROR_SERVER_LOST);
    if (!at_boundary) {
        sess_close_flushed(sess, "server lost in the middle of a packet");
    } else if (loss->pins) {
        sess_fail_close(sess, SESS_ERR_SERVER_LOST, args, 2);
    } else {
        sess_fail(sess, SESS_ERR_SERVER_LOST, args, 2);
    }
}

static void lost_unanswered(struct sess *sess, int16_t server, const struct loss *loss)
{
    struct span args[2] = {sess_server_name(sess, server), SPAN_LIT("before it answered")};
    enum sess_err error = SESS_ERR_SERVER_LOST;

    if (loss->tx && !(sess->cmd.is_sent && ends_tx(&sess->cmd))) {
        error = SESS_ERR_TX_LOST;
    } else if (sess->cmd.is_sent && (sess->cmd.may_write || loss->tx)) {
        error = SESS_ERR_OUTCOME_UNKNOWN;
        /* it may have run: reads behind it must see it */
        sess->raw_mark_us = guard_mark(sess->env->board, sess->user_slot, sess->key_slot,
                                       loop_now_us(sess->env->loop));
        sess_causal_lost(sess);
    }
    if (loss->pins || sess->cmd.kind == REPLY_NONE) {
        sess_fail_close(sess, error, args, 2);
    } else {
        sess_fail(sess, error, args, 2);
    }
}

void sess_server_lost(struct sess *sess, int16_t server)
{
    struct conn *conn = sess_conn(sess, server);
    bool was_replica = conn != NULL && conn->is_replica;
    bool is_busy =
        sess->state == SESS_ST_OPEN || sess->state == SESS_ST_SYNC || sess->state == SESS_ST_RELAY;
    /* the one connection that owes something now; own_server says nothing outside SYNC */
    int16_t awaited = sess->state == SESS_ST_SYNC ? sess->own_server : sess->cmd.server;
    struct loss loss = note_loss(sess, server, was_replica);

    sess_conn_drop(sess, server, false);
    if (!is_busy || server != awaited) {
        if (loss.pins) {
            sess_close(sess, "the server closed the connection that held the session's state");
        } else if (loss.tx) {
            sess->tx_lost = true;
        }
        return;
    }
    if (sess->state == SESS_ST_SYNC &&
        (sess->own == SESS_OWN_ASK_ID || sess->own == SESS_OWN_ASK_LAST)) {
        sess->hold &= (uint8_t)~SESS_HOLD_LAST;
        sess->own = SESS_OWN_NONE; /* the client is waiting for nothing */
        sess_buf_give(sess, &sess->rest);
        sess_idle(sess);
        return;
    }
    metric_inc(sess->env->metrics, METRIC_SERVER_LOST, (size_t)server);
    sess->env->report_failure(sess->env->arg, (uint32_t)server, -WR_E_CLOSED);
    sess_buf_give(sess, &sess->rest); /* the beginning of a packet whose end will not come */
    if (sess->state == SESS_ST_RELAY && !reply_is_fresh(&sess->reply)) {
        lost_midway(sess, server, &loss);
    } else if (sess->own == SESS_OWN_LEARN || sess->own == SESS_OWN_EXTRA) {
        /* what the session has become went with it, and its client was told OK */
        sess_close(sess, "server lost before the session's new state was known");
    } else if (sess->own == SESS_OWN_ASK_ID || sess->own == SESS_OWN_ASK_LOCKS) {
        /* nobody waits for an answer */
        sess->own = SESS_OWN_NONE;
        if (loss.pins) {
            sess_close(sess, "the server closed the connection that held the session's state");
        } else {
            sess_idle(sess);
        }
    } else if (sess->cmd.is_read && server != sess->env->topo->primary) {
        sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
    } else if ((!sess->cmd.is_sent || WR_MUTANT("retry.writes")) && !loss.tx && !loss.pins &&
               sess->cmd.tries == 0 && buf_len(&sess->held) != 0) {
        /* nothing of it has left weir: once more on a new connection */
        sess->cmd.tries++;
        sess->own = SESS_OWN_NONE;
        metric_inc(sess->env->metrics, METRIC_RETRIES, METRIC_NONE);
        sess_go(sess, NULL, 0);
    } else if (was_replica || loss.tx || loss.pins || !sess_delay_failed(sess, server)) {
        lost_unanswered(sess, server, &loss);
    }
}
