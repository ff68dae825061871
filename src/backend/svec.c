/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are interned: a worker with ten thousand sessions has perhaps five different sql_modes,
 * and "do these two vectors agree" is asked before every statement.
 */
#include "weir/backend/svec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/ok.h"
#include "weir/util/assert.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"
#include "weir/util/map.h"

#include "svec_priv.h"

/* Sessions times variables; the bound is never met before memory is. */
#define SVEC_INTERN_MAX (1u << 20)

static const char *const names[SVEC_COUNT][2] = {
#define X(name, mysql, mariadb) {(mysql), (mariadb)},
    SVEC_VARS(X)
#undef X
};

int svec_values_create(struct svec_values **ret_values)
{
    struct svec_values *values = calloc(1, sizeof(*values));
    if (values == NULL) {
        return -ENOMEM;
    }
    values->unknown = calloc(1, sizeof(*values->unknown));
    if (values->unknown == NULL) {
        free(values);
        return -ENOMEM;
    }
    values->unknown->refs = 1;
    map_init(&values->map, MAP_KEYS_HOSTILE, SVEC_INTERN_MAX);
    *ret_values = values;
    return 0;
}

static void value_unref(struct svec_values *values, struct svec_value *value)
{
    if (value == NULL) {
        return;
    }
    WR_ASSERT(value->refs > 0);
    value->refs--;
    if (value->refs == 0) {
        struct span key = {value->bytes, value->len};
        struct svec_value *removed = map_remove(&values->map, key);
        WR_ASSERT(removed == value);
        free(value);
    }
}

void svec_values_destroy(struct svec_values *values)
{
    if (values == NULL) {
        return;
    }
    value_unref(values, values->suits_have);
    value_unref(values, values->suits_want);
    svec_packs_fini(values);
    WR_DASSERT(map_count(&values->map) == 0);
    map_fini(&values->map, free);
    free(values->unknown);
    free(values);
}

size_t svec_values_count(const struct svec_values *values)
{
    return map_count(&values->map);
}

static int value_intern(struct svec_values *values, struct span bytes, struct svec_value **ret)
{
    if (bytes.len > SVEC_VALUE_MAX) {
        return -WR_E_TOO_LARGE;
    }
    struct svec_value *value = map_get(&values->map, bytes);
    if (value != NULL) {
        value->refs++;
        *ret = value;
        return 0;
    }
    value = malloc(sizeof(*value) + bytes.len);
    if (value == NULL) {
        return -ENOMEM;
    }
    value->refs = 1;
    value->len = (uint32_t)bytes.len;
    if (bytes.len > 0) {
        memcpy(value->bytes, bytes.p, bytes.len);
    }
    int r = map_put(&values->map, bytes, value, NULL);
    if (r < 0) {
        free(value);
        return r;
    }
    *ret = value;
    return 0;
}

/* Takes over a reference on value. */
static void put(struct svec *svec, enum svec_var var, struct svec_value *value)
{
    struct svec_value *old = svec->v[var];

    svec->gen += old != value ? 1 : 0;
    svec->v[var] = value;
    value_unref(svec->values, old);
}

void svec_init(struct svec *svec, struct svec_values *values)
{
    *svec = (struct svec){.values = values, .gen = 1};
}

void svec_fini(struct svec *svec)
{
    for (size_t i = 0; i < SVEC_COUNT; i++) {
        put(svec, (enum svec_var)i, NULL);
    }
}

void svec_copy(struct svec *dst, const struct svec *src)
{
    WR_ASSERT(dst->values == src->values);
    for (size_t i = 0; i < SVEC_COUNT; i++) {
        svec_copy_one(dst, src, (enum svec_var)i);
    }
}

void svec_copy_one(struct svec *dst, const struct svec *src, enum svec_var var)
{
    WR_ASSERT(dst->values == src->values);
    if (src->v[var] != NULL) {
        src->v[var]->refs++;
    }
    put(dst, var, src->v[var]);
}

int svec_set(struct svec *svec, enum svec_var var, struct span value)
{
    struct svec_value *interned = NULL;
    int r = value_intern(svec->values, value, &interned);
    if (r < 0) {
        return r;
    }
    put(svec, var, interned);
    return 0;
}

void svec_clear(struct svec *svec, enum svec_var var)
{
    put(svec, var, NULL);
}

int svec_set_unknown(struct svec *svec, enum svec_var var)
{
    svec->values->unknown->refs++;
    put(svec, var, svec->values->unknown);
    return 0;
}

bool svec_is_unknown(const struct svec *svec, enum svec_var var)
{
    return svec->v[var] == svec->values->unknown;
}

bool svec_is_set(const struct svec *svec, enum svec_var var)
{
    return svec->v[var] != NULL && !svec_is_unknown(svec, var);
}

struct span svec_get(const struct svec *svec, enum svec_var var)
{
    if (!svec_is_set(svec, var)) {
        return (struct span){NULL, 0};
    }
    return (struct span){svec->v[var]->bytes, svec->v[var]->len};
}

bool svec_tracks_known(const struct svec *have, const struct svec *want, enum topo_flavour flavour)
{
    const struct svec_values *values = have->values;
    return values->suits_have != NULL && values->suits_have == have->v[SVEC_TRACK_VARS] &&
           values->suits_want == want->v[SVEC_TRACK_VARS] && values->suits_flavour == flavour;
}

