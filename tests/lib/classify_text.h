/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify_text - struct facts and struct classify_env as text, for tables of statements.
 *
 * WHY       facts.tsv, its unit test and the tool for the integration tests read and write alike.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    false from classify_text_env(): a word it does not know.
 * BOUNDS    Texts are cut at their cap.
 */
#ifndef WEIR_TESTS_LIB_CLASSIFY_TEXT_H
#define WEIR_TESTS_LIB_CLASSIFY_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/classify.h"

static inline unsigned classify_text_hex(char c)
{
    return c >= 'a'   ? (unsigned)(c - 'a' + 10)
           : c >= 'A' ? (unsigned)(c - 'A' + 10)
                      : (unsigned)(c - '0');
}

/* In place; returns the length. */
static inline size_t classify_text_unescape(char *text)
{
    char *out = text;
    for (char *p = text; *p != '\0'; p++) {
        if (*p != '\\' || p[1] == '\0') {
            *out++ = *p;
            continue;
        }
        p++;
        switch (*p) {
        case 'n':
            *out++ = '\n';
            break;
        case 't':
            *out++ = '\t';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case '0':
            *out++ = '\0';
            break;
        case 'x':
            if (p[1] != '\0' && p[2] != '\0') {
                *out++ = (char)(classify_text_hex(p[1]) * 16 + classify_text_hex(p[2]));
                p += 2;
            }
            break;
        default:
            *out++ = *p;
            break;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

/* "mysql" (9.7, the default), "mariadb" (10.11), "v=NUMBER", "ansi", "nobs", "space", "oracle",
 * "multi", "cs=NAME", "db=SCHEMA"; comma separated. */
static inline bool classify_text_env(const char *text, struct classify_env *env)
{
    memset(env, 0, sizeof(*env));
    env->flavour = CLASSIFY_MYSQL;
    env->version = 90704;
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        struct span word = {(const uint8_t *)text, n};
        if (span_eq_text(word, "mariadb")) {
            env->flavour = CLASSIFY_MARIADB;
            env->version = 101119;
        } else if (n > 2 && strncmp(text, "v=", 2) == 0) {
            env->version = (uint32_t)strtoul(text + 2, NULL, 10);
        } else if (n > 3 && strncmp(text, "cs=", 3) == 0) {
            env->charset = classify_charset_parse((struct span){(const uint8_t *)text + 3, n - 3});
        } else if (n > 3 && strncmp(text, "db=", 3) == 0) {
            env->schema = (struct span){(const uint8_t *)text + 3, n - 3};
        } else if (span_eq_text(word, "ansi")) {
            env->sql_mode |= CLASSIFY_MODE_ANSI_QUOTES;
        } else if (span_eq_text(word, "nobs")) {
            env->sql_mode |= CLASSIFY_MODE_NO_BACKSLASH_ESCAPES;
        } else if (span_eq_text(word, "space")) {
            env->sql_mode |= CLASSIFY_MODE_IGNORE_SPACE;
        } else if (span_eq_text(word, "oracle")) {
            env->sql_mode |= CLASSIFY_MODE_ORACLE;
        } else if (span_eq_text(word, "multi")) {
            env->is_multi = true;
        } else if (!span_eq_text(word, "-") && !span_eq_text(word, "mysql")) {
            return false;
        }
        text += n;
        text += *text == ',' ? 1 : 0;
    }
    return true;
}

static inline void classify_text_add(char *dst, size_t cap, const char *word, size_t len,
                                     const char *sep)
{
    size_t at = strlen(dst);
    (void)snprintf(dst + at, cap - at, "%s%.*s", at > 0 ? sep : "", (int)len, word);
}

/* The route that the text alone allows. */
static inline const char *classify_text_route(const struct facts *f)
{
    if ((f->bits & FACT(READ)) != 0) {
        return "replica";
    }
    return (f->bits & FACT(LAST)) != 0 ? "last" : "primary";
}

/* Bits other than the three that the route stands for; "-" for none. */
static inline void classify_text_bits(const struct facts *f, char *dst, size_t cap)
{
    dst[0] = '\0';
    for (unsigned bit = 0; bit < FACT_BIT_END_; bit++) {
        uint64_t mask = UINT64_C(1) << bit;
        if ((f->bits & mask) == 0 || (mask & (FACT(READ) | FACT(PRIMARY) | FACT(LAST))) != 0 ||
            (mask == FACT(UNCACHEABLE) && (f->bits & FACT(READ)) == 0)) {
            continue;
        }
        const char *name = classify_fact_name(bit);
        classify_text_add(dst, cap, name, strlen(name), ",");
    }
    if (dst[0] == '\0') {
        classify_text_add(dst, cap, "-", 1, ",");
    }
}

/* pins, and "-name" for unpins */
static inline void classify_text_pins(const struct facts *f, char *dst, size_t cap)
{
    dst[0] = '\0';
    for (unsigned pin = 0; pin < PIN_END_; pin++) {
        const char *name = classify_pin_name((enum classify_pin)pin);
        if ((f->pins & PIN_BIT(pin)) != 0) {
            classify_text_add(dst, cap, name, strlen(name), ",");
        }
        if ((f->unpins & PIN_BIT(pin)) != 0) {
            classify_text_add(dst, cap, "-", 1, ",");
            size_t at = strlen(dst);
            (void)snprintf(dst + at, cap - at, "%s", name);
        }
    }
    if (dst[0] == '\0') {
        classify_text_add(dst, cap, "-", 1, ",");
    }
}

/* Tables, then calls as "name()"; "-" for none. */
static inline void classify_text_tables(const struct facts *f, char *dst, size_t cap)
{
    dst[0] = '\0';
    for (unsigned i = 0; i < f->table_count; i++) {
        char name[600];
        char part[256];
        name[0] = '\0';
        if (f->tables[i].schema.len > 0) {
            (void)classify_name_decode(f->tables[i].schema, part, sizeof(part));
            (void)snprintf(name, sizeof(name), "%s.", part);
        }
        (void)classify_name_decode(f->tables[i].name, part, sizeof(part));
        size_t at = strlen(name);
        (void)snprintf(name + at, sizeof(name) - at, "%s", part);
        classify_text_add(dst, cap, name, strlen(name), ",");
    }
    for (unsigned i = 0; i < f->call_count; i++) {
        char name[600];
        char part[256];
        name[0] = '\0';
        if (f->calls[i].schema.len > 0) {
            (void)classify_name_decode(f->calls[i].schema, part, sizeof(part));
            (void)snprintf(name, sizeof(name), "%s.", part);
        }
        (void)classify_name_decode(f->calls[i].name, part, sizeof(part));
        size_t at = strlen(name);
        (void)snprintf(name + at, sizeof(name) - at, "%s()", part);
        classify_text_add(dst, cap, name, strlen(name), ",");
    }
    if (dst[0] == '\0') {
        classify_text_add(dst, cap, "-", 1, ",");
    }
}

/* route, verb, why, bits, pins, tables, tab separated. */
static inline void classify_text_format(const struct facts *f, char *dst, size_t cap)
{
    char bits[1024];
    char pins[512];
    char tables[2048];
    classify_text_bits(f, bits, sizeof(bits));
    classify_text_pins(f, pins, sizeof(pins));
    classify_text_tables(f, tables, sizeof(tables));
    (void)snprintf(dst, cap, "%s\t%s\t%s\t%s\t%s\t%s", classify_text_route(f),
                   classify_verb_name(f->verb), classify_why_name(f->why), bits, pins, tables);
}

#endif
