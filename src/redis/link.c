/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/redis/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "weir/io/loop.h"
#include "weir/io/mailbox.h"
#include "weir/io/resolve.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/util/assert.h"
#include "weir/util/buf.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define OUT_AT_ONCE  ((size_t)64 * 1024) /* beyond that it is written at once */
#define OUT_KEEP     ((size_t)16 * 1024)
#define WORDS_MAX    REDIS_WORDS_MAX
#define READ_BYTES   ((size_t)16 * 1024)
#define READS_A_TURN 16
#define OUT_MAX      ((uint32_t)4 * 1024 * 1024)
#define STEADY_US    UINT64_C(1000000) /* up for so long, it is tried again soon */
#define KEEPALIVE_S  30

struct request {
    redis_reply_fn reply; /* NULL: of the login */
    void *arg;
    uint64_t deadline_us;
};

struct redis_link {
    /* owning */
    struct stream stream;
    struct mailbox *box; /* for answers of the resolver */
    struct redis_reader *reader;
    struct buf out; /* commands of this turn */
    /* borrowed */
    struct loop *loop;
    struct resolver *resolver;
    /* values */
    struct redis_conf conf;
    struct redis_calls calls;
    enum redis_state state;
    struct timer step;    /* the next attempt, or the end of patience with this one */
    struct timer overdue; /* of the oldest request */
    struct loop_task flush;
    struct resolve_list list;
    uint32_t next_addr;
    uint32_t first; /* of the ring of requests */
    uint32_t count;
    struct request requests[REDIS_REQUESTS_MAX];
    uint32_t login_left; /* replies that login waits for */
    uint64_t retry_us;
    uint64_t up_us;
    int last_err;
    uint64_t epoch; /* goes up when it goes down: who loops over bytes notices */
    struct rand_state rng;
};

static void set_state(struct redis_link *link, enum redis_state state)
{
    static const uint32_t next[] = {
        [REDIS_ST_WAIT] = 1U << REDIS_ST_RESOLVE | 1U << REDIS_ST_WAIT,
        [REDIS_ST_RESOLVE] = 1U << REDIS_ST_CONNECT | 1U << REDIS_ST_WAIT,
        [REDIS_ST_CONNECT] = 1U << REDIS_ST_LOGIN | 1U << REDIS_ST_WAIT,
        [REDIS_ST_LOGIN] = 1U << REDIS_ST_UP | 1U << REDIS_ST_WAIT,
        [REDIS_ST_UP] = 1U << REDIS_ST_WAIT,
    };

    WR_ASSERT((next[link->state] >> state & 1U) != 0);
    link->state = state;
}

const char *redis_state_text(enum redis_state state)
{
    static const char *const texts[] = {
#define X(name, text) [REDIS_ST_##name] = (text),
        REDIS_STATES(X)
#undef X
    };

    return texts[state];
}

/* --- requests --- */

static void overdue_arm(struct redis_link *link)
{
    if (link->count == 0) {
        timer_cancel(&link->overdue);
    } else {
        timer_arm_at(&link->overdue, link->requests[link->first].deadline_us);
    }
}

static struct request request_pop(struct redis_link *link)
{
    struct request request = link->requests[link->first];

    link->first = (link->first + 1) % REDIS_REQUESTS_MAX;
    link->count--;
    overdue_arm(link);
    return request;
}

static void requests_fail(struct redis_link *link, int err)
{
    uint32_t count = link->count; /* callbacks can add none: the link is not up */

    for (uint32_t i = 0; i < count; i++) {
        struct request request = request_pop(link);

        if (request.reply != NULL) {
            request.reply(request.arg, err, NULL);
        }
    }
}

/* --- down, and up again --- */

static uint64_t jitter(struct redis_link *link, uint64_t us)
{
    return us / 2 + rand_below(&link->rng, us / 2 + 1);
}

/* --- writing: what one turn of the loop sends goes out at its end, together --- */

static void out_drop(struct redis_link *link)
{
    loop_task_cancel(&link->flush);
    buf_clear(&link->out);
    if (link->out.cap > OUT_KEEP) {
        buf_fini(&link->out);
        buf_init(&link->out);
    }
}

static int out_write(struct redis_link *link)
{
    int r = buf_len(&link->out) == 0
                ? 0
                : stream_write(&link->stream, buf_span(&link->out).p, buf_len(&link->out));

    out_drop(link);
    return r < 0 ? r : 0;
}

static int out_put(struct redis_link *link, struct span bytes)
{
    int r = 0;

    if (bytes.len > OUT_AT_ONCE) { /* not copied once more */
        r = out_write(link);
        r = r < 0 ? r : stream_write(&link->stream, bytes.p, bytes.len);
        return r < 0 ? r : 0;
    }
    r = buf_append_span(&link->out, bytes, SIZE_MAX);
    if (r < 0) {
        return r;
    }
    if (buf_len(&link->out) >= OUT_AT_ONCE) {
        return out_write(link);
    }
    loop_defer(link->loop, &link->flush);
    return 0;
}

