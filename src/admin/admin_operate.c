/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that change something. The role has been looked at already. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/backend/topo.h"
#include "weir/util/err.h"

#include "admin_priv.h"

#define WEIGHT_MAX   1000
#define NO_SUCH_ID   1094
#define EVENT_TEXT   128
#define ID_TAG_SHIFT 24

static void event(struct admin_sess *sess, enum event_kind kind, const char *server,
                  const char *text)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;

    calls->event(calls->arg, kind, server, text);
}

/* --- KILL --- */

static void killed_ready(struct admin_sess *sess)
{
    int outcome = sess->wait->outcome;

    if (outcome == -ETIMEDOUT) {
        admin_error(sess, 1105, "HY000", "weir: the session's worker did not answer in time");
    } else if (outcome < 0) {
        admin_error(sess, NO_SUCH_ID, "HY000", "Unknown thread id: %u",
                    (unsigned)sess->wait->weight);
    } else {
        admin_ok(sess);
    }
}

/* Of operators' own sessions; mysql's Ctrl-C comes this way. */
static void kill_own(struct admin_sess *sess, uint32_t id, bool is_query)
{
    struct admin_sess *other = admin_find(sess->admin, id);

    if (other == NULL) {
        admin_error(sess, NO_SUCH_ID, "HY000", "Unknown thread id: %u", (unsigned)id);
        return;
    }
    admin_ok(sess);
    if (!is_query) {
        admin_close_flushed(other);
    }
}

void admin_kill(struct admin_sess *sess, const struct words *words, size_t at)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    bool is_query = words->count > 1 && word_is(&words->item[1], "QUERY");
    struct admin_view view;
    char text[EVENT_TEXT];
    uint64_t id = 0;

    if (at + 1 != words->count || !word_number(&words->item[at], &id)) {
        admin_error(sess, 1064, "42000", "weir: KILL [QUERY] id; ids are in SHOW SESSIONS");
        return;
    }
    if (admin_is_own_id(sess, id)) {
        kill_own(sess, (uint32_t)id, is_query);
        return;
    }
    admin_view(sess, &view);
    if (id > UINT32_MAX || id >> ID_TAG_SHIFT != view.instance_tag) {
        admin_error(sess, NO_SUCH_ID, "HY000", "Unknown thread id: %" PRIu64, id);
        return;
    }
    if (admin_wait_begin(sess, killed_ready) == NULL) {
        return;
    }
    sess->admin->next_ticket =
        sess->admin->next_ticket == UINT32_MAX ? 1 : sess->admin->next_ticket + 1;
    sess->wait->ticket = sess->admin->next_ticket;
    sess->wait->left = 1;
    sess->wait->weight = (uint32_t)id;
    if (calls->kill(calls->arg, sess->wait->ticket, (uint32_t)id, is_query) < 0) {
        admin_on_killed(sess->admin, sess->wait->ticket, -WR_E_NOT_FOUND);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s of session %" PRIu64 " by '%.32s'",
                   is_query ? "statement" : "end", id, sess->user);
    event(sess, EVENT_KILL, "", text);
}

/* --- DRAIN, UNDRAIN, SET WEIGHT --- */

/* The server that word names; -1: an error was answered. */
static int server_of(struct admin_sess *sess, const struct words *words, size_t at,
                     struct admin_view *ret_view)
{
    char name[WORDS_TEXT_MAX];
    int found = -1;

    admin_view(sess, ret_view);
    if (at >= words->count || !word_text(&words->item[at], name)) {
        admin_error(sess, 1064, "42000", "weir: a server's name is missing; SHOW SERVERS has them");
        return -1;
    }
    found = topo_find(ret_view->topo, span_of(name));
    if (found < 0) {
        admin_error(sess, 1105, "HY000", "weir: no server '%.64s'; SHOW SERVERS has their names",
                    name);
    }
    return found;
}

static void changed_ready(struct admin_sess *sess)
{
    admin_ok(sess);
}

/* Wait for a topology that says so. False: an error was answered. */
static struct admin_wait *wait_topo(struct admin_sess *sess, int server)
{
    struct admin_wait *wait = admin_wait_begin(sess, changed_ready);

    if (wait != NULL) {
        wait->is_for_topo = true;
        wait->server = (uint16_t)server;
    }
    return wait;
}

