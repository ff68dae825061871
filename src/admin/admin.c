/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of operators: few, served by the control thread between its other work, bounded in
 * number and time. Bytes come in, packets go to the login or to the statements, one at a time: while
 * an answer is awaited the client is not read.
 */
#include "weir/admin/admin.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/client/listener.h"
#include "weir/client/sess.h"
#include "weir/protocol/frame.h"
#include "weir/util/assert.h"
#include "weir/util/crypto.h"

#include "admin_priv.h"

#define FLUSH_US   UINT64_C(3000000)
#define ID_BITS    24
#define ID_TAG_NOT 0xFFu /* the upper byte is never that of this process' client sessions */

static const uint32_t STATE_NEXT[ADMIN_ST_END_] = {
#define AFTER(name) (1U << ADMIN_ST_##name)
    [ADMIN_ST_RESPONSE] = AFTER(REPLY) | AFTER(FULL) | AFTER(IDLE) | AFTER(CLOSING),
    [ADMIN_ST_REPLY] = AFTER(REPLY) | AFTER(FULL) | AFTER(IDLE) | AFTER(CLOSING),
    [ADMIN_ST_FULL] = AFTER(IDLE) | AFTER(CLOSING),
    [ADMIN_ST_IDLE] = AFTER(WAIT) | AFTER(CLOSING),
    [ADMIN_ST_WAIT] = AFTER(IDLE) | AFTER(CLOSING),
    [ADMIN_ST_CLOSING] = 0,
#undef AFTER
};

static bool is_in_login(enum admin_state state)
{
    return state == ADMIN_ST_RESPONSE || state == ADMIN_ST_REPLY || state == ADMIN_ST_FULL;
}

static bool is_alive(const struct admin_sess *sess)
{
    return stream_is_open(&sess->front);
}

void admin_view(const struct admin_sess *sess, struct admin_view *ret_view)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;

    calls->view(calls->arg, ret_view);
}

void admin_set_state(struct admin_sess *sess, enum admin_state state)
{
    struct admin_view view;

    WR_ASSERT((STATE_NEXT[sess->state] & (1U << state)) != 0);
    if (is_in_login(sess->state) && !is_in_login(state)) {
        sess->admin->in_login--;
    }
    sess->state = state;
    admin_view(sess, &view);
    if (state == ADMIN_ST_IDLE) {
        timer_arm_in(&sess->timer, view.config->admin.idle_us);
        stream_want_read(&sess->front, true);
    } else if (state == ADMIN_ST_WAIT) {
        timer_arm_in(&sess->timer, ADMIN_WAIT_US);
        stream_want_read(&sess->front, false);
    } else if (state == ADMIN_ST_CLOSING) {
        timer_arm_in(&sess->timer, FLUSH_US);
    }
}

/* --- the end --- */

static void sess_free(void *arg)
{
    free(arg);
}

void admin_close(struct admin_sess *sess)
{
    struct admin *admin = sess->admin;

    if (!is_alive(sess)) {
        return;
    }
    log_info(admin->conf.log, "admin_closed", "session %u of '%s'", (unsigned)sess->id, sess->user);
    if (is_in_login(sess->state)) {
        admin->in_login--;
    }
    list_remove(&sess->node);
    admin->count--;
    metric_sub(admin->conf.metrics, METRIC_ADMIN_SESSIONS, METRIC_NONE, 1);
    admin_wait_end(sess);
    timer_cancel(&sess->timer);
    loop_task_cancel(&sess->task);
    stream_close(&sess->front);
    buf_fini_secret(&sess->in);
    crypto_wipe(sess->scramble, sizeof(sess->scramble));
    loop_bury(admin->conf.loop, sess, sess_free);
}

void admin_close_flushed(struct admin_sess *sess)
{
    if (!is_alive(sess) || sess->state == ADMIN_ST_CLOSING) {
        return;
    }
    if (stream_out_bytes(&sess->front) == 0) {
        /* from the run queue: whoever has called may still look at the session */
        sess->is_front_eof = true;
        admin_set_state(sess, ADMIN_ST_CLOSING);
        loop_defer(sess->admin->conf.loop, &sess->task);
        return;
    }
    admin_set_state(sess, ADMIN_ST_CLOSING);
    stream_set_water(&sess->front, 1, 0);
}

