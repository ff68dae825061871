/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, two connections: one publishes, one is subscribed. A mark on the board wakes it; what
 * is dirty goes out at once, and while Redis has not answered for FRESH_FLIGHT_MAX messages it stays
 * on the board, where marks of the same slot become one. Each message has a number that is used up
 * whether or not it could be sent, so that whoever misses it learns that from the next one.
 */
#include "weir/fresh/fresh.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weir/backend/positions.h"
#include "weir/io/loop.h"
#include "weir/io/mailbox.h"
#include "weir/io/resolve.h"
#include "weir/io/timer.h"
#include "weir/io/watch.h"
#include "weir/route/guard.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "message_priv.h"
#include "peers_priv.h"

#define CHANNEL_BYTES 128
#define TEXT_BYTES    (REDIS_WHY_BYTES + 64)
#define REPLY_MAX     (MESSAGE_MAX * 2)
#define BAD_SAID_US   UINT64_C(60000000)
#define ECHO_LATE_US  UINT64_C(2000000) /* then the subscription is made anew */

enum fresh_mail {
    FRESH_MAIL_STOP,
    FRESH_MAIL_POSITIONS,
};

struct fresh {
    /* owning */
    struct loop *loop;
    struct mailbox *box;
    struct resolver *resolver;
    struct redis_link *publisher;
    struct redis_link *subscriber;
    struct buf message;
    struct gtid_set token;
    struct gtid_set heard;
    int wake_fd;
    /* counted */
    const struct position_set *primary; /* may be NULL */
    /* borrowed */
    struct metric_shard *metrics;
    /* values */
    struct fresh_conf conf;
    char channel[CHANNEL_BYTES];
    struct message_key key;
    struct peers peers;
    struct log_ctx log;
    struct watch watch;
    struct timer beat;
    struct timer bye;
    uint64_t subscribed_us;
    uint64_t bad_said_us; /* 0: never */
    pthread_t thread;
    bool is_started;
    bool is_up;     /* both connections are, and that was told */
    bool is_down;   /* and that was told */
    bool is_ending; /* good bye has been said */
    struct mail stop;
};

static void event(struct fresh *fresh, enum fresh_event event, const char *text)
{
    fresh->conf.on_event(fresh->conf.arg, event, text);
}

/* --- who is heard --- */

static void lease(struct fresh *fresh)
{
    uint64_t now_us = loop_now_us(fresh->loop);
    uint64_t until_us = peers_hear_until_us(&fresh->peers, now_us);

    causal_board_hear_until(fresh->conf.board, until_us);
    metric_set(fresh->metrics, METRIC_FRESH_HEARS, METRIC_NONE, until_us > now_us ? 1 : 0);
    metric_set(fresh->metrics, METRIC_FRESH_PEERS, METRIC_NONE,
               (int64_t)peers_count(&fresh->peers));
}

static void missed(struct fresh *fresh)
{
    guard_missed(fresh->conf.guard, loop_now_us(fresh->loop));
    causal_board_missed(fresh->conf.board, loop_now_us(fresh->loop));
}

static void peer_event(struct fresh *fresh, enum fresh_event what, uint64_t instance,
                       const char *said)
{
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof(text), "weir %016" PRIx64 " %s", instance, said);
    event(fresh, what, text);
}

static bool marks_take(struct fresh *fresh, struct wire *marks)
{
    uint64_t now_us = loop_now_us(fresh->loop);
    const struct gtid_set *whole = fresh->primary == NULL ? NULL : &fresh->primary->set;
    struct causal_out out;
    enum dec_rc rc = message_next(marks, &out, &fresh->heard, now_us);

    while (rc == DEC_OK) {
        causal_board_hear(fresh->conf.board, &out, &fresh->heard, whole, now_us);
        guard_hear(fresh->conf.guard, out.slot, now_us);
        metric_inc(fresh->metrics, METRIC_FRESH_MARKS, METRIC_NONE);
        rc = message_next(marks, &out, &fresh->heard, now_us);
    }
    return rc == DEC_MORE;
}

