/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/reframe.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * A command too large to be kept: what it is is judged by its beginning, where it goes is the
 * primary (or where its statement's data must go), and its bytes are passed on as they come.
 */
void sess_command_large(struct sess *sess, uint8_t *packet, size_t len, uint32_t frame_len)
{
    sess_command_init(sess, packet[FRAME_HEADER]);
    sess_hold_begin(sess);
    sess_leave_home(sess);
    if (!stream_is_open(&sess->front)) {
        return;
    }
    sess->cmd.is_large = true;
    sess->up_left = frame_len - (uint32_t)(len - FRAME_HEADER);
    sess->up_more = frame_len == FRAME_MAX_PAYLOAD;
    sess->is_uploading = sess->up_left != 0 || sess->up_more;
    sess->up_seq = 0;
    sess->up_header_len = 0;
    sess->up_total = frame_len;
    if (sess->tx_lost && sess->cmd.com == COM_QUERY) {
        struct span name = SPAN_LIT("of the session's transaction");

        sess_fail_close(sess, SESS_ERR_TX_LOST, &name, 1);
        return;
    }
    switch (sess->cmd.com) {
    case COM_QUERY:
        sess_query(sess, packet, len);
        return;
    case COM_STMT_EXECUTE:
    case COM_MARIADB_STMT_BULK_EXECUTE:
        sess_stmt_execute(sess, packet, len);
        return;
    case COM_STMT_SEND_LONG_DATA:
        sess_stmt_long_data(sess, packet, len);
        return;
    default:
        sess_fail_close(sess, SESS_ERR_PACKET_TOO_LARGE, NULL, 0);
        return;
    }
}

/* A header of the next frame, byte by byte. False: not whole yet, or the command is refused. */
static bool upload_header(struct sess *sess, const uint8_t *bytes, size_t len, size_t *used)
{
    struct frame frame;

    while (sess->up_header_len < FRAME_HEADER && *used < len) {
        sess->up_header[sess->up_header_len++] = bytes[(*used)++];
    }
    if (sess->up_header_len < FRAME_HEADER) {
        return false;
    }
    sess->up_header_len = 0;
    (void)frame_decode(sess->up_header, FRAME_HEADER, &frame);
    if (frame.seq != (uint8_t)(sess->up_seq + 1U)) {
        metric_inc(sess->env->metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
        sess_close(sess, "packets out of order");
        return false;
    }
    sess->up_seq = frame.seq;
    sess->up_left = frame.len;
    sess->up_more = frame.len == FRAME_MAX_PAYLOAD;
    sess->up_total += frame.len;
    if (sess->up_total > sess->env->config->limits.max_packet_bytes) {
        sess->cmd.reply_seq = (uint8_t)(sess->up_seq + 1U);
        sess_conn_drop(sess, sess->cmd.server, false);
        sess_fail_close(sess, SESS_ERR_PACKET_TOO_LARGE, NULL, 0);
        return false;
    }
    return true;
}

static void upload_over(struct sess *sess)
{
    sess->is_uploading = false;
    sess->cmd.reply_seq = (uint8_t)(sess->up_seq + 1U);
    if (sess->cmd.kind == REPLY_NONE) {
        sess_command_done(sess);
    } else if (reply_is_fresh(&sess->reply)) {
        uint8_t seq =
            sess->reframe != NULL ? (uint8_t)(sess->reframe->seq + 1U) : sess->cmd.reply_seq;

        reply_begin(&sess->reply, sess->cmd.kind, &sess->reply_front, seq, sess->status);
        reply_set_client_seq(&sess->reply, sess->cmd.reply_seq);
    }
}

/* --- with something put in: other frames than the client's --- */

int sess_upload_shift(struct sess *sess, size_t shift, uint32_t begun)
{
    sess_upload_end(sess);
    sess->reframe = malloc(sizeof(*sess->reframe) + shift);
    if (sess->reframe == NULL) {
        return -ENOMEM;
    }
    reframe_init(sess->reframe, (uint8_t *)(sess->reframe + 1), shift, FRAME_MAX_PAYLOAD, begun);
    return 0;
}

void sess_upload_end(struct sess *sess)
{
    free(sess->reframe);
    sess->reframe = NULL;
}

static int put_moved(struct sess *sess, struct conn *conn, const uint8_t *bytes, size_t len)
{
    bool is_end = sess->up_left == 0 && !sess->up_more;
    struct reframe_step step;

    do {
        if (reframe_feed(sess->reframe, bytes, len, sess->up_left, sess->up_more, &step) !=
            DEC_OK) {
            return -WR_E_BAD_PACKET;
        }
        bytes += step.used;
        len -= step.used;
        for (unsigned i = 0; i < step.count; i++) {
            metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_SERVER_OUT,
                       step.iov[i].iov_len);
        }
        if (step.count != 0 && stream_writev(&conn->stream, step.iov, step.count) < 0) {
            return -WR_E_CLOSED;
        }
    } while (len != 0 || (is_end && step.count != 0));
    return 0;
}

/* As they came, with the header of their frame when that is new. */
static int put_plain(struct sess *sess, struct conn *conn, const uint8_t *bytes, size_t len,
                     bool has_header)
{
    struct iovec iov[2] = {
        {.iov_base = sess->up_header, .iov_len = has_header ? FRAME_HEADER : 0},
        {.iov_len = len},
    };

    memcpy(&iov[1].iov_base, &bytes, sizeof(void *));
    metric_add(sess->env->metrics, METRIC_BYTES, METRIC_DIR_SERVER_OUT, len + iov[0].iov_len);
    return stream_writev(&conn->stream, iov, 2);
}

size_t sess_upload(struct sess *sess, const uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    size_t used = 0;

    while (sess->is_uploading && used < len) {
        bool has_header = sess->up_left == 0;
        size_t part = 0;
        int rc = 0;

        if (has_header && !upload_header(sess, bytes, len, &used)) {
            return stream_is_open(&sess->front) ? used : len;
        }
        part = sess->up_left < len - used ? sess->up_left : len - used;
        sess->up_left -= (uint32_t)part;
        if (conn != NULL) {
            rc = sess->reframe != NULL ? put_moved(sess, conn, bytes + used, part)
                                       : put_plain(sess, conn, bytes + used, part, has_header);
        }
        used += part;
        if (rc < 0) {
            sess_server_lost(sess, sess->cmd.server);
            return stream_is_open(&sess->front) ? used : len;
        }
        if (sess->up_left == 0 && !sess->up_more) {
            upload_over(sess);
        }
    }
    if (sess->is_uploading && conn != NULL && stream_is_high(&conn->stream)) {
        sess_pause_front(sess, true);
    }
    return used;
}
