/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements whose answer is elsewhere: the workers are asked by mail, each answers with a list of
 * its own; DRAIN and SET WEIGHT first wait for the topology that says so, then for every worker to
 * have read its mail: when the operator has the OK, no worker decides by the old picture any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/backend/topo.h"

#include "admin_priv.h"

struct admin_wait *admin_wait_begin(struct admin_sess *sess, admin_ready_fn ready)
{
    struct admin_wait *wait = calloc(1, sizeof(*wait));

    if (wait == NULL) {
        admin_error(sess, 1041, "HY000", "weir: out of memory");
        return NULL;
    }
    wait->ready = ready;
    wait->filter.limit = UINT64_MAX;
    sess->wait = wait;
    admin_set_state(sess, ADMIN_ST_WAIT);
    return wait;
}

void admin_wait_end(struct admin_sess *sess)
{
    struct admin_wait *wait = sess->wait;

    sess->wait = NULL;
    for (uint32_t i = 0; wait != NULL && i < wait->count; i++) {
        sess_list_free(wait->sessions[i]);
        digest_list_free(wait->digests[i]);
    }
    free(wait);
}

/* All that was awaited is there, or will not come. */
static void wait_over(struct admin_sess *sess)
{
    admin_set_state(sess, ADMIN_ST_IDLE);
    sess->wait->ready(sess);
    admin_wait_end(sess);
    loop_defer(sess->admin->conf.loop, &sess->task);
}

void admin_wait_ask(struct admin_sess *sess, unsigned what)
{
    struct admin *admin = sess->admin;

    admin->next_ticket = admin->next_ticket == UINT32_MAX ? 1 : admin->next_ticket + 1;
    sess->wait->ticket = admin->next_ticket;
    sess->wait->left = admin->conf.calls.ask(admin->conf.calls.arg, sess->wait->ticket, what);
    if (sess->wait->left == 0) {
        wait_over(sess);
    }
}

static struct admin_sess *find_ticket(struct admin *admin, uint32_t ticket)
{
    list_for_each (node, &admin->sessions) {
        struct admin_sess *sess = list_entry(node, struct admin_sess, node);

        if (sess->wait != NULL && sess->wait->ticket == ticket && ticket != 0) {
            return sess;
        }
    }
    return NULL;
}

void admin_on_answer(struct admin *admin, struct admin_answer *answer)
{
    struct admin_sess *sess = admin == NULL ? NULL : find_ticket(admin, answer->ticket);
    struct admin_wait *wait = sess == NULL ? NULL : sess->wait;

    if (wait == NULL || wait->count == ADMIN_WORKERS_MAX || wait->left == 0) {
        sess_list_free(answer->sessions);
        digest_list_free(answer->digests);
        return;
    }
    wait->sessions[wait->count] = answer->sessions;
    wait->digests[wait->count] = answer->digests;
    wait->count++;
    wait->left--;
    if (wait->left == 0) {
        wait_over(sess);
    }
}

void admin_on_killed(struct admin *admin, uint32_t ticket, int outcome)
{
    struct admin_sess *sess = find_ticket(admin, ticket);

    if (sess != NULL) {
        sess->wait->outcome = outcome;
        sess->wait->left = 0;
        wait_over(sess);
    }
}

static bool topo_says_so(const struct admin_sess *sess)
{
    const struct admin_wait *wait = sess->wait;
    struct admin_view view;

    admin_view(sess, &view);
    if (wait->server >= view.topo->server_count) {
        return false;
    }
    if (wait->is_drain) {
        return (view.topo->servers[wait->server].state == TOPO_ST_DRAINING) == wait->is_drained;
    }
    return view.topo->servers[wait->server].weight == wait->weight;
}

void admin_on_topo(struct admin *admin)
{
    list_for_each_safe (node, &admin->sessions) {
        struct admin_sess *sess = list_entry(node, struct admin_sess, node);

        if (sess->wait != NULL && sess->wait->is_for_topo && topo_says_so(sess)) {
            sess->wait->is_for_topo = false;
            admin_wait_ask(sess, ADMIN_ASK_NOTHING);
        }
    }
}

void admin_wait_timeout(struct admin_sess *sess)
{
    if (sess->wait->is_for_topo) {
        admin_warn(sess, "the monitor has not said so yet; look at SHOW SERVERS");
    } else {
        admin_warn(sess, "%u of the workers did not answer in time; what they know is missing",
                   (unsigned)sess->wait->left);
    }
    sess->wait->outcome = -ETIMEDOUT;
    wait_over(sess);
}
