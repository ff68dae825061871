/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/cache/writes.h"
#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_priv.h"

/*
 * The hot path. One read of the server into the loop's scratch, the tracker over the bytes, one
 * write of the pieces to the client:
 *
 *   server --read--> scratch --reply_feed--> iov --writev--> client
 *                      ^  |
 *                 rest +--+  (a packet that must be seen whole and is not: kept for the next turn)
 *
 * When the client's queue is high its server is read no more, until the queue has drained: a slow
 * reader holds what limits.relay_high_bytes allows and not a byte more than one scratch above it.
 */

struct pieces {
    struct iovec iov[SESS_STEPS * REPLY_IOV];
    unsigned count;
    size_t bytes;
};

static void pieces_add(struct pieces *pieces, const struct reply_step *step)
{
    for (unsigned i = 0; i < step->iov_count; i++) {
        pieces->iov[pieces->count++] = step->iov[i];
        pieces->bytes += step->iov[i].iov_len;
    }
}

static bool pieces_write(struct sess *sess, struct pieces *pieces)
{
    if (pieces->count == 0) {
        return true;
    }
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_CLIENT_OUT, pieces->bytes);
    sess->bytes_out += pieces->bytes;
    if (stream_writev(&sess->front, pieces->iov, pieces->count) < 0) {
        sess_kill_own(sess);
        sess_close(sess, "client connection broken");
        return false;
    }
    pieces->count = 0;
    pieces->bytes = 0;
    return true;
}

/* Errors that another server would give as well, or that the client asked for. */
static bool is_final_error(uint16_t code)
{
    switch (code) {
    case 1317: /* interrupted: KILL QUERY */
    case 3024: /* max_execution_time */
    case 1969: /* max_statement_time */
        return true;
    default:
        return false;
    }
}

/*
 * A replica refused an autocommit read before a byte of a reply was forwarded. Whatever it says,
 * the primary's word is the right one: a table may not have arrived yet (1146), a statement may
 * turn out to be a write after all (1792, 1290, 1836). It has had no effect: once more there.
 */
static bool is_for_primary(const struct sess *sess, const struct reply_step *step)
{
    return step->event == REPLY_EV_ERR && step->is_first && sess->cmd.is_read &&
           sess->cmd.server != sess->env->topo->primary && sess->env->topo->primary >= 0 &&
           !is_final_error(step->err.code);
}

static void retry_on_primary(struct sess *sess, const struct errpkt *err)
{
    if (err->code == 1792 || err->code == 1290 || err->code == 1836) {
        metric_inc(sess->env->metrics, METRIC_MISROUTED, METRIC_NONE);
        sess->cmd.may_write = true;
        if (sess->env->cache != NULL) {
            sess_writes_note_all(sess); /* what is refused so writes, and nobody can tell what */
        }
    }
    metric_inc(sess->env->metrics, METRIC_REROUTES, METRIC_NONE);
    sess_unpend(sess);
    sess_buf_give(sess, &sess->rest); /* err pointed into it, if it came in two parts */
    sess->cmd.is_sent = false;
    sess->cmd.got_byte = false;
    sess->cmd.got_err = false;
    sess->cmd.is_read = false; /* the primary's answer is final */
    sess->cmd.tries++;
    sess->cmd.target = ROUTE_TO_PRIMARY;
    sess->cmd.server = sess->env->topo->primary;
    sess_go(sess, NULL, 0);
}

/*
 * A write in a read-only transaction on a replica. The replica looks at its own read_only before it
 * looks at the transaction (1290, 1836); the primary would have said 1792, and so does weir. 1290 is
 * also the number of other options, which the primary would name as well.
 */
static bool is_ro_tx_write(const struct sess *sess, const struct reply_step *step)
{
    return step->event == REPLY_EV_ERR && step->is_first && sess->ro_tx_server >= 0 &&
           sess->cmd.server == sess->ro_tx_server && sess->cmd.server != sess->env->topo->primary &&
           (step->err.code == 1836 ||
            (step->err.code == 1290 && memmem(step->err.text.p, step->err.text.len, "read-only",
                                              strlen("read-only")) != NULL));
}

