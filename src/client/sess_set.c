/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/route/causal.h"
#include "weir/util/assert.h"
#include "weir/util/err.h"

#include "sess_cache_priv.h"
#include "sess_login_priv.h"
#include "sess_priv.h"
#include "sess_renew_priv.h"

/* Of a drain, for a client that has been told why it is ended. */
#define LAST_WORD_US UINT64_C(500000)

/* The sessions of one worker: accepted, told of new snapshots, drained. */

int sess_take_defaults(struct sess *sess)
{
    const struct sess_set *set = sess->set;
    const struct topo_server *primary = topo_primary(sess->env->topo);
    int err = 0;

    if (primary == NULL || !primary->has_defaults) {
        return 0;
    }
    if (set->is_mode_mixed) {
        err = svec_set(&sess->svec, SVEC_SQL_MODE, span_of(primary->defaults.sql_mode));
    }
    if (err >= 0 && set->is_zone_mixed) {
        err = svec_set(&sess->svec, SVEC_TIME_ZONE, span_of(primary->defaults.time_zone));
    }
    if (err >= 0 && set->is_isolation_mixed) {
        err = svec_set(&sess->svec, SVEC_ISOLATION,
                       span_of(topo_isolation_text(primary->defaults.isolation)));
    }
    return err;
}

static void host_text(struct sess *sess, const struct sess_accept *accept)
{
    const struct sockaddr_storage *peer = &accept->peer;

    if (accept->is_unix) {
        (void)snprintf(sess->host, sizeof(sess->host), "localhost");
    } else if (peer->ss_family == AF_INET) {
        struct sockaddr_in in4;

        memcpy(&in4, peer, sizeof(in4));
        (void)inet_ntop(AF_INET, &in4.sin_addr, sess->host, sizeof(sess->host));
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, peer, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, sess->host, sizeof(sess->host));
    }
}

static int slot_find(struct sess_set *set, uint32_t *ret_slot)
{
    for (uint32_t i = 0; set->count < set->max && i <= SESS_ID_MASK; i++) {
        uint32_t slot = (set->next_slot + i) & SESS_ID_MASK;

        if (set->table[slot] == NULL && slot != 0) { /* an id is never 0 */
            set->next_slot = slot + 1;
            *ret_slot = slot;
            return 0;
        }
    }
    return -WR_E_LIMIT;
}

/* Servers whose own defaults differ from the primary's would answer differently: then sessions
 * carry the primary's values in their vector from the start. */
static void compare_defaults(struct sess_set *set, const struct topo_server *primary)
{
    const struct topo *topo = set->env->topo;

    set->is_mode_mixed = false;
    set->is_zone_mixed = false;
    set->is_isolation_mixed = false;
    for (unsigned i = 0; i < topo->server_count; i++) {
        const struct topo_server *server = &topo->servers[i];

        if (!server->has_defaults) {
            continue;
        }
        set->is_mode_mixed |= strcmp(server->defaults.sql_mode, primary->defaults.sql_mode) != 0;
        set->is_zone_mixed |= strcmp(server->defaults.time_zone, primary->defaults.time_zone) != 0;
        set->is_isolation_mixed |= server->defaults.isolation != primary->defaults.isolation;
    }
}

static void set_refresh(struct sess_set *set)
{
    const struct topo_server *primary = topo_primary(set->env->topo);

    if (set->route_conf_of != set->env->config) {
        uint32_t max = set->env->config->limits.max_clients;

        set->max = max < SESS_ID_MASK ? max : SESS_ID_MASK;
        route_conf_init(set->env->config, &set->route_conf);
        set->wants_gtids = config_wants_gtid(set->env->config);
        set->route_conf_of = set->env->config;
    }
    if (set->seen_epoch != set->env->topo->epoch) {
        set->seen_epoch = set->env->topo->epoch;
        set->epoch_us = loop_now_us(set->env->loop);
    }
    if (primary != NULL && primary->has_defaults) {
        set->default_mode_bits = classify_mode_parse(span_of(primary->defaults.sql_mode));
        set->default_isolation = primary->defaults.isolation;
        set->default_autocommit_off = !primary->defaults.autocommit;
        compare_defaults(set, primary);
    }
}

