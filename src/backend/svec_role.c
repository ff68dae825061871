/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles, from what CURRENT_ROLE() says to the SET ROLE that brings the same about elsewhere. MySQL
 * says NONE, or names that are quoted as the session's sql_mode and sql_quote_show_create want it:
 * `a`@`%`,"b"@"%",c@`%`. MariaDB says NULL, or one name as it is. Here they are quoted by backticks,
 * which mean the same in every mode, and hold nothing that a character set could read otherwise.
 */
#include <string.h>

#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "svec_priv.h"

#define ROLE_TEXT_MAX ((size_t)SVEC_VALUE_MAX)

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '`' && c != '"' && c != '\'' && c != '\\';
}

static int put_name(struct buf *out, struct span name)
{
    int r = name.len == 0 ? -WR_E_UNSUPPORTED : buf_append_text(out, "`", ROLE_TEXT_MAX);

    for (size_t i = 0; r >= 0 && i < name.len; i++) {
        r = is_plain(name.p[i]) ? 0 : -WR_E_UNSUPPORTED;
    }
    if (r >= 0) {
        r = buf_append_span(out, name, ROLE_TEXT_MAX);
    }
    return r < 0 ? r : buf_append_text(out, "`", ROLE_TEXT_MAX);
}

/* The name at the front of the list, up to end or to what ends a bare one, and off it. */
static int take_name(struct span *list, struct buf *out)
{
    uint8_t quote = list->len > 0 ? list->p[0] : 0;
    bool is_quoted = quote == '`' || quote == '"';
    struct span name = {list->p + (is_quoted ? 1 : 0), 0};
    size_t left = list->len - (is_quoted ? 1 : 0);

    while (name.len < left && (is_quoted ? name.p[name.len] != quote
                                         : name.p[name.len] != '@' && name.p[name.len] != ',')) {
        name.len++;
    }
    if (is_quoted && name.len == left) {
        return -WR_E_UNSUPPORTED;
    }
    list->len = left - name.len - (is_quoted ? 1 : 0);
    list->p = name.p + name.len + (is_quoted ? 1 : 0);
    return put_name(out, name);
}

static bool take_char(struct span *list, char c)
{
    if (list->len == 0 || list->p[0] != (uint8_t)c) {
        return false;
    }
    list->p++;
    list->len--;
    return true;
}

/* name@host,name@host */
static int put_list(struct span list, struct buf *out)
{
    int r = take_name(&list, out);

    while (r >= 0) {
        r = take_char(&list, '@') ? buf_append_text(out, "@", ROLE_TEXT_MAX) : -WR_E_UNSUPPORTED;
        if (r >= 0) {
            r = take_name(&list, out);
        }
        if (r < 0 || list.len == 0) {
            break;
        }
        r = take_char(&list, ',') ? buf_append_text(out, ",", ROLE_TEXT_MAX) : -WR_E_UNSUPPORTED;
        if (r >= 0) {
            r = take_name(&list, out);
        }
    }
    return r;
}

int svec_track_role(struct svec *svec, struct span answer, enum topo_flavour flavour)
{
    bool is_mariadb = flavour == TOPO_FLAVOUR_MARIADB;
    bool is_none = span_eq_text_nocase(answer, "NONE");
    struct buf text;
    int r = 0;

    if (is_mariadb ? answer.p == NULL : is_none) {
        return svec_set(svec, SVEC_ROLE, SPAN_LIT("NONE"));
    }
    if (answer.p == NULL || is_none) {
        return -WR_E_UNSUPPORTED; /* MariaDB's SET ROLE `none` is SET ROLE NONE */
    }
    buf_init(&text);
    r = is_mariadb ? put_name(&text, answer) : put_list(answer, &text);
    if (r >= 0) {
        r = svec_set(svec, SVEC_ROLE, buf_span(&text));
    }
    buf_fini(&text);
    return r;
}

int svec_format_role(const struct svec *want, struct buf *text)
{
    int r = svec_is_set(want, SVEC_ROLE) ? buf_append_text(text, "SET ROLE ", SIZE_MAX)
                                         : -WR_E_UNSUPPORTED;

    return r < 0 ? r : buf_append_span(text, svec_get(want, SVEC_ROLE), SIZE_MAX);
}
