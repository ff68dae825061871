/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "weir/classify/left.h"
#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_left_priv.h"
#include "sess_priv.h"

/*
 * User variables that were set to literals are set again where they are needed. A connection
 * carries those of one session at most (conn->vars_of, vars_gen):
 *
 *   nobody's, none wanted     as it is
 *   an older state of ours    SET @a=..., of all of them, for none is ever taken away
 *   another session's         COM_RESET_CONNECTION, the vector again, then SET if there are any
 *
 * A proven read of known tables cannot see them, and runs on any connection. Everything else may:
 * in its text, or in a trigger, a view or a function that is called. So whatever keeps a connection
 * with its session begins on one that carries the right ones, and never has to be reset later.
 * Variables that are set in any other way pin.
 */

/* What decides how a string is read into a variable. */
static const enum svec_var text_vars[] = {SVEC_CS_CONNECTION, SVEC_COLLATION};

/* --- what a statement sets --- */

static struct sess_vars *vars_get(struct sess *sess)
{
    if (sess->vars == NULL) {
        sess->vars = calloc(1, sizeof(*sess->vars));
        if (sess->vars != NULL) {
            svec_init(&sess->vars->at, sess->svec.values);
        }
    }
    return sess->vars;
}

void sess_vars_note(struct sess *sess, struct span sql, const struct facts *facts)
{
    const uint32_t lost = PIN_BIT(PIN_USER_VARIABLE) | PIN_BIT(PIN_UNKNOWN);
    struct left_var found[LEFT_VARS_MAX];
    struct classify_env env;
    struct sess_vars *vars = NULL;
    bool is_mixed = false;
    unsigned count = 0;

    if (facts->verb != VERB_SET || facts->pins != PIN_BIT(PIN_USER_VARIABLE) ||
        (sess->pins & lost) != 0) {
        return;
    }
    sess_classify_env(sess, &env);
    count = left_find_vars(sql, &env, facts, found, &is_mixed);
    vars = count == 0 ? NULL : vars_get(sess);
    if (vars == NULL) {
        return;
    }
    varlist_fini(&vars->pending);
    for (unsigned i = 0; i < count; i++) {
        if (varlist_set(&vars->pending, found[i].name, found[i].literal) < 0) {
            return;
        }
    }
    if (buf_len(&vars->list.bytes) + buf_len(&vars->pending.bytes) > SESS_VARS_MAX) {
        return;
    }
    sess->cmd.pins &= ~PIN_BIT(PIN_USER_VARIABLE);
    sess->cmd.sets_vars = true;
    /* a name with @@ among the others may not have been reported */
    sess->cmd.needs_learn = sess->cmd.needs_learn || is_mixed;
}

static void text_at(const struct sess *sess, const struct conn *conn, struct svec *ret_view)
{
    svec_view(ret_view, &sess->svec, &conn->born);
}

static int vars_take(struct sess *sess, struct conn *conn)
{
    struct sess_vars *vars = sess->vars;
    int r = varlist_merge(&vars->list, &vars->pending);

    if (r >= 0 && vars->list.has_text) {
        struct svec view;

        text_at(sess, conn, &view);
        for (size_t i = 0; i < WR_ARRAY_LEN(text_vars); i++) {
            svec_copy_one(&vars->at, &view, text_vars[i]);
        }
    }
    if (r >= 0) {
        conn->vars_of = sess->serial;
        conn->vars_gen = ++vars->gen;
    }
    return r;
}

void sess_vars_done(struct sess *sess, struct conn *conn, bool never_ran)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (!cmd->sets_vars) {
        return;
    }
    cmd->sets_vars = false;
    if (!never_ran && (cmd->got_err || conn == NULL || vars_take(sess, conn) < 0)) {
        cmd->pins |= PIN_BIT(PIN_USER_VARIABLE);
    }
    varlist_fini(&sess->vars->pending);
}

void sess_vars_check(struct sess *sess)
{
    struct sess_vars *vars = sess->vars;
    struct conn *conn = sess_conn(sess, sess->cmd.server);
    struct svec view;

    if (vars == NULL || !vars->list.has_text || conn == NULL || conn->is_replica ||
        (sess->pins & PIN_BIT(PIN_USER_VARIABLE)) != 0) {
        return;
    }
    text_at(sess, conn, &view);
    for (size_t i = 0; i < WR_ARRAY_LEN(text_vars); i++) {
        if (view.v[text_vars[i]] != vars->at.v[text_vars[i]]) {
            /* set again they would not be the same; this connection carries them as they were */
            sess_pins_change(sess, PIN_BIT(PIN_USER_VARIABLE), 0);
            return;
        }
    }
}

void sess_vars_forget(struct sess *sess)
{
    if (sess->vars != NULL) {
        varlist_fini(&sess->vars->list);
        varlist_fini(&sess->vars->pending);
        svec_fini(&sess->vars->at);
        free(sess->vars);
        sess->vars = NULL;
    }
    sess->cmd.sets_vars = false;
}

/* --- what a connection carries --- */

bool sess_vars_are_foreign(const struct sess *sess, const struct conn *conn)
{
    return conn->vars_of != 0 && conn->vars_of != sess->serial;
}

int sess_vars_clean(struct sess *sess, struct conn *conn)
{
    int16_t server = (int16_t)conn->server_index;
    int r = 0;

    if (sess->cmd.no_vars || !sess_vars_are_foreign(sess, conn)) {
        return 1;
    }
    r = conn_send_reset(conn);
    if (r < 0) {
        sess_server_lost(sess, server);
        return r;
    }
    conn->insert_id_of = 0;
    metric_inc(sess->env->metrics, METRIC_POOL_RESETS, (size_t)server);
    sess_sync_wait(sess, SESS_OWN_RESET, server, (uint16_t)r, REPLY_SIMPLE);
    return 0;
}

int sess_vars_bring(struct sess *sess, struct conn *conn)
{
    const struct sess_vars *vars = sess->vars;
    int16_t server = (int16_t)conn->server_index;
    struct buf text = {0};
    const char *sql = NULL;
    int r = 0;

    if (sess->cmd.no_vars || vars == NULL || vars->gen == 0 ||
        (conn->vars_of == sess->serial && conn->vars_gen == vars->gen)) {
        return 1;
    }
    r = varlist_format(&vars->list, &text);
    sql = r < 0 ? NULL : buf_text(&text);
    if (sql == NULL) {
        buf_fini(&text);
        sess_close(sess, "no memory for user variables");
        return -WR_E_CLOSED;
    }
    r = sess_send_text(conn, sql);
    buf_fini(&text);
    if (r < 0) {
        sess_server_lost(sess, server);
        return -WR_E_CLOSED;
    }
    metric_inc(sess->env->metrics, METRIC_STATE_REPLAYS, METRIC_NONE);
    conn->vars_of = sess->serial; /* from now on, whatever comes of it */
    conn->vars_gen = 0;
    sess_sync_wait(sess, SESS_OWN_VARS, server, 1, REPLY_QUERY);
    return 0;
}

void sess_vars_brought(struct sess *sess, struct conn *conn)
{
    if (sess->vars != NULL && conn != NULL) {
        conn->vars_gen = sess->vars->gen;
    }
}
