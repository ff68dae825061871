/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_causal_priv.h"
#include "sess_login_priv.h"
#include "sess_priv.h"
#include "sess_renew_priv.h"

/*
 * A session is driven by four things only: bytes of its client (on_front), events of its backend
 * connections (sess_conn_event), its timer, and its task in the run queue, which is how one
 * command follows another without the stack growing.
 *
 *   LOGIN -> IDLE -> WAIT -> OPEN -> SYNC -> RELAY -> IDLE ...  CLOSING is reachable from all
 *              |        ^-------^------'       |
 *              |        HOLD <-----------------' no primary now, from each of them
 *              +-> KILL, RELOGIN -> IDLE
 */

#define ST(name) (1U << SESS_ST_##name)

static const uint32_t STATE_NEXT[SESS_ST_END_] = {
    [SESS_ST_LOGIN] = ST(IDLE) | ST(CLOSING),
    [SESS_ST_IDLE] = ST(HOLD) | ST(SHARE) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(KILL) |
                     ST(RELOGIN) | ST(CLOSING),
    [SESS_ST_SHARE] =
        ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(CLOSING),
    [SESS_ST_HOLD] = ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(CLOSING),
    [SESS_ST_WAIT] = ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(CLOSING),
    [SESS_ST_OPEN] = ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(SYNC) | ST(RELAY) | ST(OPEN) | ST(CLOSING),
    [SESS_ST_SYNC] = ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(CLOSING),
    [SESS_ST_RELAY] =
        ST(IDLE) | ST(HOLD) | ST(WAIT) | ST(OPEN) | ST(SYNC) | ST(RELAY) | ST(CLOSING),
    [SESS_ST_KILL] = ST(IDLE) | ST(CLOSING),
    [SESS_ST_RELOGIN] = ST(IDLE) | ST(CLOSING),
    [SESS_ST_CLOSING] = 0,
};

static const char *const STATE_TEXT[SESS_ST_END_] = {
#define X(name, text) [SESS_ST_##name] = (text),
    SESS_STATES(X)
#undef X
};

const char *sess_state_text(enum sess_state state)
{
    return STATE_TEXT[state];
}

/* The timer serves several ends: whichever comes first. on_timer() looks which. */
static void idle_arm(struct sess *sess)
{
    uint64_t at = sess->deadline_us;

    if (at == 0 && sess->state == SESS_ST_IDLE) {
        at = sess->idle_end_us;
    }
    if (at != 0) {
        timer_arm_at(&sess->timer, at);
    }
}

/* Of a statement that runs: a drain's end, and a look at whether its client is gone. */
static void relay_arm(struct sess *sess)
{
    uint64_t gone_us = sess->is_front_eof ? sess_gone_look_us(sess) : 0;
    uint64_t at = sess->deadline_us;

    if (gone_us != 0 && (at == 0 || gone_us < at)) {
        at = gone_us;
    }
    if (at != 0) {
        timer_arm_at(&sess->timer, at);
    } else {
        timer_cancel(&sess->timer);
    }
}

void sess_set_state(struct sess *sess, enum sess_state state)
{
    WR_ASSERT((STATE_NEXT[sess->state] & (1U << state)) != 0);
    if (sess->state == SESS_ST_LOGIN) {
        metric_sub(sess->env->metrics, METRIC_SESSIONS_IN_LOGIN, METRIC_NONE, 1);
        sess->set->logins--;
    } else if (sess->state == SESS_ST_RELOGIN) {
        sess->set->logins--;
    }
    if (state == SESS_ST_RELOGIN) {
        sess->set->logins++;
    }
    if (sess->cmd.is_waiting && state != SESS_ST_SYNC) {
        sess_causal_unwait(sess);
    }
    if (state == SESS_ST_HOLD && sess->fill != NULL) {
        sess_fill_land(sess); /* nobody else has to wait for a primary with it */
    }
    sess->state_since_us = loop_now_us(sess->env->loop);
    sess->states_seen++;
    sess->trail[sess->trail_at] = (uint8_t)state;
    sess->trail_at = (uint8_t)((sess->trail_at + 1U) % SESS_TRAIL);
    sess->state = state;
    if (state == SESS_ST_RELAY || timer_is_armed(&sess->rule_timer)) {
        sess_rule_timer(sess);
    }
    if (state == SESS_ST_IDLE) {
        uint64_t idle_us = sess->env->config->limits.client_idle_us;

        sess->idle_end_us = idle_us == 0 ? 0 : loop_now_us(sess->env->loop) + idle_us;
        idle_arm(sess);
    } else if (state == SESS_ST_RELAY) {
        relay_arm(sess);
    }
}