int sess_set_create(const struct sess_env *env, uint32_t max, struct sess_set **ret_set)
{
    struct sess_set *set = calloc(1, sizeof(*set));

    WR_ASSERT(env->worker < SESS_WORKER_MAX);
    if (set == NULL) {
        return -ENOMEM;
    }
    /* ids come round late: a KILL of a session that has just ended must not find its successor */
    set->table = calloc(SESS_ID_MASK + 1U, sizeof(struct sess *));
    if (set->table == NULL || rule_scratch_create(&set->rule_scratch) < 0) {
        free(set->table);
        free(set);
        return -ENOMEM;
    }
    list_init(&set->sessions);
    set->env = env;
    sess_delays_init(set);
    sess_fills_init(set);
    sess_writes_init(set);
    set->epoch = env->topo->epoch;
    set->next_slot = 1;
    set_refresh(set);
    set->max = max < SESS_ID_MASK ? max : SESS_ID_MASK;
    *ret_set = set;
    return 0;
}

void sess_set_destroy(struct sess_set *set)
{
    if (set == NULL) {
        return;
    }
    list_for_each_safe (node, &set->sessions) {
        sess_close(list_entry(node, struct sess, node), "shutdown");
    }
    sess_delays_fini(set);
    sess_renews_fini(set);
    sess_fills_fini(set);
    sess_writes_fini(set);
    for (uint32_t i = 0; i < set->spare_count; i++) {
        buf_fini(&set->spares[i]);
    }
    acked_fini(&set->acked);
    rule_scratch_destroy(set->rule_scratch);
    free(set->table);
    free(set);
}

/* In state LOGIN, before it has begun. */
static int add(struct sess_set *set, const struct sess_accept *accept, struct sess **ret_sess)
{
    const struct sess_env *env = set->env;
    struct sess *sess = NULL;
    uint32_t slot = 0;
    int err = slot_find(set, &slot);

    sess = err < 0 ? NULL : calloc(1, sizeof(*sess));
    if (sess == NULL) {
        (void)close(accept->fd);
        return err < 0 ? err : -ENOMEM;
    }
    sess->magic = SESS_MAGIC;
    sess->set = set;
    sess->env = env;
    sess->id = ((uint32_t)env->instance_tag << 24) | (env->worker << SESS_ID_BITS) | slot;
    sess->is_unix = accept->is_unix;
    sess->is_tls_required = accept->is_tls_required;
    sess->is_tls_offered = accept->is_tls_offered && env->server_tls != NULL;
    sess->ro_tx_server = -1;
    sess->last_server = -1;
    sess->home_server = -1;
    sess->own_server = -1;
    sess->cmd.server = -1;
    sess->log = (struct log_ctx){.ring = env->log_ring, .room = "client", .session = sess->id};
    host_text(sess, accept);
    err = sess_open(sess, accept->fd);
    if (err < 0) {
        (void)close(accept->fd);
        free(sess);
        return err;
    }
    set->table[slot] = sess;
    list_push(&set->sessions, &sess->node);
    set->count++;
    set->logins++;
    metric_add(env->metrics, METRIC_SESSIONS_OPEN, METRIC_NONE, 1);
    metric_add(env->metrics, METRIC_SESSIONS_IN_LOGIN, METRIC_NONE, 1);
    *ret_sess = sess;
    return 0;
}

int sess_set_accept(struct sess_set *set, const struct sess_accept *accept)
{
    struct sess *sess = NULL;
    int err = add(set, accept, &sess);

    if (err < 0) {
        return err;
    }
    metric_inc(set->env->metrics, METRIC_SESSIONS_TOTAL, METRIC_NONE);
    if (sess_begin_login(sess) < 0) {
        sess_close(sess, "login could not start");
    }
    return 0; /* whatever came of it, the fd is in hand */
}

int sess_set_add_inner(struct sess_set *set, int fd, const struct sess_inner *inner)
{
    const struct sess_accept accept = {.fd = fd, .is_unix = inner->is_unix};
    struct sess *sess = NULL;
    int err = add(set, &accept, &sess);

    if (err < 0) {
        return err;
    }
    sess->is_inner = true;
    (void)span_copy(span_of(inner->host), sess->host, sizeof(sess->host));
    sess->cred = cred_ref(inner->cred);
    sess->caps = inner->caps;
    sess->status = inner->status;
    sess->collation = inner->collation;
    sess->user_slot = guard_user_slot(cred_user(sess->cred));
    sess->causal_user = causal_slot_user(cred_user(sess->cred));
    sess->reply_front.has_deprecate_eof = (sess->caps & CAP_DEPRECATE_EOF) != 0;
    sess->reply_front.has_session_track = (sess->caps & CAP_SESSION_TRACK) != 0;
    err = sess_rekey(sess);
    if (err < 0) {
        sess_close(sess, "no memory");
        return err;
    }
    svec_copy(&sess->svec, &inner->svec);
    sess_refresh(sess);
    sess_idle(sess);
    return 0;
}

