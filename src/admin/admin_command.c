/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"

#include "admin_priv.h"

/* clang-format off */
#define FILTER "[LIKE 'x'] [LIMIT n]"
const struct admin_command admin_commands[] = {
    {"SHOW SERVERS", FILTER, CONFIG_ADMIN_READ,
     "servers: role, state and why, lag, weight, connections, statements", admin_show_servers},
    {"SHOW POOLS", FILTER, CONFIG_ADMIN_READ,
     "connections to each server: in use, limit, refused", admin_show_pools},
    {"SHOW SESSIONS", FILTER, CONFIG_ADMIN_READ,
     "client sessions: state, servers, transaction, pins and what pinned, last states",
     admin_show_sessions},
    {"SHOW PINS", FILTER, CONFIG_ADMIN_READ,
     "reasons that keep sessions on the primary: sessions now, times so far", admin_show_pins},
    {"SHOW DIGESTS", FILTER, CONFIG_ADMIN_READ,
     "kinds of statements: how many, how long, where; those that took most time first",
     admin_show_digests},
    {"SHOW RULES", FILTER, CONFIG_ADMIN_READ, "routing rules in their order", admin_show_rules},
    {"SHOW CACHE", FILTER, CONFIG_ADMIN_READ,
     "the cache: memory, hits, misses and why, what ended answers, the primary's binary log",
     admin_show_cache},
    {"SHOW CONFIG", FILTER, CONFIG_ADMIN_READ, "every setting in force, secrets hidden",
     admin_show_config},
    {"SHOW METRICS", FILTER, CONFIG_ADMIN_READ, "every metric of /metrics", admin_show_metrics},
    {"SHOW VERSION", "", CONFIG_ADMIN_READ, "version, process, uptime", admin_show_version},
    {"SHOW EVENTS", FILTER, CONFIG_ADMIN_READ,
     "what happened to servers and process, newest first", admin_show_events},
    {"SHOW COMMANDS", FILTER, CONFIG_ADMIN_READ, "this list", admin_show_commands},
    {"EXPLAIN ROUTE", "[AS user] [IN schema] statement", CONFIG_ADMIN_READ,
     "where the statement would go, and why; the options may stand behind it, too", admin_explain},
    {"KILL QUERY", "id", CONFIG_ADMIN_OPERATE, "interrupts the statement of a client session",
     admin_kill},
    {"KILL CONNECTION", "id", CONFIG_ADMIN_OPERATE, "ends a client session", admin_kill},
    {"KILL", "id", CONFIG_ADMIN_OPERATE, "ends a client session", admin_kill},
    {"DRAIN", "server", CONFIG_ADMIN_OPERATE,
     "no new reads and connections there, what runs is finished; until UNDRAIN or a restart",
     admin_drain},
    {"UNDRAIN", "server", CONFIG_ADMIN_OPERATE, "takes a server back", admin_undrain},
    {"SET WEIGHT", "server n | server DEFAULT", CONFIG_ADMIN_OPERATE,
     "its share of the reads; until a restart, or DEFAULT for the configured one",
     admin_set_weight},
    {"RELOAD", "", CONFIG_ADMIN_OPERATE, "reads the configuration again, all of it or nothing",
     admin_reload},
    {"CACHE FLUSH", "", CONFIG_ADMIN_OPERATE, "no answer that is kept is given any more",
     admin_cache_flush},
    {"CACHE PURGE TABLE", "schema.name", CONFIG_ADMIN_OPERATE,
     "answers that were read from this table are not given any more", admin_cache_purge_table},
    {"CACHE PURGE SCHEMA", "name", CONFIG_ADMIN_OPERATE,
     "the same of all tables of this schema", admin_cache_purge_schema},
    {"CACHE PURGE TAG", "'tag' | 'tag:*'", CONFIG_ADMIN_OPERATE,
     "the same of answers with this tag (rules[].cache_tags); 'tag:*': with it, or one below",
     admin_cache_purge_tag},
    /* what clients ask by themselves */
    {"SELECT", "...", CONFIG_ADMIN_READ, "variables and functions that clients ask for",
     admin_select},
    {"SET", "...", CONFIG_ADMIN_READ, "accepted, without effect", admin_set},
    {"USE", "schema", CONFIG_ADMIN_READ, "there is one: " ADMIN_SCHEMA, admin_use},
    {"SHOW VARIABLES", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_variables},
    {"SHOW GLOBAL VARIABLES", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients",
     admin_show_variables},
    {"SHOW SESSION VARIABLES", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients",
     admin_show_variables},
    {"SHOW STATUS", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_status},
    {"SHOW GLOBAL STATUS", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_status},
    {"SHOW SESSION STATUS", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_status},
    {"SHOW DATABASES", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_databases},
    {"SHOW SCHEMAS", "[LIKE 'x']", CONFIG_ADMIN_READ, "for clients", admin_show_databases},
    {"SHOW TABLES", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_tables},
    {"SHOW FULL TABLES", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_tables},
    {"SHOW WARNINGS", "", CONFIG_ADMIN_READ, "of the last statement", admin_show_warnings},
    {"SHOW ENGINES", "", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"SHOW PLUGINS", "", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"SHOW COLLATION", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"SHOW CHARACTER SET", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"SHOW PROCEDURE STATUS", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"SHOW FUNCTION STATUS", "...", CONFIG_ADMIN_READ, "for clients: none", admin_show_empty},
    {"BEGIN", "", CONFIG_ADMIN_READ, "accepted, without effect", admin_nothing},
    {"START TRANSACTION", "...", CONFIG_ADMIN_READ, "accepted, without effect", admin_nothing},
    {"COMMIT", "", CONFIG_ADMIN_READ, "accepted, without effect", admin_nothing},
    {"ROLLBACK", "", CONFIG_ADMIN_READ, "accepted, without effect", admin_nothing},
};
/* clang-format on */
const size_t admin_command_count = WR_ARRAY_LEN(admin_commands);

