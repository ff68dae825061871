/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "errors_priv.h"
#include "yaml_priv.h"

#define ERRORS_TEXT_MAX sizeof(((struct config_error *)NULL)->text)

void errors_init(struct config_errors *errs, const char *path)
{
    memset(errs, 0, sizeof *errs);
    (void)span_copy(span_of(path), errs->path, sizeof errs->path);
}

/* A free entry, or that of the last warning when a mistake needs one. */
static struct config_error *errors_entry(struct config_errors *errs, bool is_warning)
{
    if (errs->count < CONFIG_ERRORS_MAX) {
        return &errs->item[errs->count++];
    }
    if (is_warning) {
        return NULL;
    }
    for (uint32_t i = errs->count; i > 0; i--) {
        if (errs->item[i - 1].is_warning) {
            return &errs->item[i - 1];
        }
    }
    return NULL;
}

static void errors_put(struct config_errors *errs, bool is_warning, uint32_t line, uint32_t column,
                       const char *text)
{
    struct config_error *e = errors_entry(errs, is_warning);

    if (!is_warning) {
        errs->error_count++;
    }
    if (e == NULL) {
        return;
    }
    e->line = line;
    e->column = column;
    e->is_warning = is_warning;
    (void)span_copy(span_of(text), e->text, sizeof e->text);
    for (char *p = e->text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') { /* the file's bytes may be in it; logs take one line each */
            *p = '?';
        }
    }
}

void errors_add(struct config_errors *errs, const struct yaml_node *at, const char *format, ...)
{
    char text[ERRORS_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    errors_put(errs, false, at != NULL ? at->line : 0, at != NULL ? at->column : 0, text);
}

void errors_add_at(struct config_errors *errs, uint32_t line, uint32_t column, const char *format,
                   ...)
{
    char text[ERRORS_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    errors_put(errs, false, line, column, text);
}

void config_add_error(struct config_errors *errs, struct config_place at, const char *format, ...)
{
    char text[ERRORS_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    errors_put(errs, false, at.line, at.column, text);
    errors_sort(errs);
}

void errors_warn(struct config_errors *errs, const struct yaml_node *at, const char *format, ...)
{
    char text[ERRORS_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    errors_put(errs, true, at != NULL ? at->line : 0, at != NULL ? at->column : 0, text);
}

static bool errors_is_before(const struct config_error *a, const struct config_error *b)
{
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

void errors_sort(struct config_errors *errs)
{
    /* insertion: stable, and twenty entries at most */
    for (uint32_t i = 1; i < errs->count; i++) {
        struct config_error e = errs->item[i];
        uint32_t k = i;

        while (k > 0 && errors_is_before(&e, &errs->item[k - 1])) {
            errs->item[k] = errs->item[k - 1];
            k--;
        }
        errs->item[k] = e;
    }
}

void config_print_errors(const struct config_errors *errs, FILE *out)
{
    uint32_t shown = 0;

    for (uint32_t i = 0; i < errs->count; i++) {
        const struct config_error *e = &errs->item[i];

        (void)fprintf(out, "%s:", errs->path);
        if (e->line != 0) {
            (void)fprintf(out, "%" PRIu32 ":%" PRIu32 ":", e->line, e->column);
        }
        (void)fprintf(out, " %s%s\n", e->is_warning ? "warning: " : "", e->text);
        shown += e->is_warning ? 0 : 1;
    }
    if (errs->error_count > shown) {
        (void)fprintf(out, "%s: and %" PRIu32 " more\n", errs->path, errs->error_count - shown);
    }
}
