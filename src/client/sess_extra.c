/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * Session variables beside those of the vector's own places. A SET of one that can be repeated
 * (classify/set.c has the list) is followed by a question to the same server: what has it become?
 * The answer goes into the vector, and the session stays free of a pin. When it cannot be kept
 * (a value that cannot be written safely, too many) the session is pinned as for any other variable.
 */

#define ASK_MAX    ((size_t)2048)
#define ANSWER_MAX ((size_t)16 * 1024)

static int put_name(struct sess *sess, struct span name)
{
    int r = buf_len(&sess->extra) == 0 ? 0 : buf_append(&sess->extra, ",", 1, ASK_MAX);

    for (size_t i = 0; i < name.len && r >= 0; i++) {
        uint8_t c = name.p[i];

        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
        r = buf_append(&sess->extra, &c, 1, ASK_MAX);
    }
    return r;
}

/* Remember what to ask for, from the statement's facts, before its text is gone. */
void sess_extra_note(struct sess *sess, const struct facts *facts)
{
    int r = 0;

    buf_clear(&sess->extra);
    if ((facts->bits & FACT(SET_EXTRA)) == 0) {
        (void)sess_role_note(sess);
        return;
    }
    if ((facts->bits & FACT(SET_ROLE)) != 0) {
        sess->cmd.pins |= PIN_BIT(PIN_UNKNOWN); /* both, in several statements: too much to ask */
    }
    for (unsigned i = 0; i < facts->set_count && r >= 0; i++) {
        r = put_name(sess, facts->set_names[i]);
        if (r >= 0 && span_eq_text_nocase(facts->set_names[i], "max_join_size")) {
            r = put_name(sess, SPAN_LIT("sql_big_selects")); /* it changes that as well */
        }
    }
    if (r < 0) {
        buf_fini(&sess->extra);
        buf_init(&sess->extra);
        sess->cmd.pins |= PIN_BIT(PIN_UNTRACKED_VARIABLE);
    }
}

static bool next_name(struct span *list, struct span *ret_name)
{
    const uint8_t *comma = NULL;
    size_t len = 0;

    if (list->len == 0) {
        return false;
    }
    comma = memchr(list->p, ',', list->len);
    len = comma == NULL ? list->len : (size_t)(comma - list->p);
    *ret_name = (struct span){list->p, len};
    list->p += comma == NULL ? len : len + 1;
    list->len -= comma == NULL ? len : len + 1;
    return true;
}

static void forget(struct sess *sess)
{
    buf_fini(&sess->extra);
    buf_init(&sess->extra);
}

void sess_extra_done(struct sess *sess, bool was_sent)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);

    if (!was_sent || (sess->cmd.got_err && (sess->cmd.bits & FACT(MULTI)) == 0)) {
        forget(sess); /* nothing was set */
    } else if (sess->cmd.sets_role && conn != NULL) {
        /* until the answer is here, nobody must take it for what it was */
        (void)!svec_set_unknown(&conn->svec, SVEC_ROLE);
    }
}

bool sess_extra_ask(struct sess *sess)
{
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    struct span names = buf_span(&sess->extra);
    struct span name = {NULL, 0};
    struct buf text = {0};
    const char *between = "SELECT @@session.";
    const char *sql = NULL;
    int r = 0;

    if (sess->cmd.sets_role) {
        forget(sess);
        return sess_role_ask(sess, conn);
    }
    sess_buf_take(sess, &text);
    while (r >= 0 && next_name(&names, &name)) {
        r = buf_append_text(&text, between, ANSWER_MAX);
        between = ",@@session.";
        if (r >= 0) {
            r = buf_append_span(&text, name, ANSWER_MAX);
        }
    }
    sql = r < 0 ? NULL : buf_text(&text);
    if (conn == NULL || sql == NULL || sess_send_text(conn, sql) < 0) {
        r = -WR_E_CLOSED;
    }
    sess_buf_give(sess, &text);
    if (r < 0) {
        forget(sess);
        sess_pin(sess, PIN_UNTRACKED_VARIABLE);
        return false;
    }
    sess_sync_wait(sess, SESS_OWN_EXTRA, sess->cmd.server, 1, REPLY_QUERY);
    return true;
}

