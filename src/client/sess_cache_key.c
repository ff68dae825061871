/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer depends on, the data apart: who asks, in what state, by which protocol, and what. Each
 * part with its length ahead of it, so that no two questions are the same bytes.
 */
#include <string.h>

#include "weir/protocol/wire.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "sess_cache_priv.h"
#include "sess_priv.h"
#include "sess_stmt_priv.h"

#define KEY_FORMAT 1U
/* Keys larger than that are not worth their room. */
#define KEY_MAX ((size_t)2 * SESS_HELD_MAX)

enum {
    KEY_OF_USER = 'u',
    KEY_OF_GROUP = 'g',
    KEY_TEXT = 't',
    KEY_BINARY = 'b',
    KEY_TAGGED = 0x80, /* beside one of these two: tags follow the text */
};

/* What of the agreement with a client changes the bytes of a result: whether it knows
 * DEPRECATE_EOF does not, for answers are kept apart from that. */
static const uint64_t caps_that_count = CAP_LONG_FLAG | CAP_NO_SCHEMA | CAP_ODBC |
                                        CAP_IGNORE_SPACE | CAP_OPTIONAL_RESULTSET_METADATA |
                                        CAP_MARIADB_EXTENDED_METADATA | CAP_MARIADB_CACHE_METADATA;

static int put(struct buf *key, const void *bytes, size_t len)
{
    return buf_append(key, bytes, len, KEY_MAX);
}

static int put_span(struct buf *key, struct span span)
{
    uint32_t len = (uint32_t)span.len;
    int r = put(key, &len, sizeof(len));

    return r < 0 ? r : put(key, span.p, span.len);
}

/* What is of one size in every key; of what follows, the lengths. No byte of it is left out: a key is
 * compared whole. */
struct key_head {
    uint64_t caps;
    uint32_t who_len;
    uint32_t sql_len;
    uint16_t collation;
    uint8_t format;
    uint8_t protocol;
    uint8_t who;
    uint8_t coherence;
    uint8_t zero[2];
};
_Static_assert(sizeof(struct key_head) == 24, "a gap would be of unknown bytes");

/* An answer is only for rules that would give it the same tags. */
static int put_tags(const struct cache_plan *plan, struct buf *key)
{
    const struct config_words *tags = plan->tags;
    uint8_t is_caseless = plan->match_caseless ? 1 : 0;
    int r = put(key, &is_caseless, sizeof(is_caseless));

    r = r < 0 ? r : put_span(key, span_of(plan->match));
    r = r < 0 ? r : put(key, &tags->count, sizeof(tags->count));

    for (uint32_t i = 0; i < tags->count && r >= 0; i++) {
        r = put_span(key, span_of(tags->item[i]));
    }
    return r;
}

/* A statement means what it meant when it was prepared. */
static int put_statement(const struct sess_question *question, struct buf *key)
{
    const struct stmt *stmt = question->stmt;
    const struct stmt_execute *execute = question->execute;
    int r = svec_pack(&stmt->at, key);

    r = r < 0 ? r : put_span(key, (struct span){stmt->types, (size_t)stmt->params * 2});
    r = r < 0 ? r : put_span(key, execute->nulls);
    return r < 0 ? r : put_span(key, execute->values);
}

int sess_cache_key(struct sess *sess, const struct cache_plan *plan,
                   const struct sess_question *question, struct buf *key)
{
    bool is_group = plan->share.len != 0;
    struct span who = is_group ? plan->share : cred_user(sess->cred);
    struct key_head head = {
        .caps = sess->caps & caps_that_count,
        .sql_len = (uint32_t)question->sql.len,
        .collation = sess->collation,
        .format = KEY_FORMAT,
        .protocol = (uint8_t)((question->stmt == NULL ? KEY_TEXT : KEY_BINARY) |
                              (plan->tags == NULL ? 0 : KEY_TAGGED)),
        .who = is_group ? KEY_OF_GROUP : KEY_OF_USER,
        .coherence = (uint8_t)plan->coherence,
    };
    int r = 0;

    if (WR_MUTANT("cache.no_user")) {
        who = (struct span){NULL, 0};
    }
    head.who_len = (uint32_t)who.len;
    r = put(key, &head, sizeof(head));
    r = r < 0 ? r : put(key, who.p, who.len);
    r = r < 0 ? r : put(key, question->sql.p, question->sql.len);
    r = r < 0 || plan->tags == NULL ? r : put_tags(plan, key);
    r = r < 0 ? r : svec_pack(&sess->svec, key);
    return r < 0 || question->stmt == NULL ? r : put_statement(question, key);
}

/* --- and back --- */

static struct span take_span(struct wire *wire)
{
    uint32_t len = 0;
    struct span bytes = wire_bytes(wire, sizeof(len));

    if (wire_ok(wire)) {
        memcpy(&len, bytes.p, sizeof(len));
    }
    return wire_bytes(wire, len);
}

static void skip_tags(struct wire *wire)
{
    uint32_t count = 0;
    struct span bytes = {NULL, 0};

    wire_skip(wire, 1);
    (void)take_span(wire);
    bytes = wire_bytes(wire, sizeof(count));

    if (wire_ok(wire)) {
        memcpy(&count, bytes.p, sizeof(count));
    }
    for (uint32_t i = 0; i < count && wire_ok(wire); i++) {
        (void)take_span(wire);
    }
}

/* Leaves *rest behind the vector, whose bytes are *ret_bytes. */
static int take_svec(struct span *rest, struct svec *svec, struct span *ret_bytes)
{
    struct span before = *rest;
    int r = svec_unpack(svec, rest);

    *ret_bytes = (struct span){before.p, before.len - rest->len};
    return r;
}

int sess_cache_unkey(struct span key, struct svec *svec, struct sess_asked *ret_asked)
{
    struct key_head head;
    struct span state = {NULL, 0};
    struct span at = {NULL, 0};
    struct span rest = {NULL, 0};
    struct wire wire;
    int r = 0;

    if (key.len < sizeof(head)) {
        return -WR_E_BAD_PACKET;
    }
    memcpy(&head, key.p, sizeof(head));
    wire_init(&wire, key);
    wire_skip(&wire, sizeof(head) + head.who_len);
    *ret_asked = (struct sess_asked){.sql = wire_bytes(&wire, head.sql_len),
                                     .collation = head.collation,
                                     .is_prepared = (head.protocol & ~KEY_TAGGED) == KEY_BINARY};
    if ((head.protocol & KEY_TAGGED) != 0) {
        skip_tags(&wire);
    }
    rest = wire_rest(&wire);
    r = wire_ok(&wire) ? take_svec(&rest, svec, &state) : -WR_E_BAD_PACKET;
    if (r < 0 || !ret_asked->is_prepared) {
        return r;
    }
    /* in another state than it was prepared in, it cannot be told to anybody at once */
    if (rest.len < state.len || memcmp(rest.p, state.p, state.len) != 0) {
        return -WR_E_UNSUPPORTED;
    }
    at = (struct span){rest.p + state.len, rest.len - state.len};
    wire_init(&wire, at);
    ret_asked->types = take_span(&wire);
    ret_asked->nulls = take_span(&wire);
    ret_asked->values = take_span(&wire);
    return wire_is_done(&wire) ? 0 : -WR_E_BAD_PACKET;
}
