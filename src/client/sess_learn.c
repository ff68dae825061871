/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * Some statements change the vector without a tracker that says so: SET NAMES ... COLLATE is the
 * one that drivers send. The client has its answer already; weir asks the same connection for the
 * truth before it takes the next command.
 */

#define LEARN_MAX ((size_t)64 * 1024)

bool sess_learn(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    const char *text = conn == NULL ? NULL : svec_select_text(conn->flavour);
    if (conn == NULL || conn->state != CONN_ST_READY) {
        return false;
    }
    if (sess_send_text(conn, text) < 0) {
        return false;
    }
    sess_sync_wait(sess, SESS_OWN_LEARN, sess->cmd.server, 1, REPLY_QUERY);
    return true;
}

static int learn_value(struct sess *sess, struct conn *conn, enum svec_var var, struct wire *row)
{
    struct span value = {NULL, 0};
    int err = 0;

    if (row->p < row->end && *row->p == 0xFB) {
        (void)wire_u8(row);
        value = SPAN_LIT("");
    } else {
        value = wire_lenenc_bytes(row);
    }
    if (!wire_ok(row)) {
        return -WR_E_BAD_PACKET;
    }
    /* A variable that this flavour lacks has its column all the same, with NULL in it. */
    if (var != SVEC_SCHEMA && svec_var_name(var, conn->flavour)[0] == '\0') {
        return 0;
    }
    if (var == SVEC_READ_ONLY && conn->is_replica) {
        return 0; /* weir's own setting, not the session's */
    }
    if (var == SVEC_TRACK_GTIDS && conn->env->wants_gtids) {
        return svec_set(&conn->svec, var,
                        value); /* the same; a tracker tells what a session sets */
    }
    err = svec_set(&conn->svec, var, value);
    if (err < 0 || var == SVEC_TRACK_SCHEMA || var == SVEC_TRACK_STATE ||
        (var == SVEC_TRACK_VARS && svec_names_are_ours(value, conn->flavour))) {
        return err; /* what weir has set; when the session sets them a tracker says so */
    }
    return svec_set(&sess->svec, var, value);
}

/* The one row: behind the column count and as many definitions as it says. */
static int learn_row(struct sess *sess, struct conn *conn, struct span bytes)
{
    size_t at = 0;
    uint64_t skip = 1;
    struct frame frame;

    for (uint64_t i = 0; i <= skip; i++) {
        struct wire payload;

        if (frame_decode(bytes.p + at, bytes.len - at, &frame) != DEC_OK ||
            bytes.len - at < FRAME_HEADER + frame.len) {
            return -WR_E_BAD_PACKET;
        }
        wire_init(&payload, (struct span){bytes.p + at + FRAME_HEADER, frame.len});
        at += FRAME_HEADER + frame.len;
        if (i == 0) {
            skip = wire_lenenc(&payload) + 1;
        } else if (i == skip) {
            for (unsigned var = 0; var < SVEC_COUNT && wire_left(&payload) > 0; var++) {
                int err = learn_value(sess, conn, (enum svec_var)var, &payload);

                if (err < 0) {
                    return err;
                }
            }
        }
    }
    return 0;
}

void sess_learn_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->own_server);
    struct reply walk;
    struct reply_step step = {0};
    size_t used = 0;

    if (len > LEARN_MAX || conn == NULL) {
        sess_server_lost(sess, sess->own_server);
        return;
    }
    /* walked from the start each time: it is one small row, and comes in one piece but for
     * the rarest cases */
    walk = sess->reply;
    while (used < len) {
        enum dec_rc rc = reply_feed(&walk, bytes + used, len - used, &step);

        used += step.used;
        if (rc == DEC_BAD || step.event == REPLY_EV_ERR) {
            break;
        }
        if (rc == DEC_MORE) {
            break;
        }
        if (step.done) {
            sess->own = SESS_OWN_NONE;
            if (learn_row(sess, conn, (struct span){bytes, used}) < 0) {
                log_warn(&sess->log, "learn_failed", "the session's state could not be read");
                if (sess->pins == 0) {
                    metric_add(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
                }
                sess->pins |= PIN_BIT(PIN_UNKNOWN);
            }
            sess_note_own(sess);
            sess_buf_give(sess, &sess->rest);
            sess_refresh(sess);
            sess_idle(sess);
            return;
        }
    }
    if (used == len && step.event == REPLY_EV_NONE) {
        if (!sess_keep_rest(sess, bytes, 0, len)) {
            sess_close(sess, "no memory for a reply");
        }
        return;
    }
    sess_server_lost(sess, sess->own_server);
}
