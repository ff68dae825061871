/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_priv.h"

/*
 * What a client may ask about its last statement when the connection that ran it is with somebody
 * else by now. Before that went, weir has asked for all of it, in words that leave what they show;
 * the servers' own replies are kept, each behind its length:
 *
 *   SHOW WARNINGS | SHOW ERRORS | SHOW COUNT(*) WARNINGS | SHOW COUNT(*) ERRORS
 *
 * SELECT @@warning_count is the third with another name for its column, which the servers agree
 * upon; MySQL forgets everything with it. Whatever else asks (GET DIAGNOSTICS) finds nothing, and
 * the session keeps its connections from then on.
 */

#define DIAG_MAX   ((size_t)64 * 1024)
#define LABEL_MAX  60U
#define DIAG_COUNT 4U

static const char *const ASKS[DIAG_COUNT] = {
    "SHOW WARNINGS",
    "SHOW ERRORS",
    "SHOW COUNT(*) WARNINGS",
    "SHOW COUNT(*) ERRORS",
};

/* The name of the one column of the last two. */
static const char *const COUNTS[DIAG_COUNT] = {
    NULL,
    NULL,
    "@@session.warning_count",
    "@@session.error_count",
};

bool sess_diag_ask(struct sess *sess, struct conn *conn)
{
    for (unsigned i = 0; i < DIAG_COUNT; i++) {
        if (sess_send_text(conn, ASKS[i]) < 0) {
            sess_server_lost(sess, (int16_t)conn->server_index);
            return false;
        }
    }
    sess_sync_wait(sess, SESS_OWN_ASK_LAST, (int16_t)conn->server_index, DIAG_COUNT, REPLY_QUERY);
    return true;
}

static int keep_all(struct sess *sess, uint8_t *bytes, size_t len)
{
    size_t at = 0;

    buf_clear(&sess->diag);
    for (unsigned i = 0; i < DIAG_COUNT; i++) {
        size_t used = 0;
        int r = sess_own_step(sess, bytes + at, len - at, &used);
        uint32_t part = (uint32_t)used;

        if (r != 1) {
            return r == 2 ? -WR_E_BAD_PACKET : r;
        }
        if (buf_append(&sess->diag, &part, sizeof(part), 2 * DIAG_MAX) < 0 ||
            buf_append(&sess->diag, bytes + at, part, 2 * DIAG_MAX) < 0) {
            return -WR_E_TOO_LARGE;
        }
        at += part;
    }
    return at == len ? 1 : -WR_E_BAD_PACKET;
}

void sess_diag_feed(struct sess *sess, uint8_t *bytes, size_t len)
{
    int r = keep_all(sess, bytes, len);

    if (r > 0) {
        sess_hold_answered(sess, SESS_HOLD_LAST);
        return;
    }
    buf_clear(&sess->diag);
    if (r == 0) {
        sess_own_more(sess, bytes, len, DIAG_MAX);
    } else {
        sess_server_lost(sess, sess->own_server);
    }
}

/* --- what is asked --- */

struct question {
    unsigned which;    /* of ASKS */
    struct span label; /* of a SELECT: what its column is called */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A word, or one character that is none. */
static struct span take(struct span *sql)
{
    struct span word = {NULL, 0};

