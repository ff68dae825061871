/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "weir/backend/catalogue.h"
#include "weir/config/config.h"
#include "weir/protocol/frame.h"
#include "weir/util/err.h"

#include "sess_causal_priv.h"
#include "sess_priv.h"

/*
 * What the session has become, learnt from the servers' own words where there are some (status
 * flags, trackers) and from the text of the statement where there are none (pins).
 */

static enum classify_charset charset_of_collation(uint16_t id)
{
    switch (id) {
    case 28: /* gbk */
    case 87:
        return CLASSIFY_CS_GBK;
    case 1: /* big5 */
    case 84:
        return CLASSIFY_CS_BIG5;
    case 13: /* sjis, cp932 */
    case 88:
    case 95:
    case 96:
        return CLASSIFY_CS_SJIS;
    case 248: /* gb18030 */
    case 249:
    case 250:
        return CLASSIFY_CS_GB18030;
    default:
        return CLASSIFY_CS_SAFE;
    }
}

static bool collation_is_utf8(uint16_t id)
{
    return id == 33 || id == 83 || (id >= 192 && id <= 215) || id == 45 || id == 46 ||
           (id >= 224 && id <= 247) || id >= 255;
}

static void refresh_charset(struct sess *sess)
{
    struct span name = svec_get(&sess->svec, SVEC_CS_CLIENT);

    if (name.p == NULL) {
        sess->charset = charset_of_collation(sess->collation);
        sess->is_utf8 = collation_is_utf8(sess->collation);
        return;
    }
    sess->charset = classify_charset_parse(name);
    sess->is_utf8 = name.len >= 4 && strncasecmp((const char *)name.p, "utf8", 4) == 0;
}

static bool is_off(struct span value)
{
    return span_eq_text_nocase(value, "OFF") || span_eq_text(value, "0");
}

static bool is_on(struct span value)
{
    return span_eq_text_nocase(value, "ON") || span_eq_text(value, "1");
}

/* Weir's connections track more than the session asked for: its client sees what it would see. */
bool sess_var_is_wanted(void *arg, struct span name)
{
    const struct sess *sess = arg;
    const struct topo_server *primary = topo_primary(sess->env->topo);
    struct span list = svec_get(&sess->svec, SVEC_TRACK_VARS);

    if (list.p == NULL) {
        if (primary == NULL || !primary->has_defaults) {
            return true;
        }
        list = span_of(primary->defaults.session_track_system_variables);
    }
    return svec_names_have(list, name);
}

/* Weir itself turns on the trackers of the schema and of state changes, and no others. */
static void refresh_trackers(struct sess *sess)
{
    struct span schema = svec_get(&sess->svec, SVEC_TRACK_SCHEMA);
    unsigned types = 0xffU & ~(1U << OK_TRACK_STATE_CHANGE);

    if (schema.p != NULL && is_off(schema)) {
        types &= ~(1U << OK_TRACK_SCHEMA);
    }
    if (is_on(svec_get(&sess->svec, SVEC_TRACK_STATE))) {
        types |= 1U << OK_TRACK_STATE_CHANGE;
    }
    sess->reply_front.track_types = (uint8_t)types;
}

void sess_refresh(struct sess *sess)
{
    struct span mode = svec_get(&sess->svec, SVEC_SQL_MODE);
    struct span isolation = svec_get(&sess->svec, SVEC_ISOLATION);
    struct span autocommit = svec_get(&sess->svec, SVEC_AUTOCOMMIT);

    sess->mode_bits = mode.p == NULL ? sess->set->default_mode_bits : classify_mode_parse(mode);
    if (isolation.p == NULL || !topo_isolation_parse(isolation, &sess->isolation)) {
        sess->isolation = sess->set->default_isolation;
    }
    sess->autocommit_off =
        autocommit.p == NULL ? sess->set->default_autocommit_off : is_off(autocommit);
    refresh_charset(sess);
    refresh_trackers(sess);
    sess_vars_check(sess);
}