static void go_down(struct redis_link *link, int err, const char *why)
{
    bool was_up = link->state == REDIS_ST_UP;
    bool was_steady = was_up && loop_now_us(link->loop) >= link->up_us + STEADY_US;
    bool was_idle = was_steady && link->count == 0 && err == -WR_E_CLOSED;

    if (link->state == REDIS_ST_WAIT) {
        return;
    }
    if (was_steady) {
        link->retry_us = REDIS_RETRY_MIN_US;
    }
    link->last_err = err;
    link->epoch++;
    stream_close(&link->stream);
    out_drop(link);
    redis_reader_destroy(link->reader);
    link->reader = NULL;
    set_state(link, REDIS_ST_WAIT);
    /* Redis closes what is idle (its timeout): that is no failure */
    timer_arm_in(&link->step, was_idle ? 0 : jitter(link, link->retry_us));
    link->retry_us =
        link->retry_us * 2 < REDIS_RETRY_MAX_US ? link->retry_us * 2 : REDIS_RETRY_MAX_US;
    requests_fail(link, err);
    link->calls.on_down(link->calls.arg, was_up, why);
}

static void stream_broke(struct redis_link *link)
{
    char why[REDIS_WHY_BYTES];
    int err = stream_error(&link->stream);

    stream_error_text(&link->stream, why, sizeof(why));
    go_down(link, err == 0 ? -WR_E_CLOSED : err, why);
}

static void on_flush(void *arg)
{
    struct redis_link *link = arg;
    int r = out_write(link);

    if (r < 0) {
        go_down(link, r, err_text(r));
    }
}

static void on_overdue(void *arg)
{
    struct redis_link *link = arg;

    go_down(link, -WR_E_TIMEOUT, "no reply in time (redis.timeout)");
}

static void connect_next(struct redis_link *link);

static void on_step(void *arg)
{
    struct redis_link *link = arg;
    int r = 0;

    if (link->state != REDIS_ST_WAIT) {
        go_down(link, -WR_E_TIMEOUT, "not logged in in time (redis.connect_timeout)");
        return;
    }
    set_state(link, REDIS_ST_RESOLVE);
    r = resolver_ask(link->resolver, link->conf.host, link->conf.port, link->box, 0, NULL);
    if (r < 0) {
        go_down(link, r, err_text(r));
    }
}

static void on_resolved(void *arg, struct mail *mail)
{
    struct redis_link *link = arg;
    struct resolve_mail *answer = WR_CONTAINER_OF(mail, struct resolve_mail, mail);

    if (link->state == REDIS_ST_RESOLVE) {
        if (answer->err < 0) {
            go_down(link, answer->err, "its name has no address");
        } else {
            link->list = answer->list;
            set_state(link, REDIS_ST_CONNECT);
            timer_arm_in(&link->step, link->conf.connect_timeout_us);
            connect_next(link);
        }
    }
    mail->free_fn(mail);
}

/* --- login --- */

static int command_write(struct redis_link *link, const struct span *words, size_t count)
{
    const char *argv[WORDS_MAX];
    size_t lens[WORDS_MAX];
    char *bytes = NULL;
    int len = 0;
    int r = 0;

    WR_ASSERT(count <= WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        argv[i] = (const char *)words[i].p;
        lens[i] = words[i].len;
    }
    len = redisFormatCommandArgv(&bytes, (int)count, argv, lens);
    if (len < 0) {
        return -ENOMEM;
    }
    if (link->state == REDIS_ST_LOGIN) {
        r = stream_write(&link->stream, bytes, (size_t)len);
        crypto_wipe(bytes, (size_t)len);
    } else {
        r = out_put(link, (struct span){(const uint8_t *)bytes, (size_t)len});
    }
    redisFreeCommand(bytes);
    return r < 0 ? r : 0;
}

static void request_note(struct redis_link *link, redis_reply_fn reply, void *arg)
{
    link->requests[(link->first + link->count) % REDIS_REQUESTS_MAX] = (struct request){
        .reply = reply,
        .arg = arg,
        .deadline_us = loop_now_us(link->loop) + link->conf.timeout_us,
    };
    link->count++;
    overdue_arm(link);
}

static int request_push(struct redis_link *link, const struct span *words, size_t count,
                        redis_reply_fn reply, void *arg)
{
    int r = 0;

    if (link->count == REDIS_REQUESTS_MAX) {
        return -WR_E_LIMIT;
    }
    r = command_write(link, words, count);
    if (r < 0) {
        return r;
    }
    request_note(link, reply, arg);
    return 0;
}