static void peer_news(struct fresh *fresh, const struct message_head *head,
                      const struct peers_news *news)
{
    if (news->is_self) {
        return;
    }
    if (head->kind == MESSAGE_BYE && news->said != PEERS_OLD) {
        peer_event(fresh, FRESH_WEIR_LEFT, head->instance, "has stopped");
    } else if (news->is_new) {
        peer_event(fresh, FRESH_WEIR_FOUND, head->instance, "is heard");
    } else if (news->is_back) {
        peer_event(fresh, FRESH_WEIR_FOUND, head->instance, "is heard again");
    }
}

/* Another secret elsewhere makes ten a second: it is said once a minute. */
static void bad_log(struct fresh *fresh, size_t len)
{
    uint64_t now_us = loop_now_us(fresh->loop);

    if (fresh->bad_said_us == 0 || now_us >= fresh->bad_said_us + BAD_SAID_US) {
        fresh->bad_said_us = now_us;
        log_warn(&fresh->log, "fresh_message_bad",
                 "%zu bytes on channel %s are not a message of a weir of this version with this "
                 "secret: taken for a write that nobody knows (weir_fresh_messages_bad_total)",
                 len, fresh->channel);
    }
}

static void on_message(void *arg, struct span payload)
{
    struct fresh *fresh = arg;
    struct message_head head;
    struct peers_news news;
    struct wire marks;
    bool is_good = message_open(payload, &fresh->key, &head, &marks);

    /* what can be read of one that turns out bad is heard all the same: that harms nobody */
    if (is_good && head.instance != fresh->peers.self) {
        metric_inc(fresh->metrics, METRIC_FRESH_RECEIVED, METRIC_NONE);
        is_good = marks_take(fresh, &marks);
    }
    if (!is_good) {
        metric_inc(fresh->metrics, METRIC_FRESH_BAD, METRIC_NONE);
        bad_log(fresh, payload.len);
        missed(fresh);
        return;
    }
    news = peers_hear(&fresh->peers, &head, loop_now_us(fresh->loop));
    metric_add(fresh->metrics, METRIC_FRESH_LOST, METRIC_NONE, news.lost);
    if (news.said == PEERS_MISSED || (news.is_self && news.said == PEERS_FIRST)) {
        missed(fresh);
    }
    peer_news(fresh, &head, &news);
    lease(fresh);
}

/* --- to be heard --- */

static void on_published(void *arg, int err, const struct redis_value *value);

static void publish(struct fresh *fresh)
{
    int r = message_end(&fresh->message, &fresh->key);

    if (r == 0) {
        const struct span words[] = {SPAN_LIT("PUBLISH"), span_of(fresh->channel),
                                     buf_span(&fresh->message)};

        r = redis_link_send(fresh->publisher, words, WR_ARRAY_LEN(words), on_published, fresh);
    }
    metric_inc(fresh->metrics, r == 0 ? METRIC_FRESH_SENT : METRIC_FRESH_UNSENT, METRIC_NONE);
}

static bool can_send(const struct fresh *fresh)
{
    return redis_link_is_up(fresh->publisher) &&
           redis_link_in_flight(fresh->publisher) < FRESH_FLIGHT_MAX;
}