/* One entry for the connection's vector and for the session's. */
static void track_entry(struct sess *sess, struct conn *conn, const struct ok_track *track,
                        bool *ret_changed)
{
    int err = 0;

    switch (track->type) {
    case OK_TRACK_SYSTEM_VARIABLES:
        err = svec_track(&conn->svec, track->name, track->value);
        if (err > 0) {
            err = svec_track(&sess->svec, track->name, track->value);
            *ret_changed = true;
        } else if (err == 0 && span_eq_text(track->name, "last_gtid")) {
            sess_causal_learn(sess, conn, track->value);
        }
        break;
    case OK_TRACK_GTIDS:
        sess_causal_learn(sess, conn, track->value);
        break;
    case OK_TRACK_SCHEMA:
        if (track->value.len == 0 && svec_get(&conn->svec, SVEC_SCHEMA).len == 0) {
            break; /* none before and none now: no value that would have to be replayed */
        }
        err = svec_track_schema(&conn->svec, track->value);
        if (err >= 0) {
            err = svec_track_schema(&sess->svec, track->value);
        }
        if (sess->cmd.verb == VERB_USE && svec_is_set(&sess->svec, SVEC_ROLE)) {
            sess->cmd.unpins |= PIN_BIT(PIN_SET_ROLE); /* a schema that this role lets it into */
        }
        break;
    case OK_TRACK_STATE_CHANGE:
        sess->cmd.state_changed = sess->cmd.state_changed || span_eq_text(track->value, "1");
        break;
    default:
        break;
    }
    if (err < 0) {
        log_warn(&sess->log, "track_failed", "a value of the session's state could not be kept: %s",
                 err_text(err));
        sess->cmd.pins |= PIN_BIT(PIN_UNKNOWN);
    }
}

void sess_track_ok(struct sess *sess, struct conn *conn, const struct ok *ok)
{
    struct ok_tracks tracks;
    struct ok_track track;
    bool is_changed = false;

    conn->status = ok->status;
    if (ok->tracks.len != 0) {
        ok_tracks_init(&tracks, ok->tracks);
        while (ok_track_next(&tracks, &track) == DEC_OK) {
            track_entry(sess, conn, &track, &is_changed);
        }
        if (is_changed) {
            sess_refresh(sess);
            /* set by something that is no SET (SET STATEMENT, a procedure): ask what holds now */
            if ((sess->cmd.bits & FACT(SET_TRACKED)) == 0) {
                sess->cmd.needs_learn = true;
            }
        }
    }
    if ((ok->status & STATUS_MORE_RESULTS) == 0) {
        sess->status = ok->status;
    }
}

/* Each reason is counted by its own name. */
static const enum metric_pin PIN_METRICS[PIN_END_] = {
    [PIN_USER_VARIABLE] = METRIC_PIN_USER_VARIABLE,
    [PIN_TEMP_TABLE] = METRIC_PIN_TEMP_TABLE,
    [PIN_NAMED_LOCK] = METRIC_PIN_NAMED_LOCK,
    [PIN_LOCK_TABLES] = METRIC_PIN_LOCK_TABLES,
    [PIN_BACKUP_LOCK] = METRIC_PIN_BACKUP_LOCK,
    [PIN_TEXT_PREPARE] = METRIC_PIN_TEXT_PREPARE,
    [PIN_HANDLER] = METRIC_PIN_HANDLER,
    [PIN_UNTRACKED_VARIABLE] = METRIC_PIN_UNTRACKED_VARIABLE,
    [PIN_SET_ROLE] = METRIC_PIN_SET_ROLE,
    [PIN_XA] = METRIC_PIN_XA,
    [PIN_LAST_INSERT_ID] = METRIC_PIN_LAST_INSERT_ID,
    [PIN_SEQUENCE] = METRIC_PIN_SEQUENCE,
    [PIN_UNKNOWN] = METRIC_PIN_UNKNOWN,
};