/* --- storage lent to commands --- */

void sess_buf_take(struct sess *sess, struct buf *buf)
{
    struct sess_set *set = sess->set;

    if (buf->data == NULL && set->spare_count > 0) {
        *buf = set->spares[--set->spare_count];
    }
}

void sess_buf_give(struct sess *sess, struct buf *buf)
{
    struct sess_set *set = sess->set;

    if (buf->data == NULL) {
        return;
    }
    buf_clear(buf);
    if (set->spare_count < SESS_SPARES && buf->cap <= (size_t)16 * 1024) {
        set->spares[set->spare_count++] = *buf;
        buf_init(buf);
    } else {
        buf_fini(buf);
    }
}

/* --- end of a session --- */

static void sess_free(void *arg)
{
    struct sess *sess = arg;

    sess->magic = 0;
    free(sess);
}

void sess_close(struct sess *sess, const char *why)
{
    struct sess_set *set = sess->set;

    if (sess->magic != SESS_MAGIC || set->table[sess->id & SESS_ID_MASK] != sess) {
        return; /* closed earlier in this turn */
    }
    log_debug(&sess->log, "session_closed", "%s (state %s)", why, sess_state_text(sess->state));
    set->table[sess->id & SESS_ID_MASK] = NULL;
    list_remove(&sess->node);
    set->count--;
    metric_sub(sess->env->metrics, METRIC_SESSIONS_OPEN, METRIC_NONE, 1);
    if (sess->state == SESS_ST_LOGIN) {
        metric_sub(sess->env->metrics, METRIC_SESSIONS_IN_LOGIN, METRIC_NONE, 1);
    }
    if (sess->state == SESS_ST_LOGIN || sess->state == SESS_ST_RELOGIN) {
        set->logins--;
    }
    if (sess->pins != 0) {
        metric_sub(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
    }
    sess_unpend(sess);
    if (sess->fill != NULL) {
        sess_fill_refuse(sess, METRIC_UNFILLED_LOST);
        sess_fill_end(sess);
    }
    if (sess->writes != NULL) {
        sess_writes_forget(sess);
    }
    sess_renew_forget(sess);
    sess_causal_unwait(sess);
    sess_causal_destroy(sess->causal);
    sess->causal = NULL;
    sess_login_destroy(sess->login);
    sess->login = NULL;
    sess_delay_cancel(sess);
    pool_wait_cancel(&sess->wait);
    sess_conns_end(sess);
    sess_pins_forget(sess);
    sess_vars_forget(sess);
    sess_stmts_free(sess);
    sess_upload_end(sess);
    free(sess->conns);
    sess->conns = NULL;
    sess->conn_count = 0;
    pool_key_put(sess->key);
    sess->key = NULL;
    timer_cancel(&sess->timer);
    timer_cancel(&sess->rule_timer);
    rule_who_reset(&sess->rule_who);
    loop_task_cancel(&sess->task);
    stream_close(&sess->front);
    sess_buf_give(sess, &sess->held);
    sess_buf_give(sess, &sess->rest);
    sess_buf_give(sess, &sess->in);
    buf_fini(&sess->extra);
    buf_fini(&sess->diag);
    svec_fini(&sess->svec);
    cred_unref(sess->cred);
    loop_bury(sess->env->loop, sess, sess_free);
}

void sess_close_flushed(struct sess *sess, const char *why)
{
    if (!stream_is_open(&sess->front) || sess->state == SESS_ST_CLOSING) {
        return;
    }
    sess_login_destroy(sess->login);
    sess->login = NULL;
    if (stream_out_bytes(&sess->front) == 0) {
        sess_close(sess, why);
        return;
    }
    sess_delay_cancel(sess);
    pool_wait_cancel(&sess->wait);
    sess_conns_end(sess);
    if (sess->fill != NULL) {
        sess_fill_refuse(sess, METRIC_UNFILLED_LOST);
        sess_fill_end(sess);
    }
    sess_set_state(sess, SESS_ST_CLOSING);
    stream_set_water(&sess->front, 1, 0);
    timer_arm_in(&sess->timer, 5U * 1000U * 1000U); /* a client that does not read is not awaited */
}

/* --- login --- */

static void login_over(struct sess *sess)
{
    const struct sess_login_result *result = sess_login_result(sess->login);
    bool is_first = sess->state == SESS_ST_LOGIN;
    struct conn *conn = NULL;

    if (!is_first) {
        sess_reset_state(sess);
        svec_clear(&sess->svec, SVEC_SCHEMA);
        if (!sess_role_survives(sess, result->user)) {
            svec_clear(&sess->svec, SVEC_ROLE);
            sess->has_no_default = false;
        }
    }
    cred_unref(sess->cred);
    sess->cred = cred_ref(result->cred);
    rule_who_reset(&sess->rule_who);
    sess->caps = result->caps;
    sess->collation = result->collation;
    sess->status = result->status;
    sess->scrambles = result->scrambles;
    sess->user_slot = guard_user_slot(result->user);
    sess->causal_user = causal_slot_user(result->user);
    if (sess_rekey(sess) < 0) {
        sess_close(sess, "no memory for a user's connections");
        return;
    }
    if (sess_take_defaults(sess) < 0 ||
        (result->schema.len != 0 && svec_track_schema(&sess->svec, result->schema) < 0)) {
        sess_close(sess, "no memory");
        return;
    }
    sess->reply_front.has_deprecate_eof = (sess->caps & CAP_DEPRECATE_EOF) != 0;
    sess->reply_front.has_session_track = (sess->caps & CAP_SESSION_TRACK) != 0;
    conn = sess_login_take_conn(sess->login);
    if (conn != NULL) {
        sess_conn_adopt(sess, conn);
    }
    if (result->unread.len != 0 &&
        buf_append(&sess->in, result->unread.p, result->unread.len, SESS_AHEAD_MAX) < 0) {
        sess_close(sess, "too much behind the login");
        return;
    }
    sess_login_destroy(sess->login);
    sess->login = NULL;
    sess_refresh(sess);
    log_debug(&sess->log, "session_ready", "logged in from %s", sess->host);
    sess_idle(sess);
}

static void login_step(struct sess *sess, enum sess_login_rc rc)
{
    switch (rc) {
    case SESS_LOGIN_MORE:
    case SESS_LOGIN_WAIT:
        return;
    case SESS_LOGIN_OK:
        login_over(sess);
        return;
    case SESS_LOGIN_FAILED:
        sess_close_flushed(sess, "login failed");
        return;
    }
}

static void on_login(void *arg, enum sess_login_rc rc)
{
    login_step(arg, rc);
}

static void login_params(struct sess *sess, struct sess_login_params *params)
{
    const struct config *config = sess->env->config;

    *params = (struct sess_login_params){
        .env = sess->env,
        .stream = &sess->front,
        .peer = sess->host,
        .connection_id = sess->id,
        .is_unix = sess->is_unix,
        .is_tls_offered = sess->is_tls_offered,
        .is_tls_required = sess->is_tls_required,
        .deadline_us = loop_now_us(sess->env->loop) + config->auth.login_timeout_us,
        .scrambles = &sess->scrambles,
        .on_done = on_login,
        .arg = sess,
    };
}

void sess_change_user(struct sess *sess, const uint8_t *packet, size_t len)
{
    struct sess_login_params params;
    struct span body = {packet + FRAME_HEADER + 1, len - FRAME_HEADER - 1};
    enum sess_login_rc rc = SESS_LOGIN_WAIT;

    /* whatever comes of it, the old user's state ends here, and its connections may be needed */
    sess_conns_end(sess);
    login_params(sess, &params);
    sess_set_state(sess, SESS_ST_RELOGIN);
    if (sess_login_start_change(&params, sess->caps, sess->collation, body, 0, &sess->login, &rc) <
        0) {
        sess_close(sess, "change user could not start");
        return;
    }
    login_step(sess, rc);
}

/* --- bytes of the client --- */

void sess_pause_front(struct sess *sess, bool pause)
{
    if (sess->is_front_paused != pause && !sess->is_front_eof) {
        sess->is_front_paused = pause;
        stream_want_read(&sess->front, !pause);
    }
}

/* True while the session is still the one that its caller knows. */
static bool is_alive(const struct sess *sess)
{
    return stream_is_open(&sess->front);
}

/* The rest of a large command may be passed on now. */
static bool is_upload_due(const struct sess *sess)
{
    return sess->is_uploading && sess->state == SESS_ST_RELAY;
}

/* Statements are prepared from a whole text only; anything else this large is passed on. */
static bool is_streamed(const struct frame *frame, const uint8_t *packet, size_t len)
{
    return frame->len >= SESS_HELD_MAX && (frame->len == FRAME_MAX_PAYLOAD || len <= FRAME_HEADER ||
                                           packet[FRAME_HEADER] != COM_STMT_PREPARE);
}

/* Commands out of bytes, as far as they are whole and the session is free for them. */
static size_t process(struct sess *sess, uint8_t *bytes, size_t len)
{
    size_t used = 0;

    while (sess->state == SESS_ST_IDLE && is_alive(sess) && !stream_is_high(&sess->front)) {
        struct frame frame;
        size_t left = len - used;

        if (frame_decode(bytes + used, left, &frame) != DEC_OK) {
            break;
        }
        if (frame.seq != 0) {
            sess->cmd.reply_seq = (uint8_t)(frame.seq + 1U);
            metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
            sess_fail_close(sess, SESS_ERR_OUT_OF_ORDER, NULL, 0);
            return len;
        }
        if (is_streamed(&frame, bytes + used, left)) {
            if (left < FRAME_HEADER + SESS_HELD_MAX) {
                break;
            }
            sess_command_large(sess, bytes + used, FRAME_HEADER + SESS_HELD_MAX, frame.len);
            used += FRAME_HEADER + SESS_HELD_MAX;
            continue;
        }
        if (left < FRAME_HEADER + frame.len) {
            break;
        }
        used += FRAME_HEADER + frame.len;
        sess_command(sess, bytes + used - FRAME_HEADER - frame.len, FRAME_HEADER + frame.len);
    }
    if (is_alive(sess) && is_upload_due(sess) && used < len) {
        used += sess_upload(sess, bytes + used, len - used);
    }
    return used;
}

static void process_in(struct sess *sess)
{
    struct span in = buf_span(&sess->in);
    struct buf mine;
    size_t used = 0;

    if (in.len == 0) {
        return;
    }
    /* the bytes must stay where they are while a command looks at them */
    mine = sess->in;
    buf_init(&sess->in);
    used = process(sess, mine.data + mine.off, in.len);
    if (!is_alive(sess)) {
        buf_fini(&mine);
        return;
    }
    buf_consume(&mine, used);
    sess->in = mine;
    if (buf_len(&sess->in) == 0) {
        sess_buf_give(sess, &sess->in);
    }
}

static void after_input(struct sess *sess)
{
    if (!is_alive(sess) || sess->state == SESS_ST_CLOSING) {
        return;
    }
    if (sess->state == SESS_ST_IDLE && !stream_is_high(&sess->front)) {
        sess_pause_front(sess, false);
        if (sess->is_front_eof) {
            sess_close_flushed(sess, "client closed"); /* one direction: it may still read */
        }
    } else if (!is_upload_due(sess) && buf_len(&sess->in) >= SESS_AHEAD_MAX) {
        sess_pause_front(sess, true);
    }
}

static void on_task(void *arg)
{
    struct sess *sess = arg;

    process_in(sess);
    after_input(sess);
}

void sess_continue(struct sess *sess)
{
    if (buf_len(&sess->in) != 0 || sess->is_front_eof || sess->is_front_paused) {
        loop_defer(sess->env->loop, &sess->task);
    }
}

static void front_ended(struct sess *sess, enum io_rc rc)
{
    if (rc == IO_FAIL) {
        sess_kill_own(sess);
        sess_close(sess, "client connection broken");
        return;
    }
    sess->is_front_eof = true;
    sess->eof_bytes = sess->bytes_out;
    if (sess->login != NULL) {
        sess_close(sess, "client closed during login");
        return;
    }
    if (sess->is_uploading) {
        sess_close(sess, "client closed in the middle of a command");
        return;
    }
    if (sess->state == SESS_ST_RELAY) {
        relay_arm(sess);
    }
    /* a half-closed client still reads its replies */
    after_input(sess);
}

static void read_login(struct sess *sess)
{
    uint8_t *scratch = loop_scratch(sess->env->loop);
    size_t n = 0;
    enum io_rc rc = stream_read(&sess->front, scratch, LOOP_SCRATCH_BYTES, &n);

    if (rc == IO_DONE) {
        metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_CLIENT_IN, n);
        sess->bytes_in += n;
        login_step(sess, sess_login_feed(sess->login, scratch, n));
    } else if (rc != IO_AGAIN) {
        front_ended(sess, rc);
    }
}