/* Servers that have got into this state just now. *seen: those that were in it before. */
static uint64_t newly_in(const struct topo *topo, enum topo_state state, uint64_t *seen)
{
    uint64_t before = *seen;

    *seen = 0;
    for (unsigned i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].state == state) {
            *seen |= UINT64_C(1) << i;
        }
    }
    return *seen & ~before;
}

static bool reads_from(const struct sess *sess, uint64_t servers)
{
    return sess->cmd.is_read && sess->cmd.server >= 0 &&
           sess->cmd.server != sess->env->topo->primary &&
           (servers & (UINT64_C(1) << sess->cmd.server)) != 0;
}

/* Reads that wait for a server that is down now are run elsewhere, so that one that hangs holds
 * nobody for longer than the monitor needs to see it. */
static void on_down(struct sess *sess, bool is_move)
{
    bool is_before = sess->state == SESS_ST_OPEN || sess->state == SESS_ST_SYNC;
    bool is_running = sess->state == SESS_ST_RELAY;

    if (sess->state == SESS_ST_WAIT) {
        sess_wait_abort(sess);
    } else if (is_before || (is_running && (is_move || reply_is_fresh(&sess->reply)))) {
        sess_server_lost(sess, sess->cmd.server); /* unless moved, the rest of a reply may come */
    }
}

/* What has not begun must not begin on a replica that is too late; what runs is a setting. */
static void on_late(struct sess *sess, bool is_move)
{
    if (sess->cmd.bears_lag) {
        return;
    }
    if (sess->state == SESS_ST_WAIT) {
        sess_wait_abort(sess);
    } else if (sess->state == SESS_ST_RELAY && is_move && !sess->is_uploading) {
        sess_move_read(sess);
    }
}

/* Reads that are ended on a replica have somewhere else to go. */
static bool can_move(const struct sess_set *set)
{
    const struct config_balance *balance = &set->env->config->balance;
    const struct topo *topo = set->env->topo;

    if (balance->on_lagging != CONFIG_LAGGING_MOVE) {
        return false;
    }
    for (unsigned i = 0; i < topo->server_count; i++) {
        if (topo->servers[i].role == TOPO_ROLE_REPLICA && topo->servers[i].state == TOPO_ST_UP &&
            topo->servers[i].weight_eff > 0) {
            return true;
        }
    }
    return topo->primary >= 0 && balance->reads_on_primary == CONFIG_READS_FALLBACK;
}

void sess_set_on_snapshot(struct sess_set *set)
{
    bool is_move = can_move(set);
    uint64_t down = 0;
    uint64_t late = 0;

    set_refresh(set);
    down = newly_in(set->env->topo, TOPO_ST_DOWN, &set->down_mask);
    late = newly_in(set->env->topo, TOPO_ST_LAGGING, &set->late_mask);
    if ((down | late) == 0 && set->logins == 0) {
        return; /* nobody waits: with thousands of idle sessions this is nearly always so */
    }
    list_for_each_safe (node, &set->sessions) {
        struct sess *sess = list_entry(node, struct sess, node);

        if (sess->login != NULL) {
            sess_login_on_snapshot(sess->login);
        } else if (reads_from(sess, down)) {
            on_down(sess, is_move);
        } else if (reads_from(sess, late)) {
            on_late(sess, is_move);
        }
    }
}

void sess_set_take_acked(struct sess_set *set, struct gtid_set *ret_set)
{
    acked_take(&set->acked, ret_set);
}

/* A whole command, or what a large one is begun with. The beginning of one is not waited for. */
static bool has_command(const struct sess *sess)
{
    struct span in = buf_span(&sess->in);
    struct frame frame;

    return frame_decode(in.p, in.len, &frame) == DEC_OK &&
           (in.len - FRAME_HEADER >= frame.len || in.len - FRAME_HEADER >= SESS_HELD_MAX);
}

static bool may_end(const struct sess *sess)
{
    return sess->state == SESS_ST_IDLE && !sess->tx_open && sess->ro_tx_server < 0 &&
           !has_command(sess);
}

void sess_set_drain(struct sess_set *set, uint64_t deadline_us)
{
    set->is_draining = true;
    set->drain_deadline_us = deadline_us;
    list_for_each_safe (node, &set->sessions) {
        struct sess *sess = list_entry(node, struct sess, node);

        if (sess->login != NULL || may_end(sess)) {
            sess_close(sess, "shutdown");
        } else if (sess->state == SESS_ST_CLOSING) {
            timer_arm_in(&sess->timer, LAST_WORD_US); /* it has only to be read */
        } else {
            sess->deadline_us = deadline_us;
            timer_arm_at(&sess->timer, deadline_us);
        }
    }
}

uint32_t sess_set_count(const struct sess_set *set)
{
    return set->count;
}
