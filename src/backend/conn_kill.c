/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One KILL on a connection of its own, as the user whose statement it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "conn_priv.h"

struct kill_op {
    /* owning */
    struct conn *conn;
    struct buf in;
    struct timer timer;
    /* borrowed */
    struct loop *loop;
    conn_kill_fn done;
    void *arg;
    /* values */
    uint32_t thread_id;
    bool is_query_only;
};

static void kill_free(void *ptr)
{
    struct kill_op *op = ptr;
    buf_fini(&op->in);
    free(op);
}

static void finish(struct kill_op *op, int err, uint16_t code)
{
    timer_cancel(&op->timer);
    conn_close(op->conn, err == 0);
    op->conn = NULL;
    conn_kill_fn done = op->done;
    void *arg = op->arg;
    loop_bury(op->loop, op, kill_free);
    done(arg, err, code);
}

static void send_kill(struct kill_op *op)
{
    uint8_t packet[64];
    char text[48];
    int len =
        snprintf(text, sizeof(text), "KILL %s%u", op->is_query_only ? "QUERY " : "", op->thread_id);
    WR_ASSERT(len > 0 && (size_t)len < sizeof(text));
    frame_encode(packet, (uint32_t)len + 1, 0);
    packet[FRAME_HEADER] = COM_QUERY;
    memcpy(packet + FRAME_HEADER + 1, text, (size_t)len);
    int r = stream_write(&op->conn->stream, packet, FRAME_HEADER + 1 + (size_t)len);
    if (r < 0) {
        finish(op, r, 0);
    }
}

static void on_reply(struct kill_op *op)
{
    uint8_t *scratch = loop_scratch(op->loop);
    size_t len = 0;
    enum io_rc io = stream_read(&op->conn->stream, scratch, LOOP_SCRATCH_BYTES, &len);
    if (io == IO_AGAIN) {
        return;
    }
    if (io != IO_DONE || buf_append(&op->in, scratch, len, CONN_LOGIN_PACKET_MAX) < 0) {
        finish(op, -WR_E_CLOSED, 0);
        return;
    }
    struct frame_packet packet;
    enum dec_rc rc = frame_packet_decode(op->in.data + op->in.off, buf_len(&op->in),
                                         CONN_LOGIN_PACKET_MAX, 1, &packet);
    if (rc == DEC_MORE) {
        return;
    }
    struct errpkt err;
    struct span payload = {NULL, 0};
    if (rc == DEC_OK) {
        payload = frame_packet_payload(op->in.data + op->in.off, &packet);
    }
    if (payload.len > 0 && payload.p[0] == 0x00) {
        finish(op, 0, 0);
    } else if (errpkt_is(payload) && errpkt_decode(payload, &err) == DEC_OK) {
        finish(op, -WR_E_SERVER_ERROR, err.code);
    } else {
        finish(op, -WR_E_BAD_PACKET, 0);
    }
}

static void on_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct kill_op *op = arg;
    switch (event) {
    case CONN_EV_READY:
        send_kill(op);
        break;
    case CONN_EV_FAILED: {
        const struct conn_failure *failure = conn_failure(conn);
        finish(op, failure->err, failure->code);
        break;
    }
    case CONN_EV_READABLE:
        on_reply(op);
        break;
    case CONN_EV_DRAINED:
    case CONN_EV_RECLAIM:
        break;
    case CONN_EV_CLOSED:
        finish(op, -WR_E_CLOSED, 0);
        break;
    }
}

static void on_deadline(void *arg)
{
    finish(arg, -WR_E_TIMEOUT, 0);
}

int conn_kill(const struct conn_env *env, const struct conn_params *params, uint32_t thread_id,
              bool is_query_only, conn_kill_fn done, void *arg)
{
    struct kill_op *op = calloc(1, sizeof(*op));
    if (op == NULL) {
        return -ENOMEM;
    }
    op->loop = env->loop;
    op->done = done;
    op->arg = arg;
    op->thread_id = thread_id;
    op->is_query_only = is_query_only;
    buf_init(&op->in);
    timer_init(&op->timer, env->loop, on_deadline, op);
    int r = conn_open_bare(env, params, on_event, op, &op->conn);
    if (r < 0) {
        free(op);
        return r;
    }
    timer_arm_at(&op->timer, params->deadline_us);
    return 0;
}