void admin_send(struct admin_sess *sess, struct buf *bytes)
{
    struct span out = buf_span(bytes);

    if (is_alive(sess) && stream_write(&sess->front, out.p, out.len) < 0) {
        sess->is_front_eof = true;
        if (sess->state != ADMIN_ST_CLOSING) {
            admin_set_state(sess, ADMIN_ST_CLOSING);
        }
        loop_defer(sess->admin->conf.loop, &sess->task);
    }
    buf_fini(bytes);
}

/* --- bytes --- */

static void tls_begin(struct admin_sess *sess)
{
    struct span early = buf_span(&sess->in);
    struct admin_view view;
    int rc = 0;

    admin_view(sess, &view);
    rc = stream_start_tls_accept(&sess->front, view.tls, early.p, early.len);
    buf_clear(&sess->in);
    if (rc < 0) {
        admin_close(sess);
    }
}

/* Packets as far as they are whole and the session is free for them. */
static void process(struct admin_sess *sess)
{
    while (is_alive(sess) && sess->state != ADMIN_ST_WAIT && sess->state != ADMIN_ST_CLOSING &&
           buf_len(&sess->in) != 0) {
        bool is_login = is_in_login(sess->state);
        struct frame_packet packet;
        enum dec_rc rc = frame_packet_decode(sess->in.data + sess->in.off, buf_len(&sess->in),
                                             is_login ? (size_t)64 * 1024 : ADMIN_PACKET_MAX,
                                             is_login ? sess->seq : 0, &packet);
        struct span payload;

        if (rc == DEC_MORE) {
            break;
        }
        if (rc == DEC_BAD) {
            metric_inc(sess->admin->conf.metrics, METRIC_PROTOCOL_VIOLATIONS, METRIC_NONE);
            admin_login_refuse(sess, is_login ? 1043 : 1153, "08S01",
                               is_login ? "Bad handshake"
                                        : "Got a packet out of order, or bigger than weir takes");
            return;
        }
        payload = frame_packet_payload(sess->in.data + sess->in.off, &packet);
        sess->seq = packet.next_seq;
        if (is_login) {
            admin_login_packet(sess, payload);
        } else {
            admin_packet(sess, payload);
        }
        if (!is_alive(sess)) {
            return;
        }
        if (is_login) {
            crypto_wipe(sess->in.data + sess->in.off, packet.wire_len); /* may hold a password */
        }
        buf_consume(&sess->in, packet.wire_len);
        if (sess->is_tls_begun && !stream_is_tls(&sess->front) && sess->state != ADMIN_ST_CLOSING) {
            tls_begin(sess);
            return;
        }
    }
    if (is_alive(sess)) {
        buf_trim(&sess->in);
        if (sess->is_front_eof && sess->state == ADMIN_ST_IDLE) {
            admin_close_flushed(sess);
        }
    }
}

static void on_task(void *arg)
{
    struct admin_sess *sess = arg;

    if (sess->state == ADMIN_ST_CLOSING) {
        if (stream_out_bytes(&sess->front) == 0 || sess->is_front_eof) {
            admin_close(sess);
        }
        return;
    }
    process(sess);
}

static void read_front(struct admin_sess *sess)
{
    uint8_t *scratch = loop_scratch(sess->admin->conf.loop);
    size_t n = 0;
    enum io_rc rc = stream_read(&sess->front, scratch, LOOP_SCRATCH_BYTES, &n);

    if (rc == IO_AGAIN) {
        return;
    }
    if (rc == IO_EOF && sess->state == ADMIN_ST_WAIT) {
        sess->is_front_eof = true; /* the answer may still be read */
        return;
    }
    if (rc != IO_DONE) {
        admin_close(sess);
        return;
    }
    if (sess->state == ADMIN_ST_CLOSING) {
        return;
    }
    if (buf_append(&sess->in, scratch, n, ADMIN_PACKET_MAX + LOOP_SCRATCH_BYTES) < 0) {
        admin_close(sess);
        return;
    }
    if (sess->state != ADMIN_ST_WAIT) {
        process(sess);
    }
}

static void on_front(void *arg, enum stream_event event)
{
    struct admin_sess *sess = arg;

    WR_ASSERT(sess->magic == ADMIN_MAGIC);
    switch (event) {
    case STREAM_READABLE:
        read_front(sess);
        return;
    case STREAM_DRAINED:
        if (sess->state == ADMIN_ST_CLOSING) {
            admin_close(sess);
        }
        return;
    case STREAM_CLOSED:
        admin_close(sess);
        return;
    case STREAM_TLS_READY:
    case STREAM_CONNECTED:
        return;
    }
}

