/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs ask before their user has asked anything: variables, the schema, who they are. The
 * answers are plausible and say nothing that is not so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weir/backend/topo.h"
#include "weir/util/clock.h"

#include "admin_priv.h"

#define ITEM_MAX  64
#define ITEMS_MAX ROWS_COLUMNS_MAX

static const struct {
    const char *name;
    const char *value;
} variables[] = {
    {"auto_increment_increment", "1"},
    {"autocommit", "ON"},
    {"character_set_client", "utf8mb4"},
    {"character_set_connection", "utf8mb4"},
    {"character_set_database", "utf8mb4"},
    {"character_set_results", "utf8mb4"},
    {"character_set_server", "utf8mb4"},
    {"collation_connection", "utf8mb4_general_ci"},
    {"collation_database", "utf8mb4_general_ci"},
    {"collation_server", "utf8mb4_general_ci"},
    {"default_storage_engine", ""},
    {"init_connect", ""},
    {"interactive_timeout", "28800"},
    {"license", "Apache-2.0"},
    {"lower_case_table_names", "0"},
    {"max_allowed_packet", "1048576"},
    {"net_write_timeout", "60"},
    {"performance_schema", "OFF"},
    {"protocol_version", "10"},
    {"sql_mode", ""},
    {"sql_safe_updates", "OFF"},
    {"sql_select_limit", "18446744073709551615"},
    {"system_time_zone", "UTC"},
    {"time_zone", "SYSTEM"},
    {"transaction_isolation", "REPEATABLE-READ"},
    {"transaction_read_only", "OFF"},
    {"tx_isolation", "REPEATABLE-READ"},
    {"tx_read_only", "OFF"},
    {"version", "8.4.0-weir-" WEIR_VERSION},
    {"version_comment", "weir admin"},
    {"version_compile_machine", "x86_64"},
    {"version_compile_os", "Linux"},
    {"wait_timeout", "28800"},
};

static const char *variable(struct span name)
{
    for (size_t i = 0; i < WR_ARRAY_LEN(variables); i++) {
        if (span_eq_text_nocase(name, variables[i].name)) {
            return variables[i].value;
        }
    }
    return NULL;
}

/* --- SELECT without FROM --- */

struct item {
    struct span text;  /* the expression as written */
    struct span alias; /* what heads its column */
    const struct word *first;
    size_t words;
};

/* "@@session.sql_mode" -> "sql_mode" */
static struct span variable_name(struct span text)
{
    static const char *const scopes[] = {"session.", "global.", "local."};

    text.p += 2;
    text.len -= 2;
    for (size_t i = 0; i < WR_ARRAY_LEN(scopes); i++) {
        size_t len = strlen(scopes[i]);

        if (text.len > len && strncasecmp((const char *)text.p, scopes[i], len) == 0) {
            text.p += len;
            text.len -= len;
            break;
        }
    }
    return text;
}

/* A function without arguments, brackets optional where servers have it so. */
static bool call_value(const struct admin_sess *sess, const struct item *item,
                       char dst[WORDS_TEXT_MAX], bool *ret_is_null)
{
    const struct word *word = item->first;
    bool is_call = item->words == 3 && word_is_mark(&word[1], '(') && word_is_mark(&word[2], ')');

    if (!is_call && !(item->words == 1 && word_is(word, "CURRENT_USER"))) {
        return false;
    }
    if (word_is(word, "USER") || word_is(word, "CURRENT_USER") || word_is(word, "SESSION_USER") ||
        word_is(word, "SYSTEM_USER")) {
        (void)snprintf(dst, WORDS_TEXT_MAX, "%.128s@%.64s", sess->user, sess->peer);
    } else if (word_is(word, "DATABASE") || word_is(word, "SCHEMA")) {
        (void)snprintf(dst, WORDS_TEXT_MAX, "%s", sess->schema);
        *ret_is_null = sess->schema[0] == '\0';
    } else if (word_is(word, "VERSION")) {
        (void)snprintf(dst, WORDS_TEXT_MAX, "%s", variable(SPAN_LIT("version")));
    } else if (word_is(word, "CONNECTION_ID")) {
        (void)snprintf(dst, WORDS_TEXT_MAX, "%u", (unsigned)sess->id);
    } else {
        return false;
    }
    return true;
}

static bool item_value(const struct admin_sess *sess, const struct item *item,
                       char dst[WORDS_TEXT_MAX], bool *ret_is_null)
{
    const struct word *word = item->first;
    struct span text = word->text;

    *ret_is_null = false;
    if (item->words != 1) {
        return call_value(sess, item, dst, ret_is_null);
    }
    if (word->kind == WORD_NAME && text.len > 2 && text.p[0] == '@' && text.p[1] == '@') {
        const char *value = variable(variable_name(text));

        (void)snprintf(dst, WORDS_TEXT_MAX, "%s", value != NULL ? value : "");
        *ret_is_null = value == NULL;
        return true;
    }
    if (word_is(word, "NULL")) {
        dst[0] = '\0';
        *ret_is_null = true;
        return true;
    }
    if (word->kind == WORD_STRING || word->kind == WORD_NUMBER) {
        return word_text(word, dst);
    }
    return call_value(sess, item, dst, ret_is_null);
}