void sess_pins_change(struct sess *sess, uint32_t pins, uint32_t unpins)
{
    uint32_t before = sess->pins;
    uint32_t now = (before & ~unpins) | pins;

    for (uint32_t fresh = now & ~before; fresh != 0; fresh &= fresh - 1) {
        metric_inc(sess->env->metrics, METRIC_PINS, PIN_METRICS[__builtin_ctz(fresh)]);
    }
    if (before == 0 && now != 0) {
        sess->pin_digest = sess->cmd.digest;
        metric_add(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
        log_debug(&sess->log, "pinned", "to the primary: pins 0x%x", now);
    } else if (before != 0 && now == 0) {
        sess->pin_digest = 0;
        metric_sub(sess->env->metrics, METRIC_SESSIONS_PINNED, METRIC_NONE, 1);
    }
    sess->pins = now;
}

void sess_pin(struct sess *sess, enum classify_pin pin)
{
    sess_pins_change(sess, PIN_BIT(pin), 0);
}

/* State that the server says has changed, and nothing in the text explains. What was sent to a
 * replica leaves none behind, nor would the primary have it: MariaDB's SET STATEMENT ... FOR SELECT
 * says so, and has set it back by then. */
static bool is_unexplained(const struct sess *sess)
{
    const struct sess_cmd *cmd = &sess->cmd;
    const uint64_t explained = FACT(SETS_STATE) | FACT(SET_TRACKED) | FACT(SET_NEXT_TX) |
                               FACT(TEMP_TABLE) | FACT(SET_AUTOCOMMIT) | FACT(STARTS_TX) |
                               FACT(ENDS_TX);

    if ((cmd->bits & FACT(READ)) != 0 && cmd->target == ROUTE_TO_REPLICA) {
        return false;
    }
    /* a function of another schema makes the server change its schema and back, and say so */
    if (!cmd->state_changed || cmd->is_calls_read || cmd->com == COM_STMT_PREPARE ||
        cmd->com == COM_INIT_DB || cmd->com == COM_RESET_CONNECTION || cmd->com == COM_SET_OPTION ||
        cmd->com == COM_STMT_RESET) {
        return false;
    }
    /* MariaDB goes to the schema in which it was prepared, and back, and says so */
    if (cmd->com == COM_STMT_EXECUTE && cmd->stmt != NULL && sess_is_known_read(sess) &&
        !span_eq(sess_stmt_schema(cmd->stmt), svec_get(&sess->svec, SVEC_SCHEMA))) {
        return false;
    }
    return (cmd->bits & explained) == 0 && cmd->pins == 0 && cmd->verb != VERB_USE &&
           cmd->verb != VERB_DEALLOCATE && cmd->verb != VERB_DROP;
}

static void track_transaction(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;
    struct conn *conn = sess_conn(sess, cmd->server);
    bool in_trans = false;

    if (conn == NULL || cmd->got_err) {
        return; /* an ERR carries no status: what was open is taken to be open still */
    }
    in_trans = (conn->status & STATUS_IN_TRANS) != 0;
    if (conn->is_replica) {
        sess->ro_tx_server = in_trans ? cmd->server : -1;
        return;
    }
    sess->tx_open = in_trans;
    if ((cmd->bits & FACT(SET_NEXT_TX)) != 0) {
        sess->next_tx_pending = !in_trans;
    } else if (cmd->com == COM_QUERY || sess_is_execute(sess)) {
        sess->next_tx_pending = false; /* used up, by a transaction or by this statement alone */
    }
}

static void track_writes(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (cmd->may_write) {
        sess->tx_wrote = true;
    }
    if (cmd->is_raw_held) { /* idle is counted from now */
        sess->raw_mark_us = loop_now_us(sess->env->loop);
    }
    if (sess->tx_wrote && !sess->tx_open) {
        sess->tx_wrote = false;
        sess->raw_mark_us = guard_mark(sess->env->board, sess->user_slot, sess->key_slot,
                                       loop_now_us(sess->env->loop));
        sess_causal_written(sess);
    }
}

static void track_special(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;

    if (cmd->got_err) {
        return;
    }
    switch (cmd->com) {
    case COM_INIT_DB: {
        struct span held = buf_span(&sess->held);

        if (held.len > FRAME_HEADER + 1) {
            struct span name = {held.p + FRAME_HEADER + 1, held.len - FRAME_HEADER - 1};
            struct conn *conn = sess_conn(sess, cmd->server);

            if (svec_track_schema(&sess->svec, name) < 0 ||
                (conn != NULL && svec_track_schema(&conn->svec, name) < 0)) {
                sess->cmd.pins |= PIN_BIT(PIN_UNKNOWN);
            }
        }
        return;
    }
    case COM_RESET_CONNECTION:
        if (!cmd->is_local) {
            sess_reset_connection(sess);
        }
        return;
    case COM_SET_OPTION:
        sess->caps = (cmd->bits & FACT(MULTI)) != 0 ? sess->caps | CAP_MULTI_STATEMENTS
                                                    : sess->caps & ~CAP_MULTI_STATEMENTS;
        for (uint16_t i = 0; i < sess->conn_count; i++) {
            if (sess->conns[i] != NULL) {
                sess->conns[i]->is_spoiled = true;
            }
        }
        if (sess_rekey(sess) < 0) {
            sess_close(sess, "no memory for a user's connections");
        }
        return;
    default:
        return;
    }
}

/* Refused by the parser as a whole: it cannot have done a part of its work. With several
 * statements in one text the first may have run. */
static bool never_ran(const struct sess_cmd *cmd)
{
    if (cmd->got_err && cmd->err_code == 1193 && cmd->verb == VERB_SET &&
        (cmd->bits & FACT(MULTI)) == 0 && (cmd->pins & PIN_BIT(PIN_UNKNOWN)) == 0) {
        return true; /* an unknown variable is found before any is set */
    }
    return cmd->got_err && (cmd->err_code == 1064 || cmd->err_code == 1065) &&
           (cmd->bits & FACT(MULTI)) == 0 && cmd->verb != VERB_CALL && cmd->verb != VERB_EXECUTE &&
           cmd->verb != VERB_COMPOUND;
}

void sess_track_done(struct sess *sess)
{
    struct sess_cmd *cmd = &sess->cmd;
    uint32_t ended = 0;

    if (cmd->ddl_bumped) {
        catalogue_ddl_bump();
        sess->env->poke_catalogue(sess->env->arg);
        cmd->ddl_bumped = false;
    }
    if (!cmd->is_sent) {
        return;
    }
    sess->last_server = cmd->server;
    if (sess_conn(sess, cmd->server) != NULL && !sess_conn(sess, cmd->server)->is_replica) {
        sess->home_server = cmd->server;
    }
    track_special(sess);
    if (cmd->com == COM_RESET_CONNECTION) {
        return;
    }
    sess_hold_note(sess, sess_conn(sess, cmd->server));
    if (never_ran(cmd)) {
        cmd->pins = 0;
        cmd->may_write = false;
    }
    track_transaction(sess);
    track_writes(sess);
    sess_causal_done(sess);
    if (is_unexplained(sess)) {
        cmd->pins |= PIN_BIT(PIN_UNKNOWN);
    }
    sess_vars_done(sess, sess_conn(sess, cmd->server), never_ran(cmd));
    ended = sess_pins_apply(sess);
    /* a statement that failed half-way may have left its state all the same */
    if ((cmd->pins | cmd->unpins | ended) != 0) {
        sess_pins_change(sess, cmd->pins, ended | (cmd->got_err ? 0 : cmd->unpins));
    }
    if ((cmd->bits & FACT(RELEASE)) != 0 && !cmd->got_err) {
        sess_close_flushed(sess, "COMMIT or ROLLBACK with RELEASE");
    }
}