const struct admin_command *admin_command_find(const struct words *words, size_t *ret_at)
{
    const struct admin_command *best = NULL;

    *ret_at = 0;
    for (size_t i = 0; i < admin_command_count; i++) {
        size_t taken = words_match(words, admin_commands[i].name);

        if (taken > *ret_at) {
            best = &admin_commands[i];
            *ret_at = taken;
        }
    }
    return best;
}

/* The first words of what was written, as many as name has. */
static size_t words_head(const struct words *words, const char *name, char *dst, size_t cap)
{
    size_t len = 0;
    size_t at = 0;

    for (const char *p = name; p != NULL && at < words->count; at++) {
        struct span text = words->item[at].text;

        if (words->item[at].kind != WORD_NAME) {
            break;
        }
        if (len + text.len + 2 > cap) {
            break;
        }
        if (at > 0) {
            dst[len++] = ' ';
        }
        len += span_copy(text, dst + len, cap - len);
        p = strchr(p, ' ');
        p = p != NULL ? p + 1 : NULL;
    }
    dst[len] = '\0';
    return len;
}

const char *admin_command_near(const struct words *words)
{
    const char *best = NULL;
    unsigned best_distance = 0;

    for (size_t i = 0; i < admin_command_count; i++) {
        const char *name = admin_commands[i].name;
        char head[64];
        size_t len = words_head(words, name, head, sizeof(head));
        struct span written = {(const uint8_t *)head, len};
        unsigned limit = len < 5 ? 1 : (len < 9 ? 2 : 4);
        unsigned distance = span_distance_nocase(written, span_of(name));

        if (len > 0 && distance <= limit && (best == NULL || distance < best_distance)) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}

bool admin_filter(struct admin_sess *sess, const struct words *words, size_t at,
                  struct words_filter *ret_filter)
{
    if (words_filter(words, at, ret_filter)) {
        return true;
    }
    admin_error(sess, 1064, "42000",
                "weir: behind this SHOW come LIKE 'x' and LIMIT n, or nothing");
    return false;
}

static void unknown(struct admin_sess *sess, const struct words *words)
{
    const char *near_name = admin_command_near(words);
    int len = words->text.len < 60 ? (int)words->text.len : 60;

    if (near_name != NULL) {
        admin_error(sess, 1064, "42000",
                    "weir: unknown command '%.*s'; did you mean %s? SHOW COMMANDS lists them all",
                    len, (const char *)words->text.p, near_name);
    } else {
        admin_error(sess, 1064, "42000",
                    "weir: unknown command '%.*s'; SHOW COMMANDS lists what there is", len,
                    (const char *)words->text.p);
    }
}

static void on_query(struct admin_sess *sess, struct span text)
{
    struct words words;
    const struct admin_command *command = NULL;
    size_t at = 0;

    words_parse(text, &words);
    if (words.count == 0) {
        admin_error(sess, 1065, "42000", "Query was empty");
        return;
    }
    command = admin_command_find(&words, &at);
    if (command == NULL) {
        unknown(sess, &words);
        return;
    }
    if (command->fn != admin_show_warnings) {
        sess->warn_count = 0;
    }
    if (command->role == CONFIG_ADMIN_OPERATE) {
        if (sess->role != CONFIG_ADMIN_OPERATE) {
            admin_error(sess, 1227, "42000",
                        "Access denied; you need (at least one of) the OPERATE role for this "
                        "operation: user '%s' has admin.users[].role read",
                        sess->user);
            return;
        }
        log_info(sess->admin->conf.log, "admin_command", "user '%s': %.*s", sess->user,
                 (int)(text.len < 200 ? text.len : 200), (const char *)text.p);
    }
    metric_inc(sess->admin->conf.metrics, METRIC_ADMIN_COMMANDS, METRIC_NONE);
    command->fn(sess, &words, at);
}

static void on_init_db(struct admin_sess *sess, struct span name)
{
    char schema[WORDS_TEXT_MAX];

    if (name.len >= sizeof(schema)) {
        admin_error(sess, 1102, "42000", "Incorrect database name");
        return;
    }
    (void)span_copy(name, schema, sizeof(schema));
    if (admin_use_schema(sess, schema)) {
        admin_ok(sess);
    }
}

/* One packet that is no OK: a line of text, or an EOF. */
static void send_text(struct admin_sess *sess, const char *text)
{
    struct buf bytes = {0};
    struct wire_out out;

    wire_out_buf(&out, &bytes, ROWS_ROW_MAX);
    frame_packet_encode(&out, &sess->seq, span_of(text));
    admin_send(sess, &bytes);
}

static void send_eof(struct admin_sess *sess)
{
    struct buf bytes = {0};
    struct wire_out out;
    struct result result = {.out = &out, .caps = sess->caps, .status = 2, .seq = sess->seq};

    wire_out_buf(&out, &bytes, ROWS_ROW_MAX);
    result_put_eof(&result, 0);
    admin_send(sess, &bytes);
}

void admin_packet(struct admin_sess *sess, struct span payload)
{
    struct span body = {payload.p + 1, payload.len > 0 ? payload.len - 1 : 0};
    char line[256];

    switch (payload.len > 0 ? payload.p[0] : COM_SLEEP) {
    case COM_QUIT:
        admin_close_flushed(sess);
        return;
    case COM_QUERY:
        on_query(sess, body);
        return;
    case COM_INIT_DB:
        on_init_db(sess, body);
        return;
    case COM_PING:
    case COM_RESET_CONNECTION:
        admin_ok(sess);
        return;
    case COM_SET_OPTION:
    case COM_FIELD_LIST: /* there are no tables: no columns, and the EOF */
        send_eof(sess);
        return;
    case COM_STATISTICS:
        admin_statistics(sess, line, sizeof(line));
        send_text(sess, line);
        return;
    case COM_STMT_PREPARE:
        admin_error(sess, 1295, "HY000",
                    "This command is not supported in the prepared statement protocol yet");
        return;
    case COM_STMT_CLOSE:
    case COM_STMT_SEND_LONG_DATA:
        return; /* these have no answer */
    default:
        admin_error(sess, 1047, "08S01", "Unknown command");
        return;
    }
}
