/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a text must hold for an expression to be found in it: bytes that stand in the expression
 * outside of all groups, one piece for each of its ways ("a|b" has two).
 *
 * Only what is certain counts. A group, a class, an escape that is no plain byte and whatever may be
 * repeated no times ends the piece; what this does not know means that nothing is known. Case is
 * left to whoever compares: the option may be switched within an expression.
 */
#include <string.h>

#include "rule_priv.h"

enum repeat {
    REPEAT_NONE,
    REPEAT_MORE,  /* once at least */
    REPEAT_MAYBE, /* perhaps not at all */
    REPEAT_BAD
};

struct reader {
    const char *p; /* terminated */
    struct rule_need *need;
    size_t least;
    struct rule_piece run;
    struct rule_piece best;
    size_t best_worth;
};

static void run_end(struct reader *r)
{
    size_t worth = r->run.len < r->least ? 0 : 1 + rule_piece_rare(&r->run);

    if (worth != 0 && worth >= r->best_worth) {
        r->best = r->run;
        r->best_worth = worth;
    }
    r->run.len = 0;
}

static void run_add(struct reader *r, char c)
{
    if (r->run.len == RULE_PIECE_MAX) {
        run_end(r);
    }
    r->run.text[r->run.len++] = (uint8_t)c;
}

static bool way_end(struct reader *r)
{
    run_end(r);
    if (r->best_worth == 0 || r->need->count == RULE_WAYS_MAX) {
        return false;
    }
    r->need->way[r->need->count++] = r->best;
    r->best_worth = 0;
    return true;
}

/* What follows an element: one or more of ? * + {n,m}. A single + is the only one that is sure. */
static enum repeat repeat_take(struct reader *r)
{
    const char *begin = r->p;

    for (;;) {
        if (*r->p == '{') {
            r->p += 1 + strspn(r->p + 1, "0123456789,");
            if (*r->p != '}') {
                return REPEAT_BAD;
            }
        } else if (*r->p == '\0' || strchr("?*+", *r->p) == NULL) {
            break;
        }
        r->p++;
    }
    if (r->p == begin) {
        return REPEAT_NONE;
    }
    return r->p == begin + 1 && *begin == '+' ? REPEAT_MORE : REPEAT_MAYBE;
}

/* Behind the end of the class at p; NULL: not understood. */
static const char *class_skip(const char *p)
{
    p += p[1] == '^' ? 2 : 1;
    p += *p == ']' ? 1 : 0;
    for (; *p != ']'; p++) {
        if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
            p += 2 + strspn(p + 2, "^abcdefghijklmnopqrstuvwxyz");
            if (p[0] != ':' || p[1] != ']') {
                return NULL;
            }
            p++;
        } else if (*p == '\\') {
            p++;
        }
        if (*p == '\0') {
            return NULL;
        }
    }
    return p + 1;
}

/* Behind the group that begins at p; NULL: not understood. */
static const char *group_skip(const char *p)
{
    unsigned depth = 0;

    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p == '[') {
            p = class_skip(p);
            if (p == NULL) {
                return NULL;
            }
            p--;
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* Things that give the bytes behind them another meaning, or an expression another end, wherever
 * they stand; what only looks like one counts, too. */
static bool has_surprise(const char *p)
{
    if (strstr(p, "(*") != NULL || strstr(p, "\\Q") != NULL || strstr(p, "\\c") != NULL) {
        return true;
    }
    for (p = strstr(p, "(?"); p != NULL; p = strstr(p + 2, "(?")) {
        size_t flags = strspn(p + 2, "imsnJU^-"); /* not x: it makes comments */
        char next = p[2 + flags];

        if (flags != 0 ? next != ')' && next != ':' : next == '\0' || !strchr(":=!>|<P'(", next)) {
            return true;
        }
    }
    return false;
}

/* The literal byte at p or 0: another element, whose end is *ret_end; NULL there: not understood. */
static char element_read(const char *p, const char **ret_end)
{
    *ret_end = p + 1;
    switch (*p) {
    case '^':
    case '$':
    case '.':
        return 0;
    case '[':
        *ret_end = class_skip(p);
        return 0;
    case '(':
        *ret_end = group_skip(p);
        return 0;
    case ')':
    case '{':
    case '?':
    case '*':
    case '+':
        *ret_end = NULL;
        return 0;
    case '\\':
        *ret_end = p + 2;
        if (p[1] > ' ' && p[1] < 0x7f && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", p[1])) {
            return p[1];
        }
        if (p[1] == '\0' || strchr("sSdDwWbBAzZGhHvVRXKNtnrfea", p[1]) == NULL) {
            *ret_end = NULL;
        }
        return 0;
    default:
        return *p;
    }
}

bool rule_need_read(const char *pattern, size_t least, struct rule_need *ret_need)
{
    struct reader r = {.p = pattern, .need = ret_need, .least = least};

    ret_need->count = 0;
    if (has_surprise(pattern)) {
        return false;
    }
    while (*r.p != '\0') {
        const char *next = NULL;
        char literal = 0;

        if (*r.p == '|') {
            r.p++;
            if (!way_end(&r)) {
                return false;
            }
            continue;
        }
        literal = element_read(r.p, &next);
        if (next == NULL) {
            return false;
        }
        r.p = next;
        switch (repeat_take(&r)) {
        case REPEAT_NONE:
            if (literal != 0) {
                run_add(&r, literal);
            } else {
                run_end(&r);
            }
            break;
        case REPEAT_MORE:
            if (literal != 0) {
                run_add(&r, literal);
            }
            run_end(&r);
            break;
        case REPEAT_MAYBE:
            run_end(&r);
            break;
        case REPEAT_BAD:
            return false;
        }
    }
    return way_end(&r);
}

void rule_need_star(const char *pattern, struct rule_piece *ret_piece)
{
    ret_piece->len = 0;
    while (*pattern != '\0') {
        size_t len = strcspn(pattern, "*");
        size_t kept = len < RULE_PIECE_MAX ? len : RULE_PIECE_MAX;

        if (kept > ret_piece->len) {
            memcpy(ret_piece->text, pattern, kept);
            ret_piece->len = (uint8_t)kept;
        }
        pattern += len + strspn(pattern + len, "*");
    }
}