static void refuse_ro_tx_write(struct sess *sess)
{
    uint32_t version = 0;
    bool is_mysql = sess_flavour(sess, &version) == TOPO_FLAVOUR_MYSQL;
    struct span end = span_of(is_mysql ? "." : ""); /* the flavours differ in that */

    metric_inc(sess->env->metrics, METRIC_SERVER_ERRORS, (size_t)sess->cmd.server);
    sess_buf_give(sess, &sess->rest);
    sess->cmd.is_sent = false; /* nothing of its reply has been forwarded */
    sess_fail(sess, SESS_ERR_READ_ONLY_TX, &end, 1);
}

enum outcome {
    OUT_MORE,  /* the reply goes on */
    OUT_DONE,  /* the reply is complete */
    OUT_TAKEN, /* the command goes on elsewhere, or the session has ended */
};

static enum outcome on_local_infile(struct sess *sess, struct conn *conn)
{
    struct span args[2] = {sess_server_name(sess, sess->cmd.server),
                           SPAN_LIT("it asked for a file that nobody offered")};
    int16_t server = (int16_t)conn->server_index;

    metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
    log_warn(&sess->log, "local_infile", "server %s asks for a client's file; connection closed",
             sess->env->topo->servers[server].name);
    sess_conn_drop(sess, server, false);
    sess_fail_close(sess, SESS_ERR_SERVER_LOST, args, 2);
    return OUT_TAKEN;
}

static enum outcome on_step(struct sess *sess, struct conn *conn, struct reply_step *step)
{
    switch (step->event) {
    case REPLY_EV_NONE:
        break;
    case REPLY_EV_OK:
        sess->row_count = (int64_t)step->ok.affected;
        sess->cmd.warnings = step->ok.warnings;
        sess->cmd.sets_id = sess->cmd.sets_id || step->ok.insert_id != 0;
        sess_track_ok(sess, conn, &step->ok);
        break;
    case REPLY_EV_RESULT_END:
        sess->cmd.saw_rows = true;
        sess->row_count = -1;
        sess->found_rows = (int64_t)sess->reply.rows;
        sess->cmd.warnings = step->ok.warnings;
        /* a write with rows (RETURNING) does not say what it generated */
        sess->cmd.sets_id = sess->cmd.sets_id || sess->cmd.may_write;
        sess_track_ok(sess, conn, &step->ok);
        break;
    case REPLY_EV_ERR:
        if (step->err.code == 1146 && step->is_first &&
            cache_read_is_void(step->err.text, sess->cmd.unknown_name)) {
            sess->cmd.is_void = true;
            sess->cmd.may_write = false;
        }
        sess->row_count = -1;
        sess->cmd.sets_id =
            sess->cmd.sets_id || sess->cmd.may_write; /* undefined, says the manual */
        sess->cmd.got_err = true;
        sess->cmd.err_code = step->err.code;
        metric_inc(sess->env->metrics, METRIC_SERVER_ERRORS, (size_t)sess->cmd.server);
        break;
    case REPLY_EV_PREPARED:
        sess->cmd.warnings = step->prepared.warnings;
        if (!sess_stmt_prepared(sess, &step->prepared, step->id_at)) {
            return OUT_TAKEN;
        }
        break;
    case REPLY_EV_LOCAL_INFILE:
        return on_local_infile(sess, conn);
    }
    return step->done ? OUT_DONE : OUT_MORE;
}