static void on_timer(void *arg)
{
    struct admin_sess *sess = arg;

    if (sess->state == ADMIN_ST_WAIT) {
        admin_wait_timeout(sess);
    } else {
        admin_close(sess); /* login too slow, idle too long, or it does not read */
    }
}

/* --- accepting --- */

static void peer_text(struct admin_sess *sess, const struct sess_accept *accept)
{
    union {
        const struct sockaddr_storage *storage;
        const struct sockaddr *addr;
    } peer = {.storage = &accept->peer};

    (void)snprintf(sess->peer, sizeof(sess->peer), "localhost");
    if (!accept->is_unix && getnameinfo(peer.addr, accept->peer_len, sess->peer, sizeof(sess->peer),
                                        NULL, 0, NI_NUMERICHOST) != 0) {
        (void)snprintf(sess->peer, sizeof(sess->peer), "unknown");
    }
}

static void on_accept(void *arg, const struct sess_accept *accept)
{
    struct admin *admin = arg;
    struct admin_sess *sess = calloc(1, sizeof(*sess));
    struct admin_view view;

    if (sess == NULL) {
        (void)close(accept->fd);
        return;
    }
    admin->conf.calls.view(admin->conf.calls.arg, &view);
    admin->next_id = (admin->next_id + 1) & ((1U << ID_BITS) - 1);
    sess->magic = ADMIN_MAGIC;
    sess->id = ((uint32_t)(view.instance_tag ^ ID_TAG_NOT) << ID_BITS) | admin->next_id;
    sess->admin = admin;
    sess->is_unix = accept->is_unix;
    sess->is_tls_offered = accept->is_tls_offered && view.tls != NULL;
    sess->is_tls_required = accept->is_tls_required;
    sess->began_us = loop_now_us(admin->conf.loop);
    peer_text(sess, accept);
    timer_init(&sess->timer, admin->conf.loop, on_timer, sess);
    loop_task_init(&sess->task, on_task, sess);
    stream_init(&sess->front);
    if (stream_open(&sess->front, admin->conf.loop, accept->fd, on_front, sess) < 0) {
        (void)close(accept->fd);
        free(sess);
        return;
    }
    list_push(&admin->sessions, &sess->node);
    admin->count++;
    admin->in_login++;
    metric_add(admin->conf.metrics, METRIC_ADMIN_SESSIONS, METRIC_NONE, 1);
    timer_arm_in(&sess->timer, view.config->auth.login_timeout_us);
    admin_login_begin(sess);
}

static void on_load(void *arg, struct listener_load *ret_load)
{
    const struct admin *admin = arg;

    ret_load->clients = admin->count;
    ret_load->in_login = admin->in_login;
}

struct admin_sess *admin_find(struct admin *admin, uint32_t id)
{
    list_for_each (node, &admin->sessions) {
        struct admin_sess *sess = list_entry(node, struct admin_sess, node);

        if (sess->id == id) {
            return sess;
        }
    }
    return NULL;
}

bool admin_is_own_id(const struct admin_sess *sess, uint64_t id)
{
    return id >> ID_BITS == sess->id >> ID_BITS;
}

/* --- life --- */

int admin_create(const struct admin_conf *conf, struct admin **ret_admin)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    const struct listener_calls calls = {.load = on_load, .on_accept = on_accept, .arg = admin};
    struct admin_view view;

    if (admin == NULL) {
        return -ENOMEM;
    }
    admin->conf = *conf;
    list_init(&admin->sessions);
    conf->calls.view(conf->calls.arg, &view);

    const struct listener_limits limits = {
        .max_clients = view.config->admin.max_clients,
        .max_in_login = view.config->admin.max_clients,
        .setting = "admin.max_clients",
    };
    int rc = listener_start(conf->listeners, conf->loop, &calls, &limits, conf->metrics, conf->log);

    if (rc < 0) {
        free(admin);
        return rc;
    }
    *ret_admin = admin;
    return 0;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL) {
        return;
    }
    listener_stop(admin->conf.listeners);
    list_for_each_safe (node, &admin->sessions) {
        admin_close(list_entry(node, struct admin_sess, node));
    }
    free(admin);
}
