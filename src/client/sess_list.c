/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/client/sess_list.h"

#include <errno.h>
#include <stdlib.h>

#include "sess_causal_priv.h"
#include "sess_priv.h"

/* Servers that the session holds a connection to. */
static uint64_t servers_of(const struct sess *sess)
{
    uint64_t servers = 0;

    for (uint16_t i = 0; i < sess->conn_count && i < TOPO_SERVERS_MAX; i++) {
        if (sess_conn(sess, (int16_t)i) != NULL) {
            servers |= UINT64_C(1) << i;
        }
    }
    return servers;
}

static void trail_fill(const struct sess *sess, struct sess_list_row *row)
{
    uint32_t steps = sess->states_seen < SESS_TRAIL ? sess->states_seen : SESS_TRAIL;

    /* the newest step is the state it is in */
    for (uint32_t i = 1; i < steps && i <= SESS_LIST_TRAIL; i++) {
        uint32_t at = (sess->trail_at + 2U * SESS_TRAIL - 1U - i) % SESS_TRAIL;

        row->trail[i - 1] = sess_state_text((enum sess_state)sess->trail[at]);
    }
}

static void fresh_fill(const struct sess *sess, struct sess_list_row *row)
{
    const struct sess_causal *causal = sess->causal;

    row->floor_server = -1;
    if (causal == NULL) {
        return;
    }
    row->token = causal->token.count;
    row->floor_server = causal->floor_server;
    row->has_floor = causal->floor_set != NULL;
    row->is_blind = causal->blind_until_us > loop_now_us(sess->env->loop);
    if (sess->state == SESS_ST_SYNC && sess->own == SESS_OWN_WAIT) {
        row->waiting = "position";
    } else if (sess->state == SESS_ST_SYNC && sess->own == SESS_OWN_FETCH) {
        row->waiting = "fetch";
    }
}

static void row_fill(const struct sess *sess, struct sess_list_row *row)
{
    bool is_busy =
        sess->state == SESS_ST_OPEN || sess->state == SESS_ST_SYNC || sess->state == SESS_ST_RELAY;
    struct span schema = svec_get(&sess->svec, SVEC_SCHEMA);
    enum sess_list_tx tx = sess->tx_open ? SESS_LIST_TX : SESS_LIST_NO_TX;

    *row = (struct sess_list_row){
        .id = sess->id,
        .commands = sess->commands,
        .pins = sess->pins,
        .keeps = sess_keeps(sess),
        .pin_digest = sess->pin_digest,
        .digest = is_busy ? sess->cmd.digest : 0,
        .servers = servers_of(sess),
        .state_us = loop_now_us(sess->env->loop) - sess->state_since_us,
        .bytes_in = sess->bytes_in,
        .bytes_out = sess->bytes_out,
        .server = is_busy ? sess->cmd.server : -1,
        .tx = sess->ro_tx_server >= 0 ? SESS_LIST_TX_REPLICA : tx,
        .state = sess_state_text(sess->state),
    };
    trail_fill(sess, row);
    fresh_fill(sess, row);
    if (sess->cred != NULL) {
        (void)span_copy(cred_user(sess->cred), row->user, sizeof(row->user));
    }
    (void)span_copy(span_of(sess->host), row->host, sizeof(row->host));
    (void)span_copy(schema, row->schema, sizeof(row->schema));
}

static bool is_remarkable(const struct sess *sess)
{
    return sess->state != SESS_ST_IDLE || sess->pins != 0 || sess->tx_open ||
           sess->ro_tx_server >= 0;
}

static void rows_fill(const struct sess_set *set, bool remarkable, uint32_t max,
                      struct sess_list *list)
{
    list_for_each (node, &set->sessions) {
        const struct sess *sess = list_entry(node, struct sess, node);

        if (list->count == max) {
            return;
        }
        if (is_remarkable(sess) == remarkable) {
            row_fill(sess, &list->rows[list->count]);
            list->count++;
        }
    }
}

int sess_set_list(const struct sess_set *set, uint32_t max, struct sess_list **ret_list)
{
    uint32_t rows = set->count < max ? set->count : max;
    struct sess_list *list = calloc(1, sizeof(*list) + (size_t)rows * sizeof(list->rows[0]));

    if (list == NULL) {
        return -ENOMEM;
    }
    list->sessions = set->count;
    list_for_each (node, &set->sessions) {
        uint32_t pins = list_entry(node, struct sess, node)->pins;

        list->pinned += pins != 0 ? 1 : 0;
        for (unsigned pin = 0; pins != 0 && pin < PIN_END_; pin++) {
            list->pins[pin] += (pins & PIN_BIT(pin)) != 0 ? 1 : 0;
        }
    }
    rows_fill(set, true, rows, list);
    rows_fill(set, false, rows, list);
    *ret_list = list;
    return 0;
}

void sess_list_free(struct sess_list *list)
{
    free(list);
}