void svec_tracks_learn(const struct svec *have, const struct svec *want, enum topo_flavour flavour)
{
    struct svec_values *values = have->values;
    value_unref(values, values->suits_have);
    value_unref(values, values->suits_want);
    values->suits_have = have->v[SVEC_TRACK_VARS];
    values->suits_have->refs++;
    values->suits_want = want->v[SVEC_TRACK_VARS];
    if (values->suits_want != NULL) {
        values->suits_want->refs++;
    }
    values->suits_flavour = flavour;
}

void svec_view(struct svec *ret_view, const struct svec *want, const struct svec *born)
{
    for (size_t i = SVEC_SCHEMA + 1; i < SVEC_COUNT; i++) {
        ret_view->v[i] = want->v[i] != NULL ? want->v[i] : born->v[i];
    }
    ret_view->values = want->values;
    ret_view->v[SVEC_SCHEMA] = want->v[SVEC_SCHEMA];
    ret_view->v[SVEC_TRACK_VARS] = want->v[SVEC_TRACK_VARS];
    if (want->v[SVEC_CS_CONNECTION] != NULL) {
        ret_view->v[SVEC_COLLATION] = want->v[SVEC_COLLATION]; /* the two go together */
    }
}

bool svec_is_equal(const struct svec *a, const struct svec *b)
{
    return memcmp(a->v, b->v, sizeof(a->v)) == 0;
}

int svec_set_defaults(struct svec *svec, const struct topo_server *server)
{
    if (server == NULL || !server->has_defaults) {
        return 0;
    }
    const struct topo_defaults *d = &server->defaults;
    const struct {
        enum svec_var var;
        const char *text;
    } values[] = {
        {SVEC_SQL_MODE, d->sql_mode},
        {SVEC_TIME_ZONE, d->time_zone},
        {SVEC_ISOLATION, topo_isolation_text(d->isolation)},
        {SVEC_READ_ONLY, d->tx_read_only ? "ON" : "OFF"},
        {SVEC_AUTOCOMMIT, d->autocommit ? "ON" : "OFF"},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(values); i++) {
        int r = svec_set(svec, values[i].var, span_of(values[i].text));
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int svec_var_find(struct span name)
{
    for (int i = 0; i < SVEC_COUNT; i++) {
        for (int flavour = 0; flavour < 2; flavour++) {
            const char *text = names[i][flavour];
            if (text[0] != '\0' && span_eq_text_nocase(name, text)) {
                return i;
            }
        }
    }
    return -1;
}

const char *svec_var_name(enum svec_var var, enum topo_flavour flavour)
{
    return names[var][flavour == TOPO_FLAVOUR_MARIADB ? 1 : 0];
}

/* Servers report one of the pair only: the character set takes the collation to its default, the
 * collation takes the character set along, whose name its own name begins with. */
static int track_pair(struct svec *svec, enum svec_var var, struct span value)
{
    if (var == SVEC_CS_CONNECTION) {
        return svec_set(svec, SVEC_COLLATION, (struct span){NULL, 0});
    }
    const uint8_t *score = value.len > 0 ? memchr(value.p, '_', value.len) : NULL;
    if (score != NULL) {
        value.len = (size_t)(score - value.p);
    }
    return svec_set(svec, SVEC_CS_CONNECTION, value);
}

int svec_track(struct svec *svec, struct span name, struct span value)
{
    int var = svec_var_find(name);
    if (var < 0) {
        return 0;
    }
    int r = svec_set(svec, (enum svec_var)var, value);
    if (r >= 0 && (var == SVEC_CS_CONNECTION || var == SVEC_COLLATION)) {
        r = track_pair(svec, (enum svec_var)var, value);
    }
    return r < 0 ? r : 1;
}

int svec_track_schema(struct svec *svec, struct span schema)
{
    return svec_set(svec, SVEC_SCHEMA, schema);
}

int svec_track_block(struct svec *svec, struct span block)
{
    struct ok_tracks tracks;
    struct ok_track track;
    struct span collation = {NULL, 0};
    bool has_collation = false;
    uint32_t seen = 0;

    ok_tracks_init(&tracks, block);
    enum dec_rc rc = ok_track_next(&tracks, &track);
    for (; rc == DEC_OK; rc = ok_track_next(&tracks, &track)) {
        int var = -1;
        int r = 0;
        if (track.type == OK_TRACK_SCHEMA) {
            var = SVEC_SCHEMA;
            r = svec_track_schema(svec, track.value);
        } else if (track.type == OK_TRACK_SYSTEM_VARIABLES) {
            var = svec_var_find(track.name);
            r = svec_track(svec, track.name, track.value);
        }
        if (r < 0) {
            return r;
        }
        if (var == SVEC_COLLATION) {
            collation = track.value;
            has_collation = true;
        }
        if (var >= 0) {
            seen |= UINT32_C(1) << var;
        }
    }
    if (rc == DEC_BAD) {
        return -WR_E_BAD_PACKET;
    }
    /* character_set_connection behind it in the same packet has taken it back to the default */
    if (has_collation) {
        int r = svec_track(svec, span_of(names[SVEC_COLLATION][0]), collation);
        if (r < 0) {
            return r;
        }
    }
    return (int)seen;
}
