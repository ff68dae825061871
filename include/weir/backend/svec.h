/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svec - the state vector: the session variables that weir keeps the same on every connection.
 *
 * WHY       A session is one thing to its client and several connections to its servers. What it
 *           has set must hold wherever its next statement runs.
 * OWNS      Counted references to interned values: two vectors that agree share the bytes, and
 *           equality is a comparison of pointers.
 * THREADS   One svec_values and the vectors made from it: one worker.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    0 or more on success; -ENOMEM, -WR_E_TOO_LARGE; then the vector has not changed.
 * BOUNDS    SVEC_VALUE_MAX bytes per value.
 */
#ifndef WEIR_BACKEND_SVEC_H
#define WEIR_BACKEND_SVEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/util/attr.h"
#include "weir/util/str.h"

struct buf;

#define SVEC_VALUE_MAX 2048

/*
 * X(name, name in MySQL 8.0 and later, name in MariaDB before 11.1).
 * Order matters: it is the order in which the values are set.
 */
#define SVEC_VARS(X)                                                                    \
    X(SCHEMA, "", "")                                                                   \
    X(CS_CLIENT, "character_set_client", "character_set_client")                        \
    X(CS_RESULTS, "character_set_results", "character_set_results")                     \
    X(CS_CONNECTION, "character_set_connection", "character_set_connection")            \
    X(COLLATION, "collation_connection", "collation_connection")                        \
    X(SQL_MODE, "sql_mode", "sql_mode")                                                 \
    X(TIME_ZONE, "time_zone", "time_zone")                                              \
    X(ISOLATION, "transaction_isolation", "tx_isolation")                               \
    X(READ_ONLY, "transaction_read_only", "tx_read_only")                               \
    X(AUTOCOMMIT, "autocommit", "autocommit")                                           \
    X(TRACK_GTIDS, "session_track_gtids", "")                                           \
    X(TRACK_TXINFO, "session_track_transaction_info", "session_track_transaction_info") \
    X(TRACK_SCHEMA, "session_track_schema", "session_track_schema")                     \
    X(TRACK_STATE, "session_track_state_change", "session_track_state_change")          \
    X(TRACK_VARS, "session_track_system_variables", "session_track_system_variables")   \
    X(EXTRA, "", "")                                                                    \
    X(ROLE, "", "")

enum svec_var {
#define X(name, mysql, mariadb) SVEC_##name,
    SVEC_VARS(X)
#undef X
    SVEC_COUNT
};

struct svec_value;
struct svec_values;

/*
 * A value that is absent (NULL) means: as the server gives it to a fresh login with this session's
 * handshake. That is how every vector begins, so weir needs no table of collation numbers, and an
 * idle session that never set anything holds no value at all.
 *
 * EXTRA is all the others that are replayed, see svec_extra_put(). ROLE is what SET ROLE is said,
 * absent on a connection that nobody has asked for it: it has what its login got. A reset keeps it.
 * CS_RESULTS "" is NULL in SQL (no conversion). SCHEMA "" is "none selected". COLLATION "" is
 * "the default of CS_CONNECTION".
 */
struct svec {
    struct svec_values *values; /* borrowed */
    uint64_t gen;               /* goes up with every change of a value; never 0 */
    struct svec_value *v[SVEC_COUNT];
};

/* One intern table per worker. Every svec must be gone before destroy. */
WR_NODISCARD int svec_values_create(struct svec_values **ret_values);
void svec_values_destroy(struct svec_values *values);
size_t svec_values_count(const struct svec_values *values);

/* Everything absent. */
void svec_init(struct svec *svec, struct svec_values *values);
/* The values of sql_mode, time_zone, isolation, read only and autocommit that a fresh session of
 * this server has, as the monitor read them; nothing when it has not. For a session that starts
 * without a connection; one that got a connection from its login copies that one's vector. */
WR_NODISCARD int svec_set_defaults(struct svec *svec, const struct topo_server *server);
/* Fine on a zeroed svec. */
void svec_fini(struct svec *svec);
void svec_copy(struct svec *dst, const struct svec *src);
/* The same for one variable. */
void svec_copy_one(struct svec *dst, const struct svec *src, enum svec_var var);
WR_NODISCARD int svec_set(struct svec *svec, enum svec_var var, struct span value);
/* Absent again: for a value that weir can no longer vouch for use svec_set_unknown(). */
void svec_clear(struct svec *svec, enum svec_var var);
/* Differs from every value: the next svec_diff() sends it again. For connections' vectors. */
WR_NODISCARD int svec_set_unknown(struct svec *svec, enum svec_var var);
bool svec_is_set(const struct svec *svec, enum svec_var var);
/* The empty span with p NULL when absent. Borrowed until the vector changes. */
struct span svec_get(const struct svec *svec, enum svec_var var);
bool svec_is_equal(const struct svec *a, const struct svec *b);

/* The variable of that name in this flavour, either spelling; -1: not in the vector. */
int svec_var_find(struct span name);
const char *svec_var_name(enum svec_var var, enum topo_flavour flavour);

