/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/topo.h"
#include "weir/config/config.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"

void sess_result_init(const struct sess *sess, struct wire_out *out, struct result *ret_result)
{
    *ret_result = (struct result){
        .out = out,
        .caps = sess->caps,
        .status = sess->status & STATUS_OF_SESSION, /* not what was said of the last result */
        .seq = sess->cmd.reply_seq,
    };
}

struct span sess_server_name(const struct sess *sess, int16_t server)
{
    const struct topo *topo = sess->env->topo;

    if (server < 0 || server >= topo->server_count) {
        return SPAN_LIT("?");
    }
    return span_of(topo->servers[server].name);
}

/* The next packet's number for the client: behind what has been forwarded, if anything has. */
static void seq_after_forwarded(const struct sess *sess, struct result *result)
{
    if (sess->state == SESS_ST_RELAY && sess->cmd.is_sent && !reply_is_fresh(&sess->reply)) {
        result->seq = reply_client_seq(&sess->reply);
    }
}

static bool write_iov(struct sess *sess, const struct iovec *iov, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        len += iov[i].iov_len;
    }
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_CLIENT_OUT, len);
    sess->bytes_out += len;
    if (stream_writev(&sess->front, iov, count) < 0) {
        sess_close(sess, "client connection broken");
        return false;
    }
    return true;
}

static bool write_out(struct sess *sess, struct buf *bytes)
{
    const struct iovec iov = {.iov_base = bytes->data + bytes->off, .iov_len = buf_len(bytes)};

    return write_iov(sess, &iov, 1);
}

void sess_answer_iov(struct sess *sess, const struct iovec *iov, size_t count)
{
    if (write_iov(sess, iov, count)) {
        sess->cmd.is_local = true;
        sess_command_done(sess);
    }
}

void sess_answer(struct sess *sess, struct buf *bytes)
{
    bool ok = write_out(sess, bytes);

    sess_buf_give(sess, bytes);
    if (ok) {
        sess->cmd.is_local = true;
        sess_command_done(sess);
    }
}

void sess_answer_ok(struct sess *sess)
{
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;

    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    result_put_ok(&result, NULL);
    sess_answer(sess, &bytes);
}

static enum metric_error metric_of(enum sess_err error)
{
    switch (error) {
    case SESS_ERR_NO_SERVER:
    case SESS_ERR_NO_PRIMARY:
        return METRIC_ERROR_NO_SERVER;
    case SESS_ERR_SERVER_LOST:
    case SESS_ERR_OUTCOME_UNKNOWN:
    case SESS_ERR_TX_LOST:
        return METRIC_ERROR_SERVER_LOST;
    case SESS_ERR_SERVER_TIMEOUT:
        return METRIC_ERROR_TIMEOUT;
    case SESS_ERR_CON_COUNT:
    case SESS_ERR_BUDGET:
    case SESS_ERR_PACKET_TOO_LARGE:
    case SESS_ERR_MAX_PREPARED:
        return METRIC_ERROR_LIMIT;
    case SESS_ERR_BAD_HANDSHAKE:
    case SESS_ERR_OUT_OF_ORDER:
    case SESS_ERR_UNKNOWN_COMMAND:
    case SESS_ERR_MALFORMED:
    case SESS_ERR_WRONG_ARGS:
        return METRIC_ERROR_PROTOCOL;
    case SESS_ERR_ACCESS_DENIED:
    case SESS_ERR_OLD_CLIENT:
    case SESS_ERR_NEEDS_TLS:
        return METRIC_ERROR_AUTH;
    case SESS_ERR_READ_ONLY_TX:
    case SESS_ERR_LOCAL_DISABLED:
    case SESS_ERR_LOCAL_INFILE:
    case SESS_ERR_PRIVILEGE:
    case SESS_ERR_DENIED:
    case SESS_ERR_NOT_SUPPORTED:
    case SESS_ERR_UNSUPPORTED_PS:
    case SESS_ERR_NOT_OWNER:
        return METRIC_ERROR_REFUSED;
    case SESS_ERR_UNKNOWN_STMT:
    case SESS_ERR_NO_SUCH_THREAD:
    case SESS_ERR_INTERRUPTED:
        return METRIC_ERROR_STATE;
    case SESS_ERR_SHUTDOWN:
    case SESS_ERR_KILLED:
    case SESS_ERR_IDLE_TIMEOUT:
        return METRIC_ERROR_SHUTDOWN;
    case SESS_ERR_UNKNOWN:
        return METRIC_ERROR_OTHER;
    }
    return METRIC_ERROR_OTHER;
}

static bool write_error(struct sess *sess, enum sess_err error, const struct span *args,
                        size_t count)
{
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;
    bool ok = false;

    metric_inc(sess->env->metrics, METRIC_ERRORS, metric_of(error));
    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    seq_after_forwarded(sess, &result);
    sess_error_put(&result, error, args, count);
    ok = write_out(sess, &bytes);
    sess_buf_give(sess, &bytes);
    return ok;
}

void sess_fail(struct sess *sess, enum sess_err error, const struct span *args, size_t count)
{
    if (sess->fill != NULL && sess_cache_on_error(sess, error)) {
        return;
    }
    if (sess->cmd.kind == REPLY_NONE) {
        /* nobody waits for a reply: it would be taken for the next command's */
        sess_fail_close(sess, error, args, count);
        return;
    }
    if (write_error(sess, error, args, count)) {
        sess->cmd.is_local = true;
        sess->cmd.got_err = true;
        sess_command_done(sess);
    }
}

void sess_fail_close(struct sess *sess, enum sess_err error, const struct span *args, size_t count)
{
    if (sess->state == SESS_ST_RELAY && (sess->reply.skip != 0 || sess->reply.is_continued)) {
        /* an error here would be read as the rest of the row */
        metric_inc(sess->env->metrics, METRIC_ERRORS, metric_of(error));
        sess_close_flushed(sess, sess_error_sqlstate(error));
        return;
    }
    if (write_error(sess, error, args, count)) {
        sess_close_flushed(sess, sess_error_sqlstate(error));
    }
}

void sess_fail_conn(struct sess *sess, const struct conn *conn)
{
    const struct conn_failure *failure = conn_failure(conn);
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;

    metric_inc(sess->env->metrics, METRIC_ERRORS, METRIC_ERROR_CONNECT);
    if (sess->cmd.kind == REPLY_NONE) {
        sess_close(sess, "no connection for a command without a reply");
        return;
    }
    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    sess_error_put_failure(&result, failure, sess_server_name(sess, (int16_t)conn->server_index),
                           span_of(sess->host));
    sess->cmd.got_err = true;
    sess_answer(sess, &bytes);
}

void sess_fail_errpkt(struct sess *sess, const struct errpkt *err)
{
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;

    sess_buf_take(sess, &bytes);
    wire_out_buf(&out, &bytes, SESS_ANSWER_MAX);
    sess_result_init(sess, &out, &result);
    result_put_err(&result, err->code, err->sqlstate[0] != '\0' ? err->sqlstate : "HY000",
                   err->text);
    sess->cmd.got_err = true;
    sess_answer(sess, &bytes);
}