static int login_push(struct redis_link *link, const struct span *words, size_t count)
{
    int r = request_push(link, words, count, NULL, NULL);

    link->login_left += r < 0 ? 0 : 1;
    return r;
}

/* All of it at once: a refused AUTH makes the rest fail, too, and the first error is told. */
static void login_begin(struct redis_link *link)
{
    const struct redis_conf *conf = &link->conf;
    char number[16];
    int r = 0;

    set_state(link, REDIS_ST_LOGIN);
    link->login_left = 0;
    if (conf->password.p != NULL) {
        const struct span words[] = {SPAN_LIT("AUTH"), span_of(conf->user), conf->password};
        const struct span bare[] = {SPAN_LIT("AUTH"), conf->password};

        r = conf->user != NULL ? login_push(link, words, 3) : login_push(link, bare, 2);
    }
    if (r == 0 && conf->database != 0) {
        (void)snprintf(number, sizeof(number), "%u", (unsigned)conf->database);
        const struct span words[] = {SPAN_LIT("SELECT"), span_of(number)};

        r = login_push(link, words, 2);
    }
    if (r == 0) {
        const struct span words[] = {SPAN_LIT("SUBSCRIBE"), span_of(conf->channel)};
        const struct span ping[] = {SPAN_LIT("PING")};

        r = conf->channel != NULL ? login_push(link, words, 2) : login_push(link, ping, 1);
    }
    if (r < 0) {
        go_down(link, r, err_text(r));
    }
}

static void login_reply(struct redis_link *link, const struct redis_value *value)
{
    char why[REDIS_WHY_BYTES];

    if (value->kind == REDIS_ERROR) {
        (void)snprintf(why, sizeof(why), "Redis says: %.*s",
                       (int)(value->text.len < 160 ? value->text.len : 160),
                       (const char *)value->text.p);
        go_down(link, -WR_E_AUTH, why);
        return;
    }
    if (--link->login_left > 0) {
        return;
    }
    timer_cancel(&link->step);
    link->up_us = loop_now_us(link->loop);
    set_state(link, REDIS_ST_UP);
    link->calls.on_up(link->calls.arg);
}

/* --- what comes --- */

static void on_push(struct redis_link *link, const struct redis_value *value)
{
    if (value->kind == REDIS_ARRAY && value->count == 3 && value->items[0].kind == REDIS_STRING &&
        value->items[2].kind == REDIS_STRING && span_eq_text(value->items[0].text, "message") &&
        span_eq_text(value->items[1].text, link->conf.channel)) {
        link->calls.on_message(link->calls.arg, value->items[2].text);
        return;
    }
    go_down(link, -WR_E_BAD_PACKET, "the subscription was answered by something else");
}

static void on_value(struct redis_link *link, const struct redis_value *value)
{
    if (link->count > 0) {
        struct request request = request_pop(link);

        if (request.reply == NULL) {
            login_reply(link, value);
        } else {
            request.reply(request.arg, 0, value);
        }
    } else if (link->conf.channel != NULL && link->state == REDIS_ST_UP) {
        on_push(link, value);
    } else {
        go_down(link, -WR_E_BAD_PACKET, "Redis says what nobody has asked for");
    }
}

/* False: the connection of before is gone. */
static bool values_take(struct redis_link *link)
{
    const struct redis_value *value = NULL;
    uint64_t epoch = link->epoch;
    enum dec_rc rc = redis_reader_next(link->reader, &value);

    while (rc == DEC_OK) {
        on_value(link, value);
        if (link->epoch != epoch) {
            return false;
        }
        rc = redis_reader_next(link->reader, &value);
    }
    if (rc == DEC_BAD) {
        go_down(link, -WR_E_BAD_PACKET, "not a reply of Redis, or larger than it may be");
        return false;
    }
    return true;
}

static void on_readable(struct redis_link *link)
{
    uint8_t *bytes = loop_scratch(link->loop);

    for (int i = 0; i < READS_A_TURN; i++) {
        size_t n = 0;
        int r = 0;

        switch (stream_read(&link->stream, bytes, READ_BYTES, &n)) {
        case IO_DONE:
            break;
        case IO_AGAIN:
            return;
        case IO_EOF:
            go_down(link, -WR_E_CLOSED, "Redis closed the connection");
            return;
        case IO_FAIL:
            stream_broke(link);
            return;
        }
        r = redis_reader_feed(link->reader, bytes, n);
        if (r < 0) {
            go_down(link, r, err_text(r));
            return;
        }
        if (!values_take(link) || n < READ_BYTES) {
            return;
        }
    }
}

/* --- the stream --- */