static int read_into_in(struct sess *sess, size_t *ret_n, enum io_rc *ret_rc)
{
    size_t room = LOOP_SCRATCH_BYTES;

    sess_buf_take(sess, &sess->in);
    if (buf_reserve(&sess->in, room, SESS_IN_MAX) < 0) {
        return -WR_E_TOO_LARGE;
    }
    *ret_rc = stream_read(&sess->front, buf_tail(&sess->in), room, ret_n);
    if (*ret_rc == IO_DONE) {
        buf_commit(&sess->in, *ret_n);
    }
    return 0;
}

/* The common case: nothing waits, so the commands are used where they were read. */
static void read_fresh(struct sess *sess)
{
    uint8_t *scratch = loop_scratch(sess->env->loop);
    size_t n = 0;
    size_t used = 0;
    enum io_rc rc = stream_read(&sess->front, scratch, LOOP_SCRATCH_BYTES, &n);

    if (rc == IO_AGAIN) {
        return;
    }
    if (rc != IO_DONE) {
        front_ended(sess, rc);
        return;
    }
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_CLIENT_IN, n);
    sess->bytes_in += n;
    used = process(sess, scratch, n);
    if (!is_alive(sess)) {
        return;
    }
    if (used < n) {
        sess_buf_take(sess, &sess->in);
        if (buf_append(&sess->in, scratch + used, n - used, SESS_IN_MAX) < 0) {
            sess_close(sess, "no memory for a command");
            return;
        }
    }
    after_input(sess);
}

