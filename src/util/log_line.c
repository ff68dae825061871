/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/util/clock.h"

#include "log_priv.h"

/* What a value may not use: room to close quotes and braces and end the line. */
#define LOG_TAIL_RESERVE ((size_t)8)
#define LOG_ESCAPE_MAX   ((size_t)6)

static void put(struct log_line *line, const char *bytes, size_t len)
{
    if (len <= LOG_LINE_MAX - LOG_TAIL_RESERVE - line->len) {
        memcpy(line->text + line->len, bytes, len);
        line->len += len;
    }
}

static void put_text(struct log_line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_key(struct log_line *line, const char *key)
{
    if (line->is_json) {
        put_text(line, line->len == 0 ? "{\"" : ",\"");
        put_text(line, key);
        put_text(line, "\":");
    } else {
        put_text(line, line->len == 0 ? "" : " ");
        put_text(line, key);
        put_text(line, "=");
    }
}

/* Length of the UTF-8 character at p that can be shown as it is; 0: escape the byte. */
static size_t shown_utf8(const uint8_t *p)
{
    size_t more = 0;
    uint32_t point = 0;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        more = 1;
        point = p[0] & 0x1fU;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        more = 2;
        point = p[0] & 0x0fU;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        more = 3;
        point = p[0] & 0x07U;
    } else {
        return 0;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0U) != 0x80) {
            return 0; /* the terminator ends it, too */
        }
        point = (point << 6) | (p[i] & 0x3fU);
    }
    /* C1 controls move a terminal's cursor as ESC does; overlong forms and surrogates are no
     * characters; U+2028 and U+2029 end lines for some readers. */
    bool is_overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    bool is_control = point < 0xa0 || point == 0x2028 || point == 0x2029;
    if (is_overlong || is_surrogate || is_control || point > 0x10ffff) {
        return 0;
    }
    return more + 1;
}

static void put_escaped(struct log_line *line, uint8_t byte)
{
    char escape[LOG_ESCAPE_MAX + 1];

    if (byte == '"' || byte == '\\') {
        (void)snprintf(escape, sizeof(escape), "\\%c", byte);
    } else if (byte == '\n') {
        (void)snprintf(escape, sizeof(escape), "\\n");
    } else if (byte == '\t') {
        (void)snprintf(escape, sizeof(escape), "\\t");
    } else if (!line->is_json) {
        (void)snprintf(escape, sizeof(escape), "\\x%02x", byte);
    } else if (byte < 0x80) {
        (void)snprintf(escape, sizeof(escape), "\\u%04x", byte);
    } else {
        (void)snprintf(escape, sizeof(escape), "\\ufffd");
    }
    put_text(line, escape);
}

void log_line_text(struct log_line *line, const char *key, const char *value)
{
    const uint8_t *p = (const uint8_t *)value;
    /* Whole or not at all: key, one character and the closing quote. */
    if (LOG_LINE_MAX - LOG_TAIL_RESERVE - line->len < strlen(key) + 16) {
        return;
    }
    put_key(line, key);
    put_text(line, "\"");
    while (*p != '\0') {
        /* The quote that closes the value comes out of the reserve of the line's end. */
        if (LOG_LINE_MAX - LOG_TAIL_RESERVE - line->len <= LOG_ESCAPE_MAX) {
            break;
        }
        size_t len = shown_utf8(p);
        if (*p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') {
            len = 1;
        }
        if (len > 0) {
            put(line, (const char *)p, len);
            p += len;
        } else {
            put_escaped(line, *p);
            p++;
        }
    }
    put_text(line, "\"");
}

void log_line_number(struct log_line *line, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    if (LOG_LINE_MAX - LOG_TAIL_RESERVE - line->len < strlen(key) + strlen(text) + 4) {
        return;
    }
    put_key(line, key);
    put_text(line, text);
}

/* A value of our own that needs no quotes in logfmt. */
static void put_plain(struct log_line *line, const char *key, const char *value)
{
    put_key(line, key);
    put_text(line, line->is_json ? "\"" : "");
    put_text(line, value);
    put_text(line, line->is_json ? "\"" : "");
}

void log_line_begin(struct log_line *line, bool is_json, uint64_t wall_us, enum log_level level,
                    const char *thread)
{
    char utc[CLOCK_UTC_SIZE];

    line->len = 0;
    line->is_json = is_json;
    clock_format_utc(wall_us, utc);
    put_plain(line, "time", utc);
    put_plain(line, "level", log_level_name(level));
    put_plain(line, "thread", thread);
}

void log_line_end(struct log_line *line)
{
    if (line->is_json) {
        line->text[line->len++] = '}';
    }
    line->text[line->len++] = '\n';
}