static void on_stream(void *arg, enum stream_event event)
{
    struct redis_link *link = arg;
    int r = 0;

    switch (event) {
    case STREAM_READABLE:
        if (link->state == REDIS_ST_LOGIN || link->state == REDIS_ST_UP) {
            on_readable(link);
        } else if (link->state == REDIS_ST_CONNECT) {
            go_down(link, -WR_E_BAD_PACKET, "it speaks first: that is no Redis");
        }
        break;
    case STREAM_DRAINED:
        break;
    case STREAM_CONNECTED:
        if (link->conf.tls == NULL) {
            login_begin(link);
            break;
        }
        r = stream_start_tls_connect(&link->stream, link->conf.tls, link->conf.tls_name, 0);
        if (r < 0) {
            go_down(link, r, err_text(r));
        }
        break;
    case STREAM_TLS_READY:
        login_begin(link);
        break;
    case STREAM_CLOSED:
        stream_broke(link);
        break;
    }
}

/* One address for each attempt, by turns. */
static void connect_next(struct redis_link *link)
{
    static const struct stream_connect_opts opts = {.keepalive_s = KEEPALIVE_S};
    const struct resolve_addr *addr = &link->list.addrs[link->next_addr % link->list.count];
    int r = redis_reader_create(link->conf.max_reply_bytes, &link->reader);

    link->next_addr++;
    if (r == 0) {
        stream_init(&link->stream);
        r = stream_connect(&link->stream, link->loop, (const struct sockaddr *)&addr->addr,
                           addr->len, &opts, on_stream, link);
    }
    if (r < 0) {
        go_down(link, r, err_text(r));
        return;
    }
    /* whoever takes large replies also sends such */
    stream_set_limit(&link->stream, OUT_MAX + 2 * (uint32_t)link->conf.max_reply_bytes);
}

/* --- life --- */

int redis_link_create(struct loop *loop, struct resolver *resolver, const struct redis_conf *conf,
                      const struct redis_calls *calls, struct redis_link **ret_link)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    int r = 0;

    if (link == NULL) {
        return -ENOMEM;
    }
    link->loop = loop;
    link->resolver = resolver;
    link->conf = *conf;
    link->calls = *calls;
    link->retry_us = REDIS_RETRY_MIN_US;
    stream_init(&link->stream);
    timer_init(&link->step, loop, on_step, link);
    timer_init(&link->overdue, loop, on_overdue, link);
    loop_task_init(&link->flush, on_flush, link);
    buf_init(&link->out);
    rand_seed_system(&link->rng);
    r = mailbox_create(loop, on_resolved, link, &link->box);
    if (r < 0) {
        free(link);
        return r;
    }
    timer_arm_in(&link->step, 0);
    *ret_link = link;
    return 0;
}

static void link_free(void *link)
{
    free(link);
}

void redis_link_destroy(struct redis_link *link)
{
    if (link == NULL) {
        return;
    }
    if (link->state != REDIS_ST_WAIT) {
        stream_close(&link->stream);
        set_state(link, REDIS_ST_WAIT);
    }
    out_drop(link);
    buf_fini(&link->out);
    requests_fail(link, -WR_E_CLOSED);
    timer_cancel(&link->step);
    timer_cancel(&link->overdue);
    mailbox_close(link->box);
    redis_reader_destroy(link->reader);
    loop_bury(link->loop, link, link_free);
}

bool redis_link_is_up(const struct redis_link *link)
{
    return link->state == REDIS_ST_UP;
}

enum redis_state redis_link_state(const struct redis_link *link)
{
    return link->state;
}

uint32_t redis_link_in_flight(const struct redis_link *link)
{
    return link->count;
}

int redis_link_send(struct redis_link *link, const struct span *words, size_t count,
                    redis_reply_fn reply, void *arg)
{
    int r = 0;

    WR_ASSERT(reply != NULL && count > 0);
    if (link->state != REDIS_ST_UP || link->conf.channel != NULL) {
        return -WR_E_STATE;
    }
    if (count > WORDS_MAX) {
        return -WR_E_LIMIT;
    }
    r = request_push(link, words, count, reply, arg);
    if (r < 0 && r != -WR_E_LIMIT) {
        go_down(link, r, err_text(r));
    }
    return r;
}

int redis_link_put(struct redis_link *link, struct span bytes, redis_reply_fn reply, void *arg)
{
    int r = 0;

    WR_ASSERT(reply != NULL && bytes.len > 0);
    if (link->state != REDIS_ST_UP || link->conf.channel != NULL) {
        return -WR_E_STATE;
    }
    if (link->count == REDIS_REQUESTS_MAX) {
        return -WR_E_LIMIT;
    }
    r = out_put(link, bytes);
    if (r < 0) {
        go_down(link, r, err_text(r));
        return r;
    }
    request_note(link, reply, arg);
    return 0;
}

int redis_link_last_error(const struct redis_link *link)
{
    return link->last_err;
}

void redis_link_reset(struct redis_link *link, const char *why)
{
    go_down(link, -WR_E_CLOSED, why);
}