/* All that is dirty; is_due: a message in any case. */
static void flush(struct fresh *fresh, enum message_kind kind, bool is_due)
{
    uint64_t now_us = loop_now_us(fresh->loop);
    uint32_t cursor = 0;
    bool has_more = true;

    while (has_more && can_send(fresh)) {
        struct message_head head = {.kind = kind, .instance = fresh->peers.self};
        struct causal_out out;
        int r = 0;

        has_more = causal_board_collect(fresh->conf.board, &cursor, &fresh->token, &out);
        if (!has_more && !is_due) {
            return;
        }
        head.number = peers_send(&fresh->peers, now_us);
        r = message_begin(&fresh->message, &head);
        while (r == 0 && has_more) {
            r = message_add(&fresh->message, &out, &fresh->token, now_us);
            if (r < 0 || buf_len(&fresh->message) >= MESSAGE_FULL) {
                break;
            }
            has_more = causal_board_collect(fresh->conf.board, &cursor, &fresh->token, &out);
        }
        if (r == 0) {
            publish(fresh);
        } /* else: no memory; whoever hears the next one sees that this one is missing */
        is_due = false;
    }
}

static void end_if_said(struct fresh *fresh)
{
    if (fresh->is_ending && redis_link_in_flight(fresh->publisher) == 0) {
        loop_stop(fresh->loop);
    }
}

static void on_published(void *arg, int err, const struct redis_value *value)
{
    struct fresh *fresh = arg;

    if (err == 0 && value->kind == REDIS_ERROR) {
        metric_inc(fresh->metrics, METRIC_FRESH_UNSENT, METRIC_NONE);
        log_warn(&fresh->log, "fresh_refused", "PUBLISH %s: Redis says: %.*s", fresh->channel,
                 (int)(value->text.len < 160 ? value->text.len : 160), (const char *)value->text.p);
    }
    if (!fresh->is_ending && err == 0) {
        flush(fresh, MESSAGE_MARKS, false);
    }
    end_if_said(fresh);
}

static void on_wake(void *arg)
{
    struct fresh *fresh = arg;
    uint64_t count = 0;

    if (read(fresh->wake_fd, &count, sizeof(count)) > 0 && !fresh->is_ending) {
        flush(fresh, MESSAGE_MARKS, false);
    }
}

/* In the thread of a mark. */
static void wake(void *arg)
{
    const struct fresh *fresh = arg;
    uint64_t one = 1;

    (void)!write(fresh->wake_fd, &one, sizeof(one));
}

/* --- connections --- */

static void check_up(struct fresh *fresh)
{
    bool is_up = redis_link_is_up(fresh->publisher) && redis_link_is_up(fresh->subscriber);
    char text[TEXT_BYTES];

    if (is_up == fresh->is_up) {
        return;
    }
    fresh->is_up = is_up;
    metric_set(fresh->metrics, METRIC_REDIS_UP, METRIC_NONE, is_up ? 1 : 0);
    if (is_up) {
        fresh->is_down = false;
        (void)snprintf(text, sizeof(text), "connected, channel %s", fresh->channel);
        event(fresh, FRESH_REDIS_UP, text);
        flush(fresh, MESSAGE_MARKS, true);
    }
}

static void on_down(struct fresh *fresh, const char *which, const char *why)
{
    char text[TEXT_BYTES];

    metric_inc(fresh->metrics, METRIC_REDIS_BROKEN, METRIC_NONE);
    check_up(fresh);
    if (!fresh->is_down && !fresh->is_ending) {
        fresh->is_down = true;
        (void)snprintf(text, sizeof(text),
                       "%s: %s; reads of the scopes user, key and global go to the primary", which,
                       why);
        event(fresh, FRESH_REDIS_DOWN, text);
    }
}

static void on_publisher_up(void *arg)
{
    check_up(arg);
}

static void on_publisher_down(void *arg, bool was_up, const char *why)
{
    (void)was_up;
    on_down(arg, "publishing", why);
    end_if_said(arg);
}

static void on_subscriber_up(void *arg)
{
    struct fresh *fresh = arg;

    fresh->subscribed_us = loop_now_us(fresh->loop);
    check_up(fresh);
}

static void on_subscriber_down(void *arg, bool was_up, const char *why)
{
    struct fresh *fresh = arg;

    (void)was_up;
    peers_cut(&fresh->peers);
    lease(fresh);
    on_down(fresh, "subscription", why);
}