/*
 * One entry of a server's system-variable tracker. Returns 1: it is in the vector and is set,
 * 0: not in the vector. What the trackers of real servers leave out is in src/backend/README.md:
 * no server reports collation_connection after SET NAMES, so CS_CONNECTION sets COLLATION to ""
 * (its default); call svec_set() afterwards when the statement had a COLLATE.
 */
WR_NODISCARD int svec_track(struct svec *svec, struct span name, struct span value);
/* The schema tracker; empty: none is selected. */
WR_NODISCARD int svec_track_schema(struct svec *svec, struct span schema);
/* Every entry of the session-state block of one OK packet, in whatever order the server wrote
 * them. Returns the bits of what was set; -WR_E_BAD_PACKET. */
WR_NODISCARD int svec_track_block(struct svec *svec, struct span block);

/*
 * The names that weir asks servers to track, as the value of session_track_system_variables.
 * Static storage.
 */
const char *svec_tracked_names(enum topo_flavour flavour);
/* A value of session_track_system_variables names this one, or all by '*'. */
bool svec_names_have(struct span list, struct span name);
/* The list has every name that weir itself wants. */
bool svec_names_are_ours(struct span list, enum topo_flavour flavour);

/*
 * want, with what is absent in it taken from born: the values that a fresh login has on the
 * connection in question. A view only: it holds no references, must not be changed or given to
 * svec_fini(), and is good while neither of the two changes.
 */
void svec_view(struct svec *ret_view, const struct svec *want, const struct svec *born);

/* A vector for another worker: its values as bytes, and back into that worker's table. */
WR_NODISCARD int svec_pack(const struct svec *svec, struct buf *out);
/* Takes its bytes off the front of *bytes; svec has been svec_init()ed. -WR_E_BAD_PACKET. */
WR_NODISCARD int svec_unpack(struct svec *svec, struct span *bytes);

/*
 * One more session variable, by its name in lower case and the value that the server gave for it.
 * -WR_E_UNSUPPORTED: a value that cannot be written so that every sql_mode reads it alike;
 * -WR_E_TOO_LARGE: more than a vector holds. The way back from it is the global value, as a login gets it.
 */
WR_NODISCARD int svec_extra_put(struct svec *svec, struct span name, struct span value);

/*
 * The session's roles, as CURRENT_ROLE() gave them (p NULL: SQL's NULL). -WR_E_UNSUPPORTED: no SET
 * ROLE can be written from that which all character sets and every sql_mode read alike.
 */
WR_NODISCARD int svec_track_role(struct svec *svec, struct span answer, enum topo_flavour flavour);
/* Appends "SET ROLE ..." for want's; -WR_E_UNSUPPORTED: it is not known. */
WR_NODISCARD int svec_format_role(const struct svec *want, struct buf *text);

/* What is fixed on weir's connections whatever the session says. */
struct svec_policy {
    enum topo_flavour flavour;
    bool is_replica;  /* transaction_read_only is ON whatever want says */
    bool wants_gtids; /* MySQL's primary reports the GTIDs of a session's own writes */
};

/*
 * Which variables of a connection that carries `have` must be set so that it serves `want`: one
 * bit per enum svec_var. The trackers weir needs are always wanted; READ_ONLY is always ON on a
 * replica. A value that is absent in want and not in have cannot be replayed: SVEC_DIFF_REOPEN.
 */
#define SVEC_DIFF_REOPEN (UINT32_C(1) << 31)
/* All four of the character sets and the collation, by SET NAMES ... COLLATE: the only way back to
 * what a login has, where each of them carries the collation. */
#define SVEC_DIFF_NAMES (UINT32_C(1) << 30)
uint32_t svec_diff(const struct svec *have, const struct svec *want,
                   const struct svec_policy *policy);

/* The same where an absent value of want means born's; *ret_view is what is wanted then, for the
 * functions below. */
uint32_t svec_diff_born(const struct svec *have, const struct svec *want, const struct svec *born,
                        const struct svec_policy *policy, struct svec *ret_view);
/* A login gives client and results the character set of its collation, and the collation with it:
 * values of their own, which a SET of the plain name does not equal. */
WR_NODISCARD int svec_set_login_charset(struct svec *svec);
/* The bits that set everything that a fresh login has, but the schema. */
uint32_t svec_all_born(const struct svec *born);

/*
 * Appends the text of one "SET a=..., b=..." for the bits of diff, SCHEMA excluded (that is
 * COM_INIT_DB). Values are quoted so that no sql_mode gives them another meaning. Returns how
 * many variables were written; 0: nothing appended. have (may be NULL) tells what EXTRA has to undo.
 */
WR_NODISCARD int svec_format_set(const struct svec *have, const struct svec *want, uint32_t diff,
                                 const struct svec_policy *policy, struct buf *text);
/* have becomes what the SET and the COM_INIT_DB for diff make of it. */
WR_NODISCARD int svec_apply(struct svec *have, const struct svec *want, uint32_t diff,
                            const struct svec_policy *policy);

/*
 * "SELECT DATABASE(), @@..." whose one row, column by column in enum order, is the truth: for
 * statements after which the trackers cannot be trusted. Static storage.
 */
const char *svec_select_text(enum topo_flavour flavour);

#endif