/* Whoever is told of a write tells others: what their sessions read after must be there by then. */
static void tell_before_client(struct sess *sess, const struct conn *conn)
{
    const struct sess_cmd *cmd = &sess->cmd;
    bool is_over = (conn->status & STATUS_IN_TRANS) == 0;

    if ((!cmd->may_write && !sess->tx_wrote) || cmd->got_err || conn->is_replica) {
        return;
    }
    if (is_over && guard_is_shared(&sess->set->route_conf, sess->key_slot)) {
        (void)guard_mark(sess->env->board, sess->user_slot, sess->key_slot,
                         loop_now_us(sess->env->loop));
    }
    sess_causal_tell(sess, is_over);
}

/* All of one read. *ret_used: bytes that need not be seen again. */
static enum outcome feed(struct sess *sess, struct conn *conn, uint8_t *bytes, size_t len,
                         size_t *ret_used)
{
    struct reply_step steps[SESS_STEPS];
    struct pieces pieces;
    unsigned n = 0;
    size_t used = 0;
    enum outcome outcome = OUT_MORE;
    enum dec_rc rc = DEC_OK;

    pieces.count = 0;
    pieces.bytes = 0;
    while (outcome == OUT_MORE && rc == DEC_OK && used < len) {
        struct reply_step *step = &steps[n++];

        rc = reply_feed(&sess->reply, bytes + used, len - used, step);
        used += step->used;
        if (is_for_primary(sess, step)) {
            *ret_used = used;
            retry_on_primary(sess, &step->err);
            return OUT_TAKEN;
        }
        if (step->event == REPLY_EV_ERR && step->is_first && sess_delay_refused(sess, &step->err)) {
            *ret_used = used;
            return OUT_TAKEN;
        }
        if (is_ro_tx_write(sess, step)) {
            *ret_used = used;
            refuse_ro_tx_write(sess);
            return OUT_TAKEN;
        }
        pieces_add(&pieces, step);
        if (sess->fill != NULL) {
            sess_fill_feed(sess, step);
        }
        if (rc == DEC_OK) {
            outcome = on_step(sess, conn, step);
        }
        if (outcome == OUT_TAKEN) {
            return outcome;
        }
        if (n == SESS_STEPS) {
            if (!pieces_write(sess, &pieces)) {
                return OUT_TAKEN;
            }
            n = 0;
        }
    }
    *ret_used = used;
    if (outcome == OUT_DONE) {
        tell_before_client(sess, conn);
    }
    if (!pieces_write(sess, &pieces)) {
        return OUT_TAKEN;
    }
    if (rc == DEC_BAD) {
        metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
        log_warn(&sess->log, "bad_reply", "server %s broke the protocol; connection closed",
                 sess->env->topo->servers[conn->server_index].name);
        sess_server_lost(sess, (int16_t)conn->server_index);
        return OUT_TAKEN;
    }
    return outcome;
}

/* Bytes of the last turn that were not enough, and what has come since. 0: nothing to do. */
static size_t gather(struct sess *sess, struct conn *conn, uint8_t **ret_bytes)
{
    uint8_t *scratch = loop_scratch(sess->env->loop);
    size_t have = buf_len(&sess->rest);
    size_t n = 0;
    enum io_rc rc = IO_AGAIN;

    if (have <= LOOP_SCRATCH_BYTES / 2) {
        if (have != 0) {
            memcpy(scratch, buf_span(&sess->rest).p, have);
        }
        rc = stream_read(&conn->stream, scratch + have, LOOP_SCRATCH_BYTES - have, &n);
        *ret_bytes = scratch;
    } else {
        if (buf_reserve(&sess->rest, LOOP_SCRATCH_BYTES,
                        2U * REPLY_MAX_CONTROL + LOOP_SCRATCH_BYTES) < 0) {
            sess_server_lost(sess, (int16_t)conn->server_index);
            return 0;
        }
        rc = stream_read(&conn->stream, buf_tail(&sess->rest), LOOP_SCRATCH_BYTES, &n);
        if (rc == IO_DONE) {
            buf_commit(&sess->rest, n);
        }
        *ret_bytes = sess->rest.data + sess->rest.off;
    }
    if (rc == IO_AGAIN) {
        return 0;
    }
    if (rc != IO_DONE) {
        sess_server_lost(sess, (int16_t)conn->server_index);
        return 0;
    }
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_SERVER_IN, n);
    return have + n;
}