static void drain(struct admin_sess *sess, const struct words *words, size_t at, bool is_drained)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    struct admin_view view;
    int server = server_of(sess, words, at, &view);
    struct admin_wait *wait = NULL;
    char text[EVENT_TEXT];

    if (server < 0) {
        return;
    }
    if (at + 1 != words->count) {
        admin_error(sess, 1064, "42000", "weir: one server's name, and nothing behind it");
        return;
    }
    if (is_drained && view.topo->primary == server) {
        admin_error(sess, 1105, "HY000",
                    "weir: %s is the primary: writes have nowhere else to go; make another server "
                    "the primary first",
                    view.topo->servers[server].name);
        return;
    }
    if ((view.topo->servers[server].state == TOPO_ST_DRAINING) == is_drained) {
        admin_warn(sess, "it was %s already", is_drained ? "drained" : "in service");
        admin_ok(sess);
        return;
    }
    wait = wait_topo(sess, server);
    if (wait == NULL) {
        return;
    }
    wait->is_drain = true;
    wait->is_drained = is_drained;
    calls->drain(calls->arg, (uint16_t)server, is_drained);
    (void)snprintf(text, sizeof(text), "%s by '%.32s'", is_drained ? "taken out" : "taken back",
                   sess->user);
    event(sess, is_drained ? EVENT_DRAIN : EVENT_UNDRAIN, view.topo->servers[server].name, text);
}

void admin_drain(struct admin_sess *sess, const struct words *words, size_t at)
{
    drain(sess, words, at, true);
}

void admin_undrain(struct admin_sess *sess, const struct words *words, size_t at)
{
    drain(sess, words, at, false);
}

void admin_set_weight(struct admin_sess *sess, const struct words *words, size_t at)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    struct admin_view view;
    int server = server_of(sess, words, at, &view);
    bool is_default = at + 1 < words->count && word_is(&words->item[at + 1], "DEFAULT");
    struct admin_wait *wait = NULL;
    char text[EVENT_TEXT];
    uint64_t weight = 0;

    if (server < 0) {
        return;
    }
    if (at + 2 != words->count ||
        (!is_default && (!word_number(&words->item[at + 1], &weight) || weight > WEIGHT_MAX))) {
        admin_error(sess, 1064, "42000",
                    "weir: SET WEIGHT server n, with n from 0 to %d or DEFAULT", WEIGHT_MAX);
        return;
    }
    if (is_default) {
        weight = view.config->servers[view.topo->servers[server].config_index].weight;
    }
    (void)snprintf(text, sizeof(text), "%u -> %u%s by '%.32s'",
                   (unsigned)view.topo->servers[server].weight, (unsigned)weight,
                   is_default ? " (configured)" : "", sess->user);
    event(sess, EVENT_WEIGHT, view.topo->servers[server].name, text);
    calls->set_weight(calls->arg, (uint16_t)server, is_default ? UINT32_MAX : (uint32_t)weight);
    if (view.topo->servers[server].weight == weight) {
        admin_ok(sess);
        return;
    }
    wait = wait_topo(sess, server);
    if (wait != NULL) {
        wait->weight = (uint32_t)weight;
    }
}

/* --- RELOAD --- */

struct report {
    struct admin_rows rows;
    uint32_t lines;
    char first[300]; /* what an error says */
};

static void each_line(void *arg, const char *const *cells)
{
    struct report *report = arg;

    if (report->first[0] == '\0') {
        (void)snprintf(report->first, sizeof(report->first), "%s", cells[0]);
    }
    report->lines++;
    rows_text(&report->rows, cells[0]);
}

void admin_reload(struct admin_sess *sess, const struct words *words, size_t at)
{
    const struct admin_calls *calls = &sess->admin->conf.calls;
    struct report report = {.first = ""};
    int rc = 0;

    if (at != words->count) {
        admin_error(sess, 1064, "42000", "weir: RELOAD takes nothing behind it");
        return;
    }
    rows_begin(&report.rows, sess, "report", NULL, false);
    rc = calls->reload(calls->arg, each_line, &report);
    if (rc < 0) {
        rows_abort(&report.rows);
        admin_error(sess, 1105, "HY000", "weir: nothing was changed: %s%s",
                    report.first[0] != '\0' ? report.first : err_text(rc),
                    report.lines > 1 ? " (and more, see the log)" : "");
        return;
    }
    rows_end(&report.rows);
}
