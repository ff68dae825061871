/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From two vectors to the one SET that makes them agree. What is written here is only ever what a
 * server reported or a literal of this file, and even so it passes an allow-list: a value with a
 * quote, a backslash or a byte above 0x7f has another meaning in some sql_mode or character set,
 * so it is not written at all.
 */
#include <string.h>

#include "weir/util/assert.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "svec_priv.h"

#define SET_TEXT_MAX ((size_t)16 * 1024)

/* What weir lives on; without them it would not notice what a session changes. */
#define TRACKED_COMMON                                                                \
    "autocommit,character_set_client,character_set_connection,character_set_results," \
    "collation_connection,session_track_schema,session_track_state_change,"           \
    "session_track_system_variables,session_track_transaction_info,sql_mode,time_zone"
#define TRACKED_MYSQL \
    TRACKED_COMMON ",session_track_gtids,transaction_isolation,transaction_read_only"
#define TRACKED_MARIADB TRACKED_COMMON ",tx_isolation,tx_read_only,last_gtid"

const char *svec_tracked_names(enum topo_flavour flavour)
{
    return flavour == TOPO_FLAVOUR_MARIADB ? TRACKED_MARIADB : TRACKED_MYSQL;
}

const char *svec_select_text(enum topo_flavour flavour)
{
    if (flavour == TOPO_FLAVOUR_MARIADB) {
        return "SELECT DATABASE(),@@character_set_client,@@character_set_results,"
               "@@character_set_connection,@@collation_connection,@@sql_mode,@@time_zone,"
               "@@tx_isolation,IF(@@tx_read_only,'ON','OFF'),IF(@@autocommit,'ON','OFF'),NULL,"
               "@@session_track_transaction_info,IF(@@session_track_schema,'ON','OFF'),"
               "IF(@@session_track_state_change,'ON','OFF'),@@session_track_system_variables";
    }
    return "SELECT DATABASE(),@@character_set_client,@@character_set_results,"
           "@@character_set_connection,@@collation_connection,@@sql_mode,@@time_zone,"
           "@@transaction_isolation,IF(@@transaction_read_only,'ON','OFF'),"
           "IF(@@autocommit,'ON','OFF'),@@session_track_gtids,@@session_track_transaction_info,"
           "IF(@@session_track_schema,'ON','OFF'),IF(@@session_track_state_change,'ON','OFF'),"
           "@@session_track_system_variables";
}

/* The next name of a list with commas; false at its end. */
static bool next_name(struct span *list, struct span *ret_name)
{
    while (list->len > 0) {
        const uint8_t *comma = memchr(list->p, ',', list->len);
        size_t len = comma == NULL ? list->len : (size_t)(comma - list->p);
        struct span name = {list->p, len};
        size_t used = comma == NULL ? len : len + 1;
        list->p += used;
        list->len -= used;
        while (name.len > 0 && name.p[0] == ' ') {
            name.p++;
            name.len--;
        }
        while (name.len > 0 && name.p[name.len - 1] == ' ') {
            name.len--;
        }
        if (name.len > 0) {
            *ret_name = name;
            return true;
        }
    }
    return false;
}

static bool list_has(struct span list, struct span name)
{
    struct span item = {NULL, 0};
    while (next_name(&list, &item)) {
        if (span_eq_nocase(item, name)) {
            return true;
        }
    }
    return false;
}

static bool list_covers(struct span list, struct span needed)
{
    struct span name = {NULL, 0};
    while (next_name(&needed, &name)) {
        if (!span_eq_text(name, "*") && !list_has(list, name)) {
            return false;
        }
    }
    return true;
}

bool svec_names_have(struct span list, struct span name)
{
    return list_has(list, SPAN_LIT("*")) || list_has(list, name);
}

bool svec_names_are_ours(struct span list, enum topo_flavour flavour)
{
    return list_covers(list, span_of(svec_tracked_names(flavour)));
}

/* The connection tracks what weir needs and what the client asked for. '*' never passes: MySQL
 * then reports a statement_id in every OK packet. */