/* Keep what must be seen again. False: no memory. */
bool sess_keep_rest(struct sess *sess, const uint8_t *bytes, size_t used, size_t len)
{
    if (buf_len(&sess->rest) != 0 && bytes == buf_span(&sess->rest).p) {
        buf_consume(&sess->rest, used);
    } else {
        buf_clear(&sess->rest);
        if (used < len) {
            sess_buf_take(sess, &sess->rest);
            if (buf_append(&sess->rest, bytes + used, len - used,
                           2U * REPLY_MAX_CONTROL + LOOP_SCRATCH_BYTES) < 0) {
                return false;
            }
        }
    }
    if (buf_len(&sess->rest) == 0) {
        sess_buf_give(sess, &sess->rest);
    }
    return true;
}

/* A server that answers before the command is whole: its number counts from what it has read. */
static void early_reply(struct sess *sess, const uint8_t *bytes, size_t len)
{
    struct frame frame;

    if (sess->is_uploading && reply_is_fresh(&sess->reply) &&
        frame_decode(bytes, len, &frame) == DEC_OK) {
        sess->cmd.reply_seq = frame.seq;
        reply_begin(&sess->reply, sess->cmd.kind, &sess->reply_front, frame.seq, sess->status);
    }
}

/* One of weir's own commands ahead of the read has failed: the read ran in another state. Nothing
 * of its reply has been looked at, so it is run elsewhere. */
static void ahead_failed(struct sess *sess, struct conn *conn, struct span payload)
{
    int16_t server = (int16_t)conn->server_index;
    struct errpkt err = {.code = 0};

    if (errpkt_decode(payload, &err) == DEC_OK) {
        log_info(&sess->log, "replay_failed", "server %s: %u %.*s",
                 sess->env->topo->servers[server].name, err.code, (int)err.text.len,
                 (const char *)err.text.p);
    }
    sess->own_ahead = 0;
    sess_conn_drop(sess, server, false);
    sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
}

/* The replies to weir's own, ahead of the one that is the client's. False: that is all for now. */
static bool skim_ahead(struct sess *sess, struct conn *conn, uint8_t *bytes, size_t len,
                       size_t *ret_used)
{
    size_t used = 0;

    while (sess->own_ahead != 0) {
        struct frame frame;
        struct span payload = {NULL, 0};
        struct ok ok;

        if (frame_decode(bytes + used, len - used, &frame) != DEC_OK ||
            len - used < FRAME_HEADER + frame.len) {
            if (len - used > REPLY_MAX_CONTROL || !sess_keep_rest(sess, bytes, used, len)) {
                sess_server_lost(sess, (int16_t)conn->server_index);
            }
            return false;
        }
        payload = (struct span){bytes + used + FRAME_HEADER, frame.len};
        if (errpkt_is(payload)) {
            ahead_failed(sess, conn, payload);
            return false;
        }
        if (frame.seq != 1 || frame.len == 0 || payload.p[0] != 0x00 ||
            ok_decode(payload, true, &ok) != DEC_OK) {
            metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
            sess_server_lost(sess, (int16_t)conn->server_index);
            return false;
        }
        conn->status = ok.status;
        used += FRAME_HEADER + frame.len;
        sess->own_ahead--;
    }
    if (used == len) {
        sess_buf_give(sess, &sess->rest);
        return false;
    }
    *ret_used = used;
    return true;
}