/* Values that change what weir itself lives on: the life of an idle connection, which must be twice
 * as long as the pool keeps it, and what a COMMIT does beside committing. */
static bool is_for_one(const struct sess *sess, struct span name, struct span value)
{
    uint64_t seconds = 0;

    if (span_eq_text(name, "completion_type")) {
        return !span_eq_text(value, "NO_CHAIN");
    }
    if (!span_eq_text(name, "wait_timeout") && !span_eq_text(name, "interactive_timeout")) {
        return false;
    }
    for (size_t i = 0; i < value.len && i < 10; i++) {
        seconds = seconds * 10 + (uint64_t)(value.p[i] - '0');
    }
    return seconds * UINT64_C(500000) < sess->env->config->pool.idle_us;
}

static int take_value(struct sess *sess, struct conn *conn, struct span name, struct wire *row)
{
    struct span value = {NULL, 0};
    int r = 0;

    if (row->p < row->end && *row->p == 0xFB) {
        return -WR_E_UNSUPPORTED;
    }
    value = wire_lenenc_bytes(row);
    if (!wire_ok(row)) {
        return -WR_E_BAD_PACKET;
    }
    if (is_for_one(sess, name, value)) {
        return -WR_E_UNSUPPORTED;
    }
    r = svec_extra_put(&sess->svec, name, value);
    return r < 0 ? r : svec_extra_put(&conn->svec, name, value);
}

/* Behind the column count and as many definitions. */
int sess_one_row(struct span bytes, struct wire *ret_row)
{
    size_t at = 0;
    uint64_t columns = 0;

    wire_init(ret_row, (struct span){NULL, 0});
    for (uint64_t i = 0; i <= columns + 1; i++) {
        struct frame frame;
        struct wire payload;

        if (frame_decode(bytes.p + at, bytes.len - at, &frame) != DEC_OK ||
            bytes.len - at < FRAME_HEADER + frame.len) {
            return -WR_E_BAD_PACKET;
        }
        wire_init(&payload, (struct span){bytes.p + at + FRAME_HEADER, frame.len});
        at += FRAME_HEADER + frame.len;
        if (i == 0) {
            columns = wire_lenenc(&payload);
            if (columns > UINT16_MAX) {
                return -WR_E_BAD_PACKET;
            }
        } else if (i == columns + 1) {
            *ret_row = payload;
        }
    }
    return 0;
}

static int take_row(struct sess *sess, struct conn *conn, struct span bytes)
{
    struct span names = buf_span(&sess->extra);
    struct span name = {NULL, 0};
    struct wire row;
    int r = sess_one_row(bytes, &row);

    while (r >= 0 && next_name(&names, &name)) {
        r = take_value(sess, conn, name, &row);
    }
    return r;
}

void sess_extra_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    struct conn *conn = sess_conn(sess, sess->own_server);
    struct reply walk = sess->reply;
    struct reply_step step = {0};
    size_t used = 0;
    bool is_over = false;

    while (used < len && !is_over) {
        enum dec_rc rc = reply_feed(&walk, bytes + used, len - used, &step);

        used += step.used;
        if (rc == DEC_MORE) {
            break;
        }
        is_over = rc == DEC_BAD || step.event == REPLY_EV_ERR || step.done;
    }
    if (!is_over && len <= ANSWER_MAX) {
        if (!sess_keep_rest(sess, bytes, 0, len)) {
            sess_close(sess, "no memory for a reply");
        }
        return;
    }
    if (!is_over || used != len || conn == NULL) {
        sess_server_lost(sess, sess->own_server);
        return;
    }
    if (!step.done || step.event == REPLY_EV_ERR ||
        take_row(sess, conn, (struct span){bytes, used}) < 0) {
        sess_pin(sess, PIN_UNTRACKED_VARIABLE);
    }
    forget(sess);
    sess_note_own(sess);
    sess->own = SESS_OWN_NONE;
    sess_buf_give(sess, &sess->rest);
    sess_idle(sess);
}