/* --- time --- */

static void look_for_silence(struct fresh *fresh, uint64_t now_us)
{
    uint64_t instance = 0;

    /* while nothing is heard nobody is known to be silent */
    if (fresh->peers.echo_us == 0 || now_us >= fresh->peers.echo_us + PEERS_LEASE_US) {
        return;
    }
    while ((instance = peers_silent(&fresh->peers, now_us)) != 0) {
        peer_event(fresh, FRESH_WEIR_SILENT, instance,
                   "has fallen silent; reads of the scopes user, key and global go to the primary "
                   "until it is heard or forgotten (redis.forget)");
    }
    while ((instance = peers_forget(&fresh->peers, now_us)) != 0) {
        peer_event(fresh, FRESH_WEIR_FORGOTTEN, instance,
                   "has been silent for redis.forget and is not waited for any more");
    }
}

static void on_beat(void *arg)
{
    struct fresh *fresh = arg;
    uint64_t now_us = loop_now_us(fresh->loop);
    uint64_t since_us =
        fresh->peers.echo_us > fresh->subscribed_us ? fresh->peers.echo_us : fresh->subscribed_us;

    timer_arm_in(&fresh->beat, PEERS_BEAT_US);
    flush(fresh, MESSAGE_MARKS, true);
    look_for_silence(fresh, now_us);
    if (fresh->is_up && now_us >= since_us + ECHO_LATE_US) {
        redis_link_reset(fresh->subscriber, "what is published does not come back");
    }
    lease(fresh);
}

static void on_bye_late(void *arg)
{
    struct fresh *fresh = arg;

    loop_stop(fresh->loop);
}

static void say_bye(struct fresh *fresh)
{
    timer_cancel(&fresh->beat);
    timer_arm_in(&fresh->bye, FRESH_BYE_US);
    flush(fresh, MESSAGE_MARKS, false);
    fresh->is_ending = true;
    flush(fresh, MESSAGE_BYE, true);
    end_if_said(fresh);
}

/* --- life --- */

struct positions_mail {
    struct mail mail;
    const struct position_set *primary; /* counted */
};

static void positions_mail_free(struct mail *mail)
{
    struct positions_mail *own = WR_CONTAINER_OF(mail, struct positions_mail, mail);

    position_set_unref(own->primary);
    free(own);
}

static void stop_mail_free(struct mail *mail)
{
    (void)mail; /* it is a part of what ends */
}

static void on_mail(void *arg, struct mail *mail)
{
    struct fresh *fresh = arg;

    switch ((enum fresh_mail)mail->kind) {
    case FRESH_MAIL_STOP:
        say_bye(fresh);
        break;
    case FRESH_MAIL_POSITIONS: {
        struct positions_mail *own = WR_CONTAINER_OF(mail, struct positions_mail, mail);
        const struct position_set *old = fresh->primary;

        fresh->primary = own->primary;
        own->primary = old;
        break;
    }
    }
    mail->free_fn(mail);
}

void fresh_post_positions(struct fresh *fresh, const struct position_set *primary)
{
    struct positions_mail *mail = calloc(1, sizeof(*mail));

    if (mail == NULL) {
        position_set_unref(primary);
        return;
    }
    mail->mail = (struct mail){.kind = FRESH_MAIL_POSITIONS, .free_fn = positions_mail_free};
    mail->primary = primary;
    (void)mailbox_post_newest(fresh->box, &mail->mail);
}

static void *fresh_main(void *arg)
{
    struct fresh *fresh = arg;

    (void)pthread_setname_np(pthread_self(), "redis");
    (void)!loop_run(fresh->loop);
    return NULL;
}