static bool tracks_enough(const struct svec *have, const struct svec *want,
                          enum topo_flavour flavour)
{
    if (!svec_is_set(have, SVEC_TRACK_VARS)) {
        return false;
    }
    if (svec_tracks_known(have, want, flavour)) {
        return true;
    }
    struct span list = svec_get(have, SVEC_TRACK_VARS);
    if (list_has(list, SPAN_LIT("*")) || !list_covers(list, span_of(svec_tracked_names(flavour))) ||
        !list_covers(list, svec_get(want, SVEC_TRACK_VARS))) {
        return false;
    }
    svec_tracks_learn(have, want, flavour);
    return true;
}

static bool is_on(const struct svec *svec, enum svec_var var)
{
    struct span value = svec_get(svec, var);
    return span_eq_text_nocase(value, "ON") || span_eq_text(value, "1");
}

static uint32_t bit(enum svec_var var)
{
    return UINT32_C(1) << var;
}

/* A plain variable: equal, to be set, or beyond replay. */
static uint32_t diff_plain(const struct svec *have, const struct svec *want, enum svec_var var)
{
    if (have->v[var] == want->v[var]) {
        return 0;
    }
    return svec_is_set(want, var) ? bit(var) : SVEC_DIFF_REOPEN;
}

static uint32_t diff_schema(const struct svec *have, const struct svec *want)
{
    struct span a = svec_get(have, SVEC_SCHEMA);
    struct span b = svec_get(want, SVEC_SCHEMA);
    if (svec_is_unknown(have, SVEC_SCHEMA)) {
        return b.len > 0 ? bit(SVEC_SCHEMA) : SVEC_DIFF_REOPEN;
    }
    if (a.len == 0 && b.len == 0) {
        return 0;
    }
    if (b.len == 0) {
        return SVEC_DIFF_REOPEN; /* there is no statement that selects no schema */
    }
    return have->v[SVEC_SCHEMA] == want->v[SVEC_SCHEMA] ? 0 : bit(SVEC_SCHEMA);
}

/* Setting either of the pair moves both; a set without a collation means the set's default. */
static uint32_t diff_collation(const struct svec *have, const struct svec *want)
{
    if (!svec_is_set(want, SVEC_CS_CONNECTION)) {
        return diff_plain(have, want, SVEC_CS_CONNECTION) | diff_plain(have, want, SVEC_COLLATION);
    }
    if (have->v[SVEC_CS_CONNECTION] == want->v[SVEC_CS_CONNECTION] &&
        !svec_is_unknown(have, SVEC_COLLATION) &&
        span_eq(svec_get(have, SVEC_COLLATION), svec_get(want, SVEC_COLLATION))) {
        return 0;
    }
    uint32_t diff = bit(SVEC_CS_CONNECTION);
    if (svec_get(want, SVEC_COLLATION).len > 0) {
        diff |= bit(SVEC_COLLATION);
    }
    return diff;
}

/* What most sessions never set. */
static uint32_t diff_rare(const struct svec *have, const struct svec *want)
{
    uint32_t diff = diff_plain(have, want, SVEC_ROLE);

    if (svec_get(have, SVEC_EXTRA).len != 0 || svec_get(want, SVEC_EXTRA).len != 0) {
        diff |= have->v[SVEC_EXTRA] == want->v[SVEC_EXTRA] ? 0 : bit(SVEC_EXTRA);
    }
    return diff;
}

/* What the tracker of GTIDs is set to: weir needs a session's own, and lets a session have all. */
static struct span gtids_value(const struct svec *want, const struct svec_policy *policy)
{
    struct span value = svec_get(want, SVEC_TRACK_GTIDS);

    return policy->wants_gtids && !span_eq_text(value, "ALL_GTIDS") ? SPAN_LIT("OWN_GTID") : value;
}