    while (sql->len > 0 && is_blank(*sql->p)) {
        sql->p++;
        sql->len--;
    }
    word.p = sql->p;
    while (word.len < sql->len &&
           (is_word(word.p[word.len]) || word.p[word.len] == '@' || word.p[word.len] == '.')) {
        word.len++;
    }
    if (word.len == 0 && sql->len > 0) {
        word.len = 1;
    }
    sql->p += word.len;
    sql->len -= word.len;
    return word;
}

static bool ask_show(struct span sql, struct question *ret)
{
    struct span word = take(&sql);

    ret->which = 0;
    ret->label.len = 0;
    if (span_eq_text_nocase(word, "count")) {
        if (sql.len == 0 || *sql.p != '(') {
            return false; /* nothing may stand between */
        }
        (void)take(&sql);
        if (!span_eq_text(take(&sql), "*") || !span_eq_text(take(&sql), ")")) {
            return false;
        }
        ret->which = 2;
        word = take(&sql);
    }
    if (span_eq_text_nocase(word, "errors")) {
        ret->which++;
    } else if (!span_eq_text_nocase(word, "warnings")) {
        return false;
    }
    return take(&sql).len == 0;
}

static bool ask_count(struct span word, unsigned *ret_which)
{
    static const char *const scopes[] = {"@@", "@@session.", "@@local."};

    for (size_t i = 0; i < WR_ARRAY_LEN(scopes); i++) {
        size_t len = strlen(scopes[i]);
        struct span name = {word.p + len, word.len - len};

        if (word.len <= len || strncasecmp((const char *)word.p, scopes[i], len) != 0) {
            continue;
        }
        if (span_eq_text_nocase(name, "warning_count") ||
            span_eq_text_nocase(name, "error_count")) {
            *ret_which = span_eq_text_nocase(name, "error_count") ? 3 : 2;
            return true;
        }
    }
    return false;
}

/* An alias, bare or quoted: of plain words, with a blank between them at most. */
static bool take_label(struct span *sql, struct span *ret_label)
{
    struct span word = take(sql);
    uint8_t quote = word.len == 1 ? *word.p : 0;
    size_t len = 0;

    if (quote != '`' && quote != '\'' && quote != '"') {
        *ret_label = word;
        return word.len != 0 && word.len <= LABEL_MAX && is_word(*word.p) &&
               !(*word.p >= '0' && *word.p <= '9') && memchr(word.p, '@', word.len) == NULL &&
               memchr(word.p, '.', word.len) == NULL;
    }
    while (len < sql->len && (is_word(sql->p[len]) || sql->p[len] == ' ')) {
        len++;
    }
    *ret_label = (struct span){sql->p, len};
    if (len == 0 || len > LABEL_MAX || len == sql->len || sql->p[len] != quote ||
        sql->p[0] == ' ' || sql->p[len - 1] == ' ') {
        return false;
    }
    sql->p += len + 1;
    sql->len -= len + 1;
    return true;
}

static bool ask_select(struct span sql, struct question *ret)
{
    struct span rest = {NULL, 0};
    struct span word = {NULL, 0};

    ret->label = take(&sql);
    if (!ask_count(ret->label, &ret->which)) {
        return false;
    }
    rest = sql;
    word = take(&rest);
    if (word.len == 0) {
        return true;
    }
    if (span_eq_text_nocase(word, "as")) {
        sql = rest;
    }
    return take_label(&sql, &ret->label) && take(&sql).len == 0;
}

static bool ask_parse(struct span sql, struct question *ret)
{
    struct span verb = {NULL, 0};

    while (sql.len > 0 && (sql.p[sql.len - 1] == ';' || is_blank(sql.p[sql.len - 1]))) {
        sql.len--;
    }
    verb = take(&sql);
    if (span_eq_text_nocase(verb, "show")) {
        return ask_show(sql, ret);
    }
    return span_eq_text_nocase(verb, "select") && ask_select(sql, ret);
}

/* --- the answer --- */

static struct span kept(const struct sess *sess, unsigned which)
{
    struct span all = buf_span(&sess->diag);

