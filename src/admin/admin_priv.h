/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_priv - an operator's session, shared by the files of this room and nobody else.
 *
 * WHY       One object, several files: login, statements, answers.
 * OWNS      See include/weir/admin/admin.h.
 * THREADS   The control thread.
 * REENTRY   A handler answers, or sets a wait; it never closes its session.
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    none beyond what a client is told
 * BOUNDS    ROWS_COLUMNS_MAX columns, ROWS_ROW_MAX bytes of one row.
 */
#ifndef WEIR_ADMIN_ADMIN_PRIV_H
#define WEIR_ADMIN_ADMIN_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/admin/admin.h"
#include "weir/client/sess_list.h"
#include "weir/config/config.h"
#include "weir/io/loop.h"
#include "weir/io/stream.h"
#include "weir/io/timer.h"
#include "weir/observe/digests.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"
#include "weir/util/list.h"
#include "weir/util/log.h"
#include "weir/util/metric.h"

#include "words_priv.h"

#define ADMIN_MAGIC      UINT32_C(0x41444d49)
#define ADMIN_SCHEMA     "weir"
#define ADMIN_NAME_MAX   129
#define ADMIN_WARN_BYTES 160
#define ADMIN_WARNS_MAX  4
#define ROWS_COLUMNS_MAX 24
#define ROWS_ROW_MAX     ((size_t)16 * 1024)

/* X(name, text) */
#define ADMIN_STATES(X)                                                                      \
    X(RESPONSE, "response") /* greeting written; SSLRequest or login packet is awaited */    \
    X(REPLY, "reply")       /* AuthSwitch written; the answer is awaited */                  \
    X(FULL, "full")         /* the password itself is awaited, under TLS or a unix socket */ \
    X(IDLE, "idle")         /* logged in, no statement in hand */                            \
    X(WAIT, "wait")         /* workers or the monitor are to answer */                       \
    X(CLOSING, "closing")   /* output is flushed, nothing else happens */

/* clang-format off */
enum admin_state {
#define X(name, text) ADMIN_ST_##name,
    ADMIN_STATES(X)
#undef X
    ADMIN_ST_END_
};
/* clang-format on */

struct admin_sess;

/* What goes on when what was awaited is there. */
typedef void (*admin_ready_fn)(struct admin_sess *sess);

struct admin_wait {
    uint32_t ticket; /* 0: none asked yet */
    uint32_t left;   /* workers that have not answered */
    uint32_t count;  /* lists in hand */
    admin_ready_fn ready;
    int outcome;     /* of a KILL */
    uint16_t server; /* of DRAIN, UNDRAIN, SET WEIGHT: the topology must say so first */
    bool is_for_topo;
    bool is_drain;   /* else a weight */
    bool is_drained; /* what it should be */
    uint32_t weight;
    struct words_filter filter;
    struct sess_list *sessions[ADMIN_WORKERS_MAX];
    struct digest_list *digests[ADMIN_WORKERS_MAX];
};

struct admin_sess {
    uint32_t magic;
    uint32_t id;
    struct list_node node;
    /* owning */
    struct stream front;
    struct buf in;
    struct admin_wait *wait; /* WAIT only */
    /* borrowed */
    struct admin *admin;
    /* values */
    struct timer timer;
    struct loop_task task;
    enum admin_state state;
    enum config_admin_role role;
    uint64_t offered;
    uint64_t caps;
    uint64_t began_us;
    uint8_t seq; /* of the next packet, either way */
    uint8_t scramble[GREET_SCRAMBLE];
    uint8_t tried;  /* bits: plugins that were asked for by AuthSwitch */
    bool is_native; /* the plugin of the answer that is awaited */
    bool is_unix;
    bool is_tls_offered;
    bool is_tls_required;
    bool is_tls_begun;
    bool has_password;
    bool is_front_eof;
    uint8_t warn_count;
    char user[ADMIN_NAME_MAX];
    char peer[64];
    char schema[WORDS_TEXT_MAX];
    char warns[ADMIN_WARNS_MAX][ADMIN_WARN_BYTES]; /* of the last statement */
};

struct admin {
    struct admin_conf conf;
    struct list sessions;
    uint32_t count;
    uint32_t in_login;
    uint32_t next_id;
    uint32_t next_ticket;
};

/* --- admin.c: sessions and their sockets --- */
void admin_set_state(struct admin_sess *sess, enum admin_state state);
void admin_close(struct admin_sess *sess);
/* What is queued goes out first. */
void admin_close_flushed(struct admin_sess *sess);
void admin_send(struct admin_sess *sess, struct buf *bytes);
void admin_view(const struct admin_sess *sess, struct admin_view *ret_view);
/* The session with this id, or NULL. */
struct admin_sess *admin_find(struct admin *admin, uint32_t id);
bool admin_is_own_id(const struct admin_sess *sess, uint64_t id);

/* --- admin_login.c --- */
void admin_login_begin(struct admin_sess *sess);
/* One packet in state RESPONSE, REPLY or FULL. */
void admin_login_packet(struct admin_sess *sess, struct span payload);
void admin_login_refuse(struct admin_sess *sess, uint16_t code, const char *sqlstate,
                        const char *text);