static int links_create(struct fresh *fresh)
{
    struct redis_conf conf = fresh->conf.redis;
    const struct redis_calls publisher = {
        .on_up = on_publisher_up, .on_down = on_publisher_down, .arg = fresh};
    const struct redis_calls subscriber = {.on_up = on_subscriber_up,
                                           .on_down = on_subscriber_down,
                                           .on_message = on_message,
                                           .arg = fresh};
    int r = 0;

    conf.max_reply_bytes = REPLY_MAX;
    conf.channel = NULL;
    r = redis_link_create(fresh->loop, fresh->resolver, &conf, &publisher, &fresh->publisher);
    if (r == 0) {
        conf.channel = fresh->channel;
        r = redis_link_create(fresh->loop, fresh->resolver, &conf, &subscriber, &fresh->subscriber);
    }
    return r;
}

static int parts_create(struct fresh *fresh)
{
    const struct fresh_conf *conf = &fresh->conf;
    int r = loop_create(&fresh->loop);

    if (r == 0) {
        timer_init(&fresh->beat, fresh->loop, on_beat, fresh);
        timer_init(&fresh->bye, fresh->loop, on_bye_late, fresh);
        r = mailbox_create(fresh->loop, on_mail, fresh, &fresh->box);
    }
    if (r == 0) {
        fresh->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = fresh->wake_fd < 0 ? -errno : 0;
    }
    if (r == 0) {
        r = watch_start(&fresh->watch, fresh->loop, fresh->wake_fd, on_wake, fresh);
    }
    if (r == 0) {
        r = resolver_create(&fresh->resolver);
    }
    if (r == 0) {
        r = metric_shard_create(conf->registry, &fresh->metrics);
    }
    if (r == 0) {
        fresh->log.room = "fresh";
        r = log_ring_create(conf->logger, "redis", &fresh->log.ring);
    }
    return r == 0 ? links_create(fresh) : r;
}

int fresh_create(const struct fresh_conf *conf, struct fresh **ret_fresh)
{
    struct fresh *fresh = calloc(1, sizeof(*fresh));
    uint64_t self = 0;
    int r = 0;

    if (fresh == NULL) {
        return -ENOMEM;
    }
    fresh->conf = *conf;
    fresh->wake_fd = -1;
    (void)snprintf(fresh->channel, sizeof(fresh->channel), "%s:fresh", conf->prefix);
    fresh->key = (struct message_key){.secret = conf->secret, .channel = span_of(fresh->channel)};
    while (self == 0) {
        crypto_random(&self, sizeof(self));
    }
    peers_init(&fresh->peers, self, conf->forget_us);
    r = parts_create(fresh);
    if (r == 0) {
        causal_board_share(conf->board, wake, fresh);
        timer_arm_in(&fresh->beat, PEERS_BEAT_US);
        r = -pthread_create(&fresh->thread, NULL, fresh_main, fresh);
    }
    if (r < 0) {
        fresh_destroy(fresh);
        return r;
    }
    fresh->is_started = true;
    *ret_fresh = fresh;
    return 0;
}

void fresh_destroy(struct fresh *fresh)
{
    if (fresh == NULL) {
        return;
    }
    if (fresh->is_started) {
        fresh->stop = (struct mail){.kind = FRESH_MAIL_STOP, .free_fn = stop_mail_free};
        (void)mailbox_post(fresh->box, &fresh->stop);
        (void)pthread_join(fresh->thread, NULL);
    }
    redis_link_destroy(fresh->publisher);
    redis_link_destroy(fresh->subscriber);
    resolver_destroy(fresh->resolver);
    watch_stop(&fresh->watch);
    if (fresh->box != NULL) {
        mailbox_close(fresh->box);
    }
    timer_cancel(&fresh->beat);
    timer_cancel(&fresh->bye);
    loop_destroy(fresh->loop);
    if (fresh->wake_fd >= 0) {
        (void)close(fresh->wake_fd);
    }
    position_set_unref(fresh->primary);
    gtid_fini(&fresh->token);
    gtid_fini(&fresh->heard);
    buf_fini(&fresh->message);
    free(fresh);
}