    for (unsigned i = 0;; i++) {
        uint32_t part = 0;

        if (all.p == NULL || all.len < sizeof(part)) {
            return (struct span){NULL, 0};
        }
        memcpy(&part, all.p, sizeof(part));
        if (i == which) {
            return (struct span){all.p + sizeof(part), part};
        }
        all.p += sizeof(part) + part;
        all.len -= sizeof(part) + part;
    }
}

/* The same with another name for its only column. */
static int relabel(struct span reply, const char *name, struct span label, struct buf *out)
{
    /* catalog, no schema, no table of two names, and the name */
    static const uint8_t ahead[] = {3, 'd', 'e', 'f', 0, 0, 0};
    const size_t at = 2 * FRAME_HEADER + 1 + sizeof(ahead); /* of the name, behind the count */
    size_t len = name == NULL ? 0 : strlen(name);
    uint8_t head[FRAME_HEADER];
    uint8_t label_len = (uint8_t)label.len;
    struct frame frame;
    int r = 0;

    if (len == 0 || reply.len < at + 1 + len ||
        memcmp(reply.p + at - sizeof(ahead), ahead, sizeof(ahead)) != 0 || reply.p[at] != len ||
        memcmp(reply.p + at + 1, name, len) != 0 ||
        frame_decode(reply.p + FRAME_HEADER + 1, FRAME_HEADER, &frame) == DEC_BAD) {
        return -WR_E_BAD_PACKET; /* a character set that does not write ASCII so */
    }
    frame_encode(head, frame.len - (uint32_t)len + (uint32_t)label.len, frame.seq);
    r = buf_append(out, reply.p, FRAME_HEADER + 1, DIAG_MAX);
    r = r < 0 ? r : buf_append(out, head, sizeof(head), DIAG_MAX);
    r = r < 0 ? r : buf_append(out, ahead, sizeof(ahead), DIAG_MAX);
    r = r < 0 ? r : buf_append(out, &label_len, 1, DIAG_MAX);
    r = r < 0 ? r : buf_append_span(out, label, DIAG_MAX);
    return r < 0 ? r : buf_append(out, reply.p + at + 1 + len, reply.len - at - 1 - len, DIAG_MAX);
}

/* As the client can read it; the tracker changes the bytes it walks over. */
static int translate(struct sess *sess, struct buf *copy, struct buf *out)
{
    struct reply reply;
    size_t used = 0;
    int r = 0;

    reply_begin(&reply, REPLY_QUERY, &sess->reply_front, 1, sess->status);
    while (r >= 0 && used < buf_len(copy)) {
        struct reply_step step;

        if (reply_feed(&reply, copy->data + copy->off + used, buf_len(copy) - used, &step) !=
            DEC_OK) {
            r = -WR_E_BAD_PACKET;
        }
        used += step.used;
        for (unsigned i = 0; r >= 0 && i < step.iov_count; i++) {
            r = buf_append(out, step.iov[i].iov_base, step.iov[i].iov_len, SESS_ANSWER_MAX);
        }
    }
    return r;
}

bool sess_diag_answer(struct sess *sess, struct span sql, const struct facts *facts)
{
    struct question question = {0};
    struct buf copy = {0};
    struct buf out = {0};
    uint32_t version = 0;
    int r = 0;

    if (buf_len(&sess->diag) == 0 || (facts->bits & FACT(LAST)) == 0 ||
        !ask_parse(sql, &question)) {
        return false;
    }
    sess_buf_take(sess, &out);
    if (question.label.len == 0 || COUNTS[question.which] == NULL) {
        r = buf_append_span(&copy, kept(sess, question.which), DIAG_MAX);
    } else {
        r = relabel(kept(sess, question.which), COUNTS[question.which], question.label, &copy);
    }
    if (r >= 0) {
        r = translate(sess, &copy, &out);
    }
    buf_fini(&copy);
    if (r < 0) {
        sess_buf_give(sess, &out);
        return false;
    }
    sess->row_count = -1;
    if (COUNTS[question.which] != NULL) {
        sess->found_rows = 1; /* the others leave it as it was */
    }
    if (question.label.len != 0 && sess_flavour(sess, &version) == TOPO_FLAVOUR_MYSQL) {
        buf_fini(&sess->diag);
        buf_init(&sess->diag);
    }
    sess_answer(sess, &out);
    return true;
}