/* --- admin_wait.c: answers that come later --- */
/* Begin to wait; NULL: an error was answered. */
struct admin_wait *admin_wait_begin(struct admin_sess *sess, admin_ready_fn ready);
/* Ask every worker, when the wait has begun. */
void admin_wait_ask(struct admin_sess *sess, unsigned what);
void admin_wait_end(struct admin_sess *sess);
void admin_wait_timeout(struct admin_sess *sess);

/* --- admin_command.c: COM_* and statements --- */
void admin_packet(struct admin_sess *sess, struct span payload);

/* The one table of statements. */
typedef void (*admin_fn)(struct admin_sess *sess, const struct words *words, size_t at);
struct admin_command {
    const char *name; /* words in capitals, one space between */
    const char *args;
    enum config_admin_role role;
    const char *help;
    admin_fn fn; /* at: the first word behind the name */
};
extern const struct admin_command admin_commands[];
extern const size_t admin_command_count;
/* The longest that fits; NULL: none. *ret_at: the first word behind its name. */
const struct admin_command *admin_command_find(const struct words *words, size_t *ret_at);
/* The name that is closest to what was written, or NULL. */
const char *admin_command_near(const struct words *words);

/* --- admin_rows.c: answers --- */
void admin_ok(struct admin_sess *sess);
void admin_error(struct admin_sess *sess, uint16_t code, const char *sqlstate, const char *fmt, ...)
    WR_PRINTF(4, 5);
/* Shown by SHOW WARNINGS, counted in the answer. */
void admin_warn(struct admin_sess *sess, const char *fmt, ...) WR_PRINTF(2, 3);

struct admin_rows {
    struct admin_sess *sess;
    struct buf bytes;
    struct wire_out out;
    struct result result;
    struct words_filter filter;
    bool is_like_first; /* LIKE is about the first column; else any will do */
    uint16_t columns;
    uint16_t cells;
    uint64_t rows;
    struct buf text; /* of the row in hand */
    struct {
        size_t at;
        size_t len;
        bool is_null;
    } cell[ROWS_COLUMNS_MAX];
    bool failed;
};

/* columns: "name,role*,weight#": a "#" behind a name makes it a number. filter may be NULL. */
void rows_begin(struct admin_rows *rows, struct admin_sess *sess, const char *columns,
                const struct words_filter *filter, bool is_like_first);
/* Cells in the order of the columns; the last one ends the row. */
void rows_text(struct admin_rows *rows, const char *text);
void rows_span(struct admin_rows *rows, struct span text);
void rows_u64(struct admin_rows *rows, uint64_t number);
void rows_printf(struct admin_rows *rows, const char *fmt, ...) WR_PRINTF(2, 3);
void rows_null(struct admin_rows *rows);
/* Writes it all. */
void rows_end(struct admin_rows *rows);
/* Writes nothing: an error follows. */
void rows_abort(struct admin_rows *rows);
/* "2026-01-31 12:00:00.250" from milliseconds since 1970. */
void rows_time(struct admin_rows *rows, uint64_t at_ms);

/* --- handlers --- */
void admin_show_servers(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_pools(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_sessions(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_pins(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_digests(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_rules(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_config(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_metrics(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_version(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_events(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_commands(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_cache(struct admin_sess *sess, const struct words *words, size_t at);
void admin_cache_flush(struct admin_sess *sess, const struct words *words, size_t at);
void admin_cache_purge_table(struct admin_sess *sess, const struct words *words, size_t at);
void admin_cache_purge_schema(struct admin_sess *sess, const struct words *words, size_t at);
void admin_cache_purge_tag(struct admin_sess *sess, const struct words *words, size_t at);
void admin_explain(struct admin_sess *sess, const struct words *words, size_t at);
void admin_kill(struct admin_sess *sess, const struct words *words, size_t at);
void admin_drain(struct admin_sess *sess, const struct words *words, size_t at);
void admin_undrain(struct admin_sess *sess, const struct words *words, size_t at);
void admin_set_weight(struct admin_sess *sess, const struct words *words, size_t at);
void admin_reload(struct admin_sess *sess, const struct words *words, size_t at);
/* What clients ask by themselves. */
void admin_select(struct admin_sess *sess, const struct words *words, size_t at);
void admin_set(struct admin_sess *sess, const struct words *words, size_t at);
void admin_use(struct admin_sess *sess, const struct words *words, size_t at);
void admin_nothing(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_variables(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_status(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_databases(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_tables(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_warnings(struct admin_sess *sess, const struct words *words, size_t at);
void admin_show_empty(struct admin_sess *sess, const struct words *words, size_t at);
/* COM_INIT_DB and USE; false: an error was answered. */
bool admin_use_schema(struct admin_sess *sess, const char *schema);
/* COM_STATISTICS's one line. */
void admin_statistics(const struct admin_sess *sess, char *dst, size_t cap);

/* The filter behind a SHOW; false: an error was answered. */
bool admin_filter(struct admin_sess *sess, const struct words *words, size_t at,
                  struct words_filter *ret_filter);

#endif
