/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "weir/util/str.h"

#include "lost_priv.h"

/* One after the other, the ranges of a set: "uuid:1-5:9:tag:1-3,uuid:..." */
struct ranges {
    const char *at;
    struct span source;
    struct span tag;
    uint64_t from;
    uint64_t to;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint64_t number_take(const char **at)
{
    uint64_t value = 0;

    while (is_digit(**at)) {
        value = value * 10 + (uint64_t)(**at - '0');
        (*at)++;
    }
    return value;
}

static struct span word_take(const char **at)
{
    const char *from = *at;

    while (**at != '\0' && **at != ':' && **at != ',' && !is_space(**at)) {
        (*at)++;
    }
    return (struct span){(const uint8_t *)from, (size_t)(*at - from)};
}

/* False: there is none left, or what follows is not a set. */
static bool ranges_next(struct ranges *ranges)
{
    for (;;) {
        while (is_space(*ranges->at)) {
            ranges->at++;
        }
        if (*ranges->at == '\0') {
            return false;
        }
        if (*ranges->at == ',') {
            ranges->at++;
            ranges->source.len = 0;
        } else if (ranges->source.len == 0) {
            ranges->source = word_take(&ranges->at);
            ranges->tag = (struct span){NULL, 0};
            if (ranges->source.len == 0) {
                return false;
            }
        } else if (*ranges->at != ':') {
            return false;
        } else if (is_digit(ranges->at[1])) {
            ranges->at++;
            ranges->from = number_take(&ranges->at);
            ranges->to = ranges->from;
            if (*ranges->at == '-') {
                ranges->at++;
                ranges->to = number_take(&ranges->at);
            }
            return ranges->to >= ranges->from;
        } else {
            ranges->at++;
            ranges->tag = word_take(&ranges->at);
        }
    }
}

static uint64_t covered(const struct ranges *want, const char *has)
{
    struct ranges have = {.at = has};
    uint64_t count = 0;

    while (ranges_next(&have)) {
        uint64_t from = have.from > want->from ? have.from : want->from;
        uint64_t to = have.to < want->to ? have.to : want->to;

        if (from <= to && span_eq_nocase(have.source, want->source) &&
            span_eq_nocase(have.tag, want->tag)) {
            count += to - from + 1;
        }
    }
    return count;
}

static uint64_t mysql_lost(const char *had, const char *has)
{
    struct ranges want = {.at = had};
    uint64_t lost = 0;

    while (ranges_next(&want)) {
        uint64_t all = want.to - want.from + 1;
        uint64_t there = covered(&want, has);

        lost += all > there ? all - there : 0;
    }
    return lost;
}

/* "domain-server-number", commas between. */
static bool position_take(const char **at, uint64_t *ret_domain, uint64_t *ret_number)
{
    while (**at == ',' || is_space(**at)) {
        (*at)++;
    }
    if (!is_digit(**at)) {
        return false;
    }
    *ret_domain = number_take(at);
    if (*(*at)++ != '-') {
        return false;
    }
    (void)number_take(at);
    if (**at != '-') {
        return false;
    }
    (*at)++;
    *ret_number = number_take(at);
    return true;
}

static uint64_t mariadb_lost(const char *had, const char *has)
{
    uint64_t domain = 0;
    uint64_t number = 0;
    uint64_t lost = 0;

    while (position_take(&had, &domain, &number)) {
        const char *at = has;
        uint64_t other = 0;
        uint64_t there = 0;
        uint64_t most = 0;

        while (position_take(&at, &other, &there)) {
            most = other == domain ? there : most;
        }
        lost += number > most ? number - most : 0;
    }
    return lost;
}

uint64_t lost_count(enum topo_flavour flavour, const char *had, const char *has)
{
    if (had[0] == '\0' || has[0] == '\0') {
        return 0;
    }
    switch (flavour) {
    case TOPO_FLAVOUR_MYSQL:
        return mysql_lost(had, has);
    case TOPO_FLAVOUR_MARIADB:
        return mariadb_lost(had, has);
    case TOPO_FLAVOUR_UNKNOWN:
        return 0;
    }
    return 0;
}