void sess_relay(struct sess *sess, struct conn *conn)
{
    uint8_t *bytes = NULL;
    size_t used = 0;
    size_t skimmed = 0;
    size_t len = gather(sess, conn, &bytes);
    enum outcome outcome = OUT_MORE;

    if (len == 0) {
        return;
    }
    if (sess->own_ahead != 0) {
        if (!skim_ahead(sess, conn, bytes, len, &skimmed)) {
            return;
        }
        if (buf_len(&sess->rest) != 0 && bytes == buf_span(&sess->rest).p) {
            buf_consume(&sess->rest, skimmed);
        }
        bytes += skimmed;
        len -= skimmed;
    }
    if (!sess->cmd.got_byte) {
        sess->cmd.got_byte = true;
        balance_record(&sess->set->load, sess->cmd.server,
                       loop_now_us(sess->env->loop) - sess->cmd.sent_us,
                       loop_now_us(sess->env->loop));
        early_reply(sess, bytes, len);
    }
    outcome = feed(sess, conn, bytes, len, &used);
    if (outcome == OUT_TAKEN) {
        return;
    }
    if (outcome == OUT_DONE) {
        if (used < len) {
            /* bytes behind the end of a reply belong to nobody */
            metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
            sess_conn_drop(sess, (int16_t)conn->server_index, false);
            if (sess->ro_tx_server == (int16_t)conn->server_index) {
                sess->ro_tx_server = -1;
                sess->tx_lost = true;
            }
            if (!conn->is_replica && (sess->tx_open || sess->pins != 0)) {
                sess_close_flushed(sess, "server sent more than its reply");
                return;
            }
        }
        sess_command_done(sess);
        return;
    }
    if (!sess_keep_rest(sess, bytes, used, len)) {
        sess_close(sess, "no memory for a reply");
        return;
    }
    if (stream_is_high(&sess->front)) {
        if (sess->fill != NULL) {
            sess_fill_land(sess); /* nobody has to wait for how fast this client reads */
        }
        sess->is_back_paused = true;
        stream_want_read(&conn->stream, false);
    }
}

void sess_relay_resume(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);

    if (sess->is_back_paused) {
        sess->is_back_paused = false;
        if (conn != NULL) {
            stream_want_read(&conn->stream, true);
        }
    }
}

/* --- replies to weir's own commands --- */

/* A role that has been revoked is not what everybody needs: the one of the connection's login is
 * nothing that this session has asked for, and what is to be left need not be had. */
static bool may_begin_anew(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;
    bool leaves = (cmd->sets_role || cmd->verb == VERB_USE) && (cmd->bits & FACT(MULTI)) == 0;

    if (sess->tx_open || sess->pins != 0 || cmd->tries >= SESS_TRIES_MAX) {
        return false;
    }
    if (leaves && !cmd->is_bare) {
        cmd->is_bare = true;
        return true;
    }
    return cmd->undoes_role;
}

static void own_failed(struct sess *sess, struct conn *conn, const struct errpkt *err)
{
    enum sess_own own = sess->own;
    int16_t server = (int16_t)conn->server_index;
    bool is_lost = false;

    sess->own = SESS_OWN_NONE;
    sess_buf_give(sess, &sess->rest);
    if (own != SESS_OWN_PREPARE) {
        /* the vector that this connection carries is not known any more */
        log_info(&sess->log, "replay_failed", "server %s: %u %.*s",
                 sess->env->topo->servers[server].name, err->code, (int)err->text.len,
                 (const char *)err->text.p);
    }
    if (own == SESS_OWN_LEARN) {
        sess_idle(sess);
        return;
    }
    if (own == SESS_OWN_SVEC && may_begin_anew(sess)) {
        sess->cmd.tries++;
        sess_conn_drop(sess, server, true);
        sess_go(sess, NULL, 0);
        return;
    }
    if (sess->cmd.is_read && server != sess->env->topo->primary) {
        if (own != SESS_OWN_PREPARE) {
            sess_conn_drop(sess, server, true);
        }
        sess_try_elsewhere(sess, server, SESS_ERR_SERVER_LOST);
        return;
    }
    if (sess->cmd.kind == REPLY_NONE) {
        sess_command_done(sess); /* long data has no reply: EXECUTE will tell */
        return;
    }
    is_lost = own == SESS_OWN_SVEC || own == SESS_OWN_SET_ID || own == SESS_OWN_RESET ||
              own == SESS_OWN_VARS;
    conn->is_spoiled = conn->is_spoiled || is_lost; /* it may go back before it is dropped here */
    sess_fail_errpkt(sess, err);
    if (is_lost && stream_is_open(&sess->front)) {
        if (sess->tx_open || sess->pins != 0) {
            /* its transaction is on a connection of which nobody knows in what state it is */
            sess_close_flushed(sess, "the session's state could not be set");
        } else {
            sess_conn_drop(sess, server, true);
        }
    }
}

