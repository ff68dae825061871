/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/util/duration.h"

#include "print_priv.h"
#include "schema_priv.h"
#include "value_priv.h"

/* In double quotes, with what could break the line or the quotes escaped. */
static void print_quoted(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            (void)fprintf(out, "\\%c", *p);
        } else if ((unsigned char)*p < ' ' || *p == 0x7f) {
            (void)fprintf(out, "\\x%02x", (unsigned)(unsigned char)*p);
        } else {
            (void)fputc(*p, out);
        }
    }
    (void)fputc('"', out);
}

static void print_words(const char *words, unsigned index, FILE *out)
{
    for (; index > 0; index--) {
        words += strcspn(words, "|");
        words += *words == '|' ? 1 : 0;
    }
    (void)fprintf(out, "%.*s", (int)strcspn(words, "|"), words);
}

static void print_list_of(const struct config_words *words, FILE *out)
{
    for (uint32_t i = 0; i < words->count; i++) {
        (void)fputs(i == 0 ? "[" : ", ", out);
        print_quoted(words->item[i], out);
    }
    (void)fputc(']', out);
}

static void print_number(const struct schema_setting *s, uint64_t value, FILE *out)
{
    char text[32];

    uint64_t other_value = 0;
    const char *other = schema_other_word(s, &other_value);
    bool is_auto_time = s->type == SCHEMA_T_DURATION && strcmp(s->text, "auto") == 0;

    if (other != NULL && value == other_value) {
        (void)fputs(other, out);
        return;
    }
    if (is_auto_time
            ? value == UINT64_MAX
            : value == 0 && (strcmp(s->text, "auto") == 0 || strcmp(s->text, "off") == 0)) {
        (void)fputs(s->text, out);
        return;
    }
    if (s->type == SCHEMA_T_DURATION) {
        duration_format(value, text, sizeof text);
    } else if (s->type == SCHEMA_T_SIZE || s->type == SCHEMA_T_LARGE) {
        value_format_size(value, text, sizeof text);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64, value);
    }
    (void)fputs(text, out);
}

static void print_functions(const struct config_function_list *names, FILE *out)
{
    for (uint32_t i = 0; i < names->count; i++) {
        const struct config_function *f = &names->list[i];

        (void)fprintf(out, "%s\"%s%s%s\"", i == 0 ? "[" : ", ", f->schema == NULL ? "" : f->schema,
                      f->schema == NULL ? "" : ".", f->name);
    }
    (void)fputc(']', out);
}

/* Whether the setting has something to show. */
bool print_is_set(const struct schema_setting *s, const void *target)
{
    switch (s->type) {
    case SCHEMA_T_STRING:
    case SCHEMA_T_USER:
    case SCHEMA_T_NAME:
    case SCHEMA_T_PATH:
    case SCHEMA_T_NATIVE_HASH:
    case SCHEMA_T_REGEX:
    case SCHEMA_T_ROUTE:
        return *(const void *const *)target != NULL;
    case SCHEMA_T_WORDS:
        return ((const struct config_words *)target)->count != 0;
    case SCHEMA_T_SECRET:
        return ((const struct config_secret *)target)->p != NULL;
    case SCHEMA_T_FUNCTIONS:
        return ((const struct config_function_list *)target)->count > 0;
    case SCHEMA_T_SECRET_FILE: /* the same member as SECRET */
    case SCHEMA_T_SECRET_ENV:
        return false;
    case SCHEMA_T_BOOL:
    case SCHEMA_T_COUNT:
    case SCHEMA_T_DURATION:
    case SCHEMA_T_SIZE:
    case SCHEMA_T_LARGE:
    case SCHEMA_T_ENUM:
    case SCHEMA_T_SOURCES:
    case SCHEMA_T_ADDRESS:
        return true;
    }
    return false;
}

void print_value(const struct config *config, const struct schema_setting *s, const void *target,
                 FILE *out)
{
    switch (s->type) {
    case SCHEMA_T_BOOL:
        (void)fputs(*(const bool *)target ? "true" : "false", out);
        break;
    case SCHEMA_T_COUNT:
    case SCHEMA_T_SIZE:
        print_number(s, *(const uint32_t *)target, out);
        break;
    case SCHEMA_T_DURATION:
    case SCHEMA_T_LARGE:
        print_number(s, *(const uint64_t *)target, out);
        break;
    case SCHEMA_T_STRING:
    case SCHEMA_T_USER:
    case SCHEMA_T_NAME:
    case SCHEMA_T_PATH:
    case SCHEMA_T_REGEX:
    case SCHEMA_T_ROUTE:
        print_quoted(*(const char *const *)target, out);
        break;
    case SCHEMA_T_WORDS:
        print_list_of(target, out);
        break;
    case SCHEMA_T_ENUM:
        print_words(s->unit, *(const unsigned *)target, out);
        break;
    case SCHEMA_T_SOURCES:
        for (uint32_t i = 0; i < config->users.source_count; i++) {
            (void)fputs(i == 0 ? "[" : ", ", out);
            print_words(s->unit, (unsigned)config->users.source[i], out);
        }
        (void)fputc(']', out);
        break;
    case SCHEMA_T_FUNCTIONS:
        print_functions(target, out);
        break;
    case SCHEMA_T_ADDRESS:
        print_quoted(((const struct config_addr *)target)->text, out);
        break;
    case SCHEMA_T_SECRET:
    case SCHEMA_T_SECRET_FILE:
    case SCHEMA_T_SECRET_ENV:
    case SCHEMA_T_NATIVE_HASH:
        (void)fputs("(set)", out);
        break;
    }
}