static uint32_t diff_gtids(const struct svec *have, const struct svec *want,
                           const struct svec_policy *policy)
{
    if (policy->flavour != TOPO_FLAVOUR_MYSQL) {
        return 0;
    }
    if (policy->wants_gtids) {
        return span_eq(svec_get(have, SVEC_TRACK_GTIDS), gtids_value(want, policy))
                   ? 0
                   : bit(SVEC_TRACK_GTIDS);
    }
    return svec_is_set(want, SVEC_TRACK_GTIDS) ? diff_plain(have, want, SVEC_TRACK_GTIDS) : 0;
}

uint32_t svec_diff(const struct svec *have, const struct svec *want,
                   const struct svec_policy *policy)
{
    uint32_t diff = diff_schema(have, want) | diff_collation(have, want);

    diff |= diff_plain(have, want, SVEC_CS_CLIENT) | diff_plain(have, want, SVEC_CS_RESULTS);
    diff |= diff_plain(have, want, SVEC_SQL_MODE) | diff_plain(have, want, SVEC_TIME_ZONE);
    diff |= diff_plain(have, want, SVEC_ISOLATION) | diff_plain(have, want, SVEC_AUTOCOMMIT);
    if (policy->is_replica) {
        diff |= is_on(have, SVEC_READ_ONLY) ? 0 : bit(SVEC_READ_ONLY);
    } else {
        diff |= diff_plain(have, want, SVEC_READ_ONLY);
    }
    diff |= diff_gtids(have, want, policy);
    if (have->v[SVEC_EXTRA] != want->v[SVEC_EXTRA] || have->v[SVEC_ROLE] != want->v[SVEC_ROLE]) {
        diff |= diff_rare(have, want);
    }
    if (svec_is_set(want, SVEC_TRACK_TXINFO)) {
        diff |= diff_plain(have, want, SVEC_TRACK_TXINFO);
    }
    diff |= is_on(have, SVEC_TRACK_SCHEMA) ? 0 : bit(SVEC_TRACK_SCHEMA);
    diff |= is_on(have, SVEC_TRACK_STATE) ? 0 : bit(SVEC_TRACK_STATE);
    diff |= tracks_enough(have, want, policy->flavour) ? 0 : bit(SVEC_TRACK_VARS);
    return diff;
}

/* Ahead of a character set that carries the collation of its login. */
#define LOGIN_MARK "\x01"

#define NAMES_BITS \
    (1U << SVEC_CS_CLIENT | 1U << SVEC_CS_RESULTS | 1U << SVEC_CS_CONNECTION | 1U << SVEC_COLLATION)

uint32_t svec_diff_born(const struct svec *have, const struct svec *want, const struct svec *born,
                        const struct svec_policy *policy, struct svec *ret_view)
{
    svec_view(ret_view, want, born);
    uint32_t diff = svec_diff(have, ret_view, policy);
    if ((diff & NAMES_BITS) != 0 && want->v[SVEC_CS_CLIENT] == NULL &&
        want->v[SVEC_CS_RESULTS] == NULL && want->v[SVEC_CS_CONNECTION] == NULL &&
        svec_get(born, SVEC_COLLATION).len != 0) {
        diff = (diff & ~NAMES_BITS) | SVEC_DIFF_NAMES;
    }
    return diff;
}

int svec_set_login_charset(struct svec *svec)
{
    struct span name = svec_get(svec, SVEC_CS_CONNECTION);
    struct buf value;
    if (name.len == 0) {
        return 0;
    }
    buf_init(&value);
    int r = buf_append(&value, LOGIN_MARK, 1, SET_TEXT_MAX);
    if (r >= 0) {
        r = buf_append_span(&value, name, SET_TEXT_MAX);
    }
    if (r >= 0) {
        r = svec_set(svec, SVEC_CS_CLIENT, buf_span(&value));
    }
    if (r >= 0) {
        r = svec_set(svec, SVEC_CS_RESULTS, buf_span(&value));
    }
    buf_fini(&value);
    return r;
}

