/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/backend/positions.h"
#include "weir/backend/topo.h"
#include "weir/config/config.h"
#include "weir/core/worker.h"
#include "weir/fresh/fresh.h"
#include "weir/io/mailbox.h"
#include "weir/io/tls.h"

#include "share_priv.h"

struct share {
    /* owning */
    struct fresh *fresh;
    struct tls_ctx *tls; /* counted; NULL: none */
    /* counted */
    struct mailbox *control;
};

struct share_mail {
    struct mail mail;
    enum event_kind kind;
    char text[EVENT_TEXT_BYTES];
};

static void share_mail_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct share_mail, mail));
}

/* Without the memory for it an event is not told. */
static void on_event(void *arg, enum fresh_event event, const char *text)
{
    static const enum event_kind kinds[] = {
        [FRESH_REDIS_UP] = EVENT_REDIS_UP,       [FRESH_REDIS_DOWN] = EVENT_REDIS_DOWN,
        [FRESH_WEIR_FOUND] = EVENT_WEIR_FOUND,   [FRESH_WEIR_LEFT] = EVENT_WEIR_LEFT,
        [FRESH_WEIR_SILENT] = EVENT_WEIR_SILENT, [FRESH_WEIR_FORGOTTEN] = EVENT_WEIR_FORGOTTEN,
    };
    const struct share *share = arg;
    struct share_mail *mail = calloc(1, sizeof(*mail));

    if (mail != NULL) {
        mail->mail = (struct mail){.kind = CONTROL_MAIL_FRESH, .free_fn = share_mail_free};
        mail->kind = kinds[event];
        (void)snprintf(mail->text, sizeof(mail->text), "%s", text);
        (void)mailbox_post(share->control, &mail->mail);
    }
}

const char *share_mail_text(struct mail *mail, enum event_kind *ret_kind)
{
    const struct share_mail *own = WR_CONTAINER_OF(mail, struct share_mail, mail);

    *ret_kind = own->kind;
    return own->text;
}

static int tls_make(struct share *share, const struct config *config,
                    char ret_why[SETTINGS_WHY_BYTES])
{
    const struct config_redis *redis = &config->redis;
    char why[TLS_WHY_BYTES] = "";
    int r = 0;

    if (redis->tls == CONFIG_REDIS_TLS_OFF) {
        return 0;
    }
    r = tls_client_create(redis->tls == CONFIG_REDIS_TLS_VERIFY ? TLS_MODE_VERIFY
                                                                : TLS_MODE_REQUIRED,
                          redis->tls_ca != NULL ? redis->tls_ca : config->tls.ca, why, &share->tls);
    if (r == 0 && config->tls.min_version == CONFIG_TLS_1_3) {
        r = tls_require_13(share->tls);
    }
    if (r < 0) {
        (void)snprintf(ret_why, SETTINGS_WHY_BYTES, "redis: %s", why);
    }
    return r;
}

int share_create(const struct share_conf *conf, char ret_why[SETTINGS_WHY_BYTES],
                 struct share **ret_share)
{
    const struct config_redis *redis = &conf->config->redis;
    bool is_unix = redis->address.kind == CONFIG_ADDR_UNIX;
    struct fresh_conf fresh = {
        .redis =
            {
                .host = is_unix ? redis->address.path : redis->address.host,
                .port = redis->address.port,
                .database = redis->database,
                .user = redis->user,
                .password = {.p = redis->password.p, .len = redis->password.len},
                .tls_name =
                    redis->tls_server_name != NULL ? redis->tls_server_name : redis->address.host,
                .connect_timeout_us = redis->connect_timeout_us,
                .timeout_us = redis->timeout_us,
            },
        .prefix = redis->prefix,
        .secret = {.p = redis->secret.p, .len = redis->secret.len},
        .forget_us = redis->forget_us,
        .board = conf->board,
        .guard = conf->guard,
        .registry = conf->registry,
        .logger = conf->logger,
        .on_event = on_event,
    };
    struct share *share = NULL;
    int r = 0;

    ret_why[0] = '\0';
    *ret_share = NULL;
    if (redis->address.kind == CONFIG_ADDR_NONE || !redis->share) {
        return 0;
    }
    share = calloc(1, sizeof(*share));
    if (share == NULL) {
        return -ENOMEM;
    }
    share->control = mailbox_ref(conf->control);
    r = tls_make(share, conf->config, ret_why);
    if (r == 0) {
        fresh.redis.tls = share->tls;
        fresh.arg = share;
        r = fresh_create(&fresh, &share->fresh);
    }
    if (r < 0) {
        share_destroy(share);
        return r;
    }
    *ret_share = share;
    return 0;
}

void share_destroy(struct share *share)
{
    if (share != NULL) {
        fresh_destroy(share->fresh);
        tls_unref(share->tls);
        mailbox_unref(share->control);
        free(share);
    }
}

void share_on_positions(struct share *share, const struct positions *positions,
                        const struct topo *topo)
{
    const struct position *primary =
        share == NULL || topo == NULL ? NULL : positions_of_primary(positions, topo->primary);

    if (primary != NULL) {
        fresh_post_positions(share->fresh, position_set_ref(primary->executed));
    }
}