/* From `at` to the comma, or to `end`; a trailing alias is taken off. */
static void item_make(const struct words *words, size_t at, size_t end, struct item *ret_item)
{
    const struct word *first = &words->item[at];
    const struct word *last = NULL;
    size_t count = end - at;

    ret_item->first = first;
    ret_item->alias = (struct span){NULL, 0};
    if (count >= 3 && word_is(&first[count - 2], "AS")) {
        ret_item->alias = first[count - 1].text;
        count -= 2;
    }
    ret_item->words = count;
    last = &first[count - 1];
    ret_item->text =
        (struct span){first->text.p, (size_t)(last->text.p + last->text.len - first->text.p)};
    if (ret_item->alias.p == NULL) {
        ret_item->alias = ret_item->text;
    } else if (ret_item->alias.len >= 2 && strchr("'\"`", ret_item->alias.p[0]) != NULL) {
        ret_item->alias.p++;
        ret_item->alias.len -= 2;
    }
}

/* The items between SELECT and FROM, LIMIT or the end. *ret_end: the word behind them. */
static size_t items_make(const struct words *words, size_t at, struct item items[ITEMS_MAX],
                         size_t *ret_end)
{
    size_t count = 0;
    size_t begin = at;
    unsigned depth = 0;

    for (;; at++) {
        const struct word *word = at < words->count ? &words->item[at] : NULL;
        bool is_end =
            word == NULL || (depth == 0 && (word_is(word, "FROM") || word_is(word, "LIMIT")));

        if (is_end || (depth == 0 && word_is_mark(word, ','))) {
            if (at == begin || count == ITEMS_MAX) {
                return 0;
            }
            item_make(words, begin, at, &items[count++]);
            begin = at + 1;
        }
        if (is_end) {
            *ret_end = at;
            return count;
        }
        depth += word_is_mark(word, '(') ? 1 : 0;
        depth -= word_is_mark(word, ')') && depth > 0 ? 1 : 0;
    }
}

static void columns_of(const struct item *items, size_t count, char *dst, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (i > 0 && len + 1 < cap) {
            dst[len++] = ',';
        }
        if (items[i].alias.len == 0 && len + 1 < cap) {
            dst[len++] = ' ';
        }
        for (size_t k = 0; k < items[i].alias.len && k < ITEM_MAX - 2 && len + 1 < cap; k++) {
            char c = (char)items[i].alias.p[k];

            dst[len++] = c;
            if (c == ',' || c == '#') {
                dst[len - 1] = ' '; /* those mean something to rows_begin() */
            }
        }
    }
    dst[len] = '\0';
}