uint32_t svec_all_born(const struct svec *born)
{
    uint32_t all = 0;
    for (unsigned i = SVEC_SCHEMA + 1; i < SVEC_EXTRA; i++) {
        if (svec_is_set(born, (enum svec_var)i)) { /* else this flavour does not have it */
            all |= bit((enum svec_var)i);
        }
    }
    return svec_get(born, SVEC_COLLATION).len != 0 ? (all & ~NAMES_BITS) | SVEC_DIFF_NAMES : all;
}

static bool is_literal_safe(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && (c == '\0' || strchr("_,+:-/. ", c) == NULL)) {
            return false;
        }
    }
    return true;
}

/* The client's own names behind weir's. */
static int put_tracked(struct buf *text, const struct svec *want, enum topo_flavour flavour)
{
    struct span ours = span_of(svec_tracked_names(flavour));
    struct span list = svec_get(want, SVEC_TRACK_VARS);
    struct span name = {NULL, 0};
    int r = buf_append_span(text, ours, SET_TEXT_MAX);
    while (r >= 0 && next_name(&list, &name)) {
        if (span_eq_text(name, "*") || list_has(ours, name) || !is_literal_safe(name)) {
            continue;
        }
        r = buf_append_text(text, ",", SET_TEXT_MAX);
        if (r >= 0) {
            r = buf_append_span(text, name, SET_TEXT_MAX);
        }
    }
    return r;
}

static int put_value(struct buf *text, const struct svec *want, enum svec_var var,
                     const struct svec_policy *policy)
{
    struct span value = var == SVEC_TRACK_GTIDS ? gtids_value(want, policy) : svec_get(want, var);

    if (value.len > 0 && value.p[0] == LOGIN_MARK[0]) {
        value.p++;
        value.len--;
    }
    if (var == SVEC_CS_RESULTS && value.len == 0) {
        return buf_append_text(text, "NULL", SET_TEXT_MAX);
    }
    if (var == SVEC_TRACK_SCHEMA || var == SVEC_TRACK_STATE ||
        (var == SVEC_READ_ONLY && policy->is_replica)) {
        return buf_append_text(text, "ON", SET_TEXT_MAX);
    }
    int r = buf_append_text(text, "'", SET_TEXT_MAX);
    if (r < 0) {
        return r;
    }
    if (var == SVEC_TRACK_VARS) {
        r = put_tracked(text, want, policy->flavour);
    } else if (is_literal_safe(value)) {
        r = buf_append_span(text, value, SET_TEXT_MAX);
    } else {
        r = -WR_E_UNSUPPORTED;
    }
    return r < 0 ? r : buf_append_text(text, "'", SET_TEXT_MAX);
}

static int put_name(struct buf *text, enum svec_var var, enum topo_flavour flavour, int count)
{
    int r = buf_append_text(text, count == 0 ? "SET " : ",", SET_TEXT_MAX);
    if (r >= 0) {
        r = buf_append_text(text, svec_var_name(var, flavour), SET_TEXT_MAX);
    }
    return r < 0 ? r : buf_append_text(text, "=", SET_TEXT_MAX);
}

/* A value of names, which must be safe between quotes. */
static int put_quoted(struct buf *text, const char *ahead, struct span value)
{
    int r = is_literal_safe(value) ? buf_append_text(text, ahead, SET_TEXT_MAX) : -WR_E_UNSUPPORTED;
    if (r >= 0) {
        r = buf_append_span(text, value, SET_TEXT_MAX);
    }
    return r < 0 ? r : buf_append_text(text, "'", SET_TEXT_MAX);
}

static int put_names(struct buf *text, const struct svec *want)
{
    int r = put_quoted(text, "SET NAMES '", svec_get(want, SVEC_CS_CONNECTION));
    return r < 0 ? r : put_quoted(text, " COLLATE '", svec_get(want, SVEC_COLLATION));
}

