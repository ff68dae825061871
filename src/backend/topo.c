/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/backend/topo.h"

#include <stdlib.h>
#include <string.h>

#include "weir/util/attr.h"

static void topo_free(struct snap *snap)
{
    free(WR_CONTAINER_OF(snap, struct topo, snap));
}

/* Only the count changes after publication; this is the one place where const is lifted for it. */
static struct topo *topo_counted(const struct topo *topo)
{
    return (struct topo *)(uintptr_t)topo;
}

struct topo *topo_create(size_t count)
{
    struct topo *topo = NULL;

    if (count > TOPO_SERVERS_MAX) {
        return NULL;
    }
    topo = calloc(1, sizeof(*topo) + count * sizeof(topo->servers[0]));
    if (!topo) {
        return NULL;
    }
    snap_init(&topo->snap, 0, topo_free);
    topo->primary = -1;
    topo->server_count = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        topo->servers[i].index = (uint16_t)i;
        topo->servers[i].config_index = (uint16_t)i;
        topo->servers[i].lag_us = TOPO_LAG_UNKNOWN;
        for (size_t k = 0; k < TOPO_LAG_SOURCE_COUNT; k++) {
            topo->servers[i].lag_by_us[k] = TOPO_LAG_UNKNOWN;
        }
        topo->servers[i].why = TOPO_WHY_NEVER_PROBED;
    }
    return topo;
}

const struct topo *topo_ref(const struct topo *topo)
{
    snap_ref(&topo_counted(topo)->snap);
    return topo;
}

void topo_unref(const struct topo *topo)
{
    if (topo) {
        snap_unref(&topo_counted(topo)->snap);
    }
}

/* "name" is also the name of its first address, "name#1". */
static bool name_is_first_of(const char *full, struct span name)
{
    size_t len = strlen(full);

    return len == name.len + 2 && memcmp(full + name.len, "#1", 2) == 0 &&
           span_eq_nocase((struct span){(const uint8_t *)full, name.len}, name);
}

int topo_find(const struct topo *topo, struct span name)
{
    if (name.len == 0) {
        return -1;
    }
    for (int i = 0; i < (int)topo->server_count; i++) {
        if (span_eq_text(name, topo->servers[i].name)) {
            return i;
        }
    }
    for (int i = 0; i < (int)topo->server_count; i++) {
        if (span_eq_text_nocase(name, topo->servers[i].name) ||
            name_is_first_of(topo->servers[i].name, name)) {
            return i;
        }
    }
    return -1;
}

const struct topo_server *topo_primary(const struct topo *topo)
{
    if (topo->primary < 0 || topo->primary >= (int)topo->server_count) {
        return NULL;
    }
    return &topo->servers[topo->primary];
}

const char *topo_role_text(enum topo_role role)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOPO_ROLES(X)
#undef X
    };
    return texts[role];
}

const char *topo_state_text(enum topo_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOPO_STATES(X)
#undef X
    };
    return texts[state];
}

const char *topo_why_text(enum topo_why why)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOPO_WHYS(X)
#undef X
    };
    return texts[why];
}

const char *topo_lag_source_text(enum topo_lag_source source)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOPO_LAG_SOURCES(X)
#undef X
    };
    return source < TOPO_LAG_SOURCE_COUNT ? texts[source] : "";
}

const char *topo_flavour_text(enum topo_flavour flavour)
{
    switch (flavour) {
    case TOPO_FLAVOUR_UNKNOWN:
        return "unknown";
    case TOPO_FLAVOUR_MYSQL:
        return "mysql";
    case TOPO_FLAVOUR_MARIADB:
        return "mariadb";
    }
    return "unknown";
}

static const char *const isolation_texts[] = {
#define X(name, text) text,
    TOPO_ISOLATIONS(X)
#undef X
};

const char *topo_isolation_text(enum topo_isolation isolation)
{
    return isolation_texts[isolation];
}

/* Upper case, and one dash for a run of white space. */
static size_t isolation_fold(struct span text, char *dst, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len && len + 1 < cap; i++) {
        uint8_t c = text.p[i];

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            c = '-';
        } else if (c >= 'a' && c <= 'z') {
            c = (uint8_t)(c - 'a' + 'A');
        }
        if (c == '-' && len > 0 && dst[len - 1] == '-') {
            continue;
        }
        dst[len++] = (char)c;
    }
    dst[len] = '\0';
    return len;
}

bool topo_isolation_parse(struct span text, enum topo_isolation *ret_isolation)
{
    char folded[32];

    if (text.len >= sizeof(folded)) {
        return false;
    }
    isolation_fold(text, folded, sizeof(folded));
    for (size_t i = 0; i < WR_ARRAY_LEN(isolation_texts); i++) {
        if (strcmp(folded, isolation_texts[i]) == 0) {
            *ret_isolation = (enum topo_isolation)i;
            return true;
        }
    }
    return false;
}