static bool is_system(const char *schema)
{
    static const char *const schemas[] = {"information_schema", "performance_schema", "mysql",
                                          "sys"};

    for (size_t i = 0; i < WR_ARRAY_LEN(schemas); i++) {
        if (strcasecmp(schema, schemas[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Tables of the server's own: there are none here, and a client that looks for some finds none. */
static void select_from(struct admin_sess *sess, const struct words *words, size_t at,
                        const char *columns)
{
    struct admin_rows rows;
    char table[WORDS_TEXT_MAX] = "";
    char schema[WORDS_TEXT_MAX];

    if (at + 1 < words->count) {
        (void)word_text(&words->item[at + 1], table);
    }
    (void)snprintf(schema, sizeof(schema), "%.*s", (int)strcspn(table, "."), table);
    if (!is_system(schema) && strcasecmp(table, "dual") != 0) {
        admin_error(sess, 1146, "42S02",
                    "Table '%.64s' doesn't exist: weir answers SHOW; SHOW COMMANDS lists what "
                    "there is",
                    table);
        return;
    }
    rows_begin(&rows, sess, columns, NULL, false);
    rows_end(&rows);
}

void admin_select(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct item items[ITEMS_MAX];
    char columns[ITEMS_MAX * ITEM_MAX];
    struct admin_rows rows;
    size_t end = 0;
    size_t count = items_make(words, at, items, &end);

    if (count == 0) {
        admin_error(sess, 1064, "42000",
                    "weir: this SELECT is not understood; SHOW COMMANDS lists what is");
        return;
    }
    columns_of(items, count, columns, sizeof(columns));
    if (end < words->count && word_is(&words->item[end], "FROM")) {
        select_from(sess, words, end, columns);
        return;
    }
    rows_begin(&rows, sess, columns, NULL, false);
    for (size_t i = 0; i < count; i++) {
        char value[WORDS_TEXT_MAX];
        bool is_null = false;

        if (!item_value(sess, &items[i], value, &is_null)) {
            rows_abort(&rows);
            admin_error(sess, 1105, "HY000",
                        "weir: '%.*s' is not answered here; SHOW COMMANDS lists what is",
                        (int)(items[i].text.len < 60 ? items[i].text.len : 60),
                        (const char *)items[i].text.p);
            return;
        }
        if (is_null) {
            rows_null(&rows);
        } else {
            rows_text(&rows, value);
        }
    }
    rows_end(&rows);
}

/* --- SET, USE, transactions --- */

void admin_set(struct admin_sess *sess, const struct words *words, size_t at)
{
    (void)words;
    (void)at;
    admin_ok(sess);
}

void admin_nothing(struct admin_sess *sess, const struct words *words, size_t at)
{
    (void)words;
    (void)at;
    admin_ok(sess);
}

bool admin_use_schema(struct admin_sess *sess, const char *schema)
{
    if (strcasecmp(schema, ADMIN_SCHEMA) != 0) {
        admin_error(sess, 1049, "42000", "Unknown database '%.64s'; there is one: %s", schema,
                    ADMIN_SCHEMA);
        return false;
    }
    (void)snprintf(sess->schema, sizeof(sess->schema), "%s", ADMIN_SCHEMA);
    return true;
}

void admin_use(struct admin_sess *sess, const struct words *words, size_t at)
{
    char name[WORDS_TEXT_MAX];

    if (at + 1 != words->count || !word_text(&words->item[at], name)) {
        admin_error(sess, 1064, "42000", "weir: USE %s is all there is", ADMIN_SCHEMA);
    } else if (admin_use_schema(sess, name)) {
        admin_ok(sess);
    }
}

/* --- SHOW --- */

/* LIKE 'x' if there is one; WHERE and the rest of what servers take is not looked at. */
static void lenient_filter(const struct words *words, size_t at, struct words_filter *ret_filter)
{
    struct words head = *words;

    head.count = at + 2 < words->count ? at + 2 : words->count;
    if (!words_filter(&head, at, ret_filter)) {
        *ret_filter = (struct words_filter){.limit = UINT64_MAX};
    }
}

void admin_show_variables(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_rows rows;

    lenient_filter(words, at, &filter);
    rows_begin(&rows, sess, "Variable_name,Value", &filter, true);
    for (size_t i = 0; i < WR_ARRAY_LEN(variables); i++) {
        rows_text(&rows, variables[i].name);
        rows_text(&rows, variables[i].value);
    }
    rows_end(&rows);
}

struct status {
    uint64_t uptime_s;
    uint64_t questions;
    uint64_t connections;
};

static void status_of(const struct admin_sess *sess, struct admin_view *view,
                      struct status *ret_status)
{
    admin_view(sess, view);
    ret_status->uptime_s =
        (loop_now_us(sess->admin->conf.loop) - view->started_us) / CLOCK_US_PER_SECOND;
    ret_status->questions = (uint64_t)metric_read(view->registry, METRIC_QUERY_SECONDS, 0);
    ret_status->connections = (uint64_t)metric_read(view->registry, METRIC_SESSIONS_TOTAL, 0);
}

void admin_show_status(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_view view;
    struct admin_rows rows;
    struct status status;

    lenient_filter(words, at, &filter);
    status_of(sess, &view, &status);
    rows_begin(&rows, sess, "Variable_name,Value", &filter, true);
    rows_text(&rows, "Connections");
    rows_u64(&rows, status.connections);
    rows_text(&rows, "Questions");
    rows_u64(&rows, status.questions);
    rows_text(&rows, "Threads_connected");
    rows_u64(&rows, view.sessions);
    rows_text(&rows, "Uptime");
    rows_u64(&rows, status.uptime_s);
    rows_end(&rows);
}

void admin_statistics(const struct admin_sess *sess, char *dst, size_t cap)
{
    struct admin_view view;
    struct status status;

    status_of(sess, &view, &status);
    (void)snprintf(
        dst, cap, "Uptime: %" PRIu64 "  Threads: %u  Questions: %" PRIu64 "  Connections: %" PRIu64,
        status.uptime_s, (unsigned)view.sessions, status.questions, status.connections);
}

void admin_show_databases(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct words_filter filter;
    struct admin_rows rows;

    lenient_filter(words, at, &filter);
    rows_begin(&rows, sess, "Database", &filter, true);
    rows_text(&rows, ADMIN_SCHEMA);
    rows_end(&rows);
}

void admin_show_tables(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct admin_rows rows;

    (void)at;
    rows_begin(&rows, sess,
               word_is(&words->item[1], "FULL") ? "Tables_in_" ADMIN_SCHEMA ",Table_type"
                                                : "Tables_in_" ADMIN_SCHEMA,
               NULL, true);
    rows_end(&rows);
}

void admin_show_warnings(struct admin_sess *sess, const struct words *words, size_t at)
{
    uint8_t count = sess->warn_count;
    struct admin_rows rows;

    (void)words;
    (void)at;
    sess->warn_count = 0; /* of this answer */
    rows_begin(&rows, sess, "Level,Code#,Message", NULL, false);
    for (uint8_t i = 0; i < count; i++) {
        rows_text(&rows, "Warning");
        rows_u64(&rows, 1105);
        rows_text(&rows, sess->warns[i]);
    }
    rows_end(&rows);
    sess->warn_count = count;
}

void admin_show_empty(struct admin_sess *sess, const struct words *words, size_t at)
{
    struct admin_rows rows;

    (void)words;
    (void)at;
    rows_begin(&rows, sess, "Name,Value", NULL, true);
    rows_end(&rows);
}