static void own_over(struct sess *sess)
{
    enum sess_own own = sess->own;

    sess->own = SESS_OWN_NONE;
    sess_buf_give(sess, &sess->rest);
    if (own == SESS_OWN_END_TX) {
        sess->ro_tx_server = -1;
    } else if (own == SESS_OWN_BEGIN) {
        sess->tx_open = true;
    } else if (own == SESS_OWN_LEARN) {
        sess_idle(sess);
        return;
    } else if (own == SESS_OWN_VARS) {
        sess_vars_brought(sess, sess_conn(sess, sess->cmd.server));
    } else if (own == SESS_OWN_SET_ID) {
        struct conn *conn = sess_conn(sess, sess->cmd.server);

        if (conn != NULL) {
            conn->insert_id_of = sess->serial;
        }
    }
    sess_go(sess, NULL, 0);
}

/* One step of one reply. True: go on with the bytes behind it. */
static bool own_step(struct sess *sess, struct conn *conn, const struct reply_step *step)
{
    switch (step->event) {
    case REPLY_EV_ERR: {
        struct errpkt err = step->err;

        own_failed(sess, conn, &err);
        return false;
    }
    case REPLY_EV_OK:
        conn->status = step->ok.status;
        break;
    case REPLY_EV_PREPARED:
        sess_stmt_placed(sess, conn, &step->prepared);
        break;
    case REPLY_EV_RESULT_END:
    case REPLY_EV_NONE:
        break;
    case REPLY_EV_LOCAL_INFILE:
        sess_server_lost(sess, (int16_t)conn->server_index);
        return false;
    }
    if (step->done) {
        if (--sess->own_replies == 0) {
            own_over(sess);
            return false;
        }
        reply_begin(&sess->reply, (enum reply_kind)sess->reply.kind, sess->reply.front, 1, 0);
    }
    return true;
}

void sess_own_relay(struct sess *sess, struct conn *conn)
{
    uint8_t *bytes = NULL;
    size_t used = 0;
    size_t len = gather(sess, conn, &bytes);

    if (sess->own == SESS_OWN_LEARN && len != 0) {
        sess_learn_feed(sess, bytes, len);
        return;
    }
    if ((sess->own == SESS_OWN_WAIT || sess->own == SESS_OWN_FETCH) && len != 0) {
        sess_causal_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_ASK_LOCKS && len != 0) {
        sess_locks_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_EXTRA && len != 0) {
        sess_extra_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_ROLE && len != 0) {
        sess_role_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_BORN_ROLE && len != 0) {
        sess_role_born_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_ASK_LAST && len != 0) {
        sess_diag_feed(sess, bytes, len);
        return;
    }
    if (sess->own == SESS_OWN_ASK_ID && len != 0) {
        sess_id_feed(sess, bytes, len);
        return;
    }
    while (used < len) {
        struct reply_step step;
        enum dec_rc rc = reply_feed(&sess->reply, bytes + used, len - used, &step);

        used += step.used;
        if (rc == DEC_BAD) {
            sess_server_lost(sess, (int16_t)conn->server_index);
            return;
        }
        if (rc == DEC_MORE) {
            break;
        }
        if (!own_step(sess, conn, &step)) {
            return;
        }
    }
    if (len != 0 && !sess_keep_rest(sess, bytes, used, len)) {
        sess_close(sess, "no memory for a reply");
    }
}