static void read_front(struct sess *sess)
{
    size_t n = 0;
    enum io_rc rc = IO_AGAIN;

    if (sess->login != NULL) {
        read_login(sess);
        return;
    }
    if (buf_len(&sess->in) == 0 && (sess->state == SESS_ST_IDLE || is_upload_due(sess))) {
        read_fresh(sess);
        return;
    }
    if (sess->state == SESS_ST_CLOSING) {
        rc = stream_read(&sess->front, loop_scratch(sess->env->loop), LOOP_SCRATCH_BYTES, &n);
        if (rc == IO_FAIL) {
            sess_close(sess, "client connection broken");
        }
        return;
    }
    if (read_into_in(sess, &n, &rc) < 0) {
        sess_close(sess, "no memory for a command");
        return;
    }
    if (rc == IO_DONE) {
        metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_CLIENT_IN, n);
        sess->bytes_in += n;
        if (sess->state == SESS_ST_IDLE || is_upload_due(sess)) {
            process_in(sess);
        }
        after_input(sess);
    } else if (rc != IO_AGAIN) {
        front_ended(sess, rc);
    }
}

static void on_front(void *arg, enum stream_event event)
{
    struct sess *sess = arg;

    WR_ASSERT(sess->magic == SESS_MAGIC);
    switch (event) {
    case STREAM_READABLE:
        read_front(sess);
        return;
    case STREAM_DRAINED:
        if (sess->state == SESS_ST_CLOSING) {
            sess_close(sess, "flushed");
        } else {
            sess_relay_resume(sess);
            if (sess->state == SESS_ST_IDLE) {
                sess_continue(sess); /* replies were not read: commands behind them waited */
            }
        }
        return;
    case STREAM_CLOSED:
        front_ended(sess, IO_FAIL);
        return;
    case STREAM_TLS_READY:
        metric_inc(sess->env->metrics, METRIC_SESSIONS_TLS, METRIC_NONE);
        return;
    case STREAM_CONNECTED:
        return;
    }
}

