/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir/util/assert.h"

#include "admin_priv.h"

#define STATUS_PLAIN   0x0002u /* autocommit */
#define ERROR_TEXT_MAX 512

static void result_init(struct admin_sess *sess, struct wire_out *out, struct result *result)
{
    *result =
        (struct result){.out = out, .caps = sess->caps, .status = STATUS_PLAIN, .seq = sess->seq};
}

void admin_ok(struct admin_sess *sess)
{
    const struct result_ok ok = {.warnings = sess->warn_count};
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;

    wire_out_buf(&out, &bytes, ROWS_ROW_MAX);
    result_init(sess, &out, &result);
    result_put_ok(&result, &ok);
    admin_send(sess, &bytes);
}

void admin_error(struct admin_sess *sess, uint16_t code, const char *sqlstate, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    struct buf bytes = {0};
    struct wire_out out;
    struct result result;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    wire_out_buf(&out, &bytes, ROWS_ROW_MAX);
    result_init(sess, &out, &result);
    result_put_err(&result, code, sqlstate, span_of(text));
    admin_send(sess, &bytes);
}

void admin_warn(struct admin_sess *sess, const char *fmt, ...)
{
    va_list args;

    if (sess->warn_count == ADMIN_WARNS_MAX) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(sess->warns[sess->warn_count], ADMIN_WARN_BYTES, fmt, args);
    va_end(args);
    sess->warn_count++;
}

void rows_begin(struct admin_rows *rows, struct admin_sess *sess, const char *columns,
                const struct words_filter *filter, bool is_like_first)
{
    static const struct words_filter none = {.limit = UINT64_MAX};
    struct result_column column[ROWS_COLUMNS_MAX];
    char names[ROWS_COLUMNS_MAX][64];

    memset(rows, 0, sizeof(*rows));
    rows->sess = sess;
    rows->filter = filter != NULL ? *filter : none;
    rows->is_like_first = is_like_first;
    while (*columns != '\0') {
        size_t len = strcspn(columns, ",");
        size_t name_len = len > 0 && columns[len - 1] == '#' ? len - 1 : len;
        uint16_t at = rows->columns++;

        WR_ASSERT(at < ROWS_COLUMNS_MAX && name_len < sizeof(names[0]));
        (void)span_copy((struct span){(const uint8_t *)columns, name_len}, names[at],
                        sizeof(names[0]));
        column[at] = (struct result_column){
            .name = names[at],
            .type = name_len < len ? RESULT_TYPE_BIGINT : RESULT_TYPE_STRING,
            .length = name_len < len ? 20 : 1024,
        };
        columns += len;
        columns += *columns == ',' ? 1 : 0;
    }
    wire_out_buf(&rows->out, &rows->bytes, ADMIN_ANSWER_MAX);
    result_init(sess, &rows->out, &rows->result);
    result_put_columns(&rows->result, column, rows->columns);
}

static struct span cell_span(const struct admin_rows *rows, uint16_t at)
{
    if (rows->cell[at].is_null) {
        return (struct span){NULL, 0};
    }
    if (rows->cell[at].len == 0) {
        return SPAN_LIT("");
    }
    return (struct span){buf_span(&rows->text).p + rows->cell[at].at, rows->cell[at].len};
}

static bool row_is_wanted(const struct admin_rows *rows)
{
    uint16_t looked_at = rows->is_like_first ? 1 : rows->columns;

    if (rows->rows >= rows->filter.limit) {
        return false;
    }
    for (uint16_t i = 0; rows->filter.has_like && i < looked_at; i++) {
        struct span cell = cell_span(rows, i);

        if (cell.p != NULL && words_like(cell, rows->filter.like)) {
            return true;
        }
    }
    return !rows->filter.has_like;
}

static void cell_end(struct admin_rows *rows, size_t at, bool is_null)
{
    struct span values[ROWS_COLUMNS_MAX];

    rows->cell[rows->cells].at = at;
    rows->cell[rows->cells].len = buf_len(&rows->text) - at;
    rows->cell[rows->cells].is_null = is_null;
    rows->cells++;
    if (rows->cells < rows->columns) {
        return;
    }
    if (row_is_wanted(rows)) {
        for (uint16_t i = 0; i < rows->columns; i++) {
            values[i] = cell_span(rows, i);
        }
        result_put_row(&rows->result, values, rows->columns);
        rows->rows++;
    }
    rows->cells = 0;
    buf_clear(&rows->text);
}

void rows_span(struct admin_rows *rows, struct span text)
{
    size_t at = buf_len(&rows->text);

    if (buf_append_span(&rows->text, text, ROWS_ROW_MAX) < 0) {
        rows->failed = true;
    }
    cell_end(rows, at, false);
}

void rows_text(struct admin_rows *rows, const char *text)
{
    rows_span(rows, span_of(text));
}

void rows_printf(struct admin_rows *rows, const char *fmt, ...)
{
    size_t at = buf_len(&rows->text);
    va_list args;

    va_start(args, fmt);
    if (buf_vprintf(&rows->text, ROWS_ROW_MAX, fmt, args) < 0) {
        rows->failed = true;
    }
    va_end(args);
    cell_end(rows, at, false);
}

void rows_u64(struct admin_rows *rows, uint64_t number)
{
    rows_printf(rows, "%" PRIu64, number);
}

void rows_null(struct admin_rows *rows)
{
    cell_end(rows, buf_len(&rows->text), true);
}

void rows_time(struct admin_rows *rows, uint64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);
    struct tm tm = {0};
    char text[32];

    (void)gmtime_r(&at, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    rows_printf(rows, "%s.%03u", text, (unsigned)(at_ms % 1000));
}

void rows_abort(struct admin_rows *rows)
{
    buf_fini(&rows->text);
    buf_fini(&rows->bytes);
}

void rows_end(struct admin_rows *rows)
{
    WR_ASSERT(rows->cells == 0);
    result_put_end(&rows->result, rows->sess->warn_count);
    buf_fini(&rows->text);
    if (rows->failed || !wire_out_ok(&rows->out)) {
        buf_fini(&rows->bytes);
        admin_error(rows->sess, 1105, "HY000",
                    "weir: the answer is larger than %u MiB; narrow it by LIKE or LIMIT",
                    (unsigned)(ADMIN_ANSWER_MAX >> 20));
        return;
    }
    admin_send(rows->sess, &rows->bytes);
}