/* The settings directly below prefix, whose struct is base. */
static void print_settings(const struct config *config, const char *prefix, const char *indent,
                           const char *first, const void *base, FILE *out)
{
    const char *lead = first;

    for (size_t i = 0; i < schema_setting_count; i++) {
        const struct schema_setting *s = &schema_settings[i];
        const char *word = schema_word_below(s->path, prefix);
        const void *target = (const char *)base + s->offset;

        if (word == NULL || !print_is_set(s, target)) {
            continue;
        }
        (void)fprintf(out, "%s%s: ", lead, word);
        print_value(config, s, target, out);
        (void)fputc('\n', out);
        lead = indent;
    }
}

static void print_list(const struct config *config, const struct schema_list *list, FILE *out)
{
    const char *base = (const char *)config;
    bool is_nested = strchr(list->name, '.') != NULL;
    const char *word = is_nested ? strchr(list->name, '.') + 1 : list->name;
    char prefix[64];
    const char *items = NULL;
    uint32_t count = 0;

    memcpy(&items, base + list->pointer_offset, sizeof items);
    memcpy(&count, base + list->count_offset, sizeof count);
    if (count == 0) {
        return;
    }
    (void)fprintf(out, "%s%s:\n", is_nested ? "  " : "", word);
    (void)snprintf(prefix, sizeof prefix, "%s[].", list->name);
    for (uint32_t i = 0; i < count; i++) {
        print_settings(config, prefix, is_nested ? "      " : "    ", is_nested ? "    - " : "  - ",
                       items + list->item_size * i, out);
    }
}

void config_print(const struct config *config, FILE *out)
{
    print_settings(config, "", "", "", config, out);
    for (size_t i = 0; i < schema_list_count; i++) {
        if (strchr(schema_lists[i].name, '.') == NULL) {
            print_list(config, &schema_lists[i], out);
        }
    }
    for (size_t i = 0; i < schema_section_count; i++) {
        char prefix[64];

        (void)fprintf(out, "%s:\n", schema_sections[i]);
        (void)snprintf(prefix, sizeof prefix, "%s.", schema_sections[i]);
        print_settings(config, prefix, "  ", "  ", config, out);
        for (size_t k = 0; k < schema_list_count; k++) {
            if (strncmp(schema_lists[k].name, prefix, strlen(prefix)) == 0) {
                print_list(config, &schema_lists[k], out);
            }
        }
    }
}

/* --- one by one --- */

struct each {
    const struct config *config;
    config_each_fn fn;
    void *arg;
    int rc;
};

static void each_value(struct each *each, const struct schema_setting *s, const char *path,
                       const void *target)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        each->rc = -ENOMEM;
        return;
    }
    print_value(each->config, s, target, out);
    if (fclose(out) != 0) {
        each->rc = -ENOMEM;
    } else {
        each->fn(each->arg, path, text, strcmp(s->text, "-") == 0 ? "" : s->text);
    }
    free(text);
}

static void each_list(struct each *each, const struct schema_list *list)
{
    const char *base = (const char *)each->config;
    const char *items = NULL;
    char prefix[64];
    char path[128];
    uint32_t count = 0;

    memcpy(&items, base + list->pointer_offset, sizeof items);
    memcpy(&count, base + list->count_offset, sizeof count);
    (void)snprintf(prefix, sizeof prefix, "%s[].", list->name);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t k = 0; k < schema_setting_count && each->rc == 0; k++) {
            const struct schema_setting *s = &schema_settings[k];
            const char *word = schema_word_below(s->path, prefix);
            const void *target = items + list->item_size * i + s->offset;

            if (word != NULL && print_is_set(s, target)) {
                (void)snprintf(path, sizeof path, "%s[%u].%s", list->name, (unsigned)i, word);
                each_value(each, s, path, target);
            }
        }
    }
}

int config_each(const struct config *config, config_each_fn fn, void *arg)
{
    struct each each = {.config = config, .fn = fn, .arg = arg};

    for (size_t i = 0; i < schema_setting_count && each.rc == 0; i++) {
        const struct schema_setting *s = &schema_settings[i];
        const void *target = (const char *)config + s->offset;

        if (strchr(s->path, '[') == NULL && print_is_set(s, target)) {
            each_value(&each, s, s->path, target);
        }
    }
    for (size_t i = 0; i < schema_list_count && each.rc == 0; i++) {
        each_list(&each, &schema_lists[i]);
    }
    return each.rc;
}