static void on_timer(void *arg)
{
    struct sess *sess = arg;

    if (sess->state == SESS_ST_CLOSING) {
        sess_close(sess, "client does not read");
    } else if (sess->deadline_us != 0 && loop_now_us(sess->env->loop) >= sess->deadline_us) {
        sess->cmd.reply_seq = 0;
        sess_fail_close(sess, SESS_ERR_SHUTDOWN, NULL, 0);
    } else if (sess->state == SESS_ST_IDLE) {
        uint64_t now_us = loop_now_us(sess->env->loop);

        if (sess->idle_end_us != 0 && now_us >= sess->idle_end_us) {
            sess_close(sess, "idle too long"); /* a packet out of turn would confuse drivers */
            return;
        }
        idle_arm(sess);
        if (sess->linger_us != 0 && now_us >= sess->linger_us) {
            sess_hold_reclaim(sess, sess->id_server);
        }
    } else if (sess->state == SESS_ST_RELAY && sess->is_front_eof) {
        idle_arm(sess);
        sess_gone_due(sess);
    } else if (sess->state == SESS_ST_SHARE) {
        idle_arm(sess);
        sess_cache_wait_over(sess);
    }
}

/* --- begin --- */

int sess_open(struct sess *sess, int fd)
{
    const struct sess_env *env = sess->env;
    int err = 0;

    svec_init(&sess->svec, env->conn_env->values);
    timer_init(&sess->timer, env->loop, on_timer, sess);
    pool_wait_init(&sess->wait, sess_on_pool, sess);
    sess_new_serial(sess);
    timer_init(&sess->rule_timer, env->loop, sess_rule_on_timer, sess);
    loop_task_init(&sess->task, on_task, sess);
    sess->reply_front = (struct reply_front){
        .track_types = 0xffU & ~(1U << OK_TRACK_STATE_CHANGE),
        .var_pass = sess_var_is_wanted,
        .var_arg = sess,
    };
    stream_init(&sess->front);
    err = stream_open(&sess->front, env->loop, fd, on_front, sess);
    if (err < 0) {
        svec_fini(&sess->svec);
        return err;
    }
    stream_set_water(&sess->front, env->config->limits.relay_high_bytes,
                     env->config->limits.relay_low_bytes);
    return 0;
}

int sess_begin_login(struct sess *sess)
{
    struct sess_login_params params;

    login_params(sess, &params);
    return sess_login_start(&params, &sess->login);
}