int svec_format_set(const struct svec *have, const struct svec *want, uint32_t diff,
                    const struct svec_policy *policy, struct buf *text)
{
    int count = 0;
    if ((diff & SVEC_DIFF_NAMES) != 0) {
        int r = put_names(text, want);
        if (r < 0) {
            return r;
        }
        count++;
    }
    for (int i = SVEC_SCHEMA + 1; i < SVEC_COUNT; i++) {
        enum svec_var var = (enum svec_var)i;
        if ((diff & bit(var)) == 0 || svec_var_name(var, policy->flavour)[0] == '\0') {
            continue;
        }
        int r = put_name(text, var, policy->flavour, count);
        if (r >= 0) {
            r = put_value(text, want, var, policy);
        }
        if (r < 0) {
            return r;
        }
        count++;
    }
    if ((diff & bit(SVEC_EXTRA)) != 0) {
        int r = svec_extra_format(have, want, text, &count);
        if (r < 0) {
            return r;
        }
    }
    return count;
}

int svec_format_learn(const struct svec_policy *policy, struct buf *text)
{
    /* The tracker names come first: what is set behind them is then reported. Character sets are
     * left out: setting one, even to what it is, takes its collation to the default, which MySQL
     * shows in every definition of a result. The collation's report names them all. */
    struct svec none = {.values = NULL};
    int count = 0;
    for (int i = SVEC_COUNT - 1; i > SVEC_SCHEMA; i--) {
        enum svec_var var = (enum svec_var)i;
        if (var == SVEC_CS_CONNECTION || var == SVEC_CS_CLIENT || var == SVEC_CS_RESULTS ||
            svec_var_name(var, policy->flavour)[0] == '\0') {
            continue;
        }
        int r = put_name(text, var, policy->flavour, count);
        if (r < 0) {
            return r;
        }
        bool is_ours = var >= SVEC_TRACK_SCHEMA || (var == SVEC_READ_ONLY && policy->is_replica);
        if (var == SVEC_TRACK_VARS) {
            r = buf_printf(text, SET_TEXT_MAX, "'%s'", svec_tracked_names(policy->flavour));
        } else if (is_ours) {
            r = put_value(text, &none, var, policy);
        } else {
            r = buf_printf(text, SET_TEXT_MAX, "@@%s", svec_var_name(var, policy->flavour));
        }
        if (r < 0) {
            return r;
        }
        count++;
    }
    return count;
}

/* The list as the SET for it has it, without its quotes. */
static int apply_tracked(struct svec *have, const struct svec *want, enum topo_flavour flavour)
{
    struct buf list;
    buf_init(&list);
    int r = put_tracked(&list, want, flavour);
    if (r >= 0) {
        r = svec_set(have, SVEC_TRACK_VARS, buf_span(&list));
    }
    buf_fini(&list);
    return r;
}

int svec_apply(struct svec *have, const struct svec *want, uint32_t diff,
               const struct svec_policy *policy)
{
    int r = 0;
    if ((diff & SVEC_DIFF_NAMES) != 0) {
        for (int i = SVEC_CS_CLIENT; i <= SVEC_COLLATION; i++) {
            svec_copy_one(have, want, (enum svec_var)i);
        }
    }
    for (int i = 0; i < SVEC_COUNT && r >= 0; i++) {
        enum svec_var var = (enum svec_var)i;
        if ((diff & bit(var)) == 0) {
            continue;
        }
        if (var == SVEC_EXTRA || var == SVEC_ROLE) {
            svec_copy_one(have, want, var);
        } else if (var == SVEC_TRACK_VARS) {
            r = apply_tracked(have, want, policy->flavour);
        } else if (var == SVEC_TRACK_SCHEMA || var == SVEC_TRACK_STATE ||
                   (var == SVEC_READ_ONLY && policy->is_replica)) {
            r = svec_set(have, var, SPAN_LIT("ON"));
        } else if (var == SVEC_TRACK_GTIDS) {
            r = svec_set(have, var, gtids_value(want, policy));
        } else {
            r = svec_set(have, var, svec_get(want, var));
        }
        if (r >= 0 && var == SVEC_CS_CONNECTION && (diff & bit(SVEC_COLLATION)) == 0) {
            r = svec_set(have, SVEC_COLLATION, (struct span){NULL, 0});
        }
    }
    return r;
}
